"""Siting: a case solved by hand, small cases searched through, properties, and the sentences of what cannot be."""

import re
from dataclasses import replace
from itertools import combinations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.flows import allocation, most_served, prices, reach_of_pairs, straight_reach
from geo.locations import Infeasible, SitingError, case
from geo.medians import cheapest, covering, median
from geo.plans import Effort, open_reach, served_by
from geo.programs import Rows, maximise
from geo.siting import cover, cover_curve

FEW = Effort(outright_pairs=0, unlimited_pairs=0, kernel_pairs=0, rounds=60, trials=50, kicks=2)


def points(xy, codes, crs=9210, **columns):
    return gpd.GeoDataFrame(columns, index=list(codes), geometry=gpd.points_from_xy(*np.array(xy).T), crs=crs)


def sizes(*rows):
    return pd.DataFrame(rows, columns=["capacity_m3_day", "cost"])


def line_case(**options):
    """Six demands and four sites on a road, a kilometre apart; who reaches whom within 1 km:

    demand      a    b    c    d    e    f
    at km       0    1    2    4    5    6
    m³/day    100  200  300  250  150   50
    sites     W at 1 (a b c), X at 2 (b c), Y at 5 (d e f), Z at 4.5 (d e)
    """
    demands = points(
        [(0, 0), (1000, 0), (2000, 0), (4000, 0), (5000, 0), (6000, 0)],
        "abcdef",
        m3_day=[100, 200, 300, 250, 150, 50],
        people=[1000, 2000, 3000, 2500, 1500, 5000],
    )
    sites = points([(1000, 0), (2000, 0), (5000, 0), (4500, 0)], "WXYZ")
    options = {"within_m": 1000, "number": 1} | options
    return case(demands, sites, options.pop("sizes", sizes((400, 10))), **options)


# --- by hand


def test_one_plant():
    """W could take 600 and has room for 400, X 500 and 400; Y takes 450, has 400; Z 400. One alone serves 400 at most."""
    plan = cover(line_case())
    assert (plan.value, plan.bound, plan.gap, plan.status) == (400, 400, 0, "optimal")


def test_two_plants_of_two_sides():
    """One on each side serves 800. Two on one side serve at most 600 (W and X) or 450 (Y and Z)."""
    plan = cover(line_case(number=2))
    assert plan.value == plan.served_m3_day == 800
    assert {*plan.chosen.index} in [{a, b} for a in "WX" for b in "YZ"]
    assert plan.unserved_m3_day.sum() == 1050 - 800
    assert plan.chosen.gain_m3_day.tolist() == plan.chosen.alone_m3_day.tolist() == [400, 400]


def test_three_and_four_plants():
    """W and X together take a, b and c whole: 600, and Y 400 makes 1000. Only Y and Z take d, e and f whole: 450."""
    three = cover(line_case(number=3))
    assert (three.value, {*three.chosen.index} >= {"W", "X"}) == (1000, True)
    four = cover(line_case(number=4))
    assert (four.value, four.unserved_m3_day.max()) == (1050, 0)
    assert four.curve["value"].tolist() == [400, 800, 1000, 1050]
    assert four.curve["cost"].tolist() == [10, 20, 30, 40]
    assert (four.curve["bound"] >= four.curve["value"]).all()
    assert four.chosen.loc[["W", "X"], "gain_m3_day"].tolist() == [200, 200]  # the other has room for 400 of 600


def test_a_standing_plant_is_kept_and_counted():
    """P at 2 km has 350 to spare: c and 50 of b. Beside it Y or Z adds 400, W only 250."""
    plants = points([(2000, 0)], "P", spare_m3_day=[350])
    plan = cover(line_case(plants=plants))
    assert (plan.standing_m3_day, plan.gain_m3_day, plan.value) == (350, 400, 750)
    assert plan.chosen.index[0] in "YZ"
    assert plan.kept.loc["P"].tolist()[:2] == [350, 350]


