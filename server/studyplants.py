"""The plants with which a scenario begins when it is made of the answer of a siting study."""

from dataclasses import replace
from datetime import date

from server.scenariolaw import entered, technologies
from server.scenarioplants import MOST_SOURCE, Plant

_MONEY_WORDS = {"tỷ": 1e9, "billion": 1e9, "triệu": 1e6, "million": 1e6, "nghìn": 1e3, "ngàn": 1e3, "thousand": 1e3}


def currency_of(words):
    """(currency, factor) of the money words of a study; words that are not known stay as they are.

    >>> currency_of("tỷ đồng"), currency_of("million USD"), currency_of("tỷ"), currency_of("EUR")
    (('đồng', 1000000000.0), ('USD', 1000000.0), ('đồng', 1000000000.0), ('EUR', 1.0))
    """
    first, _, rest = " ".join((words or "").split()).partition(" ")
    if first.lower() in _MONEY_WORDS:
        return rest[:20] or "đồng", _MONEY_WORDS[first.lower()]
    return f"{first} {rest}".strip()[:20], 1.0


def plants_of_study(code, result, year):
    """(plants, currency) of the sites of a study's result, in the order of building, all in one year, with their flows.

    A safety distance that the planner entered into the study comes along where it holds in that year.
    Raises ValueError where the study is not about waste water treatment or chose no site.
    """
    spec, known = result["spec"], {t["code"] for t in technologies()}
    technology = spec["facility"]["technology"]
    if technology not in known or not result["sites"]:
        raise ValueError(technology)
    currency, factor = currency_of(spec["money"])
    enclosed = spec["facility"].get("enclosed")
    own = _own_distance(spec, enclosed)
    by_enclosure = next(t["by_enclosure"] for t in technologies() if t["code"] == technology)
    plants = [
        Plant(
            number, f"{site['label']} {site['code']}"[:120], site["lon"], site["lat"], year, float(site["capacity_m3_day"]),
            technology, bool(enclosed) if by_enclosure and enclosed is not None else None,
            site["card"]["upstream"]["state"] in ("yes", "said_yes"), min(max(spec["within_m"], 100.0), 50_000.0), "all",
            None if site["cost"] is None else site["cost"] * factor, None, code, site["code"],
            tuple((u["unit"], float(u["m3_day"])) for u in site["units"]), *own,
        )
        for number, site in enumerate(result["sites"], start=1)
    ]  # fmt: skip
    holds = [entered(p, date(year, 1, 1)) is not None for p in plants]
    bare = {"own_m": None, "own_source": ""}
    return tuple(p if it else replace(p, **bare) for p, it in zip(plants, holds, strict=True)), currency


def _own_distance(spec, enclosed):
    """(metres, source) of the largest distance to houses that the planner of a study entered; (None, "") without one."""
    given = [e for e in spec["facility"].get("entries", ()) if e["enclosed"] in (None, enclosed)]
    given += [r for r in spec.get("rules", ()) if r["code"] == "houses" and r["on"] and r["distance_m"] is not None]
    named = [g for g in given if g["distance_m"] and g["source"].strip()]
    return max(((float(g["distance_m"]), g["source"][:MOST_SOURCE]) for g in named), default=(None, ""))
