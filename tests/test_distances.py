"""Safe distances: table 2.22 at every border, what is not established, what somebody enters, and the land."""

import io
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.distances import (
    COLUMNS,
    DistanceError,
    facility_types,
    land_need,
    read_table,
    safe_distance,
    safe_distances,
    with_entries,
)

STANDARDS = Path(__file__).resolve().parents[1] / "layers" / "standards"
NOW, LATER = date(2026, 11, 22), date(2027, 1, 1)
PLANT = "mechanical, physico-chemical and biological treatment"


@pytest.fixture(scope="module")
def table():
    return read_table(STANDARDS / "safe_distances.csv")


def ring(table, capacity, enclosed=False, on=NOW, kind=PLANT, **more):
    return safe_distance(table, on, kind, capacity=capacity, enclosed=enclosed, **more).distance_m


# The table of the regulation, by class of capacity: up to 200, 5,000, 50,000 m³/day, and above.
TABLE_2_22 = {
    ("pumping station", None): (15, 20, 25, 30),
    ("sludge drying bed", None): (150, 200, 400, 500),
    ("mechanical sludge treatment", None): (100, 150, 300, 400),
    (PLANT, False): (80, 100, 250, 350),
    (PLANT, True): (10, 15, 30, 40),
    ("underground infiltration field", None): (200, 300, None, None),
    ("irrigation field", None): (150, 200, 400, None),
    ("biological pond", None): (200, 300, 400, None),
    ("oxidation ditch", None): (150, 200, 400, None),
}
BORDERS = [
    (0.001, 0),
    (199.999, 0),
    (200, 0),
    (200.001, 1),
    (5000, 1),
    (5000.001, 2),
    (50000, 2),
    (50000.001, 3),
    (1e9, 3),
]


@pytest.mark.parametrize(("kind", "enclosed"), TABLE_2_22)
@pytest.mark.parametrize(("capacity", "column"), BORDERS)
def test_every_class_at_its_borders(table, kind, enclosed, capacity, column):
    wanted = TABLE_2_22[kind, enclosed][column]
    found = safe_distance(table, NOW, kind, capacity=capacity, enclosed=enclosed)
    if wanted is None:
        assert (found.state, np.isnan(found.distance_m)) == ("assessment", True)
        assert "environmental impact assessment" in found.note
    else:
        assert (found.state, found.distance_m) == ("established", wanted)
    assert found.regulation == "QCVN 01:2021/BXD"
    assert found.rows[0].startswith("2021-2.22-")
    assert found.confidence == "verified-text"
    assert "Table 2.22" in found.reference


def test_enclosing_a_plant_of_20_000_shrinks_the_ring_from_250_to_30(table):
    assert (ring(table, 20_000), ring(table, 20_000, enclosed=True)) == (250, 30)


def test_upstream_or_upwind_is_half_more_but_once(table):
    assert ring(table, 20_000, upstream=True) == ring(table, 20_000, upwind=True) == 375
    both = safe_distance(table, NOW, PLANT, capacity=20_000, enclosed=True, upstream=True, upwind=True)
    assert (both.distance_m, both.base_m, both.factor) == (45, 30, 1.5)
    assert both.rows == ("2021-2.22-19", "2021-2.22-37")


def test_a_border_that_the_note_contradicts_is_told(table):
    """The class is '<= 200' in the table and 'below 200' in its note."""
    at = safe_distance(table, NOW, PLANT, capacity=200, enclosed=False)
    assert (at.distance_m, len(at.cautions)) == (80, 1)
    assert "below 200" in at.cautions[0][0]
    for capacity in (199, 201, 5000, 50000):
        assert safe_distance(table, NOW, PLANT, capacity=capacity, enclosed=False).cautions == ()


def test_days(table):
    assert ring(table, 300, on=date(2021, 7, 5)) == ring(table, 300, on=date(2026, 12, 31)) == 100
    before = safe_distance(table, date(2021, 7, 4), PLANT, capacity=300, enclosed=False)
    assert (before.state, before.rows, before.regulation) == ("not_established", (), "")


@pytest.mark.parametrize("kind", dict.fromkeys(k for k, _ in TABLE_2_22))
@pytest.mark.parametrize("enclosed", [False, True])
def test_the_successor_is_not_established(table, kind, enclosed):
    found = safe_distance(table, LATER, kind, capacity=20_000, enclosed=enclosed)
    assert (found.state, found.regulation, found.confidence) == (
        "not_established",
        "QCVN 01:2026/BXD",
        "not-established",
    )
    assert np.isnan(found.distance_m)
    assert len(found.rows) == 1
    assert found.judged(1e6) == ("not_established", pytest.approx(np.nan, nan_ok=True))


