"""Readings of nonlinearities: p-values are calibrated, and faulty nonlinearities are seen.

Fresh draws each run, by the run's --seed.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from fixtures.propagation.laws.moment_map import (
    he_gain,
)
from fixtures.propagation.laws.squares import Squares
from fixtures.propagation.readings.nonlinearities import Sampled, descent_of, follows_the_map, single_questions
from fixtures.record.claim import Verdict
from fixtures.record.kinds import SingleLayer
from fixtures.rounding.activations import ACTIVATIONS
from fixtures.statistics.judgement import SCREEN
from fixtures.statistics.pvalues import chernoff_p
from fixtures.target.target import Target
from fixtures.weights.gains import SELU_ALPHA, SELU_SCALE
from suites.machinery.chance import ALARM, SURE, detected, no_oftener
from suites.machinery.making.answers import answers, target_of
from suites.machinery.proofs import proves
from suites.propagation import test_nonlinearities as suite

pytestmark = SURE

TORCH = Target("torch.nn.init", torch.nn.init)

REPLICATES = 2000

LEVELS = (0.5, 0.1, 0.01)


def assert_no_level_is_exceeded(p_values):
    """That p-values are no smaller than they may be."""
    for level in LEVELS:
        count = int((np.array(p_values) <= level).sum())
        assert no_oftener(count, len(p_values), level)


@pytest.mark.large_draws
@pytest.mark.draws(6 * ALARM, "two questions at three levels")
@pytest.mark.parametrize("name", ["relu", "gelu", "tanh", "selu"])
def test_bounds_of_a_single_layer_are_p_values(name, generator):
    activation = ACTIVATIONS[name]
    subject = suite.subject_of(SingleLayer(name, 0.5), shape=suite.SINGLE_SHAPE)
    questions = single_questions(subject)
    z = generator.normal(0, math.sqrt(0.5), (REPLICATES, 400))
    means = [(function(z) ** 2).mean(1) for function in (activation.value, activation.slope)]

    sampled = [Sampled(400, 0.5, float(value), float(slope)) for value, slope in zip(*means, strict=True)]

    for question in questions:
        assert_no_level_is_exceeded([question.read(one).p for one in sampled])


@pytest.mark.parametrize("deviation", [-0.4, -0.2, 0.2, 0.5, 1.0])
def test_the_bound_of_relu_lies_above_the_exact_tail_and_not_far(deviation):
    """The sum of max(z, 0)**2 over n outputs is chi-squared with Binomial(n, 1/2) degrees of freedom."""
    n, relu = 200, ACTIVATIONS["relu"]
    law = Squares.of(relu.value, relu.kinks, 1.0)
    total = n / 2 * (1 + deviation)
    degrees = np.arange(1, n + 1)
    tail = stats.chi2.sf if deviation > 0 else stats.chi2.cdf
    exact = 2 * (stats.binom.pmf(degrees, n, 0.5) * tail(total, degrees)).sum()

    bound = chernoff_p(deviation, n, lambda t: float(law.cumulant(t)), 0.0, float(law.variance))

    # Chernoff's bound exceeds a Gaussian tail by sqrt(2 pi) z, and skewness adds some.
    assert exact < bound < 40 * exact


def descent(name, generator, networks, width, layers, error=0.0):
    """A random descent under He by NumPy, of layers whose factor is off by a relative error.

    Only the second moment of a layer's inputs matters, so no weight is drawn.
    """
    activation = ACTIVATIONS[name]
    moments, images = np.ones((networks, layers + 1)), np.empty((networks, layers))
    for layer in range(layers):
        z = generator.normal(size=(networks, width)) * np.sqrt(moments[:, [layer]])
        images[:, layer] = (1 + error) * (activation.value(z) ** 2).mean(1)
        moments[:, layer + 1] = he_gain(activation) ** 2 * images[:, layer]
    return follows_the_map(descent_of(activation, width, moments, images, he_gain(activation)))


@pytest.mark.large_draws
@pytest.mark.draws(3 * ALARM, "a count at each of three levels")
@pytest.mark.parametrize("name", ["gelu", "tanh"])
def test_the_bound_of_many_layers_is_a_p_value(name, generator):
    assert_no_level_is_exceeded([descent(name, generator, 2, 16, 8).p for _ in range(REPLICATES // 4)])


@pytest.mark.large_draws
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_stated_effect_is_detected_in_many_layers(sign, generator):
    size = (8, 64, 20)
    stated = descent("relu", generator, *size).detectable.value / 100

    assert detected(descent("relu", generator, *size, sign * stated).p for _ in range(50))
    assert not all(descent("relu", generator, *size, sign * stated / 4).p < SCREEN for _ in range(50))


@pytest.mark.large_draws
def test_a_stated_effect_is_detected_in_one_layer(generator):
    subject = suite.subject_of(SingleLayer("gelu", 1.0), shape=suite.SINGLE_SHAPE)
    question = single_questions(subject)[0]
    gelu, n = ACTIVATIONS["gelu"], 20_000

    def reading(share):
        z = generator.normal(size=n)
        return question.read(Sampled(n, 1.0, (1 + share) * float((gelu.value(z) ** 2).mean()), 1.0))

    stated = reading(0.0).detectable.value / 100

    assert detected(reading(sign * stated).p for sign in (1, -1) for _ in range(200))
    assert not all(reading(stated / 4).p < SCREEN for _ in range(50))


# Planted faults


def violated(test, activation, target=TORCH, **fields):
    """Families of violated claims about one nonlinearity."""

    def wanted(subject):
        return subject.what.activation == activation and all(
            getattr(subject, name) == value for name, value in fields.items()
        )

    return {claim.family for claim in answers(test, target, wanted) if claim.verdict is Verdict.VIOLATED}


MAP_TEST = suite.test_the_moment_map_is_that_of_the_nonlinearity_as_torch_computes_it

SINGLE_TEST = suite.test_one_layer_changes_second_moments_and_gradients_by_the_maps_factors

DEEP_TEST = suite.test_fifty_layers_change_second_moments_as_the_map_says

functional = nn.functional


def swapped_selu(z):
    """With alpha for the scale and the scale for alpha."""
    scale, alpha = SELU_ALPHA, SELU_SCALE
    return scale * torch.where(z > 0, z, alpha * torch.expm1(z.clamp(max=0)))


FAULTS = {
    "gelu by tanh": ("gelu", nn.GELU, lambda z: functional.gelu(z, approximate="tanh")),
    "gelu, 0.01 % too large": ("gelu", nn.GELU, lambda z: 1.0001 * functional.gelu(z)),
    "selu's constants swapped": ("selu", nn.SELU, swapped_selu),
    "silu with beta 1.01": ("silu", nn.SiLU, lambda z: z * torch.sigmoid(1.01 * z)),
    "softplus, linear from 2 on": ("softplus", nn.Softplus, lambda z: functional.softplus(z, threshold=2)),
    "tanh, cut off at 3": ("tanh", nn.Tanh, lambda z: torch.tanh(z.clamp(-3, 3))),
}


@proves(suite.MAP)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_nonlinearity_has_another_map(fault, dtype, monkeypatch):
    name, module, faulty = FAULTS[fault]
    monkeypatch.setattr(module, "forward", lambda self, z: faulty(z))

    assert violated(MAP_TEST, name, dtype=dtype) == {suite.MAP}


class WrongSlope(torch.autograd.Function):
    """GELU with a gradient that is 2 % too large."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return functional.gelu(z)

    @staticmethod
    def backward(ctx, gradient):
        (z,) = ctx.saved_tensors
        slope = torch.special.ndtr(z) + z * torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        return 1.02 * gradient * slope


