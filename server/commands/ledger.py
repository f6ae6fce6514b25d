"""run.py ledger: where the waste water goes."""

import argparse
import json
import sys
from datetime import date

from server.console import open_services
from server.figures import LEVELS, UNITS
from server.ledgers import ledger_csv, ledger_document, ledger_table


def add(command):
    sub = command("ledger", run, "Print where the waste water goes, with low, likely and high.")
    level = sub.add_mutually_exclusive_group()
    level.add_argument("--by", choices=LEVELS, default="city")
    level.add_argument(
        "--units", choices=tuple(UNITS), help="on today's 114 units, the 15 old districts or the old city"
    )
    sub.add_argument("--as-of", type=_day, default=None, metavar="DATE", help="YYYY-MM-DD (default: today)")
    sub.add_argument("--format", choices=("table", "csv", "json"), default="table")
    choice = sub.add_mutually_exclusive_group()
    choice.add_argument("--only-working", action="store_true", help="only working plants count (default)")
    choice.add_argument("--with-building", action="store_true", help="count plants under construction too")


def _day(text):
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a date; write it as YYYY-MM-DD") from None


def run(arguments):
    services = open_services(arguments)
    by = UNITS[arguments.units] if arguments.units else arguments.by
    view = services.figures.coverage(by, arguments.as_of or services.today(), arguments.with_building)
    sources = services.figures.ledger_sources(view)
    old = services.figures.told_on(view)
    if arguments.format == "json":
        json.dump(ledger_document(view, sources, **old), sys.stdout, ensure_ascii=False, indent=1, allow_nan=False)
        print()
    elif arguments.format == "csv":
        sys.stdout.flush()
        sys.stdout.buffer.write(ledger_csv(view))
    else:
        print(ledger_table(view, sources, **old))
