"""Files from outside, read as they stand there, piece by piece.

    with opened(path) as source:
        for chunk in source.chunks(): ...     raw columns, and shapes where the file has any
    source.crs, source.notes                  what it declares, what was left out

Where the coordinates belong is the business of geo/crs.py; here a file only says what it declares.
"""

import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from layers import parcels, sheets
from layers.columns import fill_blanks, mapping, rename
from layers.errors import LayerError
from layers.letters import fold
from layers.parquet import Parquet
from layers.vectors import open_vector, plain_value

__all__ = ["MAX_BYTES", "TABLES", "VECTOR", "Chunk", "Source", "fill_blanks", "mapping", "opened", "read", "rename"]

MAX_BYTES = 500_000_000
MAX_ROWS = 2_000_000
CHUNK = 5_000
PARQUET = {".parquet", ".geoparquet"}
VECTOR = {".gpkg", ".geojson", ".json", ".kml", ".gpx", ".dxf", ".fgb", ".shp"}
TABLES = {".csv", ".txt", ".tsv", ".xlsx"}

# Words people write over coordinate columns, folded; the first of each pair is the easting or longitude.
_EAST = ("lon", "long", "longitude", "kinh do", "lng", "easting", "e", "x", "toa do x", "point x", "xcoord", "kinh do e",
         "coord x", "x coord", "xcoordinate", "x coordinate", "tdx", "td x", "toa do e", "dong", "kinh tuyen", "map x")  # fmt: skip
_NORTH = ("lat", "latitude", "vi do", "northing", "n", "y", "toa do y", "point y", "ycoord", "vi do n", "coord y",
          "y coord", "ycoordinate", "y coordinate", "tdy", "td y", "toa do n", "bac", "vi tuyen", "map y")  # fmt: skip
_WKT = ("wkt", "geom wkt", "geometry", "the geom", "hinh hoc", "geom", "shape wkt")
_PAIR = ("toa do", "coordinates", "coordinate", "location", "vi tri", "lat lon", "latlon", "lat long", "latlong",
         "lon lat", "position", "gps", "toa do gps", "kinh do vi do", "vi do kinh do", "xy", "toa do xy")  # fmt: skip
_BESIDE = {"m", "deg", "dd", "wgs", "84", "wgs84", "vn", "2000", "vn2000", "vn-2000"}


@dataclass(frozen=True)
class Chunk:
    """Some rows. frame: raw columns, None where blank; first: number of the first row, from 0.

    shapes: their geometries in the declared system, None where the file has none; unread: rows whose
    geometry is there but cannot be read.
    """

    first: int
    frame: pd.DataFrame
    shapes: np.ndarray | None
    unread: np.ndarray


@dataclass(frozen=True)
class Roles:
    """Columns of a table that say where a row lies: x and y, or one with both (pair), or wkt; None otherwise."""

    x: str | None = None
    y: str | None = None
    pair: str | None = None
    wkt: str | None = None

    @property
    def names(self):
        return tuple(c for c in (self.x, self.y, self.pair, self.wkt) if c is not None)


class Source:
    """A file that was opened. kind: its suffix by content; sheets: names of its layers or sheets, where it has several.

    crs: what it declares (pyproj.CRS) or None; notes: sentences about what was left out or read in a
    particular way; both whole after chunks() was walked. sha256: of the file.
    """

    def __init__(self, shown, kind, sha256):
        self.shown, self.kind, self.sha256 = shown, kind, sha256
        self.crs, self.notes, self.sheets, self.has_shapes = None, [], (), kind in VECTOR
        self._walk = None

    def chunks(self):
        """Walk the rows once, as Chunks; LayerError where the file breaks off, has no rows or too many."""
        first = 0
        for frame, shapes, unread in self._walk():
            if not len(frame):
                continue
            if first + len(frame) > MAX_ROWS:
                raise _too_many(self.shown)
            none = np.zeros(len(frame), dtype=bool)
            yield Chunk(first, frame, shapes, none if unread is None else unread)
            first += len(frame)
        if not first:
            raise LayerError.of("{name} has no rows.", "{name} không có dòng nào.", name=self.shown)


def _too_many(shown):
    return LayerError.of(
        "{name} has more than {most:,} rows. Split the file.",
        "{name} có hơn {most:,} dòng. Hãy chia nhỏ tệp.",
        name=shown,
        most=MAX_ROWS,
    )


