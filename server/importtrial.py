"""What an import shows before it is written: which layer its columns speak for, where its points would fall, what would change.

Documents of plain JSON values, kept beside the file, from which server/importpages.py makes pages.
"""

import json
import math
from collections import Counter

import pandas as pd
import shapely

from layers import ingest
from layers.catalogue import ALL, LAYERS
from layers.errors import vietnamese
from layers.letters import fold
from server import imports

SHOWN = 200
CLEAR = 2  # a layer is guessed where so many more columns fit it than the next one
CORNERS = 300  # of an outline on the map of the dry run; a larger one is drawn as a point in it
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
                own += 2 if values[column] & words else -2
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
        {"name": s.name, "values": list(s.values), "filled": s.filled, "guess": s.field, "role": s.role}
        for s in samples
    ]


def doctor_document(store, seen):
    """What the page of coordinates shows of an imports.Seen: points as [lon, lat, row from 1]."""
    found = seen.diagnosis
    wards = Wards(store)
    scored = {imports.option(r): r for part in found.parts for r in (part.first, part.second, *part.tied) if r}
    readings = [
        {
            "option": o.text, "epsg": o.reading.epsg, "name_en": o.reading.name_en, "name_vi": o.reading.name_vi,
            "share_inside": _finite(scored[o.text].share_inside) if o.text in scored else None,
            "share_near": _finite(scored[o.text].share_near_places) if o.text in scored else None,
            "median_m": _finite(scored[o.text].median_m) if o.text in scored else None,
            "points": [[round(lon, 7), round(lat, 7), row + 1] for row, lon, lat in o.points],
        }
        for o in seen.options
    ]  # fmt: skip
    named = dict(getattr(seen, "names", {}) or {})
    return {
        "verdict": found.verdict, "reason_en": found.reason_en, "reason_vi": found.reason_vi,
        "declared_wrong": bool(found.declared_wrong), "rests_on": found.parts[0].rests_on if found.parts else None,
        "apart_m": _finite(seen.apart_m), "readings": readings, "rows": _rows_told(readings[:2], named, wards),
    }  # fmt: skip


def _rows_told(readings, named, wards):
    """Some rows with the text that names a commune, and the commune in which each reading puts them."""
    points = [{p[2]: p for p in r["points"]} for r in readings]
    rows = [n for n in points[0] if all(n in p for p in points)] if points else []
    rows = sorted(rows, key=lambda n: (n - 1 not in named, n))
    step = max(1, len(rows) // ROWS_TOLD)
    out = []
    for n in sorted(rows[::step][:ROWS_TOLD]):
        text, ward = named.get(n - 1, ("", None))
        cells = []
        for p in points:
            code, name = wards.at(p[n][0], p[n][1])
            cells.append({"ward": name, "agrees": None if ward is None else code == ward,
                          "lon": f"{p[n][0]:.5f}", "lat": f"{p[n][1]:.5f}"})  # fmt: skip
        out.append({"row": n, "names": text, "cells": cells})
    return out


class Wards:
    """Which ward a point lies in, by the outlines that the store has."""

    def __init__(self, store):
        admin = store.snapshot("admin_units")
        wards = admin[admin["kind"].isin(imports.WARD_KINDS) & admin.geometry.notna()]
        self._tree = shapely.STRtree(wards.geometry.to_numpy())
        self._names = list(zip(wards["code"], wards["name_vi"], strict=True))

    def at(self, lon, lat):
        found = self._tree.query(shapely.Point(lon, lat), predicate="intersects")
        return self._names[found[0]] if len(found) else (None, None)


def counts(prepared):
    """How many rows are new, changed, same, missing and refused."""
    trial = prepared.trial
    return {"new": len(trial.new), "changed": len(trial.changed), "same": int(trial.same), "missing": len(trial.missing),
            "refused": len({p.row for p in trial.refused})}  # fmt: skip


def trial_document(prepared, held):
    """What the page of the dry run shows: at most SHOWN of each kind, values as JSON, places as GeoJSON."""
    layer, trial = prepared.layer, prepared.trial
    here = _by_key(layer, trial.checked.rows)
    there = _by_key(layer, held) if trial.missing else {}
    column_of = {f: c for c, f in prepared.columns.items()}
    return {
        "shown": SHOWN,
        "new": [_row(layer, key, here) for key in trial.new[:SHOWN]],
        "changed": [
            _row(layer, key, here)
            | {"changes": [{"field": f, "old": _json(a), "new": _json(b)} for f, (a, b) in differences.items()]}
            for key, differences in list(trial.changed.items())[:SHOWN]
        ],
        "missing": [_row(layer, key, there) for key in trial.missing[:SHOWN]],
        "refused": [_refused(p, prepared.frame, column_of) for p in trial.refused[:SHOWN]],
        "notes": [_both(n) for n in prepared.notes if n not in trial.checked.repairs],
        "repairs": [_both(n) for n in trial.checked.repairs[:SHOWN]],
    }


def _by_key(layer, frame):
    return {tuple(_blank(r[k]) for k in layer.key): r for r in frame.to_dict("records")}


def _blank(value):
    return None if value is None or pd.isna(value) else value


def _row(layer, key, rows):
    row = rows.get(key, {})
    names = {f"name_{lang}": _blank(row.get(f"name_{lang}")) for lang in ("vi", "en")}
    return {"key": "/".join("–" if k is None else str(_json(k)) for k in key), "names": names,
            "place": place(row.get("geometry"))}  # fmt: skip


def _refused(problem, frame, column_of):
    column = column_of.get(problem.field) if problem.field else None
    row = frame.iloc[problem.row]
    value = row[column] if column is not None else problem.value
    return {"row": problem.row + 1, "key": problem.key, "column": column, "field": problem.field, "value": _text(value),
            "reason": _both(problem.reason), "place": place(row.get("geometry"))}  # fmt: skip


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
