"""The commands as a person types them: output, one-line errors, the server from start to stop."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

import run as bootstrap
from geo.coverage import PARTS, SCENARIOS
from server import cli

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def folder(starter_store, tmp_path_factory):
    return shutil.copytree(starter_store, tmp_path_factory.mktemp("cli") / "data")


def run(capfdbinary, *words):
    code = cli.main([str(w) for w in words])
    out, err = capfdbinary.readouterr()
    return code, out.decode("utf-8-sig"), err.decode()


@pytest.mark.parametrize("by", ["ward", "district", "city", "zone"])
def test_ledger_as_json_has_the_promised_shape_and_adds_up(capfdbinary, folder, by):
    code, out, _ = run(capfdbinary, "ledger", "--data", folder, "--by", by, "--as-of", "2026-11-22", "--format", "json")
    made = json.loads(out)
    assert code == 0 and made["by"] == by and made["as_of"] == "2026-11-22"
    for s in SCENARIOS:
        assert set(made["total"]["parts"]) == set(PARTS)
        whole = made["total"]["generated"][s]
        assert sum(made["total"]["parts"][p][s] for p in PARTS) == pytest.approx(whole, abs=1e-6)
        for p in PARTS:
            assert sum(u["parts"][p][s] for u in made["units"]) == pytest.approx(made["total"]["parts"][p][s], abs=1e-6)
    for u in made["units"]:
        assert {"code", "name_vi", "name_en", "kind", "generated", "parts"} <= set(u)
    assert made["sources"] and made["official"]


def test_ledger_as_table_names_sources_and_what_is_not_counted(capfdbinary, folder):
    code, out, _ = run(capfdbinary, "ledger", "--data", folder, "--by", "district")
    assert code == 0
    for piece in (
        "Quận Hồng Bàng",
        "TOTAL",
        "Not counted",
        "QCVN 01:2021/BXD",
        "21.2 %",
        "<10 %",
        "before 1 July 2025",
    ):
        assert piece in out


def test_ledger_as_csv_has_a_row_per_unit(capfdbinary, folder):
    _, out, _ = run(capfdbinary, "ledger", "--data", folder, "--by", "ward", "--format", "csv")
    lines = out.splitlines()
    assert len(lines) == 1 + 114 + 7 and lines[0].startswith("code,name_vi,name_en,kind,generated_low_m3d")


def test_the_two_ways_to_count_plants_exclude_each_other(capfdbinary, folder):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["ledger", "--data", str(folder), "--only-working", "--with-building"])
    assert stopped.value.code == 1
    assert capfdbinary.readouterr().err.count(b"\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ledger", "--as-of", "22/11/2026"], "YYYY-MM-DD"),
        (["ledger", "--by", "planet"], "choose from"),
        (["serve", "--port", "70000"], "0 to 65535"),
        (["fly"], "choose from"),
        ([], "COMMAND"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(capfdbinary, words, said):
    with pytest.raises(SystemExit) as stopped:
        cli.main(words)
    err = capfdbinary.readouterr().err.decode()
    assert stopped.value.code == 1 and err.count("\n") == 1 and said in err and "--help" in err


def test_a_data_folder_that_cannot_be_written_is_told_in_one_line(capfdbinary, tmp_path):
    (tmp_path / "file").write_text("x")
    code, _, err = run(capfdbinary, "ledger", "--data", tmp_path / "file")
    assert code == 1 and err.count("\n") == 1 and "cannot be written" in err and "--data" in err


def test_a_taken_port_is_told_in_one_line(capfdbinary, folder):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        code, _, err = run(capfdbinary, "serve", "--data", folder, "--port", busy.getsockname()[1])
    assert code == 1 and err.count("\n") == 1 and "is taken" in err and "--port" in err


def test_a_host_that_is_not_ours_is_told_in_one_line(capfdbinary, folder):
    code, _, err = run(capfdbinary, "serve", "--data", folder, "--host", "no.such.host.invalid")
    assert code == 1 and err.count("\n") == 1 and "--host" in err


def test_serve_prints_its_address_answers_and_stops(folder):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    server = subprocess.Popen(
        [sys.executable, "-m", "server.cli", "serve", "--data", str(folder), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
    )  # fmt: skip
    try:
        line = server.stdout.readline().decode()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line).group(0)
        with urllib.request.urlopen(address + "healthz", timeout=60) as answer:
            assert json.load(answer)["status"] == "ok"
            assert "server" not in {k.lower() for k in answer.headers} or "waitress" not in answer.headers["Server"]
        with urllib.request.urlopen(address + "?lang=en", timeout=60) as answer:
            assert b"reaches a working plant" in answer.read()
    finally:
        server.terminate()
        _, err = server.communicate(timeout=60)
    assert b"Traceback" not in err


def test_an_own_population_raster_takes_the_place_of_ours(capfdbinary, starter_store, tmp_path):
    folder = shutil.copytree(starter_store, tmp_path / "data")
    own = tmp_path / "own.tif"
    values = np.full((40, 40), 25.0, dtype="float32")  # 40,000 people in a box of 0.4 degrees
    with rasterio.open(
        own, "w", driver="GTiff", width=40, height=40, count=1, dtype="float32", crs="EPSG:4326",
        transform=Affine(0.01, 0, 106.4, 0, -0.01, 21.0), nodata=-1,
    ) as file:  # fmt: skip
        file.write(values, 1)
    code, out, _ = run(capfdbinary, "population", own, "--data", folder)
    assert code == 0 and "40,000 people" in out
    with rasterio.open(folder / "population.tif") as file:
        assert np.nansum(file.read(1)) == pytest.approx(40_000, rel=1e-3)
        assert file.crs.to_epsg() == 9210 and file.tags()["source"] == "own.tif"


def test_the_population_is_spread_anew_over_built_up_land(capfdbinary, filled):
    import geopandas as gpd
    import shapely

    from layers.catalogue import ALL
    from layers.checks import check

    run(capfdbinary, "ledger", "--data", filled.data_dir)
    town = gpd.GeoDataFrame(
        {
            "code": ["B1"],
            "name_vi": ["Đất ở"],
            "source": ["s"],
            "confidence": ["high"],
            "geometry_quality": ["digitised"],
        },
        geometry=[shapely.box(106.67, 20.82, 106.69, 20.84)],
        crs=4326,
    )
    filled.write(check(ALL["built_up"], town), source="test")
    before = (filled.data_dir / "population.tif").read_bytes()
    code, out, _ = run(capfdbinary, "population", "--data", filled.data_dir)
    assert code == 0 and "4,664,124 people" in out
    assert (filled.data_dir / "population.tif").read_bytes() != before


@pytest.mark.parametrize("content", [b"", b"no raster at all", None])
def test_a_raster_that_cannot_be_read_changes_nothing(capfdbinary, starter_store, tmp_path, content):
    folder = shutil.copytree(starter_store, tmp_path / "data")
    run(capfdbinary, "ledger", "--data", folder)
    before = (folder / "population.tif").read_bytes()
    if content is not None:
        (tmp_path / "own.tif").write_bytes(content)
    code, _, err = run(capfdbinary, "population", tmp_path / "own.tif", "--data", folder)
    assert code == 1 and err.count("\n") == 1 and "own.tif" in err
    assert (folder / "population.tif").read_bytes() == before


def test_versions_are_listed_and_put_back(capfdbinary, starter_store, tmp_path):
    folder = shutil.copytree(starter_store, tmp_path / "data")
    code, out, _ = run(capfdbinary, "versions", "norms", "--data", folder)
    assert code == 0 and "system: starter facts  (first start)" in out
    code, out, _ = run(capfdbinary, "versions", "norms", "--put-back", "1", "--data", folder)
    assert code == 0 and "version 1 put back" in out and len(out.splitlines()) == 2
    code, _, err = run(capfdbinary, "versions", "norms", "--put-back", "9", "--data", folder)
    assert code == 1 and "Version 9 of norms is not kept" in err
    assert run(capfdbinary, "versions", "--put-back", "1", "--data", folder)[0] == 1


# --- audit ---


def test_the_audit_is_verified_exported_and_held_against_a_noted_head(filled, capsys):
    words = ["audit", "verify", "--data", str(filled.data_dir)]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    head = re.search(r"register and layers: \d+ rows hold\. Note this head elsewhere: (\d+:[0-9a-f]{64})", said)[1]
    assert "people:" in said
    assert cli.main([*words, "--head", head]) == 0
    capsys.readouterr()
    assert cli.main([*words, "--head", f"{int(head.split(':')[0]) + 5}:{'0' * 64}"]) == 1
    told = capsys.readouterr()
    assert "was noted, but the audit ends" in told.out and "does not hold: 1 problem." in told.err
    assert (
        cli.main(["audit", "export", "--data", str(filled.data_dir), "--thing", "case:HS01", "--format", "json"]) == 0
    )
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["action"], row["thing"]) == ("adopt", "case:HS01")


def test_a_removed_row_of_the_audit_is_found_by_the_command(filled, capsys):
    assert cli.main(["audit", "verify", "--data", str(filled.data_dir)]) == 0
    with filled.transaction() as con:
        con.exec_driver_sql("DROP TRIGGER cx_audit_no_delete")
        con.exec_driver_sql("DELETE FROM cx_audit WHERE number=3")
    assert cli.main(["audit", "verify", "--data", str(filled.data_dir)]) == 1
    assert "row 3 of the audit missing" in capsys.readouterr().out


@pytest.mark.parametrize("head", ["x", "5:abc"])
def test_a_head_that_is_none_is_told_in_one_line(filled, capsys, head):
    with pytest.raises(SystemExit):
        cli.main(["audit", "verify", "--data", str(filled.data_dir), "--head", head])
    assert "NUMBER:HASH" in capsys.readouterr().err


# --- machines with other letters ---


@pytest.mark.parametrize("letters", ["cp1252", "ascii"])
def test_commands_write_utf8_whatever_letters_the_machine_has(starter_store, tmp_path, letters):
    folder = shutil.copytree(starter_store, tmp_path / "thư mục có dấu và khoảng trắng")
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": letters}

    def said(*words, code=0):
        command = [sys.executable, "-m", "server.cli", *map(str, words), "--data", folder]
        done = subprocess.run(command, env=env, capture_output=True, check=False)
        assert done.returncode == code, done.stderr
        return (done.stdout + done.stderr).decode("utf-8")

    assert "114 phường, xã" in said("ledger", "--by", "ward", "--format", "json")
    assert "nhà máy.csv" in said("export", "treatment_plants", "--out", tmp_path / "nhà máy.csv")
    assert "không có.csv" in said("import", "waste_sites", tmp_path / "không có.csv", code=1)


def test_an_environment_of_other_letters_does_not_reach_the_commands(monkeypatch):
    for name in ("PYTHONIOENCODING", "PYTHONPATH", "PYTHONHOME", "PROJ_LIB"):
        monkeypatch.setenv(name, "foreign")
    made = bootstrap.clean_environment()
    assert made["PYTHONUTF8"] == "1"
    assert not {"PYTHONIOENCODING", "PYTHONPATH", "PYTHONHOME", "PROJ_LIB"} & set(made)
