"""Files from outside, read as they stand there, piece by piece.

    with opened(path) as source:
        for chunk in source.chunks(): ...     raw columns, and shapes where the file has any
    source.crs, source.notes                  what it declares, what was left out

Where the coordinates belong is the business of geo/crs.py; here a file only says what it declares.
"""

import json
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import shapely

from layers import geojson, parcels, shapefile, sheets
from layers.columns import fill_blanks, mapping, rename
from layers.errors import LayerError, said
from layers.letters import fold
from layers.parquet import Parquet

__all__ = ["MAX_BYTES", "TABLES", "VECTOR", "Chunk", "Source", "fill_blanks", "mapping", "opened", "read", "rename"]

MAX_BYTES = 500_000_000
MAX_ROWS = 2_000_000
CHUNK = 5_000
PARQUET = {".parquet", ".geoparquet"}
VECTOR = {".gpkg", ".geojson", ".json", ".kml", ".gpx", ".dxf", ".fgb", ".shp"}
TABLES = {".csv", ".txt", ".tsv", ".xlsx"}
_IN_PARTS = {".gpkg", ".fgb", ".shp"}  # GDAL finds the n-th feature of these without reading the file again
_WHOLE_BYTES = 100_000_000  # of a file that GDAL holds in memory as a whole

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
            _vector(source, inside, sheet, size, Path(folder))
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
            made = {name: pd.Series([_value(v) for v in values], dtype=object) for name, values in columns.items()}
            count = len(shapes) if shapes is not None else len(next(iter(columns.values())))
            yield pd.DataFrame(made, index=range(count), columns=file.names), shapes, unread

    source._walk = walk


# --- vector files ---


def _vector(source, paths, sheet, size, folder):
    if source.kind in (".geojson", ".json"):
        source._walk = lambda: _geojson(source, paths[0], size)
        return
    if source.kind not in _IN_PARTS:
        _not_too_large(source, size)
    shown = source.shown
    try:
        names = [name for name, kind in pyogrio.list_layers(paths[0]) if kind is not None] or [None]
    except (pyogrio.errors.DataSourceError, UnicodeDecodeError) as e:
        raise _unreadable(shown, e) from e
    if sheet is not None and sheet not in names:
        raise LayerError.of(
            "{name} has no layer '{sheet}'. It has: {names}.",
            "{name} không có lớp '{sheet}'. Có: {names}.",
            name=shown,
            sheet=sheet,
            names=", ".join(map(str, names)),
        )
    chosen = sheet
    if chosen is None:
        chosen = next((n for n in names if len(names) > 1 and _features(paths[0], n) > 0), names[0])
    source.sheets = tuple(n for n in names if n is not None)
    others = [n for n in names if n != chosen]
    if others and len(paths) == 1:
        source.notes.append(
            said(
                "Only the layer '{name}' was read; left out: {others}.",
                "Chỉ đọc lớp '{name}'; bỏ qua: {others}.",
                name=chosen,
                others=", ".join(others),
            )
        )
    key = folder / "fields.csv"  # beside a Shapefile that we gave out: names and texts that did not fit
    words = key.read_text(encoding="utf-8-sig", errors="replace") if key.is_file() else None

    def walk():
        for path in paths:
            for frame in _gdal(source, path, chosen if len(paths) == 1 else None):
                shapes = frame.geometry.to_numpy() if isinstance(frame, gpd.GeoDataFrame) else None
                source.crs = getattr(frame, "crs", None) if source.crs is None else source.crs
                plain = pd.DataFrame(frame.drop(columns="geometry", errors="ignore"))
                plain = plain if words is None else shapefile.restored(plain, words)
                yield _plain(plain), np.full(len(plain), None, dtype=object) if shapes is None else shapes, None

    source._walk = walk


def _not_too_large(source, size):
    if size > _WHOLE_BYTES:
        raise LayerError.of(
            "{name} has {size:,.0f} MB; files of this kind are taken up to {most:,.0f} MB. Save it as GeoPackage.",
            "{name} có {size:,.0f} MB; loại tệp này chỉ nhận đến {most:,.0f} MB. Hãy lưu thành GeoPackage.",
            name=source.shown,
            size=size / 1e6,
            most=_WHOLE_BYTES / 1e6,
        )


def _features(path, name):
    try:
        return pyogrio.read_info(path, layer=name, force_feature_count=True)["features"]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, UnicodeDecodeError):
        return 0


def _gdal(source, path, layer):
    try:
        if source.kind == ".gpkg" and _has_curves(path, layer):
            source.notes.append(
                said("Curves were drawn as chains of short lines.", "Các đường cong đã được vẽ thành chuỗi đoạn ngắn.")
            )
        if path.suffix.lower() not in _IN_PARTS and source.kind not in _IN_PARTS:
            frame = pyogrio.read_dataframe(path, layer=layer, max_features=MAX_ROWS + 1)
            for at in range(0, len(frame), CHUNK):
                yield frame.iloc[at : at + CHUNK].reset_index(drop=True)
            return
        at = 0
        while True:
            frame = pyogrio.read_dataframe(path, layer=layer, skip_features=at, max_features=CHUNK)
            yield frame
            if len(frame) < CHUNK:
                return
            at += CHUNK
    except (
        pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError,
        pyogrio.errors.GeometryError, pyogrio.errors.CRSError, shapely.errors.ShapelyError,
        pyproj.exceptions.ProjError, UnicodeDecodeError, ValueError,
    ) as e:  # fmt: skip
        raise _unreadable(source.shown, e) from e
    except IndexError as e:  # of pyogrio, where a file holds no layer at all
        raise LayerError.of("{name} has no rows.", "{name} không có dòng nào.", name=source.shown) from e


