"""The thread of a case as its page shows it: entries of server/thread.py in words, with files and links."""

from flask import url_for

from layers.catalogue import STAGE
from server.casefile import event_word, fact_label, sampling_view, shown_value
from server.i18n import N_, date, language, ngettext, number
from server.i18n import gettext as _
from server.remediation import BY_ACTION, EVIDENCE

KINDS = {
    "report": N_("citizen reports"), "step": N_("steps"), "sampling": N_("results"), "inspection": N_("inspections"),
    "decision": N_("decisions"), "attachment": N_("files"), "publication": N_("publication"), "edit": N_("edits"),
    "note": N_("notes"),
}  # fmt: skip
TITLES = {"edit": N_("Facts changed"), "void": N_("Entry voided"), "registered": N_("Entered in the register"),
          "note": N_("Note")}  # fmt: skip
PROPOSALS = {
    "propose": N_("Proposed for publication"), "approve": N_("Approved for publication"),
    "send_back": N_("Publication sent back"), "withdraw": N_("Withdrawn from the public side"),
}  # fmt: skip
DECISION_WORDS = {"plan": N_("Plan"), "order": N_("Order"), "fine": N_("Fine"), "limit": N_("Limits to use"),
                  "other": N_("Decision")}  # fmt: skip
FORM_WORDS = {  # fields of the forms of steps that the thread prints, in this order
    "class_reason": N_("Reasons for the class"), "measures": N_("Boundary, warning and limits on use"),
    "decision_no": N_("Number of the decision"), "decision_on": N_("Date of the decision"),
    "responsible": N_("Responsible party"), "deadline": N_("Deadline"), "no_containment": N_("Why containment is not needed"),
    "contractor": N_("Who does the works"), "work_done_on": N_("Work done on"), "faults": N_("List of faults"),
    "confirmation_no": N_("Number of the confirmation"), "cause": N_("Cause"), "merged_into": N_("Duplicate of"),
}  # fmt: skip


def timeline(code, entries, *, samplings, reports=(), zone):
    """The items of a thread, newest first, as thread_item in templates/case_parts.html takes them.

    entries: of server.thread. samplings: {id: casefile.sampling_view} of the case itself. reports: dicts of server.reports.get, each
    with `messages`. zone: of the city.
    """
    made = [_ITEMS.get(e["kind"], _note)(e, samplings, zone) for e in entries if e["kind"] != "report"]
    items = [i for i in made if i] + [i for r in reports for i in _report(r)]
    for item in items:
        came_from = item.pop("case", code)
        item["own"] = came_from == code
        if not item["own"]:
            item["id"] = None
            item["refs"] = [*item["refs"], {"label": came_from, "url": _address("case", came_from)}]
    return sorted(items, key=lambda i: (i["at"], i["order"]), reverse=True)


def kinds_of(items):
    """The kinds there are, with their counts, for the filter."""
    counts = {k: sum(i["kind"] == k for i in items) for k in KINDS}
    return [{"code": k, "label": _(KINDS[k]), "count": n} for k, n in counts.items() if n]


def action_word(action):
    """What was done, in words: as the table of steps tells it, or as the public timeline does."""
    if action in TITLES:
        return _(TITLES[action])
    return _(BY_ACTION[action].event) if action in BY_ACTION else event_word(action)


def _item(kind, at, order, title, actor, *, day=None, text="", **rest):
    same = day is None or day == at.date()
    return {"kind": kind, "at": at, "order": order, "iso": at.isoformat(timespec="minutes"), "day": day or at.date(),
            "time": at.strftime("%H:%M") if same else _("entered %(day)s", day=date(at.date())), "title": title,
            "actor": actor, "text": text or "", "photos": [], "files": [], "refs": [], "changes": [], "id": None,
            "sampling": None, "overridden": None, "undone": False, **rest}  # fmt: skip


def _of(e, zone, title, **rest):
    refs = [{"label": r["code"], "url": _address(r["kind"], r["code"])} for r in e["refs"]]
    item = _item(
        e["kind"], e["at"].astimezone(zone), e["number"], title, e["actor"], day=e["day"], case=e["case"], **rest
    )
    return item | {"refs": refs + item["refs"]}


def _address(kind, code):
    where = {"case": "casework.one", "facility": "facilities.one", "report": "inbox.one"}[kind]
    return url_for(where, code=code)


def _stage(code):
    return next((getattr(s, language()) for s in STAGE if s.value == code), code)


def _lines(*parts):
    return "\n".join(p for p in parts if p)


def _step(e, _samplings, zone):
    data, action = e["data"], e["action"]
    fields = data.get("fields", {})
    title = action_word(action)
    if e["stage_from"] and e["stage"] and e["stage_from"] != e["stage"]:
        title += f": {_stage(e['stage_from'])} → {_stage(e['stage'])}"
    told = []
    for name, label in FORM_WORDS.items():
        value = fields.get(name)
        if value not in (None, "", e["text"]):
            told.append(f"{_(label)}: {date(str(value)) if name.endswith('_on') or name == 'deadline' else value}")
    overridden = e["text"] if data.get("overridden") else None
    said = data.get(f"text_{language()}") or data.get("text_vi")
    if said and said != e["text"] and not overridden:
        told.append(_("In public: %(text)s", text=said))
    kind = "relapse" if action == "relapse" else "step"
    return _of(e, zone, title, text=_lines(None if overridden else e["text"], *told), overridden=overridden,
               undone=bool(data.get("undone")), look=kind)  # fmt: skip


