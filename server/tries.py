"""How often somebody may try a password or a code: counted before each try, with a wait that grows."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from server.i18n import N_
from server.people import AccountError, Problem
from server.vault import attempts


@dataclass(frozen=True)
class Pace:
    """After `free` wrong tries each further one makes the next wait: `first`, then twice as long, up to `most`.

    One for a name, one for an address (`free_here`, `most_here`), since an office may share one.
    """

    free: int = 5
    most: timedelta = timedelta(minutes=5)
    free_here: int = 20
    most_here: timedelta = timedelta(minutes=15)
    first: timedelta = timedelta(seconds=5)
    forget: timedelta = timedelta(hours=24)


class TooManyTries(AccountError):
    """Not even tried; `wait_s` says how many seconds to wait."""

    def __init__(self, wait_s):
        self.wait_s = wait_s
        if wait_s > 90:
            sentence = N_("Too many tries. Wait %(minutes)s minutes, then try again.")
        else:
            sentence = N_("Too many tries. Wait %(seconds)s seconds, then try again.")
        super().__init__(Problem("", sentence, {"seconds": wait_s, "minutes": -(-wait_s // 60)}))


def wait_after(failures, free, most, first):
    """How long the next try has to wait after so many wrong ones.

    >>> [wait_after(n, 5, timedelta(minutes=5), timedelta(seconds=5)).seconds for n in (4, 5, 6, 7, 20)]
    [0, 5, 10, 20, 300]
    """
    return min(first * 2 ** min(failures - free, 30), most) if failures >= free else timedelta()


def one_place(address):
    """What counts as one address: an IPv4 address, or the /64 network that one line has in IPv6.

    >>> one_place("::ffff:192.0.2.7"), one_place("2001:db8:0:1:2::9")
    ('192.0.2.7', '2001:db8:0:1::/64')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    found = getattr(found, "ipv4_mapped", None) or found
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))


def count(con, key, address, now, pace):
    """Count a try for a key and an address; the keys it was counted under. Raises TooManyTries instead.

    The transaction holds the write lock, so that tries at the same time are counted one by one.
    """
    con.execute(attempts.delete().where(attempts.c.last_at < _text(now - pace.forget)))
    counted = [(key, pace.free, pace.most)]
    if address:
        counted.append((f"address:{one_place(address)}", pace.free_here, pace.most_here))
    rows = {k: con.execute(sa.select(attempts).where(attempts.c.key == k)).one_or_none() for k, _, _ in counted}
    longest = max((datetime.fromisoformat(r.wait_until) - now for r in rows.values() if r), default=timedelta())
    if longest > timedelta():
        raise TooManyTries(-int(-longest.total_seconds() // 1))
    for k, free, most in counted:
        failures = rows[k].failures + 1 if rows[k] else 1
        until = now + wait_after(failures, free, most, pace.first)
        con.execute(attempts.delete().where(attempts.c.key == k))
        con.execute(attempts.insert().values(key=k, failures=failures, last_at=_text(now), wait_until=_text(until)))
    return [k for k, _, _ in counted]


def succeeded(con, key, *addresses):
    """The try was good: forget those for the name, and take this one off the address's count."""
    forget(con, key)
    fewer = {"failures": sa.func.max(attempts.c.failures - 1, 0), "wait_until": attempts.c.last_at}
    con.execute(attempts.update().where(attempts.c.key.in_(addresses)).values(fewer))


def forget(con, *keys):
    """The keys may be tried again at once."""
    con.execute(attempts.delete().where(attempts.c.key.in_(keys)))


def _text(moment):
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
