"""Readings of residual blocks, by simulation; and faults planted in residual networks, each seen by the claim for it.

Fresh draws each run, by the run's --seed.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from torch import nn

from fixtures.propagation.laws.residual import BlockStep, Increment
from fixtures.propagation.networks.residual import Bottleneck
from fixtures.propagation.readings.residual import (
    Moments,
    growth_compared,
    increments_located,
    steps_located,
    steps_shaped,
)
from fixtures.record.claim import Verdict
from fixtures.statistics.judgement import SCREEN
from suites.machinery.chance import ALARM, SURE, detected, no_oftener, standard_errors
from suites.machinery.making.answers import answers, target_of, violation
from suites.machinery.making.steps import block_steps
from suites.machinery.proofs import proves
from suites.propagation import test_residual as suite

pytestmark = SURE


REPLICATES = 400

A_COUNT = pytest.mark.draws(3 * ALARM, "a count at each of three levels")

LAYERS = suite.test_every_layer_of_a_residual_network_follows_its_law

BLOCKS = suite.test_second_moments_grow_block_by_block_as_they_should

LINKS = suite.test_sums_and_gradients_pass_through_every_block


@pytest.mark.large_draws
@A_COUNT
@pytest.mark.parametrize("read", [steps_located, steps_shaped])
def test_steps_of_healthy_blocks_have_p_values_no_smaller_than_they_should_be(read, generator):
    p_values = np.array([read(block_steps(generator, 50)).p for _ in range(REPLICATES)])

    for level in (0.5, 0.1, 0.01):
        assert no_oftener(np.sum(p_values <= level), REPLICATES, level)


@pytest.mark.large_draws
def test_a_stated_error_of_what_blocks_add_is_seen(generator):
    stated = steps_located(block_steps(generator, 600)).detectable.value / 100

    assert stated < 0.5
    assert detected(steps_located(block_steps(generator, 600, math.sqrt(1 + stated))).p for _ in range(50))


@pytest.mark.parametrize("step", [BlockStep(math.inf, 32, 1.0), BlockStep(math.nan, 32, math.nan)])
@pytest.mark.parametrize("read", [steps_located, steps_shaped])
def test_a_step_that_is_not_finite_is_broken(read, step):
    assert read([step]).broken


@pytest.mark.large_draws
@A_COUNT
def test_increments_of_fair_signs_have_p_values_no_smaller_than_they_should_be(generator):
    def one():
        """16 channels of very different sizes."""
        sizes = np.exp(generator.normal(0, 2, 16))
        crossed = float((sizes * generator.choice([-1, 1], 16)).sum()) / math.sqrt(float((sizes**2).sum()))
        return Increment(crossed, 10.0)

    p_values = np.array([increments_located([one() for _ in range(20)]).p for _ in range(2000)])

    for level in (0.5, 0.1, 0.01):
        assert no_oftener(np.sum(p_values <= level), 2000, level)


def test_blocks_whose_branches_are_dead_leave_nothing_to_read():
    assert steps_located([]).blind


def test_a_branch_of_zeros_is_broken():
    assert increments_located([Increment(math.nan, math.nan)]).broken


@A_COUNT
def test_growth_is_compared_by_ranks(generator):
    def moments(factor):
        drawn = np.exp(generator.normal(0, 1, (2, 12, 2)).cumsum(2))
        drawn[0, :, 1] *= factor
        return Moments(drawn[0], drawn[1], 0, 1, is_linear=False)

    p_values = np.array([growth_compared(moments(1.0), "").p for _ in range(REPLICATES)])

    for level in (0.5, 0.1, 0.01):
        assert no_oftener(np.sum(p_values <= level), REPLICATES, level)
    assert growth_compared(moments(1e6), "").p < SCREEN


def test_growth_without_an_end_is_broken():
    assert growth_compared(Moments(np.array([[1.0, np.inf]] * 2), np.ones((2, 2)), 0, 1, is_linear=False), "").broken


# Faults


def pre(subject):
    return subject.what.order == "pre"


def post(subject):
    return subject.what.order == "post"


def pre_bn(subject):
    return subject.what.order == "pre_bn"


def post_bn(subject):
    return subject.what.order == "post_bn"


ORDERS = [pre, post, pre_bn, post_bn]

SCALED = 0.85
"""Of a branch: 28 % less is added, which is told by 13 standard errors and more."""


def adds_less_by(share, effect):
    """Test whether blocks add less by what was planted, or by a tenth of that less.

    A shortcut that is a convolution adds too, and a fault of branches leaves it as it is.
    """
    strays = standard_errors() * effect.standard_error
    return -100 * share - strays < effect.value < -100 * 0.9 * share + strays


@pytest.mark.large_draws
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("family", "test"),
    [
        pytest.param(family, test, marks=proves(family))
        for family, test in ((suite.SKIP, LINKS), ("propagation.residual.block", BLOCKS))
    ],
)
def test_a_scaled_branch_is_seen(order, family, test, monkeypatch):
    monkeypatch.setattr(Bottleneck, "add", lambda block, shortcut, branch: shortcut + SCALED * branch)

    claim = violation(family, test, target_of(), order)

    assert claim
    if test is BLOCKS and order is not pre_bn:
        assert adds_less_by(1 - SCALED**2, claim.effect)


@pytest.mark.large_draws
def test_a_gradient_that_skips_the_shortcut_is_seen(monkeypatch):
    monkeypatch.setattr(Bottleneck, "add", lambda block, shortcut, branch: shortcut.detach() + branch)

    assert "gradient at" in violation(suite.SKIP, LINKS, target_of(), pre).note


@proves(suite.NORM)
@pytest.mark.large_draws
@pytest.mark.parametrize("order", [pre_bn, post_bn])
@pytest.mark.parametrize("change", [{"eps": 2e-5}, {"momentum": None, "affine": True, "gain": 1.001}])
def test_another_batch_normalization_is_seen(order, change, monkeypatch):
    sound = nn.BatchNorm2d.forward

    def faulty(self, signals):
        if "eps" in change:
            return nn.functional.batch_norm(signals, None, None, self.weight, self.bias, True, 0.1, change["eps"])
        return change["gain"] * sound(self, signals)

    monkeypatch.setattr(nn.BatchNorm2d, "forward", faulty)

    assert violation(suite.NORM, LINKS, target_of(), order)


def without_the_gain():
    return target_of(kaiming_normal_=lambda weight, **options: nn.init.kaiming_normal_(weight, nonlinearity="linear"))


@proves("propagation.residual.growth", "propagation.residual.block_shape")
@pytest.mark.large_draws
@pytest.mark.parametrize("order", [pre, post])
def test_networks_without_the_gain_do_not_grow_as_they_should(order):
    claim = violation("propagation.residual.growth", BLOCKS, without_the_gain(), order)

    assert claim.effect.value < -30


LAYERS_IN_ALL, PLACE = 156, 77


def at_torchs_default():
    """A He initializer that leaves the 78th of 156 layers as torch's modules make them."""
    calls = itertools.count()

    def kaiming_normal_(weight, **options):
        if next(calls) % LAYERS_IN_ALL == PLACE:
            return nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
        return nn.init.kaiming_normal_(weight, **options)

    return target_of(kaiming_normal_=kaiming_normal_)


