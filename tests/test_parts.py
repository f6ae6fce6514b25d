"""Versions share the parts that did not change: the same rows and hash as packed whole, whatever came before."""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import zlib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import archive, geopackage, rows, tables
from layers import store as store_module
from layers.catalogue import ALL
from layers.checks import check
from layers.errors import StoreError
from layers.store import Store
from server import changes, featureedits
from server.featureedits import Editor, Row
from server.layerbook import LayerBook
from server.people import User

ROOT = Path(__file__).resolve().parent.parent
POINTS, AREAS = ALL["receptors"], ALL["built_up"]
PLANNER = User(1, "planner-1", "Planner 1", "planner")


def made(numbers, layer=POINTS, *, said="", at=0.0):
    """Rows of a layer with these numbers in their codes."""
    lon, lat = [106.5 + n * 1e-4 + at for n in numbers], [20.8 + n % 7 * 1e-3 for n in numbers]
    shapes = (
        shapely.points(lon, lat)
        if layer is POINTS
        else shapely.box(lon, lat, [x + 1e-4 for x in lon], [y + 1e-4 for y in lat])
    )
    table = pd.DataFrame({"code": [f"R{n:05}" for n in numbers], "name_vi": [f"Điểm {n}{said}" for n in numbers],
                          "geometry_quality": "surveyed", "source": "test", "confidence": "high"})  # fmt: skip
    return check(layer, gpd.GeoDataFrame(table, geometry=shapes, crs=4326))


def small(monkeypatch, cut=4, least=2, most=9):
    """Parts of a few rows, so that small layers have many."""
    for name, value in (("CUT", cut), ("LEAST_ROWS", least), ("MOST_ROWS", most)):
        monkeypatch.setattr(archive, name, value)


def listed(store, name, version):
    with store.reading() as con:
        return archive.parts(con, name, version)


def contents(store):
    with store.reading() as con:
        return con.exec_driver_sql("SELECT count(*) FROM cx_parts").scalar()


def by_hand(store, name, version):
    """The hash of a version as its definition says, from the file, in plain SQL."""
    query = (
        "SELECT body FROM cx_archive JOIN cx_parts ON cx_parts.id = content WHERE layer=? AND version=? ORDER BY part"
    )
    with closing(sqlite3.connect(store.path)) as con:
        bodies = [zlib.decompress(b) for (b,) in con.execute(query, (name, version))]
    lines = "".join(hashlib.sha256(b).hexdigest() + "\n" for b in bodies)
    return hashlib.sha256(lines.encode()).hexdigest(), [row for b in bodies for row in json.loads(b)["rows"]]


def plain(frame):
    """A frame to compare: areas as multi areas, a text of nothing as none, shapes as WKB."""
    out = pd.DataFrame(frame.drop(columns="geometry", errors="ignore")).replace({"": None})
    return out.assign(geometry=shapely.to_wkb([rows.multi(g) for g in frame.geometry])) if "geometry" in frame else out


def packed_whole(store, layer, frame):
    """The hashes of the parts of a frame packed from its first row to its last one; nothing is kept."""
    packer = None
    with pytest.raises(ZeroDivisionError), store.transaction() as con:
        packer = archive.Packer(con, layer)
        for some in rows.pieces(layer, check(layer, frame, repair=False).rows, 7):
            packer.feed(some)
        packer.end()
        raise ZeroDivisionError
    return [p.sha256 for p in packer.parts]


def same(a, b):
    pd.testing.assert_frame_equal(plain(a), plain(b))


def test_an_edit_of_one_row_adds_two_parts_and_shares_the_rest(store):
    store.write(made(range(3_000)), source="test")
    before, kept = listed(store, "receptors", 1), contents(store)
    store.write(made([1_500], said=" mới"), source="test", mode="upsert")
    after = listed(store, "receptors", 2)
    assert len(before) > 4 and contents(store) - kept <= 2
    assert len({p.content for p in before} & {p.content for p in after}) >= len(before) - 2
    assert sum(p.rows for p in after) == 3_000
    assert store.snapshot("receptors")["code"].tolist() == [
        f"R{n:05}" for n in [*range(1_500), *range(1_501, 3_000), 1_500]
    ]


