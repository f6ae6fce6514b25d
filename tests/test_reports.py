"""Citizens' reports: taken in once, never lost or doubled, handled with an audit row, taken back, followed."""

import io
import json
import threading
import uuid
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from shapely.geometry import Point, box

from layers import audit
from layers.catalogue import ALL
from layers.checks import check
from server import codes, handling, photos, reportbook
from server.drafts import COLOURS, KINDS, Draft, DraftError, clean, draft
from server.files import FileError, Files, checksum
from server.handling import HandlingError
from server.people import User
from server.reports import Reports
from server.workdays import add_working_days, add_working_hours

CITY = ZoneInfo("Asia/Ho_Chi_Minh")
FRIDAY = datetime(2026, 11, 20, 16, tzinfo=CITY)
WHERE = (106.6881, 20.8561)
INSPECTOR = User(1, "inspector", "Inspector", "inspector")
APPROVER = User(2, "approver", "Approver", "approver")


class Clock:
    def __init__(self, at):
        self.at = at

    def __call__(self):
        return self.at

    def forward(self, **span):
        self.at += timedelta(**span)


@pytest.fixture
def clock():
    return Clock(FRIDAY)


@pytest.fixture
def reports(filled, clock):
    return Reports(filled, Files(filled.data_dir / "files"), now=clock)


def shot(colour="red", size=(64, 48)):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


def sent(**changes):
    """A Draft with a fresh key, in the inner city."""
    lon, lat = WHERE
    return replace(Draft(str(uuid.uuid4()), "water", smell=4, colour="black", words="nước đen", lon=lon, lat=lat,
                         seen_on=FRIDAY.date()), **changes)  # fmt: skip


def journal(reports, code):
    with reports.store.reading() as con:
        assert audit.verify(con) == []
        return [(r["action"], r["who"]) for r in audit.rows(con, thing=f"report:{code}")][::-1]


def refused(call, *args, **options):
    with pytest.raises(HandlingError) as e:
        call(*args, **options)
    return e.value.code


# --- codes ---


def test_a_code_has_forty_random_bits_and_no_sign_that_is_misread():
    assert codes.make(lambda n: 0) == "P-0000-0000" and codes.make(lambda n: n - 1) == "P-ZZZZ-ZZZZ"
    assert len(codes.SIGNS) ** codes.LENGTH == 2**40 and not set("ILOU") & set(codes.SIGNS)
    assert len({codes.make() for _ in range(500)}) == 500


@given(st.text(codes.SIGNS, min_size=8, max_size=8), st.sampled_from([str.lower, str.upper]), st.sampled_from(" -–_."))
def test_a_code_is_read_however_it_is_typed(signs, case, gap):
    code = codes.written(signs)
    assert codes.read(code) == code
    assert codes.read(case(gap.join(signs))) == code
    assert codes.read(f" {case(code)} ") == code
    assert codes.read(signs.replace("0", "o").replace("1", "l")) == code


@given(st.text(max_size=80))
def test_what_is_no_code_is_none(text):
    found = codes.read(text)
    assert found is None or codes.read(found) == found


# --- what is sent ---

FORM = {"kind": "water", "lon": "106.6881", "lat": "20.8561"}
TODAY = date(2026, 11, 22)


def test_a_form_becomes_a_draft():
    made = draft(FORM | {"smell": "3", "colour": "black", "words": " hôi\r\n\r\n\r\n\r\nquá ", "key": "no key",
                         "accuracy_m": "12.5", "language": "en", "photos": ["A" * 64]}, today=TODAY, wards=set())  # fmt: skip
    assert (made.kind, made.smell, made.colour, made.lon, made.lat) == ("water", 3, "black", 106.6881, 20.8561)
    assert made.words == "hôi\n\nquá" and made.accuracy_m == 12.5 and made.language == "en"
    assert made.seen_on == TODAY and made.photos == ("a" * 64,)
    assert uuid.UUID(made.key)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"kind": ""}, {"kind"}), ({"kind": "<script>"}, {"kind"}), ({"smell": "6"}, {"smell"}), ({"smell": "x"}, {"smell"}),
        ({"colour": "pink"}, {"colour"}), ({"lon": "", "lat": ""}, {"place"}), ({"lon": "0", "lat": "0"}, {"place"}),
        ({"lon": "nan"}, {"place"}), ({"lon": "1e999"}, {"place"}), ({"lat": ""}, {"place"}), ({"ward": "nowhere"}, {"ward"}),
        ({"kind": "other"}, {"words"}), ({"words": "x" * 2300}, {"words"}), ({"seen_on": "yesterday"}, {"seen_on"}),
        ({"photos": ["../../x"]}, {"photos"}), ({"photos": [f"{n:064x}" for n in range(6)]}, {"photos"}),
        ({"kind": "", "lon": "", "lat": "", "smell": "9"}, {"kind", "place", "smell"}),
    ],
)  # fmt: skip
def test_every_problem_is_told_with_its_field(changes, fields):
    with pytest.raises(DraftError) as e:
        draft(FORM | changes, today=TODAY, wards={"11383"})
    assert set(e.value.problems) == fields
    for sentence, values in e.value.problems.values():
        assert (sentence % values).endswith(".")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", TODAY),
        ("2026-11-20", date(2026, 11, 20)),
        ("2026-11-23", TODAY),
        ("2026-11-24", None),
        ("1970-01-01", None),
    ],
)
def test_the_clock_of_a_phone_may_be_wrong(given, kept):
    assert draft(FORM | {"seen_on": given}, today=TODAY, wards=()).seen_on == kept


