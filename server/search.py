"""Search over names, with or without Vietnamese marks.

Everything is in memory and read-only after `Index(entries)`: no database, no
request, no HTML. A hit never carries the typed text, and names are returned as
they were given: the page escapes them.

How a hit is scored (0 to 100):

  100 * form                            the same text, marks and all
  95 * letters * order * unit * form * (0.6 + 0.4 * coverage)
                                        otherwise, and 3 more for the same letters
  99, or up to 80                       the code, or its beginning (3 signs or more)

  letters   mean over the typed words: 1 the same word, 0.85 marks left out in a
            query that has marks elsewhere, 0.6 other marks ("dương" for
            "đường"), 0.6 one typing error, 0.80-0.95 only begun
  order     1 as written, 0.97 not from the first word, 0.92 with gaps, 0.8 mixed
  unit      0.7 another unit was typed (xã for a phường), 0.85 it has no unit,
            0.92 only a part of the name ("kcn" for the plant of a KCN),
            and when none was typed 0.985 for a ward, 0.88 for a plant or a port
            ("Cát Bà" is the place before it is its plant), else 1
  form      1 the name, 0.98 the name in the other language, 0.96 abbreviation,
            0.9 old name
  coverage  share of the name's own words (without the unit) that were typed;
            words in brackets count a quarter

Equal scores: the greater weight, then the Vietnamese alphabet, then the code.
"""

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple

from layers.letters import AGREEMENTS, Token, Word, agreement, has_marks, sort_key, tokens_of

MAX_CHARS = 200
MAX_WORDS = 24
MAX_CANDIDATES = 800
MAX_DOUBTS = 4
TYPO_LETTERS = 5


@dataclass(frozen=True)
class Alias:
    """Another name of an entry.

    kind: 'old name' (before 1 July 2025), 'abbreviation', or 'name' (a second
    name in use). context: words that may be typed beside it, such as the old
    district; they never make a match alone.
    """

    text: str
    kind: str = "name"
    context: str = ""


@dataclass(frozen=True)
class Entry:
    """One thing that can be found.

    weight: the greater one wins a tie. context: words that may be typed beside
    the name, such as the district; they never make a match alone.
    """

    code: str
    kind: str
    name_vi: str
    name_en: str = ""
    url: str = ""
    aliases: tuple[Alias, ...] = ()
    weight: float = 0.0
    context: str = ""


@dataclass(frozen=True)
class Hit:
    """An entry found. why: 'name', 'old name', 'abbreviation' or 'code'.

    alias: the other name that matched, None when the entry's own name or code did.
    """

    entry: Entry
    score: float
    alias: Alias | None
    why: str


@dataclass(frozen=True)
class _Unit:
    """A word for a kind of place, in Vietnamese, in English, and shortened."""

    key: str
    vi: tuple[str, ...]
    en: tuple[str, ...] = ()
    short: tuple[str, ...] = ()


_UNITS = (
    _Unit("phuong", ("phường",), ("ward",), ("p",)),
    _Unit("xa", ("xã",), ("commune",), ("x",)),
    _Unit("quan", ("quận",), ("urban district", "district"), ("q",)),
    _Unit("huyen", ("huyện",), ("rural district", "district"), ("h",)),
    _Unit("thanh pho", ("thành phố",), ("city",), ("tp",)),
    _Unit("thi tran", ("thị trấn",), ("township", "town"), ("tt",)),
    _Unit("thi xa", ("thị xã",), (), ("tx",)),
    _Unit("dac khu", ("đặc khu",), ("special administrative zone", "special zone"), ("đk",)),
    _Unit("kcn", ("khu công nghiệp",), ("industrial park", "industrial zone"), ("kcn",)),
    _Unit("ccn", ("cụm công nghiệp",), ("industrial cluster",), ("ccn",)),
    _Unit("kkt", ("khu kinh tế",), ("economic zone",), ("kkt",)),
    _Unit("nm", ("nhà máy",), ("plant",), ("nm",)),
    _Unit("xlnt", ("xử lý nước thải",), ("wastewater treatment", "waste water treatment"), ("xlnt",)),
    _Unit("br", ("bãi rác", "bãi chôn lấp"), ("landfill",), ("br",)),
    _Unit("cang", ("cảng",), ("port",)),
    _Unit("diem nong", ("điểm nóng",), ("hotspot", "hot spot")),
)

_ADMIN = frozenset({"phuong", "xa", "quan", "huyen", "thanh pho", "thi tran", "thi xa", "dac khu"})

