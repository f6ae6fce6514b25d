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
        return hectares(self.study, count_reasons(self.study, self.reasons))


def count_reasons(study, reasons):
    """Cells of the study area by reason, and 'free': {code: count}; a cell may have several. reasons: some rows of it."""
    inside = reasons[(reasons & OUTSIDE) == 0]
    codes = ("unknown", *(rule.code for rule in study.rules))
    counts = {code: int((inside & (UNKNOWN << k) > 0).sum()) for k, code in enumerate(codes)}
    return counts | {"free": int((inside == 0).sum())}


def hectares(study, counts):
    """Series of hectares of the counts of cells."""
    return pd.Series(counts, name="ha") * (study.grid.cell_m**2 / 10_000)


def strips(study, *, height=None, progress=None, stop=None):
    """Generates the Strips of a study from the north. progress: called with the share done. stop: true ends it.

    height: rows of a strip (default: so many that memory stays level). Raises StudyError, GridError (rasters not on the
    grid, layers without CRS) before the first strip, Cancelled.
    """
    check(study)
    grid, cuts = study.grid, study.grid.strips(height)
    items = (*study.rules, *study.criteria)
    sources = _sources(study, items, cuts)
    steps, done = (len(cuts) + 1) * len(set(sources.values())) + len(cuts) * len(items), 0

    def step():
        nonlocal done
        done += 1
        if progress is not None:
            progress(min(done / steps, 1.0))
        if stop is not None and stop():
            raise Cancelled

    for source in dict.fromkeys(sources.values()):
        source.begin(step)
    area = Features(in_crs(study.area, grid.crs, "study area"), grid, cuts, 0.0)
    total = sum(criterion.weight for criterion in study.criteria)
    for first, last in cuts:
        reasons = np.where(area.inside(first, last), 0, OUTSIDE).astype(np.uint32)
        score = np.zeros(reasons.shape)
        for k, item in enumerate(items):
            measure = sources[item.code].distances(first, last) if item.code in sources else _rows(item, first, last)
            if isinstance(item, Criterion):
                score += item.weight / total * item.curve(measure)
            elif isinstance(item, Limit):
                reasons[(measure < item.at_least) | (measure > item.at_most)] |= np.uint32(4 << k)
            else:
                reasons[_broken(item, study, sources[item.code], measure, first)] |= np.uint32(4 << k)
            reasons[np.isnan(measure)] |= np.uint32(UNKNOWN)
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


class _Source:
    """The distances from one set of features, for all rules and criteria that ask for them, strip by strip."""

    def __init__(self, shapes, grid, cuts, most_m):
        self.features, self.first = Features(shapes, grid, cuts, most_m), None

    def begin(self, step):
        self.above, self.below = self.features.sweep(step=step)

    def distances(self, first, last):
        if self.first != first:
            found, self.above = self.features.strip_distances(first, last, self.above, self.below[first])
            self.first, self.found = first, found
        return self.found


def _sources(study, items, cuts):
    """{code: _Source} of the items that measure distances; the same features, the same source."""
    asked = {item.code: _shapes(item) for item in items if _shapes(item) is not None}
    most = {}
    for item in items:
        if item.code in asked:
            key = id(asked[item.code])
            most[key] = max(most.get(key, 0.0), reach_of(item, study) + 2 * study.grid.cell_m)
    made = {}
    for code, shapes in asked.items():
        if id(shapes) not in made:
            own = in_crs(shapes, study.grid.crs, code)
            made[id(shapes)] = _Source(own, study.grid, cuts, most[id(shapes)])
    return {code: made[id(shapes)] for code, shapes in asked.items()}


def _shapes(item):
    if isinstance(item, Criterion):
        return item.measure if item.by_distance else None
    return None if isinstance(item, Limit) else item.shapes


def _rows(item, first, last):
    return read_rows(item.raster if isinstance(item, Limit) else item.measure, first, last)


def _broken(rule, study, source, distance, first):
    """Where a Near or Far is broken; exact where the distance of the cells leaves a doubt."""
    reach, cell = reach_of(rule, study), study.grid.cell_m
    near = distance < reach - cell
    close = np.nonzero(np.abs(distance - reach) <= cell)
    inside = source.features.inside(first, first + len(distance))
    limit = reach if isinstance(rule, Near) else np.nextafter(reach, np.inf)
    near[close] = source.features.within(first, close, limit, inside=inside)
    return near if isinstance(rule, Near) else ~near
