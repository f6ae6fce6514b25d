"""What an import shows before it is written: which layer its columns speak for, where its points would fall, what would change.

Documents of plain JSON values, kept beside the file, from which server/importtables.py makes pages.
"""

import json
import math
from collections import Counter

import pandas as pd
import shapely

from geo.coordinates import parse_coordinates
from layers import ingest
from layers.catalogue import ALL, LAYERS
from layers.errors import vietnamese
from layers.letters import fold
from layers.staging import key_parts, key_text
from layers.trials import CHANGED, NEW, Held
from server import imports, placing
from server.changes import Shape

SHOWN = 200
CLEAR = 2  # a layer is guessed where so many more columns fit it than the next one
CORNERS = 300  # of an outline on the map of the dry run; a larger one is drawn as a point in it
PARTS_EN = "Each row in the system that fits it"
PARTS_VI = "Mỗi dòng theo hệ hợp với nó"
ROWS_TOLD = 8  # rows whose text and places the page of coordinates shows
_HAVE = Counter(f.name for layer in ALL.values() for f in layer.fields)
COMMON = {name for name, n in _HAVE.items() if n > len(LAYERS) / 3}  # fields that tell nothing about the layer


# --- guessing the layer ---------------------------------------------------------------------------


def ranked(samples, names):
    """[{"name", "matched", "own", "key"}] of these layers by how well the columns fit them, the likeliest first.

    own: columns of fields that few layers have, and allowed values that the column really holds; key: whether
    the whole key is there.
    """
    out, values = [], {s.name: {fold(v) for v in s.values} for s in samples}
    for name in names:
        layer = ALL[name]
        match = ingest.mapping(layer, [s.name for s in samples if not s.role])
        own = sum(f not in COMMON for f in match.values())
        for column, field in match.items():
            words = {fold(w) for c in layer.by_name[field].allowed for w in (c.value, c.vi, c.en)}
            if words and values[column]:
                own += 3 if values[column] & words else -3
        out.append({"name": name, "matched": len(match), "own": own, "key": set(layer.key) <= set(match.values())})
    return sorted(out, key=lambda r: (-r["key"], -r["own"], -r["matched"]))


def clear_winner(layers):
    """The layer that the columns speak for, or None where they do not say."""
    able = [r for r in layers if r["key"] and r["own"] > 0]
    if not able or (len(able) > 1 and able[0]["own"] - able[1]["own"] < CLEAR):
        return None
    return able[0]["name"]


# --- documents for the pages ----------------------------------------------------------------------


def columns_document(samples):
    """The columns of a file for the page that matches them."""
    return [
        {
            "name": s.name,
            "values": list(s.values),
            "filled": s.filled,
            "guess": s.field,
            "role": s.role,
            "encoding": s.encoding,
        }
        for s in samples
    ]


def doctor_document(store, seen):
    """What the page of coordinates shows of an imports.Seen: points as [lon, lat, row from 1]."""
    found = seen.diagnosis
    wards = placing.Wards(store)
    scored = {imports.option(r): r for part in found.parts for r in (part.first, part.second, *part.tied) if r}
    readings = [
        {
            "option": o.text, "epsg": o.reading and o.reading.epsg, "name_en": o.reading.name_en if o.reading else PARTS_EN,
            "name_vi": o.reading.name_vi if o.reading else PARTS_VI,
            "share_inside": _finite(scored[o.text].share_inside) if o.text in scored else None,
            "share_near": _finite(scored[o.text].share_near_places) if o.text in scored else None,
            "median_m": _finite(scored[o.text].median_m) if o.text in scored else None,
            "points": [[round(lon, 7), round(lat, 7), row + 1] for row, lon, lat in o.points],
        }
        for o in seen.options
    ]  # fmt: skip
    return {
        "verdict": found.verdict, "reason_en": found.reason_en, "reason_vi": found.reason_vi,
        "declared_wrong": bool(found.declared_wrong), "rests_on": found.parts[0].rests_on if found.parts else None,
        "parts": [{"name_en": p.first.name_en, "name_vi": p.first.name_vi, "rows": int((found.rows == i).sum())}
                  for i, p in enumerate(found.parts)],
        "apart_m": _finite(seen.apart_m), "readings": readings, "rows": _rows_told(readings[:2], seen.named, wards),
    }  # fmt: skip


