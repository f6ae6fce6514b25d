"""How well a form of a name matches what was typed: 0 to 100.

100 * form                            the same text, marks and all
95 * letters * order * unit * form * (0.6 + 0.4 * coverage)
                                      otherwise, and 3 more for the same letters

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
"""

from itertools import pairwise, product

from server.nameforms import CONTEXT, CORE, UNIT, Form
from server.typed import Atom, Query

MAX_DOUBTS = 4

_ROLE_SHARE = {CORE: 1.0, UNIT: 0.7, CONTEXT: 0.8}


def score_of(form: Form, query: Query, lang: str) -> float:
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


def _reading(form: Form, query: Query, as_unit: tuple[bool, ...]) -> float:
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
                if form.roles[place] == CORE:
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
        begun_unit = any(form.roles[place] == UNIT for place in used)
        if not begun_unit and (fits or not any(as_unit)):
            return 0.0  # only the old district was typed, or a unit it does not have
    letters = sum(fits) / len(fits) if fits else 1.0
    if not unit_typed:
        unit_share *= form.untyped
    return letters * _order(form, places) * unit_share * (0.6 + 0.4 * covered / form.size)


def _places(form: Form, atom: Atom, used: set[int]) -> list[tuple[float, float, int]]:
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
            if role != CORE and (atom.units or row.by_error):
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


def _order(form: Form, places: list[int]) -> float:
    if not places:
        return 1.0
    ranks = [form.ranks[place] for place in places]
    steps = [after - before for before, after in pairwise(ranks)]
    if any(step < 0 for step in steps):
        return 0.8
    if any(step > 1 for step in steps):
        return 0.92
    return 1.0 if ranks[0] == 0 else 0.97
