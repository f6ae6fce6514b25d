"""The live file as a GeoPackage: blobs, the R*Tree under every change, and what another program sees.

This process never opens a live file with GDAL; a second one does.
"""

import sqlite3
import struct
from contextlib import closing

import geopandas as gpd
import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, MultiPoint, MultiPolygon, Point, Polygon, box

from layers import geopackage
from layers.catalogue import ALL, LAYERS
from layers.checks import check
from layers.geopackage import decode, encode

HOLED = Polygon([(0, 0), (9, 0), (9, 9), (0, 9)], [[(1, 1), (2, 1), (2, 2), (1, 2)]])
SHAPES = [
    Point(106.7, 20.8),
    Point(-180, -90),
    LineString([(0, 0), (1, 2), (3, -1)]),
    box(1, 2, 3, 4),
    HOLED,
    MultiPolygon([box(0, 0, 1, 1), HOLED]),
    MultiPoint([(1, 2), (3, 4)]),
    shapely.GeometryCollection([Point(1, 1), box(0, 0, 1, 2)]),
]
EMPTY = [Point(), Polygon(), MultiPolygon(), shapely.GeometryCollection()]


def zones(geometries, **changes):
    row = {
        "code": [f"Z{i}" for i in range(len(geometries))],
        "name_vi": "Khu",
        "kind": "industrial_park",
        "state": "operating",
        "geometry_quality": "digitised",
        "source": "a plan",
        "confidence": "high",
    }
    return check(ALL["industrial_zones"], gpd.GeoDataFrame(row | changes, geometry=geometries, crs=4326))


# --- blobs ---


def test_blobs_come_back_as_they_went():
    back = decode(encode([*SHAPES, None, *EMPTY]))
    for there, here in zip([*SHAPES, None, *EMPTY], back, strict=True):
        assert (there is None and here is None) or there.equals_exact(here, 0)


def test_nothing_is_a_list_of_nothing():
    assert encode([]) == [] and len(decode([])) == 0


def test_the_header_by_hand():
    (blob,) = encode([box(1, 2, 3, 5)])
    assert blob[:2] == b"GP" and blob[2] == 0  # magic, version 1
    assert blob[3] == 0b00000011  # little endian, XY envelope, not empty
    assert struct.unpack_from("<i", blob, 4) == (4326,)
    assert struct.unpack_from("<4d", blob, 8) == (1, 3, 2, 5)  # minx, maxx, miny, maxy
    assert blob[40:] == shapely.to_wkb(box(1, 2, 3, 5), byte_order=1)
    (empty,) = encode([Point()])
    assert empty[3] == 0b00010001 and empty[8:] == shapely.to_wkb(Point(), byte_order=1)


def test_heights_are_dropped_as_the_layers_are_flat():
    (blob,) = encode([Point(1, 2, 3)])
    assert decode([blob])[0].equals_exact(Point(1, 2), 0) and not decode([blob])[0].has_z


def functions():
    con = sqlite3.connect(":memory:")
    geopackage.register_functions(con)
    return con


def seen(blob):
    with closing(functions()) as con:
        query = "SELECT ST_MinX(?1), ST_MaxX(?1), ST_MinY(?1), ST_MaxY(?1), ST_IsEmpty(?1)"
        return con.execute(query, (blob,)).fetchone()


def foreign(geom, *, big=False, envelope=0, empty=False):
    """A blob as other programs write it: either byte order, envelope kind 0 to 4."""
    order = ">" if big else "<"
    x0, y0, x1, y1 = geom.bounds
    body = {
        0: (),
        1: (x0, x1, y0, y1),
        2: (x0, x1, y0, y1, 5, 6),
        3: (x0, x1, y0, y1, 7, 8),
        4: (x0, x1, y0, y1, 5, 6, 7, 8),
    }[envelope]
    flags = (0 if big else 1) | envelope << 1 | empty << 4
    head = b"GP\0" + bytes([flags]) + struct.pack(order + "i", 4326) + struct.pack(f"{order}{len(body)}d", *body)
    return head + shapely.to_wkb(geom, byte_order=0 if big else 1)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("envelope", [0, 1, 2, 3, 4])
def test_blobs_of_other_programs_are_read(big, envelope):
    blob = foreign(HOLED, big=big, envelope=envelope)
    assert decode([blob])[0].equals_exact(HOLED, 0)
    assert seen(blob) == (0, 9, 0, 9, 0)


@pytest.mark.parametrize("flagged", [False, True])
def test_empty_blobs_of_other_programs_are_empty(flagged):
    assert seen(foreign(Point(), empty=flagged))[4] == 1
    assert seen(None) == (None,) * 5


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=1, max_size=6))
def test_the_bounds_a_trigger_sees_are_the_bounds(corners):
    shape = MultiPoint(corners)
    x0, y0, x1, y1 = shape.bounds
    for blob in (encode([shape])[0], foreign(shape), foreign(shape, big=True)):
        assert seen(blob) == (x0, x1, y0, y1, 0)


