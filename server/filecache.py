"""What is made from data and kept: files on disk by version of data and program, recent answers in memory."""

import hashlib
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from layers import wholefiles

_making = threading.Lock()  # one at a time: a large file takes memory


def fingerprint(*modules):
    """A short text that changes with the source of modules, so that a new program trusts no old file."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update(Path(module.__file__).read_bytes())
    return digest.hexdigest()[:12]


def kept(folder, version, name, make):
    """The bytes of a file `name` in `folder`, made by make() where they are not kept for this version yet.

    What is kept for other versions is dropped. A disk that is full or read-only is no error: nothing is kept.
    """
    folder = Path(folder)
    path = folder / f"{version}-{name}"
    with suppress(OSError):
        return path.read_bytes()
    with _making:
        with suppress(OSError):
            return path.read_bytes()
        body = make()
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.iterdir():
                if not old.name.startswith(f"{version}-"):
                    old.unlink()
            wholefiles.write(path, body)
    return body


class Recent:
    """Bytes by key, the ones asked for last; together at most `limit` bytes. Safe to use from several threads."""

    OVERHEAD = 200  # of a key and its place, about

    def __init__(self, limit):
        self.limit, self.size = limit, 0
        self._held = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self):
        return len(self._held)

    def get(self, key):
        """The bytes, or None."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key, body):
        with self._lock:
            if key not in self._held:
                self._held[key] = body
                self.size += len(body) + self.OVERHEAD
            while self.size > self.limit:
                _key, dropped = self._held.popitem(last=False)
                self.size -= len(dropped) + self.OVERHEAD
