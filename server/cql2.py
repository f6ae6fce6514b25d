"""CQL2 text (OGC 21-065r2): a filter read by recursive descent into a small tree.

parse() checks everything against the fields it is given, so a tree that exists can be applied
(server/sieve.py). Days are days in the city. Not there: arithmetic, arrays, functions of our own. More than
the standard, for GDAL: ILIKE, and days as texts beside a property that is a day.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date

import numpy as np
import shapely

from server.citytime import local
from server.i18n import N_

MAX_LENGTH, MAX_DEPTH = 16_000, 40
_SCALARS = ("text", "number", "date")
_FARTHEST = 1e9  # metres or degrees: a corner beyond lies in no system
COMPARISONS = ("=", "<>", "<", ">", "<=", ">=")
SPATIAL = frozenset(
    f"s_{word}" for word in ("intersects", "equals", "disjoint", "touches", "within", "overlaps", "crosses", "contains")
)
TEMPORAL = frozenset(
    f"t_{word}"
    for word in (
        *("after", "before", "contains", "disjoint", "during", "equals", "finishedby", "finishes", "intersects"),
        *("meets", "metby", "overlappedby", "overlaps", "startedby", "starts"),
    )
)
_SHAPES = {"point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection"}
_RESERVED = {"and", "or", "not", "like", "ilike", "between", "in", "is", "null", "true", "false"}


class FilterError(ValueError):
    """A filter that cannot be used. message, values: for gettext."""

    def __init__(self, message, **values):
        self.message, self.values = message, values
        super().__init__(message % values)


# --- the tree ---


@dataclass(frozen=True)
class Property:
    name: str
    kind: str  # text, number, date or geometry


@dataclass(frozen=True)
class Literal:
    """value: str, float, date or shape (in longitude, latitude), by kind."""

    value: object
    kind: str


@dataclass(frozen=True)
class Folded:
    """Text without case (casei) or without marks (accenti)."""

    how: str
    of: object
    kind: str = "text"


@dataclass(frozen=True)
class Interval:
    """start, end: Literal or Property of kind date, or None where it is open."""

    start: object
    end: object
    kind: str = "interval"


@dataclass(frozen=True)
class Predicate:
    """operator: a key of the tables above, or "like", "between", "in", "null"."""

    operator: str
    operands: tuple


@dataclass(frozen=True)
class Logic:
    """operator: "and", "or", "not", "true" or "false"."""

    operator: str
    operands: tuple = ()


def properties(node):
    """Names of the properties that a tree looks at."""
    if isinstance(node, Property):
        return {node.name}
    inner = getattr(node, "operands", None) or (getattr(node, "of", None), getattr(node, "start", None),
                                                getattr(node, "end", None))  # fmt: skip
    return set().union(*(properties(n) for n in inner if n is not None))


# --- reading ---

_TOKEN = re.compile(
    r"(?P<blank>\s+)|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[^\W\d][\w.:]*)"
    r'|"(?P<quoted>[^"]*)"|(?P<sign><>|<=|>=|[=<>(),+\-])'
)


def _tokens(text):
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


def parse(text, kinds, *, to_lonlat=None):
    """The tree of a filter.

    kinds: {property: "text", "number", "date" or "geometry"} of what may be asked. to_lonlat: brings a shapely
    geometry as it is written in the filter to longitude, latitude; by default it is there already.
    Raises FilterError with a sentence that says what and where.
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(N_("The filter is longer than %(most)s letters."), most=MAX_LENGTH)
    reader = _Reader(_tokens(text), kinds, to_lonlat)
    node = reader.disjunction()
    if reader.kind != "end":
        raise reader.unexpected(N_("the end of the filter"))
    return node


