"""What people type or draw for a scenario, read: plants from a form or from the drawing page, and unit costs."""

import re
from dataclasses import replace

from server.forms import FormError, amount_of, number_of, text_of
from server.i18n import N_, language
from server.i18n import gettext as _
from server.i18n import number as plain_number
from server.scenariolaw import first_day, legal, technologies
from server.scenarioplants import FIRST_YEAR, LAST_YEAR, MOST_SOURCE, Money, Plant

TECHNOLOGIES = {
    "mechanical, physico-chemical and biological treatment": N_(
        "Mechanical, physico-chemical and biological treatment"
    ),
    "underground infiltration field": N_("Underground infiltration field"),
    "irrigation field": N_("Irrigation field"),
    "biological pond": N_("Biological pond"),
    "oxidation ditch": N_("Oxidation ditch"),
}
SERVES = {
    "wards": N_("homes: wards and communes"),
    "zones": N_("zones and ports"),
    "all": N_("both, whatever is nearest"),
}
ENCLOSED = {"no": N_("open"), "yes": N_("closed, odour collected and treated")}
USUAL = {"year": "2030", "capacity_m3d": "10000", "within_m": "5000", "serves": "wards", "enclosed": "no",
         "technology": "mechanical, physico-chemical and biological treatment"}  # fmt: skip
_WHOLE = ("capacity_m3d", "within_m", "cost")
OPTIONAL = ("cost", "sewer_km", "own_m")
_NOT_A_NUMBER = N_("Give a number.")


def amount(typed):
    """A number as typed, where marks of thousands are more likely than decimals: 20.000 and 20,000 are twenty thousand.

    >>> amount("20.000"), amount("1,5"), amount("25 000 000"), amount(3), amount("0,125"), amount("1234,567")
    (20000.0, 1.5, 25000000.0, 3.0, 0.125, 1234.567)
    """
    if isinstance(typed, int | float) and not isinstance(typed, bool):
        return float(typed)
    first = re.split(r"[.,\s]", str(typed).strip())[0]
    whole = amount_of(str(typed)) if (len(first) <= 3 and first != "0") or first == str(typed).strip() else None
    return _decimal(typed) if whole is None else float(whole)


def _decimal(typed):
    if isinstance(typed, int | float) and not isinstance(typed, bool):
        return float(typed)
    sign, value = number_of(str(typed).strip())
    if sign:
        raise ValueError(typed)
    return value


def read_plant(values, number, before=None):
    """(Plant or None, problems) of a dict of typed texts or numbers.

    before: the plant of that number as it is kept; its study's flows stay while it stays where it is.
    problems: [(number, field, words, values)] of what cannot be read; ranges are asked by server.scenarios.checked.
    """
    problems, read = [], {}

    def take(name, how, default=None, words=_NOT_A_NUMBER, field=None):
        typed = values.get(name)
        if typed is None or (isinstance(typed, str) and not typed.strip()):
            read[name] = default
            if default is None and name not in OPTIONAL:
                problems.append((number, field or name, N_("This is needed."), {}))
            return
        try:
            read[name] = how(typed)
        except (ValueError, TypeError, OverflowError):
            problems.append((number, field or name, words, {}))

    where = N_("Write latitude and longitude as decimal degrees, such as 20.8561 and 106.6822.")
    take("lat", _decimal, words=where)
    take("lon", _decimal, words=where)
    take("year", lambda typed: int(str(typed).strip()), words=N_("Give the year as four digits."))
    for name in ("capacity_m3d", "within_m", "cost"):
        take(name, amount)
    take("sewer_km", _decimal)
    take("own_m", amount)
    if problems:
        return None, problems
    technology = str(values.get("technology") or USUAL["technology"])
    choice = next((t["by_enclosure"] for t in technologies() if t["code"] == technology), False)
    enclosed = (
        {"yes": True, "true": True, "no": False, "false": False}.get(str(values.get("enclosed")).lower())
        if choice
        else None
    )
    made = Plant(
        number, " ".join(str(values.get("name") or "").split())[:200], enclosed=enclosed, technology=technology,
        exposed=values.get("exposed") in ("yes", True), serves=str(values.get("serves") or USUAL["serves"]),
        own_source=" ".join(str(values.get("own_source") or "").split())[: 2 * MOST_SOURCE], **read,
    )  # fmt: skip
    if before is not None and abs(made.lon - before.lon) < 1e-6 and abs(made.lat - before.lat) < 1e-6:
        made = replace(made, lon=before.lon, lat=before.lat, study=before.study, site=before.site, flows=before.flows)
    return made, []


