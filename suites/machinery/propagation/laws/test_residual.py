"""The laws of residual blocks, by simulation.

Fresh draws each run, by the run's --seed.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fixtures.propagation.laws.residual import BlockStep, step_scores, wide_rate
from suites.machinery.chance import SURE, within_chance
from suites.machinery.making.steps import block_steps

pytestmark = SURE


def test_scores_of_healthy_steps_are_standard_normal(generator):
    assert within_chance(stats.kstest(step_scores(block_steps(generator, 2000)), "norm").pvalue)


def test_scores_stay_finite_and_tell_sides_however_far_a_step_is_off():
    low, high = step_scores([BlockStep(0.0, 32, 5.0), BlockStep(1e6, 32, 5.0)])

    assert low < -30
    assert high > 30


@pytest.mark.large_draws
def test_the_rates_of_wide_blocks_are_those_of_a_wide_simulation(generator):
    signals = np.ones(1_000_000)
    for _ in range(15):
        moment = (signals**2).mean()
        signals = np.maximum(0, signals + math.sqrt(2 * moment) * generator.standard_normal(signals.size)) / math.sqrt(
            moment
        )

    assert wide_rate(pre=True) == 2
    assert wide_rate(pre=False) == pytest.approx(2.40, abs=0.005)
    assert wide_rate(pre=False) == pytest.approx((signals**2).mean(), rel=0.02)  # sd of the mean: 0.2 %
