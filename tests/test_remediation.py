"""The gates by hand: what opens each, what does not, and for whom."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import effects, remediation
from server.remediation import (
    ACTIVE,
    Actor,
    Evidence,
    GateError,
    LastStep,
    Rules,
    Sampling,
    Situation,
    decide,
    offers,
)

DAY = timedelta(days=1)
INSPECTOR, OTHER_INSPECTOR = Actor(1, "inspector"), Actor(2, "inspector")
OFFICER, APPROVER, OTHER_APPROVER, ADMINISTRATOR = (
    Actor(3, "commune_officer"),
    Actor(4, "approver"),
    Actor(5, "approver"),
    Actor(6, "administrator"),
)
PLANNER, SYSTEM = Actor(7, "planner"), Actor(0, "system")
EVERYBODY = (INSPECTOR, OTHER_INSPECTOR, OFFICER, APPROVER, OTHER_APPROVER, ADMINISTRATOR, PLANNER, SYSTEM)
WHY = "The laboratory of the city is flooded; see minutes 12/BB of 3 December."
WORK_DONE, FIRST = date(2026, 11, 1), date(2026, 11, 12)


def d(text):
    return date.fromisoformat(text)


def samplings(*rows, by=INSPECTOR.id):
    return tuple(Sampling(i, day, compliant, by) for i, (day, compliant) in enumerate(rows, 1))


GOOD = samplings((FIRST, True), (d("2026-11-26"), True), (d("2026-12-12"), True))
PAIR = (
    Evidence("photo_before", d("2026-05-02"), OFFICER.id),
    Evidence("photo_after", d("2026-11-02"), INSPECTOR.id),
)


def verifying(**changes):
    """A case whose closing is proven on 15 December 2026."""
    whole = {
        "stage": "verifying",
        "today": d("2026-12-15"),
        "code": "HP-1",
        "work_done_on": WORK_DONE,
        "in_stage_since": d("2026-11-03"),
        "opened_on": d("2026-05-01"),
        "samplings": GOOD,
        "evidence": PAIR,
    }
    return Situation(**whole | changes)


def after(situation, step, actor):
    """The situation right after a step, as a case that keeps what the step changes shows it."""
    return replace(situation, **step.changes, last_step=LastStep(step.action, actor.id, situation.today, old=step.old))


def refusal(situation, actor, action, form=None, override=None, **settings):
    with pytest.raises(GateError) as error:
        decide(situation, actor, action, form, override, **settings)
    return error.value


def codes(situation, actor, action, form=None, override=None):
    return [m.code for m in refusal(situation, actor, action, form, override).missing]


def english(missing):
    return [m.words % m.values for m in missing]


# --- the worked example of the method page: three samplings over thirty days ---


def test_worked_example_the_third_comes_a_day_too_early_and_then_right():
    # Work done on 1 November. Samplings on 12 and 26 November: 12 November + 30 days = 12 December.
    two = verifying(today=d("2026-11-30"), samplings=GOOD[:2])
    assert english(refusal(two, APPROVER, "close").missing) == [
        "2 of 3 compliant samplings; the last of them may be taken from 2026-12-12 on"
    ]
    early = verifying(samplings=(*GOOD[:2], Sampling(3, d("2026-12-11"), True, 1)))
    assert english(refusal(early, APPROVER, "close").missing) == [
        "3 compliant samplings span 29 of 30 days; one more may be taken from 2026-12-12 on"
    ]
    right = replace(early, samplings=(*GOOD[:2], Sampling(3, d("2026-12-12"), True, 1)))
    step = decide(right, APPROVER, "close")
    assert (step.stage, step.overridden) == ("watched", ())
    assert step.changes["watch_from"] == d("2026-12-15") and step.changes["watch_until"] == d("2027-12-15")
    one_more = replace(early, samplings=(*early.samplings, Sampling(4, d("2026-12-13"), True, 1)))
    assert decide(one_more, APPROVER, "close").stage == "watched", "four over 31 days prove it as well"


def test_one_exceedance_begins_the_count_anew():
    bad = samplings((FIRST, True), (d("2026-11-20"), True), (d("2026-12-12"), True), (d("2026-12-14"), False))
    assert english(refusal(verifying(samplings=bad), APPROVER, "close").missing) == [
        "0 of 3 compliant samplings",
        "the last result exceeds (sampling of 2026-12-14); counting begins anew after it",
    ]
    again = (*bad, Sampling(9, d("2026-12-15"), True, 1))
    found = refusal(verifying(samplings=again), APPROVER, "close").missing
    assert [m.code for m in found] == ["samplings_missing"] and found[0].values["from"] == d("2027-01-14")


def test_results_of_one_day_are_one_sampling_as_good_as_the_worst():
    same_day = samplings((FIRST, True), (FIRST, True), (d("2026-12-12"), True))
    assert codes(verifying(samplings=same_day), APPROVER, "close") == ["samplings_missing"]
    spoiled = (*GOOD, Sampling(8, d("2026-12-12"), False, 1))
    assert codes(verifying(samplings=spoiled), APPROVER, "close") == ["samplings_missing", "last_exceeds"]


def test_samplings_before_the_work_was_done_and_from_the_future_prove_nothing():
    old = tuple(replace(s, taken_on=s.taken_on - 60 * DAY) for s in GOOD)
    assert codes(verifying(samplings=old), APPROVER, "close") == ["samplings_missing"]
    assert codes(verifying(today=d("2026-12-11")), APPROVER, "close") == ["samplings_missing"]
    unknown = verifying(work_done_on=None, in_stage_since=None)
    assert codes(unknown, APPROVER, "close") == ["samplings_missing"], "a day that is not known never helps"


def test_an_unjudged_sampling_counts_only_by_a_numbered_decision_that_names_it():
    unjudged = (*GOOD[:2], replace(GOOD[2], compliant=None))
    case = verifying(samplings=unjudged)
    assert codes(case, APPROVER, "close") == ["samplings_missing", "unjudged"]

    def with_decision(**changes):
        whole = {"number": "77/QĐ-UBND", "samplings": (3,)} | changes
        return replace(case, evidence=(*PAIR, Evidence("limit_decision", d("2026-12-13"), OTHER_INSPECTOR.id, **whole)))

    assert decide(with_decision(), APPROVER, "close").stage == "watched"
    for useless in ({"number": " "}, {"samplings": (1, 2)}, {"samplings": ()}):
        assert codes(with_decision(**useless), APPROVER, "close") == ["samplings_missing", "unjudged"]
    exceeds = replace(with_decision(), samplings=(*GOOD[:2], replace(GOOD[2], compliant=False)))
    assert "last_exceeds" in codes(exceeds, APPROVER, "close"), "a decision cannot turn an exceedance"
    as_approver = replace(case, evidence=(*PAIR, replace(with_decision().evidence[-1], by=APPROVER.id)))
    assert codes(as_approver, APPROVER, "close") == ["approver_entered_results"]


def test_a_case_may_ask_for_more_but_not_for_less_than_the_settings():
    assert codes(verifying(needed_samples=4), APPROVER, "close") == ["samplings_missing"]
    assert codes(verifying(needed_days=31), APPROVER, "close") == ["span_too_short"]
    assert codes(verifying(needed_samples=1, needed_days=1, samplings=GOOD[:1]), APPROVER, "close") == [
        "samplings_missing"
    ]
    assert decide(verifying(samplings=GOOD[::2]), APPROVER, "close", rules=Rules(samples=2)).stage == "watched"


@given(st.permutations(GOOD + samplings((d("2026-11-15"), False), (d("2026-11-14"), None))))
def test_the_order_in_which_results_are_entered_does_not_matter(mixed):
    found = refusal(verifying(samplings=tuple(mixed)), APPROVER, "close").missing
    assert english(found) == [
        "2 of 3 compliant samplings; the last of them may be taken from 2026-12-26 on",
        "not judged, and the row ends there without a numbered decision on the limits: samplings of 1 days",
    ]


def test_a_result_that_nobody_judged_ends_the_row():
    """Else a bad result could be mended by leaving out the parameter that is bad."""
    rows = samplings((d("2026-11-20"), True), (d("2026-12-01"), None), (d("2026-12-25"), True))
    case = verifying(today=d("2026-12-26"), samplings=rows)
    assert not decide_close(case, Rules(samples=2, days=30))
    assert decide_close(replace(case, samplings=(rows[0], rows[2])), Rules(samples=2, days=30))


def test_a_decision_on_limits_accepts_only_what_would_keep_them():
    rows = samplings((d("2026-11-20"), True), (d("2026-12-25"), None))
    evidence = (
        *PAIR,
        Evidence("limit_decision", d("2026-12-25"), OTHER_INSPECTOR.id, number="7/QĐ", samplings=(rows[1].id,)),
    )
    case = verifying(today=d("2026-12-26"), samplings=rows, evidence=evidence)
    assert decide_close(case, Rules(samples=2, days=30))
    bad = replace(case, samplings=(rows[0], replace(rows[1], acceptable=False)))
    assert not decide_close(bad, Rules(samples=2, days=30))


def decide_close(case, rules):
    return next(o for o in offers(case, APPROVER, rules=rules) if o.transition.action == "close").allowed


@given(
    st.lists(st.tuples(st.integers(0, 80), st.sampled_from([True, False, None])), max_size=12),
    st.integers(1, 5),
    st.integers(1, 60),
)
def test_samplings_against_a_second_way_of_counting(rows, k, n):
    case = verifying(
        today=WORK_DONE + 80 * DAY, samplings=samplings(*((WORK_DONE + offset * DAY, ok) for offset, ok in rows))
    )
    verdict = {}
    for offset, ok in rows:
        verdict.setdefault(offset, set()).add(ok)
    good = [o for o, found in verdict.items() if found == {True}]
    rest = [o for o, found in verdict.items() if found != {True}]
    run = [o for o in good if o > max(rest, default=-1)]
    proven = len(run) >= k and max(run) - min(run) >= n
    rules = Rules(samples=k, days=n)
    offer = next(o for o in offers(case, APPROVER, rules=rules) if o.transition.action == "close")
    assert offer.allowed is proven
    assert all(m.need == "compliant_samplings" for m in offer.missing)
    promised = next((m.values["from"] for m in offer.missing if "from" in m.values), None)
    if promised is not None and len(run) >= k - 1:
        kept = replace(case, today=promised, samplings=(*case.samplings, Sampling(99, promised, True, 1)))
        assert decide(kept, APPROVER, "close", rules=rules).stage == "watched", "what was promised holds"
        early = replace(kept, samplings=(*case.samplings, Sampling(99, promised - DAY, True, 1)))
        assert refusal(early, APPROVER, "close", rules=rules).missing, "and a day earlier would not do"


# --- the pair of photos ---


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        ((), ["photo before: missing", "photo after: missing"]),
        (PAIR[:1], ["photo after: missing"]),
        (PAIR[1:], ["photo before: missing"]),
        ((PAIR[0], replace(PAIR[1], dated=None)), ["photo after: has no date"]),
        ((PAIR[0], replace(PAIR[1], dated=d("2026-12-16"))), ["photo after: its date lies in the future"]),
        (
            (PAIR[0], replace(PAIR[1], dated=d("2026-05-02"))),
            ["photo after: of 2026-05-02, not later than the photo before of 2026-05-02"],
        ),
        ((Evidence("photo", d("2026-05-02"), 1), PAIR[1]), ["photo before: missing"]),
    ],
)
def test_the_pair_of_photos(evidence, said):
    assert english(refusal(verifying(evidence=evidence), APPROVER, "close").missing) == said


def test_photos_of_an_earlier_round_are_spent():
    relapsed = verifying(before_from=d("2026-05-03"), proof_from=d("2026-11-03"))
    assert english(refusal(relapsed, APPROVER, "close").missing) == [
        "photo before: none from 2026-05-03 on",
        "photo after: none from 2026-11-03 on",
    ]
    fresh = (Evidence("photo_before", d("2026-06-01"), 1), Evidence("photo_after", d("2026-11-20"), 1))
    assert decide(replace(relapsed, evidence=PAIR + fresh), APPROVER, "close").stage == "watched"


# --- who ---


@pytest.mark.parametrize("actor", EVERYBODY)
def test_only_approvers_and_administrators_close_and_only_with_proof(actor):
    may = actor.role in ("approver", "administrator")
    bare = verifying(samplings=(), evidence=())
    assert "samplings_missing" in codes(bare, actor, "close")
    if may:
        assert decide(verifying(), actor, "close").stage == "watched"
    else:
        assert "role" in codes(verifying(), actor, "close")
        assert "role" in codes(bare, actor, "close", override=WHY)


@pytest.mark.parametrize("actor", [APPROVER, ADMINISTRATOR])
def test_who_answers_for_a_result_or_the_photos_does_not_approve_them(actor):
    for i in range(3):
        mine = tuple(replace(s, entered_by=actor.id) if n == i else s for n, s in enumerate(GOOD))
        assert codes(verifying(samplings=mine), actor, "close") == ["approver_entered_results"]
        assert "approver_entered_results" in codes(verifying(samplings=mine), actor, "close", override=WHY)
        assert decide(verifying(samplings=mine), OTHER_APPROVER, "close").stage == "watched"
    report = Evidence("lab_report", d("2026-12-13"), actor.id)
    for mine in (report, replace(report, dated=None)):
        assert codes(verifying(evidence=(*PAIR, mine)), actor, "close") == ["approver_entered_results"]
    old = replace(report, dated=d("2026-10-01"))
    assert decide(verifying(evidence=(*PAIR, old)), actor, "close").stage == "watched"
    for i in (0, 1):
        mine = tuple(replace(e, by=actor.id) if n == i else e for n, e in enumerate(PAIR))
        assert codes(verifying(evidence=mine), actor, "close") == ["approver_uploaded_photos"]
        assert codes(verifying(evidence=mine), actor, "close", override=WHY) == ["approver_uploaded_photos"]
        assert decide(verifying(evidence=mine + PAIR), actor, "close").stage == "watched", "others' pair is enough"


def test_an_exceedance_taken_back_does_not_count_but_who_took_it_back_may_not_approve():
    taken_back = Sampling(9, d("2026-12-14"), False, OTHER_INSPECTOR.id, voided_by=APPROVER.id)
    case = verifying(samplings=(*GOOD, taken_back))
    assert codes(case, APPROVER, "close") == ["approver_entered_results"]
    assert decide(case, OTHER_APPROVER, "close").stage == "watched"
    assert "override_entered_results" in codes(replace(case, evidence=()), APPROVER, "close", override=WHY)


# --- overrides ---


def test_an_override_is_reasoned_recorded_and_only_for_proof():
    bare = verifying(samplings=GOOD[:1], evidence=PAIR[:1])
    step = decide(bare, APPROVER, "close", override=f"  {WHY} ")
    assert step.overridden == ("compliant_samplings", "photo_pair") and step.override == WHY
    assert set(step.overridden) <= set(remediation.NEEDS)
    assert codes(bare, APPROVER, "close", override="x" * 39) == ["override_short"]
    assert codes(bare, APPROVER, "close", override=" " * 60) == ["samplings_missing", "photo_after_missing"]
    assert decide(bare, APPROVER, "close", override="x" * 40).overridden
    mine = replace(bare, samplings=samplings((FIRST, False), by=APPROVER.id))
    assert codes(mine, APPROVER, "close", override=WHY) == ["override_entered_results"]


def test_an_override_that_was_not_needed_leaves_no_trace():
    step = decide(verifying(), APPROVER, "close", override=WHY)
    assert (step.overridden, step.override) == ((), "")


def test_an_override_needs_an_approver_where_the_step_does_not():
    checking = Situation("checking", d("2026-12-15"))
    form = {"severity_class": "2", "class_reason": "smell and colour"}
    assert codes(checking, INSPECTOR, "confirm", form) == ["visit_or_data_missing"]
    assert codes(checking, INSPECTOR, "confirm", form, WHY) == ["override_role"]
    assert decide(checking, APPROVER, "confirm", form, WHY).overridden == ("visit_or_data",)
    assert codes(checking, APPROVER, "confirm", {}, WHY) == ["severity_class_missing", "class_reason_missing"]


def test_the_watch_and_the_relapse_cannot_be_overridden():
    watched = Situation(
        "watched", d("2026-12-15"), watch_from=d("2025-12-15"), watch_until=d("2026-12-15"), reports_since_watch=1
    )
    for actor in EVERYBODY:
        assert "watch_running" in codes(watched, actor, "complete", override=WHY)
        assert "relapse_cause_missing" in codes(watched, actor, "relapse", {"reason": "smell"}, WHY)
    passed = replace(watched, today=d("2026-12-16"))
    assert decide(passed, SYSTEM, "complete").stage == "done"
    for cause in ({"reports_since_watch": 2}, {"exceedances_since_watch": 1}):
        assert codes(replace(passed, **cause), APPROVER, "complete", override=WHY) == ["relapse_due"]
        step = decide(replace(passed, **cause), SYSTEM, "relapse", {"reason": "two reports within 300 m"})
        assert (step.stage, step.changes["relapses"]) == ("confirmed", 1)
        assert step.changes["before_from"] == d("2025-12-15") and step.changes["proof_from"] == d("2026-12-16")
        assert step.changes["decision_no"] is None and step.changes["watch_until"] is None
    again = decide(replace(passed, relapses=2, reports_since_watch=2), SYSTEM, "relapse", {"reason": "smell"})
    assert again.changes["relapses"] == 3
    assert codes(replace(passed, watch_until=None), APPROVER, "complete") == ["watch_unknown"]


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        ("2026-12-15", 12, "2027-12-15"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2028-02-29", 48, "2032-02-29"),
        ("2027-02-28", 12, "2028-02-28"),
        ("2026-08-31", 1, "2026-09-30"),
        ("2026-10-31", 4, "2027-02-28"),
        ("2026-11-30", 1, "2026-12-30"),
        ("2026-12-31", 1, "2027-01-31"),
    ],
)
def test_calendar_months(day, months, later):
    assert effects.add_months(d(day), months) == d(later)


@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)), st.integers(0, 240))
def test_months_against_a_second_way(day, months):
    later = effects.add_months(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (later.day < day.day and (later + DAY).day == 1)


# --- the other gates, each by hand ---

TODAY = d("2026-12-15")
PLAN = {
    "decision_no": "12/QĐ",
    "decision_on": "2026-12-01",
    "responsible": "Owner of the site",
    "deadline": "2027-03-30",
}


def at(stage, **changes):
    return Situation(stage, TODAY, code="HP-1", **changes)


def test_reject_needs_a_reason_or_another_hotspot():
    assert codes(at("received"), OFFICER, "reject") == ["reason_missing"]
    assert decide(at("received"), OFFICER, "reject", {"reason": "a puddle after rain"}).stage == "rejected"
    assert decide(at("checking"), OFFICER, "reject", {"merged_into": "HP-2"}).changes["merged_into"] == "HP-2"
    assert codes(at("checking"), OFFICER, "reject", {"merged_into": " hp-1 "}) == ["merged_into_itself"]


def test_what_was_rejected_is_taken_up_again_only_with_new_evidence():
    rejected = at("rejected", in_stage_since=d("2026-12-10"), merged_into="HP-2")
    form = {"reason": "seen again"}
    assert codes(rejected, OFFICER, "reconsider", form) == ["new_evidence_missing"]
    old = Evidence("photo", d("2026-12-09"), 1)
    assert codes(replace(rejected, evidence=(old,)), OFFICER, "reconsider", form) == ["new_evidence_missing"]
    assert codes(rejected, APPROVER, "reconsider", form, WHY) == ["no_override"]
    late = replace(old, added=d("2026-12-11"))
    step = decide(replace(rejected, evidence=(old, late)), OFFICER, "reconsider", form)
    assert step.stage == "checking" and step.changes["merged_into"] is None


def test_a_plan_without_containment_needs_a_written_reason():
    assert codes(at("confirmed"), APPROVER, "approve_plan", PLAN) == ["no_containment_missing"]
    assert decide(at("confirmed"), APPROVER, "approve_plan", PLAN | {"no_containment": "paved and dry"})
    step = decide(at("contained"), APPROVER, "approve_plan", PLAN)
    assert step.changes["deadline"] == d("2027-03-30") and step.changes["responsible"] == "Owner of the site"
    assert codes(at("contained"), APPROVER, "approve_plan", PLAN | {"decision_on": "2026-12-16"}) == [
        "decision_in_future"
    ]
    assert codes(at("contained"), APPROVER, "approve_plan", PLAN | {"deadline": "2026-12-14"}) == ["deadline_past"]
    assert "role" in codes(at("contained"), INSPECTOR, "approve_plan", PLAN)


def test_containing_needs_the_record_and_a_photo_of_this_round():
    form = {"measures": "fence and signs"}
    assert codes(at("confirmed"), OFFICER, "contain", form) == ["containment_missing", "photo_missing"]
    shown = (Evidence("order", d("2026-12-02"), 1), Evidence("photo", d("2026-12-02"), 1))
    assert decide(at("confirmed", evidence=shown), OFFICER, "contain", form).stage == "contained"
    relapsed = at("confirmed", evidence=shown, before_from=d("2026-12-03"))
    assert codes(relapsed, OFFICER, "contain", form) == ["containment_missing", "photo_missing"]


def test_the_start_is_shown_after_the_decision():
    case = at("plan_approved", decision_on=d("2026-12-01"))
    assert english(refusal(case, OFFICER, "start").missing) == [
        "evidence of the start, of 2026-12-01 or later: missing"
    ]
    for day, enough in (("2026-11-30", False), ("2026-12-01", True)):
        shown = replace(case, evidence=(Evidence("start_notice", d(day), 1),))
        assert next(o for o in offers(shown, OFFICER) if o.transition.action == "start").allowed is enough


def test_the_end_of_the_works():
    case = at("in_remediation", decision_on=d("2026-12-01"), in_stage_since=d("2026-12-02"))
    form = {"work_done_on": "2026-12-10", "needed_samples": "3", "needed_days": "30"}
    assert codes(case, INSPECTOR, "finish", form) == ["completion_missing", "photo_after_missing"]
    shown = (Evidence("completion", d("2026-12-10"), 1), Evidence("photo_after", d("2026-12-10"), 1))
    done = replace(case, evidence=shown)
    step = decide(done, INSPECTOR, "finish", form)
    assert step.changes["work_done_on"] == d("2026-12-10") and step.changes["needed_samples"] == 3
    assert codes(done, INSPECTOR, "finish", form | {"needed_samples": 2, "needed_days": "29"}) == [
        "needed_samples_too_low",
        "needed_days_too_low",
    ]
    assert codes(done, INSPECTOR, "finish", form | {"work_done_on": "2026-12-16"}) == ["done_in_future"]
    assert codes(done, INSPECTOR, "finish", form | {"work_done_on": "2026-11-30"}) == ["done_too_early"]
    failed = replace(done, proof_from=d("2026-12-11"))
    assert codes(failed, INSPECTOR, "finish", form) == ["completion_missing", "photo_after_missing", "done_too_early"]


def test_a_failed_verification_spends_its_proof():
    case = verifying(samplings=(*GOOD[:2], replace(GOOD[2], compliant=False)))
    step = decide(case, INSPECTOR, "fail")
    back = after(case, step, INSPECTOR)
    assert (back.stage, back.proof_from, back.work_done_on) == ("in_remediation", case.today, None)
    assert codes(verifying(), INSPECTOR, "fail") == ["faults_missing"]
    assert decide(verifying(), INSPECTOR, "fail", {"faults": "the drain was not dug out"}).stage == "in_remediation"


def test_suspended_goes_back_to_where_it_came_from():
    for stage in ACTIVE:
        case = at(stage)
        held = after(case, decide(case, INSPECTOR, "suspend", {"cause": "a lawsuit"}), INSPECTOR)
        assert (held.stage, held.stage_before) == ("suspended", stage)
        assert decide(held, INSPECTOR, "resume", {"reason": "settled"}).stage == stage
    for lost in (None, "watched", "done", "nonsense"):
        assert decide(at("suspended", stage_before=lost), INSPECTOR, "resume", {"reason": "x"}).stage == "checking"


def test_a_watched_case_cannot_be_merged_split_or_suspended_away():
    assert {o.transition.action for o in offers(at("watched"), APPROVER)} == {"complete", "relapse", "reopen", "undo"}


def test_a_part_split_off_leaves_the_case_where_it_is():
    case = at("confirmed", in_stage_since=d("2026-12-01"), stage_before="checking")
    split = after(case, decide(case, INSPECTOR, "split", {"reason": "two ponds"}), INSPECTOR)
    assert replace(split, last_step=None) == case


# --- undo ---


def test_undo_returns_exactly_for_who_took_the_step_within_a_working_day():
    case = at("checking", in_stage_since=d("2026-12-01"), severity_class="3", evidence=PAIR)
    friday = replace(case, today=d("2026-12-18"), evidence=(*PAIR, Evidence("visit_record", TODAY, 1)))
    form = {"severity_class": "1", "class_reason": "small"}
    confirmed = after(friday, decide(friday, INSPECTOR, "confirm", form), INSPECTOR)
    assert confirmed.severity_class == "1" and confirmed.plan_due == d("2027-01-17")
    why = {"reason": "the wrong case"}
    monday, tuesday = (replace(confirmed, today=d(day)) for day in ("2026-12-21", "2026-12-22"))
    undone = after(monday, decide(monday, INSPECTOR, "undo", why), INSPECTOR)
    assert replace(undone, today=friday.today, last_step=None) == friday
    assert codes(tuesday, INSPECTOR, "undo", why) == ["not_yours_to_undo"]
    assert codes(monday, OTHER_INSPECTOR, "undo", why) == ["not_yours_to_undo"]
    assert codes(monday, INSPECTOR, "undo") == ["reason_missing"]
    assert decide(replace(tuesday, today=d("2027-06-01")), APPROVER, "undo", why).stage == "checking"
    assert codes(undone, APPROVER, "undo", why) == ["nothing_to_undo"], "a counter-step is not undone"


def test_what_the_public_saw_of_a_closing_is_not_undone_but_reopened():
    closed = after(verifying(), decide(verifying(), APPROVER, "close"), APPROVER)
    why = {"reason": "the wrong case"}
    assert decide(closed, APPROVER, "undo", why).stage == "verifying"
    public = replace(closed, last_step=replace(closed.last_step, published=True))
    assert codes(public, APPROVER, "undo", why) == ["already_public"]
    reopened = decide(public, APPROVER, "reopen", why)
    assert reopened.stage == "verifying" and reopened.changes["watch_until"] is None
    assert decide(after(public, reopened, APPROVER), APPROVER, "close").stage == "watched"


# --- the form ---


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("deadline", "30/03/2027"),
        ("deadline", "2027-02-30"),
        ("deadline", 20270330),
        ("deadline", datetime(2027, 3, 30)),
        ("decision_no", 12),
        ("decision_no", "1" * 81),
        ("responsible", ["a"]),
    ],
)
def test_a_form_that_cannot_be_read_is_refused_by_field(field, value):
    error = refusal(at("contained"), APPROVER, "approve_plan", PLAN | {field: value})
    assert [(m.code, m.field, m.kind) for m in error.missing] == [(f"{field}_invalid", field, "field")]


@pytest.mark.parametrize("value", ["-1", "1.5", "many", True, 61, None, "", "  "])
def test_numbers_are_whole_and_bounded(value):
    case = at("in_remediation", evidence=(Evidence("completion", TODAY, 1), Evidence("photo_after", TODAY, 1)))
    form = {"work_done_on": TODAY, "needed_samples": value, "needed_days": 30}
    found = refusal(case, INSPECTOR, "finish", form).missing
    assert [m.field for m in found] == ["needed_samples"]


def test_what_the_form_does_not_name_is_dropped():
    step = decide(at("received"), OFFICER, "check", {"officer": "5", "stage": "done", "relapses": 0})
    assert step.fields == {"officer": 5} and step.changes["stage"] == "checking" and "relapses" not in step.changes


@pytest.mark.parametrize("action", ["", "done", "close ", "undo'--", None])
def test_a_step_that_does_not_exist(action):
    assert codes(at("received"), ADMINISTRATOR, action, override=WHY) == ["not_from_here"]


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True, "3", None])
def test_settings_are_whole_numbers_from_one_on(wrong):
    for name in Rules.__dataclass_fields__:
        with pytest.raises(ValueError, match=name):
            Rules(**{name: wrong})
