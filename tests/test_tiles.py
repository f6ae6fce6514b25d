"""Vector tiles: our bytes read by somebody else's decoder, drawn to the grid, kept and dropped by version."""

import gzip
import itertools
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from layers import mvt, strokes
from server import tiles
from server.app import create_app
from server.collections import Collections
from server.settings import Settings

TILE = (12, 3262, 1805)  # over Hải Phòng
WEST, SOUTH, EAST, NORTH = mvt.tile_bounds(*TILE)
UNIT = (EAST - WEST) / mvt.EXTENT


def on_map(x, y):
    """A place given in units of TILE, as web Mercator metres."""
    return WEST + x * UNIT, NORTH - y * UNIT


def placed(shape):
    return shapely.transform(shape, lambda xy: np.column_stack(on_map(xy[:, 0], xy[:, 1])))


def drawn(*shapes, properties=None, tile=TILE):
    return mvt.encode("x", np.array([*map(placed, shapes), None], dtype=object)[:-1], properties or {},
                      range(1, len(shapes) + 1), tile)  # fmt: skip


def decoded(body):
    """Features of the one layer, geometries as shapely in units of the tile, y downwards."""
    layer = mapbox_vector_tile.decode(body, default_options={"y_coord_down": True})["x"]
    assert layer["extent"] == mvt.EXTENT and layer["version"] == 2
    return [(f["id"], shapely.from_geojson(json.dumps(f["geometry"])), f["properties"]) for f in layer["features"]]


def commands(body):
    """(kind, command integers) of each feature, by a reader of the wire format that knows nothing else."""

    def fields(data):
        at = 0

        def number():
            nonlocal at
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value

        while at < len(data):
            key = number()
            if key & 7 == 2:
                length = number()
                yield key >> 3, data[at : at + length]
                at += length
            elif key & 7 == 1:
                at += 8
            else:
                yield key >> 3, number()

    for tag, layer in fields(body):
        assert tag == 3
        for part, feature in fields(layer):
            if part == 2:
                held = dict(fields(feature))
                numbers, packed = [], held[4]
                value = shift = 0
                for byte in packed:
                    value |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        numbers.append(value)
                        value = shift = 0
                yield held[3], numbers


def rings(numbers):
    """Rings of command integers with their signed area in tile units (surveyor's formula, y downwards)."""
    x = y = at = 0
    ring = []
    while at < len(numbers):
        command, count = numbers[at] & 7, numbers[at] >> 3
        at += 1
        if command == 7:
            area = sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise([*ring, ring[0]])) / 2
            yield ring, area
            ring = []
            continue
        for _ in range(count):
            dx, dy = ((n >> 1) ^ -(n & 1) for n in numbers[at : at + 2])
            at += 2
            x, y = x + dx, y + dy
            ring = [(x, y)] if command == 1 else [*ring, (x, y)]


# --- one tile by hand ---


def test_a_square_by_hand():
    body = drawn(shapely.box(10, 20, 30, 50))
    kind, numbers = next(commands(body))
    assert kind == 3
    ((ring, area),) = rings(numbers)
    assert sorted(ring) == [(10, 20), (10, 50), (30, 20), (30, 50)] and area == 600
    assert numbers[0] == 9 and numbers[-1] == 15 and len(numbers) == 3 + 1 + 6 + 1


def test_the_point_of_the_specification():
    kind, numbers = next(commands(drawn(shapely.Point(25, 17))))
    assert (kind, numbers) == (1, [9, 50, 34])  # section 4.3.5.1 of the specification
    kind, numbers = next(commands(drawn(shapely.MultiPoint([(5, 7), (3, 2)]))))
    assert (kind, numbers) == (1, [17, 10, 14, 3, 9])  # 4.3.5.2
    kind, numbers = next(commands(drawn(shapely.LineString([(2, 2), (2, 10), (10, 10)]))))
    assert (kind, numbers) == (2, [9, 4, 4, 18, 0, 16, 16, 0])  # 4.3.5.3
    lines = shapely.MultiLineString([[(2, 2), (2, 10), (10, 10)], [(1, 1), (3, 5)]])
    kind, numbers = next(commands(drawn(lines)))
    assert (kind, numbers) == (2, [9, 4, 4, 18, 0, 16, 16, 0, 9, 17, 17, 10, 4, 8])  # 4.3.5.4


