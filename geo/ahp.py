"""Weights of criteria from questions on pairs: the analytic hierarchy process (Saaty 1977, J. Math. Psychol. 15, 234-281).

a_ij says how many times as important i is as j (1 equal, 3 a little, 5 clearly, 7 much, 9 utterly; 1/a_ij the other
way). The weights w are the principal eigenvector, A w = lambda w, adding up to 1. Answers that agree with each other
have lambda = n. The consistency index is CI = (lambda - n) / (n - 1), the consistency ratio CR = CI / RI(n), where
RI is the mean CI of random answers; up to 0.10 is accepted. The answer at odds with the others is the one whose
a_ij w_j / w_i is farthest from 1 (Saaty 2003, Eur. J. Oper. Res. 145, 85-91); w_i / w_j is what the others say there.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

# Saaty 1980, The Analytic Hierarchy Process, p. 21: matrices of order 1 to 15.
RANDOM_INDEX = (0.0, 0.0, 0.58, 0.90, 1.12, 1.24, 1.32, 1.41, 1.45, 1.49, 1.51, 1.48, 1.56, 1.57, 1.59)
ACCEPTED = 0.10
SCALE = (1 / 9, 9.0)


class AnswersError(ValueError):
    """Answers that give no weights. str() is the sentence in English, .vi in Vietnamese."""

    def __init__(self, en, vi):
        self.en, self.vi = en, vi
        super().__init__(en)


@dataclass(frozen=True)
class Odd:
    """An answer beside what the others say. first, second: names. answered: first to second; others_say: w_i / w_j.
    factor: how many times the answer is off, 1 or more.
    """

    first: str
    second: str
    answered: float
    others_say: float
    factor: float


@dataclass(frozen=True)
class Weights:
    """weights: by name, adding up to 1. eigenvalue: lambda. index: CI. ratio: CR. accepted: CR <= 0.10.
    odd: every answer, the one most at odds with the others first.
    """

    weights: dict
    eigenvalue: float
    index: float
    ratio: float
    accepted: bool
    odd: tuple


def weights(names, answers):
    """Weights of criteria.

    names: the criteria, 1 to 15. answers: {(name, name): how many times as important the first is}, one for each
    pair, in either order, 1/9 to 9. Raises AnswersError, all problems together: a pair not answered, answered twice
    differently, off the scale, or of unknown names.

    >>> found = weights(["a", "b", "c"], {("a", "b"): 2, ("b", "c"): 2, ("c", "a"): 1 / 4})
    >>> [round(w, 3) for w in found.weights.values()], round(found.ratio, 6)
    ([0.571, 0.286, 0.143], 0.0)
    """
    names = list(names)
    matrix = _matrix(names, answers)
    n = len(names)
    values, vectors = np.linalg.eig(matrix)
    principal = int(values.real.argmax())
    vector = np.abs(vectors[:, principal].real)
    vector = vector / vector.sum()
    eigenvalue = max(float(values[principal].real), float(n))  # it is n or more, but for rounding
    index = (eigenvalue - n) / (n - 1) if n > 2 else 0.0
    ratio = index / RANDOM_INDEX[n - 1] if n > 2 else 0.0
    odd = []
    for i, j in combinations(range(n), 2):
        others = vector[i] / vector[j]
        off = matrix[i, j] / others
        odd.append(Odd(names[i], names[j], float(matrix[i, j]), float(others), float(max(off, 1 / off))))
    odd.sort(key=lambda o: (-round(o.factor, 9), names.index(o.first), names.index(o.second)))
    by_name = dict(zip(names, map(float, vector), strict=True))
    return Weights(by_name, eigenvalue, index, ratio, ratio <= ACCEPTED, tuple(odd))


def _matrix(names, answers):
    problems = []
    if not 1 <= len(names) <= len(RANDOM_INDEX) or len(set(names)) != len(names):
        most = len(RANDOM_INDEX)
        problems.append((f"Give 1 to {most} different criteria.", f"Hãy cho từ 1 đến {most} tiêu chí khác nhau."))
    matrix = np.eye(len(names))
    given = np.eye(len(names), dtype=bool)
    place = {name: k for k, name in enumerate(names)}
    for (first, second), times in answers.items():
        pair = f"{first} / {second}"
        if first not in place or second not in place or first == second:
            problems.append((f"{pair} is no pair of the criteria.", f"{pair} không phải một cặp tiêu chí."))
            continue
        if not SCALE[0] - 1e-9 <= times <= SCALE[1] + 1e-9:
            problems.append((f"{pair}: the answer must be 1/9 to 9.", f"{pair}: câu trả lời phải từ 1/9 đến 9."))
            continue
        i, j = place[first], place[second]
        if given[i, j] and not np.isclose(matrix[i, j], times):
            problems.append((f"{pair} is answered twice.", f"{pair} được trả lời hai lần."))
        matrix[i, j], matrix[j, i] = times, 1 / times
        given[i, j] = given[j, i] = True
    lost = [f"{names[i]} / {names[j]}" for i, j in combinations(range(len(names)), 2) if not given[i, j]]
    if lost and not problems:
        problems.append((f"Not answered: {', '.join(lost)}.", f"Chưa trả lời: {', '.join(lost)}."))
    if problems:
        raise AnswersError(" ".join(p[0] for p in problems), " ".join(p[1] for p in problems))
    return matrix
