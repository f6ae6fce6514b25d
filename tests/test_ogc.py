"""OGC API Features at /ogc and the files at /data: what is promised, what is refused, and what must never be seen."""

import gzip
import io
import itertools
import json
import re
import zipfile
from datetime import date
from types import SimpleNamespace
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import browser
import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.catalogue import ALL, Code, Field, Layer
from layers.checks import check
from layers.export import public_fields, public_layers
from server.app import VENDOR, create_app
from server.collections import CRS84, EVERYTHING, SYSTEMS, Collections, Selection
from server.settings import Settings

EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
SECRET = "chỉ thanh tra được đọc"
HOSTILE = "<script>alert(1)</script>\"'${x}"
SAMPLES = Layer(
    "samples", "Mẫu thử", "Samples", "Geometry",
    (
        Field("code", "text", "Mã", "Code", required=True),
        Field("name_vi", "text", "Tên", "Name in Vietnamese"),
        Field("kind", "text", "Loại", "Kind", allowed=(Code("a", "loại a", "kind a"), Code("b", "loại b", "kind b"))),
        Field("flow", "number", "Lưu lượng", "Flow", "m³/ngày"),
        Field("year", "integer", "Năm", "Year"),
        Field("valid_from", "date", "Từ", "From"),
        Field("valid_to", "date", "Đến", "To"),
        Field("inspector_note", "text", "Ghi chú nội bộ", "Internal note", public=False),
    ),
)  # fmt: skip
HIDDEN = Layer("case_notes", "Nội bộ", "Internal", "Point", (Field("code", "text", "Mã", "Code"),), public=False)
PERIODS = ((None, None), ("2025-07-01", None), (None, "2025-07-01"), ("2020-01-01", "2026-01-01"))


