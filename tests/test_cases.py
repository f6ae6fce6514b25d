"""The register: whole lives of hotspots, two people at once, scope, evidence that is never lost, kills."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
import shapely
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from layers import audit
from layers.catalogue import ALL
from layers.checks import check
from server import casebook
from server.accounts import User
from server.casebook import CaseError, Conflict, NotYours
from server.cases import SYSTEM
from server.figures import Figures
from server.remediation import GateError
from server.services import Services

DAY = date(2026, 11, 23)  # a Monday
FACTS = {"name_vi": "Kênh thử", "name_en": "Test canal", "media": "water", "source": "register", "confidence": "high",
         "geometry_quality": "approximate"}  # fmt: skip
PLACE = shapely.Point(106.68, 20.85)
OFFICER = User(1, "o", "Commune officer", "commune_officer")
INSPECTOR = User(2, "i", "Inspector", "inspector")
HEAD = User(3, "h", "Approver", "approver")
OTHER_HEAD = User(4, "g", "Second approver", "approver")
ADMIN = User(5, "a", "Administrator", "administrator")
PLANNER = User(6, "p", "Planner", "planner")
CLEAN = [{"parameter": "NH4_N", "value": 0.1, "unit": "mg/L"}]
DIRTY = [{"parameter": "NH4_N", "value": 0.6, "unit": "mg/L"}]


@pytest.fixture
def city(filled):
    services = Services(filled, Figures(filled), fixed_today=DAY)
    yield services
    services.close()


@pytest.fixture
def book(city):
    return city.book


def later(city, days):
    city.fixed_today += timedelta(days=days)


def opened(book, user=INSPECTOR, place=PLACE, **facts):
    return book.open(user, FACTS | facts, place)


def take(book, user, case, action, fields=None, **more):
    return book.step(user, case.code, book.get(case.code).revision, action, fields, **more)


def proof(book, case, kind, dated, user=INSPECTOR, **more):
    return book.attach(user, case.code, kind, "0" * 64, name="a.pdf", media_type="application/pdf", dated=dated, **more)


def sample(book, case, day, results=CLEAN, user=INSPECTOR):
    return book.add_sampling(user, case.code, taken_on=day, medium="surface_water", results=results)


def confirmed(city):
    book = city.book
    case = opened(book)
    take(book, OFFICER, case, "check", {"officer": INSPECTOR.id})
    proof(book, case, "visit_record", city.today())
    proof(book, case, "photo_before", city.today())
    return take(book, INSPECTOR, case, "confirm", {"severity_class": "2", "class_reason": "amoni vượt 2 lần"})


def verifying(city):
    """A case whose work is done today, waiting for three samplings over thirty days."""
    book, case = city.book, confirmed(city)
    proof(book, case, "containment", city.today())
    take(book, OFFICER, case, "contain", {"measures": "biển cảnh báo"})
    later(city, 10)
    take(book, HEAD, case, "approve_plan", {"decision_no": "12/QĐ", "decision_on": city.today(), "responsible": "công ty",
                                            "deadline": city.today() + timedelta(days=60)})  # fmt: skip
    later(city, 5)
    proof(book, case, "start_notice", city.today())
    take(book, INSPECTOR, case, "start")
    later(city, 30)
    proof(book, case, "completion", city.today())
    proof(book, case, "photo_after", city.today())
    return take(book, INSPECTOR, case, "finish", {"work_done_on": city.today(), "needed_samples": 3, "needed_days": 30})


def watched(city):
    book, case = city.book, verifying(city)
    for days in (1, 15, 15):
        later(city, days)
        sample(book, case, city.today())
    return take(book, HEAD, case, "close")


def verified(city):
    with city.store.reading() as con:
        assert audit.verify(con) == []


# --- the starter register ---


def test_the_starter_hotspots_are_cases_with_what_their_sources_say(city):
    public = city.store.snapshot("hotspots").set_index("code")
    assert [c.code for c in city.book.all()] == sorted(public.index)
    for case in city.book.all():
        row = public.loc[case.code]
        assert (case.stage, case.facts["name_vi"], case.facts["source"]) == (
            row["stage"],
            row["name_vi"],
            row["source"],
        )
        assert case.opened_on is None and case.officer is None  # no source says when it was entered
    assert city.book.adopt() == []
    verified(city)


def test_adopted_cases_publish_nothing_new_of_themselves(city):
    case = city.book.get("HS01")
    with city.store.reading() as con:
        assert set(city.gate.changes(con, case)) == {"authority_vi", "authority_en"}  # the office follows from the ward
    assert len(city.store.snapshot("hotspot_events")) == 0


# --- a whole life ---


def test_a_whole_life(city):
    book, case = city.book, watched(city)
    assert (case.stage, case.watch_from, case.watch_until) == ("watched", city.today(), date(2028, 2, 7))
    assert city.today() == date(2027, 2, 7)
    later(city, 364)
    with pytest.raises(GateError, match="watch"):
        take(book, HEAD, case, "complete")
    later(city, 2)
    done = take(book, HEAD, case, "complete")
    assert done.stage == "done"
    kinds = [e["kind"] for e in book.thread(case.code)]
    assert kinds.count("sampling") == 3 and kinds.count("attachment") == 6
    assert [e["action"] for e in book.thread(case.code) if e["kind"] == "step"][::-1] == [
        "registered", "check", "confirm", "contain", "approve_plan", "start", "finish", "close", "complete",
    ]  # fmt: skip
    verified(city)


def test_two_samplings_and_an_early_third_do_not_close(city):
    book, case = city.book, verifying(city)
    for days in (1, 15, 14):
        later(city, days)
        sample(book, case, city.today())
    with pytest.raises(GateError) as refused:
        take(book, HEAD, case, "close")
    assert [m.code for m in refused.value.missing] and book.get(case.code).stage == "verifying"
    later(city, 1)
    sample(book, case, city.today())
    assert take(book, HEAD, case, "close").stage == "watched"


@pytest.mark.parametrize("user", [OFFICER, INSPECTOR, PLANNER, ADMIN, HEAD, SYSTEM], ids=lambda u: u.role)
def test_nobody_closes_without_the_evidence(city, user):
    case = verifying(city)
    with pytest.raises((GateError, NotYours)):
        take(city.book, user, case, "close")
    assert city.book.get(case.code).stage == "verifying"


def test_who_entered_the_results_cannot_close(city):
    case = verifying(city)
    for days in (1, 15, 15):
        later(city, days)
        sample(city.book, case, city.today(), user=HEAD)
    with pytest.raises(GateError):
        take(city.book, HEAD, case, "close")
    with pytest.raises(GateError):
        take(city.book, HEAD, case, "close", override="x" * 60)
    assert take(city.book, OTHER_HEAD, case, "close").stage == "watched"


def test_an_override_is_named_and_goes_public_with_its_reason(city):
    case = verifying(city)
    reason = "The laboratory burned down; the canal was filled in by decision 77."
    with pytest.raises(GateError):
        take(city.book, HEAD, case, "close", override="too short")
    take(city.book, HEAD, case, "close", override=reason)
    event = city.book.events(case.code)[-1]
    assert event["overridden"] and event["by_name"] == "Approver" and reason in event["text_en"]
    (waiting,) = [p for p in city.gate.waiting() if p["case"] == case.code]
    assert event["id"] in waiting["events"]
    city.gate.approve(OTHER_HEAD, waiting["id"])
    public = city.store.snapshot("hotspot_events").query("hotspot == @case.code").iloc[-1]
    assert public["overridden"] == "yes" and reason in public["text_en"]
    with pytest.raises(CaseError, match="stays public"):
        city.gate.withdraw(HEAD, case.code, "embarrassing")


def test_an_exceedance_during_the_watch_is_a_relapse_at_once(city):
    case = watched(city)
    later(city, 40)
    sample(city.book, case, city.today(), DIRTY)
    now = city.book.get(case.code)
    assert (now.stage, now.relapses, now.watch_from) == ("confirmed", 1, None)
    event = city.book.events(case.code)[-1]
    assert (event["action"], event["by_name"], event["role"]) == ("relapse", "Cảng Xanh", "system")
    assert any(event["id"] in p["events"] for p in city.gate.waiting())
    verified(city)


def test_two_reports_during_the_watch_are_a_relapse_and_one_is_not(city):
    case = watched(city)
    asked, said = [], 1
    city.book.reports_near = lambda g, metres, since: asked.append((g.wkt, metres, since)) or said
    assert city.book.watch() == []
    assert asked[0] == ("POINT (106.68 20.85)", 300, case.watch_from)
    said = 2
    assert city.book.watch() == [case.code]
    assert city.book.get(case.code).relapses == 1 and city.book.watch() == []


def test_a_relapse_spends_the_old_proof(city):
    case = watched(city)
    later(city, 40)
    sample(city.book, case, city.today(), DIRTY)
    codes = {o.transition.action: [m.code for m in o.blocked] for o in city.book.offers(city.book.get(case.code), HEAD)}
    assert "containment_missing" in codes["contain"]


# --- undo, merge, split, void ---


def test_undo_is_a_counter_step_and_restores_the_case(city):
    before = opened(city.book)
    take(city.book, INSPECTOR, before, "check", {"officer": INSPECTOR.id})
    there = city.book.get(before.code)
    proof(city.book, before, "visit_record", DAY)
    take(city.book, INSPECTOR, before, "confirm", {"severity_class": "3", "class_reason": "nhầm"})
    back = take(city.book, INSPECTOR, before, "undo", {"reason": "wrong place"})
    assert (back.stage, back.severity_class, back.class_reason, back.plan_due, back.in_stage_since) == (
        there.stage, there.severity_class, there.class_reason, there.plan_due, there.in_stage_since,
    )  # fmt: skip
    assert [e["action"] for e in city.book.events(before.code)] == ["registered", "check", "confirm", "undo"]
    again = take(city.book, INSPECTOR, before, "undo", {"reason": "and the one before"})
    assert again.stage == "received" and again.officer is None
    with pytest.raises(GateError, match="no step"):
        take(city.book, INSPECTOR, before, "undo", {"reason": "once more"})


def test_a_merge_keeps_everything_and_shows_it_with_the_other(city):
    one, two = opened(city.book), opened(city.book, name_vi="Kênh thử hai")
    take(city.book, INSPECTOR, one, "check", {"officer": 2})
    number = proof(city.book, one, "photo", DAY)
    city.book.merge(INSPECTOR, one.code, city.book.get(one.code).revision, two.code, "the same canal")
    merged = city.book.get(one.code)
    assert (merged.stage, merged.merged_into) == ("rejected", two.code)
    assert number in [f["id"] for e in city.book.thread(two.code) for f in e["files"]]
    assert city.book.related(two.code)["cases"] == [one.code] and city.book.related(one.code)["cases"] == [two.code]
    with pytest.raises((CaseError, GateError)):
        three = opened(city.book)
        take(city.book, INSPECTOR, three, "check", {"officer": 2})
        city.book.merge(INSPECTOR, three.code, city.book.get(three.code).revision, one.code, "chain")


def test_merging_into_a_case_that_is_not_there_is_told(city):
    case = opened(city.book)
    take(city.book, INSPECTOR, case, "check", {"officer": 2})
    with pytest.raises((CaseError, GateError)):
        city.book.merge(INSPECTOR, case.code, city.book.get(case.code).revision, "HS-9999", "x")
    assert city.book.get(case.code).stage == "checking"


def test_a_split_opens_a_case_that_has_to_prove_itself(city):
    case = confirmed(city)
    new = city.book.split(INSPECTOR, case.code, city.book.get(case.code).revision, {"name_vi": "Phần phía bắc"},
                          shapely.Point(106.69, 20.86), "two outfalls")  # fmt: skip
    assert (new.stage, new.facts["name_vi"], new.facts["media"]) == ("checking", "Phần phía bắc", "water")
    assert city.book.get(case.code).stage == "confirmed"
    assert city.book.related(case.code)["cases"] == [new.code]


def test_a_voided_sampling_stays_on_file_and_counts_no_more(city):
    case = verifying(city)
    later(city, 1)
    number = sample(city.book, case, city.today(), DIRTY)
    city.book.void(INSPECTOR, "sampling", number, "another canal's bottle")
    (row,) = city.book.samplings(case.code)
    assert row["voided"] == "another canal's bottle" and row["judgement"] is None and len(row["verdicts"]) == 1
    (kept,) = city.book.situation(city.book.get(case.code)).samplings
    assert (kept.compliant, kept.voided_by) == (None, INSPECTOR.id)
    with pytest.raises(Conflict):
        city.book.void(INSPECTOR, "sampling", number, "again")


def test_what_a_closing_rested_on_cannot_be_voided(city):
    case = watched(city)
    with pytest.raises(CaseError, match="closed"):
        city.book.void(ADMIN, "sampling", city.book.samplings(case.code)[0]["id"], "no")


# --- what is judged ---


def test_an_unverified_limit_proves_nothing_without_a_named_decision(city):
    case = verifying(city)
    numbers = []
    for days in (1, 15, 15):
        later(city, days)
        results = [{"parameter": "colour", "value": 10, "unit": "Pt-Co"}]
        choice = {"water": "industrial", "column": "A", "transitional": True}
        numbers.append(city.book.add_sampling(INSPECTOR, case.code, taken_on=city.today(), medium="wastewater", results=results,
                                              choice=choice))  # fmt: skip
    assert [s.compliant for s in city.book.situation(city.book.get(case.code)).samplings] == [None] * 3
    with pytest.raises(GateError):
        take(city.book, HEAD, case, "close")
    proof(city.book, case, "limit_decision", city.today(), number="5/QĐ", accepts=tuple(numbers))
    assert take(city.book, HEAD, case, "close").stage == "watched"


def test_a_decision_does_not_accept_what_exceeds_its_own_limits(city):
    case = verifying(city)
    choice = {"water": "industrial", "column": "A", "transitional": True}
    numbers = []
    for days in (1, 15, 15):
        later(city, days)
        numbers.append(city.book.add_sampling(INSPECTOR, case.code, taken_on=city.today(), medium="wastewater", choice=choice,
                                              results=[{"parameter": "colour", "value": 900, "unit": "Pt-Co"}]))  # fmt: skip
    proof(city.book, case, "limit_decision", city.today(), number="5/QĐ", accepts=tuple(numbers))
    with pytest.raises(GateError):
        take(city.book, HEAD, case, "close")


def test_who_voided_an_exceedance_cannot_close(city):
    case = verifying(city)
    later(city, 1)
    number = sample(city.book, case, city.today(), DIRTY)
    city.book.void(HEAD, "sampling", number, "does not suit")
    for days in (1, 15, 15):
        later(city, days)
        sample(city.book, case, city.today())
    with pytest.raises(GateError):
        take(city.book, HEAD, case, "close")
    assert take(city.book, OTHER_HEAD, case, "close").stage == "watched"


def test_leaving_a_bad_parameter_out_makes_nothing_compliant(city):
    case = verifying(city)
    later(city, 1)
    sample(city.book, case, city.today(), [*CLEAN, {"parameter": "As", "value": 0.5, "unit": "mg/L"}])
    later(city, 1)
    sample(city.book, case, city.today())
    assert [s.compliant for s in city.book.situation(city.book.get(case.code)).samplings] == [False, None]


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ([], "at least one"),
        ([{"parameter": "unobtainium", "value": 1, "unit": "mg/L"}], "not known"),
        ([CLEAN[0], CLEAN[0]], "twice"),
        ([{"parameter": "NH4_N", "value": 1, "unit": "mg/L", "sign": "~"}], "sign"),
    ],
)
def test_results_that_cannot_be_read_are_told_and_nothing_is_written(city, results, told):
    case = opened(city.book)
    with pytest.raises(CaseError, match=told):
        sample(city.book, case, DAY, results)
    assert city.book.samplings(case.code) == []


def test_days_in_the_future_are_refused(city):
    case, tomorrow = opened(city.book), DAY + timedelta(days=1)
    with pytest.raises(CaseError, match="future"):
        sample(city.book, case, tomorrow)
    with pytest.raises(CaseError, match="future"):
        proof(city.book, case, "photo", tomorrow)
    with pytest.raises(CaseError, match="future"):
        city.book.add_inspection(INSPECTOR, case.code, on=tomorrow, findings="x")


# --- editing ---


def test_an_edit_keeps_old_and_new_values(city):
    case = opened(city.book)
    city.book.edit(
        INSPECTOR, case.code, case.revision, {"name_en": "Canal", "geometry": shapely.Point(106.7, 20.86)}, reason="map"
    )
    event = city.book.events(case.code)[-1]
    assert event["old"]["name_en"] == "Test canal" and event["fields"]["name_en"] == "Canal"
    assert event["old"]["geometry"].startswith("POINT (106.68") and event["public"] is False


def test_an_edit_without_a_change_writes_nothing(city):
    case = opened(city.book)
    assert city.book.edit(INSPECTOR, case.code, case.revision, {"name_vi": "Kênh thử"}) == case


@pytest.mark.parametrize(
    "changes", [{"stage": "done"}, {"deadline": DAY}, {"relapses": 0}, {"code": "HS01"}, {"nonsense": 1}]
)
def test_what_follows_from_steps_cannot_be_edited(city, changes):
    case = opened(city.book)
    with pytest.raises(CaseError, match="cannot be edited"):
        city.book.edit(ADMIN, case.code, case.revision, changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name_vi": " "}, "name_vi is missing"),
        ({"confidence": "sure"}, "not one of"),
        ({"geometry": shapely.Polygon([(106.6, 20.8), (106.7, 20.9), (106.7, 20.8), (106.6, 20.9)])}, "crosses itself"),
        ({"geometry": shapely.Point(400, 20)}, "outside longitude"),
        ({"severity_class": "1", "class_reason": "x"}, "when the hotspot is confirmed"),
    ],
)
def test_bad_values_are_told_and_change_nothing(city, changes, told):
    case = opened(city.book)
    with pytest.raises(CaseError, match=told):
        city.book.edit(INSPECTOR, case.code, case.revision, changes)
    assert city.book.get(case.code) == case


def test_the_class_is_changed_by_inspectors_with_a_reason(city):
    case = confirmed(city)
    with pytest.raises(NotYours):
        city.book.edit(OFFICER, case.code, case.revision, {"severity_class": "1"})
    with pytest.raises(CaseError, match="reasons"):
        city.book.edit(INSPECTOR, case.code, case.revision, {"severity_class": "1", "class_reason": " "})
    assert (
        city.book.edit(INSPECTOR, case.code, case.revision, {"severity_class": "1", "class_reason": "r"}).severity_class
        == "1"
    )


# --- two people at once ---


def test_the_second_of_two_editors_is_told_and_loses_nothing(city):
    case = opened(city.book)
    city.book.edit(INSPECTOR, case.code, case.revision, {"name_en": "First"})
    with pytest.raises(Conflict) as told:
        city.book.edit(HEAD, case.code, case.revision, {"name_en": "Second"})
    assert told.value.case.facts["name_en"] == "First"


def attempt(city, code, revision, action, fields, gate):
    """won, conflict, or what else went wrong; all wait at the gate and go at once."""
    gate.wait()
    try:
        city.book.step(INSPECTOR, code, revision, action, fields)
    except Conflict as told:
        return "conflict" if "Somebody changed" in str(told) else str(told)
    except Exception as told:
        return repr(told)
    return "won"


def test_of_two_hundred_steps_at_once_exactly_one_wins_each_time(city):
    code = opened(city.book).code
    for action, fields in (
        ("check", {"officer": 2}),
        ("suspend", {"cause": "x"}),
        ("resume", {"reason": "y"}),
        ("reject", {"reason": "z"}),
    ):
        ask = (city, code, city.book.get(code).revision, action, fields, threading.Barrier(200))
        with ThreadPoolExecutor(200) as pool:
            outcomes = Counter(f.result() for f in [pool.submit(attempt, *ask) for _ in range(200)])
        assert outcomes == {"won": 1, "conflict": 199}
    assert [e["action"] for e in city.book.events(code)] == ["registered", "check", "suspend", "resume", "reject"]
    verified(city)


# --- who may ---


def test_scope_by_ward_and_medium_holds_for_every_operation(city):
    case = opened(city.book)
    away = User(9, "w", "Elsewhere", "inspector", wards=("99999",))
    deaf = User(10, "d", "Air only", "inspector", media=("air",))
    for user in (away, deaf):
        assert case.code not in [c.code for c in city.book.all(user)]
        for operation in (
            lambda u: city.book.get(case.code, u),
            lambda u: city.book.edit(u, case.code, case.revision, {"name_en": "x"}),
            lambda u: take(city.book, u, case, "check", {"officer": 2}),
            lambda u: proof(city.book, case, "photo", DAY, user=u),
            lambda u: sample(city.book, case, DAY, user=u),
            lambda u: city.book.note(u, case.code, "x"),
            lambda u: city.book.link(u, case.code, "case", "HS01"),
            lambda u: city.book.add_inspection(u, case.code, on=DAY, findings="x"),
            lambda u: city.book.open(u, FACTS, PLACE),
        ):
            with pytest.raises(NotYours):
                operation(user)
    assert city.book.get(case.code) == case


def test_links_lead_somewhere(city):
    case = opened(city.book)
    city.book.link(INSPECTOR, case.code, "facility", "WW01")
    city.book.link(INSPECTOR, case.code, "case", "HS01")
    assert city.book.related(case.code)["facilities"] == ["WW01"] and city.book.linked("facility", "WW01") == [
        case.code
    ]
    for kind, ref in (("facility", "WW99"), ("case", "HS-9999"), ("case", case.code), ("moon", "x")):
        with pytest.raises(CaseError):
            city.book.link(INSPECTOR, case.code, kind, ref)


def test_a_planner_changes_nothing(city):
    case = opened(city.book)
    for operation in (
        lambda: city.book.open(PLANNER, FACTS, PLACE),
        lambda: city.book.edit(PLANNER, case.code, case.revision, {"name_en": "x"}),
        lambda: proof(city.book, case, "photo", DAY, user=PLANNER),
        lambda: city.book.note(PLANNER, case.code, "x"),
        lambda: city.book.add_decision(PLANNER, case.code, number="1", on=DAY, kind="fine"),
        lambda: city.gate.propose(PLANNER, case.code),
    ):
        with pytest.raises(NotYours):
            operation()
    with pytest.raises(GateError):
        take(city.book, PLANNER, case, "check", {"officer": 2})


# --- imports ---


def imported(city, **changes):
    rows = city.store.snapshot("hotspots").iloc[[0]].assign(**changes)
    return check(ALL["hotspots"], rows, repair=False).rows


def test_imported_hotspots_are_cases_and_not_public(city):
    before = city.store.versions()["hotspots"]
    done = city.book.take_rows(INSPECTOR, imported(city, code="HS77", name_vi="Mới", stage="done"), source="list.xlsx")
    assert done == {"new": ["HS77"], "changed": []}
    assert city.book.get("HS77").stage == "received"  # a file moves no case
    assert city.store.versions()["hotspots"] == before


def test_an_import_changes_facts_and_asks_the_gate(city):
    done = city.book.take_rows(INSPECTOR, imported(city, name_en="Better name", stage="done"), source="list.xlsx")
    assert done == {"new": [], "changed": ["HS01"]}
    case = city.book.get("HS01")
    assert case.facts["name_en"] == "Better name" and case.stage != "done"
    assert city.store.snapshot("hotspots").set_index("code").at["HS01", "name_en"] != "Better name"
    (waiting,) = city.gate.waiting()
    assert waiting["after"]["name_en"] == "Better name"
    assert city.book.take_rows(INSPECTOR, imported(city, name_en="Better name"), source="list.xlsx")["changed"] == []


# --- nothing half done ---

KILLED = """
import sys, time
from datetime import date
from layers.store import Store
from server.accounts import User
from server.figures import Figures
from server.services import Services
store = Store(args[0])
city = Services(store, Figures(store), fixed_today=date(2026, 11, 23))
user = User(2, "i", "Inspector", "inspector")
say("ready")
while True:
    for action, fields in (("check", {"officer": 2}), ("suspend", {"cause": "x"}), ("resume", {"reason": "y"}), ("undo", {"reason": "n"}), ("undo", {"reason": "n"}), ("undo", {"reason": "n"})):
        case = city.book.get("HS-0101")
        city.book.step(user, "HS-0101", case.revision, action, fields)
