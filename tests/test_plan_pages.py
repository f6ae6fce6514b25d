"""The siting pages as their users work with them: steps saved, a real run of the starter data, the answer, why not here."""

import copy
import html
import json
import math
import re
from io import BytesIO

import people
import pytest
import staffroom
from geopandas import GeoSeries
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from server import plancharts, planforms, planresult, sitespec, siteweights, sitewords, worker
from server.quantities import quantity, shown
from server.siting import Studies

WARDS = ("11359", "11560", "11383", "11311", "11329", "11407")  # in and round the old centre
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture(scope="module")
def office(starter_store, tmp_path_factory):
    with staffroom.office(starter_store, tmp_path_factory.mktemp("plan") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def ran(office):
    """The code of a study of six wards that was run."""
    spec = sitespec.default(office.services)
    spec |= {"name": "Sáu phường", "area": {"units": list(WARDS)}, "cell_m": 200.0, "number": 2}
    spec |= {"candidates": {"count": 12, "apart_m": 1000.0}, "robustness": {"runs": 100, "spread": 0.5, "top": 3}}
    spec["sizes"] = [{"capacity_m3_day": 4000.0, "cost": 100.0}, {"capacity_m3_day": 8000.0, "cost": 180.0}]
    code = office.services.studies.create(office.users["planner"], spec)
    run(office, code)
    return code


def run(office, code):
    job = office.services.studies.run(office.users["planner"], code)
    worker.work_off(office.services)
    assert office.services.jobs.get(job).state == "done", office.services.jobs.get(job).error


def draft(office, **changes):
    spec = sitespec.default(office.services) | changes
    return office.services.studies.create(office.users["planner"], spec)


def study(office, code):
    return office.services.studies.get(code)


def fields(page):
    """{name: value} of what the form of a step would send as it stands."""
    out = {}
    form = page[page.index('class="plan-form"') :]
    form = form[: form.index("</form>")]
    for tag in re.findall(r"<input\b[^>]*>", form):
        named = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        kind = named.get("type", "text")
        if "name" in named and (kind not in ("checkbox", "radio") or re.search(r"\bchecked\b", tag)):
            out.setdefault(html.unescape(named["name"]), []).append(html.unescape(named.get("value", "")))
    for name, inner in re.findall(r'<select id="[^"]*" name="([^"]*)"[^>]*>(.*?)</select>', form, re.S):
        chosen = re.search(r'<option value="([^"]*)" selected', inner) or re.search(r'<option value="([^"]*)"', inner)
        out[html.unescape(name)] = [html.unescape(chosen[1])]
    for name, inner in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', form, re.S):
        out[html.unescape(name)] = [html.unescape(inner)]
    return out


def sent(office, code, step, role="planner", language="en", **changes):
    """Send a step's form as the page shows it, with some fields changed; the answer."""
    client = getattr(office, role)
    page = client.get(f"/plan/{code}/edit/{step}?lang={language}").get_data(as_text=True)
    data = fields(page) | {k: v if isinstance(v, list) else [v] for k, v in changes.items()}
    data = {k: v for k, v in data.items() if v != [None]} | {"csrf": [client.csrf]}
    return client.post(f"/plan/{code}/edit/{step}", data=data)


# --- the list ---


def test_without_a_study_the_list_explains_and_offers_the_first(starter_store, tmp_path):
    with staffroom.office(starter_store, tmp_path / "data") as made:
        assert "Begin the first study" in made.page("planner", "/plan")
        seen = made.page("inspector", "/plan")
        assert "Planners and administrators begin studies." in seen and "Begin the first study" not in seen
        answer = made.send("planner", "/plan/new")
        assert answer.status_code == 303 and answer.location.endswith("/plan/S-0001/edit/goal")
        assert "S-0001" in made.page("approver", "/plan")


def test_only_planners_and_administrators_write(office):
    code = draft(office)
    for path in ("new", f"{code}/copy", f"{code}/delete", f"{code}/run", f"{code}/edit/goal", f"{code}/block"):
        assert office.send("inspector", f"/plan/{path}").status_code == 403
    read = office.page("inspector", f"/plan/{code}/edit/goal")
    assert 'class="plan-whole" disabled' in read and "Planners and administrators change it." in read
    assert office.send("commune_officer", "/plan/new").status_code == 403
    assert office.commune_officer.get("/plan").status_code == 403


def test_a_deleted_study_is_out_of_the_list_and_comes_back(office):
    code = draft(office, name="Bản thử xóa")
    answer = office.send("planner", f"/plan/{code}/delete", {"revision": "1"}, follow_redirects=True)
    page = answer.get_data(as_text=True)
    assert f'action="/plan/{code}/restore"' in page and f'href="/plan/{code}"' not in page
    assert office.planner.get(f"/plan/{code}").status_code == 404
    office.send("planner", f"/plan/{code}/restore", {"revision": str(study(office, code)["revision"])})
    assert f'href="/plan/{code}"' in office.page("planner", "/plan")


def test_a_copy_asks_the_same_question_under_its_own_code(office, ran):
    answer = office.send("planner", f"/plan/{ran}/copy")
    made = answer.location.split("/")[2]
    old, new = study(office, ran)["spec"], study(office, made)["spec"]
    assert made != ran and {k: v for k, v in new.items() if k != "name"} == {
        k: v for k, v in old.items() if k != "name"
    }


# --- the steps ---


def test_a_step_sent_as_it_stands_changes_nothing(office):
    code = draft(office)
    before = study(office, code)
    for step in ("goal", "rules", "weights"):
        for language in ("vi", "en"):
            answer = sent(office, code, step, language=language)
            assert answer.status_code == 303, answer.get_data(as_text=True)[:3000]
    assert study(office, code)["spec"] == before["spec"] and study(office, code)["revision"] == before["revision"]


def test_the_goal_is_read_as_people_of_both_languages_write_numbers(office):
    code = draft(office)
    for language, capacity, cost in (("vi", "12.500", "312,5"), ("en", "12,500", "312.5")):
        changes = {
            "sizes[0].capacity_m3_day": capacity,
            "sizes[0].cost": cost,
            "sizes[1].capacity_m3_day": "",
            "sizes[1].cost": "",
        }
        assert sent(office, code, "goal", language=language, **changes).status_code == 303
        assert study(office, code)["spec"]["sizes"] == [{"capacity_m3_day": 12500.0, "cost": 312.5}]
        sent(office, code, "goal", language=language, **{"sizes[0].capacity_m3_day": "9000"})
    sent(
        office,
        code,
        "goal",
        area="units",
        **{
            "area.units": list(WARDS[:2]),
            "facility.enclosed": "no",
            "plants.spare.WW01": "1000",
            "plants.source": "Nhật ký vận hành",
        },
    )
    spec = study(office, code)["spec"]
    assert spec["area"] == {"units": sorted(WARDS[:2])} and spec["facility"]["enclosed"] is False
    assert spec["plants"]["spare"] == {"WW01": 1000.0} and spec["plants"]["source"] == "Nhật ký vận hành"
    unsourced = sent(office, code, "goal", **{"plants.source": ""})
    assert unsourced.status_code == 422 and 'id="plants.source-error"' in unsourced.get_data(as_text=True)
    sent(office, code, "goal", area="", **{"plants.spare.WW01": "", "plants.source": "", "plants.keep": None})
    spec = study(office, code)["spec"]
    assert spec["area"] == {} and spec["plants"] == {"keep": False, "building": False, "spare": {}, "source": ""}


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(office):
    code = draft(office)
    answer = sent(office, code, "goal", name="", within_m="viele", **{"sizes[0].cost": "-3"})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    for name in ("name", "within_m", "sizes[0].cost"):
        assert f'<a href="#{name}">' in page and f'id="{name}-error"' in page, name
    assert 'value="viele"' in page and 'value="-3"' in page
    assert study(office, code)["revision"] == 1
    assert sent(office, code, "goal", area="units", **{"area.units": []}).status_code == 422
    assert sent(office, code, "goal", area="wkt", **{"area.wkt": "POLYGON((1 2"}).status_code == 422


def test_of_two_who_change_a_step_the_second_is_told_and_keeps_what_was_typed(office):
    code = draft(office)
    page = office.page("planner", f"/plan/{code}/edit/goal")
    data = fields(page) | {"name": ["Của tôi"], "csrf": [office.planner.csrf]}
    sent(office, code, "goal", role="administrator", number="5")
    answer = office.planner.post(f"/plan/{code}/edit/goal", data=data)
    refused = answer.get_data(as_text=True)
    assert answer.status_code == 409 and 'value="Của tôi"' in refused
    assert study(office, code)["spec"]["number"] == 5
    again = fields(refused) | {"csrf": [office.planner.csrf]}
    assert office.planner.post(f"/plan/{code}/edit/goal", data=again).status_code == 303
    assert study(office, code)["spec"]["name"] == "Của tôi"


def law(office, **asked):
    query = {
        "facility.technology": sitespec.blank(None)["facility"]["technology"],
        "as_of": "2026-11-23",
        "capacity": "20000",
    }
    answer = office.planner.get("/plan/law.json", query_string=query | {"lang": "en"} | asked)
    return answer.get_json()["lines"]


def test_from_open_to_enclosed_the_ring_shrinks_from_250_to_30_m(office):
    (hollow,) = law(office, **{"facility.enclosed": "no"})
    (closed,) = law(office, **{"facility.enclosed": "yes"})
    assert (hollow["distance"], closed["distance"]) == ("250", "30")
    assert (
        "2021-2.22-15" in hollow["source"] and "2021-2.22-19" in closed["source"] and "5 Jul 2021" in closed["source"]
    )
    (upwind,) = law(office, **{"facility.enclosed": "no", "facility.upwind": "yes"})
    assert upwind["distance"] == "375" and upwind["factor"] == "1.5"


def test_the_regulation_of_2027_is_blank_and_says_so_until_a_value_has_a_source(office):
    (line,) = law(office, **{"facility.enclosed": "yes", "as_of": "2027-02-01"})
    assert line["distance"] is None and "not established" in line["state_word"]
    code = draft(office, as_of="2027-02-01")
    page = office.page("planner", f"/plan/{code}/edit/rules")
    assert "not established" in page
    refused = sent(office, code, "rules", **{"facility.entries[0].distance_m": "60"})
    assert refused.status_code == 422 and 'id="facility.entries[0].source-error"' in refused.get_data(as_text=True)
    entry = {"facility.entries[0].distance_m": "60", "facility.entries[0].source": "Thẩm định số 5"}
    assert sent(office, code, "rules", **entry).status_code == 303
    assert study(office, code)["spec"]["facility"]["entries"] == [
        {"distance_m": 60.0, "source": "Thẩm định số 5", "enclosed": None}
    ]
    assert "60 m" in office.page("planner", f"/plan/{code}/edit/rules")


def test_a_rule_without_data_is_called_not_checked_and_the_law_cannot_be_undercut(office):
    code = draft(office)
    page = office.page("planner", f"/plan/{code}/edit/rules")
    missing = page[page.index("Drinking water intakes") :]
    assert "Not checked: no data" in missing[:900]
    at = [r["code"] for r in study(office, code)["spec"]["rules"]].index("houses")
    low = {f"rules[{at}].distance_m": "29", f"rules[{at}].source": "Sở"}
    answer = sent(office, code, "rules", **low)
    assert answer.status_code == 422 and f'id="rules[{at}].distance_m-error"' in answer.get_data(as_text=True)
    more = {f"rules[{at}].distance_m": "90", f"rules[{at}].source": "Sở"}
    assert sent(office, code, "rules", **more).status_code == 303
    kept = study(office, code)["spec"]["rules"][at]
    assert (kept["distance_m"], kept["source"]) == (90.0, "Sở")
    assert sent(office, code, "rules", **{f"rules[{at}].on": None}).status_code == 303
    assert study(office, code)["spec"]["rules"][at]["on"] is False


def test_a_curve_is_edited_by_its_points(office):
    code = draft(office)
    points = {"criteria[0].curve[0].m": "100", "criteria[0].curve[0].v": "0,2", "criteria[0].curve[1].m": "5.000",
              "criteria[0].curve[1].v": "1", "criteria[0].curve[2].m": "900", "criteria[0].curve[2].v": "0,9"}  # fmt: skip
    assert sent(office, code, "weights", language="vi", **points).status_code == 303
    assert study(office, code)["spec"]["criteria"][0]["curve"] == [[100.0, 0.2], [900.0, 0.9], [5000.0, 1.0]]
    wrong = sent(office, code, "weights", **{"criteria[0].curve[0].v": "1.4"})
    assert wrong.status_code == 422 and 'id="criteria[0].curve"' in wrong.get_data(as_text=True)


def test_pairs_give_weights_once_all_are_answered_and_name_the_worst_contradiction(office):
    def ask(**pairs):
        query = {"names": "demand,houses,plants", "lang": "en"} | pairs
        return office.planner.get("/plan/weights.json", query_string=query).get_json()

    assert ask(**{"demand|houses": "2"})["state"] == "open"
    good = ask(**{"demand|houses": "2", "houses|plants": "2", "demand|plants": "4"})
    assert good["state"] == "good" and good["ratio"] == pytest.approx(0) and good["odd"] == ""
    assert [w["share"] for w in good["weights"]] == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    bad = ask(**{"demand|houses": "9", "houses|plants": "9", "demand|plants": "1/9"})
    assert bad["state"] == "bad" and bad["ratio"] > 0.1 and "Most at odds" in bad["odd"]
    assert ask(**{"demand|houses": "'; DROP", "x|y": "3"})["state"] == "open"


def test_answers_on_pairs_are_saved_whole_or_not(office):
    code = draft(office)
    used = [c["code"] for c in study(office, code)["spec"]["criteria"] if c["weight"] > 0]
    keys = [f"{a}|{b}" for i, a in enumerate(used) for b in used[i + 1 :]]
    some = sent(office, code, "weights", by="pairs", **{f"pairs.{keys[0]}": "3"})
    assert some.status_code == 422 and f"{len(keys) - 1} of {len(keys)}" in some.get_data(as_text=True)
    every = sent(office, code, "weights", by="pairs", **{f"pairs.{k}": "1" for k in keys})
    assert every.status_code == 303
    shares, found = siteweights.weights(study(office, code)["spec"])
    assert list(shares.values()) == pytest.approx([1 / len(used)] * len(used)) and found.accepted
    assert sent(office, code, "weights", by="typed").status_code == 303
    assert study(office, code)["spec"]["pairs"] is None


@given(st.one_of(st.integers(0, 10**9), st.floats(0, 10**7).map(lambda v: round(v, 6))), st.sampled_from(["vi", "en"]))
def test_a_number_written_into_a_field_is_read_back_the_same(value, language):
    assert quantity(shown(value, language), language) == pytest.approx(value, abs=1e-9)


@given(st.integers(1, 9), st.booleans())
def test_an_answer_on_a_pair_survives_the_form(times, other_way):
    value = 1 / times if other_way else float(times)
    assert planforms.times_of(planforms.answer_of(value)) == pytest.approx(value)


# --- the run and its answer ---


def test_a_run_is_shown_while_it_waits_and_the_answer_comes_when_it_is_done(office):
    code = draft(office, area={"units": list(WARDS[:3])}, cell_m=400.0, candidates={"count": 3, "apart_m": 1500.0})
    assert "Not run yet" in office.page("planner", f"/plan/{code}")
    answer = office.send("planner", f"/plan/{code}/run")
    assert answer.status_code == 303
    page = office.page("planner", f"/plan/{code}")
    assert "data-job=" in page and "Stop the work" in page
    assert "A run is under way" in office.page("inspector", f"/plan/{code}")
    job = study(office, code)["job"]
    office.send("planner", f"/jobs/{job}/cancel")
    worker.work_off(office.services)
    assert "Cancelled" in office.page("planner", f"/plan/{code}")
    run(office, code)
    assert "plan-lead" in office.page("planner", f"/plan/{code}")
    office.send("planner", f"/plan/{code}/run")
    office.send("planner", f"/jobs/{study(office, code)['job']}/cancel")
    worker.work_off(office.services)
    page = office.page("planner", f"/plan/{code}")
    assert "plan-lead" in page and "Run again" in page, (
        "the answer of the run before stays, and another run can be asked for"
    )


def test_the_answer_shows_the_figures_of_the_result_file(office, ran):
    result = office.services.studies.result(ran)
    page = office.page("inspector", f"/plan/{ran}")
    plan = result["plan"]
    assert f"{plan['value']:,.0f}" in page
    for site in result["sites"]:
        assert f'id="site-{site["code"]}"' in page
        inside = site["card"]["people_inside"]
        for ring in (inside["open"], inside["enclosed"]):
            assert f"{round(ring['people']):,} people inside {ring['distance_m']:g} m" in page
        for row in inside["open"]["rows"]:
            assert row in page
    for row in result["curve"]:
        assert row["number"] >= 1
    for excluded in result["excluded"]:
        if excluded["source"]:
            assert all(part in page for part in excluded["source"].split("; ")), excluded["source"]
    for one in result["unchecked"]:
        assert sitewords.word(
            {"rule": "rule", "criterion": "criterion"}.get(one["kind"], "rule"), one["code"], "en"
        ) in page or one["kind"] in ("upstream", "land")
    assert "Not checked, for want of data:" in page
    for name in result["prints"]:
        assert name in page
    assert "Keep it in every run" not in page, "an inspector only reads"
    assert "Keep it in every run" in office.page("planner", f"/plan/{ran}")


def test_the_answer_is_in_vietnamese_too(office, ran):
    page = office.planner.get(f"/plan/{ran}?lang=vi").get_data(as_text=True)
    for words in (
        "Vì sao không đặt ở đây?",
        "Mức phù hợp",
        "Đất bị loại",
        "nếu khép kín",
        "Chưa kiểm tra vì thiếu dữ liệu",
    ):
        assert words in page
    office.planner.get("/plan?lang=en")


def test_tiles_come_for_those_who_may_read_and_nothing_else_does(office, ran):
    found = study(office, ran)
    run_of = found["done_run"]
    lon, lat = (
        office.services.studies.result(ran)["sites"][0]["lon"],
        office.services.studies.result(ran)["sites"][0]["lat"],
    )
    z = 13
    x = int((lon + 180) / 360 * 2**z)
    y = int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**z)
    path = f"/plan/{ran}/tiles/{z}/{x}/{y}.png"
    answer = office.inspector.get(f"{path}?run={run_of}")
    assert answer.status_code == 200 and answer.mimetype == "image/png"
    assert Image.open(BytesIO(answer.data)).size == (256, 256)
    reasons = office.inspector.get(f"{path}?run={run_of}&bits=4")
    assert reasons.status_code in (200, 204) and reasons.data != answer.data
    assert office.inspector.get(f"/plan/{ran}/tiles/10/0/0.png?run={run_of}").status_code == 204
    for wrong in (
        f"{path}?run=9999",
        f"{path}?run=../../x",
        f"{path}?bits=x",
        f"/plan/{ran}/tiles/3/99/0.png",
        f"/plan/S-9999/tiles/{z}/{x}/{y}.png",
    ):
        assert office.inspector.get(wrong).status_code == 404, wrong
    assert people.visitor(office.app).get(path).status_code == 303


