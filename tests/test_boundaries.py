"""Boundary versions and the crosswalk: by names, by outlines, in old stores, on the pages and in the files."""

import gzip
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from geo import crosswalk
from layers import boundaries, rasters, starter
from layers.catalogue import ALL
from layers.checks import check
from layers.errors import LayerError
from layers.store import FILE_NAME, Store
from server.featureedits import Editor, Row
from server.figures import NO_DISTRICT, WARD_KINDS, Figures
from server.people import User

DAY = date(2026, 11, 22)
OLD_STORE = Path(__file__).parent / "data" / "store-schema-2.gpkg.gz"


def upsert(store, name, frame):
    store.write(check(ALL[name], frame, repair=False), source="test", mode="upsert")


@pytest.fixture
def wards(filled):
    admin = filled.snapshot("admin_units")
    return admin.loc[admin["kind"].isin(WARD_KINDS), "code"]


# --- versions ---


@pytest.mark.parametrize(
    ("day", "code"),
    [("2015-06-01", "2024"), ("2024-12-31", "2024"), ("2025-01-01", "2025-01"), ("2025-06-30", "2025-01"),
     ("2025-07-01", "2025-07"), ("2030-01-01", "2025-07")],
)  # fmt: skip
def test_the_version_of_a_day(starter_facts, day, code):
    assert boundaries.version_at(starter_facts, date.fromisoformat(day)) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [("2024", "2024"), ("2025", None), ("2025-05", "2025-01"), ("2025-06", "2025-01"), ("2025-07", "2025-07"),
     ("2024-12-31", "2024"), ("2025-01-01 | 2019", "2025-01"), ("2024-11 (est.)", "2024"), ("2024-13", None),
     ("2025-02-30", None), ("20245", None), ("undated", None), ("", None), (None, None)],
)  # fmt: skip
def test_the_version_of_a_written_date(starter_facts, text, code):
    assert boundaries.version_of_date(starter_facts, text) == code


def test_versions_follow_on_each_other_without_a_gap(starter_facts):
    rows = starter_facts.snapshot("boundary_versions").sort_values("valid_from", na_position="first")
    assert rows["valid_to"].iloc[:-1].tolist() == rows["valid_from"].iloc[1:].tolist()
    assert rows["valid_to"].isna().tolist() == [False, False, True]
    assert boundaries.old_day(starter_facts) == date(2024, 12, 31)


def test_records_say_under_which_boundaries_they_were_filed(starter_facts):
    known = set(starter_facts.snapshot("boundary_versions")["code"])
    for name in ("admin_units", "hotspots", "treatment_plants", "industrial_zones", "port_areas"):
        rows = starter_facts.snapshot(name)
        assert set(rows["filed_under"].dropna()) <= known
        if name != "admin_units":
            assert (rows["filed_under"].notna() == rows["district_old"].notna()).all()
    units = starter_facts.snapshot("admin_units").set_index("code")
    assert set(units.loc[units["kind"].isin(WARD_KINDS), "filed_under"]) == {boundaries.NOW}
    assert units.at["303", "filed_under"] == boundaries.OLD


# --- by names ---


def test_names_say_in_which_districts_a_ward_lies():
    communes = pd.DataFrame(
        [("W1", "An", "312"), ("W1", "Bình", "303"), ("W2", "Cát", "306"), ("W3", "Đồng", "311")],
        columns=["ward_code", "old_name", "district"],
    )
    moved = pd.DataFrame(
        [("Bình", "", "312", "303", "whole"), ("Cát", "W3", "306", "311", "part")],
        columns=["old_name_vi", "ward_code", "district_before", "district_after", "part"],
    )
    assert boundaries.by_names(communes, moved) == {"W1": {"312"}, "W2": {"306"}, "W3": {"311", "306"}}


