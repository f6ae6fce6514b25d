"""Whether anything was written into a SQLite file, by whatever program, asked in a few millionths of a second."""

import sqlite3
import threading
import weakref
from pathlib import Path


class Pulse:
    """A connection of its own that only looks; safe to use from several threads. Closed when nobody holds it."""

    def __init__(self, path):
        self._con = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        self._con.execute("PRAGMA busy_timeout=10000")
        self._lock = threading.Lock()
        weakref.finalize(self, self._con.close)

    def beat(self):
        """A number that is another one after every commit of any other connection (sqlite.org/pragma.html)."""
        with self._lock:
            return self._con.execute("PRAGMA data_version").fetchone()[0]
