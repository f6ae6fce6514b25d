"""The gate between what staff hold and what the public sees.

Public pages read the layer `hotspots` and the table `hotspot_events` only. A proposal freezes, for one
case, the public fields as they are and as they would be, with the events that join the public
timeline; a second person approves exactly that. An override or a relapse cannot be left out.
"""

import json
from datetime import UTC

import geopandas as gpd
import pandas as pd
import shapely
import sqlalchemy as sa

from layers import audit
from layers.catalogue import ALL, LAYERS
from layers.checks import check
from server.casebook import (
    FACTS,
    NOT_ENOUGH,
    CaseError,
    Conflict,
    NotYours,
    case_of,
    cases,
    events,
    evidence,
    packed,
    plain,
    proposals,
    wkt,
)  # fmt: skip
from server.i18n import N_

LAYER, EVENTS = "hotspots", "hotspot_events"
FIELDS = (*(f.name for f in LAYERS[LAYER].fields if f.name != "code"), "geometry")
APPROVERS = ("approver", "administrator")
PROPOSERS = ("inspector", "approver", "administrator")
MUST = ("relapse",)  # actions whose event is public whatever the proposer wishes
_DATES = tuple(f.name for f in LAYERS[LAYER].fields if f.kind == "date")
_DUE = {
    "confirmed": ("phê duyệt phương án", "approval of the plan"),
    "contained": ("phê duyệt phương án", "approval of the plan"),
    "plan_approved": ("khắc phục xong", "end of the clean-up"),
    "in_remediation": ("khắc phục xong", "end of the clean-up"),
}
OFFICE = ("Sở Nông nghiệp và Môi trường", "Department of Agriculture and Environment")


def public_fields(case, wards):
    """The public fields of a case as {field: value}, geometry as WKT, days as ISO text.

    wards: {code: (name_vi, name_en)}. The suspected source is named in public only where staff wrote
    it into the proposal themselves; it is a field like the others and starts out as held back.
    """
    out = {name: case.facts.get(name) for name in FACTS}
    vi, en = wards.get(case.ward, (None, None))
    due = case.deadline if case.stage in ("plan_approved", "in_remediation") else case.plan_due
    words = _DUE.get(case.stage) if due else None
    out |= {
        "stage": case.stage,
        "severity_class": None if case.severity_class == NOT_ENOUGH else case.severity_class,
        "class_reason_vi": case.class_reason, "class_reason_en": None,
        "facility": case.facility,
        "authority_vi": f"{OFFICE[0]}; UBND {vi}" if vi else OFFICE[0],
        "authority_en": f"{OFFICE[1]}; People's Committee of {en or vi}" if vi else OFFICE[1],
        "opened_on": case.opened_on, "stage_since": case.in_stage_since,
        "deadline": due if words else None,
        "deadline_for_vi": words and words[0], "deadline_for_en": words and words[1],
        "decision_no": case.decision_no, "watch_until": case.watch_until,
        "relapses": case.relapses or None,
        "geometry": wkt(case.geometry),
    }  # fmt: skip
    return plain({name: out.get(name) for name in FIELDS})


