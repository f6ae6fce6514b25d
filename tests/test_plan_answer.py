"""What a study's advanced settings do, how its own layers are told everywhere, and that studies of waste never speak of water."""

import html
import io
import json
import re

import openpyxl
import pytest
import shapely
import staffroom
from hypothesis import given
from hypothesis import strategies as st
from test_plan_pages import WARDS, draft, run, sent, study
from test_sheets import texts

from geo.plans import Effort
from layers import formats
from server import (
    citations,
    layeruses,
    loadwords,
    planadvanced,
    planplaces,
    sitefiles,
    sitespec,
    sitetables,
    siting,
    studysheets,
)
from server.i18n import translations
from server.sitekinds import table
from server.sitewords import LAYER

FLOOD = shapely.box(106.66, 20.84, 106.69, 20.87)
NAMES = ("Vùng ngập <b>thử</b>", "Cống chính", "Khu nhà mới")


@pytest.fixture(scope="module")
def office(starter_store, tmp_path_factory):
    with staffroom.office(starter_store, tmp_path_factory.mktemp("answer") / "data") as made:
        yield made


def small(office, **changes):
    spec = sitespec.default(office.services) | {"area": {"units": list(WARDS)}, "cell_m": 200.0, "number": 2}
    spec |= {"candidates": {"count": 12, "apart_m": 1000.0}, "robustness": {"runs": 50, "spread": 0.5, "top": 3}}
    spec["sizes"] = [{"capacity_m3_day": 4000.0, "cost": 100.0}, {"capacity_m3_day": 8000.0, "cost": 180.0}]
    spec |= changes
    code = office.services.studies.create(office.users["planner"], spec)
    run(office, code)
    return code


@pytest.fixture(scope="module")
def own(office):
    """The code of a study with three layers of its own: land to keep away from, a measure, and one that nobody uses."""
    base = sitespec.default(office.services)
    wkt = (FLOOD.wkt, "LINESTRING (106.60 20.84, 106.70 20.86)", "MULTIPOINT ((106.64 20.83), (106.65 20.82))")
    layers = [
        {"code": code, "name": name, "source": f"Nguồn {code}", "wkt": text}
        for code, name, text in zip(("flood", "sewer", "homes"), NAMES, wkt, strict=True)
    ]
    rules = [*base["rules"], {"code": "layer:flood", "on": True, "distance_m": 100.0, "source": "Sở"}]
    criteria = [*base["criteria"], {"code": "layer:sewer", "weight": 2.0, "curve": [[0.0, 1.0], [2000.0, 0.0]]}]
    return small(office, name="Lớp riêng", layers=layers, rules=rules, criteria=criteria)


@pytest.fixture(scope="module")
def waste(office):
    """The code of a study of an incinerator."""
    facility = sitespec.default(office.services)["facility"]
    facility |= {"kind": "solid waste", "technology": "incinerator", "enclosed": None}
    sizes = [{"capacity_m3_day": 300.0, "cost": 500.0}]
    demand = {"kg_person_day": 0.9, "source": "Báo cáo môi trường"}
    return small(office, name="Lò đốt", facility=facility, sizes=sizes, demand=demand, within_m=15_000.0)


def seen(page):
    """What a reader sees of the main part of a page."""
    main = page[page.index("<main") : page.index("</main>")]
    main = re.sub(r"<(script|style)\b.*?</\1>", " ", main, flags=re.S)
    main = re.sub(r'<select id="facility.technology".*?</select>', " ", main, flags=re.S)  # all works, of water too
    return html.unescape(re.sub(r"<[^>]+>", " ", main))


def document(page):
    return json.loads(re.search(r'<script type="application/json" id="map-data">(.*?)</script>', page, re.S)[1])


def sheet_text(office, code, language):
    with office.app.test_request_context(f"/?lang={language}"):
        office.app.preprocess_request()
        body = studysheets.study_sheet(office.services, code, "A4")
    return [" ".join(page.split()) for page in texts(body)]


