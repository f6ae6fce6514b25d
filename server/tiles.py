"""Vector tiles of a layer: drawn from arrays kept by version and zoom, cached in memory and on disk.

A version never changes, so its tiles never do; when a newer version comes, the older ones are dropped.
"""

import gzip
import shutil
import sys
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import numpy as np
import shapely

from layers import catalogue, mvt
from server import filecache

LAST_ZOOM = 22  # beyond it a tile is a few metres wide
DETAILED_FROM = 15  # from this zoom on nothing is simplified
_SIMPLER = 4.0  # units of a tile (1/4096 of its side): a quarter of a pixel of 256
_PREPARED = 6  # zoom levels of one layer whose simplified shapes are kept


class Drawing:
    """One version of a layer, ready to be cut into tiles. Safe to use from several threads.

    shapes: array in longitude, latitude, None allowed. properties: {name: values}; ids: whole numbers.
    """

    def __init__(self, name, shapes, properties, ids):
        self.name = name
        self._ids = np.asarray(ids)
        self._properties = {k: np.asarray(v, dtype=object) for k, v in properties.items()}
        self._shapes = shapely.transform(shapely.force_2d(np.asarray(shapes, dtype=object)), mvt.mercator)
        self._tree = shapely.STRtree(self._shapes)
        self._tree.query(shapely.Point(0, 0))  # GEOS builds it at the first question, which must be one thread's
        self._by_zoom = OrderedDict()
        self._lock = threading.Lock()

    def tile(self, z, x, y):
        """The bytes of a tile; b"" where nothing lies in it."""
        west, south, east, north = mvt.tile_bounds(z, x, y)
        edge = (east - west) * mvt.BUFFER / mvt.EXTENT
        near = np.sort(self._tree.query(shapely.box(west - edge, south - edge, east + edge, north + edge)))
        if not len(near):
            return b""
        properties = {k: v[near] for k, v in self._properties.items()}
        return mvt.encode(self.name, self._at(z)[near], properties, self._ids[near], (z, x, y))

    def _at(self, z):
        if z >= DETAILED_FROM:
            return self._shapes
        with self._lock:
            if z in self._by_zoom:
                self._by_zoom.move_to_end(z)
                return self._by_zoom[z]
        simple = shapely.simplify(self._shapes, mvt.WORLD / (1 << z) / mvt.EXTENT * _SIMPLER)
        with self._lock:
            self._by_zoom[z] = simple
            while len(self._by_zoom) > _PREPARED:
                self._by_zoom.popitem(last=False)
        return simple


class Cache:
    """Tiles by (layer, version, z, x, y), gzipped; b"" is an empty tile.

    folder: where they lie on disk, made when needed. memory, disk: bytes that are kept at most; on disk only
    tiles with something in them, and nothing new once it is full, until a newer version empties it.
    """

    def __init__(self, folder, *, memory=32_000_000, disk=256_000_000):
        self._folder = Path(folder)
        self._mark = filecache.fingerprint(mvt, sys.modules[__name__], catalogue)
        self._disk = disk
        self.recent = filecache.Recent(memory)
        self._on_disk = {}  # (layer, version): bytes
        self._lock = threading.Lock()

    def get(self, key, make):
        """The tile of a key; make() gives its bytes where it is not kept yet."""
        body = self.recent.get(key)
        if body is None:
            body = self._read(key)
            if body is None:
                body = make()
                body = gzip.compress(body, 6, mtime=0) if body else b""
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
            if not body or sum(self._on_disk.values()) + len(body) > self._disk:
                return
            self._on_disk[layer, version] += len(body)
        path = self._path(key)
        with suppress(OSError):  # a full or read-only disk: the tile is made again next time
            path.parent.mkdir(parents=True, exist_ok=True)
            filecache.write(path, body)

    def _begin(self, layer, version):
        """Count what an earlier run left of a version, and drop what is left of others."""
        home = self._folder / layer
        for old in home.glob("*") if home.is_dir() else ():
            if old.name != f"{version}-{self._mark}":
                shutil.rmtree(old, ignore_errors=True)
        self._on_disk = {k: n for k, n in self._on_disk.items() if k[0] != layer}
        kept = home / f"{version}-{self._mark}"
        self._on_disk[layer, version] = sum(f.stat().st_size for f in kept.rglob("*.gz"))
