"""The pages of scenarios: list, one, drawing with and without scripts, side by side, files; in a browser too."""

import io
import json
import re
import sqlite3
from dataclasses import asdict
from datetime import date

import browser
import pytest
import staffroom
from hypothesis import given
from hypothesis import strategies as st

from server import scenariobook, scenarioforms, scenariopages, security
from server.app import VENDOR
from server.scenarioforms import amount
from server.scenarioplants import Money, Plant

OPEN_AIR = "mechanical, physico-chemical and biological treatment"
HOSTILE = "<img src=x onerror=alert(1)>${7*7}`=1+1\"'"
AXE = VENDOR / "axe-core" / "axe.min.js"
BASE = "/plan/scenarios"
COSTS = Money("đồng", build=25e6, operation=4500.0, sewer=9e9, years=25, interest=5.0)


@pytest.fixture(scope="module")
def city(starter_store, tmp_path_factory):
    with staffroom.office(starter_store, tmp_path_factory.mktemp("scenario-pages") / "data") as made:
        yield made


@pytest.fixture
def book(city):
    return city.services.scenarios


@pytest.fixture
def planner(city):
    return city.users["planner"]


def plant(number=1, **more):
    values = {"name": f"Trạm {number}", "lon": 106.66, "lat": 20.86, "year": 2028, "capacity_m3d": 20_000.0,
              "technology": OPEN_AIR, "enclosed": True}  # fmt: skip
    return Plant(number, **values | more)


def typed(**more):
    return {"name": "Trạm A", "lat": "20,86", "lon": "106.66", "year": "2028", "capacity_m3d": "20.000", "within_m": "6000",
            "serves": "wards", "technology": OPEN_AIR, "enclosed": "yes", "cost": "", "sewer_km": ""} | more  # fmt: skip


def post_json(city, role, path, document):
    client = getattr(city, role)
    headers = {"X-CSRF": client.csrf, "Accept": "application/json"}
    return client.post(path + "?lang=en", data=json.dumps(document), content_type="application/json", headers=headers)


# --- the list and one scenario ---


def test_the_empty_list_says_what_a_scenario_is(starter_store, tmp_path):
    with staffroom.office(starter_store, tmp_path / "data") as office:
        assert "There is no scenario yet" in office.page("planner", BASE)
        page = office.page("inspector", BASE)
        assert "Planners make scenarios" in page and 'id="name"' not in page


def test_a_new_scenario_leads_to_its_drawing_and_a_nameless_one_is_told(city, book):
    answer = city.send("planner", BASE, {"name": "Phương án mới"})
    assert answer.status_code == 303 and answer.location.endswith("/draw")
    code = answer.location.split("/")[-2]
    assert book.get(code).name == "Phương án mới" and "Phương án mới" in city.page("inspector", BASE)
    answer = city.send("planner", BASE + "?lang=en", {"name": " "})
    assert answer.status_code == 422 and 'id="name-error"' in answer.text and 'href="#name"' in answer.text
    assert city.send("inspector", BASE, {"name": "x"}).status_code == 403
    assert city.commune_officer.get(BASE).status_code == 403


def test_the_page_of_a_scenario_shows_the_figures_of_the_book(city, book, planner):
    code = book.create(planner, "Một trạm", plants=[plant(year=2026)], money=COSTS)
    figures = book.figures(code)
    page = city.page("inspector", f"{BASE}/{code}?year=2028")
    row = scenariopages.year_of(figures, 2028)
    assert row["gained"]["likely"] == pytest.approx(20_000)
    assert "20,000" in page and "Trạm 1" in page and "30 m (QCVN 01:2021/BXD" in page
    assert 'class="is-year"><th scope="row">2028' in page
    assert f"of {figures['open_water_hotspots']} open public ones in water" in page
    for h in row["hotspots"]:
        assert f"{h} " in page
    assert "Draw plants" not in page, "an inspector reads and comments"
    assert f"{BASE}/{code}/draw" in city.page("planner", f"{BASE}/{code}")
    drawn = json.loads(re.search(r'id="scenario-drawn">(.*?)</script>', page, re.DOTALL).group(1))
    assert [p["number"] for p in drawn["plants"]] == [1]
    assert len(drawn["plants"][0]["lines"]) == len(figures["plants"][0]["units"])
    assert city.planner.get(f"{BASE}/KB-9999").status_code == 404
    assert city.planner.get(f"{BASE}/{code}?year=1999").status_code == 400


