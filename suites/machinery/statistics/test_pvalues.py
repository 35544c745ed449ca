"""p-values against independent arithmetic, far into the tails: exact, or an upper bound, everywhere.

No sample is drawn here: the oracles are sums of positive terms, exact fractions and mpmath's 40 digits.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import special, stats

from fixtures.statistics.judgement import CERTAIN, CONFIRM, SCREEN
from fixtures.statistics.laws import GridLaw, Normal
from fixtures.statistics.pvalues import (
    WORTH_A_SEARCH,
    binomial_below,
    binomial_critical,
    binomial_excess_p,
    binomial_interval,
    binomial_p,
    chernoff_p,
    chi_squared_p,
    empty_cells_p,
    gaussian_p,
    ks_p,
    largest_p,
    lattice_cumulant,
    squared_normals_p,
    squared_uniform_cumulant,
    uniform_cumulant,
    weighted_sum,
)

TINY = 1e-9
"""Relative error that no judgement can notice; the oracles are good to 1e-10."""

DEVIATES = (-37.0, -21.2, -7.1, -5.0, -4.2, -3.0, 3.0, 4.2, 5.0, 7.1, 21.2, 37.0)
"""Standard errors: p about 1e-300, 1e-99, 1e-12, 6e-7, 3e-5 and 3e-3, and the places where SciPy changes method."""


def nearly(exact, rel=TINY):
    """Equal up to a relative error; pytest's own absolute tolerance of 1e-12 would pass anything this small."""
    return pytest.approx(float(exact), rel=rel, abs=0)


@pytest.fixture(autouse=True)
def forty_digits():
    with mpmath.workdps(40):
        yield


# Gaussian and chi-squared


@pytest.mark.parametrize("z", [0.0, *DEVIATES])
def test_gaussian_tails(z):
    assert gaussian_p(z) == nearly(mpmath.erfc(abs(z) / mpmath.sqrt(2)))


def chi_squared_tail(total, degrees):
    """The smaller tail by its series of positive terms: exp(-x) x**a / gamma(a + 1) times a sum of falling products."""
    a, x = degrees / 2, total / 2
    k = np.arange(1, 100 * math.sqrt(a) + 1000)
    log_density = a * mpmath.log(x) - x - mpmath.loggamma(a + 1)
    if x < a:
        return mpmath.exp(log_density) * (1 + np.cumprod(x / (a + k)).sum())
    return mpmath.exp(log_density) * a / x * (1 + np.cumprod((a - k[k < a]) / x).sum())


CHI_SQUARED_CASES = [
    (degrees, degrees + z * math.sqrt(2 * degrees))
    for degrees in (20, 2000, 10**6, 9_433_088, 150_000_000)  # the last two: core subjects at the quick and full tiers
    for z in DEVIATES
    if degrees + z * math.sqrt(2 * degrees) > 0
]


@pytest.mark.parametrize(("degrees", "total"), CHI_SQUARED_CASES)
def test_chi_squared_tails(degrees, total):
    assert chi_squared_p(total, degrees) == nearly(2 * chi_squared_tail(total, degrees), rel=1e-8)


@pytest.mark.parametrize("degrees", [1, 4096, 10**8])
def test_a_sum_of_squares_that_cannot_be_has_no_chance(degrees):
    assert chi_squared_p(0.0, degrees) == 0.0
    assert chi_squared_p(1e300, degrees) == 0.0


BITS = 6
"""Of the uniforms of a generator so coarse that all that it can draw can be looked at."""

ROOTS = 3 * 2.0**-BITS
"""Chance that one of its normals is at a root: of the radius, or one of the two of its angle."""


def pair_squares():
    """Squares of both normals of each pair that Box-Muller makes of two uniforms k 2^-BITS of [0, 1), [2, 4^BITS]."""
    uniforms = np.arange(2**BITS) / 2**BITS
    radius, angle = np.meshgrid(np.sqrt(-2 * np.log1p(-uniforms)), 2 * np.pi * uniforms)
    return np.array([(radius * np.cos(angle)).ravel() ** 2, (radius * np.sin(angle)).ravel() ** 2])


def sums_of(taken):
    """All equally likely sums of squares, ascending, of as many normals of independent pairs as `taken` lists."""
    sums = np.zeros(1)
    for normals in taken:
        sums = np.add.outer(sums, pair_squares()[-normals:].sum(0)).ravel()  # a sine has exact zeros
    return np.sort(sums)


