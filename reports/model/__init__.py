"""A user's own model on two torches: what its records say of the difference. Files are read, torch is not imported.

A finding says what differs, and has no opinion on what that means for the upgrade: that is the policy's
(fixtures/rules/policy.py), by its kind.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fixtures.model.results import ROOT, Initialization, ModelRecord, ModelRecordError, Stage, read_model
from fixtures.record.file_names import MODEL
from fixtures.words.phrases import first_few
from reports.comparison.false_alarms import Look
from reports.model.initialization import InitializationComparison, compared_initialization
from reports.model.kinds import Finding, Kind
from reports.model.numbers import NumbersComparison, compared_numbers
from reports.model.trajectories import TrainingComparison, compared_training

__all__ = ["ModelComparison", "Recorded", "Records", "compared_models", "model_looks", "read_record_of", "read_records"]


@dataclass(frozen=True)
class Recorded:
    """Record that one side left, or one line on why there is none to read."""

    record: ModelRecord | None
    complaint: str = ""


@dataclass(frozen=True)
class Records:
    """Both sides of a model."""

    baseline: Recorded
    candidate: Recorded


class ModelComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A user's model on both sides.

    Attributes:
        model: name of its file; empty where neither side could tell.
        seed: of all that was drawn; None where neither side could tell.
        initialization: None where it was not compared.
        numbers: likewise.
        training: likewise.
        seconds: stage -> seconds that the baseline and the candidate took; None where a side did not.
        peak_bytes: most memory of the process, of the baseline and the candidate.
        findings: the most important first.
    """

    model: str
    seed: int | None
    initialization: InitializationComparison | None
    numbers: NumbersComparison | None
    training: TrainingComparison | None
    seconds: dict[str, tuple[float | None, float | None]]
    peak_bytes: tuple[int | None, int | None]
    findings: tuple[Finding, ...]


def read_records(baseline: Path, candidate: Path) -> Records | None:
    """Read what both run folders hold of a model; None where neither holds anything."""
    sides = [read_record_of(folder) for folder in (baseline, candidate)]
    if sides == [None, None]:
        return None
    return Records(*(side or Recorded(None, f"it left no {MODEL}") for side in sides))


def read_record_of(folder: Path) -> Recorded | None:
    """Read what one run folder holds of a model; None where it holds nothing."""
    path = folder / MODEL
    if not os.path.lexists(path):
        return None
    try:
        return Recorded(read_model(path))
    except ModelRecordError as error:
        return Recorded(None, str(error))


def compared_models(records: Records, torches: tuple[str | None, str | None]) -> ModelComparison:
    """Compare both records of a model. Never raises for what a record may hold.

    Args:
        records: of both sides.
        torches: versions of the baseline's and the candidate's run; None where a run cannot tell.
    """
    before, after = records.baseline.record, records.candidate.record
    known = [record for record in (before, after) if record is not None]
    findings = [*_unreadable(records)]
    initialization = numbers = training = None
    if before is not None and after is not None and not (strangers := list(_strangers(before, after, torches))):
        found = [*_troubles(before, after), *_silent(before, after), *_cut(before, after)]
        if before.initialization and after.initialization:
            initialization, more = compared_initialization(before.initialization, after.initialization)
            found += more
        if before.numbers and after.numbers:
            numbers, more = compared_numbers(before.numbers, after.numbers)
            found += more
            if numbers.is_within:
                found = [*_inside(found, before.initialization, after.initialization)]
        if before.training and after.training:
            # Where the same seed draws other numbers, runs can be compared whose numbers are all different.
            is_shared = before.training.draws == after.training.draws
            own = before.training if is_shared else before.training_afresh or before.training
            training, more = compared_training(own, after.training)
            found += more
        findings += found
    elif before is not None and after is not None:
        findings += strangers
    return ModelComparison(
        model=known[0].model if known else "",
        seed=known[0].seed if known else None,
        initialization=initialization,
        numbers=numbers,
        training=training,
        seconds={
            stage: (before.seconds.get(stage) if before else None, after.seconds.get(stage) if after else None)
            for stage in dict.fromkeys(stage for record in known for stage in record.seconds)
        },
        peak_bytes=(before.peak_bytes if before else None, after.peak_bytes if after else None),
        # The first of a kind stays the first: it is the first module that is called, the first tensor of the model.
        findings=tuple(sorted(findings, key=lambda finding: finding.kind.rank)),
    )


