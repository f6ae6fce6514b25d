"""Imports under a power cut, at length, and back and forth: nothing half applied, little memory, the same bytes again."""

import csv
import os
import sqlite3
import tempfile
import time
import zipfile
from contextlib import closing

import geopandas as gpd
import numpy as np
import openpyxl
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import formats
from layers.catalogue import ALL
from layers.checks import check
from layers.errors import LayerError
from layers.store import Store
from server import imports

FILL = {"source": "survey", "confidence": "high", "geometry_quality": "surveyed"}
APPLY = """
from layers import ingest, staging, tables
from layers.store import Store
from server import imports

ingest.CHUNK = staging.PIECE = tables.PIECE = 200
store = Store(args[0])
say("ready")
hear()
fill = {"source": "survey", "confidence": "high", "geometry_quality": "surveyed"}
prepared = imports.prepare(store, "receptors", args[1], fill=fill, reading=imports.reading_of("4326"))
imports.apply(store, prepared, who="planner", progress=lambda share, words: (say(share), hear()))
say("done")
"""
PEAK = """
from pathlib import Path
from layers import ingest, staging, tables
from layers.store import Store
from server import imports

ingest.CHUNK = staging.PIECE = tables.PIECE = 500
store = Store(args[0])
def peak():
    return next(int(x.split()[1]) for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
out = []
for path in args[1:]:
    fill = {"source": "survey", "confidence": "high", "geometry_quality": "surveyed"}
    with imports.prepare(store, "receptors", path, fill=fill, reading=imports.reading_of("4326"), mode="replace") as p:
        imports.apply(store, p, who="planner", mode="replace")
    out.append(peak())
say(out)
store.close()
"""


def points(path, count, *, name="Trường"):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["code", "name_vi", "lon", "lat"])
        writer.writerows(
            [f"P{i:06}", f"{name} {i} {'x' * 300}", 106.5 + i % 100 / 500, 20.8 + i % 97 / 500] for i in range(count)
        )
    return path


def whole(store):
    """What must hold of a store whatever happened: the file is sound and its index fits its rows."""
    with closing(sqlite3.connect(store.path)) as con:
        assert con.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert con.execute("SELECT rtreecheck('rtree_receptors_geom')").fetchone() == ("ok",)


@pytest.mark.parametrize("told", [1, 4, 6, 9])
def test_kill_in_the_middle_leaves_the_version_before(filled, tmp_path, elsewhere, told):
    """The process dies while rows are written, or while the version is kept; and the same import begun again is whole."""
    fill = {"fill": FILL, "reading": imports.reading_of("4326")}
    with imports.prepare(filled, "receptors", points(tmp_path / "before.csv", 30, name="Cũ"), **fill) as first:
        imports.apply(filled, first, who="planner")
    before, version = filled.snapshot("receptors"), filled.versions()["receptors"]
    path = points(tmp_path / "x.csv", 1_000)
    child = elsewhere(APPLY, filled.data_dir, path)
    assert child.hear() == "ready"
    child.say("go")
    for step in range(told):
        assert 0 < child.hear() <= 1
        if step < told - 1:
            child.say("on")
    child.kill()
    assert "done" not in child.rest()
    with closing(Store(filled.data_dir)) as again:
        assert again.versions()["receptors"] == version
        assert again.snapshot("receptors")["code"].tolist() == before["code"].tolist()
        assert set(again.version("receptors", version)["name_vi"]) == set(before["name_vi"])
        whole(again)
        with imports.prepare(again, "receptors", path, **fill) as second:
            assert (second.trial.new_count, second.trial.changed_count) == (970, 30)
            imports.apply(again, second, who="planner")
        assert again.versions()["receptors"] == version + 1 and len(again.snapshot("receptors")) == 1_000
        assert len(again.version("receptors", version + 1)) == 1_000
        whole(again)


def test_memory_does_not_grow_with_the_rows(filled, tmp_path, elsewhere):
    """Peak of a process that imports 1,000 rows, then 12,000: all of them in memory at once would be 40 MB and more."""
    child = elsewhere(PEAK, filled.data_dir, points(tmp_path / "a.csv", 1_000), points(tmp_path / "b.csv", 12_000))
    small, large = child.hear()
    assert len(filled.snapshot("receptors")) == 12_000
    assert large - small < 16_000, (small, large)


