"""Search over names, with or without Vietnamese marks.

Everything is in memory and read-only after `Index(entries)`: no database, no
request, no HTML. A hit never carries the typed text, and names are returned as
they were given: the page escapes them.

A hit by name is scored from 0 to 100 (see server/matches.py), one by its code
99, by the beginning of its code (3 signs or more) up to 80. Equal scores: the
greater weight, then the Vietnamese alphabet, then the code.
"""

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from layers.letters import Word, sort_key, tokens_of
from server.matches import score_of
from server.nameforms import Alias, Entry, Form, form_of
from server.typed import Query, query_of
from server.vocabulary import Fit, Vocabulary

MAX_CHARS = 200
MAX_CANDIDATES = 800


@dataclass(frozen=True)
class Hit:
    """An entry found. why: 'name', 'old name', 'abbreviation' or 'code'.

    alias: the other name that matched, None when the entry's own name or code did.
    """

    entry: Entry
    score: float
    alias: Alias | None
    why: str


class Index:
    """A search index over entries. Built once; searching changes nothing."""

    def __init__(self, entries: Iterable[Entry]):
        self._entries = sorted(entries, key=lambda e: (sort_key(e.name_vi), e.kind, e.code, e.url))
        english = sorted(
            range(len(self._entries)),
            key=lambda n: (sort_key(self._entries[n].name_en or self._entries[n].name_vi), n),
        )
        self._english_rank = [0] * len(english)
        for rank, number in enumerate(english):
            self._english_rank[number] = rank

        numbers: dict[Word, int] = {}

        def number_of(word: Word) -> int:
            return numbers.setdefault(word, len(numbers))

        forms = [form for entry in range(len(self._entries)) for form in self._entry_forms(entry, number_of)]
        # When there are too many candidates the first ones are taken: short names,
        # which a few typed words cover best, and new names before old.
        forms.sort(key=lambda f: (f.size, f.alias is not None, -self._entries[f.entry].weight, f.entry, f.number))
        self._forms = forms

        self._forms_with: list[list[int]] = [[] for _ in numbers]
        self._forms_of_unit: dict[str, list[int]] = {}
        for number, form in enumerate(forms):
            for word in set(form.words):
                self._forms_with[word].append(number)
            if form.alias is None:
                for unit in form.units:
                    self._forms_of_unit.setdefault(unit, []).append(number)
        self._words = Vocabulary(numbers)

        self._codes: dict[str, list[int]] = {}
        for number, entry in enumerate(self._entries):
            code = _compact(entry.code)
            if code:
                self._codes.setdefault(code, []).append(number)
        self._code_list = sorted(self._codes)

    def __len__(self) -> int:
        return len(self._entries)

    def search(self, text: str, limit: int = 10, lang: str = "vi") -> list[Hit]:
        """The best hits, at most limit, best first; one per entry.

        text: as typed; only the first 200 characters and 24 words are read.
        lang: 'vi' or 'en', the language whose name wins a tie.
        Nothing to search for, or nothing found: an empty list.
        """
        text = (text or "")[:MAX_CHARS]
        best: dict[int, tuple[float, Alias | None, str]] = {}
        for number, score in self._by_code(text):
            best[number] = (score, None, "code")
        query = query_of(text, self._words)
        if query.atoms:
            for form_number in self._candidates(query):
                form = self._forms[form_number]
                score = score_of(form, query, lang)
                if score > 0 and (form.entry not in best or score > best[form.entry][0]):
                    best[form.entry] = (score, form.alias, form.alias.kind if form.alias else "name")
        rank = self._english_rank if lang == "en" else range(len(self._entries))
        order = {number: (-best[number][0], -self._entries[number].weight, rank[number]) for number in best}
        top = heapq.nsmallest(max(0, limit), best, key=order.__getitem__)
        return [Hit(self._entries[number], *best[number]) for number in top]

    def _entry_forms(self, number: int, number_of: Callable[[Word], int]) -> list[Form]:
        entry = self._entries[number]
        texts = [(None, False, entry.name_vi, entry.context), (None, True, entry.name_en, entry.context)]
        texts += [(alias, False, alias.text, alias.context) for alias in entry.aliases]
        forms = [form_of(number, order, *text, entry.kind, number_of) for order, text in enumerate(texts)]
        return [form for form in forms if form is not None]

    def _candidates(self, query: Query) -> list[int]:
        """Numbers of the forms worth scoring, at most MAX_CANDIDATES."""
        words = [atom for atom in query.atoms if not atom.units and not atom.optional]
        if not words:
            found: set[int] = set()
            for atom in query.atoms:
                if not atom.optional:
                    for unit in atom.units:
                        found.update(self._forms_of_unit.get(unit, ()))
                    found.update(*self._lists(atom.fits[0]))
            return heapq.nsmallest(MAX_CANDIDATES, found)

        wanted = sorted((self._lists(atom.fits[0]) for atom in words), key=lambda lists: sum(map(len, lists)))
        found = set().union(*wanted[0])
        for lists in wanted[1:]:
            if len(found) <= MAX_CANDIDATES // 10:
                break  # scoring will refuse the rest
            found &= set().union(*lists)
        if len(found) <= MAX_CANDIDATES:
            return sorted(found)
        exact = set(found)
        for atom in words:
            same = {number: fit for number, fit in atom.fits[0].items() if fit.fit == 1.0}
            exact &= set().union(*self._lists(same))
        chosen = heapq.nsmallest(MAX_CANDIDATES, exact)
        return chosen + heapq.nsmallest(MAX_CANDIDATES - len(chosen), found - exact)

    def _lists(self, fits: dict[int, Fit]) -> list[list[int]]:
        return [self._forms_with[number] for number in fits]

    def _by_code(self, text: str) -> list[tuple[int, float]]:
        typed = _compact(text)
        hits = [(number, 99.0) for number in self._codes.get(typed, ())]
        if len(typed) >= 3 and any(char.isdigit() for char in typed):
            start = bisect_left(self._code_list, typed)
            stop = bisect_left(self._code_list, typed + "\U0010ffff", start)
            for code in self._code_list[start:stop][:MAX_CANDIDATES]:
                if code != typed:
                    share = len(typed) / len(code)
                    hits.extend((number, round(80 * share, 6)) for number in self._codes[code])
        return hits


def _compact(code: str) -> str:
    """A code without spaces, dots, marks and case: "hs 07" is HS07."""
    return "".join(token.word.plain for token in tokens_of(code))
