"""The store: versions, snapshots, one transaction or none, several threads and processes, and kill -9."""

import sqlite3
import threading
from contextlib import closing
from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from shapely.geometry import MultiPolygon, Point, Polygon, box

from layers import geopackage
from layers.catalogue import ALL
from layers.checks import CheckedLayer, check
from layers.errors import LayerError, StoreError
from layers.store import FILE_NAME, Store


def norms(codes, **changes):
    row = {
        "code": list(codes),
        "norm_vi": "Định mức",
        "norm_en": "Norm",
        "value_low": 1,
        "value_likely": 2,
        "value_high": 3,
        "unit": "m³",
        "reference": "QCVN",
        "source": "a book",
        "confidence": "high",
    }
    return check(ALL["norms"], pd.DataFrame(row | changes))


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


def states(plants, days, **changes):
    row = {
        "plant": list(plants),
        "valid_from": list(days),
        "state": "operating",
        "compliance": "meets",
        "source": "s",
        "confidence": "high",
    }
    return check(ALL["plant_states"], pd.DataFrame(row | changes))


def codes(store, name="norms"):
    return store.snapshot(name)["code"].tolist()


# --- versions and snapshots ---


def test_an_empty_store_has_layers_and_no_versions(store):
    assert store.versions() == {} and store.history() == [] and store.data_version() == (0, None)
    for name, layer in ALL.items():
        frame = store.snapshot(name)
        assert len(frame) == 0 and [c for c in frame if c != "geometry"] == [f.name for f in layer.fields]
        assert not layer.geometry or frame.crs.to_epsg() == 4326


def test_each_write_is_a_version_with_its_story(store):
    store.write(norms("ab"), source="first file", who="Lan", note="trial")
    store.write(norms("abc"), source="second file")
    store.write(zones([Point(1, 2)]), source="a plan")
    assert store.versions() == {"norms": 2, "industrial_zones": 1}
    newest, first = store.history("norms")
    assert (first["version"], first["rows"], first["who"], first["source"], first["note"]) == (
        1,
        2,
        "Lan",
        "first file",
        "trial",
    )
    assert (newest["version"], newest["rows"], newest["who"], newest["note"]) == (2, 3, "system", None)
    assert [h["layer"] for h in store.history()] == ["industrial_zones", "norms", "norms"]
    number, at = store.data_version()
    assert number == 3 and at == store.history()[0]["at"] and at >= first["at"]


def test_the_hash_speaks_of_the_rows(store):
    store.write(norms("ab"), source="x")
    store.write(norms("ab"), source="y")
    store.write(norms("ab", value_low=0), source="y")
    store.write(zones([Point(1, 2)]), source="x")
    store.write(zones([Point(1, 2.5)]), source="x")
    third, second, first = (h["sha256"] for h in store.history("norms"))
    assert first == second != third and len(first) == 64
    moved, there = (h["sha256"] for h in store.history("industrial_zones"))
    assert moved != there


def test_a_snapshot_is_kept_until_the_layer_changes(store):
    store.write(norms("a"), source="x")
    first = store.snapshot("norms")
    store.write(zones([Point(1, 2)]), source="x")
    assert store.snapshot("norms") is first
    store.write(norms("b"), source="x")
    assert codes(store) == ["b"] and first["code"].tolist() == ["a"]


def test_a_snapshot_is_fresh_when_another_process_wrote(store, ask):
    store.write(norms("a"), source="x")
    assert codes(store) == ["a"]
    code = """
from layers.store import Store
store = Store(args[0])
frame = store.snapshot("norms").assign(code="theirs")
from layers.catalogue import ALL
from layers.checks import check
store.write(check(ALL["norms"], frame), source="another process", mode="append")
say(store.versions())
"""
    assert ask(code, store.data_dir) == {"norms": 2}
    assert codes(store) == ["a", "theirs"] and store.versions() == {"norms": 2}


