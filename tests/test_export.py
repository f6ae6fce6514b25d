"""run.py export, as a person types it: rows, columns, days, refusals, and never half a file."""

import csv
import io
import shutil

import openpyxl
import pyogrio
import pytest

from layers import formats, wholefiles
from layers.export import public_layers
from server import cli, listings


@pytest.fixture(scope="module")
def folder(starter_store, tmp_path_factory):
    return shutil.copytree(starter_store, tmp_path_factory.mktemp("export") / "data")


@pytest.fixture
def run(capfd, folder):
    def run(*words):
        code = cli.main(["export", "--data", str(folder), *map(str, words)])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def read(path):
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"))))


def test_a_layer_in_every_format(run, tmp_path, starter_facts):
    wards = len(starter_facts.snapshot("admin_units"))
    for kind in formats.kinds_for("admin_units"):
        path = tmp_path / f"wards.{kind}"
        code, out, err = run("admin_units", "--out", path, "--crs", "9210")
        assert code == 0, err
        assert f"admin_units: {wards} rows" in out and formats.KINDS[kind].label in out
        assert ("EPSG:4326" if kind in ("geojson", "kml") else "EPSG:9210") in out
        if kind in ("gpkg", "fgb", "geojson"):
            assert pyogrio.read_info(path, force_feature_count=True)["features"] == wards


def test_rows_columns_and_their_order_are_chosen(run, tmp_path, starter_facts):
    path = tmp_path / "a.csv"
    code, _out, err = run("admin_units", "--out", path, "--where", "kind = 'ward' AND population > 60000", "--columns",
                          "population, code", "--bbox", "106.5,20.7,106.8,21")  # fmt: skip
    assert code == 0, err
    frame = starter_facts.snapshot("admin_units")
    import shapely

    keep = (frame["kind"] == "ward") & (frame["population"] > 60000)
    keep &= frame.geometry.intersects(shapely.box(106.5, 20.7, 106.8, 21))
    rows = read(path)
    assert [r["code"] for r in rows] == list(frame["code"][keep]) and rows
    assert list(rows[0]) == ["population", "code", "longitude", "latitude"]


def test_a_box_gives_nothing_without_a_place(run, tmp_path):
    path = tmp_path / "a.csv"
    assert run("hotspots", "--out", path, "--bbox", "106,20,108,22")[0] == 0
    assert all(r["longitude"] for r in read(path))


def test_outlines_and_headers(run, tmp_path):
    path = tmp_path / "a.xlsx"
    assert run("service_areas", "--out", path, "--outlines", "--language", "en")[0] == 0
    assert run("land", "--out", tmp_path / "land.csv", "--outlines")[0] == 0
    assert read(tmp_path / "land.csv")[0]["wkt"].startswith("MULTIPOLYGON")
    assert openpyxl.load_workbook(path)["data"]["A1"].value == "Code"


def test_all_layers_in_one_geopackage(run, tmp_path, starter_facts):
    path = tmp_path / "all.gpkg"
    code, out, _err = run("all", "--out", path, "--crs", "9210")
    assert code == 0
    held = dict(pyogrio.list_layers(path))
    assert set(held) == set(public_layers())
    frame = pyogrio.read_dataframe(path, layer="treatment_plants")
    assert frame.crs.to_epsg() == 9210 and len(frame) == len(starter_facts.snapshot("treatment_plants"))
    for name in ("norms", "hotspots"):
        assert f"{name}: {len(starter_facts.snapshot(name))} rows" in out


def test_internal_lists_only_when_asked_for(run, tmp_path):
    path = tmp_path / "cases.gpkg"
    code, _out, err = run("cases", "--out", path)
    assert code == 1 and "--internal" in err and not path.exists()
    code, out, err = run("cases", "samplings", "--out", path, "--internal")
    assert code == 0, err
    assert set(dict(pyogrio.list_layers(path))) == set(listings.INTERNAL) and "cases: " in out
    code, _out, err = run("cases", "--internal", "--as-of", "2026-01-01", "--out", tmp_path / "x.csv")
    assert code == 1 and "--as-of" in err


def test_the_rows_of_a_day(run, tmp_path, folder):
    code, _out, err = run("norms", "--out", tmp_path / "x.csv", "--as-of", "2001-01-01")
    assert code == 1 and "no data yet" in err
    assert run("norms", "--out", tmp_path / "y.csv", "--as-of", "2099-01-01")[0] == 0
    assert len(read(tmp_path / "y.csv")) == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing", "--out", "{}/a.csv"], "no layer 'nothing'"), (["norms", "--out", "{}/a.kml"], "csv, xlsx, gpkg"),
        (["norms", "--out", "{}/a"], "--format"), (["norms", "--out", "{}/a.doc"], "--format"),
        (["norms", "hotspots", "--out", "{}/a.csv"], "one GeoPackage"), (["norms", "--out", "{}/none/a.csv"], "no folder"),
        (["norms", "--columns", "foo", "--out", "{}/a.csv"], "no column 'foo'"),
        (["norms", "--where", "foo = 1", "--out", "{}/a.csv"], "--where"), (["norms", "--where", "code = ", "--out", "{}/a.csv"], "--where"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told_in_one_line(run, tmp_path, words, said):
    code, out, err = run(*(w.format(tmp_path) for w in words))
    assert code == 1 and out == ""
    assert said in err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing", "--out", "{}/a.csv"], "Không có lớp 'nothing'"), (["norms", "--out", "{}/a.kml"], "hãy chọn một trong csv"),
        (["norms", "--out", "{}/a"], "là định dạng nào"), (["cases", "--out", "{}/a.csv"], "là nội bộ"),
        (["norms", "hotspots", "--out", "{}/a.csv"], "một GeoPackage"), (["norms", "--out", "{}/none/a.csv"], "Không có thư mục"),
        (["norms", "--columns", "foo", "--out", "{}/a.csv"], "không có cột 'foo'"), (["norms", "--where", "foo = 1", "--out", "{}/a.csv"], "--where: "),
        (["norms", "--as-of", "2001-01-01", "--out", "{}/a.csv"], "chưa có dữ liệu"),
    ],
)  # fmt: skip
def test_the_same_is_told_in_vietnamese_where_the_call_asks_for_it(run, tmp_path, words, said):
    words = [w.format(tmp_path) for w in words]
    code, out, err = run(*words, "--language", "vi")
    assert code == 1 and out == ""
    assert said in err.splitlines()[-1] and err.splitlines()[-1] != run(*words)[2].splitlines()[-1]


def test_what_was_written_is_told_in_vietnamese_too(run, tmp_path):
    code, out, _err = run("norms", "--out", tmp_path / "a.csv", "--language", "vi")
    assert code == 0 and "norms: 5 dòng" in out


def test_a_file_is_not_written_over_and_never_left_half(run, tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("mine")
    code, _out, err = run("norms", "--out", path)
    assert code == 1 and "--force" in err and path.read_text() == "mine"
    assert run("norms", "--out", path, "--force")[0] == 0 and len(read(path)) == 5
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(wholefiles.os, "replace", full)
    code, _out, err = run("norms", "--out", path, "--force")
    assert code == 1 and "No space left" in err and path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
