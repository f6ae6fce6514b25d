"""Schematic cells for units of which only a point and an area are known.

A power diagram (Laguerre diagram; Aurenhammer 1987, SIAM J. Comput. 16, 78-96) gives unit i

    cell_i = { x in land : |x - p_i|^2 - w_i <= |x - p_j|^2 - w_j  for all j },

p in metres, w in m². The weights at which every cell has its wanted area are the solution of a
semi-discrete optimal transport problem. They are found by the damped Newton method of Kitagawa,
Mérigot and Thibert (2019, J. Eur. Math. Soc. 21, 2603-2651), with the derivative
d area_i / d w_j = -length(cell_i ∩ cell_j) / (2 |p_i - p_j|).

Two doors: power_diagram and fit_weights for arrays in metres, schematic_cells for GeoDataFrames.
A cell says "about here, about so big". It is never a boundary.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

GRID_M = 0.001  # cells share corners on this grid
SAME_CORNER_M = 0.01  # corners nearer than this are one corner
MET = 0.01  # an area within 1 % of the official one is met


def power_diagram(points, weights, land):
    """Polygon of each point in the power diagram, cut by the land.

    points: n x 2, x then y, metres. weights: n, m². land: one (multi)polygon.
    Returns an array of n polygons or multipolygons, in the order of the points; a point whose
    cell misses the land has an empty polygon. Together they are the land: no gap, no overlap,
    neighbours share their corners exactly (a 1 mm grid), and the order of the points is without effect.
    Raises ValueError for points nearer than 1 cm to each other, or an empty land.

    >>> left, right = power_diagram([[1, 1], [3, 1]], [0, 0], shapely.box(0, 0, 4, 2))
    >>> left.area, right.bounds
    (4.0, (2.0, 0.0, 4.0, 2.0))
    """
    points, weights, land, origin, order = _local(points, weights, land)
    rings, labels = _convex_cells(points, weights, land)
    edges = _one_corner(_borders(rings, labels)[0])
    edges = edges[(edges[:, 0] != edges[:, 1]).any(axis=1)]
    lines = [land.boundary, *(shapely.linestrings(edges) if len(edges) else ())]
    network = shapely.union_all(lines, grid_size=GRID_M)
    faces = np.array(shapely.polygonize([network]).geoms)
    inner = shapely.point_on_surface(faces)
    ashore = shapely.intersects(land, inner)
    faces, inner = faces[ashore], inner[ashore]
    away = ((shapely.get_coordinates(inner)[:, None] - points) ** 2).sum(axis=2)
    owner = (away - weights).argmin(axis=1)
    cells = np.full(len(points), shapely.Polygon(), dtype=object)
    for i in np.unique(owner):
        mine = faces[owner == i]
        cells[order[i]] = mine[0] if len(mine) == 1 else shapely.MultiPolygon(list(mine))
    return shapely.transform(cells, lambda xy: xy + origin)


def fit_weights(points, areas, land, *, start=None, tolerance=1e-7, max_steps=100):
    """Weights (m²) that give each point a cell of the wanted area.

    points, land: as for power_diagram. areas: n wanted areas > 0 in any unit; only their proportions
    count, they are scaled to the area of the land. start: weights to begin with (default: those of
    the Voronoi diagram). tolerance: largest relative miss of an area. The mean of the weights is 0.
    Raises ValueError for areas <= 0 and when max_steps are not enough.

    >>> w = fit_weights([[1, 1], [3, 1]], [1, 3], shapely.box(0, 0, 4, 2))
    >>> [round(c.area, 3) for c in power_diagram([[1, 1], [3, 1]], w, shapely.box(0, 0, 4, 2))]
    [2.0, 6.0]
    """
    areas = np.asarray(areas, dtype=float)
    if not ((areas > 0) & (areas < np.inf)).all():
        raise ValueError("Every area must be a number above 0.")
    start = np.zeros(len(areas)) if start is None else start
    points, weights, land, _, order = _local(points, start, land)
    if len(areas) != len(points):
        raise ValueError(f"{len(points)} points but {len(areas)} areas: give one area per point.")
    wanted = areas[order] * (land.area / areas.sum())
    shapely.prepare(land)
    got, slope = _measure(points, weights, land)
    if got.min() <= 1e-6 * wanted.min():
        weights = _all_cells_on_land(points, land)
        got, slope = _measure(points, weights, land)
    floor = min(got.min(), wanted.min()) / 2
    for _ in range(max_steps):
        miss = wanted - got
        if np.abs(miss / wanted).max() <= tolerance:
            out = np.empty(len(points))
            out[order] = weights - weights.mean()
            return out
        flow, modes = np.linalg.eigh(slope)  # flow 0: the same weight added to all cells
        modes, flow = modes[:, flow > 1e-12 * flow.max()], flow[flow > 1e-12 * flow.max()]
        step, share = modes @ (modes.T @ miss / flow), 1.0
        while share > 1e-9:
            got, slope = _measure(points, weights + share * step, land)
            shrunk = np.linalg.norm(wanted - got) <= (1 - share / 2) * np.linalg.norm(miss)
            if shrunk and got.min() >= floor:
                break
            share /= 2
        else:
            break
        weights = weights + share * step
    worst = np.abs(wanted / np.maximum(got, 1e-12) - 1).max()
    raise ValueError(f"The areas could not be fitted (worst miss {worst:.2%}): do two points nearly coincide?")


def schematic_cells(units, land, *, crs="EPSG:9210", second_sites=None):
    """One schematic cell per unit, in the order of the units.

    units: GeoDataFrame of points, index = unit code, with area_km2 (official) and, if known,
    dry_area_km2 (without tidal land). land: GeoDataFrame or GeoSeries of polygons. Both are
    reprojected to crs, which must be in metres; outlines are moved corner by corner.
    second_sites: points on land a unit has away from its centre (index = unit code, area_km2 = the
    share of its area there). Cát Hải (11914) has its centre on Cát Bà and a second site on Cát Hải
    island, which the outline joins to the mainland.

    Each land part is shared by the units whose centre lies on it; a part without a centre goes whole
    to the nearest centre, a centre at sea to the nearest part. If the areas on a part are within 1 %
    of its land they are scaled together; if land is shorter, units first give up tidal land, in
    proportion to it; what is then missing, or too much, is spread in proportion to area.

    Returns a GeoDataFrame in crs: official_km2, target_km2 (what the land allows), area_km2
    (achieved), area_note, contains_centre, geometry (MultiPolygon). area_note: "met" (within 1 % of
    the official area), "tidal" (short by no more than the unit's tidal land), "land_short",
    "land_over". contains_centre: the cell holds the unit's own point; where the plain diagram
    misses it, the site is moved to reach it if that can be done.
    Raises ValueError: no CRS or not in metres, no units, code or point twice, area not above 0, no land.
    """
    crs = CRS.from_user_input(crs)
    if not crs.is_projected or any(axis.unit_conversion_factor != 1 for axis in crs.axis_info):
        raise ValueError(f"{crs.name} is not in metres: choose a projected CRS such as EPSG:9210.")
    if units.crs is None or land.crs is None:
        raise ValueError("Units or land have no CRS: set it, e.g. units.set_crs('EPSG:4326').")
    _check_units(units)
    centres = units.to_crs(crs).sort_index()
    parts = _parts(land, crs)
    sites = _sites(centres, second_sites, parts)
    cells = {code: [] for code in centres.index}
    for lone in np.setdiff1d(np.arange(len(parts)), sites["part"]):
        row = int(centres.distance(parts[lone]).argmin())  # the first rows of sites are the centres
        cells[centres.index[row]].append(parts[lone])
        for column in ("km2", "dry_km2"):  # it counts, but leaves a tenth for the main cell
            km2 = sites.loc[row, column]
            sites.loc[row, column] = max(km2 - parts[lone].area / 1e6, km2 / 10)
    target = {code: sum(lone.area for lone in given) / 1e6 for code, given in cells.items()}
    for part, here in sites.groupby("part"):
        wanted = _targets(parts[part].area / 1e6, here["km2"], here["dry_km2"])
        shared = _cells_with_centres(here, wanted, parts[part])
        for code, km2, cell in zip(here["code"], wanted, shared, strict=True):
            target[code] += km2
            cells[code].append(cell)
    shapes = [shapely.MultiPolygon(list(shapely.get_parts(cells[code]))) for code in centres.index]
    out = gpd.GeoDataFrame({"official_km2": centres["area_km2"].astype(float)}, geometry=shapes, crs=crs)
    out["target_km2"] = [target[code] for code in out.index]
    out["area_km2"] = out.area / 1e6
    out["area_note"] = list(map(_note, out["official_km2"], out["area_km2"], _dry(centres)))
    out["contains_centre"] = out.intersects(centres.geometry)
    return out[[*out.columns.drop("geometry"), "geometry"]].loc[units.index]


def _local(points, weights, land):
    """Checked arrays near the origin, sorted by place, with the origin and the sorting order."""
    points, weights = np.asarray(points, dtype=float), np.asarray(weights, dtype=float)
    if not len(points) or points.shape != (len(weights), 2) or not np.isfinite([*points.T, weights]).all():
        raise ValueError("Give at least one point: finite x, y in metres, with one finite weight in m² each.")
    if land is None or land.is_empty or not land.area > 0:
        raise ValueError("The land is empty: give at least one polygon.")
    order = np.lexsort((points[:, 1], points[:, 0]))
    apart = np.linalg.norm(points[:, None] - points, axis=2) + np.diag(np.full(len(points), np.inf))
    if apart.min() < SAME_CORNER_M:
        i, j = np.unravel_index(apart.argmin(), apart.shape)
        raise ValueError(f"Points {i} and {j} stand on the same place: move one of them or leave it out.")
    origin = np.floor(land.bounds[:2])
    land = shapely.set_precision(shapely.transform(land, lambda xy: xy - origin), GRID_M)
    return points[order] - origin, weights[order], land, origin, order


def _convex_cells(points, weights, land):
    """Convex power cells in a box round land and points, before the land cuts them.

    Two lists: rings (k x 2, anticlockwise; 0 x 2 if empty) and labels (k: the neighbour across the
    edge from each corner to the next, -1 at the box).
    """
    low = np.minimum(land.bounds[:2], points.min(axis=0)) - 10
    high = np.maximum(land.bounds[2:], points.max(axis=0)) + 10
    box = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
    tolerance = 1e-11 * (high - low).max()
    power0 = (points**2).sum(axis=1) - weights
    rings, labels = [], []
    for i in range(len(points)):
        other = np.flatnonzero(np.arange(len(points)) != i)
        normal = points[other] - points[i]
        length = np.hypot(*normal.T)
        normal = normal / length[:, None]
        reach = (power0[other] - power0[i]) / (2 * length)
        ring, label = box, [-1] * 4
        while len(other) and len(ring):
            beyond = ring @ normal.T - reach
            cut = beyond.argmax() % len(other)
            if beyond[:, cut].max() <= tolerance:
                break
            ring, label = _clip(ring, label, beyond[:, cut], other[cut])
        rings.append(ring)
        labels.append(label)
    return rings, labels


def _clip(ring, label, beyond, neighbour):
    """Ring and labels cut by one line; beyond: distance of each corner past that line.

    Plain lists: for half a dozen corners they are several times faster than arrays.
    """
    corners, past = ring.tolist(), beyond.tolist()
    out, names = [], []
    for k, (x, y) in enumerate(corners):
        after = (k + 1) % len(corners)
        if past[k] <= 0:
            out.append((x, y))
            names.append(label[k])
        if (past[k] <= 0) != (past[after] <= 0):
            t = past[k] / (past[k] - past[after])
            out.append((x + t * (corners[after][0] - x), y + t * (corners[after][1] - y)))
            names.append(neighbour if past[k] <= 0 else label[k])
    return np.array(out).reshape(-1, 2), names


def _borders(rings, labels):
    """Each border between two cells once: ends (m x 2 x 2), and the two cells i < j."""
    i = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    j = np.array([neighbour for label in labels for neighbour in label])
    ends = np.stack([np.vstack(rings), np.vstack([np.roll(ring, -1, axis=0) for ring in rings])], axis=1)
    return ends[j > i], i[j > i], j[j > i]


def _one_corner(edges):
    """Edges with corners nearer than 1 cm replaced by one of them, rounded to the grid."""
    corners = edges.reshape(-1, 2)
    out, done = corners.copy(), np.zeros(len(corners), dtype=bool)
    for k in np.lexsort((corners[:, 1], corners[:, 0])):
        if not done[k]:
            near = ~done & (np.abs(corners - corners[k]).max(axis=1) < SAME_CORNER_M)
            out[near], done[near] = corners[k], True
    return (np.round(out / GRID_M) * GRID_M).reshape(edges.shape)


def _measure(points, weights, land):
    """Area of each cell on land (m²) and the matrix of d area_i / d w_j."""
    count = len(points)
    rings, labels = _convex_cells(points, weights, land)
    areas, slope = np.zeros(count), np.zeros((count, count))
    full = np.flatnonzero([len(ring) > 2 for ring in rings])
    convex = [shapely.Polygon(rings[i]) for i in full]
    areas[full] = shapely.area(shapely.intersection(convex, land))
    edges, i, j = _borders(rings, labels)
    if len(edges):
        length = shapely.length(shapely.intersection(shapely.linestrings(edges), land))
        flow = length / (2 * np.hypot(*(points[i] - points[j]).T))
        np.add.at(slope, (i, j), -flow)
        np.add.at(slope, (j, i), -flow)
        np.fill_diagonal(slope, -slope.sum(axis=1))
    return areas, slope


def _all_cells_on_land(points, land):
    """Weights at which no cell misses the land, wherever the points are.

    w = (1 - t) |p - c|^2 gives the Voronoi diagram of the points c + t (p - c). With c the middle of
    a circle inside the land and t small, all these lie in the circle, each in its own cell.
    """
    centre, rim = shapely.get_coordinates(shapely.maximum_inscribed_circle(land))
    far = ((points - centre) ** 2).sum(axis=1)
    t = min(1.0, 0.9 * np.hypot(*(rim - centre)) / max(np.sqrt(far.max()), 1e-9))
    return (1 - t) * far


def _check_units(units):
    points = units.geometry.geom_type.eq("Point") & ~units.geometry.is_empty
    if not len(units) or "area_km2" not in units:
        raise ValueError("There are no units with a column area_km2.")
    problems = {
        "code given twice": units.index.duplicated(),
        "not a point": ~points,
        "area_km2 missing or not above 0": ~(units["area_km2"] > 0),
        "on the same point": points & units.geometry.to_wkb().duplicated(keep=False),
    }
    found = [f"{why}: {list(units.index[rows])}" for why, rows in problems.items() if rows.any()]
    if found:
        raise ValueError(f"The units cannot be drawn ({'; '.join(found)}).")


def _parts(land, crs):
    """Polygons of the land in crs, touching ones dissolved, in an order of their own."""
    shapes = land.geometry.dropna().to_crs(crs)
    shapes = shapes[~shapes.is_empty]
    if not len(shapes) or not (shapes.area > 0).all():
        raise ValueError("The land is empty or has rows that are not polygons.")
    whole = shapely.set_precision(shapely.union_all(shapely.make_valid(shapes.values)), GRID_M)
    parts = shapely.get_parts(whole)
    return parts[np.lexsort(shapely.bounds(parts).T)]


def _dry(centres):
    official = centres["area_km2"]
    return centres.get("dry_area_km2", official).fillna(official).clip(upper=official)


def _sites(centres, second_sites, parts):
    """Frame of code, x, y, km2, dry_km2, part, own: the unit centres (own), then the second sites."""
    table = {"code": centres.index, "km2": centres["area_km2"].astype(float), "dry_km2": _dry(centres)}
    sites = pd.DataFrame(table | {"x": centres.geometry.x, "y": centres.geometry.y, "own": True})
    if second_sites is not None:
        extra = second_sites.to_crs(centres.crs)  # geopandas raises ValueError without a CRS
        extra = extra.iloc[np.lexsort((extra.geometry.y, extra.geometry.x))]
        for code, km2 in extra["area_km2"].items():
            if code not in sites.index or not 0 < km2 < sites.loc[code, "km2"]:
                raise ValueError(f"Second site of {code}: no such unit, or not smaller than the unit.")
            sites.loc[code, ["km2", "dry_km2"]] -= km2
        table = {"code": extra.index, "km2": extra["area_km2"], "dry_km2": extra["area_km2"]}
        more = pd.DataFrame(table | {"x": extra.geometry.x, "y": extra.geometry.y, "own": False})
        sites = pd.concat([sites, more])
    sites["dry_km2"] = sites["dry_km2"].clip(lower=0.0)
    marks = shapely.points(sites["x"], sites["y"])
    sites["part"] = shapely.distance(np.asarray(marks)[:, None], parts[None]).argmin(axis=1)
    return sites.reset_index(drop=True)


def _targets(land_km2, official, dry):
    """Areas (km²) that add up to the land: see schematic_cells."""
    official = np.asarray(official, dtype=float)
    tidal, short = official - np.asarray(dry, dtype=float), official.sum() - land_km2
    if short > MET * official.sum() and tidal.sum() > 0:
        official = official - tidal * min(1.0, short / tidal.sum())
    return official * (land_km2 / official.sum())


def _cells_with_centres(sites, wanted, land, *, rounds=7):
    """Cells of the sites on one land part. While a cell misses its own centre its site is moved that
    way, each round more boldly, at most by the unit's own size; the round with the fewest misses counts."""
    centres = sites[["x", "y"]].to_numpy()
    own = sites["own"].to_numpy() & shapely.intersects(land, shapely.points(centres))
    at, weights, best, fewest = centres.copy(), None, None, np.inf
    for bold in 2.0 ** np.arange(rounds):
        weights = fit_weights(at, wanted, land, start=weights, tolerance=1e-4)
        power = ((centres[:, None] - at) ** 2).sum(axis=2) - weights  # of centre i to site j
        rival = power.argmin(axis=1)
        out = np.flatnonzero(own & (rival != np.arange(len(at))))
        if len(out) < fewest:
            best, fewest = (at.copy(), weights), len(out)
        if not fewest:
            break
        towards = at[rival[out]] - at[out]
        gap = (power[out, out] - power[out, rival[out]]) / (2 * (towards**2).sum(axis=1))
        at[out] += bold * gap[:, None] * towards
        moved = np.hypot(*(at - centres).T) / (1000 * np.sqrt(wanted))
        at = centres + (at - centres) / np.maximum(moved, 1.0)[:, None]
    at, weights = best
    return power_diagram(at, fit_weights(at, wanted, land, start=weights), land)


def _note(official, area, dry):
    if abs(area / official - 1) <= MET:
        return "met"
    short = "tidal" if area >= dry - MET * official else "land_short"
    return "land_over" if area > official else short
