"""Power: what a claim says it detects it does detect, and the frequency of detection is what theory says.

The chance to miss a stated effect is computed where the statistic has an exact law, and counted everywhere else. Fresh
draws each run, by the run's --seed.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from fixtures.record.claim import Verdict
from fixtures.statistics.judgement import CONFIRMATION_FACTOR, MISS, SCREEN, judge
from fixtures.statistics.laws import promised_law
from fixtures.statistics.pvalues import binomial_p, chernoff_p, uniform_cumulant
from fixtures.weights.law_questions import law_questions
from suites.machinery.chance import SURE, no_more_seldom, no_oftener, within_chance
from suites.machinery.making.weights import (
    DRAWS,
    FEWEST_DUE,
    PLANTED,
    SCENES,
    detectable,
    healthy,
    question,
    replaced,
    share_beyond,
    sketched,
    subject,
)

pytestmark = [pytest.mark.large_draws, SURE]


# The chance of detection at two points of the power curve

REPLICATES = 500
"""Enough to tell a chance of 0.5 from 0.37 or 0.63, and one of 0.99 from 0.96."""

CRITICAL = stats.norm.isf(SCREEN / 2)
"""3.89: standard errors from which on the screen trips."""

POINTS = [0.5, 0.99]


def trips(about, name, weights):
    return question(about, name).read(sketched(about, weights)).p < SCREEN


def assert_detected_with(chance, detections):
    """Assert that `detections` of REPLICATES replicates fit a chance of detection."""
    assert within_chance(stats.binomtest(detections, REPLICATES, chance).pvalue)


@pytest.mark.parametrize("chance", POINTS)
def test_a_shift_is_detected_as_often_as_a_gaussian_test_detects_it(chance, generator):
    about = subject()
    shift = (CRITICAL + stats.norm.ppf(chance)) / math.sqrt(DRAWS) * promised_law(about).std

    detections = sum(trips(about, "marginal.location", healthy(about, generator) + shift) for _ in range(REPLICATES))

    assert_detected_with(chance, detections)


def chi_squared_power(error):
    """Chance that the screen trips on normal weights whose scale is off by a relative error."""
    low, high = stats.chi2.ppf(SCREEN / 2, DRAWS), stats.chi2.isf(SCREEN / 2, DRAWS)
    return stats.chi2.cdf(low / (1 + error) ** 2, DRAWS) + stats.chi2.sf(high / (1 + error) ** 2, DRAWS)


@pytest.mark.parametrize("side", [-0.2, 0.2], ids=["too small", "too large"])
@pytest.mark.parametrize("chance", POINTS)
def test_a_scale_error_is_detected_as_often_as_chi_squared_detects_it(chance, side, generator):
    about = subject()
    error = optimize.brentq(lambda e: chi_squared_power(e) - chance, 0.0, side)

    detections = sum(trips(about, "marginal.scale", healthy(about, generator) * (1 + error)) for _ in range(REPLICATES))

    assert_detected_with(chance, detections)


@pytest.mark.parametrize("chance", POINTS)
def test_a_shift_of_uniform_weights_is_detected_as_often_as_chernoffs_bound_allows(chance, generator):
    about = subject("uniform")
    spread = 1 / math.sqrt(3 * DRAWS)

    def excess(mean):
        return math.log(chernoff_p(mean, DRAWS, uniform_cumulant, 0.0, 1 / 3) / SCREEN)

    # The mean of 5000 uniform draws is normal to within 1e-4 of its distribution function, and the bound trips at 4.45.
    critical = optimize.brentq(excess, 4 * spread, 5 * spread)
    shift = (critical + stats.norm.ppf(chance) * spread) * promised_law(about).bound

    detections = sum(trips(about, "marginal.location", healthy(about, generator) + shift) for _ in range(REPLICATES))

    assert critical / spread == pytest.approx(4.45, abs=0.01)
    assert_detected_with(chance, detections)


def counting_power(healthy_share, share):
    """Chance that the screen trips on a count whose share is not the healthy one."""
    counts = np.arange(DRAWS // 4)
    tripping = [binomial_p(int(count), DRAWS, healthy_share) < SCREEN for count in counts]
    return float(stats.binom.pmf(counts, DRAWS, share)[tripping].sum())


@pytest.mark.parametrize(("k", "chance"), [(3, 0.5), (4, 0.99)])
def test_fat_tails_are_detected_as_often_as_a_binomial_count_detects_them(k, chance, generator):
    about = subject()
    usual = share_beyond(about, k)
    share = optimize.brentq(lambda p: counting_power(usual, p) - chance, usual, 0.05)
    far = 5 * promised_law(about).std

    def planted():
        return replaced(healthy(about, generator), (share - usual) / (1 - usual), far, generator)

    detections = sum(trips(about, f"marginal.tail{k}", planted()) for _ in range(REPLICATES))

    assert_detected_with(chance, detections)


@pytest.mark.parametrize("chance", POINTS)
def test_a_wrong_shape_is_detected_at_least_as_often_as_its_share_of_positive_weights_shows(chance, generator):
    # The KS distance is at least the error at 0, which is binomial; that it may be larger elsewhere helps.
    about, asked = subject(), math.sqrt(math.log(2 / SCREEN) / 2 / DRAWS)
    moved = optimize.brentq(lambda m: stats.binom.cdf(DRAWS * (0.5 - asked), DRAWS, 0.5 - m) - chance, 0.0, 0.2)

    def flipped(weights):
        return np.where((weights < 0) & (generator.uniform(size=weights.shape) < 2 * moved), -weights, weights)

    detections = sum(trips(about, "marginal.shape", flipped(healthy(about, generator))) for _ in range(REPLICATES))

    assert no_more_seldom(detections, REPLICATES, chance)


# The effect that each claim states as detectable: the chance to miss it, computed


def stated(about, name, generator):
    """Detectable effect that a claim of one screen over DRAWS weights states."""
    return question(about, name).read(sketched(about, healthy(about, generator))).detectable.value


def test_a_stated_scale_error_is_missed_once_in_a_million(generator):
    error = stated(subject(), "marginal.scale", generator) / 100

    assert 1 - chi_squared_power(error) < MISS
    assert 1 - chi_squared_power(-error) < MISS
    assert 1 - chi_squared_power(0.95 * error) > MISS  # and is not stated larger than it need be


def test_a_stated_shift_is_missed_once_in_a_million(generator):
    shift = stated(subject(), "marginal.location", generator) / 100 * math.sqrt(DRAWS)

    assert stats.norm.cdf(CRITICAL - shift) == pytest.approx(MISS, rel=1e-3)


@pytest.mark.parametrize("k", [3, 4])
def test_a_stated_excess_of_the_tails_is_missed_once_in_a_million(k, generator):
    usual = share_beyond(subject(), k)
    excess = stated(subject(), f"marginal.tail{k}", generator) / 100

    assert 1 - counting_power(usual, usual * (1 + excess)) < MISS
    assert 1 - counting_power(usual, usual * (1 + 0.9 * excess)) > MISS


def test_a_stated_share_of_zeros_is_missed_once_in_a_million(generator):
    # float32 zeros: a pair in 2**-23 of all pairs is healthy, so that two zeros trip the screen if they are no pair.
    share = stated(subject(), "marginal.zeros", generator)

    assert stats.binom.cdf(0, DRAWS // 2, share) < MISS


# The same, planted and counted, for every reading and every kind of law

FRESH = 100
"""Replicates of each; two of them may be missed, more than which 100 chances of MISS do once in 6e12 such counts."""


PLANTABLE = [
    pytest.param(subject(law, dtype), name, id=f"{name}-{law}-{dtype}")
    for law, dtype in SCENES
    for name in PLANTED
    if any(asked.family == f"weights.{name}" for asked in law_questions(subject(law, dtype)))
]


@pytest.mark.parametrize(("about", "name"), PLANTABLE)
def test_a_stated_effect_is_detected_each_time(about, name, generator):
    tensors = FEWEST_DUE[about.dtype] if name == "marginal.grid" else 1
    asked = question(about, name)
    size = detectable(about, name, generator, tensors)

    def planted():
        return sketched(about, PLANTED[name](about, healthy(about, generator, tensors), size, generator))

    missed = sum(asked.read(planted()).p >= SCREEN for _ in range(FRESH))

    assert no_oftener(missed, FRESH, MISS)


@pytest.mark.parametrize("name", ["marginal.location", "marginal.scale", "marginal.tail3"])
def test_a_stated_effect_is_confirmed_as_well(name, generator):
    about = subject()
    asked = question(about, name)
    size = stated(about, name, generator)

    def read(tensors):
        return asked.read(sketched(about, PLANTED[name](about, healthy(about, generator, tensors), size, generator)))

    verdicts = [judge(read(1), lambda: read(CONFIRMATION_FACTOR)).verdict for _ in range(FRESH)]

    missed = sum(verdict is not Verdict.VIOLATED for verdict in verdicts)
    assert no_oftener(missed, FRESH, MISS)
