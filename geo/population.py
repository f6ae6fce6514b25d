"""Population surface: how many people live in each 100 m cell.

Ward figures are spread over the ward's cells, evenly or, where built-up land is known, by the
dasymetric method with given weights (Wright 1936, Geogr. Rev. 26, 103-110; Mennis 2003, Prof.
Geogr. 55, 31-42):

    people_c = P_u * a_c / sum of a over the cells of u,    a_c = weight_outside + (1 - weight_outside) * b_c

P_u people of unit u, b_c built-up share of cell c. A value is people per cell, a count, not a
density. NaN is unknown, 0 is nobody.

Which sum is exact: a cell belongs to the unit that holds its centre, and the values of a unit's cells
add up to the unit's people (zonal_people(..., method="centre") gives it back; so does the sum of the
whole surface). method="exact" also counts the fractions of border cells: nearer to the truth for any
other zone, but for a unit itself it differs by what border cells share with the neighbours.
"""

import os
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from rasterio.features import rasterize
from rasterio.warp import transform_bounds
from rasterio.windows import Window

MOST_CELLS = 25_000_000  # 200 MB of float64


@dataclass(frozen=True, eq=False)
class Surface:
    """People per cell on a north-up grid.

    values: rows x columns, float64, first row in the north; nodata (NaN) where unknown.
    transform: column, row to x, y of a cell's upper left corner, in units of crs. tags: units, source.
    """

    values: np.ndarray
    transform: Affine
    crs: CRS
    nodata: float = np.nan
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def bounds(self):
        """West, south, east, north."""
        rows, columns = self.values.shape
        t = self.transform
        return (t.c, t.f + rows * t.e, t.c + columns * t.a, t.f)


def population_surface(
    units, *, built_up=None, weight_outside=0.1, resolution_m=100.0, crs="EPSG:9210", people="population"
):
    """Surface of the people of polygons, on a grid whose lines are multiples of resolution_m.

    units: GeoDataFrame of polygons with a column people (counts; NaN is unknown). built_up: polygons
    preferred by the people; weight_outside: density outside them relative to inside, 0 to 1 (0.1 is an
    assumption, not a survey). Both are reprojected to crs, which must be in metres.
    Cells outside all units, and of units with unknown people, are NaN. A unit that holds no cell centre
    gives its people to the cell of a point inside it, on top of what is there. A unit in which every
    weight is 0 is filled evenly: nobody is lost. Where units overlap the cell goes to the later code.
    Raises ValueError: no CRS or not in metres, not a polygon, people < 0, weight outside 0..1, grid too big.

    >>> square = gpd.GeoDataFrame({"population": [80]}, geometry=[shapely.box(0, 0, 200, 200)], crs=9210)
    >>> population_surface(square).values.tolist()
    [[20.0, 20.0], [20.0, 20.0]]
    """
    crs = CRS.from_user_input(crs)
    if not crs.is_projected or any(axis.unit_conversion_factor != 1 for axis in crs.axis_info):
        raise ValueError(f"{crs.name} is not in metres: choose a projected CRS such as EPSG:9210.")
    if not 0 <= weight_outside <= 1 or not resolution_m > 0:
        raise ValueError("weight_outside must be 0 to 1 and resolution_m above 0.")
    shapes = _polygons(units, crs, "unit").sort_index(kind="stable")
    heads = units[people].sort_index(kind="stable").to_numpy(dtype=float, na_value=np.nan)
    if shapes.is_empty.any() or not len(shapes):
        raise ValueError(f"Units without outline: {list(shapes.index[shapes.is_empty])} (of {len(shapes)}).")
    bad = (heads < 0) | np.isinf(heads)
    if bad.any():
        raise ValueError(f"People must be 0 or more: look at {list(shapes.index[bad])}.")
    west, south, east, north = shapes.total_bounds / resolution_m
    west, south, east, north = np.floor(west), np.floor(south), np.ceil(east), np.ceil(north)
    size = (int(max(north - south, 1)), int(max(east - west, 1)))
    if size[0] * size[1] > MOST_CELLS:
        raise ValueError(f"The grid would have {size[0]} x {size[1]} cells: choose a larger resolution_m.")
    transform = Affine(resolution_m, 0.0, west * resolution_m, 0.0, -resolution_m, north * resolution_m)
    numbered = zip(shapes, range(len(shapes)), strict=True)
    owner = rasterize(numbered, size, fill=-1, transform=transform, dtype="int32").ravel()
    cell = np.flatnonzero(owner >= 0)
    unit = owner[cell]
    tiny = np.setdiff1d(np.arange(len(shapes)), unit)
    inner = shapes.iloc[tiny].representative_point()
    column = np.floor(inner.x / resolution_m - west).astype(int).clip(0, size[1] - 1)
    row = np.floor(north - inner.y / resolution_m).astype(int).clip(0, size[0] - 1)
    cell, unit = np.append(cell, row * size[1] + column), np.append(unit, tiny)
    weight = np.ones(len(cell))
    if built_up is not None:
        town = _covered(Surface(np.zeros(size), transform, crs), _polygons(built_up, crs, "area"))
        weight = weight_outside + (1 - weight_outside) * town[cell]
        weight[np.bincount(unit, weight)[unit] <= 0] = 1.0
    share = heads[unit] * weight / np.bincount(unit, weight)[unit]
    known = np.isfinite(share)
    values = np.full(size[0] * size[1], np.nan)
    values[cell[known]] = 0.0
    np.add.at(values, cell[known], share[known])
    return Surface(values.reshape(size), transform, crs, tags={"units": "people per cell"})


