"""What the pages of imports show: documents that the work wrote, made into rows, words and maps for templates."""

from datetime import datetime

from layers.catalogue import ALL
from layers.store import KEPT_FOR
from server import atlas, importdesk, maps
from server.citytime import local
from server.docket import CLASSERS
from server.i18n import N_, date, language, ngettext, number, percent, text
from server.i18n import gettext as _

STATE_WORDS = {
    "coming": N_("being sent"), "checking": N_("being checked"), "layer": N_("choose a layer"),
    "place": N_("choose the coordinates"), "columns": N_("check the columns"), "ready": N_("ready to apply"),
    "refused": N_("cannot be used so"), "failed": N_("the check failed"), "stopped": N_("stopped"),
    "applying": N_("being written"), "applied": N_("applied"), "undoing": N_("being undone"), "redoing": N_("being redone"),
    "undone": N_("undone"), "dropped": N_("laid aside"),
}  # fmt: skip
TONES = {"applied": "high", "ready": "medium", "layer": "medium", "place": "medium", "columns": "medium",
         "refused": "low", "failed": "low"}  # fmt: skip
STEPS = (("file", N_("File checked")), ("place", N_("Coordinates")), ("columns", N_("Columns")),
         ("trial", N_("Dry run")), ("done", N_("Applied")))  # fmt: skip
RASTER_WORDS = {"population": N_("Population (people per cell)"), "elevation": N_("Elevation (m)"),
                "land_cover": N_("Land cover (classes)")}  # fmt: skip
MODE_WORDS = {
    "upsert": (N_("Add and update"), N_("Rows whose key is known are changed, others are added. Nothing is removed, and "
                                        "fields that the file does not have stay as they are.")),
    "replace": (N_("Replace the whole layer"), N_("Afterwards the layer holds exactly the rows of this file. Rows that are "
                                                  "not in the file are removed.")),
    "append": (N_("Only add"), N_("All rows are new. A row whose key is there already is refused.")),
}  # fmt: skip
ROLE_WORDS = {"@x": N_("first coordinate (easting, longitude)"), "@y": N_("second coordinate (northing, latitude)"),
              "@pair": N_("both coordinates in one cell"), "@wkt": N_("outline as text (WKT)")}  # fmt: skip
COUNTS = (("new", N_("new")), ("changed", N_("changed")), ("same", N_("the same")), ("missing", N_("removed")),
          ("refused", N_("refused")))  # fmt: skip
AFTER_PLACE = ("columns", "ready", "failed", "stopped")  # when columns can be looked at again
MOST_CASES = 500  # shown of an import into the register
SIGNS = {"new": "#0b5c56", "changed": "#1d5fa8", "refused": "#a8310f", "missing": "#5d6b69", "was": "#1d5fa8"}


def state_word(one):
    """How an import stands, in words."""
    n = one.counts or {}
    gone = n.get("missing") if one.choices.get("mode") == "replace" else 0
    if one.state == "ready" and n.get("refused") and not (n.get("new") or n.get("changed") or gone):
        return _("nothing to write")
    return _(STATE_WORDS[one.state])


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


def moment(at, now):
    """A time of the journal as people read it: today by the clock, before by the day."""
    there = local(at)
    return there.strftime("%H:%M") if there.date() == now.date() else date(there.date())


def summary(one, now, role="administrator"):
    """One import as a row of the list and as the head of its page, for a person of this role."""
    back = may_undo(one, now) and (not one.gated or role in CLASSERS)
    counts = {k: n for k, n in (one.counts or {}).items() if k != "missing" or one.choices.get("mode") == "replace"}
    return {
        "number": one.number, "code": one.code, "name": one.name, "layer": layer_word(one.layer),
        "who": one.who, "at": moment(one.at, now), "state": one.state, "word": state_word(one),
        "tone": TONES.get(one.state, "unknown"),
        "counts": [(k, _(w), number(counts[k])) for k, w in COUNTS if counts.get(k)],
        "undo": one.state == "applied" and back, "redo": one.state == "undone" and back,
        "revision": one.revision, "size": size_word(one.size),
    }  # fmt: skip


def size_word(size):
    """A number of bytes as people say it."""
    return f"{number(size / 1e6, 1)} MB" if size >= 1e5 else f"{number(max(size / 1e3, 0.1), 1)} kB"


