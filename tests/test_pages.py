"""Every public page without a browser: it answers in both languages, refuses clearly, and its counts agree."""

import csv
import io
import json
import re
import shutil
import sqlite3
from datetime import date

import pandas as pd
import pytest

from geo.coverage import PARTS, SCENARIOS
from server.app import create_app
from server.services import open_city
from server.settings import Settings

DAY = date(2026, 11, 22)
PAGES = (
    "/",
    "/coverage",
    "/coverage/11383",
    "/coverage/11914",
    "/coverage/KCN05",
    "/coverage/PT01",
    "/coverage/303",
    "/coverage/HP",
    "/coverage/HP-2024",
    "/hotspots",
    "/hotspots/HS07",
    "/hotspots/HS05",
    "/facilities",
    "/facilities/WW01",
    "/facilities/KCN07",
    "/facilities/PT00",
    "/facilities/WS04",
    "/facilities/EZ01",
    "/indicators",
    "/method",
    "/data",
    "/about",
    "/search",
    "/search?q=an",
    "/search?q=khongco",
)
VIEWS = [
    f"measure={m}&level={g}&plants={p}"
    for m in ("m3", "people", "facilities")
    for g in ("ward", "district", "city", "zone")
    for p in ("working", "building")
]


@pytest.fixture(scope="module")
def city(starter_store, tmp_path_factory):
    folder = shutil.copytree(starter_store, tmp_path_factory.mktemp("pages") / "data")
    services = open_city(folder, today=DAY)
    yield services
    services.store.close()


@pytest.fixture(scope="module")
def client(city):
    return create_app(Settings(data_dir=city.store.data_dir), city).test_client()


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("lang", ["vi", "en"])
def test_every_page_answers_in_both_languages(client, address, lang):
    page = client.get(address + ("&" if "?" in address else "?") + f"lang={lang}")
    text = page.get_data(as_text=True)
    assert page.status_code == 200, address
    assert f'<html lang="{lang}">' in text
    assert re.search(r"<title>\S.* · Cảng Xanh</title>", text)
    assert text.count("<h1") == 1
    assert "nan" not in re.sub(r"<script.*?</script>", "", text, flags=re.S).lower().replace("hải nan", "").split()


