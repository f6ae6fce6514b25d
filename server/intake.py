"""What the inbox does with a report: its form read, files kept, the report and the register changed as one."""

from server import casedesk, codes, drawing, handling, papers, photos
from server.drafts import KINDS
from server.files import FileError
from server.forms import FormError, text_of
from server.handling import HandlingError
from server.i18n import gettext as _
from server.i18n import translations

MAX_FILES = 5
_FIELD = {"text": "reply", "files": "file", "file": "file", "case": "case", "commune": "commune", "reason": "reason"}


def act(services, user, code, action, form, files):
    """Do one act with a report; (number of the act, code of the case it belongs to now or ""). Raises FormError, KeyError."""
    if action not in handling.ACTS:
        raise KeyError(action)
    kept = _kept(services, files)
    given = {"reply": text_of(form, "reply", 2000), "files": kept, "reason": text_of(form, "reason", 500),
             "commune": form.get("commune") or ""}  # fmt: skip
    case = text_of(form, "case", 40).split(" ")[0].upper()
    try:
        if action == "new":
            return _opened(services, user, code, form, given)
        if action == "merge" and codes.read(case) is None:
            _in_scope(services, user, case)
        number = services.reports.act(user, code, action, case=case, **given)
        return number, case if action == "merge" else ""
    except HandlingError as e:
        raise FormError({_FIELD.get(e.code, ""): _(e.sentence, **e.values)}) from e
    except casedesk.TOLD as e:
        raise casedesk.told(e) from e


def _in_scope(services, user, case):
    """FormError unless there is such a case and it is this person's; one that was merged points on to another."""
    try:
        held = services.book.get(case, user)
    except KeyError:
        raise FormError({"case": _("There is no case with this code.")}) from None
    if held.merged_into:
        raise FormError(
            {"case": _("%(code)s was merged into %(other)s; choose that one.", code=case, other=held.merged_into)}
        )


def _opened(services, user, code, form, given):
    """A case from a report, and the report joined to it: both or neither."""
    report = services.reports.get(code)
    errors = {}
    name = text_of(form, "name_vi", 200)
    media = [m for m in form.getlist("media") if m] or list(KINDS[report["kind"]][1])
    if not name:
        errors["name_vi"] = _("Give it a name in Vietnamese.")
    if not media:
        errors["media"] = _("Choose at least one medium.")
    if errors:
        raise FormError(errors)
    seen = report["seen_on"] or report["at"].date()
    place = None if report["lon"] is None else drawing.drawn("", str(report["lat"]), str(report["lon"]))
    facts = {
        "name_vi": name, "media": ";".join(media), "source": "Phản ánh của người dân", "source_date": seen.isoformat(),
        "report_year": str(seen.year), "confidence": "low", "geometry_quality": "approximate" if place else "none",
        "coord_accuracy_m": report["accuracy_m"],
    }  # fmt: skip
    with services.store.transaction() as con:
        case = services.book.open_in(con, user, facts, place, ward=report["ward"])
        return services.reports.act_in(con, user, code, "new", case=case.code, **given), case.code


def name_for(report, ward):
    """The name that a case opened from a report begins with, in Vietnamese: what it is, and where."""
    said, _media, _more = KINDS[report["kind"]]
    what = translations("vi").gettext(said)
    where = report["place"] or (ward or {}).get("name_vi") or ""
    return f"{what} – {where}"[:120] if where else what


def undo(services, user, number, reason=""):
    """Take an act back; FormError, KeyError."""
    try:
        return services.reports.undo(user, number, reason)
    except HandlingError as e:
        raise FormError({"": _(e.sentence, **e.values)}) from e


def _kept(services, files):
    """The files of a reply, kept: photos drawn anew, documents as they are."""
    given = [f for f in files.getlist("file") if f.filename][: MAX_FILES + 1]
    if len(given) > MAX_FILES:
        raise FormError({"file": _("At most %(n)s files with one reply.", n=MAX_FILES)})
    out = []
    try:
        for f in given:
            data = f.read(papers.MAX_BYTES + 1)
            if data[:4] in (b"%PDF", b"PK\x03\x04"):
                suffix = papers.kind_of(data)
                sha, kind = services.files.put(data, suffix), papers.TYPES[suffix]
            else:
                suffix, kind = ".jpg", "image/jpeg"
                sha = photos.keep(services.files, data).sha
            out.append({"sha": sha, "name": papers.clean_name(f.filename, suffix), "media_type": kind})
    except (photos.PhotoError, papers.PaperError, FileError) as e:
        raise FormError({"file": _(e.sentence, **e.values)}) from e
    return out
