"""What the staff's pages need from the services of a city, gathered: rows, people, rights, what waits."""

import json
from datetime import UTC, datetime, time

from flask import url_for

from server import casefile, desk, publication, ranking, remediation, replies, words
from server.citytime import local
from server.docket import WRITERS
from server.i18n import gettext as _
from server.i18n import language, text
from server.nearby import Places

LOCAL = ("commune_officer", "inspector", "approver", "administrator")


def ward_names(services):
    """{code: {name_vi, name_en}} of the wards."""
    return {c: {"name_vi": vi, "name_en": en} for c, (vi, en) in services.ward_names().items()}


def ward_list(services, user):
    """(code, name) of the wards a person works with (None: of all), by name."""
    names = ward_names(services)
    mine = [(c, text(n, "name")) for c, n in names.items() if user is None or not user.wards or c in user.wards]
    return sorted(mine, key=lambda pair: pair[1])


def people(services):
    """{id: User} of all accounts that are in use."""
    return {u.id: u for u in services.accounts.users()}


def officers(services):
    """{id: name} of everybody who may be in charge of a case."""
    return {n: u.name for n, u in people(services).items() if u.role in LOCAL}


def may_be_officer(services, case):
    """(id, name) of the people who may be put in charge of a case: in use, of the right role, with its ward and media."""
    found = [u for u in people(services).values() if u.active and u.role in LOCAL and u.covers(case.ward, case.media)]
    return [(u.id, f"{u.name} ({words.word('role', u.role)})") for u in sorted(found, key=lambda u: u.name)]


def public_codes(services):
    return set(services.store.snapshot(publication.LAYER)["code"])


def rows(services, user):
    """Every case of this person as a row of the lists, with its clock and whether it is public; see rank()."""
    held = services.book.all(user)
    clocks = services.book.all_clocks(held)
    names, wards, public = officers(services), ward_names(services), public_codes(services)
    waiting = {p["case"] for p in services.gate.waiting()}
    return [
        desk.case_row(c, clocks[c.code].all, wards=wards, officers=names, public=c.code in public,
                      waiting=c.code in waiting)
        for c in held
    ]  # fmt: skip


def reports_of(services, codes):
    """The citizen reports with these codes, each with its messages; none where one is gone."""
    out = []
    for code in codes:
        try:
            out.append(services.reports.get(code) | {"messages": services.reports.messages(code)})
        except KeyError:
            continue
    return out


def cases_near(services, user, report, metres):
    """Open cases of this person within so many metres of a report, nearest first: code, metres, name_vi, name_en, stage."""
    if report["lon"] is None:
        return []
    held = {c.code: c for c in services.book.all(user) if c.stage in desk.OPEN and c.merged_into is None}
    places = Places(held, [c.geometry for c in held.values()])
    return [
        {"code": n.key, "metres": n.metres, "stage": held[n.key].stage, "title": desk.name_of(held[n.key]),
         "name_vi": held[n.key].name_vi, "name_en": held[n.key].name_en}
        for n in places.within(report["lon"], report["lat"], metres)
    ]  # fmt: skip


def rights(user, *, public, open_case):
    """What this person may do on the page of a case, beside the steps. open_case: entries may still be voided."""
    out = {"edit"} if user.role in WRITERS else set()
    if user.role in publication.PROPOSERS:
        out |= {"publish", "show"} | ({"void"} if open_case else set())
    if user.role in publication.APPROVERS and public:
        out.add("withdraw")
    return out


def pending_fields(services, case):
    """Public fields in which the case differs from the public side: field, label, before, after (as read)."""
    with services.store.reading() as con:
        found = services.gate.changes(con, case)
    return [
        {"field": f, "label": casefile.fact_label(f), "before": casefile.shown_value(f, old), "after": casefile.shown_value(f, new)}
        for f, (old, new) in found.items()
    ]  # fmt: skip


# --- priority ---


def rank(services, rows):
    """Write the priority into rows: points that sort (or None) and words."""
    for row in rows:
        row["priority"], row["priority_word"] = ranking.brief(services.priorities.of(row["case"]))


