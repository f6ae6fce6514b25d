"""The pages of imports in a real browser: by mouse, by keyboard, without scripts, on a phone; found clean by axe."""

import re
import threading

import browser
import pyproj
import pytest
import staffroom

from server import worker


@pytest.fixture(scope="module")
def site(starter_store, tmp_path_factory):
    """(address, office) of a city whose work is done beside its pages, as the worker does it."""
    ended = threading.Event()
    with staffroom.office(starter_store, tmp_path_factory.mktemp("imports") / "data") as office:

        def work():
            while not ended.wait(0.1):
                worker.work_off(office.services)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        with browser.serving(office.app) as address:
            yield address, office
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def listed(tmp_path_factory, starter_facts):
    """A list in VN-2000 without names of communes: one row is known, one is refused."""
    wards = starter_facts.snapshot("admin_units")
    wards = wards[wards["kind"] == "ward"].iloc[:6]
    e, n = pyproj.Transformer.from_crs(4326, 9210, always_xy=True).transform(
        wards["centre_lon"].to_numpy(float), wards["centre_lat"].to_numpy(float)
    )
    known = starter_facts.snapshot("waste_sites")["code"].iloc[0]
    lines = ["code;kind;name_vi;X;Y"]
    for i, (x, y) in enumerate(zip(e, n, strict=True)):
        lines.append(f"{known if i == 0 else f'T{i}'};{'moon' if i == 3 else 'dump'};Bãi {i};{x:.3f};{y:.3f}")
    path = tmp_path_factory.mktemp("lists") / "bai_rac.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def signed_in(sheet, address, office, role="planner"):
    browser.enter(sheet, address, office.services, office.users[role])


@pytest.mark.parametrize(("width", "lang"), [(1366, "vi"), (390, "en")])
def test_a_list_goes_the_whole_way_in_a_browser(site, listed, width, lang):
    address, office = site
    wrong = []
    with browser.page(width=width, height=844 if width < 500 else 768) as (sheet, seen):
        signed_in(sheet, address, office)
        sheet.goto(f"{address}/admin/import?lang={lang}", wait_until="networkidle")
        wrong += browser.faults(sheet, "start")
        sheet.set_input_files("#file", str(listed))
        assert "bai_rac.csv" in sheet.text_content("[data-chosen]")
        sheet.select_option("#layer", "waste_sites")
        sheet.click("#door button:not([data-sending-stop])")
        sheet.wait_for_url(re.compile(r"/admin/import/\d+"))
        sheet.wait_for_selector(".reading-map [data-ready]", timeout=60_000)
        sheet.wait_for_function("() => document.querySelectorAll('.reading-map [data-drawn-ground]').length === 2")
        wrong += browser.faults(sheet, "coordinates")
        assert sheet.locator(".reading-map path.leaflet-interactive").count() >= 24  # six points, twice, on both
        before = sheet.evaluate("document.querySelector('.leaflet-control-scale-line').textContent")
        sheet.click("[data-pair-do=closer]")
        scales = sheet.evaluate("[...document.querySelectorAll('.leaflet-control-scale-line')].map(n => n.textContent)")
        assert len(set(scales)) == 1 and scales[0] != before  # both maps moved, together
        sheet.check("[name=reading][value='9210']")
        sheet.click("form .import-end button")
        sheet.wait_for_selector(".import-columns, .import-tiles", timeout=60_000)
        if sheet.locator(".import-columns").count():
            wrong += browser.faults(sheet, "columns")
            sheet.fill("[name=fill-source]", "khảo sát")
            sheet.select_option("[name=fill-confidence]", "high")
            sheet.select_option("[name=fill-geometry_quality]", "surveyed")
            sheet.click(".import-columns .import-end button")
        sheet.wait_for_selector(".import-tiles", timeout=60_000)
        sheet.wait_for_selector(".map-box [data-ready]")
        wrong += browser.faults(sheet, "dry run")
        if width > 500:
            assert "moon" in sheet.text_content("#content")
            sheet.click(".import-apply button")
            sheet.wait_for_selector("#outcome", timeout=60_000)
            wrong += browser.faults(sheet, "done")
            sheet.click(".ask-once summary")
            sheet.click(".ask-once button")
            sheet.wait_for_selector(".import-apply.is-undone", timeout=60_000)
        sheet.goto(f"{address}/admin/import", wait_until="networkidle")
        wrong += browser.faults(sheet, "list")
        assert not seen.errors and not seen.outside and not seen.failed, (seen.errors, seen.outside, seen.failed)
    assert not wrong, wrong


