"""Weights beside all those before them: counts by brute force, bounds by enumeration, stated effects detected."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fixtures.record.claim import Verdict
from fixtures.record.subject import DTYPES, HALF_TYPES, Subject
from fixtures.statistics.judgement import CONFIRM, SCREEN, judge
from fixtures.statistics.laws import Normal, Uniform, grid_law, promised_law
from fixtures.statistics.pvalues import coins_excess_p
from fixtures.target.target import load_target
from fixtures.weights.anywhere import SECONDS, Series, most_correlated, most_dependent_triple, series_of
from fixtures.weights.anywhere_questions import anywhere_questions, commonest, comparable
from fixtures.weights.blocks import Windows
from fixtures.weights.recurrence import MARGIN, SIGNS
from suites.machinery.chance import ALARM, FAR, FAR_MISS, SURE, fresh_seed, no_oftener
from suites.weights.test_anywhere import ANYWHERE, DRAWS, SHAPE

TORCH = load_target("torch.nn.init")


def subject(initializer="kaiming_normal_", dtype="float32"):
    return Subject(initializer, SHAPE, dtype, nonlinearity="relu")


def series(values, dtype="float32"):
    about = subject(dtype=dtype)
    return Series(values, grid_law(promised_law(about), dtype))


def asked(name, about=None):
    return next(
        question for question in anywhere_questions(about or subject()) if question.family == f"{ANYWHERE}.{name}"
    )


def normals(count, dtype=torch.float32):
    generator = torch.Generator().manual_seed(fresh_seed())
    return torch.randn(count, generator=generator, dtype=dtype) * promised_law(subject()).std


# Counts


@given(st.lists(st.booleans(), min_size=2, max_size=70))
def test_the_most_correlated_distance_is_that_of_brute_force(bits):
    found = most_correlated(np.array(bits))

    differing = {d: sum(a != b for a, b in zip(bits[d:], bits, strict=False)) for d in range(1, len(bits))}
    deviates = {d: abs(len(bits) - d - 2 * count) / math.sqrt(len(bits) - d) for d, count in differing.items()}
    assert found.count == differing[found.distance]
    assert found.pairs == len(bits) - found.distance
    assert deviates[found.distance] == pytest.approx(max(deviates.values()))


@pytest.mark.large_draws
@given(st.lists(st.booleans(), min_size=3, max_size=40))
def test_the_most_dependent_triple_is_that_of_brute_force(bits):
    found = most_dependent_triple(np.array(bits))

    n = len(bits)
    odd = {}
    for second, third in itertools.product(SECONDS, range(1 - n, n)):
        places = [i for i in range(n) if 0 <= i + second < n and 0 <= i + third < n]
        if places and third not in (0, second):
            odd[second, third] = len(places), sum(bits[i] ^ bits[i + second] ^ bits[i + third] for i in places)
    deviates = {at: abs(count - 2 * ones) / math.sqrt(count) for at, (count, ones) in odd.items()}
    assert odd[found.second, found.third] == (found.triples, found.count)
    assert deviates[found.second, found.third] == pytest.approx(max(deviates.values()))


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=70))
def test_ties_are_those_of_brute_force(numbers):
    values = series(torch.tensor(numbers, dtype=torch.float32))
    last, distances = {}, []
    for place, number in enumerate(numbers):
        if number in last and number:
            distances.append(place - last[number])
        last[number] = place

    assert sorted(values.ties) == sorted(distances)
    assert values.tied.count == max((distances.count(one) for one in distances), default=0)


@pytest.mark.large_draws
@given(st.lists(st.integers(0, 2), min_size=1, max_size=40))
def test_blocks_that_occur_twice_are_those_of_brute_force(numbers):
    length = 3
    blocks = [tuple(numbers[place : place + length]) for place in range(len(numbers) - length + 1)]
    pairs = [(i, j) for i, j in itertools.combinations(range(len(blocks)), 2) if blocks[i] == blocks[j]]

    found = Windows.of(torch.tensor(numbers, dtype=torch.float32), length).repeated()

    if not pairs:
        assert found is None
        return
    earlier, later, count = found
    assert (earlier, later) in pairs
    assert later == min(j for _, j in pairs)
    assert count == len(blocks) - len(set(blocks))


def test_a_block_that_holds_no_number_repeats_none():
    assert Windows.of(torch.full((50,), math.nan), 3).repeated() is None


@SURE
def test_a_block_of_another_seed_is_said_to_be_of_one():
    values = normals(1000)
    values[700:730] = values[100:130]
    found = Series(values, series(values).law, seeded=(500,)).repeated

    assert found.startswith("weights 700 to ")
    assert "repeat those from 100 on, of another seed" in found


# Bounds

BOUNDS = (1.0, 1.0 + 2**-23, 1.5, 2 - 2**-23, math.sqrt(6 / 784), math.sqrt(6 / 256))


@pytest.mark.large_draws
@pytest.mark.parametrize("bound", BOUNDS)
def test_no_value_of_a_float32_uniform_is_commoner_than_is_said(bound):
    """All that the processor's generator can make: 2^24 uniforms, multiplied and shifted in float32."""
    low, high = np.float32(-bound), np.float32(bound)
    uniforms = np.arange(1 << 24, dtype=np.float32) * np.float32(2.0**-24)

    weights = np.sort(uniforms * (high - low) + low)

    edges = np.flatnonzero(np.diff(weights))
    most = int(np.diff(edges, prepend=-1, append=len(weights) - 1).max())
    assert most * 2.0**-24 <= commonest(grid_law(Uniform(bound), "float32"))


