"""News by mail: asked for, confirmed, told once, in one letter a day, stopped in one click; by file and by SMTP."""

import logging
import re
from datetime import date, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from zoneinfo import ZoneInfo

import geopandas as gpd
import pandas as pd
import pytest
import shapely
import smtp
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from layers.errors import StoreError
from server import bulletins, mailbag, notices, post
from server.accounts import Accounts
from server.noticebook import address_of, letters, readers

CITY = ZoneInfo("Asia/Ho_Chi_Minh")
NOON = datetime(2026, 11, 22, 12, tzinfo=CITY)
OFFICE = ("Sở Nông nghiệp và Môi trường", "Department of Agriculture and Environment")


class Clock:
    def __init__(self):
        self.at = NOON

    def __call__(self):
        return self.at

    def wait(self, **time):
        self.at += timedelta(**time)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def accounts(tmp_path, clock):
    made = Accounts(tmp_path, clock=clock)
    yield made
    made.close()


@pytest.fixture
def desk(accounts, tmp_path, clock):
    """Notices that leave as files."""
    return notices.Notices(accounts, tmp_path, now=clock, settings=post.Settings(address="https://x.example"))


def spots(*rows):
    """(code, lon, lat[, stage, deadline]) as the public frame of hotspots."""
    made = []
    for code, lon, lat, *more in rows:
        stage, deadline = (*more, "confirmed", None)[:2] if more else ("confirmed", None)
        made.append({"code": code, "name_vi": f"Kênh {code}", "name_en": f"Canal {code}", "stage": stage,
                     "deadline": deadline, "deadline_for_vi": "xong nạo vét" if deadline else None, "deadline_for_en": None,
                     "watch_until": None, "geometry": None if lon is None else shapely.Point(lon, lat)})  # fmt: skip
    frame = gpd.GeoDataFrame(made, geometry="geometry", crs=4326)
    for name in ("deadline", "watch_until"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    return frame


def steps(*rows):
    """(hotspot, number[, published_on]) as the public frame of events; each is a containment."""
    made = [
        {"hotspot": h, "number": float(n), "day": pd.Timestamp("2026-11-20"), "action": "contain", "text_vi": f"Đặt phao chắn {n}.",
         "text_en": None, "office_vi": OFFICE[0], "office_en": OFFICE[1], "published_on": pd.Timestamp(*more or ("2026-11-22",))}
        for h, n, *more in rows
    ]  # fmt: skip
    names = ["hotspot", "number", "day", "action", "text_vi", "text_en", "office_vi", "office_en", "published_on"]
    return pd.DataFrame(made, columns=names)


HERE = (106.68, 20.85)
NEAR = spots(("HS01", 106.69, 20.85))  # 1.0 km to the east
FAR = spots(("HS01", 106.69, 20.85), ("HS02", 106.9, 20.85))  # the second 22.9 km away


def ask(desk, email="reader@example.vn", language="vi", radius_km=3, at=HERE, **more):
    desk.ask(email, language, lon=at[0], lat=at[1], radius_km=radius_km, label_vi="Lê Chân", label_en="Le Chan", **more)


def token_of(desk, what="confirm"):
    """The newest token in a letter that has not been sent yet."""
    with desk._vault.reading() as con:
        text = con.scalar(sa.select(letters.c.text).order_by(letters.c.id.desc()).limit(1))
    return re.search(rf"/subscribe/{what}/([\w-]+)", text).group(1)


def reader(desk, email="reader@example.vn", **more):
    """A confirmed reader; the token of their own page. The confirmation letter has left."""
    ask(desk, email, **more)
    mine = desk.confirm(token_of(desk))
    desk.bag.send()
    return mine


def outbox(tmp_path):
    return [message_from_bytes(p.read_bytes(), policy=default) for p in sorted((tmp_path / "outbox").glob("*.eml"))]


def body(message):
    return message.get_content().replace("\r\n", "\n")


# --- asking and confirming ---


def test_nobody_gets_news_before_the_address_was_confirmed(desk, tmp_path):
    ask(desk)
    assert desk.collect(NEAR, steps(("HS01", 1))) == 1
    assert desk.write(NEAR, steps(("HS01", 1))) == 0
    assert desk.bag.send()["sent"] == 1
    (message,) = outbox(tmp_path)
    assert message["To"] == "reader@example.vn" and "/subscribe/confirm/" in body(message)
    assert message["List-Unsubscribe"] is None and message["Auto-Submitted"] == "auto-generated"
    assert desk.counts()["pending"] == 1 and desk.counts()["places"] == 0


def test_a_confirmed_reader_gets_one_letter_with_two_lines_and_a_link(desk, tmp_path):
    mine = reader(desk)
    spots_now, events = spots(("HS01", 106.69, 20.85, "contained", pd.Timestamp("2027-03-30"))), steps(("HS01", 1))
    assert desk.collect(spots_now, events) == 1 and desk.write(spots_now, events) == 1
    assert desk.bag.send() == {"sent": 1, "later": 0, "failed": 0, "unsure": 0}
    message = outbox(tmp_path)[-1]
    assert body(message) == (
        "Kênh HS01 (1 km): khống chế, 20/11/2026.\n"
        f"Đặt phao chắn 1. Hạn 30/03/2027: xong nạo vét. Theo {OFFICE[0]}.\n"
        "https://x.example/hotspots/HS01\n"
        "\n"
        "-- \n"
        "Bạn nhận thư này vì đã đăng ký tin về một nơi. Thay đổi hoặc ngừng:\n"
        f"https://x.example/subscribe/mine/{mine}\n"
    )
    assert message["Subject"] == "Kênh HS01: khống chế"
    assert message["List-Unsubscribe"] == f"<https://x.example/subscribe/stop/{mine}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Content-Language"] == "vi"


