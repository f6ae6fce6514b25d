"""The register's past: small cases by hand, and properties over any sequence of steps."""

from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.catalogue import ALL, STAGE
from server import history

TODAY = date(2026, 11, 22)
STAGES = tuple(c.value for c in STAGE)


def day(text):
    return date.fromisoformat(text)


def spots(*rows):
    """Frame of hotspots: (code, stage, opened_on or None, source_date or None, deadline or None)."""
    frame = pd.DataFrame(rows, columns=["code", "stage", "opened_on", "source_date", "deadline"], dtype=object)
    for name in ("opened_on", "deadline"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    return frame


def happened(*rows):
    """Frame of events: (hotspot, number, day, action, stage_from, stage[, published_on])."""
    rows = [r if len(r) == 7 else (*r, r[2]) for r in rows]
    names = ["hotspot", "number", "day", "action", "stage_from", "stage", "published_on"]
    frame = pd.DataFrame(rows, columns=names, dtype=object)
    for name in ("day", "published_on"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    return frame


# One hotspot that goes the whole way and relapses; one from a source of 2014; one of which nothing is dated.
LIFE = (
    ("A", 1, "2026-01-10", "registered", None, "received"),
    ("A", 2, "2026-02-01", "confirm", "received", "confirmed"),
    ("A", 3, "2026-02-03", "sampling", None, None),
    ("A", 4, "2026-05-20", "close", "verifying", "watched"),
    ("A", 5, "2026-08-15", "relapse", "watched", "confirmed"),
)
SPOTS = spots(
    ("A", "confirmed", "2026-01-10", None, "2026-10-01"),
    ("B", "confirmed", None, "2014 (est.) | 2012", None),
    ("C", "received", None, None, None),
)


@pytest.fixture
def past():
    return history.pasts(SPOTS, happened(*LIFE))


@pytest.mark.parametrize(
    ("on", "stages"),
    [
        ("2012-12-31", {"A": ("not_yet", None), "B": ("not_yet", None), "C": ("undated", None)}),
        ("2014-12-30", {"A": ("not_yet", None), "B": ("not_yet", None), "C": ("undated", None)}),
        ("2014-12-31", {"A": ("not_yet", None), "B": ("known", "confirmed"), "C": ("undated", None)}),
        ("2026-01-09", {"A": ("not_yet", None), "B": ("known", "confirmed"), "C": ("undated", None)}),
        ("2026-01-10", {"A": ("known", "received"), "B": ("known", "confirmed"), "C": ("undated", None)}),
        ("2026-04-30", {"A": ("known", "confirmed"), "B": ("known", "confirmed"), "C": ("undated", None)}),
        ("2026-05-20", {"A": ("known", "watched"), "B": ("known", "confirmed"), "C": ("undated", None)}),
        ("2026-08-15", {"A": ("known", "confirmed"), "B": ("known", "confirmed"), "C": ("undated", None)}),
    ],
)
def test_the_register_on_a_day(past, on, stages):
    assert {c: (s.why, s.stage) for c, s in history.register(past, day(on), today=TODAY).items()} == stages


def test_today_also_shows_what_nobody_dated(past):
    found = history.register(past, TODAY, today=TODAY)
    assert {c: s.stage for c, s in found.items()} == {"A": "confirmed", "B": "confirmed", "C": "received"}
    assert found["C"].why == "undated" and found["C"].since is None
    assert found["A"].since == day("2026-08-15") and found["A"].relapses == 1


def test_quarters_by_hand(past):
    """Q1: A opened. Q2: A closed. Q3: A relapsed. B was open before, from a source, and is nobody's opening."""
    made = history.quarters(past, day("2025-11-01"), day("2026-11-22"))
    assert [(q.label, q.opened, q.closed, q.relapsed, q.other, q.open) for q in made] == [
        ((4, 2025), 0, 0, 0, 0, 1),
        ((1, 2026), 1, 0, 0, 0, 2),
        ((2, 2026), 0, 1, 0, 0, 1),
        ((3, 2026), 0, 0, 1, 0, 2),
        ((4, 2026), 0, 0, 0, 0, 2),
    ]
    assert [(q.label, q.other, q.open) for q in history.quarters(past, day("2014-10-01"), day("2015-01-01"))] == [
        ((4, 2014), 1, 1),
        ((1, 2015), 0, 1),
    ]


def test_a_quarter_that_is_not_over_counts_only_to_its_last_day(past):
    assert [q.closed for q in history.quarters(past, day("2026-04-01"), day("2026-05-19"))] == [0]
    assert [q.closed for q in history.quarters(past, day("2026-04-01"), day("2026-05-20"))] == [1]


def test_what_changed_between_two_days(past):
    found = history.differences(past, day("2026-01-31"), day("2026-06-30"))
    assert [(d.code, d.kind, d.before, d.after, len(d.steps)) for d in found] == [
        ("A", "closed", "received", "watched", 3)  # one of them was not published
    ]
    assert [(d.code, d.kind) for d in history.differences(past, day("2026-06-30"), TODAY)] == [("A", "relapsed")]
    assert [(d.code, d.kind) for d in history.differences(past, day("2014-01-01"), day("2015-01-01"))] == [
        ("B", "entered")
    ]
    assert history.differences(past, day("2026-05-20"), day("2026-05-20")) == []


def test_age_ends_when_the_case_is_closed(past):
    assert history.age_days(past["A"], day("2026-01-10")) == 0
    assert history.age_days(past["A"], day("2026-03-10")) == 59
    assert history.age_days(past["A"], day("2026-07-30")) == 130  # closed on 20 May: 10 January + 130 days
    assert history.age_days(past["A"], day("2026-09-10")) == 243
    assert history.age_days(past["A"], day("2025-12-31")) is None
    assert history.age_days(past["C"], TODAY) is None


def test_deadline_on_a_day(past):
    assert history.due(past["A"], TODAY, today=TODAY) == ("overdue", -52)
    assert history.due(past["A"], day("2026-10-01")) == ("due", 0)
    assert history.due(past["A"], day("2026-10-02")) == ("overdue", -1)
    assert history.due(past["A"], day("2026-04-01")) == ("unknown", None)  # something was entered after it
    assert history.due(past["B"], TODAY, today=TODAY) == ("none", None)
    assert history.due(past["C"], TODAY, today=TODAY) == ("none", None)
    assert history.due(past["C"], day("2020-01-01"), today=TODAY) == ("unknown", None)


def test_nothing_is_overdue_once_closed():
    past = history.pasts(
        spots(("A", "watched", "2026-01-01", None, "2026-02-01")),
        happened(("A", 1, "2026-03-01", "close", "verifying", "watched")),
    )
    assert history.due(past["A"], day("2026-03-02")) == ("over", None)


def test_a_step_published_later_is_told():
    past = history.pasts(
        spots(("A", "contained", "2026-01-01", None, None)),
        happened(
            ("A", 1, "2026-01-01", "registered", None, "confirmed", "2026-01-02"),
            ("A", 2, "2026-03-01", "contain", "confirmed", "contained", "2026-04-10"),
        ),
    )["A"]
    seen = history.standing(past, day("2026-03-15"))
    assert (seen.stage, seen.shown_then) == ("contained", "confirmed")
    seen = history.standing(past, day("2026-01-01"))
    assert (seen.stage, seen.shown_then) == ("confirmed", None)
    seen = history.standing(past, day("2026-04-10"))
    assert (seen.stage, seen.shown_then) == ("contained", "contained")


def test_a_closing_that_was_wrong_is_no_relapse():
    past = history.pasts(
        spots(("A", "verifying", "2026-01-01", None, None)),
        happened(
            ("A", 1, "2026-01-01", "registered", None, "verifying"),
            ("A", 2, "2026-02-01", "close", "verifying", "watched"),
            ("A", 3, "2026-02-02", "undo", "watched", "verifying"),
            ("A", 4, "2026-02-03", "reject", "verifying", "rejected"),
            ("A", 5, "2026-02-04", "reconsider", "rejected", "verifying"),
            ("A", 6, "2026-02-05", "close", "verifying", "watched"),
            ("A", 7, "2026-02-06", "reopen", "watched", "verifying"),
        ),
    )
    (q,) = history.quarters(past, day("2026-01-01"), day("2026-03-31"))
    assert (q.opened, q.closed, q.relapsed, q.other, q.open) == (1, 2, 0, 2, 1)
    assert history.standing(past["A"], TODAY).relapses == 0


def test_a_step_that_was_not_published_leaves_no_wrong_count():
    """Confirmed, then relapsed from watched: the closing between them was not published, and is nobody's closing."""
    past = history.pasts(
        spots(("A", "confirmed", None, None, None)),
        happened(
            ("A", 1, "2026-01-01", "registered", None, "confirmed"),
            ("A", 2, "2026-08-01", "relapse", "watched", "confirmed"),
        ),
    )
    made = history.quarters(past, day("2026-01-01"), day("2026-09-30"))
    assert [(q.opened, q.closed, q.relapsed, q.other, q.open) for q in made] == [
        (1, 0, 0, 0, 1),
        (0, 0, 0, 0, 1),
        (0, 0, 1, -1, 1),
    ]
    assert history.standing(past["A"], TODAY).relapses == 1


def test_an_event_with_an_earlier_day_waits_for_the_one_before_it():
    past = history.pasts(
        spots(("A", "plan_approved", "2026-01-01", None, None)),
        happened(
            ("A", 1, "2026-01-01", "registered", None, "confirmed"),
            ("A", 2, "2026-03-05", "contain", "confirmed", "contained"),
            ("A", 3, "2026-03-03", "approve_plan", "contained", "plan_approved"),
        ),
    )["A"]
    assert history.standing(past, day("2026-03-04")).stage == "confirmed"
    assert history.standing(past, day("2026-03-05")).stage == "plan_approved"


def test_a_source_gives_the_stage_before_the_first_step():
    past = history.pasts(
        spots(("A", "contained", None, "2021-07 (est.)", None)),
        happened(("A", 1, "2026-03-01", "contain", "confirmed", "contained")),
    )["A"]
    assert history.standing(past, day("2021-07-30")).why == "not_yet"
    assert history.standing(past, day("2021-07-31")).stage == "confirmed"
    assert not past.exact and past.since == day("2021-07-31")


def test_the_present_stage_wins_today_where_the_events_say_something_else():
    past = history.pasts(SPOTS.head(1).assign(stage="done"), happened(*LIFE))["A"]
    assert not past.agrees
    assert history.standing(past, TODAY, today=TODAY).stage == "done"
    assert history.standing(past, TODAY - timedelta(1), today=TODAY).stage == "confirmed"


def test_an_empty_register_has_an_empty_past():
    past = history.pasts(spots(), happened())
    assert past == {} and history.register(past, TODAY) == {} and history.first_flow(past) is None
    (q,) = history.quarters(past, TODAY, TODAY)
    assert (q.opened, q.closed, q.relapsed, q.other, q.open) == (0, 0, 0, 0, 0)


def test_events_of_what_is_not_public_any_more_are_left_out():
    assert set(history.pasts(spots(("B", "done", None, None, None)), happened(*LIFE))) == {"B"}


def test_the_dates_of_sources():
    assert history.known_on("2017-03 (date given by a search index) | 2013 (est.) | 2024-08-06") == day("2024-08-06")
    assert history.known_on("2024-06 |  | 2020-11-24 |  | ") == day("2024-06-30")
    assert history.known_on("2023-02-30") is None and history.known_on("2023-13") is None
    assert history.known_on("about 2020, or later") is None


def test_stops_end_with_the_last_day():
    assert history.stops(day("2026-09-30"), day("2026-09-30")) == [day("2026-09-30")]
    assert history.stops(day("2025-12-31"), day("2026-03-31")) == [day("2025-12-31"), day("2026-03-31")]
    assert history.stops(day("2027-01-01"), day("2026-11-22")) == [day("2026-11-22")]


# --- any sequence of steps ---


@st.composite
def registers(draw):
    """Hotspots with chains of steps; the present stage is where the chain ends."""
    rows, events = [], []
    days = st.dates(date(2020, 1, 1), date(2026, 11, 22))
    for code in ("A", "B", "C"):
        chain = draw(st.lists(st.tuples(days, st.sampled_from(STAGES)), max_size=6))
        begins = draw(st.sampled_from([None, *STAGES]))
        opened = draw(st.none() | days)
        before = begins
        for n, (on, stage) in enumerate(chain, 1):
            action = draw(st.sampled_from(["step", "undo", "relapse", "close"]))
            events.append((code, n, on, action, before, stage, draw(st.none() | days)))
            before = stage
        rows.append((code, before or "received", opened, draw(st.sampled_from([None, "2019", "2027"])), None))
    order = draw(st.permutations(range(len(events))))
    frame = happened(*events) if events else happened()
    return spots(*rows), frame.iloc[list(order)]


@given(registers())
def test_replaying_all_events_gives_the_present_stage(made):
    rows, events = made
    past = history.pasts(rows, events)
    for r in rows.itertuples():
        assert past[r.code].agrees
        if past[r.code].changes:
            assert history.standing(past[r.code], date(2050, 1, 1)).stage == r.stage


@given(registers())
def test_the_quarters_add_up_to_the_register(made):
    """Open at the end of each quarter, counted one by one on that day, is what the flows add up to."""
    past = history.pasts(*made)
    for q in history.quarters(past, date(2019, 10, 1), date(2026, 11, 22)):
        last = min(history.quarter_end(q.start), date(2026, 11, 22))
        assert q.open == sum(s.stage in history.OPEN for s in history.register(past, last).values())


@given(registers())
def test_the_order_of_rows_does_not_matter(made):
    rows, events = made
    assert history.pasts(rows, events) == history.pasts(rows, events.sort_values(["hotspot", "number"]))


@given(registers(), st.integers(0, 2500))
def test_what_happens_later_does_not_change_the_past(made, after):
    rows, events = made
    on = date(2020, 1, 1) + timedelta(days=after)
    events = events.sort_values(["hotspot", "number"])
    kept = events[events.groupby("hotspot")["day"].cummax() <= pd.Timestamp(on)]
    whole, early = history.pasts(rows, events), history.pasts(rows, kept)
    for code in set(kept["hotspot"]):
        assert history.standing(early[code], on) == history.standing(whole[code], on)


@given(registers(), st.integers(0, 2500))
def test_what_changed_is_what_separates_two_registers(made, after):
    past = history.pasts(*made)
    on = date(2020, 1, 1) + timedelta(days=after)
    before, now = history.register(past, on), history.register(past, date(2026, 11, 22))
    changed = {d.code for d in history.differences(past, on, date(2026, 11, 22))}
    assert {c for c in past if before[c].stage != now[c].stage} <= changed


def test_the_actions_are_those_of_the_catalogue():
    known = {c.value for c in ALL["hotspot_events"].by_name["action"].allowed}
    assert {"registered", "undo", "correction", "close", "relapse"} <= known
    assert set(history.OPEN) | set(history.CLOSED) | {"rejected"} == set(STAGES)
