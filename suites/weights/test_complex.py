"""Complex weights: He's condition is one on E|w|^2, so that real and imaginary parts have half of it each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

from fixtures.record.claim import Unit
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.statistics.laws import KAIMING, Law, grid_law, promised_law
from fixtures.target.arithmetic import arithmetic_of
from fixtures.target.target import Target
from fixtures.weights.draws import sketch_of_many, tensors
from fixtures.weights.independence_questions import lags
from fixtures.weights.marginal_questions import questions_of_law
from fixtures.weights.position_questions import worst_scale
from fixtures.weights.sketch import Sketch
from fixtures.weights.strategies import draws_for
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import judge_what_is_drawn

COMPLEX = "weights.complex"

PARTS = {"complex64": "float32", "complex128": "float64"}
"""dtypes, and that of the real and the imaginary part."""

SHAPE = (256, 784)

RESOLUTION = {"quick": 0.01, "full": 0.005, "soak": 0.002}
"""Relative scale error to be seen."""

OF_NORMALS = ("written", "location", "scale", "shape")
OF_UNIFORMS = ("written", "location", "scale")
"""Claims about all parts together: of weights that are not normal no law of a part follows from He's condition, as a
disc is as uniform as a square. Tails, ends and the grid are those of real weights, which the same functions draw."""


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    """Each initializer and complex dtype; of a device without float64 complex64 alone."""
    for device in devices:
        dtypes = PARTS if arithmetic_of(device).has_float64 else ("complex64",)
        for initializer in KAIMING:
            for dtype in dtypes:
                subject = Subject(initializer, SHAPE, dtype, nonlinearity="relu", device=device)
                draws, resolution = draws_for(subject, RESOLUTION[tier])
                yield Case(family=COMPLEX, subject=subject, draws=draws, resolution=resolution)


def law_of_parts(subject: Subject) -> Law:
    """The law of the real and the imaginary part: half of the variance each."""
    return KAIMING[subject.initializer](promised_law(subject).std / math.sqrt(2))


def questions(subject: Subject) -> Iterator[Question[Any]]:
    """Claims about both parts as real numbers, of normal ones each by itself, and that neither depends on the other."""
    where = f"real and imaginary parts of {subject.initializer} weights"
    law, dtype = law_of_parts(subject), PARTS[subject.dtype]
    asked = OF_NORMALS if law.is_gaussian else OF_UNIFORMS
    for question in questions_of_law(COMPLEX, where, law, dtype, tails=(), device=subject.device):
        if question.family.rpartition(".")[2] in asked:
            yield question
    signs, sizes = (f"{what} of {where} depend on no others" for what in ("signs", "sizes"))
    yield Question(f"{COMPLEX}.signs", signs, lambda sketch: lags(sketch.signs, Unit.SIGN_CORRELATION))
    if law.is_gaussian:
        yield Question(f"{COMPLEX}.sizes", sizes, lambda sketch: lags(sketch.sizes, Unit.SIZE_CORRELATION))
        each = f"the std of the {where}, each by itself, is {law.std:.6g}"
        grid = grid_law(law, dtype)
        yield Question(f"{COMPLEX}.parts", each, lambda s: worst_scale(s.positions.columns, grid, "part"))


@asks(COMPLEX, cases, questions)
def test_complex_weights_have_the_promised_second_moment(case: Case, findings: Findings, target: Target) -> None:
    subject = case.subject

    def gather(draws: int, seed: int) -> Sketch:
        parts = (torch.view_as_real(weight).reshape(-1, 2) for weight in tensors(subject, draws, seed, target))
        return sketch_of_many(parts, law_of_parts(subject))

    judge_what_is_drawn(findings, gather)
