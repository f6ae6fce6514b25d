"""Scenarios as pictures: small maps side by side as SVG text, and the layers of the large map.

The small maps are pure: outlines and plants in, Markup out, every text escaped; they need no script and print.
"""

from html import escape

from flask import url_for
from markupsafe import Markup

from server import atlas, maps, register, status
from server.i18n import gettext as _
from server.i18n import text
from server.outlines import frame, metres, round_length

INK, QUIET, LAND, EDGE, SEA, NEW, LINE = "#16252b", "#4c5c5e", "#faf7ef", "#9fb0ab", "#eef3f4", "#0b5c56", "#0b5c56"

LEAST_DEGREES = 0.16  # 17 km: a map of one plant still shows the wards about it


def common_frame(figures, ratio=1.3):
    """One frame round the plants of all scenarios and what they serve, so that small maps can be compared."""
    points = [metres(p["lon"], p["lat"]) for f in figures for p in f["plants"]]
    points += [
        metres(u["lon"], u["lat"]) for f in figures for p in f["plants"] for u in p["units"] if u["lon"] is not None
    ]
    (south, west), (north, east) = atlas.CITY_BOUNDS
    return frame(points or [metres(west, south), metres(east, north)], ratio=ratio)


def small_map(outline, figures, year, box, *, title, desc, width=420):
    """The plants of a scenario in a year: those that work filled, later ones hollow, lines to what they serve."""
    west, south, east, north = box
    height = width * (north - south) / (east - west)
    scale = width / (east - west)

    def at(x, y):
        return f"{(x - west) * scale:.1f} {(north - y) * scale:.1f}"

    def path(rings, keep=1.5):
        out = []
        for ring in rings:
            if (
                ring[:, 0].max() < west
                or ring[:, 0].min() > east
                or ring[:, 1].max() < south
                or ring[:, 1].min() > north
            ):
                continue
            out.append("M" + "L".join(at(x, y) for x, y in ring[:-1]) + "Z")
        return "".join(out)

    parts = [f'<rect width="{width}" height="{height:.1f}" fill="{SEA}"/>',
             f'<path d="{path(outline.outside)}" fill="#e7e7e2" fill-rule="evenodd"/>',
             f'<path d="{path(outline.land)}" fill="{LAND}" stroke="{EDGE}" stroke-width="1" fill-rule="evenodd"/>',
             f'<path d="{path(outline.wards)}" fill="none" stroke="#cfc9b9" stroke-width=".7"'
             f'{" stroke-dasharray=" + chr(34) + "1.5 3" + chr(34) if outline.schematic else ""}/>']  # fmt: skip
    marks = []
    for p in figures["plants"]:
        px, py = metres(p["lon"], p["lat"])
        there = p["year"] <= year
        if there:
            for u in p["units"]:
                if u["lon"] is not None:
                    parts.append(f'<path d="M{at(px, py)}L{at(*metres(u["lon"], u["lat"]))}" stroke="{LINE}" '
                                 f'stroke-width="1.4" stroke-opacity=".55"/>')  # fmt: skip
                    x, y = at(*metres(u["lon"], u["lat"])).split()
                    parts.append(f'<circle cx="{x}" cy="{y}" r="2.4" fill="{LINE}"/>')
        x, y = at(px, py).split()
        look = f'fill="{NEW}" stroke="#fff"' if there else f'fill="#fff" stroke="{NEW}" stroke-dasharray="3 2"'
        marks.append(
            f'<circle cx="{x}" cy="{y}" r="10" {look} stroke-width="1.8"/><text x="{x}" y="{float(y) + 4:.1f}" '
            f'text-anchor="middle" font-size="11" font-weight="700" fill="{"#fff" if there else NEW}">{p["number"]}</text>'
        )
    long = round_length(east - west)
    bar = (f'<path d="M10 {height - 14:.1f}v6h{long * scale:.1f}v-6" fill="none" stroke="{INK}" stroke-width="1.4"/>'
           f'<text x="10" y="{height - 19:.1f}" font-size="11" fill="{INK}">{long / 1000:g} km</text>')  # fmt: skip
    return Markup(
        f'<svg class="small-map" viewBox="0 0 {width} {height:.1f}" role="img"><title>{escape(title)}</title>'
        f"<desc>{escape(desc)}</desc>{''.join(parts)}{''.join(marks)}{bar}</svg>"
    )


# --- the large map ---


def layers(services):
    """What lies below the plants of a scenario: ground, today's volumes, standing plants, open hotspots in water."""
    today = services.today()
    view = services.figures.coverage("ward", today)
    rows = atlas.shown_rows(view, "m3")
    gap = atlas.gap_layer(rows, "m3", atlas.placed(services.store))
    standing = [r | {"url": url_for("facilities.one", code=r["code"])} for r in register.facilities(services, today)
                if r["group"] == "wastewater_plant"]  # fmt: skip
    plants = next(layer for layer in atlas.facility_layers(standing) if layer.id == "plants")
    water = {h["code"] for h in services.scenarios.ground().hotspots}
    spots = [r | {"url": url_for("hotspots.one", code=r["code"])} for r in status.rows(services) if r["code"] in water]
    return [
        atlas.ground(services.store), gap,
        maps.plant_layer(plants.features, _("Waste water plants of today")),
        maps.hotspot_layer(atlas.hotspot_marks(spots), _("Open hotspots in water"), on=False),
    ]  # fmt: skip


def bounds(figures):
    """Where the large map opens: round the plants with what lies about them, else the whole city.

    ((south, west), (north, east)).
    """
    spots = [{"lon": p["lon"], "lat": p["lat"]} for p in figures["plants"]]
    spots += [{"lon": u["lon"], "lat": u["lat"]} for p in figures["plants"] for u in p["units"] if u["lon"] is not None]
    (south, west), (north, east) = atlas.bounds_of(spots)
    tall, wide = max(LEAST_DEGREES - (north - south), 0.0) / 2, max(LEAST_DEGREES - (east - west), 0.0) / 2
    return (south - tall, west - wide), (north + tall, east + wide)


def drawn(figures):
    """Plants and lines for the page's script: numbers and names, no code."""
    return {
        "plants": [
            {"number": p["number"], "name": p["name"], "lon": p["lon"], "lat": p["lat"], "year": p["year"],
             "metres": p["law"]["reach_m"], "distance": p["law"]["metres"], "by": p["law"]["by"],
             "lines": [{"lon": u["lon"], "lat": u["lat"], "name": text(u, "name"), "m3d": round(u["m3d"])}
                       for u in p["units"] if u["lon"] is not None]}
            for p in figures["plants"]
        ]
    }  # fmt: skip
