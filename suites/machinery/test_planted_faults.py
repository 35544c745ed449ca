"""Faults planted in how signals travel and in steps of training are seen by whom they must be, by the command line.

Those of initializers have tests of their own (test_faults.py, test_module_faults.py).
"""

from __future__ import annotations

import pytest

from fixtures.claims import Verdict
from fixtures.propagation.link_faults import FAULTS as LINKS
from fixtures.training.training_faults import FAULTS as TRAINING
from reports import records

SEED = "1"
"""Of all runs: what a fault is seen by must not depend on the day."""

STOP = 1

RAISED = "raised "
"""How a counterexample begins that is an exception."""


def run_suite(suite, folder, *options):
    """Run a suite in this process, as the command line would; returns its exit code and its violated claims."""
    code = int(pytest.main([suite, "-q", "-p", "no:cacheprovider", "--seed", SEED, "--run-dir", str(folder), *options]))
    claims = records.read_claims(folder / records.CLAIMS).values()
    return code, [claim for claim in claims if claim.verdict is Verdict.VIOLATED]


@pytest.mark.parametrize(("name", "fault"), (LINKS | TRAINING).items(), ids=[*LINKS, *TRAINING])
def test_every_fault_is_stopped_by_the_families_that_should_see_it(name, fault, tmp_path):
    code, violated = run_suite(fault.suite, tmp_path, "--fault", name, "-k", fault.selection)

    assert code == STOP
    assert {fault.family, *fault.also} <= {claim.family for claim in violated}
    assert not [claim for claim in violated if (claim.note or "").startswith(RAISED)]
