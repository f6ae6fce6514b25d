"""Real outlines in place of schematic ones: the ledger must not move, and overlays must not count twice.

The files are read where they are and never copied; without them this file is skipped.
"""

import json
import shutil
from contextlib import closing
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import Geod

from geo import coverage, population
from geo.coverage import PARTS, SCENARIOS, TREATED
from layers import rasters
from layers.catalogue import ALL
from layers.checks import check
from layers.errors import LayerError
from layers.store import Store
from server.figures import WARD_KINDS, Figures

REAL = Path(__file__).resolve().parents[2] / "shared" / "realdata"
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no real data on this computer")
DAY = date(2026, 11, 22)
METRIC = "EPSG:9210"
PROVENANCE = {
    "geometry_quality": "digitised",
    "source": "published outlines, for tests only",
    "confidence": "medium",
}


def read(name):
    """A GeoJSON file as a frame, without GDAL: a test process may hold a live store."""
    features = json.loads((REAL / name).read_text(encoding="utf-8"))["features"]
    rows = pd.DataFrame([f["properties"] for f in features])
    shapes = shapely.from_geojson([json.dumps(f["geometry"]) for f in features])
    return gpd.GeoDataFrame(rows, geometry=shapes, crs="EPSG:4326")


def words(column):
    """Text without blanks at its ends; None where there is none."""
    return [str(v).strip() or None if v is not None else None for v in column]


@pytest.fixture(scope="module")
def wards():
    return read("boundaries/haiphong_wards_2025.geojson")


@pytest.fixture(scope="module")
def zones():
    real = read("industrial_zones/haiphong_port_plan_industrial_zones.geojson")
    names = [n or f"Khu công nghiệp chưa có tên {i + 1}" for i, n in enumerate(words(real["ten"]))]
    frame = {
        "code": [f"RZ{i + 1:02}" for i in range(len(real))],
        "name_vi": names,
        "kind": "industrial_park",
        "state": ["unknown", "planned"] * 6,
        "area_ha": real.to_crs(METRIC).area / 1e4,
    }
    return gpd.GeoDataFrame(frame | PROVENANCE, geometry=real.geometry, crs=real.crs)


@pytest.fixture(scope="module")
def berths():
    real = read("ports/haiphong_seaport_berths_existing_planned.geojson")
    frame = {
        "code": [f"RB{i + 1:03}" for i in range(len(real))],
        "name_vi": [n or "Bến chưa có tên" for n in words(real["ten"])],
        "kind_vi": words(real["phanloai"]),
        "kind_en": "berth",
        "operator_vi": words(real["dvikhaitha"]),
        "max_vessel_vi": words(real["cotautn"]),
        "berth_length_m": pd.to_numeric(real["chieudai"], errors="coerce"),
    }
    return gpd.GeoDataFrame(frame | PROVENANCE, geometry=real.geometry, crs=real.crs)


@pytest.fixture(scope="module")
def imported(starter_store, tmp_path_factory, wards, zones, berths):
    """A copy of the starter store with the real outlines in it, and what was repaired on the way."""
    store = Store(shutil.copytree(starter_store, tmp_path_factory.mktemp("real") / "data"))
    units = store.snapshot("admin_units")
    mine = units[units["kind"].isin(WARD_KINDS)].set_index("code", drop=False)
    shapes = wards.set_index("code").geometry
    assert set(shapes.index) == set(mine.index)
    mine = mine.set_geometry(shapes.reindex(mine.index), crs="EPSG:4326").assign(geometry_quality="digitised")
    repairs = {}
    for name, frame in (("admin_units", mine), ("industrial_zones", zones), ("port_areas", berths)):
        done = check(ALL[name], frame)
        repairs[name] = done.repairs
        store.write(done, source="published outlines", who="test", mode="upsert")
    yield store, repairs
    store.close()


def test_the_files_are_what_their_readme_says(wards, zones, berths):
    assert (len(wards), len(zones), len(berths)) == (114, 12, 122)
    assert wards["code"].is_unique and wards.geometry.is_valid.all() and zones.geometry.is_valid.all()
    assert (~berths.geometry.is_valid).sum() == 1


def test_the_one_invalid_outline_is_repaired_and_reported(imported, berths):
    store, repairs = imported
    assert repairs["admin_units"] == repairs["industrial_zones"] == ()
    (told,) = repairs["port_areas"]
    bad = berths[~berths.geometry.is_valid].iloc[0]
    assert (
        bad["code"] in told and "outline repaired" in told and "Nam Đình Vũ" in bad["name_vi"].title().replace("đ", "Đ")
    )
    kept = store.snapshot("port_areas").set_index("code").geometry
    assert kept[kept.notna()].is_valid.all() and len(kept) == 122 + 21
    mended, area = kept[bad["code"]], abs(shapely.area(shapely.buffer(bad.geometry, 0)))
    assert mended.area == pytest.approx(area, rel=0.05)


