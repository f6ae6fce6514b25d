"""The pages of the news by mail: ask, confirm by link, see, stop in one click; addresses appear nowhere."""

import re
import shutil
from email import message_from_bytes
from email.policy import default
from urllib.parse import urlsplit

import browser
import people
import pytest
import registerdata

from server import notices, whereabouts
from server.app import create_app
from server.services import open_city
from server.settings import Settings

DAY = registerdata.DAY
EMAIL = "reader@example.vn"


@pytest.fixture
def city(starter_store, tmp_path):
    folder = shutil.copytree(starter_store, tmp_path / "data")
    services = open_city(folder, today=DAY)
    yield services
    services.close()


@pytest.fixture
def app(city):
    return create_app(Settings(data_dir=city.store.data_dir), city)


@pytest.fixture
def client(app):
    return people.visitor(app)


def ask(client, **fields):
    form = {
        "csrf": client.csrf,
        "email": EMAIL,
        "radius": "3",
        "agree": "yes",
        "place": "",
        "lon": "106.68",
        "lat": "20.85",
    }
    return client.post("/subscribe?lang=en", data=form | fields)


def mails(city):
    city.notices.bag.send()
    paths = sorted((city.store.data_dir / "outbox").glob("*.eml"))
    return [message_from_bytes(p.read_bytes(), policy=default) for p in paths]


def link(mail):
    """The path of the link in a mail."""
    return urlsplit(re.search(r"http://\S+/subscribe/\S+", mail.get_content()).group(0)).path


def confirmed(client, city):
    """Path of the reader's own page."""
    ask(client)
    answer = client.post(link(mails(city)[-1]), data={"csrf": client.csrf})
    assert answer.status_code == 303
    return urlsplit(answer.location).path


def test_the_whole_way(client, city):
    answer = ask(client)
    assert (answer.status_code, answer.location) == (303, "/subscribe/sent")
    assert "Look into your mailbox" in client.get("/subscribe/sent?lang=en").text
    (mail,) = mails(city)
    assert mail["To"] == EMAIL and "Le Chan Ward" in mail["Subject"] and "3 km" in mail["Subject"]
    path = link(mail)
    asked = client.get(path)
    assert asked.status_code == 200 and "Yes, send me this news" in asked.text
    assert city.notices.counts()["places"] == 0, "to look at the link is not to confirm: mail programs open links too"
    assert client.post(path, data={"csrf": client.csrf}).status_code == 303
    assert city.notices.counts()["places"] == 1

    registerdata.fill(city)
    spots, events = (city.store.snapshot(n) for n in ("hotspots", "hotspot_events"))
    mine = city.notices.mine(city_token(city))[0]
    near = spots.assign(geometry=[whereabouts.point(mine.lon, mine.lat)] * len(spots))
    city.notices.collect(near, events.assign(published_on=events["published_on"].max().replace(year=2027)))
    city.notices.write(near, events)
    mail = mails(city)[-1]
    assert "/hotspots/HS02" in mail.get_content() and mail["Subject"].startswith("News of 5 hotspots")

    one_click = urlsplit(mail["List-Unsubscribe"].strip("<>")).path
    stranger = client.application.test_client()
    answer = stranger.post(one_click, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200 and city.notices.counts()["readers"] == 0
    assert stranger.post(one_click, data={"List-Unsubscribe": "One-Click"}).status_code == 200, "twice is no error"
    assert client.get(one_click).status_code == 404


def city_token(city):
    import sqlalchemy as sa

    from server.noticebook import readers

    with city.accounts.vault.reading() as con:
        return con.scalar(sa.select(readers.c.token))


def test_the_address_appears_on_no_page_and_tokens_are_not_kept(client, city):
    path = confirmed(client, city)
    token = path.rpartition("/")[2]
    for address in ("/subscribe", "/subscribe/sent", path, f"/subscribe/stop/{token}", "/hotspots", "/data"):
        answer = client.get(address)
        assert EMAIL not in answer.text and "reader@" not in answer.text
        if token in address:
            assert answer.headers["Cache-Control"] == "no-store" and answer.headers["X-Robots-Tag"] == "noindex"
            assert answer.headers["Referrer-Policy"] in ("no-referrer", "same-origin")


def test_a_refused_form_keeps_what_was_typed_but_tells_what_is_wrong(client, city):
    answer = ask(client, email="nobody", agree="", lon="", lat="", place="")
    assert answer.status_code == 400 and 'role="alert"' in answer.text
    assert "Write the name of a place" in answer.text and "Tick this box" in answer.text
    answer = ask(client, email="nobody")
    assert answer.status_code == 400 and 'aria-invalid="true"' in answer.text and 'value="nobody"' in answer.text
    assert city.notices.counts()["readers"] == 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"lon": "0", "lat": "0"}, "far from Hải Phòng"),
        ({"lon": "nan", "lat": "20.8"}, "far from Hải Phòng"),
        ({"lon": "inf", "lat": "20.8"}, "far from Hải Phòng"),
        ({"lon": "x", "lat": "y", "place": "zzzz qqqq"}, "No place of this name"),
        ({"radius": "99"}, "between 1 and 10 km"),
        ({"radius": "-1"}, "between 1 and 10 km"),
        ({"radius": "٣"}, "between 1 and 10 km"),
    ],
)
def test_what_cannot_be_a_place_is_told(client, fields, words):
    answer = ask(client, **fields)
    assert answer.status_code == 400 and words in answer.text


