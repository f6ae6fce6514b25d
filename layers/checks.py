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
from layers.errors import LayerError, Said, said, vietnamese


@dataclass(frozen=True)
class CheckedLayer:
    """Rows that keep the catalogue's promises, and what was repaired on the way."""

    layer: Layer
    rows: pd.DataFrame
    repairs: tuple[str, ...] = ()


class Problem(Said):
    """One sentence about a row that cannot be taken.

    row: from 0, or None. field: of the catalogue, "geometry" or None. value: as received, as text, or None.
    key: the row's key as shown. reason: the sentence without the place.
    """

    def __new__(cls, reason, row=None, field=None, *, layer=None, key="", value=None):
        told = reason if row is None else _at(layer, row, key, reason)
        made = super().__new__(cls, told, vietnamese(told))
        made.row, made.field, made.key, made.reason, made.value, made.layer = row, field, key, reason, value, layer
        return made

    def at(self, row):
        """The same of another row number."""
        return Problem(self.reason, row, self.field, layer=self.layer, key=self.key, value=self.value)


def _at(layer, row, key, sentence):
    return Said(
        f"{layer.name} row {row + 1} ({key}): {sentence}", f"{layer.vi}, dòng {row + 1} ({key}): {vietnamese(sentence)}"
    )


def sift(layer, frame, *, alone=False):
    """The rows of a frame that can be taken, and those that cannot.

    Returns (CheckedLayer, problems of the others, row numbers of the taken ones). frame as for check().
    alone: only what can be seen in one row; doubled keys and rules between rows are the caller's.
    Raises LayerError for what concerns all rows: an unknown column, a missing or wrong CRS.
    """
    refused = []
    rows = frame.reset_index(drop=True)
    at = np.arange(len(rows))
    while True:
        try:
            return _checked(layer, rows, True, alone), refused, at
        except LayerError as e:
            if any(getattr(p, "row", None) is None for p in e.problems):
                raise
            bad = sorted({p.row for p in e.problems})
            refused += [p.at(int(at[p.row])) for p in e.problems]
            good = np.ones(len(rows), dtype=bool)
            good[bad] = False
            rows, at = rows[good].reset_index(drop=True), at[good]


def check(layer, frame, *, repair=True):
    """The rows as a CheckedLayer, or LayerError with every problem of the frame.

    frame: a GeoDataFrame in EPSG:4326 (a layer) or a DataFrame (a table); columns the catalogue does
    not know are refused, missing optional ones become blank. Invalid outlines are repaired by
    shapely.make_valid and reported, unless repair is False; heights are left out and reported.
    Geometry may be blank: a fact without a position is still a fact. An empty geometry is a blank one.
    """
    return _checked(layer, frame, repair, False)


def _checked(layer, frame, repair, alone):
    problems, repairs = [], []
    known = {f.name for f in layer.fields}
    columns = [c for c in frame.columns if c != "geometry"]
    for extra in sorted(set(columns) - known):
        problems.append(
            said(
                "{layer}: the column '{name}' is not in the catalogue.",
                "{layer}: danh mục không có cột '{name}'.",
                layer=layer.name,
                name=extra,
            )
        )
    rows = frame.reset_index(drop=True).copy()
    for f in layer.fields:
        if f.name not in rows.columns:
            rows[f.name] = None
        problems += _field_problems(layer, f, rows)
    if not alone:
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
    find = rules.broken_alone if alone else rules.broken
    for row, sentence in find(layer.name, rows):
        problems.append(Problem(sentence) if row is None else _problem(layer, rows, row, None, sentence))
    if problems:
        raise LayerError(problems)
    if layer.geometry:
        rows = gpd.GeoDataFrame(rows[[*order, "geometry"]], geometry="geometry", crs=frame.crs)
    else:
        rows = pd.DataFrame(rows[order])
    return CheckedLayer(layer, rows, tuple(repairs))


def _problem(layer, rows, i, field, sentence, value=None):
    return Problem(sentence, int(i), field, layer=layer, key=name_of(layer, rows, i), value=value)


def name_of(layer, rows, i):
    """The key of row i as shown to people: its parts joined by a stroke, a dash for a blank one."""
    given = (rows[k].iloc[i] for k in layer.key if k in rows.columns)
    return "/".join("–" if _is_blank(v) else str(v) for v in given)


def _is_blank(value):
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _blank(values):
    none = values.isna()
    if values.dtype.kind in "biufmM" or none.all():
        return none
    empty = np.fromiter((isinstance(v, str) and not v.strip() for v in values), dtype=bool, count=len(values))
    return none | empty


