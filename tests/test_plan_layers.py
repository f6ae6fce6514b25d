"""The own layers of a siting study: brought in by file and as text, used as rule, network and measure, removed."""

import html
import io
import json
import zipfile

import browser
import geopandas as gpd
import pytest
import shapely
import smalltown
import staffroom
from test_plan_pages import HOSTILE, draft, fields, study

from server import ownlayers, planlayers, security, siteweights, sitework, siteworld
from server.sitewords import LAYER

BOX = shapely.box(106.66, 20.83, 106.70, 20.86)  # land in and round the old centre
LINES = (((106.66, 20.84), (106.68, 20.85)), ((106.68, 20.85), (106.72, 20.86)))


@pytest.fixture(scope="module")
def office(starter_store, tmp_path_factory):
    with staffroom.office(starter_store, tmp_path_factory.mktemp("plan-layers") / "data") as made:
        yield made


def frame(shapes, epsg=4326):
    return gpd.GeoDataFrame({"n": range(len(shapes))}, geometry=list(shapes), crs=4326).to_crs(epsg)


def geojson(shapes, epsg=4326):
    made = json.loads(frame(shapes, epsg).to_json())
    if epsg != 4326:
        made["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{epsg}"}}
    return json.dumps(made).encode()


def sent(office, code, file=None, role="planner", language="en", revision=None, **changes):
    """Send the step of constraints as its page shows it, with the fields of a new layer (own.) and some changed."""
    client = getattr(office, role)
    page = client.get(f"/plan/{code}/edit/rules?lang={language}").get_data(as_text=True)
    data = fields(page) | {"then": ["layer"]} | {k: [v] for k, v in changes.items()} | {"csrf": [client.csrf]}
    data.pop("own.file", None)
    if revision is not None:
        data["revision"] = [str(revision)]
    if file is not None:
        data["own.file"] = [(io.BytesIO(file[1]), file[0])]
    return client.post(f"/plan/{code}/edit/rules", data=data, content_type="multipart/form-data")


def flood(**more):
    return {
        "own.name": "Vùng ngập",
        "own.source": "Khảo sát 2026",
        "own.rule": "yes",
        "own.distance_m": "100",
        "own.rule_source": "Quyết định của sở",
    } | more


def layer_of(office, code):
    (row,) = study(office, code)["spec"]["layers"]
    return row


def packed(name, shapes, epsg, folder):
    """Bytes of a file that GDAL writes."""
    path = folder / name
    frame(shapes, epsg).to_file(path, driver={".kml": "KML", ".gpkg": "GPKG"}.get(path.suffix, "ESRI Shapefile"))
    if path.suffix != ".shp":
        return path.read_bytes()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for part in folder.glob(f"{path.stem}.*"):
            made.write(part, part.name)
    return out.getvalue()


def confirmed(office, code, answer):
    """Send again what a refused page shows: the shapes are kept and the declared system is chosen already."""
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422 and "EPSG:9209" in page[page.index('id="own.system-error"') :][:600]
    kept = fields(page)
    assert kept["own.system"] == ["9210"]
    return sent(office, code, **flood(**{"own.wkt": kept["own.wkt"][0], "own.system": "9210"}))


# --- brought in ---


@pytest.mark.parametrize(("name", "epsg"), [("a.geojson", 4326), ("a.geojson", 9210), ("a.gpkg", 9210), ("a.shp", 9210), ("a.kml", 4326)])  # fmt: skip
def test_a_file_of_any_kind_lands_in_degrees(office, tmp_path, name, epsg):
    code = draft(office)
    data = geojson([BOX], epsg) if name.endswith("json") else packed(name, [BOX], epsg, tmp_path)
    answer = sent(office, code, (name.replace(".shp", ".zip"), data), **flood())
    if epsg == 9210:
        answer = confirmed(office, code, answer)
    assert answer.status_code == 303, answer.get_data(as_text=True)
    assert answer.location.endswith(f"/plan/{code}/edit/rules#own-layers")
    row = layer_of(office, code)
    assert (row["name"], row["source"]) == ("Vùng ngập", "Khảo sát 2026")
    found = shapely.from_wkt(row["wkt"])
    assert found.symmetric_difference(BOX).area < 1e-6 * BOX.area
    page = office.page("planner", f"/plan/{code}/edit/rules")
    assert "1 area" in page and "keep away by 100 m" in page and (epsg == 9210 or "EPSG:4326" in page)


