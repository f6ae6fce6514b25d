"""A study's question with the data of a city: the rules, criteria, demands and plants from which it is answered.

A layer without data makes a rule or criterion "unchecked": it stands in `unchecked` with the reason, and excludes or
weighs nothing. Where the data are rough the rule is "coarse" and says why. Missing is never clean.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.explanation import explain_all
from geo.grids import Grid, Slope, in_crs, squares_where
from geo.studies import Criterion, Curve, Far, Limit, Near, Study
from geo.waterways import network
from server import sitelaw
from server.i18n import N_
from server.sitedata import METRIC, Data, gather
from server.sitedemands import WaterWithin, demands
from server.sitekinds import CRITERIA, RULES, SOLID, RuleKind
from server.sitespec import SpecError, canonical
from server.siteweights import weights
from server.sitewords import LAYER, said

TOUCH = ("protected", "water", "zones", "plants", "hotspots")  # the green belt must fit beside these
GONE = ("done", "rejected")
ROUGH = ("approximate", "schematic")
BY = "by "  # before the code of a criterion in a geo study, since a rule may have the same code


@dataclass(frozen=True, eq=False)
class RuleNow:
    """A rule as the data allow. status: 'checked', 'coarse', 'unchecked' or 'off'; why: keys of sitewords.WHY.
    shapes: GeoSeries (EPSG:9210), or raster. distance_m: by size (None: not established). source, confidence: by size."""

    code: str
    kind: str
    status: str
    why: tuple
    shapes: gpd.GeoSeries | None = None
    raster: object = None
    at_least: float = -np.inf
    at_most: float = np.inf
    distance_m: tuple = ()
    source: tuple = ()
    confidence: tuple = ()
    features: int = 0

    @property
    def used(self):
        return self.status in ("checked", "coarse")


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
    own = {LAYER + row["code"]: _own_layer(row) for row in spec["layers"]}
    sources = _Sources(spec, data, area, grid, own)
    rules = [_rule_now(rule, spec, sources, laws) for rule in spec["rules"]]
    if spec["block"]:
        rules.append(_blocked(spec))
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


# --- rules ---


class _Sources:
    """The shapes that rules and criteria share: one object for one layer, so that its distances are computed once."""

    def __init__(self, spec, data, area, grid, own):
        self.spec, self.data, self.area, self.grid, self.own, self._made = spec, data, area, grid, own, {}

    def __call__(self, code):
        """(shapes or None, why): of a rule or criterion that measures distances."""
        if code not in self._made:
            make = getattr(self, "_" + code, None)
            self._made[code] = self.own[code] if code in self.own else make()
        return self._made[code]

    def raster(self, slot):
        return self.data.rasters.get(slot)

    def _layer(self, name, keep=None):
        frame = self.data.layers.get(name)
        if frame is None or not len(frame):
            return None, ("no_data",)
        frame = frame if keep is None else frame[keep(frame)]
        why = ("some_missing",) if self.data.unplaced.get(name) else ()
        why += ("approximate",) if "geometry_quality" in frame and frame["geometry_quality"].isin(ROUGH).any() else ()
        return (in_crs(frame, METRIC, name), why) if len(frame) else (None, ("no_data",))

    def _several(self, **names):
        found = [self._layer(name, keep) for name, keep in names.items()]
        shapes = [s for s, _ in found if s is not None]
        if not shapes:
            return None, ("no_data",)
        return pd.concat(shapes, ignore_index=True), tuple(
            sorted({w for _, why in found for w in why if w != "no_data"})
        )

    def _houses(self):
        surface, shapes, why = self.data.population, [], ()
        rule = next(r for r in self.spec["rules"] if r["code"] == "houses")
        built, _ = self._layer("built_up")
        if surface is not None:
            cell_ha = surface.transform.a * -surface.transform.e / 10_000
            least = max(rule["at_least"] or 0.0, 1e-9) * cell_ha
            shapes.append(squares_where(surface, lambda people: people >= least).to_crs(METRIC))
            if surface.tags.get("method") == "spread over ward land" and built is None:
                why = ("even_spread",)
        if built is not None:
            shapes.append(built)
        if not shapes:
            return None, ("no_data",)
        return pd.concat(shapes, ignore_index=True), why

    def _receptors(self):
        return self._layer("receptors")

    def _intakes(self):
        return self._layer("intakes")

    def _protected(self):
        return self._layer("protected_areas")

    def _water(self):
        """Water that is drawn as an area or a line, and what of the study area is not land."""
        frame = self.data.layers.get("water_bodies")
        land, _ = self._layer("land")
        shapes, why = [], ()
        if frame is not None and len(frame):
            drawn = frame[frame.geom_type != "Point"]
            why = ("only_labels",) if len(drawn) < len(frame) else ()
            shapes += [self._wet(drawn)] if len(drawn) else []
        if land is not None:
            sea = shapely.difference(self.area.iloc[0], shapely.union_all(land.values))
            shapes += [gpd.GeoSeries([sea], crs=METRIC)] if sea.area > 0 else []
        if not shapes:
            return None, why or ("no_data",)
        return pd.concat(shapes, ignore_index=True), why

    def _receiving_water(self):
        frame = self.data.layers.get("water_bodies")
        if frame is None or not len(frame):
            return None, ("no_data",)
        drawn = frame[frame.geom_type != "Point"]
        if not len(drawn):
            return None, ("only_labels",)
        return self._wet(drawn), ("only_labels",) if len(drawn) < len(frame) else ()

    def _wet(self, drawn):
        """Waters in EPSG:9210 without the land in them: of a schematic outline, such as a sea drawn for the map, all land;
        of another one its islands, the parts of the land that lie for the most part in it."""
        waters, (land, _) = in_crs(drawn, METRIC, "water_bodies"), self._layer("land")
        if land is None:
            return waters
        parts, out = shapely.get_parts(land.values), []
        rough = drawn["geometry_quality"] == "schematic" if "geometry_quality" in drawn else [False] * len(drawn)
        for water, schematic in zip(waters, rough, strict=True):
            inside = shapely.area(shapely.intersection(parts, water)) > 0.5 * shapely.area(parts)
            dry = parts if schematic else parts[inside]
            out.append(shapely.difference(water, shapely.union_all(dry)) if len(dry) else water)
        out = gpd.GeoSeries(out, crs=METRIC)
        return out[~out.is_empty]

    def _zones(self):
        return self._several(industrial_zones=lambda f: f["kind"] != "economic_zone", port_areas=None)

    def _plants(self):
        return self._several(treatment_plants=lambda f: f["kind"] != "programme", waste_sites=None)

    def _hotspots(self):
        def open_water(frame):
            gone = frame["stage"].isin(GONE) | (frame["past_event"] == "yes")
            return frame["media"].fillna("").str.contains("water") & ~gone

        return self._layer("hotspots", open_water)

    def _roads(self):
        return self._layer("roads")


def _own_layer(row):
    shape = gpd.GeoSeries([shapely.from_wkt(row["wkt"])], crs=4326).to_crs(METRIC)
    return shape.explode(ignore_index=True), ()


def _rule_now(rule, spec, sources, laws):
    kind = RULES.get(rule["code"], RuleKind(rule["code"], "near"))
    if not rule["on"]:
        return RuleNow(rule["code"], kind.kind, "off", ())
    if kind.kind == "limit":
        return _limit_now(rule, kind, sources)
    if kind.kind == "classes":
        return _classes_now(rule, kind, sources, laws)
    shapes, why = sources(rule["code"])
    if kind.law:
        told = [sitelaw.own_distance(spec, rule, getattr(own, _of_law(rule))) for own in laws]
        blank = [getattr(own, _of_law(rule)).state for own, (m, *_) in zip(laws, told, strict=True) if m is None]
        why = tuple(dict.fromkeys((*why, *blank)))
        if len(blank) == len(laws):
            return RuleNow(rule["code"], kind.kind, "unchecked", why, distance_m=tuple(m for m, *_ in told))
        least = max(m for m, *_ in told if m is not None)  # a size without a distance keeps at least that of the others
        told = [(least if m is None else m, *rest) for m, *rest in told]
    else:
        belt = [max(rule["distance_m"], own.belt_m) if rule["code"] in TOUCH else rule["distance_m"] for own in laws]
        told = [(metres, *_own_source(rule, own, metres)) for own, metres in zip(laws, belt, strict=True)]
    if shapes is None:
        return RuleNow(rule["code"], kind.kind, "unchecked", why)
    metres, source, sure = (tuple(x) for x in zip(*told, strict=True))
    status = "coarse" if why else "checked"
    return RuleNow(
        rule["code"], kind.kind, status, why, shapes, None, distance_m=metres, source=source, confidence=sure,
        features=len(shapes),
    )  # fmt: skip


def _of_law(rule):
    return "intakes" if rule["code"] == "intakes" else "houses"


def _own_source(rule, own, metres):
    """(source, confidence) of a distance that no law gives: the planner's, or the row of the green belt."""
    if rule["source"] or not metres or metres != own.belt_m:
        return rule["source"], "user" if rule["source"] else ""
    rows = sitelaw.table().set_index("row")["confidence"]
    return ", ".join(own.land.rows), next((rows[r] for r in reversed(own.land.rows) if r in rows), "user")


