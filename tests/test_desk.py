"""The desk, the gate of publication and the journal as pages: who sees what, why, and what one click does."""

import csv
import io
import json
import re
from datetime import date, timedelta

import people
import pytest
import staffroom

from layers import audit


@pytest.fixture(scope="module")
def city(starter_store, tmp_path_factory):
    with staffroom.office(starter_store, tmp_path_factory.mktemp("desk") / "data") as made:
        yield made


@pytest.fixture
def office(city):
    """The same city for all tests that look at their own case only."""
    city.services.fixed_today = staffroom.DAY
    return city


@pytest.fixture
def fresh(starter_store, tmp_path):
    """A city of one's own, for tests that count."""
    with staffroom.office(starter_store, tmp_path / "data") as made:
        yield made


def section(page, name):
    """The part of the desk with one list, up to the next."""
    return page.split(f'id="{name}"', 1)[1].split("</section>", 1)[0]


def tiles(page):
    """{list: count} of the four tiles."""
    return {name: int(n) for name, n in re.findall(r'href="#(\w+)" class="tile[^"]*"><b>(\d+)</b>', page)}


# --- the desk ---


def test_an_empty_desk_says_so_and_does_not_pretend_about_stations(fresh):
    page = fresh.page("inspector", "/desk")
    assert tiles(page) == {"overdue": 0, "new": 0, "mine": 0, "silent": 0}
    assert "No stations send yet." in section(page, "silent")
    assert "Nothing waits for you." in section(page, "mine")
    assert 'id="escalation"' not in page


def test_counts_are_the_rows_and_each_row_says_where_why_and_when(fresh):
    code = fresh.checking()
    report = fresh.report()
    page = fresh.page("inspector", "/desk")
    assert tiles(page)["new"] == 1 and report in section(page, "new")
    assert f'href="/inbox/{report}"' in section(page, "new")
    assert code not in section(page, "overdue")
    fresh.later(14)  # 24 November is a day off: seven working days end on Thursday 3 December
    page = fresh.page("inspector", "/desk")
    late = section(page, "overdue")
    assert code in late and "Answer is late" in late and "clock-late" in late and "late by 2 working days" in late
    assert f'href="/cases/{code}#next"' in late
    assert tiles(page)["overdue"] >= 1 and tiles(page)["new"] == 0


def test_what_is_very_late_goes_up_and_is_counted_once(fresh):
    code = fresh.checking()
    fresh.later(60)
    page = fresh.page("inspector", "/desk")
    alarm = page.split('id="escalation"', 1)[1].split("</section>", 1)[0]
    assert code in alarm and "clock-very_late" in alarm
    assert tiles(page)["overdue"] == 1
    assert "One of them is very late and stands above." in section(page, "overdue")
    assert "work-row" not in section(page, "overdue")


def test_what_waits_for_me_follows_my_role(office):
    code = office.confirmed()
    office.proof(code, "containment")
    mine = section(office.page("inspector", "/desk"), "mine")
    assert code in mine and f"/cases/{code}#act-contain" in mine
    decider = section(office.page("approver", "/desk"), "mine")
    assert "to be published, proposed by Inspector 1" in decider and "/publications#p-" in decider
    assert f"/cases/{code}#act-approve_plan" in decider
    other = people.person(office.services, "inspector", number=2)
    page = people.signed_in(office.app, other).get("/desk?lang=en").get_data(as_text=True)
    assert code not in section(page, "mine")


def test_who_proposed_is_not_asked_to_approve(office):
    code = office.checking()
    office.proof(code, "visit_record")
    office.take(code, "confirm", {"severity_class": "1", "class_reason": "nặng"}, role="approver")
    number = waiting(office, code)["id"]
    assert f"/publications#p-{number}" not in section(office.page("approver", "/desk"), "mine")
    assert code in office.page("administrator", "/publications")


