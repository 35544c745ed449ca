"""Grids and cells against the rounding that torch and NumPy really do: exhaustively, over all 65 536 cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fixtures.record.subject import DTYPES, HALF_TYPES
from fixtures.statistics.formats import CELLS, cells_of, rounded_outward, spacing, unit_roundoff
from suites.machinery.chance import SURE

LARGEST = {name: torch.finfo(getattr(torch, name)).max for name in DTYPES}
POSITIVE = {name: st.floats(0, LARGEST[name] / 2, exclude_min=True) for name in DTYPES}


def rounded(values, dtype):
    """Values as torch rounds them to `dtype`, [n] in float64."""
    return torch.from_numpy(values).to(getattr(torch, dtype)).double().numpy()


def thresholds(dtype, steps):
    """The reals just below and just above every finite `upper`, in the next wider format."""
    upper = cells_of(dtype).upper[:-1].astype(steps)
    return np.nextafter(upper, steps(-np.inf)), np.nextafter(upper, steps(np.inf))


@pytest.mark.parametrize("dtype", HALF_TYPES)
def test_torch_rounds_to_the_cell_that_the_thresholds_name(dtype):
    cells = cells_of(dtype)
    below, above = thresholds(dtype, np.float32)

    np.testing.assert_array_equal(rounded(below, dtype), cells.first[:-1])
    np.testing.assert_array_equal(rounded(above, dtype), cells.first[1:])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_real_lands_in_the_float32_cell_that_the_thresholds_name(dtype):
    cells = cells_of(dtype)
    below, above = (rounded(side, "float32") for side in thresholds(dtype, np.float64))

    np.testing.assert_array_equal(below, cells.last[:-1])
    np.testing.assert_array_equal(above, cells.first[1:])


@SURE
@pytest.mark.parametrize("dtype", DTYPES)
def test_random_values_lie_in_the_cell_of_their_code(dtype, generator):
    bits = generator.integers(0, 1 << 32, 200_000, dtype=np.uint64).astype(np.uint32)
    finite = bits.view(np.float32)[np.isfinite(bits.view(np.float32))]
    if dtype in HALF_TYPES:
        values = torch.from_numpy(finite).to(getattr(torch, dtype))
        values = values[torch.isfinite(values)]
        codes, values = values.view(torch.int16).numpy().view(np.uint16), values.double().numpy()
    else:
        codes, values = finite.view(np.uint32) >> 16, finite.astype(np.float64)
    cells = cells_of(dtype)
    place = np.full(CELLS, -1)
    place[cells.codes] = np.arange(len(cells.codes))

    assert (place[codes] >= 0).all()
    assert (cells.first[place[codes]] <= values).all()
    assert (values <= cells.last[place[codes]]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_cells_cover_the_finite_values_once_and_mirror_each_other(dtype):
    cells = cells_of(dtype)
    widest = LARGEST["float32" if dtype == "float64" else dtype]

    assert len(set(cells.codes)) == len(cells.codes)
    assert (cells.first[0], cells.last[-1]) == (-widest, widest)
    np.testing.assert_array_equal(cells.first, -cells.last[::-1])
    np.testing.assert_array_equal(cells.lower[1:], cells.upper[:-1])
    assert (cells.lower[0], cells.upper[-1]) == (-math.inf, math.inf)
    assert (np.diff(cells.first) >= 0).all()  # equal only for the two zeros


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_cell_is_at_most_a_128th_of_its_value_wide(dtype):
    cells = cells_of(dtype)
    normal = cells.first >= torch.finfo(getattr(torch, "float32" if dtype == "float64" else dtype)).tiny

    assert (cells.last[normal] - cells.first[normal] <= cells.first[normal] / 128).all()


EDGES = [0.0, 1.0, 1.5, 2 - 2**-7, 2.0, -3.0, 2**-14, 2**-15, 2**-24, 1e-3, 60000.0]
"""Powers of two, their neighbours, the smallest normal and subnormal float16, and values that no grid holds."""


@pytest.mark.parametrize("value", EDGES)
def test_spacing_is_that_of_numpy_and_of_a_bfloat16_which_is_half_a_float32(value):
    def step(kind):
        return float(np.spacing(np.abs(kind(value))))

    assert spacing(value, "float64") == step(np.float64)
    assert spacing(value, "float32") == step(np.float32)
    assert spacing(value, "float16") == step(np.float16)
    assert spacing(value, "bfloat16") == step(np.float32) * 2**16


@pytest.mark.parametrize("dtype", DTYPES)
def test_spacing_next_to_zero_and_at_the_largest_value(dtype):
    facts = torch.finfo(getattr(torch, dtype))

    assert spacing(0.0, dtype) == facts.tiny * facts.eps
    assert spacing(facts.max, dtype) == facts.max / (2 - facts.eps) * facts.eps


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_rounding_outward_gives_the_next_value_of_the_grid_and_no_farther_one(dtype, data):
    bound = data.draw(POSITIVE[dtype], "bound")

    outward = rounded_outward(bound, dtype)

    assert rounded(np.array([outward]), dtype)[0] == outward
    assert outward - spacing(bound, dtype) < bound <= outward


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_value_of_the_grid_is_its_own_outward_rounding(dtype):
    positive = cells_of(dtype).first[cells_of(dtype).first > 0]

    for value in positive[:: len(positive) // 100]:
        assert rounded_outward(float(value), dtype) == value


@pytest.mark.parametrize("dtype", DTYPES)
def test_unit_roundoff_is_half_of_torchs_eps(dtype):
    assert unit_roundoff(dtype) == torch.finfo(getattr(torch, dtype)).eps / 2
