"""Twenty steps from fixed numbers: kept in the run, so that reports can tell whether a release changed them.

What is claimed here is only that they mean something: that they are the same when computed again, and that they learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fixtures.record.claim import Effect, Unit
from fixtures.record.kinds import Optimizer
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.target.arithmetic import arithmetic_of
from fixtures.training.numbers import ROUNDINGS, numbers_of
from fixtures.training.trajectory import PREFIX, Numbers
from suites.framework.exact_claims import exact_case, settle
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.training.subjects import CONVOLUTIONAL, DEEP, TUTORIAL

REPEATABLE, LEARNS = "training.numbers.repeatable", "training.numbers.learns"

QUICK = (
    Optimizer("SGD", 0.01, momentum=0.9, network=TUTORIAL),
    Optimizer("Adam", 0.001, network=TUTORIAL),
    Optimizer("SGD", 0.001, momentum=0.9, network=DEEP),
    Optimizer("AdamW", 0.001, weight_decay=0.1, network=CONVOLUTIONAL),
)
"""Rates at which the loss falls in twenty steps without a jump; 50 layers without normalization bear a tenth of the
others'."""

TRAINED = {
    "quick": QUICK,
    "full": (
        *QUICK,
        Optimizer("Adam", 0.0001, network=DEEP),
        Optimizer("SGD", 0.01, momentum=0.9, network=CONVOLUTIONAL),
    ),
}
TRAINED["soak"] = TRAINED["full"]


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for optimizer in TRAINED[tier]:
            if arithmetic_of(device).repeats_convolutions or optimizer.network != CONVOLUTIONAL:
                yield exact_case(REPEATABLE, Subject.of(optimizer, device=device))


def questions(subject: Subject) -> Iterable[Question[Any]]:
    optimizer = subject.expect(Optimizer)
    name = f"twenty steps of {optimizer.initializer} on the {optimizer.network} network from NumPy's weights and data"
    return [
        Question(REPEATABLE, f"{name} give the same bits when they are taken again"),
        Question(LEARNS, f"{name} lower the loss on their batch"),
    ]


@asks(REPEATABLE, cases, questions)
def test_twenty_steps_from_fixed_numbers_are_kept(
    case: Case, findings: Findings, keep_arrays: Callable[[str, dict[str, Any]], None]
) -> None:
    repeatable, learns = findings.questions
    kept = []

    def are_the_same_again() -> None:
        numbers, again = numbers_of(case.subject)
        keep_arrays(PREFIX + case.subject.key, numbers.arrays())
        kept.append(numbers)
        differing = (numbers.digests != again.digests).any(axis=1)
        assert not differing.any(), f"other weights after step {differing.argmax() + 1}"
        assert (numbers.plain.losses == again.trajectory.losses).all(), "other losses"

    def falls() -> None:
        assert kept, "there is no loss"
        first, last = kept[0].plain.losses[[0, -1]]
        assert last < first, f"the loss goes from {first:.4f} to {last:.4f}"

    settle(findings, repeatable, are_the_same_again)
    told: dict[str, Any] = {"note": moved(kept[0]), "effect": fall(kept[0])} if kept else {}
    settle(findings, learns, falls, **told)


def fall(numbers: Numbers) -> Effect:
    """Change of the loss."""
    first, last = numbers.plain.losses[[0, -1]]
    return Effect(100 * float(last / first - 1), Unit.LOSS_CHANGE)


def moved(numbers: Numbers) -> str:
    """Change of the last loss where every weight is moved, in words."""
    last = numbers.plain.losses[-1]
    ulp, ulps = (abs(runs.losses[:, -1] / last - 1).max() for runs in (numbers.one_ulp, numbers.rounded))
    return f"weights moved by one ulp before each step: {ulp:.1e} of the last loss; by {ROUNDINGS}: {ulps:.1e}"
