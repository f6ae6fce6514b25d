"""The cases for staff: the list in three views, the page of a case with its steps, new cases, edits, files."""

from urllib.parse import quote

from flask import Blueprint, Response, abort, current_app, flash, redirect, render_template, request, url_for

from server import (
    atlas,
    casedesk,
    casefile,
    caseforms,
    casepage,
    desk,
    downloads,
    drawing,
    editforms,
    forms,
    listings,
    maps,
    office,
    publication,
    query,
    timeline,
    words,
)
from server.casebook import CaseError, NotYours
from server.cases import PUBLIC_FROM
from server.errors import answer
from server.files import FileError
from server.forms import FormError
from server.i18n import gettext as _
from server.i18n import text
from server.remediation import STAGES
from server.security import STAFF, allowed, takes_up_to, user

bp = Blueprint("casework", __name__)
WRITERS = ("commune_officer", "inspector", "approver", "administrator")
VIEWS = ("table", "board", "map")
UPLOAD = 60 * 1024 * 1024
PER_PAGE = 50
CARDS = 40  # of one column of the board
RANKED = 300  # so many cases are put in the order of their priority at once; each takes some hundredths of a second


def services():
    return current_app.extensions["cangxanh"]


def page(template, **values):
    return render_template(template, staff=desk.frame(user(), office.ward_names(services())), **values)


def held(code):
    """The case, or 404; 403 with a sentence outside this person's scope."""
    try:
        return services().book.get(code, user())
    except KeyError:
        abort(404)


@bp.errorhandler(NotYours)
def not_yours(error):
    return answer(403, sentence=_(error.words, **error.values))


# --- the list: one query, three views ---


def asked():
    """The settings of the list, every row of this person and the rows they choose."""
    wards = office.ward_names(services())
    every = office.rows(services(), user())
    officers = office.officers(services())
    here = sorted({r["ward"] for r in every if r["ward"]}, key=lambda w: text(wards[w], "name") if w in wards else w)
    known = sorted({r["officer"] for r in every if r["officer"]}, key=lambda n: officers.get(n, ""))
    q = {
        "view": query.choice("view", VIEWS, "table"),
        "stage": query.choice("stage", ("", *STAGES, "every"), ""),
        "due": query.choice("due", ("", *desk.DUES), ""),
        "class": query.choice("class", ("", *words.FAMILIES["class"]), ""),
        "medium": query.choice("medium", ("", *words.FAMILIES["medium"]), ""),
        "ward": query.choice("ward", ("", *here), ""),
        "officer": query.choice("officer", ("", "none", *map(str, known)), ""),
        "sort": query.choice("sort", tuple(desk.SORTS), "due"),
        "q": query.words(),
        "facility": query.words("facility"),
    }
    of_facility = set(services().book.linked("facility", q["facility"])) if q["facility"] else None
    chosen = [r for r in every if desk.matches(r, q) and (of_facility is None or r["code"] in of_facility)]
    if q["sort"] == "priority" and len(chosen) <= RANKED:
        office.rank(services(), chosen)
    choices = {
        "stages": [("every", _("all, closed ones too")), *((s, words.word("stage", s)) for s in STAGES)],
        "dues": [(d, _(desk.DUE_WORDS[d])) for d in desk.DUES],
        "classes": [(c, words.word("class", c)) for c in words.FAMILIES["class"]],
        "media": [(m, words.word("medium", m)) for m in words.FAMILIES["medium"]],
        "wards": [(w, text(wards[w], "name") if w in wards else w) for w in here],
        "officers": [("none", _("nobody yet")), *((str(n), officers.get(n, str(n))) for n in known)],
        "sorts": [(k, _(v)) for k, v in desk.SORTS.items()],
    }
    order = "due" if q["sort"] == "priority" and len(chosen) > RANKED else q["sort"]
    return q, every, desk.ordered(chosen, order), choices


