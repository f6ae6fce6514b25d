"""Downloads and addresses for programs: layers, the ground of the maps, the ledger, the health of the server."""

import threading

from flask import Blueprint, abort, current_app, jsonify, render_template, request, send_file, url_for

from layers import export
from layers.catalogue import ALL
from server import atlas, query, records
from server.answers import data_response
from server.figures import LEVELS
from server.i18n import gettext as _
from server.i18n import language
from server.ledgers import ledger_document
from server.security import public

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
        changed.setdefault(v["layer"], v["at"][:10])
    sets = []
    for name in export.public_layers():
        layer, rows = ALL[name], len(store.snapshot(name))
        if not rows:
            continue
        files = [{"label": "CSV", "url": url_for("data.layer", name=name, kind="csv"), "note": ""}]
        if layer.geometry:
            files.append({"label": "GeoJSON", "url": url_for("data.layer", name=name, kind="geojson"), "note": ""})
        sets.append(
            {
                "code": name,
                "name_vi": layer.vi,
                "name_en": layer.en,
                "rows": rows,
                "updated": changed.get(name),
                "files": files,
                "fields": [
                    {"name": f.name, "unit": records.unit_word(f.unit), "meaning_vi": f.vi, "meaning_en": f.en}
                    for f in export.public_fields(name)
                ],
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
                "path": "/api/ledger?by=ward&as_of=2026-11-22",
                "words": _("the ledger as JSON; by is ward, district, city or zone"),
            },
            {
                "method": "GET",
                "path": "/healthz",
                "words": _("whether the server and its database answer, and the version of the data"),
            },
        ],
    )


@bp.get("/data/<name>.<kind>")
@public
def layer(name, kind):
    known = ALL.get(name)
    if (
        known is None
        or not known.public
        or kind not in ("csv", "geojson")
        or (kind == "geojson" and not known.geometry)
    ):
        abort(404)
    snapshot = services().store.snapshot(name)
    version = f"{services().figures.version()}-{name}-{kind}"
    if kind == "csv":
        return data_response(
            export.layer_csv(name, snapshot),
            "text/csv; charset=utf-8",
            version=version,
            filename=f"{name}.csv",
        )
    return data_response(
        export.layer_geojson(name, snapshot),
        "application/geo+json",
        version=version,
        filename=f"{name}.geojson",
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
            export.geopackage_file(path, {n: store.snapshot(n) for n in export.public_layers()})
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
    import json

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
    by = query.choice("by", LEVELS, "city")
    day = query.day("as_of", services().today())
    building = query.choice("plants", ("working", "building"), "working") == "building"
    view = services().figures.coverage(by, day, building)
    return jsonify(ledger_document(view, services().figures.ledger_sources(view)))


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
