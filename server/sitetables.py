"""The tables of an answer: which columns its files have, in both languages, and their rows.

A code is told in words, Vietnamese and English beside each other, so that a workbook can be read without a key.
"""

from dataclasses import replace

import shapely

from layers.catalogue import Field, Layer
from server import layeruses, loadwords
from server.citations import cited
from server.i18n import N_
from server.sitewords import LAYER, WORDS, said, word


def _text(name, vi, en):
    return Field(name, "text", vi, en)


def _both(name, vi, en):
    """Two columns of words, Vietnamese first."""
    return _text(f"{name}_vi", vi, f"{en} in Vietnamese"), _text(f"{name}_en", f"{vi} (tiếng Anh)", en)


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
    *_both("law_confidence", "Độ tin cậy", "Confidence"),
    _number("people_inside", "Số người trong khoảng cách", "People inside the distance"),
    _number("people_open", "Nếu công nghệ hở", "If open"), _number("people_enclosed", "Nếu khép kín", "If enclosed"),
    *_both("upstream", "Ở thượng lưu điểm lấy nước", "Upstream of an intake"),
    Field("cost_class", "integer", "Hạng chi phí", "Cost class"), _number("plot_ha", "Đất xây dựng tối đa", "Plot at most", "ha"),
    *_both("unchecked", "Chưa kiểm tra", "Not checked"), _text("conflicts_vi", "Lưu ý", "Conflicts in Vietnamese"),
    _text("conflicts_en", "Lưu ý (tiếng Anh)", "Conflicts")))  # fmt: skip
CANDIDATES = Layer("candidates", "Vị trí ứng viên", "Candidate sites", "Point", (
    _CODE, _LABEL, _WARD, *_PLACE, Field("rank", "integer", "Hạng", "Rank"), _SCORE,
    _number("in_top", "Tỷ lệ lần thử ở nhóm đầu", "Share of runs among the first", "0..1"),
    _text("options", "Công suất cho phép", "Capacities allowed"), *_both("upstream", "Ở thượng lưu điểm lấy nước", "Upstream of an intake"),
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
    _text("state", "Mã tình trạng", "Code of the state"), _CAPACITY, _number("flow_m3_day", "Lưu lượng", "Flow", "m³/ngày"),
    _number("spare_m3_day", "Còn nhận được", "Spare capacity", "m³/ngày"),
    _number("used_m3_day", "Được dùng thêm", "Used by the plan", "m³/ngày"), *_both("why", "Vì sao", "Why")))  # fmt: skip
CURVE = Layer("curve", "Nước thải theo số nhà máy", "Served by number of plants", None, (
    Field("number", "integer", "Số nhà máy mới", "New plants"), _text("site", "Vị trí thêm", "Site added"), _CAPACITY,
    _number("cost", "Tổng chi phí", "Cost of all"), _number("served_m3_day", "Thu được", "Served", "m³/ngày"),
    _number("people", "Số người", "People"), _number("value", "Giá trị mục tiêu", "Value"),
    _number("bound", "Không thể hơn", "Bound")))  # fmt: skip
CHAIN = Layer("chain", "Phương án theo số lượng", "Best plan by number or budget", None, (
    Field("number", "integer", "Số nhà máy", "Number"), _number("budget", "Ngân sách", "Budget"),
    _number("served_m3_day", "Thu được", "Served", "m³/ngày"), _number("people", "Số người", "People"),
    _number("cost", "Chi phí", "Cost"), _number("bound", "Không thể hơn", "Bound"), _number("gap", "Chênh lệch", "Gap", "0..1"),
    *_both("status", "Tình trạng", "Status"), _text("sites", "Vị trí", "Sites")))  # fmt: skip
RULES = Layer("rules", "Quy tắc", "Rules", None, (
    _CODE, _text("words_vi", "Quy tắc", "Rule in Vietnamese"), _text("words_en", "Quy tắc (tiếng Anh)", "Rule"),
    _text("status_vi", "Tình trạng", "Status in Vietnamese"), _text("status_en", "Tình trạng (tiếng Anh)", "Status"),
    _text("distance_m", "Khoảng cách theo quy mô (m)", "Distance by size (m)"), _text("source", "Nguồn", "Source"),
    _text("confidence", "Độ tin cậy", "Confidence"),
    _text("why_vi", "Vì sao", "Why in Vietnamese"), _text("why_en", "Vì sao (tiếng Anh)", "Why"),
    _number("ha", "Đất bị loại", "Land excluded", "ha"), _number("share", "Tỷ lệ", "Share of the area", "0..1")))  # fmt: skip
