"""The words of the siting pages in the reader's language: works, what a distance is kept from, units, what was not checked."""

from server import siteworld
from server.i18n import N_, language
from server.i18n import gettext as _
from server.sitewords import word

TECHNOLOGIES = {
    "mechanical, physico-chemical and biological treatment": N_(
        "Mechanical, physico-chemical and biological treatment"
    ),
    "underground infiltration field": N_("Underground infiltration field"),
    "irrigation field": N_("Irrigation field"),
    "biological pond": N_("Biological pond"),
    "oxidation ditch": N_("Oxidation ditch"),
    "pumping station": N_("Waste water pumping station"),
    "sludge drying bed": N_("Sludge drying bed"),
    "mechanical sludge treatment": N_("Mechanical sludge treatment"),
    "mobile transfer station": N_("Mobile transfer station for waste"),
    "fixed transfer station": N_("Fixed transfer station for waste"),
    "sanitary landfill cell with organic waste": N_("Sanitary landfill cell with organic waste"),
    "landfill cell with inorganic waste only": N_("Landfill cell with inorganic waste only"),
    "biological treatment building": N_("Biological treatment of solid waste"),
    "incinerator": N_("Incinerator"),
    "hazardous waste or hazardous sludge treatment": N_("Treatment of hazardous waste or sludge"),
    "landfill, small, medium": N_("Landfill, small or medium"),
    "landfill, large": N_("Landfill, large"),
    "landfill, very large": N_("Landfill, very large"),
    "landfill, small to very large": N_("Landfill, small to very large"),
    "sanitary landfill (general design)": N_("Sanitary landfill (general design)"),
}
OBJECTS = {
    "residential, public and other protected buildings": N_("homes, public buildings and other protected buildings"),
}
IMPORTANCE = {1: N_("equally important"), 2: N_("between equal and a little more"), 3: N_("a little more important"),
              4: N_("between a little and clearly more"), 5: N_("clearly more important"),
              6: N_("between clearly and much more"), 7: N_("much more important"),
              8: N_("between much and utterly more"), 9: N_("utterly more important")}  # fmt: skip


def words_of(table, code, layers=()):
    """The words of a code in the reader's language."""
    return word(table, code, language(), layers)


def object_word(name):
    """What a distance is kept from."""
    return _(OBJECTS[name]) if name in OBJECTS else name


def technology_word(code):
    return _(TECHNOLOGIES[code]) if code in TECHNOLOGIES else code


def load_word(spec):
    """The unit of all loads of a study: m³/day, or t/day of solid waste."""
    return words_of("unit", siteworld.load_unit(spec))


KINDS = {"upstream": N_("Upstream of an intake"), "land": N_("Land need")}


def unchecked_words(rows, layers=()):
    """[(what, why)] of World.unchecked or of the same list of a result."""
    out = []
    for row in rows:
        kind, code = row["kind"], row["code"]
        what = _(KINDS[kind]) if kind in KINDS else words_of(kind, code, layers)
        out.append((what, "; ".join(words_of("why", w) for w in row["why"]), kind))
    return out
