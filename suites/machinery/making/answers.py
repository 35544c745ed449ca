"""Answers of a target inside this process, without a run: what the suites say about a fault, in milliseconds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fixtures.record.claim import Claim, Verdict, claim_id
from fixtures.record.plan import Case
from fixtures.record.subject import Subject, seed_for
from fixtures.target.target import Target
from suites.framework.findings import Findings
from suites.framework.questions import questions_of
from suites.machinery.chance import fresh_seed
from suites.machinery.proofs import noted

SEED = 1
"""Of the list of subjects: a fixed one, so that the ones a test names are among them. Draws are fresh in each test."""


def target_of(**functions: Any) -> Target:
    """A target that answers these names, and torch's for all others."""
    return Target("planted", SimpleNamespace(**functions))


def findings_of(test: Callable[..., None], case: Case, run_seed: int) -> Findings:
    """Findings that a test is to fill about a case."""
    return Findings(case, questions_of(mark_of(test), case), run_seed, torch.__version__, known=(), rerun="")


def cases_of(test: Callable[..., None], wanted: Callable[[Subject], bool]) -> Iterator[Any]:
    """The cases of a test that asks, on this machine's CPU."""
    _, cases, _ = mark_of(test).args
    return (case for case in cases("quick", SEED, ("cpu",)) if wanted(case.subject))


def mark_of(test: Callable[..., None]) -> pytest.Mark:
    """The mark of `asks`."""
    (mark,) = (mark for mark in test.pytestmark if mark.name == "asks")  # type: ignore[attr-defined]
    return mark


def answers(
    test: Callable[..., None],
    target: Target,
    wanted: Callable[[Subject], bool] = lambda subject: True,
    turn: int = 0,
    **fixtures: Any,
) -> Iterator[Claim]:
    """Claims that a test that asks finds about a target, case by case; no more is asked than is looked at.

    Args:
        test: marked with `asks`.
        target: that is asked.
        wanted: subjects that are asked about.
        turn: of the draws; another one has others.
        fixtures: that the test takes beside the usual ones.

    Raises:
        AssertionError: a planned claim went unanswered, or one was answered that was not planned.
    """
    run_seed = seed_for(fresh_seed(), str(turn))
    for case in cases_of(test, wanted):
        findings = findings_of(test, case, run_seed)
        given = fixtures | {"case": case, "findings": findings, "target": target}
        taken = inspect.signature(test).parameters
        keepers = {name: ignore for name in taken if name.startswith("keep_")}
        test(**{name: value for name, value in given.items() if name in taken}, **keepers)
        planned = [claim_id(question.family, case.subject) for question in findings.questions]
        assert sorted(planned) == sorted(claim.id for claim in findings.claims)
        yield from map(noted, findings.claims)


def ignore(*arguments: Any) -> None:
    """Takes what a run would keep."""


def violation(
    family: str, test: Callable[..., None], target: Target, wanted: Callable[[Subject], bool] = lambda subject: True
) -> Claim | None:
    """The first claim of this family that a target violates; None if it violates none.

    Args:
        family: of the claim.
        test, target, wanted: as `answers` takes them.
    """
    found = (claim for claim in answers(test, target, wanted) if claim.family == family)
    return next((claim for claim in found if claim.verdict is Verdict.VIOLATED), None)
