"""What the pages of versions show, as plain dicts: versions, what each changed, and figures with the data of then."""

from geo.coverage import PARTS
from layers import export
from server import changes, i18n, words
from server.i18n import gettext as _
from server.i18n import moment
from server.layerwords import KIND_WORDS, change, counts_words, note, source, who
from server.problems import label


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


def change_rows(layer, found):
    """Changes as the table shows them: {code, key, name, kind, word, url, lines: [{label, old, new}], shape}."""
    return [change(layer, c) for c in found]


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