def zonal_people(surface, zones, *, method="exact"):
    """People in each zone: Series with the zones' index, named people.

    zones: polygons of any CRS (reprojected to the surface's), may overlap. method "exact" weights each
    cell by the fraction of it inside the zone (exactextract); "centre" takes the cells whose centre is
    inside: no fractions, faster for a city's wards. NaN: the zone meets no known cell or has no
    outline. Unknown cells count nothing, so a zone partly unknown gives a lower bound.
    Raises ValueError: no CRS, not a polygon, self-crossing outline, unknown method; ImportError where
    exactextract is not installed and fractions are asked for.
    """
    shapes = _polygons(zones, surface.crs, "zone")
    return pd.Series(_sums(surface, shapes, method), index=zones.index, name="people", dtype=float)


def share_of_units(surface, units, areas, *, method="exact"):
    """Share of each unit's people inside each service area.

    units, areas: polygons of any CRS (reprojected to the surface's); the indexes are the codes.
    One row per pair that overlaps: unit, area, people (of the surface, inside both), share (0 to 1 of
    the unit's people, both counted by the method of zonal_people). Unknown or nobody in a unit: NaN.
    Each pair stands alone: where areas overlap, the shares of a unit may add up to more than 1;
    over_served tells.
    """
    home, reach = _polygons(units, surface.crs, "unit"), _polygons(areas, surface.crs, "area")
    i, j = reach.sindex.query(home, predicate="intersects")
    both = gpd.GeoSeries(shapely.intersection(home.values[i], reach.values[j]), crs=surface.crs)
    order = np.lexsort((j, i))
    order = order[both.area.to_numpy()[order] > 0]
    i, j, both = i[order], j[order], both.iloc[order].map(_only_polygons)
    of_unit = _sums(surface, home, method)[i]
    people = np.nan_to_num(_sums(surface, both, method)) + 0 * of_unit  # unknown unit: NaN
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(of_unit > 0, np.clip(people / of_unit, 0, 1), np.nan)
    return pd.DataFrame({"unit": home.index[i], "area": reach.index[j], "people": people, "share": share})


def over_served(shares, *, tolerance=1e-6):
    """Units whose shares add up to more than 1: Series of the sums, by unit.

    >>> over_served(pd.DataFrame({"unit": ["a", "a", "b"], "share": [0.7, 0.5, 1.0]})).round(3).to_dict()
    {'a': 1.2}
    """
    total = shares.groupby("unit")["share"].sum()
    return total[total > 1 + tolerance]


