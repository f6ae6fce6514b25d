"""Ways along the water on a drawn river: distances a person can read off the sketch.

km   0         4        6        8         10
main o---------+--------=========+=========o  sea      --- not tidal   === tidal
               |                 |
tributary from (4, 5)            distributary to (8, -4), tidal
"""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, MultiLineString, Point, Polygon, box

from geo import waterways
from geo.waterways import METRIC, network, to_intakes

X0, Y0 = 600_000, 2_300_000


def km(*points):
    return [(X0 + 1000 * x, Y0 + 1000 * y) for x, y in points]


def lines(*rows):
    """(tidal, points in km ...) each."""
    return gpd.GeoDataFrame(
        {"tidal": [r[0] for r in rows]}, geometry=[LineString(km(*r[1:])) for r in rows], crs=METRIC
    )


RIVER = lines(
    (False, (0, 0), (6, 0)),
    (True, (6, 0), (10, 0)),
    (False, (4, 5), (4, 0)),
    (True, (8, 0), (8, -4)),
)


def spot(x, y=0.0):
    return gpd.GeoSeries([Point(km((x, y))[0])], crs=METRIC)


def intake(*spots):
    names = [f"I{i}" for i in range(len(spots))]
    return gpd.GeoDataFrame({"code": names}, geometry=[Point(km(s)[0]) for s in spots], crs=METRIC)


def way(place, target, river=RIVER, **more):
    [found] = to_intakes(place, network(river), intake(target), **more)
    return found.way, None if found.along_m is None else round(found.along_m, 3)


@pytest.mark.parametrize(
    ("place", "target", "expect"),
    [
        ((8.5, 0), (9, 0), ("downstream", 500)),
        ((8.5, 0), (7, 0), ("tidal", 1500)),  # the flood carries it up
        ((9, 0), (6.5, 0), ("tidal", 2500)),
        ((6.5, 0), (9, 0), ("downstream", 2500)),
        ((8.5, 0), (8, -1), ("tidal", 1500)),  # up to the fork, then down the other arm
        ((8, -1), (8.5, 0), ("tidal", 1500)),  # and back by the other tide
        ((8.5, 0), (5, 0), ("not_reached", None)),  # above the end of the tide
        ((5, 0), (8.5, 0), ("downstream", 3500)),
        ((4, 2), (9, 0), ("downstream", 7000)),
        ((2, 0), (4, 2), ("not_reached", None)),  # down the main river, not up the tributary
        ((2, 0), (4, 0), ("downstream", 2000)),  # an intake right at the confluence
        ((4, 0), (6, 0), ("downstream", 2000)),  # a place right at the confluence
        ((3, 0), (3, 0), ("downstream", 0)),
        ((3, 0), (2.9, 0), ("not_reached", None)),
    ],
)
def test_the_sketch(place, target, expect):
    assert way(spot(*place), target) == expect


def test_without_any_tide_nothing_goes_up():
    still = RIVER.assign(tidal=False)
    assert way(spot(8.5), (7, 0), still) == ("not_reached", None)
    assert way(spot(8.5), (9, 0), still) == ("downstream", 500)


def test_a_tide_that_nobody_stated_is_only_perhaps():
    unsaid = RIVER.drop(columns="tidal")
    [found] = to_intakes(spot(8.5), network(unsaid), intake((7, 0)))
    assert (found.way, found.along_m, round(found.perhaps_m, 3)) == ("perhaps_tidal", None, 1500)
    some = RIVER.assign(tidal=[None, np.nan, False, True])
    [found] = to_intakes(spot(8.5), network(some), intake((7, 0)))
    assert found.way == "perhaps_tidal"


def test_a_sure_way_and_a_shorter_one_perhaps():
    """Down a long loop it surely comes there; straight up it would be nearer, if that reach is tidal."""
    loop = lines((None, (0, 0), (2, 0)), (False, (2, 0), (2, 3), (0, 3), (0, 0)))
    [found] = to_intakes(spot(1.5), network(loop), intake((0.5, 0)))
    assert (found.way, found.along_m, found.perhaps_m) == ("downstream", 500 + 8000 + 500, 1000)


