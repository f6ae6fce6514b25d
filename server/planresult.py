"""The answer of a siting study as its page shows it: sentences, cards, tables, the map. A result document in, plain rows out.

The document is what server/sitework.py writes; its figures are shown and never computed again.
"""

import re

from flask import url_for

from server import atlas, maps, plancharts, planmap
from server.i18n import date as day
from server.i18n import gettext as _
from server.i18n import language, m3, moment, ngettext, number, percent, significant
from server.i18n import text as both
from server.planwhy import measure
from server.planwords import technology_word, unchecked_words, words_of

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
    layers = result["spec"]["layers"]
    sites = [_site(s, result, names, layers) for s in result["sites"]]
    return {
        "result": result, "lead": lead(result), "status": status_words(result), "kpis": kpis(result), "sites": sites,
        "map": _map(services, study, result, names, settings), "key": planmap.key(result, layers),
        "excluded": _excluded(result, layers), "unchecked": unchecked_words(result["unchecked"], layers),
        "coarse": [(words_of("rule", r["code"], layers), "; ".join(words_of("why", w) for w in r["why"]))
                   for r in result["rules"] if r["status"] == "coarse"],
        "curve": curve(result), "sensitivity": _sensitivity(result, layers), "candidates": _candidates(result, names),
        "plants": [_plant(p) for p in result["plants"]], "notes": [n[language()] for n in result["notes"]],
        "sources": result["sources"], "versions": _versions(result["prints"]), "laws": _laws(result),
        "refused": [_refused(r, layers) for r in result["refused"]],
        "files": _files(services, study["code"]), "row": {"changed": moment(study["changed_at"])},
        "technology": technology_word(result["spec"]["facility"]["technology"]), "as_of": day(result["as_of"]),
        "weights": [(words_of("criterion", c["code"], layers), percent(c["weight"]), c["status"]) for c in result["criteria"]],
        "ahp": result["ahp"] and _("Consistency ratio of the answers on pairs: %(ratio)s (up to 0.10 is accepted).",
                                   ratio=number(result["ahp"]["ratio"], 2)),
        "served": _served(result, names), "asked": planmap.ASKED,
    }  # fmt: skip


def unit_names(store):
    """{code: name in the reader's language} of wards, zones and ports."""
    out = {}
    for layer in ("admin_units", "industrial_zones", "port_areas"):
        frame = store.snapshot(layer)
        rows = zip(frame["code"], frame["name_vi"], frame["name_en"], strict=True)
        out |= {code: both({"name_vi": vi, "name_en": en}, "name") or code for code, vi, en in rows}
    return out


def unit_of(result):
    """The unit of all loads of a result, in words."""
    return words_of("unit", result.get("unit", "m3_day"))


# --- sentences ---


def lead(result):
    """The answer in one sentence."""
    plan = result["plan"]
    if plan is None:
        return result["infeasible"][language()] if result["infeasible"] else _("There is no plan.")
    count, unit = len(result["sites"]), unit_of(result)
    said = {"unit": unit, "m3": m3(plan["served_m3_day"]), "people": _people(plan["people"])}
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
    said |= {"m3": m3(plan["gain_m3_day"]), "people": _people(plan["gain_people"])}
    return ngettext(
        "One new plant takes %(m3)s %(unit)s of %(people)s people that no plant takes today.",
        "%(num)s new plants take %(m3)s %(unit)s of %(people)s people that no plant takes today.", count, **said,
    )  # fmt: skip


def _people(value):
    return number(significant(value), 0)


def _mean_km(result):
    total = sum(f["m3_day"] for f in result["flows"])
    return sum(f["m3_day"] * f["distance_m"] for f in result["flows"]) / total / 1000 if total else None


def status_words(result):
    """How good the answer is proven to be, in words."""
    plan = result["plan"]
    if plan is None:
        return words_of("binding", result["infeasible"]["rule"]) if result["infeasible"] else ""
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
    plan, spec = result["plan"], result["spec"]
    if plan is None:
        free = number(significant(result["free_ha"]), 0)
        return [(_("land that keeps all checked rules"), free, "ha", percent(result["free_ha"] / result["area_ha"]))]
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
        (_("gained"), m3(gain), unit_of(result), _("%(share)s of what is not treated", share=percent(gain / wanted)) if wanted else ""),
        (_("people gained"), _people(plan["gain_people"]), "", ""),
        (_("cost"), number(plan["cost"]), spec["money"] if plan["cost"] is not None else "", money),
        (_("still not served"), m3(plan["unserved_m3_day"]), unit_of(result), ""),
        (_("land that keeps all checked rules"), number(significant(result["free_ha"]), 0), "ha", percent(result["free_ha"] / result["area_ha"])),
    ]  # fmt: skip


