"""What may leave the house: the public layers and fields; and the small pieces of CSV and GeoJSON that pages need."""

import csv
import io
import json

import shapely

from layers.catalogue import ALL


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


def _cell(value):
    if value is None:
        return ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def rounded(geometry, digits=6):
    """The geometry as a GeoJSON object with coordinates to `digits` places (6: about 0.1 m)."""
    g = shapely.orient_polygons(shapely.force_2d(geometry))  # RFC 7946: the outside runs counter-clockwise
    g = shapely.transform(g, lambda xy: xy.round(digits))
    return json.loads(shapely.to_geojson(g))


def point(lon, lat):
    """A position in degrees as a geometry."""
    return shapely.Point(lon, lat)
