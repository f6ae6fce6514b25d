"""Single sign-on against a small provider of our own, on this machine; its set-up also without the library."""

import base64
import hashlib
import secrets
import time
import types
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import browser
import people
import pytest
from flask import Flask, jsonify, redirect, request

from server import oidc, security
from server.accounts import Accounts
from server.app import create_app
from server.settings import Settings

needs_library = pytest.mark.skipif(oidc.missing_library() is not None, reason="authlib is not installed")
CLIENT, SECRET = "cang-xanh", "a secret of the client"
ROLES = (("inspectors", "inspector"), ("heads", "approver"))


@dataclass
class Desk:
    """The provider: who is signing in there, and how it misbehaves. `bad` changes the ID token's claims."""

    subject: str = "u-1"
    claims: dict = field(default_factory=lambda: {"preferred_username": "Officer", "name": "Kiểm tra viên"})
    groups: object = field(default_factory=lambda: ["inspectors"])
    bad: dict = field(default_factory=dict)
    signed_by: str = "own"  # own, other, none, secret
    error: str = ""
    public: bool = False
    codes: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    def make_keys(self):
        from joserfc import jwk

        self.own, self.other = (jwk.RSAKey.generate_key(2048, {"kid": k}) for k in ("1", "2"))
        self.shown = self.own

    def token(self, nonce):
        from joserfc import jwt
        from joserfc.jwk import OctKey

        now = int(time.time())
        claims = {"iss": self.issuer, "sub": self.subject, "aud": CLIENT, "exp": now + 300, "iat": now,
                  "nonce": nonce, "groups": self.groups, **self.claims, **self.bad}  # fmt: skip
        claims = {k: v for k, v in claims.items() if v is not None}
        if self.signed_by == "none":
            import json

            parts = ({"alg": "none"}, claims)
            return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."
        if self.signed_by == "secret":
            shared = OctKey.import_key(SECRET.ljust(64))
            return jwt.encode({"alg": "HS256", "kid": "1"}, claims, shared, algorithms=["HS256"])
        key = self.own if self.signed_by == "own" else self.other
        kid = "1" if self.signed_by == "other" else key.kid
        return jwt.encode({"alg": "RS256", "kid": kid}, claims, key)

    def app(self):
        app = Flask("provider")

        @app.get("/.well-known/openid-configuration")
        def about():
            return jsonify(
                issuer=self.issuer, authorization_endpoint=self.issuer + "/in", token_endpoint=self.issuer + "/token",
                jwks_uri=self.issuer + "/keys",
            )  # fmt: skip

        @app.get("/keys")
        def keys():
            return jsonify(keys=[self.shown.as_dict(private=False)])

        @app.get("/in")
        def sign_in():
            a = request.args
            self.asked.append(dict(a))
            if self.error:
                return redirect(f"{a['redirect_uri']}?error={self.error}&state={a['state']}")
            code = secrets.token_urlsafe(8)
            self.codes[code] = (a["code_challenge"], a["redirect_uri"], a["nonce"])
            return redirect(f"{a['redirect_uri']}?code={code}&state={a['state']}&iss={self.issuer}")

        @app.post("/token")
        def token():
            f, who = request.form, request.authorization
            known = (
                f.get("client_id") == CLIENT
                if self.public
                else who and (who.username, who.password) == (CLIENT, SECRET)
            )
            challenge, back, nonce = self.codes.pop(f["code"], (None, None, None))
            made = base64.urlsafe_b64encode(hashlib.sha256(f["code_verifier"].encode()).digest()).rstrip(b"=").decode()
            if not known or made != challenge or f["redirect_uri"] != back or f["grant_type"] != "authorization_code":
                return jsonify(error="invalid_grant"), 400
            return jsonify(access_token="x", token_type="Bearer", id_token=self.token(nonce))

        return app


@pytest.fixture
def desk():
    desk = Desk()
    desk.make_keys()
    with browser.serving(desk.app()) as desk.issuer:
        yield desk