def test_the_line_on_the_map_is_as_long_as_the_way():
    [found] = to_intakes(spot(8.5), network(RIVER), intake((8, -1)))
    assert shapely.get_coordinates(found.path).tolist()[0] == list(km((8.5, 0))[0])
    assert found.path.length == pytest.approx(found.along_m)
    assert shapely.Point(km((8, 0))[0]).distance(found.path) < 1e-6


def test_straight_line_and_order():
    found = to_intakes(spot(8.5, 0.1), network(RIVER), intake((7, 0), (9, 0), (5, 0)))
    assert [n.code for n in found] == ["I1", "I0", "I2"]
    assert found[0].straight_m == pytest.approx((500**2 + 100**2) ** 0.5)


# --- how lines become a network ---


def test_crossing_lines_are_cut_and_joined():
    cross = network(lines((False, (0, 0), (2, 0)), (False, (1, 1), (1, -1))))
    assert (len(cross.edges), cross.nodes) == (4, 5)
    assert sorted(cross.lengths) == [1000] * 4
    assert way(spot(0.5), (1, -0.5), lines((False, (0, 0), (2, 0)), (False, (1, 1), (1, -1)))) == ("downstream", 1000)


def test_a_gap_within_the_snap_is_closed_and_a_wider_one_is_not():
    def gap(m):
        return lines((False, (0, 0), (1, 0)), (False, (1 + m / 1000, 0), (2, 0)))

    assert way(spot(0.5), (1.5, 0), gap(15)) == ("downstream", 985)  # the gap itself is not counted
    assert way(spot(0.5), (1.5, 0), gap(25)) == ("not_reached", None)


def test_an_end_beside_a_line_joins_it():
    t = lines((False, (0, 0), (2, 0)), (False, (1, 1), (1, 0.015)))
    assert way(spot(1, 0.5), (1.5, 0), t) == ("downstream", 485 + 500)


def test_parts_of_a_multiline_and_what_is_passed_over():
    mixed = gpd.GeoDataFrame(
        {"tidal": [True, None, None, None, None]},
        geometry=[
            MultiLineString([km((0, 0), (1, 0)), km((1, 0), (2, 0))]),
            Point(km((5, 5))[0]),
            Polygon(km((0, 1), (1, 1), (1, 2))),
            None,
            LineString(),
        ],
        crs=METRIC,
    )
    net = network(mixed)
    assert (len(net.edges), net.passed_over) == (2, 4)
    assert way(spot(1.5), (0.5, 0), mixed) == ("tidal", 1000)


def test_where_there_are_only_label_points_nothing_is_known_but_the_straight_line():
    labels = gpd.GeoDataFrame({"name_vi": ["Sông Rế"]}, geometry=[Point(km((1, 1))[0])], crs=METRIC)
    assert network(labels) is network(labels.iloc[:0]) is network(None) is None
    [found] = to_intakes(spot(0), network(labels), intake((3, 4)))
    assert (found.way, found.along_m, found.perhaps_m, found.path) == ("not_known", None, None, None)
    assert found.straight_m == pytest.approx(5000)


def test_a_place_or_an_intake_away_from_the_water_is_not_known():
    assert way(spot(1, 0.25), (2, 0)) == ("downstream", 1000)
    assert way(spot(1, 0.26), (2, 0)) == ("not_known", None)
    assert way(spot(1), (2, 0.26)) == ("not_known", None)
    assert way(spot(1), (2, 0.26), join_m=300) == ("downstream", 1000)


def test_no_intakes_is_not_known():
    assert to_intakes(spot(1), network(RIVER), None) is None
    assert to_intakes(spot(1), network(RIVER), intake()) is None


