"""Rows between frames and the database: plain values for writing, typed frames after reading, one hash of both."""

import hashlib
from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from layers import geopackage


def plain(value, kind="text"):
    """A value of a frame as the database keeps it; NaN, NaT and None are None. kind: of the catalogue's field."""
    if value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NaT:
        return None
    if kind == "date" or isinstance(value, pd.Timestamp):
        return value.date()
    if kind == "integer":
        return int(value)
    return float(value) + 0.0 if kind == "number" else value  # -0.0 is 0.0, as the database keeps it


def columns(layer):
    """Names of what is kept of a row, in this order: the catalogue's fields, the geometry last."""
    return [f.name for f in layer.fields] + ([geopackage.GEOMETRY_COLUMN] if layer.geometry else [])


def keys(layer, frame):
    """The key of every row of a checked frame, as a tuple of plain values."""
    return list(zip(*(plain_column(frame[k], layer.by_name[k].kind) for k in layer.key), strict=True))


def records(layer, frame):
    """Rows of a checked frame as dicts of plain values in catalogue order, the geometry last."""
    columns = {f.name: plain_column(frame[f.name], f.kind) for f in layer.fields}
    if layer.geometry:
        geoms = frame.geometry.to_numpy()
        if layer.geometry == "Polygon":  # one declared type: areas are kept as multi areas
            geoms = np.array([multi(g) for g in geoms], dtype=object)
        columns[geopackage.GEOMETRY_COLUMN] = list(geoms)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def plain_column(values, kind):
    """The values of a column of a frame as plain() gives them."""
    if kind == "number" and values.dtype.kind == "f":
        return [None if v != v else v + 0.0 for v in values.tolist()]
    if values.isna().all():
        return [None] * len(values)
    if kind == "text":
        return [v if isinstance(v, str) else plain(v) for v in values.tolist()]
    return [plain(v, kind) for v in values]


def multi(geom):
    """An area as a multi area, as layers of areas keep it; anything else as it is."""
    return shapely.MultiPolygon([geom]) if geom is not None and geom.geom_type == "Polygon" else geom


def at_key(layer, frame, key):
    """The number of the first row of a frame that has a key, as keys() gives it; None where there is none."""
    same = np.ones(len(frame), dtype=bool)
    for name, part in zip(layer.key, key, strict=True):
        column = frame[name]
        wanted = pd.Timestamp(part) if isinstance(part, date) else part
        same &= (column.isna() if part is None else column == wanted).to_numpy(dtype=bool)
    found = same.nonzero()[0]
    return int(found[0]) if len(found) else None


def alike(layer, read, checked):
    """Whether a check left the rows of a frame exactly as they were read."""
    if len(read) != len(checked) or not all(read[f.name].equals(checked[f.name]) for f in layer.fields):
        return False
    return not layer.geometry or all(a is b for a, b in zip(read.geometry, checked.geometry, strict=True))


def pieces(layer, frame, size):
    """The rows of a checked frame as packed() gives them, some at a time."""
    for at in range(0, len(frame), size):
        yield packed(records(layer, frame.iloc[at : at + size]))


def packed(records):
    """Records as JSON values: dates as ISO text, a geometry as the hex of its blob."""
    out = [[v.isoformat() if isinstance(v, date) else v for v in r.values()] for r in records]
    if records and geopackage.GEOMETRY_COLUMN in records[0]:
        at = list(records[0]).index(geopackage.GEOMETRY_COLUMN)
        for row, blob in zip(out, geopackage.encode([row[at] for row in out]), strict=True):
            row[at] = None if blob is None else blob.hex()
    return out


def unpacked(layer, body):
    """The frame of packed rows; fields that the layer got later are blank, lost ones are left out.

    body: {"fields": names, "rows": a list per row}, or the rows alone, in catalogue order.
    """
    if isinstance(body, list):
        return frame_of(layer, body)
    wanted = columns(layer)
    at = {name: i for i, name in enumerate(body["fields"])}
    return frame_of(layer, [[row[at[n]] if n in at else None for n in wanted] for row in body["rows"]])


def frame_of(layer, rows):
    """The typed frame of rows: values in catalogue order, then the geometry as a blob or its hex.

    Numbers are float (NaN = missing), dates datetime64 (NaT), text str or None, geometry in EPSG:4326 or None.
    """
    names = [f.name for f in layer.fields] + (["geometry"] if layer.geometry else [])
    frame = pd.DataFrame([tuple(r) for r in rows], columns=names, dtype=object)
    for f in layer.fields:
        if f.kind in ("number", "integer"):
            frame[f.name] = frame[f.name].astype(float)
        elif f.kind == "date":
            frame[f.name] = pd.to_datetime(frame[f.name]).astype("datetime64[us]")
    if layer.geometry:
        blobs = [bytes.fromhex(b) if isinstance(b, str) else b for b in frame.pop("geometry")]
        geoms = np.asarray(geopackage.decode(blobs), dtype=object)
        frame = gpd.GeoDataFrame(frame, geometry=geoms, crs=geopackage.SRID)
    return frame


class Digest:
    """The SHA-256 of records, fed some at a time."""

    def __init__(self):
        self._hash = hashlib.sha256()

    def feed(self, records):
        """Take more records, all of one layer."""
        shaped = bool(records) and geopackage.GEOMETRY_COLUMN in records[0]
        blobs = shapely.to_wkb([r[geopackage.GEOMETRY_COLUMN] for r in records]) if shaped else [None] * len(records)
        for record, blob in zip(records, blobs, strict=True):
            told = [repr(v).encode() for n, v in record.items() if n != geopackage.GEOMETRY_COLUMN]
            told += [b"None" if blob is None else blob] if shaped else []
            self._hash.update(b"\x1f".join(told) + b"\x1f")

    def feed_packed(self, layer, body):
        """Take the rows of a body as unpacked() does, with the fields it has; all of them must be known."""
        kinds = [layer.by_name[n].kind if n in layer.by_name else None for n in body["fields"]]
        for row in body["rows"]:
            told = [
                repr(date.fromisoformat(v) if v is not None and kind == "date" else v).encode()
                for v, kind in zip(row, kinds, strict=True)
                if kind
            ]
            told += [
                b"None" if v is None else geopackage.wkb_of(bytes.fromhex(v))
                for v, k in zip(row, kinds, strict=True)
                if not k
            ]
            self._hash.update(b"\x1f".join(told) + b"\x1f")

    def hex(self):
        return self._hash.hexdigest()
