"""Scenarios: the change of the ledger by hand and by properties, the book with its lock, copies and comments."""

import json
import math
import shutil
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pandas as pd
import people
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo import additions, coverage, distances
from geo.additions import NewPlant
from layers import audit
from server import i18n, scenariolaw, scenarioledger, scenarios
from server.citytime import CITY_TIME
from server.people import ROLES
from server.scenarioplants import Money, Plant
from server.services import open_city

DAY = date(2026, 11, 22)
HOSTILE = '<script>alert(1)</script>${7*7}`"\u202e\x07=1+1'
OPEN_AIR = "mechanical, physico-chemical and biological treatment"


def small_world():
    """The five units of the method page on a line, 1 km apart: A at 0, E at 4,000 m."""
    units, states, links = coverage.worked_example()
    ledger = coverage.ledger(units, states, links, as_of=DAY)
    points = pd.DataFrame({"x": [0.0, 1000, 2000, 3000, 4000], "y": 0.0}, index=list("ABCDE"))
    return ledger, points


def new(code="N", x=3500.0, capacity=1200.0, within=2000.0, since=2028, **more):
    return NewPlant(code, x, 0.0, capacity, within, since, **more)


# --- the change of the ledger, by hand ---


def test_a_new_plant_takes_the_nearest_untreated_water_until_it_is_full():
    # untreated today: A 100 (over), B 100 over + 1,000 unknown, C 500 (idle plant), D 800, E 700
    ledger, points = small_world()
    assert dict(zip("ABCDE", additions.untreated(ledger).round(9), strict=True)) == {
        "A": 100, "B": 1100, "C": 500, "D": 800, "E": 700}  # fmt: skip
    links = additions.collected(ledger, points, [new()])
    assert links[["unit", "m3d", "share", "distance_m"]].values.tolist() == [
        ["D", 800.0, 1.0, 500.0], ["E", 400.0, pytest.approx(4 / 7), 500.0]]  # fmt: skip
    after = additions.with_plants(ledger, links, [new()])
    likely = coverage.by_unit(after).parts("likely")
    # D: all its 800 (200 on site, 600 unknown) is collected; E keeps 300 unknown
    assert likely.loc["D"].round(6).to_dict() == dict.fromkeys(coverage.PARTS, 0.0) | {"treated_unknown": 800.0}
    assert likely.loc["E", "treated_unknown"] == pytest.approx(400) and likely.loc["E", "unknown"] == pytest.approx(300)
    assert likely.loc[["A", "B", "C"]].equals(coverage.by_unit(ledger).parts("likely").loc[["A", "B", "C"]])
    # high: 960 of D and 4/7 of 840 arrive, 1,440 in all; 1,200 are treated, 240 are over capacity
    high = coverage.whole(after).parts("high").iloc[0] - coverage.whole(ledger).parts("high").iloc[0]
    assert high["treated_unknown"] == pytest.approx(1200) and high["over_capacity"] == pytest.approx(240)
    # low: 640 and 4/7 of 560 = 320: 960 arrive and are treated
    low = coverage.whole(after).parts("low").iloc[0] - coverage.whole(ledger).parts("low").iloc[0]
    assert low["treated_unknown"] == pytest.approx(960) and low["over_capacity"] == 0


def test_what_a_full_plant_cannot_take_goes_to_the_new_one_and_the_full_one_keeps_its_share():
    ledger, points = small_world()
    plant = new("N", x=0.0, capacity=150.0, within=1000.0)
    links = additions.collected(ledger, points, [plant])
    assert links[["unit", "m3d"]].values.tolist() == [["A", 100.0], ["B", 50.0]]
    after = additions.with_plants(ledger, links, [plant])
    likely = coverage.by_unit(after).parts("likely")
    assert likely.loc["A", "treated_to_standard"] == pytest.approx(900)
    assert likely.loc["A", "over_capacity"] == pytest.approx(0) and likely.loc["A", "treated_unknown"] == pytest.approx(
        100
    )
    # of B's 1,100 untreated one part in 22 goes, from each of its parts alike
    assert likely.loc["B", "over_capacity"] == pytest.approx(100 * 21 / 22)
    assert likely.loc["B", "unknown"] == pytest.approx(1000 * 21 / 22)
    assert likely.loc["B", "treated_unknown"] == pytest.approx(50)


def test_an_earlier_plant_collects_first_and_the_later_takes_what_is_left():
    ledger, points = small_world()
    early, late = new("L", since=2030), new("E1", since=2026, capacity=1000.0)
    links = additions.collected(ledger, points, [early, late])
    got = links.set_index(["plant", "unit"])["m3d"].to_dict()
    # E1 takes D and 200 of E; L then E's last 500, C's 500 (1,500 m away); B is 2,500 m away, out of reach
    assert got == {("E1", "D"): 800, ("E1", "E"): 200, ("L", "E"): 500, ("L", "C"): 500}


