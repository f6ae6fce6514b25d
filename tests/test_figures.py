"""The figures of the starter data: they balance at every level, and follow what is written."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from geo.coverage import PARTS, SCENARIOS, TREATED
from layers.catalogue import ALL
from layers.checks import check
from server.figures import LEVELS, NO_DISTRICT, WARD_KINDS, Figures

DAY = date(2026, 11, 22)
END_2024 = date(2024, 12, 31)


@pytest.fixture(scope="module")
def figures(starter_facts):
    return Figures(starter_facts)


def change(store, name, **where):
    """Rows of a table as a frame that passes the door again."""
    frame = store.snapshot(name)
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return frame.copy()


def write(store, name, frame, mode="upsert"):
    store.write(check(ALL[name], frame), source="test", mode=mode)


# --- balance ---


@pytest.mark.parametrize("with_building", [False, True])
@pytest.mark.parametrize("by", ["ward", "district", "city"])
def test_totals_are_equal_at_every_level_in_every_scenario(figures, by, with_building):
    view = figures.coverage(by, DAY, with_building)
    first = figures.coverage("ward", DAY, with_building)
    for s in SCENARIOS:
        for p in PARTS:
            added = sum(r["parts"][p][s] for r in view.rows)
            assert added == pytest.approx(first.total["parts"][p][s], abs=1e-6)
            assert view.total["parts"][p][s] == pytest.approx(added, abs=1e-6)
        assert view.total["generated"][s] == pytest.approx(first.total["generated"][s], abs=1e-6)
        units = figures.inputs().units  # what went in, by another way than adding the parts
        went_in = units.loc[units[list(SCENARIOS)].notna().all(axis=1), s].sum()
        assert view.total["generated"][s] == pytest.approx(went_in, abs=1e-6)


@pytest.mark.parametrize("by", LEVELS)
def test_parts_add_up_to_the_whole(figures, by):
    view = figures.coverage(by, DAY)
    assert len(view.rows) > 1
    for r in [*view.rows, view.total]:
        for s in SCENARIOS:
            assert sum(r["parts"][p][s] for p in PARTS) == pytest.approx(r["generated"][s], abs=1e-6)
            assert min(r["parts"][p][s] for p in PARTS) >= 0
        for name in ("treated", "gap", "treated_share", "unknown_share"):
            three = [r[name][s] for s in SCENARIOS]
            assert three == sorted(three)
        assert r["treated"]["likely"] + r["gap"]["likely"] == pytest.approx(r["generated"]["likely"])
        assert r["treated_share"]["low"] >= 0 and r["treated_share"]["high"] <= 1
        assert r["known_gap"]["likely"] + r["unknown"]["likely"] == pytest.approx(r["gap"]["likely"], abs=1e-6)


def test_generation_of_a_ward_by_hand(figures, starter_facts):
    wards = starter_facts.snapshot("admin_units").set_index("code")
    rows = {r["code"]: r for r in figures.coverage("ward", DAY).rows}
    urban = next(c for c, k in wards["kind"].items() if k == "ward")
    rural = next(c for c, k in wards["kind"].items() if k == "commune")
    for code, likely, low in ((urban, 105 * 0.9, 80 * 0.8), (rural, 60 * 0.9, 40 * 0.8)):
        people = wards.at[code, "population"]
        assert rows[code]["generated"]["likely"] == pytest.approx(people * likely / 1000)
        assert rows[code]["generated"]["low"] == pytest.approx(people * low / 1000)
        assert rows[code]["people"]["all"] == people


def test_zone_rows_are_the_part_without_wards(figures):
    zones, all_units = figures.coverage("zone", DAY), figures.coverage("ward", DAY)
    assert not {r["kind"] for r in zones.rows} & set(WARD_KINDS)
    wards = [r for r in all_units.rows if r["kind"] in WARD_KINDS]
    assert len(wards) == 114 and len(wards) + len(zones.rows) == len(all_units.rows)
    for s in SCENARIOS:
        there = zones.total["generated"][s] + sum(r["generated"][s] for r in wards)
        assert there == pytest.approx(all_units.total["generated"][s], abs=1e-6)


# --- unknown is unknown ---


def test_units_of_unknown_generation_are_named_and_in_no_sum(figures, starter_facts):
    units = figures.inputs().units
    blank = set(units.index[units[list(SCENARIOS)].isna().any(axis=1)])
    assert len(blank) > 5
    for by in LEVELS:
        view = figures.coverage(by, DAY)
        assert {u["code"] for u in view.uncounted} == blank
        assert not blank & {r["code"] for r in view.rows} and not blank & set(view.ledger.units)
        assert all(u["name_vi"] and u["kind"] for u in view.uncounted)
    zones = starter_facts.snapshot("industrial_zones").set_index("code")
    nowhere = zones[zones["area_ha"].isna() & zones["licensed_m3d"].isna() & zones["measured_m3d"].isna()]
    assert set(nowhere.index[nowhere["state"].eq("operating") & nowhere["kind"].ne("economic_zone")]) <= blank
    assert set(zones.index[(zones["state"] == "unknown") & (zones["kind"] != "economic_zone")]) <= blank
    assert "EZ01" not in units.index, "the economic zone would count its parks twice"


def test_a_zone_that_gets_a_figure_is_counted_from_then_on(filled):
    figures = Figures(filled)
    view = figures.coverage("zone", DAY)
    zones = change(filled, "industrial_zones")
    code = next(u["code"] for u in view.uncounted if u["code"] in set(zones["code"]))
    row = zones[zones["code"] == code].assign(measured_m3d=1234.0, state="operating")
    write(filled, "industrial_zones", row)
    after = figures.coverage("zone", DAY)
    assert code not in {u["code"] for u in after.uncounted}
    assert after.total["generated"]["likely"] == pytest.approx(view.total["generated"]["likely"] + 1234)


# --- keeping ---


def test_a_view_is_kept_until_a_version_is_written(filled):
    figures = Figures(filled)
    view = figures.coverage("ward", DAY)
    assert figures.coverage("ward", DAY) is view
    assert figures.coverage("ward", DAY, True) is not view
    wards = change(filled, "admin_units")
    code = wards.loc[wards["kind"] == "ward", "code"].iloc[0]
    row = wards[wards["code"] == code]
    write(filled, "admin_units", row.assign(population=row["population"] + 100_000))
    after = figures.coverage("ward", DAY)
    assert after is not view and after.version != view.version
    more = after.total["generated"]["likely"] - view.total["generated"]["likely"]
    assert more == pytest.approx(100_000 * 105 * 0.9 / 1000)
    assert after.total["people"]["all"] == view.total["people"]["all"] + 100_000


def test_an_unknown_level_or_no_date_is_refused(figures):
    with pytest.raises(ValueError, match="'street' is not one of ward"):
        figures.coverage("street", DAY)
    with pytest.raises(ValueError, match="date"):
        figures.coverage("ward", None)


@pytest.mark.parametrize("layer", ["industrial_zones", "plant_states", "service_links"])
def test_a_view_is_of_one_version_though_somebody_writes_meanwhile(filled, monkeypatch, layer):
    """The write comes just before or after one of the tables is read; a view must never mix two versions."""
    zones, links = change(filled, "industrial_zones"), change(filled, "service_links")
    zone = zones.iloc[:1].assign(
        code="NEW",
        kind="industrial_park",
        state="operating",
        measured_m3d=1e6,
        area_ha=1.0,
        geometry=None,
        geometry_quality="none",
    )
    link = links.iloc[:1].assign(
        unit="NEW",
        destination="not_connected",
        share_low=1.0,
        share_likely=1.0,
        share_high=1.0,
        valid_from=pd.NaT,
        valid_to=pd.NaT,
    )
    base = Figures(filled).coverage("zone", DAY).total
    figures, read, written = Figures(filled), filled.snapshot, []

    def snapshot(name):
        frame = read(name)
        if name == layer and not written:
            written.append(name)
            fresh = [check(ALL["industrial_zones"], zone), check(ALL["service_links"], link)]
            filled.write_all(fresh, source="test", mode="append")
        return frame

    monkeypatch.setattr(filled, "snapshot", snapshot)
    view = figures.coverage("zone", DAY)
    assert written and view.version == figures.version()
    for part in ("generated", "gap"):
        assert view.total[part]["likely"] == pytest.approx(base[part]["likely"] + 1e6)
    assert view.total["parts"]["not_connected"]["likely"] == pytest.approx(1e6)
    assert figures.coverage("zone", DAY) is view


# --- time ---


def test_a_plant_that_stops_lowers_the_share_from_that_day_and_not_before(filled):
    figures = Figures(filled)
    stop, eve = date(2026, 6, 1), date(2026, 5, 31)
    before = {d: figures.coverage("city", d).total for d in (eve, stop)}
    running = change(filled, "plant_states", plant="WW01").sort_values("valid_from").tail(1)
    assert running["state"].tolist() == ["operating"] and running["valid_to"].isna().all()
    idle = running.assign(state="idle", valid_from=pd.Timestamp(stop))
    rows = pd.concat([running.assign(valid_to=pd.Timestamp(stop)), idle], ignore_index=True)
    write(filled, "plant_states", rows)
    after = {d: figures.coverage("city", d).total for d in (eve, stop)}
    assert after[eve] == before[eve]
    lost = before[stop]["treated"]["likely"] - after[stop]["treated"]["likely"]
    assert lost > 1000
    assert after[stop]["treated_share"]["likely"] < before[stop]["treated_share"]["likely"]
    assert after[stop]["parts"]["plant_not_working"]["likely"] >= lost
    assert after[stop]["generated"] == pytest.approx(before[stop]["generated"])


def test_plants_under_construction_count_only_when_asked(figures):
    for by in ("ward", "district"):
        now, later = figures.coverage(by, DAY), figures.coverage(by, DAY, with_building=True)
        assert later.with_building and not now.with_building
        assert later.total["treated"]["likely"] >= now.total["treated"]["likely"]
        assert later.total["generated"] == now.total["generated"]
    plants = figures.ledger(DAY, True).plants
    assert plants.loc[plants["state"] == "building", "works"].all()
    assert not figures.ledger(DAY, False).plants.query("state == 'building'")["works"].any()


def test_long_ago_nothing_is_known_to_be_treated(figures):
    total = figures.coverage("city", date(2015, 1, 1)).total
    assert total["treated"]["likely"] < figures.coverage("city", DAY).total["treated"]["likely"]


# --- people and places ---


@pytest.mark.parametrize("by", ["ward", "district", "city"])
def test_people_add_up(figures, by):
    view = figures.coverage(by, DAY)
    people = view.total["people"]
    assert people["all"] == pytest.approx(4_664_124)
    assert sum(r["people"]["all"] for r in view.rows if r["people"]) == pytest.approx(4_664_124)
    assert 0 <= people["treated_low"] <= people["treated_likely"] <= people["treated_high"] <= people["all"]
    assert people["treated_likely"] == pytest.approx(figures.coverage("ward", DAY).total["people"]["treated_likely"])


def test_units_that_no_district_is_known_of_are_shown_as_such(figures):
    rows = {r["code"]: r for r in figures.coverage("district", DAY).rows}
    assert set(rows) - set(figures.store.snapshot("admin_units")["code"]) <= {NO_DISTRICT}
    assert all(r["name_vi"] and r["name_en"] for r in rows.values())


def test_a_ward_of_two_districts_is_shared_between_them(filled):
    cross = change(filled, "crosswalk")
    first = cross[cross["old_unit"].isin(["303", "304"]) & (cross["basis"] == "exact")].iloc[0]
    other = "304" if first["old_unit"] == "303" else "303"
    both = pd.concat([cross[(cross["unit"] == first["unit"]) & (cross["old_unit"] == first["old_unit"])]] * 2)
    figures = Figures(filled)
    before = {r["code"]: r for r in figures.coverage("district", DAY).rows}
    write(filled, "crosswalk", both.assign(old_unit=[first["old_unit"], other], share=[0.75, 0.25], basis="declared"))
    view = figures.coverage("district", DAY)
    after = {r["code"]: r for r in view.rows}
    ward = {r["code"]: r for r in figures.coverage("ward", DAY).rows}[first["unit"]]
    for figure in ("generated", "treated"):
        moved = after[other][figure]["likely"] - before[other][figure]["likely"]
        assert moved == pytest.approx(0.25 * ward[figure]["likely"], abs=1e-6)
    assert after[other]["people"]["all"] - before[other]["people"]["all"] == pytest.approx(0.25 * ward["people"]["all"])
    assert view.total["people"]["all"] == pytest.approx(4_664_124)
    assert view.total["generated"] == pytest.approx(figures.coverage("ward", DAY).total["generated"])


# --- beside the official figures ---


def test_domestic_share_of_the_old_city_is_of_the_order_of_the_report(figures):
    """The Department of Construction: under 10 % of domestic waste water, end 2024."""
    result = figures.ledger(END_2024)
    cross = figures.store.snapshot("crosswalk")
    wards = set(cross.loc[cross["old_unit"] == "HP-2024", "unit"])
    mine = [u in wards for u in result.units]
    likely = pd.DataFrame(result.worlds[1][mine], columns=list(PARTS)).sum()
    share = likely[list(TREATED)].sum() / likely.sum()
    assert 0.03 < share < 0.2
    worlds = result.worlds[:, mine].sum(axis=1)
    shares = worlds[:, :3].sum(axis=1) / worlds.sum(axis=1)
    assert shares.min() < 0.10, "the reported figure lies in the computed range"
    assert np.isfinite(shares).all()


def test_another_raster_of_people_is_another_version(starter_facts, tmp_path):
    raster = tmp_path / "population.tif"
    figures = Figures(starter_facts, raster)
    without = figures.version()
    assert without == starter_facts.stamp()
    seen = []
    for body in (b"one", b"another"):
        raster.write_bytes(body)
        assert figures.kept("probe", raster.read_bytes) == body == figures.kept("probe", raster.read_bytes)
        seen.append(figures.version())
    assert len({without, *seen}) == 3
