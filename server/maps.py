"""A Folium map as parts of our own page.

map_page() takes layers as data and gives the head, body and script that a template puts in place,
with the nonce on the script tag. Leaflet is the only browser library; Folium's other defaults are
dropped. The features of all layers lie in one JSON document, from which server/static/js/map.js
draws; texts become text nodes there. Text that goes into Folium itself passes safe().
"""

import html
import json
from dataclasses import dataclass, field
from typing import Any

import folium
import folium.plugins
from branca.element import MacroElement
from folium.elements import JSCSSMixin
from folium.template import Template
from markupsafe import Markup

from server.i18n import gettext as _
from server.signs import MAP_SIGNS, sign_for

MAX_EMBEDDED = 1000
_EXTRA = str.maketrans({"`": "&#96;", "$": "&#36;", "{": "&#123;", "}": "&#125;", "\\": "&#92;"})


def safe(value):
    """Text that may go into any Folium popup, tooltip, layer name, icon or attribution.

    html.escape is not enough: Folium puts popups and tooltips inside JavaScript template literals,
    where ${...} and ` are code. As HTML entities they are inert in both places.

    >>> safe("<b>${x}`")
    '&lt;b&gt;&#36;&#123;x&#125;&#96;'
    """
    return html.escape(str(value), quote=True).translate(_EXTRA)


def _mixins(top=JSCSSMixin):
    for cls in top.__subclasses__():
        yield cls
        yield from _mixins(cls)


def serve_leaflet_ourselves():
    """Takes the outside addresses from every Folium class, plugins included."""
    for cls in set(_mixins()):
        for name in ("default_js", "default_css"):
            if cls.__dict__.get(name):
                setattr(cls, name, [])


serve_leaflet_ourselves()


class PortMap(folium.Map):
    """folium.Map without its page-wide styles, its viewport tag and its outside files."""

    _template = Template("""
        {% macro header(this, kwargs) %}{% endmacro %}
        {% macro html(this, kwargs) %}
            <div class="folium-map" id={{ this.get_name()|tojson }} tabindex="0"></div>
        {% endmacro %}
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = L.map({{ this.get_name()|tojson }}, {
                center: {{ this.location|tojson }},
                crs: L.CRS.{{ this.crs }},
                ...{{ this.options|tojavascript }}
            });
            cangxanh.start({{ this.get_name() }});
        {% endmacro %}
    """)

    def __init__(self, name, centre, **options):
        super().__init__(
            location=centre, tiles=None, zoom_control=False, control_scale=False,
            min_zoom=None, zoom_start=10, maxZoom=19, minZoom=7, zoomSnap=0.25, zoomDelta=0.5,
            wheelPxPerZoomLevel=120, scrollWheelZoom=False, attributionControl=False, **options,
        )  # fmt: skip
        self._id = name


class Drawn(MacroElement):
    """One layer of the JSON document, drawn on the map by our own script."""

    _template = Template("""
        {% macro script(this, kwargs) %}
            cangxanh.draw({{ this._parent.get_name() }}, {{ this.layer|tojson }});
        {% endmacro %}
    """)

    def __init__(self, layer):
        super().__init__()
        self._name, self._id, self.layer = "Drawn", layer.replace("-", "_"), layer


class Ready(MacroElement):
    _template = Template("""
        {% macro script(this, kwargs) %}
            cangxanh.ready({{ this._parent.get_name() }});
        {% endmacro %}
    """)

    def __init__(self):
        super().__init__()
        self._name, self._id = "Ready", "last"


# --- layers as data -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ground:
    """Land, faint unit outlines, sea and labels; drawn below everything.

    land, outside: GeoJSON geometry, feature or collection of the mapped land and of neighbouring
    land that is not mapped. cells: FeatureCollection of unit outlines (properties: code, name).
    water: lines or polygons of rivers. labels: dicts name, lon, lat, kind ("place" | "water" | "sea"
    | "outside"), from_zoom. schematic: outlines are ours, not boundaries: drawn dashed.
    url: where the script fetches {land, outside, cells, water, labels} instead, kept by the browser.
    """

    land: dict | None = None
    cells: dict | None = None
    outside: dict | None = None
    water: dict | None = None
    labels: tuple = ()
    schematic: bool = True
    url: str | None = None
    id: str = "ground"
    label: str = ""
    on: bool = True

    def document(self):
        made = {"kind": "ground", "schematic": self.schematic}
        if self.url:
            return made | {"url": self.url}
        return made | {
            "land": self.land, "cells": self.cells, "outside": self.outside, "water": self.water,
            "labels": list(self.labels),
        }  # fmt: skip

    def count(self):
        return len((self.cells or {}).get("features", ()))


@dataclass(frozen=True)
class GeoJsonLayer:
    """Outlines with a style as data.

    style: Leaflet path options. breaks: for a choropleth, fixed class edges [a, b, c] with
    len(breaks) + 1 colours, on properties[value]; a missing value is hatched grey.
    lines: pairs (label, property) for the popup; properties are written as the server formatted them.
    """

    id: str
    label: str
    data: dict | None = None
    url: str | None = None
    key: str = "code"
    style: dict = field(default_factory=dict)
    value: str | None = None
    breaks: tuple = ()
    colours: tuple = ()
    lines: tuple = ()
    on: bool = True

    def __post_init__(self):
        if (self.data is None) == (self.url is None):
            raise ValueError(f"layer {self.id}: give either data or url")
        if self.value and len(self.colours) != len(self.breaks) + 1:
            raise ValueError(f"layer {self.id}: {len(self.breaks)} breaks need {len(self.breaks) + 1} colours")

    def document(self):
        made = {
            "kind": "geojson",
            "key": self.key,
            "style": self.style,
            "lines": [list(x) for x in self.lines],
        }
        if self.value:
            made |= {"value": self.value, "breaks": list(self.breaks), "colours": list(self.colours)}
        return made | ({"url": self.url} if self.url else {"data": self.data})

    def count(self):
        return len(self.data["features"]) if self.data else None


