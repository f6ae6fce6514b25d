"""The coordinate doctor: which coordinate system a file is in, told by where its points fall.

A *reading* is one way to understand two columns of numbers: see geo/systems.py for the systems and the
way to WGS 84, and geo/coordinates.py for numbers written as text. `diagnose` puts every row on the
ground under every reading and says 'sure', 'ask', 'mixed' or 'refused'. It never guesses.

Score. d is the distance of a row from the place its attributes name or, where they name none, from
the declared area (0 inside). The score is the mean over the rows of exp(-d / REACH_M):
1 is "every row where it should be". Rows that no reading explains take no part and are listed.

Verdict. Two readings tie if their scores differ by less than MARGIN + 1 / (n + 1), n being the number
of different points: few rows prove little. Of a tie, one reading beats another by *votes*. A row
votes for the reading that puts it nearer to its named place, if that is nearer than half the way
between the two: by the triangle inequality only one reading can be so close to a point, and a row
inside an outline under both does not vote. The lead must be three standard errors of a coin toss,
3 / sqrt(votes), so fewer than nine votes never decide. Nothing else tells readings 224 m apart.
What is still tied is asked, except that a declared system that fits as well as the best (AS_GOOD) is
believed against rivals less than NEAR_MISS_M away and against the zones of other provinces. It is
not believed against a system in use here that fits as well and lies farther away (a wrong .prj of
105°45′ for 105°30′ would move a file 26 km and still leave it inside the city), nor in DOUBTED.

Constants. REACH_M: radius of the largest unit, Cát Hải (287 km²), and less than half of the 26 km
between the meridians 105°30′ and 105°45′. MARGIN: points really 5 km outside the area score 0.6.
TIE_FLOOR: 30 km off, farther than the nearest other meridian. SECOND_SYSTEM: one row is a slip of
the pen, two of a hundred are a second source, if they are half of the rows not yet explained.
BOTH_WAYS: the most rows two systems may both explain if the file is to be called mixed. SAMPLE:
enough for a share to 1.5 %, and an answer in seconds for 100,000 rows.

What it cannot tell. Without places: a system from its twin 224 m off (3405 and 32648, 4326 and 4756),
5897 from 3405 (692 m), and usually 105°30′ from 105°45′; it asks, or says that only the declaration
speaks. With places: two twins mixed in one file. Never: metres made with the right zone on the wrong datum.
"""

from dataclasses import dataclass, replace

import numpy as np
import shapely
from pyproj import CRS, Geod
from pyproj.exceptions import CRSError

from geo.coordinates import parse_coordinates
from geo.systems import SYSTEMS, Reading, axes, pipeline, reading, to_wgs84, transformer

__all__ = ["SYSTEMS", "Diagnosis", "Part", "Reading", "diagnose", "parse_coordinates", "pipeline", "points_of"]
__all__ += ["reading", "readings", "to_wgs84"]

REACH_M = 10_000.0
MARGIN = 0.4
AS_GOOD = 0.1
TIE_FLOOR = 0.05
NEAR_MISS_M = 1_000.0
SECOND_SYSTEM = (2, 0.01, 0.5)  # rows, share of all rows, share of the rows not yet explained
BOTH_WAYS = 0.1
SAMPLE = 1_000
PIECE = 10_000
FITS_NOTHING, UNREAD, FITS_SEVERAL = -1, -2, -3  # marks in Diagnosis.rows beside the numbers of the parts
GEOD = Geod(ellps="WGS84")
DOUBTED = {32648: 3405, 32649: 3406}  # the usual pick of GIS software for what is VN-2000 by law


@dataclass(frozen=True)
class Part:
    """The verdict on rows that belong together: 'sure' or 'ask'.

    first and second: the best readings (second None if nothing else comes near); apart_m: median
    distance between them. tied: all that cannot be excluded, first included. rests_on: 'places',
    'area' or 'declared' (only the declaration speaks against the others in tied).
    """

    verdict: str
    first: Reading
    second: Reading | None
    apart_m: float
    tied: tuple
    rests_on: str


