"""An answer as files: a GeoPackage for a GIS, a workbook for a spreadsheet, and a replay file that holds question and data.

Everything is taken from result.json and the rasters of the run; the same answer gives the same workbook and replay file.
"""

import hashlib
import io
import json
import os
from datetime import datetime

import geopandas as gpd
import numpy as np
import rasterio
import rasterio.features
import shapely
from affine import Affine
from rasterio.enums import Resampling

from layers import formats
from layers.catalogue import Field, Layer
from layers.workbook import LONG_AGO, NOT_IN_XML, undated
from server import sitedata
from server.i18n import N_
from server.sitespec import SpecError, checked
from server.sitewords import WORDS, said, unchecked_name, word

REPLAY = "cangxanh-siting-replay/1"
OUTLINE_CELLS = 4_000_000  # above this the outlines of excluded land are drawn from every second, third ... cell
MAX_CELL = 32_000
FIGURES = (
    *(
        "unit",
        "grid",
        "area_ha",
        "free_ha",
        "excluded",
        "rules",
        "criteria",
        "ahp",
        "laws",
        "unchecked",
        "demand",
        "demands",
    ),
    *("plants", "candidates", "refused", "plan", "curve", "chain", "flows", "robustness", "prints", "spec"),
)


def write_files(result, spec, data, folder):
    """study.gpkg, study.xlsx and replay.json into the folder of the run, where result.json and the rasters are."""
    formats.geopackage_file(folder / "study.gpkg", tables(result, folder))
    _put(folder / "study.xlsx", workbook(result))
    _put(folder / "replay.json", replay_text(spec, data, result).encode())


def _put(path, body):
    part = path.with_name(path.name + ".part")
    part.write_bytes(body)
    os.replace(part, path)


# --- fields ---


def _text(name, vi, en):
    return Field(name, "text", vi, en)


def _number(name, vi, en, unit=""):
    return Field(name, "number", vi, en, unit)


_CODE, _LABEL = _text("code", "Mã", "Code"), _text("label", "Ký hiệu", "Label")
_WARD = _text("ward", "Xã, phường", "Ward")
_PLACE = (_number("lon", "Kinh độ", "Longitude", "°"), _number("lat", "Vĩ độ", "Latitude", "°"))
_CAPACITY = _number("capacity_m3_day", "Công suất", "Capacity", "m³/ngày")
_SCORE = _number("score", "Điểm thích hợp", "Suitability", "0..1")
_SERVED = (_number("m3_day", "Nước thải", "Waste water", "m³/ngày"), _number("people", "Số người", "People"))
SITES = Layer("sites", "Vị trí được chọn", "Chosen sites", "Point", (
    _LABEL, _CODE, _WARD, *_PLACE, Field("step", "integer", "Thứ tự xây", "Order of building"), _CAPACITY,
    _number("cost", "Chi phí", "Cost"), _number("used_m3_day", "Công suất dùng", "Capacity used", "m³/ngày"),
    _number("people", "Số người được phục vụ", "People served"),
    _number("gain_m3_day", "Tăng thêm", "Gain", "m³/ngày"), _number("gain_people", "Số người tăng thêm", "People gained"),
    _number("mean_distance_m", "Khoảng cách trung bình", "Mean distance", "m"), _SCORE,
    Field("rank", "integer", "Hạng", "Rank"), _number("in_top", "Tỷ lệ lần thử ở nhóm đầu", "Share of runs among the first", "0..1"),
    _number("law_m", "Khoảng cách an toàn", "Safe distance", "m"), _text("law_rows", "Hàng của bảng", "Rows of the table"),
    _text("law_confidence", "Độ tin cậy", "Confidence"),
    _number("people_inside", "Số người trong khoảng cách", "People inside the distance"),
    _number("people_open", "Nếu công nghệ hở", "If open"), _number("people_enclosed", "Nếu khép kín", "If enclosed"),
    _text("upstream", "Ở thượng lưu điểm lấy nước", "Upstream of an intake"),
    Field("cost_class", "integer", "Hạng chi phí", "Cost class"), _number("plot_ha", "Đất xây dựng tối đa", "Plot at most", "ha"),
    _text("unchecked", "Chưa kiểm tra", "Not checked"), _text("conflicts_vi", "Lưu ý", "Conflicts in Vietnamese"),
    _text("conflicts_en", "Lưu ý (tiếng Anh)", "Conflicts")))  # fmt: skip
