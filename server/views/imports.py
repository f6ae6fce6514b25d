"""Bringing data in: a file sent, looked at step by step, applied as one version, undone."""

from functools import wraps

from flask import Blueprint, abort, current_app, flash, jsonify, redirect, render_template, request, send_file

from layers import parquet
from server import (
    desk,
    importcases,
    importcolumns,
    importplaces,
    importsteps,
    importtables,
    importwords,
    office,
    security,
)
from server.errors import answer
from server.i18n import N_
from server.i18n import gettext as _
from server.importdesk import ImportConflict
from server.importdoor import FORM_BYTES, MAX_BYTES, PIECE_BYTES, SUFFIXES, ImportProblem
from server.security import allowed, takes_up_to

bp = Blueprint("imports", __name__, url_prefix="/admin/import")
IMPORTERS = ("planner", "administrator")
SHOWN = 20  # imports on a page
FORM_ROOM = 200_000  # bytes of a form beside the file in it


def services():
    return current_app.extensions["cangxanh"]


def imports():
    return services().imports


def one_of(number):
    try:
        return imports().settled(imports().get(number))
    except KeyError:
        abort(404)


def wants_json():
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


def page(template, status=200, **values):
    bar = desk.frame(security.user(), office.ward_names(services()))
    return render_template(template, staff=bar, **values), status


# --- start ----------------------------------------------------------------------------------------


@bp.get("")
@allowed(*IMPORTERS)
def overview():
    return start()


def start(errors=None, status=200):
    now, before = services().now(), request.args.get("before", type=int)
    found = imports().recent(SHOWN + 1, before)
    return page(
        "import.html",
        status,
        errors=errors or {},
        recent=[importsteps.summary(one, now, security.user().role) for one in found[:SHOWN]],
        older=found[SHOWN - 1].number if len(found) > SHOWN else None,
        newer=before is not None,
        layers=importsteps.layers_for(None, None, security.user().role),
        chosen=request.values.get("layer", ""),
        suffixes=SUFFIXES,
        parquet=parquet.available(),
        limits={"form": FORM_BYTES, "most": MAX_BYTES, "piece": PIECE_BYTES},
    )


@bp.post("")
@allowed(*IMPORTERS)
@takes_up_to(FORM_BYTES + FORM_ROOM)
def receive():
    """A whole file by a plain form."""
    sent = request.files.get("file")
    try:
        if sent is None or not sent.filename:
            raise ImportProblem(N_("Choose a file first."), "empty")
        size = sent.stream.seek(0, 2)
        sent.stream.seek(0)
        layer = request.form.get("layer") or None
        one = imports().receive(security.user(), sent.filename, sent.stream, size, layer=layer)
    except ImportProblem as e:
        return start({"file": _(e.sentence, **e.values)}, 422)
    return redirect(f"/admin/import/{one.number}", 303)


@bp.post("/begin")
@allowed(*IMPORTERS)
def begin():
    """The name and size of a file that the page's script will send in pieces."""
    sent = request.get_json(silent=True)
    name, size = (sent.get("name"), sent.get("size")) if isinstance(sent, dict) else (None, None)
    if not isinstance(name, str) or isinstance(size, bool) or not isinstance(size, int):
        return refused(ImportProblem(N_("Choose a file first."), "empty"))
    layer = sent.get("layer")
    try:
        one = imports().begin(security.user(), name, size, layer=layer if isinstance(layer, str) and layer else None)
    except ImportProblem as e:
        return refused(e)
    return jsonify(number=one.number, pieces=f"/admin/import/{one.number}/piece", piece_bytes=PIECE_BYTES)


@bp.put("/<int:number>/piece")
@allowed(*IMPORTERS)
@takes_up_to(PIECE_BYTES)
def piece(number):
    """The next bytes of a file; ?at= says where they belong."""
    at = request.args.get("at", default=-1, type=int)
    try:
        have, one = imports().piece(security.user(), number, at, request.stream)
    except KeyError:
        abort(404)
    except ImportProblem as e:
        return refused(e)
    return jsonify(have=have, page=f"/admin/import/{number}" if one.state != "coming" else None)


def refused(problem):
    body = {"error": problem.code, "message": _(problem.sentence, **problem.values)}
    return jsonify(body | {k: v for k, v in problem.values.items() if k == "have"}), 422


# --- one import -----------------------------------------------------------------------------------


@bp.get("/<int:number>")
@allowed(*IMPORTERS)
def show(number):
    return shown(one_of(number))


