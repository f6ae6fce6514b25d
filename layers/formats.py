"""Rows as files of the formats that people use: one table, one file, one coordinate system; or several in a GeoPackage.

A table is a layer of the catalogue, or a list of the product described in the same words (layers.catalogue.Layer).
Of a layer only public fields are written, unless all are asked for. Missing values stay missing. Nothing here
opens a file of the store: writers make bytes in memory, the whole GeoPackage a file of its own.
"""

import datetime
import io
import json
import re
import sqlite3
import struct
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyproj
import shapely

from geo.projection import decimals, shapes_from_wgs84
from layers import export as public
from layers import geopackage, kml, parquet, shapefile, wholefiles, workbook
from layers.catalogue import ALL, Layer
from layers.errors import LayerError

CRS = (4326, 9210, 9209)  # EPSG codes that a file may be asked in
_FORMULA_LIKE = re.compile(r"'+[=+\-@\t\r]")
_SQL_TYPE = {"text": "TEXT", "number": "DOUBLE", "integer": "INTEGER", "date": "DATE"}
_SQL_GEOMETRY = {"Point": "POINT", "Polygon": "MULTIPOLYGON", "Geometry": "GEOMETRY"}
_GDAL_GEOMETRY = {"Point": "Point", "Polygon": "MultiPolygon", "Geometry": "Unknown"}


@dataclass(frozen=True)
class Kind:
    """A file format. tables: records without a geometry fit too. only_degrees: always EPSG:4326."""

    label: str
    mimetype: str
    tables: bool = False
    only_degrees: bool = False


KINDS = {
    "csv": Kind("CSV", "text/csv", tables=True),
    "xlsx": Kind("XLSX", workbook.MIMETYPE, tables=True),
    "geojson": Kind("GeoJSON", "application/geo+json", only_degrees=True),
    "gpkg": Kind("GeoPackage", "application/geopackage+sqlite3", tables=True),
    "zip": Kind("Shapefile", "application/zip"),
    "kml": Kind("KML", "application/vnd.google-earth.kml+xml", only_degrees=True),
    "fgb": Kind("FlatGeobuf", "application/flatgeobuf"),
    "parquet": Kind("GeoParquet", "application/vnd.apache.parquet", tables=True),
}


def kinds_for(layer):
    """The kinds in which a layer or table (or its name in the catalogue) is given out on this installation."""
    layer = _layer(layer)
    return [
        k for k, kind in KINDS.items() if (layer.geometry or kind.tables) and (k != "parquet" or parquet.available())
    ]


def _layer(layer):
    return layer if isinstance(layer, Layer) else ALL[layer]


# --- what is written ---


@dataclass(frozen=True)
class Table:
    """Rows ready for a file: the values of each field as str, float, int, date or None, and the shapes.

    shapes: in EPSG:`crs`, easting or longitude first, None where there is none; None as a whole for a table.
    """

    layer: Layer
    fields: tuple
    columns: list
    shapes: object
    crs: int = 4326

    @property
    def name(self):
        return self.layer.name

    def __len__(self):
        return len(self.columns[0]) if self.columns else 0

    def rows(self):
        return zip(*self.columns, strict=True)

    def positions(self):
        """(name, values) of two columns: a point of each shape in the system of the file."""
        names = ("longitude", "latitude") if self.crs == 4326 else ("easting", "northing")
        points = shapely.point_on_surface(self.shapes)  # of a point itself; inside an area
        digits = decimals(self.crs)
        out = []
        for name, of in zip(names, (shapely.get_x, shapely.get_y), strict=True):
            out.append((name, [None if np.isnan(v) else round(float(v), digits) for v in of(points)]))
        return out

    def outlines(self):
        """("wkt", values): the whole shapes."""
        flat = shapely.force_2d(self.shapes)
        return "wkt", [None if g is None else shapely.to_wkt(g, rounding_precision=-1) for g in flat]


