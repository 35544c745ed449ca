"""Exact claims about links, each answered by all that was found in a case's rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from fixtures.record.plan import Case
from fixtures.record.subject import Subject
from fixtures.rounding.comparison import Compared
from suites.framework.exact_claims import Inconclusive, counterexample
from suites.framework.findings import Findings

Found = TypeVar("Found")

ROUNDS = {"quick": 1, "full": 4, "soak": 16}
"""Rounds by tier, each on fresh random values."""


def cases_of(family: str, tier: str, subjects: Iterable[Subject]) -> Iterator[Case]:
    """A case of each subject."""
    for subject in subjects:
        yield Case(family=family, subject=subject, draws=ROUNDS[tier], resolution=0.0)


def told(words: str | None, tried: int) -> Compared:
    """A finding without a size: `words` of a counterexample, or None after `tried` examples."""
    return Compared(tried, 0.0, words)


def settle_all(findings: Findings, find: Callable[[int], Found], read: Callable[[Found], Sequence[Compared]]) -> None:
    """Answer a case's questions from what is found in each of its rounds; an exception refutes all of them.

    Args:
        findings: of the case; each of its draws is a round with a seed of its own.
        find: seed -> what a round finds.
        read: what a round found -> answers to all questions.
    """
    rounds: list[Sequence[Compared]] = []
    try:
        words = counterexample(
            lambda: rounds.extend(read(find(findings.seed(str(number)))) for number in range(findings.case.draws))
        )
    except Inconclusive as reason:
        findings.no_evidence(str(reason))
        return
    for place, question in enumerate(findings.questions):
        if words:
            findings.exact(question, words, 1)
            continue
        found = Compared.of([answers[place] for answers in rounds])
        findings.exact(question, found.counterexample, found.tried, effect=found.effect if found.strain else None)
