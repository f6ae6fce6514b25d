"""The words of siting, as message ids: every rule, criterion, unit, state and reason that a study or its answer names.

Pages, sheets and files show a code by these words; said() makes a sentence in both languages at once, for what is
written into an answer and read later by somebody else.
"""

from server.i18n import N_, translations

RULES = {
    "houses": N_("Houses"),
    "receptors": N_("Schools and hospitals"),
    "intakes": N_("Drinking water intakes"),
    "protected": N_("Protected land"),
    "water": N_("Open water"),
    "zones": N_("Industrial zones and ports"),
    "plants": N_("Existing plants and waste sites"),
    "hotspots": N_("Pollution hotspots"),
    "receiving_water": N_("Too far from water that can receive"),
    "elevation": N_("Height of the ground"),
    "slope": N_("Slope of the ground"),
    "land_cover": N_("Land that may not be used"),
    "blocked": N_("Blocked by the planner"),
    "outside": N_("Outside the study area"),
    "unknown": N_("Not known here"),
    "free": N_("Free"),
}
CRITERIA = {
    "demand": N_("Untreated waste water within reach"),
    "houses": N_("Distance from houses"),
    "receiving_water": N_("Distance to water that can receive"),
    "hotspots": N_("Distance to polluted water"),
    "elevation": N_("Height of the ground"),
    "slope": N_("Slope of the ground"),
    "roads": N_("Distance to a road"),
    "land_cost": N_("Cost class of the land"),
    "plants": N_("Distance from existing plants"),
}
UNITS = {"m": N_("m"), "m3_day": N_("m³/day"), "percent": N_("%%"), "class": N_("class"), "t_day": N_("t/day")}
STATUS = {
    "checked": N_("checked"),
    "coarse": N_("checked roughly"),
    "unchecked": N_("not checked"),
    "off": N_("switched off"),
    "meets": N_("meets the rule"),
    "fails": N_("breaks the rule"),
    "established": N_("set by the regulation"),
    "assessment": N_("left to the environmental impact assessment"),
    "not_established": N_("not established"),
    "optimal": N_("proven best"),
    "gap": N_("as near to the best as was asked for"),
    "limit": N_("best found within the effort allowed"),
    "cancelled": N_("cancelled"),
}
WHY = {
    "no_data": N_("no data"),
    "only_labels": N_("only label points, no outlines"),
    "no_raster": N_("this raster was not brought in yet"),
    "not_established": N_("the regulation of this day has no value in our tables: enter it with its source"),
    "assessment": N_("the regulation leaves the distance to the environmental impact assessment"),
    "no_rivers": N_("no rivers are drawn"),
    "no_rivers_near": N_("no river is drawn near"),
    "no_intakes": N_("no drinking water intake is known"),
    "even_spread": N_(
        "the people of each ward are spread evenly over its land, so single houses and villages are not seen: "
        "check on the ground"
    ),
    "approximate": N_("positions or outlines are approximate"),
    "some_missing": N_("some records have no position"),
    "capacity_unknown": N_("capacity not known: no spare capacity is counted"),
    "not_working": N_("not working on this day"),
    "own_use": N_("built for one place only: its spare capacity is not offered to others"),
    "no_place": N_("position not known"),
    "flow_unknown": N_("the flow that reaches it is not known: no spare capacity is counted"),
    "entered": N_("entered by the planner"),
    "computed": N_("capacity less the flow that the ledger sends there"),
    "measured": N_("capacity less the measured flow"),
    "full": N_("full"),
}
MODELS = {
    "coverage": N_("Serve the most with a number of plants or a budget"),
    "covering": N_("Fewest plants that leave nobody out of reach"),
    "median": N_("Shortest ways with a number of plants"),
    "cheapest": N_("Least cost when everybody is served"),
}
GOALS = {
    "m3": N_("m³ of waste water"),
    "people": N_("people"),
    "plants": N_("plants"),
    "cost": N_("cost"),
    "distance": N_("m³ × m"),
}
GROUPS = {
    "wastewater treatment plant": N_("Waste water treatment plant"),
    "pumping station": N_("Waste water pumping station"),
    "sludge treatment": N_("Sludge treatment"),
    "wastewater facilities": N_("Other waste water works"),
    "solid waste": N_("Solid waste facility"),
}
CONFIDENCE = {
    "verified-text": N_("read in the official text"),
    "verified-secondary": N_("read in a report on the text"),
    "background": N_("general knowledge, not verified"),
    "not-established": N_("not established"),
    "user": N_("entered by the planner"),
}
STATES = {
    "draft": N_("Not run yet"),
    "running": N_("Running"),
    "done": N_("Done"),
    "failed": N_("Failed"),
    "cancelled": N_("Cancelled"),
}
UPSTREAM = {
    "yes": N_("yes"),
    "perhaps": N_("perhaps, if the rivers are tidal"),
    "no": N_("no"),
    "said_yes": N_("yes, said by the planner"),
    "said_no": N_("no, said by the planner"),
    "unchecked": N_("not checked"),
}
BINDING = {
    "distance": N_("the distance limit"),
    "capacity": N_("the capacity of the sizes"),
    "number": N_("the number of plants"),
    "budget": N_("the budget"),
    "forced": N_("the forced sites"),
    "no_site": N_("the rules that exclude land"),
    "input": N_("the question itself"),
    "size": N_("the size of the question"),
    "limit": N_("the effort allowed"),
}
ASKED = {"upstream": N_("Whether it lies upstream of an intake"), "land": N_("Land need")}
WORDS = {
    "rule": RULES,
    "asked": ASKED,
    "criterion": CRITERIA,
    "unit": UNITS,
    "status": STATUS,
    "why": WHY,
    "model": MODELS,
    "goal": GOALS,
    "group": GROUPS,
    "confidence": CONFIDENCE,
    "state": STATES,
    "upstream": UPSTREAM,
    "binding": BINDING,
}
LAYER = "layer:"  # rules and criteria of layers that the study brings itself are named so, with the layer's code


def word(table, code, language, layers=()):
    """The words of a code in a language; of an own layer its name, of an unknown code the code itself."""
    if code.startswith(LAYER):
        return next((layer["name"] for layer in layers if LAYER + layer["code"] == code), code)
    words = WORDS[table].get(code)
    return code if words is None else translations(language).gettext(words).replace("%%", "%")


def said(words, **values):
    """{"en", "vi"}: a message with its values; numbers are written as each language writes them, codes in `_x` by words.

    A value given as {"en", "vi"} is put in language by language.
    """
    out = {}
    for language in ("en", "vi"):
        own = {k: v.get(language) if isinstance(v, dict) else written(v, language) for k, v in values.items()}
        out[language] = translations(language).gettext(words) % own
    return out


def written(value, language):
    """A number to six figures as a language writes it; other values as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    text = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:,.4g}"
    return text.translate(str.maketrans(",.", ".,")) if language == "vi" else text


def in_both(table, code, layers=()):
    """{"en", "vi"} of a code."""
    return {language: word(table, code, language, layers) for language in ("en", "vi")}
