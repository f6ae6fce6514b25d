"""Downloads of lists: what is shown is what is in the file, whoever asks and however; the office's are noted."""

import csv
import io
import json
import re
import zipfile

import downloadform
import openpyxl
import people
import pyogrio
import pytest
import staffroom

from layers import audit, formats, parquet, workbook
from layers.catalogue import ALL
from server import listings


@pytest.fixture(scope="module")
def office(starter_store, tmp_path_factory):
    with staffroom.office(starter_store, tmp_path_factory.mktemp("downloads") / "data") as office:
        code = office.verifying()
        office.sample(code)
        office.sample(code, staffroom.DIRTY)
        office.case(name_vi="=1+1", name_en="<script>")
        office.report(words="Nước đen; =cmd()")
        office.report(words="Mùi hôi", lon=106.7, lat=20.86)
        office.code = code
        yield office


@pytest.fixture
def nobody(office):
    return people.visitor(office.app)


def read_csv(answer):
    assert answer.status_code == 200, answer.text
    assert answer.data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))


PUBLIC = [
    ("/hotspots?medium=water", "/hotspots"), ("/facilities?kind=industrial_park", "/facilities"),
    ("/coverage?level=district", "/coverage"), ("/coverage?measure=people", "/coverage"), ("/coverage/11383", "/coverage/11383"),
    ("/coverage/HP", "/coverage/HP"), ("/coverage/KCN07", "/coverage/KCN07"), ("/indicators", "/data/indicators"),
]  # fmt: skip


@pytest.mark.parametrize(("page", "address"), PUBLIC)
def test_every_public_list_gives_itself_out_in_every_format(nobody, tmp_path, page, address):
    text = nobody.get(page).text
    (form,) = downloadform.forms(text)
    assert form["address"] == address
    count = int(re.search(r'download-head">.*?quiet">(\d+|one|một)', text, re.S).group(1))
    rows = read_csv(nobody.get(downloadform.sent(form, "csv")))
    assert len(rows) == count > 0
    assert set(form["columns"]) <= set(rows[0])
    for action in form["actions"]:
        kind = action.rpartition(".")[2]
        answer = nobody.get(downloadform.sent(form, kind))
        assert answer.status_code == 200, action
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=cang-xanh-"), action
        if kind in ("gpkg", "geojson", "fgb", "kml"):
            path = tmp_path / f"x.{kind}"
            path.write_bytes(answer.data)
            assert pyogrio.read_info(path, force_feature_count=True)["features"] == count
        elif kind == "xlsx":
            assert openpyxl.load_workbook(io.BytesIO(answer.data))["data"].max_row == count + 1
        elif kind == "zip":
            assert "fields.csv" in zipfile.ZipFile(io.BytesIO(answer.data)).namelist()


def test_columns_and_system_are_chosen_and_the_rows_stay(nobody):
    (form,) = downloadform.forms(nobody.get("/hotspots?medium=water").text)
    address = downloadform.sent(form, "csv", columns=["stage", "code"], crs="9210")
    rows = read_csv(nobody.get(address))
    assert list(rows[0]) == ["stage", "code", "easting", "northing"]
    assert [r["code"] for r in rows] == [r["code"] for r in read_csv(nobody.get(downloadform.sent(form, "csv")))]
    placed = [float(r["easting"]) for r in rows if r["easting"]]
    assert placed and all(500_000 < x < 700_000 for x in placed)
    answer = nobody.get(downloadform.sent(form, "gpkg", crs="9209"))
    assert answer.headers["Content-Disposition"].endswith("-9209.gpkg")
    assert form["systems"][0] == ("", True)


def test_the_whole_address_says_the_same_as_the_form(nobody):
    """A link that was copied gives the file again: commas or repeated, blanks left out."""
    one = nobody.get("/facilities.csv?kind=port&columns=code,state&crs=9210").data
    assert nobody.get("/facilities.csv?kind=port&state=&columns=code&columns=state&crs=9210").data == one


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("/hotspots.csv?columns=secret", "secret"), ("/hotspots.csv?crs=32648", "9209"), ("/hotspots.csv?crs=x", "9209"),
        ("/facilities.csv?columns=%3Cscript%3E", "&lt;script&gt;"), ("/data/norms.csv?columns=population", "population"),
        ("/data/norms.csv?foo=1", "foo"), ("/data/admin_units.csv?filter=foo=1", "foo"), ("/data/admin_units.csv?bbox=1", "bbox"),
    ],
)  # fmt: skip
def test_what_cannot_be_given_is_refused_with_its_name(nobody, address, word):
    answer = nobody.get(address)
    assert answer.status_code == 400 and word in answer.text


