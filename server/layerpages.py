"""What the pages of layers, versions and rows show, as plain dicts: words, numbers as written, addresses, maps."""

import json
import re
from datetime import datetime

import shapely
from flask import url_for

from geo.coverage import PARTS
from geo.systems import SYSTEMS
from layers import export
from layers.catalogue import ALL
from layers.errors import vietnamese
from layers.letters import fold
from layers.rows import plain
from layers.store import KEPT_FOR
from server import atlas, changes, corners, featureforms, i18n, maps, words
from server.changes import size_of
from server.featureedits import key_of, row_of
from server.i18n import N_, language, moment
from server.i18n import gettext as _
from server.layerbook import EDITED
from server.problems import label
from server.rowkeys import key_text

PER_PAGE = 50
DRAWN = 2000  # places of one kind on the map of a comparison
NEAR = 300  # neighbours that a drawing may snap to
KIND_WORDS = {"added": N_("added"), "removed": N_("removed"), "changed": N_("changed")}
SHAPE_WORDS = {"placed": N_("placed on the map"), "unplaced": N_("taken from the map"), "moved": N_("moved"),
               "reshaped": N_("redrawn")}  # fmt: skip
GEOMETRY_WORDS = {
    "Point": N_("points"),
    "Polygon": N_("areas"),
    "Geometry": N_("points, lines or areas"),
    None: N_("table"),
}
STYLES = {
    "removed": {"color": "#8c1d13", "weight": 2.5, "dashArray": "7 4", "fillColor": "#8c1d13", "fillOpacity": 0.1},
    "was": {"color": "#7d5200", "weight": 2.5, "dashArray": "2 5", "fillOpacity": 0},
    "moves": {"color": "#16252b", "weight": 1.5, "dashArray": "1 4", "fill": False},
    "now": {"color": "#1d5fa8", "weight": 2.5, "fillColor": "#1d5fa8", "fillOpacity": 0.12},
    "added": {"color": "#0b5c56", "weight": 2.5, "fillColor": "#0b5c56", "fillOpacity": 0.25},
}
STYLE_WORDS = {"added": N_("added"), "removed": N_("removed"), "was": N_("old place or outline"),
               "now": N_("new place or outline"), "moves": N_("from old to new")}  # fmt: skip
_SOURCES = {
    EDITED: N_("edit of a row"),
    "edit of the file": N_("edit of the file"),
    "starter facts": N_("starter facts"),
}
_WHO = {"another program": N_("another program"), "system": N_("Cảng Xanh")}


def title(layer):
    return getattr(layer, language())


def sentence(text):
    """A sentence of the floors below in the reader's language, where it has one."""
    return vietnamese(text) if language() == "vi" else str(text)


def who(version):
    name = version["who"]
    return _(_WHO[name]) if name in _WHO else name


def source(version):
    """Where a version comes from, in the reader's words: a file's name stays as it is."""
    said = version["source"] or ""
    if said in _SOURCES:
        return _(_SOURCES[said])
    if said.startswith("version ") and said[8:].isdecimal():
        return _("version %(n)s put back", n=said[8:])
    return said


_EDIT = re.compile(r"(?P<key>.*?): (?P<fields>\w+(?:, \w+)*)(?P<rest>(?:; .*)?)", re.DOTALL)
_ROW = re.compile(r"(?P<key>.*?) (?P<done>added|removed)(?P<rest>(?:; .*)?)", re.DOTALL)
_BACK = re.compile(r"; version (\d+) taken back$")
_IMPORT = re.compile(
    r"(?P<new>\d+) new, (?P<changed>\d+) changed, (?P<problems>\d+) problems(?:, sha256 (?P<sha>\w+))?"
)


def note(version):
    """The note of a version in the reader's words; blank where it says no more than the source does."""
    said = version["note"] or ""
    if said.endswith(" put back"):
        return ""
    if said == "first start":
        return _("first start")
    layer = ALL.get(version["layer"]) if version["source"] == EDITED else None
    if layer and (edit := _EDIT.fullmatch(said)):
        return f"{edit['key']}: {', '.join(label(layer, n) for n in edit['fields'].split(', '))}{_why(edit['rest'])}"
    if layer and (whole := _ROW.fullmatch(said)):
        done = KIND_WORDS[whole["done"]]
        return f"{whole['key']}: {_(done)}{_why(whole['rest'])}"
    brought = _IMPORT.fullmatch(said)
    if brought:
        told = _("new: %(new)s, changed: %(changed)s, problems: %(problems)s", **brought.groupdict())
        return told + (f", SHA-256 {brought['sha']}" if brought["sha"] else "")
    return said


def _why(rest):
    back = _BACK.search(rest)
    return "; " + _("version %(n)s taken back", n=back[1]) if back else rest


