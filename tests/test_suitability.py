"""Suitability: grids one can check in the head, distances against every pair, strips that must not be seen, rankings."""

import tracemalloc
from datetime import date
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
from rasterio.io import MemoryFile

from geo.candidates import Candidates, best_places
from geo.distances import land_need, read_table, safe_distance
from geo.explanation import explain, explain_all
from geo.grids import Grid, GridError, Slope, grid_of, read_rows, resampled, squares_where, study_grid
from geo.locations import case
from geo.nearness import Features, along_rows, along_rows_within
from geo.population import Surface
from geo.robustness import monte_carlo, one_at_a_time, ranks, turning_points
from geo.siting import cover
from geo.studies import Criterion, Curve, Far, Limit, Near, Study, StudyError
from geo.suitability import Cancelled, strips, suitability

CRS = "EPSG:9210"
NEAR_IS_GOOD = Curve(((0, 1.0), (100, 0.0)))


def layer(*shapes, crs=CRS):
    return gpd.GeoSeries(list(shapes), crs=crs)


def square(west, south, east, north):
    return shapely.box(west, south, east, north)


def raster(values, cell=10.0, north=None, west=0.0, nodata=np.nan):
    values = np.asarray(values, dtype=float)
    north = len(values) * cell if north is None else north
    return Surface(values, Affine(cell, 0, west, 0, -cell, north), rasterio.CRS.from_user_input(CRS), nodata)


AREA = layer(square(0, 0, 100, 50))
GRID = study_grid(AREA, 10)  # 5 rows, 10 columns


def study(rules=(), criteria=None, grid=GRID, area=AREA, **more):
    criteria = (
        (Criterion("road", layer(shapely.LineString([(5, -5), (5, 60)])), NEAR_IS_GOOD),)
        if criteria is None
        else criteria
    )
    return Study(grid, area, tuple(rules), tuple(criteria), **more)


# --- in the head


def test_a_road_at_the_western_edge():
    """The middle of column k is 10 k m from the road at x = 5: value 1 - k / 10."""
    result = suitability(study())
    assert result.score == pytest.approx(np.tile(1 - np.arange(10) / 10, (5, 1)), abs=1e-6)
    assert not result.reasons.any()


def test_houses_keep_their_distance_exactly():
    """A house from x = 0 to 10. Middles are 5, 15, 25 ... from 0: 0, 5, 15, 25 m from the house. The minimum of 25 m is
    met at 25 m; at 25.1 m it is not."""
    house = layer(square(0, 0, 10, 50))
    met = suitability(study([Near("houses", house, 25.0)]))
    assert met.reasons[0].tolist() == [4, 4, 4, 0, 0, 0, 0, 0, 0, 0]
    more = suitability(study([Near("houses", house, 25.1)]))
    assert more.reasons[0].tolist() == [4, 4, 4, 4, 0, 0, 0, 0, 0, 0]
    assert np.isnan(more.score[0, :4]).all() and not np.isnan(more.score[0, 4:]).any()


def test_touching_is_excluded_without_a_distance():
    """Water from 0 to 17: the middles 5 and 15 are in it, 25 is not."""
    result = suitability(study([Near("water", layer(square(0, 0, 17, 50)))]))
    assert result.reasons[0].tolist() == [4, 4, 0, 0, 0, 0, 0, 0, 0, 0]


def test_the_plot_needs_room():
    """With a plot of 20 m radius, a middle must be 20 m from the water and 45 m from the house that asks for 25."""
    water, house = layer(square(0, 0, 10, 50)), layer(square(90, 0, 100, 50))
    result = suitability(study([Near("water", water), Near("houses", house, 25)], plot_radius_m=20))
    assert result.reasons[2].tolist() == [4, 4, 4, 0, 0, 8, 8, 8, 8, 8]


def test_far_from_the_receiving_water():
    """Middles of columns 0 to 3 are 5, 15, 25, 35 m from the shore at x = 0; 25 m is still near enough."""
    result = suitability(study([Far("receiving", layer(square(-50, 0, 0, 50)), 25)]))
    assert result.reasons[0].tolist() == [0, 0, 0, 4, 4, 4, 4, 4, 4, 4]


