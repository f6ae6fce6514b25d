"""Photos: upright, clean, bounded; whatever else arrives is refused with a sentence that says what to do."""

import io
import random
import struct
import zipfile
import zlib
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from server.files import Files
from server.photos import MAX_BYTES, PhotoError, keep, prepare

SECRET = b"6543 Secret Street"
GPS, INNER = 0x8825, 0x8769


def picture(size=(120, 80), mode="RGB"):
    """Left half red, right half blue, so that turning and mirroring can be seen."""
    made = Image.new("RGB", size, (220, 30, 30))
    made.paste((30, 30, 220), (size[0] // 2, 0, *size))
    return made.convert(mode)


def exif(*, turned=1, taken="2026:11:21 08:30:00"):
    made = Image.Exif()
    made[0x0112] = turned
    made[0x010E] = SECRET.decode()
    made.get_ifd(INNER)[36867] = taken
    made.get_ifd(GPS).update({1: "N", 2: (20.0, 51.0, 12.5), 3: "E", 4: (106.0, 41.0, 3.25)})
    return made


def encoded(image, kind="JPEG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image


def near(pixel, wanted, tolerance=12):
    return all(abs(a - b) <= tolerance for a, b in zip(pixel, wanted, strict=True))


def segments(data):
    """Marker and length of every segment of a JPEG before its pixels; the bytes behind the end of the picture."""
    out, at = [], 2
    while data[at + 1] != 0xDA:
        length = struct.unpack(">H", data[at + 2 : at + 4])[0]
        out.append(data[at + 1])
        at += 2 + length
    return out, data[data.rindex(b"\xff\xd9") + 2 :]


def refused(data):
    with pytest.raises(PhotoError) as e:
        prepare(data)
    return e.value.code


def is_clean(photo):
    for data in (photo.jpeg, photo.thumbnail):
        found, behind = segments(data)
        assert set(found) <= {0xE0, 0xDB, 0xC0, 0xC2, 0xC4}, "only JFIF, tables and frame"
        assert behind == b""
        assert SECRET not in data
        image = opened(data)
        assert image.format == "JPEG" and image.mode == "RGB"
        assert not image.getexif() and set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    return True


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_three_formats_come_out_as_clean_jpeg(kind):
    photo = prepare(encoded(picture(), kind))
    assert (photo.width, photo.height) == (120, 80) and is_clean(photo)
    assert near(opened(photo.jpeg).getpixel((10, 40)), (220, 30, 30))
    assert near(opened(photo.jpeg).getpixel((110, 40)), (30, 30, 220))
    assert photo.taken_on is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_everything_hidden_is_left_behind_and_the_day_is_read_first(kind):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    extra = {
        "JPEG": {"comment": SECRET, "xmp": b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"},
        "PNG": {"pnginfo": PngImagePlugin.PngInfo()},
        "WEBP": {"xmp": SECRET},
    }[kind]
    if kind == "PNG":
        extra["pnginfo"].add_text("Comment", SECRET.decode())
        extra["pnginfo"].add_itxt("XML:com.adobe.xmp", SECRET.decode())
    data = encoded(picture(), kind, exif=exif(), icc_profile=srgb, **extra) + SECRET
    assert data.count(SECRET) >= 2
    photo = prepare(data)
    assert photo.taken_on == date(2026, 11, 21)
    assert is_clean(photo)


def corner(turned):
    """Where red (left in the stored picture) is seen after turning, by the EXIF standard, table of tag 274."""
    return {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}[turned]


@pytest.mark.parametrize("turned", range(1, 9))
def test_a_turned_photo_stands_upright(turned):
    photo = prepare(encoded(picture(), exif=exif(turned=turned)))
    size = (120, 80) if turned < 5 else (80, 120)
    assert (photo.width, photo.height) == size
    w, h = size
    at = {"left": (8, h // 2), "right": (w - 8, h // 2), "top": (w // 2, 8), "bottom": (w // 2, h - 8)}
    image = opened(photo.jpeg)
    assert near(image.getpixel(at[corner(turned)]), (220, 30, 30))
    other = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[corner(turned)]
    assert near(image.getpixel(at[other]), (30, 30, 220))


@pytest.mark.parametrize(
    ("size", "large", "small"),
    [((4000, 3000), (2048, 1536), (480, 360)), ((1000, 3000), (683, 2048), (160, 480)), ((300, 200), (300, 200), (300, 200))],
)  # fmt: skip
def test_edges_are_bounded_and_nothing_is_enlarged(size, large, small):
    photo = prepare(encoded(picture(size)))
    assert (photo.width, photo.height) == opened(photo.jpeg).size == large
    assert opened(photo.thumbnail).size == small


@pytest.mark.parametrize(
    ("taken", "day"),
    [("2026:02:30 10:00:00", None), ("0000:00:00 00:00:00", None), ("", None), ("yesterday", None),
     ("2026-03-01T10:00", date(2026, 3, 1)), ("9999:01:01 00:00:00", None)],
)  # fmt: skip
def test_a_day_that_is_none_is_unknown(taken, day):
    assert prepare(encoded(picture(), exif=exif(taken=taken))).taken_on == day


def test_transparent_parts_become_white_and_cmyk_keeps_its_colour():
    glass = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert near(opened(prepare(encoded(glass, "PNG")).jpeg).getpixel((20, 20)), (255, 255, 255))
    palette = Image.new("P", (40, 40), 0)
    palette.putpalette([10, 20, 30] * 256)
    assert near(opened(prepare(encoded(palette, "PNG", transparency=0)).jpeg).getpixel((20, 20)), (255, 255, 255))
    printed = Image.new("CMYK", (40, 40), (0, 255, 255, 0))  # full magenta and yellow: red
    assert near(opened(prepare(encoded(printed)).jpeg).getpixel((20, 20)), (255, 0, 0))


@pytest.mark.parametrize(("level", "seen"), [(0, 0), (257 * 128, 128), (65535, 255)])
def test_sixteen_bits_are_scaled_not_cut(level, seen):
    grey = Image.new("I;16", (40, 40), level)
    assert near(opened(prepare(encoded(grey, "PNG")).jpeg).getpixel((20, 20)), (seen,) * 3, 2)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_pixel_a_png_may_have_is_taken(mode):
    image = picture((40, 40)).convert("L").convert("I;16") if mode == "I;16" else picture((40, 40), mode)
    assert is_clean(prepare(encoded(image, "PNG")))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_a_moving_picture_the_first_one_is_kept(kind):
    frames = [Image.new("RGB", (40, 40), c) for c in ("red", "blue", "green")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
    photo = prepare(data)
    assert near(opened(photo.jpeg).getpixel((20, 20)), (255, 0, 0), 20) and is_clean(photo)


def test_of_a_jpeg_with_several_pictures_the_first_one_is_kept():
    data = encoded(picture(), "MPO", save_all=True, append_images=[Image.new("RGB", (120, 80), "green")])
    photo = prepare(data)
    assert near(opened(photo.jpeg).getpixel((10, 40)), (220, 30, 30)) and is_clean(photo)


# --- what is not a photo ---

HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
HEIC = b"\x00\x00\x00\x18ftypheic" + bytes(40)
AVIF = b"\x00\x00\x00\x1cftypavif" + bytes(40)


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "empty"), (b"\xff", "not_a_photo"), (HTML, "not_a_photo"), (SVG, "not_a_photo"), (b"%PDF-1.7", "not_a_photo"),
     (b"\xef\xbb\xbf" + SVG, "not_a_photo"), (b"PK\x03\x04", "not_a_photo"), (HEIC, "heic"), (AVIF, "heic"),
     (b"\xff\xd8\xff" + HTML, "broken"), (b"\x89PNG\r\n\x1a\n" + HTML, "broken"), (b"RIFF\x00\x00\x00\x00WEBP", "broken")],
)  # fmt: skip
def test_what_is_not_a_photo_is_refused(data, code):
    assert refused(data) == code


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "ICO", "PPM"])
def test_other_pictures_are_refused(kind):
    assert refused(encoded(picture((48, 48)), kind)) == "not_a_photo"


def test_the_refusal_of_heic_says_what_to_do():
    with pytest.raises(PhotoError, match=r"Most Compatible .* screenshot"):
        prepare(HEIC)


def archive():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        zipped.writestr("Evil.class", b"\xca\xfe\xba\xbe" + SECRET)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("other", ["html", "archive", "svg"])
def test_a_file_that_is_two_things_comes_out_as_one(kind, other):
    rider = {"html": HTML, "archive": archive(), "svg": SVG}[other]
    both = encoded(picture(), kind, **({"comment": rider[:60000]} if kind == "JPEG" else {})) + rider
    photo = prepare(both)
    assert is_clean(photo)
    assert b"<" + b"script" not in photo.jpeg and b"<svg" not in photo.jpeg
    assert not zipfile.is_zipfile(io.BytesIO(photo.jpeg))


def test_a_gif_with_an_archive_behind_it_is_refused():
    both = encoded(picture((48, 48)), "GIF") + archive()
    assert zipfile.is_zipfile(io.BytesIO(both))
    assert refused(both) == "not_a_photo"


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (15, 15), (5000, 20)])
def test_a_picture_that_can_show_nothing_is_refused(size):
    assert refused(encoded(Image.new("RGB", size), "PNG")) == "too_small"


