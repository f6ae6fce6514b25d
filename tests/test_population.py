"""Population: first rasters one can add up in the head, then properties, then the awkward."""

import sys
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer

from geo.cells import schematic_cells
from geo.population import (
    Surface,
    conform,
    over_served,
    population_surface,
    read_surface,
    share_of_units,
    write_cog,
    zonal_people,
)

STARTER = Path(__file__).resolve().parents[1] / "layers" / "starter"
METRIC = CRS.from_epsg(9210)
NAN = np.nan


def grid(values, west=0.0, north=None, size=100.0):
    values = np.array(values, dtype=float)
    north = values.shape[0] * size if north is None else north
    return Surface(values, Affine(size, 0, west, 0, -size, north), METRIC)


def zones(*shapes, codes=None, **more):
    codes = [f"z{k}" for k in range(len(shapes))] if codes is None else codes
    return gpd.GeoDataFrame(more, index=codes, geometry=list(shapes), crs=9210)


def box(*xy):
    return shapely.box(*xy)


def raster(path, values, transform, crs, **profile):
    """A GeoTIFF; values rows x columns, or bands x rows x columns."""
    values = np.asarray(values)
    bands = values if values.ndim == 3 else values[None]
    count, height, width = bands.shape
    profile = {"driver": "GTiff", "dtype": bands.dtype.name, "transform": transform, "crs": crs} | profile
    with rasterio.open(path, "w", count=count, height=height, width=width, **profile) as file:
        file.write(bands)
    return path


NINE = grid([[1, 2, 3], [4, 5, 6], [7, 8, 9]])


# --- in the head: zones


@pytest.mark.parametrize(
    ("zone", "exact", "centre"),
    [
        (box(0, 0, 300, 300), 45, 45),
        (box(0, 200, 100, 300), 1, 1),
        (box(40, 200, 100, 300), 0.6, 1),
        (box(60, 200, 100, 300), 0.4, NAN),  # no centre inside
        (box(50, 50, 250, 250), 5 + (2 + 4 + 6 + 8) / 2 + (1 + 3 + 7 + 9) / 4, None),
        (box(-500, -500, 900, 900), 45, 45),
        (box(400, 400, 500, 500), NAN, NAN),  # outside
        (box(300, 0, 400, 300), NAN, NAN),  # touches the grid from outside
        (box(-900, -900, -400, 900), NAN, NAN),
        (shapely.Polygon(), NAN, NAN),
        (None, NAN, NAN),
    ],
)
def test_nine_cells(zone, exact, centre):
    assert zonal_people(NINE, zones(zone)).tolist() == pytest.approx([exact], nan_ok=True)
    if centre is not None:
        found = zonal_people(NINE, zones(zone), method="centre").tolist()
        assert found == pytest.approx([centre], nan_ok=True)


def test_unknown_is_not_nobody():
    surface = grid([[NAN, 0], [NAN, 6]])
    found = zonal_people(surface, zones(box(0, 0, 100, 200), box(100, 100, 200, 200), box(0, 0, 200, 200)))
    assert found.tolist() == pytest.approx([NAN, 0, 6], nan_ok=True)
    assert found.name == "people"
    assert list(found.index) == ["z0", "z1", "z2"]


def test_zones_may_overlap_and_have_another_crs():
    two = zones(box(0, 0, 300, 300), box(100, 100, 200, 200))
    for method in ("exact", "centre"):
        assert zonal_people(NINE, two, method=method).tolist() == [45, 5]
        assert zonal_people(NINE, two.to_crs(3405), method=method).tolist() == pytest.approx([45, 5], rel=1e-3)


def test_corners_on_edges_of_cells_and_corners_given_twice():
    """exactextract alone misses a whole cell in some of these, or stops with "Never get here"."""
    ones, rng = grid(np.ones((40, 40))), np.random.default_rng(1)
    shapes = []
    for _ in range(400):
        count = rng.integers(3, 60)
        angle, radius = np.sort(rng.uniform(0, 2 * np.pi, count)), rng.uniform(200, 1500, count)
        xy = rng.uniform(1000, 3000, 2) + np.c_[radius * np.cos(angle), radius * np.sin(angle)]
        near = rng.random(count) < 0.3
        jitter = rng.choice([0, 1e-9, -1e-9, 1e-12, 1e-6], (near.sum(), 2))
        xy[near] = np.round(xy[near] / 100) * 100 + jitter
        shape = shapely.Polygon(np.repeat(xy, rng.integers(1, 3, count), axis=0))
        shapes.append(shapely.make_valid(shape, method="structure", keep_collapsed=False))
        if shape.is_valid:
            shapes.append(shape)
    found = zonal_people(ones, zones(*shapes))
    known = shapely.area(shapely.intersection(shapes, box(0, 0, 4000, 4000))) / 1e4
    np.testing.assert_allclose(found, known, atol=1e-3)


