"""The printed sheet (PDF, A3 or A4 landscape) of the answer of a siting study; what sheets share is in server/sheets.py.

The date on the sheet is that of the run, so that the same answer gives the same bytes.
"""

import numpy as np
import rasterio
import rasterio.features
import shapely
from rasterio.enums import Resampling

from server import sitewords
from server.i18n import date as day
from server.i18n import gettext as _
from server.i18n import language, m3, number, percent, significant, text
from server.outlines import frame, metres, outlines
from server.paper import BRAND, LINE, Map
from server.sheets import DETAIL_M, IDLE, SPOT, STANDING, key_line, key_ring, map_note, paper_of, side_column

NOT_HERE, FAINT = (226, 220, 209), (140, 150, 148)
EXCLUDED_CELLS = 40_000  # the excluded land of a sheet is drawn from so many cells at most


class NoAnswer(Exception):
    """There is no such study, or it has no answer with sites yet."""


def study_sheet(services, code, size):
    """The bytes of the sheet of a study's newest whole answer; NoAnswer where it has none."""
    try:
        result = services.studies.result(code)
    except KeyError:
        raise NoAnswer(code) from None
    if result is None or result["plan"] is None:
        raise NoAnswer(code)
    study, paths = services.studies.get(code), services.studies.paths(code)
    pdf = paper_of(
        services, size, f"{result['name']} ({code})", _("Siting study: data and rules of %(day)s", day=day(result["as_of"])),
        study["changed_at"],
        _("Run %(run)s of the question of %(day)s. Sources and versions of the data on the last page. "
          "Schematic outlines are no boundaries.", run=study["done_run"], day=day(study["changed_at"])),
    )  # fmt: skip
    _study_page(services, pdf, result, paths)
    _study_tables(services, pdf, result)
    return pdf.done()


def _study_page(services, pdf, result, paths):
    side = 78 * pdf.k_text
    wide, high = pdf.epw - side - 6 - 3 * pdf.k_text, pdf.h - pdf.t_margin - pdf.edge - 17 * pdf.k_text
    left, top = pdf.edge + 3 * pdf.k_text, pdf.t_margin + 1
    spots = {d["code"]: (d["lon"], d["lat"]) for d in result["demands"]}
    by_code = {s["code"]: s for s in result["sites"]}
    chosen = [f for f in result["flows"] if f["facility"] in by_code]
    points = [metres(s["lon"], s["lat"]) for s in result["sites"]] + [metres(*spots[f["demand"]]) for f in chosen]
    (west, south), (east, north) = (metres(*p) for p in _corners(result))
    board = Map(pdf, (left, top, wide, high), frame(points or [(west, south), (east, north)], ratio=wide / high))
    board.ground(outlines(services.figures, DETAIL_M))
    dot = 0.5 if len(result["demands"]) < 200 else 0.12
    with board.clip():
        board.areas(_excluded(paths.get("reasons")), fill=NOT_HERE)
        for f in chosen:
            s = by_code[f["facility"]]
            board.line(metres(s["lon"], s["lat"]), metres(*spots[f["demand"]]), width=0.3 if len(chosen) < 80 else 0.1)
        for d in result["demands"]:
            colour = BRAND if d["served_m3_day"] else FAINT
            board.mark(metres(d["lon"], d["lat"]), "circle", size=dot, fill=colour, line=colour)
        for p in result["plants"]:
            board.mark(metres(p["lon"], p["lat"]), "square", size=1.1, line=STANDING,
                       fill=STANDING if p["state"] in ("operating", "trial") else IDLE)  # fmt: skip
        for h in services.scenarios.ground().hotspots:
            if h["lon"] is not None:
                board.mark(metres(h["lon"], h["lat"]), "triangle", size=1.1, fill=SPOT, line=SPOT)
        for s in result["sites"]:
            if s["card"]["law"]["distance_m"]:
                board.ring(metres(s["lon"], s["lat"]), s["card"]["law"]["distance_m"])
            board.mark(metres(s["lon"], s["lat"]), "circle", size=2.4, text=s["label"])
    board.finish(map_note())
    key = [
        (lambda b, x, y: b.sign(x, y, "circle", size=2.0, text="A"), _("chosen site, in the order of building")),
        (lambda b, x, y: key_line(b, x, y), _("demand that it serves")),
        (lambda b, x, y: b.sign(x, y, "circle", size=0.5, fill=FAINT, line=FAINT), _("demand that nobody serves")),
        (_key_area(NOT_HERE), _("land excluded by a rule")),
        (lambda b, x, y: key_ring(b, x, y), _("legal distance, drawn where it is large enough to be seen")),
        (lambda b, x, y: b.sign(x, y, "square", size=1.2, fill=STANDING, line=STANDING), _("plant of today that works")),
        (lambda b, x, y: b.sign(x, y, "square", size=1.2, fill=IDLE, line=STANDING), _("plant of today that does not work, or is not known to")),
        (lambda b, x, y: b.sign(x, y, "triangle", size=1.4, fill=SPOT, line=SPOT), _("open public hotspot in water")),
    ]  # fmt: skip
    side_column(pdf, left + wide + 6, top, side - 3 * pdf.k_text, key, _study_metrics(result), title=_("The answer"))


