"""The command line: python run.py COMMAND. Errors are one line on stderr and exit code 1."""

import argparse
import importlib
import io
import sys
from contextlib import ExitStack

from layers.errors import LayerError, vietnamese
from server.accounts import AccountError
from server.console import CommandError, with_data

# Modules of server/commands with a function add(command), in the order of --help.
COMMANDS = (
    *("serve", "ledger", "population", "importing", "raster", "export", "versions", "site", "user", "notices", "audit"),
    *("backup",),
)


def main(argv=None):
    """Run one command; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names here need letters that many machines' own sets lack
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    arguments = _parser().parse_args(argv)
    try:
        with ExitStack() as arguments.opened:
            return arguments.run(arguments) or 0
    except (LayerError, CommandError, AccountError) as e:
        print(f"cangxanh: {_words(e, getattr(arguments, 'language', None))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output went away
        sys.stderr.close()
        return 0


def _words(error, language):
    """What an error says; in Vietnamese where the call asks for that and the error can."""
    if language != "vi":
        return str(error)
    return error.vi if isinstance(error, LayerError) else vietnamese(error.args[0] if error.args else str(error))


class _Parser(argparse.ArgumentParser):
    """Tells a wrong call in one line, like every other error."""

    def error(self, message):
        print(f"cangxanh: {message}. See: {self.prog} --help", file=sys.stderr)
        sys.exit(1)


def _parser():
    parser = _Parser(prog="run.py", description="Cảng Xanh, the environmental map of a port city.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name, run, words, *, data=True):
        sub = commands.add_parser(name, help=words, description=words)
        sub.set_defaults(run=run)
        return with_data(sub) if data else sub

    for name in COMMANDS:
        if importlib.util.find_spec(f"server.commands.{name}"):
            importlib.import_module(f"server.commands.{name}").add(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
