"""Programs of other people against our interface, each in a process of its own.

GDAL comes with the application. OWSLib and schemathesis are heavy: install tests/requirements-clients.txt into
an environment beside requirements.txt to run their tests; without them they are skipped.
"""

import importlib.util
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import browser
import pytest
import shapely

from server.app import create_app
from server.settings import Settings


@pytest.fixture(scope="module")
def address(starter_facts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clients")

    class Elsewhere:
        """The starter facts with a folder of their own for what is cached."""

        data_dir = folder

        def __getattr__(self, name):
            return getattr(starter_facts, name)

    store = Elsewhere()
    figures = SimpleNamespace(version=store.stamp, kept=lambda _name, make, *rest: make(*rest))
    services = SimpleNamespace(store=store, population=None, figures=figures)
    with browser.serving(create_app(Settings(data_dir=folder), services, views=("pages", "data", "ogc"))) as site:
        yield f"{site}/ogc"


# --- GDAL ---

READ = """
import pyogrio
def read(address, layer, options):
    frame = pyogrio.read_dataframe("OAPIF:" + address, layer=layer, **options)
    return {
        "rows": len(frame),
        "crs": frame.crs and frame.crs.to_epsg(),
        "kinds": {c: str(t) for c, t in frame.dtypes.items()},
        "codes": list(frame["code"]) if "code" in frame else None,
        "first": None if frame.geometry.isna().all() else list(frame.geometry.dropna().iloc[0].bounds),
        "names": list(frame["name_vi"]) if "name_vi" in frame else None,
    }
say(read(*args))
"""
LIST = "import pyogrio\nsay(pyogrio.list_layers('OAPIF:' + args[0]).tolist())"


def gdal(ask, address, layer, **options):
    return ask(READ, address, layer, options)


def test_gdal_lists_the_collections(ask, address):
    listed = dict(ask(LIST, address))
    assert listed["admin_units"] == "MultiPolygon" and listed["treatment_plants"] == "Point"
    assert "norms" in listed and len(listed) > 20


def test_gdal_reads_whole_layers_with_their_kinds(ask, address, starter_facts):
    for name in ("admin_units", "hotspots", "plant_states"):
        frame = starter_facts.snapshot(name)
        got = gdal(ask, address, name)
        assert got["rows"] == len(frame)
        assert got["codes"] is None or got["codes"] == list(frame["code"])
        assert got["names"] is None or got["names"] == list(frame["name_vi"])
        assert got["kinds"]["valid_from"].startswith("datetime64")
    assert gdal(ask, address, "plant_states")["kinds"]["measured"] == "float64", "no value in it tells the kind"


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("kind = 'ward' AND population > 60000", lambda f: (f["kind"] == "ward") & (f["population"] > 60000)),
        ("name_vi LIKE '%Hải%'", lambda f: f["name_vi"].str.contains("Hải")),
        ("name_vi ILIKE 'PHƯỜNG h%'", lambda f: f["name_vi"].str.lower().str.startswith("phường h")),
        ("valid_from >= '2025-07-01'", lambda f: f["valid_from"] >= "2025-07-01"),
        ("valid_to = '2025-07-01'", lambda f: f["valid_to"] == "2025-07-01"),
        ("valid_to IS NULL AND NOT (kind = 'ward')", lambda f: f["valid_to"].isna() & (f["kind"] != "ward")),
        ("population BETWEEN 1000 AND 9000 OR kind IN ('city')",
         lambda f: f["population"].between(1000, 9000) | (f["kind"] == "city")),
        ("name_vi = 'it''s'", lambda f: f["name_vi"] == "it's"),
    ],
)  # fmt: skip
def test_gdal_filters_find_what_pandas_finds(ask, address, starter_facts, where, expected):
    frame = starter_facts.snapshot("admin_units")
    assert gdal(ask, address, "admin_units", where=where)["codes"] == list(frame["code"][expected(frame)])


def test_gdal_asks_for_a_box_and_for_vn2000(ask, address, starter_facts):
    frame = starter_facts.snapshot("admin_units")
    box = shapely.box(106.66, 20.82, 106.72, 20.88)
    got = gdal(ask, address, "admin_units", bbox=box.bounds)
    assert got["codes"] == list(frame["code"][frame.geometry.intersects(box)])
    there = gdal(ask, address, "admin_units", CRS="EPSG:9210")
    assert there["crs"] == 9210
    assert there["first"] == pytest.approx(frame.to_crs(9210).geometry.iloc[0].bounds, abs=0.002)


def test_gdal_pages_through_a_layer(ask, address, starter_facts):
    got = gdal(ask, address, "admin_units", PAGE_SIZE="7")
    assert got["codes"] == list(starter_facts.snapshot("admin_units")["code"])


# --- OWSLib and schemathesis ---


def needs(name):
    return pytest.mark.skipif(
        importlib.util.find_spec(name) is None, reason=f"{name} is not installed (tests/requirements-clients.txt)"
    )


OWS = """
from owslib.ogcapi.features import Features
def look(address):
    w = Features(address)
    try:
        w.collection_items("hotspots", limit=0)
        refused = ""
    except RuntimeError as e:
        refused = str(e)
    return {
        "collections": w.feature_collections(),
        "conformance": len(w.conformance()["conformsTo"]),
        "openapi": w.api()["openapi"],
        "queryables": list(w.collection_queryables("hotspots")["properties"]),
        "page": w.collection_items("hotspots", limit=5)["numberReturned"],
        "box": w.collection_items("admin_units", bbox=[106.66, 20.82, 106.72, 20.88])["numberMatched"],
        "filter": w.collection_items("admin_units", filter="kind='ward' AND population > 60000")["numberMatched"],
        "item": w.collection_item("hotspots", "HS07")["id"],
        "refused": refused,
    }
say(look(*args))
"""


@needs("owslib")
def test_owslib_reads_everything(ask, address, starter_facts):
    seen = ask(OWS, address)
    frame = starter_facts.snapshot("admin_units")
    assert "admin_units" in seen["collections"] and seen["openapi"].startswith("3.0") and seen["conformance"] > 20
    assert seen["queryables"][:2] == ["code", "name_vi"] and seen["page"] == 5 and seen["item"] == "HS07"
    assert seen["filter"] == int(((frame["kind"] == "ward") & (frame["population"] > 60000)).sum())
    assert seen["box"] == int(frame.geometry.intersects(shapely.box(106.66, 20.82, 106.72, 20.88)).sum())
    assert '"status": 400' in seen["refused"]


# What it must not find. Not asked: whether all that the document allows is accepted (the grammar of filters cannot
# be said there), and whether all that it forbids is refused (more features than the most is the most, by the standard).
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
          "response_headers_conformance", "unsupported_method")  # fmt: skip


@needs("schemathesis")
def test_schemathesis_finds_no_fault_in_two_thousand_requests(address, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/api?f=json", "--url", address,
         "--checks", ",".join(CHECKS), "--max-examples", "5", "--phases", "examples,coverage,fuzzing",
         "--continue-on-failure", "--suppress-health-check", "all", "--no-color", "--seed", "1"],
        capture_output=True, text=True, encoding="utf-8", cwd=tmp_path, env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        timeout=1800,
    )  # fmt: skip
    made = re.search(r"(\d+) generated", done.stdout)
    assert made and int(made.group(1)) >= 2000, done.stdout[-3000:] + done.stderr[-2000:]
    assert done.returncode == 0, done.stdout[-6000:]
