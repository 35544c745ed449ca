"""The mark of a test that asks: which cases it takes, and which claims it will make about each.

    @asks("weights.marginal", cases, marginal_questions)
    def test_weights_follow_the_promised_law(case, findings, target): ...

A test marked so is called once for each of its cases: those that `cases` draws, or, where a plan is handed in, those of
its family in the plan. It answers `findings.questions`; all is recorded, held or not, and the test fails after the last
answer if any claim was violated that no known violation covers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from fixtures.record.claim import claim_id
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject

Questions = Callable[[Subject], Iterable[Question[Any]]]
Cases = Callable[[str, int, tuple[str, ...]], Iterable[Case]]
"""Tier, the run's seed, devices -> cases of one family."""


def asks(family: str, cases: Cases, questions: Questions) -> pytest.MarkDecorator:
    """Mark a test as the one that answers `questions` about each case of `family`."""
    return pytest.mark.asks(family, cases, questions)


def planned_claims(items: Iterable[pytest.Item]) -> tuple[str, ...]:
    """Identities of all claims that the selected tests will make, in order."""
    return tuple(
        claim_id(question.family, case.subject)
        for item in items
        if (mark := item.get_closest_marker("asks")) and (case := case_of(item))
        for question in questions_of(mark, case)
    )


def questions_of(mark: pytest.Mark, case: Case) -> tuple[Question[Any], ...]:
    """Questions that a mark of `asks` has about a case."""
    _, _, questions = mark.args
    return tuple(questions(case.subject))


def case_of(item: pytest.Item) -> Case | None:
    """The case that a test is about; None for any other."""
    callspec = getattr(item, "callspec", None)
    case = callspec.params.get("case") if callspec else None
    return case if isinstance(case, Case) else None  # pytest's placeholder where a plan knows no case of the family
