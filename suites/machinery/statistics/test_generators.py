"""Numbers of fixtures/statistics/generators.py, derived: CUDA's from its source in NumPy, before CUDA was run.

They are compared with what one card once drew (suites/FINDINGS.md).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import special

from fixtures.record.claim import Verdict
from fixtures.record.subject import DTYPES, HALF_TYPES, Subject
from fixtures.statistics.formats import unit_roundoff
from fixtures.statistics.generators import PHILOX, PROCESSOR, Generator, generator_of
from fixtures.statistics.judgement import CERTAIN, SCREEN, judge
from fixtures.statistics.laws import grid_law, promised_law
from fixtures.weights.marginal_questions import AT_THE_END, NEGLIGIBLE, extremes, marginal_questions, zeros
from fixtures.weights.sketch import Moments, Sketch
from fixtures.weights.sketcher import sketch_of
from suites.machinery.chance import CLAIM, SURE, fresh_seed
from suites.machinery.making.philox import (
    angle,
    normal,
    philox,
    scaled_normal,
    scaled_uniform,
    uniform,
    uniform_double,
    words_of,
)

ALL = 2**32 - 1


# Philox


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_published_words(counter, key, words):
    """The known answers of its authors (Random123, tests/kat_vectors)."""
    counter, key, words = ([int(word, 16) for word in text.split()] for text in (counter, key, words))

    assert philox(np.array([counter], np.uint32), tuple(key)).tolist() == [words]


# Uniforms


def word(*values):
    return np.array(values, np.uint32)


def test_a_float32_uniform_has_32_bits_near_zero_and_24_near_one():
    near_zero, near_one = uniform(word(0, 1, 2)), uniform(word(ALL - 2**9, ALL - 2**8, ALL))

    assert near_zero.tolist() == [2.0**-33, 3 * 2.0**-33, 5 * 2.0**-33]
    assert near_one.tolist() == [1 - 2.0**-23, 1 - 2.0**-24, 1]


def test_zero_is_never_drawn_and_one_by_one_word_in_2_to_the_25():
    ends = uniform(np.arange(ALL - 2**10, ALL + 1, dtype=np.int64).astype(np.uint32))

    assert uniform(word(0))[0] > 0
    assert (ends == 1).sum() == 2**7 == 2**32 * 2.0**-25


def test_a_float64_uniform_has_53_bits_and_both_ends_as_documented():
    words = np.array([[0, 0], [1, 0], [2**21 - 1, ALL]], np.uint32)

    assert uniform_double(words).tolist() == [2.0**-54, 3 * 2.0**-54, 1]


BOUNDS = (0.0632, 0.05, 2.0**-4, 0.1118, 1.0)


@pytest.mark.parametrize("bound", BOUNDS)
def test_the_upper_bound_of_a_float32_uniform_is_open_and_little_mass_lies_on_the_lower(bound):
    """What becomes the upper bound, one draw in 2^25, is written as the lower one; and as many are rounded to it."""
    smallest, largest = uniform(word(*range(2**10))), uniform(np.arange(ALL - 2**10, ALL + 1).astype(np.uint32))

    low = scaled_uniform(smallest, -bound, bound, torch.float32)
    high = scaled_uniform(largest, -bound, bound, torch.float32)

    end = torch.tensor(-bound).item()
    assert low.min().item() == end
    assert high[high > 0].max().item() < -end
    at_the_end = int((low == end).sum()) + int((high == end).sum())
    assert 2.0**-25 <= at_the_end / 2**32 <= NEGLIGIBLE


# The normal law


def test_box_mullers_radius_ends_where_the_smallest_uniform_puts_it():
    turns = np.arange(0, 2**32, 2**12, dtype=np.int64).astype(np.uint32)
    drawn = normal(np.stack((np.zeros_like(turns), turns), 1))

    assert PHILOX.largest_normal("float32") == pytest.approx(math.sqrt(66 * math.log(2)))
    assert PHILOX.largest_normal("float32") == pytest.approx(6.7637, abs=1e-4)
    assert np.abs(drawn).max() == pytest.approx(PHILOX.largest_normal("float32"), rel=1e-6)
    assert PHILOX.largest_normal("bfloat16") == PHILOX.largest_normal("float32")
    assert PHILOX.largest_normal("float64") == pytest.approx(8.6522, abs=1e-4)
    assert uniform_double(np.zeros((1, 2), np.uint32))[0] == PHILOX.smallest_double


def test_the_processors_ends_sooner():
    assert PROCESSOR.largest_normal("float32") == pytest.approx(5.7681, abs=1e-4)
    assert PROCESSOR.largest_normal("float64") == pytest.approx(8.5717, abs=1e-4)


@SURE
def test_a_float64_normal_of_the_processor_stays_below():
    torch.manual_seed(fresh_seed())

    drawn = torch.empty(1 << 20, dtype=torch.float64).normal_().abs().max().item()

    assert drawn < PROCESSOR.largest_normal("float64")


DOCUMENTED = 2.0**-21.19
"""Error of __cosf, at most, within half a turn (CUDA C++ Programming Guide); __sinf has 2^-21.41."""

AROUND = 2**12
"""Words on either side of a root: an angle of 6e-6, ten times as far as the documented error reaches."""


def chance_near(function, *roots):
    """Chance that an angle lies within the documented error of a root, in turns; twice that beyond half a turn."""
    near = 0
    for root in roots:
        middle = round(root * 2**32)
        words = np.arange(max(0, middle - AROUND), min(2**32, middle + AROUND), dtype=np.int64).astype(np.uint32)
        angles = angle(words).astype(np.float64)
        error = np.where(angles <= np.pi, DOCUMENTED, 2 * DOCUMENTED)
        near += int((np.abs(function(angles)) <= error).sum())
    return near / 2**32


def test_angles_lie_near_a_root_as_often_as_the_chance_of_zero_allows():
    """Of a sine and of a cosine alike: half of all normals are either."""
    chance = (chance_near(np.sin, 0.0, 0.5, 1.0) + chance_near(np.cos, 0.25, 0.75)) / 2

    assert chance == pytest.approx(4.5e-7, rel=0.02)
    assert PHILOX.zero / 2 < chance < PHILOX.zero


def test_a_uniform_is_zero_for_fewer_words_than_that():
    middle = uniform(np.arange(2**31 - 2**9, 2**31 + 2**9).astype(np.uint32))

    assert (middle == 0.5).sum() / 2**32 <= 2.0**-24 < PHILOX.zero
    assert (scaled_uniform(middle, -0.05, 0.05, torch.float32) == 0).sum() == (middle == 0.5).sum()


def test_a_float64_angle_is_a_root_for_four_words_in_2_to_the_53_at_most():
    """Half turns and whole ones: where the words' own step is finer than a float64 there, two are rounded to each."""
    for root in (1.0, 1.5, 2.0):
        middle = int(root * 2**52)
        turns = np.arange(middle - 4, min(2**53, middle + 4), dtype=np.uint64).astype(np.float64) * 2.0**-52 + 2.0**-53
        assert (turns == root).sum() <= 2
    quarter = np.arange(2**51 - 4, 2**51 + 4, dtype=np.uint64).astype(np.float64) * 2.0**-52 + 2.0**-53
    assert not (quarter == 0.5).any()
    assert PHILOX.zero_double == 4 * 2.0**-53


