"""Bounds for uniform weights hold, come close, and see what they are there for; ranks are exact.

Fresh draws each run, by the run's --seed.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats
from torch import nn

from fixtures.faults import initializers as faults
from fixtures.propagation.layers import Layers, pooled_scale
from fixtures.propagation.plain import Plain
from fixtures.propagation.simulation import simulate
from fixtures.propagation.trajectories import BOUNDED, READINGS, Travel, evidence_of, steps_of
from fixtures.propagation.uniform_law import ends_compared, sum_law, uniform_sum_p
from fixtures.record.claim import Verdict
from fixtures.statistics.judgement import CHERNOFF_DEVIATES
from fixtures.statistics.laws import Uniform
from fixtures.statistics.pvalues import chi_squared_p
from fixtures.statistics.ranks import EFFICIENCY, rank_sum_p
from fixtures.target.target import Target
from suites.machinery.chance import ALARM, SURE, agrees, detected, no_oftener, within_chance
from suites.machinery.making.answering import answers, target_of
from suites.propagation import test_uniform

pytestmark = SURE

A_COUNT = pytest.mark.draws(3 * ALARM, "a count at each of three levels")


def uniform_of(plain):
    """He's uniform law of each layer."""
    return [Uniform(math.sqrt(6 / plain.width(layer))) for layer in range(plain.layers)]


# Bounds


@pytest.mark.parametrize("a", [0.01, 0.1, 0.3, 0.45])
def test_the_generating_functions_bound_what_is_least_gaussian(a):
    """One weight alone, Q = 3 U**2 with U uniform on (-1, 1), by quadrature; n = 1 and r = 1."""
    nodes, weights = special.roots_legendre(60)
    upper = (weights * np.exp(3 * a * nodes**2)).sum() / 2
    lower = (weights * np.exp(-3 * a * nodes**2)).sum() / 2

    assert upper <= (1 - 2 * a) ** -0.5
    assert lower <= (1 + 2 * a) ** -0.5 + 2 * special.ndtr(-math.pi / math.sqrt(6 * a))
    assert lower <= 1 - a + 1.5 * a * a


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


def test_a_stated_scale_error_is_detected_each_time(generator):
    plain = Plain(1, (64,), 4, "relu")
    law, rows = sum_law(plain), 4000
    error = pooled_scale(Layers(np.array([[1.0]]), np.array([[4 * rows]])), law).detectable.value / 100

    def planted(sign):
        directions, _ = np.linalg.qr(generator.standard_normal((64, 4)))
        weights = (1 + sign * error) * generator.uniform(-math.sqrt(3), math.sqrt(3), (rows, 64))
        return Layers(np.array([[float(((weights @ directions) ** 2).sum())]]), np.array([[4 * rows]]))

    assert detected(pooled_scale(planted(sign), law).p for sign in (-1, 1) * 20)


def test_nothing_at_all_is_no_sum_of_squares():
    assert uniform_sum_p(0.0, 100, terms=16, rank=1) == 0


# Trajectories


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


# Ranks


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
    calls = []

    def kaiming_uniform_(weight, **options):
        calls.append(weight)
        return nn.init.kaiming_uniform_(weight, **options).mul_(factor if which(len(calls)) else 1)

    return target_of(kaiming_uniform_=kaiming_uniform_)


def test_a_percent_of_scale_is_seen_by_all_layers_together():
    assert {"forward.scale", "backward.scale"} <= violated(LAYERS, scaled(1.01), "256x256")


def test_a_wrong_layer_is_seen_by_itself():
    found = violated(LAYERS, scaled(0.9, lambda call: call % 50 == 7), "fan_out-relu-48x80")

    assert {"forward.layer", "backward.layer"} <= found


def test_trajectories_see_a_wrong_scale_by_mean_square_and_by_ranks():
    found = violated(TRAJECTORIES, scaled(1.02), "16x16")

    assert {f"trajectory.{way}.{name}" for way in ("forward", "backward") for name in ("mean", "location")} <= found


def test_trajectories_tell_normal_weights_from_uniform_ones_by_ranks():
    normal = target_of(kaiming_uniform_=lambda weight, **options: nn.init.kaiming_normal_(weight, **options))

    # A look sees it by eight standard errors and misses it with chance 1e-5, three looks do with 1e-15.
    looks = (violated(TRAJECTORIES, normal, "16x16", turn) for turn in range(3))
    assert any("trajectory.forward.location" in found for found in looks)


def test_a_missing_gain_is_seen_in_every_network():
    for wanted in ("256x256", "fan_in-relu-48x80", "fan_out-relu-48x80"):
        assert "forward.layer" in violated(LAYERS, Target("missing gain", faults.missing_gain), wanted)