def test_people_instead_of_water():
    """f is a tower: 5,000 people in 50 m³. Y takes f (5,000), then 350 of d and e at 10 people a m³."""
    plan = cover(line_case(goal="people"))
    assert plan.chosen.index.tolist() == ["Y"]
    assert plan.value == plan.people == pytest.approx(5000 + 3500)
    assert plan.served_m3_day == 400


def test_sizes_within_a_budget():
    """Small 200 for 4, large 400 for 7. With 11: a large and a small 600; two small 400 for 8; with 14 two large 800."""
    both = sizes((200, 4), (400, 7))
    plan = cover(line_case(sizes=both, number=None, budget=11))
    assert (plan.value, plan.cost, sorted(plan.chosen.capacity_m3_day)) == (600, 11, [200, 400])
    assert cover(line_case(sizes=both, number=None, budget=14)).value == 800
    assert cover(line_case(sizes=both, number=1, budget=14)).value == 400
    assert cover(line_case(sizes=both, number=None, budget=3)).value == 0


def test_a_size_of_one_site_only():
    own = pd.DataFrame({"capacity_m3_day": [100, 600], "cost": [1, 1], "site": [None, "W"]})
    plan = cover(line_case(sizes=own, number=1))
    assert (plan.chosen.index[0], plan.value) == ("W", 600)


def test_force_and_forbid():
    forced = cover(line_case(number=2, force=["X", "W"]))
    assert ({*forced.chosen.index}, forced.value) == ({"W", "X"}, 600)
    banned = cover(line_case(number=2, forbid=["Y", "Z"]))
    assert ({*banned.chosen.index}, banned.value) == ({"W", "X"}, 600)
    assert cover(line_case(number=1, forbid=list("WXYZ"))).value == 0


def test_forced_dear_site_leaves_money_for_the_other():
    """8 buys W and X small; W large (7) first would leave nothing for X."""
    plan = cover(line_case(sizes=sizes((200, 4), (400, 7)), number=None, budget=8, force=["W", "X"]))
    assert (plan.cost, {*plan.chosen.index}, plan.value) == (8, {"W", "X"}, 400)


def test_flows_take_the_nearest_of_all_best_ways():
    """W and X have room for all of a, b, c (600): b goes whole to W, where it stands, c whole to X."""
    plan = cover(line_case(number=2, force=["W", "X"], sizes=sizes((1000, 1))))
    table = plan.flows.set_index(["demand", "facility"])
    assert table["m3_day"].to_dict() == {("a", "W"): 100, ("b", "W"): 200, ("c", "X"): 300}
    assert table["distance_m"].to_dict() == {("a", "W"): 1000, ("b", "W"): 0, ("c", "X"): 0}
    assert table["people"].sum() == plan.people == 6000


def test_covering_median_and_costs_by_hand():
    """Covering: a needs W and f needs Y, which reach everybody: 2. Median with 2: W and Y, 100*1 + 300*1 + 250*1 + 50*1
    km; with 3 X takes c: 400. Costs: 20 for W and Y large, then 0.01 per m³ km of the 700: 27."""
    assert covering(line_case(number=None)).chosen.index.tolist() == ["W", "Y"]
    two, three = median(line_case(number=2)), median(line_case(number=3))
    assert (two.value, three.value) == (700_000, 400_000)
    assert {*three.chosen.index} == {"W", "X", "Y"}
    plan = cheapest(line_case(number=2, sizes=sizes((600, 10))), cost_per_m3_km=0.01)
    assert (plan.value, plan.cost, plan.status) == (pytest.approx(27), 20, "optimal")
    assert plan.unserved_m3_day.sum() == 0


# --- every choice weighed


