"""Files by checksum: whole or absent, once, verified, bounded, also when the writer is killed."""

import hashlib
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import files as module
from server.files import FileError, Files

ABC = hashlib.sha256(b"abc").hexdigest()


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path / "files")


def names(files):
    return sorted(p.relative_to(files.folder).as_posix() for p in files.folder.rglob("*") if p.is_file())


def refused(call, *args, **options):
    with pytest.raises(FileError) as e:
        call(*args, **options)
    return e.value.code


def test_the_name_is_the_published_sha_256_of_the_bytes(files):
    """FIPS 180-2 appendix B.1 prints the hash of "abc"."""
    sha = files.put(b"abc", ".txt")
    assert sha == ABC == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.read(sha) == b"abc" and sha in files
    assert files.path(sha).name == sha + ".txt"
    assert names(files) == [f"kept/ba/{ABC}.txt"]


def test_the_same_bytes_are_kept_once_whatever_they_are_called(files):
    assert files.put(b"abc", ".txt") == files.put(b"abc", ".csv") == ABC
    assert names(files) == [f"kept/ba/{ABC}.txt"]


def test_originals_lie_apart(files):
    sha = files.put_original(b"abc")
    assert files.original(sha) == b"abc"
    assert sha not in files
    assert refused(files.read, sha) == "missing"
    assert names(files) == [f"originals/ba/{ABC}.bin"]


def test_a_small_picture_is_named_by_its_photo(files):
    sha = files.put(b"a photo", ".jpg", small=b"a small one")
    assert files.small(sha).read_bytes() == b"a small one"
    assert refused(files.small, ABC) == "missing"


def test_what_the_sender_computed_must_be_what_came(files):
    assert files.put(b"abc", ".txt", expected=ABC.upper()) == ABC
    assert refused(files.put, b"abd", ".txt", expected=ABC) == "changed"
    assert refused(files.put_original, b"abd", expected=ABC) == "changed"
    assert len(names(files)) == 1


def test_empty_and_large_files_are_refused(tmp_path):
    files = Files(tmp_path, max_bytes=2 * 1024**2)
    assert refused(files.put, b"", ".txt") == "empty"
    assert refused(files.put, bytes(2 * 1024**2 + 1), ".txt") == "too_large"
    assert files.put(bytes(2 * 1024**2), ".txt")


def test_the_disk_is_never_filled(tmp_path):
    files = Files(tmp_path, spare_bytes=2**62)
    assert refused(files.put, b"abc", ".txt") == "full"
    assert names(files) == []


def test_a_disk_that_refuses_leaves_nothing_behind(files, monkeypatch):
    def no_room(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", no_room)
    assert refused(files.put, b"abc", ".txt") == "full"
    assert names(files) == []


@pytest.mark.parametrize(
    "name", ["", "..", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "/x", "*" * 64, "?" * 64]
)
def test_only_a_checksum_is_a_name(files, name):
    files.put(b"abc", ".txt")
    assert name not in files
    assert refused(files.read, name) == "missing"
    assert refused(files.path, name) == "missing"


@pytest.mark.parametrize("suffix", ["", "jpg", ".", "./x", ".a/b", ".tar.gz", ".JPG", ".verylongsuffix"])
def test_only_a_plain_suffix_is_one(files, suffix):
    with pytest.raises(ValueError, match="suffix"):
        files.put(b"abc", suffix)


def test_damage_on_the_disk_is_seen_and_mended_by_the_same_bytes(files):
    files.put(b"abc", ".txt")
    files.path(ABC).write_bytes(b"abd")
    assert refused(files.read, ABC) == "damaged"
    assert files.problems() == [("kept", f"{ABC}.txt")]
    assert files.put(b"abc", ".txt") == ABC
    assert files.read(ABC) == b"abc" and files.problems() == []


def test_what_is_forgotten_is_gone_with_its_small_picture_and_can_come_again(files):
    sha, other = files.put(b"abc", ".jpg", small=b"small"), files.put(b"abd", ".jpg")
    files.put_original(b"abc")
    files.forget(sha)
    files.forget(sha)
    files.forget("..")
    assert sha not in files and names(files) == [f"kept/{other[:2]}/{other}.jpg"]
    assert refused(files.small, sha) == refused(files.original, sha) == "missing"
    assert files.put(b"abc", ".jpg") == sha and sha in files


def test_what_a_killed_writer_left_goes_at_the_next_start_but_not_what_is_being_written(files):
    old, fresh = (files.folder / "coming" / n for n in ("old", "fresh"))
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    Files(files.folder)
    assert fresh.exists() and not old.exists()


@given(st.lists(st.binary(min_size=1, max_size=64), max_size=12))
def test_what_was_put_is_there_and_nothing_else(tmp_path_factory, bodies):
    files = Files(tmp_path_factory.mktemp("files"))
    for body in bodies:
        assert files.read(files.put(body, ".bin")) == body
    assert len(names(files)) == len(set(bodies))
    assert files.problems() == []


PUTS = """
from server.files import Files
files = Files(args[0])
say("ready")
n = 0
while True:
    n += 1
    say(files.put(n.to_bytes(4, "big") * 50_000, ".bin"))
"""


def test_a_writer_killed_at_any_moment_leaves_whole_files_only(elsewhere, tmp_path):
    """What it reported is there; under every name lies what the name says."""
    for wait in (1, 2, 4, 7):
        folder = tmp_path / str(wait)
        child = elsewhere(PUTS, str(folder))
        assert child.hear() == "ready"
        told = [child.hear() for _ in range(wait)]
        child.kill()
        told += child.rest()
        files = Files(folder)
        assert files.problems() == []
        assert all(len(files.read(sha)) == 200_000 for sha in told)


def test_many_writers_of_the_same_bytes_keep_them_once(elsewhere, tmp_path):
    code = "from server.files import Files\nsay(Files(args[0]).put(b'the same' * 9000, '.bin'))"
    children = [elsewhere(code, str(tmp_path)) for _ in range(4)]
    assert len({child.hear() for child in children}) == 1
    assert len(names(Files(tmp_path))) == 1
