"""Cases as pages: three views of one query, every step and entry with its roles, conflicts, drawing, files, the thread."""

import io
import json
import re
import zipfile
from datetime import date

import browser
import people
import pytest
import shapely
import staffroom
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from server import casedesk, casefile, caseforms, desk, drawing, editforms, forms, papers, remediation

PHOTO = staffroom.shot()


@pytest.fixture(scope="module")
def city(starter_store, tmp_path_factory):
    with staffroom.office(starter_store, tmp_path_factory.mktemp("casework") / "data") as made:
        yield made


@pytest.fixture
def office(city):
    city.services.fixed_today = staffroom.DAY
    return city


def upload(data, name):
    return (io.BytesIO(data), name)


def revision(office, code):
    return str(office.book.get(code).revision)


def step(office, role, code, action, fields=None, at=None):
    data = {"revision": at or revision(office, code)} | (fields or {})
    return office.send(role, f"/cases/{code}/step/{action}?lang=en", data)


def add(office, role, code, what, fields):
    return office.send(role, f"/cases/{code}/add/{what}?lang=en", fields, content_type="multipart/form-data")


def text(answer):
    return answer.get_data(as_text=True)


# --- the list ---


def codes_of(page, view):
    if view == "board":
        return re.findall(r'class="board-card" data-code="([^"]+)"', page)
    return re.findall(r'<tr role="row" data-code="([^"]+)"', page)


@pytest.mark.parametrize(
    "query", ["", "medium=air", "stage=confirmed", "q=song", "class=2", "officer=none", "sort=priority", "stage=every"]
)
def test_three_views_of_one_query_hold_the_same_cases(office, query):
    code = office.confirmed()
    found = {
        view: codes_of(office.page("inspector", f"/cases?view={view}&{query}"), view)
        for view in ("table", "board", "map")
    }
    assert sorted(found["table"]) == sorted(found["board"]) == sorted(found["map"])
    assert len(set(found["table"])) == len(found["table"])
    if query in ("", "class=2", "stage=confirmed", "sort=priority"):
        assert code in found["table"]


def test_the_map_draws_the_rows_that_have_a_position(office):
    office.case(place=None)
    page = office.page("inspector", "/cases?view=map")
    layers = json.loads(re.search(r'id="map-data">(.*?)</script>', page, re.DOTALL).group(1))["layers"]
    rows, drawn = codes_of(page, "map"), [f["code"] for f in layers["hotspots"]["features"]]
    assert set(drawn) < set(rows)
    without = len(rows) - len(drawn)
    assert f"{without} without a position" in page


def test_the_list_is_bounded_by_scope_and_refuses_strange_settings(office):
    code = office.case().code
    other = people.person(office.services, "inspector", media=("noise",), number=2)
    client = people.signed_in(office.app, other)
    assert code not in text(client.get("/cases"))
    assert client.get(f"/cases/{code}").status_code == 403
    assert "outside the wards or media" in text(client.get(f"/cases/{code}?lang=en"))
    assert office.inspector.get("/cases?sort=colour").status_code == 400
    assert office.inspector.get("/cases/HS-9999").status_code == 404


def test_the_board_offers_only_steps_of_ones_role(office):
    code = office.confirmed()
    for role, stages in (("inspector", {"contained", "suspended"}), ("approver", {"contained", "plan_approved", "suspended"}),
                         ("planner", set())):  # fmt: skip
        page = office.page(role, "/cases?view=board")
        card = re.search(rf'data-code="{code}" data-steps="([^"]*)"', page).group(1).replace("&#34;", '"')
        assert set(json.loads(card)) == stages, role


def test_cases_of_a_facility_are_one_click_away(office):
    code = office.book.open(office.users["inspector"], staffroom.FACTS, staffroom.PLACE, facility="KCN07").code
    visited = office.case().code
    add(office, "inspector", visited, "inspection", {"day": "2026-11-20", "findings": "Cống xả", "facility": "KCN07"})
    page = office.page("inspector", "/cases?facility=KCN07")
    assert (
        code in codes_of(page, "table")
        and office.page("inspector", f"/cases/{code}").count("/cases?facility=KCN07") == 1
    )
    assert "/facilities/KCN07" in office.page("inspector", f"/cases/{visited}")


def test_most_urgent_first_puts_the_worst_clock_and_then_the_earliest_day_first():
    def row(state, due, code):
        return {"state": state, "due": due, "code": code}

    late, later = date(2026, 1, 1), date(2026, 2, 1)
    rows = [
        row("none", None, "a"),
        row("ok", late, "b"),
        row("late", later, "c"),
        row("late", late, "d"),
        row("very_late", later, "e"),
    ]
    assert [r["code"] for r in sorted(rows, key=desk.urgency)] == ["e", "d", "c", "b", "a"]


# --- steps on the page ---


