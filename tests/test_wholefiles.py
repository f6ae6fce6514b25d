"""Files come into their place in one step, also where a reader holds the old one for a moment, as Windows has it."""

import os
import threading

import pytest

from layers import wholefiles


@pytest.fixture
def held(monkeypatch):
    """os.replace refuses as often as held.times says, as Windows does while somebody reads the old file."""

    class Reader:
        times, asked = 0, 0

    real = os.replace

    def replace(fresh, path):
        Reader.asked += 1
        if Reader.asked <= Reader.times:
            raise PermissionError(13, "Access is denied", str(fresh))
        return real(fresh, path)

    monkeypatch.setattr(wholefiles.os, "replace", replace)
    monkeypatch.setattr(wholefiles.time, "sleep", lambda _s: None)
    return Reader


def test_text_is_utf8_with_its_own_line_ends(tmp_path):
    wholefiles.write(tmp_path / "một.json", "Cảng\nXanh\r\n")
    assert (tmp_path / "một.json").read_bytes() == b"C\xe1\xba\xa3ng\nXanh\r\n"
    wholefiles.write(tmp_path / "một.json", b"\x00\xff")
    assert (tmp_path / "một.json").read_bytes() == b"\x00\xff"
    assert [p.name for p in tmp_path.iterdir()] == ["một.json"]


def test_a_reader_who_leaves_is_waited_for(tmp_path, held):
    path = tmp_path / "population.tif"
    path.write_bytes(b"old")
    held.times = 3
    wholefiles.write(path, b"new")
    assert path.read_bytes() == b"new" and held.asked == 4


def test_a_reader_who_stays_keeps_the_old_file_and_nothing_is_left_over(tmp_path, held, monkeypatch):
    path = tmp_path / "population.tif"
    path.write_bytes(b"old")
    held.times = 10**9
    clock = iter(range(100))
    monkeypatch.setattr(wholefiles.time, "monotonic", lambda: next(clock))
    with pytest.raises(PermissionError):
        wholefiles.write(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["population.tif"] and path.read_bytes() == b"old"


def test_what_waiting_does_not_mend_is_told_at_once(tmp_path, held):
    held.times = 10**9
    with pytest.raises(PermissionError):
        wholefiles.write(tmp_path / "new.bin", b"x")
    assert held.asked == 1 and not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError):
        wholefiles.write(tmp_path / "no folder" / "new.bin", b"x")


def test_of_many_writers_one_wins_whole(tmp_path):
    path, bodies = tmp_path / "shared", [bytes([i]) * 200_000 for i in range(8)]
    writers = [threading.Thread(target=wholefiles.write, args=(path, body)) for body in bodies]
    for w in writers:
        w.start()
    for w in writers:
        w.join()
    assert path.read_bytes() in bodies and [p.name for p in tmp_path.iterdir()] == ["shared"]