def test_the_sender_who_answered_waits_for_an_officer(fresh):
    code = fresh.report()
    fresh.services.reports.act(fresh.users["inspector"], code, "ask", reply="Ở đâu?")
    page = fresh.page("inspector", "/desk")
    assert tiles(page)["new"] == 0 and code not in page
    fresh.services.reports.citizen_reply(code, "Gần cầu", key="k1")
    assert "the sender has answered" in section(fresh.page("inspector", "/desk"), "mine")


def test_wards_and_media_bound_the_desk(fresh):
    here = fresh.book.ward_of(staffroom.PLACE)
    code, report = fresh.checking(), fresh.report()
    fresh.later(14)
    elsewhere = next(w for w in fresh.services.ward_names() if w != here)
    for scope, sees in (((here,), True), ((elsewhere,), False)):
        person = people.person(fresh.services, "commune_officer", wards=scope)
        page = people.signed_in(fresh.app, person).get("/desk?lang=en").get_data(as_text=True)
        assert (code in page) is sees and (report in page) is sees
    odour = people.person(fresh.services, "inspector", media=("odour",), number=3)
    page = people.signed_in(fresh.app, odour).get("/desk?lang=en").get_data(as_text=True)
    assert code not in page and report not in page


# --- the gate ---


def proposed(office):
    code = office.confirmed()
    return code, waiting(office, code)["id"]


def waiting(office, code):
    (found,) = [p for p in office.services.gate.waiting() if p["case"] == code]
    return found


def public(office, code):
    return code in set(office.services.store.snapshot("hotspots")["code"])


def test_the_gate_shows_before_and_after_with_public_labels(office):
    code, number = proposed(office)
    page = office.page("approver", "/publications")
    assert f'id="p-{number}"' in page and code in page and "This place is not public yet." in page
    assert "Name in Vietnamese" in page and "Kênh thử" in page and "Class 2" in page
    assert "4 events join the public timeline" in page or "3 events join the public timeline" in page
    assert "amoni vượt 2 lần" in page
    vi = office.approver.get("/publications?lang=vi").get_data(as_text=True)
    assert "Chất lượng hình học" in vi and "gần đúng" in vi


def test_a_second_person_approves_and_only_then_it_is_public(office):
    code, number = proposed(office)
    assert not public(office, code)
    page = office.page("inspector", "/publications").split(f'id="p-{number}"', 1)[1].split("</article>")[0]
    assert "You proposed this yourself. A second person must approve it." in page and "disabled" in page
    answer = office.send("inspector", f"/publications/{number}/approve")
    assert answer.status_code == 403 and not public(office, code)
    answer = office.send("approver", f"/publications/{number}/approve?lang=en")
    assert answer.status_code == 303 and public(office, code)
    assert "is public now" in office.page("approver", "/publications")
    assert office.send("approver", f"/publications/{number}/approve").status_code == 409
    assert office.page("approver", f"/hotspots/{code}")


def test_an_approver_cannot_approve_an_own_proposal(office):
    code = office.checking()
    office.proof(code, "visit_record")
    office.take(code, "confirm", {"severity_class": "1", "class_reason": "nặng"}, role="approver")
    answer = office.send("approver", f"/publications/{waiting(office, code)['id']}/approve?lang=en")
    assert answer.status_code == 403 and "A second person" in answer.get_data(as_text=True)
    assert not public(office, code)


def test_sending_back_needs_a_reason_and_tells_it(office):
    code, number = proposed(office)
    answer = office.send("approver", f"/publications/{number}/send-back?lang=en", {"reason": " "})
    assert answer.status_code == 422 and "Say what has to change" in answer.get_data(as_text=True)
    answer = office.send("approver", f"/publications/{number}/send-back", {"reason": "Thiếu tên tiếng Anh"})
    assert answer.status_code == 303 and code not in {p["case"] for p in office.services.gate.waiting()}
    assert "Thiếu tên tiếng Anh" in office.page("inspector", f"/cases/{code}")