# What an entry is although its name may not say so (hotspot HS07 is "Làng nghề ...").
_KIND_UNITS = {
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


def _unit_phrases() -> dict[str, list[tuple[tuple[Word, ...], str, frozenset[str], tuple[Word, ...]]]]:
    """By first plain word, longest first: words, language, unit keys, Vietnamese words."""
    keys: dict[tuple[tuple[Word, ...], str], set[str]] = {}
    spelled: dict[tuple[tuple[Word, ...], str], tuple[Word, ...]] = {}
    for unit in _UNITS:
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


_PHRASES = _unit_phrases()


def _unit_at(tokens: list[Token], i: int, *, strict: bool):
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


_CORE, _UNIT, _CONTEXT = 0, 1, 2


class _Form(NamedTuple):
    """One way to write an entry, ready for comparison.

    words: numbers of the index's words. For each of them: what it is (roles),
    its place among the core words (ranks), how much of the name it is (shares).
    units: all units named, own: those that say what the entry itself is.
    untyped: the share when no unit was typed.
    spelled: the words, abbreviations written out, for "is it the same text?".
    """

    entry: int
    number: int
    alias: Alias | None
    english: bool
    words: tuple[int, ...]
    roles: tuple[int, ...]
    ranks: tuple[int, ...]
    shares: tuple[float, ...]
    units: frozenset[str]
    own: frozenset[str]
    untyped: float
    size: float
    spelled: tuple[Word, ...]


def _form(
    entry: int,
    number: int,
    alias: Alias | None,
    english: bool,
    text: str,
    context: str,
    kind: str,
    number_of: Callable[[Word], int],
) -> _Form | None:
    """The form of one text, or None when it has no words."""
    tokens = tokens_of(text)
    words: list[tuple[Word, int, float]] = []
    spelled: list[Word] = []
    named: list[tuple[int, frozenset[str]]] = []
    i = 0
    while i < len(tokens):
        row = _unit_at(tokens, i, strict=True)
        if row is None:
            words.append((tokens[i].word, _CORE, 0.25 if tokens[i].bracketed else 1.0))
            spelled.append(tokens[i].word)
            i += 1
            continue
        phrase, language, keys, vietnamese = row
        named.append((len(words), keys))
        spelled.extend(vietnamese)
        shown = vietnamese if language == "vi" else vietnamese + phrase
        words.extend((word, _UNIT, 0.0) for word in shown)
        i += len(phrase)
    core = [place for place, (_, role, _) in enumerate(words) if role == _CORE]
    if not core:
        if not named:
            return None
        # Only units were read: the last of them is the name ("KCN Cảng").
        start = named.pop()[0]
        words[start:] = [(word, _CORE, 1.0) for word, _, _ in words[start:]]
        core = list(range(start, len(words)))
    # "Nhà máy XLNT ...", but in English "... Industrial Park".
    own = set(_KIND_UNITS.get(kind, ()))
    for place, keys in named:
        if place <= core[0] or (english and place > core[-1]):
            own |= keys
    words.extend((token.word, _CONTEXT, 0.0) for token in tokens_of(context))
    return _Form(
        entry,
        number,
        alias,
        english,
        words=tuple(number_of(word) for word, _, _ in words),
        roles=tuple(role for _, role, _ in words),
        ranks=tuple(core.index(place) if place in core else -1 for place in range(len(words))),
        shares=tuple(share for _, _, share in words),
        units=frozenset().union(own, *(keys for _, keys in named)),
        own=frozenset(own),
        untyped=(0.985 if own & _ADMIN else 0.88) if named else 1.0,
        size=sum(share for _, _, share in words),
        spelled=tuple(spelled),
    )


class _Fit(NamedTuple):
    """How well a typed word fits a word of the index; typed: how much of it is typed."""

    fit: float
    typed: float
    by_error: bool


class _Atom(NamedTuple):
    """One thing typed: a word, or a unit of one or more words.

    fits: for each word, the words of the index it fits, by number.
    optional: typed after a comma, or the name of the city at the end.
    """

    words: tuple[Word, ...]
    units: frozenset[str]
    optional: bool
    fits: tuple[dict[int, _Fit], ...]


class _Query(NamedTuple):
    atoms: tuple[_Atom, ...]
    spelled: tuple[Word, ...]


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

        self._spellings: dict[str, list[tuple[Word, int]]] = {}
        for word, number in numbers.items():
            self._spellings.setdefault(word.plain, []).append((word, number))
        self._vocabulary = sorted(self._spellings)

        self._deleted: dict[str, list[str]] = {}
        for word in self._vocabulary:
            if TYPO_LETTERS - 1 <= len(word) <= 30 and word.isalpha():
                for key in _deletions(word) | {word}:
                    self._deleted.setdefault(key, []).append(word)

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
        query = self._parse(text)
        if query.atoms:
            for form_number in self._candidates(query):
                form = self._forms[form_number]
                score = _score(form, query, lang)
                if score > 0 and (form.entry not in best or score > best[form.entry][0]):
                    best[form.entry] = (score, form.alias, form.alias.kind if form.alias else "name")
        rank = self._english_rank if lang == "en" else range(len(self._entries))
        order = {number: (-best[number][0], -self._entries[number].weight, rank[number]) for number in best}
        top = heapq.nsmallest(max(0, limit), best, key=order.__getitem__)
        return [Hit(self._entries[number], *best[number]) for number in top]

    def _entry_forms(self, number: int, number_of: Callable[[Word], int]) -> list[_Form]:
        entry = self._entries[number]
        texts = [(None, False, entry.name_vi, entry.context), (None, True, entry.name_en, entry.context)]
        texts += [(alias, False, alias.text, alias.context) for alias in entry.aliases]
        forms = [_form(number, order, *text, entry.kind, number_of) for order, text in enumerate(texts)]
        return [form for form in forms if form is not None]

    def _parse(self, text: str) -> _Query:
        tokens = tokens_of(text)[:MAX_WORDS]
        if tokens and tokens[0].after_comma:
            tokens = [token._replace(after_comma=False) for token in tokens]
        city = self._city_at_end(tokens)
        marked = any(has_marks(token.word) for token in tokens)
        atoms: list[_Atom] = []
        spelled: list[Word] = []
        i = 0
        while i < len(tokens):
            optional = tokens[i].after_comma or i >= city
            row = _unit_at(tokens, i, strict=False)
            if row is None:
                word = tokens[i].word
                last = i == len(tokens) - 1
                fits = self._fits(word, marked, begun=last, errors=not optional)
                atoms.append(_Atom((word,), frozenset(), optional, (fits,)))
                spelled.append(word)
                i += 1
                continue
            phrase, language, keys, vietnamese = row
            typed = tuple(token.word for token in tokens[i : i + len(phrase)])
            fits_of_unit = tuple(self._fits(word, marked, begun=False, errors=False) for word in typed)
            atoms.append(_Atom(typed, keys, optional, fits_of_unit))
            spelled.extend(typed if language == "vi" else vietnamese)
            i += len(phrase)
        return _Query(tuple(atoms), tuple(spelled))

    def _fits(self, typed: Word, marked: bool, *, begun: bool, errors: bool) -> dict[int, _Fit]:
        """The words of the index that a typed word may mean.

        marked: the query has marks, so those left out count. begun: words that
        only begin like it too. errors: also words one typing error away.
        """
        share = {"same": 1.0, "fewer": 0.85, "other": 0.6} if marked else dict.fromkeys(AGREEMENTS, 1.0)
        fits: dict[int, _Fit] = {}
        if errors:
            for plain in self._near(typed.plain):
                fits.update((number, _Fit(0.6, 1.0, True)) for _, number in self._spellings[plain])
        for plain in self._begun(typed.plain) if begun else ():
            part = len(typed.plain) / len(plain)
            for word, number in self._spellings[plain]:
                other = marked and agreement(typed, word) == "other"
                fits[number] = _Fit((0.6 if other else 1.0) * (0.80 + 0.15 * part), part, False)
        for word, number in self._spellings.get(typed.plain, ()):
            fits[number] = _Fit(share[agreement(typed, word)], 1.0, False)
        return fits

    @staticmethod
    def _city_at_end(tokens: list[Token]) -> int:
        """Where "(tp) hải phòng" begins at the end of an address, or past the end.

        Not when nothing but a unit stands before it: "cảng Hải Phòng".
        """
        if [token.word.plain for token in tokens[-2:]] != ["hai", "phong"]:
            return len(tokens)
        start = len(tokens) - 2
        for before in (["thanh", "pho"], ["tp"]):
            if [token.word.plain for token in tokens[max(0, start - len(before)) : start]] == before:
                start -= len(before)
                break
        i = words = 0
        while i < start:
            row = _unit_at(tokens, i, strict=False)
            words += row is None
            i += len(row[0]) if row else 1
        return start if words else len(tokens)

    def _near(self, plain: str) -> frozenset[str]:
        if len(plain) < TYPO_LETTERS or len(plain) > 30 or not plain.isalpha():
            return frozenset()
        found = set()
        for key in _deletions(plain) | {plain}:
            found.update(word for word in self._deleted.get(key, ()) if _one_error(plain, word))
        return frozenset(found)

    def _begun(self, plain: str) -> list[str]:
        """Words of the index that begin with these letters."""
        start = bisect_left(self._vocabulary, plain)
        stop = bisect_left(self._vocabulary, plain + "\U0010ffff")
        return self._vocabulary[start:stop]

    def _candidates(self, query: _Query) -> list[int]:
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

    def _lists(self, fits: dict[int, _Fit]) -> list[list[int]]:
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


_ROLE_SHARE = {_CORE: 1.0, _UNIT: 0.7, _CONTEXT: 0.8}


def _score(form: _Form, query: _Query, lang: str) -> float:
    """The score of one form, 0 when a word that was typed is missing in it."""
    # "an phuong" may be xã An Phượng or a phường called An: try both readings.
    # The limit keeps "phường" typed twenty times from becoming a million readings.
    choices = [
        ((True, False) if place < MAX_DOUBTS else (True,)) if atom.units & form.units else (False,)
        for place, atom in enumerate(query.atoms)
    ]
    score = max(_reading(form, query, as_unit) for as_unit in product(*choices))
    if score <= 0:
        return 0.0
    if form.alias is None:
        share = 1.0 if form.english == (lang == "en") else 0.98
    else:
        share = {"old name": 0.9, "abbreviation": 0.96}.get(form.alias.kind, 0.97)
    if query.spelled == form.spelled:
        return 100 * share
    same_letters = [word.plain for word in query.spelled] == [word.plain for word in form.spelled]
    return round(95 * score * share + 3 * same_letters, 6)


def _reading(form: _Form, query: _Query, as_unit: tuple[bool, ...]) -> float:
    """letters * order * unit * coverage for one way to read the unit words."""
    used: set[int] = set()
    places: list[int] = []
    fits: list[float] = []
    covered = 0.0
    unit_share = 1.0
    unit_typed = False
    for atom, is_unit in zip(query.atoms, as_unit, strict=True):
        if is_unit:
            unit_typed = True
            unit_share *= 1.0 if atom.units & form.own else 0.92
            continue
        found = _places(form, atom, used)
        if found:
            for fit, typed, place in found:
                used.add(place)
                if form.roles[place] == _CORE:
                    places.append(place)
                    covered += form.shares[place] * typed
                elif atom.optional:
                    continue  # "Hưng Đạo, Dương Kinh": the old district confirms, no more
                fits.append(fit)
        elif atom.optional:
            unit_share *= 1.0 if atom.units else 0.95
        elif atom.units:
            unit_typed = True
            unit_share *= 0.7 if form.own else 0.85
        else:
            return 0.0
    if not places:
        begun_unit = any(form.roles[place] == _UNIT for place in used)
        if not begun_unit and (fits or not any(as_unit)):
            return 0.0  # only the old district was typed, or a unit it does not have
    letters = sum(fits) / len(fits) if fits else 1.0
    if not unit_typed:
        unit_share *= form.untyped
    return letters * _order(form, places) * unit_share * (0.6 + 0.4 * covered / form.size)


def _places(form: _Form, atom: _Atom, used: set[int]) -> list[tuple[float, float, int]]:
    """(fit, part typed, place) of each word of an atom; empty when one is missing.

    Words of a unit are looked for in the name proper only ("quan" in Quán Toan).
    Of two equal places the one after the words before is taken.
    """
    found: list[tuple[float, float, int]] = []
    taken = set(used)
    following = max(used, default=-1) + 1
    for fits in atom.fits:
        best, typed, chosen = 0.0, 0.0, -1
        for place, word in enumerate(form.words):
            row = fits.get(word)
            if row is None or place in taken:
                continue
            role = form.roles[place]
            if role != _CORE and (atom.units or row.by_error):
                continue
            fit = row.fit * _ROLE_SHARE[role]
            if fit > best or (fit == best and place == following):
                best, typed, chosen = fit, row.typed, place
        if chosen < 0:
            return []
        found.append((best, typed, chosen))
        taken.add(chosen)
        following = chosen + 1
    return found


def _order(form: _Form, places: list[int]) -> float:
    if not places:
        return 1.0
    ranks = [form.ranks[place] for place in places]
    steps = [after - before for before, after in pairwise(ranks)]
    if any(step < 0 for step in steps):
        return 0.8
    if any(step > 1 for step in steps):
        return 0.92
    return 1.0 if ranks[0] == 0 else 0.97