def test_varints_as_protocol_buffers_have_them():
    body, end = strokes.varints([0, 1, 127, 128, 300, 2**35 - 1])
    assert body.hex() == "00017f8001ac02ffffffff7f"
    assert end.tolist() == [1, 2, 3, 5, 7, 12]
    assert strokes.varints([])[0] == b""


def test_values_of_every_kind_come_back():
    properties = {
        "text": ["Đồ Sơn", None, "Đồ Sơn"],
        "number": [0.1, float("nan"), -3.5],
        "whole": [0, 2**40, -7],
        "yes": [True, False, None],
        "empty": [None, None, None],
        "wörter": ["", "a", "b"],
    }
    body = drawn(*[shapely.Point(i, i) for i in range(3)], properties=properties)
    assert [p for _id, _g, p in decoded(body)] == [
        {"text": "Đồ Sơn", "number": 0.1, "whole": 0, "yes": True, "wörter": ""},
        {"whole": 2**40, "yes": False, "wörter": "a"},
        {"text": "Đồ Sơn", "number": -3.5, "whole": -7, "wörter": "b"},
    ]
    assert [i for i, _g, _p in decoded(body)] == [1, 2, 3]


def test_hostile_text_is_text():
    said = ["<script>alert(1)</script>", "\x00\x01\x7f", "\u202e${7*7}`'\"", "🏭" * 40_000, "Ð\u0300 Đ", "=1+1", " "]
    body = drawn(*[shapely.Point(i, i) for i in range(len(said))], properties={"__proto__": said, "名": said[::-1]})
    assert [p for _i, _g, p in decoded(body)] == [
        {"__proto__": a, "名": b} for a, b in zip(said, said[::-1], strict=True)
    ]


def test_at_the_rim_of_the_map():
    """A shape in two parts at the 180th meridian, one at the pole, one of the whole world."""
    shapes = [shapely.MultiPolygon([shapely.box(179, 10, 180, 12), shapely.box(-180, 10, -179, 12)]),
              shapely.box(-180, 80, 180, 90), shapely.box(-180, -90, 180, 90)]  # fmt: skip
    drawing = tiles.Drawing("x", shapes, {}, [1, 2, 3])
    west, east = drawing.tile(6, 0, 29), drawing.tile(6, 63, 29)
    assert [i for i, _g, _p in decoded(west)] == [i for i, _g, _p in decoded(east)] == [1, 3]
    assert decoded(west)[0][1].bounds[0] == 0 and decoded(east)[0][1].bounds[2] == 4096
    assert decoded(west)[1][1].equals(shapely.box(0, -64, 4160, 4160))
    assert {i for i, _g, _p in decoded(drawing.tile(6, 30, 0))} == {2, 3}
    for z, x, y in ((0, 0, 0), (22, 0, 0), (22, (1 << 22) - 1, (1 << 22) - 1)):
        for _i, shape, _p in decoded(drawing.tile(z, x, y)):
            assert shape.is_valid and shapely.box(-64, -64, 4160, 4160).covers(shape)


def test_mixed_kinds_stay_in_order_and_what_is_not_there_is_left_out():
    shapes = [shapely.box(0, 0, 9, 9), None, shapely.Point(5, 5), shapely.Point(), shapely.Point(9000, 1),
              shapely.LineString([(1, 1), (8, 8)]), shapely.box(3, 3, 3.2, 3.2)]  # fmt: skip
    at = np.array([None if s is None else placed(s) for s in shapes], dtype=object)
    body = mvt.encode("x", at, {"n": list(range(7))}, range(7), TILE)
    assert [(p["n"], g.geom_type) for _i, g, p in decoded(body)] == [(0, "Polygon"), (2, "Point"), (5, "LineString")]
    assert mvt.encode("x", at[[1, 3, 4]], {}, range(3), TILE) == b""
    assert mvt.encode("x", np.array([], dtype=object), {}, [], TILE) == b""


