"""Sketches that ranks merge, compared."""

from __future__ import annotations

import numpy as np

from fixtures.sharded.merged_sketch import MergedSketch


def same(one: MergedSketch, other: MergedSketch) -> bool:
    """Test whether two sketches are equal bit for bit."""
    return (
        np.array_equal(one.counts, other.counts)
        and np.array_equal(one.sums, other.sums)
        and (one.smallest, one.largest) == (other.smallest, other.largest)
    )
