"""What the checks of layers/checks.py and layers/rules.py say, as a sentence in the reader's language.

They speak English, for the log and the command line; here their sentences are known by their form. A sentence of
no known form is shown as it is, so that nothing is hidden.
"""

import re

from server.i18n import N_, language, number
from server.i18n import gettext as _

_ROW = re.compile(r"^(?P<layer>\w+) row (?P<row>\d+) \((?P<name>.*?)\): (?P<rest>.+)$", re.DOTALL)
_LAYER = re.compile(r"^(?P<layer>\w+): (?P<rest>.+)$", re.DOTALL)
# form of the sentence, words: {field} is a field's name and shown by its label, values are shown as they are
_FORMS = tuple(
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        (r"(?P<field>\w+) is missing\.", N_("“%(field)s” must be filled in.")),
        (r"(?P<field>\w+) is not a number: (?P<value>.*)\.", N_("“%(field)s” must be a number; this is none: %(value)s")),
        (r"(?P<field>\w+) is not a whole number: (?P<value>.*)\.",
         N_("“%(field)s” must be a whole number; this is none: %(value)s")),
        (r"(?P<field>\w+) is not a date as YYYY-MM-DD: (?P<value>.*)\.",
         N_("“%(field)s” must be a day such as 2026-11-22; this is none: %(value)s")),
        (r"(?P<field>\w+) is not text: (?P<value>.*)\.", N_("“%(field)s” must be text; this is none: %(value)s")),
        (r"(?P<field>\w+) '(?P<value>.*)' is not one of (?P<codes>.*)\.",
         N_("“%(value)s” is not a value of “%(field)s”. Possible are: %(codes)s.")),
        (r"this key is given twice\.", N_("There is another row with this key. Choose another one.")),
        (r"a point is expected, this is a (?P<shape>\w+)\.", N_("The place must be a point.")),
        (r"an area is expected, this is a (?P<shape>\w+)\.", N_("The place must be an area.")),
        (r"coordinates lie outside longitude ±180, latitude ±90\.",
         N_("The coordinates lie outside longitude ±180, latitude ±90.")),
        (r"the outline encloses no area \((?P<value>.*)\)\.", N_("The outline encloses no area.")),
        (r"outline repaired \((?P<value>.*)\)\.", N_("The outline crossed itself and was repaired.")),
        (r"heights of (?P<n>\d+) geometries were left out, the map is flat\.",
         N_("Heights of %(n)s places were left out; the map is flat.")),
        (r"the column '(?P<value>.*)' is not in the catalogue\.", N_("There is no field “%(value)s” in this layer.")),
        (r"the geometry has no coordinate reference system; .*",
         N_("The coordinate system of the places is not known; say which one it is.")),
        (r"the geometry is in (?P<value>.*); bring it to EPSG:4326 first\.",
         N_("The places are in %(value)s; bring them to WGS 84 (EPSG:4326) first.")),
        (r"give (?P<fields>[\w, ]+) together, or leave all three blank\.",
         N_("Give %(fields)s together, or leave all three blank.")),
        (r"(?P<stem>\w+) must rise from low to high\.", N_("Low, likely and high must rise in this order.")),
        (r"(?P<stem>\w+) must be at least (?P<least>[-\d.e+]+)\.", N_("The value must be at least %(least)s.")),
        (r"(?P<stem>\w+) must be at least (?P<least>[-\d.e+]+) and at most (?P<most>[-\d.e+]+)\.",
         N_("The value must be at least %(least)s and at most %(most)s.")),
        (r"(?P<field>\w+) must not be below zero\.", N_("“%(field)s” must not be below zero.")),
        (r"(?P<second>valid_to) must lie after valid_from\.", N_("The last day must lie after the first day.")),
        (r"plant (?P<value>.*) has two states on (?P<day>[\d-]+); end the earlier one before\.",
         N_("Plant %(value)s has two states on %(day)s. End the earlier one before.")),
        (r"plant (?P<value>.*) has two states without a first day\.",
         N_("Plant %(value)s has two states without a first day. Give one of them its first day.")),
        (r"the likely shares of (?P<value>.*) add up to (?P<total>[-\d.e+]+), more than the whole\.",
         N_("The likely shares of %(value)s add up to %(total)s, more than the whole.")),
        (r"(?P<codes>.*) must be there; nothing can be computed without them\.",
         N_("%(codes)s must be there; nothing can be computed without them.")),
        (r"(?P<value>\w+) changes through the register only, where a second person approves what becomes public\.",
         N_("This layer changes through the register only, where a second person approves what becomes public.")),
    )
)  # fmt: skip
_NUMBERS = ("least", "most", "total")


def parts(sentence):
    """(row from 1 or None, name of the row, the rest) of one sentence of the checks."""
    found = _ROW.match(sentence)
    if found:
        return int(found["row"]), found["name"], found["rest"]
    found = _LAYER.match(sentence)
    return None, "", found["rest"] if found else sentence


def label(layer, name):
    """The label of a field in the reader's language; the name itself where the layer has no such field."""
    f = layer.by_name.get(name)
    return getattr(f, language()) if f else _("Place on the map") if name == "geometry" else name


def said(layer, sentence):
    """(field or None, sentence in the reader's language, without the row it speaks of).

    layer: of the catalogue. sentence: a Problem of layers.checks, or its text; a Problem's own field is believed.
    """
    rest = parts(str(sentence))[2]
    own = getattr(sentence, "field", None)
    for pattern, words in _FORMS:
        found = pattern.fullmatch(rest)
        if not found:
            continue
        values = found.groupdict()
        field = own or _field_of(layer, values)
        for k in _NUMBERS:
            if k in values:
                values[k] = number(float(values[k]))
        if "field" in values:
            values["field"] = label(layer, values["field"])
        if "fields" in values:
            values["fields"] = ", ".join(label(layer, n) for n in values["fields"].split(", "))
        if "codes" in values and field in layer.by_name and layer.by_name[field].allowed:
            values["codes"] = ", ".join(getattr(c, language()) for c in layer.by_name[field].allowed)
        return field, _(words, **values)
    return own, rest


def _field_of(layer, values):
    """The field a sentence speaks of: named, or the first one of a range."""
    named = values.get("field") or values.get("second") or (values.get("fields") or "").split(", ")[0]
    for name in (named, f"{values.get('stem')}_low", values.get("stem")):
        if name in layer.by_name:
            return name
    return None