def test_nothing_built_is_no_error_and_no_merit(city, book, planner):
    code = book.create(planner, "Không làm gì")
    page = city.page("planner", f"{BASE}/{code}")
    assert "This scenario has no plant yet" in page and "not known" in page


def test_unit_costs_are_the_users_own_and_what_is_wrong_stands_beside_its_field(city, book, planner):
    code = book.create(planner, "Đơn giá", plants=[plant(year=2026)])
    assert "enter your unit costs" in city.page("planner", f"{BASE}/{code}")
    form = {
        "revision": 1,
        "currency": "đồng",
        "build": "25.000.000",
        "operation": "4500",
        "sewer": "",
        "years": "25",
        "interest": "5,5",
    }
    assert city.send("planner", f"{BASE}/{code}/money", form).status_code == 303
    assert book.get(code).money == Money("đồng", build=25e6, operation=4500.0, years=25, interest=5.5)
    page = city.page("planner", f"{BASE}/{code}")
    assert "500 billion đồng" in page and "without sewers" in page
    bad = city.send("planner", f"{BASE}/{code}/money?lang=en", form | {"revision": 2, "build": "nhiều", "years": "1,5"})
    assert (
        bad.status_code == 422
        and 'id="build-error"' in bad.text
        and 'id="years-error"' in bad.text
        and 'value="nhiều"' in bad.text
    )
    bad = city.send("planner", f"{BASE}/{code}/money?lang=en", form | {"revision": 2, "interest": "99"})
    assert bad.status_code == 422 and 'id="interest-error"' in bad.text


@pytest.mark.parametrize(
    ("text", "value"), [("20.000", 20_000), ("20,000", 20_000), ("1,5", 1.5), ("1234567", 1234567), ("0,5", 0.5)]
)
def test_amounts_are_read_as_people_type_them(text, value):
    assert amount(text) == value


def test_rename_copy_lock_and_put_away_by_the_page(city, book, planner):
    code = book.create(planner, "Cũ", plants=[plant()])
    path = f"{BASE}/{code}"
    assert (
        city.send("planner", f"{path}/details", {"revision": 1, "name": "Mới", "note": "ghi chú\nhai dòng"}).status_code
        == 303
    )
    assert book.get(code).name == "Mới" and "hai dòng" in city.page("planner", path)
    bad = city.send("planner", f"{path}/details?lang=en", {"revision": 2, "name": "", "note": ""})
    assert bad.status_code == 422 and 'id="name-error"' in bad.text
    old = city.send("planner", f"{path}/details?lang=en", {"revision": 1, "name": "x", "note": ""})
    assert old.status_code == 409 and "Somebody else changed" in old.text
    assert city.send("planner", f"{path}/lock", {"revision": 2}).status_code == 303
    page = city.page("planner", path)
    assert "locked by Planner 1" in page and "figures of the lock" in page and f"{path}/draw" not in page
    late = city.send("planner", f"{path}/plant?lang=en", typed(revision="3"))
    assert late.status_code == 422 and "is locked" in late.text and book.get(code).name == "Mới"
    assert city.planner.get(f"{path}/draw").status_code == 303
    made = city.send("planner", f"{path}/copy").location.rsplit("/", 1)[-1]
    assert book.get(made).plants == book.get(code).plants and not book.get(made).locked
    assert city.send("planner", f"{path}/away", {"revision": 3}).status_code == 303
    assert f'href="{path}"' not in city.page("planner", BASE)
    assert f'href="{path}"' in city.page("planner", f"{BASE}?show=hidden")
    assert city.send("planner", f"{path}/away", {"revision": 4, "back": "yes"}).status_code == 303
    assert f'href="{path}"' in city.page("planner", BASE)
    assert city.send("planner", f"{path}/unlock", {"revision": 5}).status_code == 303 and not book.get(code).locked