def test_of_a_collection_the_highest_dimension_is_drawn():
    mixed = shapely.GeometryCollection(
        [shapely.Point(1, 1), shapely.box(0, 0, 5, 5), shapely.LineString([(0, 0), (9, 9)])]
    )
    ((_id, shape, _p),) = decoded(drawn(mixed))
    assert shape.equals(shapely.box(0, 0, 5, 5))


def test_a_polygon_is_cut_at_the_edge_with_a_margin():
    ((_id, shape, _p),) = decoded(drawn(shapely.box(-5000, -5000, 9000, 9000) - shapely.box(100, 100, 200, 200)))
    assert shape.equals(shapely.box(-64, -64, 4160, 4160) - shapely.box(100, 100, 200, 200))
    assert drawn(shapely.box(-900, 0, -64, 100)) == b"", "it only touches the margin"


def test_neighbouring_tiles_meet():
    """A line over four tiles, put together again, is the whole line."""
    z, x, y = TILE
    line = placed(shapely.LineString([(100, 100), (8000, 7900)]))
    parts = []
    for dx, dy in itertools.product((0, 1), repeat=2):
        body = mvt.encode("x", np.array([line], dtype=object), {}, [1], (z, x + dx, y + dy))
        parts += [
            shapely.transform(g, lambda xy, d=(dx, dy): xy + np.array(d) * mvt.EXTENT) for _i, g, _p in decoded(body)
        ]
    whole = shapely.union_all(parts)
    assert shapely.hausdorff_distance(whole, shapely.LineString([(100, 100), (8000, 7900)]), densify=0.01) < 1.5


# --- any shape ---

places = st.tuples(st.floats(-300, 4400), st.floats(-300, 4400))


@st.composite
def stars(draw):
    """Valid polygons of any form, some with a hole or in two parts."""
    cx, cy = draw(places)
    radii = draw(st.lists(st.floats(0.3, 1), min_size=3, max_size=9))
    size = draw(st.sampled_from([3, 40, 600, 3000]))
    corners = [
        (cx + size * r * np.cos(2 * np.pi * i / len(radii)), cy + size * r * np.sin(2 * np.pi * i / len(radii)))
        for i, r in enumerate(radii)
    ]
    shape = shapely.make_valid(shapely.Polygon(corners), method="structure", keep_collapsed=False)
    if draw(st.booleans()):
        shape = shape.difference(shapely.Point(cx, cy).buffer(size * 0.2, quad_segs=2))
    if draw(st.booleans()):
        shape = shapely.union(shape, shapely.box(cx + 2 * size, cy, cx + 2.5 * size, cy + size))
    assume(shape.geom_type in ("Polygon", "MultiPolygon") and not shape.is_empty)
    return shape


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(stars(), min_size=1, max_size=4))
def test_polygons_come_back_valid_wound_and_within_a_unit(shapes):
    body = drawn(*shapes)
    found = {i: g for i, g, _p in decoded(body)} if body else {}
    margin = shapely.box(-64, -64, 4160, 4160)
    for i, shape in enumerate(shapes, start=1):
        expected = shapely.make_valid(shape).intersection(margin)
        if i not in found:
            assert expected.area < 2 * expected.length + 2, "only what is thinner than a unit may vanish"
            continue
        got = found[i]
        assert got.is_valid and got.geom_type in ("Polygon", "MultiPolygon")
        assert margin.covers(got)
        assert shapely.symmetric_difference(got, expected).area <= 1.5 * expected.length + 3
    for kind, numbers in commands(body) if body else ():
        assert kind == 3
        areas = [area for _ring, area in rings(numbers)]
        assert areas[0] > 0 and all(areas), "an outline first; no ring without area"


@settings(max_examples=100)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(-64, 4160), st.integers(-64, 4160)), min_size=1, max_size=8),
        min_size=1,
        max_size=5,
    )
)
def test_lines_and_points_on_the_grid_come_back_exactly(paths):
    shapes = [shapely.LineString(p) if len(p) > 1 else shapely.Point(p[0]) for p in paths]
    body = drawn(*shapes)
    found = {i: g for i, g, _p in decoded(body)} if body else {}
    for i, path in enumerate(paths, start=1):
        corners = [c for c, _group in itertools.groupby(path)]
        if len(path) > 1 and len(corners) == 1:
            assert i not in found, "a line without length"
        else:
            assert list(map(tuple, shapely.get_coordinates(found[i]).tolist())) == corners


