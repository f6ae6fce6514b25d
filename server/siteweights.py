"""The criteria of a siting question: weights, value curves, and answers on pairs from which the weights follow."""

from itertools import combinations, pairwise
from math import isfinite

from geo import ahp
from server.i18n import N_
from server.sitekinds import CRITERIA, CriterionKind


def criteria(reader, value, own):
    """Every criterion that is known, in our order, then those of own layers; own: {"layer:CODE"}."""
    names, twice, out = ("code", "weight", "curve"), N_("The criterion %(code)s is given twice."), []
    asked = reader.coded("criteria", value, names, 40, {*CRITERIA, *own}, N_("There is no criterion %(code)s."), twice)
    for code in (*CRITERIA, *sorted(own & set(asked))):
        kind = CRITERIA.get(code, CriterionKind(code, "m", (), "", 0.0, ((0, 1.0), (2_000, 0.0))))
        made = {
            "code": code,
            "weight": 0.0 if value else kind.weight,
            "curve": [list(map(float, p)) for p in kind.curve],
        }
        if code in asked:
            k, row = asked[code]
            made["weight"] = reader.number(f"criteria[{k}].weight", row.get("weight", made["weight"]), 0, 1e6)
            made["curve"] = _curve(reader, f"criteria[{k}].curve", row.get("curve") or made["curve"])
        out.append(made)
    if not any(row["weight"] > 0 for row in out):
        reader.wrong("criteria", N_("At least one criterion must have a weight above 0."))
    return out


def _curve(reader, field, value):
    good = isinstance(value, list) and 2 <= len(value) <= 20 and all(isinstance(p, list) and len(p) == 2 for p in value)
    numbers = [x for p in value for x in p] if good else []
    good = good and all(isinstance(x, int | float) and not isinstance(x, bool) and isfinite(x) for x in numbers)
    if not good or any(b[0] <= a[0] for a, b in pairwise(value)) or not all(0 <= p[1] <= 1 for p in value):
        reader.wrong(field, N_("A curve needs two or more points with rising measures and values from 0 to 1."))
        return [[0.0, 0.0], [1.0, 1.0]]
    return [[float(a), float(b)] for a, b in value]


def pairs(reader, value, criteria):
    """The answers on pairs of the criteria in use; the weights are then theirs, see weights()."""
    if value is None:
        return None
    if not isinstance(value, dict):
        reader.wrong("pairs", N_("This must be a group of fields."))
        return None
    out = {}
    for key, times in sorted(value.items(), key=lambda item: str(item[0])):
        out[str(key)] = reader.number(f"pairs.{key}", times, 1 / 9 - 1e-9, 9)
    try:
        if not reader.problems:
            _ahp(criteria, out)
    except ahp.AnswersError as e:
        reader.problems.append(("pairs", {"en": e.en, "vi": e.vi}))
    return out


def used_criteria(criteria):
    """Codes of the criteria with a weight above 0."""
    return [row["code"] for row in criteria if row["weight"] > 0]


def pairs_of(criteria):
    """The keys of the pair questions on the criteria in use: "a|b"."""
    return [f"{a}|{b}" for a, b in combinations(used_criteria(criteria), 2)]


def _ahp(criteria, answers):
    asked = {tuple(key.split("|", 1)): times for key, times in answers.items()}
    return ahp.weights(used_criteria(criteria), {k if len(k) == 2 else (k[0], ""): t for k, t in asked.items()})


def weights(spec):
    """({code: weight, adding up to 1}, geo.ahp.Weights or None): by the answers on pairs where there are any."""
    used = {row["code"]: row["weight"] for row in spec["criteria"] if row["weight"] > 0}
    if spec["pairs"]:
        found = _ahp(spec["criteria"], spec["pairs"])
        return found.weights, found
    total = sum(used.values())
    return {code: weight / total for code, weight in used.items()}, None
