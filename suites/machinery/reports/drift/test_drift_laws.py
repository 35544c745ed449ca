"""Two samples of one law: p-values that are exact or upper bounds, and what they see of other laws and grids."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from fixtures.statistics.formats import CELLS, cells_of
from fixtures.statistics.judgement import CERTAIN, MISS, draws_to_resolve
from fixtures.statistics.laws import Normal, Uniform, grid_law
from fixtures.statistics.pvalues import hypergeometric_p
from reports.drift.laws import NoCounts, TwoSamples, counts_of
from suites.conftest import settings_key
from suites.machinery.chance import ALARM, SURE, agrees, no_more_seldom, no_oftener, within_chance
from suites.machinery.making.counts import QUICK, halved, sample

pytestmark = SURE

FULL = draws_to_resolve(0.0005)
"""Draws of a core subject at the full tier."""

NORMAL = Normal(0.05)
UNIFORM = Uniform(0.0875)


# p-values


def exact_masses(marked: int, drawn: int, total: int) -> dict[int, Fraction]:
    """P(K = k) of a sample without replacement."""
    found = range(max(0, drawn + marked - total), min(marked, drawn) + 1)
    ways = {k: math.comb(marked, k) * math.comb(total - marked, drawn - k) for k in found}
    return {k: Fraction(way, math.comb(total, drawn)) for k, way in ways.items()}


@pytest.mark.parametrize("total", [10, 41, 200])
@pytest.mark.parametrize("drawn_share", [0.5, 0.2])
@pytest.mark.parametrize("marked_share", [0.02, 0.3, 0.5, 0.97, 1.0])
def test_no_p_value_is_met_more_often_than_it_says(total, drawn_share, marked_share):
    marked, drawn = max(1, round(total * marked_share)), round(total * drawn_share)
    masses = exact_masses(marked, drawn, total)
    p = hypergeometric_p(np.full(len(masses), float(marked)), drawn, total, np.array([*masses], float))

    for level in p:
        met = sum(mass for mass, value in zip(masses.values(), p, strict=True) if value <= level)
        assert float(met) <= level * (1 + 1e-9)


@pytest.mark.parametrize("standard_errors", [-9, -7, 7, 9, 30])
@pytest.mark.parametrize("share", [1e-5, 0.015, 0.5, 0.87])
def test_the_bound_is_close_to_the_exact_tail_at_the_sizes_of_sketches(share, standard_errors):
    total, drawn = 2 * QUICK, QUICK
    marked = round(share * total)
    sd = math.sqrt(marked * (1 - share) / 4)
    found = min(marked, max(0, round(marked / 2 + standard_errors * sd)))

    with mpmath.workdps(30):
        exact = 2 * tail(marked, drawn, total, found, up=standard_errors > 0)
    p = float(hypergeometric_p(np.array([float(marked)]), drawn, total, np.array([float(found)]))[0])

    assert exact * (1 - 1e-6) <= p <= exact * 1.05


def tail(marked: int, drawn: int, total: int, found: int, *, up: bool) -> mpmath.mpf:
    """P(K >= found), or <=, term by term from mpmath's binomial coefficients until nothing is added."""
    ways = mpmath.binomial(marked, found) * mpmath.binomial(total - marked, drawn - found)
    term = ways / mpmath.binomial(total, drawn)
    added, k = mpmath.mpf(0), found
    while term > added * mpmath.mpf(10) ** -20:
        added += term
        rest = total - marked - drawn + k
        if up:
            term *= mpmath.mpf((marked - k) * (drawn - k)) / ((k + 1) * (rest + 1))
        else:
            term *= mpmath.mpf(k * rest) / ((marked - k + 1) * (drawn - k + 1))
        k += 1 if up else -1
    return added


# Two samples of one law


REPLICATES = 2000


def small_samples(replicates, generator, *, times=1):
    """Pairs of small samples of one law, of unequal sizes; each weight counted `times`, as if drawn again.

    One after another, for each takes a megabyte.
    """
    law = grid_law(NORMAL, "bfloat16")

    def drawn(draws):
        cells = np.searchsorted(law.below, generator.random(draws))
        return times * np.bincount(law.cells.codes[cells], minlength=CELLS)

    return (TwoSamples(law, drawn(300), drawn(200)) for _ in range(replicates))


