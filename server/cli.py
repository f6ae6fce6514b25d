"""The command line: python run.py COMMAND. Errors are one line on stderr and exit code 1."""

import argparse
import getpass
import json
import logging
import signal
import sys
import threading
import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path

from layers import audit
from layers.catalogue import ALL
from layers.errors import LayerError
from server import imports
from server.accounts import AccountError, Accounts, User
from server.figures import LEVELS
from server.ledgers import ledger_csv, ledger_document, ledger_table
from server.people import MEDIA, ROLES
from server.vault import FILE_NAME as ACCOUNTS_FILE

ROOT = Path(__file__).resolve().parent.parent
log = logging.getLogger("cangxanh")


def main(argv=None):
    """Run one command; the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        with ExitStack() as arguments.opened:
            return arguments.run(arguments) or 0
    except (LayerError, CommandError, AccountError) as e:
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
    sub.add_argument(
        "--proxy", metavar="ADDRESS", help="address of a reverse proxy in front, whose X-Forwarded headers are believed"
    )
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

    _user_parser(commands)

    sub = command(
        "notices", _notices, "Tell how many readers and letters there are; --send writes and sends what is due."
    )
    sub.add_argument("--send", action="store_true", help="as the running server does every minute by itself")

    sub = command("audit", _audit, "Check that no row of the audit was changed, removed or moved; or write it out.")
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
    return parser


def _user_parser(commands):
    words = "The accounts of the people: user add|list|edit|role|reset|disable|enable."
    actions = commands.add_parser("user", help=words, description=words).add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )

    def action(name, run, words, login=True):
        sub = actions.add_parser(name, help=words, description=words)
        sub.set_defaults(run=run)
        sub.add_argument("--data", type=Path, default=ROOT / "var", metavar="DIR", help="data folder (default: var)")
        if login:
            sub.add_argument("login", help="the name to sign in with")
        return sub

    def scope(sub):
        sub.add_argument("--ward", action="append", metavar="CODE", help="a ward of the person (default: whole city)")
        sub.add_argument("--medium", action="append", choices=MEDIA, help="a medium of the person (default: all)")

    action("list", _user_list, "List everybody, with role, scope and state.", login=False)
    sub = action("add", _user_add, "Add a person and print a one-time password.")
    sub.add_argument("--name", required=True, help="the name as others see it")
    sub.add_argument("--role", required=True, choices=ROLES)
    scope(sub)
    sub = action("edit", _user_edit, "Change the name or the scope; a scope that is given replaces the old one.")
    sub.add_argument("--name", help="the name as others see it")
    scope(sub)
    sub.add_argument("--whole-city", action="store_true", help="no longer tied to wards")
    sub.add_argument("--all-media", action="store_true", help="no longer tied to media")
    sub = action("role", _user_role, "Give a person another role, which signs them out.")
    sub.add_argument("role", choices=ROLES)
    sub = action("reset", _user_reset, "Print a one-time password; also ends the waiting after wrong tries.")
    sub.add_argument("--drop-codes", action="store_true", help="switch one-time codes off (the phone is lost)")
    action("disable", _user_disable, "A person can no longer sign in and is signed out.")
    action("enable", _user_enable, "A disabled person can sign in again.")


def _head(text):
    try:
        return audit.head_of(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from None


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
    behind = {"trusted_proxy": arguments.proxy, "trusted_proxy_count": 1, "clear_untrusted_proxy_headers": True,
              "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}}  # fmt: skip
    server = waitress.create_server(
        app, sockets=[sock], threads=8, ident=None, max_request_body_size=16 * settings.max_request_bytes,
        **(behind if arguments.proxy else {}),
    )  # fmt: skip
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    shown = f"[{shown}]" if ":" in shown else shown
    signal.signal(signal.SIGTERM, _stop)  # closes the store, so that its file is whole without -wal
    threading.Thread(target=services.warm, daemon=True).start()
    threading.Thread(target=_rounds, args=(services,), daemon=True).start()
    told = [f"Cảng Xanh is ready: http://{shown}:{port}/  (Ctrl+C stops it)"]
    first = services.accounts.first_administrator()
    if first:
        told.append(f"First administrator: {first[0]}, one-time password {first[1]} (shown only this once).")
        told.append(f"Sign in at http://{shown}:{port}/sign-in and choose a password of your own.")
    print("\n".join(told), flush=True)
    server.run()


def _rounds(services):
    """Every minute: what happens by itself. A round that fails is told in the log, and the next one tried."""
    while True:
        try:
            services.rounds()
        except Exception:
            log.exception("a round of the register failed")
        time.sleep(60)


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


# --- user ---


def _people(arguments, *, wards=None):
    """The accounts, and the codes that a scope may name where wards are given."""
    if wards:
        from server.accountpages import ward_codes

        services = _open(arguments)
        return services.accounts, ward_codes(services.store)
    if arguments.action != "add" and not (arguments.data / ACCOUNTS_FILE).is_file():
        raise CommandError(f"There are no accounts in {arguments.data} yet; --data DIR names another folder.")
    accounts = Accounts(arguments.data)
    arguments.opened.callback(accounts.close)
    return accounts, None


def _person(accounts, login):
    try:
        return accounts.named(login)
    except KeyError:
        raise CommandError(f"Nobody signs in as '{login}'. See: run.py user list") from None


def _by():
    return f"console ({getpass.getuser()})"


def _user_list(arguments):
    accounts, _ = _people(arguments)
    for p in accounts.users():
        state = "disabled" if not p.active else "one-time password" if p.must_change else "active"
        wards, media = ", ".join(p.wards) or "whole city", ", ".join(p.media) or "all media"
        codes = "codes on" if p.totp else "codes off"
        print(f"{p.login:20} {p.role:16} {state:18} {codes:10} {p.name}  ({wards}; {media})")


def _user_add(arguments):
    accounts, known = _people(arguments, wards=arguments.ward)
    scope = {"wards": arguments.ward or (), "media": arguments.medium or ()}
    person = accounts.add(_by(), arguments.login, name=arguments.name, role=arguments.role, known_wards=known, **scope)
    print(f"{person.login} was added as {person.role}.")
    _tell_password(accounts.reset(_by(), person.id))


def _user_edit(arguments):
    accounts, known = _people(arguments, wards=arguments.ward)
    person = _person(accounts, arguments.login)
    wards = () if arguments.whole_city else arguments.ward or person.wards
    media = () if arguments.all_media else arguments.medium or person.media
    name = arguments.name or person.name
    accounts.edit(_by(), person.id, name=name, role=person.role, wards=wards, media=media, known_wards=known)
    print(f"{person.login} was changed.")


def _user_role(arguments):
    accounts, _ = _people(arguments)
    person = _person(accounts, arguments.login)
    accounts.edit(_by(), person.id, name=person.name, role=arguments.role, wards=person.wards, media=person.media)
    print(f"{person.login} is now {arguments.role}; every session was ended.")


def _user_reset(arguments):
    accounts, _ = _people(arguments)
    person = _person(accounts, arguments.login)
    _tell_password(accounts.reset(_by(), person.id, drop_codes=arguments.drop_codes))


def _tell_password(password):
    print(f"One-time password, shown only this once: {password}")
    print("At the first sign-in a password of their own is asked for.")


def _user_disable(arguments):
    accounts, _ = _people(arguments)
    accounts.set_active(_by(), _person(accounts, arguments.login).id, False)
    print(f"{arguments.login} can no longer sign in; every session was ended.")


def _user_enable(arguments):
    accounts, _ = _people(arguments)
    accounts.set_active(_by(), _person(accounts, arguments.login).id, True)
    print(f"{arguments.login} can sign in again.")


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
    services = _open(arguments)
    store, register = services.store, ALL[arguments.layer].gated
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
        held=services.book.rows() if register else None,
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
    elif register:
        done = services.book.take_rows(
            console(), trial.checked.rows, source=f"{prepared.name} ({prepared.sha256[:12]})"
        )
        print(
            f"In the register: {len(done['new'])} new cases, {len(done['changed'])} changed. Stages do not change by import; "
            "nothing is public before a second person approves it on the desk."
        )
    elif imports.apply(store, prepared, who=getpass.getuser(), mode=arguments.mode):
        version = store.versions()[arguments.layer]
        print(
            f"Written as version {version} of {arguments.layer}. Undo: run.py versions {arguments.layer} --put-back {version - 1}"
        )
    else:
        print("There was nothing to write.")


def console():
    """Who works at the keyboard of this machine, for the register and its audit."""
    return User(0, "console", getpass.getuser(), "administrator")


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


# --- notices ---


def _notices(arguments):
    services = _open(arguments)
    if arguments.send:
        services.rounds()
    for name, count in services.notices.counts().items():
        print(f"{name:10} {count}")


# --- audit ---


def _audit(arguments):
    services = _open(arguments)
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
