"""Everything that the page of one case shows, gathered from the register, the gate, the reports and the layers."""

from layers import standards
from server import atlas, casedesk, casefile, caseforms, desk, editforms, maps, office, timeline
from server.citytime import local
from server.i18n import gettext as _
from server.i18n import text
from server.remediation import Actor

UNITS = ("mg/L", "µg/L", "MPN/100 mL", "mg/kg", "µg/m³", "dBA", "°C")
VOIDABLE_NOT = ("watched", "done")


def view(services, user, case, *, settings, kind="", step=None, form=None, values=None, errors=None):
    """The values of templates/case.html. kind: of the thread's filter. step: the action whose form stands open.

    form: the id of the form that was refused, with what was typed into it and what is wrong ({field: sentence}).
    """
    book, code = services.book, case.code
    wards, officers, zone = office.ward_names(services), office.officers(services), services.now().tzinfo
    situation, running = book.situation(case), book.clocks(case).all
    samplings = [casefile.sampling_view(s, officers) for s in book.samplings(code)]
    waiting = next((p for p in services.gate.of_case(code) if p["state"] == "waiting"), None)
    public = code in office.public_codes(services)
    related = book.related(code)
    items = timeline.timeline(code, book.thread(code), samplings={s["id"]: s for s in samplings}, zone=zone,
                              reports=office.reports_of(services, related["reports"]))  # fmt: skip
    may = office.rights(user, public=public, open_case=case.stage not in VOIDABLE_NOT)
    asked = form if form in caseforms.ACTIONS else step
    onward, aside = caseforms.steps(
        case, situation, Actor(user.id, user.role), book.rules, officers=office.may_be_officer(services, case), asked=asked,
        values=values, errors=errors, calendar=book.calendar,
    )  # fmt: skip
    pending = office.pending_fields(services, case)
    facility = next((name for c, name in casedesk.sources(services) if c == case.facility), None)
    made = {
        "c": casefile.head(case, public=public, waiting=bool(waiting), officers=officers, wards=wards, facility=facility),
        "rail": casefile.rail(case), "clocks": [desk.clock(c) for c in running], "steps": onward, "more_steps": aside,
        "samplings": samplings[::-1], "progress": caseforms.progress(situation, book.rules),
        "thread": [i for i in items if not kind or i["kind"] == kind], "thread_total": len(items), "kind": kind,
        "kinds": timeline.kinds_of(items), "may": may, "form": form, "errors": errors or {},
        "linked": casefile.linked(case, related, inspections=book.inspections(code), samplings=samplings,
                                  decisions=book.decisions(code)),
        "adders": _adders(code, user, samplings, form, values, errors),
        "gate_forms": editforms.gate_forms(code, may, pending, asked=form, values=values, errors=errors),
        "waiting": waiting and {"id": waiting["id"], "who": waiting["by_name"],
                                "day": local(waiting["at"]).date()},
        "pending_fields": [f["label"] for f in pending],
        "others": [{"code": c.code, "name": desk.name_of(c)} for c in book.all(user) if c.code != code],
        "facilities": casedesk.sources(services), "photo_kinds": caseforms.kinds(caseforms.PHOTO_KINDS),
    }  # fmt: skip
    row = desk.case_row(case, running, wards=wards, officers=officers)
    return made | _place(services, settings, row) | {"lost": _lost(made, form, values, errors)}


def _adders(code, user, samplings, form, values, errors):
    undecided = [(str(s["id"]), f"{s['place']} {s['report_no']}".strip() or str(s["id"]))
                 for s in samplings if s["state"] == "open" and not s["voided"]]  # fmt: skip
    parameters = [{"code": p.code, "label": text({"name_vi": p.vi, "name_en": p.en}, "name")}
                  for p in standards.parameters().values()]  # fmt: skip
    return caseforms.adders(
        code, role=user.role, open_samplings=undecided, choices=casefile.limit_choices(), parameters=parameters, units=UNITS,
        media=[(m, _(casefile.MEDIUM_WORDS[m])) for m in standards.MEDIA], asked=form, values=values, errors=errors,
    )  # fmt: skip


def _place(services, settings, row):
    """The priority with its lines, and the map of the case with what was counted round it."""
    priority, marks = office.priority_of(services, row["case"]), desk.marks([row])
    if not marks:
        return {"priority": priority, "map": None}
    layers = [atlas.ground(services.store), *priority["layers"], *desk.case_layers(marks, [row])]
    bounds = priority["bounds"] or atlas.bounds_of(marks)
    return {
        "priority": priority,
        "map": maps.map_page(layers, bounds=bounds, settings=settings, label=_("Map of the case")),
    }


def _lost(made, form, values, errors):
    """What was typed into a form that is not on the page any more, so that nothing of it is lost; else None."""
    there = {s["id"] for s in (*made["steps"], *made["more_steps"]) if not s["blocked"]}
    there |= {f["id"] for f in (*made["adders"], *made["gate_forms"])}
    if form is None or form in there:
        return None
    hidden = ("csrf", "revision")
    typed = [v for name, v in (values.items(multi=True) if values else ()) if name not in hidden and v.strip()]
    return {"errors": list((errors or {}).values()), "typed": typed}
