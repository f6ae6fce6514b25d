"""The score of a hotspot: counted by hand, never falling when things get worse, and open about what is unknown."""

import math
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from shapely import LineString, Point

from geo.population import Surface
from geo.priority import CLASSES, LINES, NOT_ENOUGH, WHY, Facts, Weights, assess, priority
from geo.waterways import METRIC, network

KNOWN = Facts(
    exceeding=True, ratio=10, people=99, receptors=2, intake_m=(10500, 10500), intake_way="downstream",
    days_open=365, relapses=0,
)  # fmt: skip
MIDDLE = replace(KNOWN, ratio=None, exceeding=False, people=9, receptors=1, days_open=73, relapses=1)


def points(facts, **weights):
    return {line.what: (round(line.low, 4), round(line.high, 4)) for line in priority(facts, Weights(**weights)).lines}


def line(facts, what):
    return next(x for x in priority(facts).lines if x.what == what)


def test_a_score_by_hand():
    # 9 people: lg 10 / lg 10,000 = 1/4 of 20; 1 of 5 receptors; half way to an intake; 73 of 730 days; 1 of 3
    told = priority(MIDDLE)
    assert [round(x.points, 4) for x in told.lines] == [0, 5, 2, 10, 1, 3.3333]
    assert (round(told.score, 4), told.low, told.name, told.known_points) == (21.3333, told.high, "low", 100)
    assert [x.what for x in told.lines] == list(LINES)
    assert told.could_be == ("low",)


@pytest.mark.parametrize(
    ("change", "what", "expect"),
    [
        ({"ratio": 1}, "exceedance", 7.5),
        ({"ratio": math.sqrt(10)}, "exceedance", 30 * (0.25 + 0.75 / 2)),
        ({"ratio": 1000}, "exceedance", 30),
        ({"exceeding": False, "ratio": 0.9}, "exceedance", 0),
        ({"people": 0}, "people", 0),
        ({"people": 9999}, "people", 20),
        ({"people": 5e6}, "people", 20),
        ({"receptors": 0}, "receptors", 0),
        ({"receptors": 12}, "receptors", 10),
        ({"intake_m": (1000, 1000)}, "intakes", 20),
        ({"intake_m": (0, 0)}, "intakes", 20),
        ({"intake_m": (20000, 20000)}, "intakes", 0),
        ({"intake_m": (math.inf, math.inf)}, "intakes", 0),
        ({"water": False, "intake_m": None}, "intakes", 0),
        ({"days_open": 0}, "age", 0),
        ({"days_open": 4000}, "age", 10),
        ({"relapses": 1}, "relapses", 10 / 3),
        ({"relapses": 9}, "relapses", 10),
    ],
)
def test_one_line_by_hand(change, what, expect):
    got = line(replace(KNOWN, **change), what)
    assert got.points == pytest.approx(expect) and got.known
    assert got.low == got.high == got.points
    assert got.why in WHY[what]


@pytest.mark.parametrize(
    ("change", "what", "low", "high", "why", "known"),
    [
        ({"exceeding": None, "ratio": None}, "exceedance", 0, 30, "no_judged_result", False),
        ({"ratio": None}, "exceedance", 7.5, 30, "exceeds_without_ratio", True),
        ({"people": None}, "people", 0, 20, "no_raster", False),
        ({"people": 49.5, "people_unknown": 0.505}, "people", None, 20, "mostly_unknown", False),
        ({"people": 9, "people_unknown": 0.4}, "people", 5, 20 * math.log(16) / math.log(1e4), "partly_unknown", True),
        ({"receptors": None}, "receptors", 0, 10, "no_receptor_layer", False),
        ({"intake_m": None}, "intakes", 0, 20, "no_intake_layer", False),
        ({"intake_m": (math.inf, 10500), "intake_way": "not_known"}, "intakes", 0, 10, "straight_line_only", False),
        ({"intake_m": (math.inf, 25000), "intake_way": "not_known"}, "intakes", 0, 0, "straight_line_only", True),
        ({"intake_m": (20000, 10500), "intake_way": "downstream"}, "intakes", 0, 10, "perhaps_tidal", False),
        ({"intake_m": (math.inf, 1000), "intake_way": "perhaps_tidal"}, "intakes", 0, 20, "perhaps_tidal", False),
        ({"days_open": None}, "age", 0, 10, "no_first_day", False),
        ({"relapses": None}, "relapses", 0, 10, "not_recorded", False),
    ],
)
def test_what_is_unknown_is_a_range_and_never_zero(change, what, low, high, why, known):
    got = line(replace(KNOWN, **change), what)
    assert (got.why, got.known, got.points is None) == (why, known, not known)
    assert got.high == pytest.approx(high)
    assert low is None or got.low == pytest.approx(low)
    whole = priority(replace(KNOWN, **change))
    assert whole.high - whole.low == pytest.approx(got.high - got.low)
    assert whole.score == pytest.approx((whole.low + whole.high) / 2)


