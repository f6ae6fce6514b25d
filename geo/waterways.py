"""How near a place is to a drinking-water intake along the water.

Rivers and canals are lines drawn with the current. Water carries a pollutant downstream; in a tidal reach
the flood carries it upstream too. Lines that meet or cross, and ends that lie within `snap_m`, are joined.
What is told is a distance, not a time: tide, mixing and decay are not computed.

Where no line was drawn the way is "not_known", and the straight line is given, which no way along the water
can be shorter than. All lengths in metres, EPSG:9210.

ways: downstream; tidal (the shortest way goes against the current in tidal reaches); perhaps_tidal (only if
reaches whose tide nobody stated are tidal); not_reached (both lie on drawn water, and none of it leads
there); not_known.
"""

import heapq
import itertools
from dataclasses import dataclass

import numpy as np
import shapely
from pyproj import CRS
from shapely.ops import substring

METRIC = CRS.from_epsg(9210)
WAYS = ("downstream", "tidal", "perhaps_tidal", "not_reached", "not_known")
_DOWN, _TIDAL, _UNSAID = 0, 1, 2  # what it takes to go against the current of an edge; _DOWN is no leave at all


@dataclass(frozen=True, eq=False)
class Network:
    """Waterways joined to a graph.

    edges: LineStrings (EPSG:9210), each drawn with the current. ends: node at its start, node at its end.
    tide: 1 tidal, 0 not, 2 not stated. nodes: how many. passed_over: shapes that were not lines.
    """

    edges: np.ndarray
    ends: np.ndarray
    tide: np.ndarray
    nodes: int
    snap_m: float
    passed_over: int

    @property
    def lengths(self):
        return shapely.length(self.edges)


@dataclass(frozen=True, eq=False)
class Nearness:
    """One intake as seen from a place.

    along_m: shortest way along the water, None where there is none or it is not known. perhaps_m: a shorter
    one, if the reaches whose tide is not stated are tidal; else None. path: the line of along_m, or of
    perhaps_m where that is all there is (EPSG:9210). straight_m: as the crow flies, from the edge of an area.
    """

    code: str
    name_vi: str
    name_en: str
    way: str
    along_m: float | None
    perhaps_m: float | None
    straight_m: float
    path: shapely.Geometry | None


def network(lines, *, snap_m=20.0):
    """Network of a GeoDataFrame of waterways, or None where it holds no line (only label points, or nothing).

    lines: with a CRS; LineStrings drawn with the current, other shapes are passed over; column `tidal`
    (True, False, missing: not stated), if there is one. Attributes are those of the line that was cut.
    Raises ValueError: no CRS.
    """
    if lines is None or lines.empty:
        return None
    if lines.crs is None:
        raise ValueError("The waterways have no CRS: set it, e.g. set_crs('EPSG:4326').")
    tidal = lines["tidal"].to_numpy(dtype=object) if "tidal" in lines else np.full(len(lines), None)
    shapes = lines.geometry.to_crs(METRIC).to_numpy()
    parts, owner = shapely.get_parts(np.where(shapely.is_missing(shapes), None, shapes), return_index=True)
    drawn = (shapely.get_type_id(parts) == shapely.GeometryType.LINESTRING) & (shapely.length(parts) > 0)
    passed_over = len(lines) - len(set(owner[drawn]))
    parts, owner = shapely.force_2d(parts[drawn]), owner[drawn]
    if not len(parts):
        return None
    pieces, of = _cut(parts, snap_m)
    edges = np.array(pieces, dtype=object)
    ends, nodes = _joined(edges, snap_m)
    kept = (ends[:, 0] != ends[:, 1]) | (shapely.length(edges) > 2 * snap_m)
    tide = np.array([_tide(tidal[owner[i]]) for i in of])
    return Network(edges[kept], ends[kept], tide[kept], nodes, float(snap_m), passed_over)


