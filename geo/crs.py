"""The coordinate doctor: which coordinate system a file is in, told by where its points fall.

A *reading* is one way to understand two columns of numbers (geo/coordinates.py makes them from text):
a system of SYSTEMS, with the axes as given or swapped, kilometres and zone prefixes undone. `diagnose` puts every row on the ground under
every reading and says 'sure', 'ask', 'mixed' or 'refused'. It never guesses.

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
the pen, two of a hundred are a second source. BOTH_WAYS: the most rows two systems may both explain
if the file is to be called mixed. SAMPLE: enough for a share to 1 %, and an answer within a second.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import shapely
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError

REACH_M = 10_000.0
MARGIN = 0.4
AS_GOOD = 0.1
TIE_FLOOR = 0.05
NEAR_MISS_M = 1_000.0
SECOND_SYSTEM = (2, 0.01)  # rows, share of the rows
BOTH_WAYS = 0.1
SAMPLE = 3_000
FITS_NOTHING, UNREAD, FITS_SEVERAL = -1, -2, -3  # marks of rows beside the numbers of the systems
ZONE_PREFIXES = (48, 49, 481, 482, 491)  # of VN-2000; 18 and 19 mean Hanoi 1972, which is not read here
GEOD = Geod(ellps="WGS84")

# EPSG operation 6960, VN-2000 to WGS 84 (2): Decision 05/2007/QĐ-BTNMT, accuracy 1 m
SHIFT = (
    "+step +proj=push +v_3 +step +proj=cart +ellps=WGS84 +step +proj=helmert +x=-191.90441429 +y=-39.30318279"
    " +z=-111.45032835 +rx=-0.00928836 +ry=0.01975479 +rz=-0.00427372 +s=0.252906278 +convention=coordinate_frame"
    " +step +inv +proj=cart +ellps=WGS84 +step +proj=pop +v_3"
)


@dataclass(frozen=True)
class System:
    """One coordinate system: meridian NaN for degrees, 0 for web Mercator; in_use: met in the city's files."""

    meridian: float
    scale: float
    vn2000: bool
    in_use: bool
    name_vi: str
    name_en: str


def _systems():
    """Systems by EPSG code, likeliest first: the order in which equals are offered, nothing more."""

    def tm3(meridian, vi="", en="", *, in_use=False):
        name = f"VN-2000 / TM-3 {int(meridian)}°{round(meridian % 1 * 60):02d}′"
        return System(meridian, 0.9999, True, in_use, name + vi, name + en)

    def utm(meridian, zone, datum):
        name = f"{datum} / UTM {zone}N"
        return System(meridian, 0.9996, datum == "VN-2000", zone == 48 or datum == "VN-2000", name, name)

    out = {
        4326: System(np.nan, 1, False, True, "WGS 84, kinh vĩ độ", "WGS 84 degrees"),
        9210: tm3(105.75, " (Hải Phòng)", " (Hải Phòng)", in_use=True),
        9209: tm3(105.5, " (Hải Dương cũ)", " (former Hải Dương)", in_use=True),
        3405: utm(105, 48, "VN-2000"),
        4756: System(np.nan, 1, True, True, "VN-2000, kinh vĩ độ", "VN-2000 degrees"),
        32648: utm(105, 48, "WGS 84"),
        3857: System(0, 1, False, True, "Web Mercator", "Web Mercator"),
        5897: tm3(105, ", múi 482", ", zone 482", in_use=True),
        5898: tm3(108, ", múi 491", ", zone 491", in_use=True),
        5899: tm3(107.75, " (Quảng Ninh)", " (Quảng Ninh)", in_use=True),
        5896: tm3(102, ", múi 481", ", zone 481", in_use=True),
        3406: utm(111, 49, "VN-2000"),
        32649: utm(111, 49, "WGS 84"),
    }
    foreign = {9205: 103, 9206: 104, 9207: 104.5, 9208: 104.75, 9211: 106, 9212: 106.25, 9213: 106.5, 9214: 107}
    foreign |= {9215: 107.25, 9216: 107.5, 9217: 108.25, 9218: 108.5}
    return out | {code: tm3(meridian, " (tỉnh khác)", " (other provinces)") for code, meridian in foreign.items()}


SYSTEMS = _systems()
DOUBTED = {32648: 3405, 32649: 3406}  # the usual pick of GIS software for what is VN-2000 by law


@dataclass(frozen=True)
class Reading:
    """One way to read two columns, and how well it fits.

    swapped: the first column holds northing or latitude. shifted: the file is called WGS 84 but its
    degrees are VN-2000, the datum shift was left out. km, prefixed: rows in kilometres, rows with a
    zone prefix. share_inside: rows in the area; share_near_places: rows within REACH_M of the place
    they name, NaN if none is named. median_m, p95_m: distance from place or area (beyond 4° from its centre).
    """

    epsg: int
    name_vi: str
    name_en: str
    swapped: bool = False
    shifted: bool = False
    score: float = np.nan
    share_inside: float = np.nan
    share_near_places: float = np.nan
    median_m: float = np.nan
    p95_m: float = np.nan
    rows: int = 0
    km: int = 0
    prefixed: int = 0


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
    return shapely.get_x(inside), shapely.get_y(inside)


