"""The steps of a siting study as forms: what stands in the question, what was typed, and what is wrong, field by field.

A field is named as in the document of server/sitespec.py ("sizes[0].cost"), so that a sentence about a field of the
document is a sentence about a field of the form. Numbers are read as people write them; what is no number is told
together with what the document's own check finds.
"""

import copy
import re
from datetime import date

from geo import ahp, distances
from server import planadvanced, sitelaw, sitespec, siteweights
from server.forms import FormError, text_of
from server.i18n import N_, language
from server.i18n import gettext as _
from server.quantities import NO_NUMBER, quantity
from server.sitekinds import RULES, demand_curve, technologies

STEPS = (("goal", N_("Goal")), ("rules", N_("Constraints")), ("weights", N_("Weights")), ("run", N_("Check and run")))


class _Typed:
    """What a form holds, read with its problems collected. document: the question with the typed values put in."""

    def __init__(self, form, spec):
        self.form, self.errors, self.document = form, {}, copy.deepcopy(spec)

    def text(self, name, most=2000):
        return text_of(self.form, name, most)

    def number(self, name, before=None, *, whole=False):
        """The number of a field; None where it is blank; `before` where it is none, with a problem noted."""
        typed = self.text(name, 40)
        if not typed:
            return None
        try:
            value = quantity(typed, language())
        except ValueError:
            self.errors[name] = _(NO_NUMBER)
            return before
        return int(value) if whole and value == int(value) else value

    def flag(self, name):
        return {"yes": True, "no": False}.get(self.text(name, 10))

    def rows(self, pattern):
        """The numbers k of the rows of which something was typed. pattern: with %d for k."""
        found = {
            int(m[1]) for name in self.form if (m := re.fullmatch(re.escape(pattern).replace("%d", r"(\d{1,3})"), name))
        }
        return sorted(found)

    def checked(self):
        """The checked document. Raises FormError with all problems by field."""
        try:
            made = sitespec.checked(self.document)
        except sitespec.SpecError as e:
            for name, words in e.problems_of:
                self.errors.setdefault(name, words[language()])
            made = None
        if self.errors:
            raise FormError(self.errors)
        return made


def read(step, form, spec):
    """The question with what one step's form says. Raises FormError with sentences by field."""
    typed = _Typed(form, spec)
    {"goal": _goal, "rules": _rules, "weights": _weights}[step](typed)
    made = typed.checked()
    if step == "rules":
        _lawful(made)
    return made


def _lawful(spec):
    """Raises FormError where a distance of the planner is below the law's."""
    errors = {}
    try:
        for size in spec["sizes"]:
            said = sitelaw.law(spec, size["capacity_m3_day"])
            for rule in spec["rules"]:
                if rule["on"] and rule["code"] in RULES and RULES[rule["code"]].law:
                    sitelaw.own_distance(spec, rule, said.intakes if rule["code"] == "intakes" else said.houses)
    except sitespec.SpecError as e:
        errors = {name: words[language()] for name, words in e.problems_of}
    if errors:
        raise FormError(errors)


