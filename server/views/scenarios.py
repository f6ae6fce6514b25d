"""Scenarios: new plants by year on top of today's ledger; drawn, discussed, locked, compared, printed."""

from flask import (
    Blueprint,
    abort,
    current_app,
    flash,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)

from layers.workbook import MIMETYPE as XLSX
from server import (
    atlas,
    desk,
    maps,
    office,
    query,
    scenariofiles,
    scenarioforms,
    scenariomaps,
    scenariopages,
)
from server.errors import Refused, answer
from server.forms import FormError, revision_of, text_of
from server.i18n import gettext as _
from server.i18n import language, moment
from server.outlines import outlines
from server.scenariobook import READERS, WRITERS, Conflict, ScenarioError
from server.scenarioplants import SHOWN_YEARS
from server.security import allowed, takes_up_to, user

bp = Blueprint("scenarios", __name__, url_prefix="/plan/scenarios")
YEARS = tuple(map(str, SHOWN_YEARS))
PAPER = ("A3", "A4")


def services():
    return current_app.extensions["cangxanh"]


def book():
    return services().scenarios


def page(template, status=200, **values):
    bar = desk.frame(user(), office.ward_names(services()))
    return render_template(template, staff=bar, may_write=user().role in WRITERS, **values), status


def held(code):
    """The scenario, or 404."""
    try:
        return book().get(code)
    except KeyError:
        abort(404)


def asked_year(default="2030"):
    return int(query.choice("year", YEARS, default))


def words(error):
    return _(error.words, **error.values)


@bp.errorhandler(ScenarioError)
def refused(error):
    status = 409 if isinstance(error, Conflict) else 403 if user().role not in WRITERS else 422
    if request.is_json:
        told = scenarioforms.told(error.problems, numbered=True)
        return jsonify(message=words(error), problems=told), status
    return answer(status, sentence=words(error))


# --- the list ---


@bp.get("")
@allowed(*READERS)
def overview(errors=None, status=200):
    counts = book().counts()
    hidden = query.choice("show", ("", "hidden"), "") == "hidden"
    rows = [scenariopages.row(s, book().figures(s.code), counts[s.code]) for s in book().all(hidden=hidden)]
    return page(
        "scenarios.html", status, rows=rows, errors=errors or {}, typed=request.form, hidden=hidden,
        others=len(book().all(hidden=True)), studies=offered_studies(), asked=request.args.get("study", ""),
    )  # fmt: skip


def offered_studies():
    """Studies that have an answer: (code, name)."""
    kept = services().studies.all()
    return [(s["code"], s["name"]) for s in kept if s["summary"] and not s["summary"].get("infeasible")]


@bp.post("")
@allowed(*WRITERS)
def create():
    study = text_of(request.form, "study", 40)
    try:
        if study:
            return redirect(
                url_for(".one", code=book().from_study(user(), study, text_of(request.form, "name", 400))), 303
            )
        return redirect(url_for(".draw", code=book().create(user(), text_of(request.form, "name", 400))), 303)
    except ScenarioError as e:
        if not e.problems:
            raise
        return overview(scenarioforms.told(e.problems), 422)


# --- one scenario ---


@bp.get("/<code>")
@allowed(*READERS)
def one(code, *, form="", errors=None, status=200):
    scenario = held(code)
    figures, year = book().figures(code), asked_year()
    currency = scenario.money.currency
    made = maps.map_page(
        scenariomaps.layers(services()), bounds=scenariomaps.bounds(figures), settings=current_app.config["CANGXANH"],
        label=_("Map of the scenario"),
    )  # fmt: skip
    typed = request.form if form == "money" else scenarioforms.typed_money(scenario.money)
    return page(
        "scenario.html", status, scenario=scenario, figures=figures, year=year, years=SHOWN_YEARS, map=made,
        drawn=scenariomaps.drawn(figures), metrics=scenariopages.metrics(figures, year, currency),
        year_word=scenariopages.year_word, ledger=scenariopages.ledger_rows(figures),
        key=scenariopages.parts_there(figures), plants=scenariopages.plant_rows(figures, currency),
        units=scenariopages.unit_rows(figures), hotspots=scenariopages.hotspot_rows(figures),
        cautions=scenariopages.cautions(figures), comments=book().comments(code, user()),
        moment=moment, money=scenarioforms.money_fields(typed, errors), money_told=scenarioforms.told_money(scenario.money),
        costs={y: scenariopages.metrics(figures, y, currency)[3:6] for y in SHOWN_YEARS},
        history=scenariopages.history_rows(book().history(code)), form=form, errors=errors or {}, others=[s for s in book().all() if s.code != code][:20],
    )  # fmt: skip


