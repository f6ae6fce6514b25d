"""The inbox of citizen reports: one at a time, with map, photos, similar ones and a ready reply."""

from flask import Blueprint, Response, abort, current_app, flash, jsonify, redirect, render_template, request, url_for

from server import atlas, desk, downloads, forms, handling, intake, listings, maps, office, query, replies
from server.errors import answer
from server.files import FileError
from server.forms import FormError
from server.i18n import gettext as _
from server.security import allowed, takes_up_to, user

bp = Blueprint("inbox", __name__)
HANDLERS = ("commune_officer", "inspector", "approver", "administrator")
BOXES = ("todo", "asked", "done")
UPLOAD = 60 * 1024 * 1024
NEAR_M = 500


def services():
    return current_app.extensions["cangxanh"]


def wants_json():
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


# --- what is shown ---


def in_box(reports, box):
    if box == "asked":
        return [r for r in reports if r["state"] == "asked"]
    if box == "done":
        return [r for r in reports if r["state"] not in handling.OPEN]
    return sorted((r for r in reports if r["state"] in handling.OPEN and r["state"] != "asked"), key=pressing)


def pressing(report):
    """The most pressing first: by the state of the clock, then the oldest."""
    state = report["clock"].state if report["clock"] else "none"
    return desk.WORST.index(state), report["at"]


def chosen():
    """The box that is open, every report of this person that it may come from, and those in it."""
    box = query.choice("box", BOXES, "todo")
    held = services().reports.inbox(user(), every=box == "done")
    return box, held, in_box(held, box)


def listing():
    box, held, rows = chosen()
    opened = [r for r in held if r["state"] in handling.OPEN]
    counts = {"asked": sum(r["state"] == "asked" for r in opened)}
    counts["todo"] = len(opened) - counts["asked"]
    return box, rows[:200], len(rows), counts


@bp.get("/inbox.<kind>")
@allowed(*HANDLERS)
def box_file(kind):
    """The reports of a box as a file, without anything that leads to their senders."""
    box, _held, rows = chosen()
    wards, stem = office.ward_names(services()), f"inbox-{box}-{services().today()}"
    records = [listings.report(r, wards) for r in rows]
    return downloads.staff_file(services(), user(), listings.REPORTS, kind, records, stem=stem)


def found(code):
    """One report of this person with what belongs to it; 404, or 403 outside their area."""
    try:
        report = services().reports.get(code)
    except KeyError:
        abort(404)
    places = {report["commune"] or report["ward"], report["ward"]}
    if not any(user().covers(p, report["media"]) for p in places):
        error = answer(403, sentence=_("This report lies outside your area."))
        abort(error)
    return report


def detail(report, *, box, following, errors=None, action=None, values=None):
    """What the middle of the page shows."""
    wards = office.ward_names(services())
    code, me = report["code"], user()
    near = office.cases_near(services(), me, report, NEAR_M)
    acts = replies.acts_of(report, role=me.role, near=near, wards=wards, commune=report["ward"] or "")
    return {
        "report": report, "head": replies.item(report), "facts": replies.facts(report, wards),
        "photos": replies.photos_of(report), "similar": [replies.similar_view(s) for s in services().reports.similar(code)],
        "near": near, "acts": acts, "messages": replies.messages_view(services().reports.messages(code)),
        "history": replies.history(report), "wards": [(c, name, replies.in_language(wards[c], report["language"])) for c, name in office.ward_list(services(), None)], "errors": errors or {},
        "asked": action, "values": values, "box": box, "following": following, "name": intake.name_for(report, wards.get(report["ward"])),
        "contact": services().accounts.contact(code), "media": report["media"],
    }  # fmt: skip


def after(rows, code):
    """The code that follows in the list, "" at its end; the one before it where it is the last."""
    codes = [r["code"] for r in rows]
    if code not in codes:
        return codes[0] if codes else ""
    i = codes.index(code)
    return codes[i + 1] if i + 1 < len(codes) else codes[i - 1] if i else ""


def map_of(rows, reports):
    marks = [
        {"code": r["code"], "name": r["title"], "lon": round(s["lon"], 5), "lat": round(s["lat"], 5), "sign": "received",
         "lines": [[_("Received"), r["state_word"]]], "url": r["url"]}
        for r, s in zip(rows, reports, strict=True) if s["lon"] is not None
    ]  # fmt: skip
    cases = desk.marks([r for r in office.rows(services(), user()) if r["stage"] in desk.OPEN])[: maps.MAX_EMBEDDED]
    layers = [
        atlas.ground(services().store),
        maps.hotspot_layer(cases, _("Cases")),
        maps.SignLayer("reports", _("Reports in the list"), tuple(marks), family="stage"),
    ]
    return maps.map_page(layers, bounds=atlas.bounds_of(marks), settings=current_app.config["CANGXANH"],
                         label=_("Map of the reports"))  # fmt: skip


