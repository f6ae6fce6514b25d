"""OGC API Features and Tiles: the layers and tables for programs, and the same as pages for people.

Read only. Everybody sees what is public; a program that shows a token (server/tokens.py) also sees the internal
fields and lists that the token names. No cache between us and the reader mixes the two.
"""

import gzip
import json
from dataclasses import replace

from flask import Blueprint, Response, current_app, g, render_template, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import PathConverter

from server import documents, downloads, featurepages, listings, openapi, parameters, tiledoor
from server.answers import data_response
from server.cql2tokens import FilterError, translated
from server.documents import GEOJSON, HTML, JSON, MATRIX_SET, OPENAPI, SCHEMA, TILE
from server.errors import PAGES, Refused
from server.i18n import gettext as _
from server.i18n import language
from server.openapi import PROBLEM
from server.records import unit_word
from server.security import public
from server.tiles import LAST_ZOOM
from server.tokens import scope_of


class AnyText(PathConverter):
    """The rest of an address, whatever it holds; werkzeug's own stops at a line break."""

    regex = "(?s:[^/].*?)"


bp = Blueprint("ogc", __name__, url_prefix="/ogc")
bp.record_once(lambda state: state.app.url_map.converters.update(anytext=AnyText))
bp.record_once(lambda state: open_door(state.app))
FORM = "1"  # of the answers: a new one makes every kept copy stale


def open_door(app):
    """Let plain questions for tiles go a shorter way."""
    app.wsgi_app = tiledoor.TileDoor(app.wsgi_app, lambda: listings.shelf(app.extensions, app.extensions["cangxanh"]))


class Missing(NotFound):
    """There is nothing of that name; `sentence`, in the reader's language, says what there is."""

    def __init__(self, sentence):
        super().__init__(sentence)
        self.sentence = sentence


def services():
    return current_app.extensions["cangxanh"]


def shelf():
    return listings.shelf(current_app.extensions, services())


def scope():
    """Names of what this reader may see internal data of: those of the token, none without one."""
    if "scope" not in g:
        g.scope = scope_of(getattr(services(), "tokens", None), request.headers.get("Authorization"))
    return g.scope


@bp.before_request
def token_is_good():
    scope()


def addresses():
    return documents.Addresses(request.root_url.rstrip("/"), request.args.get("lang"))


def asked(*more, choices=("json", "html")):
    """The checked parameters, and which representation is wanted."""
    held = parameters.single(request.args, (*parameters.COMMON, *more))
    return held, parameters.representation(held, choices, _preferred)


def _preferred():
    accepted = request.accept_mimetypes
    return "html" if accepted[HTML] > max(accepted[JSON], accepted[GEOJSON]) else "json"


def wants_page():
    """Whether what is wrong is told to a person."""
    return request.args.get("f") == "html" or ("f" not in request.args and _preferred() == "html")


def collection_of(name):
    found = shelf().get(name, scope=scope())
    if found is None:
        raise Missing(_("There is no collection “%(name)s”. There are: %(names)s.",
                        name=name[:60], names=", ".join(shelf().names(scope()))))  # fmt: skip
    return found


def send(make, mimetype, version, **headers):
    """A document for programs, with an ETag of its data version and address.

    make() gives a dict or finished text; it is not called where the reader has the document already, and what it
    gave is kept for a while in the form in which most ask for it, gzipped.
    """
    version = f"{FORM} {version} {language()} {request.url} {' '.join(sorted(scope()))}"
    response = data_response(b"", mimetype, version=version)
    if response.status_code != 304:
        small = request.accept_encodings["gzip"] > 0
        body = shelf().answers.get(version) if small else None
        if body is None:
            body = make()
            body = (_json(body) if isinstance(body, dict) else body).encode()
            if small:
                body = gzip.compress(body, 5, mtime=0)
                shelf().answers.put(version, body)
        response.set_data(body)
        if small:
            response.headers["Content-Encoding"] = "gzip"
    response.vary.update(("Accept", "Accept-Encoding"))
    response.headers.extend(headers)
    return response


