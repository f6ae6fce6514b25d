"""The desk of the staff: what waits for whom, what waits at the gate of publication, the journal of changes."""

import json
from datetime import timedelta

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for

from layers import audit, export
from server import accountpages, desk, downloads, listings, office, publication, query
from server.answers import data_response
from server.casebook import CaseError, NotYours
from server.errors import answer
from server.i18n import N_
from server.i18n import gettext as _
from server.security import STAFF, allowed, user

bp = Blueprint("desk", __name__)
PAGE = 100
WHOLE = 5000  # up to so many rows the chain is checked each time; more is checked when asked
COLUMNS = ("number", "at", "who", "who_id", "role", "action", "thing", "old", "new", "previous", "hash")


def services():
    return current_app.extensions["cangxanh"]


def page(template, *, inbox=None, publications=None, **values):
    bar = desk.frame(user(), office.ward_names(services()), inbox=inbox, publications=publications)
    return render_template(template, staff=bar, **values)


@bp.errorhandler(NotYours)
def not_yours(error):
    return answer(403, sentence=_(error.words, **error.values))


# --- my desk ---


def waiting():
    """What waits for this person: open cases, reports to answer, proposals, and the lists of the desk."""
    me, now = user(), services().now()
    rows = [r for r in office.rows(services(), me) if r["stage"] in desk.OPEN]
    reports = services().reports.inbox(me) if me.role != "planner" else []
    todo = [r for r in reports if r["state"] != "asked"]
    proposals = services().gate.waiting(me) if me.role in publication.PROPOSERS else []
    return rows, todo, proposals, office.lists(services(), me, rows, todo, proposals, now)


@bp.get("/desk")
@allowed(*STAFF)
def overview():
    rows, todo, proposals, made = waiting()
    work = listings.work(made)
    return page("desk.html", lists=made, escalation=office.escalation(rows, todo, office.ward_names(services())), today=services().today(), inbox=len(todo),
                publications=len(proposals), download=downloads.box(listings.WORK, "/desk", len(work), internal=True) if work else None)  # fmt: skip


@bp.get("/desk.<kind>")
@allowed(*STAFF)
def overview_file(kind):
    """All rows of the lists of the desk as a file."""
    records = listings.work(waiting()[3])
    return downloads.staff_file(services(), user(), listings.WORK, kind, records, stem=f"desk-{services().today()}")


# --- the gate ---


@bp.get("/publications")
@allowed(*publication.PROPOSERS)
def publications():
    return gate_page()


def gate_page(*, errors=None, number=None, values=None, status=200):
    gate, me = services().gate, user()
    waiting = gate.waiting(me)
    shown = [office.proposal_view(services(), p, me) for p in waiting]
    for p in shown:
        p["errors"] = errors or {} if p["id"] == number else {}
        p["reason"] = (values or {}).get("reason", "") if p["id"] == number else ""
    later = [
        {"code": p["case"], "title": desk.name_of(p["held"]), "embargo": p["embargo"], "who": p["decided_name"],
         "url": url_for("casework.one", code=p["case"])}
        for p in gate.embargoed() if me.covers(p["held"].ward, p["held"].media)
    ]  # fmt: skip
    return page("publications.html", proposals=shown, later=later, publications=len(shown),
                may_approve=me.role in publication.APPROVERS), status  # fmt: skip


def decided(number, do, said, *, values=None):
    try:
        p = services().gate.get(number)
    except KeyError:
        abort(404)
    try:
        done = do(p)
    except CaseError as e:
        status = 403 if isinstance(e, NotYours) else 409 if e.code == "conflict" else 422
        return gate_page(errors={"": _(e.words, **e.values)}, number=number, values=values, status=status)
    flash(_(said if done is not False else LATER, code=p["case"]))
    return redirect(url_for("desk.publications"), 303)


LATER = N_("%(code)s is approved and becomes public when its embargo ends.")
PUBLISHED = N_("%(code)s is public now.")
SENT_BACK = N_("%(code)s was sent back with the reason.")