def test_limits_of_rasters_and_what_is_unknown():
    values = np.tile([0.0, 1, 2, 3, 4, np.nan, 4, 3, 2, 1], (5, 1))
    result = suitability(study([Limit("flood", raster(values), at_least=2), Limit("slope", raster(values), at_most=3)]))
    assert result.reasons[0].tolist() == [4, 4, 0, 0, 8, 2, 8, 0, 0, 4]
    assert np.isnan(result.score[0, 5])


def test_every_reason_is_kept():
    everywhere = [Near("water", layer(square(0, 0, 100, 50))), Far("intake", layer(shapely.Point(5e5, 5e5)), 10)]
    asked = study(everywhere)
    assert asked.reasons(suitability(asked).reasons[0, 0]) == ("water", "intake")
    assert asked.bit("intake") == 8


def test_outside_the_city_there_is_no_score():
    triangle = layer(shapely.Polygon([(0, 0), (100, 0), (0, 50)]))
    result = suitability(study(area=triangle, grid=GRID))
    inside = [[shapely.Point(*GRID.centre(r, c)).within(triangle[0]) for c in range(10)] for r in range(5)]
    assert (result.reasons == np.where(inside, 0, 1)).all()
    assert (np.isnan(result.score) == ~np.array(inside)).all()


def test_weights_are_shares():
    """Rasters of 1 and 0 with weights 3 and 1: 0.75."""
    up = Curve(((0, 0.0), (1, 1.0)))
    ones, zeros = raster(np.ones((5, 10))), raster(np.zeros((5, 10)))
    result = suitability(study(criteria=[Criterion("a", ones, up, 3), Criterion("b", zeros, up, 1)]))
    assert result.score == pytest.approx(0.75)


def test_hectares_by_reason():
    result = suitability(study([Near("water", layer(square(0, 0, 17, 50)))]))
    assert result.excluded_ha().to_dict() == pytest.approx({"unknown": 0, "water": 0.1, "free": 0.4})


def test_declared_nodata_is_unknown():
    result = suitability(study(criteria=[Criterion("a", raster(np.full((5, 10), -9.0), nodata=-9), NEAR_IS_GOOD)]))
    assert (result.reasons == 2).all() and np.isnan(result.score).all()


# --- distances against every pair


@given(st.data())
def test_the_transform_against_every_pair(data):
    rows, columns = data.draw(st.tuples(st.integers(1, 7), st.integers(1, 12)))
    touched = np.array(data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns)))
    touched = touched.reshape(rows, columns)
    y, x = np.indices(touched.shape)
    at = np.argwhere(touched)
    g = np.full(touched.shape, np.inf)
    for r, c in at:
        g[:, c] = np.minimum(g[:, c], (np.arange(rows) - r) ** 2.0)
    wanted = np.full(touched.shape, np.inf)
    for r, c in at:
        wanted = np.minimum(wanted, (y - r) ** 2.0 + (x - c) ** 2.0)
    assert along_rows(g).tolist() == wanted.tolist()
    off = np.where(np.isinf(g), 10**6, np.sqrt(np.where(np.isinf(g), 0, g))).astype(np.int32)
    for most in (3, 255):
        assert along_rows_within(off, most).tolist() == np.where(wanted > most**2, np.inf, wanted).tolist()


shapes_ = st.lists(
    st.builds(
        lambda x, y, size, kind: {
            0: shapely.Point(x, y),
            1: shapely.LineString([(x, y), (x + size, y - size / 2), (x + 2 * size, y + size)]),
            2: shapely.box(x, y, x + size, y + size / 2),
            3: shapely.Point(x, y).buffer(size),
            4: shapely.MultiPolygon([shapely.box(x, y, x + 3, y + 3), shapely.box(x + 9, y, x + 14, y + 2)]),
        }[kind],
        *(st.floats(-60, 160), st.floats(-60, 120), st.floats(1, 40), st.integers(0, 4)),
    ),
    max_size=5,
)


@settings(max_examples=60)
@given(
    shapes=shapes_,
    within=st.sampled_from([0.0, 7.0, 33.3, 80.0]),
    radius=st.sampled_from([0.0, 4.0]),
    height=st.integers(1, 6),
)
def test_rules_are_exact_and_strips_are_not_seen(shapes, within, radius, height):
    """Also features beyond the border of the grid count. Exact: against shapely's distance of every cell."""
    asked = study([Near("near", layer(*shapes), within), Far("far", layer(*shapes), within)], plot_radius_m=radius)
    got = np.vstack([s.reasons for s in strips(asked, height=height)])
    row, column = np.indices((5, 10))
    points = shapely.points(*GRID.centre(row, column))
    away = np.min([shapely.distance(points, s) for s in shapes], axis=0) if shapes else np.full((5, 10), np.inf)
    assert ((got & 4 > 0) == ((away < within + radius) | (away == 0))).all()
    assert ((got & 8 > 0) == (away > within)).all()


