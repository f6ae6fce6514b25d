"""What is drawn on the maps: the ground, the volumes, the places. Rows in, map layers out.

A map never asks the store on its own for figures: it is given the rows that the table shows.
"""

import shapely
from flask import url_for

from layers import export
from layers.boundaries import REAL
from layers.catalogue import STAGE
from server import maps, words
from server.figures import NO_DISTRICT, WARD_KINDS
from server.i18n import gettext as _
from server.i18n import language, m3, m3_range, number, percent, percent_range, text

CITY_BOUNDS = ((20.59, 106.11), (21.25, 107.12))
# one person or one facility is drawn like so many m³ a day, so that one rule of areas serves all three
SYMBOL_UNIT = {"m3": 1.0, "people": 0.1, "facilities": 1500.0}
SIZES = {"m3": (1000, 5000, 20000), "people": (10000, 50000, 150000), "facilities": (1, 2, 5)}
LARGEST_IN_KEY = 52000  # in symbol units: a larger circle would not fit into the key
# share of the water without proven treatment: fixed class edges, so that colours do not move with a filter
GAP_BREAKS = (0.2, 0.4, 0.6, 0.8)
GAP_COLOURS = ("#fdf1e7", "#f8d5bb", "#efae86", "#dd7b4b", "#a8431a")


def sizes(measure, rows=()):
    """Key of the symbol sizes: (value in symbol units, as written); with a larger circle where rows need one."""
    values = list(SIZES[measure])
    largest = max((r["shown_gap"] for r in rows), default=0)
    if largest > 3 * values[-1]:
        steps = [n * 10**power for power in range(len(str(int(largest)))) for n in (1, 2, 5)]
        values = [*values[1:], max(s for s in steps if s <= largest and s * SYMBOL_UNIT[measure] <= LARGEST_IN_KEY)]
    return [(v * SYMBOL_UNIT[measure], number(v, 0)) for v in values]


def ground(store):
    """The ground layer, fetched once by the browser and kept by data version."""
    return maps.Ground(
        url=url_for("data.ground", lang=language(), v=store.stamp()), schematic=not outlines_are_real(store)
    )


def ground_document(store):
    """Land, sea side, faint ward outlines and names for the ground of every map."""
    admin = store.snapshot("admin_units")
    wards = admin[admin["kind"].isin(WARD_KINDS)]
    land = store.snapshot("land")
    inside = land[land["code"] != "L-OUT"]
    outside = land[land["code"] == "L-OUT"]
    water = store.snapshot("water_bodies")
    named = water[water.geometry.notna() & (water.geometry.geom_type == "Point")]
    labels = [_label(r, "water", 10) for r in named.itertuples()] + [
        {"name": _("Gulf of Tonkin"), "lon": 106.97, "lat": 20.655, "kind": "sea"}
    ]
    labels += [
        {
            "name": text(r._asdict(), "name"),
            "lon": r.centre_lon,
            "lat": r.centre_lat,
            "kind": "place",
            "from_zoom": 11.5,
        }
        for r in wards.itertuples()
    ]
    for name, lon, lat in (
        ("Quảng Ninh", 106.83, 21.13),
        ("Hưng Yên", 106.3, 20.6),
        ("Bắc Ninh", 106.16, 21.12),
    ):
        labels.append({"name": name, "lon": lon, "lat": lat, "kind": "outside"})
    return {
        "land": _collection(inside), "outside": _collection(outside), "cells": _collection(wards, names=True),
        "water": None, "labels": labels,
    }  # fmt: skip


def outlines_are_real(store, codes=None):
    """True when surveyed or digitised outlines of all these units were imported: then a choropleth says something.

    codes: of admin_units; all wards where it is not given.
    """
    admin = store.snapshot("admin_units")
    units = admin[admin["kind"].isin(WARD_KINDS) if codes is None else admin["code"].isin(codes)]
    return len(units) > 0 and bool(units["geometry_quality"].isin(REAL).all())


def with_outlines(rows):
    """Codes of the rows that are wards, old districts or cities of the old city itself."""
    kinds = (*WARD_KINDS, "district", "city")
    return [r["code"] for r in rows if r["kind"] in kinds and r["code"] != NO_DISTRICT and not r.get("outside")]