# --- the advanced part ---


def test_the_advanced_part_says_in_words_what_holds_and_changes_it(office):
    code = draft(office)
    page = office.page("planner", f"/plan/{code}/edit/goal")
    assert "Cells of 100 m; up to 120 sites to choose from" in page and "the usual search" in page
    changes = {"effort.how": "thorough", "robustness.runs": "2,000", "robustness.spread": "30", "robustness.top": "5", "seed": "7",
               "cell_m": "250", "candidates.count": "40", "candidates.apart_m": "1,500"}  # fmt: skip
    assert sent(office, code, "goal", **changes).status_code == 303
    spec = study(office, code)["spec"]
    assert spec["robustness"] == {"runs": 2000, "spread": 0.3, "top": 5} and spec["seed"] == 7
    assert spec["effort"]["kicks"] > Effort().kicks and planadvanced.effort_of(spec["effort"]) == "thorough"
    assert (spec["cell_m"], spec["candidates"]) == (250.0, {"count": 40, "apart_m": 1500.0})
    checked = seen(office.page("planner", f"/plan/{code}/edit/run"))
    assert "a thorough search; 2,000 runs with weights moved by up to ± 30%, first 5 sites" in checked


def test_values_of_ones_own_for_the_search_are_taken_when_they_are_chosen(office):
    code = draft(office)
    assert sent(office, code, "goal", **{"effort.kicks": "9"}).status_code == 303
    assert study(office, code)["spec"]["effort"]["kicks"] == Effort().kicks, "not chosen, not taken"
    own = {"effort.how": "own", "effort.kicks": "9", "effort.gap": "2.5", "effort.nodes": "", "effort.seconds": "1.5"}
    assert sent(office, code, "goal", **own).status_code == 303
    effort = study(office, code)["spec"]["effort"]
    assert (effort["kicks"], effort["gap"], effort["nodes"], effort["seconds"]) == (9, 0.025, None, 1.5)
    assert "a search that is content with a gap of 2.50%" in seen(office.page("planner", f"/plan/{code}/edit/goal"))
    assert sent(office, code, "goal").status_code == 303 and study(office, code)["spec"]["effort"] == effort


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("effort.gap", "51"),
        ("effort.gap", "-1"),
        ("effort.rounds", "viele"),
        ("effort.kicks", "-1"),
        ("effort.seconds", "0"),
        ("robustness.spread", "101"),
        ("robustness.spread", ""),
        ("robustness.runs", "20,001"),
        ("robustness.top", "0"),
        ("seed", "1.5"),
        ("candidates.apart_m", "0"),
        ("cell_m", "0"),
        ("given", "Bãi; 106.68; 20.85"),
        ("given", "A; 20.85; 106.68\nA; 20.86; 106.68"),
        ("given", "20.85 106.68"),
        ("given", f"{'x' * 61}; 20.85; 106.68"),
    ],
)
def test_a_wrong_value_is_told_beside_its_field_in_the_open_part(office, field, typed):
    code = draft(office)
    answer = sent(office, code, "goal", **{"effort.how": "own", field: typed})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422 and f'id="{field}-error"' in page and f'<a href="#{field}">' in page
    part = page[page.index('id="advanced"') :]
    assert '<details class="how" open><summary>Change them' in part
    assert study(office, code)["revision"] == 1