class Publication:
    """Proposals and their approval. wards: callable giving {code: (name_vi, name_en)}; now: aware clock."""

    def __init__(self, store, *, wards, now):
        self._store, self._wards, self._now = store, wards, now

    # --- reading ---

    def published(self, con, code):
        """The public fields as they are out there, or None."""
        frame = self._store.current(con, LAYER)
        found = frame[frame["code"] == code]
        return None if found.empty else row_fields(found.iloc[0])

    def changes(self, con, case):
        """{field: (public now, as staff hold it)} of one case; empty where they agree."""
        before = self.published(con, case.code)
        after = public_fields(case, self._wards())
        return {f: ((before or {}).get(f), after[f]) for f in FIELDS if (before or {}).get(f) != after[f]}

    def waiting(self, user=None):
        """Proposals that wait for approval, oldest first; with user, those in this person's scope."""
        query = sa.select(proposals).where(proposals.c.state == "waiting").order_by(proposals.c.id)
        return self._listed(query, user)

    def embargoed(self):
        """Approved proposals whose day has not come."""
        return self._listed(sa.select(proposals).where(proposals.c.state == "approved").order_by(proposals.c.embargo))

    def of_case(self, code):
        """All proposals of a case, newest first."""
        return self._listed(sa.select(proposals).where(proposals.c.case == code).order_by(proposals.c.id.desc()))

    def _listed(self, query, user=None):
        with self._store.reading() as con:
            rows = [_proposal(r) for r in con.execute(query).mappings()]
            held = {r["case"]: case_of(_case_row(con, r["case"])) for r in rows}
        return [
            r | {"held": held[r["case"]]} for r in rows
            if user is None or user.covers(held[r["case"]].ward, held[r["case"]].media)
        ]  # fmt: skip

    def get(self, number):
        """One proposal as a dict, with `held`, the case as it is now. KeyError where there is none."""
        found = self._listed(sa.select(proposals).where(proposals.c.id == number))
        if not found:
            raise KeyError(number)
        return found[0]

    def differences(self, number):
        """What approval would change: dicts of field, label_vi, label_en, before, after; and the events."""
        p = self.get(number)
        layer = LAYERS[LAYER]
        out = []
        for name in FIELDS:
            if name in p["after"]:
                f = layer.by_name.get(name)
                out.append({"field": name, "label_vi": f.vi if f else "Vị trí", "label_en": f.en if f else "Place",
                            "before": (p["before"] or {}).get(name), "after": p["after"][name]})  # fmt: skip
        return out

    def events_of(self, number):
        """The events that a proposal would add to the public timeline, as dicts."""
        ids = self.get(number)["events"]
        with self._store.reading() as con:
            query = sa.select(events).where(events.c.id.in_(ids)).order_by(events.c.id)
            return [_event(con, r) for r in con.execute(query).mappings()]

    # --- proposing ---

    def propose(self, user, code, *, note="", embargo=None, hold=()):
        """Put what differs in front of a second person; returns the number of the proposal.

        hold: fields that stay internal. A proposal that waits already is replaced.
        """
        _may(user, PROPOSERS, N_("Only inspectors, approvers and administrators propose what becomes public."))
        with self._store.transaction() as con:
            case = case_of(_case_row(con, code))
            _covers(user, case)
            return self.propose_in(con, user, case, note=note, embargo=embargo, hold=hold)

    def propose_in(self, con, user, case, *, note="", embargo=None, hold=()):
        """As propose, inside the transaction of a step."""
        unknown = sorted(set(hold) - set(FIELDS))
        if unknown:
            raise CaseError(N_("%(fields)s: there is no such public field."), fields=", ".join(unknown))
        if embargo and embargo <= self._now().date():
            raise CaseError(N_("The embargo must end on a later day than today."))
        before = self.published(con, case.code)
        waiting = con.execute(
            sa.select(proposals).where(proposals.c.case == case.code, proposals.c.state.in_(("waiting", "approved")))
        ).mappings().all()  # fmt: skip
        after = {f: new for f, (_old, new) in self.changes(con, case).items() if f not in hold}
        wanted = (
            sa.select(events.c.id)
            .where(events.c.case == case.code, events.c.published.is_(None))
            .where(events.c.public | events.c.action.in_(MUST) | (events.c.overridden != "[]"))
        )
        ids = con.scalars(wanted.order_by(events.c.id)).all()
        if not after and not ids:
            raise CaseError(N_("There is nothing new to publish: the public page says what the case says."))
        con.execute(proposals.update().where(proposals.c.id.in_([w["id"] for w in waiting])).values(state="superseded"))
        made = {"case": case.code, "revision": case.revision, "state": "waiting", "before": packed(before),
                "after": packed(after), "events": packed(ids), "note": note or None, "embargo": embargo,
                **_signed(user, self._now())}  # fmt: skip
        number = con.execute(proposals.insert().values(made)).inserted_primary_key[0]
        self._audit(con, user, "propose", case.code, None, {"proposal": number, "after": after, "events": list(ids)})
        return number

    def propose_if_new(self, con, user, case, *, embargo=None):
        """After a step: propose what it changed, keeping back what the last proposal kept back.

        The suspected source and the class reason are named in public only by a person's own choice.
        """
        last = con.execute(
            sa.select(proposals).where(proposals.c.case == case.code).order_by(proposals.c.id.desc()).limit(1)
        ).mappings().one_or_none()  # fmt: skip
        public = self.published(con, case.code) or {}
        named = set(json.loads(last["after"])) if last else set()
        hold = {f for f in ("facility",) if public.get(f) is None and f not in named}
        try:
            return self.propose_in(con, user, case, hold=hold, embargo=embargo)
        except CaseError:
            return None

    def set_aside(self, con, user, code, reason):
        """A proposal that waits, although the case says again what is public, waits no more."""
        waiting = sa.select(proposals.c.id).where(
            proposals.c.case == code, proposals.c.state.in_(("waiting", "approved"))
        )
        numbers = con.scalars(waiting).all()
        if numbers:
            con.execute(proposals.update().where(proposals.c.id.in_(numbers)).values(state="superseded", reason=reason))
            self._audit(con, user, "set_aside", code, None, {"proposals": list(numbers), "reason": reason})

    # --- deciding ---

    def approve(self, user, number):
        """Publish a proposal, or let it wait for the end of its embargo. Returns whether it is public now."""
        _may(user, APPROVERS, N_("Only approvers and administrators approve what becomes public."))
        with self._store.transaction() as con:
            p = self._open(con, user, number)
            if p["by"] == user.id:
                raise NotYours(N_("Who proposed a publication cannot approve it. A second person must look at it."))
            today = self._now().date()
            decided = {"decided_by": user.id, "decided_name": user.name, "decided_at": _utc(self._now())}
            later = p["embargo"] is not None and p["embargo"] > today
            con.execute(proposals.update().where(proposals.c.id == number).values(state="approved", **decided))
            self._audit(con, user, "approve", p["case"], p["before"], {"proposal": number, "after": p["after"]})
            if later:
                return False
            self._publish(con, p, user.name)
            return True

    def send_back(self, user, number, reason):
        """Return a proposal to its author with a reason; nothing becomes public."""
        _may(user, APPROVERS, N_("Only approvers and administrators send a proposal back."))
        if not reason.strip():
            raise CaseError(N_("Say what has to change before this can be published."))
        with self._store.transaction() as con:
            p = self._open(con, user, number)
            con.execute(
                proposals.update().where(proposals.c.id == number).values(
                    state="sent_back", reason=reason.strip(), decided_by=user.id, decided_name=user.name,
                    decided_at=_utc(self._now()))
            )  # fmt: skip
            self._audit(con, user, "send_back", p["case"], None, {"proposal": number, "reason": reason.strip()})

    def release(self):
        """Publish what was approved and whose embargo has ended; returns the codes."""
        today, out = self._now().date(), []
        with self._store.reading() as con:
            ids = con.scalars(
                sa.select(proposals.c.id).where(proposals.c.state == "approved", proposals.c.embargo <= today)
            ).all()
        for number in ids:
            with self._store.transaction() as con:
                row = con.execute(sa.select(proposals).where(proposals.c.id == number)).mappings().one()
                if row["state"] != "approved":
                    continue
                p = _proposal(row)
                self._publish(con, p, p["decided_name"])
                out.append(p["case"])
        return out

    def withdraw(self, user, code, reason):
        """Take back at once what the last publication made public; the timeline says that and why.

        The public fields return to what they were before it (a hotspot that was not public before
        leaves the map), its events leave the timeline, and one event tells of the withdrawal.
        """
        _may(user, APPROVERS, N_("Only approvers and administrators withdraw what is public."))
        if not reason.strip():
            raise CaseError(N_("Say why this is withdrawn; the reason is shown in public."))
        with self._store.transaction() as con:
            case = case_of(_case_row(con, code))
            _covers(user, case)
            row = con.execute(
                sa.select(proposals).where(proposals.c.case == code, proposals.c.state == "published")
                .order_by(proposals.c.id.desc()).limit(1)
            ).mappings().one_or_none()  # fmt: skip
            if row is None:
                raise CaseError(
                    N_("Nothing of %(code)s was published through the register; there is nothing to withdraw."),
                    code=code,
                )
            p = _proposal(row)
            held = con.execute(sa.select(events).where(events.c.id.in_(p["events"]))).mappings().all()
            if any(e["action"] in MUST or e["overridden"] != "[]" for e in held):
                raise CaseError(
                    N_("A relapse or an override stays public and cannot be withdrawn; publish a correction.")
                )
            today = self._now().date()
            numbers = [e["published"] for e in held]
            table = self._store.current(con, EVENTS)
            keep = table[~((table["hotspot"] == code) & table["number"].isin(numbers))]
            told = {"hotspot": code, "number": _next_number(table, code), "day": today, "action": "withdraw",
                    "text_vi": reason.strip(), "text_en": reason.strip(), "office_vi": OFFICE[0], "office_en": OFFICE[1],
                    "published_on": today, "source": "register", "confidence": "high"}  # fmt: skip
            frame = self._store.current(con, LAYER)
            others = frame[frame["code"] != code]
            back = others if p["before"] is None else pd.concat([others, _frame(code, p["before"])], ignore_index=True)
            layers = [
                check(ALL[LAYER], gpd.GeoDataFrame(back, geometry="geometry", crs=4326), repair=False),
                check(ALL[EVENTS], pd.concat([keep, pd.DataFrame([told])], ignore_index=True)),
            ]
            self._store.write_in(con, layers, source=f"withdrawal of {code}", who=user.name, note=reason.strip())
            con.execute(
                proposals.update().where(proposals.c.id == p["id"]).values(state="withdrawn", reason=reason.strip())
            )
            con.execute(events.update().where(events.c.id.in_(p["events"])).values(published=None, public=False))
            self._audit(con, user, "withdraw", code, p["after"], {"proposal": p["id"], "reason": reason.strip()})

    # --- inside ---

    def _open(self, con, user, number):
        row = con.execute(sa.select(proposals).where(proposals.c.id == number)).mappings().one_or_none()
        if row is None:
            raise CaseError(N_("There is no proposal %(number)s."), number=number)
        p = _proposal(row)
        _covers(user, case_of(_case_row(con, p["case"])))
        if p["state"] != "waiting":
            raise Conflict(N_("This proposal no longer waits: it was decided, or a newer one took its place."))
        return p

    def _publish(self, con, p, who):
        now = self.published(con, p["case"])
        if now != p["before"]:
            raise Conflict(N_("The public page has changed since this was proposed. Propose it again."))
        today = self._now().date()
        layers = []
        if p["after"]:
            merged = _frame(p["case"], (p["before"] or {}) | p["after"])
            layers.append(check(ALL[LAYER], merged, repair=False))
        table = self._store.current(con, EVENTS)
        number, rows = _next_number(table, p["case"]), []
        chosen = (
            con.execute(sa.select(events).where(events.c.id.in_(p["events"])).order_by(events.c.id)).mappings().all()
        )
        for i, e in enumerate(chosen):
            rows.append(_event(con, e) | {"hotspot": p["case"], "number": number + i, "published_on": today})
            con.execute(events.update().where(events.c.id == e["id"]).values(published=number + i))
        if rows:
            names = [f.name for f in ALL[EVENTS].fields]
            layers.append(check(ALL[EVENTS], pd.DataFrame([{n: r.get(n) for n in names} for r in rows])))
        self._store.write_in(con, layers, source=f"publication of {p['case']}", who=who, mode="upsert")
        con.execute(proposals.update().where(proposals.c.id == p["id"]).values(state="published", published_on=today))

    def _audit(self, con, user, action, code, old, new):
        audit.append(con, at=self._now().astimezone(UTC), who=user.name, who_id=user.id, role=user.role, action=action,
                     thing=f"case:{code}", old=old, new=plain(new))  # fmt: skip


