"""Working days against published dates, against the moon, and against counting day by day."""

import math
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import workdays
from server.workdays import CALENDAR, Calendar

CITY = ZoneInfo("Asia/Ho_Chi_Minh")
DAY = timedelta(days=1)
days = st.dates(date(2012, 1, 1), date(2040, 12, 31))


def year_of(year):
    return [date(year, 1, 1) + i * DAY for i in range((date(year + 1, 1, 1) - date(year, 1, 1)).days)]


# Weekdays off and weekends worked, as announced for public offices. 2025: notice 6150/TB-BLĐTBXH (Tết 25 January to
# 2 February; 2 May for 26 April). 2026: Tết 14 to 22 February; 2 January for 10 January; 31 August for 22 August;
# Hùng Kings on Sunday 26 April, so Monday too; Culture Day on 24 November for the first time. 2027: not announced
# in full; 1 May is a Saturday, Tết (6 February) begins on one.
ANNOUNCED = {
    2025: (
        [(1, 1), (1, 27), (1, 28), (1, 29), (1, 30), (1, 31), (4, 7), (4, 30), (5, 1), (5, 2), (9, 1), (9, 2)],
        [(4, 26)],
    ),
    2026: (
        [(1, 1), (1, 2), (2, 16), (2, 17), (2, 18), (2, 19), (2, 20), (4, 27), (4, 30), (5, 1), (8, 31), (9, 1),
         (9, 2), (11, 24)],
        [(1, 10), (8, 22)],
    ),
    2027: (
        [(1, 1), (2, 4), (2, 5), (2, 8), (2, 9), (2, 10), (4, 16), (4, 30), (5, 3), (9, 2), (9, 3), (11, 24)],
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("year", ANNOUNCED)
def test_days_off_and_weekends_worked_are_those_announced(year):
    off, worked = ([date(year, *md) for md in part] for part in ANNOUNCED[year])
    assert [d for d in year_of(year) if d.weekday() < 5 and not workdays.is_working_day(d)] == off
    assert [d for d in year_of(year) if d.weekday() >= 5 and workdays.is_working_day(d)] == worked


def test_what_the_library_does_not_know_is_a_setting():
    plain = Calendar(days_off=frozenset(), workdays=frozenset())
    assert workdays.is_working_day(date(2026, 1, 2), plain) and not workdays.is_working_day(date(2026, 1, 10), plain)
    assert not workdays.is_working_day(date(2026, 1, 2)) and workdays.is_working_day(date(2026, 1, 10))
    storm = Calendar(days_off=frozenset({date(2026, 9, 7)}), workdays=frozenset({date(2026, 9, 2)}))
    assert not workdays.is_working_day(date(2026, 9, 7), storm) and workdays.is_working_day(date(2026, 9, 2), storm)
    assert workdays.holidays_of(2026, storm)[date(2026, 9, 7)] == ""
    assert date(2026, 9, 2) not in workdays.holidays_of(2026, storm)


def test_a_swap_over_new_year_is_known_in_both_years():
    assert workdays.is_working_day(date(2014, 12, 27)), "a Saturday, worked for Friday 2 January 2015"
    assert not workdays.is_working_day(date(2015, 1, 2))


def test_days_off_have_names():
    named = workdays.holidays_of(2027)
    assert named[date(2027, 2, 6)] == "Tết Nguyên Đán" and named[date(2027, 4, 16)] == "Ngày Giỗ Tổ Hùng Vương"
    assert list(named) == sorted(named) and {d.year for d in named} == {2027}
    assert workdays.holidays_of(2027, language="en")[date(2027, 4, 16)] == "Hung Kings' Commemoration Day"
    assert workdays.weekends_worked(2026) == [date(2026, 1, 10), date(2026, 8, 22)]
    storm = Calendar(days_off=frozenset({date(2026, 8, 22)}), workdays=frozenset({date(2026, 9, 12)}))
    assert workdays.weekends_worked(2026, storm) == [date(2026, 9, 12)]


def new_moon(k):
    """Julian day of the k-th new moon since January 1900; Meeus, Astronomical Algorithms, shortened."""
    t = k / 1236.85
    rad = math.radians
    mean = 2415020.75933 + 29.53058868 * k + 0.0001178 * t**2 - 0.000000155 * t**3
    mean += 0.00033 * math.sin(rad(166.56 + 132.87 * t - 0.009173 * t**2))
    sun = rad(359.2242 + 29.10535608 * k - 0.0000333 * t**2)
    moon = rad(306.0253 + 385.81691806 * k + 0.0107306 * t**2)
    node = rad(21.2964 + 390.67050646 * k - 0.0016528 * t**2)
    c = (0.1734 - 0.000393 * t) * math.sin(sun) + 0.0021 * math.sin(2 * sun) - 0.4068 * math.sin(moon)
    c += 0.0161 * math.sin(2 * moon) - 0.0004 * math.sin(3 * moon) + 0.0104 * math.sin(2 * node)
    c += -0.0051 * math.sin(sun + moon) - 0.0074 * math.sin(sun - moon) + 0.0004 * math.sin(2 * node + sun)
    c += -0.0004 * math.sin(2 * node - sun) - 0.0006 * math.sin(2 * node + moon) + 0.001 * math.sin(2 * node - moon)
    c += 0.0005 * math.sin(2 * moon + sun)
    dynamic = -0.000278 + 0.000265 * t + 0.000262 * t**2
    return mean + c - dynamic


def sign_of_sun(julian):
    """Which twelfth of the ecliptic the sun stands in at 0 h of a day at UTC+7 (0 from the spring equinox)."""
    t = (julian - 0.5 - 7 / 24 - 2451545.0) / 36525
    m = math.radians(357.5291 + 35999.0503 * t - 0.0001559 * t**2)
    mean = 280.46645 + 36000.76983 * t + 0.0003032 * t**2
    c = (1.9146 - 0.004817 * t - 0.000014 * t**2) * math.sin(m)
    c += (0.019993 - 0.000101 * t) * math.sin(2 * m) + 0.00029 * math.sin(3 * m)
    return int((mean + c) % 360 // 30)


def first_of_lunar_month(year, number):
    """The civil day of 1st of lunar month 1, 2 or 3 of a year: new moons counted from the month of the solstice.

    The month with the winter solstice is the 11th. Where thirteen months lie between two solstices, the first one
    without a change of the sun's sign is a leap month and bears no number of its own.
    """

    def month_11(y):
        k = int((date(y, 12, 31) - date(1899, 12, 31)).days / 29.530588853)
        start = int(new_moon(k) + 0.5 + 7 / 24)
        return k if sign_of_sun(start) < 9 else k - 1

    def starts(k):
        return int(new_moon(k) + 0.5 + 7 / 24)

    first, last = month_11(year - 1), month_11(year)
    months = list(range(first, last))
    leap = None
    if len(months) == 13:
        leap = next(k for k in months[1:] if sign_of_sun(starts(k)) == sign_of_sun(starts(k + 1)))
    regular = [k for k in months if k != leap]  # 11, 12, 1, 2, 3 ...
    return date.fromordinal(starts(regular[number + 1]) - 1721425)


@pytest.mark.parametrize("year", range(2020, 2036))
def test_tet_and_hung_kings_follow_the_moon(year):
    named = workdays.holidays_of(year)
    assert named[first_of_lunar_month(year, 1)] == "Tết Nguyên Đán"
    assert "Hùng Vương" in named[first_of_lunar_month(year, 3) + 9 * DAY]


def test_deadlines_over_tet():
    friday = date(2026, 2, 13)
    assert workdays.add_working_days(friday, 1) == date(2026, 2, 23)
    assert workdays.add_working_days(friday, 7) == date(2026, 3, 3)
    assert workdays.add_working_days(date(2026, 2, 14), 0) == date(2026, 2, 23)
    assert workdays.add_working_days(friday, 0) == friday
    assert workdays.working_days_between(friday, date(2026, 3, 3)) == 7
    assert workdays.working_days_between(date(2026, 3, 3), friday) == -7


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        (datetime(2026, 11, 16, 8), 7, datetime(2026, 11, 16, 17)),  # one whole day
        (datetime(2026, 11, 16, 8), 8, datetime(2026, 11, 17, 9)),
        (datetime(2026, 11, 16, 12), 1, datetime(2026, 11, 16, 14, 30)),  # at lunch
        (datetime(2026, 11, 16, 23), 8, datetime(2026, 11, 18, 9)),  # at night: from 8 in the morning
        (datetime(2026, 11, 22, 3), 0, datetime(2026, 11, 23, 8)),  # on a Sunday
        (datetime(2026, 11, 23, 16), 8, datetime(2026, 11, 25, 17)),  # Culture Day lies between
        (datetime(2026, 2, 13, 16, 30), 8, datetime(2026, 2, 24, 8, 30)),  # Tết lies between
        (datetime(2026, 1, 9, 17), 3.5, datetime(2026, 1, 10, 11, 30)),  # a Saturday that is worked
    ],
)
def test_working_hours(start, hours, end):
    assert workdays.add_working_hours(start, hours) == end
    zoned = start.replace(tzinfo=CITY)
    assert workdays.add_working_hours(zoned, hours) == end.replace(tzinfo=CITY)


calendars = st.builds(
    lambda off, on: Calendar(days_off=frozenset(off) - frozenset(on), workdays=frozenset(on)),
    st.sets(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=20),
    st.sets(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=20),
)


@given(st.dates(date(2025, 12, 1), date(2027, 1, 31)), st.integers(1, 60), calendars)
def test_the_nth_working_day_is_the_nth_in_a_list(day, n, calendar):
    listed = [d for i in range(1, 400) if workdays.is_working_day(d := day + i * DAY, calendar)]
    due = workdays.add_working_days(day, n, calendar)
    assert due == listed[n - 1]
    assert workdays.working_days_between(day, due, calendar) == n
    assert workdays.working_days_between(due, day, calendar) == -n


@given(days, days, days)
def test_working_days_add_up(a, b, c):
    between = workdays.working_days_between
    assert between(a, b) + between(b, c) == between(a, c)


moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31))


