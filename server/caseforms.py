"""The forms on the page of a case: the steps of the table with what each still needs, and what can be added.

A form is a plain dict for the templates; its fields are dicts as form_field in templates/desk_macros.html
takes them. Whether a step is allowed is decided by server/remediation.py only; this shows what it says.
"""

import json
from dataclasses import asdict

from flask import url_for

from server import proofs, remediation, words
from server.docket import CLASSERS, WRITERS
from server.dossier import DECISIONS
from server.i18n import N_, ngettext
from server.i18n import gettext as _
from server.remediation import EVIDENCE, STAGES, Actor, Ask, Rules
from server.workdays import CALENDAR

# Steps that lead on; all others are side doors and stand below, and only for those who may use them.
ONWARD = ("check", "confirm", "contain", "approve_plan", "start", "finish", "close", "complete", "resume", "reconsider")
ACTIONS = tuple(t.action for t in remediation.TRANSITIONS)
QUIET = ("check", "reconsider", "split", "undo")  # steps that ask for no words to the public
ELSEWHERE = ("split",)  # steps that need a page of their own
# Where what a need asks for can be added: code of the need -> id of the form.
_ADDED_BY = {
    "visit_or_data": "document", "containment": "document", "start_evidence": "document", "completion": "document",
    "photo": "photo", "photo_after": "photo", "photo_pair": "photo", "new_evidence": "document",
    "compliant_samplings": "sampling",
}  # fmt: skip
PHOTO_KINDS = ("photo_before", "photo_after", "photo")
DOCUMENT_KINDS = tuple(k for k in EVIDENCE if k not in PHOTO_KINDS)
MAY_ADD = {  # what can be added by whom; the register asks again
    "photo": WRITERS, "document": WRITERS, "sampling": WRITERS, "inspection": WRITERS, "decision": CLASSERS,
    "note": WRITERS, "link": WRITERS,
}  # fmt: skip
RESULT_LINES = 6


def field(name, label, kind="text", **rest):
    """One field as the templates take it; not required unless said."""
    return {"name": name, "label": label, "kind": kind, "value": None, "required": False, **rest}


def filled(fields, values, errors):
    """The fields with what was typed and what is wrong with it."""
    out = []
    for f in fields:
        value = f["value"]
        if values is not None and f["kind"] != "file":
            many = hasattr(values, "getlist") and f["kind"] == "checks"
            value = values.getlist(f["name"]) if many else values.get(f["name"], "" if f["kind"] != "check" else None)
        out.append(f | {"value": value, "error": errors.get(f["name"])})
    return out


def parsed(text):
    """The dict that a page wrote into a hidden field, {} where it cannot be read."""
    try:
        made = json.loads(text or "{}")
    except ValueError:
        return {}
    return made if isinstance(made, dict) else {}


# --- steps ---


def steps(case, situation, actor, rules=None, *, officers=(), asked=None, values=None, errors=None, calendar=CALENDAR):
    """(steps that lead on, side doors) of a case for one person, as step_form in templates/case_parts.html takes them.

    officers: (id, name) to choose from. asked: the action whose form is to stand open, with the values typed
    into it and the errors found ({field: sentence}).
    """
    rules, onward, aside = rules or Rules(), [], []
    for offer in remediation.offers(situation, actor, rules=rules, calendar=calendar):
        t = offer.transition
        not_mine = any(m.kind == "role" for m in offer.missing)
        if not_mine and t.action not in ONWARD:
            continue
        mine = asked == t.action
        made = _step(case, situation, actor, rules, calendar, offer, officers, values if mine else None)
        made |= {"open": mine, "errors": errors if mine and errors else {}}
        for name in ("fields", "public_fields"):
            made[name] = filled(made[name], values if mine else None, made["errors"])
        if made["override"]:
            made["override"] |= {"value": values.get("override", "") if mine and values else "",
                                 "error": made["errors"].get("override"), "open": bool(mine and values)}  # fmt: skip
        (onward if t.action in ONWARD else aside).append(made)
    if asked is None:
        first = next((s for s in onward if not s["blocked"]), onward[0] if onward else None)
        if first:
            first["open"] = True
    return onward, aside


