"""The dry run as tables and a map, in the reader's language, from the document of server/importtrial.py."""

from layers.catalogue import ALL
from server import atlas, maps
from server.i18n import N_, language, number, percent, text
from server.i18n import gettext as _
from server.importwords import COUNTS, distance, field_word, frame, told

SIGNS = {"new": "#0b5c56", "changed": "#1d5fa8", "refused": "#a8310f", "missing": "#5d6b69", "was": "#1d5fa8"}


def trial(one, made):
    """The tables of the dry run, in the reader's language, from the document of server/importwork.py."""
    layer, n = ALL.get(one.layer), one.counts
    gone = n.get("missing", 0) if one.choices.get("mode") == "replace" else 0
    return {
        "raster": layer is None,
        "writes": bool(layer is None or n.get("new") or n.get("changed") or gone),
        "cut": any(n.get(k, 0) > made["shown"] for k in ("new", "changed", "missing", "refused")),
        "counts": [(k, _(w), one.counts.get(k, 0)) for k, w in COUNTS if k != "missing" or one.choices.get("mode") == "replace"],
        "changed": [
            {"key": c["key"], "code": f"c{i}", "name": text(c["names"], "name"),
             "rows": [_difference(layer, d) for d in c["changes"]]}
            for i, c in enumerate(made["changed"])
        ],
        "odd": [o | {"sentence": _of_row(o["row"], told(o["sentence"]))} for o in made["odd"]],
        "repaired": made["repaired"],
        "new": [n | {"code": f"n{i}", "name": text(n["names"], "name")} for i, n in enumerate(made["new"])],
        "missing": [n | {"code": f"m{i}", "name": text(n["names"], "name")} for i, n in enumerate(made["missing"])],
        "refused": [r | {"reason": _reason(r), "field": _label(layer, r["field"]) if r.get("field") else "",
                         "code": f"r{r['row']}"} for r in made["refused"]],
        "notes": [told(n) for n in made["notes"]],
        "repairs": [told(n) for n in made["repairs"]],
        "shown": made["shown"],
        "blank": _blank(layer, made["refused"]),
        "rechecked": made.get("rechecked"), "facts": _facts(one, made.get("facts") or {}),
    }  # fmt: skip


def _of_row(row, sentence):
    """A sentence with the number of its row, where it does not begin with that."""
    if sentence.lower().startswith(("row ", "dòng ")):
        return sentence
    return _("Row %(n)s", n=row) + ": " + sentence


def _reason(refused):
    """Why a row is refused, without the name of the field that its label stands for."""
    return (
        told(refused["reason"]).replace(f" ({refused['field']})", "")
        if refused.get("field")
        else told(refused["reason"])
    )


def _blank(layer, refused):
    """Labels of required fields that refused rows leave blank, where one value for all can stand."""
    names = {r["field"] for r in refused if r.get("field") and r.get("value") in (None, "")}
    return (
        []
        if layer is None
        else [_label(layer, f.name) for f in layer.fields if f.required and f.name in names - set(layer.key)]
    )


def _facts(one, facts):
    """What was found in a raster, in words."""
    slot = (one.layer or "").removeprefix("raster:")
    unit = {"population": _("people"), "elevation": "m"}.get(slot, "")
    out = []
    if "people" in facts:
        out.append((_("People on our grid"), number(facts["people"], 0)))
    if "columns" in facts:
        cell = number(facts["cell"], 6).rstrip("0").rstrip(",.")
        size = f"{cell} {facts['cell_unit']}"
        out.append((_("Cells"), f"{number(facts['columns'], 0)} × {number(facts['rows'], 0)}, {size}"))
        out.append((_("Coordinate system"), facts["crs"]))
    if "land_covered" in facts:
        out.append((_("Share of the land that it covers"), percent(facts["land_covered"])))
    if "mean" in facts:
        out.append((_("Values"), _("%(least)s to %(most)s, on average %(mean)s %(unit)s", least=number(facts["least"]),
                                   most=number(facts["most"]), mean=number(facts["mean"]), unit=unit)))  # fmt: skip
    for name, share in sorted((facts.get("classes") or {}).items(), key=lambda c: -c[1])[:20]:
        out.append((_("Class %(name)s", name=name), percent(share)))
    return out


def _label(layer, field):
    if layer is None or field not in layer.by_name:
        return _("Place") if field == "geometry" else field
    return field_word(layer.by_name[field])


_PLACES = {"moved": N_("moved by %(distance)s"), "placed": N_("gets a place"), "unplaced": N_("loses its place"),
           "reshaped": N_("another outline")}  # fmt: skip


def _difference(layer, d):
    """One changed field as it stands and as it would be."""
    if "how" in d:
        words, how_far = _PLACES[d["how"]], distance(d["metres"])
        return {"label": _("Place"), "before": None, "after": _(words, distance=how_far)}
    field = d["field"]
    return {
        "label": _label(layer, field),
        "before": _value(layer, field, d["old"]),
        "after": _value(layer, field, d["new"]),
    }


def _value(layer, field, value):
    if value is None:
        return None
    f = layer.by_name.get(field)
    if f is not None and f.allowed:
        return layer.words(field, value, language())
    if isinstance(value, int | float):
        return str(int(value)) if f is not None and f.kind == "integer" and value == int(value) else number(value)
    return value


def trial_map(one, made, store, settings):
    """A map of what is new, changed, refused and removed, or None where nothing has a place."""
    layers, points = [], []
    made = made | {"was": [c | {"place": c["was"]} for c in made["changed"] if c.get("was")]}
    for kind, word in (
        ("was", _("where it is now")),
        ("missing", _("removed")),
        ("new", _("new")),
        ("changed", _("changed")),
        ("refused", _("refused")),
    ):
        features = [
            {"type": "Feature", "geometry": p["place"],
             "properties": {"code": _mark(kind, i, p), "name": p["key"] if "key" in p else _("Row %(n)s", n=p["row"]),
                            "note": word}}
            for i, p in enumerate(made[kind]) if p.get("place")
        ]  # fmt: skip
        if not features or (kind == "missing" and one.choices.get("mode") != "replace"):
            continue
        points += [xy for f in features for xy in _corners(f["geometry"])]
        style = {"color": SIGNS[kind], "weight": 2, "fillColor": SIGNS[kind], "fillOpacity": 0.35}
        style |= {"dashArray": "4 3", "fillOpacity": 0.1} if kind in ("refused", "missing", "was") else {}
        data = {"type": "FeatureCollection", "features": maps.rounded(features, 6)}
        layers.append(maps.GeoJsonLayer(kind, word, data=data, style=style))
    if not layers:
        return None
    return maps.map_page([atlas.ground(store), *layers], bounds=frame(points), settings=settings,
                         label=_("Map of the dry run"))  # fmt: skip


def _mark(kind, i, p):
    return {"new": f"n{i}", "changed": f"c{i}", "missing": f"m{i}", "was": f"w{i}"}.get(kind) or f"r{p['row']}"


def _corners(geometry):
    found = []

    def walk(value):
        if value and isinstance(value[0], int | float):
            found.append((value[0], value[1]))
        else:
            for v in value:
                walk(v)

    if geometry.get("coordinates"):
        walk(geometry["coordinates"])
    return found