def test_an_area_reaches_from_its_edges():
    area = gpd.GeoSeries([box(*km((7, -0.5))[0], *km((7.5, 0.5))[0])], crs=METRIC)
    assert way(area, (9, 0)) == ("downstream", 1500)
    assert way(area, (6.5, 0)) == ("tidal", 500)
    assert way(area, (7.2, 0)) == ("downstream", 0)
    fork = gpd.GeoSeries([box(*km((7.5, -0.5))[0], *km((8.5, 0.5))[0])], crs=METRIC)
    assert way(fork, (8, -1)) == ("downstream", 500)


def test_degrees_give_the_same_ways():
    net = network(RIVER.to_crs(4326))
    [found] = to_intakes(spot(8.5).to_crs(4326), net, intake((7, 0)).to_crs(4326))
    assert (found.way, found.along_m) == ("tidal", pytest.approx(1500, abs=0.01))


def test_what_is_refused():
    bare = gpd.GeoSeries([Point(0, 0)])
    with pytest.raises(ValueError, match="no CRS"):
        network(RIVER.set_crs(None, allow_override=True))
    with pytest.raises(ValueError, match="no CRS on the place"):
        to_intakes(bare, None, intake((0, 0)))
    with pytest.raises(ValueError, match="no CRS on the intakes"):
        to_intakes(spot(0), None, intake((0, 0)).set_crs(None, allow_override=True))
    with pytest.raises(ValueError, match="not drawn"):
        to_intakes(gpd.GeoSeries([None], crs=METRIC), None, intake((0, 0)))


# --- properties, on ladders of random rungs ---

points_on = st.tuples(st.sampled_from([0, 1, 2]), st.floats(0.05, 9.95))
ladders = st.tuples(
    st.lists(st.sampled_from([True, False, None]), min_size=5, max_size=5),
    st.lists(st.booleans(), min_size=5, max_size=5),
)


def ladder(tides, turned):
    """Three rivers 1 km apart and two canals across, each drawn either way."""
    rows = [((0, y), (10, y)) for y in (0, 1, 2)] + [((x, 0), (x, 2)) for x in (3, 7)]
    return lines(*((t, *(r[::-1] if back else r)) for t, back, r in zip(tides, turned, rows, strict=True)))


@settings(max_examples=30)
@given(ladders, points_on, points_on)
def test_no_way_is_shorter_than_the_straight_line_and_more_tide_never_takes_it_away(rivers, here, there):
    place, target = spot(here[1], here[0]), (there[1], there[0])
    [found] = to_intakes(place, network(ladder(*rivers)), intake(target))
    all_tidal = ladder([True] * 5, rivers[1])
    [free] = to_intakes(place, network(all_tidal), intake(target))
    for distance in (found.along_m, found.perhaps_m):
        if distance is not None:
            assert distance >= found.straight_m - 1e-3
            assert distance >= free.along_m - 1e-3
    if found.path is not None:
        told = found.perhaps_m if found.along_m is None else found.along_m
        assert found.path.length == pytest.approx(told, abs=1e-3)
    assert found.way == "downstream" or free.way in waterways.WAYS[:2]


@settings(max_examples=30)
@given(ladders, points_on, points_on)
def test_where_all_is_tidal_the_way_back_is_as_long(rivers, here, there):
    net = network(ladder([True] * 5, rivers[1]))
    [out] = to_intakes(spot(here[1], here[0]), net, intake((there[1], there[0])))
    [back] = to_intakes(spot(there[1], there[0]), net, intake((here[1], here[0])))
    assert out.along_m == pytest.approx(back.along_m, abs=1e-3)


ALL_TIDAL = network(ladder([True] * 5, [False] * 5))


@given(points_on, points_on)
def test_all_tidal_ladder_agrees_with_a_grid_count(here, there):
    """A second way: on the ladder the shortest way runs along x, and by a rung where the rivers differ."""
    [found] = to_intakes(spot(here[1], here[0]), ALL_TIDAL, intake((there[1], there[0])))
    (y1, x1), (y2, x2) = here, there
    expect = abs(x1 - x2) if y1 == y2 else min(abs(x1 - r) + abs(y1 - y2) + abs(r - x2) for r in (3, 7))
    assert found.along_m == pytest.approx(1000 * expect, abs=1e-3)