def test_replace_append_upsert(store):
    store.write(norms("ab"), source="x")
    store.write(norms("cd"), source="x", mode="append")
    assert codes(store) == list("abcd")
    store.write(norms("be", unit="new"), source="x", mode="upsert")
    frame = store.snapshot("norms").set_index("code")
    assert sorted(frame.index) == list("abcde")
    assert frame["unit"].to_dict() == {"a": "m³", "b": "new", "c": "m³", "d": "m³", "e": "new"}
    store.write(norms("z"), source="x")
    assert codes(store) == ["z"]
    assert [h["rows"] for h in store.history("norms")] == [1, 5, 4, 2]
    with pytest.raises(ValueError, match="merge"):
        store.write(norms("z"), source="x", mode="merge")


def test_upsert_knows_dates_and_blanks_in_a_key(store):
    store.write(states("PPQ", [None, "2020-07-01", None]), source="x")
    store.write(states("PP", ["2020-07-01", None], state="idle"), source="x", mode="upsert")
    frame = store.snapshot("plant_states")
    assert len(frame) == 3
    assert sorted(frame.loc[frame["plant"] == "P", "state"]) == ["idle", "idle"]


def test_appending_a_key_that_is_there_is_refused(store):
    store.write(norms("ab"), source="x")
    store.write(states("P", [None]), source="x")
    with pytest.raises(StoreError, match="norms: b is there already; nothing was written"):
        store.write(norms("cb"), source="x", mode="append")
    with pytest.raises(StoreError, match="plant_states: P/– is there already"):
        store.write(states("P", [None]), source="x", mode="append")
    assert codes(store) == ["a", "b"] and store.versions() == {"norms": 1, "plant_states": 1}


def test_only_what_was_checked_is_written(store):
    with pytest.raises(TypeError, match="check"):
        store.write(pd.DataFrame({"code": ["a"]}), source="x")
    assert store.versions() == {}


def test_write_all_is_all_or_nothing(store):
    store.write(norms("a"), source="x")
    bad = CheckedLayer(ALL["crosswalk"], pd.DataFrame({f.name: [None] for f in ALL["crosswalk"].fields}))
    with pytest.raises(sa.exc.IntegrityError):
        store.write_all([norms("b"), zones([Point(1, 2)]), bad], source="x", meta={"k": "v"})
    assert codes(store) == ["a"] and codes(store, "industrial_zones") == []
    assert store.versions() == {"norms": 1} and store.meta("k") is None
    assert len(store.within("industrial_zones", -180, -90, 180, 90)) == 0
    store.write_all([norms("b"), zones([Point(1, 2)])], source="x", meta={"k": "v"})
    assert store.versions() == {"norms": 2, "industrial_zones": 1} and store.meta("k") == "v"


def test_write_all_once(store):
    assert store.write_all([norms("a")], source="x", meta={"done": "1"}, once="done") is True
    assert store.write_all([norms("b")], source="x", meta={"done": "2"}, once="done") is False
    assert codes(store) == ["a"] and store.meta("done") == "1" and store.versions() == {"norms": 1}


# --- values ---


def test_dates_numbers_and_missing_values_survive(store):
    shapes = [None, Point(106.7, 20.8), box(1, 2, 3, 4)]
    written = zones(
        shapes,
        valid_from=["0001-01-01", "2025-07-01", None],
        valid_to=[None, None, "9999-12-31"],
        established_year=[None, 1994, 2008],
        area_ha=[0, None, 1 / 3],
        name_en=["", "Ω ''; DROP TABLE x", "=1+1"],
        note_vi=["dòng 1\ndòng 2", None, "Đồ Sơn \U0001f6a2"],
    )
    store.write(written, source="x")
    back = store.snapshot("industrial_zones")
    pd.testing.assert_frame_equal(
        pd.DataFrame(back.drop(columns="geometry")), pd.DataFrame(written.rows.drop(columns="geometry"))
    )
    assert back["area_ha"].tolist()[0] == 0 and np.isnan(back["area_ha"][1])  # zero is not missing
    assert back["valid_from"][1] == pd.Timestamp("2025-07-01") and pd.isna(back["valid_from"][2])
    assert back["name_en"].tolist() == [None, "Ω ''; DROP TABLE x", "=1+1"]
    assert back.geometry[0] is None
    assert back.geometry[1].equals_exact(shapes[1], 0) and back.geometry[2].equals_exact(shapes[2], 0)
    assert back.crs.to_epsg() == 4326


