"""The short way to a public vector tile: answered before the application looks at the request.

A map asks for dozens of tiles at once, and most are made sooner than a request is taken apart. What is not a plain
question for a tile of a public layer, and whatever goes wrong, is left to the view in server/views/ogc.py; both give
the same answer.
"""

import gzip
import hashlib
import re
from functools import lru_cache

from werkzeug.http import parse_accept_header, parse_etags

from server.documents import MATRIX_SET, TILE
from server.security import PERMISSIONS
from server.tiles import LAST_ZOOM

FORM = "2"  # of the tiles: a new one makes every kept copy stale
KEPT = "public, max-age=60"
_PATH = re.compile(rf"/ogc/collections/([a-z_]+)/tiles/{MATRIX_SET}/([0-9]{{1,2}})/([0-9]{{1,9}})/([0-9]{{1,9}})")
_HEADERS = (
    ("Cache-Control", KEPT),
    ("Vary", "Accept-Encoding, Authorization"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Content-Crs, ETag"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Permissions-Policy", PERMISSIONS),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


def version(collection, z, x, y):
    """What the ETag of a tile is made of."""
    return f"{FORM} {collection.name} {collection.version} {collection.internal} {z} {x} {y}"


class TileDoor:
    """A WSGI application before another one. shelf() gives the Collections."""

    def __init__(self, application, shelf):
        self._application, self._shelf = application, shelf

    def __call__(self, environ, start_response):
        try:
            answer = self._answer(environ)
        except Exception:  # whatever it was, the application meets it too, and knows how to tell
            answer = None
        if answer is None:
            return self._application(environ, start_response)
        status, headers, body = answer
        start_response(status, [*headers, *_HEADERS])
        return [body]

    def _answer(self, environ):
        """(status, headers, body), or None where it is not for us."""
        if environ["REQUEST_METHOD"] != "GET" or environ.get("QUERY_STRING") or "HTTP_AUTHORIZATION" in environ:
            return None
        found = _PATH.fullmatch(environ.get("PATH_INFO", ""))
        if found is None:
            return None
        z, y, x = map(int, found.groups()[1:])
        collection = self._shelf().get(found[1])
        if collection is None or not collection.spatial or z > LAST_ZOOM or max(x, y) >= 1 << z:
            return None
        tag = hashlib.sha256(version(collection, z, x, y).encode()).hexdigest()[:24]
        headers = [("ETag", f'W/"{tag}"')]
        asked = environ.get("HTTP_IF_NONE_MATCH")
        if asked and parse_etags(asked).contains_weak(tag):
            return "304 NOT MODIFIED", headers, b""
        headers.append(("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"))
        body = self._shelf().tile(collection, z, x, y)
        headers.append(("Content-Type", TILE))
        if not body:
            return "204 NO CONTENT", headers, b""
        if _takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            headers.append(("Content-Encoding", "gzip"))
        else:
            body = gzip.decompress(body)
        headers.append(("Content-Length", str(len(body))))
        return "200 OK", headers, body


@lru_cache(maxsize=256)
def _takes_gzip(header):
    return parse_accept_header(header)["gzip"] > 0