def test_what_is_missing_stands_on_the_page_with_a_way_to_add_it(office):
    code = office.checking()
    page = office.page("inspector", f"/cases/{code}")
    assert 'id="act-confirm"' in page and "visit record or data: missing" in page
    assert '<a href="#add-document">' in page.split('id="act-confirm"')[1].split("</details>")[0]
    assert re.search(r'<button class="button" disabled aria-describedby="why-confirm">', page)
    office.proof(code, "visit_record")
    page = office.page("inspector", f"/cases/{code}")
    assert "visit record or data: missing" not in page
    assert not re.search(r"disabled aria-describedby=\"why-confirm\"", page)


def test_a_step_of_another_role_is_shown_with_what_it_needs_but_without_a_form(office):
    code = office.confirmed()
    page = office.page("inspector", f"/cases/{code}")
    plan = page.split('id="act-approve_plan"')[1].split("</details>")[0]
    assert "This step is for: Approver, Administrator." in plan and "<form" not in plan
    assert 'name="decision_no"' in office.page("approver", f"/cases/{code}")


def test_a_refused_step_tells_each_error_beside_its_field_and_keeps_what_was_typed(office):
    code = office.confirmed()
    answer = step(
        office,
        "approver",
        code,
        "approve_plan",
        {"decision_no": "7/QĐ", "deadline": "2026-01-01", "decision_on": "2026-11-20"},
    )
    page = text(answer)
    assert answer.status_code == 422
    assert 'id="approve_plan-responsible-error"' in page and "Responsible party: missing" in page
    assert 'id="approve_plan-deadline-error"' in page and 'value="7/QĐ"' in page
    assert 'href="#approve_plan-responsible"' in page and 'role="alert"' in page
    assert office.book.get(code).stage == "confirmed"


def test_no_hand_made_request_passes_a_gate(office):
    code = office.checking()
    for role in ("inspector", "approver", "administrator"):
        answer = step(office, role, code, "confirm", {"severity_class": "2", "class_reason": "x"})
        assert answer.status_code == 422 and office.book.get(code).stage == "checking"
    assert (
        step(office, "commune_officer", code, "confirm", {"severity_class": "2", "class_reason": "x"}).status_code
        == 422
    )
    assert step(office, "planner", code, "confirm").status_code == 403
    assert step(office, "inspector", code, "close").status_code == 422
    assert step(office, "inspector", code, "nonsense").status_code == 404
    assert (
        office.inspector.post(f"/cases/{code}/step/reject", data={"revision": "1", "reason": "x"}).status_code == 400
    )  # no token


def test_an_override_is_offered_to_deciders_only_and_is_named_in_the_thread(office):
    code = office.checking()
    assert 'name="override"' not in office.page("inspector", f"/cases/{code}")
    assert 'name="override"' in office.page("approver", f"/cases/{code}")
    form = {"severity_class": "2", "class_reason": "rõ ràng", "override": "ngắn"}
    answer = step(office, "approver", code, "confirm", form)
    assert answer.status_code == 422 and 'id="confirm-override-error"' in text(answer)
    reason = "Khu vực đã được báo chí và người dân xác nhận nhiều lần trong tháng này."
    assert step(office, "approver", code, "confirm", form | {"override": reason}).status_code == 303
    page = office.page("inspector", f"/cases/{code}")
    assert "A condition was overridden" in page and reason in page


def test_two_people_at_once_the_second_is_told_and_loses_nothing(office):
    code = office.checking()
    office.proof(code, "visit_record")
    old = revision(office, code)
    assert step(office, "inspector", code, "suspend", {"cause": "chờ hồ sơ"}).status_code == 303
    answer = step(office, "approver", code, "confirm", {"severity_class": "3", "class_reason": "lý do đã gõ"}, at=old)
    page = text(answer)
    assert answer.status_code == 409 and "Somebody changed" in page and "lý do đã gõ" in page
    assert office.book.get(code).stage == "suspended"


def test_undo_is_a_counter_step_with_a_reason(office):
    code = office.checking()
    assert step(office, "inspector", code, "undo", {"reason": ""}).status_code == 422
    assert step(office, "inspector", code, "undo", {"reason": "nhầm điểm"}).status_code == 303
    assert office.book.get(code).stage == "received"
    page = office.page("inspector", f"/cases/{code}")
    assert "nhầm điểm" in page and "Check begun" in page