def may_undo(one, now):
    """Whether the version before is still kept, as far as the import itself knows."""
    if not one.written_at or (one.gated and not one.written):
        return False
    return now - datetime.fromisoformat(one.written_at) < KEPT_FOR


def steps(one, look, at):
    """The line of steps: key, label, state (done, now, todo, skipped, wrong) and the address of one that can be opened."""
    place = place_state(one, look)
    order = [k for k, _w in STEPS]
    reached = {"layer": "file", "place": "place", "columns": "columns", "ready": "trial", "applying": "done",
               "applied": "done", "undoing": "done", "redoing": "done", "undone": "done"}.get(one.state, at)  # fmt: skip
    out = []
    for key, word in STEPS:
        state = "done" if order.index(key) < order.index(reached) else "todo"
        state = "done" if key == "done" and one.state == "applied" else state
        if key == "place" and state == "done":
            state = place
        if key == "place" and place == "skipped" and one.layer:
            state = "skipped"
        if key == "columns" and one.layer and one.layer.startswith("raster:"):
            state = "skipped"
        if key == at and not (key == "done" and one.state == "applied"):
            state = "wrong" if one.state in ("refused", "failed") else "now"
        url = f"/admin/import/{one.number}?step={key}" if key != at and opens(one, look, key) else None
        out.append({"key": key, "label": _(word), "state": state, "url": url, "current": key == at})
    return out


def place_state(one, look):
    """How the step of coordinates stands: skipped where there are none to choose."""
    if not (look or {}).get("columns"):
        return "todo"  # nothing is known of the file
    return "done" if look.get("doctor") else "skipped"


def opens(one, look, step):
    """Whether a step has something to show now."""
    if one.state in ("coming", *importdesk.BUSY) or not look:
        return False
    raster = bool(one.layer and one.layer.startswith("raster:"))
    if step == "file":
        return one.state in importdesk.WAITING
    if step == "place":
        return bool(look.get("doctor"))
    if step == "columns":
        return bool(one.layer) and not raster and bool(look.get("columns")) and one.state in AFTER_PLACE
    if step == "trial":
        return one.counts is not None
    return one.state in ("applied", "undone")


def first_step(one, look):
    """The step that a page shows when none was asked for."""
    if one.state == "refused" and ((look or {}).get("doctor") or {}).get("verdict") == "refused":
        return "place"
    if one.state == "checking":
        return "trial" if one.choices.get("seen") else "file"
    return {"applying": "done", "undoing": "done", "redoing": "done", "layer": "file", "place": "place", "columns": "columns", "ready": "trial", "applied": "done",
            "undone": "done"}.get(one.state, "file")  # fmt: skip


# --- the layer ------------------------------------------------------------------------------------


def layers_for(one, look, role):
    """The layers that a role may choose from: (value, word, hint), the likeliest first."""
    if one is not None and one.name.endswith((".tif", ".tiff")):
        return [(f"raster:{s}", _(w), "") for s, w in RASTER_WORDS.items()]
    matched = {r["name"]: r["matched"] for r in (look or {}).get("layers", ())}
    names = [n for n in ALL if importdesk.can_import(n) and (role in CLASSERS or not ALL[n].gated)]
    names.sort(key=lambda n: -matched.get(n, 0))
    return [(n, layer_word(n), _("%(n)s columns fit", n=number(matched[n])) if matched.get(n) else "") for n in names]


# --- coordinates ----------------------------------------------------------------------------------


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
        "apart": _distance(found.get("apart_m")), "readings": readings, "rows": found.get("rows", []), "used": used,
    }  # fmt: skip


def _distance(metres):
    if metres is None:
        return ""
    return f"{number(metres / 1000, 1)} km" if metres >= 1000 else f"{number(metres, 0)} m"


def _reading_lines(r, parts):
    if r["epsg"] is None:
        for p in parts:
            yield p[f"name_{language()}"], ngettext("%(num)s row", "%(num)s rows", p["rows"])
    if r.get("share_inside") is not None:
        yield _("Points in the city"), _share(r["share_inside"])
    if r.get("share_near") is not None:
        yield _("Near the commune they name"), _share(r["share_near"])
    if r.get("median_m"):
        yield _("Half of the points lie farther off than"), _distance(r["median_m"])