def test_the_hash_of_a_version_is_made_as_it_is_said(store):
    store.write(made(range(1_200)), source="test")
    store.write(made([7, 1_199]), source="test", mode="upsert")
    for v in store.history("receptors"):
        digest, found = by_hand(store, "receptors", v["version"])
        assert v["sha256"] == digest and v["scheme"] == archive.IN_PARTS and v["rows"] == len(found) == 1_200
    assert store.faults() == []


def test_a_part_ends_where_its_rows_say_and_when_it_is_full(store, monkeypatch):
    small(monkeypatch, cut=1, least=3, most=100)
    store.write(made(range(10)), source="test")
    assert [p.rows for p in listed(store, "receptors", 1)] == [3, 3, 3, 1]
    small(monkeypatch, cut=10**9, least=1, most=4)
    store.write(made(range(10)), source="test")
    assert [p.rows for p in listed(store, "receptors", 2)] == [4, 4, 2]
    monkeypatch.setattr(archive, "PART_CHARACTERS", 1)
    store.write(made(range(3)), source="test")
    assert [p.rows for p in listed(store, "receptors", 3)] == [1, 1, 1]


def test_an_emptied_layer_has_a_version_of_its_own(store):
    store.write(made(range(3)), source="test")
    store.write(made([]), source="test")
    assert [p.rows for p in listed(store, "receptors", 2)] == [0] and store.kept("receptors") == {1, 2}
    assert len(store.snapshot("receptors")) == 0 and store.history("receptors")[0]["rows"] == 0
    store.write(made([5]), source="test", mode="append")
    assert store.snapshot("receptors")["code"].tolist() == ["R00005"] and store.faults() == []
    store.restore("receptors", 2)
    assert len(store.snapshot("receptors")) == 0


STEP = st.one_of(
    st.tuples(st.just("upsert"), st.lists(st.integers(0, 40), unique=True, max_size=12), st.integers(0, 3)),
    st.tuples(st.just("replace"), st.lists(st.integers(0, 40), unique=True, max_size=40), st.integers(0, 3)),
    st.tuples(st.just("append"), st.lists(st.integers(41, 60), unique=True, max_size=8), st.just(0)),
    st.tuples(st.just("edit"), st.integers(0, 60), st.integers(0, 3)),
    st.tuples(st.just("remove"), st.integers(0, 60), st.just(0)),
    st.tuples(st.just("restore"), st.integers(1, 12), st.just(0)),
    st.tuples(st.just("outside"), st.integers(0, 60), st.sampled_from(["name", "delete", "blank", "square"])),
    st.tuples(st.just("gone"), st.just(0), st.just(0)),
)


def outside(store, layer, number, how):
    """What another program does to a row: a field, a row, a text of nothing, an area that is no multi area."""
    code, blob = f"R{number:05}", shapely.box(106.5, 20.8, 106.6, 20.9)
    sql, values = {
        "name": (f"UPDATE {layer.name} SET name_en='seen' WHERE code=?", (code,)),
        "delete": (f"DELETE FROM {layer.name} WHERE code=?", (code,)),
        "blank": (f"UPDATE {layer.name} SET name_en='' WHERE code=?", (code,)),
        "square": (f"UPDATE {layer.name} SET geom=? WHERE code=?", (geopackage.encode([blob])[0], code)),
    }[how]
    with closing(sqlite3.connect(store.path, timeout=15)) as con, con:
        geopackage.register_functions(con)
        con.execute(sql, values)
        con.execute(
            "UPDATE gpkg_contents SET last_change=? WHERE table_name=?", (datetime.now(UTC).isoformat(), layer.name)
        )


