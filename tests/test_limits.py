"""A value against the limit of its day: worked by hand, as properties, and with the real tables."""

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo import limits, units
from geo.limits import PERMIT, Factor, Limit, choose, compare, expected, judge, judge_next, judge_set, tally
from layers import standards

DAY = date(2024, 5, 20)
COD = Limit("r", "Q", "COD", "mg/L", None, 20.0, False, (), "table 1", "verified-text")
DO = Limit("r", "Q", "DO", "mg/L", 5.0, None, False, (), "table 1", "verified-text")
PH = Limit("r", "Q", "pH", "-", 6.0, 8.5, False, (), "table 1", "verified-text")
NONE_FOUND = Limit("r", "Q", "salmonella", "count/100mL", None, None, True, (), "table 1", "verified-text")
INDUSTRIAL = {"medium": "wastewater", "water": "industrial", "column": "B"}
RIVER_B = {"medium": "surface_water", "water": "river", "column": "B"}


@pytest.fixture(scope="module")
def table():
    return standards.limits()


def state(value, limit, sign="", unit=None, **more):
    verdict = compare(value, limit.unit if unit is None else unit, sign, limit, on=DAY, **more)
    return verdict.state if verdict.state != "not_judged" else verdict.word


# --- one value, one limit, by hand ---


@pytest.mark.parametrize(
    ("value", "sign", "limit", "expect"),
    [
        (20, "", COD, "meets"),  # the limit itself is allowed
        (20.0001, "", COD, "exceeds"),
        (0, "", COD, "meets"),
        (15, "<", COD, "meets"),
        (20, "<", COD, "meets"),
        (25, "<", COD, "detection_limit_too_coarse"),
        (20, ">", COD, "exceeds"),
        (19, ">", COD, "above_measuring_range"),
        (5, "", DO, "meets"),
        (4.99, "", DO, "exceeds"),
        (0, "", DO, "exceeds"),
        (5, "<", DO, "exceeds"),
        (6, "<", DO, "detection_limit_too_coarse"),
        (5, ">", DO, "meets"),
        (4, ">", DO, "above_measuring_range"),
        (6, "", PH, "meets"),
        (8.5, "", PH, "meets"),
        (5.99, "", PH, "exceeds"),
        (8.51, "", PH, "exceeds"),
        (6, "<", PH, "exceeds"),
        (7, "<", PH, "detection_limit_too_coarse"),
        (9, ">", PH, "exceeds"),
        (7, ">", PH, "above_measuring_range"),
        (14.5, "", PH, "value_impossible"),
        (-1, "", COD, "value_impossible"),
        (float("inf"), "", COD, "value_impossible"),
        (0, "", NONE_FOUND, "meets"),
        (1, "<", NONE_FOUND, "meets"),
        (1, "", NONE_FOUND, "exceeds"),
        (0, ">", NONE_FOUND, "exceeds"),
    ],
)
def test_a_value_against_a_limit(value, sign, limit, expect):
    assert state(value, limit, sign) == expect


def test_units_are_brought_together_exactly():
    tight = replace(COD, high=0.3)
    assert state(300, tight, unit="µg/L") == "meets"
    assert state(0.1 + 0.2, tight) == "exceeds"  # what was typed is 0.30000000000000004
    assert state(300.1, tight, unit="mg/m³") == "exceeds"
    assert [state(1, COD, unit=u) for u in ("mg/kg", "ppm", "", "µg/Nm3")] == [
        *("unit_differs", "unit_unknown", "unit_missing", "unit_differs")
    ]


