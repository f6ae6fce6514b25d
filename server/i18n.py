"""Two languages: words from server/locale, numbers and dates as each language writes them.

Source strings are English. `python -m server.i18n update` adds missing ones to messages.po with an
empty translation; tests/test_i18n.py fails until they are filled. Because texts are always
formatted with %, a literal per cent sign in a source string is written %%.
"""

import datetime
import io
import json
import math
import re
import sys
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from urllib.parse import urlencode

from babel.messages import extract
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from flask import g, has_request_context, request
from jinja2 import pass_context
from markupsafe import Markup, escape

from server.citytime import local

LANGUAGES = {"vi": "Tiếng Việt", "en": "English"}
DEFAULT = "vi"
ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "server" / "locale"
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*(?:Z|[+-]\d{2}:\d{2})$")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@cache
def translations(language):
    path = LOCALE / language / "messages.po"
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


def language():
    return g.get("language", DEFAULT) if has_request_context() else DEFAULT


def N_(message):
    """Marks a text for translation where it cannot be translated yet (a table at import)."""
    return message


def _raw_gettext(message):
    return translations(language()).gettext(message) if message else ""


def _raw_ngettext(one, many, n):
    return translations(language()).ngettext(one, many, n)


def _spelled(counted):
    """The ngettext of templates with its number as the reader writes it."""

    @pass_context
    def ngettext(context, one, many, n, **values):
        return counted(context, one, many, n, **({"num": number(n)} | values))

    return ngettext


def gettext(message, **values):
    return _raw_gettext(message) % values


def ngettext(one, many, n, **values):
    return _raw_ngettext(one, many, n) % {"num": number(n), **values}


_ = gettext


def text(thing, field):
    """name_vi or name_en of a dict or object, whichever the reader wants; the other if it is missing."""
    other = "en" if language() == "vi" else "vi"
    for lang in (language(), other):
        key = f"{field}_{lang}"
        value = thing.get(key) if isinstance(thing, dict) else getattr(thing, key, None)
        if value:
            return value
    return ""


# --- numbers and dates, plain text ---------------------------------------------------------------

NO_DATA = "–"


def _known(value):
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def number(value, digits=None):
    """1234.5 as "1.234,5" (vi) or "1,234.5" (en); a missing value as a dash.

    digits: how many decimals; None keeps at most two and drops trailing zeros.
    """
    if not _known(value):
        return NO_DATA
    written = f"{value:,.{2 if digits is None else digits}f}"
    if digits is None and "." in written:
        written = written.rstrip("0").rstrip(".")
    if float(written.replace(",", "")) == 0:
        written = written.lstrip("-")
    written = written.replace("-", "−")
    return written.translate(str.maketrans(",.", ".,")) if language() == "vi" else written


def significant(value, figures=3):
    """value rounded to significant figures; zero and missing stay as they are."""
    if not _known(value) or value == 0:
        return value
    return round(value, figures - 1 - math.floor(math.log10(abs(value))))


def m3(value, about=False):
    """An estimate in m³/day to three significant figures, without the unit."""
    rounded = significant(value)
    if _known(rounded) and 0 < abs(rounded) < 1:
        written = _("under 1")
    else:
        written = number(rounded, 0 if _known(rounded) and abs(rounded) >= 10 else None)
    return _("about %(value)s", value=written) if about and _known(value) else written


def percent(value, digits=None, unit=True, exact=False):
    """A share 0..1 as per cent: one decimal under 10 %, none above. exact: one decimal unless it is 0."""
    if not _known(value):
        return NO_DATA
    share = value * 100
    if exact:
        digits = 0 if round(share, 1) == round(share) else 1
    elif digits is None:
        digits = 1 if 0 < abs(share) < 9.95 or 99 < share < 100 else 0
    return number(share, digits) + (("\u00a0%" if language() == "vi" else "%") if unit else "")


def _bounds(value):
    if not value:
        return None, None, None
    return value.get("low"), value.get("likely"), value.get("high")


def m3_range(value):
    """{low, likely, high} as "368.000 (301.000–441.000)"."""
    low, likely, high = _bounds(value)
    if not (_known(low) and _known(high)) or m3(low) == m3(high):
        return m3(likely)
    return f"{m3(likely)} ({m3(low)}–{m3(high)})"


def percent_range(value):
    """{low, likely, high} of a share as "6,1 % (2,3–15)"."""
    low, likely, high = _bounds(value)
    if not (_known(low) and _known(high)) or percent(low) == percent(high):
        return percent(likely)
    return f"{percent(likely)} ({percent(low, unit=False)}–{percent(high, unit=False)})"