@settings(max_examples=40)
@given(shapes=shapes_.filter(len), height=st.integers(1, 6), most=st.sampled_from([20.0, 1000.0]))
def test_distances_of_cells_are_right_to_half_a_diagonal(shapes, height, most):
    cuts = GRID.strips(height)
    features = Features(layer(*shapes), GRID, cuts, most)
    above, below = features.sweep()
    got = []
    for first, last in cuts:
        part, above = features.strip_distances(first, last, above, below[first])
        got.append(part)
    row, column = np.indices((5, 10))
    points = shapely.points(*GRID.centre(row, column))
    away = np.min([shapely.distance(points, s) for s in shapes], axis=0)
    got = np.vstack(got)
    told = away <= most - 8
    assert (np.abs(got - away)[told] <= 10 * np.sqrt(0.5) + 1e-6).all()
    assert (got[~told] >= most - 8 - 7.1).all()
    assert features.distance(*GRID.centre(row.ravel(), column.ravel())) == pytest.approx(away.ravel())


def test_long_distances_both_ways():
    """600 columns: nearest at 255 and beyond, where the numbers of 16 bits end."""
    off = np.full((3, 600), 10**6, dtype=np.int32)
    off[0, 10], off[1, 10], off[2, [0, 599]] = 0, 200, 255
    wanted = along_rows(np.where(off > 255, np.inf, off) ** 2.0)
    wanted = np.where(wanted > 255**2, np.inf, wanted)
    assert along_rows_within(off, 255).tolist() == wanted.tolist()
    assert np.isfinite(wanted).sum(axis=1).tolist() == [266, 169, 2]  # 10 + 1 + 255; 158² + 200² <= 255² < 159² + 200²


def test_a_long_outline_is_cut_into_pieces():
    circle = shapely.Point(50, 25).buffer(20, quad_segs=200)
    features = Features(layer(circle), GRID, [(0, 5)], 100)
    assert len(features.pieces.geometries) > 20
    assert features.distance([50, 95], [25, 25]) == pytest.approx([0, 25], abs=1e-3)
    hole = shapely.Polygon(square(0, 0, 100, 50).exterior, [square(20, 20, 40, 40).exterior.coords])
    assert Features(layer(hole), GRID, [(0, 5)], 100).distance([30], [30]) == pytest.approx([10])


# --- why here, why not here


def test_why_not_here():
    rules = [
        Near("water", layer(square(0, 0, 17, 50))),
        Near("houses", layer(square(60, 0, 70, 50)), 25, source="2021-2.22-15"),
        Limit("flood", raster(np.full((5, 10), 1.2)), at_least=2.0),
    ]
    found = explain(study(rules, plot_radius_m=5), 42.0, 25.0)
    assert [(r.code, r.broken) for r in found.reasons] == [("houses", True), ("flood", True), ("water", False)]
    houses, flood, water = found.reasons
    assert (houses.measured, houses.limit, houses.by, houses.source) == (13, 25, 12, "2021-2.22-15")
    assert (flood.measured, flood.limit) == (1.2, 2.0)
    assert flood.by == pytest.approx(0.8)
    assert (water.measured, water.by) == (20, 0)
    assert found.excluded and np.isnan(found.score)
    assert found.parts[0].measured == 37  # from the road at x = 5


def test_why_here():
    found = explain(study(), 55.0, 25.0)
    assert (found.excluded, found.inside) == (False, True)
    assert found.score == pytest.approx(0.5)
    assert (found.parts[0].value, found.parts[0].weight) == (pytest.approx(0.5), 1)


def test_outside_and_unknown_are_told():
    unknown = raster(np.full((5, 10), np.nan))
    found = explain(study([Limit("flood", unknown, at_least=2)]), 5, 5)
    assert (found.reasons[0].broken, found.excluded) == (None, False)
    assert np.isnan(found.score)
    assert explain(study(), -500, 5).excluded
    beyond = explain(study([Limit("flood", raster(np.ones((5, 10))), at_least=2)]), -500, 5)
    assert beyond.reasons[0].broken is None


