"""Who can send waste water where, and the exact flows for plants that stand.

A facility is a plant that stands or a site where one may be built; facilities and demands are numbered
0, 1, 2 ... For the open facilities S the flows are those of the transport problem

    maximise sum of worth_i y_ij   subject to   sum over j of y_ij <= demand_i,   sum over i of y_ij <= capacity_j,   y >= 0

over the pairs (i, j) within reach, j in S. A demand may be split between plants. Demands of one worth that reach
the same open facilities are one demand to this problem, which makes it small.
"""

from dataclasses import dataclass

import numpy as np
import shapely

from geo.programs import Rows, maximise


@dataclass(frozen=True, eq=False)
class Reach:
    """Pairs within reach, facility by facility. Facility j reaches demand[start[j] : start[j + 1]], in rising order,
    each at distance_m of the same place. demands: how many demands there are in all, reached or not.
    """

    start: np.ndarray
    demand: np.ndarray
    distance_m: np.ndarray
    demands: int

    facilities = property(lambda self: len(self.start) - 1)
    pairs = property(lambda self: len(self.demand))

    @property
    def facility(self):
        """Of each pair, its facility."""
        return np.repeat(np.arange(self.facilities, dtype=np.int32), np.diff(self.start))

    def at(self, facilities):
        """The places of the pairs of these facilities, facility by facility."""
        facilities = np.asarray(facilities, dtype=int)
        size = self.start[facilities + 1] - self.start[facilities]
        end = np.cumsum(size)
        return np.arange(end[-1] if len(end) else 0) + np.repeat(self.start[facilities] - (end - size), size)

    def only(self, facilities):
        """The Reach of these facilities, numbered anew in the order given; a facility may be given twice."""
        facilities = np.asarray(facilities, dtype=int)
        size = self.start[facilities + 1] - self.start[facilities]
        at = self.at(facilities)
        return Reach(np.concatenate([[0], np.cumsum(size)]), self.demand[at], self.distance_m[at], self.demands)


def reach_of_pairs(facility, demand, distance_m, *, facilities, demands):
    """Reach of given pairs, such as distances along a network; of a pair given twice the shorter counts."""
    facility, demand = np.asarray(facility, dtype=np.int64), np.asarray(demand, dtype=np.int64)
    distance_m = np.asarray(distance_m, dtype=float)
    order = np.lexsort((distance_m, demand, facility))
    facility, demand, distance_m = facility[order], demand[order], distance_m[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(facility) > 0) | (np.diff(demand) > 0)
    start = np.searchsorted(facility[first], np.arange(facilities + 1))
    return Reach(start, demand[first].astype(np.intp), distance_m[first], demands)


def straight_reach(facilities, demands, within_m):
    """Reach of points no farther apart than within_m in a straight line; two arrays of x, y in metres.

    >>> reach = straight_reach([[0, 0], [9, 0]], [[3, 4], [0, 1]], 5)
    >>> reach.start.tolist(), reach.demand.tolist(), reach.distance_m.tolist()
    ([0, 2, 2], [0, 1], [5.0, 1.0])
    """
    facilities, demands = np.asarray(facilities, dtype=float), np.asarray(demands, dtype=float)
    tree = shapely.STRtree(shapely.points(demands))
    j, i = tree.query(shapely.points(facilities), predicate="dwithin", distance=within_m)
    away = np.hypot(*(facilities[j] - demands[i]).T)
    return reach_of_pairs(j, i, away, facilities=len(facilities), demands=len(demands))


def most_served(reach, demand, worth, capacity):
    """Largest sum of worth x flow if all facilities of reach are open (the optimum of the formula), to six decimals.

    demand, worth: by demand; capacity: by facility, in the unit of demand, inf for no limit.
    """
    return prices(reach, demand, worth, capacity)[0]


