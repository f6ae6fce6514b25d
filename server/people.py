"""Who a person is to the register: role and scope, and what may be written into an account."""

import json
import re
from dataclasses import dataclass

from server.i18n import N_

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


def wrong_field(field, sentence, **values):
    return AccountError(Problem(field, sentence, values))


def user_of(row):
    """The User in a row of the table users."""
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
