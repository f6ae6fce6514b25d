"""The JSON documents of /ogc that are not features: landing page, conformance, collections, queryables, tile sets.

Addresses in them are absolute; `url` is an Addresses throughout.
"""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from layers import formats, mvt
from server.collections import CRS84, SYSTEMS
from server.i18n import gettext as _
from server.i18n import language, ngettext
from server.tiles import LAST_ZOOM

GEOJSON, JSON, HTML = "application/geo+json", "application/json", "text/html"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
SCHEMA, TILE, TILEJSON = "application/schema+json", "application/vnd.mapbox-vector-tile", "application/json"
_REL = "http://www.opengis.net/def/rel/ogc/1.0"
_SPEC = "http://www.opengis.net/spec"
_DRAWN_TO = 14  # clients enlarge tiles of this zoom beyond it
MATRIX_SET = "WebMercatorQuad"
_MATRIX_SET_URI = "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad"

CONFORMANCE = (
    *(f"{_SPEC}/ogcapi-common-1/1.0/conf/{c}" for c in ("core", "landing-page", "json", "html", "oas30")),
    f"{_SPEC}/ogcapi-common-2/1.0/conf/collections",
    *(f"{_SPEC}/ogcapi-features-1/1.0/conf/{c}" for c in ("core", "oas30", "html", "geojson")),
    f"{_SPEC}/ogcapi-features-2/1.0/conf/crs",
    *(
        f"{_SPEC}/ogcapi-features-3/1.0/conf/{c}"
        for c in ("queryables", "queryables-query-parameters", "filter", "features-filter")
    ),
    *(
        f"{_SPEC}/cql2/1.0/conf/{c}"
        for c in (
            *("cql2-text", "basic-cql2", "advanced-comparison-operators", "case-insensitive-comparison"),
            *("accent-insensitive-comparison", "basic-spatial-functions", "basic-spatial-functions-plus"),
            *("spatial-functions", "temporal-functions", "property-property"),
        )
    ),
    *(
        f"{_SPEC}/ogcapi-tiles-1/1.0/conf/{c}"
        for c in ("core", "tileset", "tilesets-list", "geodata-tilesets", "mvt", "oas30")
    ),
    *(f"{_SPEC}/tms/2.0/conf/{c}" for c in ("tilematrixset", "json-tilematrixset")),
)


@dataclass(frozen=True)
class Addresses:
    """Absolute addresses. root: of the site, without a slash at its end. lang: kept in each address, or None."""

    root: str
    lang: str | None = None

    def __call__(self, path, **parameters):
        """An address under /ogc."""
        held = parameters | ({"lang": self.lang} if self.lang else {})
        return self.plain(path) + (f"?{urlencode(held)}" if held else "")

    def plain(self, path):
        """An address under /ogc without parameters."""
        return f"{self.root}/ogc{quote(path)}"

    def site(self, path):
        """An address elsewhere on the site."""
        return f"{self.root}{quote(path)}"


def link(href, rel, kind, title=None, **more):
    made = {"href": href, "rel": rel, "type": kind}
    return made | ({"title": title} if title else {}) | more


def both(url, path, kind, title=None):
    """A page of ours about itself, in the other representation too."""
    return [
        link(url(path, f="json"), "self", kind, title),
        link(url(path, f="html"), "alternate", HTML, title),
    ]


def landing(url):
    return {
        "title": _("Cảng Xanh: open data of Hải Phòng"),
        "description": _(
            "Public layers and tables of the environmental map of Hải Phòng: waste water, treatment, pollution "
            "hotspots, administrative units."
        ),
        "links": [
            *both(url, "", JSON),
            link(url("/api", f="json"), "service-desc", OPENAPI, _("What can be asked, as OpenAPI 3.0")),
            link(url("/api", f="html"), "service-doc", HTML, _("What can be asked, as a page")),
            link(url("/conformance", f="json"), "conformance", JSON, _("Standards that are kept")),
            link(url("/collections", f="json"), "data", JSON, _("Collections")),
            link(url("/tileMatrixSets", f="json"), f"{_REL}/tiling-schemes", JSON, _("Tile grids")),
        ],
    }


def conformance(url):
    return {"links": both(url, "/conformance", JSON), "conformsTo": list(CONFORMANCE)}