def test_the_letter_speaks_the_language_of_its_reader(desk, tmp_path):
    reader(desk, language="en")
    desk.collect(NEAR, steps(("HS01", 1)))
    desk.write(NEAR, steps(("HS01", 1)))
    desk.bag.send()
    assert body(outbox(tmp_path)[-1]).startswith(
        f"Canal HS01 (1 km): contained, 20 Nov 2026.\nĐặt phao chắn 1. Says: {OFFICE[1]}.\n"
    )


def test_only_what_lies_within_the_radius_is_told(desk, tmp_path):
    reader(desk, radius_km=3)
    reader(desk, "wide@example.vn", radius_km=10, at=(106.82, 20.85))  # 8.3 km from HS02, 13.5 from HS01
    events = steps(("HS01", 1), ("HS02", 1))
    desk.collect(FAR, events)
    desk.write(FAR, events)
    desk.bag.send()
    told = {m["To"]: re.findall(r"hotspots/(HS\d+)", body(m)) for m in outbox(tmp_path)[2:]}
    assert told == {"reader@example.vn": ["HS01"], "wide@example.vn": ["HS02"]}


def test_the_distance_to_an_area_is_that_to_its_edge():
    area = shapely.box(106.0, 20.0, 106.1, 20.1)
    assert notices.metres(area, 106.05, 20.05) == 0
    assert notices.metres(area, 106.2, 20.05) == pytest.approx(10_457, rel=0.001)  # a tenth of a degree at 20 N
    assert notices.metres(shapely.Point(106.0, 20.0), 106.0, 20.1) == pytest.approx(11_070, rel=0.001)


def test_a_hotspot_without_a_position_is_near_nobody(desk):
    reader(desk)
    nowhere = spots(("HS09", None, None))
    assert desk.collect(nowhere, steps(("HS09", 1))) == 1 and desk.write(nowhere, steps(("HS09", 1))) == 0


def test_what_was_public_before_is_not_news(desk):
    reader(desk)
    old = steps(("HS01", 1, "2026-11-21"))
    desk.collect(NEAR, old)
    assert desk.write(NEAR, old) == 0


# --- once, and one letter a day ---


def test_a_step_is_told_once_however_often_it_is_collected(desk):
    reader(desk)
    events = steps(("HS01", 1))
    assert [desk.collect(NEAR, events) for _ in range(3)] == [1, 0, 0]
    assert [desk.write(NEAR, events) for _ in range(3)] == [1, 0, 0]
    assert [desk.bag.send()["sent"] for _ in range(3)] == [1, 0, 0]