@given(moments, st.integers(0, 60 * 60).map(lambda m: timedelta(minutes=m)), calendars)
def test_hours_taken_are_hours_counted(moment, took, calendar):
    end = workdays.add_working_hours(moment, took, calendar)
    assert workdays.working_hours_between(moment, end, calendar) == took
    assert workdays.is_working_day(end.date(), calendar)
    assert any(start <= end.time() <= stop for start, stop in calendar.hours)


@given(moments, moments, moments)
def test_working_hours_add_up(a, b, c):
    between = workdays.working_hours_between
    assert between(a, b) + between(b, c) == between(a, c)


@given(moments, st.integers(1, 48))
def test_hours_counted_minute_by_minute(moment, hours):
    moment = moment.replace(second=0, microsecond=0)
    end = moment + timedelta(hours=hours)
    minutes = 0
    for i in range(hours * 60):
        at = moment + timedelta(minutes=i)
        in_office = time(8) <= at.time() < time(11, 30) or time(13, 30) <= at.time() < time(17)
        minutes += in_office and workdays.is_working_day(at.date())
    assert workdays.working_hours_between(moment, end) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"days_off": frozenset({date(2026, 5, 4)}), "workdays": frozenset({date(2026, 5, 4)})},
        {"hours": ()},
        {"hours": ((time(8), time(8)),)},
        {"hours": ((time(13), time(17)), (time(8), time(11)))},
        {"hours": ((time(8), time(12)), (time(11), time(17)))},
    ],
)
def test_a_calendar_that_contradicts_itself_is_refused(wrong):
    with pytest.raises(ValueError):
        Calendar(**wrong)


def test_time_does_not_run_backwards():
    with pytest.raises(ValueError):
        workdays.add_working_days(date(2026, 5, 4), -1)
    with pytest.raises(ValueError):
        workdays.add_working_hours(datetime(2026, 5, 4, 9), -1)


@pytest.mark.parametrize("day", [date(1902, 5, 5), date(2150, 6, 3)])
def test_years_that_nobody_tabled_are_plain_weeks(day):
    assert workdays.is_working_day(day, CALENDAR) is (day.weekday() < 5)
