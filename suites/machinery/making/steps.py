"""Steps of a trajectory, and of residual blocks, under their laws."""

from __future__ import annotations

import math

from fixtures.propagation.laws.residual import BlockStep
from fixtures.propagation.laws.trajectory import Step


def he_step(units, slope=0.0, fan=None):
    """A layer under He's law."""
    return Step(units, 2 / (1 + slope**2) / (fan or units), slope)


def block_steps(generator, count, scale=1.0):
    """Blocks of 32 channels that add a Gaussian branch, some to much and some to nothing."""
    steps = []
    for place in range(count):
        kept = generator.standard_normal(32) * (0.0, 1.0, 5.0)[place % 3]
        std = math.exp(generator.uniform(-2, 2))
        sums = kept + scale * std * generator.standard_normal(32)
        steps.append(BlockStep(float(sums @ sums) / std**2, 32, float(kept @ kept) / std**2))
    return steps
