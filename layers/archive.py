"""The rows of the versions, kept in parts that versions share: an edit of one row adds a part or two, not a copy.

A part is zlib of JSON, {"fields": names, "rows": a list per row}, kept once under the SHA-256 of that JSON. Its own
rows say where it ends: behind a row whose CRC-32 is a multiple of CUT, or when it is full. So parts are the same
wherever rows are the same, whatever came in or went out elsewhere. The hash of a version is the SHA-256 of the hashes
of its parts in their order, one per line: the same rows have the same hash, however the version came about. Versions
from before schema 4 keep the hash of their rows one after the other (WHOLE).

Of the newest version the fids are noted between which the rows of each part lie in the layer's table, as far as they
stand there as they are kept.
"""

import hashlib
import json
import zlib
from dataclasses import dataclass

import pandas as pd
import sqlalchemy as sa

from layers import rows

CUT, LEAST_ROWS, MOST_ROWS = 400, 100, 2_000
PART_CHARACTERS = 4_000_000  # of JSON, before it is packed
WHOLE, IN_PARTS = 1, 2  # what the hash of a version is made of

_BATCH, _LEVEL = 500, 1  # a higher level of zlib saves a tenth of the space and takes three times as long
_written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

metadata = sa.MetaData()
_contents = sa.Table(
    "cx_parts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False, unique=True),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
_lists = sa.Table(
    "cx_archive",
    metadata,
    sa.Column("layer", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("content", sa.Integer, sa.ForeignKey("cx_parts.id"), nullable=False, index=True),
    sa.Column("first", sa.Integer),  # fid in the layer's table of the first row, and of the last one
    sa.Column("last", sa.Integer),
)


@dataclass(frozen=True)
class Part:
    """A part of a version. content: its number in the archive; first, last: fids of its rows, None where unknown."""

    content: int
    sha256: str
    rows: int
    first: int | None
    last: int | None


def create(con):
    """Make the tables where they are missing. con: a SQLAlchemy connection in a transaction."""
    metadata.create_all(con)


class Packer:
    """Cuts the rows of a new version into parts as they come, and keeps those parts that are not there yet.

    Call feed() and reuse() in the order of the rows, then put().
    """

    def __init__(self, con, layer):
        self._con, self._head = con, _head(layer)
        self._held, self._size, self._first, self._last = [], 0, None, None
        self.parts, self.count = [], 0

    @property
    def settled(self):
        """Whether the row that comes next begins a part."""
        return not self._held

    def feed(self, packed, fids=None):
        """Take rows as layers.rows.packed gives them. fids: of each, where they stand in the table as they are."""
        for i, row in enumerate(packed):
            text = _written(row)
            if fids is not None:
                self._last = fids[i]
                self._first = self._last if not self._held else self._first
            self._held.append(text)
            self.count, self._size = self.count + 1, self._size + len(text)
            full = len(self._held) >= MOST_ROWS or self._size >= PART_CHARACTERS
            if full or (len(self._held) >= LEAST_ROWS and not zlib.crc32(text.encode()) % CUT):
                self._flush()

    def reuse(self, part):
        """Take a part of an earlier version as it is; only where settled, and nothing but whole parts may follow the last."""
        if self._held:
            raise ValueError("a part begins in the middle of another one")
        self.parts.append(part)
        self.count += part.rows

    def end(self):
        """The last part; an empty layer has one without rows."""
        if self._held or not self.parts:
            self._flush()

    def _flush(self):
        body = (self._head + ",".join(self._held) + "]}").encode()
        digest = hashlib.sha256(body).hexdigest()
        content = self._con.scalar(sa.select(_contents.c.id).where(_contents.c.sha256 == digest))
        if content is None:
            kept = _contents.insert().values(sha256=digest, rows=len(self._held), body=zlib.compress(body, _LEVEL))
            content = self._con.execute(kept).inserted_primary_key[0]
        self.parts.append(Part(content, digest, len(self._held), self._first, self._last))
        self._held, self._size, self._first, self._last = [], 0, None, None


def _head(layer):
    return '{"fields":' + json.dumps(rows.columns(layer)) + ',"rows":['


def put(con, name, version, packer):
    """Keep the rows of a version; (number of rows, its hash)."""
    packer.end()
    listed = [
        {"layer": name, "version": version, "part": i, "content": p.content, "first": p.first, "last": p.last}
        for i, p in enumerate(packer.parts)
    ]
    con.execute(_lists.insert(), listed)
    return packer.count, _hash(p.sha256 for p in packer.parts)


def _hash(digests):
    return hashlib.sha256("".join(f"{d}\n" for d in digests).encode()).hexdigest()


def parts(con, name, version):
    """The Parts of a version in their order; none where it is not kept."""
    query = (
        sa.select(_contents.c.id, _contents.c.sha256, _contents.c.rows, _lists.c.first, _lists.c.last)
        .join_from(_lists, _contents)
        .where(_lists.c.layer == name, _lists.c.version == version)
        .order_by(_lists.c.part)
    )
    return [Part(*row) for row in con.execute(query)]


def standing(con, layer, version):
    """The Parts of a version whose rows are known to stand in the layer's table with its present fields, or none."""
    found = parts(con, layer.name, version)
    if not found or any(p.first is None for p in found):
        return []
    head = _head(layer).encode()
    body = con.scalar(sa.select(_contents.c.body).where(_contents.c.id == found[0].content))
    return found if zlib.decompressobj().decompress(body, len(head)) == head else []


def forget_places(con, name, version):
    """The rows of a version no longer stand in the layer's table where they were."""
    mine = _lists.c.layer == name, _lists.c.version == version
    con.execute(_lists.update().where(*mine).values(first=None, last=None))


def frames(con, layer, contents):
    """The rows of some contents (Part.content) as frames, one each."""
    for content in contents:
        body = con.scalar(sa.select(_contents.c.body).where(_contents.c.id == content))
        yield rows.unpacked(layer, json.loads(zlib.decompress(body)))


def frame(con, layer, version):
    """The rows of a version as one frame, or None where it is not kept."""
    found = parts(con, layer.name, version)
    return joined(layer, frames(con, layer, [p.content for p in found])) if found else None


def joined(layer, some):
    """Frames of a layer after each other, as one."""
    filled = [p for p in some if len(p)]
    if not filled:
        return rows.frame_of(layer, [])
    return filled[0] if len(filled) == 1 else pd.concat(filled, ignore_index=True)


def kept(con, name):
    """The numbers of the versions of a layer that are kept."""
    return set(con.scalars(sa.select(_lists.c.version).where(_lists.c.layer == name).distinct()))


def drop(con, name, versions):
    """Let go of some versions, and of the parts that no other one needs. versions: numbers, or a query that gives them."""
    gone = sa.and_(_lists.c.layer == name, _lists.c.version.in_(versions))
    contents = con.scalars(sa.select(_lists.c.content).where(gone).distinct()).all()
    if not contents:
        return
    con.execute(_lists.delete().where(gone))
    needed = sa.exists().where(_lists.c.content == _contents.c.id)
    for at in range(0, len(contents), _BATCH):
        con.execute(_contents.delete().where(_contents.c.id.in_(contents[at : at + _BATCH]), ~needed))


def sound(con, layer, version, count, digest, scheme):
    """Whether the rows of a version are as many as were written and have their hash; True where they are no longer kept."""
    found, whole, digests, rows_found = parts(con, layer.name, version), rows.Digest(), [], 0
    for part in found:
        try:
            body = zlib.decompress(con.scalar(sa.select(_contents.c.body).where(_contents.c.id == part.content)))
        except zlib.error:
            return False
        digests.append(hashlib.sha256(body).hexdigest())
        if digests[-1] != part.sha256:
            return False
        held = json.loads(body)
        rows_found += len(held["rows"])
        if scheme == WHOLE:
            if not set(held["fields"]) <= set(rows.columns(layer)):
                return True  # a field that is no longer known: nobody can say how its values were written
            whole.feed_packed(layer, held)
    made = whole.hex() if scheme == WHOLE else _hash(digests)
    return not found or (rows_found, made) == (count, digest)
