"""run.py raster: the versions of the population, elevation and land cover rasters."""

import getpass

from layers import rasters
from server.citytime import told
from server.console import open_services


def add(command):
    sub = command("raster", run, "List the versions of a raster, or put an earlier one back.")
    sub.add_argument("slot", choices=sorted(rasters.SLOTS), metavar="RASTER", help=", ".join(rasters.SLOTS))
    sub.add_argument(
        "--put-back", type=int, metavar="N", help="make version N the newest again; 0: take the raster out"
    )


def run(arguments):
    store, slot = open_services(arguments).store, arguments.slot
    if arguments.put_back is not None:
        number = rasters.put_back(store, slot, arguments.put_back, who=getpass.getuser())
        print(f"Version {arguments.put_back} of the raster {slot} was put back as version {number}.")
        return
    for row in rasters.history(store, slot):
        kept = "empty" if row["empty"] else "kept" if row["kept"] else "no longer kept"
        print(
            f"{row['version']:4}  {told(row['at'])}  {row['who']:16} {row['source']}  {(row['sha256'] or '-')[:12]}  {kept}"
        )
