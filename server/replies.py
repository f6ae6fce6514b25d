"""Ready replies to the senders of reports, in the sender's language, and a report as the inbox shows it."""

from flask import url_for

from server import desk, handling, words
from server.drafts import COLOURS, KINDS, SMELLS
from server.i18n import N_, date, number, text, translations
from server.i18n import gettext as _

# What stands in the field before the officer edits it. {place} is filled in by the page where it is chosen.
READY = {
    "merge": N_("Thank you. Your report belongs to a place that is already in our register, %(place)s. Its stage can be "
                "followed with your code."),
    "new": N_("Thank you. We have entered this place in our register and an officer will check it. Its stage can be "
              "followed with your code."),
    "pass": N_("Thank you. Your report was passed on to %(place)s, which checks it and answers here."),
    "not_ours": N_("Thank you. This is not a matter of the environment office; the office named in the attached document "
                   "is responsible."),
    "ask": N_("Thank you. To find the place we need to know more: where exactly is it, and since when?"),
    "answer": N_("Thank you. The place was checked; the attached photo shows how it looks now."),
    "same": N_("Thank you. Somebody else has reported the same place; we handle both reports together."),
}  # fmt: skip
KEYS = ("merge", "new", "pass", "not_ours", "ask")  # keys 1 to 5
OTHERS = ("accept", "answer", "spam")
LABELS = {"merge": N_("Join"), "new": N_("New hotspot"), "pass": N_("Pass on"), "not_ours": N_("Not for us"), "ask": N_("Ask"),
          "accept": N_("Start checking"), "answer": N_("Answer"), "spam": N_("Not a report")}  # fmt: skip
TITLES = {"merge": N_("Join to a hotspot"), "new": N_("Open a new hotspot"), "pass": N_("Pass on to the commune"),
          "not_ours": N_("Not ours: who is responsible"), "ask": N_("Ask the sender"), "accept": N_("Start checking"),
          "answer": N_("Answer and finish"), "spam": N_("Set aside: not a report")}  # fmt: skip
DONE = {
    "merge": N_("%(code)s: joined to %(case)s."), "new": N_("%(code)s: %(case)s was opened."),
    "pass": N_("%(code)s: passed to the commune."), "not_ours": N_("%(code)s: answered as not ours."),
    "ask": N_("%(code)s: the sender was asked; the clock waits."), "accept": N_("%(code)s: the check has begun."),
    "answer": N_("%(code)s: answered."), "spam": N_("%(code)s: set aside."),
}  # fmt: skip

TAKEN_BACK = N_("%(code)s: taken back.")


def ready(action, language, place):
    """The ready reply of an act in the sender's language, whatever the officer's is. place: words for it."""
    said = translations(language).gettext(READY[action]) if action in READY else ""
    return said % {"place": place} if said else ""


def in_language(thing, language):
    """name_vi or name_en of a dict in the sender's language."""
    other = "en" if language == "vi" else "vi"
    return thing.get(f"name_{language}") or thing.get(f"name_{other}") or ""


def clock_of(report):
    """The clock of a report in words; one that waits for the sender says so."""
    if report["clock"] is not None:
        return desk.clock(report["clock"])
    if report["state"] == "asked":
        return {"state": "none", "words": _("waits for the sender"), "title": "", "name_word": "", "due": None}
    return None


def kind_word(report):
    """What the sender saw, in the reader's language."""
    said, _media, _more = KINDS[report["kind"]]
    return _(said)


def _state(report):
    said, _meaning = handling.STATES[report["state"]]
    return _(said)


def item(report):
    """A report as a line of the list."""
    photo = url_for("inbox.photo", code=report["code"], number=1, size="small") if report["photos"] else None
    more = [_("%(n)s similar near by", n=report["similar"])] if report["similar"] else []
    more += [_("%(n)s say the same", n=report["supporters"])] if report["supporters"] else []
    more += [_("sent again: not fixed")] if report["reopened"] else []
    return {
        "code": report["code"], "url": url_for("inbox.one", code=report["code"]), "photo": photo,
        "title": kind_word(report), "words": report["words"], "state": report["state"],
        "state_word": _state(report), "at": report["at"], "clock": clock_of(report),
        "more": ", ".join(more), "waiting": report["waiting"], "late": report["late"],
    }  # fmt: skip


