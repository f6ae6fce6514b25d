"""How far cells and points are from features: exact Euclidean distance, in bounded memory.

For cells: the distance transform of the cells that features touch, two one-dimensional passes (Felzenszwalb and
Huttenlocher 2012, Theory of Computing 8, 415-428). Down the columns, nearest touched cell above and below; along the
rows, the lower envelope of the parabolas (q - x)² + g(q)². A study is cut into strips over its full width: one sweep
from the south notes for each strip the nearest touched row below it, a second from the north carries the nearest above; so
no strip has to look over its border, however far a feature is.

A feature lies within half a cell's diagonal of the middle of each cell it touches, so the distance of cells is right
to +- 0.71 cell. Where a rule's limit is that near, the exact distance to the feature decides (`within`).
"""

import numpy as np
import rasterio.features
import shapely

PIECE = 32  # corners of a piece of outline
NOWHERE = np.iinfo(np.int32).max // 4
SHORT, FULL = 255, 65_535


class Features:
    """Features (GeoSeries in the CRS of a grid, none empty) on a grid cut into strips; also those beyond its border.

    most_m: distances up to this one matter; a larger one may be told as inf.
    """

    def __init__(self, shapes, grid, strips, most_m):
        self.grid, self.strips, self.most_m = grid, strips, most_m
        parts = shapely.get_parts(np.asarray(shapes.values))
        while (shapely.get_type_id(parts) > 3).any():
            parts = shapely.get_parts(parts)
        kind = shapely.get_type_id(parts)
        points, lines, polygons = parts[kind == 0], parts[(kind == 1) | (kind == 2)], parts[kind == 3]
        self.outlined = shapely.STRtree(np.concatenate([lines, polygons]))
        self.filled = shapely.STRtree(polygons)
        self.pieces = shapely.STRtree(np.concatenate([points, _pieces(lines, polygons)]))
        xy, t = shapely.get_coordinates(points), grid.transform
        self.cells = np.floor((xy[:, 1] - t.f) / t.e).astype(int), np.floor((xy[:, 0] - t.c) / t.a).astype(int)
        self.margins = self._margins(shapely.total_bounds(parts)) if len(parts) else (0, 0, 0, 0)

    def _margins(self, box):
        """Cells to look at west, south, east and north of the grid."""
        over = np.array([-1, -1, 1, 1]) * (box - np.array(self.grid.bounds))
        return tuple(np.ceil(np.clip(over, 0, self.most_m) / self.grid.cell_m).astype(int) + 1)

    def _burn(self, tree, part, *, all_touched):
        hit = np.sort(tree.query(shapely.box(*part.bounds).buffer(self.grid.cell_m)))
        size = (part.rows, part.columns)
        if not len(hit):
            return np.zeros(size, dtype=bool)
        options = {"out_shape": size, "transform": part.transform, "all_touched": all_touched, "dtype": "uint8"}
        return rasterio.features.rasterize(tree.geometries[hit], **options).astype(bool)

    def touched(self, first, last):
        """Which cells of some rows a feature touches, with the margins west and east."""
        west, _, east, _ = self.margins
        part = self.grid.part(first, last, west=west, east=east)
        mask = self._burn(self.outlined, part, all_touched=True)
        row, column = self.cells[0] - first, self.cells[1] + west
        there = (row >= 0) & (row < part.rows) & (column >= 0) & (column < part.columns)
        mask[row[there], column[there]] = True
        return mask

    def inside(self, first, last):
        """Which cells of some rows have their middle in a polygon."""
        return self._burn(self.filled, self.grid.part(first, last), all_touched=False)

    def distance(self, x, y):
        """Exact distance in m of points (arrays) from the nearest feature, 0 inside a polygon, inf without features."""
        points = shapely.points(x, y)
        out = np.full(len(points), np.inf)
        if len(self.pieces.geometries):
            (at, _), far = self.pieces.query_nearest(points, return_distance=True, all_matches=False)
            out[at] = far
        out[self.filled.query(points, predicate="intersects")[0]] = 0.0
        return out

    def within(self, first, cells, reach_m, *, inside):
        """Which of some cells of rows from first are nearer than reach_m, or touched by the feature in their middle; exact.

        cells: (rows, columns) counted from first. inside: of the same rows.
        """
        rows, columns = cells
        x, y = self.grid.centre(rows + first, columns)
        near = inside[cells].copy()
        ask = np.flatnonzero(~near)
        if len(ask) and len(self.pieces.geometries):
            points = shapely.points(x[ask], y[ask])
            options = {"return_distance": True, "all_matches": False, "max_distance": reach_m * (1 + 1e-9) + 1e-6}
            (at, _), far = self.pieces.query_nearest(points, **options)
            near[ask[at]] = (far < reach_m) | (far == 0)
        return near

    def sweep(self, *, step=None):
        """(nearest touched row above the grid, {first row of each strip: nearest touched row below it}), by column.

        -NOWHERE and NOWHERE stand for none. step: called after each strip.
        """
        west, south, east, north = self.margins
        nearest = np.full(self.grid.columns + west + east, NOWHERE, dtype=np.int32)
        below = {}
        for first, last in [(self.grid.rows, self.grid.rows + south), *reversed(self.strips)]:
            below[first] = nearest.copy()
            if last > first:
                mask = self.touched(first, last)
                found = mask.any(axis=0)
                nearest[found] = first + mask.argmax(axis=0)[found]
            if step is not None:
                step()
        mask = self.touched(-north, 0) if north else np.zeros((1, len(nearest)), dtype=bool)
        above = np.where(mask.any(axis=0), -1 - mask[::-1].argmax(axis=0), -NOWHERE).astype(np.int32)
        return above, below

    def strip_distances(self, first, last, above, below):
        """(distance in m of the cells of a strip, nearest touched row so far, by column). See sweep."""
        mask = self.touched(first, last)
        row = np.arange(first, last, dtype=np.int32)[:, None]
        up = np.maximum.accumulate(np.where(mask, row, above), axis=0)
        down = np.minimum.accumulate(np.where(mask, row, below)[::-1], axis=0)[::-1]
        off = np.minimum(row - up, down - row)
        most = int(min(self.most_m / self.grid.cell_m + 1, NOWHERE // 2))
        squared = (
            along_rows_within(off, most) if most <= SHORT else along_rows(np.where(off > most, np.inf, off) ** 2.0)
        )
        squared = squared[:, self.margins[0] :][:, : self.grid.columns]
        return np.sqrt(squared) * self.grid.cell_m, up[-1]


def _pieces(lines, polygons):
    """Outlines cut into linestrings of at most PIECE corners, so that a tree finds the near ones."""
    outlines = [*lines, *shapely.get_rings(polygons)] if len(polygons) else list(lines)
    out = []
    for outline in outlines:
        xy = shapely.get_coordinates(outline)
        cuts = range(0, len(xy) - 1, PIECE - 1)
        out += [outline] if len(xy) <= PIECE else [shapely.LineString(xy[k : k + PIECE]) for k in cuts]
    return np.array(out, dtype=object)


def along_rows_within(off, most):
    """The same as along_rows(off**2) as far as the root is `most` (at most 255) or less, else inf; much faster.

    Every shift up to `most` is tried, in numbers of 16 bits that stop at 65,535 = 256² - 1.
    """
    out = np.empty(off.shape)
    block = max(1, 200_000 // off.shape[1])  # rows that fit in the cache
    for first in range(0, len(off), block):
        part = off[first : first + block]
        g = np.where(part > SHORT, FULL, np.minimum(part, SHORT) ** 2).astype(np.uint16)
        best = g.copy()
        for shift in range(1, min(most, off.shape[1] - 1) + 1):
            moved = np.minimum(g, np.uint16(FULL - shift**2)) + np.uint16(shift**2)
            np.minimum(best[:, shift:], moved[:, :-shift], out=best[:, shift:])
            np.minimum(best[:, :-shift], moved[:, shift:], out=best[:, :-shift])
            if shift % 16 == 0 and best.max() <= shift**2:
                break
        out[first : first + block] = np.where(best > most**2, np.inf, best)
    return out


def along_rows(g):
    """min over q of (x - q)² + g(q) for each x of each row: the lower envelope of parabolas, all rows at once.

    g: rows x columns, inf where a column holds nothing.

    >>> along_rows(np.array([[np.inf, 4.0, np.inf, np.inf, 0.0]])).tolist()
    [[5.0, 4.0, 4.0, 1.0, 0.0]]
    """
    rows, columns = g.shape
    g = np.ascontiguousarray(g.T)
    at = np.zeros((columns, rows), dtype=np.int32)  # of each row, the columns of the parabolas of the envelope
    begin = np.zeros((columns, rows))  # and where each begins to be lowest
    top = np.full(rows, -1)
    for q in range(columns):
        row = np.flatnonzero(np.isfinite(g[q]))
        if not len(row):
            continue
        height = g[q, row] + float(q) ** 2
        start = np.full(len(row), -np.inf)
        left = np.flatnonzero(top[row] >= 0)
        while len(left):
            r = row[left]
            p = at[top[r], r]
            start[left] = (height[left] - g[p, r] - p.astype(float) ** 2) / (2.0 * (q - p))
            left = left[start[left] <= begin[top[r], r]]  # the first begins at -inf and is never hidden
            top[row[left]] -= 1
        top[row] += 1
        at[top[row], row], begin[top[row], row] = q, start
    lowest = np.full((columns, rows), -1, dtype=np.int32)
    for k in range(int(top.max(initial=-1)) + 1):
        row = np.flatnonzero(top >= k)
        first = np.ceil(np.clip(begin[k, row], 0, columns)).astype(int)
        seen = first < columns
        lowest[first[seen], row[seen]] = at[k, row[seen]]
    np.maximum.accumulate(lowest, axis=0, out=lowest)
    out = np.full((columns, rows), np.inf)
    has = np.flatnonzero(top >= 0)
    if len(has):
        q = lowest[:, has]
        out[:, has] = g[q, has[None]] + (np.arange(columns)[:, None] - q).astype(float) ** 2
    return np.ascontiguousarray(out.T)
