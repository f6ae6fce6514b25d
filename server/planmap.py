"""What the map of a siting study draws: tiles of its rasters, demand by unit, flows, candidates, plants, chosen sites."""

from collections import Counter
from dataclasses import dataclass

import shapely
from flask import url_for

from server import atlas, layeruses, maps, ownlayers, plancharts, rastertiles
from server.i18n import gettext as _
from server.i18n import language, m3, number, percent, significant
from server.i18n import text as both
from server.planwords import kinds_word, phrase, words_of

T_AS_M3 = 100.0  # a person makes about 0.1 m³ of waste water and about 1 kg of waste a day: circles of the same size
MOST_CORNERS = 4_000  # of a layer of the study on the map


@dataclass(frozen=True)
class Raster:
    """Tiles of our own. bits: None for scores, else the reasons that are drawn at first (0: none). area: ((s, w), (n, e))."""

    id: str
    label: str
    url: str
    area: tuple
    bits: int | None = None
    opacity: float = 0.8
    on: bool = True

    def document(self):
        made = {"kind": "raster", "tiles": self.url, "opacity": self.opacity, "area": [list(c) for c in self.area]}
        return made if self.bits is None else made | {"bits": self.bits}

    def count(self):
        return None


@dataclass(frozen=True)
class Marks:
    """Features drawn by js/plan-map.js. kind: 'demand', 'flows', 'candidates' or 'sites'."""

    id: str
    label: str
    kind: str
    marks: tuple
    on: bool = True
    per: float = 1.0  # what one of their unit is drawn as, m³/day

    @property
    def features(self):
        """The marks that a reader is pointed to where they lie outside the first view."""
        return () if self.kind in ("flows", "candidates") else self.marks

    def document(self):
        return {"kind": self.kind, "features": list(self.marks), "per": self.per}

    def count(self):
        return len(self.marks)


@dataclass(frozen=True)
class Shapes:
    """A layer that the study brought along. shape: geometry in EPSG:4326; look: layeruses.Look."""

    id: str
    label: str
    shape: object
    look: layeruses.Look
    on: bool = True

    def document(self):
        drawn = maps.rounded(shapely.geometry.mapping(_lighter(self.shape)), 5)
        return {
            "kind": "own",
            "geometry": drawn,
            "colour": self.look.colour,
            "dash": self.look.dash,
            "form": self.look.form,
        }

    def count(self):
        return None


def _lighter(shape, most=MOST_CORNERS):
    """A shape with fewer corners where it has more than `most`: first those within 3 m of the line, then more."""
    tolerance, drawn = 0.00003, shape
    while shapely.get_num_coordinates(drawn) > most and tolerance < 0.01 and shape.geom_type != "MultiPoint":
        drawn, tolerance = shapely.simplify(shape, tolerance), tolerance * 2
    return drawn


def own(result):
    """The layers of the study's own as Shapes, with what the key says of them: [(Shapes, name, source, kinds, uses)]."""
    spec, out = result["spec"], []
    for k, row in enumerate(spec["layers"]):
        kinds, _corners = ownlayers.counted(row["wkt"])
        shapes = Shapes(f"own-{k}", row["name"], shapely.from_wkt(row["wkt"]), layeruses.look(k))
        uses = [use[language()] for use in layeruses.uses(spec, row["code"])]
        out.append((shapes, row["name"], row["source"], kinds, uses))
    return out


def outline(store, settings):
    """MapParts of the map on which the study area is drawn."""
    label = _("Map to draw the study area on")
    return maps.map_page([atlas.ground(store)], bounds=atlas.CITY_BOUNDS, settings=settings, label=label)


