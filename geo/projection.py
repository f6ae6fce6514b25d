"""Shapes from longitude and latitude into the systems that we give out, and back.

The way there is the exact inverse of geo.systems.to_wgs84, the way in which our own import reads such a
file: PROJ drops the height between two ellipsoids in either direction, so its two directions alone do not
close better than 0.8 mm in Hải Phòng (seen with PROJ 9.5). One correction closes them to a nanometre.
"""

import numpy as np
import shapely

from geo.systems import SYSTEMS, pipeline, reading, transformer

GIVEN_OUT = (4326, 9210, 9209, 3405, 3857)  # EPSG codes; SYSTEMS has their names
NORTH_FIRST = frozenset({4326})  # the register says latitude, longitude; we keep longitude, latitude
_DECIMALS = {True: 9, False: 4}  # degrees, metres: half of the last digit is less than 0.06 mm


def decimals(epsg):
    """Digits behind the point that keep a coordinate to a tenth of a millimetre."""
    return _DECIMALS[bool(np.isnan(SYSTEMS[epsg].meridian))]


def from_wgs84(lon, lat, epsg):
    """Easting, northing in metres (lon, lat for a geographic system); inf where the system does not reach.

    >>> [round(float(v[0]), 2) for v in from_wgs84([106.6881], [20.8449], 9210)]
    [597432.44, 2306067.77]
    """
    lon, lat = np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)
    if epsg == 4326:
        return lon, lat
    way = transformer(pipeline(reading(epsg)))
    east, north = way.transform(lon, lat, direction="INVERSE")
    if not SYSTEMS[epsg].vn2000:
        return east, north
    again = way.transform(east, north)
    return way.transform(2 * lon - again[0], 2 * lat - again[1], direction="INVERSE")


def to_wgs84(east, north, epsg):
    """Longitude and latitude in degrees; inf where the numbers lie outside the system."""
    east, north = np.asarray(east, dtype=float), np.asarray(north, dtype=float)
    if epsg == 4326:
        return east, north
    return transformer(pipeline(reading(epsg))).transform(east, north)


def shapes_from_wgs84(shapes, epsg):
    """Flat copies of shapes given in longitude, latitude; None stays None."""
    return _moved(shapes, lambda x, y: from_wgs84(x, y, epsg))


def shapes_to_wgs84(shapes, epsg):
    """Flat copies in longitude, latitude of shapes given as easting, northing; None stays None."""
    return _moved(shapes, lambda x, y: to_wgs84(x, y, epsg))


def _moved(shapes, way):
    return shapely.transform(np.asarray(shapes, dtype=object), lambda xy: np.column_stack(way(xy[:, 0], xy[:, 1])))
