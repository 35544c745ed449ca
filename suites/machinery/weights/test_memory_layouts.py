"""Cut weights lie in memory as their layouts say, elements apart from each other and from their neighbours."""

from __future__ import annotations

import math

import pytest
import torch

from fixtures.record.subject import Subject
from fixtures.weights.layouts import DIMENSIONS, MARGIN, cut, strides

SHAPES = {2: (4, 5), 3: (4, 5, 3), 4: (4, 5, 3, 2), 5: (4, 5, 3, 2, 3)}

EVERY = [(layout, SHAPES[rank]) for layout, ranks in DIMENSIONS.items() for rank in ranks]


def weight(layout, shape, fill=1.0):
    return cut(Subject("kaiming_normal_", shape, layout=layout), fill)


@pytest.mark.parametrize(
    ("layout", "shape", "same"),
    [
        ("view", (4, 5, 3), torch.empty(4, 5, 3)),
        ("transposed", (4, 5), torch.empty(5, 4).T),
        ("transposed", (4, 5, 3), torch.empty(5, 4, 3).transpose(0, 1)),
        ("strided", (4, 5), torch.empty(4, 10)[:, ::2]),
        ("narrowed", (4, 5), torch.empty(4, 8)[:, 1:6]),
        ("channels_last", (4, 5, 3, 2), torch.empty(4, 5, 3, 2).to(memory_format=torch.channels_last)),
        ("channels_last_3d", (4, 5, 3, 2, 3), torch.empty(4, 5, 3, 2, 3).to(memory_format=torch.channels_last_3d)),
    ],
)
def test_strides_are_those_that_torch_gives(layout, shape, same):
    assert strides(shape, layout) == same.stride()


@pytest.mark.parametrize(("layout", "shape"), EVERY)
def test_elements_share_no_memory(layout, shape):
    piece = weight(layout, shape)

    piece.weight.copy_(torch.arange(piece.weight.numel()).view(shape))

    assert len(piece.weight.unique()) == math.prod(shape)


@pytest.mark.parametrize(("layout", "shape"), EVERY)
def test_neighbours_are_all_that_is_not_the_weight(layout, shape):
    piece = weight(layout, shape)

    piece.weight.zero_()

    assert bool((piece.neighbours() == 1).all())
    assert len(piece.neighbours()) == len(piece.storage) - math.prod(shape)
    assert layout == "contiguous" or len(piece.neighbours()) >= 2 * MARGIN


def test_a_contiguous_weight_is_all_of_its_storage():
    assert not len(weight("contiguous", (4, 5)).neighbours())


def test_a_layout_that_a_shape_cannot_have_is_refused():
    with pytest.raises(ValueError, match="layout 'channels_last': not known for 2 dimensions"):
        strides((4, 5), "channels_last")