def bomb(width, height):
    """A PNG that claims a size; its pixels are left out, so that reading them would fail otherwise."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(5001, 5000), (12000, 8000), (20000, 20000), (2**31 - 1, 2)])
def test_the_pixels_are_counted_before_they_are_read(size):
    assert refused(bomb(*size)) in ("too_many_pixels", "too_small")
    if min(size) > 100:
        assert refused(bomb(*size)) == "too_many_pixels"


def test_a_jpeg_that_claims_too_many_pixels_is_refused():
    data = bytearray(encoded(picture((64, 64))))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 60000, 60000)
    assert refused(bytes(data)) == "too_many_pixels"


def test_a_file_that_is_too_large_is_refused_unread():
    assert refused(b"\xff\xd8\xff" + bytes(MAX_BYTES)) == "too_large"


def test_a_photo_cut_anywhere_is_refused():
    """Never a grey lower half; a cut behind the last pixel loses nothing and may pass."""
    noise = Image.frombytes("RGB", (160, 120), random.Random(1).randbytes(160 * 120 * 3))
    for kind in ("JPEG", "PNG", "WEBP"):
        data = encoded(noise, kind)
        for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97):
            assert refused(data[: int(len(data) * share)]) in ("broken", "not_a_photo"), (kind, share)


@settings(max_examples=150)
@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.lists(st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=6))  # fmt: skip
def test_spoiled_bytes_give_a_clean_photo_or_a_refusal(kind, spoils):
    data = bytearray(SPOILED[kind])
    for at, body in spoils:
        at %= len(data)
        data[at : at + len(body)] = body
    try:
        photo = prepare(bytes(data))
    except PhotoError as e:
        assert e.code in ("broken", "not_a_photo", "too_many_pixels", "too_small", "heic")
    else:
        assert is_clean(photo) and max(photo.width, photo.height) <= 2048


SPOILED = {kind: encoded(picture((64, 48)), kind, exif=exif()) for kind in ("JPEG", "PNG", "WEBP")}


def test_the_same_photo_gives_the_same_bytes():
    data = encoded(picture(), exif=exif())
    assert prepare(data) == prepare(data)


def test_keeping_puts_the_original_apart_and_the_clean_one_in_its_place(tmp_path):
    files = Files(tmp_path)
    data = encoded(picture(), exif=exif())
    kept = keep(files, data)
    assert files.original(kept.original) == data
    assert SECRET not in files.read(kept.sha) and kept.original not in files
    assert files.path(kept.sha).suffix == ".jpg" and opened(files.small(kept.sha).read_bytes()).size == (120, 80)
    assert (kept.width, kept.height, kept.taken_on) == (120, 80, date(2026, 11, 21))
    assert keep(files, data) == kept
