"""Same seed, same weights? Fixed-seed digests of both sides."""

from __future__ import annotations

from collections.abc import Iterator

from fixtures.record.run_folder import Run
from fixtures.record.subject import Subject
from reports.drift.kinds import Drift, Kind, Standing


def stream_drifts(baseline: Run, candidate: Run, standing: Standing) -> Iterator[Drift]:
    """Digests that differ, and those that one side alone has."""
    subjects = planned_subjects(baseline, candidate)
    before, after = baseline.digests, candidate.digests
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) == after.get(key):
            continue
        if key in before and key in after:
            yield _drift(Kind.STREAM, key, f"{key}: the same seed gives other weights", subjects, standing)
        elif not standing.cut_short:
            side = "baseline" if key in before else "candidate"
            yield _drift(Kind.UNCOMPARED, key, f"{key}: only the {side} has a fixed-seed digest", subjects, standing)


def _drift(kind: Kind, key: str, text: str, subjects: dict[str, Subject], standing: Standing) -> Drift:
    if key in subjects:
        return standing.about_subject(kind, subjects[key], text)
    return Drift(kind=kind, subject=key, text=text, fields={"name": key})


def planned_subjects(baseline: Run, candidate: Run) -> dict[str, Subject]:
    """Subjects by key; both runs were asked about the same, so that either plan will do."""
    plan = baseline.plan or candidate.plan
    return {case.subject.key: case.subject for case in plan.cases} if plan else {}
