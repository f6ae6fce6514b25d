"""Filters: what can be said, what it means row by row, and that nothing else gets through."""

import re
import sqlite3
from datetime import date

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server import cql2, cql2tokens, cql2tree, sieve
from server.cql2tokens import FilterError
from server.cql2tree import Folded, Interval, Literal, Logic, Predicate, Property

KINDS = {
    "name": "text", "kind": "text", "people": "number", "share": "number", "valid_from": "date", "valid_to": "date",
    "geometry": "geometry",
}  # fmt: skip
ROWS = {
    #                 0             1            2          3           4
    "name": ["Phường Hải An", "Phường Đồ Sơn", "xã 100%", None, "O'Brien"],
    "kind": ["ward", "ward", "commune", "commune", None],
    "people": [161051.0, 0.0, 9000.0, np.nan, -5.0],
    "share": [0.5, 0.0, np.nan, np.nan, 1.0],
    "valid_from": ["2025-07-01", "2020-01-01", None, "2025-07-01", "2026-01-01"],
    "valid_to": [None, "2025-07-01", None, "2026-01-01", "2026-01-02"],
}
SHAPES = np.array(
    [shapely.box(0, 0, 2, 2), shapely.box(2, 2, 3, 3), shapely.Point(1, 1), None, shapely.LineString([(5, 5), (6, 6)])],
    dtype=object,
)


def column(name):
    values = ROWS[name]
    if KINDS[name] == "text":
        return np.array(values, dtype=object)
    if KINDS[name] == "date":
        return np.array([v or "NaT" for v in values], dtype="datetime64[us]")
    return np.array(values, dtype=float)


