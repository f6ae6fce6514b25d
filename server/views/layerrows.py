"""Rows of a layer one by one: the form of a row, what two people typed at once, deleting, taking a change back."""

from flask import abort, current_app, flash, jsonify, redirect, request, url_for

from layers.errors import LayerError
from server import drawing, featureedits, featureforms, layermaps, layerwords, query, rowkeys, rowpages
from server.corners import FORMS, SYSTEM_CODES, typed, written
from server.errors import Refused
from server.featureedits import EDITORS, Clash, Editor, Row
from server.forms import FormError
from server.i18n import N_, moment
from server.i18n import gettext as _
from server.layerdesk import blueprint, book, editable, layer_of, page, services
from server.problems import label
from server.security import allowed, takes_up_to, user

bp = blueprint("layerrows", __name__)

FILED = N_(
    "Left blank, it is filled in when the row is saved: by the date of the source, else with the version in force today."
)
OUTLINE = 8 * 1024 * 1024  # of a form with a long outline
READ_PAST = 12  # versions that the past of a row of a large layer reads without being asked


def editor():
    return Editor(services().store, user(), services().now)


def key_from(layer, key):
    try:
        return rowkeys.key_in(layer, key)
    except ValueError:
        abort(404)


def row_at(layer, version, key):
    """The Row of a version by its key, or None; None too where the version is not kept."""
    try:
        return featureedits.row_of(layer, book().row(layer.name, version, key))
    except LayerError:
        return None


def form_page(layer, row, *, key=None, version=0, form=None, errors=None, status=200, saved=None):
    """The form of a row; key None for a new one. form: what was sent, with what is wrong in errors: {field: sentence}."""
    errors, place = dict(errors or {}), None
    if layer.geometry:
        elsewhere = bool(errors.pop("elsewhere", None))
        place = rowpages.place(layer, row.place, form, errors.get("geometry"), elsewhere)
    entries, more = ([], False) if key is None else book().past(
        layer.name, key, most=None if "past" in request.args else READ_PAST
    )  # fmt: skip
    code = "" if key is None else rowkeys.key_text(key)
    told = {("corners" if n == "geometry" else featureforms.PREFIX + n if n else ""): s for n, s in errors.items()}
    return page(
        "layer_feature.html", status, layer=layer, title=layerwords.title(layer), row=row, key=code, version=version,
        name=layerwords.row_title(layer, row), key_words=layerwords.key_words(key) if key else "", spot=place,
        groups=featureforms.fields_of(layer, row.values, errors, typed=form, new=key is None,
                                    told=None if key else {"filed_under": _(FILED)}), errors=told,
        map=layermaps.draw_map(services().store, layer, row.place, current_app.config["CANGXANH"]) if layer.geometry else None,
        past=rowpages.past(layer, entries), more=more, saved=saved, reason=form.get("reason", "") if form else "",
    )  # fmt: skip


def sent(layer, before, *, new=False):
    """(Row that a form gives, {field: sentence} of what is wrong)."""
    values, errors = featureforms.parsed(layer, request.form, before.values, new=new)
    place = before.place
    try:
        place = featureedits.place_of(layer, request.form, before.place)
    except drawing.DrawingError as error:
        errors["geometry"] = _(error.sentence, **error.values)
        if isinstance(error, featureedits.Elsewhere):
            errors["elsewhere"] = errors["geometry"]
    return Row(values, place), errors


@bp.get("/<name>/new")
@allowed(*EDITORS)
def new(name):
    layer = editable(name)
    return form_page(layer, Row({}))


@bp.post("/<name>/new")
@allowed(*EDITORS)
@takes_up_to(OUTLINE, fields=OUTLINE)
def add(name):
    layer = editable(name)
    mine, errors = sent(layer, Row({}), new=True)
    try:
        if errors:
            raise FormError(errors)
        made = editor().save(layer, None, None, mine, reason=request.form.get("reason", ""))
    except (FormError, LayerError) as error:
        return form_page(layer, Row({}), form=request.form, errors=errors_of(error), status=422)
    return redirect(url_for("layerrows.feature", name=name, key=rowkeys.key_text(made.key), saved=made.version), 303)


