"""A file on its way into a layer: read, its coordinates understood, its columns matched, tried, applied.

    with prepare(...) as prepared:      everything but the writing; the rows lie in a scratch file
        apply(store, prepared, ...)     one transaction, one version

Nothing is written before apply(). Every step says what it did in `notes`, and what it needs in an
ImportRefused, so that the command line and pages can show the same. Only some rows are in memory at once.
"""

import csv
import shutil
import tempfile
import time
import weakref
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import shapely

from geo import crs, encoding
from layers import checks, ingest
from layers.catalogue import ALL
from layers.rows import frame_of
from layers.staging import Staging
from layers.trials import CHANGED, NEW, Held, Trial, compare
from server.arrivals import Arrival, Stopped, steps
from server.i18n import N_
from server.readings import ImportRefused, option, reading_of

__all__ = ["ImportRefused", "Prepared", "Stopped", "apply", "doctor", "option", "prepare", "reading_of", "samples"]

MODES = ("upsert", "replace", "append")


@dataclass(frozen=True)
class Prepared:
    """A file ready to be applied. trial: what it would do (layers.trials.Trial).

    columns: {column: field}; left_out: columns of no field; diagnosis: of the coordinates
    (geo.crs.Diagnosis) or None; notes: what was done and what is odd; warnings: odd rows, at most SHOWN of
    each kind, as layers.checks.Problem, which do not keep a row out; sha256: of the file; name: of the file;
    rows: in the file; version: of the layer it was compared with. The rows lie in `staging`, which goes
    with this object, or at close().
    """

    layer: object
    trial: Trial
    columns: dict
    left_out: list
    diagnosis: object
    notes: list
    warnings: list
    sha256: str
    name: str
    rows: int
    version: int
    staging: Staging
    placement: object = None
    end: object = None  # lets go of the scratch file

    def checked(self):
        """All taken rows as one CheckedLayer; for layers known to be small."""
        parts = [p.rows for _, _, p in self.staging.pieces()]
        rows = pd.concat(parts, ignore_index=True) if parts else frame_of(self.layer, [])
        return checks.CheckedLayer(self.layer, rows)

    def close(self):
        self.end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def prepare(
    store, layer_name, path, *, sheet=None, reading=None, columns=None, fill=None, mode="upsert", held=None,
    progress=None, stop=None, name=None, folder=None, today=None,
):  # fmt: skip
    """Everything but the writing, as Prepared.

    reading: a geo.crs.Reading somebody chose, or placing.PARTS to take each row in the system that fits it;
    without it the coordinate doctor decides, and asks where it is not sure. columns: {column: field} beside the
    guessed ones; a column may also go to "@x", "@y", "@pair" or "@wkt", or to "" to be left out. fill: values
    for blank required fields; "#" in the value of a key becomes the number of the row. In an upsert, fields
    that the file does not have keep what the store holds. held: the rows to compare with where they are not the
    public ones, as of the register. progress(share, words): called now and then, share 0..1, words a msgid.
    stop(): whether somebody wants it to end, which raises Stopped. name: of the file as people know it.
    today: the day on which rows are recorded, by which new ones get their boundary version where the file does not
    say it; without it they get none. folder: where the scratch file goes; else in a folder of its own, which goes with the Prepared.
    """
    layer, path = ALL[layer_name], Path(path)
    step = steps(progress, stop)
    step(0.0, N_("The file is read"))
    if layer.gated and (mode != "upsert" or layer_name != "hotspots"):
        raise ImportRefused.of(
            "{layer} belongs to the register: rows are added or changed by key, never replaced.",
            "{label} thuộc sổ theo dõi: chỉ thêm hoặc sửa từng dòng theo mã, không thay thế.",
            layer=layer_name,
            label=layer.vi,
        )
    if path.exists() and path.samefile(store.path):
        raise ImportRefused.of(
            "This is the store's own live file; GDAL must not open it here. Import a copy of it.",
            "Đây chính là tệp đang dùng của kho dữ liệu; không được mở nó ở đây. Hãy nhập một bản sao.",
        )
    version = store.versions().get(layer_name, 0)
    held = Held(layer, store.snapshot(layer_name) if held is None else held)
    with _scratch(layer, folder) as (staging, end):
        arrival = Arrival(store, layer, staging, dict(columns or {}), name or path.name, step, today=today)
        arrival.read(path, sheet)
        arrival.place(reading)
        arrival.check(held, fill or {}, mode)
        trial = compare(staging, held, step=lambda share: step(0.8 + 0.2 * share, N_("Rows are compared")))
        made = Prepared(
            layer, trial, arrival.match, arrival.left_out(), arrival.diagnosis, arrival.notes, arrival.warnings,
            arrival.sha256, arrival.name, arrival.rows, version, staging, arrival.placement,
        )  # fmt: skip
        object.__setattr__(made, "end", weakref.finalize(made, end))
    return made


