"""Fault matrix: planted faults by suite, and the families of claims that saw them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from fixtures.words.wording import plural
from reports.faults import FaultOutcome, second_level


@dataclass(frozen=True)
class FaultCell:
    """Claims of a family that saw a fault, and whether that family had to."""

    count: int
    due: bool


@dataclass(frozen=True)
class FaultRow:
    """One planted fault."""

    fault: str
    fine: bool
    cells: tuple[FaultCell, ...]


@dataclass(frozen=True)
class FaultTable:
    """Faults planted in one suite, in the order asked; families across."""

    name: str
    wrong: int
    says: str
    families: tuple[str, ...]
    rows: tuple[FaultRow, ...]


def fault_tables(outcomes: Sequence[FaultOutcome]) -> Iterator[FaultTable]:
    """Tables of all suites."""
    for suite in dict.fromkeys(outcome.suite for outcome in outcomes):
        members = [outcome for outcome in outcomes if outcome.suite == suite]
        families = sorted({second_level(name) for one in members for name in (*one.seen, *one.expected)})
        wrong = sum(not one.as_it_should for one in members)
        yield FaultTable(
            name=suite,
            wrong=wrong,
            says=f"{len(members) - wrong} of {plural(len(members), 'run')} ended as they should",
            families=tuple(families),
            rows=tuple(_row(one, families) for one in members),
        )


def _row(outcome: FaultOutcome, families: Sequence[str]) -> FaultRow:
    counts = {
        family: sum(outcome.seen[name] for name in names)
        for family, names in groupby(sorted(outcome.seen, key=second_level), key=second_level)
    }
    due = {second_level(name) for name in outcome.expected}
    cells = tuple(FaultCell(counts.get(family, 0), family in due) for family in families)
    return FaultRow(outcome.fault, outcome.as_it_should, cells)
