"""Printed sheets: letters that can be copied out, the same bytes again, every figure of the page, hostile names."""

import re
import shutil
import time
import zlib
from dataclasses import replace
from datetime import UTC, date, datetime

import people
import pytest
import smalltown
from hypothesis import given
from hypothesis import strategies as st

from server import paper, papertable, scenariopages, sheets, sitewords, sitework, studysheets
from server.i18n import m3, translations
from server.outlines import frame, metres, outlines, round_length
from server.paper import Map, Paper
from server.planwords import KINDS
from server.scenarioplants import Money, Plant
from server.services import open_city

DAY = date(2026, 11, 22)
OPEN_AIR = "mechanical, physico-chemical and biological treatment"
HOSTILE = "<script>alert(1)</script> (x) \\) Tj ET ${7*7} \u202e\x00\x07 漢字 🏭 %PDF"
AT = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)


def objects(pdf):
    """{number: (dictionary, stream or None)} of a PDF."""
    out = {}
    for found in re.finditer(rb"(\d+) 0 obj\n(.*?)\nendobj", pdf, re.DOTALL):
        head, _mark, rest = found.group(2).partition(b"stream\n")
        body = rest.rpartition(b"\nendstream")[0] if rest else None
        if body is not None and b"/FlateDecode" in head:
            body = zlib.decompress(body)
        out[int(found.group(1))] = (head, body)
    return out


def texts(pdf):
    """The text of each page, one line per string, read through the letters' own table as a reader's program does."""
    kept = objects(pdf)
    tables = {}
    for name, number in {m for head, _ in kept.values() for m in re.findall(rb"/(F\d+) (\d+) 0 R", head)}:
        font = kept[int(number)][0]
        cmap = kept[int(re.search(rb"/ToUnicode (\d+) 0 R", font).group(1))][1].decode()
        pairs = re.findall(r"<([0-9A-F]{4})> <([0-9A-F]+)>", cmap)
        tables[name] = {int(a, 16): bytes.fromhex(b).decode("utf-16-be") for a, b in pairs}
    out = []
    for head, _ in kept.values():
        if b"/Type /Page\n" not in head + b"\n":
            continue
        stream = kept[int(re.search(rb"/Contents (\d+) 0 R", head).group(1))][1]
        table, lines = None, []
        for font, string in re.findall(rb"/(F\d+) [\d.]+ Tf|\(((?:\\.|[^\\()])*)\) Tj", stream, re.DOTALL):
            if font:
                table = tables[font]
                continue
            raw = re.sub(
                rb"\\(.)", lambda m: {b"r": b"\r", b"n": b"\n"}.get(m.group(1), m.group(1)), string, flags=re.DOTALL
            )
            lines.append("".join(table[raw[i] << 8 | raw[i + 1]] for i in range(0, len(raw), 2)))
        out.append("\n".join(lines))
    return out


@pytest.fixture(scope="module")
def services(starter_store, tmp_path_factory):
    made = open_city(shutil.copytree(starter_store, tmp_path_factory.mktemp("sheets") / "data"), today=DAY)
    made.scenarios._now = people.Clock()
    yield made
    made.close()


@pytest.fixture(scope="module")
def planner(services):
    return people.person(services, "planner")


def plant(number=1, **more):
    values = {"name": f"Trạm Phượng {number}", "lon": 106.66, "lat": 20.86, "year": 2026, "capacity_m3d": 20_000.0,
              "technology": OPEN_AIR, "enclosed": False}  # fmt: skip
    return Plant(number, **values | more)


@pytest.fixture(scope="module")
def scenario(services, planner):
    money = Money("đồng", build=25e6, operation=4500.0, sewer=9e9, years=25, interest=5.0)
    plants = [plant(), plant(2, lon=106.4, lat=20.95, year=2029)]
    return services.scenarios.get(
        services.scenarios.create(planner, "Kịch bản Ưu tiên: Thuỷ Nguyên", plants=plants, money=money)
    )


