"""Working days and working hours of Vietnamese public offices.

Public holidays come from the `holidays` library (Labour Code 2019, article 112): New Year, Tết, Hùng Kings, 30 April,
1 May, National Day, Culture Day from 2026, the days off in lieu where one falls on a weekend, and those swaps of a
working day for a Saturday that its release knows.

It does not know what is decided after its release: swaps are decided year by year, and whether Tết begins one or two
days before the new year; for coming years its Tết is a forecast. Such days, and days off of one place alone (a
storm), are given to Calendar. DECIDED holds the decisions that we know and the library does not.

Periods are counted as the Civil Code 2015, articles 147 and 148, does: the first day does not count.
Times are city time; a moment keeps the zone it came with.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache

import holidays

MORNING = (time(8), time(11, 30))
AFTERNOON = (time(13, 30), time(17))
DAY = timedelta(days=1)

# day off -> the Saturday worked instead. 2026: the government's decision of 25 December 2025.
DECIDED = {date(2026, 1, 2): date(2026, 1, 10)}


@dataclass(frozen=True)
class Calendar:
    """Which days and hours are worked.

    days_off, workdays: days decided by hand; they go before the library. A day in both raises ValueError.
    hours: (from, to) pairs of a working day, in order.
    """

    days_off: frozenset = frozenset(DECIDED)
    workdays: frozenset = frozenset(DECIDED.values())
    hours: tuple = (MORNING, AFTERNOON)

    def __post_init__(self):
        both = sorted(set(self.days_off) & set(self.workdays))
        if both:
            raise ValueError(f"{both[0]} cannot be a day off and a working day")
        edges = [edge for pair in self.hours for edge in pair]
        if not edges or edges != sorted(set(edges)):
            raise ValueError("the working hours must follow each other")


CALENDAR = Calendar()


@cache
def _of_year(year, language="vi"):
    """({day: name} of the days off, the Saturdays and Sundays worked instead) as the library has them."""
    known = holidays.VN(years=year, language={"en": "en_US"}.get(language, language))
    return dict(sorted(known.items())), frozenset(day for day in known.weekend_workdays if day.year == year)


def holidays_of(year, calendar=CALENDAR, language="vi"):
    """{day: name in vi or en} of all days off of a year that are not plain weekends; a day given by hand has ''."""
    named = {day: name for day, name in _of_year(year, language)[0].items() if day not in calendar.workdays}
    given = {day: "" for day in calendar.days_off if day.year == year}
    return dict(sorted((given | named).items()))


def weekends_worked(year, calendar=CALENDAR):
    """Saturdays and Sundays of a year that are worked, in order."""
    given = {day for day in calendar.workdays if day.year == year and day.weekday() >= 5}
    return sorted(given | (_of_year(year)[1] - set(calendar.days_off)))


def is_working_day(day, calendar=CALENDAR):
    """
    >>> [is_working_day(date(2026, 2, d)) for d in (13, 16, 20, 23)]  # Tết Bính Ngọ: 14 to 22 February
    [True, False, False, True]
    """
    if day in calendar.workdays:
        return True
    off, weekend_workdays = _of_year(day.year)
    if day in calendar.days_off or day in off:
        return False
    return day.weekday() < 5 or day in weekend_workdays


def add_working_days(day, n, calendar=CALENDAR):
    """The n-th working day after day; for 0 the day itself or, when it is a day off, the next working day.

    >>> add_working_days(date(2026, 2, 12), 2)  # Thursday before Tết: Friday, then Monday after it
    datetime.date(2026, 2, 23)
    """
    if n < 0:
        raise ValueError("n must not be negative")
    if n == 0 and not is_working_day(day, calendar):
        n = 1
    while n:
        day += DAY
        n -= is_working_day(day, calendar)
    return day


def working_days_between(start, end, calendar=CALENDAR):
    """How many working days come after start, up to and with end; negative when end is before start.

    >>> working_days_between(date(2026, 2, 12), date(2026, 2, 23))
    2
    """
    if end < start:
        return -working_days_between(end, start, calendar)
    return sum(is_working_day(start + i * DAY, calendar) for i in range(1, (end - start).days + 1))


def _spans(day, calendar, zone):
    if is_working_day(day, calendar):
        for start, end in calendar.hours:
            yield datetime.combine(day, start, zone), datetime.combine(day, end, zone)


def add_working_hours(moment, hours, calendar=CALENDAR):
    """The moment at which so many working hours (or a timedelta) have passed since a moment.

    >>> add_working_hours(datetime(2026, 11, 20, 16), 8)  # Friday: 1 h left, Monday 7 h
    datetime.datetime(2026, 11, 23, 17, 0)
    """
    left = hours if isinstance(hours, timedelta) else timedelta(hours=hours)
    if left < timedelta(0):
        raise ValueError("hours must not be negative")
    day = moment.date()
    while True:
        for start, end in _spans(day, calendar, moment.tzinfo):
            start = max(start, moment)
            if left <= end - start:
                return start + left
            left -= max(end - start, timedelta(0))
        day += DAY


def working_hours_between(start, end, calendar=CALENDAR):
    """Working time between two moments of one zone as a timedelta; negative when end is before start.

    >>> working_hours_between(datetime(2026, 11, 20, 16), datetime(2026, 11, 23, 9, 30))
    datetime.timedelta(seconds=9000)
    """
    if end < start:
        return -working_hours_between(end, start, calendar)
    total, day = timedelta(0), start.date()
    while day <= end.date():
        for opens, closes in _spans(day, calendar, start.tzinfo):
            total += max(min(closes, end) - max(opens, start), timedelta(0))
        day += DAY
    return total
