"""Which column of a file holds which field, and its values under the catalogue's names."""

import re

import geopandas as gpd
import pandas as pd

from layers.letters import fold


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
    squeezed = {_squeezed(n): n for n in layer.by_name}
    for known, inside, spell in ((names, True, fold), (labels, False, fold), (squeezed, True, _squeezed)):
        for c in columns:
            before, _, bracket = str(c).rstrip(")").rpartition(" (")
            spelled = _spellings(str(c), bracket if inside else before)
            name = next((known[w] for w in map(spell, spelled) if w in known), None)
            if name and name not in taken and c not in out:
                out[c] = name
                taken.add(name)
    return {c: out[c] for c in columns if c in out}


def _squeezed(text):
    """areaKm2, AREA_KM2 and area km2 are one."""
    return re.sub(r"[\W_]+", "", text).lower()


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
