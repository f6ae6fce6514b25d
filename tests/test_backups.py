"""A backup is whole or not there, and what is put back is what was there."""

import shutil
import sqlite3
import textwrap
import time
import zipfile
from contextlib import closing
from datetime import datetime

import people
import pytest

from layers.store import Store
from server import backups, cli
from server.citytime import CITY_TIME, told
from server.services import open_city


@pytest.fixture
def city(filled):
    filled.close()
    services = open_city(filled.data_dir)
    people.person(services, "inspector")
    services.files.put(b"a letter of the office", ".pdf")
    yield services
    services.close()


def contents(folder):
    """Every table of both databases, and every file's bytes."""
    out = {}
    for name in backups.DATABASES:
        with closing(sqlite3.connect(folder / name)) as con:
            tables = [r[0] for r in con.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY 1")]
            for table in tables:
                if not table.startswith(("rtree_", "sqlite_")):
                    out[name, table] = con.execute(f'SELECT * FROM "{table}"').fetchall()
    for file in (folder / "files").rglob("*"):
        if file.is_file():
            out[file.relative_to(folder).as_posix()] = file.read_bytes()
    out["population"] = (folder / "population.tif").read_bytes()
    return out


def test_what_is_put_back_is_what_was_there(city, tmp_path, capsys):
    before = contents(city.store.data_dir)
    kept = tmp_path / "kept" / "city.zip"
    assert cli.main(["backup", str(kept), "--data", str(city.store.data_dir)]) == 0  # while the city is open
    assert cli.main(["backup", str(kept), "--check"]) == 0
    assert "is whole" in capsys.readouterr().out
    assert cli.main(["restore", str(kept), "--data", str(tmp_path / "new")]) == 0
    assert contents(tmp_path / "new") == before
    again = open_city(tmp_path / "new")
    assert [p.login for p in again.accounts.users()] == [p.login for p in city.accounts.users()]
    assert again.store.versions() == city.store.versions()
    again.close()
    names = set(backups.check(kept)["members"])
    assert {"cangxanh.gpkg", "accounts.db", "population.tif"} <= names
    assert not any(n.startswith("jobs.db") or n.endswith(("-wal", "-shm")) for n in names)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system sets its zone in another way")
def test_the_names_of_backups_and_what_is_told_of_them_follow_the_clock_of_the_city(
    city, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    try:
        begun, data = datetime.now(CITY_TIME).replace(microsecond=0), str(city.store.data_dir)
        assert cli.main(["backup", "--data", data]) == 0
        (kept,) = (city.store.data_dir / "backups").glob("cangxanh-*.zip")
        assert cli.main(["backup", str(kept), "--check"]) == 0
        capsys.readouterr()
        shutil.copytree(city.store.data_dir, tmp_path / "there")
        assert cli.main(["restore", str(kept), "--data", str(tmp_path / "there"), "--replace"]) == 0
        assert cli.main(["versions", "norms", "--data", data]) == 0
        ended = datetime.now(CITY_TIME)
    finally:
        monkeypatch.undo()
        time.tzset()
    said = capsys.readouterr().out
    (aside,) = tmp_path.glob("there.before-*")
    for name in (kept.stem.removeprefix("cangxanh-"), aside.name.partition(".before-")[2]):
        assert begun <= datetime.strptime(name, "%Y%m%d-%H%M%S").replace(tzinfo=CITY_TIME) <= ended
    at = said.partition("as it was at ")[2][:19]
    assert begun <= datetime.fromisoformat(at).replace(tzinfo=CITY_TIME) <= ended
    assert f"{told(city.store.history('norms')[0]['at'])}  norms" in said


def test_a_folder_that_is_there_is_only_moved_aside_when_asked(city, tmp_path, capsys):
    kept = tmp_path / "city.zip"
    backups.make(city.store.data_dir, kept)
    there = shutil.copytree(city.store.data_dir, tmp_path / "there")
    (there / "mine.txt").write_text("of value")
    assert cli.main(["restore", str(kept), "--data", str(there)]) == 1
    assert "is not empty" in capsys.readouterr().err and (there / "mine.txt").exists()
    manifest, aside = backups.restore(kept, there, replace=True)
    assert (aside / "mine.txt").read_text(encoding="utf-8") == "of value" and not (there / "mine.txt").exists()
    assert manifest["members"].keys() == backups.check(kept)["members"].keys()
    Store(there).close()


def test_a_folder_in_use_is_not_replaced(city, tmp_path):
    kept = tmp_path / "city.zip"
    backups.make(city.store.data_dir, kept)
    city.store.snapshot("hotspots")
    with pytest.raises(backups.BackupError, match="in use"):
        backups.restore(kept, city.store.data_dir, replace=True)
    assert (city.store.data_dir / "cangxanh.gpkg").exists()


def test_a_backup_never_replaces_another_and_leaves_nothing_half(city, tmp_path, monkeypatch):
    kept = tmp_path / "city.zip"
    kept.write_bytes(b"older")
    with pytest.raises(backups.BackupError, match="is there already"):
        backups.make(city.store.data_dir, kept)
    assert kept.read_bytes() == b"older"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups, "_write", full)
    with pytest.raises(backups.BackupError, match="No space left"):
        backups.make(city.store.data_dir, tmp_path / "other.zip")
    assert sorted(p.name for p in tmp_path.iterdir() if "zip" in p.name) == ["city.zip"]
    with pytest.raises(backups.BackupError, match=r"There is no cangxanh\.gpkg"):
        backups.make(tmp_path / "nothing", tmp_path / "x.zip")


@pytest.mark.parametrize("spoil", ["cut", "byte", "missing", "stranger", "outside", "text", "none", "future"])
def test_a_spoiled_backup_is_refused_and_nothing_is_put_back(city, tmp_path, spoil):
    kept = tmp_path / "city.zip"
    backups.make(city.store.data_dir, kept)
    body = bytearray(kept.read_bytes())
    if spoil == "cut":
        kept.write_bytes(body[: len(body) // 2])
    elif spoil == "byte":
        with zipfile.ZipFile(kept) as archive:
            middle = archive.getinfo("cangxanh.gpkg")
        body[middle.header_offset + 200 + middle.compress_size // 2] ^= 0xFF
        kept.write_bytes(body)
    elif spoil == "text":
        kept.write_text("not a zip")
    elif spoil == "none":
        kept.unlink()
    else:
        with zipfile.ZipFile(tmp_path / "made.zip", "w") as new, zipfile.ZipFile(kept) as old:
            for info in old.infolist():
                content = old.read(info)
                if spoil == "missing" and info.filename == "population.tif":
                    continue
                if info.filename == backups.MANIFEST and spoil == "outside":
                    content = content.replace(b'"population.tif"', b'"../population.tif"')
                if info.filename == backups.MANIFEST and spoil == "future":
                    content = content.replace(b'"format": 1', b'"format": 99')
                name = "../population.tif" if (spoil, info.filename) == ("outside", "population.tif") else info.filename
                new.writestr(name, content)
            if spoil == "stranger":
                new.writestr("files/planted.exe", b"x")
        (tmp_path / "made.zip").replace(kept)
    with pytest.raises(backups.BackupError):
        backups.restore(kept, tmp_path / "new")
    assert not (tmp_path / "new").exists() and not list(tmp_path.glob("new.restoring-*"))


# Writes versions of a layer without end.
WRITER = textwrap.dedent(
    """
    from layers.store import Store
    from layers.checks import check
    from layers.catalogue import ALL
    store = Store(sys.argv[1])
    checked = check(ALL["water_bodies"], store.snapshot("water_bodies"))
    say("writing")
    while True:
        store.write(checked, source="again")
    """
)


def test_a_backup_made_while_another_process_writes_is_whole(city, tmp_path, elsewhere):
    code = f"import sys; sys.argv = ['', {str(city.store.data_dir)!r}]\n{WRITER}"
    child = elsewhere(code)
    assert child.hear() == "writing"
    for k in range(3):
        backups.make(city.store.data_dir, tmp_path / f"{k}.zip")
        backups.restore(tmp_path / f"{k}.zip", tmp_path / f"new-{k}")
        store = Store(tmp_path / f"new-{k}")
        assert len(store.history("water_bodies")) == store.versions()["water_bodies"]
        store.close()
