"""A scenario as files: a GeoPackage for a GIS and a workbook for a spreadsheet, both with the words of both languages."""

import io
import tempfile
from pathlib import Path

import shapely

from geo.coverage import PARTS
from layers import formats
from layers.catalogue import Field, Layer
from server.scenariopages import law_words
from server.words import PARTS as PART_WORDS


def _text(name, vi, en):
    return Field(name, "text", vi, en)


def _number(name, vi, en, unit=""):
    return Field(name, "number", vi, en, unit)


def _whole(name, vi, en, unit=""):
    return Field(name, "integer", vi, en, unit)


_M3D = "m³/ngày"
_WHERE = (_number("lon", "Kinh độ", "Longitude", "°"), _number("lat", "Vĩ độ", "Latitude", "°"))
PLANTS = Layer("scenario_plants", "Trạm mới", "New plants", "Point", (
    _text("code", "Mã", "Code"), _text("name", "Tên", "Name"), _whole("year", "Năm hoạt động", "Works from the year"), *_WHERE,
    _number("capacity_m3d", "Công suất", "Capacity", _M3D), _number("treated_low", "Xử lý (thấp)", "Treats (low)", _M3D),
    _number("treated_likely", "Xử lý (khả dĩ nhất)", "Treats (likely)", _M3D), _number("treated_high", "Xử lý (cao)", "Treats (high)", _M3D),
    _number("people", "Số người", "People"), _text("technology", "Công nghệ", "Technology"), _text("enclosed", "Khép kín", "Enclosed"),
    _text("serves", "Phục vụ", "Serves"), _number("within_m", "Phạm vi thu", "Collects up to", "m"),
    _number("law_m", "Khoảng cách an toàn", "Safety distance", "m"), _text("law_by", "Theo", "By"),
    _text("law_rows", "Hàng của bảng", "Rows of the table"), _number("people_near", "Người trong khoảng cách", "People within it"),
    _number("own_m", "Khoảng cách tự nhập", "Entered distance", "m"), _text("own_source", "Nguồn của khoảng cách tự nhập", "Source of the entered distance"),
    _text("law_words", "Diễn giải", "In words"), _number("sewer_km", "Cống", "Sewers", "km"), _number("build_cost", "Chi phí xây", "Cost of building"),
    _number("sewer_cost", "Chi phí cống", "Cost of sewers"), _text("study", "Nghiên cứu", "Study"), _text("site", "Vị trí", "Site")))  # fmt: skip
LINES = Layer("scenario_lines", "Đường phân bổ", "Allocation lines", "Geometry", (
    _text("plant", "Trạm", "Plant"), _whole("year", "Từ năm", "From the year"), _text("unit", "Đơn vị", "Unit"),
    _text("name_vi", "Tên", "Name in Vietnamese"), _text("name_en", "Tên tiếng Anh", "Name"), _number("m3d", "Nước thải", "Waste water", _M3D),
    _number("share", "Tỷ lệ nước chưa xử lý", "Share of the untreated water", "0..1"), _number("distance_m", "Khoảng cách", "Distance", "m")))  # fmt: skip
SPOTS = Layer("scenario_hotspots", "Điểm nóng được giảm tải", "Hotspots relieved", "Point", (
    _text("code", "Mã", "Code"), _text("name_vi", "Tên", "Name in Vietnamese"), _text("name_en", "Tên tiếng Anh", "Name"),
    _whole("year", "Từ năm", "From the year")))  # fmt: skip
YEARS = Layer("scenario_years", "Theo năm", "By year", None, (
    _whole("year", "Năm", "Year"), _text("built", "Đã xây", "Built"),
    *(_number(f"{n}_{s}", f"{vi} ({w})", f"{en} ({s})", _M3D)
      for n, vi, en in (("generated", "Phát sinh", "Generated"), ("treated", "Được xử lý", "Treated"), ("gained", "Tăng thêm", "Gained"))
      for s, w in (("low", "thấp"), ("likely", "khả dĩ nhất"), ("high", "cao"))),
    *(_number(f"{p}_likely", p, PART_WORDS[p][0], _M3D) for p in PARTS),
    _number("share_likely", "Tỷ lệ đến trạm hoạt động", "Share that reaches a working plant", "0..1"),
    _number("people_gained", "Số người được thêm", "People gained"), _number("hotspots", "Điểm nóng giảm tải", "Hotspots relieved"),
    _number("near", "Người trong khoảng cách an toàn", "People within the safety distance"),
    _text("near_by_own", "Theo khoảng cách tự nhập", "By an entered distance"), _text("near_by_today", "Theo quy định hiện hành", "By today's rules"), _number("invested", "Đầu tư", "Investment so far"),
    _number("operation_a_year", "Vận hành mỗi năm", "Operation a year"), _number("per_m3d", "Đầu tư mỗi m³/ngày", "Investment per m³ a day gained"),
    _number("per_m3", "Chi phí mỗi m³", "Cost per m³ treated")))  # fmt: skip
