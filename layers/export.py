"""Public data as files: CSV, GeoJSON and GeoPackage.

Only what the catalogue calls public is written. Writers take snapshots and give bytes or a file; they
use no GDAL, so that they may run in the server's process.
"""

import csv
import io
import json
import os
import re
import sqlite3
from pathlib import Path

import pandas as pd
import shapely

from layers import geopackage
from layers.catalogue import ALL

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SQL_TYPE = {"text": "TEXT", "number": "DOUBLE", "integer": "INTEGER", "date": "DATE"}
_KIND = {"Point": "POINT", "Polygon": "MULTIPOLYGON", "Geometry": "GEOMETRY"}


def public_layers():
    """Names of the layers and tables that anybody may have."""
    return [name for name, layer in ALL.items() if layer.public]


def public_fields(name):
    """The public fields of a layer, in the order of the catalogue."""
    return [f for f in ALL[name].fields if f.public]


def csv_bytes(rows, columns):
    """A CSV file of dicts, UTF-8 with byte-order mark so that Excel reads the Vietnamese.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(c)) for c in columns])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")


def xlsx_bytes(rows, columns):
    """An Excel file of dicts: numbers as numbers, everything else as text, never a formula; the first line stands still."""
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("data")
    sheet.freeze_panes = "B2"
    sheet.append(list(columns))
    for row in rows:
        cells = []
        for c in columns:
            value = row.get(c)
            cell = openpyxl.cell.WriteOnlyCell(
                sheet, value=_NOT_IN_XML.sub("", value) if isinstance(value, str) else value
            )
            if isinstance(value, str):
                cell.data_type = "s"  # a text that begins with = stays a text
            cells.append(cell)
        sheet.append(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def geojson_bytes(features, **members):
    """A GeoJSON FeatureCollection (RFC 7946) of (geometry or None, properties) pairs."""
    body = {
        "type": "FeatureCollection",
        **members,
        "features": [
            {"type": "Feature", "geometry": None if g is None else rounded(g), "properties": p} for g, p in features
        ],
    }
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8")


def rounded(geometry, digits=6):
    """The geometry as a GeoJSON object with coordinates to `digits` places (6: about 0.1 m)."""
    g = shapely.orient_polygons(shapely.force_2d(geometry))  # RFC 7946: the outside runs counter-clockwise
    g = shapely.transform(g, lambda xy: xy.round(digits))
    return json.loads(shapely.to_geojson(g))


def point(lon, lat):
    """A position in degrees as a geometry for geojson_bytes."""
    return shapely.Point(lon, lat)


def layer_rows(name, snapshot):
    """Public fields of a snapshot as plain dicts; missing values are None."""
    fields = public_fields(name)
    columns = [[_value(v, f.kind) for v in snapshot[f.name]] for f in fields]
    names = [f.name for f in fields]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def layer_csv(name, snapshot):
    """One layer or table as CSV; a layer gets longitude and latitude of a point inside each shape."""
    rows = layer_rows(name, snapshot)
    columns = [f.name for f in public_fields(name)]
    if ALL[name].geometry:
        columns += ["longitude", "latitude"]
        for row, g in zip(rows, snapshot.geometry, strict=True):
            p = None if g is None or g.is_empty else (g if g.geom_type == "Point" else g.representative_point())
            row["longitude"] = None if p is None else round(p.x, 6)
            row["latitude"] = None if p is None else round(p.y, 6)
    return csv_bytes(rows, columns)


def layer_geojson(name, snapshot):
    """One layer as GeoJSON in EPSG:4326; records without a position have a null geometry."""
    return geojson_bytes(zip(snapshot.geometry, layer_rows(name, snapshot), strict=True), name=name)


def geopackage_file(path, snapshots):
    """Write public layers and tables to a new GeoPackage at `path`, put there in one step.

    snapshots: {name: frame}. Fields that are not public are not in the file at all.
    """
    path = Path(path)
    fresh = path.with_name(path.name + ".part")
    fresh.unlink(missing_ok=True)
    con = sqlite3.connect(fresh)
    try:
        geopackage.register_functions(con)
        geopackage.create(con)
        for name, frame in snapshots.items():
            _write(con, name, frame)
        con.commit()
    finally:
        con.close()
    os.replace(fresh, path)


def _write(con, name, frame):
    layer, fields = ALL[name], public_fields(name)
    kind = _KIND[layer.geometry] if layer.geometry else None
    columns = ['"fid" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL']
    columns += [f'"{geopackage.GEOMETRY_COLUMN}" {kind}'] if kind else []
    columns += [f'"{f.name}" {_SQL_TYPE[f.kind]}' for f in fields]
    con.execute(f'CREATE TABLE "{name}" ({", ".join(columns)})')
    geopackage.register_layer(con, name, name, f"{layer.vi} / {layer.en}", kind)
    values = [[_value(v, f.kind) for v in frame[f.name]] for f in fields]
    if kind:
        values.insert(0, geopackage.encode(frame.geometry.to_numpy()))
    marks = ",".join("?" * len(values))
    names = [f'"{geopackage.GEOMETRY_COLUMN}"'] if kind else []
    names += [f'"{f.name}"' for f in fields]
    con.executemany(f'INSERT INTO "{name}" ({", ".join(names)}) VALUES ({marks})', zip(*values, strict=True))
    geopackage.touch(con, name)


def _value(value, kind):
    if value is None or pd.isna(value):
        return None
    if kind == "date":
        return value.date().isoformat()
    return int(value) if kind == "integer" else value


def _cell(value):
    if value is None:
        return ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
