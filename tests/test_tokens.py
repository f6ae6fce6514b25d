"""Tokens of programs: made once, opening what they name and nothing else, until a day or an end; nothing leaks without."""

import base64
import gzip
import json
import re
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from types import SimpleNamespace

import people
import pytest
import shapely
import staffroom

from layers.catalogue import ALL, Field, Layer
from layers.rows import frame_of
from server import tokens
from server.people import AccountError
from server.vault import FILE_NAME

SECRET = "zqx chỉ nội bộ"
KNOWN = ("cases", "samplings", "hotspots")
LAYER = Layer(
    "wells", "Giếng", "Wells", "Point",
    (Field("code", "text", "Mã", "Code"), Field("depth", "number", "Sâu", "Depth", "m"),
     Field("inspector_note", "text", "Ghi chú nội bộ", "Internal note", public=False)),
)  # fmt: skip
HIDDEN = Layer("secrets", "Nội bộ", "Internal", "Point", LAYER.fields, public=False)


@pytest.fixture
def kept(store):
    """Tokens in a folder of their own, at a time that stands still; with an administrator."""
    from server.accounts import Accounts

    clock = people.Clock()
    accounts = Accounts(store.data_dir)
    yield SimpleNamespace(
        tokens=tokens.Tokens(accounts.vault, now=clock), clock=clock, accounts=accounts,
        admin=people.person(SimpleNamespace(accounts=accounts), "administrator"),
        path=store.data_dir / FILE_NAME, today=clock().date(),
    )  # fmt: skip
    accounts.close()


def made(kept, layers=("cases",), days=30, purpose="QGIS của phòng"):
    return kept.tokens.make(kept.admin, purpose, layers, kept.today + timedelta(days=days), known=KNOWN)


# --- the book of tokens ---


def test_a_token_is_shown_once_and_only_its_hash_is_kept(kept):
    token, secret = made(kept)
    assert len(secret) > 40 and secret.startswith(token.start) and len(token.start) == 9
    kept.accounts.close()
    with closing(sqlite3.connect(kept.path)) as con:
        whole = "\n".join(con.iterdump())
    assert secret not in whole and secret[9:] not in whole and "QGIS của phòng" in whole
    assert made(kept)[1] != secret


def test_a_token_opens_what_it_names(kept):
    _token, secret = made(kept, ("cases", "hotspots"))
    assert tokens.scope_of(kept.tokens, f"Bearer {secret}") == {"cases", "hotspots"}
    assert tokens.scope_of(kept.tokens, f"bearer  {secret} ") == {"cases", "hotspots"}
    assert tokens.scope_of(kept.tokens, None) == tokens.scope_of(kept.tokens, "Basic abc") == frozenset()
    assert tokens.scope_of(None, "") == frozenset()


def test_programs_without_bearer_send_it_as_a_password(kept):
    _token, secret = made(kept)

    def basic(text):
        return "Basic " + base64.b64encode(text.encode()).decode()

    assert tokens.scope_of(kept.tokens, basic(f"anybody:{secret}")) == {"cases"}
    for other in ("user:password", "user:", ":", "cx_a"):
        assert tokens.scope_of(kept.tokens, basic(other)) == frozenset(), "meant for a proxy before us"
    assert tokens.scope_of(kept.tokens, "Basic ÿ") == tokens.scope_of(kept.tokens, "Basic !!") == frozenset()
    with pytest.raises(tokens.BadToken):
        tokens.scope_of(kept.tokens, basic("x:cx_nothing"))


@pytest.mark.parametrize("shown", ["", "x", "cx_", "cx_" + "a" * 43])
def test_a_wrong_token_is_never_taken_for_none(kept, shown):
    made(kept)
    for book in (kept.tokens, None):
        with pytest.raises(tokens.BadToken):
            tokens.scope_of(book, f"Bearer {shown}")


def test_a_token_is_good_through_its_last_day_and_no_longer(kept):
    token, secret = made(kept, days=2)
    kept.clock.on(days=2)
    assert kept.tokens.find(secret).id == token.id
    kept.clock.on(days=1)
    assert kept.tokens.find(secret) is None and kept.tokens.get(token.id).state(kept.clock().date()) == "expired"


