"""The demands of a siting study: untreated waste water and the people it comes from, as points in EPSG:9210."""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from rasterio.features import rasterize

from geo.grids import in_crs
from geo.places import containing
from server.figures import WARD_KINDS
from server.sitedata import METRIC

COLUMNS = ("unit", "m3_day", "people")


def demands(spec, data):
    """(GeoDataFrame of points by code: unit, m3_day, people; facts).

    A ward's waste water is shared among squares of demand.square_m as its people are in the population surface; the
    point of a square is the middle of its people. Without a surface a ward is one point inside it. Zones and ports are
    points. facts: what was left out and why, {"unplaced": [codes], "not_known": [codes], "m3_day", "people",
    "unknown_m3_day"}.
    """
    where = data.area(spec)
    if spec["demand"]["where"] == "reach":
        where = where.buffer(spec["within_m"])
    area = where.iloc[0]
    units = data.units.to_crs(METRIC)
    known = units[units["m3_day"].notna()]
    wards = known["kind"].isin(WARD_KINDS)
    placed = known.geometry.notna() & ~known.geometry.is_empty
    parts = [_of_wards(known[wards & placed], data.population, area, spec["demand"]["square_m"])]
    parts.append(_of_points(known[~wards & placed & (known["m3_day"] > 0)], area))
    out = pd.concat(parts)
    out = out[out["m3_day"] > 0].sort_index()
    share = out.groupby("unit")["m3_day"].sum() / known["m3_day"]
    facts = {
        "unplaced": sorted(known.index[~placed & (known["m3_day"] > 0)]),
        "not_known": sorted(units.index[units["m3_day"].isna()]),
        "count": len(out),
        "m3_day": float(out["m3_day"].sum()),
        "people": float(out["people"].sum()),
        "unknown_m3_day": float((known["unknown_m3_day"] * share.reindex(known.index)).fillna(0.0).sum()),
        "even": data.population is None,
    }
    return gpd.GeoDataFrame(out, geometry="geometry", crs=METRIC), facts


def _frame(codes, units, m3, people, points):
    columns = {"unit": np.asarray(units, dtype=object), "m3_day": m3, "people": people, "geometry": points}
    return gpd.GeoDataFrame(columns, index=pd.Index(codes, dtype=object), geometry="geometry", crs=METRIC)


def _of_points(rows, area):
    points = rows.geometry.representative_point()
    inside = shapely.intersects(area, points.values)
    rows, points = rows[inside], points[inside]
    return _frame(list(rows.index), list(rows.index), rows["m3_day"].to_numpy(), np.zeros(len(rows)), points.values)


def _of_wards(wards, surface, area, square_m):
    if surface is None or not len(wards):
        inside = wards[shapely.intersects(area, wards.geometry.values)]
        points = inside.geometry.representative_point().values
        people = inside["untreated_people"].fillna(0.0).to_numpy()
        return _frame(list(inside.index), list(inside.index), inside["m3_day"].to_numpy(), people, points)
    shapes = in_crs(wards, surface.crs, "wards")
    owner = rasterize(
        zip(shapes, range(len(shapes)), strict=True),
        surface.values.shape,
        fill=-1,
        transform=surface.transform,
        dtype="int32",
    )
    mask = rasterize([(area, 1)], surface.values.shape, transform=surface.transform, dtype="uint8") == 1
    people = np.nan_to_num(surface.values)
    whole = np.bincount(owner[owner >= 0], people[owner >= 0], minlength=len(shapes))
    row, column = np.nonzero((owner >= 0) & mask & (people > 0))
    unit, weight = owner[row, column], people[row, column]
    t = surface.transform
    x, y = t.c + (column + 0.5) * t.a, t.f + (row + 0.5) * t.e
    east, north = np.floor(x / square_m).astype(int), np.floor(y / square_m).astype(int)
    key = pd.MultiIndex.from_arrays([unit, east, north])
    number, keys = pd.factorize(key, sort=True)
    total = np.bincount(number, weight)
    middle = np.bincount(number, weight * x) / total, np.bincount(number, weight * y) / total
    unit, east, north = (keys.get_level_values(k).to_numpy() for k in range(3))
    share = total / whole[unit]
    codes = [f"{wards.index[u]}/{e}-{n}" for u, e, n in zip(unit, east, north, strict=True)]
    made = _frame(
        codes,
        wards.index.to_numpy()[unit],
        np.round(wards["m3_day"].to_numpy()[unit] * share, 6),
        np.round(wards["untreated_people"].fillna(0.0).to_numpy()[unit] * share, 6),
        shapely.points(np.round(middle[0], 3), np.round(middle[1], 3)),
    )
    return pd.concat([made, _empty_wards(wards, whole, area)])


def _empty_wards(wards, whole, area):
    """Wards in which the surface knows nobody: one point each."""
    lost = wards[whole <= 0]
    points = lost.geometry.representative_point()
    inside = shapely.intersects(area, points.values)
    lost, points = lost[inside], points[inside]
    people = lost["untreated_people"].fillna(0.0).to_numpy()
    return _frame(list(lost.index), list(lost.index), lost["m3_day"].to_numpy(), people, points.values)


def ward_of(points, data):
    """The ward in which each point (GeoSeries) lies, or None; outlines may be schematic."""
    wards = data.units[data.units["kind"].isin(WARD_KINDS)]
    return containing(points.to_crs(4326), wards.geometry)


class WaterWithin:
    """Untreated m³/day of the demands no farther than within_m from the middle of each cell: a raster on a grid.

    Exact; made row by row from the width of each demand's circle at that row, so that a grid of any size needs the same memory.
    """

    def __init__(self, points, within_m, grid):
        self.grid, self.within_m = grid, float(within_m)
        self.transform, self.crs, self.shape = grid.transform, grid.crs, (grid.rows, grid.columns)
        order = np.argsort(-points.geometry.y.to_numpy(), kind="stable")
        self.x, self.y = points.geometry.x.to_numpy()[order], points.geometry.y.to_numpy()[order]
        self.m3 = points["m3_day"].to_numpy()[order]

    def rows_between(self, first, last):
        t, columns = self.transform, self.grid.columns
        out = np.zeros((last - first, columns))
        for k, row in enumerate(range(first, last)):
            y = t.f + (row + 0.5) * t.e
            down = np.abs(self.y - y)
            near = np.flatnonzero(down <= self.within_m)
            half = np.sqrt(self.within_m**2 - down[near] ** 2)
            # cells whose middle lies within `half` of the demand
            begin = np.ceil((self.x[near] - half - t.c) / t.a - 0.5).astype(int).clip(0, columns)
            end = (np.floor((self.x[near] + half - t.c) / t.a - 0.5).astype(int) + 1).clip(0, columns)
            some = end > begin
            step = np.bincount(begin[some], self.m3[near][some], minlength=columns + 1)
            step -= np.bincount(end[some], self.m3[near][some], minlength=columns + 1)
            out[k] = np.cumsum(step)[:columns]
        return np.maximum(np.round(out, 6), 0.0)
