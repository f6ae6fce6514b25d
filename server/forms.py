"""What people type into the forms of the staff, read: texts, days, numbers, amounts; and what is wrong, told together."""

from datetime import date

from server.i18n import gettext as _


class FormError(Exception):
    """A form that was not taken. errors: {field: sentence in the reader's language}, "" for the form as a whole.

    case: the case as it is now, where somebody else was quicker.
    """

    def __init__(self, errors, case=None):
        self.errors, self.case = errors, case
        super().__init__("; ".join(errors.values()))


def text_of(form, name, most=4000):
    return (form.get(name) or "").replace("\r\n", "\n").strip()[:most]


def day_of(form, name, errors, *, required=False):
    """A date, or None; what is wrong is added to errors."""
    typed = text_of(form, name)
    if not typed and not required:
        return None
    try:
        return date.fromisoformat(typed)
    except ValueError:
        errors[name] = _("Give the day as a date.")
        return None


def number_of(typed):
    """A number as it is typed: decimal comma or point, with or without < and thousands marks; (sign, value).

    A value such as 1.234,5 or 1,234.5 has both marks: the last one is the decimal mark. ValueError else.
    """
    typed = typed.replace("\u00a0", "").replace(" ", "").replace("−", "-")
    sign = typed[:1] if typed[:1] in "<>" else ""
    rest = typed[len(sign) :]
    comma, point = rest.rfind(","), rest.rfind(".")
    if comma >= 0 and point >= 0:
        decimal, other = (",", ".") if comma > point else (".", ",")
        rest = rest.replace(other, "").replace(decimal, ".")
    elif comma >= 0:
        if rest.count(",") > 1:
            raise ValueError(typed)
        rest = rest.replace(",", ".")
    value = float(rest)
    if value != value or abs(value) == float("inf"):
        raise ValueError(typed)
    return sign, value


def revision_of(form):
    try:
        return int(form.get("revision", ""))
    except ValueError:
        raise FormError({"": _("The form is not complete. Open the page again and send it once more.")}) from None


def amount_of(typed):
    """Whole đồng as typed, with thousands marks of either language; None where it is no such number.

    >>> amount_of("50.000.000"), amount_of("50 000 000 đ"), amount_of("1,5 tr")
    (50000000, 50000000, None)
    """
    bare = typed.replace("\u00a0", " ").removesuffix("đ").removesuffix("VND").strip()
    groups = [g for mark in (".", ",", " ") for g in [bare.split(mark)] if len(g) > 1]
    if len(groups) > 1 or (groups and not all(len(g) == 3 for g in groups[0][1:])):
        return None
    plain = "".join(groups[0]) if groups else bare
    return int(plain) if plain.isdecimal() and len(plain) <= 15 else None