def _key_area(fill):
    def draw(board, x, y):
        pdf = board.pdf
        pdf.set_fill_color(*fill)
        pdf.set_draw_color(*LINE)
        pdf.set_line_width(0.2)
        pdf.rect(x - 2 * pdf.k_text, y - 1.3 * pdf.k_text, 4 * pdf.k_text, 2.6 * pdf.k_text, style="DF")

    return draw


def _corners(result):
    west, south, east, north = result["grid"]["bounds_lonlat"]
    return (west, south), (east, north)


def _study_metrics(result):
    plan, money = result["plan"], result["spec"]["money"]

    def one(label, value, written, note=""):
        return {"label": label, "value": value, "written": written, "note": note}

    proof = sitewords.word("status", plan["status"], language())
    return [
        one(_("Gained by the new plants"), plan["gain_m3_day"], f"{m3(plan['gain_m3_day'])} m³/" + _("day")),
        one(_("People gained"), plan["gain_people"], number(significant(plan["gain_people"]), 0)),
        one(_("Served by all plants"), plan["served_m3_day"], f"{m3(plan['served_m3_day'])} m³/" + _("day")),
        one(_("Cost of the new plants"), plan["cost"], f"{number(plan['cost'])} {money}"),
        one(_("Proof"), plan["gap"], proof, _("gap to the best possible: %(gap)s", gap=percent(plan["gap"], 2))),
        one(_("Land that keeps the rules"), result["free_ha"], f"{number(result['free_ha'], 0)} ha",
            _("of %(all)s ha of the study area", all=number(result["area_ha"], 0))),
    ]  # fmt: skip


