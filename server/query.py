"""What may stand behind the ? of an address, checked at the door."""

from datetime import date

from flask import request

from server.errors import Refused
from server.i18n import gettext as _

FIRST_DAY, LAST_DAY = date(2010, 1, 1), date(2050, 12, 31)
MAX_TEXT = 100


def choice(name, allowed, default):
    """One of the allowed words; a blank is the default. Anything else is refused with the list."""
    value = request.args.get(name) or default
    if value not in allowed:
        raise Refused(
            _(
                "“%(name)s” must be one of: %(allowed)s.",
                name=name,
                allowed=", ".join(a for a in allowed if a),
            )
        )
    return value


def day(name, default):
    """A date written YYYY-MM-DD within the years the figures speak of."""
    text = request.args.get(name)
    if not text:
        return default
    try:
        value = date.fromisoformat(text)
    except ValueError:
        raise Refused(_("“%(name)s” must be a date such as 2026-11-22.", name=name)) from None
    if not FIRST_DAY <= value <= LAST_DAY:
        raise Refused(
            _(
                "“%(name)s” must lie between %(first)s and %(last)s.",
                name=name,
                first=FIRST_DAY.isoformat(),
                last=LAST_DAY.isoformat(),
            )
        )
    return value


def number(name, default=1, most=10**6):
    """A whole number, at most `most`; a blank is the default."""
    text = request.args.get(name, "")
    if text and not (text.isdecimal() and len(text) < 8):
        raise Refused(_("“%(name)s” must be a whole number.", name=name))
    return min(int(text), most) if text else default


def cut(rows, per_page):
    """(rows of the page that is asked for, its number, how many pages); past the end it is the last one."""
    pages = max(1, -(-len(rows) // per_page))
    page = min(max(1, number("page")), pages)
    return rows[(page - 1) * per_page : page * per_page], page, pages


def words(name="q"):
    """Free text, cut to a sensible length, without control characters."""
    text = request.args.get(name, "")[:MAX_TEXT]
    return "".join(c for c in text if c.isprintable()).strip()


def keep(**changes):
    """The present settings of the page with some changed, as arguments for url_for."""
    held = {k: v for k, v in request.args.items() if k != "lang"}
    return {k: v for k, v in (held | changes).items() if v not in (None, "")}
