"""The public pages in a real browser with the network blocked: what a reader would meet."""

import shutil
from datetime import date

import browser
import pytest

from layers.catalogue import ALL
from layers.checks import check
from server.app import create_app
from server.services import open_city
from server.settings import Settings

DAY = date(2026, 11, 22)
PAGES = ("/", "/coverage", "/coverage?measure=people&level=district", "/coverage?level=city", "/coverage/11383", "/coverage/303", "/hotspots",
         "/hotspots/HS02", "/facilities", "/facilities/WW01", "/indicators", "/method", "/data", "/about",
         "/search?q=an", "/nowhere")  # fmt: skip
READY = "() => !document.querySelector('.folium-map') || document.querySelector('.folium-map').dataset.ready"


@pytest.fixture(scope="module")
def folder(starter_store, tmp_path_factory):
    return shutil.copytree(starter_store, tmp_path_factory.mktemp("browser") / "data")


@pytest.fixture(scope="module")
def site(folder):
    services = open_city(folder, today=DAY)
    with browser.serving(create_app(Settings(data_dir=folder), services)) as address:
        yield address
    services.store.close()


def visit(sheet, address):
    sheet.goto(address, wait_until="networkidle")
    sheet.wait_for_function(READY)


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_pages_are_clean_accessible_and_fit(site, width, lang):
    """No console error, no outside request, no axe violation of level A or AA, title and lang, no sideways scroll."""
    wrong = []
    with browser.page(width=width, height=844 if width < 500 else 768) as (sheet, seen):
        for path in PAGES:
            visit(sheet, site + path + ("&" if "?" in path else "?") + f"lang={lang}")
            if sheet.evaluate("document.documentElement.lang") != lang or not sheet.title():
                wrong.append(f"{path}: title or lang missing")
            wrong += browser.faults(sheet, path)
        errors = [e for e in seen.errors if "404" not in e]
        assert not seen.outside and not errors and not wrong, (seen.outside, errors, wrong)
        assert [url for _code, url in seen.failed] == [f"{site}/nowhere?lang={lang}"]


def test_the_map_draws_what_the_table_lists(site):
    with browser.page() as (sheet, _seen):
        for path, layer, mark in (
            ("/coverage", "units", ".map-symbol"),
            ("/coverage?level=zone", "units", ".map-symbol"),
            ("/hotspots", "hotspots", ".map-sign"),
        ):
            visit(sheet, site + path)
            rows = sheet.locator("tr[data-code]").count()
            drawn = int(sheet.locator(".folium-map").get_attribute(f"data-drawn-{layer}"))
            unplaced = {"/hotspots": 2}.get(path, 0)
            assert drawn == rows - unplaced > 0
            assert sheet.locator(f".folium-map {mark}").count() == drawn


def test_first_map_is_usable_under_400_kb(site):
    with browser.page() as (sheet, _seen):
        client = sheet.context.new_cdp_session(sheet)
        client.send("Network.enable")
        received = []
        client.on("Network.loadingFinished", lambda e: received.append(e["encodedDataLength"]))
        visit(sheet, site + "/")
        assert 50_000 < sum(received) < 400_000, sum(received)


def test_keyboard_reaches_the_table_first_and_sorts_it(site):
    with browser.page() as (sheet, _seen):
        visit(sheet, site + "/coverage?lang=en")
        sheet.keyboard.press("Tab")
        assert sheet.evaluate("document.activeElement.textContent.trim()") == "To the table"
        sheet.keyboard.press("Enter")
        assert sheet.evaluate("location.hash") == "#units-region"
        button = sheet.locator("#units th[data-sort=text] button").first
        button.focus()
        sheet.keyboard.press("Enter")
        assert button.locator("xpath=..").get_attribute("aria-sort") == "ascending"
        names = sheet.locator("#units tbody th").all_text_contents()
        assert names[0].strip() < names[-1].strip()


def test_search_suggests_and_opens_by_keyboard(site):
    with browser.page() as (sheet, _seen):
        visit(sheet, site + "/?lang=en")
        box = sheet.locator("#q-big")
        box.press_sequentially("hang kenh", delay=5)
        option = sheet.locator("#q-big ~ [role=listbox] [role=option]").first
        option.wait_for()
        assert "before July 2025" in option.text_content()
        box.press("ArrowDown")
        assert box.get_attribute("aria-activedescendant")
        box.press("Enter")
        sheet.wait_for_url("**/coverage/11383")


def test_a_symbol_and_its_row_point_at_each_other(site):
    with browser.page() as (sheet, _seen):
        visit(sheet, site + "/hotspots?lang=en&q=tran")
        sheet.locator(".map-sign").first.click(force=True)
        sheet.locator(".leaflet-popup a").first.wait_for()
        assert sheet.locator("tr.is-selected").count() == 1


def test_without_scripts_the_figures_are_there(site):
    with browser.page(scripts=False) as (sheet, seen):
        sheet.goto(site + "/coverage?level=district&lang=en")
        assert sheet.locator("tr[data-code]").count() == 16
        assert "The map needs scripts" in sheet.locator(".map-stage noscript").inner_html()
        sheet.get_by_label("people", exact=True).check(force=True)
        sheet.get_by_role("button", name="Show", exact=True).click()
        assert "measure=people" in sheet.url
        assert not seen.outside


HOSTILE = "<img src=x onerror='window.__xss=1'></script><script>window.__xss=1</script>${window.__xss=1}`+(window.__xss=1)+`{{7*7}}"


def test_hostile_text_in_every_text_field_runs_no_script(starter_store, tmp_path):
    """Every free text of every layer and table is made hostile; no page runs any of it."""
    folder = shutil.copytree(starter_store, tmp_path / "data")
    services = open_city(folder, today=DAY)
    keep = {"code", "kind", "source_date", "media", "unit", "destination", "plant", "old_unit", "ward_code", "key",
            "topic", "value", "year", "basis", "compare_with", "side", "district_old", "kind_en"}  # fmt: skip
    made = []
    for name, layer in ALL.items():
        rows = services.store.snapshot(name).copy()
        for f in layer.fields:
            if f.kind == "text" and not f.allowed and f.name not in keep:
                rows[f.name] = [f"{v or ''} {HOSTILE} {i}" for i, v in enumerate(rows[f.name])]
        made.append(check(layer, rows))
    services.store.write_all(made, source="hostile")
    with (
        browser.serving(create_app(Settings(data_dir=folder), services)) as site,
        browser.page() as (sheet, seen),
    ):
        sheet.add_init_script("window.__xss = 0")
        for path in (*PAGES[:-1], "/search?q=onerror", "/facilities/KCN05", "/coverage/KCN05"):
            visit(sheet, site + path)
            sheet.evaluate(
                "() => { const m = window.cangxanh && window.cangxanh.map; if (m) m.eachLayer(l => "
                "{ try { l.openPopup && l.openPopup(); } catch (e) {} }); }"
            )
            sheet.wait_for_timeout(60)
            assert sheet.evaluate("window.__xss") == 0, path
            assert sheet.locator("img[src=x]").count() == 0, path
            assert "49" not in sheet.title()
        sheet.goto(site + "/")
        sheet.locator("#q-big").press_sequentially("le chan", delay=5)
        sheet.locator("[role=option]").first.wait_for()
        assert sheet.evaluate("window.__xss") == 0
        assert not [e for e in seen.errors if "Content Security" in e]
        assert not seen.outside
    services.store.close()
