"""Vector tiles of a layer: drawn from arrays kept by version and zoom, cached in memory and on disk.

A version never changes, so its tiles never do; when a newer version comes, the older ones are dropped.
"""

import gzip
import itertools
import shutil
import sys
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import numpy as np
import shapely

from layers import catalogue, mvt, wholefiles
from layers import strokes as drawing
from layers.strokes import Strokes, clipped, gridded, highest, joined, strokes
from server import filecache

LAST_ZOOM = 22  # beyond it a tile is a few metres wide
DETAILED_FROM = 15  # from this zoom on nothing is simplified
_SIMPLER = 4.0  # units of a tile (1/4096 of its side): a quarter of a pixel of 256
_SMALL, _SPILL = 64, 2048  # a shape of so few corners is not cut where it goes so few units beyond the margin
LARGE = 5_000  # bytes of a squeezed tile
_PREPARED = 64_000_000  # bytes of shapes and commands made ready, all layers together
_AHEAD, _CHUNK = 7, 20_000  # zooms made ready ahead; corners at a time
_numbers = itertools.count()


class Plate:
    """What was made ready of a layer for one zoom: commands of shapes, and shapes for cutting, each when first needed."""

    OVERHEAD, CORNER, SHAPE = 80, 16, 250  # bytes, about

    def __init__(self, n):
        self.lock = threading.Lock()
        self._state = np.zeros(n, dtype=np.int8)  # 0: not looked at yet, 1: drawn, 2: nothing to draw
        self._kind, self._command = np.zeros(n, dtype=np.int8), np.zeros(n, dtype=np.int32)
        self._at, self._rest = np.zeros((n, 2), dtype=np.int64), np.empty(n, dtype=object)
        self._cuttable, self._shapes = np.zeros(n, dtype=bool), np.empty(n, dtype=object)
        self.size = 40 * n

    def strokes(self, rows, make):
        """The commands of rows; make(rows) gives the gridded shapes of those that are not ready yet."""
        with self.lock:
            new = rows[self._state[rows] == 0]
            if len(new):
                known = self._cuttable[new]
                shapes = self._shapes[new]
                shapes[~known] = make(new[~known])
                made = strokes(shapes)
                self._state[new] = 2
                drawn = new[made.row]
                self._state[drawn] = 1
                self._kind[drawn], self._command[drawn], self._at[drawn] = made.kind, made.command, made.at
                self._rest[drawn] = made.rest
                self.size += sum(map(len, made.rest)) + self.OVERHEAD * len(made)
        some = np.flatnonzero(self._state[rows] == 1)
        at = rows[some]
        return Strokes(some, self._kind[at].astype(np.int64), self._command[at].astype(np.int64), self._at[at],
                       self._rest[at])  # fmt: skip

    def shapes(self, rows, make):
        """The gridded shapes of rows."""
        with self.lock:
            new = rows[~self._cuttable[rows]]
            if len(new):
                self._shapes[new] = made = make(new)
                self._cuttable[new] = True
                self.size += int(shapely.get_num_coordinates(made).sum()) * self.CORNER + self.SHAPE * len(new)
        return self._shapes[rows]


class Plates:
    """Plates by layer and zoom, the ones used last; together about `limit` bytes at most, but always the newest."""

    def __init__(self, limit=_PREPARED):
        self.limit = limit
        self._held = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self):
        return len(self._held)

    @property
    def size(self):
        return sum(plate.size for plate in self._held.values())

    def get(self, key, n):
        """The plate of a key, an empty one for n shapes where there is none."""
        with self._lock:
            plate = self._held.get(key)
            if plate is None:
                plate = self._held[key] = Plate(n)
            self._held.move_to_end(key)
            while len(self._held) > 1 and self.size > self.limit:
                self._held.popitem(last=False)
            return plate


