"""A good choice of new plants by building up and exchanging: what a bound is compared with.

Greedy: again and again the option that could add most (its knapsack at the prices of the present choice).
Exchange (Teitz and Bart 1968, Oper. Res. 16, 955-961): take one option out, put another in, keep what serves
more. By duality "served without the one + knapsack of the other" is never less than what the exchange gives, so the
pairs are tried in that order and most need no trial. What a choice serves is exact (geo/flows.py).
"""

import numpy as np

from geo.flows import most_served, prices
from geo.knapsacks import Knapsacks
from geo.plans import open_reach

BETTER = 1 + 1e-7


class Search:
    """The best choice seen so far of a case (as geo/lagrange.py describes it): options, served.

    A choice is a sorted tuple of options; every choice weighed is within number and budget, has at most one
    option per site and all sites that must be.
    """

    def __init__(self, case, *, stop=None):
        self.case, self.stop = case, stop or (lambda: False)
        self.seen = {}
        self.options, self.served = (), -np.inf
        self.knapsacks = Knapsacks(case, np.unique(case.option_site))
        self.least = np.full(case.reach.facilities, np.inf)  # cost of a site's cheapest size
        np.minimum.at(self.least, case.option_site, case.option_cost)
        self.least[np.isinf(self.least)] = 0.0

    def weigh(self, options):
        """What a choice serves; remembered, and taken as the best if it is."""
        options = tuple(sorted(int(o) for o in options))
        if options not in self.seen:
            reach, capacity = open_reach(self.case, options)
            self.seen[options] = most_served(reach, self.case.demand, self.case.worth, capacity)
        served = self.seen[options]
        if served > max(self.served * BETTER, self.served):
            self.options, self.served = options, served
        return served

    def _prices(self, options):
        """What the options serve; the knapsacks then know the prices, and self.left what is left of each demand."""
        reach, capacity = open_reach(self.case, options)
        value, u, used = prices(reach, self.case.demand, self.case.worth, capacity)
        self.knapsacks.look(u)
        self.left = self.case.demand - used
        return value

    def fits(self, options):
        """By option of the case: may it be added to these?"""
        case, options = self.case, np.asarray(options, dtype=int)
        if case.number is not None and len(options) >= case.number:
            return np.zeros(len(case.option_site), dtype=bool)
        taken = np.zeros(case.reach.facilities, dtype=bool)
        taken[case.option_site[options]] = True
        left = case.budget - case.option_cost[options].sum() + 1e-9
        waiting = case.must & ~taken[case.option_site]
        if waiting.any():  # what must be comes first, and leaves the money for the others that must be
            least = self.least * (np.bincount(case.option_site[waiting], minlength=len(taken)) > 0)
            return waiting & (case.option_cost <= left - least.sum() + least[case.option_site])
        return (case.option_cost <= left) & ~taken[case.option_site]

    def _sure(self, fits):
        """(options, gain): what each that fits adds at least (at most where worths differ), best first."""
        case, options = self.case, np.flatnonzero(fits)
        value = self.knapsacks.rest(case.option_site[options], case.option_capacity[options], self.left)
        order = np.argsort(-value, kind="stable")
        return options[order], value[order]

    def _could_add(self, fits, above):
        """(options, gain): what each that fits adds at most, where that is more than `above`; best first."""
        case, options = self.case, np.flatnonzero(fits)
        value, exact = self.knapsacks.estimate(case.option_site[options], case.option_capacity[options])
        fill = np.flatnonzero(~exact & (value > above))
        value[fill] = self.knapsacks.fill(case.option_site[options[fill]], case.option_capacity[options[fill]])
        good = np.flatnonzero(value > above)
        order = good[np.argsort(-value[good], kind="stable")]
        return options[order], value[order]

    def greedy(self, start=(), *, per_cost=False):
        """The choice built up from start by what could be added most (per_cost: per unit of cost); weighed."""
        options = [int(o) for o in start]
        while not self.stop():
            fits = self.fits(options)
            if not fits.any():
                break
            self._prices(options)
            found, value = self._sure(fits)
            if not len(found) or (value[0] <= 0 and not self.case.must[found[0]]):
                break
            best = int(np.argmax(value / np.maximum(self.case.option_cost[found], 1e-9))) if per_cost else 0
            options.append(int(found[best]))
        self.weigh(options)
        return tuple(sorted(options))

    def round(self, share):
        """The choice of the options with the largest shares, filled up greedily; weighed."""
        options = []
        for o in np.argsort(-share, kind="stable"):
            if share[o] <= 1e-3:
                break
            if self.fits(options)[o]:
                options.append(int(o))
        return self.greedy(options)

    def exchange(self, start=None, *, trials=2_000, among=None):
        """The choice that no exchange betters, from start (the best so far), or the best when the trials are used up.

        among: by option, worth trying. Moves sure to help come first, then those that could.
        """
        among = np.ones(len(self.case.option_site), dtype=bool) if among is None else among
        if among.any():
            self.knapsacks = Knapsacks(self.case, np.unique(self.case.option_site[among]))
        here, sure = (self.options if start is None else start), True
        served = self.weigh(here)
        while trials > 0 and not self.stop():
            before = here
            for _, options in sorted(self._moves(here, served, among, sure)):
                trials -= 1
                weighed = self.weigh(options)
                if weighed > served * BETTER:
                    here, served = tuple(sorted(options)), weighed
                if here != before or trials <= 0 or self.stop():
                    break
            if here == before and not sure:
                break
            sure = here != before
        self.knapsacks = Knapsacks(self.case, np.unique(self.case.option_site))
        return here

    def _moves(self, here, served, among, sure):
        for out in (*here, None):
            rest = [o for o in here if o != out]
            fits = self.fits(rest) & among
            if out is not None:
                fits[out] = False
            if fits.any():
                base = self._prices(rest)
                found, gain = self._sure(fits) if sure else self._could_add(fits, served * BETTER - base)
                good = base + gain > served * BETTER
                yield from ((-(base + v), (*rest, int(o))) for o, v in zip(found[good], gain[good], strict=True))

    def kick(self, rng, share):
        """Some options of the best choice exchanged for others, drawn by their shares: a start for an exchange."""
        here = list(self.options)
        must = set(self.case.option_site[self.case.must])
        free = [o for o in here if self.case.option_site[o] not in must]
        out = rng.permutation(len(free))[: min(len(free), int(rng.integers(2, 5)))]
        here = [o for o in here if o not in {free[k] for k in out}]
        order = np.argsort(-(share + 1e-3) * rng.exponential(size=len(share)), kind="stable")
        for o in order[share[order] > 0]:
            if len(here) >= len(self.options):
                break
            if self.fits(here)[o]:
                here.append(int(o))
        return tuple(sorted(here))
