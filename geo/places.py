"""Which area a place lies in, and what lies near it."""

import numpy as np
import pandas as pd
import shapely


def containing(places, areas):
    """Index label of the area that holds each place; None where none does or the place has no position.

    places, areas: GeoSeries in one CRS; a shape of places counts by a point inside it. Where areas
    overlap, the smallest one is taken. The index of places comes back.

    >>> import geopandas as gpd
    >>> squares = gpd.GeoSeries([shapely.box(0, 0, 2, 2), shapely.box(2, 0, 4, 2)], ["a", "b"], crs=9210)
    >>> containing(gpd.GeoSeries([shapely.Point(3, 1), None], ["p", "q"], crs=9210), squares).tolist()
    ['b', None]
    """
    if places.crs is None or places.crs != areas.crs:
        raise ValueError("Places and areas must be in one known coordinate reference system.")
    shapes = places.to_numpy()
    placed = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    points = np.where(placed, shapes, None)
    points[placed] = [g if g.geom_type == "Point" else g.representative_point() for g in shapes[placed]]
    smallest_first = areas.iloc[np.argsort(shapely.area(areas.to_numpy()), kind="stable")]
    found = shapely.STRtree(points).query(smallest_first.to_numpy(), predicate="intersects")  # (area, place)
    out = np.full(len(places), None, dtype=object)
    for area, point in zip(*found[:, ::-1], strict=True):  # the smallest area comes last and stays
        out[point] = smallest_first.index[area]
    return pd.Series(out, index=places.index, name="area", dtype=object)


def distances(places, lon, lat, *, geod):
    """Distance in metres on the ellipsoid from one point to each place (to a point inside an area).

    places: GeoSeries in EPSG:4326; geod: a pyproj.Geod. NaN where a place has no position.
    """
    out = pd.Series(np.nan, index=places.index, name="distance_m")
    for code, g in places.items():
        if g is None or g.is_empty:
            continue
        p = g if g.geom_type == "Point" else g.representative_point()
        out[code] = geod.inv(lon, lat, p.x, p.y)[2]
    return out