def test_too_little_known_is_a_class_of_its_own():
    nothing = priority(Facts())
    assert (nothing.score, nothing.name, nothing.low, nothing.high) == (None, NOT_ENOUGH, 0, 100)
    assert nothing.could_be == CLASSES
    half = Facts(exceeding=True, ratio=10, people=99)  # 30 + 20 of 100
    assert (priority(half).name, priority(half).known_points) == ("high", 50)
    less = Facts(people=99, receptors=1, days_open=3, relapses=0)  # 20 + 10 + 10 + 10
    assert priority(less).known_points == 50 and priority(less).name != NOT_ENOUGH
    assert priority(replace(less, relapses=None)).name == NOT_ENOUGH
    assert priority(replace(less, relapses=None), Weights(least_known=40)).name != NOT_ENOUGH


def test_weights_are_arguments():
    flat = {"exceedance": 0, "people": 100, "receptors": 0, "intakes": 0, "age": 0, "relapses": 0}
    assert points(KNOWN, **flat)["people"] == (50, 50)
    assert priority(KNOWN, Weights(**flat)).score == pytest.approx(50)
    assert points(KNOWN, people_full=99)["people"] == (20, 20)
    assert points(KNOWN, intake_far_m=10500)["intakes"] == (0, 0)


@pytest.mark.parametrize(
    "bad",
    [{"people": 30}, {"people": -20, "exceedance": 70}, {"ratio_full": 1}, {"people_full": 0}, {"intake_near_m": 20000},
     {"medium": 60}, {"exceeding_least": 2}, {"age_full_days": 0}, {"relapses_full": 0}],
)  # fmt: skip
def test_weights_that_make_no_sense(bad):
    with pytest.raises(ValueError, match="100 together"):
        Weights(**bad)


@pytest.mark.parametrize(
    "bad",
    [{"people": -1}, {"ratio": -0.1}, {"days_open": -1}, {"people_unknown": 1.1}, {"intake_m": (5, -1)},
     {"people": math.nan}, {"relapses": -1}, {"exceeding": False, "ratio": 1.2}],
)  # fmt: skip
def test_facts_that_make_no_sense(bad):
    with pytest.raises(ValueError, match=r"below 0|no ratio"):
        priority(replace(KNOWN, **bad))


# --- properties ---

count = st.one_of(st.none(), st.integers(0, 20000))
facts = st.builds(
    Facts,
    exceeding=st.just(True),
    ratio=st.one_of(st.none(), st.floats(1, 50)),
    people=count,
    people_unknown=st.sampled_from([0.0, 0.2, 0.7]),
    receptors=st.one_of(st.none(), st.integers(0, 9)),
    intake_m=st.one_of(st.none(), st.floats(0, 40000).map(lambda m: (m, m)), st.just((math.inf, 9000.0))),
    days_open=st.one_of(st.none(), st.integers(0, 2000)),
    relapses=st.one_of(st.none(), st.integers(0, 5)),
)
WORSE = {
    "ratio": lambda v, by: v + by,
    "people": lambda v, by: v + 100 * by,
    "receptors": lambda v, by: v + int(by) + 1,
    "intake_m": lambda v, by: tuple(max(0.0, m - 300 * by) for m in v),
    "days_open": lambda v, by: v + int(by) + 1,
    "relapses": lambda v, by: v + 1,
}


@given(facts, st.sampled_from(sorted(WORSE)), st.floats(0.1, 20))
def test_worse_never_scores_lower(known, what, by):
    value = getattr(known, what)
    if value is not None:
        before, after = priority(known), priority(replace(known, **{what: WORSE[what](value, by)}))
        assert after.low >= before.low - 1e-9 and after.high >= before.high - 1e-9
        if before.score is not None:
            assert after.score >= before.score - 1e-9
            assert CLASSES.index(after.name) >= CLASSES.index(before.name)


@given(facts, st.sampled_from(["people", "receptors", "intake_m", "days_open", "relapses", "ratio", "exceeding"]))
def test_forgetting_a_fact_only_widens_the_range(known, what):
    gone = {"exceeding": None, "ratio": None} if what == "exceeding" else {what: None}
    before, after = priority(known), priority(replace(known, **gone))
    assert after.low <= before.low + 1e-9 and after.high >= before.high - 1e-9
    assert after.known_points <= before.known_points
    assert set(before.could_be) <= set(after.could_be)


@given(facts)
def test_lines_add_up_and_stay_within_their_weights(known):
    told = priority(known)
    assert sum(x.max_points for x in told.lines) == 100
    assert told.low == pytest.approx(sum(x.low for x in told.lines))
    assert told.high == pytest.approx(sum(x.high for x in told.lines))
    for x in told.lines:
        assert 0 <= x.low <= x.high <= x.max_points + 1e-9
        assert x.why in WHY[x.what]
        assert (x.points is None) == (not x.known)
    assert (told.score is None) == (told.name == NOT_ENOUGH)
    assert told.score is None or told.name in told.could_be


# --- from the map: a place, a raster of three by three, a river ---

X0, Y0 = 600_000, 2_300_300


def place(x, y):
    return gpd.GeoSeries([Point(X0 + x, Y0 - y)], crs=METRIC)


