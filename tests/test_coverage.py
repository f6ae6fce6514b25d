"""The ledger: an example checked by hand, properties, and awkward tables."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo import coverage
from geo.coverage import PARTS, SCENARIOS, TREATED, LedgerError, Range, ledger

DAY = date(2026, 11, 22)


def parts_of(result, scenario="likely"):
    return coverage.by_unit(result).parts(scenario)


# --- by hand ---------------------------------------------------------------------------------


def test_worked_example_likely_case_by_hand():
    parts = parts_of(ledger(*coverage.worked_example(), as_of=DAY))
    expected = {
        "A": {"treated_to_standard": 900, "over_capacity": 100},
        "B": {"treated_to_standard": 900, "over_capacity": 100, "unknown": 1000},
        "C": {"plant_not_working": 500},
        "D": {"on_site_only": 200, "unknown": 600},
        "E": {"unknown": 700},
    }
    for unit, row in parts.iterrows():
        assert row[row != 0].to_dict() == pytest.approx(expected[unit])


def test_worked_example_low_and_high_by_hand():
    result = ledger(*coverage.worked_example(), as_of=DAY)
    total = coverage.whole(result)
    low, high = total.parts("low").loc["total"], total.parts("high").loc["total"]
    # low: A 0.8*800 = 640, B 0.4*1600 = 640 -> 1280 below 1800; D 0.2*640 = 128
    assert low["treated_to_standard"] == pytest.approx(1280)
    assert low["plant_not_working"] == 400 and low["on_site_only"] == pytest.approx(128)
    # high: A 1200, B 0.6*2400 = 1440 -> 2640, of which 1800 are treated
    assert high["treated_to_standard"] == pytest.approx(1800) and high["over_capacity"] == pytest.approx(840)
    share = total.share(TREATED).loc["total"]
    # corners by hand: least = low shares of the high generation (0.8*1200 + 0.4*2400 = 1920 -> 1800 of 6000)
    assert share["likely"] == pytest.approx(0.36)
    assert share["low"] == pytest.approx(1800 / 6000)
    # most = high shares of the low generation (800 + 0.6*1600 = 1760 of 4000)
    assert share["high"] == pytest.approx(1760 / 4000)


def test_plant_that_stops_no_longer_treats_from_that_date():
    units, states, links = coverage.worked_example()
    before = parts_of(ledger(units, states, links, as_of=date(2025, 12, 31))).loc["C"]
    after = parts_of(ledger(units, states, links, as_of=date(2026, 1, 1))).loc["C"]
    assert before["treated_unknown"] == 500 and before["plant_not_working"] == 0
    assert after["treated_unknown"] == 0 and after["plant_not_working"] == 500


def one(
    state="operating",
    cap=(100, 100, 100),
    measured=np.nan,
    compliance="meets",
    share=(1, 1, 1),
    flow=200.0,
    **kw,
):
    units = pd.DataFrame({s: [flow] for s in SCENARIOS}, ["U"])
    states = pd.DataFrame(
        [{"plant": "P", "state": state, "capacity_low": cap[0], "capacity_likely": cap[1], "capacity_high": cap[2],
              "measured": measured, "compliance": compliance, "valid_from": None, "valid_to": None}]
    )  # fmt: skip
    links = pd.DataFrame(
        [{"unit": "U", "destination": "P", "share_low": share[0], "share_likely": share[1], "share_high": share[2],
              "valid_from": None, "valid_to": None}]
    )  # fmt: skip
    result = ledger(units, states, links, as_of=DAY, **kw)
    return {s: {k: v for k, v in parts_of(result, s).loc["U"].items() if v} for s in SCENARIOS}


def test_capacity_holds_and_the_rest_is_over_capacity():
    assert one()["likely"] == {"treated_to_standard": 100, "over_capacity": 100}


def test_unknown_capacity_proves_nothing_in_the_low_case():
    blank = (np.nan,) * 3
    got = one(cap=blank, compliance="unknown")
    assert got["low"] == {"unknown": 200}
    assert got["likely"] == got["high"] == {"treated_unknown": 200}


def test_measured_flow_bounds_what_is_treated():
    assert one(cap=(150, 150, 150), measured=60)["likely"] == {"treated_to_standard": 60, "unknown": 140}
    assert one(cap=(50, 50, 50), measured=60)["likely"] == {
        "treated_to_standard": 50,
        "over_capacity": 10,
        "unknown": 140,
    }
    blank = (np.nan,) * 3
    assert one(cap=blank, measured=60)["low"] == {"treated_to_standard": 60, "unknown": 140}


@pytest.mark.parametrize(
    ("state", "part"),
    [
        ("planned", "unknown"),
        ("building", "unknown"),
        ("idle", "plant_not_working"),
        ("closed", "plant_not_working"),
    ],
)
def test_only_working_plants_treat(state, part):
    assert one(state=state)["likely"] == {part: 200}


def test_trial_runs_treat_and_building_only_on_request():
    assert one(state="trial")["likely"]["treated_to_standard"] == 100
    assert one(state="building", with_building=True)["likely"]["treated_to_standard"] == 100


def test_compliance_decides_the_part():
    assert one(compliance="exceeds")["likely"] == {"treated_over_limit": 100, "over_capacity": 100}


def test_link_without_a_share_stays_unknown():
    assert one(share=(np.nan,) * 3)["high"] == {"unknown": 200}


def test_plant_without_a_reported_state_is_unknown_not_idle():
    units, states, links = coverage.worked_example()
    result = ledger(units, states[states["plant"] == "P"], links, as_of=DAY)
    assert parts_of(result).loc["C", "unknown"] == 500
    assert result.plants.loc["Q", "state"] == "unknown"


def test_unit_without_generation_is_named_not_counted_as_zero():
    units, states, links = coverage.worked_example()
    units.loc["E"] = np.nan
    result = ledger(units, states, links, as_of=DAY)
    assert list(result.uncounted) == ["E"] and "E" not in result.units


def test_no_states_no_links_all_unknown():
    units, states, links = coverage.worked_example()
    result = ledger(units, states[:0], links[:0], as_of=DAY)
    assert coverage.whole(result).share(["unknown"]).loc["total"].tolist() == [1, 1, 1]


def test_all_problems_are_told_together():
    units, states, links = coverage.worked_example()
    units.loc["A", "low"] = 5000
    states.loc[0, "state"] = "running"
    states.loc[[1, 2], "valid_to"] = "2028-01-01"
    links.loc[1, "share_likely"] = 1.5
    links.loc[4] = ["X", "P", 0, 0, 0, None, None]
    with pytest.raises(LedgerError) as caught:
        ledger(units, states, links, as_of=DAY)
    text = str(caught.value)
    for piece in ("Unit A", "'running'", "Q has two states", "B → P", "unit X"):
        assert piece in text


def test_a_later_start_ends_a_state_that_was_left_open():
    units, states, links = coverage.worked_example()
    states.loc[1, "valid_to"] = None  # Q operating, without an end; idle from 2026
    assert parts_of(ledger(units, states, links, as_of=DAY)).loc["C", "plant_not_working"] == 500
    before = parts_of(ledger(units, states, links, as_of=date(2025, 12, 31)))
    assert before.loc["C", "treated_unknown"] == 500


def test_likely_shares_above_the_whole_are_refused_and_high_ones_scaled():
    units, states, links = coverage.worked_example()
    links.loc[4] = ["A", "Q", 0, 0.2, 0.2, None, None]
    with pytest.raises(LedgerError, match="more than the whole"):
        ledger(units, states, links, as_of=DAY)
    links.loc[4] = ["A", "Q", 0, 0, 1, None, None]
    high = parts_of(ledger(units, states, links, as_of=DAY), "high").loc["A"]
    assert high["plant_not_working"] == pytest.approx(600)  # half of 1,200


def test_roll_up_needs_whole_memberships():
    result = ledger(*coverage.worked_example(), as_of=DAY)
    members = pd.DataFrame({"unit": list("ABCDE"), "group": ["n", "n", "s", "s", "s"], "share": [1, 0.5, 1, 1, 1]})
    with pytest.raises(LedgerError, match="Unit B"):
        coverage.roll_up(result, members)
    members.loc[5] = ["B", "s", 0.5]
    groups = coverage.roll_up(result, members)
    assert groups.generated().loc["n", "likely"] == 2000  # A whole and half of B
    assert groups.generated()["likely"].sum() == 5000


def test_service_areas_become_links():
    shares = pd.DataFrame({"unit": ["A", "A", "B"], "plant": ["P", "P", "P"], "share": [0.25, 0.25, 0.0]})
    links = coverage.links_from_service_areas(shares)
    assert links[["unit", "destination", "share_likely", "basis"]].values.tolist() == [["A", "P", 0.5, "service area"]]


def test_share_of_a_unit_that_generates_nothing_is_not_a_number():
    units, states, links = coverage.worked_example()
    units.loc["E"] = 0.0
    share = coverage.by_unit(ledger(units, states, links, as_of=DAY)).share(TREATED)
    assert share.loc["E"].isna().all() and share.loc["A"].notna().all()


def test_a_range_must_rise():
    with pytest.raises(ValueError, match="rise"):
        Range(2, 1, 3)


# --- properties ------------------------------------------------------------------------------

rising = st.lists(st.floats(0, 1e5), min_size=3, max_size=3).map(sorted)
rising_share = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted)
blank = st.just([np.nan] * 3)


@st.composite
def cities(draw):
    n_units, n_plants = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    units = pd.DataFrame([draw(rising) for _ in range(n_units)], [f"u{i}" for i in range(n_units)], list(SCENARIOS))
    states = pd.DataFrame(
        [
            [f"p{i}", draw(st.sampled_from(coverage.STATES)), *draw(rising | blank),
             draw(st.floats(0, 1e5) | st.just(np.nan)), draw(st.sampled_from(coverage.COMPLIANCE)), None, None]
            for i in range(n_plants)
        ],
        columns=["plant", "state", "capacity_low", "capacity_likely", "capacity_high", "measured", "compliance",
                 "valid_from", "valid_to"],
    )  # fmt: skip
    rows = []
    destinations = [f"p{i}" for i in range(n_plants)] + list(coverage.WITHOUT_PLANT)
    for unit in units.index:
        for d in draw(st.lists(st.sampled_from(destinations), max_size=3, unique=True)):
            rows.append([unit, d, *draw(rising_share | blank), None, None])
    links = pd.DataFrame(
        rows,
        columns=["unit", "destination", "share_low", "share_likely", "share_high", "valid_from", "valid_to"],
    )
    total = links.groupby("unit")["share_likely"].transform("sum").clip(lower=1)
    for s in SCENARIOS:  # what the tables must keep: likely shares are at most the whole
        links[f"share_{s}"] = links[f"share_{s}"] / total
    return units, states, links


@given(cities())
@settings(max_examples=150, deadline=None)
def test_parts_add_up_to_the_whole_in_every_world(city):
    result = ledger(*city, as_of=DAY)
    gen = city[0].sort_index().to_numpy()
    for world, (g, _, _) in zip(result.worlds, coverage._WORLDS, strict=True):
        np.testing.assert_allclose(world.sum(axis=1), gen[:, g], rtol=1e-9, atol=1e-6)
    assert (result.worlds >= 0).all()


@given(cities())
@settings(max_examples=100, deadline=None)
def test_no_plant_treats_more_than_its_capacity_or_measured_flow(city):
    plants = ledger(*city, as_of=DAY).plants
    for s in SCENARIOS:
        assert not (plants[f"treated_{s}"] > plants[f"capacity_{s}"] * (1 + 1e-9) + 1e-9).any()
        assert not (plants[f"treated_{s}"] > plants["measured"] * (1 + 1e-9) + 1e-9).any()


@given(cities(), st.integers(0, 2))
@settings(max_examples=100, deadline=None)
def test_stopping_a_plant_never_raises_coverage(city, which):
    units, states, links = city
    stopped = states.copy()
    stopped.loc[which % len(states), "state"] = "idle"
    assert (treated(units, stopped, links) <= treated(units, states, links) + 1e-6).all()


@given(cities(), st.integers(0, 2), st.floats(1, 10))
@settings(max_examples=100, deadline=None)
def test_more_capacity_never_lowers_coverage(city, which, factor):
    units, states, links = city
    larger = states.copy()
    columns = ["capacity_low", "capacity_likely", "capacity_high"]
    larger.loc[which % len(states), columns] = states.loc[which % len(states), columns].astype(float) * factor
    assert (treated(units, larger, links) >= treated(units, states, links) - 1e-6).all()


@given(cities(), st.randoms())
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_changes_nothing(city, random):
    def shuffled(frame):
        order = list(range(len(frame)))
        random.shuffle(order)
        return frame.iloc[order]

    a = ledger(*city, as_of=DAY)
    b = ledger(*[shuffled(t) for t in city], as_of=DAY)
    assert a.units.equals(b.units)
    np.testing.assert_allclose(a.worlds, b.worlds, rtol=1e-12, atol=1e-9)


@given(cities())
@settings(max_examples=60, deadline=None)
def test_the_likely_share_lies_within_its_range(city):
    share = coverage.whole(ledger(*city, as_of=DAY)).share(TREATED).dropna()
    assert (share["low"] <= share["likely"] + 1e-12).all() and (share["likely"] <= share["high"] + 1e-12).all()


def treated(*tables):
    worlds = ledger(*tables, as_of=DAY).worlds
    return worlds[:, :, [PARTS.index(p) for p in TREATED]].sum(axis=(1, 2))


def test_a_second_way_to_the_same_answer():
    """The likely case again, link by link in plain Python."""
    rng = np.random.default_rng(7)
    units = pd.DataFrame({s: rng.uniform(10, 500, 40) for s in SCENARIOS}, [f"u{i:02}" for i in range(40)])
    units[list(SCENARIOS)] = np.sort(units.to_numpy(), axis=1)
    cap = rng.uniform(100, 900, 5)
    states = pd.DataFrame({
        "plant": [f"p{i}" for i in range(5)], "state": ["operating"] * 4 + ["closed"], "capacity_low": cap,
        "capacity_likely": cap, "capacity_high": cap, "measured": np.nan, "compliance": ["meets"] * 5,
        "valid_from": None, "valid_to": None,
    })  # fmt: skip
    rows = [(u, f"p{rng.integers(5)}", rng.uniform(0, 1)) for u in units.index]
    links = pd.DataFrame([(u, d, s, s, s, None, None) for u, d, s in rows], columns=[
        "unit", "destination", "share_low", "share_likely", "share_high", "valid_from", "valid_to"])  # fmt: skip
    inflow = {}
    for u, d, s in rows:
        inflow[d] = inflow.get(d, 0) + units.loc[u, "likely"] * s
    expected = sum(min(q, cap[int(d[1])]) for d, q in inflow.items() if d != "p4")
    got = coverage.whole(ledger(units, states, links, as_of=DAY)).parts("likely").loc["total"]
    assert got["treated_to_standard"] == pytest.approx(expected)
    assert got["plant_not_working"] == pytest.approx(inflow.get("p4", 0))