def sample_frame():
    """Forty places in a grid, four of them nowhere; every tenth is hostile."""
    rows = []
    for i in range(40):
        start, end = PERIODS[i % 4]
        rows.append(
            {
                "code": f"S{i:02d}",
                "name_vi": HOSTILE if i % 10 == 0 else f"Điểm {i}",
                "kind": "ab"[i % 2],
                "flow": None if i % 7 == 0 else float(i),
                "year": 2000 + i,
                "valid_from": start,
                "valid_to": end,
                "inspector_note": SECRET,
                "geometry": None if i % 9 == 8 else shapely.Point(106.5 + 0.01 * (i % 8), 20.7 + 0.01 * (i // 8)),
            }
        )
    rows[1]["geometry"] = shapely.box(106.9, 20.9, 107.0, 21.0) - shapely.box(106.93, 20.93, 106.97, 20.97)
    rows[2]["geometry"] = shapely.LineString([(106.9, 20.7), (107.0, 20.8)])
    frame = pd.DataFrame([{k: v for k, v in r.items() if k != "geometry"} for r in rows])
    return check(SAMPLES, gpd.GeoDataFrame(frame, geometry=[r["geometry"] for r in rows], crs=4326)).rows


class SampleStore:
    """The starter facts with one layer more, which holds an internal field, and one that is internal as a whole."""

    def __init__(self, store, folder):
        self.store, self.data_dir, self.frame, self.number = store, folder, sample_frame(), 1

    def snapshot(self, name):
        return self.frame if name in ("samples", "case_notes") else self.store.snapshot(name)

    def history(self, name=None):
        made = [{"layer": "samples", "version": self.number, "at": f"2026-11-22T01:02:{self.number:02d}.000+00:00"}]
        if name == "samples":
            return made
        return self.store.history(name) + ([] if name else made)

    def versions(self):
        return self.store.versions() | {"samples": self.number}

    def stamp(self):
        return f"{self.store.stamp()}.{self.number}"

    def data_version(self):
        return self.store.data_version()


@pytest.fixture(scope="module")
def store(starter_facts, tmp_path_factory):
    ALL["samples"], ALL["case_notes"] = SAMPLES, HIDDEN
    yield SampleStore(starter_facts, tmp_path_factory.mktemp("ogc"))
    del ALL["samples"], ALL["case_notes"]


@pytest.fixture(scope="module")
def app(store):
    services = SimpleNamespace(store=store, population=None, today=lambda: date(2026, 11, 22),
                               figures=SimpleNamespace(version=store.stamp, kept=lambda _name, make, *rest: make(*rest)))  # fmt: skip
    return create_app(Settings(data_dir=store.data_dir), services, views=("pages", "data", "ogc"))


@pytest.fixture(scope="module")
def client(app):
    return app.test_client()


def get(client, path, **parameters):
    return client.get(path + (f"?{urlencode(parameters)}" if parameters else ""))


def items(client, name, **parameters):
    answer = get(client, f"/ogc/collections/{name}/items", **parameters)
    assert answer.status_code == 200, answer.text
    return answer.json


def codes(client, name, **parameters):
    return [f["id"] for f in items(client, name, **({"limit": 1000} | parameters))["features"]]


# --- what there is ---


def walk(client, start):
    """Every address that can be reached through links, with the type its link promised."""
    seen, todo = {}, [(start, None)]
    while todo:
        address, kind = todo.pop()
        if address in seen:
            continue
        assert address.startswith("http://localhost/"), address
        answer = client.get(address)
        seen[address] = (answer.status_code, kind, answer.content_type)
        if answer.mimetype == "application/json":
            todo += [(x["href"], x.get("type")) for x in links_in(answer.json) if not x.get("templated")]
    return seen


def links_in(thing):
    if isinstance(thing, dict):
        if "href" in thing:
            yield thing
        thing = list(thing.values())
    if isinstance(thing, list):
        for part in thing:
            yield from links_in(part)


def test_every_link_leads_to_what_it_promises(client):
    seen = walk(client, "http://localhost/ogc")
    assert len(seen) > 150
    for address, (status, promised, got) in seen.items():
        assert status == 200, address
        assert promised is None or got.split(";")[0] == promised.split(";")[0], (address, promised, got)


def test_the_landing_page_knows_its_host_and_language(client):
    made = client.get("/ogc?lang=en", base_url="https://moi-truong.example:8443").json
    assert all(x["href"].startswith("https://moi-truong.example:8443/ogc") for x in made["links"])
    assert all("lang=en" in x["href"] for x in made["links"])
    assert {x["rel"] for x in made["links"]} >= {"self", "service-desc", "service-doc", "conformance", "data"}
    vi = client.get("/ogc?lang=vi").json
    assert "dữ liệu mở" in vi["title"] and "open data" in made["title"]
    assert client.get("/ogc/").json["title"] == client.get("/ogc").json["title"]


def test_conformance_names_what_is_built(client):
    classes = client.get("/ogc/conformance").json["conformsTo"]
    assert len(classes) == len(set(classes))
    for needed in ("features-1/1.0/conf/core", "features-2/1.0/conf/crs", "features-3/1.0/conf/filter",
                   "cql2/1.0/conf/cql2-text", "tiles-1/1.0/conf/mvt"):  # fmt: skip
        assert any(c.endswith(needed) for c in classes), needed


def test_collections_are_the_public_layers_and_tables(client):
    made = client.get("/ogc/collections?lang=en").json["collections"]
    assert [c["id"] for c in made] == public_layers()
    units = next(c for c in made if c["id"] == "admin_units")
    assert units["title"] == "Administrative units" and units["itemCount"] == 133
    west, south, east, north = units["extent"]["spatial"]["bbox"][0]
    assert 105 < west < east < 108.5 and 19 < south < north < 22
    assert units["crs"][0] == units["storageCrs"] == CRS84.uri and EPSG + "9210" in units["crs"]
    table = next(c for c in made if c["id"] == "norms")
    assert "crs" not in table and "spatial" not in table.get("extent", {})


def test_every_feature_of_every_collection_has_an_address(client):
    for name in public_layers():
        if name == "case_notes":
            continue
        ids = codes(client, name)
        assert len(ids) == len(set(ids))
        for one in ids[:5] + ids[-2:]:
            made = get(client, f"/ogc/collections/{name}/items/{quote(one)}").json
            assert made["id"] == one and made["type"] == "Feature"


def test_queryables_are_the_public_fields_with_kinds_and_values(client):
    made = client.get("/ogc/collections/samples/queryables?lang=en").json
    assert list(made["properties"]) == [f.name for f in public_fields("samples")] + ["geometry"]
    assert made["properties"]["kind"]["enum"] == ["a", "b"]
    assert made["properties"]["valid_from"] == {"title": "From", "type": "string", "format": "date"}
    assert made["properties"]["flow"]["type"] == "number" and made["properties"]["year"]["type"] == "integer"


# --- pages of features ---


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 50), st.sampled_from([{}, {"kind": "a"}, {"sortby": "-year"}, {"filter": "flow > 3"}]))
def test_pages_together_are_the_whole(client, limit, choice):
    whole = codes(client, "samples", **choice)
    address = f"/ogc/collections/samples/items?{urlencode({'limit': limit, **choice})}"
    found, back = [], []
    while address:
        made = client.get(address).json
        assert made["numberMatched"] == len(whole) and made["numberReturned"] == len(made["features"]) <= limit
        found += [f["id"] for f in made["features"]]
        links = {x["rel"]: x["href"] for x in made["links"]}
        assert ("prev" in links) == bool(back)
        back.append(links.get("prev"))
        address = links.get("next")
    assert found == whole
    if back[-1]:
        first = client.get(back[-1]).json["features"]
        assert first[-1]["id"] == found[len(found) - len(found) % limit - 1 if len(found) % limit else -limit - 1]


def test_a_page_beyond_the_end_is_empty_and_leads_back(client):
    made = items(client, "samples", offset=10**9, limit=10)
    assert made["features"] == [] and made["numberMatched"] == 40
    back = next(x["href"] for x in made["links"] if x["rel"] == "prev")
    assert dict(parse_qsl(urlsplit(back).query))["offset"] == "30"


def test_more_than_the_most_is_the_most(client):
    assert items(client, "samples", limit=10**12)["numberReturned"] == 40


def brute_force(frame, area):
    return [
        code for code, g in zip(frame["code"], frame.geometry, strict=True) if g is None or shapely.intersects(g, area)
    ]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(106.4, 107.1), st.floats(20.6, 21.1), st.floats(0, 0.3), st.floats(0, 0.3))
def test_boxes_find_what_meets_them_in_every_system(client, store, x, y, w, h):
    area = shapely.box(x, y, x + w, y + h)
    asked = {"bbox": f"{x!r},{y!r},{x + w!r},{y + h!r}"}
    expected = brute_force(store.frame, area)
    assert codes(client, "samples", **asked) == expected
    swapped = {"bbox": f"{y!r},{x!r},{y + h!r},{x + w!r}", "bbox-crs": EPSG + "4326"}
    assert codes(client, "samples", **swapped) == expected
    tall = {"bbox": f"{x!r},{y!r},-10,{x + w!r},{y + h!r},100"}
    assert codes(client, "samples", **tall) == expected