def page(code=None, *, errors=None, action=None, values=None, status=200):
    box, rows, total, counts = listing()
    items = [replies.item(r) for r in rows]
    report = found(code) if code else found(rows[0]["code"]) if rows else None
    shown = report and detail(
        report, box=box, following=after(rows, report["code"]), errors=errors, action=action, values=values
    )
    return render_template(
        "inbox.html", staff=desk.frame(user(), office.ward_names(services()), inbox=counts["todo"]), items=items, total=total,
        download=downloads.box(listings.REPORTS, "/inbox", total, internal=True, keep=[("box", box)]) if total else None,
        counts=counts, box=box, map=map_of(items, rows), d=shown, now=report["code"] if report else None,
        boxes=[{"key": b, "label": label, "url": url_for("inbox.overview", box=b), "count": counts.get(b)}
               for b, label in zip(BOXES, (_("To do"), _("Waiting"), _("Finished")), strict=True)],
    ), status  # fmt: skip


def parts(code, *, status=200, errors=None, action=None, values=None, **more):
    """The same as page(), as pieces for a page that is open already."""
    box, rows, total, counts = listing()
    items = [replies.item(r) for r in rows]
    report = found(code) if code else None
    shown = report and detail(
        report, box=box, following=after(rows, report["code"]), errors=errors, action=action, values=values
    )
    made = {
        "code": report["code"] if report else None, "counts": counts, "total": total,
        "list": render_template("inbox_list.html", items=items, now=report["code"] if report else None, box=box),
        "detail": render_template("inbox_report.html", d=shown, box=box),
        "at": [report["lat"], report["lon"]] if report and report["lon"] is not None else None,
        "title": replies.item(report)["title"] if report else "",
    } | more  # fmt: skip
    return jsonify(made), status


@bp.get("/inbox")
@allowed(*HANDLERS)
def overview():
    return page()


@bp.get("/inbox/<code>")
@allowed(*HANDLERS)
def one(code):
    return parts(code) if wants_json() else page(code)


# --- what is done ---


@bp.post("/inbox/<code>/<action>")
@allowed(*HANDLERS)
@takes_up_to(UPLOAD)
def act(code, action):
    report = found(code)
    try:
        number, case = intake.act(services(), user(), report["code"], action, request.form, request.files)
    except KeyError:
        abort(404)
    except FormError as e:
        if wants_json():
            return parts(code, status=422, errors=e.errors, action=action, values=request.form)
        return page(code, errors=e.errors, action=action, values=request.form, status=422)
    said = _(replies.DONE[action], code=report["code"], case=case)
    following = request.form.get("next") or None
    if wants_json():
        return parts(known(following), said=said, undo=url_for("inbox.undo", number=number), done=report["code"])
    flash(said, f"undo:{number}:{report['code']}")
    return redirect(back(following), 303)


def known(code):
    return code if code and code in services().reports else None


def back(code):
    box = query.choice("box", BOXES, "todo")
    return url_for("inbox.one", code=code, box=box) if known(code) else url_for("inbox.overview", box=box)


@bp.post("/inbox/undo/<int:number>")
@allowed(*HANDLERS)
def undo(number):
    code = known(request.form.get("code", ""))
    try:
        intake.undo(services(), user(), number, forms.text_of(request.form, "reason", 500))
    except KeyError:
        abort(404)
    except FormError as e:
        if wants_json():
            return parts(code, status=422, errors=e.errors)
        flash(e.errors[""])
        return redirect(back(code), 303)
    said = _(replies.TAKEN_BACK, code=code or "")
    if wants_json():
        return parts(code, said=said)
    flash(said)
    return redirect(back(code), 303)


# --- photos and files, for staff only ---


@bp.get("/inbox/<code>/photos/<int:number>")
@allowed(*HANDLERS)
def photo(code, number):
    report = found(code)
    if not 1 <= number <= len(report["photos"]):
        abort(404)
    return picture(report["photos"][number - 1])


def picture(sha):
    try:
        files = services().files
        body = files.small(sha).read_bytes() if query.choice("size", ("", "small"), "") else files.read(sha)
    except FileError:
        abort(404)
    response = Response(body, mimetype="image/jpeg")
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@bp.get("/inbox/<code>/files/<sha>")
@allowed(*HANDLERS)
def file(code, sha):
    """A document of a reply, as an attachment."""
    report = found(code)
    every = [f for m in services().reports.messages(report["code"]) for f in m["files"]]
    held = next((f for f in every if f["sha"] == sha), None)
    if held is None:
        abort(404)
    if held["media_type"] == "image/jpeg":
        return picture(sha)
    try:
        response = Response(services().files.read(sha), mimetype=held["media_type"])
    except FileError:
        abort(404)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers.set("Content-Disposition", "attachment", filename=held["name"])
    return response