@pytest.mark.large_draws
@pytest.mark.parametrize("taken", [(1,), (2,), (1, 1), (2, 1), (2, 2)], ids=str)
def test_sums_of_few_squares_are_small_as_often_as_a_grid_makes_them(taken):
    sums = sums_of(taken)
    small = sums[: len(sums) // 3 : max(1, len(sums) // 3000)]
    no_larger = np.searchsorted(sums, small, side="right") / len(sums)

    bounds = np.array([squared_normals_p(float(total), sum(taken), ROOTS) / 2 for total in small])

    assert (bounds >= np.minimum(0.5, no_larger)).all()
    assert chi_squared_p(float(small[0]), sum(taken)) / 2 < no_larger[0] / 3  # a continuous law would miss it


def test_a_zero_among_a_million_columns_of_one_weight_is_no_wonder():
    assert 1e6 * squared_normals_p(0.0, 1, 3 * 2.0**-24) > 0.1
    assert squared_normals_p(0.0, 16, 3 * 2.0**-24) < 1e-40  # and sixteen of them in one column are


@pytest.mark.parametrize("degrees", [1, 2, 5, 64, 65, 4096])
def test_a_fine_grid_changes_no_sum_that_is_not_tiny(degrees):
    for total in (0.1 * degrees, degrees, 3 * degrees):
        assert squared_normals_p(total, degrees, 3 * 2.0**-53) == nearly(chi_squared_p(total, degrees))


# Counts


def binomial_tail(count, trials, probability):
    """The tail of a binomial away from its mean, by ratios of neighbouring masses."""
    p = mpmath.mpf(probability)
    choose = mpmath.loggamma(trials + 1) - mpmath.loggamma(count + 1) - mpmath.loggamma(trials - count + 1)
    mass = mpmath.exp(choose + count * mpmath.log(p) + (trials - count) * mpmath.log1p(-p))
    steps = 1000 + int(60 * math.sqrt(trials * probability))
    if count > trials * probability:
        k = np.arange(count, min(trials, count + steps))
        return mass * (1 + np.cumprod((trials - k) / (k + 1) * (probability / (1 - probability))).sum())
    k = np.arange(count, max(0, count - steps), -1)
    return mass * (1 + np.cumprod(k / (trials - k + 1) * ((1 - probability) / probability)).sum())


BETA_TAIL = 2e-7
"""SciPy before 1.17 errs by up to 1e-7 of the p-value at 1.5e10 trials (later ones by less than TINY): that changes
neither of the two digits in which a chance of 2.0e-12 is stated."""

BINOMIAL_CASES = [
    (trials, probability, count)
    for trials in (4096, 9_433_088, 15_000_000_000)
    for probability in (0.5, 2.7e-3, 6.3e-5, 2.0**-24, 2.0**-53)
    for z in DEVIATES
    for count in (math.floor(trials * probability + z * math.sqrt(trials * probability) + math.copysign(2, z)),)
    if 0 <= count <= trials
]


@pytest.mark.parametrize(("trials", "probability", "count"), BINOMIAL_CASES)
def test_binomial_tails(trials, probability, count):
    exact = binomial_tail(count, trials, probability)

    rel = BETA_TAIL if trials > 1e10 else TINY
    assert binomial_p(count, trials, probability) == nearly(min(1, 2 * exact), rel)
    if count > trials * probability:
        assert binomial_excess_p(count, trials, probability) == nearly(exact, rel)


@pytest.mark.large_draws
@pytest.mark.parametrize("trials", [1, 9, 512, 4608, 9_433_088])
@pytest.mark.parametrize("probability", [0.0, 2.0**-24, 2.7e-3, 0.5, 0.95, 1.0])
def test_binomials_are_those_of_scipy_stats(trials, probability):
    mean, sd = trials * probability, math.sqrt(trials * probability * (1 - probability))
    counts = {-1, 0, 1, trials, *(int(mean + z * sd) for z in (*DEVIATES, -1, 0, 1))} & {*range(-1, trials + 1)}
    law = stats.binom(trials, probability)

    for count in counts:
        assert binomial_below(count, trials, probability) == nearly(law.cdf(count))
        assert binomial_excess_p(count, trials, probability) == nearly(law.sf(count - 1))
    for level in (0.3, 0.025, SCREEN, SCREEN / 2, CONFIRM):
        assert binomial_critical(level, trials, probability) == law.isf(level) + 1


@pytest.mark.parametrize(("count", "trials"), [(0, 1), (1, 1), (1, 8), (0, 512), (300, 512), (512, 512)])
def test_an_interval_of_a_probability_is_that_of_scipy_stats(count, trials):
    expected = stats.binomtest(count, trials).proportion_ci(0.95, "exact")

    assert binomial_interval(count, trials, 0.95) == (nearly(expected.low), nearly(expected.high))


@pytest.mark.parametrize("level", [0.025, 1e-6, CERTAIN])
@pytest.mark.parametrize("degrees", [5, 47, 9216])
def test_functions_that_stand_for_laws_of_scipy_stats_are_theirs(degrees, level):
    total = special.chdtri(degrees, level)

    assert total == nearly(stats.chi2.isf(level, degrees))
    assert special.chdtr(degrees, total) == nearly(stats.chi2.cdf(total, degrees))
    assert -special.stdtrit(degrees, level) == nearly(stats.t.isf(level, degrees))
    assert special.betaincinv(degrees, 3, level) == nearly(stats.beta.ppf(level, degrees, 3))
    assert -special.ndtri(level) == nearly(stats.norm.isf(level))


def worst_level(masses, p_values):
    """The largest P(p <= t) / t over all t, from the outcomes' chances and p-values: at most 1 for a valid test."""
    order = np.argsort(p_values)
    ranked = np.maximum(np.asarray(p_values)[order], 1e-300)  # outcomes with less of a chance leave floating point
    reached = np.cumsum(np.asarray(masses)[order])
    last_of_ties = np.append(ranked[1:] != ranked[:-1], True)
    return (reached[last_of_ties] / ranked[last_of_ties]).max()


@pytest.mark.parametrize("probability", [0.5, 0.07, 1e-3])
@pytest.mark.parametrize("trials", [1, 9, 200])
@pytest.mark.parametrize("p_value", [binomial_p, binomial_excess_p])
def test_counts_have_p_values_that_keep_every_level(p_value, trials, probability):
    counts = np.arange(trials + 1)
    p_values = [p_value(int(count), trials, probability) for count in counts]

    assert worst_level(stats.binom.pmf(counts, trials, probability), p_values) <= 1 + TINY


@pytest.mark.parametrize("draws", [1, 5, 1000])
def test_the_largest_value_on_a_lattice_keeps_every_level(draws):
    cdf = np.array([0.1, 0.4, 0.9, 0.99, 1.0])
    outcomes = np.diff(cdf**draws, prepend=0.0)
    reaching = 1 - np.concatenate(([0.0], cdf[:-1]))
    p_values = [largest_p(reach, 1 - below, draws) for reach, below in zip(reaching, cdf, strict=True)]

    assert worst_level(outcomes, p_values) <= 1 + TINY


@pytest.mark.parametrize("beyond", [1e-300, 1e-100, 1e-12, 1e-3, 0.7])
@pytest.mark.parametrize("draws", [1, 10**4, 10**10])
def test_the_largest_value_of_a_continuous_law(draws, beyond):
    log_not_exceeded = draws * mpmath.log1p(-mpmath.mpf(beyond))

    exact = 2 * min(mpmath.exp(log_not_exceeded), -mpmath.expm1(log_not_exceeded))

    assert largest_p(beyond, beyond, draws) == nearly(exact)


@pytest.mark.parametrize(("reach", "exceed", "p"), [(1.0, 1.0, 0.0), (1.0, 0.0, 1.0), (0.0, 0.0, 0.0)])
def test_the_largest_value_at_the_ends_of_a_law(reach, exceed, p):
    assert largest_p(reach, exceed, 100) == p


def chances_of_empty_cells(masses, draws):
    """P(j cells stay empty), j = 0, 1, ..., by inclusion and exclusion over all sets of cells."""
    sums = [
        sum((1 - sum(cells, Fraction(0))) ** draws for cells in itertools.combinations(masses, size))
        for size in range(len(masses) + 1)
    ]
    return [sum((-1) ** (k - j) * math.comb(k, j) * sums[k] for k in range(j, len(sums))) for j in range(len(sums))]


@pytest.mark.parametrize("draws", [1, 8, 30, 90])
@pytest.mark.parametrize("weights", [(1,) * 8, (1, 2, 3, 4, 5, 6, 7, 8)], ids=["equal", "unequal"])
def test_empty_cells_keep_every_level(weights, draws):
    masses = [Fraction(weight, sum(weights)) for weight in weights]
    expected = sum(math.exp(-draws * mass) for mass in masses)
    chances = [float(chance) for chance in chances_of_empty_cells(masses, draws)]

    assert sum(chances) == pytest.approx(1)
    assert worst_level(chances, [empty_cells_p(j, expected) for j in range(len(chances))]) <= 1 + TINY


@pytest.mark.parametrize(
    ("empty", "expected", "p"),
    [(0, 0.0, 1.0), (1, 0.0, 0.0), (5, 5.0, 1.0), (65_536, 1e-6, 0.0), (2000, 1000.0, 1e-160)],
)
def test_empty_cells_at_the_ends(empty, expected, p):
    assert empty_cells_p(empty, expected) <= p <= 1


# Kolmogorov-Smirnov


@pytest.mark.parametrize("draws", [1, 2, 10, 100, 10_000])
@pytest.mark.parametrize("p", [0.3, SCREEN, CONFIRM, CERTAIN, 1e-100])
def test_the_ks_bound_is_never_below_the_exact_value(draws, p):
    distance = min(1.0, math.sqrt(math.log(2 / p) / 2 / draws))

    assert stats.kstwo.sf(distance, draws) <= ks_p(distance, draws) * (1 + TINY)


@pytest.mark.large_draws
def test_the_ks_bound_is_within_a_fifth_of_a_percent_at_the_screen_of_a_million_draws():
    distance = math.sqrt(math.log(2 / SCREEN) / 2 / 10**6)

    assert ks_p(distance, 10**6) == nearly(SCREEN)
    assert stats.kstwo.sf(distance, 10**6) * 1.002 >= SCREEN


@pytest.mark.parametrize(("distance", "p"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_ks_bound_at_the_ends(distance, p):
    assert ks_p(distance, 10**6) == p


# Chernoff's bound


def chernoff_slack(z):
    """Factor by which Chernoff's bound may exceed the truth: sqrt(2 pi) z to leading order (Bahadur & Rao 1960)."""
    return math.sqrt(2 * math.pi) * (abs(z) + 1)


def sum_of_uniforms_tail(mean, draws):
    """P(the mean of `draws` values from U(-1, 1) is at least `mean`), exact (Irwin 1927, Hall 1927)."""
    below = draws * (1 - Fraction(mean)) / 2
    terms = ((-1) ** k * math.comb(draws, k) * (below - k) ** draws for k in range(math.floor(below) + 1))
    return float(sum(terms) / math.factorial(draws))


@pytest.mark.parametrize(
    ("draws", "z"), [(1, 0.1), (1, 1.7), (12, 2.0), (12, 5.0), (100, 0.1), (100, 4.0), (100, 9.0), (100, 14.0)]
)
def test_chernoff_bounds_sums_of_uniforms_and_is_tight(draws, z):
    mean = z / math.sqrt(3 * draws)
    exact = min(1.0, 2 * sum_of_uniforms_tail(mean, draws))

    for sign in (1, -1):
        p = chernoff_p(sign * mean, draws, uniform_cumulant, 0.0, 1 / 3)
        assert exact <= p * (1 + TINY)
        assert p <= exact * chernoff_slack(z) or p > WORTH_A_SEARCH


SKEWED = np.array([-1.0, 0.0, 1.0, 4.0]), np.array([0.5, 0.2, 0.25, 0.05])


def sums_of_skewed(draws):
    """Chances of the sums of `draws` values of SKEWED, from -draws on, by convolution: positive terms only."""
    steps = np.zeros(6)
    steps[(SKEWED[0] + 1).astype(int)] = SKEWED[1]
    chances = np.ones(1)
    for _ in range(draws):
        chances = np.convolve(chances, steps)
    return np.arange(len(chances)) - draws, chances


@pytest.mark.parametrize("draws", [1, 30, 400])
def test_chernoff_bounds_sums_of_lattice_values_on_both_sides_and_is_tight(draws):
    values, masses = SKEWED
    expected = weighted_sum(values, masses)
    variance = weighted_sum((values - expected) ** 2, masses)
    cumulant = lattice_cumulant(values - expected, masses)
    sums, chances = sums_of_skewed(draws)
    below, above = np.cumsum(chances), np.cumsum(chances[::-1])[::-1]

    for total, lower, upper in zip(sums, below, above, strict=True):
        exact = min(1.0, 2 * (lower if total < draws * expected else upper))
        p = chernoff_p(total / draws, draws, cumulant, expected, variance)
        assert exact <= p * (1 + TINY)
        if p < WORTH_A_SEARCH and exact > 1e-30:  # farther out the 30 draws come near the end of what they can be
            assert p <= exact * chernoff_slack(math.sqrt(2 * math.log(2 / exact)))


def squares_of_half_type_normals():
    """Cumulant and variance of w**2 / E w**2 - 1, w a bfloat16 normal: its largest value lies 1400 std out."""
    law = GridLaw(Normal(1.0), "bfloat16")
    squares, masses = law.cells.first[law.masses > 0] ** 2, law.masses[law.masses > 0]
    centred = squares / weighted_sum(squares, masses) - 1
    return lattice_cumulant(centred, masses), weighted_sum(centred**2, masses)


def squared_normal_cumulant(t):
    """ln E exp(t (Z**2 - 1)), infinite from 1/2 on."""
    return -t - math.log1p(-2 * t) / 2 if t < 1 / 2 else math.inf


@pytest.mark.parametrize("draws", [1, 4096, 10**8])
@pytest.mark.parametrize(
    ("cumulant", "variance"),
    [
        (uniform_cumulant, 1 / 3),
        (squared_uniform_cumulant, 4 / 45),
        (lattice_cumulant(np.array([-2.0, 0.0, 1.0, 38.0]), np.array([0.1, 0.8 - 0.1 / 38, 0.1, 0.1 / 38])), 4.3),
        squares_of_half_type_normals(),
        (squared_normal_cumulant, 2.0),
    ],
    ids=["uniform", "squared uniform", "skewed lattice", "squared half-type normal", "squared normal"],
)
def test_chernoff_falls_with_the_deviation_and_never_rises_again(draws, cumulant, variance):
    deviations = np.geomspace(1e-3 / math.sqrt(draws), 1e300, 1000)

    for sign in (1, -1):
        p_values = np.array([chernoff_p(sign * d, draws, cumulant, 0.0, variance) for d in deviations])
        assert p_values[0] > 0.99
        assert (p_values[1:] <= p_values[:-1] * (1 + TINY)).all()
        assert p_values[-1] < 0.1 ** min(draws, 300)


@pytest.mark.parametrize("times", [0.1, 0.7, 1.3, math.sqrt(2), 2.0, 10.0, 30.0, 1000.0])
def test_chernoff_finds_a_gross_scale_impossible(times):
    cumulant, variance = squares_of_half_type_normals()

    assert chernoff_p(times**2, 4096, cumulant, 1.0, variance) < CERTAIN


@pytest.mark.parametrize(("mean", "p"), [(0.0, 1.0), (math.inf, 0.0), (-math.inf, 0.0), (math.nan, 0.0), (1e300, 0.0)])
def test_chernoff_at_the_ends(mean, p):
    assert chernoff_p(mean, 1000, uniform_cumulant, 0.0, 1 / 3) == p


@pytest.mark.parametrize("draws", [10, 4096, 10**8])
@pytest.mark.parametrize("z", [-12.0, -5.0, -1.0, 1.0, 5.0, 12.0])
def test_chernoff_bounds_chi_squared(draws, z):
    mean = 1 + z * math.sqrt(2 / draws)
    exact = chi_squared_p(draws * mean, draws) if mean > 0 else 0.0

    assert exact <= chernoff_p(mean, draws, squared_normal_cumulant, 1.0, 2.0) * (1 + TINY)


# Cumulants

SIZES = (1e-9, 1e-5, 0.99e-3, 1.01e-3, 0.0099, 0.0101, 0.3, 2.0, 40.0, 1e3, 1e5)
ARGUMENTS = [sign * size for size in SIZES for sign in (1, -1)]
"""Small and large, and both sides of the places where the formulas change."""


def cumulant_value(exact):
    """Equal up to what n = 1.5e10 draws, the soak tier's, turn into a relative error of p of 1e-4."""
    return pytest.approx(float(exact), rel=1e-14, abs=6e-15)


@pytest.mark.parametrize("t", ARGUMENTS)
def test_cumulant_of_a_uniform(t):
    assert uniform_cumulant(t) == cumulant_value(mpmath.log(mpmath.sinh(t) / t))


@pytest.mark.parametrize("t", ARGUMENTS)
def test_cumulant_of_a_squared_uniform(t):
    root = mpmath.sqrt(mpmath.mpc(t))
    exact = mpmath.log(mpmath.re(mpmath.sqrt(mpmath.pi) / 2 * mpmath.erfi(root) / root)) - mpmath.mpf(t) / 3

    assert squared_uniform_cumulant(t) == cumulant_value(exact)


@pytest.mark.parametrize("t", ARGUMENTS)
def test_cumulant_of_a_lattice(t):
    values, masses = SKEWED
    centred = values - weighted_sum(values, masses)
    terms = (m * mpmath.exp(mpmath.mpf(t) * v) for v, m in zip(centred.tolist(), masses.tolist(), strict=True))

    assert lattice_cumulant(centred, masses)(t) == cumulant_value(mpmath.log(mpmath.fsum(terms)))


@pytest.mark.parametrize("cumulant", [uniform_cumulant, squared_uniform_cumulant, lattice_cumulant(*SKEWED)])
def test_a_cumulant_at_zero_is_zero(cumulant):
    assert cumulant(0.0) == 0.0
