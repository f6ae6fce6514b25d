"""Printed sheets (PDF, A3 or A4 landscape) of a scenario and of scenarios side by side; server/studysheets.py has the studies.

A map with its key in words, the numbers, where they come from, what was not checked. The date on the sheet is that of the
scenario or the run, so that the same state gives the same bytes. Texts are in the reader's language.
"""

from server import scenariopages
from server.citytime import local
from server.i18n import date as day
from server.i18n import gettext as _
from server.i18n import m3, m3_range, moment, ngettext, number, percent, percent_range, significant, text
from server.outlines import frame, metres, outlines
from server.paper import BRAND, INK, QUIET, WARM, Map, Paper, cut, plain
from server.scenariobook import Scenario
from server.scenarioplants import FIRST_YEAR, SHOWN_YEARS
from server.signs import PART_LOOK
from server.words import word

STANDING, IDLE, SPOT = (76, 92, 94), (255, 255, 255), (179, 38, 30)
DETAIL_M = 80.0
PART_COLOURS = {part: tuple(bytes.fromhex(look[0][1:])) for part, look in PART_LOOK.items()}


# --- a scenario ---


def scenario_sheet(services, scenario: Scenario, year, size):
    """The bytes of the sheet of one scenario as it stands in a year."""
    figures = services.scenarios.figures(scenario.code)
    pdf = paper_of(
        services, size, f"{scenario.name} ({scenario.code})",
        _("Scenario: new plants on top of the ledger of %(day)s; state in %(year)s", day=day(figures["as_of"]),
          year=scenariopages.year_word(year)),
        scenario.changed_at, _foot(services, scenario.changed_at, figures["version"]),
    )  # fmt: skip
    currency = scenario.money.currency
    _first_page(services, pdf, figures, year, currency, scenario)
    _tables(services, pdf, figures, year, currency)
    _closing(services, pdf, figures, year)
    return pdf.done()


def paper_of(services, size, title, subtitle, made_iso, foot=""):
    """A Paper dated by a UTC instant (ISO)."""
    return Paper(size, title, subtitle=subtitle, foot=foot, made_at=local(made_iso))


def _foot(services, scenario_iso, version):
    return _("State of %(day)s, data version %(version)s. Sources on the last page. Schematic outlines are no boundaries.",
             day=moment(scenario_iso), version=version)  # fmt: skip


def _first_page(services, pdf, figures, year, currency, scenario):
    side = 78 * pdf.k_text
    wide, high = pdf.epw - side - 6, pdf.h - pdf.t_margin - pdf.edge - 17 * pdf.k_text
    left, top = pdf.edge + 3 * pdf.k_text, pdf.t_margin + 1
    wide -= 3 * pdf.k_text
    plants = figures["plants"]
    box = _box(plants, wide / high)
    board = Map(pdf, (left, top, wide, high), box)
    board.ground(outlines(services.figures, DETAIL_M))
    draw_scenario(services, board, figures, year)
    board.finish(map_note())
    x = left + wide + 6
    side_column(
        pdf,
        x,
        top,
        side - 3 * pdf.k_text,
        _scenario_key(pdf, figures),
        scenariopages.metrics(figures, year, currency),
        scenario,
        plants,
    )


def map_note():
    return _("Map in VN-2000 / TM-3 105°45' (EPSG:9210); degrees of WGS 84 at the frame. Plants and wards stand at their points; "
             "lines join them straight and are no sewers.")  # fmt: skip


def _box(plants, ratio):
    points = [metres(p["lon"], p["lat"]) for p in plants]
    points += [metres(u["lon"], u["lat"]) for p in plants for u in p["units"] if u["lon"] is not None]
    return frame(points or [metres(106.12, 20.6), metres(107.1, 21.2)], ratio=ratio)


