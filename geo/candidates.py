"""The best places of a scored grid, kept apart from each other."""

import geopandas as gpd
import numpy as np
import pandas as pd


class Candidates:
    """Collects the best cells strip by strip: take() each, then places().

    Of each square of apart_m side the best cell is kept; of these the best are taken, none nearer than apart_m to a
    better one. Of equal cells the northern, then the western comes first.
    """

    def __init__(self, grid, apart_m):
        self.grid, self.side = grid, max(round(apart_m / grid.cell_m), 1)
        self.apart_m, self.best = apart_m, {}

    def take(self, first, score):
        """first: row of the grid where these rows of scores begin."""
        row, column = np.nonzero(~np.isnan(score))
        score = score[row, column]
        square = (row + first) // self.side * (self.grid.columns // self.side + 1) + column // self.side
        order = np.lexsort((column, row, -score, square))
        for k in order[np.append(True, np.diff(square[order]) > 0)] if len(order) else order:
            found = (-float(score[k]), int(row[k]) + first, int(column[k]))
            self.best[int(square[k])] = min(found, self.best.get(int(square[k]), found))

    def places(self, count, *, spread_m=None, beside=()):
        """GeoDataFrame of at most `count` points by rank from 1: score, row, column.

        spread_m: every second place is then the best one left of a square of this side from which the fewest were
        taken, so that land far from the best has its places too; rank is still by score. beside: (x, y) of places from
        which these are kept apart too.
        """
        found = self._apart(None if spread_m else count, beside)
        if spread_m:
            found = sorted(_spread(found, count, spread_m), key=lambda place: (-place[2], place[3], place[4]))
        table = pd.DataFrame(found, columns=["x", "y", "score", "row", "column"])
        table.index = pd.RangeIndex(1, len(table) + 1, name="rank")
        return gpd.GeoDataFrame(
            table[["score", "row", "column"]], geometry=gpd.points_from_xy(table["x"], table["y"]), crs=self.grid.crs
        )

    def _apart(self, count, beside):
        """[(x, y, score, row, column)], the best first, none nearer than apart_m to a better one or to those beside."""
        taken, others = [], np.reshape(np.asarray(beside, dtype=float), (-1, 2))
        xy, n = np.concatenate([others, np.empty((len(self.best), 2))]), len(others)
        for score, row, column in sorted(self.best.values()):
            if count is not None and len(taken) >= count:
                break
            place = np.array(self.grid.centre(row, column))
            if (np.hypot(*(xy[: n + len(taken)] - place).T) >= self.apart_m).all():
                xy[n + len(taken)] = place
                taken.append((float(place[0]), float(place[1]), -score, row, column))
        return taken


def _spread(places, count, side_m):
    """The places taken turn by turn: the best left, and the best left of the square from which fewest were taken."""
    square = [(int(x // side_m), int(y // side_m)) for x, y, *_ in places]
    nth, seen = [], {}
    for key in square:  # how many better places the square has
        nth.append(seen.get(key, 0))
        seen[key] = nth[-1] + 1
    orders = iter(range(len(places))), iter(sorted(range(len(places)), key=lambda k: (nth[k], k)))
    out = {}
    while len(out) < min(count, len(places)):
        for order in orders:
            k = next((k for k in order if k not in out), None)
            if k is not None and len(out) < count:
                out[k] = places[k]
    return list(out.values())


def best_places(result, count, apart_m):
    """The best places of a Suitability; see Candidates."""
    found = Candidates(result.study.grid, apart_m)
    found.take(0, result.score)
    return found.places(count)
