"""Where the next plant should stand: the studies, their steps, the run, the answer, and "why not here?"."""

from flask import Blueprint, abort, current_app, flash, jsonify, redirect, render_template, request, send_file, url_for

from server import (
    desk,
    office,
    ownlayers,
    planforms,
    planlayers,
    planmap,
    planpage,
    planresult,
    planwhy,
    planwords,
    rastertiles,
    sitespec,
)
from server.casebook import CaseError, Conflict, NotYours
from server.errors import answer
from server.forms import FormError, revision_of, text_of
from server.i18n import gettext as _
from server.i18n import language
from server.security import allowed, takes_up_to, user
from server.siting import WRITERS

bp = Blueprint("plan", __name__, url_prefix="/plan")
READERS = ("inspector", "approver", *WRITERS)
FORM_BYTES = 2 * ownlayers.TEXT_MOST + 500_000
tiles = rastertiles.Tiles()


def services():
    return current_app.extensions["cangxanh"]


def page(template, **values):
    bar = desk.frame(user(), office.ward_names(services()))
    if "study" in values:
        spec = values["result"]["spec"] if "result" in values else values["study"]["spec"]
        values["unit"], values["load"] = planwords.load_word(spec), planwords.phrases(spec)
    return render_template(template, staff=bar, may_write=user().role in WRITERS, **values)


def held(code, *, hidden=False):
    """The study, or 404."""
    try:
        study = services().studies.get(code)
    except KeyError:
        abort(404)
    if study["hidden"] and not hidden:
        abort(404)
    return study


@bp.errorhandler(NotYours)
def not_yours(error):
    return answer(403, sentence=_(error.words, **error.values))


def told(error):
    """The sentence of what a study refused."""
    if isinstance(error, sitespec.SpecError):
        return " ".join(words[language()] for _field, words in error.problems_of)
    return _(error.words, **error.values)


# --- the studies ---


@bp.get("")
@allowed(*READERS)
def overview():
    gone = request.args.get("gone", "")
    taken = next((s for s in services().studies.all(hidden=True) if s["code"] == gone and s["hidden"]), None)
    rows = [planpage.row(s) for s in services().studies.all()]
    return page("plan.html", rows=rows, taken=taken)


@bp.post("/new")
@allowed(*WRITERS)
def new():
    code = services().studies.create(user(), sitespec.default(services()) | {"name": _("New study")})
    return redirect(url_for("plan.edit", code=code, step="goal"), 303)


@bp.post("/<code>/copy")
@allowed(*WRITERS)
def copy(code):
    made = services().studies.copy(user(), held(code)["code"])
    flash(_("%(code)s is a copy of %(old)s. Change what should differ.", code=made, old=code))
    return redirect(url_for("plan.edit", code=made, step="goal"), 303)


@bp.post("/<code>/delete")
@allowed(*WRITERS)
def delete(code):
    held(code)
    try:
        services().studies.delete(user(), code, revision_of(request.form))
    except Conflict as e:
        flash(told(e))
        return redirect(url_for("plan.overview"), 303)
    return redirect(url_for("plan.overview", gone=code), 303)


@bp.post("/<code>/restore")
@allowed(*WRITERS)
def restore(code):
    held(code, hidden=True)
    try:
        services().studies.delete(user(), code, revision_of(request.form), hidden=False)
        flash(_("%(code)s is in the list again.", code=code))
    except Conflict as e:
        flash(told(e))
    return redirect(url_for("plan.overview"), 303)


# --- the steps ---


@bp.get("/<code>/edit")
@allowed(*READERS)
def begin(code):
    return redirect(url_for("plan.edit", code=held(code)["code"], step="goal"), 303)


@bp.get("/<code>/edit/<step>")
@allowed(*READERS)
def edit(code, step):
    if step not in dict(planforms.STEPS):
        abort(404)
    return step_page(held(code), step)


def step_page(study, step, *, form=None, errors=None, other=None, status=200):
    """The page of a step; with what was typed where it was refused. other: the study as somebody else left it."""
    shown = planpage.step(services(), study, step, form, errors)
    if step == "goal" and user().role in WRITERS:
        shown["map"] = planmap.outline(services().store, current_app.config["CANGXANH"])
    if step == "rules":
        shown["own_part"] = planlayers.shown(study["spec"], form, errors)
    return page(f"plan_{step}.html", study=study, step=step, steps=planforms.STEPS, errors=errors or {}, form=form,
                other=other, **shown), status  # fmt: skip


@bp.post("/<code>/edit/<step>")
@allowed(*WRITERS)
@takes_up_to(ownlayers.FILE_BYTES + FORM_BYTES + 2_000_000, fields=FORM_BYTES)
def save(code, step):
    if step not in ("goal", "rules", "weights"):
        abort(404)
    study, revision, form, said = held(code), revision_of(request.form), request.form, []
    try:
        if step == "rules":
            spec, said = planlayers.read(services(), form, request.files.get("own.file"), study["spec"])
            form = typed(form, said and {"own.wkt": spec["layers"][-1]["wkt"], "own.system": "4326"})
        else:
            spec = planforms.read(step, form, study["spec"])
        services().studies.save(user(), code, revision, spec)
    except FormError as e:
        return step_page(study, step, form=typed(form, e.case), errors=e.errors, status=422)
    except sitespec.SpecError as e:
        return step_page(study, step, form=form, errors={"": told(e)}, status=422)
    except Conflict as e:
        form = planlayers.settled(form, e.case["spec"])
        return step_page(held(code), step, form=form, errors={"": told(e)}, other=e.case, status=409)
    order = [key for key, _words in planforms.STEPS]
    stay = form.get("then") in ("stay", "layer") or "own.remove" in form
    after = step if stay else order[order.index(step) + 1]
    if said or "own.remove" in form:
        flash(" ".join(said) or _("The layer was removed from the study."))
    elif stay:
        flash(_("Saved."))
    anchor = "own-layers" if form.get("then") == "layer" or "own.remove" in form else None
    return redirect(url_for("plan.edit", code=code, step=after, _anchor=anchor), 303)


