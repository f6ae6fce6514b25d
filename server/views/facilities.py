"""Industrial zones, treatment plants, waste sites and ports: list, map, downloads, and one facility's page."""

from flask import Blueprint, abort, current_app, render_template, url_for

from layers import export
from server import atlas, maps, query, records, register
from server.answers import data_response
from server.i18n import gettext as _
from server.i18n import text
from server.security import public

bp = Blueprint("facilities", __name__)
GROUPS = (
    "wastewater_plant",
    "economic_zone",
    "industrial_park",
    "industrial_cluster",
    "craft_village",
    "solid_waste",
    "port",
)
STATES = ("operating", "trial", "building", "planned", "idle", "closed", "unknown")


def services():
    return current_app.extensions["cangxanh"]


def asked():
    """The settings of the list and the rows they choose, ordered by kind, then code."""
    q = {
        "kind": query.choice("kind", ("", *GROUPS), ""),
        "state": query.choice("state", ("", *STATES), ""),
        "q": query.words(),
    }
    every = [
        r | {"url": url_for("facilities.one", code=r["code"])}
        for r in register.facilities(services(), services().today())
    ]
    for r in every:
        if r["unit"]:
            r["unit"]["url"] = url_for("coverage.unit", code=r["unit"]["code"])
    every.sort(key=lambda r: (GROUPS.index(r["group"]), r["code"]))
    rows = [
        r
        for r in every
        if (not q["kind"] or r["group"] == q["kind"])
        and (not q["state"] or r["state"] == q["state"])
        and records.matches(r, q["q"])
    ]
    return q, every, rows


def key(rows):
    """The signs of the map in words, with counts."""
    out = []
    for s in STATES:
        n = sum(r["group"] == "wastewater_plant" and r["state"] == s for r in rows)
        out += [{"family": "state", "code": s, "count": n}] if n else []
    for g in GROUPS[1:]:
        n = sum(r["group"] == g for r in rows)
        out += [{"family": "kind", "code": g, "count": n}] if n else []
    return out


@bp.get("/facilities")
@public
def overview():
    q, every, rows = asked()
    made = atlas.facility_layers(rows)
    return render_template(
        "facilities.html",
        query=q,
        kinds=GROUPS,
        states=STATES,
        total=len(every),
        rows=rows,
        map=maps.map_page(
            [atlas.ground(services().store), *made],
            bounds=atlas.CITY_BOUNDS,
            settings=current_app.config["CANGXANH"],
            label=_("Map of the facilities"),
        ),
        key=key(rows),
        unplaced=len(rows) - sum(m.count() for m in made),
        downloads=[
            {"label": "CSV", "url": url_for("facilities.table", **query.keep()), "note": _("for programs")},
            {"label": "XLSX", "url": url_for("facilities.sheet", **query.keep()), "note": _("for Excel")},
            {"label": "GeoJSON", "url": url_for("facilities.features", **query.keep()), "note": _("for QGIS")},
        ],
    )


COLUMNS = (
    "code",
    "name_vi",
    "name_en",
    "group",
    "state",
    "state_since",
    "capacity_m3",
    "measured_m3",
    "compliance",
    "treatment",
    "area_ha",
    "district_old",
    "ward",
    "source",
    "source_date",
    "confidence",
    "geometry_quality",
    "coord_accuracy_m",
    "note_vi",
    "note_en",
)


def _cells(r):
    made = {c: r.get(c) for c in COLUMNS}
    made["ward"] = r["unit"] and r["unit"]["code"]
    made["state_since"] = r["state_since"] and r["state_since"].isoformat()
    return made


@bp.get("/facilities.csv")
@public
def table():
    _q, _every, rows = asked()
    body = export.csv_bytes([_cells(r) for r in rows], COLUMNS)
    return data_response(body, "text/csv; charset=utf-8", version=_version(rows), filename="cang-xanh-facilities.csv")


@bp.get("/facilities.xlsx")
@public
def sheet():
    _q, _every, rows = asked()
    body = export.xlsx_bytes([_cells(r) for r in rows], COLUMNS)
    return data_response(body, export.XLSX, version=_version(rows) + "x", filename="cang-xanh-facilities.xlsx")


@bp.get("/facilities.geojson")
@public
def features():
    _q, _every, rows = asked()
    body = export.geojson_bytes([(r["geometry"], _cells(r)) for r in rows], name="facilities")
    return data_response(body, "application/geo+json", version=_version(rows), filename="cang-xanh-facilities.geojson")


def _version(rows):
    return services().figures.version() + ",".join(r["code"] for r in rows)


@bp.get("/facilities/<code>")
@public
def one(code):
    card = register.facility_card(services(), code, services().today())
    if card is None:
        abort(404)
    row = card["facility"]
    row["url"] = None
    if row["unit"]:
        row["unit"]["url"] = url_for("coverage.unit", code=row["unit"]["code"])
    for entry in (*card["serves"], *card["served_by"]):
        known = entry["code"] in services().figures.inputs().units.index
        entry["url"] = url_for("coverage.unit" if known else "facilities.one", code=entry["code"])
    layers = [m for m in atlas.facility_layers([row]) if m.count()]
    at = [f for m in layers for f in m.features]
    made = maps.map_page(
        [atlas.ground(services().store), *layers],
        bounds=atlas.bounds_of(at),
        settings=current_app.config["CANGXANH"],
    )
    return render_template(
        "facility.html",
        map=made if at else None,
        about=text(row, "note"),
        key=key([row]),
        in_ledger=code in services().figures.inputs().units.index,
        **card,
    )
