"""Scenarios as pages show them: rows of the list, the figures of a year, and what differs between scenarios in words."""

from datetime import date

from flask import url_for

from geo.coverage import PARTS
from server import charts
from server.i18n import N_, m3, m3_range, moment, ngettext, number, percent, percent_range, significant, text
from server.i18n import date as day
from server.i18n import gettext as _
from server.scenariobook import STEPS
from server.scenarioforms import ENCLOSED, SERVES, TECHNOLOGIES
from server.scenarioledger import RELIEF_SHARE
from server.scenarioplants import SHOWN_YEARS

MOST_COMPARED = 4
LETTERS = "ABCD"
MONEY = ("invested", "per_m3d", "per_m3")
STATES = {
    "established": N_("established"), "assessment": N_("left to the environmental impact assessment"),
    "not_established": N_("not established"), "not_asked": N_("not asked: say whether it is closed"),
}  # fmt: skip


def money(value, currency):
    """An amount to three significant figures, large ones in millions or billions: "1.250 tỷ đồng"."""
    if value is None:
        return number(None)
    value = significant(value)
    for step, words in ((1e9, N_("%(value)s billion")), (1e6, N_("%(value)s million"))):
        if abs(value) >= step:
            shown = number(value / step, 0 if abs(value / step) >= 100 else None)
            return f"{_(words, value=shown)} {currency}".strip()
    return f"{number(value, 0 if abs(value) >= 100 else None)} {currency}".strip()


def row(scenario, figures, counts):
    """One scenario for the list."""
    last = year_of(figures, SHOWN_YEARS[-2])
    return {
        "code": scenario.code, "name": scenario.name, "url": url_for("scenarios.one", code=scenario.code),
        "plants": counts[0], "comments": counts[1], "locked": scenario.locked, "locked_by": scenario.locked_by,
        "gained": last["gained"], "people": last["people_gained"], "year": last["year"],
        "invested": money(last["invested"], scenario.money.currency), "invested_value": last["invested"],
        "changed": moment(scenario.changed_at), "changed_iso": scenario.changed_at, "who": scenario.changed_by,
        "revision": scenario.revision,
    }  # fmt: skip


def year_of(figures, year):
    """The figures of one year."""
    return next(r for r in figures["years"] if r["year"] == year)


def year_word(year):
    return _("%(year)s and later", year=year) if year == SHOWN_YEARS[-1] else str(year)


def metrics(figures, year, currency):
    """What a scenario reaches by a year: dicts key, label, value, written, note, better ("more", "less")."""
    r, base = year_of(figures, year), figures["base"]
    hotspots = r["hotspots"]
    near_note = _near_note(r)
    sewers = _("without sewers: no cost per km is given") if r["without_sewers"] else ""
    ask = _("enter your unit costs") if r["built"] else ""
    return [
        _metric("gained", _("Waste water gained, m³ a day"), r["gained"]["likely"], m3_range(r["gained"]), "more"),
        _metric("people", _("People gained"), r["people_gained"], number(significant(r["people_gained"]), 0), "more"),
        _metric("share", _("Reaches a working plant, whole city"), r["share"]["likely"], percent_range(r["share"]), "more",
                _("today %(share)s", share=percent(base["share"]["likely"]))),
        _metric("invested", _("Investment so far"), r["invested"], money(r["invested"], currency), "less",
                ask if r["invested"] is None else sewers),
        _metric("per_m3d", _("Investment per m³ a day gained"), r["per_m3d"], money(r["per_m3d"], currency), "less",
                sewers if r["per_m3d"] is not None else ""),
        _metric("per_m3", _("Cost per m³ treated"), r["per_m3"], money(r["per_m3"], currency), "less",
                (_("needs costs of building and operation, and the years") if r["built"] else "")
                if r["per_m3"] is None else sewers),
        _metric("hotspots", _("Hotspots relieved"), len(hotspots), number(len(hotspots), 0), "more",
                _("of %(n)s open public ones in water", n=number(figures["open_water_hotspots"], 0))),
        _metric("near", _("People within the safety distance"), r["near"],
                _people_word(r["near"]), "less", near_note),
    ]  # fmt: skip


