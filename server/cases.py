"""The register of hotspots: cases are opened, edited, taken from stage to stage, merged, split and watched.

What may be done is said by the table in server/remediation.py; here it is asked, written down and put
in front of the publication gate, each time in one transaction with the event and the audit row.
"""

from dataclasses import asdict, replace
from datetime import date

import geopandas as gpd
import pandas as pd
import shapely
import sqlalchemy as sa

from layers import boundaries
from layers.catalogue import LAYERS
from layers.checks import check
from layers.errors import LayerError
from server import publication, remediation
from server.accounts import User
from server.casebook import COLUMNS, FACTS, NOT_ENOUGH, Case, CaseError, case_of, cases, events, stored
from server.docket import CLASSERS, WRITERS, in_scope, role
from server.dossier import Dossier
from server.i18n import N_, translations

SYSTEM = User(0, "system", "Cảng Xanh", "system")
PUBLIC_FROM = ("confirmed", "contained", "plan_approved", "in_remediation", "verifying", "watched", "done")
EDITABLE = (*FACTS, "geometry", "facility", "officer", "severity_class", "class_reason")


class Cases(Dossier):
    """The register of one city; see Docket for what it is made with."""

    # --- opening and editing ---

    def open(self, user, facts, geometry, *, reports=(), facility=None, ward=None, note=""):
        """A new case in stage `received`. facts: of FACTS, name_vi, media and source at least."""
        role(user, WRITERS, N_("Your role does not open cases."))
        with self._store.transaction() as con:
            return self._open(con, user, facts, geometry, reports=reports, facility=facility, ward=ward, note=note)

    def open_in(self, con, user, facts, geometry, *, reports=(), facility=None, ward=None, note=""):
        """As open, inside a transaction that does other things too, such as a decision on a report."""
        role(user, WRITERS, N_("Your role does not open cases."))
        return self._open(con, user, facts, geometry, reports=reports, facility=facility, ward=ward, note=note)

    def _open(self, con, user, facts, geometry, *, reports=(), facility=None, ward=None, note="", code=None):
        today = self.today()
        facts = _facts(facts)
        if not facts.get("filed_under") and not facts.get("district_old"):
            facts["filed_under"] = boundaries.version_at(self._store, today)
        code = code or self._next_code(con)
        case = Case(**dict.fromkeys(COLUMNS) | {
            "code": code, "revision": 1, "facts": facts, "geometry": geometry, "facility": facility or None,
            "ward": self.ward_of(geometry) or ward, "stage": "received", "in_stage_since": today, "opened_on": today,
            "opened_at": self._now(), "relapses": 0})  # fmt: skip
        self._check(case)
        in_scope(user, case)
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
        role(user, WRITERS, N_("Your role does not edit cases."))
        strange = sorted(set(changes) - set(EDITABLE))
        if strange:
            raise CaseError(N_("%(fields)s cannot be edited here; it follows from a step."), fields=", ".join(strange))
        with self._store.transaction() as con:
            case = self._held(con, user, code, revision)
            own = {k: v for k, v in changes.items() if k not in FACTS}
            if "geometry" in own:
                own["ward"] = self.ward_of(own["geometry"]) or case.ward
            if {"severity_class", "class_reason"} & set(own):
                role(user, CLASSERS, N_("The class is set by an inspector or an approver."))
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
            in_scope(user, new)
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
        public = self.gate.published(con, case.code) is not None or saved.stage in PUBLIC_FROM
        vi, en = (t.strip() for t in text)
        if step.overridden:
            vi = f"{vi} {self._override_words('vi', step)}".strip()
            en = f"{en} {self._override_words('en', step)}".strip()
        elif action == "relapse":
            vi, en = vi or step.fields["reason"], en or step.fields["reason"]
        elif not (vi or en) and action in _TOLD:
            vi, en = (_told(language, action, step.fields) for language in ("vi", "en"))
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

    def _override_words(self, language, step):
        """What the public reads of an override: what was missing, and the reason that was given."""
        translate = translations(language).gettext
        needs = [remediation.NEEDS[code] for code in step.overridden]
        lacked = "; ".join(translate(n.words) % asdict(self.rules) for n in needs)
        words = translate(N_("Taken without: %(lacked)s. Reason given: %(reason)s"))
        return words % {"lacked": lacked, "reason": step.override}

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
                    **{n: None if public[f] is None else date.fromisoformat(public[f]) for n, f in _ADOPTED.items()}})  # fmt: skip
                values = stored({n: getattr(case, n) for n in COLUMNS if n != "id"})
                con.execute(cases.insert().values(values))
                self._event(con, SYSTEM, case, "registered", stage=case.stage, public=False)
                self._audit(con, SYSTEM, "adopt", case.code, None, {"stage": case.stage, "source": public["source"]})
            return list(fresh["code"])

    # --- inside ---

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


# What the public reads of a step beside its name, where nobody wrote words of their own.
_TOLD = {
    "confirm": "%(severity_class)s.",
    "contain": N_("Measures: %(measures)s"),
    "approve_plan": N_("To be carried out by %(responsible)s until %(deadline)s."),
    "extend": N_("New deadline: %(deadline)s."),
}


def _told(language, action, fields):
    translate = translations(language).gettext
    shown = {k: f"{v:%d/%m/%Y}" if isinstance(v, date) and language == "vi" else v for k, v in fields.items()}
    if "severity_class" in shown:
        shown["severity_class"] = translate(dict(remediation.CLASSES)[shown["severity_class"]])
    return translate(_TOLD[action]) % shown


_ADOPTED = {"opened_on": "opened_on", "in_stage_since": "stage_since", "watch_until": "watch_until"}


def _facts(given):
    strange = sorted(set(given) - set(FACTS))
    if strange:
        raise CaseError(N_("%(fields)s: there is no such field of a hotspot."), fields=", ".join(strange))
    return {k: (v.strip() or None) if isinstance(v, str) else v for k, v in given.items()}
