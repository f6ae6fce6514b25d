"""Where the waste water goes: the map of the gap, its table and downloads, and the card of one unit."""

from flask import Blueprint, abort, current_app, render_template, request, url_for

from layers import export
from server import atlas, cards, explain, flows, maps, query, records
from server.answers import data_response
from server.i18n import gettext as _
from server.i18n import language
from server.ledgers import ledger_cells
from server.security import public

bp = Blueprint("coverage", __name__)
MEASURES, LEVELS, PLANTS = (
    ("m3", "people", "facilities"),
    ("ward", "district", "zone"),
    ("working", "building"),
)


def services():
    return current_app.extensions["cangxanh"]


def asked():
    """The settings of a coverage view, from the address."""
    q = {
        "measure": query.choice("measure", MEASURES, "m3"),
        "level": query.choice("level", LEVELS, "ward"),
        "plants": query.choice("plants", PLANTS, "working"),
        "date": query.day("date", services().today()),
    }
    return q, services().figures.coverage(q["level"], q["date"], q["plants"] == "building")


@bp.get("/coverage")
@public
def overview():
    q, view = asked()
    store = services().store
    kept = {k: v for k, v in query.keep().items() if k in ("date", "plants")}
    rows = atlas.shown_rows(view, q["measure"], **kept)
    layers = [atlas.ground(services().store)]
    if atlas.outlines_are_real(store) and q["level"] == "ward":
        layers.append(atlas.gap_areas(rows, store))
    layers.append(atlas.gap_layer(rows, q["measure"], atlas.placed(store)))
    return render_template(
        "coverage.html",
        query=q | {"date": q["date"].isoformat()},
        date_min=query.FIRST_DAY.isoformat(),
        date_max=query.LAST_DAY.isoformat(),
        total=view.total,
        rows=rows,
        uncounted=view.uncounted,
        facts=services().figures.coverage_notes(view),
        official=explain.official(services()),
        map=maps.map_page(
            layers, bounds=atlas.CITY_BOUNDS, settings=current_app.config["CANGXANH"], label=_("Map of the gap")
        ),
        sizes=atlas.sizes(q["measure"], rows),
        classes=atlas.gap_classes() if any(x.id == "shares" for x in layers) else [],
        flow=flows.diagram(services().figures, view),
        downloads=[
            {"label": "CSV", "url": url_for("coverage.table", **query.keep()), "note": _("for programs")},
            {"label": "XLSX", "url": url_for("coverage.sheet", **query.keep()), "note": _("for Excel")},
            {"label": "GeoJSON", "url": url_for("coverage.features", **query.keep()), "note": _("for QGIS")},
        ],
    )


@bp.get("/coverage.csv")
@public
def table():
    q, view = asked()
    rows = [cells(r, q["measure"]) for r in atlas.shown_rows(view, q["measure"])]
    columns = list(
        cells(view.total | {"name_vi": "", "name_en": "", "kind": "", "split": {}, "basis": ""}, q["measure"])
    )
    name = f"cang-xanh-{q['level']}-{q['measure']}-{q['date']}.csv"
    return data_response(export.csv_bytes(rows, columns), "text/csv; charset=utf-8", version=version(q), filename=name)


@bp.get("/coverage.xlsx")
@public
def sheet():
    q, view = asked()
    rows = [cells(r, q["measure"]) for r in atlas.shown_rows(view, q["measure"])]
    name = f"cang-xanh-{q['level']}-{q['measure']}-{q['date']}.xlsx"
    return data_response(
        export.xlsx_bytes(rows, list(rows[0]) if rows else ["code"]), export.XLSX, version=version(q), filename=name
    )


@bp.get("/coverage.geojson")
@public
def features():
    q, view = asked()
    places = atlas.placed(services().store)
    pairs = []
    for r in atlas.shown_rows(view, q["measure"]):
        point = None
        if r["code"] in places:
            point = export.point(*places[r["code"]])
        pairs.append((point, cells(r, q["measure"])))
    body = export.geojson_bytes(pairs, name="coverage", as_of=q["date"].isoformat(), level=q["level"])
    name = f"cang-xanh-{q['level']}-{q['measure']}-{q['date']}.geojson"
    return data_response(body, "application/geo+json", version=version(q), filename=name)


def cells(row, measure):
    """One row as flat columns: the ledger in m³/day, the people or facilities, and on what it rests."""
    out = ledger_cells(row)
    if measure != "m3":
        split = row["split"]
        out |= {f"{measure}_{k}": split.get(k) for k in ("treated", "not_treated", "unknown")}
    people = row.get("people")
    out["people"] = people and people["all"]
    out |= {"basis": row.get("basis"), "confidence": row.get("confidence")}
    return out


def version(q):
    return "-".join((services().figures.version(), language(), *map(str, q.values()), request.path))


@bp.get("/coverage/<code>")
@public
def unit(code):
    q = {
        "plants": query.choice("plants", PLANTS, "working"),
        "date": query.day("date", services().today()),
    }
    card = cards.unit_card(services(), code, q["date"], q["plants"] == "building")
    if card is None:
        abort(404)
    for plant in card["plants"]:
        plant["url"] = url_for("facilities.one", code=plant["code"])
    for spot in card["hotspots"]:
        spot["url"] = url_for("hotspots.one", code=spot["code"])
    city = card["by"] == "city"
    return render_template(
        "unit.html",
        map=_unit_map(card),
        sizes=atlas.sizes("m3"),
        **card,
        official=explain.official(services()) if city else [],
        domestic=services().figures.domestic_share(q["date"]) if city else None,
    )


def _unit_map(card):
    """A small map: the unit, its plants, the hotspots near it."""
    store = services().store
    u = card["row"] | {"url": None}
    at = atlas.placed(store).get(u["code"])
    if at is None or u["generated"]["likely"] is None:
        return None
    plants, spots = [], []
    for p in card["plants"]:
        record = records.find(store, "treatment_plants", p["code"])
        plants.append(atlas.sign_feature(record, p["state"], [], p["url"]))
    for h in card["hotspots"]:
        record = records.find(store, "hotspots", h["code"])
        spots.append(atlas.sign_feature(record, record["stage"], [], h["url"]))
    layers = [
        atlas.ground(services().store),
        atlas.gap_layer([u], "m3", {u["code"]: at}),
        maps.plant_layer([p for p in plants if p], _("Plants")),
        maps.hotspot_layer([s for s in spots if s], _("Hotspots")),
    ]
    layers = [x for x in layers if x.id == "ground" or x.count()]
    around = [{"lon": at[0], "lat": at[1]}, *(f for f in (*plants, *spots) if f)]
    if u["kind"] == "city":
        return maps.map_page(layers, bounds=atlas.CITY_BOUNDS, settings=current_app.config["CANGXANH"])
    return maps.map_page(layers, bounds=atlas.bounds_of(around), settings=current_app.config["CANGXANH"])
