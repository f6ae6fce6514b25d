"""Every choice of a few plants looked through, leaving out what cannot be best: a proof where the Lagrange bound is loose.

That bound builds half plants, which fill a district that whole ones cannot. What a choice S serves is known without
flows where all demands are worth the same: it is the smallest cut (Ford and Fulkerson 1956, Can. J. Math. 8, 399-404)

    f(S) = min over parts T of S of   sum of capacity_j over j in S but not in T   +   demand that T reaches

so that what every further site would add to S, and to each S with one site more, comes of one product of matrices. What
a site adds shrinks as S grows (f is submodular): no choice that contains S serves more than f(S) + the largest gains of the
sites that may still join, and of two of them the second adds no more than it adds to the first alone. Choices that stay
under the target by this are not looked at (branch and bound as Nemhauser and Wolsey 1981, Ann. Discrete Math. 11, 279-301).

Demands and capacities are rounded up to litres a day and counted in whole numbers, whose sums are the same on every
machine; so the bound is right, and too high by no more than a litre for each demand.
"""

from dataclasses import dataclass

import numpy as np

from geo.flows import alike

LITRES = 1000.0
TARGETS = (0.03, 0.01, 0.004, 0.001, 1e-6)  # relative gaps, proven one after another
MOST_CUTS = 128  # parts T kept of a choice; with fewer f is too large, never too small
MOST_MIXES = 2_000  # ways to spend number and budget on sizes
MOST_ENTRIES = 3_000_000  # sites x groups of demands, about 24 MB
MOST_OPTIONS = 1_500  # sizes x sites: the table of pairs has their square
BATCH = 2_000_000  # numbers in one product


class _Used(Exception):
    """All looks are used up."""


@dataclass(eq=False)
class _Node:
    """options; served: f of them; left: by site, may it still join; cut, free, reach: by T its sum without further sites,
    the groups that it does not reach (0 or 1), and what each site reaches of these; gains: by size and site."""

    options: tuple
    served: float
    left: np.ndarray
    cut: np.ndarray
    free: np.ndarray
    reach: np.ndarray
    gains: np.ndarray