def test_plants_of_an_earlier_revision_come_back(city, book, planner):
    code = book.create(planner, "Lấy lại", plants=[plant(), plant(2)])
    path = f"{BASE}/{code}"
    book.set_plants(planner, code, 1, [plant(year=2031)])
    book.comment(planner, code, "ý kiến không làm bản sửa")
    book.describe(planner, code, 2, name="Tên khác")
    steps = book.history(code)
    assert [(s["revision"], s["action"], s["plants"]) for s in steps] == [
        (3, "describe", 1), (2, "plants", 1), (1, "create", 2)]  # fmt: skip
    assert steps[0]["revision"] == book.get(code).revision
    assert "Bring these plants back" in city.page("planner", path)
    assert "Bring these plants back" not in city.page("inspector", path)
    assert city.send("planner", f"{path}/back", {"revision": 3, "to": 1}).status_code == 303
    assert book.get(code).plants == (plant(), plant(2)) and book.history(code)[0]["plants"] == 2
    assert city.send("planner", f"{path}/back", {"revision": 3, "to": 2}).status_code == 409
    assert city.send("planner", f"{path}/back", {"revision": 4, "to": "x"}).status_code == 400


def test_comments_by_those_who_read(city, book, planner):
    code = book.create(planner, "Góp ý")
    path = f"{BASE}/{code}"
    assert city.send("inspector", f"{path}/comments", {"text": HOSTILE}).status_code == 303
    page = city.page("inspector", path)
    assert "<img src=x" not in page and "&lt;img src=x" in page
    number = re.search(r"/comments/(\d+)/remove", page).group(1)
    assert f"/comments/{number}/remove" not in city.page("approver", path), "not one's own"
    city.send("approver", f"{path}/comments/{number}/remove")
    assert "&lt;img src=x" in city.page("approver", path)
    city.send("inspector", f"{path}/comments/{number}/remove")
    assert "was taken back" in city.page("approver", path)
    empty = city.send("inspector", f"{path}/comments?lang=en", {"text": " "})
    assert empty.status_code == 422 and 'id="text-error"' in empty.text
    assert city.send("inspector", f"{path}/comments/99999/remove").status_code == 404


# --- drawing ---


def test_a_plant_by_the_form_alone(city, book, planner):
    code = book.create(planner, "Không có script")
    path = f"{BASE}/{code}"
    assert city.send("planner", f"{path}/plant", typed(revision="1")).status_code == 303
    one = book.get(code).plants[0]
    assert (one.lat, one.lon, one.capacity_m3d, one.enclosed, one.cost) == (20.86, 106.66, 20_000.0, True, None)
    changed = typed(
        revision="2", number="1", year="2031", cost="1.500.000", exposed="yes", technology="oxidation ditch"
    )
    assert city.send("planner", f"{path}/plant", changed).status_code == 303
    one = book.get(code).plants[0]
    assert (one.year, one.cost, one.exposed, one.enclosed) == (2031, 1.5e6, True, None)
    assert f'value="{one.number}"' in city.page("planner", f"{path}/draw?plant=1")
    bad = city.send("planner", f"{path}/plant?lang=en", typed(revision="3", lat="", capacity_m3d="lots", year="20x"))
    assert bad.status_code == 422 and 'value="lots"' in bad.text
    assert all(f'id="{f}-error"' in bad.text for f in ("lat", "capacity_m3d", "year"))
    bad = city.send("planner", f"{path}/plant?lang=en", typed(revision="3", lat="106.66", lon="20.86"))
    assert bad.status_code == 422 and "Latitude comes first" in bad.text
    assert city.send("planner", f"{path}/plant/remove", {"revision": 3, "number": 1}).status_code == 303
    assert book.get(code).plants == ()


