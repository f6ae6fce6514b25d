"""The lists of the product that are no layers, described as layers are: columns with words in both languages.

Their rows are plain values by field name, with "geometry" in EPSG:4326 where the list has places. What staff
work with is not public as a whole: it is given out to people of the office, and by token under /ogc.
"""

from dataclasses import replace
from functools import cache, partial

from geo.coverage import PARTS, SCENARIOS
from layers import audit
from layers.catalogue import LAYERS, STAGE, TABLES, Code, Field, Layer
from layers.export import point
from server import desk, office
from server.collections import Collections, Source
from server.i18n import translations
from server.words import FAMILIES

_HOTSPOTS, _PLANTS = LAYERS["hotspots"], LAYERS["treatment_plants"]
_FIVE = {"low": ("thấp", "low"), "likely": ("khả dĩ nhất", "likely"), "high": ("cao", "high")}


def _codes(family):
    return tuple(Code(code, translations("vi").gettext(en), en) for code, en in FAMILIES[family].items())


def _of(layer, *names):
    return tuple(layer.by_name[n] for n in names)


AS_OF = Field("as_of", "date", "Tính đến ngày", "As of")
WARD = (
    Field("ward", "text", "Mã phường, xã", "Code of the ward"),
    Field("ward_name", "text", "Phường, xã", "Ward"),
)
HOTSPOTS = replace(
    _HOTSPOTS,
    fields=(
        *(f for f in _HOTSPOTS.fields if f.public),
        AS_OF,
        Field("stage_shown_then", "text", "Giai đoạn công bố khi đó", "Stage shown then", allowed=STAGE),
        Field("known_since", "date", "Biết từ", "Known since"),
        Field("known_since_is_exact", "text", "Ngày biết là chính xác", "The day known since is exact"),
        Field("age_days", "integer", "Số ngày đã biết", "Days known", "ngày"),
        Field("deadline_state", "text", "Tình trạng hạn", "State of the deadline"),
        Field("days_to_deadline", "integer", "Số ngày đến hạn", "Days to the deadline", "ngày"),
        *WARD,
    ),
)
# What the map of the list shows of a hotspot, for the browser.
ON_MAP = replace(
    HOTSPOTS,
    fields=(
        *HOTSPOTS.fields,
        *(Field(n, "text", n, n) for n in ("name", "url", "stage_word")),
    ),
)
FACILITIES = Layer(
    "facilities", "Cơ sở", "Facilities", "Geometry",
    (
        *_of(_PLANTS, "code", "name_vi", "name_en"),
        Field("group", "text", "Loại", "Kind"),
        Field("state", "text", "Tình trạng", "State"),
        Field("state_since", "date", "Ở tình trạng này từ", "In this state since"),
        Field("capacity_m3", "number", "Công suất", "Capacity", "m³/ngày"),
        Field("measured_m3", "number", "Lưu lượng đo", "Measured flow", "m³/ngày"),
        Field("compliance", "text", "Tuân thủ", "Compliance"),
        Field("treatment", "text", "Xử lý tập trung", "Central treatment"),
        Field("area_ha", "number", "Diện tích", "Area", "ha"),
        *_of(_PLANTS, "district_old"),
        WARD[0],
        *_of(_PLANTS, "source", "source_date", "confidence", "geometry_quality", "coord_accuracy_m", "note_vi",
             "note_en"),
    ),
)  # fmt: skip


def facility(row):
    """A row of server.register.facilities() as a record."""
    made = {f.name: row.get(f.name) for f in FACILITIES.fields} | {"geometry": row["geometry"]}
    made["ward"] = row["unit"] and row["unit"]["code"]
    made["area_ha"] = _number(row.get("area_ha"))
    return made


def _number(value):
    """A number; the areas of waste sites are words where the source gave several."""
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


