"""The rank sum: its bound lies above the exact p-value and near it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fixtures.statistics.ranks import rank_sum_p
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