def random_case(seed, *, demands=10, sites=6, plants=2, **options):
    rng = np.random.default_rng(seed)
    d = pd.DataFrame(
        {"m3_day": rng.integers(0, 50, demands), "people": rng.integers(0, 900, demands)},
        index=[f"d{i}" for i in range(demands)],
    )
    s = pd.DataFrame(index=[f"s{i}" for i in range(sites)])
    p = pd.DataFrame({"spare_m3_day": rng.integers(0, 60, plants)}, index=[f"p{i}" for i in range(plants)])
    rows = [(f, i, float(rng.integers(10, 2000))) for f in [*p.index, *s.index] for i in d.index if rng.random() < 0.35]
    pairs = pd.DataFrame(rows, columns=["facility", "demand", "distance_m"])
    return case(d, s, sizes((40, 3), (90, 5)), plants=p, pairs=pairs, **options)


def choices(c):
    """Every choice within number, budget and one size per site."""
    most = len(np.unique(c.option_site)) if c.number is None else c.number
    for r in range(most + 1):
        for o in combinations(range(len(c.option_site)), r):
            sites, cost = c.option_site[list(o)], c.option_cost[list(o)].sum()
            if len(set(sites)) == r and cost <= c.budget and set(c.option_site[c.must]) <= set(sites):
                yield list(o)


def searched(c):
    """Most served, weighing every choice: the plain program, without grouping and without the clever parts."""

    def served(options):
        reach, capacity = open_reach(c, options)
        rows, column = Rows(), np.arange(reach.pairs)
        rows.add(c.demand, (reach.demand, column, 1.0))
        rows.add(capacity, (reach.facility, column, 1.0))
        return maximise(c.worth[reach.demand], np.full(reach.pairs, np.inf), rows).value

    return max(served(o) for o in choices(c))


LIMITS = [{"number": 2}, {"number": None, "budget": 8}, {"number": 2, "budget": 9}, {"number": 2, "goal": "people"}]


@pytest.mark.parametrize("limits", [*LIMITS, {"number": 3, "force": ["s5"], "forbid": ["s0"]}])
@pytest.mark.parametrize("seed", range(4))
def test_small_cases_are_optimal(seed, limits):
    c = random_case(seed, **limits)
    best, plan = searched(c), cover(c)
    assert plan.value == pytest.approx(best)
    assert plan.status == "optimal"
    assert plan.bound >= best - 1e-6
    hurried = cover(c, effort=FEW)  # without the program that solves it outright
    assert hurried.value <= best + 1e-6 <= hurried.bound + 2e-6


@pytest.mark.parametrize("seed", range(3))
def test_unlimited_room(seed):
    c = random_case(seed, number=2)
    c = replace(c, spare=np.full(2, np.inf), option_capacity=np.full(len(c.option_site), np.inf))
    by_hand = max(c.demand[np.unique(c.reach.only([0, 1, *c.option_site[o]]).demand)].sum() for o in choices(c))
    assert cover(c).value == pytest.approx(by_hand)


def test_standing_plants_that_take_all_leave_nothing_to_gain():
    plants = points([(1000, 0), (5000, 0)], "PQ", spare_m3_day=[np.inf, np.inf])
    for effort in (None, replace(FEW, kernel_pairs=100)):
        plan = cover(line_case(plants=plants), effort=effort)
        assert (plan.value, plan.standing_m3_day, plan.gain_m3_day) == (1050, 1050, 0)
        assert plan.gap <= 1e-3 and plan.status in ("optimal", "gap")