def test_six_wards_lie_in_two_districts_and_all_others_in_one(starter_facts):
    units = Figures(starter_facts).inputs().units
    codes = units.index[units["kind"].isin(WARD_KINDS)]
    links, told = boundaries.links(starter_facts, "district", codes, rest=NO_DISTRICT)
    assert not told["faults"] and not len(told["mended"]) and not len(told["strays"])
    split = links[links["basis"] != "exact"]
    assert set(split["unit"]) == {"11311", "11383", "11446", "11455", "11560", "11602"}
    assert set(split["basis"]) == {"area"} and len(split) == 12
    rows = pd.DataFrame(starter_facts.snapshot("crosswalk"))
    assert (rows.loc[rows["basis"] == "exact", "share"] == 1).all()
    main = links.sort_values("share").groupby("unit")["group"].last()
    mine = starter_facts.snapshot("admin_units").set_index("code")["district_old"].dropna()
    assert main[mine.index.intersection(main.index)].to_dict() == mine[mine.index.isin(main.index)].to_dict()
    cities, _ = boundaries.links(starter_facts, "city", codes, rest=NO_DISTRICT)
    assert set(cities["basis"]) == {"exact"} and len(cities) == 114


def test_a_split_that_the_names_do_not_know_stops_the_starter(monkeypatch):
    read = starter._read
    monkeypatch.setattr(starter, "_read", lambda n, *a: read(n, *a).iloc[2:] if n == "split_wards" else read(n, *a))
    with pytest.raises(ValueError, match="11311"):
        starter.crosswalk()


# --- what people write ---


def link(store, unit, **changes):
    rows = store.snapshot("crosswalk")
    row = rows[rows["unit"].eq(unit) & rows["basis"].eq("exact") & rows["old_unit"].str.len().eq(3)].head(1)
    return row.assign(**changes)


def test_shares_that_do_not_add_up_are_told_and_nothing_is_lost(filled, wards):
    upsert(filled, "crosswalk", link(filled, "11443", share=0.7, basis="declared"))
    links, told = boundaries.links(filled, "district", wards, rest=NO_DISTRICT)
    assert told["mended"][["unit", "done"]].values.tolist() == [["11443", "short"]]
    mine = links[links["unit"] == "11443"].set_index("group")["share"]
    assert mine.to_dict() == pytest.approx({"307": 0.7, NO_DISTRICT: 0.3})
    figures = Figures(filled)
    view = figures.coverage("district", DAY)
    assert figures.agreement(view)["equal"]
    row = next(r for r in view.rows if r["code"] == NO_DISTRICT)
    assert row["estimate"]["wards"] == ["11443"] and row["generated"]["likely"] > 1000


def test_a_share_outside_its_ends_or_an_unknown_basis_is_refused(filled):
    for changes in (
        {"share": 1.2},
        {"share_low": 0.9, "share": 0.5},
        {"basis": "guess"},
        {"valid_to": pd.Timestamp("2000-01-01"), "valid_from": pd.Timestamp("2001-01-01")},
    ):
        with pytest.raises(LayerError):
            check(ALL["crosswalk"], link(filled, "11443", **changes))


def test_a_link_without_a_ward_and_a_ward_without_a_link(filled, wards):
    rows = filled.snapshot("crosswalk")
    filled.write(check(ALL["crosswalk"], rows[rows["unit"] != "11443"]), source="test")
    links, told = boundaries.links(filled, "district", wards, rest=NO_DISTRICT)
    assert told["mended"][["unit", "total", "done"]].values.tolist() == [["11443", 0.0, "none"]]
    assert links.set_index("unit").at["11443", "group"] == NO_DISTRICT
    assert Figures(filled).agreement(Figures(filled).coverage("city", DAY))["equal"]


# --- outlines that somebody imports ---


def outlined(store, shapes, quality="surveyed"):
    """Square outlines for some units, in metres, on open sea where no other unit lies."""
    admin = store.snapshot("admin_units")
    rows = admin[admin["code"].isin(shapes)].copy()
    boxes = [shapely.affinity.translate(shapely.box(*shapes[c]), 680_000, 2_260_000) for c in rows["code"]]
    made = gpd.GeoSeries(boxes, index=rows.index, crs=boundaries.METRIC).to_crs(4326)
    upsert(store, "admin_units", rows.set_geometry(made).assign(geometry_quality=quality))


