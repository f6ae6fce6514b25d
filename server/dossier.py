"""The dossier of a case: evidence, samplings, visits, decisions and remarks. Nothing is deleted; wrong entries are voided."""

import json

import sqlalchemy as sa

from server import casebook, remediation, samples
from server.casebook import CaseError, Conflict, events, evidence, packed, samplings
from server.docket import CLASSERS, WRITERS, Docket, role
from server.i18n import N_

DECISIONS = {
    "plan": N_("plan"),
    "order": N_("order"),
    "fine": N_("fine"),
    "limit": N_("limits to use"),
    "other": N_("other"),
}
FACILITIES = ("treatment_plants", "industrial_zones", "waste_sites", "port_areas")


class Dossier(Docket):
    """What is put to a case between its steps."""

    def attach(self, user, code, kind, sha, *, name, media_type, dated=None, original=None, number="", accepts=(),
               note="", public=False):  # fmt: skip
        """Put a stored file to a case as evidence; the id. accepts: ids of samplings a limit decision accepts."""
        role(user, WRITERS, N_("Your role does not add evidence."))
        if kind not in remediation.EVIDENCE:
            raise CaseError(N_("Choose what kind of evidence this is."))
        if dated and dated > self.today():
            raise CaseError(N_("The date of the evidence lies in the future."))
        if kind == "limit_decision" and (not number.strip() or not accepts):
            raise CaseError(N_("A decision on limits needs its number and the samplings it accepts."))
        with self._store.transaction() as con:
            case = self._held(con, user, code)
            known = set(con.scalars(sa.select(samplings.c.id).where(samplings.c.case == code)))
            if set(accepts) - known:
                raise CaseError(N_("A sampling that this decision names is not of this case."))
            row = {"case": code, "kind": kind, "sha": sha, "original": original, "name": name, "media_type": media_type,
                   "dated": dated, "number": number.strip() or None, "samplings": packed(list(accepts)),
                   "note": note or None, "public": bool(public), **self._signed(user)}  # fmt: skip
            number = con.execute(evidence.insert().values(row)).inserted_primary_key[0]
            self._save(con, case, {})
            self._audit(con, user, "attach", code, None, row | {"id": number})
            return number

    def show_evidence(self, user, number, public):
        """Choose whether a photo goes to the public with the next publication."""
        role(user, CLASSERS, N_("Your role does not choose public photos."))
        with self._store.transaction() as con:
            row = self._proof(con, user, evidence, number)
            con.execute(evidence.update().where(evidence.c.id == number).values(public=bool(public)))
            self._audit(
                con, user, "show", row["case"], {"public": row["public"]}, {"evidence": number, "public": bool(public)}
            )

    def add_sampling(self, user, code, *, taken_on, medium, results, choice=None, place="", laboratory="", method="",
                     report_no=""):  # fmt: skip
        """Enter the results of one sampling; each is judged by the limit of its day. The id.

        results: dicts of parameter, value, unit, sign. An exceedance during the watch is a relapse at once.
        The results, not the place or the laboratory, join the public timeline with the next publication.
        """
        role(user, WRITERS, N_("Your role does not enter results."))
        if taken_on > self.today():
            raise CaseError(N_("The day of the sampling lies in the future."))
        verdicts = samples.judged(medium, taken_on, results, choice or {})
        with self._store.transaction() as con:
            case = self._held(con, user, code)
            values = {"taken_on": taken_on, "place": place or None, "laboratory": laboratory or None, "method": method or None,
                      "report_no": report_no or None, "medium": medium, "choice": packed(choice or {})}  # fmt: skip
            number = samples.insert(con, code, values, verdicts, self._signed(user))
            case = self._save(con, case, {})
            said = {"sampling": number, "results": [{"parameter": v.parameter, "value": v.value, "unit": v.unit, "state": v.state}
                                                    for v in verdicts]}  # fmt: skip
            text = tuple(samples.words(verdicts, language) for language in ("vi", "en"))
            self._event(con, user, case, "sampling", day=taken_on, fields=said, text=text)
            self._audit(con, user, "sampling", code, None, values | said)
            self._watch_in(con, case)
            return number

    def void(self, user, kind, number, reason):
        """Mark a wrong sampling or piece of evidence as not counting, with a reason; it stays on file.

        Not after closing: what a closing rested on is not taken from under it.
        """
        role(user, CLASSERS, N_("Your role does not void entries."))
        table = {"sampling": samplings, "evidence": evidence}[kind]
        if not reason.strip():
            raise CaseError(N_("Say why this entry does not count."))
        with self._store.transaction() as con:
            row = self._proof(con, user, table, number)
            case = self._held(con, user, row["case"])
            if case.stage in ("watched", "done"):
                raise CaseError(N_("The case is closed; reopen it before an entry is voided."))
            if row["voided"]:
                raise Conflict(N_("This entry was voided already."), case)
            con.execute(table.update().where(table.c.id == number).values(voided=reason.strip(), voided_by=user.id))
            case = self._save(con, case, {})
            told = self._untold(con, case, row) if kind == "sampling" else None
            self._event(con, user, case, "correction" if told else "void", reason=reason.strip(), fields={kind: number},
                        public=bool(told), text=told or (None, None))  # fmt: skip
            self._audit(
                con, user, "void", case.code, {kind: number, "voided": None}, {kind: number, "voided": reason.strip()}
            )

    def _untold(self, con, case, sampling):
        """A voided sampling that is not public yet does not become so; of one that is, the words that correct it."""
        rows = con.execute(
            sa.select(events).where(events.c.case == case.code, events.c.action == "sampling")
        ).mappings()
        for e in rows:
            if json.loads(e["fields"]).get("sampling") != sampling["id"]:
                continue
            if e["published"] is not None:
                day = sampling["taken_on"]
                return (f"Kết quả của mẫu lấy ngày {day:%d/%m/%Y} có sai sót và không còn được tính.",
                        f"The result of the sampling of {day.isoformat()} was in error and counts no more.")  # fmt: skip
            con.execute(events.update().where(events.c.id == e["id"]).values(public=False))
        return None

    def add_inspection(self, user, code, *, on, findings, facility=None, minutes_no=""):
        """Enter a visit with what was found; the id."""
        role(user, WRITERS, N_("Your role does not enter inspections."))
        if not findings.strip():
            raise CaseError(N_("Write what was found."))
        row = {"day": on, "facility": facility or None, "minutes_no": minutes_no or None, "findings": findings.strip()}
        return self._entry(user, code, casebook.inspections, "inspection", on, row)

    def add_decision(self, user, code, *, number, on, kind, issuer="", amount_vnd=None, text=""):
        """Enter a decision, such as a fine or an order; the id."""
        role(user, CLASSERS, N_("Your role does not enter decisions."))
        if kind not in DECISIONS:
            raise CaseError(N_("Choose what kind of decision this is."))
        if not number.strip():
            raise CaseError(N_("Write the number of the decision."))
        if amount_vnd is not None and not 0 <= amount_vnd < 10**15:
            raise CaseError(N_("The amount is in đồng, zero or more."))
        row = {"number": number.strip(), "day": on, "kind": kind, "issuer": issuer or None, "amount_vnd": amount_vnd,
               "text": text or None}  # fmt: skip
        return self._entry(user, code, casebook.decisions, "decision", on, row)

    def _entry(self, user, code, table, action, day, row):
        if day > self.today():
            raise CaseError(N_("The day lies in the future."))
        with self._store.transaction() as con:
            case = self._save(con, self._held(con, user, code), {})
            number = con.execute(table.insert().values(case=code, **row, **self._signed(user))).inserted_primary_key[0]
            self._event(con, user, case, action, day=day, fields=row | {"id": number}, public=False)
            self._audit(con, user, action, code, None, row | {"id": number})
            return number

    def note(self, user, code, text, *, text_vi="", text_en=""):
        """Add a remark for staff; text_vi or text_en, where given, go to the public timeline by the gate."""
        role(user, WRITERS, N_("Your role does not write remarks."))
        if not (text.strip() or text_vi.strip() or text_en.strip()):
            raise CaseError(N_("The remark is empty."))
        with self._store.transaction() as con:
            case = self._held(con, user, code)
            told = (text_vi.strip() or None, text_en.strip() or None)
            self._event(con, user, case, "note", reason=text.strip() or None, text=told, public=any(told))
            self._audit(con, user, "note", code, None, {"text": text.strip(), "text_vi": told[0], "text_en": told[1]})

    def link(self, user, code, kind, ref):
        """Tie a report, a facility or another case to a case."""
        with self._store.transaction() as con:
            self.link_in(con, user, code, kind, ref)

    def link_in(self, con, user, code, kind, ref):
        """As link, inside a transaction that does other things too.

        A case that is linked must be within this person's scope, a facility must be known. Whether there is such a
        report is for server.reports to say, which calls this.
        """
        role(user, WRITERS, N_("Your role does not link records."))
        self._held(con, user, code)
        if kind not in ("report", "facility", "case") or (kind == "case" and ref == code):
            raise CaseError(N_("This cannot be linked to a case."))
        if kind == "case":
            self._held(con, user, ref)
        elif kind == "facility" and not any(ref in set(self._store.snapshot(n)["code"]) for n in FACILITIES):
            raise CaseError(N_("There is no facility %(code)s."), code=ref)
        if self._link(con, user, code, kind, ref):
            self._audit(con, user, "link", code, None, {kind: ref})
