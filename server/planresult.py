"""The answer of a siting study as its page shows it: sentences, cards, tables, the map. A result document in, plain rows out.

The document is what server/sitework.py writes; its figures are shown and never computed again.
"""

import re

from flask import url_for

from server import atlas, maps, planadvanced, planmap, plansites, plantables
from server.i18n import date as day
from server.i18n import gettext as _
from server.i18n import language, m3, moment, ngettext, number, percent, significant
from server.i18n import text as both
from server.planwords import people_word, phrase, source_word, technology_word, unchecked_words, unit_of, words_of

FILES = {"gpkg": "gpkg", "xlsx": "xlsx", "replay": "replay"}


def run_of(text):
    """A run as an address names it, or None; KeyError for anything else."""
    if text and not re.fullmatch(r"\d{1,6}", text):
        raise KeyError(text)
    return text or None


def file_of(services, code, kind):
    """The path of a file of the newest whole run, or None."""
    return services.studies.paths(code).get(FILES.get(kind, ""))


def answer(services, study, settings):
    """Everything that templates/plan_result.html shows; None where no run is whole yet."""
    result = services.studies.result(study["code"])
    if result is None:
        return None
    names = unit_names(services.store)
    layers, load = result["spec"]["layers"], result.get("unit", "m3_day")
    sites = [plansites.site(s, result, names, layers) for s in result["sites"]]
    return {
        "result": result, "lead": lead(result), "status": status_words(result), "kpis": kpis(result), "sites": sites,
        "map": _map(services, study, result, names, settings), "key": planmap.key(result, layers),
        "excluded": plantables.excluded(result, layers), "unchecked": unchecked_words(result["unchecked"], layers, load),
        "coarse": [(words_of("rule", r["code"], layers), "; ".join(words_of("why", w) for w in r["why"]))
                   for r in result["rules"] if r["status"] == "coarse"],
        "curve": plantables.curve(result), "sensitivity": plantables.sensitivity(result, names, layers), "candidates": plantables.candidates(result, names),
        "plants": [plantables.plant(p) for p in result["plants"]], "notes": [n[language()] for n in result["notes"]],
        "sources": [source_word(s) for s in result["sources"]], "versions": plantables.versions(result["prints"]), "laws": plantables.laws(result),
        "refused": [plantables.refused(r, layers) for r in result["refused"]],
        "files": _files(services, study["code"], result["plan"]), "row": {"changed": moment(study["changed_at"])},
        "technology": technology_word(result["spec"]["facility"]["technology"]), "as_of": day(result["as_of"]),
        "weights": [(words_of("criterion", c["code"], layers, load), percent(c["weight"]), c["status"]) for c in result["criteria"]],
        "ahp": result["ahp"] and _("Consistency ratio of the answers on pairs: %(ratio)s (up to 0.10 is accepted).",
                                   ratio=number(result["ahp"]["ratio"], 2)),
        "served": plantables.served(result, names),
        "effort": planadvanced.said(result["spec"]),
    }  # fmt: skip


def unit_names(store):
    """{code: name in the reader's language} of wards, zones and ports."""
    out = {}
    for layer in ("admin_units", "industrial_zones", "port_areas"):
        frame = store.snapshot(layer)
        rows = zip(frame["code"], frame["name_vi"], frame["name_en"], strict=True)
        out |= {code: both({"name_vi": vi, "name_en": en}, "name") or code for code, vi, en in rows}
    return out


# --- sentences ---


def lead(result):
    """The answer in one sentence."""
    plan = result["plan"]
    if plan is None:
        return result["infeasible"][language()] if result["infeasible"] else _("There is no plan.")
    count, unit = len(result["sites"]), unit_of(result)
    said = {"unit": unit, "m3": m3(plan["served_m3_day"]), "people": people_word(plan["people"])}
    if plan["model"] == "covering":
        return ngettext(
            "One new plant leaves nobody out of reach: %(m3)s %(unit)s of %(people)s people.",
            "%(num)s new plants leave nobody out of reach: %(m3)s %(unit)s of %(people)s people.", count, **said,
        )  # fmt: skip
    if plan["model"] in ("median", "cheapest"):
        return ngettext(
            "One new plant takes %(m3)s %(unit)s, on ways of %(km)s km on average.",
            "%(num)s new plants take %(m3)s %(unit)s, on ways of %(km)s km on average.", count, **said, km=number(_mean_km(result), 1),
        )  # fmt: skip
    said |= {"m3": m3(plan["gain_m3_day"]), "people": people_word(plan["gain_people"])}
    if result.get("unit") == "t_day":
        return ngettext(
            "One new facility takes %(m3)s %(unit)s of waste of %(people)s people. What waste sites of today take is not counted.",
            "%(num)s new facilities take %(m3)s %(unit)s of waste of %(people)s people. What waste sites of today take is not counted.",
            count, **said,
        )  # fmt: skip
    return ngettext(
        "One new plant takes %(m3)s %(unit)s of %(people)s people that no plant takes today.",
        "%(num)s new plants take %(m3)s %(unit)s of %(people)s people that no plant takes today.", count, **said,
    )  # fmt: skip


