"""The printed sheet (PDF, A3 or A4 landscape) of the answer of a siting study; what sheets share is in server/sheets.py.

The date on the sheet is that of the run, so that the same answer gives the same bytes.
"""

import numpy as np
import rasterio
import rasterio.features
import shapely
from rasterio.enums import Resampling

from server import layeruses, planwords, sitewords, studyshapes, studytables
from server.i18n import date as day
from server.i18n import gettext as _
from server.i18n import language, m3, number, percent, significant
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
    studytables.tables(services, pdf, result)
    return pdf.done()


def _study_page(services, pdf, result, paths):
    side = 78 * pdf.k_text
    wide, high = pdf.epw - side - 6 - 3 * pdf.k_text, pdf.h - pdf.t_margin - pdf.edge - 17 * pdf.k_text
    left, top = pdf.edge + 3 * pdf.k_text, pdf.t_margin + 1
    spots = {d["code"]: (d["lon"], d["lat"]) for d in result["demands"]}
    by_code = {s["code"]: s for s in result["sites"]}
    chosen = [f for f in result["flows"] if f["facility"] in by_code]
    sent = _by_unit(chosen, spots)
    points = [metres(s["lon"], s["lat"]) for s in result["sites"]] + [metres(*spots[f["demand"]]) for f in chosen]
    (west, south), (east, north) = (metres(*p) for p in _corners(result))
    board = Map(pdf, (left, top, wide, high), frame(points or [(west, south), (east, north)], ratio=wide / high))
    board.ground(outlines(services.figures, DETAIL_M))
    standing = [p for p in result["plants"] if p["lon"] is not None]
    dot = 0.5 if len(result["demands"]) < 200 else 0.12
    with board.clip():
        board.areas(_excluded(paths.get("reasons")), fill=NOT_HERE)
        for k, row in enumerate(result["spec"]["layers"]):
            studyshapes.draw(board, row, layeruses.look(k))
        most = max((volume for volume, _at in sent.values()), default=1.0)
        for (_unit, facility), (volume, at) in sent.items():
            s = by_code[facility]
            board.line(metres(s["lon"], s["lat"]), metres(*at), width=0.15 + 0.75 * (volume / most) ** 0.5)
        for d in result["demands"]:
            colour = BRAND if d["served_m3_day"] else FAINT
            board.mark(metres(d["lon"], d["lat"]), "circle", size=dot, fill=colour, line=colour)
        for p in standing:
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
        (lambda b, x, y: key_line(b, x, y), _("units that it serves; the wider, the more")),
        (lambda b, x, y: b.sign(x, y, "circle", size=0.5), _("demand that is served")),
        (lambda b, x, y: b.sign(x, y, "circle", size=0.5, fill=FAINT, line=FAINT), _("demand that nobody serves")),
        (_key_area(NOT_HERE), _("land excluded by a rule")),
        (lambda b, x, y: key_ring(b, x, y), _("legal distance, drawn where it is large enough to be seen")),
        *([(lambda b, x, y: b.sign(x, y, "square", size=1.2, fill=STANDING, line=STANDING), _("plant of today that works")),
           (lambda b, x, y: b.sign(x, y, "square", size=1.2, fill=IDLE, line=STANDING),
            _("plant of today that does not work, or is not known to"))] if standing else []),
        (lambda b, x, y: b.sign(x, y, "triangle", size=1.4, fill=SPOT, line=SPOT), _("open public hotspot in water")),
    ]  # fmt: skip
    key += studyshapes.key(result["spec"])
    side_column(pdf, left + wide + 6, top, side - 3 * pdf.k_text, key, _study_metrics(result), title=_("The answer"))


def _by_unit(flows, spots):
    """{(unit, facility): (m³/day, (lon, lat) of the middle of what is sent)}."""
    sums = {}
    for f in flows:
        lon, lat = spots[f["demand"]]
        held = sums.setdefault((f["unit"], f["facility"]), [0.0, 0.0, 0.0])
        for k, value in enumerate((1.0, lon, lat)):
            held[k] += value * f["m3_day"]
    return {key: (m, (x / m, y / m)) for key, (m, x, y) in sums.items() if m > 0}


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
        one(_("Gained by the new plants"), plan["gain_m3_day"], f"{m3(plan['gain_m3_day'])} {planwords.unit_of(result)}"),
        one(_("People gained"), plan["gain_people"], number(significant(plan["gain_people"]), 0)),
        one(_("Served by all plants"), plan["served_m3_day"], f"{m3(plan['served_m3_day'])} {planwords.unit_of(result)}"),
        one(_("Cost of the new plants"), plan["cost"], f"{number(plan['cost'])} {money}"),
        one(_("Proof"), plan["status"], proof, "" if not plan["gap"] else _("gap to the best possible: %(gap)s", gap=percent(plan["gap"], 2))),
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