@bp.get("/cases")
@allowed(*STAFF)
def overview():
    q, every, rows, choices = asked()
    made, columns = None, board(rows) if q["view"] == "board" else []
    here, at, pages = query.cut(rows, PER_PAGE)
    if q["view"] != "board":
        office.rank(services(), here)
    marks = desk.marks(rows) if q["view"] == "map" else []
    if marks:
        layers = [atlas.ground(services().store), *desk.case_layers(marks, rows)]
        made = maps.map_page(layers, bounds=atlas.CITY_BOUNDS, settings=current_app.config["CANGXANH"],
                             label=_("Map of the cases"))  # fmt: skip
    facility = services().named(q["facility"], "vi") if q["facility"] else None
    return page(
        "cases.html", query=q, rows=here, found=len(rows), page=at, pages=pages, keep=query.keep, total=len(every),
        columns=columns, map=made, choices=choices,
        views=[{"key": v, "label": label, "url": url_for("casework.overview", **query.keep(view=v, page=""))}
               for v, label in zip(VIEWS, (_("Table"), _("Board"), _("Map")), strict=True)],
        key=[{"family": "stage", "code": s, "count": sum(r["stage"] == s for r in rows)} for s in STAGES
             if any(r["stage"] == s for r in rows)],
        unranked=RANKED if q["sort"] == "priority" and len(rows) > RANKED else None,
        unplaced=len(rows) - len(marks) if q["view"] == "map" else 0, may_open=user().role in WRITERS,
        narrowed=any(q[n] for n in ("stage", "due", "class", "medium", "ward", "officer", "q", "facility")),
        facility_name=facility["name"] if facility else q["facility"],
        downloads=_boxes(rows) if rows else [],
    )  # fmt: skip


def board(rows):
    """The columns of the board; of a long one the first cards, and the way to all of them."""
    columns = desk.board(rows)
    for column in columns:
        column["count"] = len(column["rows"])
        column["rows"] = column["rows"][:CARDS]
        column["url"] = url_for("casework.overview", **query.keep(view="table", stage=column["code"], page=""))
        for row in column["rows"]:
            row["steps"] = desk.steps_of(row["case"], services().book.offers(row["case"], user()))
    return columns


def _boxes(rows):
    """The downloads of the list: its cases, and what was measured in them."""
    results = services().book.count_results(r["code"] for r in rows)
    made = [downloads.box(listings.CASES, "/cases", len(rows), title=_("Download these cases"), internal=True)]
    return made + ([downloads.box(listings.SAMPLINGS, "/samplings", results, title=_("Download their sampling results"),
                                  internal=True)] if results else [])  # fmt: skip


@bp.get("/cases.<kind>")
@allowed(*STAFF)
def cases_file(kind):
    """The cases of the list as a file."""
    _q, _every, rows, _choices = asked()
    records = listings.cases(services(), [r["case"] for r in rows])
    return downloads.staff_file(services(), user(), listings.CASES, kind, records, stem=f"cases-{services().today()}")


@bp.get("/samplings.<kind>")
@allowed(*STAFF)
def samplings_file(kind):
    """What was measured in the cases of the list, result by result, as a file."""
    _q, _every, rows, _choices = asked()
    records = listings.samplings(services(), [r["case"] for r in rows])
    stem = f"samplings-{services().today()}"
    return downloads.staff_file(services(), user(), listings.SAMPLINGS, kind, records, stem=stem)


# --- one case ---


def one_page(case, *, form=None, values=None, errors=None, status=200):
    """The page of a case; with the form that was refused standing open, and what was typed still in it."""
    made = casepage.view(
        services(), user(), case, settings=current_app.config["CANGXANH"], form=form, values=values, errors=errors,
        kind=query.choice("kind", ("", *timeline.KINDS), ""),
        step=query.choice("step", ("", *caseforms.ACTIONS), "") or None,
    )  # fmt: skip
    return page("case.html", **made), status


@bp.get("/cases/<code>")
@allowed(*STAFF)
def one(code):
    return one_page(held(code))


def refused(case, form, error):
    """The page again with what was typed; 409 where somebody was quicker, else 422."""
    status = 409 if error.case is not None else 422
    return one_page(
        services().book.get(case.code, user()), form=form, values=request.form, errors=error.errors, status=status
    )


@bp.post("/cases/<code>/step/<action>")
@allowed(*WRITERS)
def step(code, action):
    case = held(code)
    try:
        done = casedesk.step(services(), user(), code, action, request.form)
    except KeyError:
        abort(404)
    except FormError as e:
        return refused(case, action, e)
    flash(_("%(step)s: done. The case is now in the stage “%(stage)s”.", step=timeline.action_word(action),
            stage=words.word("stage", done.stage)))  # fmt: skip
    return redirect(url_for("casework.one", code=code), 303)