def shown(one, errors=None, status=200):
    """The page of an import at its present step, or at one that was asked for and can be opened."""
    kept, now = imports(), services().now()
    look = kept.read(one.number, "look.json")
    asked = request.args.get("step")
    at = (
        asked
        if asked in dict(importsteps.STEPS) and importsteps.opens(one, look, asked)
        else importsteps.first_step(one, look)
    )
    values = {"one": one, "row": importsteps.summary(one, now, security.user().role), "look": look or {}, "at": at, "errors": errors or {},
              "error": importwords.told(one.error), "job": None, "step_line": importsteps.steps(one, look, at)}  # fmt: skip
    if one.busy:
        job = job_of(one)
        mine = job is not None and (job.who_id == security.user().id or security.user().role == "administrator")
        values |= {"job": job, "mine": mine}
        return page("import_wait.html", status, **values)
    settings = current_app.config["CANGXANH"]
    if at == "place":
        doctor = importplaces.doctor(one, look)
        maps = importplaces.pair_maps(doctor, services().store, settings)
        return page("import_place.html", status, doctor=doctor, maps=maps, **values)
    if at == "columns":
        return page("import_columns.html", status, table=importcolumns.columns(one, look), **values)
    if at == "done":
        values["cases"] = importcases.register(one, services().book)
    if at == "trial" or at == "done":
        made = kept.read(one.number, "trial.json")
        if made is not None:
            drawn = importtables.trial_map(one, made, services().store, settings)
            values |= {"trial": importtables.trial(one, made), "map": drawn}
        return page("import_trial.html" if at == "trial" else "import_done.html", status, **values)
    return page("import_file.html", status, layers=importsteps.layers_for(one, look, security.user().role), **values)


def job_of(one):
    """The job of an import, or None where it is not known yet or any more."""
    try:
        return services().jobs.get(one.job) if one.job else None
    except KeyError:
        return None


def acting(view):
    """A view that changes an import: taken with the revision its reader saw, and told where it is refused."""

    @wraps(view)
    def act(number):
        one = one_of(number)
        revision = request.form.get("revision", type=int)
        try:
            return view(one, revision) or redirect(f"/admin/import/{number}", 303)
        except ImportConflict as e:
            return shown(imports().settled(e.held), {"": _(e.sentence, **e.values)}, 409)
        except ImportProblem as e:
            return shown(one, {"": _(e.sentence, **e.values)}, 422)

    return act


@bp.post("/<int:number>/file")
@allowed(*IMPORTERS)
@acting
def choose_layer(one, revision):
    chosen = {"layer": request.form.get("layer", "")}
    if request.form.get("sheet"):
        chosen["sheet"] = request.form["sheet"][:200]
    imports().choose(security.user(), one.number, revision, **chosen)


@bp.post("/<int:number>/place")
@allowed(*IMPORTERS)
@acting
def choose_place(one, revision):
    offered = {
        r["option"] for r in ((imports().read(one.number, "look.json") or {}).get("doctor") or {}).get("readings", ())
    }
    reading = request.form.get("reading", "")
    if reading not in offered:
        raise ImportProblem(N_("Choose one of the readings."), "reading")
    imports().choose(security.user(), one.number, revision, reading=reading)


@bp.post("/<int:number>/columns")
@allowed(*IMPORTERS)
@acting
def choose_columns(one, revision):
    look = imports().read(one.number, "look.json") or {"columns": []}
    chosen, errors = importcolumns.read_columns(one, look, request.form)
    if errors:
        return shown(one, errors, 422)
    imports().choose(security.user(), one.number, revision, seen=True, **chosen)


@bp.post("/<int:number>/again")
@allowed(*IMPORTERS)
@acting
def again(one, revision):
    imports().choose(security.user(), one.number, revision)


@bp.post("/<int:number>/apply")
@allowed(*IMPORTERS)
@acting
def apply(one, revision):
    imports().apply(security.user(), one.number, revision)


@bp.post("/<int:number>/undo")
@allowed(*IMPORTERS)
@acting
def undo(one, revision):
    imports().undo(security.user(), one.number, revision)


@bp.post("/<int:number>/redo")
@allowed(*IMPORTERS)
@acting
def redo(one, revision):
    imports().redo(security.user(), one.number, revision)


@bp.post("/<int:number>/drop")
@allowed(*IMPORTERS)
@acting
def drop(one, revision):
    imports().drop(security.user(), one.number, revision)
    flash(_("%(name)s was laid aside; nothing was written.", name=one.name))
    return redirect("/admin/import", 303)


@bp.get("/<int:number>/refused.csv")
@allowed(*IMPORTERS)
def refused_rows(number):
    one = one_of(number)
    path = imports().folder(number) / "refused.csv"
    if not path.is_file():
        return answer(404, sentence=_("No row of this import was refused, or its file is kept no more."))
    return send_file(path, mimetype="text/csv; charset=utf-8", as_attachment=True,
                     download_name=f"{one.code}-refused.csv")  # fmt: skip