def test_flows_of_a_study_are_used_as_far_as_there_is_water_and_room():
    ledger, points = small_world()
    asked = (("C", 400.0), ("A", 900.0), ("Z", 5.0))  # A has 100 left, Z is no unit
    links = additions.collected(ledger, points, [new(capacity=5000.0, within=0.0, given=asked)])
    assert links[["unit", "m3d"]].values.tolist() == [["A", 100.0], ["C", 400.0]]
    links = additions.collected(ledger, points, [new(capacity=250.0, within=0.0, given=asked)])
    assert links["m3d"].tolist() == [50.0, 200.0]


def test_only_the_chosen_units_are_served_and_one_without_a_point_never():
    ledger, points = small_world()
    some = additions.collected(ledger, points, [new(capacity=9e5, within=9e5, among=frozenset("AC"))])
    assert some["unit"].tolist() == ["A", "C"]
    some = additions.collected(ledger, points.drop("D"), [new(capacity=9e5, within=9e5)])
    assert sorted(some["unit"]) == list("ABCE")


@pytest.mark.parametrize("bad", [new(capacity=0.0), new(capacity=np.inf), new(within=-1.0)])
def test_a_plant_without_capacity_or_reach_is_refused(bad):
    with pytest.raises(ValueError, match="capacity"):
        additions.collected(*small_world(), [bad])
    with pytest.raises(ValueError, match="own"):
        additions.collected(*small_world(), [new(), new()])


def test_nothing_planned_changes_nothing():
    ledger, points = small_world()
    after = additions.with_plants(ledger, additions.collected(ledger, points, []), [])
    assert np.array_equal(after.worlds, ledger.worlds) and after.plants.equals(ledger.plants)


def test_a_second_way_plants_and_links_given_to_the_ledger_itself():
    # C, D and E reach no working plant: there the scenario is what geo.coverage makes of a plant and its links
    units, states, links = coverage.worked_example()
    ledger, points = small_world()
    plant = new(capacity=1500.0, within=3000.0, among=frozenset("CDE"))
    found = additions.collected(ledger, points, [plant])
    mine = additions.with_plants(ledger, found, [plant])
    share = found.set_index("unit")["share"]
    kept = 1 - links["unit"].map(share).fillna(0.0)
    for s in coverage.SCENARIOS:
        links[f"share_{s}"] *= kept
    fresh = pd.DataFrame([(u, "N", q, q, q, None, None) for u, q in share.items()], columns=links.columns)
    state = pd.DataFrame([("N", "operating", 1500, 1500, 1500, np.nan, "unknown", None, None)], columns=states.columns)
    every = [
        pd.concat(pair, ignore_index=True) for pair in ((states, state), (links.astype(object), fresh.astype(object)))
    ]
    theirs = coverage.ledger(units, *every, as_of=DAY)
    at = list(theirs.units).index
    for unit in "CDE":
        assert mine.worlds[:, at(unit)] == pytest.approx(theirs.worlds[:, at(unit)], abs=1e-9), unit
    assert mine.plants.loc["N", "inflow_high"] == pytest.approx(theirs.plants.loc["N", "inflow_high"])


# --- properties ---

amounts = st.floats(0, 5000)


@st.composite
def worlds(draw):
    """A random ledger of up to six units with two standing plants, and their points."""
    n = draw(st.integers(1, 6))
    low = np.array([draw(amounts) for _ in range(n)])
    likely = low + [draw(amounts) for _ in range(n)]
    high = likely + [draw(amounts) for _ in range(n)]
    codes = [f"u{i}" for i in range(n)]
    units = pd.DataFrame({"low": low, "likely": likely, "high": high}, index=pd.Index(codes, name="unit"))
    cap = draw(st.floats(0, 4000))
    states = pd.DataFrame(
        [("S", "operating", cap * 0.8, cap, cap * 1.3, np.nan, "meets", None, None),
         ("I", "idle", 100, 100, 100, np.nan, "unknown", None, None)],
        columns=["plant", "state", "capacity_low", "capacity_likely", "capacity_high", "measured", "compliance",
                 "valid_from", "valid_to"])  # fmt: skip
    rows = []
    for u in codes:
        where = draw(st.sampled_from(["S", "I", "not_connected", None]))
        if where:
            s = sorted(draw(st.floats(0, 1)) for _ in range(3))
            rows.append((u, where, *s, None, None))
    links = pd.DataFrame(rows, columns=["unit", "destination", *(f"share_{s}" for s in coverage.SCENARIOS),
                                        "valid_from", "valid_to"])  # fmt: skip
    points = pd.DataFrame({"x": [draw(st.floats(0, 1e4)) for _ in codes], "y": 0.0}, index=codes)
    return coverage.ledger(units, states, links, as_of=DAY), points


new_plants = st.lists(
    st.builds(new, code=st.just("?"), x=st.floats(0, 1e4), capacity=st.floats(1, 6000), within=st.floats(0, 2e4),
              since=st.integers(2025, 2035)),
    max_size=5,
).map(lambda found: [replace(p, code=f"N{i}") for i, p in enumerate(found)])  # fmt: skip


