"""A question of suitability: where, by which rules, measured how, weighed how.

Rules exclude; criteria weigh. A plan of such a study is a value: the same study gives the same answer.
"""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np

from geo.grids import Grid, check_aligned

MOST_RULES = 29


class StudyError(ValueError):
    """A study that makes no sense. str() is the sentence in English, .vi in Vietnamese."""

    def __init__(self, en, vi):
        self.en, self.vi = en, vi
        super().__init__(en)


@dataclass(frozen=True)
class Curve:
    """Value of a measure: straight lines between (measure, value) points, level before the first and after the last.

    >>> near_is_good = Curve(((0, 1.0), (2000, 0.0)))
    >>> near_is_good([-5, 500, 2000, 9000]).tolist()
    [1.0, 0.75, 0.0, 0.0]
    """

    points: tuple

    def __post_init__(self):
        x, y = np.array(self.points, dtype=float).reshape(-1, 2).T
        if len(x) < 2 or not (np.diff(x) > 0).all() or not ((y >= 0) & (y <= 1)).all() or not np.isfinite(x).all():
            raise StudyError(
                "A curve needs two or more points with rising measures and values from 0 to 1.",
                "Đường giá trị cần từ hai điểm, số đo tăng dần và giá trị từ 0 đến 1.",
            )

    def __call__(self, measure):
        x, y = np.array(self.points, dtype=float).T
        measure = np.asarray(measure, dtype=float)
        return np.where(np.isnan(measure), np.nan, np.interp(measure, x, y))


@dataclass(frozen=True, eq=False)
class Near:
    """Excludes plots nearer than within_m to features, or touching them (0). source: the row of a law, a document."""

    code: str
    shapes: gpd.GeoSeries
    within_m: float = 0.0
    source: str = ""


@dataclass(frozen=True, eq=False)
class Far:
    """Excludes cells whose middle is farther than over_m from all features, such as the water that receives."""

    code: str
    shapes: gpd.GeoSeries
    over_m: float
    source: str = ""


@dataclass(frozen=True, eq=False)
class Limit:
    """Excludes cells where a raster is below at_least or above at_most; unknown where it is unknown."""

    code: str
    raster: object
    at_least: float = -np.inf
    at_most: float = np.inf
    source: str = ""


@dataclass(frozen=True, eq=False)
class Criterion:
    """A measure (features: distance to the nearest in m; or a raster), its curve and its weight."""

    code: str
    measure: object
    curve: Curve
    weight: float = 1.0

    @property
    def by_distance(self):
        return isinstance(self.measure, gpd.GeoSeries | gpd.GeoDataFrame)


@dataclass(frozen=True, eq=False)
class Study:
    """A question. area: polygons; rules: Near, Far and Limit; criteria: with weights of 0 or more, not all 0.

    plot_radius_m: of the disc a plant needs; sqrt(10,000 ha / pi) for an area.
    """

    grid: Grid
    area: gpd.GeoSeries
    rules: tuple
    criteria: tuple
    plot_radius_m: float = 0.0

    def bit(self, code):
        """The bit of a rule's code in the reasons of a cell."""
        return 4 << [rule.code for rule in self.rules].index(code)

    def reasons(self, bits):
        """Codes of what bits stand for: 'outside', 'unknown' and rules.

        >>> Study(None, None, (Near("water", None), Near("houses", None, 250)), ()).reasons(1 | 8)
        ('outside', 'houses')
        """
        names = ("outside", "unknown", *(rule.code for rule in self.rules))
        return tuple(name for k, name in enumerate(names) if int(bits) >> k & 1)


def reach_of(item, study):
    """Distance in m up to which a rule or criterion looks, from the middle of the plot."""
    if isinstance(item, Near):
        return item.within_m + study.plot_radius_m
    return item.over_m if isinstance(item, Far) else float(item.curve.points[-1][0])


def check(study):
    """Raises StudyError or GridError where a study makes no sense."""
    codes = ["outside", "unknown", *(item.code for item in (*study.rules, *study.criteria))]
    problems = []
    if len(set(codes)) < len(codes):
        problems.append((f"Codes are used twice: {codes[2:]}.", f"Mã bị dùng hai lần: {codes[2:]}."))
    if len(study.rules) > MOST_RULES:
        problems.append((f"At most {MOST_RULES} rules are taken.", f"Tối đa {MOST_RULES} quy tắc."))
    weights = [criterion.weight for criterion in study.criteria]
    if not weights or not all(0 <= w < np.inf for w in weights) or not sum(weights) > 0:
        problems.append(
            (
                "There must be criteria with weights of 0 or more, not all 0.",
                "Phải có tiêu chí với trọng số từ 0, không phải tất cả bằng 0.",
            )
        )
    for item in study.rules:
        length = {Near: "within_m", Far: "over_m"}.get(type(item))
        if length and not 0 <= getattr(item, length) < np.inf:
            problems.append((f"{item.code}: the distance must be 0 or more.", f"{item.code}: khoảng cách phải từ 0."))
    if not study.plot_radius_m >= 0:
        problems.append(("The plot's radius must be 0 or more.", "Bán kính khu đất phải từ 0."))
    if problems:
        raise StudyError(" ".join(p[0] for p in problems), " ".join(p[1] for p in problems))
    for item in study.rules:
        if isinstance(item, Limit):
            check_aligned(item.raster, study.grid, item.code)
    for item in study.criteria:
        if not item.by_distance:
            check_aligned(item.measure, study.grid, item.code)