def test_at_most_one_letter_a_day_with_everything_since(desk, clock, tmp_path):
    reader(desk)
    events = steps(("HS01", 1))
    desk.collect(NEAR, events)
    desk.write(NEAR, events)
    events = steps(("HS01", 1), ("HS01", 2), ("HS01", 3))
    clock.wait(hours=1)
    assert desk.collect(NEAR, events) == 2 and desk.write(NEAR, events) == 0
    clock.wait(hours=24)
    assert desk.write(NEAR, events) == 1
    desk.bag.send()
    last = outbox(tmp_path)[-1]
    assert last["Subject"] == "Kênh HS01: khống chế" and body(last).count("https://x.example/hotspots/HS01") == 1
    assert "phao chắn 3" in body(last) and "phao chắn 2" not in body(last), "the newest step leads"


def test_two_places_of_one_reader_give_one_letter_with_the_nearer_distance(desk, tmp_path):
    reader(desk)
    reader(desk, at=(106.685, 20.85))  # 0.5 km
    desk.collect(NEAR, steps(("HS01", 1)))
    assert desk.write(NEAR, steps(("HS01", 1))) == 1
    desk.bag.send()
    assert "(0,5 km)" in body(outbox(tmp_path)[-1])


def test_what_was_withdrawn_is_not_told(desk):
    reader(desk)
    events = steps(("HS01", 1), ("HS01", 2))
    desk.collect(NEAR, events)
    assert desk.write(NEAR, steps(("HS01", 2))) == 1
    with desk._vault.reading() as con:
        text = con.scalar(sa.select(letters.c.text).where(letters.c.kind == "digest"))
    assert "phao chắn 2" in text and "phao chắn 1" not in text
    assert desk.write(NEAR, events) == 0, "also not when it comes back under its old number"


def test_a_withdrawal_is_told_to_those_who_were_told_before(desk, clock, tmp_path):
    reader(desk)
    reader(desk, "far@example.vn", at=(106.9, 20.85))
    events = steps(("HS01", 1))
    desk.collect(NEAR, events)
    desk.write(NEAR, events)
    desk.bag.send()
    clock.wait(days=1)
    gone = steps(("HS01", 2, "2026-11-23")).assign(action="withdraw", text_vi="Nhầm vị trí.")
    others = spots(("HS08", 106.0, 20.5))
    assert desk.collect(others, gone) == 1 and desk.write(others, gone) == 1
    desk.bag.send()
    last = outbox(tmp_path)[-1]
    assert last["To"] == "reader@example.vn" and last["Subject"] == "HS01: rút nội dung"
    assert "Nhầm vị trí" in body(last) and "https://x.example/hotspots\n" in body(last)


def news(code="HS01", number=1, day=20, action="contain", **more):
    return bulletins.News(**{"code": code, "number": number, "name_vi": "Kênh " + code, "name_en": None, "km": 1.0,
                             "day": date(2026, 11, day), "action": action, "text_vi": None, "text_en": None,
                             "office_vi": None, "office_en": None} | more)  # fmt: skip


def test_steps_of_one_hotspot_share_their_lines():
    subject, text = bulletins.digest(
        [news(number=2, action="confirm"), news(number=1, action="registered", day=18), news("HS02", day=21)],
        "en",
        "https://x.example",
        "t",
    )
    assert subject == "News of 2 hotspots near you"
    assert text.startswith(
        "Kênh HS02 (1 km): contained, 21 Nov 2026.\nhttps://x.example/hotspots/HS02\n\n"
        "Kênh HS01 (1 km): entered in the register, confirmed, 20 Nov 2026.\nhttps://x.example/hotspots/HS01\n\n"
    )


def test_many_hotspots_are_counted_not_listed():
    _subject, text = bulletins.digest([news(f"HS{n:02}") for n in range(11)], "en", "https://x.example", "t")
    assert text.count("/hotspots/HS") == bulletins.MOST and "And 3 more:" in text


# --- stopping ---


def test_stopping_forgets_the_address_and_what_waits(desk):
    mine = reader(desk)
    desk.collect(NEAR, steps(("HS01", 1)))
    desk.write(NEAR, steps(("HS01", 1)))
    assert desk.stop(mine) and not desk.stop(mine) and desk.mine(mine) is None
    assert desk.bag.send()["sent"] == 0
    with desk._vault.reading() as con:
        assert con.scalar(sa.select(sa.func.count()).select_from(readers)) == 0
    assert desk.counts()["waiting"] == 0


