"""The register of hotspots: every change to a case, each one transaction with its event and audit row.

What may be done is said by the table in server/remediation.py; here it is asked, written down and put
in front of the publication gate. Two people who change one case at once: the second gets a Conflict
with the case as it is now, and nothing of the first is lost.
"""

import dataclasses
import json
from dataclasses import dataclass, replace
from datetime import UTC, date

import geopandas as gpd
import pandas as pd
import shapely
import sqlalchemy as sa

from geo import places
from layers import audit
from layers.catalogue import LAYERS, check
from layers.errors import LayerError
from server import casebook, publication, remediation, samples
from server.accounts import User
from server.casebook import (
    COLUMNS,
    FACTS,
    NOT_ENOUGH,
    Case,
    CaseError,
    Conflict,
    NotYours,
    case_of,
    cases,
    events,
    evidence,
    links,
    packed,
    plain,
    samplings,
    stored,
)
from server.i18n import N_
from server.workdays import CALENDAR

SYSTEM = User(0, "system", "Cảng Xanh", "system")
WRITERS = ("commune_officer", "inspector", "approver", "administrator")
CLASSERS = ("inspector", "approver", "administrator")
PUBLIC_FROM = ("confirmed", "contained", "plan_approved", "in_remediation", "verifying", "watched", "done")
EDITABLE = (*FACTS, "geometry", "facility", "officer", "severity_class", "class_reason")
WARD_KINDS = ("ward", "commune", "special_zone")
DECISIONS = {
    "plan": N_("plan"),
    "order": N_("order"),
    "fine": N_("fine"),
    "limit": N_("limits to use"),
    "other": N_("other"),
}
_SITUATION = {f.name for f in dataclasses.fields(remediation.Situation)} & set(COLUMNS)


@dataclass(frozen=True)
class Clocks:
    """The clocks of a case, the most pressing first, and whether it must go up to the head of the office."""

    all: tuple
    escalate: bool


