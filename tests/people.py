"""People for tests: one of a role, and a client who is signed in as somebody.

    inspector = people.person(services, "inspector", wards=("11383",))
    client = people.signed_in(app, inspector)
    client.post("/inbox/R1/pass", data={"csrf": client.csrf})

They are named after their role and have no password; signed_in() opens a session for them. somebody()
gives a person with a password.
"""

from datetime import UTC, datetime, timedelta

from flask import g

from server import passwords, security

START = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
FIRST, SECOND = "bốn con mèo vàng", "năm chiếc thuyền xanh"


class Clock:
    """A time that stands still until it is moved on."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def on(self, **by):
        self.now += timedelta(**by)


def cheap_hashes(monkeypatch):
    """Passwords cost next to nothing in this test: for tests that are about something else."""
    monkeypatch.setattr(passwords, "METHOD", "scrypt:1024:8:1")
    monkeypatch.setattr(passwords, "NO_PASSWORD", "scrypt:1024:8:1$nobodyhasthisone$" + "0" * 128)


def somebody(kept, login="officer", role="inspector", password=FIRST):
    """A person with a password of their own."""
    user = kept.add("test", login, name=login.capitalize(), role=role)
    kept.reset("test", user.id)
    kept.change_password(kept.user(user.id), "", password)
    return kept.user(user.id)


def person(services, role, wards=(), media=(), *, number=1):
    """An accounts.User of this role; the same one again for the same role and number, in the given scope."""
    login = f"{role}-{number}"
    name = f"{role.replace('_', ' ').capitalize()} {number}"
    kept = services.accounts
    try:
        known = kept.named(login)
    except KeyError:
        return kept.add("test", login, name=name, role=role, wards=wards, media=media)
    return kept.edit("test", known.id, name=name, role=role, wards=wards, media=media)


def visitor(app):
    """A test client of nobody, with `csrf`: the token that forms and scripts send."""
    client = app.test_client()
    client.csrf = token(client)
    return client


def signed_in(app, user):
    """A test client with a session of this person, and `csrf`."""
    client = app.test_client()
    opened = app.extensions["cangxanh"].accounts.open_session(user.id, address="127.0.0.1", browser="test")
    client.set_cookie(security.SESSION_COOKIE, opened.token)
    client.csrf = token(client)
    return client


def token(client):
    """The token of this client's forms, as a page would give it; the client keeps the cookie that belongs to it."""
    held = client.get_cookie(security.SESSION_COOKIE)
    cookies = {security.SESSION_COOKIE: held.value} if held else {}
    header = "; ".join(f"{k}={v}" for k, v in cookies.items())
    with client.application.test_request_context("/", headers={"Cookie": header}):
        made = security.csrf_token()
        client.set_cookie(security.FORM_COOKIE, g.form_cookie)
    return made