def test_one_place_can_be_taken_away(desk):
    mine = reader(desk)
    assert reader(desk, at=(106.7, 20.9)) == mine
    first, second = desk.mine(mine)
    assert desk.stop(mine, first.id) and not desk.stop(mine, first.id)
    assert [p.id for p in desk.mine(mine)] == [second.id]


def test_nobody_can_take_away_the_place_of_another(desk):
    mine, other = reader(desk), reader(desk, "other@example.vn")
    assert not desk.stop(mine, desk.mine(other)[0].id) and len(desk.mine(other)) == 1


def test_what_is_not_confirmed_is_deleted_after_three_days(desk, clock):
    ask(desk)
    token = token_of(desk)
    clock.wait(days=3, minutes=1)
    assert desk.confirm(token) is None
    assert desk.counts()["readers"] == 0


# --- too much, wrong, hostile ---


def test_an_address_cannot_be_flooded(desk):
    for i in range(6):
        ask(desk, at=(106.6 + i / 100, 20.85), client=f"192.0.2.{i}")
    assert desk.counts()["waiting"] == 3


def test_one_line_cannot_ask_for_many(desk, clock):
    for i in range(10):
        ask(desk, f"r{i}@example.vn", client="192.0.2.1")
    with pytest.raises(notices.TooMany):
        ask(desk, "r10@example.vn", client="192.0.2.1")
    ask(desk, "r10@example.vn", client="192.0.2.2")
    clock.wait(minutes=61)
    ask(desk, "r11@example.vn", client="192.0.2.1")


def test_the_network_address_is_not_kept(desk, tmp_path):
    ask(desk, client="192.0.2.77")
    assert b"192.0.2.77" not in (tmp_path / "accounts.db").read_bytes() + (tmp_path / "accounts.db-wal").read_bytes()


def test_asking_twice_sends_the_same_link_and_a_known_place_leads_to_ones_own_page(desk):
    ask(desk)
    first = token_of(desk)
    ask(desk)
    assert token_of(desk) == first and desk.counts()["pending"] == 1
    mine = desk.confirm(first)
    ask(desk)
    assert token_of(desk, "mine") == mine and desk.counts()["places"] == 1


def test_more_places_than_one_may_have_lead_to_ones_own_page(desk, clock):
    for i in range(5):
        reader(desk, at=(106.6 + i / 10, 20.85))
        clock.wait(days=1)
    ask(desk, at=(106.2, 20.85))
    assert token_of(desk, "mine") and desk.counts()["places"] == 5 and desk.counts()["pending"] == 0


@pytest.mark.parametrize(
    "typed",
    ["", " ", "a", "a@b", "a@b.", "a b@c.vn", "a@c.vn\nBcc: x@y.vn", "a@c..vn", ".a@c.vn", "a.@c.vn", "a..b@c.vn",
     "<a@c.vn>", "a@[127.0.0.1]", "ả@c.vn", "a@c.vn,b@c.vn", "a" * 65 + "@c.vn", "a@" + "b" * 250 + ".vn", '"a"@c.vn'],
)  # fmt: skip
def test_what_is_not_a_plain_address_is_refused(typed):
    with pytest.raises(notices.NoticeError) as e:
        address_of(typed)
    assert e.value.field == "email"


def test_an_address_is_kept_as_typed_but_for_its_domain():
    assert address_of(" Nguyen.An+x@Example.VN ") == "Nguyen.An+x@example.vn"


@pytest.mark.parametrize("more", [{"radius_km": 0}, {"radius_km": 11}, {"at": (500, 20)}, {"at": (float("nan"), 20)}])
def test_a_place_that_is_none_is_refused(desk, more):
    with pytest.raises(notices.NoticeError):
        ask(desk, **more)
    assert desk.counts()["readers"] == 0