def test_what_is_read_passes_the_door_again(starter_facts):
    for name, layer in ALL.items():
        done = check(layer, starter_facts.snapshot(name))
        assert done.repairs == () and len(done.rows) == len(starter_facts.snapshot(name))


def test_areas_are_kept_as_multi_areas(store):
    row = {
        "code": ["A", "B", "C"],
        "name_vi": "x",
        "plant": "P",
        "geometry_quality": "none",
        "source": "s",
        "confidence": "low",
    }
    shapes = [box(0, 0, 1, 1), MultiPolygon([box(0, 0, 1, 1), box(2, 2, 3, 3)]), Polygon()]
    store.write(check(ALL["service_areas"], gpd.GeoDataFrame(row, geometry=shapes, crs=4326)), source="x")
    one, two, none = store.snapshot("service_areas").geometry
    assert one.geom_type == two.geom_type == "MultiPolygon" and none is None
    assert one.equals(shapes[0]) and two.equals(shapes[1])


def test_within_a_box(store):
    store.write(zones([Point(1, 1), box(2, 2, 4, 4), Point(9, 9), None, Point()]), source="x")

    def found(*bounds):
        return store.within("industrial_zones", *bounds)["code"].tolist()

    assert found(0, 0, 3, 3) == ["Z0", "Z1"]
    assert found(3, 3, 3.5, 3.5) == ["Z1"]  # inside the area
    assert found(1, 1, 1, 1) == ["Z0"] and found(9, 9, 9, 9) == ["Z2"]  # an edge belongs to the box
    assert found(5, 5, 6, 6) == [] and found(-180, -90, 180, 90) == ["Z0", "Z1", "Z2"]
    frame = store.within("industrial_zones", 0, 0, 3, 3)
    assert isinstance(frame, gpd.GeoDataFrame) and frame.crs.to_epsg() == 4326


def test_within_finds_more_than_a_statement_has_room_for(store):
    """SQLite takes 32,766 parameters; a box may hold more records. Here it takes 20."""
    raw = store._engine.raw_connection()
    raw.driver_connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 60)
    store.write(zones([Point(1, 2)] * 70), source="x")
    raw.driver_connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 20)
    raw.close()
    assert len(store.within("industrial_zones", 0, 0, 3, 3)) == 70


# --- doors ---


def test_a_newer_schema_is_refused_in_words(store):
    store.close()
    with closing(sqlite3.connect(store.path)) as con, con:
        con.execute("UPDATE cx_meta SET value = '99' WHERE key = 'schema_version'")
    with pytest.raises(StoreError, match=r"written by a newer version of Cảng Xanh \(schema 99.*Update the program"):
        Store(store.data_dir)
    with closing(sqlite3.connect(store.path)) as con:
        assert con.execute("SELECT value FROM cx_meta WHERE key = 'schema_version'").fetchone() == ("99",)