def back(code, anchor=None):
    return redirect(url_for(".one", code=code, _anchor=anchor), 303)


def done(code, sentence, anchor=None):
    flash(sentence)
    return back(code, anchor)


@bp.post("/<code>/details")
@allowed(*WRITERS)
def details(code):
    held(code)
    form = request.form
    try:
        book().describe(user(), code, revision_of(form), name=text_of(form, "name", 400), note=text_of(form, "note"))
    except ScenarioError as e:
        if not e.problems:
            raise
        return one(code, form="details", errors=scenarioforms.told(e.problems), status=422)
    return done(code, _("The name and the note are saved."))


@bp.post("/<code>/money")
@allowed(*WRITERS)
def money(code):
    held(code)
    try:
        book().describe(user(), code, revision_of(request.form), money=scenarioforms.read_money(request.form))
    except (FormError, ScenarioError) as e:
        if isinstance(e, ScenarioError) and not e.problems:
            raise
        found = e.errors if isinstance(e, FormError) else scenarioforms.told(e.problems)
        return one(code, form="money", errors=found, status=422)
    return done(code, _("The unit costs are saved; everything is computed anew."), "costs")


@bp.post("/<code>/lock")
@allowed(*WRITERS)
def lock(code):
    held(code)
    book().lock(user(), code, revision_of(request.form))
    return done(code, _("%(code)s is locked. Its figures stay as they are now.", code=code))


@bp.post("/<code>/unlock")
@allowed(*WRITERS)
def unlock(code):
    held(code)
    book().unlock(user(), code, revision_of(request.form))
    return done(code, _("%(code)s is open again and follows the data.", code=code))


@bp.post("/<code>/copy")
@allowed(*WRITERS)
def copy(code):
    scenario = held(code)
    made = book().copy(user(), code, _("Copy of %(name)s", name=scenario.name)[:120])
    return done(made, _("This is a copy of %(code)s. It can be changed freely.", code=code))


@bp.post("/<code>/away")
@allowed(*WRITERS)
def away(code):
    held(code)
    out = request.form.get("back") == "yes"
    book().put_away(user(), code, revision_of(request.form), away=not out)
    if out:
        return done(code, _("%(code)s is in the list again.", code=code))
    flash(_("%(code)s was put away. It is kept under “Put away”, from where it can come back.", code=code))
    return redirect(url_for(".overview"), 303)


@bp.post("/<code>/back")
@allowed(*WRITERS)
def bring_back(code):
    """The plants of an earlier revision, as a new one."""
    held(code)
    try:
        wanted = int(request.form.get("to", ""))
    except ValueError:
        raise Refused(_("Choose the revision whose plants shall come back.")) from None
    book().set_plants(user(), code, revision_of(request.form), book().at_revision(code, wanted))
    return done(code, _("The plants of revision %(n)s are back.", n=wanted))


@bp.post("/<code>/comments")
@allowed(*READERS)
def comment(code):
    held(code)
    try:
        book().comment(user(), code, text_of(request.form, "text"))
    except ScenarioError as e:
        return one(code, form="comment", errors=scenarioforms.told(e.problems), status=422)
    return back(code, "comments")


@bp.post("/<code>/comments/<int:number>/remove")
@allowed(*READERS)
def uncomment(code, number):
    held(code)
    try:
        book().take_back(user(), code, number)
    except KeyError:
        abort(404)
    except ScenarioError as e:
        flash(words(e))
    return back(code, "comments")


# --- drawing ---


