"""A place as text for the keyboard: one corner a line, in WGS 84 or VN-2000, and back from what was typed.

    106,688100 20,844900        a point; two lines and more make a line or an area, as the layer has them
    (empty line)                begins the next area or line
    -                           on a line of its own: the corners after it are a hole in the area before

Both orders of the two numbers are read: in this country eastings and northings, longitudes and latitudes differ
so much in size that one cannot be taken for the other.
"""

import re

import numpy as np
import shapely

from geo import projection
from geo.coordinates import parse_coordinates
from geo.systems import SYSTEMS
from server.drawing import DrawingError
from server.i18n import N_

SYSTEM_CODES = (4326, 9210, 9209, 3405, 5897, 5898)
HOLE = "-"
MAX_LINES = 20_000
FORMS = ("Point", "LineString", "Polygon")
_FORMS = {"Point": ("Point",), "Polygon": ("Polygon",), "Geometry": FORMS}


def forms_of(layer):
    """The kinds of places that a layer takes: Point, LineString, Polygon; none for a table."""
    return _FORMS.get(layer.geometry, ())


def written(shape, epsg=4326):
    """The text of a geometry in EPSG:4326, "" for none; first easting or longitude, then northing or latitude."""
    if shape is None:
        return ""
    moved = projection.shapes_from_wgs84([shape], epsg)[0]
    digits = 8 if epsg == 4326 else 3
    return "\n\n".join(
        f"\n{HOLE}\n".join("\n".join(f"{x:.{digits}f} {y:.{digits}f}" for x, y in ring) for ring in _rings(part))
        for part in shapely.get_parts(moved)
    )


def _rings(part):
    if part.geom_type == "Polygon":
        return [shapely.get_coordinates(r)[:-1] for r in (part.exterior, *part.interiors)]
    return [shapely.get_coordinates(part)]


def typed(text, epsg, form):
    """The geometry in EPSG:4326 of a text as written() gives it; None for an empty one.

    form: Point, LineString or Polygon. Raises DrawingError, which names the line.
    """
    if epsg not in SYSTEM_CODES:
        raise DrawingError(N_("Choose one of the coordinate systems of the list."))
    lines = [line.strip() for line in text.replace("\r", "").split("\n")]
    if len(lines) > MAX_LINES:
        raise DrawingError(N_("The outline has %(n)s corners; at most %(most)s."), n=len(lines), most=MAX_LINES)
    at = [i for i, line in enumerate(lines) if line and line != HOLE]
    if not at:
        return None
    pairs = [_pair(lines[i], i + 1) for i in at]
    numbers = _numbers(pairs, at)
    corners = dict(zip(at, zip(*_placed(numbers, epsg, at), strict=True), strict=True))
    parts = [[[]]]
    for i, line in enumerate(lines):
        if line == HOLE:
            if form != "Polygon" or not parts[-1][0]:
                raise DrawingError(N_("Line %(n)s: a hole can only follow the corners of an area."), n=i + 1)
            parts[-1].append([])
        elif not line:
            parts.append([[]])
        else:
            parts[-1][-1].append((corners[i], i + 1))
    shapes = [_made([r for r in rings if r], form) for rings in parts if rings[0]]
    if len(shapes) == 1:
        return shapes[0]
    if form == "Point":
        raise DrawingError(N_("This layer takes one point: type one line."))
    return {"LineString": shapely.MultiLineString, "Polygon": shapely.MultiPolygon}[form](shapes)


def _made(rings, form):
    needed = {"Point": 1, "LineString": 2, "Polygon": 3}[form]
    for ring in rings:
        bare = ring[:-1] if form == "Polygon" and len(ring) > 1 and ring[0][0] == ring[-1][0] else ring
        if len(bare) < needed:
            raise DrawingError(N_("From line %(n)s: an area needs three corners, a line two."), n=ring[0][1])
    if form == "Point":
        if len(rings[0]) > 1:
            raise DrawingError(N_("This layer takes one point: type one line."))
        return shapely.Point(rings[0][0][0])
    rings = [[corner for corner, _line in ring] for ring in rings]
    return shapely.Polygon(rings[0], rings[1:]) if form == "Polygon" else shapely.LineString(rings[0])


def _pair(line, number):
    """The two texts of a line: parted by a semicolon, a tab, two spaces, a comma with space, or one space."""
    for mark in (r"\s*[;\t|]\s*", r",\s+", r"\s{2,}", r"(?<=[NSEWBĐ])\s+(?=\S)", r"\s+"):
        found = [p for p in re.split(mark, line.strip()) if p]
        if len(found) == 2:
            return found
    raise DrawingError(N_("Line %(n)s: write two numbers, such as “106.6881 20.8449”."), n=number)


def _numbers(pairs, at):
    columns = []
    for column in zip(*pairs, strict=True):
        floats, problems = parse_coordinates(column)
        if problems:
            raise DrawingError(
                N_("Line %(n)s: “%(value)s” cannot be read as a coordinate."), n=at[problems[0].row] + 1,
                value=str(problems[0].value)[:40],
            )  # fmt: skip
        columns.append(floats)
    return columns


def _placed(numbers, epsg, at):
    """Longitudes and latitudes; each line may have either order."""
    a, b = numbers
    if np.isnan(SYSTEMS[epsg].meridian):
        first = (np.abs(a - 106) < 6) & (np.abs(b - 16) < 12)
        second = (np.abs(b - 106) < 6) & (np.abs(a - 16) < 12)
    else:
        first = (a < 1_000_000) & (b > 1_000_000)
        second = (b < 1_000_000) & (a > 1_000_000)
    odd = ~(first | second)
    if odd.any():
        line = at[int(odd.argmax())] + 1
        if np.isnan(SYSTEMS[epsg].meridian):
            raise DrawingError(
                N_("Line %(n)s: degrees of this country are about 106 (longitude) and 20 (latitude). Check the coordinate system."),
                n=line,
            )  # fmt: skip
        raise DrawingError(
            N_("Line %(n)s: VN-2000 has an easting of about 600000 and a northing of about 2300000. Check the coordinate system."),
            n=line,
        )  # fmt: skip
    east, north = np.where(first, a, b), np.where(first, b, a)
    lon, lat = projection.to_wgs84(east, north, epsg)
    if not (np.isfinite(lon) & np.isfinite(lat)).all():
        raise DrawingError(N_("The coordinates lie outside the system that was chosen."))
    return np.asarray(lon).tolist(), np.asarray(lat).tolist()
