"""Files from outside: read, understood and compared before anything is written.

    received = read(path)                 what is in the file, as it stands there
    named = rename(received, layer)       its columns under the catalogue's names
    trial = dry_run(held, layer, frame)  new, changed and refused rows, nothing written
    store.write(trial.checked, ...)       one transaction, one version

Where the coordinates belong is the business of geo/crs.py; here a file only says what it declares.
"""

import csv
import hashlib
import io
import re
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import geopandas as gpd
import pandas as pd
import pyogrio
import shapely

from layers import shapefile
from layers.checks import CheckedLayer, sift
from layers.errors import LayerError
from layers.letters import fold

MAX_BYTES = 500_000_000
MAX_UNPACKED = 2_000_000_000
MAX_MEMBERS = 200
MAX_ROWS = 2_000_000
VECTOR = {".gpkg", ".geojson", ".json", ".kml", ".gpx", ".dxf", ".fgb", ".shp"}
TABLES = {".csv", ".txt", ".tsv", ".xlsx"}
_INSIDE_ZIP = (".gpkg", ".shp", ".geojson", ".kml", ".fgb", ".csv", ".xlsx")

# Words people write over coordinate columns, folded; the first of each pair is the easting or longitude.
_EAST = ("lon", "long", "longitude", "kinh do", "lng", "easting", "e", "x", "toa do x", "point x", "xcoord")
_NORTH = ("lat", "latitude", "vi do", "northing", "n", "y", "toa do y", "point y", "ycoord")
_GUARD = re.compile(r"\A'(?='*[=+\-@\t\r])")  # before a text that Excel would take for a formula
_WKT = ("wkt", "geom wkt", "geometry", "the geom", "hinh hoc")


@dataclass(frozen=True)
class Received:
    """What a file holds. frame: raw columns, and geometry where it has any, in the declared crs (or None).

    x, y: names of two coordinate columns of a table, in the order written; None otherwise.
    notes: sentences about what was left out or read in a particular way. sha256: of the file.
    """

    frame: pd.DataFrame
    crs: object
    x: str | None
    y: str | None
    notes: tuple
    sha256: str


@dataclass(frozen=True)
class Trial:
    """A dry run. checked: the rows that can be taken. new, changed, same, missing: keys; changed rows with
    {field: (old, new)}; missing are in the store but not in the file. refused: layers.catalogue.Problem."""

    checked: CheckedLayer
    new: list
    changed: dict
    same: int
    missing: list
    refused: list = field(default_factory=list)


# --- reading ---


