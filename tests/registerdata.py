"""A register with dated events for tests, written through the store into a copy of the starter facts.

HS01 goes the whole way and is closed; HS02 relapses; HS03 is overdue; HS04 was told late; HS05 is set aside.
"""

import io
from datetime import date

import pandas as pd
from PIL import Image

from layers.catalogue import ALL
from layers.checks import check
from server import photos

DAY = date(2026, 11, 22)
OFFICE = {"office_vi": "Sở Nông nghiệp và Môi trường", "office_en": "Department of Agriculture and Environment"}

# hotspot, number, day, action, stage_from, stage, published_on
STEPS = (
    ("HS01", 1, "2025-02-03", "registered", None, "received", "2025-02-03"),
    ("HS01", 2, "2025-03-10", "confirm", "received", "confirmed", "2025-03-10"),
    ("HS01", 3, "2025-08-01", "start", "plan_approved", "in_remediation", "2025-08-01"),
    ("HS01", 4, "2026-01-15", "finish", "in_remediation", "verifying", "2026-01-16"),
    ("HS01", 5, "2026-02-01", "sampling", None, None, "2026-02-02"),
    ("HS01", 6, "2026-03-20", "close", "verifying", "watched", "2026-03-21"),
    ("HS02", 1, "2025-05-01", "registered", None, "confirmed", "2025-05-01"),
    ("HS02", 2, "2026-04-10", "close", "verifying", "watched", "2026-04-10"),
    ("HS02", 3, "2026-09-09", "relapse", "watched", "confirmed", "2026-09-09"),
    ("HS03", 1, "2026-05-05", "registered", None, "confirmed", "2026-05-05"),
    ("HS03", 2, "2026-06-01", "approve_plan", "confirmed", "plan_approved", "2026-06-02"),
    ("HS04", 1, "2026-07-01", "registered", None, "confirmed", "2026-07-01"),
    ("HS04", 2, "2026-07-10", "contain", "confirmed", "contained", "2026-10-05"),
    ("HS05", 1, "2026-08-01", "registered", None, "received", "2026-08-01"),
    ("HS05", 2, "2026-08-20", "reject", "received", "rejected", "2026-08-20"),
)
# hotspot: fields of the layer
FACTS = {
    "HS01": {"stage": "watched", "opened_on": "2025-02-03", "watch_until": "2027-03-20", "severity_class": "1"},
    "HS02": {"stage": "confirmed", "opened_on": "2025-05-01", "deadline": "2026-12-01", "relapses": 1.0, "severity_class": "2",
             "facility": "KCN01", "authority_vi": OFFICE["office_vi"], "authority_en": OFFICE["office_en"]},
    "HS03": {"stage": "plan_approved", "opened_on": "2026-05-05", "deadline": "2026-11-10", "deadline_for_vi": "xong nạo vét",
             "deadline_for_en": "dredging finished", "decision_no": "77/QĐ-UBND", "severity_class": "2"},
    "HS04": {"stage": "contained", "opened_on": "2026-07-01", "deadline": "2027-06-01"},
    "HS05": {"stage": "rejected", "opened_on": "2026-08-01"},
}  # fmt: skip


def picture(colour):
    out = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(out, "JPEG")
    return out.getvalue()


def fill(services):
    """Write the register; {"before", "after", "hidden"}: checksums of photos, the last one in no public event."""
    kept = {}
    for name, colour in (("before", "brown"), ("after", "green"), ("hidden", "red")):
        made = photos.prepare(picture(colour))
        kept[name] = services.files.put(made.jpeg, ".jpg", small=made.thumbnail)
    spots = services.store.snapshot("hotspots").copy()
    for code, fields in FACTS.items():
        for name, value in fields.items():
            dated = ALL["hotspots"].by_name[name].kind == "date"
            spots.loc[spots["code"] == code, name] = pd.Timestamp(value) if dated else value
    rows = [
        {"hotspot": h, "number": n, "day": date.fromisoformat(day), "action": action, "stage_from": before, "stage": stage,
         "published_on": date.fromisoformat(told), "text_vi": f"Bước {n} của {h}.", "text_en": f"Step {n} of {h}.", **OFFICE,
         "decision_no": "77/QĐ-UBND" if action == "approve_plan" else None, "overridden": "yes" if (h, n) == ("HS03", 2) else "no",
         "photos_before": kept["before"] if action == "close" and h == "HS01" else None,
         "before_on": date(2025, 3, 1) if (h, n) == ("HS01", 6) else None, "after_on": date(2026, 3, 15) if (h, n) == ("HS01", 6) else None,
         "photos_after": kept["after"] if action == "close" and h == "HS01" else None,
         "source": "register", "confidence": "high"}
        for h, n, day, action, before, stage, told in STEPS
    ]  # fmt: skip
    write(services, spots, pd.DataFrame(rows))
    return kept


def write(services, spots, events):
    made = [check(ALL["hotspots"], spots), check(ALL["hotspot_events"], events)]
    services.store.write_all(made, source="test")