def test_no_value_of_a_float32_normal_is_commoner_than_is_said():
    """Density times spacing, twice: a product with the std makes one of two values at most."""
    cells = np.concatenate([np.linspace(2.0**e, 2.0 ** (e + 1), 1000, endpoint=False) for e in range(-20, 3)])
    spacings = 2.0 ** (np.floor(np.log2(cells)) - 23)
    masses = np.exp(-np.square(cells) / 2) / math.sqrt(2 * math.pi) * spacings

    assert 2 * masses.max() <= commonest(grid_law(Normal(1.0), "float32"))


@pytest.mark.large_draws
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 31))
def test_no_coins_have_more_heads_oftener_than_is_said(chances, count):
    exact = np.ones(1)
    for chance in chances:
        exact = np.convolve(exact, [1 - chance, chance])

    assert exact[count:].sum() <= coins_excess_p(count, sum(chances)) + 1e-12


# Healthy weights

REPLICATES = 300


@pytest.mark.large_draws
@pytest.mark.draws(3 * 5 * ALARM, "three levels of five readings")
@pytest.mark.parametrize("name", ["signs", "triples", "sizes", "ties", "distance"])
def test_a_level_is_not_exceeded_by_torchs_own(name):
    about, question = Subject("kaiming_normal_", (64, 64), nonlinearity="relu"), asked(name)
    p = np.array([question.read(series_of(about, 1 << 14, fresh_seed() + 2 * k, TORCH)).p for k in range(REPLICATES)])

    assert all(no_oftener((p <= level).sum(), len(p), level) for level in (0.5, 0.1, 0.01))


@pytest.mark.parametrize("dtype", DTYPES)
def test_half_types_are_not_asked_for_single_weights(dtype):
    names = {question.family.rpartition(".")[2] for question in anywhere_questions(subject(dtype=dtype))}

    single = set() if dtype in HALF_TYPES else {"sizes", "ties", "distance"}
    assert names == {"blocks", "signs", "triples", "recurrence"} | single


# Stated effects

N = DRAWS["quick"]


def trips(name, values):
    return asked(name).read(series(values)).p < SCREEN


def far(name, healthy):
    """A quarter more than what the claim says that it detects."""
    return FAR * asked(name).read(series(healthy)).detectable.value