def test_sites_of_ones_own_are_weighed_and_those_that_break_a_rule_are_named(office, own):
    result = office.services.studies.result(own)
    good = result["candidates"][0]
    inside = FLOOD.centroid
    typed = f"Bãi đất trống; {good['lat']:.5f}; {good['lon']:.5f}\n\nVùng ngập\t{inside.y:.4f}\t{inside.x:.4f}"
    code = office.services.studies.copy(office.users["planner"], own)
    assert sent(office, code, "goal", given=typed, **{"candidates.count": "0", "number": "1"}).status_code == 303
    spec = study(office, code)["spec"]
    assert [g["code"] for g in spec["given"]] == ["Bãi đất trống", "Vùng ngập"]
    run(office, code)
    made = office.services.studies.result(code)
    assert [s["code"] for s in made["sites"]] == ["Bãi đất trống"] and [r["code"] for r in made["refused"]] == [
        "Vùng ngập"
    ]
    assert LAYER + "flood" in made["refused"][0]["broken"]
    assert "Given sites that no size may stand on:" in office.page("planner", f"/plan/{code}")
    spec = study(office, code)["spec"]
    office.services.studies.save(
        office.users["planner"], code, study(office, code)["revision"], spec | {"force": ["Bãi đất trống"]}
    )
    assert sent(office, code, "goal", given="Vùng ngập; 20.85; 106.68", **{"candidates.count": "5"}).status_code == 303
    assert study(office, code)["spec"]["force"] == [], "a site that was taken out of the list is not forced any more"


CODES = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=20)
PLACES = st.tuples(st.floats(106, 108), st.floats(20, 21.4))


@given(st.dictionaries(CODES, PLACES, max_size=5))
def test_a_list_of_places_is_read_back_as_it_was_written(places):
    rows = [{"code": code, "lon": round(lon, 7), "lat": round(lat, 7)} for code, (lon, lat) in places.items()]
    assert planplaces.listed(planplaces.lines(rows)) == (rows, [])


def test_a_study_from_before_a_setting_was_known_opens_with_its_own_words(office):
    spec = sitespec.default(office.services) | {"name": "Từ trước", "area": {"units": list(WARDS)}}
    code = office.services.studies.create(office.users["planner"], spec)
    spec["effort"].pop("looks")
    with office.services.store.transaction() as con:
        kept = siting.studies.update().where(siting.studies.c.code == code)
        con.execute(kept.values(spec=sitespec.canonical(spec)))
    for step in ("goal", "rules", "weights", "run"):
        page = office.page("planner", f"/plan/{code}/edit/{step}?lang=en")
        assert step not in ("goal", "run") or "the usual search" in page


def test_each_effort_is_harder_than_the_one_before():
    quick, usual, thorough = (planadvanced.EFFORTS[name] for name in ("quick", "usual", "thorough"))
    for name in ("rounds", "trials", "kicks", "kernel_pairs", "outright_pairs", "unlimited_pairs", "nodes"):
        assert getattr(quick, name) < getattr(usual, name) < getattr(thorough, name), name
    assert quick.gap > usual.gap > thorough.gap and usual == Effort()
    assert set(planadvanced.COUNTS) | {"gap"} == set(Effort.__dataclass_fields__), "a field of the effort has no words"


# --- layers of the study ---


def test_own_layers_are_drawn_on_the_map_with_a_line_each_in_the_key(office, own):
    page = office.page("planner", f"/plan/{own}")
    layers = document(page)["layers"]
    drawn = [layers[f"own-{k}"] for k in range(3)]
    assert [d["kind"] for d in drawn] == ["own"] * 3 and len({(d["colour"], d["dash"]) for d in drawn}) == 3
    assert shapely.geometry.shape(drawn[0]["geometry"]).equals(FLOOD)
    key = page[page.index("own-key") :]
    key = html.unescape(key[: key.index("</ul>")])
    assert key.count("<li>") == 3 and all(html.escape(name) in key or name in key for name in NAMES)
    assert "<b>thử" not in page, "names stay text"
    for use in ("keep away by 100 m", "nearer is better", "not used"):
        assert use in key


def test_a_heavy_layer_is_drawn_lighter_and_stays_where_it_is(office):
    from server import planmap

    circle = shapely.Point(106.7, 20.85).buffer(0.05, quad_segs=4000)
    light = planmap._lighter(circle)
    assert shapely.get_num_coordinates(light) <= planmap.MOST_CORNERS < shapely.get_num_coordinates(circle)
    assert light.symmetric_difference(circle).area < 1e-3 * circle.area


