import csv
import doctest
import random
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import layers.letters
from layers.letters import collation_key
from server import matches, search
from server.nameforms import Alias, Entry
from server.search import Index

STARTER = Path(__file__).resolve().parents[1] / "layers" / "starter"


def rows(name):
    with (STARTER / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def bare(text):
    """Without marks, the way a hurried person types."""
    letters = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(char for char in letters if not unicodedata.combining(char))


def ward_entries():
    old = {}
    for row in rows("old_names.csv"):
        text = f"{row['old_type_vi']} {row['old_name_vi']}".strip()
        old.setdefault(row["ward_code"], []).append(Alias(text, "old name", row["old_district_vi"]))
    return [
        Entry(
            row["code"],
            row["unit_type"],
            row["name_vi"],
            row["name_en"],
            f"/wards/{row['code']}",
            tuple(old.get(row["code"], ())),
            weight=10,
        )
        for row in rows("wards.csv")
    ]


OTHERS = [
    Entry("309", "district", "Quận Dương Kinh", "Duong Kinh District", weight=1),
    Entry("311", "district", "Huyện Thủy Nguyên", "Thuy Nguyen District", weight=1),
    Entry("306", "district", "Quận Hải An", "Hai An District", weight=1),
    Entry(
        "KCN01",
        "industrial_park",
        "KCN Nomura – Hải Phòng (nay Nhật Bản – Hải Phòng)",
        "Nomura – Hai Phong (Japan – Hai Phong) Industrial Park",
    ),
    Entry("WW12", "wastewater_plant", "Trạm XLNT tập trung KCN Nomura", "Nomura park central plant"),
    Entry("WW01", "wastewater_plant", "Nhà máy XLNT Vĩnh Niệm", "Vinh Niem wastewater treatment plant"),
    Entry("CCN01", "industrial_cluster", "CCN Vĩnh Niệm", "Vinh Niem Industrial Cluster"),
    Entry("HS07", "hotspot", "Làng nghề tái chế Tràng Minh", "Trang Minh recycling village"),
    Entry("WS04", "landfill", "Bãi xử lý rác Đồ Sơn", "Do Son landfill"),
    Entry("HS11", "hotspot", "Bãi rác Đồ Sơn", "Do Son landfill hotspot"),
    Entry("PT11", "port", "Cảng Hải An", "Hai An Port"),
    Entry("PT00", "port", "Cảng Hải Phòng", "Port of Hai Phong"),
    Entry(
        "EZ01",
        "economic_zone",
        "Khu kinh tế Đình Vũ – Cát Hải",
        "Dinh Vu – Cat Hai Economic Zone",
        aliases=(Alias("DVCH", "abbreviation"),),
    ),
]


@pytest.fixture(scope="module")
def index():
    return Index(ward_entries() + OTHERS)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("duong kinh", "11692"),
        ("Dương Kinh", "11692"),
        ("DUONG KINH", "11692"),
        ("phuong duong kinh", "11692"),
        ("P. Duong Kinh", "11692"),
        ("p duong kinh", "11692"),
        ("P.Dương Kinh", "11692"),
        (unicodedata.normalize("NFD", "Dương Kinh"), "11692"),
        ("duong kin", "11692"),
        ("kinh duong", "11692"),
        ("Duong Kinh ward", "11692"),
        ("quan duong kinh", "309"),
        ("Q. Dương Kinh", "309"),
        ("phuong hung dao", "11689"),
        ("hung dao", "11689"),
        ("Hưng Đạo", "11689"),
        ("Hưng Ðạo", "11689"),
        ("Hưng Đạo, Dương Kinh, Hải Phòng", "11689"),
        ("P. Hưng Đạo, TP. Hải Phòng", "11689"),
        ("phường hưng đạo hải phòng", "11689"),
        ("11689", "11689"),
        ("Thuỷ Nguyên", "11560"),
        ("Thủy Nguyên", "11560"),
        ("thuy nguyen", "11560"),
        ("huyen thuy nguyen", "311"),
        ("Kiến Thuỵ", "11680"),
        ("Kiến Thụy", "11680"),
        ("x. kien thuy", "11680"),
        ("Hòa Bình", "11533"),
        ("Hoà Bình", "11533"),
        ("Hai An", "11413"),
        ("cang hai an", "PT11"),
        ("hai an port", "PT11"),
        ("cang hai phong", "PT00"),
        ("ĐK Cát Hải", "11914"),
        ("dac khu cat hai", "11914"),
        ("bach long vi", "11948"),
        ("nguyne binh khiem", "11911"),
        ("nguyen binh khiêm", "11911"),
        ("kcn nomura", "KCN01"),
        ("KCN Nomura", "KCN01"),
        ("khu cong nghiep nomura", "KCN01"),
        ("khu công nghiệp Nomura", "KCN01"),
        ("nomura industrial park", "KCN01"),
        ("cụm công nghiệp Vĩnh Niệm", "CCN01"),
        ("ccn vinh niem", "CCN01"),
        ("nha may xu ly nuoc thai vinh niem", "WW01"),
        ("NM XLNT Vinh Niem", "WW01"),
        ("br do son", "HS11"),
        ("bai rac do son", "HS11"),
        ("HS07", "HS07"),
        ("hs 07", "HS07"),
        ("hotspot trang minh", "HS07"),
        ("lang nghe trang minh", "HS07"),
        ("kkt cat hai", "EZ01"),
        ("dvch", "EZ01"),
    ],
)
def test_first_row(index, typed, code):
    assert index.search(typed)[0].entry.code == code