@pytest.mark.parametrize("size", ["A3", "A4"])
def test_vietnamese_letters_come_out_as_they_went_in(services, scenario, size):
    pages = texts(sheets.scenario_sheet(services, scenario, 2030, size))
    first = pages[0]
    assert "Kịch bản Ưu tiên: Thuỷ Nguyên (KB-0001)" in first
    assert "Chú giải" in first and "phường, xã, khu mà trạm thu nước" in first and "Trạm Phượng 1, 2026" in first
    for page, text in enumerate(pages, start=1):
        assert f"Trang {page}/{len(pages)}" in text.replace("\n", "") or f"Trang {page}/" in text
        assert "Tình trạng 22/11/2026" in text


def test_the_sheet_has_everything_that_the_council_asks_for(services, scenario):
    pages = texts(sheets.scenario_sheet(services, scenario, 2030, "A3"))
    whole = "\n".join(pages)
    figures = services.scenarios.figures(scenario.code)
    for metric in scenariopages.metrics(figures, 2030, "đồng"):
        assert paper.plain(metric["written"]) in pages[0], metric["key"]
    assert "10 km" in pages[0] or "5 km" in pages[0] or "20 km" in pages[0]
    assert "1 : " in pages[0] and "EPSG:9210" in pages[0] and "° Đ" in pages[0] and "° B" in pages[0]
    squeezed = whole.replace("\n", " ")
    for sentence in scenariopages.cautions(figures):
        assert paper.plain(sentence)[:40] in squeezed
    assert "QCVN 01:2021/BXD" in squeezed and "Phiên bản dữ liệu" in squeezed and "admin_units 1" in squeezed
    assert "baophapluat.vn" in squeezed, "the sources of the ledger"
    for y in ("2025", "2030", "2035 trở đi"):
        assert y in whole


def test_the_same_scenario_gives_the_same_bytes(services, scenario):
    first = sheets.scenario_sheet(services, scenario, 2030, "A4")
    time.sleep(1.1)  # a clock in the file would have gone on by a second
    assert sheets.scenario_sheet(services, scenario, 2030, "A4") == first
    assert sheets.scenario_sheet(services, scenario, 2028, "A4") != first
    made = datetime.fromisoformat(scenario.changed_at)
    assert f"/CreationDate (D:{made:%Y%m%d%H%M%S}".encode() in first
    assert first.startswith(b"%PDF-1.") and first.rstrip().endswith(b"%%EOF")


@pytest.mark.parametrize(("size", "wide", "high"), [("A3", 1190.55, 841.89), ("A4", 841.89, 595.28)])
def test_pages_lie_and_have_their_size_and_only_the_used_letters(services, scenario, size, wide, high):
    pdf = sheets.scenario_sheet(services, scenario, 2030, size)
    assert f"/MediaBox [0 0 {wide:.2f} {high:.2f}]".encode() in pdf
    assert len(pdf) < 250_000, "the fonts are cut to the letters used"
    assert re.search(rb"/FontFile2", pdf) and b"/JavaScript" not in pdf and b"/URI" not in pdf


def test_hostile_names_are_letters_only(services, planner):
    code = services.scenarios.create(
        planner,
        HOSTILE,
        note=HOSTILE,
        plants=[plant(name=" ".join(HOSTILE.replace("\x00", "").replace("\x07", "").replace("\u202e", "").split()))],
    )
    one = services.scenarios.get(code)
    pages = texts(sheets.scenario_sheet(services, one, 2030, "A4"))
    assert "<script>alert(1)</script> (x) \\) Tj ET ${7*7}" in pages[0]
    assert "漢" not in pages[0] and "??" in pages[0]
    other = texts(sheets.scenario_sheet(services, replace(one, name="sạch"), 2030, "A4"))
    assert len(other) == len(pages), "the name opens no page and ends no text"