def found(text, **options):
    node = cql2.parse(text, KINDS, **options)
    return np.flatnonzero(sieve.apply(node, column, lambda: SHAPES, len(SHAPES))).tolist()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("kind = 'ward'", [0, 1]),
        ("kind <> 'ward'", [2, 3]),  # a missing kind is neither
        ("NOT kind = 'ward'", [2, 3]),
        ("people > 0", [0, 2]),
        ("people >= 0", [0, 1, 2]),
        ("people < 1e1", [1, 4]),
        ("people = -5", [4]),
        ("people <= +.0", [1, 4]),
        ("0 < people", [0, 2]),
        ("people > share", [0]),
        ("share <= people", [0, 1]),
        ('"people" = 9000.', [2]),
        ("name = 'O''Brien'", [4]),
        (r"name = 'O\'Brien'", [4]),
        ("name < 'a'", [0, 1, 4]),
        ("people IS NULL", [3]),
        ("people is not null", [0, 1, 2, 4]),
        ("geometry IS NULL", [3]),
        ("NOT (people IS NULL OR kind IS NULL)", [0, 1, 2]),
        ("people BETWEEN 0 AND 9000", [1, 2]),
        ("people NOT BETWEEN 0 AND 9000", [0, 4]),
        ("kind IN ('ward', 'nothing')", [0, 1]),
        ("kind NOT IN ('ward')", [2, 3]),
        ("people IN (9000, 0)", [1, 2]),
        ("TRUE", [0, 1, 2, 3, 4]),
        ("FALSE", []),
        ("NOT FALSE", [0, 1, 2, 3, 4]),
        ("kind = 'ward' AND people > 0 OR kind = 'commune'", [0, 2, 3]),
        ("kind = 'ward' AND (people > 0 OR kind = 'commune')", [0]),
        ("NOT kind = 'ward' AND people > 0", [2]),
        ("((((kind='ward'))))", [0, 1]),
        # unknown or true is true, unknown and false is false, as a table of truth has it
        ("people > 0 OR kind = 'commune'", [0, 2, 3]),
        ("NOT (people > 0 AND kind = 'ward')", [1, 2, 3, 4]),
    ],
)
def test_comparisons_and_logic(text, rows):
    assert found(text) == rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("name LIKE 'Phường%'", [0, 1]),
        ("name LIKE '%An'", [0]),
        ("name LIKE '%ồ%'", [1]),
        ("name LIKE 'ph%'", []),
        ("CASEI(name) LIKE casei('PHƯỜNG%')", [0, 1]),
        ("accenti(name) LIKE 'Phuong Do%'", [1]),
        ("CASEI(ACCENTI(name)) = 'phuong do son'", [1]),
        ("accenti(casei(name)) IN ('phuong hai an', 'x')", [0]),
        (r"name LIKE '%\%'", [2]),
        ("name LIKE 'x_ 1__%'", [2]),
        ("name LIKE '%'", [0, 1, 2, 4]),
        ("name LIKE ''", []),
        ("name LIKE '_____''%'", []),
        ("name LIKE 'O_Brien'", [4]),
        ("name NOT LIKE '%g%'", [2, 4]),
        ("name ILIKE 'PHƯỜNG%'", [0, 1]),
        ("name NOT ILIKE '%AN'", [1, 2, 4]),
        ("name LIKE '%.*%'", []),
        ("name = 'Phu\u031bo\u031b\u0300ng Ha\u0309i An'", [0]),  # typed with loose marks
    ],
)
def test_patterns(text, rows):
    assert found(text) == rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("S_INTERSECTS(geometry, BBOX(1.5, 1.5, 2.5, 2.5))", [0, 1]),
        ("S_INTERSECTS(geometry, BBOX(0, 0, -9, 9, 9, 9))", [0, 1, 2, 4]),
        ("s_intersects(POINT(1 1), geometry)", [0, 2]),
        ("S_WITHIN(geometry, POLYGON((-1 -1, 4 -1, 4 4, -1 4, -1 -1)))", [0, 1, 2]),
        ("S_CONTAINS(geometry, POINT Z (1.5 1.5 7))", [0]),
        ("S_DISJOINT(geometry, BBOX(-1, -1, 4, 4))", [4]),
        ("NOT S_INTERSECTS(geometry, BBOX(-1, -1, 4, 4))", [4]),  # no place is neither in nor out
        ("S_TOUCHES(geometry, LINESTRING(2 0, 2 2))", [0, 1]),
        ("S_EQUALS(geometry, POLYGON((2 0, 2 2, 0 2, 0 0, 2 0)))", [0]),
        ("S_CROSSES(geometry, LINESTRING(5 6, 6 5))", [4]),
        ("S_OVERLAPS(geometry, BBOX(1, 0, 3, 1))", [0]),
        ("S_INTERSECTS(geometry, GEOMETRYCOLLECTION(POINT(5 5), MULTIPOINT((1 1),(9 9))))", [0, 2, 4]),
        ("S_INTERSECTS(geometry, MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)),((5 5, 6 5, 6 6, 5 5))))", [0, 2, 4]),
        ("S_INTERSECTS(POINT(0 0), BBOX(-1,-1,1,1))", [0, 1, 2, 3, 4]),
        ("S_INTERSECTS(geometry, geometry)", [0, 1, 2, 4]),
    ],
)
def test_places(text, rows):
    assert found(text) == rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("valid_from = DATE('2025-07-01')", [0, 3]),
        ("valid_from > DATE('2025-06-30')", [0, 3, 4]),
        ("valid_from >= TIMESTAMP('2025-06-30T17:00:00Z')", [0, 3, 4]),  # midnight in the city
        ("valid_from >= TIMESTAMP('2025-07-01T23:30:00+07:00')", [0, 3, 4]),
        ("valid_from < valid_to", [1, 3, 4]),
        ("valid_from BETWEEN DATE('2020-01-01') AND DATE('2020-12-31')", [1]),
        ("valid_from IN (DATE('2020-01-01'), DATE('2026-01-01'))", [1, 4]),
        ("valid_from >= '2025-07-01'", [0, 3, 4]),
        ("valid_from BETWEEN '2020-01-01T' AND '2020-12-31T'", [1]),
        ("T_AFTER(valid_from, DATE('2025-07-01'))", [4]),
        ("T_BEFORE(valid_from, INTERVAL('2025-07-01', '..'))", [1]),
        ("T_DURING(valid_from, INTERVAL('2025-01-01', '2025-12-31'))", [0, 3]),
        ("T_DURING(valid_from, INTERVAL('..', '2025-12-31'))", [0, 1, 3]),
        ("T_INTERSECTS(INTERVAL(valid_from, valid_to), DATE('2025-12-01'))", [0, 2, 3]),
        ("T_INTERSECTS(INTERVAL(valid_from, valid_to), INTERVAL('2026-01-02', '..'))", [0, 2, 4]),
        ("T_DISJOINT(INTERVAL(valid_from, valid_to), DATE('2024-01-01'))", [0, 3, 4]),
        ("T_CONTAINS(INTERVAL(valid_from, valid_to), DATE('2024-01-01'))", [1, 2]),
        ("T_EQUALS(INTERVAL(valid_from, valid_to), INTERVAL('2025-07-01', '2026-01-01'))", [3]),
        ("T_STARTS(INTERVAL(valid_from, valid_to), INTERVAL('2025-07-01', '2027-01-01'))", [3]),
        ("T_STARTEDBY(INTERVAL(valid_from, valid_to), INTERVAL('2025-07-01', '2025-08-01'))", [0, 3]),
        ("T_FINISHES(INTERVAL(valid_from, valid_to), INTERVAL('2019-01-01', '2026-01-01'))", [3]),
        ("T_FINISHEDBY(INTERVAL(valid_from, valid_to), INTERVAL('2024-01-01', '2025-07-01'))", [1]),
        ("T_MEETS(INTERVAL(valid_from, valid_to), INTERVAL('2026-01-01', '..'))", [3]),
        ("T_METBY(INTERVAL(valid_from, valid_to), INTERVAL('..', '2025-07-01'))", [0, 3]),
        ("T_OVERLAPS(INTERVAL(valid_from, valid_to), INTERVAL('2021-01-01', '2026-06-01'))", [1]),
        ("T_OVERLAPPEDBY(INTERVAL(valid_from, valid_to), INTERVAL('2025-01-01', '2025-08-01'))", [0, 3]),
    ],
)
def test_days(text, rows):
    assert found(text) == rows


