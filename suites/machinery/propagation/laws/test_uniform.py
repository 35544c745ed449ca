"""Bounds for uniform weights hold and come close; a layer's ratio has the variance of its input.

Fresh draws each run, by the run's --seed.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from fixtures.propagation.laws.uniform import uniform_sum_p
from fixtures.statistics.pvalues import chi_squared_p
from suites.machinery.chance import ALARM, SURE, agrees, no_oftener

pytestmark = SURE

A_COUNT = pytest.mark.draws(3 * ALARM, "a count at each of three levels")


@pytest.mark.parametrize("a", [0.01, 0.1, 0.3, 0.45])
def test_the_generating_functions_bound_what_is_least_gaussian(a):
    """One weight alone, Q = 3 U**2 with U uniform on (-1, 1), by quadrature; n = 1 and r = 1."""
    nodes, weights = special.roots_legendre(60)
    upper = (weights * np.exp(3 * a * nodes**2)).sum() / 2
    lower = (weights * np.exp(-3 * a * nodes**2)).sum() / 2

    assert upper <= (1 - 2 * a) ** -0.5
    assert lower <= (1 + 2 * a) ** -0.5 + 2 * special.ndtr(-math.pi / math.sqrt(6 * a))
    assert lower <= 1 - a + 1.5 * a * a


@pytest.mark.large_draws
@A_COUNT
@pytest.mark.parametrize(("n", "rank"), [(4, 1), (4, 3), (16, 8), (64, 1)])
def test_no_level_is_exceeded_by_sums_of_squares(n, rank, generator):
    rows, replicates = 50, 2000
    found = []
    for _ in range(replicates):
        directions, _ = np.linalg.qr(generator.standard_normal((n, rank)))
        total = ((generator.uniform(-math.sqrt(3), math.sqrt(3), (rows, n)) @ directions) ** 2).sum()
        found.append(uniform_sum_p(float(total), rows * rank, terms=n, rank=rank))

    for level in (0.5, 0.1, 0.01):
        assert no_oftener((np.array(found) <= level).sum(), replicates, level)


@pytest.mark.parametrize("error", [-0.01, -0.007, 0.007, 0.01])
def test_many_degrees_of_freedom_make_the_bound_nearly_that_of_chi_squared(error):
    degrees = 1_000_000
    total = degrees * (1 + error) ** 2

    exact, bound = chi_squared_p(total, degrees), uniform_sum_p(total, degrees, terms=256, rank=16)

    assert exact < bound
    assert math.log(bound) < 0.9 * math.log(exact)


def test_nothing_at_all_is_no_sum_of_squares():
    assert uniform_sum_p(0.0, 100, terms=16, rank=1) == 0


@pytest.mark.draws(2 * ALARM, "two comparisons of a mean")
@pytest.mark.parametrize("concentrated", [False, True])
def test_a_uniform_layers_ratio_has_the_variance_of_its_input(concentrated, generator):
    """(5 - 2.4 e) / n of a ReLU layer, e = |h|_4**4 / |h|_2**4: 1 / n for even inputs, 1 for a single one."""
    n, replicates = 16, 40_000
    h = np.eye(n)[0] if concentrated else np.ones(n) / math.sqrt(n)
    outputs = generator.uniform(-math.sqrt(6 / n), math.sqrt(6 / n), (replicates, n, n)) @ h
    ratios = (np.maximum(outputs, 0) ** 2).sum(1)

    expected = (5 - 2.4 * (h**4).sum()) / n
    deviations = (ratios - 1) ** 2
    standard_error = deviations.std() / math.sqrt(replicates)

    assert agrees(deviations.mean(), expected, standard_error)
    assert not (concentrated and agrees(deviations.mean(), 5 / n, standard_error))
