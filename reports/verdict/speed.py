"""Findings of the paired clock, by the margins and the requirements of a policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fixtures.clock.estimate import Estimate, Outcome, false_end, false_regression
from fixtures.clock.results import Pairing, Timed
from fixtures.clock.verdict import allocates_otherwise
from fixtures.rules.known_violations import NAME, WORKLOAD
from fixtures.rules.policy import Speed
from reports.comparison.false_alarms import Look

UNCLEAR = "speed.unclear"


@dataclass(frozen=True)
class SpeedFinding:
    """One finding of the clock.

    Attributes:
        kind: name in the policy: "speed.regressed", "speed.optional" and so on.
        workload: its name; None for the whole session.
        details: lines to show below it.
    """

    kind: str
    workload: str | None
    text: str
    details: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, str]:
        """Fields that waivers match."""
        return {WORKLOAD: self.workload} if self.workload else {NAME: "clock"}


def speed_findings(pairing: Pairing | None, policy: Speed) -> list[SpeedFinding]:
    """Everything worth a line, the required workloads first.

    Where a guard moved, no time of the session counts: neither a regression nor an all-clear. What cannot be run at all
    and what is allocated does not hang on the clock.
    """
    if pairing is None:
        return [SpeedFinding("speed.missing", None, "speed was not measured")]
    findings = [_of_session(pairing)] if pairing.failure or not pairing.workloads else []
    moved = [guard for guard in pairing.guards if guard.moved]
    if moved:
        shown = [f"{guard.name}: {interval(guard.ratio, guard.low, guard.high)}" for guard in moved]
        text = f"no timing of this session counts, for what cannot have changed moved: {'; '.join(shown)}"
        findings.append(SpeedFinding("speed.guard", None, text))
    required = [timed for timed in pairing.workloads if policy.requires(timed.name, timed.required)]
    optional = [timed for timed in pairing.workloads if timed not in required]
    if pairing.workloads and not required:
        findings.append(SpeedFinding(UNCLEAR, None, "none of the workloads timed is a required one"))
    for timed in _slowest_first(required):
        outcome = outcome_of(timed, policy)
        if outcome == "broken" or (outcome != "fine" and not moved):
            kind = UNCLEAR if outcome == "no evidence" else f"speed.{outcome}"
            findings.append(SpeedFinding(kind, timed.name, in_words(timed, outcome)))
    for timed in _slowest_first(optional):
        outcome = outcome_of(timed, policy)
        if outcome == "broken" or (outcome == "regressed" and not moved):
            findings.append(SpeedFinding("speed.optional", timed.name, in_words(timed, outcome)))
    findings += (
        SpeedFinding("speed.memory", timed.name, more)
        for timed in pairing.workloads
        if (more := more_allocated(timed, policy.margin_of(timed.name)))
    )
    return findings


def speed_looks(pairing: Pairing | None, policy: Speed) -> Iterator[Look]:
    """Intervals that were made, each of which may say something by chance."""
    if pairing is None:
        return
    of, family = len(pairing.workloads), pairing.family_error
    for timed in pairing.workloads:
        if timed.ratio is None:
            continue
        regressed = false_regression(of, family)
        if not policy.requires(timed.name, timed.required):
            yield Look(("speed.optional",), regressed)
            continue
        yield Look(("speed.regressed",), regressed)
        yield Look(("speed.improved",), false_end(of, family))
        # Noise alone decides it, and how noisy a machine is nobody can bound.
        yield Look((UNCLEAR,), 1.0)
    for _ in pairing.guards:
        yield Look(("speed.guard",), 2 * false_end(of, family))


def outcome_of(timed: Timed, policy: Speed) -> Outcome:
    """Outcome of one workload by the policy's margin for it, whatever margin it was measured with."""
    margin = policy.margin_of(timed.name)
    if margin == timed.margin or timed.outcome == "broken" or timed.ratio is None:
        return timed.outcome
    assert timed.low is not None
    assert timed.high is not None
    assert timed.sd is not None
    found = Estimate(timed.ratio, timed.low, timed.high, timed.restarts, timed.sd)
    if timed.outcome == "no evidence" and found.outcome(timed.margin) in ("fine", "improved"):
        return timed.outcome  # a side could not run it now and then, which no margin makes good
    outcome = found.outcome(margin)
    # A regression counts when fresh workers show it again, and they were asked only by the margin of the session.
    confirmed = timed.confirmation is not None and timed.confirmation[1] > 1 + margin
    return "no evidence" if outcome == "regressed" and not confirmed else outcome


def in_words(timed: Timed, outcome: Outcome) -> str:
    """One sentence on a workload, with its ratio and interval."""
    if outcome == "no evidence" or timed.ratio is None or timed.low is None or timed.high is None:
        # The first note says why, of the outcome that the clock itself found.
        why = timed.notes[:1] if outcome == timed.outcome else ()
        return f"{timed.name}: {'; '.join(why) or 'undecided by the margin of this policy'}"
    word = {"regressed": "slower", "improved": "faster"}.get(outcome, outcome)
    return f"{timed.name} is {word}: takes {interval(timed.ratio, timed.low, timed.high)} times as long"


def interval(ratio: float, low: float, high: float) -> str:
    """Ratio with its interval: "1.02 [0.98, 1.06]"."""
    return f"{ratio:.2f} [{low:.2f}, {high:.2f}]"


def more_allocated(timed: Timed, margin: float) -> str | None:
    """Growth of what a call allocates, in words; None where it does not grow."""
    before, after = (
        found.allocated_bytes if (found := timed.memory.get(side)) else None for side in ("baseline", "candidate")
    )
    if before is None or after is None or after < before or not allocates_otherwise(before, after, margin):
        return None
    told = f"a call allocates {after:_} bytes instead of {before:_}".replace("_", " ")
    return f"{timed.name}: {told}"


def _of_session(pairing: Pairing) -> SpeedFinding:
    """A session that a worker's failure ended."""
    kind = "speed.broken" if pairing.verdict == "stop" else UNCLEAR
    return SpeedFinding(kind, None, f"the clock: {pairing.reason}", pairing.failure)


def _slowest_first(timed: Iterable[Timed]) -> Sequence[Timed]:
    return sorted(timed, key=lambda one: -(one.ratio or 0.0))