def test_an_ended_token_is_dead_at_once_and_the_journal_knows(kept):
    token, secret = made(kept)
    assert kept.tokens.end(kept.admin, token.id) is True and kept.tokens.find(secret) is None
    assert kept.tokens.end(kept.admin, token.id) is False, "the first end stands"
    ended = kept.tokens.get(token.id)
    assert ended.state(kept.today) == "ended" and ended.ended_by == kept.admin.name
    rows = kept.accounts.audit_rows(thing=f"token:{token.id}")
    assert [r["action"] for r in rows] == ["token end", "token make"]
    assert rows[1]["new"] == {"purpose": "QGIS của phòng", "layers": ["cases"], "until": token.until.isoformat()}
    assert secret not in json.dumps(rows) and kept.accounts.verify_audit() == []
    with pytest.raises(KeyError):
        kept.tokens.end(kept.admin, 99)


def test_the_last_use_is_noted_but_not_with_every_request(kept):
    token, secret = made(kept)
    assert kept.tokens.get(token.id).used_at is None
    kept.tokens.find(secret)
    first = kept.tokens.get(token.id).used_at
    kept.clock.on(seconds=30)
    kept.tokens.find(secret)
    assert kept.tokens.get(token.id).used_at == first
    kept.clock.on(seconds=31)
    kept.tokens.find(secret)
    assert kept.tokens.get(token.id).used_at > first


@pytest.mark.parametrize(
    ("purpose", "layers", "days", "wrong"),
    [
        ("", ("cases",), 1, {"purpose"}), ("   ", ("cases",), 1, {"purpose"}), ("x" * 121, ("cases",), 1, {"purpose"}),
        ("x", (), 1, {"layers"}), ("x", ("users",), 1, {"layers"}), ("x", ("cases", "users"), 1, {"layers"}),
        ("x", ("cases",), -1, {"until"}), ("x", ("cases",), 367, {"until"}), ("x", ("cases",), None, {"until"}),
        ("", (), None, {"purpose", "layers", "until"}),
    ],
)  # fmt: skip
def test_what_cannot_be_a_token_is_refused_field_by_field(kept, purpose, layers, days, wrong):
    until = None if days is None else kept.today + timedelta(days=days)
    with pytest.raises(AccountError) as refused:
        kept.tokens.make(kept.admin, purpose, layers, until, known=KNOWN)
    assert {p.field for p in refused.value.problems} == wrong
    assert kept.tokens.all() == []


# --- what they open under /ogc and /data ---


@pytest.fixture(scope="module")
def office(starter_store, tmp_path_factory):
    with staffroom.office(starter_store, tmp_path_factory.mktemp("tokens") / "data") as office:
        code = office.verifying()
        office.sample(code, [{"parameter": "NH4_N", "value": 0.1, "unit": "mg/L"}])
        office.book.edit(
            office.users["inspector"], code, office.book.get(code).revision, {"cause_vi": SECRET}, reason="x"
        )
        office.code = code
        ALL["wells"], ALL["secrets"] = LAYER, HIDDEN
        blob = office.services.store  # the two layers exist only here: their rows come from this test
        frame = _wells()
        snapshot = blob.snapshot
        blob.snapshot = lambda name: frame if name in ("wells", "secrets") else snapshot(name)
        yield office
        del ALL["wells"], ALL["secrets"]
        del blob.snapshot


def _wells():
    from layers import geopackage

    places = geopackage.encode([shapely.Point(106.6 + i / 100, 20.8) for i in range(3)])
    return frame_of(LAYER, [[f"W{i}", 5.0 + i, SECRET, places[i]] for i in range(3)])


@pytest.fixture(scope="module")
def secret(office):
    names = ["cases", "samplings", "wells", "secrets"]
    services = office.services
    return services.tokens.make(office.users["administrator"], "thử", names, date(2027, 1, 1), known=names)[1]


@pytest.fixture
def nobody(office):
    return people.visitor(office.app)


def shown(answer):
    body = answer.get_data()
    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