@pytest.mark.parametrize("content", [b"this is not a database " * 99, b"SQLite format 3\0" + b"\xff" * 2000])
def test_a_file_that_is_no_database(tmp_path, content):
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(StoreError, match=r"cannot be opened as a GeoPackage.*Move it away"):
        Store(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == content


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_a_folder_that_cannot_be_written(tmp_path, inside):
    (tmp_path / "occupied").write_text("I am a file")
    with pytest.raises(StoreError, match=r"cannot be written.*--data DIR") as caught:
        Store(tmp_path / "occupied" / inside)
    assert isinstance(caught.value, LayerError) and caught.value.code == "store"


def test_a_disk_that_refuses_leaves_nothing_half(store):
    store.write(norms("a"), source="x")
    raw = store._engine.raw_connection()
    pages = raw.driver_connection.execute("PRAGMA page_count").fetchone()[0]
    raw.driver_connection.execute(f"PRAGMA max_page_count = {pages}")  # as if the disk were full
    raw.close()
    with pytest.raises(StoreError, match=r"Nothing was written: database or disk is full\. Check the disk"):
        store.write(norms((f"n{i}" for i in range(500)), note_vi="x" * 500), source="x")
    assert codes(store) == ["a"] and store.versions() == {"norms": 1}


def test_opening_again_keeps_everything(tmp_path):
    with closing(Store(tmp_path)) as store:
        store.write(norms("a"), source="x", note="n")
    with closing(Store(tmp_path)) as store:
        assert codes(store) == ["a"] and store.history()[0]["note"] == "n"
    assert [p.name for p in tmp_path.iterdir()] == [FILE_NAME]  # closed: no -wal left behind


def test_a_file_that_another_program_holds(store, monkeypatch):
    store.close()
    monkeypatch.setattr(geopackage, "_WAIT_S", 0.05)
    with closing(sqlite3.connect(store.path)) as con:
        con.execute("PRAGMA locking_mode=EXCLUSIVE")
        con.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match=r"is held by another program. Close that program"):
            Store(store.data_dir)


# --- many at once ---


def test_threads_read_whole_versions_while_one_writes(store):
    """Every version holds its own number in every row, in two layers that are written together."""
    stop, wrong = threading.Event(), []

    def version(i):
        n = 1 + i % 7
        return [
            norms((f"n{k}" for k in range(n)), unit=str(i)),
            zones([Point(k, k) for k in range(n)], name_vi=str(i)),
        ]

    store.write_all(version(0), source="x")

    def read():
        try:
            while not stop.is_set():
                frame = store.snapshot("norms")
                i = {int(u) for u in frame["unit"]}
                if len(i) != 1 or len(frame) != 1 + i.pop() % 7:
                    wrong.append(frame)
                boxed = store.within("industrial_zones", -1, -1, 9, 9)
                if boxed["name_vi"].nunique() != 1 or len(boxed) != 1 + int(boxed["name_vi"][0]) % 7:
                    wrong.append(boxed)
                store.versions()
                stop.wait(0.002)
        except Exception as e:
            wrong.append(e)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for r in readers:
        r.start()
    for i in range(1, 15):
        store.write_all(version(i), source="x")
    stop.set()
    for r in readers:
        r.join()
    assert wrong == []
    assert store.versions() == {"norms": 15, "industrial_zones": 15}
    assert set(store.snapshot("norms")["unit"]) == {"14"}


def test_threads_that_write_wait_for_each_other(store):
    wrong = []

    def write(who):
        try:
            for i in range(10):
                store.write(norms([f"{who}-{i}"]), source=who, mode="append")
        except Exception as e:
            wrong.append(e)

    writers = [threading.Thread(target=write, args=(w,)) for w in "abcd"]
    for w in writers:
        w.start()
    for w in writers:
        w.join()
    assert wrong == [] and len(codes(store)) == 40 and store.versions() == {"norms": 40}
    assert [h["rows"] for h in store.history("norms")] == list(range(40, 0, -1))


GDAL_READER = """
import threading
import pyogrio.raw
COUNT = "SELECT count(*) n, min(name_vi) a, max(name_vi) z FROM industrial_zones"
stop = threading.Event()
threading.Thread(target=lambda: (hear(), stop.set()), daemon=True).start()
say("ready")
counted, read, reads = set(), set(), 0
while not stop.is_set() or reads < 20:
    one = pyogrio.raw.read(args[0], sql=COUNT)[3]
    counted.add(tuple(str(column[0]) for column in one))
    names = pyogrio.raw.read(args[0], layer="industrial_zones", columns=["name_vi"])[3][0]
    read.add(tuple(sorted(set(names))))
    reads += 1
say({"reads": reads, "counted": sorted(counted), "read": sorted(read)})
"""


