"""View of one run: what it was asked, how it ended, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fixtures.model.results import ModelRecord
from fixtures.record.environment import Environment
from fixtures.record.failure import Failure
from fixtures.record.run_folder import Run
from fixtures.statistics.judgement import FALSE_ALARM_PER_CLAIM, false_alarm_rate
from fixtures.words.phrases import first_few, plural
from reports.comparison.changes import Change, compare
from reports.verdict.gate import family_counts, statistical
from reports.view.claims import FindingList, Undecided, findings, undecided
from reports.view.counts import Counts
from reports.view.model import record_lines

HEADINGS = {Change.UNREGISTERED: "Violated", Change.REGISTERED: "Violated, registered as known for this release"}
"""Of one run: what it violates is violated on both sides of a comparison with itself."""


@dataclass(frozen=True)
class RunView:
    """Everything that one run has to say, as far as it went.

    Attributes:
        failure: of a run that failed.
        ended: whether it ended at all.
        unanswered: planned claims without a finding; empty where all have one.
        facts: who was asked, and with which options; None where the run ended before the first question.
        left_out: what was not asked, and why.
        recorded: what is kept besides claims.
        model: lines on the user's own model; empty where none was asked.
        false_alarm: chance that the run alone shows any violation.
    """

    label: str
    torch: str
    failure: Failure | None
    ended: bool
    unanswered: str
    facts: Mapping[str, str] | None
    counts: Counts
    findings: tuple[FindingList, ...]
    undecided: Undecided | None
    left_out: tuple[str, ...]
    recorded: str
    model: tuple[str, ...]
    false_alarm: str


def run_view(run: Run, references: Mapping[str, str], model: ModelRecord | str | None = None) -> RunView:
    """Gather what one run has to say.

    Args:
        run: the run.
        references: where registered violations are discussed, by id.
        model: what it recorded of the user's own model, or why that cannot be read; None where it recorded nothing.
    """
    changes = compare(run, run)
    missing, asked = run.unanswered(), statistical(run)
    planned = plural(len(run.plan.claims), "planned claim") if run.plan else ""
    each = f"{plural(asked, 'statistical claim')}, {FALSE_ALARM_PER_CLAIM:.1e} each"
    skipped = run.environment.skipped if run.environment else {}
    return RunView(
        label=run.label,
        torch=run.torch_version,
        failure=run.failure,
        ended=run.ended,
        unanswered=f"{len(missing)} of {planned} without a finding: {first_few(missing)}"
        if missing and planned
        else "",
        facts=_facts(run.environment) if run.environment else None,
        counts=Counts.of(family_counts(changes)),
        findings=tuple(findings(changes, HEADINGS, references)),
        undecided=undecided(changes),
        left_out=tuple(f"{count} times: {reason}" for reason, count in skipped.items()),
        recorded=f"fixed-seed digests: {len(run.digests)}, {plural(len(run.sketches), 'sketched array')}",
        model=record_lines(model) if isinstance(model, ModelRecord) else (model,) if model else (),
        false_alarm=f"false alarm: with chance {false_alarm_rate(asked):.1e} at most ({each})",
    )


def _facts(found: Environment) -> dict[str, str]:
    facts = {
        "started": found.started,
        "seconds": f"{found.seconds:.1f}",
        "python": found.python,
        **{f"torch {name}": value for name, value in found.torch.items()},
        **found.machine,
        **{f"option {name}": value for name, value in found.options.items()},
        **{f"added {name}": ", ".join(brought) for name, brought in found.added.items()},
        "packages": ", ".join(f"{name} {version}" for name, version in found.packages.items()),
    }
    return {name: str(value) for name, value in facts.items()}