# --- sites ---


def _site(site, result, names, layers):
    card, spec = site["card"], result["spec"]
    robust = _robust_of(result, site["code"])
    inside = card["people_inside"]
    rings = _rings(inside, spec["facility"]["enclosed"])
    return {
        **{k: site[k] for k in ("code", "label", "lat", "lon", "forced", "given")},
        "place": f"{site['lat']:.5f}, {site['lon']:.5f}", "ward": names.get(site["ward"], site["ward"] or "–"),
        "name": _("Site %(label)s", label=site["label"]), "capacity": m3(site["capacity_m3_day"]), "cost": number(site.get("cost")), "has_cost": site.get("cost") is not None,
        "gain": m3(site.get("gain_m3_day", site["used_m3_day"])), "gain_value": site.get("gain_m3_day", site["used_m3_day"]),
        "people": _people(site.get("gain_people", site["people"])), "used": percent(site["used_m3_day"] / site["capacity_m3_day"]),
        "step": site["step"], "alone": m3(site.get("alone_m3_day")), "mean_km": number((site["mean_distance_m"] or 0) / 1000, 1),
        "rings": rings, "rough": card["people_rough"], "law": _law(card["law"]), "land": _land(card["land"]),
        "upstream": _upstream(card["upstream"]), "cost_class": _cost_class(site.get("cost_class")),
        "cost_per": None if card["cost_per_m3_day"] is None else f"{number(significant(card['cost_per_m3_day']), None)} {spec['money']}",
        "rules": [_card_rule(r, layers) for r in card["rules"]],
        "unchecked": [w for w, _why, kind in unchecked_words([u for u in result["unchecked"] if u["code"] in card["unchecked"]], layers)],
        "conflicts": [c[language()] for c in card["conflicts"]], "robust": robust, "score": number(site["score"], 2), "rank": site["rank"],
        "criteria": [{"word": words_of("criterion", c["code"], layers), "measured": measure(c["measured"], c["unit"]),
                      "value": number(c["value"], 2), "weight": percent(c["weight"])} for c in site["criteria"]],
        "units": [(names.get(u["unit"], u["unit"]), m3(u["m3_day"]), _people(u["people"])) for u in site["units"]],
    }  # fmt: skip


def _rings(inside, enclosed):
    """Who lives inside the ring with open and with enclosed works; the planned ones first. One line where the law makes no difference."""
    words = {"open": _("open"), "enclosed": _("enclosed")}
    both_ways = [name for name in words if inside.get(name)]
    if len(both_ways) < 2:
        return [{"name": "now", "label": _("as planned"), "planned": True, **_ring(inside["now"])}]
    planned = "enclosed" if enclosed else "open"
    rows = [{"name": n, "label": words[n], "planned": n == planned, **_ring(inside[n])} for n in both_ways]
    return sorted(rows, key=lambda r: not r["planned"])


def _ring(ring):
    if ring["state"] != "established":
        return {
            "metres": None,
            "people": None,
            "words": words_of("status", ring["state"]),
            "rows": ", ".join(ring["rows"]),
        }
    people = None if ring["people"] is None else number(round(ring["people"]), 0)
    return {"metres": number(ring["distance_m"], 0), "people": people, "words": "", "rows": ", ".join(ring["rows"])}


def _law(law):
    if law["state"] != "established":
        return {"words": words_of("status", law["state"]), "source": law["regulation"], "rows": ", ".join(law["rows"])}
    said = f"{number(law['distance_m'])} m"
    if law["factor"] != 1:
        said += f" ({number(law['base_m'])} m × {number(law['factor'])})"
    return {
        "words": said, "source": law["reference"] or law["regulation"], "rows": ", ".join(law["rows"]),
        "confidence": words_of("confidence", law["confidence"]), "cautions": [c[language()] for c in law["cautions"]],
    }  # fmt: skip


def _land(land):
    if land["plot_ha"] is None:
        return _("not established: the plot was taken as a point")
    return _("plot %(plot)s ha, green belt %(belt)s m, together %(all)s ha (%(rows)s)", plot=number(land["plot_ha"]),
             belt=number(land["belt_m"], 0), all=number(land["with_belt_ha"]), rows=land["source"] or ", ".join(land["rows"]))  # fmt: skip


