"""The crosswalk against published outlines: the 15 old districts, the old communes, and the 114 units.

The files are read where they are and never copied; without them this file is skipped.
"""

import json
import re
import shutil
import unicodedata
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from test_boundaries import DAY

from geo import crosswalk
from layers import boundaries, rasters, starter
from layers.catalogue import ALL
from layers.checks import check
from layers.store import Store
from server.app import create_app
from server.figures import NO_DISTRICT, WARD_KINDS, Figures
from server.services import Services
from server.settings import Settings

REAL = Path(__file__).resolve().parents[2] / "shared" / "realdata" / "boundaries"
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no real data on this computer")


def read(name, code):
    """Outlines of a GeoJSON file by code, in metres."""
    features = json.loads((REAL / name).read_text(encoding="utf-8"))["features"]
    shapes = shapely.make_valid(shapely.from_geojson([json.dumps(f["geometry"]) for f in features]))
    frame = gpd.GeoDataFrame(pd.DataFrame([f["properties"] for f in features]), geometry=shapes, crs=4326)
    return frame.set_index(code).to_crs(boundaries.METRIC)


@pytest.fixture(scope="module")
def districts():
    return read("haiphong_districts_pre2025.geojson", "level2_id")


@pytest.fixture(scope="module")
def wards():
    return read("haiphong_wards_2025.geojson", "code")


@pytest.fixture(scope="module")
def seen(districts, wards):
    """Shares of each ward's area on land of any old district."""
    found = crosswalk.by_area(wards.geometry, districts.geometry)
    land = found.groupby("unit")["share"].transform("sum")
    return found.assign(share=found["share"] / land)


@pytest.fixture(scope="module")
def recorded(starter_facts, districts):
    return boundaries.recorded(starter_facts, districts.index)


def test_the_15_districts_are_those_of_the_crosswalk(districts, recorded):
    assert len(districts) == 15 and set(recorded["group"]) == set(districts.index)


def test_every_share_is_that_of_the_outlines(recorded, seen):
    """Names say which districts, outlines how much: they agree to 2 % of a ward, but where edges are known to differ."""
    outlines = seen.set_index(["unit", "group"])["share"]
    off = {}
    for r in recorded.itertuples():
        there = outlines.get((r.unit, r.group), 0.0)
        if abs(there - r.share) > 0.02:
            off[r.unit, r.group] = round(there - r.share, 3)
    print("shares that differ by more than 2 % of a ward:", off)
    # the outlines of 2019 still count parts of these wards to the neighbour; their communes were all of one district
    assert {u for u, _ in off} <= {"11311", "11407", "11674", "11689", "11692", "11725", "11737"}
    assert max(map(abs, off.values()), default=0) < 0.1
    split = recorded[recorded["basis"] == "area"]
    ours = split.set_index(["unit", "group"])["share"]
    assert (ours - outlines.reindex(ours.index)).abs().max() < 0.025


def test_no_ward_lies_in_a_district_that_its_names_do_not_know(recorded, seen):
    named = set(zip(recorded["unit"], recorded["group"], strict=True))
    strange = seen[[(u, g) not in named for u, g in zip(seen["unit"], seen["group"], strict=True)]]
    strange = strange[strange["unit"].isin(recorded["unit"])]
    assert strange["share"].max() < 0.07, strange.sort_values("share").tail(5)
    assert strange["share"].gt(0.03).sum() <= 2


def test_no_ward_of_the_other_side_lies_in_the_old_city(recorded, seen, wards):
    found = crosswalk.by_area(wards.geometry, gpd.GeoSeries(
        [shapely.union_all(read("haiphong_districts_pre2025.geojson", "level2_id").geometry.to_numpy())], ["old"], crs=boundaries.METRIC
    ))  # fmt: skip
    beyond = found[~found["unit"].isin(recorded["unit"])]
    assert beyond["share"].max() < 0.02


def plain(text):
    return "".join(c for c in unicodedata.normalize("NFC", text) if not c.isspace()).casefold()


def test_the_communes_that_moved_lay_in_the_district_they_are_said_to_come_from():
    old = read("haiphong_haiduong_communes_gadm41_simplified.geojson", "GID_3")
    old = old[old["OLD_PROVINCE"].map(plain).str.contains("phòng")]
    names = {r["code"]: r["name_vi"] for r in starter._read("districts").to_dict("records")}
    for r in starter._read("moved_communes").itertuples():
        mine = old[old["NAME_3"].map(plain) == plain(r.old_name_vi)]
        assert plain(names[r.district_before]) in {plain(n) for n in mine["NAME_2"]}, r.old_name_vi