def _step(case, situation, actor, rules, calendar, offer, officers, values):
    t = offer.transition
    ask = Ask(situation, actor, {}, rules, calendar)
    needs = [line for need in t.needs for line in _need_lines(need, ask, rules)]
    lacking = [m for m in offer.blocked if m.kind != "role"]
    not_mine = len(lacking) < len(offer.blocked)
    roles = ", ".join(words.word("role", r) for r in t.roles if r != "system")
    state = _("for: %(roles)s", roles=roles) if not_mine else _("ready")
    if lacking:
        state = ngettext("one thing is missing", "%(num)s things are missing", len(lacking))
    elsewhere = url_for("casework.split", code=case.code) if t.action in ELSEWHERE else None
    return {
        "id": t.action, "action": t.action, "label": _(t.label), "to": _leads_to(t, case, situation),
        "allowed": not offer.blocked, "words": state, "main": t.action in ONWARD and not not_mine,
        "needs": needs, "act": url_for("casework.step", code=case.code, action=t.action), "page": elsewhere,
        "blocked": _("This step is for: %(roles)s.", roles=roles) if not_mine else None,
        "disabled": _("Not yet: see what is missing above.") if lacking and not offer.overridable else None,
        "fields": [] if not_mine else [_form_field(f, situation, actor, rules, officers) for f in t.fields],
        "public_fields": [] if not_mine or t.action in QUIET else _public_fields(),
        "override": None if not_mine or not (t.override and lacking and offer.overridable) else field(
            "override", _("Reason for going on"), "long", required=True, most=2000,
            hint=_("At least %(n)s letters. Say why the step is right without the proof.", n=rules.override_letters)),
        "note": _law(t),
    }  # fmt: skip


def _public_fields():
    return [
        field("text_vi", _("For the public, in Vietnamese"), "long", rows=2, most=1000),
        field("text_en", _("For the public, in English"), "long", rows=2, most=1000),
        field("embargo", _("Not public before"), "date"),
    ]


def _need_lines(need, ask, rules):
    found = need.check(ask)
    lacking = [m for m in found if m.kind != "field"]
    if lacking:
        form = _ADDED_BY.get(need.code)
        return [{"state": "missing", "words": remediation.sentence(m), "url": f"#add-{form}" if form else None}
                for m in lacking]  # fmt: skip
    said = _(need.words, **asdict(rules))
    return [{"state": "form" if found or need.kind == "field" else "there", "words": said, "url": None}]


def _leads_to(t, case, situation):
    if t.to in STAGES:
        return t.to
    if t.to == remediation.BACK:
        return situation.stage_before
    return None


def _law(t):
    return _("Source: %(law)s.", law=_(t.law.words)) if t.law else None


_DEFAULTS = {"needed_samples": "samples", "needed_days": "days"}


def _form_field(f, situation, actor, rules, officers):
    kind = {"number": "integer", "user": "choice", "choice": "choice", "date": "date"}.get(f.kind, "text")
    if f.kind == "text" and f.most > 400:
        kind = "long"
    made = field(f.name, _(f.label), kind, required=f.required, most=f.most)
    if f.kind == "user":
        mine = actor.id if any(n == actor.id for n, _name in officers) else None
        made |= {"options": list(officers), "value": situation.officer or mine}
    elif f.kind == "choice":
        made["options"] = [(code, _(label)) for code, label in f.choices]
    elif f.kind == "case":
        made |= {"list": "other-cases", "hint": _("Code of the other case, such as HS-0142.")}
    elif f.name in _DEFAULTS:
        made["value"] = getattr(situation, f.name) or getattr(rules, _DEFAULTS[f.name])
    elif f.name in ("severity_class", "class_reason", "responsible"):
        made["value"] = getattr(situation, f.name)
    if f.name == "severity_class" or f.kind == "choice":
        made["value"] = getattr(situation, f.name, None)
    return made


def errors_of(missing):
    """{field: sentence} of the Missing of a refused step; what belongs to no field is under "" and joined."""
    out = {}
    for m in missing:
        said = remediation.sentence(m)
        out[m.field] = f"{out[m.field]}; {said}" if m.field in out else said
    return out


def progress(situation, rules):
    """How far the proof of clean is, in words; "" where no samplings are asked for now."""
    if situation.stage != "verifying":
        return ""
    ask = Ask(situation, Actor(0, "system"), {}, rules, CALENDAR)
    lacking = proofs.compliant_samplings.check(ask)
    if lacking:
        said = "; ".join(remediation.sentence(m) for m in lacking)
        return said[:1].upper() + said[1:] + "."
    return _("Enough compliant samplings in a row.")


# --- what can be added ---