# Half types: a float32 draw between bounds of the half type, rounded once


def exact_uniform(bound, dtype):
    """Values that uniform_(-bound, bound) gives on CUDA, and their masses: cells of the grid, the upper end's below."""
    kind = getattr(torch, dtype)
    end = torch.tensor(bound, dtype=kind).double().item()
    grid = torch.arange(-(2**15), 2**15).to(torch.int16).view(kind)
    values = np.unique(grid[torch.isfinite(grid)].double().numpy())
    values = values[(values >= -end) & (values <= end)]
    edges = np.concatenate(([-end], (values[:-1] + values[1:]) / 2, [end]))
    masses = np.diff(edges) / (2 * end)
    masses[0] += masses[-1]
    return values[:-1], masses[:-1]


def moments(values, masses):
    mean = (values * masses).sum()
    return mean, math.sqrt((values**2 * masses).sum() - mean**2)


RECORDED = {"weights": 4000 * 1501, "lowest": 23151, "highest": 17566, "mean": -0.0073}
"""torch 2.11.0+cu130 on one NVIDIA H100: uniform_(-0.0632, 0.0632) in bfloat16 (suites/FINDINGS.md)."""


def test_the_source_explains_what_a_card_drew():
    """How many of 6e6 lie on the lowest and the highest value, within four standard deviations; the mean likewise."""
    values, masses = exact_uniform(0.0632, "bfloat16")
    n, (mean, std) = RECORDED["weights"], moments(values, masses)

    for name, mass in (("lowest", masses[0]), ("highest", masses[-1])):
        assert RECORDED[name] == pytest.approx(n * mass, abs=4 * math.sqrt(n * mass))
    assert RECORDED["mean"] == pytest.approx(mean / std, abs=4 / math.sqrt(n) + 0.5e-4)
    assert PROCESSOR.largest_normal("float32") < 6.29 < PHILOX.largest_normal("float32")