def read_plants(document, scenario):
    """(plants, problems) of what the drawing page sent: {"plants": [{number, lat, lon, ...}, ...]}."""
    rows = document.get("plants") if isinstance(document, dict) else None
    if not isinstance(rows, list) or len(rows) > 200 or not all(isinstance(r, dict) for r in rows):
        return (), [(None, "plants", N_("What was drawn cannot be read. Draw it again."), {})]
    before = {p.number: p for p in scenario.plants}
    plants, problems = [], []
    for place, row in enumerate(rows, start=1):
        number = row.get("number")
        number = number if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 10_000 else place
        made, wrong = read_plant(row, number, before.get(number))
        problems += wrong
        plants += [made] if made else []
    return tuple(plants), problems


def spread(plant, others, today):
    """The other plants, those of the kind of `plant` with its own safety distance where the law of their year has none."""
    own = {"own_m": plant.own_m, "own_source": plant.own_source}
    kind = (plant.technology, plant.enclosed)
    return [
        replace(p, **own)
        if (p.technology, p.enclosed) == kind and legal(p, first_day(p, today))["distance_m"] is None
        else p
        for p in others
    ]


def told(problems, *, numbered=False):
    """{field: sentence} of problems in the reader's language; numbered: {"P2 field": sentence} for the drawing page."""
    out = {}
    for number, field, words, values in problems:
        field = {"place": "lat"}.get(field, field)
        out.setdefault(f"{number or ''}:{field}" if numbered else field, _(words, **values))
    return out


def typed_plant(plant):
    """A plant as the texts of its form."""
    if plant is None:
        return dict(USUAL)
    return {
        "number": plant.number, "name": plant.name, "lat": f"{plant.lat:.6f}", "lon": f"{plant.lon:.6f}",
        "year": str(plant.year), "capacity_m3d": _written(plant.capacity_m3d), "technology": plant.technology,
        "enclosed": {True: "yes", False: "no", None: ""}[plant.enclosed], "exposed": plant.exposed,
        "within_m": _written(plant.within_m), "serves": plant.serves, "cost": _written(plant.cost),
        "sewer_km": _written(plant.sewer_km), "study": plant.study, "site": plant.site, "own_m": _written(plant.own_m),
        "own_source": plant.own_source,
    }  # fmt: skip


def _written(value):
    """A number as its field shows it, without marks of thousands, decimals as the language writes them."""
    if value is None:
        return ""
    text = f"{value:.10g}" if value != int(value) or abs(value) >= 1e15 else str(int(value))
    return text.replace(".", ",") if language() == "vi" else text