@pytest.mark.large_draws
def test_one_layer_at_torchs_default_is_seen_with_batch_normalization_around_it():
    violated = {
        claim.family: claim.note
        for claim in answers(LAYERS, at_torchs_default(), post_bn)
        if claim.verdict is Verdict.VIOLATED
    }

    assert f"of {LAYERS_IN_ALL}" in violated["propagation.forward.layer"]
    named = [violated[f"propagation.{direction}.layer"].partition(" (")[0] for direction in ("forward", "backward")]
    assert named[0] == named[1]


def sharing():
    """A He initializer whose layers of one shape all have the weights of the first in a network."""
    calls, kept = itertools.count(), {}

    def kaiming_normal_(weight, **options):
        if next(calls) % LAYERS_IN_ALL == 0:
            kept.clear()
        nn.init.kaiming_normal_(weight, **options)
        return weight.copy_(kept.setdefault(weight.shape, weight.detach().clone()))

    return target_of(kaiming_normal_=kaiming_normal_)


@pytest.mark.large_draws
def test_layers_that_share_their_weights_are_seen():
    assert violation("propagation.independence.any_two", LAYERS, sharing(), pre)


@pytest.mark.large_draws
def test_branches_that_add_nothing_are_seen(monkeypatch):
    monkeypatch.setattr(Bottleneck, "add", lambda block, shortcut, branch: shortcut + 0 * branch)

    claim = violation("propagation.residual.block", BLOCKS, target_of(), pre)

    assert adds_less_by(1, claim.effect)


def dead():
    return target_of(kaiming_normal_=lambda weight, **options: nn.init.zeros_(weight))


@pytest.mark.large_draws
@proves(suite.FIRST)
def test_gradients_that_do_not_reach_the_first_layer_are_seen():
    assert "root mean square of the gradient" in violation(suite.FIRST, LINKS, dead(), pre).note


@pytest.mark.large_draws
def test_networks_that_are_dead_do_not_grow():
    assert "zero" in violation("propagation.residual.growth", BLOCKS, dead(), pre).note


@pytest.mark.large_draws
def test_the_size_of_the_first_gradient_is_recorded():
    claims = {claim.subject.path: claim for claim in answers(LINKS, target_of()) if claim.family == suite.FIRST}

    assert len(claims) == 4
    assert all(claim.effect.value > 0 and "a block on the way back" in claim.note for claim in claims.values())
