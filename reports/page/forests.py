"""Which effects a forest shows: of the weights' scale, and of the times that the paired clock took."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fixtures.clock.results import Pairing, Timed
from fixtures.record.claim import Claim, Unit, Verdict
from fixtures.record.safe_text import printable
from fixtures.rules.policy import Policy, Speed
from fixtures.statistics import judgement
from reports.comparison import ClaimChange
from reports.page.plots import BASELINE, CANDIDATE, Interval, Row
from reports.speed import outcome_of

MOST_ROWS = 28
"""Subjects in a forest: two columns of a page, each no longer than a window is high."""


WIDTH_OF_DETECTABLE = judgement.CHERNOFF_DEVIATES
SCREENED = judgement.CHERNOFF_DEVIATES + judgement.MISS_DEVIATE
"""Standard errors in a stated detectable effect, and those of them that the screen asks for: what lies within them of a
promised value is let pass with chance 99.99 %. Both for tests by Chernoff bound, where the share is the larger one."""


@dataclass(frozen=True)
class Forest:
    """Rows, the most conspicuous first, and how many found no room."""

    rows: tuple[Row, ...]
    left_out: int


def scale_forest(changes: Sequence[ClaimChange], core: Collection[str]) -> Forest:
    """Errors of the weights' scale: violated ones, then core subjects, then whatever comes closest to being seen.

    Args:
        changes: all claims.
        core: keys of the subjects that are drawn in large samples.
    """
    scales = [change for change in changes if any(map(_interval, (change.baseline, change.candidate)))]

    def conspicuous(change: ClaimChange) -> tuple[bool, bool, bool, float]:
        of_detectable = max(
            abs(claim.effect.value) / claim.detectable.value
            for claim in (change.baseline, change.candidate)
            if claim and _interval(claim) and claim.effect and claim.detectable
        )
        is_core = change.claim is not None and change.claim.subject.key in core
        return not _is_wrong(change), change.violation is None, not is_core, -of_detectable

    ordered = sorted(scales, key=conspicuous)
    return Forest(tuple(map(_scale_row, ordered[:MOST_ROWS])), max(0, len(ordered) - MOST_ROWS))


def _scale_row(change: ClaimChange) -> Row:
    sides = {BASELINE: _interval(change.baseline), CANDIDATE: _interval(change.candidate)}
    claim = change.claim
    label = printable(claim.subject.key if claim else change.id, LONGEST_LABEL)
    return Row(label, {side: interval for side, interval in sides.items() if interval}, _is_wrong(change))


def _is_wrong(change: ClaimChange) -> bool:
    """Whether it is marked: what the candidate mended is not."""
    return change.claim is not None and change.claim.verdict is Verdict.VIOLATED


LONGEST_LABEL = 62
"""Characters that fit into the width of a forest."""


def _interval(claim: Claim | None) -> Interval | None:
    """Of a claim about the scale of weights; None for any other, and for sizes that no drawing can show."""
    if claim is None or claim.effect is None or claim.detectable is None:
        return None
    if not (claim.family.startswith("weights.") and claim.family.endswith(".scale")):
        return None
    value, detectable = claim.effect.value, claim.detectable.value
    if (claim.effect.unit, claim.detectable.unit) != (Unit.STD, Unit.STD):
        return None
    if not (abs(value) < MOST_PERCENT and 0 < detectable < MOST_PERCENT):
        return None
    # The error of a scale is proportional to the scale itself.
    half = detectable * SCREENED / WIDTH_OF_DETECTABLE * max(0.0, 1 + value / 100)
    return Interval(value, value - half, value + half)


MOST_PERCENT = 1e12
"""Errors beyond this are an overflow, not a scale."""


def speed_forest(pairing: Pairing, policy: Policy) -> Forest:
    """Times of the candidate over those of the baseline: regressions, then the slowest; guards that moved last."""
    rows = [row for row in (_time_row(timed, policy.speed) for timed in pairing.workloads) if row]
    ordered = sorted(rows, key=lambda row: (not row.is_wrong, -row.sides[CANDIDATE].value))
    moved = [
        Row(f"{printable(guard.name, LONGEST_LABEL)}  (guard)", {BASELINE: interval}, is_wrong=True)
        for guard in pairing.guards
        if guard.moved and (interval := _ratio(guard.ratio, guard.low, guard.high))
    ]
    return Forest((*ordered[:MOST_ROWS], *moved[:MOST_ROWS]), max(0, len(ordered) - MOST_ROWS))


def _time_row(timed: Timed, policy: Speed) -> Row | None:
    """A workload that was timed on both sides."""
    interval = _ratio(timed.ratio, timed.low, timed.high)
    if interval is None:
        return None
    outcome = outcome_of(timed, policy)
    optional = "" if policy.requires(timed.name, timed.required) else ", optional"
    label = f"{printable(timed.name, LONGEST_LABEL)}  ({outcome}{optional})"
    largest = 1 + policy.margin_of(timed.name)
    return Row(label, {CANDIDATE: interval}, outcome in ("regressed", "broken"), (1 / largest, largest))


def _ratio(value: float | None, low: float | None, high: float | None) -> Interval | None:
    """A ratio with its interval; None where one is missing, or is what only a damaged file has."""
    if value is None or low is None or high is None:
        return None
    return (
        Interval(value, low, high) if all(1 / MOST_PERCENT < end < MOST_PERCENT for end in (value, low, high)) else None
    )