def test_a_name_with_several_meanings_is_asked_back(client, city):
    answer = ask(client, lon="", lat="", place="an")
    picks = re.findall(r'name="pick" id="pick-\d+" value="([^"]+)"', answer.text)
    assert answer.status_code == 400 and len(picks) > 1 and "Which of these places" in answer.text
    assert ask(client, lon="", lat="", place="an", pick=picks[1]).status_code == 303
    assert city.notices.counts()["pending"] == 1


def test_old_names_and_codes_are_places(city):
    found = whereabouts.named(city, "hàng kênh", "en")
    assert found[0].code == "11383" and "Hàng Kênh" in found[0].note
    assert whereabouts.of_code(city, "HS02").name_en and whereabouts.of_code(city, "nothing") is None
    assert whereabouts.at_point(city, 106.68, 20.85).name_en == "a point in Le Chan Ward"
    assert whereabouts.at_point(city, 107.2, 20.5).name_vi == "điểm 20.5000, 107.2000"


def test_a_hotspot_leads_to_its_place(client, city):
    text = client.get("/subscribe?near=HS02&lang=en").text
    lon, lat = (re.search(rf'id="{n}" value="([^"]+)"', text).group(1) for n in ("lon", "lat"))
    name = re.search(r'id="place"[^>]*value="([^"]+)"', text).group(1)
    ask(client, lon=lon, lat=lat, near="HS02", place=name)
    assert name.split(" (")[0] in mails(city)[0]["Subject"]


def test_a_program_that_fills_in_every_field_gets_no_mail(client, city):
    assert ask(client, website="https://spam.example").location == "/subscribe/sent"
    assert city.notices.counts()["readers"] == 0


def test_too_many_requests_are_told_so(client, city):
    city.notices.rules = notices.Rules(asks_an_hour=1)
    assert ask(client).status_code == 303
    answer = ask(client, email="other@example.vn")
    assert answer.status_code == 429 and "try again in an hour" in answer.text


def test_a_known_address_gets_the_same_answer(client, city):
    confirmed(client, city)
    again, fresh = ask(client), ask(client, email="other@example.vn")
    assert (again.status_code, again.location, again.text) == (fresh.status_code, fresh.location, fresh.text)


def test_places_are_taken_away_one_by_one_and_the_last_takes_everything(client, city):
    path = confirmed(client, city)
    ask(client, lon="106.7", lat="20.9")
    client.post(link(mails(city)[-1]), data={"csrf": client.csrf})
    numbers = re.findall(r'name="place" value="(\d+)"', client.get(path).text)
    assert len(numbers) == 2
    assert client.post(path, data={"csrf": client.csrf, "place": numbers[0]}).status_code == 303
    answer = client.post(path + "?lang=en", data={"csrf": client.csrf, "place": numbers[1]})
    assert "You get no more news" in answer.text and city.notices.counts()["readers"] == 0
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/subscribe/confirm/x", "/subscribe/mine/x", "/subscribe/stop/x"])
def test_links_that_are_too_old_say_so(client, path):
    answer = client.get(path + "?lang=en")
    assert answer.status_code == 404 and "no longer works" in answer.text


def test_the_round_of_the_server_sends_what_waits(client, city):
    ask(client)
    city.rounds()
    assert len(list((city.store.data_dir / "outbox").glob("*.eml"))) == 1


def test_in_a_browser_by_keyboard_with_the_middle_of_the_map(app, city):
    with browser.serving(app) as site, browser.page(width=390, height=844) as (sheet, seen):
        sheet.goto(site + "/subscribe?lang=en", wait_until="networkidle")
        sheet.wait_for_function("() => document.querySelector('.folium-map').dataset.ready")
        sheet.get_by_role("button", name="Middle of the map").press("Enter")
        assert "The place is set" in sheet.locator("#pin-words").inner_text()
        sheet.get_by_label("Radius").select_option("5")
        assert "5 km" in sheet.locator("#pin-words").inner_text()
        sheet.get_by_label("Your e-mail address").fill(EMAIL)
        sheet.get_by_label("Keep my address").press("Space")
        sheet.get_by_role("button", name="Send me the link").press("Enter")
        sheet.wait_for_url("**/subscribe/sent")
        path = link(mails(city)[0])
        sheet.goto(site + path)
        sheet.get_by_role("button", name="Yes, send me this news").click()
        sheet.wait_for_url("**/subscribe/mine/**")
        assert "5 km" in sheet.locator(".my-places").inner_text()
        sheet.get_by_role("button", name="Stop everything").click()
        assert "You get no more news" in sheet.locator("h1").inner_text()
        assert not seen.errors and not seen.outside
    assert city.notices.counts()["readers"] == 0
