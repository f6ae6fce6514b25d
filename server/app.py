"""The Flask application: blueprints, our own files, compression."""

import gzip
import hashlib
import importlib
import mimetypes
import re
import secrets
from pathlib import Path

from flask import Flask, Response, abort, request
from werkzeug.security import safe_join

from server import charts, errors, i18n, security
from server.addresses import source_items
from server.records import source_words
from server.security import public

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "server" / "static"
VENDOR = ROOT / "server" / "vendor"
# Modules in server/views whose `bp` is added, in this order.
VIEWS = (
    *("pages", "coverage", "hotspots", "facilities", "data", "report", "subscribe", "ogc"),
    *("account", "admin", "tokens", "desk", "inbox", "casework"),
    *("jobs", "imports", "layers", "layerversions", "layerrows", "plan", "scenarios"),
)
SUFFIXES = {".css", ".js", ".svg", ".png", ".woff2", ".ico", ".json", ".webmanifest", ".txt"}
SQUEEZABLE = ("text/", "application/json", "application/geo+json", "application/javascript", "image/svg+xml",
              "application/xml", "application/manifest+json", "application/ld+json",
              "application/vnd.google-earth.kml+xml")  # fmt: skip
YEAR = 365 * 24 * 3600

mimetypes.add_type("font/woff2", ".woff2")
mimetypes.add_type("text/javascript", ".js")


class Assets:
    """Files from server/static and (as vendor/...) server/vendor, with a hash in the address.

    Each file is read and compressed once. A stylesheet may name "/static/..." files in url("...");
    they get their hashes too. `fresh` re-reads changed files, for work on the design.
    """

    _URL = re.compile(r'url\("(/static/[^"?]+)"\)')

    def __init__(self, fresh=False):
        self._files = {}
        self._fresh = fresh

    def path(self, name):
        base, inner = (VENDOR, name[7:]) if name.startswith("vendor/") else (STATIC, name)
        found = safe_join(str(base), inner)
        if found is None or Path(found).suffix not in SUFFIXES or not Path(found).is_file():
            return None
        return Path(found)

    def load(self, name):
        """(body, gzipped or None, hash, mimetype), or None when there is no such file."""
        path = self.path(name)
        if path is None:
            return None
        stamp = path.stat().st_mtime_ns if self._fresh else 0
        known = self._files.get(name)
        if known and known[0] == stamp:
            return known[1]
        body = path.read_bytes()
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        if path.suffix == ".css":
            text = self._URL.sub(lambda m: f'url("{self.url(m.group(1)[8:])}")', body.decode("utf8"))
            body = text.encode("utf8")
        small = gzip.compress(body, 9, mtime=0) if kind.startswith(SQUEEZABLE) and len(body) > 1024 else None
        entry = (body, small, hashlib.sha256(body).hexdigest()[:12], kind)
        self._files[name] = (stamp, entry)
        return entry

    def url(self, name):
        entry = self.load(name)
        return f"/static/{name}" + (f"?v={entry[2]}" if entry else "")

    def respond(self, name):
        entry = self.load(name)
        if entry is None:
            abort(404)
        body, small, digest, kind = entry
        response = Response(body, mimetype=kind)
        if small is not None:
            response.vary.add("Accept-Encoding")
            if accepts_gzip():
                response = Response(small, mimetype=kind, headers={"Content-Encoding": "gzip"})
                response.vary.add("Accept-Encoding")
        response.set_etag(digest + ("-gz" if "Content-Encoding" in response.headers else ""))
        versioned = request.args.get("v") == digest
        response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable" if versioned else "public, no-cache"
        return response.make_conditional(request)


def accepts_gzip():
    return request.accept_encodings["gzip"] > 0


def _install_compression(app):
    @app.after_request
    def squeeze(response):
        if not response.content_type or not response.content_type.startswith(SQUEEZABLE):
            return response
        if "Content-Encoding" in response.headers:
            return response
        response.vary.add("Accept-Encoding")
        if response.direct_passthrough or response.is_streamed or response.status_code in (204, 206, 304):
            return response
        body = response.get_data()
        if len(body) > 1024 and accepts_gzip():
            response.set_data(gzip.compress(body, 6, mtime=0))
            response.headers["Content-Encoding"] = "gzip"
        return response


def _register_views(app, names):
    for name in names:
        module = f"server.views.{name}"
        if importlib.util.find_spec(module) is not None:
            app.register_blueprint(importlib.import_module(module).bp)


def create_app(settings, services=None, *, views=VIEWS, fresh_assets=False) -> Flask:
    """The application. `services` is kept at app.extensions["cangxanh"].

    If services has a method `site()`, its dict is given to every template as `site`:
    data_updated (date or None) and version (str), both shown in the footer.
    """
    app = Flask("server", root_path=str(ROOT / "server"), template_folder=str(ROOT / "templates"), static_folder=None)
    app.config.update(
        CANGXANH=settings,
        DEBUG=False,
        SECRET_KEY=settings.secret or secrets.token_hex(32),
        MAX_CONTENT_LENGTH=settings.max_request_bytes,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        TEMPLATES_AUTO_RELOAD=fresh_assets,
    )
    app.json.ensure_ascii = False
    app.json.sort_keys = False
    app.extensions["cangxanh"] = services
    assets = app.extensions["cangxanh-assets"] = Assets(fresh=fresh_assets)

    # after_request functions run in the opposite order: headers last, compression first.
    security.install(app)
    i18n.install(app, STATIC / "js")
    _install_compression(app)
    errors.install(app)

    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters["source_items"] = lambda recorded: source_items(source_words(recorded))
    app.jinja_env.globals.update(
        asset_url=assets.url,
        hatch_defs=charts.hatch_defs,
        charts=charts,
    )

    @app.context_processor
    def common():
        site = getattr(services, "site", None)
        return {"nonce": security.nonce(), "site": site() if callable(site) else {}}

    @app.get("/static/<path:name>", endpoint="static")
    @public
    def static_file(name):
        return assets.respond(name)

    @app.get("/favicon.ico", endpoint="favicon")
    @public
    def favicon():
        return assets.respond("img/mark.svg")

    _register_views(app, views)
    return app
