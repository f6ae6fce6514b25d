"""Citizens report pollution and follow what becomes of it: no account, only a code.

The form works without scripts. With them the phone keeps what could not be sent and sends it later, in
the same steps: the report first, then each photo, each acknowledged by its checksum.
"""

import uuid

import segno
from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from markupsafe import Markup

from server import atlas, codes, doorstep, drafts, gallery, maps, photos, security, trackpages
from server.errors import Refused
from server.files import FileError
from server.i18n import gettext as _
from server.i18n import language
from server.photos import PhotoError
from server.reports import HandlingError
from server.security import public, takes_up_to

bp = Blueprint("report", __name__)
CONSENT = "2026-1"  # which wording of the consent was agreed to; count on when templates/report.html says it otherwise
FORM_BYTES, PHOTO_BYTES = 30 * 1024**2, photos.MAX_BYTES + 1024


def services():
    return current_app.extensions["cangxanh"]


def reports():
    return services().reports


# --- the form ---


def page(values, problems, status=200):
    """The form. values: what was typed. problems: {field: sentence}."""
    ground = atlas.ground(services().store)
    made = maps.map_page(
        [ground], bounds=atlas.CITY_BOUNDS, name="where", settings=current_app.config["CANGXANH"],
        label=_("Map to place the pin; the arrow keys move it"),
    )  # fmt: skip
    body = render_template(
        "report.html", values=values, problems=problems, map=made, today=services().today(), started=doorstep.started(),
        key=values.get("key") or str(uuid.uuid4()), wards=trackpages.wards(reports()), limits=drafts, rules=reports().rules,
        **trackpages.choices(),
    )  # fmt: skip
    return body, status


@bp.get("/report")
@public
def form():
    """near: code of a published hotspot, where the pin then stands."""
    return page(trackpages.pin_at(services().store, request.args.get("near", "")), {})


@bp.post("/report")
@public
@takes_up_to(FORM_BYTES)
def send_form():
    values, problems = request.form.to_dict(), {}
    if values.get("website"):
        problems["website"] = _("Leave this field empty: it is there to catch programs that fill in every field.")
    elif doorstep.too_quick(values.get("started", "")):
        problems["form"] = _("Please look at the form once more and send it again.")
    draft, contact = checked(values, problems)
    doorstep.slow_down("report", count=not problems)
    kept = doorstep.kept_photos(problems)
    if problems:
        return page(values, problems, 422)
    receipt = reports().take_in(draft, kept)
    keep_contact(receipt.code, contact)
    return redirect(url_for(".track", code=receipt.code, sent="form"), 303)


@bp.get("/report/mistake")
@public
def mistake_form():
    """The form for a wrong figure. about: the path of the page it stands on."""
    return render_template("report_mistake.html", about=drafts.page_of(request.args.get("about")), values={}, problems={},
                           key=str(uuid.uuid4()), started=doorstep.started(), limits=drafts)  # fmt: skip


@bp.post("/report/mistake")
@public
def send_mistake():
    values, problems = request.form.to_dict(), {}
    if values.get("website"):
        problems["website"] = _("Leave this field empty: it is there to catch programs that fill in every field.")
    elif doorstep.too_quick(values.get("started", "")):
        problems["form"] = _("Please look at the form once more and send it again.")
    try:
        draft = drafts.mistake(values | {"language": language()}, today=services().today())
    except drafts.DraftError as error:
        problems.update(trackpages.problem_words(error.problems))
    if problems:
        page = render_template("report_mistake.html", about=drafts.page_of(values.get("about")), values=values,
                               problems=problems, key=values.get("key", ""), started=doorstep.started(), limits=drafts)  # fmt: skip
        return page, 422
    doorstep.slow_down("report")
    return redirect(url_for(".track", code=reports().take_in(draft).code, sent=1), 303)


def checked(values, problems):
    """(Draft, contact) of a form or JSON body; problems are added to."""
    contact = doorstep.checked_contact(values, problems)
    try:
        made = drafts.draft(values | {"language": language()}, today=services().today(), wards=reports().wards())
    except drafts.DraftError as error:
        problems.update(trackpages.problem_words(error.problems))
        return None, contact
    return made, contact


