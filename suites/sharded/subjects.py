"""Ranks, devices and shapes that all tests of sharded weights share."""

from __future__ import annotations

import math
from collections.abc import Iterator

from fixtures.record.choices import ACCELERATORS
from fixtures.sharded.launch import launched_ranks

RANKS = launched_ranks() or 4
"""The ranks that torchrun has started, or four processes of its own: two by two make a mesh of two dimensions."""

SIDE = RANKS * math.ceil(256 / RANKS)
"""A multiple of the ranks, so that shards are of one size."""

SHAPE = (SIDE, SIDE)
"""Square, so that each cut is asked alike; a round of four resolves 1.2 % of scale, and takes 0.1 s."""


def on_which(devices: tuple[str, ...]) -> Iterator[str]:
    """Devices among these that are asked: of an accelerator each rank takes one, and no machine of several was seen."""
    yield from (device for device in devices if device not in ACCELERATORS)