def _limit_now(rule, kind, sources):
    raster = sources.raster(kind.raster)
    if raster is None:
        return RuleNow(rule["code"], kind.kind, "unchecked", ("no_raster",))
    raster = Slope(raster) if rule["code"] == "slope" else raster
    low = -np.inf if rule["at_least"] is None else rule["at_least"]
    high = np.inf if rule["at_most"] is None else rule["at_most"]
    return RuleNow(rule["code"], kind.kind, "checked", (), None, raster, low, high, source=(rule["source"],))


def _classes_now(rule, kind, sources, laws):
    raster = sources.raster(kind.raster)
    if raster is None:
        return RuleNow(rule["code"], kind.kind, "unchecked", ("no_raster",))
    shapes = squares_where(raster, lambda classes: np.isin(classes, rule["classes"]))
    metres = tuple(rule["distance_m"] or 0.0 for _ in laws)
    source = tuple(rule["source"] for _ in laws)
    return RuleNow(
        rule["code"], kind.kind, "checked", (), shapes, distance_m=metres, source=source, features=len(shapes)
    )  # fmt: skip


def _blocked(spec):
    points = gpd.GeoSeries.from_xy([b["lon"] for b in spec["block"]], [b["lat"] for b in spec["block"]], crs=4326)
    circles = points.to_crs(METRIC).buffer([b["radius_m"] for b in spec["block"]])
    zero, reasons = tuple(0.0 for _ in spec["sizes"]), "; ".join(dict.fromkeys(b["reason"] for b in spec["block"]))
    return RuleNow(
        "blocked", "near", "checked", (), circles, distance_m=zero, source=tuple(reasons for _ in zero), features=len(circles)
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
