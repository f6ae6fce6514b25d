"""The inbox: each answer as a plain form and without a reload, with its proof, its undo and its keys."""

import io
import json
import re

import browser
import people
import pytest
import staffroom

from server import handling, replies

READY = "() => document.querySelector('.folium-map').dataset.ready"


@pytest.fixture(scope="module")
def city(starter_store, tmp_path_factory):
    with staffroom.office(starter_store, tmp_path_factory.mktemp("inbox") / "data") as made:
        yield made


@pytest.fixture
def office(city):
    city.services.fixed_today = staffroom.DAY
    return city


@pytest.fixture
def fresh(starter_store, tmp_path):
    """A city of one's own, for tests that count or that a browser works in."""
    with staffroom.office(starter_store, tmp_path / "data") as made:
        yield made


def text(answer):
    return answer.get_data(as_text=True)


def act(office, code, action, form=None, role="inspector", **more):
    return office.send(role, f"/inbox/{code}/{action}?lang=en", form, content_type="multipart/form-data", **more)


def state(office, code):
    return office.services.reports.get(code)["state"]


def listed(page):
    return re.findall(r'<a href="/inbox/[^"]+" data-code="([^"]+)"', page)


def pdf():
    return (io.BytesIO(staffroom.PDF), "Văn bản.pdf")


# --- what stands on the page ---


def test_the_most_pressing_stands_first_and_is_open(fresh):
    old = fresh.report()
    fresh.later(14)
    new = fresh.report(kind="odour", lon=106.8)
    page = fresh.page("inspector", "/inbox")
    assert listed(page) == [old, new]
    assert re.search(rf'data-code="{old}" aria-current="true"', page)
    assert "clock-very_late" in page or "clock-late" in page
    assert page.count('class="inbox-photo"') == 1 and f"/inbox/{old}/photos/1" in page


def test_similar_reports_stand_beside_with_their_distance(fresh):
    one = fresh.report(words="Nước đen ở cống", lon=106.68, lat=20.85)
    near = fresh.report(words="Cống xả nước đen", lon=106.6805, lat=20.8505)
    far = fresh.report(words="Xa", lon=106.70, lat=20.85)
    page = fresh.page("inspector", f"/inbox/{one}")
    similar = page.split('class="similar"')[1].split("</ul>")[0]
    assert near in similar and far not in similar and re.search(r"\d+ m", similar) and "Cống xả nước đen" in similar


def test_the_ready_reply_is_in_the_senders_language(office):
    vi, en = office.report(), office.report(language="en", kind="fish")
    for code, begins in ((vi, "Cảm ơn"), (en, "Thank you")):
        for lang in ("vi", "en"):
            page = text(office.inspector.get(f"/inbox/{code}?lang={lang}"))
            replied = re.findall(r'name="reply" rows="2"[^>]*>([^<]+)', page)
            assert len(replied) >= 5 and all(r.startswith(begins) for r in replied), (lang, replied)


def test_every_ready_reply_has_vietnamese_and_no_officialese():
    for action, said in replies.READY.items():
        vietnamese = replies.ready(action, "vi", "X")
        assert vietnamese != said and "%(" not in vietnamese and vietnamese.startswith("Cảm ơn")


# --- each act, as a plain form ---


def test_joining_to_a_hotspot_ties_report_and_case(office):
    case, code = office.checking(), office.report()
    page = office.page("inspector", f"/inbox/{code}")
    assert f'value="{case}"' in page or "HS-" in page.split('id="act-merge"')[1].split("</form>")[0]
    answer = act(office, code, "merge", {"case": case, "reply": "Cảm ơn", "next": ""})
    assert answer.status_code == 303 and state(office, code) == "joined"
    thread = office.page("inspector", f"/cases/{case}")
    assert f"/inbox/{code}" in thread and "Nước đen" in thread and f"/inbox/{code}/photos/1" in thread


def test_a_new_hotspot_is_opened_with_what_the_sender_said(office):
    code = office.report(kind="waste", words="Đống rác", lon=106.69, lat=20.86, place="Ngõ 12")
    answer = act(office, code, "new", {"name_vi": "Bãi rác ngõ 12", "reply": "Cảm ơn"})
    assert answer.status_code == 303
    case = office.book.get(office.services.reports.get(code)["case"])
    assert case.media == ("solid_waste",) and case.facts["name_vi"] == "Bãi rác ngõ 12" and case.stage == "received"
    assert (case.geometry.x, case.geometry.y) == (106.69, 20.86) and case.facts["geometry_quality"] == "approximate"
    assert code not in json.dumps(case.facts), "the code opens the sender's page; it must never become public"
    assert office.book.related(case.code)["reports"] == [code]