def test_what_dead_processes_left_behind_is_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name, age in (
        ("cangxanh-rows-old", 100_000),
        ("cangxanh-file-old", 100_000),
        ("cangxanh-rows-new", 10),
        ("other", 100_000),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.sqlite").write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    imports.sweep()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cangxanh-rows-new", "other"]


def mixed(path):
    """A list that changes one waste site, leaves one as it is and brings a new one."""
    path.write_text(
        "code;name_vi;kind;lon;lat\nWS01;Bãi Tràng Cát (mới);dump;106.75;20.82\nNEW1;Bãi thử 'nghiệm'; dump;106.7;20.8\n",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize("kind", [k for k in formats.KINDS if k != "parquet"])
def test_import_undo_and_redo_give_the_same_bytes(filled, tmp_path, kind):
    def out():
        return formats.export("waste_sites", filled.snapshot("waste_sites"), kind)

    before = out()
    assert out() == before, "an export of the same rows must not differ"
    with imports.prepare(
        filled, "waste_sites", mixed(tmp_path / "x.csv"), fill=FILL, reading=imports.reading_of("4326")
    ) as prepared:
        assert (prepared.trial.new_count, prepared.trial.changed_count) == (1, 1)
        assert imports.apply(filled, prepared, who="planner")
    after = out()
    assert after != before
    filled.restore("waste_sites", 1, who="planner")
    assert out() == before
    filled.restore("waste_sites", 2, who="planner")
    assert out() == after
    hashes = [h["sha256"] for h in reversed(filled.history("waste_sites"))]
    assert hashes[0] == hashes[2] and hashes[1] == hashes[3]


def test_nothing_is_written_where_the_layer_changed_meanwhile(filled, tmp_path):
    path = mixed(tmp_path / "x.csv")
    with imports.prepare(filled, "waste_sites", path, fill=FILL, reading=imports.reading_of("4326")) as prepared:
        filled.restore("waste_sites", 1, who="somebody else")
        with pytest.raises(LayerError, match="changed meanwhile") as caught:
            imports.apply(filled, prepared, who="planner", expected=prepared.version)
        assert caught.value.code == "changed" and "đã bị thay đổi" in caught.value.vi
    assert filled.versions()["waste_sites"] == 2 and "NEW1" not in set(filled.snapshot("waste_sites")["code"])


def test_somebody_can_stop_it_at_any_moment(filled, tmp_path):
    path, said = points(tmp_path / "x.csv", 300), []

    def run(most):
        said.clear()
        reading = imports.reading_of("4326")
        with imports.prepare(
            filled, "receptors", path, fill=FILL, reading=reading,
            progress=lambda share, words: said.append((share, words)), stop=lambda: len(said) >= most,
        ) as prepared:  # fmt: skip
            imports.apply(
                filled, prepared, who="x", progress=lambda *told: said.append(told), stop=lambda: len(said) >= most
            )

    run(10_000)
    steps = len(said)
    assert all(0 <= share <= 1 for share, _ in said) and len({words for _, words in said}) >= 4
    version = filled.versions()["receptors"]
    points(path, 300, name="Khác")
    for most in range(1, steps - 1):
        with pytest.raises(imports.Stopped):
            run(most)
    assert filled.versions()["receptors"] == version


def test_areas_come_from_a_sheet_with_wkt(filled, tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["Mã", "Tên", "Trạm xử lý", "Hình học"])
    box = shapely.box(106.7, 20.8, 106.72, 20.82)
    book.active.append(["S1", "Vùng", "WW01", box.wkt])
    book.active.append(["S2", "Vùng", "WW01", f"SRID=4326;{shapely.MultiPolygon([box]).wkt}"])
    book.active.append(["S3", "Vùng", "WW01", "POLYGON ((106.7 20.8"])
    book.save(tmp_path / "x.xlsx")
    reading = imports.reading_of("4326")
    with imports.prepare(filled, "service_areas", tmp_path / "x.xlsx", fill=FILL, reading=reading) as prepared:
        rows = prepared.checked().rows
        assert rows["code"].tolist() == ["S1", "S2"] and all(shapely.equals(g, box) for g in rows.geometry)
        (problem,) = prepared.trial.refused
        assert problem.row == 2 and "cannot be read" in problem and "không đọc được" in problem.vi


def test_a_shapefile_of_points_and_areas_comes_back_whole(filled, tmp_path):
    """What a Shapefile must keep in two files is read as one layer again."""
    rows = filled.snapshot("industrial_zones").copy()
    assert ALL["industrial_zones"].geometry == "Geometry"
    shapes = rows.geometry.to_numpy().copy()
    shapes[:5] = shapely.buffer(shapely.points(106.6 + 0.01 * np.arange(5), np.full(5, 20.8)), 0.003, quad_segs=2)
    rows = rows.set_geometry(gpd.GeoSeries(shapes, index=rows.index, crs=4326))
    filled.write(check(ALL["industrial_zones"], rows), source="test")
    rows = filled.snapshot("industrial_zones")
    assert len(set(rows.geometry.dropna().geom_type)) > 1
    (tmp_path / "x.zip").write_bytes(formats.export("industrial_zones", rows, "zip"))
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert sum(n.endswith(".shp") for n in archive.namelist()) == 2
    with imports.prepare(filled, "industrial_zones", tmp_path / "x.zip") as prepared:
        trial = prepared.trial
        assert prepared.rows == len(rows) and (trial.new_count, trial.refused_count, trial.missing_count) == (0, 0, 0)
        assert trial.same + trial.changed_count == len(rows)
        assert not any("geometry" in told for told in trial.changed.values())


def test_numbers_with_commas_are_read_as_the_column_writes_them(filled, tmp_path):
    (tmp_path / "x.csv").write_text(
        "code;name_vi;design_m3d;area_ha\nT1;A;12.500;1,5\nT2;B;7,25;2\nT3;C;nhiều;3,25\n", encoding="utf-8"
    )
    fill = {**FILL, "kind": "urban", "geometry_quality": "none"}
    with imports.prepare(filled, "treatment_plants", tmp_path / "x.csv", fill=fill, mode="append") as prepared:
        rows = prepared.checked().rows.set_index("code") if prepared.trial.new_count else None
        told = {(p.row, p.field) for p in prepared.trial.refused}
        assert (2, "design_m3d") in told
        if rows is not None:
            assert rows.at["T1", "design_m3d"] == 12_500 and rows.at["T2", "design_m3d"] == 7.25
            assert rows.at["T1", "area_ha"] == 1.5


def test_a_mended_list_of_refused_rows_comes_in(filled, tmp_path):
    """The refused rows as we give them, mended in place: their own columns of reasons do no harm."""
    text = "Mã;Tên;Loại;Kinh độ;Vĩ độ\nZ1;=1+1;bãi;106.7;20.8\nZ2;Bãi B;dump;106.71;20.81\n"
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    more = {"fill": FILL, "reading": imports.reading_of("4326")}
    with imports.prepare(filled, "waste_sites", tmp_path / "x.csv", **more) as prepared:
        assert prepared.trial.new == [("Z2",)]
        assert imports.write_refused(prepared, tmp_path / "back.csv") == 1
    with open(tmp_path / "back.csv", encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["row"], row["column"], row["value"]) == ("1", "Loại", "'bãi'") and row["Tên"] == "'=1+1"
    body = (tmp_path / "back.csv").read_text(encoding="utf-8-sig").replace(",bãi,", ",dump,")
    (tmp_path / "mended.csv").write_text(body, encoding="utf-8")
    with imports.prepare(filled, "waste_sites", tmp_path / "mended.csv", **more) as prepared:
        assert prepared.trial.new == [("Z1",)] and prepared.checked().rows["name_vi"].tolist() == ["=1+1"]


def test_refused_areas_keep_their_outline(filled, tmp_path):
    box = shapely.box(106.7, 20.8, 106.72, 20.82)
    frame = gpd.GeoDataFrame({"code": ["S1", None], "name_vi": "Vùng", "plant": "WW01"}, geometry=[box, box], crs=4326)
    frame.to_crs(9210).to_file(tmp_path / "x.gpkg")
    more = {"fill": FILL, "reading": imports.reading_of("9210")}
    with imports.prepare(filled, "service_areas", tmp_path / "x.gpkg", **more) as prepared:
        assert prepared.trial.new == [("S1",)] and imports.write_refused(prepared, tmp_path / "back.csv") == 1
    with open(tmp_path / "back.csv", encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert shapely.hausdorff_distance(shapely.from_wkt(row["wkt"]), box) < 1e-7
    assert (row["row"], row["column"]) == ("2", "code") and "code is missing" in row["reason"]


@pytest.fixture(scope="module")
def good_files(tmp_path_factory):
    """A small good file of each kind, as bytes by suffix."""
    folder, out = tmp_path_factory.mktemp("good"), {}
    frame = gpd.GeoDataFrame(
        {"code": ["A1", "A2"], "name_vi": ["Trường", "Bệnh viện"], "source": "s"},
        geometry=gpd.points_from_xy([106.7, 106.6], [20.8, 20.9]), crs=4326,
    )  # fmt: skip
    for kind in ("gpkg", "geojson", "fgb"):
        frame.to_file(folder / f"x.{kind}")
        out[kind] = (folder / f"x.{kind}").read_bytes()
    frame.to_file(folder / "p.shp", encoding="UTF-8")
    with zipfile.ZipFile(folder / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for part in sorted(folder.glob("p.*")):
            archive.write(part, part.name)
    out["zip"] = (folder / "x.zip").read_bytes()
    out["csv"] = "code;name_vi;lon;lat\nA1;Trường;106.7;20.8\nA2;Bệnh viện;106.6;20.9\n".encode()
    out["kml"] = formats.export("receptors", frame.assign(**dict.fromkeys(
        [f.name for f in ALL["receptors"].fields if f.name not in frame], None)), "kml")  # fmt: skip
    book = openpyxl.Workbook()
    for row in (["code", "name_vi", "lon", "lat"], ["A1", "Trường", 106.7, 20.8]):
        book.active.append(row)
    book.save(folder / "x.xlsx")
    out["xlsx"] = (folder / "x.xlsx").read_bytes()
    return out


KINDS = ("gpkg", "geojson", "fgb", "zip", "csv", "kml", "xlsx")


@pytest.mark.filterwarnings("ignore")  # GDAL and openpyxl grumble about broken files in many ways
@settings(max_examples=80)
@given(st.data())
def test_a_file_broken_in_any_way_is_refused_or_read_whole(starter_facts, good_files, tmp_path_factory, data):
    """Truncated, with bytes changed, moved or repeated, under its own or another name: a LayerError or a trial."""
    kind, name = data.draw(st.sampled_from(KINDS)), data.draw(st.sampled_from(KINDS))
    body = bytearray(good_files[kind])
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(body)))
        what = data.draw(st.sampled_from(["cut", "set", "put", "drop", "twice"]))
        if what == "cut":
            del body[at:]
        elif what == "set":
            body[at : at + 1] = data.draw(st.binary(min_size=1, max_size=4))
        elif what == "put":
            body[at:at] = data.draw(
                st.sampled_from([b"\x00", b'"', b";;;;", b"\xff\xfe", b"NaN", b"{", b"<", b"=1+1", b"9" * 400])
            )
        elif what == "drop":
            del body[at : at + data.draw(st.integers(1, 50))]
        else:
            body[at:at] = body[at : at + 200]
    path = tmp_path_factory.mktemp("broken") / f"x.{data.draw(st.sampled_from([kind, name]))}"
    path.write_bytes(bytes(body))
    before = starter_facts.stamp()
    try:
        imports.samples(path, layer_name="receptors")
        with imports.prepare(
            starter_facts, "receptors", path, fill=FILL, reading=imports.reading_of("4326"), mode="append"
        ) as prepared:
            trial = prepared.trial
            assert trial.new_count + trial.changed_count + trial.same + trial.refused_count == prepared.rows
            imports.write_refused(prepared, path.with_name("refused.csv"))
    except LayerError as e:
        assert e.en and e.vi
    assert starter_facts.stamp() == before