def typed(form, read):
    """A form with what was read of its file in place of the file."""
    if not read:
        return form
    form = form.copy()
    for name, value in read.items():
        form[name] = value
    return form


@bp.get("/law.json")
@allowed(*READERS)
def law():
    """The safe distance of works as they are typed: ?facility.technology=&facility.enclosed=&as_of=&capacity=&capacity="""
    try:
        return jsonify(planpage.law_asked(request.args))
    except ValueError:
        return jsonify(lines=[], message=_("Give the day as a date.")), 400


@bp.get("/weights.json")
@allowed(*READERS)
def weights():
    """What answers on pairs say so far: ?names=a,b,c&a|b=3&...&study= whose layers are named"""
    names = [n for n in request.args.get("names", "").split(",") if n][:15]
    answers = {k: planforms.times_of(v) for k, v in request.args.items() if "|" in k}
    spec = held(request.args["study"])["spec"] if "study" in request.args else None
    titles = {n: planwords.criterion_word(n, spec) for n in names}
    return jsonify(planpage.weighed_words(names, answers, titles))


# --- the run ---


@bp.post("/<code>/run")
@allowed(*WRITERS)
def run(code):
    held(code)
    services().studies.run(user(), code)
    return redirect(url_for("plan.study", code=code), 303)


@bp.get("/<code>")
@allowed(*READERS)
def study(code):
    found = held(code)
    job = planpage.job_of(services(), found, user())
    shown = planresult.answer(services(), found, current_app.config["CANGXANH"])
    if shown is None:
        return page("plan_study.html", study=found, job=job, row=planpage.row(found))
    return page("plan_result.html", study=found, job=job, **shown)


@bp.get("/<code>/tiles/<int:z>/<int:x>/<int:y>.png")
@allowed(*READERS)
def tile(code, z, x, y):
    """?run= names the run; ?bits= asks for reasons instead of scores."""
    try:
        bits = int(request.args["bits"]) & 0xFFFFFFFF if "bits" in request.args else None
        paths = services().studies.paths(held(code)["code"], planresult.run_of(request.args.get("run", "")))
        body = tiles.get(paths["suitability" if bits is None else "reasons"], z, x, y, bits)
    except (KeyError, ValueError, rastertiles.NoTile):
        abort(404)
    return (body, 200, {"Content-Type": "image/png"}) if body else ("", 204)


@bp.get("/<code>/files/<kind>")
@allowed(*READERS)
def file(code, kind):
    path = planresult.file_of(services(), held(code)["code"], kind)
    if path is None:
        abort(404)
    return send_file(path, as_attachment=True, download_name=f"{code}-{path.name}", max_age=0)


# --- why not here? ---


@bp.get("/<code>/why")
@allowed(*READERS)
def why(code):
    return why_page(held(code))


def why_page(found, *, errors=None, form=None, status=200):
    given, wrong = planwhy.asked(request.args if form is None else form)
    shown = None if given is None else planwhy.explained(services(), found, *given)
    return page("plan_why.html", study=found, why=shown, errors=(errors or {}) | wrong, form=form,
                asked=request.args if form is None else form), status  # fmt: skip


@bp.get("/<code>/why.json")
@allowed(*READERS)
def why_json(code):
    found = held(code)
    given, wrong = planwhy.asked(request.args)
    if given is None:
        return jsonify(message=" ".join(wrong.values()) or _("Give a place.")), 400
    return jsonify(planwhy.explained(services(), found, *given))


@bp.post("/<code>/block", defaults={"what": "block"})
@bp.post("/<code>/force", defaults={"what": "force"})
@bp.post("/<code>/unblock", defaults={"what": "unblock"})
@bp.post("/<code>/unforce", defaults={"what": "unforce"})
@allowed(*WRITERS)
def change(code, what):
    """Keep a place out of the next run, or build there; or take that back."""
    found, form = held(code), request.form
    try:
        said = planwhy.changed(services(), user(), found, what, form, revision_of(form))
    except Conflict as e:
        flash(told(e))
        return redirect(url_for("plan.study", code=code), 303)
    except FormError as e:
        if "site" in form:
            flash(" ".join(e.errors.values()))
            return redirect(url_for("plan.study", code=code), 303)
        return why_page(found, errors=e.errors, form=form, status=422)
    except (CaseError, sitespec.SpecError) as e:
        flash(told(e))
        return redirect(url_for("plan.study", code=code), 303)
    flash(said)
    if form.get("then") == "run":
        services().studies.run(user(), code)
    if text_of(form, "back") == "run":
        return redirect(url_for("plan.edit", code=code, step="run"), 303)
    return redirect(url_for("plan.study", code=code, _anchor="changed"), 303)