def test_gdal_reads_whole_versions_in_another_process_while_we_write(store, elsewhere, tmp_path):
    """One statement sees one version. (pyogrio asks for the count and the rows in two statements, so only
    the names are compared there.)"""

    def version(i):
        n = 5 * (1 + i % 4)
        return zones([box(k, k, k + 1, k + 1) for k in range(n)], name_vi=str(i))

    made = [version(i) for i in range(4)]
    store.write(made[0], source="x")
    child = elsewhere(GDAL_READER, store.path)
    assert child.hear() == "ready"
    for i in range(1, 201):
        store.write(made[i % 4], source="x")
        if i % 100 == 0:  # a copy of the open file while it is being read and written
            store.copy_to(tmp_path / "copy.gpkg")
    child.say("stop")
    answer = child.hear()
    assert answer["reads"] >= 20 and len(answer["counted"]) > 1
    assert set(answer["counted"]) <= {(str(5 * (1 + i)), str(i), str(i)) for i in range(4)}
    assert set(answer["read"]) <= {(str(i),) for i in range(4)}
    assert store.versions() == {"industrial_zones": 201}
    with closing(sqlite3.connect(tmp_path / "copy.gpkg")) as con:
        (count,) = con.execute("SELECT count(*) FROM industrial_zones").fetchone()
        assert count == 5 * (1 + 200 % 4)
        assert con.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_copy_of_the_open_store_is_one_file_for_anybody(filled, ask, tmp_path):
    filled.write(norms("a"), source="x", mode="append")
    filled.copy_to(tmp_path / "copy.gpkg")
    filled.write(norms("b"), source="x", mode="append")
    code = """
import pyogrio
layers = pyogrio.list_layers(args[0])[:, 0].tolist()
say({n: pyogrio.read_info(args[0], layer=n)["features"] for n in layers})
"""
    there = ask(code, tmp_path / "copy.gpkg")
    assert there == {n: len(filled.snapshot(n)) - (n == "norms") for n in ALL}
    assert not list(tmp_path.glob("copy.gpkg*-*")) and not list(tmp_path.glob("*.part"))


WRITER = """
import geopandas as gpd, pandas as pd
from shapely.geometry import Point
from layers.catalogue import ALL
from layers.checks import check
from layers.store import Store

def made(label):
    three = [f"{label}-{k}" for k in range(3)]
    row = {"code": three, "norm_vi": label, "norm_en": "Norm", "value_low": 1, "value_likely": 2,
           "value_high": 3, "unit": "m", "reference": "r", "source": "a book", "confidence": "high"}
    zone = {"code": three, "name_vi": label, "kind": "industrial_park", "state": "operating",
            "geometry_quality": "digitised", "source": "s", "confidence": "high"}
    zone = gpd.GeoDataFrame(zone, geometry=[Point(k, k) for k in range(3)], crs=4326)
    return [check(ALL["norms"], pd.DataFrame(row)), check(ALL["industrial_zones"], zone)]

store = Store(args[0])
say("ready")
hear()
i = 0
while True:
    label = f"{args[1]}-{i}"
    store.write_all(made(label), source=label, mode="append")
    say(label)
    i += 1
"""


def test_kill_loses_nothing_that_was_acknowledged_and_tears_nothing(store, elsewhere):
    store.close()
    writers = [elsewhere(WRITER, store.data_dir, f"w{k}") for k in range(4)]
    acknowledged = []
    for k, child in enumerate(writers):
        assert child.hear() == "ready"
        child.say("go")
        acknowledged += [child.hear() for _ in range(5 + 4 * k)]
        child.kill()  # SIGKILL, in the middle of the next write
        acknowledged += child.rest()  # what it still said before it died
    assert len(acknowledged) >= 44 and len(set(acknowledged)) == len(acknowledged)
    with closing(Store(store.data_dir)) as again:
        for name, column in (("norms", "norm_vi"), ("industrial_zones", "name_vi")):
            whole = again.snapshot(name)[column].value_counts()
            assert set(acknowledged) <= set(whole.index)
            assert set(whole) == {3}
            assert len(whole) == again.versions()[name] <= len(acknowledged) + len(writers)
        assert set(again.snapshot("norms")["code"]) == set(again.snapshot("industrial_zones")["code"])
        assert {h["source"] for h in again.history("norms")} == set(again.snapshot("norms")["norm_vi"])
    with closing(sqlite3.connect(store.path)) as con:
        assert con.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert con.execute("SELECT rtreecheck('rtree_industrial_zones_geom')").fetchone() == ("ok",)


