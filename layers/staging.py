"""A scratch file for rows on their way in: as they came, as they were checked, and what is wrong with them.

Nothing of it is the city's data: it lies in a folder of its own and may be thrown away at any time.
Only some rows are in memory at once. Row numbers count from 0 as in the file.
"""

import json
import sqlite3
from contextlib import contextmanager
from datetime import date, datetime
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import shapely

from layers import geopackage, rows, rules
from layers.checks import CheckedLayer, Problem, given_twice
from layers.errors import Said

FILE_NAME = "rows.sqlite"
_written = json.JSONEncoder(ensure_ascii=False).encode
PIECE = 5_000
_TABLES = """
CREATE TABLE raw (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, cells TEXT NOT NULL);
CREATE TABLE shapes (first INTEGER PRIMARY KEY, wkb BLOB NOT NULL);
CREATE TABLE staged (row INTEGER PRIMARY KEY, key TEXT NOT NULL, party TEXT, fate TEXT, cells TEXT NOT NULL, geom BLOB);
CREATE TABLE keys (key TEXT NOT NULL, row INTEGER NOT NULL);
CREATE TABLE problems (row INTEGER, field TEXT, key TEXT, value TEXT, en TEXT NOT NULL, vi TEXT NOT NULL);
CREATE TABLE repairs (row INTEGER, en TEXT NOT NULL, vi TEXT NOT NULL);
"""
BETWEEN = "\x1f"  # parts of a key
NOTHING = "\x00"  # a blank part