def test_files_of_the_answer_can_be_loaded(office, ran):
    there = office.services.studies.paths(ran)
    for kind in ("gpkg", "xlsx", "replay"):
        with office.inspector.get(f"/plan/{ran}/files/{kind}") as answer:
            assert answer.status_code == (200 if kind in there else 404)
    assert office.inspector.get(f"/plan/{ran}/files/spec").status_code == 404
    assert office.inspector.get(f"/plan/{ran}/files/..%2Fspec").status_code == 404


# --- why not here ---


def test_why_not_here_names_the_rule_the_metres_and_the_row(office, ran):
    result = office.services.studies.result(ran)
    site = result["sites"][0]
    free = office.planner.get(f"/plan/{ran}/why.json?lang=en&lat={site['lat']}&lon={site['lon']}").get_json()
    assert free["state"] == "free" and free["unchecked"]
    found = None
    for demand in sorted(result["demands"], key=lambda d: -d["m3_day"]):
        found = office.planner.get(f"/plan/{ran}/why.json?lang=en&lat={demand['lat']}&lon={demand['lon']}").get_json()
        if found["state"] == "excluded":
            break
    assert found["state"] == "excluded"
    raw = office.services.studies.explain(ran, found["at"][1], found["at"][0])
    broken = next(r for r in raw["rules"] if r["broken"])
    shown = next(r for r in found["rules"] if r["code"] == broken["code"])
    assert (
        shown["state"] == "broken"
        and broken["source"]
        and all(part in shown["source"] for part in broken["source"].split("; "))
    )
    assert shown["by"] == f"{broken['by']:,.0f} m" and shown["limit"] == f"{broken['limit']:,.0f} m"
    page = office.page("planner", f"/plan/{ran}/why?lat={found['lat']}&lon={found['lon']}")
    for words in (found["head"], shown["word"], shown["source"], shown["by"]):
        assert words in page


