"""Where a reader means: a name, or a point on the map, as a place with words in both languages."""

from dataclasses import dataclass

import geopandas as gpd
import shapely

from geo import places
from layers.export import point
from server import atlas
from server.figures import WARD_KINDS
from server.i18n import N_, translations

(_SOUTH, _WEST), (_NORTH, _EAST) = atlas.CITY_BOUNDS
MARGIN = 0.15  # degrees round the city within which a place is taken
OTHER_LAYERS = ("treatment_plants", "waste_sites", "hotspots")


@dataclass(frozen=True)
class Whereabouts:
    """A place with its position in degrees. kind and note tell places of one name apart."""

    code: str
    lon: float
    lat: float
    name_vi: str
    name_en: str
    kind: str = ""
    note: str = ""


def in_reach(lon, lat):
    """Whether a point lies in the city or near it; False for what is no number."""
    return _WEST - MARGIN <= lon <= _EAST + MARGIN and _SOUTH - MARGIN <= lat <= _NORTH + MARGIN


def named(services, text, language, limit=6):
    """The places that a text may mean, the most likely first. Names of before July 2025 count too."""
    at, out = services.figures.kept("whereabouts", lambda: _positions(services.store)), []
    for hit in services.index().search(text, limit=limit, lang=language):
        if hit.entry.code in at:
            e, shown = hit.entry, services.named(hit.entry.code, language)
            lon, lat = at[e.code]
            note = hit.alias.text if hit.why == "old name" and hit.alias else ""
            out.append(
                Whereabouts(
                    e.code, lon, lat, e.name_vi, e.name_en or e.name_vi, shown["kind_word"] if shown else "", note
                )
            )
    return out


def of_code(services, code):
    """The place with this code, or None."""
    at = services.figures.kept("whereabouts", lambda: _positions(services.store))
    entry = (
        next((h.entry for h in services.index().search(code, limit=3) if h.entry.code == code), None)
        if code in at
        else None
    )
    return entry and Whereabouts(code, *at[code], entry.name_vi, entry.name_en or entry.name_vi)


def at_point(services, lon, lat):
    """The place of a point: named after its ward, which may be drawn schematically, or after its coordinates."""
    admin = services.store.snapshot("admin_units")
    wards = admin[admin["kind"].isin(WARD_KINDS)].set_index("code")
    ward = places.containing(gpd.GeoSeries([point(lon, lat)], crs=4326), wards.geometry).iloc[0]
    words = {}
    for lang in ("vi", "en"):
        if ward is None:
            words[lang] = translations(lang).gettext(N_("the point %(lat)s, %(lon)s")) % {
                "lat": f"{lat:.4f}",
                "lon": f"{lon:.4f}",
            }
        else:
            name = wards.at[ward, f"name_{lang}"] or wards.at[ward, "name_vi"]
            words[lang] = translations(lang).gettext(N_("a point in %(ward)s")) % {"ward": name}
    return Whereabouts("", lon, lat, words["vi"], words["en"])


def _positions(store):
    out = dict(atlas.placed(store))
    for layer in OTHER_LAYERS:
        rows = store.snapshot(layer)
        for code, shape in zip(rows["code"], rows.geometry, strict=True):
            if shape is not None and not shapely.is_empty(shape):
                at = shape if shape.geom_type == "Point" else shape.representative_point()
                out[code] = (at.x, at.y)
    return out