@dataclass(frozen=True)
class Diagnosis:
    """What a file is. verdict: 'sure', 'ask', 'mixed' or 'refused'.

    parts: one per system found, none if refused; first, second, apart_m are those of the first part.
    rows: for each row the number of its part, or FITS_NOTHING, UNREAD, FITS_SEVERAL.
    declared_wrong: the declared system is known here and loses. reason: what was tried, what to do.
    """

    verdict: str
    parts: tuple
    rows: np.ndarray
    declared_wrong: bool
    reason_vi: str
    reason_en: str

    first = property(lambda self: self.parts[0].first if self.parts else None)
    second = property(lambda self: self.parts[0].second if self.parts else None)
    apart_m = property(lambda self: self.parts[0].apart_m if self.parts else np.nan)


def points_of(geometries):
    """x, y of a point inside each geometry, as written; NaN where one is missing or empty.

    geometries: array of shapely geometries in any system, for readings() and diagnose().
    """
    inside = shapely.point_on_surface(np.asarray(geometries, dtype=object))
    inside[shapely.is_empty(inside)] = None
    return shapely.get_x(inside), shapely.get_y(inside)


class _Ground:
    """The declared area and the named places in local metres, and how far rows land from them."""

    def __init__(self, area, places, count):
        problems = []
        if not isinstance(area, shapely.Geometry):
            area = shapely.box(*area)
        if area.is_empty or not area.area > 0:
            problems.append("The declared area is empty: give a polygon or a box (west, south, east, north).")
        elif not (np.abs(area.bounds) <= (180, 90, 180, 90)).all():
            problems.append("The declared area must be in degrees, longitude before latitude (EPSG:4326).")
        places = np.full(count, None, dtype=object) if places is None else np.asarray(places, dtype=object)
        if len(places) != count:
            problems.append(f"There are {count} rows but {len(places)} places: give one place or None for each row.")
        elif not all(place is None or isinstance(place, shapely.Geometry) for place in places):
            problems.append("A place must be a geometry in EPSG:4326, or None where the row names none.")
        if problems:
            raise ValueError(" ".join(problems))
        self.centre = area.centroid.x, area.centroid.y
        local = f"+proj=tmerc +lon_0={self.centre[0]:.2f} +ellps=WGS84"
        self.to_local = transformer(f"+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step {local}")
        self.area = self._local(area)
        self.outline = shapely.simplify(self.area, 200)  # distances of kilometres need no more
        shapely.prepare(self.area)
        named = {id(place): place for place in places if place is not None and not place.is_empty}
        known = {key: shapely.simplify(self._local(place), 10) for key, place in named.items()}  # 1/20 of 224 m
        self.places = np.array([known.get(id(place)) for place in places] + [None], dtype=object)[:-1]

    def _local(self, geometry):
        return shapely.transform(shapely.force_2d(geometry), lambda xy: np.column_stack(self.to_local.transform(*xy.T)))

    def see(self, x, y, rows, reading):
        """A view of some rows: arrays lon, lat, distance_m (inf if it cannot be so read), inside, named ..."""
        lon, lat = to_wgs84(x[rows], y[rows], reading)
        distance, inside = np.full(len(rows), np.inf), np.zeros(len(rows), dtype=bool)
        valid = np.isfinite(lon)
        near = valid & (np.abs(lon - self.centre[0]) < 4) & (np.abs(lat - self.centre[1]) < 4)
        far = valid & ~near
        ones = np.ones(far.sum())
        distance[far] = GEOD.inv(lon[far], lat[far], ones * self.centre[0], ones * self.centre[1])[2]
        east, north = self.to_local.transform(lon[near], lat[near])
        points, places = shapely.points(east, north), self.places[rows][near]
        inside[near] = shapely.intersects_xy(self.area, east, north)
        named = ~shapely.is_missing(places)
        measured = named | ~inside[near]
        target = np.where(named, places, self.outline)[measured]
        here = np.zeros(len(points))
        here[measured] = shapely.distance(points[measured], target)
        distance[near] = here
        km, prefixed = axes(x[rows], y[rows], reading)[2:]
        view = {"lon": lon, "lat": lat, "distance_m": distance, "inside": inside, "km": km, "prefixed": prefixed}
        return view | {"named": ~shapely.is_missing(self.places[rows])}

    def near(self, x, y, rows, reading):
        """Which rows lie within REACH_M of where they should; some at a time, so that a long file needs little room."""
        out = np.zeros(len(rows), dtype=bool)
        for at in range(0, len(rows), PIECE):
            out[at : at + PIECE] = self.see(x, y, rows[at : at + PIECE], reading)["distance_m"] <= REACH_M
        return out


