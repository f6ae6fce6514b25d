"""Rows for the pages of citizens: the choices of the form, what lies near a pin, and a report as it is followed."""

from flask import url_for

from layers.catalogue import STAGE
from layers.letters import sort_key
from server import drafts, handling, words
from server.i18n import N_, date, gettext, language, ngettext, text

_ = gettext
# what a step says on the sender's page; a question and a reply carry their own text
_STEPS = {
    "accept": N_("An officer looks into it"),
    "merge": N_("Joined to a place that is known"),
    "new": N_("Entered in the register as a new place"),
    "pass": N_("Passed on to the commune"),
    "not_ours": N_("Another office is responsible"),
    "ask": N_("We have a question"),
    "answer": N_("Our answer"),
    "spam": N_("Set aside"),
    "reply": N_("You wrote"),
    "not_fixed": N_("You said that it is not fixed"),
    "withdraw": N_("You withdrew it; words, place and photos are deleted"),
}
PASSED = tuple(c.value for c in STAGE if c.value not in ("rejected", "suspended"))


def choices():
    """The choices of the form: kinds (code, word, note), smells (number, word), colours (code, word)."""
    return {
        "kinds": [{"code": k, "word": _(w), "note": _(n), "colour": k in ("water", "fish", "oil")}
                  for k, (w, _media, n) in drafts.KINDS.items() if k != drafts.MISTAKE],
        "smells": [{"code": str(n), "word": _(w)} for n, w in drafts.SMELLS.items()],
        "colours": [{"code": c, "word": _(w)} for c, w in drafts.COLOURS.items()],
    }  # fmt: skip


def wards(reports):
    """(code, name) of the wards in the order of their letters."""
    rows = [(code, names[0] if language() == "vi" else names[1]) for code, names in reports.wards().items()]
    return sorted(rows, key=lambda r: sort_key(r[1]))


def ward_name(reports, code):
    names = reports.wards().get(code)
    return (names[0] if language() == "vi" else names[1]) if names else ""


def pin_at(store, code):
    """Where a published hotspot lies, as lon and lat of the form; {} where it is not public or has no position."""
    frame = store.snapshot("hotspots")
    found = [g for g in frame.geometry[frame["code"] == code] if g is not None and not g.is_empty]
    if not found:
        return {}
    at = found[0].representative_point()
    return {"lon": f"{at.x:.6f}", "lat": f"{at.y:.6f}"}


def problem_words(problems):
    """{field: sentence in the reader's language} of drafts.DraftError.problems."""
    return {field: _(sentence, **values) for field, (sentence, values) in problems.items()}


def kind_word(kind):
    word, _media, _note = drafts.KINDS[kind]
    return _(word)


def _word(table, key):
    """The word of a code in the reader's language; "" for no code."""
    word = table.get(key)
    return _(word) if word else ""


def near(reports, lon, lat, kind):
    """What the form shows of a pin: ward (name), similar open reports, hotspots in the register."""
    code = reports.vicinity.ward(lon, lat)
    return {
        "ward": {"code": code, "name": ward_name(reports, code)} if code else None,
        "similar": [similar_row(s) for s in reports.similar_near(lon, lat, kind)] if kind in drafts.KINDS else [],
        "hotspots": [
            {
                "name": text(h, "name"), "stage": words.word("stage", h["stage"]), "metres": h["metres"],
                "url": url_for("hotspots.one", code=h["code"]),
            }
            for h in reports.hotspots_near(lon, lat)[:2]
        ],
    }  # fmt: skip


def similar_row(found):
    """One report near by, as a stranger may know it: ref, words and sentence."""
    when = [_("today"), _("yesterday")][found["days"]] if found["days"] < 2 else _("%(n)s days ago", n=found["days"])
    when += f", {found['at']:%H:%M}" if found["days"] < 2 else ""
    others = ngettext("one person", "%(num)s people", found["people"])
    sentence = _("about %(metres)s m away, %(when)s, by %(people)s", metres=found["metres"], when=when, people=others)
    return {"ref": found["ref"], "kind": kind_word(found["kind"]), "sentence": sentence}