GRID = Surface(np.full((3, 3), 11.0), Affine(100, 0, X0, 0, -100, Y0), METRIC)
RIVER = network(gpd.GeoDataFrame({"tidal": [False]}, geometry=[LineString([(X0, Y0 - 150), (X0 + 20000, Y0 - 150)])], crs=METRIC))  # fmt: skip


def points_at(*xy):
    frame = {"code": [f"P{i}" for i in range(len(xy))]}
    return gpd.GeoDataFrame(frame, geometry=[Point(X0 + x, Y0 - y) for x, y in xy], crs=METRIC)


def test_a_place_on_the_map_by_hand():
    """99 people on all nine cells, two schools, and an intake 10.5 km down the river: the 59 of the docstring."""
    told = assess(
        place(150, 150),
        exceeding=True,
        ratio=10,
        days_open=365,
        relapses=0,
        surface=GRID,
        land=gpd.GeoSeries([shapely.box(X0, Y0 - 300, X0 + 300, Y0)], crs=METRIC),
        receptors=points_at((0, 0), (150, 900), (150, 1200)),
        intakes=points_at((10650, 150)),
        net=RIVER,
    )
    assert told.score == pytest.approx(59)
    assert told.rings["people"].sum() == pytest.approx(99)
    assert [r.code for r in told.receptors] == ["P0", "P1"]
    assert (told.intakes[0].way, round(told.intakes[0].along_m)) == ("downstream", 10500)


def test_a_place_where_nothing_was_entered():
    told = assess(place(150, 150), days_open=3)
    assert (told.name, told.rings, told.receptors, told.intakes) == (NOT_ENOUGH, None, None, None)
    assert [x.known for x in told.lines] == [False, False, False, False, True, False]
    assert assess(None, exceeding=True, ratio=2).lines[1].why == "no_raster"


def test_a_river_that_was_not_drawn_gives_a_range_up_to_the_straight_line():
    told = assess(place(150, 150), intakes=points_at((10650, 150), (150, 15150)))
    got = next(x for x in told.lines if x.what == "intakes")
    assert (got.why, got.known, round(got.low), round(got.high)) == ("straight_line_only", False, 0, 10)


def test_of_several_intakes_the_nearest_counts_even_if_only_perhaps():
    """One surely 19.85 km down the river, one at a place without drawn water, 1 km away."""
    told = assess(place(150, 150), intakes=points_at((20000, 150), (150, 1150)), net=RIVER)
    got = next(x for x in told.lines if x.what == "intakes")
    assert (got.why, round(got.value)) == ("straight_line_only", 1000)
    assert (got.low, got.high) == (pytest.approx(20 * 150 / 19000), 20)


def test_all_water_around_is_nobody_only_where_the_land_is_known():
    sea = Surface(np.full((3, 3), np.nan), GRID.transform, METRIC)
    far = gpd.GeoSeries([shapely.box(X0 + 50000, Y0, X0 + 50100, Y0 + 100)], crs=METRIC)
    assert line_of(assess(place(150, 150), surface=sea, land=far)).points == 0
    assert line_of(assess(place(150, 150), surface=sea)).points is None
    assert line_of(assess(place(150, 150), surface=sea, land=far.iloc[:0])).points is None


def line_of(told, what="people"):
    return next(x for x in told.lines if x.what == what)


def test_noise_has_no_intakes():
    told = assess(place(150, 150), water=False, intakes=points_at((150, 150)), net=RIVER)
    assert (line_of(told, "intakes").why, line_of(told, "intakes").points, told.intakes) == ("not_water", 0, None)


def test_a_place_that_may_lie_elsewhere_makes_no_points_by_what_is_around_it():
    where = {"surface": GRID, "receptors": points_at((0, 0)), "intakes": points_at((10650, 150)), "net": RIVER}
    where["land"] = gpd.GeoSeries([shapely.box(X0, Y0 - 300, X0 + 300, Y0)], crs=METRIC)
    told = assess(place(150, 150), accuracy_m=3000, days_open=1, relapses=0, **where)
    assert [(x.why, x.points) for x in told.lines[1:4]] == [("place_uncertain", None)] * 3
    assert all(x.why in WHY[x.what] for x in told.lines)
    assert (told.rings["people"].sum(), len(told.receptors), len(told.intakes)) == (pytest.approx(99), 1, 1)
    sure = assess(place(150, 150), accuracy_m=1000, days_open=1, relapses=0, **where)
    assert [x.known for x in sure.lines[1:4]] == [True] * 3
    assert sure.could_be[0] in told.could_be


def test_the_reach_is_the_last_band():
    wide = assess(place(150, 150), surface=GRID, receptors=points_at((150, 1200)), bands_m=(500, 2000))
    assert line_of(wide).value == pytest.approx(99)
    assert line_of(wide, "receptors").value == 1
    near = assess(place(150, 150), surface=GRID, receptors=points_at((150, 1200)), bands_m=(50,))
    assert line_of(near).value == pytest.approx(11 * math.pi / 4, rel=1e-3)
    assert line_of(near, "receptors").value == 0


def test_every_reason_has_a_line():
    assert set(WHY) == set(LINES)
