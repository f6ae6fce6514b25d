"""Old and new boundaries as a reader meets them: pages, files, the ledger's address and command, lists."""

import csv
import io
import json
import re
import shutil

import browser
import pytest
from test_boundaries import DAY

from layers.catalogue import ALL
from layers.checks import check
from server import cli
from server.app import create_app
from server.services import open_city
from server.settings import Settings


@pytest.fixture(scope="module")
def city(starter_store, tmp_path_factory):
    folder = shutil.copytree(starter_store, tmp_path_factory.mktemp("boundaries") / "data")
    services = open_city(folder, today=DAY)
    yield services
    services.close()


@pytest.fixture(scope="module")
def app(city):
    return create_app(Settings(data_dir=city.store.data_dir), city)


@pytest.fixture(scope="module")
def client(app):
    return app.test_client()


def page(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, address
    return re.sub(r"\s+", " ", answer.get_data(as_text=True))


def rows(client, address):
    return list(csv.DictReader(io.StringIO(client.get(address).data.decode("utf-8-sig"))))


def row_of(text, code):
    return re.search(rf'<tr data-code="{code}">.*?</tr>', text).group()


# --- the coverage page ---


def test_the_selector_keeps_every_other_choice(client):
    text = page(client, "/coverage?level=district&measure=people&plants=building&lang=en")
    form = re.search(r'<form class="choices".*?</form>', text).group()
    for words in ("today's 114 units", "15 old districts", "old city", "only zones"):
        assert words in form.replace("&#39;", "'")
    assert re.search(r'name="level" value="district" checked', form)
    assert re.search(r'name="plants" value="building" checked', form)


@pytest.mark.parametrize(
    ("lang", "level", "words"),
    [
        ("en", "district", ("The total agrees: 374,000 m³ a day", "6 wards lie in two old districts", "≈")),
        ("vi", "district", ("Tổng khớp: 374.000 m³/ngày", "6 phường, xã nằm trên hai huyện cũ", "≈")),
        ("en", "city", ("The total agrees: 374,000 m³ a day", "no share is estimated", "outside the old city")),
        ("vi", "city", ("Tổng khớp: 374.000 m³/ngày", "không có tỷ lệ nào phải ước tính", "ngoài thành phố cũ")),
    ],
)
def test_a_view_of_old_units_says_what_it_stands_on(client, lang, level, words):
    text = page(client, f"/coverage?level={level}&lang={lang}")
    for w in words:
        assert w in text, w


def test_figures_on_estimated_shares_carry_the_sign_and_its_words(client):
    text = page(client, "/coverage?level=district&lang=en")
    for code, marked in (("303", True), ("309", True), ("314", False), ("318", False), ("HD", False)):
        row = row_of(text, code)
        assert ("partly on estimated shares:" in row) == marked == ('class="estimate"' in row), code
    assert "outside the old city" in row_of(text, "HD") and "outside the old city" not in row_of(text, "303")
    assert 'class="estimate"' not in page(client, "/coverage?level=city&lang=en").split("<tbody")[-1]
    assert "Old boundaries" not in page(client, "/coverage?lang=en")


def test_the_wards_of_two_districts_are_listed_with_their_shares(client):
    text = page(client, "/coverage?level=district&lang=en")
    listed = re.search(r'<ul class="shares">.*?</ul>', text).group()
    assert listed.count("<li>") == 6 and "91% An Duong District" in listed and "estimated by area" in listed
    assert "Resolution 1232" in text, "the boundaries that no share is known for"


def test_the_map_has_the_old_outlines_marked_schematic(client):
    document = client.get("/coverage?level=district&lang=en").get_data(as_text=True)
    found = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', document, re.S)
    data = next(d for d in map(json.loads, found) if "layers" in d)
    layer = data["layers"]["old-units"]
    assert len(layer["data"]["features"]) == 16 and layer["style"]["dashArray"]
    assert "Old boundaries, schematic" in document and "old-units" not in page(client, "/coverage?lang=en")
    ends = [tuple(map(tuple, part)) for f in layer["data"]["features"] for part in lines(f["geometry"])]
    assert len(ends) == len(set(ends)), "no edge is drawn twice"


def lines(geometry):
    return [geometry["coordinates"]] if geometry["type"] == "LineString" else geometry["coordinates"]


def test_files_hold_the_estimates_and_add_up_as_on_todays_units(client):
    sums = {}
    for level in ("ward", "district", "city"):
        held = rows(client, f"/coverage.csv?level={level}")
        sums[level] = sum(float(r["generated_likely_m3d"]) for r in held)
        for r in held:
            estimated = float(r["estimated_m3d"] or 0)
            assert estimated <= float(r["generated_likely_m3d"]) * (1 + 1e-9)
            assert bool(r["link_basis"]) == (estimated > 0)
    assert sums["district"] == pytest.approx(sums["ward"], rel=1e-9) and sums["city"] == pytest.approx(
        sums["ward"], rel=1e-9
    )
    districts = {r["code"]: r for r in rows(client, "/coverage.csv?level=district")}
    assert districts["HD"]["outside_old_city"] == "yes" and districts["303"]["outside_old_city"] == "no"
    assert districts["303"]["link_basis"] == "area" and not districts["314"]["link_basis"]


# --- units ---


def test_a_ward_says_where_it_lay_and_a_district_what_it_is_made_of(client):
    ward = page(client, "/coverage/11602?lang=en")
    assert re.search(r'≈</span>.{0,80}91%.{0,60}/coverage/312">An Duong District', ward)
    assert "Resolution 1669/NQ-UBTVQH15" in ward
    whole = page(client, "/coverage/11680?lang=en")
    assert re.search(r'100%</span><span><a href="/coverage/314">', whole) and "wholly, known by name" in whole
    district = page(client, "/coverage/303?lang=en")
    assert (
        "98.5% of it lies here" in district
        and "9% of it lies here" in district
        and "until 31 December 2024" in district
    )
    assert "of the waste water stands on estimated shares" in district
    assert "stands on estimated shares" not in page(client, "/coverage/314?lang=en")
    zone = page(client, "/coverage/KCN05?lang=vi")
    assert "theo vị trí" in zone and "/coverage/306" in zone


# --- for programs ---


@pytest.mark.parametrize(("units", "by"), [("today", "ward"), ("districts", "district"), ("old-city", "city")])
def test_the_ledger_by_address(client, units, by):
    made = client.get(f"/api/ledger?units={units}").get_json()
    assert made["by"] == by and made == client.get(f"/api/ledger?by={by}").get_json()
    assert made["boundaries"]["code"] == ("2025-07" if by == "ward" else "2024")
    if by == "ward":
        assert made["agreement"] is None and "estimate" not in made["units"][0]
    else:
        assert made["agreement"]["equal"] is True
        assert made["agreement"]["groups"] == pytest.approx(sum(u["generated"]["likely"] for u in made["units"]))
        assert [u["code"] for u in made["units"] if u["outside"]] == [{"district": "HD", "city": "HD-2024"}[by]]


def test_unknown_boundaries_are_refused(client):
    answer = client.get("/api/ledger?units=2019&lang=en")
    assert answer.status_code == 400 and "today, districts, old-city" in answer.get_data(as_text=True)


def test_the_command(capfdbinary, city):
    assert cli.main(["ledger", "--data", str(city.store.data_dir), "--units", "districts"]) == 0
    out = capfdbinary.readouterr().out.decode()
    assert "≈" in out and "the same as today's units" in out and "lies outside the old city" in out
    assert "until 31 December 2024" in out
    with pytest.raises(SystemExit):
        cli.main(["ledger", "--data", str(city.store.data_dir), "--units", "districts", "--by", "ward"])


# --- lists ---


@pytest.mark.parametrize("name", ["hotspots", "facilities"])
def test_lists_filter_by_old_district(client, city, name):
    every, mine = rows(client, f"/{name}.csv"), rows(client, f"/{name}.csv?district=306")
    found = city.figures.old_districts()
    assert 0 < len(mine) < len(every)
    assert [r["code"] for r in mine] == [r["code"] for r in every if "306" in found[r["code"]]]
    text = page(client, f"/{name}?district=306&lang=vi")
    assert re.findall(r'<tr data-code="([^"]+)"', text) == [r["code"] for r in mine]
    assert re.search(r'<option value="306" selected>Quận Hải An', text)
    assert client.get(f"/{name}?district=999").status_code == 400
    assert page(client, f"/{name}?district=318&lang=vi")


def test_a_hotspot_of_several_districts_is_found_in_each(client):
    for code in ("303", "304", "305"):
        assert "HS23" in {r["code"] for r in rows(client, f"/hotspots.csv?district={code}")}


def test_records_tell_their_boundary_version(client):
    assert "đến 31/12/2024" in page(client, "/hotspots/HS07?lang=vi")
    assert "until 31 December 2024" in page(client, "/facilities/KCN05?lang=en")


# --- the method ---


@pytest.mark.parametrize(
    ("lang", "words"),
    [("en", ("1,300", "32.7%", "47.5%", "Together 1,400, as the units have (1,400)", "Resolution 1232")),
     ("vi", ("1.300", "32,7\u00a0%", "47,5\u00a0%", "Cộng lại 1.400", "Nghị quyết 1232"))],
)  # fmt: skip
def test_the_method_has_the_worked_example(client, lang, words):
    answer = client.get(f"/method?lang={lang}").get_data(as_text=True)
    section = re.sub(r"[ \n]+", " ", answer.split('id="boundaries"')[1].split('id="stages"')[0])
    for w in words:
        assert w in section, w


# --- what people wrote ---


def test_hostile_names_and_broken_shares_do_no_harm(starter_store, tmp_path):
    services = open_city(shutil.copytree(starter_store, tmp_path / "data"), today=DAY)
    try:
        admin = services.store.snapshot("admin_units")
        evil = admin[admin["code"] == "303"].assign(name_vi="<img src=x onerror=alert(1)>", name_en="${alert(1)}`")
        services.store.write(check(ALL["admin_units"], evil, repair=False), source="test", mode="upsert")
        cross = services.store.snapshot("crosswalk")
        half = cross[(cross["unit"] == "11443") & (cross["old_unit"] == "307")].assign(share=0.5, basis="declared")
        services.store.write(check(ALL["crosswalk"], half, repair=False), source="test", mode="upsert")
        client = create_app(Settings(data_dir=services.store.data_dir), services).test_client()
        for address in ("/coverage?level=district", "/coverage/303", "/coverage/11311", "/facilities", "/hotspots"):
            for lang in ("vi", "en"):
                answer = client.get(address + ("&" if "?" in address else "?") + f"lang={lang}")
                text = answer.get_data(as_text=True)
                assert answer.status_code == 200 and "<img src=x" not in text
        text = page(client, "/coverage?level=district&lang=en")
        assert "do not add up to one" in text and "Kien An Ward: 50%" in text and "The total agrees" in text
    finally:
        services.close()


# --- in a browser ---


@pytest.mark.parametrize("width", [1366, 390])
def test_pages_are_accessible_and_fit(app, width):
    wrong = []
    with browser.serving(app) as site, browser.page(width=width, height=844) as (sheet, seen):
        for path in (
            "/coverage?level=district",
            "/coverage?level=city&measure=people",
            "/coverage/303",
            "/coverage/11602",
            "/method",
            "/hotspots?units=districts",
            "/facilities?district=306",
        ):
            for lang in ("vi", "en"):
                sheet.goto(f"{site}{path}{'&' if '?' in path else '?'}lang={lang}", wait_until="networkidle")
                wrong += browser.faults(sheet, f"{path} {lang}")
    assert not wrong and not seen.errors and not seen.outside, (wrong, seen.errors, seen.outside)


@pytest.mark.parametrize("units", ["today", "districts", "old-city"])
@pytest.mark.parametrize("choice", ["", "&medium=water", "&district=306"])
def test_hotspots_counted_by_place_add_up_to_the_list(client, units, choice):
    text = page(client, f"/hotspots?units={units}{choice}&lang=en")
    listed = re.findall(r'<tr data-code="(HS[^"]+)"', text)
    table = re.search(r'<table id="places".*?</table>', text).group()
    counts = [
        tuple(map(int, re.findall(r'data-v="(\d+)"', r))) for r in re.findall(r"<tbody.*", table)[0].split("<tr")[1:]
    ]
    assert sum(n for n, _open in counts) == len(listed) > 0
    assert all(o <= n for n, o in counts)
    assert re.search(
        r'aria-current="true">' + {"today": "today", "districts": "15 old", "old-city": "old city"}[units], text
    )


def test_a_hotspot_of_several_districts_is_counted_once(client):
    text = page(client, "/hotspots?units=districts&lang=vi")
    table = re.search(r'<table id="places".*?</table>', text).group()
    assert "thuộc nhiều đơn vị" in table and "Huyện Thủy Nguyên" in table
    city = re.search(r'<table id="places".*?</table>', page(client, "/hotspots?units=old-city&lang=vi")).group()
    assert "thuộc nhiều đơn vị" not in city and "trước 1/7/2025" in city
