"""The safety distance of a scenario's plants: what the law says on their first day and today, what the planner entered.

An entered distance stands beside the law, as in a siting study: it holds where the law of the plant's first day has no
value or asks for less, and it never makes an established distance smaller.
"""

import bisect
import math
from datetime import date, timedelta
from functools import cache, lru_cache

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import distances, exposure
from layers.standards import TABLES

PLANT_GROUP = "wastewater treatment plant"
_NEAR_KEPT = 500


@cache
def law():
    """The table of legal distances."""
    return distances.read_table(TABLES / "safe_distances.csv")


@cache
def technologies():
    """Kinds of plant the law knows: dicts code, name_vi, by_enclosure; newest rules that name them first."""
    table = law()
    found = {}
    for day in sorted(set(table["valid_from"]), reverse=True):
        for r in distances.facility_types(table, day).itertuples():
            if r.facility_group == PLANT_GROUP and r.facility_type not in found:
                found[r.facility_type] = {"code": r.facility_type, "name_vi": r.facility_vi, "by_enclosure": False}
            if r.facility_type in found:
                found[r.facility_type]["by_enclosure"] |= bool(r.by_enclosure)
    return tuple(found.values())


# --- one question to the table ---


def legal(plant, day):
    """The legal distance of a plant on a day: dict state, distance_m, base_m, factor, rows, regulation, reference,
    confidence, cautions [[en, vi]]; state as in geo.distances, or `not_asked` where the enclosure is not said."""
    return _legal(*_case(plant, day))


def entered(plant, day):
    """The planner's own distance of a plant as it holds on a day, told as by legal(), with its source as `source`.

    None where there is none, or where the law of the day asks for as much or more.
    """
    if plant.own_m is None:
        return None
    return _entered(*_case(plant, day), plant.own_m, plant.own_source)


def _case(plant, day):
    """Technology, capacity, enclosure, exposure and day, the same for plants of which the table says the same.

    A capacity inside a class stands for the whole class; one on a border stays, as the table may say something of it.
    """
    borders = _borders(plant.technology)
    at = bisect.bisect_left(borders, plant.capacity_m3d)
    capacity = plant.capacity_m3d
    if not (at < len(borders) and borders[at] == capacity):
        below = borders[at - 1] if at else 0.0
        capacity = (below + borders[at]) / 2 if at < len(borders) else below + 1.0
    days = _changes()
    return plant.technology, capacity, plant.enclosed, plant.exposed, days[bisect.bisect_right(days, day) - 1]


@cache
def _borders(technology):
    rows = law()[law()["facility_type"] == technology]
    ends = pd.concat([rows["capacity_min_exclusive"], rows["capacity_max_inclusive"]]).dropna()
    return sorted(float(v) for v in set(ends) if v > 0)


@cache
def _changes():
    """Days on which some row of the table begins or has ended, after the first day of all."""
    ended = {day + timedelta(days=1) for day in law()["valid_until"] if day < date.max}
    return sorted({date.min, *law()["valid_from"], *ended})


@cache
def _legal(technology, capacity, enclosed, exposed, day):
    try:
        found = distances.safe_distance(law(), day, technology, capacity=capacity, enclosed=enclosed, upstream=exposed)
    except distances.DistanceError as e:
        return _not_asked(e)
    return _plain(found)


@lru_cache(maxsize=1000)
def _entered(technology, capacity, enclosed, exposed, day, own_m, source):
    entry = {"facility_type": technology, "distance_min_m": own_m, "source": source, "valid_from": day, "valid_until": day,
             "enclosed": {True: "yes", False: "no", None: ""}[enclosed],
             "capacity_min_exclusive": math.nextafter(capacity, 0.0), "capacity_max_inclusive": capacity}  # fmt: skip
    asked = {"capacity": capacity, "enclosed": enclosed, "upstream": exposed}
    try:
        table = distances.with_entries(law(), pd.DataFrame([entry]))
    except distances.DistanceError:
        return None
    try:
        found = distances.safe_distance(table, day, technology, **asked)
    except distances.DistanceError as e:
        return _not_asked(e) | {"state": "established", "distance_m": own_m, "base_m": own_m, "source": source}
    return _plain(found) | {"source": source} if found.confidence == distances.ENTERED else None


