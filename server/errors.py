"""The one place that turns an error into an answer: a page in the reader's language, or JSON."""

import logging
import secrets

from flask import jsonify, make_response, render_template, request
from werkzeug.exceptions import BadRequest, HTTPException

from server.i18n import N_, gettext

log = logging.getLogger("cangxanh")

# code: (name for programs, title, what happened and what to do next)
PAGES = {
    400: ("bad_request", N_("We could not read this request"),
          N_("Something in the address or the form is not as expected. "
             "Go back, check what was typed and try again.")),
    403: ("forbidden", N_("This page is not public"),
          N_("This address is not open to the public. "
             "The maps, the tables and the method are open to everybody.")),
    404: ("not_found", N_("This page does not exist"),
          N_("The address may be old or mistyped. "
             "Search for a ward, a zone or a place, or start from the map.")),
    405: ("method_not_allowed", N_("This address cannot be used in this way"),
          N_("Open it as an ordinary page, or use the form from which it came.")),
    413: ("too_large", N_("What was sent is too large"),
          N_("Send a smaller file or a shorter text and try again.")),
    429: ("too_many_requests", N_("Too many requests"),
          N_("Please wait a minute and try again. "
             "For many figures at once, use the downloads on the data page.")),
    500: ("internal", N_("Something went wrong on our side"),
          N_("It is not your fault and nothing was changed. Try again in a few minutes. "
             "If it happens again, tell us the number below.")),
}  # fmt: skip


class Refused(BadRequest):
    """A setting or field that cannot be used; `sentence`, in the reader's language, is shown to them."""

    def __init__(self, sentence):
        super().__init__(str(sentence))
        self.sentence = str(sentence)


def wants_json():
    if request.path.startswith(("/api/", "/ogc/")):
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json"])
    return best == "application/json"


def answer(code, *, incident=None, headers=(), sentence=None):
    """A complete response for one error code; says nothing about the inside of the server."""
    known = code if code in PAGES else (500 if code >= 500 else 400)
    name, title, advice = PAGES[known]
    title, advice = gettext(title), sentence or gettext(advice)
    if wants_json():
        body = {"error": name, "message": f"{title}. {advice}"}
        if incident:
            body["incident"] = incident
        response = jsonify(body)
    else:
        response = _page(code, title, advice, incident)
    response.status_code = code
    response.headers["Cache-Control"] = "no-store"
    for key, value in headers:
        if key.lower() in ("allow", "retry-after"):
            response.headers[key] = value
    return response


def _page(code, title, advice, incident):
    try:
        return make_response(render_template("error.html", code=code, title=title, advice=advice, incident=incident))
    except Exception:
        log.exception("error page failed")
        text = f"{title}. {advice}" + (f" [{incident}]" if incident else "")
        return make_response(text, 200, {"Content-Type": "text/plain; charset=utf-8"})


def install(app):
    @app.errorhandler(HTTPException)
    def http_error(error):
        if error.code is None or error.code < 400:
            return error.get_response()  # a redirect raised as an exception
        return answer(error.code, headers=error.get_headers(), sentence=getattr(error, "sentence", None))

    @app.errorhandler(Exception)
    def unexpected(error):
        incident = secrets.token_hex(4).upper()
        log.error("incident %s at %s %s", incident, request.method, request.path, exc_info=error)
        return answer(500, incident=incident)
