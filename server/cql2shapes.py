"""Shapes as they are written in a CQL2 filter: well-known text and BBOX."""

import numpy as np
import shapely

from server.cql2tokens import MAX_DEPTH, FilterError
from server.cql2tree import Literal
from server.i18n import N_

_FARTHEST = 1e9  # metres or degrees: a corner beyond lies in no system
_SHAPES = {"point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection"}


def shape_at(cursor, to_lonlat):
    """The shape that is written at a place of a filter as a Literal, or None where another word stands there."""
    place = cursor.place
    if cursor.word == "bbox":
        cursor.at += 1
        cursor.sign("(")
        numbers = [cursor.number()]
        while cursor.kind == "sign" and cursor.value == ",":
            cursor.at += 1
            numbers.append(cursor.number())
        cursor.sign(")")
        if len(numbers) not in (4, 6):
            raise FilterError(N_("BBOX at letter %(place)s needs four numbers."), place=place)
        half = len(numbers) // 2
        (x0, y0), (x1, y1) = numbers[:2], numbers[half : half + 2]
        if x0 > x1 or y0 > y1:
            raise FilterError(N_("BBOX at letter %(place)s: its second corner lies below its first."), place=place)
        return _located(shapely.box(x0, y0, x1, y1), place, to_lonlat)
    if cursor.word in _SHAPES:
        shape = shapely.from_wkt(_wkt(cursor), on_invalid="ignore")
        if shape is None or shape.is_empty:
            raise FilterError(N_("The shape at letter %(place)s is not well-known text."), place=place)
        return _located(shapely.force_2d(shape), place, to_lonlat)
    return None


def _located(shape, place, to_lonlat):
    if not shape.is_valid:
        raise FilterError(N_("The shape at letter %(place)s is not valid: %(reason)s."),
                          place=place, reason=shapely.is_valid_reason(shape))  # fmt: skip
    if np.abs(shapely.get_coordinates(shape)).max() <= _FARTHEST:
        if to_lonlat and shape.length:  # straight where it was drawn: more corners keep it so in degrees
            x0, y0, x1, y1 = shape.bounds
            shape = shapely.segmentize(shape, max(x1 - x0, y1 - y0) / 16)
        shape = to_lonlat(shape) if to_lonlat else shape
        if np.isfinite(shapely.get_coordinates(shape)).all():
            shapely.prepare(shape)
            return Literal(shape, "geometry")
    raise FilterError(N_("The shape at letter %(place)s lies outside its coordinate system."), place=place)


def _wkt(cursor):
    """The tokens of a shape put together again: names of shapes, numbers, commas and brackets only."""
    out, open_brackets = [], 0
    while True:
        if cursor.kind == "number" or (cursor.kind == "sign" and cursor.value in "+-"):
            out.append(repr(cursor.number()))
            continue
        if cursor.word in _SHAPES or cursor.word == "z":
            out.append(cursor.take().upper())
            continue
        if cursor.kind != "sign" or cursor.value not in "(),":
            raise cursor.unexpected(N_("a number, a comma or a bracket of the shape"))
        sign = cursor.take()
        open_brackets += {"(": 1, ")": -1}.get(sign, 0)
        if open_brackets > MAX_DEPTH:
            raise FilterError(N_("The filter is nested deeper than %(most)s brackets."), most=MAX_DEPTH)
        out.append(sign)
        if open_brackets <= 0:
            return " ".join(out)