@pytest.mark.parametrize("epsg", [9210, 9209, 3405, 3857])
def test_boxes_in_metres_find_what_lies_in_them_there(client, store, epsg):
    way = pyproj.Transformer.from_crs(4326, epsg, always_xy=True)
    there = [
        None if g is None else shapely.transform(g, lambda xy: np.column_stack(way.transform(xy[:, 0], xy[:, 1])))
        for g in store.frame.geometry
    ]
    east, north = way.transform(106.525, 20.705)
    for side in (1500.0, 3000.0, 60_000.0):
        box = shapely.box(east, north, east + side, north + side)
        expected = [c for c, g in zip(store.frame["code"], there, strict=True) if g is None or g.intersects(box)]
        asked = {"bbox": ",".join(map(repr, box.bounds)), "bbox-crs": EPSG + str(epsg)}
        assert codes(client, "samples", **asked) == expected
        assert 4 < len(expected) < 40


def test_a_box_over_the_180th_meridian_and_features_without_a_place(client, store):
    nowhere = [c for c, g in zip(store.frame["code"], store.frame.geometry, strict=True) if g is None]
    assert len(nowhere) == 4
    assert codes(client, "samples", bbox="170,-10,-170,10") == nowhere  # the standard: what has no place matches
    assert codes(client, "samples", bbox="106.5,0,-170,60") == codes(client, "samples", bbox="106.5,0,180,60")


@pytest.mark.parametrize("epsg", [4326, 9210, 9209, 3405, 3857])
def test_coordinates_in_every_system_are_those_of_the_register(client, store, epsg):
    answer = get(client, "/ogc/collections/samples/items", crs=EPSG + str(epsg), limit=40)
    assert answer.headers["Content-Crs"] == f"<{EPSG}{epsg}>"
    way = pyproj.Transformer.from_crs(pyproj.CRS("OGC:CRS84"), epsg)  # axes as the register has them
    for feature, g in zip(answer.json["features"], store.frame.geometry, strict=True):
        if g is None:
            assert feature["geometry"] is None
            continue
        made = shapely.from_geojson(json.dumps(feature["geometry"]))
        expected = np.column_stack(way.transform(*shapely.get_coordinates(g).T))
        got = shapely.get_coordinates(made)
        gap = np.abs(got[:, None] - expected[None]).max(axis=2).min(axis=1).max()
        assert gap < (1e-9 if epsg == 4326 else 2e-3)
        assert made.geom_type == g.geom_type
        if made.geom_type == "Polygon" and epsg != 4326:
            assert made.exterior.is_ccw and not made.interiors[0].is_ccw


def test_without_crs_coordinates_are_longitude_latitude(client):
    answer = get(client, "/ogc/collections/hotspots/items/HS07")
    lon, lat = answer.json["geometry"]["coordinates"]
    assert 106 < lon < 107 and 20 < lat < 21
    assert answer.headers["Content-Crs"] == f"<{CRS84.uri}>"
    swapped = get(client, "/ogc/collections/hotspots/items/HS07", crs=EPSG + "4326").json
    assert swapped["geometry"]["coordinates"] == [lat, lon]
    safe = get(client, "/ogc/collections/hotspots/items/HS07", crs=f"[{EPSG}4326]").json
    assert safe["geometry"] == swapped["geometry"]


@pytest.mark.parametrize(
    ("when", "kept"),
    [  # the periods of the samples: always; from 1 July 2025; until it; from 2020 until 2026
        ("2025-06-30", (0, 2, 3)),
        ("2025-07-01", (0, 1, 3)),  # the last day is the first on which it no longer holds
        ("2019-12-31", (0, 2)),
        ("2026-01-01", (0, 1)),
        ("2025-06-30T16:59:59Z", (0, 2, 3)),
        ("2025-06-30T17:00:00Z", (0, 1, 3)),  # midnight in the city
        ("2025-06-30T23:59:59.5+07:00", (0, 2, 3)),
        ("2025-06-30/2025-07-01", (0, 1, 2, 3)),
        ("../2019-01-01", (0, 2)),
        ("/2019-01-01", (0, 2)),
        ("2026-06-01/..", (0, 1)),
        ("2026-06-01/", (0, 1)),
        ("../..", (0, 1, 2, 3)),
    ],
)
def test_days_choose_by_the_period_of_validity(client, when, kept):
    found = {int(c[1:]) % 4 for c in codes(client, "samples", datetime=when)}
    assert found == set(kept)


def test_wards_and_old_districts_by_day(client):
    today = items(client, "admin_units", datetime="2025-07-01", kind="ward", limit=1)["numberMatched"]
    assert today == 45
    assert items(client, "admin_units", datetime="2025-06-30", kind="ward")["numberMatched"] == 0
    assert items(client, "admin_units", datetime="2025-06-30", kind="district")["numberMatched"] == 16
    assert items(client, "norms", datetime="1900-01-01")["numberMatched"] == 5  # a table without days: all of it


