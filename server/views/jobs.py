"""How far a long piece of work is: for the page that waits for it, and for a page of its own."""

from flask import Blueprint, abort, current_app, jsonify, redirect, render_template, request

from server import security
from server.citytime import told
from server.i18n import gettext as _
from server.i18n import language, number
from server.security import STAFF, allowed

bp = Blueprint("jobs", __name__, url_prefix="/jobs")


def jobs():
    return current_app.extensions["cangxanh"].jobs


def known(id):
    try:
        return jobs().get(id)
    except KeyError:
        abort(404)


def may_see(job):
    person = security.user()
    return job.who_id == person.id or person.role == "administrator"


def job_of(id):
    """The Job, where it is this person's; administrators see all."""
    job = known(id)
    if not may_see(job):
        abort(404)
    return job


def words(job):
    """What it is doing, or how it ended, in the reader's language."""
    if job.state == "failed":
        return (job.error or {}).get(language()) or _("The work failed.")
    if job.over:
        return {"done": _("Done."), "cancelled": _("Stopped.")}[job.state]
    if job.stop:
        return _("Stopping …")
    if job.state == "waiting":
        return _("Waiting for other work to end …")
    shown = {k: number(v) if isinstance(v, int | float) else v for k, v in job.values.items()}
    return _(job.words, **shown) if job.words else _("Beginning …")


def lines(id):
    """The log of a piece of work: at (UTC), when (in the city's time) and text of each line."""
    return [{"at": at, "when": told(at), "text": text} for at, text in jobs().log(id)]


@bp.app_context_processor
def tools():
    return {"job_words": words}


@bp.get("/<id>")
@allowed(*STAFF)
def page(id):
    job = known(id)
    if "import" in job.payload and not may_see(job) and security.user().role == "planner":
        return redirect(f"/admin/import/{job.payload['import']}", 303)  # its page tells a colleague how far it is
    job = job_of(id)
    return render_template("job.html", job=job, log=lines(id))


@bp.get("/<id>.json")
@allowed(*STAFF)
def state(id):
    job = job_of(id)
    answer = jsonify(
        state=job.state,
        over=job.over,
        share=job.share,
        words=words(job),
        log=lines(id)[-100:],
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


@bp.post("/<id>/cancel")
@allowed(*STAFF)
def cancel(id):
    job = job_of(id)
    jobs().cancel(job.id, security.user())
    if request.headers.get("Accept", "").startswith("application/json"):
        return state(id)
    return redirect(f"/jobs/{job.id}", 303)
