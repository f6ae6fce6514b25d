"""The rows of earlier versions, kept in parts: no version is ever one large blob, or read as one.

A part is zlib of JSON: {"fields": names, "rows": a list per row}; parts of a version follow each other.
"""

import json
import zlib
from itertools import islice

import pandas as pd
import sqlalchemy as sa

from layers import rows

PART_ROWS = 2_000
PART_CHARACTERS = 4_000_000  # of JSON, before it is packed

_BATCH = 500
_written = json.JSONEncoder(ensure_ascii=False).encode

metadata = sa.MetaData()
_parts = sa.Table(
    "cx_archive",
    metadata,
    sa.Column("layer", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("rows", sa.LargeBinary, nullable=False),
)


def create(con):
    """Make the table where it is missing. con: a SQLAlchemy connection in a transaction."""
    metadata.create_all(con)


def put(con, name, version, records):
    """Keep the records of a version; (number of rows, their SHA-256).

    records: an iterable of dicts as layers.rows.records gives them; it is walked once.
    """
    digest, count, part, held, size, fields = rows.Digest(), 0, 0, [], 0, []

    def flush():
        nonlocal part, held, size
        text = '{"fields":' + json.dumps(fields) + ',"rows":[' + ",".join(held) + "]}"
        packed = zlib.compress(text.encode("utf-8"), 6)
        con.execute(_parts.insert().values(layer=name, version=version, part=part, rows=packed))
        part, held, size = part + 1, [], 0

    records = iter(records)
    while some := list(islice(records, _BATCH)):
        digest.feed(some)
        fields = fields or list(some[0])
        for row in rows.packed(some):
            held.append(_written(row))
            size += len(held[-1])
            if len(held) >= PART_ROWS or size >= PART_CHARACTERS:
                flush()
        count += len(some)
    if held or not part:
        flush()
    return count, digest.hex()


def frames(con, layer, version):
    """The rows of a version as frames, one per part; nothing where the version is not kept."""
    query = sa.select(_parts.c.rows).where(_parts.c.layer == layer.name, _parts.c.version == version)
    numbers = sa.select(_parts.c.part).where(_parts.c.layer == layer.name, _parts.c.version == version)
    for number in con.scalars(numbers.order_by(_parts.c.part)).all():
        packed = con.scalar(query.where(_parts.c.part == number))
        yield rows.unpacked(layer, json.loads(zlib.decompress(packed)))


def frame(con, layer, version):
    """The rows of a version as one frame, or None where it is not kept."""
    parts = list(frames(con, layer, version))
    if not parts:
        return None
    filled = [p for p in parts if len(p)] or parts[:1]
    return filled[0] if len(filled) == 1 else pd.concat(filled, ignore_index=True)


def kept(con, name):
    """The numbers of the versions of a layer that are kept."""
    return set(con.scalars(sa.select(_parts.c.version).where(_parts.c.layer == name).distinct()))


def drop(con, name, versions):
    """Let go of the rows of some versions. versions: numbers, or a query that gives them."""
    con.execute(_parts.delete().where(_parts.c.layer == name, _parts.c.version.in_(versions)))
