"""What the pages of a case send, checked and handed to the register; and what those pages need, gathered.

Everything wrong with a form is told together, each problem beside its field: FormError.
"""

import json

from server import caseforms, drawing, papers, photos, remediation
from server.casebook import FACTS, CaseError, NotYours
from server.files import FileError
from server.forms import FormError, amount_of, day_of, number_of, revision_of, text_of
from server.i18n import gettext as _
from server.i18n import text as i18n_text

LOCAL = ("commune_officer", "inspector", "approver", "administrator")
MAX_PHOTOS = 10


def told(error):
    """FormError with what an error of the register, of a photo or of a file says."""
    if isinstance(error, NotYours):
        return error
    if isinstance(error, remediation.GateError):
        return FormError(caseforms.errors_of(error.missing))
    if isinstance(error, CaseError):
        return FormError({"": _(error.words, **error.values)}, getattr(error, "case", None))
    field = "file" if isinstance(error, photos.PhotoError | FileError | papers.PaperError) else "geometry"
    return FormError({field: _(error.sentence, **error.values)})


TOLD = (remediation.GateError, CaseError, photos.PhotoError, FileError, papers.PaperError, drawing.DrawingError)


# --- reading fields ---

SOURCES = ("industrial_zones", "treatment_plants", "waste_sites", "port_areas")


def sources(services):
    """(code, name) of every facility that can be a source of pollution."""
    out = []
    for layer in SOURCES:
        frame = services.store.snapshot(layer)
        out += [(r["code"], i18n_text(r, "name")) for r in frame[["code", "name_vi", "name_en"]].to_dict("records")]
    return out


# --- adding to a case ---


def add(services, user, code, what, form, files):
    """Add a photo, document, sampling, inspection, decision, note or link; returns words on what was done."""
    try:
        return _ADD[what](services, user, code, form, files)
    except TOLD as e:
        raise told(e) from e


def _photo(services, user, code, form, files):
    errors = {}
    kind = form.get("kind")
    if kind not in caseforms.PHOTO_KINDS:
        errors["kind"] = _("Choose what the photo shows.")
    dated = day_of(form, "dated", errors)
    given = [f for f in files.getlist("file") if f.filename]
    if not given:
        errors["file"] = _("Choose a photo.")
    if len(given) > MAX_PHOTOS:
        errors["file"] = _("At most %(n)s photos at once.", n=MAX_PHOTOS)
    if dated and dated > services.today():
        errors["dated"] = _("The day lies in the future.")
    if errors:
        raise FormError(errors)
    kept = [(f, photos.keep(services.files, f.read(photos.MAX_BYTES + 1))) for f in given]
    for f, photo in kept:
        services.book.attach(
            user, code, kind, photo.sha, name=papers.clean_name(f.filename, ".jpg"), media_type="image/jpeg",
            dated=dated or _not_ahead(photo.taken_on, services.today()), original=photo.original,
            note=text_of(form, "note", 400), public=form.get("public") == "yes",
        )  # fmt: skip
    return _("The photo is in the case.") if len(kept) == 1 else _("%(n)s photos are in the case.", n=len(kept))


def _not_ahead(day, today):
    return day if day and day <= today else None


def _document(services, user, code, form, files):
    errors = {}
    kind = form.get("kind")
    if kind not in caseforms.DOCUMENT_KINDS:
        errors["kind"] = _("Choose what kind of document this is.")
    dated = day_of(form, "dated", errors)
    given = files.get("file")
    if given is None or not given.filename:
        errors["file"] = _("Choose a file.")
    number = text_of(form, "number", 80)
    accepts = [int(n) for n in form.getlist("samplings") if n.isdecimal()]
    if kind == "limit_decision" and not number:
        errors["number"] = _("A decision on limits needs its number.")
    if kind == "limit_decision" and not accepts:
        errors["samplings"] = _("Choose the samplings that the decision accepts.")
    if errors:
        raise FormError(errors)
    data = given.read(papers.MAX_BYTES + 1)
    suffix = papers.kind_of(data)
    sha = services.files.put(data, suffix)
    services.book.attach(
        user, code, kind, sha, name=papers.clean_name(given.filename, suffix), media_type=papers.TYPES[suffix], dated=dated,
        number=number, accepts=accepts if kind == "limit_decision" else (), note=text_of(form, "note", 400),
    )  # fmt: skip
    return _("The document is in the case.")