@given(worlds(), new_plants)
def test_parts_add_up_and_no_plant_treats_more_than_it_can_in_any_year(world, plants):
    ledger, points = world
    links = additions.collected(ledger, points, plants)
    whole = ledger.worlds.sum(axis=2)
    before = None
    for year in range(2025, 2036):
        after = additions.with_plants(ledger, links[links["since"] <= year], plants)
        assert (after.worlds >= -1e-9).all()
        assert after.worlds.sum(axis=2) == pytest.approx(whole, abs=1e-6)
        fresh = after.plants.loc[[p for p in after.plants.index if p.startswith("N")]]
        for s in coverage.SCENARIOS:
            assert (fresh[f"treated_{s}"] <= fresh[f"capacity_{s}"] + 1e-9).all()
        treated = additions.treated(after).sum(axis=1)
        told = fresh["treated_likely"].sum() if len(fresh) else 0.0
        assert treated[1] - additions.treated(ledger).sum(axis=1)[1] == pytest.approx(told, abs=1e-6)
        assert before is None or (treated >= before - 1e-6).all(), "a later year has more plants and treats no less"
        before = treated
    assert links.groupby("unit")["share"].sum().le(1 + 1e-9).all()
    assert (links.groupby("plant")["m3d"].sum() <= pd.Series({p.code: p.capacity_m3d for p in plants}).reindex(
        links["plant"].unique()).sort_index() + 1e-6).all()  # fmt: skip


@given(worlds(), new_plants, st.integers(0, 5))
def test_more_plants_never_treat_less(world, plants, leave_out):
    ledger, points = world
    fewer = [p for i, p in enumerate(plants) if i != leave_out]

    def treated(some):
        links = additions.collected(ledger, points, some)
        return additions.treated(additions.with_plants(ledger, links, some)).sum(axis=1)

    assert treated(plants)[1] >= treated(fewer)[1] - 1e-6
    if plants:  # the one that comes last takes from nobody, whatever the world
        last = max(range(len(plants)), key=lambda i: (plants[i].since, i))
        assert (treated(plants) >= treated([p for i, p in enumerate(plants) if i != last]) - 1e-6).all()


# --- the ledger of the city ---


class City:
    """services on a copy of the starter data, and one person of each role; the scenarios' clock stands still."""

    def __init__(self, starter, folder):
        self.services = open_city(shutil.copytree(starter, folder), today=DAY)
        self.services.scenarios._now = people.Clock()
        self.users = {role: people.person(self.services, role) for role in ROLES}

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.services.close()


@pytest.fixture(scope="module")
def city(starter_store, tmp_path_factory):
    with City(starter_store, tmp_path_factory.mktemp("scenarios") / "data") as made:
        yield made


def plant(number=1, **more):
    values = {"name": f"Trạm {number}", "lon": 106.68, "lat": 20.85, "year": 2028, "capacity_m3d": 20_000.0,
              "technology": OPEN_AIR, "enclosed": False}  # fmt: skip
    return Plant(number, **values | more)


def test_every_year_adds_up_and_the_gain_is_what_the_plants_treat(city):
    book = city.services.scenarios
    found = book.try_out([plant(1, year=2026), plant(2, year=2029, lon=106.4, lat=20.95, capacity_m3d=5000.0)])
    whole = found["base"]["generated"]["likely"]
    for row in found["years"]:
        for case in coverage.SCENARIOS:
            assert sum(p[case] for p in row["parts"].values()) == pytest.approx(row["generated"][case])
        told = sum(p["treated"]["likely"] for p in found["plants"] if p["code"] in row["built"])
        assert row["gained"]["likely"] == pytest.approx(told)
        assert row["treated"]["likely"] - found["base"]["treated"]["likely"] == pytest.approx(told)
        assert row["generated"]["likely"] == pytest.approx(whole)
        assert row["gained"]["low"] <= row["gained"]["likely"] <= row["gained"]["high"]
    first, last = found["years"][0], found["years"][-1]
    assert first["built"] == [] and first["gained"]["likely"] == 0 and last["built"] == ["P1", "P2"]
    assert last["gained"]["likely"] > 20_000
    assert sum(u["gained"] for u in found["units"]) == pytest.approx(last["gained"]["likely"])
    assert sum(u["people"] for u in found["units"]) == pytest.approx(last["people_gained"])
    json.dumps(found, allow_nan=False)