@given(st.text(), st.text(), st.text())
def test_hostile_text_makes_no_header_and_no_further_line(name, told, office):
    one = news(name_vi=name or "x", text_vi=told, office_vi=office)
    subject, text = bulletins.digest([one], "vi", "https://x.example", "t")
    made = bulletins.message(sender="Cảng Xanh <a@b.vn>", to="r@b.vn", subject=subject, text=text, message_id="<1@b.vn>",
                             at=NOON, language="vi", stop="https://x.example/s")  # fmt: skip
    again = message_from_bytes(made.as_bytes(), policy=default)
    assert set(again.keys()) == {"From", "To", "Subject", "Date", "Message-ID", "Content-Language", "Auto-Submitted",
                                 "List-Unsubscribe", "List-Unsubscribe-Post", "Content-Type",
                                 "Content-Transfer-Encoding", "MIME-Version"}  # fmt: skip
    assert len(text.split("\n\n")[0].split("\n")) <= 3 and "\r" not in subject + text


# --- the folder ---


def test_files_of_the_outbox_are_for_their_owner_only(desk, tmp_path):
    ask(desk)
    desk.bag.send()
    (path,) = (tmp_path / "outbox").iterdir()
    assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_written_keeps_the_letter(desk, tmp_path, clock):
    (tmp_path / "outbox").mkdir()
    ask(desk)
    (tmp_path / "outbox" / "00000001.part").mkdir()
    assert desk.bag.send()["later"] == 1
    (tmp_path / "outbox" / "00000001.part").rmdir()
    assert desk.bag.send()["sent"] == 0, "not before its pause is over"
    clock.wait(minutes=6)
    assert desk.bag.send()["sent"] == 1


# --- SMTP ---


@pytest.fixture
def by_smtp(accounts, tmp_path, clock):
    """notices(server, **settings) that send to a server of this machine."""

    def make(here, **more):
        made = post.Settings(address="https://x.example", sender="Cảng Xanh <tin@x.example>", host=here.host,
                             port=here.port, starttls=False, **more)  # fmt: skip
        return notices.Notices(accounts, tmp_path, now=clock, settings=made)

    return make


def test_letters_leave_over_one_connection(by_smtp):
    with smtp.server() as here:
        desk = by_smtp(here)
        for i in range(3):
            ask(desk, f"r{i}@example.vn")
        assert desk.bag.send()["sent"] == 3
    assert here.calls == 1 and [x.to for x in here.letters] == [[f"r{i}@example.vn"] for i in range(3)]
    letter = here.letters[0]
    assert letter.sender == "tin@x.example" and letter.message["From"] == "Cảng Xanh <tin@x.example>"
    assert "Lê Chân, 3 km" in letter.message["Subject"] and "Lê Chân" in letter.message.get_content()
    assert len({x.message["Message-ID"] for x in here.letters}) == 3


def test_a_password_is_given_and_a_wrong_one_keeps_the_letters(by_smtp, clock):
    with smtp.server(password=("tin", "secret")) as here:
        ask(by_smtp(here))
        assert by_smtp(here, user="tin", password="wrong").bag.send()["later"] == 1
        clock.wait(minutes=6)
        assert by_smtp(here, user="tin", password="secret").bag.send()["sent"] == 1
    assert len(here.letters) == 1


def test_nothing_leaves_in_clear_where_starttls_is_wanted(accounts, tmp_path, clock):
    with smtp.server() as here:
        made = post.Settings(sender="a@x.example", host=here.host, port=here.port, user="tin", password="secret")
        desk = notices.Notices(accounts, tmp_path, now=clock, settings=made)
        ask(desk)
        assert desk.bag.send()["later"] == 1
    assert here.letters == [] and not any(x.startswith(("AUTH", "MAIL")) for x in here.lines)


def test_a_refused_address_fails_alone_and_is_not_tried_again(by_smtp, clock):
    with smtp.server(rcpt={"gone@example.vn": "550 nobody"}) as here:
        desk = by_smtp(here)
        ask(desk, "gone@example.vn")
        ask(desk, "good@example.vn")
        assert desk.bag.send() == {"sent": 1, "later": 0, "failed": 1, "unsure": 0}
        clock.wait(days=2)
        assert desk.bag.send()["sent"] == 0
    assert [x.to for x in here.letters] == [["good@example.vn"]]


