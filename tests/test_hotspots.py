"""The public register: one count everywhere, any day of its past, the page and photos of one hotspot."""

import csv
import io
import json
import re
import shutil
from datetime import date, datetime
from html import unescape
from urllib.parse import parse_qs, urlsplit

import browser
import downloadform
import openpyxl
import pandas as pd
import pytest
import registerdata

from server import history, status
from server.app import create_app
from server.services import open_city
from server.settings import Settings

DAY = registerdata.DAY
READY = "() => !document.querySelector('.folium-map') || document.querySelector('.folium-map').dataset.ready"
CHOICES = (
    "", "stage=confirmed", "medium=water", "class=2", "class=not_enough_data", "age=over_10", "age=unknown", "overdue=yes",
    "q=song", "ward=11581", "medium=water&class=2", "medium=water&stage=received&age=over_10", "as_of=2025-06-30",
    "as_of=2026-07-15", "as_of=2026-07-15&medium=water", "as_of=2014-12-31", "as_of=2011-01-01", "stage=done",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(starter_store, tmp_path_factory):
    return shutil.copytree(starter_store, tmp_path_factory.mktemp("register") / "data")


@pytest.fixture(scope="module")
def city(folder):
    services = open_city(folder, today=DAY)
    services.shown = registerdata.fill(services)
    yield services
    services.close()


@pytest.fixture(scope="module")
def app(city, folder):
    return create_app(Settings(data_dir=folder), city)


@pytest.fixture(scope="module")
def client(app):
    return app.test_client()


@pytest.fixture(scope="module")
def bare(starter_store, tmp_path_factory):
    """The register as it starts: nothing in it has a dated step."""
    folder = shutil.copytree(starter_store, tmp_path_factory.mktemp("bare") / "data")
    services = open_city(folder, today=DAY)
    yield create_app(Settings(data_dir=folder), services).test_client()
    services.close()


def page(client, address, lang="en"):
    answer = (
        client.get(address, query_string=None if "?" in address else {"lang": lang})
        if "?" not in address
        else client.get(f"{address}&lang={lang}")
    )
    assert answer.status_code == 200, address
    return answer.get_data(as_text=True)


def rows_of(text):
    return re.findall(r'<tr data-code="([^"]+)"', text)


def read_csv(data):
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))


def features(text):
    data = json.loads(re.search(r'id="map-data">(.*?)</script>', text, re.S).group(1))
    return data["layers"]["hotspots"]["features"]


# --- one count everywhere ---


@pytest.mark.parametrize("choice", CHOICES)
def test_legend_list_map_and_files_count_the_same(client, choice):
    text = page(client, f"/hotspots?{choice}")
    table = rows_of(text)
    in_csv = read_csv(client.get(f"/hotspots.csv?{choice}").data)
    sheet = list(openpyxl.load_workbook(io.BytesIO(client.get(f"/hotspots.xlsx?{choice}").data)).active.values)
    in_geo = json.loads(client.get(f"/hotspots.geojson?{choice}").data)["features"]
    code = 0
    assert (
        table
        == [r["code"] for r in in_csv]
        == [r[code] for r in sheet[1:]]
        == [f["properties"]["code"] for f in in_geo]
    )

    drawn = {f["code"]: f["sign"] for f in features(text)}
    assert drawn == {f["properties"]["code"]: f"stage-{f['properties']['stage']}" for f in in_geo if f["geometry"]}

    key = text[text.index('data-past="key"') : text.index("data-map-status")]
    counts = [int(n) for n in re.findall(r'class="count">(\d+)<', key)]
    stages = {r["stage"] for r in in_csv}
    assert sum(counts) == len(table) and len(counts) == len(stages)

    said = re.search(r'class="time-said">(.*?)</p>', text, re.S).group(1)
    total, is_open = re.match(r"(\d+|One) hotspots?: (\d+|one) open", said).groups()
    assert {"One": 1}.get(total) == len(table) or int(total) == len(table)
    want = sum(r["stage"] in history.OPEN for r in in_csv)
    assert {"one": 1}.get(is_open) == want or int(is_open) == want