def test_merging_and_splitting_point_at_each_other(office):
    one, two = office.checking(), office.checking()
    office.sample(one)
    answer = step(office, "inspector", one, "merge", {"merged_into": two, "reason": "cùng một kênh"})
    assert answer.status_code == 303 and f"/cases/{two}" in office.page("inspector", f"/cases/{one}")
    page = office.page("inspector", f"/cases/{two}")
    assert (
        f"/cases/{one}" in page and page.split('id="thread"')[1].count("NH₄" if "NH₄" in page else "Ammonium") >= 1
    ), "its results are read here too"
    assert step(office, "inspector", two, "merge", {"merged_into": "HS-9999", "reason": "x"}).status_code == 422
    page = office.page("inspector", f"/cases/{two}/split")
    form = {"revision": revision(office, two), "media-there": "1", "media": ["odour"], "name_vi": "Phần phía đông",
            "lat": "20.86", "lon": "106.69", "reason": "hai nguồn"}  # fmt: skip
    assert 'name="reason"' in page
    refused = office.send("inspector", f"/cases/{two}/split?lang=en", form | {"lat": "", "lon": ""})
    assert refused.status_code == 422 and "Mark the place of the new case." in text(refused)
    made = office.send("inspector", f"/cases/{two}/split", form)
    new = made.headers["Location"].rpartition("/")[2]
    assert (
        made.status_code == 303
        and office.book.get(new).stage == "checking"
        and office.book.get(new).media == ("odour",)
    )
    assert f"/cases/{new}" in office.page("inspector", f"/cases/{two}") and f"/cases/{two}" in office.page(
        "inspector", f"/cases/{new}"
    )


def test_a_whole_life_by_forms_alone(office):
    """From a new case to done, each step by the form of its page, with five roles looking on."""
    made = office.send("commune_officer", "/cases/new", {
        "media-there": "1", "media": ["water"], "name_vi": "Kênh An Kim Hải", "source": "Kiểm tra", "confidence": "high",
        "geometry_quality": "digitised", "lat": "20,85", "lon": "106,68"})  # fmt: skip
    code = made.headers["Location"].rpartition("/")[2]
    inspector = str(office.users["inspector"].id)
    assert step(office, "commune_officer", code, "check", {"officer": inspector}).status_code == 303
    add(
        office,
        "inspector",
        code,
        "document",
        {"kind": "visit_record", "file": upload(staffroom.PDF, "Biên bản.pdf"), "dated": "2026-11-23"},
    )
    add(
        office,
        "inspector",
        code,
        "photo",
        {"kind": "photo_before", "file": upload(PHOTO, "a.jpg"), "dated": "2026-11-23", "public": "yes"},
    )
    assert (
        step(office, "inspector", code, "confirm", {"severity_class": "2", "class_reason": "amoni"}).status_code == 303
    )
    add(
        office,
        "inspector",
        code,
        "document",
        {"kind": "containment", "file": upload(staffroom.PDF, "b.pdf"), "dated": "2026-11-23"},
    )
    assert step(office, "inspector", code, "contain", {"measures": "đóng cống"}).status_code == 303
    plan = {"decision_no": "9/QĐ", "decision_on": "2026-11-22", "responsible": "Công ty thử", "deadline": "2027-02-01"}
    assert step(office, "inspector", code, "approve_plan", plan).status_code == 422
    assert step(office, "approver", code, "approve_plan", plan).status_code == 303
    add(
        office,
        "inspector",
        code,
        "document",
        {"kind": "start_notice", "file": upload(staffroom.PDF, "c.pdf"), "dated": "2026-11-23"},
    )
    assert step(office, "commune_officer", code, "start").status_code == 303
    office.later(2)
    add(
        office,
        "inspector",
        code,
        "document",
        {"kind": "completion", "file": upload(staffroom.PDF, "d.pdf"), "dated": "2026-11-25"},
    )
    add(
        office,
        "inspector",
        code,
        "photo",
        {"kind": "photo_after", "file": upload(staffroom.shot("blue"), "e.jpg"), "dated": "2026-11-25"},
    )
    finish = {"work_done_on": "2026-11-25", "needed_samples": "3", "needed_days": "30"}
    assert step(office, "inspector", code, "finish", finish).status_code == 303
    for day in ("2026-11-25", "2026-12-10", "2026-12-26"):
        office.services.fixed_today = date.fromisoformat(day)
        said = office.page("inspector", f"/cases/{code}")
        assert "of 3 compliant samplings" in said
        assert step(office, "approver", code, "close").status_code == 422
        answer = add(office, "inspector", code, "sampling", {"taken_on": day, "medium": "surface_water", "parameter": ["Amoni", ""],
                                                             "value": ["0,1", ""], "unit": ["mg/L", ""]})  # fmt: skip
        assert answer.status_code == 303
    assert step(office, "inspector", code, "close").status_code == 422
    assert step(office, "approver", code, "close", {"confirmation_no": "3/XN"}).status_code == 303
    office.services.fixed_today = date(2027, 12, 28)
    assert step(office, "approver", code, "complete").status_code == 303
    assert office.book.get(code).stage == "done"
    page = office.page("planner", f"/cases/{code}")
    for title in ("Check begun", "Confirmed as a hotspot", "Visit record", "Photo before", "Photo after", "Sampling"):
        assert title in page


# --- what is added ---


