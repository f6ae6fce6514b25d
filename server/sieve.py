"""A filter applied to the columns of a layer.

Logic has three values, as in SQL: what is missing is neither equal nor unequal, and only rows for which a
tree is true are kept. No pattern and no text makes it slow.
"""

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import shapely

from server.cql2tokens import FilterError, composed
from server.cql2tree import Folded, Interval, Predicate, Property
from server.i18n import N_

_EVER, _FOREVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max
COMPARISONS = {
    "=": np.equal, "<>": np.not_equal, "<": np.less, ">": np.greater, "<=": np.less_equal, ">=": np.greater_equal,
}  # fmt: skip
SPATIAL = {
    "s_intersects": shapely.intersects, "s_equals": shapely.equals, "s_disjoint": shapely.disjoint,
    "s_touches": shapely.touches, "s_within": shapely.within, "s_overlaps": shapely.overlaps,
    "s_crosses": shapely.crosses, "s_contains": shapely.contains,
}  # fmt: skip
# a, b: first day of the first and the second; c, d: last day of each
TEMPORAL = {
    "t_after": lambda a, c, b, d: a > d,
    "t_before": lambda a, c, b, d: c < b,
    "t_contains": lambda a, c, b, d: (a < b) & (c > d),
    "t_disjoint": lambda a, c, b, d: (c < b) | (a > d),
    "t_during": lambda a, c, b, d: (a > b) & (c < d),
    "t_equals": lambda a, c, b, d: (a == b) & (c == d),
    "t_finishedby": lambda a, c, b, d: (a < b) & (c == d),
    "t_finishes": lambda a, c, b, d: (a > b) & (c == d),
    "t_intersects": lambda a, c, b, d: (a <= d) & (c >= b),
    "t_meets": lambda a, c, b, d: c == b,
    "t_metby": lambda a, c, b, d: a == d,
    "t_overlappedby": lambda a, c, b, d: (a > b) & (a < d) & (c > d),
    "t_overlaps": lambda a, c, b, d: (a < b) & (c > b) & (c < d),
    "t_startedby": lambda a, c, b, d: (a == b) & (c > d),
    "t_starts": lambda a, c, b, d: (a == b) & (c < d),
}
_TURNED = {  # the same question from the other side: the shape of the filter is prepared, so it goes first
    "s_intersects": shapely.intersects, "s_disjoint": shapely.disjoint, "s_within": shapely.contains,
    "s_contains": shapely.within,
}  # fmt: skip


def apply(node, column, shapes, rows):
    """Which of `rows` rows a tree is true for, as an array of bool.

    column(name): the values of a property: text as objects (None = missing), numbers as float (NaN), days as
    datetime64 (NaT). shapes(): geometries in longitude, latitude (None = missing).
    """
    return np.broadcast_to(_logic(node, _Data(column, shapes))[0], rows).copy()


@dataclass(frozen=True)
class _Data:
    column: object
    shapes: object


def _logic(node, data):
    """(true, false) of each row; a row that is neither is unknown."""
    if isinstance(node, Predicate):
        answer, known = _predicate(node, data)
        return answer & known, ~answer & known
    if node.operator in ("true", "false"):
        yes = np.bool_(node.operator == "true")
        return yes, ~yes
    parts = [_logic(n, data) for n in node.operands]
    if node.operator == "not":
        return parts[0][1], parts[0][0]
    trues, falses = zip(*parts, strict=True)
    if node.operator == "and":
        return _all(trues), _any(falses)
    return _any(trues), _all(falses)


def _all(masks):
    out = masks[0]
    for m in masks[1:]:
        out = out & m
    return out


def _any(masks):
    out = masks[0]
    for m in masks[1:]:
        out = out | m
    return out


