"""Files that are made from data and kept on disk: by version of the data and of the program that made them."""

import hashlib
import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

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
            write(path, body)
    return body


def write(path, body):
    """A file put in place in one step."""
    handle, fresh = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        file.write(body)
    os.replace(fresh, path)
