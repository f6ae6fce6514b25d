"""The siting pages in a real browser: a new study to its answer, why not here, block and run again; clean for axe."""

import browser
import pytest
import staffroom

from server import sitespec, worker

READY = "() => document.querySelector('.folium-map')?.dataset.ready"
WARDS = ("11359", "11560", "11383", "11311", "11329", "11407")


@pytest.fixture(scope="module")
def office(starter_store, tmp_path_factory):
    with staffroom.office(starter_store, tmp_path_factory.mktemp("planbrowser") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def site(office):
    with browser.serving(office.app) as address:
        yield address


def enter(sheet, site, office, role="planner"):
    browser.enter(sheet, site, office.services, office.users[role])


def small(office, name="Thử"):
    spec = sitespec.default(office.services) | {
        "name": name,
        "area": {"units": list(WARDS)},
        "cell_m": 200.0,
        "number": 2,
    }
    spec |= {"candidates": {"count": 10, "apart_m": 1000.0}, "robustness": {"runs": 50, "spread": 0.5, "top": 3}}
    spec["sizes"] = [{"capacity_m3_day": 4000.0, "cost": 100.0}, {"capacity_m3_day": 8000.0, "cost": None}]
    return office.services.studies.create(office.users["planner"], spec)


@pytest.fixture(scope="module")
def ran(office):
    code = small(office)
    office.services.studies.run(office.users["planner"], code)
    worker.work_off(office.services)
    return code


def test_from_a_new_study_to_its_answer_and_on(site, office):
    """New study, every step, run, answer, a click on the map, a block with its reason, and the run after it."""
    with browser.page(height=900) as (sheet, seen):
        enter(sheet, site, office)
        sheet.goto(f"{site}/plan?lang=en")
        sheet.click("form[action='/plan/new'] button")
        sheet.fill("#name", "Trạm mới ven sông")
        sheet.select_option("[id='facility.enclosed']", "no")
        sheet.wait_for_function("() => document.querySelector('[data-law]').textContent.includes('250 m')")
        sheet.select_option("[id='facility.enclosed']", "yes")
        sheet.wait_for_function("() => !document.querySelector('[data-law]').textContent.includes('250 m')")
        sheet.check("input[name=area][value=units]")
        sheet.click(".plan-units > summary")
        for ward in WARDS:
            sheet.check(f"input[name='area.units'][value='{ward}']")
        sheet.fill("#number", "1")
        sheet.fill("[id='sizes[0].capacity_m3_day']", "4,000")
        sheet.fill("[id='sizes[1].capacity_m3_day']", "8,000")
        sheet.click("#advanced > details > summary")
        sheet.fill("#cell_m", "200")
        sheet.fill("[id='candidates.count']", "8")
        sheet.click("button[value=next]")
        assert sheet.url.endswith("/edit/rules")
        sheet.click("button[value=next]")
        before = sheet.locator("[data-criterion] svg.value-curve polyline").first.get_attribute("points")
        sheet.locator(".criterion-points summary").first.click()
        sheet.fill("[id='criteria[0].curve[1].v']", "0.5")
        assert sheet.locator("[data-criterion] svg.value-curve polyline").first.get_attribute("points") != before
        sheet.check("input[name=by][value=pairs]")
        choices = sheet.locator("select[data-pair]")
        for k in range(choices.count()):
            choices.nth(k).select_option("3" if k else "1/9")
        sheet.wait_for_selector(".ahp-bad")
        assert "Most at odds" in sheet.inner_text("[data-ahp-odd]")
        for k in range(choices.count()):
            choices.nth(k).select_option("1")
        sheet.wait_for_selector(".ahp-good")
        sheet.click("button[value=next]")
        assert sheet.url.endswith("/edit/run") and "Drinking water intakes" in sheet.inner_text("main")
        sheet.click("button:has-text('Run')")
        sheet.wait_for_selector("[data-job]")
        worker.work_off(office.services)
        sheet.wait_for_selector(".plan-lead", timeout=60_000)
        sheet.wait_for_function(READY)
        code = sheet.url.split("/plan/")[1].split("?")[0].split("#")[0]
        result = office.services.studies.result(code)
        assert sheet.locator(".plan-site").count() == len(result["sites"]) == 1
        sheet.wait_for_selector(".folium-map[data-tiles-rasters=ready]")
        assert sheet.locator(".leaflet-rasters-pane img.leaflet-tile-loaded").count() > 0
        sheet.check("input[data-reason-bit='4']")
        sheet.wait_for_selector(".folium-map[data-tiles-reasons=ready]")
        assert sheet.locator(".leaflet-reasons-pane img.leaflet-tile-loaded").count() > 0
        sheet.uncheck("input[data-reason-bit='4']")
        assert sheet.locator(".leaflet-reasons-pane img").count() == 0
        sheet.evaluate("document.getElementById('map').scrollIntoView()")
        box = sheet.locator(".folium-map").bounding_box()
        sheet.mouse.click(box["x"] + box["width"] * 0.12, box["y"] + box["height"] * 0.6)
        sheet.wait_for_selector(".leaflet-popup .map-card-name")
        assert sheet.locator("[data-why-answer] table").count() >= 1
        first = result["sites"][0]
        sheet.fill("#why-lat", str(first["lat"]))
        sheet.fill("#why-lon", str(first["lon"]))
        sheet.press("#why-lon", "Enter")
        sheet.wait_for_selector(".why-head.is-free")
        sheet.fill("#block-reason", "đất chùa")
        sheet.click("#why-acts button:has-text('Block and run again')")
        sheet.wait_for_selector("[data-job]")
        worker.work_off(office.services)
        sheet.wait_for_selector("[data-job]", state="detached", timeout=60_000)
        sheet.wait_for_function(READY)
        again = office.services.studies.result(code)
        assert [s["code"] for s in again["sites"]] != [first["code"]]
        assert not seen.outside and not seen.errors and not seen.failed, (seen.outside, seen.errors, seen.failed)


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_the_pages_are_clean_for_axe_and_fit(site, office, ran, width, lang):
    draft = small(office, "Bản nháp")
    steps = [f"/plan/{ran}/edit/{s}" for s in ("goal", "rules", "weights", "run")]
    place = office.services.studies.result(ran)["sites"][0]
    why = f"/plan/{ran}/why?lat={place['lat']}&lon={place['lon']}"
    wrong = []
    with browser.page(width=width, height=844 if width < 500 else 768) as (sheet, seen):
        enter(sheet, site, office)
        for path in ("/plan", f"/plan/{draft}", f"/plan/{ran}", why, f"/plan/{ran}/why?lat=x&lon=1", *steps):
            sheet.goto(f"{site}{path}{'&' if '?' in path else '?'}lang={lang}", wait_until="networkidle")
            if sheet.locator(".folium-map").count():
                sheet.wait_for_function(READY)
            sheet.evaluate("document.querySelectorAll('main details').forEach((d) => { d.open = true; })")
            if sheet.locator("input[name=by][value=pairs]").count():
                sheet.check("input[name=by][value=pairs]")
            wrong += browser.faults(sheet, path)
    assert not seen.outside and not seen.errors and not wrong, (seen.outside, seen.errors, wrong)


def test_without_scripts_the_question_can_be_asked_and_the_answer_read(site, office, ran):
    with browser.page(scripts=False) as (sheet, _seen):
        enter(sheet, site, office)
        sheet.goto(f"{site}/plan/{ran}?lang=en")
        assert sheet.locator("#site-table tbody tr").count() == len(office.services.studies.result(ran)["sites"])
        place = office.services.studies.result(ran)["candidates"][0]
        sheet.fill("#why-lat", str(place["lat"]))
        sheet.fill("#why-lon", str(place["lon"]))
        sheet.click("#why-form button:has-text('Ask about this place')")
        assert sheet.locator(".why-head").count() == 1 and sheet.locator("table").count() >= 2
        sheet.goto(f"{site}/plan/{ran}/edit/weights?lang=en")
        assert sheet.locator("#pairs").is_visible(), "without scripts the questions stand open"