def test_pasted_text_may_hold_one_shape_a_line_and_numbers_of_the_readers_language(office):
    code = draft(office)
    text = "LINESTRING (106.66 20.84, 106.68 20.85)\nLINESTRING (106.68 20.85, 106.72 20.86)"
    answer = sent(office, code, language="vi", **flood(**{"own.wkt": text, "own.distance_m": "1.250,5"}))
    assert answer.status_code == 303
    spec = study(office, code)["spec"]
    assert shapely.from_wkt(spec["layers"][0]["wkt"]).equals(shapely.MultiLineString(LINES))
    (rule,) = (r for r in spec["rules"] if r["code"] == LAYER + "vung-ngap")
    assert rule["on"] and rule["distance_m"] == 1250.5 and rule["source"] == "Quyết định của sở"


def test_areas_that_overlap_or_cross_themselves_stay_the_same_ground(office):
    other, bow = shapely.box(106.68, 20.84, 106.72, 20.87), shapely.Polygon([(106.6, 20.8), (106.62, 20.82), (106.62, 20.8), (106.6, 20.82)])  # fmt: skip
    code = draft(office)
    assert sent(office, code, ("a.geojson", geojson([BOX, other, bow])), **flood()).status_code == 303
    found = shapely.from_wkt(layer_of(office, code)["wkt"])
    want = shapely.union_all([BOX, other, shapely.make_valid(bow)])
    assert shapely.union_all(list(found.geoms)).symmetric_difference(want).area < 1e-10
    assert "repaired" in office.page("planner", f"/plan/{code}/edit/rules")


def test_a_system_that_cannot_be_told_is_asked_and_then_believed(office):
    plain = frame([BOX], 9210).geometry.iloc[0].wkt
    code = draft(office)
    refused = sent(office, code, **flood(**{"own.wkt": plain}))
    assert refused.status_code == 422
    page = refused.get_data(as_text=True)
    assert 'id="own.system-error"' in page and "Choose which it is" in page and "shapes are kept" in page
    assert study(office, code)["spec"]["layers"] == []
    assert sent(office, code, **flood(**{"own.wkt": plain, "own.system": "9210"})).status_code == 303
    assert shapely.from_wkt(layer_of(office, code)["wkt"]).symmetric_difference(BOX).area < 1e-6 * BOX.area


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (("a.geojson", b"{"), "cannot be read"),
        (("a.gpkg", b"SQLite format 3\x00rubbish"), ""),
        (("a.zip", b"PK\x03\x04rubbish"), ""),
        (("a.exe", b"MZ"), "choose a GeoJSON"),
        (("a.geojson", b'{"type":"FeatureCollection","features":[]}'), "no rows"),
        (
            ("a.geojson", geojson([shapely.Point(106.68, 20.85).buffer(0.01, quad_segs=2600)])),
            "more than 10000 corners",
        ),
    ],
)
def test_a_bad_file_is_told_beside_its_field_and_nothing_else_is_lost(office, file, words):
    code = draft(office)
    answer = sent(office, code, file, **flood(**{"rules[0].distance_m": "777", "rules[0].source": "Tôi"}))
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422 and 'id="own.file-error"' in page and words in page
    assert 'value="Vùng ngập"' in page and 'value="777"' in page
    assert study(office, code)["spec"]["layers"] == [] and study(office, code)["revision"] == 1


def test_a_file_over_the_limit_is_refused_before_it_is_read(office, monkeypatch):
    monkeypatch.setattr(ownlayers, "FILE_BYTES", 50)
    page = sent(office, draft(office), ("a.geojson", geojson([BOX])), **flood()).get_data(as_text=True)
    assert 'id="own.file-error"' in page and "is larger than" in page


