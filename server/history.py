"""The register's past: which hotspot stood at which stage on a date, and how that changed.

Pure functions on the public frames `hotspots` and `hotspot_events`; no clock, no store. A step takes
effect on its day, but never before the step that was entered ahead of it, so that the last step by
number always gives the present stage. A day here is the day something happened; `published_on` tells
when readers could first know of it.

A hotspot without a dated beginning comes in when its newest source was dated: before that day nobody
can say what stage it had. Where nothing is dated, its past is not known at all.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

OPEN = ("received", "checking", "confirmed", "contained", "plan_approved", "in_remediation", "verifying", "suspended")
CLOSED = ("watched", "done")
_MENDING = ("undo", "correction", "reopen", "not_told")  # neither closed nor relapsed: something was wrong before
_DATED = re.compile(r"\s*(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?(?:\s*\(|\s*$)")


@dataclass(frozen=True)
class Change:
    """A step from one stage to another. stage_from is None where the hotspot comes into the register.

    action: an action of the catalogue; "known" where the beginning is only the date of a source;
    "not_told" for a step between two published ones that was not published itself.
    """

    day: date
    action: str
    stage_from: str | None
    stage: str
    published_on: date | None = None


@dataclass(frozen=True)
class Past:
    """All changes of one hotspot, oldest first; none where nothing about it is dated.

    exact: its coming into the register is dated. agrees: the changes lead to the present stage.
    last_day: the day of the newest entry of any kind, or None.
    """

    code: str
    present: str
    changes: tuple[Change, ...]
    exact: bool
    deadline: date | None
    last_day: date | None

    @property
    def since(self):
        """The first day on which its stage is known, or None."""
        return self.changes[0].day if self.changes else None

    @property
    def agrees(self):
        return not self.changes or self.changes[-1].stage == self.present


@dataclass(frozen=True)
class Standing:
    """One hotspot on one day. why: "known", "not_yet" (not yet in the register) or "undated".

    stage is None unless known. since: the day this stage began, as far as dated. shown_then: what
    readers saw on that day, where steps were published only later; otherwise the same as stage.
    """

    stage: str | None
    why: str
    since: date | None = None
    shown_then: str | None = None
    relapses: int = 0


def pasts(hotspots, events):
    """The Past of every hotspot by code. Events of hotspots that are not public any more are left out.

    hotspots: code, stage, opened_on, source_date, deadline; events: hotspot, number, day, action,
    stage_from, stage, published_on (days as datetime64, missing as NaT or None). The order of rows does not matter.
    """
    mine = dict(list(events.sort_values("number").groupby("hotspot", sort=False)))
    return {
        r.code: _past(r, mine[r.code].itertuples() if r.code in mine else ()) for r in hotspots.itertuples(index=False)
    }


def _past(row, events):
    named, changes, last, day = None, [], None, date.min
    for e in events:
        happened = e.day.date()
        last = happened if last is None else max(last, happened)
        if _text(e.stage) is None:
            continue
        day = max(day, happened)
        named = named or (day, _text(e.stage_from))
        told = _day(e.published_on)
        if changes and _text(e.stage_from) not in (None, changes[-1].stage):
            changes.append(Change(day, "not_told", changes[-1].stage, e.stage_from, told))
        before = changes[-1].stage if changes else _text(e.stage_from)
        if e.stage != before:
            changes.append(Change(day, e.action, before, e.stage, told))
    opened = _day(row.opened_on)
    exact = opened is not None or (named is not None and named[1] is None)
    if named is None or named[1] is not None:
        since = opened or known_on(row.source_date)
        if named is not None:
            since = min(since or named[0], named[0])
        if since is not None:
            stage = named[1] if named else row.stage
            changes.insert(0, Change(since, "registered" if exact else "known", None, stage))
    return Past(row.code, row.stage, tuple(changes), exact, _day(row.deadline), last)


def known_on(source_date):
    """The day by which the newest dated source had appeared, or None: "2021-07 (est.) | 2016" is the end of July 2021.

    >>> known_on("2021-07 (est.) | 2020-12-07"), known_on("2014"), known_on(" | "), known_on(None)
    (datetime.date(2021, 7, 31), datetime.date(2014, 12, 31), None, None)
    """
    days = [_end_of(m) for part in (_text(source_date) or "").split("|") if (m := _DATED.match(part))]
    return max((d for d in days if d), default=None)


def _end_of(match):
    year, month, day = (int(p) if p else None for p in match.groups())
    try:
        return date(year, month or 12, day or calendar.monthrange(year, month or 12)[1])
    except (ValueError, calendar.IllegalMonthError):
        return None


def standing(past, day, *, today=None):
    """The Standing of one hotspot at the end of a day. On `today` its present stage counts, dated or not."""
    done = [c for c in past.changes if c.day <= day]
    now = today is not None and day >= today
    relapses = sum(_kind(c) == "relapsed" for c in done)
    if not past.changes:
        return Standing(past.present, "undated", None, past.present) if now else Standing(None, "undated")
    if now and not past.agrees:
        return Standing(past.present, "known", None, past.present, relapses)
    if not done:
        return Standing(past.present, "known", None, past.present) if now else Standing(None, "not_yet")
    then = [c for c in done if c.published_on is None or c.published_on <= day]
    return Standing(done[-1].stage, "known", done[-1].day, then[-1].stage if then else None, relapses)


def register(every, day, *, today=None):
    """The Standing of every hotspot at the end of a day, by code. every: what pasts() gives."""
    return {code: standing(past, day, today=today) for code, past in every.items()}


def age_days(past, day):
    """Days from the first day known until it was closed or set aside, or until `day`; None where nothing is dated."""
    done = [c for c in past.changes if c.day <= day]
    if not done:
        return None
    end = done[-1].day if done[-1].stage not in OPEN else day
    return (end - done[0].day).days


def due(past, day, *, today=None):
    """(state, days left): overdue, due, none (no deadline recorded), over (nothing open) or unknown.

    A deadline is recorded as it is now. On an earlier day it counts only where nothing was entered
    after that day; otherwise it is not known which deadline held then.
    """
    stage = standing(past, day, today=today).stage
    if stage is None:
        return "unknown", None
    if stage not in OPEN:
        return "over", None
    if past.last_day is not None and past.last_day > day:
        return "unknown", None
    if past.deadline is None:
        return "none", None
    left = (past.deadline - day).days
    return ("overdue" if left < 0 else "due"), left


# --- quarters ---


def quarter_start(day):
    """The first day of the quarter.

    >>> quarter_start(date(2026, 11, 22))
    datetime.date(2026, 10, 1)
    """
    return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)


def quarter_end(day):
    """The last day of the quarter."""
    return next_quarter(day) - timedelta(days=1)


def next_quarter(day):
    """The first day of the quarter after the one of `day`."""
    start = quarter_start(day)
    return date(start.year, start.month + 3, 1) if start.month < 10 else date(start.year + 1, 1, 1)


def stops(first, last):
    """The days at which the past is shown: the end of every quarter from `first`, then `last` itself.

    >>> [d.isoformat() for d in stops(date(2026, 5, 9), date(2026, 11, 22))]
    ['2026-06-30', '2026-09-30', '2026-11-22']
    """
    out, day = [], quarter_end(min(first, last))
    while day < last:
        out.append(day)
        day = quarter_end(day + timedelta(days=1))
    return [*out, last]


@dataclass(frozen=True)
class Quarter:
    """What happened in one quarter, and how many were open at its end (or on the last day asked for).

    other: change of the open ones by anything else: known from an older source, set aside, taken up
    again, a step taken back. open = open before + opened - closed + relapsed + other.
    """

    start: date
    opened: int
    closed: int
    relapsed: int
    other: int
    open: int

    @property
    def label(self):
        """Such as (4, 2026)."""
        return (self.start.month + 2) // 3, self.start.year


def _kind(change):
    """opened, closed, relapsed, or more / fewer / None for what changes the open ones in another way or not at all."""
    before, after = change.stage_from in OPEN, change.stage in OPEN
    if change.stage_from is None:
        return None if not after else "more" if change.action == "known" else "opened"
    if before == after:
        return None
    if change.action not in _MENDING:
        if before and change.stage in CLOSED:
            return "closed"
        if after and change.stage_from in CLOSED:
            return "relapsed"
    return "more" if after else "fewer"


def quarters(every, first, last):
    """One Quarter each from the quarter of `first` to that of `last`; nothing after `last` counts."""
    made, day = [], quarter_start(first)
    flows = [(c.day, kind) for past in every.values() for c in past.changes if c.day <= last and (kind := _kind(c))]
    step = {"opened": 1, "relapsed": 1, "more": 1, "closed": -1, "fewer": -1}
    open_now = sum(step[kind] for at, kind in flows if at < day)
    while day <= last:
        after = next_quarter(day)
        now = [kind for at, kind in flows if day <= at < after]
        open_now += sum(step[kind] for kind in now)
        count = {name: now.count(name) for name in step}
        made.append(
            Quarter(day, count["opened"], count["closed"], count["relapsed"], count["more"] - count["fewer"], open_now)
        )
        day = after
    return made


def first_flow(every):
    """The first day on which a dated opening, closing or relapse is known, or None."""
    days = (c.day for past in every.values() for c in past.changes if _kind(c) in ("opened", "closed", "relapsed"))
    return min(days, default=None)


# --- two dates ---


@dataclass(frozen=True)
class Difference:
    """What became of one hotspot between two days. kind: entered, closed, relapsed, set_aside or moved."""

    code: str
    kind: str
    before: str | None
    after: str
    steps: tuple[Change, ...]


def differences(every, first, last):
    """Hotspots with a change after `first` and up to `last`, by the day of their last change, newest first.

    A relapse is named even where the stage at the end says something else.
    """
    out = []
    for code, past in every.items():
        steps = tuple(c for c in past.changes if first < c.day <= last)
        if not steps:
            continue
        before, after = standing(past, first).stage, steps[-1].stage
        if any(_kind(c) == "relapsed" for c in steps):
            kind = "relapsed"
        elif before is None:
            kind = "entered"
        elif after in CLOSED and before not in CLOSED:
            kind = "closed"
        else:
            kind = "set_aside" if after == "rejected" else "moved"
        out.append(Difference(code, kind, before, after, steps))
    return sorted(out, key=lambda d: (-d.steps[-1].day.toordinal(), d.code))


def _text(value):
    return None if value is None or pd.isna(value) else value


def _day(value):
    return None if value is None or pd.isna(value) else value.date()