def test_an_own_distance_is_typed_with_its_source_marked_everywhere_and_given_to_the_others(city, book, planner):
    code = book.create(planner, "Khoảng cách riêng", plants=[
        plant(), plant(2, lon=106.4, year=2031), plant(3, lon=106.5, year=2026), plant(4, lon=106.6, enclosed=False)])  # fmt: skip
    path = f"{BASE}/{code}"
    bad = city.send("planner", f"{path}/plant?lang=en", typed(revision="1", number="1", own_m="60"))
    assert bad.status_code == 422 and 'id="own_source-error"' in bad.text and 'value="60"' in bad.text
    bad = typed(revision="1", number="1", year="2026", own_m="20", own_source="x")
    bad = city.send("planner", f"{path}/plant?lang=en", bad)
    assert bad.status_code == 422 and "20 m is less than the 30 m of the regulation (row 2021-2.22-19)" in bad.text
    good = typed(revision="1", number="1", own_m="60", own_source="QĐ 12/2027 <b>")
    assert city.send("planner", f"{path}/plant", good).status_code == 303
    assert (book.get(code).plants[0].own_m, book.get(code).plants[1].own_m) == (60.0, None)
    page = city.page("inspector", f"{path}?year=2030")
    assert "60 m, entered by the planner (source: QĐ 12/2027 &lt;b&gt;)" in page and 'class="badge badge-own"' in page
    assert (
        "with the distance that was entered for P1" in page and "By the rules of 1 Jan 2028: not established." in page
    )
    change = post_json(city, "planner", f"{path}/try", {"plants": [good | {"number": 1}], "year": 2030})
    assert "60 m, entered by the planner" in change.json["html"] and change.json["drawn"]["plants"][0]["by"] == "own"
    assert city.send("planner", f"{path}/plant", good | {"revision": "2", "for_all": "yes"}).status_code == 303
    kept = [(p.number, p.own_m, p.own_source != "") for p in book.get(code).plants]
    assert kept == [(1, 60.0, True), (2, 60.0, True), (3, None, False), (4, None, False)], "same kind, no value by law"
    page = city.page("inspector", f"{BASE}/compare?s={code}&year=2030")
    assert (
        "Safety distances entered by the planner, A: P1 60 m (QĐ 12/2027 &lt;b&gt;)" in page
        and "P1, P2 60 m" not in page
    )
    assert "P1, P2 60 m (QĐ" in city.page("inspector", f"{BASE}/compare?s={code}&year=2035")
    assert 'value="QĐ 12/2027 &lt;b&gt;"' in city.page("planner", f"{path}/draw?plant=1")


def test_an_own_distance_is_in_the_files(city, book, planner, tmp_path):
    import openpyxl

    mine = plant(own_m=60.0, own_source="=QĐ 12/2027")
    code = book.create(planner, "Tệp", plants=[mine, plant(2, lon=106.4)])
    (tmp_path / "a.gpkg").write_bytes(city.inspector.get(f"{BASE}/{code}/scenario.gpkg").data)
    con = sqlite3.connect(tmp_path / "a.gpkg")
    kept = con.execute("SELECT code, law_m, law_by, own_m, own_source FROM scenario_plants ORDER BY code").fetchall()
    years = con.execute("SELECT near_by_own, near_by_today FROM scenario_years WHERE year=2030").fetchall()
    con.close()
    assert (
        kept[0] == ("P1", 60.0, "own", 60.0, "=QĐ 12/2027") and kept[1][1:3] == (30.0, "today") and kept[1][3] is None
    )
    assert years == [("P1", "P2")]
    book_ = openpyxl.load_workbook(io.BytesIO(city.inspector.get(f"{BASE}/{code}/scenario.xlsx?lang=en").data))
    cells = [c for row in book_["New plants"].iter_rows() for c in row if c.value == "=QĐ 12/2027"]
    assert len(cells) == 1 and cells[0].data_type == "s"


def test_trying_out_writes_nothing_and_says_what_changes(city, book, planner):
    code = book.create(planner, "Thử")
    row = typed(number=1) | {"capacity_m3d": 20_000, "lat": 20.86}
    answer = post_json(city, "planner", f"{BASE}/{code}/try", {"plants": [row], "year": 2030})
    assert answer.status_code == 200 and book.get(code).revision == 1
    told = book.try_out([plant(within_m=6000.0)])
    assert "20,000" in answer.json["html"] and "P1" in answer.json["html"]
    lines = answer.json["drawn"]["plants"][0]["lines"]
    assert len(lines) == len(told["plants"][0]["units"])
    assert "<script" not in answer.json["html"]


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"plants": "x"}, ":plants"),
        ({"plants": [{"number": 7}]}, "7:lat"),
        ({"plants": [typed(number=1, capacity_m3d=-5)]}, "1:capacity_m3d"),
        ({"plants": [typed(number=1, technology="magic")]}, "1:technology"),
        ({"plants": [typed(number=1, lat="1e400")]}, "1:lat"),
        ({"plants": [typed(number=i) for i in range(1, 60)]}, ":plants"),
        ([], ":plants"),
    ],
)
def test_what_cannot_be_used_is_told_by_plant_and_field(city, book, planner, document, where):
    code = book.create(planner, "Sai")
    for act in ("plants", "try"):
        answer = post_json(city, "planner", f"{BASE}/{code}/{act}", document)
        assert answer.status_code == 422 and where in answer.json["problems"], answer.json
    assert book.get(code).revision == 1


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=4,
)  # fmt: skip
FIELDS = (
    "number",
    "name",
    "lat",
    "lon",
    "year",
    "capacity_m3d",
    "within_m",
    "serves",
    "technology",
    "enclosed",
    "exposed",
    "cost",
    "sewer_km",
    "own_m",
    "own_source",
)