# --- in the head: surfaces


def test_even_spread():
    surface = population_surface(zones(box(0, 0, 200, 100), box(200, 0, 300, 100), population=[10, 7]))
    assert surface.values.tolist() == [[5, 5, 7]]
    assert surface.bounds == (0, 0, 300, 100)


def test_unknown_people_stay_unknown_and_zero_stays_zero():
    units = zones(box(0, 0, 100, 100), box(100, 0, 200, 100), box(300, 0, 400, 100), population=[NAN, 0, 8])
    assert population_surface(units).values.tolist()[0] == pytest.approx([NAN, 0, NAN, 8], nan_ok=True)


def test_built_up_land_is_preferred():
    unit = zones(box(0, 0, 400, 100), population=[130])
    town = zones(box(0, 0, 100, 100), box(50, 0, 100, 100))  # overlapping: counted once
    assert population_surface(unit, built_up=town).values.tolist()[0] == pytest.approx([100, 10, 10, 10])
    assert population_surface(unit, built_up=town, weight_outside=0).values.tolist() == [[130, 0, 0, 0]]
    assert population_surface(unit, built_up=town, weight_outside=1).values.tolist() == [[32.5] * 4]
    half = zones(box(0, 0, 50, 100))
    assert population_surface(unit, built_up=half, weight_outside=0.5).values.tolist()[0] == pytest.approx(
        [130 * 0.75 / 2.25] + [130 * 0.5 / 2.25] * 3
    )


def test_nobody_is_lost_where_no_land_is_built_up():
    unit = zones(box(0, 0, 200, 100), population=[8])
    far = zones(box(900, 0, 1000, 100))
    assert population_surface(unit, built_up=far, weight_outside=0).values.tolist() == [[4, 4]]


def test_a_unit_smaller_than_a_cell_keeps_its_people():
    units = zones(box(0, 0, 200, 100), box(110, 10, 120, 20), population=[10, 3])
    assert population_surface(units).values.tolist() == [[5, 8]]
    alone = zones(box(110, 10, 120, 20), population=[3])
    assert population_surface(alone).values.tolist() == [[3]]


# --- in the head: shares


def test_shares_of_units():
    units = zones(box(0, 0, 100, 300), box(100, 0, 300, 300), box(900, 0, 990, 100), codes=["w", "e", "x"])
    areas = zones(box(0, 0, 300, 100), box(0, 0, 100, 300), box(300, 0, 400, 100), codes=["low", "west", "sea"])
    found = share_of_units(NINE, units, areas)
    assert found.to_dict("list") == {
        "unit": ["w", "w", "e"],  # e and west only touch, x is unknown and meets nothing
        "area": ["low", "west", "low"],
        "people": pytest.approx([7, 12, 17]),
        "share": pytest.approx([7 / 12, 1, 17 / 33]),
    }
    assert over_served(found).to_dict() == pytest.approx({"w": 19 / 12})


def test_share_of_unknown_and_of_nobody_is_unknown():
    surface = grid([[NAN, 0, 4]])
    units = zones(box(0, 0, 100, 100), box(100, 0, 200, 100), box(200, 0, 300, 100))
    found = share_of_units(surface, units, zones(box(0, 0, 250, 100)))
    assert found["share"].tolist() == pytest.approx([NAN, NAN, 0.5], nan_ok=True)
    assert found["people"].tolist() == pytest.approx([NAN, 0, 2], nan_ok=True)


def test_areas_that_part_a_unit_share_all_of_it():
    units = zones(box(13, 21, 277, 288))
    areas = zones(box(0, 0, 300, 137.7), box(0, 137.7, 300, 300))
    found = share_of_units(NINE, units, areas)
    assert found["share"].sum() == pytest.approx(1, abs=1e-6)  # fractions of cells are single precision
    assert over_served(found).empty