@settings(max_examples=60)
@given(st.lists(stars(), min_size=1, max_size=4))
def test_the_oracle_writes_the_same_shapes(shapes):
    """Polygons that lie on the grid inside the tile: both encoders' tiles decode alike."""
    with np.errstate(all="ignore"):
        cut = [shapely.set_precision(s.intersection(shapely.box(0, 0, 4096, 4096)), 1.0) for s in shapes]
    cut = [s for s in cut if s.geom_type in ("Polygon", "MultiPolygon") and not s.is_empty]
    assume(cut)
    theirs = mapbox_vector_tile.encode(
        [{"name": "x", "features": [{"geometry": s, "properties": {"n": i}} for i, s in enumerate(cut)]}],
        default_options={"y_coord_down": True, "extents": mvt.EXTENT},
    )
    ours = drawn(*cut, properties={"n": list(range(len(cut)))})
    other = mapbox_vector_tile.decode(theirs, default_options={"y_coord_down": True})["x"]["features"]
    expected = {f["properties"]["n"]: shapely.from_geojson(json.dumps(f["geometry"])) for f in other}
    got = {p["n"]: g for _i, g, p in decoded(ours)}
    assert got.keys() == expected.keys()
    for n, shape in got.items():
        assert shapely.symmetric_difference(shape, shapely.make_valid(expected[n])).area == pytest.approx(0, abs=1e-6)


@given(st.floats(-179.9, 179.9), st.floats(-84.9, 84.9), st.integers(0, 20))
def test_a_place_lies_in_its_tile(lon, lat, z):
    x, y = mvt.tile_at(lon, lat, z)
    west, south, east, north = mvt.tile_bounds(z, x, y)
    ((mx, my),) = mvt.mercator([[lon, lat]])
    assert west - 1e-6 <= mx <= east + 1e-6 and south - 1e-6 <= my <= north + 1e-6


def test_mercator_is_that_of_the_register():
    import pyproj

    xy = np.array([[106.6881, 20.8449], [-179.0, -80.0], [0.0, 0.0]])
    way = pyproj.Transformer.from_crs(4326, 3857, always_xy=True)
    assert mvt.mercator(xy) == pytest.approx(np.column_stack(way.transform(*xy.T)), abs=1e-6)
    assert np.isfinite(mvt.mercator([[0, 90], [0, -90]])).all()


# --- layers ---


def grid_of(n):
    return [shapely.box(106.5 + i * 0.01, 20.8, 106.5 + (i + 1) * 0.01, 20.81) for i in range(n)]


def coast_of(corners):
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return shapely.Polygon(np.column_stack([106.7 + 0.1 * np.cos(angles), 20.8 + 0.1 * np.sin(angles)]))


def test_small_zooms_have_fewer_corners_and_the_same_place():
    coast = coast_of(2000)
    drawing = tiles.Drawing("x", [coast], {}, [1])
    corners = {}
    for z in (8, 10, 14, 16):
        x, y = mvt.tile_at(106.7, 20.8, z) if z < 12 else mvt.tile_at(106.8, 20.8, z)
        ((_id, shape, _p),) = decoded(drawing.tile(z, x, y))
        corners[z] = len(shapely.get_coordinates(shape))
    assert corners[8] < 200
    for z in (5, 8, 11, 16):
        exact = shapely.transform(coast, lambda xy, z=z: mvt.units(mvt.mercator(xy), z))
        (drawn_at,) = drawing._gridded(np.array([0]), z)
        assert shapely.hausdorff_distance(drawn_at, exact) <= (4.8 if z < 15 else 0.8)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(stars(), min_size=1, max_size=4), st.integers(-3, 6), st.randoms())
