"""The stages of a hotspot: one table of steps, and whether a step may be taken.

TRANSITIONS is the only place that says who may take which step from where to where, with which proof, which form and
which clock. Gates, offers, the forms of the staff and the method page are made from it. Pure: everything comes in as
arguments, nothing is read or written.

The steps follow the Law on Environmental Protection 72/2020/QH14, articles 17 and 18; each row names its own source.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import date

from layers.catalogue import STAGE
from server import effects, proofs
from server.clocks import Clock, clock_words, clocks
from server.i18n import N_, gettext, number
from server.i18n import date as written_date
from server.people import ROLE_WORDS
from server.proofs import Need, need
from server.situation import (
    CONFIDENCE,
    EVIDENCE,
    RULES,
    Actor,
    Ask,
    Evidence,
    Label,
    LastStep,
    Law,
    Missing,
    Rules,
    Sampling,
    Situation,
)
from server.stepforms import Field, cleaned
from server.workdays import CALENDAR, add_working_days

__all__ = [
    "BACK", "BY_ACTION", "CONFIDENCE", "EVIDENCE", "NEEDS", "RULES", "STAYS", "TRANSITIONS", "UNDONE", "Actor", "Ask",
    "Clock", "Evidence", "Field", "GateError", "Label", "LastStep", "Law", "Missing", "Need", "Offer", "Rules",
    "Sampling", "Situation", "Step", "Transition", "clock_words", "clocks", "decide", "offers", "sentence",
]  # fmt: skip

STAGES = tuple(stage.value for stage in STAGE)
BACK, STAYS, UNDONE = "(back)", "(stays)", "(undone)"  # where a step leads when the table cannot name one stage
ACTIVE = ("checking", "confirmed", "contained", "plan_approved", "in_remediation", "verifying")
DECIDERS = ("approver", "administrator")
OFFICE = ("inspector", *DECIDERS)
LOCAL = ("commune_officer", *OFFICE)
ROLES = {**ROLE_WORDS, "system": N_("by itself")}


@dataclass(frozen=True)
class Transition:
    """One row of the table. to: a stage, or BACK (before it was suspended), STAYS, UNDONE (before the last step).

    label: what the button says; event: what the timeline tells afterwards.
    clock: a key of server.clocks.CLOCKS that starts with it. override: whether missing proof may be overridden.
    undo: "yes", "unpublished" (only before the public has seen it) or "never".
    effect: Ask -> changes to the situation beside the fields of the form.
    """

    action: str
    label: str
    event: str
    sources: tuple[str, ...]
    to: str
    roles: tuple[str, ...]
    needs: tuple[Need, ...] = ()
    fields: tuple[Field, ...] = ()
    clock: str = ""
    override: bool = False
    undo: str = "yes"
    law: Law | None = None
    effect: Callable = field(default=lambda ask: {}, repr=False)


@need(N_("a last step that may be undone: by the same person within %(undo_days)s working day, else by an approver"),
      kind="state")  # fmt: skip
def may_be_undone(ask):
    last = ask.situation.last_step
    mode = BY_ACTION[last.action].undo if last and last.action in BY_ACTION and "stage" in last.old else "never"
    if mode == "never":
        return [Missing("nothing_to_undo", N_("there is no step that can be undone"), kind="state")]
    if mode == "unpublished" and last.published:
        return [Missing("already_public", N_("the step is public; reopen it with a reason instead"), kind="state")]
    until = add_working_days(last.on, ask.rules.undo_days, ask.calendar)
    if ask.actor.role in DECIDERS or (ask.actor.id == last.by and ask.situation.today <= until):
        return []
    words = N_("only who took the step, until %(until)s, or an approver may undo it")
    return [Missing("not_yours_to_undo", words, {"until": until}, kind="identity")]


# --- fields that several forms share ---

CLASSES = (
    ("1", N_("Class 1")),
    ("2", N_("Class 2")),
    ("3", N_("Class 3")),
    ("not_enough_data", N_("Not enough data to class")),
)
REASON = Field("reason", "text", N_("Reason"))
READ = "verified-text"

# The table. Its order is the order of the method page.
TRANSITIONS = (
    Transition(
        "check", N_("Take up the check"), N_("Check begun"), ("received",), "checking", LOCAL,
        fields=(Field("officer", "user", N_("Officer in charge")),),
        clock="answer",
    ),
    Transition(
        "confirm", N_("Confirm as a hotspot"), N_("Confirmed as a hotspot"), ("checking",), "confirmed", OFFICE,
        needs=(proofs.visit_or_data, proofs.order_of_days),
        fields=(
            Field("severity_class", "choice", N_("Class"), choices=CLASSES),
            Field("class_reason", "text", N_("Reasons for the class")),
            Field("plan_due", "date", N_("Plan to be approved by"), required=False),
        ),
        clock="plan", override=True, effect=effects.sets_plan_date,
        law=Law(N_("investigate, assess, classify: Law 72/2020/QH14, art. 18; levels of soil: Circular 02/2022/TT-BTNMT, art. 6"), READ),
    ),
    Transition(
        "reject", N_("Reject"), N_("Rejected"), ("received", "checking"), "rejected", LOCAL,
        needs=(proofs.reason_or_duplicate, proofs.not_itself),
        fields=(
            Field("reason", "text", N_("Reason"), required=False),
            Field("merged_into", "case", N_("Duplicate of"), required=False),
        ),
    ),
    Transition(
        "reconsider", N_("Take up again"), N_("Taken up again"), ("rejected",), "checking", LOCAL,
        needs=(proofs.new_evidence,), fields=(REASON,), clock="answer", effect=effects.frees_duplicate,
    ),
    Transition(
        "contain", N_("Contain"), N_("Contained"), ("confirmed",), "contained", LOCAL,
        needs=(proofs.containment, proofs.photo),
        fields=(Field("measures", "text", N_("Boundary, warning and limits on use")),),
        clock="plan", override=True,
        law=Law(N_("zone, warn, ban or limit activity: Law 72/2020/QH14, art. 18"), READ),
    ),
    Transition(
        "approve_plan", N_("Approve the plan"), N_("Plan approved"), ("confirmed", "contained"), "plan_approved", DECIDERS,
        needs=(proofs.contained_or_reason, proofs.order_of_days),
        fields=(
            Field("decision_no", "text", N_("Number of the decision"), most=80),
            Field("decision_on", "date", N_("Date of the decision")),
            Field("responsible", "text", N_("Responsible party"), most=200),
            Field("deadline", "date", N_("Deadline")),
            Field("no_containment", "text", N_("Why containment is not needed"), required=False),
        ),
        clock="deadline",
        law=Law(N_("plan and its check by the city: Decree 08/2022/NĐ-CP, art. 13 and 17"), READ),
    ),
    Transition(
        "start", N_("Start the works"), N_("Works begun"), ("plan_approved",), "in_remediation", LOCAL,
        needs=(proofs.start_evidence,),
        fields=(Field("contractor", "text", N_("Who does the works"), required=False, most=200),),
        clock="deadline", override=True,
        law=Law(N_("the plan goes to the commune at least 3 days before: Circular 02/2022/TT-BTNMT, art. 72 (after incidents)"), READ),
    ),
    Transition(
        "finish", N_("Report the work as done"), N_("Work reported as done"), ("in_remediation",), "verifying", OFFICE,
        needs=(proofs.completion, proofs.photo_after, proofs.done_in_this_round, proofs.enough_asked),
        fields=(
            Field("work_done_on", "date", N_("Work done on")),
            Field("needed_samples", "number", N_("Compliant samplings needed"), most=60, setting="samples"),
            Field("needed_days", "number", N_("Days that they must span"), most=1000, setting="days"),
        ),
        clock="verification", override=True,
        law=Law(N_("carry out the treatment: Law 72/2020/QH14, art. 18"), READ),
    ),
    Transition(
        "fail", N_("Send back to works"), N_("Sent back to works"), ("verifying",), "in_remediation", OFFICE,
        needs=(proofs.failed_or_faults, proofs.order_of_days),
        fields=(
            Field("faults", "text", N_("List of faults"), required=False),
            Field("deadline", "date", N_("New deadline"), required=False),
        ),
        clock="deadline", effect=effects.spends_proof,
    ),
    Transition(
        "close", N_("Close and watch"), N_("Closed; the watch begins"), ("verifying",), "watched", DECIDERS,
        needs=(proofs.compliant_samplings, proofs.photo_pair, proofs.other_approver),
        fields=(Field("confirmation_no", "text", N_("Number of the confirmation"), required=False, most=80),),
        clock="watch", override=True, undo="unpublished", effect=effects.starts_watch,
        law=Law(N_("monitor and evaluate afterwards: Law 72/2020/QH14, art. 18; numbers of samplings and days set here"), READ),
    ),
    Transition(
        "complete", N_("Complete"), N_("Watch passed, completed"), ("watched",), "done", (*DECIDERS, "system"),
        needs=(proofs.watch_passed, proofs.watch_clean), undo="unpublished",
        law=Law(N_("taking off the list, as practised under Decision 1788/QĐ-TTg"), "background"),
    ),
    Transition(
        "relapse", N_("Relapse"), N_("Relapse"), ("watched", "done"), "confirmed", (*OFFICE, "system"),
        needs=(proofs.relapse_cause,), fields=(REASON,), clock="plan", undo="unpublished", effect=effects.counts_relapse,
    ),
    Transition(
        "reopen", N_("Reopen: the closing was wrong"), N_("Reopened: the closing was wrong"), ("watched", "done"), "verifying", DECIDERS,
        fields=(REASON,), clock="verification", undo="unpublished", effect=effects.ends_watch,
    ),
    Transition(
        "reclassify", N_("Change the class"), N_("Class changed"), ACTIVE[1:], STAYS, OFFICE,
        fields=(
            Field("severity_class", "choice", N_("Class"), choices=CLASSES),
            Field("class_reason", "text", N_("Reasons for the class")),
        ),
    ),
    Transition(
        "extend", N_("Change the deadline"), N_("Deadline changed"), ("plan_approved", "in_remediation"), STAYS, DECIDERS,
        needs=(proofs.order_of_days,),
        fields=(
            Field("decision_no", "text", N_("Number of the decision"), most=80),
            Field("decision_on", "date", N_("Date of the decision")),
            Field("deadline", "date", N_("New deadline")),
            REASON,
        ),
        clock="deadline",
    ),
    Transition(
        "suspend", N_("Suspend"), N_("Suspended"), ACTIVE, "suspended", OFFICE,
        fields=(Field("cause", "text", N_("Cause")),),
    ),
    Transition(
        "resume", N_("Resume"), N_("Resumed"), ("suspended",), BACK, OFFICE,
        fields=(REASON,),
    ),
    Transition(
        "merge", N_("Merge into another hotspot"), N_("Merged into another hotspot"), ("received", *ACTIVE), "rejected", OFFICE,
        needs=(proofs.not_itself,),
        fields=(Field("merged_into", "case", N_("Duplicate of")), REASON),
    ),
    Transition(
        "split", N_("Split off a part"), N_("A part was split off"), ACTIVE, STAYS, OFFICE,
        fields=(REASON,), undo="never",
    ),
    Transition(
        "undo", N_("Undo the last step"), N_("Last step undone"), STAGES, UNDONE, LOCAL,
        needs=(may_be_undone,), fields=(REASON,), undo="never", effect=effects.restores,
    ),
)  # fmt: skip
BY_ACTION = {transition.action: transition for transition in TRANSITIONS}
NEEDS = {n.code: n for transition in TRANSITIONS for n in transition.needs}


# --- the gate ---


@dataclass(frozen=True)
class Offer:
    """A step that exists from the present stage. allowed: decide() would take it with the same fields.

    blocked: what is missing beside the form's own fields; empty means that the form may be shown.
    overridable: an override with a reason would let this actor pass what is blocked.
    """

    transition: Transition
    missing: tuple[Missing, ...]
    overridable: bool = False

    @property
    def allowed(self):
        return not self.missing

    @property
    def blocked(self):
        return tuple(m for m in self.missing if m.kind != "field")


@dataclass(frozen=True)
class Step:
    """A step that may be taken. changes: name in Situation -> new value, stage included; old: the values before.

    fields: the checked form. overridden: codes of the NEEDS that were not met, to be published with override.
    """

    action: str
    stage: str
    stage_before: str | None
    changes: dict
    old: dict
    fields: dict
    overridden: tuple[str, ...] = ()
    override: str = ""


class GateError(Exception):
    """A step was refused. missing: every reason; code: that of the first, for programs."""

    def __init__(self, action, missing):
        self.action, self.missing, self.code = action, tuple(missing), missing[0].code
        super().__init__(f"{action}: " + "; ".join(m.words % m.values for m in missing))

    @property
    def sentence(self):
        return "; ".join(sentence(m) for m in self.missing)


def offers(situation, actor, fields=None, *, rules=None, calendar=CALENDAR):
    """Every step of the table from the present stage, in its order, with all that is missing for this actor."""
    out = []
    for transition in TRANSITIONS:
        if situation.stage in transition.sources:
            ask, missing = _asked(situation, actor, transition, fields or {}, rules or Rules(), calendar)
            blocked = [m for m in missing if m.kind != "field"]
            able = bool(blocked) and all(m.kind == "proof" for m in blocked) and not _override_bars(ask, transition)
            out.append(Offer(transition, tuple(missing), able))
    return tuple(out)


def decide(situation, actor, action, fields=None, override=None, *, rules=None, calendar=CALENDAR):
    """The Step that this actor takes, or GateError with everything that is missing.

    override: the reason for passing without the proof that is missing; used only where something is.
    """
    transition, rules = BY_ACTION.get(action), rules or Rules()
    if transition is None or situation.stage not in transition.sources:
        words = N_("this step does not exist from the present stage")
        raise GateError(action, [Missing("not_from_here", words, kind="state")])
    ask, missing = _asked(situation, actor, transition, fields or {}, rules, calendar)
    overridden, override = (), (override or "").strip()
    if missing and override:
        proof = [m for m in missing if m.kind == "proof"]
        rest = [m for m in missing if m.kind != "proof"]
        if proof:
            rest += _override_bars(ask, transition) + _short(override, rules)
            missing, overridden = rest, tuple(dict.fromkeys(m.need for m in proof))
    if missing:
        raise GateError(action, missing)
    changes = _changes(ask, transition)
    old = {name: getattr(situation, name) for name in changes}
    return Step(
        action,
        changes["stage"],
        changes["stage_before"],
        changes,
        old,
        ask.fields,
        overridden,
        override if overridden else "",
    )


def _asked(situation, actor, transition, raw, rules, calendar):
    """(Ask with the cleaned form, everything missing): role, form, then the needs of the table."""
    values, missing = cleaned(transition.fields, raw)
    ask = Ask(situation, actor, values, rules, calendar)
    if actor.role not in transition.roles:
        words = N_("this step is for other roles: %(roles)s")
        missing.insert(
            0, Missing("role", words, {"roles": tuple(Label(ROLES[r]) for r in transition.roles)}, kind="role")
        )
    for n in transition.needs:
        missing += [replace(m, need=n.code) for m in n.check(ask)]
    return ask, missing


def _override_bars(ask, transition):
    """Why this actor cannot override here."""
    if not transition.override:
        return [Missing("no_override", N_("nothing can be overridden in this step"), kind="state")]
    if ask.actor.role not in DECIDERS:
        return [Missing("override_role", N_("only an approver may override"), kind="identity")]
    if any(ask.actor.id in (s.entered_by, s.voided_by) for s in ask.situation.samplings):
        words = N_("who entered results may not override")
        return [Missing("override_entered_results", words, kind="identity")]
    return []


def _short(override, rules):
    if len(override) >= rules.override_letters:
        return []
    words = N_("the reason for the override has %(have)s of at least %(need)s letters")
    return [
        Missing("override_short", words, {"have": len(override), "need": rules.override_letters}, "field", "override")
    ]


def _changes(ask, transition):
    s = ask.situation
    if transition.to == UNDONE:
        return {"stage_before": s.stage_before} | transition.effect(ask)
    stage = {STAYS: s.stage, BACK: s.stage_before if s.stage_before in ACTIVE else "checking"}.get(
        transition.to, transition.to
    )
    given = {k: v for k, v in ask.fields.items() if k in _SITUATION and v is not None}
    if transition.to == STAYS:
        moved = {"stage": s.stage, "stage_before": s.stage_before}
    else:
        moved = {"stage": stage, "stage_before": s.stage, "in_stage_since": s.today}
    return moved | given | transition.effect(ask)


_SITUATION = {f.name for f in fields(Situation)}


# --- words ---


def sentence(missing):
    """One Missing in the reader's language."""
    return gettext(missing.words, **{name: _shown(value) for name, value in missing.values.items()})


def _shown(value):
    if isinstance(value, Label):
        return gettext(value)
    if isinstance(value, tuple):
        return ", ".join(_shown(v) for v in value)
    if isinstance(value, date):
        return written_date(value)
    return number(value) if isinstance(value, int) else value
