"""The words for every coded value that pages and maps show, in one place, for translation."""

from server.i18n import N_, gettext
from server.people import ROLE_WORDS

# part of the ledger: (short name, what it means)
PARTS = {
    "treated_to_standard": (
        N_("Treated to standard"),
        N_("reaches a working plant whose results meet the limits"),
    ),
    "treated_unknown": (
        N_("Treated, result unknown"),
        N_("reaches a working plant; no result that proves the standard"),
    ),
    "treated_over_limit": (
        N_("Treated, over the limit"),
        N_("reaches a working plant whose results exceed the limits"),
    ),
    "over_capacity": (
        N_("More than the plant can take"),
        N_("sent to a working plant, above its capacity"),
    ),
    "plant_not_working": (
        N_("Plant not working"),
        N_("linked to a plant that stands idle or is closed"),
    ),
    "on_site_only": (
        N_("Septic tank only"),
        N_("held in tanks at the house, with no plant behind them"),
    ),
    "not_connected": (
        N_("Not connected"),
        N_("known to reach no plant"),
    ),
    "unknown": (
        N_("Unknown"),
        N_("no record says where it goes; never counted as treated"),
    ),
}

STAGES = {
    "received": N_("Received"),
    "checking": N_("Being checked"),
    "confirmed": N_("Confirmed"),
    "contained": N_("Contained"),
    "plan_approved": N_("Plan approved"),
    "in_remediation": N_("Being cleaned up"),
    "verifying": N_("Being verified"),
    "watched": N_("Closed, watched"),
    "done": N_("Done"),
    "rejected": N_("Not a hotspot or duplicate"),
    "suspended": N_("Suspended"),
    "unknown": N_("Stage not known"),
}

FAMILIES = {
    "stage": STAGES,
    "role": ROLE_WORDS,
    "part": {code: names[0] for code, names in PARTS.items()},
    "part_meaning": {code: names[1] for code, names in PARTS.items()},
    "kind": {
        "ward": N_("Ward"),
        "commune": N_("Commune"),
        "special_zone": N_("Special zone"),
        "district": N_("Former district"),
        "city": N_("Whole city"),
        "industrial_park": N_("Industrial park"),
        "industrial_cluster": N_("Industrial cluster"),
        "economic_zone": N_("Economic zone"),
        "craft_village": N_("Craft village"),
        "port": N_("Port"),
        "hotspot": N_("Pollution hotspot"),
        "wastewater_plant": N_("Waste water plant"),
        "solid_waste": N_("Solid waste facility"),
        "medical_waste": N_("Medical waste facility"),
        "hazardous_waste": N_("Hazardous waste facility"),
        "unknown": N_("Kind not known"),
    },
    "state": {
        "planned": N_("Planned"),
        "building": N_("Under construction"),
        "trial": N_("Trial run"),
        "operating": N_("Working"),
        "idle": N_("Not working"),
        "closed": N_("Closed"),
        "unknown": N_("State not known"),
    },
    "compliance": {
        "meets": N_("Meets the limits"),
        "exceeds": N_("Over the limits"),
        "not_measured": N_("Not measured"),
        "fault": N_("Fault or calibrating"),
        "not_required": N_("Not required"),
        "unknown": N_("Result not known"),
    },
    "confidence": {
        "high": N_("Well supported"),
        "medium": N_("Fairly supported"),
        "low": N_("Weakly supported"),
        "unknown": N_("Support not stated"),
    },
    "medium": {
        "water": N_("Water"),
        "air": N_("Air"),
        "soil": N_("Soil"),
        "solid_waste": N_("Solid waste"),
        "odour": N_("Odour"),
        "noise": N_("Noise"),
    },
    "treatment": {
        "working": N_("has a plant that works"),
        "not_working": N_("its plant does not work"),
        "none": N_("no central treatment"),
        "unknown": N_("not known"),
    },
    "topic": {
        "water": N_("Water and waste water"),
        "industry": N_("Industrial parks and clusters"),
        "waste": N_("Solid waste"),
        "health": N_("Medical waste"),
        "air": N_("Air"),
        "city": N_("City and nature"),
    },
    "figure": {
        "actual": N_("reported"),
        "target": N_("target"),
        "forecast": N_("forecast"),
        "plan": N_("plan"),
        "computed": N_("computed here"),
    },
    "geometry": {
        "surveyed": N_("surveyed on site"),
        "digitised": N_("drawn from a map or image"),
        "approximate": N_("approximate place"),
        "schematic": N_("schematic outline, not a boundary"),
        "none": N_("no position known"),
    },
    "class": {
        "1": N_("Class 1"),
        "2": N_("Class 2"),
        "3": N_("Class 3"),
        "not_enough_data": N_("Not enough data to class"),
    },
    "basis": {
        "service_area": N_("inside the service area"),
        "declared": N_("declared"),
        "measured": N_("measured"),
        "licensed": N_("licensed"),
        "estimated": N_("estimated"),
        "unknown": N_("basis not stated"),
    },
    "link_basis": {
        "exact": N_("wholly, known by name"),
        "declared": N_("declared"),
        "population": N_("estimated by people"),
        "area": N_("estimated by area"),
        "majority": N_("estimated: counted where most of it lies"),
    },
}


def word(family, code):
    """The name of a coded value in the reader's language; an unknown code is shown as it is."""
    names = FAMILIES[family]
    return gettext(names[str(code)]) if str(code) in names else str(code or gettext("unknown"))
