"""The layers that a study brought along, on its printed sheet: drawn on the map and named in the key."""

import geopandas as gpd
import shapely

from server import layeruses, ownlayers
from server.i18n import gettext as _
from server.outlines import METRIC

DETAIL_M = 20.0
IN_KEY = 6  # those beside the map; the others are named in their table


def draw(board, row, look):
    """Draw a layer of the study's own: outlines over a light tint, lines, points."""
    pdf = board.pdf
    parts = gpd.GeoSeries.from_wkt([row["wkt"]], crs=4326).to_crs(METRIC).explode(ignore_index=True).simplify(DETAIL_M)
    parts = parts.explode(ignore_index=True)
    areas = [shape for shape in parts if shape.geom_type == "Polygon"]
    rings = [shapely.get_coordinates(r) for shape in areas for r in (shape.exterior, *shape.interiors)]
    with pdf.local_context(fill_opacity=0.16):
        board.areas(rings, fill=look.rgb)
    _pen(pdf, look)
    board.areas(rings, line=look.rgb, width=0.35)
    for shape in parts:
        if shape.geom_type == "LineString":
            pdf.set_draw_color(*look.rgb)
            pdf.set_line_width(0.45 * pdf.k_text)
            pdf.polyline([board.at(x, y) for x, y in shapely.get_coordinates(shape)], style="D")
    pdf.set_dash_pattern()
    for shape in parts:
        if shape.geom_type == "Point":
            board.mark((shape.x, shape.y), "circle", **_dot(look))


def _pen(pdf, look):
    dash = [float(n) / 8 for n in look.dash.split()][:2]
    pdf.set_dash_pattern(*(length * pdf.k_text for length in dash))


def _dot(look):
    full, white = look.form in (0, 2), (255, 255, 255)
    return {
        "size": (1.1, 1.1, 0.8, 1.4)[look.form],
        "fill": look.rgb if full else white,
        "line": white if full else look.rgb,
    }


def key(spec):
    """Lines of the key for the study's own layers; those there is no room for are named in their table."""
    rows = spec["layers"]
    out = [(_sign(row, layeruses.look(k)), _cut(row["name"], 90)) for k, row in enumerate(rows[:IN_KEY])]
    if len(rows) > IN_KEY:
        more = len(rows) - IN_KEY
        out.append((lambda b, x, y: None, _("and %(n)s more layers of this study, named on the next pages", n=more)))
    return out


def _cut(text, most):
    """A text of at most so many letters, cut between words."""
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + "…"


def _sign(row, look):
    kinds, _corners = ownlayers.counted(row["wkt"])

    def sign(board, x, y):
        pdf, k = board.pdf, board.pdf.k_text
        pdf.set_draw_color(*look.rgb)
        pdf.set_line_width(0.4 * k)
        _pen(pdf, look)
        if "areas" in kinds:
            with pdf.local_context(fill_opacity=0.16):
                pdf.set_fill_color(*look.rgb)
                pdf.rect(x - 2 * k, y - 1.3 * k, 4 * k, 2.6 * k, style="F")
            pdf.rect(x - 2 * k, y - 1.3 * k, 4 * k, 2.6 * k, style="D")
        elif "lines" in kinds:
            pdf.line(x - 2.2 * k, y, x + 2.2 * k, y)
        pdf.set_dash_pattern()
        if "points" in kinds:
            board.sign(x, y, "circle", **_dot(look))

    return sign
