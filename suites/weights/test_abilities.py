"""Abilities of initializers beside drawing: the candidate has what the baseline has, and loses none in silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.statistics.laws import KAIMING
from fixtures.target.target import Target
from fixtures.weights.abilities import ABILITIES, Ability, Called, Unsupported
from suites.framework.exact_claims import Inconclusive, exact_case, settle
from suites.framework.findings import Findings
from suites.framework.questions import asks

ABILITY = "weights.ability"

SHAPE = (12, 8)
"""Two different fans, and long enough for the vectorized path."""

BESIDE = ("normal_", "uniform_", "trunc_normal_", "xavier_normal_", "xavier_uniform_", "orthogonal_")
"""Initializers beside Kaiming's."""


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    """Each initializer, in float32."""
    for device in devices:
        for initializer in KAIMING:
            yield exact_case(ABILITY, Subject(initializer, SHAPE, device=device))
        for initializer in BESIDE:
            subject = Subject(initializer, SHAPE, mode=None, nonlinearity=None, a=None, device=device)
            yield exact_case(ABILITY, subject)


def questions(subject: Subject) -> Iterator[Question[Any]]:
    """One for each ability."""
    for name, ability in ABILITIES.items():
        yield Question(f"{ABILITY}.{name}", ability.says).about(subject.initializer)


@asks(ABILITY, cases, questions)
def test_an_initializer_can_do_more_than_draw(case: Case, findings: Findings, target: Target) -> None:
    for question in findings.questions:
        ability = ABILITIES[question.family.rpartition(".")[2]]
        called = Called(case.subject, target, findings.seed(question.family))

        def able(ability: Ability = ability, called: Called = called) -> None:
            try:
                ability.check(called)
            except Unsupported as error:
                raise Inconclusive(str(error)) from None

        settle(findings, question, able)
