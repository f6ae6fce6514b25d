"""Which layers and tables exist and what their fields mean.

A layer has a geometry, a table has none; otherwise they are the same. Every record of a layer knows
its source, source date, confidence and geometry quality. Labels and allowed values are in Vietnamese
and English. A field is public unless it says otherwise.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Code:
    """An allowed value and its words."""

    value: str
    vi: str
    en: str


@dataclass(frozen=True)
class Field:
    """One column. kind: text, number, integer or date. A blank is missing, never zero or empty."""

    name: str
    kind: str
    vi: str
    en: str
    unit: str = ""
    allowed: tuple[Code, ...] = ()
    required: bool = False
    public: bool = True


@dataclass(frozen=True)
class Layer:
    """One layer or table. geometry: Point, Polygon (also multi), Geometry (any), or None.

    gated: rows come in only through the publication gate of the register, never by import or by another program.
    """

    name: str
    vi: str
    en: str
    geometry: str | None
    fields: tuple[Field, ...]
    key: tuple[str, ...] = ("code",)
    public: bool = True
    gated: bool = False
    by_name: dict = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "by_name", {f.name: f for f in self.fields})

    def words(self, name, value, language):
        """The word for a value of a field with allowed values; the value itself where it has none."""
        for code in self.by_name[name].allowed:
            if code.value == value:
                return getattr(code, language)
        return value


def _codes(*rows):
    return tuple(Code(*r) for r in rows)


CONFIDENCE = _codes(
    ("high", "cao: nguồn chính thức hoặc báo chí đã đọc", "high: an official or news page that was read"),
    ("medium", "trung bình: một nguồn yếu", "medium: one weak source"),
    ("low", "thấp: chưa kiểm chứng", "low: not verified"),
)
GEOMETRY_QUALITY = _codes(
    ("surveyed", "đo đạc", "surveyed"),
    ("digitised", "số hoá", "digitised"),
    ("approximate", "gần đúng", "approximate"),
    ("schematic", "minh hoạ", "schematic"),
    ("none", "chưa có vị trí", "no position"),
)
PLANT_STATE = _codes(
    ("planned", "quy hoạch", "planned"),
    ("building", "đang xây dựng", "under construction"),
    ("trial", "vận hành thử", "trial run"),
    ("operating", "đang vận hành", "operating"),
    ("idle", "không vận hành", "not operating"),
    ("closed", "đã đóng cửa", "closed"),
    ("unknown", "chưa rõ", "not known"),
)
COMPLIANCE = _codes(
    ("meets", "đạt quy chuẩn", "meets the standard"),
    ("exceeds", "vượt quy chuẩn", "exceeds the standard"),
    ("unknown", "chưa có kết quả quan trắc", "no monitoring result"),
)
CONNECTION = _codes(("yes", "có", "yes"), ("no", "không", "no"), ("planned", "dự kiến", "planned"))
STAGE = _codes(
    ("received", "Tiếp nhận", "Received"),
    ("checking", "Đang xác minh", "Being checked"),
    ("confirmed", "Đã xác nhận", "Confirmed"),
    ("contained", "Đã khoanh vùng", "Contained"),
    ("plan_approved", "Đã duyệt phương án", "Plan approved"),
    ("in_remediation", "Đang khắc phục", "Being cleaned up"),
    ("verifying", "Quan trắc xác nhận", "Being verified"),
    ("watched", "Đã đóng – theo dõi", "Closed, watched"),
    ("done", "Hoàn tất", "Done"),
    ("rejected", "Không phải / trùng", "Not a hotspot or a duplicate"),
    ("suspended", "Tạm dừng", "Suspended"),
)
EVENT = _codes(
    ("registered", "vào sổ", "entered in the register"),
    ("check", "bắt đầu xác minh", "check begun"),
    ("confirm", "xác nhận", "confirmed"),
    ("reject", "không phải điểm nóng hoặc trùng", "not a hotspot or a duplicate"),
    ("reconsider", "xem xét lại", "reconsidered"),
    ("contain", "khống chế", "contained"),
    ("approve_plan", "duyệt phương án", "plan approved"),
    ("start", "bắt đầu khắc phục", "clean-up begun"),
    ("finish", "báo xong việc", "work reported done"),
    ("fail", "chưa đạt, làm tiếp", "not passed, work goes on"),
    ("close", "đóng, chuyển theo dõi", "closed, now watched"),
    ("complete", "hoàn tất", "done"),
    ("relapse", "tái phát", "relapse"),
    ("reopen", "mở lại", "reopened"),
    ("reclassify", "xếp lại mức", "class changed"),
    ("extend", "đổi hạn", "deadline changed"),
    ("suspend", "tạm dừng", "suspended"),
    ("resume", "tiếp tục", "resumed"),
    ("undo", "lùi một bước", "step taken back"),
    ("merge", "gộp", "merged"),
    ("split", "tách", "split"),
    ("sampling", "kết quả quan trắc", "monitoring result"),
    ("inspection", "kiểm tra", "inspection"),
    ("decision", "quyết định", "decision"),
    ("note", "thông tin", "information"),
    ("correction", "đính chính", "correction"),
    ("withdraw", "rút nội dung", "withdrawn"),
)
YES_NO = _codes(("yes", "có", "yes"), ("no", "không", "no"))
ZONE_KIND = _codes(
    ("economic_zone", "khu kinh tế", "economic zone"),
    ("industrial_park", "khu công nghiệp", "industrial park"),
    ("industrial_cluster", "cụm công nghiệp", "industrial cluster"),
    ("craft_village", "làng nghề", "craft village"),
)
ZONE_STATE = _codes(
    ("operating", "đang hoạt động", "operating"),
    ("building", "đang xây dựng", "under construction"),
    ("planned", "đã thành lập hoặc quy hoạch", "established or planned"),
    ("unknown", "chưa rõ", "not known"),
)
PLANT_KIND = _codes(
    ("municipal", "đô thị", "municipal"),
    ("urban_area", "khu đô thị", "housing estate"),
    ("industrial_park", "khu công nghiệp", "industrial park"),
    ("industrial_cluster", "cụm công nghiệp", "industrial cluster"),
    ("craft_village", "làng nghề", "craft village"),
    ("fishing_port", "cảng cá", "fishing port"),
    ("programme", "chương trình (nhóm dự án)", "programme (group of projects)"),
)
UNIT_KIND = _codes(
    ("ward", "phường", "ward"),
    ("commune", "xã", "commune"),
    ("special_zone", "đặc khu", "special zone"),
    ("district", "đơn vị cấp huyện cũ", "old district"),
    ("city", "thành phố", "city"),
)
LINK_BASIS = _codes(
    ("exact", "trọn vẹn, biết theo tên", "wholly in it, known by name"),
    ("declared", "cơ quan có trách nhiệm công bố", "declared by somebody responsible"),
    ("population", "ước tính theo dân số", "estimated by people"),
    ("area", "ước tính theo diện tích", "estimated by area"),
    ("majority", "ước tính: tính trọn nơi chiếm phần lớn", "estimated: counted whole where most of it lies"),
)
WASTE_KIND = _codes(
    ("landfill+compost", "bãi chôn lấp và ủ phân", "landfill and compost"),
    ("landfill", "bãi chôn lấp", "landfill"),
    ("dump", "bãi rác tạm", "dump"),
    ("waste_to_energy", "điện rác", "waste to energy"),
    ("industrial_waste_stack", "bãi thải công nghiệp", "industrial waste stack"),
)

CODE = Field("code", "text", "Mã", "Code", required=True)
NAMES = (
    Field("name_vi", "text", "Tên", "Name in Vietnamese", required=True),
    Field("name_en", "text", "Tên tiếng Anh", "Name"),
)
PROVENANCE = (
    Field("source", "text", "Nguồn", "Source", required=True),
    Field("source_date", "text", "Ngày của nguồn", "Source date"),
    Field("confidence", "text", "Độ tin cậy", "Confidence", allowed=CONFIDENCE, required=True),
    Field("note_vi", "text", "Ghi chú", "Note in Vietnamese"),
    Field("note_en", "text", "Ghi chú tiếng Anh", "Note"),
)
PLACE = (
    Field("geometry_quality", "text", "Chất lượng hình học", "Geometry quality",
          allowed=GEOMETRY_QUALITY, required=True),
    Field("coord_accuracy_m", "number", "Sai số vị trí", "Position accuracy", "m"),
    Field("coord_source", "text", "Nguồn vị trí", "Position source"),
    Field("district_old", "text", "Đơn vị cấp huyện cũ", "Old district"),
    Field("valid_from", "date", "Có hiệu lực từ", "Valid from"),
    Field("valid_to", "date", "Có hiệu lực đến", "Valid to"),
    Field("filed_under", "text", "Ghi theo bản ranh giới", "Boundary version it was filed under"),
)  # fmt: skip


def _both(name, vi, en, **options):
    return (Field(f"{name}_vi", "text", vi, f"{en} in Vietnamese", **options),
            Field(f"{name}_en", "text", f"{vi} (tiếng Anh)", en, **options))  # fmt: skip


def _layer(name, vi, en, geometry, *fields, **options):
    return Layer(name, vi, en, geometry, (CODE, *NAMES, *fields, *PLACE, *PROVENANCE), **options)


def _table(name, vi, en, key, *fields, **options):
    return Layer(name, vi, en, None, (*fields, *PROVENANCE), key=key, **options)


_RANGE = ("low", "likely", "high"), ("thấp", "khả dĩ nhất", "cao"), ("low", "likely", "high")


def _three(name, vi, en, unit, **options):
    return tuple(
        Field(f"{name}_{s}", "number", f"{vi} ({v})", f"{en} ({e})", unit, **options)
        for s, v, e in zip(*_RANGE, strict=True)
    )


PERIOD = tuple(f for f in PLACE if f.name in ("valid_from", "valid_to"))

LAYERS = {
    layer.name: layer
    for layer in (
        _layer(
            "admin_units", "Đơn vị hành chính", "Administrative units", "Polygon",
            Field("kind", "text", "Loại", "Kind", allowed=UNIT_KIND, required=True),
            Field("side", "text", "Trước 1/7/2025 thuộc", "Before 1 July 2025 in"),
            Field("area_km2", "number", "Diện tích công bố", "Official area", "km²"),
            Field("population", "number", "Dân số", "Population", "people"),
            Field("population_confidence", "text", "Độ tin cậy của dân số", "Confidence of the population",
                  allowed=CONFIDENCE),
            *_both("population_source", "Nguồn dân số", "Population source"),
            Field("centre_lon", "number", "Kinh độ điểm đại diện", "Longitude of the label point", "°"),
            Field("centre_lat", "number", "Vĩ độ điểm đại diện", "Latitude of the label point", "°"),
        ),
        _layer(
            "industrial_zones", "Khu, cụm công nghiệp, làng nghề", "Industrial zones", "Geometry",
            Field("kind", "text", "Loại", "Kind", allowed=ZONE_KIND, required=True),
            Field("state", "text", "Tình trạng", "State", allowed=ZONE_STATE, required=True),
            *_both("status", "Tình trạng theo nguồn", "State as reported"),
            Field("area_ha", "number", "Diện tích", "Area", "ha"),
            Field("occupancy_pct", "number", "Tỷ lệ lấp đầy", "Occupancy", "%"),
            Field("established_year", "integer", "Năm thành lập", "Established"),
            Field("central_treatment", "text", "Xử lý nước thải tập trung", "Central treatment",
                  allowed=CONNECTION),
            *_both("central_treatment_note", "Xử lý tập trung theo nguồn", "Central treatment as reported"),
            Field("measured_m3d", "number", "Lưu lượng đo", "Measured flow", "m³/ngày"),
            Field("licensed_m3d", "number", "Lưu lượng cấp phép", "Licensed flow", "m³/ngày"),
            *_both("receiving_water", "Nguồn tiếp nhận", "Receiving water"),
            *_both("developer", "Chủ đầu tư hạ tầng", "Developer"),
        ),
        _layer(
            "treatment_plants", "Trạm xử lý nước thải", "Waste water treatment plants", "Point",
            Field("kind", "text", "Loại", "Kind", allowed=PLANT_KIND, required=True),
            Field("design_m3d", "number", "Công suất thiết kế", "Design capacity", "m³/ngày"),
            *_both("status", "Tình trạng theo nguồn", "State as reported"),
            *_both("service_area", "Phạm vi phục vụ", "Service area"),
            *_both("technology", "Công nghệ", "Technology"),
            *_both("receiving_water", "Nguồn tiếp nhận", "Receiving water"),
            *_both("operator", "Đơn vị vận hành, tài trợ", "Operator or funder"),
            Field("commissioned_year", "integer", "Năm vận hành", "Commissioned"),
            Field("area_ha", "number", "Diện tích", "Area", "ha"),
        ),
        _layer(
            "service_areas", "Vùng phục vụ của trạm xử lý", "Service areas of plants", "Polygon",
            Field("plant", "text", "Trạm xử lý", "Plant", required=True),
        ),
        _layer(
            "waste_sites", "Cơ sở chất thải rắn", "Waste sites", "Point",
            Field("kind", "text", "Loại", "Kind", allowed=WASTE_KIND, required=True),
            *_both("status", "Tình trạng theo nguồn", "State as reported"),
            Field("capacity_tpd", "text", "Công suất", "Capacity", "t/ngày"),
            Field("received_tpd", "text", "Lượng tiếp nhận", "Received", "t/ngày"),
            Field("area_ha", "text", "Diện tích", "Area", "ha"),
            *_both("service_area", "Phạm vi phục vụ", "Service area"),
            *_both("operator", "Đơn vị vận hành", "Operator"),
            Field("planned_year", "integer", "Năm dự kiến", "Planned year"),
        ),
        _layer(
            "port_areas", "Cảng", "Ports", "Geometry",
            *_both("kind", "Loại", "Kind"),
            *_both("area_group", "Khu bến", "Port area"),
            Field("berths", "integer", "Số bến", "Berths"),
            Field("berth_length_m", "number", "Chiều dài bến", "Berth length", "m"),
            Field("capacity_teu_year", "number", "Công suất", "Capacity", "TEU/năm"),
            *_both("max_vessel", "Tàu lớn nhất", "Largest vessel"),
            Field("opened_year", "integer", "Năm khai thác", "Opened"),
            *_both("operator", "Đơn vị khai thác", "Operator"),
            *_both("green_measures", "Biện pháp xanh", "Green measures"),
            Field("declared_m3d", "number", "Lưu lượng nước thải khai báo", "Declared waste water", "m³/ngày"),
        ),
        _layer(
            "hotspots", "Điểm nóng ô nhiễm", "Pollution hotspots", "Geometry",
            Field("media", "text", "Môi trường", "Media", required=True),
            *_both("medium", "Môi trường theo nguồn", "Medium as reported"),
            *_both("pollutants", "Chất ô nhiễm", "Pollutants"),
            Field("report_year", "text", "Năm nêu", "Reported in"),
            *_both("measured_values", "Số liệu đã nêu", "Reported values"),
            *_both("responsible_unit", "Đơn vị liên quan", "Unit concerned"),
            *_both("cause", "Nguyên nhân", "Cause"),
            *_both("remediation", "Khắc phục theo nguồn", "Remediation as reported"),
            Field("remediation_known", "text", "Biết tình trạng khắc phục", "Remediation known",
                  allowed=_codes(("yes", "có", "yes"), ("partly", "một phần", "partly"), ("no", "không", "no"))),
            Field("stage", "text", "Giai đoạn", "Stage", allowed=STAGE, required=True),
            *_both("stage_basis", "Căn cứ xếp giai đoạn", "Basis of the stage"),
            Field("severity_class", "text", "Mức", "Class",
                  allowed=_codes(("1", "mức 1", "class 1"), ("2", "mức 2", "class 2"), ("3", "mức 3", "class 3"))),
            Field("past_event", "text", "Sự cố đã qua", "Past event", allowed=YES_NO),
            *_both("class_reason", "Lý do xếp mức", "Reason of the class"),
            Field("facility", "text", "Cơ sở liên quan", "Facility concerned"),
            *_both("receiving_water", "Nguồn tiếp nhận", "Receiving water"),
            *_both("authority", "Cơ quan phụ trách", "Responsible office"),
            Field("opened_on", "date", "Ngày vào sổ", "In the register since"),
            Field("stage_since", "date", "Ở giai đoạn này từ", "In this stage since"),
            Field("deadline", "date", "Hạn tiếp theo", "Next deadline"),
            *_both("deadline_for", "Việc phải xong", "Due by then"),
            Field("decision_no", "text", "Số quyết định", "Decision number"),
            Field("watch_until", "date", "Theo dõi đến", "Watched until"),
            Field("relapses", "integer", "Số lần tái phát", "Relapses"),
            gated=True,
        ),
        _layer(
            "stations", "Điểm quan trắc", "Monitoring points", "Point",
            *_both("kind", "Loại", "Kind"),
            *_both("parameters", "Thông số", "Parameters"),
            *_both("reported_result", "Kết quả đã nêu", "Reported result"),
            *_both("operator", "Đơn vị thực hiện", "Operator"),
        ),
        _layer(
            "water_bodies", "Sông, hồ, biển", "Water bodies", "Geometry",
            Field("tidal", "text", "Chịu ảnh hưởng thủy triều", "Tidal", allowed=YES_NO),
        ),
        _layer("land", "Đất liền và đảo", "Land", "Polygon"),
        _layer("intakes", "Điểm lấy nước sinh hoạt", "Drinking water intakes", "Point"),
        _layer("receptors", "Trường học, bệnh viện", "Schools and hospitals", "Point"),
        _layer("built_up", "Đất ở, đất xây dựng", "Built-up land", "Polygon"),
        _layer("protected_areas", "Khu bảo tồn", "Protected areas", "Polygon"),
    )
}  # fmt: skip

TABLES = {
    table.name: table
    for table in (
        _table(
            "hotspot_events", "Diễn biến của điểm nóng", "What happened to the hotspots", ("hotspot", "number"),
            Field("hotspot", "text", "Điểm nóng", "Hotspot", required=True),
            Field("number", "integer", "Số thứ tự", "Number", required=True),
            Field("day", "date", "Ngày", "Day", required=True),
            Field("action", "text", "Việc", "Action", required=True, allowed=EVENT),
            Field("stage_from", "text", "Từ giai đoạn", "From stage", allowed=STAGE),
            Field("stage", "text", "Sang giai đoạn", "To stage", allowed=STAGE),
            *_both("text", "Nội dung", "Text"),
            *_both("office", "Cơ quan", "Office"),
            Field("decision_no", "text", "Số quyết định", "Decision number"),
            Field("overridden", "text", "Bỏ qua điều kiện", "A condition was overridden", allowed=YES_NO),
            Field("photos_before", "text", "Ảnh trước", "Photos before"),
            Field("before_on", "date", "Ngày ảnh trước", "Day of the photo before"),
            Field("photos_after", "text", "Ảnh sau", "Photos after"),
            Field("after_on", "date", "Ngày ảnh sau", "Day of the photo after"),
            Field("photos", "text", "Ảnh", "Photos"),
            Field("published_on", "date", "Ngày công bố", "Published on", required=True),
            gated=True,
        ),
        _table(
            "plant_states", "Tình trạng trạm xử lý theo ngày", "Plant states by date", ("plant", "valid_from"),
            Field("plant", "text", "Trạm xử lý", "Plant", required=True),
            Field("state", "text", "Tình trạng", "State", allowed=PLANT_STATE[:-1], required=True),
            *_three("capacity", "Công suất", "Capacity", "m³/ngày"),
            Field("measured", "number", "Lưu lượng đo", "Measured flow", "m³/ngày"),
            Field("compliance", "text", "Tuân thủ", "Compliance", allowed=COMPLIANCE, required=True),
            *PERIOD,
        ),
        _table(
            "service_links", "Nước thải của nơi nào về trạm nào", "Service links",
            ("unit", "destination", "valid_from"),
            Field("unit", "text", "Nơi phát sinh", "Unit", required=True),
            Field("destination", "text", "Nơi đến", "Destination", required=True),
            *_three("share", "Tỷ lệ", "Share", "0..1"),
            *PERIOD,
            Field("basis", "text", "Căn cứ", "Basis", required=True, allowed=_codes(
                ("service area", "vùng phục vụ", "service area"),
                ("declared", "khai báo", "declared"),
                ("estimated", "ước tính", "estimated"))),
        ),
        _table(
            "boundary_versions", "Các bản ranh giới hành chính", "Boundary versions", ("code",),
            CODE, *NAMES,
            Field("units", "integer", "Số đơn vị", "Number of units"),
            *_both("act", "Văn bản", "Act"),
            *PERIOD,
        ),
        _table(
            "crosswalk", "Đơn vị mới theo đơn vị cũ", "New units by old units", ("unit", "old_unit", "valid_from"),
            Field("unit", "text", "Đơn vị mới", "New unit", required=True),
            Field("old_unit", "text", "Đơn vị cũ", "Old unit", required=True),
            Field("share", "number", "Tỷ lệ", "Share", "0..1", required=True),
            Field("share_low", "number", "Tỷ lệ (thấp)", "Share (low)", "0..1"),
            Field("share_high", "number", "Tỷ lệ (cao)", "Share (high)", "0..1"),
            Field("basis", "text", "Căn cứ", "Basis", required=True, allowed=LINK_BASIS),
            *PERIOD,
        ),
        _table(
            "old_names", "Tên cũ", "Old names", ("ward_code", "old_type_vi", "old_name_vi", "old_district_vi"),
            Field("ward_code", "text", "Đơn vị mới", "New unit", required=True),
            Field("old_name_vi", "text", "Tên cũ", "Old name", required=True),
            Field("old_type_vi", "text", "Loại cũ", "Old type"),
            Field("old_district_vi", "text", "Huyện cũ", "Old district"),
            Field("part", "text", "Toàn bộ hay một phần", "Whole or part"),
        ),
        _table(
            "indicators", "Chỉ số đã báo cáo", "Reported indicators", ("code",),
            CODE,
            Field("key", "text", "Khoá", "Key", required=True),
            Field("topic", "text", "Nhóm", "Topic", required=True),
            *_both("indicator", "Chỉ số", "Indicator", required=True),
            *_both("scope", "Phạm vi", "Scope", required=True),
            Field("year", "text", "Năm", "Period", required=True),
            Field("value", "text", "Giá trị", "Value", required=True),
            *_both("unit", "Đơn vị tính", "Unit", required=True),
            Field("kind", "text", "Loại", "Kind", required=True, allowed=_codes(
                ("actual", "thực hiện", "actual"), ("target", "mục tiêu", "target"),
                ("forecast", "dự báo", "forecast"), ("plan", "kế hoạch", "plan"))),
            *_both("numerator", "Tử số", "Numerator"),
            *_both("denominator", "Mẫu số", "Denominator"),
            *_both("area", "Phạm vi không gian", "Area covered"),
            Field("definition_stated", "text", "Nguồn nêu định nghĩa", "Definition stated by the source"),
            Field("compare_with", "text", "So với", "Compare with"),
            *_both("why_differs", "Vì sao khác", "Why it differs"),
        ),
        _table(
            "norms", "Định mức phát sinh nước thải", "Waste water norms", ("code",),
            CODE,
            *_both("norm", "Định mức", "Norm", required=True),
            *_three("value", "Giá trị", "Value", "", required=True),
            Field("unit", "text", "Đơn vị tính", "Unit", required=True),
            Field("reference", "text", "Văn bản", "Reference", required=True),
        ),
        _table(
            "planning_norms", "Định mức trong quy chuẩn và thực tế", "Planning and practice norms", ("code",),
            CODE,
            *_both("item", "Định mức", "Norm", required=True),
            *_both("location", "Áp dụng cho", "Applies to"),
            Field("value", "text", "Giá trị", "Value"),
            *_both("value_type", "Loại giá trị", "Kind of value"),
            *_both("unit", "Đơn vị tính", "Unit"),
            Field("reference", "text", "Văn bản", "Reference", required=True),
        ),
    )
}  # fmt: skip

ALL = LAYERS | TABLES