@pytest.mark.parametrize("seed", range(5))
def test_small_covering_median_and_costs_are_optimal(seed):
    c = random_case(seed, demands=6, sites=5, plants=1, number=3)
    c = replace(c, demand=c.demand + 1.0)
    every = [o for o in choices(c) if set(open_reach(c, o)[0].demand) == set(range(6))]
    if not every:
        with pytest.raises(Infeasible):
            covering(c)
        return
    assert covering(c).value == min(map(len, every))
    assert covering(c, least="cost").value == min(c.option_cost[o].sum() for o in every)

    def far(options):
        reach, _ = open_reach(c, options)
        return sum(c.demand[i] * reach.distance_m[reach.demand == i].min() for i in range(6))

    plan = median(c)
    assert plan.value == pytest.approx(min(map(far, every)))
    assert (plan.flows["m3_day"] * plan.flows["distance_m"]).sum() == pytest.approx(plan.value)

    def dear(options):
        reach, capacity = open_reach(c, options)
        rows, column = Rows(), np.arange(reach.pairs)
        rows.add(c.demand, (reach.demand, column, 1.0), least=c.demand)
        rows.add(capacity, (reach.facility, column, 1.0))
        answer = maximise(-0.0001 * reach.distance_m, np.full(reach.pairs, np.inf), rows)
        return c.option_cost[options].sum() - answer.value if answer.x is not None else np.inf

    least = min(map(dear, every))
    if np.isfinite(least):
        assert cheapest(c, cost_per_m3_km=0.1).value == pytest.approx(least)
    else:
        with pytest.raises(Infeasible):
            cheapest(c, cost_per_m3_km=0.1)


# --- properties


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), few=st.sampled_from([None, FEW]))
def test_what_always_holds(seed, few):
    c = random_case(seed, demands=14, sites=8, number=3)
    plan = cover(c, effort=few, seed=seed)
    again = cover(c, effort=few, seed=seed)
    assert plan.value == again.value
    pd.testing.assert_frame_equal(plan.flows, again.flows)
    pd.testing.assert_frame_equal(plan.curve, again.curve)
    assert plan.bound >= plan.value
    assert plan.value >= plan.standing_m3_day
    sent = plan.flows.groupby("demand")["m3_day"].sum().reindex(c.demands, fill_value=0.0)
    assert (sent <= c.demand + 1e-5).all()
    assert sent.sum() == pytest.approx(plan.value, abs=1e-4)
    assert (sent + plan.unserved_m3_day).to_numpy() == pytest.approx(c.demand, abs=1e-4)
    used = plan.flows.groupby("facility")["m3_day"].sum()
    room = pd.concat([plan.chosen["capacity_m3_day"], plan.kept["spare_m3_day"]])
    assert (used <= room.reindex(used.index) + 1e-4).all()
    pd.testing.assert_series_equal(
        pd.concat([plan.chosen["used_m3_day"], plan.kept["used_m3_day"]]).reindex(used.index), used, check_names=False
    )
    assert plan.curve["value"].is_monotonic_increasing
    assert plan.curve["value"].iloc[-1] == pytest.approx(plan.value)
    assert sorted(plan.chosen["step"]) == list(range(1, len(plan.chosen) + 1))
    assert sorted(plan.curve["site"]) == sorted(plan.chosen.index)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), cheap=st.integers(0, 20), more=st.integers(0, 10))
def test_more_budget_never_serves_less(seed, cheap, more):
    less = cover(random_case(seed, number=None, budget=cheap))
    rich = cover(random_case(seed, number=None, budget=cheap + more))
    assert rich.value >= less.value * (1 - 2e-6)


def test_a_hurried_curve_is_still_rising():
    c = random_case(3, demands=40, sites=15, number=1)
    plans = cover_curve(c, range(6), effort=FEW)
    served = [p.value for p in plans]
    assert served == sorted(served)
    assert served[0] == plans[0].standing_m3_day
    assert [len(p.chosen) for p in plans] == [0, 1, 2, 3, 4, 5]


@given(seed=st.integers(0, 10_000))
def test_prices_are_dual_to_the_flows(seed):
    """Strong duality, with the prices of capacities worked out anew, and the grouping against the plain program."""
    c = random_case(seed, plants=0, number=2)
    reach, capacity = open_reach(c, [0, 4, 8])
    value, u, used = prices(reach, c.demand, c.worth, capacity)
    pays = np.maximum(c.worth[reach.demand] - u[reach.demand], 0.0)
    v = np.zeros(reach.facilities)
    np.maximum.at(v, reach.facility, pays)
    assert (u * c.demand).sum() + (v * capacity).sum() == pytest.approx(value, abs=1e-6)
    flow = allocation(reach, c.demand, c.worth, capacity)
    assert flow.sum() == pytest.approx(value, abs=1e-4)
    assert used.sum() == pytest.approx(value, abs=1e-6)
    assert (used <= c.demand + 1e-9).all()