def layers(study, result, names):
    """The layers of a result, bottom first."""
    west, south, east, north = result["grid"]["bounds_lonlat"]
    area = ((south, west), (north, east))
    run = study["done_run"]
    address = (
        url_for("plan.tile", code=study["code"], z=0, x=0, y=0).replace("/0/0/0.png", "/{z}/{x}/{y}.png")
        + f"?run={run}"
    )
    made = [
        Raster("score", _("How suitable the land is"), address, area),
        Raster("reasons", "", address, area, bits=reasons_shown(result), opacity=0.9),
    ]
    made += [shapes for shapes, *_rest in own(result)]
    load = result.get("unit", "m3_day")
    per = T_AS_M3 if load == "t_day" else 1.0
    middle, unit = _middles(result), words_of("unit", load)
    made.append(Marks("demand", phrase(load, "by_unit_map"), "demand", _demand(result, middle, names, unit), per=per))
    if result["flows"]:
        made.append(
            Marks("flows", _("Who sends to which plant"), "flows", _flows(result, middle, names, unit), per=per)
        )
    standing = tuple(_plant(p, unit) for p in result["plants"] if p["lon"] is not None)
    if standing:
        made.append(maps.plant_layer(standing, _("Plants that stand")))
    free = tuple(_candidate(c, names) for c in result["candidates"] if not c["chosen"])[: maps.MAX_EMBEDDED]
    sites = tuple(_site(s, study, names, unit) for s in result["sites"])
    if free:
        made.append(Marks("candidates", _("Other sites that were weighed"), "candidates", free, on=False))
    if sites:
        made.append(Marks("sites", _("Chosen sites"), "sites", sites))
    return made


def reasons_shown(result):
    """The reasons that are drawn at first: none, but where no land is left all of them, as they are then the answer."""
    if result["plan"] is not None or not result["infeasible"] or result["infeasible"]["rule"] != "no_site":
        return 0
    return sum(4 << rule["bit"] for rule in result["rules"] if rule["bit"] is not None)


def _middles(result):
    """{unit: [lon, lat, m³/day, served]}: the middle of a unit's waste water."""
    out = {}
    for d in result["demands"]:
        held = out.setdefault(d["unit"], [0.0, 0.0, 0.0, 0.0])
        held[0] += d["lon"] * d["m3_day"]
        held[1] += d["lat"] * d["m3_day"]
        held[2] += d["m3_day"]
        held[3] += d["served_m3_day"]
    return {unit: [x / m, y / m, m, s] for unit, (x, y, m, s) in out.items() if m > 0}


def _demand(result, middle, names, load):
    kind = result.get("unit", "m3_day")
    rows = sorted(middle.items(), key=lambda item: -item[1][2])[: maps.MAX_EMBEDDED]
    return tuple(
        {"code": unit, "name": names.get(unit, unit), "lon": round(x, 5), "lat": round(y, 5), "m3": round(whole, 1), "served": round(part, 1),
         "lines": [[phrase(kind, "now"), f"{m3(whole)} {load}"], [_("of it served by this plan"), f"{m3(part)} ({percent(part / whole)})"]],
         "url": url_for("coverage.unit", code=unit)}
        for unit, (x, y, whole, part) in rows
    )  # fmt: skip


def _flows(result, middle, names, load):
    """One line for each unit and plant."""
    at = {s["code"]: (s["lat"], s["lon"], s["label"]) for s in result["sites"]}
    at |= {p["code"]: (p["lat"], p["lon"], "") for p in result["plants"] if p["lon"] is not None}
    titles = {p["code"]: both(p, "name") or p["code"] for p in result["plants"]}
    sums = {}
    for f in result["flows"]:
        held = sums.setdefault((f["unit"], f["facility"]), [0.0, 0.0])
        held[0] += f["m3_day"]
        held[1] += f["m3_day"] * f["distance_m"]
    out = []
    for (unit, facility), (volume, work) in sorted(sums.items(), key=lambda item: (-item[1][0], item[0])):
        if unit not in middle or facility not in at:
            continue
        lat, lon, label = at[facility]
        goal = _("Site %(label)s", label=label) if label else titles.get(facility, facility)
        out.append(
            {
                "code": f"{unit}-{facility}", "name": f"{names.get(unit, unit)} → {goal}", "new": bool(label), "m3": round(volume, 1),
                "from": [round(middle[unit][1], 5), round(middle[unit][0], 5)], "to": [lat, lon],
                "lines": [[_("Sent"), f"{m3(volume)} {load}"], [_("on average"), f"{number(work / volume / 1000, 1)} km"]],
            }
        )  # fmt: skip
    return tuple(out[: maps.MAX_EMBEDDED])