def test_photos_are_drawn_anew_and_originals_are_attachments(office):
    code = office.case().code
    assert (
        add(office, "inspector", code, "photo", {"kind": "photo", "file": upload(PHOTO, "../../a.jpg")}).status_code
        == 303
    )
    (row,) = office.book.attachments(code)
    shown = office.inspector.get(f"/cases/{code}/files/{row['id']}")
    assert shown.mimetype == "image/jpeg" and shown.data != PHOTO and "Content-Disposition" not in shown.headers
    assert "sandbox" in shown.headers["Content-Security-Policy"] and shown.headers["Cache-Control"] == "no-store"
    original = office.inspector.get(f"/cases/{code}/files/{row['id']}?size=original")
    assert original.data == PHOTO and original.headers["Content-Disposition"].startswith("attachment")
    assert office.app.test_client().get(f"/cases/{code}/files/{row['id']}").status_code == 303
    assert office.inspector.get(f"/cases/{office.case().code}/files/{row['id']}").status_code == 404


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("data", "name"), [(SVG, "a.jpg"), (b"<html><script>1</script>", "a.png"), (b"", "a.jpg"), (PHOTO[:200], "cut.jpg")]
)
def test_what_is_no_photo_is_refused_with_a_sentence(office, data, name):
    code = office.case().code
    answer = add(office, "inspector", code, "photo", {"kind": "photo", "file": upload(data, name)})
    assert answer.status_code == 422 and 'id="photo-file-error"' in text(answer)
    assert office.book.attachments(code) == []


def office_file(part, extra=()):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("[Content_Types].xml", "<Types/>")
        made.writestr(part, "<x/>")
        for name, body in extra:
            made.writestr(name, body)
    return out.getvalue()


def test_documents_are_known_by_their_bytes():
    assert papers.kind_of(staffroom.PDF) == ".pdf"
    assert papers.kind_of(office_file("word/document.xml")) == ".docx"
    assert papers.kind_of(office_file("xl/workbook.xml")) == ".xlsx"


@pytest.mark.parametrize(("data", "code"), [
    (b"", "empty"), (b"MZ\x90\x00", "kind"), (SVG, "kind"), (office_file("other/thing.xml"), "kind"), (b"PK\x03\x04broken", "broken"),
    (office_file("word/document.xml", [("word/vbaProject.bin", b"x")]), "macros"),
    (office_file("word/document.xml", [("word/big.xml", b"0" * (papers.MAX_UNPACKED + 1))]), "bomb"),
    (b"%PDF-" + b"0" * papers.MAX_BYTES, "too_large"),
])  # fmt: skip
def test_what_is_no_document_is_refused(data, code):
    with pytest.raises(papers.PaperError) as e:
        papers.kind_of(data)
    assert e.value.code == code


@given(st.text(max_size=300))
def test_a_file_name_never_leads_out_of_its_folder(name):
    clean = papers.clean_name(name, ".pdf")
    assert clean.endswith(".pdf") and "/" not in clean and "\\" not in clean and clean not in (".pdf", "..pdf")
    assert clean.isprintable() and len(clean) <= 90


def test_a_document_comes_back_as_an_attachment_only(office):
    code = office.case().code
    answer = add(
        office,
        "inspector",
        code,
        "document",
        {"kind": "order", "file": upload(staffroom.PDF, 'Quyết định "1".pdf'), "dated": "2026-11-20"},
    )
    assert answer.status_code == 303
    (row,) = office.book.attachments(code)
    got = office.inspector.get(f"/cases/{code}/files/{row['id']}")
    assert got.data == staffroom.PDF and got.headers["Content-Disposition"].startswith("attachment")
    assert "filename*=UTF-8''Quy%E1%BA%BFt" in got.headers["Content-Disposition"]
    answer = add(office, "inspector", code, "document", {"kind": "order", "file": upload(SVG, "a.pdf")})
    assert answer.status_code == 422 and "Only PDF, DOCX and XLSX" in text(answer)


def test_results_are_printed_with_regulation_row_and_how_sure_the_limit_is(office):
    code = office.case().code
    form = {"taken_on": "2026-11-20", "medium": "surface_water", "parameter": ["NH4_N", "Florua", ""], "value": ["0,6", "<0,1", ""],
            "unit": ["mg/L", "mg/L", ""], "laboratory": "Phòng thí nghiệm", "report_no": "PT-1"}  # fmt: skip
    assert add(office, "inspector", code, "sampling", form).status_code == 303
    page = office.page("inspector", f"/cases/{code}")
    table = page.split('class="results"')[1]
    assert "over the limit" in page and "not compliant" in page
    assert "QCVN 08:2023/BTNMT" in page and "08:2023 surface_water" in page and "limit read in the text itself" in page
    assert "2.00 times the limit" in page or "2 times the limit" in page
    assert "≤ 0.3 mg/L" in page and "&lt; 0.1 mg/L" in page and table


def test_an_unverified_limit_gives_no_verdict_and_is_marked(office):
    code = office.case().code
    form = {"taken_on": "2026-01-15", "medium": "wastewater", "water": "industrial", "column": "A", "parameter": ["temperature"],
            "value": ["30"], "unit": ["°C"]}  # fmt: skip
    assert add(office, "inspector", code, "sampling", form).status_code == 303
    assert add(office, "inspector", code, "sampling", form | {"transitional": "yes"}).status_code == 303
    page = office.page("inspector", f"/cases/{code}")
    assert "no verdict" in page and "not decided" in page
    assert "more must be said to choose the limit: Keeps the older regulation" in page
    assert "the limit is not verified. It would be within it." in page and "QCVN 40:2011/BTNMT" in page