@pytest.mark.parametrize(
    "query",
    ["lat=20.85", "lat=x&lon=y", "lat=106.68&lon=20.85", f"lat={HOSTILE}&lon=1", "lat=nan&lon=inf", "lat=0&lon=0"],
)
def test_a_place_that_is_none_is_refused_in_words(office, ran, query):
    answer = office.planner.get(f"/plan/{ran}/why.json?lang=en&{query}")
    assert answer.status_code == 400 and answer.get_json()["message"]
    page = office.page("planner", f"/plan/{ran}/why?{query}")
    assert "field-error" in page and "<script>alert" not in page


def test_a_decimal_comma_is_taken_as_people_type_it(office, ran):
    both = [
        office.planner.get(f"/plan/{ran}/why.json?lang=vi&lat={a}&lon={b}").get_json()["at"]
        for a, b in (("20,85", "106,68"), ("20.85", "106.68"))
    ]
    office.planner.get("/plan?lang=en")
    assert both[0] == both[1] == [20.85, 106.68]


def test_an_island_in_the_sea_that_is_drawn_for_the_map_is_land(office):
    """The schematic outline of the gulf covers Cát Bà; the layer of the land says otherwise."""
    code = draft(office)
    island = office.planner.get(f"/plan/{code}/why.json?lang=en&lat=20.79&lon=106.99").get_json()
    assert {r["code"]: r["state"] for r in island["rules"]}["water"] == "kept"
    gulf = office.planner.get(f"/plan/{code}/why.json?lang=en&lat=20.60&lon=106.95").get_json()
    assert gulf["state"] == "excluded" and {r["code"]: r["state"] for r in gulf["rules"]}["water"] == "broken"