def test_a_scenario_without_plants_and_one_full_of_them_fit(services, planner):
    empty = services.scenarios.get(services.scenarios.create(planner, "Không làm gì"))
    assert len(texts(sheets.scenario_sheet(services, empty, 2030, "A4"))) >= 2
    many = [
        plant(i, lon=106.2 + 0.02 * i, lat=20.7 + 0.012 * i, year=2026 + i % 9, name="Trạm tên rất dài " * 4)
        for i in range(1, 16)
    ]
    many = [replace(p, name=p.name.strip()[:120]) for p in many]
    full = services.scenarios.get(services.scenarios.create(planner, "Mười lăm trạm " + "dài " * 20, plants=many))
    pages = texts(sheets.scenario_sheet(services, full, 2035, "A4"))
    assert all(f"P{n} " in "\n".join(pages) for n in range(1, 16))


@pytest.mark.parametrize(("hour", "told"), [(16, "22/11/2026 23:30"), (17, "23/11/2026 00:30")])
def test_a_locked_one_is_printed_with_its_lock_and_the_day_of_the_city(services, planner, monkeypatch, hour, told):
    monkeypatch.setattr(services.scenarios, "_now", lambda: datetime(2026, 11, 22, hour, 30, tzinfo=UTC))
    code = services.scenarios.create(planner, "Khóa", plants=[plant()])
    services.scenarios.lock(planner, code, 1)
    first = texts(sheets.scenario_sheet(services, services.scenarios.get(code), 2030, "A4"))[0]
    assert f"Planner 1 khóa ngày {told[:10]}" in first and f"Tình trạng {told}" in first


def test_side_by_side_tells_differences_in_words(services, planner, scenario):
    other = services.scenarios.get(services.scenarios.create(planner, "Nhỏ hơn", plants=[plant(capacity_m3d=5000.0)]))
    columns = [
        {"scenario": s, "figures": services.scenarios.figures(s.code), "letter": x}
        for s, x in ((scenario, "A"), (other, "B"))
    ]
    pages = texts(sheets.comparison_sheet(services, columns, 2030, "A3"))
    whole = "\n".join(pages)
    assert "nhiều nhất" in whole and "ít hơn A" in whole and "B: Nhỏ hơn" in whole
    for c in columns:
        for m in scenariopages.metrics(c["figures"], 2030, c["scenario"].money.currency)[:3]:
            assert paper.plain(m["written"]) in whole.replace("\n", " ")


def test_a_size_that_is_none_is_refused_and_a_study_without_an_answer_too(services):
    with pytest.raises(ValueError, match="A3, A4"):
        Paper("A5", "x", made_at=AT)
    with pytest.raises(studysheets.NoAnswer):
        studysheets.study_sheet(services, "S-9999", "A4")


def test_an_entered_distance_is_printed_with_its_source_and_who_lives_within_it(services, planner):
    mine = plant(year=2028, own_m=120.0, own_source="QĐ 12/2027/QĐ-UBND")
    one = services.scenarios.get(services.scenarios.create(planner, "Tự nhập", plants=[mine]))
    pages = texts(sheets.scenario_sheet(services, one, 2030, "A4"))
    whole = "\n".join(pages).replace("\n", " ")
    assert "120 m, người quy hoạch tự nhập (nguồn: QĐ 12/2027/QĐ-UBND)" in whole
    assert "theo khoảng cách tự nhập của P1" in pages[0].replace("\n", " ") and "chưa xác lập" in whole
    column = {"scenario": one, "figures": services.scenarios.figures(one.code), "letter": "A"}
    both = "\n".join(texts(sheets.comparison_sheet(services, [column], 2030, "A4"))).replace("\n", " ")
    assert "P1 120 m (QĐ 12/2027/QĐ-UBND)" in both


# --- tables ---