class Cases:
    """The register of one city.

    now: aware clock in city time. gate: server.publication.Publication. rules, calendar: of the stages.
    reports_near: callable (geometry, metres, since: date) -> number of citizen reports, for the watch.
    """

    def __init__(self, store, gate, *, now, rules=None, calendar=CALENDAR):
        self._store, self.gate, self._now = store, gate, now
        self.rules, self.calendar = rules or remediation.Rules(), calendar
        self.reports_near = lambda geometry, metres, since: 0
        with store.transaction() as con:
            casebook.metadata.create_all(con)

    def today(self):
        return self._now().date()

    # --- reading ---

    def all(self, user=None):
        """All cases in the order of their codes; with user, those in this person's scope."""
        with self._store.reading() as con:
            found = [case_of(r) for r in con.execute(sa.select(cases).order_by(cases.c.code)).mappings()]
        return [c for c in found if user is None or user.covers(c.ward, c.media)]

    def get(self, code, user=None):
        """One case; KeyError where there is none, NotYours outside this person's scope."""
        with self._store.reading() as con:
            row = con.execute(sa.select(cases).where(cases.c.code == code)).mappings().one_or_none()
        if row is None:
            raise KeyError(code)
        case = case_of(row)
        if user is not None:
            _in_scope(user, case)
        return case

    def situation(self, case):
        """What the rules of remediation look at."""
        with self._store.reading() as con:
            return self._situation(con, case)

    def offers(self, case, user, fields=None):
        """The steps from here with what is missing for this person (remediation.offers)."""
        actor = remediation.Actor(user.id, user.role)
        return remediation.offers(self.situation(case), actor, fields, rules=self.rules, calendar=self.calendar)

    def clocks(self, case):
        """The clocks that run for a case, as Clocks."""
        with self._store.reading() as con:
            found = remediation.clocks(self._situation(con, case), self.rules, self._now(), self.calendar)
        return _ordered(found)

    def all_clocks(self, held):
        """{code: Clocks} of many cases in one read; situations carry no proofs, which clocks do not need."""
        now = self._now()
        with self._store.reading() as con:
            return {c.code: _ordered(remediation.clocks(self._situation(con, c, proofs=False), self.rules, now, self.calendar))
                    for c in held}  # fmt: skip

    def samplings(self, code):
        """Samplings of a case with verdicts and judgement, oldest first (samples.of_case)."""
        with self._store.reading() as con:
            return samples.of_case(con, code)

    def attachments(self, code):
        """Evidence of a case, oldest first, as dicts; `voided` says why one does not count."""
        return self._rows(evidence, code)

    def inspections(self, code):
        return self._rows(casebook.inspections, code)

    def decisions(self, code):
        return self._rows(casebook.decisions, code)

    def events(self, code):
        rows = self._rows(events, code)
        return [r | {k: json.loads(r[k]) for k in ("fields", "old", "overridden")} for r in rows]

    def links(self, code):
        return self._rows(links, code)

    def linked(self, kind, ref):
        """Codes of the cases that are linked to a report, a facility or another case."""
        with self._store.reading() as con:
            query = sa.select(links.c.case).where(links.c.kind == kind, links.c.ref == ref).order_by(links.c.case)
            found = set(con.scalars(query))
            if kind == "facility":
                found |= set(con.scalars(sa.select(cases.c.code).where(cases.c.facility == ref)))
        return sorted(found)

    def _rows(self, table, code):
        with self._store.reading() as con:
            query = sa.select(table).where(table.c.case == code).order_by(table.c.id)
            return [dict(r) for r in con.execute(query).mappings()]

    # --- opening and editing ---

    def open(self, user, facts, geometry, *, reports=(), facility=None, ward=None, note=""):
        """A new case in stage `received`. facts: of FACTS, name_vi, media and source at least."""
        _role(user, WRITERS, N_("Your role does not open cases."))
        with self._store.transaction() as con:
            return self._open(con, user, facts, geometry, reports=reports, facility=facility, ward=ward, note=note)

    def open_in(self, con, user, facts, geometry, *, reports=(), facility=None, ward=None, note=""):
        """As open, inside a transaction that does other things too, such as a decision on a report."""
        _role(user, WRITERS, N_("Your role does not open cases."))
        return self._open(con, user, facts, geometry, reports=reports, facility=facility, ward=ward, note=note)

    def _open(self, con, user, facts, geometry, *, reports=(), facility=None, ward=None, note="", code=None):
        today = self.today()
        facts = _facts(facts)
        code = code or self._next_code(con)
        case = Case(**dict.fromkeys(COLUMNS) | {
            "code": code, "revision": 1, "facts": facts, "geometry": geometry, "facility": facility or None,
            "ward": self.ward_of(geometry) or ward, "stage": "received", "in_stage_since": today, "opened_on": today,
            "opened_at": self._now(), "relapses": 0})  # fmt: skip
        self._check(case)
        _in_scope(user, case)
        values = stored({n: getattr(case, n) for n in COLUMNS if n != "id"})
        number = con.execute(cases.insert().values(values)).inserted_primary_key[0]
        self._event(con, user, case, "registered", stage=case.stage, reason=note or None)
        for report in reports:
            self._link(con, user, code, "report", report)
        self._audit(con, user, "open", code, None, values)
        return replace(case, id=number)

    def edit(self, user, code, revision, changes, *, reason=""):
        """Change facts, place, officer, suspected source or class; a class needs its reason.

        Stages, deadlines and decisions change by steps only.
        """
        _role(user, WRITERS, N_("Your role does not edit cases."))
        strange = sorted(set(changes) - set(EDITABLE))
        if strange:
            raise CaseError(N_("%(fields)s cannot be edited here; it follows from a step."), fields=", ".join(strange))
        with self._store.transaction() as con:
            case = self._held(con, user, code, revision)
            own = {k: v for k, v in changes.items() if k not in FACTS}
            if "geometry" in own:
                own["ward"] = self.ward_of(own["geometry"]) or case.ward
            if {"severity_class", "class_reason"} & set(own):
                _role(user, CLASSERS, N_("The class is set by an inspector or an approver."))
                if case.stage not in PUBLIC_FROM:
                    raise CaseError(N_("The class is set when the hotspot is confirmed."))
                if own.get("severity_class", case.severity_class) not in ("1", "2", "3", NOT_ENOUGH):
                    raise CaseError(N_("The class is 1, 2, 3 or not enough data."))
                if not (own.get("class_reason", case.class_reason) or "").strip():
                    raise CaseError(N_("Write the reasons for the class."))
            facts = {k: v for k, v in changes.items() if k in FACTS}
            if facts:
                own["facts"] = case.facts | _facts(facts)
            new = replace(case, **own)
            self._check(new)
            _in_scope(user, new)
            old = {k: getattr(case, k) for k in own if k != "facts"} | {k: case.facts.get(k) for k in facts}
            now = {k: own[k] for k in own if k != "facts"} | {k: new.facts.get(k) for k in facts}
            old, now = ({k: v for k, v in d.items() if old[k] != now[k]} for d in (old, now))
            if not now:
                return case
            saved = self._save(con, case, own)
            self._event(con, user, saved, "edit", reason=reason or None, fields=now, old=old, public=False)
            self._audit(con, user, "edit", code, old, now)
            return saved

    # --- steps ---

    def step(self, user, code, revision, action, fields=None, *, override="", text_vi="", text_en="", embargo=None):
        """Take one step of the table; GateError says all that is missing.

        text_vi, text_en: what the public timeline says beside the name of the step. A step of a public
        or confirmed hotspot is put in front of the gate at once.
        """
        with self._store.transaction() as con:
            case = self._held(con, user, code, revision)
            return self._step(con, user, case, action, fields or {}, override=override, text=(text_vi, text_en),
                              embargo=embargo)  # fmt: skip

    def undo(self, user, code, revision, reason):
        """Take the last step back by a counter-step."""
        return self.step(user, code, revision, "undo", {"reason": reason})

    def _step(self, con, user, case, action, fields, *, override="", text=("", ""), embargo=None):
        situation = self._situation(con, case)
        actor = remediation.Actor(user.id, user.role)
        step = remediation.decide(situation, actor, action, fields, override, rules=self.rules, calendar=self.calendar)
        changes = {k: v for k, v in step.changes.items() if k in COLUMNS}
        target = self._target(con, user, case, changes) if changes.get("merged_into") else None
        last = self._last_step(con, case) if action == "undo" else None
        saved = self._save(con, case, changes)
        public = publication.LAYER and (self.gate.published(con, case.code) is not None or saved.stage in PUBLIC_FROM)
        vi, en = (t.strip() for t in text)
        if step.overridden:
            vi = f"{vi} Bỏ qua điều kiện, lý do: {step.override}".strip()
            en = f"{en} A condition was overridden, reason given: {step.override}".strip()
        elif action == "relapse":
            vi, en = vi or step.fields["reason"], en or step.fields["reason"]
        number = self._event(
            con, user, case, action, stage_from=case.stage, stage=saved.stage, fields=step.fields, old=step.old,
            reason=step.override or step.fields.get("reason") or step.fields.get("cause"), overridden=step.overridden,
            public=not (last is not None and last["published"] is None), text=(vi or None, en or None),
        )  # fmt: skip
        if last is not None:
            shown = {"public": False} if last["published"] is None else {}
            con.execute(events.update().where(events.c.id == last["id"]).values(undone_by=number, **shown))
        if target is not None:
            self._link(con, user, target.code, "case", case.code)
            self._link(con, user, case.code, "case", target.code)
        self._audit(
            con,
            user,
            action,
            case.code,
            step.old,
            changes | {"overridden": list(step.overridden), "override": step.override},
        )
        if public:
            self.gate.propose_if_new(con, user, saved, embargo=embargo)
        return saved

    def _target(self, con, user, case, changes):
        row = con.execute(sa.select(cases).where(cases.c.code == changes["merged_into"])).mappings().one_or_none()
        if row is None:
            raise CaseError(N_("There is no case %(code)s."), code=changes["merged_into"])
        target = case_of(row)
        if target.merged_into:
            raise CaseError(N_("%(code)s was itself merged into %(other)s; merge into that one."), code=target.code,
                            other=target.merged_into)  # fmt: skip
        return target

    def merge(self, user, code, revision, into, reason):
        """Make a case part of another one; both keep all they have, and the thread of the other shows it."""
        return self.step(user, code, revision, "merge", {"merged_into": into, "reason": reason})

    def split(self, user, code, revision, facts, geometry, reason):
        """A part of a case becomes a case of its own, in stage `checking`; returns the new one."""
        with self._store.transaction() as con:
            case = self._held(con, user, code, revision)
            self._step(con, user, case, "split", {"reason": reason})
            new = self._open(con, user, case.facts | facts, geometry, facility=case.facility, ward=case.ward,
                             note=reason)  # fmt: skip
            new = self._save(
                con, new, {"stage": "checking", "stage_before": "received", "officer": case.officer or user.id or None}
            )
            self._event(con, user, new, "split", stage_from="received", stage="checking", reason=reason, public=False)
            self._link(con, user, new.code, "case", code)
            self._link(con, user, code, "case", new.code)
            self._audit(con, user, "split", new.code, None, {"from": code, "stage": "checking"})
            return new

    def watch(self):
        """Turn closed cases with a new exceedance or enough citizen reports back to confirmed; the codes."""
        with self._store.reading() as con:
            held = [case_of(r) for r in con.execute(sa.select(cases).where(cases.c.stage == "watched")).mappings()]
            due = [c for c in held if self._relapse_reason(self._situation(con, c))]
        out = []
        for case in due:
            with self._store.transaction() as con:
                now = case_of(con.execute(sa.select(cases).where(cases.c.code == case.code)).mappings().one())
                if self._watch_in(con, now) is not None:
                    out.append(case.code)
        return out

    def _watch_in(self, con, case):
        if case.stage != "watched":
            return None
        reason = self._relapse_reason(self._situation(con, case))
        if reason is None:
            return None
        return self._step(con, SYSTEM, case, "relapse", {"reason": reason[1]}, text=reason)

    def _relapse_reason(self, situation):
        s, rules = situation, self.rules
        if s.stage != "watched":
            return None
        if s.exceedances_since_watch:
            return ("Kết quả quan trắc trong thời gian theo dõi vượt giới hạn.",
                    "A monitoring result during the watch exceeds the limit.")  # fmt: skip
        if s.reports_since_watch >= rules.relapse_reports:
            n, m = s.reports_since_watch, rules.relapse_radius_m
            return (f"{n} phản ánh của người dân trong phạm vi {m} m trong thời gian theo dõi.",
                    f"{n} citizen reports within {m} m during the watch.")  # fmt: skip
        return None

    # --- proofs ---

    def attach(self, user, code, kind, sha, *, name, media_type, dated=None, original=None, number="", accepts=(),
               note="", public=False):  # fmt: skip
        """Put a stored file to a case as evidence; the id. accepts: ids of samplings a limit decision accepts."""
        _role(user, WRITERS, N_("Your role does not add evidence."))
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
        _role(user, CLASSERS, N_("Your role does not choose public photos."))
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
        """
        _role(user, WRITERS, N_("Your role does not enter results."))
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
            self._event(con, user, case, "sampling", day=taken_on, fields=said, public=False)
            self._audit(con, user, "sampling", code, None, values | said)
            self._watch_in(con, case)
            return number

    def void(self, user, kind, number, reason):
        """Mark a wrong sampling or piece of evidence as not counting, with a reason; it stays on file.

        Not after closing: what a closing rested on is not taken from under it.
        """
        _role(user, CLASSERS, N_("Your role does not void entries."))
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
            con.execute(table.update().where(table.c.id == number).values(voided=reason.strip()))
            case = self._save(con, case, {})
            self._event(con, user, case, "void", reason=reason.strip(), fields={kind: number}, public=False)
            self._audit(
                con, user, "void", case.code, {kind: number, "voided": None}, {kind: number, "voided": reason.strip()}
            )

    def add_inspection(self, user, code, *, on, findings, facility=None, minutes_no=""):
        """Enter a visit with what was found; the id."""
        _role(user, WRITERS, N_("Your role does not enter inspections."))
        if not findings.strip():
            raise CaseError(N_("Write what was found."))
        row = {"day": on, "facility": facility or None, "minutes_no": minutes_no or None, "findings": findings.strip()}
        return self._entry(user, code, casebook.inspections, "inspection", on, row)

    def add_decision(self, user, code, *, number, on, kind, issuer="", amount_vnd=None, text=""):
        """Enter a decision, such as a fine or an order; the id."""
        _role(user, CLASSERS, N_("Your role does not enter decisions."))
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
        _role(user, WRITERS, N_("Your role does not write remarks."))
        if not (text.strip() or text_vi.strip() or text_en.strip()):
            raise CaseError(N_("The remark is empty."))
        with self._store.transaction() as con:
            case = self._held(con, user, code)
            told = (text_vi.strip() or None, text_en.strip() or None)
            self._event(con, user, case, "note", reason=text.strip() or None, text=told, public=any(told))
            self._audit(con, user, "note", code, None, {"text": text.strip(), "text_vi": told[0], "text_en": told[1]})

    def link(self, user, code, kind, ref):
        """Tie a report, a facility or another case to a case."""
        _role(user, WRITERS, N_("Your role does not link records."))
        with self._store.transaction() as con:
            self._held(con, user, code)
            self.link_in(con, user, code, kind, ref)

    def link_in(self, con, user, code, kind, ref):
        """As link, inside a transaction that does other things too."""
        if self._link(con, user, code, kind, ref):
            self._audit(con, user, "link", code, None, {kind: ref})

    # --- taking over what is there ---

    def adopt(self):
        """Make a case of every public hotspot that has none yet, with what its sources say; the codes."""
        rows = self._store.snapshot(publication.LAYER)
        with self._store.reading() as con:
            known = set(con.scalars(sa.select(cases.c.code)))
        if set(rows["code"]) <= known:
            return []
        with self._store.transaction() as con:
            known = set(con.scalars(sa.select(cases.c.code)))
            fresh = self._store.current(con, publication.LAYER)
            fresh = fresh[~fresh["code"].isin(known)]
            wards = self._wards_of(fresh.geometry)
            for (_i, row), ward in zip(fresh.iterrows(), wards, strict=True):
                public = publication.row_fields(row)
                case = Case(**dict.fromkeys(COLUMNS) | {
                    "code": row["code"], "revision": 1, "facts": {n: public[n] for n in FACTS}, "geometry": row["geometry"],
                    "ward": ward, "stage": public["stage"], "severity_class": public["severity_class"] or NOT_ENOUGH,
                    "class_reason": public["class_reason_vi"], "facility": public["facility"],
                    "decision_no": public["decision_no"], "relapses": public["relapses"] or 0,
                    **{n: _day(public[f]) for n, f in _ADOPTED.items()}})  # fmt: skip
                values = stored({n: getattr(case, n) for n in COLUMNS if n != "id"})
                con.execute(cases.insert().values(values))
                self._event(con, SYSTEM, case, "registered", stage=case.stage, public=False)
                self._audit(con, SYSTEM, "adopt", case.code, None, {"stage": case.stage, "source": public["source"]})
            return list(fresh["code"])

    def take_rows(self, user, rows, *, source):
        """Bring imported rows of the layer into the register; {"new": codes, "changed": codes}.

        rows: a checked frame of the layer `hotspots`. New ones are cases in stage `received`; of known
        ones the facts and the place change. A stage in a file never moves a case. Nothing is public
        before the gate.
        """
        _role(user, CLASSERS, N_("Your role does not import hotspots."))
        new, changed = [], []
        with self._store.transaction() as con:
            known = {r["code"]: case_of(r) for r in con.execute(sa.select(cases)).mappings()}
            for _i, row in rows.iterrows():
                public = publication.row_fields(row)
                facts = {n: public[n] for n in FACTS}
                case = known.get(row["code"])
                if case is None:
                    self._open(con, user, facts, row["geometry"], code=row["code"], note=source)
                    new.append(row["code"])
                    continue
                _in_scope(user, case)
                told = {k: v for k, v in facts.items() if case.facts.get(k) != v}
                moved = casebook.wkt(row["geometry"]) != casebook.wkt(case.geometry)
                if not told and not moved:
                    continue
                own = {"facts": case.facts | told} | (
                    {"geometry": row["geometry"], "ward": self.ward_of(row["geometry"])} if moved else {}
                )
                saved = self._save(con, case, own)
                old = {k: case.facts.get(k) for k in told} | ({"geometry": case.geometry} if moved else {})
                fresh = told | ({"geometry": row["geometry"]} if moved else {})
                self._event(con, user, saved, "edit", reason=source, fields=fresh, old=old, public=False)
                self._audit(con, user, "import", case.code, old, fresh)
                if self.gate.published(con, case.code) is not None:
                    self.gate.propose_if_new(con, user, saved)
                changed.append(case.code)
        return {"new": new, "changed": changed}

    def ward_of(self, geometry):
        """The code of the ward in whose outline a geometry lies, or None."""
        return self._wards_of(gpd.GeoSeries([geometry], crs=4326))[0]

    def _wards_of(self, shapes):
        admin = self._store.snapshot("admin_units")
        wards = admin[admin["kind"].isin(WARD_KINDS)].set_index("code").geometry
        return places.containing(gpd.GeoSeries(shapes.to_numpy(), crs=4326), wards).tolist()

    # --- inside ---

    def _held(self, con, user, code, revision=None):
        row = con.execute(sa.select(cases).where(cases.c.code == code)).mappings().one_or_none()
        if row is None:
            raise CaseError(N_("There is no case %(code)s."), code=code)
        case = case_of(row)
        _in_scope(user, case)
        if revision is not None and case.revision != revision:
            raise Conflict(N_("Somebody changed %(code)s while you worked on it. Look at it again; nothing of yours was written."),
                           case, code=code)  # fmt: skip
        return case

    def _save(self, con, case, changes):
        """The case with the changes and the next revision, written; Conflict where somebody was quicker."""
        done = con.execute(
            cases.update().where(cases.c.id == case.id, cases.c.revision == case.revision)
            .values(revision=case.revision + 1, **stored(changes))
        )  # fmt: skip
        if done.rowcount != 1:
            raise Conflict(N_("Somebody changed %(code)s while you worked on it. Look at it again; nothing of yours was written."),
                           case, code=case.code)  # fmt: skip
        return replace(case, revision=case.revision + 1, **changes)

    def _event(self, con, user, case, action, *, stage_from=None, stage=None, reason=None, fields=None, old=None,
               overridden=(), public=True, text=(None, None), day=None):  # fmt: skip
        row = {"case": case.code, "day": day or self.today(), "action": action, "stage_from": stage_from, "stage": stage,
               "reason": reason, "fields": packed(fields or {}), "old": packed(old or {}), "overridden": packed(list(overridden)),
               "role": user.role, "public": public, "text_vi": text[0], "text_en": text[1], **self._signed(user)}  # fmt: skip
        return con.execute(events.insert().values(row)).inserted_primary_key[0]

    def _link(self, con, user, code, kind, ref):
        there = sa.select(links.c.id).where(links.c.case == code, links.c.kind == kind, links.c.ref == ref)
        if con.scalar(there) is not None:
            return False
        con.execute(links.insert().values(case=code, kind=kind, ref=ref, **self._signed(user)))
        return True

    def _audit(self, con, user, action, code, old, new):
        audit.append(
            con, at=self._now().astimezone(UTC), who=user.name, who_id=user.id or None, role=user.role, action=action,
            thing=f"case:{code}", old=None if old is None else plain(old), new=None if new is None else plain(new),
        )  # fmt: skip

    def _signed(self, user):
        return {
            "by": user.id,
            "by_name": user.name,
            "at": self._now().astimezone(UTC).isoformat(timespec="milliseconds"),
        }

    def _proof(self, con, user, table, number):
        row = con.execute(sa.select(table).where(table.c.id == number)).mappings().one_or_none()
        if row is None:
            raise CaseError(N_("There is no entry %(number)s."), number=number)
        self._held(con, user, row["case"])
        return row

    def _last_step(self, con, case):
        steps = [t.action for t in remediation.TRANSITIONS if t.action != "undo"]
        query = sa.select(events).where(
            events.c.case == case.code, events.c.action.in_(steps), events.c.undone_by.is_(None),
            events.c.stage.is_not(None),
        )  # fmt: skip
        return con.execute(query.order_by(events.c.id.desc()).limit(1)).mappings().one_or_none()

    def _situation(self, con, case, *, proofs=True):
        taken, held, exceeded, reports = (), (), 0, 0
        if proofs:
            rows = [r for r in samples.of_case(con, case.code) if r["voided"] is None]
            taken = tuple(
                remediation.Sampling(r["id"], r["taken_on"], r["judgement"].compliant, r["by"], r["judgement"].basis)
                for r in rows
            )
            query = sa.select(evidence).where(evidence.c.case == case.code, evidence.c.voided.is_(None))
            held = tuple(
                remediation.Evidence(e["kind"], e["dated"], e["by"], date.fromisoformat(e["at"][:10]), e["number"] or "",
                                     tuple(json.loads(e["samplings"])))
                for e in con.execute(query.order_by(evidence.c.id)).mappings()
            )  # fmt: skip
            if case.watch_from:
                exceeded = sum(s.compliant is False and s.taken_on >= case.watch_from for s in taken)
                if case.geometry is not None:
                    reports = self.reports_near(case.geometry, self.rules.relapse_radius_m, case.watch_from)
        last = self._last_step(con, case)
        step = last and remediation.LastStep(
            last["action"], last["by"], last["day"], last["published"] is not None, _old(json.loads(last["old"]))
        )
        values = {n: getattr(case, n) for n in _SITUATION}
        return remediation.Situation(
            **values, today=self.today(), samplings=taken, evidence=held, last_step=step or None,
            exceedances_since_watch=exceeded, reports_since_watch=reports,
        )  # fmt: skip

    def _check(self, case):
        """The case as a row of the layer, through the catalogue; CaseError says what is wrong with it."""
        fields = publication.public_fields(case, {})
        row = {n: v for n, v in fields.items() if n != "geometry"} | {"code": case.code}
        try:
            check(
                LAYERS["hotspots"],
                gpd.GeoDataFrame(pd.DataFrame([row], dtype=object), geometry=[case.geometry], crs=4326),
                repair=False,
            )
        except LayerError as e:
            raise CaseError(" ".join(e.problems).replace("%", "%%")) from e
        if case.geometry is not None and not case.geometry.is_valid:
            raise CaseError(
                N_("The outline crosses itself (%(why)s). Draw it anew."), why=shapely.is_valid_reason(case.geometry)
            )

    def _next_code(self, con):
        numbers = [
            int(c[3:]) for c in con.scalars(sa.select(cases.c.code)) if c.startswith("HS-") and c[3:].isdecimal()
        ]
        return f"HS-{max(numbers, default=100) + 1:04}"


_ADOPTED = {"opened_on": "opened_on", "in_stage_since": "stage_since", "watch_until": "watch_until"}
_ORDER = {"very_late": 0, "late": 1, "soon": 2, "ok": 3, "none": 4}


def _ordered(found):
    running = tuple(sorted(found, key=lambda c: _ORDER[c.state]))
    return Clocks(running, any(c.state == "very_late" for c in running))


def _facts(given):
    strange = sorted(set(given) - set(FACTS))
    if strange:
        raise CaseError(N_("%(fields)s: there is no such field of a hotspot."), fields=", ".join(strange))
    return {k: (v.strip() or None) if isinstance(v, str) else v for k, v in given.items()}


def _day(text):
    return None if text is None else date.fromisoformat(text)


def _old(values):
    """Values of a step before it, typed again after their rest in JSON."""
    days = {n for n in COLUMNS if isinstance(casebook.cases.c[n].type, sa.Date)}
    return {k: _day(v) if k in days else v for k, v in values.items()}


def _role(user, roles, words):
    if user.role not in (*roles, "system"):
        raise NotYours(words)


def _in_scope(user, case):
    if user.role != "system" and not user.covers(case.ward, case.media):
        raise NotYours(N_("%(code)s lies outside the wards or media you work with."), code=case.code)
