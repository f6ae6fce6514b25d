"""Where new treatment plants serve most: capacitated maximal coverage beside the plants that stand.

Which sites, in which sizes, within a number of plants or a budget, so that most waste water (or most people's) is
taken by a plant within reach that has room for it (Church and ReVelle 1974, Papers Reg. Sci. Assoc. 32, 101-118; with
capacities Current and Storbeck 1988, Environ. Plan. B 15, 153-163). The formula is in geo/lagrange.py. A choice is
found by greedy, by rounding the relaxation and by exchange (geo/exchange.py); the bound says how much better any
choice could be; small cases are solved outright (geo/choices.py), and choices of few plants are looked through
(geo/enumeration.py). The same case, effort and seed give the same plan,
unless seconds or stop cut it short.
"""

import heapq
from dataclasses import replace

import numpy as np
import pandas as pd

from geo.choices import cover_outright
from geo.enumeration import looked_through
from geo.exchange import Search
from geo.flows import allocation
from geo.knapsacks import Knapsacks
from geo.lagrange import bound as relax
from geo.lagrange import choose
from geo.locations import Infeasible
from geo.plans import PROVEN, Effort, open_reach, plan_of, served_by
from geo.programs import Rows, maximise, relative_gap


def cover(case, *, effort=None, seed=0, start=(), prefer=None, progress=None, stop=None):
    """The Plan that serves most of a geo.locations.case.

    start: sites of a plan already known, such as one for a smaller number, as codes or as (code, capacity_m3_day); with
    capacities it is not undercut, without them the largest sizes that fit are taken.
    prefer: {code of a site: score}; a plan that serves as much with a better site or a cheaper size, and costs no more, is
    taken instead. progress: called with (share done, best value, bound). stop: called often; true ends the search with the
    best plan so far. Raises Infeasible where neither a number of plants nor a budget is given.

    >>> from geo.locations import case
    >>> demands = pd.DataFrame({"m3_day": [300, 200]}, index=["a", "b"])
    >>> sites, sizes = pd.DataFrame(index=["x", "y"]), pd.DataFrame({"capacity_m3_day": [250], "cost": [1]})
    >>> pairs = pd.DataFrame({"facility": ["x", "y"], "demand": ["a", "b"], "distance_m": [100, 50]})
    >>> plan = cover(case(demands, sites, sizes, pairs=pairs, number=1))
    >>> plan.served_m3_day, list(plan.chosen.index), plan.status
    (250.0, ['x'], 'optimal')
    """
    effort, ask = effort or Effort(), stop or (lambda: False)
    if case.number is None and not np.isfinite(case.budget):
        raise Infeasible("number", "Give a number of plants or a budget.", "Hãy cho số nhà máy hoặc ngân sách.")
    search, limit = Search(case, stop=ask), _Limit(progress)
    search.greedy()
    if np.isfinite(case.budget):
        search.greedy(per_cost=True)
    _take_start(case, search, start)
    limit.lower(_room(case))

    def look(share, bound):
        search.round(share)
        limit.lower(bound)
        limit.tell(0.2, search.served)
        return search.served

    rounds = 1 if limit.close_to(search.served, PROVEN) else effort.rounds
    relaxed = relax(case, search.served, rounds=rounds, gap=effort.gap, look=look, stop=ask)
    limit.lower(relaxed.value)
    limit.tell(0.5, search.served)
    alive, _, content = _alive(case, search, relaxed, effort)
    if not limit.close_to(search.served, content) and not ask():
        _kernel(case, search, relaxed, effort, ask)
        limit.tell(0.6, search.served)
    if not limit.close_to(search.served, content):
        search.exchange(trials=effort.trials, among=alive)
        limit.tell(0.7, search.served)
        alive, small, content = _alive(case, search, relaxed, effort)
        if small:
            _outright(case, search, alive, effort, limit, ask)
        else:
            _kicks(search, relaxed, alive, effort, seed, limit, ask)
            limit.tell(0.8, search.served)
        if not limit.close_to(search.served, effort.gap) and not ask():
            _look_through(case, search, alive, effort, limit, ask)
    limit.tell(0.9, search.served)
    if prefer is not None:
        _prefer(case, search, prefer, effort.trials, ask)
    bound = max(limit.value, search.served)
    status = "cancelled" if ask() else "limit"
    status = "gap" if limit.close_to(search.served, effort.gap) else status
    status = "optimal" if limit.close_to(search.served, PROVEN) else status
    options = np.array(search.options, dtype=int)
    reach, capacity = open_reach(case, options)
    flow = allocation(reach, case.demand, case.worth, capacity)
    plan = plan_of(
        case,
        options,
        flow,
        model="coverage",
        status=status,
        value=search.served,
        bound=bound,
        rounds=relaxed.rounds,
        seed=seed,
    )
    curve = _curve(case, search, relaxed.prices, bound)
    plan = replace(plan, chosen=_gains(case, options, plan.chosen, curve), curve=curve)
    limit.tell(1.0, search.served)
    return plan