def priority_of(services, case):
    """The priority of one case as its page prints it; `layers` and `bounds` show on the map what was counted."""
    made = services.priorities.of(case)
    return ranking.view(made) | {
        "layers": ranking.layers(made, services.store.snapshot("receptors")), "bounds": ranking.bounds(made),
    }  # fmt: skip


# --- what waits for whom ---


ACTING = ("confirm", "contain", "approve_plan", "start", "finish", "close", "complete")


def waiting_for(services, user, rows):
    """Rows of what this person can do now: where they are the officer, or the decision is their role's."""
    out = []
    for row in rows:
        case = row["case"]
        mine = case.officer == user.id
        if not mine and user.role not in remediation.DECIDERS:
            continue
        for offer in services.book.offers(case, user):
            t = offer.transition
            decides = t.roles[0] in remediation.DECIDERS and user.role in remediation.DECIDERS
            if offer.blocked or t.action not in ACTING or not (mine or decides):
                continue
            label = _("Decide") if decides else _("Act")
            out.append(
                desk.work_row(row, _("“%(step)s” is possible now", step=_(t.label)), label, anchor=f"act-{t.action}")
            )
            break
    return sorted(out, key=desk.urgency)


def report_row(report, wards, why):
    """A citizen report as a row of the desk."""
    ward = wards.get(report["commune"] or report["ward"])
    url = url_for("inbox.one", code=report["code"])
    return {
        "code": report["code"], "url": url, "title": replies.item(report)["title"], "stage": "received",
        "where": text(ward, "name") if ward else report["place"], "why": why, "clock": replies.clock_of(report),
        "state": report["clock"].state if report["clock"] else "none", "due": _due(report["clock"]),
        "act": {"label": _("Reply"), "url": url}, "at": report["at"],
    }  # fmt: skip


def _due(clock):
    due = clock.due if clock else None
    return due.date() if isinstance(due, datetime) else due


def late_reports(reports, wards):
    return [
        report_row(r, wards, _("%(what)s is late", what=replies.clock_of(r)["name_word"])) for r in reports if r["late"]
    ]


def answered(services, reports):
    """Open reports whose sender has written since we last did: they wait for an officer."""
    out = []
    for r in reports:
        if r["state"] in ("checking", "passed"):
            said = services.reports.messages(r["code"])
            if said and said[-1]["by"] == "citizen":
                out.append(r)
    return out


def lists(services, user, rows, reports, proposals, now):
    """The four lists of the desk. rows: open cases; reports: those that wait for an officer; proposals: at the gate."""
    wards = ward_names(services)
    late = sorted(desk.late_rows(rows) + late_reports(reports, wards), key=desk.urgency)
    very = sum(r["state"] == "very_late" for r in late)
    since = desk.new_since(now)
    new = [
        report_row(r, wards, r["words"][:80] or _("no words"))
        for r in reports
        if r["at"] >= since and r["state"] == "received"
    ]
    new += [desk.work_row(r, _("opened, nobody in charge yet"), _("Take up")) for r in rows
            if r["stage"] == "received" and r["opened_on"] and r["opened_on"] >= since.date()]  # fmt: skip
    mine = [proposal_row(p) for p in proposals if user.role in publication.APPROVERS and p["by"] != user.id]
    mine += [report_row(r, wards, _("the sender has answered")) for r in answered(services, reports)]
    mine += waiting_for(services, user, rows)
    return [
        desk.listed("overdue", _("Overdue"), "late", late[very:], above=very, more=url_for("casework.overview", due="late"),
                    empty=_("Nothing is overdue.") if not very else ""),
        desk.listed("new", _("New since yesterday"), "new", new, more=url_for("inbox.overview") if reports else None,
                    empty=_("Nothing new since yesterday.")),
        desk.listed("mine", _("Waits for me"), "mine", mine, more=url_for("desk.publications") if proposals else None,
                    empty=_("Nothing waits for you."),
                    advice=_("Approvals of your role, and cases where you are the officer and the next step is possible.")),
        desk.listed("silent", _("Silent stations"), "silent", [], empty=_("No stations send yet."),
                    advice=_("Stations that stop sending will be listed here. Until one sends, nothing is known about silence.")),
    ]  # fmt: skip


