"""Rows checked against the catalogue: what passes is typed and may be written, what does not is told row by row."""

import re
from dataclasses import dataclass
from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from layers import rules
from layers.catalogue import Layer
from layers.errors import LayerError


@dataclass(frozen=True)
class CheckedLayer:
    """Rows that keep the catalogue's promises, and what was repaired on the way."""

    layer: Layer
    rows: pd.DataFrame
    repairs: tuple[str, ...] = ()


class Problem(str):
    """One sentence about data that cannot be taken, with the row (from 0) and field it speaks of, or None."""

    def __new__(cls, text, row=None, field=None):
        made = super().__new__(cls, text)
        made.row, made.field = row, field
        return made


def sift(layer, frame):
    """The rows of a frame that can be taken, and those that cannot.

    Returns (CheckedLayer, problems of the others: Problem with row and field). frame as for check().
    Raises LayerError for what concerns all rows: an unknown column, a missing or wrong CRS.
    """
    refused = []
    rows = frame.reset_index(drop=True)
    at = list(range(len(rows)))
    while True:
        try:
            return check(layer, rows), refused
        except LayerError as e:
            if any(getattr(p, "row", None) is None for p in e.problems):
                raise
            bad = {p.row for p in e.problems}
            refused += [Problem(p.replace(f" row {p.row + 1} ", f" row {at[p.row] + 1} ", 1), at[p.row], p.field)
                        for p in e.problems]  # fmt: skip
            rows = rows[[i not in bad for i in range(len(rows))]].reset_index(drop=True)
            at = [a for i, a in enumerate(at) if i not in bad]


def check(layer, frame, *, repair=True):
    """The rows as a CheckedLayer, or LayerError with every problem of the frame.

    frame: a GeoDataFrame in EPSG:4326 (a layer) or a DataFrame (a table); columns the catalogue does
    not know are refused, missing optional ones become blank. Invalid outlines are repaired by
    shapely.make_valid and reported, unless repair is False; heights are left out and reported.
    Geometry may be blank: a fact without a position is still a fact. An empty geometry is a blank one.
    """
    problems, repairs = [], []
    known = {f.name for f in layer.fields}
    columns = [c for c in frame.columns if c != "geometry"]
    for extra in sorted(set(columns) - known):
        problems.append(f"{layer.name}: the column '{extra}' is not in the catalogue.")
    rows = frame.reset_index(drop=True).copy()
    for f in layer.fields:
        if f.name not in rows.columns:
            rows[f.name] = None
        problems += _field_problems(layer, f, rows)
    problems += _key_problems(layer, rows)
    if layer.geometry:
        problems += _geometry_problems(layer, frame)
        if not problems:
            shapes, repairs, problems = _shapes(layer, rows, repair)
            rows["geometry"] = gpd.GeoSeries(shapes, index=rows.index, crs=frame.crs)
    if problems:
        raise LayerError(problems)
    order = [f.name for f in layer.fields]
    for f in layer.fields:
        rows[f.name] = _typed(f, rows[f.name])
    for row, sentence in rules.broken(layer.name, rows):
        where = "" if row is None else f"{layer.name} row {row + 1} ({_name_of(layer, rows, row)}): "
        problems.append(Problem(where + sentence, row))
    if problems:
        raise LayerError(problems)
    if layer.geometry:
        rows = gpd.GeoDataFrame(rows[[*order, "geometry"]], geometry="geometry", crs=frame.crs)
    else:
        rows = pd.DataFrame(rows[order])
    return CheckedLayer(layer, rows, tuple(repairs))


def _name_of(layer, rows, i):
    given = (rows[k].iloc[[i]] for k in layer.key if k in rows.columns)
    return "/".join("–" if _blank(v).iloc[0] else str(v.iloc[0]) for v in given)


def _blank(values):
    return values.isna() | values.map(lambda v: isinstance(v, str) and not v.strip()).astype(bool)


def _field_problems(layer, f, rows):
    values, out = rows[f.name], []
    blank = _blank(values).to_numpy()
    if f.required:
        out += [
            Problem(f"{layer.name} row {i + 1} ({_name_of(layer, rows, i)}): {f.name} is missing.", int(i), f.name)
            for i in blank.nonzero()[0]
        ]
    given = values[~blank]
    if f.kind in ("number", "integer"):
        numbers = _numbers(given)
        bad = numbers.isna()
        word = "a number"
        if f.kind == "integer":
            bad |= (numbers % 1 != 0) | (numbers.abs() > 2**53)
            word = "a whole number"
    elif f.kind == "date":
        bad = _dates(given).isna()
        word = "a date as YYYY-MM-DD"
    else:
        bad = given.map(lambda v: not _is_text(v))
        word = "text"
    for i in given.index[bad.to_numpy(bool)]:
        where = f"{layer.name} row {i + 1} ({_name_of(layer, rows, i)})"
        out.append(Problem(f"{where}: {f.name} is not {word}: {_shown(values[i])}.", i, f.name))
    if f.allowed:
        allowed = [c.value for c in f.allowed]
        for i in given.index[~given.isin(allowed).to_numpy()]:
            where = f"{layer.name} row {i + 1} ({_name_of(layer, rows, i)})"
            out.append(Problem(f"{where}: {f.name} '{values[i]}' is not one of {', '.join(allowed)}.", i, f.name))
    return out