def test_the_successor_gives_the_cemetery_values_that_were_seen(table):
    found = safe_distances(table, LATER, "crematorium building")
    assert [(d.distance_m, d.confidence) for d in found] == [(500, "verified-secondary")]


def test_several_objects_and_directions(table):
    found = safe_distances(table, NOW, "burial with later exhumation (hung táng)", upwind=True)
    assert [d.distance_m for d in found] == [1500, 2250, 300, 450]
    with pytest.raises(DistanceError, match="4 distances"):
        safe_distance(table, NOW, "burial with later exhumation (hung táng)")
    intake = safe_distances(table, NOW, "surface water intake, zone I")
    assert {d.direction: d.distance_m for d in intake} == {"upstream": 200, "downstream": 100}
    dash = safe_distances(table, NOW, "one-time burial (chôn một lần)")
    assert [d.state for d in dash] == ["established", "established", "not_established", "established"]


def test_no_distance_is_a_distance_of_nothing(table):
    found = safe_distance(table, NOW, "submersible pumping station in a closed well")
    assert (found.state, found.distance_m) == ("established", 0)
    assert "vent pipe" in found.note


def test_hazardous_waste_is_left_to_the_assessment(table):
    found = safe_distance(table, NOW, "hazardous waste or hazardous sludge treatment")
    assert (found.state, "never below" in found.note) == ("assessment", True)


def test_judged(table):
    found = safe_distance(table, NOW, PLANT, capacity=20_000, enclosed=False)
    assert found.judged(250) == ("meets", 0)
    assert found.judged(249.5) == ("fails", 0.5)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"capacity": 10}, "enclosed"),
        ({"enclosed": True}, "Say the capacity"),
        ({"capacity": 0, "enclosed": True}, "above 0"),
        ({"capacity": -5, "enclosed": True}, "above 0"),
        ({"capacity": float("nan"), "enclosed": True}, "above 0"),
        ({"capacity": float("inf"), "enclosed": True}, "above 0"),
    ],
)
def test_what_is_missing_is_asked_for(table, asked, words):
    with pytest.raises(DistanceError, match=words) as told:
        safe_distance(table, NOW, PLANT, **asked)
    assert told.value.vi


def test_an_unknown_type_lists_the_known(table):
    with pytest.raises(DistanceError, match=r"'septic tank'.*biological pond"):
        safe_distances(table, NOW, "septic tank", capacity=5)


@given(capacity=st.floats(0.01, 1e6), more=st.floats(1, 100), enclosed=st.booleans(), exposed=st.booleans())
def test_larger_open_or_exposed_is_never_nearer(table, capacity, more, enclosed, exposed):
    here = ring(table, capacity, enclosed, upstream=exposed)
    assert ring(table, capacity * more, enclosed, upstream=exposed) >= here
    assert ring(table, capacity, False, upstream=exposed) >= here
    assert ring(table, capacity, enclosed, upstream=True) >= here


# --- entries


def entry(**values):
    return pd.DataFrame([{"facility_type": PLANT, "distance_min_m": 60, "source": "Công văn 12/SXD", **values}])


def test_an_entry_fills_what_the_successor_leaves_open(table):
    more = with_entries(table, entry(enclosed="yes", valid_from=LATER, capacity_min_exclusive=5000.0))
    found = safe_distance(more, LATER, PLANT, capacity=20_000, enclosed=True)
    assert (found.state, found.distance_m, found.confidence) == ("established", 60, "user")
    assert (found.reference, found.rows) == ("Công văn 12/SXD", ("user-1",))
    assert safe_distance(more, LATER, PLANT, capacity=5000, enclosed=True).state == "not_established"
    assert safe_distance(more, LATER, PLANT, capacity=20_000, enclosed=False).state == "not_established"
    assert ring(more, 20_000, enclosed=True) == 30  # the law of today is as it was


def test_upstream_of_an_entry_without_a_known_factor_is_cautious(table):
    more = with_entries(table, entry(valid_from=LATER))
    found = safe_distance(more, LATER, PLANT, capacity=20_000, enclosed=True, upstream=True)
    assert (found.distance_m, found.factor) == (60, 1)
    assert "not established" in found.cautions[0][0]


