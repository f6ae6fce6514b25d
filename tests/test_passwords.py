"""Which passwords are taken, how they are kept, and where a sign-in may lead."""

import re
import unicodedata
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import assume, example, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from server import passwords, security

WORDS = "bốn con mèo vàng"


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("a" * 11, "at least 12"),
        ("mười một kt", "at least 12"),
        ("x" * 201, "at most 200"),
        ("kiem.tra.vien", "the name you sign in with"),
        ("KIEM.TRA.VIEN", "the name you sign in with"),
        ("kiem.tra.vien2026", "the name you sign in with"),
        ("kiem.tra.vien-kiem.tra.vien", "the name you sign in with"),
        ("matkhau12345", "among the first"),
        ("PassWord1234", "among the first"),
        ("aaaaaaaaaaaa", "among the first"),
        ("abababababab", "among the first"),
        ("123456789012", "among the first"),
        ("qwertyuiopasdf", "among the first"),
        ("kiem.tra.vien của sông Rế", None),
        ("bốn con mèo vàng", None),
        ("correct horse battery staple", None),
        ("            tr", "among the first"),
    ],
)
def test_which_passwords_are_taken(password, why):
    found = passwords.problem(password, "kiem.tra.vien")
    assert (found is None) if why is None else why in found[0] % found[1]


def test_a_password_fits_however_its_accents_were_typed():
    whole, apart = (unicodedata.normalize(form, WORDS) for form in ("NFC", "NFD"))
    assert whole != apart
    made = passwords.keep(whole)
    assert passwords.fits(made, apart) and passwords.fits(passwords.keep(apart), whole)
    assert not passwords.fits(made, WORDS.replace("è", "e"))
    assert made.startswith(passwords.METHOD + "$") and WORDS not in made


@effort(max_examples=8)
@given(st.text(max_size=60), st.text(max_size=60))
def test_only_the_same_password_fits(one, other):
    assume(unicodedata.normalize("NFKC", one) != unicodedata.normalize("NFKC", other))
    made = passwords.keep(one)
    assert passwords.fits(made, one) and not passwords.fits(made, other)


def test_nothing_fits_where_there_is_no_password():
    for tried in ("", "nobodyhasthisone", "0" * 128, passwords.NO_PASSWORD):
        assert not passwords.fits(None, tried) and not passwords.fits(passwords.NO_PASSWORD, tried)
    method, salt, digest = passwords.NO_PASSWORD.split("$")
    real = passwords.keep(WORDS).split("$")
    assert (method, len(salt), len(digest)) == (real[0], len(real[1]), len(real[2])), "the same work for both"


def test_one_time_passwords_are_long_clear_and_never_the_same():
    made = {passwords.one_time() for _ in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch("([abcdefghjkmnpqrstuvwxyz23456789]{4}-){3}[a-z2-9]{4}", m) for m in made)
    assert 31**16 > 2**79


# --- where signing in leads ---


@pytest.mark.parametrize(
    "address",
    ["", "https://x.example/", "//x.example", "///x.example", "/\\x.example", "\\\\x.example", "/\t/x.example",
     "/\n/x.example", " //x.example", "javascript:alert(1)", "desk", "/sign-in", "/sign-in?next=/desk", "/sign-out",
     "/sign-in/code", "/ô", "/a b", "http:/x", "/" + "a" * 3000, None, "/\x00", "/\r\nSet-Cookie: a=b"],
)  # fmt: skip
def test_next_addresses_that_are_not_followed(address):
    assert security.safe_next(address) == "/desk"


@pytest.mark.parametrize(
    "address", ["/", "/desk", "/cases?stage=done&q=%C3%B4", "/a#b", "/a//b", "/sign-inx", "/%2f%2fx"]
)
def test_next_addresses_that_are_followed(address):
    assert security.safe_next(address) == address


@effort(max_examples=400)
@given(st.one_of(st.text(), st.text("/\\:.@?#%\t\r\n x", max_size=12), st.from_regex(r"[/\\\t]{1,3}[a-z.:@/\\]{0,9}")))
@example("/\t/\\x.example")
def test_next_never_leaves_the_site(address):
    """As a browser reads it: tabs and line ends dropped, blanks round it too, \\ as /."""
    chosen = security.safe_next(address)
    read = re.sub(r"[\t\r\n]", "", chosen).strip("".join(map(chr, range(33)))).replace("\\", "/")
    there = urlsplit(urljoin("https://map.example/sign-in", read))
    assert (there.scheme, there.netloc) == ("https", "map.example")
    assert chosen in ("/desk", address)