FIRST_START = """
import time
from datetime import date
from pathlib import Path
import pandas as pd
from layers import starter
from layers.catalogue import ALL
from layers.checks import check
from layers.store import Store

row = {"code": ["a"], "norm_vi": "x", "norm_en": "x", "value_low": 1, "value_likely": 2, "value_high": 3,
       "unit": "m", "reference": "r", "source": "s", "confidence": "high"}
me, rounds = args[1:]

def meet(place):  # both processes wait here for each other
    (folder / f"{place}-{me}").touch()
    while len(list(folder.glob(f"{place}-*"))) < 2:
        time.sleep(0.001)

def few_layers():  # both have seen an empty store
    meet("looked")
    return [check(ALL["norms"], pd.DataFrame(row))]

starter.starter_layers = few_layers
TODAY = date(2026, 11, 22)
say("ready")
hear()
answers = []
for i in range(rounds):
    folder = Path(args[0]) / f"marks-{i}"
    folder.mkdir(exist_ok=True)
    meet("start")
    store = Store(Path(args[0]) / f"data-{i}")
    answers.append([starter.fill(store, today=TODAY), starter.fill(store, today=TODAY), store.versions()])
    store.close()
say(answers)
"""


def test_two_first_starts_at_once_fill_the_store_once(elsewhere, tmp_path):
    rounds = 10
    both = [elsewhere(FIRST_START, tmp_path, k, rounds) for k in (1, 2)]
    assert [child.hear() for child in both] == ["ready", "ready"]
    for child in both:
        child.say("go")
    answers = [child.hear() for child in both]
    for one, other in zip(*answers, strict=True):
        assert sorted([one[0], other[0]]) == [False, True]
        assert one[1] is other[1] is False
        assert one[2] == other[2] == {"norms": 1}


def test_a_day_is_a_day_in_the_file(store):
    store.write(states("P", [date(2026, 11, 22)]), source="x")
    with closing(sqlite3.connect(store.path)) as con:
        assert con.execute("SELECT valid_from, valid_to, measured FROM plant_states").fetchall() == [
            ("2026-11-22", None, None)
        ]


@pytest.mark.parametrize("count", [3, 400])
@pytest.mark.parametrize("name", ["waste_sites", "plant_states"])
def test_few_and_many_keys_are_found_alike(tmp_path, starter_facts, name, count):
    """One by one and through the index; blank parts of a key (a state without a first day) are keys too."""
    store, layer = Store(tmp_path), ALL[name]
    rows = starter_facts.snapshot(name)
    first = layer.key[0]
    many = pd.concat([rows] * (count // len(rows) + 1), ignore_index=True).iloc[:count]
    many[first] = [f"T{i:04}" for i in range(count)]
    try:
        store.write(check(layer, many, repair=False), source="test")
        half = many.iloc[: count // 2 + 1].assign(note_en="again")
        fresh = half.iloc[[0]].assign(**{first: "NEW"})
        store.write(check(layer, pd.concat([half, fresh]), repair=False), source="test", mode="upsert")
        now = store.snapshot(name).set_index(first)
        assert len(now) == count + 1 and (now["note_en"] == "again").sum() == len(half) + 1
        with pytest.raises(StoreError, match="is there already") as caught:
            store.write(check(layer, half, repair=False), source="test", mode="append")
        assert len(caught.value.problems) == len(half)
        assert store.snapshot(name).set_index(first).index.tolist() == now.index.tolist()
    finally:
        store.close()