@proves(suite.MAP, "propagation.nonlinearity.chi")
def test_a_wrong_gradient_of_a_nonlinearity_is_seen_by_the_map_and_by_chi(monkeypatch):
    monkeypatch.setattr(nn.GELU, "forward", lambda self, z: WrongSlope.apply(z))

    assert violated(MAP_TEST, "gelu") == {suite.MAP}
    assert violated(SINGLE_TEST, "gelu") == {"propagation.nonlinearity.chi"}


def kaiming_times(share):
    """Weights whose std is off."""

    def kaiming_normal_(weight, **options):
        return torch.nn.init.kaiming_normal_(weight, **options).mul_(share)

    return target_of(kaiming_normal_=kaiming_normal_)


@proves("propagation.nonlinearity.factor")
@pytest.mark.parametrize("name", ["relu", "gelu", "selu", "mish"])
def test_weights_two_percent_off_change_the_factor_of_one_layer(name):
    assert "propagation.nonlinearity.factor" in violated(SINGLE_TEST, name, kaiming_times(1.02))


@pytest.mark.large_draws
@proves(suite.DEEP)
@pytest.mark.parametrize("name", ["relu", "gelu", "elu"])
def test_weights_four_percent_off_are_seen_over_fifty_layers(name):
    assert violated(DEEP_TEST, name, kaiming_times(1.04)) == {suite.DEEP}


@pytest.mark.large_draws
def test_a_nonlinearity_that_fails_on_tiny_signals_is_seen_at_depth_only(monkeypatch):
    healthy = nn.GELU.forward
    monkeypatch.setattr(nn.GELU, "forward", lambda self, z: healthy(self, z) * (1 + 1.0 * (z.abs() < 1e-4)))

    assert not violated(SINGLE_TEST, "gelu")
    assert violated(DEEP_TEST, "gelu") == {suite.DEEP}


@proves(suite.GAIN)
def test_a_table_with_another_gain_leads_elsewhere():
    target = target_of(calculate_gain=lambda nonlinearity, param=None: 1.66)

    test = suite.test_the_tables_gain_leads_where_the_map_says
    assert violated(test, "tanh", target) == {suite.GAIN}


@pytest.mark.large_draws
def test_what_is_not_finite_is_a_counterexample(monkeypatch):
    monkeypatch.setattr(nn.GELU, "forward", lambda self, z: functional.gelu(z) / 0.0)

    assert violated(DEEP_TEST, "gelu") == {suite.DEEP}
    assert violated(SINGLE_TEST, "gelu") == {"propagation.nonlinearity.factor", "propagation.nonlinearity.chi"}
    assert violated(MAP_TEST, "gelu") == {suite.MAP}
