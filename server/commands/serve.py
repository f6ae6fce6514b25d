"""run.py serve: the web server, and beside it what happens by itself."""

import argparse
import logging
import signal
import sys
import threading
import time

from server.console import CommandError, open_services
from server.worker import Keeper

log = logging.getLogger("cangxanh")


def add(command):
    sub = command("serve", run, "Start the web server.")
    sub.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    sub.add_argument("--port", type=_port, default=8000, help="port (default: 8000; 0 takes a free one)")
    sub.add_argument(
        "--proxy", metavar="ADDRESS", help="address of a reverse proxy in front, whose X-Forwarded headers are believed"
    )
    sub.add_argument("--internet-tiles", metavar="URL", help="template of outside map tiles, off by default")


def _port(text):
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not a port; give a number from 0 to 65535")
    return int(text)


def run(arguments):
    import waitress

    from server.app import create_app
    from server.settings import Settings

    sock = _listen(arguments.host, arguments.port)
    services = open_services(arguments)
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
    keeper = Keeper(services)
    services.jobs.wake = keeper.wake
    arguments.opened.callback(keeper.close)
    threading.Thread(target=services.warm, daemon=True).start()
    threading.Thread(target=_rounds, args=(services, keeper), daemon=True).start()
    told = [f"Cảng Xanh is ready: http://{shown}:{port}/  (Ctrl+C stops it)"]
    first = services.accounts.first_administrator()
    if first:
        told.append(f"First administrator: {first[0]}, one-time password {first[1]} (shown only this once).")
        told.append(f"Sign in at http://{shown}:{port}/sign-in and choose a password of your own.")
    print("\n".join(told), flush=True)
    server.run()


def _rounds(services, keeper):
    """Every minute: what happens by itself. A round that fails is told in the log, and the next one tried."""
    while True:
        for name, turn in (("register", services.rounds), ("worker", keeper.look)):
            try:
                turn()
            except Exception:
                log.exception("a round of the %s failed", name)
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
