"""Times of the paired clock in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fixtures.clock.results import Pairing, Timed
from fixtures.rules.policy import Speed
from fixtures.words.phrases import first_few, plural
from reports.verdict.speed import in_words, interval, outcome_of

UNMEASURED = "Speed was not measured: two runs made one after the other cannot be compared."


@dataclass(frozen=True)
class Interval:
    """A measured effect and the interval around it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Timing:
    """One workload, judged by the policy's margin for it.

    Attributes:
        ratio: time of the candidate over that of the baseline; None where it was not timed.
        sd: between-restart standard deviation of the log ratio.
        margin: share by which the candidate may be slower.
        sentence: outcome with ratio and interval.
    """

    name: str
    outcome: str
    required: bool
    ratio: Interval | None
    sd: float | None
    margin: float
    sentence: str

    @property
    def interval(self) -> str:
        """Ratio and interval in words; empty where there are none."""
        return interval(self.ratio.value, self.ratio.low, self.ratio.high) if self.ratio else ""

    @property
    def is_fine(self) -> bool:
        """Verdict: the whole interval lies within the margin."""
        return self.outcome == "fine" and self.ratio is not None


@dataclass(frozen=True)
class Timings:
    """One session of the clock.

    Attributes:
        summary: one line.
        measured: whether there was a session.
        workloads: the slowest first.
        fine: one sentence on those that are fine; empty where none is.
        moved: guards that moved, by name.
        session: all that is to be said beside a drawing.
    """

    summary: str
    measured: bool = False
    workloads: tuple[Timing, ...] = ()
    fine: str = ""
    moved: tuple[tuple[str, Interval], ...] = ()
    session: str = UNMEASURED

    @staticmethod
    def of(pairing: Pairing | None, policy: Speed) -> Timings:
        """Gather times from a session of the clock, if there was one."""
        if pairing is None:
            return Timings("not measured")
        timed = plural(len(pairing.workloads), "workload")
        summary = f"{timed} timed in pairs on {pairing.device} in {pairing.seconds:.0f} s"
        slowest_first = sorted(pairing.workloads, key=lambda one: -(one.ratio or 0.0))
        workloads = tuple(_timing(one, policy) for one in slowest_first)
        untimed = [one.name for one in pairing.workloads if one.ratio is None]
        without = f". Without a time: {first_few(untimed, 4)}" if untimed else ""
        return Timings(
            summary=summary,
            measured=True,
            workloads=workloads,
            fine=_fine([timing.ratio for timing in workloads if timing.is_fine and timing.ratio]),
            moved=tuple(
                (guard.name, Interval(guard.ratio, guard.low, guard.high)) for guard in pairing.guards if guard.moved
            ),
            session=f"{summary}: {pairing.reason}{without}.",
        )


def _timing(timed: Timed, policy: Speed) -> Timing:
    outcome = outcome_of(timed, policy)
    known = timed.ratio is not None and timed.low is not None and timed.high is not None
    return Timing(
        name=timed.name,
        outcome=outcome,
        required=policy.requires(timed.name, timed.required),
        ratio=Interval(timed.ratio, timed.low, timed.high) if known else None,  # type: ignore[arg-type]  # all known
        sd=timed.sd,
        margin=policy.margin_of(timed.name),
        sentence=in_words(timed, outcome),
    )


def _fine(ratios: Sequence[Interval]) -> str:
    if not ratios:
        return ""
    low, high = min(ratio.low for ratio in ratios), max(ratio.high for ratio in ratios)
    return f"{plural(len(ratios), 'workload')} fine: all intervals within {low:.2f} to {high:.2f}"