def test_imported_outlines_take_over_the_estimate_and_leave_the_names(filled, wards):
    outlined(filled, {"11383": (0, 0, 1000, 1000), "305": (0, 0, 640, 1000), "304": (640, 0, 800, 1000),
                      "306": (800, 0, 850, 1000)})  # fmt: skip
    links, told = boundaries.links(filled, "district", wards, rest=NO_DISTRICT)
    mine = links[links["unit"] == "11383"].set_index("group")
    assert mine["share"].to_dict() == pytest.approx({"305": 0.8, "304": 0.2}, abs=1e-4)
    assert set(mine["basis"]) == {"area"} and not len(told["mended"])
    strays = told["strays"].set_index(["unit", "group"])["share"]
    assert strays["11383", "306"] == pytest.approx(0.05, abs=1e-4), "edges say nothing against names"
    exact = links[links["basis"] == "exact"]
    assert (exact["share"] == 1).all() and len(exact) == 108


def test_people_weigh_more_than_area_and_the_two_are_the_ends(filled, wards, tmp_path):
    outlined(filled, {"11383": (0, 0, 1000, 1000), "305": (0, 0, 800, 1000), "304": (800, 0, 1000, 1000)})
    built = gpd.GeoSeries(
        [shapely.affinity.translate(shapely.box(700, 0, 1000, 1000), 680_000, 2_260_000)], crs=boundaries.METRIC
    )
    row = {
        "code": ["B1"],
        "name_vi": ["Nhà ở"],
        "geometry_quality": ["surveyed"],
        "source": ["test"],
        "confidence": ["high"],
    }
    filled.write(
        check(ALL["built_up"], gpd.GeoDataFrame(row, geometry=built.to_crs(4326).to_numpy(), crs=4326)), source="test"
    )
    path = tmp_path / "people.tif"
    rasters.make_population(filled, path)
    links, _ = boundaries.links(filled, "district", wards, rest=NO_DISTRICT, surface=path)
    mine = links[links["unit"] == "11383"].set_index("group")
    assert set(mine["basis"]) == {"population"}
    # 700 m of open land at a tenth of the weight of 300 m of built-up land: 200 of 70 + 300 lie in 304
    assert mine.at["304", "share"] == pytest.approx(200 / 370, abs=0.005)
    assert mine.at["304", "low"] == pytest.approx(0.2, abs=0.02) and mine.at["304", "high"] == mine.at["304", "share"]
    figures = Figures(filled, path)
    view = figures.coverage("district", DAY)
    row = next(r for r in view.rows if r["code"] == "304")
    assert figures.agreement(view)["equal"]
    assert "population" in row["estimate"]["bases"] and row["estimate"]["low"] is None, "other wards have no range"


def test_schematic_outlines_say_nothing(filled, wards):
    outlined(filled, {"11383": (0, 0, 1000, 1000), "305": (0, 0, 640, 1000)}, quality="approximate")
    links, _ = boundaries.links(filled, "district", wards, rest=NO_DISTRICT)
    assert links[links["unit"] == "11383"].set_index("group").at["305", "share"] == 0.91


# --- figures ---


@pytest.fixture(scope="module")
def figures(starter_facts):
    return Figures(starter_facts)


@pytest.mark.parametrize("by", ["district", "city"])
@pytest.mark.parametrize("building", [False, True])
def test_totals_agree_to_a_billionth(figures, by, building):
    view = figures.coverage(by, DAY, building)
    told = figures.agreement(view)
    assert told["equal"] and told["groups"] == pytest.approx(told["units"], rel=1e-9)
    assert told["inside"] + told["outside"] == pytest.approx(told["groups"])
    today = figures.coverage("ward", DAY, building)
    assert sum(r["people"]["all"] for r in view.rows if r["people"]) == pytest.approx(
        today.total["people"]["all"], rel=1e-9
    )