@bp.get("/<code>/draw")
@allowed(*WRITERS)
def draw(code, *, typed=None, errors=None, status=200):
    scenario = held(code)
    if scenario.locked:
        flash(_("%(code)s is locked and does not change. Make a copy, or unlock it first.", code=code))
        return back(code)
    figures, year = book().figures(code), asked_year()
    chosen = request.args.get("plant", "")
    plant = next((p for p in scenario.plants if str(p.number) == chosen), None)
    made = maps.map_page(
        scenariomaps.layers(services()), bounds=scenariomaps.bounds(figures) if scenario.plants else atlas.CITY_BOUNDS,
        settings=current_app.config["CANGXANH"], label=_("Map to draw plants on"),
    )  # fmt: skip
    values = typed if typed is not None else scenarioforms.typed_plant(plant)
    return page(
        "scenario_draw.html", status, scenario=scenario, map=made, plant=plant, errors=errors or {},
        fields=scenarioforms.plant_fields(values, errors, scenario.money.currency),
        start={"plants": [scenarioforms.typed_plant(p) for p in scenario.plants], "revision": scenario.revision,
               "usual": scenarioforms.USUAL, "year": year, "drawn": scenariomaps.drawn(figures)},
        **change(figures, year, scenario.money.currency),
    )  # fmt: skip


def change(figures, year, currency):
    """What the part of the page says that shows the change of the ledger."""
    return {
        "figures": figures, "year": year, "years": SHOWN_YEARS, "year_word": scenariopages.year_word,
        "metrics": scenariopages.metrics(figures, year, currency),
        "base": figures["base"], "now": scenariopages.year_of(figures, year),
        "plants": scenariopages.plant_rows(figures, currency), "units": scenariopages.unit_rows(figures)[:8],
        "more_units": max(0, len(figures["units"]) - 8),
    }  # fmt: skip


@bp.post("/<code>/try")
@allowed(*WRITERS)
def try_out(code):
    scenario = held(code)
    document = request.get_json(silent=True)
    plants, problems = scenarioforms.read_plants(document, scenario)
    if problems:
        raise ScenarioError("Some plants cannot be used as they are.", problems)
    year = document.get("year")
    year = year if year in SHOWN_YEARS else SHOWN_YEARS[-1]
    figures = book().try_out(plants, scenario.money)
    shown = render_template("scenario_change.html", **change(figures, year, scenario.money.currency))
    return jsonify(html=shown, drawn=scenariomaps.drawn(figures))


@bp.post("/<code>/plants")
@allowed(*WRITERS)
@takes_up_to(256 * 1024)
def save(code):
    scenario = held(code)
    document = request.get_json(silent=True)
    plants, problems = scenarioforms.read_plants(document, scenario)
    if problems:
        raise ScenarioError("Some plants cannot be used as they are.", problems)
    if document.get("as_copy") is True:  # somebody else was quicker: what was drawn becomes a scenario of its own
        name = _("Copy of %(name)s", name=scenario.name)[:120]
        made = book().create(user(), name, note=scenario.note, plants=plants, money=scenario.money, copied_from=code)
        flash(_("What you drew is saved as %(code)s; %(other)s stays as it is.", code=made, other=code))
        return jsonify(url=url_for(".one", code=made))
    revision = document.get("revision")
    book().set_plants(user(), code, revision if isinstance(revision, int) else -1, plants)
    flash(_("The plants are saved."))
    return jsonify(url=url_for(".one", code=code))


@bp.post("/<code>/plant")
@allowed(*WRITERS)
def plant(code):
    """One plant, added or changed by the form alone."""
    scenario, form = held(code), request.form
    number = next((p.number for p in scenario.plants if str(p.number) == form.get("number")), None)
    before = {p.number: p for p in scenario.plants}
    number = number or max(before, default=0) + 1
    made, problems = scenarioforms.read_plant(form, number, before.get(number))
    try:
        if problems:
            raise ScenarioError("Some plants cannot be used as they are.", problems)
        rest = [p for n, p in before.items() if n != number]
        if form.get("for_all") == "yes":
            rest = scenarioforms.spread(made, rest, services().today())
        book().set_plants(user(), code, revision_of(form), [*rest, made])
    except ScenarioError as e:
        if not e.problems:
            raise
        return draw(code, typed=form, errors=scenarioforms.told(e.problems), status=422)
    flash(_("Plant P%(number)s is saved.", number=number))
    return redirect(url_for(".draw", code=code), 303)


