"""Accounts: sessions, passwords of one's own, who may be what, the audit, contact data, the file."""

import os
import sqlite3
import threading
import time
from datetime import timedelta

import people
import pyotp
import pytest
from people import FIRST, SECOND, somebody

from layers.errors import StoreError
from server import passwords
from server.accounts import AccountError, Accounts, Rules, User
from server.sessions import Life
from server.vault import FILE_NAME, Vault


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    people.cheap_hashes(monkeypatch)


@pytest.fixture
def clock():
    return people.Clock()


@pytest.fixture
def kept(tmp_path, clock):
    accounts = Accounts(tmp_path, clock=clock)
    yield accounts
    accounts.close()


@pytest.fixture
def hashes(monkeypatch):
    """Counts the expensive computations: the hashes checked and made."""
    counted = {"checked": 0, "made": 0}

    def count(name, function):
        def counting(*args, **kwargs):
            counted[name] += 1
            return function(*args, **kwargs)

        return counting

    monkeypatch.setattr(passwords, "check_password_hash", count("checked", passwords.check_password_hash))
    monkeypatch.setattr(passwords, "generate_password_hash", count("made", passwords.generate_password_hash))
    return counted


# --- sessions ---


def test_a_session_ends_by_itself(kept, clock):
    user = somebody(kept)
    idle = kept.open_session(user.id)
    clock.on(hours=7, minutes=59)
    assert kept.session(idle.token)
    clock.on(hours=7, minutes=59)
    assert kept.session(idle.token), "its use was noted"
    clock.on(hours=8)
    assert kept.session(idle.token) is None
    busy = kept.open_session(user.id)
    for _ in range(7 * 4):
        assert kept.session(busy.token)
        clock.on(hours=6)
    assert kept.session(busy.token) is None, "seven days in any case"


def test_other_lengths_are_settings(tmp_path, clock):
    with pytest.raises(AttributeError):
        Life().idle = timedelta(1)
    kept = Accounts(tmp_path, clock=clock, rules=Rules(life=Life(idle=timedelta(minutes=1))))
    opened = kept.open_session(kept.add("test", "a", name="A", role="planner").id)
    clock.on(seconds=59)
    assert kept.session(opened.token)
    clock.on(seconds=60)
    assert kept.session(opened.token) is None
    kept.close()


def test_own_sessions_are_listed_and_ended(kept, clock):
    user, other = somebody(kept), somebody(kept, "other")
    kept.end_sessions(user)
    tokens = []
    for i in range(3):
        tokens.append(kept.open_session(user.id, browser=f"B{i}").token)
        clock.on(minutes=2)
    foreign = kept.open_session(other.id)
    assert [s.browser for s in kept.sessions(user)] == ["B2", "B1", "B0"]
    assert kept.end_session(user, kept.session(tokens[0]).id) is True
    assert kept.end_session(user, kept.session(foreign.token).id) is False, "somebody else's"
    assert kept.session(tokens[0]) is None and kept.session(foreign.token)
    kept.end_sessions(user, but=kept.session(tokens[2]).id)
    assert [bool(kept.session(t)) for t in tokens] == [False, False, True]


@pytest.mark.parametrize("what", ["disable", "role", "reset", "password"])
def test_what_ends_every_session(kept, what):
    somebody(kept, "chief", "administrator")
    user = somebody(kept)
    tokens = [kept.open_session(user.id).token for _ in range(2)]
    scope = {"name": user.name, "wards": ("11383",), "media": ("water",)}
    kept.edit("test", user.id, role=user.role, **scope)
    assert all(kept.session(t).user.wards == ("11383",) for t in tokens), "a new scope ends none and is in force"
    if what == "disable":
        kept.set_active("test", user.id, False)
    elif what == "role":
        kept.edit("test", user.id, role="planner", **scope)
    elif what == "reset":
        kept.reset("test", user.id)
    else:
        assert kept.session(kept.change_password(user, FIRST, SECOND).token), "the one that changed it goes on"
    assert not any(kept.session(t) for t in tokens)


def test_the_file_holds_no_token_and_no_password(kept, tmp_path):
    user = somebody(kept)
    one_time = kept.reset("test", user.id)
    token = kept.sign_in("officer", one_time).token
    kept.change_password(kept.user(user.id), "", SECOND)
    kept.start_codes(kept.user(user.id), SECOND)
    codes = kept.confirm_codes(user, pyotp.TOTP(kept.pending_secret(user)).at(kept._clock()))
    told = "\n".join(sqlite3.connect(tmp_path / FILE_NAME).iterdump())
    for secret in (token, one_time, FIRST, SECOND, *codes, *(c.replace("-", "") for c in codes)):
        assert secret not in told
    rows = repr(kept.audit_rows())
    for part in ("scrypt", kept.user(user.id).name * 3, "BEGIN"):
        assert part not in rows


