"""The day of the city: instants are kept in UTC, and from 17:00 UTC on the city already has tomorrow."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from server import i18n
from server.citytime import CITY_TIME, local, told

EVE = "2026-11-22T17:05:00.000+00:00"  # five past midnight on the 23rd in Hải Phòng


@pytest.mark.parametrize(
    "at",
    [
        EVE,
        "2026-11-22T17:05:00Z",
        "2026-11-23T00:05+07:00",
        datetime(2026, 11, 22, 17, 5, tzinfo=UTC),
        datetime(2026, 11, 22, 9, 5, tzinfo=timezone(timedelta(hours=-8))),
    ],
)
def test_an_instant_is_told_by_the_day_of_the_city(at):
    assert local(at) == datetime(2026, 11, 23, 0, 5, tzinfo=CITY_TIME)
    assert (i18n.date(at), i18n.moment(at)) == ("23/11/2026", "23/11/2026 00:05")


def test_a_day_has_no_hour_to_move_it():
    for day in ("2026-11-22", date(2026, 11, 22), datetime(2026, 11, 22, 23, 59), "2026-11-22T23:59:00"):
        assert i18n.date(day) == "22/11/2026"


def test_without_a_zone_an_instant_is_utc_and_nothing_is_a_dash():
    assert local("2026-11-22T17:05").isoformat() == "2026-11-23T00:05:00+07:00"
    assert told("2026-11-22T17:05:59.999+00:00") == "2026-11-23 00:05:59"
    assert i18n.moment(None) == i18n.moment("") == i18n.NO_DATA
    with pytest.raises(ValueError):
        local("yesterday")