def test_attributes_as_they_stand_in_the_file_are_refused_together(zones):
    real = read("ports/haiphong_seaport_berths_existing_planned.geojson")
    with pytest.raises(LayerError) as caught:
        check(ALL["port_areas"], real)
    assert sum("is not in the catalogue" in p for p in caught.value.problems) == real.shape[1] - 1
    assert sum("code is missing" in p for p in caught.value.problems) == 122


def test_outlines_come_back_corner_by_corner(imported, wards):
    store, _ = imported
    kept = store.snapshot("admin_units").set_index("code").geometry
    for code, shape in zip(wards["code"], wards.geometry, strict=True):
        assert kept[code].equals_exact(shape, 0), code


def test_the_ledger_does_not_move_with_the_outlines(imported, starter_facts):
    store, _ = imported
    before, after = Figures(starter_facts), Figures(store)
    for by in ("ward", "district", "city"):
        old, new = before.coverage(by, DAY), after.coverage(by, DAY)
        assert {r["code"] for r in old.rows} == {r["code"] for r in new.rows}
        for s in SCENARIOS:
            assert new.total["generated"][s] == pytest.approx(old.total["generated"][s], rel=1e-3)
            for p in PARTS:
                assert new.total["parts"][p][s] == pytest.approx(old.total["parts"][p][s], rel=1e-3, abs=1e-6)
    added = {u["code"] for u in after.coverage("ward", DAY).uncounted}
    added -= {u["code"] for u in before.coverage("ward", DAY).uncounted}
    assert sum(c.startswith("RB") for c in added) == 122, "berths without a declared flow are not counted, but named"
    assert sum(c.startswith("RZ") for c in added) == 6, "planned zones generate nothing, unknown ones are named"


def test_official_areas_against_the_outlines(imported, starter_facts):
    """A second way to the wards' areas: on the ellipsoid, not in the grid."""
    store, _ = imported
    rows = store.snapshot("admin_units").set_index("code")
    rows = rows[rows["kind"].isin(WARD_KINDS)]
    grid = rows.to_crs(METRIC).area / 1e6
    geod = Geod(ellps="WGS84")
    round_ = pd.Series([abs(geod.geometry_area_perimeter(g)[0]) / 1e6 for g in rows.geometry], rows.index)
    assert np.abs(grid / round_ - 1).max() < 1e-3
    off = np.abs(grid / rows["area_km2"] - 1)
    assert off.median() < 0.02 and set(off.index[off > 0.3]) <= {"11914", "11948"} | set(off.index[off > 0.05])
    cells = starter_facts.snapshot("admin_units").set_index("code").loc[rows.index]
    moved = rows.to_crs(METRIC).centroid.distance(cells.to_crs(METRIC).centroid)
    assert moved.median() < 2_000, "schematic cells stand about where the wards are"


# --- service areas ---


@pytest.fixture(scope="module")
def served(imported, zones, wards, tmp_path_factory):
    """Service areas in the store, the population surface, and the links that the product makes of them.

    Two circles of P2 overlap, P1 overlaps both, P3 serves one whole real ward and a real zone.
    """
    store, _ = imported
    middle = gpd.GeoSeries(gpd.points_from_xy([106.66, 106.69, 106.70], [20.85, 20.85, 20.84]), crs="EPSG:4326")
    circles = middle.to_crs(METRIC).buffer(2_500).to_crs("EPSG:4326")
    shapes = [*circles, zones.geometry[3], wards.set_index("code").geometry["11359"]]
    frame = {"code": [f"SA{i}" for i in range(5)], "name_vi": "Vùng", "plant": ["WW03", "WW04", "WW04", "WW05", "WW05"]}
    areas = check(ALL["service_areas"], gpd.GeoDataFrame(frame | PROVENANCE, geometry=shapes, crs="EPSG:4326"))
    store.write(areas, source="real outlines and circles")
    path = tmp_path_factory.mktemp("surface") / "population.tif"
    surface = rasters.make_population(store, path)
    units = store.snapshot("admin_units").set_index("code")
    return (
        units[units["kind"].isin(WARD_KINDS)],
        areas.rows,
        surface,
        rasters.service_links(store, path, date(2026, 11, 22)),
    )


