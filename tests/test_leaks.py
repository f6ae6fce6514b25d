"""What is internal reaches nobody outside: a crawl over everything public, with a word in every internal field."""

import gzip
import io
import re
import shutil
import uuid
import zipfile
from collections import deque
from datetime import date
from html import unescape
from urllib.parse import urljoin, urlsplit

import people
import pytest
import shapely

from server.app import create_app
from server.drafts import Draft
from server.services import open_city
from server.settings import Settings

DAY = date(2026, 11, 23)
SECRET = "zqxinternal"
HIDDEN_FACILITY = "WW03"
FACTS = {
    "name_vi": "Kênh thử nghiệm",
    "media": "water",
    "source": "register",
    "confidence": "high",
    "geometry_quality": "approximate",
}
FROM = ("/", "/hotspots", "/hotspots.atom", "/data", "/data/catalog.jsonld", "/method", "/search?q=" + SECRET, "/api/suggest?q=" + SECRET,
        "/api/suggest?q=HS-01", "/search?q=kenh+thu", "/report", "/track", "/subscribe", "/ogc", "/ogc/api", "/ogc/collections",
        "/facilities", "/coverage", "/indicators", "/about", "/healthz", "/sign-in", "/robots.txt")  # fmt: skip


@pytest.fixture(scope="module")
def city(starter_store, tmp_path_factory):
    services = open_city(shutil.copytree(starter_store, tmp_path_factory.mktemp("leaks") / "data"), today=DAY)
    yield services
    services.close()


@pytest.fixture(scope="module")
def codes(city):
    """(public code, internal code): one case published by a second person, one that nobody published."""
    inspector, head = people.person(city, "inspector"), people.person(city, "approver")
    out = []
    for place in (shapely.Point(106.68, 20.85), shapely.Point(106.7, 20.86)):
        case = city.book.open(inspector, FACTS, place, note=SECRET)
        code = case.code
        city.book.step(inspector, code, city.book.get(code).revision, "check", {"officer": inspector.id})
        sha = city.files.put(SECRET.encode() * 9, ".pdf")
        city.book.attach(
            inspector,
            code,
            "visit_record",
            sha,
            name=f"{SECRET}.pdf",
            media_type="application/pdf",
            dated=DAY,
            note=SECRET,
        )
        city.book.note(inspector, code, SECRET)
        city.book.add_inspection(inspector, code, on=DAY, findings=SECRET, minutes_no=SECRET)
        city.book.add_decision(inspector, code, number=SECRET, on=DAY, kind="fine", issuer=SECRET, text=SECRET)
        city.book.add_sampling(inspector, code, taken_on=DAY, medium="surface_water", place=SECRET, laboratory=SECRET, method=SECRET,
                               report_no=SECRET, results=[{"parameter": "As", "value": 0.001, "unit": "mg/L"}])  # fmt: skip
        city.book.edit(inspector, code, city.book.get(code).revision, {"facility": HIDDEN_FACILITY}, reason=SECRET)
        city.book.step(
            inspector, code, city.book.get(code).revision, "confirm", {"severity_class": "2", "class_reason": "amoni"}
        )
        city.book.step(inspector, code, city.book.get(code).revision, "suspend", {"cause": SECRET})
        out.append(code)
    draft = Draft(key=str(uuid.uuid4()), kind="water", words=SECRET, place=SECRET, lon=106.68, lat=20.85)
    report = city.reports.take_in(draft).code
    city.accounts.keep_contact(report, name=SECRET, phone="0912345678", email=f"{SECRET}@example.vn", consent="1")
    city.reports.act(inspector, report, "merge", case=out[0], reply=SECRET)
    (waiting,) = [p for p in city.gate.waiting() if p["case"] == out[0]]
    city.gate.approve(head, waiting["id"])
    return tuple(out)


