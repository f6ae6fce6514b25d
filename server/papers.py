"""Documents that staff put to a case: what is taken as a PDF, a Word or an Excel file, and what is not.

The bytes decide, not the name. Files with macros are refused, and files that would unpack to much more
than they are. They are kept as they came and only ever handed out as an attachment.
"""

import io
import re
import unicodedata
import zipfile

from server.i18n import N_

MAX_BYTES = 20 * 1024 * 1024
MAX_UNPACKED, MAX_ENTRIES = 200 * 1024 * 1024, 5000
OFFICE = "application/vnd.openxmlformats-officedocument."
TYPES = {
    ".pdf": "application/pdf",
    ".docx": OFFICE + "wordprocessingml.document",
    ".xlsx": OFFICE + "spreadsheetml.sheet",
}
_SUFFIXES = re.compile(r"(\.(pdf|docx?|xlsx?|exe|js|html?|svg|zip|bat|cmd|scr|jpe?g|png))+$", re.IGNORECASE)
_PART = {"word/document.xml": ".docx", "xl/workbook.xml": ".xlsx"}


class PaperError(Exception):
    """A file that is not taken as a document. `sentence` and `values` tell people what to do, `code` is for programs."""

    def __init__(self, code, sentence, **values):
        self.code, self.sentence, self.values = code, sentence, values
        super().__init__(sentence % values)


def kind_of(data):
    """The suffix of a document (".pdf", ".docx", ".xlsx") by its bytes. Raises PaperError."""
    if not data:
        raise PaperError("empty", N_("The file is empty. Choose it again."))
    if len(data) > MAX_BYTES:
        raise PaperError(
            "too_large", N_("The file is larger than %(limit)s MB. Send a smaller one."), limit=MAX_BYTES >> 20
        )
    if data.startswith(b"%PDF-"):
        return ".pdf"
    if data.startswith(b"PK\x03\x04"):
        return _office(data)
    raise PaperError("kind", N_("Only PDF, DOCX and XLSX files are taken here. Save the document as one of these."))


def _office(data):
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            parts = packed.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError):
        raise PaperError("broken", N_("The file is damaged. Open it once more, save it and send it again.")) from None
    names = {p.filename for p in parts}
    if len(parts) > MAX_ENTRIES or sum(p.file_size for p in parts) > MAX_UNPACKED:
        raise PaperError("bomb", N_("The file would unpack to far more than it is. It is not taken."))
    if any(n.lower().endswith("vbaproject.bin") for n in names):
        raise PaperError("macros", N_("The file holds macros. Save it without them (DOCX or XLSX) and send it again."))
    if "[Content_Types].xml" in names:
        for part, suffix in _PART.items():
            if part in names:
                return suffix
    raise PaperError("kind", N_("Only PDF, DOCX and XLSX files are taken here. Save the document as one of these."))


def clean_name(name, suffix):
    """A file name that is safe to hand out again: no path, no control signs, with the right suffix.

    >>> clean_name("..\\\\..\\\\Biên bản 12.pdf.exe", ".pdf")
    'Biên bản 12.pdf'
    """
    name = unicodedata.normalize("NFC", re.split(r"[\\/]", name or "")[-1])
    name = "".join(
        c for c in name if c.isprintable() and c not in '<>:"|?*\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069'
    )
    stem = _SUFFIXES.sub("", name).strip(" .")[:80].strip(" .") or "document"
    return stem + suffix
