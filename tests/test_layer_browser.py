"""Rows and versions in Chromium: an outline changed by mouse, seen in the history, undone; keyboard; axe; unsaved work."""

import json
from contextlib import contextmanager

import browser
import numpy as np
import pytest
import shapely
import staffroom

from layers.rows import plain
from server import assets

ROW = "/admin/layers/industrial_zones/features/"


@pytest.fixture(scope="module")
def office(starter_store, tmp_path_factory):
    browser.chromium()
    assets.fetch(("app", "test"))
    with staffroom.office(starter_store, tmp_path_factory.mktemp("layers") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def site(office):
    with browser.serving(office.app) as address:
        yield address


@contextmanager
def sheet_of(office, site, role="planner", **options):
    """A page of somebody who is signed in."""
    with browser.page(**{"height": 1000} | options) as (sheet, seen):
        browser.enter(sheet, site, office.services, office.users[role])
        yield sheet, seen
    errors = [e for e in seen.errors if "409" not in e]  # two editors: the answer to the second one
    assert not seen.outside and not errors, (seen.outside, errors)


def ready(sheet):
    sheet.locator(".folium-map[data-ready]").wait_for()
    sheet.locator(".folium-map[data-near]").wait_for()


def zone(office, code):
    frame = office.services.store.snapshot("industrial_zones")
    return frame[frame["code"] == code].iloc[0]


def an_area(office, number=0):
    frame = office.services.store.snapshot("industrial_zones")
    return frame[shapely.get_dimensions(frame.geometry) == 2]["code"].iloc[number]


def middle(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_corner_dragged_by_mouse_is_saved_seen_in_the_history_and_undone(office, site):
    code = an_area(office)
    before = zone(office, code).geometry
    with sheet_of(office, site) as (sheet, _seen):
        sheet.goto(f"{site}{ROW}{code}?lang=en")
        ready(sheet)
        sheet.locator("[data-draw-snap]").uncheck()
        sheet.locator("[data-draw-do=corners]").click()
        x, y = middle(sheet.locator(".marker-icon:not(.marker-icon-middle)").nth(3))
        sheet.mouse.move(x, y)
        sheet.mouse.down()
        sheet.mouse.move(x + 40, y + 30, steps=5)
        sheet.mouse.up()
        assert sheet.locator("[data-unsaved-note]").is_visible()
        sheet.locator(".save-bar .button").click()
        sheet.wait_for_url("**saved=*")
        after = zone(office, code).geometry
        a, b = shapely.get_coordinates(before), shapely.get_coordinates(after)
        moved = np.abs(a - b).max(axis=1) > 0
        assert len(a) == len(b) and moved.sum() == 1, "one corner moved, the others kept every digit"
        history = sheet.locator("#past").text_content()
        assert "Place on the map" in history and "redrawn" in history and office.users["planner"].name in history
        sheet.locator(".said button").click()
        sheet.wait_for_load_state()
        assert zone(office, code).geometry.equals_exact(before, 0)


def test_an_area_drawn_anew_with_a_hole_and_a_step_back(office, site):
    code = an_area(office, 1)
    with sheet_of(office, site) as (sheet, _seen):
        sheet.goto(f"{site}{ROW}{code}?lang=en")
        ready(sheet)
        field = sheet.locator("[name=geometry]")
        cx, cy = middle(sheet.locator(".folium-map"))

        def ring(r):
            for dx, dy in ((-r, -r), (r, -r), (r, r), (-r, r), (-r, -r)):
                sheet.mouse.move(cx + dx, cy + dy, steps=3)
                sheet.mouse.click(cx + dx, cy + dy)

        sheet.locator("[data-draw-do=remove]").click()
        assert field.input_value() == "none"
        sheet.locator("[data-draw-snap]").uncheck()
        sheet.locator("[data-draw-do=Polygon]").click()
        ring(90)
        drawn = json.loads(field.input_value())
        assert drawn["type"] == "Polygon" and len(drawn["coordinates"][0]) == 5
        sheet.locator("[data-draw-do=hole]").click()
        ring(30)
        assert len(json.loads(field.input_value())["coordinates"]) == 2
        sheet.locator("[data-draw-do=back]").click()
        assert json.loads(field.input_value()) == drawn
        sheet.locator("[data-draw-do=hole]").click()
        ring(30)
        sheet.locator(".save-bar .button").click()
        sheet.wait_for_url("**saved=*")
    kept = zone(office, code).geometry
    assert len(shapely.get_parts(kept)) == 1 and len(shapely.get_parts(kept)[0].interiors) == 1


def test_a_point_is_put_by_mouse_and_corners_typed_in_vn2000_are_shown(office, site):
    code = office.services.store.snapshot("treatment_plants")["code"].iloc[0]
    with sheet_of(office, site) as (sheet, _seen):
        sheet.goto(f"{site}/admin/layers/treatment_plants/features/{code}?lang=en")
        ready(sheet)
        x, y = middle(sheet.locator(".folium-map"))
        sheet.locator("[data-draw-do=Point]").click()
        sheet.mouse.move(x + 50, y + 40, steps=3)
        sheet.mouse.click(x + 50, y + 40)
        point = json.loads(sheet.locator("[name=geometry]").input_value())
        assert point["type"] == "Point" and sheet.locator(".draw-pin").count() == 1
        sheet.locator("details.typed summary").click()
        assert f"{point['coordinates'][0]:.5f}"[:8] in sheet.locator("#corners").input_value()
        sheet.locator("#system").select_option("9210")
        sheet.wait_for_function("() => /^[56]/.test(document.querySelector('#corners').value)")
        sheet.locator("#corners").fill("597432,44; 2306067,77")
        sheet.locator("[data-corners-do=show]").click()
        sheet.wait_for_function("() => document.querySelector('[name=geometry]').value.includes('106.688')")
        sheet.locator(".save-bar .button").click()
        sheet.wait_for_url("**saved=*")
    frame = office.services.store.snapshot("treatment_plants").set_index("code")
    assert (frame.geometry[code].x, frame.geometry[code].y) == (
        pytest.approx(106.6881, abs=1e-6),
        pytest.approx(20.8449, abs=1e-6),
    )


def test_a_drawing_snaps_to_a_neighbour(office, site):
    """A corner dropped near a corner of the next area lies exactly on it."""
    frame = office.services.store.snapshot("industrial_zones")
    areas = frame[shapely.get_dimensions(frame.geometry) == 2]
    code, other = areas["code"].iloc[2], areas["code"].iloc[3]
    lon, lat = shapely.get_coordinates(areas.geometry.iloc[3])[0]
    with sheet_of(office, site) as (sheet, _seen):
        sheet.goto(f"{site}{ROW}{code}?lang=en")
        ready(sheet)
        sheet.evaluate(f"""() => {{ const m = cangxanh.map; m.setView([{lat}, {lon}], 15, {{animate: false}}); }}""")
        sheet.wait_for_function("() => Number(document.querySelector('.folium-map').dataset.near) > 0")
        sheet.wait_for_timeout(300)
        sheet.locator("[data-draw-do=remove]").click()
        sheet.locator("[data-draw-do=Polygon]").click()
        x, y = middle(sheet.locator(".folium-map"))
        for dx, dy in ((5, 4), (100, -60), (110, 60), (5, 4)):
            sheet.mouse.move(x + dx + 8, y + dy + 6)
            sheet.mouse.move(x + dx, y + dy, steps=4)
            sheet.mouse.click(x + dx, y + dy)
        first = json.loads(sheet.locator("[name=geometry]").input_value())["coordinates"][0][0]
    assert first == [pytest.approx(lon, abs=1e-8), pytest.approx(lat, abs=1e-8)], (code, other)


def test_leaving_with_something_unsaved_asks_first_and_a_clean_form_does_not(office, site):
    code = an_area(office)
    with sheet_of(office, site) as (sheet, _seen):
        asked = []
        sheet.on("dialog", lambda d: (asked.append(d.type), d.accept()))
        sheet.goto(f"{site}{ROW}{code}?lang=en")
        ready(sheet)
        sheet.locator(".crumbs a").first.click()
        sheet.wait_for_url("**/admin/layers")
        assert asked == []
        sheet.go_back()
        ready(sheet)
        sheet.locator("#v-area_ha").fill("77")
        assert sheet.locator(".form-field.is-changed").count() == 1
        sheet.locator(".crumbs a").first.click()
        sheet.wait_for_url("**/admin/layers")
        assert asked == ["beforeunload"]


def test_two_editors_in_two_browsers(office, site):
    code = an_area(office, 4)
    with sheet_of(office, site) as (mine, _seen):
        theirs = mine.context.browser.new_context().new_page()
        browser.enter(theirs, site, office.services, office.users["administrator"])
        for sheet in (mine, theirs):
            sheet.goto(f"{site}{ROW}{code}?lang=en")
        theirs.locator("#v-area_ha").fill("111")
        theirs.locator("#v-occupancy_pct").fill("50")
        theirs.locator(".save-bar .button").click()
        theirs.wait_for_url("**saved=*")
        mine.locator("#v-area_ha").fill("222")
        mine.locator("#v-established_year").fill("2001")
        mine.locator(".save-bar .button").click()
        mine.locator("table.compare").wait_for()
        shown = mine.locator("table.compare").text_content()
        assert "111 ha" in shown and "222 ha" in shown and "50" not in shown
        mine.locator("input[name=keep-area_ha][value=mine]").check()
        mine.locator(".form-end .button").click()
        mine.wait_for_url("**saved=*")
    kept = zone(office, code)
    assert (kept["area_ha"], kept["occupancy_pct"], plain(kept["established_year"], "integer")) == (222.0, 50.0, 2001)


def test_rows_by_keyboard(office, site):
    with sheet_of(office, site) as (sheet, _seen):
        sheet.goto(f"{site}/admin/layers/admin_units/features?lang=en")
        sheet.keyboard.press("/")
        assert sheet.evaluate("document.activeElement.id") == "q"
        sheet.keyboard.type("hai an")
        sheet.keyboard.press("Enter")
        sheet.wait_for_url("**q=hai+an**")
        for _ in range(2):
            sheet.keyboard.press("ArrowDown")
        second = sheet.locator("table[data-list] tbody th a").nth(1)
        assert sheet.evaluate("document.activeElement.getAttribute('href')") == second.get_attribute("href")
        sheet.keyboard.press("Enter")
        sheet.wait_for_url("**/admin/layers/admin_units/features/*")
        sheet.goto(f"{site}/admin/layers/admin_units/features?lang=en")
        sheet.keyboard.press("ArrowRight")
        sheet.wait_for_url("**page=2**")


def test_without_scripts_the_form_works_with_typed_corners(office, site):
    code = an_area(office, 5)
    with sheet_of(office, site, scripts=False) as (sheet, _seen):
        sheet.goto(f"{site}{ROW}{code}?lang=en")
        sheet.locator("details.typed summary").click()
        sheet.locator("#corners").fill("106.70 20.80\n106.72 20.80\n106.72 20.82")
        sheet.locator(".save-bar .button").click()
        sheet.wait_for_url("**saved=*")
    assert zone(office, code).geometry.bounds == pytest.approx((106.70, 20.80, 106.72, 20.82))


def test_differences_are_drawn_and_point_at_their_rows(office, site):
    with sheet_of(office, site) as (sheet, _seen):
        sheet.goto(f"{site}/admin/layers/industrial_zones/versions?from=0&to=1&lang=en")
        sheet.locator(".folium-map[data-ready]").wait_for()
        placed = office.services.store.version("industrial_zones", 1).geometry.notna().sum()
        assert int(sheet.locator(".folium-map").get_attribute("data-drawn-added")) == placed
        first = sheet.locator("table.changes tr[data-code]").first
        first.locator("td").first.click(position={"x": 5, "y": 5})
        sheet.locator(".leaflet-popup").wait_for()


@pytest.mark.parametrize("width", [1366, 390])
def test_pages_are_accessible_and_fit(office, site, width):
    code = an_area(office)
    with sheet_of(office, site, width=width) as (sheet, _seen):
        for path in (
            "/admin/layers", "/admin/layers/industrial_zones/versions", "/admin/layers/industrial_zones/versions?from=0&to=1",
            "/admin/layers/industrial_zones/features", f"{ROW}{code}", "/admin/layers/plant_states/new",
            "/admin/layers/hotspots/features", "/admin/layers/industrial_zones/versions/1/figures",
        ):  # fmt: skip
            sheet.goto(f"{site}{path}{'&' if '?' in path else '?'}lang=vi")
            if sheet.locator(".folium-map").count():
                sheet.locator(".folium-map[data-ready]").wait_for()
            if code in path:
                sheet.locator("details.typed summary").click()
            assert browser.faults(sheet, path, (*browser.WCAG, "best-practice")) == []
