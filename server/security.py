"""Who may see a view, and the headers that every answer carries."""

import secrets

from flask import abort, current_app, g, request


def public(view):
    """Mark a view as open to everybody. Without this mark a view is refused."""
    view.is_public = True
    return view


def is_public(app, endpoint):
    view = app.view_functions.get(endpoint)
    return bool(getattr(view, "is_public", False) or getattr(getattr(view, "view_class", None), "is_public", False))


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


def install(app):
    settings = app.config["CANGXANH"]

    @app.before_request
    def closed_by_default():
        if request.routing_exception is None and not is_public(current_app, request.endpoint):
            abort(403)

    @app.before_request
    def bounded():
        if (request.content_length or 0) > app.config["MAX_CONTENT_LENGTH"]:
            abort(413)

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
        return response
