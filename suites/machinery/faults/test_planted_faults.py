"""Faults planted in how signals travel and in steps of training are seen by whom they must be, by the command line.

Those of initializers have tests of their own (test_initializer_faults.py, test_module_faults.py).
"""

from __future__ import annotations

import pytest

from fixtures.faults.links import FAULTS as LINKS
from fixtures.faults.training import FAULTS as TRAINING
from fixtures.record.exit_codes import STOP
from suites.machinery.chance import SURE
from suites.machinery.making.suite_run import violated_in

pytestmark = [pytest.mark.large_draws, SURE]

RAISED = "raised "
"""How a counterexample begins that is an exception."""


@pytest.mark.parametrize(("name", "fault"), (LINKS | TRAINING).items(), ids=[*LINKS, *TRAINING])
def test_every_fault_is_stopped_by_the_families_that_should_see_it(name, fault, tmp_path):
    code, violated = violated_in(fault.suite, tmp_path, "--fault", name, "-k", fault.selection)

    assert code == STOP
    assert {fault.family, *fault.also} <= {claim.family for claim in violated}
    assert not [claim for claim in violated if (claim.note or "").startswith(RAISED)]
