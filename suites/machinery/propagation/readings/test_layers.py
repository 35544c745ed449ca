"""Readings of sums of squares and of likeness: no level is exceeded, and what is stated to be seen is seen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fixtures.propagation.laws.layer import NOTHING, SumOfSquares
from fixtures.propagation.readings.layers import (
    READINGS,
    Layers,
    degrees_to_resolve,
    neighbours,
    pooled_scale,
    shape,
    worst_layer,
)
from fixtures.propagation.readings.likeness import ANY_TWO, LAGS, Likeness
from fixtures.statistics.judgement import CERTAIN, SCREEN
from suites.machinery.chance import ALARM, FAR, FAR_MISS, SURE, no_oftener, within_chance

pytestmark = SURE

REPLICATES = 2000
LEVELS = (0.5, 0.1, 0.01)
A_COUNT = pytest.mark.draws(len(LEVELS) * ALARM, "a count at each level")


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


@pytest.mark.large_draws
@A_COUNT
@pytest.mark.parametrize("read", [lambda like: like.neighbours(gaussian=True), Likeness.any_two])
def test_likeness_of_independent_layers_exceeds_no_level(read, generator):
    p = np.array([read(likeness_of(generator.normal(0, 1, (2, 4, 50)))).p for _ in range(REPLICATES)])

    for level in LEVELS:
        assert no_oftener((p <= level).sum(), REPLICATES, level)


@pytest.mark.large_draws
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