def test_a_blocked_place_is_not_chosen_again_and_a_forced_one_is(office, ran):
    copied = office.services.studies.copy(office.users["planner"], ran)
    run(office, copied)
    first = office.services.studies.result(copied)["sites"][0]
    answer = office.send("planner", f"/plan/{copied}/block", {"revision": "1", "site": first["code"]})
    assert answer.status_code == 303 and study(office, copied)["spec"]["block"] == [], "no reason, no block"
    office.send(
        "planner",
        f"/plan/{copied}/block",
        {"revision": "1", "site": first["code"], "reason": f"Chùa {HOSTILE}", "then": "run"},
    )
    worker.work_off(office.services)
    again = office.services.studies.result(copied)
    block = study(office, copied)["spec"]["block"][0]
    places = GeoSeries.from_xy(
        [block["lon"], *(s["lon"] for s in again["sites"])],
        [block["lat"], *(s["lat"] for s in again["sites"])],
        crs=4326,
    ).to_crs(9210)
    assert places.iloc[1:].distance(places.iloc[0]).min() >= block["radius_m"]
    page = office.page("planner", f"/plan/{copied}/edit/run")
    assert "<script>alert" not in page and "Chùa" in page
    why = office.planner.get(f"/plan/{copied}/why.json?lang=en&lat={block['lat']}&lon={block['lon']}").get_json()
    assert any(r["code"] == "blocked" and r["state"] == "broken" for r in why["rules"])
    other = next(c for c in again["candidates"] if not c["chosen"])
    held = study(office, copied)["revision"]
    office.send("planner", f"/plan/{copied}/force", {"revision": str(held), "site": other["code"], "then": "run"})
    worker.work_off(office.services)
    assert other["code"] in [s["code"] for s in office.services.studies.result(copied)["sites"]]
    held = study(office, copied)["revision"]
    office.send("planner", f"/plan/{copied}/unblock", {"revision": str(held), "number": "0", "back": "run"})
    office.send("planner", f"/plan/{copied}/unforce", {"revision": str(held + 1), "site": other["code"]})
    assert study(office, copied)["spec"]["block"] == [] and study(office, copied)["spec"]["force"] == []
    assert "The question was changed since this answer." in office.page("planner", f"/plan/{copied}")


