"""What changed between two versions of a layer: rows added and removed, fields, and places moved or redrawn.

Pure: two frames in, one Difference out. Fast where it matters, on rows that did not change: whole columns are
compared first, and only rows that differ are looked at one by one.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import shapely
from pyproj import Geod

from layers.letters import fold
from layers.rows import keys, plain, plain_column

SAME_DEGREES = 1e-9  # corners nearer than this are the same corner: 0.1 mm
KINDS = ("added", "removed", "changed")
_GEOD = Geod(ellps="WGS84")


@dataclass(frozen=True)
class Shape:
    """A place before and after, EPSG:4326 or None; they differ. What it says is worked out when it is asked for."""

    old: object
    new: object

    @cached_property
    def how(self):
        """placed (it had none), unplaced, moved (the same form elsewhere) or reshaped."""
        if self.old is None or self.new is None:
            return "placed" if self.old is None else "unplaced"
        if self.old.geom_type == "Point" == self.new.geom_type:
            return "moved"
        a, b = (shapely.get_coordinates(_multi(g)) for g in (self.old, self.new))
        alike = len(a) == len(b) and np.allclose(a - a[0], b - b[0], rtol=0, atol=10 * SAME_DEGREES)
        return "moved" if alike else "reshaped"

    @cached_property
    def metres(self):
        """How far it was moved on the ellipsoid; None unless it was moved."""
        if self.how != "moved":
            return None
        a, b = (shapely.get_coordinates(_multi(g))[0] for g in (self.old, self.new))
        return float(_GEOD.inv(*a, *b)[2])


@dataclass(frozen=True)
class Change:
    """One row that is in one version only, or differs. kind: one of KINDS.

    key: plain values of the layer's key. fields: {name: (old, new)} as plain values, None where missing; of a row
    that was added or removed all that are there. shape: a Shape, or None where the place is the same.
    """

    kind: str
    key: tuple
    name_vi: str | None
    name_en: str | None
    fields: dict
    shape: Shape | None = None


@dataclass(frozen=True)
class Difference:
    """All changes between two versions, in the order of the newer rows, removed ones last. same: rows alike."""

    layer: object
    changes: tuple[Change, ...]
    same: int

    @property
    def counts(self):
        """{kind: number} of KINDS, and how many places moved or were redrawn ("shape")."""
        out = {kind: sum(c.kind == kind for c in self.changes) for kind in KINDS}
        return out | {"shape": sum(c.kind == "changed" and c.shape is not None for c in self.changes)}

    @property
    def by_key(self):
        """{key: Change}."""
        return {c.key: c for c in self.changes}


def difference(layer, old, new, *, same=0):
    """The Difference between two frames of a layer, as the store gives them (EPSG:4326). same: rows alike left out of both.

    Rows are matched by the layer's key; their order does not matter, nor the order of corners and pieces of an
    outline, nor whether one area is kept as an area or as a group of one.
    """
    old, new = old.reset_index(drop=True), new.reset_index(drop=True)
    was, now = keys(layer, old), keys(layer, new)
    at = {key: i for i, key in enumerate(was)}
    match = np.array([at.get(key, -1) for key in now], dtype=np.int64)
    here = np.flatnonzero(match >= 0)
    there = match[here]
    differs, values = np.zeros(len(here), dtype=bool), {}
    for f in layer.fields:
        a, b = old[f.name].to_numpy()[there], new[f.name].to_numpy()[here]
        unlike = _unlike(a, b)
        values[f] = unlike, a, b
        differs |= unlike
    moved = np.zeros(len(here), dtype=bool)
    if layer.geometry:
        before, after = old.geometry.to_numpy()[there], new.geometry.to_numpy()[here]
        moved = _unlike_shapes(before, after)
    row_of = {int(here[i]): int(i) for i in np.flatnonzero(differs | moved)}
    fresh = np.flatnonzero(match < 0).tolist()
    added = dict(zip(fresh, _whole(layer, "added", now, new, fresh), strict=True))
    changes = []
    for j in sorted([*row_of, *fresh]):
        if match[j] < 0:
            changes.append(added[j])
            continue
        i = row_of[j]
        fields = {f.name: (_value(a[i], f), _value(b[i], f)) for f, (unlike, a, b) in values.items() if unlike[i]}
        shape = Shape(before[i], after[i]) if moved[i] else None
        changes.append(Change("changed", now[j], *_names(new, j), fields, shape))
    left = sorted(set(range(len(old))) - set(there.tolist()))
    changes += _whole(layer, "removed", was, old, left)
    return Difference(layer, tuple(changes), len(here) - len(row_of) + same)


def _value(value, f):
    return plain(pd.Timestamp(value) if f.kind == "date" else value, f.kind)


def _unlike(a, b):
    unlike = np.asarray(a != b, dtype=bool)
    if unlike.any():
        unlike[unlike] = ~(pd.isna(a[unlike]) & pd.isna(b[unlike]))
    return unlike


def _unlike_shapes(a, b):
    unlike = np.array([x != y for x, y in zip(shapely.to_wkb(a), shapely.to_wkb(b), strict=True)], dtype=bool)
    a, b = _multis(a[unlike]), _multis(b[unlike])
    blank = shapely.is_missing(a) | shapely.is_missing(b)
    unlike[unlike] = blank | ~shapely.equals_exact(a, b, SAME_DEGREES, normalize=True)
    return unlike


def _multis(shapes):
    out = shapes.copy()
    single = shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON
    if single.any():
        out[single] = shapely.multipolygons(shapes[single], indices=np.arange(single.sum()))
    return out


def _multi(shape):
    return shapely.MultiPolygon([shape]) if shape.geom_type == "Polygon" else shape


def same_shape(a, b):
    """Whether two geometries, or None, are one place to a tenth of a millimetre, however they are written down."""
    return not _unlike_shapes(np.array([a], dtype=object), np.array([b], dtype=object))[0]


def size_of(shape):
    """(number, "m²" or "m") of an area or a line on the ellipsoid; None for a point or no place."""
    if shape is None or not shapely.get_dimensions(shape):
        return None
    if shapely.get_dimensions(shape) == 1:
        return _GEOD.geometry_length(shape), "m"
    return abs(_GEOD.geometry_area_perimeter(shapely.orient_polygons(shape))[0]), "m²"


def _names(frame, i):
    return tuple(plain(frame[n].iat[i]) if n in frame.columns else None for n in ("name_vi", "name_en"))


def _whole(layer, kind, of, frame, at):
    """Changes of rows that are in one version only. of: the key of every row; at: their row numbers."""
    rows = frame.iloc[at]
    columns = {f.name: plain_column(rows[f.name], f.kind) for f in layer.fields}
    places = rows.geometry.to_numpy() if layer.geometry else [None] * len(at)
    blank = [None] * len(at)
    names = zip(columns.get("name_vi", blank), columns.get("name_en", blank), strict=True)
    filled = {n: values for n, values in columns.items() if any(v is not None for v in values)}
    out = []
    for i, (j, (vi, en), place) in enumerate(zip(at, names, places, strict=True)):
        given = {n: values[i] for n, values in filled.items() if values[i] is not None}
        fields = {n: (None, v) if kind == "added" else (v, None) for n, v in given.items()}
        shape = None
        if place is not None:
            shape = Shape(None, place) if kind == "added" else Shape(place, None)
        out.append(Change(kind, of[j], vi, en, fields, shape))
    return out


def chosen(changes, *, kind="", field="", typed=""):
    """The changes that meet a filter: a kind, a field ("geometry" for the place), letters of key or names."""
    wanted = fold(typed)
    return [
        c
        for c in changes
        if (not kind or c.kind == kind)
        and (not field or field in c.fields or (field == "geometry" and c.shape is not None))
        and (not wanted or wanted in fold(" ".join(str(p) for p in (*c.key, c.name_vi, c.name_en) if p is not None)))
    ]


def table(layer, changes):
    """One dict per changed field, for a file: change, the key, field, old, new; a place is one as WKT."""
    out = []
    for c in changes:
        key = dict(zip(layer.key, c.key, strict=True))
        out += [
            {"change": c.kind, **key, "field": name, "old": _text(a), "new": _text(b)}
            for name, (a, b) in c.fields.items()
        ]
        if c.shape:
            out.append(
                {"change": c.kind, **key, "field": "geometry", "old": _wkt(c.shape.old), "new": _wkt(c.shape.new)}
            )
    return out


def _text(value):
    return value.isoformat() if hasattr(value, "isoformat") else value


def _wkt(shape):
    return None if shape is None else shapely.to_wkt(shape, rounding_precision=9)