CANDIDATES = Layer("candidates", "Vị trí ứng viên", "Candidate sites", "Point", (
    _CODE, _LABEL, _WARD, *_PLACE, Field("rank", "integer", "Hạng", "Rank"), _SCORE,
    _number("in_top", "Tỷ lệ lần thử ở nhóm đầu", "Share of runs among the first", "0..1"),
    _text("options", "Công suất cho phép", "Capacities allowed"), _text("upstream", "Ở thượng lưu điểm lấy nước", "Upstream of an intake"),
    _text("given", "Do người dùng cho", "Given by the planner"), _text("forced", "Bắt buộc", "Forced")))  # fmt: skip
DEMANDS = Layer("demands", "Điểm phát sinh", "Demands", "Point", (
    _CODE, _text("unit", "Đơn vị", "Unit"), *_SERVED,
    _number("served_m3_day", "Được thu gom", "Served", "m³/ngày")))  # fmt: skip
LINES = Layer("allocation", "Nước thải về đâu", "Allocation", "Geometry", (
    _text("facility", "Nhà máy", "Plant"), _text("demand", "Điểm phát sinh", "Demand"), _text("unit", "Đơn vị", "Unit"),
    *_SERVED, _number("distance_m", "Khoảng cách", "Distance", "m")))  # fmt: skip
EXCLUDED = Layer("excluded", "Đất bị loại", "Excluded land", "Polygon", (
    _CODE, _text("reason_vi", "Lý do", "Reason in Vietnamese"), _text("reason_en", "Lý do (tiếng Anh)", "Reason"),
    _number("ha", "Diện tích", "Area", "ha"), _number("share", "Tỷ lệ", "Share of the area", "0..1"),
    _text("source", "Nguồn", "Source")))  # fmt: skip
PLANTS = Layer("plants", "Nhà máy hiện có", "Standing plants", "Point", (
    _CODE, _text("name_vi", "Tên", "Name in Vietnamese"), _text("name_en", "Tên tiếng Anh", "Name"),
    _text("state", "Tình trạng", "State"), _CAPACITY, _number("flow_m3_day", "Lưu lượng", "Flow", "m³/ngày"),
    _number("spare_m3_day", "Còn nhận được", "Spare capacity", "m³/ngày"),
    _number("used_m3_day", "Được dùng thêm", "Used by the plan", "m³/ngày"), _text("why", "Vì sao", "Why")))  # fmt: skip
CURVE = Layer("curve", "Nước thải theo số nhà máy", "Served by number of plants", None, (
    Field("number", "integer", "Số nhà máy mới", "New plants"), _text("site", "Vị trí thêm", "Site added"), _CAPACITY,
    _number("cost", "Tổng chi phí", "Cost of all"), _number("served_m3_day", "Thu được", "Served", "m³/ngày"),
    _number("people", "Số người", "People"), _number("value", "Giá trị mục tiêu", "Value"),
    _number("bound", "Không thể hơn", "Bound")))  # fmt: skip
CHAIN = Layer("chain", "Phương án theo số lượng", "Best plan by number or budget", None, (
    Field("number", "integer", "Số nhà máy", "Number"), _number("budget", "Ngân sách", "Budget"),
    _number("served_m3_day", "Thu được", "Served", "m³/ngày"), _number("people", "Số người", "People"),
    _number("cost", "Chi phí", "Cost"), _number("bound", "Không thể hơn", "Bound"), _number("gap", "Chênh lệch", "Gap", "0..1"),
    _text("status", "Tình trạng", "Status"), _text("sites", "Vị trí", "Sites")))  # fmt: skip
RULES = Layer("rules", "Quy tắc", "Rules", None, (
    _CODE, _text("words_vi", "Quy tắc", "Rule in Vietnamese"), _text("words_en", "Quy tắc (tiếng Anh)", "Rule"),
    _text("status_vi", "Tình trạng", "Status in Vietnamese"), _text("status_en", "Tình trạng (tiếng Anh)", "Status"),
    _text("distance_m", "Khoảng cách theo quy mô (m)", "Distance by size (m)"), _text("source", "Nguồn", "Source"),
    _text("confidence", "Độ tin cậy", "Confidence"),
    _text("why_vi", "Vì sao", "Why in Vietnamese"), _text("why_en", "Vì sao (tiếng Anh)", "Why"),
    _number("ha", "Đất bị loại", "Land excluded", "ha"), _number("share", "Tỷ lệ", "Share of the area", "0..1")))  # fmt: skip