def settings_of(desk, folder, **more):
    (folder / "secret.txt").write_text(SECRET + "\n", encoding="utf-8")
    lines = {"issuer": desk.issuer, "client_id": CLIENT, "secret_file": "secret.txt", "label": "Cơ quan"} | more
    text = "".join(f'{k} = "{v}"\n' for k, v in lines.items() if v is not None)
    text += "[roles]\n" + "".join(f'"{v}" = "{r}"\n' for v, r in ROLES)
    (folder / oidc.FILE_NAME).write_text(text, encoding="utf-8")


@contextmanager
def city(folder):
    services = types.SimpleNamespace(accounts=Accounts(folder))
    app = create_app(Settings(data_dir=folder), services, views=("account",))
    yield app, services.accounts
    services.accounts.close()


@pytest.fixture
def house(desk, tmp_path):
    settings_of(desk, tmp_path)
    with city(tmp_path) as (app, kept):
        yield types.SimpleNamespace(app=app, kept=kept, desk=desk)


def go(house, client=None, *, next_page="/account"):
    """Our page, the provider, back to us: the answer to the way back."""
    import requests

    client = client or house.app.test_client()
    away = client.get("/sign-in/outside", query_string={"next": next_page})
    assert away.status_code == 303 and away.location.startswith(house.desk.issuer + "/in?"), away.text
    come = requests.get(away.location, allow_redirects=False, timeout=10).headers["Location"]
    return client, client.get(urlsplit(come).path + "?" + urlsplit(come).query)


@needs_library
def test_somebody_known_there_comes_in(house):
    client, answer = go(house)
    assert (answer.status_code, answer.location) == (303, "/account")
    user = house.kept.session(client.get_cookie(security.SESSION_COOKIE).value).user
    assert (user.login, user.name, user.role, user.local) == ("officer", "Kiểm tra viên", "inspector", False)
    (asked,) = house.desk.asked
    assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
    assert "openid" in asked["scope"].split() and len(asked["state"]) > 20 and len(asked["nonce"]) > 20
    again, answer = go(house)
    assert house.kept.session(again.get_cookie(security.SESSION_COOKIE).value).user.id == user.id
    assert len({a["state"] for a in house.desk.asked} | {a["nonce"] for a in house.desk.asked}) == 4
    assert [r["who"] for r in house.kept.audit_rows(thing="user:officer")] == ["single sign-on"]


@needs_library
def test_a_client_without_a_secret_is_held_by_its_proof_key(desk, tmp_path):
    desk.public = True
    settings_of(desk, tmp_path, secret_file=None)
    with city(tmp_path) as (app, kept):
        _, answer = go(types.SimpleNamespace(app=app, kept=kept, desk=desk))
        assert answer.status_code == 303


@needs_library
def test_role_and_name_follow_the_provider_and_the_scope_stays(house):
    client, _ = go(house)
    user = house.kept.named("officer")
    house.kept.edit("test", user.id, name=user.name, role=user.role, wards=("11383",), media=())
    house.desk.groups, house.desk.claims = ["heads", "others"], {"preferred_username": "renamed", "name": "Lãnh đạo"}
    old = client.get_cookie(security.SESSION_COOKIE).value
    _, answer = go(house)
    now = house.kept.user(user.id)
    assert answer.status_code == 303 and (now.role, now.name, now.login) == ("approver", "Lãnh đạo", "officer")
    assert now.wards == ("11383",) and house.kept.session(old) is None


@needs_library
@pytest.mark.parametrize("groups", [[], ["others"], None, "inspector", {"inspectors": 1}, 7, ["Inspectors"]])
def test_who_has_no_role_there_gets_none_here(house, groups):
    house.desk.groups = groups
    client, answer = go(house)
    assert answer.status_code == 422 and "chưa có vai trò" in answer.text and house.kept.users() == []
    assert client.get_cookie(security.SESSION_COOKIE) is None


