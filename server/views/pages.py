"""The first page, search, indicators, the method, and who runs this."""

from flask import Blueprint, current_app, redirect, render_template, request, url_for

from layers.catalogue import TABLES
from server import atlas, downloads, explain, maps, query, register
from server.i18n import gettext as _
from server.i18n import language
from server.security import public

bp = Blueprint("pages", __name__)
EXAMPLES = ("11689", "11383", "KCN07")


def services():
    return current_app.extensions["cangxanh"]


@bp.get("/")
@public
def home():
    day = services().today()
    view = services().figures.coverage("ward", day)
    rows = atlas.shown_rows(view, "m3")
    spots = [r | {"url": url_for("hotspots.one", code=r["code"])} for r in register.hotspots(services(), day)]
    plants = [r | {"url": url_for("facilities.one", code=r["code"])} for r in register.facilities(services(), day)]
    plants = [r for r in plants if r["group"] == "wastewater_plant"]
    layers = [
        atlas.ground(services().store),
        atlas.gap_layer(rows, "m3", atlas.placed(services().store)),
        *(m for m in atlas.facility_layers(plants) if m.id == "plants"),
        maps.hotspot_layer(atlas.hotspot_marks(spots), _("Hotspots"), on=False),
    ]
    return render_template(
        "home.html",
        city=view.total
        | {
            "reaches": view.total["treated_share"],
            "proven": view.total["to_standard_share"],
            "unknown": view.total["unknown_share"],
        },
        as_of=day,
        rows=rows,
        uncounted=view.uncounted,
        map=maps.map_page(
            layers, bounds=atlas.CITY_BOUNDS, settings=current_app.config["CANGXANH"], label=_("Map of the gap")
        ),
        sizes=atlas.sizes("m3"),
        stages=atlas.stage_counts(spots),
        hotspot_total=len(spots),
        facts=services().figures.coverage_notes(view),
        fresh=explain.freshness(services()),
        examples=[
            {"label": e["name"], "url": e["url"]} for e in (services().named(c, language()) for c in EXAMPLES) if e
        ],
    )


@bp.get("/search")
@public
def search():
    q = query.words()
    limit = 20
    results = services().find(q, limit=limit + 1, language=language()) if q else []
    if len(results) == 1 or (results and request.args.get("go")):
        return redirect(results[0]["url"])
    return render_template("search.html", q=q, results=results[:limit], more=max(0, len(results) - limit))


@bp.get("/indicators")
@public
def indicators():
    figures = len(services().store.snapshot("indicators"))
    return render_template(
        "indicators.html",
        topics=explain.indicators(services(), services().today()),
        download=downloads.box(
            TABLES["indicators"], "/data/indicators", figures, keep=[], title=_("Download the reported figures")
        ),
    )


@bp.get("/method")
@public
def method():
    return render_template("method.html", **explain.method(services()))


@bp.get("/about")
@public
def about():
    return render_template("about.html", fresh=explain.freshness(services()), version=services().figures.version())