def test_the_part_of_dong_hai_1_lies_in_thuy_nguyen_now(wards):
    old = read("haiphong_haiduong_communes_gadm41_simplified.geojson", "GID_3")
    mine = old[(old["NAME_3"].map(plain) == plain("Đông Hải 1"))].geometry
    found = crosswalk.by_area(mine, wards.geometry).set_index("group")["share"]
    assert found["11560"] > 0.5, "Vũ Yên island"


@pytest.fixture(scope="module")
def imported(starter_store, tmp_path_factory, districts, wards):
    """The starter store with the outlines of the 114 units and of the 15 districts imported."""
    store = Store(shutil.copytree(starter_store, tmp_path_factory.mktemp("outlines") / "data"))
    admin = store.snapshot("admin_units").set_index("code", drop=False)
    shapes = pd.concat([wards.geometry, districts.geometry]).to_crs(4326)
    rows = (
        admin.loc[shapes.index]
        .set_geometry(shapes)
        .assign(geometry_quality="digitised", source="published outlines, for tests")
    )
    store.write(check(ALL["admin_units"], rows), source="published outlines", mode="upsert")
    path = tmp_path_factory.mktemp("people") / "population.tif"
    rasters.make_population(store, path)
    yield store, path
    store.close()


def test_imported_outlines_take_over_and_totals_still_agree(imported, recorded):
    store, path = imported
    units = store.snapshot("admin_units")
    codes = units.loc[units["kind"].isin(WARD_KINDS), "code"]
    links, told = boundaries.links(store, "district", codes, rest=NO_DISTRICT, surface=path)
    split = links[links["basis"] != "exact"]
    assert set(split["basis"]) == {"population"} and not told["faults"] and not len(told["mended"])
    assert (
        split["low"].notna().all()
        and (split["low"] <= split["share"]).all()
        and (split["share"] <= split["high"]).all()
    )
    before = recorded.set_index(["unit", "group"])["share"]
    after = split.set_index(["unit", "group"])["share"]
    assert (after - before.reindex(after.index)).abs().max() < 0.05, "people are spread evenly: as by area"
    assert len(told["strays"]) and told["strays"]["share"].max() < 0.07
    figures = Figures(store, path)
    for by in ("district", "city"):
        told = figures.agreement(figures.coverage(by, DAY))
        assert told["equal"]
    row = next(r for r in figures.coverage("district", DAY).rows if r["code"] == "303")
    assert row["estimate"]["bases"] == ["population"] and row["estimate"]["low"] < row["estimate"]["high"]


def test_units_without_any_row_are_linked_by_outlines_alone(imported, recorded):
    store, _ = imported
    units = store.snapshot("admin_units")
    codes = units.loc[units["kind"].isin(WARD_KINDS), "code"]
    rows = store.snapshot("crosswalk")
    try:
        store.write(check(ALL["crosswalk"], rows[rows["old_unit"].str.startswith("HP")]), source="test")
        links, _told = boundaries.links(store, "district", codes, rest=NO_DISTRICT)
        main = links.sort_values("share").groupby("unit")["group"].last()
        ours = recorded.sort_values("share").groupby("unit")["group"].last()
        assert (main[ours.index] == ours).all()
        outside = set(codes) - set(ours.index)
        assert set(main[list(outside)]) == {NO_DISTRICT}, "the other side has no outline of its own"
        assert np.isclose(links.groupby("unit")["share"].sum(), 1).all()
    finally:
        store.write(check(ALL["crosswalk"], rows), source="test")


def test_pages_draw_real_outlines_as_areas(imported):
    store, path = imported
    services = Services(store, Figures(store, path), population=path, fixed_today=DAY)
    try:
        app = create_app(
            Settings(data_dir=store.data_dir), services, views=("pages", "coverage", "hotspots", "facilities", "data")
        )
        client = app.test_client()
        text = client.get("/coverage?level=district&lang=en").get_data(as_text=True)
        data = json.loads(re.search(r'id="map-data">(.*?)</script>', text, re.S).group(1))
        assert "shares" in data["layers"] and "old-units" not in data["layers"]
        assert len(data["layers"]["shares"]["data"]["features"]) == 15, "former Hải Dương has no outline of its own"
        assert "estimated by people" in text and re.search(r"\(\d+(\.\d)?–\d+(\.\d)?%\)", text), "shares have a range"
        assert client.get("/coverage/303?lang=vi").status_code == 200
    finally:
        services.close()