def test_nomura_is_found_without_its_unit(index):
    assert {hit.entry.code for hit in index.search("nomura")} == {"KCN01", "WW12"}


def test_typed_marks_count():
    index = Index([Entry("1", "road", "Đường An"), Entry("2", "ward", "Dương An"), Entry("3", "ward", "An")])
    assert [hit.entry.code for hit in index.search("đường")] == ["1", "2"]
    assert [hit.entry.code for hit in index.search("dương")] == ["2", "1"]
    assert [hit.entry.code for hit in index.search("đuong")] == ["1", "2"]
    plain = index.search("duong")
    assert {hit.entry.code for hit in plain} == {"1", "2"}
    assert plain[0].score == plain[1].score


def test_a_typed_unit_counts():
    index = Index([Entry("1", "ward", "Xã Hưng Đạo"), Entry("2", "ward", "Phường Hưng Đạo")])
    assert [hit.entry.code for hit in index.search("phuong hung dao")] == ["2", "1"]
    assert [hit.entry.code for hit in index.search("X. Hưng Đạo")] == ["1", "2"]
    assert [hit.entry.code for hit in index.search("hung dao commune")] == ["1", "2"]
    assert len(index.search("hung dao")) == 2


def test_a_unit_word_inside_a_name_is_a_word():
    index = Index([Entry("1", "ward", "Phường Quán Toan"), Entry("2", "ward", "Xã An Phượng")])
    assert index.search("quan toan")[0].entry.code == "1"
    assert index.search("an phuong")[0].entry.code == "2"


def test_a_single_letter_is_a_unit_only_where_one_writes_it():
    index = Index([Entry("1", "industrial_park", "KCN DEEP C"), Entry("2", "ward", "Xã Deep")])
    assert index.search("deep c")[0].entry.code == "1"
    assert index.search("c deep")[0].score < index.search("deep c")[0].score
    assert index.search("x. deep")[0].entry.code == "2"


def test_words_as_written_rank_above_words_in_another_order():
    index = Index([Entry("1", "ward", "Phường Hải An"), Entry("2", "ward", "Phường An Hải")])
    assert [hit.entry.code for hit in index.search("hai an")] == ["1", "2"]
    assert [hit.entry.code for hit in index.search("an hai")] == ["2", "1"]


def test_typing_errors_rank_lower_and_need_five_letters():
    index = Index([Entry("1", "ward", "Nguyên"), Entry("2", "ward", "Nguyễn Trãi"), Entry("3", "ward", "Hưng")])
    right = index.search("nguyen")
    for wrong in ("nguye", "nguyyen", "nguyne", "ngyuen", "nguyan"):
        hits = index.search(wrong + " ") if wrong != "nguye" else index.search("nguyn")
        assert hits[0].entry.code == "1"
        assert hits[0].score < right[0].score
    assert index.search("hugn") == []
    assert index.search("nguuyyen") == []


