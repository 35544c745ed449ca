"""Readings of networks with uniform weights, by simulation; and the faults that they must see.

Fresh draws each run, by the run's --seed.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from torch import nn

from fixtures.faults import initializers as faults
from fixtures.propagation.laws.uniform import sum_law
from fixtures.propagation.networks.plain import Plain
from fixtures.propagation.networks.simulation import simulate
from fixtures.propagation.readings.layers import Layers, pooled_scale
from fixtures.propagation.readings.simulated import ends_compared
from fixtures.propagation.readings.trajectories import BOUNDED, READINGS, Travel, evidence_of, steps_of
from fixtures.record.claim import Verdict
from fixtures.statistics.judgement import CHERNOFF_DEVIATES
from fixtures.statistics.laws import Uniform
from fixtures.statistics.ranks import EFFICIENCY
from fixtures.target.target import Target
from suites.machinery.chance import ALARM, SURE, detected, within_chance
from suites.machinery.making.answers import answers, target_of
from suites.propagation import test_uniform

pytestmark = SURE


def uniform_of(plain):
    """He's uniform law of each layer."""
    return [Uniform(math.sqrt(6 / plain.width(layer))) for layer in range(plain.layers)]


def test_a_stated_scale_error_is_detected_each_time(generator):
    law, rows = sum_law(terms=64, rank=4), 4000
    error = pooled_scale(Layers(np.array([[1.0]]), np.array([[4 * rows]])), law).detectable.value / 100

    def planted(sign):
        directions, _ = np.linalg.qr(generator.standard_normal((64, 4)))
        weights = (1 + sign * error) * generator.uniform(-math.sqrt(3), math.sqrt(3), (rows, 64))
        return Layers(np.array([[float(((weights @ directions) ** 2).sum())]]), np.array([[4 * rows]]))

    assert detected(pooled_scale(planted(sign), law).p for sign in (-1, 1) * 20)


@pytest.mark.draws(6 * ALARM, "every bound, each way")
@pytest.mark.parametrize(
    "plain",
    [Plain(10, (8,), 1, "relu"), Plain(10, (6, 10), 1, "relu"), Plain(6, (8,), 1, "leaky_relu")],
    ids=["relu", "unequal", "leaky"],
)
def test_mean_squares_follow_their_bound_in_both_directions(plain, generator):
    """Backward too, within the network: a symmetric law of weights is all that its argument asks for."""
    laws = uniform_of(plain)
    evidence = evidence_of(
        *simulate(plain, laws, 4000, generator), *steps_of(plain, [law.std**2 for law in laws]), gaussian=False
    )

    for travel in (evidence.forward, evidence.backward):
        for name in BOUNDED:
            assert within_chance(READINGS[name][1](travel).p)


def test_a_stated_shift_of_where_trajectories_end_is_detected_each_time(generator):
    steps = steps_of(Plain(1, (16,), 1, "relu"), [1 / 8])[0]

    def ends(centre):
        return Travel(np.stack([np.ones(400), np.exp(generator.normal(centre, 1, 400))], 1), steps)

    shift = CHERNOFF_DEVIATES * math.sqrt(2 / 400 / EFFICIENCY)
    readings = [ends_compared(ends(sign * shift), ends(0)) for sign in (-1, 1) * 25]

    assert detected(reading.p for reading in readings)
    assert readings[1].detectable.value == pytest.approx(100 * math.expm1(shift / 2), rel=0.3)


# Faults


def violated(test, target, wanted, turn=0):
    """Families of claims that a fault violates."""
    claims = answers(test, target, lambda about: wanted in about.key, turn)
    return {claim.family.removeprefix("propagation.") for claim in claims if claim.verdict is Verdict.VIOLATED}


LAYERS = test_uniform.test_signals_and_fresh_gradients_have_their_scale_at_every_layer

TRAJECTORIES = test_uniform.test_second_moments_go_where_those_of_a_simulation_go


def scaled(factor, which=lambda call: True):
    """kaiming_uniform_ whose scale is off in some of its calls."""
    calls = itertools.count(1)

    def kaiming_uniform_(weight, **options):
        return nn.init.kaiming_uniform_(weight, **options).mul_(factor if which(next(calls)) else 1)

    return target_of(kaiming_uniform_=kaiming_uniform_)


@pytest.mark.large_draws
def test_a_third_more_than_is_stated_of_scale_is_seen_by_all_layers_together():
    # 0.9 % is stated, which is CHERNOFF_DEVIATES = 9.2 standard errors. 1.2 % is 12.3, and the screen asks for 4.45.
    assert {"forward.scale", "backward.scale"} <= violated(LAYERS, scaled(1.012), "256x256")


@pytest.mark.large_draws
def test_a_wrong_layer_is_seen_by_itself():
    found = violated(LAYERS, scaled(0.9, lambda call: call % 50 == 7), "fan_out-relu-48x80")

    assert {"forward.layer", "backward.layer"} <= found


@pytest.mark.large_draws
def test_trajectories_see_a_wrong_scale_by_mean_square_and_by_ranks():
    found = violated(TRAJECTORIES, scaled(1.02), "16x16")

    assert {f"trajectory.{way}.{name}" for way in ("forward", "backward") for name in ("mean", "location")} <= found


@pytest.mark.large_draws
def test_trajectories_tell_normal_weights_from_uniform_ones_by_ranks():
    normal = target_of(kaiming_uniform_=lambda weight, **options: nn.init.kaiming_normal_(weight, **options))

    # A look sees it by eight standard errors and misses it with chance 1e-5, three looks do with 1e-15.
    looks = (violated(TRAJECTORIES, normal, "16x16", turn) for turn in range(3))
    assert any("trajectory.forward.location" in found for found in looks)


@pytest.mark.large_draws
def test_a_missing_gain_is_seen_in_every_network():
    for wanted in ("256x256", "fan_in-relu-48x80", "fan_out-relu-48x80"):
        assert "forward.layer" in violated(LAYERS, Target("missing gain", faults.missing_gain), wanted)