def read(path, *, sheet=None):
    """What is in a file, as Received; LayerError says what is wrong with it and what to do.

    Takes GeoPackage, zipped Shapefile, GeoJSON, KML, KMZ, GPX, DXF, FlatGeobuf, CSV and XLSX, also inside
    a zip. Of several layers or sheets the first with rows is read (or `sheet`), and the others are named.
    """
    path = Path(path)
    if not path.is_file():
        raise LayerError(f"There is no file {path}.")
    size = path.stat().st_size
    if size == 0:
        raise LayerError(f"{path.name} is empty.")
    if size > MAX_BYTES:
        raise LayerError(f"{path.name} has {size / 1e6:,.0f} MB; files up to {MAX_BYTES / 1e6:,.0f} MB are taken.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    kind = path.suffix.lower()
    if kind in (".zip", ".kmz"):
        with tempfile.TemporaryDirectory(prefix="cangxanh-") as folder:
            inner = _unzip(path, Path(folder))
            return _read_one(inner, inner.suffix.lower(), digest, sheet, path.name)
    return _read_one(path, kind, digest, sheet, path.name)


def _read_one(path, kind, digest, sheet, shown):
    if kind in (".csv", ".txt", ".tsv"):
        frame, notes = _csv(path, shown)
    elif kind == ".xlsx":
        frame, notes = _xlsx(path, sheet, shown)
    elif kind in VECTOR:
        return _vector(path, digest, sheet, shown)
    else:
        known = ", ".join(sorted(k[1:] for k in VECTOR | TABLES | {".zip", ".kmz"}))
        raise LayerError(f"{shown}: files ending in '{kind}' are not read. Known are {known}.")
    frame = frame.dropna(how="all")
    if not len(frame):
        raise LayerError(f"{shown} has no rows.")
    if len(frame) > MAX_ROWS:
        raise LayerError(f"{shown} has {len(frame):,} rows; up to {MAX_ROWS:,} are taken. Split the file.")
    wkt = _column(frame, _WKT)
    if wkt:
        texts = [v if isinstance(v, str) else None for v in frame[wkt]]
        shapes = shapely.from_wkt(texts, on_invalid="ignore")
        unread = frame[wkt].notna().to_numpy() & shapely.is_missing(shapes)
        if unread.any():
            raise LayerError(f"{shown} row {int(unread.argmax()) + 1}: '{wkt}' is not WKT.")
        frame = gpd.GeoDataFrame(frame.drop(columns=wkt), geometry=shapes)
        return Received(frame, None, None, None, tuple(notes), digest)
    x, y = _column(frame, _EAST), _column(frame, _NORTH)
    if x is None or y is None:
        x = y = None
    return Received(frame, None, x, y, tuple(notes), digest)


def _vector(path, digest, sheet, shown):
    try:
        layers = [name for name, kind in pyogrio.list_layers(path) if kind is not None] or [None]
        if sheet is not None and sheet not in layers:
            raise LayerError(f"{shown} has no layer '{sheet}'. It has: {', '.join(layers)}.")
        frame = pyogrio.read_dataframe(path, layer=sheet or layers[0], max_features=MAX_ROWS + 1)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, UnicodeDecodeError) as e:
        raise LayerError(f"{shown} cannot be read ({str(e).splitlines()[0]}).") from e
    if not isinstance(frame, gpd.GeoDataFrame):
        frame = pd.DataFrame(frame)
    if not len(frame):
        raise LayerError(f"{shown} has no rows.")
    if len(frame) > MAX_ROWS:
        raise LayerError(f"{shown} has more than {MAX_ROWS:,} rows. Split the file.")
    key = path.with_name("fields.csv")  # beside a Shapefile that we gave out: names and texts that did not fit
    if path.suffix.lower() == ".shp" and key.is_file():
        frame = shapefile.restored(frame, key.read_text(encoding="utf-8-sig", errors="replace"))
    notes = []
    others = [x for x in layers if x != (sheet or layers[0])]
    if others:
        notes.append(f"Only the layer '{layers[0]}' was read; left out: {', '.join(others)}.")
    return Received(frame, getattr(frame, "crs", None), None, None, tuple(notes), digest)


def _csv(path, shown):
    raw = path.read_bytes()
    notes = []
    for encoding in ("utf-8-sig", "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "cp1258"):
        try:
            text = raw.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise LayerError(f"{shown}: the text encoding is not known. Save it as UTF-8.")
    if encoding == "cp1258":
        notes.append("The text is not UTF-8; it was read as Windows-1258. Check the Vietnamese letters.")
    if "\x00" in text:
        raise LayerError(f"{shown} is not a text file.")
    first = text.lstrip("\r\n").split("\n", 1)[0]
    mark = max(";\t,|", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=mark, strict=True))
    except csv.Error as e:
        raise LayerError(f"{shown} cannot be read as CSV ({e}).") from e
    rows = [r for r in rows if any(c.strip() for c in r)]
    if not rows:
        raise LayerError(f"{shown} is empty.")
    head = _headings(rows[0], shown)
    for i, row in enumerate(rows[1:], 2):
        if len(row) > len(head) and any(c.strip() for c in row[len(head) :]):
            raise LayerError(f"{shown} line {i}: {len(row)} values, but only {len(head)} headings.")
    body = [(r + [""] * len(head))[: len(head)] for r in rows[1:]]
    frame = pd.DataFrame(body, columns=head, dtype=object)
    return frame.map(lambda v: _GUARD.sub("", v.strip()) or None), notes


