"""Windows: two formulas that were written apart gather the same places of an image."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fixtures.operations.windows import windows
from fixtures.rounding.geometry import Geometry, Positions
from suites.machinery.making.convolutions import GEOMETRIES


@pytest.mark.parametrize("name", ["valid", "grouped", "depthwise"])
def test_windows_cover_what_the_geometry_of_a_layer_says_that_each_tap_meets(name):
    layer, sizes = GEOMETRIES[name]
    of = replace(Geometry.of(layer), groups=1)
    numbered = np.arange(1.0, math.prod(sizes) + 1).reshape(1, 1, *sizes)

    (met,) = of.patches(numbered, Positions.everywhere(1, of.output_sizes(sizes)))
    places = windows(sizes, of.kernel, of.stride, of.padding, of.dilation, ceil=False)

    assert places.shape[:-1] == of.output_sizes(sizes)
    assert (places.reshape(met.T.shape) + 1 == met.T).all()