def test_a_ward_is_enough_and_the_islands_belong_to_the_city():
    assert draft({"kind": "odour", "ward": "11383"}, today=TODAY, wards={"11383"}).ward == "11383"
    assert draft(FORM | {"lon": "107.72", "lat": "20.13"}, today=TODAY, wards=()).lon == 107.72  # Bạch Long Vĩ


@given(st.dictionaries(st.sampled_from(["kind", "smell", "colour", "words", "lon", "lat", "ward", "place", "seen_on",
                                        "photos", "key", "same_as", "language", "accuracy_m"]),
                       st.one_of(st.text(max_size=30), st.none(), st.integers(), st.floats(), st.lists(st.text(max_size=5)))))  # fmt: skip
def test_any_form_is_a_draft_or_a_list_of_problems(form):
    try:
        made = draft(form, today=TODAY, wards={"11383"})
    except DraftError as e:
        assert e.problems
    else:
        assert made.kind in KINDS and (made.colour in COLOURS or made.colour == "") and uuid.UUID(made.key)


@given(st.text(max_size=300))
def test_cleaned_text_has_no_signs_that_act(text):
    made = clean(text, 100)
    assert len(made) <= 100 and made == clean(made, 100)
    assert not set(made) & set("\x00\x07\x1b\u202e\u2066\ufeff\ud800")
    made.encode()


def test_marks_and_lines_of_the_writer_stay():
    assert clean("Nước đen,\nhôi quá!", 100) == "Nước đen,\nhôi quá!"
    assert clean("cha\u0301t", 100) == "chát"
    assert clean("abc\u202egpj.exe", 100) == "abcgpj.exe"


# --- taking in ---


def test_a_report_is_taken_in_with_code_ward_clocks_and_audit(reports):
    receipt = reports.take_in(sent())
    assert codes.read(receipt.code) == receipt.code and receipt.whole and receipt.code in reports
    (row,) = reports.inbox(INSPECTOR)
    assert (row["code"], row["kind"], row["smell"], row["colour"], row["words"]) == (
        receipt.code, "water", 4, "black", "nước đen",
    )  # fmt: skip
    assert row["ward"] in reports.wards() and row["ward_basis"] == "pin"
    assert row["at"] == FRIDAY and row["state"] == "received" and not row["late"]
    # Friday 16:00: one hour is left, seven more on Monday
    assert row["due"] == datetime(2026, 11, 23, 17, tzinfo=CITY) == add_working_hours(FRIDAY, 8)
    assert journal(reports, receipt.code) == [("report.receive", "citizen")]


def test_the_journal_holds_no_words_of_citizens(reports):
    secret = "my number is 0912 345 678"
    code = reports.take_in(sent(words=secret, place=secret)).code
    reports.citizen_reply(code, secret, key="k1")
    with reports.store.reading() as con:
        rows = list(audit.rows(con, thing=f"report:{code}"))
    assert len(rows) == 2 and "0912" not in json.dumps(rows, default=str)


def test_the_ward_that_the_sender_chose_goes_before_the_outline(reports):
    other = next(w for w in reports.wards() if w != reports.vicinity.ward(*WHERE))
    reports.take_in(sent(ward=other))
    (row,) = reports.inbox(INSPECTOR)
    assert (row["ward"], row["ward_basis"]) == (other, "chosen")


def test_sending_again_is_not_a_second_report(reports):
    one = sent()
    assert reports.take_in(one) == reports.take_in(one) == reports.take_in(replace(one, words="changed"))
    assert [r["words"] for r in reports.inbox(INSPECTOR)] == ["nước đen"]