def test_filters_property_filters_and_order(client):
    assert codes(client, "samples", kind="a", year="2004") == ["S04"]
    assert codes(client, "samples", filter="flow BETWEEN 3 AND 5 AND kind = 'b'") == ["S03", "S05"]
    assert codes(client, "samples", flow="3.0") == ["S03"]
    assert codes(client, "samples", valid_from="2020-01-01", limit=2) == ["S03", "S07"]
    assert codes(client, "samples", filter="year >= 2035", sortby="-year") == ["S39", "S38", "S37", "S36", "S35"]
    assert codes(client, "samples", sortby="kind,-year", limit=2) == ["S38", "S36"]
    last = codes(client, "samples", sortby="-flow")[-6:]
    assert last == codes(client, "samples", sortby="flow")[-6:] == ["S00", "S07", "S14", "S21", "S28", "S35"]
    names = [f["properties"]["name_vi"] for f in items(client, "admin_units", sortby="+name_vi", limit=200)["features"]]
    wards = [n for n in names if n.startswith("Phường ")]
    assert wards.index("Phường Dương Kinh") < wards.index("Phường Đồ Sơn") < wards.index("Phường Hải An")
    loose = "Phường Đồ Sơn".encode().decode()
    assert codes(client, "admin_units", name_vi=loose) == codes(client, "admin_units", name_vi="Phường Đô\u0300 Sơn")


def test_filter_shapes_in_another_system(client):
    lonlat = "S_INTERSECTS(geometry, POLYGON((106.515 20.695, 106.565 20.695, 106.565 20.735, 106.515 20.735, 106.515 20.695)))"
    latlon = "S_INTERSECTS(geometry, BBOX(20.695, 106.515, 20.735, 106.565))"
    expected = codes(client, "samples", filter=lonlat)
    assert len(expected) > 5
    assert codes(client, "samples", filter=latlon, **{"filter-crs": EPSG + "4326"}) == expected
    way = pyproj.Transformer.from_crs(4326, 9210, always_xy=True)
    corners = shapely.get_coordinates(shapely.box(106.515, 20.695, 106.565, 20.735))
    metres = ", ".join(f"{x:.3f} {y:.3f}" for x, y in zip(*way.transform(*corners.T), strict=True))
    asked = {"filter": f"S_INTERSECTS(geometry, POLYGON(({metres})))", "filter-crs": EPSG + "9210"}
    assert codes(client, "samples", **asked, **{"filter-lang": "cql2-text"}) == expected


def test_properties_choose_the_columns(client):
    made = items(client, "samples", properties="year,code", limit=1)["features"][0]
    assert made["properties"] == {"year": 2000, "code": "S00"}
    whole = items(client, "samples", limit=1)["features"][0]["properties"]
    assert list(whole) == [f.name for f in public_fields("samples")]
    assert whole["flow"] is None and whole["valid_from"] is None


# --- what is refused ---

BAD = [
    ("foo=1", "foo"), ("limit=0", "limit"), ("limit=-1", "limit"), ("limit=ten", "limit"), ("limit=1.5", "limit"),
    ("limit=", "limit"), ("limit=٣", "limit"), ("limit=1_0", "limit"), ("offset=-1", "offset"), ("offset=99999999999", "offset"),
    ("limit=1&limit=2", "limit"), ("bbox=1,2,3", "bbox"), ("bbox=1,2,3,4,5", "bbox"), ("bbox=", "bbox"),
    ("bbox=a,b,c,d", "bbox"), ("bbox=nan,1,2,3", "bbox"), ("bbox=1,2,inf,4", "bbox"), ("bbox=1,5,2,4", "bbox"),
    ("bbox=0,0,181,10", "180"), ("bbox=1e999,0,1,1", "bbox"), ("bbox-crs=x&bbox=1,2,3,4", "bbox-crs"),
    (f"bbox-crs={EPSG}9210", "bbox"), (f"bbox=9,9,1,1&bbox-crs={EPSG}9210", "bbox"),
    (f"bbox=-1e300,0,1e300,1&bbox-crs={EPSG}9210", "bbox"), (f"bbox=0,0,1e8,1e8&bbox-crs={EPSG}9210", "bbox"),
    (f"crs={EPSG}32648", "crs"), ("crs=EPSG:9210", "crs"), ("crs=", "crs"),
    ("datetime=yesterday", "datetime"), ("datetime=2025-13-01", "datetime"), ("datetime=2025-07-01/2025-06-01", "datetime"),
    ("datetime=..", "datetime"), ("datetime=", "datetime"), ("datetime=2025-01-01/2025-01-02/2025-01-03", "datetime"),
    ("datetime=2025-07-01T25:00:00Z", "datetime"), ("datetime=2025-07-01T10:00:00", "datetime"),
    ("filter=", "filter"), ("filter=secret=1", "secret"), ("filter=kind=", "filter"), ("filter-lang=cql2-text", "filter"),
    ("filter=TRUE&filter-lang=cql2-json", "filter-lang"), (f"filter-crs={EPSG}9210", "filter"),
    ("filter=TRUE&filter-crs=x", "filter-crs"), ("filter=inspector_note%20IS%20NULL", "inspector_note"),
    ("filter=" + "(" * 3000, "filter"), ("filter=" + "x" * 30_000, "filter"),
    ("sortby=nothing", "nothing"), ("sortby=", "sortby"), ("sortby=geometry", "geometry"), ("sortby=inspector_note", "inspector_note"),
    ("properties=nothing", "nothing"), ("properties=inspector_note", "inspector_note"), ("properties=", "properties"),
    ("kind=z", "kind"), ("year=soon", "year"), ("year=2000.5", "year"), ("year=", "year"), ("flow=inf", "flow"), ("flow=1_0", "flow"),
    ("valid_from=1.7.2025", "valid_from"), ("name_vi=", "name_vi"), ("inspector_note=x", "inspector_note"),
    ("f=xml", "f"), ("lang=fr", "lang"), ("f=json&f=html", "f"), ("a" * 5000 + "=1", "aaa"), ("name_vi=" + "x" * 5000, "name_vi"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "word"), BAD)
