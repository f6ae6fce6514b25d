"""Population on real outlines and a real raster; skipped where realdata/ is absent."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import CRS

from geo.cells import schematic_cells
from geo.population import Surface, conform, over_served, population_surface, share_of_units, zonal_people

ROOT = Path(__file__).resolve().parents[2] / "shared" / "realdata"
STARTER = Path(__file__).resolve().parents[1] / "layers" / "starter"
SAO_MIGUEL = ROOT / "rasters" / "sao_miguel_fallback"

pytestmark = pytest.mark.skipif(not ROOT.exists(), reason="realdata/ is not here")


@pytest.fixture(scope="module")
def wards():
    outlines = gpd.read_file(ROOT / "boundaries" / "haiphong_wards_2025.geojson").set_index("code")
    people = pd.read_csv(STARTER / "wards.csv", dtype={"code": str}).set_index("code")["population"]
    return outlines[["geometry"]].join(people)


@pytest.fixture(scope="module")
def surface(wards):
    return population_surface(wards)


def test_every_real_ward_keeps_its_people(wards, surface):
    assert np.nansum(surface.values) == pytest.approx(wards["population"].sum(), rel=1e-12)
    centre = zonal_people(surface, wards, method="centre")
    assert (abs(centre / wards["population"] - 1) < 1e-6).all()
    exact = zonal_people(surface, wards)
    off = abs(exact / wards["population"] - 1)
    assert off.median() < 0.01
    assert off.drop("11680").max() < 0.1  # 3,802 people between denser wards: their border cells weigh


def test_an_unknown_ward_stays_unknown(wards):
    holed = wards.copy()
    holed.loc["10903", "population"] = np.nan
    surface = population_surface(holed)
    assert np.nansum(surface.values) == pytest.approx(holed["population"].sum(), rel=1e-12)
    assert np.isnan(zonal_people(surface, holed, method="centre")["10903"])


def test_rings_round_the_centre_part_every_ward(wards, surface):
    """Shares in disjoint areas that cover a ward add up to all of it."""
    middle = gpd.GeoSeries.from_xy([106.6881], [20.8449], crs=4326).to_crs(9210).iloc[0]
    near, far = middle.buffer(5000), middle.buffer(200000)
    areas = gpd.GeoDataFrame(geometry=[near, far.difference(near)], index=["near", "far"], crs=9210)
    shares = share_of_units(surface, wards, areas)
    total = shares.groupby("unit")["share"].sum()
    assert len(total) == 114
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert over_served(shares).empty


def test_schematic_cells_lie_where_the_wards_are(wards):
    """The picture is worth drawing: over half of a ward's land is in its cell, for most wards."""
    rows = pd.read_csv(STARTER / "wards.csv", dtype={"code": str}).set_index("code")
    points = gpd.GeoDataFrame(rows, geometry=gpd.points_from_xy(rows.centre_lon, rows.centre_lat), crs=4326)
    outline = pd.read_csv(STARTER / "land_outline.csv").sort_values(["part", "order"])
    parts = [shapely.Polygon(part[["lon", "lat"]]) for _, part in outline.groupby("part")]
    cells = schematic_cells(points, gpd.GeoDataFrame(geometry=parts, crs=4326))
    real = wards.to_crs(9210).loc[cells.index]
    common = cells.geometry.intersection(real.geometry).area / real.area
    assert common.median() > 0.7
    assert (common > 0.5).mean() > 0.9


def test_sao_miguel_keeps_its_total():
    """Gridded Population of the World 2020: WGS 84, about 1 km, brought to 100 m in UTM 26N."""
    source = SAO_MIGUEL / "gpw_v411_2020_count_2020.tif"
    with rasterio.open(source) as file:
        expected = file.read(1, masked=True).astype(float).sum()
    like = Surface(np.zeros((500, 760)), Affine(100, 0, 595000, 0, -100, 4212000), CRS.from_epsg(32626))
    surface, odd = conform(source, like=like)
    assert np.nansum(surface.values) == pytest.approx(expected, rel=1e-3)
    assert odd == []
    towns = gpd.read_file(SAO_MIGUEL / "concelhos.gpkg").set_index("name")
    with rasterio.open(source) as file:
        bounds, values = file.bounds, file.read(1, masked=True).astype(float).filled(np.nan)
        plain = Surface(values, file.transform, CRS.from_epsg(4326))
    assert plain.bounds == pytest.approx(tuple(bounds))
    ours, theirs = zonal_people(surface, towns), zonal_people(plain, towns)
    np.testing.assert_allclose(ours, theirs, rtol=0.02)
    assert ours.sum() == pytest.approx(theirs.sum(), rel=0.005)
