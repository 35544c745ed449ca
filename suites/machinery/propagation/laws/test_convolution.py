"""The laws of convolutions, by simulation.

Fresh draws each run, by the run's --seed.
"""

from __future__ import annotations

import pytest
from scipy import stats

from fixtures.propagation.laws.convolution import backward_law, forward_law
from fixtures.statistics.pvalues import chi_squared_p
from suites.machinery.chance import SURE, within_chance
from suites.machinery.making.convolutions import GEOMETRIES, passed_through

pytestmark = [pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"), SURE]

REPLICATES = 400


@pytest.mark.large_draws
@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_sums_of_squares_are_chi_squared(name, direction, generator):
    p_values = []
    for _ in range(REPLICATES):
        passed, std = passed_through(*GEOMETRIES[name], generator)
        found = (
            forward_law(passed, std, 5, generator, resolution=0.01)
            if direction == "forward"
            else backward_law(passed, std, 3, generator)
        )
        if found.degrees:  # all the positions chosen may lie in the padding
            p_values.append(chi_squared_p(found.total, found.degrees))

    assert len(p_values) > REPLICATES / 2
    assert within_chance(stats.kstest(p_values, "uniform").pvalue)
