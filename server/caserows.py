"""Rows of files in the register of hotspots: taken in as cases, and taken back as a whole.

Nothing is lost on the way back either: a case that a file opened is rejected by the step of the table, with its
reason; facts that a file changed get an event of their own that puts back what was there. What somebody has worked
on since stays as it is, and is named. All events of one going-over bear the same words as their reason, which begin
with its mark, such as "I-0007.1 ".
"""

import json

import geopandas as gpd
import pandas as pd
import shapely
import sqlalchemy as sa

from layers.catalogue import LAYERS
from layers.checks import check
from server import casebook, publication
from server.casebook import case_of, cases, events
from server.cases import Cases
from server.docket import CLASSERS, in_scope, role
from server.i18n import N_
from server.remediation import GateError

_OF_A_CASE = (casebook.evidence, casebook.samplings, casebook.inspections, casebook.decisions, casebook.links)
WORKED_ON = N_("somebody has worked on this case since")
MOVED_ON = N_("the case has moved on to another stage")
CHANGED_SINCE = N_("somebody has changed the same facts since")
REFUSED = N_("the rules of the register do not allow it now")


class CaseRows(Cases):
    """The register of one city, with the rows of files that come into it."""

    def rows(self):
        """The cases as rows of the layer `hotspots`, published or not, for comparing with a file."""
        held = self.all()
        made = [publication.public_fields(c, {}) | {"code": c.code} for c in held]
        shapes = [c.geometry for c in held]
        frame = pd.DataFrame(made, dtype=object).drop(columns="geometry", errors="ignore")
        return check(LAYERS["hotspots"], gpd.GeoDataFrame(frame, geometry=shapes, crs=4326), repair=False).rows

    def take_rows(self, user, rows, *, source):
        """Bring imported rows of the layer into the register; {"new": codes, "changed": codes}.

        rows: a checked frame of the layer `hotspots`. New ones are cases in stage `received`; of known
        ones the facts and the place change. A stage in a file never moves a case. Nothing is public
        before the gate. source: the reason of the events.
        """
        with self._store.transaction() as con:
            return self.take_rows_in(con, user, rows, source=source)

    def take_rows_in(self, con, user, rows, *, source):
        """As take_rows, inside a transaction that does other things too."""
        role(user, CLASSERS, N_("Your role does not import hotspots."))
        new, changed = [], []
        known = {r["code"]: case_of(r) for r in con.execute(sa.select(cases)).mappings()}
        for _i, row in rows.iterrows():
            public = publication.row_fields(row)
            facts = {n: public[n] for n in casebook.FACTS}
            case = known.get(row["code"])
            if case is None:
                self._open(con, user, facts, row["geometry"], code=row["code"], note=source)
                new.append(row["code"])
                continue
            in_scope(user, case)
            told = {k: v for k, v in facts.items() if case.facts.get(k) != v}
            moved = casebook.wkt(row["geometry"]) != casebook.wkt(case.geometry)
            if not told and not moved:
                continue
            self._put(con, user, case, told | ({"geometry": row["geometry"]} if moved else {}), source)
            changed.append(case.code)
        return {"new": new, "changed": changed}

    def _put(self, con, user, case, facts, reason):
        """Facts of a case, and its place under "geometry", changed with an event; what is public goes to the gate."""
        moved = "geometry" in facts
        old = {k: case.geometry if k == "geometry" else case.facts.get(k) for k in facts}
        own = {"facts": case.facts | {k: v for k, v in facts.items() if k != "geometry"}}
        own |= {"geometry": facts["geometry"], "ward": self.ward_of(facts["geometry"])} if moved else {}
        saved = self._save(con, case, own)
        self._event(con, user, saved, "edit", reason=reason, fields=facts, old=old, public=False)
        self._audit(con, user, "import", case.code, old, facts)
        if self.gate.published(con, case.code) is not None and not self.gate.propose_if_new(con, user, saved):
            self.gate.set_aside(con, user, case.code, reason)

    # --- and back ---

    def touched(self, mark):
        """What a going-over did, case by case: dicts of code, name, stage, action, able, why (a msgid or None)."""
        with self._store.reading() as con:
            return [self._standing(con, case, event, mark) for case, event in self._of(con, mark)]

    def take_back_in(self, con, user, mark, *, reason):
        """Put back what a going-over changed, as far as nobody went on from there; what touched() says of each case.

        reason: of the events, which begins with a mark of its own, so that this can be taken back, too.
        """
        role(user, CLASSERS, N_("Your role does not import hotspots."))
        out = []
        for case, event in self._of(con, mark):
            in_scope(user, case)
            told = self._standing(con, case, event, mark)
            if told["able"]:
                try:
                    self._reverse(con, user, case, event, reason)
                except GateError:
                    told |= {"able": False, "why": REFUSED}
            out.append(told)
        return out

    def _of(self, con, mark):
        """(Case, its event) of a going-over, in the order of the codes."""
        query = sa.select(events).where(events.c.reason.startswith(mark, autoescape=True)).order_by(events.c.case)
        found = con.execute(query).mappings().all()
        rows = con.execute(sa.select(cases).where(cases.c.code.in_([e["case"] for e in found]))).mappings()
        held = {r["code"]: case_of(r) for r in rows}
        return [(held[e["case"]], e) for e in found]

    def _standing(self, con, case, event, mark):
        why = None
        if event["action"] == "edit":
            why = None if _still(case, event) else CHANGED_SINCE
        elif case.stage != ("rejected" if event["action"] == "reject" else "received"):
            why = MOVED_ON
        elif self._worked_on(con, case, mark.split(".")[0]):
            why = WORKED_ON
        return {"code": case.code, "name_vi": case.name_vi, "name_en": case.name_en, "stage": case.stage,
                "action": event["action"], "able": why is None, "why": why}  # fmt: skip

    def _worked_on(self, con, case, mark):
        """Whether anything of a case is not of the import whose marks begin so."""
        others = ~events.c.reason.startswith(f"{mark}.", autoescape=True) | events.c.reason.is_(None)
        if con.scalar(sa.select(events.c.id).where(events.c.case == case.code, others).limit(1)) is not None:
            return True
        return any(con.scalar(sa.select(t.c.id).where(t.c.case == case.code).limit(1)) is not None for t in _OF_A_CASE)

    def _reverse(self, con, user, case, event, reason):
        if event["action"] == "edit":
            self._put(con, user, case, _values(event, "old"), reason)
        else:
            self._step(con, user, case, "undo" if event["action"] == "reject" else "reject", {"reason": reason})


def _values(event, which):
    """{field: value} of an event as a case holds it."""
    made = json.loads(event[which])
    if made.get("geometry") is not None:
        made["geometry"] = shapely.from_wkt(made["geometry"])
    return made


def _still(case, event):
    """Whether a case still holds all that an event put there."""
    for name, value in _values(event, "fields").items():
        if name == "geometry" and casebook.wkt(value) != casebook.wkt(case.geometry):
            return False
        if name != "geometry" and case.facts.get(name) != value:
            return False
    return True
