"""The command line: python run.py COMMAND. Errors are one line on stderr and exit code 1."""

import argparse
import getpass
import json
import signal
import sys
import threading
from contextlib import ExitStack
from datetime import date
from pathlib import Path

from layers.catalogue import ALL
from layers.errors import LayerError
from server import imports
from server.figures import LEVELS
from server.ledgers import ledger_csv, ledger_document, ledger_table

ROOT = Path(__file__).resolve().parent.parent


def main(argv=None):
    """Run one command; the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        with ExitStack() as arguments.opened:
            return arguments.run(arguments) or 0
    except (LayerError, CommandError) as e:
        print(f"cangxanh: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output went away
        sys.stderr.close()
        return 0


class CommandError(Exception):
    """Something the person at the keyboard can mend, told in one line."""


class _Parser(argparse.ArgumentParser):
    """Tells a wrong call in one line, like every other error."""

    def error(self, message):
        print(f"cangxanh: {message}. See: {self.prog} --help", file=sys.stderr)
        sys.exit(1)


def _parser():
    parser = _Parser(prog="run.py", description="Cảng Xanh, the environmental map of a port city.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name, run, words):
        sub = commands.add_parser(name, help=words, description=words)
        sub.set_defaults(run=run)
        sub.add_argument("--data", type=Path, default=ROOT / "var", metavar="DIR", help="data folder (default: var)")
        return sub

    sub = command("serve", _serve, "Start the web server.")
    sub.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    sub.add_argument("--port", type=_port, default=8000, help="port (default: 8000; 0 takes a free one)")
    sub.add_argument("--internet-tiles", metavar="URL", help="template of outside map tiles, off by default")

    sub = command("ledger", _ledger, "Print where the waste water goes, with low, likely and high.")
    sub.add_argument("--by", choices=LEVELS, default="city")
    sub.add_argument("--as-of", type=_day, default=None, metavar="DATE", help="YYYY-MM-DD (default: today)")
    sub.add_argument("--format", choices=("table", "csv", "json"), default="table")
    choice = sub.add_mutually_exclusive_group()
    choice.add_argument("--only-working", action="store_true", help="only working plants count (default)")
    choice.add_argument("--with-building", action="store_true", help="count plants under construction too")

    sub = command("population", _population, "Put your own population raster in place of ours, or make ours anew.")
    sub.add_argument(
        "file", type=Path, nargs="?", help="GeoTIFF of people per cell, in any coordinate reference system"
    )

    sub = command("import", _import, "Bring a file into a layer: shows what it would do; --apply does it.")
    sub.add_argument("layer", choices=sorted(ALL), metavar="LAYER", help="layer or table, as on the data page")
    sub.add_argument(
        "file", type=Path, help="GeoPackage, zipped Shapefile, GeoJSON, KML, KMZ, GPX, DXF, FlatGeobuf, CSV, XLSX"
    )
    sub.add_argument("--apply", action="store_true", help="write it, as one version (run.py versions puts it back)")
    sub.add_argument("--mode", choices=imports.MODES, default="upsert", help="upsert by key (default), replace, append")
    sub.add_argument("--sheet", help="layer or sheet of the file to read")
    sub.add_argument("--crs", metavar="CODE", help="what the coordinates are, e.g. 9210, 9209:swapped, 4326:shifted")
    sub.add_argument("--map", action="append", default=[], metavar="COLUMN=FIELD", help="where a column goes")
    sub.add_argument("--source", help="source of rows that name none")
    sub.add_argument("--confidence", choices=("high", "medium", "low"), help="of rows that name none")
    sub.add_argument("--quality", choices=("surveyed", "digitised", "approximate", "schematic", "none"),
                     help="geometry quality of rows that name none")  # fmt: skip

    sub = command("versions", _versions, "List the versions of the layers, or put an earlier one back.")
    sub.add_argument("layer", nargs="?", choices=sorted(ALL), metavar="LAYER", help="one layer or table (default: all)")
    sub.add_argument("--put-back", type=int, metavar="N", help="make version N of LAYER the newest again")
    return parser


def _day(text):
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a date; write it as YYYY-MM-DD") from None


def _port(text):
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not a port; give a number from 0 to 65535")
    return int(text)


def _open(arguments):
    from server.services import open_city

    services = open_city(arguments.data, say=lambda line: print(line, file=sys.stderr, flush=True))
    arguments.opened.callback(services.close)
    return services


# --- serve ---


def _serve(arguments):
    import waitress

    from server.app import create_app
    from server.settings import Settings

    sock = _listen(arguments.host, arguments.port)
    services = _open(arguments)
    try:
        settings = Settings(
            data_dir=arguments.data,
            host=arguments.host,
            port=arguments.port,
            internet_tiles=arguments.internet_tiles,
        )
    except ValueError as e:
        sock.close()
        raise CommandError(f"--internet-tiles: {e}") from e
    app = create_app(settings, services)
    host, port = sock.getsockname()[:2]
    server = waitress.create_server(
        app, sockets=[sock], threads=8, ident=None, max_request_body_size=16 * settings.max_request_bytes
    )
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    shown = f"[{shown}]" if ":" in shown else shown
    signal.signal(signal.SIGTERM, _stop)  # closes the store, so that its file is whole without -wal
    threading.Thread(target=services.warm, daemon=True).start()
    print(f"Cảng Xanh is ready: http://{shown}:{port}/  (Ctrl+C stops it)", flush=True)
    server.run()


def _stop(*_):
    raise KeyboardInterrupt


def _listen(host, port):
    import errno
    import socket

    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:
        raise CommandError(f"There is no address '{host}' on this machine; try --host 127.0.0.1.") from None
    sock = socket.socket(family, kind, proto)
    if sys.platform != "win32":  # there it would let two servers share one port
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
    except OSError as e:
        sock.close()
        if e.errno in (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", -1)):
            raise CommandError(
                f"Port {port} is taken by another program; stop it or choose another with --port."
            ) from None
        if isinstance(e, PermissionError):
            raise CommandError(
                f"Port {port} may not be opened by this user; choose one above 1024 with --port."
            ) from None
        raise CommandError(f"Cannot listen on {host}:{port} ({e.strerror}).") from None
    sock.listen(128)
    return sock


# --- population ---


def _population(arguments):
    import numpy as np

    from layers import rasters

    services = _open(arguments)
    if arguments.file is None:
        surface = rasters.make_population(services.store, services.population)
        print(
            f"{float(np.nansum(surface.values)):,.0f} people of the wards were spread anew, on built-up land first where it is known."
        )
        return
    people, odd = rasters.take_population(services.store, arguments.file, services.population)
    for sentence in odd:
        print(f"Note: {sentence}")
    print(f"{people:,.0f} people now lie on the grid. A running server shows them after its next start.")


# --- import ---


def _import(arguments):
    store = _open(arguments).store
    columns = dict(_pair(text) for text in arguments.map)
    fill = {"source": arguments.source, "confidence": arguments.confidence, "geometry_quality": arguments.quality}
    prepared = imports.prepare(
        store,
        arguments.layer,
        arguments.file,
        sheet=arguments.sheet,
        reading=imports.reading_of(arguments.crs) if arguments.crs else None,
        columns=columns,
        fill={k: v for k, v in fill.items() if v and k in ALL[arguments.layer].by_name},
        mode=arguments.mode,
    )
    trial = prepared.trial
    for note in prepared.notes:
        print(f"Note: {note}")
    print("Columns: " + (", ".join(f"{c} → {f}" for c, f in prepared.columns.items()) or "none was recognised"))
    if prepared.left_out:
        print("Left out: " + ", ".join(map(str, prepared.left_out)))
    for key in trial.new[:20]:
        print(f"  new      {'/'.join(map(str, key))}")
    for key, changes in list(trial.changed.items())[:20]:
        said = "; ".join(f"{f}: {_short(a)} → {_short(b)}" for f, (a, b) in changes.items())
        print(f"  changed  {'/'.join(map(str, key))}: {said}")
    for problem in trial.refused[:20]:
        print(f"  refused  {problem}")
    gone = trial.missing if arguments.mode == "replace" else []
    rows = len({p.row for p in trial.refused})
    print(
        f"{len(trial.new)} new, {len(trial.changed)} changed, {trial.same} the same, {len(gone)} to be removed, {rows} refused."
    )
    if rows:
        kept = store.data_dir / f"refused-{prepared.name}.csv"
        imports.write_refused(prepared, kept)
        print(f"The refused rows with their reasons are in {kept}.")
    if not arguments.apply:
        print("Nothing was written. Add --apply to write it.")
    elif imports.apply(store, prepared, who=getpass.getuser(), mode=arguments.mode):
        version = store.versions()[arguments.layer]
        print(
            f"Written as version {version} of {arguments.layer}. Undo: run.py versions {arguments.layer} --put-back {version - 1}"
        )
    else:
        print("There was nothing to write.")


def _pair(text):
    column, sign, name = text.partition("=")
    if not sign or not column or not name:
        raise CommandError(f"--map '{text}': write it as COLUMN=FIELD.")
    return column, name


def _short(value):
    text = "–" if value is None else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


# --- versions ---


def _versions(arguments):
    store = _open(arguments).store
    if arguments.put_back is not None:
        if not arguments.layer:
            raise CommandError("Say which layer: run.py versions LAYER --put-back N.")
        store.restore(arguments.layer, arguments.put_back, who=getpass.getuser())
    for v in store.history(arguments.layer):
        note = f"  ({v['note']})" if v["note"] else ""
        print(
            f"{v['at'][:16]}Z  {v['layer']:18} {v['version']:>4}  {v['rows']:>7} rows  {v['who']}: {v['source']}{note}"
        )
    for layer, problems in store.refused().items():
        print(f"An edit of {layer} by another program is not used: {' '.join(problems)}")


# --- ledger ---


def _ledger(arguments):
    services = _open(arguments)
    view = services.figures.coverage(arguments.by, arguments.as_of or services.today(), arguments.with_building)
    sources = services.figures.ledger_sources(view)
    if arguments.format == "json":
        json.dump(ledger_document(view, sources), sys.stdout, ensure_ascii=False, indent=1, allow_nan=False)
        print()
    elif arguments.format == "csv":
        sys.stdout.flush()
        sys.stdout.buffer.write(ledger_csv(view))
    else:
        print(ledger_table(view, sources))


if __name__ == "__main__":
    sys.exit(main())