@pytest.mark.parametrize(
    "address",
    [
        "/coverage/99999",
        "/hotspots/HS99",
        "/facilities/XX",
        "/data/users.csv",
        "/data/hotspots.exe",
        "/data/crosswalk.geojson",
        "/nowhere",
    ],
)
def test_what_does_not_exist_is_404(client, address):
    assert client.get(address).status_code == 404


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/coverage?measure=kg&lang=en", "measure"),
        ("/coverage?level=planet&lang=en", "ward, district, city, zone"),
        ("/coverage?date=22/11/2026&lang=en", "2026-11-22"),
        ("/coverage?date=1066-10-14&lang=en", "2010-01-01"),
        ("/hotspots?stage=clean&lang=en", "stage"),
        ("/api/ledger?by=street&lang=en", "by"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_with_a_sentence(client, address, words):
    answer = client.get(address)
    assert answer.status_code == 400
    assert words in answer.get_data(as_text=True)


@pytest.mark.parametrize("view", VIEWS)
def test_map_table_and_downloads_show_the_same_rows(client, view):
    page = client.get(f"/coverage?{view}&lang=en").get_data(as_text=True)
    in_map = {f["code"]: f for f in map_data(page)["layers"]["units"]["features"]}
    in_table = re.findall(r'<tr data-code="([^"]+)"', page)
    in_csv = read_csv(client.get(f"/coverage.csv?{view}").data)
    in_geojson = json.loads(client.get(f"/coverage.geojson?{view}").data)["features"]
    assert in_table == [r["code"] for r in in_csv] == [f["properties"]["code"] for f in in_geojson]
    placed = [f["properties"]["code"] for f in in_geojson if f["geometry"]]
    assert sorted(in_map) == sorted(placed)
    if "measure=m3" in view:
        for row in in_csv:
            if row["code"] in in_map:
                f, parts = in_map[row["code"]], {p: float(row[f"{p}_likely_m3d"]) for p in PARTS}
                assert f["unknown"] == pytest.approx(parts["unknown"], abs=0.01)
                assert f["treated"] == pytest.approx(sum(parts[p] for p in PARTS[:3]), abs=0.01)


@pytest.mark.parametrize("page", ["hotspots", "facilities"])
@pytest.mark.parametrize("choice", ["", "?q=minh", "?q=kien+an"])
def test_lists_maps_and_downloads_agree(client, page, choice):
    text = client.get(f"/{page}{choice}").get_data(as_text=True)
    table = re.findall(r'<tr data-code="([^"]+)"', text)
    rows = read_csv(client.get(f"/{page}.csv{choice}").data)
    features = json.loads(client.get(f"/{page}.geojson{choice}").data)["features"]
    drawn = [f["code"] for x in map_data(text)["layers"].values() if x["kind"] == "signs" for f in x["features"]]
    assert table and table == [r["code"] for r in rows] == [f["properties"]["code"] for f in features]
    assert sorted(drawn) == sorted(f["properties"]["code"] for f in features if f["geometry"])


@pytest.mark.parametrize("page", ["hotspots", "hotspots?medium=water", "facilities", "facilities?kind=port"])
def test_the_key_of_a_map_counts_the_rows_of_its_table(client, page):
    text = client.get(f"/{page}{'&' if '?' in page else '?'}lang=en").get_data(as_text=True)
    side = text[text.index('class="map-side"') : text.index("data-map-status")]
    counted = sum(int(n) for n in re.findall(r'class="count">(\d+)<', side))
    assert counted == len(re.findall(r"<tr data-code", text)) > 0


def test_the_key_of_the_coverage_map_counts_what_is_drawn(client):
    text = client.get("/?lang=en").get_data(as_text=True)
    for layer, spec in map_data(text)["layers"].items():
        if spec["kind"] in ("symbols", "signs"):
            label = re.search(rf'data-layer="{layer}"[^>]*>([^<]+)<', text).group(1)
            assert label.strip().endswith(f"({len(spec['features'])})")


def test_the_sentence_of_the_first_page_is_the_ledger(client, city):
    text = client.get("/?lang=en").get_data(as_text=True)
    total = city.figures.coverage("ward", DAY).total
    assert f"{round(total['generated']['likely'], -3):,.0f} m³" in re.search(r"<h1>.*?</h1>", text, re.S).group(0)
    assert f"{total['treated_share']['likely']:.0%}" in text


def test_ledger_for_programs_adds_up(client):
    for by in ("ward", "district", "city"):
        made = client.get(f"/api/ledger?by={by}").get_json()
        for s in SCENARIOS:
            whole = made["total"]["generated"][s]
            assert sum(made["total"]["parts"][p][s] for p in PARTS) == pytest.approx(whole, abs=1e-6)
            assert sum(u["generated"][s] for u in made["units"]) == pytest.approx(whole, abs=1e-6)


def test_numbers_and_dates_are_written_as_each_language_writes_them(client):
    vi, en = (client.get(f"/coverage/11383?lang={x}").get_data(as_text=True) for x in ("vi", "en"))
    assert "161.051" in vi and "161,051" in en
    assert "22/11/2026" in vi and "22 Nov 2026" in en


def test_the_language_switch_keeps_the_settings(client):
    text = client.get("/coverage?measure=people&level=district&lang=vi").get_data(as_text=True)
    link = re.search(r'href="(\?[^"]*lang=en[^"]*)"', text).group(1).replace("&amp;", "&")
    assert "measure=people" in link and "level=district" in link


def test_the_card_says_what_is_known_and_what_is_not(client):
    text = client.get("/coverage/11383?lang=en").get_data(as_text=True)
    for piece in ("Vinh Niem WWTP", "161,051 × 105 × 0.9 / 1000", "meets the standard", "How do we know?"):
        assert piece in text
    text = client.get("/coverage/PT01?lang=en").get_data(as_text=True)
    assert "no declared flow was found" in text


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("duong kinh", "/coverage/11692"),
        ("Dương Kinh", "/coverage/11692"),
        ("phuong hung dao", "/coverage/11689"),
        ("hàng kênh", "/coverage/11383"),
        ("kcn nomura", "/facilities/KCN01"),
        ("khu cong nghiep vsip", "/facilities/KCN07"),
        ("HS07", "/hotspots/HS07"),
        ("cat ba", "/coverage/11914"),
    ],
)
def test_search_finds_places_by_old_new_and_short_names(client, typed, address):
    found = client.get("/api/suggest", query_string={"q": typed}).get_json()
    assert found[0]["url"] == address


