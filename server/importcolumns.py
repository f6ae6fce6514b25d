"""The page of columns: which column of a file goes to which field, which value stands for blanks; and its form, read."""

from layers.catalogue import ALL
from server.i18n import N_, language
from server.i18n import gettext as _
from server.importwords import field_word

MODE_WORDS = {
    "upsert": (N_("Add and update"), N_("Rows whose key is known are changed, others are added. Nothing is removed, and "
                                        "fields that the file does not have stay as they are.")),
    "replace": (N_("Replace the whole layer"), N_("Afterwards the layer holds exactly the rows of this file. Rows that are "
                                                  "not in the file are removed.")),
    "append": (N_("Only add"), N_("All rows are new. A row whose key is there already is refused.")),
}  # fmt: skip
ROLE_WORDS = {"@x": N_("first coordinate (easting, longitude)"), "@y": N_("second coordinate (northing, latitude)"),
              "@pair": N_("both coordinates in one cell"), "@wkt": N_("outline as text (WKT)")}  # fmt: skip


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
        "fields": [(f.name, field_word(f), f.required) for f in layer.fields],
        "roles": [(r, _(w)) for r, w in ROLE_WORDS.items()] if layer.geometry else [],
        "key": [field_word(layer.by_name[k]) for k in layer.key],
        "key_missing": [field_word(layer.by_name[k]) for k in layer.key if k not in taken],
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
                field=field_word(layer.by_name[field]) if field in layer.by_name else _(ROLE_WORDS[field]), first=taken[field], second=c["name"],
            )  # fmt: skip
        elif field:
            taken[field] = c["name"]
        columns[c["name"]] = field
    for k in layer.key:
        if k not in taken and not ("#" in form.get(f"fill-{k}", "") and layer.key == (k,)):
            errors["columns"] = _("Say which column holds the key “%(field)s”: without it no row can be told from another.",
                                  field=field_word(layer.by_name[k]))  # fmt: skip
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
            errors[f"fill-{f.name}"] = _("Choose one of the values for “%(field)s”.", field=field_word(f))
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


def may_fill(f, layer):
    """Whether one value may stand for a blank field: required ones, and a key by the number of the row."""
    return f.required and (f.name not in layer.key or layer.key == (f.name,))


def _fill(f, one, has_column, key):
    value = (one.choices.get("fill") or {}).get(f.name, "")
    made = {"name": f"fill-{f.name}", "label": field_word(f), "value": value, "kind": "text", "has_column": has_column,
            "hint": _("for rows where the column is blank") if has_column else _("for all new rows")}  # fmt: skip
    if f.name in key:
        made |= {"has_column": True, "hint": _("for rows without one: write T-# and # becomes the number of the row")}
    if f.allowed:
        made |= {"kind": "choice", "options": [(c.value, getattr(c, language())) for c in f.allowed]}
    return made
