"""Blocks that occur twice: found at every offset, and as seldom by chance as is said."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fixtures.record.subject import HALF_TYPES
from fixtures.statistics.judgement import CERTAIN
from fixtures.statistics.laws import Normal, Uniform, grid_law
from fixtures.weights.blocks import COARSE, Windows, block_length
from suites.machinery.chance import SURE

LENGTH = 8


def normals(seed, count):
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


@SURE
@pytest.mark.parametrize("offset", [0, 1, 7, 8, 255])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_copy_is_found_at_every_offset(offset, dtype, fresh_seed):
    source, other = normals(fresh_seed, 1000).to(dtype), normals(fresh_seed + 1, 1000).to(dtype)
    other[offset : offset + 2 * LENGTH - 1] = source[100 : 100 + 2 * LENGTH - 1]

    found = Windows.of(other, LENGTH).holding(Windows.of(source, LENGTH).aligned(LENGTH))

    assert found == 1


@SURE
def test_independent_weights_share_no_block(fresh_seed):
    one, other = (Windows.of(normals(fresh_seed + number, 100_000), LENGTH) for number in range(2))

    assert one.holding(other.aligned(LENGTH)) == 0
    assert one.holding(one.aligned(LENGTH)) == 100_000 // LENGTH


def test_what_is_not_written_repeats_nothing():
    unwritten = Windows.of(torch.full((100,), math.nan), LENGTH)

    assert unwritten.holding(unwritten.aligned(LENGTH)) == 0
    assert len(unwritten.aligned(LENGTH)) == 0


@pytest.mark.parametrize("count", [0, 1, LENGTH - 1])
def test_fewer_weights_than_a_block_have_none(count):
    few = Windows.of(torch.zeros(count), LENGTH)

    assert few.aligned(LENGTH).shape == (0, 2)
    assert few.holding(Windows.of(torch.zeros(50), LENGTH).aligned(LENGTH)) == 0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("law", [Normal(0.02), Uniform(0.05)])
def test_a_block_is_as_long_as_chance_makes_it(law, dtype):
    on_grid = grid_law(law, dtype)
    agree = float(np.square(on_grid.masses).sum())
    if dtype in HALF_TYPES:  # of which old releases have fewer values
        agree = COARSE

    length = block_length(on_grid, 1 << 18)

    assert 2.0**36 * agree**length <= CERTAIN < 2.0**36 * agree ** (length - 1)


@pytest.mark.parametrize(("dtype", "bits"), [("bfloat16", 8), ("float16", 11)])
@pytest.mark.parametrize("bound", [0.05, 0.0632, 1.0])
def test_the_coarse_uniforms_of_old_releases_agree_no_oftener_than_is_said(dtype, bits, bound):
    """Until 2.11 they were (to - from) k 2^-bits + from, in the half type."""
    kind = getattr(torch, dtype)
    low, high = (torch.tensor(end, dtype=kind) for end in (-bound, bound))
    made = (high - low) * (torch.arange(1 << bits).to(kind) * 2.0**-bits) + low

    masses = made.unique(return_counts=True)[1].double() / len(made)

    assert float(masses.square().sum()) <= COARSE
