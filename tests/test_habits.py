"""Habits that no machine may change: the day is the city's, texts are UTF-8, whatever zone and letters a machine has."""

import ast
import re
from functools import cache

import pytest
from test_floors import ROOT, sources

# Clocks that tell the time of the machine's zone, or none; those marked may be asked with a zone.
CLOCKS = {"today", "utcnow", "utcfromtimestamp", "localtime", "ctime", "mktime"}
WITH_ZONE = {"now": 0, "fromtimestamp": 1, "astimezone": 0}
OWNERS = {"date", "datetime", "Timestamp", "time"}
# (file, text): instants that are cut all the same, and why that is right.
CUT = {
    ("layers/audit.py", "row['at'][:19]"): "says UTC: this floor knows no city",
    ("templates/layer_figures.html", "version.at[:23]"): "ends with Z: it is put into a command",
}
_INSTANT = re.compile(r"""\b(?:at|\w+_at|made|moment)(?:['"]\])?\[:\d+\]""")
SUBPROCESS = {"run", "Popen", "check_output", "check_call", "call"}


def owner(call):
    return ast.unparse(call.func.value).rpartition(".")[2] if isinstance(call.func, ast.Attribute) else ""


def keywords(call):
    return {k.arg: getattr(k.value, "value", None) for k in call.keywords}


def machine_clock(call):
    """A call that asks for the time of the machine's zone."""
    if not isinstance(call.func, ast.Attribute):
        return False
    name = call.func.attr
    if name in CLOCKS:
        return owner(call) in OWNERS
    if name in WITH_ZONE and (owner(call) in OWNERS or name == "astimezone"):
        return len(call.args) <= WITH_ZONE[name] and not {"tz", "tzinfo"} & set(keywords(call))
    return name == "strftime" and owner(call) == "time" and len(call.args) < 2


def machine_letters(call):
    """A call that reads or writes text in the letters of the machine."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given, asked = len(call.args), keywords(call)
    if name in ("read_text", "write_text"):
        return "encoding" not in asked and given < (1 if name == "read_text" else 2)
    if name == "open" and isinstance(call.func, ast.Name):
        mode = call.args[1].value if given > 1 and isinstance(call.args[1], ast.Constant) else asked.get("mode", "r")
        return "b" not in str(mode) and "encoding" not in asked and given < 4
    if name in SUBPROCESS and owner(call) == "subprocess":
        return bool({"text", "universal_newlines"} & set(asked)) and "encoding" not in asked
    return False


@cache
def calls(text):
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]


def found(sign, files):
    return [
        f"{path}:{call.lineno} {ast.unparse(call)[:80]}"
        for path, text in files.items()
        for call in calls(text)
        if sign(call)
    ]


def test_nobody_asks_for_the_day_of_the_machine():
    assert found(machine_clock, sources(folders=("geo", "layers", "server", "tests"))) == []


def test_texts_are_read_and_written_in_utf8():
    assert found(machine_letters, sources()) == []


def test_instants_are_told_by_the_clock_of_the_city_and_not_cut():
    files = sources() | {
        f.relative_to(ROOT).as_posix(): f.read_text(encoding="utf-8") for f in (ROOT / "templates").rglob("*.html")
    }
    cut = {(path, line.strip()) for path, text in files.items() for line in text.splitlines() if _INSTANT.search(line)}
    assert [c for c in cut if not any(c[0] == path and what in c[1] for path, what in CUT)] == []
    assert all(any(c[0] == path and what in c[1] for c in cut) for path, what in CUT), "an allowance nobody needs"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("date.today()", True),
        ("datetime.datetime.now()", True),
        ("datetime.now(UTC)", False),
        ("datetime.now(tz=CITY_TIME)", False),
        ("datetime.utcnow()", True),
        ("datetime.fromtimestamp(3)", True),
        ("datetime.fromtimestamp(3, UTC)", False),
        ("pd.Timestamp.today()", True),
        ("at.astimezone()", True),
        ("at.astimezone(CITY_TIME)", False),
        ("time.strftime('%Y')", True),
        ("time.localtime()", True),
        ("time.time()", False),
        ("services.today()", False),
        ("self.now()", False),
    ],
)
def test_the_checker_of_clocks_sees(text, seen):
    assert bool(found(machine_clock, {"x.py": text})) is seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("path.read_text()", True),
        ("path.read_text('utf-8')", False),
        ("path.read_text(encoding='utf-8')", False),
        ("path.write_text(text)", True),
        ("path.write_text(text, 'utf-8')", False),
        ("open(path)", True),
        ("open(path, 'w')", True),
        ("open(path, mode='rb')", False),
        ("open(path, 'w', encoding='utf-8')", False),
        ("subprocess.run(a, text=True)", True),
        ("subprocess.run(a, text=True, encoding='utf-8')", False),
        ("subprocess.run(a)", False),
        ("image.open()", False),
    ],
)
def test_the_checker_of_letters_sees(text, seen):
    assert bool(found(machine_letters, {"x.py": text})) is seen
