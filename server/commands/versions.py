"""run.py versions: what was when, and back again."""

import getpass

from layers.catalogue import ALL
from server.citytime import told
from server.console import CommandError, open_services


def add(command):
    sub = command("versions", run, "List the versions of the layers, or put an earlier one back.")
    sub.add_argument("layer", nargs="?", choices=sorted(ALL), metavar="LAYER", help="one layer or table (default: all)")
    sub.add_argument("--verify", action="store_true", help="hold the kept rows of every version against its hash")
    sub.add_argument("--put-back", type=int, metavar="N", help="make version N of LAYER the newest again")


def run(arguments):
    store = open_services(arguments).store
    if arguments.put_back is not None:
        if not arguments.layer:
            raise CommandError("Say which layer: run.py versions LAYER --put-back N.")
        store.restore(arguments.layer, arguments.put_back, who=getpass.getuser())
    if arguments.verify:
        faults = store.faults(arguments.layer)
        if faults:
            raise CommandError(" ".join(faults))
        print("The kept rows of every version are those that were written.")
        return
    for v in store.history(arguments.layer):
        note = f"  ({v['note']})" if v["note"] else ""
        print(
            f"{told(v['at'])}  {v['layer']:18} {v['version']:>4}  {v['rows']:>7} rows  {v['who']}: {v['source']}{note}"
        )
    for layer, problems in store.refused().items():
        print(f"An edit of {layer} by another program is not used: {' '.join(problems)}")