def _upstream(found):
    state = found["state"]
    said = {
        "yes": _("yes: the distance grows"), "perhaps": _("perhaps: the tide of some rivers is not stated"), "no": _("no"),
        "said_yes": _("yes, as the planner said: the distance grows"), "said_no": _("no, as the planner said"),
        "unchecked": _("not checked: %(why)s", why=words_of("why", found["why"])),
    }[state]  # fmt: skip
    named = []
    for one in found["intakes"]:
        way = _("%(km)s km along the river", km=number(one["along_m"] / 1000, 1)) if one["along_m"] is not None else ""
        name = both(one, "name") or one["code"]
        named.append(f"{name} ({one['code']})" + (f", {way}" if way else ""))
    return {"state": state, "words": said, "intakes": named}


def _cost_class(level):
    return {1: _("low"), 2: _("middle"), 3: _("high")}.get(level, _("not known"))


def _card_rule(rule, layers):
    why = "; ".join(words_of("why", w) for w in rule["why"])
    return {
        "word": words_of("rule", rule["code"], layers), "measured": measure(rule["measured"], "m"), "limit": measure(rule["limit"], "m"),
        "source": rule["source"], "state": rule["status"], "words": words_of("status", rule["status"]) + (f": {why}" if why else ""),
    }  # fmt: skip


def _robust_of(result, code):
    found = result["robustness"] or {}
    row = next((s for s in found.get("sites", ()) if s["code"] == code), None)
    if row is None:
        return None
    return {
        "share": row["in_top"], "best": row["best"], "worst": row["worst"],
        "words": _("Among the best %(top)s of %(all)s sites in %(share)s of %(runs)s runs with weights drawn anew (± %(spread)s).",
                   top=found["top"], all=number(len(result["candidates"])), share=percent(row["in_top"]), runs=number(found["runs"]),
                   spread=percent(found["spread"])),
    }  # fmt: skip


# --- tables ---


def curve(result):
    """{picture, rows, by} of what 1, 2, 3 ... plants (or rising budgets) serve; None where the model has no such curve."""
    chain, plan = result["chain"], result["plan"]
    if plan is None or len(chain) < 1:
        return None
    people = plan["goal"] == "people"
    standing = plan["standing_people"] if people else plan["standing_m3_day"]
    money = result["spec"]["budget"] is not None
    rows = [
        {"number": k if money else c["number"], "value": c["value"], "bound": c["bound"], "cost": c["cost"], "sites": len(c["sites"]),
         "m3": m3(c["served_m3_day"]), "gain": m3(c["gain_m3_day"]), "people": _people(c["people"]), "gap": c["gap"],
         "budget": c["budget"], "exact": number(c["value"], 0), "exact_bound": number(c["bound"], 0),
         "cost_word": number(c["cost"]), "budget_word": number(c["budget"])}
        for k, c in enumerate(chain, start=1)
    ]  # fmt: skip
    what = _("people served") if people else _("%(unit)s served", unit=unit_of(result))
    words = {
        "x": _("steps of the budget") if money else _("number of new plants"), "served": _("served"), "bound": _("at most possible"),
        "standing": _("today's plants"),
    }  # fmt: skip
    title = _("%(what)s by number of plants", what=what) if not money else _("%(what)s by budget", what=what)
    picture = plancharts.served_curve(rows, standing=standing, title=title, desc=_("The table gives the same figures."),
                                      written=lambda v: number(v, 0), words=words)  # fmt: skip
    return {"picture": picture, "rows": rows, "money": money, "title": title, "costs": plan["cost"] is not None}


def _excluded(result, layers):
    bits = {r["code"]: 4 << r["bit"] for r in result["rules"] if r["bit"] is not None}
    return [
        {"word": words_of("rule", e["code"], layers), "ha": number(significant(e["ha"]), 0), "value": e["ha"], "share": percent(e["share"]),
         "source": e["source"], "code": e["code"], "bit": bits.get(e["code"])}
        for e in result["excluded"]
    ]  # fmt: skip


