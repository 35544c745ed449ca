"""Forests of effects with their intervals: scales of the weights, and times of the paired clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from fixtures.record.claim import Claim, Unit, Verdict
from fixtures.record.safe_text import printable
from fixtures.statistics import judgement
from reports.comparison.changes import ClaimChange
from reports.view.timings import Interval, Timing, Timings

BASELINE, CANDIDATE = "baseline", "candidate"

MOST_ROWS = 28
"""Rows of a forest: two columns of a page, each no longer than a window is high."""

WIDTH_OF_DETECTABLE = judgement.CHERNOFF_DEVIATES
SCREENED = judgement.CHERNOFF_DEVIATES + judgement.MISS_DEVIATE
"""Standard errors in a stated detectable effect, and those of them that the screen asks for: what lies within them of a
promised value is let pass with chance 99.99 %. Both for tests by Chernoff bound, where the share is the larger one."""


@dataclass(frozen=True)
class Row:
    """One line of a forest.

    Attributes:
        label: subject or workload.
        sides: intervals by side.
        is_wrong: whether it is marked.
        fine: interval within which an effect is fine; None where there is none.
    """

    label: str
    sides: Mapping[str, Interval]
    is_wrong: bool = False
    fine: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Forest:
    """Rows, the most conspicuous first.

    Attributes:
        title: for those who cannot see it.
        axis: label of the axis, with its unit.
        left_out: rows that have no room.
        ratio: whether effects are factors around 1 rather than differences from 0.
    """

    title: str
    axis: str
    rows: tuple[Row, ...]
    left_out: int = 0
    ratio: bool = False


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
    return Forest(
        title="Errors of scale",
        axis="error of the std, in % of the promised one",
        rows=tuple(map(_scale_row, ordered[:MOST_ROWS])),
        left_out=max(0, len(ordered) - MOST_ROWS),
    )


def _scale_row(change: ClaimChange) -> Row:
    sides = {BASELINE: _interval(change.baseline), CANDIDATE: _interval(change.candidate)}
    claim = change.claim
    label = printable(claim.subject.key if claim else change.id, LONGEST_LABEL)
    return Row(label, {side: interval for side, interval in sides.items() if interval}, _is_wrong(change))


def _is_wrong(change: ClaimChange) -> bool:
    """Tell whether a claim is marked: one that the candidate mended is not."""
    return change.claim is not None and change.claim.verdict is Verdict.VIOLATED


LONGEST_LABEL = 62
"""Characters that fit into the width of a forest."""


def _interval(claim: Claim | None) -> Interval | None:
    """Effect of a claim about the scale of weights; None for any other, and for sizes that no drawing can show."""
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


def speed_forest(speed: Timings) -> Forest:
    """Times of the candidate over those of the baseline: regressions, then the slowest; guards that moved last."""
    rows = [
        _time_row(timing, timing.ratio) for timing in speed.workloads if timing.ratio and _is_drawable(timing.ratio)
    ]
    moved = [
        Row(f"{printable(name, LONGEST_LABEL)}  (guard)", {BASELINE: ratio}, is_wrong=True)
        for name, ratio in speed.moved
        if _is_drawable(ratio)
    ]
    return Forest(
        title="Ratios of times",
        axis="time of the candidate over that of the baseline",
        rows=(*sorted(rows, key=lambda row: not row.is_wrong)[:MOST_ROWS], *moved[:MOST_ROWS]),
        left_out=max(0, len(rows) - MOST_ROWS),
        ratio=True,
    )


def _time_row(timing: Timing, ratio: Interval) -> Row:
    optional = "" if timing.required else ", optional"
    label = f"{printable(timing.name, LONGEST_LABEL)}  ({timing.outcome}{optional})"
    largest = 1 + timing.margin
    return Row(label, {CANDIDATE: ratio}, timing.outcome in ("regressed", "broken"), (1 / largest, largest))


def _is_drawable(ratio: Interval) -> bool:
    """Tell whether a ratio is one that only a sound file has."""
    return all(1 / MOST_PERCENT < end < MOST_PERCENT for end in (ratio.value, ratio.low, ratio.high))