def test_what_is_no_format_is_not_there(nobody):
    for address in ("/hotspots.exe", "/hotspots.", "/coverage.parquetx", "/data/norms.kml", "/coverage/NOBODY.csv"):
        assert nobody.get(address).status_code == 404, address


def test_a_format_that_is_not_made_here_is_named_with_those_that_are(nobody, monkeypatch):
    monkeypatch.setattr(parquet, "available", lambda: False)
    english, vietnamese = (nobody.get(f"/data/hotspots.parquet?lang={code}") for code in ("en", "vi"))
    assert english.status_code == vietnamese.status_code == 404
    assert "pyarrow" in english.text and "GeoPackage" in english.text and "Không tạo GeoParquet" in vietnamese.text
    assert "has no places" in nobody.get("/data/norms.kml?lang=en").text


def test_a_text_that_does_not_fit_a_format_is_refused_in_the_language_of_the_reader(nobody, monkeypatch):
    monkeypatch.setattr(workbook, "MAX_CELL", 5)
    for code, said in (("en", "Excel holds no text of"), ("vi", "Excel không chứa được đoạn chữ dài")):
        answer = nobody.get(f"/data/norms.xlsx?columns=norm_vi,norm_en&lang={code}")
        assert answer.status_code == 400 and said in answer.text
        assert ("Take CSV" in answer.text) == (code == "en")


def test_a_layer_is_filtered_as_under_ogc(nobody, office):
    asked = "filter=kind%3D'ward'%20AND%20population%3E60000&columns=code,population&sortby=-population"
    rows = read_csv(nobody.get(f"/data/admin_units.csv?{asked}"))
    frame = office.services.store.snapshot("admin_units")
    frame = frame[(frame["kind"] == "ward") & (frame["population"] > 60000)].sort_values("population", ascending=False)
    assert [r["code"] for r in rows] == list(frame["code"]) and list(rows[0])[:2] == ["code", "population"]
    boxed = read_csv(nobody.get("/data/treatment_plants.csv?bbox=106.6,20.8,106.8,20.9"))
    features = nobody.get("/ogc/collections/treatment_plants/items?limit=1000&bbox=106.6,20.8,106.8,20.9").json[
        "features"
    ]
    assert [r["code"] for r in boxed] == [f["id"] for f in features]


def test_the_page_of_a_collection_gives_out_all_it_found(nobody):
    asked = {
        "filter": "kind = 'ward'",
        "bbox": "106.6,20.8,106.75,20.9",
        "limit": 3,
        "offset": 3,
        "sortby": "-code",
        "f": "html",
    }
    page = nobody.get("/ogc/collections/admin_units/items", query_string=asked)
    (form,) = downloadform.forms(page.text)
    rows = read_csv(nobody.get(downloadform.sent(form, "csv", crs="9210")))
    del asked["f"], asked["offset"]
    found = nobody.get("/ogc/collections/admin_units/items", query_string=asked | {"limit": 1000}).json["features"]
    assert [r["code"] for r in rows] == [f["id"] for f in found] and len(rows) > 6 and rows[0]["easting"]
    system = {"crs": "http://www.opengis.net/def/crs/EPSG/0/9210", "f": "html"}
    assert nobody.get("/ogc/collections/admin_units/items", query_string=system).status_code == 200


def test_the_figures_in_the_file_are_those_of_the_page(nobody, office):
    rows = read_csv(nobody.get("/coverage.csv?level=district&date=2026-11-22"))
    view = office.services.figures.coverage("district", office.services.today().replace(day=22), False)
    whole = view.total["generated"]["likely"]
    assert sum(float(r["generated_likely_m3d"]) for r in rows) == pytest.approx(whole, rel=1e-9)
    assert {r["as_of"] for r in rows} == {"2026-11-22"}
    city = read_csv(nobody.get("/coverage/HP.csv?date=2026-11-22"))
    assert city[0]["code"] == "HP" and float(city[0]["generated_likely_m3d"]) == pytest.approx(whole, rel=1e-9)


def test_headers_of_excel_are_in_the_language_of_the_reader(nobody):
    heads = [
        [c.value for c in openpyxl.load_workbook(io.BytesIO(nobody.get(f"/facilities.xlsx?lang={x}").data))["data"][1]]
        for x in ("vi", "en")
    ]
    assert heads[0][0] == "Mã" and heads[1][0] == "Code" and len(heads[0]) == len(heads[1])


# --- lists of the office ---

STAFF = [
    ("/cases", listings.CASES),
    ("/samplings", listings.SAMPLINGS),
    ("/inbox", listings.REPORTS),
    ("/desk", listings.WORK),
]