def test_shares_without_exactextract(monkeypatch):
    """Where the library has no wheel, the centre method still answers and the exact one says so."""
    monkeypatch.setitem(sys.modules, "exactextract", None)
    half = zones(box(0, 0, 300, 200)), zones(box(0, 0, 300, 100))
    assert share_of_units(NINE, *half, method="centre")["share"].tolist() == [24 / 39]
    with pytest.raises(ImportError, match='method="centre"'):
        share_of_units(NINE, *half)


def test_no_pair_at_all_is_an_empty_table():
    found = share_of_units(NINE, zones(box(0, 0, 100, 100)), zones(box(700, 0, 800, 100)))
    assert list(found.columns) == ["unit", "area", "people", "share"]
    assert found.empty
    assert over_served(found).empty


def test_an_overlap_with_a_touching_edge_is_only_its_polygons():
    hook = shapely.Polygon([(0, 0), (100, 0), (100, 50), (50, 50), (50, 100), (300, 100), (300, 150), (0, 150)])
    found = share_of_units(NINE, zones(box(0, 0, 300, 300)), zones(hook, box(0, 0, 300, 50)))
    assert found["people"].tolist() == pytest.approx(zonal_people(NINE, zones(hook, box(0, 0, 300, 50))).tolist())
    bits = share_of_units(NINE, zones(box(50, 50, 300, 100)), zones(hook))  # meets the hook only along lines
    assert bits.empty


# --- properties


@st.composite
def tilings(draw):
    """Strips of uneven width, with people, some unknown."""
    widths = draw(st.lists(st.integers(1, 900), min_size=1, max_size=8))
    edges = np.cumsum([0, *widths])
    height = draw(st.integers(120, 700))
    people = draw(st.lists(st.one_of(st.integers(0, 10**6), st.just(NAN)), min_size=len(widths), max_size=len(widths)))
    shapes = [box(a, 0, b, height) for a, b in pairwise(edges)]
    return zones(*shapes, population=np.array(people, dtype=float))


