"""The journal of changes: append-only, each row chained to the one before it by a hash.

A row's hash covers its own values and the hash of the row before, so that a changed, removed or moved
row breaks the chain. Rows cut off at the end are found by the database's own count of rows ever
written, and by a head (number and hash) that was noted elsewhere.
"""

import csv
import hashlib
import io
import json
from dataclasses import dataclass

import sqlalchemy as sa

metadata = sa.MetaData()
_rows = sa.Table(
    "cx_audit",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Text, nullable=False),  # UTC, ISO 8601
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("who_id", sa.Integer),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("thing", sa.Text, nullable=False, index=True),  # what was changed, as kind:code
    sa.Column("old", sa.Text),  # JSON of the values before, or null
    sa.Column("new", sa.Text),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
START = "0" * 64
_NAMES = tuple(c.name for c in _rows.columns)[:-1]  # what the hash covers
_GUARDS = {
    "cx_audit_no_update": "CREATE TRIGGER IF NOT EXISTS cx_audit_no_update BEFORE UPDATE ON cx_audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
    "cx_audit_no_delete": "CREATE TRIGGER IF NOT EXISTS cx_audit_no_delete BEFORE DELETE ON cx_audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
}


@dataclass(frozen=True)
class Head:
    """The newest row of a chain: its number and hash. Noted outside, it proves what was there."""

    number: int
    hash: str

    def __str__(self):
        return f"{self.number}:{self.hash}"


def head_of(text):
    """The Head written as NUMBER:HASH; ValueError where it is none."""
    number, _, digest = text.strip().partition(":")
    if not number.isdecimal() or len(digest) != 64:
        raise ValueError(f"'{text}' is not a head; it is written NUMBER:HASH, as `audit verify` prints it")
    return Head(int(number), digest.lower())


def create(con):
    """Make the table and its guards where they are missing. con: a SQLAlchemy connection in a transaction."""
    metadata.create_all(con)
    if con.dialect.name == "sqlite":
        for statement in _GUARDS.values():
            con.exec_driver_sql(statement)


def append(con, *, at, who, action, thing, who_id=None, role="system", old=None, new=None):
    """Add one row inside the transaction of the change it tells of; returns its Head.

    at: time with zone. thing: what was changed, as kind:code. old, new: dicts of what can be written
    as JSON, or None. The transaction must hold the write lock (BEGIN IMMEDIATE), so that two rows
    never follow the same one.
    """
    last = con.execute(sa.select(_rows.c.number, _rows.c.hash).order_by(_rows.c.number.desc()).limit(1)).one_or_none()
    row = {
        "number": (last.number if last else 0) + 1, "at": at.isoformat(timespec="milliseconds"),
        "who": who, "who_id": who_id, "role": role, "action": action, "thing": thing,
        "old": _json(old), "new": _json(new), "previous": last.hash if last else START,
    }  # fmt: skip
    row["hash"] = _digest(row)
    con.execute(_rows.insert().values(row))
    return Head(row["number"], row["hash"])


def head(con):
    """The newest row as a Head, or None where nothing was written yet."""
    last = con.execute(sa.select(_rows.c.number, _rows.c.hash).order_by(_rows.c.number.desc()).limit(1)).one_or_none()
    return None if last is None else Head(*last)


def verify(con, noted=()):
    """What is wrong with the chain: one sentence each, none when it holds.

    noted: Heads that were written down elsewhere at some time. Reads row by row, in bounded memory.
    """
    noted = {h.number: h.hash for h in noted}
    problems, previous, expected = [], START, 1
    for row in con.execute(sa.select(_rows).order_by(_rows.c.number)).mappings():
        number = row["number"]
        if number != expected:
            lost = f"row {expected}" if number == expected + 1 else f"rows {expected} to {number - 1}"
            problems.append(f"{lost} of the audit missing before row {number}.")
        if row["previous"] != previous:
            problems.append(
                f"Row {number} does not follow the row before it: one of them was changed, removed or moved."
            )
        if _digest(row) != row["hash"]:
            problems.append(f"Row {number} ({row['at'][:19]} UTC, {row['thing']}) was changed after it was written.")
        if noted.get(number, row["hash"]) != row["hash"]:
            problems.append(f"Row {number} is not the one that was noted.")
        previous, expected = row["hash"], number + 1
    last = expected - 1
    ever = _ever_written(con)
    if ever > last:
        problems.append(f"The audit ends at row {last}, but {ever} rows were written: the end was cut off.")
    problems += [f"Row {n} was noted, but the audit ends at row {last}." for n in sorted(noted) if n > last]
    if con.dialect.name == "sqlite":
        there = {r[0] for r in con.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='trigger'")}
        problems += [f"The guard {g} of the audit was removed." for g in sorted(set(_GUARDS) - there)]
    return problems


def _ever_written(con):
    if con.dialect.name != "sqlite":
        return 0
    return con.exec_driver_sql("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name='cx_audit'").scalar()


def rows(con, *, thing=None, who=None, action=None, since=None, until=None, before=None, limit=None):
    """Rows as dicts, newest first; old and new as dicts. thing may end in * for all that begin so.

    since, until: ISO texts in UTC, until exclusive. before: only rows with a smaller number (paging).
    """
    query = sa.select(_rows).order_by(_rows.c.number.desc())
    if thing:
        match = _rows.c.thing.startswith(thing[:-1], autoescape=True) if thing.endswith("*") else _rows.c.thing == thing
        query = query.where(match)
    for column, value in ((_rows.c.who, who), (_rows.c.action, action)):
        query = query.where(column == value) if value else query
    if since:
        query = query.where(_rows.c.at >= since)
    if until:
        query = query.where(_rows.c.at < until)
    if before:
        query = query.where(_rows.c.number < before)
    for row in con.execute(query.limit(limit)).mappings():
        yield dict(row) | {k: None if row[k] is None else json.loads(row[k]) for k in ("old", "new")}


def csv_bytes(found):
    """Rows of rows() as a CSV file, UTF-8 with byte-order mark; texts that look like a formula get an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    names = [*_NAMES, "hash"]
    writer.writerow(names)
    for row in found:
        cells = [_json(row[n]) if n in ("old", "new") else row[n] for n in names]
        writer.writerow(
            ["'" + c if isinstance(c, str) and c[:1] in ("=", "+", "-", "@", "\t", "\r") else c for c in cells]
        )
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "replace")


def _json(values):
    if values is None:
        return None
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str)


def _digest(row):
    body = json.dumps([row[name] for name in _NAMES], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()
