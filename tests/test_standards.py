"""The tables of limits as they are in the product: typed, dated, unique, and found by what people write."""

from datetime import date

import pandas as pd
import pytest

from geo import limits, units
from layers import standards

FILES = ["effluent_limits", "surface_water_limits", "ambient_air_limits", "ambient_other_limits"]


@pytest.fixture(scope="module")
def table():
    return standards.limits()


def test_no_row_of_the_files_is_lost(table):
    in_files = sum(len(standards._read(f)) for f in FILES)
    assert in_files == len(table) + len(standards.descriptions()) == 324 + 185 + 86 + 105
    assert len(standards.factors()) == 31


def test_the_frame_is_what_the_engine_wants(table):
    assert set(limits.COLUMNS) <= set(table.columns)
    text = table.select_dtypes(["object", "string"])
    assert not text.isna().any().any()
    assert table["row"].is_unique and standards.factors()["row"].is_unique
    assert set(table["medium"]) == set(standards.MEDIA)
    assert set(table["confidence"]) <= {"verified-text", "verified-secondary", "background", "not-established"}
    assert (table["valid_until"].isna() | (table["valid_until"] >= table["valid_from"])).all()
    both = table[["limit_min", "limit_max"]].notna().all(axis=1)
    assert (table.loc[both, "limit_min"] < table.loc[both, "limit_max"]).all()
    assert table["reference"].ne("").all() and table["regulation"].ne("").all()


def test_every_unit_and_parameter_of_the_tables_is_known(table):
    for unit in set(table.loc[table["limit_max"].notna(), "unit"]):
        assert units.convert(1, unit.partition(" or ")[0] + ("/100mL" if " or " in unit else ""), unit) == 1
    assert set(table["parameter"]) <= set(standards.parameters())


@pytest.mark.parametrize(
    ("row", "low", "high", "unit"),
    [
        ("40:2011 wastewater industrial B COD", None, 150, "mg/L"),
        ("40:2011 wastewater industrial A pH", 6, 9, "-"),
        ("08:2023 surface_water T2 river A DO", 6, None, "mg/L"),
        ("08:2023 surface_water T1 NH4_N", None, 0.3, "mg/L"),
        ("08-MT:2015 surface_water T1 B1 BOD5", None, 15, "mg/L"),
        ("05:2023 air 24h PM2.5", None, 50, "µg/Nm3"),
        ("05:2023 air 24h PM2.5 2026-01-01", None, 45, "µg/Nm3"),
        ("03:2023 soil T1 type 1 As", None, 25, "mg/kg"),
        ("09:2023 groundwater T1 NH4_N", None, 1, "mg/L"),
        ("10:2023 marine T2 coastal Pb", None, 0.05, "mg/L"),
        ("26:2010 noise T1 special night LAeq", None, 45, "dBA"),
    ],
)
def test_rows_by_their_ids(table, row, low, high, unit):
    found = table[table["row"] == row].iloc[0]
    assert [None if pd.isna(found[c]) else found[c] for c in ("limit_min", "limit_max")] == [low, high]
    assert found["unit"] == unit


@pytest.mark.parametrize(
    ("regulation", "first", "last", "transition"),
    [
        ("QCVN 40:2011/BTNMT", "2012-02-15", "2025-08-31", "2031-12-31"),
        ("QCVN 14:2008/BTNMT", "2009-01-21", "2025-08-31", "2031-12-31"),
        ("QCVN 28:2010/BTNMT", "2011-02-15", "2025-08-31", "2031-12-31"),
        ("QCVN 25:2009/BTNMT", "2010-01-01", "2025-08-31", "2031-12-31"),
        ("QCVN 40:2025/BTNMT", "2025-09-01", None, None),
        ("QCVN 08-MT:2015/BTNMT", "2016-03-01", "2023-09-11", None),
        ("QCVN 08:2023/BTNMT", "2023-09-12", None, None),
        ("QCVN 05:2013/BTNMT", "2014-01-01", "2023-09-11", None),
        ("QCVN 26:2010/BTNMT", "2011-02-15", "2025-05-14", None),
    ],
)
def test_dates_of_the_regulations(table, regulation, first, last, transition):
    rows = table[table["regulation"] == regulation]
    for column, expect in (("valid_from", first), ("valid_until", last), ("transition_until", transition)):
        assert {None if pd.isna(d) else d.date().isoformat() for d in rows[column]} == {expect}


def test_what_only_describes_bad_water_is_no_limit(table):
    told = standards.descriptions()
    assert {"08:2023 surface_water T2 river D BOD5", "08:2023 surface_water T2 river C TSS"} <= set(told["row"])
    lower = table[(table["medium"] == "surface_water") & table["limit_min"].notna()]
    assert set(lower["parameter"]) == {"DO", "pH"}
    assert not told["row"].isin(table["row"]).any()


def test_must_not_be_detected(table):
    found = set(table.loc[table["not_detected"], "parameter"])
    assert found == {"salmonella", "shigella", "vibrio_cholerae", "benzidine"}


