"""The question of a siting study as a document: what is filled in, what is refused, with the field named."""

import json

import pytest
import smalltown as st
from hypothesis import given
from hypothesis import strategies as some

from server import sitekinds, sitespec, siteweights, sitewords
from server.sitespec import SpecError, checked, read


def refused(**fields):
    """[(field, English)] of what is wrong."""
    with pytest.raises(SpecError) as told:
        st.question(**fields)
    assert all(words["vi"] and words["vi"] != words["en"] for _, words in told.value.problems_of)
    return [(field, words["en"]) for field, words in told.value.problems_of]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"name": ""}, "name", "filled in"),
        ({"name": "x" * 201}, "name", "at most 200 characters"),
        ({"as_of": "22/11/2026"}, "as_of", "year-month-day"),
        ({"area": {"units": ["a"], "wkt": "POINT (1 2)"}}, "area", "whole city"),
        ({"area": {"wkt": "POINT (106 20)"}}, "area.wkt", "outline"),
        ({"area": {"wkt": "POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))"}}, "area.wkt", "crosses itself"),
        ({"area": {"wkt": "POLYGON ((590000 0, 590001 0, 590001 1, 590000 0))"}}, "area.wkt", "degrees"),
        ({"cell_m": 0.5}, "cell_m", "1 to 5,000"),
        ({"cell_m": True}, "cell_m", "a number"),
        ({"cell_m": float("nan")}, "cell_m", "a number"),
        ({"facility": {"kind": "cemetery"}}, "facility.kind", "one of"),
        ({"facility": {"technology": "magic"}}, "facility.technology", "one of"),
        ({"facility": {"enclosed": None}}, "facility.enclosed", "enclosed"),
        ({"facility": {"colour": 1}}, "facility", "colour"),
        ({"facility": {"belt_m": 5}}, "facility.land_source", "filled in"),
        ({"sizes": []}, "sizes", "at least one"),
        ({"sizes": [{"capacity_m3_day": 1, "cost": 1}] * 2}, "sizes", "twice"),
        ({"sizes": [{"capacity_m3_day": -1}]}, "sizes[0].capacity_m3_day", "0.001 to"),
        ({"sizes": [{"capacity_m3_day": 1}], "budget": 5}, "sizes[0].cost", "about money"),
        ({"number": None}, "number", "number of plants or a budget"),
        ({"number": None, "model": "median"}, "number", "number of plants"),
        ({"number": 1.5}, "number", "whole number"),
        ({"model": "best"}, "model", "one of"),
        ({"rules": [{"code": "moon"}]}, "rules[0].code", "no rule moon"),
        ({"rules": [{"code": "water"}, {"code": "water"}]}, "rules[1].code", "twice"),
        ({"rules": [{"code": "houses", "distance_m": 300}]}, "rules[0].source", "filled in"),
        ({"rules": [{"code": "elevation", "on": True, "at_least": None}]}, "rules[0].at_least", "least or the most"),
        ({"rules": [{"code": "land_cover", "on": True}]}, "rules[0].classes", "classes"),
        ({"criteria": [{"code": "luck", "weight": 1}]}, "criteria[0].code", "no criterion luck"),
        ({"criteria": [{"code": "demand", "weight": 0}]}, "criteria", "above 0"),
        ({"criteria": [{"code": "demand", "weight": 1, "curve": [[0, 0], [0, 1]]}]}, "criteria[0].curve", "rising"),
        ({"criteria": [{"code": "demand", "weight": 1, "curve": [[0, 0], [1, 2]]}]}, "criteria[0].curve", "0 to 1"),
        ({"rules": [{"code": ["homes"]}]}, "rules[0].code", "no rule"),
        ({"criteria": [{"code": {"a": 1}, "weight": 1}]}, "criteria[0].code", "no criterion"),
        ({"layers": [{"code": "a b", "source": "x", "wkt": "POINT (1 1)"}]}, "layers[0].code", "letters"),
        ({"layers": [{"code": "a", "wkt": "POINT (1 1)"}]}, "layers[0].source", "filled in"),
        ({"network": {"layer": "roads"}}, "network.layer", "no own layer roads"),
        ({"candidates": {"count": 0}}, "candidates.count", "no site to choose"),
        ({"given": [{"code": "a", "lon": 200, "lat": 0}]}, "given[0].lon", "-180 to 180"),
        ({"block": [{"lon": 1, "lat": 1, "radius_m": 5, "reason": "  "}]}, "block[0].reason", "filled in"),
        ({"robustness": {"spread": 2}}, "robustness.spread", "0 to 1"),
        ({"effort": {"gap": 0.9}}, "effort.gap", "0 to 0.5"),
        ({"seed": -1}, "seed", "0 to"),
        ({"colour": 1}, "colour", "colour"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(fields, field, words):
    told = refused(**fields)
    assert (told[0][0], words in told[0][1]) == (field, True), told


def test_all_problems_come_together():
    told = refused(name="", cell_m="a", seed="b")
    assert [field for field, _ in told] == ["name", "cell_m", "seed"]


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"format": "other/1"}', '"x"', "[" * 100_000])
def test_a_text_that_is_no_study(text):
    with pytest.raises(SpecError) as told:
        read(text)
    assert told.value.problems_of[0][0] == "format"


