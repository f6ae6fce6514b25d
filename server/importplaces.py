"""The page of the coordinate doctor: its readings in words, and a map of each of the two likeliest."""

from server import atlas, maps
from server.i18n import gettext as _
from server.i18n import language, ngettext, number
from server.importwords import distance, frame, told


def doctor(one, look):
    """The page of the coordinate doctor: verdict, sentence, the readings with their words and points, some rows."""
    found = look["doctor"]
    used = one.choices.get("reading") or (found["readings"][0]["option"] if found["verdict"] == "sure" else None)
    before = look.get("remembered_reading")
    chosen = used or before
    readings = [
        r | {"id": f"reading_{i + 1}", "name": r[f"name_{language()}"], "chosen": r["option"] == chosen,
             "remembered": r["option"] == before, "lines": list(_reading_lines(r, found.get("parts", ())))}
        for i, r in enumerate(found["readings"])
    ]  # fmt: skip
    return {
        "verdict": found["verdict"], "reason": told({"en": found["reason_en"], "vi": found["reason_vi"]}),
        "apart": distance(found.get("apart_m")), "readings": readings, "rows": found.get("rows", []), "used": used,
    }  # fmt: skip


def _reading_lines(r, parts):
    if r["epsg"] is None:
        for p in parts:
            yield p[f"name_{language()}"], ngettext("%(num)s row", "%(num)s rows", p["rows"])
    if r.get("share_inside") is not None:
        yield _("Points in the city"), _share(r["share_inside"])
    if r.get("share_near") is not None:
        yield _("Near the commune they name"), _share(r["share_near"])
    if r.get("median_m"):
        yield _("Half of the points lie farther off than"), distance(r["median_m"])


def _share(value):
    return f"{number(100 * value, 0)} %"


def pair_maps(made, store, settings):
    """A Folium map for each of the first two readings: its points, and hollow those of the other one."""
    pair = made["readings"][:2]
    bounds = frame([(p[0], p[1]) for r in pair for p in r["points"]])
    return [
        maps.map_page(
            [atlas.ground(store), *(_dots("other", o["points"], filled=False) for o in pair if o is not r),
             _dots("own", r["points"], filled=True)],
            bounds=bounds, name=r["id"], settings=settings, label=r["name"],
        )
        for r in pair
    ]  # fmt: skip


def _dots(name, points, *, filled):
    features = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [p[0], p[1]]},
         "properties": {"code": str(p[2]), "name": _("Row %(n)s", n=p[2])}}
        for p in points
    ]  # fmt: skip
    style = {"color": "#fff", "weight": 1.5, "fillColor": "#a8310f", "fillOpacity": 1, "radius": 5}
    if not filled:
        style = {"color": "#3b4a4c", "weight": 1.5, "fillColor": "#fff", "fillOpacity": 0.2, "radius": 5}
    return maps.GeoJsonLayer(name, "", data={"type": "FeatureCollection", "features": features}, style=style)
