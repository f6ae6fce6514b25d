"""What the staff's pages need from the services of a city, gathered: rows, people, rights, what waits."""

from server import atlas, casefile, desk, maps, publication, remediation, words
from server.docket import WRITERS
from server.i18n import gettext as _
from server.i18n import number, text

LOCAL = ("commune_officer", "inspector", "approver", "administrator")


def ward_names(services):
    """{code: {name_vi, name_en}} of the wards."""
    return {c: {"name_vi": vi, "name_en": en} for c, (vi, en) in services.ward_names().items()}


def ward_list(services, user):
    """(code, name) of the wards a person works with, by name."""
    names = ward_names(services)
    mine = [(c, text(n, "name")) for c, n in names.items() if not user.wards or c in user.wards]
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
    """Every case of this person as a row of the lists, with its clock and whether it is public."""
    held = services.book.all(user)
    clocks = services.book.all_clocks(held)
    names, wards, public = officers(services), ward_names(services), public_codes(services)
    waiting = {p["case"] for p in services.gate.waiting()}
    points = priorities(services)
    return [
        desk.case_row(c, clocks[c.code].all, wards=wards, officers=names, public=c.code in public,
                      waiting=c.code in waiting, priority=points.get(c.code))
        for c in held
    ]  # fmt: skip


def facility_list(services):
    """(code, name) of everything that can be a source of pollution, for a field that suggests."""
    out = []
    for layer in ("industrial_zones", "treatment_plants", "waste_sites", "port_areas"):
        frame = services.store.snapshot(layer)
        out += [(r["code"], text(r, "name")) for r in frame[["code", "name_vi", "name_en"]].to_dict("records")]
    return out


def reports_of(services, codes):
    """The citizen reports with these codes, each with its messages; none where one is gone."""
    out = []
    for code in codes:
        try:
            out.append(services.reports.get(code) | {"messages": services.reports.messages(code)})
        except KeyError:
            continue
    return out


def rights(user, *, public, waiting):
    """What this person may do on the page of a case, beside the steps."""
    out = {"edit"} if user.role in WRITERS else set()
    if user.role in publication.PROPOSERS:
        out |= {"publish", "void", "split"}
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


def priorities(services):
    """{code: (points or None, words)} of all cases, or {} where the city does not compute them."""
    made = getattr(services, "priorities", None)
    return {} if made is None else {c: (p.points, priority_word(p)) for c, p in made().items()}


def priority_word(p):
    return _("not enough data") if p is None or p.points is None else number(p.points, 0)


def priority_of(services, case):
    """The priority of one case as the page prints it; `layers` show on the map what was counted."""
    return {"lines": [], "word": _("Not enough data to compute a priority."), "written": "", "missing": [], "layers": [],
            "bounds": None, "map_words": ""}  # fmt: skip


# --- what waits for whom ---


def waiting_for(services, user, held, clocks):
    """Rows of what this person can do now: steps that are possible, where they are the officer or must approve."""
    by_code = {r["code"]: r for r in held}
    out = []
    for row in held:
        case = row["case"]
        mine = case.officer == user.id
        if not mine and user.role not in remediation.DECIDERS:
            continue
        for offer in services.book.offers(case, user):
            t = offer.transition
            if offer.blocked or t.action not in ("confirm", "contain", "approve_plan", "start", "finish", "close", "complete"):
                continue
            decides = t.roles[0] in remediation.DECIDERS
            if mine or decides:
                why = _("“%(step)s” is possible now", step=_(t.label))
                out.append(desk.work_row(by_code[row["code"]], why, _("Decide") if decides else _("Act"), anchor=f"act-{t.action}"))
                break
    return sorted(out, key=desk.urgency)


__all__ = ["atlas", "maps"]