def test_a_layer_draws_valid_shapes_and_the_same_bytes_whatever_was_asked_before(shapes, deeper, pick):
    """Stars of TILE looked at from nearer and farther: within simplifying and rounding of where they are."""
    z, x, y = TILE
    back = [shapely.transform(placed(s), degrees) for s in shapes]
    columns = {"n": list(range(len(back)))}
    used = tiles.Drawing("x", back, columns, range(1, len(back) + 1))
    here = [(z + deeper, (x << max(deeper, 0) >> max(-deeper, 0)) + i, (y << max(deeper, 0) >> max(-deeper, 0)) + j)
            for i in (0, 1) for j in (0, 1)]  # fmt: skip
    for tile in pick.sample(here, 4):
        used.tile(*tile)
    for tile in here:
        body = used.tile(*tile)
        assert body == tiles.Drawing("x", back, columns, range(1, len(back) + 1)).tile(*tile)
        edge, slack = shapely.box(-64, -64, 4160, 4160), 0.75 if tile[0] >= 15 else 4.75
        found = {i: g for i, g, _p in decoded(body)} if body else {}
        for i, shape in enumerate(back, start=1):
            exact = shapely.transform(shape, lambda xy, t=tile: mvt.units(mvt.mercator(xy), t[0]) - mvt.corner(*t))
            expected = shapely.make_valid(exact).intersection(edge)
            if i not in found:
                assert expected.buffer(-slack - 1).is_empty
                continue
            assert found[i].is_valid
            assert found[i].intersection(edge).difference(expected.buffer(2 * slack)).is_empty
            assert expected.difference(found[i].buffer(2 * slack)).buffer(-1.5).is_empty


def degrees(metres):
    lon = np.degrees(metres[:, 0] / mvt.RADIUS)
    return np.column_stack([lon, np.degrees(2 * np.arctan(np.exp(metres[:, 1] / mvt.RADIUS)) - np.pi / 2)])


def test_a_small_shape_is_left_whole_a_little_beyond_the_edge_and_cut_far_beyond():
    z, x, y = TILE

    def tile(*corners, seen=(0, 0)):
        shape = shapely.transform(placed(shapely.box(*corners)), degrees)
        body = tiles.Drawing("x", [shape], {}, [1]).tile(z, x + seen[0], y + seen[1])
        return decoded(body)[0][1] if body else None

    assert tile(3000, 3000, 5000, 5000).equals(shapely.box(3000, 3000, 5000, 5000))
    assert tile(3000, 3000, 5000, 5000, seen=(1, 1)).equals(shapely.box(-1096, -1096, 904, 904))
    assert tile(3000, 3000, 9000, 5000).equals(shapely.box(3000, 3000, 4160, 4160))
    assert tile(4200, 4200, 5000, 5000) is None, "it meets neither tile nor margin"
    round_one = shapely.transform(coast_of(200), degrees_of_a_circle)
    (_i, whole, _p) = decoded(tiles.Drawing("x", [round_one], {}, [1]).tile(z, x, y))[0]
    assert shapely.box(-64, -64, 4160, 4160).covers(whole), "a shape of many corners is cut"


def degrees_of_a_circle(xy):
    """A circle about the south-east corner of TILE."""
    return degrees(np.column_stack(on_map(4096 + (xy[:, 0] - 106.7) * 9000, 4096 + (xy[:, 1] - 20.8) * 9000)))


def test_small_islands_stay_at_small_zooms_and_dust_goes():
    z, x, y = TILE

    def drawn_at(zoom, *shapes):
        back = [shapely.transform(placed(s), degrees) for s in shapes]
        body = tiles.Drawing("x", back, {}, range(len(back))).tile(zoom, x >> (z - zoom), y >> (z - zoom))
        return {i: g for i, g, _p in decoded(body)} if body else {}

    islands = shapely.union(shapely.box(0, 0, 2000, 2000), shapely.box(3000, 3000, 3016, 3016))
    assert len(drawn_at(9, islands, shapely.box(100, 100, 124, 124))[0].geoms) == 2
    assert set(drawn_at(9, shapely.box(100, 100, 124, 124), shapely.box(0, 0, 2, 2))) == {0}
    many = [shapely.box(i * 24, 0, i * 24 + 20, 20) for i in range(150)]
    assert len(drawn_at(9, *many)) == 150, "parcels smaller than what simplifying may move are still there"