def test_all_that_lacks_is_told_together_and_the_file_need_not_be_sent_again(office):
    code = draft(office)
    answer = sent(office, code, ("a.geojson", geojson([BOX])), **{"own.rule": "yes"})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    for name in ("name", "source", "distance_m", "rule_source"):
        assert f'id="own.{name}-error"' in page, name
    kept = fields(page)
    assert shapely.from_wkt(kept["own.wkt"][0]).symmetric_difference(BOX).area < 1e-6 * BOX.area
    again = sent(office, code, **flood(**{"own.wkt": kept["own.wkt"][0], "own.system": kept["own.system"][0]}))
    assert again.status_code == 303 and layer_of(office, code)["name"] == "Vùng ngập"
    idle = sent(office, code, **flood(**{"own.name": "Khác", "own.wkt": BOX.wkt, "own.rule": ""}))
    assert idle.status_code == 422 and "Say what the layer is for" in idle.get_data(as_text=True)


def test_a_new_layer_is_not_lost_when_the_step_is_saved_by_the_other_button(office):
    code = draft(office)
    answer = sent(office, code, **flood(**{"own.wkt": BOX.wkt, "then": "next"}))
    assert answer.location.endswith("/edit/weights") and layer_of(office, code)["name"] == "Vùng ngập"


def test_hostile_names_are_shown_as_text_everywhere(office):
    code = draft(office)
    file = (HOSTILE + ".geojson", b"{")
    assert "<script>alert(1)" not in sent(office, code, file, **flood()).get_data(as_text=True)
    data = flood(**{"own.name": HOSTILE, "own.source": HOSTILE, "own.wkt": BOX.wkt, "own.measure": "near"})
    assert sent(office, code, **data).status_code == 303
    row = layer_of(office, code)
    assert row["name"] == HOSTILE and row["code"] == "script-alert-1-script"
    for step in ("rules", "weights", "run"):
        page = office.page("planner", f"/plan/{code}/edit/{step}")
        assert "<script>alert(1)" not in page and html.escape("<script>alert(1)") in page


# --- used ---


def test_the_rule_excludes_what_lies_in_it_and_within_its_distance(office):
    code = draft(office)
    confirmed(office, code, sent(office, code, ("a.geojson", geojson([BOX], 9210)), **flood()))
    explained = {}
    for name, place in {"in": (106.68, 20.845), "near": (106.7005, 20.845), "far": (106.72, 20.845)}.items():
        rules = siteworld.explain(office.services, study(office, code)["spec"], *place)["rules"]
        (explained[name],) = (r for r in rules if r["code"] == LAYER + "vung-ngap")
    assert [explained[n]["broken"] for n in ("in", "near", "far")] == [True, True, False]
    assert explained["in"]["measured"] == 0 and explained["in"]["source"] == "Quyết định của sở"


def town_question(form, spec, services):
    """The question on the small town after the form of the constraints was read."""
    from werkzeug.datastructures import MultiDict

    as_is = {f"rules[{k}].on": "yes" for k, r in enumerate(spec["rules"]) if r["on"]}
    numbers = {
        f"rules[{k}].{name}": str(row[name])
        for k, row in enumerate(spec["rules"])
        for name in ("distance_m", "at_least", "at_most")
        if row[name] is not None
    }
    return planlayers.read(services, MultiDict(as_is | numbers | form), None, spec)[0]


def folder(tmp_path, name):
    made = tmp_path / name
    made.mkdir()
    return made


def in_town(shape):
    """A shape in the town's metres as WKT in degrees."""
    return gpd.GeoSeries([shape], crs=9210).to_crs(4326).iloc[0].wkt