def draw_scenario(services, board, figures, year, *, names=True):
    """Standing plants, hotspots, allocation lines, rings and new plants of one scenario on a Map."""
    relieved = set(scenariopages.year_of(figures, year)["hotspots"])
    with board.clip():
        for p in figures["plants"]:
            at = metres(p["lon"], p["lat"])
            if p["year"] <= year:
                for u in p["units"]:
                    if u["lon"] is not None:
                        there = metres(u["lon"], u["lat"])
                        board.line(at, there)
                        board.mark(there, "circle", size=0.6)
                if p["law"]["reach_m"]:
                    board.ring(at, p["law"]["reach_m"])
        for _code, lon, lat, works in standing(services):
            board.mark(metres(lon, lat), "square", fill=STANDING if works else IDLE, line=STANDING, size=1.0)
        for h in services.scenarios.ground().hotspots:
            if h["lon"] is not None:
                fill = (255, 255, 255) if h["code"] in relieved else SPOT
                board.mark(metres(h["lon"], h["lat"]), "triangle", fill=fill, line=SPOT, size=1.1)
        for p in figures["plants"]:
            built = p["year"] <= year
            board.mark(metres(p["lon"], p["lat"]), "circle", size=2.2, text=str(p["number"]), line=(255, 255, 255) if built else BRAND,
                       fill=BRAND if built else (255, 255, 255), ink=(255, 255, 255) if built else BRAND)  # fmt: skip
        if not names:
            return
        for p in figures["plants"]:
            board.name(
                metres(p["lon"], p["lat"]), f"{p['name'] or p['code']}, {p['year']}", size=6.5, away=3.0, style="B"
            )
        for p in figures["plants"]:
            for u in p["units"] if p["year"] <= year else ():
                if u["lon"] is not None:
                    board.name(
                        metres(u["lon"], u["lat"]), text(u, "name"), size=5.2, colour=QUIET, below=True, away=1.6
                    )


def standing(services):
    """(code, lon, lat, whether it works) of the plants of today that have a place."""
    rows = services.store.snapshot("treatment_plants")
    works = services.figures.ledger(services.today()).plants["works"].to_dict()
    return [
        (code, g.x, g.y, bool(works.get(code)))
        for code, g in zip(rows["code"], rows.geometry, strict=True)
        if g is not None and not g.is_empty
    ]


def _scenario_key(pdf, figures):
    later = any(p["year"] > FIRST_YEAR for p in figures["plants"])
    return [
        (lambda b, x, y: b.sign(x, y, "circle", size=2.0, text="1"), _("new plant that works in this year")),
        *([(lambda b, x, y: b.sign(x, y, "circle", size=2.0, text="2", fill=(255, 255, 255), line=BRAND, ink=BRAND),
            _("new plant of a later year"))] if later else []),
        (lambda b, x, y: key_line(b, x, y), _("ward or zone from which it collects")),
        (lambda b, x, y: key_ring(b, x, y), _("safety distance, drawn where it is large enough to be seen")),
        (lambda b, x, y: b.sign(x, y, "square", size=1.2, fill=STANDING, line=STANDING), _("plant of today that works")),
        (lambda b, x, y: b.sign(x, y, "square", size=1.2, fill=IDLE, line=STANDING), _("plant of today that does not work, or is not known to")),
        (lambda b, x, y: b.sign(x, y, "triangle", size=1.4, fill=SPOT, line=SPOT), _("open public hotspot in water")),
        (lambda b, x, y: b.sign(x, y, "triangle", size=1.4, fill=(255, 255, 255), line=SPOT), _("hotspot relieved by then")),
    ]  # fmt: skip


def key_line(board, x, y):
    pdf = board.pdf
    pdf.set_draw_color(*BRAND)
    pdf.set_line_width(0.4 * pdf.k_text)
    pdf.line(x - 2.4 * pdf.k_text, y, x + 1.6 * pdf.k_text, y)
    board.sign(x + 1.8 * pdf.k_text, y, "circle", size=0.6)


def key_ring(board, x, y):
    pdf = board.pdf
    pdf.set_draw_color(*WARM)
    pdf.set_line_width(0.25 * pdf.k_text)
    pdf.set_dash_pattern(0.8, 0.6)
    pdf.circle(x, y, 1.8 * pdf.k_text, style="D")
    pdf.set_dash_pattern()


