"""Faults planted in how signals and gradients travel are seen by whom they must be, through the real command line."""

from __future__ import annotations

import pytest

from fixtures.claims import Verdict
from fixtures.propagation.link_faults import FAULTS
from reports import records

SUITE = "suites/propagation"
SEED = "1"
"""Of all runs: what a fault is seen by must not depend on the day."""

STOP, PASS = 1, 0

RAISED = "raised "
"""How a counterexample begins that is an exception."""


def run_suite(folder, *options):
    """Run the suite in this process, as the command line would; returns its exit code and its violated claims."""
    code = int(pytest.main([SUITE, "-q", "-p", "no:cacheprovider", "--seed", SEED, "--run-dir", str(folder), *options]))
    claims = records.read_claims(folder / records.CLAIMS).values()
    return code, [claim for claim in claims if claim.verdict is Verdict.VIOLATED]


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_stopped_by_the_families_that_should_see_it(name, tmp_path):
    fault = FAULTS[name]

    code, violated = run_suite(tmp_path, "--fault", name, "-k", fault.selection)

    assert code == STOP
    assert {fault.family, *fault.also} <= {claim.family for claim in violated}
    assert not [claim for claim in violated if (claim.note or "").startswith(RAISED)]
