"""The citizens' pages: sent with and without scripts, cut off at any byte, followed by code, in a real browser."""

import hashlib
import io
import json
import re
import shutil
import socket
import time
import uuid
from datetime import date
from urllib.parse import urlsplit

import browser
import people
import pytest
import sqlalchemy as sa
from PIL import Image
from shapely.geometry import Point

from layers.catalogue import ALL
from layers.checks import check
from server import doorstep, photos
from server.app import create_app
from server.pace import Pace
from server.services import open_city
from server.settings import Settings
from server.views import report as view

DAY = date(2026, 11, 20)  # a Friday
LON, LAT = "106.6881", "20.8561"
FORM = {"kind": "water", "lon": LON, "lat": LAT, "words": "Nước đen và hôi"}
NOBODY = {"phone": "0912 345 678", "email": "ai.do@example.vn"}
SECRET = b"6543 Secret Street"
HOSTILE = "<img src=x onerror='window.__xss=1'></script><script>window.__xss=1</script>{{7*7}}"


def shot(colour="red", size=(320, 240), **options):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG", **options)
    return out.getvalue()


def sha(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def city(starter_store, tmp_path_factory):
    folder = shutil.copytree(starter_store, tmp_path_factory.mktemp("reports") / "data")
    services = open_city(folder, today=DAY)
    yield services
    services.close()


@pytest.fixture(scope="module")
def app(city):
    return create_app(Settings(data_dir=city.store.data_dir), city)


@pytest.fixture(autouse=True)
def quick(monkeypatch, app):
    monkeypatch.setattr(doorstep, "SHORTEST_S", 0)
    app.extensions.pop("cangxanh-paces", None)


@pytest.fixture
def visitor(app):
    return people.visitor(app)


@pytest.fixture(scope="module")
def inspector(city):
    return people.person(city, "inspector")


def started(client):
    return re.search(r'name="started" value="([^"]+)"', client.get("/report").text)[1]


def post(client, path="/report", *, files=(), **fields):
    data = {"csrf": client.csrf} | fields
    if path == "/report":
        data = {"started": started(client), "key": str(uuid.uuid4())} | data
    data["photos"] = [(io.BytesIO(body), name) for name, body in files]
    return client.post(path, data=data, content_type="multipart/form-data")


def sent(client, *, files=(), **changes):
    """The code of a report sent by the form."""
    answer = post(client, files=files, **(FORM | changes))
    assert answer.status_code == 303, re.findall(r'field-problem"[^>]*>([^<]+)', answer.text)
    return urlsplit(answer.location).path.rpartition("/")[2]


def problems(answer):
    assert answer.status_code == 422
    return {m[0]: m[1] for m in re.findall(r'id="(\w+)-problem">([^<]+)</p>', answer.text)}


def reports_in(city):
    with city.store.reading() as con:
        return con.scalar(sa.text("SELECT count(*) FROM report"))


def json_headers(client):
    return {"X-CSRF": client.csrf, "Accept": "application/json"}


# --- the form without scripts ---


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_pages_open_in_both_languages(visitor, lang):
    for path in ("/report", "/track"):
        answer = visitor.get(f"{path}?lang={lang}")
        assert answer.status_code == 200 and f'<html lang="{lang}">' in answer.text


def test_a_report_by_the_plain_form_gets_a_code_and_a_page(visitor, city, inspector):
    code = sent(visitor, files=[("IMG 1.jpg", shot())], smell="4", colour="black", place="cầu An Dương")
    assert re.fullmatch(r"P-[0-9A-Z]{4}-[0-9A-Z]{4}", code)
    row = city.reports.get(code)
    assert (row["kind"], row["smell"], row["colour"], row["place"]) == ("water", 4, "black", "cầu An Dương")
    assert len(row["photos"]) == 1 and code in [r["code"] for r in city.reports.inbox(inspector)]
    page = visitor.get(f"/track/{code}?sent=form&lang=en").text
    assert "Thank you, your report has arrived" in page and "1 photo is safe" in page and "<svg" in page
    assert "You have an answer by 2 Dec 2026." in page


def test_the_same_form_sent_twice_is_one_report(visitor, city):
    before, key = reports_in(city), str(uuid.uuid4())
    one = post(visitor, key=key, files=[("a.jpg", shot("blue"))], **FORM)
    two = post(visitor, key=key, files=[("a.jpg", shot("blue"))], **FORM)
    assert one.location == two.location and reports_in(city) == before + 1


def test_every_problem_stands_beside_its_field_and_what_was_typed_stays(visitor, city):
    before = reports_in(city)
    answer = post(visitor, words=f"chữ {HOSTILE}", place="cầu", smell="9", phone="12", email="no", lon="0", lat="0")
    assert set(problems(answer)) == {"kind", "smell", "place", "phone", "email", "consent"}
    assert "cầu" in answer.text and "<img src=x" not in answer.text and "&lt;img src=x" in answer.text
    assert answer.text.count("aria-invalid") == 5  # the summary names all six; smell is a group without one
    assert reports_in(city) == before


def test_a_photo_that_cannot_be_used_is_named_and_nothing_is_taken_in(visitor, city):
    before = reports_in(city)
    heic = b"\x00\x00\x00\x18ftypheic" + bytes(100)
    for name, body, words in (
        ("IMG_1.HEIC", heic, "HEIC"), ("x.svg", b"<svg onload=alert(1)>", "not a photo"),
        ("x<b>.jpg", b"<!doctype html><script>alert(1)</script>", "not a photo"), ("cut.jpg", shot()[:400], "damaged"),
    ):  # fmt: skip
        visitor.get("/report?lang=en")
        answer = post(visitor, files=[("good.jpg", shot()), (name, body)], **FORM)
        assert words in problems(answer)["photos"]
        assert "<b>.jpg" not in answer.text
    assert post(visitor, files=[(f"{n}.jpg", shot()) for n in range(6)], **FORM).status_code == 422
    assert reports_in(city) == before


def test_forms_larger_than_the_bound_are_refused(visitor):
    size = {"CONTENT_LENGTH": str(view.FORM_BYTES + 1)}
    assert visitor.post("/report", environ_overrides=size, headers=json_headers(visitor)).status_code == 413
    size = {"CONTENT_LENGTH": str(view.PHOTO_BYTES + 1)}
    put = f"/report/{uuid.uuid4()}/photos/{'0' * 64}"
    assert visitor.put(put, environ_overrides=size, headers=json_headers(visitor)).status_code == 413


def test_programs_that_fill_in_everything_or_at_once_are_caught(visitor, city, monkeypatch):
    before = reports_in(city)
    assert post(visitor, website="http://x", **FORM).status_code == 422
    monkeypatch.setattr(doorstep, "SHORTEST_S", 60)
    assert post(visitor, **FORM).status_code == 422
    assert post(visitor, started="made up", **FORM).status_code == 422
    answer = visitor.post("/report/send", json=FORM | {"website": "x"}, headers=json_headers(visitor))
    assert answer.status_code == 422 and reports_in(city) == before


def test_one_address_cannot_send_without_end(visitor, app, city):
    app.extensions["cangxanh-paces"] = view_paces(report=Pace(2, 3600))
    before = reports_in(city)
    sent(visitor), sent(visitor)
    answer = post(visitor, **FORM)
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 3500 and "60" in answer.text
    key = str(uuid.uuid4())
    assert visitor.post("/report/send", json=FORM | {"key": key}, headers=json_headers(visitor)).status_code == 429
    assert reports_in(city) == before + 2


def view_paces(**changes):
    return {n: Pace(1000, 60) for n in ("report", "photo", "near", "message", "code")} | changes


def test_a_form_from_another_site_is_refused(app, city):
    before = reports_in(city)
    stranger = app.test_client()
    assert stranger.post("/report", data=FORM).status_code == 400
    assert stranger.post("/report/send", json=FORM).status_code == 400
    assert reports_in(city) == before


def test_a_wrong_figure_is_reported_with_the_page_it_stands_on(visitor, city, inspector):
    page = visitor.get("/report/mistake?about=/coverage/11383?measure=m3&lang=en").text
    assert 'href="/coverage/11383?measure=m3"' in page
    token = re.search(r'name="started" value="([^"]+)"', page)[1]
    form = {"csrf": visitor.csrf, "started": token, "about": "/coverage/11383", "key": str(uuid.uuid4())}
    assert visitor.post("/report/mistake", data=form).status_code == 422
    for _ in range(2):
        answer = visitor.post("/report/mistake", data=form | {"words": "Trạm đã dừng từ năm 2024"})
    code = urlsplit(answer.location).path.rpartition("/")[2]
    row = city.reports.get(code)
    assert (row["kind"], row["place"], row["media"]) == ("mistake", "/coverage/11383", ())
    assert [r["code"] for r in city.reports.inbox(inspector)].count(code) == 1
    assert 'href="/coverage/11383"' in visitor.get(f"/track/{code}").text
    for foreign in ("https://evil.example", "//evil.example", "javascript:alert(1)", "/a b", '/"><script>'):
        page = visitor.get("/report/mistake", query_string={"about": foreign}).text
        assert 'name="about" value=""' in page
    assert "kind-mistake" not in visitor.get("/report").text


def test_an_address_cannot_send_the_reader_elsewhere(visitor):
    code = sent(visitor)
    answer = visitor.get(f"/track/{code.lower()}?_external=1&_scheme=evil&code=x")
    assert (answer.status_code, answer.location) == (301, f"/track/{code}")


# --- contact data ---


def test_contact_is_kept_apart_only_with_consent_and_can_be_deleted(visitor, city, inspector):
    assert set(problems(post(visitor, **FORM, **NOBODY))) == {"consent"}
    code = sent(visitor, **NOBODY, consent="yes")
    kept = city.accounts.contact(code)
    assert (kept["phone"], kept["email"], kept["consent"]) == ("0912345678", "ai.do@example.vn", f"{view.CONSENT}-vi")
    page = visitor.get(f"/track/{code}").text
    assert "0912345678" not in page and "ai.do" not in page and f"/track/{code}/forget" in page
    assert b"0912345678" not in (city.store.data_dir / "cangxanh.gpkg").read_bytes()
    with city.store.reading() as con:
        assert "0912345678" not in json.dumps(
            [list(map(str, r)) for r in con.execute(sa.text("SELECT * FROM cx_audit"))]
        )
    assert post(visitor, f"/track/{code}/forget").status_code == 303
    assert city.accounts.contact(code) is None and "/forget" not in visitor.get(f"/track/{code}").text


def test_a_report_can_be_withdrawn_by_the_holder_of_its_code(visitor, city, inspector):
    code = sent(visitor, files=[("a.jpg", shot("gold"))], **NOBODY, consent="yes")
    (name,) = city.reports.get(code)["photos"]
    assert post(visitor, f"/track/{code}/withdraw").status_code == 303
    page = visitor.get(f"/track/{code}?said=withdrawn&lang=en").text
    assert "Your report is withdrawn and deleted." in page and "Nước đen" not in page
    assert city.accounts.contact(code) is None and name not in city.files
    assert visitor.get(f"/track/{code}/photo/1").status_code == 404
    assert post(visitor, f"/track/{code}/withdraw").status_code == 400


def test_the_pin_may_stand_at_a_published_hotspot(visitor, city):
    spot = city.store.snapshot("hotspots").set_index("code").geometry["HS02"].representative_point()
    assert f'id="lon" value="{spot.x:.6f}"' in visitor.get("/report?near=HS02").text
    for nowhere in ("HS-0999", "<b>", ""):
        assert 'id="lon" value=""' in visitor.get("/report", query_string={"near": nowhere}).text


def test_the_box_of_consent_is_never_ticked_beforehand(visitor):
    box = re.search(r'<input type="checkbox" id="consent"[^>]*>', visitor.get("/report").text)[0]
    assert "checked" not in box


# --- sending with scripts ---


def draft(**changes):
    return FORM | {"key": str(uuid.uuid4())} | changes


def test_the_phone_sends_the_report_then_each_photo_and_asks_what_is_safe(visitor, city):
    bodies = [shot("red"), shot("green")]
    one = draft(photos=[sha(b) for b in bodies])
    token = visitor.get("/report/ready").json["csrf"]
    headers = {"X-CSRF": token, "Accept": "application/json"}
    answer = visitor.post("/report/send", json=one, headers=headers).json
    assert answer["missing"] == one["photos"] and answer["track"] == f"/track/{answer['code']}"
    put = f"/report/{one['key']}/photos/{one['photos'][1]}?taken_on=2026-11-19"
    assert visitor.put(put, data=bodies[1], headers=headers).json["safe"] == one["photos"][1:]
    assert visitor.get(f"/report/{one['key']}").json["missing"] == one["photos"][:1]
    again = visitor.post("/report/send", json=one, headers=headers).json
    assert (again["code"], again["safe"]) == (answer["code"], one["photos"][1:])
    wrong = visitor.put(f"/report/{one['key']}/photos/{one['photos'][0]}", data=bodies[1], headers=headers)
    assert (wrong.status_code, wrong.json["error"]) == (409, "changed")
    assert (
        visitor.put(f"/report/{one['key']}/photos/{one['photos'][0]}", data=bodies[0], headers=headers).json["missing"]
        == []
    )
    with city.store.reading() as con:
        days = con.execute(
            sa.text("SELECT number, taken_on FROM report_photo WHERE sent = :s"), {"s": one["photos"][1]}
        )
        assert days.one() == (1, "2026-11-19")


def test_what_the_phone_sends_wrong_is_told_by_field(visitor):
    answer = visitor.post("/report/send", json={"kind": "x", "smell": 9}, headers=json_headers(visitor))
    assert answer.status_code == 422 and set(answer.json["problems"]) == {"kind", "smell", "place"}
    for body in ("[]", "null", '"x"', "{"):
        answer = visitor.post("/report/send", data=body, content_type="application/json", headers=json_headers(visitor))
        assert answer.status_code == 400
    unknown = f"/report/{uuid.uuid4()}/photos/{sha(shot())}"
    assert visitor.put(unknown, data=shot(), headers=json_headers(visitor)).status_code == 404
    assert visitor.get(f"/report/{uuid.uuid4()}").status_code == 404


def test_a_receipt_names_nothing_but_code_and_checksums(visitor):
    one = draft(words="secret words", phone="0912345678", consent=True)
    visitor.post("/report/send", json=one, headers=json_headers(visitor))
    assert set(visitor.get(f"/report/{one['key']}").json) == {"code", "safe", "missing", "track"}


def test_near_a_pin_strangers_learn_little(visitor, city):
    sent(visitor, lon="106.75", lat="20.75", words="secret words")
    found = visitor.get("/report/near?lon=106.75&lat=20.75&kind=fish&lang=en").json
    assert found["ward"]["name"] and len(found["similar"]) == 1
    assert set(found["similar"][0]) == {"ref", "kind", "sentence"} and "secret" not in json.dumps(found)
    assert visitor.get("/report/near?lon=0&lat=0&kind=fish").json["outside"] is True
    for bad in ("", "?lon=x&lat=1", "?lon=nan&lat=20"):
        assert visitor.get(f"/report/near{bad}").status_code in (200, 400)
    spot = city.store.snapshot("hotspots").set_index("code").geometry["HS02"].representative_point()
    (known, *_) = visitor.get(f"/report/near?lon={spot.x}&lat={spot.y}&kind=water&lang=en").json["hotspots"]
    assert known["url"] == "/hotspots/HS02" and known["stage"]


# --- connections that break ---


def raw(address, method, path, headers, body, *, cut=None):
    """Sends a request by hand and closes the connection after `cut` bytes of the body; None sends all and answers."""
    host = urlsplit(address)
    head = f"{method} {path} HTTP/1.1\r\nHost: {host.netloc}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    head += "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
    with socket.create_connection((host.hostname, host.port), timeout=30) as line:
        line.sendall(head.encode() + body[:cut])
        if cut is not None:
            return None
        answer = b""
        while chunk := line.recv(65536):
            answer += chunk
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def cookies(client):
    return {
        "Cookie": f"cx_form={client.get_cookie('cx_form').value}",
        "X-CSRF": client.csrf,
        "Accept": "application/json",
    }


def test_a_connection_cut_at_any_byte_loses_and_doubles_nothing(app, city, visitor):
    body = shot("purple", (640, 480))
    one = draft(photos=[sha(body)])
    text, before = json.dumps(one).encode(), reports_in(city)
    head = cookies(visitor)
    with browser.serving(app) as address:
        for cut in (0, 1, len(text) // 2, len(text) - 1):
            raw(address, "POST", "/report/send", head | {"Content-Type": "application/json"}, text, cut=cut)
        time.sleep(0.2)
        assert reports_in(city) == before
        first = raw(address, "POST", "/report/send", head | {"Content-Type": "application/json"}, text)
        put = f"/report/{one['key']}/photos/{one['photos'][0]}"
        for cut in (0, 1, 100, len(body) // 3, len(body) // 2, len(body) - 1):
            raw(address, "PUT", put, head | {"Content-Type": "image/jpeg"}, body, cut=cut)
            assert raw(address, "GET", f"/report/{one['key']}", head, b"")["missing"] == one["photos"]
        assert raw(address, "PUT", put, head | {"Content-Type": "image/jpeg"}, body)["safe"] == one["photos"]
        # the answer was lost: everything is sent once more
        assert (
            raw(address, "POST", "/report/send", head | {"Content-Type": "application/json"}, text)["code"]
            == first["code"]
        )
        assert raw(address, "PUT", put, head | {"Content-Type": "image/jpeg"}, body)["safe"] == one["photos"]
    assert reports_in(city) == before + 1
    assert len(city.reports.get(first["code"])["photos"]) == 1 and city.files.problems() == []


SERVER = """
from datetime import date
from werkzeug.serving import make_server
from server.app import create_app
from server.services import open_city
from server.settings import Settings
services = open_city(args[0], today=date(2026, 11, 20))
server = make_server("127.0.0.1", 0, create_app(Settings(data_dir=args[0]), services), threaded=True)
say(server.server_port)
server.serve_forever()
"""


def test_a_server_killed_while_photos_come_in_keeps_what_it_acknowledged(starter_store, tmp_path, elsewhere):
    """The phone goes on with another process where the first one was killed."""
    folder = str(shutil.copytree(starter_store, tmp_path / "data"))
    bodies = [shot((20 * n, 0, 0), (640, 480)) for n in range(5)]
    one = draft(photos=[sha(b) for b in bodies])
    acknowledged = ()
    for stop_after in (1, 3, None):
        child = elsewhere(SERVER, folder)
        address = f"http://127.0.0.1:{child.hear()}"
        ready = browser_like(address)
        answer = raw(
            address, "POST", "/report/send", ready | {"Content-Type": "application/json"}, json.dumps(one).encode()
        )
        assert set(acknowledged) <= set(answer["safe"])
        for n, (body, name) in enumerate(zip(bodies, one["photos"], strict=True)):
            if stop_after is not None and n == stop_after:
                raw(
                    address,
                    "PUT",
                    f"/report/{one['key']}/photos/{name}",
                    ready | {"Content-Type": "image/jpeg"},
                    body,
                    cut=900,
                )
                break
            acknowledged = raw(
                address, "PUT", f"/report/{one['key']}/photos/{name}", ready | {"Content-Type": "image/jpeg"}, body
            )["safe"]
        child.kill()
        child.rest()
    assert list(acknowledged) == one["photos"]
    services = open_city(folder, today=DAY)
    with services.store.reading() as con:
        assert con.scalar(sa.text("SELECT count(*) FROM report")) == 1
        assert con.scalar(sa.text("SELECT count(*) FROM report_photo")) == 5
    assert services.files.problems() == []
    services.close()


def browser_like(address):
    """Headers of a phone that has asked for a fresh token."""
    import urllib.request

    with urllib.request.urlopen(f"{address}/report/ready", timeout=60) as answer:
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        return {"Cookie": cookie, "X-CSRF": json.load(answer)["csrf"], "Accept": "application/json"}


# --- following ---


def test_the_page_of_a_code_is_for_its_holder_only(visitor):
    code = sent(visitor)
    answer = visitor.get(f"/track/{code}")
    assert "noindex" in answer.headers["X-Robots-Tag"] and answer.headers["Cache-Control"] == "private, no-store"
    assert 'name="robots" content="noindex' in answer.text


def test_a_code_is_found_however_it_is_typed(visitor):
    code = sent(visitor)
    for typed in (code.lower(), code.replace("-", " "), code[2:], f" {code} "):
        answer = visitor.get("/track", query_string={"code": typed})
        assert answer.status_code == 303 and answer.location == f"/track/{code}"
    assert visitor.get(f"/track/{code.lower()}").status_code == 301


def test_a_wrong_code_is_helped_and_not_guessed(visitor, app):
    app.extensions["cangxanh-paces"] = view_paces(code=Pace(3, 600))
    code = sent(visitor)
    for wrong in ("P-0000-0000", "xyz", "P-1"):
        answer = visitor.get(f"/track/{wrong}?lang=en")
        assert answer.status_code == 404 and "We know no report with this code" in answer.text
    assert visitor.get("/track/P-0000-0001").status_code == 429
    assert visitor.get(f"/track/{code}").status_code == 429, (
        "a right code after many wrong ones tells a guesser nothing"
    )
    assert "<script>alert" not in visitor.get("/track/%3Cscript%3Ealert").text


def test_the_whole_way_of_a_report_is_told_in_plain_words(visitor, city, inspector):
    code = sent(visitor, files=[("a.jpg", shot())])
    city.reports.act(inspector, code, "ask", reply="Ở bờ nào của kênh?")
    page = visitor.get(f"/track/{code}?lang=en").text
    assert "We have a question" in page and "Ở bờ nào của kênh?" in page and "A question to you" in page
    assert (
        post(visitor, f"/track/{code}/message", what="reply", text="Bờ trái, gần cổng số 2", key="k").status_code == 303
    )
    assert (
        post(visitor, f"/track/{code}/message", what="reply", text="Bờ trái, gần cổng số 2", key="k").status_code == 303
    )
    assert len(city.reports.messages(code)) == 2 and city.reports.get(code)["state"] == "checking"
    photo = photos.keep(city.files, shot("white")).sha
    paper = city.files.put(b"%PDF-1.7 decision", ".pdf")
    city.reports.act(inspector, code, "answer", reply="Đã nạo vét xong ngày 25/11.", files=[
        photo, {"sha": paper, "name": "Quyết định 12.pdf", "media_type": "application/pdf"}])  # fmt: skip
    page = visitor.get(f"/track/{code}").text
    assert "Answered" in page and "Đã nạo vét xong" in page and "Bờ trái" in page and "It is not fixed" in page
    assert inspector.name not in page
    files = re.findall(rf'"(/track/{code}/file/\d+/\d+)"', page)
    assert visitor.get(files[0]).mimetype == "image/jpeg"
    document = visitor.get(files[-1])
    assert document.data == b"%PDF-1.7 decision" and document.mimetype == "application/octet-stream"
    assert document.headers["Content-Disposition"].startswith("attachment")
    assert visitor.get(f"/track/{code}/file/999999/0").status_code == 404
    answer = post(visitor, f"/track/{code}/message", what="not_fixed", text="vẫn hôi", key="n")
    assert "photos" in problems(answer)
    done = post(
        visitor, f"/track/{code}/message", files=[("b.jpg", shot("brown"))], what="not_fixed", text="vẫn hôi", key="n"
    )
    assert done.status_code == 303 and city.reports.get(code)["state"] == "received"
    assert (
        city.reports.get(code)["reopened"] == 1
        and "You said that it is not fixed" in visitor.get(f"/track/{code}").text
    )


def test_what_was_taken_back_is_not_read_any_more(visitor, city, inspector):
    code = sent(visitor)
    act = city.reports.act(inspector, code, "ask", reply="A name that was for somebody else")
    city.reports.undo(inspector, act, "wrong report")
    page = visitor.get(f"/track/{code}?lang=en").text
    assert "This was taken back." in page and "somebody else" not in page


def test_a_joined_report_shows_the_published_hotspot_and_no_other(visitor, city, inspector):
    code, other = sent(visitor), sent(visitor)
    city.reports.act(inspector, code, "merge", case="HS02", reply="Cảm ơn.")
    page = visitor.get(f"/track/{code}?lang=en").text
    assert 'href="/hotspots/HS02"' in page and 'aria-current="step"' in page
    facts = {"name_vi": "Cống xả kín", "name_en": "Hidden outlet", "media": "water", "source": "a report",
             "confidence": "low", "geometry_quality": "approximate"}  # fmt: skip
    case = city.book.open(inspector, facts, Point(float(LON), float(LAT)), note="internal").code
    city.reports.act(inspector, other, "new", case=case, reply="Cảm ơn.")
    page = visitor.get(f"/track/{other}?lang=en").text
    assert case not in page and "Hidden outlet" not in page and "once it is public" in page


def test_without_scripts_the_same_can_be_said_afterwards(visitor, city):
    where = {"lon": "106.80", "lat": "20.70"}
    first = sent(visitor, **where)
    second = sent(visitor, **where)
    page = visitor.get(f"/track/{second}?sent=form&lang=en").text
    ref = re.search(r'name="ref" value="(\w+)"', page)[1]
    assert post(visitor, f"/track/{second}/same", ref=ref).status_code == 303
    assert city.reports.get(second)["code"] == first and city.reports.get(first)["supporters"] == 1
    assert post(visitor, f"/track/{second}/same", ref=ref).status_code == 400


# --- photos ---


def test_photos_are_public_only_when_a_published_event_shows_them(visitor, app, city, inspector):
    code = sent(visitor, files=[("a.jpg", shot("orange", comment=SECRET, exif=gps()))])
    (name,) = city.reports.get(code)["photos"]
    assert visitor.get(f"/photos/{name}.jpg").status_code == 404
    held = visitor.get(f"/track/{code}/photo/1")
    assert held.status_code == 200 and SECRET not in held.data and b"Exif" not in held.data
    staff = people.signed_in(app, inspector)
    assert staff.get(f"/photos/{name}.jpg").data == held.data
    assert staff.get(f"/photos/{name}.jpg?small=1").status_code == 200
    publish(city, name)
    answer = visitor.get(f"/photos/{name}.jpg")
    assert answer.status_code == 200 and answer.data == held.data
    assert (answer.mimetype, answer.headers["X-Content-Type-Options"]) == ("image/jpeg", "nosniff")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    original = sha(shot("orange", comment=SECRET, exif=gps()))
    for wrong in (original, "0" * 64, "..%2f..%2faccounts", "x"):
        assert visitor.get(f"/photos/{wrong}.jpg").status_code == 404
        assert staff.get(f"/photos/{wrong}.jpg").status_code == 404


def gps():
    made = Image.Exif()
    made[0x010E] = SECRET.decode()
    made.get_ifd(0x8825).update({1: "N", 2: (20.0, 51.0, 12.5), 3: "E", 4: (106.0, 41.0, 3.25)})
    return made


def publish(city, name):
    """One published event that shows a photo, as the gate would write it."""
    table, frame = ALL["hotspot_events"], city.store.snapshot("hotspot_events")
    row = {f.name: None for f in table.fields} | {
        "hotspot": "HS02", "number": 900 + len(frame), "day": "2026-11-20", "action": "note", "stage": "received",
        "photos": f"{'1' * 64};{name}", "published_on": "2026-11-20", "source": "test", "confidence": "high",
    }  # fmt: skip
    made = frame.reindex([*frame.index, len(frame)])
    for column, value in row.items():
        made.loc[len(frame), column] = value
    city.store.write(check(table, made), source="test")


def test_a_document_is_never_shown_as_a_photo(app, city, inspector, visitor):
    paper = city.files.put(b"<script>alert(1)</script>", ".html")
    publish(city, paper)
    assert visitor.get(f"/photos/{paper}.jpg").status_code == 404
    assert people.signed_in(app, inspector).get(f"/photos/{paper}.jpg").status_code == 404


def test_somebody_elses_photo_is_not_reached_by_counting(visitor):
    code, other = sent(visitor, files=[("a.jpg", shot())]), sent(visitor)
    assert visitor.get(f"/track/{code}/photo/1").status_code == 200
    assert visitor.get(f"/track/{code}/photo/2").status_code == 404
    assert visitor.get(f"/track/{other}/photo/1").status_code == 404
    assert visitor.get("/track/P-0000-0000/photo/1").status_code == 404


def test_nothing_of_a_report_is_in_pages_and_downloads_for_everybody(visitor, city, inspector):
    secret = "zqxsecretwords"
    code = sent(visitor, words=secret, place=secret, phone="0999888777", consent="yes", files=[("a.jpg", shot("pink"))])
    city.reports.act(inspector, code, "ask", reply=secret)
    addresses = {"/", "/hotspots", "/hotspots.csv", "/hotspots.geojson", "/hotspots/HS02", "/report", "/track", "/data",
                 f"/search?q={code}", f"/api/suggest?q={code}"}  # fmt: skip
    addresses |= set(re.findall(r'href="(/[^"]+\.(?:csv|geojson|gpkg|json)[^"]*)"', visitor.get("/data").text))
    assert any(".gpkg" in a for a in addresses)
    (name,) = city.reports.get(code)["photos"]
    for address in addresses:
        with visitor.get(address.replace("&amp;", "&")) as answer:
            body = answer.data
        for word in (secret, "0999888777", name) + ((code,) if code not in address else ()):
            assert word.encode() not in body, (address, word)


# --- the worker ---


def test_the_worker_is_served_for_the_report_page_only(visitor):
    answer = visitor.get("/report/worker.js")
    assert answer.headers["Service-Worker-Allowed"] == "/report" and answer.mimetype == "text/javascript"
    assert answer.headers["Cache-Control"] == "no-cache"


# --- in a browser ---

READY = "() => document.querySelector('.folium-map').dataset.ready"


@pytest.fixture(scope="module")
def site(app):
    with browser.serving(app) as address:
        yield address


@pytest.fixture
def pictures(tmp_path):
    out = []
    for n, colour in enumerate(("teal", "brown")):
        path = tmp_path / f"IMG_{n}.jpg"
        taken = Image.Exif()
        taken.get_ifd(0x8769)[36867] = "2026:11:18 08:30:00"
        taken.get_ifd(0x8825).update({1: "N", 2: (20.0, 51.0, 12.5)})
        path.write_bytes(shot(colour, (2400, 1800), exif=taken))
        out.append(str(path))
    return out


def form_open(sheet, site, lang="vi", place=(106.62, 20.80)):
    sheet.context.grant_permissions(["geolocation"])
    sheet.context.set_geolocation({"longitude": place[0], "latitude": place[1], "accuracy": 20})
    sheet.goto(f"{site}/report?lang={lang}", wait_until="networkidle")
    sheet.wait_for_function(READY)


def fill_in(sheet, pictures, words="Nước đen, hôi từ tối qua"):
    sheet.set_input_files("#photos", pictures)
    sheet.locator("#photo-list li").nth(len(pictures) - 1).wait_for()
    sheet.locator("#here").click()
    sheet.wait_for_function("() => document.getElementById('lat').value")
    sheet.locator("label:has(#kind-water)").click()
    sheet.locator("label:has(#smell-4)").click()
    sheet.fill("#words", words)


@pytest.mark.parametrize(("width", "lang"), [(390, "vi"), (1366, "en")])
def test_a_citizen_reports_with_photo_and_pin_and_follows_the_code(site, city, inspector, pictures, width, lang):
    wrong = []
    with browser.page(width=width, height=844 if width < 500 else 768) as (sheet, seen):
        form_open(sheet, site, lang, (106.62, 20.80 + width / 1e5))
        wrong += browser.faults(sheet, "empty form")
        sheet.locator("#send").click()
        assert sheet.locator("#problems-live li").count() == 2 and sheet.locator("#kind-problem").is_visible()
        wrong += browser.faults(sheet, "form with problems")
        fill_in(sheet, pictures)
        sheet.locator("#photo-list button").first.click()
        before = sheet.evaluate("document.getElementById('blur-canvas').toDataURL()")
        box = sheet.locator("#blur-canvas").bounding_box()
        sheet.locator("#blur-canvas").focus()
        wrong += browser.faults(sheet, "blurring")
        sheet.mouse.move(box["x"] + 5, box["y"] + 5)
        sheet.mouse.down()
        sheet.mouse.move(box["x"] + box["width"] / 2, box["y"] + 9, steps=5)
        sheet.mouse.up()
        assert sheet.evaluate("document.getElementById('blur-canvas').toDataURL()") == before  # one colour stays it
        sheet.locator("#blur-done").click()
        pin = sheet.locator(".report-pin")
        was = sheet.evaluate("Number(document.getElementById('lat').value)")
        pin.focus()
        sheet.keyboard.press("Shift+ArrowUp")
        assert sheet.evaluate("Number(document.getElementById('lat').value)") - was == pytest.approx(
            100 / 110704, rel=0.02
        )
        assert "4" in sheet.locator("[data-preview=kind]").text_content()
        wrong += browser.faults(sheet, "filled form")
        sheet.locator("#send").click()
        sheet.wait_for_url("**/track/P-*")
        code = urlsplit(sheet.url).path.rpartition("/")[2]
        assert (
            sheet.locator(".ticket-code").text_content().strip() == code
            and sheet.locator(".ticket-qr svg").count() == 1
        )
        wrong += browser.faults(sheet, "arrived")
        row = city.reports.get(code)
        assert row["words"] == "Nước đen, hôi từ tối qua" and row["smell"] == 4 and len(row["photos"]) == 2
        with city.store.reading() as con:
            days = list(con.scalars(sa.text("SELECT taken_on FROM report_photo JOIN report ON report.id = report_photo.report "
                                            "WHERE code = :c"), {"c": code}))  # fmt: skip
        assert days == ["2026-11-18"] * 2, "the day is read on the phone before the photo is made smaller"
        city.reports.act(inspector, code, "ask", reply="Ở bờ nào?")
        sheet.goto(f"{site}/track/{code}")
        wrong += browser.faults(sheet, "question")
        sheet.fill("#text", "Bờ trái")
        sheet.locator(".message-form button").click()
        sheet.wait_for_url("**said=1")
        assert city.reports.messages(code)[-1]["text"] == "Bờ trái"
        city.reports.act(inspector, code, "merge", case="HS02", reply="Cảm ơn.")
        sheet.goto(f"{site}/track/{code}")
        wrong += browser.faults(sheet, "joined")
        for path in ("/track", "/report/mistake?about=/coverage"):
            sheet.goto(site + path)
            wrong += browser.faults(sheet, path)
        assert not seen.outside and not seen.errors and not seen.failed and not wrong, (seen, wrong)


def test_blurring_makes_squares_of_one_colour_for_good(site):
    with browser.page() as (sheet, _seen):
        form_open(sheet, site)
        out = sheet.evaluate("""() => {
          const canvas = document.createElement("canvas"); canvas.width = 360; canvas.height = 240;
          const paper = canvas.getContext("2d");
          for (let x = 0; x < 360; x += 1) { paper.fillStyle = x % 2 ? "#fff" : "#000"; paper.fillRect(x, 0, 1, 240); }
          cangxanh.blurAt(canvas, 100, 100, 40);
          const at = (x, y) => [...paper.getImageData(x, y, 1, 1).data.slice(0, 3)];
          return {inside: [at(100, 100), at(101, 100), at(75, 100), at(76, 101)], outside: [at(300, 200), at(301, 200)]};
        }""")
        assert all(all(abs(v - 127) <= 1 for v in pixel) for pixel in out["inside"])
        assert out["outside"] == [[0, 0, 0], [255, 255, 255]]


def test_checksums_and_days_are_computed_right_on_the_phone(site):
    """FIPS 180-4 examples; also where the browser's own SHA-256 is missing (pages without https)."""
    lengths = (0, 1, 55, 56, 63, 64, 65, 119, 120, 1000)
    with browser.page() as (sheet, _seen):
        form_open(sheet, site)
        assert sheet.evaluate("cangxanh.slowSha256(new TextEncoder().encode('abc'))") == sha(b"abc")
        for n in lengths:
            assert sheet.evaluate(f"cangxanh.slowSha256(new Uint8Array({n}).fill(97))") == sha(b"a" * n)
            assert sheet.evaluate(f"cangxanh.sha256(new Blob([new Uint8Array({n}).fill(97)]))") == sha(b"a" * n)
        taken = Image.Exif()
        taken.get_ifd(0x8769)[36867] = "2026:03:09 10:00:00"
        read = "(bytes) => cangxanh.exifDay(new Uint8Array(bytes).buffer)"
        assert sheet.evaluate(read, list(shot(exif=taken))) == "2026-03-09"
        assert sheet.evaluate(read, list(shot())) is None
        whole = shot(exif=taken)
        for cut in range(0, 200, 7):
            assert sheet.evaluate(read, list(whole[:cut])) in (None, "2026-03-09")


def test_without_signal_the_page_opens_keeps_the_report_and_sends_it_once(site, city, inspector, pictures):
    """Twice without a signal: while sending, and when the page is opened anew."""
    words = f"không có sóng {uuid.uuid4()}"
    with browser.page(width=390, height=844) as (sheet, seen):
        form_open(sheet, site, "en", (106.60, 20.72))
        sheet.wait_for_function("() => document.documentElement.dataset.offlineReady")
        sheet.context.set_offline(True)
        sheet.reload()
        sheet.wait_for_function(READY)
        assert sheet.locator("h1").text_content() == "Report pollution" and sheet.locator("#offline").is_visible()
        fill_in(sheet, pictures, words)
        sheet.locator("#send").click()
        waiting = sheet.locator("#outbox-list li")
        waiting.wait_for()
        sheet.wait_for_function(
            "() => document.querySelector('.outbox-state').textContent.includes('Waits for a signal')"
        )
        assert "0 of 2 photos are safe" in sheet.locator(".outbox-state").text_content()
        wrong = []
        wrong += browser.faults(sheet, "outbox")
        sheet.reload()
        waiting.wait_for()
        second = f"lần hai {uuid.uuid4()}"  # from the same kept page: a report of its own
        sheet.wait_for_function(READY)
        fill_in(sheet, pictures[:1], second)
        sheet.locator("#send").click()
        waiting.nth(1).wait_for()
        assert words not in [r["words"] for r in city.reports.inbox(inspector)]
        sheet.context.set_offline(False)
        sheet.locator("#sent-list li").nth(1).wait_for(timeout=30000)
        assert sheet.locator("#outbox").is_hidden()
        codes = sheet.locator("#sent-list a").all_text_contents()
        assert [r["words"] for r in city.reports.inbox(inspector)].count(second) == 1
        (row,) = [r for r in city.reports.inbox(inspector) if r["words"] == words]
        assert row["code"] in codes and len(row["photos"]) == 2 and row["waiting"] == 0
        sheet.reload(wait_until="networkidle")
        assert [r["words"] for r in city.reports.inbox(inspector)].count(words) == 1
        wrong += browser.faults(sheet, "sent list")
        assert not seen.outside and not wrong
        assert not [e for e in seen.errors if "Failed to load resource: net::" not in e], seen.errors


def test_a_report_broken_off_between_its_photos_goes_on_with_the_next_one(site, city, inspector, pictures):
    words = f"đứt giữa chừng {uuid.uuid4()}"
    with browser.page(width=390, height=844) as (sheet, _seen):
        form_open(sheet, site, "en", (106.58, 20.71))
        fill_in(sheet, pictures, words)
        puts = []

        def gate(route):
            if route.request.method != "PUT":
                return route.fallback()
            puts.append(route.request.url)
            return route.abort() if len(puts) in (2, 3) else route.continue_()

        sheet.context.route("**/photos/**", gate)
        sheet.locator("#send").click()
        sheet.wait_for_function("() => document.querySelector('.outbox-state')?.textContent.includes('1 of 2 photos')")
        (row,) = [r for r in city.reports.inbox(inspector) if r["words"] == words]
        assert len(row["photos"]) == 1 and row["waiting"] == 1
        while sheet.locator("#outbox-list li").count():
            sheet.get_by_role("button", name="Send now").click()
            sheet.wait_for_timeout(400)
            if "/track/" in sheet.url:
                break
        (row,) = [r for r in city.reports.inbox(inspector) if r["words"] == words]
        assert len(row["photos"]) == 2 and row["waiting"] == 0
        assert len(puts) == len(set(puts)) + 2, "only the photo that broke off is sent again"


def test_what_the_server_refuses_goes_back_into_the_form(site, city, pictures, monkeypatch):
    with browser.page(width=390, height=844) as (sheet, _seen):
        form_open(sheet, site, "en", (106.57, 20.70))
        fill_in(sheet, pictures[:1])
        sheet.locator("summary:has-text('Leave a phone number')").click()
        sheet.fill("#phone", "12")
        sheet.locator("#consent").check()
        sheet.locator("#send").click()
        back = sheet.get_by_role("button", name="Back into the form")
        back.wait_for()
        assert "8 to 15 digits" in sheet.locator(".outbox-state").text_content()
        back.click()
        sheet.locator("#phone-problem").wait_for()
        assert sheet.locator("#photo-list li").count() == 1 and sheet.input_value("#words")
        sheet.fill("#phone", "0912 345 678")
        sheet.locator("#send").click()
        sheet.wait_for_url("**/track/P-*")
        code = urlsplit(sheet.url).path.rpartition("/")[2]
        assert city.accounts.contact(code)["phone"] == "0912345678"
        assert (
            sheet.evaluate("""() => new Promise((good) => { const asked = indexedDB.open("cangxanh-report");
          asked.onsuccess = () => { const all = asked.result.transaction("sent").objectStore("sent").getAll();
          all.onsuccess = () => good(JSON.stringify(all.result)); }; })""").find("0912")
            == -1
        )


def test_me_too_is_offered_and_counted_under_the_first(site, city, pictures):
    with browser.page(width=390, height=844) as (sheet, _seen):
        for n in range(2):
            form_open(sheet, site, "en", (106.90, 20.74))
            fill_in(sheet, pictures[:1], f"me too {n}")
            if n:
                sheet.get_by_role("button", name="Yes, me too").click()
                assert sheet.get_by_role("button", name="✓ Me too").get_attribute("aria-pressed") == "true"
            sheet.locator("#send").click()
            sheet.wait_for_url("**/track/P-*")
        shown = city.reports.get(urlsplit(sheet.url).path.rpartition("/")[2])
        assert shown["words"] == "me too 0" and shown["supporters"] == 1 and len(shown["photos"]) == 2
        assert "Others reported the same before you" in sheet.text_content(".state-card")


def test_without_scripts_the_form_works_in_a_browser(site, city, pictures):
    with browser.page(width=390, height=844, scripts=False) as (sheet, seen):
        sheet.goto(f"{site}/report?lang=en")
        assert sheet.locator(".folium-map").is_hidden() and sheet.locator("noscript").count()
        sheet.set_input_files("#photos", pictures)
        sheet.select_option("#ward", index=5)
        sheet.locator("label:has(#kind-odour)").click()
        sheet.locator("#send").click()
        sheet.wait_for_url("**/track/P-*")
        row = city.reports.get(urlsplit(sheet.url).path.rpartition("/")[2])
        assert row["kind"] == "odour" and len(row["photos"]) == 2 and row["ward_basis"] == "chosen"
        assert not seen.outside


def test_hostile_words_of_citizens_and_officers_run_nothing(site, city, inspector, visitor):
    code = sent(visitor, words=HOSTILE, place=HOSTILE)
    city.reports.act(inspector, code, "ask", reply=HOSTILE)
    city.reports.citizen_reply(code, HOSTILE, key=str(uuid.uuid4()))
    photo = photos.keep(city.files, shot()).sha
    city.reports.act(
        inspector, code, "answer", reply=HOSTILE, files=[{"sha": photo, "name": HOSTILE, "media_type": "image/jpeg"}]
    )
    with browser.page() as (sheet, seen):
        sheet.add_init_script("window.__xss = 0")
        for path in (f"/track/{code}", f"/track/{code}?sent=form", "/track/%3Cimg%20src=x%20onerror=window.__xss=1%3E"):
            sheet.goto(site + path)
            sheet.wait_for_timeout(50)
            assert sheet.evaluate("window.__xss") == 0 and sheet.locator("img[src=x]").count() == 0
        assert not [e for e in seen.errors if "Content Security" in e]
