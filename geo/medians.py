"""Siting where everybody must be served: fewest plants, least distance, least cost. Solved outright by HiGHS.

    covering   least number, or cost, of plants such that every demand is within reach of one
               (Toregas et al. 1971, Oper. Res. 19, 1363-1373); what a plant has room for is not asked
    median     least sum of worth_i y_ij distance_ij with `number` plants (Hakimi 1964, Oper. Res. 12, 450-459;
               ReVelle and Swain 1970, Geogr. Anal. 2, 30-42); nor here
    cheapest   least sum of cost_o z_o + rate sum of y_ij distance_ij, within capacities, number and budget
               (Sridharan 1995, Eur. J. Oper. Res. 87, 203-213); a demand may be split between plants

A demand without waste water need not be served. A question without an answer is told with the rule that binds.
"""

from dataclasses import replace

import numpy as np

from geo.choices import choose_outright
from geo.flows import most_served
from geo.locations import Infeasible, SitingError
from geo.plans import PROVEN, open_reach, plan_of
from geo.programs import Rows, maximise

MOST_PAIRS = 300_000  # above this many pairs within reach the solver is not asked


def covering(case, *, least="plants", nodes=None, seconds=None, stop=None):
    """Plan with the fewest plants ('plants') or the least cost ('cost') that leave no demand out of reach.

    Sites are built in their cheapest size; a number or budget is a limit. Raises Infeasible. chosen shows where a plant
    would be used beyond its capacity.
    """
    case = _sized(case)
    _check_reach(case)
    price = np.ones(len(case.option_site)) if least == "plants" else case.option_cost
    limits = {"nodes": nodes, "seconds": seconds, "stop": stop}
    answer = _covering(case, price, **limits)
    if answer.status == "infeasible":
        _tell_limits(case, lambda loose, price: _covering(loose, price, **limits))
    options = np.flatnonzero(_found(answer).x > 0.5)
    return _plan(case, options, None, answer, model="covering", goal=least)


def median(case, *, nodes=None, seconds=None, stop=None):
    """Plan with least worth x m³ x distance when every demand goes to its nearest plant; at most `number` new ones."""
    case = _sized(case)
    _check_reach(case)
    limits = {"nodes": nodes, "seconds": seconds, "stop": stop}
    value = -case.worth[case.reach.demand] * case.reach.distance_m
    choice = _all_served(_unlimited(case), value, None, **limits)
    if choice.answer.status == "infeasible":
        _tell_limits(case, lambda loose, price: _covering(loose, price, **limits))
    return _plan(case, choice.options, choice.flow, choice.answer, model="median", goal="distance")


def cheapest(case, *, cost_per_m3_km, nodes=None, seconds=None, stop=None):
    """Plan of least cost of plants and of bringing the waste water there, in the money of the sizes.

    cost_per_m3_km: of one m³/day over one km, over the same time as the cost of a plant covers.
    """
    _check_reach(case)
    _check_capacity(case)
    limits = {"nodes": nodes, "seconds": seconds, "stop": stop}
    value = -cost_per_m3_km / 1000 * case.reach.distance_m
    choice = _all_served(case, value, case.option_cost, **limits)
    if choice.answer.status == "infeasible":
        nothing = np.zeros(case.reach.pairs)
        _tell_limits(case, lambda loose, price: _all_served(loose, nothing, price, **limits).answer)
    return _plan(case, choice.options, choice.flow, choice.answer, model="cheapest", goal="cost")


def _unlimited(case):
    room = np.full(len(case.option_site), np.inf)
    return replace(case, option_capacity=room, spare=np.full(len(case.spare), np.inf))


def _sized(case):
    """The case with the cheapest size of each site only; options are sorted by site."""
    order = np.lexsort((case.option_cost, case.option_site))
    first = np.sort(order[np.append(True, np.diff(case.option_site[order]) > 0)])
    cut = {name: getattr(case, name)[first] for name in ("option_site", "option_capacity", "option_cost", "must")}
    return replace(case, **cut)


def _open_to(case):
    """By facility: may it be used? A site without options may not."""
    usable = np.zeros(case.reach.facilities, dtype=bool)
    usable[: len(case.spare)] = True
    usable[case.option_site] = True
    return usable


def _covering(case, price, **limits):
    options = np.arange(len(case.option_site))
    reach = case.reach.only(case.option_site)
    wanted = case.demand > 0
    wanted[case.reach.only(np.arange(len(case.spare))).demand] = False
    met, row = np.unique(reach.demand[wanted[reach.demand]], return_inverse=True)
    rows = Rows()
    rows.add(np.full(len(met), np.inf), (row, reach.facility[wanted[reach.demand]], 1.0), least=1.0)
    rows.add(np.ones(len(options)), (options, options, 1.0), least=case.must)
    if case.number is not None:
        rows.add([case.number], (0, options, 1.0))
    if np.isfinite(case.budget):
        rows.add([case.budget], (0, options, case.option_cost))
    whole = np.ones(len(options), dtype=bool)
    return maximise(-np.asarray(price, dtype=float), np.ones(len(options)), rows, whole=whole, **limits)


