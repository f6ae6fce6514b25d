"""Real files come in with the right warnings. Skipped where the folder of real data is absent."""

import shutil
from datetime import date
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest

from layers import starter
from layers.store import Store
from server import imports

ROOT = Path(__file__).resolve().parents[2] / "shared" / "realdata"
pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason="the folder of real data is not here")

FILL = {"source": "real data", "confidence": "medium", "geometry_quality": "digitised"}
WARDS = ROOT / "boundaries" / "haiphong_wards_2025.geojson"
PEOPLE = ROOT / "population" / "haiphong_ward_population_2026.csv"


@pytest.fixture(scope="module")
def with_wards(tmp_path_factory):
    """A store with the real outlines of the 114 wards, and the Prepared that brought them."""
    folder = tmp_path_factory.mktemp("real")
    store = Store(folder / "city", synchronous="OFF")
    starter.fill(store, today=date(2026, 11, 22))
    columns = {"name": "", "fullName": "name_vi", "fullNameEn": "name_en"}
    prepared = imports.prepare(store, "admin_units", WARDS, columns=columns, fill=FILL)
    assert imports.apply(store, prepared, who="planner")
    yield store, prepared
    prepared.close()
    store.close()
    shutil.rmtree(folder, ignore_errors=True)


def notes(prepared, start):
    return [n for n in prepared.notes if n.startswith(start)]


def test_the_114_wards_come_in_and_areas_that_differ_are_listed(with_wards):
    store, prepared = with_wards
    trial = prepared.trial
    assert (trial.new_count, trial.changed_count, trial.refused_count) == (0, 114, 0)
    assert prepared.columns["areaKm2"] == "area_km2" and prepared.diagnosis.first.epsg == 4326
    wards = gpd.read_file(WARDS).set_index("code")
    drawn = wards.to_crs("+proj=laea +lat_0=20.8 +lon_0=106.7 +ellps=WGS84").area / 1e6
    differ = set(wards.index[(drawn / wards["areaKm2"].astype(float) - 1).abs() > 0.05])
    (note,) = notes(prepared, "Official areas")
    assert {p.key for p in prepared.warnings if p.field == "geometry"} <= differ | {""}
    assert 0 < len(differ) <= 20 and all(f"({code})" in note and f"({code})" in note.vi for code in differ)
    assert f"({len(differ)})" in note
    kept = store.snapshot("admin_units").set_index("code")
    assert (kept.loc[wards.index, "geometry_quality"] == "digitised").all()
    assert kept.at["11914", "name_vi"].startswith(("Đặc khu", "Xã", "Phường"))


def test_three_misplaced_points_of_the_population_are_named(with_wards):
    store, _ = with_wards
    columns = {"ward": "", "type": ""}
    with pytest.raises(imports.ImportRefused, match="--crs 4326 or --crs 4756"):
        imports.prepare(store, "admin_units", PEOPLE, columns=columns, fill=FILL)
    with imports.prepare(
        store, "admin_units", PEOPLE, columns=columns, fill=FILL, reading=imports.reading_of("4326")
    ) as prepared:
        table = pd.read_csv(PEOPLE, dtype=str).set_index("code")
        (note,) = notes(prepared, "Points in another ward")
        assert "(3)" in note and "(3)" in note.vi
        for name in ("Bạch Long Vĩ", "Gia Lộc", "Gia Phúc"):
            (code,) = table.index[table["ward"].str.contains(name)]
            assert f"({code}), but the point lies in" in note and name in note.vi
        assert prepared.trial.new_count == 0 and prepared.trial.refused_count == 0
        assert prepared.trial.changed_count + prepared.trial.same == len(table) == 113
        assert "10903" not in table.index  # Cẩm Giàng is not in the file, and stays
        assert notes(prepared, "The coordinates are points and this layer holds areas")
        assert notes(prepared, "Official areas")
        made = prepared.checked().rows.set_index("code")
        assert made.at["11948", "geometry"].equals(
            store.snapshot("admin_units").set_index("code").at["11948", "geometry"]
        )


def test_122_berths_with_one_repaired_and_four_without_a_name(with_wards):
    path = ROOT / "ports" / "haiphong_seaport_berths_existing_planned.geojson"
    columns = {"ten": "name_vi", "khuben": "area_group_vi"}
    with imports.prepare(
        with_wards[0], "port_areas", path, columns=columns, fill={**FILL, "code": "BEN-#"}, mode="append"
    ) as prepared:
        berths = gpd.read_file(path)
        (bad,) = [i for i, ok in enumerate(berths.is_valid) if not ok]
        assert prepared.rows == 122 and prepared.trial.repaired == 1
        (repaired,) = prepared.trial.repairs
        assert f"row {bad + 1} (BEN-{bad + 1:04})" in repaired and "đã sửa" in repaired.vi
        assert repaired in prepared.notes
        nameless = [i for i, name in enumerate(berths["ten"]) if not (name or "").strip()]
        assert sorted({p.row for p in prepared.trial.refused}) == nameless
        assert prepared.trial.new_count == 122 - len(nameless)
        assert prepared.checked().rows.geometry.is_valid.all()


def test_489_old_communes_with_names_of_their_own_and_names_that_repeat(with_wards):
    path = ROOT / "boundaries" / "haiphong_haiduong_communes_gadm41_simplified.geojson"
    columns = {"GID_3": "code", "NAME_3": "name_vi"}
    with imports.prepare(
        with_wards[0], "admin_units", path, columns=columns, fill={**FILL, "kind": "commune"}
    ) as prepared:
        assert (prepared.trial.new_count, prepared.trial.refused_count) == (489, 0)
        names = prepared.checked().rows["name_vi"]
        assert names.duplicated().sum() > 5  # LêLợi and others are the name of several communes


def test_a_code_name_that_two_wards_share_is_survived(with_wards):
    """As key: the second row is refused by its number. As the place that a row names: neither is guessed."""
    columns = {"code": "", "codeName": "code", "name": "name_vi"}
    with imports.prepare(
        with_wards[0], "admin_units", WARDS, columns=columns, fill={**FILL, "kind": "ward"}, mode="append"
    ) as prepared:
        codes = gpd.read_file(WARDS)["codeName"]
        (twice,) = codes[codes.duplicated()].unique()
        assert prepared.trial.new_count == 113 and prepared.trial.refused_count == 1
        (problem,) = prepared.trial.refused
        assert twice in problem and "given twice" in problem and "hai lần" in problem.vi
        assert problem.row == codes[codes.duplicated()].index[0]


def test_rows_of_the_world_port_index(with_wards):
    path = ROOT / "ports" / "world_port_index_crop.csv"
    columns = {"World Port Index Number": "code", "Main Port Name": "name_en"}
    more = {"columns": columns, "fill": {**FILL, "name_vi": "Cảng"}}
    with pytest.raises(imports.ImportRefused, match="cannot be excluded"):
        imports.prepare(with_wards[0], "port_areas", path, **more)
    with imports.prepare(with_wards[0], "port_areas", path, reading=imports.reading_of("4326"), **more) as prepared:
        assert (prepared.rows, prepared.trial.new_count, len(prepared.left_out)) == (3, 3, 105)
        assert prepared.checked().rows["code"].tolist() == ["57700", "57710", "57680"]
        (far,) = notes(prepared, "Points more than 10 km")  # Cẩm Phả lies in the next province
        assert "row 2" in far
