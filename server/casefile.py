"""One case as its page shows it: head, stages, facts, what belongs to it, samplings with their verdicts.

Records of the register in, plain dicts in the reader's language out.
"""

import geopandas as gpd
import shapely
from flask import url_for

from layers import standards
from layers.catalogue import EVENT, LAYERS
from server import words
from server.casebook import FACTS, NOT_ENOUGH
from server.i18n import N_, date, language, number, text
from server.i18n import gettext as _
from server.samples import CHOICES

RAIL = (
    "received",
    "checking",
    "confirmed",
    "contained",
    "plan_approved",
    "in_remediation",
    "verifying",
    "watched",
    "done",
)
MEDIUM_WORDS = {
    "wastewater": N_("waste water"), "surface_water": N_("surface water"), "groundwater": N_("ground water"),
    "marine": N_("sea water"), "soil": N_("soil"), "air": N_("air"), "noise": N_("noise"),
}  # fmt: skip
CHOICE_WORDS = {
    "water": N_("Kind of water"), "column": N_("Column or class"), "flow_class": N_("Flow class"),
    "averaging": N_("Averaging time"), "regulation": N_("Regulation"), "transitional": N_("Keeps the older regulation"),
}  # fmt: skip
CODE_WORDS = {
    "river": N_("river, stream, canal"), "lake": N_("lake, pond"), "industrial": N_("industrial"),
    "domestic": N_("domestic"), "municipal": N_("municipal"), "medical": N_("medical"),
    "landfill_leachate": N_("landfill leachate"), "fuel_depot": N_("fuel depot"), "coastal": N_("coastal, to 6 nautical miles"),
    "near_shore": N_("near shore, 6 to 24 nautical miles"), "special": N_("special area"), "ordinary": N_("ordinary area"),
    "day": N_("day"), "night": N_("night"), "year": N_("year"), "type 1": N_("type 1"), "type 2": N_("type 2"),
    "type 3": N_("type 3"), "class 1": N_("class 1 (smallest)"), "class 2": N_("class 2"), "class 3": N_("class 3 (largest)"),
    "yes": N_("yes"), "no": N_("no"),
}  # fmt: skip
VERDICTS = {"meets": N_("meets the limit"), "exceeds": N_("over the limit"), "not_measured": N_("not measured"),
            "fault_or_calibrating": N_("fault or calibrating"), "not_required": N_("not required"),
            "not_judged": N_("no verdict")}  # fmt: skip
REASONS = {
    "limit_unverified": N_("the limit is not verified"), "limit_not_established": N_("no number is established for this limit"),
    "no_limit": N_("there is no limit for this parameter"), "choice_needed": N_("more must be said to choose the limit"),
    "choice_not_in_table": N_("the table has no such class"), "regulation_not_in_force": N_("the regulation was not in force"),
    "factor_needed": N_("a factor of the discharge point is needed"), "unit_missing": N_("the unit is missing"),
    "unit_unknown": N_("the unit is not known"), "unit_differs": N_("the unit does not fit the limit"),
    "value_impossible": N_("the value is impossible"), "detection_limit_too_coarse": N_("the detection limit is above the limit"),
    "above_measuring_range": N_("above the measuring range"),
}  # fmt: skip
CONFIDENCE = {"verified-text": N_("limit read in the text itself"), "verified-secondary": N_("limit read in a second source"),
              "background": N_("limit from general knowledge, unverified"),
              "proposal": N_("our own proposal, unverified")}  # fmt: skip
SOUND = {True: ("meets", N_("compliant")), False: ("exceeds", N_("not compliant")), None: ("open", N_("not decided"))}
LONG = ("note_vi", "note_en", "remediation_vi", "remediation_en", "stage_basis_vi", "stage_basis_en", "measured_values_vi",
        "measured_values_en", "cause_vi", "cause_en", "source")  # fmt: skip


def rail(case):
    """The nine stages with where the case stands; a side door keeps the place it was left from."""
    at = case.stage if case.stage in RAIL else case.stage_before
    here = RAIL.index(at) if at in RAIL else -1
    return [
        {"code": s, "state": "past" if i < here else "now" if i == here and case.stage == s else "ahead"}
        for i, s in enumerate(RAIL)
    ]