def test_a_block_on_an_old_revision_writes_nothing(office, ran):
    copied = office.services.studies.copy(office.users["planner"], ran)
    office.services.studies.save(
        office.users["administrator"], copied, 1, study(office, copied)["spec"] | {"number": 1}
    )
    answer = office.send(
        "planner",
        f"/plan/{copied}/block",
        {"revision": "1", "lat": "20.85", "lon": "106.68", "reason": "chợ"},
        follow_redirects=True,
    )
    assert "Somebody changed the study" in answer.get_data(as_text=True) or "đã sửa" in answer.get_data(as_text=True)
    assert study(office, copied)["spec"]["block"] == []


def test_a_question_that_cannot_be_met_says_which_rule_binds(office, ran):
    spec = copy.deepcopy(study(office, ran)["spec"])
    houses = next(r for r in spec["rules"] if r["code"] == "houses")
    houses |= {"distance_m": 50_000.0, "source": "thử"}
    code = office.services.studies.create(office.users["planner"], spec)
    run(office, code)
    page = office.page("planner", f"/plan/{code}")
    assert "No place in the study area keeps all the rules" in page and "Houses" in page
    assert "cannot be done" in office.page("planner", "/plan")


@pytest.mark.parametrize(
    ("model", "words"),
    [("covering", "out of reach"), ("median", "on ways of"), ("cheapest", "on ways of")],
)
def test_the_other_models_are_asked_and_answered_too(office, ran, model, words):
    spec = copy.deepcopy(study(office, ran)["spec"])
    spec |= {"model": model, "number": 12, "within_m": 30_000.0, "cost_per_m3_km": 0.001}
    spec["sizes"] = [{"capacity_m3_day": 60_000.0, "cost": 900.0}]
    code = office.services.studies.create(office.users["planner"], spec)
    run(office, code)
    result = office.services.studies.result(code)
    page = office.page("planner", f"/plan/{code}")
    lead = page[page.index("plan-lead") :][:600]
    if result["infeasible"]:
        assert result["infeasible"]["en"] in page
    else:
        assert words in lead and 'id="curve"' not in page
        assert all(f'id="site-{s["code"]}"' in page for s in result["sites"])


