"""The gate: nothing is public before a second person approved exactly that, and internal words never are."""

import sqlite3
from contextlib import closing
from datetime import date, timedelta

import pytest
import shapely
import sqlalchemy as sa

from layers import audit, export, formats
from layers.catalogue import EVENT
from server import casebook, publication, remediation
from server.accounts import User
from server.casebook import CaseError, Conflict, NotYours
from server.figures import Figures
from server.services import Services

DAY = date(2026, 11, 23)
SECRET = "ZQX-internal-words"
FACTS = {
    "name_vi": "Kênh thử",
    "media": "water",
    "source": "register",
    "confidence": "high",
    "geometry_quality": "approximate",
}
INSPECTOR = User(2, "i", "Inspector", "inspector")
HEAD = User(3, "h", "Approver", "approver")
OTHER_HEAD = User(4, "g", "Second approver", "approver")
OFFICER = User(1, "o", "Commune officer", "commune_officer")


@pytest.fixture
def city(filled):
    services = Services(filled, Figures(filled), fixed_today=DAY)
    yield services
    services.close()


def step(city, user, code, action, fields=None, **more):
    return city.book.step(user, code, city.book.get(code).revision, action, fields, **more)


def evidence(city, code, kind, **more):
    return city.book.attach(INSPECTOR, code, kind, "a" * 64, name=f"{SECRET}.jpg", media_type="image/jpeg", dated=city.today(),
                            note=SECRET, **more)  # fmt: skip


def confirmed(city):
    """A confirmed case that waits at the gate, with internal words wherever they can be written."""
    case = city.book.open(INSPECTOR, FACTS, shapely.Point(106.68, 20.85), note=SECRET)
    step(city, INSPECTOR, case.code, "check", {"officer": 2})
    evidence(city, case.code, "visit_record")
    city.book.note(INSPECTOR, case.code, SECRET)
    city.book.add_inspection(INSPECTOR, case.code, on=DAY, findings=SECRET)
    city.book.add_decision(INSPECTOR, case.code, number=SECRET, on=DAY, kind="fine", text=SECRET)
    city.book.edit(INSPECTOR, case.code, city.book.get(case.code).revision, {"facility": "WW01"}, reason=SECRET)
    return step(city, INSPECTOR, case.code, "confirm", {"severity_class": "2", "class_reason": "amoni vượt 2 lần"})


def waiting(city, code):
    return next(p for p in city.gate.waiting() if p["case"] == code)


def public(city, code):
    rows = city.store.snapshot("hotspots")
    found = rows[rows["code"] == code]
    return None if found.empty else found.iloc[0]


def timeline(city, code):
    rows = city.store.snapshot("hotspot_events")
    return rows[rows["hotspot"] == code]


def test_nothing_is_public_before_a_second_person_approves(city):
    before = city.store.stamp()
    case = confirmed(city)
    assert public(city, case.code) is None and city.store.stamp() == before
    with pytest.raises(NotYours, match="second person"):
        city.gate.approve(User(2, "i", "Inspector", "approver"), waiting(city, case.code)["id"])
    with pytest.raises(NotYours):
        city.gate.approve(OFFICER, waiting(city, case.code)["id"])
    assert public(city, case.code) is None
    assert city.gate.approve(HEAD, waiting(city, case.code)["id"]) is True
    row = public(city, case.code)
    assert (row["stage"], row["severity_class"], row["class_reason_vi"]) == ("confirmed", "2", "amoni vượt 2 lần")
    assert timeline(city, case.code)["action"].tolist() == ["registered", "check", "confirm"]
    with city.store.reading() as con:
        assert audit.verify(con) == []
        assert [r["action"] for r in audit.rows(con, thing=f"case:{case.code}", limit=1)] == ["approve"]


def test_a_case_in_doubt_does_not_ask_to_be_public(city):
    case = city.book.open(INSPECTOR, FACTS, shapely.Point(106.68, 20.85))
    step(city, INSPECTOR, case.code, "check", {"officer": 2})
    assert city.gate.waiting() == []