NOMURA = Entry("2", "industrial_park", "KCN Nomura", "Nomura Industrial Park")


def test_type_ahead_on_the_last_word_only():
    index = Index([Entry("1", "ward", "Phường Hưng Đạo"), NOMURA])
    for end in ("h", "hu", "hun", "hung", "hung d", "hưng đa"):
        assert index.search(end)[0].entry.code == "1"
    assert index.search("hu dao") == []
    for end in ("khu cong ng", "kc", "indus", "khu cong nghiep nom"):
        assert index.search(end)[0].entry.code == "2"


def test_old_names_say_that_they_are_old(index):
    hit = index.search("phường Quán Toan")[0]
    assert (hit.entry.name_vi, hit.why) == ("Phường Hồng An", "old name")
    assert hit.alias.text == "phường Quán Toan"
    assert hit.alias.context == "Hồng Bàng"
    # Cut in two: both new communes are offered.
    found = {h.entry.code for h in index.search("xã Liên Xuân") if h.alias and "Liên Xuân" in h.alias.text}
    assert found == {"11488", "11503"}


def test_every_old_name_finds_its_new_unit(index):
    for row in rows("old_names.csv"):
        typed = f"{row['old_type_vi']} {row['old_name_vi']}, {row['old_district_vi']}"
        for text in (typed, bare(typed)):
            assert row["ward_code"] in {hit.entry.code for hit in index.search(text)}, text


def test_the_old_district_decides_between_equal_old_names(index):
    assert index.search("Quang Trung, An Lão")[0].entry.name_vi == "Xã An Quang"
    assert index.search("quang trung an lao")[0].entry.name_vi == "Xã An Quang"
    assert index.search("Quang Trung, Tứ Kỳ")[0].entry.name_vi == "Xã Lạc Phượng"


def test_a_new_name_ranks_above_the_same_old_name(index):
    for typed in ("Hưng Đạo", "hung dao", "Trần Hưng Đạo", "An Dương", "an hai", "Hòa Bình"):
        hits = index.search(typed)
        assert hits[0].why == "name"
        assert "old name" in {hit.why for hit in hits}


def test_the_old_district_alone_is_not_a_match():
    index = Index([Entry("1", "ward", "Phường Hồng An", aliases=(Alias("Quán Toan", "old name", "Tây Hồ"),))])
    assert index.search("tay ho") == []
    assert index.search("quan toan tay ho")[0].why == "old name"


def test_a_place_comes_before_the_plant_named_after_it():
    index = Index([*ward_entries(), Entry("WW06", "wastewater_plant", "Nhà máy XLNT Cát Bà")])
    hits = index.search("cat ba")
    assert [(hit.entry.code, hit.why) for hit in hits[:2]] == [("11914", "old name"), ("WW06", "name")]
    assert index.search("xlnt cat ba")[0].entry.code == "WW06"


def test_why(index):
    assert index.search("HS07")[0].why == "code"
    assert index.search("dvch")[0].why == "abbreviation"
    assert index.search("KCN Nomura")[0].why == "name"
    assert index.search("KCN Nomura")[0].alias is None


def test_begun_codes(index):
    hits = index.search("1168")
    assert [hit.entry.code for hit in hits] == ["11689", "11680"]
    assert hits[0].score < index.search("11689")[0].score


def test_units_alone_list_what_they_name(index):
    assert {hit.entry.kind for hit in index.search("kcn")} == {"industrial_park", "wastewater_plant"}
    assert {hit.entry.code for hit in index.search("landfill")} == {"WS04", "HS11"}
    assert {hit.entry.kind for hit in index.search("phường", limit=45)} == {"ward"}


