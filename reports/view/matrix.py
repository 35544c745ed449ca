"""The history's matrix in words: cells, rows by suite, and each claim and stream that is not always the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from fixtures.record.choices import SUITES
from fixtures.record.claim import Claim, Effect
from fixtures.record.run_folder import Run
from fixtures.record.subject import DTYPES
from fixtures.words.phrases import in_dtype
from reports.comparison.kinds import Kinds
from reports.releases.history import History
from reports.releases.matrix import Cell, Row, State, matrix, state_of
from reports.view.claims import Reading, reading

STATES = tuple(State)


class Standing(Kinds):
    """Standing of a row over all releases; what a reader wants to see first comes first.

    Attributes:
        told: of a number of rows, in words.
    """

    told: str

    VIOLATED = "violated", "violated in some release"
    UNDECIDED = "undecided", "never violated, and without evidence in some release"
    HOLDS = "holds", "hold in every release that was asked"


@dataclass(frozen=True)
class Violation:
    """Plainest violation of a cell.

    Attributes:
        subject: its key.
        where: place in the subject that the effect is about; "" for all of it.
    """

    subject: str
    where: str
    reading: Reading


@dataclass(frozen=True)
class CellView:
    """A row in one release, in words.

    Attributes:
        state: of all its claims together.
        claims: number that were planned.
        violated: number that are violated.
        undecided: number without evidence or without an answer.
        short: effect of the plainest violation in six characters or so; "" where it has no size.
        reason: why there is no evidence; "" where every claim was decided.
        worst: the plainest violation; None without one.
    """

    state: State
    claims: int
    violated: int
    undecided: int
    short: str
    reason: str
    worst: Violation | None


@dataclass(frozen=True)
class RowView:
    """Claims of one family in one dtype over all releases.

    Attributes:
        suite: that asks.
        statement: of one of its claims, the first that was asked.
        subject: key of what that claim is about.
        cells: one for each release, oldest first.
    """

    suite: str
    family: str
    dtype: str
    standing: Standing
    statement: str
    subject: str
    cells: tuple[CellView, ...]


@dataclass(frozen=True)
class ClaimPath:
    """One claim over all releases.

    Attributes:
        row: place of its row.
        subject: key.
        states: one for each release, oldest first.
    """

    id: str
    row: int
    subject: str
    states: tuple[State, ...]


@dataclass(frozen=True)
class StreamPath:
    """Fixed-seed weights of one subject over all releases.

    Attributes:
        subject: key.
        groups: number of the stream in each release, counted in the order in which they first occur; None where there
            is none. Equal numbers are equal weights.
    """

    subject: str
    groups: tuple[int | None, ...]


def row_views(history: History) -> tuple[RowView, ...]:
    """Rows by suite and family, dtypes of a family one after the other."""
    rows = matrix(history)
    families = list(dict.fromkeys(row.family for row in rows))
    examples = _examples(history, rows)
    return tuple(
        RowView(
            suite=row.family.partition(".")[0],
            family=row.family,
            dtype=row.dtype,
            standing=_standing(rows[row]),
            statement=examples[row].statement if row in examples else "",
            subject=examples[row].subject.key if row in examples else "",
            cells=tuple(map(_cell_view, rows[row])),
        )
        for row in sorted(rows, key=lambda row: _order(row, families))
    )


def _order(row: Row, families: Sequence[str]) -> tuple[int, int, int, str]:
    suite, (dtype, _, device) = row.family.partition(".")[0], row.dtype.partition(" on ")
    return (
        SUITES.index(suite) if suite in SUITES else len(SUITES),
        families.index(row.family),
        DTYPES.index(dtype) if dtype in DTYPES else len(DTYPES),
        device,
    )


def row_of(claim: Claim) -> Row:
    """Row that a claim is counted in."""
    return Row(claim.family, in_dtype(claim.subject.dtype, claim.subject.device))


def _examples(history: History, rows: Collection[Row]) -> dict[Row, Claim]:
    """First claim of each row that any release answered, the newest asked first."""
    found: dict[Row, Claim] = {}
    for release in reversed(history.releases):
        if len(found) == len(rows):
            break
        for claim in release.run.claims.values():
            found.setdefault(row_of(claim), claim)
    return found


def _standing(cells: Sequence[Cell]) -> Standing:
    states = {cell.state for cell in cells}
    if State.VIOLATED in states:
        return Standing.VIOLATED
    return Standing.UNDECIDED if State.NO_EVIDENCE in states else Standing.HOLDS


def _cell_view(cell: Cell) -> CellView:
    return CellView(
        state=cell.state,
        claims=cell.claims,
        violated=cell.violated,
        undecided=cell.undecided,
        short=_short(cell.worst.effect) if cell.worst and cell.worst.effect and not cell.worst.counterexample else "",
        reason=cell.reason,
        worst=_violation(cell.worst) if cell.worst else None,
    )


def _violation(claim: Claim) -> Violation | None:
    told = reading(claim)
    return Violation(claim.subject.key, claim.where or "", told) if told else None


def _short(effect: Effect) -> str:
    """Effect to two digits, without its unit but for a percent sign."""
    value = f"{effect.value:.0f}" if 100 <= abs(effect.value) < 1e5 else f"{effect.value:.2g}"
    return value + ("%" if effect.unit.startswith("%") else "")


def claim_paths(history: History, rows: Sequence[RowView]) -> Iterator[ClaimPath]:
    """Claims that are violated in a release, or not decided alike in all; those that just hold are left out."""
    places = {(row.family, row.dtype): place for place, row in enumerate(rows)}
    asked = [release.run for release in history.releases if release.run.plan]
    subjects = {case.subject.key: case.subject for run in asked if run.plan for case in run.plan.cases}
    for name in dict.fromkeys(name for run in reversed(asked) if run.plan for name in run.plan.claims):
        states = tuple(state_of(name, release.run) for release in history.releases)
        told = {*states} - {State.NOT_ASKED}
        if State.VIOLATED in told or len(told) > 1:
            family, _, key = name.partition("/")
            dtype = in_dtype(subjects[key].dtype, subjects[key].device)
            yield ClaimPath(name, places[family, dtype], key, states)


def stream_paths(runs: Sequence[Run]) -> Iterator[StreamPath]:
    """Subjects whose fixed-seed weights are not the same in all releases that recorded them."""
    for key in dict.fromkeys(key for run in reversed(runs) for key in run.digests):
        seen: dict[str, int] = {}
        digests = [run.digests.get(key) for run in runs]
        groups = tuple(None if digest is None else seen.setdefault(digest, len(seen)) for digest in digests)
        if len(seen) > 1:
            yield StreamPath(key, groups)
