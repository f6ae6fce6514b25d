"""Zipped Shapefiles (ESRI white paper of July 1998; dBase III tables) that lose nothing.

A Shapefile has one kind of shape, names of ten letters and texts of 254 bytes. So a layer of mixed shapes
becomes several files, long texts go on in a second field, and fields.csv says which field is what. Texts
lose blanks at their ends: dBase pads with them.
"""

import csv
import io
import struct
import zipfile
from decimal import Decimal

import numpy as np
import pyproj
import shapely

from layers.errors import LayerError

MAX_TEXT, MAX_NUMBER, MAX_NAME, MAX_RECORD = 254, 24, 10, 65_000
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same rows give the same bytes
_WORDS = ("point", "line", "area")
_POINT, _LINE, _AREA, _POINTS = 1, 3, 5, 8


def archive(name, fields, columns, shapes, epsg):
    """The bytes of a zip with .shp, .shx, .dbf, .prj and .cpg of each kind of shape, and fields.csv.

    fields: (name, kind, vi, en, unit) of each column; kind is text, number, integer or date. columns: values in
    that order, None = missing. shapes: in the system `epsg`, easting or longitude first, None allowed: a record
    without a position has an empty shape in the first file. Raises LayerError where a record is too long.
    """
    shapes = np.asarray(shapes, dtype=object)
    tables = []  # (field, part, column of texts as bytes, dBase type, width, decimals)
    for (field, kind, *_), values in zip(fields, columns, strict=True):
        tables += [(field, part, *coded) for part, coded in enumerate(_coded(kind, values), start=1)]
    if 1 + sum(t[4] for t in tables) > MAX_RECORD:
        raise LayerError.of(
            "{name}: the texts of a record are too long for a Shapefile. Take GeoPackage or CSV.",
            "{name}: chữ của một bản ghi quá dài đối với Shapefile. Hãy lấy GeoPackage hoặc CSV.",
            name=name,
        )
    names = _names([(t[0], t[1]) for t in tables])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as box:

        def put(member, body):
            box.writestr(zipfile.ZipInfo(member, _LONG_AGO), body, zipfile.ZIP_DEFLATED)

        for stem, rows, parts in _files(name, shapes):
            shp, shx = _shp(parts)
            put(f"{stem}.shp", shp)
            put(f"{stem}.shx", shx)
            put(f"{stem}.dbf", _dbf(names, tables, rows))
            put(f"{stem}.prj", pyproj.CRS(epsg).to_wkt("WKT1_ESRI"))
            put(f"{stem}.cpg", "UTF-8")
        put("fields.csv", _dictionary(fields, names, tables))
    return out.getvalue()


def _files(name, shapes):
    """(stem, rows, their shapes) of each file; a collection has its parts in several."""
    by_kind = {}
    missing = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    collected = shapely.get_type_id(shapes) == 7
    for d in range(3):
        has = ~missing & ~collected & (shapely.get_dimensions(shapes) == d)
        chosen = {int(i): shapes[i] for i in np.flatnonzero(has)}
        for i in np.flatnonzero(collected & ~missing):
            parts = [p for p in _simple(shapes[i]) if shapely.get_dimensions(p) == d and not p.is_empty]
            if parts:
                chosen[int(i)] = (shapely.multipoints, shapely.multilinestrings, shapely.multipolygons)[d](parts)
        if chosen:
            by_kind[d] = chosen
    by_kind = by_kind or {0: {}}
    by_kind[min(by_kind)] |= {int(i): None for i in np.flatnonzero(missing)}
    for d, chosen in by_kind.items():
        rows = sorted(chosen)
        yield (name if len(by_kind) == 1 else f"{name}_{_WORDS[d]}"), rows, [chosen[i] for i in rows]


def _simple(shape):
    return [q for p in getattr(shape, "geoms", [shape]) for q in (_simple(p) if hasattr(p, "geoms") else [p])]


# --- .shp and .shx ---


