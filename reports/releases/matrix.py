"""Matrix of the history: families and dtypes by releases, each cell what the claims of one family in one dtype say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fixtures.record.claim import Claim, Verdict
from fixtures.record.run_folder import Run
from fixtures.words.phrases import in_dtype
from reports.comparison.changes import plainness
from reports.comparison.kinds import Kinds
from reports.releases.history import History


class State(Kinds):
    """State of a claim, or of a cell, in one release.

    Attributes:
        sign: in a cell, for those who see no colour.
        meaning: in words.
    """

    sign: str
    meaning: str

    VIOLATED = "violated", "✕", "a claim is violated"
    NO_EVIDENCE = "no evidence", "?", "none of the claims was decided"
    HOLDS = "holds", "·", "every claim that was decided holds"
    NOT_ASKED = (
        "not asked",
        "\N{EN DASH}",
        "the release could not be asked, or not this question",
    )


_OF_VERDICT = {
    Verdict.VIOLATED: State.VIOLATED,
    Verdict.NO_EVIDENCE: State.NO_EVIDENCE,
    Verdict.HOLDS: State.HOLDS,
}


@dataclass(frozen=True, order=True)
class Row:
    """Claims that make one row: those of one family in one dtype; the device is named where it is an accelerator."""

    family: str
    dtype: str


@dataclass(frozen=True)
class Cell:
    """A row in one release.

    Attributes:
        state: of all its claims together: violated where one is, else holding where one holds.
        claims: number that were planned.
        violated: number that are violated.
        undecided: number without evidence or without an answer.
        worst: the plainest violation; None without one.
        reason: why there is no evidence, the most frequent one; "" where every claim was decided.
    """

    state: State
    claims: int = 0
    violated: int = 0
    undecided: int = 0
    worst: Claim | None = None
    reason: str = ""


NOT_ASKED = Cell(State.NOT_ASKED)


def cells(run: Run) -> dict[Row, Cell]:
    """Cells of one release, in the order of its plan; empty where nothing was asked."""
    members: dict[Row, list[str]] = {}
    if run.plan is None:
        return {}
    subjects = (case.subject for case in run.plan.cases)
    dtypes = {subject.key: in_dtype(subject.dtype, subject.device) for subject in subjects}
    for name in run.plan.claims:
        family, _, key = name.partition("/")
        members.setdefault(Row(family, dtypes[key]), []).append(name)
    return {row: _cell(names, run) for row, names in members.items()}


def matrix(history: History) -> dict[Row, tuple[Cell, ...]]:
    """Cells of every row, one for each release of the history, oldest first.

    Rows come in the order of the newest release's plan; those that only earlier suites asked come last.
    """
    columns = [cells(release.run) for release in history.releases]
    rows = dict.fromkeys(row for column in reversed(columns) for row in column)
    return {row: tuple(column.get(row, NOT_ASKED) for column in columns) for row in rows}


def claim_states(history: History, claim_id: str) -> tuple[State, ...]:
    """States of one claim, one for each release, oldest first."""
    return tuple(state_of(claim_id, release.run) for release in history.releases)


def state_of(claim_id: str, run: Run) -> State:
    """State of a claim in one run; one that was planned and has no answer is without evidence."""
    if claim := run.claims.get(claim_id):
        return _OF_VERDICT[claim.verdict]
    planned = run.plan is not None and claim_id in run.plan.claims
    return State.NO_EVIDENCE if planned else State.NOT_ASKED


def _cell(names: Sequence[str], run: Run) -> Cell:
    answers = [run.claims.get(name) for name in names]
    violated = [claim for claim in answers if claim and claim.verdict is Verdict.VIOLATED]
    open_ones = [claim for claim in answers if claim is None or claim.verdict is Verdict.NO_EVIDENCE]
    decided = State.HOLDS if len(open_ones) < len(answers) else State.NO_EVIDENCE
    unanswered = run.failure.reason if run.failure else "the claim was not answered"
    reasons = [claim.note or "no reason given" if claim else unanswered for claim in open_ones]
    return Cell(
        state=State.VIOLATED if violated else decided,
        claims=len(names),
        violated=len(violated),
        undecided=len(open_ones),
        worst=min(violated, key=plainness, default=None),
        reason=_most_frequent(reasons),
    )


def _most_frequent(reasons: Iterable[str]) -> str:
    counted = Counter(reasons).most_common(1)
    return counted[0][0] if counted else ""