def _predicate(node, data):
    op, args = node.operator, node.operands
    if op in SPATIAL:
        (a, known_a), (b, known_b) = (_values(n, data) for n in args)
        try:
            if op in _TURNED and isinstance(b, shapely.Geometry):
                return np.asarray(_TURNED[op](b, a)), known_a & known_b
            return np.asarray(SPATIAL[op](a, b)), known_a & known_b
        except shapely.errors.GEOSException as e:
            raise FilterError(N_("The shapes of the filter cannot be compared (%(reason)s)."), reason=str(e)) from e
    if op in TEMPORAL:
        (a, c, known_a), (b, d, known_b) = (_ends(n, data) for n in args)
        return TEMPORAL[op](a, c, b, d), known_a & known_b
    values, known = _values(args[0], data)
    if op == "null":
        return ~known, np.ones_like(known)
    if op == "like":
        match = _like(_values(args[1], data)[0].item())
        return _each(match, values, known), known
    if op == "between":
        low, high = (_predicate(Predicate(o, (args[0], n)), data) for o, n in ((">=", args[1]), ("<=", args[2])))
        return low[0] & high[0], low[1] & high[1]
    if op == "in":
        same = [_predicate(Predicate("=", (args[0], n)), data) for n in args[1:]]
        hits = _any([answer & sure for answer, sure in same])
        return hits, hits | _all([sure for _answer, sure in same])
    other, known_other = _values(args[1], data)
    known = known & known_other
    if args[0].kind != "text":
        return COMPARISONS[op](values, other), known
    values, other = np.broadcast_arrays(values, other)
    answer = np.zeros(values.shape, dtype=bool)
    if known.ndim == 0:
        return (np.asarray(COMPARISONS[op](values, other), dtype=bool) if known else answer), known
    answer[known] = COMPARISONS[op](values[known], other[known]).astype(bool)
    return answer, known


def _values(node, data):
    """Values of a node and where they are known; a literal has shape ()."""
    if isinstance(node, Folded):
        values, known = _values(node.of, data)
        fold = _fold_case if node.how == "casei" else _fold_marks
        return _each(fold, values, known, object), known
    if isinstance(node, Property):
        if node.kind == "geometry":
            shapes = data.shapes()
            return shapes, ~shapely.is_missing(shapes)
        values = data.column(node.name)
        if node.kind == "text":
            known = np.array([v is not None for v in values], dtype=bool)
            return _each(composed, values, known, object), known
        if node.kind == "date":
            return values.astype("datetime64[D]"), ~np.isnat(values)
        return values, ~np.isnan(values)
    value = node.value
    if node.kind == "text":
        box = np.empty((), dtype=object)
        box[()] = value
        return box, np.bool_(True)
    return (np.datetime64(value, "D") if node.kind == "date" else value), np.bool_(True)


def _each(function, values, known, dtype=bool):
    """function of each known value; False or None elsewhere."""
    out = np.zeros(values.shape, dtype=bool) if dtype is bool else np.full(values.shape, None, dtype=object)
    if values.ndim == 0:
        out[()] = function(values.item()) if known else out[()]
    else:
        for i in np.flatnonzero(known):
            out[i] = function(values[i])
    return out


def _ends(node, data):
    """First and last day of each row as whole numbers, and where they are known."""
    if not isinstance(node, Interval):
        days, known = _values(node, data)
        number = np.where(known, days.astype(np.int64), 0)
        return number, number, known
    ends = []
    for end, open_end in ((node.start, _EVER), (node.end, _FOREVER)):
        if end is None:
            ends.append(np.int64(open_end))
        else:
            days, known = _values(end, data)  # a missing date leaves the interval open
            ends.append(np.where(known, days.astype(np.int64), open_end))
    return *ends, np.bool_(True)


def _fold_case(text):
    return composed(text.casefold())


def _fold_marks(text):
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return plain.replace("đ", "d").replace("Đ", "D")


def _like(pattern):
    """A function that says whether a text fits: % any letters, _ one letter, \\ before a sign takes it as it is.

    Works piece by piece from the left, so that no pattern is slow.
    """
    pieces, letters, escaped = [], [], False
    for c in pattern:
        if escaped or c not in "\\%_":
            letters.append(re.escape(c))
            escaped = False
        elif c == "\\":
            escaped = True
        elif c == "_":
            letters.append(".")
        else:
            pieces.append("".join(letters))
            letters = []
    if escaped:
        letters.append(re.escape("\\"))
    first, *rest = [re.compile(p, re.DOTALL) for p in (*pieces, "".join(letters))]
    if not rest:
        return lambda text: first.fullmatch(text) is not None
    *middle, last = rest
    end = re.compile(f"(?:{last.pattern})\\Z", re.DOTALL)
    width = len(re.sub(r"\\(.)", r"\1", last.pattern, flags=re.DOTALL))

    def fits(text):
        match = first.match(text)
        for piece in middle:
            match = match and piece.search(text, match.end())
        at = len(text) - width
        return match is not None and at >= match.end() and end.match(text, at) is not None

    return fits
