"""The pages of accounts, without and with a browser, and their commands."""

import re
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import browser
import people
import pyotp
import pytest
from people import FIRST, SECOND, somebody

from server import cli, security
from server.accounts import Accounts
from server.app import create_app
from server.services import open_city
from server.settings import Settings

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    people.cheap_hashes(monkeypatch)


# --- pages ---


@pytest.fixture(scope="module")
def city(starter_store, tmp_path_factory):
    folder = shutil.copytree(starter_store, tmp_path_factory.mktemp("accounts") / "data")
    services = open_city(folder, today=date(2026, 11, 22))
    yield services
    services.close()


@pytest.fixture(scope="module")
def app(city):
    return create_app(Settings(data_dir=city.store.data_dir), city)


@pytest.fixture
def chief(app, city):
    return people.signed_in(app, people.person(city, "administrator"))


def token_in(page):
    return re.search(r'name="csrf" value="([^"]+)"', page.text).group(1)


def sign_in(client, login, password, **more):
    held = token_in(client.get("/sign-in", **more))
    return client.post("/sign-in", data={"login": login, "password": password, "csrf": held}, **more)


@pytest.fixture
def member(city):
    """A person with a password, new for each test."""
    return somebody(city.accounts, f"member-{time.monotonic_ns()}", "planner")


def test_signing_in_on_the_page(app, member):
    client = app.test_client()
    wrong = sign_in(client, member.login, "wrong <b>password</b>")
    assert wrong.status_code == 422 and "không đúng" in wrong.text
    assert f'value="{member.login}"' in wrong.text and "wrong &lt;b&gt;" not in wrong.text
    held = token_in(client.get("/sign-in?next=/cases?q=a"))
    good = client.post("/sign-in", data={"login": member.login, "password": FIRST, "csrf": held, "next": "/cases?q=a"})
    assert (good.status_code, good.location) == (303, "/cases?q=a")
    cookie = next(c for c in good.headers.getlist("Set-Cookie") if c.startswith(security.SESSION_COOKIE))
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Secure" not in cookie and "Path=/" in cookie
    home = client.get("/account")
    assert home.status_code == 200 and home.headers["Cache-Control"] == "no-store" and member.name in home.text
    assert client.get("/").headers["Cache-Control"] == "no-store", "a page with a name on it is not kept"
    assert client.get("/sign-in").status_code == 303
    out = client.post("/sign-out", data={"csrf": token_in(home)})
    assert (out.status_code, out.location) == (303, "/")
    assert client.get("/account").status_code == 303


def test_cookies_are_for_https_only_where_the_page_came_by_it(app, member):
    client = app.test_client()
    good = sign_in(client, member.login, FIRST, base_url="https://localhost")
    cookies = good.headers.getlist("Set-Cookie") + client.get("/account", base_url="https://localhost").headers.getlist(
        "Set-Cookie"
    )
    assert {c.partition("=")[0] for c in cookies} == {security.SESSION_COOKIE, security.FORM_COOKIE}
    for cookie in cookies:
        assert "Secure" in cookie and "HttpOnly" in cookie and "SameSite=Lax" in cookie


def test_who_only_looks_gets_no_cookie(app):
    for path in ("/", "/hotspots", "/about", "/coverage", "/data"):
        answer = app.test_client().get(path)
        assert not answer.headers.getlist("Set-Cookie"), path
        assert 'name="csrf"' not in answer.text


def test_the_old_session_ends_when_somebody_signs_in_again(app, city, member):
    client = app.test_client()
    sign_in(client, member.login, FIRST)
    old = client.get_cookie(security.SESSION_COOKIE).value
    client.delete_cookie(security.SESSION_COOKIE)
    held = token_in(client.get("/sign-in"))
    client.set_cookie(security.SESSION_COOKIE, old + "x")
    assert city.accounts.session(old)
    client.set_cookie(security.SESSION_COOKIE, old)
    city.accounts.set_active("test", member.id, False)
    city.accounts.set_active("test", member.id, True)
    client.post("/sign-in", data={"login": member.login, "password": FIRST, "csrf": held})
    new = client.get_cookie(security.SESSION_COOKIE).value
    assert new != old and city.accounts.session(new) and not city.accounts.session(old)