def _shown(value):
    return repr(value) if isinstance(value, str) else str(value)


def _key_problems(layer, rows):
    """Keys are compared as they will be kept: 2020-01-01 as text and as a date are one key."""
    parts = []
    for k in layer.key:
        kept = _typed(layer.by_name[k], rows[k])
        parts.append(
            [
                None if blank else repr(value) if pd.api.types.is_scalar(typed) and pd.isna(typed) else str(typed)
                for value, typed, blank in zip(rows[k], kept, _blank(rows[k]), strict=True)
            ]
        )
    doubled = pd.Series(list(zip(*parts, strict=True)), dtype=object).duplicated().to_numpy().nonzero()[0]
    return [
        Problem(
            f"{layer.name} row {i + 1} ({_name_of(layer, rows, i)}): this key is given twice.", int(i), layer.key[0]
        )
        for i in doubled
    ]


def _geometry_problems(layer, frame):
    if not isinstance(frame, gpd.GeoDataFrame) or frame.crs is None:
        return [f"{layer.name}: the geometry has no coordinate reference system; say which one it is."]
    if frame.crs.to_epsg() != 4326:
        return [f"{layer.name}: the geometry is in {frame.crs.name}; bring it to EPSG:4326 first."]
    out = []
    for i, geom in enumerate(frame.geometry):
        if geom is None or geom.is_empty:
            continue
        where = f"{layer.name} row {i + 1} ({_name_of(layer, frame, i)})"
        if layer.geometry == "Point" and geom.geom_type != "Point":
            out.append(Problem(f"{where}: a point is expected, this is a {geom.geom_type}.", i, "geometry"))
        if layer.geometry == "Polygon" and geom.geom_type not in ("Polygon", "MultiPolygon"):
            out.append(Problem(f"{where}: an area is expected, this is a {geom.geom_type}.", i, "geometry"))
        x0, y0, x1, y1 = geom.bounds
        if not (-180 <= x0 <= x1 <= 180 and -90 <= y0 <= y1 <= 90):
            out.append(Problem(f"{where}: coordinates lie outside longitude ±180, latitude ±90.", i, "geometry"))
    return out


def _shapes(layer, rows, repair):
    """Geometries as they are kept (flat, valid, None for empty), what was repaired, and what cannot be."""
    shapes, repairs, problems = rows.geometry.to_numpy().copy(), [], []
    shapes[shapely.is_empty(shapes)] = None
    high = shapely.has_z(shapes)
    if high.any():
        shapes = shapely.force_2d(shapes)
        repairs.append(f"{layer.name}: heights of {high.sum()} geometries were left out, the map is flat.")
    bad = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    for i in bad.nonzero()[0] if repair else ():
        where = f"{layer.name} row {i + 1} ({_name_of(layer, rows, i)})"
        reason = shapely.is_valid_reason(shapes[i])
        areas = shapely.get_dimensions(shapes[i]) == 2
        shapes[i] = shapely.make_valid(shapes[i], method="structure", keep_collapsed=not areas)
        if shapes[i].is_empty:
            problems.append(Problem(f"{where}: the outline encloses no area ({reason}).", int(i), "geometry"))
        else:
            repairs.append(f"{where}: outline repaired ({reason}).")
    return shapes, repairs, problems


def _numbers(values):
    """Finite numbers as float; NaN where a value is none."""
    numbers = pd.to_numeric(values.where(~_blank(values)), errors="coerce").astype(float)
    return numbers.where(np.isfinite(numbers))


def _dates(values):
    """Days of ISO texts, dates and times (as written, whatever the time zone); NaT where a value is none."""

    def day(value):
        text = isinstance(value, str) and _ISO_DAY.match(value)
        if not text and not isinstance(value, date | np.datetime64):
            return pd.NaT
        try:
            time = pd.Timestamp(value)
        except ValueError:
            return pd.NaT
        return time if pd.isna(time) else time.tz_localize(None).normalize()

    return pd.Series([day(v) for v in values], index=values.index, dtype="datetime64[us]")


_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def _is_text(value):
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:  # half of a surrogate pair: no database takes it
        return False


def _typed(f, values):
    if f.kind in ("number", "integer"):
        return _numbers(values)
    if f.kind == "date":
        return _dates(values)
    text = values.astype(object)
    return text.where(~_blank(values), None)