def _inside(
    findings: Iterable[Finding], before: Initialization | None, after: Initialization | None
) -> Iterator[Finding]:
    """Findings of a model that is within rounding: a buffer that one side alone has is a matter of its inside."""
    ours, theirs = (
        {one.name for one in side.tensors if one.role == "buffer"} if side else set() for side in (before, after)
    )
    for finding in findings:
        one_sided = finding.kind is Kind.DIFFERS and finding.name in ours ^ theirs
        yield msgspec.structs.replace(finding, kind=Kind.INSIDE) if one_sided else finding


def model_looks(found: ModelComparison | None) -> Iterator[Look]:
    """Tests that were made; all else of a model is compared exactly, or with what rounding allows."""
    if found is None:
        return
    if found.initialization is not None and found.initialization.looks:
        yield Look((Kind.LAW.policy_key,), found.initialization.level, found.initialization.looks)
    if found.training is not None:
        yield Look((Kind.TRAINING.policy_key,), found.training.level, found.training.looks)


def _unreadable(records: Records) -> Iterator[Finding]:
    for name, side in (("baseline", records.baseline), ("candidate", records.candidate)):
        if side.record is None:
            text = f"nothing is known of the model in the {name}: {side.complaint}"
            yield Finding(kind=Kind.UNASKED, name=ROOT, text=text)


def _strangers(before: ModelRecord, after: ModelRecord, torches: tuple[str | None, str | None]) -> Iterator[Finding]:
    """Records that are not those of one model, or not of the torches that are gated."""
    pairs = {"model": (before.model, after.model)}
    if all(record.initialization or record.numbers or record.training for record in (before, after)):
        # A process that died before it began could not tell its seed.
        pairs["seed"] = (str(before.seed), str(after.seed))
    for what, (one, other) in pairs.items():
        if one != other:
            text = f"the two records are not of one {what}: {one} in the baseline and {other} in the candidate"
            yield Finding(kind=Kind.UNASKED, name=ROOT, text=text)
    for side, record, torch in zip(("baseline", "candidate"), (before, after), torches, strict=True):
        if torch is not None and record.torch != torch:
            text = f"the record of the {side} is of torch {record.torch}, and its run of {torch}"
            yield Finding(kind=Kind.UNASKED, name=ROOT, text=text)


def _troubles(before: ModelRecord, after: ModelRecord) -> Iterator[Finding]:
    """Stages that ended without an answer: in the candidate alone, it broke."""
    ours = {trouble.stage: trouble for trouble in before.troubles}
    theirs = {trouble.stage: trouble for trouble in after.troubles}
    for stage, trouble in theirs.items():
        if stage not in ours:
            text = f"{_STAGES[stage]} fails in the candidate alone: {trouble.text}"
            yield Finding(kind=Kind.BROKEN, name=ROOT, text=text, details=trouble.tail)
    for stage, trouble in ours.items():
        where = "on both sides" if stage in theirs else "in the baseline"
        text = f"{_STAGES[stage]} fails {where}: {trouble.text}"
        yield Finding(kind=Kind.UNASKED, name=ROOT, text=text, details=trouble.tail)


_STAGES: dict[Stage, str] = {
    "file": "building it once",
    "initialization": "building it over seeds",
    "numbers": "running its modules",
    "training": "training it",
}


def _silent(before: ModelRecord, after: ModelRecord) -> Iterator[Finding]:
    """Stages that a side did not record, though nothing that it says would be the reason."""
    for stage in ("initialization", "numbers", "training"):
        silent = [
            name
            for name, record in (("baseline", before), ("candidate", after))
            if getattr(record, stage) is None and not record.troubles and not record.cut
        ]
        if silent:
            text = f"{stage} was not recorded by the {' and the '.join(silent)}, which does not say why"
            yield Finding(kind=Kind.UNASKED, name=ROOT, text=text)


def _cut(before: ModelRecord, after: ModelRecord) -> Iterator[Finding]:
    """Parts that were left out, with their reasons."""
    sides: dict[str, list[str]] = {line: [] for line in (*before.cut, *after.cut)}
    for name, record in (("baseline", before), ("candidate", after)):
        for line in record.cut:
            sides[line].append(name)
    for line, where in sides.items():
        of = "" if len(where) == 2 else f" ({where[0]} alone)"
        yield Finding(kind=Kind.CUT, name=ROOT, text=f"left out: {line}{of}")
    if before.numbers and before.numbers.left_out:
        told = [f"{condition} ({why})" for condition, why in before.numbers.left_out.items()]
        text = f"the baseline's spread lacks {first_few(told, len(told))}"
        yield Finding(kind=Kind.CUT, name=ROOT, text=text)