@pytest.mark.parametrize("choice", CHOICES)
def test_the_strip_of_stages_counts_what_a_click_shows(client, choice):
    text = page(client, f"/hotspots?{choice}")
    strip = text[text.index('data-past="stages"') : text.index('data-past="frame"')]
    for link, count in re.findall(r'<a href="([^"]+)">.*?<b>(\d+)</b>', strip, re.S):
        shown = page(client, unescape(link))
        assert len(rows_of(shown)) == int(count)


def test_every_choice_filters_what_it_says(client):
    def chosen(choice):
        return read_csv(client.get(f"/hotspots.csv?{choice}").data)

    everything = chosen("")
    assert len(everything) == 29
    for choice, good in (
        ("stage=confirmed", lambda r: r["stage"] == "confirmed"),
        ("medium=air", lambda r: "air" in r["media"].split(";")),
        ("class=2", lambda r: r["severity_class"] == "2"),
        ("class=not_enough_data", lambda r: r["severity_class"] == ""),
        ("overdue=yes", lambda r: r["deadline_state"] == "overdue"),
        ("age=unknown", lambda r: r["age_days"] == ""),
        ("age=1_5", lambda r: r["age_days"] and 365.25 <= int(r["age_days"]) < 5 * 365.25),
    ):
        assert chosen(choice) == [r for r in everything if good(r)] != [], choice
    ward = everything[0]["ward"]
    assert chosen(f"ward={ward}") == [r for r in everything if r["ward"] == ward] != []
    assert [r["code"] for r in chosen("overdue=yes")] == ["HS03"]


def test_choices_are_kept_in_the_links_of_the_page(client):
    text = page(client, "/hotspots?medium=water&class=2&as_of=2026-09-30")
    (form,) = downloadform.forms(text)
    for kind in ("csv", "xlsx", "geojson", "gpkg", "zip", "kml", "fgb"):
        asked = parse_qs(urlsplit(downloadform.sent(form, kind)).query)
        assert (asked["medium"], asked["class"], asked["as_of"]) == (["water"], ["2"], ["2026-09-30"])
    feed = unescape(re.search(r'href="(/hotspots\.atom[^"]*)"', text).group(1))
    assert "medium=water" in feed and "as_of" not in feed
    for rel in ("prev", "next"):
        link = unescape(re.search(rf'href="([^"]*)" rel="{rel}"', text).group(1))
        assert "medium=water" in link and "class=2" in link
    one = re.search(r'<th scope="row"[^>]*><a href="(/hotspots/[^"]+)"', text).group(1)
    assert one.endswith("as_of=2026-09-30")


@pytest.mark.parametrize("typed", ["tam hung", "Tam Hưng"])
def test_names_of_before_july_2025_find_the_hotspots_of_the_ward(client, city, typed):
    old = city.store.snapshot("old_names")
    ward = old.loc[old["old_name_vi"] == "Tam Hưng", "ward_code"].iloc[0]
    spot = next(r for r in status.status(city, DAY).rows if r["unit"])
    named = status.wards_named(city.store, typed)
    assert ward in named
    row = spot | {"unit": {"code": ward, "name_vi": "x", "name_en": "x"}}
    q = {"medium": "", "class": "", "ward": "", "q": typed}
    assert status.fixed(row, q, named) and not status.fixed(row, q)


# --- the past ---


def test_the_register_on_a_day_of_the_past(client):
    """On 15 July 2026: HS01 and HS02 closed, HS03 has a plan, HS04 is contained, HS05 not yet there."""
    rows = {r["code"]: r for r in read_csv(client.get("/hotspots.csv?as_of=2026-07-15").data)}
    assert {c: rows[c]["stage"] for c in ("HS01", "HS02", "HS03", "HS04")} == {
        "HS01": "watched", "HS02": "watched", "HS03": "plan_approved", "HS04": "contained",
    }  # fmt: skip
    assert "HS05" not in rows and {r["as_of"] for r in rows.values()} == {"2026-07-15"}
    assert (rows["HS04"]["stage_shown_then"], rows["HS03"]["stage_shown_then"]) == ("confirmed", "plan_approved")
    assert rows["HS01"]["stage_since"] == "2026-03-20" and rows["HS01"]["age_days"] == "410"
    text = page(client, "/hotspots?as_of=2026-07-15")
    assert "The register on 15 Jul 2026" in text and "One hotspot of today was not yet in the register" in text
    assert "Of 3 nothing is dated" in text and "published only after this day" in text and "published later" in text