def test_a_run_on_the_small_town_leaves_out_the_land_of_the_layer(office, tmp_path, app_context):
    free = smalltown.question()
    before = sitework.answer(free, smalltown.town(), folder(tmp_path, "a"))
    x, y = smalltown.metres(next(s for s in before["sites"]))
    form = {"own.wkt": in_town(smalltown.box(x - 600, y - 600, x + 600, y + 600)), "own.system": "4326"}
    after = sitework.answer(
        town_question(flood(**form), free, office.services), smalltown.town(), folder(tmp_path, "b")
    )
    assert after["sites"]
    for site in after["candidates"]:
        x1, y1 = smalltown.metres(site)
        assert max(abs(x1 - x), abs(y1 - y)) >= 600


def test_distances_run_along_the_lines_of_the_network(office, tmp_path, app_context):
    free = smalltown.question()
    ladder = shapely.MultiLineString(
        [list(smalltown.box(0, 0, 8000, 4000).exterior.coords)]
        + [[smalltown.at(0, y), smalltown.at(8000, y)] for y in (1000, 2000, 3000)]
    )
    form = flood(**{"own.wkt": in_town(ladder), "own.system": "4326", "own.rule": "", "own.network": "yes"})
    spec = town_question(form | {"own.crossings": "yes"}, free, office.services)
    assert spec["network"] == {"layer": "vung-ngap", "crossings": True, "most_off_m": 500.0}
    straight = sitework.answer(free, smalltown.town(), folder(tmp_path, "a"))
    along = sitework.answer(spec, smalltown.town(), folder(tmp_path, "b"))
    assert along["flows"] != straight["flows"]


def test_a_network_must_be_lines_and_is_changed_later(office):
    code = draft(office)
    area = flood(**{"own.wkt": BOX.wkt, "own.rule": "", "own.network": "yes"})
    refused = sent(office, code, **area)
    assert refused.status_code == 422 and "Distances can only run along lines" in refused.get_data(as_text=True)
    lines = shapely.MultiLineString(LINES).wkt
    assert sent(office, code, **(area | {"own.wkt": lines})).status_code == 303
    assert study(office, code)["spec"]["network"]["layer"] == "vung-ngap"
    changes = {"network.crossings": "yes", "network.most_off_m": "1,200"}
    assert sent(office, code, **changes).status_code == 303
    assert study(office, code)["spec"]["network"] == {"layer": "vung-ngap", "crossings": True, "most_off_m": 1200.0}
    sent(office, code, **{"network.layer": ""})
    assert study(office, code)["spec"]["network"] is None


@pytest.mark.parametrize(("measure", "curve"), [("near", [[0, 1], [3000, 0]]), ("far", [[0, 0], [3000, 1]])])
def test_a_measure_is_a_criterion_of_the_weights(office, measure, curve):
    code = draft(office)
    form = {"own.wkt": BOX.wkt, "own.rule": "", "own.measure": measure, "own.within_m": "3000", "own.weight": "2"}
    assert sent(office, code, **flood(**form)).status_code == 303
    spec = study(office, code)["spec"]
    (row,) = (c for c in spec["criteria"] if c["code"] == LAYER + "vung-ngap")
    assert row["weight"] == 2 and row["curve"] == curve
    assert "Vùng ngập" in office.page("planner", f"/plan/{code}/edit/weights")
    asked = f"names=demand,{LAYER}vung-ngap&demand|{LAYER}vung-ngap=3&study={code}"
    told = office.planner.get(f"/plan/weights.json?{asked}").get_json()
    assert [w["title"] for w in told["weights"]][1] == "Vùng ngập"
    world = siteworld.explain(office.services, spec, 106.60, 20.845)
    assert any(c["code"] == LAYER + "vung-ngap" for c in world["criteria"])


# --- removed, conflicts, readers ---


