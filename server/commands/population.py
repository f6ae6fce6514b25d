"""run.py population: whose people live where."""

from pathlib import Path

from server.console import open_services


def add(command):
    sub = command("population", run, "Put your own population raster in place of ours, or make ours anew.")
    sub.add_argument(
        "file", type=Path, nargs="?", help="GeoTIFF of people per cell, in any coordinate reference system"
    )


def run(arguments):
    import numpy as np

    from layers import rasters

    services = open_services(arguments)
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