def test_a_sampling_tells_every_wrong_line_together(office):
    code = office.case().code
    form = {
        "taken_on": "",
        "medium": "",
        "parameter": ["NH4_N", "TSS"],
        "value": ["viele", "1,2,3"],
        "unit": ["mg/L", "mg/L"],
    }
    answer = add(office, "inspector", code, "sampling", form)
    page = text(answer)
    assert answer.status_code == 422 and "4 things must be put right first." in page
    assert 'value="viele"' in page and "TSS: write the result as a number." in page
    answer = add(
        office,
        "inspector",
        code,
        "sampling",
        {"taken_on": "2026-11-20", "medium": "air", "parameter": ["Kryptonit"], "value": ["1"], "unit": ["mg/L"]},
    )
    assert answer.status_code == 422 and "Kryptonit" in text(answer)


@pytest.mark.parametrize(("typed", "wanted"), [
    ("0,005", ("", 0.005)), ("0.005", ("", 0.005)), ("<0,1", ("<", 0.1)), ("< 0.1", ("<", 0.1)), ("1.234,5", ("", 1234.5)),
    ("1,234.5", ("", 1234.5)), ("9300", ("", 9300.0)), (">2400", (">", 2400.0)),
])  # fmt: skip
def test_numbers_as_laboratories_write_them(typed, wanted):
    assert forms.number_of(typed) == wanted


@pytest.mark.parametrize("typed", ["", "abc", "1,2,3", "nan", "inf", "1e999", "<"])
def test_what_is_no_number_is_not_guessed(typed):
    with pytest.raises(ValueError):
        forms.number_of(typed)


@pytest.mark.parametrize(
    ("value", "vi"), [(0.005, "0,005"), (1234.5, "1.234,5"), (7.0, "7"), (1e-9, "0,000000001"), (None, "–")]
)
def test_a_measured_value_keeps_its_digits(office, value, vi):
    with office.app.test_request_context("/?lang=vi"):
        office.app.preprocess_request()
        assert casefile.exact(value) == vi


def test_inspections_decisions_notes_and_links_are_in_the_thread(office):
    code, other = office.case().code, office.case().code
    report = office.report()
    for what, form in (
        ("inspection", {"day": "2026-11-20", "findings": "Cống xả ngầm", "minutes_no": "12/BB", "facility": "KCN07"}),
        ("decision", {"number": "88/QĐ", "day": "2026-11-21", "kind": "fine", "amount_vnd": "180.000.000", "issuer": "UBND"}),
        ("note", {"text": "Gọi lại chủ cơ sở"}),
        ("link", {"kind": "case", "ref": other}), ("link", {"kind": "report", "ref": report}), ("link", {"kind": "facility", "ref": "WW01"}),
    ):  # fmt: skip
        answer = add(office, "inspector", code, what, form)
        assert answer.status_code == 303, (what, text(answer)[-3000:])
    page = office.page("inspector", f"/cases/{code}")
    for words in ("Cống xả ngầm", "12/BB", "88/QĐ", "180,000,000 đồng", "Gọi lại chủ cơ sở", "Nước đen"):
        assert words in page, words
    for url in (
        "/facilities/KCN07",
        "/facilities/WW01",
        f"/cases/{other}",
        f"/inbox/{report}",
        "#decision-",
        "#inspection-",
    ):
        assert f'href="{url}' in page, url
    only = office.page("inspector", f"/cases/{code}?kind=decision")
    assert "88/QĐ" in only.split('id="thread"')[1] and "Gọi lại chủ cơ sở" not in only.split('id="thread"')[1]


@pytest.mark.parametrize(("what", "form", "field"), [
    ("inspection", {"day": "2026-11-20", "findings": ""}, "findings"), ("inspection", {"day": "x", "findings": "y"}, "day"),
    ("inspection", {"day": "2026-11-20", "findings": "y", "facility": "XX99"}, "facility"),
    ("decision", {"number": "1", "day": "2026-11-20", "kind": "fine", "amount_vnd": "viel"}, "amount_vnd"),
    ("decision", {"number": "", "day": "2026-11-20", "kind": "fine"}, "number"), ("note", {"text": " "}, "text"),
    ("link", {"kind": "case", "ref": "HS-9999"}, "ref"), ("link", {"kind": "moon", "ref": "x"}, "kind"), ("photo", {"kind": "photo"}, "file"),
    ("document", {"kind": "limit_decision", "file": None}, "number"),
])  # fmt: skip
def test_a_refused_entry_says_so_beside_its_field(office, what, form, field):
    code = office.case().code
    if "file" in form:
        form = form | {"file": upload(staffroom.PDF, "a.pdf")}
    answer = add(office, "inspector", code, what, form)
    assert answer.status_code == 422 and f'id="{what}-{field}-error"' in text(answer), text(answer)[-2000:]