def _goal(typed):
    d = typed.document
    for name in ("name", "as_of", "money", "model", "goal"):
        d[name] = typed.text(name, 400)
    for name in ("number", "budget", "within_m", "cell_m", "cost_per_m3_km"):
        d[name] = typed.number(name, d[name], whole=name == "number")
    d["cost_per_m3_km"] = d["cost_per_m3_km"] or 0.0
    d["area"] = {
        "units": lambda: {"units": [c for c in typed.form.getlist("area.units") if c]},
        "wkt": lambda: {"wkt": typed.text("area.wkt", 200_000)},
    }.get(typed.text("area"), dict)()
    if typed.text("area") == "units" and not d["area"]["units"]:
        typed.errors["area.units"] = _("Choose at least one unit, or the whole city.")
    facility = d["facility"]
    technology = typed.text("facility.technology", 400)
    known = {t["technology"]: t for t in technologies(_day(d["as_of"]))}
    facility["technology"] = technology
    before = facility["kind"]
    facility["kind"] = known[technology]["kind"] if technology in known else before
    for row in d["criteria"]:  # a curve that nobody touched follows from water to waste and back
        if row["code"] == "demand" and row["curve"] == demand_curve(before):
            row["curve"] = demand_curve(facility["kind"])
    facility["enclosed"] = typed.flag("facility.enclosed")
    facility["upstream"] = typed.flag("facility.upstream")
    facility["upwind"] = typed.flag("facility.upwind") is True
    d["sizes"] = []
    for k in typed.rows("sizes[%d].capacity_m3_day"):
        names = (f"sizes[{k}].capacity_m3_day", f"sizes[{k}].cost")
        if any(typed.text(n) for n in names):
            row = dict(zip(("capacity_m3_day", "cost"), (typed.number(n, 1.0) for n in names), strict=True))
            d["sizes"].append(row)
    plants = d["plants"]
    plants["keep"], plants["building"] = typed.flag("plants.keep") is True, typed.flag("plants.building") is True
    for name in typed.form:
        if name.startswith("plants.spare."):
            code = name.removeprefix("plants.spare.")
            value = typed.number(name)
            if value is None:
                plants["spare"].pop(code, None)
            else:
                plants["spare"][code] = value
    plants["source"] = typed.text("plants.source")
    for name in ("of", "where"):
        d["demand"][name] = typed.text(f"demand.{name}")
    d["demand"]["square_m"] = typed.number("demand.square_m", 1000.0)
    d["demand"]["kg_person_day"] = typed.number("demand.kg_person_day", d["demand"]["kg_person_day"])
    d["demand"]["source"] = typed.text("demand.source")
    planadvanced.read(typed)


def _rules(typed):
    d = typed.document
    for k, row in enumerate(d["rules"]):
        at = f"rules[{k}]"
        row["on"] = typed.flag(f"{at}.on") is True
        for name in ("distance_m", "at_least", "at_most"):
            if f"{at}.{name}" in typed.form:
                row[name] = typed.number(f"{at}.{name}", row[name])
        if f"{at}.source" in typed.form:
            row["source"] = typed.text(f"{at}.source")
        if f"{at}.classes" in typed.form:
            row["classes"] = _whole(typed, f"{at}.classes")
    facility = d["facility"]
    facility["entries"] = []
    for k in typed.rows("facility.entries[%d].distance_m"):
        at = f"facility.entries[{k}]"
        if typed.text(f"{at}.distance_m") or typed.text(f"{at}.source"):
            row = {"distance_m": typed.number(f"{at}.distance_m", 0.0), "source": typed.text(f"{at}.source")}
            facility["entries"].append(row | {"enclosed": typed.flag(f"{at}.enclosed")})
    for name in ("ha_per_1000", "belt_m"):
        facility[name] = typed.number(f"facility.{name}", facility[name])
    facility["land_source"] = typed.text("facility.land_source")


def _whole(typed, name):
    try:
        return [int(part) for part in re.split(r"[,;\s]+", typed.text(name)) if part]
    except ValueError:
        typed.errors[name] = _("Give the classes as whole numbers.")
        return []


def _weights(typed):
    d = typed.document
    by_pairs = typed.text("by") == "pairs"
    for k, row in enumerate(d["criteria"]):
        at = f"criteria[{k}]"
        weight = typed.number(f"{at}.weight", row["weight"])
        row["weight"] = 0.0 if weight is None else weight
        points = []
        for i in typed.rows(f"{at}.curve[%d].m"):
            names = (f"{at}.curve[{i}].m", f"{at}.curve[{i}].v")
            if any(typed.text(n) for n in names):
                points.append([typed.number(n, 0.0) for n in names])
        if points:
            row["curve"] = sorted(points, key=lambda p: (p[0] is None, p[0]))
    d["pairs"] = None
    if by_pairs:
        asked = siteweights.pairs_of([r for r in d["criteria"] if isinstance(r["weight"], int | float)])
        d["pairs"] = {}
        for key in asked:
            times = times_of(typed.text(f"pairs.{key}"))
            if times is not None:
                d["pairs"][key] = times
        missing = len(asked) - len(d["pairs"])
        if missing:
            typed.errors["pairs"] = _("%(n)s of %(all)s questions are not answered yet.", n=missing, all=len(asked))


