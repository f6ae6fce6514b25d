"""Land and unit outlines as plain lines of metres, for maps that are drawn as vectors: small pictures and printed sheets."""

from dataclasses import dataclass

import numpy as np
import shapely

from geo import projection
from server.figures import WARD_KINDS

METRIC = 9210


@dataclass(frozen=True, eq=False)
class Outlines:
    """Rings (arrays of x, y in m, EPSG:9210): land of the city, land outside it, wards. schematic: wards are not borders."""

    land: tuple
    outside: tuple
    wards: tuple
    schematic: bool


def outlines(figures, detail_m=150.0):
    """The Outlines of a city, lines simplified to detail_m; kept by the version of the data."""
    return figures.kept("outlines", lambda metres: _outlines(figures.store, metres), detail_m)


def _outlines(store, detail_m):
    land, admin = store.snapshot("land"), store.snapshot("admin_units")
    wards = admin[admin["kind"].isin(WARD_KINDS)]
    real = len(wards) > 0 and wards["geometry_quality"].isin(["surveyed", "digitised"]).all()
    return Outlines(
        _rings(land[land["code"] != "L-OUT"].geometry, detail_m), _rings(land[land["code"] == "L-OUT"].geometry, detail_m),
        _rings(wards.geometry, detail_m), not real,
    )  # fmt: skip


def _rings(shapes, detail_m):
    found = np.asarray([g for g in shapes if g is not None and not g.is_empty], dtype=object)
    flat = shapely.simplify(projection.shapes_from_wgs84(found, METRIC), detail_m) if len(found) else []
    out = []
    for part in shapely.get_parts(flat):
        if part.geom_type == "Polygon" and part.area > detail_m**2:
            out += [shapely.get_coordinates(ring) for ring in (part.exterior, *part.interiors)]
    return tuple(out)


def metres(lon, lat):
    """x, y in m (EPSG:9210) of a position in degrees."""
    x, y = projection.from_wgs84(lon, lat, METRIC)
    return float(x), float(y)


def frame(points, *, ratio, least_m=12_000.0, margin=0.12):
    """West, south, east, north round points (m), in a shape of width : height = ratio, never smaller than least_m high."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    mid = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    height = max((max(ys) - min(ys)) * (1 + 2 * margin), (max(xs) - min(xs)) * (1 + 2 * margin) / ratio, least_m)
    width = height * ratio
    return mid[0] - width / 2, mid[1] - height / 2, mid[0] + width / 2, mid[1] + height / 2


def round_length(metres_wide, share=0.25):
    """A round length (1, 2 or 5 × 10ⁿ m) for a scale bar of about `share` of a width.

    >>> round_length(40_000), round_length(9_000)
    (10000.0, 2000.0)
    """
    wanted = metres_wide * share
    power = 10 ** np.floor(np.log10(wanted))
    return float(max(step * power for step in (1, 2, 5) if step * power <= wanted))