@contextmanager
def opened(path, *, sheet=None, shown=None):
    """A file as a Source; LayerError says what is wrong with it and what to do.

    Takes GeoPackage, zipped Shapefile, GeoJSON, KML, KMZ, GPX, DXF, FlatGeobuf, CSV, XLSX and, where pyarrow is
    installed, Parquet, also inside a zip. Of several layers or sheets the first with rows is read (or `sheet`), and the others are named.
    shown: the name of the file in sentences.
    """
    path = Path(path)
    shown = shown or path.name
    if not path.is_file():
        raise LayerError.of("There is no file {path}.", "Không có tệp {path}.", path=path)
    size = path.stat().st_size
    if size == 0:
        raise LayerError.of("{name} is empty.", "{name} trống.", name=shown)
    if size > MAX_BYTES:
        raise LayerError.of(
            "{name} has {size:,.0f} MB; files up to {most:,.0f} MB are taken.",
            "{name} có {size:,.0f} MB; chỉ nhận tệp đến {most:,.0f} MB.",
            name=shown,
            size=size / 1e6,
            most=MAX_BYTES / 1e6,
        )
    kind, note = parcels.kind(path, path.suffix.lower(), shown)
    with tempfile.TemporaryDirectory(prefix="cangxanh-file-") as folder:
        inside = [path]
        if kind in (".zip", ".kmz"):
            inside = parcels.unpack(path, Path(folder), shown)
            kind, inner = parcels.kind(inside[0], inside[0].suffix.lower(), inside[0].name)
            note = note or inner
        if kind in VECTOR and inside[0].suffix.lower() not in (kind, ".json"):  # GDAL goes by the name, too
            named = Path(folder) / f"data{kind}"
            shutil.copyfile(inside[0], named)
            inside = [named]
        source = Source(shown, kind, parcels.digest(path))
        source.notes += [note] if note else []
        if kind in (".csv", ".txt", ".tsv"):
            _table(source, sheets.open_csv(inside[0], shown))
        elif kind == ".xlsx":
            _table(source, sheets.open_xlsx(inside[0], sheet, shown))
        elif kind in PARQUET:
            _parquet(source, Parquet(inside[0], shown))
        elif kind in VECTOR:
            open_vector(source, inside, sheet, size, Path(folder), chunk=CHUNK, most=MAX_ROWS)
        else:
            raise LayerError.of(
                "{name}: files ending in '{kind}' are not read. Known are {known}.",
                "{name}: không đọc được tệp có đuôi '{kind}'. Đọc được: {known}.",
                name=shown,
                kind=kind,
                known=", ".join(sorted(k[1:] for k in VECTOR | TABLES | PARQUET | {".zip", ".kmz"})),
            )
        yield source


def read(path, *, sheet=None):
    """All rows of a file as one Received, for files known to be small."""
    with opened(path, sheet=sheet) as source:
        chunks = list(source.chunks())
    frame = pd.concat([c.frame for c in chunks], ignore_index=True)
    found = roles(frame.columns)
    shapes = None
    if source.has_shapes:
        shapes = np.concatenate([c.shapes for c in chunks])
    elif found.wkt:
        shapes, _ = wkt_shapes(frame.pop(found.wkt))
    if shapes is not None:
        frame = gpd.GeoDataFrame(frame, geometry=shapes, crs=source.crs)
    return Received(frame, source.crs, found.x, found.y, tuple(source.notes), source.sha256)


@dataclass(frozen=True)
class Received:
    """What a file holds. frame: raw columns, and geometry where it has any, in the declared crs (or None).

    x, y: names of two coordinate columns of a table, in the order written; None otherwise.
    notes: sentences about what was left out or read in a particular way. sha256: of the file.
    """

    frame: pd.DataFrame
    crs: object
    x: str | None
    y: str | None
    notes: tuple
    sha256: str


def roles(columns):
    """Roles of the columns of a table, by their names."""
    wkt = _column(columns, _WKT)
    if wkt:
        return Roles(wkt=wkt)
    x, y = _column(columns, _EAST), _column(columns, _NORTH)
    if x is not None and y is not None:
        return Roles(x, y)
    return Roles(pair=_column(columns, _PAIR))


def _column(columns, words):
    folded = {fold(re.sub(r"[_\W]+", " ", c)).strip(): c for c in columns if isinstance(c, str)}
    plain = {" ".join(w for w in text.split() if w not in _BESIDE): c for text, c in reversed(folded.items())}
    return next((known[w] for known in (folded, plain) for w in words if w in known), None)


def wkt_shapes(values):
    """(shapes, which could not be read) of a column of WKT; EWKT's SRID is passed over."""
    texts = [re.sub(r"^\s*SRID=\d+;", "", v) if isinstance(v, str) else None for v in values]
    shapes = shapely.from_wkt(texts, on_invalid="ignore")
    given = np.array([not (v is None or (isinstance(v, float) and np.isnan(v))) for v in values], dtype=bool)
    return shapes, given & shapely.is_missing(shapes)


# --- tables ---


def _table(source, sheet):
    source.sheets, source.has_shapes = sheet.names, False

    def walk():
        held = []
        for row in sheet.rows():
            held.append(row)
            if len(held) == CHUNK:
                yield pd.DataFrame(held, columns=sheet.head, dtype=object), None, None
                held = []
        yield pd.DataFrame(held, columns=sheet.head, dtype=object), None, None
        source.notes += sheet.notes

    source._walk = walk


def _parquet(source, file):
    source.has_shapes, source.crs = file.has_shapes, file.crs
    source.notes += file.notes
    if file.rows > MAX_ROWS:
        raise _too_many(source.shown)

    def walk():
        for columns, shapes, unread in file.pieces(CHUNK):
            made = {name: pd.Series([plain_value(v) for v in values], dtype=object) for name, values in columns.items()}
            count = len(shapes) if shapes is not None else len(next(iter(columns.values())))
            yield pd.DataFrame(made, index=range(count), columns=file.names), shapes, unread

    source._walk = walk


def cell(value):
    """A raw value as text, as people would read it in a table; "" for a blank."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, datetime) and value.time() == time(0):
        value = value.date()
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, Decimal):
        return str(value)
    return str(value)