@bp.get("/<name>/features/<key>")
@allowed(*EDITORS)
def feature(name, key):
    layer = editable(name)
    parts = key_from(layer, key)
    version, _held = book().now(name)
    row = row_at(layer, version, parts)
    if row is None:
        return gone(layer, parts)
    return form_page(layer, row, key=parts, version=version, saved=query.number("saved", 0) or None)


def gone(layer, key, *, mine=None, status=404):
    """The page of a row that is not there (any more): who deleted it, and how it comes back."""
    entries, _more = book().past(layer.name, key)
    if not entries:
        abort(404)
    return page("layer_gone.html", status, layer=layer, title=layerwords.title(layer), key=rowkeys.key_text(key),
                key_words=layerwords.key_words(key), past=rowpages.past(layer, entries),
                hidden=rowpages.hidden(layer, mine) if mine else None)  # fmt: skip


def errors_of(error):
    """{field: sentence} of what the checks or the store say; "" is the form as a whole."""
    return getattr(error, "errors", None) or {"": " ".join(map(layerwords.sentence, error.problems))}


def chosen_of(layer, mine, theirs, key):
    """The Row of a form with what was chosen of another person's, where both had changed a field."""
    values, place = mine.values | key, mine.place
    for name in layer.by_name:
        if request.form.get(f"keep-{name}") == "theirs":
            values[name] = theirs.values.get(name)
    return Row(values, theirs.place if request.form.get("keep-geometry") == "theirs" else place)


@bp.post("/<name>/features/<key>")
@allowed(*EDITORS)
@takes_up_to(OUTLINE, fields=OUTLINE)
def save(name, key):
    layer = editable(name)
    parts = key_from(layer, key)
    shown = int(request.form["base"]) if request.form.get("base", "").isdecimal() else 0
    base = row_at(layer, shown, parts)
    now = base or row_at(layer, book().now(name)[0], parts) or Row({})
    mine, errors = sent(layer, base or Row({}, now.place))
    mine = chosen_of(layer, mine, now, dict(zip(layer.key, parts, strict=True)))
    try:
        if errors:
            raise FormError(errors)
        made = editor().save(layer, parts, base, mine, reason=request.form.get("reason", ""))
    except (FormError, LayerError) as error:
        return form_page(
            layer, base or mine, key=parts, version=shown, form=request.form, errors=errors_of(error), status=422
        )
    except Clash as clash:
        return both(layer, parts, clash)
    if made is None:
        flash(_("Nothing was changed, so nothing was saved."))
        return redirect(url_for("layerrows.feature", name=name, key=key), 303)
    return redirect(url_for("layerrows.feature", name=name, key=key, saved=made.version), 303)


def both(layer, key, clash, *, undone=None):
    """The page on which the second of two people chooses. undone: number of the version that was to be taken back."""
    if clash.theirs is None:
        return gone(layer, key, mine=clash.mine, status=409)
    entries, _more = book().past(layer.name, key, most=READ_PAST)  # the newest version may be of another row
    other = entries[0].version if entries else next(iter(services().store.history(layer.name)))
    made = clash.merged
    return page(
        "layer_conflict.html", 409, undone=undone, layer=layer, title=layerwords.title(layer), key=rowkeys.key_text(key), other=other,
        key_words=layerwords.key_words(key), name=layerwords.row_title(layer, clash.theirs), version=clash.version,
        when=moment(other["at"]), who=layerwords.who(other),
        rows=rowpages.compared(layer, made.clashes, clash.mine, clash.theirs),
        mine_only=rowpages.compared(
            layer, [n for n in featureedits.differing(layer, clash.theirs, made.row) if n not in made.clashes], made.row,
            clash.theirs), taken=[label(layer, n) for n in made.taken], hidden=rowpages.hidden(layer, made.row),
        reason=f"version {undone} taken back" if undone else request.form.get("reason", ""),
    )  # fmt: skip


