"""The words of the siting pages in the reader's language: works, what a distance is kept from, units, what was not checked."""

import re

from server import citations, loadwords, siteworld
from server.i18n import N_, language, m3, ngettext, number, significant
from server.i18n import gettext as _

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
    "residential and public buildings": N_("homes and public buildings"),
    "residential buildings": N_("homes"),
    "water intake of a centralised supply": N_("water intakes of a central supply"),
    "river or lake": N_("rivers and lakes"),
    "residential, public and other protected buildings": N_("homes, public buildings and other protected buildings"),
}
IMPORTANCE = {1: N_("equally important"), 2: N_("between equal and a little more"), 3: N_("a little more important"),
              4: N_("between a little and clearly more"), 5: N_("clearly more important"),
              6: N_("between clearly and much more"), 7: N_("much more important"),
              8: N_("between much and utterly more"), 9: N_("utterly more important")}  # fmt: skip


def words_of(table, code, layers=(), load="m3_day"):
    """The words of a code in the reader's language; load: what the study moves, see server/loadwords.py."""
    return loadwords.word_of(table, code, language(), layers, load=load)


def phrase(load, name, **values):
    """A phrase of server/loadwords.py in the reader's language."""
    return _(loadwords.phrase(load, name), **values)


def phrases(spec):
    """{name: words} of all phrases about what a study moves that take no values."""
    load = siteworld.load_unit(spec)
    return {name: _(words) for name, words in loadwords.PHRASES[load].items() if "%(" not in words}


def object_word(name):
    """What a distance is kept from."""
    return _(OBJECTS[name]) if name in OBJECTS else name


def technology_word(code):
    return _(TECHNOLOGIES[code]) if code in TECHNOLOGIES else code


def load_word(spec):
    """The unit of all loads of a study: m³/day, or t/day of solid waste."""
    return words_of("unit", siteworld.load_unit(spec))


def criterion_word(code, spec=None):
    """The words of a criterion of a question, or of any question."""
    return (
        words_of("criterion", code)
        if spec is None
        else words_of("criterion", code, spec["layers"], siteworld.load_unit(spec))
    )


KINDS = {"upstream": N_("Upstream of an intake"), "land": N_("Land need")}


def unchecked_words(rows, layers=(), load="m3_day"):
    """[(what, why)] of World.unchecked or of the same list of a result."""
    out = []
    for row in rows:
        kind, code = row["kind"], row["code"]
        what = _(KINDS[kind]) if kind in KINDS else words_of(kind, code, layers, load)
        out.append((what, "; ".join(words_of("why", w) for w in row["why"]), kind))
    return out


def measure(value, unit):
    """A measure with its unit, as read: metres whole, the rest as they are."""
    if value is None:
        return "–"
    if unit == "m":
        return f"{number(value, 0)} m" if abs(value) >= 1 or value == 0 else f"{number(value, 1)} m"
    if unit in ("m3_day", "t_day"):
        return f"{m3(value)} {words_of('unit', unit)}"
    return f"{number(value, 1)} {words_of('unit', unit)}"


def source_word(text):
    """Where a distance comes from, as an answer holds it: rows of the table of distances named as such, the reference in
    the reader's language; a source that somebody typed as it is."""
    rows, mark, rest = text.partition("; ")
    if not re.fullmatch(r"\d{4}-[\d.]+-\d\d(, \d{4}-[\d.]+-\d\d)*", rows):
        return citations.cited(text, language())
    named = _("row %(rows)s", rows=rows)
    return f"{named} · {citations.cited(rest, language())}" if mark else named


def people_word(value):
    """A number of people to three figures."""
    return number(significant(value), 0)


def unit_of(result):
    """The unit of all loads of a result, in words."""
    return words_of("unit", result.get("unit", "m3_day"))


def kinds_word(kinds):
    """How many points, lines and areas, as ownlayers.counted() gives them."""
    words = {
        "points": lambda n: ngettext("%(num)s point", "%(num)s points", n),
        "lines": lambda n: ngettext("%(num)s line", "%(num)s lines", n),
        "areas": lambda n: ngettext("%(num)s area", "%(num)s areas", n),
    }
    return ", ".join(words[name](count) for name, count in kinds.items())
