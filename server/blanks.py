"""What a file leaves open in its rows, and what stands there then: keys by number, what the store holds, boundaries."""

from collections import Counter

import geopandas as gpd
import numpy as np
import pandas as pd

from layers import boundaries, ingest
from layers.errors import said
from layers.trials import alike


def numbered(made, layer, fill, numbers):
    """Blank keys filled; "#" in the value becomes the number of the row."""
    for name, value in fill.items():
        if name in layer.key and isinstance(value, str) and "#" in value:
            own = pd.Series([value.replace("#", f"{n + 1:04}") for n in numbers], index=made.index, dtype=object)
            held = made[name] if name in made else pd.Series(None, index=made.index, dtype=object)
            made[name] = held.where(held.notna(), own)
    return ingest.fill_blanks(made, {k: v for k, v in fill.items() if k in layer.key and "#" not in str(v)})


def unplaced(layer, made, fill):
    """The rows, of which those that have no place say so, instead of taking the quality that was given for all."""
    if not layer.geometry or "geometry_quality" not in fill:
        return made
    held = made["geometry_quality"] if "geometry_quality" in made else pd.Series(None, index=made.index, dtype=object)
    return made.assign(geometry_quality=held.mask(held.isna() & made.geometry.isna().to_numpy(), "none"))


_OF_THE_PLACE = ("geometry_quality", "coord_accuracy_m", "coord_source")


def kept(held, layer, made, keys, fill):
    """Rows that are in the store already keep their fields, and place, where the file has no such column."""
    at = held.find([k or "" for k in keys])
    known = at >= 0
    moved = np.zeros(len(made), dtype=bool)
    if layer.geometry:
        before = held.frame.geometry.to_numpy()[at[known]]
        moved[known] = made.geometry.notna()[known] & ~alike(before, made.geometry.to_numpy()[known])
    for f in layer.fields:
        if f.name not in made.columns:
            values = pd.Series([None] * len(made), index=made.index, dtype=object)
            values[known] = held.frame[f.name].to_numpy(dtype=object)[at[known]]
            if f.name in _OF_THE_PLACE and f.name in fill:
                values[moved] = None  # it speaks of the place, and the place is new
            made[f.name] = values
    if layer.geometry and made.geometry.isna().all():
        shapes = np.full(len(made), None, dtype=object)
        shapes[known] = held.frame.geometry.to_numpy()[at[known]]
        made = made.set_geometry(gpd.GeoSeries(shapes, index=made.index, crs=made.crs))
    return made


class Filing:
    """The boundary versions that new rows are filed under where their file does not say it. today: None for never."""

    def __init__(self, store, layer, today):
        self._store, self._today, self._counts = store, today if "filed_under" in layer.by_name else None, Counter()

    def fill(self, made, held, keys):
        """(the rows with filed_under, numbers of the new ones); what is known keeps its own. keys: None for all new."""
        if self._today is None:
            return made, ()
        at = np.full(len(made), -1) if keys is None else held.find([k or "" for k in keys])
        values = np.array([None] * len(made), dtype=object)
        values[at >= 0] = held.frame["filed_under"].to_numpy(dtype=object)[at[at >= 0]]
        values[at < 0] = boundaries.filed_under(self._store, made[at < 0], self._today)
        filed = pd.Series(values, index=made.index, dtype=object)
        return made.assign(filed_under=filed), set(np.flatnonzero(at < 0))

    def count(self, made, taken):
        """Note what became of new rows that are taken, by their numbers in `made`."""
        if len(taken):
            self._counts.update(made["filed_under"].iloc[taken].tolist())

    def notes(self):
        """Sentences for the dry run."""
        known = sorted((code, count) for code, count in self._counts.items() if code is not None)
        out = []
        if known:
            out.append(
                said(
                    "The file does not say under which boundaries its rows were filed; new ones get it by the date of "
                    "their source, else by today: {versions}.",
                    "Tệp không ghi các dòng theo bản ranh giới nào; dòng mới được ghi theo ngày của nguồn, nếu không thì "
                    "theo hôm nay: {versions}.",
                    versions=", ".join(f"{code} ({count:,})" for code, count in known),
                )
            )
        if self._counts[None]:
            out.append(
                said(
                    "Under which boundaries {count} new rows were filed stays open: they name an old district, and no "
                    "date tells which.",
                    "Chưa rõ {count} dòng mới ghi theo bản ranh giới nào: chúng nêu đơn vị cấp huyện cũ mà không có "
                    "ngày cho biết bản nào.",
                    count=self._counts[None],
                )
            )
        return out