def test_many_senders_of_the_same_report_at_once_make_one(reports):
    one, got = sent(photos=(checksum(shot()),)), []

    def send():
        got.append(reports.take_in(one).code)
        got.append(reports.add_photo(one.key, one.photos[0], shot()).safe)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    (row,) = reports.inbox(INSPECTOR)
    assert len(got) == 12 and set(got) == {row["code"], one.photos} and len(row["photos"]) == 1


def test_photos_come_one_by_one_and_each_is_acknowledged_by_its_checksum(reports):
    bodies = [shot(c) for c in ("red", "green", "blue")]
    sums = tuple(checksum(b) for b in bodies)
    one = sent(photos=sums)
    assert reports.take_in(one).missing == sums
    assert reports.add_photo(one.key, sums[1], bodies[1]).safe == sums[1:2]
    assert reports.inbox(INSPECTOR)[0]["waiting"] == 2
    assert reports.add_photo(one.key, sums[1], bodies[1]).safe == sums[1:2]
    reports.add_photo(one.key, sums[0], bodies[0])
    receipt = reports.add_photo(one.key, sums[2], bodies[2])
    assert receipt.whole and receipt == reports.receipt(one.key) and receipt.safe == sums
    (row,) = reports.inbox(INSPECTOR)
    assert row["waiting"] == 0 and len(row["photos"]) == 3
    assert all(reports.files.read(s).startswith(b"\xff\xd8") for s in row["photos"])
    assert journal(reports, row["code"]).count(("report.photo", "citizen")) == 3


