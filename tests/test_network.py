"""Distances along lines: by hand on one street, and against the long way round all corners."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.network import NetworkError, network, network_pairs

CRS = "EPSG:9210"


def lines(*coordinates, crs=CRS):
    return gpd.GeoSeries([shapely.LineString(c) for c in coordinates], crs=crs)


def places(xy, codes):
    return gpd.GeoSeries(gpd.points_from_xy(*np.array(xy, dtype=float).T), index=list(codes), crs=CRS)


def pairs(roads, facilities, demands, within, **options):
    table = network_pairs(roads, facilities, demands, within, **options)
    return {(f, d): m for f, d, m in table.itertuples(index=False)}


# An L: 100 m east, then 100 m north.
CORNER = network(lines([(0, 0), (100, 0), (100, 100)]))


def test_round_the_corner():
    """F stands 10 m beside the street at 50: 10 + 50 + 40 to a at (100, 40); b at its own piece: 10 + 20 + 5."""
    found = pairs(CORNER, places([(50, 10)], "F"), places([(100, 40), (30, -5)], "ab"), 500)
    assert found == {("F", "a"): pytest.approx(100), ("F", "b"): pytest.approx(35)}


def test_the_limit_cuts_and_far_places_are_left_out():
    facilities, demands = places([(0, 0)], "F"), places([(100, 0), (100, 1), (50, 300)], "abc")
    assert set(pairs(CORNER, facilities, demands, 100)) == {("F", "a")}
    assert set(pairs(CORNER, facilities, demands, 2000)) == {("F", "a"), ("F", "b"), ("F", "c")}
    assert set(pairs(CORNER, facilities, demands, 2000, most_off_m=50)) == {("F", "a"), ("F", "b")}


def test_crossing_lines_meet_only_if_asked():
    cross = lines([(0, 0), (100, 0)], [(50, -50), (50, 50)])
    facilities, demands = places([(0, 0)], "F"), places([(50, 50)], "a")
    assert pairs(network(cross), facilities, demands, 1000) == {}
    assert pairs(network(cross, crossings=True), facilities, demands, 1000) == {("F", "a"): pytest.approx(100)}


def test_the_shorter_of_two_ways():
    """A square of 100 m: from (0, 0) to (100, 60) it is 160 by the south, 240 by the north."""
    ring = network(lines([(0, 0), (100, 0), (100, 100), (0, 100), (0, 0)]))
    assert pairs(ring, places([(0, 0)], "F"), places([(100, 60)], "a"), 1000) == {("F", "a"): pytest.approx(160)}


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_against_all_ways(seed):
    """On a grid of streets with some missing: Floyd and Warshall over the corners, places on corners."""
    rng = np.random.default_rng(seed)
    size = 4
    xy = [(100 * c, 100 * r) for r in range(size) for c in range(size)]
    streets = [(a, b) for a in range(16) for b in range(a) if np.hypot(*np.subtract(xy[a], xy[b])) == 100]
    streets = [s for s in streets if rng.random() < 0.6] or streets[:1]
    far = np.full((16, 16), np.inf)
    np.fill_diagonal(far, 0)
    for a, b in streets:
        far[a, b] = far[b, a] = 100
    for k in range(16):
        far = np.minimum(far, far[:, [k]] + far[[k]])
    there = sorted({p for s in streets for p in s})
    roads = network(lines(*[(xy[a], xy[b]) for a, b in streets]))
    points = places([xy[p] for p in there], [str(p) for p in there])
    found = pairs(roads, points, points, 450)
    wanted = {(str(a), str(b)): far[a, b] for a in there for b in there if far[a, b] <= 450}
    assert found == pytest.approx(wanted)


def test_progress_and_ending_early():
    seen = []
    facilities = places([(0, 0), (50, 0), (100, 0)], "FGH")
    network_pairs(CORNER, facilities, facilities, 500, progress=seen.append)
    assert seen == pytest.approx([1 / 3, 2 / 3, 1])
    assert set(network_pairs(CORNER, facilities, facilities, 500, stop=lambda: True)["facility"]) == set()


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (lines([(0, 0), (1, 0)], crs="EPSG:4326"), "CRS in metres"),
        (lines([(0, 0), (1, 0)], crs=None), "CRS in metres"),
        (lines(), "must be lines"),
        (gpd.GeoSeries([shapely.Point(0, 0)], crs=CRS), "must be lines"),
    ],
)
def test_what_is_no_network_is_refused(shapes, words):
    with pytest.raises(NetworkError, match=words):
        network(shapes)


def test_another_crs_is_refused():
    with pytest.raises(NetworkError, match="different CRSs"):
        network_pairs(CORNER, places([(0, 0)], "F").to_crs(4326), places([(0, 0)], "a"), 10)
