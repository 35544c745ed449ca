"""Draws that ranks divide among them: one run of as many as no process draws alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fixtures.record.kinds import Divided
from fixtures.record.plan import Case
from fixtures.record.subject import Subject
from fixtures.sharded.divided import draw_divided
from fixtures.sharded.questions import law_questions
from fixtures.statistics.judgement import draws_to_resolve
from fixtures.target.target import Target
from fixtures.weights.sketch import Sketch
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import judge_if_there
from suites.sharded.subjects import on_which

DRAWS = "sharded.draws"

RESOLUTION = {"quick": 0.004, "full": 0.0005, "soak": 0.00005}
"""Relative scale error that must show, by tier: 2.3 million, 150 million and 15 billion normal draws."""

SHAPE = (512, 512)
"""Shape of a tensor: what a sketch takes in at once; quick draws two or three on each of four ranks."""

ASKED = (("kaiming_normal_", "float32"), ("kaiming_uniform_", "float32"), ("kaiming_normal_", "bfloat16"))


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    resolution = RESOLUTION[tier]
    for device in on_which(devices):
        for initializer, dtype in ASKED:
            subject = Subject(initializer, SHAPE, dtype, "fan_in", "relu", device=device, path=str(Divided()))
            yield Case(family=DRAWS, subject=subject, draws=draws_to_resolve(resolution), resolution=resolution)


@asks(DRAWS, cases, law_questions)
def test_all_draws_together_follow_the_law(
    case: Case, findings: Findings, target: Target, ask: Callable[..., Any]
) -> None:
    def gathered(draws: int, seed: int) -> Sketch:
        merged = ask(draw_divided, case.subject, draws, seed, target.name)
        return merged.sketch(case.subject.dtype, case.subject.shape)  # type: ignore[no-any-return]  # as a rank answers

    judge_if_there(findings, gathered)