def old_outlines(rows, store):
    """Outlines of old units as they are known: dashed where they are made of schematic ward cells."""
    by_code = {r["code"]: r for r in rows}
    admin = store.snapshot("admin_units")
    admin = admin[admin["code"].isin(by_code) & admin.geometry.notna()]
    features, drawn = [], shapely.GeometryCollection()
    for code, shape in zip(admin["code"], admin.geometry, strict=True):
        edge = shape.boundary.difference(drawn)  # an edge of two neighbours is drawn once: dashes would fill each other
        drawn = drawn.union(shape.boundary)
        r = by_code[code]
        told = {"code": code, "name": text(r, "name"), "url": r["url"], "outside": r["outside"]}
        if not edge.is_empty:
            line = shapely.line_merge(edge).simplify(0.0004)
            features.append({"type": "Feature", "geometry": export.rounded(line, 4), "properties": told})
    real = bool(admin["geometry_quality"].isin(REAL).all())
    style = {"color": "#5a3b6e", "weight": 1.8, "fill": False, **({} if real else {"dashArray": "6 4"})}
    return maps.GeoJsonLayer(
        "old-units", _("Old boundaries") if real else _("Old boundaries, schematic"),
        data={"type": "FeatureCollection", "features": features}, style=style,
    )  # fmt: skip


def gap_layer(rows, measure, placed):
    """Proportional symbols of coverage rows. placed: {code: (lon, lat)}; rows without a place are left out."""
    unit = SYMBOL_UNIT[measure]
    features = []
    for r in rows:
        split = gap_split(r, measure)
        if r["code"] not in placed or split is None:
            continue
        lon, lat = placed[r["code"]]
        features.append(
            {
                "code": r["code"], "name": text(r, "name"), "lon": round(lon, 4), "lat": round(lat, 4),
                "kind": r["kind"], **{k: round(v * unit, 2) for k, v in split.items()},
                "lines": gap_lines(r), "url": r["url"],
            }
        )  # fmt: skip
    return maps.SymbolLayer("units", _("Waste water without known treatment"), tuple(features))


def gap_split(row, measure):
    """treated, not_treated and unknown of a row in the chosen measure; None where it has none."""
    if measure == "m3":
        return {
            k: row[f]["likely"]
            for k, f in (("treated", "treated"), ("not_treated", "known_gap"), ("unknown", "unknown"))
        }
    if measure == "people":
        people = row.get("people")
        return people and {
            "treated": people["treated_likely"], "not_treated": people["not_treated"], "unknown": people["unknown"],
        }  # fmt: skip
    held = row.get("facilities")
    return held and {k: held[k] for k in ("treated", "not_treated", "unknown")}


def gap_lines(row):
    """The popup of a unit: label and written value."""
    lines = [
        [_("Waste water, m³ a day"), m3_range(row["generated"])],
        [_("Reaches a working plant"), percent_range(row["treated_share"])],
        [_("Without known treatment, m³ a day"), m3_range(row["gap"])],
        [_("of it unknown"), m3(row["unknown"]["likely"])],
    ]
    if row.get("people"):
        lines.append([_("People"), number(row["people"]["all"], 0)])
    if row.get("estimate"):
        lines.append([_("Stands on estimated shares"), f"≈ {percent(row['estimate']['share'])}"])
    return lines


def gap_classes():
    """The classes of the choropleth: (colour, words)."""
    edges = (0, *GAP_BREAKS, 1)
    return [
        (colour, f"{percent(low, unit=False)}–{percent(high)}")
        for colour, low, high in zip(GAP_COLOURS, edges, edges[1:], strict=False)
    ]


def gap_areas(rows, store):
    """A choropleth of the share known not to be treated, of the rows with real outlines only.

    A unit of which more than half is unknown is hatched: what nobody knows has no place on the scale.
    """
    by_code = {r["code"]: r for r in rows}
    admin = store.snapshot("admin_units")
    admin = admin[admin["code"].isin(by_code) & admin["geometry_quality"].isin(REAL) & admin.geometry.notna()]
    features = []
    for code, shape in zip(admin["code"], admin.geometry, strict=True):
        r = by_code[code]
        unknown, whole = r["unknown_share"]["likely"], r["generated"]["likely"]
        known = whole and unknown is not None and unknown <= 0.5
        features.append(
            {
                "type": "Feature",
                "geometry": export.rounded(shape.simplify(0.0004), 4),
                "properties": {
                    "code": code, "name": text(r, "name"), "gap": round(r["known_gap"]["likely"] / whole, 4) if known else None,
                    "url": r["url"],
                },
            }
        )  # fmt: skip
    return maps.GeoJsonLayer(
        "shares", _("Share known not to be treated"), data={"type": "FeatureCollection", "features": features},
        value="gap", breaks=GAP_BREAKS, colours=GAP_COLOURS,
    )  # fmt: skip


