"""The laws of residual blocks, by simulation; and faults planted in residual networks, each seen by the claim for it.

Fresh draws each run, by the run's --seed.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from fixtures.propagation.links.comparing import compare, in_float64
from fixtures.propagation.residual import BLOCKS_OF_152, Bottleneck, Residual, blocks_of, build, path_of
from fixtures.propagation.residual_law import (
    Increment,
    Moments,
    Step,
    growth_compared,
    increments_located,
    normalization_bound,
    normalized,
    reference_moments,
    step_scores,
    steps_located,
    steps_shaped,
    wide_rate,
)
from fixtures.record.claim import Verdict
from fixtures.record.subject import Subject
from fixtures.statistics.judgement import SCREEN
from suites.machinery.chance import ALARM, SURE, detected, no_oftener, standard_errors, within_chance
from suites.machinery.making.answering import answers, target_of, violation
from suites.machinery.proofs import proves
from suites.propagation import test_residual as suite

pytestmark = SURE

REPLICATES = 400
A_COUNT = pytest.mark.draws(3 * ALARM, "a count at each of three levels")

LAYERS = suite.test_every_layer_of_a_residual_network_follows_its_law
BLOCKS = suite.test_second_moments_grow_block_by_block_as_they_should
LINKS = suite.test_sums_and_gradients_pass_through_every_block


@pytest.fixture
def chooser(generator):
    """Fresh draws for each test."""
    return generator


def he(order, blocks=BLOCKS_OF_152, size=32):
    return Subject("kaiming_normal_", (8, 3, 3, 3), nonlinearity="relu", path=path_of(order, blocks, 1, size))


def test_the_network_has_the_depth_and_the_structure_of_resnet_152():
    network = build(he("post_bn"))

    kernels = [tuple(module.weight.shape[2:]) for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert Residual.of(he("post_bn")).depth == 152
    assert len(kernels) == 1 + 3 * 50 + 4  # the stem, the blocks, the shortcuts; and the linear layer
    assert sum(block.shortcut is not None for _, block in blocks_of(network)) == 4
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 100)


def test_a_path_that_names_no_residual_network_is_refused():
    with pytest.raises(ValueError, match="an unknown network"):
        Residual.of(Subject("kaiming_normal_", (8, 3, 3, 3), path="bottleneck_before(3, samples=1, size=8)"))


# Laws


def steps_of(chooser, count, scale=1.0):
    """Blocks of 32 channels that add a Gaussian branch, some to much and some to nothing."""
    steps = []
    for place in range(count):
        kept = chooser.standard_normal(32) * (0.0, 1.0, 5.0)[place % 3]
        std = math.exp(chooser.uniform(-2, 2))
        sums = kept + scale * std * chooser.standard_normal(32)
        steps.append(Step(float(sums @ sums) / std**2, 32, float(kept @ kept) / std**2))
    return steps


def test_scores_of_healthy_steps_are_standard_normal(chooser):
    assert within_chance(stats.kstest(step_scores(steps_of(chooser, 2000)), "norm").pvalue)


@A_COUNT
@pytest.mark.parametrize("read", [steps_located, steps_shaped])
def test_steps_of_healthy_blocks_have_p_values_no_smaller_than_they_should_be(read, chooser):
    p_values = np.array([read(steps_of(chooser, 50)).p for _ in range(REPLICATES)])

    for level in (0.5, 0.1, 0.01):
        assert no_oftener(np.sum(p_values <= level), REPLICATES, level)


def test_a_stated_error_of_what_blocks_add_is_seen(chooser):
    stated = steps_located(steps_of(chooser, 600)).detectable.value / 100

    assert stated < 0.5
    assert detected(steps_located(steps_of(chooser, 600, math.sqrt(1 + stated))).p for _ in range(50))


def test_scores_stay_finite_and_tell_sides_however_far_a_step_is_off():
    low, high = step_scores([Step(0.0, 32, 5.0), Step(1e6, 32, 5.0)])

    assert low < -30
    assert high > 30


@pytest.mark.parametrize("step", [Step(math.inf, 32, 1.0), Step(math.nan, 32, math.nan)])
@pytest.mark.parametrize("read", [steps_located, steps_shaped])
def test_a_step_that_is_not_finite_is_broken(read, step):
    assert read([step]).broken


@A_COUNT
def test_increments_of_fair_signs_have_p_values_no_smaller_than_they_should_be(chooser):
    def one():
        """16 channels of very different sizes."""
        sizes = np.exp(chooser.normal(0, 2, 16))
        crossed = float((sizes * chooser.choice([-1, 1], 16)).sum()) / math.sqrt(float((sizes**2).sum()))
        return Increment(crossed, 10.0)

    p_values = np.array([increments_located([one() for _ in range(20)]).p for _ in range(2000)])

    for level in (0.5, 0.1, 0.01):
        assert no_oftener(np.sum(p_values <= level), 2000, level)


def test_blocks_whose_branches_are_dead_leave_nothing_to_read():
    assert steps_located([]).blind


def test_a_branch_of_zeros_is_broken():
    assert increments_located([Increment(math.nan, math.nan)]).broken


@A_COUNT
def test_growth_is_compared_by_ranks(chooser):
    def moments(factor):
        drawn = np.exp(chooser.normal(0, 1, (2, 12, 2)).cumsum(2))
        drawn[0, :, 1] *= factor
        return Moments(drawn[0], drawn[1], 0, 1, is_linear=False)

    p_values = np.array([growth_compared(moments(1.0), "").p for _ in range(REPLICATES)])

    for level in (0.5, 0.1, 0.01):
        assert no_oftener(np.sum(p_values <= level), REPLICATES, level)
    assert growth_compared(moments(1e6), "").p < SCREEN


def test_growth_without_an_end_is_broken():
    assert growth_compared(Moments(np.array([[1.0, np.inf]] * 2), np.ones((2, 2)), 0, 1, is_linear=False), "").broken


def test_the_rates_of_wide_blocks_are_those_of_a_wide_simulation(chooser):
    signals = np.ones(1_000_000)
    for _ in range(15):
        moment = (signals**2).mean()
        signals = np.maximum(0, signals + math.sqrt(2 * moment) * chooser.standard_normal(signals.size)) / math.sqrt(
            moment
        )

    assert wide_rate(pre=True) == 2
    assert wide_rate(pre=False) == pytest.approx(2.40, abs=0.005)
    assert wide_rate(pre=False) == pytest.approx((signals**2).mean(), rel=0.02)  # sd of the mean: 0.2 %


@pytest.mark.large_draws
@pytest.mark.parametrize(("order", "rate"), [("pre", 2.0), ("post", 2.40)])
def test_numpys_networks_grow_at_the_wide_rate_where_there_is_no_padding_to_speak_of(order, rate, chooser):
    # One stage of large images: the border takes away 1 - (62/64)**2 of a 3 x 3 convolution's terms, 2 to 4 % of what a
    # block adds. Eight blocks of networks as narrow as these are at 2.0 or 2.4 within a quarter on average: by ln 0.92
    # and ln 0.85, where one network's mean has an sd of 0.08, and that of 40 of 0.013: a tenth of what is left.
    wide = Subject("kaiming_normal_", (32, 3, 3, 3), nonlinearity="relu", path=path_of(order, (9,), 1, 32))
    moments = np.array([reference_moments(build(wide), wide, 8, chooser) for _ in range(40)])

    growth = np.exp(np.log(moments[:, -1] / moments[:, 0]).mean() / 8)

    assert growth == pytest.approx(rate, rel=0.25)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_torchs_batch_normalization_is_within_its_bound(dtype, shift, chooser):
    signals = torch.from_numpy(chooser.normal(shift, 3, (4, 5, 6, 6))).to(getattr(torch, dtype))
    values = in_float64(signals)
    bound = normalization_bound(values, 1e-5, dtype)

    found = compare(in_float64(nn.BatchNorm2d(5).to(signals.dtype)(signals)), normalized(values, 1e-5), bound, str)

    assert found.counterexample is None
    assert bound.max() < 3e3 * torch.finfo(signals.dtype).eps * (1 + shift)


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


@proves(suite.FIRST)
def test_gradients_that_do_not_reach_the_first_layer_are_seen():
    assert "root mean square of the gradient" in violation(suite.FIRST, LINKS, dead(), pre).note


@pytest.mark.large_draws
def test_networks_that_are_dead_do_not_grow():
    assert "zero" in violation("propagation.residual.growth", BLOCKS, dead(), pre).note


def test_the_size_of_the_first_gradient_is_recorded():
    claims = {claim.subject.path: claim for claim in answers(LINKS, target_of()) if claim.family == suite.FIRST}

    assert len(claims) == 4
    assert all(claim.effect.value > 0 and "a block on the way back" in claim.note for claim in claims.values())
