"""The verdict in one sentence, the same in every report: whether to upgrade, and what was found, in counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fixtures.words.phrases import plural
from reports.verdict.gate import GateVerdict
from reports.verdict.reasons import Outcome
from reports.verdict.speed import outcome_of
from reports.view.counts import Classified
from reports.view.model import in_short


def bottom_line(verdict: GateVerdict) -> str:
    """One sentence that ends with a full stop."""
    parts = [*_claims(verdict), *_drifted(verdict), *_model(verdict), speed_in_short(verdict)]
    return f"{verdict.outcome.meaning}: {'; '.join(parts)}."


def _claims(verdict: GateVerdict) -> Iterator[str]:
    yield from (reason.text.partition(":")[0] for reason in verdict.reasons if reason.kind == "failure")
    if not (verdict.baseline.claims and verdict.candidate.claims):
        return
    found = Classified.of(verdict.changes)
    told = [f"{plural(found.worse, 'claim') if found.worse else 'no claim'} got worse"]
    if found.mended:
        told.append(f"{found.mended} got better")
    if found.both:
        told.append(f"{plural(found.both, 'claim')} violated on both sides")
    yield ", ".join(told)


def _drifted(verdict: GateVerdict) -> Iterator[str]:
    stopping = [r for r in verdict.reasons if r.outcome is Outcome.STOP and r.kind.startswith("drift.")]
    if subjects := {name for reason in stopping for name in reason.names}:
        yield f"{plural(len(subjects), 'subject')} drifted"


def _model(verdict: GateVerdict) -> Iterator[str]:
    if verdict.model is not None:
        yield in_short(verdict.model, verdict.reasons)


def speed_in_short(verdict: GateVerdict) -> str:
    """Outcome of the required workloads in a few words; the others decide nothing."""
    pairing, policy = verdict.speed, verdict.policy.speed
    if pairing is None:
        return "speed was not measured"
    required = [timed for timed in pairing.workloads if policy.requires(timed.name, timed.required)]
    if pairing.failure or not required:
        return "speed could not be measured"
    if any(guard.moved for guard in pairing.guards):
        return "the times say nothing, for a guard moved"
    outcomes = Counter(outcome_of(timed, policy) for timed in required)
    slower, of = outcomes["regressed"] + outcomes["broken"], plural(len(required), "workload")
    told = f"{slower or 'none'} of {of} {'is' if slower <= 1 else 'are'} slower"
    unclear = outcomes["no evidence"]
    return told + (f", {unclear} undecided" if unclear else "")
