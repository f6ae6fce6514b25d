"""What every scenario of one version of the data stands on: ledger, points, names, hotspots, people."""

from dataclasses import dataclass, field
from datetime import date

import geopandas as gpd
import pandas as pd

from geo import coverage, exposure, projection
from geo.population import read_surface
from server.figures import WARD_KINDS
from server.history import OPEN

METRIC = 9210


@dataclass(frozen=True, eq=False)
class Ground:
    """Made once, read by many.

    points: x, y (m, EPSG:9210), lon, lat by unit. names: {unit: {name_vi, name_en, kind}}. hotspots: dicts code, name_vi,
    name_en, lon, lat, ward: open public hotspots in water, without events that are over. surface, land (one geometry in
    EPSG:9210): for people near a plant, or None. near: what was counted there already.
    """

    as_of: date
    version: str
    ledger: coverage.Ledger
    points: pd.DataFrame
    names: dict
    people: pd.Series
    hotspots: tuple
    surface: object
    land: object
    near: dict = field(default_factory=dict)


def ground(figures, as_of):
    """The Ground of a day, kept by the version of the data."""
    return figures.kept("scenario ground", lambda day: _ground(figures, day), as_of)


def _ground(figures, as_of):
    store, units, result = figures.store, figures.inputs().units, figures.ledger(as_of)
    there = figures.population is not None and figures.population.exists()
    return Ground(
        as_of, figures.version(), result, unit_points(store),
        {u: {k: units.at[u, k] for k in ("name_vi", "name_en", "kind")} for u in result.units},
        units["people"].reindex(result.units), tuple(_hotspots(store, figures.wards_of_places())),
        read_surface(figures.population) if there else None, _land(store.snapshot("land")),
    )  # fmt: skip


def _land(rows):
    drawn = rows[~(rows.geometry.isna() | rows.geometry.is_empty)]
    return None if drawn.empty else gpd.GeoSeries([exposure.place_of(drawn)], crs=exposure.METRIC)


def unit_points(store):
    """x, y (m, EPSG:9210), lon and lat of the point of each ward, zone and port, by code."""
    admin = store.snapshot("admin_units")
    found = {r.code: (r.centre_lon, r.centre_lat) for r in admin[admin["kind"].isin(WARD_KINDS)].itertuples()}
    for layer in ("industrial_zones", "port_areas"):
        rows = store.snapshot(layer)
        for code, g in zip(rows["code"], rows.geometry, strict=True):
            if g is not None and not g.is_empty:
                at = g if g.geom_type == "Point" else g.representative_point()
                found[code] = (at.x, at.y)
    out = pd.DataFrame.from_dict(found, orient="index", columns=["lon", "lat"]).dropna()
    out["x"], out["y"] = projection.from_wgs84(out["lon"].to_numpy(), out["lat"].to_numpy(), METRIC)
    return out


def _hotspots(store, wards):
    rows = store.snapshot("hotspots")
    for r in rows[rows["stage"].isin(OPEN) & (rows["past_event"] != "yes")].itertuples():
        if "water" not in (r.media or "").split(";"):
            continue
        at = None if r.geometry is None or r.geometry.is_empty else r.geometry.representative_point()
        yield {"code": r.code, "name_vi": r.name_vi, "name_en": r.name_en or r.name_vi, "ward": wards.get(r.code),
               "lon": None if at is None else at.x, "lat": None if at is None else at.y}  # fmt: skip
