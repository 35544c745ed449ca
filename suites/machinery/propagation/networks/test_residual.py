"""Residual networks have the structure of ResNet-152, and those of NumPy grow at the rate of wide ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fixtures.propagation.networks.residual import BLOCKS_OF_152, Residual, blocks_of, build, path_of
from fixtures.propagation.networks.simulation import reference_moments
from fixtures.record.subject import Subject
from suites.machinery.chance import SURE

pytestmark = SURE


def he(order, blocks=BLOCKS_OF_152, size=32):
    return Subject("kaiming_normal_", (8, 3, 3, 3), nonlinearity="relu", path=path_of(order, blocks, 1, size))


def test_the_network_has_the_depth_and_the_structure_of_resnet_152():
    network = build(he("post_bn"))

    kernels = [tuple(module.weight.shape[2:]) for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert Residual.of(he("post_bn")).depth == 152
    assert len(kernels) == 1 + 3 * 50 + 4  # the stem, the blocks, the shortcuts; and the linear layer
    assert sum(block.shortcut is not None for _, block in blocks_of(network)) == 4
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 100)


def test_a_path_that_names_no_residual_network_is_refused():
    with pytest.raises(ValueError, match="an unknown network"):
        Residual.of(Subject("kaiming_normal_", (8, 3, 3, 3), path="bottleneck_before(3, samples=1, size=8)"))


@pytest.mark.large_draws
@pytest.mark.parametrize(("order", "rate"), [("pre", 2.0), ("post", 2.40)])
def test_numpys_networks_grow_at_the_wide_rate_where_there_is_no_padding_to_speak_of(order, rate, generator):
    # One stage of large images: the border takes away 1 - (62/64)**2 of a 3 x 3 convolution's terms, 2 to 4 % of what a
    # block adds. Eight blocks of networks as narrow as these are at 2.0 or 2.4 within a quarter on average: by ln 0.92
    # and ln 0.85, where one network's mean has an sd of 0.08, and that of 40 of 0.013: a tenth of what is left.
    wide = Subject("kaiming_normal_", (32, 3, 3, 3), nonlinearity="relu", path=path_of(order, (9,), 1, 32))
    moments = np.array([reference_moments(build(wide), wide, 8, generator) for _ in range(40)])

    growth = np.exp(np.log(moments[:, -1] / moments[:, 0]).mean() / 8)

    assert growth == pytest.approx(rate, rel=0.25)
