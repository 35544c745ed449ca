"""Fresh models over seeds: what is unwritten, constant or drawn, and what change of a law would be seen."""

import itertools
import math

import pytest
import torch
from torch import nn

from fixtures.model.initial import GROUPS, RESOLUTION, SEEN, initialization_of
from fixtures.statistics.ranks import rank_sum_p
from suites.machinery.chance import SURE


class Odd(nn.Module):
    """A bias that nobody writes, a constant buffer, and a parameter that is infinite."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(32, 32))
        self.bias = nn.Parameter(torch.empty(4096))
        self.register_buffer("places", torch.arange(7))
        self.scale = nn.Parameter(torch.tensor([1.0, math.inf]))


def seeded(make):
    def build(seed):
        torch.manual_seed(seed)
        return make()

    return build


@SURE
def test_unwritten_and_non_finite_elements_are_counted_and_constants_told():
    found = {tensor.name: tensor for tensor in initialization_of(seeded(Odd), 1, builds=1).tensors}

    assert found["bias"].unwritten == 4096
    assert found["weight"].unwritten == found["places"].unwritten == found["scale"].unwritten == 0
    assert found["scale"].non_finite == 1
    assert found["places"].is_constant
    assert found["places"].role == "buffer"
    assert not found["weight"].is_constant


@SURE
def test_a_model_that_draws_without_a_seed_is_told():
    built = itertools.count()

    def build(_seed):
        model = nn.Linear(3, 3)
        with torch.no_grad():
            model.weight.fill_(next(built))
        return model

    assert not initialization_of(build, 1, builds=1).is_repeatable
    assert initialization_of(seeded(lambda: nn.Linear(3, 3)), 1, builds=1).is_repeatable


@SURE
def test_a_layer_of_torch_looks_like_its_default():
    weight, bias = initialization_of(seeded(lambda: nn.Linear(64, 64)), 1, builds=1).tensors

    assert weight.looks_like == "default"
    assert bias.looks_like is None  # of one dimension, and without a fan


@pytest.mark.large_draws
@SURE
def test_groups_are_as_large_as_the_resolution_takes():
    found = initialization_of(seeded(lambda: nn.Linear(32, 32, bias=False)), 1)
    (weight,) = found.tensors

    # 5 std of 1 / sqrt(2 n) each, of a uniform law 0.63 of that: within 2 %.
    assert found.builds == math.ceil(SEEN**2 / (2 * RESOLUTION**2 * 1024))
    assert len(weight.groups["scale"]) == GROUPS
    assert weight.resolution["scale"] < RESOLUTION * 1.6  # its own estimate from 24 groups, 15 % off by chance


@pytest.mark.draws(50 * 48 * 3.1e-15, "one of 48 groups lies 7.8 std from its mean, in one of 50 pairs of sides")
def test_sides_further_apart_than_the_resolution_are_told_apart_at_the_level_of_one_look(generator):
    further = SEEN + 2
    p = [rank_sum_p(generator.normal(size=GROUPS), further + generator.normal(size=GROUPS)) for _ in range(50)]

    assert max(p) < 1e-10