def _check_points(layer_id, features, needed):
    for feature in features:
        missing = [name for name in needed if name not in feature]
        if missing:
            raise ValueError(f"layer {layer_id}: {feature.get('code')} has no {', '.join(missing)}")


@dataclass(frozen=True)
class SymbolLayer:
    """Volumes as symbols: area in proportion to the gap, a ring for the treated share.

    features: dicts code, name, lon, lat, kind ("ward" and the like are round, zones square), and in
    m³/day not_treated, unknown, treated (numbers or None); lines: list of [label, written value] for
    the popup; url: page of the unit or None. The gap is not_treated + unknown.
    """

    id: str
    label: str
    features: tuple
    on: bool = True

    def __post_init__(self):
        _check_points(self.id, self.features, ("code", "name", "lon", "lat", "not_treated", "unknown", "treated"))

    def document(self):
        square = [f | {"square": f.get("kind") in MAP_SIGNS and f.get("kind") != "port"} for f in self.features]
        return {"kind": "symbols", "features": square}

    def count(self):
        return len(self.features)


@dataclass(frozen=True)
class SignLayer:
    """Places with a sign. family: "stage" (hotspots), "state" (plants) or "kind" (facilities).

    features: dicts code, name, lon, lat, sign (a code of the family), lines, url as in SymbolLayer.
    """

    id: str
    label: str
    features: tuple
    family: str = "state"
    on: bool = True

    def __post_init__(self):
        _check_points(self.id, self.features, ("code", "name", "lon", "lat", "sign"))

    def document(self):
        return {
            "kind": "signs", "family": self.family,
            "features": [f | {"sign": sign_for(self.family, f["sign"])} for f in self.features],
        }  # fmt: skip

    def count(self):
        return len(self.features)


def hotspot_layer(features, label, **options):
    return SignLayer("hotspots", label, tuple(features), family="stage", **options)


def plant_layer(features, label, **options):
    return SignLayer("plants", label, tuple(features), family="state", **options)


def facility_layer(features, label, **options):
    return SignLayer("facilities", label, tuple(features), family="kind", **options)


# --- the page -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MapParts:
    """What templates/_map.html puts into a page.

    header: Folium's head part. body: the map element. script: for a <script> with the nonce.
    data: JSON text, safe inside <script type="application/json">. layers: (id, label, on, count) of
    the layers that can be switched. far: (name, lat, lon) of places outside the first view.
    """

    name: str
    header: Markup
    body: Markup
    script: Markup
    data: Markup
    layers: tuple
    far: tuple
    schematic: bool


def _json(thing):
    text = json.dumps(thing, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)


def rounded(geometry: Any, digits=4):
    """GeoJSON with coordinates cut to `digits` decimals (4: about 10 m), to keep pages small."""
    if isinstance(geometry, dict):
        return {k: rounded(v, digits) if k in ("coordinates", "geometry", "geometries", "features") else v
                for k, v in geometry.items()}  # fmt: skip
    if isinstance(geometry, (list, tuple)):
        return [rounded(item, digits) for item in geometry]
    return round(geometry, digits) if isinstance(geometry, float) else geometry


def _far(layers, bounds):
    (south, west), (north, east) = bounds
    found = {}
    for layer in layers:
        for feature in getattr(layer, "features", ()):
            if not (south <= feature["lat"] <= north and west <= feature["lon"] <= east):
                found.setdefault(feature["code"], (feature["name"], feature["lat"], feature["lon"]))
    return tuple(found.values()) if len(found) <= 3 else ()  # more: a near view, not a far island


def map_page(layers, *, bounds, name="cangxanh", settings=None, attribution=None, label=None):
    """The parts of one map. layers: bottom first. bounds: ((south, west), (north, east)), degrees.

    The same input gives the same bytes. Internet tiles only when the settings name a tile server.
    Raises ValueError when more than MAX_EMBEDDED features are embedded in one layer.
    """
    for layer in layers:
        if (layer.count() or 0) > MAX_EMBEDDED:
            raise ValueError(f"layer {layer.id}: over {MAX_EMBEDDED} features, give a url instead of data")
    (south, west), (north, east) = bounds
    board = PortMap(name, [(south + north) / 2, (west + east) / 2])
    for layer in layers:
        Drawn(layer.id).add_to(board)
    Ready().add_to(board)
    figure = board.get_root()
    figure.render()
    schematic = any(getattr(layer, "schematic", False) for layer in layers)
    if attribution is None:
        attribution = _("Schematic boundaries") if schematic else ""
    tiles = getattr(settings, "internet_tiles", None)
    document = {
        "bounds": [[south, west], [north, east]],
        "attribution": attribution,
        "label": label or _("Map"),
        "layers": {layer.id: layer.document() | {"on": layer.on} for layer in layers},
    }
    if tiles:
        document["tiles"] = {"url": tiles, "credit": safe(settings.internet_tiles_credit)}
    return MapParts(
        name=board.get_name(),
        header=Markup("".join(child.render() for key, child in figure.header._children.items() if key != "meta_http")),
        body=Markup(figure.html.render()),
        script=Markup(figure.script.render()),
        data=_json(document),
        layers=tuple((x.id, x.label, x.on, x.count()) for x in layers if x.label),
        far=_far(layers, bounds),
        schematic=schematic,
    )
