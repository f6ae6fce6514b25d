"""The coordinate doctor on real outlines; skipped where realdata/ is absent."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from geo.crs import FITS_NOTHING, diagnose, points_of

ROOT = Path(__file__).resolve().parents[2] / "shared" / "realdata"
STARTER = Path(__file__).resolve().parents[1] / "layers" / "starter"

pytestmark = pytest.mark.skipif(not ROOT.exists(), reason="realdata/ is not here")


@pytest.fixture(scope="module")
def wards():
    return gpd.read_file(ROOT / "boundaries" / "haiphong_wards_2025.geojson").set_index("code").sort_index()


@pytest.fixture(scope="module")
def city(wards):
    return wards.union_all()


@pytest.fixture(scope="module")
def centres():
    table = pd.read_csv(STARTER / "wards.csv", dtype={"code": str}).set_index("code").sort_index()
    return gpd.GeoSeries(gpd.points_from_xy(table["centre_lon"], table["centre_lat"]), table.index, crs=4326)


@pytest.mark.parametrize(
    ("written", "declared", "verdict", "first", "rests_on"),
    [
        (9210, None, "sure", 9210, "places"),
        (9209, None, "sure", 9209, "places"),
        (9209, 9210, "sure", 9209, "places"),
        (9210, 9209, "sure", 9210, "places"),
        (3857, 4326, "sure", 3857, "places"),
        # the known points lie half a kilometre from the centroids: nothing here tells 224 m
        (3405, None, "ask", 3405, "places"),
        (3405, 32648, "ask", 32648, "declared"),
        (3405, 3405, "sure", 3405, "declared"),
        (4326, 4326, "sure", 4326, "declared"),
    ],
)
def test_ward_centroids_beside_the_known_points(wards, city, centres, written, declared, verdict, first, rests_on):
    points = wards.to_crs(9210).centroid.to_crs(written)
    known = centres.loc[wards.index]
    found = diagnose(points.x, points.y, city, places=known.to_numpy(), declared=declared)
    print(written, declared, found.reason_en)
    assert (found.verdict, found.first.epsg, found.parts[0].rests_on) == (verdict, first, rests_on)
    assert written in {read.epsg for read in (found.first, found.second) if read}
    assert found.declared_wrong == (verdict == "sure" and declared is not None and written != declared)
    assert 400 < known.to_crs(9210).distance(wards.to_crs(9210).centroid).median() < 600


@pytest.mark.parametrize("written", [9210, 9209, 3405, 4756])
def test_points_in_named_outlines(wards, city, written):
    """Twenty points in each outline: enough of them lie near a border to tell even 224 m."""
    inside = wards.geometry.sample_points(20, rng=5).explode()
    points = inside.to_crs(written)
    found = diagnose(points.x, points.y, city, places=wards.geometry.loc[points.index].to_numpy())
    print(written, found.reason_en)
    assert (found.verdict, found.first.epsg) == ("sure", written)


def test_berths_in_two_meridians_without_names(city):
    berths = gpd.read_file(ROOT / "ports" / "haiphong_seaport_berths_existing_planned.geojson")
    for written in (9210, 9209):
        x, y = points_of(berths.to_crs(written).geometry.to_numpy())
        found = diagnose(x, y, city)
        print(written, found.reason_en)
        assert found.verdict == "ask"
        assert written in {found.first.epsg, found.second.epsg}
    x, y = points_of(berths.geometry.to_numpy())
    assert diagnose(x, y, city, declared=berths.crs).verdict == "sure"  # OGC:CRS84 is EPSG:4326, longitude first


def test_the_population_file_has_three_misplaced_points(wards, city):
    table = pd.read_csv(ROOT / "population" / "haiphong_ward_population_2026.csv", dtype=str)
    code = next(c for c in table.columns if table[c].isin(wards.index).mean() > 0.9)
    lon, lat = (next(c for c in table.columns if name in c.lower()) for name in ("lon", "lat"))
    outlines = wards.geometry.reindex(table[code]).to_numpy()
    found = diagnose(table[lon].astype(float), table[lat].astype(float), city, places=outlines, declared=4326)
    print(found.reason_en)
    assert (found.verdict, found.first.epsg, found.first.shifted) == ("sure", 4326, False)
    points = shapely.points(table[lon].astype(float), table[lat].astype(float))
    assert (~shapely.intersects(points, outlines)).sum() == 3
    assert (found.rows == FITS_NOTHING).sum() == 1  # Bạch Long Vĩ, put on the mainland: more than 10 km away


def test_neighbours_lie_outside(city):
    others = gpd.read_file(ROOT / "boundaries" / "quangninh_hungyen_wards_2025_bbox.geojson")
    points = others[~others.intersects(shapely.box(*city.buffer(0.15).bounds))]
    points = others.geometry.representative_point() if not len(points) else points.geometry.representative_point()
    x, y = points.to_crs(9210).x, points.to_crs(9210).y
    found = diagnose(x, y, city)
    print(found.reason_en)
    assert found.verdict != "sure" and np.isfinite(x).all()