@given(st.dictionaries(st.sampled_from(FIELDS), anything))
def test_whatever_is_sent_is_read_or_told(row):
    class Empty:
        plants = ()

    sent = {str(k): str(v) for k, v in typed().items()} | row
    plants, problems = scenarioforms.read_plants({"plants": [sent]}, Empty())
    assert problems or len(plants) == 1
    try:
        scenariobook.checked(plants, date(2026, 11, 22))
    except scenariobook.ScenarioError as e:
        assert e.problems
    json.dumps([asdict(p) for p in plants])


def test_saving_what_was_drawn_and_the_second_editor_is_told(city, book, planner):
    code = book.create(planner, "Vẽ")
    document = {"plants": [typed(number=1), typed(number=2, name=HOSTILE, year=2030)], "revision": 1}
    answer = post_json(city, "planner", f"{BASE}/{code}/plants", document)
    assert answer.status_code == 200 and answer.json["url"] == f"{BASE}/{code}"
    assert [p.name for p in book.get(code).plants] == ["Trạm A", HOSTILE]
    late = post_json(city, "planner", f"{BASE}/{code}/plants", document | {"plants": []})
    assert late.status_code == 409 and "Somebody else" in late.json["message"] and len(book.get(code).plants) == 2
    kept = post_json(city, "planner", f"{BASE}/{code}/plants", document | {"as_copy": True})
    copy = book.get(kept.json["url"].rsplit("/", 1)[-1])
    assert copy.copied_from == code and len(copy.plants) == 2 and book.get(code).revision == 2, "nothing drawn is lost"
    page = city.page("planner", f"{BASE}/{code}")
    assert "<img src=x" not in page
    page = city.page("planner", f"{BASE}/{code}/draw")
    assert "<img src=x" not in page
    assert post_json(city, "inspector", f"{BASE}/{code}/plants", document).status_code == 403


def test_flows_of_a_study_stay_while_the_plant_stays_where_it_is(city, book, planner):
    ward = book.ground().ledger.units[0]
    mine = plant(study="S-0001", site="K1", flows=((ward, 500.0),), serves="all")
    code = book.create(planner, "Từ nghiên cứu", plants=[mine])
    same = typed(number=1, lat=20.86, lon=106.66, year=2030, serves="all")
    post_json(city, "planner", f"{BASE}/{code}/plants", {"plants": [same], "revision": 1})
    assert book.get(code).plants[0].flows == ((ward, 500.0),) and book.get(code).plants[0].year == 2030
    post_json(city, "planner", f"{BASE}/{code}/plants", {"plants": [same | {"lat": 20.87}], "revision": 2})
    assert book.get(code).plants[0].flows == () and book.get(code).plants[0].study == ""


# --- side by side ---


def test_differences_are_in_words_and_the_numbers_are_those_of_each_page(city, book, planner):
    one = book.create(planner, "Lớn", plants=[plant(year=2026, capacity_m3d=40_000.0, within_m=9000.0)], money=COSTS)
    two = book.create(planner, "Nhỏ", plants=[plant(year=2027, capacity_m3d=10_000.0)], money=COSTS)
    three = book.create(planner, "Không")
    page = city.page("inspector", f"{BASE}/compare?s={one}&s={two}&s={three}&s=&year=2030")
    assert "30,000 less than A" in page and "most of all" in page and "A: Lớn" in page and "C: Không" in page
    assert page.count('class="small-map"') == 3
    for code in (one, two):
        told = scenariopages.metrics(book.figures(code), 2030, "đồng")[0]["value"]
        assert f"{told:,.0f}" in page
    before = city.page("inspector", f"{BASE}/compare?s={one}&s={two}&year=2026")
    assert "10,000" not in before.split("Reached by 2026")[1].split("Year by year")[0].replace("410,000", "")
    assert "Choose two to four" in city.page("inspector", f"{BASE}/compare")
    many = "&".join(f"s={c}" for c in (one, two, three, book.create(planner, "4"), book.create(planner, "5")))
    assert city.inspector.get(f"{BASE}/compare?{many}").status_code == 400
    assert city.inspector.get(f"{BASE}/compare?s=KB-9999").status_code == 404