def _field_problems(layer, f, rows):
    values, out = rows[f.name], []
    blank = _blank(values).to_numpy()

    def tell(i, sentence, value=None):
        out.append(_problem(layer, rows, i, f.name, sentence, value))

    if f.required:
        for i in blank.nonzero()[0]:
            tell(i, said("{name} is missing.", "thiếu {label} ({name}).", name=f.name, label=f.vi))
    given = values[~blank]
    if f.kind in ("number", "integer"):
        numbers = _numbers(given)
        bad = numbers.isna()
        word = ("a number", "một số")
        if f.kind == "integer":
            bad |= (numbers % 1 != 0) | (numbers.abs() > 2**53)
            word = ("a whole number", "một số nguyên")
    elif f.kind == "date":
        bad = _dates(given).isna()
        word = ("a date as YYYY-MM-DD", "một ngày viết là NĂM-THÁNG-NGÀY (2026-11-22)")
    else:
        bad = given.map(lambda v: not _is_text(v))
        word = ("text", "chữ")
    for i in given.index[bad.to_numpy(bool)]:
        told = said(
            "{name} is not {en}: {value}.", "{label} ({name}) không phải là {vi}: {value}.",
            name=f.name, label=f.vi, en=word[0], vi=word[1], value=_shown(values[i]),
        )  # fmt: skip
        tell(i, told, _shown(values[i]))
    if f.allowed:
        allowed = [c.value for c in f.allowed]
        for i in given.index[~given.isin(allowed).to_numpy()]:
            told = said(
                "{name} '{value}' is not one of {allowed}.", "{label} ({name}) '{value}' không thuộc: {words}.",
                name=f.name, label=f.vi, value=values[i], allowed=", ".join(allowed),
                words=", ".join(c.vi for c in f.allowed),
            )  # fmt: skip
            tell(i, told, _shown(values[i]))
    return out


def _shown(value):
    return repr(value) if isinstance(value, str) else str(value)


def key_texts(layer, rows):
    """The key of every row as tuples of text or None, as it will be kept: 2020-01-01 as text and as a date are one."""
    parts = []
    for k in layer.key:
        kept = _typed(layer.by_name[k], rows[k])
        parts.append(
            [
                None if blank else repr(value) if pd.api.types.is_scalar(typed) and pd.isna(typed) else str(typed)
                for value, typed, blank in zip(rows[k], kept, _blank(rows[k]), strict=True)
            ]
        )
    return list(zip(*parts, strict=True))


def given_twice():
    return said("this key is given twice.", "mã này có hai lần.")


def _key_problems(layer, rows):
    doubled = pd.Series(key_texts(layer, rows), dtype=object).duplicated().to_numpy().nonzero()[0]
    return [_problem(layer, rows, i, layer.key[0], given_twice()) for i in doubled]


_POINT, _AREAS = (0,), (3, 6)  # numbers of shapely.get_type_id


def _geometry_problems(layer, frame):
    if not isinstance(frame, gpd.GeoDataFrame) or frame.crs is None:
        return [
            said(
                "{layer}: the geometry has no coordinate reference system; say which one it is.",
                "{layer}: hình học không ghi hệ tọa độ; hãy cho biết là hệ nào.",
                layer=layer.name,
            )
        ]
    if frame.crs.to_epsg() != 4326:
        return [
            said(
                "{layer}: the geometry is in {name}; bring it to EPSG:4326 first.",
                "{layer}: hình học theo hệ {name}; trước hết hãy chuyển về EPSG:4326.",
                layer=layer.name,
                name=frame.crs.name,
            )
        ]
    shapes, out = frame.geometry.to_numpy(), []
    there = ~shapely.is_missing(shapes) & ~shapely.is_empty(shapes)
    kinds = shapely.get_type_id(shapes)
    wanted = {"Point": (_POINT, "a point", "một điểm"), "Polygon": (_AREAS, "an area", "một vùng")}
    if layer.geometry in wanted:
        taken, en, vi = wanted[layer.geometry]
        for i in (there & ~np.isin(kinds, taken)).nonzero()[0]:
            told = said(
                "{en} is expected, this is a {kind}.",
                "cần {vi}, đây là {kind}.",
                en=en,
                vi=vi,
                kind=shapes[i].geom_type,
            )
            out.append(_problem(layer, frame, i, "geometry", told, shapes[i].geom_type))
    x0, y0, x1, y1 = shapely.bounds(shapes).T
    with np.errstate(invalid="ignore"):
        inside = (x0 >= -180) & (x1 <= 180) & (y0 >= -90) & (y1 <= 90)
    for i in (there & ~inside).nonzero()[0]:
        told = said(
            "coordinates lie outside longitude ±180, latitude ±90.", "tọa độ nằm ngoài kinh độ ±180, vĩ độ ±90."
        )
        out.append(_problem(layer, frame, i, "geometry", told))
    return sorted(out, key=lambda p: p.row)


def _shapes(layer, rows, repair):
    """Geometries as they are kept (flat, valid, None for empty), what was repaired, and what cannot be."""
    shapes, repairs, problems = rows.geometry.to_numpy().copy(), [], []
    shapes[shapely.is_empty(shapes)] = None
    high = shapely.has_z(shapes) | shapely.has_m(shapes)
    if high.any():
        shapes = shapely.force_2d(shapes)
        repairs.append(
            said(
                "{layer}: heights of {count} geometries were left out, the map is flat.",
                "{layer}: đã bỏ độ cao của {count} hình, vì bản đồ phẳng.",
                layer=layer.name,
                count=int(high.sum()),
            )
        )
    bad = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    for i in bad.nonzero()[0] if repair else ():
        reason = shapely.is_valid_reason(shapes[i])
        areas = shapely.get_dimensions(shapes[i]) == 2
        shapes[i] = shapely.make_valid(shapes[i], method="structure", keep_collapsed=not areas)
        if shapes[i].is_empty:
            told = said(
                "the outline encloses no area ({why}).", "đường biên không bao quanh diện tích nào ({why}).", why=reason
            )
            problems.append(_problem(layer, rows, i, "geometry", told, reason))
        else:
            told = said("outline repaired ({why}).", "đã sửa đường biên ({why}).", why=reason)
            repairs.append(_problem(layer, rows, i, "geometry", told, reason))
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
