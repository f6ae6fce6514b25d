"""Sign-ins that are open. The browser holds a random token; the file holds only its SHA-256.

Times are kept in UTC as ISO text of one length, so that they compare as text.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, timedelta

import sqlalchemy as sa

from server.people import User, user_of
from server.vault import sessions, users


@dataclass(frozen=True)
class Life:
    """A session ends `idle` after its last use and `longest` after its start; its use is noted `every` so often.

    for_code: how long the page that asks for the one-time code stays good.
    """

    idle: timedelta = timedelta(hours=8)
    longest: timedelta = timedelta(days=7)
    for_code: timedelta = timedelta(minutes=5)
    every: timedelta = timedelta(minutes=1)


@dataclass(frozen=True)
class Session:
    """One sign-in that is still good. Times as UTC text; browser as it named itself."""

    id: int
    user: User
    made_at: str
    seen_at: str
    address: str
    browser: str


@dataclass(frozen=True)
class Opened:
    """What the browser keeps: token. asks_code: it only opens the page that asks for the one-time code."""

    token: str
    asks_code: bool = False


def utc_text(moment):
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def hashed(token):
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def start(con, number, now, life, *, address="", browser="", asks_code=False):
    """Open a session for the person with this number; drops those that have run out."""
    token, at = secrets.token_urlsafe(32), utc_text(now)
    too_old = (sessions.c.made_at <= utc_text(now - life.longest), sessions.c.seen_at <= utc_text(now - life.idle))
    con.execute(sessions.delete().where(sa.or_(*too_old)))
    con.execute(
        sessions.insert().values(
            token=hashed(token), user=number, state="code" if asks_code else "open", made_at=at, seen_at=at,
            address=address[:60], browser=browser[:300],
        )
    )  # fmt: skip
    if not asks_code:
        con.execute(users.update().where(users.c.id == number).values(signed_in_at=at))
    return Opened(token, asks_code)


def _good(now, life):
    return (
        sessions.c.state == "open",
        users.c.active,
        sessions.c.made_at > utc_text(now - life.longest),
        sessions.c.seen_at > utc_text(now - life.idle),
    )


def find(con, token, now, life):
    """The good Session of a token, or None."""
    mine = [sessions.c[name].label(f"s_{name}") for name in ("id", "made_at", "seen_at", "address", "browser")]
    query = sa.select(*mine, users).join_from(sessions, users)
    row = con.execute(query.where(sessions.c.token == hashed(token), *_good(now, life))).one_or_none()
    if row is None:
        return None
    return Session(row.s_id, user_of(row), row.s_made_at, row.s_seen_at, row.s_address, row.s_browser)


def waiting(con, token, now, life):
    """The number of the person whose one-time code this token waits for, or None."""
    since = utc_text(now - life.for_code)
    here = (sessions.c.token == hashed(token), sessions.c.state == "code", sessions.c.made_at > since)
    return con.scalar(sa.select(sessions.c.user).where(*here))


def of(con, user, now, life):
    """The good sessions of a person, the latest used first."""
    query = sa.select(sessions).join(users).where(sessions.c.user == user.id, *_good(now, life))
    rows = con.execute(query.order_by(sessions.c.seen_at.desc(), sessions.c.id.desc()))
    return [Session(r.id, user, r.made_at, r.seen_at, r.address, r.browser) for r in rows]


def note_use(con, session, now):
    con.execute(sessions.update().where(sessions.c.id == session.id).values(seen_at=utc_text(now)))


def end(con, token):
    con.execute(sessions.delete().where(sessions.c.token == hashed(token)))


def end_of(con, number, *, only=None, but=None):
    """End the sessions of a person: all, the one numbered `only`, or all but one. How many ended."""
    which = [sessions.c.user == number]
    if only is not None:
        which.append(sessions.c.id == only)
    if but is not None:
        which.append(sessions.c.id != but)
    return con.execute(sessions.delete().where(*which)).rowcount