def sweep(older_than_s=86_400):
    """Remove scratch folders that processes left behind when they died."""
    for pattern in ("cangxanh-rows-*", "cangxanh-file-*"):
        for old in Path(tempfile.gettempdir()).glob(pattern):
            with suppress(OSError):
                if time.time() - old.stat().st_mtime > older_than_s:
                    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _scratch(layer, folder):
    """(a Staging, what lets go of it); it is let go of at once where the block fails."""
    sweep()
    own = None if folder is not None else tempfile.mkdtemp(prefix="cangxanh-rows-")
    staging = Staging(folder or own, layer)

    def end():
        staging.close()
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)

    try:
        yield staging, end
    except BaseException:
        end()
        raise


@dataclass(frozen=True)
class Sample:
    """A column of a file: its name, its first different values as text, how many of the first rows have one, and
    the guessed field (None where none fits). role: "@x", "@y", "@pair" or "@wkt" for columns that say where a row
    lies, else "". encoding: of an old font in which its texts were written, None for others; the values are readable."""

    name: str
    values: tuple
    filled: int
    field: str | None
    role: str
    encoding: str | None = None


def samples(path, sheet=None, *, layer_name=None, most=5, name=None):
    """(tuple of Sample, names of all layers or sheets of the file), for the step that matches columns.

    Looks at the first rows only.
    """
    with ingest.opened(path, sheet=sheet, shown=name) as source:
        first = next(source.chunks())
    frame = first.frame
    found = ingest.Roles() if source.has_shapes else ingest.roles(frame.columns)
    places = {found.x: "@x", found.y: "@y", found.pair: "@pair", found.wkt: "@wkt"}
    guessed = ingest.mapping(ALL[layer_name], [c for c in frame.columns if c not in found.names]) if layer_name else {}
    out = []
    for c in frame.columns:
        given = frame[c].dropna()
        values = tuple(dict.fromkeys(ingest.cell(v)[:80] for v in given[:1_000]))[:most]
        old = encoding.survey([v for v in given if isinstance(v, str) and not v.isascii()])
        values = values if old is None else tuple(encoding.mend(values, old))
        out.append(Sample(str(c), values, len(given), guessed.get(c), places.get(c, ""), old and old.encoding))
    return tuple(out), source.sheets


@dataclass(frozen=True)
class Option:
    """One way to read the coordinates of a file. text: as prepare's `reading` and --crs take it (reading_of);
    reading: geo.crs.Reading, None for "parts"; points: (row from 0, lon, lat) of some rows, the same in every Option."""

    text: str
    reading: object
    points: tuple


@dataclass(frozen=True)
class Seen:
    """What the coordinate doctor sees in a file. diagnosis: geo.crs.Diagnosis, None where it has no coordinates.

    options: the best reading and its rivals, best first (at most four; of a file in several systems first
    "parts", each row in its own). apart_m: between the best two. notes: how the file was read. named: {row: the
    ward that its texts name} of the rows in the options.
    """

    diagnosis: object
    options: tuple
    apart_m: float
    notes: tuple = ()
    named: dict = field(default_factory=dict)


