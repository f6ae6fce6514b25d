"""The most that any choice of new plants could serve: an upper bound from Lagrange multipliers.

Capacitated maximal coverage with options o (a site j with a size: capacity_o, cost_o) and plants that stand:

    maximise sum worth_i y_ij    subject to  (1) sum over j of y_ij <= demand_i
                                             (2) sum over i of y_ij <= sum over o at j of capacity_o z_o
                                             (3) one option per site, sum cost_o z_o <= budget, sum z_o <= number

(1) is relaxed with prices 0 <= lam_i <= worth_i. What is left falls apart into a knapsack per facility,
whose demands weigh demand_i and are worth r_i = worth_i - lam_i per unit:

    L(lam) = sum lam_i demand_i + sum over standing plants of K_j(spare_j) + max over z in (3) of sum z_o K_j(o)(capacity_o)
    K_j(c) = the best of filling c with the demands in reach of j, dearest first

Every L(lam) is at least the optimum (Geoffrion 1974, Math. Prog. Study 2, 82-114; for coverage Pirkul and Schilling
1991, Management Science 37, 233-248). The choice of z is bounded by its own price of money,
mu >= 0: L <= mu budget + sum of the `number` largest K_o - mu cost_o, least over mu. The prices are found by the volume
method (Barahona and Anbil 2000, Math. Prog. 87, 385-399), whose mean of the z is a good hint where to build.
"""

from dataclasses import dataclass

import numpy as np

from geo.knapsacks import Knapsacks

RISE, FALL, STEADY = 1.1, 0.66, 4  # the step grows after a gain, shrinks after so many rounds without
MOST_WEIGHT = 0.1  # of the newest answer in the mean of answers
LOOK_EVERY = 20  # rounds between two looks for a better choice, and for options that can be dropped
STALLED = 1e-5  # relative size of the step at which nothing more comes


@dataclass(frozen=True, eq=False)
class Bound:
    """value: nothing serves more. share: by option, how far the relaxation builds it (0 to 1). most: by option, no
    choice with it serves more. rounds: how many were run. prices: lam by demand. stopped: 'gap' (small
    enough), 'stalled', 'rounds' or 'cancelled'.
    """

    value: float
    share: np.ndarray
    most: np.ndarray
    rounds: int
    prices: np.ndarray
    stopped: str


def _dot(a, b):
    """Their inner product, added in one order on every machine (a library for matrices may share it among cores)."""
    return float((a * b).sum())


def choose(value, cost, site, must, number, budget):
    """(bound, options, times, floor): the best options by value under (3), money relaxed by its best price.

    value, cost, site, must: by option. times: how much of each is in the mean of the two choices between which
    the budget lies (1 where it does not bind). floor: bound - (floor - (value - mu cost))+ bounds every choice with
    that option; returned as (mu, least value - mu cost that was still chosen).
    """
    if not len(value):
        return 0.0, np.zeros(0, dtype=int), np.zeros(0), (0.0, 0.0)

    def at(mu):
        worth = value - mu * cost if mu else value
        order = np.lexsort((worth, site))
        best = order[np.append(np.diff(site[order]) > 0, True)]
        forced, free = best[must[best]], best[~must[best]]
        free = free[worth[free] > 0]
        room = None if number is None else max(number - len(forced), 0)
        least = 0.0
        if room is not None and len(free) > room:
            free = free[np.argsort(-worth[free], kind="stable")]
            least = worth[free[room - 1]] if room else np.inf
            free = free[:room]
        chosen = np.concatenate([forced, free])
        return worth[chosen].sum(), chosen, cost[chosen].sum(), least

    bound, chosen, spent, least = at(0.0)
    if spent <= budget:
        return bound, chosen, np.ones(len(chosen)), (0.0, least)
    dear, low = (chosen, spent), 0.0
    high = 2 * float((value[cost > 0] / cost[cost > 0]).max()) + 1e-9
    cheap, best = None, (bound, 0.0, least)
    for _ in range(60):
        mu = high if cheap is None else (low + high) / 2
        bound, chosen, spent, least = at(mu)
        best = min(best, (bound + mu * budget, mu, least))
        if spent > budget:
            dear, low = (chosen, spent), mu
            if mu == high:  # what is forced costs more than the budget
                break
        else:
            cheap, high = (chosen, spent), mu
        if high - low <= 1e-12 * high:
            break
    if cheap is None:
        return best[0], dear[0], np.ones(len(dear[0])), best[1:]
    part = (budget - cheap[1]) / max(dear[1] - cheap[1], 1e-12)
    options = np.concatenate([dear[0], cheap[0]])
    times = np.repeat([part, 1 - part], [len(dear[0]), len(cheap[0])])
    return best[0], options[times > 0], times[times > 0], best[1:]


