"""What the pages of all layers and of the rows of one show, as plain dicts: words, numbers as written, addresses."""

from flask import url_for

from layers.letters import fold
from layers.rows import plain
from server import featureforms
from server.featureedits import key_of, row_of
from server.i18n import N_, language, moment
from server.i18n import gettext as _
from server.layerwords import sentence, source, title, who
from server.rowkeys import key_text

PER_PAGE = 50
GEOMETRY_WORDS = {
    "Point": N_("points"),
    "Polygon": N_("areas"),
    "Geometry": N_("points, lines or areas"),
    None: N_("table"),
}


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


def columns(layer):
    """The fields that a list of rows shows: key, name, and a few facts that can be compared."""
    first = [layer.by_name[k] for k in layer.key]
    name = layer.by_name.get("name_en" if language() == "en" else "name_vi")
    facts = [f for key, _title, fields in featureforms.groups(layer) if key == "facts" for f in fields]
    short = [f for f in facts if f.allowed or f.kind != "text" or f.required][:4]
    tail = [layer.by_name[n] for n in ("geometry_quality", "confidence", "source_date") if n in layer.by_name]
    return [*first, *([name] if name and name not in first else []), *short, *tail[: 1 if short else 3]]


def chosen(book, layer, query):
    """(number, Held, row numbers) of the newest version: the rows with the words of `query`, in its order.

    query: {"q", "sort", "dir"}; blanks come last in both directions.
    """
    number, held = book.now(layer.name)
    found = book.found(layer.name, number, query["q"])
    if query["sort"]:
        column = held.frame[query["sort"]].to_numpy()
        kind = layer.by_name[query["sort"]].kind
        known = [i for i in found if plain(column[i], "text" if kind == "date" else kind) is not None]
        known.sort(key=lambda i: fold(column[i]) if kind == "text" else column[i], reverse=query["dir"] == "desc")
        there = set(known)
        found = [*known, *(i for i in found if i not in there)]
    return number, held, found


def listed(book, layer, query, *, page):
    """One page of the rows of chosen(): dict for the template."""
    number, held, found = chosen(book, layer, query)
    pages = max(1, -(-len(found) // PER_PAGE))
    page = min(max(1, page), pages)
    shown_columns = columns(layer)
    rows = []
    for i in found[(page - 1) * PER_PAGE : page * PER_PAGE]:
        row = row_of(layer, held.frame.iloc[i])
        code = key_text(key_of(layer, row))
        rows.append({
            "code": code, "url": url_for("layerrows.feature", name=layer.name, key=code),
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
