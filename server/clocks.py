"""The clocks of a case: until when something is due, how much is left, and how late it is.

Late is after the due day or moment; very late is when three times the time allowed has passed (the mark for
escalation, as in the Signalen system). Working time where the rule says so, calendar days otherwise.
"""

from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta

from server import workdays
from server.i18n import N_, gettext, ngettext
from server.situation import Rules

STATES = {
    "ok": N_("in time"),
    "soon": N_("due soon"),
    "late": N_("late"),
    "very_late": N_("very late: three times the time allowed has passed"),
    "none": N_("no date set"),
}

# name: (label, rule with the names of Rules, stages in which it runs)
CLOCKS = {
    "accept": (N_("Accept"), N_("%(accept_hours)s working hours after it came in"), ("received",)),
    "answer": (N_("Answer"), N_("%(answer_days)s working days after it came in"), ("received", "checking")),
    "plan": (N_("Plan"), N_("the day set when confirmed, else %(plan_days)s days after it"), ("confirmed", "contained")),
    "deadline": (N_("Deadline"), N_("the day set with the decision"), ("plan_approved", "in_remediation")),
    "verification": (
        N_("Verification"), N_("the days that the samplings must span, and %(lab_days)s days for the laboratory"),
        ("verifying",),
    ),
    "watch": (N_("Watch"), N_("%(watch_months)s months after closing"), ("watched",)),
}  # fmt: skip
_UNITS = {"accept": "working_hours", "answer": "working_days"}
_SOON = {"working_hours": 2, "working_days": 2, "days": 7}


@dataclass(frozen=True)
class Clock:
    """name: a key of CLOCKS. due: a date, a moment for "accept", None when nobody set one.

    state: a key of STATES. left: in unit (working_hours, working_days or days), negative when late, None without a
    date. A watch that has passed is "soon": the case can be completed; it is never late.
    """

    name: str
    due: date | datetime | None
    state: str
    left: int | None
    unit: str

    @property
    def days(self):
        return self.left


def clocks(situation, rules, now, calendar=workdays.CALENDAR):
    """The clocks that run in the stage of a case at a moment (with the city's zone), the first due first."""
    made = [
        _MAKERS[name](situation, rules, now, calendar)
        for name, (_label, _rule, stages) in CLOCKS.items()
        if situation.stage in stages
    ]
    return tuple(sorted(made, key=lambda c: (c.due is None, _day(c.due) if c.due else date.max)))


def _day(moment):
    return moment.date() if isinstance(moment, datetime) else moment


def _clock(name, due, left, very_late):
    unit = _UNITS.get(name, "days")
    if left < 0:
        return Clock(name, due, "very_late" if very_late else "late", left, unit)
    return Clock(name, due, "soon" if left <= _SOON[unit] else "ok", left, unit)


def _none(name):
    return Clock(name, None, "none", None, _UNITS.get(name, "days"))


def _accept(s, rules, now, calendar):
    if s.opened_at is None and s.opened_on is None:
        return _none("accept")
    start = s.opened_at or datetime.combine(s.opened_on, time(8), now.tzinfo)
    due, last = (workdays.add_working_hours(start, n * rules.accept_hours, calendar) for n in (1, 3))
    left = workdays.working_hours_between(now, due, calendar) // timedelta(hours=1)
    return _clock("accept", due, min(left, -1) if now > due else left, now > last)


def _answer(s, rules, now, calendar):
    start = s.in_stage_since if s.stage_before == "rejected" else s.opened_on
    if start is None:
        return _none("answer")
    due, last = (workdays.add_working_days(start, n * rules.answer_days, calendar) for n in (1, 3))
    today = now.date()
    left = workdays.working_days_between(today, due, calendar)
    return _clock("answer", due, min(left, -1) if today > due else left, today > last)


def _by_date(name, start, due, now):
    """A clock in calendar days; without a start, thirty days are taken as allowed."""
    if due is None:
        return _none(name)
    allowed = due - start if start and start < due else timedelta(days=Rules.plan_days)
    return _clock(name, due, (due - now.date()).days, now.date() - due > 2 * allowed)


def _plan(s, rules, now, calendar):
    allowed = timedelta(days=rules.plan_days)
    due = s.plan_due or (s.in_stage_since and s.in_stage_since + allowed)
    return _by_date("plan", due and due - allowed, due, now)


def _deadline(s, rules, now, calendar):
    return _by_date("deadline", s.decision_on or s.in_stage_since, s.deadline, now)


def _verification(s, rules, now, calendar):
    start = s.work_done_on or s.in_stage_since
    days = max(s.needed_days or 0, rules.days) + rules.lab_days
    return _by_date("verification", start, start and start + timedelta(days=days), now)


def _watch(s, rules, now, calendar):
    if s.watch_until is None:
        return _none("watch")
    left = (s.watch_until - now.date()).days
    return Clock("watch", s.watch_until, "ok" if left >= 0 else "soon", left, "days")


_MAKERS = {
    "accept": _accept,
    "answer": _answer,
    "plan": _plan,
    "deadline": _deadline,
    "verification": _verification,
    "watch": _watch,
}


def rule_words(name, rules):
    """The rule of a clock in the reader's language."""
    return gettext(CLOCKS[name][1], **asdict(rules))


def clock_words(clock):
    """What is left or how late it is, in the reader's language."""
    n = None if clock.left is None else abs(clock.left)
    if n is None:
        return gettext("no date set")
    if clock.name == "watch" and clock.left < 0:
        return gettext("the watch has passed; the case can be completed")
    if clock.unit == "working_hours":
        if clock.left >= 0:
            return ngettext("%(num)s working hour left", "%(num)s working hours left", n)
        return ngettext("late by %(num)s working hour", "late by %(num)s working hours", n)
    if clock.left == 0:
        return gettext("due today")
    if clock.unit == "working_days":
        if clock.left > 0:
            return ngettext("%(num)s working day left", "%(num)s working days left", n)
        return ngettext("late by %(num)s working day", "late by %(num)s working days", n)
    if clock.left > 0:
        return ngettext("%(num)s day left", "%(num)s days left", n)
    return ngettext("late by %(num)s day", "late by %(num)s days", n)
