"""The words of an index, and which of them a typed word may mean: the same, begun, without marks, one error away."""

from bisect import bisect_left
from typing import NamedTuple

from layers.letters import AGREEMENTS, Word, agreement

TYPO_LETTERS = 5


class Fit(NamedTuple):
    """How well a typed word fits a word of the index; typed: how much of it is typed."""

    fit: float
    typed: float
    by_error: bool


class Vocabulary:
    """The words of an index by number. Built once; asking changes nothing.

    numbers: the number of each word.
    """

    def __init__(self, numbers: dict[Word, int]):
        self._spellings: dict[str, list[tuple[Word, int]]] = {}
        for word, number in numbers.items():
            self._spellings.setdefault(word.plain, []).append((word, number))
        self._plain = sorted(self._spellings)
        self._deleted: dict[str, list[str]] = {}
        for word in self._plain:
            if TYPO_LETTERS - 1 <= len(word) <= 30 and word.isalpha():
                for key in _deletions(word) | {word}:
                    self._deleted.setdefault(key, []).append(word)

    def fits(self, typed: Word, marked: bool, *, begun: bool, errors: bool) -> dict[int, Fit]:
        """The words of the index that a typed word may mean.

        marked: the query has marks, so those left out count. begun: words that
        only begin like it too. errors: also words one typing error away.
        """
        share = {"same": 1.0, "fewer": 0.85, "other": 0.6} if marked else dict.fromkeys(AGREEMENTS, 1.0)
        fits: dict[int, Fit] = {}
        if errors:
            for plain in self._near(typed.plain):
                fits.update((number, Fit(0.6, 1.0, True)) for _, number in self._spellings[plain])
        for plain in self._begun(typed.plain) if begun else ():
            part = len(typed.plain) / len(plain)
            for word, number in self._spellings[plain]:
                other = marked and agreement(typed, word) == "other"
                fits[number] = Fit((0.6 if other else 1.0) * (0.80 + 0.15 * part), part, False)
        for word, number in self._spellings.get(typed.plain, ()):
            fits[number] = Fit(share[agreement(typed, word)], 1.0, False)
        return fits

    def _near(self, plain: str) -> frozenset[str]:
        if len(plain) < TYPO_LETTERS or len(plain) > 30 or not plain.isalpha():
            return frozenset()
        found = set()
        for key in _deletions(plain) | {plain}:
            found.update(word for word in self._deleted.get(key, ()) if _one_error(plain, word))
        return frozenset(found)

    def _begun(self, plain: str) -> list[str]:
        """Words of the index that begin with these letters."""
        start = bisect_left(self._plain, plain)
        stop = bisect_left(self._plain, plain + "\U0010ffff")
        return self._plain[start:stop]


def _deletions(plain: str) -> set[str]:
    return {plain[:i] + plain[i + 1 :] for i in range(len(plain))}


def _one_error(a: str, b: str) -> bool:
    """Is b one insertion, deletion, change or swap of neighbours away from a?"""
    if a == b or abs(len(a) - len(b)) > 1:
        return False
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    if len(a) > len(b):
        return a[start + 1 :] == b[start:]
    if len(a) < len(b):
        return a[start:] == b[start + 1 :]
    if a[start + 1 :] == b[start + 1 :]:
        return True
    return a[start : start + 2] == b[start : start + 2][::-1] and a[start + 2 :] == b[start + 2 :]