def test_a_reader_who_is_refused_for_good_three_times_is_forgotten(by_smtp, clock):
    with smtp.server() as here:
        desk = by_smtp(here)
        mine = reader(desk)
        here.rcpt["reader@example.vn"] = "550 nobody"
        for n in (1, 2, 3):
            events = steps(*(("HS01", i) for i in range(1, n + 1)))
            desk.collect(NEAR, events)
            desk.write(NEAR, events)
            assert desk.mine(mine) is not None
            assert desk.bag.send()["failed"] == 1
            clock.wait(days=1)
    assert desk.mine(mine) is None and desk.counts()["readers"] == 0


@pytest.mark.parametrize(
    "manners", [{"data": "451 later"}, {"rcpt": {"reader@example.vn": "452 full"}}, {"drop": "before_data"}]
)
def test_what_is_refused_for_now_is_sent_later_once(by_smtp, clock, manners):
    """A dropped line before the mail server could have the mail counts as unsure only where it might have it."""
    with smtp.server(**manners) as here:
        desk = by_smtp(here)
        ask(desk)
        done = desk.bag.send()
        here.data, here.drop = None, None
        here.rcpt.clear()
        if manners.get("drop"):
            assert done["unsure"] == 1
            return
        assert done["later"] == 1
        clock.wait(minutes=4)
        assert desk.bag.send()["sent"] == 0
        clock.wait(minutes=2)
        assert desk.bag.send()["sent"] == 1
    assert len(here.letters) == 1


def test_pauses_grow_and_end(by_smtp, clock):
    with smtp.server(data="451 later") as here:
        desk = by_smtp(here)
        ask(desk)
        waited = []
        while desk.counts()["failed"] == 0:
            start = clock.at
            while not sum(desk.bag.send().values()):
                clock.wait(minutes=1)
            waited.append(round((clock.at - start) / timedelta(minutes=1)))
            clock.wait(minutes=1)
            if desk.counts()["readers"] == 0:
                pytest.fail("the reader was forgotten before the letter failed")
            with desk._vault.writing() as con:  # the request itself would be deleted after three days
                con.execute(sa.text("UPDATE notice_places SET confirmed_at = asked_at"))
    assert waited == [0, 4, 29, 119, 359, 1439, 1439]


def test_a_server_that_is_away_stops_the_batch_and_loses_nothing(by_smtp, clock):
    with smtp.server() as here:
        pass
    desk = by_smtp(here)
    for i in range(3):
        ask(desk, f"r{i}@example.vn")
    assert desk.bag.send() == {"sent": 0, "later": 1, "failed": 0, "unsure": 0}
    assert desk.counts()["waiting"] == 3


def test_a_mail_that_may_have_been_taken_is_never_sent_twice(by_smtp, clock):
    with smtp.server(takes_then_dies=True) as here:
        desk = by_smtp(here)
        ask(desk)
        assert desk.bag.send()["unsure"] == 1
        here.takes_then_dies = False
        clock.wait(days=1)
        assert desk.bag.send()["sent"] == 0
    assert len(here.letters) == 1


def test_a_log_never_names_an_address(by_smtp, caplog):
    with (
        caplog.at_level(logging.DEBUG),
        smtp.server(rcpt={"reader@example.vn": "550 <reader@example.vn> is unknown"}) as here,
    ):
        desk = by_smtp(here)
        ask(desk)
        desk.bag.send()
        with desk._vault.reading() as con:
            problem = con.scalar(sa.select(letters.c.problem))
    assert "550" in caplog.text and "reader" not in caplog.text and problem == "refused by the mail server (550)"


# --- killed, and several at once ---

KILLED = """
import os, signal
from datetime import datetime
from zoneinfo import ZoneInfo
from server import mailbag, notices, post
from server.accounts import Accounts

folder, where, host, port = args
now = lambda: datetime(2026, 11, 22, 12, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh"))
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
settings = post.Settings(host=host, port=port, starttls=False, sender="a@x.example") if host != "-" else post.Settings()
desk = notices.Notices(Accounts(folder), folder, now=now, settings=settings)
office = post.Smtp if settings.host else post.Outbox
whole = office.deliver
if where == "claimed":
    office.deliver = die
elif where == "handing":
    office.deliver = lambda self, number, message, handing: (handing(), die())
elif where == "delivered":
    office.deliver = lambda self, number, message, handing: (whole(self, number, message, handing), die())
desk.bag.send()
say("not killed")
"""