@settings(max_examples=25)
@given(shapes=shapes_, within=st.sampled_from([0.0, 7.0, 33.3]))
def test_the_map_and_the_explanation_agree(shapes, within):
    asked = study([Near("near", layer(*shapes), within), Far("far", layer(*shapes), 40)], plot_radius_m=3)
    result = suitability(asked)
    row, column = (a.ravel() for a in np.indices((5, 10)))
    for found, r, c in zip(explain_all(asked, *GRID.centre(row, column)), row, column, strict=True):
        codes = tuple(sorted(reason.code for reason in found.reasons if reason.broken))
        assert codes == tuple(sorted(asked.reasons(result.reasons[r, c])))
        assert np.isnan(found.score) == np.isnan(result.score[r, c])
        if codes == ():
            assert found.score == pytest.approx(float(result.score[r, c]), abs=0.08)  # 7.1 m of 100


# --- rasters on the grid


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (raster(np.ones((5, 10)), cell=20), "5 x 10 cells of 20 m"),
        (raster(np.ones((5, 10)), west=3), "from 3, 50"),
        (raster(np.ones((6, 10))), "6 x 10 cells"),
    ],
)
def test_rasters_on_another_grid_are_refused_by_name(other, words):
    for asked in (study([Limit("flood", other)]), study(criteria=[Criterion("flood", other, NEAR_IS_GOOD)])):
        with pytest.raises(GridError, match="'flood' has another grid") as told:
            next(strips(asked))
        assert words in str(told.value) and str(GRID) in str(told.value)
        assert "flood" in told.value.vi


def test_layers_without_crs_are_refused_and_others_reprojected():
    with pytest.raises(GridError, match="'houses' has no CRS"):
        suitability(study([Near("houses", gpd.GeoSeries([shapely.Point(0, 0)]), 5)]))
    house = layer(square(0, 0, 10, 50))
    same = suitability(study([Near("houses", house.to_crs(4326), 25.5)]))
    assert (same.reasons == suitability(study([Near("houses", house, 25.5)])).reasons).all()


def test_an_open_dataset_is_read_in_windows_and_resampled():
    profile = {"driver": "GTiff", "count": 1, "dtype": "int16", "nodata": -1, "crs": CRS}
    values = np.arange(50).reshape(5, 10)
    values[0, 0] = -1
    with MemoryFile() as memory:
        with memory.open(height=5, width=10, transform=GRID.transform, **profile) as out:
            out.write(values.astype("int16"), 1)
        with memory.open() as source:
            assert read_rows(source, 3, 5).tolist() == values[3:5].tolist()
            assert np.isnan(read_rows(source, 0, 1)[0, 0])
            result = suitability(study([Limit("flood", source, at_least=10)]))
            assert result.reasons[:, 5].tolist() == [4, 0, 0, 0, 0]
            assert result.reasons[0, 0] == 2
            fine = study_grid(AREA, 5)
            with pytest.raises(GridError):
                suitability(study([Limit("flood", source)], grid=fine))
            with resampled(source, fine, method="nearest") as laid:
                assert grid_of(laid) == fine
                assert read_rows(laid, 8, 9)[0, 4:8].tolist() == [42, 42, 43, 43]


def test_slope_of_a_plane_is_its_gradient():
    """z = 0.3 x + 0.4 y: 50 %; unknown at the border, where neighbours are missing."""
    row, column = np.indices((5, 10))
    x, y = GRID.centre(row, column)
    slope = Slope(raster(0.3 * x + 0.4 * y))
    whole = np.vstack([read_rows(slope, a, b) for a, b in GRID.strips(2)])
    assert whole[1:-1, 1:-1] == pytest.approx(50)
    assert np.isnan(whole[0]).all() and np.isnan(whole[:, -1]).all()
    limited = suitability(study([Limit("slope", slope, at_most=15)]))
    assert limited.reasons[2, 5] == 4 and limited.reasons[0, 0] == 2


