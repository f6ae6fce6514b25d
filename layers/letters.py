"""Vietnamese words taken apart: letters, marks, tone; for search, filters and sorting.

Old and new tone placement (hoà, hòa), composed and decomposed text, and letter case make no difference.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

_TONES = {"\u0300": 1, "\u0309": 2, "\u0303": 3, "\u0301": 4, "\u0323": 5}
_QUALITIES = {"\u0306": "ă", "\u0302": "â", "\u031b": "ơ"}

_ALPHABET = "aăâbcdđeêfghijklmnoôơpqrstuưvwxyz"
_LETTER_RANK = {letter: rank for rank, letter in enumerate(_ALPHABET)}
_WITH_QUALITY = {
    ("a", "ă"): "ă",
    ("a", "â"): "â",
    ("e", "â"): "ê",
    ("o", "â"): "ô",
    ("o", "ơ"): "ơ",
    ("u", "ơ"): "ư",
    ("d", "đ"): "đ",
}


class Word(NamedTuple):
    """plain: letters without marks. marks: one sign for each letter. tone: 0-5."""

    plain: str
    marks: str
    tone: int


class Token(NamedTuple):
    word: Word
    dotted: bool
    after_comma: bool
    bracketed: bool


def _decomposed(text: str) -> str:
    """Compatibility decomposition, lower case: one letter, then its marks."""
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())


# A word with its marks, and with the signs nobody sees (soft hyphen, zero width).
_WORD = re.compile("(?:[^\\W_]|[\u0300-\u036f\u00ad\u200b-\u200d\u2060\ufeff])+")


@lru_cache(maxsize=65536)
def word_of(raw: str) -> Word | None:
    """One decomposed word, its marks taken apart, so that hoà and hòa are the same."""
    letters: list[str] = []
    marks: list[str] = []
    tone = 0
    for char in raw:
        if char.isalnum():
            # The Icelandic eth looks the same in capitals and is often typed.
            stroke = char in "đð"
            letters.append("d" if stroke else char)
            marks.append("đ" if stroke else " ")
        elif letters and char in _TONES:
            tone = _TONES[char]
        elif letters and char in _QUALITIES:
            marks[-1] = _QUALITIES[char]
    return Word("".join(letters), "".join(marks), tone) if letters else None


def tokens_of(text: str) -> list[Token]:
    """The words of a text in order."""
    found: list[Token] = []
    text = _decomposed(text)
    comma = False
    brackets = end = 0
    for match in _WORD.finditer(text):
        between = text[end : match.start()]
        end = match.end()
        comma = comma or "," in between or ";" in between
        for sign in between:
            brackets = max(0, brackets + (sign == "(") - (sign == ")"))
        word = word_of(match.group())
        if word is not None:
            found.append(Token(word, text[end : end + 1] == ".", comma, brackets > 0))
    return found


def has_marks(word: Word) -> bool:
    return word.tone != 0 or not word.marks.isspace()


AGREEMENTS = ("same", "fewer", "other")


def agreement(typed: Word, name: Word) -> str:
    """'same', 'fewer' (typed marks are some of the name's) or 'other'.

    The letters of typed are those of name, or its beginning.
    """
    if typed.marks == name.marks and typed.tone == name.tone:
        return "same"
    if typed.tone not in (0, name.tone):
        return "other"
    if any(mark not in (" ", name.marks[i]) for i, mark in enumerate(typed.marks)):
        return "other"
    return "fewer"


def fold(text: str) -> str:
    """The text in small letters without marks, words parted by one space: for plain filters.

    >>> fold("Phường  Đồ Sơn")
    'phuong do son'
    """
    return " ".join(word.plain for word, *_ in tokens_of(text))


def collation_key(text: str) -> tuple:
    """A sort key for Vietnamese text.

    Syllable by syllable: first the letters (a ă â b c d đ e ê ... o ô ơ ... u ư
    ... y), then the tone (ngang, huyền, hỏi, ngã, sắc, nặng). Numbers come
    before letters and count as numbers; case and punctuation do not count.

    >>> sorted(["Đồ Sơn", "Dương Kinh", "An Lão", "Ái Quốc"], key=collation_key)
    ['Ái Quốc', 'An Lão', 'Dương Kinh', 'Đồ Sơn']
    """
    key = []
    for word, *_ in tokens_of(text):
        signs = zip(word.plain, word.marks, strict=True)
        for is_number, run in groupby(signs, key=lambda sign: sign[0] in "0123456789"):
            if is_number:
                digits = "".join(char for char, _ in run).lstrip("0")
                key.append((0, len(digits), digits, 0))
            else:
                key.append((1, 0, tuple(_letter_rank(*sign) for sign in run), word.tone))
    return tuple(key)


def _letter_rank(char: str, mark: str) -> tuple[int, int]:
    letter = _WITH_QUALITY.get((char, mark), char)
    rank = _LETTER_RANK.get(letter)
    return (0, rank) if rank is not None else (1, ord(char))


def sort_key(text: str) -> tuple:
    return collation_key(text), text
