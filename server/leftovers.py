"""Uploads that no row names: left by a form that was refused after its file had been taken in, or by a killed process.

Whatever bears the name of a file anywhere in the databases keeps it: in a column of its own, inside a text such as
the journal, or packed away in an earlier version of a layer. Only what is older than any version that can be put
back goes.
"""

import logging
import re
import sqlite3
import zlib
from contextlib import closing, suppress
from pathlib import Path

DAYS = 30
MOST_UNPACKED = 512 * 1024 * 1024
_NAME = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
log = logging.getLogger("cangxanh")


def sweep(files, data_dir, *, days=DAYS):
    """Delete the uploads of `files` that are older than `days` and that no database in data_dir names; how many went.

    A database that cannot be read raises, and nothing goes.
    """
    old = files.older(days * 86_400)
    if not old:
        return 0
    old -= named_in(data_dir)
    gone = sum(files.drop(sha, days * 86_400) for sha in sorted(old))
    if gone:
        log.info("%d uploads that nothing names were deleted", gone)
    return gone


def named_in(data_dir):
    """Every SHA-256 that stands in any cell of the databases of a data folder."""
    found = set()
    for path in sorted(p for p in Path(data_dir).iterdir() if p.suffix in (".gpkg", ".db")):
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as con:
            con.text_factory = bytes
            for (table,) in con.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0"
            ).fetchall():
                for row in con.execute(f'SELECT * FROM "{table.decode()}"'):
                    for cell in row:
                        if isinstance(cell, bytes) and len(cell) >= 40:
                            found.update(_NAME.findall(_text(cell)))
    return found


def _text(cell):
    """The letters of a cell; of a packed one what is in it. Hex digits read the same in every encoding of theirs."""
    if cell[:1] == b"\x78":
        with suppress(zlib.error):
            cell = zlib.decompressobj().decompress(cell, MOST_UNPACKED)
    return cell.decode("latin-1").lower()