def side_column(pdf, x, y, wide, key, metrics, scenario=None, plants=(), title=None):
    """The column beside the map: the figures of the year, then the key in words."""
    step = pdf.k_text

    def head(words, y):
        pdf.face(9, "B", BRAND)
        pdf.set_xy(x, y)
        pdf.cell(wide, 5 * step, cut(pdf, words, wide))
        return y + 5.4 * step

    y = head(title or _("Reached by then"), y)
    for m in metrics:
        pdf.set_xy(x, y)
        pdf.face(7, "", QUIET)
        pdf.multi_cell(wide, 3.2 * step, plain(m["label"]), align="L", new_x="LEFT", new_y="NEXT")
        pdf.set_x(x)
        pdf.face(9.5, "B")
        pdf.multi_cell(wide, 4.2 * step, plain(m["written"] if m["value"] is not None else _("not known")), align="L",
                       new_x="LEFT", new_y="NEXT")  # fmt: skip
        if m["note"]:
            pdf.set_x(x)
            pdf.face(6.3, "", QUIET)
            pdf.multi_cell(wide, 2.8 * step, plain(m["note"]), align="L", new_x="LEFT", new_y="NEXT")
        y = pdf.get_y() + 1.4 * step
    y = head(_("Legend"), y + 1.5 * step)
    board = Map(pdf, (x, y, wide, wide), (0.0, 0.0, 1.0, 1.0))
    for draw, words in key:
        draw(board, x + 3 * step, y + 2 * step)
        pdf.set_xy(x + 7 * step, y + 0.3 * step)
        pdf.face(7)
        pdf.multi_cell(wide - 7 * step, 3.3 * step, plain(words), align="L", new_x="LEFT", new_y="NEXT")
        y = pdf.get_y() + 1.1 * step
    rows = [
        f"{p['number']}  {p['name'] or p['code']}, {p['year']}: {number(p['capacity_m3d'], 0)} m³/{_('day')}"
        for p in plants
    ]
    y += 3.5 * step if rows else 0
    fits = max(int((pdf.h - pdf.edge - 16 * step - y) // (3.8 * step)), 0)
    if len(rows) > fits:
        left = len(rows) - max(fits - 1, 0)
        rows = [*rows[: len(rows) - left],
                ngettext("and one more plant, see the table", "and %(num)s more plants, see the table", left)]  # fmt: skip
    for line in rows:
        pdf.set_xy(x, y)
        pdf.face(7)
        pdf.cell(wide, 3.4 * step, cut(pdf, line, wide))
        y += 3.8 * step
    if scenario is not None and scenario.locked:
        pdf.set_xy(x, y + 1.5 * step)
        pdf.face(7, "B")
        pdf.multi_cell(wide, 3.3 * step, plain(_("Locked by %(who)s on %(day)s", who=scenario.locked_by, day=day(scenario.locked_at))),
                       align="L")  # fmt: skip


def _tables(services, pdf, figures, year, currency):
    pdf.add_page()
    pdf.heading(_("The ledger year by year, likely case in m³ a day"))
    _bars(pdf, figures)
    rows = []
    for y in SHOWN_YEARS:
        r = scenariopages.year_of(figures, y)
        near = number(significant(r["near"], 2), 0)
        rows.append([
            scenariopages.year_word(y), ", ".join(r["built"]) or "–", m3_range(r["treated"]), percent_range(r["share"]),
            m3_range(r["gained"]), number(significant(r["people_gained"]), 0), str(len(r["hotspots"])), near,
            scenariopages.money(r["invested"], currency), scenariopages.money(r["per_m3"], currency),
        ])  # fmt: skip
    heads = [_("Year"), _("Built by then"), _("Reaches a working plant"), _("Share"), _("Gained"), _("People gained"),
             _("Hotspots relieved"), _("People within the safety distance"), _("Investment so far"), _("Cost per m³ treated")]  # fmt: skip
    at = tuple(i for i, y in enumerate(SHOWN_YEARS) if y == year)
    pdf.table_of(heads, rows, (9, 12, 17, 12, 17, 9, 8, 10, 13, 11), numbers=range(2, 10), strong=at)
    if figures["plants"]:
        pdf.heading(_("New plants"))
        rows = [
            [p["label"], str(p["year"]), number(p["capacity_m3d"], 0), m3_range(p["treated"]), number(significant(p["people"]), 0),
             ", ".join(filter(None, [p["technology_word"], p["built_word"]])), f"{number(p['lat'], 5)}; {number(p['lon'], 5)}",
             "\n".join(p["law_words"]), number(p["sewer_km"], 1), p["build_cost_word"], p["from_word"]]
            for p in scenariopages.plant_rows(figures, currency)
        ]  # fmt: skip
        heads = [_("Plant"), _("Year"), _("Capacity, m³ a day"), _("Treats, m³ a day"), _("People"), _("Built how"),
                 _("Latitude; longitude"), _("Safety distance"), _("Sewers, km"), _("Cost"), _("Comes from")]  # fmt: skip
        pdf.table_of(heads, rows, (13, 6, 9, 14, 8, 19, 12, 34, 7, 11, 13), numbers=(1, 2, 3, 4, 8, 9))
        pdf.heading(_("Where their water comes from, m³ a day, when all plants are built"))
        rows = [[u["name"], m3(u["generated"]), m3(u["left_before"]), m3(u["left_after"]), m3(u["gained"]),
                 number(significant(u["people"]), 0)] for u in scenariopages.unit_rows(figures)]  # fmt: skip
        heads = [
            _("Ward or zone"),
            _("Generated"),
            _("Without known treatment today"),
            _("after"),
            _("Gained"),
            _("People"),
        ]
        pdf.table_of(heads, rows, (30, 12, 16, 12, 12, 12), numbers=range(1, 6))


def _bars(pdf, figures):
    """The ledger of every shown year as a bar of its parts, with the parts in words below."""
    k, parts = pdf.k_text, scenariopages.parts_there(figures)
    left, wide, high, top = pdf.edge + 17 * k, pdf.epw - 17 * k, 3.6 * k, pdf.get_y()
    pdf.set_draw_color(255, 255, 255)
    pdf.set_line_width(0.2)
    for i, y in enumerate(SHOWN_YEARS):
        row, at = scenariopages.year_of(figures, y), top + i * 4.6 * k
        pdf.face(7.2)
        pdf.text(pdf.edge, at + high * 0.75, plain(scenariopages.year_word(y)))
        x, whole = left, sum(row["parts"][p]["likely"] for p in parts) or 1.0
        for p in parts:
            share = row["parts"][p]["likely"] / whole
            pdf.set_fill_color(*PART_COLOURS[p])
            pdf.rect(x, at, wide * share, high, style="DF")
            if share > 0.05:
                pdf.face(6.5, "B", (255, 255, 255) if sum(PART_COLOURS[p]) < 420 else INK)
                pdf.text(x + 1.2 * k, at + high * 0.74, percent(share).replace("\u00a0", " "))
            x += wide * share
    x, at = left, top + len(SHOWN_YEARS) * 4.6 * k + 0.6 * k
    for p in parts:
        pdf.set_fill_color(*PART_COLOURS[p])
        pdf.rect(x, at, 3.2 * k, 2.6 * k, style="F")
        pdf.face(7)
        words = plain(word("part", p))
        pdf.text(x + 4.2 * k, at + 2.2 * k, words)
        x += 9 * k + pdf.get_string_width(words)
    pdf.set_y(at + 5 * k)


def _closing(services, pdf, figures, year):
    spots = scenariopages.hotspot_rows(figures)
    if spots:
        pdf.heading(_("Hotspots relieved"))
        pdf.lines([f"{h['code']} {h['name']} ({_('from %(year)s', year=h['year'])})" for h in spots])
    pdf.heading(_("What these figures are, and what was not checked"))
    pdf.lines([*scenariopages.cautions(figures),
               _("Not checked here: land, flood, ground, water that receives, and the other rules of a siting study.")])  # fmt: skip
    _sources(services, pdf, figures["version"])


def _sources(services, pdf, version):
    view = services.figures.coverage("ward", services.today())
    pdf.heading(_("Sources and versions of the data"))
    newest = {}
    for v in services.store.history():
        newest.setdefault(v["layer"], v)
    used = (
        "admin_units",
        "industrial_zones",
        "port_areas",
        "treatment_plants",
        "plant_states",
        "service_links",
        "hotspots",
        "norms",
    )
    kept = [f"{name} {newest[name]['version']} ({day(newest[name]['at'])})" for name in used if name in newest]
    pdf.lines([_("Data version %(version)s: %(layers)s.", version=version, layers=", ".join(kept))], size=7)
    pdf.lines(services.figures.ledger_sources(view)["sources"], size=6.5)


# --- side by side ---


def comparison_sheet(services, columns, year, size):
    """The bytes of the sheet of two to four scenarios. columns: as server.scenariopages.compared takes them."""
    names = " / ".join(f"{c['letter']}: {c['scenario'].name}" for c in columns)
    made = max(c["scenario"].changed_at for c in columns)
    version = columns[0]["figures"]["version"]
    pdf = paper_of(services, size, _("Scenarios side by side"), _("%(names)s; state in %(year)s", names=names,
                 year=scenariopages.year_word(year)), made, _foot(services, made, version))  # fmt: skip
    _small_maps(services, pdf, columns, year)
    rows = []
    for r in scenariopages.compared(columns, year):
        cells = []
        for c in r["cells"]:
            words = [c["written"] if c["value"] is not None else _("not known"), c["place"], c["difference"], c["note"]]
            cells.append("\n".join(w for w in words if w))
        rows.append(["\n".join(filter(None, [r["label"], r["note"]])), *cells])
    heads = [_("Figure"), *(f"{c['letter']}: {c['scenario'].name}" for c in columns)]
    pdf.table_of(heads, rows, (16, *([24] * len(columns))))
    remarks = [*scenariopages.own_distances(columns, year), scenariopages.versions(columns)]
    pdf.lines([r for r in remarks if r], mark="")
    by_year = scenariopages.by_year(columns)
    for key, label in scenariopages.by_year_labels():
        rows = [
            [f"{c['letter']}: {c['scenario'].name}", *(y["cells"][i][key] for y in by_year)]
            for i, c in enumerate(columns)
        ]
        heads = [_("Scenario"), *(y["label"] for y in by_year)]
        pdf.section(label, heads, rows, (24, *([12] * len(by_year))), numbers=range(1, 8))
    _closing(services, pdf, columns[0]["figures"] | {"hotspots": []}, year)
    return pdf.done()


def _small_maps(services, pdf, columns, year):
    gap = 5 * pdf.k_text
    wide = (pdf.epw - gap * (len(columns) - 1)) / len(columns) if len(columns) > 1 else pdf.epw / 2
    wide = min(wide, 125 * pdf.k_text)
    high = min(wide * 0.78, (pdf.h - pdf.t_margin - pdf.edge) * 0.5)
    box = _box([p for c in columns for p in c["figures"]["plants"]], wide / high)
    outline, top = outlines(services.figures, DETAIL_M), pdf.t_margin + 5 * pdf.k_text
    for i, c in enumerate(columns):
        left = pdf.edge + 2 + i * (wide + gap)
        pdf.set_xy(left, pdf.t_margin)
        pdf.face(8, "B", INK)
        pdf.cell(wide - 3, 4 * pdf.k_text, cut(pdf, f"{c['letter']}: {c['scenario'].name}", wide - 3))
        board = Map(
            pdf, (left, top, wide - 3, high), (box[0], box[1], box[0] + (box[2] - box[0]) * (wide - 3) / wide, box[3])
        )
        board.ground(outline)
        draw_scenario(services, board, c["figures"], year, names=False)
        board.finish("")
    pdf.set_xy(pdf.edge, top + high + 4 * pdf.k_text)
    pdf.face(6.3, "", QUIET)
    words = _("Filled circle: works by %(year)s; hollow: later. Lines: collects from. Squares: plants of today (filled: working). "
              "Triangles: open public hotspots in water (hollow: relieved). Dashed ring: safety distance.", year=year)  # fmt: skip
    pdf.multi_cell(pdf.epw, 3 * pdf.k_text, plain(words + " " + map_note()), new_x="LMARGIN", new_y="NEXT", align="L")
    pdf.ln(1.5 * pdf.k_text)
