"""Signing in: tries that are counted, one-time codes and recovery codes."""

import base64
import threading
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import people
import pyotp
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from people import FIRST, START, somebody

from server import passwords, totp, tries
from server.accounts import AccountError, Accounts, TooManyTries
from server.vault import Vault


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


def sentence(caught):
    return str(caught.value)


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


# --- signing in ---


def test_sign_in_and_out(kept):
    user = somebody(kept)
    opened = kept.sign_in(" OFFICER ", FIRST, address="192.0.2.1", browser="B")
    found = kept.session(opened.token)
    assert (found.user.id, found.address, found.browser) == (user.id, "192.0.2.1", "B") and not opened.asks_code
    kept.sign_out(opened.token)
    assert kept.session(opened.token) is None
    assert kept.session("") is None and kept.session("x" * 5000) is None and kept.session("\udcff") is None


@pytest.mark.parametrize(
    "login", ["officer", "nobody", "disabled", "outside", "", "x" * 5000, "off\x00icer", "' OR 1=1 --"]
)
def test_a_wrong_try_costs_one_hash_and_says_the_same_whoever_it_is(kept, hashes, login):
    somebody(kept)
    kept.set_active("test", somebody(kept, "disabled").id, False)
    kept.add("test", "outside", name="Outside", role="planner")
    for password in ("wrong password", FIRST if login == "disabled" else "", "w" * 10_000):
        hashes.update(checked=0, made=0)
        with pytest.raises(AccountError) as caught:
            kept.sign_in(login, password)
        assert hashes == {"checked": 1, "made": 0}
        assert sentence(caught) == "The name or the password is not right. Check both and try again."
    hashes.update(checked=0, made=0)
    kept.sign_in("officer", FIRST)
    assert hashes == {"checked": 1, "made": 0}


def test_the_wait_grows_and_ends(kept, clock, hashes):
    somebody(kept)
    waits = []
    for _ in range(14):
        with pytest.raises(AccountError) as caught:
            kept.sign_in("officer", "wrong password", address="192.0.2.1")
        if isinstance(caught.value, TooManyTries):
            waits.append(caught.value.wait_s)
            checked = hashes["checked"]
            with pytest.raises(TooManyTries):
                kept.sign_in("officer", FIRST, address="192.0.2.1")  # not even the right one is tried
            assert hashes["checked"] == checked
            clock.on(seconds=waits[-1])
    assert waits == [5, 10, 20, 40, 80]
    assert kept.session(kept.sign_in("officer", FIRST, address="192.0.2.1").token)
    with pytest.raises(AccountError) as caught:
        kept.sign_in("officer", "wrong password", address="192.0.2.1")
    assert not isinstance(caught.value, TooManyTries), "the count begins anew after a good sign-in"


def test_the_sentence_says_how_long(kept, clock):
    for n, said in ((5, "Wait 5 seconds"), (89, "Wait 89 seconds"), (300, "Wait 5 minutes"), (301, "Wait 6 minutes")):
        assert said in str(TooManyTries(n))


def test_tries_are_forgotten_after_a_day(kept, clock):
    for _ in range(9):
        with pytest.raises(AccountError):
            kept.sign_in("officer", "wrong password")
        clock.on(minutes=6)
    clock.on(hours=24, seconds=1)
    with pytest.raises(AccountError):
        kept.sign_in("another", "wrong password")
    with kept.vault.reading() as con:
        assert con.exec_driver_sql("SELECT key, failures FROM attempts").all() == [("login:another", 1)]


def test_an_address_is_slowed_whatever_names_it_tries(kept, clock):
    for n in range(20):
        with pytest.raises(AccountError) as caught:
            kept.sign_in(f"name{n}", "wrong password", address="2001:db8::1")
        assert not isinstance(caught.value, TooManyTries)
    with pytest.raises(TooManyTries):
        kept.sign_in("another", "wrong password", address="2001:db8::ffff")  # the same line
    somebody(kept)
    assert kept.sign_in("officer", FIRST, address="2001:db8:0:1::1"), "another line"
    with pytest.raises(TooManyTries):
        kept.sign_in("officer", FIRST, address="2001:db8::2")
    clock.on(seconds=5)
    assert kept.sign_in("officer", FIRST, address="2001:db8::2")