@pytest.fixture(scope="module")
def healthy(pytestconfig):
    """Masses of the regions; p of each pair of samples; p of each region in each pair, [REPLICATES, regions]."""
    p, p_values = np.empty(REPLICATES), []
    generator = np.random.default_rng(pytestconfig.stash[settings_key].seed)
    for number, samples in enumerate(small_samples(REPLICATES, generator)):
        p[number] = samples.p
        p_values.append(samples.p_values)
    return samples.regions.sums(samples.law.masses), p, np.array(p_values)


@pytest.mark.large_draws
@pytest.mark.draws(3 * ALARM, "a count at each level")
def test_small_samples_of_one_law_seldom_differ(healthy):
    _, p, _ = healthy

    for level in (0.5, 0.1, 0.01):
        assert no_oftener((p <= level).sum(), REPLICATES, level)


@pytest.mark.large_draws
@pytest.mark.draws(3 * ALARM, "a count at each level")
@pytest.mark.parametrize("mass", [0.03, 0.25, 0.5])
def test_a_single_region_differs_as_often_as_its_p_value_says(mass, healthy):
    masses, _, p_values = healthy
    found = p_values[:, np.argmin(np.abs(masses - mass))]

    for level in (0.5, 0.1, 0.01):
        assert no_oftener((found <= level).sum(), REPLICATES, level)
    assert np.mean(found <= 0.2) > 0.05  # not an empty promise, coarse as the counts of a small sample are


@pytest.mark.large_draws
def test_draws_that_repeat_each_other_are_what_the_p_values_do_not_cover(generator):
    found = np.array([samples.p for samples in small_samples(200, generator, times=4)])

    assert not no_oftener((found <= 0.1).sum(), 200, 0.1)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("law", [NORMAL, UNIFORM], ids=str)
def test_large_samples_of_one_law_do_not_differ(law, dtype, generator):
    samples = TwoSamples(grid_law(law, dtype), *(sample(law, dtype, QUICK, generator) for _ in range(2)))

    assert within_chance(samples.p)
    assert (samples.values_of_one_side.lost, samples.values_of_one_side.gained) == (0, 0)


# Samples of two laws


def scaled(law, factor):
    return Normal(law.std * factor) if isinstance(law, Normal) else Uniform(law.bound * factor)