def test_rings_that_cross_are_mended():
    comb = shapely.Polygon([(0, 0), *itertools.chain.from_iterable(
        ((i * 0.9 + 0.2, 40), (i * 0.9 + 0.5, 0.4)) for i in range(60)), (60, 0)])  # fmt: skip
    assert comb.is_valid
    rounded = strokes.gridded(np.array([comb], dtype=object))[0]
    assert rounded.is_valid and rounded.area > 0 and (shapely.get_coordinates(rounded) % 1 == 0).all()
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10.4)])
    mended = strokes._snapped(bow)
    assert mended.is_valid and mended.area == pytest.approx(50, abs=6)
    assert strokes._snapped(shapely.Polygon([(0, 0), (0.2, 0), (0.2, 0.2)])).is_empty


def test_what_is_made_ready_ahead_gives_the_same_tiles():
    shapes = [
        *grid_of(40),
        coast_of(900),
        shapely.LineString([(106.5, 20.8), (107, 21)]),
        None,
        shapely.Point(106.6, 20.9),
    ]
    asked = [(z, *mvt.tile_at(lon, 20.805, z)) for z in (4, 8, 9, 11, 13, 16) for lon in (106.505, 106.7, 106.8)]
    plain = tiles.Drawing("x", shapes, {"n": list(range(44))}, range(44))
    expected = [plain.tile(*t) for t in asked]
    ready, rests = tiles.Drawing("x", shapes, {"n": list(range(44))}, range(44)), []
    ready.prepare(rest=rests.append)
    assert len(ready._plates) == 6 and ready._plates.size > 10_000 and len(rests) >= 6
    assert [ready.tile(*t) for t in asked] == expected
    tight = tiles.Drawing("x", shapes, {}, range(44), tiles.Plates(limit=4_000))
    tight.prepare()
    assert len(tight._plates) == 1, "it stops where half of the room is taken"
    for nothing in ([], [None], [shapely.Point()]):
        tiles.Drawing("x", nothing, {}, range(len(nothing))).prepare()
    tiles.Drawing("x", [shapely.Point(106.6, 20.9)], {}, [1]).prepare()


def test_several_threads_get_the_same_tiles():
    drawing = tiles.Drawing("x", grid_of(60), {"n": list(range(60))}, range(60))
    asked = [(z, *mvt.tile_at(106.505 + i / 100, 20.805, z)) for z in (9, 11, 13) for i in range(0, 60, 4)]
    expected = [tiles.Drawing("x", grid_of(60), {"n": list(range(60))}, range(60)).tile(*t) for t in asked]
    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(lambda t: drawing.tile(*t), asked)] == expected


def test_what_is_made_ready_is_kept_within_bounds():
    plates = tiles.Plates(limit=3_000)
    drawing = tiles.Drawing("x", [coast_of(700)] * 3, {"n": [1, 2, 3]}, [1, 2, 3], plates)
    asked = [(z, *mvt.tile_at(106.8, 20.8, z)) for z in range(15)]
    first = [drawing.tile(*t) for t in asked]
    assert 1 <= len(plates) < 10 and plates.size < 60_000
    assert [drawing.tile(*t) for t in asked] == first
    plates = tiles.Plates(limit=0)
    other = tiles.Drawing("x", [coast_of(700)] * 3, {"n": [1, 2, 3]}, [1, 2, 3], plates)
    assert [other.tile(*t) for t in asked] == first and len(plates) == 1


def test_a_layer_without_places_has_empty_tiles():
    assert tiles.Drawing("x", [None, None], {"n": [1, 2]}, [1, 2]).tile(0, 0, 0) == b""
    assert tiles.Drawing("x", [], {}, []).tile(0, 0, 0) == b""


# --- the cache ---


def make(body):
    made = []

    def maker():
        made.append(body)
        return body

    maker.made = made
    return maker


NOISE = np.random.default_rng(1).bytes(2 * tiles.LARGE)


def test_tiles_are_made_once_and_large_ones_found_on_disk_by_the_next_process(tmp_path):
    key, maker = ("hotspots", 3, 10, 815, 451), make(NOISE)
    small, small_maker = ("hotspots", 3, 10, 815, 452), make(b"tile" * 100)
    cache = tiles.Cache(tmp_path / "tiles")
    for _ in range(3):
        assert gzip.decompress(cache.get(key, maker)) == NOISE
        assert gzip.decompress(cache.get(small, small_maker)) == b"tile" * 100
    assert len(maker.made) == len(small_maker.made) == 1
    again = tiles.Cache(tmp_path / "tiles")
    assert gzip.decompress(again.get(key, maker)) == NOISE and len(maker.made) == 1
    assert gzip.decompress(again.get(small, small_maker)) == b"tile" * 100 and len(small_maker.made) == 2


