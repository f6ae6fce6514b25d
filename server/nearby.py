"""What lies near a point right now: live R-trees kept with the writes.

Points keep the moment they belong to, so that "within 300 m and three days" is one question. Places
are outlines or points of a snapshot; distance is to their nearest edge, 0 inside.
"""

import math
import threading
from dataclasses import dataclass

import numpy as np
import shapely
from pyproj import Geod
from rtree import index

_GEOD = Geod(ellps="WGS84")
_DEGREE_M = 110_574.0  # the shortest degree of latitude, so that a box is never too small


@dataclass(frozen=True)
class Near:
    """Something near: its key, the distance in whole metres, and its moment (None for places)."""

    key: object
    metres: int
    at: object = None


def distance_m(lon, lat, other_lon, other_lat):
    """Metres between two points in degrees, on the ellipsoid.

    >>> round(distance_m(106.0, 21.0, 106.0, 21.0027), 1)
    298.9
    """
    return _GEOD.inv(lon, lat, other_lon, other_lat)[2]


def _box(lon, lat, metres):
    """(west, south, east, north) that surely holds every point within so many metres."""
    up = metres / _DEGREE_M
    across = up / max(math.cos(math.radians(min(abs(lat) + up, 89.9))), 1e-3)
    return lon - across, lat - up, lon + across, lat + up


class Points:
    """Points with a key and a moment; adding one that is there changes nothing. Safe for several threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._tree = index.Index()
        self._held = {}  # number in the tree -> (key, lon, lat, at)
        self._keys = set()

    def __len__(self):
        return len(self._held)

    def add(self, key, lon, lat, at):
        """key: anything hashable; at: anything that can be compared, such as a moment with its zone."""
        with self._lock:
            if key in self._keys:
                return
            number = len(self._held)
            self._keys.add(key)
            self._held[number] = (key, lon, lat, at)
            self._tree.insert(number, (lon, lat, lon, lat))

    def within(self, lon, lat, metres, *, since=None, until=None, without=()):
        """Near of every point within so many metres (bounds included), nearest first, then newest.

        since, until: moments, both included; None is open. without: keys left out.
        """
        with self._lock:
            hits = [self._held[n] for n in self._tree.intersection(_box(lon, lat, metres))]
        found = []
        for key, x, y, at in hits:
            if key in without or (since is not None and at < since) or (until is not None and at > until):
                continue
            away = distance_m(lon, lat, x, y)
            if away <= metres:
                found.append(Near(key, round(away), at))
        found.sort(key=lambda n: n.at, reverse=True)
        return sorted(found, key=lambda n: n.metres)


class Places:
    """Geometries in degrees (EPSG:4326) with a key; a fresh one is made for every snapshot."""

    def __init__(self, keys, geometries):
        """A place without a position (None or empty) is left out."""
        self._items = [(k, g) for k, g in zip(keys, geometries, strict=True) if g is not None and not g.is_empty]
        self._tree = index.Index((i, g.bounds, None) for i, (_, g) in enumerate(self._items)) if self._items else None
        self._lock = threading.Lock()

    def __len__(self):
        return len(self._items)

    def within(self, lon, lat, metres):
        """Near of every place that comes within so many metres, nearest first."""
        if self._tree is None:
            return []
        with self._lock:
            hits = [self._items[i] for i in self._tree.intersection(_box(lon, lat, metres))]
        found = [Near(key, round(away)) for key, g in hits if (away := _to_edge_m(lon, lat, g)) <= metres]
        return sorted(found, key=lambda n: (n.metres, str(n.key)))


def _to_edge_m(lon, lat, geometry):
    """Metres to the nearest edge of a geometry, 0 inside; planar round the point, true to 1 % within 20 km."""
    east, north = (
        _GEOD.inv(lon - 0.005, lat, lon + 0.005, lat)[2] * 100,
        _GEOD.inv(lon, lat - 0.005, lon, lat + 0.005)[2] * 100,
    )
    flat = shapely.transform(geometry, lambda xy: (xy - (lon, lat)) * np.array([east, north]))
    return shapely.distance(flat, shapely.Point(0, 0))