def _columns(x, y):
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim != 1 or x.shape != y.shape or x.dtype.kind not in "iuf" or y.dtype.kind not in "iuf":
        raise ValueError("x and y must be two columns of numbers of one length: read text with parse_coordinates.")
    x, y = x.astype(float), y.astype(float)
    return x, y, np.flatnonzero(np.isfinite(x) & np.isfinite(y))


def _sample(rows):
    return rows if len(rows) <= SAMPLE else rows[np.linspace(0, len(rows) - 1, SAMPLE).astype(int)]


def _declared(declared):
    """(EPSG code or None if the doctor does not know it, how to name it) of a declared system."""
    if declared is None:
        return None, ""
    try:
        crs = CRS.from_user_input(declared)
    except CRSError:
        return None, str(declared)[:60]
    code = crs.to_epsg()
    if code not in SYSTEMS and crs.coordinate_operation is not None:  # a .prj of somebody's own
        values = {param.name: param.value for param in crs.coordinate_operation.params}
        meridian, scale = (values.get(f"{what} at natural origin") for what in ("Longitude", "Scale factor"))
        meridian = values.get("Longitude of natural origin", meridian)
        shift = "1984" in crs.name or "WGS" in crs.name
        same = [c for c, s in SYSTEMS.items() if (s.meridian, s.scale) == (meridian, scale) and s.vn2000 != shift]
        code = same[0] if same else code
    return (code if code in SYSTEMS else None), (f"EPSG:{code}" if code else crs.name)


def _look(x, y, ground, rows, code):
    """[(reading with its scores, view)] of every reading over some rows, best first."""
    out = []
    for epsg in SYSTEMS:
        for swapped in (False, True):
            shifted = epsg == 4756 and code == 4326
            read = reading(4326 if shifted else epsg, swapped=swapped, shifted=shifted)
            out.append((read, ground.see(x, y, rows, read)))
    return _scored(out, code)


def _scored(seen, code):
    out = []
    for read, view in seen:
        far, named = view["distance_m"], view["named"]
        scores = {
            "score": float(np.exp(-far / REACH_M).mean()),
            "share_inside": float(view["inside"].mean()),
            "share_near_places": float((far[named] <= REACH_M).mean()) if named.any() else np.nan,
            "median_m": float(np.quantile(far, 0.5, method="lower")),
            "p95_m": float(np.quantile(far, 0.95, method="nearest")),
        }
        counts = {"rows": len(far), "km": int(view["km"].sum()), "prefixed": int(view["prefixed"].sum())}
        out.append((replace(read, **scores, **counts), view))
    return sorted(out, key=lambda s: _rank(s[0], code))


def _rank(read, code):
    """Sorting key, best first. Zones of other provinces rank as if they scored AS_GOOD less."""
    score = read.score - (0 if SYSTEMS[read.epsg].in_use else AS_GOOD)
    return -round(score, 2), read.epsg != code or read.shifted


def readings(x, y, area, *, places=None, declared=None):
    """Every reading of two columns with its scores, best first; see the module for the formula.

    x, y: numbers, NaN where missing (such rows take no part). area: polygon or (west, south, east,
    north), places: for each row the geometry of the place its attributes name, or None, both EPSG:4326.
    declared: what the file says it is, anything pyproj understands. Scores are NaN without rows.
    Raises ValueError, naming every problem, if columns, area or places cannot be used.

    >>> best = readings([597432.442], [2306067.773], (106.12, 20.59, 107.22, 21.24))[0]
    >>> best.epsg, best.score, best.share_inside
    (9210, 1.0, 1.0)
    """
    x, y, rows = _columns(x, y)
    ground = _Ground(area, places, len(x))
    code, _ = _declared(declared)
    return [read for read, _ in _look(x, y, ground, _sample(rows), code)] if len(rows) else []


def _apart(a, b):
    return GEOD.inv(a["lon"], a["lat"], b["lon"], b["lat"])[2]


def _beats(a, b):
    """Whether the named places tell view a from view b, in favour of a: see the module."""
    named, near = a["named"], np.minimum(_apart(a, b) / 2, REACH_M)
    votes_a = (named & (a["distance_m"] < b["distance_m"]) & (a["distance_m"] <= near)).sum()
    votes_b = (named & (b["distance_m"] < a["distance_m"]) & (b["distance_m"] <= near)).sum()
    return votes_a - votes_b >= 3 * np.sqrt(max(votes_a + votes_b, 1))