def test_inhabited_cells_as_shapes():
    people = np.zeros((5, 10))
    people[2, 3:5], people[0, 0], people[4, 9] = 7, np.nan, 0.4
    houses = squares_where(raster(people), lambda heads: heads >= 1)
    assert [h.bounds for h in houses] == [(30, 20, 50, 30)]
    result = suitability(study([Near("houses", houses, 10)]))
    assert result.reasons[2].tolist() == [0, 0, 4, 4, 4, 4, 0, 0, 0, 0]


def test_grid_lines_are_multiples_and_nothing_impossible_is_made():
    grid = study_grid(layer(square(3, 7, 96, 44)), 10)
    assert (grid.bounds, grid.rows, grid.columns) == ((0, 0, 100, 50), 5, 10)
    assert (grid.cell(99.9, 0.1), grid.cell(100, 5), grid.cell(5, 50.1)) == ((4, 9), None, None)
    for area, options, words in [
        (AREA, {"resolution_m": 0}, "above 0"),
        (AREA, {"resolution_m": 10, "crs": "EPSG:4326"}, "not in metres"),
        (AREA, {"resolution_m": 0.001}, "at most 200,000,000"),
        (layer(), {"resolution_m": 10}, "empty"),
        (gpd.GeoSeries([square(0, 0, 1, 1)]), {"resolution_m": 10}, "no CRS"),
    ]:
        with pytest.raises(GridError, match=words):
            study_grid(area, **options)


# --- studies that make no sense


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (lambda: study(criteria=[]), "criteria with weights"),
        (lambda: study(criteria=[Criterion("a", AREA, NEAR_IS_GOOD, 0)]), "not all 0"),
        (lambda: study(criteria=[Criterion("a", AREA, NEAR_IS_GOOD, -1)]), "criteria with weights"),
        (lambda: study([Near("a", AREA), Near("a", AREA)]), "used twice"),
        (lambda: study([Near("outside", AREA)]), "used twice"),
        (lambda: study([Near("a", AREA, -1)]), "a: the distance"),
        (lambda: study([Far("a", AREA, np.inf)]), "a: the distance"),
        (lambda: study([Near(f"r{k}", AREA) for k in range(30)]), "At most 29 rules"),
        (lambda: study(plot_radius_m=-1), "radius"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(asked, words):
    with pytest.raises(StudyError, match=words) as told:
        next(strips(asked()))
    assert told.value.vi


@pytest.mark.parametrize(
    "points", [((0, 1),), ((0, 1), (0, 0)), ((5, 1), (0, 0)), ((0, 2), (1, 0)), ((0, np.nan), (1, 0))]
)
def test_curves_that_are_none_are_refused(points):
    with pytest.raises(StudyError):
        Curve(points)


def test_unknown_stays_unknown_on_a_curve():
    assert np.isnan(NEAR_IS_GOOD([np.nan])[0])


# --- large work


def test_progress_rises_and_cancelling_ends_it():
    seen = []
    list(strips(study([Near("water", AREA, 5)]), height=1, progress=seen.append))
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) > 10
    calls = iter(range(100))
    with pytest.raises(Cancelled):
        list(strips(study([Near("water", AREA, 5)]), height=1, stop=lambda: next(calls) > 3))


def test_memory_does_not_grow_with_the_rows():
    def peak(rows):
        area = layer(square(0, 0, 3000, 10 * rows))
        grid = study_grid(area, 10)
        lake = layer(*[square(1000, y, 1300, y + 90) for y in range(0, 10 * rows, 1000)])
        asked = Study(grid, area, (Near("water", lake, 250),), (Criterion("water2", lake, NEAR_IS_GOOD),))
        tracemalloc.start()
        for _ in strips(asked, height=50):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(2000) < 1.3 * peak(500)


def test_more_cells_than_memory_are_refused_in_one_piece():
    grid = Grid(Affine(1, 0, 0, 0, -1, 0), 6000, 6000, GRID.crs)
    with pytest.raises(StudyError, match="do not fit in memory"):
        suitability(study(grid=grid))


# --- the best places


