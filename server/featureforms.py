"""The form of one row of a layer, made from the catalogue, and what was typed into it, read.

Values are plain, as layers.rows keeps them: text, float, int, date, None where missing. What is wrong is told
together, each problem under the name of its field, in the reader's language.
"""

import re
from datetime import date
from decimal import Decimal

from layers.catalogue import PLACE, PROVENANCE
from server import i18n
from server.i18n import N_, language
from server.i18n import gettext as _
from server.problems import label
from server.records import unit_word

PREFIX = "v-"  # of the fields' names in the form
MOST = 4000
FIRST_YEAR, LAST_YEAR = 1800, 2200
_LONG = re.compile(r"note_|_note_|^source$|source_|status_|technology|green_|measures|definition|why_|scope_|basis_")
HINTS = {
    "code": N_("Short and lasting: other tables point at it. It cannot be changed later."),
    "source": N_("Where this row comes from: a document with its number, or an address. Several are parted by “ | ”."),
    "source_date": N_("When the source appeared: 2026-11-22, 2026-11 or 2026."),
    "confidence": N_("How far the source can be trusted."),
    "geometry_quality": N_("How the place on the map was made."),
    "coord_accuracy_m": N_("How far the place may be from the truth."),
    "coord_source": N_("Where the position comes from."),
    "valid_from": N_("The first day on which this row holds. Blank: always."),
    "valid_to": N_("The first day on which it no longer holds. Blank: still in force."),
    "name_en": N_("Shown to readers of English; without it they see the Vietnamese name."),
    "occupancy_pct": N_("Per cent, from 0 to 100."),
    "population": N_("Number of residents."),
    "centre_lon": N_("Where the name and the symbol of the unit stand."),
    "plant": N_("Code of a treatment plant, such as TP01."),
    "unit": N_("Code of the ward, zone or port."),
    "destination": N_("Code of the plant where the waste water goes."),
}  # fmt: skip
_THREE = {"low": N_("Low, likely and high belong together and rise."), "likely": "", "high": ""}


def groups(layer):
    """[(id, title, fields)] of a layer: what it is called, facts, place and time, where it comes from."""
    first = [f for f in layer.fields if f.name in layer.key or f.name in ("name_vi", "name_en")]
    place = [f for f in layer.fields if f in PLACE and f not in first]
    whence = [f for f in layer.fields if f in PROVENANCE and f not in first]
    own = [f for f in layer.fields if f not in first and f not in place and f not in whence]
    titles = (("name", _("Name and key"), first), ("facts", _("Facts"), own),
              ("when", _("Place and time"), place), ("whence", _("Where it comes from"), whence))  # fmt: skip
    return [(key, title, fields) for key, title, fields in titles if fields]


def fields_of(layer, values, errors=None, *, typed=None, new=False, told=None):
    """[(id, title, [field as form_field in templates/desk_macros.html takes it])].

    values: plain values of the row. typed: what was typed, shown in their place. new: the key may be typed too.
    told: {field: sentence} shown beside a field without being an error.
    """
    errors, out = errors or {}, []
    for key, title, fields in groups(layer):
        made = []
        for f in fields:
            shown = written(f, values.get(f.name)) if typed is None else typed.get(PREFIX + f.name, "")
            made.append(_field(layer, f, shown, errors.get(f.name), new, (told or {}).get(f.name)))
        out.append((key, title, made))
    return out


