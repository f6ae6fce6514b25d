"""The public register of hotspots: map, table, downloads, and the page of one hotspot."""

from flask import Blueprint, abort, current_app, render_template, url_for

from layers import export
from layers.catalogue import STAGE
from server import atlas, maps, query, records, register
from server.answers import data_response
from server.i18n import gettext as _
from server.i18n import text
from server.security import public

bp = Blueprint("hotspots", __name__)
STAGES = tuple(c.value for c in STAGE)
MEDIA = ("water", "air", "soil", "solid_waste", "odour", "noise")


def services():
    return current_app.extensions["cangxanh"]


def asked():
    """The settings of the list and the rows they choose, ordered by stage and code."""
    q = {
        "stage": query.choice("stage", ("", *STAGES), ""),
        "medium": query.choice("medium", ("", *MEDIA), ""),
        "class": query.choice("class", ("", "1", "2", "3", "not_enough_data"), ""),
        "q": query.words(),
    }
    every = [
        r | {"url": url_for("hotspots.one", code=r["code"])} for r in register.hotspots(services(), services().today())
    ]
    every.sort(key=lambda r: (STAGES.index(r["stage"]), r["code"]))
    rows = [
        r
        for r in every
        if (not q["stage"] or r["stage"] == q["stage"])
        and (not q["class"] or r["class"] == q["class"])
        and (not q["medium"] or q["medium"] in r["media_list"])
        and records.matches(r, q["q"])
    ]
    return q, every, rows


@bp.get("/hotspots")
@public
def overview():
    q, every, rows = asked()
    layer = maps.hotspot_layer(atlas.hotspot_marks(rows), _("Hotspots"))
    return render_template(
        "hotspots.html",
        query=q,
        stages=atlas.stage_counts(every),
        total=len(every),
        rows=rows,
        media=MEDIA,
        all_stages=STAGES,
        map=maps.map_page(
            [atlas.ground(services().store), layer],
            bounds=atlas.CITY_BOUNDS,
            settings=current_app.config["CANGXANH"],
            label=_("Map of the hotspots"),
        ),
        key=[{"family": "stage", "code": s["code"], "count": s["count"]} for s in atlas.stage_counts(rows)],
        unplaced=len(rows) - layer.count(),
        downloads=[
            {"label": "CSV", "url": url_for("hotspots.table", **query.keep()), "note": _("for programs")},
            {"label": "XLSX", "url": url_for("hotspots.sheet", **query.keep()), "note": _("for Excel")},
            {"label": "GeoJSON", "url": url_for("hotspots.features", **query.keep()), "note": _("for QGIS")},
        ],
    )


def _public(rows):
    names = [f.name for f in export.public_fields("hotspots")]
    return [{n: _plain(r[n]) for n in names} for r in rows], names


def _plain(value):
    return value.date().isoformat() if hasattr(value, "date") else value


@bp.get("/hotspots.csv")
@public
def table():
    _q, _every, rows = asked()
    made, names = _public(rows)
    return data_response(
        export.csv_bytes(made, names),
        "text/csv; charset=utf-8",
        version=_version(rows),
        filename="cang-xanh-hotspots.csv",
    )


@bp.get("/hotspots.xlsx")
@public
def sheet():
    _q, _every, rows = asked()
    made, names = _public(rows)
    body = export.xlsx_bytes(made, names)
    return data_response(body, export.XLSX, version=_version(rows) + "x", filename="cang-xanh-hotspots.xlsx")


@bp.get("/hotspots.geojson")
@public
def features():
    _q, _every, rows = asked()
    made, _names = _public(rows)
    pairs = zip((r["geometry"] for r in rows), made, strict=True)
    return data_response(
        export.geojson_bytes(pairs, name="hotspots"),
        "application/geo+json",
        version=_version(rows),
        filename="cang-xanh-hotspots.geojson",
    )


def _version(rows):
    return services().figures.version() + ",".join(r["code"] for r in rows)


@bp.get("/hotspots/<code>")
@public
def one(code):
    row = next((r for r in register.hotspots(services(), services().today()) if r["code"] == code), None)
    if row is None:
        abort(404)
    row["url"] = None
    if row["unit"]:
        row["unit"]["url"] = url_for("coverage.unit", code=row["unit"]["code"])
    mark = atlas.hotspot_marks([row])
    layers = [atlas.ground(services().store), maps.hotspot_layer(mark, _("Hotspots"))]
    return render_template(
        "hotspot.html",
        hotspot=row,
        sources=records.source_of(row),
        remediation=text(row, "remediation"),
        map=maps.map_page(layers, bounds=atlas.bounds_of(mark), settings=current_app.config["CANGXANH"])
        if mark
        else None,
    )
