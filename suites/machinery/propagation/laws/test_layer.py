"""The laws of one layer, by simulation in NumPy: exact at any width, whatever comes before and after the layer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from fixtures.propagation.laws.layer import NOTHING, backward_sum, forward_sum, roundings
from fixtures.propagation.readings.layers import Layers
from suites.machinery.chance import ALARM, SURE, within_chance

pytestmark = SURE

REPLICATES = 2000
LEVELS = (0.5, 0.1, 0.01)
A_COUNT = pytest.mark.draws(len(LEVELS) * ALARM, "a count at each level")

ROUNDINGS = 1e-16
RESOLUTION = 0.01

WIDTH, DEPTH, INPUTS = 6, 4, 3
"""As narrow as it gets: what is exact here is exact for wider networks."""

SCENES = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "mixed": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
}


def network(generator, scene, std):
    """One network in NumPy: H, Z, D, G of each layer, as columns. In "mixed" later layers mix the positions."""
    phi, slope = SCENES[scene]
    weights = [generator.normal(0, std, (WIDTH, WIDTH)) for _ in range(DEPTH)]
    mixing = generator.normal(0, 1, (INPUTS, INPUTS)) if scene == "mixed" else np.eye(INPUTS)
    signals, outputs = [generator.normal(0, 1, (WIDTH, INPUTS))], []
    for weight in weights:
        outputs.append(weight @ signals[-1])
        signals.append(phi(outputs[-1]) @ mixing)
    gradient = generator.normal(0, 1, (WIDTH, INPUTS))
    passed = []
    for weight, signal, output in zip(reversed(weights), reversed(signals[:-1]), reversed(outputs), strict=True):
        at_output = (gradient @ mixing.T) * slope(output)
        gradient = weight.T @ at_output
        passed.append((signal, output, at_output, gradient))
    return passed[::-1]


def sums(passed, std):
    options = {"roundings": ROUNDINGS, "resolution": RESOLUTION}
    forward = [forward_sum(h, z, std, **options) for h, z, _, _ in passed]
    backward = [backward_sum(h, d, g, std, **options) for h, _, d, g in passed]
    return forward, backward


@pytest.mark.large_draws
@pytest.mark.draws(14 * ALARM, "two directions: one distance from the uniform law, and six pairs of layers, each")
@pytest.mark.parametrize("scene", SCENES)
def test_both_laws_are_exact_and_independent_from_layer_to_layer(scene, generator):
    drawn = [sums(network(generator, scene, 0.5), 0.5) for _ in range(REPLICATES)]

    for direction in 0, 1:
        layers = Layers.of([networks[direction] for networks in drawn])
        uniforms = stats.chi2.cdf(layers.totals, np.where(layers.degrees, layers.degrees, np.nan))
        kept = uniforms[~np.isnan(uniforms)]
        assert within_chance(stats.kstest(kept, "uniform").pvalue)
        for earlier, later in itertools.combinations(range(DEPTH), 2):
            both = ~np.isnan(uniforms[:, earlier] + uniforms[:, later])
            rank = stats.spearmanr(uniforms[both, earlier], uniforms[both, later])
            assert within_chance(rank.pvalue)


def test_degrees_of_freedom_are_those_of_the_law(generator):
    forward, backward = sums(network(generator, "tanh", 0.5), 0.5)

    assert [layer.degrees for layer in forward] == [WIDTH * INPUTS] * DEPTH
    assert [layer.degrees for layer in backward] == [(WIDTH - INPUTS) * INPUTS] * DEPTH


def test_a_layer_that_saw_as_many_inputs_as_it_has_has_no_backward_degree_of_freedom(generator):
    square = generator.normal(0, 1, (WIDTH, WIDTH))

    assert backward_sum(square, square, square, 1.0, roundings=ROUNDINGS, resolution=RESOLUTION) == NOTHING


def test_a_dead_layer_says_nothing():
    dead = np.zeros((WIDTH, INPUTS))

    assert forward_sum(dead, dead, 1.0, roundings=ROUNDINGS, resolution=RESOLUTION) == NOTHING


def test_directions_that_rounding_would_fill_are_left_out(generator):
    direction = generator.normal(0, 1, WIDTH)
    inputs = np.stack([direction, direction + 1e-6 * generator.normal(0, 1, WIDTH)], axis=1)
    outputs = generator.normal(0, 1, (WIDTH, WIDTH)) @ inputs

    coarse = forward_sum(inputs, outputs, 1.0, roundings=1e-4, resolution=RESOLUTION)
    fine = forward_sum(inputs, outputs, 1.0, roundings=1e-12, resolution=RESOLUTION)

    assert (coarse.degrees, fine.degrees) == (WIDTH, 2 * WIDTH)


def test_inputs_that_depend_on_each_other_in_steps_are_orthonormal_afterwards(generator):
    """As gradients of a deep network do; with the identity as weights the square of each direction is one."""
    width, inputs, coarse = 32, 8, 0.8
    for _ in range(300):
        columns = np.outer(generator.normal(0, 1, width), generator.normal(0, 1, inputs))
        for decades in generator.uniform(0, 15, inputs - 1):
            some = generator.normal(0, 1, inputs) * (generator.random(inputs) < 0.5)
            columns = columns + 10**-decades * np.outer(generator.normal(0, 1, width), some)

        found = forward_sum(columns, columns, 1.0, roundings=roundings("float64", width), resolution=coarse)

        # Rounding may add 0.2 * coarse to the variance of a direction; of ten thousand of these it added three times as
        # much to one of eight directions. Who loses the directions is off by factors.
        assert found.total == pytest.approx(found.degrees / width, rel=0.5)


@pytest.mark.parametrize("apart", [1.0, 1e-3, 1e-6])
def test_any_basis_of_the_inputs_gives_the_same_sum(generator, apart):
    inputs = generator.normal(0, 1, (WIDTH, 1)) + apart * generator.normal(0, 1, (WIDTH, INPUTS))
    outputs = generator.normal(0, 1, (WIDTH, WIDTH)) @ inputs

    found = forward_sum(inputs, outputs, 1.0, roundings=ROUNDINGS, resolution=RESOLUTION)

    _, singular, rows = np.linalg.svd(inputs, full_matrices=False)
    whitened = outputs @ (rows.T / singular)
    assert found.degrees == WIDTH * INPUTS
    # Both factorizations are those of inputs that differ by WIDTH INPUTS roundings of their largest direction, times a
    # small constant, 3 (Higham, Accuracy and Stability of Numerical Algorithms, theorem 19.4); a square doubles that.
    rounded = 2 * 3 * WIDTH * INPUTS * np.finfo(float).eps * singular[0] / singular[-1]
    assert found.total == pytest.approx((whitened**2).sum(), rel=rounded)