def test_a_bad_parameter_is_refused_with_its_name(client, query, word):
    for lang in ("" if "lang=" in query else "&lang=en", ""):
        answer = client.get(f"/ogc/collections/samples/items?{query}{lang}")
        assert answer.status_code == 400, answer.text[:300]
        assert answer.content_type == "application/problem+json"
        problem = answer.json
        assert set(problem) == {"type", "title", "status", "detail"} and problem["status"] == 400
        assert word in problem["detail"] and answer.headers["Cache-Control"] == "no-store"
        assert SECRET not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/ogc?foo=1", "/ogc/conformance?limit=1", "/ogc/api?f=yaml", "/ogc/collections?bbox=1,2,3,4",
        "/ogc/collections/samples?crs=x", "/ogc/collections/samples/queryables?x=", "/ogc/tileMatrixSets?f=html",
        "/ogc/collections/samples/items/S01?bbox=1,2,3,4", "/ogc/collections/samples/items/S01?crs=4326",
        "/ogc/collections/samples/tiles?f=html", "/ogc/collections/samples/tiles/WebMercatorQuad?f=mvt",
        "/ogc/collections/samples/tiles/WebMercatorQuad/1/0/0?lang=vi", "/ogc/tileMatrixSets/WebMercatorQuad?z=1",
    ],
)  # fmt: skip
def test_every_door_refuses_what_it_does_not_know(client, path):
    answer = client.get(path)
    assert answer.status_code == 400
    assert answer.mimetype == ("text/html" if "f=html" in path else "application/problem+json")


@pytest.mark.parametrize(
    "path",
    [
        "/ogc/nowhere", "/ogc/collections/nothing", "/ogc/collections/nothing/items", "/ogc/collections/samples/items/S99",
        "/ogc/collections/samples/items/S01/more", "/ogc/collections/case_notes", "/ogc/collections/case_notes/items",
        "/ogc/collections/case_notes/queryables", "/ogc/collections/case_notes/tiles", "/ogc/collections/norms/tiles",
        "/ogc/collections/samples/tiles/WorldCRS84Quad", "/ogc/tileMatrixSets/x", "/ogc/collections/%00/items",
        "/ogc/collections/..%2f..%2fetc/items", "/ogc/collections/samples/items/a%0Ab", "/ogc/a%0Ab", "/ogc/collections/samples/items/%F0%9F%98%80",
    ],
)  # fmt: skip
def test_what_is_not_there_is_404_as_json_and_as_a_page(client, path):
    answer = client.get(path)
    assert answer.status_code == 404 and answer.content_type == "application/problem+json"
    page = client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.status_code == 404 and page.mimetype == "text/html" and "<h1" in page.text


names = st.sampled_from(
    ["limit", "offset", "bbox", "bbox-crs", "crs", "datetime", "filter", "filter-crs", "filter-lang", "sortby", "properties",
     "kind", "year", "name_vi", "valid_from", "f", "lang", "inspector_note"]
)  # fmt: skip
values = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [*SYSTEMS, "2025-07-01/..", "106,20,107,21", "year > 2010", "-year", "code,kind", "1e400", "null", "-0"]
    ),
    st.floats().map(str),
    st.lists(st.floats(), min_size=4, max_size=6).map(lambda v: ",".join(map(repr, v))),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(names, values), max_size=4))
def test_whatever_is_asked_is_answered_or_refused(client, pairs):
    answer = client.get(f"/ogc/collections/samples/items?{urlencode(pairs)}")
    assert answer.status_code in (200, 400)
    assert SECRET not in answer.text


# --- nothing internal ---


def test_no_internal_field_or_layer_is_anywhere(client, app):
    """Every address under /ogc and /data that exists for the samples, in every form."""
    base, grid = "/ogc/collections/samples", "/ogc/collections/samples/tiles/WebMercatorQuad"
    paths = [base, f"{base}/queryables", f"{base}/items?limit=40", f"{base}/items/S01", f"{base}/tiles", grid,
             f"{grid}?f=tilejson", f"{grid}/8/112/203", "/ogc", "/ogc/api", "/ogc/collections", "/data", "/data/catalog.jsonld",
             "/data/samples.csv?outlines=yes", "/data/samples.geojson", "/data/samples.kml"]  # fmt: skip
    paths += [p + ("&" if "?" in p else "?") + "f=html" for p in paths[:4]] + ["/ogc?f=html", "/ogc/api?f=html"]
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert SECRET.encode() not in answer.data and b"inspector_note" not in answer.data, path
        assert b"case_notes" not in answer.data, path
    for kind in ("xlsx", "zip"):
        box = zipfile.ZipFile(io.BytesIO(client.get(f"/data/samples.{kind}").data))
        assert not any(b"inspector" in box.read(n) or SECRET.encode() in box.read(n) for n in box.namelist())
    assert client.get("/data/case_notes.csv").status_code == 404