def test_every_function_of_the_language_can_be_applied():
    assert set(sieve.SPATIAL) == cql2tree.SPATIAL
    assert set(sieve.TEMPORAL) == cql2tree.TEMPORAL
    assert set(sieve.COMPARISONS) == set(cql2tree.COMPARISONS)


def test_the_tree():
    node = cql2.parse("NOT kind IN ('a') AND casei(name) LIKE 'x' OR T_AFTER(valid_from, DATE('2025-07-01'))", KINDS)
    assert node == Logic("or", (
        Logic("and", (
            Logic("not", (Predicate("in", (Property("kind", "text"), Literal("a", "text"))),)),
            Predicate("like", (Folded("casei", Property("name", "text")), Literal("x", "text"))),
        )),
        Predicate("t_after", (Property("valid_from", "date"), Literal(date(2025, 7, 1), "date"))),
    ))  # fmt: skip
    assert cql2tree.properties(node) == {"kind", "name", "valid_from"}
    interval = cql2.parse("T_DURING(valid_to, INTERVAL(valid_from, '..'))", KINDS)
    assert interval.operands[1] == Interval(Property("valid_from", "date"), None)
    assert cql2tree.properties(interval) == {"valid_from", "valid_to"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "should stand"),
        ("   ", "should stand"),
        ("kind", "a comparison"),
        ("kind =", "ends where"),
        ("kind = 'ward", "letter 8"),
        ("kind == 'ward'", "letter 7"),
        ("kind = ward", "no property “ward”"),
        ("secret = 'x'", "no property “secret”"),
        ("kind = 5", "where a text is needed"),
        ("people = 'many'", "where a number is needed"),
        ("people > valid_from", "where a number is needed"),
        ("valid_from > 'yesterday'", "DATE('2026-11-22')"),
        ("'2025-07-01' < valid_from", "where a text is needed"),
        ("people ILIKE 'a'", "where a text is needed"),
        ("valid_from > DATE('1/7/2025')", "DATE('2026-11-22')"),
        ("valid_from > DATE('2025-02-30')", "letter 19"),
        ("valid_from > TIMESTAMP('2025-07-01')", "TIMESTAMP"),
        ("valid_from > DATE('2025-07-01T00:00:00Z')", "DATE"),
        ("kind LIKE people", "a pattern in quotes"),
        ("people LIKE '9%'", "where a text is needed"),
        ("kind IN ()", "a property, a number"),
        ("kind IN 'a'", "“(”"),
        ("people BETWEEN 1", "AND"),
        ("people IS 5", "NULL"),
        ("geometry = 'x'", "S_INTERSECTS"),
        ("S_INTERSECTS(name, POINT(0 0))", "cannot stand"),
        ("S_INTERSECTS(geometry, POINT(0))", "not well-known text"),
        ("S_INTERSECTS(geometry, POINT EMPTY)", "“EMPTY”"),
        ("S_INTERSECTS(geometry, POLYGON((0 0, 1 1, 0 1, 1 0, 0 0)))", "Self-intersection"),
        ("S_INTERSECTS(geometry, POINT(1e300 0))", "outside"),
        ("S_INTERSECTS(geometry, POINT(1e999 0))", "computer"),
        ("S_INTERSECTS(geometry, BBOX(1, 2, 3))", "four numbers"),
        ("S_INTERSECTS(geometry, BBOX(3, 3, 1, 1))", "below its first"),
        ("S_INTERSECTS(geometry)", "“,”"),
        ("T_AFTER(name, DATE('2025-07-01'))", "cannot stand"),
        ("T_AFTER(valid_from, INTERVAL('2026-01-01', '2025-01-01'))", "ends (2025-01-01) before"),
        ("T_AFTER(valid_from, INTERVAL('soon', '..'))", "an end of an interval"),
        ("people + 1 > 2", "a comparison"),
        ("kind = 'ward'; DROP TABLE x", "“;”"),
        ("kind = 'ward' extra", "the end of the filter"),
        ("kind = 'ward')", "the end of the filter"),
        ("(kind = 'ward'", "“)”"),
        ("foo(kind) = 'x'", "no property “foo”"),
        ("kind NOT = 'x'", "a comparison"),
        ("NOT", "ends where"),
        ("kind = 'x' AND", "ends where"),
        ("(" * 60 + "TRUE" + ")" * 60, "nested deeper"),
        ("NOT " * 60 + "TRUE", "nested deeper"),
        ("casei(" * 60 + "kind" + ")" * 60 + " = 'a'", "nested deeper"),
        ("S_INTERSECTS(geometry, GEOMETRYCOLLECTION" + "(" * 60, "nested deeper"),
        ("kind = '" + "a" * 20_000 + "'", "longer than"),
        ("__class__ = 'x'", "no property"),
        ("\x00", "cannot stand"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(text, words):
    with pytest.raises(FilterError, match=re.escape(words)):
        cql2.parse(text, KINDS)


def test_shapes_in_another_system_are_brought_over_with_their_straight_sides():
    double = lambda shape: shapely.transform(shape, lambda xy: xy / 2)  # noqa: E731
    assert found("S_INTERSECTS(geometry, POINT(11 11))", to_lonlat=double) == [4]
    nowhere = lambda shape: shapely.transform(shape, lambda xy: xy * np.inf)  # noqa: E731
    with pytest.raises(FilterError, match="outside"):
        found("S_INTERSECTS(geometry, POINT(11 11))", to_lonlat=nowhere)


def test_errors_are_told_in_the_readers_language():
    def shout(message, **values):
        return (message % values).upper() if values else message.upper()

    with pytest.raises(FilterError) as caught:
        cql2.parse("kind = 5", KINDS)
    assert "A TEXT IS NEEDED" in cql2tokens.translated(caught.value, shout)


def test_no_pattern_is_slow():
    """Backtracking would not come back before the night."""
    match = sieve._like("%a" * 400 + "%b")
    assert match("a" * 20_000) is False and match("a" * 20_000 + "b") is True


# --- a second way: SQLite judges the same filters ---

texts = st.sampled_from(["ward", "commune", "Ward", "%", "_", "a_b", "a%b", "", "O'Brien", "xyz", "ab"])
numbers = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0])
quoted = texts.map(lambda t: "'" + t.replace("'", "''") + "'")
sign = st.sampled_from(["=", "<>", "<", ">", "<=", ">="])
maybe_not = st.sampled_from(["", "NOT "])