def test_best_places_keep_apart():
    """Scores fall from west to east: the best are in column 0, each 20 m from the one before."""
    result = suitability(study())
    found = best_places(result, 3, 20)
    assert found[["row", "column"]].to_numpy().tolist() == [[0, 0], [2, 0], [4, 0]]
    assert found["score"].tolist() == [1, 1, 1]
    assert found.geometry.iloc[0].coords[0] == (5, 45)
    assert found.crs.to_epsg() == 9210


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), apart=st.sampled_from([10, 25, 60]), height=st.integers(1, 5))
def test_best_places_of_any_scores(seed, apart, height):
    rng = np.random.default_rng(seed)
    score = rng.random((5, 10)).astype(np.float32)
    score[rng.random((5, 10)) < 0.3] = np.nan
    by_strip = Candidates(GRID, apart)
    for first, last in GRID.strips(height):
        by_strip.take(first, score[first:last])
    found = by_strip.places(6)
    whole = Candidates(GRID, apart)
    whole.take(0, score)
    pd.testing.assert_frame_equal(pd.DataFrame(found), pd.DataFrame(whole.places(6)))
    assert found["score"].is_monotonic_decreasing
    xy = shapely.get_coordinates(found.geometry.values)
    assert all(np.hypot(*(a - b)) >= apart for k, a in enumerate(xy) for b in xy[:k])
    assert not np.isnan(score[found["row"], found["column"]]).any()
    if len(found):
        assert found["score"].iloc[0] == pytest.approx(np.nanmax(score))


def test_nowhere_to_stand_gives_no_places():
    result = suitability(study([Near("water", AREA)]))
    assert len(best_places(result, 3, 20)) == 0


def test_from_the_law_to_the_plan():
    """A town of 2 x 2 km with a river, a park and houses: the law's ring decides where a plant of 20,000 m³/day may stand,
    and what is chosen never stands in the river, in the park, in the ring or outside."""
    town = layer(shapely.Point(1000, 1000).buffer(1000))
    river = layer(shapely.LineString([(0, 300), (2000, 900)]).buffer(40))
    park, houses = (
        layer(square(1400, 1200, 1700, 1500)),
        layer(square(600, 1300, 900, 1500), square(900, 100, 1100, 200)),
    )
    table = read_table(Path(__file__).resolve().parents[1] / "layers" / "standards" / "safe_distances.csv")
    kind, day = "mechanical, physico-chemical and biological treatment", date(2026, 11, 22)
    land = land_need(table, day, "wastewater treatment plant", 20_000)
    radius = float(np.sqrt(land.plot_ha * 10_000 / np.pi))
    free = {}
    for enclosed in (False, True):
        ring = safe_distance(table, day, kind, capacity=20_000, enclosed=enclosed)
        rules = [Near("river", river), Near("park", park), Near("houses", houses, ring.distance_m, source=ring.rows[0])]
        near_river = Criterion("river_far", river, Curve(((0, 1.0), (800, 0.0))))
        asked = study(
            [*rules, Far("receiving", river, 700)], [near_river], study_grid(town, 20), town, plot_radius_m=radius
        )
        result = suitability(asked)
        free[enclosed] = result.excluded_ha()["free"]
        sites = best_places(result, 12, 200)
        assert len(sites) > 3
        for point in sites.geometry:
            assert town[0].contains(point)
            assert min(point.distance(river[0]), point.distance(park[0])) >= radius
            assert houses.distance(point).min() >= ring.distance_m + radius
        sites = sites.set_index(sites.index.map("site {}".format))
        demand = gpd.GeoDataFrame(
            {"m3_day": [9000.0, 7000.0]}, index=["north", "south"], geometry=houses.centroid.values, crs=CRS
        )
        sizes = pd.DataFrame({"capacity_m3_day": [20_000.0], "cost": [1.0]})
        plan = cover(case(demand, sites, sizes, within_m=1500, number=1))
        assert plan.status == "optimal" and set(plan.chosen.index) <= set(sites.index)
        why = explain(asked, *shapely.get_coordinates(houses.centroid)[0])
        assert why.reasons[0].code == "houses" and why.reasons[0].source == ring.rows[0]
        assert why.reasons[0].by == ring.distance_m
    assert free[True] > 1.5 * free[False]


# --- robustness

SITES = pd.DataFrame({"near": [1.0, 0.6, 0.1], "cheap": [0.2, 0.5, 0.9]}, index=["A", "B", "C"])
EVEN = {"near": 1.0, "cheap": 1.0}  # A 0.6, B 0.55, C 0.5


