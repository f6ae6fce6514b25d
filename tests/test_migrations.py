"""A store of an earlier version is brought to the present one; a copy of it stays."""

import gzip
import json
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from layers import audit, migrations
from layers import store as store_module
from layers.catalogue import ALL
from layers.checks import check
from layers.errors import StoreError
from layers.store import FILE_NAME, SCHEMA_VERSION, Store

OLD = Path(__file__).parent / "data" / "store-schema-1.gpkg.gz"


@pytest.fixture
def old(tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(gzip.decompress(OLD.read_bytes()))
    return folder


def columns(path, table):
    with closing(sqlite3.connect(path)) as con:
        return {r[1] for r in con.execute(f"PRAGMA table_info({table})")}


def test_a_store_of_schema_1_opens_with_its_rows(old):
    before = columns(old / FILE_NAME, "hotspots")
    store = Store(old)
    try:
        hotspots = store.snapshot("hotspots")
        assert hotspots["code"].tolist() == ["HS01", "HS02"]
        assert hotspots["name_vi"].iloc[0] == "Bãi thải Gyps DAP Đình Vũ"
        assert hotspots["relapses"].isna().all() and hotspots["deadline"].isna().all()
        assert len(store.snapshot("hotspot_events")) == 0
        assert len(store.snapshot("admin_units")) == 3
        for name, layer in ALL.items():
            assert {f.name for f in layer.fields} <= columns(store.path, name), name
    finally:
        store.close()
    assert "relapses" not in before


@pytest.fixture
def second(tmp_path):
    folder = tmp_path / "second"
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(gzip.decompress(OLD.with_name("store-schema-2.gpkg.gz").read_bytes()))
    return folder


def test_a_store_of_schema_2_keeps_rows_hashes_and_every_earlier_version(second):
    with closing(sqlite3.connect(second / FILE_NAME)) as con:
        before = con.execute("SELECT layer, version, rows, sha256 FROM layer_versions ORDER BY id").fetchall()
        whole = {
            (layer, version): json.loads(zlib.decompress(packed))
            for layer, version, packed in con.execute("SELECT layer, version, rows FROM cx_archive")
        }
    store = Store(second)
    try:
        kept = [(h["layer"], h["version"], h["rows"], h["sha256"]) for h in reversed(store.history())]
        assert kept == before and len(kept) == 8
        for name, version, count, _ in before:
            frame, body = store.version(name, version), whole[name, version]
            assert len(frame) == count == len(body["rows"])
            first = ALL[name].fields[0].name
            assert frame[first].tolist() == [row[body["fields"].index(first)] for row in body["rows"]]
        store.restore("waste_sites", 1)
        assert len(store.snapshot("waste_sites")) == 4 and store.snapshot("waste_sites")["filed_under"].isna().all()
        store.restore("plant_states", 1)  # a table without a place: schema 3 gave it no field
        assert [v["scheme"] for v in store.history("plant_states")] == [2, 1]
        store.restore("plant_states", 1)
        assert store.history("plant_states")[0]["sha256"] == store.history("plant_states")[1]["sha256"]
        assert store.faults() == []
    finally:
        store.close()


def test_a_large_version_is_split_when_it_moves(second):
    """5,000 rows in one blob, as schema 2 kept them, become three parts; the order stays."""
    with closing(sqlite3.connect(second / FILE_NAME)) as con, con:
        (packed,) = con.execute("SELECT rows FROM cx_archive WHERE layer='norms'").fetchone()
        body = json.loads(zlib.decompress(packed))
        at = body["fields"].index("code")
        many = [[*row[:at], f"N{i}", *row[at + 1 :]] for i, row in enumerate(body["rows"] * 1_000)][:5_000]
        packed = zlib.compress(json.dumps({"fields": body["fields"], "rows": many}).encode())
        con.execute("UPDATE cx_archive SET rows=? WHERE layer='norms'", (packed,))
    store = Store(second)
    try:
        assert store.version("norms", 1)["code"].tolist() == [f"N{i}" for i in range(5_000)]
        with closing(sqlite3.connect(store.path)) as con:
            assert con.execute("SELECT part FROM cx_archive WHERE layer='norms'").fetchall() == [(0,), (1,), (2,)]
            assert not con.execute("SELECT 1 FROM sqlite_master WHERE name='cx_archive_whole'").fetchone()
    finally:
        store.close()


@pytest.fixture
def third(tmp_path):
    folder = tmp_path / "third"
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(gzip.decompress(OLD.with_name("store-schema-3.gpkg.gz").read_bytes()))
    return folder


def test_a_store_of_schema_3_shares_its_parts(third):
    with closing(sqlite3.connect(third / FILE_NAME)) as con:
        before = con.execute("SELECT layer, version, rows, sha256 FROM layer_versions ORDER BY id").fetchall()
        whole = {
            (layer, version): json.loads(zlib.decompress(packed))
            for layer, version, packed in con.execute("SELECT layer, version, rows FROM cx_archive")
        }
    store = Store(third)
    try:
        assert [(h["layer"], h["version"], h["rows"], h["sha256"]) for h in reversed(store.history())] == before
        assert len(before) == len(whole) == 11 and {h["scheme"] for h in store.history()} == {1}
        assert store.faults() == []
        for (name, version), body in whole.items():
            assert store.version(name, version)["source"].tolist() == [
                r[body["fields"].index("source")] for r in body["rows"]
            ]
        with closing(sqlite3.connect(store.path)) as con:
            (parts,) = con.execute("SELECT count(*) FROM cx_parts").fetchone()
            assert parts == len({json.dumps(b) for b in whole.values()}) <= 11
            assert con.execute("PRAGMA foreign_key_check").fetchall() == []
        row = store.snapshot("waste_sites").iloc[[0]].assign(name_vi="Sửa")
        store.write(check(ALL["waste_sites"], row), source="test", mode="upsert")
        store.restore("waste_sites", 2)
        newest = store.history("waste_sites")[0]
        assert (newest["version"], newest["rows"], newest["scheme"]) == (6, 2, 2) and store.faults() == []
    finally:
        store.close()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_older_store_becomes_what_a_new_one_is(number, tmp_path, store):
    """Tables, columns and indexes are the same, whether a store grew up or was made today."""

    def shape(path):
        with closing(sqlite3.connect(path)) as con:
            names = [
                r[0]
                for r in con.execute("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'rtree%'")
            ]
            columns = {n: {(*r[1:4], r[5]) for r in con.execute(f'PRAGMA table_info("{n}")')} for n in names}
            indexes = {tuple(r) for r in con.execute("SELECT tbl_name, name FROM sqlite_master WHERE type='index'")}
            return {n: columns[n] for n in names if n not in ALL}, {i for i in indexes if i[0] not in ALL}, {
                i for i in indexes if i[0] in ALL}  # fmt: skip

    folder = tmp_path / "grown"
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(gzip.decompress(OLD.with_name(f"store-schema-{number}.gpkg.gz").read_bytes()))
    Store(folder).close()
    assert shape(folder / FILE_NAME) == shape(store.path)


def test_the_hash_of_old_rows_still_tells_a_change(third):
    Store(third).close()
    with closing(sqlite3.connect(third / FILE_NAME)) as con, con:
        con.execute("UPDATE layer_versions SET sha256=? WHERE layer='norms' AND version=1", ("0" * 64,))
        con.execute("UPDATE layer_versions SET rows=rows+1 WHERE layer='admin_units'")
    store = Store(third)
    assert [f.split(" of ")[2].split()[0] for f in store.faults()] == ["norms", "admin_units"]
    store.close()


def test_an_archived_version_of_schema_1_can_still_be_read(old):
    store = Store(old)
    try:
        first = store.version("hotspots", 1)
        assert first["code"].tolist() == ["HS01", "HS02", "HS03"]
        assert first["source"].notna().all() and first.geometry.notna().all() and first["deadline"].isna().all()
        store.restore("plant_states", 1)
    finally:
        store.close()


def test_a_layer_behind_the_gate_is_not_put_back_past_it(old):
    store = Store(old)
    try:
        with pytest.raises(StoreError, match="register"):
            store.restore("hotspots", 1)
    finally:
        store.close()


def test_the_old_file_is_kept_as_it_was(old):
    Store(old).close()
    (copy,) = (old / "backups").glob("cangxanh-schema-1-*.gpkg")
    assert "relapses" not in columns(copy, "hotspots")
    with closing(sqlite3.connect(copy)) as con:
        assert con.execute("SELECT value FROM cx_meta WHERE key='schema_version'").fetchone() == ("1",)
        assert con.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_migration_that_fails_leaves_the_old_file(old, monkeypatch):
    def breaks(con):
        con.exec_driver_sql("ALTER TABLE hotspots ADD COLUMN half TEXT")
        raise StoreError("power cut")

    monkeypatch.setitem(migrations._STEPS, 1, breaks)
    with pytest.raises(StoreError, match="power cut"):
        Store(old)
    assert "half" not in columns(old / FILE_NAME, "hotspots")
    monkeypatch.undo()
    store = Store(old)
    assert store.snapshot("hotspots")["code"].tolist() == ["HS01", "HS02"]
    store.close()


def test_there_is_a_step_from_every_earlier_schema():
    assert sorted(migrations._STEPS) == list(range(1, SCHEMA_VERSION))


def test_a_second_start_migrates_no_more(old):
    Store(old).close()
    Store(old).close()
    assert len(list((old / "backups").iterdir())) == 1


def test_versions_leave_rows_in_the_audit(filled):
    with filled.reading() as con:
        written = list(audit.rows(con, thing="layer:*"))
        assert audit.verify(con) == []
    assert {r["thing"] for r in written} == {f"layer:{v['layer']}" for v in filled.history()}
    newest = filled.history("hotspots")[0]
    row = next(r for r in written if r["thing"] == "layer:hotspots")
    assert row["new"]["sha256"] == newest["sha256"] and row["new"]["rows"] == newest["rows"]


def test_a_transaction_that_fails_leaves_no_row(filled):
    with filled.reading() as con:
        before = audit.head(con)
    with pytest.raises(RuntimeError), filled.transaction() as con:
        rows = filled.current(con, "hotspots").head(1)
        filled.write_in(con, [check(ALL["hotspots"], rows, repair=False)], source="x", mode="upsert")
        assert audit.head(con).number == before.number + 1
        raise RuntimeError("stop")
    with filled.reading() as con:
        assert audit.head(con) == before


def edited(store, statement):
    with closing(sqlite3.connect(store.path)) as con, con:
        store_module.geopackage.register_functions(con)
        con.execute(statement)
        con.execute("UPDATE gpkg_contents SET last_change='2027-01-01T00:00:00.000Z' WHERE table_name='hotspots'")


def test_another_program_cannot_publish(filled):
    stage = filled.snapshot("hotspots").set_index("code").at["HS01", "stage"]
    edited(filled, "UPDATE hotspots SET stage='done' WHERE code='HS01'")
    assert filled.snapshot("hotspots").set_index("code").at["HS01", "stage"] == stage
    assert "register" in filled.refused()["hotspots"][0]


def test_what_another_program_wrote_does_not_come_in_with_the_next_publication(filled):
    stage = filled.snapshot("hotspots").set_index("code").at["HS01", "stage"]
    edited(filled, "UPDATE hotspots SET stage='done' WHERE code='HS01'")
    row = filled.snapshot("hotspots").query("code == 'HS02'").assign(name_en="New name")
    filled.write(check(ALL["hotspots"], row, repair=False), source="register", mode="upsert")
    now = filled.snapshot("hotspots").set_index("code")
    assert now.at["HS02", "name_en"] == "New name"
    assert now.at["HS01", "stage"] == stage
    with closing(sqlite3.connect(filled.path)) as con:
        assert con.execute("SELECT stage FROM hotspots WHERE code='HS01'").fetchone() == (stage,)
    assert filled.refused() == {}


def test_an_unused_edit_of_an_open_layer_stops_a_partial_write(filled):
    with closing(sqlite3.connect(filled.path)) as con, con:
        store_module.geopackage.register_functions(con)
        con.execute("UPDATE waste_sites SET kind='nonsense'")
        con.execute("UPDATE gpkg_contents SET last_change='2027-01-01T00:00:00.000Z' WHERE table_name='waste_sites'")
    row = filled.snapshot("waste_sites").head(1)
    with pytest.raises(StoreError, match="edited by another program"):
        filled.write(check(ALL["waste_sites"], row, repair=False), source="file", mode="upsert")


def test_the_disk_that_refuses_is_told_in_a_sentence(filled):
    with pytest.raises(StoreError, match="Nothing was written"), filled.transaction() as con:
        con.execute(sa.text("PRAGMA query_only=ON"))
        try:
            con.execute(sa.text("UPDATE cx_meta SET value=value"))
        finally:
            con.execute(sa.text("PRAGMA query_only=OFF"))
