"""What may be done with a citizen's report: one table of acts, the states in plain words, and the clocks.

Pure: the report, the person and the time come in; a Step or a HandlingError goes out.
"""

from dataclasses import dataclass

from server import clocks, workdays
from server.i18n import N_
from server.situation import Rules, Situation

# state: (words for everybody, what it means for the sender)
STATES = {
    "received": (N_("Received"), N_("An officer will read it.")),
    "checking": (N_("Being checked"), N_("An officer is looking into it.")),
    "asked": (N_("We have a question"), N_("Please answer below; until then we wait.")),
    "passed": (N_("Passed on to the commune"), N_("The commune checks it and answers here.")),
    "not_ours": (N_("Not ours"), N_("Another office is responsible; our answer says which.")),
    "joined": (N_("Joined to a hotspot"), N_("The place is in the register; its stage is shown here.")),
    "answered": (N_("Answered"), N_("If it is not fixed, say so with a photo.")),
    "closed": (N_("Closed"), N_("If it is not fixed, say so with a photo.")),
}
OPEN = ("received", "checking", "asked", "passed")
REOPENABLE = ("answered", "closed", "not_ours", "joined")
DECIDERS = ("approver", "administrator")
SHORTEST_REASON = 10
QUIET_DAYS = 30  # after an answer nobody objects to, the report counts as closed


@dataclass(frozen=True)
class Act:
    """One thing an officer can do with a report.

    needs: text (a reply the sender reads), case (a code of the register), commune (a unit code), files
    (a photo or document: no final reply without one), reason (for the record).
    """

    name: str
    sources: tuple[str, ...]
    to: str
    needs: tuple[str, ...]
    words: str


ACTS = {
    act.name: act
    for act in (
        Act("accept", ("received",), "checking", (), N_("Start checking")),
        Act("merge", OPEN, "joined", ("case", "text"), N_("Join to a hotspot")),
        Act("new", OPEN, "joined", ("case", "text"), N_("New hotspot")),
        Act("pass", ("received", "checking", "asked"), "passed", ("commune", "text"), N_("Pass on to the commune")),
        Act("not_ours", OPEN, "not_ours", ("text", "files"), N_("Not ours")),
        Act("ask", ("received", "checking", "passed"), "asked", ("text",), N_("Ask the sender")),
        Act("answer", (*OPEN, "joined"), "answered", ("text", "files"), N_("Answer")),
        Act("spam", OPEN, "closed", ("reason",), N_("Not a report: set aside")),
    )
}
FINAL = tuple(a.name for a in ACTS.values() if "files" in a.needs)


class HandlingError(Exception):
    """Something that was not done with a report. `sentence` and `values` for people, `code` for programs."""

    def __init__(self, code, sentence, **values):
        self.code, self.sentence, self.values = code, sentence, values
        super().__init__(sentence % values)


@dataclass(frozen=True)
class Step:
    """What an act does: the new state, and the text that the sender reads ("" for none)."""

    action: str
    state: str
    text: str


def decide(state, action, *, text="", case="", commune="", files=(), reason=""):
    """The Step of an act on a report in a state. Raises HandlingError; KeyError for an act that is none."""
    act = ACTS[action]
    if state not in act.sources:
        raise HandlingError("state", N_("This cannot be done with the report any more; somebody was quicker."))
    if "case" in act.needs and not case:
        raise HandlingError("case", N_("Say which hotspot the report belongs to."))
    if "commune" in act.needs and not commune:
        raise HandlingError("commune", N_("Say which commune the report goes to."))
    if "text" in act.needs and not text.strip():
        raise HandlingError("text", N_("Write the sender a sentence."))
    if "files" in act.needs and not files:
        raise HandlingError("files", N_("A final reply needs a photo or a document that shows what was done."))
    if "reason" in act.needs and len((reason or text).strip()) < SHORTEST_REASON:
        raise HandlingError("reason", N_("Give the reason in a few words; the sender and your colleagues see it."))
    return Step(action, act.to, text.strip() or (reason.strip() if "reason" in act.needs else ""))


def check_undo(act, *, state, newest, user, today, day):
    """Whether an act may be taken back: the newest one, on its own day, by its author or somebody who decides.

    act: dict with id, action, who_id, state_to, undone (bool). state: of the report now. newest: id of its
    newest act. today: the date in the city; day: the date of the act there. Raises HandlingError.
    """
    if act["undone"] or act["action"] == "undo":
        raise HandlingError("undone", N_("This was taken back already."))
    if act["id"] != newest or state != act["state_to"]:
        raise HandlingError("later", N_("Something has happened since; it cannot be taken back any more."))
    if day != today:
        raise HandlingError("day", N_("It can be taken back on the same day only. Act on the report anew instead."))
    if user.id != act["who_id"] and user.role not in DECIDERS:
        raise HandlingError("author", N_("Only the person who did it, or an approver, can take it back."))


def due(state, clock_at, answer_from, now, *, rules=None, calendar=workdays.CALENDAR):
    """The clock that presses most, a clocks.Clock, or None where none runs (a question is open, or it is done).

    clock_at: the moment the report came in or was opened anew. answer_from: the day from which working days
    count, moved on by the days we waited for the sender.
    """
    stage = {"received": "received", "checking": "checking", "passed": "checking"}.get(state)
    if stage is None:
        return None
    here = Situation(stage=stage, today=now.date(), opened_at=clock_at, opened_on=answer_from)
    running = clocks.clocks(here, rules or Rules(), now, calendar)
    worst = ("very_late", "late", "soon", "ok", "none")
    return min(running, key=lambda c: (worst.index(c.state), running.index(c)))


def answer_day(answer_from, *, rules=None, calendar=workdays.CALENDAR):
    """The day by which the sender has an answer."""
    return workdays.add_working_days(answer_from, (rules or Rules()).answer_days, calendar)


def moved_on(answer_from, asked_on, answered_on, calendar=workdays.CALENDAR):
    """answer_from after a question: the working days we waited for the sender do not count against us."""
    waited = max(workdays.working_days_between(asked_on, answered_on, calendar), 0)
    return workdays.add_working_days(answer_from, waited, calendar) if waited else answer_from


def check_reply(state, *, text, photos, not_fixed):
    """Whether the sender may say something now. photos: how many come with it. Raises HandlingError."""
    if not_fixed and state not in REOPENABLE:
        raise HandlingError("open", N_("This report is still open. Add what you see now as a message."))
    if not not_fixed and state not in OPEN:
        raise HandlingError("done", N_("This report is finished. If it is not fixed, say so with a photo."))
    if not_fixed and not photos:
        raise HandlingError("photo", N_("Add a photo that shows that it is not fixed."))
    if not text.strip() and not photos:
        raise HandlingError("text", N_("Write something or add a photo."))


def check_withdraw(state):
    """Whether the sender may take the report back. Raises HandlingError."""
    if state not in OPEN:
        raise HandlingError(
            "done", N_("This report is finished or joined to a hotspot; it cannot be withdrawn any more.")
        )


def may_say(state, *, first):
    """What the tracking page offers: "answer" to the first sender when we asked, "add", or "not_fixed"."""
    if state in OPEN:
        return "answer" if state == "asked" and first else "add"
    return "not_fixed"