def test_english(index):
    assert index.search("Hung Dao Ward", lang="en")[0].entry.code == "11689"
    assert index.search("vinh niem wastewater treatment plant", lang="en")[0].entry.code == "WW01"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "...",
        "–—!?()",
        "\x00",
        "a\x00b",
        "🐟🏭",
        "<script>alert(1)</script>",
        "' OR 1=1 --",
        "%00",
        "\u0301\u0323",
        "(((((",
        ",,,;",
        "p",
        "p.",
        "tp hai phong",
        "x" * 100_000,
        "phường " * 5_000,
        "xã phường " * 500,
        "\ud800",
        "ﷺ" * 300,
        "9" * 5_000,
        "กรุงเทพ",
        "\u202ehung dao",
    ],
)
def test_awkward_text(index, typed, monkeypatch):
    readings, read = [], matches._reading
    monkeypatch.setattr(matches, "_reading", lambda *given: readings.append(1) or read(*given))
    assert isinstance(index.search(typed), list)
    assert len(readings) <= min(len(index._forms), search.MAX_CANDIDATES) * 2**matches.MAX_DOUBTS
    collation_key(typed)


def test_nothing_to_say(index):
    for typed in ("", None, "...", "🐟", "zzzzzz qqqqq"):
        assert index.search(typed) == []
    assert index.search("hung dao", limit=0) == []
    assert len(index.search("hung dao", limit=2)) == 2
    assert Index([]).search("hung dao") == []
    assert Index([Entry("", "ward", "")]).search("a") == []


def test_zero_width_signs_do_not_hide_a_name(index):
    assert index.search("Hưng\u200b Đạ\u00ado")[0].entry.code == "11689"


def test_order_of_the_entries_does_not_matter():
    entries = ward_entries() + OTHERS
    shuffled = entries[:]
    random.Random(7).shuffle(shuffled)
    one, two = Index(entries), Index(shuffled)
    for typed in ("an", "hung dao", "phường", "tân", "kcn", "h", "nam hưng"):
        assert one.search(typed, limit=30) == two.search(typed, limit=30)


def test_ties_go_by_weight_then_by_the_vietnamese_alphabet():
    names = ["Xã Đa", "Xã Da", "Xã Dã", "Xã Dạ"]
    index = Index([Entry(str(i), "ward", name) for i, name in enumerate(names)])
    assert [hit.entry.name_vi for hit in index.search("da")] == ["Xã Da", "Xã Dã", "Xã Dạ", "Xã Đa"]
    heavier = Index([Entry(str(i), "ward", name, weight=i) for i, name in enumerate(names)])
    assert heavier.search("da")[0].entry.name_vi == "Xã Dạ"


def test_of_twenty_thousand_entries_only_the_likely_ones_are_scored(monkeypatch):
    draw = random.Random(1)
    syllables = "An Hải Dương Kinh Hưng Đạo Đường Thủy Nguyên Kiến Tân Phú Vĩnh Bảo Lão Tiên Lãng Cát Bà"
    entries = []
    for i in range(20_000):
        words = draw.choices(syllables.split(), k=draw.choice([2, 3]))
        name = " ".join([draw.choice(["Phường", "Xã", "KCN"]), *words])
        old = Alias("xã " + " ".join(draw.choices(syllables.split(), k=2)), "old name", "Đồ Sơn")
        entries.append(Entry(f"C{i:05d}", "ward", name, bare(name), aliases=(old,)))
    index = Index(entries)
    scored = []
    monkeypatch.setattr(search, "score_of", lambda form, *rest: scored.append(form) or matches.score_of(form, *rest))
    for typed in ("h", "duong", "đường", "phuong hung dao", "kcn tan p", "thuy nguyne", "phường", "C0012"):
        scored.clear()
        assert index.search(typed)
        assert len(scored) <= search.MAX_CANDIDATES, typed


# --- properties -----------------------------------------------------------------------------

SYLLABLES = "An Hải Hai Dương Đường Duông Kinh Hưng Đạo Dao Thuỷ Thủy Nguyên Nguyễn Hoà Quán Xá Phượng Cảng Lê 1 2"
WORDS = st.lists(st.sampled_from(SYLLABLES.split()), min_size=1, max_size=4).map(" ".join)
UNITS = st.sampled_from(["", "Phường ", "Xã ", "KCN ", "P. ", "Bãi rác ", "Cảng "])
NAMES = st.builds("".join, st.tuples(UNITS, WORDS))


