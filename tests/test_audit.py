"""The journal of changes: what was changed, removed, moved or cut off is found."""

import json
import sqlite3
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from layers import audit

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


_engines = []


@pytest.fixture(autouse=True)
def _closed():
    yield
    while _engines:
        _engines.pop().dispose()


def in_memory():
    """An engine with one empty database, closed at the end of the test."""
    _engines.append(sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool))
    return _engines[-1]


def made(rows=5):
    engine = in_memory()
    with engine.begin() as con:
        audit.create(con)
        for i in range(rows):
            audit.append(con, at=AT, who="Kiểm tra viên", who_id=3, role="inspector", action="step",
                         thing=f"case:HS-{i % 2:04}", old={"stage": i}, new={"stage": i + 1})  # fmt: skip
    return engine


def spoiled(engine, *statements):
    """The problems after somebody worked on the table with the guards taken off, and put back on."""
    with engine.begin() as con:
        for guard in audit._GUARDS:
            con.exec_driver_sql(f"DROP TRIGGER {guard}")
        for statement in statements:
            con.exec_driver_sql(statement)
        for statement in audit._GUARDS.values():
            con.exec_driver_sql(statement)
        return audit.verify(con)


def test_a_chain_that_nobody_touched_holds():
    with made().connect() as con:
        assert audit.verify(con) == []
        assert audit.head(con).number == 5
        assert audit.verify(con, [audit.head(con)]) == []


def test_an_empty_chain_holds():
    with made(0).connect() as con:
        assert audit.verify(con) == [] and audit.head(con) is None


def test_the_hash_can_be_computed_by_hand():
    """sha256 of the row's values as a JSON list, checked with the standard library alone."""
    import hashlib

    with made(1).connect() as con:
        row = con.execute(sa.text("SELECT * FROM cx_audit")).mappings().one()
    text = ('[1,"2026-11-22T03:00:00.000+00:00","Kiểm tra viên",3,"inspector","step","case:HS-0000",'
            '"{\\"stage\\":0}","{\\"stage\\":1}","' + "0" * 64 + '"]')  # fmt: skip
    assert json.loads(text)[0] == 1
    assert row["hash"] == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE cx_audit SET who='x' WHERE number=3", "Row 3"),
        ("UPDATE cx_audit SET new=NULL WHERE number=5", "Row 5"),
        ("UPDATE cx_audit SET at='2026-01-01' WHERE number=1", "Row 1"),
        ("DELETE FROM cx_audit WHERE number=3", "row 3 of the audit missing"),
        ("DELETE FROM cx_audit WHERE number IN (2, 3)", "rows 2 to 3 of the audit missing"),
        ("DELETE FROM cx_audit WHERE number=1", "row 1 of the audit missing"),
        ("DELETE FROM cx_audit WHERE number=5", "the end was cut off"),
        ("DELETE FROM cx_audit", "the end was cut off"),
    ],
)
def test_a_spoiled_chain_is_found(statement, told):
    assert any(told in p for p in spoiled(made(), statement))


def test_two_rows_that_change_places_are_found():
    swap = ("UPDATE cx_audit SET number=99 WHERE number=2", "UPDATE cx_audit SET number=2 WHERE number=3",
            "UPDATE cx_audit SET number=3 WHERE number=99")  # fmt: skip
    assert spoiled(made(), *swap)


def test_a_row_removed_with_its_number_closed_up_is_found():
    problems = spoiled(
        made(),
        "DELETE FROM cx_audit WHERE number=3",
        "UPDATE cx_audit SET number=number-1 WHERE number>3",
        "UPDATE sqlite_sequence SET seq=4 WHERE name='cx_audit'",
    )
    assert any("Row 3" in p for p in problems)


def test_a_chain_written_anew_is_found_by_a_noted_head():
    with made().connect() as con:
        noted = audit.head(con)
    with made(4).connect() as con:
        assert audit.verify(con) == []
        assert audit.verify(con, [noted]) == ["Row 5 was noted, but the audit ends at row 4."]
    with made().begin() as con:
        other = audit.Head(5, "f" * 64)
        assert audit.verify(con, [other]) == ["Row 5 is not the one that was noted."]


def test_the_database_refuses_to_change_or_delete():
    engine = made()
    for statement in ("UPDATE cx_audit SET who='x'", "DELETE FROM cx_audit"):
        with pytest.raises(sa.exc.IntegrityError, match="append-only"), engine.begin() as con:
            con.exec_driver_sql(statement)


def test_a_removed_guard_is_told():
    engine = made()
    with engine.begin() as con:
        con.exec_driver_sql("DROP TRIGGER cx_audit_no_update")
        assert audit.verify(con) == ["The guard cx_audit_no_update of the audit was removed."]


def test_rows_are_read_newest_first_and_by_choice():
    with made().connect() as con:
        assert [r["number"] for r in audit.rows(con)] == [5, 4, 3, 2, 1]
        assert [r["number"] for r in audit.rows(con, thing="case:HS-0001")] == [4, 2]
        assert [r["number"] for r in audit.rows(con, thing="case:*", limit=2)] == [5, 4]
        assert next(audit.rows(con))["new"] == {"stage": 5}
        assert list(audit.rows(con, thing="case:%*")) == []


@given(st.lists(st.tuples(st.text(max_size=20), st.dictionaries(st.text(max_size=5), st.text(max_size=9))), max_size=6))
def test_any_text_is_kept_and_proven(entries):
    engine = in_memory()
    entries = [(a.encode("utf-8", "ignore").decode(), {k.encode("utf-8", "ignore").decode(): v.encode("utf-8", "ignore").decode()
               for k, v in d.items()}) for a, d in entries]  # fmt: skip
    with engine.begin() as con:
        audit.create(con)
        for text, values in entries:
            audit.append(con, at=AT, who=text, action="x", thing="y:1", new=values)
        assert audit.verify(con) == []
        assert [r["new"] for r in audit.rows(con)] == [d for _, d in reversed(entries)]


@pytest.mark.parametrize("text", ["", "5", "5:abc", "x:" + "0" * 64, "-1:" + "0" * 64])
def test_a_head_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="NUMBER:HASH"):
        audit.head_of(text)


def test_a_head_is_read_as_it_is_written():
    head = audit.Head(7, "a" * 64)
    assert audit.head_of(str(head)) == head


def test_sqlite_itself_counts_rows_ever_written():
    """The count that finds a cut-off end is SQLite's, not ours."""
    con = sqlite3.connect(":memory:")
    con.execute("CREATE TABLE t (n INTEGER PRIMARY KEY AUTOINCREMENT)")
    con.execute("INSERT INTO t VALUES (7)")
    con.execute("DELETE FROM t")
    assert con.execute("SELECT seq FROM sqlite_sequence").fetchone() == (7,)
    con.close()
