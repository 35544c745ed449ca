"""Abilities of modules beside being called: the candidate has what the baseline has, and loses none in silence."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.weights.abilities import Unsupported
from fixtures.weights.module_abilities import ABILITIES, CAPTURE, MODULES, Ability, Fed
from fixtures.weights.module_defaults import Missing
from suites.framework.exact_claims import Inconclusive, exact_case, settle
from suites.framework.findings import Findings
from suites.framework.questions import asks

MODULE = "weights.module"

CAPTURED = 4
"""Modules that are captured in the quick tier, drawn from the table: each takes a third of a second, all others of a
module's abilities together a hundredth."""


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    """Every module of the table, on the processor: what it can do there is written in Python, as it is elsewhere."""
    if "cpu" in devices:
        drawn = random.Random(run_seed).sample(sorted(MODULES), CAPTURED) if tier == "quick" else [*MODULES]
        for call in MODULES:
            yield exact_case(MODULE, of_module(call, "constructor"))
        for call in drawn:
            yield exact_case(MODULE, of_module(call, "captured"))


def of_module(call: str, path: str) -> Subject:
    return Subject(call, (), "float32", None, None, None, path=path)


def questions(subject: Subject) -> Iterator[Question[Any]]:
    """One for each ability; whether it can be captured is a case of its own."""
    for name, ability in ABILITIES.items():
        if (name == CAPTURE) == (subject.path == "captured") and ability.asked_of(MODULES[subject.initializer]):
            yield Question(f"{MODULE}.{name}", ability.says).about(subject.initializer)


@asks(MODULE, cases, questions)
def test_a_module_can_do_more_than_answer(case: Case, findings: Findings) -> None:
    for question in findings.questions:
        ability, fed = ABILITIES[question.family.rpartition(".")[2]], MODULES[case.subject.initializer]

        def able(ability: Ability = ability, fed: Fed = fed, seed: int = findings.seed(question.family)) -> None:
            try:
                ability.check(fed, seed)
            except (Unsupported, Missing) as error:
                raise Inconclusive(str(error)) from None

        settle(findings, question, able)
