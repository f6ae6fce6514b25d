"""The tables of the readers of news, what they are told and the letters to them, in var/accounts.db.

An address stands in one row of one table, and that row is deleted when its owner stops.
"""

import re
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from server.i18n import N_

_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
RADIUS_KM = (1, 10)

metadata = sa.MetaData()
readers = sa.Table(
    "notice_readers", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("email", sa.Text, nullable=False, unique=True),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("token", sa.Text, nullable=False, unique=True),
    sa.Column("made_at", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)  # fmt: skip
places = sa.Table(
    "notice_places", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("reader", sa.Integer, sa.ForeignKey("notice_readers.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("token", sa.Text, nullable=False, unique=True),
    sa.Column("lon", sa.Float, nullable=False),
    sa.Column("lat", sa.Float, nullable=False),
    sa.Column("radius_km", sa.Integer, nullable=False),
    sa.Column("label_vi", sa.Text, nullable=False),
    sa.Column("label_en", sa.Text, nullable=False),
    sa.Column("asked_at", sa.Text, nullable=False),
    sa.Column("confirmed_at", sa.Text),
    sqlite_autoincrement=True,
)  # fmt: skip
told = sa.Table(
    "notice_events", metadata,
    sa.Column("hotspot", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("collected_at", sa.Text, nullable=False),
)  # fmt: skip
items = sa.Table(
    "notice_items", metadata,
    sa.Column("reader", sa.Integer, sa.ForeignKey("notice_readers.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("hotspot", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("km", sa.Float, nullable=False),
    sa.Column("letter", sa.Integer),  # NULL: waits; 0: was withdrawn before it was told
)  # fmt: skip
letters = sa.Table(
    "notice_letters", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("reader", sa.Integer, sa.ForeignKey("notice_readers.id", ondelete="SET NULL")),
    sa.Column("kind", sa.Text, nullable=False),  # confirm or digest
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False, unique=True),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("made_at", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),  # waiting, claimed, handing, sent, failed, unsure
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("due_at", sa.Text, nullable=False),
    sa.Column("claim", sa.Text),
    sa.Column("claimed_at", sa.Text),
    sa.Column("problem", sa.Text),
    sqlite_autoincrement=True,
)  # fmt: skip
asks = sa.Table(
    "notice_asks", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("client", sa.Text, nullable=False, index=True),  # keyed hash of the network address
    sa.Column("at", sa.Text, nullable=False),
)  # fmt: skip
sa.Index("notice_one_digest_a_day", letters.c.reader, letters.c.day, unique=True,
         sqlite_where=letters.c.kind == "digest", postgresql_where=letters.c.kind == "digest")  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """What one person or one line may ask for, and how long things are kept."""

    places: int = 5
    letters_a_day: int = 3  # that ask one address for confirmation
    asks_an_hour: int = 10  # of one network address
    pending: int = 2000  # requests of everybody that wait for confirmation
    confirm_days: int = 3
    keep_days: int = 30


@dataclass(frozen=True)
class Place:
    """A place that somebody asked for; never with the address."""

    id: int
    lon: float
    lat: float
    radius_km: int
    label_vi: str
    label_en: str
    since: date  # confirmed, or asked for
    confirmed: bool


class NoticeError(Exception):
    """Something a reader can mend. field: email, place, radius or ""; sentence: English, to be translated."""

    def __init__(self, field, sentence, **values):
        super().__init__(sentence % values)
        self.field, self.sentence, self.values = field, sentence, values


class TooMany(NoticeError):
    """Asked too often from one line, or by everybody together."""

    def __init__(self):
        super().__init__("", N_("Too many requests at the moment. Please try again in an hour."))


def address_of(typed):
    """A mail address as it is kept, or NoticeError. Only plain addresses; the part after @ in lower case."""
    typed = typed.strip()
    if not typed:
        raise NoticeError("email", N_("Write your e-mail address."))
    if len(typed) > 254 or not _EMAIL.fullmatch(typed) or ".." in typed or typed.startswith(".") or ".@" in typed:
        raise NoticeError("email", N_("This is not an e-mail address we can write to. Check it."))
    local, _at, domain = typed.rpartition("@")
    return f"{local}@{domain.lower()}"


def forget_idle(con):
    """Readers without a place go, and with them their address and what waits for them."""
    idle = sa.select(readers.c.id).where(readers.c.id.not_in(sa.select(places.c.reader)))
    con.execute(letters.delete().where(letters.c.reader.in_(idle), letters.c.state.in_(("waiting", "claimed"))))
    con.execute(letters.delete().where(letters.c.reader.is_(None), letters.c.state == "waiting"))
    con.execute(items.delete().where(items.c.reader.in_(idle)))
    con.execute(readers.delete().where(readers.c.id.in_(idle)))
