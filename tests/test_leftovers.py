"""Uploads that nothing names go after a while; what anything names never does, wherever its name stands."""

import json
import os
import sqlite3
import time
import zlib
from contextlib import closing

import pytest
import staffroom
from hypothesis import given, settings
from hypothesis import strategies as st

from server import leftovers
from server.files import Files

DAY = 86_400
OLD, YOUNG = (leftovers.DAYS + 1) * DAY, (leftovers.DAYS - 1) * DAY


def aged(files, sha, seconds):
    """Every file of a checksum, as if it had been put so long ago."""
    then = time.time() - seconds
    for path in files.folder.glob(f"*/??/{sha}.*"):
        os.utime(path, (then, then))


def database(path, cells):
    """A database with a table per way in which a name can stand in a cell."""
    written = {
        "column": lambda sha: sha,
        "journal": lambda sha: json.dumps({"photo": {"sha256": sha}}),
        "list": lambda sha: f"{'0' * 64};{sha};{'f' * 64}",
        "archive": lambda sha: zlib.compress(json.dumps({"fields": ["photos"], "rows": [[sha]] * 50}).encode()),
        "bytes": lambda sha: b"\x00\xff" + sha.encode() + b"\x00",
        "capitals": lambda sha: sha.upper(),
    }
    with closing(sqlite3.connect(path)) as con, con:
        for how, sha in cells:
            con.execute(f'CREATE TABLE IF NOT EXISTS "{how} of it" (a INTEGER, b, c TEXT)')
            con.execute(f'INSERT INTO "{how} of it" VALUES (1, ?, NULL)', (written[how](sha),))


WAYS = ("column", "journal", "list", "archive", "bytes", "capitals", None)
uploads = st.lists(
    st.tuples(st.sampled_from(("kept", "photo", "original")), st.sampled_from((OLD, YOUNG, 0)), st.sampled_from(WAYS),
              st.sampled_from(("cangxanh.gpkg", "accounts.db", "jobs.db"))), max_size=6)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(made=uploads)
def test_only_what_is_old_and_named_by_nothing_goes(tmp_path_factory, made):
    with pytest.MonkeyPatch.context() as m:
        m.setattr(os, "fsync", lambda _handle: None)  # a power cut is not what this is about
        _only_the_old_and_nameless_go(tmp_path_factory, made)


def _only_the_old_and_nameless_go(tmp_path_factory, made):
    folder = tmp_path_factory.mktemp("data")
    files, stays, goes = Files(folder / "files"), set(), set()
    for number, (what, age, way, name) in enumerate(made):
        body = f"{number}".encode()
        sha = (
            files.put_original(body)
            if what == "original"
            else files.put(body, ".jpg", small=b"s" if what == "photo" else None)
        )
        aged(files, sha, age)
        if way:
            database(folder / name, [(way, sha)])
        (goes if age == OLD and way is None else stays).add((what, sha))
    assert leftovers.sweep(files, folder) == len(goes)
    left = {p.name.partition(".")[0] for p in files.folder.rglob("*") if p.is_file()}
    assert left == {sha for _what, sha in stays}
    for what, sha in stays:
        assert files.original(sha) if what == "original" else files.read(sha)
    assert leftovers.sweep(files, folder) == 0


def test_a_photo_named_through_its_original_alone_keeps_both_apart(tmp_path):
    """The clean photo and the original have names of their own: each stays for its own."""
    files = Files(tmp_path / "files")
    clean, original = files.put(b"clean", ".jpg", small=b"small"), files.put_original(b"as received")
    for sha in (clean, original):
        aged(files, sha, OLD)
    database(tmp_path / "cangxanh.gpkg", [("column", original)])
    assert leftovers.sweep(files, tmp_path) == 1
    assert clean not in files and files.original(original) == b"as received"
    assert not list((files.folder / "small").rglob("*.jpg"))


def test_a_database_that_cannot_be_read_keeps_everything(tmp_path):
    files = Files(tmp_path / "files")
    sha = files.put(b"nobody's", ".jpg")
    aged(files, sha, OLD)
    (tmp_path / "accounts.db").write_bytes(b"not a database at all, but long enough to be taken for one" * 40)
    with pytest.raises(sqlite3.DatabaseError):
        leftovers.sweep(files, tmp_path)
    assert sha in files


def test_bytes_put_again_are_young_again(tmp_path):
    files = Files(tmp_path / "files")
    sha = files.put(b"the same", ".jpg")
    aged(files, sha, OLD)
    assert files.older(leftovers.DAYS * DAY) == {sha}
    files.put(b"the same", ".jpg")
    assert files.older(leftovers.DAYS * DAY) == set() and not files.drop(sha, leftovers.DAYS * DAY)
    assert files.read(sha) == b"the same"


def test_bytes_put_again_while_they_are_dropped_are_there_afterwards(tmp_path, monkeypatch):
    """Somebody sends the same photo between the moment when a file was found old and the moment it is moved aside."""
    files, other = Files(tmp_path / "files"), Files(tmp_path / "files")
    sha = files.put(b"the same", ".jpg", small=b"small")
    aged(files, sha, OLD)
    replace = os.replace

    def late(source, target):
        if "-aside-" in str(target) and "kept" in str(target):
            monkeypatch.setattr(os, "replace", replace)
            other.put(b"the same", ".jpg", small=b"small")
        return replace(source, target)

    monkeypatch.setattr(os, "replace", late)
    assert not files.drop(sha, leftovers.DAYS * DAY)
    assert files.read(sha) == b"the same" and files.small(sha).read_bytes() == b"small"
    assert not list((files.folder / "coming").iterdir())


def test_a_drop_that_was_cut_short_is_taken_back_at_the_next_start(tmp_path, monkeypatch):
    files = Files(tmp_path / "files")
    sha = files.put(b"the same", ".jpg", small=b"small")
    aged(files, sha, OLD)
    with monkeypatch.context() as m:
        m.setattr("pathlib.Path.unlink", lambda *_a, **_k: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            files.drop(sha, leftovers.DAYS * DAY)
    assert sha not in files
    again = Files(tmp_path / "files")
    assert again.read(sha) == b"the same" and again.small(sha).read_bytes() == b"small"


def test_a_day_of_the_city_sweeps_once_and_spares_every_photo_and_paper(starter_store, tmp_path):
    with staffroom.office(starter_store, tmp_path / "data") as office:
        code = office.checking()
        office.photo(code, "photo_before")
        office.proof(code, "visit_record")
        office.report()
        stray = office.services.files.put(staffroom.shot("yellow"), ".jpg")
        for path in office.services.files.folder.rglob("*.*"):
            os.utime(path, (time.time() - OLD,) * 2)
        before = office.services.files.older(leftovers.DAYS * DAY)
        office.services.rounds()
        after = office.services.files.older(leftovers.DAYS * DAY)
        assert before - after == {stray} and len(after) >= 4
