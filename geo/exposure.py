"""Who lives, learns or lies ill within reach of a place: people and receptors by distance.

Distances and areas are taken in EPSG:9210 (VN-2000 / TM-3 105°45'). Within 60 km of its meridian a length
is true to 1 in 10,000. Around a point the reach is a circle drawn with 256 corners, which lacks 0.01 % of
the area. The people of a raster cell are taken to live evenly over it, so a ring counts each cell by the
share of it that lies inside. That share is exact; the evenness is an assumption, and `least` and `most`
say what it can do: all people of the cells that the edge cuts live outside, or all inside.

Nobody there (0) and nobody knows (None) are different answers.
"""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from pyproj import CRS

METRIC = CRS.from_epsg(9210)
BANDS_M = (300.0, 1000.0)
_CORNERS = 64  # to a quarter of a circle
_MOST_CELLS = 4_000_000  # in the frame around the reach: 40,000 km² at 100 m


@dataclass(frozen=True, eq=False)
class Band:
    """A ring around a place: over inner_m and up to outer_m away; the first begins with the place itself.

    people: in the known cells of the ring, a lower bound where unknown_share is above 0; None where no
    cell is known. least, most: without and with all people of the cells that its edges cut. unknown_share: share of the ring (of its land, if land was given) without a known cell.
    geometry: the ring, EPSG:9210.
    """

    inner_m: float
    outer_m: float
    people: float | None
    least: float | None
    most: float | None
    unknown_share: float
    geometry: shapely.Geometry


@dataclass(frozen=True)
class Receptor:
    """A school, hospital or the like; distance_m from the edge of the place, 0 inside it."""

    code: str
    name_vi: str
    name_en: str
    kind: str
    distance_m: float


def place_of(places):
    """One geometry in EPSG:9210 of a GeoSeries or GeoDataFrame: all its shapes together.

    Raises ValueError: no CRS, or nothing drawn.
    """
    if places.crs is None:
        raise ValueError("The place has no CRS: set it, e.g. set_crs('EPSG:4326').")
    shapes = places.geometry.to_crs(METRIC)
    shapes = shapes[~(shapes.isna() | shapes.is_empty)]
    if shapes.empty:
        raise ValueError("The place is not drawn: without a point or an outline nothing can be counted.")
    return shapely.union_all(shapes.values)


def people_near(places, surface, *, bands_m=BANDS_M, land=None):
    """People around a place by distance, as a tuple of Band, nearest first; None where there is no raster.

    places: GeoSeries or GeoDataFrame with a CRS (points, lines or areas; one place together). surface:
    anything with values (people per cell, NaN unknown), transform and crs, such as
    geo.population.Surface, north-up in EPSG:9210. land: GeoSeries or GeoDataFrame; what is not land is
    not unknown, it is water. Without it, or without rows, every cell without a value is unknown, the sea too.
    Raises ValueError: no CRS, another CRS of the raster, bands that do not rise from above 0.
    """
    bands_m = tuple(float(b) for b in bands_m)
    if not bands_m or list(bands_m) != sorted(set(bands_m)) or bands_m[0] <= 0:
        raise ValueError(f"The distances must rise from above 0; they are {bands_m}.")
    place = place_of(places)
    if surface is None:
        return None
    if CRS.from_user_input(surface.crs) != METRIC:
        raise ValueError(f"The raster is in {CRS.from_user_input(surface.crs).name}; EPSG:9210 is wanted.")
    ground = None if land is None or land.empty else place_of(land)
    out, inner, inside = [], 0.0, shapely.Polygon()
    cells, values, frame = _cells(surface, place.buffer(bands_m[-1], quad_segs=_CORNERS))
    before = np.zeros(len(values))
    for outer in bands_m:
        whole = place.buffer(outer, quad_segs=_CORNERS)
        within = _areas(cells, whole)
        ring = shapely.difference(whole, inside)
        share = (within - before) / frame.cell_area
        known = np.isfinite(values) & (share > 1e-9)
        counted = (values[known] @ share[known], values[known & (share > 1 - 1e-9)].sum(), values[known].sum())
        counted = (None,) * 3 if not known.any() else tuple(float(n) for n in counted)
        out.append(Band(inner, outer, *counted, _unknown_share(ring, cells, values, frame, ground), ring))
        inner, inside, before = outer, whole, within
    return tuple(out)


