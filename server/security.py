"""Who may use a view, what every form must carry, and the headers that every answer carries.

A view is refused unless it is marked: `@public` for everybody, `@allowed("inspector", ...)` for the
people of these roles. Every request that may change something (POST, PUT, PATCH, DELETE) carries the
text of csrf_token(), in the form field `csrf` or the header X-CSRF, whoever sends it.
"""

import base64
import hashlib
import hmac
import re
import secrets
from urllib.parse import quote, urlsplit

from flask import abort, current_app, g, redirect, request
from flask.sessions import SecureCookieSessionInterface
from markupsafe import Markup
from werkzeug.exceptions import BadRequest, Forbidden, Unauthorized

from server import accounts
from server.i18n import N_
from server.i18n import gettext as _

ROLES = accounts.ROLES
STAFF = ROLES
SESSION_COOKIE, FORM_COOKIE = "cx_session", "cx_form"
FORM_COOKIE_S = 7 * 24 * 3600
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}
SIGN_IN = "/sign-in"
FORGED = N_(
    "This form was open for too long, or it came from another site. Nothing was changed. "
    "Open the page again and send it once more."
)
OWN_PASSWORD = "/account/password"  # the only staff page before a one-time password was replaced


def public(view):
    """Mark a view as open to everybody. Without a mark a view is refused."""
    view.is_public = True
    return view


def allowed(*roles):
    """Mark a view as open to people of these roles; others are asked to sign in, or refused."""
    if not roles or set(roles) - set(ROLES):
        raise ValueError(f"roles are {', '.join(ROLES)}")

    def mark(view):
        view.allowed_roles = frozenset(roles)
        return view

    return mark


def outside(view):
    """Mark a view whose address is the proof, so that others may send to it without a form of ours (one click in a mail)."""
    view.takes_outside = True
    return view


def takes_up_to(size, *, fields=None):
    """Mark a view that takes larger requests than the others, bytes (photos, files).

    fields: how much of it may be fields of a form, such as a long outline; otherwise half a megabyte.
    """

    def mark(view):
        view.max_bytes, view.max_field_bytes = size, fields
        return view

    return mark


def _mark(app, endpoint, name):
    view = app.view_functions.get(endpoint)
    return getattr(view, name, None) or getattr(getattr(view, "view_class", None), name, None)


def is_public(app, endpoint):
    return bool(_mark(app, endpoint, "is_public"))


def roles_of(app, endpoint):
    """The roles that may use a view; empty where it is public or carries no mark."""
    return _mark(app, endpoint, "allowed_roles") or frozenset()


def routes(app):
    """All routes as (rule, methods, endpoint, public), sorted; for the test that walks them."""
    return sorted(
        (
            rule.rule,
            tuple(sorted(rule.methods - {"HEAD", "OPTIONS"})),
            rule.endpoint,
            is_public(app, rule.endpoint),
        )
        for rule in app.url_map.iter_rules()
    )


# --- the person of this request -------------------------------------------------------------------


def _accounts():
    return getattr(current_app.extensions.get("cangxanh"), "accounts", None)


def session():
    """The accounts.Session of this request, or None."""
    if "session" not in g:
        token, kept = request.cookies.get(SESSION_COOKIE), _accounts()
        g.session = kept.session(token) if token and kept else None
    return g.session


def user():
    """The accounts.User who is signed in, or None."""
    return session().user if session() else None


def give_session(response, token):
    """The response with the session's cookie; it ends with the browser, and in the store before that."""
    response.set_cookie(SESSION_COOKIE, token, httponly=True, samesite="Lax", secure=request.is_secure)
    return response


def drop_session(response):
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="Lax", secure=request.is_secure)
    return response


_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*\Z")  # printable ASCII without the backslash


def safe_next(address, default="/desk"):
    """The address if it is a path on this site, else the default.

    Browsers read \\ as / and skip tabs and line ends, so anything but plain printable ASCII is refused.
    """
    if not isinstance(address, str) or len(address) > 2000 or not _PATH.match(address):
        return default
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or parts.path in (SIGN_IN, "/sign-out") or parts.path.startswith(SIGN_IN + "/"):
        return default
    return address


def onward(path, then):
    """The address of a page of signing in that afterwards leads to `then`."""
    return path + (f"?next={quote(then, safe='/')}" if then else "")


def _this_page():
    """The address of this page, or of the one whose form was sent; blank where it is not ours."""
    if request.method in UNSAFE:
        came = urlsplit(request.referrer or "")
        if came.netloc != request.host:
            return ""
        path, query = came.path, came.query
    else:
        path, query = quote(request.path), request.query_string.decode("latin1")
    return safe_next(path + (f"?{query}" if query else ""), "")


def _ask_to_sign_in():
    if request.headers.get("X-CSRF") or request.accept_mimetypes.best == "application/json":
        error = Unauthorized()
        error.sentence = _("You are not signed in any more. Open the page again to sign in; nothing was changed.")
        raise error
    return redirect(onward(SIGN_IN, _this_page()), 303)


def _refuse_role():
    error = Forbidden()
    error.sentence = _("Your account does not include this page. If you need it, ask an administrator.")
    raise error