CRITERIA = Layer("criteria", "Tiêu chí", "Criteria", None, (
    _CODE, _text("words_vi", "Tiêu chí", "Criterion in Vietnamese"), _text("words_en", "Tiêu chí (tiếng Anh)", "Criterion"),
    _number("weight", "Trọng số", "Weight", "0..1"), *_both("unit", "Đơn vị đo", "Unit"),
    _text("curve", "Đường giá trị", "Value curve"), *_both("status", "Tình trạng", "Status")))  # fmt: skip
UNITS = Layer("by_unit", "Đơn vị được phục vụ", "Units served", None, (
    _text("facility", "Nhà máy", "Plant"), _text("unit", "Đơn vị", "Unit"), *_SERVED))  # fmt: skip
ROBUST = Layer("robustness", "Độ vững của thứ hạng", "Robustness of the ranking", None, (
    _CODE, Field("rank", "integer", "Hạng", "Rank"), _number("in_top", "Tỷ lệ lần thử ở nhóm đầu", "Share of runs among the first", "0..1"),
    _number("first", "Tỷ lệ đứng đầu", "Share in front", "0..1"), _number("mean_rank", "Hạng trung bình", "Mean rank"),
    Field("best", "integer", "Hạng tốt nhất", "Best rank"), Field("worst", "integer", "Hạng kém nhất", "Worst rank")))  # fmt: skip
OWN = Layer("own_layers", "Lớp dữ liệu riêng", "Layers of this study", "Geometry", (
    _CODE, _text("name", "Tên", "Name"), *_both("use", "Dùng để", "What it is for"),
    _number("ha", "Đất bị loại", "Land excluded", "ha"), _text("source", "Nguồn", "Source")))  # fmt: skip
FACTS = Layer("summary", "Tóm tắt", "Summary", None, (
    _text("item_vi", "Mục", "Item in Vietnamese"), _text("item_en", "Mục (tiếng Anh)", "Item"),
    _number("value", "Giá trị", "Value"), _text("unit", "Đơn vị", "Unit"), _text("text_vi", "Nội dung", "Text in Vietnamese"),
    _text("text_en", "Nội dung (tiếng Anh)", "Text")))  # fmt: skip

ORDER = (SITES, LINES, DEMANDS, CANDIDATES, PLANTS, EXCLUDED, OWN, CURVE, RULES, CRITERIA, FACTS)  # in a GeoPackage


# --- the rows ---


def rows(result):
    """{Layer: list of dicts} of everything but excluded outlines; places as "geometry" in EPSG:4326."""
    layers = result["spec"]["layers"]
    top = {s["code"]: s["in_top"] for s in (result["robustness"] or {}).get("sites", ())}
    spots = {d["code"]: (d["lon"], d["lat"]) for d in result["demands"]}
    spots |= {p["code"]: (p["lon"], p["lat"]) for p in result["plants"]}
    spots |= {c["code"]: (c["lon"], c["lat"]) for c in result["candidates"]}
    taken = {row["code"]: row for row in result["excluded"]}
    made = {
        FACTS: _facts(result),
        SITES: [_site(s, top, layers) for s in result["sites"]],
        CURVE: result["curve"],
        CHAIN: [c | _words("status", "status", c["status"]) | {"sites": "; ".join(f"{s['code']} ({s['capacity_m3_day']:g})" for s in c["sites"])}
                for c in result["chain"]],
        RULES: [_rule(r, taken.get(r["code"], {}), layers) for r in result["rules"]],
        CRITERIA: [_criterion(c, result) for c in result["criteria"]],
        CANDIDATES: [
            c
            | {"geometry": shapely.Point(c["lon"], c["lat"]), "in_top": top.get(c["code"])}
            | {"options": "; ".join(f"{o:g}" for o in c["options"])}
            | {name: "x" if c[name] else "" for name in ("given", "forced")}
            | _words("upstream", "upstream", c["upstream"])
            for c in result["candidates"]
        ],
        ROBUST: (result["robustness"] or {}).get("sites", []),
        PLANTS: [p | _words("why", "why", p["why"]) | {"geometry": _point(p)} for p in result["plants"]],
        UNITS: [{"facility": s["code"], **u} for s in result["sites"] for u in s["units"]],
        LINES: [f | {"geometry": shapely.LineString([spots[f["demand"]], spots[f["facility"]]])} for f in result["flows"]],
        DEMANDS: [d | {"geometry": shapely.Point(d["lon"], d["lat"])} for d in result["demands"]],
    }  # fmt: skip
    return (
        made | {OWN: [_own(row, result["spec"], taken) for row in result["spec"]["layers"]]}
        if result["spec"]["layers"]
        else made
    )


