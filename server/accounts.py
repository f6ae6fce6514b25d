"""The people who work with the register: who they are, how they sign in, what they may see.

Every change of an account and its audit row are one transaction in var/accounts.db.
"""

import hashlib
import ipaddress
import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from layers import audit
from server import passwords, totp
from server.i18n import N_
from server.vault import Vault, attempts, contacts, recovery_codes, sessions, users

ROLES = ("commune_officer", "inspector", "approver", "planner", "administrator")
ROLE_WORDS = {
    "commune_officer": N_("Commune officer"),
    "inspector": N_("Inspector"),
    "approver": N_("Approver"),
    "planner": N_("Planner"),
    "administrator": N_("Administrator"),
}
MEDIA = ("water", "air", "soil", "solid_waste", "odour", "noise")
LOGIN = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?")
SYSTEM = "system"


@dataclass(frozen=True)
class Rules:
    """How long a session lives and how often somebody may try.

    A session ends `idle` after its last use and `longest` after its start. After `free_tries` wrong
    passwords for one name (`free_tries_address` from one address) each further one makes the next
    wait: `first_wait`, then twice as long each time, up to `longest_wait` (`longest_wait_address`).
    """

    idle: timedelta = timedelta(hours=8)
    longest: timedelta = timedelta(days=7)
    for_code: timedelta = timedelta(minutes=5)
    free_tries: int = 5
    free_tries_address: int = 20
    first_wait: timedelta = timedelta(seconds=5)
    longest_wait: timedelta = timedelta(minutes=5)
    longest_wait_address: timedelta = timedelta(minutes=15)
    forget_tries: timedelta = timedelta(hours=24)
    note_use_every: timedelta = timedelta(minutes=1)


@dataclass(frozen=True)
class User:
    """One person. wards: codes of units, none = the whole city. media: codes, none = all.

    must_change: signed in with a one-time password that has to be replaced first. local: has a
    password here (otherwise signs in elsewhere, or was never given one).
    """

    id: int
    login: str
    name: str
    role: str
    wards: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    totp: bool = False
    active: bool = True
    must_change: bool = False
    local: bool = False
    signed_in_at: str | None = None

    def covers(self, ward, media=()):
        """Whether a case is this person's: its ward (None: not known) and at least one of its media.

        A case of unknown medium is everybody's in its ward; one of unknown ward belongs to those who
        have the whole city, so that none falls between two chairs.
        """
        here = not self.wards or ward in self.wards
        return here and (not self.media or not media or bool(set(media) & set(self.media)))


@dataclass(frozen=True)
class Session:
    """One sign-in that is still good. Times are UTC, ISO; browser as it named itself."""

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


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field: a sentence for gettext with its values."""

    field: str
    sentence: str
    values: dict


class AccountError(Exception):
    """Something that was not done, and why. `problems`: one for each field."""

    def __init__(self, *problems):
        self.problems = problems
        super().__init__(" ".join(p.sentence % p.values for p in problems))


class TooManyTries(AccountError):
    """Not even tried; `wait_s` says how many seconds to wait."""

    def __init__(self, wait_s):
        self.wait_s = wait_s
        if wait_s > 90:
            sentence = N_("Too many tries. Wait %(minutes)s minutes, then try again.")
        else:
            sentence = N_("Too many tries. Wait %(seconds)s seconds, then try again.")
        super().__init__(Problem("", sentence, {"seconds": wait_s, "minutes": -(-wait_s // 60)}))


def _error(field, sentence, **values):
    return AccountError(Problem(field, sentence, values))


WRONG = N_("The name or the password is not right. Check both and try again.")
WRONG_OLD = N_("This is not your present password.")
WRONG_CODE = N_("This code is not right, or it was used already. Wait for the next one and try again.")


def _utc():
    return datetime.now(UTC)


def _text(moment):
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _hashed(token):
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _place(address):
    """What counts as one address: an IPv4 address, or the /64 network that one line has in IPv6."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    found = getattr(found, "ipv4_mapped", None) or found
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))


def _user(row):
    return User(
        id=row.id, login=row.login, name=row.name, role=row.role, wards=tuple(json.loads(row.wards)),
        media=tuple(json.loads(row.media)), totp=bool(row.totp), active=bool(row.active),
        must_change=bool(row.must_change), local=row.password is not None, signed_in_at=row.signed_in_at,
    )  # fmt: skip