def test_texts_of_people_stay_texts_on_pages(client):
    for path in ("/ogc/collections/samples/items?f=html", "/ogc/collections/samples/items/S00?f=html",
                 "/ogc/collections/samples/items?f=html&filter=name_vi%3D%27%3Cscript%3Ealert(1)%3C/script%3E%27"):  # fmt: skip
        text = client.get(path).text
        assert "<script>alert" not in text and "alert(1)" in text
    assert "<script>" not in client.get("/ogc/collections/%3Cscript%3E/items?f=html").text


# --- caches ---


def test_the_same_version_is_not_sent_twice_and_a_new_one_is(client, store):
    for path in ("/ogc/collections/samples/items?limit=3", "/ogc/collections/samples/items/S01",
                 "/ogc/collections/samples", "/ogc/api", "/ogc", "/data/samples.csv", "/data/catalog.jsonld"):  # fmt: skip
        first = client.get(path)
        tag = {"If-None-Match": first.headers["ETag"]}
        again = client.get(path, headers=tag)
        assert (again.status_code, again.data) == (304, b""), path
        assert (
            client.get(f"{path}{'&' if '?' in path else '?'}lang=en").headers["ETag"] != first.headers["ETag"]
            or "/data/" in path
        )
    before = client.get("/ogc/collections/samples/items?limit=3")
    store.number += 1
    store.frame = store.frame.assign(year=store.frame["year"] + 100)
    after = client.get("/ogc/collections/samples/items?limit=3", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.json["features"][0]["properties"]["year"] == before.json["features"][0]["properties"]["year"] + 100
    store.number += 1
    store.frame = store.frame.assign(year=store.frame["year"] - 100)


def test_answers_are_squeezed_for_those_who_can(client):
    for path in (
        "/ogc/api",
        "/ogc/collections",
        "/ogc/collections/samples/items",
        "/ogc/collections/hotspots/queryables",
    ):
        plain, small = client.get(path), client.get(path, headers={"Accept-Encoding": "gzip"})
        assert small.headers["Content-Encoding"] == "gzip" and gzip.decompress(small.data) == plain.data
        assert len(small.data) < len(plain.data) and "Accept-Encoding" in small.headers["Vary"]


def test_other_sites_may_read_the_data_but_not_the_pages(client):
    assert client.get("/ogc/collections/samples/items").headers["Access-Control-Allow-Origin"] == "*"
    assert client.get("/ogc/collections/nothing").headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Origin" not in client.get("/ogc?f=html").headers


def test_a_page_is_put_together_from_features_written_once(store, monkeypatch):
    shelf = Collections(store)
    c = shelf.get("samples")
    first = c.page(EVERYTHING, 10, 0).features
    written = []
    monkeypatch.setattr(c, "_written", lambda rows, *_: written.append(rows) or ["{}"] * len(rows))
    assert c.page(EVERYTHING, 10, 0).features == first and written == []
    c.page(EVERYTHING, 10, 5)
    assert written == [[10, 11, 12, 13, 14]]
    assert shelf.get("samples") is c


def test_rows_once_found_are_kept_within_bounds(store):
    c = Collections(store).get("samples")
    for i in range(200):
        c.find(Selection((("n", str(i)),), equal=(("year", 2000.0 + i % 40),)))
    assert len(c._found) <= 32


def test_written_features_do_not_fill_the_memory(store, monkeypatch):
    monkeypatch.setattr("server.collections._KEPT_LETTERS", 1000)
    shelf = Collections(store)
    shelf.get("samples").page(EVERYTHING, 40, 0)
    assert shelf.get("samples").letters == 0


# --- forms and pages ---


def test_a_browser_gets_pages_and_a_program_gets_json(client):
    page = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    for path in ("/ogc", "/ogc/conformance", "/ogc/api", "/ogc/collections", "/ogc/collections/samples",
                 "/ogc/collections/samples/queryables", "/ogc/collections/samples/items", "/ogc/collections/samples/items/S01"):  # fmt: skip
        assert client.get(path, headers=page).mimetype == "text/html"
        assert client.get(path).mimetype != "text/html"
        assert client.get(path, headers={"Accept": "application/geo+json, text/html;q=0.5"}).mimetype != "text/html"
        for lang in ("vi", "en"):
            text = client.get(f"{path}?f=html&lang={lang}").text
            assert f'<html lang="{lang}">' in text and text.count("<h1") == 1


def test_what_is_wrong_is_told_beside_the_form(client):
    said = "name_v = '<b>\"x'"
    answer = client.get("/ogc/collections/samples/items", query_string={"f": "html", "filter": said, "lang": "en"})
    assert answer.status_code == 400 and answer.headers["Cache-Control"] == "no-store"
    form = answer.text[answer.text.index('<form class="choices"') :]
    assert 'value="name_v = &#39;&lt;b&gt;&#34;x&#39;"' in form and 'aria-invalid="true"' in form
    assert "There is no property “name_v” (letter 1)." in form and "<b>" not in answer.text
    for wrong in ("limit=x", "bbox=1,2,3", "datetime=never", "nothing=1"):
        answer = client.get(f"/ogc/collections/samples/items?f=html&lang=vi&{wrong}&sortby=-year")
        assert answer.status_code == 400 and "aria-invalid" not in answer.text
        assert 'id="choice-error" role="alert"' in answer.text and '<option value="-year" selected>' in answer.text
        assert '<input type="hidden" name="bbox"' not in answer.text, "nobody could mend it there"
        assert client.get(f"/ogc/collections/samples/items?f=json&{wrong}").mimetype == "application/problem+json"


def test_units_are_told_in_the_language_of_the_page(client):
    for path in ("", "/queryables", "/items/11383"):
        pages = {
            lang: client.get(f"/ogc/collections/admin_units{path}?f=html&lang={lang}").text for lang in ("vi", "en")
        }
        assert '<small class="quiet">người</small>' in pages["vi"] and '">people</small>' not in pages["vi"]
        assert '<small class="quiet">people</small>' in pages["en"]


def test_the_form_of_a_page_may_be_left_blank(client):
    text = get(client, "/ogc/collections/samples/items", f="html", filter="", sortby="", datetime="", lang="en").text
    assert len(re.findall(r"<tr data-code=", text)) == 40
    text = get(client, "/ogc/collections/samples/items", f="html", filter="year = 2003", lang="en").text
    assert re.findall(r'<tr data-code="([^"]+)"', text) == ["S03"] and "1 to 1 of 1" in text
    assert "No record is like that" in get(
        client, "/ogc/collections/samples/items", f="html", filter="year = 1", lang="en"
    ).text  # fmt: skip


def test_the_map_of_a_page_shows_the_rows_of_its_table(client):
    text = get(client, "/ogc/collections/samples/items", f="html", limit=20).text
    data = json.loads(re.search(r'<script type="application/json" id="map-data">(.*?)</script>', text, re.S).group(1))
    drawn = [f["properties"]["code"] for f in data["layers"]["features"]["data"]["features"]]
    table = re.findall(r'<tr data-code="([^"]+)"', text)
    assert len(table) == 20 and set(table) - set(drawn) == {"S08", "S17"} and set(drawn) < set(table)


def test_the_api_document_is_whole(client):
    made = client.get("/ogc/api").json
    assert made["openapi"].startswith("3.0")
    names = {m.group(1) for m in re.finditer(r'"#/components/schemas/(\w+)"', json.dumps(made))}
    assert names <= set(made["components"]["schemas"])
    operations = [o["get"]["operationId"] for o in made["paths"].values()]
    assert len(operations) == len(set(operations))
    for path, methods in made["paths"].items():
        inside = {p["name"] for p in methods["get"]["parameters"] if p["in"] == "path"}
        assert inside == set(re.findall(r"{(\w+)}", path))
        assert "400" in methods["get"]["responses"]
    items_of = {p["name"]: p for p in made["paths"]["/collections/samples/items"]["get"]["parameters"]}
    assert items_of["limit"]["schema"]["maximum"] == 10_000
    assert set(items_of) >= {f.name for f in public_fields("samples")} and "inspector_note" not in items_of


# --- files ---


def test_files_in_every_kind_and_system(client):
    page = client.get("/data?lang=en").text
    for kind in ("csv", "xlsx", "geojson", "gpkg", "zip", "kml", "fgb"):
        answer = client.get(f"/data/samples.{kind}?crs=9210")
        assert answer.status_code == 200 and len(answer.data) > 500
        assert f'formaction="/data/samples.{kind}"' in page
        name = answer.headers["Content-Disposition"].partition("filename=")[2]
        assert name == f"cang-xanh-samples{'' if kind in ('geojson', 'kml') else '-9210'}.{kind}"
    assert b"easting" in client.get("/data/samples.csv?crs=9209").data
    assert client.get("/data/samples.csv?crs=32648").status_code == 400
    assert client.get("/data/norms.kml").status_code == client.get("/data/samples.exe").status_code == 404
    assert client.get("/data?crs=9210").text.count('<option value="9210" selected>') > 5
    assert 'href="/ogc?f=html"' in page


def test_a_file_is_made_once_per_version(client, store, monkeypatch):
    first = client.get("/data/samples.xlsx").data
    kept = list((store.data_dir / "cache" / "files" / "samples").iterdir())
    assert kept
    monkeypatch.setattr("layers.formats.write", lambda *_, **__: pytest.fail("made again"))
    assert client.get("/data/samples.xlsx").data == first
    monkeypatch.undo()
    store.number += 1
    assert client.get("/data/samples.xlsx").data == first
    assert not set(kept) & set((store.data_dir / "cache" / "files" / "samples").iterdir())


def test_the_catalogue_for_portals(client):
    made = client.get("/data/catalog.jsonld")
    assert made.mimetype == "application/ld+json"
    sets = {d["dct:identifier"]: d for d in made.json["dcat:dataset"]}
    assert "samples" in sets and "intakes" not in sets  # nothing is in it yet
    one = sets["samples"]
    assert one["dct:title"] == [{"@language": "vi", "@value": "Mẫu thử"}, {"@language": "en", "@value": "Samples"}]
    labels = {"CSV", "XLSX", "GeoJSON", "GeoPackage", "Shapefile", "KML", "FlatGeobuf", "OGC API Features"}
    assert {d["dct:title"]["@value"] for d in one["dcat:distribution"]} >= labels
    for distribution in itertools.chain(*(d["dcat:distribution"] for d in sets.values())):
        for where in ("dcat:downloadURL", "dcat:accessURL"):
            assert where not in distribution or client.get(distribution[where]["@id"]).status_code == 200
        assert distribution.keys() & {"dcat:downloadURL", "dcat:accessService"}
        assert "dct:license" not in distribution and distribution["dct:rights"]
    assert one["dct:spatial"]["dcat:bbox"]["@value"].startswith("POLYGON((106.5 20.7")
    assert one["dct:modified"]["@value"].startswith("2026-11-22")
    period = sets["plant_states"]["dct:temporal"]
    assert period["dcat:startDate"] == {"@type": "xsd:date", "@value": "2012-01-01"} and "dcat:endDate" not in period
    prefixes = set(made.json["@context"])
    assert all(k.startswith("@") or k.partition(":")[0] in prefixes for k in keys_of(made.json) - prefixes)


# DCAT-AP 3.0.0: class -> (properties that must be there, properties that stand once at most).
AP = {
    "dcat:Catalog": ({"dct:title", "dct:description", "dct:publisher"},
                     {"dct:publisher", "dct:issued", "dct:modified", "foaf:homepage", "dct:license", "dct:rights"}),
    "dcat:Dataset": ({"dct:title", "dct:description"},
                     {"dct:publisher", "dct:issued", "dct:modified", "dct:accessRights", "dct:accrualPeriodicity",
                      "dcat:version"}),
    "dcat:Distribution": ({"dcat:accessURL"}, {"dct:format", "dcat:mediaType", "dct:license", "dct:rights", "dcat:byteSize",
                                               "dcat:packageFormat", "dct:issued", "dct:modified"}),
    "dcat:DataService": ({"dcat:endpointURL", "dct:title"}, {"dct:accessRights", "dct:license", "dct:publisher"}),
    "foaf:Agent": ({"foaf:name"}, {"dct:type"}),
    "vcard:Organization": ({"vcard:fn"}, set()),
    "dct:Location": (set(), {"dcat:bbox", "dcat:centroid", "locn:geometry"}),
    "dct:PeriodOfTime": (set(), {"dcat:startDate", "dcat:endDate"}),
}  # fmt: skip
SAID = {"dct:title", "dct:description", "foaf:name", "vcard:fn", "dcat:keyword", "dct:identifier", "dcat:version"}
LISTED = {"dcat:theme", "dct:language", "dcat:dataset", "dcat:distribution", "dcat:accessURL", "dcat:landingPage"}


def nodes_of(thing):
    if isinstance(thing, dict):
        yield thing
    for inner in thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list) else ():
        yield from nodes_of(inner)