@bp.post("/cases/<code>/add/<what>")
@allowed(*WRITERS)
@takes_up_to(UPLOAD)
def add(code, what):
    if what not in casedesk.KINDS:
        abort(404)
    case = held(code)
    try:
        said = casedesk.add(services(), user(), code, what, request.form, request.files)
    except FormError as e:
        return refused(case, what, e)
    flash(said)
    return redirect(url_for("casework.one", code=code, _anchor="add"), 303)


@bp.post("/cases/<code>/use/<report>/<int:number>")
@allowed(*WRITERS)
def use(code, report, number):
    """Take a photo of a citizen report as evidence."""
    case = held(code)
    try:
        casedesk.use_photo(services(), user(), code, report, number, request.form.get("kind", ""))
    except KeyError:
        abort(404)
    except FormError as e:
        return refused(case, "use", e)
    flash(_("The photo is in the case."))
    return redirect(url_for("casework.one", code=code, _anchor="thread"), 303)


@bp.post("/cases/<code>/void/<kind>/<int:number>")
@allowed("inspector", "approver", "administrator")
def void(code, kind, number):
    case = held(code)
    if kind not in ("sampling", "evidence"):
        abort(404)
    try:
        services().book.void(user(), kind, number, request.form.get("reason", ""))
    except NotYours:
        raise
    except CaseError as e:
        return refused(case, f"void-{kind}-{number}", casedesk.told(e))
    flash(_("The entry does not count any more. It stays in the thread with the reason."))
    return redirect(url_for("casework.one", code=code, _anchor="thread"), 303)


@bp.post("/cases/<code>/show/<int:number>")
@allowed("inspector", "approver", "administrator")
def show(code, number):
    held(code)
    services().book.show_evidence(user(), number, request.form.get("public") == "yes")
    return redirect(url_for("casework.one", code=code, _anchor=f"file-{number}"), 303)


@bp.post("/cases/<code>/propose")
@allowed(*publication.PROPOSERS)
def propose(code):
    case = held(code)
    errors = {}
    embargo = forms.day_of(request.form, "embargo", errors)
    shown = set(request.form.getlist("fields"))
    hold = [f["field"] for f in office.pending_fields(services(), case) if f["field"] not in shown]
    try:
        if errors:
            raise FormError(errors)
        services().gate.propose(
            user(), code, note=forms.text_of(request.form, "note", 1000), embargo=embargo, hold=hold
        )
    except NotYours:
        raise
    except CaseError as e:
        return refused(case, "publish", casedesk.told(e))
    except FormError as e:
        return refused(case, "publish", e)
    flash(_("Proposed. A second person looks at it before it becomes public."))
    return redirect(url_for("casework.one", code=code, _anchor="publication"), 303)


@bp.post("/cases/<code>/withdraw")
@allowed(*publication.APPROVERS)
def withdraw(code):
    case = held(code)
    try:
        services().gate.withdraw(user(), code, request.form.get("reason", ""))
    except NotYours:
        raise
    except CaseError as e:
        return refused(case, "withdraw", casedesk.told(e))
    flash(_("Withdrawn. The public page shows again what it showed before."))
    return redirect(url_for("casework.one", code=code, _anchor="publication"), 303)


# --- new, edit, split ---


def drawn_page(template, *, case=None, fields=(), values=None, errors=None, status=200, known=True, **more):
    """A page with the drawing tool. values: the form as it was sent, where it was refused.

    known: whether the place of the case is where the drawing begins.
    """
    errors = errors or {}
    before = case.geometry if case is not None and known else None
    lat, lon = (values.get("lat", ""), values.get("lon", "")) if values else drawing.position(before)
    marks = desk.marks(office.rows(services(), user()))
    others = [m for m in marks if case is None or m["code"] != case.code]
    made = maps.map_page(
        [atlas.ground(services().store), maps.hotspot_layer(others[: maps.MAX_EMBEDDED], "")],
        bounds=atlas.bounds_of([m for m in marks if m not in others]),
        settings=current_app.config["CANGXANH"], label=_("Map to draw the place"),
    )  # fmt: skip
    place = {"drawn": (values or {}).get("geometry", ""), "first": drawing.written(before), "lat": lat, "lon": lon,
             "error": errors.get("geometry")}  # fmt: skip
    return page(
        template, case=case, name=desk.name_of(case) if case else None, errors=errors, map=made, place=place,
        fields=caseforms.filled(fields, values, errors), facilities=casedesk.sources(services()),
        reason=(values or {}).get("reason", ""), **more,
    ), status  # fmt: skip


