"""The accounts of the people who work with the register: added, changed, signed in, kept safe.

Every change of an account and its audit row are one transaction in var/accounts.db.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa

from layers import audit
from server import passwords, sessions, totp, tries
from server.i18n import N_
from server.people import ROLES, AccountError, User, checked, user_of, wrong_field
from server.sessions import utc_text
from server.tries import TooManyTries
from server.vault import Vault, contacts, recovery_codes, users

__all__ = ["ROLES", "AccountError", "Accounts", "Rules", "TooManyTries", "User"]
SYSTEM = "system"
WRONG = N_("The name or the password is not right. Check both and try again.")
WRONG_OLD = N_("This is not your present password.")
WRONG_CODE = N_("This code is not right, or it was used already. Wait for the next one and try again.")


@dataclass(frozen=True)
class Rules:
    """How long a session lives and how often somebody may try."""

    life: sessions.Life = field(default_factory=sessions.Life)
    pace: tries.Pace = field(default_factory=tries.Pace)


def _utc():
    return datetime.now(UTC)


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
            return [user_of(r) for r in con.execute(sa.select(users).order_by(users.c.login))]

    def user(self, number):
        """One person; KeyError where there is none."""
        with self.vault.reading() as con:
            return user_of(_row(con, number))

    def named(self, login):
        """One person by login; KeyError where there is none."""
        with self.vault.reading() as con:
            row = con.execute(sa.select(users).where(users.c.login == login.strip().lower())).one_or_none()
        if row is None:
            raise KeyError(login)
        return user_of(row)

    # --- changes by an administrator ---

    def add(self, by, login, *, name, role, wards=(), media=(), subject=None, known_wards=None):
        """A new person, who cannot sign in before reset() gave a password or single sign-on knows them."""
        with self.vault.writing() as con:
            return self._add(con, by, checked(login, name, role, wards, media, known_wards), subject=subject)

    def _add(self, con, by, fields, **more):
        if con.scalar(sa.select(users.c.id).where(users.c.login == fields["login"])):
            raise wrong_field("login", N_("Somebody signs in with this name already."))
        made = con.execute(users.insert().values(**fields, **more, made_at=utc_text(self._clock())))
        row = _row(con, made.inserted_primary_key[0])
        self._note(con, by, "user add", row.login, None, _shown(row))
        return user_of(row)

    def edit(self, by, number, *, name, role, wards, media, known_wards=None):
        """Change name, role and scope. A new role ends every session of the person."""
        with self.vault.writing() as con:
            old = _row(con, number)
            fields = checked(old.login, name, role, wards, media, known_wards)
            if role != old.role:
                _keep_one_administrator(con, old)
                sessions.end_of(con, number)
            con.execute(users.update().where(users.c.id == number).values(**fields))
            row = _row(con, number)
            if _shown(row) != _shown(old):
                self._note(con, by, "user edit", row.login, _shown(old), _shown(row))
        return user_of(row)

    def set_active(self, by, number, active):
        """Disable somebody, which ends their sessions, or let them in again. Nobody is ever deleted."""
        with self.vault.writing() as con:
            old = _row(con, number)
            if not active:
                _keep_one_administrator(con, old)
                sessions.end_of(con, number)
            if bool(old.active) != active:
                con.execute(users.update().where(users.c.id == number).values(active=active))
                self._note(con, by, "user enable" if active else "user disable", old.login)
            return user_of(_row(con, number))

    def reset(self, by, number, *, drop_codes=False):
        """A one-time password, given back once: it has to be replaced at first use. Ends the sessions.

        drop_codes: also switch one-time codes off, for somebody whose phone is lost.
        """
        password = passwords.one_time()
        kept = passwords.keep(password)
        with self.vault.writing() as con:
            row = _row(con, number)
            con.execute(users.update().where(users.c.id == number).values(password=kept, must_change=True))
            if drop_codes:
                _drop_codes(con, number)
            sessions.end_of(con, number)
            tries.forget(con, f"login:{row.login}", f"code:{number}", f"old:{number}")
            self._note(con, by, "user reset", row.login, None, {"codes_off": bool(drop_codes and row.totp)})
        return password

    def first_administrator(self):
        """(login, one-time password) when there was no administrator yet, else None: one is made once."""
        none = ~sa.exists(sa.select(users.c.id).where(users.c.role == "administrator"))
        with self.vault.reading() as con:
            if not con.scalar(sa.select(none)):
                return None
        password = passwords.one_time()
        kept = passwords.keep(password)
        with self.vault.writing() as con:
            if not con.scalar(sa.select(none)):
                return None  # another process was quicker
            fields = checked(_free(con, "admin"), "Admin", "administrator", (), ())
            self._add(con, SYSTEM, fields, password=kept, must_change=True)
        return fields["login"], password

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
            raise wrong_field("", WRONG)
        with self.vault.writing() as con:
            now = _row(con, row.id)
            if not now.active or now.password != row.password:
                raise wrong_field("", WRONG)
            tries.succeeded(con, *keys)
            return self._start(con, row.id, address, browser, asks_code=bool(now.totp))

    def sign_in_with_code(self, token, code, *, address="", browser=""):
        """Opened for the code of the app, or for an unused recovery code, after the password was right."""
        number = self._waiting(token)
        if number is None:
            raise wrong_field("", N_("That took too long. Sign in with your name and password again."))
        keys = self._try(f"code:{number}", address)
        with self.vault.writing() as con:
            row = _row(con, number)
            if not row.active or not self._code_fits(con, row, code):
                raise wrong_field("code", WRONG_CODE)
            tries.succeeded(con, *keys)
            sessions.end(con, token)
            return self._start(con, number, address, browser)

    def sign_in_outside(self, subject, *, login, name, role, address="", browser=""):
        """Opened for somebody whom single sign-on vouches for; made at first, name and role kept up to date.

        subject: issuer and subject, which alone say who it is. A login that somebody else has here is
        not taken over: the newcomer gets a number behind it. A disabled person stays out.
        """
        with self.vault.reading() as con:
            row = con.execute(sa.select(users).where(users.c.subject == subject)).one_or_none()
        if row is None:
            with self.vault.writing() as con:
                fields = checked(_free(con, login), name, role, (), ())
                row = self._add(con, "single sign-on", fields, subject=subject)
        elif not row.active:
            raise wrong_field("", N_("Your account is disabled. Ask an administrator."))
        elif (row.name, row.role) != (name, role):
            scope = {"wards": json.loads(row.wards), "media": json.loads(row.media)}
            self.edit("single sign-on", row.id, name=name, role=role, **scope)
        with self.vault.writing() as con:
            return self._start(con, row.id, address, browser)

    def asks_code(self, token):
        """Whether this token waits for a one-time code."""
        return self._waiting(token) is not None

    def _waiting(self, token):
        with self.vault.reading() as con:
            return sessions.waiting(con, token, self._clock(), self.rules.life)

    def _start(self, con, number, address, browser, *, asks_code=False):
        return sessions.start(
            con, number, self._clock(), self.rules.life, address=address, browser=browser, asks_code=asks_code
        )

    def _try(self, key, address):
        with self.vault.writing() as con:
            return tries.count(con, key, address, self._clock(), self.rules.pace)

    def _code_fits(self, con, row, code):
        step = totp.accepted(row.totp_secret, code, self._clock(), row.totp_used) if row.totp else None
        if step is not None:
            con.execute(users.update().where(users.c.id == row.id).values(totp_used=step))
            return True
        mine = (recovery_codes.c.user == row.id, recovery_codes.c.hash == totp.recovery_hash(code))
        unused = recovery_codes.update().where(*mine, recovery_codes.c.used_at.is_(None))
        if not con.execute(unused.values(used_at=utc_text(self._clock()))).rowcount:
            return False
        self._note(con, user_of(row), "recovery code used", row.login)
        return True

    # --- sessions ---

    def open_session(self, number, *, address="", browser=""):
        """Opened for a person who is not asked for a password, as tests do."""
        with self.vault.writing() as con:
            return self._start(con, number, address, browser)

    def session(self, token):
        """The sessions.Session of a token, or None; notes its use now and then."""
        now, life = self._clock(), self.rules.life
        with self.vault.reading() as con:
            found = sessions.find(con, token, now, life)
        if found and found.seen_at < utc_text(now - life.every):
            with self.vault.writing() as con:
                sessions.note_use(con, found, now)
        return found

    def sessions(self, user):
        """The good sessions of a person, the latest used first."""
        with self.vault.reading() as con:
            return sessions.of(con, user, self._clock(), self.rules.life)

    def end_session(self, user, number):
        """End one session of this person; whether there was one."""
        with self.vault.writing() as con:
            return bool(sessions.end_of(con, user.id, only=number))

    def end_sessions(self, user, *, but=None):
        """End all sessions of this person, except the one with the number `but`."""
        with self.vault.writing() as con:
            return sessions.end_of(con, user.id, but=but)

    def sign_out(self, token):
        with self.vault.writing() as con:
            sessions.end(con, token)

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
            raise wrong_field("new", wrong[0], **wrong[1])
        kept = passwords.keep(new)
        with self.vault.writing() as con:
            same = (users.c.id == user.id, users.c.active, users.c.password == row.password)
            if not con.execute(users.update().where(*same).values(password=kept, must_change=False)).rowcount:
                raise wrong_field("old", WRONG_OLD)
            sessions.end_of(con, user.id)
            self._note(con, user, "password change", row.login)
            return self._start(con, user.id, address, browser)

    def _prove(self, user, password, address):
        """The row of a person who has just typed their password; None where it need not be typed."""
        keys = self._try(f"old:{user.id}", address) if password is not None else ()
        with self.vault.reading() as con:
            row = _row(con, user.id)
        if password is None and row.must_change:
            return row
        if not passwords.fits(row.password, password or ""):
            raise wrong_field("old", WRONG_OLD)
        with self.vault.writing() as con:
            tries.succeeded(con, *keys)
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
            row = _row(con, user.id)
            return None if row.totp else row.totp_secret

    def confirm_codes(self, user, code, *, address=""):
        """Switch one-time codes on with the first code of the app; the recovery codes, given back once."""
        keys = self._try(f"code:{user.id}", address)
        with self.vault.writing() as con:
            row = _row(con, user.id)
            pending = row.totp_secret is not None and not row.totp
            step = totp.accepted(row.totp_secret, code, self._clock()) if pending else None
            if step is None:
                raise wrong_field(
                    "code", N_("This is not the code of now. Check that the clock of the phone is right.")
                )
            tries.succeeded(con, *keys)
            con.execute(users.update().where(users.c.id == user.id).values(totp=True, totp_used=step))
            self._note(con, user, "codes on", row.login)
            return _new_recovery(con, user.id)

    def new_recovery(self, user, password, *, address=""):
        """New recovery codes, given back once; the old ones are void."""
        self._prove(user, password, address)
        with self.vault.writing() as con:
            if not _row(con, user.id).totp:
                raise wrong_field("", N_("One-time codes are off."))
            self._note(con, user, "recovery codes new", user.login)
            return _new_recovery(con, user.id)

    def recovery_left(self, user):
        """How many recovery codes are unused."""
        query = sa.select(sa.func.count()).where(recovery_codes.c.user == user.id, recovery_codes.c.used_at.is_(None))
        with self.vault.reading() as con:
            return con.scalar(query)

    def stop_codes(self, user, password, *, address=""):
        """Switch one-time codes off."""
        self._prove(user, password, address)
        with self.vault.writing() as con:
            _drop_codes(con, user.id)
            self._note(con, user, "codes off", user.login)

    # --- how to reach a citizen ---

    def keep_contact(self, report_code, *, name="", phone="", email="", consent=""):
        """Keep how to reach the sender of a report. consent: version of the text they agreed to; required.

        The audit notes that it was kept, never what. Kept again, it replaces what was there.
        """
        if not consent:
            raise wrong_field("consent", N_("Without your consent we keep no name, number or address."))
        given = {"name": name or None, "phone": phone or None, "email": email or None}
        stamp = {"consent": consent, "consent_at": utc_text(self._clock())}
        with self.vault.writing() as con:
            con.execute(contacts.delete().where(contacts.c.report == report_code))
            con.execute(contacts.insert().values(report=report_code, **given, **stamp))
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
                self._note(con, by, "contact forget", report_code, kind="report")
        return bool(gone)

    # --- the audit ---

    def _note(self, con, by, action, thing, old=None, new=None, *, kind="user"):
        who = {"who": by.login, "who_id": by.id, "role": by.role} if isinstance(by, User) else {"who": by}
        audit.append(con, at=self._clock(), action=action, thing=f"{kind}:{thing}", old=old, new=new, **who)

    def verify_audit(self, noted=()):
        """Problems of the audit of accounts, as sentences; none when the chain holds."""
        with self.vault.reading() as con:
            return audit.verify(con, noted)

    def audit_rows(self, **choice):
        """Rows of the audit, newest first, as layers.audit.rows chooses them."""
        with self.vault.reading() as con:
            return list(audit.rows(con, **choice))


def _row(con, number):
    row = con.execute(sa.select(users).where(users.c.id == number)).one_or_none()
    if row is None:
        raise KeyError(number)
    return row


def _free(con, login):
    """The login itself, or with the first number behind it that nobody has."""
    taken = set(con.scalars(sa.select(users.c.login)))
    return next(n for n in (login, *(f"{login}-{i}" for i in range(2, len(taken) + 3))) if n not in taken)


def _shown(row):
    """What the audit tells of an account: never anything secret."""
    scope = {"wards": json.loads(row.wards), "media": json.loads(row.media)}
    return {"name": row.name, "role": row.role, **scope, "outside": row.subject is not None}


def _keep_one_administrator(con, row):
    if row.role != "administrator" or not row.active:
        return
    other = (users.c.role == "administrator", users.c.active, users.c.id != row.id)
    if not con.scalar(sa.select(sa.func.count()).where(*other)):
        raise wrong_field("", N_("This is the last administrator who can sign in. Add another one first."))


def _new_recovery(con, number):
    codes = totp.recovery_codes()
    con.execute(recovery_codes.delete().where(recovery_codes.c.user == number))
    con.execute(recovery_codes.insert(), [{"user": number, "hash": totp.recovery_hash(c)} for c in codes])
    return codes


def _drop_codes(con, number):
    con.execute(users.update().where(users.c.id == number).values(totp=False, totp_secret=None, totp_used=None))
    con.execute(recovery_codes.delete().where(recovery_codes.c.user == number))
