"""The frame round every page: headers, closed by default, compression, language, errors."""

import gzip
import json
import re
from pathlib import Path

import people
import pytest
from flask import Blueprint, abort, render_template_string

from server import security
from server.answers import data_response
from server.app import Assets, create_app
from server.security import public
from server.settings import Settings

PAGE = """{% extends "base.html" %}{% set title = "T" %}{% block content %}
<p>{{ 1234.5|number }} {{ none|number }}</p>
{{ "x" * 2000 }}<script nonce="{{ nonce }}">1</script>{% endblock %}"""


def make_app(tmp_path, **options):
    bp = Blueprint("sample", __name__)

    @bp.get("/page")
    @public
    def page():
        return render_template_string(PAGE)

    @bp.get("/hidden")
    def hidden():
        return "secret"

    @bp.get("/boom")
    @public
    def boom():
        raise RuntimeError("password=hunter2 in /srv/secret.py")

    @bp.get("/api/boom")
    @public
    def api_boom():
        raise RuntimeError("password=hunter2")

    @bp.route("/stop/<int:code>", methods=["GET", "POST"])
    @public
    def stop(code):
        abort(code)

    @bp.post("/read")
    @public
    def read():
        from flask import request

        return str(len(request.get_data()))

    @bp.get("/data.json")
    @public
    def data():
        return data_response(json.dumps(list(range(2000))), "application/json", version="v1")

    settings = Settings(data_dir=tmp_path, max_request_bytes=4096, **options)
    app = create_app(settings, views=())
    app.register_blueprint(bp)
    return app


@pytest.fixture
def app(tmp_path):
    return make_app(tmp_path)


@pytest.fixture
def client(app):
    return app.test_client()


def policy(response):
    return dict(
        [*part.strip().split(" ", 1), ""][:2] for part in response.headers["Content-Security-Policy"].split(";")
    )


def test_headers_on_pages_errors_and_files(client):
    for path in ("/page", "/nothing", "/hidden", "/boom", "/static/css/site.css"):
        response = client.get(path)
        rules = policy(response)
        assert rules["default-src"] == "'none'"
        assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert "http" not in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert "geolocation=(self)" in response.headers["Permissions-Policy"]
        assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "Server" not in response.headers


def test_nonce_is_new_each_time_and_is_that_of_the_policy(client):
    seen = set()
    for _ in range(3):
        response = client.get("/page")
        nonce = re.search(r'<script nonce="([^"]+)">', response.text).group(1)
        assert policy(response)["script-src"] == f"'self' 'nonce-{nonce}'"
        seen.add(nonce)
    assert len(seen) == 3


def test_every_inline_script_is_data_or_carries_the_nonce(client):
    for attributes in re.findall(r"<script([^>]*)>", client.get("/page").text):
        assert "src=" in attributes or "nonce=" in attributes or 'type="application/json"' in attributes


def test_tile_host_only_when_set(tmp_path, client):
    assert policy(client.get("/page"))["img-src"] == "'self' data:"
    other = make_app(tmp_path, internet_tiles="https://{s}.tiles.example/{z}/{x}/{y}.png").test_client()
    assert policy(other.get("/page"))["img-src"] == "'self' data: https://*.tiles.example"


@pytest.mark.parametrize("tiles", ["http://t/{z}/{x}/{y}", "https://t/", "https://t; script-src *//{z}{x}{y}"])
def test_bad_tile_address_is_refused(tmp_path, tiles):
    with pytest.raises(ValueError, match="internet_tiles"):
        Settings(data_dir=tmp_path, internet_tiles=tiles)


def test_closed_by_default(app, client):
    response = client.get("/hidden")
    assert response.status_code == 403
    assert "secret" not in response.text
    closed = [rule for rule, _methods, _endpoint, is_open in security.routes(app) if not is_open]
    assert closed == ["/hidden"]