def test_the_surface_holds_everybody(served):
    units, _, surface, _ = served
    assert np.nansum(surface.values) == pytest.approx(4_664_124, rel=1e-9)
    assert np.nanmin(surface.values) >= 0 and len(units) == 114


def test_overlays_have_no_negative_and_no_double_area(served):
    """A second way: plain areas, as a ward is filled evenly where no built-up land is known."""
    units, areas, surface, _ = served
    reach = areas[["plant", "geometry"]].dissolve("plant")
    table = population.share_of_units(surface, units, reach)
    assert (table["share"] >= 0).all() and (table["share"] <= 1).all() and (table["people"] >= 0).all()
    assert not table.duplicated(["unit", "area"]).any()
    metric = units.to_crs(METRIC).geometry
    big = metric.area > 2e6  # two hundred cells or more
    for plant, mine in reach.to_crs(METRIC).geometry.items():
        plain = metric.intersection(mine).area / metric.area
        there = table[table["area"] == plant].set_index("unit")["share"].reindex(metric.index).fillna(0.0)
        assert np.abs(there - plain)[big].max() < 0.03
        assert (there * units["population"]).sum() == pytest.approx((plain * units["population"]).sum(), rel=0.03)
    cut = gpd.overlay(
        units.reset_index()[["code", "geometry"]].to_crs(METRIC),
        reach.to_crs(METRIC).reset_index(),
        keep_geom_type=True,
    )
    assert (cut.area > 0).all()
    for plant, mine in reach.to_crs(METRIC).geometry.items():
        on_wards = shapely.union_all(metric.to_numpy()).intersection(mine).area
        assert cut[cut["plant"] == plant].area.sum() == pytest.approx(on_wards, rel=1e-6)


def test_links_serve_nobody_twice(served):
    units, areas, surface, (links, said) = served
    assert not links.duplicated(["unit", "destination"]).any() and (links["basis"] == "service area").all()
    assert links["source"].notna().all() and set(links["destination"]) == {"WW03", "WW04", "WW05"}
    total = links.groupby("unit")["share_likely"].sum()
    assert (links["share_likely"] > 0).all() and total.max() <= 1 + 1e-9
    reach = areas[["plant", "geometry"]].dissolve("plant")
    single = population.share_of_units(surface, units, reach).set_index(["unit", "area"])["share"]
    sums = single.groupby("unit").sum()
    assert len(said) == (sums > 1 + 1e-6).sum()
    kept = links.set_index(["unit", "destination"])["share_likely"]
    whole = sums.index[sums <= 1]
    one = kept[kept.index.get_level_values(0).isin(whole)]
    assert len(one) > 5
    assert (one - single.reindex(one.index)).abs().max() < 1e-9, "two areas of one plant counted twice"
    assert kept["11359", "WW05"] > 0.4


def test_the_ledger_balances_with_links_from_service_areas(served):
    units, _, _, (links, _) = served
    states = pd.DataFrame(
        {
            "plant": ["WW03", "WW04", "WW05"],
            "state": "operating",
            "capacity_low": 9e3,
            "capacity_likely": 1e4,
            "capacity_high": 2e4,
            "measured": np.nan,
            "compliance": "meets",
            "valid_from": pd.NaT,
            "valid_to": pd.NaT,
        }
    )
    made = coverage.domestic_generation(units["population"], coverage.Range(80, 105, 130), coverage.Range(0.8, 0.9, 1))
    total = coverage.whole(coverage.ledger(made, states, links, as_of=DAY))
    for s in SCENARIOS:
        parts = total.parts(s).loc["total"]
        assert parts.sum() == pytest.approx(made[s].sum(), rel=1e-9) and (parts >= 0).all()
        assert parts[list(TREATED)].sum() <= 3 * states[f"capacity_{s}"].iloc[0] + 1e-6
    assert total.parts("likely").loc["total", "treated_to_standard"] > 1_000


def test_real_outlines_are_a_geopackage_for_others(imported, ask, tmp_path):
    store, _ = imported
    store.copy_to(tmp_path / "real.gpkg")
    code = """
import pyogrio
found = {}
for name in ("admin_units", "industrial_zones", "port_areas"):
    frame = pyogrio.read_dataframe(args[0], layer=name)
    found[name] = [len(frame), bool(frame[frame.geometry.notna()].is_valid.all()), str(frame.crs)]
say(found)
"""
    there = ask(code, tmp_path / "real.gpkg")
    assert there == {n: [len(store.snapshot(n)), True, "EPSG:4326"] for n in there}
    with closing(Store(store.data_dir)) as again:
        assert len(again.snapshot("industrial_zones")) == 40 + 12