# Which photos an event of the public timeline carries: the pair belongs to the closing.
_WITH_BEFORE, _WITH_AFTER = ("confirm", "close"), ("finish", "close")


def _event(con, e):
    """A row of the public timeline from an event of the register, with the photos that were chosen for the public.

    A photo that is of neither kind of the pair goes with the first event that is published after it was chosen.
    """
    kinds = {"photo_before": [], "photo_after": [], "photo": []}
    query = sa.select(evidence.c.kind, evidence.c.sha, evidence.c.dated, evidence.c.id).where(
        evidence.c.case == e["case"], evidence.c.public, evidence.c.voided.is_(None), evidence.c.kind.in_(kinds)
    )
    for row in con.execute(query.order_by(evidence.c.dated, evidence.c.id)):
        kinds[row.kind].append(row)
    before = kinds["photo_before"] if e["action"] in _WITH_BEFORE else []
    after = kinds["photo_after"] if e["action"] in _WITH_AFTER else []
    earlier = con.scalar(sa.select(sa.func.max(events.c.at)).where(
        events.c.case == e["case"], events.c.id < e["id"], events.c.action == e["action"], events.c.published.is_not(None)
    ))  # fmt: skip
    others = kinds["photo"] if e["action"] in ("contain", "start", "note", "confirm") and earlier is None else []
    fields = json.loads(e["fields"])
    return {
        "id": e["id"], "day": e["day"], "action": e["action"], "stage_from": e["stage_from"], "stage": e["stage"],
        "text_vi": e["text_vi"], "text_en": e["text_en"], "office_vi": OFFICE[0], "office_en": OFFICE[1],
        "decision_no": fields.get("decision_no"), "overridden": "yes" if e["overridden"] != "[]" else "no",
        "photos_before": _joined(before), "before_on": min((r.dated for r in before if r.dated), default=None),
        "photos_after": _joined(after), "after_on": max((r.dated for r in after if r.dated), default=None),
        "photos": _joined(others), "source": "register", "confidence": "high",
    }  # fmt: skip