@needs_library
@pytest.mark.parametrize("claim, value", [("groups", "heads"), ("realm.roles", {"roles": ["heads"]})])
def test_the_claim_may_be_a_text_or_lie_deeper(desk, tmp_path, claim, value):
    settings_of(desk, tmp_path, claim=claim)
    desk.groups = None
    desk.claims = desk.claims | {claim.split(".")[0]: value}
    with city(tmp_path) as (app, kept):
        go(types.SimpleNamespace(app=app, kept=kept, desk=desk))
        assert kept.named("officer").role == "approver"


@needs_library
@pytest.mark.parametrize(
    "bad",
    [
        {"iss": "https://other.example"},
        {"aud": "another program"},
        {"aud": ["another program"]},
        {"exp": 1},
        {"exp": None},
        {"nonce": "an old one"},
        {"nonce": None},
        {"sub": None},
        {"azp": "another program", "aud": [CLIENT, "another program"]},
        {"iat": int(time.time()) + 3600},
    ],
)
def test_an_id_token_that_is_not_for_us_is_refused(house, bad):
    house.desk.bad = bad
    client, answer = go(house)
    assert answer.status_code == 422 and "không đáng tin" in answer.text
    assert house.kept.users() == [] and client.get_cookie(security.SESSION_COOKIE) is None


@needs_library
@pytest.mark.parametrize("signed_by", ["other", "none", "secret"])
def test_an_id_token_that_others_signed_is_refused(house, signed_by):
    house.desk.signed_by = signed_by
    _, answer = go(house)
    assert answer.status_code == 422 and house.kept.users() == []


@needs_library
def test_new_keys_of_the_provider_are_fetched(house):
    go(house)
    house.desk.own = house.desk.shown = house.desk.other
    _, answer = go(house)
    assert answer.status_code == 303


@needs_library
def test_an_answer_that_was_not_asked_for_is_refused(house):
    """A stranger's code, the code of another browser, the same answer twice, an answer with another state."""
    import requests

    def come(client):
        away = client.get("/sign-in/outside").location
        back = requests.get(away, allow_redirects=False, timeout=10).headers["Location"]
        return urlsplit(back).path + "?" + urlsplit(back).query

    attacker, victim = house.app.test_client(), house.app.test_client()
    planted = come(attacker)
    assert victim.get(planted).status_code == 422, "nothing was begun in this browser"
    come(victim)
    assert victim.get(planted).status_code == 422, "begun, but with another state"
    own = come(victim)
    state = parse_qs(urlsplit(own).query)["state"][0]
    for changed in (own.replace(state, state[:-1] + "!"), own.replace("code=", "code=x"), own.partition("&state")[0],
                    own.replace("iss=", "iss=https://other.example/")):  # fmt: skip
        assert victim.get(changed).status_code == 422
    assert house.kept.users() == []
    good = come(victim)
    assert victim.get(good).status_code == 303
    assert victim.get(good).status_code == 422, "an answer is good once"
    assert len(house.kept.users()) == 1


@needs_library
def test_a_refusal_of_the_provider_and_a_provider_that_is_away(house):
    house.desk.error = "access_denied"
    _, answer = go(house)
    assert answer.status_code == 422 and "Cơ quan" in answer.text
    house.app.extensions["cangxanh-oidc"]._known.clear()
    object.__setattr__(house.app.extensions["cangxanh-oidc"], "issuer", "http://127.0.0.1:9")
    away = house.app.test_client().get("/sign-in/outside")
    assert away.status_code == 422 and "Cơ quan" in away.text


@needs_library
def test_a_disabled_person_stays_out_and_a_login_is_not_taken_over(house):
    local = people.somebody(house.kept, "officer", "administrator")
    go(house)
    newcomer = house.kept.named("officer-2")
    assert newcomer.role == "inspector" and house.kept.user(local.id) == local
    house.kept.set_active("test", newcomer.id, False)
    client, answer = go(house)
    assert answer.status_code == 422 and client.get_cookie(security.SESSION_COOKIE) is None


