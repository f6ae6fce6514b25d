"""Maps of layers for those who keep them: places before and after, the map to draw a place on, and its neighbours."""

import shapely

from layers import export
from server import atlas, i18n, maps
from server.featureedits import key_of, row_of
from server.i18n import N_
from server.i18n import gettext as _
from server.layerwords import KIND_WORDS, SHAPE_WORDS, key_words, row_title
from server.rowkeys import key_text

DRAWN = 2000  # places of one kind on the map of a comparison
NEAR = 300  # neighbours that a drawing may snap to
STYLES = {
    "removed": {"color": "#8c1d13", "weight": 2.5, "dashArray": "7 4", "fillColor": "#8c1d13", "fillOpacity": 0.1},
    "was": {"color": "#7d5200", "weight": 2.5, "dashArray": "2 5", "fillOpacity": 0},
    "moves": {"color": "#16252b", "weight": 1.5, "dashArray": "1 4", "fill": False},
    "now": {"color": "#1d5fa8", "weight": 2.5, "fillColor": "#1d5fa8", "fillOpacity": 0.12},
    "added": {"color": "#0b5c56", "weight": 2.5, "fillColor": "#0b5c56", "fillOpacity": 0.25},
}
STYLE_WORDS = {"added": N_("added"), "removed": N_("removed"), "was": N_("old place or outline"),
               "now": N_("new place or outline"), "moves": N_("from old to new")}  # fmt: skip


def drawn(layer, found):
    """{what: [(change, shape)]} of the places to draw, by STYLES."""
    out = {what: [] for what in STYLES}
    for c in found:
        if c.shape is None:
            continue
        if c.kind != "changed":
            out[c.kind].append((c, c.shape.new if c.kind == "added" else c.shape.old))
            continue
        for what, shape in (("was", c.shape.old), ("now", c.shape.new)):
            if shape is not None:
                out[what].append((c, shape))
        if c.shape.how == "moved" and c.shape.new.geom_type == "Point":
            out["moves"].append((c, _way(c.shape)))
    return {what: pairs[:DRAWN] for what, pairs in out.items()}


def _way(shape):
    return shapely.LineString([shape.old.coords[0], shape.new.coords[0]])


def collection(pairs):
    """A FeatureCollection of (change, shape), with what a card on the map says."""
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature", "geometry": export.rounded(shape, 7),
                "properties": {
                    "code": key_text(c.key), "name": i18n.text({"name_vi": c.name_vi, "name_en": c.name_en}, "name") or key_words(c.key),
                    "key": key_words(c.key), "change": _(KIND_WORDS[c.kind]),
                    "shape": _(SHAPE_WORDS[c.shape.how]) if c.kind == "changed" else "",
                },
            }
            for c, shape in pairs
        ],
    }  # fmt: skip


def change_map(store, layer, found, settings, address):
    """MapParts of a comparison, or None where no place changed. address(what): where the places of one kind are fetched."""
    pairs = {what: p for what, p in drawn(layer, found).items() if p}
    if not pairs:
        return None
    lines = (("", "key"), (_("Change"), "change"), (_("Place on the map"), "shape"))
    layers = [atlas.ground(store)]
    for what, mine in pairs.items():
        layers.append(
            maps.GeoJsonLayer(what, f"{_(STYLE_WORDS[what])} ({i18n.number(len(mine))})", url=address(what),
                              style=STYLES[what], lines=lines[1:])
        )  # fmt: skip
    return maps.map_page(layers, bounds=bounds([s for p in pairs.values() for _c, s in p]), settings=settings,
                         label=_("Map of the differences"))  # fmt: skip


def bounds(shapes, least=0.01):
    """A frame round shapes, never tighter than about a kilometre; the city where there are none."""
    boxes = [s.bounds for s in shapes if s is not None]
    if not boxes:
        return atlas.CITY_BOUNDS
    west, south, east, north = (f(b[i] for b in boxes) for i, f in enumerate((min, min, max, max)))
    x, y = max(least, (east - west) * 0.1), max(least, (north - south) * 0.1)
    return ((south - y, west - x), (north + y, east + x))


def draw_map(store, layer, shape, settings):
    """MapParts of the map to draw on."""
    return maps.map_page([atlas.ground(store)], bounds=bounds([shape], 0.004), settings=settings,
                         label=_("Map to draw the place on"))  # fmt: skip


def neighbours(store, layer, key, west, south, east, north):
    """FeatureCollection of the other places of a layer within a frame, to see and to snap to."""
    features = []
    for _i, series in store.within(layer.name, west, south, east, north, most=NEAR + 1).iterrows():
        row = row_of(layer, series)
        if row.place is None or key_of(layer, row) == key:
            continue
        features.append({"type": "Feature", "geometry": export.rounded(row.place, 9),
                         "properties": {"name": row_title(layer, row) or key_words(key_of(layer, row))}})  # fmt: skip
    return {"type": "FeatureCollection", "features": features[:NEAR]}
