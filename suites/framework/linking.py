"""How claims about links are asked and answered: exact ones, of everything that was found in a case's rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fixtures.record.plan import Case
from fixtures.record.subject import Subject
from fixtures.rounding.comparison import Compared
from suites.framework.asking import ExactQuestion, Findings
from suites.framework.refuting import counterexample

Found = TypeVar("Found")

ROUNDS = {"quick": 1, "full": 4, "soak": 16}
"""How often everything is tried, on fresh random values."""


@dataclass(frozen=True)
class Link:
    """One exact claim: its family, and what it says of a subject."""

    family: str
    says: str

    def question(self, name: str) -> ExactQuestion:
        """The question about one subject, by its name in words."""
        return ExactQuestion(self.family, f"{name} {self.says}")


def cases_of(family: str, tier: str, subjects: Iterable[Subject]) -> Iterator[Case]:
    """A case of each subject."""
    for subject in subjects:
        yield Case(family=family, subject=subject, draws=ROUNDS[tier], resolution=0.0)


def told(words: str | None, tried: int) -> Compared:
    """A finding without a size: `words` of a counterexample, or None after so many were tried."""
    return Compared(tried, 0.0, words)


def settle_all(
    findings: Findings,
    questions: Callable[[Subject], Sequence[ExactQuestion]],
    find: Callable[[int], Found],
    read: Callable[[Found], Sequence[Compared]],
) -> None:
    """Answer a case's questions from what is found in each of its rounds; an exception refutes all of them.

    Args:
        findings: of the case; each of its draws is a round with a seed of its own.
        questions: of a subject, in the order of the answers.
        find: seed -> what a round finds.
        read: what a round found -> answers to all questions.
    """
    asked = questions(findings.case.subject)
    rounds: list[Sequence[Compared]] = []
    words = counterexample(
        lambda: rounds.extend(read(find(findings.seed(str(number)))) for number in range(findings.case.draws))
    )
    for place, question in enumerate(asked):
        if words:
            findings.exact(question, words, 1)
            continue
        found = Compared.of([answers[place] for answers in rounds])
        findings.exact(question, found.counterexample, found.tried, effect=found.effect if found.strain else None)