def _sensitivity(result, layers):
    found = result["robustness"]
    if not found:
        return None
    labels = {c["code"]: c["label"] or c["code"] for c in result["candidates"]}
    changes = sorted({r["change"] for r in found["one_at_a_time"]})
    by = {}
    for r in found["one_at_a_time"]:
        by.setdefault(r["criterion"], {})[r["change"]] = r
    turning = {t["criterion"]: t for t in found["turning_points"]}
    rows = []
    for code, cells in by.items():
        t = turning.get(code, {})
        rows.append(
            {
                "word": words_of("criterion", code, layers),
                "cells": [{"stays": cells[c]["stays"], "first": labels.get(cells[c]["first"], cells[c]["first"]), "kept": percent(cells[c]["top_kept"])}
                          if c in cells else None for c in changes],
                "turn": _turning(t, labels),
            }
        )  # fmt: skip
    return {
        "changes": [f"{'+' if c > 0 else '−'}{percent(abs(c))}" for c in changes], "rows": rows, "top": found["top"], "runs": number(found["runs"]),
        "spread": percent(found["spread"]),
        "sites": [{"code": s["code"], "label": labels.get(s["code"], s["code"]), "share": s["in_top"], "first": percent(s["first"]),
                   "picture": plancharts.share_bar(s["in_top"], title=percent(s["in_top"])), "written": percent(s["in_top"]), "rank": s["rank"],
                   "range": f"{s['best']}–{s['worst']}"}
                  for s in sorted(found["sites"], key=lambda s: s["rank"])[:20]],
    }  # fmt: skip


def _turning(turn, labels):
    said = []
    if turn.get("down") is not None:
        said.append(
            _(
                "below %(times)s × its weight %(site)s leads",
                times=number(turn["down"]),
                site=labels.get(turn["down_to"], turn["down_to"]),
            )
        )
    if turn.get("up") is not None:
        said.append(
            _(
                "above %(times)s × its weight %(site)s leads",
                times=number(turn["up"]),
                site=labels.get(turn["up_to"], turn["up_to"]),
            )
        )
    return "; ".join(said) or _("at no weight another site leads")


def _candidates(result, names):
    rows = sorted(result["candidates"], key=lambda c: c["rank"])
    return [
        {"code": c["code"], "rank": c["rank"], "label": c["label"], "score": number(c["score"], 2), "value": c["score"], "ward": names.get(c["ward"], c["ward"] or "–"),
         "options": ", ".join(m3(o) for o in c["options"]), "chosen": c["chosen"], "forced": c["forced"], "place": f"{c['lat']:.5f}, {c['lon']:.5f}",
         "lat": f"{c['lat']:.6f}", "lon": f"{c['lon']:.6f}"}
        for c in rows
    ]  # fmt: skip


def _plant(plant):
    return {
        "code": plant["code"], "title": both(plant, "name") or plant["code"], "state": plant["state"], "capacity": number(plant["capacity_m3_day"], 0),
        "spare": m3(plant["spare_m3_day"]), "used": m3(plant["used_m3_day"]), "why": words_of("why", plant["why"]),
        "in_use": plant["used_m3_day"] > 0,
    }  # fmt: skip


def _refused(row, layers):
    broken = row.get("broken") or row.get("rules") or ()
    return {
        "code": row["code"],
        "why": ", ".join(words_of("rule", c if isinstance(c, str) else c["code"], layers) for c in broken),
    }


def _served(result, names):
    """Units by what is still not served, most first: (name, wanted, served, share)."""
    sums = {}
    for d in result["demands"]:
        held = sums.setdefault(d["unit"], [0.0, 0.0])
        held[0] += d["m3_day"]
        held[1] += d["served_m3_day"]
    rows = sorted(sums.items(), key=lambda item: item[1][1] - item[1][0])
    return [
        {"code": code, "word": names.get(code, code), "m3": m3(whole), "served": m3(part), "left": m3(whole - part), "value": whole - part,
         "share": percent(part / whole if whole else 0)}
        for code, (whole, part) in rows
    ]  # fmt: skip


def _laws(result):
    return [
        {"capacity": m3(row["capacity_m3_day"]), "cost": number(row["cost"]), "law": _law(row["law"]), "land": _land(row["land"]),
         "open": row["open"] and _law(row["open"])["words"], "enclosed": row["enclosed"] and _law(row["enclosed"])["words"]}
        for row in result["laws"]
    ]  # fmt: skip


def _versions(prints):
    return [(name, p.get("version"), p.get("rows"), (p.get("sha256") or "")[:12]) for name, p in sorted(prints.items())]


def _files(services, code):
    there = services.studies.paths(code)
    sheets = [
        {"label": _("Sheet (PDF)"), "url": url_for("scenarios.study_sheet", code=code, size=size), "note": size}
        for size in ("A4", "A3")
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