def _joined(rows):
    return ";".join(r.sha for r in rows) or None


def _next_number(table, code):
    mine = table[table["hotspot"] == code]["number"]
    return 1 if mine.empty else int(mine.max()) + 1


def row_fields(series):
    """Public fields of a row of the layer, as public_fields gives them."""
    out = {}
    for name in FIELDS:
        value = series[name]
        if name == "geometry":
            value = wkt(value)
        elif value is None or pd.isna(value):
            value = None
        elif name in _DATES:
            value = value.date().isoformat()
        elif isinstance(value, float) and LAYERS[LAYER].by_name[name].kind == "integer":
            value = int(value)
        out[name] = value
    return out


def _frame(code, fields):
    row = {"code": code, **{n: fields.get(n) for n in FIELDS if n != "geometry"}}
    text = fields.get("geometry")
    shape = None if text is None else shapely.from_wkt(text)
    return gpd.GeoDataFrame(pd.DataFrame([row], dtype=object), geometry=[shape], crs=4326)


def _proposal(row):
    return dict(row) | {k: json.loads(row[k]) for k in ("before", "after", "events")}


def _case_row(con, code):
    row = con.execute(sa.select(cases).where(cases.c.code == code)).mappings().one_or_none()
    if row is None:
        raise CaseError(N_("There is no case %(code)s."), code=code)
    return row


def _may(user, roles, words):
    if user.role not in roles:
        raise NotYours(words)


def _covers(user, case):
    if not user.covers(case.ward, case.media):
        raise NotYours(N_("%(code)s lies outside the wards or media you work with."), code=case.code)


def _signed(user, now):
    return {"by": user.id, "by_name": user.name, "at": _utc(now)}


def _utc(now):
    return now.astimezone(UTC).isoformat(timespec="milliseconds")
