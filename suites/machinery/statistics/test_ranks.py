"""The rank sum: its bound lies above the exact p-value and near it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from fixtures.statistics.ranks import exact_rank_sum_p, least_rank_sum_p, rank_sum_p
from suites.machinery.chance import ALARM, SURE, no_oftener

pytestmark = SURE

A_COUNT = pytest.mark.draws(3 * ALARM, "a count at each of three levels")


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_the_rank_sum_bound_is_above_the_exact_p_value_and_of_its_order(shift, generator):
    first, second = generator.normal(shift, 1, 12), generator.normal(0, 1, 15)

    exact = stats.mannwhitneyu(first, second, method="exact").pvalue
    bound = rank_sum_p(first, second)

    assert bound >= exact * (1 - 1e-9)
    assert bound <= max(40 * exact, exact**0.6) or bound == 1


def test_samples_that_do_not_overlap_have_the_smallest_of_all_p_values():
    first, second = np.arange(30.0), np.arange(100.0, 130.0)

    exact = 2 / math.comb(60, 30)

    assert exact <= rank_sum_p(first, second) <= 10 * exact
    assert rank_sum_p(first, second) == pytest.approx(rank_sum_p(second, first), rel=1e-6)


@A_COUNT
def test_no_level_is_exceeded_by_ranks(generator):
    found = np.array([rank_sum_p(*generator.standard_normal((2, 40))) for _ in range(1000)])

    for level in (0.5, 0.1, 0.02):
        assert no_oftener((found <= level).sum(), 1000, level)


# Exact, with ties


def by_enumeration(first, second):
    """The p-value from all ways to divide the values, by their mean ranks."""
    pooled = [*first, *second]
    ranks = stats.rankdata(pooled)
    found = ranks[: len(first)].sum()
    sums = np.array(
        [sum(ranks[place] for place in places) for places in itertools.combinations(range(len(pooled)), len(first))]
    )
    return min(1.0, 2 * min((sums <= found).mean(), (sums >= found).mean()))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((1, 2, 3), (4, 5, 6)),
        ((1, 2, 3), (1, 2, 3)),
        ((1, 1, 1), (1, 1, 1)),
        ((1, 1, 2), (2, 3, 3, 3)),
        ((5, 1), (1, 1, 1, 9, math.inf)),
        ((math.inf, math.inf, 2), (0, 1, 1)),
        ((3,), (1, 2, 4, 5)),
    ],
)
def test_the_exact_p_value_is_that_of_all_ways_to_divide_the_values(first, second):
    p = exact_rank_sum_p(np.array(first, float), np.array(second, float))

    assert p == pytest.approx(by_enumeration(first, second), rel=1e-12)


def test_random_values_with_ties_are_divided_in_all_ways(generator):
    for _ in range(20):
        first, second = generator.integers(0, 4, 5).astype(float), generator.integers(0, 5, 6).astype(float)

        assert exact_rank_sum_p(first, second) == pytest.approx(by_enumeration(first, second), rel=1e-12)


def test_without_ties_it_is_scipys_and_below_chernoffs_bound(generator):
    first, second = generator.normal(1, 1, 24), generator.normal(0, 1, 20)
    p = exact_rank_sum_p(first, second)

    assert p == pytest.approx(stats.mannwhitneyu(first, second, method="exact").pvalue, rel=1e-9)
    assert p <= rank_sum_p(first, second)


def test_equal_samples_are_of_one_law_and_separated_ones_have_the_least_p():
    one = np.arange(24.0)

    assert exact_rank_sum_p(one, one) == 1.0
    assert exact_rank_sum_p(one, one + 24) == pytest.approx(least_rank_sum_p(24, 24), rel=1e-12)
    assert least_rank_sum_p(24, 24) == 2 / math.comb(48, 24)


@pytest.mark.large_draws
@A_COUNT
def test_no_level_is_exceeded_by_values_with_ties(generator):
    found = np.array([exact_rank_sum_p(*generator.integers(0, 5, (2, 12)).astype(float)) for _ in range(1000)])

    for level in (0.5, 0.1, 0.02):
        assert no_oftener((found <= level).sum(), 1000, level)


@pytest.mark.parametrize(("first", "second"), [([], [1.0]), ([math.nan], [1.0]), ([0.0] * 64, [0.0] * 65)])
def test_what_cannot_be_ranked_is_refused(first, second):
    with pytest.raises(ValueError, match="two samples of numbers, 128 in all"):
        exact_rank_sum_p(np.array(first), np.array(second))
