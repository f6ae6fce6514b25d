"""A file on its way into a layer: read, its coordinates understood, its columns matched, tried, applied.

Nothing is written before apply(). Every step says what it did in `notes`, and what it needs in an
ImportRefused, so that the command line and pages can show the same.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import coordinates, crs, encoding
from layers import ingest
from layers.catalogue import ALL
from layers.errors import LayerError
from layers.letters import fold
from server.i18n import N_

WARD_KINDS = ("ward", "commune", "special_zone")
MODES = ("upsert", "replace", "append")


class ImportRefused(LayerError):
    """A file that cannot go on without a decision; the sentence says which."""

    code = "import"


@dataclass(frozen=True)
class Prepared:
    """A file ready to be applied. columns: {column: field}; left_out: columns of no field; diagnosis: of the
    coordinates (geo.crs.Diagnosis) or None; notes: what was done on the way; sha256: of the file."""

    layer: object
    trial: ingest.Trial
    columns: dict
    left_out: list
    diagnosis: object
    notes: list
    sha256: str
    name: str
    frame: pd.DataFrame
    version: int  # of the layer it was compared with


class Stopped(Exception):
    """stop() said so; nothing was written."""


def prepare(
    store, layer_name, path, *, sheet=None, reading=None, columns=None, fill=None, mode="upsert", held=None,
    progress=None, stop=None,
):  # fmt: skip
    """Everything but the writing, as Prepared.

    progress(share, words): called now and then, share 0..1, words a msgid. stop(): whether somebody wants
    it to end, which raises Stopped.

    reading: a geo.crs.Reading somebody chose; without it the coordinate doctor decides, and asks where it
    is not sure. columns: {column: field} beside the guessed ones. fill: values for blank required fields.
    In an upsert, fields that the file does not have keep what the store holds. held: the rows to compare
    with where they are not the public ones, as of the register.
    """
    layer, path = ALL[layer_name], Path(path)
    step = _steps(progress, stop)
    step(0.0, N_("The file is read"))
    if layer.gated and (mode != "upsert" or layer_name != "hotspots"):
        raise ImportRefused(f"{layer_name} belongs to the register: rows are added or changed by key, never replaced.")
    version = store.versions().get(layer_name, 0)
    held = store.snapshot(layer_name) if held is None else held
    if path.exists() and path.samefile(store.path):
        raise ImportRefused("This is the store's own live file; GDAL must not open it here. Import a copy of it.")
    received = ingest.read(path, sheet=sheet)
    step(0.4, N_("Rows are compared"))
    frame, notes = received.frame.reset_index(drop=True), list(received.notes)
    named = [c for c in frame.columns if c not in ("geometry", received.x, received.y)]
    frame = _readable(frame, named, notes)
    chosen = columns or {}
    for c, f in chosen.items():
        if c not in frame.columns:
            raise ImportRefused(f"{path.name} has no column '{c}'. It has: {', '.join(map(str, named))}.")
        if f not in layer.by_name:
            raise ImportRefused(f"{layer.name} has no field '{f}'. It has: {', '.join(layer.by_name)}.")
    guessed = ingest.mapping(layer, [c for c in named if c not in chosen])
    match = {c: f for c, f in guessed.items() if f not in chosen.values()} | chosen
    diagnosis = None
    if layer.geometry:
        frame, diagnosis = _placed(store, received, frame, named, reading, notes)
    made = ingest.rename(frame, layer, match)
    if mode == "upsert":
        made = _kept(held, layer, made)
    made = ingest.fill_blanks(made, fill or {})
    trial = ingest.dry_run(held, layer, made)
    notes += trial.checked.repairs
    left_out = [c for c in named if c not in match]
    return Prepared(layer, trial, match, left_out, diagnosis, notes, received.sha256, path.name, frame, version)


def _steps(progress, stop):
    def step(share, words):
        if stop is not None and stop():
            raise Stopped
        if progress is not None:
            progress(share, words)

    return step


@dataclass(frozen=True)
class Sample:
    """A column of a file: its name, its first different values as text, how many rows have one, and the guessed field
    (None where none fits). role: "x" or "y" for coordinate columns, "wkt" for outlines as text, else ""."""

    name: str
    values: tuple
    filled: int
    field: str | None
    role: str


def samples(path, sheet=None, *, layer_name=None, most=5):
    """(tuple of Sample, names of all layers or sheets of the file), for the step that matches columns."""
    received = ingest.read(path, sheet=sheet)
    frame = received.frame
    named = [c for c in frame.columns if c not in ("geometry", received.x, received.y)]
    guessed = ingest.mapping(ALL[layer_name], named) if layer_name else {}
    out = []
    for c in frame.columns:
        if c == "geometry":
            continue
        given = frame[c].dropna()
        first = tuple(str(v)[:80] for v in given.drop_duplicates().iloc[:most])
        role = "x" if c == received.x else "y" if c == received.y else ""
        out.append(Sample(str(c), first, len(given), guessed.get(c), role))
    return tuple(out), ()


@dataclass(frozen=True)
class Option:
    """One way to read the coordinates of a file. text: as prepare's `reading` and --crs take it (reading_of);
    points: (row from 0, lon, lat) of some rows, the same rows in every Option."""

    text: str
    reading: crs.Reading
    points: tuple


@dataclass(frozen=True)
class Seen:
    """What the coordinate doctor sees in a file. diagnosis: None where the file has no coordinates.

    options: the best reading and its rivals, best first (at most four). apart_m: between the first two.
    """

    diagnosis: crs.Diagnosis | None
    options: tuple
    apart_m: float


def doctor(store, path, *, sheet=None, progress=None, stop=None, most=60):
    """What the coordinates of a file are, as Seen; nothing is written. LayerError where it cannot be read."""
    step = _steps(progress, stop)
    step(0.0, N_("The file is read"))
    received = ingest.read(path, sheet=sheet)
    frame, notes = received.frame.reset_index(drop=True), []
    named = [c for c in frame.columns if c not in ("geometry", received.x, received.y)]
    frame = _readable(frame, named, notes)
    step(0.5, N_("The coordinates are examined"))
    x, y = _numbers_of(received, frame)
    if x is None or not np.isfinite(x).any():
        return Seen(None, (), float("nan"))
    diagnosis = crs.diagnose(x, y, _area(store), places=_places(store, frame, named), declared=received.crs)
    found = [r for part in diagnosis.parts for r in (part.tied or (part.first,))]
    found += [part.second for part in diagnosis.parts if part.second is not None]
    found = list(dict.fromkeys((r.epsg, r.swapped, r.shifted) for r in found))[:4]
    rows = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int))]
    options = []
    for epsg, swapped, shifted in found:
        reading = crs.reading(epsg, swapped=swapped, shifted=shifted)
        lon, lat = crs.to_wgs84(x[rows], y[rows], reading)
        points = tuple((int(i), float(a), float(b)) for i, a, b in zip(rows, lon, lat, strict=True) if np.isfinite(a))
        options.append(Option(option(reading), reading, points))
    return Seen(diagnosis, tuple(options), diagnosis.apart_m)


def _numbers_of(received, frame):
    if isinstance(frame, gpd.GeoDataFrame):
        return crs.points_of(frame.geometry.to_numpy())
    if received.x is None:
        return None, None
    return coordinates.parse_coordinates(frame[received.x])[0], coordinates.parse_coordinates(frame[received.y])[0]


def _area(store):
    land = store.snapshot("land")
    return shapely.union_all(land[land["code"] != "L-OUT"].geometry.to_numpy()).buffer(0.1)


def apply(store, prepared, *, who, mode="upsert", progress=None, stop=None, expected=None):
    """Write a prepared file as one version. An empty trial writes nothing; returns whether anything was written.

    expected: the version of the layer that people saw in the trial (prepared.version); where the layer has
    changed since, ImportRefused with code "changed" and nothing is written.

    Layers behind the publication gate go to the register instead: see Cases.take_rows.
    """
    trial = prepared.trial
    if expected is not None and store.versions().get(prepared.layer.name, 0) != expected:
        error = ImportRefused("The layer was changed while the file was looked at. Check the file again.")
        error.code = "changed"
        raise error
    if not trial.new and not trial.changed and not (mode == "replace" and trial.missing):
        return False
    note = f"{len(trial.new)} new, {len(trial.changed)} changed, {len(trial.refused)} problems, sha256 {prepared.sha256[:12]}"
    store.write(trial.checked, source=prepared.name, who=who, note=note, mode=mode)
    return True


def write_refused(prepared, path):
    """The refused rows as a CSV with their reasons, to mend and import again; the number of rows."""
    reasons = {}
    for p in prepared.trial.refused:
        reasons.setdefault(p.row, []).append(str(p))
    if not reasons:
        return 0
    rows = pd.DataFrame(prepared.frame.drop(columns="geometry", errors="ignore"))
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*rows.columns, "row", "reason"])
        for i, why in sorted(reasons.items()):
            writer.writerow([*("" if pd.isna(v) else v for v in rows.iloc[i]), i + 1, " ".join(why)])
    return len(reasons)


def _readable(frame, named, notes):
    """The frame with Vietnamese text of old fonts (TCVN3, VNI, Windows-1258) brought to Unicode."""
    frame = frame.copy()
    for column in named:
        mended, old = encoding.repair_column(frame[column])
        if old:
            frame[column] = mended
            notes.append(f"The text of '{column}' was in {old} and was brought to Unicode. Check a few names.")
    return frame


def _placed(store, received, frame, named, reading, notes):
    """The frame with geometry in EPSG:4326, and the diagnosis of its coordinates."""
    if isinstance(frame, gpd.GeoDataFrame):
        shapes = frame.geometry.to_numpy()
        x, y = crs.points_of(shapes)
        declared = received.crs
    elif received.x is not None:
        x, odd = coordinates.parse_coordinates(frame[received.x])
        y, more = coordinates.parse_coordinates(frame[received.y])
        unread = sorted({p.row for p in (*odd, *more) if p.code != "blank"})
        if unread:
            notes.append(
                f"Coordinates of {len(unread)} rows cannot be read (first: row {unread[0] + 1}); they get no position."
            )
        shapes, declared = None, None
        frame = frame.drop(columns=[received.x, received.y])
    else:
        return gpd.GeoDataFrame(frame, geometry=[None] * len(frame), crs="EPSG:4326"), None
    if not np.isfinite(x).any():
        return gpd.GeoDataFrame(frame, geometry=[None] * len(frame), crs="EPSG:4326"), None
    diagnosis = crs.diagnose(x, y, _area(store), places=_places(store, frame, named), declared=declared)
    notes.append(diagnosis.reason_en)
    if reading is None:
        if diagnosis.verdict != "sure":
            raise ImportRefused(f"{diagnosis.reason_en} Say which one it is with {_choices(diagnosis)}.")
        reading = diagnosis.first
    if shapes is None:
        lon, lat = crs.to_wgs84(x, y, reading)
        shapes = [
            shapely.Point(a, b) if np.isfinite(a) and np.isfinite(b) else None for a, b in zip(lon, lat, strict=True)
        ]
    else:
        shapes = shapely.transform(
            shapely.force_2d(shapes), lambda xy: np.column_stack(crs.to_wgs84(xy[:, 0], xy[:, 1], reading))
        )
    return gpd.GeoDataFrame(frame, geometry=shapes, crs="EPSG:4326"), diagnosis


def _choices(diagnosis):
    tied = [r for part in diagnosis.parts for r in part.tied] or []
    words = list(dict.fromkeys(option(r) for r in tied[:4]))
    return " or ".join(f"--crs {w}" for w in words) if words else "--crs CODE"


def option(reading):
    """A reading as it is written on the command line: 9210, 9210:swapped, 4326:shifted."""
    marks = [w for w, on in (("swapped", reading.swapped), ("shifted", reading.shifted)) if on]
    return ":".join([str(reading.epsg), *marks])


def reading_of(text):
    """The reading named by option(); ImportRefused for one that is not known."""
    code, *marks = text.upper().removeprefix("EPSG:").split(":")
    try:
        return crs.reading(int(code), swapped="SWAPPED" in marks, shifted="SHIFTED" in marks)
    except ValueError as e:
        raise ImportRefused(f"'{text}' is not a reading: {e}") from e


def _places(store, frame, named):
    """The ward outline that the texts of each row name, or None: 'Phường Hải An' or just 'Hải An'."""
    admin = store.snapshot("admin_units")
    wards = admin[admin["kind"].isin(WARD_KINDS)]
    by_name = {}
    for name, shape in zip(wards["name_vi"], wards.geometry, strict=True):
        kind = next(k for k in ("Phường ", "Xã ", "Đặc khu ") if name.startswith(k))
        for text in (name, name.removeprefix(kind)):
            by_name.setdefault(fold(text), []).append(shape)
    known = {text: shapes[0] for text, shapes in by_name.items() if len(shapes) == 1}
    out = np.full(len(frame), None, dtype=object)
    for column in named:
        if frame[column].map(lambda v: isinstance(v, str)).any():
            found = frame[column].map(lambda v: known.get(fold(v)) if isinstance(v, str) else None)
            out = np.where(pd.isna(pd.Series(out)), found.to_numpy(dtype=object), out)
    return np.array([None if v is None or isinstance(v, float) else v for v in out], dtype=object)


def _kept(there, layer, made):
    """Rows that are in the store already keep their fields, and place, where the file has no such column."""
    if any(k not in made for k in layer.key):
        return made
    keys = pd.MultiIndex.from_frame(there[list(layer.key)].astype(object))
    at = keys.get_indexer(pd.MultiIndex.from_frame(pd.DataFrame(made[list(layer.key)]).astype(object)))
    known = at >= 0
    for f in layer.fields:
        if f.name not in made.columns:
            values = pd.Series([None] * len(made), index=made.index, dtype=object)
            values[known] = there[f.name].to_numpy(dtype=object)[at[known]]
            made[f.name] = values
    if layer.geometry and made.geometry.isna().all():
        shapes = np.full(len(made), None, dtype=object)
        shapes[known] = there.geometry.to_numpy()[at[known]]
        made = made.set_geometry(gpd.GeoSeries(shapes, index=made.index, crs=made.crs))
    return made