def _people_word(n):
    return _("under 10") if n is not None and 0 < n < 10 else number(significant(n, 2), 0)


def _metric(key, label, value, written, better, note=""):
    return {"key": key, "label": label, "value": value, "written": written, "better": better, "note": note}


def _near_note(r):
    if r["near_unknown"]:
        return _("not known for %(plants)s", plants=", ".join(r["near_unknown"]))
    told = []
    if r.get("near_by_own"):  # a lock of before has none
        told.append(_("with the distance that was entered for %(plants)s", plants=", ".join(r["near_by_own"])))
    if r["near_by_today"]:
        words = _(
            "by today's rules for %(plants)s: those of its year are not established",
            plants=", ".join(r["near_by_today"]),
        )
        told.append(words)
    return "; ".join(told)


# --- side by side ---


def compared(columns, year):
    """Rows of metrics over scenarios: label and, per column, written, note, difference and place in words.

    columns: [{scenario, figures, letter}]. Differences are to the first column; the best of all is named. Nothing is
    said of a value that is not known, nor of money in different currencies.
    """
    built = [bool(year_of(c["figures"], year)["built"]) for c in columns]
    by_column = [metrics(c["figures"], year, c["scenario"].money.currency) for c in columns]
    rows = []
    for same in zip(*by_column, strict=True):
        currencies = {c["scenario"].money.currency for c, m, there in zip(columns, same, built, strict=True)
                      if there and m["value"] is not None}  # fmt: skip
        comparable = same[0]["key"] not in MONEY or len(currencies) <= 1
        values = [m["value"] if comparable else None for m in same]
        # whoever builds nothing spends nothing and disturbs nobody: that is no merit to be named
        race = [
            v
            for v, there in zip(values, built, strict=True)
            if v is not None and (there or same[0]["better"] == "more")
        ]
        best = (max if same[0]["better"] == "more" else min)(race) if race else None
        named = best is not None and any(not _alike(v, best) for v in race)
        cells = []
        for i, m in enumerate(same):
            said = (
                _difference(m["key"], values[i], values[0], columns[0]["letter"], currencies)
                if i and comparable
                else ""
            )
            wins = named and values[i] is not None and _alike(values[i], best) and (built[i] or m["better"] == "more")
            place = (_("most of all") if m["better"] == "more" else _("least of all")) if wins else ""
            cells.append(m | {"difference": said, "place": place, "is_best": wins})
        note = "" if comparable else _("Different currencies: not compared.")
        rows.append({"key": same[0]["key"], "label": same[0]["label"], "cells": cells, "note": note})
    return rows


def _alike(a, b):
    """Whether two figures are the same as far as an estimate can say: to half a per cent."""
    return abs(a - b) <= 0.005 * max(abs(a), abs(b))


def _difference(key, value, first, letter, currencies):
    if value is None or first is None:
        return _("not comparable: a figure is missing")
    if _alike(value, first):
        return _("as in %(letter)s", letter=letter)
    size = abs(value - first)
    if key == "share":
        shown = percent_points(size)
    elif key in MONEY:
        shown = money(size, next(iter(currencies), ""))
    else:
        shown = number(significant(size), 0)
    words = N_("%(size)s more than %(letter)s") if value > first else N_("%(size)s less than %(letter)s")
    return _(words, size=shown, letter=letter)


def percent_points(share):
    return _("%(points)s points", points=number(share * 100, 1))


def versions(columns):
    """A sentence where the scenarios rest on different data, as one that is locked may; else blank."""
    if len({(c["figures"]["as_of"], c["figures"]["version"]) for c in columns}) < 2:
        return ""
    told = [f"{c['letter']} {day(c['figures']['as_of'])}, {c['figures']['version']}" for c in columns]
    return _("The scenarios rest on data of different days or versions: %(list)s.", list="; ".join(told))


