"""A convolution of every geometry, and what passed through it."""

from __future__ import annotations

import math

import torch
from torch import nn

from fixtures.propagation.laws.convolution import Pass
from fixtures.statistics.laws import fan

GEOMETRIES = {
    "linear": (nn.Linear(6, 4, bias=False), ()),
    "same": (nn.Conv1d(3, 4, 4, padding="same", dilation=3, bias=False), (11,)),
    "valid": (nn.Conv2d(3, 4, (3, 2), padding="valid", stride=(2, 3), bias=False), (8, 9)),
    "grouped": (nn.Conv2d(6, 9, (2, 3), padding=(2, 1), dilation=(1, 2), groups=3, bias=False), (5, 7)),
    "depthwise": (nn.Conv3d(4, 8, 3, padding=1, stride=(1, 2, 3), groups=4, bias=False), (4, 5, 6)),
    "transposed": (
        nn.ConvTranspose2d(6, 4, (3, 2), stride=(2, 3), padding=1, output_padding=(1, 2), bias=False),
        (4, 5),
    ),
    "transposed groups": (nn.ConvTranspose1d(6, 9, 4, stride=2, dilation=3, padding=2, groups=3, bias=False), (7,)),
}
"""What a user may ask of torch: every option, uneven sizes, strides that leave inputs over."""


def passed_through(layer, sizes, generator, samples=3):
    """A layer in float64 with Gaussian weights of std 1 / sqrt(fan), and what passed through it.

    Args:
        layer: linear or convolution; drawn anew in place.
        sizes: spatial, of an input.
        generator: of weights and inputs.
        samples: number of inputs.
    """
    layer = layer.double()
    weight = layer.weight
    std = 1 / math.sqrt(fan(tuple(weight.shape), "fan_in"))
    with torch.no_grad():
        weight.copy_(torch.from_numpy(generator.normal(0, std, tuple(weight.shape))))
        channels = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
        inputs = torch.from_numpy(generator.standard_normal((samples, channels, *sizes)))
        return Pass("it", layer, inputs, layer(inputs)), std
