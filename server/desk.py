"""The staff's lists: what waits, why, and until when. Cases and reports in, plain rows for pages out."""

from datetime import datetime, timedelta

from flask import url_for

from layers import export
from layers.letters import fold
from server import maps, words
from server.casebook import NOT_ENOUGH
from server.clocks import CLOCKS, STATES, clock_words
from server.i18n import N_, date, ngettext, text
from server.i18n import gettext as _
from server.remediation import STAGES

OPEN = tuple(s for s in STAGES if s not in ("done", "rejected"))
WORST = ("very_late", "late", "soon", "ok", "none")
DUES = ("very_late", "late", "soon")
SORTS = {"due": N_("most urgent first"), "priority": N_("highest priority first"), "new": N_("newest first"),
         "code": N_("by code")}  # fmt: skip
DUE_WORDS = {"very_late": N_("very late"), "late": N_("late"), "soon": N_("due soon")}
SHOWN = 8
# Steps to which a case is not dragged on the board: they need more than the form of a step, or lead elsewhere.
_NOT_BY_HAND = ("merge", "split", "undo")


# --- clocks ---


def clock(made):
    """One Clock as the pages show it: state, words, name of the clock, due day; None stays None."""
    if made is None:
        return None
    label = _(CLOCKS[made.name][0])
    due = made.due.date() if isinstance(made.due, datetime) else made.due
    written = clock_words(made)
    title = f"{label}: {_(STATES[made.state])}" + (f", {date(due)}" if due else "")
    return {"name": made.name, "name_word": label, "state": made.state, "due": due, "words": written, "title": title}


def worst(made):
    """The clock that asks most loudly, or None: the later state first, then the earlier day."""
    running = [c for c in made if c.state != "none"]
    return min(running, key=lambda c: (WORST.index(c.state), _day(c.due)), default=None)


def _day(due):
    return due.date() if isinstance(due, datetime) else due


# --- rows of cases ---


def name_of(case):
    """The name of a case in the reader's language."""
    return text(case.facts, "name") or _("without a name")


def case_row(case, clocks, *, wards, officers, public=False, waiting=False):
    """One case as a row of the lists. wards: {code: {name_vi, name_en}}; officers: {user id: name}."""
    loud = worst(clocks)
    ward = wards.get(case.ward)
    return {
        "case": case, "code": case.code, "title": name_of(case), "url": url_for("casework.one", code=case.code), "stage": case.stage,
        "class": case.severity_class or NOT_ENOUGH, "class_word": words.word("class", case.severity_class or NOT_ENOUGH),
        "media": case.media, "media_words": ", ".join(words.word("medium", m) for m in case.media),
        "ward": case.ward, "where": text(ward, "name") if ward else case.facts.get("district_old") or "",
        "officer": case.officer, "officer_name": officers.get(case.officer, ""), "facility": case.facility,
        "clock": clock(loud), "state": loud.state if loud else "none", "due": _day(loud.due) if loud else None,
        "relapses": case.relapses, "opened_on": case.opened_on, "since": case.in_stage_since,
        "priority": None, "priority_word": "–",
        "public_word": _("public, change waits") if public and waiting else _("public") if public
        else _("waits for approval") if waiting else _("internal"),
        "name_vi": case.name_vi, "name_en": case.name_en, "steps": {},
        "district_old": case.facts.get("district_old"), "responsible": case.responsible,
    }  # fmt: skip


def matches(row, query):
    """Whether a row of a case meets the settings of the list (all that are set)."""
    if query["stage"] in STAGES:
        if row["stage"] != query["stage"]:
            return False
    elif query["stage"] != "every" and row["stage"] not in OPEN:
        return False
    for name in ("class", "ward"):
        if query.get(name) and row[name] != query[name]:
            return False
    if query["officer"] and str(row["officer"] or "none") != query["officer"]:
        return False
    if query["medium"] and query["medium"] not in row["media"]:
        return False
    if query["due"] and row["state"] not in _at_least(query["due"]):
        return False
    parts = (row["code"], row["name_vi"], row["name_en"], row["where"], row["district_old"], row["responsible"])
    return fold(query["q"]) in fold(" ".join(p for p in parts if p))


def _at_least(state):
    return WORST[: WORST.index(state) + 1]


def ordered(rows, how):
    """The rows in the order that was asked for; rows that say nothing come last."""
    if how == "priority":
        return sorted(rows, key=lambda r: (r["priority"] is None, -(r["priority"] or 0), r["code"]))
    if how == "new":
        return sorted(rows, key=lambda r: (r["opened_on"] is None, -_ordinal(r["opened_on"]), r["code"]))
    if how == "code":
        return sorted(rows, key=lambda r: r["code"])
    return sorted(rows, key=urgency)


def urgency(row):
    """Sorts most urgent first: the state of its clock, then its day, then its code."""
    return WORST.index(row["state"]), _ordinal(row["due"]) or 10**9, row["code"]


def _ordinal(day):
    return day.toordinal() if day else 0


