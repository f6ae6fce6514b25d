"""The whole life of a hotspot in a browser, by five people: from a citizen's report to done, and back by a relapse."""

import re
import shutil
from datetime import date, timedelta
from urllib.parse import urlsplit

import browser
import people
import pytest
from PIL import Image

from layers import audit
from server.app import create_app
from server.services import open_city
from server.settings import Settings

DAY = date(2026, 11, 23)  # a Monday
PDF = b"%PDF-1.4\n%%EOF\n"
PEOPLE = ("commune_officer", "inspector", "approver", "administrator")
WORDS = {
    "vi": {"done": "Hoàn tất", "watched": "Đã đóng – theo dõi", "confirmed": "Đã xác nhận", "relapse": "tái phát"},
    "en": {"done": "Done", "watched": "Closed, watched", "confirmed": "Confirmed", "relapse": "relapse"},
}


@pytest.fixture
def city(starter_store, tmp_path):
    services = open_city(shutil.copytree(starter_store, tmp_path / "data"), today=DAY)
    yield services
    services.close()


@pytest.fixture
def files(tmp_path):
    """Paths of a photo before, a photo after and a document."""
    out = {}
    for name, colour in (("before", "black"), ("after", "teal")):
        out[name] = str(tmp_path / f"{name}.jpg")
        Image.new("RGB", (1200, 900), colour).save(out[name])
    (tmp_path / "paper.pdf").write_bytes(PDF)
    return out | {"paper": str(tmp_path / "paper.pdf")}


class Play:
    """One browser window that changes hands: every step is done by whoever has the role."""

    def __init__(self, city, site, sheet, lang, files):
        self.city, self.site, self.sheet, self.lang, self.files = city, site, sheet, lang, files
        self.users = {role: people.person(city, role) for role in PEOPLE}
        self.code = None

    def be(self, role):
        """Sign in as somebody of this role, or be a visitor (None)."""
        self.sheet.context.clear_cookies()
        if role:
            browser.enter(self.sheet, self.site, self.city, self.users[role])

    def later(self, days):
        self.city.fixed_today += timedelta(days=days)

    def go(self, path):
        mark = "&" if "?" in path else "?"
        answer = self.sheet.goto(f"{self.site}{path}{mark}lang={self.lang}", wait_until="load")
        assert answer.status == 200, path

    def send(self, action, fields=None, uploads=None):
        """Fill in the form with this address and send it; its page comes back."""
        form = self.sheet.locator(f'form[action^="{action}"]').first
        form.evaluate("""f => { for (let e = f; e; e = e.parentElement) {
            if (e.tagName === "DETAILS") e.open = true;
            if (e.classList.contains("adder") || e.classList.contains("act-form")) e.classList.add("is-open"); } }""")
        for name, value in (fields or {}).items():
            field = form.locator(f'[name="{name}"]').first
            if field.evaluate("e => e.tagName") == "SELECT":
                field.select_option(value)
            elif field.get_attribute("type") in ("checkbox", "radio"):
                form.locator(f'[name="{name}"][value="{value}"]').check(force=True)
            else:
                field.fill(value)
        for name, path in (uploads or {}).items():
            form.locator(f'[name="{name}"]').set_input_files(path)
        with self.sheet.expect_navigation():
            form.evaluate("f => f.requestSubmit ? f.requestSubmit() : f.submit()")

    def case(self):
        return self.city.book.get(self.code)

    def step(self, role, action, fields=None, *, then):
        self.be(role)
        self.go(f"/cases/{self.code}")
        self.send(f"/cases/{self.code}/step/{action}", fields)
        assert self.case().stage == then, self.sheet.locator("main").inner_text()[:1500]

    def add(self, role, what, fields, uploads=None):
        self.be(role)
        self.go(f"/cases/{self.code}")
        self.send(f"/cases/{self.code}/add/{what}", fields, uploads)
        assert self.sheet.locator(".error-box, .errors").count() == 0, self.sheet.locator("main").inner_text()[:1500]

    def sample(self, role, value):
        number = str(value).replace(".", "," if self.lang == "vi" else ".")
        self.add(role, "sampling", {"taken_on": self.today(), "medium": "surface_water", "parameter": "NH4_N", "value": number,
                                    "unit": "mg/L"})  # fmt: skip

    def publish(self):
        """The administrator, who proposed nothing, looks at the gate and approves."""
        self.be("administrator")
        self.go("/publications")
        (waiting,) = [p for p in self.city.gate.waiting() if p["case"] == self.code]
        self.send(f"/publications/{waiting['id']}/approve")
        assert not [p for p in self.city.gate.waiting() if p["case"] == self.code]

    def public(self, path=""):
        self.be(None)
        self.go(f"/hotspots/{self.code}{path}")
        return self.sheet.locator("main").inner_text()

    def today(self):
        return self.city.today().isoformat()