def same_name(a, b):
    """Equal but for spelling habits: tone place, abbreviation."""
    spelled = [name.replace("P. ", "Phường ").replace("Thuỷ", "Thủy") for name in (a, b)]
    return spelled[0] == spelled[1]


@given(st.lists(NAMES, min_size=1, max_size=12, unique=True))
@settings(max_examples=200, deadline=None)
def test_a_full_name_finds_itself_first(names):
    index = Index([Entry(f"c{i}", "place", name) for i, name in enumerate(names)])
    for name in names:
        found = [hit.entry.name_vi for hit in index.search(name, limit=12)]
        assert same_name(found[0], name)
        for form in ("NFC", "NFD"):
            assert index.search(unicodedata.normalize(form, name.upper()))[0].entry.name_vi == found[0]


@given(st.lists(NAMES, min_size=1, max_size=12, unique=True))
@settings(max_examples=200, deadline=None)
def test_without_marks_it_is_still_among_the_first(names):
    index = Index([Entry(f"c{i}", "place", name) for i, name in enumerate(names)])
    spelled = [bare(name.replace("P. ", "Phường ")) for name in names]
    for name, plain in zip(names, spelled, strict=True):
        # Names that look the same without marks cannot be told apart.
        allowed = max(3, spelled.count(plain))
        found = [hit.entry.name_vi for hit in index.search(bare(name), limit=12)]
        assert name in found[:allowed]


@given(st.text(max_size=60), st.integers(-1, 20), st.sampled_from(["vi", "en"]))
@settings(max_examples=300, deadline=None)
def test_any_text_is_answered(index, typed, limit, lang):
    hits = index.search(typed, limit=limit, lang=lang)
    assert len(hits) <= max(0, limit)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(0 < hit.score <= 100 for hit in hits)
    assert hits == index.search(typed, limit=limit, lang=lang)
    assert len({hit.entry.code for hit in hits}) == len(hits)


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_has_a_place_in_the_alphabet(a, b):
    assert isinstance(collation_key(a) < collation_key(b), bool)


@given(st.lists(st.text(max_size=20), max_size=4, unique=True))
def test_any_names_can_be_indexed(names):
    index = Index([Entry(name, name, name, name, aliases=(Alias(name, "old name", name),)) for name in names])
    for name in names:
        index.search(name)


# --- alphabet -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ordered",
    [
        # The six tones of one syllable.
        ["ma", "mà", "mả", "mã", "má", "mạ"],
        # Letters with their own place.
        ["an", "ăn", "ân"],
        ["da", "đa"],
        ["e", "ê"],
        ["o", "ô", "ơ"],
        ["u", "ư"],
        # Letters before tones inside a syllable: a before ă whatever the tone.
        ["mạ", "man", "măm", "mắm", "mâm"],
        # Syllable by syllable: all of "ca ..." before "cá ...".
        ["ca hát", "ca sĩ", "cà chua", "cá chép", "cá voi", "cách"],
        ["hoa", "hoa hồng", "hòa bình", "hóa học", "hoan hô"],
        ["An Dương", "An Hải", "An Lão", "Ân Thi"],
        ["Đồ Sơn", "Đông Hải", "Đông Hải 1", "Đông Hải 2", "Đông Hải 10"],
        ["Cẩm Giang", "Cẩm Giàng"],
        ["2", "10", "a"],
    ],
)
def test_dictionary_order(ordered):
    shuffled = ordered[:]
    random.Random(3).shuffle(shuffled)
    assert sorted(shuffled, key=collation_key) == ordered


def test_spelling_habits_have_one_place():
    assert collation_key("hoà") == collation_key("hòa") == collation_key("HÒA")
    assert collation_key("Thuỷ") == collation_key(unicodedata.normalize("NFD", "Thủy"))


def test_examples_in_the_module():
    assert doctest.testmod(layers.letters).failed == 0
    assert doctest.testmod(layers.letters).attempted > 0
