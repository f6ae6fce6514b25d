"""Public rows as files of the formats that people use: one layer, one file, one coordinate system.

Only public fields are written, whatever the frame holds. Missing values stay missing. Nothing here opens
a file of the store: every writer makes bytes in memory.
"""

import datetime
import io
import json
import re
import sqlite3
import struct
import zipfile
from dataclasses import dataclass
from functools import cache

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from geo.projection import decimals, shapes_from_wgs84
from layers import export as public
from layers import geopackage, kml, shapefile
from layers.catalogue import ALL
from layers.errors import LayerError
from layers.export import public_fields

CRS = (4326, 9210, 9209)  # EPSG codes that a file may be asked in
EXCEL_CELL = 32_767
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same rows give the same bytes
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
    "xlsx": Kind("XLSX", public.XLSX, tables=True),
    "geojson": Kind("GeoJSON", "application/geo+json", only_degrees=True),
    "gpkg": Kind("GeoPackage", "application/geopackage+sqlite3", tables=True),
    "zip": Kind("Shapefile", "application/zip"),
    "kml": Kind("KML", "application/vnd.google-earth.kml+xml", only_degrees=True),
    "fgb": Kind("FlatGeobuf", "application/flatgeobuf"),
    "parquet": Kind("GeoParquet", "application/vnd.apache.parquet", tables=True),
}


class Unavailable(LayerError):
    """A format whose package is not installed here."""

    code = "format_unavailable"


def kinds_for(name):
    """The kinds in which a layer or table is given out on this installation."""
    return [k for k, kind in KINDS.items() if (ALL[name].geometry or kind.tables) and (k != "parquet" or has_parquet())]


@cache
def has_parquet():
    """Whether GeoParquet can be written here."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return False
    return True


def export(name, frame, kind, crs=4326, *, language="vi", outlines=False):
    """One layer or table as the bytes of a file.

    name: of the catalogue. frame: rows as Store.snapshot() gives them, or some of them; other fields than the
    public ones are left out. kind: a key of KINDS. crs: one of CRS; GeoJSON and KML are always in 4326.
    language: of the headers of an Excel sheet. outlines: a CSV gets its shapes as WKT too; otherwise a CSV
    and an Excel sheet hold a point of each. Raises LayerError: a kind or crs not known, a text too long
    for the format; Unavailable: GeoParquet without pyarrow.
    """
    layer = ALL[name]
    if kind not in KINDS or not (layer.geometry or KINDS[kind].tables):
        raise LayerError(f"{name} is not given out as '{kind}': choose one of {', '.join(kinds_for(name))}.")
    if crs not in CRS:
        raise LayerError(f"EPSG:{crs} is not given out: choose one of {', '.join(map(str, CRS))}.")
    crs = 4326 if KINDS[kind].only_degrees else crs
    shapes = None
    if layer.geometry:
        shapes = frame.geometry.to_numpy()
        if crs != 4326:
            shapes = shapes_from_wgs84(shapes, crs)
    table = Rows(name, frame, shapes, crs)
    if kind == "csv":
        return _csv(table, outlines)
    if kind == "xlsx":
        return _xlsx(table, language)
    return _WRITERS[kind](table)


class Rows:
    """What a writer needs of one layer: fields, columns of plain values, shapes in the system of the file."""

    def __init__(self, name, frame, shapes, crs):
        self.name, self.layer, self.crs, self.shapes = name, ALL[name], crs, shapes
        self.fields = public_fields(name)
        self.columns = [plain_values(frame[f.name], f.kind) for f in self.fields]

    def __len__(self):
        return len(self.columns[0]) if self.columns else 0

    def rows(self):
        return zip(*self.columns, strict=True)

    def positions(self):
        """Names of two columns and their values: a point of each shape in the system of the file."""
        names = ("longitude", "latitude") if self.crs == 4326 else ("easting", "northing")
        first, second, digits = [], [], decimals(self.crs)
        for g in self.shapes:
            p = None if g is None or g.is_empty else g if g.geom_type == "Point" else g.representative_point()
            first.append(None if p is None else round(p.x, digits))
            second.append(None if p is None else round(p.y, digits))
        return names, (first, second)


def plain_values(column, kind):
    """A column of a snapshot as Python values: str, float, int, date, or None where it is missing."""
    missing = column.isna().to_numpy()
    values = column.to_numpy()
    if kind == "date":
        days = pd.DatetimeIndex(column).date
        return [None if m else d for m, d in zip(missing, days, strict=True)]
    make = {"integer": int, "number": float}.get(kind, str)
    return [None if m else make(v) for m, v in zip(missing, values, strict=True)]


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


def _csv(table, outlines):
    names = [f.name for f in table.fields]
    columns = [[_kept(v) for v in column] for column in table.columns]
    if table.layer.geometry:
        more, positions = table.positions()
        names, columns = [*names, *more], [*columns, *positions]
        if outlines:
            flat = shapely.force_2d(table.shapes)
            names.append("wkt")
            columns.append([None if g is None else shapely.to_wkt(g, rounding_precision=-1) for g in flat])
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


def _xlsx(table, language):
    """Two sheets: the rows under headers in the reader's language, and what the columns are."""
    import openpyxl
    from openpyxl.cell import WriteOnlyCell

    headers = _headers(table.fields, language)
    columns = list(table.columns)
    if table.layer.geometry:
        more, positions = table.positions()
        headers, columns = headers + list(more), [*columns, *positions]
    for header, column in zip(headers, columns, strict=True):
        for row, value in enumerate(column, start=1):
            if isinstance(value, str) and len(value) > EXCEL_CELL:
                raise LayerError(
                    f"{table.name} row {row} ({header}): Excel holds no text of {len(value):,} letters. Take CSV."
                )
    book = openpyxl.Workbook(write_only=True)
    sheet, keys = book.create_sheet("data"), book.create_sheet("fields")

    def cell(on, value):
        if isinstance(value, datetime.date) and value.year < 1900:
            value = value.isoformat()  # Excel's days begin in 1900
        made = WriteOnlyCell(on, value=kml.NOT_IN_XML.sub("", value) if isinstance(value, str) else value)
        if isinstance(value, str):
            made.data_type = "s"  # a text that begins with = stays a text
        elif isinstance(value, datetime.date):
            made.number_format = "yyyy-mm-dd"
        return made

    sheet.freeze_panes = "B2"
    for i, header in enumerate(headers):
        width = max([len(header), *(len(str(v)) for v in columns[i][:200] if v is not None)])
        sheet.column_dimensions[openpyxl.utils.get_column_letter(i + 1)].width = min(max(width + 2, 9), 48)
    sheet.append([cell(sheet, h) for h in headers])
    for values in zip(*columns, strict=True):
        sheet.append([cell(sheet, v) for v in values])
    keys.append([cell(keys, w) for w in ("column", "field", "vi", "en", "unit", "kind", "values")])
    for header, f in zip(headers, table.fields, strict=False):
        allowed = "; ".join(f"{c.value} = {getattr(c, language)}" for c in f.allowed)
        keys.append([cell(keys, w) for w in (header, f.name, f.vi, f.en, f.unit, f.kind, allowed)])
    book.properties.created = book.properties.modified = datetime.datetime(*_LONG_AGO)
    out = io.BytesIO()
    book.save(out)
    return _undated(out.getvalue())


