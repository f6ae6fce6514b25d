"""The pages of tables behind the map on the printed sheet of a study: sites with their reasons, curve, rules, sources."""

from server import citations, layeruses, loadwords, ownlayers, plansites, planwords, sitewords
from server.i18n import gettext as _
from server.i18n import language, m3, number, percent, significant, text


def tables(services, pdf, result):
    names = {u: text(n, "name") for u, n in services.scenarios.ground().names.items()}
    layers, lang, unit = result["spec"]["layers"], language(), planwords.unit_of(result)
    pdf.add_page()
    pdf.heading(_("The chosen sites, in the order of building"))
    rows = [[s["label"], names.get(s["ward"], s["ward"] or "–"), f"{number(s['lat'], 5)}; {number(s['lon'], 5)}",
             number(s["capacity_m3_day"], 0), m3(s["used_m3_day"]), m3(s.get("gain_m3_day")), number(significant(s.get("gain_people")), 0),
             number(s["cost"]), _ring_words(s["card"]), _top_words(result, s["code"])] for s in result["sites"]]  # fmt: skip
    heads = [_("Site"), _("Ward"), _("Latitude; longitude"), f"{_('Capacity')}, {unit}", f"{_('Used')}, {unit}", f"{_('Gained')}, {unit}",
             _("People gained"), f"{_('Cost')}, {result['spec']['money']}", _("Legal distance and people inside"),
             _("Among the first when weights change")]  # fmt: skip
    pdf.table_of(heads, rows, (6, 17, 15, 10, 10, 10, 10, 9, 38, 13), numbers=(3, 4, 5, 6, 7))
    for s in result["sites"]:
        _card(pdf, plansites.site(s, result, names, layers))
    priced, labels = result["plan"]["cost"] is not None, {s["code"]: s["label"] for s in result["sites"]}
    if result["chain"]:
        what, money = _("%(unit)s served", unit=unit), result["spec"]["budget"] is not None
        pdf.heading(_("%(what)s by budget", what=what) if money else _("%(what)s by number of plants", what=what))
        rows = [[number(c.get("number"), 0) if c.get("number") is not None else number(c.get("budget")), m3(c["served_m3_day"]),
                 number(significant(c["people"]), 0), number(c["cost"] if priced else None), percent(c["gap"]),
                 ", ".join(labels.get(x["code"], x["code"]) for x in c["sites"])] for c in result["chain"]]  # fmt: skip
        pdf.table_of([_("Number or budget"), f"{_('Served')}, {unit}", _("People"), _("Cost"), _("Gap"), _("Sites")], rows,
                     (10, 14, 14, 12, 8, 50), numbers=range(5))  # fmt: skip
    pdf.heading(_("Rules"))
    taken = {r["code"]: r for r in result["excluded"]}
    rows = [[sitewords.word("rule", r["code"], lang, layers), sitewords.word("status", r["status"], lang),
             "; ".join("–" if m is None else number(m, 0) for m in dict.fromkeys(r["distance_m"])),
             number(taken.get(r["code"], {}).get("ha"), 0), "; ".join(planwords.source_word(s) for s in dict.fromkeys(r["source"])),
             "; ".join(_why(w, lang) for w in r["why"])] for r in result["rules"]]  # fmt: skip
    pdf.table_of([_("Rule"), _("Checked"), _("Distance, m"), _("Land excluded, ha"), _("Source"), _("Remark")], rows,
                 (20, 12, 9, 10, 34, 34), numbers=(2, 3))  # fmt: skip
    _own_layers(pdf, result, lang)
    pdf.heading(_("Weights"))
    rows = [[planwords.words_of("criterion", c["code"], layers, result["unit"]), percent(c["weight"], 0), sitewords.word("status", c["status"], lang)]
            for c in result["criteria"]]  # fmt: skip
    pdf.table_of([_("Criterion"), _("Weight"), _("Checked")], rows, (40, 12, 40), numbers=(1,))
    pdf.heading(_("What was not checked"))
    out = []
    for u in result["unchecked"]:
        name = loadwords.unchecked_name(u, lang, layers, load=result["unit"])
        out.append(f"{name}: {'; '.join(_why(w, lang) for w in u['why'])}")
    pdf.lines(out or [_("Everything that was asked for could be looked at, by the data there are.")])
    if result["notes"]:
        pdf.lines([n[lang] for n in result["notes"]])
    pdf.heading(_("Sources and versions of the data"))
    pdf.lines([_source(s, lang) for s in result["sources"]], size=6.5)
    pdf.lines([_("Versions: %(prints)s", prints="; ".join(f"{k} {_print(v)}" for k, v in sorted(result["prints"].items()))),
               _("Seed %(seed)s; the replay file of the study gives the same numbers again.", seed=result["seed"])], size=6.5)  # fmt: skip


