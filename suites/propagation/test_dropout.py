"""Dropout in training: the scaling, the rate, the independence of masks, and the same mask on the way back."""

from __future__ import annotations

from collections.abc import Iterator

from fixtures.record.kinds import Dropout
from fixtures.record.plan import Case
from fixtures.record.subject import Subject
from fixtures.rounding.dropout import Dropped, calls_to_resolve, dropout_questions, gather
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import judge_as_promised
from suites.propagation.tiers import FINER_OF_MANY

DROPOUT = "propagation.dropout"

SHAPE, CHANNELS, SPLIT = (128, 512), (64, 256, 2, 2), (7, 10_003)
"""Shapes of the inputs: elements, channels that are dropped as a whole, and enough elements (70 021, two grains of
32 768 and more) for three threads."""

RESOLUTION = 0.015
"""Relative error of the share that is kept: a p of 0.1 by four random bits is 2/16, which keeps 2.8 % too few."""

DROPPED = (
    # module, shape, dtype; 1 / (1 - p) is a power of two where exact equality is asked
    (Dropout("Dropout", 0.5), SHAPE, "float64"),
    (Dropout("Dropout", 0.5), SHAPE, "float32"),
    (Dropout("Dropout", 0.5), SHAPE, "bfloat16"),
    (Dropout("Dropout", 0.5), SHAPE, "float16"),
    (Dropout("Dropout", 0.1), SHAPE, "float32"),
    (Dropout("Dropout", 0.1), SHAPE, "bfloat16"),
    (Dropout("Dropout", 0.5, inplace=True), SHAPE, "float32"),
    (Dropout("Dropout", 0.5, threads=3), SPLIT, "float32"),
    (Dropout("Dropout2d", 0.25), CHANNELS, "float32"),
)


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    resolution = RESOLUTION / FINER_OF_MANY[tier]
    for device in devices:
        for what, shape, dtype in DROPPED:
            subject = Subject.of(what, shape, dtype, device=device)
            draws = calls_to_resolve(subject, resolution)
            yield Case(family=DROPOUT, subject=subject, draws=draws, resolution=resolution)


@asks(DROPOUT, cases, dropout_questions)
def test_dropout_scales_what_it_keeps_and_keeps_what_chance_says(case: Case, findings: Findings) -> None:
    def run(calls: int, seed: int) -> Dropped:
        return gather(case.subject, calls, seed)

    judge_as_promised(findings, run, ("rate",))
