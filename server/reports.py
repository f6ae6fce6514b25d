"""Citizens' reports: taken in once, followed by a code, handled by officers; every change with its audit row.

No public page reads them but the sender's own. How to reach a sender is not here: that stands in the
accounts, under the code of the report.
"""

import json
from dataclasses import replace

import sqlalchemy as sa

from server import codes, handling, photos, reportbook
from server.casebook import evidence
from server.drafts import MAX_PHOTOS
from server.files import FileError
from server.handling import HandlingError
from server.i18n import N_
from server.reportbook import Receipt, acts, by_code, report, root_of, row_of, said, utc
from server.reportdesk import ReportDesk, covers

__all__ = ["HandlingError", "Receipt", "Reports"]
MAX_MESSAGES = 40  # of one sender on one report


class Reports(ReportDesk):
    """The reports of one city: reading as ReportDesk, and what changes them.

    knows_case: says whether a code is one of the register; None accepts every code. tie: called as
    tie(con, user, case, report code) in the transaction in which a report is joined to a case.
    """

    def __init__(self, store, files, *, knows_case=None, tie=None, **options):
        super().__init__(store, files, **options)
        self.knows_case, self.tie = knows_case, tie

    # --- taking in ---

    def take_in(self, draft, kept=()):
        """Take in a drafts.Draft and return its Receipt; the same key again changes nothing.

        kept: photos.KeptPhoto that came with it; the others it names are sent afterwards by add_photo().
        """
        with self.store.transaction() as con:
            row = row_of(con, report.c.client_key == draft.key)
            if row is None:
                row = self._enter(con, draft, kept)
            self._keep(con, row, kept)
            return reportbook.receipt_of(con, row)

    def _enter(self, con, draft, kept):
        at = self.now()
        ward = draft.ward or (self.vicinity.ward(draft.lon, draft.lat) if draft.lon is not None else None)
        promised = tuple(dict.fromkeys([*draft.photos, *(k.original for k in kept)]))[:MAX_PHOTOS]
        same = root_of(con, row_of(con, report.c.ref == draft.same_as)) if draft.same_as else None
        told = {
            "kind": draft.kind, "smell": draft.smell, "colour": draft.colour or None, "lon": draft.lon,
            "lat": draft.lat, "ward": ward, "ward_basis": ("chosen" if draft.ward else "pin") if ward else None,
            "language": draft.language,
        }  # fmt: skip
        con.execute(
            report.insert().values(
                **told, code=reportbook.fresh_code(con), ref=reportbook.fresh_ref(), client_key=draft.key, at=utc(at),
                words=draft.words, place=draft.place, accuracy_m=draft.accuracy_m, seen_on=draft.seen_on,
                state="received", clock_at=utc(at), answer_from=at.date(), changed_on=at.date(),
                promised=json.dumps(promised), same_as=same.id if same else None, reopened=0,
            )
        )  # fmt: skip
        row = row_of(con, report.c.client_key == draft.key)
        told |= {"words": len(draft.words), "photos": len(promised), "same_as": same.code if same else None}
        reportbook.note(con, at, "receive", row, new=told)
        return row

    def add_photo(self, key, sent, data, *, taken_on=None):
        """Keep one photo of a report by the checksum its sender computed; sent again it changes nothing.

        taken_on: the day the sender's program read in it, where the photo itself does not say it any more.
        Returns the Receipt. Raises HandlingError, photos.PhotoError, files.FileError.
        """
        with self.store.reading() as con:
            row = self._by_key(con, key)
            receipt = reportbook.receipt_of(con, row)
        if sent in receipt.safe:
            return receipt
        if sent not in receipt.missing:
            raise HandlingError("not_promised", N_("This photo does not belong to the report."))
        one = photos.keep(self.files, data, expected=sent)
        if one.taken_on is None and taken_on is not None and taken_on <= self.now().date():
            one = replace(one, taken_on=taken_on)
        with self.store.transaction() as con:
            self._keep(con, row, [one])
            return reportbook.receipt_of(con, row)

    def _keep(self, con, row, kept, message=None):
        for one in kept:
            if one.sha not in self.files:  # the same photo was withdrawn elsewhere at this moment
                raise FileError("changed", N_("The file changed on its way. Send it again."))
            reportbook.keep_photo(con, self.now(), row, one, message=message)

    def receipt(self, key):
        """The Receipt of a report by its sender's key, so that a broken sending goes on where it stopped."""
        with self.store.reading() as con:
            return reportbook.receipt_of(con, self._by_key(con, key))

    @staticmethod
    def _by_key(con, key):
        row = row_of(con, report.c.client_key == key)
        if row is None:
            raise HandlingError("unknown", N_("This report is not known here. Send it again."))
        return row

    # --- what officers do ---

    def act(self, user, code, action, *, reply="", case="", commune="", files=(), reason=""):
        """Do one of handling.ACTS with a report and return the number of the act.

        reply: what the sender reads. case: a code of the register, or (merge) of another report that says
        the same. files: checksums of kept files, or dicts with sha, name and media_type. Raises
        HandlingError; KeyError where there is no such report.
        """
        with self.store.transaction() as con:
            return self.act_in(
                con, user, code, action, reply=reply, case=case, commune=commune, files=files, reason=reason
            )

    def act_in(self, con, user, code, action, *, reply="", case="", commune="", files=(), reason=""):
        """As act(), inside a transaction() that does other things too."""
        row = root_of(con, by_code(con, code))
        if not covers(user, row):
            raise HandlingError("not_yours", N_("This report lies outside your area."))
        files = [self._reply_file(one) for one in files]
        step = handling.decide(
            self._state(row), action, text=reply, case=case, commune=commune, files=files, reason=reason
        )  # fmt: skip
        changes, moved, now = {"state": step.state}, [], self.now()
        if action == "pass":
            if commune not in self.wards():
                raise HandlingError("commune", N_("Say which commune the report goes to."))
            changes["commune"] = commune
        elif action == "ask":
            changes["asked_on"] = now.date()
        elif action == "merge" and codes.read(case):
            other = self._other_report(con, row, case)
            changes["same_as"] = other.id
            moved = list(con.scalars(sa.select(report.c.id).where(report.c.same_as == row.id)))
            con.execute(report.update().where(report.c.id.in_(moved)).values(same_as=other.id))
        elif "case" in handling.ACTS[action].needs:
            # a case for "new" was opened in this very transaction, which nobody else can see into yet
            if self.knows_case and action != "new" and not self.knows_case(case):
                raise HandlingError("case", N_("There is no hotspot with this code."))
            changes["case_code"] = case
            if self.tie:
                self.tie(con, user, case, row.code)
        number = reportbook.change(con, now, user, row, action, changes, reason=reason.strip() or None, moved=moved)
        if step.text or files:
            reportbook.say(con, now, row, action, step.text, user=user, act=number, files=files)
        return number

    @staticmethod
    def _other_report(con, row, code):
        try:
            other = root_of(con, by_code(con, code))
        except KeyError:
            other = None
        if other is None or other.id == row.id:
            raise HandlingError("case", N_("There is no other report with this code."))
        return other

    def _reply_file(self, one):
        one = {"sha": one} if isinstance(one, str) else dict(one)
        if one["sha"] not in self.files:
            raise HandlingError("file", N_("The file is not there any more. Choose it again."))
        suffix = self.files.path(one["sha"]).suffix
        known = "image/jpeg" if suffix == ".jpg" else "application/octet-stream"
        name = str(one.get("name") or f"{one['sha'][:8]}{suffix}")[:120]
        return {"sha": one["sha"], "name": name, "media_type": str(one.get("media_type") or known)[:80]}

    def undo(self, user, act_id, reason=""):
        """Take an act back on its own day by a counter act; returns the number of the counter act.

        What was written to the sender stays, marked as taken back. Raises HandlingError, KeyError.
        """
        with self.store.transaction() as con:
            found = con.execute(sa.select(acts).where(acts.c.id == act_id)).one_or_none()
            if found is None:
                raise KeyError(act_id)
            row, now = row_of(con, report.c.id == found.report), self.now()
            if not covers(user, row):
                raise HandlingError("not_yours", N_("This report lies outside your area."))
            made = reportbook.acts_of(con, row)
            held = next(a for a in made if a["id"] == act_id)
            handling.check_undo(
                held, state=row.state, newest=made[-1]["id"], user=user, today=now.date(),
                day=self._city(found.at).date(),
            )  # fmt: skip
            before = json.loads(found.before)
            con.execute(report.update().where(report.c.id.in_(before.pop("moved"))).values(same_as=row.id))
            number = reportbook.change(
                con, now, user, row, "undo", reportbook.restored(before), reason=reason.strip() or None, undoes=act_id
            )
            con.execute(said.update().where(said.c.act == act_id).values(taken_back_at=utc(now)))
            return number

    # --- what the sender does later ---

    def citizen_reply(self, code, text, kept=(), *, key, not_fixed=False):
        """The sender answers a question or adds something; not_fixed opens a finished report anew.

        key: made once by the sender: the same again changes nothing. kept: photos.KeptPhoto; "not fixed"
        needs one. Raises HandlingError; KeyError where there is no such code.
        """
        with self.store.transaction() as con:
            own = by_code(con, code)
            if con.scalar(sa.select(said.c.id).where(said.c.client_key == key)):
                return
            row = root_of(con, own)
            handling.check_reply(self._state(row), text=text, photos=len(kept), not_fixed=not_fixed)
            if con.scalar(sa.select(sa.func.count()).where(said.c.sender == own.id)) >= MAX_MESSAGES:
                raise HandlingError(
                    "many", N_("There are many messages on this report already. An officer will answer.")
                )
            now, kind = self.now(), "not_fixed" if not_fixed else "reply"
            number = reportbook.say(con, now, row, kind, text.strip(), sender=own.id, key=key)
            self._keep(con, own, kept, message=number)
            changes = {}
            if not_fixed:
                changes = {"state": "received", "clock_at": utc(now), "answer_from": now.date(),
                           "reopened": row.reopened + 1}  # fmt: skip
            elif row.state == "asked":
                moved = handling.moved_on(row.answer_from, row.asked_on, now.date(), self.calendar)
                changes = {"state": "checking", "answer_from": moved, "asked_on": None}
            if changes:
                changes["changed_on"] = now.date()
                con.execute(report.update().where(report.c.id == row.id).values(changes))
            told = {"words": len(text.strip()), "photos": len(kept)}
            old = reportbook.plain({k: getattr(row, k) for k in changes}) or None
            reportbook.note(con, now, kind, row, old=old, new=reportbook.plain(changes) | told)

    def say_same(self, code, ref):
        """The sender says afterwards that another report (by its ref) is about the same thing."""
        with self.store.transaction() as con:
            own, other = by_code(con, code), root_of(con, row_of(con, report.c.ref == ref))
            if other is None or other.id == own.id or own.same_as is not None or own.state != "received":
                raise HandlingError("same", N_("These two reports cannot be joined any more."))
            con.execute(report.update().where(report.c.same_as == own.id).values(same_as=other.id))
            con.execute(report.update().where(report.c.id == own.id).values(same_as=other.id))
            reportbook.note(con, self.now(), "same", own, old={"same_as": None}, new={"same_as": other.code})

    def withdraw(self, code):
        """The sender takes an open report back: words, place and photos are deleted, others who said the same stay.

        Raises HandlingError; KeyError where there is no such code.
        """
        with self.store.transaction() as con:
            own, now = by_code(con, code), self.now()
            row = root_of(con, own)
            handling.check_withdraw(self._state(row))
            others = list(con.scalars(sa.select(report.c.id).where(report.c.same_as == own.id).order_by(report.c.id)))
            if others:
                heir = {"same_as": None, "state": own.state, "commune": own.commune, "asked_on": own.asked_on}
                con.execute(report.update().where(report.c.id == others[0]).values(heir))
                con.execute(report.update().where(report.c.id.in_(others[1:])).values(same_as=others[0]))
            proofs = (evidence.c.sha, evidence.c.original) if sa.inspect(con).has_table(evidence.name) else ()
            gone = reportbook.drop_photos(con, own, elsewhere=proofs)
            con.execute(said.update().where(said.c.sender == own.id).values(text=""))
            blank = {"words": "", "place": "", "lon": None, "lat": None, "accuracy_m": None, "promised": "[]",
                     "same_as": None, "state": "closed", "changed_on": now.date()}  # fmt: skip
            con.execute(report.update().where(report.c.id == own.id).values(blank))
            reportbook.say(con, now, own, "withdraw", "", sender=own.id)
            reportbook.note(
                con, now, "withdraw", own, old={"state": own.state}, new={"state": "closed", "files": len(gone)}
            )
            for sha in gone:  # before the lock is let go: nobody can have named them again meanwhile
                self.files.forget(sha)
