"""Exact claims: whatever a check asserts in vain, or the target raises, is a counterexample."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fixtures.record.claim import Effect
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.safe_text import printable
from fixtures.record.subject import Subject
from fixtures.statistics.laws import KAIMING
from suites.framework.findings import Findings
from suites.framework.questions import asks

PHASES = (Phase.generate, Phase.shrink)
"""A counterexample is made small before it is told. None is remembered: every run asks its own questions."""

Check = Callable[..., None]
Fields = dict[str, Any]


class Inconclusive(Exception):
    """Raised by a check that cannot tell; the message says why."""


def exact_case(family: str, subject: Subject) -> Case:
    """A case that draws nothing at the screen."""
    return Case(family=family, subject=subject, draws=0, resolution=0.0)


def kaiming_cases(
    family: str, variations: Iterable[Fields], on: str | None, _tier: str, _run_seed: int, devices: tuple[str, ...]
) -> Iterator[Case]:
    """A case for each device, Kaiming initializer and variation of a subject's fields.

    Args:
        family: of the cases.
        variations: fields of the subjects.
        on: the only device that is asked; None for all.
        _tier, _run_seed: of the plan; all ask the same.
        devices: that are asked.
    """
    for device in devices if on is None else (on,):
        for initializer in KAIMING:
            for fields in variations:
                yield exact_case(family, Subject(initializer, device=device, **fields))


def asks_exactly(
    *claims: Question[Any], about: Iterable[Fields] = ({"shape": ()},), on: str | None = None
) -> pytest.MarkDecorator:
    """Mark a test as the one that answers these claims about each Kaiming initializer.

    Args:
        claims: answered together; the first one's family names the cases, and each says something of an initializer.
        about: fields of the subjects; by default one for each initializer, which stands for all shapes.
        on: the only device that it makes sense to ask; by default all that the run asks.
    """
    family = claims[0].family
    cases = partial(kaiming_cases, family, tuple(about), on)
    return asks(family, cases, lambda subject: [claim.about(subject.initializer) for claim in claims])


def settle(
    findings: Findings,
    question: Question[Any],
    check: Check,
    examples: int = 1,
    *,
    note: str | None = None,
    effect: Effect | None = None,
    **space: st.SearchStrategy[Any],
) -> None:
    """Answer an exact question by a check.

    Args:
        findings: of the case.
        question: to be answered.
        check: raises an exception where the claim is violated.
        examples: number of them that Hypothesis draws from `space`; without a space, `check` is called once.
        note: recorded beside a claim that holds.
        effect: likewise.
        space: strategy for each argument of `check`.
    """
    tried = 0

    def counted(**example: Any) -> None:
        nonlocal tried
        tried += 1
        check(**example)

    explored = _explored(counted, examples, findings.seed(question.family), space) if space else counted
    try:
        found = counterexample(explored)
    except Inconclusive as reason:
        findings.no_evidence(str(reason), [question])
    else:
        findings.exact(question, found, tried, note=note, effect=effect)


def _explored(check: Check, examples: int, run_seed: int, space: dict[str, st.SearchStrategy[Any]]) -> Check:
    """A property that Hypothesis tries on a space; the same run's seed gives the same examples.

    Args:
        check: called with each example.
        examples: number of them.
        run_seed: of the examples.
        space: strategy for each argument of `check`.
    """
    options = settings(
        database=None,
        deadline=None,
        max_examples=examples,
        phases=PHASES,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    return seed(run_seed)(options(given(**space)(check)))


def counterexample(check: Check) -> str | None:
    """Counterexample by which a check fails, in words; None if it passes. Warnings are no counterexample.

    A check asserts that large values are equal by `operator.eq`: two that are compared within the assertion itself,
    pytest explains line by line where CI is set, which takes it minutes for a weight's bytes.

    Raises:
        Inconclusive: as the check.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check()
    except Inconclusive:
        raise
    except AssertionError as error:
        return _first_line(error)
    except Exception as error:  # noqa: BLE001 - whatever the target raises, the claim is violated
        return f"raised {type(error).__name__}: {_first_line(error)}"
    return None


def _first_line(error: Exception) -> str:
    """First line of an exception's message, printable: a target's words are text from outside."""
    return printable(next(iter(str(error).splitlines()), "")) or "no reason given"
