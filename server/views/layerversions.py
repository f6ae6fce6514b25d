"""The versions of a layer: what each changed, in a table, on a map and as a file; figures of then; putting one back."""

from flask import Response, abort, current_app, jsonify, redirect, request, url_for

from layers.catalogue import ALL
from layers.errors import LayerError
from server import layermaps, layerwords, putbacks, query, versionpages
from server.changes import KINDS, chosen
from server.errors import Refused
from server.featureedits import EDITORS
from server.i18n import gettext as _
from server.i18n import moment
from server.layerdesk import blueprint, book, editable, layer_of, page, services
from server.security import allowed, user

bp = blueprint("layerversions", __name__)

LISTED = 20  # versions shown at first
CHANGES_PER_PAGE = 60


def between(name):
    """(versions of a layer, older, newer) that are asked for; by default the newest and the one before it."""
    every = {v["version"]: v for v in services().store.history(name)}
    last = max(every, default=0)
    newer = query.number("to", last)
    older = query.number("from", max(newer - 1, 0))
    if newer not in every | {0: None} or older not in every | {0: None}:
        abort(404)
    return every, older, newer


def settings_of(name, older, newer):
    """The filter of the differences and what it leaves of them."""
    difference = book().difference(name, older, newer)
    fields = versionpages.field_choices(ALL[name], difference)
    q = {"kind": query.choice("kind", ("", *KINDS), ""), "field": query.choice("field", ("", *(f for f, _l in fields)), ""),
         "q": query.words()}  # fmt: skip
    return difference, fields, q, chosen(difference.changes, kind=q["kind"], field=q["field"], typed=q["q"])


@bp.get("/<name>/versions")
@allowed(*EDITORS)
def versions(name):
    layer = layer_of(name)
    every, older, newer = between(name)
    rows, total = versionpages.version_rows(book(), name, most=query.number("most", LISTED))
    shown = {"layer": layer, "title": layerwords.title(layer), "rows": rows, "total": total, "older": older, "newer": newer,
             "choices": layerwords.version_choices(every), "last": max(every, default=0), "kept": layerwords.kept_words(), "gone": None, "map": None,
             "refused": [layerwords.sentence(p) for p in services().store.refused().get(name, [])],
             "done": every.get(query.number("done", 0)), "may": not layer.gated}  # fmt: skip
    try:
        difference, fields, q, found = settings_of(name, older, newer)
    except LayerError as error:
        return page("layer_versions.html", **shown | {"gone": " ".join(map(layerwords.sentence, error.problems))})
    here, at, pages = query.cut(found, CHANGES_PER_PAGE)
    asked = {k: v for k, v in {"from": older, "to": newer, **q}.items() if v not in ("", None)}
    made = layermaps.change_map(
        services().store, layer, found, current_app.config["CANGXANH"],
        lambda what: url_for("layerversions.places", name=name, what=what, **asked),
    )  # fmt: skip
    return page(
        "layer_versions.html", **shown | {
            "changes": versionpages.change_rows(layer, here),
            "found": len(found), "counts": difference.counts, "same": difference.same, "map": made, "query": q,
            "fields": fields, "kinds": [(k, _(layerwords.KIND_WORDS[k])) for k in KINDS], "page": at, "pages": pages,
            "csv": url_for("layerversions.differences", name=name, **asked), "drawn": layermaps.DRAWN,
            "key": [(w, _(layermaps.STYLE_WORDS[w]), layermaps.STYLES[w]) for w in layermaps.STYLES],
            "words": layerwords.counts_words(difference.counts), "keep": query.keep,
            "drawn_kinds": [layer[0] for layer in made.layers] if made else [],
            "crowded": len(found) > layermaps.DRAWN,
        },
    )  # fmt: skip


@bp.get("/<name>/versions/<what>.geojson")
@allowed(*EDITORS)
def places(name, what):
    layer = layer_of(name)
    if what not in layermaps.STYLES:
        abort(404)
    _every, older, newer = between(name)
    _difference, _fields, _q, found = settings_of(name, older, newer)
    made = jsonify(layermaps.collection(layermaps.drawn(layer, found)[what]))
    made.headers["Cache-Control"] = "private, max-age=600"
    return made


@bp.get("/<name>/versions.csv")
@allowed(*EDITORS)
def differences(name):
    layer = layer_of(name)
    _every, older, newer = between(name)
    found = settings_of(name, older, newer)[3]
    file = f"{name}-{older}-{newer}.csv"
    return Response(versionpages.csv_of(layer, found), mimetype="text/csv",
                    headers={"Content-Disposition": f'attachment; filename="{file}"'})  # fmt: skip


@bp.post("/<name>/versions/<int:old>/restore")
@allowed(*EDITORS)
def restore(name, old):
    editable(name)
    if request.form.get("sure") != "yes":
        raise Refused(_("Tick the box to confirm, then send the form again. Nothing was changed."))
    store = services().store
    shown = request.form.get("base", "")
    expected = int(shown) if shown.isdecimal() and len(shown) < 10 else store.versions().get(name, 0)
    version = next((v for v in store.history(name) if v["version"] == old), None) or abort(404)
    if putbacks.large(version):
        job = putbacks.start(services(), user(), name, old, expected)
        return redirect(url_for("layerversions.restoring", name=name, job=job), 303)
    store.restore(name, old, who=user().name, expected=expected)
    return redirect(url_for("layerversions.versions", name=name, done=expected + 1), 303)


@bp.get("/<name>/versions/restoring/<job>")
@allowed(*EDITORS)
def restoring(name, job):
    layer = layer_of(name)
    try:
        work = putbacks.of(services(), user(), name, job)
    except KeyError:
        abort(404)
    if work.state == "done":
        return redirect(url_for("layerversions.versions", name=name, done=work.result["version"]), 303)
    return page("layer_putback.html", layer=layer, title=layerwords.title(layer), job=work)


@bp.get("/<name>/versions/<int:which>/figures")
@allowed(*EDITORS)
def figures(name, which):
    layer = layer_of(name)
    version = next((v for v in services().store.history(name) if v["version"] == which), None) or abort(404)
    today, population, gone, views = services().today(), services().population, [], []
    for at in book().moments(version):
        try:
            views.append(book().figures_at(at, population, today))
        except LayerError as error:
            views.append(None)
            gone += [layerwords.sentence(p) for p in error.problems]
    rows = versionpages.figure_rows([*views, services().figures.coverage("city", today)])
    return page("layer_figures.html", layer=layer, title=layerwords.title(layer), version=version, rows=rows, gone=gone,
                same=None not in views and all(r["cells"][0] == r["cells"][1] for r in rows),
                when=moment(version["at"]), today=today)  # fmt: skip