def keep_contact(code, contact):
    if contact:
        services().accounts.keep_contact(code, **contact, consent=f"{CONSENT}-{language()}")


# --- sending with scripts ---


@bp.get("/report/ready")
@public
def ready():
    """A fresh token for forms: one that lay on the phone for days is no good any more."""
    response = jsonify(csrf=security.csrf_token())
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.post("/report/send")
@public
def send():
    values, problems = request.get_json(silent=True), {}
    if not isinstance(values, dict):
        raise Refused(_("The report could not be read. Send it again."))
    if values.get("website"):
        problems["website"] = _("Leave this field empty: it is there to catch programs that fill in every field.")
    draft, contact = checked(values, problems)
    if draft and not known(draft.key):
        doorstep.slow_down("report")
    if problems:
        return jsonify(problems=problems), 422
    receipt = reports().take_in(draft)
    keep_contact(receipt.code, contact)
    return told(receipt)


def known(key):
    try:
        return reports().receipt(key)
    except HandlingError:
        return None


def told(receipt):
    return jsonify(
        code=receipt.code, safe=receipt.safe, missing=receipt.missing, track=url_for(".track", code=receipt.code)
    )


@bp.get("/report/<uuid:key>")
@public
def receipt(key):
    """Which photos of a sent report are safe, so that sending goes on where it broke off."""
    try:
        return told(reports().receipt(str(key)))
    except HandlingError as error:
        return refused(error, 404)


@bp.put("/report/<uuid:key>/photos/<sha>")
@public
@takes_up_to(PHOTO_BYTES)
def add_photo(key, sha):
    doorstep.slow_down("photo")
    try:
        data = request.get_data(cache=False)
        return told(
            reports().add_photo(str(key), sha.lower(), data, taken_on=doorstep.day(request.args.get("taken_on")))
        )
    except HandlingError as error:
        return refused(error, 404)
    except (PhotoError, FileError) as error:
        return refused(error, {"full": 507, "changed": 409}.get(error.code, 422))


def refused(error, status):
    return jsonify(error=error.code, message=_(error.sentence, **error.values)), status


@bp.get("/report/near")
@public
def near():
    doorstep.slow_down("near")
    try:
        lon, lat = (round(float(request.args[n]), 5) for n in ("lon", "lat"))
    except (KeyError, ValueError):
        abort(400)
    if not (drafts.WEST <= lon <= drafts.EAST and drafts.SOUTH <= lat <= drafts.NORTH):
        return jsonify(ward=None, similar=[], hotspots=[], outside=True)
    response = jsonify(trackpages.near(reports(), lon, lat, request.args.get("kind")))
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.get("/report/worker.js")
@public
def worker():
    """The service worker, at an address from which it may serve /report and nothing else."""
    response = current_app.extensions["cangxanh-assets"].respond("js/report-worker.js")
    response.headers["Service-Worker-Allowed"] = "/report"
    response.headers["Cache-Control"] = "no-cache"
    return response


# --- following ---


def private(response):
    """Not for search engines, not for stores between us and the reader."""
    response = make_response(response)
    response.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response.headers["Cache-Control"] = "private, no-store"
    return response


@bp.get("/track")
@public
def enter_code():
    typed = request.args.get("code", "")[:60]
    if typed:
        return redirect(url_for(".track", code=codes.read(typed) or typed), 303)
    return private(render_template("track.html", typed="", wrong=False))


def held(code):
    """The followed report of a code in an address. Wrong codes are counted: they may be guesses."""
    doorstep.slow_down("code", count=False)
    try:
        return trackpages.followed(reports(), code)
    except KeyError:
        doorstep.slow_down("code")
        return None


def not_found(code):
    return private((render_template("track.html", typed=code, wrong=True), 404))


@bp.get("/track/<code>")
@public
def track(code):
    if codes.read(code) not in (None, code):
        return redirect(url_for(".track", code=codes.read(code)), 301)
    row = held(code)
    return not_found(code) if row is None else private(followed_page(row, {}))


