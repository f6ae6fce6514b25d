"""Every text has Vietnamese, with the same placeholders; numbers and dates as each language writes them."""

import datetime
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask, g

from server import i18n, words


@contextmanager
def speaking(language):
    with Flask("x").test_request_context():
        g.language = language
        yield


def placeholders(text):
    return sorted(re.findall(r"%\(\w+\)s|\{\w+\}|%%", text))


def test_every_text_is_translated_with_its_placeholders():
    from babel.messages.pofile import read_po

    with (i18n.LOCALE / "vi" / "messages.po").open("rb") as file:
        catalogue = read_po(file, locale="vi")
    problems, seen = [], 0
    for file, line, message in i18n.messages():
        seen += 1
        one = message if isinstance(message, str) else message[0]
        entry = catalogue.get(one)
        forms = () if entry is None else (entry.string,) if isinstance(entry.string, str) else entry.string
        if not forms or not all(forms):
            problems.append(f"{Path(file).name}:{line}: not translated: {one!r}")
            continue
        source = message if isinstance(message, str) else message[-1]
        for form in forms:
            if placeholders(form) != placeholders(source):
                problems.append(f"{Path(file).name}:{line}: placeholders differ: {form!r}")
    assert seen > 200
    assert not problems, "\n" + "\n".join(problems)


def test_extraction_sees_templates_code_and_scripts():
    kinds = {file.suffix for file, _line, _message in i18n.messages()}
    assert kinds == {".html", ".py", ".js"}


def test_every_coded_word_has_both_languages():
    for family, names in words.FAMILIES.items():
        for code in names:
            with speaking("en"):
                english = words.word(family, code)
            with speaking("vi"):
                assert words.word(family, code) != english, (family, code)


@pytest.mark.parametrize(
    ("value", "digits", "vi", "en"),
    [
        (1234.5, None, "1.234,5", "1,234.5"),
        (1234567, 0, "1.234.567", "1,234,567"),
        (0, None, "0", "0"),
        (-0.001, None, "0", "0"),
        (-12.5, 1, "−12,5", "−12.5"),
        (100, None, "100", "100"),
        (None, None, "–", "–"),
        (float("nan"), None, "–", "–"),
    ],
)
def test_numbers(value, digits, vi, en):
    with speaking("vi"):
        assert i18n.number(value, digits) == vi
    with speaking("en"):
        assert i18n.number(value, digits) == en


@pytest.mark.parametrize(
    ("value", "vi"),
    [
        (368123, "368.000"),
        (1234, "1.230"),
        (12.34, "12"),
        (5.678, "5,68"),
        (0.4, "dưới 1"),
        (0, "0"),
        (None, "–"),
    ],
)
def test_estimates_have_three_figures(value, vi):
    with speaking("vi"):
        assert i18n.m3(value) == vi


def test_shares_and_ranges():
    with speaking("vi"):
        assert i18n.percent(0.0612) == "6,1\u00a0%"
        assert i18n.percent(0.212) == "21\u00a0%"
        assert i18n.percent(0.212, exact=True) == "21,2\u00a0%"
        assert i18n.percent(0.9996) == "100,0\u00a0%"
        assert i18n.percent(1) == "100\u00a0%"
        assert i18n.percent_range({"low": 0.023, "likely": 0.061, "high": 0.15}) == "6,1\u00a0% (2,3–15)"
        assert i18n.percent_range({"low": None, "likely": 0.061, "high": None}) == "6,1\u00a0%"
        assert i18n.m3_range({"low": 301000, "likely": 368123, "high": 441000}) == "368.000 (301.000–441.000)"
        assert i18n.m3_range(None) == "–"
        assert i18n.m3(368123, about=True) == "khoảng 368.000"


@pytest.mark.parametrize(
    ("value", "vi", "en"),
    [
        (datetime.date(2026, 11, 22), "22/11/2026", "22 Nov 2026"),
        ("2026-11-02", "02/11/2026", "2 Nov 2026"),
        ("2026-11", "11/2026", "Nov 2026"),
        ("2021", "2021", "2021"),
        (None, "–", "–"),
        ("about 2015", "about 2015", "about 2015"),
    ],
)
def test_dates(value, vi, en):
    with speaking("vi"):
        assert i18n.date(value) == vi
    with speaking("en"):
        assert i18n.date(value) == en


def test_plurals():
    with speaking("en"):
        assert i18n.ngettext("one row", "%(num)s rows", 1) == "one row"
        assert i18n.ngettext("one row", "%(num)s rows", 1200) == "1,200 rows"
    with speaking("vi"):
        assert i18n.ngettext("one row", "%(num)s rows", 1) == "1 dòng"
        assert i18n.ngettext("one row", "%(num)s rows", 1200) == "1.200 dòng"


def test_missing_values_speak():
    with speaking("vi"):
        assert "không có số liệu" in i18n._spoken(i18n.number)(None)
        assert i18n._spoken(i18n.number)(5) == "5"


def test_text_takes_the_other_language_when_one_is_missing():
    with speaking("en"):
        assert i18n.text({"name_vi": "Lê Chân", "name_en": "Le Chan"}, "name") == "Le Chan"
        assert i18n.text({"name_vi": "Lê Chân", "name_en": ""}, "name") == "Lê Chân"
        assert i18n.text({}, "name") == ""
