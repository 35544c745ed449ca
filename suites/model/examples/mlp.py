"""A perceptron with two hidden layers: the shortest file, for which inputs and loss are drawn."""

from torch import nn


def build() -> nn.Module:
    """784-256-128-10, with GELU and layer normalization."""
    hidden = [nn.Linear(784, 256), nn.LayerNorm(256), nn.GELU(), nn.Linear(256, 128), nn.GELU(), nn.Dropout(0.1)]
    return nn.Sequential(*hidden, nn.Linear(128, 10))
