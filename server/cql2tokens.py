"""The words of a CQL2 filter one after the other, days and texts as they are written in it, and what is wrong with it."""

import re
import unicodedata
from datetime import date

import numpy as np

from server.citytime import local
from server.i18n import N_

MAX_LENGTH, MAX_DEPTH = 16_000, 40


class FilterError(ValueError):
    """A filter that cannot be used. message, values: for gettext."""

    def __init__(self, message, **values):
        self.message, self.values = message, values
        super().__init__(message % values)


class Word(str):
    """Words inside a sentence that are translated with it."""


def translated(error, gettext):
    """The sentence of a FilterError in the reader's language."""
    values = {k: gettext(v) if isinstance(v, Word) else v for k, v in error.values.items()}
    return gettext(error.message, **values)


# --- tokens ---

_TOKEN = re.compile(
    r"(?P<blank>\s+)|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[^\W\d][\w.:]*)"
    r'|"(?P<quoted>[^"]*)"|(?P<sign><>|<=|>=|[=<>(),+\-])'
)


def tokens_of(text):
    """(kind, value, place) of each token; place counts letters from 1."""
    out, at = [], 0
    while at < len(text):
        if text[at] == "'":
            value, end = _string(text, at)
            out.append(("string", value, at + 1))
        else:
            match = _TOKEN.match(text, at)
            if not match:
                raise FilterError(N_("“%(sign)s” at letter %(place)s cannot stand in a filter."),
                                  sign=text[at], place=at + 1)  # fmt: skip
            end, kind = match.end(), match.lastgroup
            if kind != "blank":
                out.append((kind, match.group(kind), at + 1))
        at = end
    return [*out, ("end", "", len(text) + 1)]


def _string(text, at):
    """The text between quotes that begin at `at`, and where it ends; '' and \\' stand for a quote."""
    value, i = [], at + 1
    while i < len(text):
        if text[i] == "'" and text[i + 1 : i + 2] != "'":
            return "".join(value), i + 1
        if text[i] == "'" or (text[i] == "\\" and text[i + 1 : i + 2] == "'"):
            i += 1
        value.append(text[i])
        i += 1
    raise FilterError(N_("The text that begins at letter %(place)s has no closing quote."), place=at + 1)


class Cursor:
    """A place in the tokens of a filter. kind, value, place: of the token there; a wrong one is a FilterError."""

    def __init__(self, text):
        if len(text) > MAX_LENGTH:
            raise FilterError(N_("The filter is longer than %(most)s letters."), most=MAX_LENGTH)
        self.tokens = tokens_of(text)
        self.at = self.depth = 0

    @property
    def kind(self):
        return self.tokens[self.at][0]

    @property
    def value(self):
        return self.tokens[self.at][1]

    @property
    def place(self):
        return self.tokens[self.at][2]

    @property
    def word(self):
        """The token as a word of the language, in small letters; "" where it is none."""
        return self.value.lower() if self.kind == "name" else ""

    def unexpected(self, wanted):
        if self.kind == "end":
            return FilterError(N_("The filter ends where %(wanted)s should stand."), wanted=Word(wanted))
        return FilterError(N_("“%(found)s” at letter %(place)s should be %(wanted)s."),
                           found=self.value[:40], place=self.place, wanted=Word(wanted))  # fmt: skip

    def take(self):
        token = self.tokens[self.at]
        self.at += 1
        return token[1]

    def sign(self, sign):
        if self.kind != "sign" or self.value != sign:
            raise self.unexpected(f"“{sign}”")
        self.at += 1

    def has(self, *words):
        if self.word in words:
            self.at += 1
            return True
        return False

    def deeper(self):
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise FilterError(N_("The filter is nested deeper than %(most)s brackets."), most=MAX_DEPTH)

    def opens(self, *words):
        """Whether one of the words stands here with a bracket after it."""
        return self.word in words and self.tokens[self.at + 1][1] == "("

    def number(self):
        sign = -1.0 if self.kind == "sign" and self.take() == "-" else 1.0
        if self.kind != "number":
            raise self.unexpected(N_("a number"))
        value = sign * float(self.value)
        if not np.isfinite(value):
            raise self.unexpected(N_("a number that a computer can hold"))
        self.at += 1
        return value


# --- days and texts ---

_DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T?")  # GDAL writes days as 2025-07-01T
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")


def day_of(text, *, only=None):
    """The day in the city of an RFC 3339 day or time, or None. only: "date" or "time" for one of them.

    >>> day_of("2025-06-30T18:00:00Z")
    datetime.date(2025, 7, 1)
    """
    try:
        if _DAY.fullmatch(text) and only != "time":
            return date.fromisoformat(text[:10])
        if _TIME.fullmatch(text.upper()) and only != "date":
            whole = re.sub(r"\.\d+", "", text.upper()).replace("Z", "+00:00").replace(":60", ":59")
            return local(whole).date()
    except (ValueError, OverflowError):
        pass
    return None


def composed(text):
    """Text with marks and letters as one sign each, so that both ways of writing Vietnamese are equal."""
    return unicodedata.normalize("NFC", text)