def test_entries_follow_the_roles(office):
    code = office.case().code
    assert add(office, "planner", code, "note", {"text": "x"}).status_code == 403
    page = office.page("planner", f"/cases/{code}")
    assert "add-note" not in page and "/edit" not in page
    assert "add-decision" not in office.page("commune_officer", f"/cases/{code}")
    answer = add(office, "commune_officer", code, "decision", {"number": "1", "day": "2026-11-20", "kind": "fine"})
    assert answer.status_code == 403 and office.book.decisions(code) == []


def test_a_wrong_entry_is_voided_with_a_reason_and_stays(office):
    code = office.case().code
    number = office.sample(code, staffroom.DIRTY)
    assert office.send("commune_officer", f"/cases/{code}/void/sampling/{number}", {"reason": "x"}).status_code == 403
    assert office.send("inspector", f"/cases/{code}/void/sampling/{number}", {"reason": ""}).status_code == 422
    assert office.send("inspector", f"/cases/{code}/void/sampling/{number}", {"reason": "nhầm chai"}).status_code == 303
    assert "does not count: nhầm chai" in office.page("inspector", f"/cases/{code}")


# --- facts and place ---


def edit_form(office, code, **changes):
    case = office.book.get(code)
    return {"revision": str(case.revision), "base": casedesk.base_of(case), "media-there": "1", "media": list(case.media),
            "name_vi": case.facts["name_vi"]} | changes  # fmt: skip


def test_editing_changes_what_was_changed_and_nothing_else(office):
    code = office.case().code
    before = office.book.get(code)
    answer = office.send(
        "inspector", f"/cases/{code}/edit", edit_form(office, code, name_en="New name", reason="rõ hơn")
    )
    after = office.book.get(code)
    assert answer.status_code == 303 and after.facts["name_en"] == "New name" and after.geometry.equals(before.geometry)
    assert {k for k in after.facts if after.facts[k] != before.facts.get(k)} == {"name_en"}
    page = office.page("inspector", f"/cases/{code}")
    assert "Facts changed" in page and "rõ hơn" in page and "Test canal → New name" in page


def test_both_values_stand_side_by_side_when_two_people_edit(office):
    code = office.case().code
    mine = edit_form(office, code, name_vi="Tên của tôi", pollutants_vi="BOD5")
    theirs = edit_form(office, code, name_vi="Tên của đồng nghiệp", cause_vi="Xả thải")
    assert office.send("approver", f"/cases/{code}/edit", theirs).status_code == 303
    answer = office.send("inspector", f"/cases/{code}/edit?lang=en", mine)
    page = text(answer)
    assert answer.status_code == 409 and "Tên của tôi" in page and "Tên của đồng nghiệp" in page and "BOD5" in page
    assert "changed by you only" in page and "Xả thải" not in page.split("<tbody>")[1].split("</tbody>")[0]
    assert office.book.get(code).facts["name_vi"] == "Tên của đồng nghiệp"
    case = office.book.get(code)
    chosen = {"revision": str(case.revision), "base": casedesk.base_of(case), "name_vi": "Tên của tôi", "keep-name_vi": "theirs",
              "pollutants_vi": "BOD5", "keep-pollutants_vi": "mine"}  # fmt: skip
    assert office.send("inspector", f"/cases/{code}/edit", chosen).status_code == 303
    facts = office.book.get(code).facts
    assert (facts["name_vi"], facts["pollutants_vi"], facts["cause_vi"]) == ("Tên của đồng nghiệp", "BOD5", "Xả thải")


def test_an_edit_tells_every_wrong_field_and_keeps_the_rest(office):
    code = office.case().code
    form = edit_form(
        office, code, coord_accuracy_m="weit", facility="XX99", lat="91", lon="3", geometry="", name_en="Typed"
    )
    answer = office.send("inspector", f"/cases/{code}/edit?lang=en", form)
    page = text(answer)
    assert answer.status_code == 422 and 'id="coord_accuracy_m-error"' in page and 'id="facility-error"' in page
    assert 'id="geometry-error"' in page and 'value="Typed"' in page


def test_a_class_is_changed_only_by_those_who_class_and_after_confirming(office):
    code = office.confirmed()
    assert 'name="severity_class"' not in office.page("commune_officer", f"/cases/{code}/edit").split("draw")[0]
    form = edit_form(office, code, severity_class="1", class_reason="nặng hơn")
    assert office.send("commune_officer", f"/cases/{code}/edit", form).status_code == 403
    assert office.book.get(code).severity_class == "2"


def test_new_cases_ask_for_what_is_needed(office):
    answer = office.send("inspector", "/cases/new?lang=en", {"media-there": "1"})
    page = text(answer)
    assert answer.status_code == 422
    for field in ("name_vi", "source", "geometry"):
        assert f'id="{field}-error"' in page, field
    assert "Choose at least one medium." in page
    assert office.planner.get("/cases/new").status_code == 403


