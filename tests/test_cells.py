"""Cells: first squares one can check in the head, then properties, then the 114 units of the city."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.cells import _targets, fit_weights, power_diagram, schematic_cells

STARTER = Path(__file__).resolve().parents[1] / "layers" / "starter"
SQUARE = shapely.box(0, 0, 4000, 4000)
WITH_HOLE = SQUARE.difference(shapely.box(1500, 1500, 2500, 2300))


def frame(xy, km2, codes=None, **more):
    codes = [f"u{k}" for k in range(len(xy))] if codes is None else codes
    return gpd.GeoDataFrame(
        {"area_km2": km2, **more}, index=codes, geometry=gpd.points_from_xy(*np.array(xy).T), crs=9210
    )


def land(*shapes):
    return gpd.GeoDataFrame(geometry=list(shapes), crs=9210)


def same(a, b, tolerance=1e-6):
    return shapely.symmetric_difference(a, b).area <= tolerance * shapely.area(b)


# --- in the head


def test_two_points_one_to_three():
    cells = schematic_cells(frame([(1000, 2000), (3000, 2000)], [4, 12]), land(SQUARE))
    assert cells.area_km2.tolist() == pytest.approx([4, 12], rel=1e-6)
    assert cells.geometry["u0"].bounds == pytest.approx((0, 0, 1000, 4000), abs=0.01)
    assert cells.area_note.tolist() == ["met", "met"]
    assert cells.contains_centre.tolist() == [True, True]  # the point is on the very border


def test_four_equal_quarters_meet_in_one_corner():
    xy = [(1000, 1000), (3000, 1000), (1000, 3000), (3000, 3000)]
    cells = schematic_cells(frame(xy, [1, 1, 1, 1]), land(SQUARE))
    for code, (x, y) in zip(cells.index, xy, strict=True):
        assert same(cells.geometry[code], shapely.box(x - 1000, y - 1000, x + 1000, y + 1000))
    assert shapely.coverage_is_valid(cells.geometry.values)


def test_one_unit_has_all_the_land():
    cells = schematic_cells(frame([(10, 10)], [99]), land(SQUARE))
    assert same(cells.geometry["u0"], SQUARE)
    assert cells.loc["u0", ["official_km2", "target_km2", "area_note"]].tolist() == [99, 16, "land_short"]


def test_power_diagram_moves_the_border_by_the_weight():
    """|x - 1|^2 - w = |x - 3|^2 at x = 2 + w / 4."""
    left, right = power_diagram([[1, 1], [3, 1]], [2, 0], shapely.box(0, 0, 4, 2))
    assert left.bounds == (0, 0, 2.5, 2)
    assert right.bounds == (2.5, 0, 4, 2)


def test_a_point_whose_cell_misses_the_land_is_empty():
    cells = power_diagram([[1, 1], [30, 1]], [0, 0], shapely.box(0, 0, 4, 2))
    assert cells[1].is_empty
    assert cells[0].area == 8


def test_sites_outside_the_land_still_get_their_area():
    points = [[5000, 2000], [9000, 2000], [15000, 2100]]
    weights = fit_weights(points, [1, 1, 2], SQUARE)
    assert shapely.area(power_diagram(points, weights, SQUARE)) == pytest.approx([4e6, 4e6, 8e6], rel=1e-5)


def test_wanted_areas():
    assert _targets(95, [60, 40], [50, 40]).tolist() == [55, 40]  # tidal land goes first
    assert _targets(99.5, [60, 40], [50, 40]).tolist() == pytest.approx([59.7, 39.8])  # within 1 %: together
    assert _targets(72, [60, 40], [50, 40]).tolist() == pytest.approx([40, 32])  # then in proportion
    assert _targets(120, [60, 40], [50, 40]).tolist() == pytest.approx([72, 48])


def test_islets_go_to_the_nearest_centre_and_count():
    islet = shapely.box(4500, 0, 5500, 1000)
    cells = schematic_cells(frame([(1000, 2000), (3000, 2000)], [8, 9]), land(SQUARE, islet))
    assert cells.area_km2.tolist() == pytest.approx([8, 9], rel=1e-6)
    assert cells.geometry["u1"].contains(islet.centroid)
    assert len(cells.geometry["u1"].geoms) == 2


def test_second_site_gives_a_unit_land_elsewhere():
    island = shapely.box(6000, 0, 8000, 4000)
    units = frame([(1000, 2000), (7000, 2000)], [12, 12])
    second = frame([(3500, 2000)], [4], ["u1"])
    cells = schematic_cells(units, land(SQUARE, island), second_sites=second)
    assert cells.area_km2.tolist() == pytest.approx([12, 12], rel=1e-6)
    assert same(cells.geometry["u1"], island.union(shapely.box(3000, 0, 4000, 4000)))


def test_notes_say_why():
    coast = schematic_cells(frame([(1000, 2000), (3000, 2000)], [8, 10], dry_area_km2=[8, 8]), land(SQUARE))
    assert coast.area_note.tolist() == ["met", "tidal"]
    assert coast.area_km2.tolist() == pytest.approx([8, 8], rel=1e-6)
    over = schematic_cells(frame([(1000, 2000), (3000, 2000)], [7, 7]), land(SQUARE))
    assert set(over.area_note) == {"land_over"}
    short = schematic_cells(frame([(1000, 2000), (3000, 2000)], [10, 10]), land(SQUARE))
    assert set(short.area_note) == {"land_short"}


# --- properties


@st.composite
def cases(draw):
    count = draw(st.integers(1, 12))
    spots = st.tuples(st.integers(0, 19), st.integers(0, 19))
    cells = draw(st.lists(spots, min_size=count, max_size=count, unique=True))
    shift = draw(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 120)), min_size=count, max_size=count))
    points = np.array(cells) * 200.0 + 40 + np.array(shift)
    areas = draw(st.lists(st.floats(1, 20), min_size=count, max_size=count))
    return points, np.array(areas), draw(st.sampled_from([SQUARE, WITH_HOLE]))


@settings(max_examples=60, deadline=None)
@given(cases())
def test_areas_are_met_without_gap_or_overlap(case):
    points, areas, ground = case
    cells = power_diagram(points, fit_weights(points, areas, ground), ground)
    assert shapely.area(cells) == pytest.approx(areas / areas.sum() * ground.area, rel=1e-4)
    assert same(shapely.union_all(cells), ground)
    assert shapely.area(cells).sum() == pytest.approx(ground.area, rel=1e-9)
    assert shapely.coverage_is_valid(cells)
    assert shapely.is_valid(cells).all()


@settings(max_examples=25, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing(case, random):
    points, areas, ground = case
    units = frame(points, areas)
    codes = list(units.index)
    random.shuffle(codes)
    one, other = schematic_cells(units, land(ground)), schematic_cells(units.loc[codes], land(ground))
    assert list(other.index) == codes
    pd.testing.assert_frame_equal(pd.DataFrame(one), pd.DataFrame(other.loc[one.index]))


@settings(max_examples=25, deadline=None)
@given(cases(), st.integers(-900, 900), st.integers(-900, 900))
def test_moving_everything_moves_the_cells(case, east, north):
    points, areas, ground = case
    step = np.array([east, north]) * 1000.0
    here = power_diagram(points, fit_weights(points, areas, ground), ground)
    ground = shapely.transform(ground, lambda xy: xy + step)
    there = power_diagram(points + step, fit_weights(points + step, areas, ground), ground)
    there = shapely.transform(there, lambda xy: xy - step)
    assert shapely.area(shapely.symmetric_difference(here, there)).max() < 50  # of 16 km²: a few mm of border


@settings(max_examples=40, deadline=None)
@given(cases(), st.lists(st.floats(-1e6, 1e6), min_size=12, max_size=12))
def test_every_place_belongs_to_the_nearest_in_power(case, weights):
    """A second way to the same answer: power distances on a lattice."""
    points, _, ground = case
    weights = np.array(weights[: len(points)])
    cells = power_diagram(points, weights, ground)
    xy = np.stack(np.meshgrid(np.arange(55.3, 4000, 190), np.arange(44.1, 4000, 210)), axis=-1).reshape(-1, 2)
    xy = xy[shapely.contains_xy(ground, xy)]
    power = ((xy[:, None] - points) ** 2).sum(axis=2) - weights
    first, *rest = np.sort(power, axis=1).T
    clear = (rest[0] - first > 20) if rest else np.full(len(xy), True)  # not within mm of a border
    held = shapely.intersects_xy(cells[:, None], *xy[clear].T)
    assert (held.argmax(axis=0) == power[clear].argmin(axis=1)).all()
    assert (held.sum(axis=0) == 1).all()


# --- the awkward


def test_refusals_say_what_to_do():
    good, ground = frame([(1000, 2000), (3000, 2000)], [8, 8]), land(SQUARE)
    with pytest.raises(ValueError, match="no CRS"):
        schematic_cells(good.set_crs(None, allow_override=True), ground)
    with pytest.raises(ValueError, match="no CRS"):
        schematic_cells(good, ground.set_crs(None, allow_override=True))
    with pytest.raises(ValueError, match="not in metres"):
        schematic_cells(good, ground, crs=4326)
    with pytest.raises(ValueError, match="There are no units"):
        schematic_cells(good.iloc[:0], ground)
    with pytest.raises(ValueError, match="land is empty"):
        schematic_cells(good, ground.iloc[:0])
    with pytest.raises(ValueError, match="land is empty"):
        schematic_cells(good, land(shapely.Point(0, 0)))
    with pytest.raises(ValueError, match="Second site of u9"):
        schematic_cells(good, ground, second_sites=frame([(1, 1)], [1], ["u9"]))
    with pytest.raises(ValueError, match="at least one point"):
        power_diagram([[1, np.nan]], [0], SQUARE)
    with pytest.raises(ValueError, match="Points 0 and 1"):
        power_diagram([[1, 1], [1, 1.001]], [0, 0], SQUARE)
    with pytest.raises(ValueError, match="land is empty"):
        power_diagram([[1, 1]], [0], shapely.Polygon())
    with pytest.raises(ValueError, match="above 0"):
        fit_weights([[1, 1], [9, 9]], [1, 0], SQUARE)


def test_all_problems_of_the_units_are_told_together():
    bad = frame([(1, 1), (1, 1), (5, 5), (7, 7)], [3, 3, 0, np.nan], ["a", "b", "c", "c"])
    with pytest.raises(ValueError) as told:
        schematic_cells(bad, land(SQUARE))
    for part in ("code given twice: ['c']", "same point: ['a', 'b']", "not above 0: ['c', 'c']"):
        assert part in str(told.value)


def test_other_crs_is_brought_to_ours():
    units, ground = (
        frame([(600000, 2300000), (603000, 2300000)], [8, 9]),
        shapely.box(598000, 2298000, 605000, 2302000),
    )
    here = schematic_cells(units, land(ground))
    there = schematic_cells(units.to_crs(4326), land(ground).to_crs(3405))
    assert there.crs == here.crs
    assert there.area_km2.tolist() == pytest.approx(here.area_km2.tolist(), rel=1e-5)


# --- the city


@pytest.fixture(scope="module")
def city():
    rows = pd.read_csv(STARTER / "wards.csv", dtype={"code": str}).set_index("code")
    units = gpd.GeoDataFrame(
        rows.rename(columns={"area_km2_computed": "dry_area_km2"}),
        geometry=gpd.points_from_xy(rows.centre_lon, rows.centre_lat),
        crs=4326,
    )
    outline = pd.read_csv(STARTER / "land_outline.csv").sort_values(["part", "order"])
    parts = [shapely.Polygon(part[["lon", "lat"]]) for _, part in outline.groupby("part")]
    ground = gpd.GeoDataFrame(geometry=parts, crs=4326)
    island = frame([(0, 0)], [22.5], ["11914"]).set_crs(4326, allow_override=True)
    island.geometry = gpd.points_from_xy([106.87], [20.815], crs=4326)
    return units, ground, schematic_cells(units, ground, second_sites=island)


def test_city_meets_official_areas_where_land_allows(city):
    units, _, cells = city
    assert len(cells) == 114
    assert abs(cells.area_km2 / cells.target_km2 - 1).max() < 1e-5
    off = abs(cells.area_km2 / units.area_km2 - 1) > 0.01
    assert cells.area_note[off].to_dict() == {"11914": "tidal", "11948": "land_short"}
    assert (cells.area_note[~off] == "met").all()


def test_city_cells_are_the_land(city):
    _, ground, cells = city
    whole = ground.to_crs(9210).union_all()
    assert same(cells.union_all(), whole)
    assert shapely.coverage_is_valid(cells.geometry.values)
    assert cells.geom_type.eq("MultiPolygon").all()
    assert cells.contains_centre.all()


def test_cat_hai_has_both_its_islands(city):
    _, _, cells = city
    islands = gpd.GeoSeries.from_xy([106.87, 107.0], [20.815, 20.8], crs=4326).to_crs(9210)
    assert islands.within(cells.geometry["11914"]).all()
    assert len(cells.geometry["11914"].geoms) == 2