def _has_curves(path, layer):
    """Whether a layer of a GeoPackage is declared to hold curves (GDAL gives them as chains of lines)."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as con:
            kinds = con.execute("SELECT table_name, geometry_type_name FROM gpkg_geometry_columns").fetchall()
    except sqlite3.DatabaseError:
        return False
    return any(
        "CURVE" in kind or kind in ("CIRCULARSTRING", "MULTISURFACE") for name, kind in kinds if layer in (None, name)
    )


def _unreadable(shown, error):
    return LayerError.of(
        "{name} cannot be read; it may be damaged or not whole ({why}).",
        "{name} không đọc được; tệp có thể bị hỏng hoặc không trọn vẹn ({why}).", name=shown,
        why=(str(error).splitlines() or [type(error).__name__])[0][:120],
    )  # fmt: skip


def _plain(frame):
    """Columns of texts, numbers, dates and None, as a table would hold them."""
    out = {}
    for name in frame.columns:
        values = frame[name]
        if values.dtype.kind in "iub":
            out[name] = pd.Series(values.tolist(), index=frame.index, dtype=object)
        else:
            out[name] = pd.Series([_value(v) for v in values], index=frame.index, dtype=object)
    return pd.DataFrame(out, index=frame.index, columns=list(frame.columns))


def _value(value):
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, float):
        return None if value != value else value
    if isinstance(value, np.generic):
        return _value(value.item())
    if isinstance(value, bytes | bytearray | memoryview):
        return None
    if isinstance(value, list | dict | tuple | np.ndarray):
        return json.dumps(value.tolist() if isinstance(value, np.ndarray) else value, ensure_ascii=False, default=str)
    return value


def _geojson(source, path, size):
    features = geojson.Features(path, source.shown)
    columns, held = [], []
    try:
        for feature in features:
            held.append(feature)
            if len(held) == CHUNK:
                yield _features_frame(held, columns)
                held = []
    except geojson.Other:
        if held or columns or not _is_geojson(path):
            raise LayerError.of(
                "{name} is JSON, but not GeoJSON.", "{name} là JSON nhưng không phải GeoJSON.", name=source.shown
            ) from None
        _not_too_large(source, size)
        for frame in _gdal(source, path, None):
            source.crs = frame.crs if isinstance(frame, gpd.GeoDataFrame) else None
            shapes = frame.geometry.to_numpy() if source.crs is not None else np.full(len(frame), None, dtype=object)
            yield _plain(pd.DataFrame(frame.drop(columns="geometry", errors="ignore"))), shapes, None
        return
    yield _features_frame(held, columns)
    source.crs = _json_crs(source, features.crs)


def _is_geojson(path):
    """Whether a JSON file that is no FeatureCollection may be given to GDAL: one geometry or feature, ESRI's or Topo."""
    with open(path, encoding="utf-8", errors="replace") as file:
        head = file.read(200_000)
    kinds = "Feature|Point|MultiPoint|LineString|MultiLineString|Polygon|MultiPolygon|GeometryCollection|Topology"
    return bool(re.search(rf'"type"\s*:\s*"(?:{kinds})"|"geometryType"\s*:\s*"esri', head))


def _features_frame(features, columns):
    """(frame, shapes, unread) of features; columns grows by what they have."""
    known, rows, shapes = set(columns), [], []
    for feature in features:
        given = feature.get("properties")
        given = given if isinstance(given, dict) else {}
        if feature.get("id") is not None and "id" not in given:
            given = {"id": feature["id"], **given}
        for name in given:
            if name not in known:
                known.add(name)
                columns.append(name)
        rows.append(given)
        shapes.append(feature.get("geometry"))
    frame = pd.DataFrame(
        {name: pd.Series([_value(row.get(name)) for row in rows], dtype=object) for name in columns},
        index=range(len(rows)),
        columns=list(columns),
    )
    texts = [None if g is None else json.dumps(g) for g in shapes]
    made = shapely.from_geojson(texts, on_invalid="ignore")
    unread = np.array([t is not None for t in texts], dtype=bool) & shapely.is_missing(made)
    return frame, np.asarray(made, dtype=object), unread


def _json_crs(source, member):
    """The system of a GeoJSON file: WGS 84 by its law, or what the old member "crs" names."""
    name = (member or {}).get("properties", {}).get("name") if isinstance(member, dict) else None
    if not isinstance(name, str):
        return pyproj.CRS(4326)
    try:
        return pyproj.CRS.from_user_input("EPSG:4326" if "CRS84" in name.upper() else name)
    except pyproj.exceptions.CRSError:
        source.notes.append(
            said(
                "The file names a coordinate system that is not known: {name}.",
                "Tệp ghi một hệ tọa độ không biết: {name}.",
                name=name[:80],
            )
        )
        return None


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
