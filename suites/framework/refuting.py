"""How a check becomes a finding: what it asserts in vain, or what the target raises, is a counterexample."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fixtures.record.claim import Effect, Reading
from fixtures.record.plan import Case
from fixtures.record.safe_text import printable
from fixtures.record.subject import Subject
from suites.framework.asking import Asked, ExactQuestion, Findings, asks

KAIMING = ("kaiming_normal_", "kaiming_uniform_")

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
    """A case for each device, Kaiming initializer and variation of a subject's fields."""
    for device in devices if on is None else (on,):
        for initializer in KAIMING:
            for fields in variations:
                yield exact_case(family, Subject(initializer, device=device, **fields))


@dataclass(frozen=True)
class ExactClaim:
    """One claim about each Kaiming initializer: its family, and what it says after the initializer's name."""

    family: str
    says: str

    def question(self, subject: Subject) -> ExactQuestion:
        """The question about one subject."""
        return ExactQuestion(self.family, f"{subject.initializer} {self.says}")


def asks_exactly(
    *claims: ExactClaim, about: Iterable[Fields] = ({"shape": ()},), on: str | None = None
) -> pytest.MarkDecorator:
    """Mark a test as the one that answers these claims about each Kaiming initializer.

    Args:
        claims: answered together; the first one's family names the cases.
        about: fields of the subjects; by default one for each initializer, which stands for all shapes.
        on: the only device that it makes sense to ask; by default all that the run asks.
    """
    family = claims[0].family
    cases = partial(kaiming_cases, family, tuple(about), on)
    return asks(family, cases, lambda subject: [claim.question(subject) for claim in claims])


def settle(
    findings: Findings,
    question: Asked,
    check: Check,
    examples: int = 1,
    *,
    note: str | None = None,
    effect: Effect | None = None,
    **space: st.SearchStrategy[Any],
) -> None:
    """Answer an exact question by `check`: called once, or with `examples` that Hypothesis draws from a space."""
    tried = 0

    def counted(**example: Any) -> None:
        nonlocal tried
        tried += 1
        check(**example)

    explored = _explored(counted, examples, findings.seed(question.family), space) if space else counted
    try:
        found = counterexample(explored)
    except Inconclusive as reason:
        findings.no_evidence([question], str(reason))
    else:
        findings.exact(question, found, tried, note=note, effect=effect)


def _explored(check: Check, examples: int, run_seed: int, space: dict[str, st.SearchStrategy[Any]]) -> Check:
    """A property that Hypothesis tries on a space; the same run's seed gives the same examples."""
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
    """What refutes a claim, in words; None if nothing does. Warnings are no counterexample.

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
    """What the target, or an assertion about it, says first; a target's words are text from outside."""
    return printable(next(iter(str(error).splitlines()), "")) or "no reason given"


Evidence = TypeVar("Evidence")


@dataclass(frozen=True)
class Broken:
    """Evidence that could not be gathered, because the target raised an exception."""

    words: str


def judge_what_is_drawn(
    findings: Findings,
    questions: Iterable[tuple[Asked, Callable[[Evidence], Reading]]],
    gather: Callable[[int, int], Evidence],
) -> None:
    """Judge statistical questions; where the target raises an exception instead of drawing, all are violated."""

    def gathered(draws: int, draw_seed: int) -> Evidence | Broken:
        evidence: list[Evidence] = []
        words = counterexample(lambda: evidence.append(gather(draws, draw_seed)))
        return Broken(words) if words else evidence[0]

    def reader(read: Callable[[Evidence], Reading]) -> Callable[[Evidence | Broken], Reading]:
        def reading(evidence: Evidence | Broken) -> Reading:
            return Reading(n=0, broken=evidence.words) if isinstance(evidence, Broken) else read(evidence)

        return reading

    findings.judge([(question, reader(read)) for question, read in questions], gathered)