def test_straight_reach_is_every_pair_within_the_distance():
    rng = np.random.default_rng(2)
    f, d = rng.uniform(0, 100, (7, 2)), rng.uniform(0, 100, (30, 2))
    reach = straight_reach(f, d, 40)
    away = np.linalg.norm(f[:, None] - d, axis=2)
    assert reach.facility.tolist() == np.nonzero(away <= 40)[0].tolist()
    assert reach.demand.tolist() == np.nonzero(away <= 40)[1].tolist()
    assert reach.distance_m == pytest.approx(away[away <= 40])


def test_of_a_pair_given_twice_the_shorter_counts():
    reach = reach_of_pairs([0, 0, 1], [2, 2, 0], [9.0, 4.0, 1.0], facilities=2, demands=3)
    assert (reach.demand.tolist(), reach.distance_m.tolist()) == ([2, 0], [4.0, 1.0])


def test_facilities_without_pairs_and_demands_without_water():
    reach = reach_of_pairs([1], [0], [1.0], facilities=3, demands=2)
    assert most_served(reach, np.array([0.0, 5.0]), np.ones(2), np.full(3, 9.0)) == 0
    c = line_case(within_m=0.5, number=2)  # b, c and e stand on sites
    assert cover(c).value == 500
    empty = replace(c, reach=straight_reach([[9e6, 0]] * 4, [[0, 0]] * 6, 1))
    plan = cover(empty)
    assert (plan.value, plan.bound, plan.status, len(plan.flows)) == (0, 0, "optimal", 0)


# --- progress, cancelling, seeds


def test_progress_rises_to_one_and_the_bound_stays_above():
    seen = []
    cover(random_case(1, demands=40, sites=20, number=4), effort=FEW, progress=lambda *s: seen.append(s))
    shares = [s[0] for s in seen]
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert all(bound >= value for _, value, bound in seen)


@pytest.mark.parametrize("after", [0, 1, 5, 30])
def test_cancelled_is_still_a_plan(after):
    calls = iter(range(10**9))
    c = random_case(1, demands=40, sites=20, number=4)
    plan = cover(c, effort=FEW, stop=lambda: next(calls) >= after)
    assert plan.status in ("cancelled", "optimal", "gap")
    assert plan.value <= cover(c).value * (1 + 2e-6)
    assert plan.bound >= cover(c).value * (1 - 2e-6)
    assert len(plan.chosen) <= 4


def test_the_start_is_not_undercut():
    c = random_case(5, demands=60, sites=25, number=5)
    good = cover(c)
    lazy = cover(
        c,
        effort=Effort(outright_pairs=0, unlimited_pairs=0, kernel_pairs=0, rounds=0, trials=0, kicks=0),
        start=good.chosen.index,
    )
    assert lazy.value == pytest.approx(good.value)


# --- what cannot be