def date(value):
    """22/11/2026 or 22 Nov 2026; also from "2026", "2026-11" and "2026-11-22".

    An instant (datetime with a zone, or text with a time and a zone) is told by the day of the city.
    """
    if value is None or value == "":
        return NO_DATA
    if getattr(value, "tzinfo", None) or (isinstance(value, str) and _INSTANT.match(value)):
        value = local(value)
    if isinstance(value, (datetime.date, datetime.datetime)):
        parts = (value.year, value.month, value.day)
    else:
        match = re.match(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?(?:[T ]|$)", str(value))
        if not match:
            return str(value)
        parts = tuple(int(part) for part in match.groups() if part)
    if language() == "vi":
        return "/".join(f"{part:02d}" for part in reversed(parts))
    words = [str(parts[0])]
    if len(parts) > 1 and 1 <= parts[1] <= 12:
        words.insert(0, MONTHS[parts[1] - 1])
    if len(parts) > 2:
        words.insert(0, str(parts[2]))
    return " ".join(words)


def moment(value):
    """22/11/2026 08:15, in the city's time, of an instant (datetime or ISO text; without a zone it is UTC)."""
    if value is None or value == "":
        return NO_DATA
    at = local(value)
    return f"{date(at.date())} {at:%H:%M}"


def _spoken(function):
    """A filter that shows a missing value as a dash which says so aloud and on hover."""

    def shown(value, *args, **kwargs):
        written = function(value, *args, **kwargs)
        if written != NO_DATA:
            return escape(written)
        word = _("no data")
        return Markup('<span class="nodata" title="{0}"><span aria-hidden="true">–</span>'
                      '<span class="visually-hidden">{0}</span></span>').format(word)  # fmt: skip

    return shown


# --- strings for scripts --------------------------------------------------------------------------

KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None}


def _found(file, method, keywords, **options):
    with file.open("rb") as stream:
        for line, message, _comments, _context in extract.extract(method, stream, keywords, (), options):
            yield file, line, message


@cache
def _script_strings(folder, name):
    found = _found(Path(folder) / name, "javascript", {"t": None})
    return tuple(dict.fromkeys(message for _file, _line, message in found))


def script_strings(folder, names):
    """{source: translation} of the t("...") texts in these scripts; empty for English."""
    if language() == "en":
        return {}
    return {s: _raw_gettext(s) for name in names for s in _script_strings(str(folder), name)}


def messages():
    """Every text to translate in templates, server and scripts, as (file, line, message)."""
    for file in sorted((ROOT / "templates").rglob("*.html")):
        yield from _found(file, "jinja2.ext:babel_extract", KEYWORDS, trimmed="true", newstyle_gettext="true")
    for file in sorted((ROOT / "server").rglob("*.py")):
        if "vendor" not in file.parts:
            yield from _found(file, "python", KEYWORDS)
    for file in sorted((ROOT / "server" / "static" / "js").glob("*.js")):
        yield from _found(file, "javascript", {"t": None})


def update(language_code="vi"):
    """Adds missing texts to messages.po and drops unused ones; returns how many are untranslated."""
    path = LOCALE / language_code / "messages.po"
    with path.open("rb") as file:
        old = read_po(file, locale=language_code)
    fresh = Catalog(
        locale=language_code,
        project="Cảng Xanh",
        version="1",
        msgid_bugs_address="-",
        last_translator="Cảng Xanh",
        language_team=LANGUAGES[language_code],
        header_comment=old.header_comment,
        creation_date=old.creation_date,
        revision_date=old.creation_date,
        charset="utf-8",
        fuzzy=False,
    )
    for file, _line, message in messages():
        kept = old.get(message if isinstance(message, str) else message[0])
        fresh.add(message, kept.string if kept else "", locations=[(str(file.relative_to(ROOT)), 0)])
    for message in fresh:
        message.locations = sorted(set(message.locations))[:1]
        message.flags.discard("python-format")
    out = io.BytesIO()
    write_po(out, fresh, width=110, sort_by_file=True, include_lineno=False, omit_header=False)
    path.write_bytes(out.getvalue())
    return sum(1 for m in fresh if m.id and not (m.string if isinstance(m.string, str) else all(m.string)))


# --- the web --------------------------------------------------------------------------------------


def lang_url(code):
    """The same page with the same settings in another language. Relative, so it stays on this site."""
    pairs = [(k, v) for k, v in request.args.items(multi=True) if k != "lang"]
    return "?" + urlencode([*pairs, ("lang", code)])


def install(app, scripts):
    from server import words

    @app.before_request
    def choose():
        asked, kept = request.args.get("lang"), request.cookies.get("lang")
        g.language = next((code for code in (asked, kept) if code in LANGUAGES), DEFAULT)
        g.remember = asked in LANGUAGES and asked != kept

    @app.after_request
    def remember(response):
        if response.mimetype == "text/html":
            response.headers["Content-Language"] = language()
            response.vary.add("Cookie")
            response.headers.setdefault("Cache-Control", "private, no-cache")
        if g.get("remember"):
            response.set_cookie("lang", language(), max_age=365 * 24 * 3600, samesite="Lax", httponly=True)
        return response

    env = app.jinja_env
    env.add_extension("jinja2.ext.i18n")
    env.install_gettext_callables(_raw_gettext, _raw_ngettext, newstyle=True)
    env.globals["ngettext"] = _spelled(env.globals["ngettext"])
    env.filters.update(
        number=_spoken(number), m3=_spoken(m3), percent=_spoken(percent), date=_spoken(date),
        m3_range=_spoken(m3_range), percent_range=_spoken(percent_range),
    )  # fmt: skip
    env.globals.update(text=text, lang_url=lang_url, languages=LANGUAGES, word=words.word, words=words)

    @app.context_processor
    def context():
        return {
            "lang": language(),
            "script_strings": lambda *names: Markup(
                json.dumps(script_strings(scripts, names), ensure_ascii=False).replace("<", "\\u003c")
            ),
        }


def main(arguments):
    if arguments != ["update"]:
        print("usage: python -m server.i18n update", file=sys.stderr)
        return 1
    print(f"{update()} texts have no Vietnamese yet")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