def _share(value):
    return f"{number(100 * value, 0)} %"


def pair_maps(made, store, settings):
    """A Folium map for each of the first two readings: its points, and hollow those of the other one."""
    pair = made["readings"][:2]
    bounds = _frame([(p[0], p[1]) for r in pair for p in r["points"]])
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


def _frame(points, margin=0.03):
    """Bounds that hold the points, or the city where there are none or they lie far away."""
    near = [(lon, lat) for lon, lat in points if 104 < lon < 109 and 19 < lat < 23]
    if not near:
        return atlas.CITY_BOUNDS
    lons, lats = [p[0] for p in near], [p[1] for p in near]
    return ((min(lats) - margin, min(lons) - margin), (max(lats) + margin, max(lons) + margin))


# --- columns --------------------------------------------------------------------------------------


def columns(one, look):
    """The mapping table: a row for each column, the fields to choose from, the fields that one value may fill."""
    layer = ALL[one.layer]
    chosen = one.choices.get("columns")
    rows = []
    for i, c in enumerate(look["columns"]):
        c = c | {"guess": c["guess"] or c["role"]}
        name = c["name"]
        if chosen is not None and name in chosen:
            field, by = chosen[name], "chosen" if one.choices.get("seen") else "remembered"
        else:
            field, by = c.get("guess") or "", "guessed" if c.get("guess") else ""
        rows.append(c | {"at": i, "field": field, "by": by})
    taken = {r["field"] for r in rows if r["field"]}
    return {
        "rows": rows,
        "fields": [(f.name, _field_word(f), f.required) for f in layer.fields],
        "roles": [(r, _(w)) for r, w in ROLE_WORDS.items()] if layer.geometry else [],
        "key": [_field_word(layer.by_name[k]) for k in layer.key],
        "key_missing": [_field_word(layer.by_name[k]) for k in layer.key if k not in taken],
        "fills": sorted(
            (_fill(f, one, f.name in taken, layer.key) for f in layer.fields if may_fill(f, layer)),
            key=lambda fill: fill["has_column"],
        ),
        "modes": [(m, _(w), _(t)) for m, (w, t) in MODE_WORDS.items() if m == "upsert" or not layer.gated],
        "mode": one.choices.get("mode", "upsert"),
        "remembered": look.get("remembered"),
    }


def read_columns(one, look, form):
    """What was chosen on the page of columns, as Imports.choose() takes it, and {field of the form: sentence}."""
    layer, errors, columns, taken = ALL[one.layer], {}, {}, {}
    for i, c in enumerate(look["columns"]):
        field = form.get(f"field-{i}", "")
        if field and field not in layer.by_name and not (layer.geometry and field in ROLE_WORDS):
            errors[f"field-{i}"] = _("Choose a field from the list for the column “%(column)s”.", column=c["name"])
        elif field in taken:
            errors[f"field-{i}"] = _(
                "“%(field)s” is chosen for two columns, “%(first)s” and “%(second)s”. Leave one of them out.",
                field=_field_word(layer.by_name[field]) if field in layer.by_name else _(ROLE_WORDS[field]), first=taken[field], second=c["name"],
            )  # fmt: skip
        elif field:
            taken[field] = c["name"]
        columns[c["name"]] = field
    for k in layer.key:
        if k not in taken and not ("#" in form.get(f"fill-{k}", "") and layer.key == (k,)):
            errors["columns"] = _("Say which column holds the key “%(field)s”: without it no row can be told from another.",
                                  field=_field_word(layer.by_name[k]))  # fmt: skip
    if ("@x" in taken) != ("@y" in taken):
        errors["columns"] = _("Coordinates need two columns: say which one is the other.")
    fill = {}
    for f in layer.fields:
        value = (form.get(f"fill-{f.name}") or "").strip()[:1000]
        if not value or not may_fill(f, layer):
            continue
        if f.name in layer.key and "#" not in value:
            errors[f"fill-{f.name}"] = _("Write # where the number of the row goes, such as T-#: keys must differ.")
        if f.allowed and value not in {c.value for c in f.allowed}:
            errors[f"fill-{f.name}"] = _("Choose one of the values for “%(field)s”.", field=_field_word(f))
        fill[f.name] = value
    mode = form.get("mode", "")
    if mode not in MODE_WORDS or (layer.gated and mode != "upsert"):
        errors["mode"] = _("Choose what happens with rows that are there already.")
    chosen = {"columns": columns, "fill": fill, "mode": mode}
    before = one.choices.get("columns") or {c["name"]: c["role"] for c in look["columns"]}
    if _places(before) != _places(columns):
        chosen["reading"] = None  # other columns: the doctor looks anew
    return chosen, errors