def fields_of(layer, columns=None, *, internal=False):
    """The fields of a file: those named, in that order, or all. LayerError names one that is not there."""
    layer = _layer(layer)
    there = {f.name: f for f in layer.fields if f.public or internal}
    missing = [c for c in columns or () if c not in there]
    if missing:
        raise LayerError.of(
            "{name} has no column '{column}'. It has: {there}.", "{name} không có cột '{column}'. Có: {there}.",
            name=layer.name, column=missing[0], there=", ".join(there),
        )  # fmt: skip
    return tuple(there[c] for c in dict.fromkeys(columns)) if columns else tuple(there.values())


def table(layer, frame, columns=None, *, internal=False):
    """The Table of a frame as Store.snapshot() gives it, or of some of its rows."""
    layer = _layer(layer)
    fields = fields_of(layer, columns, internal=internal)
    shapes = frame.geometry.to_numpy() if layer.geometry else None
    return _table(layer, fields, [plain_values(frame[f.name], f.kind) for f in fields], shapes)


def listed(layer, records, columns=None, *, internal=False):
    """The Table of dicts with plain values by field name, and "geometry" in EPSG:4326; what a dict lacks is missing."""
    fields = fields_of(layer, columns, internal=internal)
    shapes = np.array([*(r.get("geometry") for r in records), None], dtype=object)[:-1] if layer.geometry else None
    return _table(layer, fields, [[_typed(r.get(f.name), f.kind) for r in records] for f in fields], shapes)


def _table(layer, fields, columns, shapes):
    if layer.geometry == "Polygon":  # one declared type: areas are multi areas
        shapes = np.array(
            [*(shapely.multipolygons([g]) if g is not None and g.geom_type == "Polygon" else g for g in shapes), None],
            dtype=object,
        )[:-1]
    return Table(layer, fields, columns, shapes)


def _typed(value, kind):
    if value is None or value != value:
        return None
    if kind == "date":
        return value.date() if isinstance(value, datetime.datetime) else value
    return {"integer": int, "number": float}.get(kind, str)(value)


def plain_values(column, kind):
    """A column of a snapshot as Python values: str, float, int, date, or None where it is missing."""
    missing = column.isna().to_numpy()
    values = column.to_numpy()
    if kind == "date":
        days = pd.DatetimeIndex(column).date
        return [None if m else d for m, d in zip(missing, days, strict=True)]
    make = {"integer": int, "number": float}.get(kind, str)
    return [None if m else make(v) for m, v in zip(missing, values, strict=True)]


def moved(table, crs):
    """The Table in another of the systems of CRS."""
    if crs not in CRS:
        raise LayerError.of(
            "EPSG:{crs} is not given out: choose one of {known}.", "Không xuất theo EPSG:{crs}: hãy chọn một trong {known}.",
            crs=crs, known=", ".join(map(str, CRS)),
        )  # fmt: skip
    if table.shapes is None or crs == table.crs:
        return table
    return replace(table, shapes=shapes_from_wgs84(table.shapes, crs), crs=crs)


def write(table, kind, crs=4326, *, language="vi", outlines=False):
    """A Table as the bytes of a file.

    kind: a key of KINDS. crs: one of CRS; GeoJSON and KML are always in 4326. language: of the headers of an
    Excel sheet. outlines: a CSV and an Excel sheet get the shapes as WKT too; otherwise they hold a point of each.
    Raises LayerError: a kind or crs not known, a text too long for the format; parquet.Unavailable: GeoParquet
    without pyarrow.
    """
    _known(table.layer, kind)
    there = moved(table, crs)
    there = table if KINDS[kind].only_degrees else there
    if kind == "csv":
        return _csv(there, outlines)
    if kind == "xlsx":
        return workbook.write(there.name, there.fields, there.columns, _places(there, outlines), language)
    return _WRITERS[kind](there)


