"""Controls: what is predicted of them is right, and one that does not fail, or fails otherwise, is seen.

Fresh draws each run, by the run's --seed.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from torch import nn

from fixtures.faults.registry import plant
from fixtures.propagation.networks.plain import Plain
from fixtures.propagation.networks.simulation import simulate
from fixtures.propagation.readings.controls import floor
from fixtures.propagation.readings.overflow import Overflows, overflow_band, overflow_questions
from fixtures.propagation.readings.trajectories import BOUNDED, READINGS, evidence_of, steps_of
from fixtures.record.claim import Verdict
from fixtures.statistics.judgement import CERTAIN
from fixtures.statistics.laws import Uniform
from fixtures.target.target import load_target
from suites.machinery.chance import ALARM, SURE, agrees, within_chance
from suites.machinery.making.answers import answers, cases_of, target_of
from suites.machinery.proofs import proves
from suites.propagation import test_controls

pytestmark = SURE

TORCH = load_target("torch.nn.init")

CONTROLS = test_controls.test_a_control_fails_at_its_own_rate
OVERFLOW = test_controls.test_a_std_of_one_overflows_where_the_exact_law_says


def violated(test, target, wanted=""):
    """Claims that a fault violates, by what follows `propagation.control.`"""
    claims = answers(test, target, lambda about: wanted in about.key)
    return {
        claim.family.removeprefix("propagation.control."): claim
        for claim in claims
        if claim.verdict is Verdict.VIOLATED
    }


# Predictions


@pytest.mark.draws(5 * ALARM, "every bound, each way, and the floor")
def test_biases_set_a_floor_and_leave_gradients_their_rate(generator):
    plain = Plain(30, (6,), 1, "relu")
    laws = [Uniform(1 / math.sqrt(6))] * 30
    steps = steps_of(plain, [law.std**2 for law in laws])
    evidence = evidence_of(*simulate(plain, laws, 4000, generator, biased=True), *steps, gaussian=False)
    forward = replace(evidence.forward, added=1.0)

    for travel in (forward, evidence.backward):
        for name in BOUNDED:
            assert within_chance(READINGS[name][1](travel).p)
    assert within_chance(floor(forward).p)
    assert abs(floor(forward).effect.value) < floor(forward).detectable.value


@pytest.mark.large_draws
def test_the_floor_lies_at_one_fifth_of_a_unit(generator):
    squares, _ = simulate(Plain(30, (32,), 1, "relu"), [Uniform(1 / math.sqrt(32))] * 30, 4000, generator, biased=True)

    ends = squares[:, -1]
    assert agrees(ends.mean(), 1 / 5, ends.std() / math.sqrt(len(ends)))


def overflowing(width, dtype, layers):
    """The subject of an overflow."""
    return test_controls.without_kaiming("normal_(std=1.0)", None, dtype, width, layers, "cpu")


@pytest.mark.large_draws
@pytest.mark.parametrize("width", [16, 128])
def test_networks_in_float64_leave_float16s_range_within_the_band(width, generator):
    """Counted from NumPy's squares: some output is beyond the range if |z| is, and none if |h| is far below it."""
    plain = Plain(40, (width,), 1, "relu")
    networks = 400 if width < 100 else 60
    subject = overflowing(width, "float16", 40)
    largest = float(np.finfo(np.float16).max)
    signal = generator.standard_normal((networks, width))
    signal *= math.sqrt(width) / np.linalg.norm(signal, axis=1, keepdims=True)
    first = np.full(networks, math.inf)
    for layer in range(plain.layers):
        outputs = np.matmul(generator.standard_normal((networks, width, width)), signal[:, :, None])[..., 0]
        beyond = (np.abs(outputs) >= largest).any(1)
        first = np.where(np.isinf(first) & beyond, layer + 1.0, first)
        signal = np.maximum(outputs, 0)
    (question,) = overflow_questions(subject)

    assert within_chance(question.read(Overflows(first)).p)


@pytest.mark.parametrize(("width", "dtype", "layers"), test_controls.OVERFLOWING)
def test_the_band_is_narrow_and_ends_in_certainty(width, dtype, layers):
    least, most = overflow_band(overflowing(width, dtype, layers))
    middles = [int(np.searchsorted(edge, 0.5)) for edge in (most, least)]

    assert (least <= most).all()
    assert least[-1] > 0.99
    assert most[0] < 0.01
    assert middles[1] - middles[0] <= 4


