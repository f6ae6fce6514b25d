"""The OpenAPI 3.0 document of /ogc, made from the catalogue: what it promises is what server/parameters.py checks."""

from server import documents
from server.collections import MOST, SYSTEMS, USUAL
from server.cql2tokens import MAX_LENGTH
from server.documents import GEOJSON, HTML, JSON, MATRIX_SET, OPENAPI, SCHEMA, TILE
from server.i18n import LANGUAGES
from server.i18n import gettext as _
from server.parameters import FILTER_LANGUAGES, MAX_OFFSET
from server.tiles import LAST_ZOOM

PROBLEM = "application/problem+json"
_DAY = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])"
_WHEN = f"{_DAY}({_CLOCK})?"
_URI = {"type": "string", "format": "uri", "enum": list(SYSTEMS)}


def document(url, held):
    """held: the Collections' collections that there are."""
    paths = {
        "/": _get("landing", _("The landing page"), [_f(), _lang()], JSON, "landing"),
        "/conformance": _get("conformance", _("Standards that are kept"), [_f(), _lang()], JSON, "conformance"),
        "/api": _get("api", _("This document"), [_f(), _lang()], OPENAPI, None),
        "/collections": _get("collections", _("Collections"), [_f(), _lang()], JSON, "collections"),
        "/tileMatrixSets": _get("tileGrids", _("Tile grids"), [_f(("json",)), _lang()], JSON, None, html=False),
        "/tileMatrixSets/{tileMatrixSetId}": _get(
            "tileGrid",
            _("One tile grid"),
            [_f(("json",)), _lang(), _matrix_set()],
            JSON,
            None,
            html=False,
            missing=True,
        ),
    }
    for c in held:
        paths |= _collection(c)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": _("Cảng Xanh: open data of Hải Phòng"),
            "version": "1.0.0",
            "description": documents.landing(url)["description"],
        },
        "servers": [{"url": url.plain(""), "description": "Cảng Xanh"}],
        "tags": [{"name": c.name, "description": documents.title(c.layer)} for c in held],
        "paths": paths,
        "security": [{}, {"token": []}],
        "components": {
            "schemas": _schemas([c.name for c in held]),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": _("Opens the internal fields and lists that it names. An administrator makes it."),
                }
            },
        },
    }


def _collection(c):
    base, tag = f"/collections/{c.name}", c.name
    name = documents.title(c.layer)
    plain = [_f(), _lang()]
    paths = {
        base: _get(f"{tag}.collection", name, plain, JSON, "collection", tag=tag),
        f"{base}/queryables": _get(
            f"{tag}.queryables", _("Properties that can be asked"), [_f(), _lang()], SCHEMA, None, tag=tag
        ),
        f"{base}/schema": _get(
            f"{tag}.schema", _("What a feature looks like"), [_f(("json",)), _lang()], SCHEMA, None, tag=tag, html=False
        ),
        f"{base}/items": _get(f"{tag}.items", name, _items(c), GEOJSON, "features", tag=tag),
        f"{base}/items/{{featureId}}": _get(
            f"{tag}.item", name, [*plain, _crs("crs"), _feature_id(c)], GEOJSON, "feature", tag=tag, missing=True
        ),
    }
    if c.spatial:
        words, tiles = _("Vector tiles"), f"{base}/tiles"
        one = f"{tiles}/{{tileMatrixSetId}}"
        paths |= {
            tiles: _get(f"{tag}.tilesets", words, [_f(("json",)), _lang()], JSON, None, tag=tag, html=False),
            one: _get(
                f"{tag}.tileset", words, [_f(("json", "tilejson")), _lang(), _matrix_set()], JSON, None,
                tag=tag, html=False, missing=True,
            ),
            f"{one}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}": _tile(tag, words),
        }  # fmt: skip
    return paths


def _get(operation, summary, parameters, kind, schema, *, tag=None, html=True, missing=False):
    content = {kind: {"schema": {"$ref": f"#/components/schemas/{schema}"} if schema else {"type": "object"}}}
    if html:
        content[HTML] = {"schema": {"type": "string"}}
    responses = {"200": {"description": summary, "content": content}, "304": {"description": _("Nothing has changed.")}}
    made = {"operationId": operation, "summary": summary, "parameters": parameters}
    return {"get": made | ({"tags": [tag]} if tag else {}) | {"responses": responses | _refusals(missing)}}


def _refusals(missing):
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/problem"}}, HTML: {"schema": {"type": "string"}}}
    out = {
        "400": {"description": _("A parameter cannot be used; the answer says which and why."), "content": content},
        "401": {"description": _("The token is not good."), "content": content},
    }
    if missing:
        out["404"] = {"description": _("There is nothing of that name."), "content": content}
    return out