def _judge(x, y, ground, rows, code, *, doubtful=False):
    """The Part for rows that belong together; doubtful: never 'sure'."""
    rows = _sample(rows)
    seen = _look(x, y, ground, rows, code)
    some = np.array([view["distance_m"] <= REACH_M for _, view in seen]).any(axis=0)
    if not some.all():
        rows = rows[some]
        seen = _scored([(r, {name: column[some] for name, column in view.items()}) for r, view in seen], code)
    named = seen[0][1]["named"]
    top, margin = seen[0][0].score, MARGIN + 1 / (len({*zip(x[rows], y[rows], strict=True)}) + 1)
    close = [s for s in seen if s[0].score >= max(top - margin, TIE_FLOOR)]
    tied = [s for s in close if not any(_beats(other[1], s[1]) for other in close)] or close
    rests_on = "places" if named.any() else "area"
    own = [s for s in tied if s[0].epsg == code and not s[0].shifted and s[0].score >= top - AS_GOOD]
    if own:
        mine, view = own[0]
        rivals = [s for s in tied if s[0] != mine and s[0].score >= mine.score - AS_GOOD and SYSTEMS[s[0].epsg].in_use]
        serious = [
            s for s in rivals if np.nanmedian(_apart(view, s[1])) > NEAR_MISS_M or DOUBTED.get(code) == s[0].epsg
        ]
        rests_on = "declared" if len(tied) > 1 else rests_on
        tied = [own[0], *(serious or [s for s in tied if s[0] != mine])]
        sure = not serious
    else:
        tied = tied[:1] + sorted(tied[1:], key=lambda s: s[0].epsg != code or s[0].shifted)
        sure = len(tied) == 1
    others = tied[1:] + [s for s in seen if s[0].score >= TIE_FLOOR and all(s[0] != t[0] for t in tied)]
    second, apart = None, np.nan
    if others:
        second, apart = others[0][0], float(np.nanmedian(_apart(tied[0][1], others[0][1])))
    verdict = "sure" if sure and tied[0][0].score >= 0.5 and not doubtful else "ask"
    return Part(verdict, tied[0][0], second, apart, tuple(read for read, _ in tied), rests_on)


def diagnose(x, y, area, *, places=None, declared=None):
    """The Diagnosis of a file; arguments and errors as for readings().

    >>> found = diagnose([106.6881], [20.8449], (106.12, 20.59, 107.22, 21.24), declared=4326)
    >>> found.verdict, found.first.epsg, found.second.epsg, found.second.shifted, round(found.apart_m)
    ('sure', 4326, 4326, True, 224)
    """
    x, y, readable = _columns(x, y)
    ground = _Ground(area, places, len(x))
    code, label = _declared(declared)
    left, systems = readable[(x[readable] != 0) | (y[readable] != 0)], []
    rows = np.full(len(x), UNREAD)
    rows[readable] = FITS_NOTHING
    rows_least, share_least, rest_least = SECOND_SYSTEM
    while len(left):
        least = max(rows_least, share_least * len(readable), rest_least * len(left)) if systems else 1
        best = _look(x, y, ground, _sample(left), code)[0][0]
        fit = ground.near(x, y, left, best)
        if fit.sum() < least:
            break
        rows[left[fit]] = len(systems)
        systems.append(best)
        left = left[~fit]
    placed = np.flatnonzero(rows >= 0)
    if len(placed) < max(len(readable) / 2, 1):
        nearest = _look(x, y, ground, _sample(readable), code)[0][0] if len(readable) else None
        return _told("refused", (), rows, code, label, nearest)
    several = np.zeros(len(placed), dtype=int)
    for system in systems if len(systems) > 1 else ():
        several += ground.near(x, y, placed, system)
    if len(systems) > 1 and (several > 1).mean() <= BOTH_WAYS:
        rows[placed[several > 1]] = FITS_SEVERAL
        parts = [_judge(x, y, ground, np.flatnonzero(rows == k), code) for k in range(len(systems))]
        return _told("mixed", tuple(parts), rows, code, label)
    part = _judge(x, y, ground, readable, code, doubtful=len(systems) > 1)
    fit = ground.near(x, y, readable, part.first)
    rows[readable] = np.where(fit, 0, FITS_NOTHING)
    return _told(part.verdict, (part,), rows, code, label)


