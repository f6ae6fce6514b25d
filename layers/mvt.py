"""Mapbox Vector Tiles 2.1 (github.com/mapbox/vector-tile-spec), written from whole arrays of shapes at once.

Clipping, scaling, ring direction, delta and zigzag coding and the varints are array operations; only the
bytes of each feature are put together one by one. Pure: shapes in web Mercator in, bytes out.
"""

import math
from functools import lru_cache

import numpy as np
import pandas as pd
import shapely

RADIUS = 6378137.0
WORLD = 2 * math.pi * RADIUS  # width of the map in metres
LAST_LATITUDE = math.degrees(2 * math.atan(math.exp(math.pi)) - math.pi / 2)  # where the map becomes a square: 85.05°
MAX_ZOOM = 24
EXTENT, BUFFER = 4096, 64  # of a tile, in its own units
_POINT, _LINE, _POLYGON = 1, 2, 3
_MOVE_ONCE, _CLOSE = 9, 15
_KIND_OF_DIMENSION = (_POINT, _LINE, _POLYGON)


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


def encode(name, shapes, properties, ids, tile, *, extent=EXTENT, buffer=BUFFER):
    """One tile with one layer; b"" where nothing of the shapes lies in it.

    shapes: array of shapely geometries in EPSG:3857, None allowed, kinds mixed; polygons valid.
    properties: {name: values}, each as long as shapes, of text, bool, int or float; a missing value is left out.
    ids: whole numbers ≥ 0. tile: (z, x, y). A shape is cut at `buffer` units beyond the tile; an area
    that is less than a unit wide there is left out. Of a GeometryCollection the highest dimension is taken.
    """
    west, south, east, north = tile_bounds(*tile)
    scale = extent / (east - west)
    edge = buffer / scale
    frame = (west - edge, south - edge, east + edge, north + edge)
    shapes = np.asarray(shapes, dtype=object)
    use = _touching(shapes, frame)
    shapes = _cut(shapes[use], frame)
    shapes = shapely.transform(shapes, lambda xy: (xy - (west, north)) * (scale, -scale))
    drawn = {}  # row of `use` -> (kind, bytes of its geometry)
    for dimension, write in ((0, _points), (1, _lines), (2, _polygons)):
        mine = np.flatnonzero(shapely.get_dimensions(shapes) == dimension)
        if len(mine):
            kind = _KIND_OF_DIMENSION[dimension]
            drawn |= {int(mine[i]): (kind, body) for i, body in write(shapes[mine])}
    if not drawn:
        return b""
    rows = sorted(drawn)
    keys, values, tags = _tags({k: np.asarray(v, dtype=object)[use[rows]] for k, v in properties.items()}, len(rows))
    ids = np.asarray(ids)[use[rows]].tolist()
    features = []
    for i, row in enumerate(rows):
        kind, body = drawn[row]
        features.append(
            _field(2, b"\x08" + _varint(ids[i]) + _field(2, tags[i]) + b"\x18" + bytes([kind]) + _field(4, body))
        )
    version = b"\x78\x02"
    return _field(
        3,
        _field(1, name.encode()) + b"".join(features + keys + values) + b"\x28" + _varint(extent) + version,
    )


def _touching(shapes, frame):
    """Numbers of the shapes whose bounding box meets the frame."""
    box = shapely.bounds(shapes)  # NaN for missing and empty ones: no comparison holds
    meets = (box[:, 0] <= frame[2]) & (box[:, 2] >= frame[0]) & (box[:, 1] <= frame[3]) & (box[:, 3] >= frame[1])
    return np.flatnonzero(meets)


