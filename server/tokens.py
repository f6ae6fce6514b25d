"""Tokens by which programs read internal layers: made for a named purpose, for named layers, until a day.

What is kept is the SHA-256 of a token, in the file of people and secrets. A token is 256 random bits, so that a fast
hash is enough and nobody can try them all; it is shown once. Each step leaves a row in the audit of accounts.
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from werkzeug.exceptions import Unauthorized

from layers import audit
from server.i18n import N_
from server.i18n import gettext as _
from server.people import AccountError, Problem

MAX_PURPOSE, MAX_DAYS, USUAL_DAYS = 120, 366, 90
NOTED_EVERY = timedelta(minutes=1)  # the last use of a token is written down at most so often
_SHOWN = 9  # first letters by which people tell tokens apart
_PREFIX = "cx_"

metadata = sa.MetaData()
_tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.Column("start", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("layers", sa.Text, nullable=False),  # JSON
    sa.Column("until", sa.Date, nullable=False),  # the last day on which it is good
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("made_at", sa.Text, nullable=False),
    sa.Column("used_at", sa.Text),
    sa.Column("ended_by", sa.Text),
    sa.Column("ended_at", sa.Text),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True)
class Token:
    """What is known of a token. start: its first letters. until: its last good day. Times are UTC texts or None."""

    id: int
    start: str
    purpose: str
    layers: tuple
    until: date
    made_by: str
    made_at: str
    used_at: str | None
    ended_by: str | None
    ended_at: str | None

    def state(self, today):
        """open, expired or ended."""
        return "ended" if self.ended_at else "expired" if today > self.until else "open"


class Tokens:
    """The tokens in the file of a Vault. now: gives the moment in the city."""

    def __init__(self, vault, *, now):
        self.vault, self.now = vault, now
        with vault.writing() as con:
            metadata.create_all(con)

    def make(self, user, purpose, layers, until, *, known):
        """(Token, the token itself, which is kept nowhere). known: names that a token may cover.

        Raises AccountError with every field that cannot be used.
        """
        purpose, layers = " ".join(purpose.split()), tuple(dict.fromkeys(layers))
        problems = [Problem(*p) for p in self._problems(purpose, layers, until, known)]
        if problems:
            raise AccountError(*problems)
        secret = _PREFIX + secrets.token_urlsafe(32)
        row = {"hash": _hash(secret), "start": secret[:_SHOWN], "purpose": purpose, "layers": json.dumps(layers),
               "until": until, "made_by": user.name, "made_at": self._stamp()}  # fmt: skip
        with self.vault.writing() as con:
            number = con.execute(_tokens.insert().values(row)).inserted_primary_key[0]
            self._note(con, user, "token make", number, new={"purpose": purpose, "layers": list(layers), "until": until.isoformat()})  # fmt: skip
        return self.get(number), secret

    def _problems(self, purpose, layers, until, known):
        today = self.now().date()
        if not purpose:
            yield "purpose", N_("Say what the token is for."), {}
        elif len(purpose) > MAX_PURPOSE:
            yield "purpose", N_("The purpose has at most %(most)s letters."), {"most": MAX_PURPOSE}
        if not layers or set(layers) - set(known):
            yield "layers", N_("Choose at least one of the layers."), {}
        if until is None or not today <= until <= today + timedelta(days=MAX_DAYS):
            yield "until", N_("Choose a day from today on, at most %(days)s days ahead."), {"days": MAX_DAYS}

    def all(self):
        """Every token that was ever made, the newest first."""
        with self.vault.reading() as con:
            return [_token(r) for r in con.execute(sa.select(_tokens).order_by(_tokens.c.id.desc()))]

    def get(self, number):
        """One token; KeyError where there is none."""
        with self.vault.reading() as con:
            row = con.execute(sa.select(_tokens).where(_tokens.c.id == number)).one_or_none()
        if row is None:
            raise KeyError(number)
        return _token(row)

    def find(self, secret):
        """The open Token that somebody shows, its use noted; None where it is none, has expired or was ended."""
        with self.vault.reading() as con:
            row = con.execute(sa.select(_tokens).where(_tokens.c.hash == _hash(secret))).one_or_none()
        found = row and _token(row)
        if not found or found.state(self.now().date()) != "open":
            return None
        if found.used_at is None or self.now() - datetime.fromisoformat(found.used_at) >= NOTED_EVERY:
            with self.vault.writing() as con:
                con.execute(_tokens.update().where(_tokens.c.id == found.id).values(used_at=self._stamp()))
        return found

    def end(self, user, number):
        """A token is good no longer; whether it was until now. KeyError where there is none."""
        before = self.get(number)
        with self.vault.writing() as con:
            still = (_tokens.c.id == number, _tokens.c.ended_at.is_(None))
            done = con.execute(
                _tokens.update().where(*still).values(ended_at=self._stamp(), ended_by=user.name)
            ).rowcount
            if done:
                self._note(
                    con, user, "token end", number, old={"purpose": before.purpose, "layers": list(before.layers)}
                )
        return bool(done)

    def _stamp(self):
        return self.now().isoformat(timespec="seconds")

    def _note(self, con, user, action, number, *, old=None, new=None):
        audit.append(con, at=self.now(), who=user.login, who_id=user.id or None, role=user.role, action=action,
                     thing=f"token:{number}", old=old, new=new)  # fmt: skip


def _hash(secret):
    return hashlib.sha256(secret.encode()).hexdigest()


def _token(row):
    held = {n: getattr(row, n) for n in Token.__dataclass_fields__}
    return Token(**held | {"layers": tuple(json.loads(row.layers))})


def presented(header):
    """The token in an Authorization header, or None: of Bearer, or the password of Basic where it looks like one.

    Programs that know no Bearer (QGIS before 3.26, Excel) send it as a password, the name is theirs. Another
    password may be meant for a proxy before us.

    >>> presented("Bearer cx_a"), presented("Basic cWdpczpjeF9h"), presented("Basic dXNlcjpwYXNz"), presented("")
    ('cx_a', 'cx_a', None, None)
    """
    kind, _blank, rest = header.partition(" ")
    if kind.lower() == "bearer":
        return rest.strip()
    if kind.lower() != "basic":
        return None
    try:
        password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return None
    return password if password.startswith(_PREFIX) else None


class BadToken(Unauthorized):
    """A token was shown that is not good; `sentence`, in the reader's language, says so."""

    def __init__(self):
        super().__init__()
        self.title = _("This token is not good")
        self.sentence = _("The token is not known, has expired or was ended. Without one you see what is public.")


def scope_of(tokens, header):
    """Names of the layers whose internal data an Authorization header opens; none without a token in it.

    tokens: Tokens, or None where there are no accounts. Raises BadToken: a token that opens nothing is never taken
    for none.
    """
    secret = presented(header or "")
    if secret is None:
        return frozenset()
    found = tokens.find(secret) if tokens is not None else None
    if found is None:
        raise BadToken()
    return frozenset(found.layers)
