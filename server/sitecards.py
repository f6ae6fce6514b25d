"""The reason card of a site: what it gains, who lives too near, which rows of the law it rests on, what stands against it.

Sums of people count each cell of the population surface by the share of it inside a ring; where the surface was made by
spreading ward figures evenly the card says so. None: not known, with the reason beside it.
"""

import geopandas as gpd
import numpy as np
import shapely

from geo.population import zonal_people
from geo.waterways import to_intakes
from server import sitelaw
from server.i18n import N_
from server.sitedata import METRIC
from server.sitewords import said

JOIN_M = 1_000.0  # a plant no farther from a drawn river than this lets its water into it
CLASSES = ((0.75, 1), (1.25, 2), (np.inf, 3))  # cost of a m³/day by the middle of all sites: low, middle, high


def upstream(world, x, y):
    """Whether a place lies upstream of an intake: {"state": yes | perhaps | no | said_yes | said_no | unchecked, "why",
    "intakes": [{"code", "name_vi", "name_en", "way", "along_m", "perhaps_m", "straight_m"}]}."""
    answer = world.spec["facility"]["upstream"]
    if answer is not None:
        return {"state": "said_yes" if answer else "said_no", "why": "", "intakes": []}
    intakes = world.data.layers.get("intakes")
    if world.rivers is None or intakes is None or not len(intakes):
        return {"state": "unchecked", "why": "no_rivers" if world.rivers is None else "no_intakes", "intakes": []}
    place = gpd.GeoSeries([shapely.Point(x, y)], crs=METRIC)
    found = to_intakes(place, world.rivers, intakes, join_m=JOIN_M) or ()
    ways = {one.way for one in found}
    sure = ways & {"downstream", "tidal"}
    state = (
        "yes" if sure else "perhaps" if "perhaps_tidal" in ways else "no" if ways == {"not_reached"} else "unchecked"
    )
    named = [
        {"code": one.code, "name_vi": one.name_vi, "name_en": one.name_en, "way": one.way}
        | {"along_m": _m(one.along_m), "perhaps_m": _m(one.perhaps_m), "straight_m": _m(one.straight_m)}
        for one in found
        if one.way != "not_reached"
    ]
    return {"state": state, "why": "no_rivers_near" if state == "unchecked" else "", "intakes": named[:5]}


def is_upstream(found):
    """Whether the distance grows: where it is sure, or the planner said so."""
    return found["state"] in ("yes", "said_yes")


def people_inside(world, x, y, plot_m, distance):
    """{"distance_m", "state", "people"}: people nearer than a Distance to the edge of a plot."""
    out = {"state": distance.state, "distance_m": None, "people": None, "rows": list(distance.rows)}
    if distance.state != "established":
        return out
    out["distance_m"] = round(distance.distance_m, 3)
    if world.data.population is None:
        return out
    ring = shapely.buffer(shapely.Point(x, y), plot_m + distance.distance_m, quad_segs=64)
    found = zonal_people(world.data.population, gpd.GeoSeries([ring], crs=METRIC)).iloc[0]
    return out | {"people": None if np.isnan(found) else round(float(found), 1)}


def card(world, site, found):
    """The card of a site: a dict with "x", "y", "capacity_m3_day", "cost", "gain_m3_day", "size" (number of the capacity).

    found: siteworld.why of the site and size. Besides what the code says: "distances": now, open and enclosed with the
    people inside; "law": the Distance, with rows, reference, confidence and cautions; "land"; "cost": per m³/day gained;
    "conflicts": sentences; "unchecked": codes of rules that nobody could check here.
    """
    x, y, capacity = site["x"], site["y"], site["capacity_m3_day"]
    law, where = world.laws[site["size"]], upstream(world, x, y)
    up = is_upstream(where)
    now = sitelaw.law(world.spec, capacity, upstream=up).houses
    both = sitelaw.both_technologies(world.spec, capacity, upstream=up)
    inside = {name: d and people_inside(world, x, y, law.plot_m, d) for name, d in ({"now": now} | both).items()}
    rules = [
        {k: r[k] for k in ("code", "status", "measured", "limit", "source", "confidence", "why")}
        for r in found["rules"]
    ]
    gain = site["gain_m3_day"] if site.get("gain_m3_day") else None
    return {
        "people_inside": inside,
        "people_rough": "even_spread" in _why(world, "houses"),
        "law": sitelaw.told(now),
        "land": sitelaw.land_told(law.land, world.spec),
        "upstream": where,
        "rules": rules,
        "unchecked": [u["code"] for u in world.unchecked if u["kind"] != "criterion"],
        "cost_per_m3_day": round(site["cost"] / gain, 6) if gain and site["cost"] is not None else None,
        "conflicts": [c for c in (*_near(world, x, y), *_doubts(world, now, where, site, law)) if c],
    }