def join(*parts):
    return st.tuples(*[p if isinstance(p, st.SearchStrategy) else st.just(p) for p in parts]).map(" ".join)


plain = st.one_of(
    join("kind", sign, quoted),
    join("people", sign, numbers.map(str)),
    join("people", sign, "share"),
    join("kind IS", maybe_not, "NULL"),
    join("people", maybe_not, "BETWEEN", numbers.map(str), "AND", numbers.map(str)),
    join("kind", maybe_not, "IN", st.lists(quoted, min_size=1, max_size=3).map(lambda v: f"({', '.join(v)})")),
    join(
        "people", maybe_not, "IN", st.lists(numbers.map(str), min_size=1, max_size=3).map(lambda v: f"({', '.join(v)})")
    ),
)
logic = st.recursive(
    plain,
    lambda inner: st.one_of(
        join("(", inner, "AND", inner, ")"), join("(", inner, "OR", inner, ")"), join("NOT (", inner, ")")
    ),
    max_leaves=6,
)
rows = st.lists(st.tuples(st.none() | texts, st.none() | numbers, st.none() | numbers), max_size=8)


def judged_by_sqlite(rows, text):
    con = sqlite3.connect(":memory:")
    con.execute("CREATE TABLE t (kind TEXT, people REAL, share REAL)")
    con.executemany("INSERT INTO t VALUES (?,?,?)", rows)
    kept = {r[0] - 1 for r in con.execute(f"SELECT rowid FROM t WHERE {text}")}
    con.close()
    return [i in kept for i in range(len(rows))]


