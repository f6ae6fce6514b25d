"""Photos from people: taken in once, drawn anew from their pixels, nothing else kept.

What comes in may be anything. What goes out is a JPEG that this module wrote: upright, without EXIF,
position, XMP, colour profile, comment or bytes behind the picture.
"""

import io
import re
import threading
from dataclasses import dataclass, field
from datetime import date

from PIL import Image, ImageOps

from server.i18n import N_

MAX_BYTES = 25 * 1024 * 1024
MAX_PIXELS = {"JPEG": 50_000_000, "PNG": 25_000_000, "WEBP": 25_000_000}  # a JPEG is read at a smaller scale
LONG_EDGE, SMALL_EDGE, SHORTEST_EDGE = 2048, 480, 16
QUALITY = 84
_TAKEN = (36867, 36868, 306)  # EXIF: DateTimeOriginal, DateTimeDigitized, DateTime
_EXIF_PART = 0x8769
_DAY = re.compile(r"((?:19|20)\d\d)[:\-/](\d\d)[:\-/](\d\d)")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")
_one_at_a_time = threading.Lock()  # so that the bounds on pixels bound the memory too


class PhotoError(Exception):
    """A file that is not taken as a photo. `sentence` and `values` tell people what to do, `code` is for programs."""

    def __init__(self, code, sentence, **values):
        self.code, self.sentence, self.values = code, sentence, values
        super().__init__(sentence % values)


@dataclass(frozen=True)
class Photo:
    """A clean photo. jpeg: long edge at most 2048 px, width × height; thumbnail: long edge at most 480 px.

    taken_on: the day the camera wrote into the file, None where it wrote none; a camera can be wrong.
    """

    jpeg: bytes = field(repr=False)
    thumbnail: bytes = field(repr=False)
    width: int
    height: int
    taken_on: date | None


@dataclass(frozen=True)
class KeptPhoto:
    """A photo in the files: sha names the clean JPEG, original the bytes as they were received (staff only)."""

    sha: str
    original: str
    width: int
    height: int
    taken_on: date | None


def prepare(data):
    """The clean Photo of a JPEG, PNG or WebP file; of a moving picture the first one.

    The size is read and bounded before any pixel is. Transparent parts become white, 16 bit and CMYK
    become ordinary RGB. Raises PhotoError.
    """
    if not data:
        raise PhotoError("empty", N_("The file is empty. Choose the photo again."))
    if len(data) > MAX_BYTES:
        raise PhotoError(
            "too_large",
            N_("The photo is larger than %(limit)s MB. Choose a smaller one."),
            limit=MAX_BYTES // 1024**2,
        )
    kind = _kind(data)
    with _one_at_a_time:
        try:
            picture, taken_on = _decoded(data, kind)
            jpeg, thumbnail = _written(picture, LONG_EDGE), _written(picture, SMALL_EDGE)
        except PhotoError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise _too_many_pixels() from None
        except Exception as e:  # the libraries meet hostile bytes with errors of any kind
            raise PhotoError(
                "broken", N_("The photo is damaged or was cut off on its way. Send it again or choose another one.")
            ) from e
    with Image.open(io.BytesIO(jpeg)) as made:
        return Photo(jpeg, thumbnail, *made.size, taken_on)


def keep(files, data, *, expected=None):
    """Take a photo in: its original for staff, the clean one for pages. Returns a KeptPhoto.

    files: a server.files.Files. expected: the checksum the sender computed over `data`.
    Raises PhotoError, or FileError where the files refuse.
    """
    photo = prepare(data)
    original = files.put_original(data, expected=expected)
    sha = files.put(photo.jpeg, ".jpg", small=photo.thumbnail)
    return KeptPhoto(sha, original, photo.width, photo.height, photo.taken_on)


def _kind(data):
    """The format by the first bytes; names and declared types are not asked."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC:
        raise PhotoError(
            "heic",
            N_(
                "This photo is in the HEIC format, which many programs cannot open. On an iPhone choose "
                "Settings, Camera, Formats, Most Compatible and take it again, or send a screenshot of it."
            ),
        )
    raise PhotoError("not_a_photo", N_("This file is not a photo. Send a JPEG, PNG or WebP picture."))


def _too_many_pixels():
    return PhotoError(
        "too_many_pixels",
        N_("The photo has more than %(limit)s million pixels. Take it with a smaller size."),
        limit=MAX_PIXELS["JPEG"] // 1_000_000,
    )


def _decoded(data, kind):
    """An upright RGB picture of at most about twice LONG_EDGE, and the day it was taken."""
    with Image.open(io.BytesIO(data), formats=[kind]) as raw:
        width, height = raw.size
        if width * height > MAX_PIXELS[kind]:
            raise _too_many_pixels()
        if min(width, height) * min(1, LONG_EDGE / max(width, height)) < SHORTEST_EDGE:
            raise PhotoError("too_small", N_("The picture is too small to show anything. Choose the photo itself."))
        taken_on = _taken_on(raw)
        if kind == "JPEG":
            raw.draft("RGB", (LONG_EDGE, LONG_EDGE))
        raw.load()
        return _rgb(ImageOps.exif_transpose(raw)), taken_on


def _taken_on(raw):
    exif = raw.getexif()
    inner = exif.get_ifd(_EXIF_PART)
    for tag in _TAKEN:
        found = _DAY.match(str(inner.get(tag) or exif.get(tag) or ""))
        if found:
            try:
                return date(*map(int, found.groups()))
            except ValueError:
                continue
    return None


def _rgb(picture):
    if picture.mode.startswith("I"):  # 16 bit grey: the conversion would cut at 255 instead of scaling
        picture = picture.convert("I").point(lambda v: v * (1 / 257)).convert("L")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        ground = Image.new("RGB", picture.size, "white")
        ground.paste(picture, mask=picture.getchannel("A"))
        return ground
    return picture.convert("RGB")


def _written(picture, edge):
    """A JPEG of the pixels alone: a fresh picture carries no info of the old one."""
    small = picture.copy()
    small.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    fresh = Image.new("RGB", small.size)
    fresh.paste(small)
    out = io.BytesIO()
    fresh.save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue()