def test_an_embargo_waits_and_is_listed(office):
    code = office.confirmed()
    answer = office.send("inspector", f"/cases/{code}/propose", {"embargo": "2026-12-01", "fields": ["name_vi", "media", "stage", "source", "confidence", "geometry_quality", "geometry"]})  # fmt: skip
    assert answer.status_code == 303
    made = waiting(office, code)
    assert made["embargo"] == date(2026, 12, 1) and "class_reason_vi" not in made["after"]
    assert office.send("approver", f"/publications/{made['id']}/approve").status_code == 303
    assert not public(office, code)
    page = office.page("approver", "/publications")
    assert "Approved, under embargo" in page and "1 Dec 2026" in page
    office.later(10)
    office.services.rounds()
    assert public(office, code)


def test_withdrawing_is_one_form_and_only_for_approvers(office):
    code, number = proposed(office)
    office.send("approver", f"/publications/{number}/approve")
    assert office.send("inspector", f"/cases/{code}/withdraw", {"reason": "sai"}).status_code == 403
    answer = office.send("approver", f"/cases/{code}/withdraw?lang=en", {"reason": ""})
    assert answer.status_code == 422 and "Say why this is withdrawn" in answer.get_data(as_text=True)
    assert office.send("approver", f"/cases/{code}/withdraw", {"reason": "Sai vị trí"}).status_code == 303
    assert not public(office, code)


def test_planners_and_communes_have_no_gate(office):
    for role in ("planner", "commune_officer"):
        assert getattr(office, role).get("/publications").status_code == 403
        assert "/publications" not in office.page(role, "/desk")
    assert office.planner.get("/inbox").status_code == 403


# --- the journal ---


def test_the_journal_is_for_administrators_and_says_that_the_chain_is_whole(office):
    code = office.confirmed()
    for role in ("inspector", "approver", "planner", "commune_officer"):
        for path in ("/audit", "/audit.csv", "/audit.json"):
            assert getattr(office, role).get(path).status_code == 403
    page = office.page("administrator", "/audit")
    assert "The chain is whole." in page and f"/cases/{code}" in page
    with office.services.store.reading() as con:
        assert str(audit.head(con)) in page


def test_the_journal_is_filtered_and_exported_alike(office):
    code, other = office.confirmed(), office.case().code
    page = office.page("administrator", f"/audit?thing=case:{code}&action=confirm")
    assert page.count("<tr>") == 2 and f"case:{code}" in page and f"case:{other}" not in page  # head and one row
    rows = json.loads(office.administrator.get(f"/audit.json?thing=case:{code}").data)
    lines = list(
        csv.DictReader(io.StringIO(office.administrator.get(f"/audit.csv?thing=case:{code}").data.decode("utf-8-sig")))
    )
    assert len(rows) == len(lines) > 3 and {r["thing"] for r in rows} == {f"case:{code}"}
    assert [str(r["number"]) for r in rows] == [line["number"] for line in lines]
    assert office.page("administrator", "/audit?since=2050-12-31").count("<tr>") == 0
    assert office.administrator.get("/audit?since=yesterday").status_code == 400


def test_a_broken_chain_is_told(fresh):
    fresh.confirmed()
    with fresh.services.store.transaction() as con:
        con.exec_driver_sql("DROP TRIGGER cx_audit_no_update")
        con.exec_driver_sql("UPDATE cx_audit SET who='somebody else' WHERE number=5")
    page = fresh.page("administrator", "/audit")
    assert "The chain is broken." in page and "Row 5" in page