def new_page(given, values=None, errors=None, status=200):
    facts = {"geometry_quality": "digitised", "confidence": "medium", "source": given.get("source")}
    own = editforms.new_fields(office.ward_list(services(), user()), given.get("facility"), values, errors or {})
    return drawn_page("case_new.html", fields=casefile.fact_fields(given=facts), values=values, errors=errors, status=status,
                      own=own, reports=(values or given).getlist("report")[:20])  # fmt: skip


@bp.get("/cases/new")
@allowed(*WRITERS)
def new():
    return new_page(request.args)


@bp.post("/cases/new")
@allowed(*WRITERS)
def create():
    try:
        case = casedesk.opened(services(), user(), request.form)
    except FormError as e:
        return new_page(request.form, request.form, e.errors, 422)
    flash(_("%(code)s is open.", code=case.code))
    return redirect(url_for("casework.one", code=case.code), 303)


def edit_page(case, values=None, errors=None, status=200):
    may_class = user().role in publication.PROPOSERS and case.stage in PUBLIC_FROM
    own = editforms.own_fields(case, office.may_be_officer(services(), case), may_class, values, errors or {})
    return drawn_page(
        "case_edit.html", case=case, fields=casefile.fact_fields(case), values=values, errors=errors, status=status, own=own,
        base=(values or {}).get("base") or casedesk.base_of(case), revision=(values or {}).get("revision") or case.revision,
    )  # fmt: skip


@bp.get("/cases/<code>/edit")
@allowed(*WRITERS)
def editor(code):
    return edit_page(held(code))


@bp.post("/cases/<code>/edit")
@allowed(*WRITERS)
def edit(code):
    case = held(code)
    try:
        casedesk.edit(services(), user(), code, request.form)
    except FormError as e:
        if e.case is None:
            return edit_page(case, request.form, e.errors, 422)
        return conflict(held(code), e)
    flash(_("Saved."))
    return redirect(url_for("casework.one", code=code), 303)


def conflict(case, error):
    """Somebody was quicker: both values of each field side by side, to choose from; nothing typed is lost."""
    return page(
        "case_conflict.html", case=case, name=desk.name_of(case), rows=editforms.conflict_rows(case, request.form),
        base=casedesk.base_of(case), sentence=error.errors.get(""), reason=request.form.get("reason", ""),
    ), 409  # fmt: skip


def split_page(case, values=None, errors=None, status=200):
    fields = casefile.fact_fields(case, names=("name_vi", "name_en", "media", "pollutants_vi", "pollutants_en"))
    return drawn_page("case_split.html", case=case, fields=fields, values=values, errors=errors, status=status, known=False,
                      revision=(values or {}).get("revision") or case.revision)  # fmt: skip


@bp.get("/cases/<code>/split")
@allowed(*publication.PROPOSERS)
def split(code):
    return split_page(held(code))


@bp.post("/cases/<code>/split")
@allowed(*publication.PROPOSERS)
def split_off(code):
    case = held(code)
    try:
        made = casedesk.opened(services(), user(), request.form, split_of=code)
    except FormError as e:
        return split_page(case, request.form, e.errors, 409 if e.case is not None else 422)
    flash(_("%(code)s was split off and is being checked.", code=made.code))
    return redirect(url_for("casework.one", code=made.code), 303)


# --- files ---


def found_file(code, number):
    held(code)
    row = next((e for e in services().book.attachments(code) if e["id"] == number), None)
    if row is None:
        abort(404)
    return row


@bp.get("/cases/<code>/files/<int:number>")
@allowed(*STAFF)
def file(code, number):
    """A photo (drawn anew by us) to look at; a document or an original only ever as an attachment."""
    row = found_file(code, number)
    wanted = query.choice("size", ("", "small", "original"), "")
    image = row["media_type"] == "image/jpeg"
    try:
        if image and wanted == "small":
            body = services().files.small(row["sha"]).read_bytes()
        elif wanted == "original" and row["original"]:
            body, image = services().files.original(row["original"]), False
        else:
            body = services().files.read(row["sha"])
    except FileError:
        abort(404)
    return sent(body, "image/jpeg" if image else row["media_type"], None if image else row["name"],
                octets=wanted == "original")  # fmt: skip


def sent(body, kind, name, *, octets=False):
    response = Response(body, mimetype="application/octet-stream" if octets else kind)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    if name is not None:
        response.headers["Content-Disposition"] = (
            f"attachment; filename=\"file\"; filename*=UTF-8''{quote(name, safe='')}"
        )
    return response
