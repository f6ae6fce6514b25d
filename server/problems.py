"""What the checks of layers/checks.py and layers/rules.py say of a row, as its form says it: fields by their labels.

Their own sentences name the fields as programs do. Those that a form may meet are known here by their form; any other
is shown as it is, in the reader's language where it has one.
"""

import re

from layers.errors import vietnamese
from server.i18n import N_, language, number
from server.i18n import gettext as _

# form of the sentence, words: a field is shown by its label, values as they are
_FORMS = tuple(
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        (r"this key is given twice\.", N_("There is another row with this key. Choose another one.")),
        (r"a point is expected, this is a (?P<shape>\w+)\.", N_("The place must be a point.")),
        (r"an area is expected, this is a (?P<shape>\w+)\.", N_("The place must be an area.")),
        (r"coordinates lie outside longitude ±180, latitude ±90\.",
         N_("The coordinates lie outside longitude ±180, latitude ±90.")),
        (r"the outline encloses no area \((?P<value>.*)\)\.", N_("The outline encloses no area.")),
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


def label(layer, name):
    """The label of a field in the reader's language; the name itself where the layer has no such field."""
    f = layer.by_name.get(name)
    return getattr(f, language()) if f else _("Place on the map") if name == "geometry" else name


def said(layer, sentence):
    """(field or None, sentence in the reader's language, without the row it speaks of).

    layer: of the catalogue. sentence: a Problem of layers.checks, or a sentence of layers.rules.
    """
    bare = getattr(sentence, "reason", sentence)
    own = getattr(sentence, "field", None)
    for pattern, words in _FORMS:
        found = pattern.fullmatch(str(bare))
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
        return field, _(words, **values)
    return own, vietnamese(bare) if language() == "vi" else str(bare)


def _field_of(layer, values):
    """The field a sentence speaks of: named, or the first one of a range."""
    named = values.get("field") or values.get("second") or (values.get("fields") or "").split(", ")[0]
    several = "share_likely" if "total" in values else "valid_from"  # rules between rows: what would put them right
    for name in (named, f"{values.get('stem')}_low", values.get("stem"), several if "value" in values else None):
        if name in layer.by_name:
            return name
    return None
