"""Uploaded files, kept by the checksum of their bytes.

A file is written beside its place, brought to the disk (fsync) and then renamed, so that under its
name there is either the whole file or none, also when the process is killed. The same bytes are kept
once. Three folders: `kept` (what pages may show), `small` (a small picture of a kept photo, named by
the photo) and `originals` (as received, with whatever is hidden in them: for staff, never for a page).
"""

import hashlib
import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

from server.i18n import N_

MAX_BYTES = 25 * 1024 * 1024
SPARE_BYTES = 200 * 1024 * 1024  # never filled: the database needs room to go on writing
KEPT, SMALL, ORIGINALS, COMING = "kept", "small", "originals", "coming"
_SHA = re.compile(r"[0-9a-f]{64}")
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")
_ASIDE = "-aside-"  # between folder and name of a file on its way out
_FORGOTTEN_S = 3600  # a half-written file of this age has no writer any more


class FileError(Exception):
    """A file that cannot be kept or read. `sentence` and `values` are for people, `code` for programs."""

    def __init__(self, code, sentence, **values):
        self.code, self.sentence, self.values = code, sentence, values
        super().__init__(sentence % values)


def checksum(data):
    """The name of these bytes: their SHA-256 as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


class Files:
    """The files in one folder. Safe to use from several threads and processes."""

    def __init__(self, folder, *, max_bytes=MAX_BYTES, spare_bytes=SPARE_BYTES):
        self.folder = Path(folder)
        self.max_bytes, self.spare_bytes = max_bytes, spare_bytes
        for name in (KEPT, SMALL, ORIGINALS, COMING):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._sweep()

    def put(self, data, suffix, *, expected=None, small=None):
        """Keep bytes and return their checksum; bytes that are there already are not written again.

        suffix: such as ".jpg" or ".pdf". expected: the checksum the sender computed; bytes that came
        otherwise are refused. small: a small JPEG of a photo, read back with small(). Raises FileError.
        """
        if not _SUFFIX.fullmatch(suffix):
            raise ValueError(f"{suffix!r} is not a suffix such as .jpg")
        sha = self._checked(data, expected)
        if small is not None:  # first: where the photo is, its small picture is too
            self._write(self.folder / SMALL / sha[:2] / f"{sha}.jpg", small)
        self._keep(KEPT, sha, suffix, data)
        return sha

    def put_original(self, data, *, expected=None):
        """Keep bytes as they were received, for staff only; returns their checksum. Raises FileError."""
        sha = self._checked(data, expected)
        self._keep(ORIGINALS, sha, ".bin", data)
        return sha

    def _keep(self, place, sha, suffix, data):
        """Bytes that are there are touched only: from now on they are young, and drop() leaves them alone."""
        there = self._find(place, sha)
        try:
            if there is not None and checksum(there.read_bytes()) == sha:
                os.utime(there)
                return
        except FileNotFoundError:  # dropped at this moment
            there = None
        self._write(there or self.folder / place / sha[:2] / f"{sha}{suffix}", data)

    def path(self, sha):
        """Where a kept file lies; FileError("missing") when there is none."""
        return self._found(KEPT, sha)

    def small(self, sha):
        """Where the small picture of a kept photo lies; FileError("missing") when there is none."""
        return self._found(SMALL, sha)

    def read(self, sha):
        """The bytes of a kept file, checked against their name. Raises FileError."""
        return self._read(KEPT, sha)

    def original(self, sha):
        """The bytes of an original, checked against their name; for staff only. Raises FileError."""
        return self._read(ORIGINALS, sha)

    def __contains__(self, sha):
        return self._find(KEPT, sha) is not None

    def forget(self, sha):
        """Delete what is kept under a checksum, as photo, small picture or original; nothing happens where there is none.

        The caller knows that no row names it any more.
        """
        for place in (KEPT, SMALL, ORIGINALS):
            found = self._find(place, sha)
            if found is not None:
                found.unlink(missing_ok=True)

    def older(self, seconds):
        """Checksums of files that nobody put within so many seconds, in none of the three folders."""
        limit, old, young = time.time() - seconds, set(), set()
        for place in (KEPT, SMALL, ORIGINALS):
            for path in (self.folder / place).glob("??/*"):
                (old if path.stat().st_mtime < limit else young).add(path.name.partition(".")[0])
        return {sha for sha in old - young if _SHA.fullmatch(sha)}

    def drop(self, sha, seconds):
        """Delete what is kept under a checksum unless it was put within so many seconds; whether it went.

        The caller knows that no row names it. Whoever puts the same bytes at this moment wins: a file is first moved
        aside, and comes back when it turns out to have been touched; also at the next start, when this was cut short.
        """
        limit, aside = time.time() - seconds, []
        for place in (KEPT, SMALL, ORIGINALS):
            found = self._find(place, sha)
            if found is None or found.stat().st_mtime >= limit:
                continue
            away = self.folder / COMING / f"{place}{_ASIDE}{found.name}"
            with suppress(FileNotFoundError):
                os.replace(found, away)
                aside.append((found, away))
        if any(away.stat().st_mtime >= limit for _found, away in aside):
            for found, away in aside:
                os.replace(away, found)
            return False
        for _found, away in aside:
            away.unlink(missing_ok=True)
        return bool(aside)

    def problems(self):
        """Files whose bytes are no longer those of their name: (folder, name), sorted."""
        return sorted(
            (name, path.name)
            for name in (KEPT, ORIGINALS)
            for path in (self.folder / name).glob("??/*")
            if checksum(path.read_bytes()) != path.name.partition(".")[0]
        )

    def _checked(self, data, expected):
        if not data:
            raise FileError("empty", N_("The file is empty. Choose it again."))
        if len(data) > self.max_bytes:
            raise FileError(
                "too_large",
                N_("The file is larger than %(limit)s MB. Send a smaller one."),
                limit=self.max_bytes // 1024**2,
            )
        sha = checksum(data)
        if expected is not None and expected.lower() != sha:
            raise FileError("changed", N_("The file changed on its way. Send it again."))
        if shutil.disk_usage(self.folder).free - len(data) < self.spare_bytes:
            raise FileError("full", N_("The server has no room for files at the moment. Try again later."))
        return sha

    def _find(self, place, sha):
        if not _SHA.fullmatch(sha):
            return None
        return next((self.folder / place / sha[:2]).glob(f"{sha}.*"), None)

    def _found(self, place, sha):
        found = self._find(place, sha)
        if found is None:
            raise FileError("missing", N_("There is no such file."))
        return found

    def _read(self, place, sha):
        data = self._found(place, sha).read_bytes()
        if checksum(data) != sha:
            raise FileError(
                "damaged", N_("The file is damaged on the disk of the server. Bring it back from a backup.")
            )
        return data

    def _write(self, path, data):
        coming = self.folder / COMING / secrets.token_hex(16)
        try:
            with open(coming, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if not path.parent.is_dir():
                path.parent.mkdir(exist_ok=True)
                _sync_folder(path.parent.parent)
            os.replace(coming, path)
            _sync_folder(path.parent)
        except OSError as e:
            with suppress(OSError):
                coming.unlink(missing_ok=True)
            raise FileError("full", N_("The server has no room for files at the moment. Try again later.")) from e

    def _sweep(self):
        long_ago = time.time() - _FORGOTTEN_S
        for path in (self.folder / COMING).iterdir():
            place, mark, name = path.name.partition(_ASIDE)
            with suppress(OSError):
                if mark:
                    os.replace(path, self.folder / place / name[:2] / name)
                elif path.stat().st_mtime < long_ago:
                    path.unlink()


def _sync_folder(path):
    """Bring a folder's list of names to the disk; Windows does so itself and cannot be asked."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