def followed(reports, code):
    """A report for its sender's page: what reports.followed() gives, with words and a timeline. KeyError."""
    row = reports.followed(code)
    state, meaning = (_(w) for w in handling.STATES[row["state"]])
    commune = ward_name(reports, row["commune"])
    if row["state"] == "passed" and commune:
        state = _("Passed on to %(commune)s", commune=commune)
    if row["state"] == "joined" and not row["hotspot"]:
        meaning = _("It belongs to a case that is being checked; its stage is shown here once it is public.")
    if row["state"] == "joined" and row["same"]:
        meaning = _("Others report the same; you see here what becomes of it.")
    return row | {
        "state_word": state, "meaning": meaning, "kind_word": kind_word(row["kind"]),
        "ward_name": ward_name(reports, row["ward"]), "timeline": _timeline(row, commune),
        "stages": _stages(row["hotspot"]), "own": [p for p in row["photos"] if p["message"] is None],
        "smell_word": _word(drafts.SMELLS, row["smell"]),
        "colour_word": _word(drafts.COLOURS, row["colour"]),
        "question": next((m for m in reversed(row["messages"]) if m["kind"] == "ask" and not m["taken_back"]), None)
        if row["can_say"] == "answer" else None,
    }  # fmt: skip


def _timeline(row, commune):
    """Newest first: at, title, text, by, photos (numbers of own photos), files (index, name, is_photo), message."""
    said = {m["act"]: m for m in row["messages"] if m["act"]}
    numbers = {}
    for p in row["photos"]:
        numbers.setdefault(p["message"], []).append(p["number"])
    out = []
    for m in row["messages"]:
        title = _word(_STEPS, m["kind"])
        if m["kind"] == "pass" and commune:
            title = _("Passed on to %(commune)s", commune=commune)
        out.append(_entry(m["at"], title, m, numbers.get(m["id"], [])))
    for step in row["steps"]:
        if step["id"] not in said:
            out.append(_entry(step["at"], _word(_STEPS, step["action"])))
    received = _entry(row["at"], _("You reported it")) | {"photos": numbers.get(None, [])}
    return [*sorted(out, key=lambda e: e["at"], reverse=True), received]


def _entry(at, title, message=None, photos=()):
    back = bool(message and message["taken_back"])
    return {
        "at": at, "title": title, "text": "" if back or not message else message["text"], "taken_back": back,
        "by": message["by"] if message else "staff", "message": message["id"] if message else None,
        "photos": [] if back else list(photos),
        "files": [] if back or not message else [
            {"index": i, "name": f["name"], "is_photo": f["media_type"] == "image/jpeg"}
            for i, f in enumerate(message["files"])
        ],
    }  # fmt: skip


def _stages(hotspot):
    """The way of a published hotspot: {code, word, state (done, now, ahead)} for each stage; None without one."""
    if not hotspot or hotspot["stage"] not in PASSED:
        return None
    at = PASSED.index(hotspot["stage"])
    return [
        {"code": s, "word": words.word("stage", s), "state": "done" if i < at else "now" if i == at else "ahead"}
        for i, s in enumerate(PASSED)
    ]


def hotspot_facts(hotspot):
    """The public facts of a hotspot for the sender: name, url, stage word, deadline and what it is for."""
    if not hotspot:
        return None
    due = hotspot.get("deadline")
    known = due is not None and due == due  # a missing date is not equal to itself
    return {
        "name": text(hotspot, "name"), "url": url_for("hotspots.one", code=hotspot["code"]), "code": hotspot["code"],
        "stage": hotspot["stage"], "class": hotspot.get("severity_class") or "not_enough_data", "due": date(due) if known else None, "due_for": text(hotspot, "deadline_for"),
    }  # fmt: skip
