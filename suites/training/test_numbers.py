"""Twenty steps from fixed numbers: kept in the run, so that reports can tell whether a release changed them.

What is claimed here is only that they mean something: that they are the same when computed again, and that they learn.
"""

from __future__ import annotations

from fixtures.record.claim import Effect, Unit
from fixtures.target.arithmetic import arithmetic_of
from fixtures.training.numbers import ROUNDINGS, numbers_of
from fixtures.training.trajectory import PREFIX
from suites.framework.asking import ExactQuestion, asks
from suites.framework.refuting import exact_case, settle
from suites.training.subjects import CONVOLUTIONAL, DEEP, TUTORIAL, step_subject

REPEATABLE, LEARNS = "training.numbers.repeatable", "training.numbers.learns"

QUICK = (
    ("SGD(lr=0.01, momentum=0.9)", TUTORIAL),
    ("Adam(lr=0.001)", TUTORIAL),
    ("SGD(lr=0.001, momentum=0.9)", DEEP),
    ("AdamW(lr=0.001, weight_decay=0.1)", CONVOLUTIONAL),
)
"""Rates at which the loss falls in twenty steps without a jump; 50 layers without normalization bear a tenth of the
others'."""

TRAINED = {
    "quick": QUICK,
    "full": (*QUICK, ("Adam(lr=0.0001)", DEEP), ("SGD(lr=0.01, momentum=0.9)", CONVOLUTIONAL)),
}
TRAINED["soak"] = TRAINED["full"]


def cases(tier, run_seed, devices):
    for device in devices:
        for optimizer, network in TRAINED[tier]:
            if arithmetic_of(device).repeats_convolutions or network != CONVOLUTIONAL:
                yield exact_case(REPEATABLE, step_subject(optimizer, network, device=device))


def questions(subject):
    name = f"twenty steps of {subject.initializer} on the {subject.path} network from NumPy's weights and data"
    return [
        ExactQuestion(REPEATABLE, f"{name} give the same bits when they are taken again"),
        ExactQuestion(LEARNS, f"{name} lower the loss on their batch"),
    ]


@asks(REPEATABLE, cases, questions)
def test_twenty_steps_from_fixed_numbers_are_kept(case, findings, keep_arrays):
    repeatable, learns = questions(case.subject)
    kept = []

    def are_the_same_again():
        numbers, again = numbers_of(case.subject)
        keep_arrays(PREFIX + case.subject.key, numbers.arrays())
        kept.append(numbers)
        differing = (numbers.digests != again.digests).any(axis=1)
        assert not differing.any(), f"other weights after step {differing.argmax() + 1}"
        assert (numbers.plain.losses == again.trajectory.losses).all(), "other losses"

    def falls():
        assert kept, "there is no loss"
        first, last = kept[0].plain.losses[[0, -1]]
        assert last < first, f"the loss goes from {first:.4f} to {last:.4f}"

    settle(findings, repeatable, are_the_same_again)
    told = {"note": moved(kept[0]), "effect": fall(kept[0])} if kept else {}
    settle(findings, learns, falls, **told)


def fall(numbers):
    """By how much the loss changes."""
    first, last = numbers.plain.losses[[0, -1]]
    return Effect(100 * float(last / first - 1), Unit.LOSS_CHANGE)


def moved(numbers):
    """How far the last loss was carried by moving every weight, in words."""
    last = numbers.plain.losses[-1]
    ulp, ulps = (abs(runs.losses[:, -1] / last - 1).max() for runs in (numbers.one_ulp, numbers.rounded))
    return f"weights moved by one ulp before each step: {ulp:.1e} of the last loss; by {ROUNDINGS}: {ulps:.1e}"
