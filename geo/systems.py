"""Coordinate systems met in files of Hải Phòng, and the way from each to WGS 84 longitude and latitude.

The systems of standards/crs.md. A *reading* is one way to understand two columns of numbers: a system,
with the axes as given or swapped, kilometres and zone prefixes undone. Every VN-2000 system is
shifted by EPSG operation 6960, written out here so that no choice is left to PROJ.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from pyproj import Transformer

ZONE_PREFIXES = (48, 49, 481, 482, 491)  # of VN-2000; 18 and 19 mean Hanoi 1972, which is not read here

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


@dataclass(frozen=True)
class Reading:
    """One way to read two columns, and how well it fits.

    swapped: the first column holds northing or latitude. shifted: the file is called WGS 84 but its
    degrees are VN-2000, the datum shift was left out. km, prefixed: rows in kilometres, rows with a
    zone prefix. share_inside: rows in the area; share_near_places: rows within REACH_M (geo/crs.py) of the
    place they name, NaN if none is named. median_m, p95_m: distance from place or area (beyond 4° from its centre).
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

    x, y: the columns as given; the reading says which holds the easting. Northings below 10,000 and
    eastings below 1,000 are kilometres (Vietnam lies 900 to 2,600 km north; "597.432" may have meant
    thousands), eastings that begin with a VN-2000 zone number lose it. VN-2000 is shifted by EPSG
    operation 6960; pipeline() states the text. Raises ValueError for a reading not known here.

    >>> lon, lat = to_wgs84([2306067.773], [597432.442], reading(9210, swapped=True))
    >>> round(float(lon[0]), 6), round(float(lat[0]), 6)
    (106.6881, 20.8449)
    """
    if reading.epsg not in SYSTEMS:
        raise ValueError(f"EPSG:{reading.epsg} is not known here: choose one of {sorted(SYSTEMS)}.")
    east, north = axes(x, y, reading)[:2]
    lon, lat = np.full(east.shape, np.nan), np.full(east.shape, np.nan)
    degrees = np.isnan(SYSTEMS[reading.epsg].meridian)
    limits = (180, 90) if degrees else (2.1e7, 2.1e7) if reading.epsg == 3857 else (1.5e6, 1e7)
    rows = (np.abs(east) <= limits[0]) & (np.abs(north) <= limits[1])
    lon[rows], lat[rows] = transformer(pipeline(reading)).transform(east[rows], north[rows])
    bad = ~(np.isfinite(lon) & np.isfinite(lat))
    lon[bad] = lat[bad] = np.nan
    return lon, lat


def axes(x, y, reading):
    """Easting and northing in metres (or lon, lat), and which rows were in km and had a prefix."""
    x, y = np.array(x, dtype=float), np.array(y, dtype=float)
    east, north = (y, x) if reading.swapped else (x, y)
    none = np.zeros(east.shape, dtype=bool)
    if np.isnan(SYSTEMS[reading.epsg].meridian):
        return east, north, none, none
    in_km = np.abs(north) < 1e4
    meant_km = np.abs(east) < 1e3 if SYSTEMS[reading.epsg].meridian != 111 else none  # zone 49 begins in the city
    km = in_km | meant_km
    north[in_km] *= 1000
    east[km] *= 1000
    prefixed = np.isin(east // 1e6, ZONE_PREFIXES)
    east[prefixed] %= 1e6
    return east, north, km, prefixed


@lru_cache
def transformer(text):
    return Transformer.from_pipeline(text)