@bp.post("/<name>/features/<key>/delete")
@allowed(*EDITORS)
def delete(name, key):
    layer = editable(name)
    parts = key_from(layer, key)
    if request.form.get("sure") != "yes":
        raise Refused(_("Tick the box to confirm, then send the form again. Nothing was changed."))
    shown = int(request.form["base"]) if request.form.get("base", "").isdecimal() else 0
    base = row_at(layer, shown, parts)
    try:
        made = editor().remove(layer, parts, base, reason=request.form.get("reason", ""))
    except Clash as clash:
        if clash.theirs is None:
            return gone(layer, parts)
        flash(
            _(
                "Somebody changed this row since you opened it, so it was not deleted. See the history below, then decide again."
            )
        )
        return redirect(url_for("layerrows.feature", name=name, key=key), 303)
    except FormError as error:
        return form_page(
            layer, base, key=parts, version=shown, errors={"": " ".join(error.errors.values())}, status=422
        )
    return redirect(url_for("layers.features", name=name, removed=made.version, key=key), 303)


@bp.post("/<name>/features/<key>/undo/<int:which>")
@allowed(*EDITORS)
def undo(name, key, which):
    """Take back what one version did to one row; what was changed since then stays, or is asked about."""
    layer = editable(name)
    parts = key_from(layer, key)
    if which not in [v["version"] for v in services().store.history(name)]:
        abort(404)
    before, after = row_of(layer, which - 1, parts), row_of(layer, which, parts)
    reason = f"version {which} taken back"  # shown in the reader's words by layerwords.note
    try:
        if before is None and after is None:
            abort(404)
        if before is None:
            made = editor().remove(layer, parts, after, reason=reason)
            return redirect(url_for("layers.features", name=name, removed=made.version, key=key), 303)
        if after is None:
            made = editor().save(layer, None, None, before, reason=reason)
        else:
            made = editor().save(layer, parts, after, before, reason=reason)
    except Clash as clash:
        if clash.theirs is not None and clash.merged is None:
            flash(_("The row was changed since, so it was not deleted. Delete it below if it is no longer wanted."))
            return redirect(url_for("layerrows.feature", name=name, key=key), 303)
        return both(layer, parts, clash, undone=which)
    except FormError as error:
        flash(" ".join(error.errors.values()))
        return redirect(url_for("layerrows.feature", name=name, key=key), 303)
    if made is None:
        flash(_("This change is undone already; nothing had to be written."))
        return redirect(url_for("layerrows.feature", name=name, key=key), 303)
    return redirect(url_for("layerrows.feature", name=name, key=key, saved=made.version), 303)


def row_of(layer, version, key):
    """The Row of a version; LayerError where that version is no longer kept."""
    return featureedits.row_of(layer, book().row(layer.name, version, key))


@bp.get("/<name>/near.geojson")
@allowed(*EDITORS)
def near(name):
    layer = layer_of(name)
    if not layer.geometry or layer.gated:
        abort(404)
    try:
        west, south, east, north = (float(part) for part in request.args.get("box", "").split(","))
    except ValueError:
        raise Refused(_("“%(name)s” must be west,south,east,north in degrees.", name="box")) from None
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise Refused(_("“%(name)s” must be west,south,east,north in degrees.", name="box"))
    key = request.args.get("key", "")
    mine = key_from(layer, key) if key else None
    return jsonify(layermaps.neighbours(services().store, layer, mine, west, south, east, north))


@bp.post("/corners")
@allowed(*EDITORS)
@takes_up_to(OUTLINE)
def convert():
    """Typed corners as GeoJSON and in another system: {text, system, form, to} gives {geometry, text}, or {error}."""
    asked = request.get_json(silent=True)
    if not isinstance(asked, dict) or not isinstance(asked.get("text"), str) or len(asked["text"]) > OUTLINE // 4:
        raise Refused(_("The form is not complete. Open the page again and send it once more."))
    to = asked.get("to") if asked.get("to") in SYSTEM_CODES else 4326
    try:
        shape = typed(asked["text"], asked.get("system"), asked.get("form") if asked.get("form") in FORMS else "Point")
        if shape is not None:
            featureedits.sound(shape)
    except drawing.DrawingError as error:
        return jsonify({"error": _(error.sentence, **error.values)}), 422
    return jsonify(
        {"geometry": rowpages.geometry(shape), "text": written(shape, to), "words": layerwords.place_words(shape)}
    )
