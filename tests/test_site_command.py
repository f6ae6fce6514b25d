"""run.py site: a question from a file, its answer, and the same again in another folder and another process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import smalltown as st

from server import cli, sitefiles, sitework
from server.sitespec import SpecError, canonical, checked

ROOT = Path(__file__).resolve().parents[1]
# A process of its own, in another folder, in another language and time zone, that knows the replay file only.
AGAIN = "import sys; sys.path.insert(0, sys.argv[1]); from server import cli; sys.exit(cli.main(sys.argv[2:]))"


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """The folder of an answer on the town, with a plant that stands and two new ones."""
    folder = tmp_path_factory.mktemp("town")
    data = st.town(plants=st.standing([("OLD", 1500, 1000, 300)]))
    sitework.answer(st.question(number=2), data, folder)
    return folder


def replay(file, *more, cwd):
    own = {
        "LC_ALL": "C",
        "TZ": "Asia/Tokyo",
        "PYTHONHASHSEED": "7",
        "PYTHONIOENCODING": "utf-8",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", AGAIN, str(ROOT), "site", "--replay", str(file), *more]
    return subprocess.run(command, cwd=cwd, env=os.environ | own, capture_output=True, text=True, encoding="utf-8")


def test_a_replay_elsewhere_gives_the_same_tables(town, tmp_path):
    file = tmp_path / "sent by mail.json"
    file.write_bytes((town / "replay.json").read_bytes())
    done = replay(file, "--out", "again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Replay: the same tables." in done.stdout
    for name in ("result.json", "study.xlsx", "replay.json"):
        assert (tmp_path / "again" / name).read_bytes() == (town / name).read_bytes(), name
    assert "100%  Done" in done.stderr


def test_a_replay_that_differs_says_so(town, tmp_path):
    document = json.loads((town / "replay.json").read_text("utf-8"))
    document["spec"]["number"] = 1
    file = tmp_path / "r.json"
    file.write_text(json.dumps(document), "utf-8")
    done = replay(file, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("cangxanh: the replay gives other tables")
    assert list(tmp_path.iterdir()) == [file]


def test_the_fingerprint_knows_figures_but_no_words(town):
    made = json.loads((town / "result.json").read_text("utf-8"))
    print_ = sitefiles.fingerprint(made)
    made["notes"], made["sites"][0]["card"]["conflicts"] = [], []
    assert sitefiles.fingerprint(made) == print_
    made["sites"][0]["gain_m3_day"] += 1e-6
    assert sitefiles.fingerprint(made) != print_


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "is not a replay file"),
        ("[]", "is not a replay file"),
        ("no", "cannot be read"),
        ('{"format": "cangxanh-siting-replay/1", "left_out": ["elevation"]}', "rasters elevation were too large"),
    ],
)
def test_a_file_that_is_no_replay(text, words, tmp_path):
    file = tmp_path / "r.json"
    file.write_text(text, "utf-8")
    with pytest.raises(SpecError, match=words):
        sitefiles.read_replay(file)


def test_a_question_from_a_file(starter_store, tmp_path, capsys):
    import shutil

    data = shutil.copytree(starter_store, tmp_path / "data")
    assert cli.main(["site", "--example", "--data", str(data)]) == 0
    spec = json.loads(capsys.readouterr().out)
    spec |= {"area": {"units": ["11560"]}, "cell_m": 250, "candidates": {"count": 6, "apart_m": 800}, "number": 1}
    question = tmp_path / "câu hỏi.json"
    question.write_text(json.dumps(spec, ensure_ascii=False), "utf-8")
    assert cli.main(["site", str(question), "--data", str(data), "--language", "vi"]) == 0
    told = capsys.readouterr()
    assert "chưa kiểm tra: Điểm lấy nước sinh hoạt" in told.out
    assert (tmp_path / "câu hỏi" / "replay.json").exists()
    made = json.loads((tmp_path / "câu hỏi" / "result.json").read_text("utf-8"))
    assert canonical(made["spec"]) == canonical(checked(json.loads(question.read_text("utf-8"))))
    shares = [int(line[:4].strip(" %")) for line in told.err.splitlines() if line[3:4] == "%"]
    assert shares == sorted(shares)
    assert shares[-1] == 100
    assert cli.main(["site", "--replay", str(tmp_path / "câu hỏi" / "replay.json")]) == 0
    assert "the same tables" in capsys.readouterr().out


def one_line(capsys, *arguments):
    assert cli.main(["site", *map(str, arguments)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_errors_are_one_line(tmp_path, capsys):
    assert "give one of SPEC.json" in one_line(capsys)
    assert "nowhere.json cannot be read" in one_line(capsys, tmp_path / "nowhere.json")
    bad = tmp_path / "bad.json"
    bad.write_text('{"format": "cangxanh-siting/1", "cell_m": "wide"}', "utf-8")
    assert "cell_m: This must be a number." in one_line(capsys, bad)
    assert not (tmp_path / "bad").exists()
    assert "cannot be read" in one_line(capsys, "--replay", tmp_path / "nowhere.json")
    bad.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in one_line(capsys, bad)


def test_a_question_without_a_plan_ends_with_1_and_the_sentence(tmp_path, capsys):
    asked = st.question(model="covering", number=1, within_m=2000)
    sitework.answer(asked, st.town(), tmp_path)
    assert cli.main(["site", "--replay", str(tmp_path / "replay.json")]) == 0
    assert "To serve every demand takes at least 2 new plants; 1 are allowed." in capsys.readouterr().out
