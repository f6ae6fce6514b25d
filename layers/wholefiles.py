"""Files that are there whole or not at all: written beside their place, then put there in one step."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

PATIENCE_S = 3.0  # Windows puts no file in the place of one that somebody reads; readers here are done sooner


def settle(fresh, path):
    """Put the finished file `fresh` in the place of `path`, waiting a while for a reader where the system asks for it.

    Raises OSError where the place stays taken, or cannot be written; `fresh` and the old file are as before then.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return os.replace(fresh, path)
        except PermissionError:
            if time.monotonic() >= end or not (os.path.isfile(path) and os.path.isfile(fresh)):
                raise
            time.sleep(0.05)


def write(path, body):
    """Write bytes, or text as UTF-8, as the file `path`; several writers at once leave the file of one of them."""
    body = body.encode() if isinstance(body, str) else body
    path = Path(path)
    fresh = path.with_name(f".{path.name[:100]}-{os.getpid()}-{threading.get_ident()}.part")
    try:
        fresh.write_bytes(body)
        settle(fresh, path)
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
