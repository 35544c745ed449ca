"""Geometry of convolutions: the documented formulas gather what torch multiplies."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fixtures.rounding.comparison import in_float64
from fixtures.rounding.geometry import Geometry, Positions
from suites.machinery.chance import SURE
from suites.machinery.making.convolutions import GEOMETRIES, passed_through

pytestmark = [pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"), SURE]


@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_documented_formulas_gather_what_torch_multiplies(name, generator):
    passed, _ = passed_through(*GEOMETRIES[name], generator)
    at = Positions.everywhere(len(passed.outputs), tuple(passed.outputs.shape[2:]))

    made = passed.geometry.filters(in_float64(passed.weight)) @ passed.geometry.patches(in_float64(passed.inputs), at)

    assert made == pytest.approx(passed.geometry.by_group(in_float64(passed.outputs), at), rel=1e-12, abs=1e-12)
    if name != "same":  # padded by more behind than in front: sizes are torch's to know
        assert passed.geometry.output_sizes(tuple(passed.inputs.shape[2:])) == tuple(passed.outputs.shape[2:])


@pytest.mark.parametrize("name", GEOMETRIES)
def test_valid_taps_are_counted_as_a_layer_of_ones_counts_them(name, generator):
    passed, _ = passed_through(*GEOMETRIES[name], generator)
    at = Positions.everywhere(len(passed.outputs), tuple(passed.outputs.shape[2:]))

    with torch.no_grad():
        passed.weight.fill_(1.0)
        counted = in_float64(passed.layer(torch.ones_like(passed.inputs)))[at.index(slice(0, 1))][:, 0]

    channels = passed.inputs.shape[1] // passed.geometry.groups
    assert (channels * passed.geometry.valid_taps(tuple(passed.inputs.shape[2:]), at) == counted).all()


def test_padding_with_other_values_than_zeros_is_refused():
    with pytest.raises(ValueError, match="no convolution padded with zeros"):
        Geometry.of(nn.Conv1d(1, 1, 3, padding=1, padding_mode="circular"))