def bound(case, known, *, rounds=400, gap=1e-3, look=None, stop=None):
    """Bound of a case; see the module for the method.

    case: has demand, worth (by demand), reach, spare (by standing plant: the first facilities of reach), option_site
    (facility), option_capacity, option_cost, must (by option: the site is forced), number (None: any), budget.
    known: what some choice serves, for the length of the steps. look: called now and then with shares and bound,
    returns what the best known choice serves. stop: true ends it.
    """
    n, kept = len(case.demand), len(case.spare)
    alive = np.ones(len(case.option_site), dtype=bool)
    facilities = Knapsacks(case, np.unique(np.concatenate([np.arange(kept), case.option_site])))

    def relaxed(lam):
        facilities.look(lam)
        options = np.flatnonzero(alive)
        site, capacity = case.option_site[options], case.option_capacity[options]
        value, exact = facilities.estimate(site, capacity)
        batch = 2
        while True:
            top, chosen, times, (mu, least) = choose(
                value, case.option_cost[options], site, case.must[options], case.number, case.budget
            )
            open_ = np.flatnonzero(~exact)
            if exact[chosen].all():
                break
            near = open_[np.argsort(-(value - mu * case.option_cost[options])[open_], kind="stable")]
            batch *= 2
            todo = np.union1d(near[: batch * 4], chosen[~exact[chosen]])
            value[todo], exact[todo] = facilities.fill(site[todo], capacity[todo]), True
        standing = facilities.fill(np.arange(kept), case.spare).sum() if kept else 0.0
        total = top + standing + _dot(lam, case.demand)
        used = facilities.takes(
            np.concatenate([np.arange(kept), site[chosen]]),
            np.concatenate([case.spare, capacity[chosen]]),
            np.concatenate([np.ones(kept), times]),
        )
        share = np.zeros(len(alive))
        np.add.at(share, options[chosen], times)
        reduced = np.full(len(alive), np.inf)
        reduced[options] = total - np.maximum(least - (value - mu * case.option_cost[options]), 0.0)
        return total, case.demand - used, share, reduced

    lam = np.zeros(n)
    best, slope, share, most = relaxed(lam)
    lam_best, mean, step, without, stopped, done = lam, slope, 0.1, 0, "rounds", 0
    mean_share = share
    for done in range(1, rounds + 1):
        if stop is not None and stop():
            stopped = "cancelled"
            break
        if best - known <= gap * abs(best) or not len(alive):
            stopped = "gap"
            break
        way = np.where((lam_best <= 0) & (mean > 0) | (lam_best >= case.worth) & (mean < 0), 0.0, mean)
        length = step * (best - known) / max(_dot(way, way), 1e-12)
        lam = np.clip(lam_best - length * way, 0.0, case.worth)
        total, slope, share, reduced = relaxed(lam)
        most = np.minimum(most, reduced)
        turn = slope - mean
        weight = np.clip(-_dot(mean, turn) / max(_dot(turn, turn), 1e-12), MOST_WEIGHT / 10, MOST_WEIGHT)
        ahead = _dot(slope, way)
        mean, mean_share = mean + weight * turn, mean_share + weight * (share - mean_share)
        if total < best:
            without = 0 if best - total > 1e-5 * abs(best) else without
            step = min(step * RISE, 2.0) if ahead >= 0 else step
            best, lam_best = total, lam
        else:
            without += 1
            if without >= STEADY:
                step, without = step * FALL, 0
        if step < STALLED:
            stopped = "stalled"
            break
        if done % LOOK_EVERY == 0:
            known = max(known, look(mean_share, best)) if look is not None else known
            gone = alive & (most < known * (1 - 1e-9)) & ~case.must
            if gone.sum() > 0.1 * alive.sum():
                alive &= ~gone
                facilities = Knapsacks(case, np.unique(np.concatenate([np.arange(kept), case.option_site[alive]])))
    known = max(known, look(mean_share, best)) if look is not None else known
    return Bound(max(best, known), mean_share, np.where(case.must, np.inf, most), done, lam_best, stopped)