"""


def test_a_kill_leaves_whole_steps_only(city, elsewhere):
    import time

    case = opened(city.book)
    for pause in (0.003, 0.05, 0.2):
        child = elsewhere(KILLED, city.store.data_dir)
        assert child.hear() == "ready"
        before = city.book.get(case.code).revision
        while city.book.get(case.code).revision < before + 4:  # it is at work
            time.sleep(0.01)
        time.sleep(pause)
        child.kill()
        now, events = city.book.get(case.code), city.book.events(case.code)
        with city.store.reading() as con:
            rows = [r for r in audit.rows(con, thing=f"case:{case.code}") if r["action"] != "propose"]
            assert audit.verify(con) == []
            assert con.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        # the case, its events and its audit rows tell one story
        assert len(rows) == len(events) == now.revision
        assert [r["action"] for r in rows[::-1]][1:] == [e["action"] for e in events][1:]
        assert now.stage == ([e["stage"] for e in events if e["stage"]][-1])
        while city.book.get(case.code).stage != "received":
            take(city.book, INSPECTOR, case, "undo", {"reason": "start again"})


# --- any sequence of steps ---


class Life(RuleBasedStateMachine):
    """Random steps by random people: evidence only grows, stages are the table's, the audit holds."""

    books = None  # set by the test

    @initialize()
    def start(self):
        self.city = Life.books
        self.city.fixed_today = DAY
        self.case = opened(self.city.book).code
        self.proofs = self.samples = 0

    @rule(
        user=st.sampled_from([OFFICER, INSPECTOR, HEAD, ADMIN]),
        override=st.sampled_from(["", "x" * 50]),
        data=st.data(),
    )
    def step(self, user, override, data):
        case = self.city.book.get(self.case)
        offers = [
            o.transition for o in self.city.book.offers(case, user) if o.transition.action not in ("merge", "split")
        ]
        if not offers:
            return
        transition = data.draw(st.sampled_from(offers))
        fields = {"officer": 2, "reason": "r", "cause": "c", "severity_class": "2", "class_reason": "r", "measures": "m", "decision_no": "1",
                  "decision_on": self.city.today(), "responsible": "x", "deadline": self.city.today() + timedelta(days=9),
                  "work_done_on": self.city.today(), "needed_samples": 1, "needed_days": 1, "no_containment": "n", "faults": "f"}  # fmt: skip
        asked = {f.name: fields[f.name] for f in transition.fields if f.name in fields}
        try:
            now = self.city.book.step(user, self.case, case.revision, transition.action, asked, override=override)
        except (GateError, CaseError):
            assert self.city.book.get(self.case) == case
            return
        assert now.revision == case.revision + 1
        if now.stage == "watched" and case.stage == "verifying":
            event = self.city.book.events(self.case)[-1]
            good = [s for s in self.city.book.situation(now).samplings if s.compliant]
            assert event["overridden"] or good, "closed with neither proof nor override"

    @rule(
        kind=st.sampled_from(
            ["visit_record", "photo_before", "photo_after", "completion", "containment", "start_notice", "photo"]
        )
    )
    def prove(self, kind):
        proof(self.city.book, self.city.book.get(self.case), kind, self.city.today())
        self.proofs += 1

    @rule(results=st.sampled_from([CLEAN, DIRTY]))
    @precondition(lambda self: self.samples < 6)
    def measure(self, results):
        sample(self.city.book, self.city.book.get(self.case), self.city.today(), results)
        self.samples += 1

    @rule(days=st.sampled_from([1, 2, 31, 400]))
    def wait(self, days):
        self.city.fixed_today += timedelta(days=days)

    @invariant()
    def nothing_is_lost(self):
        if not hasattr(self, "case"):
            return
        assert len(self.city.book.attachments(self.case)) == self.proofs
        assert len(self.city.book.samplings(self.case)) == self.samples

    def teardown(self):
        if hasattr(self, "case"):
            verified(self.city)


def test_no_sequence_of_steps_loses_anything(city):
    Life.books = city
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_case_tables_are_not_layers(city):
    """Public code reads the catalogue's tables only; nothing of the register may carry such a name."""
    assert not {t.name for t in casebook.metadata.sorted_tables} & set(ALL)
    with city.store.reading() as con:
        listed = {r[0] for r in con.execute(sa.text("SELECT table_name FROM gpkg_contents"))}
    assert not {t.name for t in casebook.metadata.sorted_tables} & listed