AREA = {"type": "Polygon", "coordinates": [[[106.68, 20.85], [106.69, 20.85], [106.69, 20.86], [106.68, 20.85]]]}


def test_drawn_places_are_read(office):
    assert drawing.drawn(json.dumps(AREA)).area == pytest.approx(0.00005)
    assert drawing.drawn("", "20,85", "106,68").equals(shapely.Point(106.68, 20.85))
    assert drawing.drawn("none", before=shapely.Point(106, 20)) is None
    kept = shapely.Point(106.6812345678, 20.8512345678)
    lat, lon = drawing.position(kept)
    assert drawing.drawn("", lat, lon, before=kept) is kept
    area = shapely.from_geojson(json.dumps(AREA))
    assert drawing.drawn("", "", "", before=area) is area
    assert drawing.drawn(drawing.written(area)).equals(area)


@pytest.mark.parametrize("bad", [
    "{", "[]", '{"type":"Point"}', '{"type":"LineString","coordinates":[[106.6,20.8],[106.7,20.8]]}', '{"type":"Point","coordinates":[20.85,106.68]}',
    '{"type":"Polygon","coordinates":[[[106.6,20.8],[106.7,20.9],[106.7,20.8],[106.6,20.9],[106.6,20.8]]]}', '{"type":"Polygon","coordinates":[]}',
    json.dumps({"type": "Polygon", "coordinates": [[[106.6 + i * 1e-6, 20.8] for i in range(6000)] + [[106.6, 20.8]]]}), "[" * 100000,
])  # fmt: skip
def test_what_is_no_place_is_refused(bad):
    with pytest.raises(drawing.DrawingError):
        drawing.drawn(bad)


def test_the_place_of_a_case_is_edited_as_an_area(office):
    code = office.case().code
    form = edit_form(office, code, geometry=json.dumps(AREA), lat="", lon="")
    assert office.send("inspector", f"/cases/{code}/edit", form).status_code == 303
    assert office.book.get(code).geometry.geom_type == "Polygon"
    assert office.page("inspector", f"/cases/{code}")


# --- hostile words and the pure parts ---


def test_hostile_words_stay_words(office):
    bad = "<script>alert(1)</script>${1}`\"'><img src=x onerror=alert(2)>"
    code = office.case(name_vi=bad, name_en=bad, pollutants_en=bad).code
    add(office, "inspector", code, "note", {"text": bad})
    add(office, "inspector", code, "inspection", {"day": "2026-11-20", "findings": bad})
    for path in (
        f"/cases/{code}",
        f"/cases/{code}/edit",
        "/cases?q=script",
        "/cases?view=board&q=script",
        "/cases?view=map&q=script",
        "/desk",
    ):
        page = office.page("inspector", path)
        assert "<script>alert" not in page and "<img src=x" not in page, path


def test_every_role_sees_every_page_in_both_languages(office):
    code = office.verifying()
    for role in office.users:
        for path in ("/desk", "/cases", f"/cases/{code}", "/cases?view=board", "/cases?view=map"):
            for lang in ("vi", "en"):
                answer = getattr(office, role).get(path + ("&" if "?" in path else "?") + f"lang={lang}")
                assert answer.status_code == 200, (role, path)


def test_nobody_sees_a_staff_page(office):
    code = office.case().code
    client = office.app.test_client()
    for path in ("/desk", "/cases", f"/cases/{code}", "/cases/new", "/inbox", "/publications", "/audit"):
        answer = client.get(path)
        assert answer.status_code == 303 and answer.headers["Location"].startswith("/sign-in")


def test_the_forms_know_every_step_and_every_kind_of_evidence(office):
    assert set(caseforms.PHOTO_KINDS) | set(caseforms.DOCUMENT_KINDS) == set(remediation.EVIDENCE)
    assert {t.action for t in remediation.TRANSITIONS} == set(caseforms.ACTIONS)
    assert set(caseforms.MAY_ADD) == set(casedesk.KINDS)
    codes = {need.code for t in remediation.TRANSITIONS for need in t.needs}
    assert set(caseforms._ADDED_BY) <= codes, "a way to add something that nothing asks for"


def test_a_conflict_lists_only_what_its_writer_changed(office):
    case = office.case()
    form = MultiDict(
        {
            "base": casedesk.base_of(case),
            "name_vi": case.facts["name_vi"],
            "name_en": "Mine",
            "officer": "",
            "facility": "",
        }
    )
    with office.app.test_request_context("/?lang=en"):
        office.app.preprocess_request()
        rows = editforms.conflict_rows(case, form)
    assert [(r["field"], r["both"]) for r in rows] == [("name_en", False)]


def test_the_rail_shows_where_a_suspended_case_was(office):
    code = office.confirmed()
    office.take(code, "suspend", {"cause": "chờ"})
    rail = {r["code"]: r["state"] for r in casefile.rail(office.book.get(code))}
    assert rail["received"] == rail["checking"] == "past" and rail["confirmed"] == "ahead"
    assert "before: Confirmed" in office.page("inspector", f"/cases/{code}")


