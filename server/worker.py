"""The process that does the jobs, and its keeper in the server.

    python -m server.worker --data DIR

The worker has memory and a Python of its own, so that a page never waits for a computation. It ends when its standard
input does: with the server, however that ends.
"""

import argparse
import importlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from server.people import User
from server.services import open_city

# kind: the function, taken with (services, task), that does it
KINDS = {
    "site": "server.sitework:job",
    "import-check": "server.importwork:check",
    "import-apply": "server.importwork:apply",
    "put-back": "server.putbacks:job",
}
ROOT = Path(__file__).resolve().parent.parent
IDLE_S = 600  # a worker without work is let go after this
log = logging.getLogger("cangxanh")


def performer(services):
    """What Jobs.work() calls for each Task."""

    def perform(task):
        module, _, name = KINDS[task.kind].partition(":")
        try:
            task.who = services.accounts.user(task.who_id)
        except KeyError:
            task.who = User(task.who_id, "console", "console", "administrator")
        return getattr(importlib.import_module(module), name)(services, task)

    return perform


def work_off(services):
    """Do everything that waits, here and now."""
    services.jobs.work(performer(services), once=True)


class Keeper:
    """Starts the worker when there is work, again when it died, and lets it go when it had nothing to do for long."""

    def __init__(self, services):
        self.services, self._lock, self._child, self._busy = services, threading.Lock(), None, 0.0

    def wake(self):
        """See that a worker runs."""
        with self._lock:
            self._busy = time.monotonic()
            if self._child is not None and self._child.poll() is None:
                return
            command = [sys.executable, "-m", "server.worker", "--data", str(self.services.store.data_dir)]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT)

    def look(self):
        """To be called every minute."""
        if self.services.jobs.unfinished():
            self.wake()
        elif time.monotonic() - self._busy > IDLE_S:
            self.close()

    def close(self):
        """Let the worker go; what it was doing begins anew with the next one."""
        with self._lock:
            if self._child is None:
                return
            with suppress(OSError):
                self._child.stdin.close()
            try:
                self._child.wait(10)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
            self._child = None


def main(argv=None):
    """Work until standard input ends."""
    parser = argparse.ArgumentParser(prog="server.worker", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the server's business
    if hasattr(os, "nice"):
        os.nice(5)  # pages first
    services = open_city(arguments.data)
    ending = threading.Event()
    threading.Thread(target=_end_with_parent, args=(services, ending), daemon=True).start()
    threading.Thread(target=_beat, args=(services, ending), daemon=True).start()
    services.jobs.work(performer(services), ended=ending.is_set)
    services.close()


def _end_with_parent(services, ending):
    sys.stdin.buffer.read()
    ending.set()
    with suppress(Exception):
        services.jobs.release()
    os._exit(0)  # a computation may be deep in C; its files are renamed at the end only


def _beat(services, ending):
    while not ending.wait(3):
        try:
            services.jobs.beat()
        except Exception:
            log.exception("no sign of life was written")


if __name__ == "__main__":
    main()