@SURE
@pytest.mark.parametrize("dtype", HALF_TYPES)
@pytest.mark.parametrize("bound", BOUNDS[:4])
def test_simulated_half_type_uniforms_have_that_law(bound, dtype):
    values, masses = exact_uniform(bound, dtype)
    drawn = scaled_uniform(uniform(words_of(fresh_seed(), 1 << 20).ravel()), -bound, bound, getattr(torch, dtype))

    places = np.searchsorted(values, drawn.double().numpy())
    assert (values[np.minimum(places, len(values) - 1)] == drawn.double().numpy()).all()
    counts = np.bincount(places, minlength=len(values))
    expected = len(drawn) * masses
    squares = ((counts - expected) ** 2 / expected)[expected > 25]
    # Each about chi-squared with one degree; their sum, seven standard deviations out.
    assert squares.sum() < len(squares) + 7 * math.sqrt(2 * len(squares)) + 50


@pytest.mark.parametrize("dtype", HALF_TYPES)
@pytest.mark.parametrize("bound", BOUNDS[:4])
def test_how_low_the_mean_of_half_type_uniforms_is(bound, dtype):
    """Half of the highest cell moves by the whole width: sqrt(3) / 2 of the last step, one or two roundoffs."""
    mean, std = moments(*exact_uniform(bound, dtype))
    least = unit_roundoff(dtype) * math.sqrt(3) / 2

    assert 0.98 * least < -mean / std < 1.02 * 2 * least


# The suites' own claims on such weights

SHAPE = (1024, 512)
HEALTHY = [("kaiming_normal_", dtype) for dtype in ("float32", *HALF_TYPES)] + [("kaiming_uniform_", "float32")]


def simulated(initializer, dtype, seed, shape=SHAPE):
    subject = Subject(initializer, shape, dtype, nonlinearity="relu", device="cuda")
    law, words = promised_law(subject), words_of(seed, subject.numel)
    if initializer == "kaiming_normal_":
        weights = scaled_normal(normal(words), law.std, getattr(torch, dtype))
    else:
        weights = scaled_uniform(uniform(words.ravel()), law.low, law.high, getattr(torch, dtype))
    return subject, sketch_of(weights.reshape(shape), law.median_size)


@pytest.mark.draws(20 * CLAIM, "fewer than 20 healthy claims")
@pytest.mark.parametrize(("initializer", "dtype"), HEALTHY)
def test_weights_by_cudas_source_hold(initializer, dtype):
    subject, screened = simulated(initializer, dtype, fresh_seed())
    _, confirmed = simulated(initializer, dtype, fresh_seed() + 1)

    for question in marginal_questions(subject):
        read = question.read
        assert judge(read(screened), lambda read=read: read(confirmed)).verdict is not Verdict.VIOLATED, question.family


@pytest.mark.large_draws
@SURE
def test_the_bound_that_is_written_as_the_other_is_seen_in_bfloat16():
    subject, sketch = simulated("kaiming_uniform_", "bfloat16", fresh_seed(), (4096, 1024))
    reading = next(q for q in marginal_questions(subject) if q.family == "weights.marginal.location").read(sketch)

    assert reading.p < 1e-4
    assert -1.1 < reading.effect.value < -0.2


def weights_with(share, n=1 << 24):
    weights = torch.ones(n)
    weights[: round(share * n)] = 0
    return sketch_of(weights.reshape(1 << 12, -1), 0.0)


@pytest.mark.parametrize(("share", "on_cpu", "on_cuda"), [(2e-6, False, True), (1e-5, False, False), (0.0, True, True)])
def test_zeros_are_counted_against_the_devices_own_chance(share, on_cpu, on_cuda):
    law = grid_law(promised_law(Subject("kaiming_normal_", SHAPE, nonlinearity="relu")), "float32")
    sketch = weights_with(share)

    for generator, holds in ((PROCESSOR, on_cpu), (PHILOX, on_cuda)):
        assert (zeros(sketch, law, generator).p > 1e-6) == holds