def stamp():
    """The state of everything that this reader sees."""
    held = shelf()
    return " ".join([services().store.stamp(), *(held.sources[n].version() for n in held.sources if n in scope())])


def _json(thing):
    return json.dumps(thing, ensure_ascii=False, allow_nan=False)


def page(template, **values):
    response = Response(render_template(template, **values), mimetype=HTML)
    response.vary.add("Accept")
    return response


@bp.errorhandler(FilterError)
def bad_filter(error):
    return refused(Refused(f"filter: {translated(error, _)}"))


@bp.errorhandler(HTTPException)
def refused(error):
    """The problem as RFC 9457 has it, or as a page for a browser."""
    if error.code is None or error.code < 400:
        return error.get_response()
    _name, title, advice = PAGES.get(error.code, PAGES[400])
    title, advice = getattr(error, "title", None) or _(title), getattr(error, "sentence", None) or _(advice)
    if wants_page():
        response = Response(
            render_template("error.html", code=error.code, title=title, advice=advice, incident=None), mimetype=HTML
        )
    else:
        problem = {"type": "about:blank", "title": title, "status": error.code, "detail": advice}
        response = Response(_json(problem), mimetype=PROBLEM)
    response.status_code = error.code
    if error.code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept")
    return response


@bp.after_request
def open_to_other_sites(response):
    """Programs in pages of other sites may read what anybody may read; no cookie goes with it.

    What a token opened is for its reader alone.
    """
    response.vary.add("Authorization")
    if g.get("scope"):
        response.headers["Cache-Control"] = "private, no-cache" if response.status_code < 400 else "no-store"
    elif response.mimetype != HTML:
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = "Content-Crs, ETag"
    return response


# --- what there is ---


@bp.get("/", strict_slashes=False)
@public
def landing():
    _held, form = asked()
    if form == "html":
        return page("ogc.html", collections=shelf().every(scope()), address=addresses().plain(""))
    return send(lambda: documents.landing(addresses()), JSON, "landing")


@bp.get("/conformance")
@public
def conformance():
    _held, form = asked()
    if form == "html":
        return page("ogc_conformance.html", made=documents.conformance(addresses()))
    return send(lambda: documents.conformance(addresses()), JSON, "conformance")


@bp.get("/api")
@public
def api():
    _held, form = asked()
    if form == "html":
        return page("ogc_api.html", made=openapi.document(addresses(), shelf().every(scope())))
    return send(lambda: openapi.document(addresses(), shelf().every(scope())), OPENAPI, stamp())


@bp.get("/collections")
@public
def collections():
    _held, form = asked()
    if form == "html":
        return page("ogc_collections.html", collections=shelf().every(scope()))
    return send(lambda: documents.collections(addresses(), shelf().every(scope())), JSON, stamp())


@bp.get("/collections/<name>")
@public
def collection(name):
    c = collection_of(name)
    _held, form = asked()
    made = documents.collection(addresses(), c)
    if form == "html":
        return page(
            "ogc_collection.html",
            c=c,
            made=made,
            title=documents.title(c.layer),
            address=addresses(),
            unit_word=unit_word,
        )
    return send(lambda: made, JSON, c.version)


@bp.get("/collections/<name>/queryables")
@public
def queryables(name):
    c = collection_of(name)
    _held, form = asked()
    if form == "html":
        return page("ogc_queryables.html", c=c, title=documents.title(c.layer), unit_word=unit_word)
    return send(lambda: documents.queryables(addresses(), c), SCHEMA, c.version)


@bp.get("/collections/<name>/schema")
@public
def schema(name):
    c = collection_of(name)
    asked(choices=("json",))
    return send(lambda: documents.schema(addresses(), c), SCHEMA, c.version)


# --- features ---


@bp.get("/collections/<name>/items")
@public
def items(name):
    c = collection_of(name)
    try:
        wanted = parameters.items(_filled(), c)
    except Refused as e:
        if not wants_page():
            raise
        return _form_again(c, e.sentence)
    if parameters.representation(dict(wanted.given), ("json", "html"), _preferred) == "html":
        return _items_page(c, wanted)
    content_crs = {"Content-Crs": f"<{wanted.system.uri}>"}
    return send(lambda: _features(c, wanted), GEOJSON, c.version, **content_crs)