def test_a_new_hotspot_needs_a_name_and_a_medium_or_nothing_happens(office):
    code = office.report(kind="other", words="Lạ")
    answer = act(office, code, "new", {"name_vi": "", "reply": "x"})
    assert (
        answer.status_code == 422 and "Give it a name" in text(answer) and "Choose at least one medium." in text(answer)
    )
    assert state(office, code) == "received" and office.services.reports.get(code)["acts"] == []
    cases = len(office.book.all())
    answer = act(office, code, "new", {"name_vi": "Điểm lạ", "media": ["noise"], "reply": ""})
    assert answer.status_code == 422 and len(office.book.all()) == cases, "a case without its report"
    assert act(office, code, "new", {"name_vi": "Điểm lạ", "media": ["noise"], "reply": "Cảm ơn"}).status_code == 303


def test_joining_asks_for_a_case_of_ones_own(office):
    code = office.report()
    for case in ("", "HS-9999"):
        answer = act(office, code, "merge", {"case": case, "reply": "x"})
        assert answer.status_code == 422 and state(office, code) == "received"
    merged, target = office.checking(), office.checking()
    office.take(merged, "merge", {"merged_into": target, "reason": "trùng"})
    answer = act(office, code, "merge", {"case": merged, "reply": "x"})
    assert answer.status_code == 422 and f"was merged into {target}" in text(answer)


def test_passing_on_asking_and_starting(office):
    here = next(iter(office.services.ward_names()))
    code = office.report()
    assert act(office, code, "pass", {"commune": "", "reply": "x"}).status_code == 422
    assert (
        act(office, code, "pass", {"commune": here, "reply": "Cảm ơn"}).status_code == 303
        and state(office, code) == "passed"
    )
    assert act(office, code, "ask", {"reply": "Ở đâu?"}).status_code == 303 and state(office, code) == "asked"
    assert code in listed(office.page("inspector", "/inbox?box=asked")) and code not in listed(
        office.page("inspector", "/inbox")
    )
    other = office.report(lon=106.9)
    assert act(office, other, "accept").status_code == 303 and state(office, other) == "checking"
    assert (
        act(office, other, "spam", {"reason": "Không phải phản ánh"}).status_code == 303
        and state(office, other) == "closed"
    )


@pytest.mark.parametrize("action", handling.FINAL)
def test_no_final_reply_without_a_photo_or_a_document(office, action):
    code = office.report()
    answer = act(office, code, action, {"reply": "Đã xử lý"})
    page = text(answer)
    assert answer.status_code == 422 and "A final reply needs a photo or a document that shows what was done." in page
    assert "Đã xử lý" in page and state(office, code) == "received"
    html = (io.BytesIO(b"<svg onload=alert(1)>"), "a.jpg")
    assert act(office, code, action, {"reply": "Đã xử lý", "file": html}).status_code == 422
    assert act(office, code, action, {"reply": "Đã xử lý", "file": pdf()}).status_code == 303
    (message,) = office.services.reports.messages(code)
    sha = message["files"][0]["sha"]
    got = office.inspector.get(f"/inbox/{code}/files/{sha}")
    assert got.data == staffroom.PDF and got.headers["Content-Disposition"].startswith("attachment")
    assert office.inspector.get(f"/inbox/{code}/files/{'0' * 64}").status_code == 404


def test_undo_brings_it_back_on_the_same_day_only(office):
    code = office.report()
    act(office, code, "ask", {"reply": "Ở đâu?"})
    number = office.services.reports.get(code)["acts"][-1]["id"]
    answer = office.send("commune_officer", f"/inbox/undo/{number}?lang=en", {"code": code})
    assert state(office, code) == "asked", "only its author or an approver takes it back"
    assert answer.status_code == 303
    assert office.send("inspector", f"/inbox/undo/{number}", {"code": code}).status_code == 303
    assert state(office, code) == "received"
    assert office.send("inspector", "/inbox/undo/999999", {"code": code}).status_code == 404


def test_the_next_report_opens_and_the_place_is_kept(office):
    one, two = office.report(lon=106.61), office.report(lon=106.62)
    answer = act(office, one, "ask", {"reply": "Ở đâu?", "next": two})
    assert answer.headers["Location"].startswith(f"/inbox/{two}")
    page = text(office.inspector.get(answer.headers["Location"] + "&lang=en"))
    assert f"{one}: the sender was asked" in page and "/inbox/undo/" in page


# --- without a reload ---