@pytest.mark.parametrize(
    ("device", "generator"),
    [("cpu", PROCESSOR), ("cuda", PHILOX), ("cuda:1", PHILOX), ("xpu", PHILOX), ("mps", PHILOX)],
)
def test_a_device_has_its_generator(device, generator):
    assert generator_of(device) is generator


# The largest and the smallest that can be drawn


def coarse(bits):
    """A generator like the processor's, of uniforms of so few bits that all radii can be listed."""
    return Generator("coarse", 2.0**-bits, 2.0**-bits, 2.0**-bits, 2.0**-bits)


@pytest.mark.parametrize("bits", [6, 12, 16])
@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.8, 0.9, 0.97, 0.999])
def test_a_grid_draws_normals_beyond_as_seldom_as_is_said_and_the_law_oftener(bits, share):
    radii = np.sqrt(-2 * np.log(np.arange(1, 2**bits + 1) / 2**bits))
    x = share * radii[0]
    beyond = (np.arccos(np.clip(x / np.maximum(radii, x), 0, 1)) / np.pi).sum() / 2**bits

    least = coarse(bits).normal_beyond(x, "float32")

    assert least <= beyond <= special.ndtr(-x)
    if share < 0.99:  # nearer to the end the bound is zero, and nothing is asked
        assert least > beyond / 6


@pytest.mark.parametrize("generator", [PROCESSOR, PHILOX], ids=lambda each: each.name)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_is_sure_to_lie_beyond_the_largest_and_almost_all_beyond_the_other_side(generator, dtype):
    assert generator.normal_beyond(generator.largest_normal(dtype), dtype) == 0
    outside = generator.smallest_uniform(dtype)  # of the largest radius: all that the bound leaves out
    assert 1 - 2 * outside < generator.normal_beyond(-10.0, dtype) <= 1
    for x in (0.0, 1e-9):
        assert 0.5 - 2 * outside - x < generator.normal_beyond(x, dtype) <= 0.5


MOST_DRAWS = (2049 * 2**20, 1.5e10, 6e10)
"""Weights of a call of the full tier, and of a core subject of the soak tier: at the screen, and to confirm it."""


def reading_of_the_largest(law, at, draws, generator=PROCESSOR):
    """Reading of `draws` weights, the farthest of which lie at -at and at."""
    sketch = Sketch.begin(law.dtype, (16, 16))
    for value in (-at, at):
        sketch.counts[law.cells.codes[np.searchsorted(law.cells.upper, value)]] += 1
    sketch.counts[0] += int(draws) - 2
    sketch.streamed = Moments(0.0, 1.0, -at, at)
    return extremes(sketch, law, generator)


@pytest.mark.parametrize("generator", [PROCESSOR, PHILOX], ids=lambda each: each.name)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("draws", MOST_DRAWS)
def test_draws_that_end_where_the_generator_does_are_healthy_and_those_that_end_sooner_are_not(dtype, draws, generator):
    law = grid_law(promised_law(Subject("kaiming_normal_", (256, 128), dtype, nonlinearity="relu")), dtype)
    largest = min(generator.largest_normal(dtype), 6.6)  # where the law itself has them

    assert reading_of_the_largest(law, largest * law.law.std, draws, generator).p > SCREEN
    assert reading_of_the_largest(law, 5.2 * law.law.std, draws, generator).p < CERTAIN


@pytest.mark.parametrize("fan", [1, 2, 9, 48, 96, 256, 784, 1000, 4096, 1 << 20])
@pytest.mark.parametrize("draws", MOST_DRAWS)
def test_uniforms_that_end_where_float32_arithmetic_does_are_healthy(fan, draws):
    """Of kernels that round each product: (1 - 2**-24) times the interval's length, less the bound."""
    law = grid_law(promised_law(Subject("kaiming_uniform_", (16, fan), nonlinearity="relu")), "float32")
    bound, one = np.float32(law.law.high), np.float32(1)
    largest = (one - np.float32(2.0**-24)) * (bound + bound) - bound

    assert float(law.law.sf(float(largest))) <= AT_THE_END
    assert reading_of_the_largest(law, float(largest), draws).p > SCREEN
    assert reading_of_the_largest(law, float(largest) * (1 - 1e-6), draws).p < CERTAIN
