"""A study's question with the data of a city: the rules, criteria, demands and plants from which it is answered.

A layer without data makes a rule or criterion "unchecked": it stands in `unchecked` with the reason, and excludes or
weighs nothing. Where the data are rough the rule is "coarse" and says why. Missing is never clean.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np

from geo.explanation import explain_all
from geo.grids import Grid, Slope
from geo.studies import Criterion, Curve, Far, Limit, Near, Study
from geo.waterways import network
from server import sitelaw
from server.i18n import N_
from server.sitedata import METRIC, Data, gather
from server.sitedemands import WaterWithin, demands
from server.sitekinds import CRITERIA, SOLID
from server.siteshapes import Sources, blocked, own_layer, rule_now
from server.sitespec import SpecError, canonical
from server.siteweights import weights
from server.sitewords import LAYER, said

BY = "by "  # before the code of a criterion in a geo study, since a rule may have the same code


@dataclass(frozen=True, eq=False)
class World:
    """capacities: of the sizes, rising. laws: sitelaw.Law by size. rules, criteria: RuleNow and (Criterion, status, why)
    of all that the question names. demands: see sitedemands. plants: frame (EPSG:9210) of plants with a place. rivers:
    geo.waterways.Network or None."""

    spec: dict
    data: Data
    area: gpd.GeoSeries
    grid: Grid
    capacities: tuple
    laws: tuple
    rules: tuple
    criteria: tuple
    demands: gpd.GeoDataFrame
    facts: dict
    plants: gpd.GeoDataFrame
    rivers: object
    ahp: object
    made: dict = field(default_factory=dict)

    def study(self, size):
        """geo.studies.Study for a size: the number of its capacity."""
        own = self.laws[size]
        return Study(
            self.grid,
            self.area,
            tuple(_rule(r, size, own) for r in self.rules if r.used),
            tuple(c for c, status, _ in self.criteria if status == "checked"),
            own.plot_m,
        )

    def metric(self, name):
        """A layer in EPSG:9210, or None where it has no rows."""
        frame = self.data.layers.get(name)
        if frame is None or not len(frame):
            return None
        if name not in self.made:
            self.made[name] = frame.to_crs(METRIC)
        return self.made[name]

    @property
    def unchecked(self):
        """[{"kind", "code", "why"}] of everything that was asked for and could not be looked at."""
        out = [{"kind": "rule", "code": r.code, "why": list(r.why)} for r in self.rules if r.status == "unchecked"]
        out += [
            {"kind": "criterion", "code": c if isinstance(c, str) else bare(c.code), "why": list(why)}
            for c, status, why in self.criteria
            if status == "unchecked"
        ]
        if self.spec["facility"]["upstream"] is None:
            if self.rivers is None:
                out.append({"kind": "upstream", "code": "upstream", "why": ["no_rivers"]})
            elif self.metric("intakes") is None:
                out.append({"kind": "upstream", "code": "upstream", "why": ["no_intakes"]})
        if any(np.isnan(one.land.plot_ha) for one in self.laws):
            out.append({"kind": "land", "code": "land", "why": ["not_established"]})
        return out


def build(spec, data):
    """The World of a question. Raises SpecError, geo.grids.GridError, geo.studies.StudyError."""
    area = data.area(spec)
    grid = data.grid(spec)
    capacities = tuple(size["capacity_m3_day"] for size in spec["sizes"])
    laws = tuple(sitelaw.law(spec, capacity) for capacity in capacities)
    points, facts = demands(spec, data)
    own = {LAYER + row["code"]: own_layer(row) for row in spec["layers"]}
    sources = Sources(spec, data, area, grid, own)
    rules = [rule_now(rule, spec, sources, laws) for rule in spec["rules"]]
    if spec["block"]:
        rules.append(blocked(spec))
    share, found = weights(spec)
    criteria = tuple(
        _criterion(row, share.get(row["code"], 0.0), sources, points, spec, grid)
        for row in spec["criteria"]
        if row["weight"] > 0 or row["code"] in share
    )
    if not any(status == "checked" for _, status, _ in criteria):
        raise SpecError(
            [("criteria", said(N_("None of the criteria has data: weigh another one, or bring the data.")))]
        )
    plants = data.plants[data.plants.geometry.notna()].to_crs(METRIC)
    rivers = network(_lines(data.layers.get("water_bodies")))
    return World(
        spec, data, area, grid, capacities, laws, tuple(rules), criteria, points, facts, plants, rivers, found
    )  # fmt: skip


def _rule(now, size, own):
    if now.kind == "limit":
        return Limit(now.code, now.raster, now.at_least, now.at_most, now.source[0])
    if now.kind == "far":
        return Far(now.code, now.shapes, now.distance_m[size], now.source[size])
    return Near(now.code, now.shapes, now.distance_m[size], now.source[size])


# --- criteria ---


def _criterion(row, weight, sources, points, spec, grid):
    """(Criterion or code, status, why)."""
    kind, code = CRITERIA.get(row["code"]), row["code"]
    curve = Curve(tuple(map(tuple, row["curve"])))
    if code == "demand":
        if not len(points):
            return code, "unchecked", ("no_data",)
        return Criterion(BY + code, WaterWithin(points, spec["within_m"], grid), curve, weight), "checked", ()
    if kind is not None and kind.raster and kind.raster != "population":
        raster = sources.raster(kind.raster)
        if raster is None:
            return code, "unchecked", ("no_raster",)
        return Criterion(BY + code, Slope(raster) if code == "slope" else raster, curve, weight), "checked", ()
    shapes, why = sources(code)
    return (code, "unchecked", why) if shapes is None else (Criterion(BY + code, shapes, curve, weight), "checked", why)


def _lines(frame):
    """The waterways drawn as lines, with `tidal` as True, False or None."""
    if frame is None or not len(frame):
        return None
    lines = frame[frame.geom_type.isin(("LineString", "MultiLineString"))]
    return lines.assign(tidal=[{"yes": True, "no": False}.get(t) for t in lines["tidal"]])


def bare(code):
    """The code of a criterion without what is put before it in a geo study."""
    return code.removeprefix(BY)


def unit_of(code, spec):
    """The unit of a criterion's measure: a key of sitewords.UNITS."""
    unit = CRITERIA[code].unit if code in CRITERIA else "m"
    return load_unit(spec) if unit == "m3_day" else unit