def test_links_of_the_day_lead_from_quarter_to_quarter(client):
    text = page(client, "/hotspots?as_of=2026-07-15")
    assert "as_of=2026-06-30" in re.search(r'href="([^"]*)" rel="prev"', text).group(1)
    assert "as_of=2026-09-30" in re.search(r'href="([^"]*)" rel="next"', text).group(1)
    text = page(client, "/hotspots?as_of=2026-09-30")
    assert "as_of" not in re.search(r'href="([^"]*)" rel="next"', text).group(1), "the last step is today"
    assert 'rel="next"' not in page(client, "/hotspots")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/hotspots?as_of=2026-11-23&lang=en", "2026-11-22"),
        ("/hotspots?as_of=30/06/2026&lang=en", "2026-11-22"),
        ("/hotspots?since=2027-01-01&lang=en", "since"),
        ("/hotspots?ward=99999&lang=en", "ward"),
        ("/hotspots?age=old&lang=en", "under_1"),
        ("/hotspots?overdue=1&lang=en", "overdue"),
        ("/hotspots/HS01?as_of=2031-01-01&lang=en", "2026-11-22"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(client, address, words):
    answer = client.get(address)
    assert answer.status_code == 400 and words in answer.get_data(as_text=True)


def test_bars_table_and_sentence_say_the_same(client):
    """By hand from STEPS: opened 1 in Q1 and Q2 2025, 1 in Q2 and 2 in Q3 2026; closed 1 in Q1 and Q2 2026; relapsed 1 in Q3."""
    text = page(client, "/hotspots")
    said = re.search(r'class="trend-said">(.*?)</p>', text).group(1)
    assert said.startswith("From Q1 2025 to Q4 2026: 5 opened, 2 closed, 1 relapsed;")
    table = text[text.index('<table id="quarters"') :]
    cells = re.findall(r'<th scope="row">(Q\d \d{4})</th>' + r'<td class="num">([^<]*)</td>' * 5, table)
    assert [(c[0], *c[1:4]) for c in cells] == [
        ("Q1 2025", "1", "0", "0"), ("Q2 2025", "1", "0", "0"), ("Q3 2025", "0", "0", "0"), ("Q4 2025", "0", "0", "0"),
        ("Q1 2026", "0", "1", "0"), ("Q2 2026", "1", "1", "0"), ("Q3 2026", "2", "0", "1"), ("Q4 2026", "0", "0", "0"),
    ]  # fmt: skip
    hints = re.findall(r"<title>(Opened|Closed|Relapsed): (\d+)</title>", text)
    wide = hints[: len(hints) // 2]
    assert hints == wide * 2, "the wide and the narrow picture show the same"
    for column, name in ((1, "Opened"), (2, "Closed"), (3, "Relapsed")):
        assert sum(int(n) for what, n in wide if what == name) == sum(int(c[column]) for c in cells)
    still_open = [int(c[5]) for c in cells]
    csv_today = read_csv(client.get("/hotspots.csv").data)
    dated = [r for r in csv_today if r["known_since"] and r["stage"] in history.OPEN]
    assert said.endswith(f" {still_open[-1]} open on 22 Nov 2026.") and still_open[-1] == len(dated)


def test_what_changed_between_two_days(client):
    text = page(client, "/hotspots?since=2026-06-30&as_of=2026-09-30")
    listed = text[text.index('class="change-list"') :]
    found = re.findall(r'<time datetime="([^"]+)">.*?href="/hotspots/(HS\d+)".*?class="tag tag-(\w+)"', listed, re.S)
    assert found == [
        ("2026-09-09", "HS02", "relapsed"),
        ("2026-08-20", "HS05", "entered"),
        ("2026-07-10", "HS04", "entered"),
    ]


def test_a_register_without_dates_says_so_and_draws_no_curve(bare):
    text = page(bare, "/hotspots")
    assert "No dated step is public yet" in text and 'class="figure"' not in text
    assert "That does not prove that nothing happened" in text
    assert len(rows_of(text)) == 29
    old = page(bare, "/hotspots?as_of=2010-06-01")
    assert rows_of(old) == [] and "Nothing was in the register on this day" in old
    one = page(bare, "/hotspots/HS03")
    assert "No dated step is public for this hotspot" in one and "31 Dec 2013" in one
    overdue = page(bare, "/hotspots?overdue=yes")
    assert "that is not good news" in overdue


# --- one hotspot ---


def track(text):
    return re.findall(r'<li id="event-(\d+)">', text)


def test_the_timeline_is_newest_first_and_ends_with_the_day(client):
    text = page(client, "/hotspots/HS01")
    assert track(text) == ["6", "5", "4", "3", "2", "1"] and "Newest first" in text
    assert track(page(client, "/hotspots/HS01?as_of=2026-01-31")) == ["4", "3", "2", "1"]


def test_the_page_of_a_past_day(client):
    text = page(client, "/hotspots/HS02?as_of=2026-06-30")
    badges = re.search(r'class="spot-badges">(.*?)</p>', text, re.S).group(1)
    assert "Closed, watched" in badges and "relapsed" not in badges and "on 30 Jun 2026" in text
    text = page(client, "/hotspots/HS02")
    badges = re.search(r'class="spot-badges">(.*?)</p>', text, re.S).group(1)
    assert "Confirmed" in badges and "relapsed once" in badges


def test_a_step_that_was_published_later_is_marked(client):
    text = page(client, "/hotspots/HS04?as_of=2026-07-15")
    assert "published only on 5 Oct 2026" in text
    then = re.search(r'class="note spot-then".*?</div>', text, re.S).group(0)
    assert "Confirmed" in then and "published later" in then
    assert "published only" not in page(client, "/hotspots/HS04?as_of=2026-10-05")


def test_before_its_first_day_a_hotspot_is_not_in_the_register(client):
    text = page(client, "/hotspots/HS05?as_of=2026-07-31")
    assert "not yet in the register" in text and "spot-badges" not in text
    assert "Nothing about this hotspot is dated" in page(client, "/hotspots/HS19?as_of=2020-01-01")


def test_deadlines_are_told_in_words(client):
    assert "overdue by 12 days" in page(client, "/hotspots/HS03") and "dredging finished" in page(
        client, "/hotspots/HS03"
    )
    assert "quá hạn 12 ngày" in page(client, "/hotspots/HS03", "vi")
    assert "9 days left" in page(client, "/hotspots/HS02") and "next-soon" in page(client, "/hotspots/HS02")
    assert "191 days left" in page(client, "/hotspots/HS04")
    assert "watched until 20 Mar 2027" in page(client, "/hotspots/HS01")
    assert "no deadline recorded" in page(client, "/hotspots/HS06")


def test_an_override_and_the_decision_are_shown(client):
    text = page(client, "/hotspots/HS03")
    assert "a condition was overridden" in text and "overridden by name and with a reason" in text
    assert "Decision 77/QĐ-UBND" in text


def test_everything_else_is_one_click_away(client):
    text = page(client, "/hotspots/HS02")
    for link in ('href="/facilities/KCN01"', 'href="/report?near=HS02"', 'href="/subscribe?near=HS02"', "/coverage/",
                 'href="/hotspots/HS02.atom"', 'href="http://localhost/hotspots/HS02?as_of=2026-11-22"'):  # fmt: skip
        assert link in text, link
    assert "Department of Agriculture and Environment" in text


def test_photos_of_the_public_timeline_are_served_and_no_others(client, city):
    before, after, hidden = (city.shown[k] for k in ("before", "after", "hidden"))
    text = page(client, "/hotspots/HS01")
    assert (
        f"/hotspots/HS01/photos/{before}" in text
        and f"/hotspots/HS01/photos/{after}" in text
        and "data-compare" in text
    )
    assert "Before · 1 Mar 2025</figcaption>" in text and "After · 15 Mar 2026</figcaption>" in text
    for size in ("", "?size=small"):
        with client.get(f"/hotspots/HS01/photos/{before}{size}") as answer:
            assert answer.status_code == 200 and answer.mimetype == "image/jpeg" and answer.data[:2] == b"\xff\xd8"
    for address in (f"/hotspots/HS01/photos/{hidden}", f"/hotspots/HS02/photos/{before}", "/hotspots/HS01/photos/..%2fx",
                    f"/hotspots/HS99/photos/{before}", "/hotspots/HS01/photos/x"):  # fmt: skip
        assert client.get(address).status_code == 404, address


def test_files_have_an_etag_of_what_they_hold(client):
    first = client.get("/hotspots.csv?medium=water")
    again = client.get("/hotspots.csv?medium=water", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    other = client.get("/hotspots.csv?medium=water&as_of=2025-06-30", headers={"If-None-Match": first.headers["ETag"]})
    assert other.status_code == 200


# --- in a browser ---


@pytest.fixture(scope="module")
def site(app):
    with browser.serving(app) as address:
        yield address


def visit(sheet, address):
    sheet.goto(address, wait_until="networkidle")
    sheet.wait_for_function(READY)


def shown(sheet):
    """What a reader sees of the day: sentence, rows with stages, key, drawn signs, files, bars."""
    return sheet.evaluate(
        """() => {
          const text = (s) => (document.querySelector(s)?.innerText || '').replace(/\\s+/g, ' ').trim();
          return {
            head: text('.time-head'), note: text('[data-past=past-note]'),
            rows: [...document.querySelectorAll('#hotspots tbody tr')].map(r => r.dataset.code + ' ' + r.cells[1].innerText.replace(/\\s+/g, ' ')),
            key: text('[data-past=key]'), strip: text('[data-past=stages]'), trend: text('[data-past=trend]'), changes: text('[data-past=changes]'),
            links: [...document.querySelectorAll('[data-past=notes] a')].map(a => a.getAttribute('href')),
            signs: [...document.querySelectorAll('.map-sign use')].map(u => u.getAttribute('href')).sort(),
            drawn: document.querySelector('.folium-map').dataset.drawnHotspots,
          };
        }"""
    )


def test_the_slider_shows_what_the_address_shows(site):
    """Moved by keyboard alone, without a reload; then the same address opened anew gives the same page."""
    with browser.page() as (sheet, seen):
        visit(sheet, site + "/hotspots?lang=en&medium=water")
        visit(sheet, site + "/hotspots?medium=water")
        sheet.evaluate("window.__same = true")
        slider = sheet.get_by_label("Day of the register")
        slider.focus()
        for _ in range(3):
            sheet.keyboard.press("ArrowLeft")
        sheet.wait_for_function("() => document.querySelector('#slider-said').textContent.includes('31 Mar 2026')")
        assert slider.get_attribute("aria-valuetext") == "31 Mar 2026"
        assert sheet.evaluate("window.__same") and sheet.url == site + "/hotspots?medium=water&as_of=2026-03-31"
        assert sheet.evaluate("document.activeElement.id") == "slider"
        moved = shown(sheet)
        visit(sheet, sheet.url)
        assert shown(sheet) == moved and moved["rows"] and int(moved["drawn"]) == len(moved["signs"])
        assert not seen.outside and not seen.errors


def test_the_order_of_the_rows_survives_the_slider_and_the_links_step_by_quarters(site):
    with browser.page() as (sheet, seen):
        visit(sheet, site + "/hotspots?lang=en")
        sheet.locator("#hotspots th button", has_text="Hotspot").click()
        sheet.get_by_role("link", name="Quarter before").click()
        sheet.wait_for_function("() => document.querySelector('#slider-said').textContent.includes('30 Sep 2026')")
        names = [n.strip() for n in sheet.locator("#hotspots tbody th a").all_text_contents()]
        assert len(names) > 5 and names == sheet.evaluate(
            "n => [...n].sort(new Intl.Collator('en', {numeric: true}).compare)", names
        )
        assert sheet.evaluate("document.activeElement.textContent").strip().endswith("Quarter before")
        sheet.get_by_role("link", name="Quarter after").click()
        sheet.wait_for_function("() => document.querySelector('#slider-said').textContent.includes('today')")
        assert "as_of" not in sheet.url and not seen.errors


def test_the_slider_goes_through_a_day_with_nothing_and_back(site):
    with browser.page() as (sheet, seen):
        visit(sheet, site + "/hotspots?lang=en&stage=watched")
        slider = sheet.get_by_label("Day of the register")
        slider.focus()
        sheet.keyboard.press("Home")
        sheet.wait_for_function("() => document.querySelector('[data-past-rows]').classList.contains('is-away')")
        assert "No hotspot matches this choice" in sheet.locator("[data-past=frame]").inner_text()
        sheet.keyboard.press("End")
        sheet.wait_for_function("() => !document.querySelector('[data-past-rows]').classList.contains('is-away')")
        assert sheet.locator("#hotspots tbody tr").count() == 1 and sheet.locator(".map-sign").count() == 1
        assert not seen.errors


def test_without_scripts_the_day_is_a_form_and_two_links(site):
    with browser.page(scripts=False) as (sheet, _seen):
        sheet.goto(site + "/hotspots?lang=en&medium=water")
        assert not sheet.locator("#slider").is_visible()
        sheet.get_by_label("Day", exact=True).fill("2026-03-31")
        sheet.get_by_role("button", name="Show this day").click()
        assert "as_of=2026-03-31" in sheet.url and "medium=water" in sheet.url
        sheet.get_by_role("link", name="Quarter before").click()
        assert "as_of=2025-12-31" in sheet.url and "medium=water" in sheet.url
        sheet.goto(site + "/hotspots/HS01")
        assert sheet.locator(".compare img").count() == 2 and not sheet.locator(".compare input").is_visible()


def test_photos_are_compared_by_keyboard(site):
    with browser.page() as (sheet, _seen):
        visit(sheet, site + "/hotspots/HS01?lang=en")
        range_ = sheet.get_by_label("How much of the picture from before is seen")
        range_.focus()
        sheet.keyboard.press("End")
        assert (
            sheet.evaluate("getComputedStyle(document.querySelector('.compare')).getPropertyValue('--seen')") == "100%"
        )
        assert range_.get_attribute("aria-valuetext").startswith("100 ")


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_pages_with_a_past_are_accessible_and_fit(site, width, lang):
    wrong = []
    with browser.page(width=width, height=844 if width < 500 else 768) as (sheet, seen):
        for path in ("/hotspots?as_of=2026-07-15", "/hotspots?as_of=2011-01-01", "/hotspots?overdue=yes", "/hotspots/HS01",
                     "/hotspots/HS03", "/hotspots/HS04?as_of=2026-07-15", "/subscribe?near=HS02", "/subscribe/stop/none"):  # fmt: skip
            visit(sheet, site + path + ("&" if "?" in path else "?") + f"lang={lang}")
            wrong += browser.faults(sheet, path)
        errors = [e for e in seen.errors if "404" not in e]
        assert not seen.outside and not errors and not wrong, (seen.outside, errors, wrong)


def test_the_register_is_usable_under_400_kb(site):
    with browser.page() as (sheet, _seen):
        line = sheet.context.new_cdp_session(sheet)
        line.send("Network.enable")
        received = []
        line.on("Network.loadingFinished", lambda e: received.append(e["encodedDataLength"]))
        visit(sheet, site + "/hotspots")
        assert 50_000 < sum(received) < 400_000, sum(received)


HOSTILE = "<img src=x onerror='window.__xss=1'><script>window.__xss=1</script>${window.__xss=1}`{{7*7}}]]>&\"'"


def test_hostile_text_in_events_runs_no_script(starter_store, tmp_path):
    folder = shutil.copytree(starter_store, tmp_path / "data")
    services = open_city(folder, today=DAY)
    registerdata.fill(services)
    spots, events = (services.store.snapshot(n).copy() for n in ("hotspots", "hotspot_events"))
    for name in ("name_vi", "name_en", "authority_vi", "authority_en", "deadline_for_vi", "deadline_for_en", "decision_no",
                 "class_reason_vi", "receiving_water_vi", "facility"):  # fmt: skip
        spots[name] = [f"{HOSTILE}{i}" for i in range(len(spots))]
    for name in ("text_vi", "text_en", "office_vi", "office_en", "decision_no", "source"):
        events[name] = [f"{HOSTILE}{i}" for i in range(len(events))]
    registerdata.write(services, spots, events)
    with browser.serving(create_app(Settings(data_dir=folder), services)) as site, browser.page() as (sheet, seen):
        sheet.add_init_script("window.__xss = 0")
        for path in ("/hotspots", "/hotspots/HS01", "/hotspots/HS03", "/subscribe?near=HS01"):
            visit(sheet, site + path)
            assert sheet.evaluate("window.__xss") == 0 and sheet.locator("img[src=x]").count() == 0, path
        visit(sheet, site + "/hotspots")
        sheet.locator("#slider").focus()
        sheet.keyboard.press("ArrowLeft")
        sheet.wait_for_function("() => document.querySelector('#slider-said').textContent !== ''")
        sheet.wait_for_timeout(200)
        assert sheet.evaluate("window.__xss") == 0 and sheet.locator("img[src=x]").count() == 0
        assert not [e for e in seen.errors if "Content Security" in e] and not seen.outside
    services.close()


def test_a_day_that_is_no_stop_is_told_and_the_links_lead_to_stops(site):
    with browser.page() as (sheet, seen):
        visit(sheet, site + "/hotspots?lang=en&as_of=2026-07-15")
        assert sheet.locator("#slider-day").inner_text() == "15 Jul 2026"
        assert sheet.get_by_label("Day of the register").get_attribute("aria-valuetext") == "15 Jul 2026"
        sheet.get_by_role("link", name="Quarter before").click()
        sheet.wait_for_function("() => document.querySelector('#slider-said').textContent.includes('30 Jun 2026')")
        assert "as_of=2026-06-30" in sheet.url and not seen.errors


def test_a_register_of_thousands_has_its_map_and_its_table(starter_store, tmp_path):
    """More than a page embeds: the browser fetches the points; table, files and counts stay the same."""
    folder = shutil.copytree(starter_store, tmp_path / "data")
    services = open_city(folder, today=DAY)
    spots = services.store.snapshot("hotspots")
    placed = spots[spots.geometry.notna()].iloc[[0]]
    many = pd.concat([spots, *(placed.assign(code=f"X{i:04}") for i in range(1100))], ignore_index=True)
    registerdata.write(services, many, services.store.snapshot("hotspot_events"))
    client = create_app(Settings(data_dir=folder), services).test_client()
    text = page(client, "/hotspots")
    assert len(rows_of(text)) == 1129 == len(read_csv(client.get("/hotspots.csv").data))
    data = json.loads(re.search(r'id="map-data">(.*?)</script>', text, re.S).group(1))
    points = json.loads(client.get(data["layers"]["hotspots"]["url"]).data)["features"]
    assert (
        len(points) == 1129
        and points[0]["properties"]["name"]
        and points[0]["properties"]["url"].startswith("/hotspots/")
    )
    assert len(page(client, "/hotspots?q=X000")) > 0 and len(features(page(client, "/hotspots?q=X000"))) == 10
    services.close()


# --- small parts ---


def test_ages_and_deadlines_in_words():
    assert [status.age_words(d) for d in (0, 1, 59, 60, 400, 800)] == [
        "0 ngày",
        "1 ngày",
        "59 ngày",
        "1 tháng",
        "13 tháng",
        "2 năm",
    ]
    assert status.age_words(4000, exact=False) == "ít nhất 10 năm" and status.age_words(None) == "không rõ ngày"
    assert status.due_words({"due": "due", "due_days": 0}) == ("hết hạn hôm nay", "soon")
    assert status.due_words({"due": "due", "due_days": 15})[1] == "good"
    assert status.due_words({"due": "over", "due_days": None}) == ("", "")


def test_the_present_stage_is_shown_today_where_the_events_say_something_else(starter_store, tmp_path):
    folder = shutil.copytree(starter_store, tmp_path / "data")
    services = open_city(folder, today=DAY)
    registerdata.fill(services)
    spots = services.store.snapshot("hotspots").copy()
    spots.loc[spots["code"] == "HS01", "stage"] = "done"
    registerdata.write(services, spots, services.store.snapshot("hotspot_events"))
    rows = {r["code"]: r for r in status.status(services, DAY).rows}
    assert rows["HS01"]["stage"] == "done"
    assert {r["code"]: r for r in status.status(services, date(2026, 11, 21)).rows}["HS01"]["stage"] == "watched"
    services.close()


def test_the_slider_has_a_stop_for_each_quarter_since_the_first_date(client, city):
    text = page(client, "/hotspots")
    stops = json.loads(re.search(r'id="slider-stops">(.*?)</script>', text, re.S).group(1))
    first = min(p.since for p in status.pasts(city).values() if p.since)
    assert [s["day"] for s in stops] == [d.isoformat() for d in history.stops(first, DAY)]
    assert stops[-1]["day"] == DAY.isoformat()
    assert datetime.fromisoformat(stops[0]["day"]).month in (3, 6, 9, 12)
    assert pd.Timestamp(stops[0]["day"]).date() >= first