def test_the_ring_shrinks_when_the_plant_is_closed_and_the_rules_after_2026_are_not_known(city):
    book = city.services.scenarios
    law = [book.try_out([plant(year=2026, enclosed=e)])["plants"][0]["law"] for e in (False, True)]
    assert [d["metres"] for d in law] == [250.0, 30.0] and law[0]["near"]["people"] > law[1]["near"]["people"]
    assert all(d["by"] == "year" for d in law)
    found = book.try_out([plant(year=2028)])
    law = found["plants"][0]["law"]
    assert law["then"]["state"] == "not_established" and law["by"] == "today" and law["metres"] == 250.0
    assert found["years"][-1]["near_by_today"] == ["P1"]
    asked = book.try_out([plant(year=2026, enclosed=None)])
    assert asked["plants"][0]["law"]["then"]["state"] == "not_asked"
    assert asked["years"][-1]["near"] is None and asked["years"][-1]["near_unknown"] == ["P1"]
    up = book.try_out([plant(year=2026, exposed=True)])["plants"][0]["law"]
    assert (up["metres"], up["then"]["factor"]) == (375.0, 1.5)
    # 4 ha for 20,000 m³ a day (QCVN 01:2021/BXD): a disc of 112.8 m, and the distance from its rim
    large = book.try_out([plant(year=2026, capacity_m3d=20_000.0, enclosed=True)])["plants"][0]["law"]
    assert large["metres"] == 30.0 and large["reach_m"] == pytest.approx(30 + math.sqrt(40_000 / math.pi))


# --- the planner's own distance ---


def own(number=1, metres=120.0, source="QĐ 12/2027, phụ lục 1", **more):
    return plant(number, own_m=metres, own_source=source, **more)


def test_where_the_law_of_the_year_has_no_value_an_entered_distance_counts_with_its_source(city):
    law = city.services.scenarios.try_out([own(year=2028)])["plants"][0]["law"]
    assert (law["by"], law["metres"], law["own"]["source"]) == ("own", 120.0, "QĐ 12/2027, phụ lục 1")
    assert law["own"]["confidence"] == "user" and law["own"]["rows"] == ["user-1"]
    assert law["then"]["state"] == "not_established" and law["today"]["distance_m"] == 250.0
    # 20,000 m³ a day take 4 ha by today's norm: a disc of 112.8 m, from whose rim the 120 m count
    assert law["reach_m"] == pytest.approx(120 + math.sqrt(40_000 / math.pi))
    bare, few, many = (
        city.services.scenarios.try_out([p])["years"][-1]
        for p in (plant(year=2028), own(metres=1.0), own(metres=2000.0))
    )
    assert few["near"] < bare["near"] < many["near"]
    assert (bare["near_by_today"], bare["near_by_own"]) == (["P1"], [])
    assert (many["near_by_today"], many["near_by_own"]) == ([], ["P1"])


def test_where_the_law_has_a_value_only_more_than_it_counts(city):
    book = city.services.scenarios
    law = book.try_out([own(year=2026, metres=300.0)])["plants"][0]["law"]
    assert (law["by"], law["metres"], law["then"]["distance_m"]) == ("own", 300.0, 250.0)
    law = book.try_out([own(year=2026, metres=250.0)])["plants"][0]["law"]
    assert (law["by"], law["metres"], law["own"]) == ("year", 250.0, None), "as much as the law is the law's"
    up = book.try_out([own(year=2026, metres=300.0, exposed=True)])["plants"][0]["law"]
    assert (up["metres"], up["own"]["factor"]) == (450.0, 1.5)
    later = book.try_out([own(year=2028, exposed=True)])["plants"][0]["law"]
    assert later["metres"] == 120.0 and later["own"]["cautions"], "how much it grows is not established either"
    small = book.try_out([own(year=2026, metres=100.0, capacity_m3d=300.0, exposed=False)])["plants"][0]["law"]
    assert (small["by"], small["metres"]) == ("year", 100.0), "the class of its own capacity is asked, not the largest"
    unsaid = book.try_out([own(year=2028, enclosed=None)])["plants"][0]["law"]
    assert (unsaid["by"], unsaid["metres"]) == ("own", 120.0) and unsaid["own"]["cautions"]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (own(year=2026, metres=249.0), "own_m"),
        (own(source=""), "own_source"),
        (plant(own_source="QĐ 12/2027"), "own_m"),
        (own(metres=0.5), "own_m"),
        (own(metres=float("nan")), "own_m"),
        (own(source="a\nb"), "own_source"),
        (own(source="x" * 401), "own_source"),
    ],
)
def test_an_entered_distance_that_cannot_count_is_refused_with_its_reason(book, planner, bad, field):
    with pytest.raises(scenarios.ScenarioError) as told:
        book.create(planner, "Sai khoảng cách", plants=[bad])
    assert [(n, f) for n, f, _words, _values in told.value.problems] == [(1, field)]
    if bad.own_m == 249.0:
        assert told.value.problems[0][3] == {"own": "249", "law": "250", "row": "2021-2.22-15"}