def collections(url, held):
    return {
        "links": both(url, "/collections", JSON),
        "crs": list(SYSTEMS),
        "collections": [collection(url, c, brief=True) for c in held],
    }


def title(layer):
    return getattr(layer, language())


def description(c):
    rows = ngettext("one record", "%(num)s records", len(c))
    return _("%(rows)s. Each names its source, its date and how well it is supported.", rows=rows)


def collection(url, c, brief=False):
    """brief: as one of the list of all collections."""
    path, name = f"/collections/{c.name}", title(c.layer)
    links = [] if brief else both(url, path, JSON, name)
    if brief:
        links.append(link(url(path, f="json"), "self", JSON, name))
    links += [
        link(url(f"{path}/items", f="json"), "items", GEOJSON, name),
        link(url(f"{path}/items", f="html"), "items", HTML, name),
        link(url(f"{path}/queryables", f="json"), f"{_REL}/queryables", SCHEMA, _("Properties that can be asked")),
    ]
    links.append(link(url(f"{path}/schema", f="json"), "describedby", SCHEMA, _("What a feature looks like")))
    if c.spatial:
        tiles = _("Vector tiles")
        links.append(link(url(f"{path}/tiles", f="json"), f"{_REL}/tilesets-vector", JSON, tiles))
    if not brief:
        for kind in formats.kinds_for(c.layer):
            format_ = formats.KINDS[kind]
            links.append(link(url.site(f"/data/{c.name}.{kind}"), "enclosure", format_.mimetype, format_.label))
    made = {"id": c.name, "title": name, "description": description(c), "links": links, "itemType": "feature"}
    extent = _extent(c)
    if extent:
        made["extent"] = extent
    if c.spatial:
        made |= {"crs": list(SYSTEMS), "storageCrs": CRS84.uri}
    return made | {"itemCount": len(c)}


def _extent(c):
    extent = {}
    if c.bounds():
        extent["spatial"] = {"bbox": [[round(v, 6) for v in c.bounds()]], "crs": CRS84.uri}
    if c.period():
        days = [None if d is None else f"{d.isoformat()}T00:00:00+07:00" for d in c.period()]
        extent["temporal"] = {"interval": [days], "trs": "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"}
    return extent


_JSON_TYPE = {"text": "string", "number": "number", "integer": "integer", "date": "string"}
_GEOMETRY_FORMAT = {"Point": "geometry-point", "Polygon": "geometry-multipolygon", "Geometry": "geometry-any"}


def property_schema(f):
    """JSON Schema of the values of a field."""
    made = {"title": getattr(f, language()), "type": _JSON_TYPE[f.kind]}
    if f.kind == "date":
        made["format"] = "date"
    if f.allowed:
        made["enum"] = [c.value for c in f.allowed]
    if f.unit:
        made["x-ogc-unit"] = f.unit
    return made


def queryables(url, c):
    properties = {f.name: property_schema(f) for f in c.fields}
    if c.spatial:
        properties["geometry"] = {
            "title": _("Place"), "format": _GEOMETRY_FORMAT[c.layer.geometry], "x-ogc-role": "primary-geometry",
        }  # fmt: skip
    for key in c.layer.key if len(c.layer.key) == 1 else ():
        properties[key]["x-ogc-role"] = "id"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": url(f"/collections/{c.name}/queryables"),
        "type": "object",
        "title": title(c.layer),
        "properties": properties,
        "additionalProperties": False,
    }


def schema(url, c):
    """What a feature looks like, as JSON Schema: GDAL takes the kinds of its columns from here."""
    properties = {f.name: property_schema(f) | {"nullable": not f.required} for f in c.fields}
    text = {"type": "string"}
    return {
        "$id": url(f"/collections/{c.name}/schema"),
        "title": title(c.layer),
        "type": "object",
        "required": ["type", "id", "geometry", "properties"],
        "properties": {
            "type": text | {"enum": ["Feature"]},
            "id": text,
            "geometry": {"type": "object", "nullable": True},
            "properties": {"type": "object", "properties": properties},
        },
    }


# --- tiles ---