def adders(
    code, *, role, choices, media, open_samplings=(), parameters=(), units=(), asked=None, values=None, errors=None
):
    """The forms that add something to a case, for those who may, in the order of use.

    choices: casefile.limit_choices(). open_samplings: (id, words) of samplings that no limit judges, for a decision
    on the limits.
    """
    forms = [
        _adder(code, "photo", _("Photo"), [
            field("kind", _("What it shows"), "choice", required=True, options=kinds(PHOTO_KINDS)),
            field("file", _("Photo"), "file", required=True, accept="image/jpeg,image/png,image/webp", many=True,
                  hint=_("Is drawn anew without hidden data; the original is kept for staff.")),
            field("dated", _("Taken on"), "date", hint=_("Where it is left empty, the day in the photo itself is used.")),
            field("note", _("What can be seen"), most=400),
            field("public", _("May be shown in public once approved"), "check"),
        ], files=True),
        _adder(code, "document", _("Document"), [
            field("kind", _("Kind"), "choice", required=True, options=kinds(DOCUMENT_KINDS)),
            field("file", _("File"), "file", required=True, accept=".pdf,.docx,.xlsx", many=False,
                  hint=_("PDF, DOCX or XLSX, at most 20 MB.")),
            field("dated", _("Date of the document"), "date"),
            field("number", _("Number"), most=80),
            *([field("samplings", _("Samplings that this decision accepts as compliant"), "checks",
                     options=list(open_samplings))] if open_samplings else []),
            field("note", _("Note"), most=400),
        ], files=True),
        _adder(code, "sampling", _("Sampling"), [
            field("taken_on", _("Sampled on"), "date", required=True),
            field("medium", _("What was sampled"), "choice", required=True, options=list(media), attributes={"data-medium": "1"}),
            *[field(name, _(CHOICE_LABELS[name]), "choice", options=[(c, w) for c, w, _media in choices[name]], blank=_("not said"),
                    attributes={"data-choice": name}, media={c: m for c, _w, m in choices[name]}) for name in CHOICE_LABELS],
            field("place", _("Place of sampling"), most=200),
            field("laboratory", _("Laboratory"), most=200),
            field("report_no", _("Number of the report"), most=80),
            field("method", _("Method"), most=200),
        ], button=_("Save and judge"), note=_("Each result is judged by the limit that was in force on that day."),
           results=_lines(values if asked == "sampling" else None, errors if asked == "sampling" else None),
           parameters=parameters, units=units),
        _adder(code, "inspection", _("Inspection"), [
            field("day", _("Day"), "date", required=True),
            field("minutes_no", _("Number of the minutes"), most=80),
            field("facility", _("Facility"), list="facilities", most=100, hint=_("Code of a facility, such as KCN07.")),
            field("findings", _("Findings"), "long", required=True),
        ]),
        _adder(code, "decision", _("Decision or fine"), [
            field("number", _("Number"), required=True, most=80),
            field("day", _("Day"), "date", required=True),
            field("kind", _("Kind"), "choice", required=True, options=[(k, _(v)) for k, v in DECISIONS.items()]),
            field("issuer", _("Issued by"), most=200),
            field("amount_vnd", _("Amount"), unit="VND", most=30),
            field("text", _("What it says"), "long"),
        ]),
        _adder(code, "note", _("Note"), [
            field("text", _("Note for staff"), "long", required=True),
        ]),
        _adder(code, "link", _("Link"), [
            field("kind", _("To what"), "choice", required=True,
                  options=[("report", _("citizen report")), ("facility", _("facility")), ("case", _("case"))]),
            field("ref", _("Code"), required=True, most=60, list="other-cases"),
        ]),
    ]  # fmt: skip
    return [opened(form, asked, values, errors) for form in forms if role in MAY_ADD[form["id"]]]


CHOICE_LABELS = {"water": N_("Kind of water"), "column": N_("Column or class"), "flow_class": N_("Flow class"),
                 "averaging": N_("Averaging time"), "transitional": N_("Keeps the older regulation while it may")}  # fmt: skip


def opened(form, asked, values, errors):
    """A form with what was typed and what is wrong, where it is the one that was refused."""
    mine = asked == form["id"]
    found = errors if mine and errors else {}
    return form | {"errors": found, "open": mine, "fields": filled(form["fields"], values if mine else None, found)}


def _adder(code, name, label, fields, **rest):
    return {"id": name, "label": label, "act": url_for("casework.add", code=code, what=name), "fields": fields, **rest}


def kinds(codes):
    """(code, words) of kinds of evidence."""
    return [(k, _(EVIDENCE[k])) for k in codes]


def _lines(values, errors):
    """The lines of results of a sampling's form: as typed, and some empty ones."""
    typed = result_lines(values) if values else []
    lines = [r | {"error": (errors or {}).get(f"parameter-{i}")} for i, r in enumerate(typed)]
    empty = {"parameter": "", "value": "", "unit": "", "error": None}
    lines += [dict(empty) for _n in range(max(RESULT_LINES - len(lines), 1))]
    if not typed and (errors or {}).get("parameter-0"):
        lines[0]["error"] = errors["parameter-0"]
    return lines


def result_lines(values):
    """The lines of a sampling's form as dicts of texts; lines without anything in them are left out."""
    names = ("parameter", "value", "unit")
    columns = [values.getlist(name) for name in names]
    size = min(max(map(len, columns), default=0), 60)
    rows = [
        {n: c[i].strip()[:60] if i < len(c) else "" for n, c in zip(names, columns, strict=True)} for i in range(size)
    ]
    return [r for r in rows if any(r.values())]