def test_an_entered_distance_is_kept_with_revisions_copies_locks_and_the_journal(city, book, planner):
    code = book.create(planner, "Tự nhập", plants=[own()])
    one = book.set_plants(planner, code, 1, [own(metres=90.0, source="Thông tư mới")])
    assert book.at_revision(code, 1) == (own(),) and one.plants[0].own_source == "Thông tư mới"
    assert rows_of_audit(city, code)[0]["new"]["plants"][0]["own_m"] == 90.0
    book.lock(planner, code, 2)
    assert book.figures(code)["plants"][0]["law"]["own"]["source"] == "Thông tư mới"
    assert book.get(book.copy(planner, code, "Bản sao")).plants == one.plants


def test_a_store_from_before_gets_the_columns_and_keeps_its_plants(starter_store, tmp_path):
    with City(starter_store, tmp_path / "data") as office:
        book, planner = office.services.scenarios, office.users["planner"]
        code = book.create(planner, "Trước", plants=[plant(), plant(2, year=2030)])
        with office.services.store.transaction() as con:
            for name in ("own_m", "own_source"):
                con.exec_driver_sql(f"ALTER TABLE scenario_plants DROP COLUMN {name}")
        for _again in range(2):
            later = scenarios.Scenarios(office.services.store, office.services.figures, now=people.Clock())
            assert later.get(code).plants == (plant(), plant(2, year=2030))
        assert later.set_plants(planner, code, 1, [own()]).plants == (own(),)


@given(
    st.sampled_from([t["code"] for t in scenariolaw.technologies()]),
    st.floats(1, 200_000) | st.sampled_from([200.0, 5000.0, 50_000.0]),
    st.sampled_from([True, False, None]),
    st.booleans(),
    st.dates(date(2019, 1, 1), date(2036, 1, 1)) | st.sampled_from([date(2026, 12, 31), date(2027, 1, 1)]),
)
def test_what_is_told_for_a_class_is_what_the_table_says_of_each_plant(technology, capacity, enclosed, exposed, day):
    one = plant(technology=technology, capacity_m3d=capacity, enclosed=enclosed, exposed=exposed)
    told = scenariolaw.legal(one, day)
    try:
        asked = {"capacity": capacity, "enclosed": enclosed, "upstream": exposed}
        found = distances.safe_distance(scenariolaw.law(), day, technology, **asked)
    except distances.DistanceError:
        assert told["state"] == "not_asked"
    else:
        metres = None if math.isnan(found.distance_m) else found.distance_m
        assert (told["state"], told["distance_m"], told["rows"]) == (found.state, metres, list(found.rows))
        assert told["cautions"] == [list(c) for c in found.cautions]
    plot_ha = distances.land_need(scenariolaw.law(), day, scenariolaw.PLANT_GROUP, capacity).plot_ha
    area = math.pi * scenariolaw.plot_radius(capacity, day) ** 2 / 10_000
    assert area == pytest.approx(0.0 if math.isnan(plot_ha) else plot_ha)


def test_costs_by_hand():
    told = {"built": ["P1"]}
    money = Money("đ", build=10.0, operation=2.0, sewer=1000.0, years=10)
    row = scenarioledger._costs(
        [{"build_cost": 1000.0, "sewer_cost": 500.0, "treated": {"likely": 100.0}}], told, money
    )
    # 1,500 over 10 years and 100 × 365 × 2 a year, for 36,500 m³ a year
    assert row["invested"] == 1500 and row["per_m3d"] == 15 and row["operation_a_year"] == 73_000
    assert row["per_m3"] == pytest.approx((150 + 73_000) / 36_500)
    row = scenarioledger._costs([{"build_cost": None, "sewer_cost": 5.0, "treated": {"likely": 1.0}}], told, money)
    assert row["invested"] is None and row["per_m3"] is None, "one unknown cost is no zero"
    row = scenarioledger._costs([{"build_cost": 7.0, "sewer_cost": None, "treated": {"likely": 1.0}}], told, money)
    assert row["invested"] == 7 and row["without_sewers"]


def test_unit_costs_meet_capacity_and_the_length_of_the_sewers(city):
    money = Money("đồng", build=25e6, operation=4000.0, sewer=9e9, years=25, interest=5.0)
    found = city.services.scenarios.try_out([plant(year=2026)], money)["plants"][0]
    assert found["build_cost"] == 25e6 * 20_000 and found["sewer_cost"] == pytest.approx(9e9 * found["sewer_km"])
    assert found["sewer_km"] > 0 and not found["sewer_typed"]
    own = city.services.scenarios.try_out([plant(year=2026, cost=1e11, sewer_km=2.0)], money)["plants"][0]
    assert (own["build_cost"], own["sewer_cost"]) == (1e11, 18e9)


def test_a_hotspot_counts_when_half_of_the_untreated_water_of_its_ward_goes_to_a_new_plant(city):
    made = city.services.scenarios.ground()
    spot = next(h for h in made.hotspots if h["ward"] in set(made.points.index))
    ward = spot["ward"]
    at = made.points.loc[ward]
    all_of_it = float(additions.untreated(made.ledger)[made.ledger.units.get_loc(ward)])
    for share, counts in ((0.4, False), (0.5, True), (1.0, True)):
        one = plant(lon=at.lon, lat=at.lat, capacity_m3d=all_of_it * share, within_m=100.0, year=2026)
        rows = city.services.scenarios.try_out([one])["years"]
        assert (spot["code"] in rows[-1]["hotspots"]) is counts
        assert rows[0]["hotspots"] == []


