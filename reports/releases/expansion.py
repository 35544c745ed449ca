"""Records of releases, read back as the runs that they were made of.

What a record leaves out is left out here, too: sketches, so that neither laws, grids nor numbers of training can be
compared, the seconds and the seed of each claim, and what a failed run printed last.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from fixtures.record.claim import Claim, Effect, Unit, Verdict
from fixtures.record.environment import UNKNOWN_TORCH
from fixtures.record.release_record import Answer, Questions, ReleaseRecord
from fixtures.record.run_folder import RecordError, Run, contradiction
from fixtures.record.schema import SCHEMA
from fixtures.record.subject import Subject
from fixtures.rules.known_violations import Known, known_violation

LEFT_OUT = "laws and grids of core subjects, numbers and effects of training"
"""Kinds of drift that two records cannot show, and two runs can."""


def expand(record: ReleaseRecord, questions: Questions, known: Sequence[Known]) -> Run:
    """Expand a record into a run.

    Args:
        record: of a release.
        questions: of the record's key.
        known: violations that are registered today.

    Raises:
        RecordError: the answers are to other questions, or one contradicts itself.
    """
    _refuse_other_questions(record, questions)
    torch = str(record.environment.torch.get("version", UNKNOWN_TORCH)) if record.environment else UNKNOWN_TORCH
    subjects = {case.subject.key: case.subject for case in questions.plan.cases}
    claims = {}
    asked = zip(questions.plan.claims, questions.statements, strict=True)
    for place, ((name, statement), answer) in enumerate(zip(asked, record.answers, strict=bool(record.answers))):
        if answer is not None:
            stated = record.statements.get(str(place), statement)
            claims[name] = _claim(name, subjects, stated, answer, known, torch)
            if wrong := contradiction(claims[name]):
                raise RecordError(f"{_named(record)}: claim {name}: {wrong}")
    return Run(
        folder=Path(record.release),
        plan=questions.plan,
        environment=record.environment,
        claims=claims,
        digests=record.digests,
        interface=record.interface,
        failure=record.failure,
        ended=record.failure is None,
    )


def _named(record: ReleaseRecord) -> str:
    return f"the record of {record.release}"


def _refuse_other_questions(record: ReleaseRecord, questions: Questions) -> None:
    if record.key != questions.key:
        raise RecordError(f"{_named(record)}: was asked by other suites ({record.key}) than {questions.key}")
    if record.answers and len(record.answers) != len(questions.plan.claims):
        planned = len(questions.plan.claims)
        raise RecordError(f"{_named(record)}: {len(record.answers)} answers to {planned} planned claims")


def _claim(
    name: str,
    subjects: dict[str, Subject],
    statement: str,
    answer: Answer,
    known: Sequence[Known],
    torch: str,
) -> Claim:
    family, _, key = name.partition("/")
    claim = Claim(
        schema=SCHEMA,
        id=name,
        family=family,
        subject=subjects[key],
        statement=statement,
        n=answer.n,
        p=answer.p,
        effect=_effect(answer.effect, answer.unit, answer.standard_error),
        detectable=_effect(answer.detectable, answer.detectable_unit or answer.unit),
        verdict=answer.verdict,
        where=answer.where,
        counterexample=answer.counterexample,
        note=answer.counterexample if answer.note is None else answer.note,
    )
    if claim.verdict is Verdict.VIOLATED:
        return msgspec.structs.replace(claim, known=known_violation(claim, known, torch))
    return claim


def _effect(value: float | None, unit: Unit | None, standard_error: float | None = None) -> Effect | None:
    return None if value is None or unit is None else Effect(value, unit, standard_error)
