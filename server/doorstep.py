"""What every request of a citizen goes through: how often, how quickly, which photos, how to reach them back."""

import re
from datetime import UTC, date, datetime

from flask import Response, abort, current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.exceptions import TooManyRequests

from server import drafts, photos
from server.files import FileError
from server.i18n import N_
from server.i18n import gettext as _
from server.pace import Pace
from server.photos import PhotoError

SHORTEST_S = 3  # nobody fills the form in less
HOUR = 3600
_PHONE = re.compile(r"\+?\d{8,15}")
_EMAIL = re.compile(r"[^@\s<>\"',;:()\[\]\\]{1,64}@[^@\s<>\"',;:()\[\]\\]{1,190}\.[a-zA-Z]{2,24}")


# --- how often ---


def paces():
    """The counters of this application: what one address may do in an hour, wrong codes in ten minutes."""
    kept = current_app.extensions
    if "cangxanh-paces" not in kept:
        kept["cangxanh-paces"] = {
            "report": Pace(20, HOUR), "photo": Pace(150, HOUR), "near": Pace(600, HOUR), "message": Pace(30, HOUR),
            "code": Pace(15, 600),
        }  # fmt: skip
    return kept["cangxanh-paces"]


TOO_MANY = {
    "report": N_("Many reports came from your network. Wait %(minutes)s minutes, then go back and send it again."),
    "photo": N_("Many photos came from your network. Wait %(minutes)s minutes, then send the rest."),
    "near": N_("Too many requests came from your network. Wait %(minutes)s minutes."),
    "message": N_("Many messages came from your network. Wait %(minutes)s minutes and send it again."),
    "code": N_("Many wrong codes came from your network. Wait %(minutes)s minutes and try again."),
}


def slow_down(what, *, count=True):
    pace, key = paces()[what], request.remote_addr or ""
    wait = pace.take(key) if count else pace.wait(key)
    if wait:
        error = TooManyRequests(retry_after=wait)
        error.sentence = _(TOO_MANY[what], minutes=-(-wait // 60))
        raise error


# --- the form ---


def started():
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="report form").dumps("")


def too_quick(token):
    """Whether a form came back quicker than people write; a token that we do not know counts as quick."""
    kept = URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="report form")
    try:
        _value, at = kept.loads(token, max_age=30 * 24 * HOUR, return_timestamp=True)
    except BadSignature:
        return True
    return (datetime.now(UTC) - at).total_seconds() < SHORTEST_S


def checked_contact(values, problems):
    phone = re.sub(r"[\s.()\-]", "", str(values.get("phone") or ""))
    email = str(values.get("email") or "").strip()
    if phone and not _PHONE.fullmatch(phone):
        problems["phone"] = _("Write the phone number with 8 to 15 digits, or leave it empty.")
    if email and not _EMAIL.fullmatch(email):
        problems["email"] = _("Write the e-mail address as name@place.vn, or leave it empty.")
    if (phone or email) and values.get("consent") not in ("yes", True):
        problems["consent"] = _("Tick that we may keep how to reach you, or leave phone and e-mail empty.")
    return {"phone": phone, "email": email} if phone or email else None


def kept_photos(problems, *, most=drafts.MAX_PHOTOS):
    """The photos of this form, taken in. A photo that cannot be used is a problem, with its name."""
    given = [f for f in request.files.getlist("photos") if f.filename]
    if len(given) > most:
        problems["photos"] = _("At most %(limit)s photos can be sent at once.", limit=most)
    if problems:
        return []
    if given:
        slow_down("photo")
    out = []
    for one in given:
        try:
            out.append(photos.keep(kept_files(), one.read()))
        except (PhotoError, FileError) as error:
            name = drafts.clean(one.filename, 60)
            problems["photos"] = f"{name}: {_(error.sentence, **error.values)}"
    return out


def day(written):
    """The day a phone read from the photo before it made it smaller; None for anything else."""
    try:
        return date.fromisoformat(written or "")
    except ValueError:
        return None


# --- photos ---


def kept_files():
    return current_app.extensions["cangxanh"].files


def picture(sha, *, small=False, cache="private, max-age=3600"):
    """A kept photo, never as anything else than a picture."""
    try:
        path = kept_files().small(sha) if small else kept_files().path(sha)
    except FileError:
        abort(404)
    if path.suffix != ".jpg":
        abort(404)
    response = Response(path.read_bytes(), mimetype="image/jpeg")
    response.headers["Cache-Control"] = cache
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Content-Disposition"] = "inline"
    response.set_etag(f"{sha}-{'small' if small else 'whole'}")
    return response.make_conditional(request)