CRITERIA = Layer("criteria", "Tiêu chí", "Criteria", None, (
    _CODE, _text("words_vi", "Tiêu chí", "Criterion in Vietnamese"), _text("words_en", "Tiêu chí (tiếng Anh)", "Criterion"),
    _number("weight", "Trọng số", "Weight", "0..1"), _text("unit", "Đơn vị đo", "Unit"),
    _text("curve", "Đường giá trị", "Value curve"), _text("status", "Tình trạng", "Status")))  # fmt: skip
UNITS = Layer("by_unit", "Đơn vị được phục vụ", "Units served", None, (
    _text("facility", "Nhà máy", "Plant"), _text("unit", "Đơn vị", "Unit"), *_SERVED))  # fmt: skip
ROBUST = Layer("robustness", "Độ vững của thứ hạng", "Robustness of the ranking", None, (
    _CODE, Field("rank", "integer", "Hạng", "Rank"), _number("in_top", "Tỷ lệ lần thử ở nhóm đầu", "Share of runs among the first", "0..1"),
    _number("first", "Tỷ lệ đứng đầu", "Share in front", "0..1"), _number("mean_rank", "Hạng trung bình", "Mean rank"),
    Field("best", "integer", "Hạng tốt nhất", "Best rank"), Field("worst", "integer", "Hạng kém nhất", "Worst rank")))  # fmt: skip
FACTS = Layer("summary", "Tóm tắt", "Summary", None, (
    _text("item_vi", "Mục", "Item in Vietnamese"), _text("item_en", "Mục (tiếng Anh)", "Item"),
    _number("value", "Giá trị", "Value"), _text("unit", "Đơn vị", "Unit"), _text("text_vi", "Nội dung", "Text in Vietnamese"),
    _text("text_en", "Nội dung (tiếng Anh)", "Text")))  # fmt: skip


# --- the rows ---


def rows(result):
    """{Layer: list of dicts} of everything but excluded outlines; places as "geometry" in EPSG:4326."""
    layers = result["spec"]["layers"]
    top = {s["code"]: s["in_top"] for s in (result["robustness"] or {}).get("sites", ())}
    spots = {d["code"]: (d["lon"], d["lat"]) for d in result["demands"]}
    spots |= {p["code"]: (p["lon"], p["lat"]) for p in result["plants"]}
    spots |= {c["code"]: (c["lon"], c["lat"]) for c in result["candidates"]}
    taken = {row["code"]: row for row in result["excluded"]}
    return {
        FACTS: _facts(result),
        SITES: [_site(s, top, layers) for s in result["sites"]],
        CURVE: result["curve"],
        CHAIN: [c | {"sites": "; ".join(f"{s['code']} ({s['capacity_m3_day']:g})" for s in c["sites"])} for c in result["chain"]],
        RULES: [_rule(r, taken.get(r["code"], {}), layers) for r in result["rules"]],
        CRITERIA: [_criterion(c, layers) for c in result["criteria"]],
        CANDIDATES: [
            c
            | {"geometry": shapely.Point(c["lon"], c["lat"]), "in_top": top.get(c["code"])}
            | {"options": "; ".join(f"{o:g}" for o in c["options"])}
            | {name: "yes" if c[name] else "no" for name in ("given", "forced")}
            for c in result["candidates"]
        ],
        ROBUST: (result["robustness"] or {}).get("sites", []),
        PLANTS: [p | {"geometry": shapely.Point(p["lon"], p["lat"])} for p in result["plants"]],
        UNITS: [{"facility": s["code"], **u} for s in result["sites"] for u in s["units"]],
        LINES: [f | {"geometry": shapely.LineString([spots[f["demand"]], spots[f["facility"]]])} for f in result["flows"]],
        DEMANDS: [d | {"geometry": shapely.Point(d["lon"], d["lat"])} for d in result["demands"]],
    }  # fmt: skip


def _site(site, top, layers):
    card = site["card"]
    inside = {name: (card["people_inside"][name] or {}).get("people") for name in ("now", "open", "enclosed")}
    law = card["law"]
    return site | {
        "geometry": shapely.Point(site["lon"], site["lat"]),
        "in_top": top.get(site["code"]),
        "law_m": law["distance_m"],
        "law_rows": ", ".join(law["rows"]),
        "law_confidence": law["confidence"],
        "people_inside": inside["now"],
        "people_open": inside["open"],
        "people_enclosed": inside["enclosed"],
        "upstream": card["upstream"]["state"],
        "plot_ha": card["land"]["plot_ha"],
        "unchecked": "; ".join(card["unchecked"]),
        "conflicts_vi": " ".join(c["vi"] for c in card["conflicts"]),
        "conflicts_en": " ".join(c["en"] for c in card["conflicts"]),
    }