def head(case, *, public, waiting, officers, wards, facility=None):
    """Title, badges and the short list of facts. facility: name of the suspected source, None where its code is not known."""
    facts = case.facts
    ward = wards.get(case.ward)
    out = []

    def tell(label, value, url=None, note=None):
        out.append({"label": label, "value": value or "–", "url": url, "note": note})

    tell(_("Medium"), ", ".join(words.word("medium", m) for m in case.media))
    tell(_("Pollutants"), text(facts, "pollutants"))
    tell(_("Ward"), text(ward, "name") if ward else facts.get("district_old"),
         url_for("coverage.unit", code=case.ward) if ward else None)  # fmt: skip
    tell(_("Suspected source"), facility or case.facility or text(facts, "responsible_unit"),
         url_for("facilities.one", code=case.facility) if facility else None)  # fmt: skip
    tell(_("Receiving water"), text(facts, "receiving_water"))
    tell(_("Responsible party"), case.responsible)
    tell(_("Officer"), officers.get(case.officer))
    tell(_("Reasons for the class"), case.class_reason)
    tell(_("Decision"), case.decision_no, note=date(case.decision_on) if case.decision_on else None)
    tell(_("Deadline"), date(case.deadline) if case.deadline else None)
    if case.watch_until:
        tell(_("Watched until"), date(case.watch_until))
    tell(
        _("In the register since"), date(case.opened_on) if case.opened_on else _("taken over from the public sources")
    )
    return {
        "code": case.code, "title": text(facts, "name") or _("without a name"), "revision": case.revision,
        "stage": case.stage, "stage_before": case.stage_before, "class": case.severity_class or NOT_ENOUGH,
        "relapses": case.relapses, "merged_into": case.merged_into, "published": public, "facts": out,
        "url": url_for("casework.one", code=case.code),
        "public_url": url_for("hotspots.one", code=case.code) if public else None,
        "public_word": _("public, a change waits") if public and waiting else _("public") if public
        else _("waits for approval") if waiting else _("internal"),
    }  # fmt: skip


def linked(case, related, *, inspections=(), samplings=(), decisions=()):
    """What belongs to a case, by kind: the other kinds of record, each one click away.

    related: of server.thread. samplings: of sampling_view.
    """
    facilities, others = related["facilities"], related["cases"]
    watch = [{"label": _("until %(day)s", day=date(case.watch_until)), "url": "#thread"}] if case.watch_until else []
    fixes = (
        [{"label": _("done on %(day)s", day=date(case.work_done_on)), "url": "#thread"}] if case.work_done_on else []
    )
    return [
        {"label": _("Citizen reports"), "links": [{"label": r, "url": url_for("inbox.one", code=r)} for r in related["reports"]]},
        {"label": _("Facilities"), "links": [{"label": f, "url": url_for("facilities.one", code=f)} for f in facilities]
         + [{"label": _("cases of %(code)s", code=f), "url": url_for("casework.overview", facility=f)} for f in facilities]},
        {"label": _("Cases"), "links": [{"label": c, "url": url_for("casework.one", code=c)} for c in others]},
        {"label": _("Inspections"), "links": [{"label": date(i["day"]), "url": f"#inspection-{i['id']}"} for i in inspections]},
        {"label": _("Samplings"), "links": [{"label": date(s["day"]), "url": f"#sampling-{s['id']}"} for s in samplings]},
        {"label": _("Decisions"), "links": [{"label": d["number"], "url": f"#decision-{d['id']}"} for d in decisions]},
        {"label": _("Works"), "links": fixes},
        {"label": _("Watch"), "links": watch},
    ]  # fmt: skip


# --- samplings ---


def exact(value):
    """A measured value with the digits it has, as the reader writes numbers: 0.005 stays 0.005."""
    if value is None:
        return "–"
    plain = f"{value:.10f}".rstrip("0").rstrip(".")
    return number(value, len(plain.partition(".")[2]))


def sampling_view(row, officers=None):
    """One sampling as the pages show it: a verdict for the whole and a line for each result.

    row: of samples.of_case. A verdict prints regulation, row and how sure the limit is.
    """
    judgement = row["judgement"]
    if judgement is None:
        state, word = "open", _("does not count: %(why)s", why=row["voided"])
    else:
        state, said = SOUND[judgement.compliant]
        word = _(said)
        if judgement.basis == "decision":
            word = _("compliant by a named decision")
        if judgement.missing:
            word += "; " + _(
                "not measured this time: %(names)s", names=", ".join(map(parameter_name, judgement.missing))
            )
    medium = row["medium"]
    choice = ", ".join(code_word(row["choice"][c]) for c in CHOICES if row["choice"].get(c) not in (None, ""))
    return {
        "id": row["id"], "day": row["taken_on"], "place": row["place"] or "", "laboratory": row["laboratory"] or "",
        "report_no": row["report_no"] or "", "method": row["method"] or "", "state": state, "word": word,
        "voided": row["voided"], "by": (officers or {}).get(row["by"], row["by_name"]),
        "water": _(MEDIUM_WORDS[medium]).capitalize() + (f": {choice}" if choice else ""),
        "rows": [verdict_view(v) for v in row["verdicts"]],
    }  # fmt: skip