def _shp(shapes):
    kinds = {g.geom_type for g in shapes if g is not None}
    if kinds & {"Polygon", "MultiPolygon"}:
        code = _AREA
    elif kinds & {"LineString", "MultiLineString", "LinearRing"}:
        code = _LINE
    else:
        code = _POINTS if "MultiPoint" in kinds else _POINT
    body, index, at = [], [], 50
    for number, shape in enumerate(shapes, start=1):
        content = struct.pack("<i", 0) if shape is None else _content(code, shape)
        body.append(struct.pack(">ii", number, len(content) // 2) + content)
        index.append(struct.pack(">ii", at, len(content) // 2))
        at += 4 + len(content) // 2
    box = shapely.total_bounds([g for g in shapes if g is not None]) if kinds else (0.0,) * 4
    records = b"".join(body)
    return (
        _head(code, 50 + len(records) // 2, box) + records,
        _head(code, 50 + 4 * len(shapes), box) + b"".join(index),
    )


def _head(code, words, box):
    return struct.pack(">i5ii", 9994, 0, 0, 0, 0, 0, words) + struct.pack("<ii8d", 1000, code, *box, 0, 0, 0, 0)


def _content(code, shape):
    if code == _POINT:
        return struct.pack("<idd", code, shape.x, shape.y)
    xy = shapely.get_coordinates(shape)
    if code == _POINTS:
        return struct.pack("<i4di", code, *shape.bounds, len(xy)) + xy.astype("<f8").tobytes()
    if code == _AREA:  # outlines run clockwise, holes against it
        paths = shapely.get_rings(shapely.get_parts(shapely.orient_polygons(shape, exterior_cw=True)))
    else:
        paths = shapely.get_parts(shape)
    xy, path = shapely.get_coordinates(paths, return_index=True)
    starts = np.flatnonzero(np.append(True, path[1:] != path[:-1]))
    head = struct.pack("<i4dii", code, *shape.bounds, len(starts), len(xy))
    return head + starts.astype("<i4").tobytes() + xy.astype("<f8").tobytes()


# --- .dbf ---


def _dbf(names, tables, rows):
    head = b"".join(
        struct.pack("<11sc4xBB14x", name.encode("ascii"), kind, width, decimals)
        for name, (_field, _part, _values, kind, width, decimals) in zip(names, tables, strict=True)
    )
    length = 1 + sum(t[4] for t in tables)
    start = struct.pack("<BBBBIHH20x", 3, 80, 1, 1, len(rows), 32 + len(head) + 1, length)
    body = []
    for i in rows:
        body.append(b" ")
        for _field, _part, values, kind, width, _decimals in tables:
            body.append(values[i].rjust(width) if kind == b"N" else values[i].ljust(width))
    return start + head + b"\r" + b"".join(body) + b"\x1a"


def _coded(kind, values):
    """Columns as dBase holds them: (texts as bytes, type, width, decimals), several where texts are long."""
    if kind == "date":
        return [([b"" if v is None else v.strftime("%Y%m%d").rjust(8, "0").encode() for v in values], b"D", 8, 0)]
    if kind in ("number", "integer"):
        return [_numbers(values)]
    cut = [_pieces(v.encode("utf-8")) if v is not None else [] for v in values]
    out = []
    for part in range(max([1, *map(len, cut)])):
        texts = [pieces[part] if part < len(pieces) else b"" for pieces in cut]
        out.append((texts, b"C", max([1, *map(len, texts)]), 0))
    return out


def _numbers(values):
    """Numbers in as many digits as they have; with an exponent where that would be too long."""
    exact = [None if v is None else Decimal(repr(v) if isinstance(v, float) else int(v)) for v in values]
    places = max([0, *(-min(0, int(d.normalize().as_tuple().exponent)) for d in exact if d is not None)])
    texts = ["" if d is None else f"{d:.{places}f}" for d in exact]
    if max(map(len, texts), default=0) > MAX_NUMBER:
        texts, places = ["" if v is None else repr(v) for v in values], 15
    return [t.encode() for t in texts], b"N", max([places + 2 if places else 1, *map(len, texts)]), places


def _pieces(text):
    """A text in pieces of at most 254 bytes, cut between letters and never beside a blank (it would be lost)."""
    out = []
    while len(text) > MAX_TEXT:
        at = MAX_TEXT
        while at > 1 and (text[at] & 0xC0 == 0x80 or _blank(text, at)):
            at -= 1
        if at == 1:
            at = MAX_TEXT
            while text[at] & 0xC0 == 0x80:
                at -= 1
        out.append(text[:at])
        text = text[at:]
    return [*out, text]


def _blank(text, at):
    return text[at : at + 1].isspace() or text[at - 1 : at].isspace()


# --- names ---


def _names(wanted):
    """A dBase name for every (field, part): at most ten letters, each once."""
    taken, out = set(), []
    for field, part in wanted:
        base, part_tail, n = short_name(field), "" if part == 1 else f"_{part}", 1
        while True:
            tail = part_tail if n == 1 else f"{n}{part_tail}"
            name = base[: MAX_NAME - len(tail)].rstrip("_") + tail
            if name.casefold() not in taken:
                break
            n += 1
        taken.add(name.casefold())
        out.append(name)
    return out


def short_name(field):
    """A field name in ten letters: its words shortened evenly, the language kept.

    >>> [short_name(n) for n in ("code", "geometry_quality", "receiving_water_vi", "central_treatment_note_en")]
    ['code', 'geome_qual', 'rec_wat_vi', 'ce_tr_n_en']
    """
    if len(field) <= MAX_NAME:
        return field
    words = field.split("_")
    language = words.pop() if words[-1] in ("vi", "en") else None
    room = MAX_NAME - (3 if language else 0) - (len(words) - 1)
    length = [len(w) for w in words]
    while sum(length) > room:
        longest = max(range(len(words)), key=lambda i: (length[i], i))
        length[longest] -= 1
    short = "_".join(w[:n] for w, n in zip(words, length, strict=True) if n)
    return (f"{short}_{language}" if language else short)[:MAX_NAME]


_DICTIONARY = ["shapefile_field", "field", "part", "kind", "vi", "en", "unit"]


def restored(frame, dictionary):
    """A frame read from one of these files, with its own column names and its long texts whole again.

    dictionary: the text of fields.csv. A frame with another one, or columns that it does not name, stay as they are.
    """
    rows = list(csv.DictReader(io.StringIO(dictionary.lstrip("\ufeff"))))
    if not rows or list(rows[0]) != _DICTIONARY:
        return frame
    rows = [r for r in rows if r["shapefile_field"] in frame.columns]
    parts = {r["field"]: [q["shapefile_field"] for q in rows if q["field"] == r["field"]] for r in rows}
    out = frame.drop(columns=[n for names in parts.values() for n in names])
    for place, (field, names) in enumerate(parts.items()):
        column = frame[names[0]]
        for more in names[1:]:
            column = column.where(frame[more].isna(), column.fillna("") + frame[more].fillna(""))
        out.insert(place, field, column)
    return out


def _dictionary(fields, names, tables):
    known = {f[0]: f for f in fields}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_DICTIONARY)
    for short, (field, part, *_rest) in zip(names, tables, strict=True):
        _name, kind, vi, en, unit = known[field]
        writer.writerow([short, field, part, kind, vi, en, unit])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")