def test_the_old_city_is_the_sum_of_its_districts(figures):
    districts, city = figures.coverage("district", DAY), {r["code"]: r for r in figures.coverage("city", DAY).rows}
    inside = [r for r in districts.rows if not r["outside"]]
    for name in ("generated", "treated", "gap"):
        assert sum(r[name]["likely"] for r in inside) == pytest.approx(city["HP-2024"][name]["likely"], rel=1e-9)
    assert [r["code"] for r in districts.rows if r["outside"]] == ["HD"]
    assert city["HD-2024"]["outside"] and not city["HP-2024"]["estimate"]


def test_the_ledger_and_the_crosswalk_share_alike(figures):
    """Two ways to one figure: the ledger's own roll-up, and the shares applied to the wards' generation."""
    links, _ = figures.ward_links("district")
    rows = {r["code"]: r for r in figures.coverage("district", DAY).rows}
    units = figures.inputs().units
    wards = units[units["kind"].isin(WARD_KINDS)]
    made = crosswalk.apportion(wards["likely"], links)
    members = figures.members("district")
    others = members[~members["unit"].isin(wards.index)]
    beside = units["likely"].reindex(others["unit"]).groupby(others["group"].to_numpy()).sum()
    for code, row in rows.items():
        there = (made["value"].get(code, 0.0)) + beside.get(code, 0.0)
        assert row["generated"]["likely"] == pytest.approx(there, rel=1e-9), code
    people = units.at["11602", "people"]
    assert rows["303"]["people"]["all"] == pytest.approx(0.985 * units.at["11311", "people"] + 0.09 * people)


def test_people_of_old_districts_are_near_what_was_published_of_them(figures):
    """A second source: counts of Lê Chân (2022) and Thủy Nguyên (2024), the only ones on about these boundaries."""
    rows = {r["code"]: r for r in figures.coverage("district", DAY).rows}
    published = {
        r["code"]: float(r["pop_latest"]) for r in starter._read("districts").to_dict("records") if r["pop_latest"]
    }
    for code in ("305", "311"):
        assert rows[code]["people"]["all"] == pytest.approx(published[code], rel=0.03)
    units = figures.inputs().units
    whole = units.at["11383", "people"] + units.at["11407", "people"]
    assert whole > 1.05 * published["305"], "counting the wards whole would have missed it"


def test_what_stands_on_estimates_is_told(figures):
    rows = {r["code"]: r for r in figures.coverage("district", DAY).rows}
    assert rows["314"]["estimate"] is None and rows["HD"]["estimate"] is None
    e = rows["309"]["estimate"]
    units = figures.inputs().units
    assert e["wards"] == ["11455"] and e["bases"] == ["area"]
    assert e["generated"] == pytest.approx(0.013 * units.at["11455", "likely"]) == pytest.approx(e["moved"])
    assert rows["308"]["estimate"]["moved"] == pytest.approx(e["moved"]), "what one gives the other takes"
    assert 0 < e["share"] < 0.02 and e["low"] is None, "no range is known of a share by area alone"


def test_things_with_a_place_go_by_it(figures, starter_facts):
    found = figures.old_districts()
    assert found["KCN05"] == ("306",) and found["PT17"] == ("304",), "by its source, though its ward lies elsewhere"
    assert found["HS23"] == ("303", "304", "305") and found["KCN20"] == ("HD",) and found["KCN19"] == ()
    plants = starter_facts.snapshot("treatment_plants").set_index("code")
    assert all(found[c] for c in plants.index[plants["district_old"].notna()])


# --- stores of earlier programs ---


def test_an_older_store_gets_the_versions_and_keeps_what_people_wrote(filled):
    with filled.transaction() as con:  # as an earlier program left it
        con.exec_driver_sql("DELETE FROM layer_versions WHERE layer='boundary_versions'")
        con.exec_driver_sql("DELETE FROM cx_archive WHERE layer='boundary_versions'")
        con.exec_driver_sql("DELETE FROM boundary_versions")
    assert starter.complete(filled) is True
    assert len(filled.snapshot("boundary_versions")) == 3 and filled.versions()["crosswalk"] == 2
    assert starter.complete(filled) is False