_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(some.sampled_from(sorted(sitespec.blank("2026-01-01"))), _values)
def test_no_value_of_a_field_breaks_the_reader(field, value):
    """Whatever stands in a field is taken or refused, and what is taken reads back as it was."""
    try:
        made = st.question(**{field: value})
    except SpecError as e:
        assert e.problems_of
    else:
        assert checked(made) == made
        assert read(sitespec.canonical(made)) == made


_NAMES = ("code", "on", "distance_m", "source", "at_least", "at_most", "classes", "weight", "curve", "lon", "lat", "wkt",
          "radius_m", "reason", "capacity_m3_day", "cost", "title", "use")  # fmt: skip


@given(
    some.sampled_from(("rules", "criteria", "layers", "given", "block", "sizes", "pairs")),
    some.lists(some.dictionaries(some.sampled_from(_NAMES), _values, max_size=4), max_size=3),
)
def test_no_value_in_a_group_of_a_list_breaks_the_reader(field, groups):
    try:
        made = st.question(**{field: groups})
    except SpecError as e:
        assert e.problems_of
    else:
        assert checked(made) == made


def test_what_is_left_out_is_filled_in_and_reads_back():
    spec = st.question()
    assert checked(json.loads(json.dumps(spec))) == spec
    assert sitespec.canonical(checked(dict(reversed(spec.items())))) == sitespec.canonical(spec)
    assert [r["code"] for r in spec["rules"]] == list(sitekinds.RULES)


def test_weights_add_up_to_one():
    criteria = [{"code": "demand", "weight": 3}, {"code": "houses", "weight": 1}]
    assert siteweights.weights(st.question(criteria=criteria))[0] == {"demand": 0.75, "houses": 0.25}


def test_every_code_has_its_words():
    """That they are translated is asked of every text by tests/test_i18n.py."""
    assert set(sitekinds.RULES) <= set(sitewords.RULES)
    assert set(sitekinds.CRITERIA) <= set(sitewords.CRITERIA)
    assert set(sitekinds.GROUPS) <= set(sitewords.GROUPS)
    assert {c.unit for c in sitekinds.CRITERIA.values()} | {r.unit for r in sitekinds.RULES.values()} <= set(
        sitewords.UNITS
    )
    assert (sitewords.word("unit", "percent", "vi"), sitewords.word("rule", "water", "vi")) == ("%", "Mặt nước")


def test_numbers_are_written_as_each_language_writes_them():
    told = sitewords.said("%(a)s and %(b)s", a=1234567.0, b=0.25)
    assert (told["en"], told["vi"]) == ("1,234,567 and 0.25", "1.234.567 and 0,25")


def test_the_technologies_of_a_day_name_both_languages():
    rows = sitekinds.technologies(sitekinds.table()["valid_until"].min())
    assert {r["kind"] for r in rows} == set(sitekinds.GROUPS)
    plant = next(r for r in rows if r["technology"] == sitekinds.PLANT)
    assert (plant["by_enclosure"], plant["by_capacity"]) == (True, True)
    assert all(r["vi"] for r in rows)
