"""A typed text as a search reads it: words and units, what may be missing, and the words of an index that they fit."""

from typing import NamedTuple

from layers.letters import Token, Word, has_marks, tokens_of
from server.unitwords import unit_at
from server.vocabulary import Fit, Vocabulary

MAX_WORDS = 24


class Atom(NamedTuple):
    """One thing typed: a word, or a unit of one or more words.

    fits: for each word, the words of the index it fits, by number.
    optional: typed after a comma, or the name of the city at the end.
    """

    words: tuple[Word, ...]
    units: frozenset[str]
    optional: bool
    fits: tuple[dict[int, Fit], ...]


class Query(NamedTuple):
    atoms: tuple[Atom, ...]
    spelled: tuple[Word, ...]


def query_of(text: str, vocabulary: Vocabulary) -> Query:
    """What was typed, read against the words of an index; only the first MAX_WORDS words."""
    tokens = tokens_of(text)[:MAX_WORDS]
    if tokens and tokens[0].after_comma:
        tokens = [token._replace(after_comma=False) for token in tokens]
    city = _city_at_end(tokens)
    marked = any(has_marks(token.word) for token in tokens)
    atoms: list[Atom] = []
    spelled: list[Word] = []
    i = 0
    while i < len(tokens):
        optional = tokens[i].after_comma or i >= city
        row = unit_at(tokens, i, strict=False)
        if row is None:
            word = tokens[i].word
            last = i == len(tokens) - 1
            fits = vocabulary.fits(word, marked, begun=last, errors=not optional)
            atoms.append(Atom((word,), frozenset(), optional, (fits,)))
            spelled.append(word)
            i += 1
            continue
        phrase, language, keys, vietnamese = row
        typed = tuple(token.word for token in tokens[i : i + len(phrase)])
        fits_of_unit = tuple(vocabulary.fits(word, marked, begun=False, errors=False) for word in typed)
        atoms.append(Atom(typed, keys, optional, fits_of_unit))
        spelled.extend(typed if language == "vi" else vietnamese)
        i += len(phrase)
    return Query(tuple(atoms), tuple(spelled))


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
        row = unit_at(tokens, i, strict=False)
        words += row is None
        i += len(row[0]) if row else 1
    return start if words else len(tokens)