def test_empty_tiles_take_no_disk(tmp_path):
    cache = tiles.Cache(tmp_path / "tiles")
    for x in range(50):
        assert cache.get(("hotspots", 1, 10, x, 0), make(b"")) == b""
    assert not list(tmp_path.rglob("*.gz"))


def test_a_newer_version_drops_the_older(tmp_path):
    cache = tiles.Cache(tmp_path / "tiles")
    cache.get(("hotspots", 1, 10, 0, 0), make(NOISE + b"old"))
    cache.get(("stations", 1, 10, 0, 0), make(NOISE + b"other"))
    cache.get(("hotspots", 2, 10, 0, 0), make(NOISE + b"new"))
    left = [gzip.decompress(f.read_bytes())[len(NOISE) :] for f in tmp_path.rglob("*.gz")]
    assert sorted(left) == [b"new", b"other"]
    assert gzip.decompress(cache.get(("hotspots", 2, 10, 0, 0), make(b"never"))) == NOISE + b"new"
    cache.get(("hotspots", 3, 10, 0, 0), make(b"small"))
    assert len(list(tmp_path.rglob("*.gz"))) == 1, "a small tile of a newer version drops the older too"


def test_neither_memory_nor_disk_grows_without_end(tmp_path):
    noise = np.random.default_rng(1)
    cache = tiles.Cache(tmp_path / "tiles", memory=100_000, disk=150_000)
    for x in range(100):
        cache.get(("hotspots", 1, 14, x, 0), make(noise.bytes(5200)))
    assert cache.recent.size <= 100_000 and len(cache.recent) < 20
    assert 100_000 < sum(f.stat().st_size for f in tmp_path.rglob("*.gz")) <= 150_000
    for x in range(10_000):
        cache.get(("hotspots", 1, 15, x, 0), make(b""))
    assert len(cache.recent) <= 500


def test_a_disk_that_refuses_does_not_matter(tmp_path):
    (tmp_path / "tiles").write_text("a file where a folder should be")
    cache = tiles.Cache(tmp_path / "tiles")
    assert gzip.decompress(cache.get(("hotspots", 1, 1, 0, 0), make(NOISE))) == NOISE


# --- over the web ---