def test_a_table_keeps_every_word_its_head_on_every_page_and_its_columns():
    pdf = Paper("A4", "Bảng", made_at=AT)
    rows = [[f"hàng {i}", f"{i * 1000}", "một câu khá dài " * 12 + f"hết{i}"] for i in range(60)]
    pdf.table_of(["Tên", "Số", "Lời"], rows, (10, 5, 20), numbers=(1,), strong=(3,))
    pages = texts(pdf.done())
    assert len(pages) > 3 and all(p.count("Lời") == 1 and "Tên" in p for p in pages)
    whole = "\n".join(pages)
    assert all(f"hàng {i}\n" in whole and f"hết{i}" in whole for i in range(60))
    assert whole.count("khá") == 60 * 12


def test_a_row_higher_than_a_page_goes_on_and_one_that_is_not_stays_whole():
    pdf = Paper("A4", "Bảng", made_at=AT)
    words = [f"w{i:04d}" for i in range(3000)]
    pdf.table_of(["A", "B"], [["đầu", "x"], ["dài", " ".join(words)], ["cuối", "y"]], (1, 1))
    pages = texts(pdf.done())
    found = re.findall(r"w\d{4}", "\n".join(pages))
    assert found == words and len(pages) >= 3 and "cuối" in pages[-1]
    pdf = Paper("A4", "Bảng", made_at=AT)
    tall = ["\n".join(f"r{i}l{k}" for k in range(12)) for i in range(9)]
    pdf.table_of(["A"], [[t] for t in tall], (1,))
    for page in texts(pdf.done()):
        there = re.findall(r"(r\d)l\d+", page)
        assert all(there.count(r) == 12 for r in there)


def test_a_heading_stays_with_its_table_where_both_fit_on_a_page():
    pdf = Paper("A4", "Bảng", made_at=AT)
    for n in range(9):
        pdf.section(f"Mục {n}.", ["A", "B"], [[f"m{n}r{k}", "x"] for k in range(7)], (1, 1))
    pages = texts(pdf.done())
    assert len(pages) > 1
    for n in range(9):
        on = [i for i, text in enumerate(pages) if f"m{n}r" in text]
        assert len(on) == 1 and f"Mục {n}." in pages[on[0]], n
    pdf = Paper("A4", "Bảng", made_at=AT)
    pdf.section("Dài.", ["A"], [[f"r{k}"] for k in range(90)], (1,))
    pages = texts(pdf.done())
    assert "Dài." in pages[0] and "r0\n" in pages[0], "what fits on no page begins where it stands"


@given(st.text(alphabet="aW ắ-", max_size=120), st.floats(4, 80))
def test_lines_are_as_wide_as_they_may_be_and_lose_no_letter(text, width):
    look = papertable._Look("", 8.0, {ord(c): w for c, w in zip("aW ắ-", (560, 980, 250, 560, 400), strict=True)})
    found = papertable.lines(text, look, width)
    assert "".join(found).replace(" ", "") == text.replace(" ", "")
    assert all(look.wide(line) <= width or len(line.strip()) == 1 for line in found)


# --- the map ---


def test_the_map_is_true_to_scale_and_direction(services):
    pdf = Paper("A4", "Bản đồ", made_at=AT)
    x, y = metres(106.68, 20.85)
    board = Map(pdf, (20.0, 30.0, 100.0, 50.0), (x - 10_000, y - 5000, x + 10_000, y + 5000))
    assert board.at(x, y) == pytest.approx((70.0, 55.0))
    east, north = board.at(x + 1000, y), board.at(x, y + 1000)
    assert east[0] - 70 == pytest.approx(5) and north[1] - 55 == pytest.approx(-5), "5 mm a kilometre, north is up"
    board.ground(outlines(services.figures, 200.0))
    board.finish("ghi chú")
    text = texts(pdf.done())[0]
    assert "khoảng 1 : 200.000" in text and "ghi chú" in text
    assert f"{round_length(20_000, 0.22) / 1000:g} km" in text