def test_a_good_sign_in_does_not_clear_the_tries_of_its_address(kept, clock):
    """Somebody with an account of their own could otherwise try those of others without end."""
    somebody(kept)
    refused = 0
    for n in range(60):
        with pytest.raises(AccountError) as caught:
            kept.sign_in(f"name{n}", "wrong password", address="192.0.2.1")
        refused += isinstance(caught.value, TooManyTries)
        if n < 19:
            kept.sign_in("officer", FIRST, address="192.0.2.1")
    assert refused == 60 - 20


def test_tries_at_the_same_time_are_counted_one_by_one(kept, hashes):
    somebody(kept)
    hashes.update(checked=0, made=0)
    start, waited = threading.Barrier(16), []

    def try_it():
        start.wait()
        try:
            kept.sign_in("officer", "wrong password")
        except TooManyTries:
            waited.append(1)
        except AccountError:
            pass

    threads = [threading.Thread(target=try_it) for _ in range(16)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert hashes["checked"] == 5 and len(waited) == 11


@effort(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=25), st.integers(1, 6))
def test_waiting_against_a_second_reckoning(vault, gaps, free):
    """tries.count against the plain rule: after n ≥ free wrong tries wait 5·2^(n−free) s, at most 300."""
    pace = tries.Pace(free=free)
    key = f"login:{time.monotonic_ns()}"
    now, wrong, until = START, 0, START
    for gap, good in gaps:
        now += timedelta(seconds=gap)
        with vault.writing() as con:
            if now < until:
                with pytest.raises(TooManyTries) as caught:
                    tries.count(con, key, "", now, pace)
                assert caught.value.wait_s == (until - now).seconds
                continue
            assert tries.count(con, key, "", now, pace) == [key]
            wrong += 1
            until = now + timedelta(seconds=min(5 * 2 ** (wrong - free), 300) if wrong >= free else 0)
            if good:
                tries.succeeded(con, key)
                wrong, until = 0, now


@pytest.fixture(scope="module")
def vault(tmp_path_factory):
    vault = Vault(tmp_path_factory.mktemp("vault"))
    yield vault
    vault.close()


# --- one-time codes ---


@pytest.mark.parametrize(
    ("seconds", "code"),  # RFC 6238, appendix B, SHA-1: the last six of eight digits
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037"),
     (20000000000, "353130")],
)  # fmt: skip
def test_codes_are_those_of_the_standard(seconds, code):
    secret = base64.b32encode(b"12345678901234567890").decode()
    at = datetime.fromtimestamp(seconds, UTC)
    assert totp.accepted(secret, code, at) == seconds // 30
    assert totp.accepted(secret, f" {code[:3]} {code[3:]} ", at) == seconds // 30
    assert totp.accepted(secret, code, at, used=seconds // 30 - 1) == seconds // 30
    assert totp.accepted(secret, code, at, used=seconds // 30) is None
    for minutes, good in ((-1, False), (1, False), (0.5, True), (-0.5, True)):
        assert (totp.accepted(secret, code, at + timedelta(minutes=minutes)) is not None) == good


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "12345\n6a", "-12345", "0x1234"])
def test_what_is_no_code_is_not_accepted(code):
    assert totp.accepted(totp.new_secret(), code, START) is None


def with_codes(kept, clock):
    user = somebody(kept)
    kept.start_codes(user, FIRST)
    secret = kept.pending_secret(user)
    codes = kept.confirm_codes(user, pyotp.TOTP(secret).at(clock.now))
    return kept.user(user.id), pyotp.TOTP(secret), codes


def test_codes_are_off_until_one_was_confirmed(kept, clock):
    user = somebody(kept)
    with pytest.raises(AccountError, match="present password"):
        kept.start_codes(user, "wrong")
    assert kept.pending_secret(user) is None
    kept.start_codes(user, FIRST)
    assert not kept.user(user.id).totp and not kept.sign_in("officer", FIRST).asks_code
    with pytest.raises(AccountError, match="not the code of now"):
        kept.confirm_codes(user, "000000")
    secret = kept.pending_secret(user)
    assert len(kept.confirm_codes(user, pyotp.TOTP(secret).at(clock.now))) == 10
    assert kept.user(user.id).totp and kept.pending_secret(user) is None
    kept.start_codes(user, FIRST)
    assert kept.pending_secret(user) is None, "what is on is not started anew"