def receptors_near(places, receptors, *, reach_m=BANDS_M[-1]):
    """Receptors up to reach_m away as a tuple of Receptor, nearest first; None where there is no such layer.

    receptors: GeoDataFrame with a CRS and, where known, code, name_vi, name_en, kind. A layer without
    rows is no layer: nobody entered what stands there. Rows without a geometry are passed over.
    Raises ValueError: no CRS.
    """
    place = place_of(places)
    if receptors is None or receptors.empty:
        return None
    if receptors.crs is None:
        raise ValueError("The receptors have no CRS: set it, e.g. set_crs('EPSG:4326').")
    shapes = receptors.geometry.to_crs(METRIC)
    distance = shapely.distance(shapes.values, place)  # NaN without a geometry
    near = np.flatnonzero(distance <= reach_m)
    texts = {
        c: receptors[c].astype(object).where(receptors[c].notna(), "").to_numpy()
        if c in receptors
        else np.full(len(receptors), "")
        for c in ("code", "name_vi", "name_en", "kind")
    }
    found = [Receptor(*(str(texts[c][i]) for c in texts), float(distance[i])) for i in near]
    return tuple(sorted(found, key=lambda r: (r.distance_m, r.code, r.name_vi)))


def rings(bands):
    """The rings of people_near as a GeoDataFrame (EPSG:9210), one row each, with what was counted in it."""
    told = ("inner_m", "outer_m", "people", "least", "most", "unknown_share")
    columns = {c: [getattr(b, c) for b in bands] for c in told}
    return gpd.GeoDataFrame(columns, geometry=[b.geometry for b in bands], crs=METRIC)


@dataclass(frozen=True)
class _Frame:
    """The part of a raster that was looked at, and its cell's area in m²."""

    box: shapely.Geometry
    cell_area: float


def _cells(surface, reach):
    """Boxes and values of the cells of the raster that meet the bounds of reach, and their frame."""
    t, (rows, columns) = surface.transform, surface.values.shape
    if t.b or t.d or t.a <= 0 or t.e >= 0:
        raise ValueError("The raster is turned or upside down; a north-up one is wanted.")
    west, south, east, north = reach.bounds
    left, right = np.clip([np.floor((west - t.c) / t.a), np.ceil((east - t.c) / t.a)], 0, columns).astype(int)
    top, bottom = np.clip([np.floor((north - t.f) / t.e), np.ceil((south - t.f) / t.e)], 0, rows).astype(int)
    if (right - left) * (bottom - top) > _MOST_CELLS:
        raise ValueError("The reach is too large to be counted cell by cell.")
    column, row = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
    x, y = t.c + column.ravel() * t.a, t.f + row.ravel() * t.e
    cells = shapely.box(x, y + t.e, x + t.a, y)
    part = np.asarray(surface.values[top:bottom, left:right], dtype=float).ravel()
    extent = shapely.box(t.c, t.f + rows * t.e, t.c + columns * t.a, t.f)
    return cells, part, _Frame(extent, t.a * -t.e)


def _areas(cells, shape):
    """Area of each cell inside the shape, m²."""
    shapely.prepare(shape)
    out = np.zeros(len(cells))
    touched = shapely.intersects(shape, cells)
    whole = shapely.contains_properly(shape, cells)
    out[whole] = shapely.area(cells[whole])
    edge = touched & ~whole
    out[edge] = shapely.area(shapely.intersection(cells[edge], shape))
    return out


def _unknown_share(ring, cells, values, frame, ground):
    """Share of the ring's land where no cell is known; all of the ring is land where no ground is given."""
    if ground is not None:
        ring = shapely.intersection(ring, ground)
    if ring.area == 0:
        return 0.0
    outside = shapely.area(shapely.difference(ring, frame.box))
    unknown = cells[~np.isfinite(values)]
    return float(min(1.0, (outside + _areas(unknown, ring).sum()) / ring.area))