PATHS = [
    f"/ogc{p}"
    for p in (
        "/", "/api", "/conformance", "/collections", "/collections/wells", "/collections/wells/queryables",
        "/collections/wells/schema", "/collections/wells/items", "/collections/wells/items/W1",
        "/collections/wells/items?sortby=-depth&limit=2", "/collections/wells/tiles", "/collections/wells/tiles/WebMercatorQuad",
        "/collections/wells/tiles/WebMercatorQuad?f=tilejson", "/collections/wells/tiles/WebMercatorQuad/6/28/50",
    )
] + [f"/data/wells.{k}" for k in ("csv", "xlsx", "geojson", "gpkg", "zip", "kml", "fgb")] + [
    "/data/catalog.jsonld", "/data", "/data/wells.csv?columns=code,depth", "/data/wells.csv?filter=depth%20%3E%205",
]  # fmt: skip
INSIDE = ["/ogc/collections/cases", "/ogc/collections/cases/items", "/ogc/collections/secrets/items", "/data/cases.csv",
          "/ogc/collections/samplings/items", "/data/secrets.gpkg", "/ogc/collections/cases/tiles/WebMercatorQuad/6/28/50",
          "/ogc/collections/cases/queryables"]  # fmt: skip


@pytest.mark.parametrize("gzipped", [False, True])
def test_nothing_internal_is_seen_without_a_token_whoever_asked_before(office, nobody, secret, gzipped):
    """Every door, once with a token and then without: what the first got is not kept for the second."""
    squeeze = {"Accept-Encoding": "gzip"} if gzipped else {}
    for path in [*PATHS, *INSIDE]:
        for form in (
            ("", "&f=html" if "?" in path else "?f=html") if path.startswith("/ogc") and "tiles" not in path else ("",)
        ):
            address = path + form
            with_token = nobody.get(address, headers={"Authorization": f"Bearer {secret}"} | squeeze)
            without = nobody.get(address, headers=squeeze)
            assert with_token.status_code in (200, 400), (address, with_token.status_code)
            assert without.status_code == (404 if path in INSIDE else with_token.status_code), address
            text = shown(without)
            assert SECRET.encode() not in text and b"inspector_note" not in text, address
            assert "Ghi chú nội bộ".encode() not in text and b"Internal note" not in text, address
            if path not in INSIDE and without.status_code == 200:
                tag = without.headers.get("ETag")
                assert (
                    tag is None or path in ("/data", "/data/catalog.jsonld") or tag != with_token.headers.get("ETag")
                ), address


def test_with_a_token_the_internal_fields_and_lists_are_there(office, nobody, secret):
    pass_ = {"Authorization": f"Bearer {secret}"}
    names = [c["id"] for c in nobody.get("/ogc/collections", headers=pass_).json["collections"]]
    assert names[-2:] == ["cases", "samplings"] and "secrets" in names and "wells" in names
    assert SECRET in nobody.get("/ogc/collections/wells/items/W1", headers=pass_).json["properties"].values()
    assert "inspector_note" in nobody.get("/ogc/collections/wells/queryables", headers=pass_).json["properties"]
    one = nobody.get(f"/ogc/collections/cases/items/{office.code}", headers=pass_).json
    assert one["properties"]["cause_vi"] == SECRET and one["geometry"]["coordinates"] == [106.68, 20.85]
    query = {"filter": f"inspector_note = '{SECRET}' AND depth > 5.5"}
    found = nobody.get("/ogc/collections/wells/items", query_string=query, headers=pass_).json
    assert [f["id"] for f in found["features"]] == ["W1", "W2"]
    results = nobody.get("/ogc/collections/samplings/items?limit=10", headers=pass_).json["features"]
    assert [r["properties"]["parameter"] for r in results] == ["NH4_N"] and results[0]["properties"]["value"] == 0.1
    sheet = nobody.get("/data/wells.csv?columns=code,inspector_note", headers=pass_).data.decode("utf-8-sig")
    assert sheet.splitlines()[:2] == ["code,inspector_note,longitude,latitude", f"W0,{SECRET},106.6,20.8"]
    paths = nobody.get("/ogc/api", headers=pass_).json["paths"]
    assert "/collections/cases/items" in paths
    assert "/collections/cases/items" not in nobody.get("/ogc/api").json["paths"]