def _field(layer, f, shown, error, new, told):
    fixed = f.name in layer.key and not new
    kind = "choice" if f.allowed else f.kind if f.kind != "text" else "long" if _is_long(f, shown) else "text"
    hints = [_(HINTS[f.name])] if f.name in HINTS else []
    if f.name.rpartition("_")[2] == "low":
        hints.append(_(_THREE["low"]))
    if not f.public:
        hints.append(_("For the staff only; never public."))
    if told:
        hints.append(told)
    attributes = {"data-was": shown} | ({"readonly": "readonly"} if fixed else {})
    made = {
        "name": PREFIX + f.name, "field": f.name, "label": getattr(f, language()), "kind": "text" if fixed else kind,
        "value": shown, "required": f.required, "unit": unit_word(f.unit), "hint": " ".join(hints), "error": error,
        "attributes": attributes, "most": MOST,
        "rows": min(8, max(2, -(-len(shown) // 60), shown.count("\n") + 1)),
    }  # fmt: skip
    if f.allowed:
        known = [(c.value, getattr(c, language())) for c in f.allowed]
        made["options"] = known if not shown or shown in dict(known) else [*known, (shown, shown)]
        made["blank"] = "–"
    return made


def _is_long(f, shown):
    return bool(_LONG.search(f.name)) or len(shown) > 60 or "\n" in shown


def written(f, value, code=None):
    """A plain value as it stands in its field: numbers with the reader's decimal mark and no other."""
    if value is None:
        return ""
    if f.kind in ("number", "integer"):
        return _plain_number(value, code or language())
    return value.isoformat() if f.kind == "date" else str(value)


def _plain_number(value, code):
    text = f"{Decimal(repr(float(value))):f}".removesuffix(".0")
    return text.replace(".", ",") if code == "vi" else text


def shown(f, value):
    """A plain value as a table shows it: words for codes, thousands marks, days as the reader writes them."""
    if value is None:
        return ""
    if f.allowed:
        return next((getattr(c, language()) for c in f.allowed if c.value == value), str(value))
    if f.kind in ("number", "integer") and f.name.endswith("_year"):
        return str(int(value))
    if f.kind in ("number", "integer"):
        return i18n.number(value, None if abs(value) >= 1 or value == 0 else 4) + (
            f" {unit_word(f.unit)}" if f.unit else ""
        )
    return i18n.date(value) if f.kind == "date" else str(value)


def parsed(layer, form, before=None, *, new=False):
    """({field: plain value}, {field: sentence}) of a form. before: plain values that its fields showed, {} for a new row.

    What was not touched keeps its value to the last digit, though a field shows it rounded or in other words.
    A field that the form does not have keeps its value too.
    """
    before, values, errors = before or {}, {}, {}
    for f in layer.fields:
        typed = form.get(PREFIX + f.name)
        was = before.get(f.name)
        if typed is None or (f.name in layer.key and not new):
            values[f.name] = was
            continue
        typed = _clean(typed)
        if typed in {_clean(written(f, was, code)) for code in ("vi", "en")}:
            values[f.name] = was
        else:
            try:
                values[f.name] = read(f, typed)
            except ValueError as e:
                values[f.name], errors[f.name] = was, str(e)
        if f.required and values[f.name] is None and f.name not in errors:
            errors[f.name] = _("“%(field)s” must be filled in.", field=label(layer, f.name))
    return values, errors


def _clean(typed):
    lines = typed.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in lines if c == "\n" or c == "\t" or ord(c) >= 32).strip()


def read(f, typed):
    """The plain value of what was typed into a field, None for a blank; ValueError with a sentence for the reader."""
    if not typed:
        return None
    if len(typed) > MOST:
        raise ValueError(_("At most %(most)s letters; these are %(n)s.", most=MOST, n=len(typed)))
    try:
        typed.encode()
    except UnicodeEncodeError:
        raise ValueError(_("This text holds letters that cannot be kept.")) from None
    if f.kind in ("number", "integer"):
        return read_number(f, typed)
    if f.kind == "date":
        return _day(typed)
    if f.allowed and typed not in [c.value for c in f.allowed]:
        words = ", ".join(getattr(c, language()) for c in f.allowed)
        raise ValueError(_("“%(value)s” is not one of: %(words)s.", value=typed[:60], words=words))
    return typed


def _day(typed):
    try:
        day = date.fromisoformat(typed)
    except ValueError:
        raise ValueError(_("Give the day as a date.")) from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(_("The year must lie between %(first)s and %(last)s.", first=FIRST_YEAR, last=LAST_YEAR))
    return day


_GROUPS = re.compile(r"[-+]?\d{1,3}(?:([.,  ])\d{3})(?:\1\d{3})*(?:(?!\1)[.,]\d+)?")
_DECIMAL = re.compile(r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?")


def read_number(f, typed):
    """A number typed with a decimal comma or point, with or without thousands marks.

    One mark before exactly three digits can mean two things, of which one is a thousand times the other: that is
    asked, not guessed, except where the field is a whole number or an angle.
    """
    text = typed.replace("\u00a0", " ").replace("\u202f", " ").replace("−", "-").strip()
    groups = _GROUPS.fullmatch(text)
    if groups:
        mark = groups[1]
        bare = text.replace(mark, "").replace(",", ".")
        marks = sum(c in ".," for c in text)
        open_to_both = mark in ".," and marks == 1 and not re.match(r"[-+]?0", text)
        if open_to_both and f.unit == "°":
            bare = text.replace(",", ".")
        elif open_to_both and f.kind == "number":
            raise ValueError(
                _("“%(typed)s” can be read in two ways. Write %(large)s or %(small)s.", typed=typed,
                  large=_plain_number(float(bare), language()), small=text.replace(".", ",") + "0" if language() == "vi"
                  else text.replace(",", ".") + "0")
            )  # fmt: skip
        elif re.match(r"[-+]?0[.,]\d{3}$", text):
            bare = text.replace(",", ".")
    elif _DECIMAL.fullmatch(text):
        bare = text.replace(",", ".")
    else:
        raise ValueError(_("Write a number, such as 1250 or 0,5."))
    value = float(bare)
    if value in (float("inf"), float("-inf")):
        raise ValueError(_("Write a number, such as 1250 or 0,5."))
    if f.kind == "integer":
        if value != int(value) or abs(value) > 2**53:
            raise ValueError(_("Write a whole number."))
        return int(value)
    return value
