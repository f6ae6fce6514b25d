"""Weights from pairs: Saaty's own examples, then what must hold for any answers."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.ahp import RANDOM_INDEX, AnswersError, weights


def upper(names, *rows):
    """Answers from the part of a matrix above its diagonal."""
    return {(names[i], names[i + 1 + k]): a for i, row in enumerate(rows) for k, a in enumerate(row)}


# Saaty 2008, Int. J. Services Sciences 1, 83-98: which drink is consumed more in the United States.
DRINKS = ["coffee", "wine", "tea", "beer", "sodas", "milk", "water"]
DRINK_ANSWERS = upper(
    DRINKS,
    *((9, 5, 2, 1, 1, 1 / 2), (1 / 3, 1 / 9, 1 / 9, 1 / 9, 1 / 9), (1 / 3, 1 / 4, 1 / 3, 1 / 9)),
    *((1 / 2, 1, 1 / 3), (2, 1 / 2), (1 / 3,)),
)

# Saaty 1990, Eur. J. Oper. Res. 48, 9-26: buying a house; the answers do not agree well.
HOUSE = ["size", "transport", "neighbourhood", "age", "yard", "modern", "condition", "finance"]
HOUSE_ANSWERS = upper(
    HOUSE,
    *((5, 3, 7, 6, 6, 1 / 3, 1 / 4), (1 / 3, 5, 3, 3, 1 / 5, 1 / 7), (6, 3, 4, 6, 1 / 5)),
    *((1 / 3, 1 / 4, 1 / 7, 1 / 8), (1 / 2, 1 / 5, 1 / 6), (1 / 5, 1 / 6), (1 / 2,)),
)


def test_drinks():
    """Printed: .177 .019 .042 .116 .190 .129 .327, consistency ratio .022."""
    found = weights(DRINKS, DRINK_ANSWERS)
    assert [round(w, 3) for w in found.weights.values()] == [0.177, 0.019, 0.042, 0.116, 0.190, 0.129, 0.327]
    assert (round(found.ratio, 3), found.accepted) == (0.022, True)


def test_house():
    """Printed: .173 .054 .188 .018 .031 .036 .167 .333, lambda 9.669, ratio .169; the answer on neighbourhood and
    condition, 6, is the one most at odds (Saaty 2003: 5.32 times)."""
    found = weights(HOUSE, HOUSE_ANSWERS)
    assert [round(w, 3) for w in found.weights.values()] == [0.173, 0.054, 0.188, 0.018, 0.031, 0.036, 0.167, 0.333]
    assert (round(found.eigenvalue, 3), round(found.ratio, 3), found.accepted) == (9.669, 0.169, False)
    worst = found.odd[0]
    assert (worst.first, worst.second, worst.answered, round(worst.factor, 2)) == (
        "neighbourhood",
        "condition",
        6,
        5.32,
    )
    assert worst.others_say == pytest.approx(6 / 5.32, rel=0.01)


def test_house_with_the_odd_answer_changed():
    """The paper goes on: with 1/2 instead of 6 the answers agree better."""
    changed = weights(HOUSE, HOUSE_ANSWERS | {("neighbourhood", "condition"): 1 / 2})
    assert changed.ratio < 0.10
    assert changed.accepted


def test_one_and_two_criteria_always_agree():
    assert weights(["a"], {}).weights == {"a": 1}
    two = weights(["a", "b"], {("b", "a"): 3})
    assert two.weights == {"a": pytest.approx(0.25), "b": pytest.approx(0.75)}
    assert (two.ratio, two.accepted) == (0, True)


answers_of_four = st.lists(st.sampled_from([1 / 9, 1 / 5, 1 / 3, 1, 3, 5, 9]), min_size=6, max_size=6)


@given(answers_of_four)
def test_against_the_power_method(answers):
    names = list("abcd")
    given_ = dict(zip(combinations(names, 2), answers, strict=True))
    found = weights(names, given_)
    matrix = np.eye(4)
    for (i, j), a in zip(combinations(range(4), 2), answers, strict=True):
        matrix[i, j], matrix[j, i] = a, 1 / a
    vector = np.ones(4)
    for _ in range(2000):
        vector = matrix @ vector
        vector /= vector.sum()
    assert list(found.weights.values()) == pytest.approx(vector.tolist(), abs=1e-9)
    assert found.index == pytest.approx(((matrix @ vector / vector).mean() - 4) / 3, abs=1e-9)
    assert sum(found.weights.values()) == pytest.approx(1)
    assert found.ratio >= 0
    assert all(o.factor >= 1 for o in found.odd)


@given(st.lists(st.integers(1, 3), min_size=3, max_size=6))
def test_answers_that_agree_give_back_their_weights(parts):
    names = [f"c{k}" for k in range(len(parts))]
    given_ = {(names[i], names[j]): parts[i] / parts[j] for i, j in combinations(range(len(parts)), 2)}
    found = weights(names, given_)
    assert list(found.weights.values()) == pytest.approx([p / sum(parts) for p in parts])
    assert found.ratio == pytest.approx(0, abs=1e-9)
    assert found.odd[0].factor == pytest.approx(1)


def test_the_order_of_asking_does_not_matter():
    turned = {(b, a): 1 / times for (a, b), times in DRINK_ANSWERS.items()}
    assert weights(DRINKS, turned).ratio == pytest.approx(weights(DRINKS, DRINK_ANSWERS).ratio)


def test_random_answers_have_the_random_index_on_average():
    """The published index against our own draw, order 5; Saaty's came from 500 matrices."""
    rng = np.random.default_rng(0)
    scale = np.array([1 / k for k in range(9, 1, -1)] + list(range(1, 10)))
    names = list("abcde")
    drawn = [
        weights(names, dict(zip(combinations(names, 2), rng.choice(scale, 10), strict=True))).index for _ in range(1500)
    ]
    assert np.mean(drawn) == pytest.approx(RANDOM_INDEX[4], abs=0.05)


@pytest.mark.parametrize(
    ("names", "answers", "words"),
    [
        ("abc", {("a", "b"): 1}, "Not answered: a / c, b / c"),
        ("ab", {("a", "b"): 12}, "1/9 to 9"),
        ("ab", {("a", "b"): 0}, "1/9 to 9"),
        ("ab", {("a", "b"): float("nan")}, "1/9 to 9"),
        ("ab", {("a", "x"): 1}, "a / x is no pair"),
        ("ab", {("a", "a"): 1, ("a", "b"): 2}, "a / a is no pair"),
        ("ab", {("a", "b"): 2, ("b", "a"): 2}, "b / a is answered twice"),
        ("aa", {}, "different criteria"),
        ("", {}, "1 to 15"),
        ("abcdefghijklmnop", {}, "1 to 15"),
    ],
)
def test_answers_that_give_no_weights(names, answers, words):
    with pytest.raises(AnswersError) as told:
        weights(names, answers)
    assert words in str(told.value)
    assert told.value.vi