def test_the_same_as_json(office):
    one, two = office.report(lon=106.63), office.report(lon=106.64)
    asked = {"headers": {"Accept": "application/json", "X-CSRF": office.inspector.csrf}}
    got = office.inspector.get(f"/inbox/{one}?lang=en", headers={"Accept": "application/json"}).json
    assert got["code"] == one and got["at"] == [20.85, 106.63] and 'class="inbox-photo"' in got["detail"]
    bad = act(office, one, "not_ours", {"reply": "x", "next": two}, **asked)
    assert bad.status_code == 422 and "A final reply needs" in bad.json["detail"]
    good = act(office, one, "ask", {"reply": "Ở đâu?", "next": two}, **asked)
    assert good.status_code == 200 and good.json["code"] == two and good.json["done"] == one
    assert (
        one not in re.findall(r'data-code="([^"]+)"', good.json["list"])
        and good.json["said"] == f"{one}: the sender was asked; the clock waits."
    )
    back = office.inspector.post(good.json["undo"] + "?lang=en", data={"code": one}, **asked)
    assert back.status_code == 200 and back.json["code"] == one and state(office, one) == "received"
    again = office.inspector.post(good.json["undo"] + "?lang=en", data={"code": one}, **asked)
    assert again.status_code == 422 and again.json["errors"] if "errors" in again.json else again.status_code == 422


# --- roles, scope, contact ---


def test_planners_and_nobody_have_no_inbox(office):
    code = office.report()
    assert office.planner.get(f"/inbox/{code}").status_code == 403
    assert office.app.test_client().get(f"/inbox/{code}").status_code == 303
    assert act(office, code, "accept", role="planner").status_code == 403
    assert office.inspector.get("/inbox/P-0000-0000").status_code == 404
    assert act(office, code, "explode").status_code == 404


def test_a_report_of_another_ward_is_not_ones_own(office):
    code = office.report()
    elsewhere = next(w for w in office.services.ward_names() if w != office.services.reports.get(code)["ward"])
    other = people.person(office.services, "commune_officer", wards=(elsewhere,), number=2)
    client = people.signed_in(office.app, other)
    assert code not in listed(text(client.get("/inbox")))
    for path in (f"/inbox/{code}", f"/inbox/{code}/photos/1"):
        assert client.get(path).status_code == 403
    assert client.post(f"/inbox/{code}/accept", data={"csrf": client.csrf}).status_code == 403


def test_hostile_words_stay_words(office):
    bad = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>${1}"
    code = office.report(words=bad, place=bad[:100])
    page = office.page("inspector", f"/inbox/{code}")
    got = office.inspector.get(f"/inbox/{code}", headers={"Accept": "application/json"}).json
    for made in (page, got["detail"], got["list"]):
        assert "<script>alert" not in made and "<img src=x" not in made


def test_photos_of_the_report_are_clean_and_for_staff(office):
    code = office.report()
    got = office.inspector.get(f"/inbox/{code}/photos/1")
    assert got.mimetype == "image/jpeg" and got.headers["Cache-Control"] == "no-store"
    assert office.inspector.get(f"/inbox/{code}/photos/2").status_code == 404
    assert office.inspector.get(f"/inbox/{code}/photos/1?size=small").status_code == 200


# --- in a browser ---


def sign_in(sheet, office, base, role="inspector"):
    held = getattr(office, role).get_cookie("cx_session")
    sheet.context.add_cookies([{"name": "cx_session", "value": held.value, "url": base}])