def test_names_keep_clear_of_signs_and_of_each_other():
    pdf = Paper("A4", "Tên", made_at=AT)
    board = Map(pdf, (20.0, 30.0, 100.0, 50.0), (0.0, 0.0, 20_000.0, 10_000.0))
    for name in ("Một", "Hai"):
        board.name((5000, 5000), name)
    board.mark((15_000, 5000), "circle", size=6.0)
    board.name((15_000, 5000), "Ba", away=1.0)
    text = texts(pdf.done())[0]
    assert "Một" in text and "Hai" not in text and "Ba" not in text


def test_a_frame_has_the_shape_of_the_paper_and_holds_its_points():
    box = frame([(0.0, 0.0), (30_000.0, 4000.0)], ratio=1.5)
    assert (box[2] - box[0]) / (box[3] - box[1]) == pytest.approx(1.5)
    assert box[0] < 0 and box[2] > 30_000 and box[1] < 0 and box[3] > 4000
    alone = frame([(5.0, 7.0)], ratio=2.0)
    assert alone[3] - alone[1] == pytest.approx(12_000) and (alone[0] + alone[2]) / 2 == pytest.approx(5)


# --- the answer of a study ---


@pytest.fixture(scope="module")
def study(services, tmp_path_factory):
    """The question of the small town, answered, as services.studies would hold it; its name is hostile."""
    folder = tmp_path_factory.mktemp("town")
    result = sitework.answer(
        smalltown.question(name="Thị trấn " + HOSTILE.replace("\x00", "")), smalltown.town(), folder
    )

    class Studies:
        def result(self, code):
            return result if code == "S-0001" else None

        def get(self, code):
            return {"code": code, "changed_at": "2026-11-22T08:30:00.000+00:00", "done_run": "0001"}

        def paths(self, code):
            return {"folder": folder, "reasons": folder / "reasons.tif"}

    kept, services.studies = services.studies, Studies()
    yield result
    services.studies = kept


def test_the_sheet_of_a_study_tells_sites_rules_and_what_was_not_checked(services, study):
    pages = texts(studysheets.study_sheet(services, "S-0001", "A3"))
    whole = "\n".join(pages).replace("\n", " ")
    site = study["sites"][0]
    assert "Thị trấn <script>alert(1)</script>" in pages[0]
    assert f"\n{site['label']}\n" in pages[0] and "Chú giải" in pages[0] and "đất bị một quy tắc loại" in pages[0]
    assert paper.plain(m3(study["plan"]["gain_m3_day"])) in pages[0] and "đã chứng minh là tốt nhất" in pages[0]
    assert f"{site['lat']:.5f}".replace(".", ",") in whole
    for row in study["rules"]:
        assert sitewords.word("rule", row["code"], "vi") in whole
    for item in study["unchecked"]:
        of_table = item["kind"] in ("rule", "criterion")
        name = (
            sitewords.word(item["kind"], item["code"], "vi")
            if of_table
            else translations("vi").gettext(KINDS[item["kind"]])
        )
        assert paper.plain(name).split(" (")[0] in whole, item
    assert "chưa kiểm tra" in whole and "không có số liệu" in whole
    assert "by hand" in whole, "the source of the data"


def test_the_sheet_of_a_study_is_the_same_again_and_draws_the_excluded_land(services, study):
    first = studysheets.study_sheet(services, "S-0001", "A4")
    assert studysheets.study_sheet(services, "S-0001", "A4") == first
    rings = studysheets._excluded(services.studies.paths("S-0001")["reasons"])
    outside = sum(0.5 * abs((r[:-1, 0] * r[1:, 1] - r[1:, 0] * r[:-1, 1]).sum()) for r in rings)
    assert outside > 0 and studysheets._excluded(None) == ()
    with pytest.raises(studysheets.NoAnswer):
        studysheets.study_sheet(services, "S-0002", "A4")
