"""Versions: earlier ones can be put back, and edits by other programs are taken in or refused whole."""

import sqlite3
from contextlib import closing
from datetime import date, timedelta

import pandas as pd
import pytest

from layers import geopackage, rasters
from layers import store as store_module
from layers.catalogue import ALL
from layers.checks import check
from layers.errors import StoreError
from layers.store import Store
from server.figures import Figures

DAY = date(2026, 11, 22)
APPEND = """
import pyogrio, shapely
rows = pyogrio.read_dataframe(args[0], layer="waste_sites")
row = rows.iloc[[0]].assign(code="WS90", name_vi="Bãi mới").set_geometry([shapely.Point(106.7, 20.85)], crs=4326)
pyogrio.write_dataframe(row, args[0], layer="waste_sites", append=True)
say(len(rows))
"""


def edit(store, sql, *values, layer):
    """What QGIS does: the change, and the time of change of the layer, in one transaction."""
    with closing(sqlite3.connect(store.path, timeout=15)) as con, con:
        geopackage.register_functions(con)
        changed = con.execute(sql, values).rowcount
        con.execute(
            "UPDATE gpkg_contents SET last_change=strftime('%Y-%m-%dT%H:%M:%fZ','now','+1 second') WHERE table_name=?",
            (layer,),
        )
    return changed


def rows_of(frame):
    made = pd.DataFrame(frame.drop(columns="geometry", errors="ignore"))
    if "geometry" in frame:
        made["geometry"] = frame.geometry.to_wkb()
    return made


def test_an_earlier_version_can_be_put_back_unchanged(filled):
    before = filled.snapshot("admin_units")
    fewer = check(ALL["admin_units"], before.iloc[:10])
    filled.write(fewer, source="test")
    assert len(filled.snapshot("admin_units")) == 10
    filled.restore("admin_units", 1, who="somebody")
    pd.testing.assert_frame_equal(rows_of(filled.snapshot("admin_units")), rows_of(before))
    newest, middle, first = filled.history("admin_units")
    assert (newest["version"], newest["who"], newest["note"]) == (3, "somebody", "version 1 put back")
    assert newest["sha256"] == first["sha256"] != middle["sha256"]


def test_every_layer_comes_back_from_the_archive_as_it_was(filled):
    for name in ALL:
        if name in filled.versions():
            pd.testing.assert_frame_equal(rows_of(filled.version(name, 1)), rows_of(filled.snapshot(name)), obj=name)


def test_old_versions_are_let_go_after_thirty_days(filled, monkeypatch):
    rows = filled.snapshot("norms")
    monkeypatch.setattr(store_module, "KEPT_FOR", timedelta(seconds=-1))
    for _ in range(3):
        filled.write(check(ALL["norms"], rows), source="test")
    with pytest.raises(StoreError, match="not kept"):
        filled.restore("norms", 1)
    filled.restore("norms", 3)  # the one before the newest is always there
    assert len(filled.history("norms")) == 5  # what happened stays on record


def test_rows_that_gdal_appends_become_a_version(filled, ask):
    assert len(filled.snapshot("waste_sites")) == 13
    before = filled.stamp()
    assert ask(APPEND, filled.path) == 13
    rows = filled.snapshot("waste_sites")
    assert len(rows) == 14 and rows["code"].iloc[-1] == "WS90" and filled.stamp() != before
    newest = filled.history("waste_sites")[0]
    assert (newest["who"], newest["rows"], newest["version"]) == ("another program", 14, 2)
    assert filled.refused() == {}
    filled.restore("waste_sites", 1)
    assert len(filled.snapshot("waste_sites")) == 13


def test_a_plant_that_is_stopped_in_another_program_lowers_the_coverage(filled):
    figures = Figures(filled)
    before = figures.coverage("city", DAY).total["treated_share"]["likely"]
    sql = "UPDATE plant_states SET state='idle' WHERE plant='WW01' AND state='operating'"
    assert edit(filled, sql, layer="plant_states") == 1
    assert figures.coverage("city", DAY).total["treated_share"]["likely"] < before


def test_an_edit_that_breaks_a_promise_is_not_used_until_it_is_mended(filled):
    good = filled.snapshot("plant_states")
    figures = Figures(filled)
    before = figures.coverage("city", DAY).total["treated_share"]
    edit(
        filled, "UPDATE plant_states SET state='running' WHERE plant='WW01' AND state='operating'", layer="plant_states"
    )
    assert "'running' is not one of" in " ".join(filled.refused()["plant_states"])
    pd.testing.assert_frame_equal(filled.snapshot("plant_states"), good)
    assert figures.coverage("city", DAY).total["treated_share"] == before
    again = Store(filled.data_dir)  # also after a new start
    pd.testing.assert_frame_equal(again.snapshot("plant_states"), good)
    again.close()
    edit(filled, "UPDATE plant_states SET state='trial' WHERE state='running'", layer="plant_states")
    assert filled.refused() == {} and "trial" in set(filled.snapshot("plant_states")["state"])