def _places(columns):
    return {role: c for c, role in columns.items() if role in ROLE_WORDS}


def _field_word(f):
    return getattr(f, language()) + (f" ({f.unit})" if f.unit else "")


def may_fill(f, layer):
    """Whether one value may stand for a blank field: required ones, and a key by the number of the row."""
    return f.required and (f.name not in layer.key or layer.key == (f.name,))


def _fill(f, one, has_column, key):
    value = (one.choices.get("fill") or {}).get(f.name, "")
    made = {"name": f"fill-{f.name}", "label": _field_word(f), "value": value, "kind": "text", "has_column": has_column,
            "hint": _("for rows where the column is blank") if has_column else _("for all new rows")}  # fmt: skip
    if f.name in key:
        made |= {"has_column": True, "hint": _("for rows without one: write T-# and # becomes the number of the row")}
    if f.allowed:
        made |= {"kind": "choice", "options": [(c.value, getattr(c, language())) for c in f.allowed]}
    return made


# --- the dry run ----------------------------------------------------------------------------------


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
        "odd": [o | {"sentence": told(o["sentence"])} for o in made["odd"]],
        "repaired": made["repaired"],
        "new": [n | {"code": f"n{i}", "name": text(n["names"], "name")} for i, n in enumerate(made["new"])],
        "missing": [n | {"code": f"m{i}", "name": text(n["names"], "name")} for i, n in enumerate(made["missing"])],
        "refused": [r | {"reason": told(r["reason"]), "field": _label(layer, r["field"]) if r.get("field") else "",
                         "code": f"r{r['row']}"} for r in made["refused"]],
        "notes": [told(n) for n in made["notes"]],
        "repairs": [told(n) for n in made["repairs"]],
        "shown": made["shown"],
        "blank": _blank(layer, made["refused"]),
        "rechecked": made.get("rechecked"), "facts": _facts(one, made.get("facts") or {}),
    }  # fmt: skip


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
    return _field_word(layer.by_name[field])


_PLACES = {"moved": N_("moved by %(distance)s"), "placed": N_("gets a place"), "unplaced": N_("loses its place"),
           "reshaped": N_("another outline")}  # fmt: skip


def _difference(layer, d):
    """One changed field as it stands and as it would be."""
    if "how" in d:
        words, how_far = _PLACES[d["how"]], _distance(d["metres"])
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
    return maps.map_page([atlas.ground(store), *layers], bounds=_frame(points), settings=settings,
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


# --- cases of the register ------------------------------------------------------------------------


_DID = {"registered": N_("opened by this import"), "edit": N_("facts changed by this import"),
        "reject": N_("rejected when the import was taken back"), "undo": N_("taken up again when it was put back")}  # fmt: skip
STAYED = N_("it stayed as it is when the rest was taken back")


def register(one, book):
    """The cases that an import touched, or None: dicts of code, name, stage, did, able, why, and how many go back."""
    if not one.gated or not one.written:
        return None
    rows = {r["code"]: r for r in book.touched(one.mark(1))}
    for r in rows.values():
        words = _DID[r["action"]]
        r["did"] = _(words)
    if one.restored:
        now = {r["code"]: r for r in book.touched(one.mark(one.restored))}
        for code, r in rows.items():
            r |= {k: now[code][k] for k in ("able", "why")} if code in now else {"able": False, "why": STAYED}
    for r in rows.values():
        words = r["why"]
        r |= {"name": text(r, "name"), "stage": ALL[one.layer].words("stage", r["stage"], language())}
        r |= {"why": _(words) if words else ""}
    told = list(rows.values())
    return {"rows": told[:MOST_CASES], "all": len(told), "able": sum(r["able"] for r in told)}