def test_each_of_twenty_four_layers_looks_like_no_other():
    assert len({layeruses.look(k) for k in range(24)}) == 24


def test_own_layers_stand_in_the_files_and_on_the_sheet(office, own, tmp_path):
    result, folder = office.services.studies.result(own), office.services.studies.paths(own)["folder"]
    tables = {t.layer.name: t for t in sitefiles.tables(result, folder)}
    made = tables["own_layers"]
    rows = [dict(zip([f.name for f in made.fields], row, strict=True)) for row in made.rows()]
    assert [r["name"] for r in rows] == list(NAMES) and rows[0]["use_en"] == "keep away by 100 m"
    excluded = next(e for e in result["excluded"] if e["code"] == "layer:flood")
    assert rows[0]["ha"] == pytest.approx(excluded["ha"]) and rows[1]["ha"] is None
    assert [shapely.get_type_id(s) for s in made.shapes] == [3, 1, 4]
    formats.geopackage_file(tmp_path / "a.gpkg", list(tables.values()))
    book = openpyxl.load_workbook(io.BytesIO(sitefiles.workbook(result)))
    assert [c.value for c in book["Lớp dữ liệu riêng"]["B"]][2:] == list(NAMES)
    for language, use in (("vi", "giữ cách 100 m"), ("en", "keep away by 100 m")):
        pages = sheet_text(office, own, language)
        assert all(name in pages[0] for name in NAMES) and any(use in page for page in pages[1:])


def test_a_study_without_layers_of_its_own_has_no_such_table(office, waste):
    result, folder = office.services.studies.result(waste), office.services.studies.paths(waste)["folder"]
    assert "own_layers" not in {t.layer.name for t in sitefiles.tables(result, folder)}
    assert "own-key" not in office.page("planner", f"/plan/{waste}")


# --- waste ---

WATER = re.compile(r"waste ?water|nước thải|m³", re.IGNORECASE)


@pytest.mark.parametrize("language", ["en", "vi"])
def test_a_study_of_waste_speaks_of_waste_on_its_pages(office, waste, language):
    answer = office.planner.get(f"/plan/{waste}?lang={language}").get_data(as_text=True)
    marks = json.dumps(document(answer)["layers"]["demand"], ensure_ascii=False)
    why = office.planner.get(f"/plan/{waste}/why?lat=20.85&lon=106.6&lang={language}").get_data(as_text=True)
    steps = [
        office.planner.get(f"/plan/{waste}/edit/{s}?lang={language}").get_data(as_text=True)
        for s in ("goal", "rules", "weights", "run")
    ]
    office.planner.get("/plan?lang=en")
    text = seen(answer)
    sources = text.index({"en": "Sources and data", "vi": "Nguồn và dữ liệu"}[language], text.index("GeoPackage"))
    for said in (text[:sources], marks, seen(why), *map(seen, steps)):
        assert not WATER.search(said), WATER.search(said)
    assert {"en": "t/day of waste of", "vi": "t/ngày chất thải của"}[language] in text
    assert {"en": "Facilities and waste", "vi": "Cơ sở và chất thải"}[language] in text


def test_the_notes_and_files_of_a_study_of_waste_speak_of_waste(office, waste):
    result = office.services.studies.result(waste)
    assert result["notes"] and not any(WATER.search(note[lang]) for note in result["notes"] for lang in ("en", "vi"))
    told = [t for layer in sitetables.ORDER for t in (sitetables.of_load(layer, "t_day"),)]
    for layer in told:
        words = [layer.vi, layer.en, *(w for f in layer.fields for w in (f.vi, f.en, f.unit))]
        assert not any(WATER.search(word) for word in words), words
    book = openpyxl.load_workbook(io.BytesIO(sitefiles.workbook(result)))
    for sheet in book:
        cells = [str(c) for row in sheet.iter_rows(values_only=True) for c in row if c is not None]
        spoken = [c for c in cells if WATER.search(c) and c not in result["sources"]]
        assert not spoken and not WATER.search(sheet.title), (sheet.title, spoken)
    for language in ("en", "vi"):
        first, *_others = sheet_text(office, waste, language)
        assert not WATER.search(first) and {"en": "t/day", "vi": "t/ngày"}[language] in first


