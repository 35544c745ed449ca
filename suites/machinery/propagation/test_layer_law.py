"""The laws of one layer, by simulation in NumPy: exact at any width, whatever comes before and after the layer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from fixtures.propagation.layer_law import NOTHING, SumOfSquares, backward_sum, forward_sum
from fixtures.propagation.layers import (
    READINGS,
    Layers,
    degrees_to_resolve,
    neighbours,
    pooled_scale,
    shape,
    worst_layer,
)
from fixtures.propagation.likeness import ANY_TWO, LAGS, Likeness
from fixtures.statistics.judgement import CERTAIN, SCREEN
from suites.machinery.chance import ALARM, FAR, FAR_MISS, SURE, no_oftener, within_chance

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


def layers_of(generator, networks, depth, degrees, scale=1.0):
    totals = generator.chisquare(degrees, (networks, depth)) * np.square(scale)
    return Layers(totals, np.full((networks, depth), degrees))


@pytest.mark.draws(4 * ALARM, "a count at three levels, and a distance from the uniform law")
@pytest.mark.parametrize("name", READINGS)
def test_no_level_is_exceeded_by_any_reading(name, generator):
    read = READINGS[name][1]
    p = np.array([read(layers_of(generator, 5, 8, 12)).p for _ in range(REPLICATES)])

    for level in LEVELS:
        assert no_oftener((p <= level).sum(), REPLICATES, level)
    if name == "scale":  # exact and continuous
        assert within_chance(stats.kstest(p, "uniform").pvalue)


@pytest.mark.draws(FAR_MISS, "a quarter more than is stated to be seen")
def test_a_scale_that_is_off_everywhere_is_seen_where_it_is_said_to_be(generator):
    error = pooled_scale(layers_of(generator, 8, 64, 12288)).detectable.value / 100

    reading = pooled_scale(layers_of(generator, 8, 64, 12288, 1 + FAR * error))

    assert reading.p < SCREEN


@pytest.mark.draws(ALARM + FAR_MISS, "a quarter more than is resolved, and the next worst p-value")
@pytest.mark.parametrize("at", [0, 17, 63])
def test_one_layer_off_by_more_than_is_resolved_is_seen_and_named(at, generator):
    networks = int(np.ceil(degrees_to_resolve(64, 0.02) / 12288))
    scales = np.ones(64)
    scales[at] = 1 + FAR * 0.02

    reading = worst_layer(layers_of(generator, networks, 64, 12288, scales))

    assert reading.p < SCREEN
    assert reading.where.startswith(f"layer {at + 1} of 64 (next worst, layer ")
    p_of_next = float(reading.where.removesuffix(")").rpartition(" ")[2])
    assert within_chance(64 * p_of_next)  # chance leaves the rest as it is


def test_scales_that_differ_from_network_to_network_are_seen_in_the_shape(generator):
    scales = generator.choice([0.98, 1.02], (64, 1))  # no layer and no mean is off

    assert shape(layers_of(generator, 64, 64, 12288, scales)).p < CERTAIN


def test_layers_that_rise_and_fall_together_are_seen(generator):
    layers = layers_of(generator, 40, 64, 100)
    twins = Layers(np.repeat(layers.totals[:, ::2], 2, axis=1), layers.degrees)

    assert neighbours(twins).p < CERTAIN


@pytest.mark.parametrize("name", READINGS)
def test_infinite_signals_are_told_with_their_place(name):
    totals = np.ones((2, 3))
    totals[1, 2] = np.nan

    reading = READINGS[name][1](Layers(totals, np.ones((2, 3), dtype=int)))

    assert reading.broken == "NaN or infinite at layer 3 of network 2"


@pytest.mark.parametrize("name", READINGS)
def test_networks_without_a_degree_of_freedom_are_no_evidence(name):
    assert READINGS[name][1](Layers.of([[NOTHING, NOTHING]])).blind


def test_layers_without_a_degree_of_freedom_are_counted():
    reading = worst_layer(Layers.of([[NOTHING, SumOfSquares(12.0, 12), NOTHING]]))

    assert reading.where == "layer 2 of 3; 2 without a degree of freedom"


def likeness_of(networks):
    likeness = Likeness()
    for weights in networks:
        likeness.add(weights)
    return likeness


@A_COUNT
@pytest.mark.parametrize("read", [lambda like: like.neighbours(gaussian=True), Likeness.any_two])
def test_likeness_of_independent_layers_exceeds_no_level(read, generator):
    p = np.array([read(likeness_of(generator.normal(0, 1, (2, 4, 50)))).p for _ in range(REPLICATES)])

    for level in LEVELS:
        assert no_oftener((p <= level).sum(), REPLICATES, level)


@A_COUNT
def test_likeness_of_rearranged_layers_exceeds_no_level(generator):
    p = np.array([likeness_of(generator.normal(0, 1, (2, 3, 16, 16))).any_order().p for _ in range(REPLICATES)])

    for level in LEVELS:
        assert no_oftener((p <= level).sum(), REPLICATES, level)


REARRANGEMENTS = {
    "transposed": lambda weight: weight.T,
    **{f"shifted by {lag}": lambda weight, lag=lag: np.roll(weight, -lag) for lag in (*LAGS, 32)},
}


@pytest.mark.parametrize("shape", [(16, 32), (32, 32)])
@pytest.mark.parametrize("way", REARRANGEMENTS)  # a row is of 32
def test_a_layer_that_is_another_one_rearranged_is_seen_and_named(way, shape, generator):
    weights = [generator.normal(0, 1, shape if number % 2 else shape[::-1]) for number in range(20)]
    weights[8 if way == "transposed" else 7] = REARRANGEMENTS[way](weights[3].copy())

    reading = likeness_of([weights]).any_order()

    assert reading.p < CERTAIN
    assert {"4", "9" if way == "transposed" else "8"} < set(reading.where.split())
    # A square matrix and its transpose are a little alike as they are: they share the diagonal, and what lies beside it
    # counts twice.
    if way != "transposed" or shape[0] != shape[1]:
        assert within_chance(likeness_of([weights]).any_two().p)


def test_layers_too_small_to_tell_are_no_evidence(generator):
    assert likeness_of([generator.normal(0, 1, (5, 4, 4))]).any_order().blind
    assert likeness_of([generator.normal(0, 1, (5, 50))]).any_two().blind


@pytest.mark.draws(FAR_MISS, "a quarter more than is stated to be seen")
def test_correlated_neighbours_are_seen_where_they_are_said_to_be(generator):
    weights = generator.normal(0, 1, (8, 20_000))
    correlation = likeness_of([weights]).neighbours(gaussian=True).detectable.value / 100 * FAR
    for layer in range(1, 8):
        weights[layer] = correlation * weights[layer - 1] + np.sqrt(1 - correlation**2) * weights[layer]

    assert likeness_of([weights]).neighbours(gaussian=True).p < SCREEN


def test_two_layers_of_one_content_are_seen_and_named(generator):
    weights = list(generator.normal(0, 1, (9, ANY_TWO)))
    weights[7] = weights[2]

    reading = likeness_of([weights]).any_two()

    assert reading.p < CERTAIN
    assert reading.where == "layers 3 and 8"