def write_cog(surface, path, *, tags=None):
    """Write the surface as a Cloud-Optimised GeoTIFF; the file appears whole or not at all.

    tags: source, date and whatever else is to travel in the file, beside those of the surface.
    Overviews hold averages: people per cell of the full resolution.
    """
    path = Path(path)
    rows, columns = surface.values.shape
    profile = {"driver": "COG", "height": rows, "width": columns, "count": 1, "dtype": "float64"}
    profile |= {"crs": surface.crs.to_wkt(), "transform": surface.transform, "nodata": np.nan}
    profile |= {"compress": "DEFLATE", "predictor": "YES", "overview_resampling": "AVERAGE"}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".cog-") as folder:
        part = Path(folder) / "part.tif"
        with rasterio.open(part, "w", **profile) as file:
            file.write(surface.values, 1)
            file.update_tags(**{k: str(v) for k, v in {**surface.tags, **(tags or {})}.items()})
        os.replace(part, path)


def read_surface(path):
    """Surface of a file written by write_cog, or of any north-up raster of people per cell; see conform."""
    with rasterio.open(path) as file:
        crs = _check_raster(file)
        if file.transform.b or file.transform.d or file.transform.e >= 0:
            raise ValueError(f"{Path(path).name} is turned or upside down: use conform.")
        values = file.read(1, masked=True).astype(float).filled(np.nan)
        tags = {k: v for k, v in file.tags().items() if k != "AREA_OR_POINT"}
        return Surface(values, file.transform, crs, tags=tags)


def conform(source, *, like):
    """A raster of people per cell on the grid of another surface, and a list of what was odd in it.

    source: path or open rasterio dataset, one numeric band, any CRS and cell size. like: a Surface.
    Each source cell is cut into equal pieces of at most an eighth of our cell, and every piece's
    people go to the cell its middle falls in: by area, to an eighth of a cell, and nobody on the grid
    is lost, whatever the CRS and however the raster is turned. (GDAL's warp with "sum" loses up to
    10 % here: tried with GDAL 3.10.) Negative and infinite values become unknown. Above 25 million
    cells only the part over the grid is read. A cell that meets only unknown cells is NaN.
    Raises ValueError: no CRS, no georeference, several bands, not numeric, nothing over the grid,
    cells over 500 times as wide as ours.
    """
    opened = rasterio.open(source) if isinstance(source, str | os.PathLike) else nullcontext(source)
    odd = []
    with opened as file:
        crs = _check_raster(file)
        over = _window_over(file, like)
        large = file.width * file.height > MOST_CELLS
        if large:
            odd.append("Only the part over our grid was read, the raster is very large.")
        values = file.read(1, masked=True, window=over if large else None).astype(float).filled(np.nan)
        if file.nodata is None and np.isfinite(values).all():
            odd.append("No nodata value is declared: 0 was read as nobody, not as unknown.")
        if (file.scales[0], file.offsets[0]) != (1.0, 0.0):
            values = values * file.scales[0] + file.offsets[0]
            odd.append("The scale and offset declared in the file were applied.")
        if "km" in f"{file.units[0]} {file.descriptions[0]} {file.tags().get('units')}":
            odd.append("The file speaks of km: if it holds people per km², it is not people per cell.")
        t, x, y = file.transform, over.col_off, over.row_off
        transform = Affine(t.a, t.b, t.c + x * t.a + y * t.b, t.d, t.e, t.f + x * t.d + y * t.e)
    with np.errstate(invalid="ignore"):
        refused = {"negative": values < 0, "infinite": np.isinf(values)}
    for word, cells in refused.items():
        if cells.any():
            odd.append(f"{int(cells.sum())} {word} values were read as unknown.")
            values[cells] = np.nan
    total = np.nansum(values)
    values = values if large else values[over.toslices()]
    out = _spread(values, transform, Transformer.from_crs(crs, like.crs, always_xy=True), like)
    if not np.isfinite(out).any():
        raise ValueError("The raster has no known cell over our grid: is it the right place and CRS?")
    arrived = np.nansum(out)
    if abs(total - arrived) > 0.001 * total:
        odd.append(f"{1 - arrived / total:.1%} of the raster's people ({total:,.0f}) lie outside our grid.")
    if total == 0:
        odd.append("There are no people in the raster.")
    return Surface(out, like.transform, like.crs, tags={"units": "people per cell"}), odd


