"""People and receptors by distance, on rasters small enough to count by hand."""

import math

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from shapely import Point, box

from geo import exposure
from geo.exposure import METRIC, people_near, receptors_near
from geo.population import Surface, zonal_people

WEST, NORTH = 600_000, 2_300_300


def surface(values, cell=100):
    return Surface(np.array(values, dtype=float), Affine(cell, 0, WEST, 0, -cell, NORTH), METRIC)


def at(x, y, crs=METRIC):
    """A place x m east and y m south of the corner of the raster."""
    return gpd.GeoSeries([Point(WEST + x, NORTH - y)], crs=crs)


NINE = surface([[1, 2, 3], [4, 50, 6], [7, 8, 9]])


def test_a_square_of_three_by_three_by_hand():
    """The place is the middle cell; 100 m around it: four neighbours whole, four quarter circles."""
    place = gpd.GeoSeries([box(WEST + 100, NORTH - 200, WEST + 200, NORTH - 100)], crs=METRIC)
    [band] = people_near(place, NINE, bands_m=(100,))
    corners = math.pi / 4 * (1 + 3 + 7 + 9)
    assert band.people == pytest.approx(50 + 2 + 4 + 6 + 8 + corners, rel=1e-4)
    assert (band.least, band.most) == (50 + 2 + 4 + 6 + 8, 90)
    assert band.unknown_share == 0


def test_a_circle_inside_one_cell():
    near, far = people_near(at(150, 150), NINE, bands_m=(25, 50))
    assert near.people == pytest.approx(50 * math.pi * 25**2 / 1e4, rel=2e-4)
    assert near.people + far.people == pytest.approx(50 * math.pi * 50**2 / 1e4, rel=2e-4)
    assert (near.inner_m, near.outer_m, far.inner_m, far.outer_m) == (0, 25, 25, 50)
    assert (near.least, near.most) == (0, 50)


def test_the_whole_raster_and_nothing_twice():
    bands = people_near(at(150, 150), NINE, bands_m=(60, 120, 250))
    assert sum(b.people for b in bands) == pytest.approx(90)
    assert all(b.least <= b.people <= b.most for b in bands)
    union = shapely.union_all([b.geometry for b in bands])
    assert union.area == pytest.approx(sum(b.geometry.area for b in bands))


def test_nobody_is_not_nobody_knows():
    empty, unknown = np.zeros((3, 3)), np.full((3, 3), np.nan)
    assert people_near(at(150, 150), surface(empty), bands_m=(50,))[0].people == 0
    [band] = people_near(at(150, 150), surface(unknown), bands_m=(50,))
    assert (band.people, band.least, band.most, band.unknown_share) == (None, None, None, 1)
    assert people_near(at(150, 150), None) is None
    [off] = people_near(at(5000, 150), NINE, bands_m=(50,))
    assert (off.people, off.unknown_share) == (None, 1)


def test_a_half_unknown_reach_gives_a_lower_bound_and_says_so():
    half = surface([[1, 1, np.nan], [1, 1, np.nan], [1, 1, np.nan]])
    [band] = people_near(at(200, 150), half, bands_m=(50,))
    assert band.people == pytest.approx(math.pi * 50**2 / 2 / 1e4, rel=2e-4)
    assert band.unknown_share == pytest.approx(0.5)


def test_water_is_not_unknown_where_the_land_is_given():
    half = surface([[1, 1, np.nan], [1, 1, np.nan], [1, 1, np.nan]])
    shore = gpd.GeoSeries([box(WEST, NORTH - 300, WEST + 200, NORTH)], crs=METRIC)
    [band] = people_near(at(200, 150), half, bands_m=(50,), land=shore)
    assert band.unknown_share == 0
    wider = gpd.GeoSeries([box(WEST, NORTH - 300, WEST + 1000, NORTH)], crs=METRIC).to_crs(4326)
    [band] = people_near(at(200, 150), half, bands_m=(50,), land=wider)
    assert band.unknown_share == pytest.approx(0.5, abs=1e-3)
    [sea] = people_near(at(290, 150), half, bands_m=(5,), land=shore)
    assert (sea.people, sea.unknown_share) == (None, 0)


def test_reach_beyond_the_edge_of_the_raster_is_unknown():
    [band] = people_near(at(0, 150), NINE, bands_m=(50,))
    assert band.unknown_share == pytest.approx(0.5)


def test_a_place_in_degrees_is_the_same_place():
    here = people_near(at(150, 150), NINE, bands_m=(80,))[0].people
    assert people_near(at(150, 150).to_crs(4326), NINE, bands_m=(80,))[0].people == pytest.approx(here, rel=1e-6)


def test_an_area_that_covers_many_cells_agrees_with_the_zonal_sums():
    """A second way: exactextract on the same ring."""
    rng = np.random.default_rng(5)
    field = surface(rng.integers(0, 90, (40, 40)))
    place = gpd.GeoSeries([shapely.Polygon([(600500, 2298900), (602900, 2298400), (601700, 2297100)])], crs=METRIC)
    bands = people_near(place, field, bands_m=(150, 400))
    other = zonal_people(field, exposure.rings(bands))
    assert [b.people for b in bands] == pytest.approx(other.tolist(), rel=1e-6)


