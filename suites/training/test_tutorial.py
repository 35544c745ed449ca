"""The tutorial's program as written: it runs, its first loss has the law that NumPy simulates, one step lowers it."""

from __future__ import annotations

from fixtures.record.kinds import TutorialProgram
from fixtures.record.plan import Case
from fixtures.record.subject import Subject
from fixtures.target.target import Target
from fixtures.training.tutorial import TutorialEvidence, gather_tutorial, tutorial_questions
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import judge_what_is_drawn

TUTORIAL = "training.tutorial"

PROGRAM = Subject("kaiming_normal_", (), nonlinearity="relu", path=str(TutorialProgram()))
"""On the CPU and in float32, as it is printed."""

SEEDS = {"quick": 512, "full": 2048, "soak": 8192}
"""From 194 on, a loss that is printed can be told from a remarkable one; 512 show a mean first loss that is off by 0.6
of its standard deviation over seeds, and a standard deviation that is off by two thirds."""


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> list[Case]:
    return [Case(family=TUTORIAL, subject=PROGRAM, draws=SEEDS[tier], resolution=0.0)] if "cpu" in devices else []


@asks(TUTORIAL, cases, tutorial_questions)
def test_the_tutorials_program_does_what_it_says(case: Case, findings: Findings, target: Target) -> None:
    def run(programs: int, seed: int) -> TutorialEvidence:
        return gather_tutorial(programs, seed, target)

    judge_what_is_drawn(findings, run)