def _told(verdict, parts, rows, code, label, nearest=None):
    """The Diagnosis with its two sentences: what was tried and found, what is wrong, what to do."""
    likely = [part.tied if part.verdict == "ask" else (part.first,) for part in parts]
    wrong = code is not None and any(all(r.epsg != code or r.shifted for r in some) for some in likely)
    count, lost, several = (
        len(rows) - (rows == UNREAD).sum(),
        (rows == FITS_NOTHING).sum(),
        (rows == FITS_SEVERAL).sum(),
    )
    tried = 2 * len(SYSTEMS)
    vi, en = (
        [f"Đã thử {tried} cách đọc; số dòng có tọa độ: {count}."],
        [f"{tried} readings tried; rows with coordinates: {count}."],
    )
    for k, part in enumerate(parts):
        first, second, share = part.first, part.second, (rows == k).sum()
        vi.append(f"EPSG:{first.epsg} {first.name_vi} hợp với {share} dòng.")
        en.append(f"EPSG:{first.epsg} {first.name_en} fits {share} of them.")
        rivals = len(part.tied) - 1
        if second and rivals:
            away = f"{part.apart_m / 1000:.1f} km" if part.apart_m >= 1000 else f"{part.apart_m:.0f} m"
            more_vi, more_en = (f" và {rivals - 1} cách khác", f" and {rivals - 1} more") if rivals > 1 else ("", "")
            vi.append(f"EPSG:{second.epsg} {second.name_vi} (cách {away.replace('.', ',')}){more_vi} cũng có thể đúng.")
            en.append(f"EPSG:{second.epsg} {second.name_en} ({away} away){more_en} cannot be excluded.")
        if part.verdict == "sure" and rivals:
            vi.append("Chỉ khai báo của tệp phân biệt được: hãy đối chiếu với một điểm đã biết.")
            en.append("Only the declaration tells them apart: check it against one known point.")
        elif part.verdict == "ask" and rivals:
            vi.append("Hãy chọn trên bản đồ, hoặc thêm cột tên xã phường hay tệp .prj đúng.")
            en.append("Choose on the map, or add a column of commune names or the right .prj.")
        elif part.verdict == "ask":
            vi.append("Điểm nằm lệch khỏi nơi mong đợi: hãy xem bản đồ và xác nhận.")
            en.append("The points lie away from where they should: look at the map and confirm.")
    if verdict == "mixed":
        vi.append(f"Tệp có {len(parts)} hệ tọa độ: hãy tách tệp, hoặc xác nhận cách chia này.")
        en.append(f"The file holds {len(parts)} systems: split it, or confirm this division.")
    if verdict == "refused":
        if nearest is not None and np.isfinite(nearest.median_m):
            vi.append(f"Gần nhất là EPSG:{nearest.epsg}, cách khu vực {nearest.median_m / 1000:.0f} km.")
            en.append(f"The nearest is EPSG:{nearest.epsg}, {nearest.median_m / 1000:.0f} km from the area.")
        vi.append("Không cách đọc nào đặt được nửa số dòng vào khu vực: hãy kiểm tra cột tọa độ, đơn vị và khu vực.")
        en.append("No reading puts half the rows in the area: check the coordinate columns, the unit and the area.")
    if wrong:
        vi.append(f"Khai báo {label} là sai.")
        en.append(f"The declared {label} is wrong.")
    elif label and code is None:
        vi.append(f"Không biết hệ khai báo {label} nên không dùng.")
        en.append(f"The declared {label} is not known here and was not used.")
    for many, mark_vi, mark_en in (
        (lost, "Số dòng không hợp với hệ nào ở trên", "Rows that fit none of these"),
        (several, "Số dòng hợp với nhiều hệ", "Rows that fit more than one of these"),
        (len(rows) - count, "Số dòng không có tọa độ đọc được", "Rows without readable coordinates"),
    ):
        if many and parts:
            vi.append(f"{mark_vi}: {many}.")
            en.append(f"{mark_en}: {many}.")
    return Diagnosis(verdict, parts, rows, bool(wrong), " ".join(vi), " ".join(en))
