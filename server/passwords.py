"""Passwords: what may be one, how it is kept, and the one-time password that a person is given."""

import secrets
import unicodedata
from string import digits

from werkzeug.security import check_password_hash, generate_password_hash

from server.i18n import N_

METHOD = "scrypt:32768:8:1"  # memory-hard: 32 MB and about a tenth of a second for each try
LEAST, MOST = 12, 200
# No password has this hash. It takes the place of a missing one, so that every try costs the same.
NO_PASSWORD = f"{METHOD}$nobodyhasthisone${'0' * 128}"
# Of at least twelve characters: a shorter one is refused by its length.
_COMMON = """password1234 password12345 password123456 passwordpassword administrator administrator1 iloveyou1234
welcome12345 changeme1234 letmein12345 qwertyuiop12 qwertyuiop123 qwertyuiopasdf 1qaz2wsx3edc 1q2w3e4r5t6y
q1w2e3r4t5y6 zaq12wsxcde3 asdfghjkl123 123qweasdzxc 123456qwerty qwerty123456 qwerty12345678 abcd12345678
abc123456789 a12345678910 123123123123 123456123456 121212121212 matkhau12345 matkhau123456 matkhaumatkhau
khongcomatkhau vietnam12345 vietnam123456 haiphong1234 haiphong12345 haiphong123456 cangxanh1234
cangxanh12345 anhyeuem1234 emyeuanh1234 tokhongbiet12 trustno1trustno1 correcthorsebatterystaple"""
COMMONEST = frozenset(_COMMON.split())
_RUNS = (digits * 3, "9876543210" * 3, "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")
_CLEAR = "abcdefghjkmnpqrstuvwxyz23456789"  # without characters that are taken for one another


def same_form(text):
    """The text as it is hashed: a letter and its accent are one character, however they were typed."""
    return unicodedata.normalize("NFKC", text)


def problem(password, login):
    """Why a text cannot be the password of this login: a sentence for gettext with its values, or None.

    Length is what counts; nothing is asked about digits or signs.
    """
    text = same_form(password)
    plain = text.casefold()
    if len(text) < LEAST:
        return N_("A password has at least %(n)s characters; a few words together are easy to keep."), {"n": LEAST}
    if len(text) > MOST:
        return N_("A password has at most %(n)s characters."), {"n": MOST}
    if login and plain.replace(login.casefold(), "").strip(digits + " .-_") == "" and login.casefold() in plain:
        return N_("The password must not be the name you sign in with."), {}
    if plain in COMMONEST or len(set(plain)) < 4 or any(plain in run for run in _RUNS):
        return N_("This password is among the first that others would try. Choose another one."), {}
    return None


def keep(password):
    """The hash to keep."""
    return generate_password_hash(same_form(password), METHOD)


def fits(kept, password):
    """Whether a password fits a kept hash; None fits nothing. One hash is computed in every case."""
    right = check_password_hash(kept or NO_PASSWORD, same_form(password[: MOST + 1]))
    return right and kept is not None


def one_time():
    """A new password for somebody to use once: four groups of four, 79 random bits."""
    return "-".join("".join(secrets.choice(_CLEAR) for _ in range(4)) for _ in range(4))
