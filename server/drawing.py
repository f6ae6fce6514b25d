"""A place as somebody drew or typed it on a form, made into a geometry or refused with a sentence."""

import json
import math

import shapely

from server.i18n import N_

# the city with its islands (Bạch Long Vĩ is its south-east) and some water round them: west, south, east, north
BOUNDS = (105.9, 19.9, 108.2, 21.5)
MAX_POSITIONS = 5000
KINDS = ("Point", "Polygon", "MultiPolygon")
REMOVED = "none"


class DrawingError(Exception):
    """What was drawn cannot be a place. sentence: a msgid, with its values."""

    def __init__(self, sentence, **values):
        self.sentence, self.values = sentence, values
        super().__init__(sentence % values)


def drawn(text, lat="", lon="", *, before=None):
    """The geometry of a form, in EPSG:4326: what was drawn, else the typed point, else `before`.

    text: GeoJSON geometry as the drawing tool writes it, "none" where the place was removed, "" where
    nothing was drawn. lat, lon: as typed, with decimal comma or point. Raises DrawingError.
    """
    text = (text or "").strip()
    if text == REMOVED:
        return None
    if text:
        return _checked(_parsed(text))
    if not (lat or "").strip() and not (lon or "").strip():
        return before if before is not None and before.geom_type != "Point" else None
    point = shapely.Point(_degrees(lon), _degrees(lat))
    if before is not None and before.geom_type == "Point" and before.equals_exact(point, 1e-6):
        return before
    return _checked(point)


def _degrees(typed):
    try:
        value = float((typed or "").strip().replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DrawingError(N_("Write latitude and longitude as decimal degrees, such as 20.8561 and 106.6822."))
    return value


def _parsed(text):
    try:
        made = json.loads(text)
        kind = made["type"]
        geometry = shapely.from_geojson(text)
    except (ValueError, KeyError, TypeError, RecursionError, shapely.errors.GEOSException):
        raise DrawingError(N_("What was drawn cannot be read. Draw it again.")) from None
    if kind not in KINDS or geometry is None or geometry.is_empty:
        raise DrawingError(N_("Draw one point, or one or more areas."))
    return shapely.force_2d(geometry)


def _checked(geometry):
    positions = shapely.get_coordinates(geometry)
    if len(positions) > MAX_POSITIONS:
        raise DrawingError(N_("The outline has %(n)s corners; at most %(most)s."), n=len(positions), most=MAX_POSITIONS)
    west, south, east, north = BOUNDS
    inside = all(west <= x <= east and south <= y <= north for x, y in positions)
    if not inside:
        raise DrawingError(
            N_("The place does not lie in the city or its waters. Latitude comes first, then longitude.")
        )
    if not geometry.is_valid:
        raise DrawingError(N_("The outline crosses itself. Move its corners so that the area is clear."))
    return geometry


def written(geometry):
    """The geometry as GeoJSON text for the drawing tool, "" for none; six decimals, about 0.1 m."""
    if geometry is None:
        return ""
    return shapely.to_geojson(shapely.transform(geometry, lambda xy: xy.round(6)))


def position(geometry):
    """(latitude, longitude) of a point as texts for its two fields; blank for anything else."""
    if geometry is None or geometry.geom_type != "Point":
        return "", ""
    return f"{geometry.y:.6f}", f"{geometry.x:.6f}"