def _form_again(c, sentence):
    """The page with what was asked in its form, and beside it what is wrong with it."""
    first = {k: v for k, v in request.args.items() if k in ("filter", "datetime", "sortby")}
    part, _colon, rest = sentence.partition(": ")
    in_filter = part == "filter" and rest
    response = _items_page(c, parameters.items(MultiDict({"f": "html"}), c), held=first | {"f": "html"},
                           problem=(rest[0].upper() + rest[1:] if in_filter else sentence), in_filter=bool(in_filter))  # fmt: skip
    response.status_code = 400
    response.headers["Cache-Control"] = "no-store"
    return response


def _features(c, wanted):
    """A page of features as the text of a GeoJSON FeatureCollection."""
    found = c.page(wanted.selection, wanted.limit, wanted.offset, wanted.system, wanted.properties)
    links = [
        documents.link(_again(wanted, f="json"), "self", GEOJSON),
        documents.link(_again(wanted, f="html"), "alternate", HTML),
        *(documents.link(_again(wanted, f="json", offset=n), rel, GEOJSON) for rel, n in _steps(wanted, found)),
        documents.link(addresses()(f"/collections/{c.name}", f="json"), "collection", JSON),
    ]
    head = f'"numberMatched":{found.matched},"numberReturned":{len(found.features)},"links":{_json(links)}'
    features = ",\n".join(found.features)
    return f'{{"type":"FeatureCollection",{head},"features":[\n{features}\n]}}\n'


def _filled():
    """The parameters; fields that somebody left blank in our own form are not parameters."""
    if request.args.get("f") != "html":
        return request.args
    return MultiDict([(k, v) for k, v in request.args.items(multi=True) if v])


def _again(wanted, **changes):
    """The address of a page of features with some parameters changed; an offset of 0 is left out."""
    held = dict(wanted.given) | {k: str(v) for k, v in changes.items()}
    held.pop("lang", None)
    if held.get("offset") == "0":
        del held["offset"]
    return addresses()(request.path.removeprefix("/ogc"), **held)


def _steps(wanted, found):
    """The pages after and before this one: (rel, offset)."""
    if wanted.offset + wanted.limit < found.matched:
        yield "next", wanted.offset + wanted.limit
    if wanted.offset:
        yield "prev", max(0, min(wanted.offset, found.matched) - wanted.limit)


@bp.get("/collections/<name>/items/<anytext:feature>")
@public
def item(name, feature):
    c = collection_of(name)
    held, form = asked("crs")
    system = parameters.system(held)
    row = c.row(feature)
    if row is None:
        raise Missing(_("“%(name)s” has no feature “%(feature)s”.", name=name, feature=feature[:60]))
    if form == "html":
        return page(
            "ogc_item.html", c=c, feature=feature, title=featurepages.title(c, row), facts=featurepages.facts(c, row),
            name=documents.title(c.layer), map=_map(c, [row]), recorded=c.by_name.get("source") and c.values("source")[row],
            other=[(s, _item_address(c, feature, crs=s)) for s in parameters.SYSTEMS], address=_item_address(c, feature), unit_word=unit_word,
        )  # fmt: skip
    links = [
        documents.link(_item_address(c, feature, **({"crs": system.uri} if "crs" in held else {})), "self", GEOJSON),
        documents.link(_item_address(c, feature, f="html"), "alternate", HTML),
        documents.link(addresses()(f"/collections/{name}", f="json"), "collection", JSON),
    ]
    body = c.features([row], system)[0]
    body = f'{body[:-1]},"links":{_json(links)}}}\n'
    return send(lambda: body, GEOJSON, c.version, **{"Content-Crs": f"<{system.uri}>"})


def _item_address(c, feature, **changes):
    return addresses()(f"/collections/{c.name}/items/{feature}", **({"f": "json"} | changes))