# --- one's own password ---


def test_changing_the_password(kept):
    user = somebody(kept)
    for old, new, why in (
        ("wrong", SECOND, "not your present password"),
        ("", SECOND, "not your present password"),
        (FIRST, "short", "at least 12"),
        (FIRST, "officer123456", "the name you sign in with"),
        (FIRST, FIRST, "differs from the present one"),
    ):
        with pytest.raises(AccountError, match=why):
            kept.change_password(user, old, new)
    kept.sign_in("officer", FIRST)
    kept.change_password(user, FIRST, SECOND)
    kept.sign_in("officer", SECOND)
    with pytest.raises(AccountError):
        kept.sign_in("officer", FIRST)


def test_somebody_at_an_open_screen_cannot_try_the_old_password_without_end(kept, hashes):
    user = somebody(kept)
    hashes.update(checked=0, made=0)
    for _ in range(20):
        with pytest.raises(AccountError):
            kept.change_password(user, "guess guess guess", SECOND)
    assert hashes == {"checked": 5, "made": 0}


def test_a_one_time_password_has_to_be_replaced(kept):
    user = somebody(kept)
    given_out = kept.reset("test", user.id)
    with pytest.raises(AccountError):
        kept.sign_in("officer", FIRST)
    now = kept.session(kept.sign_in("officer", given_out).token).user
    assert now.must_change
    with pytest.raises(AccountError, match="differs"):
        kept.change_password(now, "", given_out)
    kept.change_password(now, "", SECOND)
    assert not kept.user(user.id).must_change
    with pytest.raises(AccountError):
        kept.sign_in("officer", given_out)
    with pytest.raises(AccountError, match="present password"):
        kept.change_password(kept.user(user.id), "", FIRST)


def test_a_reset_lets_somebody_in_who_has_to_wait(kept):
    user = somebody(kept)
    for _ in range(8):
        with pytest.raises(AccountError):
            kept.sign_in("officer", "wrong password")
    assert kept.sign_in("officer", kept.reset("test", user.id))


def test_of_two_changes_at_once_one_wins(kept):
    user = somebody(kept)
    start, done = threading.Barrier(2), []

    def change(new):
        start.wait()
        try:
            kept.change_password(user, FIRST, new)
            done.append(new)
        except AccountError as error:
            assert error.problems[0].field == "old"

    threads = [threading.Thread(target=change, args=(n,)) for n in (SECOND, SECOND + " hai")]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(done) == 1 and kept.sign_in("officer", done[0])


CHANGING = """
from server import passwords
from server.accounts import Accounts
passwords.METHOD = "scrypt:1024:8:1"
kept = Accounts(args[0])
user, words = kept.named("officer"), args[1]
while True:
    for old, new in zip(words, words[::-1]):
        kept.change_password(user, old, new)
        say("changed")
"""


def test_a_kill_leaves_the_password_changed_or_not(kept, elsewhere, tmp_path):
    """The kept password, the audit and the sessions tell one story after every kill."""
    user = somebody(kept)
    for told, pause in ((1, 0.0), (2, 0.001), (3, 0.004), (5, 0.011), (2, 0.02), (1, 0.007)):
        before = changes(kept)
        words = [FIRST, SECOND] if kept_is(kept, FIRST) else [SECOND, FIRST]
        child = elsewhere(CHANGING, tmp_path, words)
        for _ in range(told):
            assert child.hear() == "changed"
        time.sleep(pause)
        child.kill()
        done = told + len(child.rest())
        made = changes(kept) - before
        assert made in (done, done + 1), "what was told is kept; one more may have been kept but not told"
        assert kept_is(kept, words[made % 2]) and not kept_is(kept, words[(made + 1) % 2])
        assert len(kept.sessions(user)) == 1 and kept.verify_audit() == []
        with kept.vault.reading() as con:
            assert con.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def changes(kept):
    return len(kept.audit_rows(action="password change"))


def kept_is(kept, password):
    with kept.vault.reading() as con:
        return passwords.fits(con.exec_driver_sql("SELECT password FROM users").scalar(), password)


# --- who there is ---


