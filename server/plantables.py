"""The tables of an answer: what each further plant adds, excluded land, sensitivity, candidates, plants, units, law."""

from server import plancharts
from server.i18n import gettext as _
from server.i18n import m3, number, percent, significant
from server.i18n import text as both
from server.plansites import land_word, law_word
from server.planwords import people_word, source_word, unit_of, words_of


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
         "m3": m3(c["served_m3_day"]), "gain": m3(c["gain_m3_day"]), "people": people_word(c["people"]), "gap": c["gap"],
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
    return {"picture": picture, "rows": rows, "money": money, "title": title, "costs": plan["cost"] is not None,
            "proven": all(c["gap"] is not None and c["gap"] < 0.00001 for c in chain)}  # fmt: skip


def excluded(result, layers):
    bits = {r["code"]: 4 << r["bit"] for r in result["rules"] if r["bit"] is not None}
    return [
        {"word": words_of("rule", e["code"], layers), "ha": number(significant(e["ha"]), 0), "value": e["ha"], "share": percent(e["share"]),
         "source": source_word(e["source"]), "code": e["code"], "bit": bits.get(e["code"])}
        for e in result["excluded"]
    ]  # fmt: skip


def sensitivity(result, names, layers):
    found = result["robustness"]
    if not found:
        return None
    labels = {c["code"]: c["label"] or c["code"] for c in result["candidates"]}
    wards = {c["code"]: names.get(c["ward"], "") for c in result["candidates"]}
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
                "word": words_of("criterion", code, layers, result.get("unit", "m3_day")),
                "cells": [{"stays": cells[c]["stays"], "first": labels.get(cells[c]["first"], cells[c]["first"]), "kept": percent(cells[c]["top_kept"])}
                          if c in cells else None for c in changes],
                "turn": _turning(t, labels),
            }
        )  # fmt: skip
    return {
        "changes": [f"{'+' if c > 0 else '−'}{percent(abs(c))}" for c in changes], "rows": rows, "top": found["top"], "runs": number(found["runs"]),
        "spread": percent(found["spread"]),
        "sites": [{"code": s["code"], "label": labels.get(s["code"], s["code"]), "ward": wards.get(s["code"], ""), "share": s["in_top"], "first": percent(s["first"]),
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


def candidates(result, names):
    rows = sorted(result["candidates"], key=lambda c: c["rank"])
    return [
        {"code": c["code"], "rank": c["rank"], "label": c["label"], "score": number(c["score"], 2), "value": c["score"], "ward": names.get(c["ward"], c["ward"] or "–"),
         "options": ", ".join(m3(o) for o in c["options"]), "chosen": c["chosen"], "forced": c["forced"], "place": f"{c['lat']:.5f}, {c['lon']:.5f}",
         "lat": f"{c['lat']:.6f}", "lon": f"{c['lon']:.6f}"}
        for c in rows
    ]  # fmt: skip


def plant(plant):
    return {
        "code": plant["code"], "title": both(plant, "name") or plant["code"], "state": plant["state"], "capacity": number(plant["capacity_m3_day"], 0),
        "spare": m3(plant["spare_m3_day"]), "used": m3(plant["used_m3_day"]), "why": words_of("why", plant["why"]),
        "in_use": plant["used_m3_day"] > 0,
    }  # fmt: skip


def refused(row, layers):
    broken = row.get("broken") or row.get("rules") or ()
    return {
        "code": row["code"],
        "why": ", ".join(words_of("rule", c if isinstance(c, str) else c["code"], layers) for c in broken),
    }


def served(result, names):
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


def laws(result):
    return [
        {"capacity": m3(row["capacity_m3_day"]), "cost": number(row["cost"]), "law": law_word(row["law"]), "land": land_word(row["land"]),
         "open": row["open"] and law_word(row["open"])["words"], "enclosed": row["enclosed"] and law_word(row["enclosed"])["words"]}
        for row in result["laws"]
    ]  # fmt: skip


def versions(prints):
    return [(name, p.get("version"), p.get("rows"), (p.get("sha256") or "")[:12]) for name, p in sorted(prints.items())]