def version_choices(every):
    """(number, words) of versions, newest first, to choose from."""
    return [(n, f"{n} · {i18n.date(datetime.fromisoformat(v['at']))} · {who(v)[:24]}") for n, v in every.items()]


# --- all layers ---


def overview(book):
    """One dict per layer and table for /admin/layers; those with something to do first."""
    out = []
    for row in book.overview():
        layer = row["layer"]
        out.append({
            "name": layer.name, "title": title(layer), "geometry": _(GEOMETRY_WORDS[layer.geometry]), "rows": row["rows"],
            "version": row["version"], "at": row["at"], "when": moment(row["at"]), "gated": layer.gated,
            "who": who(row) if row["who"] else "", "source": source(row), "refused": [sentence(p) for p in row["refused"]],
            "public": layer.public,
        })  # fmt: skip
    return out


# --- versions and their differences ---


def version_rows(book, name, *, most):
    """(rows of the newest versions, how many there are): what a version is and what it changed."""
    every = book.versions(name)
    kept = {v["version"] for v in every if v["kept"]}
    edits = book.edits(name)
    return [_version(book, v, kept, edits) for v in every[:most]], len(every)


def _version(book, v, kept, edits):
    counts = book.counts(v, kept, edits)
    return v | {
        "when": moment(v["at"]), "who": who(v), "source": source(v), "note": note(v), "counts": counts,
        "words": counts_words(counts) if counts else "", "short": v["sha256"][:12],
    }  # fmt: skip


def counts_words(counts):
    """What a difference holds, in one line."""
    said = [
        _("%(n)s added", n=i18n.number(counts["added"])) if counts["added"] else "",
        _("%(n)s changed", n=i18n.number(counts["changed"])) if counts["changed"] else "",
        _("%(n)s removed", n=i18n.number(counts["removed"])) if counts["removed"] else "",
    ]
    return ", ".join(s for s in said if s) or _("no difference")


def kept_words():
    return _("The rows of earlier versions are kept for %(n)s days.", n=KEPT_FOR.days)


def change_rows(layer, found):
    """Changes as the table shows them: {code, key, name, kind, word, url, lines: [{label, old, new}], shape}."""
    return [_change(layer, c) for c in found]


def _change(layer, c):
    code = key_text(c.key)
    lines = [
        {"field": n, "label": label(layer, n), "old": featureforms.shown(layer.by_name[n], a),
         "new": featureforms.shown(layer.by_name[n], b)}
        for n, (a, b) in c.fields.items()
    ]  # fmt: skip
    if c.shape and c.kind == "changed":
        lines.append({"field": "geometry", "label": label(layer, "geometry"), **shape_words(c.shape)})
    return {
        "code": code, "key": key_words(c.key), "name": i18n.text({"name_vi": c.name_vi, "name_en": c.name_en}, "name") or "",
        "kind": c.kind, "word": _(KIND_WORDS[c.kind]), "lines": lines, "placed": c.shape is not None,
        "url": None if c.kind == "removed" or layer.gated else url_for("layers.feature", name=layer.name, key=code),
    }  # fmt: skip


def key_words(key):
    return " / ".join("–" if p is None else i18n.date(p) if hasattr(p, "year") else str(p) for p in key)


def shape_words(shape):
    """{old, new} of a changed place in words: where a point was and is, how large an area was and is."""
    told = _(SHAPE_WORDS[shape.how])
    if shape.how == "moved":
        told = _("moved by %(distance)s", distance=metres(shape.metres))
    new = place_words(shape.new)
    return {"old": place_words(shape.old), "new": f"{told}: {new}" if shape.new is not None else told}


def metres(value):
    if value < 1:
        return f"{i18n.number(value * 100, 1)} cm"
    return (
        f"{i18n.number(value, 1 if value < 100 else 0)} m" if value < 10_000 else f"{i18n.number(value / 1000, 1)} km"
    )


def place_words(shape):
    """A place in a few words: a point by its degrees, a line by its length, an area by its size and corners."""
    if shape is None:
        return _("no place")
    size = size_of(shape)
    if size is None:
        return (
            f"{i18n.number(shape.y, 6)}; {i18n.number(shape.x, 6)}" if shape.geom_type == "Point" else shape.geom_type
        )
    closing = sum(1 + len(part.interiors) for part in shapely.get_parts(shape)) if size[1] == "m²" else 0
    n = _("%(n)s corners", n=i18n.number(len(shapely.get_coordinates(shape)) - closing))
    if size[1] == "m":
        return f"{metres(size[0])}, {n}"
    area = f"{i18n.number(size[0] / 10_000, 2)} ha" if size[0] < 10_000_000 else f"{i18n.number(size[0] / 1e6, 2)} km²"
    return f"{area}, {n}"


