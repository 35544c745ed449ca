"""Dropout's laws and normalizations' formulas and bounds: true to simulation and to differences."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.rounding.comparison import Compared
from fixtures.rounding.dropout import Dropped, agreements, bound
from fixtures.statistics.formats import unit_roundoff
from suites.machinery.chance import ALARM, SURE, no_oftener

pytestmark = SURE

REPLICATES = 400


def dropped(kept, chance):
    return Dropped(Compared(1, 0.0), Compared(1, 0.0), None, 1, kept, chance, (1, 2, 16))


@pytest.mark.draws(3 * ALARM, "a count at each level")
@pytest.mark.parametrize("read", [Dropped.rate, Dropped.independence])
@pytest.mark.parametrize("chance", [0.5, 0.9])
def test_masks_by_chance_exceed_no_level(read, chance, generator):
    p = np.array([read(dropped(generator.random(2_000) < chance, chance)).p for _ in range(REPLICATES)])

    for level in (0.3, 0.1, 0.01):
        assert no_oftener((p <= level).sum(), REPLICATES, level)


def test_pairs_that_agree_are_disjoint():
    kept = np.array([True, False, True, False, True, True, True])

    assert agreements(kept, 1) == (1, 3)  # of 0-1, 2-3, 4-5
    assert agreements(kept, 2) == (2, 2)  # of 0-2, 1-3


def test_a_scale_that_is_a_power_of_two_is_exact_and_another_is_nearly():
    assert not bound(np.ones(1), 0.5, "float32").any()
    assert 0 < bound(np.ones(1), 0.1, "float32")[0] < 4 * unit_roundoff("float32")