def _rule(rule, taken, layers):
    out = {"code": rule["code"], "ha": taken.get("ha"), "share": taken.get("share")}
    for language in ("vi", "en"):
        out[f"words_{language}"] = word("rule", rule["code"], language, layers)
        out[f"status_{language}"] = word("status", rule["status"], language)
        out[f"why_{language}"] = "; ".join(word(_table_of(w), w, language) for w in rule["why"])
    out["distance_m"] = "; ".join("–" if m is None else f"{m:g}" for m in dict.fromkeys(rule["distance_m"]))
    sure = "; ".join(dict.fromkeys(word("confidence", c, "vi") for c in rule["confidence"] if c))
    return out | {"source": "; ".join(dict.fromkeys(rule["source"])), "confidence": sure}


def _table_of(code):
    return "why" if code in WORDS["why"] else "status"


def _criterion(row, layers):
    out = {"code": row["code"], "weight": row["weight"], "unit": row["unit"], "status": row["status"]}
    out["curve"] = "; ".join(f"{m:g} → {v:g}" for m, v in row["curve"])
    return out | {f"words_{language}": word("criterion", row["code"], language, layers) for language in ("vi", "en")}


def _facts(result):
    """The first sheet: what was asked, what came out, what everybody should know, and where it comes from."""
    plan, out = result["plan"] or {}, []

    def add(words, value=None, unit="", text=None):
        name = said(words)
        text = text if isinstance(text, dict) else {"vi": text, "en": text}
        number = value if isinstance(value, int | float) else None
        unit = unit.replace("m³", "t") if result["unit"] == "t_day" else unit
        out.append({"item_vi": name["vi"], "item_en": name["en"], "value": number, "unit": unit}
                   | {f"text_{language}": text[language] for language in ("vi", "en")})  # fmt: skip

    def words_of(table, code):
        return {language: word(table, code, language) for language in ("vi", "en")} if code else None

    spec = result["spec"]
    add(N_("Study"), text=result["name"])
    add(N_("Data and rules as of"), text=result["as_of"])
    add(N_("Model"), text=words_of("model", spec["model"]))
    add(N_("Goal"), text=words_of("goal", spec["goal"]))
    add(N_("New plants at most"), spec["number"])
    add(N_("Budget"), spec["budget"], spec["money"])
    if result["infeasible"]:
        add(N_("No plan"), text=result["infeasible"])
    add(N_("Proof"), text=words_of("status", plan.get("status")))
    add(N_("Served by all plants"), plan.get("served_m3_day"), "m³/ngày")
    add(N_("Gained by the new plants"), plan.get("gain_m3_day"), "m³/ngày")
    add(N_("People gained"), plan.get("gain_people"))
    add(N_("No plan can reach more than"), plan.get("bound"))
    add(N_("Gap"), plan.get("gap"), "0..1")
    add(N_("Cost of the new plants"), plan.get("cost"), spec["money"])
    add(N_("Not served"), plan.get("unserved_m3_day"), "m³/ngày")
    add(N_("Study area"), result["area_ha"], "ha")
    add(N_("Land that keeps the rules"), result["free_ha"], "ha")
    for item in result["unchecked"]:
        whys = {lang: "; ".join(word(_table_of(w), w, lang) for w in item["why"]) for lang in ("vi", "en")}
        names = {lang: unchecked_name(item, lang, spec["layers"]) for lang in ("vi", "en")}
        add(N_("Not checked"), text={lang: f"{names[lang]}: {whys[lang]}" for lang in ("vi", "en")})
    for note in result["notes"]:
        add(N_("Note"), text=note)
    for source in result["sources"]:
        add(N_("Source"), text=source)
    add(N_("Seed"), result["seed"])
    return out


# --- GeoPackage ---


def tables(result, folder):
    """The Tables of the GeoPackage, places first."""
    made = rows(result)
    made = {EXCLUDED: _excluded(result, folder)} | made
    return [formats.listed(layer, made[layer]) for layer in (SITES, LINES, DEMANDS, CANDIDATES, PLANTS, EXCLUDED, CURVE, RULES, CRITERIA, FACTS)]  # fmt: skip