@pytest.fixture(scope="module")
def client(starter_facts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")

    class Elsewhere:
        """The starter facts with a folder of their own for what is cached."""

        data_dir = folder

        def __getattr__(self, name):
            return getattr(starter_facts, name)

    services = SimpleNamespace(store=Elsewhere(), population=None)
    return create_app(Settings(data_dir=folder), services, views=("ogc",)).test_client()


BASE = "/ogc/collections/admin_units/tiles/WebMercatorQuad"


def test_a_tile_holds_what_lies_in_it(client, starter_facts):
    z, (x, y) = 10, mvt.tile_at(106.6881, 20.8449, 10)
    answer = client.get(f"{BASE}/{z}/{y}/{x}")
    assert answer.status_code == 200 and answer.mimetype == "application/vnd.mapbox-vector-tile"
    layer = mapbox_vector_tile.decode(answer.data)["admin_units"]
    found = {f["properties"]["code"] for f in layer["features"]}
    frame = starter_facts.snapshot("admin_units")
    west, south, east, north = mvt.tile_bounds(z, x, y)
    inside = shapely.transform(frame.geometry.to_numpy(), mvt.mercator)
    expected = set(frame["code"][shapely.intersects(inside, shapely.box(west, south, east, north))])
    assert expected <= found and len(expected) > 40
    one = next(f for f in layer["features"] if f["properties"]["code"] == "11383")
    assert one["properties"]["population"] == 161051 and one["properties"]["kind"] == "ward"
    assert "source" not in one["properties"] and "note_vi" not in one["properties"]


def test_tiles_are_squeezed_tagged_and_not_sent_twice(client):
    z, (x, y) = 9, mvt.tile_at(106.6881, 20.8449, 9)
    address = f"{BASE}/{z}/{y}/{x}"
    plain, small = client.get(address), client.get(address, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(small.data) == plain.data and small.headers["Content-Encoding"] == "gzip"
    again = client.get(address, headers={"If-None-Match": plain.headers["ETag"], "Accept-Encoding": "gzip"})
    assert (again.status_code, again.data) == (304, b"") and "Content-Encoding" not in again.headers
    assert client.get(f"{address}?f=mvt").data == plain.data


def test_an_empty_tile_is_204(client):
    answer = client.get(f"{BASE}/10/0/0")
    assert (answer.status_code, answer.data) == (204, b"") and answer.headers["ETag"]
    assert client.get(f"{BASE}/10/0/0", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert client.get("/ogc/collections/intakes/tiles/WebMercatorQuad/0/0/0").status_code == 204


@pytest.mark.parametrize(
    ("tile", "status"),
    [
        ("0/0/1", 404), ("0/1/0", 404), ("3/8/0", 404), ("23/0/0", 404), ("99/0/0", 404), ("10/99999/0", 404),
        ("a/0/0", 400), ("1/b/0", 400), ("1/0/1.5", 400), ("-1/0/0", 400), ("1/0/-1", 400), ("1/0/٣", 400),
        ("1/0/" + "9" * 30, 400), ("1/0/1e1", 400), ("1/0/%00", 400), ("22/0/0", 204),
    ],
)  # fmt: skip
def test_bad_places_are_refused(client, tile, status):
    answer = client.get(f"{BASE}/{tile}")
    assert answer.status_code == status
    assert status == 204 or answer.content_type == "application/problem+json"


def test_tile_sets_tell_where_tiles_are(client):
    made = client.get(f"{BASE}?lang=en").json
    pattern = next(x["href"] for x in made["links"] if x["rel"] == "item")
    assert made["title"] == "Administrative units" and made["dataType"] == "vector"
    limits = {x["tileMatrix"]: x for x in made["tileMatrixSetLimits"]}
    row = limits["10"]
    for r, c in itertools.product(
        range(row["minTileRow"], row["maxTileRow"] + 1), range(row["minTileCol"], row["maxTileCol"] + 1)
    ):
        address = pattern.replace("{tileMatrix}", "10").replace("{tileRow}", str(r)).replace("{tileCol}", str(c))
        assert client.get(address).status_code in (200, 204)
    outside = pattern.replace("{tileMatrix}", "10").replace("{tileRow}", str(row["minTileRow"] - 1))
    assert client.get(outside.replace("{tileCol}", str(row["minTileCol"]))).status_code == 204
    js = client.get(f"{BASE}?f=tilejson").json
    assert js["tilejson"] == "3.0.0" and js["vector_layers"][0]["id"] == "admin_units"
    x, y = mvt.tile_at(106.6881, 20.8449, 10)
    address = js["tiles"][0].replace("{z}", "10").replace("{y}", str(y)).replace("{x}", str(x))
    assert client.get(address).status_code == 200
    assert set(mapbox_vector_tile.decode(client.get(address).data)) == {"admin_units"}


def test_the_grid_is_that_of_web_maps(client):
    made = client.get("/ogc/tileMatrixSets/WebMercatorQuad").json
    first, tenth = made["tileMatrices"][0], made["tileMatrices"][10]
    assert first["scaleDenominator"] == pytest.approx(559082264.028717) and first["matrixWidth"] == 1
    assert tenth["cellSize"] == pytest.approx(152.874056570353) and tenth["matrixHeight"] == 1024
    assert tenth["pointOfOrigin"] == pytest.approx([-20037508.3427892, 20037508.3427892])


def test_every_field_of_a_tile_is_public_and_short(starter_facts):
    shelf = Collections(starter_facts)
    for c in shelf.every():
        for f in c.tile_fields():
            assert f.public and (f.kind != "text" or f.allowed or f.name in ("code", "name_vi", "name_en", "media"))


def test_struct_of_a_number_is_a_double():
    """Field 3 of a value is a 64-bit float, little endian."""
    assert struct.pack("<d", 0.1) in drawn(shapely.Point(1, 1), properties={"n": [0.1]})