def test_a_dropped_file_is_sent_in_pieces_and_a_wrong_one_is_told_before(site, listed, monkeypatch):
    address, office = site
    monkeypatch.setattr("server.views.imports.PIECE_BYTES", 100)
    with browser.page() as (sheet, seen):
        signed_in(sheet, address, office)
        sheet.goto(f"{address}/admin/import?lang=en", wait_until="networkidle")
        drop = """([name, text]) => {
            const data = new DataTransfer();
            data.items.add(new File([text], name));
            document.querySelector('[data-drop]').dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true}));
        }"""
        for name, text, told in (
            ("a.shp", "x", "into one zip"),
            ("a.exe", "x", "are not read"),
            ("a.csv", "", "is empty"),
        ):
            sheet.evaluate(drop, [name, text])
            assert told in sheet.text_content("[data-sending-words]")
        sent = []
        sheet.on("request", lambda r: sent.append(r.url) if r.method == "PUT" else None)
        sheet.evaluate(drop, ["bai_rac.csv", listed.read_text(encoding="utf-8")])
        sheet.wait_for_url(re.compile(r"/admin/import/\d+"))
        assert len(sent) >= 3 and len({u.rpartition("=")[2] for u in sent}) == len(sent)
        number = int(re.search(r"/import/(\d+)", sheet.url)[1])
        assert office.services.imports.get(number).size == listed.stat().st_size
        assert not seen.errors and not seen.outside, seen.errors


def test_the_keyboard_alone_sends_a_file(site, listed):
    address, office = site
    with browser.page() as (sheet, seen):
        signed_in(sheet, address, office)
        choosers = []
        sheet.on("filechooser", lambda one: choosers.append(one))  # asked for long before, so that the browser knows of it in time
        sheet.goto(f"{address}/admin/import?lang=en", wait_until="networkidle")
        for _ in range(40):
            sheet.keyboard.press("Tab")
            if sheet.evaluate("document.activeElement.id") == "file":
                break
        else:
            pytest.fail("the file field cannot be reached by Tab")
        sheet.keyboard.press("Space")
        for _ in range(300):
            if choosers:
                break
            sheet.wait_for_timeout(100)
        choosers[0].set_files(str(listed))
        sheet.keyboard.press("Tab")
        assert sheet.evaluate("document.activeElement.id") == "layer"
        sheet.keyboard.press("Tab")
        sheet.keyboard.press("Enter")
        sheet.wait_for_url(re.compile(r"/admin/import/\d+"))
        assert not seen.errors


def test_everything_works_without_scripts(site, listed):
    address, office = site
    with browser.page(scripts=False) as (sheet, seen):
        signed_in(sheet, address, office)
        sheet.goto(f"{address}/admin/import?lang=en")
        sheet.set_input_files("#file", str(listed))
        sheet.select_option("#layer", "waste_sites")
        sheet.click("#door button:not([data-sending-stop])")
        for _ in range(100):
            sheet.goto(sheet.url)  # what "Look again" does
            if sheet.locator("[name=reading]").count():
                break
            sheet.wait_for_timeout(200)
        assert sheet.locator("tbody tr").count() >= 5  # the rows in words, where the maps would be
        sheet.check("[name=reading][value='9210']")
        sheet.click("form .import-end button")
        for _ in range(100):
            sheet.goto(sheet.url)
            if sheet.locator(".import-columns, .import-tiles").count():
                break
            sheet.wait_for_timeout(200)
        assert sheet.locator(".import-columns, .import-tiles").count()
        assert not seen.outside
