"""Which hotspot first: a score of 0 to 100 that can be read line by line.

The lines, their weights and their scales are OUR proposal, no law or standard says so: they put places in an
order for the working day. The class of a hotspot is set by an officer with a reason; this does not set it.
For soil the law has a score of its own (Circular 02/2022/TT-BTNMT art. 6), which is another thing.

Each line gives a share of its weight, from 0 to 1 (defaults in Weights):

    exceedance  0 within the limit; over it 0.25 + 0.75 lg(ratio) / lg(10), whole from ten times the limit on
    people      lg(1 + people within reach) / lg(10,000), whole from 9,999 people on
    receptors   schools, hospitals within reach / 5
    intakes     1 up to 1 km along the water to an intake, falling evenly to 0 at 20 km
    age         days open / 730
    relapses    relapses / 3

What is not known is not zero: its line runs from the least to the most it could give, and so does the score
(low to high); `score` is the middle. With lines worth less than half of all points known there is no score
and the class is "not_enough_data". Whoever wants to be careful sorts by `high`.
"""

import math
from dataclasses import dataclass

import geopandas as gpd

from geo import exposure, waterways

CLASSES = ("low", "medium", "high")
NOT_ENOUGH = "not_enough_data"
LINES = ("exceedance", "people", "receptors", "intakes", "age", "relapses")
WHY = {
    "exceedance": ("ratio", "within_limit", "exceeds_without_ratio", "no_judged_result"),
    "people": ("counted", "partly_unknown", "mostly_unknown", "no_raster", "place_uncertain"),
    "receptors": ("counted", "no_receptor_layer", "place_uncertain"),
    "intakes": (
        "along_the_water",
        "perhaps_tidal",
        "straight_line_only",
        "not_reached",
        "no_intake_layer",
        "not_water",
        "place_uncertain",
    ),
    "age": ("since_opened", "no_first_day"),
    "relapses": ("counted", "not_recorded"),
}


@dataclass(frozen=True)
class Weights:
    """Points of each line (100 together), where each scale is full, and where the classes begin.

    exceeding_least: share for any exceedance. least_known: points of the lines that must be known.
    """

    exceedance: float = 30
    people: float = 20
    receptors: float = 10
    intakes: float = 20
    age: float = 10
    relapses: float = 10
    exceeding_least: float = 0.25
    ratio_full: float = 10
    people_full: float = 9999
    receptors_full: float = 5
    intake_near_m: float = 1000
    intake_far_m: float = 20000
    age_full_days: float = 730
    relapses_full: float = 3
    medium: float = 25
    high: float = 50
    least_known: float = 50

    def __post_init__(self):
        points = [getattr(self, name) for name in LINES]
        scales = (self.ratio_full - 1, self.people_full, self.receptors_full, self.intake_near_m, self.age_full_days)
        rising = 0 <= self.exceeding_least <= 1 and self.intake_near_m < self.intake_far_m and self.medium <= self.high
        if min(points) < 0 or abs(sum(points) - 100) > 1e-9 or min(*scales, self.relapses_full) <= 0 or not rising:
            raise ValueError("The weights must be 0 or more and 100 together, and every scale must rise.")


@dataclass(frozen=True)
class Facts:
    """What is known of a hotspot; None is not known.

    exceeding, ratio: of the worst judged result, see geo.limits.worst. people: within reach, in the known
    cells; people_unknown: share of the reach without a known cell. intake_m: (no farther than, no nearer
    than) to the next intake, infinity where none can be reached. water: False for a case that touches no
    water (noise, odour): then the line of the intakes is known to be 0. placed: False where nobody knows
    well enough where the place is; then nothing near it is known, whatever was counted around the point.
    """

    exceeding: bool | None = None
    ratio: float | None = None
    people: float | None = None
    people_unknown: float = 0.0
    receptors: int | None = None
    intake_m: tuple[float, float] | None = None
    intake_way: str = "not_known"
    water: bool = True
    placed: bool = True
    days_open: int | None = None
    relapses: int | None = None


@dataclass(frozen=True)
class Line:
    """One reason. points: the middle of low to high, the least and most it can give of max_points; None if not known.

    what: code of LINES. value, unit: what was counted. why: code of WHY[what].
    """

    what: str
    value: float | None
    unit: str
    points: float | None
    low: float
    high: float
    max_points: float
    why: str
    known: bool


@dataclass(frozen=True, eq=False)
class Priority:
    """score: 0 to 100, the middle of low to high, None where too little is known. could_be: classes in the range.

    rings, receptors, intakes: what was counted, from assess; None where it was not.
    """

    score: float | None
    low: float
    high: float
    name: str
    could_be: tuple[str, ...]
    lines: tuple[Line, ...]
    known_points: float
    rings: gpd.GeoDataFrame | None = None
    receptors: tuple | None = None
    intakes: tuple | None = None