def test_internal_words_reach_no_public_table_and_no_download(city, tmp_path):
    case = confirmed(city)
    city.gate.approve(HEAD, waiting(city, case.code)["id"])
    for name in export.public_layers():
        assert SECRET not in formats.export(name, city.store.snapshot(name), "csv").decode("utf-8-sig"), name
    tables = (formats.table(n, city.store.snapshot(n)) for n in export.public_layers())
    formats.geopackage_file(tmp_path / "public.gpkg", tables)
    assert SECRET.encode() not in (tmp_path / "public.gpkg").read_bytes()
    with closing(sqlite3.connect(tmp_path / "public.gpkg")) as con:
        names = {r[0] for r in con.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    assert not {n for n in names if n.startswith("cx_")}


def test_the_suspected_source_is_named_by_choice_only(city):
    case = confirmed(city)
    assert "facility" not in waiting(city, case.code)["after"]
    city.gate.propose(INSPECTOR, case.code, hold=())  # a person chose to name it
    assert waiting(city, case.code)["after"]["facility"] == "WW01"
    city.gate.approve(HEAD, waiting(city, case.code)["id"])
    assert public(city, case.code)["facility"] == "WW01"


def test_what_is_held_back_stays_back(city):
    case = confirmed(city)
    city.gate.propose(INSPECTOR, case.code, hold=("class_reason_vi", "facility"))
    city.gate.approve(HEAD, waiting(city, case.code)["id"])
    assert public(city, case.code)["class_reason_vi"] is None
    with pytest.raises(CaseError, match="no such public field"):
        city.gate.propose(INSPECTOR, case.code, hold=("password",))


def test_the_approver_sees_each_field_before_and_after(city):
    changed = city.book.edit(INSPECTOR, "HS01", city.book.get("HS01").revision, {"name_en": "New name"})
    number = city.gate.propose(INSPECTOR, changed.code)
    told = {d["field"]: (d["before"], d["after"]) for d in city.gate.differences(number)}
    assert told["name_en"] == ("DAP Dinh Vu phosphogypsum stack", "New name")
    assert set(told) == {"name_en", "authority_vi", "authority_en"}


def test_what_is_published_is_exactly_what_was_shown(city):
    """A change after the proposal is not carried along by its approval."""
    case = city.book.edit(INSPECTOR, "HS01", city.book.get("HS01").revision, {"name_en": "Shown"})
    number = city.gate.propose(INSPECTOR, "HS01")
    city.book.edit(INSPECTOR, "HS01", case.revision, {"name_en": "Slipped in"})
    city.gate.approve(HEAD, number)
    assert public(city, "HS01")["name_en"] == "Shown"


def test_a_newer_proposal_takes_the_place_of_the_old_one(city):
    case = confirmed(city)
    old = waiting(city, case.code)["id"]
    new = city.gate.propose(HEAD, case.code, note="better words")
    assert [p["id"] for p in city.gate.waiting() if p["case"] == case.code] == [new]
    with pytest.raises(Conflict, match="no longer waits"):
        city.gate.approve(OTHER_HEAD, old)
    with pytest.raises(NotYours):
        city.gate.approve(HEAD, new)
    assert city.gate.approve(OTHER_HEAD, new)


def test_nothing_new_is_told(city):
    case = confirmed(city)
    city.gate.propose(INSPECTOR, case.code, hold=())
    city.gate.approve(HEAD, waiting(city, case.code)["id"])
    with pytest.raises(CaseError, match="nothing new"):
        city.gate.propose(INSPECTOR, case.code)


def test_a_proposal_comes_back_with_its_reason(city):
    case = confirmed(city)
    number = waiting(city, case.code)["id"]
    with pytest.raises(CaseError, match="Say what"):
        city.gate.send_back(HEAD, number, "  ")
    city.gate.send_back(HEAD, number, "name the river")
    assert public(city, case.code) is None
    assert city.gate.of_case(case.code)[0]["reason"] == "name the river"
    assert city.gate.propose(INSPECTOR, case.code) > number


def test_an_embargo_ends_on_its_day(city):
    case = confirmed(city)
    with pytest.raises(CaseError, match="later day"):
        city.gate.propose(INSPECTOR, case.code, embargo=DAY)
    city.gate.propose(INSPECTOR, case.code, embargo=DAY + timedelta(days=3))
    assert city.gate.approve(HEAD, waiting(city, case.code)["id"]) is False
    assert city.gate.release() == [] and public(city, case.code) is None
    city.fixed_today += timedelta(days=3)
    assert city.gate.release() == [case.code] and city.gate.release() == []
    assert public(city, case.code) is not None
    assert timeline(city, case.code)["published_on"].dt.date.unique().tolist() == [DAY + timedelta(days=3)]


def test_a_withdrawal_takes_a_new_hotspot_off_the_map_and_says_so(city):
    case = confirmed(city)
    city.gate.approve(HEAD, waiting(city, case.code)["id"])
    with pytest.raises(NotYours):
        city.gate.withdraw(INSPECTOR, case.code, "x")
    with pytest.raises(CaseError, match="why"):
        city.gate.withdraw(HEAD, case.code, "")
    city.gate.withdraw(HEAD, case.code, "wrong plot")
    assert public(city, case.code) is None
    (event,) = timeline(city, case.code).to_dict("records")
    assert (event["action"], event["text_en"]) == ("withdraw", "wrong plot")
    assert city.book.get(case.code).stage == "confirmed"  # staff keep the case


def test_a_withdrawal_puts_back_what_was_public_before(city):
    before = public(city, "HS01")["name_en"]
    city.book.edit(INSPECTOR, "HS01", city.book.get("HS01").revision, {"name_en": "Slander"})
    city.gate.approve(HEAD, city.gate.propose(INSPECTOR, "HS01"))
    assert public(city, "HS01")["name_en"] == "Slander"
    city.gate.withdraw(HEAD, "HS01", "not proven")
    assert public(city, "HS01")["name_en"] == before
    with pytest.raises(CaseError, match="nothing to withdraw"):
        city.gate.withdraw(HEAD, "HS02", "x")


def test_numbers_of_the_timeline_go_on(city):
    case = confirmed(city)
    city.gate.approve(HEAD, waiting(city, case.code)["id"])
    step(city, INSPECTOR, case.code, "suspend", {"cause": "storm"}, text_en="Work stops for the storm.")
    city.gate.approve(HEAD, waiting(city, case.code)["id"])
    rows = timeline(city, case.code)
    assert rows["number"].tolist() == [1, 2, 3, 4] and rows["text_en"].iloc[-1] == "Work stops for the storm."
    assert public(city, case.code)["stage"] == "suspended"


def test_an_undone_step_that_was_never_public_leaves_no_trace_out_there(city):
    case = confirmed(city)
    city.gate.approve(HEAD, waiting(city, case.code)["id"])
    step(city, INSPECTOR, case.code, "suspend", {"cause": "storm"})
    step(city, INSPECTOR, case.code, "undo", {"reason": "the wrong case"})
    assert "suspend" not in timeline(city, case.code)["action"].tolist()
    with pytest.raises(CaseError, match="nothing new"):
        city.gate.propose(INSPECTOR, case.code, hold=("facility",))


def test_public_photos_are_those_that_were_chosen(city):
    case = city.book.open(INSPECTOR, FACTS, shapely.Point(106.68, 20.85))
    step(city, INSPECTOR, case.code, "check", {"officer": 2})
    evidence(city, case.code, "visit_record")
    city.book.attach(INSPECTOR, case.code, "photo_before", "b" * 64, name="1.jpg", media_type="image/jpeg", dated=DAY)
    shown = city.book.attach(
        INSPECTOR, case.code, "photo_before", "c" * 64, name="2.jpg", media_type="image/jpeg", dated=DAY
    )
    city.book.show_evidence(INSPECTOR, shown, True)
    step(city, INSPECTOR, case.code, "confirm", {"severity_class": "1", "class_reason": "r"})
    city.gate.approve(HEAD, waiting(city, case.code)["id"])
    assert timeline(city, case.code)["photos_before"].dropna().tolist() == ["c" * 64]


def test_a_public_page_that_changed_meanwhile_is_not_overwritten(city):
    case = confirmed(city)
    number = waiting(city, case.code)["id"]
    with city.store.transaction() as con:  # as if another machine had published in between
        con.execute(
            casebook.proposals.update().where(casebook.proposals.c.id == number).values(before='{"stage":"done"}')
        )
    with pytest.raises(Conflict, match="has changed"):
        city.gate.approve(HEAD, number)
    assert public(city, case.code) is None and waiting(city, case.code)["state"] == "waiting"


def test_scope_holds_at_the_gate(city):
    case = confirmed(city)
    away = User(9, "w", "Elsewhere", "approver", wards=("99999",))
    assert city.gate.waiting(away) == []
    for operation in (
        lambda: city.gate.approve(away, waiting(city, case.code)["id"]),
        lambda: city.gate.send_back(away, waiting(city, case.code)["id"], "x"),
        lambda: city.gate.propose(away, case.code),
        lambda: city.gate.withdraw(away, case.code, "x"),
    ):
        with pytest.raises(NotYours):
            operation()


def test_every_public_field_is_either_a_fact_or_follows_from_the_case():
    names = {f.name for f in publication.LAYERS["hotspots"].fields}
    assert set(casebook.FACTS) | set(casebook.MANAGED) == names
    assert not set(casebook.FACTS) & set(casebook.MANAGED)


def test_every_step_of_the_table_has_a_word_in_the_public_timeline():
    known = {code.value for code in EVENT}
    assert {t.action for t in remediation.TRANSITIONS} <= known
    assert {"registered", "sampling", "correction", "withdraw", "note"} <= known


def test_steps_tell_the_public_what_was_decided(city):
    case = confirmed(city)
    step(city, INSPECTOR, case.code, "undo", {"reason": "x"})
    step(city, INSPECTOR, case.code, "confirm", {"severity_class": "not_enough_data", "class_reason": "r"})
    step(city, HEAD, case.code, "approve_plan", {"decision_no": "1/QĐ", "decision_on": DAY, "responsible": "Công ty A",
                                                 "deadline": DAY + timedelta(days=30), "no_containment": "n"})  # fmt: skip
    step(
        city,
        HEAD,
        case.code,
        "extend",
        {"decision_no": "2/QĐ", "decision_on": DAY, "deadline": DAY + timedelta(days=60), "reason": SECRET},
    )
    step(city, INSPECTOR, case.code, "reclassify", {"severity_class": "1", "class_reason": "r"})
    city.gate.approve(OTHER_HEAD, waiting(city, case.code)["id"])
    told = timeline(city, case.code).set_index("action")["text_en"]
    assert told["confirm"] == "Not enough data to class."
    assert told["approve_plan"] == "To be carried out by Công ty A until 2026-12-23."
    assert told["extend"] == "New deadline: 2027-01-22."
    assert timeline(city, case.code).set_index("action").at["approve_plan", "text_vi"].endswith("hạn 23/12/2026.")
    assert SECRET not in timeline(city, case.code).to_csv()


def test_a_removed_audit_row_is_found_in_the_register(city):
    confirmed(city)
    with city.store.transaction() as con:
        con.execute(sa.text("DROP TRIGGER cx_audit_no_delete"))
        con.execute(sa.text("DELETE FROM cx_audit WHERE number = (SELECT max(number) - 2 FROM cx_audit)"))
        assert audit.verify(con)