def test_the_catalogue_keeps_the_application_profile(client):
    made = client.get("/data/catalog.jsonld").json
    found = set()
    for node in nodes_of({k: v for k, v in made.items() if k != "@context"}):
        kind = node.get("@type")
        if kind not in AP:
            assert "@id" in node or "@value" in node or kind in ("dct:RightsStatement", "dct:ProvenanceStatement"), node
            continue
        found.add(kind)
        must, once = AP[kind]
        assert must <= node.keys(), (kind, node.get("@id"))
        for name in once & node.keys():
            assert not isinstance(node[name], list) or len(node[name]) == 1, (kind, name)
        for name, value in node.items():
            values = value if isinstance(value, list) else [value]
            if name in SAID:
                assert all(isinstance(v, str) or v["@value"] for v in values), (kind, name)
            elif name in LISTED:
                assert all("@id" in v for v in values), (kind, name)
        for name in {"dct:title", "dct:description"} & node.keys():
            languages = [v.get("@language") for v in node[name]] if isinstance(node[name], list) else [None]
            assert len(languages) == len(set(languages)), (kind, name)
    assert found >= {"dcat:Catalog", "dcat:Dataset", "dcat:Distribution", "dcat:DataService", "foaf:Agent"}
    served = {s["@id"] for s in made["dcat:service"]["dcat:servesDataset"]}
    assert served == {d["@id"] for d in made["dcat:dataset"]}