def done(store, layer, editor, what, which, how):
    """One step of a life of a layer."""
    frame, name = store.snapshot(layer.name), layer.name
    if what in ("upsert", "replace"):
        store.write(made(which, layer, said=f" {how}", at=how * 1e-3), source=what, mode=what)
    elif what == "append":
        there = set(frame["code"])
        store.write(made([n for n in which if f"R{n:05}" not in there], layer), source=what, mode=what)
    elif what == "restore":
        kept = sorted(store.kept(name))
        store.restore(name, kept[which % len(kept)])
    elif what == "outside" and not (how == "square" and layer is POINTS):
        outside(store, layer, which, how)
    elif what == "gone":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store_module, "KEPT_FOR", timedelta(seconds=-1))
            store.write(made([99], layer, said=" gone"), source=what, mode="upsert")
    elif what in ("edit", "remove"):
        key = (f"R{which:05}",)
        i = rows.at_key(layer, frame, key)
        row = None if i is None else featureedits.row_of(layer, frame.iloc[i])
        if row and what == "edit":
            editor.save(layer, key, row, Row(row.values | {"name_vi": f"sửa {how}"}, row.place))
        elif row:
            editor.remove(layer, key, row)


def stands(store, name, version):
    """The fids noted for each part of the newest version are those of its rows in the table."""
    with store.reading() as con:
        found, every = archive.parts(con, name, version), []
        for part in found if found[0].first is not None else ():
            fids = [fid for some, _ in tables.walk(con, name, first=part.first, last=part.last) for fid in some]
            assert (fids[0], fids[-1], len(fids)) == (part.first, part.last, part.rows)
            every += fids
        assert not every or every == tables.fids(con, name)
        return [p.sha256 for p in found]


@settings(max_examples=25)
@given(steps=st.lists(STEP, min_size=1, max_size=9), layer=st.sampled_from([POINTS, AREAS]))
def test_whatever_happens_every_version_is_as_if_packed_whole(tmp_path_factory, steps, layer):
    folder, name, seen = tmp_path_factory.mktemp("any"), layer.name, {}
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        store, other = Store(folder, synchronous="OFF"), Store(folder, synchronous="OFF")
        editor = Editor(store, PLANNER, lambda: datetime.now(UTC))
        store.write(made(range(30), layer), source="first")
        for step in [("none", 0, 0), *steps]:
            done(store, layer, editor, *step)
            now = store.versions()[name]
            frame = store.snapshot(name)
            same(frame, other.snapshot(name))
            assert stands(store, name, now) == packed_whole(store, layer, frame)
            seen[now] = frame
        fresh = Store(folder)
        assert fresh.faults() == []
        kept = sorted(fresh.kept(name))
        for v in fresh.history(name):
            if v["version"] in kept:
                assert by_hand(fresh, name, v["version"])[0] == v["sha256"]
                for read in (fresh, store) if v["version"] in seen else ():
                    same(read.version(name, v["version"]), seen[v["version"]])
        book = LayerBook(store)
        for a, b in zip([0, *kept], kept, strict=False):
            slow = changes.difference(
                layer, fresh.version(name, a) if a else made([], layer).rows, fresh.version(name, b)
            )
            quick = book.difference(name, a, b)
            assert (quick.counts, quick.same) == (slow.counts, slow.same)
            assert [(c.kind, c.key, c.fields) for c in quick.changes] == [
                (c.kind, c.key, c.fields) for c in slow.changes
            ]
        with fresh.reading() as con:
            idle = "SELECT count(*) FROM cx_parts WHERE id NOT IN (SELECT content FROM cx_archive)"
            assert con.exec_driver_sql(idle).scalar() == 0
        for one in (store, other, fresh):
            one.close()


