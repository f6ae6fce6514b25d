"""Old Vietnamese encodings: words one can check by eye, then every name of the city there and back."""

import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.encoding import ENCODINGS, TCVN3, VNI, decode, detect, is_syllable, repair, repair_column

STARTER = Path(__file__).resolve().parents[1] / "layers" / "starter"
WARDS = pd.read_csv(STARTER / "wards.csv")["name_vi"].tolist()
OLD = pd.read_csv(STARTER / "old_names.csv")["old_name_vi"].dropna().tolist()
LETTERS = [unicodedata.normalize("NFC", v + t) for v in "aăâeêioôơuưy" for t in ("", *"\u0300\u0301\u0303\u0309\u0323")]
ALL = [*LETTERS, "đ"]
BEYOND_ASCII = [letter for letter in ALL if not letter.isascii()]

# A second way: encoders, which the project itself does not need.
TO_TCVN3 = {letter: code for code, letter in TCVN3.items()}
TO_VNI = {letter: code for code, letter in VNI.items() if code in (code.lower(), code.upper())}


def as_windows(codes):
    """What a program shows that takes the bytes for Windows-1252."""
    return "".join(bytes([c]).decode("cp1252") if c not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else chr(c) for c in codes)


def encode(text, encoding):
    """Vietnamese text in an old encoding, as a program shows it that takes the bytes for Windows-1252."""
    if encoding == "utf-8":
        return as_windows(text.encode("utf-8"))
    if encoding == "tcvn3":
        return "".join(TO_TCVN3.get(c) or TO_TCVN3.get(c.lower(), c) for c in text)
    if encoding == "vni":
        return "".join(TO_VNI.get(c, c) for c in text)
    out = b""
    for letter in text:
        try:
            out += letter.encode("cp1258")
        except UnicodeEncodeError:
            parts = unicodedata.normalize("NFD", letter)
            tone = next(c for c in parts if c in "\u0300\u0301\u0303\u0309\u0323")
            out += (unicodedata.normalize("NFC", parts.replace(tone, "")) + tone).encode("cp1258")
    return as_windows(out)


@pytest.mark.parametrize(
    ("raw", "encoding", "meant"),
    [
        ("H¶i Phßng", "tcvn3", "Hải Phòng"),
        ("Céng hoµ x· héi chñ nghÜa ViÖt Nam", "tcvn3", "Cộng hoà xã hội chủ nghĩa Việt Nam"),
        ("§éc lËp - Tù do - H¹nh phóc", "tcvn3", "Độc lập - Tự do - Hạnh phúc"),
        ("THµNH PHè H¶I PHßNG", "tcvn3", "THÀNH PHỐ HẢI PHÒNG"),
        ("Haûi Phoøng", "vni", "Hải Phòng"),
        ("Coäng hoøa xaõ hoäi chuû nghóa Vieät Nam", "vni", "Cộng hòa xã hội chủ nghĩa Việt Nam"),
        ("ÑOÄC LAÄP - TÖÏ DO - HAÏNH PHUÙC", "vni", "ĐỘC LẬP - TỰ DO - HẠNH PHÚC"),
        ("HaÒi PhoÌng", "cp1258", "Hải Phòng"),
        ("Viêòt Nam", "cp1258", "Việt Nam"),
        ("Háº£i PhÃ²ng", "utf-8", "Hải Phòng"),
    ],
)
def test_words_to_check_by_eye(raw, encoding, meant):
    text, found, confidence = repair(raw)
    assert (text, found) == (meant, encoding)
    assert 0.3 < confidence < 1


def test_the_tables_are_one_to_one():
    assert len(set(TCVN3.values())) == len(TCVN3) == 74
    small = {letter for letter in TCVN3.values() if letter.islower()}
    assert small == set(BEYOND_ASCII)
    assert {letter for letter in TCVN3.values() if letter.isupper()} == set("ĂÂÊÔƠƯĐ")
    for case in (str.lower, str.upper):
        codes = {code: letter for code, letter in VNI.items() if code == case(code)}
        assert set(codes.values()) == {case(letter) for letter in BEYOND_ASCII}
        assert len(codes) == len(BEYOND_ASCII)
    assert {code.lower() for code in VNI} == {code for code in VNI if code == code.lower()}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_letter_there_and_back(encoding):
    letters = BEYOND_ASCII + ([] if encoding == "tcvn3" else [letter.upper() for letter in BEYOND_ASCII])
    assert [decode(encode(letter, encoding), encoding) for letter in letters] == letters