def test_a_hostile_name_stays_text(office):
    code = draft(office, name=f"Trạm {HOSTILE}")
    for path in ("/plan", f"/plan/{code}", f"/plan/{code}/edit/goal", f"/plan/{code}/edit/run"):
        assert "<script>alert" not in office.page("planner", path)


# --- words and pictures by hand ---


def made(status, value, bound, gap, **more):
    plan = {"model": "coverage", "goal": "m3", "status": status, "value": value, "bound": bound, "gap": gap}
    plan |= {"standing_m3_day": 0.0, "standing_people": 0.0} | more
    return {"plan": plan, "infeasible": None, "spec": {"money": "tỷ đồng"}}


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (made("gap", 12300.0, 12340.0, 0.00324), ("12,300", "12,340", "0.3%", "no choice can be above")),
        (made("optimal", 12300.0, 12300.0, 0.0), ("proven best", "12,300")),
        (made("limit", 12300.0, 15000.0, 0.18), ("18.0%", "within the effort allowed")),
        (
            made("limit", 7.0, 6.0, 0.142857, model="covering", goal="plants"),
            ("7 plants", "below 6 plants", "14.3%"),
        ),
        (
            made("gap", 900.5, 880.25, 0.0225, model="cheapest", goal="cost"),
            ("900.5 tỷ đồng", "below 880.25 tỷ đồng", "2.2%"),
        ),
        (made("gap", 9e6, 8e6, 0.111, model="median", goal="distance"), ("9,000,000 m³/day × m", "11.1%")),
        (made("limit", 10000.0, None, None), ("not known",)),
    ],
)
def test_how_good_an_answer_is_said_in_words(office, result, words):
    with office.app.test_request_context("/?lang=en"):
        office.app.preprocess_request()
        said = planresult.status_words(result)
    for word in words:
        assert word in said