def _xlsx(path, sheet, shown):
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as e:
        raise LayerError(f"{shown} cannot be read as an Excel file ({e}).") from e
    try:
        names = book.sheetnames
        if sheet is not None and sheet not in names:
            raise LayerError(f"{shown} has no sheet '{sheet}'. It has: {', '.join(names)}.")
        for name in [sheet] if sheet else names:
            rows = [list(r) for r in book[name].iter_rows(values_only=True)]
            rows = [r for r in rows if any(c is not None and str(c).strip() for c in r)]
            if rows:
                break
        else:
            raise LayerError(f"{shown} has no filled sheet.")
    finally:
        book.close()
    others = [n for n in names if n != name]
    notes = [f"Only the sheet '{name}' was read; left out: {', '.join(others)}."] if others else []
    head = _headings(["" if c is None else str(c) for c in rows[0]], shown)
    body = [(r + [None] * len(head))[: len(head)] for r in rows[1:]]
    frame = pd.DataFrame(body, columns=head, dtype=object)
    return frame.map(lambda v: (v.strip() or None) if isinstance(v, str) else v), notes


def _headings(cells, shown):
    head = [c.strip() for c in cells]
    while head and not head[-1]:
        head.pop()
    blank = [i + 1 for i, h in enumerate(head) if not h]
    doubled = sorted({h for h in head if h and head.count(h) > 1})
    if not head or blank or doubled:
        what = (
            f"column {blank[0]} has no heading"
            if blank
            else f"the heading '{doubled[0]}' stands twice"
            if doubled
            else "there are no headings"
        )
        raise LayerError(f"{shown}: {what} in the first line.")
    return head