def test_priority_is_explained_line_by_line(office):
    code = office.confirmed()
    page = office.page("inspector", f"/cases/{code}").split('id="priority"')[1]
    for label in (
        "Over the limit",
        "People near by",
        "Schools, hospitals near by",
        "Nearness to a drinking water intake",
        "Time open",
        "Relapses",
    ):
        assert label in page


# --- in a browser ---


def sign_in(sheet, office, base, role):
    held = getattr(office, role).get_cookie("cx_session")
    sheet.context.add_cookies([{"name": "cx_session", "value": held.value, "url": base}])


def test_the_board_and_the_case_by_keyboard_and_by_hand(office):
    """Arrow keys walk over the cards; a dragged card opens the form of its step; an area is drawn; a step is taken."""
    code = office.checking()
    office.proof(code, "visit_record")
    with browser.serving(office.app) as base, browser.page() as (sheet, seen):
        sign_in(sheet, office, base, "inspector")
        sheet.goto(f"{base}/cases?view=board&lang=en&sort=new&medium=water", wait_until="networkidle")
        sheet.locator("[data-board]").focus()
        sheet.keyboard.press("ArrowRight")
        focused = "() => document.activeElement.closest('.board-card')?.dataset.code"
        column = "() => document.activeElement.closest('.board-column').dataset.stage"
        first = sheet.evaluate(focused)
        assert first
        sheet.keyboard.press("ArrowDown")
        assert sheet.evaluate(focused) != first
        before = sheet.evaluate(column)
        sheet.keyboard.press("ArrowRight")
        assert sheet.evaluate(column) != before
        card = sheet.locator(f'.board-card[data-code="{code}"]')
        card.drag_to(sheet.locator('.board-column[data-stage="confirmed"]'))
        sheet.wait_for_url(f"**/cases/{code}?step=confirm#act-confirm")
        assert office.book.get(code).stage == "checking", "dragging alone changes nothing"
        sheet.locator("#confirm-severity_class").select_option("2")
        sheet.locator("#confirm-class_reason").fill("amoni vượt 2 lần")
        sheet.locator("#act-confirm button.button").click()
        sheet.locator(".said").wait_for()
        assert office.book.get(code).stage == "confirmed"
        sheet.goto(f"{base}/cases/{code}/edit?lang=en", wait_until="networkidle")
        sheet.wait_for_function("() => window.cangxanh.drawing")
        sheet.locator("[data-draw-do=Polygon]").click()
        box = sheet.locator(".draw-map").bounding_box()
        for x, y in ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.4)):
            sheet.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
        sheet.wait_for_function("() => document.querySelector('[name=geometry]').value.includes('Polygon')")
        sheet.locator("form button.button").last.click()
        sheet.wait_for_url(f"**/cases/{code}")
        assert office.book.get(code).geometry.geom_type == "Polygon"
        assert not seen.outside and not seen.errors and not seen.failed


def test_a_case_is_opened_without_scripts(office):
    with browser.serving(office.app) as base, browser.page(scripts=False) as (sheet, seen):
        sign_in(sheet, office, base, "inspector")
        sheet.goto(f"{base}/cases/new?lang=en")
        sheet.locator("#name_vi").fill("Không script")
        sheet.locator("[name=media][value=water]").check()
        sheet.locator("#source").fill("Kiểm tra")
        sheet.locator("#lat").fill("20,85")
        sheet.locator("#lon").fill("106,68")
        sheet.locator("form button.button", has_text="Open the case").click()
        assert "Không script" in sheet.locator("h1").inner_text()
        sheet.locator("a", has_text="Note").first.click()
        sheet.locator("#note-text").fill("Ghi chú không script")
        sheet.locator("#add-note button.button").click()
        assert "Ghi chú không script" in sheet.locator("#thread").inner_text() and not seen.failed


def test_a_photo_of_the_sender_becomes_evidence_by_choice(office):
    code, report, other = office.case().code, office.report(), office.report()
    add(office, "inspector", code, "link", {"kind": "report", "ref": report})
    assert f"/cases/{code}/use/{report}/1" in office.page("inspector", f"/cases/{code}")
    assert office.send("inspector", f"/cases/{code}/use/{other}/1", {"kind": "photo"}).status_code == 404
    assert office.send("inspector", f"/cases/{code}/use/{report}/2", {"kind": "photo"}).status_code == 404
    assert office.send("inspector", f"/cases/{code}/use/{report}/1", {"kind": "moon"}).status_code == 422
    assert office.send("inspector", f"/cases/{code}/use/{report}/1", {"kind": "photo_before"}).status_code == 303
    (row,) = office.book.attachments(code)
    assert row["kind"] == "photo_before" and row["dated"] == staffroom.DAY and not row["public"]
    assert office.send("inspector", f"/cases/{code}/use/{report}/1", {"kind": "photo_before"}).status_code == 422