# --- the book ---


@pytest.fixture
def book(city):
    return city.services.scenarios


@pytest.fixture
def planner(city):
    return city.users["planner"]


def rows_of_audit(city, code):
    with city.services.store.reading() as con:
        return list(audit.rows(con, thing=f"scenario:{code}"))


def test_a_scenario_is_kept_with_its_plants_and_each_change_is_in_the_journal(city, book, planner):
    code = book.create(planner, "  Phương án   A ", plants=[plant()])
    one = book.get(code)
    assert (one.name, one.revision, one.plants, one.locked) == ("Phương án A", 1, (plant(),), False)
    one = book.describe(planner, code, 1, name="A", money=Money("đồng", build=1.0))
    one = book.set_plants(planner, code, one.revision, [plant(year=2030), plant(2)])
    assert one.revision == 3 and [p.year for p in one.plants] == [2030, 2028]
    assert book.at_revision(code, 1) == (plant(),) and book.at_revision(code, 2) == (plant(),), "nothing is lost"
    assert [r["action"] for r in rows_of_audit(city, code)] == [
        "scenario.plants",
        "scenario.describe",
        "scenario.create",
    ]
    assert rows_of_audit(city, code)[0]["who_id"] == planner.id
    same = book.set_plants(planner, code, 3, one.plants)
    assert same.revision == 3, "nothing changed, nothing written"
    with city.services.store.reading() as con:
        assert audit.verify(con) == []


def test_two_editors_the_second_is_told(book, planner):
    code = book.create(planner, "Hai người")
    book.set_plants(planner, code, 1, [plant()])
    for change in (
        lambda: book.set_plants(planner, code, 1, []),
        lambda: book.describe(planner, code, 1, name="x"),
        lambda: book.lock(planner, code, 1),
        lambda: book.put_away(planner, code, 1),
    ):
        with pytest.raises(scenarios.Conflict):
            change()
    assert book.get(code).plants == (plant(),) and book.get(code).revision == 2


def test_locked_stays_locked_keeps_its_figures_and_can_be_copied(city, book, planner):
    code = book.create(planner, "Khóa", plants=[plant(year=2026)])
    before = book.figures(code)
    one = book.lock(planner, code, 1)
    assert one.locked and one.locked_by == planner.name and one.locked_at == "2026-11-22T01:00:00.000+00:00"
    for change in (
        lambda: book.set_plants(planner, code, 2, []),
        lambda: book.describe(planner, code, 2, name="x"),
        lambda: book.lock(planner, code, 2),
    ):
        with pytest.raises(scenarios.ScenarioError, match="locked"):
            change()
    frozen = book.figures(code)
    assert frozen["frozen_at"] == one.locked_at and frozen["years"] == before["years"] and not frozen["differs"]
    copy = book.get(book.copy(planner, code, "Bản sao"))
    assert not copy.locked and copy.plants == one.plants and copy.copied_from == code
    assert book.set_plants(planner, copy.code, 1, []).plants == ()
    assert book.get(code).plants == one.plants
    opened = book.unlock(planner, code, 2)
    assert not opened.locked and book.figures(code)["frozen_at"] is None
    with pytest.raises(scenarios.ScenarioError, match="not locked"):
        book.unlock(planner, code, 3)
    assert {"scenario.lock", "scenario.unlock"} <= {r["action"] for r in rows_of_audit(city, code)}


def test_a_locked_scenario_says_when_newer_data_would_change_it(starter_store, tmp_path):
    with City(starter_store, tmp_path / "data") as office:
        services = office.services
        book, planner = services.scenarios, office.users["planner"]
        code = book.create(planner, "A", plants=[plant(year=2026, within_m=9000.0)])
        book.lock(planner, code, 1)
        kept = book.figures(code)
        rows = services.store.snapshot("admin_units").copy()
        rows.loc[rows["kind"] == "ward", "population"] *= 0.01  # far less water than the plant could take
        services.store.write(scenarios_check("admin_units", rows), source="test", mode="replace")
        now = book.figures(code)
        assert now["differs"] and now["years"] == kept["years"]
        code = book.copy(planner, code, "B")
        assert book.figures(code)["years"][-1]["gained"]["likely"] < kept["years"][-1]["gained"]["likely"]


def scenarios_check(name, frame):
    from layers.catalogue import ALL
    from layers.checks import check

    return check(ALL[name], frame)


def test_who_may_write_and_who_may_comment(city, book, planner):
    code = book.create(planner, "Vai trò")
    for role in ("inspector", "approver", "commune_officer"):
        with pytest.raises(scenarios.ScenarioError, match="planners"):
            book.create(city.users[role], "x")
        with pytest.raises(scenarios.ScenarioError, match="planners"):
            book.lock(city.users[role], code, 1)
    assert book.comment(city.users["inspector"], code, "Được") and book.comment(
        city.users["administrator"], code, "Được"
    )
    with pytest.raises(scenarios.ScenarioError, match="role"):
        book.comment(city.users["commune_officer"], code, "x")