def lost_in_tcvn3(name):
    """The name as TCVN3 can give it back: a capital with a tone at the head of a word comes back small."""
    keep = set("ĂÂÊÔƠƯĐ")
    return "".join(c if c.isascii() or c in keep else c.lower() for c in name)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("names", [WARDS, OLD], ids=["114 wards", "451 old names"])
def test_names_there_and_back(names, encoding):
    assert len(names) in (114, 451)
    raw = [encode(name, encoding) for name in names]
    assert detect(raw) == encoding
    back = repair_column(raw)[0]
    meant = [lost_in_tcvn3(name) for name in names] if encoding == "tcvn3" else names
    assert back == meant
    alone = [repair(text)[0] for text in raw]
    wrong = [(r, a, m) for r, a, m in zip(raw, alone, meant, strict=True) if a != m]
    print(encoding, len(wrong), "not repaired without the column:", wrong[:10])
    assert len(wrong) <= 0.06 * len(names)


@pytest.mark.parametrize("encoding", ["tcvn3", "vni", "utf-8"])
def test_bytes_read_as_windows_1258(encoding):
    raw = [encode(name, encoding).encode("cp1252", "replace").decode("cp1258", "replace") for name in WARDS]
    known = [(r, w) for r, w in zip(raw, WARDS, strict=True) if "\ufffd" not in r and "?" not in r]
    assert len(known) > 20
    assert detect([r for r, _ in known]) == encoding
    meant = [lost_in_tcvn3(w) if encoding == "tcvn3" else w for _, w in known]
    assert [repair(r, encoding=encoding)[0] for r, _ in known] == meant


def test_good_text_is_never_touched():
    english = [
        "Hai Phong port",
        "",
        "café",
        "Müller & Söhne",
        "São Tomé",
        "naïve résumé",
        "PM2.5 µg/m³",
        "20 °C",
        "Niño",
    ]
    other = ["100 m² × 3", "Đình Vũ – Cát Hải", "“Nam Đình Vũ”", "Công ty TNHH Müller Việt Nam", "Köln", "ÖSTERREICH"]
    for text in [*WARDS, *OLD, *english, *other, *map(str.upper, WARDS), *map(str.lower, OLD)]:
        assert repair(text) == (text, None, 0.0)
    assert detect(WARDS) is None and detect(OLD) is None and detect(english + other) is None
    decomposed = [unicodedata.normalize("NFD", name) for name in WARDS]
    assert detect(decomposed) is None and [repair(d)[0] for d in decomposed] == decomposed


def test_every_name_is_made_of_syllables():
    words = {word for name in WARDS + OLD for word in name.split() if word.isalpha()}
    assert sorted(word for word in words if not is_syllable(word)) == []


def test_one_word_that_has_two_meanings_needs_its_column():
    assert repair("Hoà") == ("Hoà", None, 0.0)
    assert repair("Hoà", encoding="vni")[0] == "Hồ"
    assert repair("cã", encoding="tcvn3")[0] == "có"


def test_a_column_half_repaired():
    half = [encode(name, "tcvn3") if k % 2 else name for k, name in enumerate(OLD)]
    back, encoding = repair_column([*half, None, 7])
    assert encoding == "tcvn3" and back[-2:] == [None, 7]
    assert back[:-2:2] == OLD[::2]  # good rows are never touched
    missed = [(old, new) for old, new in zip(OLD[1::2], back[1:-2:2], strict=True) if lost_in_tcvn3(old) != new]
    print(missed)
    assert len(missed) <= 0.03 * len(OLD)
    assert repair_column(OLD) == (OLD, None)


def test_abbreviations_follow_the_text_and_foreign_words_do_not():
    assert repair("UBND x· §T H¶i Phßng")[0] == "UBND xã ĐT Hải Phòng"
    assert repair("C«ng ty Müller H¶i Phßng")[0] == "Công ty Müller Hải Phòng"


def test_unknown_encodings_are_refused():
    with pytest.raises(ValueError, match="viscii is not an encoding known here"):
        repair("Hải", encoding="viscii")
    with pytest.raises(ValueError, match="choose one of"):
        decode("Hải", "viscii")
    with pytest.raises(ValueError, match="not the bytes of UTF-8"):
        decode("é", "utf-8")


@given(st.text(max_size=40))
def test_any_text_is_survived_and_repair_settles(text):
    once = repair(text)[0]
    assert detect([text]) in (None, *ENCODINGS)
    assert text.isascii() <= (once == text)


@given(st.lists(st.sampled_from(sorted({w for n in WARDS + OLD for w in n.split()})), min_size=1, max_size=8))
def test_words_of_the_city_in_any_order_are_good(words):
    assert repair(" ".join(words))[1] is None