class _Reader:
    def __init__(self, tokens, kinds, to_lonlat):
        self.tokens, self.kinds, self.to_lonlat = tokens, kinds, to_lonlat
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
            return FilterError(N_("The filter ends where %(wanted)s should stand."), wanted=_Word(wanted))
        return FilterError(N_("“%(found)s” at letter %(place)s should be %(wanted)s."),
                           found=self.value[:40], place=self.place, wanted=_Word(wanted))  # fmt: skip

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

    # --- logic ---

    def disjunction(self):
        nodes = [self.conjunction()]
        while self.has("or"):
            nodes.append(self.conjunction())
        return nodes[0] if len(nodes) == 1 else Logic("or", tuple(nodes))

    def conjunction(self):
        nodes = [self.factor()]
        while self.has("and"):
            nodes.append(self.factor())
        return nodes[0] if len(nodes) == 1 else Logic("and", tuple(nodes))

    def factor(self):
        if self.has("not"):
            self.deeper()
            node = Logic("not", (self.factor(),))
            self.depth -= 1
            return node
        return self.primary()

    def primary(self):
        if self.kind == "sign" and self.value == "(":
            self.deeper()
            self.at += 1
            node = self.disjunction()
            self.sign(")")
            self.depth -= 1
            return node
        if self.word in ("true", "false"):
            return Logic(self.take().lower())
        if self.word in SPATIAL:
            return self.pair(self.shape)
        if self.word in TEMPORAL:
            return self.pair(self.period)
        return self.comparison()

    def pair(self, read):
        name = self.take().lower()
        self.sign("(")
        first = read()
        self.sign(",")
        second = read()
        self.sign(")")
        return Predicate(name, (first, second))

    # --- comparisons ---

    def comparison(self):
        place = self.place
        left = self.scalar(geometry=True)
        if self.has("is"):
            negated = self.has("not")
            if not self.has("null"):
                raise self.unexpected("NULL")
            return self.negated(negated, Predicate("null", (left,)))
        if left.kind == "geometry":
            raise FilterError(N_("The geometry is asked with functions such as S_INTERSECTS (letter %(place)s)."),
                              place=place)  # fmt: skip
        negated = self.has("not")
        if self.word in ("like", "ilike"):
            fold = (lambda node: Folded("casei", node)) if self.take().lower() == "ilike" else (lambda node: node)
            self.same_kind(left, "text", place)
            return self.negated(negated, Predicate("like", (fold(left), fold(self.pattern()))))
        if self.has("between"):
            low = self.operand(left)
            if not self.has("and"):
                raise self.unexpected("AND")
            return self.negated(negated, Predicate("between", (left, low, self.operand(left))))
        if self.has("in"):
            self.sign("(")
            values = [self.operand(left)]
            while self.kind == "sign" and self.value == ",":
                self.at += 1
                values.append(self.operand(left))
            self.sign(")")
            return self.negated(negated, Predicate("in", (left, *values)))
        if negated or self.kind != "sign" or self.value not in COMPARISONS:
            raise self.unexpected(N_("a comparison: =, <>, <, >, <=, >=, LIKE, BETWEEN, IN or IS NULL"))
        sign = self.take()
        return Predicate(sign, (left, self.operand(left)))

    @staticmethod
    def negated(yes, node):
        return Logic("not", (node,)) if yes else node

    def operand(self, left):
        place = self.place
        node = self.scalar()
        if left.kind == "date" and isinstance(node, Literal) and node.kind == "text" and day_of(node.value):
            return Literal(day_of(node.value), "date")  # not in the standard, but GDAL writes days as texts
        self.same_kind(node, left.kind, place)
        return node

    def same_kind(self, node, kind, place):
        if node.kind != kind:
            raise FilterError(N_("At letter %(place)s stands %(found)s where %(wanted)s is needed; "
                                 "texts are written 'so', days DATE('2026-11-22')."),
                              place=place, found=_Word(_KIND_WORDS[node.kind]), wanted=_Word(_KIND_WORDS[kind]))  # fmt: skip

    def scalar(self, *, geometry=False):
        if self.kind == "string":
            return Literal(composed(self.take()), "text")
        if self.kind == "number" or (self.kind == "sign" and self.value in "+-"):
            return Literal(self.number(), "number")
        if self.word in ("casei", "accenti"):
            return self.folded(lambda: self.scalar())
        if self.word in ("date", "timestamp") and self.tokens[self.at + 1][1] == "(":
            return self.instant()
        return self.property(_SCALARS + (("geometry",) if geometry else ()))

    def folded(self, inner):
        self.deeper()
        how = self.take().lower()
        self.sign("(")
        place = self.place
        of = inner()
        self.same_kind(of, "text", place)
        self.sign(")")
        self.depth -= 1
        return Folded(how, of)

    def pattern(self):
        if self.word in ("casei", "accenti"):
            return self.folded(self.pattern)
        if self.kind != "string":
            raise self.unexpected(N_("a pattern in quotes"))
        return Literal(composed(self.take()), "text")

    def number(self):
        sign = -1.0 if self.kind == "sign" and self.take() == "-" else 1.0
        if self.kind != "number":
            raise self.unexpected(N_("a number"))
        value = sign * float(self.value)
        if not np.isfinite(value):
            raise self.unexpected(N_("a number that a computer can hold"))
        self.at += 1
        return value

    def property(self, wanted):
        if self.kind not in ("name", "quoted") or (self.kind == "name" and self.word in _RESERVED):
            raise self.unexpected(N_("a property, a number, a text or a function"))
        name, place = self.value, self.place
        if name not in self.kinds:
            raise FilterError(N_("There is no property “%(name)s” (letter %(place)s). There are: %(names)s."),
                              name=name[:40], place=place, names=", ".join(sorted(self.kinds)))  # fmt: skip
        self.at += 1
        if self.kinds[name] not in wanted:
            raise FilterError(N_("The property “%(name)s” cannot stand at letter %(place)s."), name=name, place=place)
        return Property(name, self.kinds[name])

    # --- time ---

    def instant(self):
        word = self.take().lower()
        self.sign("(")
        place = self.place
        if self.kind != "string":
            raise self.unexpected(N_("a day in quotes, such as '2026-11-22'"))
        day = day_of(self.take(), only="date" if word == "date" else "time")
        if day is None:
            raise FilterError(N_("At letter %(place)s: a day is written DATE('2026-11-22'), a time "
                                 "TIMESTAMP('2026-11-22T08:30:00Z')."), place=place)  # fmt: skip
        self.sign(")")
        return Literal(day, "date")

    def period(self):
        if self.word == "interval" and self.tokens[self.at + 1][1] == "(":
            self.at += 1
            self.sign("(")
            start = self.end_of_interval()
            self.sign(",")
            end = self.end_of_interval()
            self.sign(")")
            if isinstance(start, Literal) and isinstance(end, Literal) and start.value > end.value:
                raise FilterError(N_("The interval ends (%(end)s) before it begins (%(start)s)."),
                                  start=start.value, end=end.value)  # fmt: skip
            return Interval(start, end)
        if self.word in ("date", "timestamp"):
            return self.instant()
        return self.property(("date",))

    def end_of_interval(self):
        if self.kind == "string":
            place, text = self.place, self.take()
            if text == "..":
                return None
            day = day_of(text)
            if day is None:
                raise FilterError(N_("At letter %(place)s: an end of an interval is a day in quotes or '..'."),
                                  place=place)  # fmt: skip
            return Literal(day, "date")
        return self.property(("date",))

    # --- place ---

    def shape(self):
        place = self.place
        if self.word == "bbox":
            self.at += 1
            self.sign("(")
            numbers = [self.number()]
            while self.kind == "sign" and self.value == ",":
                self.at += 1
                numbers.append(self.number())
            self.sign(")")
            if len(numbers) not in (4, 6):
                raise FilterError(N_("BBOX at letter %(place)s needs four numbers."), place=place)
            half = len(numbers) // 2
            (x0, y0), (x1, y1) = numbers[:2], numbers[half : half + 2]
            if x0 > x1 or y0 > y1:
                raise FilterError(N_("BBOX at letter %(place)s: its second corner lies below its first."), place=place)
            return self.located(shapely.box(x0, y0, x1, y1), place)
        if self.word in _SHAPES:
            shape = shapely.from_wkt(self.wkt(), on_invalid="ignore")
            if shape is None or shape.is_empty:
                raise FilterError(N_("The shape at letter %(place)s is not well-known text."), place=place)
            return self.located(shapely.force_2d(shape), place)
        return self.property(("geometry",))

    def located(self, shape, place):
        if not shape.is_valid:
            raise FilterError(N_("The shape at letter %(place)s is not valid: %(reason)s."),
                              place=place, reason=shapely.is_valid_reason(shape))  # fmt: skip
        if np.abs(shapely.get_coordinates(shape)).max() <= _FARTHEST:
            if self.to_lonlat and shape.length:  # straight where it was drawn: more corners keep it so in degrees
                x0, y0, x1, y1 = shape.bounds
                shape = shapely.segmentize(shape, max(x1 - x0, y1 - y0) / 16)
            shape = self.to_lonlat(shape) if self.to_lonlat else shape
            if np.isfinite(shapely.get_coordinates(shape)).all():
                shapely.prepare(shape)
                return Literal(shape, "geometry")
        raise FilterError(N_("The shape at letter %(place)s lies outside its coordinate system."), place=place)

    def wkt(self):
        """The tokens of a shape put together again: names of shapes, numbers, commas and brackets only."""
        out, open_brackets = [], 0
        while True:
            if self.kind == "number" or (self.kind == "sign" and self.value in "+-"):
                out.append(repr(self.number()))
                continue
            if self.word in _SHAPES or self.word == "z":
                out.append(self.take().upper())
                continue
            if self.kind != "sign" or self.value not in "(),":
                raise self.unexpected(N_("a number, a comma or a bracket of the shape"))
            sign = self.take()
            open_brackets += {"(": 1, ")": -1}.get(sign, 0)
            if open_brackets > MAX_DEPTH:
                raise FilterError(N_("The filter is nested deeper than %(most)s brackets."), most=MAX_DEPTH)
            out.append(sign)
            if open_brackets <= 0:
                return " ".join(out)


class _Word(str):
    """Words inside a sentence that are translated with it."""


_KIND_WORDS = {
    "text": N_("a text"), "number": N_("a number"), "date": N_("a day"), "geometry": N_("a shape"),
}  # fmt: skip


def translated(error, gettext):
    """The sentence of a FilterError in the reader's language."""
    values = {k: gettext(v) if isinstance(v, _Word) else v for k, v in error.values.items()}
    return gettext(error.message, **values)


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
