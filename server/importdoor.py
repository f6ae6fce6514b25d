"""The door for files: a name that harms nobody, kinds that can be read, room on the disk, pieces in their order."""

import hashlib
import os
import re
import shutil
import unicodedata
from contextlib import suppress
from pathlib import Path

from layers import ingest, parquet
from server.i18n import N_

RASTERS = (".tif", ".tiff")
SUFFIXES = tuple(sorted((ingest.VECTOR | ingest.TABLES | {".zip", ".kmz", *RASTERS} | ingest.PARQUET) - {".shp"}))
PARTS_OF_SHAPEFILE = {".shp", ".shx", ".dbf", ".prj", ".cpg", ".sbn", ".sbx"}
MAX_BYTES = ingest.MAX_BYTES
FORM_BYTES = 30_000_000  # a file sent by a plain form; larger ones come in pieces by the page's script
PIECE_BYTES = 4 * 2**20
SPARE_BYTES = 200 * 2**20  # never filled: the database needs room to go on writing
BLOCK = 2**18
LONGEST = 80  # letters of a name, which may take four bytes each on the disk
_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE
)  # names that Windows gives to devices


class ImportProblem(Exception):
    """Something about an import that people can mend. sentence: a msgid, with its values; code: for programs."""

    def __init__(self, sentence, code="import", **values):
        self.sentence, self.code, self.values = sentence, code, values
        super().__init__(sentence % values)


def safe_name(name):
    """The last part of a path as letters, digits and a few signs, with its suffix in small letters.

    Folders, control and direction signs, and what a shell, Windows or HTML would take for something
    else go; what remains can lie on any disk and stand in any sentence.

    >>> safe_name("../../etc/Trạm xử lý <b>.CSV"), safe_name("C:\\\\x\\\\con.zip"), safe_name("..")
    ('Trạm xử lý _b_.csv', '_con.zip', 'file')
    """
    text = unicodedata.normalize("NFC", str(name or "").encode("utf-8", "ignore").decode())
    text = re.split(r"[\\/]", text)[-1]
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    text = re.sub(r"[^\w .,()+\-]", "_", re.sub(r"\s+", " ", text)).strip(" .")
    stem, dot, suffix = text.rpartition(".")
    if not dot or not re.fullmatch(r"[A-Za-z0-9]{1,8}", suffix):
        stem, suffix = text, ""
    stem = stem.strip(" .")[:LONGEST].strip(" .") or "file"
    stem = f"_{stem}" if _RESERVED.fullmatch(stem) else stem
    return stem + (f".{suffix.lower()}" if suffix else "")


def checked_name(name):
    """safe_name() of a file that can be read; ImportProblem for one that cannot, with what to do."""
    safe = safe_name(name)
    suffix = Path(safe).suffix
    if suffix in PARTS_OF_SHAPEFILE:
        raise ImportProblem(
            N_("A Shapefile is several files: put .shp, .shx, .dbf and .prj into one zip and send that."), "part"
        )
    if suffix in ingest.PARQUET and not parquet.available():
        raise ImportProblem(
            N_(
                "Parquet files are not read on this server: the package pyarrow is missing. Save it as GeoPackage or CSV."
            ),
            "suffix",
        )
    if suffix not in SUFFIXES:
        raise ImportProblem(
            N_("Files ending in “%(suffix)s” are not read. Known are: %(known)s."),
            "suffix",
            suffix=suffix or safe[-20:],
            known=", ".join(s[1:] for s in SUFFIXES),
        )
    return safe


def checked_size(size, folder, most=MAX_BYTES):
    """The size of a file in bytes, if it may come; ImportProblem where it is empty, too large, or the disk too full."""
    if size <= 0:
        raise ImportProblem(N_("The file is empty. Choose it again."), "empty")
    if size > most:
        raise ImportProblem(
            N_("The file has %(size)s MB; up to %(limit)s MB are taken. Split it, or leave out what is not needed."),
            "too_large",
            size=f"{size / 1e6:.0f}",
            limit=f"{most / 1e6:.0f}",
        )
    if shutil.disk_usage(folder).free - size < SPARE_BYTES:
        raise ImportProblem(N_("The server has no room for files at the moment. Try again later."), "full")
    return size


def write_piece(path, at, stream, size):
    """Write what a stream holds from byte `at` on; how much of the file is there then.

    The file grows from its end only: `at` must be where it ends, and it never grows beyond `size`.
    """
    have = path.stat().st_size if path.exists() else 0
    if at != have:
        raise ImportProblem(N_("The pieces of the file came in another order. Send it again."), "order", have=have)
    try:
        with open(path, "ab") as file:
            while block := stream.read(BLOCK):
                have += len(block)
                if have > size:
                    raise ImportProblem(N_("More came than was announced. Send the file again."), "longer")
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    except OSError as e:
        with suppress(OSError):
            os.truncate(path, at)
        raise ImportProblem(N_("The server has no room for files at the moment. Try again later."), "full") from e
    return have


def digest(path):
    """The SHA-256 of a file, read in blocks."""
    made = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            made.update(block)
    return made.hexdigest()