def report(play, lon=106.62, lat=20.80):
    """A citizen reports with a photo; the tracking code."""
    sheet = play.sheet
    play.be(None)
    sheet.context.grant_permissions(["geolocation"])
    sheet.context.set_geolocation({"longitude": lon, "latitude": lat, "accuracy": 20})
    play.go("/report")
    sheet.wait_for_load_state("networkidle")
    sheet.set_input_files("#photos", play.files["before"])
    sheet.locator("#photo-list li").first.wait_for()
    sheet.locator("#here").click()
    sheet.wait_for_function("() => document.getElementById('lat').value")
    sheet.locator("label:has(#kind-water)").click()
    sheet.fill("#words", "Nước đen, hôi")
    sheet.locator("#send").click()
    sheet.wait_for_url("**/track/P-*", timeout=30000)
    return urlsplit(sheet.url).path.rpartition("/")[2]


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_from_a_citizens_report_to_done_and_a_relapse(city, files, lang):
    app, words = create_app(Settings(data_dir=city.store.data_dir), city), WORDS[lang]
    with browser.serving(app) as site, browser.page() as (sheet, seen):
        play = Play(city, site, sheet, lang, files)
        ticket = report(play)

        play.be("commune_officer")  # takes the report on as a new hotspot
        play.go(f"/inbox/{ticket}")
        sheet.evaluate("document.querySelectorAll('form[data-act]').forEach(f => f.removeAttribute('data-act'))")
        play.send(f"/inbox/{ticket}/new", {"name_vi": "Kênh thử nghiệm"})
        play.code = city.reports.get(ticket)["case"]
        assert re.fullmatch(r"HS-\d{4}", play.code)

        inspector = str(play.users["inspector"].id)
        if play.case().stage == "received":
            play.step("inspector", "check", {"officer": inspector}, then="checking")
        play.add(
            "inspector",
            "photo",
            {"kind": "photo_before", "dated": play.today(), "public": "yes"},
            {"file": files["before"]},
        )
        play.add("inspector", "document", {"kind": "visit_record", "dated": play.today()}, {"file": files["paper"]})
        play.sample("inspector", 4.6)
        play.step(
            "inspector", "confirm", {"severity_class": "2", "class_reason": "amoni vượt giới hạn"}, then="confirmed"
        )
        assert city.store.snapshot("hotspots")["code"].eq(play.code).sum() == 0  # not before a second person looked
        play.publish()
        assert words["confirmed"] in play.public()

        play.later(3)
        play.add(
            "commune_officer", "document", {"kind": "containment", "dated": play.today()}, {"file": files["paper"]}
        )
        play.step("commune_officer", "contain", {"measures": "biển cảnh báo"}, then="contained")
        play.later(4)
        plan = {"decision_no": "12/QĐ-UBND", "decision_on": play.today(), "responsible": "Công ty thoát nước",
                "deadline": (city.today() + timedelta(days=60)).isoformat()}  # fmt: skip
        play.step("approver", "approve_plan", plan, then="plan_approved")
        play.later(7)
        play.add("inspector", "document", {"kind": "start_notice", "dated": play.today()}, {"file": files["paper"]})
        play.step("inspector", "start", then="in_remediation")
        play.later(30)
        play.add("inspector", "document", {"kind": "completion", "dated": play.today()}, {"file": files["paper"]})
        play.add(
            "inspector",
            "photo",
            {"kind": "photo_after", "dated": play.today(), "public": "yes"},
            {"file": files["after"]},
        )
        play.step(
            "inspector",
            "finish",
            {"work_done_on": play.today(), "needed_samples": "3", "needed_days": "30"},
            then="verifying",
        )
        play.publish()

        for days in (1, 15):
            play.later(days)
            play.sample("inspector", 0.1)
        play.be("approver")  # two of three: the page says so and lets nobody through, nor does a hand-made request
        play.go(f"/cases/{play.code}")
        assert re.search(r"2\s*/\s*3|2 of 3", sheet.locator("#next").inner_text())
        cookies = "; ".join(f"{c['name']}={c['value']}" for c in sheet.context.cookies())
        token = sheet.locator('meta[name="csrf"]').get_attribute("content")
        for fields in ({}, {"override": "short"}):
            answer = sheet.request.post(f"{site}/cases/{play.code}/step/close", headers={"Cookie": cookies}, max_redirects=0,
                                        form={"csrf": token, "revision": str(play.case().revision)} | fields)  # fmt: skip
            assert answer.status in (400, 409, 422), answer.status
        assert play.case().stage == "verifying"
        play.later(15)
        play.sample("inspector", 0.12)
        play.step("approver", "close", then="watched")
        play.publish()
        shown = play.public()
        assert words["watched"] in shown and sheet.locator("main img").count() >= 2

        play.be(None)  # the sender follows
        play.go(f"/track/{ticket}")
        assert words["watched"] in sheet.locator("main").inner_text()

        play.later(366)
        play.step("approver", "complete", then="done")
        play.publish()
        assert words["done"] in play.public()

        play.later(5)
        play.sample("inspector", 0.9)
        play.step("inspector", "relapse", {"reason": "amoni lại vượt giới hạn"}, then="confirmed")
        play.publish()
        shown = play.public()
        assert words["relapse"] in shown.lower() and words["confirmed"] in shown
        assert int(city.store.snapshot("hotspots").set_index("code").at[play.code, "relapses"]) == 1
        events = city.store.snapshot("hotspot_events").query("hotspot == @play.code")
        steps = [a for a in events["action"] if a != "sampling"]
        assert steps == ["registered", "check", "confirm", "contain", "approve_plan", "start", "finish", "close", "complete",
                         "relapse"]  # fmt: skip
        with city.store.reading() as con:
            assert audit.verify(con) == []
        assert not seen.outside
        assert [e for e in seen.errors if "409" not in e and "400" not in e and "422" not in e] == []