def _headers(fields, language):
    labels = [getattr(f, language) for f in fields]
    return [
        f"{label} ({f.name})" if labels.count(label) > 1 else f"{label} ({f.unit})" if f.unit else label
        for label, f in zip(labels, fields, strict=True)
    ]


def _undated(book):
    """The zip with every member dated alike and openpyxl's time of saving taken out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            body = old.read(info)
            if info.filename == "docProps/core.xml":
                body = re.sub(rb"\d{4}-\d\d-\d\dT[\d:.]+Z?", b"1980-01-01T00:00:00Z", body)
            new.writestr(zipfile.ZipInfo(info.filename, _LONG_AGO), body, zipfile.ZIP_DEFLATED)
    return out.getvalue()


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
    con = sqlite3.connect(":memory:")
    try:
        geopackage.register_functions(con)
        geopackage.create(con)
        _geopackage_rows(con, table)
        con.commit()
        return con.serialize()
    finally:
        con.close()


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
            "INSERT INTO gpkg_spatial_ref_sys VALUES (?,?,'EPSG',?,?,?)",
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
    shapes = np.array([shapely.multipolygons([g]) if _lone(table, g) else g for g in table.shapes], dtype=object)
    raw.write(
        out,
        shapely.to_wkb(shapes),
        list(data),
        [f.name for f in table.fields],
        field_mask=list(masks),
        layer=table.name,
        driver="FlatGeobuf",
        geometry_type=_GDAL_GEOMETRY[table.layer.geometry],
        crs=f"EPSG:{table.crs}",
        layer_options={"SPATIAL_INDEX": "NO" if missing.any() or not len(shapes) else "YES"},
    )
    return out.getvalue()


def _lone(table, shape):
    return table.layer.geometry == "Polygon" and shape is not None and shape.geom_type == "Polygon"


def _gdal_column(kind, values):
    """A column as pyogrio takes it, and which values are missing (None where the values say so themselves)."""
    gone = np.array([v is None for v in values], dtype=bool)
    if kind == "number":
        return np.array([np.nan if v is None else v for v in values], dtype=float), None
    if kind == "integer":
        return np.array([0 if v is None else v for v in values], dtype=np.int64), gone
    if kind == "date":
        return np.array([np.datetime64("NaT") if v is None else v for v in values], dtype="datetime64[D]"), None
    return np.array(values, dtype=object), None


def _parquet(table):
    if not has_parquet():
        raise Unavailable("GeoParquet needs the package pyarrow: python -m pip install -r requirements-parquet.txt")
    import pyarrow as pa

    types = {"text": "string", "number": float, "integer": "Int64", "date": pd.ArrowDtype(pa.date32())}
    columns = zip(table.fields, table.columns, strict=True)
    frame = pd.DataFrame({f.name: pd.Series(column, dtype=types[f.kind]) for f, column in columns})
    out = io.BytesIO()
    if table.layer.geometry:
        gpd.GeoDataFrame(frame, geometry=table.shapes, crs=table.crs).to_parquet(out, index=False)
    else:
        frame.to_parquet(out, index=False)
    return out.getvalue()


_WRITERS = {
    "geojson": _geojson, "gpkg": _geopackage, "zip": _zip, "kml": _kml, "fgb": _flatgeobuf, "parquet": _parquet,
}  # fmt: skip