def test_blobs_that_pyogrio_writes_are_read(ask, tmp_path):
    code = """
import geopandas as gpd, shapely
points = [shapely.Point(106.7, 20.8), shapely.Point(1, 2, 3), None]
frame = gpd.GeoDataFrame({"n": [1, 2, 3]}, geometry=points, crs=4326)
frame.to_file(args[0], driver="GPKG", layer="points")
say("written")
"""
    path = tmp_path / "other.gpkg"
    assert ask(code, path) == "written"
    with closing(sqlite3.connect(path)) as con:
        blobs = [r[0] for r in con.execute("SELECT geom FROM points ORDER BY fid")]
    flat, high, none = decode(blobs)
    assert flat.equals_exact(Point(106.7, 20.8), 0) and high.has_z and none is None
    assert (blobs[0][3] >> 1) & 7 == 0, "GDAL writes points without an envelope"
    assert seen(blobs[0]) == (106.7, 106.7, 20.8, 20.8, 0)


# --- the R*Tree under every change ---

TREE = "rtree_industrial_zones_geom"
shapes = st.one_of(
    st.none(),
    st.sampled_from(EMPTY[:2]),
    st.builds(Point, st.integers(-180, 180), st.integers(-90, 90)),
    st.builds(lambda x, y, w: box(x, y, x + w, y + w), st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 5)),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), shapes),
        st.tuples(st.just("update"), st.integers(0, 9), shapes),
        st.tuples(st.just("renumber"), st.integers(0, 9), st.integers(100, 120), shapes),
        st.tuples(st.just("rename"), st.integers(0, 9)),
        st.tuples(st.just("delete"), st.integers(0, 9)),
        st.tuples(st.just("rollback"), shapes),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    from layers.store import Store

    store = Store(tmp_path_factory.mktemp("live"), synchronous="OFF")
    con = store._engine.raw_connection()
    yield con.driver_connection
    con.close()
    store.close()


@settings(max_examples=60)
@given(steps=steps)
def test_the_tree_holds_exactly_what_is_not_empty(live, steps):
    live.execute("BEGIN")
    live.execute("DELETE FROM industrial_zones")
    expected, serial = {}, 0

    def insert(shape):
        nonlocal serial
        serial += 1
        columns = "code, name_vi, kind, state, geometry_quality, source, confidence, geom"
        return live.execute(
            f"INSERT INTO industrial_zones ({columns}) VALUES (?, 'x', 'x', 'x', 'x', 'x', 'x', ?)",
            (f"Z{serial}", encode([shape])[0]),
        ).lastrowid

    def pick(i):
        return sorted(expected)[i % len(expected)] if expected else None

    for what, *rest in steps:
        if what == "insert":
            expected[insert(rest[0])] = rest[0]
        elif what == "rollback":
            live.execute("SAVEPOINT s")
            insert(rest[0])
            live.execute("DELETE FROM industrial_zones WHERE fid % 2 = 0")
            live.execute("ROLLBACK TO s")
        elif (fid := pick(rest[0])) is None:
            continue
        elif what == "update":
            live.execute("UPDATE industrial_zones SET geom = ? WHERE fid = ?", (encode([rest[1]])[0], fid))
            expected[fid] = rest[1]
        elif what == "rename":
            live.execute("UPDATE industrial_zones SET name_vi = 'y' WHERE fid = ?", (fid,))
        elif what == "renumber" and rest[1] not in expected:
            blob = encode([rest[2]])[0]
            live.execute("UPDATE industrial_zones SET fid = ?, geom = ? WHERE fid = ?", (rest[1], blob, fid))
            del expected[fid]
            expected[rest[1]] = rest[2]
        elif what == "delete":
            live.execute("DELETE FROM industrial_zones WHERE fid = ?", (fid,))
            del expected[fid]
    tree = {r[0]: r[1:] for r in live.execute(f"SELECT id, minx, miny, maxx, maxy FROM {TREE}")}
    assert tree == {k: g.bounds for k, g in expected.items() if g is not None and not g.is_empty}
    assert live.execute(f"SELECT rtreecheck('{TREE}')").fetchone() == ("ok",)
    live.execute("ROLLBACK")


# --- the file as others see it ---


def test_application_id_version_and_integrity(starter_store):
    raw = (starter_store / "cangxanh.gpkg").read_bytes()[:100]
    assert raw[:16] == b"SQLite format 3\0" and raw[68:72] == b"GPKG"
    assert struct.unpack(">I", raw[60:64]) == (10400,)
    with closing(sqlite3.connect(starter_store / "cangxanh.gpkg")) as con:
        assert con.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert con.execute("PRAGMA foreign_key_check").fetchall() == []
        for name in LAYERS:
            assert con.execute(f"SELECT rtreecheck('rtree_{name}_geom')").fetchone() == ("ok",)
        assert con.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_contents_name_every_layer_with_its_extent(starter_facts, starter_store):
    with closing(sqlite3.connect(starter_store / "cangxanh.gpkg")) as con:
        rows = {
            r[0]: r[1:]
            for r in con.execute("SELECT table_name, data_type, srs_id, min_x, min_y, max_x, max_y FROM gpkg_contents")
        }
        kinds = dict(con.execute("SELECT table_name, geometry_type_name FROM gpkg_geometry_columns"))
        trees = {r[0] for r in con.execute("SELECT table_name FROM gpkg_extensions")}
    assert set(rows) == set(ALL) and set(kinds) == trees == set(LAYERS)
    for name, layer in ALL.items():
        data_type, srs, *extent = rows[name]
        assert (data_type, srs) == (("features", 4326) if layer.geometry else ("attributes", None))
        if not layer.geometry:
            continue
        frame = starter_facts.snapshot(name)
        real = frame.total_bounds
        if np.isnan(real).all():
            assert extent == [None] * 4
        else:  # the tree keeps 32-bit floats, rounded outwards
            assert np.abs(np.array(extent) - real).max() < 2e-5
            assert extent[0] <= real[0] and extent[1] <= real[1] and extent[2] >= real[2] and extent[3] >= real[3]


