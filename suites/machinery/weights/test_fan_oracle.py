"""The oracle counts as by hand, for layers that torch's rule for shapes knows and for those it does not."""

from __future__ import annotations

import pytest

from fixtures.weights.fan_oracle import OPERATIONS, Count, count_terms
from suites.weights.test_fan import LAYERS

BY_HAND = {
    # layer: (weight's shape, terms of an output, outputs that an input enters)
    "linear": ((5, 7), 7, 5),
    "matmul": ((5, 7), 5, 7),
    "conv1d": ((5, 7, 3), 7 * 3, 5 * 3),
    "conv2d": ((5, 7, 3, 2), 7 * 6, 5 * 6),
    "conv3d": ((5, 7, 3, 2, 1), 7 * 6, 5 * 6),
    "conv2d-dilation2": ((5, 7, 3, 2), 7 * 6, 5 * 6),
    "conv2d-groups4": ((8, 3, 3, 3), 3 * 9, 2 * 9),
    "conv2d-depthwise8": ((8, 1, 3, 3), 9, 9),
    "conv_transpose1d": ((5, 7, 3), 5 * 3, 7 * 3),
    "conv_transpose2d": ((5, 7, 3, 2), 5 * 6, 7 * 6),
    "conv_transpose3d": ((5, 7, 3, 2, 1), 5 * 6, 7 * 6),
}
"""Without a stride, all positions away from the borders are alike."""


@pytest.mark.parametrize("layer", BY_HAND)
def test_terms_are_counted_as_by_hand(layer):
    shape, fan_in, fan_out = BY_HAND[layer]

    terms = count_terms(layer, shape)

    assert terms.fan_in == Count(fan_in, fan_in, fan_in)
    assert terms.fan_out == Count(fan_out, fan_out, fan_out)


def test_with_a_stride_inputs_enter_more_sums_or_fewer():
    # In each direction a kernel of 3 with stride 2 meets every other input twice, and those between once.
    assert count_terms("conv2d-stride2", (5, 7, 3, 3)).fan_out == Count(5 * 1.5**2, 5 * 1, 5 * 4)
    assert count_terms("conv_transpose2d-stride2", (5, 7, 3, 3)).fan_in == Count(5 * 1.5**2, 5 * 1, 5 * 4)


def test_with_a_stride_outputs_sum_as_many_terms_as_without():
    assert count_terms("conv2d-stride2", (5, 7, 3, 3)).fan_in == Count(63, 63, 63)


def test_every_layer_is_counted_by_hand_or_frozen():
    assert set(OPERATIONS) == set(BY_HAND) | {"conv2d-stride2", "conv_transpose2d-stride2"}
    assert set(LAYERS) <= set(OPERATIONS)


@pytest.mark.parametrize(
    ("count", "words"), [(Count(9, 9, 9), "9"), (Count(11.25, 5, 20), "5 to 20, 11.25 on average")]
)
def test_counts_are_told_in_words(count, words):
    assert str(count) == words