def test_keys_answer_reports_without_a_reload_and_undo(fresh):
    fresh.case()
    codes = [fresh.report(lon=106.68 + i / 1000, words=f"Phản ánh {i}") for i in range(3)]
    with browser.serving(fresh.app) as base, browser.page() as (sheet, seen):
        sign_in(sheet, fresh, base)
        sheet.goto(f"{base}/inbox?lang=en", wait_until="networkidle")
        sheet.wait_for_function(READY)
        sheet.evaluate("window.stillHere = true")
        open_now = "() => document.querySelector('.inbox-items [aria-current]').dataset.code"
        first = sheet.evaluate(open_now)
        order = sheet.evaluate("() => [...document.querySelectorAll('.inbox-items a')].map(a => a.dataset.code)")
        assert sorted(order) == sorted(codes) and first == order[0]
        sheet.keyboard.press("j")
        sheet.wait_for_function(
            f"() => document.querySelector('[aria-current][data-code]').dataset.code === '{order[1]}'"
        )
        sheet.keyboard.press("k")
        sheet.wait_for_function(
            f"() => document.querySelector('[aria-current][data-code]').dataset.code === '{order[0]}'"
        )
        sheet.keyboard.press("?")
        assert sheet.locator("dialog.keys").is_visible()
        sheet.keyboard.press("Escape")
        sheet.keyboard.press("5")
        reply = sheet.locator("#act-ask textarea")
        assert reply.evaluate("e => e === document.activeElement") and reply.input_value().startswith("Cảm ơn")
        sheet.keyboard.press("End")
        sheet.keyboard.type(" j k 1 u")  # letters, not keys
        sheet.keyboard.press("Enter")
        sheet.wait_for_function(
            f"() => document.querySelector('[aria-current][data-code]').dataset.code === '{order[1]}'"
        )
        assert fresh.services.reports.get(order[0])["state"] == "asked"
        assert fresh.services.reports.messages(order[0])[0]["text"].endswith("j k 1 u")
        assert sheet.locator("[data-undo]").is_visible() and sheet.locator(".inbox-items a").count() == 2
        sheet.keyboard.press("u")
        sheet.wait_for_function(
            f"() => document.querySelector('[aria-current][data-code]').dataset.code === '{order[0]}'"
        )
        assert fresh.services.reports.get(order[0])["state"] == "received"
        sheet.keyboard.press("4")
        sheet.keyboard.press("Enter")
        sheet.locator("#inbox-errors").wait_for()
        assert "A final reply needs a photo" in sheet.locator("#inbox-errors").inner_text()
        sheet.keyboard.press("Escape")
        sheet.keyboard.press("2")
        sheet.locator("#act-new textarea").press("Enter")
        sheet.wait_for_function(
            f"() => document.querySelector('[aria-current][data-code]').dataset.code === '{order[1]}'"
        )
        assert fresh.services.reports.get(order[0])["state"] == "joined"
        assert sheet.evaluate("window.stillHere") is True, "the page was loaded anew"
        assert not seen.outside and [e for e in seen.errors if "422" not in e] == []


@pytest.mark.parametrize(("width", "lang"), [(1366, "en"), (390, "vi")])
def test_staff_pages_are_clean_accessible_and_fit(city, width, lang):
    """No console error, no outside request, no axe violation of level A or AA, no sideways scroll, on every staff page."""
    city.services.fixed_today = staffroom.DAY
    code, report = city.verifying(), city.report()
    city.sample(code)
    near = city.report(words="Giống", lon=106.6801)
    paths = ("/desk", "/cases?stage=every", "/cases?view=board", "/cases?view=map", f"/cases/{code}", f"/cases/{code}#add-sampling",
             f"/cases/{code}/edit", "/cases/new", f"/cases/{code}/split", "/publications", f"/inbox/{report}", "/inbox?box=done",
             "/audit")  # fmt: skip
    wrong = []
    with (
        browser.serving(city.app) as base,
        browser.page(width=width, height=844 if width < 500 else 768) as (sheet, seen),
    ):
        sign_in(sheet, city, base, "administrator")
        for path in paths:
            before, _hash, anchor = path.partition("#")
            sheet.goto(
                base + before + ("&" if "?" in before else "?") + f"lang={lang}" + ("#" + anchor if anchor else ""),
                wait_until="networkidle",
            )
            if sheet.evaluate("document.documentElement.lang") != lang or not sheet.title():
                wrong.append(f"{path}: title or lang missing")
            wrong += browser.faults(sheet, path)
        assert not wrong and not seen.outside and not seen.errors and not seen.failed, (
            wrong,
            seen.outside,
            seen.errors,
            seen.failed,
        )
    assert near


def test_the_ready_reply_follows_what_is_chosen(fresh):
    """A chosen commune is named in the sender's language, and the code of a chosen hotspot in the reply."""
    fresh.report(language="en")
    case = fresh.case().code
    with browser.serving(fresh.app) as base, browser.page() as (sheet, seen):
        sign_in(sheet, fresh, base)
        sheet.goto(f"{base}/inbox?lang=vi", wait_until="networkidle")
        sheet.keyboard.press("3")
        commune = next(c for c, (_vi, en) in fresh.services.ward_names().items() if en == "Hai An Ward")
        sheet.locator("#act-pass select").select_option(commune)
        assert "passed on to Hai An Ward," in sheet.locator("#act-pass textarea").input_value()
        sheet.keyboard.press("Escape")
        sheet.keyboard.press("1")
        sheet.locator("#act-merge [name=case]").fill(case.lower())
        sheet.locator("#act-merge textarea").focus()
        assert f"in our register, {case}." in sheet.locator("#act-merge textarea").input_value()
        assert not seen.errors and not seen.failed