def test_factors_multiply_the_limit():
    # formats.md section 4: COD 150, river 30 m³/s, flow 6000 m³/day: 150 × 0.9 × 0.9 = 121.5
    limit = replace(COD, high=150.0, factor_rule=("Kq", "Kf"))
    kq, kf = Factor("Kq", 0.9, PERMIT, "permit 1"), Factor("Kf", 0.9, PERMIT, "permit 1")
    at = compare(121.5, "mg/L", "", limit, on=DAY, factors=(kf, kq))
    assert (at.state, at.limit_max, at.factor, at.factors) == ("meets", 121.5, 0.81, (kq, kf))
    assert compare(121.6, "mg/L", "", limit, on=DAY, factors=(kf, kq)).state == "exceeds"
    lacking = compare(121.6, "mg/L", "", limit, on=DAY, factors=(kq,))
    assert (lacking.word, lacking.open, lacking.indication) == ("factor_needed", (("Kf", ()),), "")
    guessed = compare(121.6, "mg/L", "", limit, on=DAY, factors=(kq, replace(kf, confidence="background")))
    assert (guessed.word, guessed.indication, guessed.verified) == ("limit_unverified", "exceeds", False)


def test_ratio():
    def ratio(value, limit, sign="", unit=None):
        return compare(value, unit or limit.unit, sign, limit, on=DAY).ratio

    assert ratio(30, COD) == 1.5
    assert ratio(30000, COD, unit="µg/L") == 1.5
    assert ratio(30, COD, ">") == 1.5
    assert ratio(10, COD, "<") is None
    assert ratio(2.5, DO) == 2.0
    assert ratio(0, DO) is None
    assert ratio(9, PH) is None
    assert ratio(1, NONE_FOUND) is None


def test_the_other_states():
    assert state(None, COD) == state(float("nan"), COD) == "not_measured"
    assert state(None, COD, required=False) == "not_required"
    assert state(25, COD, required=False) == "exceeds"  # measured without need is still measured
    calibrating = compare(100.2, "mg/L", "", COD, on=DAY, flag="calibrating")
    assert (calibrating.state, calibrating.value) == ("fault_or_calibrating", 100.2)
    assert state(None, COD, flag="fault") == "fault_or_calibrating"
    for bad in ({"sign": "~"}, {"flag": "tired"}):
        with pytest.raises(ValueError, match="A sign is"):
            state(1, COD, **bad)


@pytest.mark.parametrize("confidence", ["background", "proposal", "not-established", "", "verified"])
def test_an_unverified_limit_gives_no_verdict_without_a_named_decision(confidence):
    verdict = compare(30, "mg/L", "", replace(COD, confidence=confidence), on=DAY)
    assert (verdict.state, verdict.word, verdict.verified) == ("not_judged", "limit_unverified", False)
    assert verdict.indication == "exceeds"
    assert limits.accept(verdict, "") is verdict
    taken = limits.accept(verdict, "1234/QĐ-SNNMT")
    assert (taken.state, taken.decision, taken.verified) == ("exceeds", "1234/QĐ-SNNMT", False)


def test_a_decision_cannot_mend_what_has_no_number_or_change_a_verdict():
    blank = compare(30, "mg/L", "", replace(COD, high=None, confidence="not-established"), on=DAY)
    assert (blank.word, blank.indication) == ("limit_not_established", "")
    meets = compare(10, "mg/L", "", COD, on=DAY)
    for verdict in (blank, meets, compare(None, "", "", COD, on=DAY)):
        assert limits.accept(verdict, "1234/QĐ-SNNMT") is verdict


# --- the real tables ---


def test_the_same_sample_on_two_dates(table):
    """Ammonium 0.5 mg/L, target class B1: allowed 0.9 under the rule of 2015, 0.3 for any water since 2023-09-12."""
    old = judge(0.5, "mg/L", "", "NH4_N", date(2023, 9, 11), table, medium="surface_water", column="B1")
    new = judge(0.5, "mg/L", "", "NH4_N", date(2023, 9, 12), table, medium="surface_water", column="B1")
    assert (old.state, old.regulation, old.row) == (
        *("meets", "QCVN 08-MT:2015/BTNMT", "08-MT:2015 surface_water T1 B1 NH4_N"),
    )
    assert (new.state, new.regulation, new.row) == (
        *("exceeds", "QCVN 08:2023/BTNMT", "08:2023 surface_water T1 NH4_N"),
    )
    assert (old.limit_max, new.limit_max, new.ratio, new.verified) == (0.9, 0.3, pytest.approx(5 / 3), True)
    told = judge_next(0.5, "mg/L", "", "NH4_N", date(2023, 9, 11), table, medium="surface_water", column="B1")
    assert (told.since, told.verdict) == (date(2023, 9, 12), new)