def columns_of(rows):
    held = {
        "kind": np.array([r[0] for r in rows], dtype=object),
        "people": np.array([np.nan if r[1] is None else r[1] for r in rows], dtype=float),
        "share": np.array([np.nan if r[2] is None else r[2] for r in rows], dtype=float),
    }
    return held.__getitem__


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(rows, logic)
def test_sqlite_finds_the_same_rows(rows, text):
    node = cql2.parse(text, KINDS)
    assert sieve.apply(node, columns_of(rows), lambda: None, len(rows)).tolist() == judged_by_sqlite(rows, text)


@settings(max_examples=300)
@given(st.lists(st.text(alphabet="ab%_\\.", max_size=6), max_size=5), st.text(alphabet="ab%_.", max_size=6))
def test_sqlite_finds_the_same_patterns(values, pattern):
    con = sqlite3.connect(":memory:")
    con.execute("PRAGMA case_sensitive_like = ON")
    expected = [bool(con.execute("SELECT ? LIKE ?", (v, pattern)).fetchone()[0]) for v in values]
    con.close()
    match = sieve._like(pattern)
    assert [match(v) for v in values] == expected


# --- whatever is typed ---

WORDS = [
    *("kind", "people", "geometry", "valid_from", "nothing", "'a'", "'", "''", "5", "-", "1e9", "(", ")", ",", "=", "<>", "<"),
    *("AND", "OR", "NOT", "LIKE", "BETWEEN", "IN", "IS", "NULL", "TRUE", "CASEI", "ACCENTI", "DATE", "TIMESTAMP"),
    *("INTERVAL", "'2025-07-01'", "'..'", "S_INTERSECTS", "T_AFTER", "BBOX", "POINT", "POLYGON", "Z", "\\", "é", "\x00"),
]  # fmt: skip


@settings(max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join) | st.text(max_size=60))
def test_anything_typed_is_a_filter_or_a_sentence(text):
    try:
        node = cql2.parse(text, KINDS)
    except FilterError as e:
        assert str(e) and "%(" not in str(e)
        return
    mask = sieve.apply(node, column, lambda: SHAPES, len(SHAPES))
    assert mask.dtype == bool and mask.shape == (len(SHAPES),)
    assert cql2tree.properties(node) <= set(KINDS)