@cache
def ledger(measure="m3"):
    """The table of the ledger: one row for each unit, three columns for each figure; measure: of the page."""
    vi = translations("vi").gettext
    fields = [*_of(LAYERS["admin_units"], "code", "name_vi", "name_en"),
              Field("kind", "text", "Loại", "Kind", allowed=_codes("kind")), AS_OF]  # fmt: skip
    names = {"generated": ("Nước thải phát sinh", "Waste water produced")}
    names |= {p: (vi(FAMILIES["part"][p]), FAMILIES["part"][p]) for p in PARTS}
    for name, (said_vi, said_en) in names.items():
        fields += [Field(f"{name}_{s}_m3d", "number", f"{said_vi} ({_FIVE[s][0]})", f"{said_en} ({_FIVE[s][1]})",
                         "m³/ngày") for s in SCENARIOS]  # fmt: skip
    fields += [
        Field(f"treated_share_{s}", "number", f"Tỷ lệ đến trạm đang vận hành ({_FIVE[s][0]})",
              f"Share that reaches a working plant ({_FIVE[s][1]})", "0..1")
        for s in SCENARIOS
    ]  # fmt: skip
    if measure != "m3":
        what_vi, what_en = {"people": ("Người", "People"), "facilities": ("Khu, cụm", "Zones")}[measure]
        fields += [
            Field(f"{measure}_treated", "number", f"{what_vi}: đến trạm", f"{what_en}: reaches a plant"),
            Field(f"{measure}_not_treated", "number", f"{what_vi}: không được xử lý", f"{what_en}: not treated"),
            Field(f"{measure}_unknown", "number", f"{what_vi}: chưa rõ", f"{what_en}: not known"),
        ]
    fields += [Field("people", "number", "Dân số", "People"), Field("basis", "text", "Căn cứ", "Basis"),
               TABLES["norms"].by_name["confidence"]]  # fmt: skip
    fields += [
        Field("estimated_m3d", "number", "Dựa trên tỷ lệ ước tính", "Stands on estimated shares", "m³/ngày"),
        Field("moved_m3d", "number", "Do tỷ lệ ước tính chuyển đi, đến", "Moved by estimated shares", "m³/ngày"),
        Field("link_basis", "text", "Căn cứ của tỷ lệ ước tính", "Basis of the estimated shares"),
        Field("outside_old_city", "text", "Ngoài thành phố cũ", "Outside the old city"),
    ]
    return Layer("coverage", "Xử lý nước thải theo đơn vị", "Coverage by unit", "Point", tuple(fields))


def ledger_row(cells, measure, row, places, day):
    """A record of ledger(measure). cells: of server.ledgers.ledger_cells(); places: {code: (lon, lat)}."""
    made = dict(cells) | {"as_of": day, "basis": row.get("basis"), "confidence": row.get("confidence")}
    if measure != "m3":
        made |= {f"{measure}_{k}": (row.get("split") or {}).get(k) for k in ("treated", "not_treated", "unknown")}
    people = row.get("people")
    made["people"] = people["all"] if isinstance(people, dict) else people
    made["geometry"] = point(*places[row["code"]]) if row["code"] in places else None
    return made


# --- of the office ---

_STATED = (
    "source",
    "source_date",
    "confidence",
    "geometry_quality",
    "coord_accuracy_m",
    "coord_source",
    "district_old",
    "note_vi",
    "note_en",
)
CASES = Layer(
    "cases", "Vụ việc", "Cases", "Geometry",
    (
        *_of(_HOTSPOTS, "code", "name_vi", "name_en", "media"),
        Field("stage", "text", "Giai đoạn", "Stage", allowed=STAGE),
        Field("in_stage_since", "date", "Ở giai đoạn này từ", "In this stage since"),
        Field("severity_class", "text", "Mức", "Class"),
        Field("class_reason", "text", "Lý do xếp mức", "Reason of the class"),
        *WARD,
        Field("facility", "text", "Cơ sở", "Facility"),
        Field("officer", "text", "Người thụ lý", "Officer"),
        Field("public", "text", "Công bố", "Public", allowed=(
            Code("internal", "nội bộ", "internal"), Code("waiting", "chờ duyệt", "waits for approval"),
            Code("public", "đã công bố", "public"), Code("changed", "đã công bố, có thay đổi chờ duyệt",
                                                          "public, a change waits"))),
        Field("clock", "text", "Đồng hồ", "Clock"),
        Field("clock_state", "text", "Tình trạng hạn", "State of the clock"),
        Field("due", "date", "Đến hạn", "Due"),
        Field("priority", "number", "Điểm ưu tiên", "Priority"),
        Field("opened_on", "date", "Ngày vào sổ", "In the register since"),
        Field("plan_due", "date", "Hạn phương án", "Plan due"),
        Field("decision_no", "text", "Số quyết định", "Decision number"),
        Field("decision_on", "date", "Ngày quyết định", "Day of the decision"),
        Field("responsible", "text", "Bên chịu trách nhiệm", "Responsible party"),
        Field("deadline", "date", "Hạn khắc phục", "Deadline"),
        Field("work_done_on", "date", "Ngày xong việc", "Work done on"),
        Field("watch_until", "date", "Theo dõi đến", "Watched until"),
        Field("relapses", "integer", "Số lần tái phát", "Relapses"),
        Field("merged_into", "text", "Gộp vào", "Merged into"),
        *(f for f in _HOTSPOTS.fields if f.name.endswith(("_vi", "_en"))
          and f.name.removesuffix("_vi").removesuffix("_en") in ("pollutants", "cause", "measured_values",
                                                                 "responsible_unit", "receiving_water")),
        *_of(_HOTSPOTS, *_STATED),
    ),
    public=False,
)  # fmt: skip
_KEPT = ("in_stage_since", "severity_class", "class_reason", "ward", "facility", "opened_on", "plan_due", "decision_no",
         "decision_on", "responsible", "deadline", "work_done_on", "watch_until", "relapses", "merged_into")  # fmt: skip