def cover_curve(case, numbers, **options):
    """[Plan] of a case for rising numbers of new plants, each begun from the one before: more never serve less."""
    plans, start = [], ()
    for number in sorted(numbers):
        plans.append(cover(replace(case, number=int(number)), start=start, **options))
        start = tuple(plans[-1].chosen["capacity_m3_day"].items())
    return plans


class _Limit:
    """The smallest bound so far, told with the progress."""

    def __init__(self, progress):
        self.value, self.progress, self.share = np.inf, progress, 0.0

    def lower(self, value):
        self.value = min(self.value, value)

    def close_to(self, served, gap):
        return relative_gap(served, self.value) <= gap

    def tell(self, share, served):
        self.share = max(self.share, share)
        if self.progress is not None:
            self.progress(self.share, served, max(self.value, served))


def _room(case):
    """What no choice exceeds for lack of room: the capacity that number and budget can buy, whole plants only, filled with
    the demands that are worth most. Tight where every plant is full, and there the relaxation, which buys parts of
    plants, is not."""
    sizes, kind = np.unique(np.column_stack([case.option_capacity, case.option_cost]), axis=0, return_inverse=True)
    room, cost = sizes[:, 0], sizes[:, 1]
    whole = case.reach.demands and float(case.demand.sum())
    gain, column = np.minimum(room, whole), np.arange(len(sizes))
    rows = Rows()
    if case.number is not None:
        rows.add([case.number], (0, column, 1.0))
    if np.isfinite(case.budget):
        rows.add([case.budget], (0, column, cost))
    answer = maximise(gain, np.bincount(kind.ravel()).astype(float), rows, whole=np.ones(len(sizes), dtype=bool))
    if answer.status != "optimal" or not len(sizes):
        return np.inf
    left = float(np.minimum(case.spare, whole).sum()) + answer.value
    order = np.argsort(-case.worth, kind="stable")
    filled = np.diff(np.minimum(np.cumsum(case.demand[order]), left), prepend=0.0)
    return float((case.worth[order] * filled).sum())


def _take_start(case, search, start):
    """Weighs the given sites, in their sizes or in the largest that fit, filled up by greedy."""
    options, forced = [], set(case.facilities[case.option_site[case.must]])
    known = [one if isinstance(one, tuple) else (one, None) for one in start]
    for code, size in sorted(known, key=lambda one: one[0] not in forced):  # what must be built comes first
        own = np.flatnonzero((case.option_site == case.facilities.get_indexer([code])[0]) & search.fits(options))
        own = own if size is None else own[case.option_capacity[own] == size]
        options += [int(own[np.argmax(case.option_capacity[own])])] if len(own) else []
    if options:
        search.greedy(options)


def _alive(case, search, relaxed, effort):
    """(by option, may it be in a better choice?; are these few enough to solve outright?; the gap to be content with)."""
    alive = relaxed.most >= search.served * (1 - 1e-9)
    alive[list(search.options)] = True
    whole = np.bincount(case.reach.facility, case.demand[case.reach.demand], minlength=case.reach.facilities)
    room = (case.option_capacity >= whole[case.option_site])[alive].all() and (
        case.spare >= whole[: len(case.spare)]
    ).all()
    small = _pairs(case, alive) <= (effort.unlimited_pairs if room else effort.outright_pairs)
    return alive, small, PROVEN if small else effort.gap


def _pairs(case, options):
    sites = np.unique(case.option_site[options])
    return int((case.reach.start[sites + 1] - case.reach.start[sites]).sum())


