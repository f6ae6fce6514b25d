"""A town of two wards made by hand, as the Data of a siting study: no store, no server.

Metres east and north of the town's corner (EPSG:9210); ward W lies at 0 to 4000, ward E at 4000 to 8000, both 4000 high.
Villages: 50 people in each cell of 100 m of the squares 1000..2000 x 1500..2500 (W) and 6000..7000 x 1500..2500 (E), and
nobody elsewhere: 5,000 people each. A river 200 m wide flows south at 3900..4100, with its middle drawn as a line.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from affine import Affine
from pyproj import CRS

from geo.population import Surface
from server.sitedata import Data
from server.sitespec import FORMAT, checked

EAST, NORTH = 590_000.0, 2_300_000.0
DAY = "2026-11-22"


def at(x, y):
    return shapely.Point(EAST + x, NORTH + y)


def box(x0, y0, x1, y1):
    return shapely.box(EAST + x0, NORTH + y0, EAST + x1, NORTH + y1)


def lonlat(x, y):
    point = gpd.GeoSeries([at(x, y)], crs=9210).to_crs(4326).iloc[0]
    return {"lon": point.x, "lat": point.y}


def metres(site):
    """(x, y) of a site of an answer, in the town's metres."""
    return site["x"] - EAST, site["y"] - NORTH


def layer(shapes, **columns):
    """Places in the town's metres as a layer in EPSG:4326."""
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=9210).to_crs(4326)


def named(shapes, prefix, **columns):
    codes = [f"{prefix}{k}" for k in range(len(shapes))]
    return layer(shapes, code=codes, name_vi=codes, name_en=codes, **columns)


def people(villages=((1000, 1500), (6000, 1500)), per_cell=50.0):
    values = np.zeros((40, 80))
    for x, y in villages:
        values[40 - (y + 1000) // 100 : 40 - y // 100, x // 100 : (x + 1000) // 100] = per_cell
    transform = Affine(100.0, 0.0, EAST, 0.0, -100.0, NORTH + 4000)
    return Surface(values, transform, CRS.from_epsg(9210), tags={"method": "counted", "source": "by hand"})


def raster(values):
    """Values on the grid of a question; values: function of the metres east and north of the town's corner."""
    grid = town().grid(question())
    x, y = grid.centre(*np.mgrid[0 : grid.rows, 0 : grid.columns])
    return Surface(np.asarray(values(x - EAST, y - NORTH), dtype=float), grid.transform, grid.crs)


def town(**layers):
    """The Data; layers take the place of ours. population=, plants=, rasters=: the same."""
    units = layer(
        [box(0, 0, 4000, 4000), box(4000, 0, 8000, 4000)],
        code=["W", "E"],
        name_vi=["Tây", "Đông"],
        name_en=["West", "East"],
        kind=["ward", "ward"],
        people=[5000.0, 5000.0],
        m3_day=[500.0, 700.0],
        untreated_people=[5000.0, 5000.0],
        unknown_m3_day=[500.0, 0.0],
    ).set_index("code")
    plants = layers.pop("plants", None)
    if plants is None:
        plants = standing([])
    surface, rasters = layers.pop("population", people()), layers.pop("rasters", {})
    river = shapely.LineString([at(4000, 3990), at(4000, 10)])
    base = {
        "water_bodies": named([box(3900, 0, 4100, 4000), river], "R", tidal=["no", "no"]),
        "protected_areas": named([box(2500, 2500, 3500, 3500)], "P"),
        "industrial_zones": named([box(5000, 3000, 5500, 3500)], "Z", kind=["industrial_park"]),
        "hotspots": named([at(2000, 500)], "H", media=["water"], stage=["confirmed"], past_event=[None]),
    }
    return Data(base | layers, {}, units, plants, surface, rasters, {"by hand": {"version": 1}}, ("by hand",))


def standing(rows):
    """Plants: (code, x, y, spare)."""
    frame = layer(
        [at(x, y) for _, x, y, _ in rows],
        code=[r[0] for r in rows],
        **{n: [r[0] for r in rows] for n in ("name_vi", "name_en")},
        kind=["municipal" for _ in rows],
        state=["operating" for _ in rows],
        capacity_m3_day=np.array([r[3] for r in rows], dtype=float),
        flow_m3_day=np.zeros(len(rows)),
        spare_m3_day=np.array([r[3] for r in rows], dtype=float),
        why=["computed" for _ in rows],
    )
    return frame.set_index("code")


def question(**fields):
    """A checked question on the town: one size of 400 m³/day for 10, one plant, within 3 km, cells of 100 m."""
    base = {
        "format": FORMAT,
        "name": "Town",
        "as_of": DAY,
        "sizes": [{"capacity_m3_day": 400, "cost": 10}],
        "number": 1,
        "within_m": 3000,
        "demand": {"square_m": 500},
        "candidates": {"count": 40, "apart_m": 300},
        "criteria": [{"code": "demand", "weight": 1, "curve": [[0, 0], [1200, 1]]}, {"code": "houses", "weight": 1}],
        "robustness": {"runs": 50, "top": 5},
    }
    return checked(base | fields)


def facility(**fields):
    from server.sitekinds import PLANT

    return {"kind": "wastewater treatment plant", "technology": PLANT, "enclosed": False} | fields


def frame(rows, key="code"):
    return pd.DataFrame(rows).set_index(key)