def facts(report, wards):
    """Label and value of what the sender said, as far as anything was said."""
    ward = wards.get(report["ward"])
    basis = _("by the outline, which may be schematic") if report["ward_basis"] == "pin" else ""
    smell, colour = report["smell"], report["colour"]
    told = [
        (_("Smell"), f"{smell}/5 {_(SMELLS[smell])}" if smell else None),
        (_("Colour"), _(COLOURS[colour]) if colour else None),
        (_("Seen on"), date(report["seen_on"]) if report["seen_on"] else None),
        (_("Place"), report["place"] or None),
        (_("Ward"), text(ward, "name") + (f" ({basis})" if basis else "") if ward else None),
        (_("Position"), _("within %(m)s m", m=number(report["accuracy_m"], 0)) if report["accuracy_m"] else None),
        (_("Writes in"), {"vi": "Tiếng Việt", "en": "English"}[report["language"]]),
        (_("Passed to"), text(wards[report["commune"]], "name") if report["commune"] in wards else None),
        (_("Case"), report["case"]),
    ]
    return [{"label": label, "value": value, "url": url_for("casework.one", code=value) if label == _("Case") else None}
            for label, value in told if value]  # fmt: skip


def photos_of(report):
    """The photos of a report, those of people who said the same behind: url, small."""
    return [
        {"url": url_for("inbox.photo", code=report["code"], number=i),
         "small": url_for("inbox.photo", code=report["code"], number=i, size="small"), "number": i}
        for i, _sha in enumerate(report["photos"], start=1)
    ]  # fmt: skip


def similar_view(report):
    """A similar report as it stands beside the one at hand."""
    return item(report) | {"metres": number(report["metres"], 0), "same_kind": report["same_kind"]}


def acts_of(report, *, role, near, wards, commune):
    """The buttons with their forms: label, key, whether it can be done now, ready reply, choices.

    near: hotspots near by: dicts of code, metres, name_vi, name_en. commune: code of the likely one.
    """
    language = report["language"]
    first = near[0] if near else None
    names = {
        "merge": first["code"] if first else "…",
        "pass": in_language(wards[commune], language) if commune in wards else "…",
    }
    out = []
    for action in (*KEYS, *OTHERS):
        act = handling.ACTS[action]
        out.append({
            "id": action, "label": _(LABELS[action]), "title": _(TITLES[action]), "key": str(KEYS.index(action) + 1) if action in KEYS else "",
            "possible": report["state"] in act.sources, "needs": act.needs, "final": "files" in act.needs,
            "reply": ready(action, language, names.get(action, "")), "reply_same": ready("same", language, ""), "case": first["code"] if first else "",
            "commune": commune if commune in wards else "", "place": names.get(action, ""), "act": url_for("inbox.act", code=report["code"], action=action),
        })  # fmt: skip
    return out


def messages_view(messages):
    """What was said, oldest first."""
    return [
        {"who": _("Sender") if m["by"] == "citizen" else f"{m['who']} ({words.word('role', m['role'])})", "at": m["at"],
         "text": m["text"], "mine": m["by"] != "citizen", "taken_back": m["taken_back"], "files": m["files"]}
        for m in messages
    ]  # fmt: skip


def history(report):
    """What was done with a report, newest first; the newest can be taken back on its day."""
    out = []
    for a in reversed(report["acts"]):
        done = a["action"]
        label = _("Taken back") if done == "undo" else _(LABELS.get(done, done))
        out.append({"id": a["id"], "label": label, "who": a["who"], "at": a["at"], "reason": a["reason"],
                    "undone": a["undone"], "can_undo": a["can_undo"]})  # fmt: skip
    return out