def test_the_first_administrator_is_made_once(tmp_path, elsewhere):
    code = (
        "from server.accounts import Accounts\n"
        "kept = Accounts(args[0])\nsay('ready')\nhear()\nsay(kept.first_administrator())"
    )
    children = [elsewhere(code, tmp_path) for _ in range(3)]
    assert [c.hear() for c in children] == ["ready"] * 3
    for child in children:
        child.say("go")
    made = [m for m in (c.hear() for c in children) if m]
    kept = Accounts(tmp_path)
    assert len(made) == 1 and [u.role for u in kept.users()] == ["administrator"]
    login, password = made[0]
    assert kept.session(kept.sign_in(login, password).token).user.must_change
    assert kept.first_administrator() is None
    kept.close()


def test_there_is_an_administrator_also_where_others_came_first(kept):
    kept.add("test", "admin", name="Planner", role="planner")
    login, password = kept.first_administrator()
    assert login == "admin-2" and kept.sign_in(login, password) and kept.first_administrator() is None


def test_the_last_administrator_stays(kept):
    one = somebody(kept, "one", "administrator")
    scope = {"name": one.name, "wards": (), "media": ()}
    for change in (
        lambda: kept.set_active("test", one.id, False),
        lambda: kept.edit("test", one.id, role="planner", **scope),
    ):
        with pytest.raises(AccountError, match="last administrator"):
            change()
    assert kept.sign_in("one", FIRST)
    two = somebody(kept, "two", "administrator")
    kept.set_active(two, one.id, False)
    with pytest.raises(AccountError, match="last administrator"):
        kept.set_active(two, two.id, False)
    kept.set_active(two, one.id, True)
    kept.edit(one, two.id, role="planner", name="Two", wards=(), media=())
    assert [u.role for u in kept.users() if u.active] == ["administrator", "planner"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"login": "ông"}, "login"),
        ({"login": ""}, "login"),
        ({"login": "a b"}, "login"),
        ({"login": "x" * 65}, "login"),
        ({"login": "officer"}, "login"),
        ({"name": " "}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"role": "public"}, "role"),
        ({"media": ("gold",)}, "media"),
        ({"wards": ("99999",)}, "wards"),
    ],
)
def test_what_an_account_may_not_be(kept, change, field):
    somebody(kept)
    fields = {"login": "new", "name": "New", "role": "planner", "wards": ("11383",), "media": ("water",)} | change
    with pytest.raises(AccountError) as caught:
        kept.add("test", fields.pop("login"), **fields, known_wards={"11383"})
    assert [p.field for p in caught.value.problems] == [field]
    assert [u.login for u in kept.users()] == ["officer"]


def test_every_problem_is_named_together(kept):
    with pytest.raises(AccountError) as caught:
        kept.add("test", "?", name="", role="", wards=("1",), media=("x",), known_wards=set())
    assert {p.field for p in caught.value.problems} == {"login", "name", "role", "wards", "media"}


@pytest.mark.parametrize(
    ("wards", "media", "ward", "of_case", "covered"),
    [
        ((), (), "11383", ("water",), True),
        ((), (), None, (), True),
        (("11383",), (), "11383", ("water",), True),
        (("11383",), (), "11689", ("water",), False),
        (("11383",), (), None, ("water",), False),
        ((), ("water", "odour"), "11383", ("odour", "air"), True),
        ((), ("water",), "11383", ("air",), False),
        ((), ("water",), "11383", (), True),
        (("11383",), ("water",), "11689", ("water",), False),
    ],
)
def test_what_a_person_covers(wards, media, ward, of_case, covered):
    assert User(1, "a", "A", "inspector", wards, media).covers(ward, of_case) is covered


# --- the audit, and nothing half done ---


def test_every_change_leaves_a_row_and_the_chain_holds(kept, clock):
    chief = somebody(kept, "chief", "administrator")
    user = kept.add(chief, "officer", name="Officer", role="inspector")
    kept.edit(chief, user.id, name="Officer", role="planner", wards=("11383",), media=())
    kept.edit(chief, user.id, name="Officer", role="planner", wards=("11383",), media=())  # nothing new: no row
    kept.set_active(chief, user.id, False)
    kept.set_active(chief, user.id, False)
    kept.set_active(chief, user.id, True)
    kept.reset(chief, user.id)
    kept.change_password(kept.user(user.id), "", FIRST)
    kept.start_codes(kept.user(user.id), FIRST)
    codes = kept.confirm_codes(kept.user(user.id), pyotp.TOTP(kept.pending_secret(user)).at(clock.now))
    kept.sign_in_with_code(kept.sign_in("officer", FIRST).token, codes[0])
    kept.new_recovery(kept.user(user.id), FIRST)
    kept.stop_codes(kept.user(user.id), FIRST)
    rows = kept.audit_rows(thing="user:officer")[::-1]
    assert [r["action"] for r in rows] == [
        "user add", "user edit", "user disable", "user enable", "user reset", "password change", "codes on",
        "recovery code used", "recovery codes new", "codes off",
    ]  # fmt: skip
    assert {(r["who"], r["role"]) for r in rows[:5]} == {("chief", "administrator")}
    assert {(r["who"], r["role"]) for r in rows[5:]} == {("officer", "planner")}
    assert rows[1]["old"]["role"] == "inspector" and rows[1]["new"]["wards"] == ["11383"]
    assert kept.verify_audit() == []


