"""Dropout's laws and normalizations' formulas and bounds: true to simulation and to differences."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.propagation.links.comparing import Compared
from fixtures.propagation.links.dropout import Dropped, agreements, bound
from fixtures.propagation.links.normalization import Normalization, Statistics
from fixtures.statistics.formats import unit_roundoff
from suites.machinery.chance import ALARM, SURE, no_oftener

pytestmark = SURE

REPLICATES = 400


def dropped(kept, chance):
    return Dropped(Compared(1, 0.0), Compared(1, 0.0), None, 1, kept, chance, (1, 2, 16))


@pytest.mark.draws(3 * ALARM, "a count at each level")
@pytest.mark.parametrize("read", [Dropped.rate, Dropped.independence])
@pytest.mark.parametrize("chance", [0.5, 0.9])
def test_masks_by_chance_exceed_no_level(read, chance, generator):
    p = np.array([read(dropped(generator.random(2_000) < chance, chance)).p for _ in range(REPLICATES)])

    for level in (0.3, 0.1, 0.01):
        assert no_oftener((p <= level).sum(), REPLICATES, level)


def test_pairs_that_agree_are_disjoint():
    kept = np.array([True, False, True, False, True, True, True])

    assert agreements(kept, 1) == (1, 3)  # of 0-1, 2-3, 4-5
    assert agreements(kept, 2) == (2, 2)  # of 0-2, 1-3


def test_a_scale_that_is_a_power_of_two_is_exact_and_another_is_nearly():
    assert not bound(np.ones(1), 0.5, "float32").any()
    assert 0 < bound(np.ones(1), 0.1, "float32")[0] < 4 * unit_roundoff("float32")


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("axes", [(0, 2), (2,)])
def test_gradients_pass_through_mean_and_variance(centred, axes, generator):
    """Central differences of f = <d, y> err by about step**2."""
    x, d = generator.normal(0.5, 1, (2, 4, 3, 5))[0], generator.normal(0, 1, (4, 3, 5))
    weight, step = generator.normal(0, 1, (1, 3, 1)), 1e-5

    def of(values):
        statistics = Statistics.of(values, axes, centred=centred)
        return Normalization(values, statistics, 1e-3, axes, weight, 0.0, d)

    differences = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[place] = step
        differences[place] = ((of(x + moved).outputs() - of(x - moved).outputs()) * d).sum() / (2 * step)

    assert np.abs(of(x).input_gradients() - differences).max() < 1e-7


def test_the_bound_of_a_normalization_is_of_the_size_of_rounding(generator):
    x, d = generator.normal(0.5, 1, (8, 3, 32)), generator.normal(0, 1, (8, 3, 32))
    about = Normalization(x, Statistics.of(x, (0, 2)), 1e-5, (0, 2), 1.0, 0.0, d)

    for dtype, errors in (("float32", 1), ("float64", 2)):  # NumPy's errors are as large as float64's
        u = errors * unit_roundoff(dtype)
        assert 5 * u < about.outputs_bound(dtype).max() < 1e4 * u  # m u is 256 u, and four times that is allowed
        # 16 + m roundings, s**3 off by 3/2 v / var with v = 4 (m + 4) 1.25 u, A off by (m + 1) u, twice
        relative = 16 + 256 + 1.5 * 4 * 260 * 1.25 + 2 * 257
        assert about.input_gradients_bound(dtype).max() < 10 * relative * u  # |d| < 4, and 0.8 on average; A < 4