def plant_fields(values, errors=None, currency=""):
    """The fields of the form of one plant, for desk_macros.form_field."""
    errors = errors or {}
    unit = currency or _("your currency")

    def one(name, label, kind="text", **more):
        return {"name": name, "label": label, "kind": kind, "value": values.get(name), "error": errors.get(name)} | more

    years = [(str(y), str(y)) for y in range(FIRST_YEAR, LAST_YEAR + 1)]
    return [
        one("name", _("Name"), most=120),
        one("lat", _("Latitude"), "number", required=True, attributes={"placeholder": "20.8561"}),
        one("lon", _("Longitude"), "number", required=True, attributes={"placeholder": "106.6822"}),
        one("year", _("Works from the year"), "choice", options=years, required=True),
        one("capacity_m3d", _("Capacity"), "number", unit=_("m³ a day"), required=True),
        one("within_m", _("Collects up to"), "number", unit=_("m, straight line"), required=True),
        one("serves", _("Serves"), "choice", options=[(k, _(v)) for k, v in SERVES.items()], required=True),
        one("technology", _("Technology"), "choice", options=[(k, _(v)) for k, v in TECHNOLOGIES.items()], required=True),
        one("enclosed", _("Built"), "choice", options=[(k, _(v)) for k, v in ENCLOSED.items()],
            hint=_("Decides the safety distance of treatment works; it does not matter for fields and ponds.")),
        one("exposed", _("Upstream of a water source, or upwind of homes: the safety distance grows"), "check"),
        one("own_m", _("Own safety distance"), "number", unit="m",
            hint=_("Where the rules of its year have no value, such as from 2027 on, or to ask for more than the law.")),
        one("own_source", _("Source of the own distance"), most=MOST_SOURCE,
            hint=_("The text with its number and day, or who set it; it is shown wherever the distance counts.")),
        one("cost", _("Own cost of building it"), "number", unit=unit,
            hint=_("Left empty, it is capacity × your cost per m³ a day.")),
        one("sewer_km", _("Own length of sewers"), "number", unit="km",
            hint=_("Left empty, it is the shortest tree of straight lines to what it serves.")),
    ]  # fmt: skip


# --- unit costs ---

COSTS = {
    "currency": (N_("Currency"), "", N_("For example đồng or USD; all costs below are in it.")),
    "build": (N_("Building, per m³ a day of capacity"), "", ""),
    "sewer": (N_("Sewers, per km"), "", ""),
    "operation": (N_("Operation, per m³ treated"), "", ""),
    "years": (N_("Years over which it is paid for"), "", N_("Needed for the cost per m³.")),
    "interest": (N_("Interest"), N_("%% a year"), N_("Left empty, it is none.")),
}


def read_money(form):
    """The Money of a form; FormError with every field that cannot be read."""
    errors, read = {}, {}
    for name, how in (
        ("build", amount),
        ("sewer", amount),
        ("operation", amount),
        ("years", amount),
        ("interest", _decimal),
    ):
        typed = text_of(form, name, 40)
        if not typed:
            continue
        try:
            read[name] = how(typed)
            if name == "years":
                if read[name] != int(read[name]):
                    raise ValueError(typed)
                read[name] = int(read[name])
        except (ValueError, OverflowError):
            errors[name] = _(_NOT_A_NUMBER)
    if errors:
        raise FormError(errors)
    return Money(currency=text_of(form, "currency", 40), **read)


def typed_money(money):
    """Unit costs as the texts of their form."""
    shown = {name: _written(getattr(money, name)) for name in ("build", "sewer", "operation", "years")}
    return shown | {"currency": money.currency, "interest": _written(money.interest) if money.interest else ""}


def money_fields(values, errors=None):
    """The fields of the form of unit costs."""
    errors = errors or {}
    return [
        {"name": name, "label": _(label), "kind": "text" if name == "currency" else "number", "value": values.get(name),
         "error": errors.get(name), "hint": _(hint) if hint else "", "unit": _(unit) if unit else "", "most": 20}
        for name, (label, unit, hint) in COSTS.items()
    ]  # fmt: skip


def told_money(money):
    """Unit costs for reading: [(label, written or None)]."""
    shown = [getattr(money, name) for name in COSTS]
    words = [v if isinstance(v, str) else None if v is None else plain_number(v) for v in shown]
    labels = [_(label) + (f" ({_(unit)})" if unit else "") for label, unit, _hint in COSTS.values()]
    return list(zip(labels, [w or None for w in words], strict=True))
