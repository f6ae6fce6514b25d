"""Map tiles of a study's rasters: how good each place is, and why a place is excluded.

A tile is read through a view of the file in web mercator, so only the cells it needs are touched and a grid of any
size costs the same memory. Scores go from pale to dark in even steps of lightness, which every eye tells apart and a
grey print keeps. Reasons are hatched, each with an angle and a colour, so that several can be seen in one place.
"""

import io
import math
import os
import threading
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image
from rasterio.enums import Resampling
from rasterio.transform import from_bounds
from rasterio.vrt import WarpedVRT

from layers import wholefiles
from server import filecache

SIDE = 256
LAST_ZOOM = 19
EARTH_RADIUS = 6378137.0  # m, of web mercator
HALF_WORLD = math.pi * EARTH_RADIUS
NEAR_ALL = 254  # index of the last colour: a score of 1; 255 is see-through
CLEAR = 255
# pale to dark: sRGB of scores 0, 1/4, 1/2, 3/4, 1; between them straight lines in OKLab (Ottosson 2020)
STOPS = ("#fbf3c3", "#bfdcae", "#63b29c", "#1f7d83", "#123f56")
OUTSIDE_BIT, UNKNOWN_BIT = 1, 2
NO_CELL = 2**32 - 1  # no cell has all reasons; 0 would not do: the warper turns a 0 that means something into a 1
VEIL = (92, 84, 74, 46)
# hatches of reasons: (colour, lines) as in hatch(); the look of the k-th rule
HATCHES = (
    ("#9c2f1d", "rise"), ("#1d4f91", "fall"), ("#5b3a86", "rows"), ("#7a5a00", "columns"), ("#2d6a2f", "dots"),
    ("#8a2a5f", "steep"), ("#3f4a52", "flat"), ("#0f6b6b", "crosses"),
)  # fmt: skip
UNKNOWN_LOOK = ("#5d6b69", "sparse")
LARGE = 2500  # cells a side: above it a wide view reads smaller copies
PATTERN = 8  # px; divides the side of a tile, so that lines run on from tile to tile


class NoTile(LookupError):
    """There is no such tile."""


def _linear(colour):
    value = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


