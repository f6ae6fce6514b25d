"""What the commands share: how they open a city, who works at the keyboard, how they refuse."""

import getpass
import sys
from pathlib import Path

from server.people import User

ROOT = Path(__file__).resolve().parent.parent


class CommandError(Exception):
    """Something the person at the keyboard can mend, told in one line."""


def with_data(parser):
    """The parser with --data."""
    parser.add_argument("--data", type=Path, default=ROOT / "var", metavar="DIR", help="data folder (default: var)")
    return parser


def open_services(arguments):
    """The Services of --data, closed when the command ends."""
    from server.services import open_city

    services = open_city(arguments.data, say=lambda line: print(line, file=sys.stderr, flush=True))
    arguments.opened.callback(services.close)
    return services


def console():
    """Who works at the keyboard of this machine, for the register and its audit."""
    return User(0, "console", getpass.getuser(), "administrator")