UNITS = Layer("scenario_units", "Đơn vị", "Units", None, (
    _text("unit", "Đơn vị", "Unit"), _text("name_vi", "Tên", "Name in Vietnamese"), _text("name_en", "Tên tiếng Anh", "Name"),
    _number("generated", "Phát sinh", "Generated", _M3D), _number("gained", "Tăng thêm", "Gained", _M3D), _number("people", "Số người", "People"),
    *(_number(f"{when}_{p}", f"{p} ({vi})", f"{PART_WORDS[p][0]} ({when})", _M3D) for when, vi in (("before", "trước"), ("after", "sau")) for p in PARTS)))  # fmt: skip
ABOUT = Layer(
    "scenario_about", "Về kịch bản", "About", None, (_text("item", "Mục", "Item"), _text("value", "Nội dung", "Value"))
)


def rows(scenario, figures, cautions):
    """{Layer: list of dicts} of a scenario; places as "geometry" in EPSG:4326."""
    money = scenario.money
    about = {
        "scenario": f"{scenario.code} {scenario.name}", "note": scenario.note, "revision": scenario.revision,
        "changed": f"{scenario.changed_at} {scenario.changed_by}",
        "locked": f"{scenario.locked_at} {scenario.locked_by}" if scenario.locked else "", "ledger of": figures["as_of"],
        "data version": figures["version"], "currency": money.currency, "building per m³/day": money.build,
        "sewers per km": money.sewer, "operation per m³": money.operation, "years": money.years, "interest %": money.interest,
    }  # fmt: skip
    first = {
        h["code"]: next(y["year"] for y in figures["years"] if h["code"] in y["hotspots"]) for h in figures["hotspots"]
    }
    return {
        ABOUT: [{"item": k, "value": "" if v is None else str(v)} for k, v in about.items()]
        + [{"item": "note", "value": c} for c in cautions],
        PLANTS: [_plant(p) for p in figures["plants"]],
        YEARS: [_year(y) for y in figures["years"]],
        UNITS: [u | {f"{w}_{p}": u[w][p] for w in ("before", "after") for p in PARTS} for u in figures["units"]],
        LINES: [
            u | {"plant": p["code"], "year": p["year"],
                 "geometry": shapely.LineString([(u["lon"], u["lat"]), (p["lon"], p["lat"])]) if u["lon"] is not None else None}
            for p in figures["plants"] for u in p["units"]
        ],
        SPOTS: [h | {"year": first[h["code"]], "geometry": None if h["lon"] is None else shapely.Point(h["lon"], h["lat"])}
                for h in figures["hotspots"]],
    }  # fmt: skip


def _plant(p):
    law = p["law"]
    rule = {"own": law.get("own"), "year": law["then"]}.get(law["by"], law["today"])
    return p | {
        "geometry": shapely.Point(p["lon"], p["lat"]), **{f"treated_{s}": v for s, v in p["treated"].items()},
        "enclosed": {True: "yes", False: "no", None: ""}[p["enclosed"]], "law_m": law["metres"], "law_by": law["by"] or "not established",
        "law_rows": ", ".join(rule["rows"]), "own_m": p.get("own_m"), "own_source": p.get("own_source", ""), "people_near": law["near"] and law["near"]["people"], "law_words": " ".join(law_words(p)),
    }  # fmt: skip


def _year(y):
    triples = {f"{n}_{s}": v for n in ("generated", "treated", "gained") for s, v in y[n].items()}
    parts = {f"{p}_likely": y["parts"][p]["likely"] for p in PARTS}
    return (
        y
        | triples
        | parts
        | {f"near_by_{by}": ", ".join(y.get(f"near_by_{by}", ())) for by in ("own", "today")}
        | {"built": ", ".join(y["built"]), "share_likely": y["share"]["likely"], "hotspots": len(y["hotspots"])}
    )


def geopackage(scenario, figures, cautions):
    """The bytes of the GeoPackage."""
    made = rows(scenario, figures, cautions)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.gpkg"
        formats.geopackage_file(
            path, [formats.listed(layer, made[layer]) for layer in (PLANTS, LINES, SPOTS, YEARS, UNITS, ABOUT)]
        )
        return path.read_bytes()


def workbook(scenario, figures, cautions, language):
    """The bytes of the workbook: one sheet per list, headings in the language, numbers as numbers, texts never formulas."""
    import openpyxl
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = openpyxl.Workbook(write_only=True)
    for layer, records in rows(scenario, figures, cautions).items():
        sheet = book.create_sheet(getattr(layer, language)[:31])
        sheet.freeze_panes = "A2"
        table = formats.listed(layer, records)
        heads = [getattr(f, language) + (f" ({f.unit if language == 'vi' else f.unit.replace('ngày', 'day')})" if f.unit else "")
                 for f in table.fields]  # fmt: skip
        for i, (head, column) in enumerate(zip(heads, table.columns, strict=True), start=1):
            longest = max([len(head), *(len(str(v)) for v in column[:60] if v is not None)])
            sheet.column_dimensions[get_column_letter(i)].width = min(max(longest + 2, 9), 60)
        sheet.append([_cell(sheet, h, WriteOnlyCell, Font(bold=True)) for h in heads])
        for values in table.rows():
            sheet.append([_cell(sheet, v, WriteOnlyCell) for v in values])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _cell(sheet, value, kind, font=None):
    if isinstance(value, str):
        value = "".join(c for c in value if c.isprintable() or c == "\n")[:32_000]
    cell = kind(sheet, value=value)
    if isinstance(value, str):
        cell.data_type = "s"
    if font:
        cell.font = font
    return cell
