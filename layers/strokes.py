"""Shapes on the whole numbers of a map grid, and the drawing commands of vector tiles that stand for them.

Commands, zigzag coding and ring direction follow the Mapbox Vector Tile Specification 2.1, 4.3. A unit of the grid is
a unit of a tile, y counts southward, so that the same shape has the same commands in every tile of a zoom, but for the
place where it begins. Everything is done for many shapes at once. Pure.
"""

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import shapely

POINT, LINE, POLYGON = 1, 2, 3
_MOVE_ONCE, _CLOSE = 9, 15
_COLLECTION = 7  # as shapely numbers the types


@dataclass(frozen=True)
class Strokes:
    """Commands of shapes that have something to draw, in the order of the shapes.

    row: number of the shape. kind: POINT, LINE or POLYGON. command: the first command integer. at: (n, 2), where the
    first command goes. rest: array of bytes, the commands and parameters after that. All arrays are equally long.
    """

    row: np.ndarray
    kind: np.ndarray
    command: np.ndarray
    at: np.ndarray
    rest: np.ndarray

    def __len__(self):
        return len(self.row)

    def of(self, rows):
        """The same where the shapes are some of others: rows tells which."""
        return replace(self, row=rows[self.row])


def gridded(shapes, place=None, slack=0.0):
    """Shapes with whole coordinates.

    shapes: array of shapely geometries, None allowed, polygons valid. place: a function of (n, 2) coordinates that
    gives them in units of the grid, where they are not. slack: how far, in the shapes' own unit, simplifying may move
    them before they are rounded. Polygons come back valid: where simplifying or rounding makes a ring cross or lose
    itself, a slower way is taken. An area less than a unit wide comes back empty or None.
    """

    def on_grid(some):
        return shapely.transform(some, (lambda xy: np.rint(place(xy))) if place else np.rint)

    out = on_grid(shapely.simplify(shapes, slack, preserve_topology=False) if slack else shapes)
    bad = ~shapely.is_valid(out)
    if slack:  # a small part may be lost, which the slower way keeps
        bad |= (shapely.get_num_geometries(out) < shapely.get_num_geometries(shapes)) | shapely.is_empty(out)
    bad &= shapely.get_dimensions(shapes) == 2
    if bad.any():
        out[bad] = _mended(shapely.simplify(shapes[bad], slack) if slack else shapes[bad], on_grid, place)
    return out


def _mended(shapes, on_grid, place):
    """Polygons on the grid, valid, where rounding alone does not do it; None where nothing is left."""
    out = on_grid(shapes)
    box = shapely.bounds(out)
    gone = ~(box[:, 2:] > box[:, :2]).all(axis=1)
    out[gone] = None
    crossed = np.flatnonzero(~shapely.is_valid(out) & ~gone)
    exact = shapely.transform(shapes[crossed], place) if place else shapes[crossed]
    for i, shape in zip(crossed, exact, strict=True):
        out[i] = _snapped(shape)
    return _highest(out, 2)


def _snapped(shape):
    with np.errstate(all="ignore"):  # GEOS divides by the length of sides that vanish
        with suppress(shapely.errors.GEOSException):
            return shapely.set_precision(shape, 1.0)
        for _ in range(3):  # a shape that is not valid, by less than the eye sees
            shape = shapely.make_valid(shapely.transform(shape, np.rint), method="structure", keep_collapsed=False)
            if (shapely.get_coordinates(shape) % 1 == 0).all():
                return shape
    return None


def clipped(shapes, frame):
    """Shapes cut to a frame (least x, least y, greatest x, greatest y), in units of theirs.

    What touches the frame with less than its own dimension comes back as None; the rest is as it was.
    """
    box = shapely.bounds(shapes)
    crossing = np.flatnonzero((box[:, :2] < frame[:2]).any(axis=1) | (box[:, 2:] > frame[2:]).any(axis=1))
    if len(crossing):
        some = shapes[crossing]
        before = shapely.get_dimensions(some)
        some = _highest(shapely.clip_by_rect(some, *frame), before)
        some[shapely.get_dimensions(some) < before] = None
        shapes = shapes.copy()
        shapes[crossing] = some
    return shapes


def _highest(shapes, dimension):
    """Collections give way to their parts of a dimension, which is one number or one for each shape."""
    for i in np.flatnonzero(shapely.get_type_id(shapes) == _COLLECTION):
        want = dimension if np.isscalar(dimension) else dimension[i]
        parts = shapely.get_parts(shapely.get_parts(shapes[i]))
        parts = parts[(shapely.get_dimensions(parts) == want) & ~shapely.is_empty(parts)]
        make = (shapely.multipoints, shapely.multilinestrings, shapely.multipolygons)[want]
        shapes[i] = make(parts) if len(parts) else None
    return shapes


def highest(shapes):
    """Shapes of one kind each: of a GeometryCollection the parts of the highest dimension are taken."""
    return _highest(shapes.copy(), shapely.get_dimensions(shapes))


def strokes(shapes):
    """The commands of gridded shapes, kinds mixed; what is missing, empty or has no extent of its kind is left out."""
    dimensions = shapely.get_dimensions(shapes)
    made = []
    for dimension, write in enumerate((_points, _lines, _polygons)):
        mine = np.flatnonzero(dimensions == dimension)
        if len(mine):
            row, command, at, rest = write(shapes[mine])
            kind = np.full(len(row), (POINT, LINE, POLYGON)[dimension], dtype=np.int64)
            made.append(Strokes(mine[row], kind, command, at, rest))
    if len(made) == 1:
        return made[0]
    return _in_order(made)


