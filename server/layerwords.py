"""Versions of layers, changes and places in the reader's words; the pages of layers, versions and rows say them."""

import re
from datetime import datetime

import shapely
from flask import url_for

from layers.catalogue import ALL
from layers.errors import vietnamese
from layers.store import KEPT_FOR
from server import featureforms, i18n
from server.changes import size_of
from server.i18n import N_, language
from server.i18n import gettext as _
from server.layerbook import EDITED
from server.problems import label
from server.rowkeys import key_text

KIND_WORDS = {"added": N_("added"), "removed": N_("removed"), "changed": N_("changed")}
SHAPE_WORDS = {"placed": N_("placed on the map"), "unplaced": N_("taken from the map"), "moved": N_("moved"),
               "reshaped": N_("redrawn")}  # fmt: skip
_SOURCES = {
    EDITED: N_("edit of a row"),
    "edit of the file": N_("edit of the file"),
    "starter facts": N_("starter facts"),
}
_WHO = {"another program": N_("another program"), "system": N_("Cảng Xanh")}
_EDIT = re.compile(r"(?P<key>.*?): (?P<fields>\w+(?:, \w+)*)(?P<rest>(?:; .*)?)", re.DOTALL)
_ROW = re.compile(r"(?P<key>.*?) (?P<done>added|removed)(?P<rest>(?:; .*)?)", re.DOTALL)
_BACK = re.compile(r"; version (\d+) taken back$")
_IMPORT = re.compile(
    r"(?P<new>\d+) new, (?P<changed>\d+) changed, (?P<problems>\d+) problems(?:, sha256 (?P<sha>\w+))?"
)


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


def reason(version):
    """Why a row was edited, as its editor typed it into the form; blank where nothing was typed."""
    said = version["note"] or ""
    edit = (_EDIT.fullmatch(said) or _ROW.fullmatch(said)) if version["source"] == EDITED else None
    return "" if edit is None else _why(edit["rest"]).removeprefix("; ")


def _why(rest):
    back = _BACK.search(rest)
    return "; " + _("version %(n)s taken back", n=back[1]) if back else rest


def version_choices(every):
    """(number, words) of versions, newest first, to choose from."""
    return [(n, f"{n} · {i18n.date(datetime.fromisoformat(v['at']))} · {who(v)[:24]}") for n, v in every.items()]


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


def change(layer, c):
    """A Change as a table shows it: {code, key, name, kind, word, url, lines: [{label, old, new}], placed}."""
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
        "url": None if c.kind == "removed" or layer.gated else url_for("layerrows.feature", name=layer.name, key=code),
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


def row_title(layer, row):
    return i18n.text(row.values, "name") if "name_vi" in layer.by_name else ""