def test_an_entry_may_be_stricter_than_the_law_but_not_looser(table):
    strict = with_entries(table, entry(distance_min_m=500, enclosed="no"))
    assert ring(strict, 20_000) == 500
    assert ring(strict, 20_000, enclosed=True) == 30
    with pytest.raises(DistanceError) as told:
        with_entries(table, entry(distance_min_m=90, enclosed="no"))
    assert all(f"2021-2.22-{n}" in str(told.value) for n in (14, 15, 16))  # 100, 250, 350 m
    assert "2021-2.22-13" not in str(told.value)  # 80 m
    assert ring(with_entries(table, entry(distance_min_m=90, enclosed="no", capacity_max_inclusive=200.0)), 200) == 90


def test_an_entry_decides_what_is_left_to_the_assessment(table):
    pond = entry(facility_type="biological pond", distance_min_m=600, capacity_min_exclusive=50_000.0)
    assert ring(with_entries(table, pond), 60_000, kind="biological pond") == 600


def test_entries_without_source_distance_or_type_are_refused_together(table):
    bad = pd.concat([entry(source=" "), entry(distance_min_m=-1, valid_from=LATER), entry(facility_type="?")])
    with pytest.raises(DistanceError) as told:
        with_entries(table, bad)
    for words in ("Entry 1: name the source", "Entry 2: the distance must be 0 or more", "Entry 3: no rule knows"):
        assert words in str(told.value)


def test_no_entries_change_nothing(table):
    assert with_entries(table, entry().iloc[:0]) is table


# --- land


def test_land_of_20_000(table):
    """0.2 ha per 1,000 m³/day: 4 ha, a square of 200 m; with 10 m of green belt all round 220 m, 4.84 ha."""
    land = land_need(table, NOW, "wastewater treatment plant", 20_000)
    assert (land.plot_ha, land.belt_m) == (4, 10)
    assert land.with_belt_ha == pytest.approx(4.84)
    assert land.rows == ("2021-2.11-01", "2021-2.22-38")


def test_land_agrees_with_the_table_of_norms(table):
    norms = pd.read_csv(STANDARDS / "generation_norms.csv")
    norms = norms[norms["category"] == "land"].set_index("item")["value_max"]
    assert land_need(table, NOW, "wastewater treatment plant", 1000).plot_ha == norms["wastewater plant"]
    assert land_need(table, NOW, "solid waste", 1000).plot_ha == norms["solid waste treatment"]


def test_land_that_is_not_established(table):
    later = land_need(table, LATER, "wastewater treatment plant", 20_000)
    assert np.isnan([later.plot_ha, later.belt_m, later.with_belt_ha]).all()
    with pytest.raises(DistanceError):
        land_need(table, NOW, "wastewater treatment plant", 0)


# --- the table itself


def test_the_table_is_whole(table):
    assert set(table["kind"]) <= {
        *("minimum", "assessment", "not_established", "multiplier", "green_belt", "land_most", "condition")
    }
    assert (table["reference"] != "").all() and (table["confidence"] != "").all() and (table["regulation"] != "").all()
    assert (table["valid_from"] <= table["valid_until"]).all()
    set_ = table["kind"] == "minimum"
    assert (table["distance_min_m"].notna() == set_).all()
    assert set(table["enclosed"]) == {"", "yes", "no"}
    firm = table[set_]["confidence"]
    assert set(firm) == {"verified-text", "verified-secondary"}  # nothing remembered decides


def test_classes_of_a_type_touch_and_do_not_overlap(table):
    rows = table[table["capacity_min_exclusive"].notna() | table["capacity_max_inclusive"].notna()]
    for _, group in rows.groupby(["regulation", "facility_type", "enclosed", "to_object"]):
        low = group["capacity_min_exclusive"].fillna(0).sort_values().tolist()
        high = group["capacity_max_inclusive"].fillna(np.inf).sort_values().tolist()
        assert low[0] == 0 and high[-1] == np.inf and low[1:] == high[:-1]


def test_facility_types(table):
    types = facility_types(table, NOW).set_index("facility_type")
    assert types.loc[PLANT, ["by_enclosure", "by_capacity"]].tolist() == [True, True]
    assert types.loc["biological pond", ["by_enclosure", "by_capacity"]].tolist() == [False, True]
    assert types.loc["incinerator", ["by_enclosure", "by_capacity"]].tolist() == [False, False]
    sewage = types[types["facility_group"].isin(["wastewater treatment plant", "pumping station", "sludge treatment"])]
    assert (sewage["facility_vi"] != "").all()


def test_a_broken_table_is_refused():
    with pytest.raises(DistanceError, match=r"missing.*'row'"):
        read_table(io.StringIO("regulation\nx\n"))
    twice = ",".join(COLUMNS) + "\n" + ("a" + "," * (len(COLUMNS) - 1) + "\n") * 2
    with pytest.raises(DistanceError, match=r"twice: \['a'\]"):
        read_table(io.StringIO(twice))
