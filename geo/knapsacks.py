"""Fractional knapsacks: the most that one facility could earn with its capacity, at given prices of the demands.

    K_j(c) = maximise sum of r_i y_i   subject to   sum y_i <= c,   0 <= y_i <= demand_i,   i in reach of j
    r_i = max(worth_i - price_i, 0)

The best filling takes the dearest demand first (Dantzig 1957, Oper. Res. 5, 266-277). K_j is the part of facility j
in the Lagrange bound of maximal coverage, and by duality the most that j can add to a choice of facilities whose
transport problem has these prices of the demands.
"""

import numpy as np


class Knapsacks:
    """The knapsacks of some facilities of a case (reach, demand, worth). Call look(prices) before the others.

    Facilities are given by their number in the case, with a capacity each; a facility may be given twice.
    """

    def __init__(self, case, facilities):
        facilities = np.asarray(facilities, dtype=int)
        self.reach = case.reach.only(facilities)
        self.demand = case.demand[self.reach.demand]
        self.worth = case.worth
        self.dearest = float(case.worth.max(initial=0.0))
        self.place = np.full(case.reach.facilities, -1)
        self.place[facilities] = np.arange(len(facilities))
        self.r, self.product = np.empty(self.reach.pairs), np.zeros(self.reach.pairs + 1)  # used again by each look

    def _sums(self, values):
        """Sum of values, by pair, over each facility. values may be the buffer itself."""
        np.copyto(self.product[:-1], values)
        start = self.reach.start
        return np.where(np.diff(start) > 0, np.add.reduceat(self.product, start[:-1]), 0.0)

    def look(self, prices):
        """Fixes the prices of the demands."""
        np.take(np.maximum(self.worth - prices, 0.0), self.reach.demand, out=self.r, mode="clip")
        self.full = self._sums(np.multiply(self.r, self.demand, out=self.product[:-1]))
        self.need = self._sums(np.multiply(self.r > 0, self.demand, out=self.product[:-1]))

    def rest(self, facility, capacity, left):
        """What each could earn at full worth from what is left of the demands, if the dearest are not too few."""
        np.take(self.worth * left, self.reach.demand, out=self.product[:-1], mode="clip")
        full = self._sums(self.product[:-1])[self.place[facility]]
        return np.minimum(full, self.dearest * capacity if self.dearest else 0.0)

    def estimate(self, facility, capacity):
        """(value, exact): K of each, or where that takes a sorting (exact is false) an upper estimate."""
        at = self.place[facility]
        enough = self.need[at] <= capacity
        most = self.dearest * capacity if self.dearest else np.zeros(len(at))
        return np.where(enough, self.full[at], np.minimum(self.full[at], most)), enough

    def fill(self, facility, capacity):
        """K of each, exactly."""
        places, which = np.unique(self.place[facility], return_inverse=True)
        if not len(places):
            return np.zeros(0)
        part = self.reach.only(places)
        at = self.reach.at(places)
        r = self.r[at]
        order = np.lexsort((-r, part.facility))
        r, size = r[order], np.where(r > 0, self.demand[at], 0.0)[order]
        weight, value = (np.concatenate([[0.0], np.cumsum(x)]) for x in (size, size * r))
        low, high = part.start[:-1][which], part.start[1:][which]
        target = np.minimum(weight[low] + capacity, weight[high])
        last = np.clip(np.searchsorted(weight, target), low, high)
        before = np.maximum(last - 1, low)
        rest = (target - weight[before]) * np.append(r, 0.0)[before]
        return np.where(last > low, value[before] + rest - value[low], 0.0)

    def takes(self, facility, capacity, times):
        """Used of each demand of the case by these fillings, each counted `times`."""
        used = np.zeros(len(self.worth))
        for f, c, t in zip(self.place[facility], capacity, times, strict=True):
            span = slice(self.reach.start[f], self.reach.start[f + 1])
            r, demand = self.r[span], self.reach.demand[span]
            size = np.where(r > 0, self.demand[span], 0.0)
            if size.sum() > c:
                order = np.argsort(-r, kind="stable")
                before = np.cumsum(size[order]) - size[order]
                size, demand = np.clip(c - before, 0.0, size[order]), demand[order]
            used[demand] += t * size
        return used
