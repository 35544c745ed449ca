"""Networks of convolutions are what their paths say."""

from __future__ import annotations

import pytest

from fixtures.propagation.networks.convolutions import CYCLES, Convolutions, path_of
from fixtures.record.subject import Subject
from suites.machinery.chance import SURE

pytestmark = SURE


@pytest.mark.parametrize("kind", CYCLES)
def test_a_path_gives_back_the_first_weights_shape(kind):
    shape = {"transposed": (12, 20, 3, 3), "grouped": (32, 8, 3, 3), "depthwise": (32, 1, 3, 3)}.get(
        kind, (20, 12, 3, 3)
    )

    about = Convolutions.of(Subject("kaiming_normal_", shape, path=path_of(2, kind, 4, 2, 8)))

    assert tuple(about.module(0).weight.shape) == shape
    assert about.module(1).in_channels == about.module(0).out_channels