def _sampling(services, user, code, form, _files):
    errors = {}
    taken_on = day_of(form, "taken_on", errors, required=True)
    medium = form.get("medium") or ""
    if not medium:
        errors["medium"] = _("Choose what was sampled.")
    results = []
    for i, line in enumerate(caseforms.result_lines(form)):
        try:
            sign, value = number_of(line["value"])
            results.append({"parameter": line["parameter"], "value": value, "unit": line["unit"], "sign": sign})
        except ValueError:
            errors[f"parameter-{i}"] = _(
                "%(name)s: write the result as a number.", name=line["parameter"] or f"{i + 1}"
            )
    if not results and not any(k.startswith("parameter-") for k in errors):
        errors["parameter-0"] = _("Enter at least one result.")
    if errors:
        raise FormError(errors)
    choice = {n: form.get(n) for n in ("water", "column", "flow_class", "averaging") if form.get(n)}
    if form.get("transitional") in ("yes", "no"):
        choice["transitional"] = form["transitional"] == "yes"
    services.book.add_sampling(
        user, code, taken_on=taken_on, medium=medium, results=results, choice=choice, place=text_of(form, "place", 200),
        laboratory=text_of(form, "laboratory", 200), method=text_of(form, "method", 200),
        report_no=text_of(form, "report_no", 80),
    )  # fmt: skip
    return _("The results are in the case and judged.")


def _inspection(services, user, code, form, _files):
    errors = {}
    on = day_of(form, "day", errors, required=True)
    facility = _facility(services, form, errors)
    findings = text_of(form, "findings")
    if not findings:
        errors["findings"] = _("Write what was found.")
    if errors:
        raise FormError(errors)
    services.book.add_inspection(user, code, on=on, findings=findings, facility=facility,
                                 minutes_no=text_of(form, "minutes_no", 80))  # fmt: skip
    return _("The inspection is in the case.")


def _facility(services, form, errors, name="facility"):
    """A facility's code as typed, or picked with its name; "" for none."""
    typed = text_of(form, name, 100).split(" ")[0]
    if typed and typed not in dict(sources(services)):
        errors[name] = _("There is no facility with this code.")
    return typed


def _decision(services, user, code, form, _files):
    errors, amount = {}, None
    on = day_of(form, "day", errors, required=True)
    if not text_of(form, "number"):
        errors["number"] = _("Write the number of the decision.")
    if form.get("kind") not in caseforms.DECISIONS:
        errors["kind"] = _("Choose what kind of decision this is.")
    if typed := text_of(form, "amount_vnd", 30):
        amount = amount_of(typed)
        if amount is None:
            errors["amount_vnd"] = _("Write the amount in whole đồng, such as 50.000.000.")
    if errors:
        raise FormError(errors)
    services.book.add_decision(user, code, number=text_of(form, "number", 80), on=on, kind=form["kind"], amount_vnd=amount,
                               issuer=text_of(form, "issuer", 200), text=text_of(form, "text"))  # fmt: skip
    return _("The decision is in the case.")


def _note(services, user, code, form, _files):
    if not text_of(form, "text"):
        raise FormError({"text": _("The note is empty.")})
    services.book.note(
        user, code, text_of(form, "text"), text_vi=text_of(form, "text_vi"), text_en=text_of(form, "text_en")
    )
    return _("The note is in the case.")


def _link(services, user, code, form, _files):
    errors = {}
    kind, ref = form.get("kind"), text_of(form, "ref", 60).split(" ")[0]
    if kind not in ("report", "facility", "case"):
        errors["kind"] = _("Choose what the link leads to.")
    elif kind == "facility" and ref not in dict(sources(services)):
        errors["ref"] = _("There is no facility with this code.")
    elif kind == "case" and (ref == code or not _case_there(services, ref)):
        errors["ref"] = _("There is no other case with this code.")
    elif kind == "report" and ref not in services.reports:
        errors["ref"] = _("There is no report with this code.")
    if errors:
        raise FormError(errors)
    services.book.link(user, code, kind, ref)
    return _("The link is in the case.")


def _case_there(services, code):
    try:
        services.book.get(code)
    except KeyError:
        return False
    return True


def use_photo(services, user, code, report, number, kind):
    """Take a photo of a linked citizen report as evidence of a case, on the day it was taken or seen. FormError, KeyError."""
    if kind not in caseforms.PHOTO_KINDS:
        raise FormError({"": _("Choose what the photo shows.")})
    if report not in services.book.related(code)["reports"]:
        raise KeyError(report)
    held = services.reports.get(report)
    sha = held["photos"][number - 1] if 1 <= number <= len(held["photos"]) else None
    if sha is None:
        raise KeyError(number)
    if any(e["sha"] == sha and e["kind"] == kind and not e["voided"] for e in services.book.attachments(code)):
        raise FormError({"": _("This photo is in the case already.")})
    try:
        services.book.attach(user, code, kind, sha, name=f"{report}-{number}.jpg", media_type="image/jpeg",
                             dated=_not_ahead(held["seen_on"] or held["at"].date(), services.today()),
                             note="Ảnh của người dân")  # fmt: skip
    except TOLD as e:
        raise told(e) from e


_ADD = {"photo": _photo, "document": _document, "sampling": _sampling, "inspection": _inspection, "decision": _decision,
        "note": _note, "link": _link}  # fmt: skip
KINDS = tuple(_ADD)


# --- steps ---