def load_unit(spec):
    """The unit of everything that is called m3_day: t_day for solid waste."""
    return "t_day" if spec["facility"]["kind"] in SOLID else "m3_day"


# --- why not here ---


def why(world, x, y, size):
    """Explanation of geo.explanation at points of the grid's CRS for a size, as JSON: see explain()."""
    study = world.study(size)
    status = {r.code: r for r in world.rules}
    out = []
    for found in explain_all(study, x, y):
        rules = [
            {"code": r.code, "broken": r.broken, "status": status[r.code].status, "why": list(status[r.code].why)}
            | {"measured": _plain(r.measured), "limit": _plain(r.limit), "by": _plain(r.by), "source": r.source}
            | {"kind": status[r.code].kind, "confidence": next(iter(status[r.code].confidence[size:]), "")}
            for r in found.reasons
        ]
        if not found.inside:
            rules.insert(0, {"code": "outside", "broken": True, "status": "checked", "why": [], "kind": "near"}
                         | {"measured": None, "limit": None, "by": None, "source": "", "confidence": ""})  # fmt: skip
        out.append(
            {
                "inside": found.inside,
                "allowed": not found.excluded and all(r.broken is False for r in found.reasons),
                "score": _plain(found.score),
                "rules": rules,
                "criteria": [
                    {"code": bare(p.code), "measured": _plain(p.measured), "value": _plain(p.value)}
                    | {"weight": round(p.weight, 9), "unit": unit_of(bare(p.code), world.spec)}
                    for p in found.parts
                ],
            }
        )
    return out


def _plain(value):
    return None if value is None or not np.isfinite(value) else round(float(value), 6)


_kept, _lock, _MOST = OrderedDict(), threading.Lock(), 3


def world_now(services, spec):
    """The World of a question with the data of now; kept while neither changes."""
    key = (str(services.store.data_dir), services.store.stamp(), canonical(spec))
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    made = build(spec, gather(services, spec))
    with _lock:
        _kept[key] = made
        while len(_kept) > _MOST:
            _kept.popitem(last=False)
    return made


def explain(services, spec, lon, lat):
    """Why here, or why not here, for one point in degrees, with the data of now.

    {"lon", "lat", "x", "y", "inside", "allowed" (for the smallest size), "score", "rules": [{"code", "broken" (true,
    false, null: not known), "measured", "limit", "by", "source", "status", "why", "kind"}] broken ones first, "criteria":
    [{"code", "measured", "value", "weight", "unit"}], "sizes": [{"capacity_m3_day", "allowed", "broken": [codes]}],
    "unchecked"}. Measures of nearness are from the edge of the plot.
    """
    world = world_now(services, spec)
    place = gpd.GeoSeries.from_xy([lon], [lat], crs=4326).to_crs(METRIC).iloc[0]
    by_size = [why(world, [place.x], [place.y], k)[0] for k in range(len(world.capacities))]
    sizes = [
        {"capacity_m3_day": capacity, "allowed": found["allowed"], "score": found["score"]}
        | {"broken": [r["code"] for r in found["rules"] if r["broken"]]}
        for capacity, found in zip(world.capacities, by_size, strict=True)
    ]
    told = {"lon": round(lon, 7), "lat": round(lat, 7), "x": round(place.x, 3), "y": round(place.y, 3)}
    return told | by_size[0] | {"sizes": sizes, "unchecked": world.unchecked}
