"""One thread: everything that happened around a case as one timeline, whatever table it lies in.

Complaint, hotspot, facility, inspection, sample, decision, fix and watch: each entry names what it is
tied to, so that from any of them the others are one click away. Cases that were merged into this one
bring their own entries along.
"""

import json
from datetime import datetime

import sqlalchemy as sa

from server import casebook, samples
from server.casebook import decisions, events, evidence, inspections, links, proposals

KINDS = ("report", "step", "sampling", "inspection", "decision", "attachment", "edit", "note", "publication")
_DOUBLED = ("sampling", "inspection", "decision")  # their events only mark the place; the table has the substance
_STEPLESS = ("edit", "void", "correction")


def entries(con, case, *, reports_of=lambda codes: ()):
    """The thread of a case, newest first, as dicts.

    kind: of KINDS; at: moment of writing; day: the day it tells of; action, stage_from, stage; actor,
    role; text: the reason or words given; data: the rest; files: evidence as dicts; refs: what it is
    tied to, {kind: case|facility|report, code}; case: the code it was written under; public: whether it
    is in the public timeline. reports_of: callable (report codes) -> entries of kind "report".
    """
    codes = _family(con, case.code)
    out = []
    for code in codes:
        out += _events(con, code) + _attachments(con, code) + _samplings(con, code)
        out += _plain(con, inspections, "inspection", code, text="findings")
        out += _plain(con, decisions, "decision", code, text="text")
        out += _publications(con, code)
    tied = con.execute(sa.select(links.c.kind, links.c.ref).where(links.c.case.in_(codes), links.c.kind == "report"))
    out += [_filled(e) for e in reports_of([ref for _kind, ref in tied])]
    return sorted(out, key=lambda e: (e["at"], e["number"]), reverse=True)


def related(con, case):
    """What a case is tied to: {"cases": codes, "reports": codes, "facilities": codes}, each sorted."""
    found = {"case": set(), "report": set(), "facility": set()}
    for kind, ref in con.execute(sa.select(links.c.kind, links.c.ref).where(links.c.case == case.code)):
        found[kind].add(ref)
    if case.facility:
        found["facility"].add(case.facility)
    found["facility"] |= set(con.scalars(
        sa.select(inspections.c.facility).where(inspections.c.case == case.code, inspections.c.facility.is_not(None))
    ))  # fmt: skip
    if case.merged_into:
        found["case"].add(case.merged_into)
    return {"cases": sorted(found["case"]), "reports": sorted(found["report"]), "facilities": sorted(found["facility"])}


def _family(con, code):
    """The case and all that were merged into it, also over several steps."""
    out, ahead = [code], [code]
    while ahead:
        found = con.scalars(sa.select(casebook.cases.c.code).where(casebook.cases.c.merged_into == ahead.pop())).all()
        fresh = [c for c in found if c not in out]
        out += fresh
        ahead += fresh
    return out


def _filled(entry):
    blank = {"number": 0, "day": None, "action": entry["kind"], "stage_from": None, "stage": None, "actor": "", "role": "",
             "text": None, "data": {}, "files": [], "refs": [], "case": None, "public": False}  # fmt: skip
    return blank | entry


def _entry(row, kind, **more):
    return _filled({"kind": kind, "number": row["id"], "at": datetime.fromisoformat(row["at"]), "actor": row["by_name"],
                    "case": row["case"], **more})  # fmt: skip


def _events(con, code):
    out = []
    rows = con.execute(sa.select(events).where(events.c.case == code).order_by(events.c.id)).mappings()
    for r in rows:
        if r["action"] in _DOUBLED:
            continue
        kind = "note" if r["action"] == "note" else "edit" if r["action"] in _STEPLESS else "step"
        fields, old = json.loads(r["fields"]), json.loads(r["old"])
        tied = [{"kind": "case", "code": fields["merged_into"]}] if fields.get("merged_into") else []
        out.append(_entry(
            r, kind, day=r["day"], action=r["action"], stage_from=r["stage_from"], stage=r["stage"], role=r["role"],
            text=r["reason"], public=r["published"] is not None, refs=tied,
            data={"fields": fields, "old": old, "overridden": json.loads(r["overridden"]), "undone": r["undone_by"] is not None,
                  "text_vi": r["text_vi"], "text_en": r["text_en"]},
        ))  # fmt: skip
    return out


def _attachments(con, code):
    rows = con.execute(sa.select(evidence).where(evidence.c.case == code)).mappings()
    return [
        _entry(r, "attachment", day=r["dated"], text=r["note"], files=[dict(r)],
               data={"what": r["kind"], "voided": r["voided"], "decision": r["number"]})
        for r in rows
    ]  # fmt: skip


def _samplings(con, code):
    return [
        _entry(r, "sampling", day=r["taken_on"], text=r["place"],
               data={n: r[n] for n in ("laboratory", "method", "report_no", "medium", "verdicts", "judgement", "voided", "id")})
        for r in samples.of_case(con, code)
    ]  # fmt: skip


def _plain(con, table, kind, code, *, text):
    rows = con.execute(sa.select(table).where(table.c.case == code)).mappings()
    return [
        _entry(r, kind, day=r["day"], text=r[text], data=dict(r),
               refs=[{"kind": "facility", "code": r["facility"]}] if r.get("facility") else [])
        for r in rows
    ]  # fmt: skip


def _publications(con, code):
    """Each proposal, and what was decided on it, as entries of their own."""
    out = []
    for r in con.execute(sa.select(proposals).where(proposals.c.case == code)).mappings():
        data = {
            "proposal": r["id"],
            "state": r["state"],
            "embargo": r["embargo"],
            "fields": sorted(json.loads(r["after"])),
        }
        out.append(_entry(r, "publication", action="propose", text=r["note"], data=data))
        if r["decided_at"]:
            action = (
                "send_back" if r["state"] == "sent_back" else "withdraw" if r["state"] == "withdrawn" else "approve"
            )
            out.append(_entry(r, "publication", action=action, text=r["reason"], data=data)
                       | {"at": datetime.fromisoformat(r["decided_at"]), "actor": r["decided_name"]})  # fmt: skip
    return out
