"""The answer to a siting question: which plants, who sends how much where, and how good that is proven to be."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from geo.flows import prices
from geo.programs import relative_gap

PROVEN = 1e-6


@dataclass(frozen=True)
class Effort:
    """How hard to look. gap: relative gap at which to be content. rounds: of the relaxation. trials: exchanges
    weighed per search. kicks: searches from a disturbed choice. kernel_pairs: the options the relaxation likes best,
    up to so many pairs within reach, are chosen from outright. outright_pairs: with no more pairs than this left a
    case is solved outright; unlimited_pairs: the same where no capacity binds, which is easier. looks: choices looked at
    to prove that few plants cannot do better (geo/enumeration.py). nodes, seconds: of
    each such solution (None: no limit); seconds make the plan depend on the machine.
    """

    gap: float = 1e-3
    rounds: int = 400
    trials: int = 1_000
    kicks: int = 4
    kernel_pairs: int = 16_000
    outright_pairs: int = 6_000
    unlimited_pairs: int = 100_000
    looks: int = 40_000
    nodes: int | None = 2_000
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """A choice of new plants, with what a reason card needs. Frames by code.

    model: 'coverage', 'set covering', 'p-median' or 'costs'. goal: what value and bound are in ('m3', 'people',
    'plants', 'm3 m', or the user's money). status: 'optimal' (proven, to 1e-6), 'gap' (as near as was asked for),
    'limit' (rounds, trials, nodes or seconds used up) or 'cancelled'.
    value, bound: of the goal. No choice of plants is above the bound of a coverage, or below that of the others.
    served_m3_day, people: by all plants; standing_m3_day, standing_people: what the standing plants serve alone.
    chosen: site -> capacity_m3_day, cost, used_m3_day, people; for a coverage also gain_m3_day and gain_people (lost
    if this one were left out), alone_m3_day (gained if it were the only new one), step (place in the order of building).
    kept: plant -> spare_m3_day, used_m3_day, people.
    flows: one row per demand and facility: demand, facility, m3_day, people, distance_m; of all ways that are best
    for the goal the one with least m³ x distance.
    curve: for a coverage, by number of new plants in the order in which each adds most: site, capacity_m3_day, cost
    (of all so far), served_m3_day, people, value, bound (what no choice of as many, or as dear, plants exceeds).
    unserved_m3_day: by demand. cost: of all new plants. rounds, seed: for a replay.
    """

    model: str
    goal: str
    status: str
    value: float
    bound: float
    served_m3_day: float
    people: float
    standing_m3_day: float
    standing_people: float
    chosen: pd.DataFrame
    kept: pd.DataFrame
    flows: pd.DataFrame
    curve: pd.DataFrame
    unserved_m3_day: pd.Series
    cost: float
    rounds: int
    seed: int

    @property
    def gap(self):
        """Between value and bound, relative to the larger: 0 is proven best."""
        return relative_gap(*sorted((self.value, self.bound)))

    @property
    def gain_m3_day(self):
        return self.served_m3_day - self.standing_m3_day


def people_per_m3(case):
    """People of each demand by its m³/day; 0 where there is no waste water."""
    return np.divide(case.people, case.demand, out=np.zeros(len(case.demand)), where=case.demand > 0)


def open_reach(case, options):
    """(Reach, capacity) of the standing plants and these options."""
    options = np.asarray(options, dtype=int)
    facilities = np.concatenate([np.arange(len(case.spare)), case.option_site[options]]).astype(int)
    return case.reach.only(facilities), np.concatenate([case.spare, case.option_capacity[options]])


def served_by(case, options):
    """(value, m³/day, people) served by the standing plants and these options, in one of the ways best for the goal."""
    reach, capacity = open_reach(case, options)
    value, _, used = prices(reach, case.demand, case.worth, capacity)
    return value, round(float(used.sum()), 6), round(float((used * people_per_m3(case)).sum()), 6)


def plan_of(case, options, flow, **facts):
    """Plan of chosen options and the flow by pair of open_reach(case, options). facts: the fields not told here."""
    options = np.asarray(options, dtype=int)
    reach, _ = open_reach(case, options)
    ratio, kept = people_per_m3(case), len(case.spare)
    codes = case.facilities[np.concatenate([np.arange(kept), case.option_site[options]]).astype(int)]
    used = np.bincount(reach.facility, flow, minlength=len(codes))
    heads = np.bincount(reach.facility, flow * ratio[reach.demand], minlength=len(codes))
    chosen = pd.DataFrame(
        {
            "capacity_m3_day": case.option_capacity[options],
            "cost": case.option_cost[options],
            "used_m3_day": used[kept:],
            "people": heads[kept:],
        },
        index=pd.Index(codes[kept:], name="site"),
    )
    plants = pd.DataFrame(
        {"spare_m3_day": case.spare, "used_m3_day": used[:kept], "people": heads[:kept]},
        index=pd.Index(codes[:kept], name="plant"),
    )
    sent = np.flatnonzero(flow > 0)
    flows = pd.DataFrame(
        {
            "demand": case.demands[reach.demand[sent]],
            "facility": codes[reach.facility[sent]],
            "m3_day": flow[sent],
            "people": flow[sent] * ratio[reach.demand[sent]],
            "distance_m": reach.distance_m[sent],
        }
    )
    left = case.demand - np.bincount(reach.demand, flow, minlength=len(case.demand))
    left = np.where(left > PROVEN * case.demand, left, 0.0)
    _, standing, standing_people = served_by(case, [])
    facts = {"curve": pd.DataFrame(), "rounds": 0, "seed": 0, "goal": case.goal} | facts
    return Plan(
        served_m3_day=round(float(flow.sum()), 6),
        people=round(float(heads.sum()), 6),
        standing_m3_day=standing,
        standing_people=standing_people,
        chosen=chosen,
        kept=plants,
        flows=flows.sort_values(["facility", "demand"], kind="stable", ignore_index=True),
        unserved_m3_day=pd.Series(left, index=case.demands, name="m3_day"),
        cost=float(case.option_cost[options].sum()),
        **facts,
    )
