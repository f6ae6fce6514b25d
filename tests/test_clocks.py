"""The clocks of a case, at the minute and the day on which each changes."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask, g
from hypothesis import given
from hypothesis import strategies as st

from server import clocks
from server.clocks import CLOCKS, STATES, Clock
from server.situation import Rules, Situation
from server.workdays import Calendar

CITY = ZoneInfo("Asia/Ho_Chi_Minh")
DAY = timedelta(days=1)


def d(text):
    return date.fromisoformat(text)


def at(text):
    """A moment in city time."""
    return datetime.fromisoformat(text).replace(tzinfo=CITY)


def one(situation, now, name, rules=None):
    return {c.name: c for c in clocks.clocks(situation, rules or Rules(), now)}[name]


def case(stage, **facts):
    return Situation(stage, d("2026-12-01"), **facts)


# --- working hours and days ---


@pytest.mark.parametrize(
    ("now", "state", "left"),
    [
        ("2026-11-20T15:00", "ok", 8),  # Friday afternoon: 2 h today, 6 h on Monday
        ("2026-11-20T17:00", "ok", 6),
        ("2026-11-22T12:00", "ok", 6),  # Sunday
        ("2026-11-23T14:00", "soon", 2),
        ("2026-11-23T16:00", "soon", 0),
        ("2026-11-23T16:01", "late", -1),
        ("2026-11-26T09:30", "late", -10),  # Tuesday 24 is Culture Day; a begun hour counts
        ("2026-11-26T17:00", "late", -15),
        ("2026-11-27T09:00", "late", -16),  # 24 working hours have passed
        ("2026-11-27T09:01", "very_late", -17),
    ],
)
def test_to_accept_in_eight_working_hours(now, state, left):
    # In on Friday 20 November at 15:00: due on Monday at 16:00.
    clock = one(case("received", opened_on=d("2026-11-20"), opened_at=at("2026-11-20T15:00")), at(now), "accept")
    assert clock == Clock("accept", at("2026-11-23T16:00"), state, left, "working_hours")


def test_where_only_the_day_is_known_the_hours_begin_at_eight():
    clock = one(case("received", opened_on=d("2026-11-20")), at("2026-11-20T09:00"), "accept")
    assert clock.due == at("2026-11-23T09:00")


@pytest.mark.parametrize(
    ("now", "state", "left"),
    [
        ("2026-11-16T09:00", "ok", 7),
        ("2026-11-23T09:00", "soon", 2),
        ("2026-11-26T23:59", "soon", 0),
        ("2026-11-27T00:00", "late", -1),
        ("2026-12-16T09:00", "late", -14),
        ("2026-12-17T09:00", "very_late", -15),
    ],
)
def test_to_answer_in_seven_working_days(now, state, left):
    # In on Monday 16 November: 17 18 19 20 23 25 26 November, Culture Day left out.
    for stage in ("received", "checking"):
        clock = one(case(stage, opened_on=d("2026-11-16")), at(now), "answer")
        assert clock == Clock("answer", d("2026-11-26"), state, left, "working_days")


def test_a_case_taken_up_again_is_answered_anew():
    again = case("checking", opened_on=d("2025-01-06"), stage_before="rejected", in_stage_since=d("2026-11-16"))
    assert one(again, at("2026-11-16T09:00"), "answer").due == d("2026-11-26")


def test_days_off_given_by_hand_move_the_due_day():
    storm = Calendar(days_off=frozenset({d("2026-11-18"), d("2026-11-19")}))
    made = clocks.clocks(case("checking", opened_on=d("2026-11-16")), Rules(), at("2026-11-16T09:00"), storm)
    assert [c.due for c in made] == [d("2026-11-30")]


# --- days ---


@pytest.mark.parametrize(
    ("now", "state", "left"),
    [
        ("2026-12-01", "ok", 30),
        ("2026-12-23", "ok", 8),
        ("2026-12-24", "soon", 7),
        ("2026-12-31", "soon", 0),
        ("2027-01-01", "late", -1),
        ("2027-03-01", "late", -60),  # 30 days allowed, 90 passed
        ("2027-03-02", "very_late", -61),
    ],
)
def test_deadlines_count_calendar_days(now, state, left):
    expected = (d("2026-12-31"), state, left, "days")
    for stage in ("plan_approved", "in_remediation"):
        clock = one(case(stage, decision_on=d("2026-12-01"), deadline=d("2026-12-31")), at(now), "deadline")
        assert (clock.due, clock.state, clock.left, clock.unit) == expected
    for stage in ("confirmed", "contained"):
        clock = one(case(stage, in_stage_since=d("2026-12-20"), plan_due=d("2026-12-31")), at(now), "plan")
        assert (clock.due, clock.state, clock.left, clock.unit) == expected


def test_the_plan_is_due_thirty_days_after_where_no_day_was_set():
    assert one(case("confirmed", in_stage_since=d("2026-12-01")), at("2026-12-02"), "plan").due == d("2026-12-31")


def test_verification_lasts_the_days_asked_for_and_those_of_the_laboratory():
    clean = case("verifying", work_done_on=d("2026-11-01"), needed_days=30)
    assert one(clean, at("2026-11-02"), "verification").due == d("2026-12-15")
    assert one(replace(clean, needed_days=90), at("2026-11-02"), "verification").due == d("2027-02-13")
    assert one(replace(clean, needed_days=3), at("2026-11-02"), "verification").due == d("2026-12-15")


@pytest.mark.parametrize(("now", "state", "left"), [("2027-12-14", "ok", 1), ("2027-12-15", "ok", 0), ("2027-12-16", "soon", -1), ("2031-01-01", "soon", -1113)])  # fmt: skip
def test_a_watch_is_never_late(now, state, left):
    watched = case("watched", watch_from=d("2026-12-15"), watch_until=d("2027-12-15"))
    clock = one(watched, at(now), "watch")
    assert (clock.state, clock.left) == (state, left)


@pytest.mark.parametrize("name", CLOCKS)
def test_what_nobody_set_is_said_to_be_not_set(name):
    clock = one(case(CLOCKS[name][2][0]), at("2026-12-02"), name)
    assert (clock.due, clock.state, clock.left) == (None, "none", None)


@pytest.mark.parametrize("stage", ["done", "rejected", "suspended"])
def test_no_clock_runs_where_nothing_is_due(stage):
    assert (
        clocks.clocks(case(stage, opened_on=d("2020-01-01"), deadline=d("2020-02-01")), Rules(), at("2026-12-02")) == ()
    )


def test_the_first_due_comes_first():
    fresh = case("received", opened_on=d("2026-11-16"))
    assert [c.name for c in clocks.clocks(fresh, Rules(), at("2026-11-16T09:00"))] == ["accept", "answer"]


order = list(STATES)


@given(
    st.sampled_from(["received", "checking", "confirmed", "contained", "plan_approved", "in_remediation", "verifying"]),
    st.dates(d("2024-01-01"), d("2027-01-01")),
    st.one_of(st.none(), st.dates(d("2020-01-01"), date.max)),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),
    st.integers(0, 100),
)
def test_a_clock_never_gets_better_by_waiting(stage, start, due, now, later):
    facts = {"opened_on": start, "in_stage_since": start, "deadline": due, "plan_due": due}
    now = now.replace(tzinfo=CITY)
    for earlier, after in zip(
        clocks.clocks(case(stage, **facts), Rules(), now),
        clocks.clocks(case(stage, **facts), Rules(), now + later * DAY),
        strict=True,
    ):
        assert (earlier.name, earlier.due) == (after.name, after.due)
        assert order.index(after.state) >= order.index(earlier.state)
        if earlier.left is not None:
            assert after.left <= earlier.left
            assert (earlier.left < 0) is (earlier.state in ("late", "very_late"))


# --- words ---


@pytest.mark.parametrize(
    ("clock", "en", "vi"),
    [
        (Clock("accept", None, "soon", 1, "working_hours"), "1 working hour left", "còn 1 giờ làm việc"),
        (Clock("accept", None, "late", -9, "working_hours"), "late by 9 working hours", "quá hạn 9 giờ làm việc"),
        (Clock("answer", None, "ok", 5, "working_days"), "5 working days left", "còn 5 ngày làm việc"),
        (Clock("answer", None, "late", -1, "working_days"), "late by 1 working day", "quá hạn 1 ngày làm việc"),
        (Clock("answer", None, "soon", 0, "working_days"), "due today", "hết hạn hôm nay"),
        (Clock("deadline", None, "ok", 1200, "days"), "1,200 days left", "còn 1.200 ngày"),
        (Clock("deadline", None, "late", -2, "days"), "late by 2 days", "quá hạn 2 ngày"),
        (Clock("deadline", None, "none", None, "days"), "no date set", "chưa đặt hạn"),
        (Clock("watch", None, "soon", -1, "days"), "the watch has passed; the case can be completed",
         "đã hết thời gian theo dõi; có thể hoàn tất"),
    ],
)  # fmt: skip
def test_clocks_speak_both_languages(clock, en, vi):
    for language, said in (("en", en), ("vi", vi)):
        with Flask("x").test_request_context():
            g.language = language
            assert clocks.clock_words(clock) == said