@pytest.mark.parametrize("where", ["claimed", "handing", "delivered"])
@pytest.mark.parametrize("how", ["files", "smtp"])
def test_killed_at_any_point_no_letter_is_sent_twice(accounts, tmp_path, clock, elsewhere, where, how):
    with smtp.server() as here:
        smtp_settings = post.Settings(host=here.host, port=here.port, starttls=False, sender="a@x.example")
        settings = smtp_settings if how == "smtp" else post.Settings()
        desk = notices.Notices(accounts, tmp_path, now=clock, settings=settings)
        ask(desk)
        child = elsewhere(KILLED, tmp_path, where, here.host if how == "smtp" else "-", here.port)
        assert child.rest() == []
        assert desk.bag.send()["sent"] == 0, "another may still hold it"
        clock.wait(minutes=11)
        done = desk.bag.send()
        delivered = len(here.letters) if how == "smtp" else len(outbox(tmp_path))
    if how == "files" or where == "claimed":
        assert done["sent"] == 1 and delivered == 1
    else:
        assert done == {"sent": 0, "later": 0, "failed": 0, "unsure": 1}
        assert delivered == (1 if where == "delivered" else 0)
    assert desk.bag.send() == {"sent": 0, "later": 0, "failed": 0, "unsure": 0}


def test_several_senders_at_once_send_each_letter_once(by_smtp):
    from concurrent.futures import ThreadPoolExecutor

    with smtp.server() as here:
        desk = by_smtp(here)
        for i in range(30):
            ask(desk, f"r{i}@example.vn", client=f"192.0.2.{i}")
        with ThreadPoolExecutor(4) as pool:
            sent = sum(x["sent"] for x in pool.map(lambda _: desk.bag.send(), range(4)))
    assert sent == 30 and sorted(x.to[0] for x in here.letters) == sorted(f"r{i}@example.vn" for i in range(30))


def test_collecting_and_writing_at_once_tells_each_step_once(desk):
    from concurrent.futures import ThreadPoolExecutor

    reader(desk)
    events = steps(*(("HS01", n) for n in range(1, 9)))

    def work(_):
        return desk.collect(NEAR, events), desk.write(NEAR, events)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(work, range(8)))
    assert sum(new for new, _ in done) == 8 and sum(written for _, written in done) == 1


# --- mail.toml ---


def test_without_a_file_mails_go_into_the_folder(tmp_path):
    made = post.settings(tmp_path)
    assert made.host == "" and isinstance(post.office(made, tmp_path), post.Outbox)


def test_the_file_of_settings(tmp_path):
    (tmp_path / "pw").write_text("secret\n")
    (tmp_path / "mail.toml").write_text(
        'address = "https://x.example/"\nfrom = "Cảng Xanh <tin@x.example>"\nhost = "mail.x.example"\nport = 2525\n'
        'starttls = false\nuser = "tin"\npassword_file = "pw"\n', encoding="utf-8",
    )  # fmt: skip
    made = post.settings(tmp_path)
    assert (made.address, made.domain, made.port, made.starttls) == ("https://x.example", "x.example", 2525, False)
    assert made.password == "secret" and "secret" not in repr(made)
    assert isinstance(post.office(made, tmp_path), post.Smtp)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("host = ", "cannot be read"),
        ('hots = "x"', "hots"),
        ('port = "25"', "port"),
        ("starttls = 1", "starttls"),
        ('address = "x.example"', "address must be"),
        ('address = "https://x.example/?a"', "address must be"),
        ('from = "nobody"', "from must be"),
        ('user = "tin"', "password_file"),
        ('user = "tin"\npassword_file = "none"', "password file cannot be read"),
    ],
)
def test_a_wrong_setting_is_told_in_a_sentence(tmp_path, text, says):
    (tmp_path / "mail.toml").write_text(text, encoding="utf-8")
    with pytest.raises(StoreError, match=says):
        post.settings(tmp_path)


def test_pauses_grow():
    assert list(mailbag.PAUSES) == sorted(mailbag.PAUSES)
