"""Fault matrix: planted faults by suite, and the families of claims that saw them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fixtures.record.fault_outcomes import FaultOutcome, second_level
from fixtures.words.phrases import plural


@dataclass(frozen=True)
class FaultTable:
    """Faults planted in one suite, in the order asked; families across."""

    suite: str
    wrong: int
    says: str
    families: tuple[str, ...]
    outcomes: tuple[FaultOutcome, ...]


def fault_tables(outcomes: Sequence[FaultOutcome]) -> Iterator[FaultTable]:
    """Tables of all suites."""
    for suite in dict.fromkeys(outcome.suite for outcome in outcomes):
        members = tuple(outcome for outcome in outcomes if outcome.suite == suite)
        families = sorted({second_level(name) for one in members for name in (*one.seen, *one.expected)})
        wrong = sum(not one.as_it_should for one in members)
        says = f"{len(members) - wrong} of {plural(len(members), 'run')} ended as they should"
        yield FaultTable(suite, wrong, says, tuple(families), members)