def cases(services, held=None):
    """Records of some Cases, or of all."""
    held = services.book.all() if held is None else held
    clocks, officers, wards = services.book.all_clocks(held), office.officers(services), office.ward_names(services)
    public, waiting = office.public_codes(services), {p["case"] for p in services.gate.waiting()}
    out = []
    for c in held:
        made = {f.name: c.facts.get(f.name) for f in CASES.fields} | {n: getattr(c, n) for n in _KEPT}
        clock = desk.worst(clocks[c.code].all)
        shown = ("internal", "waiting", "public", "changed")[2 * (c.code in public) + (c.code in waiting)]
        out.append(
            made | {
                "code": c.code, "stage": c.stage, "media": ";".join(c.media), "geometry": c.geometry, "public": shown,
                "ward_name": wards.get(c.ward, {}).get("name_vi"), "officer": officers.get(c.officer),
                "clock": clock and clock.name, "clock_state": clock.state if clock else "none",
                "due": clock and clock.due, "priority": services.priorities.of(c).score,
            }
        )  # fmt: skip
    return out


SAMPLINGS = Layer(
    "samplings", "Kết quả lấy mẫu", "Sampling results", "Point",
    (
        Field("case", "text", "Vụ việc", "Case"),
        Field("name_vi", "text", "Tên vụ việc", "Name of the case"),
        Field("sampling", "integer", "Số lần lấy mẫu", "Number of the sampling"),
        Field("taken_on", "date", "Ngày lấy mẫu", "Taken on"),
        Field("place", "text", "Vị trí", "Place"),
        Field("laboratory", "text", "Phòng thí nghiệm", "Laboratory"),
        Field("method", "text", "Phương pháp", "Method"),
        Field("report_no", "text", "Số phiếu kết quả", "Report number"),
        Field("medium", "text", "Đối tượng", "What was sampled"),
        Field("parameter", "text", "Thông số", "Parameter"),
        Field("sign", "text", "Dấu", "Sign"),
        Field("value", "number", "Giá trị", "Value"),
        Field("unit", "text", "Đơn vị tính", "Unit"),
        Field("verdict", "text", "Kết luận", "Verdict"),
        Field("verdict_word", "text", "Căn cứ kết luận", "Ground of the verdict"),
        Field("limit_min", "number", "Giới hạn dưới", "Lower limit"),
        Field("limit_max", "number", "Giới hạn trên", "Upper limit"),
        Field("limit_unit", "text", "Đơn vị của giới hạn", "Unit of the limit"),
        Field("regulation", "text", "Quy chuẩn", "Regulation"),
        Field("regulation_row", "text", "Dòng của quy chuẩn", "Row of the regulation"),
        Field("factor", "number", "Hệ số", "Factor"),
        Field("ratio", "number", "Số lần so với giới hạn", "Times the limit"),
        Field("limit_verified", "text", "Giới hạn đã kiểm chứng", "The limit is verified"),
        Field("voided", "text", "Không tính vì", "Does not count because"),
        Field("entered_by", "text", "Người nhập", "Entered by"),
    ),
    key=("sampling", "parameter"), public=False,
)  # fmt: skip


def _results(held, taken):
    shape = held.geometry
    at = None if shape is None or shape.is_empty else shape.representative_point()
    same = ("taken_on", "place", "laboratory", "method", "report_no", "medium", "voided")
    return [
        {n: s[n] for n in same}
        | {n: getattr(v, n) for n in ("parameter", "sign", "value", "unit", "limit_min", "limit_max", "limit_unit",
                                      "regulation", "factor", "ratio")}
        | {"case": held.code, "name_vi": held.name_vi, "sampling": s["id"], "verdict": v.state, "verdict_word": v.word,
           "regulation_row": v.row, "limit_verified": "yes" if v.verified else "no", "entered_by": s["by_name"],
           "geometry": at}
        for s in taken
        for v in s["verdicts"]
    ]  # fmt: skip


