"""Where a plant may stand, and how good each place is.

Rules exclude cells, and every cell keeps the reasons: a bit for each rule that it breaks. What is left is scored

    score = sum of weight_k value_k / sum of weight_k,    0 (bad) to 1 (good)

value_k being a piecewise linear function of a measure: the distance to features, or a raster. A cell outside the
study area, or where a raster is unknown, is neither good nor bad: it has no score, and its bit says why (multi-criteria
evaluation by weighted linear combination: Malczewski 1999, GIS and Multicriteria Decision Analysis).

A cell stands for a plot whose middle is the middle of the cell: a rule about nearness is asked from the edge of a disc of
plot_radius_m round it, exactly. Measures of criteria are taken from the middle, to 0.71 of a cell; `explain` is exact.
Everything is done in strips of rows, so a grid of any size needs the same memory.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from geo.grids import in_crs, read_rows
from geo.nearness import Features
from geo.studies import Criterion, Limit, Near, Study, StudyError, check, reach_of

OUTSIDE, UNKNOWN = 1, 2  # the first two bits; rule k has bit 4 << k
IN_MEMORY = 30_000_000  # cells of score and reasons: 240 MB


class Cancelled(Exception):
    """The work was ended on request; what was made is not whole."""


@dataclass(frozen=True, eq=False)
class Strip:
    """Rows first to last (not included) of the answer. score: float32, NaN where there is none; reasons: uint32."""

    first: int
    last: int
    score: np.ndarray
    reasons: np.ndarray


@dataclass(frozen=True, eq=False)
class Suitability:
    """The whole answer. score: rows x columns, float32, NaN where there is none; reasons: uint32, 0 where it may stand."""

    study: Study
    score: np.ndarray
    reasons: np.ndarray

    def excluded_ha(self):
        """Series: hectares by reason (a cell may have several), and 'free' for what is left, in the study area."""
        cell_ha = self.study.grid.cell_m**2 / 10_000
        codes = ("unknown", *(rule.code for rule in self.study.rules))
        counts = {code: int((self.reasons & (UNKNOWN << k) > 0).sum()) for k, code in enumerate(codes)}
        return pd.Series(counts | {"free": int((self.reasons == 0).sum())}, name="ha") * cell_ha


def strips(study, *, height=None, progress=None, stop=None):
    """Generates the Strips of a study from the north. progress: called with the share done. stop: true ends it.

    height: rows of a strip (default: so many that memory stays level). Raises StudyError, GridError (rasters not on the
    grid, layers without CRS) before the first strip, Cancelled.
    """
    check(study)
    grid, cuts = study.grid, study.grid.strips(height)
    layers = [_Layer.of(item, study, cuts) for item in (*study.rules, *study.criteria)]
    steps, done = (len(cuts) + 1) * sum(layer.features is not None for layer in layers) + len(cuts) * len(layers), 0

    def step():
        nonlocal done
        done += 1
        if progress is not None:
            progress(min(done / max(steps, 1), 1.0))
        if stop is not None and stop():
            raise Cancelled

    for layer in layers:
        layer.begin(step)
    area = Features(in_crs(study.area, grid.crs, "study area"), grid, cuts, 0.0)
    total = sum(criterion.weight for criterion in study.criteria)
    for first, last in cuts:
        shape = (last - first, grid.columns)
        reasons = np.where(area.inside(first, last), 0, OUTSIDE).astype(np.uint32)
        score = np.zeros(shape)
        for k, layer in enumerate(layers):
            measure = layer.measure(first, last)
            if k < len(study.rules):
                broken, unknown = layer.broken(measure, first, last)
                reasons[broken] |= np.uint32(4 << k)
            else:
                unknown = np.isnan(measure)
                score += layer.item.weight / total * layer.item.curve(measure)
            reasons[unknown] |= np.uint32(UNKNOWN)
            step()
        score[reasons > 0] = np.nan
        yield Strip(first, last, score.astype(np.float32), reasons)
    if progress is not None:
        progress(1.0)


def suitability(study, *, progress=None, stop=None):
    """Suitability of a study that fits in memory. Raises as strips, and StudyError above 30 million cells."""
    grid = study.grid
    if grid.rows * grid.columns > IN_MEMORY:
        raise StudyError(
            f"{grid.rows * grid.columns:,} cells do not fit in memory: write them to files, or choose larger cells.",
            f"{grid.rows * grid.columns:,} ô không vừa bộ nhớ: hãy ghi ra tệp hoặc chọn ô lớn hơn.",
        )
    score = np.empty((grid.rows, grid.columns), dtype=np.float32)
    reasons = np.empty((grid.rows, grid.columns), dtype=np.uint32)
    for part in strips(study, progress=progress, stop=stop):
        score[part.first : part.last], reasons[part.first : part.last] = part.score, part.reasons
    return Suitability(study, score, reasons)


class _Layer:
    """A rule or criterion at work: what it measures, strip by strip from the north."""

    def __init__(self, item, features=None, raster=None, reach_m=0.0):
        self.item, self.features, self.raster, self.reach_m = item, features, raster, reach_m

    @staticmethod
    def of(item, study, cuts):
        if isinstance(item, Limit):
            return _Layer(item, raster=item.raster)
        if isinstance(item, Criterion) and not item.by_distance:
            return _Layer(item, raster=item.measure)
        reach = reach_of(item, study)
        shapes = in_crs(item.measure if isinstance(item, Criterion) else item.shapes, study.grid.crs, item.code)
        return _Layer(item, features=Features(shapes, study.grid, cuts, reach + 2 * study.grid.cell_m), reach_m=reach)

    def begin(self, step):
        if self.features is not None:
            self.above, self.below = self.features.sweep(step=step)

    def measure(self, first, last):
        if self.features is None:
            return read_rows(self.raster, first, last)
        distance, self.above = self.features.strip_distances(first, last, self.above, self.below[first])
        return distance

    def broken(self, measure, first, last):
        """(where the rule is broken, where that is not known)."""
        if isinstance(self.item, Limit):
            return (measure < self.item.at_least) | (measure > self.item.at_most), np.isnan(measure)
        cell = self.features.grid.cell_m
        near = measure < self.reach_m - cell
        close = np.nonzero(np.abs(measure - self.reach_m) <= cell)
        inside = self.features.inside(first, last)
        if isinstance(self.item, Near):
            near[close] = self.features.within(first, close, self.reach_m, inside=inside)
            return near, np.zeros_like(near)
        near[close] = self.features.within(first, close, np.nextafter(self.reach_m, np.inf), inside=inside)
        return ~near, np.zeros_like(near)
