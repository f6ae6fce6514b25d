"""The clock of the city: moments are stored in UTC and told in its time, never in the zone of the machine."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

CITY_TIME = ZoneInfo("Asia/Ho_Chi_Minh")


def local(at):
    """An instant (datetime, or ISO text with a time) in the city's time; one without a zone is UTC.

    ValueError for a text that is no instant.
    """
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(CITY_TIME)


def told(at):
    """An instant as commands print it, to the second: 2026-11-22 08:15:03, in the city's time."""
    return f"{local(at):%Y-%m-%d %H:%M:%S}"