def sign_feature(row, sign, lines, url):
    """One place with a sign, or None where it has no position."""
    shape = row["geometry"]
    if shape is None or shape.is_empty:
        return None
    at = shape if shape.geom_type == "Point" else shape.representative_point()
    return {
        "code": row["code"], "name": text(row, "name"), "lon": round(at.x, 4), "lat": round(at.y, 4),
        "sign": sign, "lines": lines, "url": url,
    }  # fmt: skip


def bounds_of(features):
    """A frame round features, never tighter than a few kilometres."""
    if not features:
        return CITY_BOUNDS
    lons, lats = [f["lon"] for f in features], [f["lat"] for f in features]
    return ((min(lats) - 0.03, min(lons) - 0.04), (max(lats) + 0.03, max(lons) + 0.04))


def _label(row, kind, from_zoom):
    at = row.geometry
    return {
        "name": text(row._asdict(), "name"),
        "lon": at.x,
        "lat": at.y,
        "kind": kind,
        "from_zoom": from_zoom,
    }


def _collection(frame, names=False):
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": export.rounded(g, 4),
                "properties": {"code": code} if names else {},
            }
            for code, g in zip(frame["code"], frame.geometry, strict=True)
            if g is not None
        ],
    }


# --- rows with what a map and a table need ---


def shown_rows(view, measure, **settings):
    """The rows of a view that say something in a measure, largest gap first, each with its address."""
    rows = []
    for r in [*view.rows, *(view.bare if measure == "facilities" else ())]:
        split = gap_split(r, measure)
        if split is None:
            continue
        gap = split["not_treated"] + split["unknown"]
        rows.append(r | {"split": split, "shown_gap": gap, "url": unit_url(r["code"], **settings)})
    return sorted(rows, key=lambda r: (-r["shown_gap"], r["code"]))


def unit_url(code, **settings):
    """Address of a unit's card, with the date and plants of the view it is opened from."""
    return url_for("coverage.unit", code=code, **settings) if code != "NONE" else None


def placed(store):
    """Where the symbol of each unit stands: (lon, lat) by code."""
    admin = store.snapshot("admin_units")
    out = {r.code: (r.centre_lon, r.centre_lat) for r in admin.itertuples()}
    for layer in ("industrial_zones", "port_areas"):
        rows = store.snapshot(layer)
        for code, g in zip(rows["code"], rows.geometry, strict=True):
            if g is not None and not g.is_empty:
                at = g if g.geom_type == "Point" else g.representative_point()
                out[code] = (at.x, at.y)
    return out


def hotspot_marks(rows):
    """Map marks of hotspot rows; rows without a position have none."""
    made = []
    for r in rows:
        lines = [
            [_("Stage"), words.word("stage", r["stage"])],
            [_("Medium"), ", ".join(words.word("medium", m) for m in r["media_list"])],
            [_("Reported in"), r["report_year"] or "–"],
        ]
        made.append(sign_feature(r, r["stage"], lines, r["url"]))
    return [m for m in made if m]


def stage_counts(rows):
    """Hotspots by stage, in the order of the stages; stages without any are left out."""
    counts = {s: sum(r["stage"] == s for r in rows) for s in (c.value for c in STAGE)}
    return [{"code": s, "count": n, "url": url_for("hotspots.overview", stage=s)} for s, n in counts.items() if n]


def facility_layers(rows):
    """Plants by state, everything else by kind."""
    plants, others = [], []
    for r in rows:
        lines = [[_("Kind"), words.word("kind", r["group"])], [_("State"), words.word("state", r["state"])]]
        if r["group"] == "wastewater_plant":
            lines.append([_("Capacity, m³ a day"), number(r["capacity_m3"], 0)])
            plants.append(sign_feature(r, r["state"], lines, r["url"]))
        else:
            if r["treatment"]:
                lines.append([_("Central treatment"), words.word("treatment", r["treatment"])])
            others.append(sign_feature(r, r["group"], lines, r["url"]))
    return [
        maps.facility_layer([f for f in others if f], _("Zones, waste sites, ports")),
        maps.plant_layer([f for f in plants if f], _("Waste water plants")),
    ]