def test_signing_in_with_a_code(kept, clock):
    user, app, _ = with_codes(kept, clock)
    opened = kept.sign_in("officer", FIRST)
    assert opened.asks_code and kept.asks_code(opened.token) and kept.session(opened.token) is None
    with pytest.raises(AccountError, match="used already"):
        kept.sign_in_with_code(opened.token, app.at(clock.now)), "the one that switched it on"
    clock.on(seconds=30)
    code = app.at(clock.now)
    full = kept.sign_in_with_code(opened.token, code)
    assert kept.session(full.token).user.id == user.id and full.token != opened.token
    assert not kept.asks_code(opened.token) and kept.session(opened.token) is None
    again = kept.sign_in("officer", FIRST)
    with pytest.raises(AccountError, match="used already"):
        kept.sign_in_with_code(again.token, code)
    clock.on(minutes=5)
    with pytest.raises(AccountError, match="took too long"):
        kept.sign_in_with_code(again.token, app.at(clock.now))
    with pytest.raises(AccountError, match="took too long"):
        kept.sign_in_with_code(full.token, app.at(clock.now)), "a full session asks for no code"


def test_a_recovery_code_is_good_once(kept, clock):
    user, _app, codes = with_codes(kept, clock)
    opened = kept.sign_in("officer", FIRST)
    assert kept.session(kept.sign_in_with_code(opened.token, codes[0].upper().replace("-", " ")).token)
    assert kept.recovery_left(user) == 9
    again = kept.sign_in("officer", FIRST)
    for bad in (codes[0], "", "aaaa-aaaa-aaaa-aaaa", "' OR ''='"):
        with pytest.raises(AccountError):
            kept.sign_in_with_code(again.token, bad)
    fresh = kept.new_recovery(user, FIRST)
    assert kept.recovery_left(user) == 10 and not set(fresh) & set(codes)
    with pytest.raises(AccountError):
        kept.sign_in_with_code(kept.sign_in("officer", FIRST).token, codes[1])


def test_codes_cannot_be_tried_without_end(kept, clock):
    _user, app, _ = with_codes(kept, clock)
    clock.on(minutes=1)
    token = kept.sign_in("officer", FIRST).token
    for _ in range(5):
        with pytest.raises(AccountError):
            kept.sign_in_with_code(token, "000000")
    for _ in range(3):  # the password again does not begin a new count
        token = kept.sign_in("officer", FIRST).token
        with pytest.raises(TooManyTries):
            kept.sign_in_with_code(token, app.at(clock.now))


def test_codes_are_switched_off(kept, clock):
    user, _app, _ = with_codes(kept, clock)
    with pytest.raises(AccountError):
        kept.stop_codes(user, "wrong")
    kept.stop_codes(user, FIRST)
    assert not kept.sign_in("officer", FIRST).asks_code and kept.recovery_left(user) == 0
    with pytest.raises(AccountError, match="are off"):
        kept.new_recovery(kept.user(user.id), FIRST)


@pytest.mark.parametrize("drop", [True, False])
def test_a_lost_phone(kept, clock, drop):
    user, _app, _ = with_codes(kept, clock)
    password = kept.reset("test", user.id, drop_codes=drop)
    assert kept.sign_in("officer", password).asks_code != drop


def test_the_picture_says_the_address(kept, clock):
    secret = totp.new_secret()
    address = totp.address(secret, "officer")
    assert urlsplit(address).scheme == "otpauth" and f"secret={secret}" in address
    assert pyotp.parse_uri(address).at(START) == pyotp.TOTP(secret).at(START)
    picture = totp.picture(address)
    assert picture.startswith("data:image/svg+xml") and "<script" not in picture
    assert totp.grouped(secret).replace(" ", "") == secret