def _source(source, lang):
    return source[lang] if isinstance(source, dict) and lang in source else citations.cited(str(source), lang)


def _print(value):
    if isinstance(value, dict):
        return " ".join(str(v)[:12] for v in value.values())
    return str(value)[:12]


def _why(code, lang):
    return sitewords.word("why" if code in sitewords.WHY else "status", code, lang)


def _ring_words(card):
    """Who lives inside the ring, with open and with enclosed works, each with its rows of the table."""
    inside = card["people_inside"]
    rings = [
        (words, inside[key]) for key, words in (("open", _("open")), ("enclosed", _("enclosed"))) if inside.get(key)
    ]
    return "\n".join(_ring(words, ring) for words, ring in rings or [("", inside["now"])])


def _ring(words, ring):
    if ring["distance_m"] is None:
        said = sitewords.word("status", ring["state"], language())
    else:
        people = _("unknown number of") if ring["people"] is None else number(significant(ring["people"], 2), 0)
        said = _("%(people)s people inside %(m)s m", people=people, m=number(ring["distance_m"], 0))
    rows = _("row %(rows)s", rows=", ".join(ring["rows"])) if ring["rows"] else ""
    return (f"{words}: " if words else "") + " · ".join(filter(None, (said, rows)))


def _card(pdf, site):
    """The reasons of a site in a few lines: what the law asks, land, intake, cost, robustness, what stands against it."""
    law = site["law"]
    parts = (
        law["words"],
        law["source"],
        _("row %(rows)s", rows=law["rows"]) if law["rows"] else "",
        law.get("confidence"),
    )
    pdf.heading(f"{site['name']}: {site['ward']}", size=8.5)
    up = site["upstream"]
    lines = [
        (_("Law"), " · ".join(filter(None, parts))),
        (_("Land"), site["land"]),
        (_("Upstream of an intake"), ": ".join(filter(None, (up["words"], "; ".join(up["intakes"]))))),
        (_("Cost class"), site["cost_class"] if site["has_cost"] else _("no costs were entered")),
        (_("Robustness"), site["robust"]["words"] if site["robust"] else _("not asked for")),
        (_("What stands against it"), " ".join(site["conflicts"])),
        (_("Not checked here"), ", ".join(site["unchecked"])),
    ]  # fmt: skip
    pdf.lines([f"{label}: {words}" for label, words in lines if words], size=7)


def _top_words(result, code):
    found = next((s for s in (result["robustness"] or {}).get("sites", ()) if s["code"] == code), None)
    return "–" if found is None else percent(found["in_top"])


def _own_layers(pdf, result, lang):
    """The study's own layers in words, with the land that each excludes."""
    spec, taken = result["spec"], {r["code"]: r["ha"] for r in result["excluded"]}
    if not spec["layers"]:
        return
    pdf.heading(_("Layers of this study"))
    rows = [[row["name"], planwords.kinds_word(ownlayers.counted(row["wkt"])[0]),
             "; ".join(use[lang] for use in layeruses.uses(spec, row["code"])) or _("not used"),
             number(taken.get(sitewords.LAYER + row["code"]), 0), row["source"]] for row in spec["layers"]]  # fmt: skip
    pdf.table_of([_("Layer"), _("Shapes"), _("What it is for"), _("Land excluded, ha"), _("Source")], rows,
                 (34, 12, 24, 10, 34), numbers=(3,))  # fmt: skip