@pytest.mark.draws(FAR_MISS, "a stated effect and a quarter more is missed")
@pytest.mark.parametrize("distance", [1, 4321, N // 2])
def test_signs_that_follow_those_at_any_distance_are_detected(distance, generator):
    values = normals(N)
    signs, follows = np.sign(values.numpy()), generator.random(N) < far("signs", values)
    for place in np.flatnonzero(follows[distance:]) + distance:  # each follows what the one before has become
        signs[place] = signs[place - distance]

    assert trips("signs", values.abs() * torch.from_numpy(signs))


@pytest.mark.draws(FAR_MISS, "a stated effect and a quarter more is missed")
@pytest.mark.parametrize(("second", "third"), [(1, 2), (1, -3), (8, 4321), (16, N // 2)])
def test_signs_that_are_products_of_two_others_are_detected(second, third, generator):
    values = normals(N)
    signs, follows = np.sign(values.numpy()), generator.random(N) < far("triples", values)
    last = max(0, second, third)
    behind = [last - place for place in (0, second, third) if place != last]
    for place in np.flatnonzero(follows[max(behind) :]) + max(behind):  # each follows what those before have become
        signs[place] = math.prod(signs[place - back] for back in behind)

    assert trips("triples", values.abs() * torch.from_numpy(signs))


@pytest.mark.draws(FAR_MISS, "a stated effect and a quarter more is missed")
def test_copies_at_one_distance_are_detected(generator):
    values = normals(N)
    half = N // 2
    copied = torch.from_numpy(generator.random(half) < far("distance", values) / 100)
    values[half:][copied] = values[:half][copied]

    assert trips("distance", values)


@pytest.mark.draws(FAR_MISS, "a stated effect and a quarter more is missed")
def test_copies_at_all_distances_are_detected(generator):
    values = normals(N)
    # Beyond what chance makes at most, which healthy weights have a small part of.
    mean = commonest(series(values).law) * N * (N - 1) / 2
    copies = math.ceil(mean + far("ties", values) / 100 * N)
    later = N // 2 + generator.permutation(N // 2)[:copies]
    values[torch.from_numpy(later)] = values[torch.from_numpy(generator.integers(0, N // 2, len(later)))]

    assert trips("ties", values)


@pytest.mark.large_draws
@pytest.mark.draws(2 * FAR_MISS, "a stated effect and a quarter more is missed, at the screen or at the confirmation")
@pytest.mark.parametrize("initializer", ["kaiming_normal_", "kaiming_uniform_"])
def test_copies_in_a_series_that_is_looked_at_in_part_are_confirmed(initializer, generator):
    about = subject(initializer)
    law = grid_law(promised_law(about), "float32")
    most = comparable(law)
    mean = commonest(law) * most * (most - 1) / 2
    healthy = series_of(about, most + 2 * about.numel, fresh_seed(), TORCH)
    stated = asked("ties", about).read(healthy).detectable.value
    copies = math.ceil(mean + FAR * stated / 100 * most)

    values = healthy.values.clone()
    later = most // 2 + generator.permutation(most // 2)[:copies]
    values[torch.from_numpy(later)] = values[torch.from_numpy(generator.integers(0, most // 2, len(later)))]
    found = asked("ties", about).read(Series(values, law))

    assert found.n == most
    assert found.p < CONFIRM


@SURE
def test_a_value_of_float64_that_comes_twice_is_looked_at_again():
    values = normals(N, torch.float64)
    values[-1] = values[0]
    reading = asked("ties", subject(dtype="float64")).read(series(values, "float64"))

    assert 1e-8 < reading.p < SCREEN


# Registers


@SURE
@pytest.mark.parametrize("initializer", ["kaiming_normal_", "kaiming_uniform_"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_torchs_own_signs_are_those_of_no_short_register(initializer, dtype):
    about = subject(initializer, dtype)

    assert series_of(about, 4 * SIGNS, fresh_seed(), TORCH).recurrence is None


@SURE
@pytest.mark.parametrize("taps", [(1, 2), (103, 250), (1000, SIGNS // 2 - MARGIN)])
def test_signs_of_a_register_are_seen(taps, generator):
    bits = generator.random(SIGNS) < 0.5
    for place in range(max(taps), SIGNS):
        bits[place] = bits[place - taps[0]] ^ bits[place - taps[1]]
    spoilt = normals(SIGNS).abs() * torch.from_numpy(1.0 - 2.0 * bits).float()

    broken = asked("recurrence").read(series(spoilt)).broken
    length = int(re.fullmatch(rf"{SIGNS} signs are those of a shift register of (\d+) bits", broken)[1])
    assert length <= max(taps)  # it is shorter where the taps' polynomial has factors


@SURE
def test_a_register_is_looked_for_in_what_one_seed_made():
    values = series(torch.cat([torch.ones(500), normals(500)]))

    assert values.recurrence is None
    assert Series(values.values, values.law, seeded=(500,)).recurrence == (
        "500 signs are those of a shift register of 0 bits"
    )


# Seeds


@SURE
def test_neighbouring_seeds_that_make_one_stream_are_seen(monkeypatch):
    sound = torch.manual_seed
    monkeypatch.setattr(torch, "manual_seed", lambda seed: sound(seed & ~1))
    reading = asked("blocks").read(series_of(subject(), N, fresh_seed(), TORCH))

    assert "of another seed" in reading.broken
    assert judge(reading, lambda: reading).verdict is Verdict.VIOLATED


@SURE
def test_weights_that_are_not_finite_violate_what_counts_them():
    values = normals(1000)
    values[17] = math.nan

    assert all(asked(name).read(series(values)).p == 0 for name in ("signs", "triples", "sizes", "ties", "distance"))