def _excluded(path):
    """Rings (m) of the land that some rule excludes, from the raster of reasons, coarsely."""
    if path is None:
        return ()
    with rasterio.open(path) as file:
        step = max(1, int(np.ceil(np.sqrt(file.width * file.height / EXCLUDED_CELLS))))
        size = (-(-file.height // step), -(-file.width // step))
        bits = file.read(1, out_shape=size, resampling=Resampling.nearest)
        transform = file.transform * file.transform.scale(file.width / size[1], file.height / size[0])
    mask = ((bits & 1) == 0) & (bits > 1)
    shapes = (
        shapely.geometry.shape(g)
        for g, _v in rasterio.features.shapes(mask.astype("uint8"), mask=mask, transform=transform)
    )
    return tuple(shapely.get_coordinates(ring) for g in shapes for ring in (g.exterior, *g.interiors))


def _study_tables(services, pdf, result):
    names = {u: text(n, "name") for u, n in services.scenarios.ground().names.items()}
    layers, lang = result["spec"]["layers"], language()
    pdf.add_page()
    pdf.heading(_("The chosen sites, in the order of building"))
    rows = [[s["label"], names.get(s["ward"], s["ward"] or "–"), f"{number(s['lat'], 5)}; {number(s['lon'], 5)}",
             number(s["capacity_m3_day"], 0), m3(s["used_m3_day"]), m3(s.get("gain_m3_day")), number(significant(s.get("gain_people")), 0),
             number(s["cost"]), _ring_words(s["card"]), _top_words(result, s["code"])] for s in result["sites"]]  # fmt: skip
    heads = [_("Site"), _("Ward"), _("Latitude; longitude"), _("Capacity, m³ a day"), _("Used, m³ a day"), _("Gained, m³ a day"),
             _("People gained"), f"{_('Cost')}, {result['spec']['money']}", _("Legal distance and people inside"),
             _("Among the first when weights change")]  # fmt: skip
    pdf.table_of(heads, rows, (6, 17, 15, 10, 10, 10, 10, 9, 38, 13), numbers=(3, 4, 5, 6, 7))
    for s in result["sites"]:
        told = [c[lang] for c in s["card"]["conflicts"]]
        if told:
            pdf.heading(_("Site %(label)s: what stands against it", label=s["label"]), size=8.5)
            pdf.lines(told, size=7)
    priced = result["plan"]["cost"] is not None
    if result["chain"]:
        pdf.heading(_("m³ served by number of plants"))
        rows = [[number(c.get("number"), 0) if c.get("number") is not None else number(c.get("budget")), m3(c["served_m3_day"]),
                 number(significant(c["people"]), 0), number(c["cost"] if priced else None), percent(c["gap"], 2),
                 ", ".join(x["code"] for x in c["sites"])] for c in result["chain"]]  # fmt: skip
        pdf.table_of([_("Number or budget"), _("Served, m³ a day"), _("People"), _("Cost"), _("Gap"), _("Sites")], rows,
                     (10, 14, 14, 12, 8, 50), numbers=range(5))  # fmt: skip
    pdf.heading(_("Rules"))
    taken = {r["code"]: r for r in result["excluded"]}
    rows = [[sitewords.word("rule", r["code"], lang, layers), sitewords.word("status", r["status"], lang),
             "; ".join("–" if m is None else number(m, 0) for m in dict.fromkeys(r["distance_m"])),
             number(taken.get(r["code"], {}).get("ha"), 0), "; ".join(dict.fromkeys(r["source"])),
             "; ".join(_why(w, lang) for w in r["why"])] for r in result["rules"]]  # fmt: skip
    pdf.table_of([_("Rule"), _("Checked"), _("Distance, m"), _("Land excluded, ha"), _("Source"), _("Remark")], rows,
                 (20, 12, 9, 10, 34, 34), numbers=(2, 3))  # fmt: skip
    pdf.heading(_("Weights"))
    rows = [[sitewords.word("criterion", c["code"], lang, layers), percent(c["weight"], 0), sitewords.word("status", c["status"], lang)]
            for c in result["criteria"]]  # fmt: skip
    pdf.table_of([_("Criterion"), _("Weight"), _("Checked")], rows, (40, 12, 40), numbers=(1,))
    pdf.heading(_("What was not checked"))
    out = []
    for u in result["unchecked"]:
        table = {"rule": "rule", "criterion": "criterion"}.get(u["kind"])
        name = sitewords.word(table, u["code"], lang, layers) if table else u["code"]
        out.append(f"{name}: {'; '.join(_why(w, lang) for w in u['why'])}")
    pdf.lines(out or [_("Everything that was asked for could be looked at, by the data there are.")])
    if result["notes"]:
        pdf.lines([n[lang] for n in result["notes"]])
    pdf.heading(_("Sources and versions of the data"))
    pdf.lines([_source(s, lang) for s in result["sources"]], size=6.5)
    pdf.lines([_("Versions: %(prints)s", prints="; ".join(f"{k} {_print(v)}" for k, v in sorted(result["prints"].items()))),
               _("Seed %(seed)s; the replay file of the study gives the same numbers again.", seed=result["seed"])], size=6.5)  # fmt: skip


def _source(source, lang):
    return source[lang] if isinstance(source, dict) and lang in source else str(source)


def _print(value):
    if isinstance(value, dict):
        return " ".join(str(v)[:12] for v in value.values())
    return str(value)[:12]


def _why(code, lang):
    return sitewords.word("why" if code in sitewords.WHY else "status", code, lang)


def _ring_words(card):
    out = []
    for key, words in (("open", _("open")), ("enclosed", _("enclosed"))):
        ring = card["people_inside"].get(key)
        if ring and ring["distance_m"] is not None:
            who = _("not known") if ring["people"] is None else number(significant(ring["people"], 2), 0)
            out.append(
                _(
                    "%(how)s: %(metres)s m, people %(people)s",
                    how=words,
                    metres=number(ring["distance_m"], 0),
                    people=who,
                )
            )
    now = card["people_inside"]["now"]
    if not out and now["distance_m"] is not None:
        out.append(f"{number(now['distance_m'], 0)} m: {number(now['people'], 0)}")
    if not out:
        out.append(sitewords.word("status", now["state"], language()))
    rows = ", ".join(card["law"]["rows"])
    return "\n".join([*out, rows] if rows else out)


def _top_words(result, code):
    found = next((s for s in (result["robustness"] or {}).get("sites", ()) if s["code"] == code), None)
    return "–" if found is None else percent(found["in_top"])