def test_an_old_name_is_called_old(client):
    found = client.get("/api/suggest?q=hang+kenh&lang=en").get_json()
    assert "before July 2025" in found[0]["note"]


def test_indicators_stand_beside_each_other_with_the_reason(client):
    text = client.get("/indicators?lang=en").get_data(as_text=True)
    section = next(s for s in re.findall(r"<section.*?</section>", text, re.S) if "21.2" in s)
    assert "&lt;10" in section and "computed here" in section and "Why they differ" in section and "&gt;90" in section


def test_health_tells_the_version_of_the_data(client, city):
    made = client.get("/healthz").get_json()
    assert made["status"] == "ok" and city.figures.version().startswith(f"{made['data_version']}-")


def test_downloads_are_what_they_say(client, tmp_path):
    path = tmp_path / "x.gpkg"
    with client.get("/data/cang-xanh.gpkg") as answer:
        path.write_bytes(answer.data)
    with sqlite3.connect(path) as con:
        assert con.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert con.execute("SELECT count(*) FROM hotspots").fetchone() == (29,)
    con.close()
    rows = read_csv(client.get("/data/admin_units.csv").data)
    assert sum(r["kind"] in ("ward", "commune", "special_zone") for r in rows) == 114
    made = json.loads(client.get("/data/land.geojson").data)
    assert made["type"] == "FeatureCollection" and len(made["features"]) == 4
    with client.get("/data/population.tif") as answer:
        assert answer.data[:2] in (b"II", b"MM")


def test_a_stopped_plant_changes_pages_and_programs_that_day(starter_store, tmp_path):
    from layers.catalogue import ALL
    from layers.checks import check

    services = open_city(shutil.copytree(starter_store, tmp_path / "data"), today=DAY)
    try:
        client = create_app(Settings(data_dir=tmp_path), services).test_client()
        before = client.get("/api/ledger?as_of=2026-11-22").get_json()["total"]["treated_share"]["likely"]
        states = services.store.snapshot("plant_states").copy()
        running = (states["plant"] == "WW01") & states["valid_to"].isna()
        states.loc[running, "valid_to"] = pd.Timestamp("2026-11-01")
        idle = states[running].assign(state="idle", valid_from=pd.Timestamp("2026-11-01"), valid_to=pd.NaT)
        made = check(ALL["plant_states"], pd.concat([states, idle], ignore_index=True))
        services.store.write(made, source="test")
        after = client.get("/api/ledger?as_of=2026-11-22").get_json()["total"]["treated_share"]["likely"]
        old = client.get("/api/ledger?as_of=2026-10-31").get_json()["total"]["treated_share"]["likely"]
        assert after < before == pytest.approx(old)
        assert "Not working" in client.get("/facilities/WW01?lang=en").get_data(as_text=True)
        assert "Not working" in client.get("/coverage/11383?lang=en").get_data(as_text=True)
    finally:
        services.store.close()


def map_data(page):
    return json.loads(re.search(r'id="map-data">(.*?)</script>', page, re.S).group(1))


def read_csv(data):
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