@settings(max_examples=60, deadline=None)
@given(tilings(), st.booleans())
def test_nobody_is_lost_or_invented(units, with_town):
    town = zones(box(130, 40, 470, 333)) if with_town else None
    surface = population_surface(units, built_up=town)
    assert np.nansum(surface.values) == pytest.approx(units["population"].sum(), rel=1e-9)
    assert not (surface.values < 0).any()
    whole = units.bounds.maxx - units.bounds.minx >= 100  # each of these holds a cell centre
    crowded = not whole.all()  # a small unit shares the cell of a neighbour
    if not crowded:
        found = zonal_people(surface, units, method="centre")
        assert found.tolist() == pytest.approx(units["population"].tolist(), rel=1e-6, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(tilings(), st.integers(-50, 50), st.integers(-50, 50), st.randoms(use_true_random=False))
def test_moving_and_shuffling_change_nothing(units, east, north, random):
    moved = units.set_geometry(units.translate(east * 100.0, north * 100.0))
    order = list(units.index)
    random.shuffle(order)
    here, there = population_surface(units), population_surface(moved.loc[order])
    np.testing.assert_array_equal(here.values, there.values)
    assert there.transform.c - here.transform.c == east * 100
    one, other = zonal_people(here, units), zonal_people(there, moved.loc[order])
    assert one.tolist() == pytest.approx(other[units.index].tolist(), nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(700, 4000), st.floats(1500, 3500), st.floats(1500, 3500))
def test_both_methods_agree_on_large_zones(seed, radius, x, y):
    values = np.random.default_rng(seed).uniform(10, 20, (50, 50))
    zone = zones(shapely.Point(x, y).buffer(radius))
    exact, centre = zonal_people(grid(values), zone), zonal_people(grid(values), zone, method="centre")
    assert centre.tolist() == pytest.approx(exact.tolist(), rel=0.05)


# --- files


def test_a_written_surface_comes_back(tmp_path):
    units = zones(box(600000, 2300000, 600300, 2300200), population=[12345])
    surface = population_surface(units)
    surface.values[0, 0] = NAN
    write_cog(surface, tmp_path / "people.tif", tags={"source": "census", "source_date": "2025-07-01"})
    back = read_surface(tmp_path / "people.tif")
    np.testing.assert_array_equal(back.values, surface.values)
    assert back.transform == surface.transform
    assert back.crs == surface.crs
    assert back.tags == {"units": "people per cell", "source": "census", "source_date": "2025-07-01"}
    with rasterio.open(tmp_path / "people.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert np.isnan(file.nodata)
    assert [p.name for p in tmp_path.iterdir()] == ["people.tif"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "people.tif"
    write_cog(NINE, path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_cog(NINE, path, tags={1: "a tag needs a name"})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["people.tif"]


HERE = grid(np.zeros((300, 300)), west=590000, north=2320000)  # 30 x 30 km around the city


@pytest.mark.parametrize(
    ("crs", "size"),
    [
        ("EPSG:4326", 0.01),
        ("EPSG:4326", 0.002),
        ("EPSG:4326", 0.00083333),
        ("EPSG:32648", 1000.0),
        ("EPSG:9209", 30.0),
    ],
)
@pytest.mark.parametrize("turned", [0.0, 20.0])
def test_a_foreign_raster_keeps_its_people(tmp_path, crs, size, turned):
    """Coarser and finer, straight and turned, with holes: the total arrives to 0.1 %."""
    x, y = Transformer.from_crs(9210, crs, always_xy=True).transform(600000, 2312000)
    count = round(10000 / size) if size > 1 else round(0.09 / size)
    values = np.random.default_rng(7).gamma(0.5, 40, (count, count))
    values[values < 5] = 0
    values[count // 3, : count // 2] = -9999
    transform = Affine.translation(x, y) @ Affine.rotation(turned) @ Affine.scale(size, -size)
    path = raster(tmp_path / "p.tif", values, transform, crs, nodata=-9999)
    surface, odd = conform(path, like=HERE)
    assert np.nansum(surface.values) == pytest.approx(values[values > 0].sum(), rel=1e-3)
    assert np.nanmin(surface.values) >= 0
    assert odd == []
    assert surface.transform == HERE.transform
    assert surface.values.shape == HERE.values.shape


def test_conform_to_the_same_grid_changes_nothing(tmp_path):
    write_cog(NINE, tmp_path / "nine.tif")
    surface, odd = conform(tmp_path / "nine.tif", like=NINE)
    np.testing.assert_allclose(surface.values, NINE.values)
    assert odd == []


def test_one_large_cell_is_spread_by_area(tmp_path):
    path = raster(tmp_path / "p.tif", [[900.0]], Affine(250, 0, 50, 0, -250, 300), "EPSG:9210", nodata=-1)
    surface, _ = conform(path, like=NINE)
    quarter, half, full = 900 / 6.25 / 4, 900 / 6.25 / 2, 900 / 6.25
    expected = [[half, full, full], [half, full, full], [quarter, half, half]]
    np.testing.assert_allclose(surface.values, expected, rtol=1e-6)


def test_odd_things_are_told(tmp_path):
    values = np.array([[1, -5, np.inf], [4, 5, 6], [7, 8, 9]], dtype="float32")
    path = raster(tmp_path / "p.tif", values, NINE.transform, "EPSG:9210")
    surface, odd = conform(path, like=NINE)
    assert np.nansum(surface.values) == 40
    assert np.isnan(surface.values[0, 1:]).all()
    assert any("1 negative" in line for line in odd)
    assert any("1 infinite" in line for line in odd)
    far = grid(np.zeros((3, 3)), west=200)
    _, odd = conform(raster(tmp_path / "q.tif", NINE.values, NINE.transform, "EPSG:9210"), like=far)
    assert any("No nodata value" in line for line in odd)
    assert any("60.0% of the raster's people (45) lie outside" in line for line in odd)
    _, odd = conform(raster(tmp_path / "n.tif", 0 * NINE.values, NINE.transform, "EPSG:9210"), like=NINE)
    assert "There are no people in the raster." in odd


def test_integers_with_nodata_and_an_open_file(tmp_path):
    values = np.array([[65535, 2], [3, 4]], dtype="uint16")
    path = raster(tmp_path / "p.tif", values, Affine(100, 0, 0, 0, -100, 300), "EPSG:9210", nodata=65535)
    with rasterio.open(path) as file:
        surface, odd = conform(file, like=NINE)
    assert odd == []
    np.testing.assert_array_equal(surface.values, [[NAN, 2, NAN], [3, 4, NAN], [NAN, NAN, NAN]])


def test_only_the_window_of_a_very_large_raster_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("geo.population.MOST_CELLS", 1000)
    values = np.ones((200, 200))
    path = raster(tmp_path / "p.tif", values, Affine(100, 0, -9000, 0, -100, 9000), "EPSG:9210", nodata=-1)
    surface, odd = conform(path, like=NINE)
    np.testing.assert_allclose(surface.values, 1)
    assert any("very large" in line for line in odd)


def test_rasters_that_are_refused(tmp_path):
    straight = NINE.transform
    cases = {
        "no CRS": raster(tmp_path / "a.tif", NINE.values, straight, None),
        "2 bands": raster(tmp_path / "b.tif", np.ones((2, 3, 3)), straight, "EPSG:9210"),
        "complex128": raster(tmp_path / "c.tif", np.ones((3, 3), dtype=complex), straight, "EPSG:9210"),
        "no cell over": raster(tmp_path / "d.tif", NINE.values, Affine(1, 0, 0, 0, -1, 9e6), "EPSG:9210"),
        "no known cell": raster(tmp_path / "e.tif", np.full((3, 3), 5.0), straight, "EPSG:9210", nodata=5),
    }
    for sentence, path in cases.items():
        with pytest.raises(ValueError, match=sentence):
            conform(path, like=NINE)
    turned = raster(tmp_path / "t.tif", NINE.values, Affine(90, 30, 0, 30, -90, 0), "EPSG:9210")
    with pytest.raises(ValueError, match="turned"):
        read_surface(turned)


def test_a_world_raster_gives_only_its_part(tmp_path):
    """Places far outside the range of the projection must not come back as neighbours."""
    fine, coarse = Affine(0.25, 0, -180, 0, -0.25, 90), Affine(5, 0, -180, 0, -5, 90)
    path = raster(tmp_path / "w.tif", np.ones((720, 1440)), fine, "EPSG:4326", nodata=-1)
    surface, odd = conform(path, like=HERE)
    assert np.isfinite(surface.values).all()
    cell_km2 = 0.25**2 * 111.32 * 110.7 * np.cos(np.radians(20.85))
    assert surface.values.sum() == pytest.approx(30 * 30 / cell_km2, rel=0.005)
    assert any("lie outside our grid" in line for line in odd)
    path = raster(tmp_path / "c.tif", np.ones((36, 72)), coarse, "EPSG:4326", nodata=-1)
    with pytest.raises(ValueError, match="too coarse"):
        conform(path, like=HERE)


# --- refusals


def test_refusals_say_what_to_do():
    unit = zones(box(0, 0, 100, 100), population=[1])
    bow = shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])
    refused = [
        (lambda: population_surface(unit.set_crs(None, allow_override=True)), "no CRS"),
        (lambda: population_surface(unit, crs=4326), "not in metres"),
        (lambda: population_surface(unit, weight_outside=2), "weight_outside"),
        (lambda: population_surface(unit, resolution_m=0.001), "larger resolution_m"),
        (lambda: population_surface(unit.assign(population=-1)), "0 or more"),
        (lambda: population_surface(zones(None, population=[1])), "without outline"),
        (lambda: population_surface(zones(shapely.Point(0, 0), population=[1])), "Not a polygon"),
        (
            lambda: population_surface(unit, built_up=unit.set_crs(None, allow_override=True)),
            "areas have no CRS",
        ),
        (lambda: zonal_people(NINE, zones(bow)), "crosses itself"),
        (lambda: zonal_people(NINE, unit, method="middle"), "exact"),
        (lambda: share_of_units(NINE, unit, unit, method="middle"), "exact"),
    ]
    for call, sentence in refused:
        with pytest.raises(ValueError, match=sentence):
            call()


# --- the city


def test_the_city_adds_up_on_its_schematic_cells():
    rows = pd.read_csv(STARTER / "wards.csv", dtype={"code": str}).set_index("code")
    points = gpd.GeoDataFrame(rows, geometry=gpd.points_from_xy(rows.centre_lon, rows.centre_lat), crs=4326)
    outline = pd.read_csv(STARTER / "land_outline.csv").sort_values(["part", "order"])
    parts = [shapely.Polygon(part[["lon", "lat"]]) for _, part in outline.groupby("part")]
    cells = schematic_cells(points, gpd.GeoDataFrame(geometry=parts, crs=4326))
    cells["population"] = rows["population"]
    surface = population_surface(cells)
    assert np.nansum(surface.values) == pytest.approx(4_664_124, rel=1e-12)
    people = zonal_people(surface, cells, method="centre")
    assert (abs(people / cells["population"] - 1) < 1e-6).all()
    exact = zonal_people(surface, cells)
    assert (abs(exact / cells["population"] - 1) < 0.1).all()
    assert abs(exact / cells["population"] - 1).median() < 0.01