@pytest.mark.parametrize("grows", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("law", [NORMAL, UNIFORM], ids=str)
def test_the_stated_change_of_scale_is_seen_and_not_only_ten_times_as_much(law, dtype, grows, generator):
    stated = TwoSamples(
        grid_law(law, dtype), *(sample(law, dtype, QUICK, generator) for _ in range(2))
    ).detectable_scale

    def seen(change):
        other = sample(scaled(law, 1 + change if grows else 1 - change), dtype, QUICK, generator)
        return TwoSamples(grid_law(law, dtype), sample(law, dtype, QUICK, generator), other).p < CERTAIN

    # 2 %: the stated size is the normal approximation's. One may be missed, with chance MISS each.
    assert no_oftener(sum(not seen(1.02 * stated) for _ in range(10)), 10, MISS)
    assert not seen(stated / 10)


def test_what_is_detected_of_a_normal_law_at_each_tier(generator):
    def stated(draws):
        counts = sample(NORMAL, "float32", draws, generator)
        return TwoSamples(grid_law(NORMAL, "float32"), counts, counts).detectable_scale

    assert stated(QUICK) == pytest.approx(0.0051, abs=5e-5)
    assert stated(FULL) == pytest.approx(0.0013, abs=5e-5)


@pytest.mark.draws(2 * ALARM, "a std and a mean")
def test_three_tenths_of_a_percent_of_scale_are_seen_in_the_samples_of_a_full_run(generator):
    law = grid_law(NORMAL, "float32")
    samples = TwoSamples(
        law, sample(NORMAL, "float32", FULL, generator), sample(Normal(0.05 * 1.003), "float32", FULL, generator)
    )

    assert samples.p < CERTAIN
    # Of a normal law's std the relative standard error is 1 / sqrt(2 n), of its mean 1 / sqrt(n) stds; two samples.
    assert agrees(samples.moved[1], 0.003, 1 / math.sqrt(FULL))
    assert agrees(samples.moved[0], 0, math.sqrt(2 / FULL))


def changed(counts, dtype, where, factor=0):
    """Counts with those of some values multiplied; `where` sees the values."""
    cells = cells_of(dtype)
    spoiled = counts.copy()
    codes = cells.codes[where(cells.first)]
    spoiled[codes] = spoiled[codes] * factor
    return spoiled


@pytest.mark.draws(2 * ALARM, "a count, either way")
@pytest.mark.parametrize("side", ["baseline", "candidate"])
def test_a_tail_that_is_cut_is_seen_where_it_was_cut(side, generator):
    def beyond(values):
        return np.abs(values) > 4 * NORMAL.std

    whole, other = (sample(NORMAL, "float32", QUICK, generator) for _ in range(2))
    cut = changed(other, "float32", beyond)
    sides = {"baseline": whole, "candidate": whole} | {side: cut}
    samples = TwoSamples(grid_law(NORMAL, "float32"), **sides)

    assert samples.p < CERTAIN
    assert samples.worst.place.startswith("outside -4")
    assert getattr(samples.worst, side) == 0
    share = samples.law.masses[beyond(samples.law.cells.first)].sum()
    found = round((samples.worst.baseline + samples.worst.candidate) * QUICK)
    assert no_oftener(found, QUICK, share)
    assert no_more_seldom(found, QUICK, share)


def test_a_lump_of_a_thousandth_of_the_weights_is_seen(generator):
    flat, lumpy = (sample(NORMAL, "float32", QUICK, generator) for _ in range(2))
    value = np.flatnonzero(cells_of("float32").first > 0.03)[0]
    lumpy[cells_of("float32").codes[value]] += QUICK // 1000

    assert TwoSamples(grid_law(NORMAL, "float32"), flat, lumpy).p < CERTAIN


@pytest.mark.parametrize(("code", "place"), [(0x7FC0, "NaN or infinite"), (0x4049, "above 1.74 std")])
def test_weights_where_none_may_be_are_seen(code, place, generator):
    healthy, spoiled = (sample(UNIFORM, "float32", QUICK, generator) for _ in range(2))
    spoiled[code] += 100
    samples = TwoSamples(grid_law(UNIFORM, "float32"), healthy, spoiled)

    assert samples.p < CERTAIN
    assert samples.worst.place == place


def test_weights_without_any_spread_have_no_std_to_compare(generator):
    stuck = np.zeros(CELLS, np.int64)
    stuck[0x7FC0] = QUICK
    samples = TwoSamples(grid_law(NORMAL, "float32"), stuck, sample(NORMAL, "float32", QUICK, generator))

    assert samples.p < CERTAIN
    assert samples.moved is None


# Grids


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("law", [NORMAL, UNIFORM], ids=str)
def test_a_coarser_grid_is_seen_on_either_side(law, dtype, generator):
    fine, other = (sample(law, dtype, QUICK, generator) for _ in range(2))
    coarse = halved(other, dtype)
    lost = TwoSamples(grid_law(law, dtype), fine, coarse).values_of_one_side
    gained = TwoSamples(grid_law(law, dtype), coarse, fine).values_of_one_side

    assert lost.p < CERTAIN
    assert lost.lost == pytest.approx(lost.expected / 2, abs=1)
    assert (lost.gained, gained.lost, gained.gained) == (0, 0, lost.lost)


def test_values_are_only_looked_for_where_both_sides_drew_enough(generator):
    few = [sample(NORMAL, "float16", 10_000, generator) for _ in range(2)]
    samples = TwoSamples(grid_law(NORMAL, "float16"), *few)

    one_sided = int(np.sum((few[0] == 0) != (few[1] == 0)))
    assert one_sided > 1000
    assert (samples.values_of_one_side.expected, samples.values_of_one_side.p) == (0, 1.0)


# Arrays from outside


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros(3, np.int64), r"int64 of shape \(3,\) where 65536 integers are expected"),
        (np.zeros((CELLS, 1), np.int64), r"int64 of shape \(65536, 1\)"),
        (np.ones(CELLS), r"float64 of shape \(65536,\)"),
        (np.ones(CELLS, bool), "bool of shape"),
        (np.full(CELLS, "1"), "<U1 of shape"),
        (np.zeros(CELLS, "M8[s]"), "datetime64"),
        (np.array(5), r"int64 of shape \(\)"),
        (np.full(CELLS, -1), "a count of -1"),
        (np.zeros(CELLS, np.int64), "0 weights in all"),
        (np.full(CELLS, 2**62), r"3.02e\+23 weights in all"),
        (np.full(CELLS, 2**64 - 1, np.uint64), r"1.21e\+24 weights in all"),
    ],
)
def test_what_is_no_count_of_weights_is_refused(array, says):
    with pytest.raises(NoCounts, match=says):
        counts_of(array)


def test_small_integers_are_counts_as_well():
    assert counts_of(np.ones(CELLS, np.uint8)).sum() == CELLS