def reading(epsg, *, swapped=False, shifted=False):
    """The reading of that name, without scores, e.g. for what a person chose.

    Raises ValueError if epsg is not in SYSTEMS, or if shifted is asked of anything but 4326.

    >>> reading(9210).name_en
    'VN-2000 / TM-3 105°45′ (Hải Phòng)'
    """
    if epsg not in SYSTEMS or (shifted and epsg != 4326):
        what = f"EPSG:{epsg}" + (" with the datum shift left out" if shifted else "")
        raise ValueError(f"{what} is not a reading known here: choose EPSG:4326 or one of {sorted(SYSTEMS)}.")
    vi, en = SYSTEMS[epsg].name_vi, SYSTEMS[epsg].name_en
    if shifted:
        vi, en = f"{vi}, thiếu chuyển đổi từ VN-2000", f"{en}, shift from VN-2000 left out"
    if swapped:
        vi, en = f"{vi}, đảo trục", f"{en}, axes swapped"
    return Reading(epsg, vi, en, swapped, shifted)


def pipeline(reading):
    """PROJ text from the reading's easting, northing (or lon, lat in degrees) to WGS 84 lon, lat in degrees.

    >>> pipeline(reading(3857))
    '+proj=pipeline +step +inv +proj=webmerc +ellps=WGS84 +step +proj=unitconvert +xy_in=rad +xy_out=deg'
    """
    system = SYSTEMS[reading.epsg]
    steps = ["+proj=pipeline"]
    if np.isnan(system.meridian):
        steps.append("+step +proj=unitconvert +xy_in=deg +xy_out=rad")
    elif reading.epsg == 3857:
        steps.append("+step +inv +proj=webmerc +ellps=WGS84")
    else:
        tmerc = f"+proj=tmerc +lat_0=0 +lon_0={system.meridian:g} +k={system.scale} +x_0=500000 +y_0=0 +ellps=WGS84"
        steps.append(f"+step +inv {tmerc}")
    if system.vn2000 or reading.shifted:
        steps.append(SHIFT)
    return " ".join([*steps, "+step +proj=unitconvert +xy_in=rad +xy_out=deg"])


def to_wgs84(x, y, reading):
    """WGS 84 lon, lat in degrees of two columns under a reading; NaN where a row cannot be so read.

    x, y: the columns as given; the reading says which holds the easting. Metric values below 100,000
    are kilometres (Vietnam has eastings of 100 to 900 km, northings of 900 to 2,600 km), eastings
    above 10,000,000 that begin with a VN-2000 zone number lose it. VN-2000 is shifted by EPSG
    operation 6960; pipeline() states the text. Raises ValueError for a reading not known here.

    >>> lon, lat = to_wgs84([2306067.773], [597432.442], reading(9210, swapped=True))
    >>> round(float(lon[0]), 6), round(float(lat[0]), 6)
    (106.6881, 20.8449)
    """
    if reading.epsg not in SYSTEMS:
        raise ValueError(f"EPSG:{reading.epsg} is not known here: choose one of {sorted(SYSTEMS)}.")
    east, north = _axes(x, y, reading)[:2]
    lon, lat = np.full(east.shape, np.nan), np.full(east.shape, np.nan)
    degrees = np.isnan(SYSTEMS[reading.epsg].meridian)
    limits = (180, 90) if degrees else (2.1e7, 2.1e7) if reading.epsg == 3857 else (1.5e6, 1e7)
    rows = (np.abs(east) <= limits[0]) & (np.abs(north) <= limits[1])
    lon[rows], lat[rows] = _transformer(pipeline(reading)).transform(east[rows], north[rows])
    bad = ~(np.isfinite(lon) & np.isfinite(lat))
    lon[bad] = lat[bad] = np.nan
    return lon, lat


def _axes(x, y, reading):
    """Easting and northing in metres (or lon, lat), and which rows were in km and had a prefix."""
    x, y = np.array(x, dtype=float), np.array(y, dtype=float)
    east, north = (y, x) if reading.swapped else (x, y)
    none = np.zeros(east.shape, dtype=bool)
    if np.isnan(SYSTEMS[reading.epsg].meridian):
        return east, north, none, none
    km = (np.abs(east) < 1e5) | (np.abs(north) < 1e5)
    for values in (east, north):
        values[np.abs(values) < 1e5] *= 1000
    prefixed = np.isin(east // 1e6, ZONE_PREFIXES)
    east[prefixed] %= 1e6
    return east, north, km, prefixed


@lru_cache
def _transformer(text):
    return Transformer.from_pipeline(text)


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
        self.to_local = _transformer(f"+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step {local}")
        self.area = self._local(area)
        self.outline = shapely.simplify(self.area, 100)  # distances of kilometres need no more
        shapely.prepare(self.area)
        known = {id(place): self._local(place) for place in places if place is not None and not place.is_empty}
        self.places = np.array([known.get(id(place)) for place in places] + [None], dtype=object)[:-1]

    def _local(self, geometry):
        return shapely.transform(shapely.force_2d(geometry), lambda xy: np.column_stack(self.to_local.transform(*xy.T)))

    def see(self, x, y, rows, reading):
        """Frame of arrays for some rows: lon, lat, distance_m (inf if it cannot be so read), inside."""
        lon, lat = to_wgs84(x[rows], y[rows], reading)
        distance, inside = np.full(len(rows), np.inf), np.zeros(len(rows), dtype=bool)
        valid = np.isfinite(lon)
        near = valid & (np.abs(lon - self.centre[0]) < 4) & (np.abs(lat - self.centre[1]) < 4)
        far = valid & ~near
        distance[far] = GEOD.inv(lon[far], lat[far], *np.broadcast_arrays(*self.centre, lon[far])[:2])[2]
        east, north = self.to_local.transform(lon[near], lat[near])
        points, places = shapely.points(east, north), self.places[rows][near]
        inside[near] = shapely.intersects_xy(self.area, east, north)
        named = ~shapely.is_missing(places)
        target = np.where(named, places, self.outline)
        distance[near] = np.where(~named & inside[near], 0.0, shapely.distance(points, target))
        return {"lon": lon, "lat": lat, "distance_m": distance, "inside": inside}