def columns(*pairs):
    class Held:
        def __init__(self, currency):
            self.money = Money(currency)

    def figures(gained, invested):
        row = {"year": 2030, "built": ["P1"], "gained": dict.fromkeys(("low", "likely", "high"), gained), "people_gained": gained,
               "share": dict.fromkeys(("low", "likely", "high"), 0.1), "invested": invested, "per_m3d": None, "per_m3": None,
               "without_sewers": False, "hotspots": [], "near": 0.0, "near_unknown": [], "near_by_today": [],
               "near_by_own": []}  # fmt: skip
        return {"years": [row], "base": {"share": {"likely": 0.1}}, "open_water_hotspots": 3}

    return [{"scenario": Held(c), "figures": figures(g, i), "letter": letter}
            for letter, (g, i, c) in zip("ABCD", pairs, strict=False)]  # fmt: skip


def test_the_words_of_a_comparison_by_hand(city):
    with city.app.test_request_context("/?lang=en"):
        from flask import g

        g.language = "en"
        rows = {
            r["key"]: r
            for r in scenariopages.compared(columns((1000, 5e9, "đ"), (1500, 4e9, "đ"), (1001, None, "đ")), 2030)
        }
        assert [c["difference"] for c in rows["gained"]["cells"]] == ["", "500 more than A", "as in A"]
        assert [c["place"] for c in rows["gained"]["cells"]] == ["", "most of all", ""]
        assert [c["difference"] for c in rows["invested"]["cells"]] == [
            "",
            "1 billion đ less than A",
            "not comparable: a figure is missing",
        ]
        assert [c["place"] for c in rows["invested"]["cells"]] == ["", "least of all", ""]
        rows = {r["key"]: r for r in scenariopages.compared(columns((1, 5e9, "đ"), (1, 4e9, "USD")), 2030)}
        assert rows["invested"]["note"] and [c["difference"] for c in rows["invested"]["cells"]] == ["", ""]
        assert [c["place"] for c in rows["gained"]["cells"]] == ["", ""], "two that are alike: none is the most"


# --- files ---


def test_geopackage_and_workbook_hold_the_figures_of_the_page(city, book, planner, tmp_path):
    import openpyxl

    code = book.create(
        planner, HOSTILE, plants=[plant(year=2026, name="=cmd|'/C calc'!A0"), plant(2, lon=106.4)], money=COSTS
    )
    figures = book.figures(code)
    answer = city.inspector.get(f"{BASE}/{code}/scenario.gpkg")
    path = tmp_path / "a.gpkg"
    path.write_bytes(answer.data)
    con = sqlite3.connect(path)
    kept = con.execute("SELECT year, gained_likely, people_gained FROM scenario_years ORDER BY year").fetchall()
    con.close()
    assert kept == [(y["year"], y["gained"]["likely"], y["people_gained"]) for y in figures["years"]]
    sheets = openpyxl.load_workbook(io.BytesIO(city.inspector.get(f"{BASE}/{code}/scenario.xlsx?lang=en").data))
    cells = {c.value: c for row in sheets["New plants"].iter_rows() for c in row}
    assert cells["=cmd|'/C calc'!A0"].data_type == "s" and cells["=cmd|'/C calc'!A0"].value.startswith("=")
    assert [c.value for c in sheets["By year"]["A"]][1:] == [y["year"] for y in figures["years"]]


def test_sheets_are_given_out_in_both_sizes_and_nothing_else(city, book, planner):
    one, two = (book.create(planner, name, plants=[plant(year=2026)]) for name in ("In ra", "In cùng"))
    for path in (
        f"{one}/sheet.pdf?size=A3&year=2027",
        f"{one}/sheet.pdf",
        f"compare/sheet.pdf?s={one}&s={two}&size=A4",
    ):
        answer = city.approver.get(f"{BASE}/{path}")
        assert answer.mimetype == "application/pdf" and answer.data.startswith(b"%PDF-")
        assert "attachment" in answer.headers["Content-Disposition"]
    assert city.approver.get(f"{BASE}/{one}/sheet.pdf?size=A0").status_code == 400
    assert city.approver.get(f"{BASE}/compare/sheet.pdf").status_code == 400
    assert city.approver.get(f"{BASE}/of-study/S-9999.pdf").status_code == 404
    assert city.commune_officer.get(f"{BASE}/{one}/sheet.pdf").status_code == 403


# --- in a browser ---


@pytest.fixture(scope="module")
def live(city):
    with browser.serving(city.app) as address:
        yield address


