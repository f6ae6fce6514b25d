"""Distances along a network of lines, such as streets or sewers: shortest paths from each facility to the demands near it.

Lines are joined where they share a corner (rounded to a centimetre); lines that only cross are not, unless crossings=True.
A place is joined to the nearest point of the network, and the way there counts. Paths are Dijkstra's (1959, Numer. Math. 1,
269-271), ended at the distance limit. One-way streets and the fall of sewers are not known here.
"""

from collections import defaultdict
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
import pandas as pd
import shapely

CENTIMETRE = 0.01


class NetworkError(ValueError):
    """Lines or places that cannot be used. str() is the sentence in English, .vi in Vietnamese."""

    def __init__(self, en, vi):
        self.en, self.vi = en, vi
        super().__init__(en)


@dataclass(frozen=True, eq=False)
class Network:
    """Straight pieces between corners. ends: pieces x 2, numbers of corners; length_m of each; next_to: of each corner
    the [(corner, metres)] one piece away; tree: of the pieces; crs: in metres.
    """

    ends: np.ndarray
    length_m: np.ndarray
    next_to: list
    tree: shapely.STRtree
    crs: object


def network(lines, *, crossings=False):
    """Network of a GeoSeries of lines in a CRS in metres. crossings: join lines that cross. Raises NetworkError."""
    metric = lines.crs is not None and lines.crs.is_projected
    if not metric or any(axis.unit_conversion_factor != 1 for axis in lines.crs.axis_info):
        raise NetworkError("The network needs a CRS in metres.", "Mạng lưới cần hệ tọa độ tính bằng mét.")
    shapes = shapely.get_parts(lines[~(lines.isna() | lines.is_empty)].values)
    if not len(shapes) or not np.isin(shapely.get_type_id(shapes), (1, 2)).all():
        raise NetworkError("The network must be lines.", "Mạng lưới phải là các đường.")
    if crossings:
        shapes = shapely.get_parts(shapely.node(shapely.multilinestrings(shapes)))
    xy, line = shapely.get_coordinates(shapes, return_index=True)
    corners, number = np.unique(np.round(xy / CENTIMETRE).astype(np.int64), axis=0, return_inverse=True)
    inside = np.flatnonzero(np.diff(line) == 0)
    ends = np.column_stack([number.ravel()[inside], number.ravel()[inside + 1]])
    ends = np.unique(np.sort(ends[ends[:, 0] != ends[:, 1]], axis=1), axis=0)
    at = corners * CENTIMETRE
    length = np.hypot(*(at[ends[:, 0]] - at[ends[:, 1]]).T)
    next_to = [[] for _ in corners]
    for (a, b), metres in zip(ends.tolist(), length.tolist(), strict=True):
        next_to[a].append((b, metres))
        next_to[b].append((a, metres))
    return Network(ends, length, next_to, shapely.STRtree(shapely.linestrings(at[ends])), lines.crs)


def network_pairs(roads, facilities, demands, within_m, *, most_off_m=500.0, progress=None, stop=None):
    """Frame of facility, demand, distance_m of all pairs no farther apart than within_m along a Network.

    facilities, demands: GeoSeries or frames of points by code, in the network's CRS. A place farther than most_off_m from
    the network is in no pair. progress: called with the share done. stop: true ends it with what was found.
    Raises NetworkError if a CRS differs.
    """
    for frame in (facilities, demands):
        if frame.crs != roads.crs:
            raise NetworkError(
                "The places and the network have different CRSs.", "Các điểm và mạng lưới khác hệ tọa độ."
            )
    goals, on_piece = defaultdict(list), defaultdict(list)  # corner -> (demand, metres), piece -> (demand, place, off)
    for i, (piece, place, off) in enumerate(_joined(roads, demands, most_off_m)):
        if piece is not None:
            on_piece[piece].append((i, place, off))
            goals[int(roads.ends[piece, 0])].append((i, place + off))
            goals[int(roads.ends[piece, 1])].append((i, roads.length_m[piece] - place + off))
    rows = []
    starts = _joined(roads, facilities, most_off_m)
    for j, (piece, place, off) in enumerate(starts):
        if stop is not None and stop():
            break
        if piece is not None:
            found = {i: abs(place - there) + off + more for i, there, more in on_piece[piece]}
            begin = [
                (off + place, int(roads.ends[piece, 0])),
                (off + roads.length_m[piece] - place, int(roads.ends[piece, 1])),
            ]
            for metres, corner in _reached(roads, begin, within_m):
                for i, more in goals.get(corner, ()):
                    found[i] = min(found.get(i, np.inf), metres + more)
            rows += [(j, i, metres) for i, metres in sorted(found.items()) if metres <= within_m]
        if progress is not None:
            progress((j + 1) / len(starts))
    j, i, metres = np.array(rows, dtype=float).reshape(-1, 3).T
    columns = {"facility": facilities.index[j.astype(int)], "demand": demands.index[i.astype(int)]}
    return pd.DataFrame(columns | {"distance_m": metres})


def _joined(roads, places, most_off_m):
    """[(piece or None, metres from its first corner, metres off it)] of places."""
    points = np.asarray(places.geometry.values)
    piece = roads.tree.nearest(points) if len(points) else np.zeros(0, dtype=int)
    lines = roads.tree.geometries[piece]
    off, place = shapely.distance(points, lines), shapely.line_locate_point(lines, points)
    return [
        (int(p) if o <= most_off_m else None, float(x), float(o)) for p, x, o in zip(piece, place, off, strict=True)
    ]


def _reached(roads, begin, within_m):
    """(metres, corner) of the corners within reach, nearest first."""
    waiting, done = sorted(begin), set()
    while waiting:
        metres, corner = heappop(waiting)
        if metres > within_m:
            return
        if corner in done:
            continue
        done.add(corner)
        yield metres, corner
        for other, more in roads.next_to[corner]:
            if other not in done:
                heappush(waiting, (metres + more, other))