def cost_classes(sites):
    """The class of each site's cost per m³/day of capacity used beside the median of all: 1 low, 2 middle, 3 high; None."""
    each = [s["cost"] / s["used_m3_day"] if s["used_m3_day"] and s["cost"] is not None else None for s in sites]
    known = [c for c in each if c is not None]
    middle = float(np.median(known)) if known else 0.0
    return [None if c is None or not middle else next(k for most, k in CLASSES if c / middle <= most) for c in each]


def _why(world, code):
    return next((r.why for r in world.rules if r.code == code), ())


_NEAR_WORDS = {
    "hotspots": N_("%(name)s (%(code)s), a pollution hotspot, lies %(metres)s m away."),
    "receptors": N_("%(name)s (%(code)s), a school or hospital, lies %(metres)s m away."),
    "intakes": N_("%(name)s (%(code)s), a drinking water intake, lies %(metres)s m away."),
    "industrial_zones": N_("%(name)s (%(code)s), an industrial zone, lies %(metres)s m away."),
    "treatment_plants": N_("%(name)s (%(code)s), an existing plant, lies %(metres)s m away."),
}
_LOOK = {
    "hotspots": 1_000.0,
    "receptors": 1_000.0,
    "intakes": 1_000.0,
    "industrial_zones": 300.0,
    "treatment_plants": 1_000.0,
}


def _near(world, x, y):
    """Sentences on what lies near, the nearest of each layer first; at most three of a layer."""
    point = shapely.Point(x, y)
    for name, words in _NEAR_WORDS.items():
        frame = world.metric(name)
        if frame is None:
            continue
        away = shapely.distance(frame.geometry.values, point)
        near = np.flatnonzero(away <= _LOOK[name])
        for k in near[np.argsort(away[near], kind="stable")][:3]:
            row = frame.iloc[k]
            names = {"en": row["name_en"] or row["name_vi"], "vi": row["name_vi"]}
            yield said(words, name=names, code=row["code"], metres=round(float(away[k])))


def _doubts(world, now, where, site, law):
    if now.state == "not_established":
        yield said(
            N_("The regulation of this day (%(regulation)s) has no distance in our tables: enter it with its source."),
            regulation=now.regulation or "–",
        )
    if now.state == "assessment":
        yield said(N_("The regulation leaves the distance to the environmental impact assessment."))
    for en, vi in now.cautions:
        yield {"en": en, "vi": vi}
    if where["state"] == "unchecked":
        yield said(N_("Whether it lies upstream of a drinking water intake was not checked: no data."))
    if where["state"] == "perhaps":
        yield said(N_("It lies upstream of a drinking water intake if the rivers whose tide is not stated are tidal."))
    if is_upstream(where):
        yield said(
            N_("It lies upstream of a drinking water intake: the distance is multiplied by %(factor)s."),
            factor=now.factor,
        )
    if "even_spread" in _why(world, "houses"):
        yield said(
            N_(
                "People are spread evenly over the wards: villages near the site are not seen. Go and look before deciding."
            )
        )
    if law.plot_m == 0:
        yield said(N_("The land need is not established: the plot was taken as a point."))
    if site.get("used_m3_day") is not None and site["used_m3_day"] < 0.5 * site["capacity_m3_day"]:
        share = round(100 * site["used_m3_day"] / site["capacity_m3_day"])
        yield said(N_("Only %(share)s %% of its capacity would be used."), share=share)


def _m(value):
    return None if value is None or not np.isfinite(value) else round(float(value), 1)