def _in_order(made):
    names = ("row", "kind", "command", "at", "rest")
    if not made:
        none = np.zeros(0, dtype=np.int64)
        return Strokes(none, none, none, none.reshape(0, 2), np.zeros(0, dtype=object))
    order = np.argsort(np.concatenate([s.row for s in made]))
    return Strokes(*(np.concatenate([getattr(s, n) for s in made])[order] for n in names))


def joined(first, second):
    """Two Strokes as one, in the order of their rows."""
    return _in_order([s for s in (first, second) if len(s)])


# --- each kind gives rows, first commands, first places, and the bytes after them ---


def _points(shapes):
    xy, row = shapely.get_coordinates(shapes, return_index=True)
    xy = xy.astype(np.int64)
    n = np.bincount(row, minlength=len(shapes))
    first = _firsts(row)
    delta = _zigzag(_steps(xy, first))[~first]
    rest = _slices(delta.ravel(), 2 * np.maximum(n - 1, 0))
    drawn = np.flatnonzero(n)
    return drawn, (n[drawn] << 3) | 1, xy[first], rest[drawn]


def _lines(shapes):
    parts, row = shapely.get_parts(shapes, return_index=True)
    xy, part = shapely.get_coordinates(parts, return_index=True)
    xy = xy.astype(np.int64)
    keep = _firsts(part) | _moves(xy)
    xy, part = xy[keep], part[keep]
    n = np.bincount(part, minlength=len(parts))
    good = n >= 2
    xy, part = xy[good[part]], part[good[part]]
    return _paths(xy, part, row, np.where(good, n, 0), len(shapes), close=False)


def _polygons(shapes):
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
    near = xy - xy[start[ring]]  # far from the origin of the grid products would not be exact
    area = np.bincount(ring, near[:, 0] * near[after, 1] - near[after, 0] * near[:, 1], minlength=len(rings))
    outer = _firsts(part)
    good = (n >= 3) & (area != 0)
    good &= np.bincount(part, outer & good, minlength=len(parts))[part] > 0  # a hole needs its outline
    backwards = (area < 0) == outer  # y points down: an outline has a positive area, a hole a negative one
    xy = xy[np.where(backwards[ring], start[ring] + n[ring] - 1 - place, here)]
    xy, ring = xy[good[ring]], ring[good[ring]]
    return _paths(xy, ring, row[part], np.where(good, n, 0), len(shapes), close=True)


def _paths(xy, path, row, n, shapes, *, close):
    """Commands of lines or rings. path: of each corner; row: shape of each path; n: corners of each path."""
    first, begins = _firsts(path), _firsts(row[path])
    delta = _zigzag(_steps(xy, begins))
    size = np.where(n > 0, 2 * n + (3 if close else 2), 0)
    start = np.cumsum(size) - size
    out = np.empty(int(size.sum()), dtype=np.int64)
    at = start[path] + 1 + 2 * _within(path) + ~first
    out[at], out[at + 1] = delta[:, 0], delta[:, 1]
    drawn = n > 0
    out[start[drawn]] = _MOVE_ONCE
    out[start[drawn] + 3] = ((n[drawn] - 1) << 3) | 2
    if close:
        out[start[drawn] + size[drawn] - 1] = _CLOSE
    length = np.bincount(row, size, minlength=shapes).astype(np.int64)
    used = np.flatnonzero(length)
    rest = _slices(out, length, skip=3)  # the first command and its place, which is 0, 0 here, are three bytes
    return used, np.full(len(used), _MOVE_ONCE, dtype=np.int64), xy[begins], rest[used]


def _steps(xy, begins):
    """Differences from corner to corner; 0, 0 where a shape begins."""
    before = np.empty_like(xy)
    before[1:] = xy[:-1]
    before[begins] = xy[begins]
    return xy - before


def _moves(xy):
    """Which corners lie elsewhere than the one before."""
    moves = np.ones(len(xy), dtype=bool)
    moves[1:] = (xy[1:] != xy[:-1]).any(axis=1)
    return moves


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


def _slices(integers, length, skip=0):
    """The varints of the runs of integers that belong to each shape, without the first `skip` bytes, as an array."""
    body, end = varints(integers)
    last = np.append(0, end)[np.cumsum(length)]
    start = np.append(0, last[:-1]) + skip
    out = np.empty(len(length), dtype=object)
    out[:] = [body[a:b] for a, b in zip(start.tolist(), last.tolist(), strict=True)]
    return out


# --- numbers ---

_STEPS = [1 << (7 * k) for k in range(1, 5)]


def widths(values):
    """How many bytes each whole number from 0 to 2**35 - 1 takes as a varint."""
    n = np.ones(values.shape, dtype=np.int64)
    top = int(values.max(initial=0))
    for limit in _STEPS:
        if top < limit:
            break
        n += values >= limit
    return n


def varints(values):
    """The bytes of whole numbers from 0 to 2**35 - 1 as varints (LEB128), and where each ends."""
    values = np.asarray(values, dtype=np.int64)
    width = widths(values)
    return packed(values, width), np.cumsum(width)


def packed(values, width):
    """The bytes of whole numbers as varints. width: of each, as widths() gives it; 0 leaves a number out."""
    most = int(width.max(initial=1))
    out = np.empty((*values.shape, most), dtype=np.uint8)
    for k in range(most):
        out[..., k] = (values >> (7 * k)) & 0x7F
        if k + 1 < most:
            out[..., k] |= (width > k + 1).astype(np.uint8) << 7
    return out[np.arange(most) < width[..., None]].tobytes()