def _excluded(result, folder):
    """One row per reason with its land as polygons, from the raster of reasons."""
    path = folder / "reasons.tif"
    if not path.exists():
        return []
    with rasterio.open(path) as file:
        step = max(1, int(np.ceil(np.sqrt(file.width * file.height / OUTLINE_CELLS))))
        size = (-(-file.height // step), -(-file.width // step))
        bits = file.read(1, out_shape=size, resampling=Resampling.nearest)
        t = file.transform
        transform = Affine(t.a * file.width / size[1], 0.0, t.c, 0.0, t.e * file.height / size[0], t.f)
        crs = file.crs.to_wkt()
    out, layers = [], result["spec"]["layers"]
    places = {r["code"]: 4 << r["bit"] for r in result["rules"] if r["bit"] is not None} | {"unknown": 2}
    for row in result["excluded"]:
        mask = ((bits & 1) == 0) & ((bits & places[row["code"]]) > 0)
        if not mask.any():
            continue
        found = rasterio.features.shapes(mask.astype("uint8"), mask=mask, transform=transform)
        shape = shapely.multipolygons([shapely.geometry.shape(ring) for ring, _ in found])
        shape = gpd.GeoSeries([shape], crs=crs).to_crs(4326).iloc[0]
        names = {f"reason_{language}": word("rule", row["code"], language, layers) for language in ("vi", "en")}
        out.append(row | names | {"geometry": shape})
    return out


# --- the workbook ---


def workbook(result):
    """The bytes of an XLSX: one sheet for each list, two rows of headings (Vietnamese, English), typed cells."""
    import openpyxl
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = openpyxl.Workbook(write_only=True)
    bold = Font(bold=True)
    for layer, records in rows(result).items():
        sheet = book.create_sheet(f"{layer.vi}"[:31])
        sheet.freeze_panes = "A3"

        def cell(value, font=None, sheet=sheet):
            if isinstance(value, str):
                value = NOT_IN_XML.sub("", value)[:MAX_CELL]
            made = WriteOnlyCell(sheet, value=value)
            if isinstance(value, str):
                made.data_type = "s"  # a text that begins with = stays a text
            if font:
                made.font = font
            return made

        table = formats.listed(layer, records)
        for k, (field, column) in enumerate(zip(table.fields, table.columns, strict=True), start=1):
            longest = max([len(field.vi), len(field.en), *(len(str(v)) for v in column[:100] if v is not None)])
            sheet.column_dimensions[get_column_letter(k)].width = min(max(longest + 2, 9), 60)
        for language in ("vi", "en"):
            unit = {"vi": lambda u: u, "en": lambda u: u.replace("ngày", "day")}[language]
            heads = [getattr(f, language) + (f" ({unit(f.unit)})" if f.unit else "") for f in table.fields]
            heads = [h.replace("m³", "t") for h in heads] if result["unit"] == "t_day" else heads
            sheet.append([cell(head, bold) for head in heads])
        for values in table.rows():
            sheet.append([cell(v) for v in values])
    book.properties.created = book.properties.modified = datetime(*LONG_AGO)
    out = io.BytesIO()
    book.save(out)
    return undated(out.getvalue())


# --- replay ---


def fingerprint(result):
    """The sha256 of every figure of an answer: all its tables, without the sentences, which may be worded anew."""
    tables = {name: result[name] for name in FIGURES}
    bare = [s | {"card": {k: v for k, v in s["card"].items() if k != "conflicts"}} for s in result["sites"]]
    binding = result["infeasible"] and result["infeasible"]["rule"]
    made = tables | {"sites": bare, "infeasible": binding}
    return hashlib.sha256(sitedata.packed(made).encode()).hexdigest()


def replay_text(spec, data, result):
    """Question, data and the fingerprint of the answer, as JSON text."""
    left_out = sorted(set(data.rasters) - {slot for slot, raster in data.rasters.items() if hasattr(raster, "values")})
    document = {"format": REPLAY, "spec": spec, "data": sitedata.to_json(data), "fingerprint": fingerprint(result)}
    return sitedata.packed(document | {"left_out": left_out})


def read_replay(path):
    """(spec, Data, fingerprint of the answer) of a replay file. Raises SpecError."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise SpecError([("replay", said(N_("%(file)s cannot be read (%(why)s)."), file=path.name, why=str(e)))]) from e
    if not isinstance(document, dict) or document.get("format") != REPLAY:
        raise SpecError([("replay", said(N_("%(file)s is not a replay file of a siting study."), file=path.name))])
    if document.get("left_out"):
        names = ", ".join(document["left_out"])
        raise SpecError([("replay", said(N_("The rasters %(names)s were too large for the replay file: run the study where they are."), names=names))])  # fmt: skip
    return checked(document["spec"]), sitedata.from_json(document["data"]), document["fingerprint"]