@pytest.mark.large_draws
@pytest.mark.parametrize(("width", "dtype", "layers"), test_controls.OVERFLOWING)
def test_an_overflow_some_layers_off_is_outside_the_band(width, dtype, layers):
    subject = overflowing(width, dtype, layers)
    (question,) = overflow_questions(subject)
    least, most = overflow_band(subject)
    early, late = int(np.searchsorted(most, 0.02)), int(np.searchsorted(least, 0.98)) + 2

    for layer in (early, late, math.inf):
        assert question.read(Overflows(np.full(32, float(layer)))).p < CERTAIN


# Faults


DIRECTIONS = ("forward", "backward")


def of_controls(*names):
    return [f"propagation.control.{direction}.{name}" for direction in DIRECTIONS for name in names]


@proves(*of_controls("told", "mean", "location", "law", "spread", "layer"))
@pytest.mark.large_draws
def test_a_control_that_is_initialized_by_he_does_not_fail_and_is_seen():
    def he(weight, *_arguments, **_options):
        return nn.init.normal_(weight, std=math.sqrt(2 / 64))

    for wanted in ("linear-64x64", "normal_(std=0.01)"):
        found = violated(CONTROLS, target_of(normal_=he, kaiming_normal_=he), wanted)
        assert {"forward.told", "backward.told", "forward.mean", "backward.mean", "forward.location"} <= found.keys()
        assert "the control does not fail" in found["forward.told"].note


@pytest.mark.parametrize("biased", [False, True])
def test_another_gain_of_torchs_default_is_seen(biased):
    take_out = plant("linear-gain")
    try:
        found = violated(CONTROLS, TORCH, f"bias={biased}")
    finally:
        take_out()

    assert {"forward.mean", "backward.mean"} <= found.keys()
    if biased:
        assert "forward.floor" in found


@proves("propagation.control.forward.floor")
def test_a_default_bias_of_zero_is_seen_by_the_floor():
    take_out = plant("linear-bias-zero")
    try:
        found = violated(CONTROLS, TORCH, "bias=True")
    finally:
        take_out()

    assert "forward.floor" in found


@pytest.mark.large_draws
def test_a_std_that_is_four_percent_off_is_seen():
    def normal_(weight, std):
        return nn.init.normal_(weight, std=1.04 * std)

    for wanted in ("normal_(std=0.01)", "normal_(std=1.0)"):
        found = violated(CONTROLS, target_of(normal_=normal_), wanted)
        assert {"forward.mean", "backward.mean", "forward.location"} <= found.keys()


@pytest.mark.large_draws
@proves("propagation.control.overflow")
def test_a_std_that_is_twelve_percent_off_overflows_too_early_in_wide_networks():
    def normal_(weight, std):
        return nn.init.normal_(weight, std=1.12 * std)

    assert "overflow" in violated(OVERFLOW, target_of(normal_=normal_), "256x256")


@proves("propagation.control.dead")
@pytest.mark.large_draws
def test_networks_of_which_one_in_four_falls_silent_are_seen():
    calls = itertools.count()

    def kaiming_normal_(weight, **options):
        return nn.init.kaiming_normal_(weight, **options).mul_(next(calls) // test_controls.LAYERS % 4 > 0)

    assert "dead" in violated(CONTROLS, target_of(kaiming_normal_=kaiming_normal_), "linear-64x64")


@proves("propagation.control.zeros")
def test_a_zero_that_is_none_is_seen():
    def zeros_(weight):
        # Half the rows of either sign: whichever sign a signal's sum has, half the ReLUs let it pass.
        nn.init.zeros_(weight)[::2] = 1e-20
        weight[1::2] = -1e-20
        return weight

    assert "zeros" in violated(test_controls.test_zeros_stay_zeros, target_of(zeros_=zeros_))


@pytest.mark.large_draws
def test_every_control_is_told_from_he_with_certainty():
    subjects = {case.subject.initializer for case in cases_of(CONTROLS, lambda subject: True)}

    assert subjects == {initializer for initializer, _, _ in test_controls.CONTROLS}
    assert not violated(CONTROLS, TORCH)


def test_a_band_is_refused_for_what_it_does_not_cover():
    leaky = msgspec.structs.replace(overflowing(16, "float32", 50), path="plain_leaky_relu(50, inputs=1)")

    with pytest.raises(ValueError, match="one width"):
        overflow_band(leaky)
    with pytest.raises(ValueError, match="too few"):
        overflow_band(overflowing(8, "float16", 20))
