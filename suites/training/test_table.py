"""The tutorial's table, row by row, on scikit-learn's digits: differences that Kaiming makes, and does not make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fixtures.record.kinds import DigitsProgram
from fixtures.record.plan import Case
from fixtures.record.subject import Subject
from fixtures.target.target import Target
from fixtures.training.digits import DigitsError, digits
from fixtures.training.table import OPTIMIZERS
from fixtures.training.table_questions import FAMILY, TableEvidence, gather_table, table_questions
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import judge_what_is_drawn

WIDTH = 64


@dataclass(frozen=True)
class Extent:
    """Extent of the table that is asked.

    Attributes:
        depths: linear layers of the networks.
        steps: of training, 20 an epoch.
        pairs: seeds.
    """

    depths: tuple[int, ...]
    steps: int
    pairs: int


EXTENTS = {
    "quick": Extent((2, 20), 40, 14),
    "full": Extent((2, 5, 10, 20, 50), 200, 20),
    "soak": Extent((2, 5, 10, 20, 50), 200, 56),
}
"""14 pairs are the fewest of which all can show something at the screen: 2**-14 is below 1e-4."""


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    extent = EXTENTS[tier]
    for optimizer in OPTIMIZERS if "cpu" in devices else ():
        for depth in extent.depths:
            path = str(DigitsProgram(optimizer, depth, extent.steps))
            subject = Subject("kaiming_normal_", (WIDTH, WIDTH), nonlinearity="relu", path=path)
            yield Case(family=FAMILY, subject=subject, draws=extent.pairs, resolution=0.0)


@asks(FAMILY, cases, table_questions)
def test_what_kaiming_changes(
    case: Case, findings: Findings, target: Target, keep_arrays: Callable[[str, dict[str, Any]], None]
) -> None:
    try:
        digits()
    except DigitsError as error:
        findings.no_evidence(str(error))
        return

    def run(pairs: int, seed: int) -> TableEvidence:
        evidence = gather_table(case.subject, pairs, seed, target)
        if pairs == case.draws:
            keep_arrays(f"{FAMILY}/{case.subject.key}", evidence.arrays())
        return evidence

    judge_what_is_drawn(findings, run)
