"""The choice of sites as one mixed-integer program, for cases small enough to be solved outright.

    y_ij >= 0 what demand i sends to facility j,   z_o = 0 or 1: option o (a site with a size) is built
    sum over j of y_ij <= demand_i (= if all must be served)        sum over o of one site z_o <= 1 (= 1 where forced)
    sum over i of y_ij <= spare_j, or sum over o at j of capacity_o z_o      y_ij <= demand_i sum over o at j of z_o
    sum cost_o z_o <= budget       sum z_o <= number
    maximise sum value_ij y_ij - sum price_o z_o

The fourth kind of row is implied by the third, but makes the relaxation tight (Balinski 1965).
"""

from dataclasses import dataclass, replace

import numpy as np

from geo.flows import alike
from geo.programs import Answer, Rows, maximise


@dataclass(frozen=True, eq=False)
class Choice:
    """An Answer with its parts: options built, and flow by pair of the case's reach (0 where it was left out)."""

    answer: Answer
    options: tuple
    flow: np.ndarray


def choose_outright(case, options, *, pair_value, option_price=None, serve_all=False, start=None, **limits):
    """Choice among some options of a case, by the program of the module.

    options: the options that may be built. pair_value: by pair of case.reach, of one unit of flow. option_price: by
    option of the case. start: options of a known choice (the solver finds its flows). limits: gap, nodes, seconds
    and stop of geo.programs.maximise.
    """
    options = np.asarray(options, dtype=int)
    sites, place = np.unique(case.option_site[options], return_inverse=True)
    kept = len(case.spare)
    facilities = np.concatenate([np.arange(kept), sites]).astype(int)
    reach = case.reach.only(facilities)
    facility, weight = reach.facility, case.demand[reach.demand]
    met, i = np.unique(reach.demand, return_inverse=True)
    y = np.arange(reach.pairs)
    built = reach.pairs + np.arange(len(sites))  # of a site: the sum of its options
    z = reach.pairs + len(sites) + np.arange(len(options))

    rows = Rows()
    rows.add(case.demand[met], (i, y, 1.0), least=case.demand[met] if serve_all else -np.inf)
    whole = np.bincount(facility, weight, minlength=len(facilities))  # no plant can fill more
    capacity = np.minimum(case.option_capacity[options], whole[kept + place])
    room = np.concatenate([case.spare, np.zeros(len(sites))])
    rows.add(room, (facility, y, 1.0), (kept + place, z, -capacity))
    new = np.flatnonzero(facility >= kept)
    row = np.arange(len(new))
    rows.add(np.zeros(len(new)), (row, y[new], 1.0), (row, built[facility[new] - kept], -weight[new]))
    _add_choice(rows, case, options, place, built, z)

    price = np.zeros(len(options)) if option_price is None else np.asarray(option_price, dtype=float)[options]
    at = case.reach.at(facilities)
    answer = maximise(
        np.concatenate([np.asarray(pair_value, dtype=float)[at], np.zeros(len(sites)), -price]),
        np.concatenate([weight, np.ones(len(sites) + len(options))]),
        rows,
        whole=np.repeat([False, True], [reach.pairs + len(sites), len(options)]),
        start=None if start is None else (z, np.isin(options, list(start)).astype(float)),
        **limits,
    )
    flow = np.zeros(case.reach.pairs)
    if answer.x is None:
        return Choice(answer, (), flow)
    flow[at] = answer.x[: reach.pairs]
    return Choice(answer, tuple(int(o) for o in options[answer.x[z] > 0.5]), flow)


def cover_outright(case, options, *, start=None, **limits):
    """Choice that serves most, with one column for each group of demands that the same plants reach:

        maximise sum of worth_g t_g   subject to   0 <= t_g <= demand_g
        t_g <= sum of y_gj over the plants j of group g whose capacity can bind + demand_g sum of z_o of the others
        sum over g of y_gj <= capacity of j,  y_gj <= demand_g sum over o at j of z_o

    What standing plants with room for all they reach do reach is served. The flows are left to geo/flows.py: 0.
    """
    options = np.asarray(options, dtype=int)
    sites, place = np.unique(case.option_site[options], return_inverse=True)
    kept = len(case.spare)
    facilities = np.concatenate([np.arange(kept), sites]).astype(int)
    reach = case.reach.only(facilities)
    whole = np.bincount(reach.facility, case.demand[reach.demand], minlength=len(facilities))
    room = np.concatenate([case.spare, np.full(len(sites), np.inf)])  # of the smallest size
    np.minimum.at(room, kept + place, case.option_capacity[options])
    binds = room < whole
    settled = np.zeros(len(case.demand), dtype=bool)
    settled[reach.demand[(reach.facility < kept) & ~binds[reach.facility]]] = True
    left = ~settled[reach.demand]
    met, row = np.unique(reach.demand[left], return_inverse=True)
    group, groups = alike(row, reach.facility[left], case.worth[met])
    size, worth = np.bincount(group, case.demand[met], minlength=groups), np.zeros(groups)
    worth[group] = case.worth[met]
    pair = np.unique(group[row].astype(np.int64) * len(facilities) + reach.facility[left])
    g, j = pair // len(facilities), pair % len(facilities)
    hard = binds[j]
    y = groups + np.arange(hard.sum())
    built = groups + len(y) + np.arange(len(sites))
    z = groups + len(y) + len(sites) + np.arange(len(options))
    gy, jy, ge, je = g[hard], j[hard], g[~hard], j[~hard] - kept

    rows, row = Rows(), np.arange(groups)
    rows.add(np.zeros(groups), (row, row, 1.0), (gy, y, -1.0), (ge, built[je], -size[ge]))
    capacity = np.minimum(case.option_capacity[options], whole[kept + place])
    rows.add(np.minimum(np.append(case.spare, 0.0 * sites), whole), (jy, y, 1.0), (kept + place, z, -capacity))
    new = jy >= kept
    row = np.arange(new.sum())
    rows.add(0.0 * row, (row, y[new], 1.0), (row, built[jy[new] - kept], -size[gy[new]]))
    _add_choice(rows, case, options, place, built, z)
    answer = maximise(
        np.concatenate([worth, np.zeros(len(y) + len(sites) + len(options))]),
        np.concatenate([size, size[gy], np.ones(len(sites) + len(options))]),
        rows,
        whole=np.repeat([False, True], [z[0] if len(z) else built.size + groups + len(y), len(z)]),
        start=None if start is None else (z, np.isin(options, list(start)).astype(float)),
        **limits,
    )
    extra = float((case.worth * case.demand)[settled].sum())
    answer = replace(answer, value=answer.value + extra, bound=answer.bound + extra)
    chosen = () if answer.x is None else tuple(int(o) for o in options[answer.x[z] > 0.5])
    return Choice(answer, chosen, np.zeros(case.reach.pairs))


def _add_choice(rows, case, options, place, built, z):
    """The rows that make built the sum of a site's options, at most one, and keep what is forced and the limits."""
    row = np.arange(len(built))
    must = np.bincount(place, case.must[options], minlength=len(built)) > 0
    rows.add(np.zeros(len(built)), (place, z, 1.0), (row, built, -1.0), least=0.0)
    rows.add(np.ones(len(built)), (row, built, 1.0), least=must)
    if case.number is not None and len(options):
        rows.add([case.number], (0, z, 1.0))
    if np.isfinite(case.budget) and len(options):
        rows.add([case.budget], (0, z, case.option_cost[options]))