def test_new_rows_are_filed_by_when_they_held_by_their_source_or_by_today(starter_facts):
    rows = pd.DataFrame(
        [
            (None, None, None), ("2023-05", None, None), ("2025", None, None), ("2025-03-01", "Lê Chân", None),
            (None, "Lê Chân", None), ("2026-01-01", None, "2025-07-01"), ("", "", pd.Timestamp(2025, 2, 1)),
            (pd.Timestamp(2024, 6, 1), " ", None), ("một ngày đẹp trời", None, "hôm qua"),
        ],
        columns=["source_date", "district_old", "valid_to"],
    )  # fmt: skip
    now, today = boundaries.NOW, date(2026, 11, 22)
    wanted = [now, "2024", now, "2025-01", None, "2025-01", "2025-01", "2024", now]
    assert boundaries.filed_under(starter_facts, rows, today) == wanted
    assert boundaries.filed_under(starter_facts, rows[["source_date"]].iloc[:2], date(2025, 3, 1)) == [
        "2025-01",
        "2024",
    ]
    assert boundaries.filed_under(starter_facts, rows.iloc[:0], today) == []


def test_a_row_typed_anew_is_filed_under_the_version_in_force_or_as_somebody_says(filled):
    editor = Editor(filled, User(1, "p", "planner", "planner"), lambda: datetime(2026, 11, 22, tzinfo=UTC))
    layer = ALL["waste_sites"]
    for code, said, source_date, wanted in (
        ("N1", None, None, "2025-07"),
        ("N2", "2024", None, "2024"),
        ("N3", None, "2023", "2024"),
    ):
        values = dict.fromkeys(layer.by_name) | {
            "code": code, "name_vi": "Bãi", "source": "thử", "confidence": "low", "geometry_quality": "none",
            "filed_under": said, "source_date": source_date,
        }  # fmt: skip
        values |= {f.name: f.allowed[0].value for f in layer.fields if f.required and f.allowed and not values[f.name]}
        editor.save(layer, None, None, Row(values))
        rows = filled.snapshot("waste_sites").set_index("code")
        assert rows.at[code, "filed_under"] == wanted


def test_a_crosswalk_that_was_edited_stays(filled):
    upsert(filled, "crosswalk", link(filled, "11443", share=0.7, basis="declared"))
    with filled.transaction() as con:
        con.exec_driver_sql("DELETE FROM layer_versions WHERE layer='boundary_versions'")
        con.exec_driver_sql("DELETE FROM boundary_versions")
        con.exec_driver_sql("DELETE FROM cx_archive WHERE layer='boundary_versions'")
    assert starter.complete(filled) is True
    assert (filled.snapshot("crosswalk")["share"] == 0.7).sum() == 1 and filled.versions()["crosswalk"] == 2


def test_schema_3_adds_the_fields_of_boundaries(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(gzip.decompress(OLD_STORE.read_bytes()))
    with closing(Store(tmp_path)) as store:
        assert store.snapshot("admin_units")["filed_under"].isna().all()
        assert {"share_low", "share_high", "valid_from", "valid_to"} <= set(store.snapshot("crosswalk"))
        assert not len(store.snapshot("boundary_versions"))
        assert boundaries.version_at(store, DAY) is None and boundaries.old_day(store) == date(2024, 12, 31)
        assert starter.complete(store) is False, "it was never filled by us"
        rows = pd.DataFrame(
            {
                "unit": ["11443"],
                "old_unit": ["307"],
                "share": [1.0],
                "basis": ["majority"],
                "source": ["x"],
                "confidence": ["low"],
            }
        )
        store.write(check(ALL["crosswalk"], rows), source="an earlier crosswalk")
        assert boundaries.recorded(store, ["307"])["basis"].tolist() == ["majority"]