def priority(facts, weights=None):
    """Priority of a hotspot from its Facts.

    Ten times the limit 30; 99 people, lg 100 / lg 10,000 of 20 = 10; two of five receptors 4; an intake at
    10.5 km, half way between 1 and 20, 10; one of two years 5; no relapse 0: together 59.

    >>> known = Facts(exceeding=True, ratio=10, people=99, receptors=2, intake_m=(10500, 10500),
    ...               intake_way="downstream", days_open=365, relapses=0)
    >>> p = priority(known)
    >>> [round(line.points, 6) for line in p.lines], round(p.score, 6), p.name
    ([30.0, 10.0, 4.0, 10.0, 5.0, 0.0], 59.0, 'high')

    The same with no intake entered anywhere: its line gives 0 to 20.

    >>> q = priority(Facts(exceeding=True, ratio=10, people=99, receptors=2, days_open=365, relapses=0))
    >>> round(q.low, 6), round(q.high, 6), round(q.score, 6), q.could_be
    (49.0, 69.0, 59.0, ('medium', 'high'))
    >>> priority(Facts(people=99, days_open=365, relapses=0)).name
    'not_enough_data'

    Raises ValueError: a number below 0, or a ratio of what does not exceed above 1.
    """
    w = weights or Weights()
    _check(facts)
    lines = tuple(make(facts, w) for make in (_exceedance, _people, _receptors, _intakes, _age, _relapses))
    low, high = sum(line.low for line in lines), sum(line.high for line in lines)
    known = sum(line.max_points for line in lines if line.known)
    score = (low + high) / 2
    enough = known >= w.least_known - 1e-9
    span = tuple(c for c in CLASSES if _name(low, w) <= CLASSES.index(c) <= _name(high, w))
    name = CLASSES[_name(score, w)] if enough else NOT_ENOUGH
    return Priority(score if enough else None, low, high, name, span, lines, known)


def assess(
    places,
    *,
    exceeding=None,
    ratio=None,
    days_open=None,
    relapses=None,
    water=True,
    surface=None,
    land=None,
    receptors=None,
    intakes=None,
    net=None,
    accuracy_m=None,
    bands_m=exposure.BANDS_M,
    weights=None,
):
    """Priority of a drawn place, with the rings, receptors and intakes that were counted.

    places: GeoSeries or GeoDataFrame with a CRS; None: the place is not drawn, and what needs it is not
    known. surface, land, receptors, bands_m: see geo.exposure; people and receptors count up to the last
    band. intakes, net: see geo.waterways. accuracy_m: how far off the place may be drawn; where that is more
    than the last band, what was counted is returned for the map but makes no points. The rest: see Facts.
    """
    placed = accuracy_m is None or accuracy_m <= max(bands_m)
    facts = {
        "placed": placed,
        "exceeding": exceeding,
        "ratio": ratio,
        "days_open": days_open,
        "relapses": relapses,
        "water": water,
    }
    rings = near = found = None
    if places is not None:
        bands = exposure.people_near(places, surface, bands_m=bands_m, land=land)
        near = exposure.receptors_near(places, receptors, reach_m=max(bands_m))
        found = waterways.to_intakes(places, net, intakes) if water else None
        facts |= _people_facts(bands, land is not None and not land.empty) | {
            "receptors": None if near is None else len(near)
        }
        facts |= _intake_facts(found)
        rings = None if bands is None else exposure.rings(bands)
    told = priority(Facts(**facts), weights)
    return Priority(
        told.score, told.low, told.high, told.name, told.could_be, told.lines, told.known_points, rings, near, found
    )


def _people_facts(bands, land_known):
    """People of all rings together; a reach all over water, where the land is known, has nobody in it."""
    if bands is None:
        return {}
    counted = [b.people for b in bands if b.people is not None]
    area = sum(b.geometry.area for b in bands)
    unknown = sum(b.unknown_share * b.geometry.area for b in bands) / area
    if not counted:
        return {"people": 0.0} if land_known and unknown == 0 else {}
    return {"people": sum(counted), "people_unknown": unknown}


def _intake_facts(found):
    """The nearest it can be and the farthest, over all intakes; the way is of the one that may be nearest."""
    if found is None:
        return {}
    farthest = min((n.along_m for n in found if n.along_m is not None), default=math.inf)
    nearest, way = min(((_nearest(n), n.way) for n in found), default=(math.inf, "not_reached"))
    return {"intake_m": (farthest, nearest), "intake_way": way}