def test_the_curve_of_served_water_lies_where_its_numbers_say():
    rows = [{"number": 1, "value": 50.0, "bound": 60.0}, {"number": 2, "value": 100.0, "bound": 100.0}]
    words = {"x": "plants", "served": "served", "bound": "bound", "standing": "today"}
    svg = str(plancharts.served_curve(rows, standing=0.0, title="<t>", written=str, words=words))
    assert "&lt;t&gt;" in svg and "<t>" not in svg
    spots = [tuple(map(float, m)) for m in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)]
    (x0, y0), (x1, y1), (x2, y2) = spots
    assert x1 - x0 == pytest.approx(x2 - x1) and y0 - y1 == pytest.approx(y1 - y2, abs=0.2) and y0 > y1 > y2


@given(st.floats(0.001, 1e9))
def test_the_steps_of_an_axis_are_round_and_reach_the_top(top):
    steps = plancharts.steps_of(top)
    assert steps[-1] >= top and len(steps) <= 7
    assert float(f"{steps[1]:.1e}") == pytest.approx(steps[1])


def test_the_values_of_a_curve_are_written_for_those_who_do_not_see_it():
    svg = str(
        plancharts.value_curve(
            [[0, 0.0], [500, 1.0]], title="Xa nhà", desc="0 m: 0; 500 m: 1", low="0", high="500", unit="m"
        )
    )
    assert "<desc>0 m: 0; 500 m: 1</desc>" in svg and svg.count("<circle") == 2


def test_pages_name_the_studies_of_the_book_only(office):
    assert isinstance(office.services.studies, Studies)
    assert office.planner.get("/plan/S-9999").status_code == 404
    assert office.planner.get("/plan/S-9999/edit/goal").status_code == 404
    code = draft(office)
    assert office.planner.get(f"/plan/{code}/edit/nonsense").status_code == 404
    assert json.loads(office.planner.get("/plan/law.json?as_of=never").data)["lines"] == []