def own_distances(columns, year):
    """The distances that planners entered and that count by a year, as sentences: one for each scenario that has some."""
    out = []
    for c in columns:
        alike = {}
        for p in c["figures"]["plants"]:
            if p["law"]["by"] == "own" and p["year"] <= year:
                alike.setdefault((p["law"]["metres"], p["law"]["own"]["source"]), []).append(p["code"])
        if alike:
            told = "; ".join(_("%(plants)s %(metres)s m (%(source)s)", plants=", ".join(codes), metres=number(metres, 0),
                               source=source) for (metres, source), codes in alike.items())  # fmt: skip
            out.append(
                _("Safety distances entered by the planner, %(letter)s: %(list)s", letter=c["letter"], list=told)
            )
    return out


def by_year_labels():
    """What by_year() tells: [(key of a cell, label)]."""
    return [
        ("gained", _("Waste water gained, m³ a day")), ("people", _("People gained")), ("invested", _("Investment so far")),
        ("per_m3", _("Cost per m³ treated")), ("hotspots", _("Hotspots relieved")),
        ("near", _("People within the safety distance")),
    ]  # fmt: skip


def by_year(columns):
    """The figures of every shown year: [{year, label, cells: [dict by the keys of by_year_labels()]}]."""
    out = []
    for y in SHOWN_YEARS:
        cells = []
        for c in columns:
            r, currency = year_of(c["figures"], y), c["scenario"].money.currency
            cells.append({
                "gained": m3(r["gained"]["likely"]), "people": number(significant(r["people_gained"]), 0),
                "invested": money(r["invested"], currency), "per_m3": money(r["per_m3"], currency),
                "hotspots": number(len(r["hotspots"]), 0), "near": _people_word(r["near"]), "value": r["gained"]["likely"],
            })  # fmt: skip
        out.append({"year": y, "label": year_word(y), "cells": cells})
    return out


# --- one scenario ---


def ledger_rows(figures):
    """The ledger of every shown year: year, bar (Markup), parts, share, gained, people."""
    out = []
    for y in SHOWN_YEARS:
        r = year_of(figures, y)
        bar = charts.ledger_bar_svg(r["parts"], title=_("Where the waste water goes in %(year)s", year=y), height=24)
        out.append({"year": y, "label": year_word(y), "bar": bar, "share": r["share"], "gained": r["gained"],
                    "people": r["people_gained"], "built": r["built"], "parts": r["parts"]})  # fmt: skip
    return out


def parts_there(figures):
    """The parts that any shown year holds, for the key of the bars."""
    rows = [year_of(figures, y)["parts"] for y in SHOWN_YEARS]
    return [p for p in PARTS if any(r[p]["likely"] > 0.5 for r in rows)]


def plant_rows(figures, currency):
    """The plants for their table, everything written."""
    out = []
    for p in figures["plants"]:
        technology, serves = TECHNOLOGIES.get(p["technology"], p["technology"]), SERVES[p["serves"]]
        built = None if p["enclosed"] is None else ENCLOSED["yes" if p["enclosed"] else "no"]
        out.append(
            p | {
                "label": f"{p['code']} {p['name']}".strip(), "technology_word": _(technology),
                "built_word": _(built) if built else "", "serves_word": _(serves),
                "fill": round(p["treated"]["likely"] / p["capacity_m3d"], 6),
                "build_cost_word": money(p["build_cost"], currency),
                "sewer_cost_word": money(p["sewer_cost"], currency), "law_words": law_words(p), "from_word": _from(p),
            }
        )  # fmt: skip
    return out


def _from(p):
    if p["from_study"]:
        return _("site %(site)s of study %(study)s, with its flows", site=p["site"], study=p["study"])
    return (
        _("began as site %(site)s of study %(study)s", site=p["site"], study=p["study"])
        if p["study"]
        else _("drawn by hand")
    )


