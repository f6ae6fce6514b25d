"""Why here, and why not here: every rule and criterion of a study at one place, with how much is missing.

Distances are exact, from the features themselves; a raster's value is that of the cell.
"""

from dataclasses import dataclass

import numpy as np

from geo.grids import in_crs, read_rows
from geo.nearness import Features
from geo.studies import Far, Limit, check


@dataclass(frozen=True)
class Reason:
    """A rule at a place. broken: True, False, or None where it is not known. measured: m from the edge of the plot (Near),
    from its middle (Far), or the raster's value; limit: of the rule; by: how much is missing, 0 if nothing.
    """

    code: str
    broken: bool | None
    measured: float
    limit: float
    by: float
    source: str


@dataclass(frozen=True)
class Part:
    """A criterion at a place: measured, value from 0 to 1, weight as a share of all."""

    code: str
    measured: float
    value: float
    weight: float


@dataclass(frozen=True)
class Explanation:
    """Why here, or why not here. inside: the study area. reasons: of all rules, broken ones first. score: NaN where
    the place is excluded, outside or unknown.
    """

    x: float
    y: float
    inside: bool
    reasons: tuple
    parts: tuple
    score: float

    @property
    def excluded(self):
        return not self.inside or any(reason.broken for reason in self.reasons)


def explain(study, x, y):
    """Explanation of a point (x, y in the grid's CRS) as the middle of a plot, exact for distances."""
    found = explain_all(study, [x], [y])
    return found[0]


def explain_all(study, x, y):
    """[Explanation] of points; arrays of x, y in the grid's CRS."""
    check(study)
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    area = _features(study.area, study, "study area")
    inside = area.distance(x, y) == 0
    reasons = [_reasons(rule, study, x, y) for rule in study.rules]
    total = sum(criterion.weight for criterion in study.criteria)
    measures = [_measured(c.measure, c.by_distance, study, c.code, x, y) for c in study.criteria]
    out = []
    for k in range(len(x)):
        rules = tuple(sorted((column[k] for column in reasons), key=lambda r: {True: 0, None: 1, False: 2}[r.broken]))
        parts = tuple(
            Part(c.code, float(m[k]), float(c.curve(m[k])), c.weight / total)
            for c, m in zip(study.criteria, measures, strict=True)
        )
        good = bool(inside[k]) and all(r.broken is False for r in rules)
        score = sum(p.weight * p.value for p in parts) if good else np.nan
        out.append(Explanation(float(x[k]), float(y[k]), bool(inside[k]), rules, parts, float(score)))
    return out


def _features(shapes, study, name):
    return Features(in_crs(shapes, study.grid.crs, name), study.grid, [], 0.0)


def _measured(measure, by_distance, study, name, x, y):
    if by_distance:
        return _features(measure, study, name).distance(x, y)
    cells = [study.grid.cell(*xy) for xy in zip(x, y, strict=True)]
    return np.array([np.nan if c is None else read_rows(measure, c[0], c[0] + 1)[0, c[1]] for c in cells])


def _reasons(rule, study, x, y):
    if isinstance(rule, Limit):
        values = _measured(rule.raster, False, study, rule.code, x, y)
        out = []
        for value in values:
            low, high = rule.at_least - value, value - rule.at_most
            broken = None if np.isnan(value) else bool(max(low, high) > 0)
            limit = rule.at_least if low > 0 else rule.at_most
            limit = rule.at_least if np.isinf(limit) else limit
            by = float(max(low, high, 0.0)) if broken is not None else np.nan
            out.append(Reason(rule.code, broken, float(value), float(limit), by, rule.source))
        return out
    far = _features(rule.shapes, study, rule.code).distance(x, y)
    if isinstance(rule, Far):
        return [
            Reason(
                rule.code, bool(d > rule.over_m), float(d), rule.over_m, float(max(d - rule.over_m, 0.0)), rule.source
            )
            for d in far
        ]
    out = []
    for d in far:
        edge = max(float(d) - study.plot_radius_m, 0.0)
        broken = bool(d < rule.within_m + study.plot_radius_m or d == 0)
        by = max(rule.within_m - edge, 0.0) if broken else 0.0
        out.append(Reason(rule.code, broken, edge, rule.within_m, by, rule.source))
    return out