def escalation(rows, reports, wards):
    """What is very late and must go up to the head of the office, worst first."""
    cases = [r for r in desk.late_rows(rows) if r["state"] == "very_late"]
    very = [r for r in late_reports(reports, wards) if r["state"] == "very_late"]
    return sorted(cases + very, key=desk.urgency)


# --- the gate ---


def proposal_row(p):
    """A proposal as a row of the desk."""
    url = url_for("desk.publications", _anchor=f"p-{p['id']}")
    return {
        "code": p["case"], "url": url, "title": desk.name_of(p["held"]), "stage": p["held"].stage, "where": "",
        "why": _("to be published, proposed by %(who)s", who=p["by_name"]), "clock": None, "state": "none", "due": None,
        "act": {"label": _("Look"), "url": url},
    }  # fmt: skip


def proposal_view(services, p, user):
    """A proposal as the page of the gate prints it: field by field, with the events that become public."""
    differences = services.gate.differences(p["id"])
    events = services.gate.events_of(p["id"])
    own = p["by"] == user.id
    may = user.role in publication.APPROVERS
    why_not = None
    if own:
        why_not = _("You proposed this yourself. A second person must approve it.")
    elif not may:
        why_not = _("Only approvers and administrators approve what becomes public.")
    numbers = {e["sha"]: e["id"] for e in services.book.attachments(p["case"])}
    present = publication.public_fields(p["held"], services.ward_names())
    stale = any(present.get(f) != v for f, v in p["after"].items())
    return {
        "id": p["id"], "code": p["case"], "title": desk.name_of(p["held"]), "stage": p["held"].stage,
        "url": url_for("casework.one", code=p["case"]), "who": p["by_name"], "at": local(p["at"]),
        "note": p["note"], "embargo": p["embargo"], "first": p["before"] is None, "own": own, "why_not": why_not, "stale": stale,
        "rows": [{"label": d["label_" + language()], "before": casefile.shown_value(d["field"], d["before"]),
                  "after": casefile.shown_value(d["field"], d["after"])} for d in differences],
        "events": [_public_event(e, p["case"], numbers) for e in events],
    }  # fmt: skip


def _public_event(e, code, numbers):
    """An event that becomes public, with its photos as the approver sees them. numbers: {checksum: id of the evidence}."""
    shas = [s for c in ("photos_before", "photos_after", "photos") if e[c] for s in e[c].split(";")]
    return {
        "day": e["day"], "title": casefile.event_word(e["action"]), "stage": e["stage"], "overridden": e["overridden"] == "yes",
        "text": e.get(f"text_{language()}") or e.get("text_vi"),
        "photos": [{"url": url_for("casework.file", code=code, number=numbers[s]),
                    "small": url_for("casework.file", code=code, number=numbers[s], size="small")} for s in shas if s in numbers],
    }  # fmt: skip


# --- the journal ---


def utc_text(day, zone):
    """The start of a day of the city as the journal writes moments, None for None."""
    return (
        None if day is None else datetime.combine(day, time(), zone).astimezone(UTC).isoformat(timespec="milliseconds")
    )


def audit_view(row):
    """A row of the journal as the page prints it."""
    at = local(row["at"])
    old, new = row["old"] or {}, row["new"] or {}
    kind, _sep, code = row["thing"].partition(":")
    url = {"case": "casework.one", "report": "inbox.one"}.get(kind)
    return {
        "number": row["number"], "day": at.date(), "time": at.strftime("%H:%M:%S"), "who": row["who"],
        "role_word": words.word("role", row["role"]) if row["role"] in words.FAMILIES["role"] else row["role"],
        "action": row["action"], "thing": row["thing"], "url": url_for(url, code=code) if url else None,
        "changes": [{"field": f, "old": _short(old.get(f)), "new": _short(new.get(f))} for f in dict.fromkeys([*old, *new])],
    }  # fmt: skip


def _short(value):
    if value is None:
        return "–"
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return said if len(said) <= 300 else said[:300] + "…"