def test_own_comment_can_be_taken_back_for_fifteen_minutes(starter_store, tmp_path, monkeypatch):
    with City(starter_store, tmp_path / "data") as office:
        book, writer, other = office.services.scenarios, office.users["inspector"], office.users["approver"]
        clock = people.Clock()
        monkeypatch.setattr(book, "_now", clock)
        code = book.create(office.users["planner"], "Ý kiến")
        first, second = (book.comment(writer, code, text) for text in ("một", HOSTILE))
        assert [c.may_go for c in book.comments(code, writer)] == [True, True]
        assert [c.may_go for c in book.comments(code, other)] == [False, False]
        with pytest.raises(scenarios.ScenarioError, match="15 minutes"):
            book.take_back(other, code, first)
        clock.on(minutes=15)
        book.take_back(writer, code, first)
        clock.on(seconds=1)
        with pytest.raises(scenarios.ScenarioError, match="15 minutes"):
            book.take_back(writer, code, second)
        gone, kept = book.comments(code, writer)
        assert gone.taken_back and gone.text == "" and "\x07" not in kept.text and "<script>" in kept.text
        assert book.counts()[code] == (0, 1)
        with pytest.raises(KeyError):
            book.take_back(writer, code, 999)


def test_a_comment_can_be_written_on_a_locked_scenario_but_an_empty_one_not(book, planner):
    code = book.create(planner, "Khóa rồi")
    book.lock(planner, code, 1)
    book.comment(planner, code, "vẫn góp ý được")
    with pytest.raises(scenarios.ScenarioError, match="first"):
        book.comment(planner, code, " \x07 ")


def test_put_away_is_not_lost(book, planner):
    code = book.create(planner, "Cất")
    book.put_away(planner, code, 1)
    assert code not in {s.code for s in book.all()} and code in {s.code for s in book.all(hidden=True)}
    book.put_away(planner, code, 2, away=False)
    assert code in {s.code for s in book.all()}


def test_everything_that_is_wrong_is_told_at_once_and_nothing_is_written(book, planner):
    bad = [
        plant(1, lon=20.85, lat=106.68), plant(1, year=1999, capacity_m3d=float("nan")), plant(3, technology="magic"),
        plant(4, within_m=1.0, serves="nobody", cost=-1.0), plant(5, name="a\nb"),
    ]  # fmt: skip
    with pytest.raises(scenarios.ScenarioError) as told:
        book.create(planner, "Sai", plants=bad)
    assert {(n, f) for n, f, _words, _values in told.value.problems} == {
        (1, "place"), (1, "number"), (1, "year"), (1, "capacity_m3d"), (3, "technology"), (4, "within_m"),
        (4, "serves"), (4, "cost"), (5, "name"),
    }  # fmt: skip
    assert "Sai" not in {s.name for s in book.all()}
    for name in ("", "x" * 121, "\x07"):
        with pytest.raises(scenarios.ScenarioError, match="name"):
            book.create(planner, name)
    with pytest.raises(scenarios.ScenarioError, match="at most"):
        book.create(planner, "Nhiều", plants=[plant(i) for i in range(1, 42)])
    with pytest.raises(scenarios.ScenarioError, match="unit costs"):
        book.create(planner, "Tiền", money=Money(build=float("inf"), years=0))


def test_hostile_names_are_kept_as_text(book, planner):
    code = book.create(planner, HOSTILE, plants=[plant(name="=cmd|' /C calc'!A0")])
    assert (
        "\x07" not in book.get(code).name and "\u202e" not in book.get(code).name and "<script>" in book.get(code).name
    )


@pytest.mark.parametrize(
    ("at", "kept"),
    [
        (datetime(2026, 11, 22, 0, 30, tzinfo=CITY_TIME), "2026-11-21T17:30:00.000+00:00"),
        (datetime(2026, 12, 31, 23, 59, tzinfo=CITY_TIME), "2026-12-31T16:59:00.000+00:00"),
    ],
)
def test_numbers_of_codes_go_on_and_times_are_of_the_clock_in_utc(book, planner, monkeypatch, at, kept):
    monkeypatch.setattr(book, "_now", lambda: at)
    first, second = (book.create(planner, "Mã") for _ in range(2))
    assert int(second[3:]) == int(first[3:]) + 1
    assert [s.code for s in book.all() if s.code in (first, second)] == [second, first]
    one = book.lock(planner, second, 1)
    assert one.created_at == one.locked_at == kept and i18n.date(one.locked_at) == f"{at:%d/%m/%Y}"
    assert book.figures(first)["as_of"] == f"{at:%Y-%m-%d}", "the day of the city"