def _plain(found):
    return {
        "state": found.state, "distance_m": _number(found.distance_m), "base_m": _number(found.base_m),
        "factor": found.factor, "rows": list(found.rows), "regulation": found.regulation, "reference": found.reference,
        "confidence": found.confidence, "cautions": [list(c) for c in found.cautions],
    }  # fmt: skip


def _not_asked(error):
    return {"state": "not_asked", "distance_m": None, "cautions": [[error.en, error.vi]], "rows": [], "regulation": "",
            "reference": "", "confidence": "", "factor": 1.0, "base_m": None}  # fmt: skip


def _number(value):
    return None if value is None or not np.isfinite(value) else float(value)


def first_day(plant, as_of):
    """The day whose rules hold for a plant: the first of its year, or today where that is over."""
    return max(date(plant.year, 1, 1), as_of)


def plot_radius(capacity, day):
    """Radius in m of a disc as large as the most land the norm of a day gives a plant; 0 where it gives none."""
    days = _changes()
    return math.sqrt(10_000 * capacity * _plot_ha(days[bisect.bisect_right(days, day) - 1]) / 1000 / math.pi)


@cache
def _plot_ha(day):
    """Most land per 1,000 m³/day in ha; 0 where the norm gives none."""
    plot_ha = distances.land_need(law(), day, PLANT_GROUP, 1000.0).plot_ha
    return 0.0 if np.isnan(plot_ha) else float(plot_ha)


# --- who lives there ---


def people_within(ground, plant, metres):
    """People living nearer than so many metres to the middle of a plant: dict people, least, most; None: not known."""
    key = (round(plant.lon, 6), round(plant.lat, 6), metres)
    if key not in ground.near:
        if len(ground.near) >= _NEAR_KEPT:
            ground.near.clear()
        at = gpd.GeoSeries([shapely.Point(plant.lon, plant.lat)], crs=4326)
        band = exposure.people_near(at, ground.surface, bands_m=(metres,), land=ground.land)
        told = None
        if band is not None and band[0].people is not None:
            told = {"people": band[0].people, "least": band[0].least, "most": band[0].most,
                    "unknown_share": band[0].unknown_share}  # fmt: skip
        ground.near[key] = told
    return ground.near[key]


def around(ground, plant):
    """The safety distance of a plant and who lives within it.

    then, today: the law on the plant's first day and today; own: the planner's distance where it holds, or None. by:
    which of them counts ("own", "year", "today"; None where no distance is known); metres: its distance. Where the rules
    of the plant's year are not established and nothing was entered, today's count in their place. A distance counts from
    the fence, taken as the rim of a disc as large as the plot of the norm (today's where that of the year is not
    established): reach_m is from the middle. near: people_within(reach_m).
    """
    day = first_day(plant, ground.as_of)
    then, today, own = legal(plant, day), legal(plant, ground.as_of), entered(plant, day)
    by = next((name for name, rule in (("own", own), ("year", then), ("today", today))
               if rule is not None and rule["distance_m"] is not None), None)  # fmt: skip
    rule = {"own": own, "year": then, "today": today, None: None}[by]
    reach = None
    if rule and rule["distance_m"] > 0:
        norm = plot_radius(plant.capacity_m3d, day) if by != "today" else 0.0
        reach = rule["distance_m"] + (norm or plot_radius(plant.capacity_m3d, ground.as_of))
    return {
        "then": then, "today": today, "own": own, "by": by, "metres": rule and rule["distance_m"], "reach_m": reach,
        "near": None if reach is None else people_within(ground, plant, reach),
    }  # fmt: skip
