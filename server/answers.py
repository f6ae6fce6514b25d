"""Answers that are data, not pages: bytes or text with an ETag of the data version."""

import hashlib

from flask import Response, request


def data_response(body, mimetype, *, version, filename=None, max_age=0):
    """Bytes or text for programs, with an ETag made of the data version.

    For data only: pages carry a nonce and are never answered with 304.
    """
    response = Response(body, mimetype=mimetype)
    response.set_etag(hashlib.sha256(version.encode("utf8")).hexdigest()[:24], weak=True)
    response.headers["Cache-Control"] = f"public, max-age={max_age}" if max_age else "public, no-cache"
    if filename:
        response.headers.set("Content-Disposition", "attachment", filename=filename)
    return response.make_conditional(request)
