"""run.py backup and run.py restore: everything in one file, and out of it again."""

import sys
from datetime import datetime
from pathlib import Path

from server import backups
from server.citytime import CITY_TIME, told


def add(command):
    sub = command("backup", run, "Put everything into one file, also while the server runs; --check looks at one.")
    sub.add_argument(
        "file", type=Path, nargs="?", help="the file to make (default: cangxanh-DATE.zip in the data folder's backups)"
    )
    sub.add_argument("--check", action="store_true", help="make nothing: see whether FILE is whole")
    sub = command("restore", put_back, "Make the data folder from a backup. Nothing is deleted.")
    sub.add_argument("file", type=Path, help="a file that run.py backup made")
    sub.add_argument("--replace", action="store_true", help="move a data folder that is there aside first")


def run(arguments):
    path = arguments.file or arguments.data / "backups" / f"cangxanh-{datetime.now(CITY_TIME):%Y%m%d-%H%M%S}.zip"
    if arguments.check:
        manifest = backups.check(path)
        print(f"{path} is whole: {_size(manifest)}, made {told(manifest['made'])}.")
        return
    shown = [0]

    def progress(share):
        if sys.stderr.isatty() and int(share * 100) > shown[0]:
            shown[0] = int(share * 100)
            print(f"\r{shown[0]} %", end="" if shown[0] < 100 else "\n", file=sys.stderr, flush=True)

    manifest = backups.make(arguments.data, path, progress=progress)
    print(f"{path}: {_size(manifest)}. It holds password hashes and contact data: keep it safe, on another machine.")


def put_back(arguments):
    manifest, aside = backups.restore(arguments.file, arguments.data, replace=arguments.replace)
    print(f"{arguments.data} is as it was at {told(manifest['made'])}: {_size(manifest)}.")
    if aside:
        print(f"What was there before lies in {aside}.")


def _size(manifest):
    held = manifest["members"].values()
    return f"{len(held)} files, {sum(m['bytes'] for m in held) / 1e6:,.1f} MB"