def test_the_raw_water_of_the_re_river(table):
    """16 October 2019: ammonium 4.60 mg/L, limit 0.30 (a published finding, hotspot HS02)."""
    verdict = judge(4.6, "mg/L", "", "NH4_N", date(2019, 10, 16), table, medium="surface_water", column="A2")
    assert (verdict.state, verdict.limit_max, round(verdict.ratio, 1)) == ("exceeds", 0.3, 15.3)


def test_would_fail_from(table):
    """PM2.5, mean of a day: 50 µg/Nm³ until the end of 2025, 45 since."""
    day = {"medium": "air", "averaging": "24h"}
    assert judge(48, "µg/Nm3", "", "PM2.5", date(2025, 12, 31), table, **day).state == "meets"
    told = judge_next(48, "µg/Nm3", "", "PM2.5", date(2025, 12, 31), table, **day)
    assert (told.since, told.verdict.state, told.verdict.limit_max) == (date(2026, 1, 1), "exceeds", 45.0)
    assert judge(48, "µg/Nm3", "", "PM2.5", date(2026, 1, 1), table, **day).state == "exceeds"
    assert judge_next(48, "µg/Nm3", "", "PM2.5", date(2026, 1, 1), table, **day) is None


def test_a_class_that_the_new_table_does_not_have_is_asked_for_again(table):
    verdict = judge(8, "mg/L", "", "BOD5", DAY, table, medium="surface_water", water="river", column="B1")
    assert (verdict.state, verdict.word, verdict.open) == (
        *("not_judged", "choice_not_in_table", (("column", ("A", "B", "C")),)),
    )
    unsaid = choose("BOD5", DAY, table, medium="surface_water")
    assert (unsaid.reason, dict(unsaid.open)["water"]) == ("choice_needed", ("lake", "river"))
    # class D has no upper bound for BOD5: it describes bad water, and nothing meets it
    assert judge(50, "mg/L", "", "BOD5", DAY, table, **(RIVER_B | {"column": "D"})).word == "choice_not_in_table"


def test_transition_of_the_effluent_rules_is_a_choice_per_discharge_point(table):
    def at(day, **choice):
        found = choose("COD", day, table, **INDUSTRIAL, **choice)
        return found.limit.regulation if found.limit else found.reason

    assert at(date(2025, 8, 31)) == "QCVN 40:2011/BTNMT"
    assert at(date(2025, 9, 1)) == "choice_needed"
    assert at(date(2031, 12, 31), transitional=True) == "QCVN 40:2011/BTNMT"
    assert at(date(2025, 9, 1), transitional=False) == "QCVN 40:2025/BTNMT"
    assert at(date(2032, 1, 1)) == at(date(2032, 1, 1), transitional=True) == "QCVN 40:2025/BTNMT"
    assert at(date(2026, 5, 1), regulation="QCVN 40:2011/BTNMT") == "QCVN 40:2011/BTNMT"
    assert at(date(2032, 1, 1), regulation="QCVN 40:2011/BTNMT") == "regulation_not_in_force"
    assert at(date(2012, 2, 14), regulation="QCVN 40:2011/BTNMT") == "regulation_not_in_force"


def test_next_limit_of_a_transitional_discharge_point(table):
    """pH 5.2 under the rule of 2011, column B (5.5 to 9): over; from 2032 the number is still to be entered."""
    at = dict(on=date(2026, 3, 1), limits=table, transitional=True, **INDUSTRIAL)
    assert judge(5.2, "-", "", "pH", **at).state == "exceeds"
    told = judge_next(5.2, "-", "", "pH", **at)
    assert (told.since, told.verdict.word) == (date(2032, 1, 1), "limit_not_established")


def test_present_effluent_limits_are_not_invented(table):
    for parameter in ("COD", "BOD5", "TSS", "NH4_N"):
        verdict = judge(1000, "mg/L", "", parameter, date(2026, 3, 1), table, transitional=False, **INDUSTRIAL)
        assert (verdict.state, verdict.word) == ("not_judged", "limit_not_established")


