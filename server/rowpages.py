"""What the page of one row shows, as plain dicts: its place for the drawing, its past, two people's rows side by side."""

import json

import shapely

from geo.systems import SYSTEMS
from server import corners, featureforms
from server.i18n import gettext as _
from server.i18n import language, moment
from server.layerbook import EDITED
from server.layerwords import change, place_words, reason, source, who
from server.problems import label


def place(layer, shape, form=None, error=None, elsewhere=False):
    """What the drawing part of the form needs. form: what was sent, shown again after an error."""
    kinds = corners.forms_of(layer)
    written = corners.written(shape)
    typed = form.get("corners") if form else None
    mine = (
        shape.geom_type.removeprefix("Multi")
        if shape is not None
        else kinds[-1]
        if layer.geometry == "Polygon"
        else kinds[0]
    )
    return {
        "first": shapely.to_geojson(shape) if shape is not None else "", "drawn": form.get("geometry", "") if form else "",
        "corners": written if typed is None else typed, "was": form.get("corners_was", "") if form else written,
        "system": int(form["system"]) if form and form.get("system", "").isdecimal() else 4326, "kinds": kinds,
        "form": form.get("form", mine) if form else mine, "error": error, "elsewhere": elsewhere,
        "elsewhere_on": bool(form) and form.get("elsewhere") == "yes", "words": place_words(shape),
        "systems": [(c, _system(c)) for c in corners.SYSTEM_CODES],
        "form_words": {"Point": _("point"), "LineString": _("line"), "Polygon": _("area")},
    }  # fmt: skip


def _system(code):
    name = SYSTEMS[code].name_vi if language() == "vi" else SYSTEMS[code].name_en
    return f"{name} (EPSG:{code})"


def geometry(shape):
    """A shape as a GeoJSON object with every digit, or None."""
    return None if shape is None else json.loads(shapely.to_geojson(shape))


def past(layer, entries):
    """The history of a row for the page: {version, when, at, who, source, why, word, lines, can_undo}."""
    out = []
    for e in entries:
        v = e.version
        made = {"version": v["version"], "when": moment(v["at"]), "at": v["at"], "who": who(v),
                "source": source(v), "why": reason(v), "word": "", "lines": [],
                "can_undo": e.change is not None and (e.change.kind != "added" or v["source"] == EDITED)}  # fmt: skip
        if e.change:
            shown = change(layer, e.change)
            made |= {"word": shown["word"], "lines": shown["lines"] if e.change.kind == "changed" else []}
        else:
            made["lines"] = _told_lines(layer, e.told)
        out.append(made)
    return out


def _told_lines(layer, told):
    old, new = told["old"] or {}, {k: v for k, v in (told["new"] or {}).items() if k not in ("version", "reason")}
    return [
        {"field": n, "label": label(layer, n), "old": _cut(old.get(n)), "new": _cut(new.get(n))}
        for n in [*old, *(n for n in new if n not in old)]
    ]


def _cut(value):
    text = "" if value is None else str(value)
    return text if len(text) < 300 else text[:300] + "…"


def compared(layer, names, mine, theirs):
    """Two rows side by side in some fields: {field, label, mine, theirs}."""
    out = []
    for n in names:
        if n == "geometry":
            a, b = place_words(mine.place), place_words(theirs.place)
        else:
            a, b = (featureforms.shown(layer.by_name[n], r.values.get(n)) or "–" for r in (mine, theirs))
        out.append({"field": n, "label": label(layer, n), "mine": a, "theirs": b})
    return out


def hidden(layer, mine):
    """(name, value) of the fields that carry a row through another form."""
    out = [(featureforms.PREFIX + f.name, featureforms.written(f, mine.values.get(f.name))) for f in layer.fields]
    if layer.geometry:
        out.append(("geometry", shapely.to_geojson(mine.place) if mine.place is not None else "none"))
    return out
