"""What the rules of remediation look at: one case, one actor, the settings, and what is missing.

Plain values: no clock, no database. Days are dates in city time; None is "not known" and never helps.
"""

import dataclasses
from dataclasses import dataclass, field
from datetime import date, datetime

from server.i18n import N_


@dataclass(frozen=True)
class Sampling:
    """One visit with samples. compliant: None where a limit is unverified or a result is not judged.

    basis: words on how it was judged, for people only. acceptable: whether a decision that lets unverified limits be
    used would make it compliant (all required results are there, and keep them). voided_by: user who took it back as an error; then it does
    not count, and neither of the two may approve what the others prove.
    """

    id: int
    taken_on: date
    compliant: bool | None
    entered_by: int
    basis: str = ""
    acceptable: bool = True
    voided_by: int | None = None


@dataclass(frozen=True)
class Evidence:
    """One document, photo or record of the file.

    kind: a key of EVIDENCE. dated: the day that it shows or bears, None when not known. by: user who put it in.
    added: the day it was put in. number and samplings: of a limit_decision, its number and the ids of the samplings
    that it accepts as compliant although no established limit judges them.
    """

    kind: str
    dated: date | None
    by: int
    added: date | None = None
    number: str = ""
    samplings: tuple[int, ...] = ()


EVIDENCE = {
    "visit_record": N_("visit record"),
    "data": N_("data or measurements"),
    "photo_before": N_("photo before"),
    "photo_after": N_("photo after"),
    "photo": N_("photo"),
    "containment": N_("record of containment"),
    "order": N_("order or warning"),
    "decision": N_("decision"),
    "plan": N_("plan"),
    "start_notice": N_("notice of the start of works"),
    "completion": N_("statement that the work is done"),
    "lab_report": N_("laboratory report"),
    "limit_decision": N_("decision on the limits to use"),
    "other": N_("other document"),
}


@dataclass(frozen=True)
class LastStep:
    """The last step of a case. old: Step.old as it was given then, with dates as dates, for undo."""

    action: str
    by: int
    on: date
    published: bool = False
    old: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Situation:
    """Everything about one case that the rules may look at.

    work_done_on: set when the works are finished; samplings before it prove nothing.
    proof_from: day of the last relapse or failed verification; work, photo after and statements before it are spent.
    before_from: closing day that did not hold (None: never relapsed); the photo before must be of that day or later.
    exceedances_since_watch, reports_since_watch: counted since watch_from; reports within Rules.relapse_radius_m.
    opened_at: moment of opening where it is known; else 8 o'clock of opened_on is meant.
    """

    stage: str
    today: date
    code: str = ""
    stage_before: str | None = None
    in_stage_since: date | None = None
    opened_on: date | None = None
    opened_at: datetime | None = None
    officer: int | None = None
    severity_class: str | None = None
    class_reason: str | None = None
    merged_into: str | None = None
    plan_due: date | None = None
    decision_no: str | None = None
    decision_on: date | None = None
    responsible: str | None = None
    deadline: date | None = None
    work_done_on: date | None = None
    needed_samples: int | None = None
    needed_days: int | None = None
    proof_from: date | None = None
    before_from: date | None = None
    watch_from: date | None = None
    watch_until: date | None = None
    exceedances_since_watch: int = 0
    reports_since_watch: int = 0
    relapses: int = 0
    samplings: tuple[Sampling, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    last_step: LastStep | None = None


@dataclass(frozen=True)
class Actor:
    """Who acts. role: one of server.security.ROLES, or "system" for rules that run by themselves (id 0)."""

    id: int
    role: str


@dataclass(frozen=True)
class Rules:
    """The settings of the rules; RULES gives each its words and where it comes from."""

    samples: int = 3
    days: int = 30
    watch_months: int = 12
    relapse_reports: int = 2
    relapse_radius_m: int = 300
    accept_hours: int = 8
    answer_days: int = 7
    plan_days: int = 30
    lab_days: int = 14
    undo_days: int = 1
    override_letters: int = 40

    def __post_init__(self):
        for f in dataclasses.fields(self):
            if type(getattr(self, f.name)) is not int or getattr(self, f.name) < 1:
                raise ValueError(f"{f.name} must be a whole number from 1 on")


@dataclass(frozen=True)
class Law:
    """Where a rule comes from. confidence: a key of CONFIDENCE."""

    words: str
    confidence: str = "proposal"


CONFIDENCE = {
    "verified-text": N_("the text itself was read"),
    "verified-secondary": N_("read in a second source"),
    "background": N_("general knowledge, to be checked"),
    "proposal": N_("our own rule, not law"),
}
_OURS = Law(CONFIDENCE["proposal"])

# name in Rules: (label, unit, source)
RULES = {
    "samples": (N_("Compliant samplings in a row to close"), N_("samplings"), _OURS),
    "days": (N_("Time that these samplings span, at least"), N_("days"), _OURS),
    "lab_days": (N_("Time for the laboratory after the last sampling"), N_("days"), _OURS),
    "watch_months": (
        N_("Watch after closing"), N_("months"),
        Law(N_("monitoring after treatment: Law 72/2020/QH14, art. 18; its length is our own rule"), "verified-text"),
    ),
    "relapse_reports": (N_("Citizen reports during the watch that count as a relapse"), N_("reports"), _OURS),
    "relapse_radius_m": (N_("Distance within which such reports count"), N_("m"), _OURS),
    "accept_hours": (
        N_("To accept a report"), N_("working hours"), Law(N_("as the citizens' service iHanoi"), "background")
    ),
    "answer_days": (
        N_("To answer a report"), N_("working days"), Law(N_("as China's citizens' line"), "background")
    ),
    "plan_days": (
        N_("To approve a plan once a place is confirmed"), N_("days"),
        Law(N_("as after an incident: Law 72/2020/QH14, art. 126; for other places our own rule"), "verified-text"),
    ),
    "undo_days": (N_("Working days to undo a wrong step of one's own"), "", _OURS),
    "override_letters": (N_("Length of the reason for an override, at least"), N_("letters"), _OURS),
}  # fmt: skip


class Label(str):
    """A value of Missing that is itself a text to translate."""

    __slots__ = ()


@dataclass(frozen=True)
class Missing:
    """One thing that is missing. code: stable, for programs. words: msgid with %(name)s; values: its values.

    kind: "proof" (may be overridden where the table says so), "identity", "role", "state" or "field" (of the form).
    field: name of the form's field it belongs to, or "". need: code of the Need that found it, or "".
    """

    code: str
    words: str
    values: dict = field(default_factory=dict)
    kind: str = "proof"
    field: str = ""
    need: str = ""


@dataclass(frozen=True)
class Ask:
    """One question to the needs: may this actor, with these fields of the form, take this step?"""

    situation: Situation
    actor: Actor
    fields: dict
    rules: Rules
    calendar: object
