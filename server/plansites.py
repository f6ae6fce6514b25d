"""The reason card of a chosen site as its page shows it: gain, who lives too near, the law, land, intake, cost, robustness."""

from server.i18n import gettext as _
from server.i18n import language, m3, number, percent, significant
from server.i18n import text as both
from server.planwords import measure, people_word, source_word, unchecked_words, words_of


def site(site, result, names, layers):
    card, spec = site["card"], result["spec"]
    robust = _robust_of(result, site["code"])
    inside = card["people_inside"]
    rings = _rings(inside, spec["facility"]["enclosed"])
    return {
        **{k: site[k] for k in ("code", "label", "lat", "lon", "forced", "given")},
        "place": f"{site['lat']:.5f}, {site['lon']:.5f}", "ward": names.get(site["ward"], site["ward"] or "–"),
        "name": _("Site %(label)s", label=site["label"]), "capacity": m3(site["capacity_m3_day"]), "cost": number(site.get("cost")), "has_cost": site.get("cost") is not None,
        "gain": m3(site.get("gain_m3_day", site["used_m3_day"])), "gain_value": site.get("gain_m3_day", site["used_m3_day"]),
        "people": people_word(site.get("gain_people", site["people"])), "used": percent(site["used_m3_day"] / site["capacity_m3_day"]),
        "step": site["step"], "alone": m3(site.get("alone_m3_day")), "mean_km": number((site["mean_distance_m"] or 0) / 1000, 1),
        "rings": rings, "rough": card["people_rough"], "law": law_word(card["law"]), "land": land_word(card["land"]),
        "upstream": _upstream(card["upstream"]), "cost_class": _cost_class(site.get("cost_class")),
        "cost_per": None if card["cost_per_m3_day"] is None else f"{number(significant(card['cost_per_m3_day']), None)} {spec['money']}",
        "rules": [_card_rule(r, layers) for r in card["rules"]],
        "unchecked": [w for w, _why, kind in unchecked_words([u for u in result["unchecked"] if u["code"] in card["unchecked"]], layers)],
        "conflicts": [c[language()] for c in card["conflicts"]], "robust": robust, "score": number(site["score"], 2), "rank": site["rank"],
        "criteria": [{"word": words_of("criterion", c["code"], layers, result.get("unit", "m3_day")), "measured": measure(c["measured"], c["unit"]),
                      "value": number(c["value"], 2), "weight": percent(c["weight"])} for c in site["criteria"]],
        "units": [(names.get(u["unit"], u["unit"]), m3(u["m3_day"]), people_word(u["people"])) for u in site["units"]],
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


def law_word(law):
    if law["state"] != "established":
        return {"words": words_of("status", law["state"]), "source": law["regulation"], "rows": ", ".join(law["rows"])}
    said = f"{number(law['distance_m'])} m"
    if law["factor"] != 1:
        said += f" ({number(law['base_m'])} m × {number(law['factor'])})"
    return {
        "words": said, "source": source_word(law["reference"] or law["regulation"]), "rows": ", ".join(law["rows"]),
        "confidence": words_of("confidence", law["confidence"]), "cautions": [c[language()] for c in law["cautions"]],
    }  # fmt: skip


def land_word(land):
    if land["plot_ha"] is None:
        return _("not established: the plot was taken as a point")
    return _("plot %(plot)s ha, green belt %(belt)s m, together %(all)s ha (%(rows)s)", plot=number(land["plot_ha"]),
             belt=number(land["belt_m"], 0), all=number(land["with_belt_ha"]), rows=land["source"] or _("row %(rows)s", rows=", ".join(land["rows"])))  # fmt: skip


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
        "source": source_word(rule["source"]), "state": rule["status"], "words": words_of("status", rule["status"]) + (f": {why}" if why else ""),
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