def _rows_told(readings, named, wards):
    """Some rows with the text that names a commune, and the commune in which each reading puts them."""
    points = [{p[2]: p for p in r["points"]} for r in readings]
    rows = [n for n in points[0] if all(n in p for p in points)] if points else []
    rows = sorted(rows, key=lambda n: (n - 1 not in named, n))
    step = max(1, len(rows) // ROWS_TOLD)
    out = []
    for n in sorted(rows[::step][:ROWS_TOLD]):
        ward = named.get(n - 1)
        cells = []
        for p in points:
            lies = int(wards.at(shapely.points([p[n][:2]]))[0])
            cells.append({"ward": wards.names[lies] if lies >= 0 else None, "agrees": None if ward is None else lies >= 0 and wards.names[lies] == ward,
                          "lon": f"{p[n][0]:.5f}", "lat": f"{p[n][1]:.5f}"})  # fmt: skip
        out.append({"row": n, "names": ward or "", "cells": cells})
    return out


def counts(prepared):
    """How many rows are new, changed, same, missing and refused."""
    trial = prepared.trial
    return {"new": trial.new_count, "changed": trial.changed_count, "same": trial.same, "missing": trial.missing_count,
            "refused": trial.refused_count}  # fmt: skip


def trial_document(prepared, held, choices):
    """What the page of the dry run shows: at most SHOWN of each kind, values as JSON, places as GeoJSON.

    held: the frame that the file was compared with. choices: of the import.
    """
    layer, trial = prepared.layer, prepared.trial
    there = Held(layer, held)
    gone = there.find([key_text(k) for k in trial.missing[:SHOWN]])
    known = set(map(str, trial.repairs))
    known |= {prepared.diagnosis.reason_en} if choices.get("reading") and prepared.diagnosis else set()
    return {
        "shown": SHOWN, "columns": prepared.columns, "left_out": prepared.left_out,
        "new": [_row(layer, row) for _key, row in _first(prepared, NEW)],
        "changed": [_changed(layer, row, trial.changed[key_parts(key)], there, key)
                    for key, row in _first(prepared, CHANGED) if key_parts(key) in trial.changed],
        "missing": [_row(layer, row) for row in held.iloc[gone].to_dict("records")],
        "refused": _refused(prepared, choices),
        "notes": [_both(n) for n in prepared.notes if str(n) not in known],
        "repairs": [_both(n) for n in trial.repairs], "repaired": trial.repaired,
        "odd": [{"row": w.row + 1, "key": w.key, "sentence": _both(w.reason)} for w in prepared.warnings[:SHOWN]],
    }  # fmt: skip


def _first(prepared, fate):
    """(key text, row) of the first rows of one fate."""
    _numbers, keys, checked = next(prepared.staging.pieces((fate,)), ((), (), None))
    return [] if checked is None else list(zip(keys, checked.rows.iloc[:SHOWN].to_dict("records"), strict=False))


def _blank(value):
    return None if value is None or pd.isna(value) else value


def _row(layer, row):
    key = "/".join("–" if _blank(row[k]) is None else str(_json(row[k])) for k in layer.key)
    names = {f"name_{lang}": _blank(row.get(f"name_{lang}")) for lang in ("vi", "en")}
    return {"key": key, "names": names, "place": place(row.get("geometry"))}


def _changed(layer, row, differences, there, key):
    made = _row(layer, row) | {"changes": []}
    for field, (old, new) in differences.items():
        if field == "geometry":
            before = there.frame.geometry.iloc[int(there.find([key])[0])]
            shape = Shape(before, row["geometry"])
            made |= {"was": place(before)}
            made["changes"].append({"field": field, "how": shape.how, "metres": _finite(shape.metres)})
        else:
            made["changes"].append({"field": field, "old": _json(old), "new": _json(new)})
    return made


def _refused(prepared, choices):
    """The problems of the first refused rows with the column and value they speak of, and the row's place."""
    problems = prepared.trial.refused
    column_of = {f: c for c, f in prepared.columns.items()}
    cells = dict(prepared.staging.raw_rows([p.row for p in problems]))
    spots = _spots(prepared, cells, choices)
    out = []
    for p in problems:
        column = column_of.get(p.field)
        value = cells[p.row].get(column) if column is not None else p.value
        out.append({"row": p.row + 1, "key": p.key, "column": column, "field": p.field, "value": _text(value),
                    "reason": _both(p.reason), "place": place(spots.get(p.row))})  # fmt: skip
    return out


def _spots(prepared, cells, choices):
    """{row: geometry in EPSG:4326} of refused rows, as far as their coordinates can be read."""
    if prepared.placement is None or not cells:
        return {}
    left = [c for c in prepared.staging.columns if c not in prepared.columns and c not in prepared.left_out]
    chosen = {f: c for c, f in (choices.get("columns") or {}).items()}
    found = ingest.roles(left)
    x, y = chosen.get("@x", found.x), chosen.get("@y", found.y)
    out = {}
    if x in left and y in left:
        rows = sorted(cells)
        xs, ys = (parse_coordinates([cells[r].get(c) for r in rows])[0] for c in (x, y))
        for i, row in enumerate(rows):
            lon, lat = prepared.placement.points(xs[i : i + 1], ys[i : i + 1], row)
            if pd.notna(lon[0]) and pd.notna(lat[0]):
                out[row] = shapely.Point(lon[0], lat[0])
        return out
    for first, frame, shapes, _high, _unread in prepared.staging.raw():
        if shapes is None or len(out) == len(cells):
            break
        for row in [r for r in cells if first <= r < first + len(frame)]:
            out[row] = prepared.placement.shapes(shapes[row - first : row - first + 1], row)[0]
    return out


def _both(sentence):
    return {"en": str(sentence), "vi": vietnamese(sentence)}


def _text(value):
    return "" if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)) else str(value)[:200]


def _json(value):
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return _finite(value)
    return value.date().isoformat() if isinstance(value, pd.Timestamp) else str(value)


def _finite(value):
    return float(value) if value is not None and pd.notna(value) and abs(value) != float("inf") else None


def place(geometry):
    """A geometry as GeoJSON for a map: outlines in as few corners as show them, or a point in one that has too many."""
    if geometry is None or (isinstance(geometry, float) and pd.isna(geometry)) or geometry.is_empty:
        return None
    if geometry.geom_type != "Point":
        geometry = shapely.simplify(geometry, 0.0003)
        if shapely.get_num_coordinates(geometry) > CORNERS or geometry.is_empty:
            geometry = shapely.point_on_surface(geometry)
    if not all(map(math.isfinite, geometry.bounds)):
        return None
    return json.loads(shapely.to_geojson(geometry))
