"""What can be found, and the forms in which its name is written: each cut into words that say what they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from layers.letters import Word, tokens_of
from server.unitwords import ADMIN, KIND_UNITS, unit_at

CORE, UNIT, CONTEXT = 0, 1, 2


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


class Form(NamedTuple):
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


def form_of(
    entry: int,
    number: int,
    alias: Alias | None,
    english: bool,
    text: str,
    context: str,
    kind: str,
    number_of: Callable[[Word], int],
) -> Form | None:
    """The form of one text, or None when it has no words."""
    tokens = tokens_of(text)
    words: list[tuple[Word, int, float]] = []
    spelled: list[Word] = []
    named: list[tuple[int, frozenset[str]]] = []
    i = 0
    while i < len(tokens):
        row = unit_at(tokens, i, strict=True)
        if row is None:
            words.append((tokens[i].word, CORE, 0.25 if tokens[i].bracketed else 1.0))
            spelled.append(tokens[i].word)
            i += 1
            continue
        phrase, language, keys, vietnamese = row
        named.append((len(words), keys))
        spelled.extend(vietnamese)
        shown = vietnamese if language == "vi" else vietnamese + phrase
        words.extend((word, UNIT, 0.0) for word in shown)
        i += len(phrase)
    core = [place for place, (_, role, _) in enumerate(words) if role == CORE]
    if not core:
        if not named:
            return None
        # Only units were read: the last of them is the name ("KCN Cảng").
        start = named.pop()[0]
        words[start:] = [(word, CORE, 1.0) for word, _, _ in words[start:]]
        core = list(range(start, len(words)))
    # "Nhà máy XLNT ...", but in English "... Industrial Park".
    own = set(KIND_UNITS.get(kind, ()))
    for place, keys in named:
        if place <= core[0] or (english and place > core[-1]):
            own |= keys
    words.extend((token.word, CONTEXT, 0.0) for token in tokens_of(context))
    return Form(
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
        untyped=(0.985 if own & ADMIN else 0.88) if named else 1.0,
        size=sum(share for _, _, share in words),
        spelled=tuple(spelled),
    )
