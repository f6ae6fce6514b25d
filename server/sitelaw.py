"""What the regulation asks of one size of the works of a study: distance to houses, to intakes, and land.

Everything is taken from the table of geo/distances.py on the day of the study, with what the planner entered beside it.
"""

import json
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd

from geo.distances import Distance, DistanceError, Land, land_need, safe_distance, safe_distances, with_entries
from server.i18n import N_
from server.sitekinds import SOLID, table
from server.sitespec import SpecError
from server.sitewords import said

INTAKE = "surface water intake on a source with unknown or no clear flow, zone I"
INTAKE_WIDE = "surface water intake with unknown flow, zone II"


@dataclass(frozen=True)
class Law:
    """houses, intakes: Distance. land: Land. plot_m: radius of a disc as large as the plot, 0 where the land is not
    established. belt_m: width of the green belt, 0 where not established."""

    houses: Distance
    intakes: Distance
    land: Land

    @property
    def plot_m(self):
        return 0.0 if np.isnan(self.land.plot_ha) else float(np.sqrt(10_000 * self.land.plot_ha / np.pi))

    @property
    def belt_m(self):
        return 0.0 if np.isnan(self.land.belt_m) else float(self.land.belt_m)


def law(spec, capacity, *, enclosed=None, upstream=False):
    """The Law for a capacity (m³/day; t/day of solid waste). enclosed: in place of the study's. upstream: it was found to
    be so; the study's own answer counts beside it. Raises SpecError where an entry of the planner is less than the law."""
    facility = spec["facility"]
    enclosed = facility["enclosed"] if enclosed is None else enclosed
    told = json.dumps(facility, sort_keys=True)
    return _law(told, spec["as_of"], float(capacity), enclosed, bool(upstream or facility["upstream"]))


@lru_cache(maxsize=512)
def _law(facility, as_of, capacity, enclosed, upstream):
    facility, on = json.loads(facility), date.fromisoformat(as_of)
    rows = entered(facility, on)
    exposed = {"upstream": upstream, "upwind": facility["upwind"]}
    try:
        houses = safe_distance(rows, on, facility["technology"], capacity=capacity, enclosed=enclosed, **exposed)
    except DistanceError as e:
        raise SpecError([("facility", {"en": e.en, "vi": e.vi})]) from e
    intakes = max(safe_distances(table(), on, INTAKE), key=lambda d: np.nan_to_num(d.distance_m, nan=-1.0))
    return Law(houses, intakes, _land(facility, on, capacity, houses.rows))


def both_technologies(spec, capacity, *, upstream=False):
    """{"open": Distance or None, "enclosed": Distance or None}: None where the table makes no difference."""
    rows = table()
    mine = rows[rows["facility_type"] == spec["facility"]["technology"]]
    if mine["enclosed"].replace("", None).nunique() < 2:
        return {"open": None, "enclosed": None}
    asked = {"open": False, "enclosed": True}
    return {name: law(spec, capacity, enclosed=flag, upstream=upstream).houses for name, flag in asked.items()}


def entered(facility, on):
    """The table with the planner's own distances, for one day. Raises SpecError."""
    entries = facility["entries"]
    if not entries:
        return table()
    frame = pd.DataFrame(
        [
            {
                "facility_type": facility["technology"],
                "distance_min_m": entry["distance_m"],
                "source": entry["source"],
                "enclosed": {None: "", True: "yes", False: "no"}[entry["enclosed"]],
                "valid_from": on,
                "valid_until": on,
            }
            for entry in entries
        ]
    )
    try:
        return with_entries(table(), frame)
    except DistanceError as e:
        raise SpecError([("facility.entries", {"en": e.en, "vi": e.vi})]) from e


def own_distance(spec, rule, distance):
    """(metres or None, source, confidence) of a rule of the law: the planner's own distance where there is one, else the law's.

    Raises SpecError where the own one is less than the law's.
    """
    law_m = distance.distance_m if distance.state == "established" else None
    own = rule["distance_m"]
    if own is None:
        return law_m, source_of(distance), distance.confidence
    if law_m is not None and own < law_m:
        words = N_("%(own)s m is less than the %(law)s m of the regulation (row %(row)s).")
        number = [r["code"] for r in spec["rules"]].index(rule["code"])
        values = {"own": own, "law": law_m, "row": distance.rows[0]}
        raise SpecError([(f"rules[{number}].distance_m", said(words, **values))])
    return own, rule["source"], "user"


def source_of(distance):
    """The rows and the reference of a Distance as one text."""
    return "; ".join(filter(None, (", ".join(distance.rows), distance.reference or distance.regulation)))


def told(distance):
    """A Distance as JSON: NaN is null."""
    if distance is None:
        return None
    out = {
        name: getattr(distance, name)
        for name in ("state", "factor", "to_object", "direction", "regulation", "reference", "note", "confidence")
    }
    out |= {name: _known(getattr(distance, name)) for name in ("distance_m", "base_m")}
    cautions = [{"en": en, "vi": vi} for en, vi in distance.cautions]
    return out | {"rows": list(distance.rows), "cautions": cautions}


def land_told(land, spec):
    source = spec["facility"]["land_source"] if "user" in land.rows else ""
    return {
        "plot_ha": _known(land.plot_ha),
        "belt_m": _known(land.belt_m),
        "with_belt_ha": _known(land.with_belt_ha),
        "rows": list(land.rows),
        "source": source,
    }


def _known(value):
    return None if np.isnan(value) else round(float(value), 6)


def _land(facility, on, capacity, distance_rows):
    """Land of the regulation; where it says nothing what the planner entered."""
    asked = capacity * 365 if facility["kind"] in SOLID else capacity
    found = land_need(table(), on, facility["kind"], asked)
    plot, belt, rows = found.plot_ha, found.belt_m, list(found.rows)
    own = table().set_index("row")["green_belt_m"].reindex(list(distance_rows)).dropna()
    if np.isnan(belt) and len(own):  # of solid waste the row of the distance tells the belt too
        belt, rows = float(own.max()), [*rows, own.idxmax()]
    if facility["ha_per_1000"] is not None:
        plot, rows = facility["ha_per_1000"] * asked / 1000, [*rows, "user"]
    if facility["belt_m"] is not None:
        belt, rows = max(np.nan_to_num(belt), facility["belt_m"]), [*rows, "user"]
    side = 100 * np.sqrt(plot) + 2 * belt
    return Land(plot, belt, float(side**2 / 10_000), tuple(dict.fromkeys(rows)))
