"""run.py audit: does the journal hold, and what does it say."""

import argparse
import json
import sys

from layers import audit
from server.console import CommandError, open_services


def add(command):
    sub = command("audit", run, "Check that no row of the audit was changed, removed or moved; or write it out.")
    sub.add_argument("what", choices=("verify", "export"))
    sub.add_argument("--head", action="append", default=[], type=_head, metavar="NUMBER:HASH",
                     help="a head that an earlier verify printed; proves that the rows up to it are the same")  # fmt: skip
    sub.add_argument(
        "--people",
        action="store_true",
        help="export, or --head of, the audit of accounts in the file of people and secrets",
    )
    sub.add_argument("--thing", help="export only this, e.g. case:HS-0101, or case:* for all cases")
    sub.add_argument("--format", choices=("csv", "json"), default="csv")


def _head(text):
    try:
        return audit.head_of(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from None


def run(arguments):
    services = open_services(arguments)
    if arguments.what == "export":
        kept = services.accounts.vault if arguments.people else services.store
        with kept.reading() as con:
            rows = audit.rows(con, thing=arguments.thing)
            if arguments.format == "json":
                json.dump(list(rows), sys.stdout, ensure_ascii=False, indent=1)
                print()
            else:
                sys.stdout.flush()
                sys.stdout.buffer.write(audit.csv_bytes(rows))
        return
    broken = 0
    for name, kept, noted in (
        ("register and layers", services.store, [] if arguments.people else arguments.head),
        ("people", services.accounts.vault, arguments.head if arguments.people else []),
    ):
        with kept.reading() as con:
            head, problems = audit.head(con), audit.verify(con, noted)
        for problem in problems:
            print(f"{name}: {problem}")
        if not problems:
            print(f"{name}: {f'{head.number} rows hold. Note this head elsewhere: {head}' if head else 'empty.'}")
        broken += len(problems)
    if broken:
        raise CommandError(f"The audit does not hold: {broken} problem{'' if broken == 1 else 's'}.")