def test_factors_from_memory_do_not_make_a_verdict(table):
    kq = standards.factor("QCVN 40:2011/BTNMT", "Kq", "river", 30)
    kf = standards.factor("QCVN 40:2011/BTNMT", "Kf", "flow", 6000)
    verdict = judge(130, "mg/L", "", "COD", DAY, table, factors=(kq, kf), **INDUSTRIAL)
    assert (verdict.word, verdict.limit_max, verdict.indication) == ("limit_unverified", 121.5, "exceeds")
    decided = judge(130, "mg/L", "", "COD", DAY, table, factors=(kq, kf), decision="88/GPMT", **INDUSTRIAL)
    assert (decided.state, decided.decision, decided.verified) == ("exceeds", "88/GPMT", False)


def test_noise_after_a_successor_with_an_unknown_first_day(table):
    def night(day):
        return judge(60, "dBA", "", "LAeq", day, table, medium="noise", column="ordinary", averaging="night")

    assert (night(date(2025, 5, 14)).state, night(date(2025, 5, 14)).limit_max) == ("exceeds", 55.0)
    assert night(date(2025, 5, 15)).word == "limit_not_established"


def test_what_is_absent_stays_absent_where_no_limit_applies(table):
    def at(value, **more):
        verdict = judge(value, "mg/L", "", "TOC", date(2020, 1, 1), table, medium="surface_water", **more)
        return verdict.state, verdict.word

    assert at(3) == ("not_judged", "no_limit")
    assert at(None) == ("not_measured", "not_measured")
    assert at(None, required=False) == ("not_required", "not_required")
    assert at(3, flag="fault") == ("fault_or_calibrating", "fault_or_calibrating")
    assert choose("pH", date(2000, 1, 1), table, medium="surface_water").reason == "no_limit"


def test_every_row_is_found_by_what_it_says_of_itself(table):
    for r in table.itertuples():
        choice = choose(
            r.parameter,
            r.valid_from.date(),
            table,
            medium=r.medium,
            water=r.water.partition(";")[0],
            column=r.column,
            flow_class=r.flow_class,
            averaging=r.averaging,
            regulation=r.regulation,
        )
        assert choice.limit is not None and choice.limit.row == r.row, (r.row, choice)


def test_the_order_of_rows_does_not_matter(table):
    shuffled = table.sample(frac=1, random_state=7).reset_index(drop=True)
    for parameter in ("BOD5", "NH4_N", "TSS", "pH"):
        assert choose(parameter, DAY, table, **RIVER_B) == choose(parameter, DAY, shuffled, **RIVER_B)


def test_a_more_specific_row_counts_and_a_tie_is_told(table):
    base = table[table["row"] == "08:2023 surface_water T1 NH4_N"].iloc[0].to_dict()
    lake = base | {"row": "lake", "water": "lake", "limit_max": 0.2}
    twice = base | {"row": "twice"}
    found = choose("NH4_N", DAY, pd.DataFrame([base, lake]), medium="surface_water", water="lake")
    assert found.limit.row == "lake"
    assert choose("NH4_N", DAY, pd.DataFrame([base, lake]), medium="surface_water", water="river").limit.high == 0.3
    tie = choose("NH4_N", DAY, pd.DataFrame([base, twice]), medium="surface_water")
    assert (tie.limit, tie.reason) == (None, "choice_needed")


# --- properties ---

numbers = st.floats(0, 1000, allow_nan=False)
some_limit = st.sampled_from([COD, DO, replace(COD, low=3.0), PH])


@given(st.lists(st.integers(0, 1400), min_size=2, max_size=2), st.sampled_from(["", "<", ">"]))
def test_more_of_a_pollutant_never_goes_from_exceeding_to_meeting(pair, sign):
    less, more = sorted(pair)
    rank = {"meets": 0, "detection_limit_too_coarse": 1, "above_measuring_range": 1, "exceeds": 2}
    assert rank[state(less / 10, COD, sign)] <= rank[state(more / 10, COD, sign)]