def checked(login, name, role, wards, media, known_wards=None):
    """The fields of an account as they are kept; AccountError names every one that cannot be used.

    known_wards: the codes there are, or None where they cannot be looked up.
    """
    login, name = login.strip().lower(), " ".join(name.split())
    wards, media = sorted(set(wards)), [m for m in MEDIA if m in set(media)] + sorted(set(media) - set(MEDIA))
    wrong = []
    if not LOGIN.fullmatch(login):
        wrong.append(Problem("login", N_("The name to sign in with has 1 to 64 of a–z, 0–9, dot, hyphen, _ or @."), {}))
    if not 1 <= len(name) <= 100 or not name.isprintable():
        wrong.append(Problem("name", N_("Write a name of 1 to 100 characters."), {}))
    if role not in ROLES:
        wrong.append(Problem("role", N_("Choose a role."), {}))
    if set(media) - set(MEDIA):
        wrong.append(Problem("media", N_("Unknown medium: %(code)s."), {"code": ", ".join(set(media) - set(MEDIA))}))
    if known_wards is not None and set(wards) - set(known_wards):
        strange = ", ".join(sorted(set(wards) - set(known_wards)))
        wrong.append(Problem("wards", N_("There is no ward with the code %(code)s."), {"code": strange}))
    if wrong:
        raise AccountError(*wrong)
    return {"login": login, "name": name, "role": role, "wards": json.dumps(wards), "media": json.dumps(media)}