def _known(layer, kind):
    if kind not in KINDS or not (layer.geometry or KINDS[kind].tables):
        raise LayerError.of(
            "{name} is not given out as '{kind}': choose one of {known}.",
            "{name} không xuất được thành '{kind}': hãy chọn một trong {known}.",
            name=layer.name, kind=kind, known=", ".join(kinds_for(layer)),
        )  # fmt: skip


def export(layer, frame, kind, crs=4326, *, columns=None, internal=False, language="vi", outlines=False):
    """One layer or table, or some rows of it, as the bytes of a file; see table() and write()."""
    _known(_layer(layer), kind)
    return write(table(layer, frame, columns, internal=internal), kind, crs, language=language, outlines=outlines)


def geojson_geometries(shapes, epsg=4326, *, north_first=False):
    """A GeoJSON text of each shape, given in the system `epsg`; "null" where there is none.

    Outlines run counter-clockwise (RFC 7946); coordinates have as many digits as a tenth of a millimetre needs.
    north_first: write latitude or northing before longitude or easting.
    """
    digits = decimals(epsg)
    shapes = shapely.orient_polygons(shapely.force_2d(np.asarray(shapes, dtype=object)))
    shapes = shapely.transform(shapes, lambda xy: (xy[:, ::-1] if north_first else xy).round(digits))
    return ["null" if t is None else t for t in shapely.to_geojson(shapes)]


# --- tables ---


def _places(table, outlines):
    """(name, values) of the columns that say where a record lies."""
    if table.shapes is None:
        return []
    return table.positions() + ([table.outlines()] if outlines else [])


def _csv(table, outlines):
    names = [f.name for f in table.fields]
    columns = [[_kept(v) for v in column] for column in table.columns]
    for name, values in _places(table, outlines):
        names.append(name)
        columns.append(values)
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    return public.csv_bytes(rows, names)