def _mean_km(result):
    total = sum(f["m3_day"] for f in result["flows"])
    return sum(f["m3_day"] * f["distance_m"] for f in result["flows"]) / total / 1000 if total else None


def status_words(result):
    """How good the answer is proven to be, in words."""
    plan = result["plan"]
    if plan is None:
        why = result["infeasible"]
        return _("What stands in the way: %(what)s.", what=words_of("binding", why["rule"])) if why else ""
    load, money = unit_of(result), result["spec"]["money"]
    value, bound = _of_goal(plan, plan["value"], load, money), _of_goal(plan, plan["bound"], load, money)
    status = words_of("status", plan["status"])
    if plan["gap"] is None:
        return _("Found: %(value)s (%(status)s). How near to the best is not known.", value=value, status=status)
    if plan["status"] == "optimal":
        return _("Found and proven best: %(value)s, of all choices of these sites.", value=value)
    gap = percent(plan["gap"], 1 if plan["gap"] >= 0.0005 else 2)
    if plan["model"] == "coverage":
        return _("Best found: %(value)s; no choice can be above %(bound)s: gap %(gap)s (%(status)s).", value=value, bound=bound,
                 gap=gap, status=status)  # fmt: skip
    return _("Best found: %(value)s; no choice can be below %(bound)s: gap %(gap)s (%(status)s).", value=value, bound=bound,
             gap=gap, status=status)  # fmt: skip


def _of_goal(plan, value, load, money):
    """A value of the goal, as precise as it is, with its unit. Plants that stand are in it."""
    if value is None:
        return "–"
    units = {"m3": load, "people": _("people"), "plants": _("plants"), "distance": f"{load} × m", "cost": money}
    standing = {"m3": plan["standing_m3_day"], "people": plan["standing_people"]}.get(plan["goal"]) or 0
    whole = abs(value) >= 10 and plan["goal"] != "cost"
    said = f"{number(value, 0) if whole else number(value)} {units.get(plan['goal'], plan['goal'])}"
    if plan["model"] == "coverage" and standing:
        return _("%(sum)s by all plants together", sum=said)
    return said


def kpis(result):
    """[(label, value, unit, note)] on top of the page."""
    plan, spec, load = result["plan"], result["spec"], result.get("unit", "m3_day")
    share = _("%(share)s of the study area", share=percent(result["free_ha"] / result["area_ha"]))
    land = (_("land that keeps all checked rules"), number(significant(result["free_ha"]), 0), "ha", share)
    if plan is None:
        return [land]
    gain = plan["gain_m3_day"]
    per = plan["cost"] / gain if gain and plan["cost"] is not None else None
    wanted = result["demand"]["m3_day"]
    money = _("no costs were entered") if plan["cost"] is None else ""
    if per:
        money = _(
            "%(sum)s %(money)s for each %(unit)s gained",
            sum=number(significant(per)),
            money=spec["money"],
            unit=unit_of(result),
        )
    return [
        (_("gained"), m3(gain), unit_of(result), phrase(load, "share", share=percent(gain / wanted)) if wanted else ""),
        (_("people gained"), people_word(plan["gain_people"]), "", ""),
        (_("cost"), number(plan["cost"]), spec["money"] if plan["cost"] is not None else "", money),
        (_("still not served"), m3(plan["unserved_m3_day"]), unit_of(result), _standing(plan, result)),
        land,
    ]  # fmt: skip


def _standing(plan, result):
    """What the plants of today take, which is neither gained nor left."""
    taken = plan["standing_m3_day"]
    return _("plants that stand take %(m3)s %(unit)s", m3=m3(taken), unit=unit_of(result)) if taken else ""


def _files(services, code, plan):
    there = services.studies.paths(code)
    sheets = [
        {"label": _("Sheet (PDF)"), "url": url_for("scenarios.study_sheet", code=code, size=size), "note": size}
        for size in ("A4", "A3")
        if plan is not None
    ]
    words = {"xlsx": _("Tables (XLSX)"), "gpkg": _("Map layers (GeoPackage)"), "replay": _("Replay file")}
    out = []
    for kind, label in words.items():
        if FILES[kind] in there:
            size = there[FILES[kind]].stat().st_size
            note = f"{number(max(1, round(size / 1000)), 0)} kB"
            out.append({"label": label, "url": url_for("plan.file", code=code, kind=kind), "note": note})
    return [*sheets, *out]


# --- the map ---


def _map(services, study, result, names, settings):
    west, south, east, north = result["grid"]["bounds_lonlat"]
    bounds = ((south, west), (north, east)) if result["spec"]["area"] else atlas.CITY_BOUNDS
    layers = [atlas.ground(services.store), *planmap.layers(study, result, names)]
    return maps.map_page(layers, bounds=bounds, settings=settings, label=_("Map of the siting study"))