class Staging:
    """The scratch file in `folder`, made anew; or the one that lies there, with its checked rows, to be read."""

    def __init__(self, folder, layer, *, again=False):
        self.path, self.layer = Path(folder) / FILE_NAME, layer
        for old in () if again else self.path.parent.glob(FILE_NAME + "*"):
            old.unlink()
        self._con = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._con.execute("PRAGMA journal_mode=OFF")
        self._con.execute("PRAGMA synchronous=OFF")
        if not again:
            self._con.executescript(_TABLES)
        self.columns = []

    def close(self):
        self._con.close()

    @contextmanager
    def _together(self):
        self._con.execute("BEGIN")
        yield
        self._con.execute("COMMIT")

    # --- as they came ---

    def take_raw(self, chunk):
        """Keep the rows of a layers.ingest.Chunk as they stand in the file."""
        self.columns += [c for c in chunk.frame.columns if c not in self.columns]
        cells = {name: chunk.frame[name].tolist() for name in chunk.frame.columns}
        body = json.dumps(cells, ensure_ascii=False, default=_marked)
        self._con.execute("INSERT INTO raw VALUES (?,?,?)", (chunk.first, len(chunk.frame), body))
        if chunk.shapes is not None:
            wkb = shapely.to_wkb(chunk.shapes, hex=True, output_dimension=2, include_srid=False)
            high = shapely.has_z(chunk.shapes) | shapely.has_m(chunk.shapes)
            packed = json.dumps({"wkb": wkb.tolist(), "high": high.tolist(), "unread": chunk.unread.tolist()})
            self._con.execute("INSERT INTO shapes VALUES (?,?)", (chunk.first, packed.encode()))

    def raw(self):
        """The rows again, piece by piece: (first row, frame with all columns, shapes or None, had heights, unread)."""
        for (first,) in self._con.execute("SELECT first FROM raw ORDER BY first").fetchall():
            yield (first, *self._raw_piece(first))

    def _raw_piece(self, first):
        count, body = self._con.execute("SELECT count, cells FROM raw WHERE first=?", (first,)).fetchone()
        cells = json.loads(body, object_hook=_unmarked)
        nothing = [None] * count
        made = {name: pd.Series(cells.get(name, nothing), dtype=object) for name in self.columns}
        frame = pd.DataFrame(made, index=range(count), columns=list(self.columns))
        packed = self._con.execute("SELECT wkb FROM shapes WHERE first=?", (first,)).fetchone()
        if packed is None:
            return frame, None, np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        held = json.loads(packed[0])
        shapes = np.asarray(shapely.from_wkb(held["wkb"]), dtype=object)
        return frame, shapes, np.array(held["high"], dtype=bool), np.array(held["unread"], dtype=bool)

    def raw_rows(self, numbers):
        """(number, {column: value}) of some rows, in their order."""
        for number, cells, _ in self._raw_rows(sorted(set(numbers))):
            yield number, cells

    def _raw_rows(self, numbers):
        """(number, {column: value}, shape or None) of rows in rising order; one piece is in memory at once."""
        first, end, frame, shapes = 0, 0, None, None
        for number in numbers:
            if not first <= number < end:
                first, count = self._con.execute(
                    "SELECT first, count FROM raw WHERE first<=? ORDER BY first DESC LIMIT 1", (number,)
                ).fetchone()
                end, (frame, shapes, _, _) = first + count, self._raw_piece(first)
            yield number, frame.iloc[number - first].to_dict(), None if shapes is None else shapes[number - first]

    def refused(self):
        """(number, problems, {column: value}, shape or None) of every refused row, row by row."""
        numbers = (row for (row,) in self._con.execute("SELECT DISTINCT row FROM problems ORDER BY row"))
        for (number, cells, shape), (_, told) in zip(
            self._raw_rows(numbers), groupby(self.problems(), key=lambda p: p.row), strict=True
        ):
            yield number, list(told), cells, shape

    def has_shapes(self):
        """Whether the file held shapes, not only columns."""
        return self._con.execute("SELECT 1 FROM shapes LIMIT 1").fetchone() is not None

    # --- as they were checked ---

    def take_keys(self, numbers, keys):
        """Note the keys of rows, also of refused ones, so that doubled ones are found. keys: texts, None where blank."""
        body = [(k, int(n)) for n, k in zip(numbers, keys, strict=True) if k is not None]
        with self._together():
            self._con.executemany("INSERT INTO keys VALUES (?,?)", body)

    def take(self, numbers, checked, keys):
        """Keep checked rows under their numbers in the file and their key texts."""
        field = rules.TOGETHER.get(self.layer.name)
        records = rows.records(self.layer, checked.rows)
        shapes = [None] * len(records)
        if self.layer.geometry:
            shapes = geopackage.encode([r.pop(geopackage.GEOMETRY_COLUMN) for r in records])
        body = [
            (
                int(n),
                k,
                None if field is None else str(r[field]),
                None,
                _written(cells),
                g,
            )
            for n, k, r, cells, g in zip(numbers, keys, records, rows.packed(records), shapes, strict=True)
        ]
        with self._together():
            self._con.executemany("INSERT INTO staged VALUES (?,?,?,?,?,?)", body)

    def refuse(self, problems):
        """Keep what is wrong; a row with a problem is not taken."""
        body = [
            (p.row, p.field, p.key, p.value, str(p.reason), getattr(p.reason, "vi", None) or str(p.reason))
            for p in problems
        ]
        with self._together():
            self._con.executemany("INSERT INTO problems VALUES (?,?,?,?,?,?)", body)
            self._con.executemany("DELETE FROM staged WHERE row=?", [(p.row,) for p in problems])

    def repaired(self, sentences):
        """Keep what was repaired: sentences of layers.checks, or with a row."""
        body = [(getattr(s, "row", None), str(s), getattr(s, "vi", None) or str(s)) for s in sentences]
        with self._together():
            self._con.executemany("INSERT INTO repairs VALUES (?,?,?)", body)

    def refuse_doubled(self):
        """Refuse every later row of a key that was given twice."""
        self._con.execute("CREATE INDEX keys_by_key ON keys(key, row)")
        query = (
            "SELECT later.row, staged.key FROM keys AS later LEFT JOIN staged ON staged.row = later.row "
            "WHERE EXISTS (SELECT 1 FROM keys AS first WHERE first.key = later.key AND first.row < later.row) "
            "ORDER BY later.row"
        )
        found = self._con.execute(query).fetchall()
        doubled = [
            Problem(given_twice(), row, self.layer.key[0], layer=self.layer, key=shown_key(key))
            for row, key in found
            if key is not None
        ]
        self.refuse(doubled)

    def refuse_together(self, held, replaced):
        """Refuse rows that break a rule between rows of one party, also together with rows that stay.

        held: the frame of the layer as it is; replaced(keys) -> which of its rows the file replaces.
        """
        field = rules.TOGETHER.get(self.layer.name)
        if field is None:
            return
        stays = held[~replaced(held)] if len(held) else held
        for (party,) in self._con.execute("SELECT DISTINCT party FROM staged ORDER BY party").fetchall():
            numbers, frame = self._frame("WHERE party=? ORDER BY row", (party,))
            others = stays[stays[field].astype(str) == party] if len(stays) else stays
            while len(frame):
                both = pd.concat([others, frame], ignore_index=True) if len(others) else frame.reset_index(drop=True)
                found = rules.broken_together(self.layer.name, both)
                if not found or rules.broken_together(self.layer.name, others.reset_index(drop=True)):
                    break
                at = sorted({max(0, (row or 0) - len(others)) for row, _ in found})
                told = [
                    Problem(found[0][1], numbers[i], None, layer=self.layer, key=_key_of(self.layer, frame, i))
                    for i in at
                ]
                self.refuse(told)
                keep = [i for i in range(len(frame)) if i not in at]
                numbers, frame = [numbers[i] for i in keep], frame.iloc[keep].reset_index(drop=True)

    # --- what there is ---

    def pieces(self, fate=None):
        """The taken rows, piece by piece: (row numbers, key texts, CheckedLayer). fate: only those marked so."""
        last, where = -1, "" if fate is None else f" AND fate IN ({','.join('?' * len(fate))})"
        while True:
            query = f"SELECT row, key FROM staged WHERE row>?{where} ORDER BY row LIMIT {PIECE}"
            found = self._con.execute(query, (last, *(fate or ()))).fetchall()
            if not found:
                return
            numbers, frame = self._frame(
                f"WHERE row BETWEEN ? AND ?{where} ORDER BY row", (found[0][0], found[-1][0], *(fate or ()))
            )
            yield numbers, [k for _, k in found], CheckedLayer(self.layer, frame)
            last = found[-1][0]

    def _frame(self, where, values):
        found = self._con.execute(f"SELECT row, cells, geom FROM staged {where}", values).fetchall()
        if self.layer.geometry:
            body = [[*json.loads(cells), geom] for _, cells, geom in found]
        else:
            body = [json.loads(cells) for _, cells, _ in found]
        return [row for row, _, _ in found], rows.frame_of(self.layer, body)

    def mark(self, numbers, fates):
        """Note what a row does to the layer: new, changed or same."""
        with self._together():
            self._con.executemany("UPDATE staged SET fate=? WHERE row=?", zip(fates, map(int, numbers), strict=True))

    def count(self, fate=None):
        """How many rows are taken, or marked so."""
        where = "" if fate is None else " WHERE fate=?"
        return self._con.execute("SELECT count(*) FROM staged" + where, () if fate is None else (fate,)).fetchone()[0]

    def keys(self, fate, most):
        """The keys of the first rows marked so, as tuples."""
        found = self._con.execute("SELECT key FROM staged WHERE fate=? ORDER BY row LIMIT ?", (fate, most)).fetchall()
        return [key_parts(k) for (k,) in found]

    def refused_count(self):
        return self._con.execute("SELECT count(DISTINCT row) FROM problems").fetchone()[0]

    def problems(self, most=None):
        """The problems as layers.checks.Problem, row by row, of at most so many rows."""
        limit = "" if most is None else f" WHERE row IN (SELECT DISTINCT row FROM problems ORDER BY row LIMIT {most})"
        query = f"SELECT row, field, key, value, en, vi FROM problems{limit} ORDER BY row, rowid"
        for row, field, key, value, en, vi in self._con.execute(query):
            yield Problem(Said(en, vi), row, field, layer=self.layer, key=key or "", value=value)

    def repairs(self, most):
        """(how many, the first sentences) of what was repaired."""
        found = self._con.execute("SELECT en, vi FROM repairs ORDER BY rowid LIMIT ?", (most,)).fetchall()
        return self._con.execute("SELECT count(*) FROM repairs").fetchone()[0], [Said(en, vi) for en, vi in found]


def key_text(parts):
    """A key as one text, from its parts; see layers.checks.key_texts."""
    return BETWEEN.join(NOTHING if p is None else str(p) for p in parts)


def key_parts(text):
    return tuple(None if p == NOTHING else p for p in text.split(BETWEEN))


def shown_key(text):
    return "/".join("–" if p is None else p for p in key_parts(text))


def _key_of(layer, frame, i):
    return "/".join("–" if pd.isna(frame[k].iloc[i]) else str(frame[k].iloc[i]) for k in layer.key)


def _marked(value):
    if isinstance(value, datetime):
        return {"\x00time": value.isoformat()}
    if isinstance(value, date):
        return {"\x00day": value.isoformat()}
    return str(value)


def _unmarked(value):
    if "\x00time" in value:
        return datetime.fromisoformat(value["\x00time"])
    if "\x00day" in value:
        return date.fromisoformat(value["\x00day"])
    return value
