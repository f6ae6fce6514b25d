"""Citizens' reports: taken in once, followed by a code, handled by officers; every change with its audit row.

No public page reads them but the sender's own. How to reach a sender is not here: that stands in the
accounts, under the code of the report.
"""

import json
from dataclasses import replace
from datetime import datetime, time, timedelta

import sqlalchemy as sa

from server import codes, handling, photos, reportbook, workdays
from server.drafts import KINDS, MAX_PHOTOS
from server.handling import HandlingError
from server.i18n import N_
from server.reportbook import Receipt, acts, by_code, photo, report, root_of, row_of, said, utc
from server.situation import Rules
from server.vicinity import SIMILAR_TIME, Vicinity

__all__ = ["HandlingError", "Receipt", "Reports"]
MAX_MESSAGES = 40  # of one sender on one report
FAR_M = 50  # a stranger learns distances to so many metres


class Reports:
    """The reports of one city.

    store: layers.store.Store. files: server.files.Files. now: gives the moment, with the city's zone.
    knows_case: says whether a code is one of the register; None accepts every code. tie: called as
    tie(con, user, case, report code) in the transaction in which a report is joined to a case.
    """

    def __init__(self, store, files, *, now, rules=None, calendar=workdays.CALENDAR, knows_case=None, tie=None):
        self.store, self.files, self.now = store, files, now
        self.rules, self.calendar = rules or Rules(), calendar
        self.knows_case, self.tie = knows_case, tie
        with store.transaction() as con:
            reportbook.metadata.create_all(con)
        self.vicinity = Vicinity(store)

    def __contains__(self, code):
        with self.store.reading() as con:
            return row_of(con, report.c.code == (codes.read(code or "") or "")) is not None

    # --- taking in ---

    def take_in(self, draft, kept=()):
        """Take in a drafts.Draft and return its Receipt; the same key again changes nothing.

        kept: photos.KeptPhoto that came with it; the others it names are sent afterwards by add_photo().
        """
        with self.store.transaction() as con:
            row = row_of(con, report.c.client_key == draft.key)
            if row is None:
                row = self._enter(con, draft, kept)
            for one in kept:
                reportbook.keep_photo(con, self.now(), row, one)
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
            reportbook.keep_photo(con, self.now(), row, one)
            return reportbook.receipt_of(con, row)

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

    # --- what officers see ---

    def inbox(self, user, *, every=False):
        """The open reports (every: all) that are this person's, newest first, as dicts; see _shown()."""
        with self.store.reading() as con:
            query = sa.select(report).where(report.c.same_as.is_(None)).order_by(report.c.id.desc())
            if not every:
                query = query.where(report.c.state.in_(handling.OPEN))
            return self._shown(con, [r for r in con.execute(query) if _covers(user, r)])

    def get(self, code):
        """One report as in inbox(), with acts, others (reports that say the same) and asked_for. KeyError."""
        with self.store.reading() as con:
            row = by_code(con, code)
            root = root_of(con, row)
            others = con.execute(sa.select(report).where(report.c.same_as == root.id).order_by(report.c.id)).all()
            names = ("code", "words", "place", "lon", "lat", "smell", "colour", "seen_on", "reopened")
            return self._shown(con, [root])[0] | {
                "asked_for": row.code,
                "others": [{n: getattr(o, n) for n in names} | {"at": self._city(o.at)} for o in others],
                "acts": self._acts(con, root),
            }

    def _acts(self, con, row):
        made = reportbook.acts_of(con, row)
        for act in made:
            act["at"] = self._city(act["at"])
            act["can_undo"] = (
                act is made[-1] and act["action"] != "undo" and act["state_to"] == row.state
                and act["at"].date() == self.now().date()
            )  # fmt: skip
        return made

    def similar(self, code):
        """Other reports within 300 m and three days, nearest first: as in inbox(), with metres and same_kind."""
        with self.store.reading() as con:
            row = root_of(con, by_code(con, code))
            near = self.vicinity.similar(con, row)
            shown = self._shown(con, [r for r, _ in near])
        return [
            s | {"metres": metres, "same_kind": _alike(row.kind, s["kind"])}
            for s, (_r, metres) in zip(shown, near, strict=True)
        ]

    def _shown(self, con, rows):
        """at: city time; due, clock: what presses most (None where no clock runs); photos: checksums for
        /photos/, those of people who said the same behind; waiting: photos announced but not yet here;
        supporters: how many said the same; similar: how many others within 300 m and three days.
        """
        if not rows:
            return []
        same = {r.id: [] for r in rows}
        for other in con.execute(sa.select(report.c.id, report.c.same_as).where(report.c.same_as.in_(same))):
            same[other.same_as].append(other.id)
        shas, sent = reportbook.photos_of(con, [i for k, v in same.items() for i in (k, *v)])
        names = ("code", "kind", "smell", "colour", "words", "lon", "lat", "accuracy_m", "ward", "ward_basis",
                 "place", "seen_on", "language", "commune", "reopened")  # fmt: skip
        out = []
        for row in rows:
            clock = self._clock(row)
            here = sent.get(row.id, ())
            out.append(
                {n: getattr(row, n) for n in names}
                | {
                    "at": self._city(row.at), "media": KINDS[row.kind][1], "state": self._state(row),
                    "due": clock and clock.due, "clock": clock,
                    "late": bool(clock and clock.state in ("late", "very_late")), "case": row.case_code,
                    "photos": [s for i in (row.id, *same[row.id]) for s in shas.get(i, ())],
                    "waiting": sum(s not in here for s in json.loads(row.promised)),
                    "supporters": len(same[row.id]), "similar": len(self.vicinity.similar(con, row)),
                }
            )  # fmt: skip
        return out

    def messages(self, code):
        """What was said on a report, oldest first, as dicts: id, at, kind, by (citizen or staff), who, role, text,
        files (of staff: sha, name, media_type), photos (of citizens: checksums), act, taken_back. KeyError.
        """
        with self.store.reading() as con:
            return self._messages(con, root_of(con, by_code(con, code)))

    def _messages(self, con, row):
        return [m | {"at": self._city(m["at"])} for m in reportbook.messages_of(con, row)]

    def wards(self):
        """The units a report may name: {code: (name_vi, name_en)}."""
        return self.vicinity.wards()

    # --- time ---

    def _city(self, text):
        return datetime.fromisoformat(text).astimezone(self.now().tzinfo)

    def _clock(self, row):
        return handling.due(
            row.state, self._city(row.clock_at), row.answer_from, self.now(), rules=self.rules, calendar=self.calendar
        )

    def _state(self, row):
        quiet = self.now().date() - timedelta(days=handling.QUIET_DAYS)
        return "closed" if row.state == "answered" and row.changed_on <= quiet else row.state

    # --- near a point ---

    def similar_near(self, lon, lat, kind):
        """What a stranger may know of open reports of the same sort near a point, at most three.

        ref (to say the same), kind, metres (to 50 m), at, days ago, people. No words, no photo, no code.
        """
        since, out = self.now() - SIMILAR_TIME, {}
        with self.store.reading() as con:
            for near, away in self.vicinity.reports(con, lon, lat, since=since):
                row = root_of(con, near)
                if row.id in out or not _alike(kind, row.kind) or row.state not in (*handling.OPEN, "joined"):
                    continue
                people = 1 + con.scalar(sa.select(sa.func.count()).where(report.c.same_as == row.id))
                at, metres = self._city(row.at), max(FAR_M, round(away / FAR_M) * FAR_M)
                days = (self.now().date() - at.date()).days
                out[row.id] = {
                    "ref": row.ref, "kind": row.kind, "metres": metres, "at": at, "days": days, "people": people,
                }  # fmt: skip
        return list(out.values())[:3]

    def hotspots_near(self, lon, lat):
        """Published hotspots still open within 500 m, nearest first: code, metres, stage, name_vi, name_en."""
        return self.vicinity.hotspots(lon, lat)

    def count_near(self, geometry, metres, since):
        """How many reports came in, or were said not to be fixed, round a geometry since a day (city time)."""
        start = utc(datetime.combine(since, time(), self.now().tzinfo))
        with self.store.reading() as con:
            rows = self.vicinity.round(con, geometry, metres)
        return sum(max(r.at, r.clock_at) >= start and r.state not in ("closed", "not_ours") for r in rows)

    def entries(self, codes):
        """What the thread of a case says of these reports: dicts with kind, number, at, day, action, role, actor,
        text, data (the report as in inbox()), files (of officers) and refs; action as of messages, or "receive".
        """
        out = []
        with self.store.reading() as con:
            rows = con.execute(sa.select(report).where(report.c.code.in_(list(codes)))).all()
            for row in rows:
                tied = {"kind": "report", "refs": [{"kind": "report", "code": row.code}]}
                shown = self._shown(con, [row])[0]
                out.append(
                    tied | {"number": row.id, "at": shown["at"], "day": row.seen_on, "action": "receive",
                            "role": "public", "text": row.words, "data": shown}
                )  # fmt: skip
                for m in self._messages(con, row):
                    told = {"by": m["by"], "photos": m["photos"], "taken_back": m["taken_back"]}
                    out.append(
                        tied | {"number": m["id"], "at": m["at"], "day": m["at"].date(), "action": m["kind"],
                                "role": m["role"], "actor": m["who"] or "", "text": m["text"], "data": told,
                                "files": m["files"]}
                    )  # fmt: skip
        return out

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
        if not _covers(user, row):
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
            if not _covers(user, row):
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
            for one in kept:
                reportbook.keep_photo(con, now, own, one, message=number)
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

    def followed(self, code):
        """What the holder of a code sees: nothing about people, nothing internal. KeyError.

        What the sender wrote; state, since (day), answer_by (day or None), late, hotspot (its public row, or
        None), joined (to a case, published or not), commune, photos (number, sha, message), messages, steps (acts
        that hold: id, at, action), same (said the same as another report), can_say ("answer", "add", "not_fixed").
        """
        with self.store.reading() as con:
            own = by_code(con, code)
            row = root_of(con, own)
            shots = con.execute(sa.select(photo).where(photo.c.report == own.id).order_by(photo.c.number)).all()
            messages = [m | {"who": None} for m in self._messages(con, row) if _for_sender(m, own, row)]
            steps = [a for a in reportbook.acts_of(con, row) if not a["undone"] and a["action"] != "undo"]
            waiting = len(reportbook.receipt_of(con, own).missing)
        state, today = self._state(row), self.now().date()
        runs = state in ("received", "checking", "passed")
        by = handling.answer_day(row.answer_from, rules=self.rules, calendar=self.calendar) if runs else None
        public = self.store.snapshot("hotspots")
        here = public[public["code"] == row.case_code].to_dict("records") if row.case_code else []
        names = ("code", "ref", "kind", "place", "ward", "smell", "colour", "words", "lon", "lat", "seen_on")
        return {n: getattr(own, n) for n in names} | {
            "at": self._city(own.at), "state": state, "since": row.changed_on, "answer_by": by,
            "late": bool(by and today > by), "hotspot": here[0] if here else None, "commune": row.commune,
            "joined": state == "joined" and row.case_code is not None, "waiting": waiting, "messages": messages,
            "photos": [{"number": p.number, "sha": p.sha, "message": p.message} for p in shots],
            "steps": [{"id": a["id"], "at": self._city(a["at"]), "action": a["action"]} for a in steps if a["action"] != "ask"],
            "same": own.id != row.id, "reopened": row.reopened,
            "can_say": handling.may_say(state, first=own.id == row.id),
        }  # fmt: skip

    def photo_of(self, code, number):
        """The checksum of the sender's own photo with this number. KeyError."""
        with self.store.reading() as con:
            own = by_code(con, code)
            sha = con.scalar(sa.select(photo.c.sha).where(photo.c.report == own.id, photo.c.number == number))
        if sha is None:
            raise KeyError(number)
        return sha


def _alike(kind, other):
    return kind == other or bool(set(KINDS[kind][1]) & set(KINDS[other][1]))


def _covers(user, row):
    return any(user.covers(place, KINDS[row.kind][1]) for place in {row.commune or row.ward, row.ward})


def _for_sender(message, own, row):
    """Questions go to the first sender only, answers also to those who said the same; each sees own words."""
    if message["by"] == "citizen":
        return message["sender"] == own.id
    return own.id == row.id or message["kind"] != "ask"