@pytest.mark.parametrize(
    ("options", "rule", "words"),
    [
        ({"number": 1, "force": ["W", "X"]}, "number", "2 sites are forced, but only 1"),
        ({"number": None, "budget": 5, "force": ["W"]}, "budget", "cost at least 10, more than the budget of 5"),
        ({"force": ["W"], "forbid": ["W"]}, "input", "both forced and forbidden: ['W']"),
        ({"force": ["Q"]}, "input", "Unknown sites are forced: ['Q']"),
        ({"number": -1}, "input", "whole number"),
        ({"budget": -1}, "input", "budget must be 0 or more"),
        ({"within_m": None}, "input", "farthest distance"),
        ({"goal": "money"}, "input", "m3 or people"),
        ({"sizes": sizes((-5, 1))}, "input", "capacity_m3_day must be 0 or more: look at [0]"),
        ({"sizes": sizes((np.nan, 1))}, "input", "capacity_m3_day must be 0 or more"),
        ({"sizes": sizes((5, np.inf))}, "input", "cost must be 0 or more"),
    ],
)
def test_what_contradicts_itself_is_told(options, rule, words):
    with pytest.raises(SitingError) as told:
        line_case(**options)
    assert told.value.rule == rule
    assert words in str(told.value)
    assert told.value.vi and told.value.vi != told.value.en


def test_all_problems_are_told_together():
    with pytest.raises(SitingError) as told:
        line_case(number=-1, budget=-1, force=["Q"])
    assert all(word in str(told.value) for word in ("whole number", "budget", "'Q'"))


def test_no_limit_at_all_is_refused():
    with pytest.raises(Infeasible, match="number of plants or a budget"):
        cover(line_case(number=None))


@pytest.mark.parametrize(
    ("solve", "options", "rule", "words"),
    [
        (
            covering,
            {"within_m": 600, "number": None},
            "distance",
            "2 of 6 demands have no plant or site within reach (first a, f)",
        ),
        (covering, {"number": 1}, "number", "takes at least 2 new plants; 1 are allowed"),
        (covering, {"number": None, "budget": 12}, "budget", "costs at least 20; the budget is 12"),
        (median, {"number": 1}, "number", "takes at least 2 new plants"),
        (median, {"forbid": ["W"]}, "distance", "first a"),
        ("costs", {"number": 4, "sizes": sizes((200, 1))}, "capacity", "only 800 of 1,050"),
        ("costs", {"number": 3}, "number", "takes at least 4 new plants; 3"),
        ("costs", {"number": 4, "budget": 30}, "budget", "at least 40; the budget is 30"),
    ],
)
def test_the_binding_rule_is_named(solve, options, rule, words):
    run = (lambda c: cheapest(c, cost_per_m3_km=1.0)) if solve == "costs" else solve
    with pytest.raises(Infeasible) as told:
        run(line_case(**options))
    assert (told.value.rule, words in str(told.value)) == (rule, True), str(told.value)


def test_tables_that_do_not_fit_are_refused():
    demands, sites = points([(0, 0)], "a", m3_day=[1]), points([(0, 0)], "W")
    one = sizes((1, 1))
    for d, s, words in [
        (demands.to_crs(4326), sites, "demands must hold points in a CRS in metres"),
        (demands, sites.set_crs(None, allow_override=True), "sites must hold points"),
        (demands, sites.to_crs(32648), "different CRSs"),
        (pd.concat([demands, demands]), sites, "Codes given twice in demands"),
        (demands.drop(columns="m3_day"), sites, "column m3_day is missing"),
        (demands.assign(m3_day=np.nan), sites, "m3_day must be 0 or more: look at ['a']"),
        (demands.iloc[:0], sites, "must be demands, sites and sizes"),
    ]:
        with pytest.raises(SitingError, match=re.escape(words)):
            case(d, s, one, within_m=5, number=1)
    with pytest.raises(SitingError, match="in no table"):
        case(
            demands, sites, one, pairs=pd.DataFrame({"facility": ["W"], "demand": ["?"], "distance_m": [1.0]}), number=1
        )


def test_served_by_matches_the_plan():
    c = random_case(7, number=2)
    plan = cover(c)
    sites = c.facilities.get_indexer(plan.chosen.index)
    options = [
        int(np.flatnonzero((c.option_site == s) & (c.option_capacity == cap))[0])
        for s, cap in zip(sites, plan.chosen.capacity_m3_day, strict=True)
    ]
    value, m3, _ = served_by(c, options)
    assert value == m3 == pytest.approx(plan.served_m3_day)