def test_the_audit_of_accounts_stands_beside_the_journal_and_shows_no_secret(fresh):
    made, _secret = fresh.services.tokens.make(
        fresh.users["administrator"], "QGIS", ["cases"], fresh.services.today() + timedelta(days=9), known=["cases"]
    )
    password = fresh.services.accounts.reset(fresh.users["administrator"], fresh.users["planner"].id)
    page = fresh.page("administrator", "/audit?of=people")
    assert "The chain is whole." in page and "user:planner-1" in page and password not in page and _secret not in page
    assert "token" in page and f"token:{made.id}" in page
    only = fresh.page("administrator", "/audit?of=people&thing=user:planner-1")
    assert "user:planner-1" in only and "user:inspector-1" not in only
    rows = json.loads(fresh.administrator.get("/audit.json?of=people&thing=user:planner-1").data)
    assert rows and {r["thing"] for r in rows} == {"user:planner-1"}
    answer = fresh.administrator.get("/audit.csv?of=people")
    assert "accounts" in answer.headers["Content-Disposition"] and password not in answer.get_data(as_text=True)
    assert "user:planner-1" not in fresh.page("administrator", "/audit"), "the two are kept apart"
    fresh.page("planner", "/audit?of=people", status=403)
    fresh.page("administrator", "/audit?of=elsewhere", status=400)


# --- many cases ---


@pytest.fixture(scope="module")
def crowd(starter_store, tmp_path_factory):
    """A city with more cases than one page holds, and a page that holds few."""
    with staffroom.office(starter_store, tmp_path_factory.mktemp("crowd") / "data") as made:
        for i in range(7):
            made.case(name_vi=f"Kênh số {i}", name_en=f"Canal {i}")
        yield made


@pytest.fixture
def small_pages(monkeypatch):
    from server.views import casework

    monkeypatch.setattr(casework, "PER_PAGE", 3)
    monkeypatch.setattr(casework, "CARDS", 2)
    monkeypatch.setattr(casework, "RANKED", 5)


def codes(page):
    return re.findall(r'<tr role="row" data-code="([^"]+)"', page)


def test_pages_of_the_case_table_together_hold_every_case_once(crowd, small_pages):
    first = crowd.page("inspector", "/cases?stage=every&sort=code")
    total = int(re.search(r"Page 1 of (\d+)", first)[1])
    seen = [
        c for n in range(1, total + 1) for c in codes(crowd.page("inspector", f"/cases?stage=every&sort=code&page={n}"))
    ]
    assert len(seen) == len(set(seen)) == len(crowd.book.all()) and seen == sorted(seen)
    assert 'rel="next"' in first and 'rel="prev"' not in first
    past_the_end = crowd.page("inspector", "/cases?stage=every&sort=code&page=9999")
    assert codes(past_the_end) == codes(crowd.page("inspector", f"/cases?stage=every&sort=code&page={total}"))
    assert crowd.page("inspector", "/cases?page=two", status=400)
    turned = re.search(r'rel="next" href="([^"]+)"', first)[1]
    assert "sort=code" in turned and "stage=every" in turned, "the filter stays while pages turn"


def test_the_file_holds_all_cases_of_the_list_not_one_page(crowd, small_pages):
    answer = crowd.inspector.get("/cases.csv?stage=every&page=2")
    lines = list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"))))
    assert len(lines) == len(crowd.book.all())


def test_a_long_column_of_the_board_leads_to_the_table(crowd, small_pages):
    page = crowd.page("inspector", "/cases?view=board&page=2")
    column = page.split('data-stage="received"', 1)[1].split("</section>", 1)[0]
    assert column.count("board-card") == 2
    more = re.search(r'board-more"><a href="([^"]+)"', column)[1].replace("&amp;", "&")
    assert "view=table" in more and "stage=received" in more and "page=" not in more
    assert f'class="count">{len([c for c in crowd.book.all() if c.stage == "received"])}<' in column


def test_too_many_cases_for_an_order_by_priority_say_so(crowd, small_pages):
    page = crowd.page("inspector", "/cases?sort=priority&stage=every")
    assert "Up to 5 cases can be put in the order of their priority" in page
    assert "Up to 5" not in crowd.page("inspector", "/cases?sort=priority&stage=received&q=Canal+1")
