"""The forms beside the steps of a case: what its writer changes, what becomes public, and two people's values."""

from flask import url_for

from server import casefile, caseforms, drawing
from server.casebook import FACTS
from server.i18n import gettext as _
from server.remediation import CLASSES

OWN = ("officer", "facility", "severity_class", "class_reason")


def own_fields(case, officers, may_class, values, errors):
    """The fields of a case that are no facts of the layer: officer, suspected source, class and its reasons."""
    made = [
        caseforms.field("officer", _("Officer"), "choice", options=officers, value=case.officer, blank=_("nobody yet")),
        caseforms.field("facility", _("Suspected source"), list="facilities", value=case.facility, most=100,
                        hint=_("Code of a facility, such as KCN07.")),
    ]  # fmt: skip
    if may_class:
        made += [
            caseforms.field("severity_class", _("Class"), "choice", required=True, value=case.severity_class,
                            options=[(c, _(label)) for c, label in CLASSES]),
            caseforms.field("class_reason", _("Reasons for the class"), "long", value=case.class_reason, most=2000, rows=2),
        ]  # fmt: skip
    return caseforms.filled(made, values, errors)


def new_fields(wards, facility, values, errors):
    """What a new case is told beside its facts: suspected source, ward where no place is marked."""
    made = [
        caseforms.field("facility", _("Suspected source"), list="facilities", value=facility, most=100,
                        hint=_("Code of a facility, such as KCN07.")),
        caseforms.field("ward", _("Ward"), "choice", options=wards, blank=_("from the place on the map")),
    ]  # fmt: skip
    return caseforms.filled(made, values, errors)


def gate_forms(code, may, pending, *, asked=None, values=None, errors=None):
    """The forms to propose and to withdraw. pending: of office.pending_fields; every field can be held back."""
    forms = []
    if "publish" in may:
        shown = values.getlist("fields") if asked == "publish" and values is not None else [f["field"] for f in pending]
        forms.append({
            "id": "publish", "label": _("Propose for publication"), "act": url_for("casework.propose", code=code),
            "button": _("Propose"), "note": _("Nothing becomes public before a second person approves it."),
            "fields": [
                caseforms.field("fields", _("These fields become public"), "checks", required=True, value=shown,
                                options=[(f["field"], f["label"]) for f in pending]),
                caseforms.field("embargo", _("Not public before"), "date"),
                caseforms.field("note", _("Note for who approves"), most=1000),
            ],
        })  # fmt: skip
    if "withdraw" in may:
        forms.append({
            "id": "withdraw", "label": _("Withdraw from the public side"), "act": url_for("casework.withdraw", code=code),
            "button": _("Withdraw now"), "warn": True,
            "note": _("At once, without a second person: the public page returns to what it showed before the last publication."),
            "fields": [caseforms.field("reason", _("Reason, shown in public"), "long", required=True, most=1000, rows=2)],
        })  # fmt: skip
    return [caseforms.opened(f, asked, values, errors) for f in forms]


# --- two people at once ---


def conflict_rows(case, form):
    """([field, label, mine, theirs, both changed ...], [(name, value) of what else was typed]) of a form that came too late.

    Only fields that its writer changed are told; where the other person changed the same field, one must be chosen.
    """
    base = caseforms.parsed(form.get("base"))
    rows = []
    for name in (*FACTS, *OWN):
        mine = _typed(form, name)
        if mine is None or mine == _text(base.get(name)):
            continue
        now = _text(case.facts.get(name) if name in FACTS else getattr(case, name))
        rows.append({
            "field": name, "label": label(name), "mine": casefile.shown_value(name, mine), "value": mine,
            "values": mine.split(";") if name == "media" else [mine], "theirs": casefile.shown_value(name, now),
            "both": now != _text(base.get(name)) and now != mine,
        })  # fmt: skip
    place = (form.get("geometry") or "").strip()
    if place:
        rows.append({"field": "geometry", "label": casefile.fact_label("geometry"), "mine": _("drawn anew"), "value": place,
                     "values": [place], "theirs": _("as on the map now") if case.geometry is not None else "–",
                     "both": place != drawing.written(case.geometry)})  # fmt: skip
    return rows


def label(name):
    words = {"officer": _("Officer"), "facility": _("Suspected source"), "class_reason": _("Reasons for the class")}
    return words.get(name) or casefile.fact_label(name)


def _typed(form, name):
    if name == "media":
        return ";".join(m for m in form.getlist("media") if m) if "media-there" in form else None
    return form[name].replace("\r\n", "\n").strip() if name in form else None


def _text(value):
    return "" if value is None else str(value)