def samplings(services, held=None):
    """Records of the results of some Cases, or of all, case by case, oldest first."""
    book = services.book
    return [r for c in (book.all() if held is None else held) for r in _results(c, book.samplings(c.code))]


REPORTS = Layer(
    "reports", "Phản ánh", "Reports of citizens", "Point",
    (
        Field("code", "text", "Mã", "Code"),
        Field("kind", "text", "Loại", "Kind"),
        Field("state", "text", "Tình trạng", "State"),
        Field("received_on", "date", "Ngày nhận", "Received on"),
        Field("received_at", "text", "Giờ nhận", "Received at"),
        Field("seen_on", "date", "Ngày thấy", "Seen on"),
        Field("words", "text", "Nội dung", "Words"),
        Field("place", "text", "Nơi", "Place"),
        Field("smell", "text", "Mùi", "Smell"),
        Field("colour", "text", "Màu", "Colour"),
        *WARD,
        Field("commune", "text", "Chuyển đến", "Passed to"),
        Field("photos", "integer", "Số ảnh", "Photos"),
        Field("supporters", "integer", "Số người cùng phản ánh", "Others who say the same"),
        Field("similar", "integer", "Phản ánh gần đó", "Similar near by"),
        Field("reopened", "integer", "Số lần mở lại", "Times reopened"),
        Field("clock_state", "text", "Tình trạng hạn", "State of the clock"),
        Field("due", "date", "Đến hạn", "Due"),
        Field("case", "text", "Vụ việc", "Case"),
        Field("accuracy_m", "number", "Sai số vị trí", "Position accuracy", "m"),
    ),
    public=False,
)  # fmt: skip


def report(r, wards):
    """A report of Reports.inbox() as a record: nothing of how to reach its sender."""
    due = r["due"]
    return {f.name: r.get(f.name) for f in REPORTS.fields} | {
        "received_on": r["at"], "received_at": r["at"].strftime("%H:%M"), "photos": len(r["photos"]),
        "ward_name": wards.get(r["ward"], {}).get("name_vi"), "clock_state": r["clock"].state if r["clock"] else None,
        "due": due, "words": r["words"] or None, "place": r["place"] or None,
        "geometry": None if r["lon"] is None else point(r["lon"], r["lat"]),
    }  # fmt: skip


WORK = Layer(
    "work", "Việc trên bàn", "Work on the desk", None,
    (
        Field("list", "text", "Danh sách", "List", allowed=(
            Code("overdue", "Quá hạn", "Overdue"), Code("new", "Mới từ hôm qua", "New since yesterday"),
            Code("mine", "Chờ tôi", "Waits for me"), Code("silent", "Trạm im lặng", "Silent stations"))),
        Field("code", "text", "Mã", "Code"),
        Field("title", "text", "Tên", "Name"),
        Field("stage", "text", "Giai đoạn", "Stage"),
        Field("where", "text", "Nơi", "Place"),
        Field("why", "text", "Vì sao", "Why"),
        Field("clock", "text", "Hạn", "Clock"),
        Field("due", "date", "Đến hạn", "Due"),
    ),
    key=("list", "code"), public=False,
)  # fmt: skip


def work(lists):
    """Records of the lists of the desk, all rows of each."""
    return [
        {n: row.get(n) or None for n in ("code", "title", "stage", "where", "why", "due")}
        | {"list": each["id"], "clock": row["clock"] and row["clock"]["words"]}
        for each in lists
        for row in each["every"]
    ]


# What is internal as a whole and may be given out by token or at the keyboard: name -> (columns, records of a city).
INTERNAL = {"cases": (CASES, cases), "samplings": (SAMPLINGS, samplings)}


def shelf(extensions, city):
    """The Collections of an application, kept in its extensions between requests; the register's lists beside them."""
    kept = extensions.get("cangxanh-collections")
    return kept or extensions.setdefault("cangxanh-collections", Collections(city.store, sources(city)))


def sources(city):
    """What is internal as a whole, as Sources; none in an installation without a register."""
    if getattr(city, "book", None) is None:
        return {}

    def version():
        with city.store.reading() as con:
            head = audit.head(con)
        return f"{head.number if head else 0}.{city.today().isoformat()}"  # clocks move with the days too

    return {name: Source(layer, partial(records, city), version) for name, (layer, records) in INTERNAL.items()}