def _all_served(case, pair_value, price, **limits):
    if case.reach.pairs > MOST_PAIRS:
        raise SitingError(
            "size",
            f"{case.reach.pairs:,} pairs are within reach; this model takes {MOST_PAIRS:,}. Shorten the distance, or "
            "join demands.",
            f"Có {case.reach.pairs:,} cặp trong tầm với; mô hình này nhận tối đa {MOST_PAIRS:,}. Hãy giảm khoảng cách "
            "hoặc gộp điểm phát sinh.",
        )
    options = np.arange(len(case.option_site))
    return choose_outright(case, options, pair_value=pair_value, option_price=price, serve_all=True, **limits)


def _found(answer):
    if answer.x is None:
        raise SitingError(
            "limit",
            "No plan was found before the search was ended: give it more time.",
            "Chưa tìm được phương án trước khi dừng: hãy cho thêm thời gian.",
        )
    return answer


def _plan(case, options, flow, answer, **facts):
    _found(answer)
    reach, _ = open_reach(case, options)
    if flow is None:
        flow = nearest(reach, case.demand)
    else:
        flow = np.round(
            flow[case.reach.at(np.concatenate([np.arange(len(case.spare)), case.option_site[list(options)]]))], 6
        )
    status = {"nodes": "limit", "time": "limit"}.get(answer.status, answer.status)
    status = "optimal" if answer.gap <= PROVEN else status
    return plan_of(case, options, flow + 0.0, status=status, value=-answer.value, bound=-answer.bound, **facts)


def nearest(reach, demand):
    """Flow by pair if each demand goes to the nearest facility that reaches it (of equal ones to the first)."""
    order = np.lexsort((reach.facility, reach.distance_m, reach.demand))
    first = order[np.append(True, np.diff(reach.demand[order]) > 0)] if len(order) else order
    flow = np.zeros(reach.pairs)
    flow[first] = demand[reach.demand[first]]
    return flow


def _check_reach(case):
    met = np.zeros(len(case.demand), dtype=bool)
    met[case.reach.demand[_open_to(case)[case.reach.facility]]] = True
    lost = np.flatnonzero(~met & (case.demand > 0))
    if len(lost):
        first = ", ".join(map(str, case.demands[lost[:3]]))
        raise Infeasible(
            "distance",
            f"{len(lost)} of {len(met)} demands have no plant or site within reach (first {first}): lengthen the "
            "distance or add sites.",
            f"{len(lost)} trên {len(met)} điểm phát sinh không có nhà máy hay vị trí nào trong tầm với (đầu tiên "
            f"{first}): hãy tăng khoảng cách hoặc thêm vị trí.",
        )


def _check_capacity(case):
    room = np.zeros(case.reach.facilities)
    room[: len(case.spare)] = case.spare
    np.maximum.at(room, case.option_site, case.option_capacity)
    most, total = most_served(case.reach, case.demand, np.ones(len(case.demand)), room), case.demand.sum()
    if most < total * (1 - PROVEN):
        raise Infeasible(
            "capacity",
            f"Even with every site at its largest size only {most:,.6g} of {total:,.6g} m³/day can be served within reach.",
            f"Dù xây mọi vị trí ở quy mô lớn nhất cũng chỉ thu được {most:.6g} trên {total:.6g} m³/ngày trong tầm với.",
        )


def _tell_limits(case, solve):
    """Raises Infeasible, naming what it would take: solve(case, price) -> Answer of least total price."""
    counts = np.ones(len(case.option_site))
    least = solve(replace(case, number=None, budget=np.inf), counts)
    if case.number is not None and round(-least.value) > case.number:
        raise Infeasible(
            "number",
            f"To serve every demand takes at least {round(-least.value)} new plants; {case.number} are allowed.",
            f"Muốn thu hết mọi điểm phát sinh cần ít nhất {round(-least.value)} nhà máy mới; chỉ được {case.number}.",
        )
    least = solve(replace(case, budget=np.inf), case.option_cost)
    raise Infeasible(
        "budget",
        f"To serve every demand costs at least {-least.value:,.6g}; the budget is {case.budget:,.6g}.",
        f"Muốn thu hết mọi điểm phát sinh tốn ít nhất {-least.value:.6g}; ngân sách là {case.budget:.6g}.",
    )
