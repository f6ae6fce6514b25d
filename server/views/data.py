"""Downloads and addresses for programs: layers, the ground of the maps, the ledger, the health of the server."""

import json
import threading
from functools import cache

from flask import Blueprint, abort, current_app, jsonify, render_template, request, send_file, url_for
from werkzeug.datastructures import MultiDict

from layers import catalogue as catalogue_module
from layers import export, formats, kml, parquet, shapefile, workbook
from layers.catalogue import ALL
from server import atlas, dcat, downloads, filecache, listings, parameters, query
from server.answers import data_response
from server.documents import Addresses
from server.figures import LEVELS, UNITS
from server.i18n import gettext as _
from server.i18n import language, text
from server.ledgers import ledger_document
from server.security import public
from server.tokens import scope_of

bp = Blueprint("data", __name__)
YEAR = 365 * 24 * 3600
_building = threading.Lock()


def services():
    return current_app.extensions["cangxanh"]


@bp.get("/data")
@public
def overview():
    store = services().store
    changed = {}
    for v in store.history():
        changed.setdefault(v["layer"], v["at"])
    sets = []
    for name in export.public_layers():
        layer, rows = ALL[name], len(store.snapshot(name))
        if not rows:
            continue
        sets.append(
            {
                "code": name,
                "name_vi": layer.vi,
                "name_en": layer.en,
                "updated": changed.get(name),
                "download": downloads.box(
                    layer, f"/data/{name}", rows, keep=[], title=text(layer_words(layer), "name")
                ),
            }
        )
    return render_template(
        "data.html",
        datasets=sets,
        whole={"label": "GeoPackage", "url": url_for("data.geopackage"), "note": _("all layers in one file, for QGIS")},
        raster=services().population is not None,
        api=[
            {
                "method": "GET",
                "path": "/ogc",
                "url": "/ogc?f=html",
                "words": _("OGC API Features and Tiles: the layers in QGIS, filtered, in pages and as vector tiles"),
            },
            {
                "method": "GET",
                "path": "/data/catalog.jsonld",
                "words": _("the data sets as a catalogue for portals (DCAT-AP)"),
            },
            {
                "method": "GET",
                "path": "/api/ledger?by=ward&as_of=2026-11-22",
                "words": _(
                    "the ledger as JSON; by is ward, district, city or zone; or units=today, districts or old-city "
                    "for the boundaries"
                ),
            },
            {
                "method": "GET",
                "path": "/healthz",
                "words": _("whether the server and its database answer, and the version of the data"),
            },
        ],
    )


def layer_words(layer):
    return {"name_vi": layer.vi, "name_en": layer.en}


@bp.get("/data/<name>.<kind>")
@public
def layer(name, kind):
    """One layer or table as a file: all of it, or what filter, bbox, datetime and the other parameters of /ogc choose.

    ?crs= chooses the system, ?columns= the columns, ?outlines=yes gives a CSV and an Excel sheet the shapes as WKT.
    """
    scope = scope_of(getattr(services(), "tokens", None), request.headers.get("Authorization"))
    c = listings.shelf(current_app.extensions, services()).get(name, scope=scope)
    if c is None:
        abort(404)
    downloads.known(c.layer, kind)
    choice = downloads.asked(c.layer, internal=c.internal)
    given = MultiDict([(k, v) for k, v in request.args.items(multi=True) if v])
    selection = parameters.selection(given, c, beside=downloads.OWN)
    words = language() if kind == "xlsx" else "vi"
    version = f"{c.version}-{formats_mark()}"
    tag = f"{name} {version} {c.internal} {kind} {words} {choice} {selection.key}"
    response = data_response(
        b"", downloads.mimetype(kind), version=tag, filename=downloads.file_name(name, c.layer, kind, choice.crs)
    )
    response.vary.add("Authorization")
    if c.internal:
        response.headers["Cache-Control"] = "private, no-cache"
    if response.status_code == 304:
        return response
    if choice.columns or selection.key or c.internal:
        response.set_data(_made(c, kind, choice, c.find(selection)))
    else:
        file = f"{choice.crs}-{words}{'-outlines' if choice.outlines else ''}.{kind}"
        folder = services().store.data_dir / "cache" / "files" / name
        response.set_data(filecache.kept(folder, version, file, lambda: _made(c, kind, choice, slice(None))))
    return response


