"""Sharing figures between two sets of units: by hand, by property, and awkward links."""

from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo import coverage, crosswalk
from geo.crosswalk import BASES, COLUMNS, ESTIMATED, CrosswalkError

GROUPS = list("PQRS")


def links(*rows):
    return pd.DataFrame(list(rows), columns=list(COLUMNS))


def by_group(frame, column):
    return frame[column].to_dict()


# --- by hand ---


def test_the_worked_example_by_hand():
    water, shared, treated = crosswalk.worked_example()
    made = crosswalk.apportion(water, shared)
    assert by_group(made, "value") == {"P": 1300, "Q": 100}
    assert by_group(made, "estimated") == {"P": 300, "Q": 100}
    assert by_group(made, "moved") == {"P": 100, "Q": 100}, "the quarter of B that is not in P, and is in Q"
    assert by_group(made, "missing") == {"P": 0, "Q": 1}
    assert made.loc["P", ["low", "high"]].tolist() == [1280, 1320]
    assert made.loc["Q", ["low", "high"]].tolist() == [80, 120]
    share = crosswalk.ratio(treated, water, shared)
    assert share.at["P", "ratio"] == pytest.approx(425 / 1300)
    assert share.at["P", "ratio"] != pytest.approx((200 / 1000 + 300 / 400) / 2)
    assert share.at["Q", "missing"] == 1


def test_areas_of_squares_on_each_other():
    units = gpd.GeoSeries(
        [shapely.box(0, 0, 10, 10), shapely.box(10, 0, 20, 10), shapely.box(90, 0, 99, 9)], list("ABC"), crs=9210
    )
    groups = gpd.GeoSeries([shapely.box(0, 0, 12.5, 10), shapely.box(12.5, 0, 18, 10), None], list("PQR"), crs=9210)
    made = crosswalk.by_area(units, groups)
    assert made.set_index(["unit", "group"])["share"].to_dict() == pytest.approx(
        {("A", "P"): 1.0, ("B", "P"): 0.25, ("B", "Q"): 0.55}
    )  # C meets nothing, a tenth and a half of a tenth of B lies outside: told by settled()
    shared, told = crosswalk.settled(made.assign(low=np.nan, high=np.nan, basis="area"), list("ABC"), rest="OUT")
    assert told.set_index("unit")["done"].to_dict() == {"B": "short", "C": "none"}
    assert shared.groupby("unit")["share"].sum().tolist() == pytest.approx([1, 1, 1])
    rest = shared[shared["group"] == "OUT"].set_index("unit")["share"]
    assert rest.to_dict() == pytest.approx({"B": 0.2, "C": 1.0})


@pytest.mark.parametrize("crs", [4326, None])
def test_areas_want_one_metric_system(crs):
    units = gpd.GeoSeries([shapely.box(106, 20, 107, 21)], ["A"], crs=crs)
    with pytest.raises(CrosswalkError, match="projected"):
        crosswalk.by_area(units, units)


def test_names_say_which_and_outlines_how_much():
    named = links(
        ("A", "P", 0.5, None, None, "area"), ("A", "Q", 0.5, None, None, "area"), ("B", "P", 1.0, None, None, "exact"),
        ("C", "P", 0.4, 0.3, 0.5, "declared"), ("C", "Q", 0.6, 0.5, 0.7, "declared"),
        ("D", "Q", 0.9, None, None, "area"), ("D", "R", 0.1, None, None, "area"),
    )  # fmt: skip
    seen = pd.DataFrame(
        [("A", "P", 0.80), ("A", "Q", 0.16), ("A", "R", 0.03), ("B", "P", 0.95), ("B", "R", 0.05), ("C", "P", 0.9)],
        columns=["unit", "group", "share"],
    )
    made, strays = crosswalk.weighed(named, seen, "population")
    share = made.set_index(["unit", "group"])["share"]
    assert share["A", "P"] == pytest.approx(0.80 / 0.96) and share["A"].sum() == pytest.approx(1)
    assert share["B", "P"] == 1 and share["C", "P"] == 0.4, "what is exact or declared is not touched"
    assert share["D", "Q"] == 0.9, "nothing was measured there"
    assert made.set_index(["unit", "group"])["basis"].to_dict()["A", "P"] == "population"
    assert strays[["unit", "group"]].values.tolist() == [["A", "R"], ["B", "R"]]
    ranged = crosswalk.between(
        made, pd.DataFrame([("A", "P", 0.7), ("A", "Q", 0.3)], columns=["unit", "group", "share"])
    )
    ends = ranged.set_index(["unit", "group"])
    assert ends.at[("A", "P"), "low"] == 0.7 and ends.at[("A", "P"), "high"] == pytest.approx(0.80 / 0.96)
    assert np.isnan(ends.at[("D", "Q"), "low"]) and ends.at[("C", "P"), "low"] == 0.3


