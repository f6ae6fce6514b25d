"""One-time codes of an authenticator app (RFC 6238: SHA-1, six digits, thirty seconds) and recovery codes."""

import hashlib
import re
import secrets

import pyotp
import segno

ISSUER = "Cảng Xanh"
STEP_S = 30
TOLERANCE = 1  # steps that a clock may be off, either way
RECOVERY_CODES = 10
_CLEAR = "abcdefghjkmnpqrstuvwxyz23456789"


def new_secret():
    """A secret of 160 random bits, in base 32."""
    return pyotp.random_base32()


def address(secret, login):
    """The otpauth:// address that an authenticator app reads."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def picture(text):
    """The QR code of a text as a data: address of an SVG, with the quiet border the standard asks for."""
    return segno.make(text, error="m", micro=False).svg_data_uri(scale=5, border=4, dark="#16252b", light="#fff")


def grouped(secret):
    """A secret as it is typed by hand: groups of four."""
    return " ".join(re.findall(".{1,4}", secret))


def step(at):
    """The number of the thirty seconds that a moment lies in."""
    return int(at.timestamp()) // STEP_S


def accepted(secret, code, at, used=None):
    """The step whose code this is, or None. at: time with zone.

    A step up to `used`, the newest one accepted before, is never accepted again: a code that was
    seen over the shoulder is of no use.
    """
    digits = re.sub(r"\s", "", code)
    if not re.fullmatch("[0-9]{6}", digits):
        return None
    now, generator, found = step(at), pyotp.TOTP(secret), None
    for n in range(max(now - TOLERANCE, 0), now + TOLERANCE + 1):
        if secrets.compare_digest(generator.at(n * STEP_S), digits) and (used is None or n > used):
            found = n
    return found


def recovery_codes():
    """New codes for the day the phone is lost, each good once: 79 random bits."""
    return [
        "-".join("".join(secrets.choice(_CLEAR) for _ in range(4)) for _ in range(4)) for _ in range(RECOVERY_CODES)
    ]


def recovery_hash(code):
    """What is kept of a recovery code. A plain hash is enough: it cannot be guessed from 79 random bits."""
    return hashlib.sha256(re.sub(r"[\s-]", "", code).lower().encode()).hexdigest()