def test_declared_geometry_types_hold(starter_store):
    with closing(sqlite3.connect(starter_store / "cangxanh.gpkg")) as con:
        for name, kind in con.execute("SELECT table_name, geometry_type_name FROM gpkg_geometry_columns"):
            blobs = [r[0] for r in con.execute(f'SELECT geom FROM "{name}" WHERE geom NOTNULL')]
            found = {g.geom_type.upper() for g in decode(blobs)}
            assert kind == "GEOMETRY" or found <= {kind}, name


BOX = (106.6, 20.7, 106.8, 20.9)
READ_ALL = """
import numpy as np, pyogrio, shapely
out = {}
for name, kind in pyogrio.list_layers(args[0]):
    info = pyogrio.read_info(args[0], layer=name)
    frame = pyogrio.read_dataframe(args[0], layer=name)
    shapes = frame.geometry.to_numpy() if kind else np.array([])
    out[name] = {"kind": kind, "features": info["features"], "rows": len(frame), "crs": info["crs"],
                 "placed": int((~shapely.is_missing(shapes)).sum()), "columns": list(frame.columns),
                 "first": str(frame.iloc[0, 1]) if len(frame) else None}
    if kind:
        box = pyogrio.read_bounds(args[0], layer=name, bbox=(106.6, 20.7, 106.8, 20.9))[0]
        out[name]["near"] = len(box)
say(out)
"""


def test_gdal_in_another_process_sees_every_layer(ask, starter_facts):
    there = ask(READ_ALL, starter_facts.path)
    assert set(there) == set(ALL)
    for name, layer in ALL.items():
        here, its = starter_facts.snapshot(name), there[name]
        assert its["features"] == its["rows"] == len(here), name
        fields = [f.name for f in layer.fields]
        assert its["columns"] == [*fields, "geometry"] if layer.geometry else fields
        if layer.geometry:
            assert its["crs"] == "EPSG:4326"
            assert its["placed"] == int((~shapely.is_missing(here.geometry.to_numpy())).sum())
            near = starter_facts.within(name, *BOX).geometry.intersects(box(*BOX))  # GDAL looks at the shapes too
            assert its["near"] == near.sum() == here.geometry.intersects(box(*BOX)).sum(), name


def test_a_stranger_may_append_through_the_triggers(ask, store):
    """GDAL writes into the live file from its own process; the app reads it and its tree afterwards."""
    store.write(zones([box(1, 1, 2, 2)]), source="test")
    code = """
import geopandas as gpd, pyogrio, shapely
row = {"code": ["Q1"], "name_vi": ["QGIS"], "kind": ["industrial_park"], "state": ["operating"],
       "geometry_quality": ["digitised"], "source": ["by hand"], "confidence": ["high"]}
frame = gpd.GeoDataFrame(row, geometry=[shapely.Point(5, 6)], crs=4326)
pyogrio.write_dataframe(frame, args[0], layer="industrial_zones", driver="GPKG", append=True)
say(len(pyogrio.read_dataframe(args[0], layer="industrial_zones")))
"""
    assert ask(code, store.path) == 2
    assert store.within("industrial_zones", 4, 5, 6, 7)["code"].tolist() == ["Q1"]
    store.write(zones([Point(3, 3)], code=["Z9"]), source="test", mode="append")
    assert set(store.within("industrial_zones", 0, 0, 9, 9)["code"]) == {"Z0", "Q1", "Z9"}


def test_the_geometry_type_of_sqlalchemy():
    engine = sa.create_engine("sqlite://")
    table = sa.Table("t", sa.MetaData(), sa.Column("g", geopackage.Geometry("POINT")))
    table.create(engine)
    with engine.begin() as con:
        con.execute(table.insert(), [{"g": Point(1, 2)}, {"g": None}])
        back = con.execute(sa.select(table.c.g)).scalars().all()
    engine.dispose()
    assert back[0].equals_exact(Point(1, 2), 0) and back[1] is None


def test_a_copy_is_one_file_in_rollback_mode(store, tmp_path):
    store.write(zones([box(1, 1, 2, 2)]), source="test")
    store.copy_to(tmp_path / "copy.gpkg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy.gpkg", "data"]
    with closing(sqlite3.connect(tmp_path / "copy.gpkg")) as con:
        assert con.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert con.execute("SELECT count(*) FROM industrial_zones").fetchone() == (1,)