WHOLE_WAY = """
import pyogrio
rows = pyogrio.read_dataframe(args[0], layer="plant_states", read_geometry=False)
rows.loc[(rows["plant"] == "WW01") & (rows["state"] == "operating"), "state"] = "idle"
pyogrio.write_dataframe(rows, args[0], layer="plant_states")
say(len(rows))
"""
AREA = """
import geopandas as gpd, pyogrio, shapely
row = {"code": ["SA1"], "name_vi": ["Vùng"], "plant": [args[1]], "geometry_quality": ["digitised"], "source": ["s"],
       "confidence": ["high"]}
area = gpd.GeoDataFrame(row, geometry=[shapely.box(106.55, 20.75, 106.75, 20.9)], crs=4326)
pyogrio.write_dataframe(area, args[0], layer="service_areas", append=True)
say("written")
"""


def test_a_table_rewritten_by_gdal_never_stops_the_figures(filled, ask):
    """GDAL makes the dates date-times when it writes a whole table anew."""
    figures = Figures(filled)
    before = figures.coverage("city", DAY).total["treated_share"]["likely"]
    ask(WHOLE_WAY, filled.path)
    after = figures.coverage("city", DAY).total["treated_share"]["likely"]
    assert after < before if not filled.refused() else after == before
    filled.restore("plant_states", 1)
    assert figures.coverage("city", DAY).total["treated_share"]["likely"] == before


@pytest.mark.parametrize(
    ("layer", "sql"),
    [
        ("plant_states", "UPDATE plant_states SET capacity_low=NULL WHERE plant='WW01'"),
        ("norms", "UPDATE norms SET value_likely=1000000 WHERE code='supply_urban'"),
        ("admin_units", "UPDATE admin_units SET population=-5 WHERE code='11311'"),
        ("norms", "DELETE FROM norms"),
        ("service_links", "UPDATE service_links SET share_likely=2, share_high=2 WHERE destination='WW01'"),
    ],
)
def test_edits_that_cannot_be_balanced_are_refused_with_a_sentence(filled, layer, sql):
    figures = Figures(filled)
    before = figures.coverage("city", DAY).total
    edit(filled, sql, layer=layer)
    assert filled.refused()[layer]
    assert figures.coverage("city", DAY).total == before


def test_a_stop_added_as_a_new_row_ends_the_open_state(filled):
    before = Figures(filled).coverage("city", DAY).total["treated_share"]["likely"]
    columns = "plant, state, compliance, valid_from, source, confidence, capacity_low, capacity_likely, capacity_high"
    sql = f"INSERT INTO plant_states ({columns}) VALUES ('WW01', 'idle', 'unknown', '2026-11-01', 's', 'high', 1, 1, 1)"
    edit(filled, sql, layer="plant_states")
    assert filled.refused() == {}
    figures = Figures(filled)
    assert figures.coverage("city", DAY).total["treated_share"]["likely"] < before
    assert figures.coverage("city", date(2026, 10, 31)).total["treated_share"]["likely"] == before


@pytest.mark.parametrize("plant", ["WW01", "WW02", "NOPLANT"])
def test_a_service_area_drawn_elsewhere_is_taken_in(filled, ask, tmp_path, plant):
    rasters.make_population(filled, tmp_path / "population.tif")
    figures = Figures(filled, tmp_path / "population.tif")
    before = figures.coverage("ward", DAY)
    assert ask(AREA, filled.path, plant) == "written"
    assert len(filled.snapshot("service_areas")) == 1
    after = figures.coverage("ward", DAY)
    share = {r["code"]: r["treated_share"]["likely"] for r in after.rows}
    if plant == "NOPLANT":
        assert after.total == before.total
    else:  # Lê Chân lies wholly inside the box
        assert share["11383"] == pytest.approx(1.0, abs=0.02) or plant == "WW01"
        assert after.total["treated"]["likely"] > before.total["treated"]["likely"]


def test_our_own_write_ends_a_refused_edit(filled):
    good = filled.snapshot("norms")
    edit(filled, "UPDATE norms SET confidence='sure'", layer="norms")
    assert list(filled.refused()) == ["norms"]
    filled.write(check(ALL["norms"], good), source="test")
    assert filled.refused() == {}
    pd.testing.assert_frame_equal(filled.snapshot("norms"), good)


def test_two_stores_take_one_edit_in_once(filled):
    other = Store(filled.data_dir)
    edit(filled, "UPDATE norms SET note_en='seen'", layer="norms")
    assert set(filled.snapshot("norms")["note_en"]) == set(other.snapshot("norms")["note_en"]) == {"seen"}
    assert [v["version"] for v in other.history("norms")] == [2, 1]
    other.close()