class Accounts:
    """The people of one city. `by` is always who does it: a User, or a text such as "console"."""

    def __init__(self, data_dir, *, rules=None, clock=_utc):
        self.rules, self._clock = rules or Rules(), clock
        self.vault = Vault(data_dir)

    def close(self):
        self.vault.close()

    def secret(self):
        """The key that signs forms."""
        return self.vault.secret()

    # --- who there is ---

    def users(self):
        """Everybody, also the disabled, by login."""
        with self.vault.reading() as con:
            return [_user(r) for r in con.execute(sa.select(users).order_by(users.c.login))]

    def user(self, number):
        """One person; KeyError where there is none."""
        with self.vault.reading() as con:
            return _user(self._row(con, users.c.id == number, number))

    def named(self, login):
        """One person by login; KeyError where there is none."""
        with self.vault.reading() as con:
            return _user(self._row(con, users.c.login == login.strip().lower(), login))

    @staticmethod
    def _row(con, which, name):
        row = con.execute(sa.select(users).where(which)).one_or_none()
        if row is None:
            raise KeyError(name)
        return row

    # --- changes by an administrator ---

    def add(self, by, login, *, name, role, wards=(), media=(), subject=None, known_wards=None):
        """A new person, who cannot sign in before reset() gave a password or single sign-on knows them."""
        fields = checked(login, name, role, wards, media, known_wards)
        with self.vault.writing() as con:
            if con.scalar(sa.select(users.c.id).where(users.c.login == fields["login"])):
                raise _error("login", N_("Somebody signs in with this name already."))
            number = con.execute(
                users.insert().values(**fields, subject=subject, made_at=self._now_text())
            ).inserted_primary_key[0]
            row = self._row(con, users.c.id == number, number)
            self._note(con, by, "user add", row.login, None, _shown(row))
        return _user(row)

    def edit(self, by, number, *, name, role, wards, media, known_wards=None):
        """Change name, role and scope. A new role ends every session of the person."""
        with self.vault.writing() as con:
            old = self._row(con, users.c.id == number, number)
            fields = checked(old.login, name, role, wards, media, known_wards)
            if role != old.role:
                self._keep_one_administrator(con, old)
            con.execute(users.update().where(users.c.id == number).values(**fields))
            row = self._row(con, users.c.id == number, number)
            if _shown(row) != _shown(old):
                self._note(con, by, "user edit", row.login, _shown(old), _shown(row))
            if row.role != old.role:
                self._end(con, number)
        return _user(row)

    def set_active(self, by, number, active):
        """Disable somebody, which ends their sessions, or let them in again. Nobody is ever deleted."""
        with self.vault.writing() as con:
            old = self._row(con, users.c.id == number, number)
            if not active:
                self._keep_one_administrator(con, old)
                self._end(con, number)
            if bool(old.active) != active:
                con.execute(users.update().where(users.c.id == number).values(active=active))
                self._note(con, by, "user enable" if active else "user disable", old.login, None, None)
        return self.user(number)

    def reset(self, by, number, *, drop_codes=False):
        """A one-time password, given back once: it has to be replaced at first use. Ends the sessions.

        drop_codes: also switch one-time codes off, for somebody whose phone is lost.
        """
        password = passwords.one_time()
        kept = passwords.keep(password)
        with self.vault.writing() as con:
            row = self._row(con, users.c.id == number, number)
            con.execute(users.update().where(users.c.id == number).values(password=kept, must_change=True))
            if drop_codes:
                self._drop_codes(con, number)
            self._end(con, number)
            self._forget_tries(con, f"login:{row.login}", f"code:{number}", f"old:{number}")
            done = {"codes_off": bool(drop_codes and row.totp)}
            self._note(con, by, "user reset", row.login, None, done)
        return password

    def first_administrator(self):
        """(login, one-time password) when there was nobody yet, else None: one administrator is made once."""
        with self.vault.reading() as con:
            if con.scalar(sa.select(sa.func.count()).select_from(users)):
                return None
        password = passwords.one_time()
        kept = passwords.keep(password)
        with self.vault.writing() as con:
            if con.scalar(sa.select(sa.func.count()).select_from(users)):
                return None  # another process was quicker
            fields = checked("admin", "Administrator", "administrator", (), ())
            con.execute(users.insert().values(**fields, password=kept, must_change=True, made_at=self._now_text()))
            self._note(con, SYSTEM, "user add", "admin", None, _shown(self._row(con, users.c.login == "admin", "")))
        return "admin", password

    def _keep_one_administrator(self, con, row):
        if row.role != "administrator" or not row.active:
            return
        others = sa.select(sa.func.count()).where(
            users.c.role == "administrator", users.c.active, users.c.id != row.id
        )  # fmt: skip
        if not con.scalar(others):
            raise _error("", N_("This is the last administrator who can sign in. Add another one first."))

    # --- signing in ---

    def sign_in(self, login, password, *, address="", browser=""):
        """Opened for the right name and password; AccountError and TooManyTries say nothing about who exists.

        Every try costs one hash, also for a name that nobody has, and counts before it is made.
        """
        login = login.strip().lower()[:100]
        keys = self._try(f"login:{login}", address)
        with self.vault.reading() as con:
            row = con.execute(sa.select(users).where(users.c.login == login)).one_or_none()
        known = row is not None and row.active
        if not passwords.fits(row.password if known else None, password):
            raise _error("", WRONG)
        with self.vault.writing() as con:
            now = self._row(con, users.c.id == row.id, row.id)
            if not now.active or now.password != row.password:
                raise _error("", WRONG)
            self._succeeded(con, *keys)
            return self._open(con, now, address, browser, asks_code=bool(now.totp))

    def sign_in_with_code(self, token, code, *, address="", browser=""):
        """Opened for the code of the app, or for an unused recovery code, after the password was right."""
        asked = self._asked(token)
        if asked is None:
            raise _error("", N_("That took too long. Sign in with your name and password again."))
        keys = self._try(f"code:{asked.id}", address)
        with self.vault.writing() as con:
            row = self._row(con, users.c.id == asked.id, asked.id)
            if not row.active or not self._code_fits(con, row, code):
                raise _error("code", WRONG_CODE)
            self._succeeded(con, *keys)
            con.execute(sessions.delete().where(sessions.c.token == _hashed(token)))
            return self._open(con, row, address, browser)

    def sign_in_outside(self, subject, *, login, name, role, address="", browser=""):
        """Opened for somebody whom single sign-on vouches for; made at first, name and role kept up to date.

        subject: issuer and subject, which alone say who it is: a login that somebody else has here is
        not taken over. A disabled person stays out.
        """
        with self.vault.reading() as con:
            row = con.execute(sa.select(users).where(users.c.subject == subject)).one_or_none()
        if row is None:
            row = self.add("single sign-on", login, name=name, role=role, subject=subject)
        elif not row.active:
            raise _error("", N_("Your account is disabled. Ask an administrator."))
        elif (row.name, row.role) != (name, role):
            scope = {"wards": json.loads(row.wards), "media": json.loads(row.media)}
            self.edit("single sign-on", row.id, name=name, role=role, **scope)
        with self.vault.writing() as con:
            return self._open(con, self._row(con, users.c.id == row.id, row.id), address, browser)

    def asks_code(self, token):
        """Whether this token waits for a one-time code."""
        return self._asked(token) is not None

    def _asked(self, token):
        with self.vault.reading() as con:
            query = sa.select(users.c.id, sessions.c.made_at).join_from(sessions, users)
            row = con.execute(query.where(sessions.c.token == _hashed(token), sessions.c.state == "code")).one_or_none()
        return row if row and row.made_at > _text(self._clock() - self.rules.for_code) else None

    def _code_fits(self, con, row, code):
        step = totp.accepted(row.totp_secret, code, self._clock(), row.totp_used) if row.totp else None
        if step is not None:
            con.execute(users.update().where(users.c.id == row.id).values(totp_used=step))
            return True
        unused = (
            recovery_codes.c.user == row.id,
            recovery_codes.c.hash == totp.recovery_hash(code),
            recovery_codes.c.used_at.is_(None),
        )
        if not con.execute(recovery_codes.update().where(*unused).values(used_at=self._now_text())).rowcount:
            return False
        self._note(con, _user(row), "recovery code used", row.login, None, None)
        return True

    # --- sessions ---

    def _open(self, con, row, address, browser, *, asks_code=False):
        token, now = secrets.token_urlsafe(32), self._now_text()
        self._sweep(con)
        con.execute(
            sessions.insert().values(
                token=_hashed(token), user=row.id, state="code" if asks_code else "open", made_at=now, seen_at=now,
                address=address[:60], browser=browser[:300],
            )
        )  # fmt: skip
        if not asks_code:
            con.execute(users.update().where(users.c.id == row.id).values(signed_in_at=now))
        return Opened(token, asks_code)

    def _sweep(self, con):
        now = self._clock()
        old = [sessions.c.made_at < _text(now - self.rules.longest), sessions.c.seen_at < _text(now - self.rules.idle)]
        con.execute(sessions.delete().where(sa.or_(*old)))
        con.execute(attempts.delete().where(attempts.c.last_at < _text(now - self.rules.forget_tries)))

    def _good(self):
        now = self._clock()
        return (
            sessions.c.state == "open",
            users.c.active,
            sessions.c.made_at > _text(now - self.rules.longest),
            sessions.c.seen_at > _text(now - self.rules.idle),
        )

    def open_session(self, number, *, address="", browser=""):
        """Opened for a person without asking for a password: for tests and for a password just changed."""
        with self.vault.writing() as con:
            return self._open(con, self._row(con, users.c.id == number, number), address, browser)

    def session(self, token):
        """The Session of a token, or None; notes its use now and then."""
        columns = [c for c in sessions.c if c.name not in ("token", "state")]
        query = sa.select(*[c.label(f"s_{c.name}") for c in columns], users).join_from(sessions, users)
        with self.vault.reading() as con:
            row = con.execute(query.where(sessions.c.token == _hashed(token), *self._good())).one_or_none()
        if row is None:
            return None
        if row.s_seen_at < _text(self._clock() - self.rules.note_use_every):
            with self.vault.writing() as con:
                con.execute(sessions.update().where(sessions.c.id == row.s_id).values(seen_at=self._now_text()))
        return Session(row.s_id, _user(row), row.s_made_at, row.s_seen_at, row.s_address, row.s_browser)

    def sessions(self, user):
        """The good sessions of a person, the latest used first."""
        query = sa.select(sessions).join(users).where(sessions.c.user == user.id, *self._good())
        with self.vault.reading() as con:
            rows = con.execute(query.order_by(sessions.c.seen_at.desc())).all()
        return [Session(r.id, user, r.made_at, r.seen_at, r.address, r.browser) for r in rows]

    def end_session(self, user, number):
        """End one session of this person; whether there was one."""
        with self.vault.writing() as con:
            which = (sessions.c.id == number, sessions.c.user == user.id)
            return bool(con.execute(sessions.delete().where(*which)).rowcount)

    def end_sessions(self, user, *, but=None):
        """End all sessions of this person, except the one with the number `but`."""
        with self.vault.writing() as con:
            con.execute(sessions.delete().where(sessions.c.user == user.id, sessions.c.id != (but or 0)))

    def sign_out(self, token):
        with self.vault.writing() as con:
            con.execute(sessions.delete().where(sessions.c.token == _hashed(token)))

    @staticmethod
    def _end(con, number):
        con.execute(sessions.delete().where(sessions.c.user == number))

    # --- tries ---

    def _try(self, key, address):
        """Count a try before it is made; TooManyTries where one has to wait. Returns the keys counted."""
        rules, now = self.rules, self._clock()
        counted = [(key, rules.free_tries, rules.longest_wait)]
        if address:
            counted.append((f"address:{_place(address)}", rules.free_tries_address, rules.longest_wait_address))
        with self.vault.writing() as con:
            rows = {k: con.execute(sa.select(attempts).where(attempts.c.key == k)).one_or_none() for k, _, _ in counted}
            waits = [datetime.fromisoformat(r.wait_until) - now for r in rows.values() if r]
            longest = max(waits, default=timedelta())
            if longest > timedelta():
                raise TooManyTries(-int(-longest.total_seconds() // 1))
            for k, free, most in counted:
                row = rows[k]
                stale = row is None or row.last_at < _text(now - rules.forget_tries)
                failures = 1 if stale else row.failures + 1
                wait = min(rules.first_wait * 2 ** min(failures - free, 30), most) if failures >= free else timedelta()
                con.execute(attempts.delete().where(attempts.c.key == k))
                con.execute(
                    attempts.insert().values(key=k, failures=failures, last_at=_text(now), wait_until=_text(now + wait))
                )
        return [k for k, _, _ in counted]

    def _succeeded(self, con, key, *address):
        """The try was good: forget those for the name, and take this one off the address's count."""
        self._forget_tries(con, key)
        for k in address:
            con.execute(
                attempts.update()
                .where(attempts.c.key == k)
                .values(failures=sa.func.max(attempts.c.failures - 1, 0), wait_until=attempts.c.last_at)
            )

    @staticmethod
    def _forget_tries(con, *keys):
        con.execute(attempts.delete().where(attempts.c.key.in_(keys)))

    # --- one's own password and codes ---

    def change_password(self, user, old, new, *, address="", browser=""):
        """Opened with the new password; every other session ends.

        The old one is asked for, except where a one-time password has to be replaced.
        """
        row = self._prove(user, None if user.must_change else old, address)
        wrong = passwords.problem(new, row.login)
        if wrong is None and passwords.fits(row.password, new):
            wrong = N_("Choose a password that differs from the present one."), {}
        if wrong:
            raise _error("new", wrong[0], **wrong[1])
        kept = passwords.keep(new)
        with self.vault.writing() as con:
            same = (users.c.id == user.id, users.c.active, users.c.password == row.password)
            if not con.execute(users.update().where(*same).values(password=kept, must_change=False)).rowcount:
                raise _error("old", WRONG_OLD)
            self._end(con, user.id)
            self._note(con, user, "password change", row.login, None, None)
            return self._open(con, row, address, browser)

    def _prove(self, user, password, address):
        """The row of a person who has just typed their password (None: it is not asked for)."""
        if password is not None:
            keys = self._try(f"old:{user.id}", address)
        with self.vault.reading() as con:
            row = self._row(con, users.c.id == user.id, user.id)
        if password is None and row.must_change:
            return row
        if not passwords.fits(row.password, password or ""):
            raise _error("old", WRONG_OLD)
        with self.vault.writing() as con:
            self._succeeded(con, *keys)
        return row

    def start_codes(self, user, password, *, address=""):
        """Make a secret for one-time codes; nothing is asked for at sign-in before confirm_codes()."""
        self._prove(user, password, address)
        with self.vault.writing() as con:
            off = (users.c.id == user.id, sa.not_(users.c.totp))
            con.execute(users.update().where(*off).values(totp_secret=totp.new_secret(), totp_used=None))

    def pending_secret(self, user):
        """The secret that waits for its first code, or None."""
        with self.vault.reading() as con:
            row = self._row(con, users.c.id == user.id, user.id)
            return None if row.totp else row.totp_secret

    def confirm_codes(self, user, code, *, address=""):
        """Switch one-time codes on with the first code of the app; the recovery codes, given back once."""
        keys = self._try(f"code:{user.id}", address)
        with self.vault.writing() as con:
            row = self._row(con, users.c.id == user.id, user.id)
            waiting = row.totp_secret is not None and not row.totp
            step = totp.accepted(row.totp_secret, code, self._clock()) if waiting else None
            if step is None:
                raise _error("code", N_("This is not the code of now. Check that the clock of the phone is right."))
            self._succeeded(con, *keys)
            con.execute(users.update().where(users.c.id == user.id).values(totp=True, totp_used=step))
            self._note(con, user, "codes on", row.login, None, None)
            return self._new_recovery(con, user.id)

    def new_recovery(self, user, password, *, address=""):
        """New recovery codes, given back once; the old ones are void."""
        self._prove(user, password, address)
        with self.vault.writing() as con:
            if not self._row(con, users.c.id == user.id, user.id).totp:
                raise _error("", N_("One-time codes are off."))
            self._note(con, user, "recovery codes new", user.login, None, None)
            return self._new_recovery(con, user.id)

    def recovery_left(self, user):
        """How many recovery codes are unused."""
        query = sa.select(sa.func.count()).where(recovery_codes.c.user == user.id, recovery_codes.c.used_at.is_(None))
        with self.vault.reading() as con:
            return con.scalar(query)

    def stop_codes(self, user, password, *, address=""):
        """Switch one-time codes off."""
        self._prove(user, password, address)
        with self.vault.writing() as con:
            self._drop_codes(con, user.id)
            self._note(con, user, "codes off", user.login, None, None)

    @staticmethod
    def _new_recovery(con, number):
        codes = totp.recovery_codes()
        con.execute(recovery_codes.delete().where(recovery_codes.c.user == number))
        con.execute(recovery_codes.insert(), [{"user": number, "hash": totp.recovery_hash(c)} for c in codes])
        return codes

    @staticmethod
    def _drop_codes(con, number):
        con.execute(users.update().where(users.c.id == number).values(totp=False, totp_secret=None, totp_used=None))
        con.execute(recovery_codes.delete().where(recovery_codes.c.user == number))

    # --- how to reach a citizen ---

    def keep_contact(self, report_code, *, name="", phone="", email="", consent=""):
        """Keep how to reach the sender of a report. consent: version of the text they agreed to; required.

        The audit notes that it was kept, never what. Kept again, it replaces what was there.
        """
        if not consent:
            raise _error("consent", N_("Without your consent we keep no name, number or address."))
        given = {"name": name or None, "phone": phone or None, "email": email or None}
        with self.vault.writing() as con:
            con.execute(contacts.delete().where(contacts.c.report == report_code))
            con.execute(
                contacts.insert().values(report=report_code, **given, consent=consent, consent_at=self._now_text())
            )
            told = {"consent": consent, "fields": [k for k, v in given.items() if v]}
            self._note(con, "citizen", "contact keep", report_code, None, told, kind="report")

    def contact(self, report_code):
        """name, phone, email, consent, consent_at of the sender of a report, or None."""
        with self.vault.reading() as con:
            row = con.execute(sa.select(contacts).where(contacts.c.report == report_code)).mappings().one_or_none()
        return row and {k: v for k, v in row.items() if k != "report"}

    def forget_contact(self, report_code, *, by="citizen"):
        """Delete how to reach somebody; whether there was anything."""
        with self.vault.writing() as con:
            gone = con.execute(contacts.delete().where(contacts.c.report == report_code)).rowcount
            if gone:
                self._note(con, by, "contact forget", report_code, None, None, kind="report")
        return bool(gone)

    # --- the audit ---

    def _now_text(self):
        return _text(self._clock())

    def _note(self, con, by, action, thing, old, new, *, kind="user"):
        person = isinstance(by, User)
        audit.append(
            con, at=self._clock(), who=by.login if person else by, who_id=by.id if person else None,
            role=by.role if person else SYSTEM, action=action, thing=f"{kind}:{thing}", old=old, new=new,
        )  # fmt: skip

    def verify_audit(self, noted=()):
        """Problems of the audit of accounts, as sentences; none when the chain holds."""
        with self.vault.reading() as con:
            return audit.verify(con, noted)

    def audit_rows(self, **choice):
        """Rows of the audit, newest first, as layers.audit.rows chooses them."""
        with self.vault.reading() as con:
            return list(audit.rows(con, **choice))


def _shown(row):
    """What the audit tells of an account: never anything secret."""
    return {
        "name": row.name, "role": row.role, "wards": json.loads(row.wards), "media": json.loads(row.media),
        "outside": row.subject is not None,
    }  # fmt: skip