def law_words(p):
    """The safety distance of a plant in sentences: the number with its rows or its source, what else the law says or does
    not, and what to check."""
    law, out = p["law"], []
    rule = {"own": law.get("own"), "year": law["then"]}.get(law["by"], law["today"])
    first = day(date(p["year"], 1, 1).isoformat())
    if law["metres"] is not None:
        more = _(", × %(factor)s", factor=number(rule["factor"])) if rule["factor"] != 1 else ""
        told = {"metres": number(law["metres"], 0), "more": more, "who": _who(law["near"])}
        out.append(
            _("%(metres)s m%(more)s, entered by the planner (source: %(source)s): %(who)s", source=rule["source"], **told)
            if law["by"] == "own" else
            _("%(metres)s m%(more)s (%(regulation)s, rows %(rows)s): %(who)s", regulation=rule["regulation"],
              rows=", ".join(rule["rows"]), **told)
        )  # fmt: skip
    if law["by"] == "own" and law["then"]["distance_m"] is not None:
        out.append(
            _(
                "The rules of %(day)s ask for %(metres)s m (%(regulation)s, rows %(rows)s).",
                day=first,
                **_asked(law["then"]),
            )
        )
    elif law["by"] != "year":
        state = STATES[law["then"]["state"]]
        out.append(_("By the rules of %(day)s: %(state)s.", day=first, state=_(state)))
        if law["by"] == "own" and law["today"]["distance_m"] is not None:
            out.append(_("Today's rules ask for %(metres)s m (%(regulation)s, rows %(rows)s).", **_asked(law["today"])))
    if p.get("own_m") is not None and law["by"] != "own":
        out.append(
            _(
                "The %(metres)s m that were entered are not more than the law's: the law's count.",
                metres=number(p["own_m"]),
            )
        )
    out += [text({"c_en": en, "c_vi": vi}, "c") for en, vi in rule["cautions"]] if rule else []
    return out


def _asked(rule):
    return {"metres": number(rule["distance_m"], 0), "regulation": rule["regulation"], "rows": ", ".join(rule["rows"])}


def _who(near):
    if near is None:
        return _("people there: not known")
    n = round(near["people"])
    if not n:
        return _("nobody lives there by the population raster")
    return ngettext("one person lives there", "%(num)s people live there", n)


def history_rows(steps):
    """The steps of a scenario for its page, in words."""
    out = []
    for s in steps:
        words = STEPS[s["action"]]
        out.append(s | {"words": _(words), "plants_word": ngettext("one plant", "%(num)s plants", s["plants"])})
    return out


def unit_rows(figures):
    """Wards and zones that send something to new plants: names, generated, untreated before and after, gained."""
    untreated = [p for p in PARTS if not p.startswith("treated")]
    return [
        u | {"name": text(u, "name"), "left_before": sum(u["before"][p] for p in untreated),
             "left_after": sum(u["after"][p] for p in untreated)}
        for u in figures["units"]
    ]  # fmt: skip


def hotspot_rows(figures):
    """The hotspots that are relieved in some year, with the first year."""
    out = []
    for h in figures["hotspots"]:
        first = next(r["year"] for r in figures["years"] if h["code"] in r["hotspots"])
        out.append({"code": h["code"], "name": text(h, "name"), "year": first})
    return sorted(out, key=lambda h: (h["year"], h["code"]))


def cautions(figures):
    """What the reader must know beside the figures: sentences."""
    out = [
        _("The base is the ledger of %(day)s with the people of that day; growth of the city is not in it.", day=day(figures["as_of"])),
        _("Who sends where is an estimate: the nearest water without known treatment, in a straight line to the point of "
          "the ward or zone, or the flows of the study. No sewer was designed."),
        _("What a new plant treats is counted as treated with unknown result: a plant that is not built has proved nothing."),
        _("A hotspot counts as relieved when at least %(share)s of the water without known treatment of its ward goes to a "
          "new plant. Whether its water gets clean is not said; events that are over are not counted.", share=percent(RELIEF_SHARE)),
        _("The safety distance is counted from the rim of a disc as large as the plot that the norm gives the plant, today's where "
          "that of its year is not established."),
    ]  # fmt: skip
    if figures["uncounted"]:
        out.append(ngettext("Of one place nobody knows how much waste water it makes; it is in no sum.",
                            "Of %(num)s places nobody knows how much waste water they make; they are in no sum.",
                            figures["uncounted"]))  # fmt: skip
    return out