def to_intakes(places, net, intakes, *, join_m=250.0):
    """Nearness of every intake, the nearest first, or None where no intake is known.

    places: GeoSeries or GeoDataFrame with a CRS, one place together; an area lies on all the water that it
    covers, otherwise a place lies on the nearest water within join_m. net: see network. intakes:
    GeoDataFrame with a CRS and, where known, code, name_vi, name_en; without rows nobody entered any.
    Raises ValueError: no CRS, or the place is not drawn.
    """
    for frame, word in ((places, "place"), (intakes, "intakes")):
        if frame is not None and frame.crs is None:
            raise ValueError(f"There is no CRS on the {word}: set it, e.g. set_crs('EPSG:4326').")
    shapes = places.geometry.to_crs(METRIC)
    place = shapely.union_all(shapes[~shapes.isna()].values)
    if place.is_empty:
        raise ValueError("The place is not drawn: without a point or an outline there is no way from it.")
    if intakes is None or intakes.empty:
        return None
    points = intakes.geometry.to_crs(METRIC).to_numpy()
    drawn = np.flatnonzero(~(shapely.is_missing(points) | shapely.is_empty(points)))
    starts = _on_water(place, net, join_m) if net else []
    reached = [_Reach(net, starts, leave) for leave in (_DOWN, _TIDAL, _UNSAID)] if starts else []
    found = [_nearness(intakes.iloc[i], points[i], place, net, reached, join_m) for i in drawn]
    return tuple(sorted(found, key=_order))


def _order(n):
    """By the shortest distance that is known of; what is surely near comes before what is perhaps near."""
    known = [d for d in (n.along_m, n.perhaps_m) if d is not None]
    return (not known, min(known, default=n.straight_m), n.code)


def _nearness(row, point, place, net, reached, join_m):
    names = (str(row[c]) if c in row and row[c] == row[c] and row[c] is not None else "" for c in _NAMES)
    straight = float(shapely.distance(place, point))
    spots = _on_water(point, net, join_m) if reached else []
    if not spots:
        return Nearness(*names, "not_known", None, None, straight, None)
    (down, _), (sure, path), (maybe, maybe_path) = (r.to(spots[0]) for r in reached)
    perhaps = maybe if maybe < sure else None
    if np.isfinite(sure):
        way = "downstream" if down == sure else "tidal"
        return Nearness(*names, way, sure, perhaps, straight, path)
    if perhaps is not None:
        return Nearness(*names, "perhaps_tidal", None, perhaps, straight, maybe_path)
    return Nearness(*names, "not_reached", None, None, straight, None)


_NAMES = ("code", "name_vi", "name_en")


class _Reach:
    """Shortest ways from the starts to every node, with leave to go against some currents (Dijkstra 1959)."""

    def __init__(self, net, starts, leave):
        self.net, self.starts = net, starts
        self.lengths = net.lengths
        self.back = (net.tide > 0) & (net.tide <= leave)
        self.distance = np.full(net.nodes, np.inf)
        self.before = {}  # node: (edge, from, to) positions on the way in, and the node before or None
        arcs = {}
        for e, (a, b) in enumerate(net.ends):
            arcs.setdefault(a, []).append((b, e, True))
            if self.back[e]:
                arcs.setdefault(b, []).append((a, e, False))
        heap = []
        for e, low, high in starts:
            a, b = net.ends[e]
            self._offer(heap, b, self.lengths[e] - high, (e, high, self.lengths[e]), None)
            if self.back[e] or low <= net.snap_m:  # at the very beginning of an edge one stands on its node
                self._offer(heap, a, low, (e, low, 0.0), None)
        while heap:
            d, node = heapq.heappop(heap)
            if d > self.distance[node]:
                continue
            for to, e, forward in arcs.get(node, ()):
                way = (e, 0.0, self.lengths[e]) if forward else (e, self.lengths[e], 0.0)
                self._offer(heap, to, d + self.lengths[e], way, node)

    def _offer(self, heap, node, distance, way, before):
        if distance < self.distance[node]:
            self.distance[node] = distance
            self.before[node] = (way, before)
            heapq.heappush(heap, (float(distance), int(node)))

    def to(self, spot):
        """(distance in m, line) to a spot on an edge; (inf, None) where no way leads there."""
        edge, at, _ = spot
        (a, b), length, snap = self.net.ends[edge], self.lengths[edge], self.net.snap_m
        ways = []
        for e, low, high in self.starts:
            if e == edge and at > high:
                ways.append((at - high, [(e, high, at)], None))
            elif e == edge and at >= low:
                ways.append((0.0, [(e, at, at)], None))
            elif e == edge and self.back[e]:
                ways.append((low - at, [(e, low, at)], None))
        ways.append((self.distance[a] + at, [(edge, 0.0, at)], a))
        if self.back[edge] or length - at <= snap:
            ways.append((self.distance[b] + length - at, [(edge, length, at)], b))
        distance, last, node = min(ways, key=lambda w: w[0])
        if not np.isfinite(distance):
            return np.inf, None
        while node is not None:
            way, node = self.before[node]
            last.append(way)
        return float(distance), self._line(last[::-1])

    def _line(self, ways):
        pieces = [shapely.get_coordinates(substring(self.net.edges[e], a, b)) for e, a, b in ways]
        return shapely.LineString(np.vstack([p if len(p) > 1 else np.repeat(p, 2, axis=0) for p in pieces]))


