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

    def places(self, count):
        """GeoDataFrame of at most `count` points by rank from 1: score, row, column."""
        taken = []
        for score, row, column in sorted(self.best.values()):
            x, y = self.grid.centre(row, column)
            if all(np.hypot(x - t[0], y - t[1]) >= self.apart_m for t in taken):
                taken.append((float(x), float(y), -score, row, column))
            if len(taken) >= count:
                break
        table = pd.DataFrame(taken, columns=["x", "y", "score", "row", "column"])
        table.index = pd.RangeIndex(1, len(table) + 1, name="rank")
        return gpd.GeoDataFrame(
            table[["score", "row", "column"]], geometry=gpd.points_from_xy(table["x"], table["y"]), crs=self.grid.crs
        )


def best_places(result, count, apart_m):
    """The best places of a Suitability; see Candidates."""
    found = Candidates(result.study.grid, apart_m)
    found.take(0, result.score)
    return found.places(count)
