"""CQL2 text (OGC 21-065r2): a filter read by recursive descent into a small tree.

parse() checks everything against the fields it is given, so a tree that exists can be applied
(server/sieve.py). Days are days in the city. Not there: arithmetic, arrays, functions of our own. More than
the standard, for GDAL: ILIKE, and days as texts beside a property that is a day.
"""

from server.cql2shapes import shape_at
from server.cql2tokens import Cursor, FilterError, Word, composed, day_of
from server.cql2tree import COMPARISONS, SPATIAL, TEMPORAL, Folded, Interval, Literal, Logic, Predicate, Property
from server.i18n import N_

_SCALARS = ("text", "number", "date")
_RESERVED = {"and", "or", "not", "like", "ilike", "between", "in", "is", "null", "true", "false"}
_KIND_WORDS = {
    "text": N_("a text"), "number": N_("a number"), "date": N_("a day"), "geometry": N_("a shape"),
}  # fmt: skip


def parse(text, kinds, *, to_lonlat=None):
    """The tree of a filter.

    kinds: {property: "text", "number", "date" or "geometry"} of what may be asked. to_lonlat: brings a shapely
    geometry as it is written in the filter to longitude, latitude; by default it is there already.
    Raises FilterError with a sentence that says what and where.
    """
    reader = _Reader(text, kinds, to_lonlat)
    node = reader.disjunction()
    if reader.kind != "end":
        raise reader.unexpected(N_("the end of the filter"))
    return node


class _Reader(Cursor):
    def __init__(self, text, kinds, to_lonlat):
        super().__init__(text)
        self.kinds, self.to_lonlat = kinds, to_lonlat

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
                              place=place, found=Word(_KIND_WORDS[node.kind]), wanted=Word(_KIND_WORDS[kind]))  # fmt: skip

    def scalar(self, *, geometry=False):
        if self.kind == "string":
            return Literal(composed(self.take()), "text")
        if self.kind == "number" or (self.kind == "sign" and self.value in "+-"):
            return Literal(self.number(), "number")
        if self.word in ("casei", "accenti"):
            return self.folded(lambda: self.scalar())
        if self.opens("date", "timestamp"):
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
        if self.opens("interval"):
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
        return shape_at(self, self.to_lonlat) or self.property(("geometry",))