def verdict_view(v):
    """One result with its verdict, in words."""
    words_, note = _(VERDICTS.get(v.state, v.state)), ""
    if v.state == "not_judged":
        note = _(REASONS.get(v.word, v.word))
        if v.open:
            note += ": " + "; ".join(
                f"{_(CHOICE_WORDS.get(n, n))} {', '.join(map(code_word, found))}" for n, found in v.open
            )
        if v.indication:
            note += ". " + (_("It would be within it.") if v.indication == "meets" else _("It would be over it."))
    elif v.ratio is not None:
        note = _("%(ratio)s times the limit", ratio=number(v.ratio, 2))
    if v.decision:
        note = _("accepted by %(decision)s", decision=v.decision)
    return {
        "parameter": parameter_name(v.parameter), "value": f"{v.sign} {exact(v.value)} {v.unit}".strip(),
        "limit": _limit(v), "state": v.state if v.state in ("meets", "exceeds") else "open", "words": words_, "note": note,
        "regulation": v.regulation, "row": v.row, "confidence": _(CONFIDENCE[v.confidence]) if v.confidence in CONFIDENCE else "",
    }  # fmt: skip


def parameter_name(code):
    known = standards.parameters().get(code)
    return known.label(language()) if known else code


def code_word(code):
    """A code of the limit tables in words; one that has none (A, B, 1h) as it is."""
    return _(CODE_WORDS[code]) if code in CODE_WORDS else str(code)


def _limit(v):
    if v.not_detected:
        return _("not detectable")
    low, high = v.limit_min, v.limit_max
    if low is None and high is None:
        return ""
    span = f"{exact(low)}–{exact(high)}" if low is not None and high is not None else f"≤ {exact(high)}" if high is not None \
        else f"≥ {exact(low)}"  # fmt: skip
    return f"{span} {v.limit_unit}".strip()


def limit_choices():
    """What can be said for each field that chooses a limit: {field: [(code, words, media it belongs to)]}."""
    out = {}
    for name in ("water", "column", "flow_class", "averaging"):
        media = {}
        for medium in standards.MEDIA:
            for code in standards.choices(medium, name):
                media.setdefault(code, []).append(medium)
        out[name] = [(code, code_word(code), " ".join(found)) for code, found in media.items()]
    return out | {"transitional": [(code, code_word(code), "wastewater") for code in ("yes", "no")]}


# --- facts that are written ---


def event_word(action):
    """The name of an event of the public timeline, with a capital."""
    said = next((getattr(e, language()) for e in EVENT if e.value == action), action)
    return said[:1].upper() + said[1:]


def fact_fields(case=None, *, names=FACTS, given=None):
    """The fields of the form for facts, as the catalogue names them; see templates/desk_macros.html.

    given: {name: value} for a new case.
    """
    layer, out = LAYERS["hotspots"], []
    held = case.facts if case else given or {}
    for name in names:
        f = layer.by_name[name]
        made = {"name": name, "label": f.en if language() == "en" else f.vi, "value": held.get(name), "required": f.required,
                "kind": {"number": "number", "integer": "integer", "date": "date"}.get(f.kind, "text"), "most": 400}  # fmt: skip
        if name == "media":
            made |= {"kind": "checks", "options": [(m, words.word("medium", m)) for m in words.FAMILIES["medium"]],
                     "value": (held.get("media") or "").split(";")}  # fmt: skip
        elif f.allowed:
            made |= {
                "kind": "choice",
                "options": [(c.value, getattr(c, language())) for c in f.allowed],
                "blank": _("not known"),
            }
        elif name in LONG:
            made |= {"kind": "long", "most": 4000, "rows": 2}
        out.append(made)
    return out


def fact_label(name):
    """The label of a public field of a hotspot in the reader's language."""
    f = LAYERS["hotspots"].by_name.get(name)
    return getattr(f, language()) if f else _("Place") if name == "geometry" else name


def place_words(shape):
    """A place in words. shape: a geometry in degrees or its WKT."""
    shape = shapely.from_wkt(shape) if isinstance(shape, str) else shape
    at = shape if shape.geom_type == "Point" else shape.representative_point()
    where = f"{number(at.y, 5)}, {number(at.x, 5)}"
    if shape.geom_type == "Point":
        return _("point %(where)s", where=where)
    size = gpd.GeoSeries([shape], crs=4326).to_crs(9210).area.iloc[0] / 1e4
    return _("area of %(ha)s ha round %(where)s", ha=number(size, 1), where=where)


def shown_value(name, value):
    """A value of a field as a reader sees it, for before and after."""
    if value in (None, ""):
        return "–"
    f = LAYERS["hotspots"].by_name.get(name)
    if name == "geometry":
        return place_words(value)
    if name == "media":
        return ", ".join(words.word("medium", m) for m in str(value).split(";"))
    if name in ("severity_class",):
        return words.word("class", value)
    if f is not None and f.allowed:
        return LAYERS["hotspots"].words(name, value, language())
    if f is not None and f.kind == "date":
        return date(str(value))
    if isinstance(value, float | int) and not isinstance(value, bool):
        return number(value) if isinstance(value, float) else str(value)
    return str(value)
