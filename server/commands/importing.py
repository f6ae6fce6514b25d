"""run.py import: a file into a layer."""

import getpass
import tempfile
from pathlib import Path

from layers import rasters
from layers.catalogue import ALL
from server import imports
from server.console import CommandError, console, open_services


def add(command):
    sub = command("import", run, "Bring a file into a layer: shows what it would do; --apply does it.")
    sub.add_argument(
        "layer", choices=[*sorted(ALL), *rasters.SLOTS], metavar="LAYER",
        help="layer or table, as on the data page; or a raster: " + ", ".join(rasters.SLOTS),
    )  # fmt: skip
    sub.add_argument(
        "file",
        type=Path,
        help="GeoPackage, zipped Shapefile, GeoJSON, KML, KMZ, GPX, DXF, FlatGeobuf, CSV, XLSX, and Parquet where pyarrow is "
        "installed; a GeoTIFF for a raster",
    )
    sub.add_argument("--apply", action="store_true", help="write it, as one version (run.py versions puts it back)")
    sub.add_argument("--mode", choices=imports.MODES, default="upsert", help="upsert by key (default), replace, append")
    sub.add_argument("--sheet", help="layer or sheet of the file to read")
    sub.add_argument("--crs", metavar="CODE",
                     help="what the coordinates are, e.g. 9210, 9209:swapped, 4326:shifted; parts: each row in its own system")  # fmt: skip
    sub.add_argument("--map", action="append", default=[], metavar="COLUMN=FIELD",
                     help="where a column goes; COLUMN=@x, @y, @pair or @wkt for places, COLUMN= leaves it out")  # fmt: skip
    sub.add_argument("--fill", action="append", default=[], metavar="FIELD=VALUE",
                     help="value of rows that name none; in a code, # becomes the number of the row")  # fmt: skip
    sub.add_argument("--source", help="source of rows that name none")
    sub.add_argument("--confidence", choices=("high", "medium", "low"), help="of rows that name none")
    sub.add_argument("--quality", choices=("surveyed", "digitised", "approximate", "schematic", "none"),
                     help="geometry quality of rows that name none")  # fmt: skip


def run(arguments):
    services = open_services(arguments)
    if arguments.layer in rasters.SLOTS:
        return _raster(services.store, arguments)
    store, register = services.store, ALL[arguments.layer].gated
    columns = dict(_pair("--map", text) for text in arguments.map)
    fill = {"source": arguments.source, "confidence": arguments.confidence, "geometry_quality": arguments.quality}
    given = dict(_pair("--fill", text) for text in arguments.fill)
    if unknown := [k for k in given if k not in ALL[arguments.layer].by_name]:
        raise CommandError(f"--fill: {arguments.layer} has no field '{unknown[0]}'.")
    fill |= given
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
        today=services.today(),
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
    gone = trial.missing_count if arguments.mode == "replace" else 0
    print(
        f"{trial.new_count} new, {trial.changed_count} changed, {trial.same} the same, {gone} to be removed, "
        f"{trial.refused_count} refused."
    )
    if trial.refused_count:
        kept = store.data_dir / f"refused-{prepared.name}.csv"
        imports.write_refused(prepared, kept)
        print(f"The refused rows with their reasons are in {kept}.")
    if not arguments.apply:
        print("Nothing was written. Add --apply to write it.")
    elif register:
        done = services.book.take_rows(
            console(), prepared.checked().rows, source=f"{prepared.name} ({prepared.sha256[:12]})"
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


def _raster(store, arguments):
    """A GeoTIFF tried for its slot, and put there on request."""
    slot = arguments.layer
    with tempfile.TemporaryDirectory(dir=store.data_dir, prefix=".raster-") as folder:
        tried = Path(folder) / "tried.tif"
        facts, notes = rasters.try_slot(store, slot, arguments.file, tried)
        for note in notes:
            print(f"Note: {note}")
        print("; ".join(f"{name} {value}" for name, value in facts.items()))
        if not arguments.apply:
            print("Nothing was written. Add --apply to write it.")
            return
        number = rasters.put(store, slot, tried, who=getpass.getuser(), source=arguments.file.name, facts=facts)
    undo = f" Undo: run.py raster {slot} --put-back {number - 1}" if number > 1 else ""
    print(f"Written as version {number} of the raster {slot}.{undo}")


def _pair(option, text):
    before, sign, behind = text.partition("=")
    if not sign or not before:
        raise CommandError(f"{option} '{text}': write it as {'COLUMN=FIELD' if option == '--map' else 'FIELD=VALUE'}.")
    return before, behind


def _short(value):
    text = "–" if value is None else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