def step(services, user, code, action, form):
    """Take the step that a form asks for; the case after it."""
    transition = remediation.BY_ACTION.get(action)
    if transition is None or action in caseforms.ELSEWHERE:
        raise KeyError(action)
    fields = {f.name: form.get(f.name, "") for f in transition.fields}
    errors = {}
    embargo = day_of(form, "embargo", errors)
    if errors:
        raise FormError(errors)
    try:
        return services.book.step(
            user, code, revision_of(form), action, fields, override=text_of(form, "override", 2000),
            text_vi=text_of(form, "text_vi", 1000), text_en=text_of(form, "text_en", 1000), embargo=embargo,
        )  # fmt: skip
    except TOLD as e:
        raise told(e) from e


# --- facts and place ---


def typed_facts(form, names=FACTS):
    """The facts that a form carries, blank ones as None."""
    out = {}
    for name in names:
        if name == "media":
            if "media-there" in form:
                out["media"] = ";".join(m for m in form.getlist("media") if m) or None
        elif name in form:
            out[name] = text_of(form, name) or None
    return out


def changes_of(services, case, form):
    """What a form of facts and place changes against what its writer saw; FormError.

    The form says in `base` what stood there when it was opened, so that what somebody else has changed
    meanwhile is not taken for a wish to change it back.
    """
    base, errors = caseforms.parsed(form.get("base")), {}
    typed = typed_facts(form)
    for name in ("officer", "facility", "severity_class", "class_reason"):
        if name in form:
            typed[name] = text_of(form, name) or None
    if typed.get("facility"):
        typed["facility"] = _facility(services, form, errors)
    if typed.get("officer"):
        typed["officer"] = int(typed["officer"]) if typed["officer"].isdecimal() else None
    if "coord_accuracy_m" in typed and typed["coord_accuracy_m"] is not None:
        try:
            typed["coord_accuracy_m"] = number_of(typed["coord_accuracy_m"])[1]
        except ValueError:
            errors["coord_accuracy_m"] = _("Write a number of metres.")
    for name in ("valid_from", "valid_to"):
        if typed.get(name):
            day_of(form, name, errors)
    changes = {n: v for n, v in typed.items() if form.get(f"keep-{n}") != "theirs" and _plain(v) != _plain(base.get(n))}
    if form.get("keep-geometry") != "theirs":
        try:
            shape = drawing.drawn(form.get("geometry"), form.get("lat"), form.get("lon"), before=case.geometry)
        except drawing.DrawingError as e:
            errors["geometry"] = _(e.sentence, **e.values)
        else:
            if drawing.written(shape) != drawing.written(case.geometry) and "geometry" in form:
                changes["geometry"] = shape
    if errors:
        raise FormError(errors)
    return changes


def _plain(value):
    return None if value in (None, "") else str(value)


def base_of(case):
    """What stands in a case when its form is opened, for changes_of: JSON."""
    held = {n: case.facts.get(n) for n in FACTS}
    held |= {n: getattr(case, n) for n in ("officer", "facility", "severity_class", "class_reason")}
    return json.dumps({n: v for n, v in held.items() if v is not None}, ensure_ascii=False, default=str)


def edit(services, user, code, form):
    """Change facts and place; the case after it. FormError carries the present case where somebody was quicker."""
    case = services.book.get(code, user)
    changes = changes_of(services, case, form)
    if not changes:
        return case
    try:
        return services.book.edit(user, code, revision_of(form), changes, reason=text_of(form, "reason", 400))
    except TOLD as e:
        raise told(e) from e


def opened(services, user, form, *, split_of=None):
    """A new case from a form, or (split_of: the case) the part of one that becomes its own."""
    errors = {}
    facts = typed_facts(form)
    if not facts.get("name_vi"):
        errors["name_vi"] = _("Give it a name in Vietnamese.")
    if not facts.get("media"):
        errors["media"] = _("Choose at least one medium.")
    if split_of is None and not facts.get("source"):
        errors["source"] = _("Say where this is known from.")
    facility = _facility(services, form, errors)
    geometry = None
    try:
        geometry = drawing.drawn(form.get("geometry"), form.get("lat"), form.get("lon"))
    except drawing.DrawingError as e:
        errors["geometry"] = _(e.sentence, **e.values)
    ward = form.get("ward") or None
    if geometry is None and ward is None and "geometry" not in errors and split_of is None:
        errors["geometry"] = _("Mark the place on the map, or choose the ward.")
    if split_of is not None and geometry is None and "geometry" not in errors:
        errors["geometry"] = _("Mark the place of the new case.")
    reason = text_of(form, "reason", 1000)
    if split_of is not None and not reason:
        errors["reason"] = _("Say why the case is split.")
    if errors:
        raise FormError(errors)
    try:
        if split_of is not None:
            return services.book.split(
                user, split_of, revision_of(form), {n: v for n, v in facts.items() if v}, geometry, reason
            )
        return services.book.open(user, {n: v for n, v in facts.items() if v}, geometry, facility=facility or None, ward=ward,
                                  reports=[r for r in form.getlist("report") if r], note=reason)  # fmt: skip
    except TOLD as e:
        raise told(e) from e
