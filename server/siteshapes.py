"""The rules of a question as the data allow them: which shapes or raster, how far, by which source, and what is rough."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.grids import Slope, in_crs, squares_where
from server import sitelaw
from server.sitedata import METRIC
from server.sitekinds import RULES, RuleKind

TOUCH = ("protected", "water", "zones", "plants", "hotspots")  # the green belt must fit beside these
GONE = ("done", "rejected")
ROUGH = ("approximate", "schematic")


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


class Sources:
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


def own_layer(row):
    shape = gpd.GeoSeries([shapely.from_wkt(row["wkt"])], crs=4326).to_crs(METRIC)
    return shape.explode(ignore_index=True), ()


def rule_now(rule, spec, sources, laws):
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


def blocked(spec):
    points = gpd.GeoSeries.from_xy([b["lon"] for b in spec["block"]], [b["lat"] for b in spec["block"]], crs=4326)
    circles = points.to_crs(METRIC).buffer([b["radius_m"] for b in spec["block"]])
    zero, reasons = tuple(0.0 for _ in spec["sizes"]), "; ".join(dict.fromkeys(b["reason"] for b in spec["block"]))
    return RuleNow(
        "blocked", "near", "checked", (), circles, distance_m=zero, source=tuple(reasons for _ in zero), features=len(circles)
    )  # fmt: skip
