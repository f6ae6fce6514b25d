"""run.py ledger: where the waste water goes."""

import argparse
import json
import sys
from datetime import date, datetime, timedelta

from layers.asof import StoreAsOf
from server.citytime import CITY_TIME
from server.console import open_services
from server.figures import LEVELS, UNITS, Figures
from server.ledgers import ledger_csv, ledger_document, ledger_table


def add(command):
    sub = command("ledger", run, "Print where the waste water goes, with low, likely and high.")
    level = sub.add_mutually_exclusive_group()
    level.add_argument("--by", choices=LEVELS, default="city")
    level.add_argument(
        "--units", choices=tuple(UNITS), help="on today's 114 units, the 15 old districts or the old city"
    )
    sub.add_argument("--as-of", type=_day, default=None, metavar="DATE", help="YYYY-MM-DD (default: today)")
    sub.add_argument(
        "--data-as-of", type=_moment, default=None, metavar="WHEN",
        help="compute with the data that were in use then: YYYY-MM-DD (the end of that day) or YYYY-MM-DDTHH:MM "
        "(default: the present data)",
    )  # fmt: skip
    sub.add_argument("--format", choices=("table", "csv", "json"), default="table")
    choice = sub.add_mutually_exclusive_group()
    choice.add_argument("--only-working", action="store_true", help="only working plants count (default)")
    choice.add_argument("--with-building", action="store_true", help="count plants under construction too")


def _day(text):
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a date; write it as YYYY-MM-DD") from None


def _moment(text):
    """A moment with time zone: as written, or of the city; of a day alone its end, and never later than now."""
    try:
        made = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a moment; write it as YYYY-MM-DD or YYYY-MM-DDTHH:MM"
        ) from None
    made = made if made.tzinfo else made.replace(tzinfo=CITY_TIME)
    if len(text) > 10:
        return made
    now = datetime.now(CITY_TIME)
    return min(made + timedelta(days=1), now) if made <= now else made


def run(arguments):
    services = open_services(arguments)
    figures = services.figures
    if arguments.data_as_of:
        figures = Figures(StoreAsOf(services.store, arguments.data_as_of), services.population)
    by = UNITS[arguments.units] if arguments.units else arguments.by
    view = figures.coverage(by, arguments.as_of or services.today(), arguments.with_building)
    sources = figures.ledger_sources(view)
    old = figures.told_on(view)
    if arguments.format == "json":
        json.dump(ledger_document(view, sources, **old), sys.stdout, ensure_ascii=False, indent=1, allow_nan=False)
        print()
    elif arguments.format == "csv":
        sys.stdout.flush()
        sys.stdout.buffer.write(ledger_csv(view))
    else:
        if arguments.data_as_of:
            print(f"Computed with the data that were in use at {arguments.data_as_of.isoformat(timespec='minutes')}.")
        print(ledger_table(view, sources, **old))
