"""Lengths of sums, as torch's dispatcher sees them."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from fixtures.model.sums import Sums
from suites.machinery.chance import SURE


def terms(run):
    with Sums() as sums:
        run()
    return sums.terms


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda: torch.zeros(3, 5) @ torch.zeros(5, 7), 5),
        (lambda: torch.addmm(torch.zeros(7), torch.zeros(3, 5), torch.zeros(5, 7)), 5),
        (lambda: torch.bmm(torch.zeros(2, 3, 5), torch.zeros(2, 5, 7)), 5),
        (lambda: torch.zeros(3, 5) @ torch.zeros(5), 5),
        (lambda: functional.conv2d(torch.zeros(2, 6, 9, 9), torch.zeros(4, 3, 3, 3), groups=2), 27),
        (lambda: functional.layer_norm(torch.zeros(2, 5, 8), (5, 8)), 80),
        (lambda: functional.softmax(torch.zeros(2, 5, 8), 1), 5),
        (lambda: torch.zeros(6, 5).sum(0), 6),
        (lambda: torch.zeros(6, 5).mean(), 30),
        (lambda: functional.avg_pool2d(torch.zeros(1, 1, 8, 8), 4), 16),
        (lambda: torch.zeros(6, 5)[2], 0),
        (lambda: functional.embedding(torch.tensor([1, 2]), torch.zeros(9, 5)), 0),
        (lambda: functional.gelu(torch.zeros(6, 5)), 0),
        (lambda: torch.zeros(6, 5) + torch.zeros(5), 0),
    ],
)
def test_an_operator_counts_with_its_longest_sum(run, expected):
    assert terms(run) == expected


@SURE
def test_a_gradient_counts_its_own_sums():
    layer, inputs = nn.Linear(5, 7), torch.zeros(3, 5, requires_grad=True)
    output = layer(inputs)

    # By the input over 7 outputs, by the weight and the bias over 3 samples each.
    assert terms(lambda: output.sum().backward()) == 21 + 7 + 3 + 3


@SURE
def test_the_gradient_of_a_convolution_counts_positions_where_they_are_more_than_taps():
    layer, inputs = nn.Conv2d(2, 3, 3, bias=False), torch.zeros(4, 2, 10, 10, requires_grad=True)
    output = layer(inputs)

    assert terms(lambda: torch.autograd.grad(output, [layer.weight], torch.ones_like(output))) == 4 * 8 * 8


@SURE
def test_operators_that_return_numbers_are_counted():
    layer, inputs = nn.Sequential(nn.Linear(5, 7), nn.GELU()), torch.zeros(3, 5)
    with Sums() as sums:
        layer(inputs).argmax()

    assert sums.operators == 3  # the weight's transpose, the product, GELU; an index is no number


def test_a_cast_out_of_float64_is_seen():
    with Sums() as casting:
        torch.zeros(3, dtype=torch.float64).float()
    with Sums() as exact:
        torch.zeros(3, dtype=torch.float64) * 2

    assert casting.casts
    assert not exact.casts