def test_the_ends_of_two_parts_hold_each_other():
    made, told = crosswalk.settled(
        links(("A", "P", 0.9, 0.5, 0.95, "area"), ("A", "Q", 0.1, None, None, "area")), ["A"], rest="OUT"
    )
    assert not len(told)
    ends = made.set_index("group")
    assert ends.at["Q", "low"] == pytest.approx(0.05) and ends.at["Q", "high"] == pytest.approx(0.5)


def test_one_open_range_leaves_the_range_of_the_sum_open():
    values = pd.Series([100.0, 50.0], list("AB"))
    shared, _ = crosswalk.settled(
        links(("A", "P", 0.9, None, None, "area"), ("A", "Q", 0.1, None, None, "area"), ("B", "R", 1, None, None, "exact")),
        list("AB"), rest="OUT",
    )  # fmt: skip
    made = crosswalk.apportion(values, shared)
    assert np.isnan(made.at["P", "low"]) and np.isnan(made.at["Q", "high"])
    assert made.loc["R", ["value", "low", "high", "estimated"]].tolist() == [50, 50, 50, 0]


def test_more_than_the_whole_is_scaled_back_and_told():
    shared, told = crosswalk.settled(
        links(("A", "P", 0.9, 0.8, 1.0, "area"), ("A", "Q", 0.3, 0.2, 0.4, "area")), ["A"], rest="OUT"
    )
    assert told.loc[0, ["unit", "done"]].tolist() == ["A", "over"] and told.at[0, "total"] == pytest.approx(1.2)
    assert shared["share"].tolist() == pytest.approx([0.75, 0.25]) and "OUT" not in set(shared["group"])


def test_the_rest_may_be_a_group_that_has_a_part_already():
    shared, told = crosswalk.settled(links(("A", "P", 0.5, None, None, "area")), ["A"], rest="P")
    assert shared[["unit", "group", "share"]].values.tolist() == [["A", "P", 1.0]] and len(told) == 1


def test_faulty_links_are_all_told_at_once():
    bad = links(
        ("A", "P", 1.2, None, None, "area"), ("B", "P", None, None, None, "area"), ("C", "P", 0.5, 0.6, 0.7, "area"),
        ("D", "P", 1.0, None, None, "guess"), ("E", "P", 1.0, None, None, "exact"), ("E", "P", 1.0, None, None, "exact"),
        ("F", "P", -0.1, None, None, "<script>"),
    )  # fmt: skip
    good, told = crosswalk.sound(bad)
    assert good["unit"].tolist() == ["E"] and len(told) == 6
    assert told[1] == "Link B → P: its share must lie in 0..1, but is missing."
    with pytest.raises(CrosswalkError) as caught:
        crosswalk.settled(bad, list("ABCDEF"), rest="OUT")
    assert caught.value.problems == told


def test_no_links_no_units_no_values():
    shared, told = crosswalk.settled(links(), [], rest="OUT")
    assert not len(shared) and not len(told)
    assert not len(crosswalk.apportion(pd.Series([], dtype=float), shared))
    shared, told = crosswalk.settled(links(), ["A"], rest="OUT")
    assert shared["group"].tolist() == ["OUT"] and told["done"].tolist() == ["none"]


def test_all_missing_is_missing_and_not_zero():
    shared, _ = crosswalk.settled(links(("A", "P", 1, None, None, "exact")), ["A"], rest="OUT")
    made = crosswalk.apportion(pd.Series([np.nan], ["A"]), shared)
    assert made["value"].isna().all() and made["estimated"].isna().all() and made["missing"].tolist() == [1]
    zero = crosswalk.apportion(pd.Series([0.0], ["A"]), shared)
    assert zero["value"].tolist() == [0] and zero["missing"].tolist() == [0]


def test_unsettled_links_are_refused():
    half = links(("A", "P", 0.5, 0.5, 0.5, "declared"))
    with pytest.raises(CrosswalkError, match=r"Unit A: its shares add up to 0\.5"):
        crosswalk.apportion(pd.Series([1.0], ["A"]), half)
    with pytest.raises(CrosswalkError, match="Unit B"):
        crosswalk.apportion(pd.Series([1.0], ["B"]), half)


# --- properties ---


@st.composite
def worlds(draw):
    """Units with figures (some missing), and links of any quality: short, over, several, none."""
    units = [f"U{i}" for i in range(draw(st.integers(1, 12)))]
    share = st.floats(0, 1, allow_subnormal=False)
    rows = []
    for u in units:
        for g in draw(st.lists(st.sampled_from(GROUPS), unique=True, max_size=4)):
            s = draw(share)
            low, high = draw(st.one_of(st.none(), st.floats(0, s))), draw(st.one_of(st.none(), st.floats(s, 1)))
            rows.append((u, g, s, low, high, draw(st.sampled_from(BASES))))
    amount = st.one_of(st.just(np.nan), st.just(0.0), st.floats(1e-3, 1e9))
    values = pd.Series([draw(amount) for _ in units], units, dtype=float)
    return values, links(*rows)


