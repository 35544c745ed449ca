"""View of a gate: what its verdict and both runs show a reader, whichever renderer lays it out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fixtures.record.environment import UNKNOWN_TORCH
from fixtures.record.fault_outcomes import FaultOutcome
from fixtures.record.run_folder import Run
from fixtures.words.phrases import first_few, plural
from reports.comparison.changes import Change, compare
from reports.comparison.false_alarms import in_words
from reports.drift import Drift
from reports.verdict.gate import GateVerdict, Side, Streams, plan_options
from reports.verdict.intent import Intent, Step
from reports.verdict.reasons import Outcome, Reason
from reports.view.bottom_line import bottom_line
from reports.view.claims import ClaimRow, FindingList, Undecided, claim_rows, findings, undecided
from reports.view.counts import Classified, Counts
from reports.view.environments import Fact, facts
from reports.view.fault_matrix import FaultTable, fault_tables
from reports.view.model import ModelView, model_view
from reports.view.timings import Timings

TOP_REASONS = 3
"""Reasons that stand before the advice."""

MOST_BROUGHT = 5
"""Packages listed that came with others, as many as in a reason: the environments on the page have them all."""


@dataclass(frozen=True)
class GateView:
    """Everything that a gate has to say.

    Attributes:
        torches: versions of the baseline and the candidate; the label of a run that cannot tell its own.
        steps: versions of what is judged: of torch, then of each package that was meant to differ.
        brought: sentence on what else differs because of these packages; empty where nothing does.
        labels: names of both runs.
        bottom_line: the verdict in one sentence.
        asked: options that decide what was asked; empty where no plan is known.
        top: the most important reasons, which stand before the advice.
        rest: all other reasons.
        advice: what to do next.
        rerun: command that repeats the gate.
        repeatable: how far it repeats it; empty where there is no command.
        stanza: waiver to paste.
        suite_options: options by which a suite asks what the gate asked.
        is_counted: whether both sides have claims to count.
        findings: lists of claims, by their classification.
        model: the user's own; None where none was asked.
        streams: sentence on fixed-seed streams.
        false_alarms: sentence on the chance of a false alarm, and one on what is not in it.
        drifts: the most important first.
        claims: every claim, in the order of the plan.
        references: where registered violations are discussed, by id.
    """

    outcome: Outcome
    torches: tuple[str, str]
    steps: tuple[Step, ...]
    brought: str
    labels: tuple[str, str]
    bottom_line: str
    asked: str
    top: tuple[Reason, ...]
    rest: tuple[Reason, ...]
    advice: str
    rerun: str | None
    repeatable: str
    stanza: str | None
    suite_options: str | None
    is_counted: bool
    counts: Counts
    classified: Classified
    findings: tuple[FindingList, ...]
    undecided: Undecided | None
    speed: Timings
    model: ModelView | None
    streams: str
    false_alarms: tuple[str, str]
    drifts: tuple[Drift, ...]
    claims: tuple[ClaimRow, ...]
    references: Mapping[str, str]
    environments: tuple[Fact, ...]
    faults: tuple[FaultTable, ...]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """All reasons, the most important first."""
        return self.top + self.rest


def gate_view(
    verdict: GateVerdict,
    baseline: Run,
    candidate: Run,
    *,
    references: Mapping[str, str],
    faults: Sequence[FaultOutcome] = (),
) -> GateView:
    """Gather what a gate has to say.

    Args:
        verdict: the gate's decision.
        baseline: the run of the torch in use.
        candidate: the run of the torch to come.
        references: where registered violations are discussed, by id.
        faults: planted faults, and what the same suites saw of them.
    """
    changes, plan = compare(baseline, candidate), baseline.plan or candidate.plan
    seed = verdict.plan.get("seed") if verdict.rerun else None
    again = f"With --seed {seed} the same gate repeats these draws, not the times; without, it takes others."
    headings = {kind: kind.heading for kind in Change if kind.heading}
    torches = _torch(verdict.baseline), _torch(verdict.candidate)
    return GateView(
        outcome=verdict.outcome,
        torches=torches,
        steps=(Step(name="torch", baseline=torches[0], candidate=torches[1]), *verdict.intent.named),
        brought=_brought(verdict.intent),
        labels=(verdict.baseline.label, verdict.candidate.label),
        bottom_line=bottom_line(verdict),
        asked=", ".join(f"{name} {value}" for name, value in verdict.plan.items()),
        top=verdict.reasons[:TOP_REASONS],
        rest=verdict.reasons[TOP_REASONS:],
        advice=verdict.outcome.next_step,
        rerun=verdict.rerun,
        repeatable=again if seed else "",
        stanza=verdict.stanza,
        suite_options=shlex.join(word for option in plan_options(plan).items() for word in option) if plan else None,
        is_counted=bool(verdict.baseline.claims and verdict.candidate.claims),
        counts=Counts.of(verdict.counts),
        classified=Classified.of(changes),
        findings=tuple(findings(changes, headings, references)),
        undecided=undecided(changes),
        speed=Timings.of(verdict.speed, verdict.policy.speed),
        model=model_view(verdict),
        streams=_streams(verdict.streams),
        false_alarms=in_words(verdict.false_alarms),
        drifts=tuple(
            sorted(
                (drift for drift in verdict.drifts if drift.kind.tag),
                key=lambda drift: (drift.kind.everywhere, drift.kind.rank),
            )
        ),
        claims=claim_rows(changes, verdict.reasons),
        references=references,
        environments=tuple(facts(baseline, candidate)),
        faults=tuple(fault_tables(faults)),
    )


def _torch(side: Side) -> str:
    return side.label if side.torch == UNKNOWN_TORCH else side.torch


def _brought(intent: Intent) -> str:
    found = [f"{step.name} ({step.baseline} -> {step.candidate})" for step in intent.brought]
    named = first_few([step.name for step in intent.named])
    return f"with {named} came: {first_few(found, MOST_BROUGHT)}" if found else ""


def _streams(streams: Streams) -> str:
    total = streams.same + len(streams.changed)
    if not total:
        return "fixed-seed streams: not recorded on both sides"
    if streams.changed:
        return f"fixed-seed streams: changed for {len(streams.changed)} of {plural(total, 'subject')}"
    return f"fixed-seed streams: the same for {plural(total, 'subject')}"