def test_remove_takes_rule_weight_network_and_answers_along(office):
    code = draft(office)
    form = {"own.wkt": shapely.MultiLineString(LINES).wkt, "own.network": "yes", "own.measure": "near"}
    before = study(office, code)["spec"]
    assert sent(office, code, **flood(**form)).status_code == 303
    spec = study(office, code)["spec"]
    spec["pairs"] = dict.fromkeys(siteweights.pairs_of(spec["criteria"]), 1.0)
    office.services.studies.save(office.users["planner"], code, 2, spec)
    answer = sent(office, code, **{"own.remove": "vung-ngap", "then": ""})
    assert answer.status_code == 303
    after = study(office, code)["spec"]
    assert after["pairs"] and not any("vung-ngap" in key for key in after["pairs"])
    assert after | {"pairs": None} == before
    assert "The layer was removed" in office.page("planner", f"/plan/{code}/edit/rules")


def test_an_old_revision_writes_nothing_and_keeps_what_was_typed(office):
    code = draft(office)
    sent(office, code, **flood(**{"own.wkt": BOX.wkt}))
    answer = sent(office, code, ("b.geojson", geojson([BOX])), revision=1, **flood(**{"own.name": "Khác"}))
    page = answer.get_data(as_text=True)
    assert answer.status_code == 409 and layer_of(office, code)["name"] == "Vùng ngập"
    again = fields(page)
    assert again["own.name"] == ["Khác"] and "POLYGON" in again["own.wkt"][0]
    k = next(k for k, r in enumerate(study(office, code)["spec"]["rules"]) if r["code"] == LAYER + "vung-ngap")
    assert again[f"rules[{k}].on"] == ["yes"] and again[f"rules[{k}].distance_m"] == ["100"]


def test_readers_see_the_layers_and_cannot_change_them(office):
    code = draft(office)
    sent(office, code, **flood(**{"own.wkt": BOX.wkt}))
    page = office.page("inspector", f"/plan/{code}/edit/rules")
    assert "Vùng ngập" in page and "own.remove" not in page and 'name="own.file"' not in page
    assert office.send("inspector", f"/plan/{code}/edit/rules", flood()).status_code == 403


@pytest.fixture
def app_context(office):
    with office.app.test_request_context("/?lang=en"):
        yield


# --- the study area drawn on the map ---


def test_an_area_drawn_on_the_map_is_the_study_area(office):
    code = draft(office)
    with browser.serving(office.app) as site, browser.page(height=900) as (sheet, seen):
        opened = office.services.accounts.open_session(office.users["planner"].id, address="127.0.0.1", browser="test")
        sheet.context.add_cookies([{"name": security.SESSION_COOKIE, "value": opened.token, "url": site}])
        sheet.goto(f"{site}/plan/{code}/edit/goal?lang=en")
        sheet.click("details:has([data-outline]) > summary")
        sheet.locator(".outline-map").evaluate("e => e.scrollIntoView({block: 'center'})")
        sheet.wait_for_function("() => window.cangxanh.map.getSize().x > 100")
        sheet.click("[data-draw-do=Polygon]")
        box = sheet.locator(".outline-map").bounding_box()
        for x, y in ((0.4, 0.3), (0.6, 0.3), (0.55, 0.6), (0.4, 0.3)):
            sheet.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
            sheet.wait_for_timeout(200)
        sheet.wait_for_function("() => document.getElementById('area.wkt').value.startsWith('POLYGON')")
        drawn = shapely.from_wkt(sheet.input_value("[id='area.wkt']"))
        assert len(drawn.exterior.coords) == 4 and sheet.is_checked("input[name=area][value=wkt]")
        sheet.click("button[value=stay]")
        sheet.wait_for_selector("text=Saved.")
        assert shapely.from_wkt(study(office, code)["spec"]["area"]["wkt"]).equals_exact(drawn, 1e-7)
        typed = "MULTIPOLYGON (((106.6 20.8, 106.7 20.8, 106.7 20.9, 106.6 20.8)), ((106.8 20.8, 106.9 20.8, 106.9 20.9, 106.8 20.8)))"
        sheet.fill("[id='area.wkt']", typed)
        sheet.press("[id='area.wkt']", "Tab")
        assert sheet.locator(".outline-map path.leaflet-interactive[stroke='#8c1d13']").count() == 2
        assert not seen.errors and not seen.outside