def test_rings_for_the_map():
    frame = exposure.rings(people_near(at(150, 150), NINE, bands_m=(50, 100)))
    assert frame.crs == METRIC and frame["outer_m"].tolist() == [50, 100]
    assert frame.area.tolist() == pytest.approx([math.pi * 2500, math.pi * 7500], rel=2e-4)


@pytest.mark.parametrize(
    ("bands", "says"), [((), "rise"), ((0,), "rise"), ((300, 100), "rise"), ((100, 100), "rise"), ((-5, 5), "rise")]
)
def test_bands_that_do_not_rise(bands, says):
    with pytest.raises(ValueError, match=says):
        people_near(at(1, 1), NINE, bands_m=bands)


def test_what_is_refused():
    with pytest.raises(ValueError, match="no CRS"):
        people_near(at(1, 1, crs=None), NINE)
    with pytest.raises(ValueError, match="not drawn"):
        people_near(gpd.GeoSeries([None, Point()], crs=METRIC), NINE)
    with pytest.raises(ValueError, match="EPSG:9210 is wanted"):
        people_near(at(1, 1), Surface(np.ones((2, 2)), Affine(100, 0, 0, 0, -100, 0), "EPSG:32648"))
    with pytest.raises(ValueError, match="turned or upside down"):
        people_near(at(1, 1), Surface(np.ones((2, 2)), Affine(100, 0, 0, 0, 100, 0), METRIC))
    with pytest.raises(ValueError, match="too large"):
        many = Surface(np.broadcast_to(np.ones(1), (3000, 3000)), Affine(1, 0, WEST, 0, -1, NORTH), METRIC)
        people_near(at(1500, 1500), many, bands_m=(2000,))
    with pytest.raises(ValueError, match="no CRS"):
        receptors_near(at(1, 1), gpd.GeoDataFrame({"code": ["a"]}, geometry=[Point(1, 1)]))
    with pytest.raises(ValueError, match="no CRS"):
        people_near(at(1, 1), NINE, land=gpd.GeoSeries([box(0, 0, 1, 1)]))


@given(
    st.lists(st.integers(0, 1000), min_size=9, max_size=9),
    st.integers(0, 8),
    st.tuples(st.integers(0, 300), st.integers(0, 300)),
    st.integers(10, 300),
)
def test_more_people_in_a_cell_never_count_less(people, which, place, reach):
    more = list(people)
    more[which] += 10
    before, after = (
        people_near(at(*place), surface(np.reshape(p, (3, 3))), bands_m=(reach,))[0].people for p in (people, more)
    )
    assert before <= after + 1e-6
    assert after <= before + 10 + 1e-6


@given(st.tuples(st.integers(0, 300), st.integers(0, 300)), st.integers(10, 200), st.integers(1, 200))
def test_a_wider_reach_never_counts_less(place, reach, wider):
    one = people_near(at(*place), NINE, bands_m=(reach,))[0].people
    both = people_near(at(*place), NINE, bands_m=(reach, reach + wider))
    assert both[0].people == one
    assert sum(b.people for b in both) == pytest.approx(
        people_near(at(*place), NINE, bands_m=(reach + wider,))[0].people
    )


# --- receptors ---


def receptors(*rows, crs=METRIC):
    """code, x, y (m from the corner of the raster)."""
    frame = {"code": [r[0] for r in rows], "name_vi": [f"Trường {r[0]}" for r in rows], "kind": "school"}
    shapes = [None if r[1] is None else Point(WEST + r[1], NORTH - r[2]) for r in rows]
    return gpd.GeoDataFrame(frame, geometry=shapes, crs=METRIC).to_crs(crs)


def test_receptors_nearest_first_with_names():
    layer = receptors(("far", 150, 1250), ("b", 150, 550), ("a", 450, 550), ("c", 150, 150), ("nowhere", None, None))
    found = receptors_near(at(150, 150), layer, reach_m=500)
    assert [(r.code, round(r.distance_m, 6)) for r in found] == [("c", 0), ("b", 400), ("a", 500)]
    assert (found[0].name_vi, found[0].name_en, found[0].kind) == ("Trường c", "", "school")


def test_distance_is_from_the_edge_of_an_area():
    place = gpd.GeoSeries([box(WEST, NORTH - 300, WEST + 300, NORTH)], crs=METRIC)
    found = receptors_near(place, receptors(("in", 10, 10), ("out", 400, 150), crs=4326), reach_m=200)
    assert [(r.code, round(r.distance_m, 2)) for r in found] == [("in", 0), ("out", 100)]


def test_no_layer_is_not_nobody():
    assert receptors_near(at(1, 1), None) is None
    assert receptors_near(at(1, 1), receptors(("a", 0, 0)).iloc[:0]) is None
    assert receptors_near(at(150, 150), receptors(("far", 150, 5000))) == ()


def test_names_that_are_missing_are_blank():
    layer = receptors(("a", 0, 0))
    layer["name_en"] = None
    layer["code"] = np.nan
    [found] = receptors_near(at(0, 0), layer)
    assert (found.code, found.name_en) == ("", "")