@given(worlds())
def test_the_total_over_old_units_is_the_total_over_new_ones(world):
    values, rows = world
    shared, _ = crosswalk.settled(rows, values.index, rest="OUT")
    assert (shared.groupby("unit")["share"].sum() - 1).abs().max() <= 1e-12
    assert set(shared["unit"]) == set(values.index)
    made = crosswalk.apportion(values, shared)
    assert np.nansum(made["value"]) == pytest.approx(values.sum(), rel=1e-9, abs=1e-9)
    assert (made["estimated"].fillna(0) <= made["value"].fillna(0) * (1 + 1e-9) + 1e-9).all()
    known = made["low"].notna()
    assert (made["low"] <= made["value"] + 1e-6)[known].all() and (made["high"] >= made["value"] - 1e-6)[known].all()
    for group, row in made.iterrows():
        mine = shared.loc[shared["group"] == group, "unit"]
        assert row["missing"] == values[mine].isna().sum()
        assert np.isnan(row["value"]) == values[mine].isna().all()


@given(worlds(), st.randoms())
def test_the_order_of_rows_does_not_matter(world, random):
    values, rows = world
    order = list(range(len(rows)))
    random.shuffle(order)
    units = list(values.index)
    random.shuffle(units)
    first = crosswalk.apportion(values, crosswalk.settled(rows, values.index, rest="OUT")[0])
    other = crosswalk.apportion(values[units], crosswalk.settled(rows.iloc[order], units, rest="OUT")[0])
    pd.testing.assert_frame_equal(first, other.loc[first.index], rtol=1e-9)


@given(worlds())
def test_a_share_of_the_whole_is_never_an_average(world):
    values, rows = world
    shared, _ = crosswalk.settled(rows, values.index, rest="OUT")
    part = values * np.linspace(0.1, 0.9, len(values))
    made = crosswalk.ratio(part, values, shared)
    assert made["ratio"].dropna().between(0, 1 + 1e-9).all()
    assert np.nansum(made["numerator"]) == pytest.approx(part.sum(), rel=1e-9, abs=1e-9)
    same = crosswalk.ratio(values * 0.25, values, shared)["ratio"].dropna()
    assert same.to_numpy() == pytest.approx(np.full(len(same), 0.25))


@given(worlds())
def test_settled_links_stay_settled(world):
    values, rows = world
    shared, _ = crosswalk.settled(rows, values.index, rest="OUT")
    again, told = crosswalk.settled(shared, values.index, rest="OUT")
    assert not len(told)
    columns = ["unit", "group", "share", "basis"]
    pd.testing.assert_frame_equal(again[columns], shared[columns], rtol=1e-12, atol=1e-12, check_dtype=False)
    inside = shared[~shared["basis"].isin(ESTIMATED)]
    assert inside["low"].notna().all() and inside["high"].notna().all()


@settings(max_examples=30)
@given(worlds(), st.integers(0, 2**31))
def test_a_ledger_told_on_old_units_has_every_part_of_the_ledger(world, seed):
    """All eight parts, in all nine worlds, with units whose water is not known: old units hold what new ones hold."""
    values, rows = world
    spread = np.random.default_rng(seed).uniform(0.3, 1, len(values))
    units = pd.DataFrame({"low": values * spread, "likely": values, "high": values * (2 - spread)}, index=values.index)
    _, states, _ = coverage.worked_example()
    links = pd.DataFrame(
        [(u, d, 0.2, 0.4, 0.5) for u, d in zip(units.index, ["P", "Q", "on_site_only"] * 4, strict=False)],
        columns=["unit", "destination", "share_low", "share_likely", "share_high"],
    ).assign(valid_from=None, valid_to=None)
    result = coverage.ledger(units, states, links, as_of=date(2026, 11, 22))
    shared, _ = crosswalk.settled(rows, units.index, rest="OUT")
    told = coverage.roll_up(result, shared[["unit", "group", "share"]])
    assert told.worlds.sum(axis=1) == pytest.approx(coverage.whole(result).worlds[:, 0], rel=1e-9, abs=1e-6)
    likely = crosswalk.apportion(units["likely"], shared)["value"].dropna()
    again = told.generated()["likely"].reindex(likely.index).fillna(0.0)
    assert again.to_numpy() == pytest.approx(likely.to_numpy(), rel=1e-9, abs=1e-6), "a second way to the same sums"
