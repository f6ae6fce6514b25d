"""Letters on their way: queued in one transaction with what they tell, sent later, each by one process.

A letter that the mail server refuses waits with growing pauses. When the program is killed, letters
that were only claimed are sent later; one that was just being handed over to a mail server is left
"unsure" and never sent again, so that nobody gets it twice. Files of the outbox are certain.
"""

import logging
import secrets
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from server import bulletins, post
from server.noticebook import forget_idle, letters, places, readers

log = logging.getLogger("cangxanh")
LEASE = timedelta(minutes=10)  # so long a process may hold a letter
PAUSES = tuple(timedelta(minutes=m) for m in (5, 30, 120, 360, 1440, 1440))
OUTAGE = timedelta(days=5)  # so long a mail server may be away
REFUSALS = 3  # after so many letters that a mail server refused for good, the reader is forgotten


class _Lost(Exception):
    """The letter is no longer ours."""


class Mailbag:
    """vault: the file of people and secrets. folder: the data folder. now: callable, an aware datetime."""

    def __init__(self, vault, folder, settings, *, now):
        self._vault, self._folder, self.settings, self._now = vault, folder, settings, now

    def add(self, con, reader, kind, language, subject, text):
        """Queue a letter to a reader (a row of readers); its number."""
        now = self._text()
        made = {
            "reader": reader.id, "kind": kind, "day": self._now().date(), "language": language, "subject": subject,
            "text": text, "message_id": f"<{secrets.token_hex(16)}@{self.settings.domain}>", "made_at": now,
            "state": "waiting", "attempts": 0, "due_at": now,
        }  # fmt: skip
        return con.execute(letters.insert().values(made)).inserted_primary_key[0]

    def send(self, limit=200):
        """Send what is due; {"sent": n, "later": n, "failed": n, "unsure": n} of this time.

        Safe to run in several processes at once: a letter is claimed by one of them.
        """
        done = dict.fromkeys(("sent", "later", "failed", "unsure"), 0)
        with post.office(self.settings, self._folder) as office:
            done["unsure"] += self._take_up_stale(office.certain)
            for _ in range(limit):
                letter = self._claim()
                if letter is None:
                    break
                outcome, go_on = self._send_one(office, letter)
                done[outcome] += 1
                if not go_on:
                    break
        return done

    def _send_one(self, office, letter):
        """(outcome, whether the next letter may be tried)."""
        stop = f"{self.settings.address}/subscribe/stop/{letter.token}" if letter.kind == "digest" else None
        try:
            made = bulletins.message(
                sender=self.settings.sender, to=letter.email, subject=letter.subject, text=letter.text, stop=stop,
                language=letter.language, message_id=letter.message_id, at=datetime.fromisoformat(letter.made_at),
            )  # fmt: skip
            office.deliver(letter.id, made, lambda: self._handing(letter))
        except _Lost:
            return "later", True
        except post.PostError as e:
            log.warning("letter %s: %s", letter.id, e.reason)
            return self._put_off(letter, e), not e.whole
        self._set(letter, state="sent", text="", problem=None)
        return "sent", True

    def _claim(self):
        now = self._text()
        with self._vault.writing() as con:
            due = (letters.c.state == "waiting", letters.c.due_at <= now, letters.c.reader.is_not(None))
            number = con.scalar(sa.select(letters.c.id).where(*due).order_by(letters.c.due_at, letters.c.id).limit(1))
            if number is None:
                return None
            mine = letters.update().where(letters.c.id == number)
            con.execute(mine.values(state="claimed", claim=secrets.token_hex(8), claimed_at=now))
            joined = letters.join(readers, readers.c.id == letters.c.reader)
            query = sa.select(letters, readers.c.email, readers.c.token).select_from(joined)
            return con.execute(query.where(letters.c.id == number)).one()

    def _handing(self, letter):
        """The last moment at which nothing has left: another process or the reader may have taken it back."""
        if not self._set(letter, state="handing", claimed_at=self._text()):
            raise _Lost

    def _put_off(self, letter, error):
        attempts = letter.attempts + 1
        away = error.whole and self._now() - datetime.fromisoformat(letter.made_at) < OUTAGE
        if error.unsure:
            self._set(letter, state="unsure", text="", problem=error.reason)
            return "unsure"
        if error.lasting or (attempts > len(PAUSES) and not away):
            self._set(letter, state="failed", attempts=attempts, text="", problem=error.reason)
            if error.lasting:
                self._forget_refused(letter.reader)
            return "failed"
        pause = PAUSES[min(attempts, len(PAUSES)) - 1]
        self._set(
            letter, state="waiting", attempts=attempts, due_at=self._text(pause), problem=error.reason, claim=None
        )
        return "later"

    def _forget_refused(self, reader):
        with self._vault.writing() as con:
            failed = sa.select(sa.func.count()).where(letters.c.reader == reader, letters.c.state == "failed")
            if con.scalar(failed) >= REFUSALS:
                con.execute(places.delete().where(places.c.reader == reader))
                forget_idle(con)

    def _take_up_stale(self, certain):
        """Letters whose sender was killed: waiting again, or unsure where the mail server may have taken them."""
        stale = letters.c.claimed_at < self._text(-LEASE)
        again = ("claimed", "handing") if certain else ("claimed",)
        with self._vault.writing() as con:
            con.execute(letters.update().where(letters.c.state.in_(again), stale).values(state="waiting", claim=None))
            lost = {"state": "unsure", "text": "", "problem": "the program ended while the mail server took the mail"}
            return con.execute(letters.update().where(letters.c.state == "handing", stale).values(lost)).rowcount

    def _set(self, letter, **values):
        """Change a letter that is still ours; whether it was."""
        with self._vault.writing() as con:
            held = letters.c.state.in_(("claimed", "handing"))
            mine = letters.update().where(letters.c.id == letter.id, letters.c.claim == letter.claim, held)
            return con.execute(mine.values(values)).rowcount == 1

    def _text(self, shift=timedelta()):
        return (self._now() + shift).astimezone(UTC).isoformat(timespec="milliseconds")
