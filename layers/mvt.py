"""Mapbox Vector Tiles 2.1 (github.com/mapbox/vector-tile-spec): the grid of web maps, and the bytes of a layer.

What stands before the commands of each feature is one array of whole numbers for all of them. Pure.
"""

import math

import numpy as np
import pandas as pd

from layers.strokes import clipped, gridded, highest, packed, strokes, widths

RADIUS = 6378137.0
WORLD = 2 * math.pi * RADIUS  # width of the map in metres
LAST_LATITUDE = math.degrees(2 * math.atan(math.exp(math.pi)) - math.pi / 2)  # where the map becomes a square: 85.05°
MAX_ZOOM = 24
EXTENT, BUFFER = 4096, 64  # of a tile, in its own units


def tile_bounds(z, x, y):
    """West, south, east, north of a tile in web Mercator metres; y counts from the north.

    >>> [round(v) for v in tile_bounds(1, 0, 0)]
    [-20037508, 0, 0, 20037508]
    """
    side = WORLD / (1 << z)
    return -WORLD / 2 + x * side, WORLD / 2 - (y + 1) * side, -WORLD / 2 + (x + 1) * side, WORLD / 2 - y * side


def tile_at(lon, lat, z):
    """x, y of the tile that holds a place in degrees; places beyond the map fall into its last row.

    >>> tile_at(106.6881, 20.8449, 10)
    (815, 451)
    """
    last = (1 << z) - 1
    (mx, my), side = mercator([[lon, lat]])[0], WORLD / (1 << z)
    return min(max(int((mx + WORLD / 2) // side), 0), last), min(max(int((WORLD / 2 - my) // side), 0), last)


def mercator(lonlat):
    """Web Mercator (EPSG:3857) metres of an (n, 2) array of degrees; latitudes are cut at 85.05°."""
    lonlat = np.asarray(lonlat, dtype=float)
    lat = np.radians(np.clip(lonlat[:, 1], -LAST_LATITUDE, LAST_LATITUDE))
    return np.column_stack([np.radians(lonlat[:, 0]) * RADIUS, np.log(np.tan(np.pi / 4 + lat / 2)) * RADIUS])


def units(xy, z):
    """Metres as units of the tiles of a zoom, counted from the north-west corner of the map, y southward."""
    scale = EXTENT * (1 << z) / WORLD
    return np.add(xy, (WORLD / 2, -WORLD / 2)) * (scale, -scale)


def frame(z, x, y):
    """West, north, east, south of a tile with its margin, in units of its zoom."""
    return x * EXTENT - BUFFER, y * EXTENT - BUFFER, (x + 1) * EXTENT + BUFFER, (y + 1) * EXTENT + BUFFER


def frame_bounds(z, x, y):
    """As tile_bounds(), with the margin."""
    west, south, east, north = tile_bounds(z, x, y)
    edge = (east - west) * BUFFER / EXTENT
    return west - edge, south - edge, east + edge, north + edge


class Columns:
    """Properties of features, ready to be written for any of them.

    properties: {name: values} of text, bool, int or float, all equally long; a missing value is left out.
    """

    def __init__(self, properties):
        self._keys = [_field(3, name.encode()) for name in properties]
        codes, values = [], []
        for column in properties.values():
            code, unique = pd.factorize(np.asarray(column, dtype=object))
            codes.append(np.where(code < 0, -1, code + len(values)))
            values += map(_value, unique)
        self._codes = np.column_stack(codes) if codes else None
        self._values = np.array([*values, None], dtype=object)[:-1]

    def of(self, rows):
        """Bytes of the keys and values that some rows have, and their tags: (rows, 2 × columns), -1 where left out."""
        tags = np.empty((len(rows), 2 * len(self._keys)), dtype=np.int64)
        if not self._keys:
            return b"", tags
        code = self._codes[rows]
        if len(self._values) < 4 * code.size + 1000:  # a table of all values is quicker than a sort
            seen = np.zeros(len(self._values) + 1, dtype=bool)
            seen[code] = True
            seen[-1] = False
            used, place = np.flatnonzero(seen), (np.cumsum(seen) - 1)[code]
        else:
            used, place = np.unique(code, return_inverse=True)
            place = place.reshape(code.shape)
            if used[0] < 0:
                used, place = used[1:], place - 1
        missing = code < 0
        tags[:, ::2] = np.arange(len(self._keys))
        tags[:, 1::2] = place
        if missing.any():
            tags[np.repeat(missing, 2, axis=1)] = -1
        return b"".join([*self._keys, *self._values[used]]), tags


def layer(name, ids, columns, rows, drawn, begin):
    """One tile with one layer; b"" where nothing is drawn.

    ids: whole numbers ≥ 0 of all features; rows: which of them; drawn: Strokes, whose row counts in `rows`.
    begin: the north-west corner of the tile in the units of the strokes.
    """
    if not len(drawn):
        return b""
    rows = rows[drawn.row]
    (table, tags), rest = columns.of(rows), drawn.rest.tolist()
    place = drawn.at - begin
    numbers = np.empty((len(rows), 13 + tags.shape[1]), dtype=np.int64)
    numbers[:, _FRONT] = 18, 0, 8, 18, 0  # a feature, its length, its id, its tags, their length
    numbers[:, _BACK] = 24, 34, 0  # its kind, its commands, their length
    numbers[:, 3], numbers[:, -6], numbers[:, -3] = ids[rows], drawn.kind, drawn.command
    numbers[:, 6:-7] = tags
    numbers[:, -2:] = (place << 1) ^ (place >> 63)
    width = widths(numbers) * (numbers >= 0)
    numbers[:, 5] = width[:, 6:-7].sum(axis=1)
    numbers[:, -4] = width[:, -3:].sum(axis=1) + np.fromiter(map(len, rest), np.int64, len(rest))
    width[:, (5, -4)] = widths(numbers[:, (5, -4)])
    numbers[:, 1] = width[:, 2:-3].sum(axis=1) + numbers[:, -4]
    width[:, 1] = widths(numbers[:, 1])
    body, last = packed(numbers, width), np.cumsum(width.sum(axis=1)).tolist()
    parts = [b""] * (2 * len(rows))
    parts[0::2] = [body[a:b] for a, b in zip([0, *last], last, strict=False)]
    parts[1::2] = rest
    features = b"".join(parts)
    return _field(3, b"".join([_field(1, name.encode()), features, table, b"\x28", _varint(EXTENT), b"\x78\x02"]))


_FRONT, _BACK = [0, 1, 2, 4, 5], [-7, -5, -4]


def encode(name, shapes, properties, ids, tile):
    """One tile with one layer; b"" where nothing of the shapes lies in it.

    shapes: array of shapely geometries in EPSG:3857, None allowed, kinds mixed; polygons valid.
    properties: of Columns. ids: whole numbers ≥ 0. tile: (z, x, y). A shape is cut at BUFFER units beyond the tile; an
    area that is less than a unit wide there is left out. Of a GeometryCollection the highest dimension is taken.
    """
    shapes = clipped(highest(np.asarray(shapes, dtype=object)), frame_bounds(*tile))
    made = strokes(gridded(shapes, lambda xy: units(xy, tile[0])))
    return layer(name, np.asarray(ids), Columns(properties), np.arange(len(shapes)), made, corner(*tile))


def corner(z, x, y):
    """The north-west corner of a tile, in units of its zoom."""
    return np.array([x * EXTENT, y * EXTENT], dtype=np.int64)


# --- protocol buffers ---


def _varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append((n & 0x7F) | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _field(number, payload):
    return _varint((number << 3) | 2) + _varint(len(payload)) + payload


def _value(v):
    if isinstance(v, bool | np.bool_):
        body = b"\x38" + (b"\x01" if v else b"\x00")
    elif isinstance(v, int | np.integer):
        v = int(v)
        body = b"\x30" + _varint(-2 * v - 1) if v < 0 else b"\x28" + _varint(v)
    elif isinstance(v, float | np.floating):
        body = b"\x19" + np.float64(v).tobytes()
    else:
        body = _field(1, str(v).encode())
    return _field(4, body)