def _items_page(c, wanted, held=None, problem=None, in_filter=False):
    held = dict(wanted.given) if held is None else held
    wanted = replace(wanted, limit=min(wanted.limit, 0 if problem else featurepages.DRAWN))
    found = c.page(wanted.selection, wanted.limit, wanted.offset)
    orders = featurepages.orders(c)
    return page(
        "ogc_items.html",
        c=c,
        title=documents.title(c.layer),
        shown=featurepages.shown_fields(c),
        rows=featurepages.rows(c, found.rows, _local()),
        found=found,
        offset=wanted.offset,
        map=None if problem else _map(c, found.rows),
        steps={rel: _again(wanted, f="html", offset=n) for rel, n in _steps(wanted, found)},
        same=_again(wanted, f="json"),
        held=held,
        problem=problem,
        in_filter=in_filter,
        orders=orders,
        known_order=held.get("sortby", "").removeprefix("-") in dict(orders),
        example=featurepages.example(c),
        download=downloads.box(
            c.layer,
            f"/data/{c.name}",
            found.matched,
            internal=c.internal,
            keep=[(k, v) for k, v in wanted.given if k in parameters.CHOICE or k in c.by_name],
        ),
    )


def _local():
    return documents.Addresses("", request.args.get("lang"))


def _map(c, rows):
    return featurepages.map_of(c, rows, _local(), services().store, current_app.config["CANGXANH"])


# --- tiles ---


@bp.get("/tileMatrixSets")
@public
def matrix_sets():
    asked(choices=("json",))
    return send(lambda: documents.matrix_sets(addresses()), JSON, "grids")


@bp.get("/tileMatrixSets/<grid>")
@public
def matrix_set(grid):
    asked(choices=("json",))
    _grid(grid)
    return send(lambda: documents.matrix_set(addresses()), JSON, "grid")


def _grid(grid):
    if grid != MATRIX_SET:
        raise Missing(_("There is no tile grid “%(name)s”, only %(only)s.", name=grid[:60], only=MATRIX_SET))


def _spatial(name):
    c = collection_of(name)
    if not c.spatial:
        raise Missing(_("“%(name)s” is a table and has no tiles.", name=name))
    return c


@bp.get("/collections/<name>/tiles")
@public
def tilesets(name):
    c = _spatial(name)
    asked(choices=("json",))
    return send(lambda: documents.tilesets(addresses(), c), JSON, c.version)


@bp.get("/collections/<name>/tiles/<grid>")
@public
def tileset(name, grid):
    c = _spatial(name)
    _grid(grid)
    _held, form = asked(choices=("json", "tilejson"))
    make = documents.tilejson if form == "tilejson" else documents.tileset
    return send(lambda: make(addresses(), c), JSON, c.version)


@bp.get("/collections/<name>/tiles/<grid>/<z>/<y>/<x>")
@public
def tile(name, grid, z, y, x):
    c = _spatial(name)
    _grid(grid)
    parameters.single(request.args, ("f",))
    if request.args.get("f", "mvt") != "mvt":
        raise Refused(_("“%(name)s” must be one of: %(allowed)s.", name="f", allowed="mvt"))
    z, y, x = (_whole(v) for v in (z, y, x))
    if z > LAST_ZOOM or max(x, y) >= 1 << z:
        raise Missing(_("There is no such tile: zoom 0 to %(last)s, rows and columns from 0 to 2^zoom - 1.",
                        last=LAST_ZOOM))  # fmt: skip
    body = shelf().tile(c, z, x, y)
    zipped = request.accept_encodings["gzip"] > 0
    response = data_response(
        body if zipped or not body else gzip.decompress(body), TILE, version=tiledoor.version(c, z, x, y)
    )
    if response.status_code == 200 and not body:
        response.status_code = 204
    elif response.status_code == 200 and zipped:
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    response.headers["Cache-Control"] = tiledoor.KEPT
    return response


def _whole(number):
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise Refused(_("Zoom, row and column of a tile are whole numbers."))
    return int(number)


@bp.get("/<anytext:rest>")
@public
def nowhere(rest):
    raise NotFound()
