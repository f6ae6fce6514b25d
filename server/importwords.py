"""Small words and sizes that several pages of imports share."""

from layers.catalogue import ALL
from server import atlas
from server.i18n import N_, language, number
from server.i18n import gettext as _

RASTER_WORDS = {"population": N_("Population (people per cell)"), "elevation": N_("Elevation (m)"),
                "land_cover": N_("Land cover (classes)")}  # fmt: skip
COUNTS = (("new", N_("new")), ("changed", N_("changed")), ("same", N_("the same")), ("missing", N_("removed")),
          ("refused", N_("refused")))  # fmt: skip


def told(thing):
    """A sentence that comes as a text or as {"en", "vi"}, in the reader's language."""
    if isinstance(thing, dict):
        return thing.get(language()) or thing.get("en") or ""
    return str(thing or "")


def layer_word(name):
    """The name of a layer or raster slot in the reader's language."""
    if name and name.startswith("raster:"):
        return _(RASTER_WORDS[name.removeprefix("raster:")])
    return getattr(ALL[name], language()) if name in ALL else ""


def field_word(f):
    return getattr(f, language()) + (f" ({f.unit})" if f.unit else "")


def distance(metres):
    if metres is None:
        return ""
    return f"{number(metres / 1000, 1)} km" if metres >= 1000 else f"{number(metres, 0)} m"


def frame(points, margin=0.03):
    """Bounds that hold the points, or the city where there are none or they lie far away."""
    near = [(lon, lat) for lon, lat in points if 104 < lon < 109 and 19 < lat < 23]
    if not near:
        return atlas.CITY_BOUNDS
    lons, lats = [p[0] for p in near], [p[1] for p in near]
    return ((min(lats) - margin, min(lons) - margin), (max(lats) + margin, max(lons) + margin))
