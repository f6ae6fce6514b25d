"""A backup: everything of a data folder in one file, and a data folder again out of it.

The databases are copied as they are at one moment, while the server writes; then the uploaded files, which are only
ever added before the row that names them, so that no copied row names a file that is missing. Every member has its
SHA-256 in the manifest. The file holds secrets (password hashes, contacts of citizens): it is to be kept like them.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import zipfile
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from layers import geopackage, wholefiles
from layers.errors import LayerError
from layers.store import FILE_NAME as STORE_FILE
from server.citytime import CITY_TIME
from server.vault import FILE_NAME as ACCOUNTS_FILE

MANIFEST = "cangxanh-backup.json"
FORMAT = 1
DATABASES = (STORE_FILE, ACCOUNTS_FILE)  # in this order: the register names people, never the other way round
LEFT_OUT = ("backups", "cache", "imports")  # copies of copies, what is made again, what is only under way
_PIECE = 1 << 20


class BackupError(LayerError):
    """A backup that cannot be made, read or put back; the sentence says what to do."""

    code = "backup"


def make(data_dir, path, *, progress=None):
    """Write the backup of a data folder to `path`, whole or not at all; the manifest. progress: called with the share."""
    data_dir, path = Path(data_dir), Path(path)
    if not (data_dir / STORE_FILE).is_file():
        raise BackupError(f"There is no {STORE_FILE} in {data_dir}: --data DIR names another folder.")
    if path.exists():
        raise BackupError(f"{path} is there already; a backup never replaces another one. Give a new name.")
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".cangxanh-") as scratch, open(part, "wb") as out:
            with suppress(OSError):
                os.chmod(part, 0o600)
            copies = [
                _copied(data_dir / name, Path(scratch) / name) for name in DATABASES if (data_dir / name).is_file()
            ]
            members = [(copy, copy.name) for copy in copies] + _files(data_dir)
            manifest = _write(out, members, progress)
            out.flush()
            os.fsync(out.fileno())
        wholefiles.settle(part, path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise BackupError(f"The backup was not written: {e.strerror or e} ({e.filename or path}).") from e
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return manifest


def check(path):
    """The manifest of a backup whose every member is whole; BackupError names what is not."""
    with _opened(path) as archive:
        manifest = _manifest(archive, path)
        for name, held in manifest["members"].items():
            with archive.open(name) as member:
                if _digest(member) != held["sha256"]:
                    raise BackupError(f"{path}: {name} is not what was put in. Take another backup.")
    return manifest


def restore(path, data_dir, *, replace=False):
    """Make `data_dir` from a backup; (manifest, where the folder that was there lies now, or None).

    Nothing is deleted: with replace a folder that is there is moved aside. Raises BackupError where it is not empty
    and replace is not given, where a server holds it, or where the backup is not whole.
    """
    path, data_dir = Path(path), Path(data_dir).absolute()
    full = data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir()))
    if full and not replace:
        raise BackupError(f"{data_dir} is not empty. Choose an empty folder, or say --replace to move it aside first.")
    manifest = check(path)
    if full and _held(data_dir / STORE_FILE):
        raise BackupError(f"{data_dir} is in use. Stop the server, close QGIS, and try again.")
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=data_dir.parent, prefix=f"{data_dir.name}.restoring-"))
    try:
        with _opened(path) as archive:
            for name in manifest["members"]:
                target = fresh / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, open(target, "wb") as out:
                    shutil.copyfileobj(source, out, _PIECE)
                    out.flush()
                    os.fsync(out.fileno())
                if name == ACCOUNTS_FILE:
                    with suppress(OSError):
                        os.chmod(target, 0o600)
        for name in DATABASES:
            if (fresh / name).is_file():
                _prove(fresh / name, path)
        aside = None
        if full:
            aside = data_dir.with_name(f"{data_dir.name}.before-{datetime.now(CITY_TIME):%Y%m%d-%H%M%S}")
            os.replace(data_dir, aside)
        elif data_dir.exists():
            data_dir.rmdir()
        os.replace(fresh, data_dir)
    except OSError as e:
        raise BackupError(f"Nothing was put back: {e.strerror or e} ({e.filename}).") from e
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return manifest, aside


def _copied(live, copy):
    with closing(sqlite3.connect(live, timeout=30)) as con:
        geopackage.copy_to(con, copy)
    return copy


def _files(data_dir):
    out = []
    for file in sorted(data_dir.rglob("*")):
        inside = file.relative_to(data_dir)
        known = inside.parts[0] in LEFT_OUT
        known |= inside.name.startswith((STORE_FILE, ACCOUNTS_FILE, "jobs.db")) and len(inside.parts) == 1
        if file.is_file() and not file.is_symlink() and not known and not inside.name.endswith(".part"):
            out.append((file, inside.as_posix()))
    return out


def _write(out, members, progress):
    total = sum(file.stat().st_size for file, _ in members) or 1
    listed, done = {}, 0
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for file, name in members:
            digest, size = hashlib.sha256(), 0
            if not file.is_file():
                continue  # gone since it was listed, such as a letter that was sent
            with (
                open(file, "rb") as source,
                archive.open(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), "w", force_zip64=True) as member,
            ):
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    member.write(piece)
                    size, done = size + len(piece), done + len(piece)
                    if progress is not None:
                        progress(min(done / total, 1.0))
            listed[name] = {"bytes": size, "sha256": digest.hexdigest()}
        manifest = {"format": FORMAT, "made": datetime.now(UTC).isoformat(timespec="seconds"), "members": listed}
        archive.writestr(MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False))
    return manifest


class _opened:
    def __init__(self, path):
        self.path = path

    def __enter__(self):
        try:
            self._archive = zipfile.ZipFile(self.path)
        except FileNotFoundError:
            raise BackupError(f"There is no file {self.path}.") from None
        except (zipfile.BadZipFile, OSError) as e:
            raise BackupError(f"{self.path} is not a backup, or not a whole one ({e}).") from e
        return self._archive

    def __exit__(self, kind, error, trace):
        self._archive.close()
        if isinstance(error, zipfile.BadZipFile | EOFError | KeyError | NotImplementedError) or (
            kind is not None and kind.__module__ == "zlib"
        ):
            raise BackupError(f"{self.path} is not whole ({error}). Take another backup.") from error


def _manifest(archive, path):
    try:
        manifest = json.loads(archive.read(MANIFEST))
        names, wanted = set(archive.namelist()) - {MANIFEST}, set(manifest["members"])
    except (KeyError, ValueError, TypeError) as e:
        raise BackupError(f"{path} is not a backup of Cảng Xanh: it has no list of what it holds.") from e
    if manifest.get("format") != FORMAT:
        raise BackupError(f"{path} was made by another version of Cảng Xanh (format {manifest.get('format')}).")
    if names != wanted or STORE_FILE not in wanted:
        raise BackupError(f"{path} does not hold what its list says: {sorted(names ^ wanted)[:3]}.")
    for name in names:
        inner = PurePosixPath(name.replace("\\", "/"))
        if inner.is_absolute() or ".." in inner.parts or ":" in name:
            raise BackupError(f"{path} holds '{name}', a path that leads out of the archive.")
    return manifest


def _digest(file):
    digest = hashlib.sha256()
    while piece := file.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _held(path):
    """Whether another program has the database open: only a lone user may leave WAL."""
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=1)) as con:
            return con.execute("PRAGMA journal_mode=DELETE").fetchone()[0] != "delete"
    except sqlite3.OperationalError:
        return True
    except sqlite3.DatabaseError:
        return False  # not a database any more: that may be why it is being replaced


def _prove(path, backup):
    try:
        with closing(sqlite3.connect(path)) as con:
            said = con.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.DatabaseError as e:
        said = str(e)
    if said != "ok":
        raise BackupError(f"{backup}: {path.name} is damaged ({said}). Take another backup.")
