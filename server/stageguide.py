"""The stages explained: the table of server/remediation.py, its proofs, clocks and settings as rows of words."""

from dataclasses import asdict
from datetime import date

from server import clocks, workdays
from server.i18n import gettext as _
from server.i18n import language, number
from server.remediation import (
    BACK,
    BY_ACTION,
    CONFIDENCE,
    ROLES,
    RULES,
    STAGES,
    STAYS,
    TRANSITIONS,
    UNDONE,
    Actor,
    Evidence,
    Sampling,
    Situation,
    offers,
    sentence,
)
from server.words import word


def guide(rules, calendar, day):
    """Everything that the method page says about stages, in the reader's language."""
    said = {name: number(value) for name, value in asdict(rules).items()}
    closing, relapse, undo = (BY_ACTION[action].needs for action in ("close", "relapse", "undo"))
    return {
        "path": [_stage(stage, said) for stage in STAGES],
        "steps": [_step(t, said) for t in TRANSITIONS],
        "closing": [_(n.words, **said) for n in closing],
        "relapse": _(relapse[0].words, **said),
        "undo": _(undo[0].words, **said),
        "overridable": [_(t.label) for t in TRANSITIONS if t.override],
        "override_letters": said["override_letters"],
        "example": worked_example(rules, calendar),
        "clocks": [
            {"label": _(label), "rule": _(rule, **said), "stages": [word("stage", s) for s in stages]}
            for label, rule, stages in clocks.CLOCKS.values()
        ],
        "states": [_(words) for words in clocks.STATES.values()],
        "settings": [
            {
                "label": _(label),
                "value": said[name],
                "unit": _(unit),
                "source": _(law.words),
                "confidence": "" if law.confidence == "proposal" else _(CONFIDENCE[law.confidence]),
            }
            for name, (label, unit, law) in RULES.items()
        ],
        "days_off": [_days_off(year, calendar) for year in (day.year, day.year + 1)],
    }


def _stage(stage, said):
    """One stage with the first step of the table that leads into it."""
    entry = next((t for t in TRANSITIONS if t.to == stage), None)
    running = [(label, rule) for label, rule, stages in clocks.CLOCKS.values() if stage in stages]
    return {
        "code": stage,
        "needs": _needs(entry, said) if entry else [_("the place and what was seen")],
        "form": _form(entry) if entry else "",
        "clocks": [f"{_(label)}: {_(rule, **said)}" for label, rule in running],
    }


def _needs(transition, said):
    return [_(n.words, **said) for n in transition.needs if n.told]


def _form(transition):
    asked = [_(f.label) if f.required else _("%(field)s (if any)", field=_(f.label)) for f in transition.fields]
    return _("in the form: %(fields)s", fields="; ".join(asked)) if asked else ""


def _step(t, said):
    to = {
        BACK: _("the stage in which it was suspended"),
        STAYS: _("the stage stays"),
        UNDONE: _("the stage before the last step"),
    }
    confidence = t.law.confidence if t.law else "proposal"
    return {
        "action": t.action,
        "label": _(t.label),
        "sources": [_("any stage")] if t.sources == STAGES else [word("stage", s) for s in t.sources],
        "to": to[t.to] if t.to in to else word("stage", t.to),
        "who": [_(ROLES[role]) for role in t.roles],
        "needs": _needs(t, said),
        "form": _form(t),
        "override": t.override,
        "clock": _(clocks.CLOCKS[t.clock][0]) if t.clock else "",
        "law": _(t.law.words) if t.law else "",
        "confidence": _(CONFIDENCE[confidence]),
    }


def worked_example(rules, calendar):
    """Closing a case whose work was done on 1 November 2026, asked of the real gate on three days."""
    pair = (Evidence("photo_before", date(2026, 10, 1), 1), Evidence("photo_after", date(2026, 11, 2), 1))
    first = (date(2026, 11, 12), date(2026, 11, 26))
    rows = []
    for asked, taken in (
        (date(2026, 11, 30), first),
        (date(2026, 12, 15), (*first, date(2026, 12, 11))),
        (date(2026, 12, 15), (*first, date(2026, 12, 12))),
    ):
        results = tuple(Sampling(i, day, True, 1) for i, day in enumerate(taken, 1))
        case = Situation("verifying", asked, work_done_on=date(2026, 11, 1), samplings=results, evidence=pair)
        offer = next(o for o in offers(case, Actor(2, "approver"), rules=rules, calendar=calendar)
                     if o.transition.action == "close")  # fmt: skip
        rows.append({"asked": asked, "taken": taken, "said": [sentence(m) for m in offer.missing]})
    return rows


def _days_off(year, calendar):
    """Days of a year off that are no plain weekends, as (day, name), and the weekends that are worked."""
    named = workdays.holidays_of(year, calendar, language())
    return {
        "year": str(year),
        "off": [(day, name or _("by decision")) for day, name in named.items() if day.weekday() < 5],
        "worked": workdays.weekends_worked(year, calendar),
    }