def opened(city, sheet, address, role="planner"):
    made = city.services.accounts.open_session(city.users[role].id, address="127.0.0.1", browser="test")
    sheet.context.add_cookies([{"name": security.SESSION_COOKIE, "value": made.token, "url": address}])


def answered(sheet, more_than):
    sheet.wait_for_function(
        f"() => Number(document.querySelector('[data-scenario]').dataset.answered || 0) > {more_than}"
    )
    sheet.wait_for_timeout(250)  # the answer of a change that was still under way
    return int(sheet.get_attribute("[data-scenario]", "data-answered"))


def gained(sheet):
    return (
        sheet.inner_text("[data-change] .metric-gained .metric-value")
        .split(" ")[0]
        .split("(")[0]
        .replace(",", "")
        .strip()
    )


def test_a_plant_is_drawn_dragged_undone_by_keys_saved_and_compared(city, book, planner, live):
    code = book.create(planner, "Vẽ trên bản đồ")
    other = book.create(planner, "Để so sánh", plants=[plant(year=2026)])
    with browser.page(width=1366, height=900) as (sheet, seen):
        opened(city, sheet, live)
        sheet.goto(f"{live}{BASE}/{code}/draw?lang=en", wait_until="networkidle")
        sheet.wait_for_selector("[data-scenario][data-ready]")
        assert sheet.is_disabled("[data-do=save]") and gained(sheet) == "0"
        sheet.click("[data-do=add]")
        box = sheet.locator(".folium-map").bounding_box()
        sheet.mouse.click(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.45)
        n = answered(sheet, 0)
        first = gained(sheet)
        assert int(first) > 0 and sheet.locator(".plan-pin-place").count() == 1
        sheet.fill("#capacity_m3d", "1000")
        n = answered(sheet, n)
        assert int(gained(sheet)) <= 1000
        pin = sheet.locator(".plan-pin-place").bounding_box()
        before = sheet.input_value("#lon")
        sheet.mouse.move(pin["x"] + 15, pin["y"] + 15)
        sheet.mouse.down()
        sheet.mouse.move(pin["x"] + 90, pin["y"] + 15, steps=6)
        sheet.mouse.up()
        n = answered(sheet, n)
        moved = sheet.input_value("#lon")
        assert float(moved) > float(before)
        sheet.locator(".plan-pin-place").focus()
        sheet.keyboard.press("ArrowUp")
        n = answered(sheet, n)
        assert (
            sheet.input_value("#lat") != ""
            and sheet.evaluate("document.activeElement.className").find("plan-pin-place") >= 0
        )
        sheet.keyboard.press("Control+z")
        sheet.keyboard.press("Control+z")
        n = answered(sheet, n)
        assert sheet.input_value("#lon") == before
        sheet.keyboard.press("Control+y")
        n = answered(sheet, n)
        assert sheet.input_value("#lon") == moved
        sheet.select_option("#year", "2027")
        sheet.fill("#lat", "999")
        sheet.wait_for_selector("#lat-error")
        assert "data-change" in sheet.content() and sheet.get_attribute("#lat", "aria-invalid") == "true"
        sheet.fill("#lat", "20.85")
        sheet.wait_for_selector("#lat-error", state="detached")
        sheet.click("[data-do=save]")
        sheet.wait_for_url(f"**{BASE}/{code}")
        kept = book.get(code).plants
        assert len(kept) == 1 and kept[0].lat == 20.85 and kept[0].year == 2027 and kept[0].capacity_m3d == 1000
        assert sheet.locator(".plan-pin-place").count() == 1
        sheet.goto(f"{live}{BASE}?lang=en")
        sheet.check(f"#pick-{code}")
        sheet.check(f"#pick-{other}")
        sheet.click("button:has-text('Side by side')")
        sheet.wait_for_selector(".small-map")
        assert sheet.locator(".small-map").count() == 2 and "most of all" in sheet.inner_text("table.compare")
        errors = [e for e in seen.errors if "422" not in e]
        assert not errors and not seen.outside, (errors, seen.outside)


