"""The first call of a process, which in any other suite some exact claim makes: its weights, judged by their law."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import DTYPES, Subject
from fixtures.statistics.laws import KAIMING, promised_law
from fixtures.target.target import Target
from fixtures.weights.first_calls import sketch_of_first
from fixtures.weights.marginal_questions import questions_of_law
from fixtures.weights.sketch import Sketch
from fixtures.weights.strategies import draws_for
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import judge_if_there

FIRST = "weights.first_call"

SHAPE = (1024, 1024)
"""A million weights, so that one process suffices at the quick tier."""

RESOLUTION = {"quick": 0.006, "full": 0.003, "soak": 0.001}
"""Relative scale error to be seen: 1, 4 and 36 processes for each initializer and dtype."""


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    """Each initializer and dtype."""
    for device in devices:
        for initializer in KAIMING:
            for dtype in DTYPES:
                subject = Subject(initializer, SHAPE, dtype, nonlinearity="relu", device=device)
                draws, resolution = draws_for(subject, RESOLUTION[tier])
                yield Case(family=FIRST, subject=subject, draws=draws, resolution=resolution)


ASKED = ("written", "location", "scale", "shape")
"""Claims: the first call differs in what is not there yet, not in the last places of a tail."""


def questions(subject: Subject) -> Iterator[Question[Any]]:
    """Claims about the law."""
    where = f"the first {subject.initializer} weights of a process"
    for question in questions_of_law(FIRST, where, promised_law(subject), subject.dtype, (), subject.device):
        if question.family.rpartition(".")[2] in ASKED:
            yield question


@asks(FIRST, cases, questions)
def test_the_first_weights_of_a_process_follow_the_law(
    case: Case, findings: Findings, target: Target, fresh: Callable[..., Any]
) -> None:
    def gather(draws: int, seed: int) -> Sketch:
        return sketch_of_first(case.subject, draws, seed, target, fresh)

    judge_if_there(findings, gather)