def _spread(values, transform, to_grid, like):
    """People of the cells of values on the grid of like; see conform."""
    s, t, (rows, columns) = transform, like.transform, like.values.shape
    total = np.zeros(rows * columns + 1)  # the last one: off the grid
    met = total > 0
    block = max(1, 200_000 // values.shape[1])
    for first in range(0, len(values), block):
        part = values[first : first + block]
        y, x = np.mgrid[first : first + len(part) + 1, 0 : part.shape[1] + 1]
        east, north = to_grid.transform(s.a * x + s.b * y + s.c, s.d * x + s.e * y + s.f)
        lattice = np.stack([(east - t.c) / t.a, (north - t.f) / t.e])  # columns and rows of like
        upper, lower = lattice[:, :-1], lattice[:, 1:]
        corners = np.stack([upper[..., :-1], upper[..., 1:], lower[..., :-1], lower[..., 1:]])
        low, high = corners.min(axis=0), corners.max(axis=0)
        near = np.isfinite(part + high.sum(axis=0) + low.sum(axis=0))
        near &= (high >= 0).all(axis=0) & (low[0] <= columns) & (low[1] <= rows)
        if not near.any():
            continue
        people, corners = part[near], corners[:, :, near, None, None]
        pieces = max(1, int(np.ceil(8 * (high - low)[:, near].max() - 1e-6)))
        if pieces > 4000:
            raise ValueError("The raster's cells are over 500 times as wide as ours: it is too coarse.")
        middle = (np.arange(pieces) + 0.5) / pieces
        many = max(1, 1_000_000 // pieces**2)  # source cells at a time, and lines of pieces
        lines = max(1, 1_000_000 // (pieces * min(many, len(people))))
        for k in range(0, len(people), many):
            nw, ne, sw, se = corners[:, :, k : k + many]
            for m in range(0, pieces, lines):
                down = middle[m : m + lines, None]
                left, right = nw + down * (sw - nw), ne + down * (se - ne)
                column, row = np.floor(left + middle * (right - left))
                on = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
                cell = np.where(on, row * columns + column, rows * columns).astype(np.intp)
                share = np.broadcast_to(people[k : k + many, None, None] / pieces**2, cell.shape)
                total += np.bincount(cell.ravel(), share.ravel(), minlength=total.size)
                met[cell] = True
    return np.where(met, total, np.nan)[:-1].reshape(rows, columns)


def _polygons(layer, crs, word):
    """GeoSeries in crs of valid polygons; missing outlines are empty ones."""
    if layer.crs is None:
        raise ValueError(f"The {word}s have no CRS: set it, e.g. set_crs('EPSG:4326').")
    outlines = layer.geometry.to_crs(crs)
    outlines = np.where(shapely.is_missing(outlines.values), shapely.Polygon(), outlines.values)
    shapes = gpd.GeoSeries(outlines, index=layer.index, crs=crs)
    other = ~shapes.geom_type.isin(["Polygon", "MultiPolygon"])
    if other.any():
        raise ValueError(f"Not a polygon: {word} {list(shapes.index[other])}.")
    if not shapes.is_valid.all():
        raise ValueError(f"The outline crosses itself: repair {word} {list(shapes.index[~shapes.is_valid])}.")
    return shapes


def _only_polygons(shape):
    """The polygons of a shape: an intersection may also hold lines and points."""
    if shape.geom_type in ("Polygon", "MultiPolygon"):
        return shape
    return shapely.union_all([p for p in shapely.get_parts(shape) if p.geom_type.endswith("Polygon")])


def _extract(surface, shapes, operations):
    """exactextract on the shapes that are not empty; column zone holds their position.

    In units of cells, rounded to a millionth: with exactextract 0.3 a corner within 1e-9 m of a cell's
    edge can give a wrong sum or end the process, and a corner given twice in a row (real wards have them)
    stops it with "Never get here". Both are tried in the tests.
    """
    try:
        from exactextract import exact_extract
        from exactextract.raster import NumPyRasterSource
    except ImportError as missing:
        raise ImportError('Fractions of cells need exactextract; without it use method="centre".') from missing
    t, (rows, columns) = surface.transform, surface.values.shape
    origin, cell = [t.c, t.f + rows * t.e], [t.a, -t.e]
    outlines = shapely.transform(shapes.values, lambda xy: np.round((xy - origin) / cell, 6))
    outlines = shapely.make_valid(outlines, method="structure", keep_collapsed=False)
    position = np.flatnonzero(shapely.area(outlines) > 0)
    if not len(position):
        return pd.DataFrame(columns=["zone", *operations])
    wkt = surface.crs.to_wkt()  # in name only: exactextract insists on one
    raster = NumPyRasterSource(surface.values, 0, 0, columns, rows, nodata=np.nan, srs_wkt=wkt)
    frame = gpd.GeoDataFrame({"zone": position}, geometry=outlines[position], crs=surface.crs)
    return exact_extract(raster, frame, operations, include_cols=["zone"], output="pandas")


def _sums(surface, shapes, method):
    if method == "centre":
        return _centre_sums(surface, shapes)
    if method != "exact":
        raise ValueError(f'method is "exact" or "centre", not {method!r}.')
    found = _extract(surface, shapes, ["sum", "count"])
    out = np.full(len(shapes), np.nan)
    seen = found[found["count"] > 0]
    out[seen["zone"].to_numpy(dtype=int)] = seen["sum"].to_numpy(dtype=float)
    return out


def _covered(surface, shapes):
    """Share of each cell (flat, row by row) inside any of the shapes."""
    whole = gpd.GeoSeries([shapely.union_all(shapes.values)], crs=shapes.crs)
    out = np.zeros(surface.values.size)
    for found in _extract(surface, whole, ["cell_id", "coverage"]).itertuples():
        out[found.cell_id] = found.coverage
    return out


def _centre_sums(surface, shapes):
    t, (rows, columns) = surface.transform, surface.values.shape
    out = np.full(len(shapes), np.nan)
    for k, shape in enumerate(shapes):
        if shape.is_empty:
            continue
        west, south, east, north = shape.bounds
        left, right = np.clip(np.floor([(west - t.c) / t.a, (east - t.c) / t.a]), -1, columns).astype(int)
        top, bottom = np.clip(np.floor([(north - t.f) / t.e, (south - t.f) / t.e]), -1, rows).astype(int)
        left, top = max(left, 0), max(top, 0)
        part = surface.values[top : bottom + 1, left : right + 1]
        if not part.size:
            continue
        corner = Affine(t.a, 0.0, t.c + left * t.a, 0.0, t.e, t.f + top * t.e)
        inside = rasterize([(shape, 1)], part.shape, transform=corner, dtype="uint8") == 1
        known = part[inside & np.isfinite(part)]
        out[k] = known.sum() if known.size else np.nan
    return out


def _check_raster(file):
    """pyproj CRS of an open raster that can be people per cell."""
    name = Path(file.name).name
    if file.crs is None:
        raise ValueError(f"{name} has no CRS: set it in your GIS, then send it again.")
    if file.transform.is_identity:
        raise ValueError(f"{name} has no georeference: its cells have no place on the map.")
    if file.count != 1:
        raise ValueError(f"{name} has {file.count} bands: send one band, people per cell.")
    if np.dtype(file.dtypes[0]).kind not in "iuf":
        raise ValueError(f"{name} holds {file.dtypes[0]}: people per cell must be plain numbers.")
    code = file.crs.to_epsg()
    return CRS.from_epsg(code) if code else CRS.from_wkt(file.crs.to_wkt())


def _window_over(file, like):
    """Window of the file over the grid of like, one cell wider."""
    west, south, east, north = transform_bounds(like.crs.to_wkt(), file.crs, *like.bounds)
    t = file.transform
    x, y = np.array([west, west, east, east]) - t.c, np.array([south, north, south, north]) - t.f
    turn = t.a * t.e - t.b * t.d
    column, row = (t.e * x - t.b * y) / turn, (t.a * y - t.d * x) / turn
    left, right = np.clip([np.floor(column.min()) - 1, np.ceil(column.max()) + 1], 0, file.width)
    top, bottom = np.clip([np.floor(row.min()) - 1, np.ceil(row.max()) + 1], 0, file.height)
    if right <= left or bottom <= top:
        raise ValueError("The raster has no cell over our grid: is it the right place and CRS?")
    return Window(int(left), int(top), int(right - left), int(bottom - top))