def _kept(value):
    """A value for export.csv_bytes; a text that looks guarded against formulas already gets one more sign."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    return "'" + value if isinstance(value, str) and _FORMULA_LIKE.match(value) else value


def unguarded(text):
    """The text behind a CSV cell: takes away the one apostrophe that keeps it from being a formula.

    >>> [unguarded(t) for t in ("'=1+1", "''=1", "'tis")]
    ['=1+1', "'=1", "'tis"]
    """
    return text[1:] if _FORMULA_LIKE.match(text) else text


# --- maps ---


def _geojson(table):
    names = [json.dumps(f.name) for f in table.fields]
    out = []
    for values, shape in zip(table.rows(), geojson_geometries(table.shapes), strict=True):
        pairs = ", ".join(f"{n}: {_json(v)}" for n, v in zip(names, values, strict=True))
        out.append(f'{{"type": "Feature", "geometry": {shape}, "properties": {{{pairs}}}}}')
    body = ",\n".join(out)
    return f'{{"type": "FeatureCollection", "name": "{table.name}", "features": [\n{body}\n]}}\n'.encode()


def _json(value):
    return json.dumps(value.isoformat() if isinstance(value, datetime.date) else value, ensure_ascii=False)


def _kml(table):
    fields = [(f.name, f.kind, f"{f.vi} / {f.en}") for f in table.fields]
    names = [f.name for f in table.fields]
    shown = table.columns[names.index("name_vi")] if "name_vi" in names else table.columns[0]
    title = f"{table.layer.vi} / {table.layer.en}"
    return kml.document(table.name, title, fields, table.rows(), table.shapes, ["" if v is None else v for v in shown])


def _zip(table):
    fields = [(f.name, f.kind, f.vi, f.en, f.unit) for f in table.fields]
    return shapefile.archive(table.name, fields, table.columns, table.shapes, table.crs)


def _geopackage(table):
    with closing(sqlite3.connect(":memory:")) as con:
        _fill(con, [table])
        return con.serialize()


def geopackage_file(path, tables, crs=4326):
    """Several Tables as one GeoPackage at `path`, put there in one step; one Table is held in memory at a time."""
    path = Path(path)
    fresh = path.with_name(path.name + ".part")
    fresh.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(fresh)) as con:
            _fill(con, (moved(t, crs) for t in tables))
        wholefiles.settle(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


_ALWAYS = "2000-01-01T00:00:00.000Z"  # the same rows are the same bytes, whenever they are given out


def _fill(con, tables):
    geopackage.register_functions(con)
    geopackage.create(con)
    for table in tables:
        _geopackage_rows(con, table)
    con.execute("UPDATE gpkg_contents SET last_change=?", (_ALWAYS,))
    con.commit()


def _geopackage_rows(con, table):
    name, geom = table.name, geopackage.GEOMETRY_COLUMN
    kind = _SQL_GEOMETRY[table.layer.geometry] if table.layer.geometry else None
    columns = [f'"{f.name}" {_SQL_TYPE[f.kind]}' for f in table.fields]
    names = [f'"{f.name}"' for f in table.fields]
    values = [[v.isoformat() if isinstance(v, datetime.date) else v for v in column] for column in table.columns]
    if kind:
        columns.insert(0, f'"{geom}" {kind}')
        names.insert(0, f'"{geom}"')
        srid = struct.pack("<i", table.crs)  # stands behind the first four bytes of each shape
        values.insert(0, [None if b is None else b[:4] + srid + b[8:] for b in geopackage.encode(table.shapes)])
    con.execute(f'CREATE TABLE "{name}" ("fid" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, {", ".join(columns)})')
    geopackage.register_layer(con, name, name, f"{table.layer.vi} / {table.layer.en}", kind)
    if kind and table.crs != geopackage.SRID:
        crs = pyproj.CRS(table.crs)
        wkt = crs.to_wkt(pyproj.enums.WktVersion.WKT1_GDAL)
        con.execute(
            "INSERT OR IGNORE INTO gpkg_spatial_ref_sys VALUES (?,?,'EPSG',?,?,?)",
            (crs.name, table.crs, table.crs, wkt, "easting, northing in metres"),
        )
        for listed in ("gpkg_geometry_columns", "gpkg_contents"):
            con.execute(f"UPDATE {listed} SET srs_id = ? WHERE table_name = ?", (table.crs, name))
    marks = ",".join("?" * len(names))
    con.executemany(f'INSERT INTO "{name}" ({", ".join(names)}) VALUES ({marks})', zip(*values, strict=True))
    geopackage.touch(con, name)


def _flatgeobuf(table):
    from pyogrio import raw

    out = io.BytesIO()
    missing = shapely.is_missing(table.shapes)
    data, masks = zip(*(_gdal_column(f.kind, c) for f, c in zip(table.fields, table.columns, strict=True)), strict=True)
    raw.write(
        out,
        shapely.to_wkb(table.shapes),
        list(data),
        [f.name for f in table.fields],
        field_mask=list(masks),
        layer=table.name,
        driver="FlatGeobuf",
        geometry_type=_GDAL_GEOMETRY[table.layer.geometry],
        crs=f"EPSG:{table.crs}",
        layer_options={"SPATIAL_INDEX": "NO" if missing.any() or not len(table) else "YES"},
    )
    return out.getvalue()


def _gdal_column(kind, values):
    """A column as pyogrio takes it, and which values are missing (None where the values say so themselves)."""
    gone = np.array([v is None for v in values], dtype=bool)
    if kind == "number":
        return np.array([np.nan if v is None else v for v in values], dtype=float), None
    if kind == "integer":
        return np.array([0 if v is None else v for v in values], dtype=np.int64), gone
    if kind == "date":
        return np.array([np.datetime64("NaT", "D") if v is None else v for v in values], dtype="datetime64[D]"), None
    return np.array(values, dtype=object), None


def _parquet(table):
    return parquet.write([(f.name, f.kind) for f in table.fields], table.columns, table.shapes, table.crs)


_WRITERS = {
    "geojson": _geojson, "gpkg": _geopackage, "zip": _zip, "kml": _kml, "fgb": _flatgeobuf, "parquet": _parquet,
}  # fmt: skip
