"""The grid of a study, and rasters that must lie on it.

A raster is anything with values (an array), transform, crs and nodata, such as a population Surface; or an open rasterio
dataset of one band; or a Slope of one of these. It is read some rows at a time, so that its size does not matter.
Rasters on another grid are refused, with both grids named: resampled() lays a dataset on the study's grid.
"""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import rasterio.features
import shapely
from affine import Affine
from pyproj import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

MOST_CELLS = 200_000_000
STRIP_CELLS = 1_500_000  # cells looked at together: some 100 MB of work for a distance


class GridError(ValueError):
    """A raster or a grid that does not fit. str() is the sentence in English, .vi in Vietnamese."""

    def __init__(self, en, vi):
        self.en, self.vi = en, vi
        super().__init__(en)


@dataclass(frozen=True)
class Grid:
    """North-up square cells. transform: column, row -> x, y of a cell's upper left corner, in metres of crs."""

    transform: Affine
    rows: int
    columns: int
    crs: CRS

    @property
    def cell_m(self):
        return self.transform.a

    @property
    def bounds(self):
        """West, south, east, north."""
        t = self.transform
        return (t.c, t.f + self.rows * t.e, t.c + self.columns * t.a, t.f)

    def centre(self, row, column):
        """x, y of the middle of cells; numbers or arrays."""
        t = self.transform
        return t.c + (np.asarray(column) + 0.5) * t.a, t.f + (np.asarray(row) + 0.5) * t.e

    def cell(self, x, y):
        """(row, column) of the cell that holds a point, or None outside the grid."""
        t = self.transform
        row, column = int(np.floor((y - t.f) / t.e)), int(np.floor((x - t.c) / t.a))
        return (row, column) if 0 <= row < self.rows and 0 <= column < self.columns else None

    def strips(self, height=None):
        """(first row, row after the last) of strips over the full width, from the north; height: rows each."""
        height = height or max(16, STRIP_CELLS // self.columns)
        return [(first, min(first + height, self.rows)) for first in range(0, self.rows, height)]

    def part(self, first, last, *, west=0, east=0):
        """The Grid of some rows, with columns added on either side; rows may lie outside."""
        t = self.transform
        transform = Affine(t.a, t.b, t.c - west * t.a, t.d, t.e, t.f + first * t.e)
        return Grid(transform, last - first, self.columns + west + east, self.crs)

    def __str__(self):
        west, _, _, north = self.bounds
        code = self.crs.to_epsg()
        name = f"EPSG:{code}" if code else self.crs.name
        return f"{self.rows} x {self.columns} cells of {self.cell_m:g} m from {west:g}, {north:g} in {name}"


def study_grid(area, resolution_m, *, crs="EPSG:9210", most_cells=MOST_CELLS):
    """Grid over polygons (any CRS), its lines at multiples of resolution_m.

    Raises GridError: no CRS, crs not in metres, nothing inside, more than most_cells.

    >>> square = gpd.GeoSeries([shapely.box(5, 5, 95, 45)], crs=9210)
    >>> str(study_grid(square, 10))
    '5 x 10 cells of 10 m from 0, 50 in EPSG:9210'
    """
    crs = CRS.from_user_input(crs)
    if not crs.is_projected or any(axis.unit_conversion_factor != 1 for axis in crs.axis_info):
        raise GridError(f"{crs.name} is not in metres.", f"{crs.name} không tính bằng mét.")
    if not resolution_m > 0:
        raise GridError("The cell size must be above 0.", "Kích thước ô phải lớn hơn 0.")
    bounds = in_crs(area, crs, "study area").total_bounds
    if not np.isfinite(bounds).all() or not (bounds[2] > bounds[0] and bounds[3] > bounds[1]):
        raise GridError("The study area is empty.", "Khu vực nghiên cứu rỗng.")
    west, south = np.floor(bounds[:2] / resolution_m)
    east, north = np.ceil(bounds[2:] / resolution_m)
    rows, columns = int(north - south), int(east - west)
    if rows * columns > most_cells:
        raise GridError(
            f"The grid would have {rows:,} x {columns:,} cells; at most {most_cells:,} are taken. Choose larger cells.",
            f"Lưới sẽ có {rows:,} x {columns:,} ô; tối đa {most_cells:,}. Hãy chọn ô lớn hơn.",
        )
    transform = Affine(resolution_m, 0.0, west * resolution_m, 0.0, -resolution_m, north * resolution_m)
    return Grid(transform, rows, columns, crs)


def in_crs(shapes, crs, name):
    """GeoSeries of the shapes in crs, without empty ones. Raises GridError if they have no CRS."""
    shapes = shapes.geometry if isinstance(shapes, gpd.GeoDataFrame) else shapes
    if shapes.crs is None:
        raise GridError(f"The layer {name!r} has no CRS.", f"Lớp {name!r} không có hệ tọa độ.")
    shapes = shapes[~(shapes.isna() | shapes.is_empty)].to_crs(crs)
    return shapes[~shapes.is_empty]


def grid_of(raster):
    """Grid of a raster."""
    rows, columns = raster.values.shape if hasattr(raster, "values") else raster.shape
    return Grid(raster.transform, int(rows), int(columns), CRS.from_user_input(raster.crs))


def check_aligned(raster, grid, name):
    """Raises GridError unless a raster lies exactly on a grid."""
    if raster.crs is None:
        raise GridError(f"The raster {name!r} has no CRS.", f"Ảnh {name!r} không có hệ tọa độ.")
    own = grid_of(raster)
    same = own.crs == grid.crs and (own.rows, own.columns) == (grid.rows, grid.columns)
    if not same or not own.transform.almost_equals(grid.transform, precision=grid.cell_m * 1e-6):
        raise GridError(
            f"The raster {name!r} has another grid than the study: {own}, not {grid}. Resample it first.",
            f"Ảnh {name!r} không cùng lưới với nghiên cứu: {own}, không phải {grid}. Hãy lấy mẫu lại trước.",
        )


def read_rows(raster, first, last):
    """Values of some rows, float64; NaN where nothing is known."""
    if hasattr(raster, "rows_between"):
        return raster.rows_between(first, last)
    if hasattr(raster, "values"):
        values = np.asarray(raster.values[first:last], dtype=float)
        return values if np.isnan(raster.nodata) else np.where(values == raster.nodata, np.nan, values)
    window = Window(0, first, raster.width, last - first)
    return raster.read(1, window=window, masked=True).astype(float).filled(np.nan)


def resampled(dataset, grid, *, method="bilinear"):
    """An open dataset laid on a grid, read in windows; method: 'bilinear', 'nearest', 'average', 'max' ... of GDAL."""
    options = {"height": grid.rows, "width": grid.columns, "resampling": Resampling[method], "nodata": np.nan}
    return WarpedVRT(dataset, crs=grid.crs, transform=grid.transform, dtype="float64", **options)


class Slope:
    """Slope in per cent of an elevation raster in metres, by Horn's formula (Horn 1981, Proc. IEEE 69, 14-47):

        100 sqrt(p² + q²),  p = ((c + 2f + i) - (a + 2d + g)) / 8 cell,  q the same downwards, of a b c / d e f / g h i

    NaN where one of the nine cells is unknown or outside.
    """

    def __init__(self, elevation):
        self.elevation, own = elevation, grid_of(elevation)
        self.transform, self.crs, self.shape = own.transform, own.crs, (own.rows, own.columns)

    def rows_between(self, first, last):
        above, below = max(first - 1, 0), min(last + 1, self.shape[0])
        z = read_rows(self.elevation, above, below)
        z = np.pad(z, ((above - first + 1, last + 1 - below), (1, 1)), constant_values=np.nan)
        west, east = z[:, :-2], z[:, 2:]
        p = (east[:-2] + 2 * east[1:-1] + east[2:]) - (west[:-2] + 2 * west[1:-1] + west[2:])
        down = (z[2:, :-2] + 2 * z[2:, 1:-1] + z[2:, 2:]) - (z[:-2, :-2] + 2 * z[:-2, 1:-1] + z[:-2, 2:])
        slope = 100 * np.hypot(p, down) / (8 * self.transform.a)
        return np.where(np.isnan(z[1:-1, 1:-1]), np.nan, slope)


def squares_where(raster, wanted):
    """GeoSeries of polygons round the cells whose value satisfies wanted, such as inhabited cells of a Surface.

    wanted: function of an array of values to booleans; unknown cells are never wanted. Cells that touch are one polygon.
    """
    grid, shapes = grid_of(raster), []
    for first, last in grid.strips():
        values = read_rows(raster, first, last)
        mask = wanted(values) & ~np.isnan(values)
        found = rasterio.features.shapes(mask.astype("uint8"), mask=mask, transform=grid.part(first, last).transform)
        shapes += [shapely.geometry.shape(ring) for ring, _ in found]
    return gpd.GeoSeries(shapes, crs=grid.crs)