def _on_water(shape, net, join_m):
    """Where a shape lies on the network: [(edge, from, to)] in metres along the edge; [] where it does not."""
    crossed = np.flatnonzero(shapely.intersects(net.edges, shape)) if shape.area else []
    out = []
    for e in crossed:
        at = shapely.line_locate_point(net.edges[e], shapely.points(_coordinates(net.edges[e], shape)))
        out.append((int(e), float(at.min()), float(at.max())))
    if out:
        return out
    distance = shapely.distance(net.edges, shape)
    e = int(distance.argmin())
    if distance[e] > join_m:
        return []
    nearest = shapely.get_point(shapely.shortest_line(net.edges[e], shape), 0)
    at = float(shapely.line_locate_point(net.edges[e], nearest))
    return [(e, at, at)]


def _coordinates(edge, shape):
    return shapely.get_coordinates(shapely.intersection(edge, shape))


def _cut(parts, snap_m):
    """The lines cut where others cross, touch or end on them: (pieces, index of the line of each)."""
    at = [{0.0, float(p.length)} for p in parts]
    near = shapely.STRtree(parts).query(parts, predicate="dwithin", distance=snap_m)
    for i, j in near.T[near[0] != near[1]]:
        meet = shapely.get_coordinates(shapely.intersection(parts[i], parts[j]))
        tips = shapely.get_coordinates(shapely.get_point(parts[j], [0, -1]))
        tips = tips[shapely.distance(shapely.points(tips), parts[i]) <= snap_m]
        at[i].update(shapely.line_locate_point(parts[i], shapely.points(np.vstack([meet, tips]))).tolist())
    pieces, of = [], []
    for i, part in enumerate(parts):
        marks = sorted(at[i])
        for a, b in itertools.pairwise(marks):
            if b - a > 1e-6:
                pieces.append(substring(part, a, b))
                of.append(i)
    return pieces, of


def _joined(edges, snap_m):
    """Nodes of the edges' ends, ends within snap_m being one: (array of (start, end) nodes, how many)."""
    tips = shapely.points(np.vstack([shapely.get_coordinates(shapely.get_point(edges, k)) for k in (0, -1)]))
    group = np.arange(len(tips))

    def top(i):
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    for i, j in shapely.STRtree(tips).query(tips, predicate="dwithin", distance=snap_m).T:
        group[top(i)] = top(j)
    _, node = np.unique([top(i) for i in range(len(tips))], return_inverse=True)
    return node.reshape(2, -1).T, int(node.max()) + 1


def _tide(said):
    if said is None or said != said:
        return _UNSAID
    return _TIDAL if said else 0