def test_answers_by_token_are_for_their_reader_alone(nobody, secret):
    for path in ("/ogc/collections/wells/items", "/ogc/collections", "/data/wells.csv",
                 "/ogc/collections/wells/tiles/WebMercatorQuad/6/28/50", "/ogc/collections/wells?f=html"):  # fmt: skip
        closed = nobody.get(path, headers={"Authorization": f"Bearer {secret}"})
        opened = nobody.get(path)
        assert closed.headers["Cache-Control"].startswith("private"), path
        assert "Access-Control-Allow-Origin" not in closed.headers, path
        for answer in (closed, opened):
            assert "Authorization" in answer.headers["Vary"], path
        tag = closed.headers.get("ETag")
        if tag:  # somebody who once had a token does not get a 304 for what is public, nor the other way round
            assert nobody.get(path, headers={"If-None-Match": tag}).status_code == 200, path
    kept = [p for p in nobody.application.extensions["cangxanh"].store.data_dir.rglob("*") if p.is_file()
            and "cache" in p.parts and SECRET.encode() in p.read_bytes()]  # fmt: skip
    assert kept == []


def test_a_token_of_one_list_opens_no_other(office, nobody):
    admin = office.users["administrator"]
    _token, narrow = office.services.tokens.make(admin, "hẹp", ["samplings"], date(2027, 1, 1), known=["samplings"])
    pass_ = {"Authorization": f"Bearer {narrow}"}
    assert nobody.get("/ogc/collections/samplings/items", headers=pass_).status_code == 200
    assert nobody.get("/ogc/collections/cases/items", headers=pass_).status_code == 404
    assert SECRET not in nobody.get("/ogc/collections/wells/items", headers=pass_).text


def test_a_bad_token_is_refused_at_every_door_in_words(nobody):
    for path in ("/ogc/", "/ogc/conformance", "/ogc/collections/hotspots/items", "/data/hotspots.csv"):
        answer = nobody.get(f"{path}?lang=en", headers={"Authorization": "Bearer cx_nothing"})
        assert answer.status_code == 401, path
        if path.startswith("/ogc"):
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert answer.json["status"] == 401 and "expired" in answer.json["detail"]


def test_a_step_in_the_register_is_seen_at_once(office, nobody, secret):
    pass_ = {"Authorization": f"Bearer {secret}"}
    before = nobody.get("/ogc/collections/cases/items?limit=1", headers=pass_).json["numberMatched"]
    office.case()
    assert nobody.get("/ogc/collections/cases/items?limit=1", headers=pass_).json["numberMatched"] == before + 1


# --- the page ---


def test_an_administrator_makes_and_ends_a_token_on_the_page(office, nobody):
    page = office.page("administrator", "/admin/tokens")
    assert "Tokens for programs" in page and 'value="cases"' in page
    refused = office.send("administrator", "/admin/tokens?lang=en", {"purpose": "", "until": "nie"})
    assert refused.status_code == 422 and "Say what the token is for." in refused.text
    sent = {"purpose": "QGIS <b>", "layers": "cases", "until": "2026-12-31"}
    shown = office.send("administrator", "/admin/tokens?lang=en", sent)
    secret = re.search(r"token-secret\">(cx_[\w-]+)<", shown.text).group(1)
    assert shown.headers["Cache-Control"] == "no-store" and "QGIS &lt;b&gt;" in shown.text
    pass_ = {"Authorization": f"Bearer {secret}"}
    assert nobody.get("/ogc/collections/cases", headers=pass_).status_code == 200
    page = office.page("administrator", "/admin/tokens")
    assert secret not in page and secret[:9] in page
    number = max(t.id for t in office.services.tokens.all())
    assert office.send("administrator", f"/admin/tokens/{number}/end").status_code == 303
    assert nobody.get("/ogc/collections/cases", headers=pass_).status_code == 401
    assert office.send("administrator", "/admin/tokens/9999/end").status_code == 404