@cache
def formats_mark():
    return filecache.fingerprint(formats, export, kml, parquet, shapefile, workbook, catalogue_module)


def _made(c, kind, choice, rows):
    table = formats.table(c.layer, c.frame.iloc[rows], choice.columns, internal=c.internal)
    return downloads.written(table, kind, choice)


@bp.get("/data/catalog.jsonld")
@public
def catalogue():
    """The data sets as DCAT-AP."""
    store = services().store
    held = listings.shelf(current_app.extensions, services()).every()
    made = dcat.catalogue(Addresses(request.root_url.rstrip("/")), held, store.history())
    return data_response(
        json.dumps(made, ensure_ascii=False, indent=1),
        "application/ld+json",
        version=f"{services().figures.version()} {request.root_url}",
    )


@bp.get("/data/cang-xanh.gpkg")
@public
def geopackage():
    """All public layers and fields as one GeoPackage, made once per data version."""
    store = services().store
    folder = store.data_dir / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"public-{services().figures.version()}.gpkg"
    with _building:
        if not path.exists():
            for old in folder.glob("public-*.gpkg*"):
                old.unlink(missing_ok=True)
            formats.geopackage_file(path, (formats.table(n, store.snapshot(n)) for n in export.public_layers()))
    return send_file(
        path.resolve(),
        mimetype="application/geopackage+sqlite3",
        as_attachment=True,
        download_name="cang-xanh.gpkg",
    )


@bp.get("/data/population.tif")
@public
def population():
    path = services().population
    if path is None or not path.exists():
        abort(404)
    return send_file(
        path.resolve(), mimetype="image/tiff", as_attachment=True, download_name="cang-xanh-population.tif"
    )


@bp.get("/api/ground")
@public
def ground():
    """Land, ward outlines and names under every map."""
    body = services().figures.kept(
        "ground",
        lambda *_: json.dumps(atlas.ground_document(services().store), ensure_ascii=False, separators=(",", ":")),
        language(),
    )
    return data_response(
        body,
        "application/json",
        version=f"{services().figures.version()}-{language()}",
        max_age=YEAR if request.args.get("v") == services().figures.version() else 0,
    )


@bp.get("/api/ledger")
@public
def ledger():
    units = query.choice("units", ("", *UNITS), "")
    by = UNITS[units] if units else query.choice("by", LEVELS, "city")
    figures = services().figures
    day = query.day("as_of", services().today())
    building = query.choice("plants", ("working", "building"), "working") == "building"
    view = figures.coverage(by, day, building)
    return jsonify(ledger_document(view, figures.ledger_sources(view), **figures.told_on(view)))


@bp.get("/api/suggest")
@public
def suggest():
    """Names for the search box while somebody types."""
    hits = services().find(query.words(), limit=8, language=language())
    return jsonify([{"name": h["name"], "kind": h["kind_word"], "note": h["note"], "url": h["url"]} for h in hits])


@bp.get("/healthz")
@public
def health():
    """200 with the data version when the database answers, 503 otherwise."""
    try:
        refused = services().store.refused()
        number, at = services().store.data_version()
    except Exception:
        current_app.logger.exception("health check failed")
        return jsonify({"status": "error", "database": "unavailable"}), 503
    response = jsonify(
        {
            "status": "ok",
            "database": "ok",
            "data_version": number,
            "data_changed": at,
            "edits_not_used": sorted(refused),
        }
    )
    response.headers["Cache-Control"] = "no-store"
    return response
