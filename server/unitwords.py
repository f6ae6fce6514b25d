"""Words for kinds of places, long and short, in two languages: "phường", "ward", "p.", and where one begins in a text."""

from dataclasses import dataclass

from layers.letters import Token, Word, agreement, tokens_of


@dataclass(frozen=True)
class Unit:
    """A word for a kind of place, in Vietnamese, in English, and shortened."""

    key: str
    vi: tuple[str, ...]
    en: tuple[str, ...] = ()
    short: tuple[str, ...] = ()


UNITS = (
    Unit("phuong", ("phường",), ("ward",), ("p",)),
    Unit("xa", ("xã",), ("commune",), ("x",)),
    Unit("quan", ("quận",), ("urban district", "district"), ("q",)),
    Unit("huyen", ("huyện",), ("rural district", "district"), ("h",)),
    Unit("thanh pho", ("thành phố",), ("city",), ("tp",)),
    Unit("thi tran", ("thị trấn",), ("township", "town"), ("tt",)),
    Unit("thi xa", ("thị xã",), (), ("tx",)),
    Unit("dac khu", ("đặc khu",), ("special administrative zone", "special zone"), ("đk",)),
    Unit("kcn", ("khu công nghiệp",), ("industrial park", "industrial zone"), ("kcn",)),
    Unit("ccn", ("cụm công nghiệp",), ("industrial cluster",), ("ccn",)),
    Unit("kkt", ("khu kinh tế",), ("economic zone",), ("kkt",)),
    Unit("nm", ("nhà máy",), ("plant",), ("nm",)),
    Unit("xlnt", ("xử lý nước thải",), ("wastewater treatment", "waste water treatment"), ("xlnt",)),
    Unit("br", ("bãi rác", "bãi chôn lấp"), ("landfill",), ("br",)),
    Unit("cang", ("cảng",), ("port",)),
    Unit("diem nong", ("điểm nóng",), ("hotspot", "hot spot")),
)

ADMIN = frozenset({"phuong", "xa", "quan", "huyen", "thanh pho", "thi tran", "thi xa", "dac khu"})

# What an entry is although its name may not say so (hotspot HS07 is "Làng nghề ...").
KIND_UNITS = {
    "hotspot": ("diem nong",),
    "port": ("cang",),
    "terminal": ("cang",),
    "fishing_port": ("cang",),
    "landfill": ("br",),
    "dump": ("br",),
    "industrial_park": ("kcn",),
    "industrial_cluster": ("ccn",),
    "economic_zone": ("kkt",),
    "wastewater_plant": ("nm", "xlnt"),
}


def _phrase(text: str) -> tuple[Word, ...]:
    return tuple(token.word for token in tokens_of(text))


def _phrases() -> dict[str, list[tuple[tuple[Word, ...], str, frozenset[str], tuple[Word, ...]]]]:
    """By first plain word, longest first: words, language, unit keys, Vietnamese words."""
    keys: dict[tuple[tuple[Word, ...], str], set[str]] = {}
    spelled: dict[tuple[tuple[Word, ...], str], tuple[Word, ...]] = {}
    for unit in UNITS:
        for language, texts in (("vi", unit.vi), ("en", unit.en), ("short", unit.short)):
            for text in texts:
                words = _phrase(text)
                keys.setdefault((words, language), set()).add(unit.key)
                spelled.setdefault((words, language), words if language == "vi" else _phrase(unit.vi[0]))
    table: dict[str, list] = {}
    for (words, language), found in keys.items():
        row = (words, language, frozenset(found), spelled[words, language])
        table.setdefault(words[0].plain, []).append(row)
    for rows in table.values():
        rows.sort(key=lambda row: -len(row[0]))
    return table


_PHRASES = _phrases()


def unit_at(tokens: list[Token], i: int, *, strict: bool):
    """The unit phrase that begins at word i, or None.

    strict: marks must be those of the phrase (names); otherwise they may be
    left out (queries). One letter is a unit only before a dot, or as the first
    of several words: "P. Hưng Đạo", "p hung dao", but not "DEEP C" or "an x".
    """
    for row in _PHRASES.get(tokens[i].word.plain, ()):
        words, language = row[0], row[1]
        span = tokens[i : i + len(words)]
        if len(span) < len(words):
            continue
        if any(token.word.plain != word.plain for token, word in zip(span, words, strict=True)):
            continue
        if language == "short":
            single = len(words[0].plain) == 1
            if single and not span[0].dotted and not (i == 0 and len(tokens) > 1):
                continue
            if agreement(span[0].word, words[0]) == "other":
                continue
            return row
        allowed = ("same",) if strict else ("same", "fewer")
        if all(agreement(token.word, word) in allowed for token, word in zip(span, words, strict=True)):
            return row
    return None