@pytest.fixture(scope="module")
def pages(city, codes):
    """{address: text} of everything that a visitor reaches by links, forms and downloads."""
    app = create_app(Settings(data_dir=city.store.data_dir), city)
    client, seen, ahead = (
        app.test_client(),
        {},
        deque([*FROM, f"/hotspots/{codes[0]}", f"/hotspots/{codes[1]}", f"/hotspots/{codes[0]}.atom"]),
    )
    shapes = {}
    while ahead:
        address = ahead.popleft()
        if address in seen:
            continue
        shape = re.sub(r"=[^&]*", "", re.sub(r"\b(?:[A-Z]{1,3}-?)?\d[\w-]*", "#", address))
        shapes[shape] = shapes.get(shape, 0) + 1
        if shapes[shape] > 6 and not any(c in address for c in codes):
            continue  # a hundred pages of one form say no more than a few
        answer = client.get(address)
        seen[address] = text_of(answer)
        assert answer.status_code < 500, address
        if answer.mimetype in ("text/html", "application/json", "application/atom+xml", "application/geo+json"):
            ahead.extend(links(address, seen[address]))
    return seen


def text_of(answer):
    """The text of an answer, also of what is packed: sheets, archives, GeoPackages."""
    body = answer.get_data()
    answer.close()
    if answer.headers.get("Content-Encoding") == "gzip" or body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    if body[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(body)) as pack:
            body = b"\n".join(pack.read(name) for name in pack.namelist())
    return unescape(body.decode("utf-8", "replace"))


def links(address, text):
    for found in re.findall(
        r"""(?:href|src|action)=["']([^"']+)["']|"(?:href|url)":\s*"([^"]+)\"""", text
    ):
        target = urlsplit(urljoin("http://localhost" + address, found[0] or found[1]))
        if (
            target.netloc in ("", "localhost", "127.0.0.1")
            and target.path.startswith("/")
            and not target.path.startswith("/static/")
        ):
            yield target.path + (f"?{target.query}" if target.query else "")


def test_the_crawl_sees_the_public_site(pages, codes):
    assert len(pages) > 80
    kinds = [a for a in pages if re.search(r"\.(csv|xlsx|geojson|gpkg)", a)]
    assert len(kinds) > 20 and any("gpkg" in a for a in kinds)
    assert sum(codes[0] in t for t in pages.values()) >= 6  # the published one is found in page, list and downloads


def test_no_internal_word_is_public(pages):
    asked = ("/search?q=" + SECRET, "/api/suggest?q=" + SECRET)
    leaks = [a for a, text in pages.items() if SECRET in text.lower() and not a.startswith(asked) and SECRET not in a]
    assert leaks == []


def test_an_unpublished_case_is_nowhere(pages, codes):
    own = f"/hotspots/{codes[1]}"
    assert [a for a, text in pages.items() if codes[1] in text and codes[1] not in a] == []
    assert own in pages and FACTS["name_vi"] not in pages[own]


def test_the_suspected_source_is_not_named(pages, codes):
    page = pages[f"/hotspots/{codes[0]}"]
    assert FACTS["name_vi"] in page and HIDDEN_FACILITY not in page


def test_people_of_the_office_are_not_named(pages, city):
    names = [u.name for u in city.accounts.users() if u.login.startswith(("inspector", "approver"))]
    assert len(names) >= 2
    assert [(a, n) for a, text in pages.items() for n in names if n in text] == []


def test_files_of_the_register_cannot_be_fetched(city, codes):
    client = create_app(Settings(data_dir=city.store.data_dir), city).test_client()
    (held,) = [a for a in city.book.attachments(codes[0]) if a["kind"] == "visit_record"]
    for address in (f"/photos/{held['sha']}.jpg", f"/files/{held['sha']}", f"/photos/{held['sha']}", f"/cases/{codes[0]}",
                    f"/cases/{codes[0]}/files/{held['id']}"):  # fmt: skip
        answer = client.get(address)
        assert answer.status_code in (303, 403, 404), address
        assert SECRET not in answer.get_data(as_text=True)
