"""Sketches of integers: the same whoever took in which part, and the sums that they stand for."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fixtures.sharded.merged_sketch import MergedSketch, merge
from fixtures.weights.sketcher import sketch_of
from suites.machinery.chance import SURE
from suites.machinery.making.merged_sketches import same


def sketch_from(*parts):
    sketch = MergedSketch()
    for part in parts:
        sketch.add(part)
    return sketch


@SURE
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_parts_of_a_tensor_give_what_the_whole_gives(dtype, fresh_seed):
    whole = torch.randn(255, 64, generator=torch.Generator().manual_seed(fresh_seed)).to(dtype)

    assert same(sketch_from(*whole.chunk(4)), sketch_from(whole))
    assert same(sketch_from(*whole.chunk(4, dim=1)), sketch_from(whole))


@SURE
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_the_sketch_of_the_assembled_tensor(dtype, fresh_seed):
    whole = torch.randn(64, 64, generator=torch.Generator().manual_seed(fresh_seed)).to(dtype)

    merged = sketch_from(*whole.chunk(4)).sketch(str(dtype).removeprefix("torch."), (64, 64))

    plain = sketch_of(whole)
    assert np.array_equal(merged.counts, plain.counts)
    assert merged.moments.smallest == plain.moments.smallest
    assert merged.moments.largest == plain.moments.largest
    assert merged.moments.total == math.fsum(whole.double().flatten().tolist())


@pytest.mark.large_draws
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_sums_are_exact(values):
    found = sketch_from(torch.tensor(values)).sketch("float32", (len(values),)).moments

    assert found.total == float(sum(map(Fraction, values)))
    assert found.squares == float(sum(Fraction(value) ** 2 for value in values))


def test_what_is_not_finite_is_counted_and_not_summed():
    sketch = sketch_from(torch.tensor([1.5, math.nan, math.inf, -math.inf])).sketch("float32", (4,))

    assert (sketch.n, sketch.not_finite) == (4, 3)
    assert (sketch.moments.total, sketch.moments.squares) == (1.5, 2.25)


def merged_over_ranks(seed):
    """The sketch that ranks merge, each of its part of a tensor."""
    whole = torch.randn(255, 64, generator=torch.Generator().manual_seed(seed))
    sketch = sketch_from(whole.chunk(4)[torch.distributed.get_rank()])
    merge(sketch)
    return sketch


@SURE
@pytest.mark.subprocess
def test_ranks_merge_to_the_sketch_of_the_whole(world, fresh_seed):
    merged = world.ask("a sketch", merged_over_ranks, fresh_seed)

    whole = torch.randn(255, 64, generator=torch.Generator().manual_seed(fresh_seed))
    assert same(merged, sketch_from(whole))
