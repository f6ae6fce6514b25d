"""Numbers in fields: read as people of a language write them, and written so that they are read back the same."""

import re

from server.forms import number_of
from server.i18n import N_

NO_NUMBER = N_("Write a number here.")


def quantity(typed, language):
    """A number as people of a language write it, with or without thousands marks. ValueError for anything else.

    >>> quantity("10.000", "vi"), quantity("2,5", "vi"), quantity("10,000", "en"), quantity("0.125", "vi")
    (10000.0, 2.5, 10000.0, 0.125)
    """
    mark = r"\." if language == "vi" else ","
    if re.fullmatch(rf"[1-9]\d{{0,2}}(?:{mark}\d{{3}})+", typed):
        return float(re.sub(mark, "", typed))
    sign, value = number_of(typed)
    if sign:
        raise ValueError(typed)
    return value


def shown(value, language):
    """A number for a field, such as quantity() reads it; "" for None, True and False as yes and no.

    >>> shown(12500.0, "vi"), shown(0.125, "vi"), shown(0.125, "en"), shown(None, "en")
    ('12.500', '0,125', '0.125', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    written = f"{value:,.6f}".rstrip("0").rstrip(".")
    return written.translate(str.maketrans(",.", ".,")) if language == "vi" else written