def times_of(typed):
    """How many times as important, of an answer as the form sends it: 3 or 1/3; None where it is none.

    >>> times_of("5"), times_of("1/4"), times_of(""), times_of("12")
    (5.0, 0.25, None, None)
    """
    match = re.fullmatch(r"(1/)?([1-9])", typed or "")
    return None if match is None else (1 / int(match[2]) if match[1] else float(match[2]))


def answer_of(times):
    """The form's value of an answer: the inverse of times_of, to the nearest of its steps; "" for None."""
    if times is None:
        return ""
    return str(round(times)) if times >= 1 else f"1/{round(1 / times)}"


def _day(text):
    try:
        return date.fromisoformat(text)
    except ValueError:
        return date.max


# --- what the law says to this question ---


def law(spec):
    """What the regulation asks of each size: [{capacity, state, distance_m, base_m, factor, to_object, regulation,
    reference, rows, confidence, valid_from, valid_until, cautions, note}], one for each size and object; with `problem`
    ({"en", "vi"}) where it cannot be asked.
    """
    facility, on = spec["facility"], date.fromisoformat(spec["as_of"])
    rows = sitelaw.entered(facility, on)
    by_row = rows.set_index("row")
    out = []
    for size in spec["sizes"]:
        asked = {"capacity": size["capacity_m3_day"], "enclosed": facility["enclosed"], "upwind": facility["upwind"]}
        try:
            found = distances.safe_distances(
                rows, on, facility["technology"], upstream=facility["upstream"] is True, **asked
            )
        except distances.DistanceError as e:
            out.append({"capacity": size["capacity_m3_day"], "problem": {"en": e.en, "vi": e.vi}})
            continue
        for d in found:
            own = [r for r in d.rows if r in by_row.index]
            first = by_row.loc[own[0]] if own else None
            out.append(
                {"capacity": size["capacity_m3_day"], "problem": None}
                | {n: getattr(d, n) for n in ("state", "distance_m", "base_m", "factor", "to_object", "direction")}
                | {n: getattr(d, n) for n in ("regulation", "reference", "rows", "confidence", "note")}
                | {"cautions": [{"en": en, "vi": vi} for en, vi in d.cautions]}
                | {n: _bound(first, n) for n in ("valid_from", "valid_until")}
            )
    return out


def _bound(row, name):
    value = None if row is None else row[name]
    return None if value in (None, date.min, date(9999, 12, 31)) else value


# --- pair questions ---


def weighed(names, answers):
    """What answers on pairs say: {asked, answered, weights, ratio, accepted, odd}. answers: {"a|b": times or None}.

    While questions are open, weights and ratio are None. odd: the answer most at odds with the others, as
    {first, second, answered, others_say, factor}, or None where they agree.
    """
    known = {k: v for k, v in answers.items() if v is not None}
    asked = [f"{a}|{b}" for i, a in enumerate(names) for b in names[i + 1 :]]
    out = {"asked": len(asked), "answered": sum(k in known for k in asked)}
    out |= {"weights": None, "ratio": None, "accepted": None, "odd": None}
    if len(names) < 2 or out["answered"] < len(asked):
        return out
    found = ahp.weights(names, {tuple(k.split("|", 1)): known[k] for k in asked})
    worst = found.odd[0] if found.odd and found.odd[0].factor > 1.05 else None
    return out | {
        "weights": found.weights,
        "ratio": found.ratio,
        "accepted": found.accepted,
        "odd": None
        if worst is None
        else {n: getattr(worst, n) for n in ("first", "second", "answered", "others_say", "factor")},
    }
