"""References of the table of legal distances in the reader's language.

The table writes them in English; what people wrote themselves, such as the source of a distance of their own, is never
touched: only references that stand in the table are put into other words.
"""

import re
from functools import lru_cache

from server.i18n import N_, translations
from server.sitekinds import table

PARTS = (
    N_("Joint Circular"), N_("Circular"), N_("notes to Table"), N_("wastewater table not read"), N_("Table"), N_("as reported"),
    N_("rural section"), N_("section"), N_("industrial safe distance"), N_("Law on Environmental Protection"), N_("Decree"),
    N_("article"), N_("clause"), N_("Annex"), N_("landfill siting"),
    N_("solid waste, sanitary landfill, general environmental requirements"),
)  # fmt: skip
_PART = re.compile(r"\b(" + "|".join(sorted(PARTS, key=len, reverse=True)) + r")\b")
_DAY = re.compile(r" of (\d{4})-(\d\d)-(\d\d)")


@lru_cache(maxsize=4)
def _known(language):
    """[(reference of the table, the same in a language)], the longest first."""
    word = translations(language).gettext
    whole = set(table()["reference"]) - {""}
    found = sorted(whole | {text.partition("), ")[0] + ")" for text in whole if "), " in text}, key=len, reverse=True)
    dated = [(text, _DAY.sub(r" (\3/\2/\1)" if language == "vi" else r" of \1-\2-\3", text)) for text in found]
    return [(text, _PART.sub(lambda m: word(m[1]), made)) for text, made in dated]


def cited(text, language):
    """A text with the references of the table in a language."""
    if language != "en" and text:
        for reference, made in _known(language):
            text = text.replace(reference, made)
    return text