def _edit(e, _samplings, zone):
    fields, old = e["data"].get("fields", {}), e["data"].get("old", {})
    changes = []
    if e["action"] == "edit":
        changes = [{"label": fact_label(n), "before": shown_value(n, old.get(n)), "after": shown_value(n, v)}
                   for n, v in fields.items()]  # fmt: skip
    return _of(e, zone, action_word(e["action"]), text=e["text"], changes=changes)


def _note(e, _samplings, zone):
    said = e["data"].get(f"text_{language()}") or e["data"].get("text_vi") or e["data"].get("text_en")
    return _of(e, zone, action_word(e["action"]), text=_lines(e["text"], said and _("In public: %(text)s", text=said)))


def _sampling(e, samplings, zone):
    view = samplings.get(e["data"]["id"]) or sampling_view(
        {"taken_on": e["day"], "place": e["text"], "choice": {}, "by": None, "by_name": e["actor"]} | e["data"]
    )
    return _of(e, zone, _("Sampling"), sampling=view)


def _inspection(e, _samplings, zone):
    title = _("Inspection") + (f" {e['data']['minutes_no']}" if e["data"]["minutes_no"] else "")
    return _of(e, zone, title, text=e["text"], id=f"inspection-{e['data']['id']}")


def _decision(e, _samplings, zone):
    d = e["data"]
    amount = _("%(amount)s đồng", amount=number(d["amount_vnd"], 0)) if d["amount_vnd"] is not None else None
    kind = d["kind"]
    title = f"{_(DECISION_WORDS.get(kind, kind))} {d['number']}"
    return _of(e, zone, title, text=_lines(amount, d["issuer"], e["text"]), id=f"decision-{d['id']}")


def _attachment(e, _samplings, zone):
    (f,) = e["files"]
    address = url_for("casework.file", code=e["case"], number=f["id"])
    kind = f["kind"]
    word = _(EVIDENCE[kind])
    word = word[:1].upper() + word[1:]
    notes = (date(f["dated"]) if f["dated"] else _("without a day"), f["note"],
             _("does not count: %(why)s", why=f["voided"]) if f["voided"] else None)  # fmt: skip
    note = " · ".join(n for n in notes if n)
    told = [_("Number %(number)s", number=f["number"]) if f["number"] else None]
    photos, files = [], []
    if f["media_type"].startswith("image/"):
        told.append(_("May be shown in public once approved.") if f["public"] else None)
        small = url_for("casework.file", code=e["case"], number=f["id"], size="small")
        photos = [{"url": address, "small": small, "alt": f["note"] or word, "note": note, "kind": f["kind"]}]
    else:
        files = [{"url": address, "name": f["name"], "note": note}]
    made = _of(e | {"day": None}, zone, word, text=_lines(*told), photos=photos, files=files, id=f"file-{f['id']}")
    return made | {"evidence": {"id": f["id"], "voided": f["voided"], "public": f["public"]}}


def _publication(e, _samplings, zone):
    d = e["data"]
    title = PROPOSALS[e["action"]]
    if e["action"] == "approve" and d["state"] == "published":
        title = N_("Published")
    embargo = _("Not before %(day)s", day=date(d["embargo"])) if d["embargo"] else None
    fields = None
    if e["action"] == "propose" and d["fields"]:
        fields = ngettext("one public field", "%(num)s public fields", len(d["fields"]))
    return _of(e, zone, _(title), text=_lines(e["text"], embargo, fields))


_ITEMS = {
    "step": _step, "edit": _edit, "note": _note, "sampling": _sampling, "inspection": _inspection,
    "decision": _decision, "attachment": _attachment, "publication": _publication,
}  # fmt: skip


def _report(r):
    ref = [{"label": r["code"], "url": url_for("inbox.one", code=r["code"])}]
    photos = [
        {"url": url_for("inbox.photo", code=r["code"], number=i), "alt": _("Photo %(n)s of the report", n=i), "note": "",
         "small": url_for("inbox.photo", code=r["code"], number=i, size="small"), "kind": "report", "number": i, "report": r["code"]}
        for i, _sha in enumerate(r["photos"], start=1)
    ]  # fmt: skip
    more = _("and %(n)s people who say the same", n=r["supporters"]) if r["supporters"] else ""
    yield _item("report", r["at"], 0, _("Citizen report"), "", text=_lines(r["words"], r["place"], more), refs=ref,
                photos=photos)  # fmt: skip
    for m in r.get("messages", ()):
        mine = m["by"] == "citizen"
        title = _("Message of the sender") if mine else _("Reply to the sender")
        taken_back = _("Taken back.") if m["taken_back"] else None
        yield _item(
            "report", m["at"], m["id"], title, "" if mine else m["who"], text=_lines(m["text"], taken_back), refs=ref
        )
