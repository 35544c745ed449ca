"""The sketch: merging equals one pass, nothing is lost whatever the layout, memory does not grow with the stream."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.multiprocessing.reductions import StorageWeakRef

from fixtures.record.file_names import ROOT
from fixtures.record.subject import DTYPES, HALF_TYPES, Subject
from fixtures.statistics.formats import cells_of
from fixtures.weights import sketcher
from fixtures.weights.draws import count, draw, tensors
from fixtures.weights.sketcher import CHUNK, Sketcher, sketch_of, tensors_of_a_stretch
from suites.machinery.chance import SURE, fresh_seed
from suites.machinery.costs import examples

ROUNDING = 4e-6
"""Relative error that sums of at most a chunk in float32 are allowed: a thousandth of what 65 536 squares stray."""

ROUNDING_DOWN_A_COLUMN = 1e-4
"""The same for a column's sum, element after element: half-type squares tie so often that errors of 5e-5 are seen."""

pytestmark = SURE

STREAM = torch.from_numpy(np.random.default_rng(fresh_seed()).normal(0, 0.05, 4 * CHUNK + 40))

SMALL = [(1, 1), (2, 3), (15, 17), (16, 16), (3, 5, 7)]
SHAPES = [*SMALL, (1, CHUNK - 1), (2, CHUNK // 2), (1, CHUNK + 1), (3, CHUNK // 2)]
"""Scalars, sizes around a vector register, and tensors just below, at and just above a chunk."""


def weights(shape, tensors, dtype):
    """The first weights of STREAM, as `tensors` tensors one after the other."""
    return STREAM[: math.prod(shape) * tensors].to(getattr(torch, dtype)).reshape(tensors, *shape)


MEDIAN_SIZE = 0.034
"""Median of |w| in STREAM, about: 0.6745 std."""


def one_pass(shape, *batches):
    """The sketch of all batches of tensors, in order."""
    sketcher = Sketcher(str(batches[0].dtype).removeprefix("torch."), shape, MEDIAN_SIZE)
    for batch in batches:
        sketcher.add(batch)
    return sketcher.finish()


def assert_the_same(one, other):
    """Counts and extremes exactly, sums up to the order of additions."""
    np.testing.assert_array_equal(one.counts, other.counts)
    for name in ("signs", "sizes"):
        assert getattr(one, name).n == getattr(other, name).n
        np.testing.assert_array_equal(getattr(one, name).compared, getattr(other, name).compared)
        np.testing.assert_array_equal(getattr(one, name).differing, getattr(other, name).differing)
    here, there = one.moments, other.moments
    assert (here.smallest, here.largest) == (there.smallest, there.largest)
    assert here.squares == pytest.approx(there.squares, rel=ROUNDING)
    scale = math.sqrt(one.n * there.squares)  # at least the sum of |w|
    assert here.total == pytest.approx(there.total, abs=ROUNDING * scale)
    for name in ("rows", "columns", "first", "last"):
        a, b = getattr(one.positions, name), getattr(other.positions, name)
        assert a.draws == b.draws
        np.testing.assert_allclose(a.squares, b.squares, rtol=ROUNDING_DOWN_A_COLUMN)
        np.testing.assert_allclose(a.weights, b.weights, atol=ROUNDING_DOWN_A_COLUMN * scale)


@st.composite
def splits(draw):
    """A shape, a number of tensors, and where to split them."""
    shape = draw(st.sampled_from(SHAPES))
    tensors = draw(st.integers(1, min(40, len(STREAM) // math.prod(shape))))
    return shape, tensors, draw(st.integers(0, tensors))


@pytest.mark.large_draws
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=examples(40))
@given(split=splits())
def test_merging_two_sketches_gives_what_one_pass_gives(dtype, split):
    shape, tensors, at = split
    stream = weights(shape, tensors, dtype)

    merged = one_pass(shape, stream[:at]).merge(one_pass(shape, stream[at:]))

    assert_the_same(merged, one_pass(shape, stream))


@pytest.mark.large_draws
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=examples(20))
@given(split=splits())
def test_adding_in_two_goes_gives_what_adding_at_once_gives(dtype, split):
    shape, tensors, at = split
    stream = weights(shape, tensors, dtype)

    assert_the_same(one_pass(shape, stream[:at], stream[at:]), one_pass(shape, stream))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_counts_are_a_histogram_and_sums_are_sums(shape, dtype):
    (tensor,) = weights(shape, 1, dtype)
    values, sketch, cells = tensor.double().numpy().ravel(), sketch_of(tensor), cells_of(dtype)
    seen = sketch.moments
    # Zeros by their sign: each has a cell of its own, and what float16 rounds to one may have either.
    signed = np.where(values == 0, np.copysign(np.finfo(float).tiny, values), values)
    below = np.searchsorted(np.sort(signed), cells.upper)  # as they are rounded; ties have no mass

    np.testing.assert_array_equal(np.cumsum(sketch.ascending_counts), below)
    assert (sketch.n, sketch.not_finite) == (values.size, 0)
    assert (seen.smallest, seen.largest) == (values.min(), values.max())
    assert seen.squares == pytest.approx(math.fsum(values**2), rel=ROUNDING)
    assert seen.total == pytest.approx(math.fsum(values), abs=ROUNDING * np.abs(values).sum())


def pairs_in(lags, stretches):
    """Pairs of bits within each of some stretches, and those that differ, both by lag."""
    compared = [sum(max(0, len(bits) - lag) for bits in stretches) for lag in lags]
    differing = [sum(np.count_nonzero(bits[lag:] != bits[:-lag]) for bits in stretches) for lag in lags]
    return compared, differing


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "tensors"), [((1, 1), 40), ((15, 17), 30), ((3, 5, 7), 3), ((3, CHUNK // 2), 2)])
def test_lags_count_the_pairs_that_differ(shape, tensors, dtype):
    stream = weights(shape, tensors, dtype)
    values, sketch = stream.double().numpy().ravel(), one_pass(shape, stream)

    for counts, bits in ((sketch.signs, np.signbit(values)), (sketch.sizes, values**2 > MEDIAN_SIZE**2)):
        if counts is sketch.sizes and dtype in HALF_TYPES:
            bits = bits[:0]  # noqa: PLW2901 - nothing is asked about the sizes of half types
        assert (counts.compared.tolist(), counts.differing.tolist()) == pairs_in(counts.lags, [bits])
        assert math.prod(shape) in counts.lags


def test_sums_by_position_are_those_of_rows_columns_and_ends():
    stream = weights((15, 17), 30, "float64")
    values, positions = stream.numpy(), one_pass((15, 17), stream).positions
    ends = values.reshape(30, -1)

    for sums, expected, draws in (
        (positions.rows, values.sum((0, 2)), 30 * 17),
        (positions.columns, values.sum((0, 1)), 30 * 15),
        (positions.first, ends[:, :16].sum(), 30 * 16),
        (positions.last, ends[:, -16:].sum(), 30 * 16),
    ):
        assert sums.draws == draws
        np.testing.assert_allclose(sums.weights, expected, rtol=1e-12)


def test_pairs_are_inner_products_of_lines_over_the_length_of_the_first():
    (matrix,) = weights((15, 17), 1, "float64").numpy()
    sketch = one_pass((15, 17), weights((15, 17), 1, "float64"))

    for pairs, lines in ((sketch.row_pairs, matrix), (sketch.column_pairs, matrix.T)):
        z = np.triu(lines @ lines.T / np.linalg.norm(lines, axis=1)[:, None], 1)
        disjoint = [z[line, line + 1] for line in range(0, len(lines) - 1, 2)]
        assert (pairs.compared, pairs.disjoint) == (math.comb(len(lines), 2), len(disjoint))
        assert pairs.largest == pytest.approx(np.abs(z).max(), rel=1e-12)
        assert pairs.squares == pytest.approx(np.square(disjoint).sum(), rel=1e-12)


# Streams longer than a stretch: every second one is looked at in full

SHORT_STRETCH = 600
TURNS = [(2, 3), (15, 17), (25, 40)]
"""Shapes of which 100 tensors, 2, and 1 are a stretch."""


@pytest.fixture
def short_stretches(monkeypatch):
    monkeypatch.setattr(sketcher, "STRETCH", SHORT_STRETCH)


def in_full(shape, stream):
    """Runs of consecutive tensors of a stream that are looked at in full."""
    stretches = torch.split(stream, tensors_of_a_stretch(shape))
    return [stretch.numpy() for stretch in stretches[::2]]


def sizes_of(tensors):
    return tensors.ravel() ** 2 > MEDIAN_SIZE**2


@pytest.mark.usefixtures("short_stretches")
@pytest.mark.parametrize("shape", TURNS)
@pytest.mark.parametrize("stretches", [0.5, 1, 1.5, 2, 4.5, 5])
def test_lines_and_sizes_are_those_of_every_second_stretch_and_the_rest_is_of_all(shape, stretches):
    stream = weights(shape, math.ceil(stretches * tensors_of_a_stretch(shape)), "float64")
    seen, values, sketch = in_full(shape, stream), stream.numpy().ravel(), one_pass(shape, stream)
    looked_at, positions = np.concatenate(seen), sketch.positions
    rows, columns = shape

    assert (positions.rows.draws, positions.columns.draws) == (len(looked_at) * columns, len(looked_at) * rows)
    np.testing.assert_allclose(positions.rows.weights, looked_at.sum((0, 2)), rtol=1e-9)
    np.testing.assert_allclose(positions.columns.squares, (looked_at**2).sum((0, 1)), rtol=1e-9)
    lags, sizes = sketch.sizes.lags, sketch.sizes
    assert (sizes.compared.tolist(), sizes.differing.tolist()) == pairs_in(lags, [sizes_of(run) for run in seen])

    signs = sketch.signs
    assert (signs.compared.tolist(), signs.differing.tolist()) == pairs_in(lags, [np.signbit(values)])
    assert sketch.n == values.size
    assert sketch.moments.total == pytest.approx(values.sum(), abs=1e-9)
    assert sketch.moments.squares == pytest.approx((values**2).sum(), rel=1e-9)
    assert (sketch.moments.smallest, sketch.moments.largest) == (values.min(), values.max())
    assert positions.last.draws == len(stream) * min(16, math.prod(shape))


@pytest.mark.usefixtures("short_stretches")
@pytest.mark.parametrize("shape", TURNS)
@pytest.mark.parametrize("stretches", [2, 4])
def test_after_whole_pairs_of_stretches_merging_gives_what_one_pass_gives(shape, stretches):
    at = stretches * tensors_of_a_stretch(shape)
    stream = weights(shape, at + 3 * tensors_of_a_stretch(shape), "float32")

    merged = one_pass(shape, stream[:at]).merge(one_pass(shape, stream[at:]))

    assert_the_same(merged, one_pass(shape, stream))


@pytest.mark.usefixtures("short_stretches")
@pytest.mark.parametrize("shape", TURNS)
def test_how_a_stream_is_cut_before_it_is_added_changes_nothing(shape):
    stream = weights(shape, 7 * tensors_of_a_stretch(shape), "float32")

    assert_the_same(one_pass(shape, *torch.split(stream, 3)), one_pass(shape, stream))


@pytest.mark.usefixtures("short_stretches")
@pytest.mark.parametrize("stretches", [0.5, 1, 1.5, 2, 2.5])
def test_a_sketch_merged_anywhere_has_looked_at_what_both_have_looked_at(stretches):
    shape = (2, 3)
    at = int(stretches * tensors_of_a_stretch(shape))
    stream = weights(shape, at + 250, "float64")
    earlier, later = in_full(shape, stream[:at]), in_full(shape, stream[at:])
    ends_in_full = stretches % 2 not in {0, 1, 1.5}
    runs = [*earlier[:-1], np.concatenate((earlier[-1], later[0])), *later[1:]] if ends_in_full else earlier + later

    merged = one_pass(shape, stream[:at]).merge(one_pass(shape, stream[at:]))

    sizes = merged.sizes
    assert (sizes.compared.tolist(), sizes.differing.tolist()) == pairs_in(sizes.lags, [sizes_of(run) for run in runs])
    assert merged.positions.rows.draws == sum(map(len, runs)) * 3
    np.testing.assert_allclose(merged.positions.rows.weights, np.concatenate(runs).sum((0, 2)), rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ends", [(-0.5, 0.25), (0.25, 0.5), (-0.5, -0.25), (0.0, 1e-3), (-1e-3, -0.0)])
def test_a_weight_that_is_one_step_farther_out_than_all_before_is_the_new_end(dtype, ends):
    before = torch.tensor(ends, dtype=getattr(torch, dtype))
    outward = torch.tensor((-math.inf, math.inf), dtype=before.dtype)
    stream = before, torch.tensor((ends[0], math.nan), dtype=before.dtype), torch.nextafter(before, outward)

    moments = one_pass((2,), *stream).moments

    assert (moments.smallest, moments.largest) == tuple(stream[-1].tolist())


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_and_infinities_are_counted_apart_from_the_finite(dtype):
    tensor = torch.tensor([[math.nan, -math.nan, math.inf], [-math.inf, 0.5, -0.25]]).to(getattr(torch, dtype))

    sketch = sketch_of(tensor)

    assert (sketch.n, sketch.not_finite, int(sketch.ascending_counts.sum())) == (6, 4, 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_of_either_sign_are_summed_without_a_warning(dtype):
    tensor = torch.tensor([[math.inf, -math.inf], [-math.inf, math.inf]]).to(getattr(torch, dtype))

    assert np.isnan(one_pass((2, 2), tensor, tensor).positions.first.weights).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_zeros_of_either_sign_are_counted(dtype):
    values = torch.tensor([[0.0, -0.0, 0.0, 0.5]]).to(getattr(torch, dtype))

    assert sketch_of(values).zeros == 3


LAYOUTS = {
    "transposed": lambda tensor: tensor.t(),
    "strided": lambda tensor: tensor[::3, 1::2],
    "expanded": lambda tensor: tensor[:1].expand(8, -1),
    "reversed view": lambda tensor: tensor.flip(0)[2:],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_in_memory_changes_nothing(layout, dtype):
    laid_out = LAYOUTS[layout](weights((48, 50), 1, dtype)[0])

    assert_the_same(sketch_of(laid_out), sketch_of(laid_out.clone(memory_format=torch.contiguous_format)))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_a_tensor_without_elements_adds_nothing(shape):
    sketch = sketch_of(torch.empty(shape))

    assert (sketch.n, sketch.not_finite, sketch.zeros) == (0, 0, 0)
    assert sketch.moments.smallest == math.inf


def test_parameters_are_read_without_their_graph():
    parameter = torch.nn.Parameter(weights((16, 16), 1, "float32")[0].clone())

    assert sketch_of(parameter * 1.0).n == 256
    assert parameter.grad_fn is None


def test_part_of_a_tensor_is_refused():
    with pytest.raises(ValueError, match=r"7 weights are not a whole number of tensors of shape \(2, 3\)"):
        one_pass((2, 3), torch.zeros(7))


def test_different_dtypes_cannot_be_merged():
    with pytest.raises(ValueError, match="sketches of float32 and float16 cannot be merged"):
        sketch_of(torch.zeros(2, 3)).merge(sketch_of(torch.zeros(2, 3, dtype=torch.float16)))


GROWTH = """\
import resource, torch
from fixtures.weights.draws import draw
from fixtures.record.subject import Subject
torch.set_num_threads(1)
def megabytes(draws):
    draw(Subject("kaiming_normal_", (784, 256)), draws, 0, torch.nn.init)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
few, many = megabytes(1_000_000), megabytes(20_000_000)
print(many - few)
"""


@pytest.mark.subprocess
def test_twenty_times_the_draws_take_no_more_memory():
    ended = subprocess.run([sys.executable, "-c", GROWTH], cwd=ROOT, capture_output=True, text=True, check=True)

    assert float(ended.stdout) < 8  # megabytes; the draws alone are 73 more


class OneAtATime:
    """A stand-in for torch.nn.init that counts the weights drawn before whose storage is still held."""

    def __init__(self):
        self.storages = []
        self.held = []

    def kaiming_uniform_(self, weight, **options):
        self.held.append(sum(not storage.expired() for storage in self.storages))
        self.storages.append(StorageWeakRef(weight.untyped_storage()))
        return torch.nn.init.kaiming_uniform_(weight, **options)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("drawn", [draw, count])
def test_a_large_weight_is_gone_before_the_next_is_drawn(drawn, dtype):
    """One of two billion weights takes 9 GB, and the confirmation draws four."""
    one_at_a_time = OneAtATime()
    subject = Subject("kaiming_uniform_", (2, CHUNK // 2 + 1), dtype, nonlinearity="relu")

    drawn(subject, 3 * subject.numel, fresh_seed(), one_at_a_time)

    assert one_at_a_time.held == [0, 0, 0]


def test_the_counts_of_small_tensors_are_those_of_one_after_the_other():
    subject, seed = Subject("kaiming_uniform_", (48, 20), "bfloat16", nonlinearity="relu"), fresh_seed()
    n = CHUNK + 2 * subject.numel

    counted = count(subject, n, seed, torch.nn.init)

    drawn = torch.cat([weight.reshape(-1) for weight in tensors(subject, n, seed, torch.nn.init)])
    assert (counted.counts == sketch_of(drawn).counts).all()