def test_too_many_tries_on_the_page(app, member):
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = "198.51.100.9"
    for _ in range(5):
        assert sign_in(client, member.login, "wrong password").status_code == 422
    waits = sign_in(client, member.login, FIRST)
    assert waits.status_code == 429 and waits.headers["Retry-After"] == "5" and "5 giây" in waits.text


def test_codes_on_the_pages_from_setting_up_to_signing_in(app, city, member):
    client = people.signed_in(app, member)
    csrf = {"csrf": client.csrf}
    assert client.post("/account/codes/start", data={"old": "wrong", **csrf}).status_code == 422
    assert client.post("/account/codes/start", data={"old": FIRST, **csrf}).location == "/account/codes"
    page = client.get("/account/codes").text
    secret = re.sub(r"\s", "", re.search(r'class="secret"><code>([^<]+)<', page).group(1))
    assert "data:image/svg+xml" in page
    assert client.post("/account/codes/confirm", data={"code": "000000", **csrf}).status_code == 422
    shown = client.post("/account/codes/confirm", data={"code": pyotp.TOTP(secret).now(), **csrf})
    codes = re.findall(r"<code>([a-z0-9-]{19})</code>", shown.text)
    assert len(codes) == 10 and shown.headers["Cache-Control"] == "no-store"
    assert codes[0] not in client.get("/account/codes").text

    fresh = app.test_client()
    asked = sign_in(fresh, member.login, FIRST)
    assert asked.location == "/sign-in/code?next=/desk" and fresh.get("/account").status_code == 303
    form = fresh.get(asked.location)
    assert fresh.post("/sign-in/code", data={"code": "000000", "csrf": token_in(form)}).status_code == 422
    done = fresh.post("/sign-in/code", data={"recovery": codes[0], "csrf": token_in(form), "next": "/account"})
    assert done.location == "/account" and "9 mã khôi phục" in fresh.get("/account").text
    assert app.test_client().get("/sign-in/code").location.startswith("/sign-in")
    assert (
        fresh.post("/account/codes/off", data={"old": FIRST, "csrf": token_in(fresh.get("/account"))}).location
        == "/account"
    )
    assert not city.accounts.user(member.id).totp


def test_changing_the_password_on_the_page(app, city, member):
    client = people.signed_in(app, member)
    form = {"csrf": client.csrf, "old": FIRST, "new": SECOND, "again": SECOND + "x"}
    assert "không giống nhau" in client.post("/account/password", data=form).text
    assert client.post("/account/password", data=form | {"again": SECOND}).location == "/account"
    assert "Đã đổi mật khẩu" in client.get("/account").text
    assert city.accounts.sign_in(member.login, SECOND)


