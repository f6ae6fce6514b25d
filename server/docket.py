"""Cases as the register keeps them: read for people, held and saved inside a transaction.

Every change is saved with the next revision, so that of two people who change one case at once the
second gets a Conflict with the case as it is now, and leaves an event and an audit row.
"""

import dataclasses
import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import geopandas as gpd
import sqlalchemy as sa

from geo import places
from layers import audit
from server import casebook, remediation, samples, thread
from server.casebook import (
    COLUMNS,
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
    stored,
)
from server.i18n import N_
from server.workdays import CALENDAR

WARD_KINDS = ("ward", "commune", "special_zone")
WRITERS = ("commune_officer", "inspector", "approver", "administrator")
CLASSERS = ("inspector", "approver", "administrator")
CHANGED = N_("Somebody changed %(code)s while you worked on it. Look at it again; nothing of yours was written.")
_SITUATION = {f.name for f in dataclasses.fields(remediation.Situation)} & set(COLUMNS)


@dataclass(frozen=True)
class Clocks:
    """The clocks of a case, the most pressing first, and whether it must go up to the head of the office."""

    all: tuple
    escalate: bool


class Docket:
    """Reading, and what every operation of the register is made of.

    now: aware clock in city time. gate: server.publication.Publication. rules, calendar: of the stages.
    reports_near: callable (geometry, metres, since: date) -> number of citizen reports, for the watch.
    reports_of: callable (codes) -> entries of citizen reports for the thread.
    """

    def __init__(self, store, gate, *, now, rules=None, calendar=CALENDAR):
        self._store, self.gate, self._now = store, gate, now
        self.rules, self.calendar = rules or remediation.Rules(), calendar
        self.reports_near = lambda geometry, metres, since: 0
        self.reports_of = lambda codes: ()
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
            in_scope(user, case)
        return case

    def knows(self, code):
        """Whether there is a case of this code."""
        with self._store.reading() as con:
            return con.scalar(sa.select(cases.c.id).where(cases.c.code == code)) is not None

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

    def count_results(self, codes):
        """How many results the samplings of these cases have."""
        query = sa.select(sa.func.count()).select_from(casebook.results.join(
            casebook.samplings, casebook.results.c.sampling == casebook.samplings.c.id
        )).where(casebook.samplings.c.case.in_(list(codes)))  # fmt: skip
        with self._store.reading() as con:
            return con.scalar(query)

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

    def thread(self, code):
        """Everything around a case as one timeline, newest first (thread.entries)."""
        case = self.get(code)
        with self._store.reading() as con:
            return thread.entries(con, case, reports_of=self.reports_of)

    def related(self, code):
        """What a case is tied to (thread.related)."""
        case = self.get(code)
        with self._store.reading() as con:
            return thread.related(con, case)

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

    def ward_of(self, geometry):
        """The code of the ward in whose outline a geometry lies, or None."""
        return self._wards_of(gpd.GeoSeries([geometry], crs=4326))[0]

    def _wards_of(self, shapes):
        admin = self._store.snapshot("admin_units")
        wards = admin[admin["kind"].isin(WARD_KINDS)].set_index("code").geometry
        return places.containing(gpd.GeoSeries(shapes.to_numpy(), crs=4326), wards).tolist()

    # --- for the operations, inside a transaction ---

    def _held(self, con, user, code, revision=None):
        row = con.execute(sa.select(cases).where(cases.c.code == code)).mappings().one_or_none()
        if row is None:
            raise CaseError(N_("There is no case %(code)s."), code=code)
        case = case_of(row)
        in_scope(user, case)
        if revision is not None and case.revision != revision:
            raise Conflict(CHANGED,
                           case, code=code)  # fmt: skip
        return case

    def _save(self, con, case, changes):
        """The case with the changes and the next revision, written; Conflict where somebody was quicker."""
        done = con.execute(
            cases.update().where(cases.c.id == case.id, cases.c.revision == case.revision)
            .values(revision=case.revision + 1, **stored(changes))
        )  # fmt: skip
        if done.rowcount != 1:
            raise Conflict(CHANGED,
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
            taken = tuple(
                remediation.Sampling(
                    r["id"], r["taken_on"], r["judgement"] and r["judgement"].compliant, r["by"],
                    r["judgement"].basis if r["judgement"] else "", r["acceptable"], r["voided_by"],
                )
                for r in samples.of_case(con, case.code)
            )  # fmt: skip
            query = sa.select(evidence).where(evidence.c.case == case.code, evidence.c.voided.is_(None))
            held = tuple(
                remediation.Evidence(e["kind"], e["dated"], e["by"], datetime.fromisoformat(e["at"]).astimezone(self._now().tzinfo).date(), e["number"] or "",
                                     tuple(json.loads(e["samplings"])))
                for e in con.execute(query.order_by(evidence.c.id)).mappings()
            )  # fmt: skip
            if case.watch_from:
                exceeded = sum(
                    s.compliant is False and s.voided_by is None and s.taken_on >= case.watch_from for s in taken
                )
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


_ORDER = {"very_late": 0, "late": 1, "soon": 2, "ok": 3, "none": 4}


def _ordered(found):
    running = tuple(sorted(found, key=lambda c: _ORDER[c.state]))
    return Clocks(running, any(c.state == "very_late" for c in running))


def _day(text):
    return None if text is None else date.fromisoformat(text)


def _old(values):
    """Values of a step before it, typed again after their rest in JSON."""
    days = {n for n in COLUMNS if isinstance(casebook.cases.c[n].type, sa.Date)}
    return {k: _day(v) if k in days else v for k, v in values.items()}


def role(user, roles, words):
    if user.role not in (*roles, "system"):
        raise NotYours(words)


def in_scope(user, case):
    if user.role != "system" and not user.covers(case.ward, case.media):
        raise NotYours(N_("%(code)s lies outside the wards or media you work with."), code=case.code)