# --- from a siting study ---


def study_result(book, **facility):
    """The part of a study's answer that a scenario takes: two sites, the first with the water of two wards."""
    made = book.ground()
    wards = [u for u in made.ledger.units if made.names[u]["kind"] == "ward"][:3]
    sites = [
        {"label": "A", "code": "K-1", "lon": 106.66, "lat": 20.86, "capacity_m3_day": 5000.0, "cost": 120.0,
         "units": [{"unit": wards[0], "m3_day": 300.0, "people": 1.0}, {"unit": wards[1], "m3_day": 200.0, "people": 1.0}],
         "card": {"upstream": {"state": "yes"}}},
        {"label": "B", "code": "K-2", "lon": 106.60, "lat": 20.80, "capacity_m3_day": 8000.0, "cost": None,
         "units": [{"unit": wards[2], "m3_day": 100.0, "people": 1.0}], "card": {"upstream": {"state": "unchecked"}}},
    ]  # fmt: skip
    spec = {"facility": {"technology": OPEN_AIR, "enclosed": True} | facility, "money": "tỷ đồng", "within_m": 4000.0}
    return {"spec": spec, "sites": sites}, wards


class Studies:
    """A book of one study."""

    def __init__(self, result):
        self._result = result

    def get(self, code):
        if code != "S-0001":
            raise KeyError(code)
        return {"code": code, "name": "Nghiên cứu thử"}

    def result(self, code):
        return self._result


def test_a_scenario_of_a_study_keeps_its_sites_its_flows_and_its_costs(book, planner, monkeypatch):
    result, wards = study_result(book)
    monkeypatch.setattr(book, "_studies", lambda: Studies(result))
    one = book.get(book.from_study(planner, "S-0001"))
    assert (one.name, one.study, one.money.currency) == ("Nghiên cứu thử", "S-0001", "đồng")
    first, second = one.plants
    assert (first.name, first.site, first.year, first.cost, first.exposed, first.enclosed) == (
        "A K-1",
        "K-1",
        2030,
        120e9,
        True,
        True,
    )
    assert first.flows == ((wards[0], 300.0), (wards[1], 200.0)) and second.cost is None and not second.exposed
    figures = book.figures(one.code)
    got = {u["unit"]: u["m3d"] for p in figures["plants"] for u in p["units"]}
    left = dict(zip(book.ground().ledger.units, additions.untreated(book.ground().ledger), strict=True))
    assert got == {w: pytest.approx(min(q, left[w])) for w, q in zip(wards, (300, 200, 100), strict=True)}
    assert figures["plants"][0]["law"]["today"]["factor"] == 1.5


@pytest.mark.parametrize(
    ("entries", "rules", "comes"),
    [
        ([{"distance_m": 80.0, "source": "TT 46", "enclosed": True}], [], (80.0, "TT 46")),
        ([{"distance_m": 80.0, "source": "TT 46", "enclosed": False}], [], (None, "")),
        ([{"distance_m": 80.0, "source": "TT 46", "enclosed": None}],
         [{"code": "houses", "on": True, "distance_m": 95.0, "source": "UBND"}], (95.0, "UBND")),
        ([], [{"code": "houses", "on": False, "distance_m": 95.0, "source": "UBND"}], (None, "")),
        ([], [{"code": "houses", "on": True, "distance_m": None, "source": ""}], (None, "")),
    ],
)  # fmt: skip
def test_the_distance_that_a_study_was_given_comes_along(book, planner, monkeypatch, entries, rules, comes):
    result, _wards = study_result(book, entries=entries)
    result["spec"]["rules"] = rules
    monkeypatch.setattr(book, "_studies", lambda: Studies(result))
    plants = book.get(book.from_study(planner, "S-0001")).plants
    assert [(p.own_m, p.own_source) for p in plants] == [comes, comes]
    early = book.get(book.from_study(planner, "S-0001", year=2026)).plants
    assert [p.own_m for p in early] == [comes[0], comes[0]], "30 m by the law of 2026: more than that counts"


@pytest.mark.parametrize("broken", ["none", "other", "empty", "unknown"])
def test_a_study_that_cannot_become_a_scenario_is_told(book, planner, monkeypatch, broken):
    result, _wards = study_result(book, **({"technology": "incinerator"} if broken == "other" else {}))
    if broken == "empty":
        result["sites"] = []
    monkeypatch.setattr(book, "_studies", lambda: Studies(None if broken == "none" else result))
    before = len(book.all())
    with pytest.raises(scenarios.ScenarioError) as told:
        book.from_study(planner, "S-0009" if broken == "unknown" else "S-0001")
    assert told.value.problems[0][1] == "study" and len(book.all()) == before


def test_an_event_that_is_over_is_not_relieved_by_a_plant(city, book):
    rows = city.services.store.snapshot("hotspots")
    over = set(rows.loc[rows["past_event"] == "yes", "code"])
    assert over and not over & {h["code"] for h in book.ground().hotspots}