def _nearest(n):
    if n.way == "not_known":
        return n.straight_m
    return min((d for d in (n.along_m, n.perhaps_m) if d is not None), default=math.inf)


def _check(f):
    numbers = (f.ratio, f.people, f.people_unknown, f.receptors, f.days_open, f.relapses, *(f.intake_m or ()))
    if any(n is not None and not n >= 0 for n in numbers) or f.people_unknown > 1:
        raise ValueError("A count, a ratio or a distance is below 0 or not a number.")
    if f.exceeding is False and f.ratio is not None and f.ratio > 1:
        raise ValueError("What does not exceed its limit has no ratio above 1.")


def _exceedance(f, w):
    if f.exceeding is None:
        return _line("exceedance", None, "", (0, 1), w.exceedance, "no_judged_result", known=False)
    if not f.exceeding:
        return _line("exceedance", f.ratio, "×", (0, 0), w.exceedance, "within_limit")
    if f.ratio is None:
        return _line("exceedance", None, "", (w.exceeding_least, 1), w.exceedance, "exceeds_without_ratio")
    over = math.log(max(f.ratio, 1)) / math.log(w.ratio_full)
    share = min(1.0, w.exceeding_least + (1 - w.exceeding_least) * over)
    return _line("exceedance", f.ratio, "×", (share, share), w.exceedance, "ratio")


def _people(f, w):
    if not f.placed:
        return _line("people", None, "people", (0, 1), w.people, "place_uncertain", known=False)
    if f.people is None:
        return _line("people", None, "people", (0, 1), w.people, "no_raster", known=False)

    def share(people):
        return min(1.0, math.log1p(people) / math.log1p(w.people_full))

    least = share(f.people)
    if not f.people_unknown:
        return _line("people", f.people, "people", (least, least), w.people, "counted")
    if f.people_unknown >= 0.5:
        return _line("people", f.people, "people", (least, 1), w.people, "mostly_unknown", known=False)
    # as densely peopled as what is known
    most = share(f.people / (1 - f.people_unknown))
    return _line("people", f.people, "people", (least, most), w.people, "partly_unknown")


def _receptors(f, w):
    if not f.placed:
        return _line("receptors", None, "places", (0, 1), w.receptors, "place_uncertain", known=False)
    if f.receptors is None:
        return _line("receptors", None, "places", (0, 1), w.receptors, "no_receptor_layer", known=False)
    share = min(1.0, f.receptors / w.receptors_full)
    return _line("receptors", f.receptors, "places", (share, share), w.receptors, "counted")


def _intakes(f, w):
    if not f.water:
        return _line("intakes", None, "m", (0, 0), w.intakes, "not_water")
    if not f.placed:
        return _line("intakes", None, "m", (0, 1), w.intakes, "place_uncertain", known=False)
    if f.intake_m is None:
        return _line("intakes", None, "m", (0, 1), w.intakes, "no_intake_layer", known=False)

    def share(m):
        return min(1.0, max(0.0, (w.intake_far_m - m) / (w.intake_far_m - w.intake_near_m)))

    farthest, nearest = f.intake_m
    shares = (share(farthest), share(min(nearest, farthest)))
    value = min(farthest, nearest)
    if math.isinf(value):
        return _line("intakes", None, "m", shares, w.intakes, "not_reached")
    why = {"not_known": "straight_line_only", "perhaps_tidal": "perhaps_tidal"}.get(f.intake_way, "along_the_water")
    if why == "along_the_water" and nearest < farthest:
        why = "perhaps_tidal"
    return _line("intakes", value, "m", shares, w.intakes, why, known=shares[0] == shares[1])


def _age(f, w):
    if f.days_open is None:
        return _line("age", None, "days", (0, 1), w.age, "no_first_day", known=False)
    share = min(1.0, f.days_open / w.age_full_days)
    return _line("age", f.days_open, "days", (share, share), w.age, "since_opened")


def _relapses(f, w):
    if f.relapses is None:
        return _line("relapses", None, "times", (0, 1), w.relapses, "not_recorded", known=False)
    share = min(1.0, f.relapses / w.relapses_full)
    return _line("relapses", f.relapses, "times", (share, share), w.relapses, "counted")


def _line(what, value, unit, shares, most, why, *, known=True):
    low, high = (s * most for s in shares)
    return Line(what, value, unit, (low + high) / 2 if known else None, low, high, most, why, known)


def _name(score, w):
    """Place in CLASSES."""
    return int(score >= w.medium - 1e-9) + int(score >= w.high - 1e-9)