def test_an_own_distance_is_typed_shared_and_a_second_tab_is_told_beside_the_map(city, book, planner, live):
    code = book.create(
        planner, "Hai thẻ", plants=[plant(), plant(2, lon=106.4, year=2031), plant(3, lon=106.5, year=2026)]
    )
    with browser.page(width=1366, height=900) as (sheet, seen):
        opened(city, sheet, live)
        sheet.goto(f"{live}{BASE}/{code}/draw?lang=en", wait_until="networkidle")
        sheet.wait_for_selector("[data-scenario][data-ready]")
        other = sheet.context.new_page()
        other.goto(f"{live}{BASE}/{code}/draw?lang=en", wait_until="networkidle")
        other.wait_for_selector("[data-scenario][data-ready]")
        sheet.fill("#own_m", "60")
        sheet.wait_for_selector("#own_source-error")
        assert sheet.is_hidden("[data-do=same]")
        sheet.fill("#own_source", "QĐ 12/2027")
        sheet.wait_for_selector("#own_source-error", state="detached")
        sheet.wait_for_selector("[data-change] .badge-own")
        sheet.keyboard.press("Tab")
        sheet.wait_for_selector("[data-do=same]:visible")
        sheet.click("[data-do=same]")
        sheet.wait_for_function("() => document.querySelectorAll('[data-change] .badge-own').length === 2")
        assert "P2." in sheet.inner_text("[data-status]") and sheet.is_hidden("[data-do=same]")
        sheet.click("[data-do=undo]")
        sheet.wait_for_function("() => document.querySelectorAll('[data-change] .badge-own').length === 1")
        sheet.click("[data-do=redo]")
        sheet.wait_for_function("() => document.querySelectorAll('[data-change] .badge-own').length === 2")
        sheet.click("[data-do=save]")
        sheet.wait_for_url(f"**{BASE}/{code}")
        assert [(p.own_m, p.own_source) for p in book.get(code).plants] == [(60.0, "QĐ 12/2027")] * 2 + [(None, "")]
        other.click("[data-do=centre]")
        answered(other, 0)
        other.click("[data-do=save]")
        other.wait_for_selector("[data-late]:visible")
        assert "Somebody else changed" in other.inner_text("[data-late]") and len(book.get(code).plants) == 3
        other.click("[data-do=copy]")
        other.wait_for_url(re.compile(r"/KB-\d{4}$"))
        assert len(book.get(other.url.rsplit("/", 1)[-1]).plants) == 4
        errors = [e for e in seen.errors if "422" not in e]
        assert not errors and not seen.outside, (errors, seen.outside)


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_pages_are_clean_accessible_and_fit(city, book, planner, live, width, lang):
    if not AXE.is_file():
        browser.missing("axe-core is not set up (python3 run.py test fetches it)")
    one = book.create(
        planner,
        "Phương án dài tên để xem có vừa màn hình nhỏ",
        plants=[plant(year=2026), plant(2, lon=106.4)],
        money=COSTS,
    )
    book.comment(planner, one, "một ý kiến")
    two = book.create(planner, "Khóa", plants=[plant(year=2026)])
    book.lock(planner, two, 1)
    paths = (BASE, f"{BASE}/{one}", f"{BASE}/{two}", f"{BASE}/{one}/draw", f"{BASE}/compare?s={one}&s={two}")
    wrong = []
    with browser.page(width=width, height=844 if width < 500 else 768) as (sheet, seen):
        opened(city, sheet, live)
        for path in paths:
            sheet.goto(f"{live}{path}{'&' if '?' in path else '?'}lang={lang}", wait_until="networkidle")
            if sheet.evaluate("document.documentElement.scrollWidth") > width:
                wrong.append(f"{path}: scrolls sideways")
            sheet.evaluate(AXE.read_text(encoding="utf-8"))
            found = sheet.evaluate(
                "async () => (await axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']}))"
                ".violations.map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.target.join(' ')).join(' | '))"
            )
            wrong += [f"{path}: {x}" for x in found]
        assert not seen.outside and not seen.errors and not wrong, (seen.outside, seen.errors, wrong)


def test_drawing_works_without_scripts(city, book, planner, live):
    code = book.create(planner, "Không script", plants=[plant()])
    with browser.page(scripts=False) as (sheet, _seen):
        opened(city, sheet, live)
        sheet.goto(f"{live}{BASE}/{code}/draw?plant=1&lang=en")
        sheet.fill("#capacity_m3d", "12000")
        with sheet.expect_navigation(wait_until="load"):  # the styles hide what needs scripts
            sheet.click("text=Save the plant")
        assert book.get(code).plants[0].capacity_m3d == 12_000
        assert sheet.is_hidden("[data-do=add]")