@given(some_limit, st.integers(1, 1400), st.integers(0, 1400), st.sampled_from(["<", ">"]))
def test_a_verdict_on_a_bound_holds_for_every_value_it_may_stand_for(limit, bound, true, sign):
    """The second way: what "<" or ">" says is compared value by value."""
    said = state(bound / 100, limit, sign)
    fits = true < bound if sign == "<" else true > bound
    if said in ("meets", "exceeds") and fits:
        assert state(true / 100, limit) == said


@given(numbers, some_limit)
def test_a_value_is_the_same_in_another_unit(value, limit):
    if limit.unit == "mg/L":
        other = units.exact(value) * 1000
        verdict = compare(value, "mg/L", "", limit, on=DAY)
        in_other = compare(other, "µg/L", "", limit, on=DAY)
        assert (verdict.state, verdict.ratio) == (in_other.state, in_other.ratio)


results = st.lists(
    st.tuples(
        st.sampled_from(["COD", "DO", "pH"]),
        st.one_of(st.none(), st.floats(0, 14)),
        st.sampled_from(["", "<", ">"]),
        st.sampled_from(["", "fault"]),
        st.sampled_from(["verified-text", "background"]),
    ),
    max_size=6,
)


def verdicts_of(results, decision=""):
    by_code = {"COD": replace(COD, high=7.0), "DO": DO, "pH": PH}
    said = [
        compare(v, by_code[p].unit, s, replace(by_code[p], confidence=c), on=DAY, flag=f) for p, v, s, f, c in results
    ]
    return [limits.accept(v, decision) for v in said]


@given(results, st.data(), st.sampled_from(["", "1234/QĐ"]))
def test_deleting_data_never_improves_a_result(results, data, decision):
    verdicts = verdicts_of(results, decision)
    kept = data.draw(st.lists(st.booleans(), min_size=len(verdicts), max_size=len(verdicts)))
    fewer = [v for v, keep in zip(verdicts, kept, strict=True) if keep]
    required = expected([verdicts], named={"COD"})
    before, after = judge_set(verdicts, required), judge_set(fewer, required)
    assert before.compliant is True or after.compliant is not True
    due = len(verdicts)
    if due:
        assert tally(fewer, due).share <= tally(verdicts, due).share
        assert tally(fewer, due).complete <= tally(verdicts, due).complete


@given(results)
def test_a_sampling_is_compliant_only_if_all_that_is_required_meets(results):
    verdicts, required = verdicts_of(results), {"COD", "pH"}
    judgement = judge_set(verdicts, required)
    states = [v.state for v in verdicts]
    expect = None
    if "exceeds" in states:
        expect = False
    elif set(states) <= {"meets"} and required <= {v.parameter for v in verdicts}:
        expect = True
    assert judgement.compliant is expect
    assert (judgement.basis == "") == (expect is None)


# --- samplings and shares, by hand ---


def test_a_sampling_by_hand():
    cod, do = compare(10, "mg/L", "", COD, on=DAY), compare(6, "mg/L", "", DO, on=DAY)
    assert judge_set([cod, do], {"COD", "DO"}) == limits.Judgement(True, "limits")
    assert judge_set([cod], {"COD", "DO"}) == limits.Judgement(None, "", missing=("DO",))
    assert judge_set([cod], ()).compliant is None
    over = compare(30, "mg/L", "", COD, on=DAY)
    assert judge_set([over], {"COD", "DO"}) == limits.Judgement(False, "limits", ("COD",), (), ("DO",))
    # two bottles of one parameter: the worse one counts
    assert judge_set([cod, over, do], {"COD", "DO"}).compliant is False
    broken = compare(10, "mg/L", "", DO, on=DAY, flag="fault")
    assert judge_set([cod, do, broken], {"COD", "DO"}) == limits.Judgement(None, "", (), ("DO",))


def test_proof_by_a_decision_is_told_apart():
    cod = compare(10, "mg/L", "", COD, on=DAY)
    weak = compare(6, "mg/L", "", replace(DO, confidence="background"), on=DAY)
    assert judge_set([cod, weak], {"COD", "DO"}).compliant is None
    assert judge_set([cod, limits.accept(weak, "9/QĐ")], {"COD", "DO"}) == limits.Judgement(True, "decision")