@needs_library
def test_the_way_back_leads_nowhere_else(house):
    _, answer = go(house, next_page="//evil.example/")
    assert answer.location == "/account"


@needs_library
def test_the_button_is_there_and_the_held_cookie_is_short_and_closed(house):
    client = house.app.test_client()
    assert "Cơ quan" in client.get("/sign-in").text
    cookie = client.get("/sign-in/outside").headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Max-Age=600" in cookie
    assert "Path=/sign-in/outside" in cookie


# --- the set-up, without the library ---


GOOD = {"ISSUER": "https://login.example", "CLIENT_ID": "c", "ROLES": "a=inspector, b = approver"}


def env(**more):
    return {oidc.PREFIX + k: v for k, v in (GOOD | more).items() if v}


def test_nothing_is_set_up_by_default(tmp_path):
    assert oidc.provider_of(tmp_path, {}) is None
    with city(tmp_path) as (app, _):
        client = app.test_client()
        for path in ("/sign-in/outside", "/sign-in/outside/back"):
            assert client.get(path).status_code == 404
        assert "/sign-in/outside" not in client.get("/sign-in").text


def test_variables_come_before_the_file(tmp_path):
    (tmp_path / oidc.FILE_NAME).write_text(
        'issuer = "https://file.example"\nclient_id = "file"\nlabel = "L"\n[roles]\nx = "planner"\n', encoding="utf-8"
    )
    found = oidc.provider_of(tmp_path, {})
    assert (found.issuer, found.client_id, found.label) == ("https://file.example", "file", "L")
    assert found.roles == (("x", "planner"),)
    found = oidc.provider_of(tmp_path, env())
    assert (found.issuer, found.client_id, found.label) == ("https://login.example", "c", "L")
    assert found.roles == (("a", "inspector"), ("b", "approver"))
    (tmp_path / "s").write_text("hidden\n", encoding="utf-8")
    found = oidc.provider_of(tmp_path, env(SECRET_FILE="s"))
    assert found.secret == "hidden" and "hidden" not in repr(found)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"ISSUER": ""}, "issuer"),
        ({"ISSUER": "http://login.example"}, "https"),
        ({"ISSUER": "ftp://localhost"}, "https"),
        ({"ISSUER": "https:///x"}, "https"),
        ({"CLIENT_ID": ""}, "client_id"),
        ({"ROLES": ""}, "roles"),
        ({"ROLES": "a=king"}, "a = king"),
        ({"ROLES": "=planner"}, "planner"),
        ({"SECRET_FILE": "nowhere"}, "nowhere"),
        ({"SITE": "map.example"}, "site"),
    ],
)
def test_a_set_up_that_cannot_work_says_why_and_stops_nothing_else(tmp_path, monkeypatch, caplog, more, said):
    with pytest.raises(oidc.SetupError, match=said):
        oidc.provider_of(tmp_path, env(**more))
    for key, value in env(**more).items():
        monkeypatch.setenv(key, value)
    with city(tmp_path) as (app, kept):
        people.somebody(kept)
        assert app.test_client().get("/sign-in").status_code == 200
        assert app.test_client().get("/sign-in/outside").status_code == 404
        assert said in app.extensions["cangxanh-oidc-problem"] and said in caplog.text


@pytest.mark.parametrize("text", ["issuer = ", "\xff", 'surprise = "x"', "roles = 5"])
def test_a_file_that_cannot_be_read_says_why(tmp_path, text):
    (tmp_path / oidc.FILE_NAME).write_bytes(text.encode("latin1"))
    with pytest.raises(oidc.SetupError):
        oidc.provider_of(tmp_path, {})


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(oidc, "find_spec", lambda name: None)
    for key, value in env().items():
        monkeypatch.setenv(key, value)
    with city(tmp_path) as (app, _):
        assert "requirements-oidc.txt" in app.extensions["cangxanh-oidc-problem"]
        assert app.test_client().get("/sign-in/outside").status_code == 404