def _unzip(path, folder):
    """The one readable file of a zip, unpacked into folder; its companions (.dbf, .prj, ...) beside it."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            if len(members) > MAX_MEMBERS:
                raise LayerError(f"{path.name} holds {len(members)} files; up to {MAX_MEMBERS} are taken.")
            if sum(m.file_size for m in members) > MAX_UNPACKED:
                raise LayerError(f"{path.name} would unpack to more than {MAX_UNPACKED / 1e9:.0f} GB.")
            for m in members:
                inner = PurePosixPath(m.filename.replace("\\", "/"))
                if inner.is_absolute() or ".." in inner.parts or ":" in m.filename:
                    raise LayerError(f"{path.name} holds '{m.filename}', a path that leads out of the archive.")
                if inner.suffix.lower() in (".zip", ".kmz"):
                    raise LayerError(f"{path.name} holds another archive ('{inner.name}'). Unpack it first.")
            # the system's own folders hold shadows of the files
            members = [m for m in members if not m.filename.startswith("__MACOSX/")]
            budget = MAX_UNPACKED
            for m in members:
                target = folder / PurePosixPath(m.filename.replace("\\", "/")).name
                with archive.open(m) as source, open(target, "wb") as out:
                    while block := source.read(1 << 20):
                        budget -= len(block)
                        if budget < 0:  # the sizes in the directory may lie
                            raise LayerError(f"{path.name} unpacks to more than it says.")
                        out.write(block)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as e:
        raise LayerError(f"{path.name} cannot be unpacked ({e}).") from e
    found = [p for suffix in _INSIDE_ZIP for p in sorted(folder.iterdir()) if p.suffix.lower() == suffix]
    if not found:
        raise LayerError(f"{path.name} holds no file that is read: {', '.join(s[1:] for s in _INSIDE_ZIP)}.")
    if len(found) > 1 and found[0].suffix == found[1].suffix:
        names = ", ".join(p.name for p in found)
        raise LayerError(f"{path.name} holds several files ({names}). Put one in each archive.")
    return found[0]


def _column(frame, words):
    folded = {fold(re.sub(r"[_\W]+", " ", c)): c for c in frame.columns if isinstance(c, str)}
    return next((folded[w] for w in words if w in folded), None)


# --- understanding ---


def mapping(layer, columns):
    """Guess which column holds which field; {column: field}.

    First by name, then by Vietnamese or English label, with or without a unit or name in brackets behind it.
    """
    names, labels = {}, {}
    for f in layer.fields:
        for word in (f.name, f.name.replace("_", " ")):
            names.setdefault(fold(word), f.name)
        for word in (f.vi, f.en):
            labels.setdefault(fold(word), f.name)
    out, taken = {}, set()
    for known, inside in ((names, True), (labels, False)):
        for c in columns:
            before, _, bracket = str(c).rstrip(")").rpartition(" (")
            spelled = _spellings(str(c), bracket if inside else before)
            name = next((known[w] for w in map(fold, spelled) if w in known), None)
            if name and name not in taken and c not in out:
                out[c] = name
                taken.add(name)
    return {c: out[c] for c in columns if c in out}


def _spellings(*texts):
    return [w for t in texts if t for w in (re.sub(r"[_\W]+", " ", t), t)]


def rename(frame, layer, columns):
    """The columns of a frame under the catalogue's names, unmapped ones left out.

    Codes that are numbers in the file become text; words of allowed values in either language become codes.
    """
    out = pd.DataFrame({f: frame[c] for c, f in columns.items()}, index=frame.index)
    for f in layer.fields:
        if f.name not in out:
            continue
        if f.kind == "text":
            out[f.name] = out[f.name].map(_as_text)
        if f.allowed:
            words = {fold(w): c.value for c in f.allowed for w in (c.value, c.vi, c.en)}
            out[f.name] = out[f.name].map(lambda v, words=words: words.get(fold(v), v) if isinstance(v, str) else v)
    if layer.geometry:
        shapes = frame.geometry if isinstance(frame, gpd.GeoDataFrame) else None
        return gpd.GeoDataFrame(out, geometry=shapes, crs=getattr(frame, "crs", None))
    return out


def fill_blanks(frame, values):
    """The frame with {field: value} put where the field is blank or missing."""
    out = frame.copy()
    for name, value in values.items():
        held = out[name] if name in out else pd.Series(None, index=out.index, dtype=object)
        out[name] = held.where(held.notna(), value)
    return out


def _as_text(value):
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else str(value)


def dry_run(held, layer, frame):
    """What writing a frame would do, as a Trial; nothing is written.

    held: the rows that are there, as a snapshot. frame: as rename() gives it, in EPSG:4326.
    """
    checked, refused, _ = sift(layer, frame)
    there = _by_key(layer, held)
    here = _by_key(layer, checked.rows)
    new = [k for k in here if k not in there]
    changed, same = {}, 0
    for key in here:
        if key in there:
            differences = _differences(layer, there[key], here[key])
            if differences:
                changed[key] = differences
            else:
                same += 1
    return Trial(checked, new, changed, same, [k for k in there if k not in here], refused)


def _by_key(layer, frame):
    return {tuple(_shown(r[k]) for k in layer.key): r for r in frame.to_dict("records")}


def _differences(layer, old, new):
    out = {}
    for f in layer.fields:
        a, b = _shown(old[f.name]), _shown(new[f.name])
        if a != b:
            out[f.name] = (a, b)
    if layer.geometry:
        a, b = old["geometry"], new["geometry"]
        alike = a is b or (
            a is not None and b is not None and shapely.equals_exact(a, b, tolerance=1e-9, normalize=True)
        )
        if not alike and not (a is not None and b is not None and _same_area(a, b)):
            out["geometry"] = ("", "moved" if a is not None and b is not None else "added" if a is None else "removed")
    return out


def _same_area(a, b):
    """A polygon and a multipolygon of it are one shape."""
    if not shapely.get_dimensions(a) == shapely.get_dimensions(b) == 2:
        return False
    a, b = (shapely.multipolygons(shapely.get_parts(g)) if shapely.get_type_id(g) == 3 else g for g in (a, b))
    return bool(shapely.equals_exact(a, b, tolerance=1e-9, normalize=True)) or bool(shapely.equals(a, b))


def _shown(value):
    return None if value is None or pd.isna(value) else value