def _cut(shapes, frame):
    """Shapes cut to the frame; only those that cross its edge are touched."""
    box = shapely.bounds(shapes)
    crossing = (box[:, :2] < frame[:2]).any(axis=1) | (box[:, 2:] > frame[2:]).any(axis=1)
    shapes = shapes.copy()
    before = shapely.get_dimensions(shapes)
    shapes[crossing] = shapely.clip_by_rect(shapes[crossing], *frame)
    collected = shapely.get_type_id(shapes) == 7
    shapes[collected] = [_highest(g, d) for g, d in zip(shapes[collected], before[collected], strict=True)]
    shapes[shapely.get_dimensions(shapes) < before] = shapely.Point()  # an area that only touches along a line
    return shapes


def _highest(collection, dimension):
    parts = shapely.get_parts(shapely.get_parts(collection))
    parts = parts[(shapely.get_dimensions(parts) == dimension) & ~shapely.is_empty(parts)]
    make = (shapely.multipoints, shapely.multilinestrings, shapely.multipolygons)[dimension]
    return make(parts) if len(parts) else shapely.Point()


# --- geometry commands: each gives (number of the shape, its bytes), shapes without any left out ---


def _points(shapes):
    xy, row = shapely.get_coordinates(shapes, return_index=True)
    xy = np.rint(xy).astype(np.int64)
    n = np.bincount(row, minlength=len(shapes))
    delta = _zigzag(_steps(xy, _firsts(row)))
    size = np.where(n > 0, 1 + 2 * n, 0)
    start = np.cumsum(size) - size
    out = np.empty(int(size.sum()), dtype=np.int64)
    at = start[row] + 1 + 2 * _within(row)
    out[at], out[at + 1] = delta[:, 0], delta[:, 1]
    out[start[n > 0]] = (n[n > 0] << 3) | 1
    return _slices(out, size)


def _lines(shapes):
    parts, row = shapely.get_parts(shapes, return_index=True)
    xy, part = shapely.get_coordinates(parts, return_index=True)
    xy = np.rint(xy).astype(np.int64)
    keep = _firsts(part) | _moves(xy)
    xy, part = xy[keep], part[keep]
    n = np.bincount(part, minlength=len(parts))
    good = n >= 2
    xy, part = xy[good[part]], part[good[part]]
    return _paths(xy, part, row, np.where(good, n, 0), len(shapes), close=False)