@bp.post("/publications/<int:number>/approve")
@allowed(*publication.PROPOSERS)
def approve(number):
    return decided(number, lambda p: services().gate.approve(user(), number), PUBLISHED)


@bp.post("/publications/<int:number>/send-back")
@allowed(*publication.PROPOSERS)
def send_back(number):
    reason = request.form.get("reason", "")
    return decided(number, lambda p: services().gate.send_back(user(), number, reason), SENT_BACK, values=request.form)


# --- the journal ---


KINDS_OF = {"": ("case:*", "report:*", "layer:*", "feature:*", "list:*"), "people": ("user:*", "token:*", "report:*")}


def chosen():
    """What of which journal is asked for: settings, and the arguments of audit.rows."""
    q = {"of": query.choice("of", tuple(KINDS_OF), ""), "thing": query.words("thing"), "who": query.words("who"), "action": query.words("action"),
         "since": query.day("since", None), "until": query.day("until", None)}  # fmt: skip
    zone, end = services().now().tzinfo, q["until"] and q["until"] + timedelta(days=1)
    wanted = {n: q[n] or None for n in ("thing", "who", "action")}
    wanted |= {"since": office.utc_text(q["since"], zone), "until": office.utc_text(end, zone)}
    return q, wanted


@bp.get("/audit")
@allowed("administrator")
def journal():
    q, wanted = chosen()
    before = request.args.get("before", "")
    people = q["of"] == "people"
    with reading(q["of"]) as con:
        found = list(audit.rows(con, **wanted, before=int(before) if before.isdecimal() else None, limit=PAGE + 1))
        head = audit.head(con)
        check = head is not None and (head.number <= WHOLE or "check" in request.args)
        problems = audit.verify(con) if check else []
    rows = [office.audit_view(r) | {"done": accountpages.done(r["action"]) if people else ""} for r in found[:PAGE]]
    more = url_for("desk.journal", **query.keep(before=rows[-1]["number"])) if len(found) > PAGE else None
    return page(
        "desk_audit.html", rows=rows, query=q, more=more, kinds=KINDS_OF[q["of"]],
        journals=[(_("Data and cases"), url_for("desk.journal"), not people),
                  (_("Accounts and tokens"), url_for("desk.journal", of="people"), people)],
        chain={"checked": check, "problems": problems, "number": head.number if head else 0, "head": str(head) if head else ""},
        check_url=url_for("desk.journal", **query.keep(check="1")),
        downloads=[
            {"label": "CSV", "url": url_for("desk.journal_csv", **query.keep()), "note": _("for Excel")},
            {"label": "JSON", "url": url_for("desk.journal_json", **query.keep()), "note": _("with the hashes")},
        ],
    )  # fmt: skip


def reading(of):
    """The database of a journal: that of the data, or that of people and secrets."""
    return services().accounts.vault.reading() if of == "people" else services().store.reading()


def exported():
    """(rows of the journal that is asked for, name of their file)."""
    q, wanted = chosen()
    with reading(q["of"]) as con:
        return list(audit.rows(con, **wanted)), f"cang-xanh-audit{'-accounts' if q['of'] else ''}"


@bp.get("/audit.csv")
@allowed("administrator")
def journal_csv():
    held, name = exported()
    rows = [
        r | {n: None if r[n] is None else json.dumps(r[n], ensure_ascii=False) for n in ("old", "new")} for r in held
    ]
    body = export.csv_bytes(rows, COLUMNS)
    return data_response(body, "text/csv; charset=utf-8", version=f"{name}-{len(rows)}", filename=f"{name}.csv")


@bp.get("/audit.json")
@allowed("administrator")
def journal_json():
    rows, name = exported()
    body = json.dumps(rows, ensure_ascii=False).encode("utf-8")
    return data_response(body, "application/json", version=f"{name}-{len(rows)}", filename=f"{name}.json")