def doctor(store, path, *, sheet=None, columns=None, layer_name=None, progress=None, stop=None, most=60, name=None):
    """What the coordinates of a file are, as Seen; nothing is written. LayerError where it cannot be read."""
    layer, step = ALL[layer_name or "hotspots"], steps(progress, stop)
    step(0.0, N_("The file is read"))
    with _scratch(layer, None) as (staging, end):
        arrival = Arrival(store, layer, staging, dict(columns or {}), name or Path(path).name, step)
        arrival.read(path, sheet)
        there = arrival.examine()
        end()
    if not there:
        return Seen(None, (), float("nan"), tuple(arrival.notes))
    diagnosis, x, y = arrival.diagnosis, arrival.x, arrival.y
    rows = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int))] if len(rows) else rows
    found = [r for part in diagnosis.parts for r in part.tied]
    found += [part.second for part in diagnosis.parts if part.second is not None]
    found = list(dict.fromkeys((r.epsg, r.swapped, r.shifted) for r in found))
    readings = [crs.reading(epsg, swapped=swapped, shifted=shifted) for epsg, swapped, shifted in found]
    options = [Option(option(r), r, _points(rows, *crs.to_wgs84(x[rows], y[rows], r))) for r in readings]
    if diagnosis.verdict == "mixed":
        lon, lat = (values[rows] for values in arrival.settled("parts").points(x, y))
        options.insert(0, Option("parts", None, _points(rows, lon, lat)))
    return Seen(diagnosis, tuple(options[:4]), diagnosis.apart_m, tuple(arrival.notes), arrival.wards_named(rows))


def _points(rows, lon, lat):
    return tuple((int(i), float(a), float(b)) for i, a, b in zip(rows, lon, lat, strict=True) if np.isfinite(a))


def apply(store, prepared, *, who, mode="upsert", progress=None, stop=None, expected=None, then=None):
    """Write a prepared file as one version. An empty trial writes nothing; returns whether anything was written.

    expected: the version of the layer that people saw in the trial (prepared.version); where the layer has
    changed since, a LayerError with code "changed", and nothing is written. then(con): called in the transaction
    of the version. Layers behind the publication gate
    go to the register instead: see CaseRows.take_rows.
    """
    trial, staging = prepared.trial, prepared.staging
    if not trial.new_count and not trial.changed_count and not (mode == "replace" and trial.missing_count):
        return False
    step = steps(progress, stop)
    note = (
        f"{trial.new_count} new, {trial.changed_count} changed, {trial.refused_count} refused, "
        f"sha256 {prepared.sha256[:12]}"
    )
    fates = (NEW, CHANGED) if mode == "upsert" else None
    total, done = max(staging.count(), 1), 0

    def parts():
        nonlocal done
        for numbers, _, checked in staging.pieces(fates):
            yield checked
            done += len(numbers)
            step(0.5 * done / total, N_("Rows are written"))

    rows = max(prepared.trial.new_count + prepared.trial.same + prepared.trial.changed_count, 1)
    store.write_parts(
        prepared.layer, parts(), source=prepared.name, who=who, note=note, mode=mode, expected=expected,
        step=lambda count: step(0.5 + 0.5 * min(1.0, count / rows), N_("The version is kept")), then=then,
    )  # fmt: skip
    return True


def write_refused(prepared, path):
    """The refused rows as a CSV with their reasons, to mend and import again; the number of rows.

    Columns: those of the file, the geometry as WKT (in EPSG:4326 where its system is known) where the file holds
    shapes, then row, column, value and reason.
    """
    if not prepared.trial.refused_count:
        return 0
    fields, staging = {f: c for c, f in prepared.columns.items()}, prepared.staging
    names = list(staging.columns)
    shaped = staging.has_shapes() and ingest.roles(names).wkt is None
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, *(["wkt"] if shaped else []), "row", "column", "value", "reason"])
        for row, told, cells, shape in staging.refused():
            columns = dict.fromkeys(fields.get(p.field, p.field) or "" for p in told)
            values = dict.fromkeys(p.value for p in told if p.value is not None)
            line = [ingest.cell(cells[n]) for n in names]
            line += [_wkt(prepared.placement, shape, row)] if shaped else []
            line += [str(row + 1), " | ".join(columns), " | ".join(values), " ".join(told)]
            writer.writerow([_harmless(c) for c in line])
    return prepared.trial.refused_count


def _wkt(placement, shape, row):
    if shape is None or shape.is_empty:
        return ""
    if placement is not None:
        shape = placement.shapes(np.array([shape], dtype=object), row)[0]
    return "" if shape is None else shapely.to_wkt(shape, rounding_precision=9)


def _harmless(text):
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(text) else text


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