def _tile(tag, words):
    zoom = {"type": "integer", "minimum": 0, "maximum": LAST_ZOOM}
    number = {"type": "integer", "minimum": 0, "maximum": (1 << LAST_ZOOM) - 1}
    made = _get(f"{tag}.tile", words, [
        _f(("mvt",)),
        _matrix_set(),
        _path("tileMatrix", zoom, _("Zoom"), 10),
        _path("tileRow", number, _("Row, from the north"), 451),
        _path("tileCol", number, _("Column, from the 180th meridian"), 815),
    ], TILE, None, tag=tag, html=False, missing=True)  # fmt: skip
    made["get"]["responses"]["200"]["content"][TILE]["schema"] = {"type": "string", "format": "binary"}
    made["get"]["responses"]["204"] = {"description": _("Nothing lies in this tile.")}
    return made


# --- parameters ---


def _query(name, schema, words, **more):
    return {"name": name, "in": "query", "required": False, "description": words, "schema": schema} | more


def _path(name, schema, words, example):
    return {"name": name, "in": "path", "required": True, "description": words, "schema": schema, "example": example}


def _f(choices=("json", "html")):
    return _query("f", {"type": "string", "enum": list(choices)}, _("The form of the answer"))


def _lang():
    return _query("lang", {"type": "string", "enum": list(LANGUAGES)}, _("The language of titles and messages"))


def _crs(name):
    return _query(name, _URI | {"default": next(iter(SYSTEMS))}, _("A coordinate system, by its address"))


def _matrix_set():
    return _path("tileMatrixSetId", {"type": "string", "enum": [MATRIX_SET]}, _("Tile grid"), MATRIX_SET)


def _feature_id(c):
    made = _path("featureId", {"type": "string", "minLength": 1}, _("Identifier of a feature"), None)
    del made["example"]
    return made | ({"example": c.ids[0]} if c.ids else {})


def _listed(names, words, name, *, signs=False):
    one = "|".join(names)
    pattern = f"^[-+]?({one})(,[-+]?({one}))*$" if signs else f"^({one})(,({one}))*$"
    return _query(name, {"type": "string", "pattern": pattern}, words)


def _items(c):
    numbers = {"type": "array", "items": {"type": "number", "format": "double"}, "minItems": 4, "maxItems": 6}
    names = list(c.by_name)
    made = [
        _f(),
        _lang(),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}, _("Features of a page")),
        _query("offset", {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0}, _("Features to pass by")),
        _query("bbox", numbers, _("Only features that meet this box, and those without a place"), style="form", explode=False),
        _crs("bbox-crs"),
        _query("datetime", {"type": "string", "pattern": f"^({_WHEN}|({_WHEN}|[.]{{2}})?/({_WHEN}|[.]{{2}})?)$"}, _("A day, a time or an interval such as 2025-07-01/..")),
        _crs("crs"),
        _query("filter", {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH}, _("A filter in CQL2 text")),
        _query("filter-lang", {"type": "string", "enum": list(FILTER_LANGUAGES), "default": FILTER_LANGUAGES[0]}, _("Language of the filter")),
        _crs("filter-crs"),
        _listed(names, _("Properties to sort by, with - in front to turn the order"), "sortby", signs=True),
        _listed(names, _("Properties to be told, with commas"), "properties"),
    ]  # fmt: skip
    for f in c.fields:
        schema = documents.property_schema(f)
        kind = {k: v for k, v in schema.items() if not k.startswith("x-")}
        if f.kind == "text" and not f.allowed:
            kind["minLength"] = 1
        made.append(_query(f.name, kind, schema["title"]))
    return made


# --- what answers look like ---


def _schemas(names):
    text, links = {"type": "string"}, {"type": "array", "items": {"$ref": "#/components/schemas/link"}}
    count = {"type": "integer", "minimum": 0}
    return {
        "link": _object(
            ["href", "rel"],
            href=text, rel=text, type=text, title=text, hreflang=text, templated={"type": "boolean"},
        ),
        "problem": _object(["title", "status", "detail"], type=text, title=text, status={"type": "integer"}, detail=text),
        "landing": _object(["title", "links"], title=text, description=text, links=links),
        "conformance": _object(["conformsTo"], conformsTo={"type": "array", "items": text}, links=links),
        "collections": _object(
            ["links", "collections"],
            links=links, crs={"type": "array", "items": text},
            collections={"type": "array", "items": {"$ref": "#/components/schemas/collection"}},
        ),
        "collection": _object(
            ["id", "links"],
            id={"type": "string", "enum": names}, title=text, description=text, links=links,
            extent={"type": "object"}, itemType=text, itemCount=count, storageCrs=text,
            crs={"type": "array", "items": text},
        ),
        "geometry": {
            "type": "object",
            "nullable": True,
            "required": ["type"],
            "properties": {"type": text, "coordinates": {"type": "array", "items": {}}},
        },
        "feature": _object(
            ["type", "geometry", "properties", "id"],
            type={"type": "string", "enum": ["Feature"]}, id=text, properties={"type": "object"}, links=links,
            geometry={"$ref": "#/components/schemas/geometry"},
        ),
        "features": _object(
            ["type", "features", "numberMatched", "numberReturned", "links"],
            type={"type": "string", "enum": ["FeatureCollection"]}, numberMatched=count, numberReturned=count,
            links=links, features={"type": "array", "items": {"$ref": "#/components/schemas/feature"}},
        ),
    }  # fmt: skip


def _object(required, **properties):
    return {"type": "object", "required": required, "properties": properties}
