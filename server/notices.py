"""News of hotspots by mail, for people who named a place and a radius and confirmed their address.

What became public is collected after it was committed, put into at most one letter for each reader
and day (server/mailbag.py sends them). A step is told to a reader once: the pair of both is a key.
"""

import hashlib
import hmac
import math
import secrets
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pyproj
import shapely
import sqlalchemy as sa

from server import bulletins, post
from server.i18n import LANGUAGES, N_
from server.mailbag import Mailbag
from server.noticebook import (
    RADIUS_KM,
    NoticeError,
    Place,
    Rules,
    TooMany,
    address_of,
    asks,
    forget_idle,
    items,
    letters,
    metadata,
    places,
    readers,
    told,
)

__all__ = ["NoticeError", "Notices", "Place", "Rules", "TooMany"]
_GEOD = pyproj.Geod(ellps="WGS84")


class Notices:
    """The readers, what they are told, and the letters on their way.

    accounts: the open accounts, whose file is used. folder: the data folder (mail.toml, outbox/).
    now: callable, the moment in the city (aware).
    """

    def __init__(self, accounts, folder, *, now, settings=None, rules=None):
        self._vault, self._now, self.rules = accounts.vault, now, rules or Rules()
        self.settings = settings or post.settings(folder)
        self.bag = Mailbag(self._vault, folder, self.settings, now=now)
        self._key = self._vault.secret().encode()
        with self._vault.writing() as con:
            metadata.create_all(con)

    # --- readers ---

    def ask(self, email, language, *, lon, lat, radius_km, label_vi, label_en, client=""):
        """Take a request in and write the letter that asks for confirmation.

        What the page then says is the same for everybody: it never tells whether an address is known.
        Raises NoticeError.
        """
        email, language = address_of(email), language if language in LANGUAGES else "vi"
        if not RADIUS_KM[0] <= radius_km <= RADIUS_KM[1]:
            low, high = RADIUS_KM
            raise NoticeError("radius", N_("The radius must lie between %(low)s and %(high)s km."), low=low, high=high)
        if not (-180 <= lon <= 180 and -90 <= lat <= 90):
            raise NoticeError("place", N_("This is not a place on the map."))
        lon, lat = round(lon, 4), round(lat, 4)
        with self._vault.writing() as con:
            self._sweep(con)
            self._count(con, client)
            reader = con.execute(sa.select(readers).where(readers.c.email == email)).one_or_none()
            if reader is None:
                token = secrets.token_urlsafe(24)
                made = {"email": email, "language": language, "token": token, "made_at": self._text()}
                number = con.execute(readers.insert().values(made)).inserted_primary_key[0]
                reader = con.execute(sa.select(readers).where(readers.c.id == number)).one()
            mine = con.execute(sa.select(places).where(places.c.reader == reader.id)).all()
            if self._asked_today(con, reader.id) >= self.rules.letters_a_day:
                return
            words = _near(label_vi if language == "vi" else label_en, radius_km)
            same = [p for p in mine if (p.lon, p.lat, p.radius_km) == (lon, lat, radius_km)]
            if any(p.confirmed_at for p in same):
                said = bulletins.known_already(words, language, self.settings.address, reader.token)
            elif not same and len(mine) >= self.rules.places:
                said = bulletins.too_many(len(mine), language, self.settings.address, reader.token)
            else:
                token = same[0].token if same else self._place(con, reader.id, lon, lat, radius_km, label_vi, label_en)
                said = bulletins.confirmation(words, language, self.settings.address, token, self.rules.confirm_days)
            self.bag.add(con, reader, "confirm", language, *said)

    def _place(self, con, reader, lon, lat, radius_km, label_vi, label_en):
        token = secrets.token_urlsafe(24)
        made = {"reader": reader, "token": token, "lon": lon, "lat": lat, "radius_km": radius_km,
                "label_vi": label_vi[:120], "label_en": label_en[:120], "asked_at": self._text()}  # fmt: skip
        con.execute(places.insert().values(made))
        return token

    def _asked_today(self, con, reader):
        day_ago = self._text(-timedelta(days=1))
        query = sa.select(sa.func.count()).where(
            letters.c.reader == reader, letters.c.kind == "confirm", letters.c.made_at > day_ago
        )
        return con.scalar(query)

    def _count(self, con, client):
        if con.scalar(sa.select(sa.func.count()).where(places.c.confirmed_at.is_(None))) >= self.rules.pending:
            raise TooMany
        if not client:
            return
        key = hmac.new(self._key, client.encode(), hashlib.sha256).hexdigest()[:32]
        if con.scalar(sa.select(sa.func.count()).where(asks.c.client == key)) >= self.rules.asks_an_hour:
            raise TooMany
        con.execute(asks.insert().values(client=key, at=self._text()))

    def place(self, token):
        """The Place that a confirmation link speaks of, or None."""
        with self._vault.reading() as con:
            row = con.execute(sa.select(places).where(places.c.token == token)).one_or_none()
        return None if row is None else self._shown(row)

    def confirm(self, token, language=None):
        """Confirm a place; the token of the reader's own page, or None where the link is too old."""
        with self._vault.writing() as con:
            self._sweep(con)
            row = con.execute(sa.select(places).where(places.c.token == token)).one_or_none()
            if row is None:
                return None
            con.execute(
                places.update().where(places.c.id == row.id, places.c.confirmed_at.is_(None))
                .values(confirmed_at=self._text())
            )  # fmt: skip
            if language in LANGUAGES:
                con.execute(readers.update().where(readers.c.id == row.reader).values(language=language))
            return con.scalar(sa.select(readers.c.token).where(readers.c.id == row.reader))

    def mine(self, token):
        """The confirmed places of the reader with this token, oldest first; None where there is no such reader."""
        with self._vault.reading() as con:
            reader = con.scalar(sa.select(readers.c.id).where(readers.c.token == token))
            if reader is None:
                return None
            query = sa.select(places).where(places.c.reader == reader, places.c.confirmed_at.is_not(None))
            return [self._shown(r) for r in con.execute(query.order_by(places.c.id))]

    def stop(self, token, place=None):
        """Forget one place of a reader, or the reader with everything; whether there was something to forget."""
        with self._vault.writing() as con:
            reader = con.scalar(sa.select(readers.c.id).where(readers.c.token == token))
            if reader is None:
                return False
            if place is not None:
                gone = con.execute(places.delete().where(places.c.reader == reader, places.c.id == place)).rowcount
            else:
                gone = con.execute(places.delete().where(places.c.reader == reader)).rowcount
            forget_idle(con)
            return bool(gone)

    def _sweep(self, con):
        old = self._text(-timedelta(days=self.rules.confirm_days))
        con.execute(places.delete().where(places.c.confirmed_at.is_(None), places.c.asked_at < old))
        con.execute(asks.delete().where(asks.c.at < self._text(-timedelta(hours=1))))
        done = letters.c.state.in_(("sent", "failed", "unsure"))
        con.execute(letters.delete().where(done, letters.c.made_at < self._text(-timedelta(days=self.rules.keep_days))))
        forget_idle(con)

    # --- what happened ---

    def collect(self, hotspots, events):
        """Note what became public since the last time, for every reader whom it concerns; how many steps were new.

        hotspots, events: the public frames. To be called after what they hold was committed; again and
        again, also by several processes. A reader is told of what was published since the day they confirmed;
        that a hotspot was withdrawn is told to those who were told of it.
        """
        on = {
            (h, int(n)): day.date()
            for h, n, day in zip(events["hotspot"], events["number"], events["published_on"], strict=True)
        }
        shapes = dict(zip(hotspots["code"], hotspots.geometry, strict=True))
        with self._vault.writing() as con:
            known = {tuple(r) for r in con.execute(sa.select(told.c.hotspot, told.c.number))}
            new = sorted(set(on) - known)
            if not new:
                return 0
            con.execute(told.insert(), [{"hotspot": h, "number": n, "collected_at": self._text()} for h, n in new])
            near = {
                code: self._nearest(con, shapes[code]) if code in shapes else _told_before(con, code)
                for code in {h for h, _ in new}
            }
            made = [
                {"reader": reader, "hotspot": h, "number": n, "km": km}
                for h, n in new
                for reader, (km, since) in near[h].items()
                if on[h, n] >= since
            ]
            if made:
                con.execute(items.insert(), made)
            return len(new)

    def _nearest(self, con, shape):
        """{reader: (km, confirmed on)} of those within whose radius a shape lies; the nearest place counts."""
        out = {}
        if shape is None or shape.is_empty:
            return out
        for p in con.execute(sa.select(places).where(places.c.confirmed_at.is_not(None)).order_by(places.c.id)):
            km = metres(shape, p.lon, p.lat) / 1000
            if km <= p.radius_km:
                since = self._city_day(p.confirmed_at)
                held = out.get(p.reader, (math.inf, since))
                out[p.reader] = (min(km, held[0]), min(since, held[1]))
        return out

    def write(self, hotspots, events):
        """Put what waits into letters, at most one for each reader and day; how many were written.

        What was withdrawn in the meantime is not told.
        """
        public = {(r["hotspot"], int(r["number"])): r for r in events.to_dict("records")}
        spots = {r["code"]: r for r in hotspots.to_dict("records")}
        today, count = self._now().date(), 0
        with self._vault.writing() as con:
            self._sweep(con)
            had = sa.select(letters.c.reader).where(
                letters.c.kind == "digest", letters.c.day == today, letters.c.reader.is_not(None)
            )
            query = sa.select(items).where(items.c.letter.is_(None), items.c.reader.not_in(had))
            waiting = {}
            for row in con.execute(query.order_by(items.c.reader, items.c.hotspot, items.c.number)):
                waiting.setdefault(row.reader, []).append(row)
            for number, mine in waiting.items():
                reader = con.execute(sa.select(readers).where(readers.c.id == number)).one()
                good = [m for m in mine if (m.hotspot, m.number) in public]
                letter = 0
                if good:
                    news = [_news(public[m.hotspot, m.number], spots.get(m.hotspot), m.km) for m in good]
                    said = bulletins.digest(news, reader.language, self.settings.address, reader.token)
                    letter = self.bag.add(con, reader, "digest", reader.language, *said)
                    count += 1
                for m in mine:
                    same = (items.c.reader == m.reader, items.c.hotspot == m.hotspot, items.c.number == m.number)
                    con.execute(items.update().where(*same).values(letter=letter if m in good else 0))
        return count

    def round(self, store):
        """Collect, write and send, as the server does it by itself. What fails is told in the log."""
        hotspots, events = store.snapshot("hotspots"), store.snapshot("hotspot_events")
        self.collect(hotspots, events)
        self.write(hotspots, events)
        return self.bag.send()

    def counts(self):
        """How many readers, places and letters of each state there are; nothing about anybody."""
        with self._vault.reading() as con:
            by_state = dict(con.execute(sa.select(letters.c.state, sa.func.count()).group_by(letters.c.state)).all())
            return {
                "readers": con.scalar(sa.select(sa.func.count()).select_from(readers)),
                "places": con.scalar(sa.select(sa.func.count()).where(places.c.confirmed_at.is_not(None))),
                "pending": con.scalar(sa.select(sa.func.count()).where(places.c.confirmed_at.is_(None))),
                **{s: by_state.get(s, 0) for s in ("waiting", "claimed", "handing", "sent", "failed", "unsure")},
            }

    def _shown(self, row):
        day = self._city_day(row.confirmed_at or row.asked_at)
        return Place(
            row.id, row.lon, row.lat, row.radius_km, row.label_vi, row.label_en, day, row.confirmed_at is not None
        )

    def _city_day(self, text):
        return datetime.fromisoformat(text).astimezone(self._now().tzinfo).date()

    def _text(self, shift=timedelta()):
        return (self._now() + shift).astimezone(UTC).isoformat(timespec="milliseconds")


