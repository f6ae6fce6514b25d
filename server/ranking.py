"""The priority of a case as people read it: every line with what was counted, and the map of it."""

import geopandas as gpd

from layers import export
from server import maps
from server.i18n import N_, ngettext, number, text
from server.i18n import gettext as _

NAMES = {"low": N_("low priority"), "medium": N_("medium priority"), "high": N_("high priority"),
         "not_enough_data": N_("not enough data")}  # fmt: skip
LINES = {"exceedance": N_("Over the limit"), "people": N_("People near by"), "receptors": N_("Schools, hospitals near by"),
         "intakes": N_("Nearness to a drinking water intake"), "age": N_("Time open"), "relapses": N_("Relapses")}  # fmt: skip
WHY = {
    "ratio": N_("the worst result is %(n)s times its limit"),
    "within_limit": N_("no judged result is over its limit"),
    "exceeds_without_ratio": N_("a result is over its limit; how far cannot be told as a ratio"),
    "no_judged_result": N_("no result that a verified limit judges"),
    "counted": "",
    "partly_unknown": N_("%(n)s counted; a part of the surroundings is not known"),
    "mostly_unknown": N_("most of the surroundings is not known"),
    "no_raster": N_("no place, or nothing known of where people live"),
    "no_receptor_layer": N_("no schools or hospitals were entered, or no place"),
    "along_the_water": N_("%(km)s km along the water"),
    "perhaps_tidal": N_("%(km)s km, if the tide runs up there"),
    "straight_line_only": N_("%(km)s km as the crow flies; the way of the water is not known"),
    "not_reached": N_("no intake can be reached by the water"),
    "no_intake_layer": N_("no intakes were entered, or no place"),
    "place_uncertain": N_("the place is known too vaguely to count around it"),
    "not_water": N_("does not touch water"),
    "since_opened": N_("%(n)s days in the register"),
    "no_first_day": N_("its first day is not known"),
    "not_recorded": N_("nobody recorded whether it came back"),
}
RING = {"color": "#1d5fa8", "weight": 1, "fillColor": "#1d5fa8", "fillOpacity": 0.06}
PLACE = {"color": "#6a4c93", "weight": 2, "fillColor": "#6a4c93", "fillOpacity": 0.7}
WAY = {"color": "#1d5fa8", "weight": 3, "dashArray": "6 4", "fillOpacity": 0}


def word(p):
    """The class of a priority, and its points where there are enough data."""
    return _(NAMES[p.name])


def brief(p):
    """(points that sort, as written in a list)."""
    if p.score is None:
        return None, word(p)
    span = "" if round(p.low) == round(p.high) else f" ({number(p.low, 0)}–{number(p.high, 0)})"
    return p.score, number(p.score, 0) + span


def _counted(line):
    if line.what == "people":
        return _("%(n)s people within reach", n=number(line.value, 0))
    if line.what == "receptors":
        return ngettext("one place within reach", "%(num)s places within reach", int(line.value))
    return ngettext("one relapse", "%(num)s relapses", int(line.value)) if line.value else _("none")


def _why(line):
    if line.why == "counted":
        return _counted(line)
    said = WHY.get(line.why, line.why)
    if "%(km)s" in said:
        return _(said, km=number(line.value / 1000, 1))
    return _(said, n=number(line.value, 1 if line.what == "exceedance" else 0)) if "%(n)s" in said else _(said)


def lines(p):
    """The lines with points as they are written: one number, or from least to most where it is not known."""
    out = []
    for line in p.lines:
        low, high = number(line.low, 0), number(line.high, 0)
        points = low if low == high else f"{low}–{high}"
        out.append({"label": _(LINES[line.what]), "words": _why(line), "known": line.known,
                    "points": _("%(points)s of %(most)s", points=points, most=number(line.max_points, 0))})  # fmt: skip
    return out


def view(p):
    """A priority as the page of a case prints it."""
    score = p.score
    return {
        "word": word(p), "written": number(score, 0) if score is not None else "", "lines": lines(p),
        "range": _("between %(low)s and %(high)s of 100", low=number(p.low, 0), high=number(p.high, 0)),
        "missing": [line["label"] for line in lines(p) if not line["known"]],
    }  # fmt: skip


def layers(p, places):
    """What was counted, for the map: rings, receptors, the way to the nearest intake. places: snapshot of receptors."""
    made = []
    if p.rings is not None and len(p.rings):
        made.append(maps.GeoJsonLayer("rings", _("Rings in which people were counted"), style=RING, data=_collection(
            p.rings, [{"code": f"ring-{i}", "name": _("%(a)s to %(b)s m", a=number(r.inner_m, 0), b=number(r.outer_m, 0)),
                       "people": "–" if r.people is None else number(r.people, 0)}
                      for i, r in enumerate(p.rings.itertuples())]), lines=((_("People"), "people"),)))  # fmt: skip
    if p.receptors:
        near = {r.code: r for r in p.receptors}
        there = places[places["code"].isin(near)]
        told = [
            {"code": c, "name": text(near[c], "name") or c, "metres": f"{number(near[c].distance_m, 0)} m"}
            for c in there["code"]
        ]
        made.append(maps.GeoJsonLayer("receptors", _("Schools and hospitals counted"), style=PLACE,
                                      data=_collection(there, told), lines=((_("Distance"), "metres"),)))  # fmt: skip
    ways = [n for n in p.intakes or () if n.path is not None][:1]
    if ways:
        frame = gpd.GeoDataFrame(geometry=[n.path for n in ways], crs="EPSG:9210")
        told = [{"code": n.code, "name": text(n, "name") or n.code} for n in ways]
        made.append(maps.GeoJsonLayer("ways", _("Way to the nearest intake"), style=WAY, data=_collection(frame, told)))
    return made


def bounds(p):
    """((south, west), (north, east)) round the rings, or None."""
    if p.rings is None or not len(p.rings):
        return None
    west, south, east, north = p.rings.to_crs(4326).total_bounds
    return (float(south), float(west)), (float(north), float(east))


def _collection(frame, told):
    shapes = frame.geometry.to_crs(4326)
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": export.rounded(g, 5), "properties": t}
            for g, t in zip(shapes, told, strict=True)
            if g is not None and not g.is_empty
        ],
    }
