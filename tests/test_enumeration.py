"""Choices of few plants looked through: by hand, against every choice weighed, and what the looks may never do."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_siting import FEW, line_case, random_case, searched, sizes

from geo.enumeration import looked_through
from geo.exchange import Search
from geo.siting import cover

LIMITS = [{"number": 2}, {"number": 3}, {"number": None, "budget": 8}, {"number": 2, "budget": 9}, {"budget": 13}]


def proven(c, known, *, looks=10_000, gap=1e-6, told=None):
    """(bound, best value found) of all choices of a case, when `known` is what a choice serves."""
    search = Search(c)

    def take(options):
        search.weigh(options)
        return max(search.served, known)

    tell = (lambda bound: None) if told is None else told.append
    options = np.arange(len(c.option_site))
    bound = looked_through(c, options, known, np.inf, gap=gap, looks=looks, take=take, tell=tell, stop=lambda: False)
    return bound, max(search.served, known)


def test_two_of_four_sites_by_hand():
    """One plant on each side of the road serves 800, and no two serve more: 400 is known, 800 is found and proven."""
    bound, best = proven(line_case(number=2), 400.0)
    assert best == 800
    assert bound == pytest.approx(800, rel=1e-5) and bound >= 800


def test_a_budget_with_money_left_over_by_hand():
    """14 buys two large plants of 7 or three small of 4. Two large on two sides serve 800, three small 600; parts of plants,
    3.5 small ones, are not for sale."""
    c = line_case(sizes=sizes((200, 4), (400, 7)), number=None, budget=13)
    bound, best = proven(c, 100.0)  # a large and a small: 600, three small: 600
    assert (best, bound) == (600, pytest.approx(600, rel=1e-5))
    bound, best = proven(replace(c, budget=14.0), 100.0)
    assert (best, bound) == (800, pytest.approx(800, rel=1e-5))


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("seed", range(3))
def test_every_choice_is_looked_at_or_rightly_left_out(seed, limits):
    c = random_case(seed, **({"number": None} | limits))
    best = searched(c)
    for share in (0.5, 0.9, 1.0):
        bound, found = proven(c, best * share)
        assert found == pytest.approx(best)
        assert best - 1e-6 <= bound <= best * (1 + 1e-5)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), looks=st.integers(0, 60), plants=st.integers(0, 4))
def test_a_bound_is_never_under_the_optimum(seed, looks, plants):
    c, told = random_case(seed, number=3, plants=plants), []
    best = searched(c)
    bound, found = proven(c, best * 0.8, looks=looks, told=told)
    assert bound >= best - 1e-6
    assert all(b >= best - 1e-6 for b in told) and found <= best + 1e-6
    assert told == sorted(told, reverse=True)
    again, found_again = proven(c, best * 0.8, looks=looks)
    assert (again, found_again) == (bound, found)


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_looks_close_the_gap_that_a_hurried_search_leaves(seed):
    c = random_case(seed, demands=14, sites=8, number=3)
    plan = cover(c, effort=replace(FEW, rounds=0, kicks=0))
    assert plan.value == pytest.approx(searched(c), rel=1.1e-3)
    assert plan.gap <= 1e-3 + 1e-9


def test_what_it_does_not_know_is_left_to_the_other_bounds():
    for c in (line_case(goal="people"), line_case(number=2, force=["X"])):
        assert proven(c, 100.0)[0] == np.inf
    assert proven(line_case(number=2), 0.0)[0] == np.inf
    assert proven(line_case(number=2), 400.0, looks=0)[0] == np.inf


def test_many_standing_plants_and_only_some_of_their_cuts():
    """More standing plants than cuts are kept of: the bound may be too large, never too small."""
    c = random_case(3, demands=40, sites=6, plants=20, number=2)
    best = searched(c)
    bound, found = proven(c, best, gap=1e-3)
    assert bound >= best - 1e-6 and found == pytest.approx(best)