@pytest.mark.parametrize(("address", "layer"), STAFF)
def test_lists_of_the_office_are_closed_and_noted(office, nobody, address, layer):
    for kind in formats.kinds_for(layer):
        assert nobody.get(f"{address}.{kind}").status_code == 303
        answer = office.inspector.get(f"{address}.{kind}")
        assert answer.status_code == 200 and len(answer.data) > 100
        assert answer.headers["Cache-Control"] == "no-store"
        with office.services.store.reading() as con:
            row = next(iter(audit.rows(con, limit=1)))
        assert row["action"] == "download" and row["thing"] == f"list:{layer.name}"
        assert row["who_id"] == office.users["inspector"].id and row["new"]["kind"] == kind
    with office.services.store.reading() as con:
        assert audit.verify(con) == []


def test_cases_keep_their_filters_and_hold_what_staff_hold(office):
    text = office.page("inspector", "/cases?stage=verifying")
    cases, results = downloadform.forms(text)
    assert (cases["address"], results["address"]) == ("/cases", "/samplings")
    rows = read_csv(office.inspector.get(downloadform.sent(cases, "csv")))
    assert {r["stage"] for r in rows} == {"verifying"} and len(rows) == len(
        set(re.findall(r'data-code="([^"]+)"', text))
    )
    rows = [r for r in rows if r["code"] == office.code]
    assert (
        rows[0]["stage"] == "verifying"
        and rows[0]["public"] in ("internal", "waiting")
        and rows[0]["longitude"] == "106.68"
    )
    measured = read_csv(office.inspector.get(downloadform.sent(results, "csv")))
    assert [(r["case"], r["parameter"], r["value"], r["verdict"]) for r in measured] == [
        (office.code, "NH4_N", "0.1", "meets"), (office.code, "NH4_N", "0.6", "exceeds"),
    ]  # fmt: skip
    every = read_csv(office.inspector.get("/cases.csv?stage=every"))
    assert len(every) == len(office.book.all()) and any(r["name_vi"] == "'=1+1" for r in every)


def test_a_person_takes_what_lies_in_their_area_only(office):
    held = {c.ward for c in office.book.all() if c.ward}
    ward = sorted(held)[0]
    user = people.person(office.services, "inspector", wards=(ward,), number=7)
    client = people.signed_in(office.app, user)
    rows = read_csv(client.get("/cases.csv?stage=every"))
    assert rows and {r["ward"] for r in rows} == {ward} and len(rows) < len(office.book.all())
    assert all(r["case"] in {x["code"] for x in rows} for r in read_csv(client.get("/samplings.csv?stage=every")))


def test_reports_are_given_without_their_senders(office):
    office.services.accounts.keep_contact(office.services.reports.inbox(office.users["administrator"])[0]["code"],
                                          name="zqxname", phone="0900000000", email="zqx@example.vn", consent="1")  # fmt: skip
    answer = office.inspector.get("/inbox.csv")
    rows = read_csv(answer)
    assert len(rows) == 2 and {r["photos"] for r in rows} == {"1"} and rows[0]["longitude"]
    assert "zqx" not in answer.text and "0900000000" not in answer.text
    assert office.planner.get("/inbox.csv").status_code == 403


def test_the_desk_gives_all_rows_of_its_lists(office):
    rows = read_csv(office.inspector.get("/desk.csv"))
    assert {r["list"] for r in rows} <= {c.value for c in listings.WORK.by_name["list"].allowed} and len(rows) >= 2


# --- descriptions ---


def test_lists_are_described_as_layers_are():
    every = [listings.HOTSPOTS, listings.FACILITIES, listings.CASES, listings.SAMPLINGS, listings.REPORTS, listings.WORK,
             *(listings.ledger(m) for m in ("m3", "people", "facilities"))]  # fmt: skip
    for layer in every:
        names = [f.name for f in layer.fields]
        assert len(names) == len(set(names)), layer.name
        assert all(f.vi and f.en and f.kind in ("text", "number", "integer", "date") for f in layer.fields)
        assert set(layer.key) <= set(names)
    assert not {x.name for x in (listings.CASES, listings.SAMPLINGS, listings.REPORTS, listings.WORK)} & set(ALL)


def test_what_the_map_fetches_is_the_list_with_three_words_more(nobody):
    made = json.loads(nobody.get("/hotspots.geojson?for=map").data)["features"]
    plain = json.loads(nobody.get("/hotspots.geojson").data)["features"]
    assert [set(a["properties"]) - set(b["properties"]) for a, b in zip(made, plain, strict=True)] == [
        {"name", "url", "stage_word"}
    ] * len(plain)
