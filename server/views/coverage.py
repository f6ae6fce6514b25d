"""Where the waste water goes: the map of the gap, its table and downloads, and the card of one unit."""

from flask import Blueprint, abort, current_app, render_template, request, url_for

from geo.crosswalk import ESTIMATED
from server import atlas, cards, downloads, explain, flows, listings, maps, query, records
from server.i18n import gettext as _
from server.i18n import language
from server.ledgers import ledger_cells
from server.security import public

bp = Blueprint("coverage", __name__)
MEASURES, LEVELS, PLANTS = (
    ("m3", "people", "facilities"),
    ("ward", "district", "city", "zone"),
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
    if q["level"] != "zone" and atlas.outlines_are_real(store, atlas.with_outlines(rows)):
        layers.append(atlas.gap_areas(rows, store))
    elif q["level"] in ("district", "city"):
        layers.append(atlas.old_outlines(rows, store))
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
        old=_old_units(view),
        official=explain.official(services()),
        map=maps.map_page(
            layers, bounds=atlas.CITY_BOUNDS, settings=current_app.config["CANGXANH"], label=_("Map of the gap")
        ),
        sizes=atlas.sizes(q["measure"], rows),
        classes=atlas.gap_classes() if any(x.id == "shares" for x in layers) else [],
        flow=flows.diagram(services().figures, view),
        download=downloads.box(listings.ledger(q["measure"]), "/coverage", len(rows)),
    )


def _old_units(view):
    """What a view on old units says of its boundaries; None for today's units.

    agreement and boundary: of Figures.told_on(); shared: the wards that lie in two old units, each with its parts;
    changed: the boundary version between the old one and today's, or None; mended: wards whose links did not add up.
    """
    figures = services().figures
    told = figures.told_on(view)
    if told["agreement"] is None:
        return None
    links, mending = figures.ward_links(view.by)
    names = figures.inputs().units
    rows = {r["code"]: r for r in view.rows}
    shared, nameless = [], {"name_vi": "–", "name_en": "–"}
    for ward, parts in links[links["basis"].isin(ESTIMATED)].groupby("unit"):
        parts = parts.sort_values("share", ascending=False).to_dict("records")
        shared.append(
            {"code": ward, "name_vi": names.at[ward, "name_vi"], "name_en": names.at[ward, "name_en"],
             "parts": [p | {k: rows.get(p["group"], nameless)[k] for k in nameless} for p in parts]}
        )  # fmt: skip
    mended = [
        {"name_vi": names.at[m["unit"], "name_vi"], "name_en": names.at[m["unit"], "name_en"]} | m
        for m in mending["mended"].to_dict("records")
    ]
    return told | {"shared": shared, "changed": figures.boundary("2025-01"), "mended": mended}


@bp.get("/coverage.<kind>")
@public
def file(kind):
    q, view = asked()
    return _file(kind, q, atlas.shown_rows(view, q["measure"]), f"{q['level']}-{q['measure']}-{q['date']}")


def _file(kind, q, rows, stem):
    """Rows of the ledger as a file, each on its label point."""
    measure, places = q.get("measure", "m3"), atlas.placed(services().store)
    records_ = [listings.ledger_row(ledger_cells(r), measure, r, places, q["date"]) for r in rows]
    return downloads.public_file(listings.ledger(measure), kind, records_, stem=stem, version=version(q))


def version(q):
    return "-".join((services().figures.version(), language(), *map(str, q.values()), request.path))


def _card(code):
    """The settings of a unit's page, and its card."""
    q = {
        "plants": query.choice("plants", PLANTS, "working"),
        "date": query.day("date", services().today()),
    }
    card = cards.unit_card(services(), code, q["date"], q["plants"] == "building")
    if card is None:
        abort(404)
    return q, card


@bp.get("/coverage/<code>.<kind>")
@public
def unit_file(code, kind):
    """The figures of a unit, and of the units behind them, as a file."""
    q, card = _card(code)
    return _file(kind, q, _figures_of(card), f"{code}-{q['date']}")


def _figures_of(card):
    """The rows of the ledger that a card shows: the unit, then its members."""
    return [card["row"], *card["members"]]


@bp.get("/coverage/<code>")
@public
def unit(code):
    q, card = _card(code)
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
        download=downloads.box(listings.ledger(), f"/coverage/{code}", len(_figures_of(card))),
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
    old = [atlas.old_outlines([u], store)] if card["by"] in ("district", "city") and "outside" in u else []
    layers = [
        atlas.ground(services().store),
        *old,
        atlas.gap_layer([u], "m3", {u["code"]: at}),
        maps.plant_layer([p for p in plants if p], _("Plants")),
        maps.hotspot_layer([s for s in spots if s], _("Hotspots")),
    ]
    layers = [x for x in layers if x.id == "ground" or x.count()]
    around = [{"lon": at[0], "lat": at[1]}, *(f for f in (*plants, *spots) if f)]
    if u["kind"] == "city":
        return maps.map_page(layers, bounds=atlas.CITY_BOUNDS, settings=current_app.config["CANGXANH"])
    return maps.map_page(layers, bounds=atlas.bounds_of(around), settings=current_app.config["CANGXANH"])