class Drawing:
    """One version of a layer, ready to be cut into tiles. Safe to use from several threads.

    shapes: array in longitude, latitude, None allowed. properties: {name: values}; ids: whole numbers.
    plates: where what is made ready is kept, for all layers together.
    """

    def __init__(self, name, shapes, properties, ids, plates=None):
        self.name = name
        self._plates = Plates() if plates is None else plates
        self._key = next(_numbers)
        self._ids = np.asarray(ids, dtype=np.int64)
        self._columns = mvt.Columns(properties)
        flat = highest(shapely.force_2d(np.asarray(shapes, dtype=object)))
        self._shapes = shapely.transform(flat, mvt.mercator)
        self._bounds = shapely.bounds(self._shapes)
        self._corners = shapely.get_num_coordinates(self._shapes)
        self._small = self._corners <= _SMALL
        self._tree = shapely.STRtree(self._shapes)
        self._tree.query(shapely.Point(0, 0))  # GEOS builds it at the first question, which must be one thread's

    def tile(self, z, x, y):
        """The bytes of a tile; b"" where nothing lies in it."""
        bounds = mvt.frame_bounds(z, x, y)
        near = np.sort(self._tree.query(shapely.box(*bounds)))
        if not len(near):
            return b""
        frame = mvt.frame(z, x, y)
        plate = self._plates.get((self._key, z), len(self._ids))
        box = self._bounds[near]
        first, last = np.rint(mvt.units(box[:, [0, 3]], z)), np.rint(mvt.units(box[:, [2, 1]], z))
        beyond = np.maximum(np.subtract(frame[:2], first), np.subtract(last, frame[2:])).max(axis=1)
        inside = (beyond <= 0) | self._small[near] & (beyond <= _SPILL)
        whole, crossing = np.flatnonzero(inside), np.flatnonzero(~inside)
        drawn = plate.strokes(near[whole], lambda rows: self._gridded(rows, z)).of(whole)
        if len(crossing):
            rows = near[crossing]
            if z < DETAILED_FROM:  # cut after simplifying, so that neighbours meet
                pieces = gridded(clipped(plate.shapes(rows, lambda rows: self._gridded(rows, z)), frame))
            else:
                pieces = gridded(clipped(self._shapes[rows], bounds), lambda xy: mvt.units(xy, z))
            drawn = joined(drawn, strokes(pieces).of(crossing))
        return mvt.layer(self.name, self._ids, self._columns, near, drawn, mvt.corner(z, x, y))

    def ahead(self):
        """Begin to make ready, beside the answers, what tiles of the zooms from a far view on will need."""
        threading.Thread(target=self.prepare, kwargs={"rest": time.sleep}, daemon=True, name="tiles ahead").start()

    def prepare(self, rest=lambda seconds: None):
        """Make shapes ready from the zoom where all lie in a tile or four on; as long again as it worked it rests.

        It stops where half of the room for all layers is taken.
        """
        if not np.isfinite(self._bounds).any():
            return
        low, high = np.nanmin(self._bounds[:, :2], axis=0), np.nanmax(self._bounds[:, 2:], axis=0)
        first = min(int(np.log2(mvt.WORLD / max((high - low).max(), 1.0))), DETAILED_FROM)
        width = (self._bounds[:, 2:] - self._bounds[:, :2]).max(axis=1)
        for z in range(first, min(first + _AHEAD, DETAILED_FROM)):
            side = mvt.WORLD / (1 << z)
            often_cut = ~self._small & (width > side / 8)
            for rows in self._chunks(width <= 8 * side):
                begun = time.perf_counter()
                if self._plates.size > self._plates.limit / 2:
                    return
                plate = self._plates.get((self._key, z), len(self._ids))
                plate.shapes(rows[often_cut[rows]], lambda rows, z=z: self._gridded(rows, z))
                plate.strokes(rows[width[rows] <= 1.5 * side], lambda rows, z=z: self._gridded(rows, z))
                rest(time.perf_counter() - begun)

    def _chunks(self, wanted):
        rows = np.flatnonzero(wanted)
        ends = np.cumsum(self._corners[rows]) // _CHUNK
        return np.split(rows, np.flatnonzero(np.diff(ends)) + 1) if len(rows) else []

    def _gridded(self, rows, z):
        """Shapes of rows in the units of a zoom, simplified where it is a small one."""
        slack = _SIMPLER * mvt.WORLD / (1 << z) / mvt.EXTENT if z < DETAILED_FROM else 0
        return gridded(self._shapes[rows], lambda xy: mvt.units(xy, z), slack)


def squeezed(body):
    """A tile as it is kept and sent; level 6 takes twice the time of 4 for a thirtieth less."""
    return gzip.compress(body, 4, mtime=0) if body else b""


class Cache:
    """Tiles by (layer, version, z, x, y), gzipped; b"" is an empty tile.

    folder: where they lie on disk, made when needed. memory, disk: bytes that are kept at most; on disk only
    large tiles, as a small one is made in the time that its file takes, and nothing new once it is full, until a newer
    version empties it.
    """

    def __init__(self, folder, *, memory=32_000_000, disk=256_000_000):
        self._folder = Path(folder)
        self._mark = filecache.fingerprint(mvt, drawing, sys.modules[__name__], catalogue)
        self._disk = disk
        self.recent = filecache.Recent(memory)
        self._making = threading.Lock()
        self._on_disk = {}  # (layer, version): bytes
        self._lock = threading.Lock()

    def get(self, key, make):
        """The tile of a key; make() gives its bytes where it is not kept yet."""
        body = self.recent.get(key)
        if body is None:
            body = self._read(key)
            if body is None:
                with self._making:
                    body = make()
                body = squeezed(body)
                self._write(key, body)
            self.recent.put(key, body)
        return body

    def _path(self, key):
        layer, version, z, x, y = key
        return self._folder / layer / f"{version}-{self._mark}" / str(z) / f"{x}-{y}.mvt.gz"

    def _read(self, key):
        try:
            return self._path(key).read_bytes()
        except OSError:
            return None

    def _write(self, key, body):
        layer, version = key[:2]
        with self._lock:
            if (layer, version) not in self._on_disk:
                self._begin(layer, version)
            if len(body) < LARGE or sum(self._on_disk.values()) + len(body) > self._disk:
                return
            self._on_disk[layer, version] += len(body)
        path = self._path(key)
        with suppress(OSError):  # a full or read-only disk: the tile is made again next time
            path.parent.mkdir(parents=True, exist_ok=True)
            wholefiles.write(path, body)

    def _begin(self, layer, version):
        """Count what an earlier run left of a version, and drop what is left of others."""
        home = self._folder / layer
        for old in home.glob("*") if home.is_dir() else ():
            if old.name != f"{version}-{self._mark}":
                shutil.rmtree(old, ignore_errors=True)
        self._on_disk = {k: n for k, n in self._on_disk.items() if k[0] != layer}
        kept = home / f"{version}-{self._mark}"
        self._on_disk[layer, version] = sum(f.stat().st_size for f in kept.rglob("*.gz"))