def _near(label, radius_km):
    return f"{label}, {radius_km} km"


def metres(shape, lon, lat):
    """Metres on the ellipsoid from a point to the nearest point of a shape; 0 inside an area."""
    squeeze = math.cos(math.radians(lat))
    flat = shapely.transform(shape, lambda xy: xy * [squeeze, 1])
    at = shapely.shortest_line(flat, shapely.Point(lon * squeeze, lat)).coords[0]
    return _GEOD.inv(lon, lat, at[0] / squeeze, at[1])[2]


def _told_before(con, code):
    """As _nearest, of a hotspot that has left the map: the readers whom an earlier letter told of it."""
    rows = con.execute(sa.select(items.c.reader, items.c.km).where(items.c.hotspot == code, items.c.letter > 0))
    return {r.reader: (r.km, date.min) for r in rows}


def _news(event, spot, km):
    """spot: the row of the hotspot, or None where it was withdrawn."""

    def day(value):
        return None if value is None or pd.isna(value) else value.date()

    def text(row, name):
        return None if pd.isna(row[name]) else row[name]

    told = {k: text(event, k) for k in ("text_vi", "text_en", "office_vi", "office_en", "action")}
    told |= {"code": event["hotspot"], "number": int(event["number"]), "day": day(event["day"]), "km": km}
    if spot is None:
        return bulletins.News(name_vi=told["code"], name_en=told["code"], public=False, **told)
    open_now = spot["stage"] not in ("watched", "done", "rejected")
    return bulletins.News(
        name_vi=spot["name_vi"], name_en=text(spot, "name_en"), deadline=day(spot["deadline"]) if open_now else None,
        deadline_for_vi=text(spot, "deadline_for_vi"), deadline_for_en=text(spot, "deadline_for_en"),
        watch_until=day(spot["watch_until"]) if spot["stage"] == "watched" else None, **told,
    )  # fmt: skip