class _Enumeration:
    def __init__(self, case, options):
        options, reach, kept = np.asarray(options, dtype=int), case.reach, len(case.spare)
        self.case = case
        self.sites = np.unique(case.option_site[options])
        used = reach.only(np.concatenate([np.arange(kept), self.sites]).astype(int))
        met, row = np.unique(used.demand, return_inverse=True)
        facility = used.facility
        group, groups = alike(row, facility, case.worth[met])
        self.size = np.ceil(np.bincount(group, case.demand[met], minlength=groups) * LITRES - 1e-6)
        self.touch = np.zeros((kept + len(self.sites), groups), dtype=bool)
        self.touch[facility, group[row]] = True
        self.standing, self.touch = self.touch[:kept], self.touch[kept:]
        self.away = (~self.touch).astype(float)
        self.weight = np.ascontiguousarray((self.touch * self.size).T)  # group x site
        place = np.searchsorted(self.sites, case.option_site[options])
        if np.isfinite(case.budget):
            kinds, kind = np.unique(
                np.column_stack([-case.option_capacity, case.option_cost])[options], axis=0, return_inverse=True
            )
            kind, self.cost = kind.ravel(), kinds[:, 1]
        else:  # only the largest size of a site is of use
            order = np.lexsort((case.option_capacity[options], place))
            last = order[np.append(np.diff(place[order]) > 0, True)]
            options, place, kind, self.cost = options[last], place[last], np.zeros(len(last), dtype=int), np.zeros(1)
        self.option = np.full((len(self.cost), len(self.sites)), -1)
        self.option[kind, place] = options
        whole = self.weight.sum(axis=0)
        self.room = np.full(self.option.shape, -np.inf)
        self.room[kind, place] = np.minimum(np.ceil(case.option_capacity[options] * LITRES - 1e-6), whole[place])
        self.served_by_standing()

    def served_by_standing(self):
        cut, free = np.zeros(1), np.ones((1, len(self.size)))
        for j in np.argsort(-self.case.spare, kind="stable"):
            room = float(np.ceil(min(self.case.spare[j] * LITRES, 1e15)))
            into = (free * (self.standing[j] * self.size)).sum(axis=1)
            cut = np.concatenate([cut + room, cut + into])
            free = np.concatenate([free, free * ~self.standing[j]])
            near = np.argsort(cut, kind="stable")[: MOST_CUTS // 4]
            cut, free = cut[near], free[near]
        self.root = (cut, free, free @ self.weight)

    def mixes(self):
        """[sizes, the largest first, as the limits allow them at most]; None if there are too many."""
        number = len(self.sites) if self.case.number is None else min(self.case.number, len(self.sites))
        out, cost = [], self.cost

        def more(kind, chosen, money):
            if len(out) > MOST_MIXES:
                return
            if kind == len(cost) or len(chosen) == number:
                out.append(chosen)
                return
            most = number - len(chosen)
            if cost[kind] > 0 and np.isfinite(money):
                most = min(most, int((money + 1e-9) // cost[kind]))
            for k in range(most, most - 1 if kind == len(cost) - 1 else -1, -1):
                more(kind + 1, chosen + (kind,) * k, money - k * cost[kind])

        more(0, (), self.case.budget)
        if len(out) > MOST_MIXES:
            return None
        count = np.array([np.bincount(np.array(m, dtype=int), minlength=len(cost)) for m in out])
        whole = [k for k, c in enumerate(count) if ((count >= c).all(axis=1).sum() == 1)]
        return [out[k] for k in whole if out[k]]

    def start(self):
        cut, free, reach = self.root
        served = float(cut.min())
        gains = np.minimum(self.room, (cut[:, None] + reach).min(axis=0) - served)
        return _Node((), served, np.ones(len(self.sites), dtype=bool), cut, free, reach, gains)

    def pairs(self, node):
        """By size and site, what each size and site adds once the first has joined the standing plants: an upper bound for
        every choice with the first."""
        kinds, n = self.room.shape
        out = np.full((kinds, n, kinds, n), np.inf)
        for kind in range(kinds):
            sites = np.flatnonzero(node.gains[kind] > 0)
            for part in self.parts(node, sites):
                _, _, gains = self.joined(node, kind, part)
                out[kind, part] = gains
        return out

    def parts(self, node, sites):
        each = max(1, int(BATCH // max(len(node.cut) * len(self.size), 1)))
        return [sites[k : k + each] for k in range(0, len(sites), each)]

    def joined(self, node, kind, sites):
        """(what the T with each of these sites leave free, what of it each site reaches, gains once it has joined)."""
        free = node.free[:, None, :] * self.away[sites][None]
        reach = (free.reshape(-1, free.shape[-1]) @ self.weight).reshape(len(node.cut), len(sites), -1)
        within = (node.cut[:, None] + node.reach[:, sites])[:, :, None] + reach
        without = (node.cut[:, None] + node.reach).min(axis=0)[None, :] + self.room[kind, sites][:, None]
        served = node.served + node.gains[kind, sites]
        new = np.minimum(within.min(axis=0), without) - served[:, None]
        return free, reach, np.minimum(self.room[None], np.maximum(new, 0.0)[:, None, :])

    def others(self, node):
        """By site: is it free of the node's choice?"""
        may = np.ones(len(self.sites), dtype=bool)
        may[np.searchsorted(self.sites, self.case.option_site[list(node.options)])] = not node.options
        return may

    def child(self, node, kind, site, free, reach, gains, left, rest):
        rest = sum(float(self.room[k].max()) for k in rest)
        served = node.served + node.gains[kind, site]
        cut = np.concatenate([node.cut + self.room[kind, site], node.cut + node.reach[:, site]])
        keep = np.flatnonzero(cut < served + rest)  # the others can no longer be the smallest
        if len(keep) > MOST_CUTS:
            keep = np.sort(keep[np.argsort(cut[keep], kind="stable")[:MOST_CUTS]])
        free, reach = np.concatenate([node.free, free])[keep], np.concatenate([node.reach, reach])[keep]
        options = (*node.options, int(self.option[kind, site]))
        return _Node(options, served, left, cut[keep], free, reach, gains)


class _Walk:
    """The walk through the choices of one mix of sizes, with a target."""

    def __init__(self, search, mix, state):
        self.search, self.mix, self.state = search, mix, state
        self.first = search.start()
        self.second = search.pairs(self.first) if len(mix) > 2 else None

    def tops(self, gains, mix):
        """By row, the largest sum of gains for the sizes of a mix; a site may be counted for several sizes. gains: row x
        size x site, 0 where a site may not join."""
        total = np.zeros(len(gains))
        for kind in sorted(set(mix)):
            k = min(mix.count(kind), gains.shape[2])
            total += np.partition(gains[:, kind], -k, axis=1)[:, -k:].sum(axis=1)
        return total

    def most(self, gains, mix):
        """The same, with the pairs of the first two sizes looked at together."""
        if len(mix) < 2 or self.second is None:
            return self.tops(gains, mix)
        a, b = mix[:2]
        one, two, second = gains[:, a], gains[:, b], self.second[a, :, b, :]
        both = one[:, :, None] + np.minimum(two[:, None, :], second[None])
        if a == b:
            diagonal = np.arange(one.shape[1])
            both[:, diagonal, diagonal] = one
        best = np.maximum(both.reshape(len(gains), -1).max(axis=1), np.maximum(one.max(axis=1), two.max(axis=1)))
        return self.tops(gains, mix[2:]) + best

    def walk(self, node, mix):
        """Looks at all choices that begin with the node's and go on with the sizes of mix."""
        search, kind, rest, state = self.search, mix[0], mix[1:], self.state
        if node.served > state.target:
            state.weigh(node.options)
        others = search.others(node)
        may = np.tile(others, (len(search.cost), 1))
        may[kind] = node.left
        gains = np.where(may, node.gains, 0.0)
        if not rest:
            self.weigh(node, kind, gains[kind])
            return
        tops = self.tops(gains[None], rest)[0]
        order = np.argsort(-gains[kind], kind="stable")
        sites = order[(gains[kind][order] > 0) & (node.served + gains[kind][order] + tops > state.target)]
        may[kind] = False
        may[kind, sites] = True  # the others are in no choice above the target, in this size
        for part in search.parts(node, sites):
            state.look(len(part))
            free, reach, after = search.joined(node, kind, part)
            then = np.tile(may, (len(part), 1, 1))
            for k, site in enumerate(part):
                then[k:, kind, site] = False
                then[k, :, site] = False
            may[kind, part] = False
            bounded = np.where(then, after, 0.0)
            served = node.served + node.gains[kind, part]
            good = np.flatnonzero(served + self.tops(bounded, rest) > state.target)
            good = good[served[good] + self.most(bounded[good], rest) > state.target] if len(good) else good
            for k in good:
                if served[k] + self.tops(bounded[k : k + 1], rest)[0] > state.target:  # it may have risen
                    left = then[k, rest[0]]
                    self.walk(search.child(node, kind, part[k], free[:, k], reach[:, k], after[k], left, rest), rest)

    def weigh(self, node, kind, gains):
        """The best last sites, weighed exactly where they seem to be better."""
        for site in np.argsort(-gains, kind="stable"):
            if gains[site] <= 0 or node.served + gains[site] <= self.state.target:
                return
            self.state.weigh((*node.options, int(self.search.option[kind, site])))


class _State:
    """What the walks share: the best known value, the target, and the looks that are left."""

    def __init__(self, known, looks, take, stop):
        self.known, self.looks, self.take, self.stop, self.gap = known, looks, take, stop, np.inf

    @property
    def target(self):
        return self.known * (1 + self.gap) * LITRES

    def look(self, count):
        self.looks -= count
        if self.looks < 0 or self.stop():
            raise _Used

    def weigh(self, options):
        before = self.known
        self.known = max(self.known, self.take(options))
        if self.known <= before:
            raise _Used  # by rounding, or cuts left out: this target cannot be proven


def _run(case, search, mix, state):
    """Walks through a mix, on the sites and groups of demands that matter to it."""
    whole = _Walk(search, mix[:2], state)
    first = whole.first
    if first.served > state.target:
        state.weigh(())
    gains = first.gains.clip(0)[None]
    if first.served + whole.tops(gains, mix)[0] <= state.target:
        return
    keep = np.zeros(search.option.shape, dtype=bool)
    for kind in sorted(set(mix)):
        rest = list(mix)
        rest.remove(kind)
        tops = whole.tops(gains, tuple(rest))[0]
        keep[kind] = (first.gains[kind] > 0) & (first.served + first.gains[kind] + tops > state.target)
    if len(mix) == 1:
        whole.walk(first, mix)
        return
    there = [kind for kind in sorted(set(mix)) if keep[kind].any()]
    inner = tuple(there.index(kind) for kind in mix if kind in there)
    if not inner:
        return
    narrow = _Enumeration(case, np.sort(search.option[keep]))
    walk = _Walk(narrow, inner, state)
    if walk.first.served + walk.most(walk.first.gains.clip(0)[None], inner)[0] > state.target:
        walk.walk(walk.first, inner)


def looked_through(case, options, known, bound, *, gap, looks, take, tell, stop):
    """The smallest bound that a number of looks proves: no choice among the options serves more. inf where none is proven,
    or where the case is not of the kind: demands of one m³ each worth 1, no forced site, not too many mixes of sizes.

    known: what a choice serves; bound: what none exceeds, as far as is known. take: called with options that seem to serve more,
    gives what the best known choice serves. tell: called with each bound that is proven. stop: true ends it.
    """
    options = np.asarray(options, dtype=int)
    sites, met = np.unique(case.option_site[options]), np.unique(case.reach.demand)
    if case.must.any() or not len(sites) or (case.worth[met] != 1).any() or known <= 0:
        return np.inf
    if len(sites) * len(met) > 20 * MOST_ENTRIES:
        return np.inf
    search = _Enumeration(case, options)
    mixes = search.mixes()
    if mixes is None or search.touch.size > MOST_ENTRIES or search.option.size > MOST_OPTIONS:
        return np.inf
    state, proven = _State(known, looks, take, stop), np.inf
    for target in TARGETS:
        if target < gap * (1 - 1e-9) or bound <= state.known * (1 + target):
            continue
        state.gap = target
        try:
            for mix in mixes:
                _run(case, search, mix, state)
        except _Used:
            break
        proven = min(proven, state.known * (1 + target))
        bound = min(bound, proven)
        tell(bound)
    return proven