def test_gzip_for_those_who_accept_it(client):
    plain = client.get("/page")
    assert "Content-Encoding" not in plain.headers
    small = client.get("/page", headers={"Accept-Encoding": "gzip"})
    assert small.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in small.headers["Vary"]
    text = gzip.decompress(small.data).decode()
    assert "1.234,5" in text
    assert len(small.data) < len(plain.data)
    refused = client.get("/page", headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers


def test_static_files_are_hashed_compressed_and_kept(app, client):
    address = app.extensions["cangxanh-assets"].url("css/site.css")
    assert "?v=" in address
    response = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert "immutable" in response.headers["Cache-Control"]
    again = client.get(address, headers={"Accept-Encoding": "gzip", "If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304
    assert "Content-Security-Policy" not in again.headers
    assert "no-cache" in client.get("/static/css/site.css?v=old").headers["Cache-Control"]


@pytest.mark.parametrize(
    "name", ["../app.py", "vendor/../app.py", "css/../../app.py", "%2e%2e/app.py", "js/nothing.js"]
)
def test_static_files_stay_in_their_folder(client, name):
    assert client.get(f"/static/{name}").status_code == 404
    assert Assets().path(name) is None


def test_data_has_an_etag(client):
    first = client.get("/data.json", headers={"Accept-Encoding": "gzip"})
    assert first.headers["Content-Encoding"] == "gzip"
    again = client.get("/data.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_language_vietnamese_first_then_asked_then_remembered(client):
    first = client.get("/page")
    assert '<html lang="vi">' in first.text and first.headers["Content-Language"] == "vi"
    assert "1.234,5" in first.text and "không có số liệu" in first.text
    asked = client.get("/page?lang=en")
    assert '<html lang="en">' in asked.text and "1,234.5" in asked.text and "no data" in asked.text
    cookie = asked.headers["Set-Cookie"]
    assert cookie.startswith("lang=en") and "SameSite=Lax" in cookie
    assert '<html lang="en">' in client.get("/page").text
    assert '<html lang="vi">' in client.get("/page?lang=vi").text
    assert '<html lang="vi">' in client.get("/page?lang=zz").text


def test_language_link_keeps_the_settings(client):
    html = client.get("/page?level=zone&q=a%26b&level=x&lang=vi").text
    assert 'href="?level=zone&amp;level=x&amp;q=a%26b&amp;lang=en"' in html
    hostile = client.get("/page?x=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script>alert" not in hostile


@pytest.mark.parametrize("code", [400, 403, 404, 405, 413, 429, 500, 418, 503])
def test_error_pages_in_both_languages(client, code):
    vietnamese, english = client.get(f"/stop/{code}"), client.get(f"/stop/{code}?lang=en")
    assert vietnamese.status_code == english.status_code == code
    assert vietnamese.text != english.text
    assert vietnamese.headers["Cache-Control"] == "no-store"
    as_json = client.get(f"/stop/{code}", headers={"Accept": "application/json"})
    assert set(as_json.json) == {"error", "message"}


def test_a_crash_tells_an_incident_and_nothing_else(client, caplog):
    response = client.get("/boom")
    assert response.status_code == 500
    for inside in ("hunter2", "secret.py", "Traceback", "RuntimeError", "sample"):
        assert inside not in response.text
    incident = re.search(r"<strong>([0-9A-F]{8})</strong>", response.text).group(1)
    assert incident in caplog.text and "hunter2" in caplog.text
    answer = client.get("/api/boom")
    assert answer.json["error"] == "internal" and "hunter2" not in answer.text and answer.json["incident"]


def test_wrong_method_and_too_large(client):
    wrong = client.delete("/stop/400")
    assert wrong.status_code == 405 and "GET" in wrong.headers["Allow"]
    sent = {"X-CSRF": people.token(client)}
    assert client.post("/read", data=b"x" * 100, headers=sent).text == "100"
    assert client.post("/read", data=b"x" * 5000, headers=sent).status_code == 413


def test_stylesheets_name_no_other_host():
    for file in (Path(__file__).parent.parent / "server" / "static").rglob("*.css"):
        assert not re.search(r"(https?:)?//[a-z0-9]", re.sub(r"/\*.*?\*/", "", file.read_text("utf8"), flags=re.S))