def _polygons(shapes):
    shapes = _on_grid(shapes)
    parts, row = shapely.get_parts(shapes, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    xy = xy.astype(np.int64)
    keep = np.append(ring[1:] == ring[:-1], False)[: len(ring)]  # without the closing corner
    keep &= _firsts(ring) | _moves(xy)
    xy, ring = xy[keep], ring[keep]
    n = np.bincount(ring, minlength=len(rings))
    start = np.cumsum(n) - n
    here = np.arange(len(xy))
    place = here - start[ring]
    after = np.where(place + 1 < n[ring], here + 1, start[ring])
    area = np.bincount(ring, xy[:, 0] * xy[after, 1] - xy[after, 0] * xy[:, 1], minlength=len(rings))
    outer = _firsts(part)
    good = (n >= 3) & (area != 0)
    good &= np.bincount(part, outer & good, minlength=len(parts))[part] > 0  # a hole needs its outline
    backwards = (area < 0) == outer  # y points down: an outline has a positive area, a hole a negative one
    xy = xy[np.where(backwards[ring], start[ring] + n[ring] - 1 - place, here)]
    xy, ring = xy[good[ring]], ring[good[ring]]
    return _paths(xy, ring, row[part], np.where(good, n, 0), len(shapes), close=True)


def _on_grid(shapes):
    """Polygons with whole coordinates, valid where rounding alone would make a ring cross itself."""
    rounded = shapely.transform(shapes, np.rint)
    bad = ~shapely.is_valid(rounded)
    if bad.any():
        with np.errstate(all="ignore"):  # GEOS divides by the length of sides that vanish
            rounded[bad] = shapely.set_precision(shapes[bad], 1.0)
        odd = shapely.get_type_id(rounded) == 7
        rounded[odd] = [_highest(g, 2) for g in rounded[odd]]
    return rounded


def _paths(xy, path, row, n, shapes, *, close):
    """Command integers of lines or rings. path: of each corner; row: shape of each path; n: corners of each path."""
    first = _firsts(path)
    delta = _zigzag(_steps(xy, _firsts(row[path])))
    place = _within(path)
    size = np.where(n > 0, 2 * n + (3 if close else 2), 0)
    start = np.cumsum(size) - size
    out = np.empty(int(size.sum()), dtype=np.int64)
    at = start[path] + 1 + 2 * place + ~first
    out[at], out[at + 1] = delta[:, 0], delta[:, 1]
    drawn = n > 0
    out[start[drawn]] = _MOVE_ONCE
    out[start[drawn] + 3] = ((n[drawn] - 1) << 3) | 2
    if close:
        out[start[drawn] + size[drawn] - 1] = _CLOSE
    return _slices(out, np.bincount(row, size, minlength=shapes).astype(np.int64))


def _steps(xy, restart):
    """Differences from corner to corner; from 0, 0 where restart says so."""
    before = np.vstack([np.zeros((1, 2), dtype=np.int64), xy[:-1]])
    before[restart] = 0
    return xy - before


def _moves(xy):
    """Which corners lie elsewhere than the one before."""
    return np.append(True, (np.diff(xy, axis=0) != 0).any(axis=1))[: len(xy)]


def _zigzag(values):
    return (values << 1) ^ (values >> 63)


def _firsts(index):
    first = np.ones(len(index), dtype=bool)
    first[1:] = index[1:] != index[:-1]
    return first


def _within(index):
    """Place of each item in its run of equal numbers, from 0."""
    first = np.flatnonzero(_firsts(index))
    return np.arange(len(index)) - np.repeat(first, np.diff(np.append(first, len(index))))


def _slices(integers, size):
    """(number, bytes) of the runs of integers that belong to each shape."""
    body, end = varints(integers)
    last = np.append(0, end)[np.cumsum(size)]
    first = np.append(0, last[:-1])
    pairs = zip(first.tolist(), last.tolist(), strict=True)
    return [(i, body[a:b]) for i, (a, b) in enumerate(pairs) if b > a]


# --- protocol buffers ---


def varints(values):
    """The bytes of whole numbers from 0 to 2**35 - 1 as varints (LEB128), and where each ends."""
    values = np.asarray(values, dtype=np.int64)
    n = np.ones(values.shape, dtype=np.int64)
    for k in range(1, 5):
        n += values >= (1 << (7 * k))
    end = np.cumsum(n)
    out = np.empty(int(n.sum()), dtype=np.uint8)
    start = end - n
    for k in range(5):
        has = n > k
        out[start[has] + k] = ((values[has] >> (7 * k)) & 0x7F) | ((n[has] > k + 1).astype(np.int64) << 7)
    return out.tobytes(), end


def _long_varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append((n & 0x7F) | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


_SHORT = [_long_varint(n) for n in range(1 << 14)]  # most lengths and places are below


def _varint(n):
    return _SHORT[n] if n < 1 << 14 else _long_varint(n)


def _field(number, payload):
    return _SHORT[(number << 3) | 2] + _varint(len(payload)) + payload


def _tags(properties, rows):
    """Fields of the keys, fields of the values, and the tags of each row."""
    keys, values, columns = [], [], []
    for key, column in properties.items():
        code, unique = pd.factorize(column)
        tag = _varint(len(keys))
        table = [tag + _varint(len(values) + j) for j in range(len(unique))] + [b""]  # -1: missing
        columns.append([table[j] for j in code])
        keys.append(_field(3, key.encode()))
        values += map(_value, unique)
    tags = [b"".join(row) for row in zip(*columns, strict=True)] if columns else [b""] * rows
    return keys, values, tags


@lru_cache(maxsize=20_000, typed=True)  # the same names stand in the tiles of every zoom
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