def test_a_study_of_water_keeps_its_words(office, own):
    assert "Waste water that is not treated, by unit" in office.page("planner", f"/plan/{own}")
    assert sitetables.of_load(sitetables.DEMANDS, "m3_day") is sitetables.DEMANDS
    assert set(loadwords.PHRASES["m3_day"]) == set(loadwords.PHRASES["t_day"])


# --- references, and an answer without a plan ---


def test_references_of_the_table_are_told_in_vietnamese_and_what_people_wrote_is_not_touched():
    reference = "QCVN 01:2021/BXD (Circular 01/2021/TT-BXD), notes to Table 2.22"
    assert citations.cited(f"2021-2.22-38; {reference}", "vi") == (
        "2021-2.22-38; QCVN 01:2021/BXD (Thông tư 01/2021/TT-BXD), ghi chú của Bảng 2.22"
    )
    assert citations.cited(reference, "en") == reference
    assert citations.cited("Table 5 of Circular 3, our own reading", "vi") == "Table 5 of Circular 3, our own reading"
    known = translations("vi")
    assert all(known.gettext(part) != part for part in citations.PARTS)
    english = re.compile(r"\b(Circular|Table|section|Decree|article|clause|Annex|Law)\b")
    told = [citations.cited(text, "vi") for text in set(table()["reference"])]
    assert not [text for text in told if english.search(text)]


def test_where_no_land_is_left_the_map_shows_the_reasons_and_no_sheet_is_offered(office):
    rules = sitespec.default(office.services)["rules"]
    next(r for r in rules if r["code"] == "houses").update(distance_m=50_000.0, source="thử")
    code = small(office, name="Không còn đất", rules=rules)
    page = office.page("planner", f"/plan/{code}")
    assert document(page)["layers"]["reasons"]["bits"] > 0 and "of-study" not in page
    assert 'data-reason-bit="4" checked' in page and "What stands in the way:" in page
    assert "sites" not in document(page)["layers"]
    assert office.planner.get(f"/plan/scenarios/of-study/{code}.pdf").status_code == 404


def test_a_study_that_turns_to_waste_gets_the_curve_of_waste_unless_somebody_drew_one(office):
    waste = {
        "facility.technology": "incinerator",
        "facility.enclosed": "",
        "demand.kg_person_day": "0.9",
        "demand.source": "Báo cáo",
    }

    def curve(code):
        return next(c["curve"] for c in study(office, code)["spec"]["criteria"] if c["code"] == "demand")

    code = draft(office)
    assert sent(office, code, "goal", **waste).status_code == 303 and curve(code) == [[0.0, 0.0], [200.0, 1.0]]
    back = {"facility.technology": sitespec.blank(None)["facility"]["technology"], "facility.enclosed": "yes"}
    assert sent(office, code, "goal", **back).status_code == 303 and curve(code) == [[0.0, 0.0], [20_000.0, 1.0]]
    drawn = draft(office, name="Đường riêng")
    assert sent(office, drawn, "weights", **{"criteria[0].curve[1].m": "5,000"}).status_code == 303
    assert sent(office, drawn, "goal", **waste).status_code == 303 and curve(drawn) == [[0.0, 0.0], [5000.0, 1.0]]
    asked = {"facility.technology": "incinerator", "as_of": "2026-11-23", "capacity": "500", "lang": "en"}
    told = office.planner.get("/plan/law.json", query_string=asked).get_json()
    assert told["unit"] == "t/day" and told["waste"] is True and told["lines"][0]["distance"]