# --- forms cannot be sent by other sites ----------------------------------------------------------


def _mac(cookie, salt):
    """Bound to the session too, so that a planted cookie is of no use against somebody signed in."""
    bound = request.cookies[SESSION_COOKIE] if user() else ""
    text = "\0".join(("form", cookie, bound, salt)).encode()
    made = hmac.new(current_app.config["SECRET_KEY"].encode(), text, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def csrf_token():
    """What a form or script sends back. Each is different, so that compression cannot give it away."""
    if "form_cookie" not in g:
        held = request.cookies.get(FORM_COOKIE, "")
        g.form_cookie = held if re.fullmatch(r"[\w-]{32}", held) else secrets.token_urlsafe(24)
    salt = secrets.token_urlsafe(12)
    return f"{salt}.{_mac(g.form_cookie, salt)}"


def csrf_field():
    """The hidden field that every form with method="post" contains."""
    return Markup('<input type="hidden" name="csrf" value="{}">').format(csrf_token())


def page_sends():
    """Whether this page can send something: its head then carries the token for scripts.

    Pages that only show set no cookie.
    """
    if user():
        return True
    kept = current_app.extensions.setdefault("cangxanh-sending", set())
    if not kept:
        kept |= {r.endpoint.rpartition(".")[0] for r in current_app.url_map.iter_rules() if r.methods & UNSAFE}
    return bool(request.blueprint) and request.blueprint in kept


def _check_csrf():
    sent = request.headers.get("X-CSRF")
    if sent is None and request.mimetype in FORMS:
        sent = request.form.get("csrf")
    salt, _dot, mac = (sent or "").partition(".")
    cookie = request.cookies.get(FORM_COOKIE, "")
    good = bool(cookie and salt) and hmac.compare_digest(mac.encode(), _mac(cookie, salt).encode())
    if not good or request.headers.get("Sec-Fetch-Site") == "cross-site":
        error = BadRequest()
        error.sentence = _(FORGED)
        raise error


# --- headers --------------------------------------------------------------------------------------


def nonce():
    """The nonce of this request; only tags written in our templates carry it."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    return g.nonce


def content_policy(nonce_value, tile_origin=None):
    images = "'self' data:" + (f" {tile_origin}" if tile_origin else "")
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce_value}'",
            "style-src 'self'",
            f"img-src {images}",
            "font-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


_OFF = (
    "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen=(self)",
    "geolocation=(self)", "gyroscope", "magnetometer", "microphone", "midi", "payment",
    "picture-in-picture", "publickey-credentials-get", "screen-wake-lock", "usb", "xr-spatial-tracking",
)  # fmt: skip
PERMISSIONS = ", ".join(name if "=" in name else f"{name}=()" for name in _OFF)


class _Notes(SecureCookieSessionInterface):
    """The signed cookie that carries one short note to the next page; nothing depends on it."""

    def get_cookie_secure(self, app):
        return request.is_secure


def install(app):
    app.session_interface = _Notes()
    settings = app.config["CANGXANH"]
    kept = getattr(app.extensions.get("cangxanh"), "accounts", None)
    if kept and not settings.secret:
        app.config["SECRET_KEY"] = kept.secret()  # forms that are open stay good when the server starts anew

    @app.before_request
    def bounded():
        limit = _mark(app, request.endpoint, "max_bytes") or app.config["MAX_CONTENT_LENGTH"]
        request.max_content_length = limit
        if fields := _mark(app, request.endpoint, "max_field_bytes"):
            request.max_form_memory_size = fields
        if (request.content_length or 0) > limit:
            abort(413)

    @app.before_request
    def closed_by_default():
        if request.routing_exception is not None:
            return None
        roles = roles_of(app, request.endpoint)
        if not roles and not is_public(app, request.endpoint):
            abort(403)
        if roles:
            me = user()
            if me is None:
                return _ask_to_sign_in()
            if me.role not in roles:
                _refuse_role()
            if me.must_change and request.path != OWN_PASSWORD:
                return redirect(onward(OWN_PASSWORD, _this_page()), 303)
        if request.method in UNSAFE and not _mark(app, request.endpoint, "takes_outside"):
            _check_csrf()
        return None

    @app.context_processor
    def person():
        return {"me": user(), "page_sends": page_sends}

    app.jinja_env.globals.update(csrf_field=csrf_field, csrf_token=csrf_token)

    @app.after_request
    def headers(response):
        # A 304 must not renew the policy: the stored page still holds its own nonce.
        if response.status_code != 304:
            policy = content_policy(nonce(), settings.tile_origin)
            response.headers.setdefault("Content-Security-Policy", policy)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Permissions-Policy"] = PERMISSIONS
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers.pop("Server", None)
        if "form_cookie" in g:
            response.set_cookie(
                FORM_COOKIE, g.form_cookie, max_age=FORM_COOKIE_S, httponly=True, samesite="Lax",
                secure=request.is_secure,
            )  # fmt: skip
        closed = bool(roles_of(app, request.endpoint)) if request.endpoint else False
        if closed or (g.get("session") and response.mimetype == "text/html"):
            response.headers["Cache-Control"] = "no-store"
        return response