def board(rows):
    """The rows in columns by stage; side doors stand at the end, only where something is in them."""
    columns = [{"code": s, "rows": [r for r in rows if r["stage"] == s]} for s in STAGES]
    return [c for c in columns if c["rows"] or c["code"] not in ("rejected", "suspended")]


def steps_of(case, offers):
    """{stage: address of the form} of the steps that this person's role may begin from the board."""
    out = {}
    for offer in offers:
        t = offer.transition
        if t.action in _NOT_BY_HAND or any(m.kind == "role" for m in offer.missing):
            continue
        to = t.to if t.to in STAGES else case.stage_before if t.action == "resume" else None
        if to and to not in out:
            out[to] = url_for("casework.one", code=case.code, step=t.action, _anchor=f"act-{t.action}")
    return out


# --- the desk ---


def work_row(row, why, label=None, *, anchor="next"):
    """A row of a case as the desk shows it: why it is here and one click to act."""
    return row | {"why": why, "act": {"label": label or _("Act"), "url": row["url"] + f"#{anchor}"}}


def late_rows(rows):
    """Rows whose clock is late, worst first, each with what is late."""
    late = [r for r in rows if r["state"] in ("late", "very_late")]
    return [work_row(r, _("%(what)s is late", what=r["clock"]["name_word"])) for r in sorted(late, key=urgency)]


def new_since(moment):
    """The start of the working day before: what came in after it is new. moment: aware, city time."""
    return (moment - timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def listed(name, title, tone, rows, *, more=None, empty="", advice="", above=0):
    """One list of the desk; only the first rows are shown, `count` says how many there are.

    above: how many more stand in the list of what is very late, on top of the page.
    """
    return {"id": name, "title": title, "tone": tone, "count": len(rows) + above, "above": above, "rows": rows[:SHOWN], "every": rows, "more": more, "empty": empty, "advice": advice}  # fmt: skip


# --- on the map ---

AREA = {"color": "#8c1d13", "weight": 2, "fillColor": "#b3261e", "fillOpacity": 0.12}


def marks(rows):
    """Map marks of rows of cases; a case without a position has none."""
    out = []
    for r in rows:
        shape = r["case"].geometry
        if shape is None or shape.is_empty:
            continue
        at = shape if shape.geom_type == "Point" else shape.representative_point()
        lines = [[_("Stage"), words.word("stage", r["stage"])], [_("Class"), r["class_word"]]]
        if r["clock"]:
            lines.insert(1, [r["clock"]["name_word"], r["clock"]["words"]])
        out.append({"code": r["code"], "name": f"{r['code']} {r['title']}", "lon": round(at.x, 5), "lat": round(at.y, 5),
                    "sign": r["stage"], "lines": lines, "url": r["url"]})  # fmt: skip
    return out


def areas(rows):
    """The outlines of the cases that have one, as a GeoJSON collection."""
    held = [(r["case"], r) for r in rows if r["case"].geometry is not None and r["case"].geometry.geom_type != "Point"]
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": export.rounded(c.geometry, 5),
             "properties": {"code": f"{c.code}-area", "name": f"{c.code} {r['title']}", "url": r["url"]}}
            for c, r in held
        ],
    }  # fmt: skip


def case_layers(found, rows):
    """The layers of cases for a map: outlines below, signs above. found: of marks(); rows: of case_row."""
    shapes = areas(rows)
    below = [maps.GeoJsonLayer("areas", "", data=shapes, style=AREA)] if shapes["features"] else []
    return [*below, maps.hotspot_layer(found[: maps.MAX_EMBEDDED], "")]


# --- who sees what ---


def scope_words(user, wards):
    """The wards and media of a person, in words; "" where they have the whole city and everything."""
    places = [text(wards[w], "name") if w in wards else w for w in user.wards]
    media = [words.word("medium", m) for m in user.media]
    if len(places) > 4:
        places = [*places[:3], ngettext("one more ward", "%(num)s more wards", len(places) - 3)]
    return " · ".join(", ".join(part) for part in (places, media) if part)


def frame(user, wards, *, inbox=None, publications=None):
    """The bar above every staff page: the work places of this person's role, with what waits there."""
    places = [("desk", url_for("desk.overview"), _("My desk"), None)]
    if user.role != "planner":
        places.append(("inbox", url_for("inbox.overview"), _("Inbox"), inbox))
    places.append(("cases", url_for("casework.overview"), _("Cases"), None))
    if user.role != "commune_officer":
        places.append(("plan", url_for("plan.overview"), _("Siting"), None))
    if user.role in ("planner", "administrator"):
        places.append(("import", "/admin/import", _("Bring data"), None))
        places.append(("layers", url_for("layers.overview"), _("Layers"), None))
    if user.role in ("inspector", "approver", "administrator"):
        places.append(("publications", url_for("desk.publications"), _("Publication"), publications))
    if user.role == "administrator":
        places.append(("audit", url_for("desk.journal"), _("Journal"), None))
    return {
        "places": [{"key": k, "url": u, "label": label, "count": n} for k, u, label, n in places],
        "scope": scope_words(user, wards) or _("whole city, all media"),
    }  # fmt: skip
