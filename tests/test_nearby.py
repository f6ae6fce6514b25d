"""Near in space and time: checked against every pair by hand, whatever the order of the writes."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from shapely.geometry import LineString, Point, box

from server.nearby import Near, Places, Points, distance_m

NOON = datetime(2026, 11, 22, 5, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = 1 / 3600


def test_a_degree_of_latitude_and_longitude_have_their_published_lengths():
    """WGS 84 at 20°: 110,704 m and 104,647 m (published table of lengths of degrees)."""
    assert distance_m(106, 19.5, 106, 20.5) == pytest.approx(110_704, abs=2)
    assert distance_m(105.5, 20, 106.5, 20) == pytest.approx(104_647, abs=5)


def test_metres_agree_with_the_citys_own_grid():
    """VN-2000 105°45' (EPSG:9210): along the central meridian its lengths are 0.9999 of the true ones."""
    to_grid = Transformer.from_crs(4326, 9210, always_xy=True)
    (x0, y0), (x1, y1) = to_grid.transform(106.68, 20.86), to_grid.transform(106.69, 20.87)
    grid = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    assert distance_m(106.68, 20.86, 106.69, 20.87) == pytest.approx(grid, rel=2e-4)


def test_within_counts_the_edge_and_the_whole_third_day():
    points = Points()
    points.add("near", 106.68, 20.86 + 9 * SECOND, NOON)  # 277 m
    points.add("far", 106.68, 20.86 + 10 * SECOND, NOON)  # 308 m
    points.add("old", 106.68, 20.86, NOON - 3 * DAY)
    points.add("older", 106.68, 20.86, NOON - 3 * DAY - timedelta(seconds=1))
    found = points.within(106.68, 20.86, 300, since=NOON - 3 * DAY, until=NOON)
    assert found == [Near("old", 0, NOON - 3 * DAY), Near("near", 277, NOON)]
    assert {n.key for n in points.within(106.68, 20.86, 309)} == {"old", "older", "near", "far"}
    assert points.within(106.68, 20.86, 300, since=NOON, without={"near"}) == []


def test_of_equal_distance_the_newest_comes_first():
    points = Points()
    for hours in (3, 1, 2):
        points.add(hours, 106, 21, NOON - timedelta(hours=hours))
    assert [n.key for n in points.within(106, 21, 1)] == [1, 2, 3]


def test_the_same_point_twice_is_one():
    points = Points()
    points.add("a", 106, 21, NOON)
    points.add("a", 107, 22, NOON)
    assert len(points) == 1 and [n.key for n in points.within(106, 21, 1)] == ["a"]


coordinates = st.tuples(st.floats(106.6, 106.62), st.floats(20.8, 20.82))


@given(st.lists(st.tuples(coordinates, st.integers(0, 5)), max_size=30), coordinates, st.integers(1, 2000))
def test_the_tree_finds_what_looking_at_every_point_finds(items, here, metres):
    points = Points()
    for n, ((lon, lat), days) in enumerate(items):
        points.add(n, lon, lat, NOON - days * DAY)
    found = points.within(*here, metres, since=NOON - 3 * DAY)
    wanted = {
        n for n, ((lon, lat), days) in enumerate(items) if days <= 3 and distance_m(*here, lon, lat) <= metres
    }  # fmt: skip
    assert {n.key for n in found} == wanted
    assert [n.metres for n in found] == sorted(n.metres for n in found)


@given(st.floats(-89, 89), st.floats(-179, 179), st.floats(0, 359.9), st.floats(0.01, 0.999))
def test_the_box_never_loses_a_near_point(lat, lon, bearing, share):
    from server.nearby import _GEOD

    x, y, _ = _GEOD.fwd(lon, lat, bearing, 5000 * share)
    if abs(x - lon) < 1:  # not over the date line
        points = Points()
        points.add("p", x, y, NOON)
        assert points.within(lon, lat, 5000)


def test_many_threads_lose_no_point():
    points = Points()

    def write(start):
        for n in range(start, start + 50):
            points.add(n, 106 + n / 1e6, 21, NOON)
            points.within(106, 21, 100)

    threads = [threading.Thread(target=write, args=(s,)) for s in range(0, 200, 50)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {n.key for n in points.within(106, 21, 1000)} == set(range(200))


def test_places_are_near_by_their_nearest_edge():
    square = box(106.60, 20.80, 106.61, 20.81)
    places = Places(["inside", "line", "point", "none", "empty"],
                    [square, LineString([(106.62, 20.7), (106.62, 20.9)]), Point(106.605, 20.82), None, Point()])  # fmt: skip
    assert len(places) == 3
    found = places.within(106.605, 20.805, 2000)
    assert [n.key for n in found] == ["inside", "line", "point"]
    assert found[0].metres == 0
    assert found[1].metres == pytest.approx(distance_m(106.605, 20.805, 106.62, 20.805), abs=3)
    assert found[2].metres == pytest.approx(distance_m(106.605, 20.805, 106.605, 20.82), abs=3)
    assert [n.key for n in places.within(106.605, 20.805, 1000)] == ["inside"]


def test_no_places_are_near_nothing():
    assert Places([], []).within(106, 21, 1000) == []