@bp.post("/<code>/plant/remove")
@allowed(*WRITERS)
def remove(code):
    scenario, form = held(code), request.form
    rest = [p for p in scenario.plants if str(p.number) != form.get("number")]
    book().set_plants(user(), code, revision_of(form), rest)
    flash(_("The plant is removed. Earlier plants stay in the journal."))
    return redirect(url_for(".draw", code=code), 303)


# --- side by side ---


def asked_columns():
    """The scenarios of the address, each once: scenario, figures and the letter it goes by."""
    codes = list(dict.fromkeys(filter(None, request.args.getlist("s"))))
    if len(codes) > scenariopages.MOST_COMPARED:
        raise Refused(_("At most %(most)s scenarios stand side by side.", most=scenariopages.MOST_COMPARED))
    return [
        {"scenario": held(c), "figures": book().figures(c), "letter": letter}
        for c, letter in zip(codes, scenariopages.LETTERS, strict=False)
    ]


@bp.get("/compare")
@allowed(*READERS)
def compare():
    columns, year = asked_columns(), asked_year()
    codes = [c["scenario"].code for c in columns]
    return page("scenario_compare.html", columns=columns, year=year, years=SHOWN_YEARS, codes=codes,
                keep=[("s", c) for c in codes],
                every=book().all(), year_word=scenariopages.year_word,
                rows=scenariopages.compared(columns, year) if columns else [],
                by_year=scenariopages.by_year(columns), by_year_labels=scenariopages.by_year_labels(),
                own_distances=scenariopages.own_distances(columns, year), pictures=pictures(columns, year), versions=scenariopages.versions(columns),
                comments={c["scenario"].code: book().comments(c["scenario"].code, user()) for c in columns},
                most=scenariopages.MOST_COMPARED)  # fmt: skip


def pictures(columns, year):
    """The small maps, all of one frame."""
    if not columns:
        return []
    outline = outlines(services().figures)
    box = scenariomaps.common_frame([c["figures"] for c in columns])
    return [
        scenariomaps.small_map(
            outline, c["figures"], year, box, title=_("%(name)s in %(year)s", name=c["scenario"].name, year=year),
            desc=_("The table gives the same plants with their figures."),
        )
        for c in columns
    ]  # fmt: skip


def file_answer(body, mimetype, name):
    response = make_response(body)
    response.headers["Content-Type"] = mimetype
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


# --- files; the printing modules are imported where they are used, as fpdf2 takes its time and 20 MB ---


def asked_size():
    return query.choice("size", PAPER, "A4")


@bp.get("/<code>/sheet.pdf")
@allowed(*READERS)
def sheet(code):
    from server import sheets

    size, year = asked_size(), asked_year()
    body = sheets.scenario_sheet(services(), held(code), year, size)
    return file_answer(body, "application/pdf", f"cang-xanh-{code}-{year}-{size}.pdf")


@bp.get("/compare/sheet.pdf")
@allowed(*READERS)
def compare_sheet():
    from server import sheets

    size, year = asked_size(), asked_year()
    columns = asked_columns()
    if not columns:
        raise Refused(_("Choose the scenarios that shall stand side by side."))
    body = sheets.comparison_sheet(services(), columns, year, size)
    return file_answer(body, "application/pdf", f"cang-xanh-{year}-{size}.pdf")


@bp.get("/of-study/<code>.pdf")
@allowed(*READERS)
def study_sheet(code):
    from server import studysheets

    size = asked_size()
    try:
        body = studysheets.study_sheet(services(), code, size)
    except studysheets.NoAnswer:
        abort(404)
    return file_answer(body, "application/pdf", f"cang-xanh-{code}-{size}.pdf")


def parts_of(code):
    scenario, figures = held(code), book().figures(code)
    return scenario, figures, scenariopages.cautions(figures)


@bp.get("/<code>/scenario.gpkg")
@allowed(*READERS)
def geopackage(code):
    body = scenariofiles.geopackage(*parts_of(code))
    return file_answer(body, "application/geopackage+sqlite3", f"cang-xanh-{code}.gpkg")


@bp.get("/<code>/scenario.xlsx")
@allowed(*READERS)
def workbook(code):
    return file_answer(scenariofiles.workbook(*parts_of(code), language()), XLSX, f"cang-xanh-{code}.xlsx")
