"""What a file would do to a layer: new, changed, same, missing and refused rows, before anything is written."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import shapely

from layers import checks
from layers.staging import key_parts, key_text

SHOWN = 200  # rows of each kind that are kept to be shown
NEW, CHANGED, SAME = "new", "changed", "same"


@dataclass(frozen=True)
class Trial:
    """A dry run. new, missing: keys; changed: {key: {field: (old, new)}}, geometry told in a word; refused:
    layers.checks.Problem; at most SHOWN of each. The counts are of all rows. missing are in the layer but not in
    the file. repairs: sentences; repaired: how many there are."""

    new: list
    changed: dict
    same: int
    missing: list
    refused: list
    new_count: int
    changed_count: int
    missing_count: int
    refused_count: int
    repairs: list = field(default_factory=list)
    repaired: int = 0


class Held:
    """The rows of a layer as they are, found by key."""

    def __init__(self, layer, frame):
        self.layer, self.frame = layer, frame
        self.keys = [key_text(k) for k in checks.key_texts(layer, frame)]
        self._index = pd.Index(self.keys, dtype=object)

    def find(self, keys):
        """The position of each key text, -1 where it is not there."""
        if not len(self._index):
            return np.full(len(keys), -1)
        if not self._index.is_unique:
            return self._index[~self._index.duplicated()].get_indexer(keys)
        return self._index.get_indexer(pd.Index(keys, dtype=object))


def compare(staging, held, *, step=None):
    """Mark every taken row of the staging as new, changed or same, and tell it as a Trial."""
    layer, seen = staging.layer, np.zeros(len(held.keys), dtype=bool)
    changed, total, done = {}, max(staging.count(), 1), 0
    for numbers, keys, checked in staging.pieces():
        at = held.find(keys)
        known = at >= 0
        seen[at[known]] = True
        fates = np.where(known, SAME, NEW).astype(object)
        there = np.flatnonzero(known)
        differences = _differences(layer, held.frame, at[there], checked.rows, there)
        for i in np.flatnonzero(np.any(list(differences.values()), axis=0)) if differences else ():
            fates[there[i]] = CHANGED
            if len(changed) < SHOWN:
                changed[key_parts(keys[there[i]])] = _told(
                    layer, held.frame, int(at[there[i]]), checked.rows, int(there[i]), differences, i
                )
        staging.mark(numbers, fates.tolist())
        done += len(numbers)
        if step:
            step(done / total)
    missing = np.flatnonzero(~seen)
    repaired, repairs = staging.repairs(SHOWN)
    return Trial(
        new=staging.keys(NEW, SHOWN), changed=changed, same=staging.count(SAME),
        missing=[key_parts(held.keys[i]) for i in missing[:SHOWN]], refused=list(staging.problems(SHOWN)),
        new_count=staging.count(NEW), changed_count=staging.count(CHANGED), missing_count=len(missing),
        refused_count=staging.refused_count(), repairs=repairs, repaired=repaired,
    )  # fmt: skip


def _differences(layer, old, at, new, there):
    """{field: which of the rows `there` of new differ from the rows `at` of old}; only fields where some do."""
    out = {}
    for f in layer.fields:
        a, b = old[f.name].to_numpy(), new[f.name].to_numpy()
        a, b = a[at], b[there]
        blank_a, blank_b = pd.isna(a), pd.isna(b)
        differs = (a != b) & ~(blank_a & blank_b)
        if differs.any():
            out[f.name] = np.asarray(differs, dtype=bool)
    if layer.geometry and len(there):
        differs = ~alike(old.geometry.to_numpy()[at], new.geometry.to_numpy()[there])
        if differs.any():
            out["geometry"] = differs
    return out


def alike(a, b):
    """Which pairs of shapes are one: equal to 1e-9, a polygon and a multipolygon of it too, both missing too."""
    none_a, none_b = shapely.is_missing(a), shapely.is_missing(b)
    out = none_a & none_b
    both = np.flatnonzero(~none_a & ~none_b)
    if len(both):
        one, other = _multi(a[both]), _multi(b[both])
        same = shapely.equals_exact(one, other, tolerance=1e-9, normalize=True)
        for i in np.flatnonzero(~same):
            if shapely.get_dimensions(one[i]) == shapely.get_dimensions(other[i]) == 2:
                same[i] = bool(shapely.equals(one[i], other[i]))
        out[both] = same
    return out


def _multi(shapes):
    shapes = shapes.copy()
    single = np.flatnonzero(shapely.get_type_id(shapes) == 3)
    if len(single):
        shapes[single] = shapely.multipolygons(shapes[single], indices=np.arange(len(single)))
    return shapes


def _told(layer, old, at, new, there, differences, i):
    out = {}
    for name, differs in differences.items():
        if not differs[i]:
            continue
        if name == "geometry":
            a, b = old.geometry.iloc[at], new.geometry.iloc[there]
            out[name] = ("", "moved" if a is not None and b is not None else "added" if a is None else "removed")
        else:
            out[name] = (_shown(old[name].iloc[at]), _shown(new[name].iloc[there]))
    return out


def _shown(value):
    return None if value is None or pd.isna(value) else value
