"""The news as Atom: well formed, complete, with identifiers that stay, and harmless whatever the texts hold."""

import shutil
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import registerdata
from hypothesis import given
from hypothesis import strategies as st

from server import feeds
from server.app import create_app
from server.services import open_city
from server.settings import Settings

A = "{http://www.w3.org/2005/Atom}"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def entry(number=1, at=NOON, **more):
    return feeds.Entry(**{"code": "HS01", "number": number, "title": "Kênh: khống chế", "link": "https://x.example/hotspots/HS01",
                          "at": at, "summary": "Đặt phao chắn.", "author": "Sở", "categories": ("water",)} | more)  # fmt: skip


def made(entries, **more):
    body = feeds.atom(entries, **{"key": "k", "title": "t", "subtitle": "s", "home": "https://x.example/hotspots",
                                  "itself": "https://x.example/hotspots.atom", "changed": NOON, "language": "vi"} | more)  # fmt: skip
    assert body.startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    return ElementTree.fromstring(body)


def check(feed):
    """What RFC 4287 asks of a feed and its entries."""
    for parent in (feed, *feed.findall(f"{A}entry")):
        for name in ("id", "title", "updated"):
            (one,) = parent.findall(f"{A}{name}")
            assert one.text.strip() if name != "title" else one is not None
        assert parent.find(f"{A}id").text.startswith("urn:uuid:")
        datetime.strptime(parent.find(f"{A}updated").text, "%Y-%m-%dT%H:%M:%SZ")
        assert parent.find(f"{A}author/{A}name") is not None
        for link in parent.findall(f"{A}link"):
            assert urlsplit(link.get("href")).scheme in ("http", "https"), "absolute"
    (itself,) = [x for x in feed.findall(f"{A}link") if x.get("rel") == "self"]
    assert itself.get("type") == "application/atom+xml"
    for one in feed.findall(f"{A}entry"):
        (alternate,) = one.findall(f"{A}link")
        assert alternate.get("rel") == "alternate"
    ids = [x.text for x in feed.iter(f"{A}id")]
    assert len(ids) == len(set(ids))
    return feed


def test_a_feed_without_entries_is_complete():
    feed = check(made([]))
    assert feed.find(f"{A}updated").text == "2026-11-22T12:00:00Z" and feed.findall(f"{A}entry") == []


def test_newest_first_and_not_too_many():
    days = [entry(n, NOON - timedelta(days=n)) for n in range(60)]
    feed = check(made(days[::-1]))
    assert [x.find(f"{A}updated").text[:10] for x in feed.findall(f"{A}entry")] == [
        (NOON - timedelta(days=n)).date().isoformat() for n in range(feeds.NEWEST)
    ]
    assert feed.find(f"{A}updated").text == "2026-11-22T12:00:00Z"


def test_moments_are_told_in_utc():
    feed = made([entry(at=datetime(2026, 11, 22, tzinfo=timezone(timedelta(hours=7))))])
    assert feed.find(f"{A}entry/{A}updated").text == "2026-11-21T17:00:00Z"


def test_identifiers_hang_on_code_and_number_alone():
    one, other = (made([entry(title=t, link=x)]) for t, x in (("a", "https://a.example/"), ("b", "http://b.example/")))
    assert one.find(f"{A}entry/{A}id").text == other.find(f"{A}entry/{A}id").text == feeds.identifier("HS01", 1)
    assert feeds.identifier("HS01", 1) == "urn:uuid:" + feeds.identifier("HS01", 1)[9:]
    assert len({feeds.identifier("HS01", 11), feeds.identifier("HS011", 1), feeds.identifier("HS01", 1)}) == 3


@given(st.text(), st.text(), st.text())
def test_any_text_is_well_formed_and_comes_back(title, summary, author):
    feed = check(made([entry(title=title, summary=summary, author=author)], title=title or "t"))
    found = feed.find(f"{A}entry")
    kept = feeds._NOT_XML.sub("", summary).replace("\r\n", "\n").replace("\r", "\n")
    assert (found.find(f"{A}summary").text or "") == kept
    assert found.find(f"{A}summary").get("type") == "text" and len(list(found)) == 8


# --- as served ---


@pytest.fixture(scope="module")
def client(starter_store, tmp_path_factory):
    folder = shutil.copytree(starter_store, tmp_path_factory.mktemp("feeds") / "data")
    services = open_city(folder, today=registerdata.DAY)
    registerdata.fill(services)
    yield create_app(Settings(data_dir=folder), services).test_client()
    services.close()


def fetched(client, address, **options):
    answer = client.get(address, **options)
    assert answer.status_code == 200 and answer.mimetype == "application/atom+xml"
    return check(ElementTree.fromstring(answer.data))


def test_the_feed_of_the_register_holds_every_public_step(client):
    feed = fetched(client, "/hotspots.atom?lang=en")
    ids = {x.find(f"{A}id").text for x in feed.findall(f"{A}entry")}
    assert ids == {feeds.identifier(s[0], s[1]) for s in registerdata.STEPS}
    first = feed.find(f"{A}entry")
    assert first.find(f"{A}link").get("href") == "http://localhost/hotspots/HS04#event-2", "published last"
    assert "Contained" in first.find(f"{A}title").text and "10 Jul 2026" in first.find(f"{A}summary").text
    assert feed.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"


def test_the_choices_of_the_page_choose_the_entries(client):
    feed = fetched(client, "/hotspots.atom?stage=plan_approved")
    assert {x.find(f"{A}link").get("href").partition("#")[0] for x in feed.findall(f"{A}entry")} == {
        "http://localhost/hotspots/HS03"
    }
    assert feed.find(f"{A}id").text != fetched(client, "/hotspots.atom").find(f"{A}id").text
    assert "stage=plan_approved" in next(x.get("href") for x in feed.findall(f"{A}link") if x.get("rel") == "self")
    assert client.get("/hotspots.atom?stage=clean").status_code == 400


def test_the_feed_of_one_hotspot(client):
    feed = fetched(client, "/hotspots/HS02.atom?lang=vi")
    assert len(feed.findall(f"{A}entry")) == 3 and "tái phát" in feed.find(f"{A}entry/{A}title").text
    assert client.get("/hotspots/HS99.atom").status_code == 404


def test_entries_keep_their_identifiers_in_both_languages_and_under_another_name(client):
    def ids(**options):
        return [x.find(f"{A}id").text for x in fetched(client, "/hotspots.atom", **options).findall(f"{A}entry")]

    assert ids() == ids(headers={"Cookie": "lang=en"}) == ids(base_url="https://map.example")


def test_an_unchanged_feed_is_not_sent_again(client):
    first = client.get("/hotspots.atom")
    assert first.headers["ETag"]
    again = client.get("/hotspots.atom", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304 and again.data == b""
    assert client.get("/hotspots.atom?lang=en", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_pages_name_their_feed(client):
    assert 'type="application/atom+xml"' in client.get("/hotspots").text
    assert '"/hotspots/HS01.atom"' in client.get("/hotspots/HS01").text