def followed_page(row, problems, values=None, status=200):
    address = url_for(".track", code=row["code"], _external=True)
    fresh = "sent" in request.args
    near_by = []  # with scripts the form itself has asked
    if request.args.get("sent") == "form" and not row["same"] and row["state"] == "received" and row["lon"] is not None:
        near_by = [s for s in reports().similar_near(row["lon"], row["lat"], row["kind"]) if s["ref"] != row["ref"]]
    body = render_template(
        "track_report.html", report=row, problems=problems, values=values or {}, fresh=fresh, address=address,
        said=request.args.get("said", ""), key=str(uuid.uuid4()), hotspot=trackpages.hotspot_facts(row["hotspot"]),
        similar=[trackpages.similar_row(s) for s in near_by], limits=drafts,
        has_contact=services().accounts.contact(row["code"]) is not None,
        qr=Markup(segno.make(address, error="m", micro=False).svg_inline(scale=4, border=2, dark="#16252b", svgclass="qr-code",
                                                                         lineclass=None, omitsize=True)),
    )  # fmt: skip
    return body, status


@bp.post("/track/<code>/message")
@public
@takes_up_to(FORM_BYTES)
def message(code):
    row = held(code)
    if row is None:
        return not_found(code)
    doorstep.slow_down("message")
    problems, text = {}, drafts.clean(request.form.get("text"), drafts.MAX_WORDS)
    kept = doorstep.kept_photos(problems, most=3)
    if not problems:
        try:
            reports().citizen_reply(
                row["code"], text, kept, key=request.form.get("key", "")[:40] or str(uuid.uuid4()),
                not_fixed=request.form.get("what") == "not_fixed",
            )  # fmt: skip
            return redirect(url_for(".track", code=row["code"], said=1), 303)
        except HandlingError as error:
            field = "photos" if error.code == "photo" else "text"
            problems[field] = _(error.sentence, **error.values)
    return private(followed_page(row, problems, {"text": text}, 422))


@bp.post("/track/<code>/same")
@public
def same(code):
    row = held(code)
    if row is None:
        return not_found(code)
    try:
        reports().say_same(row["code"], request.form.get("ref", "")[:20])
    except HandlingError as error:
        raise Refused(_(error.sentence, **error.values)) from None
    return redirect(url_for(".track", code=row["code"], said="same"), 303)


@bp.post("/track/<code>/forget")
@public
def forget(code):
    row = held(code)
    if row is None:
        return not_found(code)
    services().accounts.forget_contact(row["code"])
    return redirect(url_for(".track", code=row["code"], said="forgotten"), 303)


@bp.post("/track/<code>/withdraw")
@public
def withdraw(code):
    row = held(code)
    if row is None:
        return not_found(code)
    try:
        reports().withdraw(row["code"])
    except HandlingError as error:
        raise Refused(_(error.sentence, **error.values)) from None
    services().accounts.forget_contact(row["code"])
    return redirect(url_for(".track", code=row["code"], said="withdrawn"), 303)


# --- photos and files ---


@bp.get("/photos/<sha>.jpg")
@public
def photo(sha):
    """A photo of a published event; any other one for people who are signed in."""
    if sha in gallery.published(services().store):
        return doorstep.picture(sha, small="small" in request.args, cache="public, max-age=300")
    if security.user() is None:
        abort(404)
    return doorstep.picture(sha, small="small" in request.args)


@bp.get("/track/<code>/photo/<int:number>")
@public
def own_photo(code, number):
    if held(code) is None:
        abort(404)
    try:
        return private_picture(reports().photo_of(code, number))
    except KeyError:
        abort(404)


def private_picture(sha):
    response = doorstep.picture(sha, small="small" in request.args)
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@bp.get("/track/<code>/file/<int:number>/<int:index>")
@public
def reply_file(code, number, index):
    """A photo or document of an answer; documents are handed over, never opened here."""
    row = held(code)
    found = next((m for m in row["messages"] if m["id"] == number and not m["taken_back"]), None) if row else None
    if found is None or index >= len(found["files"]):
        abort(404)
    one = found["files"][index]
    if one["media_type"] == "image/jpeg":
        return private_picture(one["sha"])
    try:
        data = services().files.read(one["sha"])
    except FileError:
        abort(404)
    response = Response(data, mimetype="application/octet-stream")
    response.headers.set("Content-Disposition", "attachment", filename=one["name"])
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return private(response)
