"""Readings of places that few weights were drawn at: what a generator's grid makes of them, and what it does not."""

from __future__ import annotations

import pytest
import torch

from fixtures.record.claim import Verdict
from fixtures.record.subject import Subject
from fixtures.statistics.judgement import judge
from fixtures.weights.position_questions import position_questions
from fixtures.weights.sketcher import Sketcher
from suites.machinery.chance import SURE, fresh_seed

pytestmark = SURE

MANY = 1 << 19


def verdict(family, shape, tensors):
    """Verdict on tensors of a shape, without a second look."""
    subject = Subject("kaiming_normal_", shape, nonlinearity="linear")
    sketcher = Sketcher(subject.dtype, shape, 1.0)
    sketcher.add(tensors)
    (question,) = (each for each in position_questions(subject) if each.family == f"weights.position.{family}")
    reading = question.read(sketcher.finish())
    return judge(reading, lambda: reading).verdict


def drawn(shape, calls):
    """Weights of `calls` calls, [calls, *shape]."""
    torch.manual_seed(fresh_seed())
    return torch.stack([torch.nn.init.kaiming_normal_(torch.empty(shape), nonlinearity="linear") for _ in range(calls)])


@pytest.mark.parametrize(("family", "shape"), [("columns", (1, MANY)), ("rows", (MANY, 1))])
def test_one_weight_that_is_zero_is_what_the_generator_gives_now_and_then(family, shape):
    weights = drawn(shape, 1)
    weights.view(-1)[MANY // 3] = 0.0

    for what in ("scale", "location"):
        assert verdict(f"{family}.{what}", shape, weights) is Verdict.HOLDS


@pytest.mark.parametrize(("family", "shape", "at"), [("columns", (1, 4096), (0, 5)), ("rows", (4096, 1), (5, 0))])
def test_a_place_that_is_never_written_is_seen_in_eight_calls(family, shape, at):
    weights = drawn(shape, 8)
    weights[:, at[0], at[1]] = 0.0

    assert verdict(f"{family}.scale", shape, weights) is Verdict.VIOLATED