def test_the_way_of_a_new_person(app, city, chief):
    """Added on the page, the password shown once, signs in, has to choose a password, works."""
    login = f"new-{time.monotonic_ns()}"
    form = {"csrf": chief.csrf, "login": login, "name": "<i>Kiểm tra viên</i>", "role": "inspector", "where": "wards",
            "wards": ["11383", "10507"], "media": ["odour", "water"]}  # fmt: skip
    shown = chief.post("/admin/users/new", data=form)
    password = re.search(r"<code>([a-z0-9]{4}(?:-[a-z0-9]{4}){3})</code>", shown.text).group(1)
    assert "&lt;i&gt;Kiểm" in shown.text and "<i>Kiểm" not in shown.text
    assert shown.headers["Cache-Control"] == "no-store"
    user = city.accounts.named(login)
    assert (user.role, user.wards, user.media) == ("inspector", ("10507", "11383"), ("water", "odour"))
    assert password not in chief.get(f"/admin/users/{user.id}").text
    client = app.test_client()
    assert sign_in(client, login, password).location == "/desk"
    asked = client.get("/account?lang=vi")
    assert asked.location == security.OWN_PASSWORD + "?next=/account%3Flang%3Dvi"
    page = client.get(asked.location)
    assert 'name="old"' not in page.text
    onward = re.search(r'name="next" value="([^"]+)"', page.text).group(1)
    form = {"csrf": token_in(page), "new": SECOND, "again": SECOND, "next": onward}
    done = client.post(security.OWN_PASSWORD, data=form)
    assert done.location == "/account?lang=vi" and client.get("/account").status_code == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"login": "ông"}, "Tên đăng nhập gồm"),
        ({"name": ""}, "Hãy ghi tên"),
        ({"role": "king"}, "Hãy chọn vai trò"),
        ({"where": "wards", "wards": []}, "ít nhất một phường"),
        ({"where": "wards", "wards": ["99999"]}, "99999"),
        ({"media": ["gold"]}, "gold"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(chief, city, change, said):
    before = city.accounts.users()
    form = {"csrf": chief.csrf, "login": "abc", "name": "Tên", "role": "planner", "where": "wards", "wards": ["11383"],
            "media": ["water"]} | change  # fmt: skip
    page = chief.post("/admin/users/new", data=form)
    assert page.status_code == 422 and page.text.count(said) >= 2 and city.accounts.users() == before
    if "wards" not in change:
        assert re.search(r'value="11383" checked', page.text)
    if "name" not in change:
        assert 'value="Tên"' in page.text


def test_everything_that_is_wrong_is_told_together(chief, city):
    form = {"csrf": chief.csrf, "login": "ông", "name": "", "role": "", "where": "wards"}
    page = chief.post("/admin/users/new?lang=en", data=form).text
    for said in ("a–z", "Write a name", "Choose a role", "at least one ward"):
        assert page.count(said) == 2, said
    taken = form | {"login": city.accounts.users()[0].login, "name": "N", "role": "planner", "where": "city"}
    assert "already" in chief.post("/admin/users/new?lang=en", data=taken).text


def test_administering_a_person(app, chief, city, member):
    client, address = people.signed_in(app, member), f"/admin/users/{member.id}"
    form = {"csrf": chief.csrf, "name": "Người khác", "role": "planner", "where": "city", "wards": ["11383"]}
    assert chief.post(address, data=form).location == "/admin/users"
    assert city.accounts.user(member.id).wards == () and "Người khác" in chief.get("/admin/users").text
    assert client.get("/account").status_code == 200, "the same role: still signed in"
    assert chief.post(address + "/disable", data={"csrf": chief.csrf}).status_code == 303
    assert client.get("/account").status_code == 303
    assert sign_in(app.test_client(), member.login, FIRST).status_code == 422
    assert chief.post(address + "/enable", data={"csrf": chief.csrf}).status_code == 303
    assert sign_in(app.test_client(), member.login, FIRST).status_code == 303
    page = chief.get(address + "?lang=en").text
    for said in ("Account added", "Account disabled", "Account enabled", "Account changed"):
        assert said in page
    for gone in ("", "/reset", "/disable", "/enable"):
        assert chief.post("/admin/users/999999" + gone, data={"csrf": chief.csrf}).status_code == 404
    assert chief.get("/admin/users/999999").status_code == 404


def test_the_last_administrator_is_told_so(app, tmp_path):
    from types import SimpleNamespace

    class Shelf:  # the pages of this test need no layers beyond the wards
        pass

    kept = Accounts(tmp_path)
    services = SimpleNamespace(accounts=kept, store=Shelf())
    services.store.snapshot = app.extensions["cangxanh"].store.snapshot
    small = create_app(Settings(data_dir=tmp_path), services, views=("account", "admin"))
    only = people.person(services, "administrator")
    client = people.signed_in(small, only)
    answer = client.post(f"/admin/users/{only.id}/disable", data={"csrf": client.csrf})
    assert answer.status_code == 422 and "quản trị viên cuối cùng" in answer.text
    assert client.get("/account").status_code == 200
    kept.close()


def test_single_sessions_are_ended_on_the_page(app, city, member):
    client = people.signed_in(app, member)
    other = city.accounts.open_session(member.id, browser="Mozilla/5.0 (Windows NT 10.0) Firefox/140.0")
    number = city.accounts.session(other.token).id
    assert "Firefox, Windows" in client.get("/account").text
    assert client.post(f"/account/sessions/{number}/end", data={"csrf": client.csrf}).status_code == 303
    assert city.accounts.session(other.token) is None
    assert client.post(f"/account/sessions/{number}/end", data={"csrf": client.csrf}).status_code == 404
    last = city.accounts.open_session(member.id)
    assert client.post("/account/sessions/end", data={"csrf": client.csrf}).status_code == 303
    assert city.accounts.session(last.token) is None and client.get("/account").status_code == 200


# --- pages in a browser ---

RULES = (*browser.WCAG, "best-practice")


@pytest.fixture(scope="module")
def site(app):
    with browser.serving(app) as address:
        yield address


def enter(sheet, site, login, password):
    sheet.goto(site + "/sign-in?next=/account")
    sheet.locator("#login").fill(login)
    sheet.locator("#password").fill(password)
    sheet.locator("main button").click()


@pytest.mark.parametrize("width", [1366, 390])
def test_pages_are_accessible_and_fit(site, city, width):
    boss = somebody(city.accounts, f"boss-{width}", "administrator")
    city.accounts.edit("test", boss.id, name="B" * 100, role="administrator", wards=(), media=())
    wrong = []
    with browser.page(width=width) as (sheet, seen):
        enter(sheet, site, boss.login, "wrong password")
        sheet.locator("[role=alert]").wait_for()
        wrong += browser.faults(sheet, "sign-in with an error", RULES)
        enter(sheet, site, boss.login, FIRST)
        sheet.wait_for_url("**/account")
        one = city.accounts.named(boss.login)
        for path in ("/account", "/account/password", "/account/codes", "/admin", "/admin/users", "/admin/users/new",
                     f"/admin/users/{one.id}"):  # fmt: skip
            for lang in ("vi", "en"):
                sheet.goto(f"{site}{path}?lang={lang}", wait_until="networkidle")
                wrong += browser.faults(sheet, f"{path} {lang}", RULES)
        city.accounts.start_codes(one, FIRST)
        sheet.goto(site + "/account/codes")
        assert sheet.locator("img.qr").evaluate("i => i.complete && i.naturalWidth > 0")
        wrong += browser.faults(sheet, "codes", RULES)
        errors = [e for e in seen.errors if "422" not in e]
        assert not wrong and not errors and not seen.outside, (wrong, errors, seen.outside)


def test_everything_works_without_scripts(site, city):
    boss = somebody(city.accounts, "boss-plain", "administrator")
    with browser.page(scripts=False) as (sheet, seen):
        enter(sheet, site, boss.login, FIRST)
        sheet.wait_for_url("**/account")
        sheet.goto(site + "/admin/users/new?lang=en")
        sheet.get_by_label("Name to sign in with").fill("plain-officer")
        sheet.get_by_label("Name as others see it").fill("Officer")
        sheet.get_by_label(re.compile("Commune officer")).check()
        sheet.get_by_label("Only the wards ticked here").check()
        sheet.get_by_label("Le Chan Ward", exact=True).check()
        sheet.get_by_role("button", name="Add and make a one-time password").click()
        password = sheet.locator(".one-time code").last.text_content()
        sheet.get_by_role("button", name="Sign out").click()
        sheet.wait_for_url(site + "/")
        enter(sheet, site, "plain-officer", password)
        sheet.wait_for_url("**/account/password?next=/account")
        sheet.locator("#new").fill(SECOND)
        sheet.locator("#again").fill(SECOND)
        sheet.locator("main button").click()
        sheet.wait_for_url("**/account")
        assert not seen.errors and not seen.outside
    assert city.accounts.named("plain-officer").wards == ("11383",)


def test_wards_are_found_and_ticked_by_keyboard(site, city):
    boss = somebody(city.accounts, "boss-keys", "administrator")
    with browser.page() as (sheet, _seen):
        enter(sheet, site, boss.login, FIRST)
        sheet.wait_for_url("**/account")
        sheet.goto(site + "/admin/users/new?lang=vi")
        find = sheet.get_by_label("Tìm phường, xã", exact=True)
        find.fill("le chan")
        assert sheet.locator(".ward-list label:visible").count() == 1
        find.press("Enter")
        assert sheet.locator("[name=wards]:checked").get_attribute("value") == "11383"
        assert sheet.locator("[name=where]:checked").get_attribute("value") == "wards", "ticking means: only these"
        assert "đã chọn 1 trong 114" in sheet.locator("[data-count]").text_content()
        assert sheet.url.endswith("/admin/users/new?lang=vi"), "Enter did not send the form"
        find.fill("khong co dau")
        assert sheet.locator(".ward-none").is_visible()
        find.press("Escape")
        assert sheet.locator(".ward-list label:visible").count() == 114
        whole = sheet.locator(".ward-group", has_text="Hồng Bàng").locator("[data-all]").first
        whole.focus()
        sheet.keyboard.press("Space")
        assert sheet.locator("[name=wards]:checked").count() > 1


# --- commands ---


def run(capfd, *words):
    code = cli.main([str(w) for w in words])
    out, err = capfd.readouterr()
    return code, out, err


def test_the_commands_of_a_person(capfd, tmp_path):
    def user(*words):
        return run(capfd, "user", *words, "--data", tmp_path)

    code, _, err = user("list")
    assert code == 1 and "no accounts" in err and not list(tmp_path.iterdir()), "a mistyped folder is not filled"
    code, out, _ = user("add", "Officer", "--name", "Kiểm tra viên", "--role", "inspector", "--medium", "water")
    password = re.search(r"[a-z0-9]{4}(-[a-z0-9]{4}){3}", out).group()
    assert code == 0
    kept = Accounts(tmp_path)
    assert kept.sign_in("officer", password) and kept.named("officer").media == ("water",)
    assert "officer" in user("list")[1] and "Kiểm tra viên" in user("list")[1]
    assert user("role", "officer", "planner")[0] == 0 and kept.named("officer").role == "planner"
    assert user("edit", "officer", "--all-media", "--name", "Khác")[0] == 0
    assert (kept.named("officer").media, kept.named("officer").name) == ((), "Khác")
    assert user("disable", "officer")[0] == 0 and not kept.named("officer").active
    assert "disabled" in user("list")[1]
    assert user("enable", "officer")[0] == 0 and kept.named("officer").active
    new = re.search(r"[a-z0-9]{4}(-[a-z0-9]{4}){3}", user("reset", "officer")[1]).group()
    assert new != password and kept.sign_in("officer", new)
    for words in (
        ("reset", "nobody"),
        ("add", "officer", "--name", "x", "--role", "planner"),
        ("add", "ô", "--name", "x", "--role", "planner"),
    ):
        code, out, err = user(*words)
        assert code == 1 and err.startswith("cangxanh: ") and err.count("\n") == 1 and not out
    assert {r["who"].split(" ")[0] for r in kept.audit_rows()} == {"console"} and kept.verify_audit() == []
    kept.close()


def test_wards_are_checked_on_the_command_line(capfd, city):
    code, _, err = run(capfd, "user", "add", "ward-officer", "--name", "W", "--role", "commune_officer", "--ward", "99999",
                       "--data", city.store.data_dir)  # fmt: skip
    assert code == 1 and "99999" in err
    code, _, _ = run(capfd, "user", "add", "ward-officer", "--name", "W", "--role", "commune_officer", "--ward", "11383",
                     "--data", city.store.data_dir)  # fmt: skip
    assert code == 0 and city.accounts.named("ward-officer").wards == ("11383",)


def test_the_server_tells_the_first_password(city, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    city.store.copy_to(folder / "cangxanh.gpkg")
    shutil.copy(city.population, folder)
    server = subprocess.Popen(
        [sys.executable, "-m", "server.cli", "serve", "--data", folder, "--port", "0"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip
    line = server.stdout.readline()
    assert "ready" in line, server.stderr.read()
    server.terminate()
    told = server.stdout.read()
    server.communicate()
    login, password = re.search(r"First administrator: (\S+), one-time password (\S+) ", told).groups()
    kept = Accounts(folder)
    assert kept.session(kept.sign_in(login, password).token).user.role == "administrator"
    kept.close()