def test_parts_go_when_the_last_version_that_needs_them_does(store, monkeypatch):
    small(monkeypatch)
    store.write(made(range(40)), source="test")
    first = {p.content for p in listed(store, "receptors", 1)}
    for n in (3, 20):
        store.write(made([n], said=" mới"), source="test", mode="upsert")
    monkeypatch.setattr(store_module, "KEPT_FOR", timedelta(seconds=-1))
    store.write(made([5], said=" mới"), source="test", mode="upsert")
    assert store.kept("receptors") == {3, 4}
    with store.reading() as con:
        left = set(con.exec_driver_sql("SELECT id FROM cx_parts").scalars())
    needed = {p.content for v in (3, 4) for p in listed(store, "receptors", v)}
    assert left == needed and first & needed and first - needed
    assert len(store.version("receptors", 3)) == 40 and store.faults() == []
    with pytest.raises(StoreError, match="not kept"):
        store.version("receptors", 1)


def test_rows_that_were_tampered_with_are_found(store, monkeypatch):
    small(monkeypatch, cut=50, least=20, most=80)
    store.write(made(range(300)), source="test")
    store.write(made([7], said=" mới"), source="test", mode="upsert")
    part = listed(store, "receptors", 1)[0]

    def put(body):
        with store.transaction() as con:
            con.exec_driver_sql("UPDATE cx_parts SET body=? WHERE id=?", (body, part.content))

    with store.reading() as con:
        good = con.exec_driver_sql("SELECT body FROM cx_parts WHERE id=?", (part.content,)).scalar()
    put(zlib.compress(zlib.decompress(good).replace('Điểm 1"'.encode(), 'Điểm 2"'.encode())))
    assert ["version 1" in f for f in store.faults("receptors")] == [True]
    put(good[:-20])
    assert len(store.faults()) == 1 and "phiên bản 1" in store.faults()[0].vi
    put(good)
    assert store.faults() == []
    with store.transaction() as con:  # the first part comes last
        con.exec_driver_sql("UPDATE cx_archive SET part=part+100 WHERE layer='receptors' AND version=2 AND part=0")
    assert ["version 2" in f for f in store.faults()] == [True]


KILLED = """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2] + "/tests")
    from layers import archive
    from layers.store import Store
    import test_parts as t

    store, at, calls = Store(Path(sys.argv[1])), int(sys.argv[3]), 0

    def counted(whole):
        def call(*given, **more):
            global calls
            calls += 1
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return whole(*given, **more)
        return call

    archive.Packer._flush = counted(archive.Packer._flush)
    archive.put, archive.drop = counted(archive.put), counted(archive.drop)
    if sys.argv[4] == "edit":
        store.write(t.made([7], said=" mới"), source="test", mode="upsert")
    else:
        store.restore("receptors", 1)
    print("survived")
"""


@pytest.mark.parametrize("how", ["edit", "restore"])
def test_a_machine_that_dies_leaves_the_version_before(tmp_path, how):
    store = Store(tmp_path)
    store.write(made(range(900)), source="test")
    store.write(made(range(500, 950), said=" sửa"), source="test", mode="upsert")
    before, frame = store.history("receptors"), store.snapshot("receptors")
    store.close()
    path = {"PYTHONPATH": str(ROOT)} | {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    told = []
    for at in (1, 2, 3, 4, 99):
        code = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path), str(ROOT), str(at), how]
        dead = subprocess.run(code, env=path, cwd=ROOT, capture_output=True, text=True, check=False)
        told.append(dead.returncode)
        assert dead.returncode in (0, -signal.SIGKILL), dead.stderr
        store = Store(tmp_path)
        if dead.returncode:
            assert store.history("receptors") == before and store.faults() == []
            same(store.snapshot("receptors"), frame)
        with store.reading() as con:
            idle = "SELECT count(*) FROM cx_parts WHERE id NOT IN (SELECT content FROM cx_archive)"
            assert con.exec_driver_sql(idle).scalar() == 0
        store.close()
        if not dead.returncode:
            break
    assert told[0] == -signal.SIGKILL and told[-1] == 0
    assert Store(tmp_path).versions()["receptors"] == 3