def test_a_parameter_without_a_limit_does_not_block_unless_it_was_named(table):
    where = RIVER_B
    bod = judge(3, "mg/L", "", "BOD5", DAY, table, **where)
    free = judge(3, "mg/L", "", "salmonella", DAY, table, **where)
    assert (bod.state, free.word) == ("meets", "no_limit")
    assert expected([[bod, free]]) == {"BOD5"}
    assert judge_set([bod, free], expected([[bod, free]])).compliant is True
    assert judge_set([bod, free], {"BOD5", "salmonella"}).compliant is None


def test_shares_count_what_is_not_there():
    met, over = compare(10, "mg/L", "", COD, on=DAY), compare(30, "mg/L", "", COD, on=DAY)
    counted = tally([met, met, over, compare(None, "", "", COD, on=DAY, required=False)], 5)
    assert (counted.share, counted.possible, counted.complete) == (0.4, 0.8, 0.6)
    assert (counted.meets, counted.exceeds, counted.not_measured) == (2, 1, 2)
    assert tally([], 0).share is None
    with pytest.raises(ValueError, match="only 1 were due"):
        tally([met, over], 1)


def test_the_worst_of_a_sampling():
    met, over = compare(10, "mg/L", "", COD, on=DAY), compare(30, "mg/L", "", COD, on=DAY)
    sour, weak = compare(5, "-", "", PH, on=DAY), compare(25, "mg/L", "<", COD, on=DAY)
    assert limits.worst([met, over, sour]) == (True, 1.5)
    assert limits.worst([sour]) == (True, None)
    assert limits.worst([met]) == (False, 0.5)
    assert limits.worst([met, weak]) == limits.worst([]) == (None, None)
    assert limits.worst([over, weak]) == (True, 1.5)
    without = replace(met, state="not_judged", word="no_limit")
    assert limits.worst([met, without]) == (False, 0.5)


# --- units ---


@pytest.mark.parametrize(
    ("value", "unit", "to", "expect"),
    [
        (1, "g/m³", "mg/L", 1),
        (1, "mg/m3", "µg/L", 1),
        (250, "ng/L", "µg/L", 0.25),
        (1, "MG/l", "mg/L", 1),
        (1, "mg / lít", "mg/L", 1),
        (1, "ug/l", "μg/L", 1),  # two signs for micro
        (0.03, "mg/Nm3", "µg/Nm3", 30),
        (1, "g/kg", "mg/kg", 1000),
        (30, "CFU/mL", "MPN or CFU/100mL", 3000),
        (4300, "MPN/100 ml", "CFU or MPN/100mL", 4300),
        (4300, "MPN or CFU/100mL", "CFU or MPN/100mL", 4300),
        (7, "", "-", 7),
        (31, "oC", "°C", 31),
        (50, "TCU", "Pt-Co", 50),
        (60, "dB(A)", "dBA", 60),
    ],
)
def test_units_of_one_dimension(value, unit, to, expect):
    assert units.convert(value, unit, to) == units.exact(expect)


@pytest.mark.parametrize(
    ("unit", "to", "code"),
    [
        ("mg/L", "mg/kg", "unit_differs"),
        ("µg/m3", "µg/Nm3", "unit_differs"),
        ("CFU/100mL", "MPN/100mL", "unit_differs"),
        ("MPN or CFU/100mL", "MPN/100mL", "unit_unknown"),
        ("ppm", "mg/L", "unit_unknown"),
        ("dB", "dBA", "unit_unknown"),
        ("<script>", "mg/L", "unit_unknown"),
        ("", "mg/L", "unit_missing"),
        ("  ", "mg/L", "unit_missing"),
        ("mg/L", "bushel", "unit_unknown"),
    ],
)
def test_everything_else_is_refused(unit, to, code):
    with pytest.raises(units.UnitError) as refused:
        units.convert(1, unit, to)
    assert refused.value.code == code


def test_known_units_turn_into_their_base_unit():
    for ways in units.known().values():
        for unit in ways:
            assert units.convert(2, unit, ways[0]) > 0