_TO_CONE = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                     [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
_TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                    [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip


def oklab(colour):
    """Lightness, green to red, blue to yellow of an sRGB colour #rrggbb."""
    return _TO_LAB @ np.cbrt(_TO_CONE @ _linear(colour))


def _srgb(lab):
    value = np.clip(np.linalg.solve(_TO_CONE, np.linalg.solve(_TO_LAB, lab) ** 3), 0, 1)
    value = np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)
    return tuple(round(v * 255) for v in value)


def colour_of(score):
    """The colour #rrggbb of a score from 0 to 1."""
    labs = [oklab(stop) for stop in STOPS]
    at = min(max(float(score), 0.0), 1.0) * (len(labs) - 1)
    low = min(int(at), len(labs) - 2)
    return "#{:02x}{:02x}{:02x}".format(*_srgb(labs[low] + (at - low) * (labs[low + 1] - labs[low])))


def _ramp():
    colours = [colour_of(k / NEAR_ALL) for k in range(NEAR_ALL + 1)]
    return [int(c[k : k + 2], 16) for c in colours for k in (1, 3, 5)] + [0, 0, 0]


def hatch(lines):
    """Where the lines of a hatch lie: PATTERN x PATTERN booleans, which repeat without a seam."""
    y, x = np.mgrid[0:PATTERN, 0:PATTERN]
    return {
        "rise": (x + y) % PATTERN < 2,
        "fall": (x - y) % PATTERN < 2,
        "rows": y % PATTERN < 2,
        "columns": x % PATTERN < 2,
        "dots": (x % 4 < 2) & (y % 4 < 2),
        "steep": (2 * x + y) % PATTERN < 2,
        "flat": (x + 2 * y) % PATTERN < 2,
        "crosses": ((x + y) % PATTERN == 0) | ((x - y) % PATTERN == 0),
        "sparse": (x % 4 == 0) & (y % 4 == 0),
    }[lines]


def look(bit):
    """(colour, lines) of a bit of the reasons: 2 for what is unknown, 4 << k for the k-th rule."""
    if bit == UNKNOWN_BIT:
        return UNKNOWN_LOOK
    return HATCHES[(bit.bit_length() - 3) % len(HATCHES)]


def bounds(z, x, y):
    """West, south, east, north of a tile in metres of web mercator. Raises NoTile."""
    if not (0 <= z <= LAST_ZOOM and 0 <= x < 1 << z and 0 <= y < 1 << z):
        raise NoTile(f"{z}/{x}/{y}")
    side = 2 * HALF_WORLD / (1 << z)
    west, north = x * side - HALF_WORLD, HALF_WORLD - y * side
    return west, north - side, west + side, north


def _smaller(path, *, smooth):
    """Smaller copies of a large raster beside it, once, so that a tile seen from afar does not read every cell.

    They come into their place whole; the raster itself is not touched. Without room on the disk tiles are slower.
    """
    ready = path.with_name(path.name + ".ovr")
    with rasterio.open(path) as source:
        sizes = [4**k for k in range(1, 6) if max(source.shape) / 4**k >= SIDE / 4]
        if max(source.shape) <= LARGE or ready.exists():
            return
    part = path.with_name(f".{path.stem}-{os.getpid()}-{threading.get_ident()}.tif")
    made = part.with_name(part.name + ".ovr")
    try:
        os.link(path, part)
        with rasterio.Env(TIFF_USE_OVR=True, COMPRESS_OVERVIEW="DEFLATE"), rasterio.open(part, "r+") as file:
            file.build_overviews(sizes, Resampling.average if smooth else Resampling.nearest)
        wholefiles.settle(made, ready)
    except (OSError, rasterio.errors.RasterioError):
        made.unlink(missing_ok=True)
    finally:
        part.unlink(missing_ok=True)


def _read(path, z, x, y, *, missing, smooth):
    """The cells of a raster under the pixels of a tile, (SIDE, SIDE); `missing` outside the file.

    smooth: a pixel of many cells is their mean (of those with a value); else every pixel is one cell, untouched.
    """
    west, south, east, north = bounds(z, x, y)
    with rasterio.open(path) as source:
        ground_m = (east - west) / SIDE / math.cosh(north / EARTH_RADIUS)
        how = Resampling.average if smooth and ground_m > 1.5 * source.transform.a else Resampling.nearest
        view = {
            "crs": "EPSG:3857", "transform": from_bounds(west, south, east, north, SIDE, SIDE), "width": SIDE,
            "height": SIDE, "resampling": how, "src_nodata": source.nodata, "nodata": missing,
        }  # fmt: skip
        with WarpedVRT(source, **view) as tile:
            return tile.read(1)


def score_tile(path, z, x, y):
    """PNG of suitability.tif; b"" where the tile holds no score."""
    found = _read(path, z, x, y, missing=math.nan, smooth=True)
    if np.isnan(found).all():
        return b""
    index = np.where(np.isnan(found), CLEAR, np.clip(np.nan_to_num(found), 0, 1) * NEAR_ALL).round().astype(np.uint8)
    picture = Image.fromarray(index, mode="P")
    picture.putpalette(_ramp())
    out = io.BytesIO()
    picture.save(out, "PNG", transparency=CLEAR, optimize=False)
    return out.getvalue()


def reason_tile(path, z, x, y, bits):
    """PNG of reasons.tif: cells of the study area with one of `bits`, each bit with its own hatch; b"" where there is none."""
    found = _read(path, z, x, y, missing=NO_CELL, smooth=False).astype(np.uint32)
    found[(found == NO_CELL) | (found & OUTSIDE_BIT > 0)] = 0
    hit = (found & np.uint32(bits)) > 0
    if not hit.any():
        return b""
    pixels = np.zeros((SIDE, SIDE, 4), dtype=np.uint8)
    pixels[hit] = VEIL
    for k in range(1, 32):
        bit = 1 << k
        if bits & bit:
            colour, lines = look(bit)
            drawn = np.tile(hatch(lines), (SIDE // PATTERN, SIDE // PATTERN)) & ((found & np.uint32(bit)) > 0)
            pixels[drawn] = (*(int(colour[i : i + 2], 16) for i in (1, 3, 5)), 225)
    out = io.BytesIO()
    Image.fromarray(pixels, mode="RGBA").save(out, "PNG", optimize=False)
    return out.getvalue()


class Tiles:
    """Tiles by run of a study, the ones asked for last; a run never changes, so its tiles never do."""

    def __init__(self, memory=24_000_000):
        self._recent = filecache.Recent(memory)
        self._seen, self._making = set(), threading.Lock()

    def get(self, path, z, x, y, bits=None):
        """PNG bytes, b"" for an empty tile. path: of the run's raster. bits: None for scores. Raises NoTile."""
        bounds(z, x, y)
        path = Path(path)
        key = (str(path), path.stat().st_mtime_ns, z, x, y, bits)
        body = self._recent.get(key)
        if body is None:
            with self._making:
                if key[:2] not in self._seen:
                    _smaller(path, smooth=bits is None)
                    self._seen.add(key[:2])
            body = score_tile(path, z, x, y) if bits is None else reason_tile(path, z, x, y, bits)
            self._recent.put(key, body)
        return body