def test_ranks_and_one_weight_at_a_time():
    assert ranks(SITES, EVEN).tolist() == [1, 2, 3]
    table = one_at_a_time(SITES, EVEN, changes=(-0.5, 0.5), top=1).set_index(["criterion", "change"])
    assert table["first"].to_dict() == {
        ("near", -0.5): "C",  # 0.7, 0.8, 0.95
        ("near", 0.5): "A",
        ("cheap", -0.5): "A",
        ("cheap", 0.5): "C",  # 1.3, 1.35, 1.45
    }
    assert table["stays"].tolist() == [False, True, True, False]
    assert table["top_kept"].tolist() == [0, 1, 1, 0]


def test_turning_points_by_hand():
    """A leads B by t 0.4 - 0.3 (near) and C by t 0.9 - 0.7: level at t = 3/4 with B, 7/9 with C, the nearer to 1.
    For cheap: 0.4 - 0.3 t and 0.9 - 0.7 t: 4/3 and 9/7, again C."""
    table = turning_points(SITES, EVEN)
    assert table.loc["near", ["down", "down_to"]].tolist() == [pytest.approx(7 / 9), "C"]
    assert table.loc["cheap", ["up", "up_to"]].tolist() == [pytest.approx(9 / 7), "C"]
    assert np.isnan(table.loc["near", "up"]) and table.loc["near", "up_to"] == ""
    for criterion, factor in (("near", 7 / 9), ("cheap", 9 / 7)):
        little = 1e-6 if criterion == "cheap" else -1e-6
        assert ranks(SITES, EVEN | {criterion: factor + little})["C"] == 1
        assert ranks(SITES, EVEN | {criterion: factor - little})["A"] == 1


def test_monte_carlo_is_seeded_and_counts():
    once = monte_carlo(SITES, EVEN, np.random.default_rng(5), runs=400, top=2)
    again = monte_carlo(SITES, EVEN, np.random.default_rng(5), runs=400, top=2)
    pd.testing.assert_frame_equal(once, again)
    assert once["first"].sum() == pytest.approx(1)
    assert once["in_top"].sum() == pytest.approx(2)
    assert once["mean_rank"].sum() == pytest.approx(6)
    sure = monte_carlo(SITES, EVEN, np.random.default_rng(5), runs=5, spread=0.0, top=1)
    assert sure["in_top"].tolist() == [1, 0, 0]


def test_monte_carlo_against_the_exact_share():
    """C is before A where w_cheap / w_near > 9 / 7 (B is never first). With both even on 0.5 to 1.5 the share is the area
    of y > 9/7 x in the square: a triangle with x from 0.5 to 7/6 and y from 9/14 to 1.5, 1/2 (2/3) (6/7) = 2/7."""
    found = monte_carlo(SITES, EVEN, np.random.default_rng(1), runs=20_000, top=1)
    assert found["first"]["C"] == pytest.approx(2 / 7, abs=0.01)
    assert found["first"]["B"] == 0


@given(st.integers(0, 1000))
def test_a_site_best_in_everything_is_always_first(seed):
    rng = np.random.default_rng(seed)
    values = pd.DataFrame(rng.uniform(0, 0.9, (4, 3)), columns=list("xyz"), index=list("ABCD"))
    values.loc["B"] = 0.95
    found = monte_carlo(values, dict.fromkeys("xyz", 1.0), rng, runs=50, spread=1.0, top=1)
    assert found["in_top"].to_dict() == {"A": 0, "B": 1, "C": 0, "D": 0}
    assert turning_points(values, dict.fromkeys("xyz", 1.0))[["down", "up"]].isna().all(axis=None)


def test_robustness_refuses_what_has_no_answer():
    for values, weights in [
        (SITES, {"near": 1}),
        (SITES, {"near": -1, "cheap": 2}),
        (SITES, {"near": 0, "cheap": 0}),
        (SITES.iloc[:0], EVEN),
        (SITES.assign(near=[1, np.nan, 0]), EVEN),
    ]:
        with pytest.raises(ValueError):
            ranks(values, weights)
    for options in ({"spread": 2}, {"runs": 0}, {"top": 0}):
        with pytest.raises(ValueError):
            monte_carlo(SITES, EVEN, np.random.default_rng(0), **options)


def test_strips_cover_the_grid_once():
    cuts = Grid(GRID.transform, 17, 3, GRID.crs).strips(5)
    assert cuts[0][0] == 0 and cuts[-1][1] == 17
    assert all(a[1] == b[0] for a, b in pairwise(cuts))