def keys_of(thing):
    if isinstance(thing, dict):
        return set(thing).union(*map(keys_of, thing.values())) if thing else set()
    return set().union(*map(keys_of, thing)) if isinstance(thing, list) else set()


# --- in a browser ---


@pytest.mark.parametrize("width", [1366, 390])
def test_pages_are_clean_accessible_and_fit(app, width):
    axe = VENDOR / "axe-core" / "axe.min.js"
    if not axe.is_file():
        browser.missing("axe-core is not set up (python3 run.py test fetches it)")
    wrong = []
    pages = ("/ogc", "/ogc/api", "/ogc/conformance", "/ogc/collections", "/ogc/collections/samples", "/data",
             "/ogc/collections/samples/queryables", "/ogc/collections/samples/items", "/ogc/collections/samples/items/S01")  # fmt: skip
    with browser.serving(app) as site, browser.page(width=width) as (sheet, seen):
        for path, lang in itertools.product(pages, ("vi", "en")):
            sheet.goto(f"{site}{path}?lang={lang}" + ("&f=html" if path != "/data" else ""), wait_until="networkidle")
            if sheet.evaluate("document.documentElement.scrollWidth") > width:
                wrong.append(f"{path}: scrolls sideways")
            sheet.evaluate(axe.read_text(encoding="utf-8"))
            wrong += sheet.evaluate(
                "async () => (await axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']}))"
                ".violations.map(v => location.pathname + ' ' + v.id + ': ' + v.nodes[0].target.join(' '))"
            )
        assert not seen.outside and not wrong and not seen.errors, (seen.outside, wrong, seen.errors)