def prices(reach, demand, worth, capacity):
    """(value, u, used): most_served, to six decimals; what one more unit of each demand would add to it; what is served of each
    demand in one of the best ways, alike ones in proportion. u and used are 0 out of reach of all facilities.
    """
    u, used = np.zeros(reach.demands), np.zeros(reach.demands)
    facility, i = reach.facility, reach.demand
    while len(i):  # a facility with room for all that it reaches settles these demands
        easy = np.bincount(facility, demand[i], minlength=reach.facilities) <= capacity
        settled = i[easy[facility]]
        if not len(settled):
            break
        u[settled], used[settled] = worth[settled], demand[settled]
        left = np.ones(reach.demands, dtype=bool)
        left[settled] = False
        facility, i = facility[left[i]], i[left[i]]
    if not len(i):
        return round(float((worth * used).sum()), 6), u, used
    met, row = _numbered(i, reach.demands)
    _, to = _numbered(facility, reach.facilities)
    rooms = np.asarray(capacity, dtype=float)[np.unique(facility)]
    group, groups = alike(row, to, worth[met])
    size, gain = np.bincount(group, demand[met], minlength=groups), np.zeros(groups)
    gain[group] = worth[met]
    pair = np.zeros((groups, len(rooms)), dtype=bool)
    pair[group[row], to] = True
    of, to = np.nonzero(pair)
    column = np.arange(len(of))
    rows = Rows()
    rows.add(size, (of, column, 1.0))
    rows.add(np.minimum(rooms, size.sum()), (to, column, 1.0))
    no_limit = np.full(len(of), np.inf)  # one would take the prices away from the rows
    answer = maximise(gain[of], no_limit, rows)
    u[met] = np.maximum(answer.duals[:groups], 0.0)[group]
    part = np.bincount(of, answer.x, minlength=groups) / np.maximum(size, 1e-300)
    used[met] = demand[met] * np.clip(part[group], 0.0, 1.0)
    return round(float((worth * used).sum()), 6), u, used


def _numbered(numbers, below):
    """(the different ones in rising order, of each number its place among them); numbers are under `below`."""
    there = np.zeros(below, dtype=bool)
    there[numbers] = True
    different, place = np.flatnonzero(there), np.empty(below, dtype=np.intp)
    place[different] = np.arange(len(different))
    return different, place[numbers]


def alike(i, j, worth):
    """(label of each row, number of labels): rows of one label have the same j and worth.

    The set of j of a row is told by two sums of random numbers, always the same. Sets that share one sum, once in
    10^15, get more labels than needed; sets that share both would have to be unlucky once in 10^30.
    """
    if not len(i):
        return np.zeros(0, dtype=np.intp), 0
    marks = np.random.default_rng(0).integers(1, 2**50, size=(2, int(j.max()) + 1)).astype(float)
    sums = [np.bincount(i, mark[j], minlength=len(worth)) for mark in marks]
    order = np.argsort(sums[0], kind="stable") if np.ptp(worth) == 0 else np.lexsort((worth, sums[0]))
    new = np.zeros(len(order), dtype=bool)
    for column in (*sums, worth):
        new[1:] |= np.diff(column[order]) != 0
    label = np.empty(len(order), dtype=np.intp)
    label[order] = np.cumsum(new)
    return label, int(label.max()) + 1


def allocation(reach, demand, worth, capacity):
    """Flow of each pair of reach: the most is served, and of all ways to serve it the one with least flow x distance.

    Two programs, one after the other. Flows are rounded to a millilitre (1e-6 m³).
    """
    if not reach.pairs:
        return np.zeros(0)
    best = float((worth * prices(reach, demand, worth, capacity)[2]).sum())
    facility, column = reach.facility, np.arange(reach.pairs)
    met, i = np.unique(reach.demand, return_inverse=True)
    upper = np.minimum(demand[met][i], np.asarray(capacity, dtype=float)[facility])
    far = reach.distance_m / max(float(reach.distance_m.max()), 1.0)
    for slack in (1e-12, 1e-9, 1e-6):  # best is right to the rounding of the solver
        rows = Rows()
        rows.add(demand[met], (i, column, 1.0))
        rows.add(np.minimum(capacity, demand[met].sum()), (facility, column, 1.0))
        rows.add([np.inf], (0, column, worth[reach.demand]), least=best * (1 - slack))
        answer = maximise(-far, upper, rows)
        if answer.x is not None:
            return np.round(answer.x, 6) + 0.0
    raise ArithmeticError(f"The flows of {reach.facilities} plants were not found ({answer.status}).")