def matrix_sets(url):
    entry = {"id": MATRIX_SET, "title": _("Squares of web maps (EPSG:3857)"), "uri": _MATRIX_SET_URI}
    path = f"/tileMatrixSets/{MATRIX_SET}"
    entry["links"] = [link(url(path, f="json"), f"{_REL}/tiling-scheme", JSON)]
    return {"links": [link(url("/tileMatrixSets", f="json"), "self", JSON)], "tileMatrixSets": [entry]}


def matrix_set(url):
    """The grid of web maps, OGC 17-083r4 annex D.1."""
    matrices = [
        {
            "id": str(z),
            "scaleDenominator": mvt.WORLD / 256 / (1 << z) / 0.00028,
            "cellSize": mvt.WORLD / 256 / (1 << z),
            "cornerOfOrigin": "topLeft",
            "pointOfOrigin": [-mvt.WORLD / 2, mvt.WORLD / 2],
            "tileWidth": 256,
            "tileHeight": 256,
            "matrixWidth": 1 << z,
            "matrixHeight": 1 << z,
        }
        for z in range(LAST_ZOOM + 1)
    ]
    return {
        "id": MATRIX_SET,
        "title": _("Squares of web maps (EPSG:3857)"),
        "uri": _MATRIX_SET_URI,
        "crs": "http://www.opengis.net/def/crs/EPSG/0/3857",
        "wellKnownScaleSet": "http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible",
        "tileMatrices": matrices,
        "links": [link(url(f"/tileMatrixSets/{MATRIX_SET}", f="json"), "self", JSON)],
    }


def tilesets(url, c):
    path = f"/collections/{c.name}/tiles"
    return {"links": [link(url(path, f="json"), "self", JSON)], "tilesets": [_tileset(url, c)]}


def _tileset(url, c):
    path = f"/collections/{c.name}/tiles/{MATRIX_SET}"
    return {
        "title": title(c.layer),
        "dataType": "vector",
        "crs": "http://www.opengis.net/def/crs/EPSG/0/3857",
        "tileMatrixSetURI": _MATRIX_SET_URI,
        "links": [
            link(url(path, f="json"), "self", JSON),
            link(url(path, f="tilejson"), "describedby", TILEJSON, "TileJSON"),
            link(url(f"/tileMatrixSets/{MATRIX_SET}", f="json"), f"{_REL}/tiling-scheme", JSON),
            link(url.plain(path) + "/{tileMatrix}/{tileRow}/{tileCol}", "item", TILE, templated=True),
        ],
    }


def tileset(url, c):
    made = _tileset(url, c) | {"tileMatrixSetLimits": [], "layers": [_tile_layer(c)]}
    if c.bounds():
        west, south, east, north = c.bounds()
        made["boundingBox"] = {"lowerLeft": [west, south], "upperRight": [east, north], "crs": CRS84.uri}
        for z in range(LAST_ZOOM + 1):
            (x0, y0), (x1, y1) = mvt.tile_at(west, north, z), mvt.tile_at(east, south, z)
            made["tileMatrixSetLimits"].append(
                {"tileMatrix": str(z), "minTileRow": y0, "maxTileRow": y1, "minTileCol": x0, "maxTileCol": x1}
            )
    return made


def _tile_layer(c):
    dimension = {"Point": 0, "Polygon": 2}.get(c.layer.geometry)
    schema = {"type": "object", "properties": {f.name: property_schema(f) for f in c.tile_fields()}}
    made = {"id": c.name, "title": title(c.layer), "dataType": "vector", "propertiesSchema": schema}
    return made if dimension is None else made | {"geometryDimension": dimension}


def tilejson(url, c):
    """TileJSON 3.0.0, for web map libraries."""
    path = f"/collections/{c.name}/tiles/{MATRIX_SET}"
    made = {
        "tilejson": "3.0.0",
        "name": title(c.layer),
        "scheme": "xyz",
        "tiles": [url.plain(path) + "/{z}/{y}/{x}"],
        "minzoom": 0,
        "maxzoom": _DRAWN_TO,
        "vector_layers": [{"id": c.name, "fields": {f.name: getattr(f, language()) for f in c.tile_fields()}}],
    }
    return made | ({"bounds": [round(v, 6) for v in c.bounds()]} if c.bounds() else {})
