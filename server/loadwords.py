"""What a study moves, in words: waste water in m³ a day, or solid waste in t a day. Everything that is called m3_day is
then t/day, and no page, sheet or file may call it water.

A load is "m3_day" or "t_day", as server/siteworld.py load_unit() and the `unit` of an answer give it.
"""

from server.i18n import N_, translations
from server.sitewords import word

PHRASES = {
    "m3_day": {
        "by_unit_map": N_("Waste water that is not treated, by unit"),
        "key": N_("Plants and waste water"),
        "of_unit": N_("waste water of a unit; green: served by this plan"),
        "table": N_("Waste water by unit: wanted, served, left"),
        "now": N_("Not treated today"),
        "share": N_("%(share)s of what is not treated"),
        "within": N_("Waste water reaches a plant within"),
        "whose": N_("Whose waste water"),
        "way_cost": N_("Cost of sewers for each m³ a day and km"),
        "field": N_("Waste water"),
        "unplaced": N_("%(count)s zones and ports have no known waste water and are in no sum."),
        "nothing": N_("There is no untreated waste water in the study area that anybody knows of."),
        "scoring": N_("Scoring the land for %(m3)s m³/day"),
    },
    "t_day": {
        "by_unit_map": N_("Waste that people make, by unit"),
        "key": N_("Facilities and waste"),
        "of_unit": N_("waste of a unit; green: taken by this plan"),
        "table": N_("Waste by unit: made, taken, left"),
        "now": N_("Made each day"),
        "share": N_("%(share)s of the waste of the study area"),
        "within": N_("Waste is carried to a facility within"),
        "whose": N_("Whose waste"),
        "way_cost": N_("Cost of carrying for each t a day and km"),
        "field": N_("Solid waste"),
        "unplaced": N_("The waste of %(count)s zones and ports is not known and in no sum."),
        "nothing": N_("There is no waste in the study area that anybody knows of."),
        "scoring": N_("Scoring the land for %(m3)s t/day"),
    },
}  # fmt: skip
# words of server/sitewords.py that name the water: (table, code) -> the words for waste
OF_WASTE = {
    ("criterion", "demand"): N_("Waste within reach"),
    ("goal", "m3"): N_("t of waste"),
    ("goal", "distance"): N_("t × m"),
}


def unchecked_name(item, language, layers=(), *, load="m3_day"):
    """The words of an entry of an answer's `unchecked`."""
    table = item["kind"] if item["kind"] in ("rule", "criterion") else "asked"
    return word_of(table, item["code"], language, layers, load=load)


def phrase(load, name):
    """The message id of a phrase for a load."""
    return PHRASES[load][name]


def word_of(table, code, language, layers=(), *, load):
    """As sitewords.word(), for a load."""
    own = OF_WASTE.get((table, code)) if load == "t_day" else None
    return word(table, code, language, layers) if own is None else translations(language).gettext(own)