def _plant(plant, unit):
    lines = [
        [_("Capacity"), f"{number(plant['capacity_m3_day'], 0)} {unit}"], [_("Spare capacity"), m3(plant["spare_m3_day"])],
        [_("used by this plan"), m3(plant["used_m3_day"])], [_("Why"), words_of("why", plant["why"])],
    ]  # fmt: skip
    return {
        "code": plant["code"], "name": both(plant, "name") or plant["code"], "lon": plant["lon"], "lat": plant["lat"], "sign": plant["state"],
        "lines": lines, "url": url_for("facilities.one", code=plant["code"]),
    }  # fmt: skip


def _candidate(c, names):
    return {
        "code": c["code"], "name": _("Site %(code)s", code=c["code"]), "lon": c["lon"], "lat": c["lat"],
        "note": names.get(c["ward"], c["ward"] or ""),
        "lines": [[_("Suitability"), number(c["score"], 2)], [_("Rank"), number(c["rank"])], [_("Sizes allowed"), ", ".join(m3(o) for o in c["options"])]],
    }  # fmt: skip


def _site(site, study, names, unit):
    inside = site["card"]["people_inside"].get("now") or {}
    lines = [
        [_("Capacity"), f"{m3(site['capacity_m3_day'])} {unit}"], [_("Gained"), f"{m3(site.get('gain_m3_day', site['used_m3_day']))} {unit}"],
        [_("People gained"), number(significant(site.get("gain_people", site["people"])), 0)],
    ]  # fmt: skip
    if inside.get("people") is not None:
        lines.append(
            [_("People inside %(m)s m", m=number(inside["distance_m"], 0)), number(round(inside["people"]), 0)]
        )
    return {
        "code": site["code"], "name": _("Site %(label)s", label=site["label"]), "number": site["label"], "note": names.get(site["ward"], ""),
        "lon": site["lon"], "lat": site["lat"], "forced": site["forced"], "lines": lines,
        "url": url_for("plan.study", code=study["code"], _anchor=f"site-{site['code']}"),
    }  # fmt: skip


def key(result, layers_of):
    """The key of the map: the scale of scores, the reasons with their hatch and bit, sizes of the circles, signs."""
    ha = {e["code"]: e["ha"] for e in result["excluded"]}
    reasons = []
    for rule in result["rules"]:
        if rule["bit"] is not None:
            bit = 4 << rule["bit"]
            reasons.append(_reason(rule["code"], bit, ha.get(rule["code"]), layers_of))
    if ha.get("unknown"):
        reasons.append(_reason("unknown", rastertiles.UNKNOWN_BIT, ha["unknown"], layers_of))
    steps = [rastertiles.colour_of(k / 23) for k in range(24)]
    states = Counter(p["state"] for p in result["plants"] if p["lon"] is not None)
    return {
        "score": plancharts.score_key(steps, title=_("Suitability from 0 to 1"), low=_("0 poor"), high=_("1 good")),
        "reasons": reasons, "shown": reasons_shown(result), "signs": [{"family": "state", "code": s, "count": n} for s, n in states.items()],
        "capacity": m3(result["laws"][0]["capacity_m3_day"]) if result["laws"] else "",
        "own": [{"swatch": plancharts.own_swatch(shapes.look, kinds), "name": name, "source": source, "kinds": kinds_word(kinds), "uses": uses}
                for shapes, name, source, kinds, uses in own(result)],
    }  # fmt: skip


def _reason(code, bit, ha, layers_of):
    colour, lines = rastertiles.look(bit)
    return {
        "word": words_of("rule", code, layers_of), "bit": bit, "ha": number(significant(ha), 0) if ha is not None else "–",
        "swatch": plancharts.hatch_swatch(colour, rastertiles.hatch(lines), f"hatch-{bit}"),
    }  # fmt: skip