@pytest.mark.parametrize(
    ("text", "medium", "code"),
    [
        ("BOD5", "", "BOD5"),
        ("bod", "", "BOD5"),
        ("BOD₅ (20°C)", "", "BOD5"),
        ("NH4+-N", "", "NH4_N"),
        ("N-NH4", "", "NH4_N"),
        ("Amôni", "", "NH4_N"),
        ("AMONI (TÍNH THEO N)", "", "NH4_N"),
        ("tổng nitơ", "", "TN"),
        ("T-P", "", "TP"),
        ("PO4³⁻", "", "PO4_P"),
        ("Chất rắn lơ lửng", "", "TSS"),
        ("chat ran lo lung", "", "TSS"),
        ("Thuỷ ngân", "", "Hg"),
        ("Cr(VI)", "", "Cr6"),
        ("Cr6+", "", "Cr6"),
        ("crôm VI", "", "Cr6"),
        ("Cr", "", "Cr_total"),
        ("đồng", "", "Cu"),
        ("PM2,5", "", "PM2.5"),
        ("bụi", "air", "TSP"),
        ("NO2", "air", "NO2"),
        ("NO2", "surface_water", "NO2_N"),
        ("phenol", "wastewater", "phenol_total"),
        ("phenol", "air", "phenol"),
        ("chất hoạt động bề mặt", "surface_water", "surfactants_anionic"),
        ("chất hoạt động bề mặt", "wastewater", "surfactants"),
        ("Tetrachloroethylene", "air", "PCE"),
        ("tiếng ồn", "", "LAeq"),
        ("độ màu", "", "colour"),
        ("nhiệt độ", "", "temperature"),
        ("phở", "", None),
        ("", "", None),
        ("<b>COD</b>", "", None),
    ],
)
def test_what_people_write(text, medium, code):
    assert standards.parameter(text, medium) == code


def test_every_name_of_a_parameter_finds_it_or_one_that_shares_the_name():
    for code, p in standards.parameters().items():
        assert standards.parameter(code) == code
        assert p.vi and p.en
        for text in (p.vi, p.en, *p.also):
            assert code in standards._writings()[standards._writing(text)]


@pytest.mark.parametrize(
    ("regulation", "name", "condition", "size", "value"),
    [
        ("QCVN 40:2011/BTNMT", "Kq", "river", 120, 1.0),
        ("QCVN 40:2011/BTNMT", "Kq", "river", 50, 0.9),  # "50 and less"
        ("QCVN 40:2011/BTNMT", "Kq", "river", 50.1, 1.0),
        ("QCVN 40:2011/BTNMT", "Kq", "river", 600, 1.2),
        ("QCVN 40:2011/BTNMT", "Kq", "river", None, 0.9),
        ("QCVN 40:2011/BTNMT", "Kq", "lake", None, 0.6),
        ("QCVN 40:2011/BTNMT", "Kq", "sea", None, 1.3),
        ("QCVN 40:2011/BTNMT", "Kf", "flow", 800, 1.0),
        ("QCVN 40:2011/BTNMT", "Kf", "flow", 6000, 0.9),
        ("QCVN 14:2008/BTNMT", "K", "hotel", 50, 1.0),  # the threshold itself is in the upper class
        ("QCVN 14:2008/BTNMT", "K", "hotel", 49, 1.2),
        ("QCVN 28:2010/BTNMT", "K", "hospital", 300, 1.0),
        ("QCVN 28:2010/BTNMT", "K", "medical", None, 1.2),
    ],
)
def test_factors(regulation, name, condition, size, value):
    found = standards.factor(regulation, name, condition, size)
    assert (found.value, found.name, found.reference != "") == (value, name, True)


def test_a_factor_that_is_not_in_the_tables():
    assert standards.factor("QCVN 40:2011/BTNMT", "Kf", "flow") is None
    assert standards.factor("QCVN 14:2008/BTNMT", "K", "hotel") is None
    assert standards.factor("QCVN 40:2025/BTNMT", "Kq", "river", 30) is None


def test_what_a_form_may_offer():
    assert standards.choices("surface_water", "column", date(2020, 1, 1)) == ("A1", "A2", "B1", "B2")
    assert standards.choices("surface_water", "column", date(2024, 1, 1)) == ("A", "B", "C", "D")
    assert standards.choices("soil", "column") == ("type 1", "type 2", "type 3")
    assert "COD" in standards.offered("wastewater") and "COD" not in standards.offered("air")
    assert "NO3_N" in standards.offered("surface_water", date(2020, 1, 1))
    assert "NO3_N" not in standards.offered("surface_water", date(2024, 1, 1))
    # the older effluent rules stay to be chosen in their transition
    assert "municipal" in standards.choices("wastewater", "water", date(2026, 1, 1))


def test_a_caller_cannot_spoil_the_tables(table):
    mine, factors = standards.limits(), standards.factors()
    mine["limit_max"] = 0
    factors["value"] = 0
    assert standards.limits().equals(table)
    assert standards.factor("QCVN 40:2011/BTNMT", "Kq", "river", 30).value == 0.9


def test_a_text_without_a_code_is_told():
    with pytest.raises(ValueError, match="without a code"):
        standards._coded(pd.Series(["harbour basin"]), standards._WATER)
    with pytest.raises(ValueError, match="without a code"):
        standards._condition("moon")