def _kernel(case, search, relaxed, effort, stop):
    """Chooses outright among the options with the largest shares (kernel search, Angelelli et al. 2010)."""
    order = np.argsort(-relaxed.share, kind="stable")
    order = order[relaxed.share[order] > 1e-3]
    pairs = np.cumsum(np.diff(case.reach.start)[case.option_site[order]])
    for most in (effort.kernel_pairs // 2, effort.kernel_pairs):
        options = np.union1d(order[pairs <= most], np.array(search.options, dtype=int))
        limits = {"gap": effort.gap / 2, "nodes": 20, "seconds": effort.seconds, "stop": stop}
        choice = cover_outright(case, options, start=search.options, **limits)
        if choice.answer.x is not None:
            search.weigh(choice.options)
        if pairs.max(initial=0) <= most:
            break


def _outright(case, search, alive, effort, limit, stop):
    """Solves the program of the options that are alive; the others are in no better choice."""
    limits = {"gap": PROVEN / 10, "nodes": effort.nodes, "seconds": effort.seconds, "stop": stop}
    choice = cover_outright(case, np.flatnonzero(alive), start=search.options, **limits)
    if choice.answer.x is not None:
        search.weigh(choice.options)
    limit.lower(max(choice.answer.bound, search.served))


def _kicks(search, relaxed, alive, effort, seed, limit, stop):
    """Disturbs the best choice and exchanges again, among the options the relaxation builds."""
    rng = np.random.default_rng(seed)
    share = np.where(alive, relaxed.share, 0.0)
    near = share > 0.01
    for k in range(effort.kicks):
        if stop() or limit.close_to(search.served, effort.gap):
            return
        near[list(search.options)] = True
        search.exchange(search.kick(rng, share), among=near, trials=effort.trials // 5)
        limit.tell(0.7 + 0.1 * (k + 1) / effort.kicks, search.served)


def _look_through(case, search, alive, effort, limit, stop):
    """Looks through the choices of few plants among the options that are alive, for a smaller bound or a better choice."""

    def take(options):
        search.weigh(options)
        return search.served

    def tell(bound):
        limit.lower(bound)
        limit.tell(0.85, search.served)

    options = np.flatnonzero(alive)
    facts = {"gap": effort.gap, "looks": effort.looks, "take": take, "tell": tell, "stop": stop}
    looked_through(case, options, search.served, limit.value, **facts)


def _prefer(case, search, prefer, trials, stop):
    """Exchanges options of the best choice for ones of better sites, or cheaper ones, as long as it serves no less."""
    score = np.array([float(prefer.get(code, 0.0)) for code in case.facilities])[case.option_site]
    order, cost = np.lexsort((case.option_cost, -score)), case.option_cost
    changed = True
    while changed and not stop():
        changed = False
        for out in sorted(search.options, key=lambda o: (score[o], o)):
            rest = [o for o in search.options if o != out]
            better = ((score > score[out]) & (cost <= cost[out])) | ((score >= score[out]) & (cost < cost[out]))
            for o in order[(search.fits(rest) & better)[order]]:
                trials -= 1
                served = search.weigh((*rest, o)) if trials >= 0 else -np.inf
                if served >= search.served:
                    search.options, search.served = tuple(sorted((*rest, int(o)))), served
                    changed = True
                    break
            if trials < 0:
                return


def _curve(case, search, prices, bound):
    """See Plan.curve. The next plant is the one that adds most; gains only shrink as plants are added (the most served
    is submodular in the open plants), so one whose old gain is small need not be weighed again."""
    done, value = [], search.weigh(())
    waiting = [(-np.inf, o) for o in search.options]
    heapq.heapify(waiting)
    while waiting:
        _, o = heapq.heappop(waiting)
        gain = search.weigh((*done, o)) - value
        if waiting and gain < -waiting[0][0]:
            heapq.heappush(waiting, (-gain, o))
        else:
            done.append(o)
            value += gain
    rows = [served_by(case, done[:k]) for k in range(1, len(done) + 1)]
    order, served = np.array(done, dtype=int), np.array(rows).reshape(-1, 3)
    cost = np.cumsum(case.option_cost[order])
    columns = {"site": case.facilities[case.option_site[order]], "capacity_m3_day": case.option_capacity[order]}
    columns |= {"cost": cost, "served_m3_day": served[:, 1], "people": served[:, 2], "value": served[:, 0]}
    columns["bound"] = np.maximum(np.minimum(_bounds(case, cost, prices), bound), served[:, 0])
    return pd.DataFrame(columns, index=pd.RangeIndex(1, len(order) + 1, name="number"))


def _bounds(case, cost, prices):
    """Of 1, 2, 3 ... new plants, or where there is a budget of as much money: what no choice exceeds."""
    knapsacks = Knapsacks(case, np.unique(np.concatenate([np.arange(len(case.spare)), case.option_site])))
    knapsacks.look(prices)
    value = knapsacks.fill(case.option_site, case.option_capacity)
    base = float((prices * case.demand).sum()) + knapsacks.fill(np.arange(len(case.spare)), case.spare).sum()
    free, budgeted = np.zeros(len(value), dtype=bool), np.isfinite(case.budget)
    out = []
    for number, money in enumerate(cost, start=1):
        at = (None, money) if budgeted else (number, np.inf)
        out.append(base + choose(value, case.option_cost, case.option_site, free, *at)[0])
    return np.array(out)


def _gains(case, options, chosen, curve):
    whole, standing = np.array(served_by(case, options)), served_by(case, [])
    left_out = [np.maximum(whole - served_by(case, options[options != o]), 0.0) for o in options]
    alone = [max(served_by(case, [o])[1] - standing[1], 0.0) for o in options]
    lost = np.round(np.reshape(left_out, (-1, 3)), 6)
    step = pd.Series(curve.index, index=curve["site"]) if len(curve) else pd.Series(dtype=int)
    columns = {"gain_m3_day": lost[:, 1], "gain_people": lost[:, 2], "alone_m3_day": alone}
    return chosen.assign(**columns, step=step.reindex(chosen.index).to_numpy()).sort_values("step", kind="stable")