def test_no_change_without_its_row(kept, clock, monkeypatch):
    chief, user = somebody(kept, "chief", "administrator"), somebody(kept)
    kept.start_codes(user, FIRST)
    code = pyotp.TOTP(kept.pending_secret(user)).at(clock.now)
    kept.keep_contact("R1", phone="0225 000 000", consent="1")
    token = kept.open_session(user.id).token

    def broken(*_args, **_kwargs):
        raise OSError("the disk is full")

    monkeypatch.setattr("layers.audit.append", broken)
    scope = {"name": "Other", "role": "planner", "wards": (), "media": ()}
    for change in (
        lambda: kept.add(chief, "new", **scope),
        lambda: kept.edit(chief, user.id, **scope),
        lambda: kept.set_active(chief, user.id, False),
        lambda: kept.reset(chief, user.id),
        lambda: kept.change_password(user, FIRST, SECOND),
        lambda: kept.confirm_codes(user, code),
        lambda: kept.keep_contact("R2", phone="1", consent="1"),
        lambda: kept.forget_contact("R1"),
    ):
        with pytest.raises(OSError):
            change()
    monkeypatch.undo()
    assert {u.login for u in kept.users()} == {"chief", "officer"} and kept.user(user.id) == user
    assert kept.session(token) and kept.sign_in("officer", FIRST)
    assert kept.contact("R1") and not kept.contact("R2")
    assert len(kept.confirm_codes(user, code)) == 10


# --- contact data of citizens ---


def test_contact_data_is_kept_with_consent_and_forgotten_for_good(kept, tmp_path):
    with pytest.raises(AccountError, match="consent"):
        kept.keep_contact("R-1", name="x", phone="y", email="z")
    assert kept.contact("R-1") is None
    kept.keep_contact("R-1", name="Người phản ánh", phone="0225-777-123", email="", consent="2026-11")
    assert kept.contact("R-1") == {
        "name": "Người phản ánh", "phone": "0225-777-123", "email": None, "consent": "2026-11",
        "consent_at": "2026-11-22T01:00:00.000+00:00",
    }  # fmt: skip
    kept.keep_contact("R-1", phone="0225-777-124", consent="2026-11")
    assert kept.contact("R-1")["name"] is None
    assert "0225-777" not in repr(kept.audit_rows()), "the audit never forgets, so it is never told"
    kept.close()
    assert b"0225-777-124" in (tmp_path / FILE_NAME).read_bytes()
    again = Accounts(tmp_path)
    assert again.forget_contact("R-1") is True and again.forget_contact("R-1") is False
    assert again.contact("R-1") is None
    again.close()
    assert b"0225-777" not in (tmp_path / FILE_NAME).read_bytes(), "overwritten, not only let go"


# --- the file ---


@pytest.mark.skipif(os.name != "posix", reason="file modes are of POSIX")
def test_only_its_owner_reads_the_file(kept, tmp_path):
    kept.add("test", "a", name="A", role="planner")
    for file in tmp_path.glob(FILE_NAME + "*"):
        assert file.stat().st_mode & 0o077 == 0, file.name


def test_a_file_of_a_newer_version_or_of_another_kind_is_left_alone(tmp_path):
    Vault(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as con:
        con.execute("UPDATE meta SET value='99' WHERE key='schema_version'")
    con.close()
    with pytest.raises(StoreError, match="newer version"):
        Vault(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / FILE_NAME).write_bytes(b"not a database" * 500)
    with pytest.raises(StoreError, match="cannot be opened"):
        Vault(tmp_path / "other")
    assert (tmp_path / "other" / FILE_NAME).read_bytes() == b"not a database" * 500


def test_the_key_of_forms_outlives_a_restart_and_belongs_to_one_folder(tmp_path):
    one = Vault(tmp_path / "a")
    key = one.secret()
    one.close()
    again, other = Vault(tmp_path / "a"), Vault(tmp_path / "b")
    assert again.secret() == key != other.secret() and len(key) == 64
    again.close()
    other.close()