def _point(plant):
    return None if plant["lon"] is None else shapely.Point(plant["lon"], plant["lat"])


def _words(name, table, code):
    """{name_vi, name_en} of a code; blank where there is none."""
    return {f"{name}_{lang}": word(table, code, lang) if code else None for lang in ("vi", "en")}


def _own(row, spec, taken):
    words = layeruses.uses(spec, row["code"])
    return {
        "code": row["code"], "name": row["name"], "source": row["source"], "geometry": shapely.from_wkt(row["wkt"]),
        "ha": taken.get(LAYER + row["code"], {}).get("ha"),
    } | {f"use_{lang}": "; ".join(use[lang] for use in words) for lang in ("vi", "en")}  # fmt: skip


def of_load(layer, load):
    """A Layer with the words and units of what a study moves: of solid waste nothing is called water or m³."""
    if load != "t_day":
        return layer
    waste, water = said(loadwords.phrase(load, "field")), said(loadwords.phrase("m3_day", "field"))
    fields = tuple(
        replace(f, vi=f.vi.replace(water["vi"], waste["vi"]), en=f.en.replace(water["en"], waste["en"]), unit=f.unit.replace("m³", "t"))
        for f in layer.fields
    )  # fmt: skip
    return replace(layer, vi=layer.vi.replace(water["vi"], waste["vi"]), fields=fields)


def _site(site, top, layers):
    card = site["card"]
    inside = {name: (card["people_inside"][name] or {}).get("people") for name in ("now", "open", "enclosed")}
    law = card["law"]
    return site | {
        "geometry": shapely.Point(site["lon"], site["lat"]),
        "in_top": top.get(site["code"]),
        "law_m": law["distance_m"],
        "law_rows": ", ".join(law["rows"]),
        "people_inside": inside["now"],
        "people_open": inside["open"],
        "people_enclosed": inside["enclosed"],
        "plot_ha": card["land"]["plot_ha"],
        "conflicts_vi": " ".join(c["vi"] for c in card["conflicts"]),
        "conflicts_en": " ".join(c["en"] for c in card["conflicts"]),
        **_words("law_confidence", "confidence", law["confidence"]),
        **_words("upstream", "upstream", card["upstream"]["state"]),
        **{
            f"unchecked_{lang}": "; ".join(_asked_word(code, lang, layers) for code in card["unchecked"])
            for lang in ("vi", "en")
        },
    }


def _asked_word(code, language, layers):
    return word("asked" if code in WORDS["asked"] else "rule", code, language, layers)


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


def _criterion(row, result):
    out = (
        {"code": row["code"], "weight": row["weight"]}
        | _words("unit", "unit", row["unit"])
        | _words("status", "status", row["status"])
    )
    layers, load = result["spec"]["layers"], result["unit"]
    out["curve"] = "; ".join(f"{m:g} → {v:g}" for m, v in row["curve"])
    names = {lang: loadwords.word_of("criterion", row["code"], lang, layers, load=load) for lang in ("vi", "en")}
    return out | {f"words_{lang}": name for lang, name in names.items()}


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
        return (
            {lang: loadwords.word_of(table, code, lang, load=result["unit"]) for lang in ("vi", "en")} if code else None
        )

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
        names = {
            lang: loadwords.unchecked_name(item, lang, spec["layers"], load=result["unit"]) for lang in ("vi", "en")
        }
        add(N_("Not checked"), text={lang: f"{names[lang]}: {whys[lang]}" for lang in ("vi", "en")})
    for note in result["notes"]:
        add(N_("Note"), text=note)
    for source in result["sources"]:
        add(N_("Source"), text={lang: cited(source, lang) for lang in ("vi", "en")})
    add(N_("Seed"), result["seed"])
    return out