def field_choices(layer, difference):
    """(name, label) of the fields in which changed rows differ."""
    names = {n for c in difference.changes if c.kind == "changed" for n in c.fields}
    out = [(f.name, label(layer, f.name)) for f in layer.fields if f.name in names]
    return [*out, ("geometry", label(layer, "geometry"))] if difference.counts["shape"] else out


def csv_of(layer, found):
    """The CSV file of some changes: one line per field, UTF-8 with byte-order mark, words of the reader's language."""
    heads = {"change": _("Change"), **{k: label(layer, k) for k in layer.key}, "label": _("Field"),
             "field": _("Field name"), "old": _("Before"), "new": _("After")}  # fmt: skip
    kinds = {kind: _(said) for kind, said in KIND_WORDS.items()}
    lines = [
        {
            heads[k]: v
            for k, v in (line | {"change": kinds[line["change"]], "label": label(layer, line["field"])}).items()
        }
        for line in changes.table(layer, found)
    ]
    return export.csv_bytes(lines, list(heads.values()))


# --- the map of a comparison ---


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


# --- rows of a layer ---


def columns(layer):
    """The fields that a list of rows shows: key, name, and a few facts that can be compared."""
    first = [layer.by_name[k] for k in layer.key]
    name = layer.by_name.get("name_en" if language() == "en" else "name_vi")
    own = [f for _key, _title, fields in featureforms.groups(layer)[1:2] for f in fields]
    short = [f for f in own if f.allowed or f.kind != "text" or f.required]
    tail = [layer.by_name[n] for n in ("geometry_quality", "confidence") if n in layer.by_name][:1]
    return [*first, *([name] if name and name not in first else []), *short[:4], *tail]


def listed(book, layer, *, typed, sort, descending, page):
    """Rows of the newest version that hold the typed words, one page of them: dict for the template."""
    number, held = book.now(layer.name)
    found = book.found(layer.name, number, typed)
    if sort:
        column = held.frame[sort].to_numpy()
        kind = layer.by_name[sort].kind
        known = [i for i in found if plain(column[i], "text" if kind == "date" else kind) is not None]
        known.sort(key=lambda i: fold(column[i]) if kind == "text" else column[i], reverse=descending)
        there = set(known)
        found = [*known, *(i for i in found if i not in there)]
    pages = max(1, -(-len(found) // PER_PAGE))
    page = min(max(1, page), pages)
    shown_columns = columns(layer)
    rows = []
    for i in found[(page - 1) * PER_PAGE : page * PER_PAGE]:
        row = row_of(layer, held.frame.iloc[i])
        code = key_text(key_of(layer, row))
        rows.append({
            "code": code, "url": url_for("layers.feature", name=layer.name, key=code),
            "cells": [_cell(f, row.values[f.name]) for f in shown_columns],
            "placed": row.place is not None,
        })  # fmt: skip
    return {"rows": rows, "total": len(held.frame), "found": len(found), "page": page, "pages": pages, "version": number,
            "columns": [{"name": f.name, "label": getattr(f, language()), "num": f.kind in ("number", "integer"),
                         "less": i > len(layer.key)} for i, f in enumerate(shown_columns)]}  # fmt: skip


def _cell(f, value):
    """A value in a list: a code by its word without the explanation after it."""
    text = featureforms.shown(f, value)
    return {"text": text.partition(":")[0] if f.allowed else text, "num": f.kind in ("number", "integer")}


# --- one row ---


def row_title(layer, row):
    return i18n.text(row.values, "name") if "name_vi" in layer.by_name else ""


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


def past(layer, entries):
    """The history of a row for the page: {version, when, who, source, note, word, lines, can_undo}."""
    out = []
    for e in entries:
        v = e.version
        made = {"version": v["version"], "when": moment(v["at"]), "at": v["at"], "who": who(v),
                "source": source(v), "word": "", "lines": [],
                "can_undo": e.change is not None and (e.change.kind != "added" or v["source"] == EDITED)}  # fmt: skip
        if e.change:
            shown = _change(layer, e.change)
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


# --- figures with the data of then ---


def figure_rows(views):
    """The ledger of the city computed with several states of the data, as rows: {label, cells, main}.

    views: Coverages, None where one cannot be computed: a dash.
    """
    total = [v.total if v else None for v in views]
    asked = [(_("Waste water generated"), lambda t: _range(t["generated"]))]
    asked += [(words.word("part", part), lambda t, part=part: _range(t["spans"].get(part))) for part in PARTS]
    asked += [(_("Share that is treated"), lambda t: _share(t["treated_share"]))]
    return [
        {"label": label, "cells": [i18n.NO_DATA if t is None else cell(t) for t in total], "main": i == 0}
        for i, (label, cell) in enumerate(asked)
    ]


def _range(value):
    return i18n.m3_range(value) if value is not None else i18n.NO_DATA


def _share(value):
    return i18n.percent_range(value) if value is not None else i18n.NO_DATA