def test_a_photo_that_changed_on_its_way_is_refused_and_can_be_sent_again(reports):
    body = shot()
    one = sent(photos=(checksum(body),))
    reports.take_in(one)
    with pytest.raises(FileError) as e:
        reports.add_photo(one.key, one.photos[0], shot("blue"))
    assert e.value.code == "changed"
    with pytest.raises(photos.PhotoError):
        reports.add_photo(one.key, one.photos[0], body[: len(body) // 2])
    assert reports.receipt(one.key).missing == one.photos
    assert reports.add_photo(one.key, one.photos[0], body).whole


def test_only_announced_photos_of_a_known_report_are_taken(reports):
    one = sent()
    assert refused(reports.add_photo, one.key, checksum(shot()), shot()) == "unknown"
    reports.take_in(one)
    assert refused(reports.add_photo, one.key, checksum(shot()), shot()) == "not_promised"
    assert refused(reports.receipt, str(uuid.uuid4())) == "unknown"


def test_photos_that_came_with_a_form_are_in_the_same_transaction(reports):
    kept = [photos.keep(reports.files, shot(c)) for c in ("red", "blue")]
    receipt = reports.take_in(sent(), kept)
    assert receipt.whole and len(receipt.safe) == 2
    assert len(reports.inbox(INSPECTOR)[0]["photos"]) == 2


# --- near ---


def at(reports, north_m, **changes):
    """A report so many metres north of WHERE (a degree is 110.7 km here)."""
    one = sent(lat=round(WHERE[1] + north_m / 110_704, 6), **changes)
    return one, reports.take_in(one).code


def test_similar_reports_lie_within_300_m_and_three_days(reports, clock):
    _, old = at(reports, 0)
    clock.forward(days=3, seconds=1)
    _, near = at(reports, 100)
    _, far = at(reports, 450)
    _, between = at(reports, 250, kind="noise")
    assert [(s["code"], s["metres"], s["same_kind"]) for s in reports.similar(near)] == [(between, 150, False)]
    assert reports.similar(old) == []
    assert {r["code"]: r["similar"] for r in reports.inbox(INSPECTOR)} == {old: 0, near: 1, far: 1, between: 2}


def test_what_a_stranger_learns_of_a_report_near_by_is_little(reports, clock):
    _, code = at(reports, 120, words="secret words")
    clock.forward(days=1)
    at(reports, 10, kind="noise")
    (found,) = reports.similar_near(*WHERE, "fish")
    assert set(found) == {"ref", "kind", "metres", "at", "days", "people"}
    assert (found["kind"], found["metres"], found["days"], found["people"]) == ("water", 100, 1, 1)
    assert found["ref"] not in code


def test_me_too_keeps_photo_and_code_but_is_no_second_report(reports):
    _, code = at(reports, 0)
    ref = reports.similar_near(*WHERE, "water")[0]["ref"]
    kept = photos.keep(reports.files, shot("green"))
    mine = reports.take_in(sent(same_as=ref), [kept])
    (row,) = reports.inbox(INSPECTOR)
    assert row["code"] == code and row["supporters"] == 1 and row["photos"] == [kept.sha] and row["similar"] == 0
    assert mine.code != code and reports.get(mine.code)["code"] == code
    assert [o["code"] for o in reports.get(code)["others"]] == [mine.code]
    assert reports.similar_near(*WHERE, "water")[0]["people"] == 2
    followed = reports.followed(mine.code)
    assert followed["same"] and followed["state"] == "received" and [p["sha"] for p in followed["photos"]] == [kept.sha]
    # a third one who joins the second stands under the first, too
    with reports.store.reading() as con:
        second = reportbook.by_code(con, mine.code).ref
    third = reports.take_in(sent(same_as=second)).code
    assert [o["code"] for o in reports.get(code)["others"]] == [mine.code, third]


def test_the_same_can_be_said_afterwards(reports):
    _, first = at(reports, 0)
    ref = reports.similar_near(*WHERE, "water")[0]["ref"]
    _, second = at(reports, 20)
    reports.say_same(second, ref)
    assert [r["code"] for r in reports.inbox(INSPECTOR)] == [first]
    assert refused(reports.say_same, second, ref) == "same"
    assert refused(reports.say_same, first, ref) == "same"
    assert refused(reports.say_same, first, "unknown") == "same"


def test_the_index_is_made_anew_at_start_and_sees_other_processes(reports, clock):
    _, code = at(reports, 0)
    other = Reports(reports.store, reports.files, now=clock)
    assert len(other.vicinity) == 1
    _, later = at(other, 50)
    assert [s["code"] for s in reports.similar(code)] == [later]
    assert len(reports.vicinity) == 2


def test_the_nearest_open_hotspot_is_found_and_a_done_one_is_not(reports):
    frame = reports.store.snapshot("hotspots").copy()
    placed = frame[frame.geometry.notna()]
    code, here = placed["code"].iloc[0], placed.geometry.iloc[0].representative_point()
    assert (reports.hotspots_near(here.x, here.y)[0]["code"], reports.hotspots_near(here.x, here.y)[0]["metres"]) == (
        code,
        0,
    )
    frame.loc[frame["code"] == code, "stage"] = "done"
    reports.store.write(check(ALL["hotspots"], frame), source="test")
    assert code not in [h["code"] for h in reports.hotspots_near(here.x, here.y)]


def test_reports_round_a_place_since_a_day_are_counted_for_a_relapse(reports, clock):
    """A square of 200 m: one report inside it, one 250 m from its edge, one 350 m from it."""
    start, up = clock().date(), 1 / 110_704
    square = box(WHERE[0] - 0.001, WHERE[1] - 100 * up, WHERE[0] + 0.001, WHERE[1] + 100 * up)
    at(reports, 0)
    clock.forward(days=5)
    _, second = at(reports, 350)
    at(reports, 450)
    assert reports.count_near(square, 300, start) == 2
    assert reports.count_near(square, 300, clock().date()) == 1
    assert reports.count_near(square, 400, start) == 3
    assert reports.count_near(Point(WHERE), 300, start) == 1
    reports.act(INSPECTOR, second, "spam", reason="an advertisement")
    assert reports.count_near(square, 300, start) == 1


def test_the_thread_of_a_case_tells_what_was_reported_and_answered(reports):
    code = reports.take_in(sent()).code
    tied = []
    reports.tie = lambda con, user, case, report: tied.append((user.name, case, report))
    reports.act(INSPECTOR, code, "merge", case="HS02", reply="Cảm ơn.")
    assert tied == [("Inspector", "HS02", code)]
    entries = reports.entries([code, "P-0000-0000"])
    assert [(e["kind"], e["action"], e["text"]) for e in entries] == [
        ("report", "receive", "nước đen"), ("report", "merge", "Cảm ơn."),
    ]  # fmt: skip
    assert all(e["refs"] == [{"kind": "report", "code": code}] for e in entries)


# --- what officers do ---


def proof(reports):
    return photos.keep(reports.files, shot("white")).sha


GIVEN = {
    "accept": {}, "merge": {"case": "HS02", "reply": "Cảm ơn."}, "new": {"case": "HS99", "reply": "Cảm ơn."},
    "pass": {"reply": "Đã chuyển."}, "not_ours": {"reply": "Sở Xây dựng phụ trách."}, "ask": {"reply": "Ở bờ nào?"},
    "answer": {"reply": "Đã dọn xong."}, "spam": {"reason": "quảng cáo, không có địa điểm"},
}  # fmt: skip


def given_for(reports, action):
    extra = {"files": [proof(reports)]} if action in handling.FINAL else {}
    return GIVEN[action] | extra | ({"commune": next(iter(reports.wards()))} if action == "pass" else {})


@pytest.mark.parametrize("action", sorted(handling.ACTS))
def test_every_act_changes_the_state_says_it_and_can_be_taken_back(reports, clock, action):
    code = reports.take_in(sent()).code
    number = reports.act(INSPECTOR, code, action, **given_for(reports, action))
    shown = reports.get(code)
    assert shown["state"] == handling.ACTS[action].to
    assert shown["acts"][-1]["id"] == number and shown["acts"][-1]["can_undo"]
    said = [m for m in reports.messages(code) if m["kind"] == action]
    assert [m["text"] for m in said] == (
        [] if action == "accept" else [GIVEN[action].get("reply") or GIVEN[action]["reason"]]
    )
    assert journal(reports, code)[-1] == (f"report.{action}", "Inspector")
    back = reports.undo(INSPECTOR, number, "wrong report")
    shown = reports.get(code)
    assert shown["state"] == "received" and shown["case"] is None and shown["commune"] is None
    assert [(a["id"], a["undone"], a["can_undo"]) for a in shown["acts"]] == [
        (number, True, False),
        (back, False, False),
    ]
    assert all(m["taken_back"] for m in reports.messages(code) if m["kind"] == action)
    assert journal(reports, code)[-1] == ("report.undo", "Inspector")
    assert refused(reports.undo, INSPECTOR, number, "again") == "undone"
    assert refused(reports.undo, INSPECTOR, back, "undo of undo") == "undone"


@pytest.mark.parametrize("action", handling.FINAL)
def test_nobody_ends_a_report_without_a_photo_or_document(reports, action):
    code = reports.take_in(sent()).code
    for user in (INSPECTOR, APPROVER, User(3, "admin", "Administrator", "administrator")):
        assert refused(reports.act, user, code, action, reply="Đã xử lý.") == "files"
        assert refused(reports.act, user, code, action, reply="Đã xử lý.", files=["0" * 64]) == "file"
    assert reports.get(code)["state"] == "received" and reports.messages(code) == []


@pytest.mark.parametrize(
    ("action", "options", "why"),
    [("merge", {"reply": "x"}, "case"), ("merge", {"case": "HS02"}, "text"), ("merge", {"case": "P-0000-0000", "reply": "x"}, "case"),
     ("pass", {"reply": "x"}, "commune"), ("pass", {"reply": "x", "commune": "nowhere"}, "commune"), ("ask", {}, "text"),
     ("ask", {"reply": "  "}, "text"), ("spam", {"reason": "no"}, "reason")],
)  # fmt: skip
def test_what_an_act_needs_is_asked_for_and_nothing_is_half_done(reports, action, options, why):
    code = reports.take_in(sent()).code
    assert refused(reports.act, INSPECTOR, code, action, **options) == why
    assert reports.get(code)["acts"] == [] and len(journal(reports, code)) == 1


def test_an_unknown_case_is_refused_where_the_register_can_be_asked(reports):
    code = reports.take_in(sent()).code
    reports.knows_case = {"HS02"}.__contains__
    assert refused(reports.act, INSPECTOR, code, "merge", case="HS77", reply="x") == "case"
    assert reports.act(INSPECTOR, code, "merge", case="HS02", reply="x")


def test_a_report_merged_into_another_keeps_its_photo_and_its_people(reports):
    _, first = at(reports, 0)
    kept = photos.keep(reports.files, shot("green"))
    second = reports.take_in(sent(), [kept]).code
    with reports.store.reading() as con:
        ref = reportbook.by_code(con, second).ref
    third = reports.take_in(sent(same_as=ref)).code
    number = reports.act(INSPECTOR, second, "merge", case=first, reply="Cùng một điểm xả.")
    (row,) = reports.inbox(INSPECTOR)
    assert row["code"] == first and row["supporters"] == 2 and row["photos"] == [kept.sha]
    assert reports.get(third)["code"] == first
    reports.undo(INSPECTOR, number, "another pipe")
    assert {r["code"]: r["supporters"] for r in reports.inbox(INSPECTOR)} == {first: 0, second: 1}
    assert refused(reports.act, INSPECTOR, first, "merge", case=first, reply="x") == "case"


def test_only_one_of_two_officers_wins(reports):
    code = reports.take_in(sent()).code
    files, got = [proof(reports)], []

    def answer(n):
        try:
            got.append(reports.act(INSPECTOR, code, "answer", reply=f"Trả lời {n}", files=files))
        except HandlingError as e:
            got.append(e.code)

    threads = [threading.Thread(target=answer, args=(n,)) for n in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(map(str, got))[1:] == ["state"] * 4 and len(reports.messages(code)) == 1


def test_taking_back_is_for_the_author_or_who_decides_on_the_same_day(reports, clock):
    code = reports.take_in(sent()).code
    number = reports.act(INSPECTOR, code, "accept")
    assert refused(reports.undo, User(9, "other", "Other", "inspector"), number, "") == "author"
    assert reports.undo(APPROVER, number, "")
    number = reports.act(INSPECTOR, code, "accept")
    clock.forward(hours=8)  # past midnight
    assert refused(reports.undo, INSPECTOR, number, "") == "day"


def test_what_was_followed_by_something_else_is_not_taken_back(reports):
    code = reports.take_in(sent()).code
    first = reports.act(INSPECTOR, code, "accept")
    asked = reports.act(INSPECTOR, code, "ask", reply="Ở đâu?")
    assert refused(reports.undo, INSPECTOR, first, "") == "later"
    reports.citizen_reply(code, "Gần cầu.", key="a")
    assert refused(reports.undo, INSPECTOR, asked, "") == "later"


def test_an_officer_sees_and_handles_the_own_area_only(reports):
    code = reports.take_in(sent()).code
    ward = reports.get(code)["ward"]
    other = next(w for w in reports.wards() if w != ward)
    here, there = (User(n, "c", "Commune", "commune_officer", wards=(w,)) for n, w in ((5, ward), (6, other)))
    air = User(7, "air", "Air", "inspector", media=("air",))
    assert [len(reports.inbox(u)) for u in (here, there, air, INSPECTOR)] == [1, 0, 0, 1]
    assert refused(reports.act, there, code, "accept") == "not_yours"
    assert refused(reports.act, air, code, "accept") == "not_yours"
    number = reports.act(INSPECTOR, code, "pass", commune=other, reply="Đã chuyển.")
    assert refused(reports.undo, air, number, "") == "not_yours"
    assert len(reports.inbox(there)) == 1 and len(reports.inbox(here)) == 1


def test_reports_without_a_known_ward_belong_to_the_whole_city(reports):
    reports.take_in(sent(lon=107.9, lat=20.0))
    assert reports.inbox(INSPECTOR)[0]["ward"] is None
    assert reports.inbox(User(5, "c", "Commune", "commune_officer", wards=("11383",))) == []


# --- clocks ---


def test_the_clocks_of_acceptance_and_answer(reports, clock):
    code = reports.take_in(sent()).code
    clock.at = datetime(2026, 11, 23, 17, 1, tzinfo=CITY)
    assert reports.get(code)["late"] and reports.get(code)["clock"].name == "accept"
    reports.act(INSPECTOR, code, "accept")
    shown = reports.get(code)
    # seven working days after Friday 20 November, of which the 24th is Culture Day: 23 25 26 27 30 1 2
    assert (
        shown["due"] == date(2026, 12, 2)
        and not shown["late"]
        and reports.followed(code)["answer_by"] == date(2026, 12, 2)
    )
    clock.at = datetime(2026, 12, 3, 9, tzinfo=CITY)
    assert reports.get(code)["late"] and reports.followed(code)["late"]
    assert reports.get(code)["clock"].state == "late"
    clock.at = datetime(2026, 12, 23, 9, tzinfo=CITY)
    assert reports.get(code)["clock"].state == "very_late"


def test_days_on_which_we_wait_for_the_sender_do_not_count(reports, clock):
    code = reports.take_in(sent()).code
    clock.at = datetime(2026, 11, 23, 9, tzinfo=CITY)
    reports.act(INSPECTOR, code, "ask", reply="Ở bờ nào?")
    assert reports.get(code)["clock"] is None and reports.followed(code)["can_say"] == "answer"
    clock.at = datetime(2026, 11, 27, 9, tzinfo=CITY)  # three working days later
    reports.citizen_reply(code, "Bờ trái.", key="a")
    assert reports.get(code)["state"] == "checking"
    assert reports.get(code)["due"] == add_working_days(date(2026, 12, 2), 3) == date(2026, 12, 7)


# --- the sender later ---


def test_the_sender_answers_once_however_often_it_is_sent(reports):
    code = reports.take_in(sent()).code
    reports.act(INSPECTOR, code, "ask", reply="Ở bờ nào?")
    for _ in range(3):
        reports.citizen_reply(code, "Bờ trái.", key="one")
    assert [(m["by"], m["kind"], m["text"]) for m in reports.messages(code)] == [
        ("staff", "ask", "Ở bờ nào?"), ("citizen", "reply", "Bờ trái."),
    ]  # fmt: skip
    assert refused(reports.citizen_reply, code, " ", key="two") == "text"


def test_not_fixed_with_a_photo_opens_a_finished_report_anew(reports, clock):
    code = reports.take_in(sent()).code
    assert refused(reports.citizen_reply, code, "vẫn hôi", key="a", not_fixed=True) == "open"
    reports.act(INSPECTOR, code, "answer", reply="Đã dọn.", files=[proof(reports)])
    assert reports.inbox(INSPECTOR) == [] and len(reports.inbox(INSPECTOR, every=True)) == 1
    assert refused(reports.citizen_reply, code, "vẫn hôi", key="b") == "done"
    assert refused(reports.citizen_reply, code, "vẫn hôi", key="b", not_fixed=True) == "photo"
    clock.forward(days=40)
    assert reports.get(code)["state"] == "closed" and reports.followed(code)["can_say"] == "not_fixed"
    kept = photos.keep(reports.files, shot("brown"))
    reports.citizen_reply(code, "vẫn hôi", [kept], key="b", not_fixed=True)
    (row,) = reports.inbox(INSPECTOR)
    assert row["state"] == "received" and row["reopened"] == 1 and row["photos"] == [kept.sha]
    assert row["clock"].name == "accept" and not row["late"]
    assert journal(reports, code)[-1] == ("report.not_fixed", "citizen")
    assert reports.count_near(Point(WHERE), 300, clock().date()) == 1


def test_who_said_the_same_sees_the_answer_but_not_the_question_to_the_first(reports):
    _, first = at(reports, 0)
    ref = reports.similar_near(*WHERE, "water")[0]["ref"]
    second = reports.take_in(sent(same_as=ref, words="tôi cũng thấy")).code
    reports.act(INSPECTOR, first, "ask", reply="Số nhà của bác?")
    reports.citizen_reply(first, "Số 5.", key="a")
    reports.citizen_reply(second, "Có thêm cá chết.", key="b")
    reports.act(INSPECTOR, first, "answer", reply="Đã dọn.", files=[proof(reports)])
    assert [m["text"] for m in reports.followed(first)["messages"]] == ["Số nhà của bác?", "Số 5.", "Đã dọn."]
    assert [m["text"] for m in reports.followed(second)["messages"]] == ["Có thêm cá chết.", "Đã dọn."]
    kept = photos.keep(reports.files, shot("brown"))
    reports.citizen_reply(second, "vẫn còn", [kept], key="c", not_fixed=True)
    assert reports.get(first)["state"] == "received"
    (mine,) = reports.followed(second)["photos"]
    assert reports.photo_of(second, mine["number"]) == kept.sha
    with pytest.raises(KeyError):
        reports.photo_of(first, mine["number"])


def test_a_joined_report_shows_the_published_stage_only(reports):
    code = reports.take_in(sent()).code
    reports.act(INSPECTOR, code, "merge", case="HS02", reply="Cảm ơn.")
    assert reports.followed(code)["hotspot"]["code"] == "HS02" and reports.followed(code)["joined"]
    other = reports.take_in(sent()).code
    reports.act(INSPECTOR, other, "new", case="HS-NOT-YET-PUBLIC", reply="Cảm ơn.")
    followed = reports.followed(other)
    assert followed["joined"] and followed["hotspot"] is None
    assert "NOT-YET-PUBLIC" not in json.dumps(followed, default=str)


def test_the_followed_report_names_nobody(reports):
    code = reports.take_in(sent()).code
    reports.act(User(8, "secret.login", "Secret Officer", "inspector"), code, "ask", reply="Ở đâu?")
    followed = reports.followed(code)
    assert "Secret" not in json.dumps(followed, default=str) and "secret.login" not in json.dumps(followed, default=str)


def test_a_withdrawn_report_is_deleted_but_the_way_stays(reports):
    secret, kept = "nhà tôi số 5", photos.keep(reports.files, shot("green"))
    code = reports.take_in(sent(words=secret, place=secret), [kept]).code
    reports.citizen_reply(code, secret, key="a")
    reports.withdraw(code)
    assert kept.sha not in reports.files and refused_file(reports.files.original, kept.original) == "missing"
    assert reports.inbox(INSPECTOR) == [] and reports.similar_near(*WHERE, "water") == []
    followed = reports.followed(code)
    assert (followed["state"], followed["words"], followed["photos"], followed["lon"]) == ("closed", "", [], None)
    with reports.store.reading() as con:
        dump = [list(map(str, r)) for t in reportbook.metadata.tables.values() for r in con.execute(sa.select(t))]
    assert secret not in json.dumps(dump, ensure_ascii=False)
    assert journal(reports, code)[-1] == ("report.withdraw", "citizen")
    assert refused(reports.withdraw, code) == "done"


def refused_file(call, *args):
    with pytest.raises(FileError) as e:
        call(*args)
    return e.value.code


def test_withdrawing_takes_nothing_from_others(reports):
    kept = photos.keep(reports.files, shot("green"))
    first = reports.take_in(sent(), [kept]).code
    ref = reports.similar_near(*WHERE, "water")[0]["ref"]
    second = reports.take_in(sent(same_as=ref, words="tôi cũng thấy"), [kept]).code
    third = reports.take_in(sent(same_as=ref)).code
    reports.act(INSPECTOR, first, "accept")
    reports.withdraw(first)
    (row,) = reports.inbox(INSPECTOR)
    assert (row["code"], row["supporters"], row["state"]) == (second, 1, "checking")
    assert row["photos"] == [kept.sha] and reports.files.read(kept.sha), "the same photo of somebody else"
    reports.withdraw(third)
    assert reports.inbox(INSPECTOR)[0]["supporters"] == 0 and reports.followed(third)["state"] == "closed"


def test_a_report_that_became_part_of_a_case_is_not_withdrawn(reports):
    code = reports.take_in(sent()).code
    reports.act(INSPECTOR, code, "merge", case="HS02", reply="Cảm ơn.")
    assert refused(reports.withdraw, code) == "done"


def test_one_sender_cannot_fill_a_report_with_messages(reports, monkeypatch):
    monkeypatch.setattr("server.reports.MAX_MESSAGES", 3)
    code = reports.take_in(sent()).code
    for n in range(3):
        reports.citizen_reply(code, f"thêm {n}", key=str(n))
    assert refused(reports.citizen_reply, code, "thêm nữa", key="9") == "many"


def test_a_wrong_code_finds_nothing(reports):
    reports.take_in(sent())
    for wrong in ("P-0000-0000", "", "%", "P-____-____", None):
        with pytest.raises(KeyError):
            reports.followed(wrong)
        with pytest.raises(KeyError):
            reports.get(wrong)


# --- kill -9 ---

SENDER = """
import io, uuid
from datetime import datetime
from zoneinfo import ZoneInfo
from PIL import Image
from shapely.geometry import Point, box
from layers.store import Store
from server.drafts import Draft
from server.files import Files, checksum
from server.reports import Reports
store = Store(args[0])
reports = Reports(store, Files(args[0] + "/files"), now=lambda: datetime.now(ZoneInfo("Asia/Ho_Chi_Minh")))
say("ready")
n = 0
while True:
    n += 1
    key, out = str(uuid.UUID(int=n)), io.BytesIO()
    Image.new("RGB", (320, 240), (n % 256, 0, 0)).save(out, "JPEG")
    body = out.getvalue()
    draft = Draft(key, "water", lon=106.69, lat=20.85, words=str(n), photos=(checksum(body),))
    say(("report", key, reports.take_in(draft).code))
    say(("photo", key, reports.add_photo(key, draft.photos[0], body).safe))
"""


@pytest.mark.parametrize("heard", [1, 4, 9])
def test_a_killed_server_loses_nothing_it_acknowledged_and_doubles_nothing(store, elsewhere, heard):
    folder = str(store.data_dir)
    child = elsewhere(SENDER, folder)
    assert child.hear() == "ready"
    told = [child.hear() for _ in range(heard)]
    child.kill()
    told += child.rest()
    reports = Reports(store, Files(folder + "/files"), now=lambda: FRIDAY)
    assert reports.files.problems() == []
    for what, key, value in told:
        receipt = reports.receipt(key)
        assert value == (receipt.code if what == "report" else receipt.safe)
    rows = reports.inbox(INSPECTOR)
    assert len(rows) in (len({k for _, k, _ in told}), len({k for _, k, _ in told}) + 1)
    for row in rows:  # nothing half: every photo row has its file, every report its audit rows
        assert all(reports.files.read(s) for s in row["photos"])
        assert [a for a, _ in journal(reports, row["code"])] == ["report.receive"] + ["report.photo"] * len(
            row["photos"]
        )
    # the phone sends everything again
    for _, key, _ in told:
        n = uuid.UUID(key).int
        body = io.BytesIO()
        Image.new("RGB", (320, 240), (n % 256, 0, 0)).save(body, "JPEG")
        body = body.getvalue()
        again = Draft(key, "water", lon=106.69, lat=20.85, words=str(n), photos=(checksum(body),))
        reports.take_in(again)
        assert reports.add_photo(key, again.photos[0], body).whole
    assert len(reports.inbox(INSPECTOR)) == len(rows)


def test_tables_are_made_once_and_kept(reports, clock):
    code = reports.take_in(sent()).code
    assert code in Reports(reports.store, reports.files, now=clock)
    with reports.store.reading() as con:
        names = set(con.scalars(sa.text("SELECT name FROM sqlite_master WHERE type='table' AND name LIKE 'report%'")))
    assert names == {"report", "report_message", "report_photo", "report_file", "report_act"}
