"""The fan behind a weight's scale: counted by running layers on ones, and read from the scale of the draws.

Two readings. By statistics: the mean square of the weights, which any implementation must get right. And without: draws
of the same seed differ by the ratio of their scales alone, which tells a fan of thousands from the next whole number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import strategies as st

from fixtures.record.claim import Effect, Unit
from fixtures.record.kinds import Initialization
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.statistics.judgement import draws_to_resolve
from fixtures.statistics.laws import KAIMING, fan
from fixtures.target.target import Target
from fixtures.weights.draws import tensors
from fixtures.weights.fan_oracle import PLAIN, Count, count_terms
from fixtures.weights.proportions import NotProportional, agrees, drawn_ratio
from fixtures.weights.scales import MeanSquare, mean_square, scale_question
from fixtures.weights.strategies import weight_shapes
from suites.framework.exact_claims import Inconclusive, asks_exactly, settle
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import judge_what_is_drawn
from suites.weights.spaces import MODES

SCALE = "weights.fan.scale"
RESOLUTION = {"quick": 0.01, "full": 0.005, "soak": 0.002}
"""Relative scale error to be seen: 1 % is one term too few in a fan of 50."""

SHAPES = ((96, 40), (48, 20, 5), (24, 40, 3, 3), (12, 20, 3, 2, 2))
"""A linear layer's weight and convolutions': no size is equal to another, so that no fan is another's by chance."""

EXAMPLES = 40
"""Shapes of 2 to 5 dimensions in both modes: 5 of each kind on average, the smallest and the largest among them."""

MOST_WEIGHTS = 2000
"""Most weights that the tolerance of an exact ratio allows for: see fixtures.weights.proportions."""

LAYERS = {
    "matmul": (12, 40),
    "conv2d-dilation2": (8, 6, 3, 3),
    "conv2d-stride2": (8, 6, 3, 3),
    "conv2d-groups4": (8, 3, 3, 3),
    "conv2d-depthwise8": (8, 1, 3, 3),
    "conv_transpose1d": (6, 8, 3),
    "conv_transpose2d": (6, 8, 3, 3),
    "conv_transpose2d-stride2": (6, 8, 3, 3),
    "conv_transpose3d": (6, 8, 3, 2, 2),
}
"""Layers that sum other terms than a weight's shape tells torch, and one (dilation) that does not."""

COUNTED = Question[None]("weights.fan.counted", "scales by the number of terms that a layer with such a weight sums")
RULE = Question[None]("weights.fan.rule", "scales by torch's documented rule for shapes, whatever the layer sums")


def scale_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for initializer in KAIMING:
            for shape in SHAPES:
                for mode in MODES:
                    subject = Subject(initializer, shape, mode=mode, nonlinearity="linear", device=device)
                    draws = draws_to_resolve(RESOLUTION[tier])
                    yield Case(family=SCALE, subject=subject, draws=draws, resolution=RESOLUTION[tier])


def scale_questions(subject: Subject) -> Iterable[Question[Any]]:
    terms = count_terms(PLAIN[len(subject.shape)], subject.shape).of(str(subject.mode)).mean
    says = f"the scale of {subject.initializer} weights is that of a {subject.mode} of {terms:g}, as counted"
    return [scale_question(SCALE, says, subject, 1 / math.sqrt(terms))]


@asks(SCALE, scale_cases, scale_questions)
def test_the_scale_is_that_of_the_counted_fan(case: Case, findings: Findings, target: Target) -> None:
    def gather(draws: int, seed: int) -> MeanSquare:
        return mean_square(tensors(case.subject, draws, seed, target))

    judge_what_is_drawn(findings, gather)


def one_input(subject: Subject) -> Subject:
    """The same number of weights for a layer with one input, whose fan of 1 needs no rule for kernels."""
    return msgspec.structs.replace(subject, shape=(subject.numel, 1), mode="fan_in")


def uses_the_fan(subject: Subject, expected: float, seed: int, target: Target, words: str) -> None:
    """Assert that the target's scale is made of the expected fan.

    Raises:
        Inconclusive: draws of one seed are no multiples of each other here.
    """
    try:
        drawn = drawn_ratio(subject, one_input(subject), seed, target)
    except NotProportional as error:
        raise Inconclusive(str(error)) from None
    agree = agrees(drawn, 1 / math.sqrt(expected))
    assert agree, f"{subject.shape}, {subject.mode}: drawn for a fan of {drawn**-2:.6g}, {words}"


@asks_exactly(
    COUNTED,
    about=[{"shape": (), "dtype": dtype, "mode": None, "nonlinearity": "linear"} for dtype in ("float32", "float64")],
)
def test_the_fan_is_counted_right_for_every_shape(case: Case, findings: Findings, target: Target) -> None:
    def uses_the_count(shape: tuple[int, ...], mode: str) -> None:
        subject = msgspec.structs.replace(case.subject, shape=shape, mode=mode)
        terms = count_terms(PLAIN[len(shape)], shape).of(mode).mean
        words = f"where {PLAIN[len(shape)]} counts {terms:g}"
        uses_the_fan(subject, terms, findings.seed("ratio"), target, words)

    space: dict[str, Any] = {"shape": weight_shapes(MOST_WEIGHTS), "mode": st.sampled_from(MODES)}
    settle(findings, findings.asked(COUNTED), uses_the_count, EXAMPLES, **space)


@dataclass(frozen=True)
class Rule:
    """Fan of a layer's weight by torch's rule, and the terms that the layer really sums."""

    subject: Subject

    @property
    def layer(self) -> str:
        """Name of the layer."""
        return self.subject.expect(Initialization).way

    @property
    def fan(self) -> int:
        """Fan by torch's documented rule for shapes."""
        return fan(self.subject.shape, str(self.subject.mode))

    @property
    def terms(self) -> Count:
        """Terms by counting."""
        return count_terms(self.layer, self.subject.shape).of(str(self.subject.mode))

    @property
    def fact(self) -> str:
        """Both fans in words."""
        return f"{self.layer}: true {self.subject.mode} {self.terms}; torch uses {self.fan}"

    @property
    def effect(self) -> Effect:
        """Ratio of both fans."""
        return Effect(
            self.fan / self.terms.mean, Unit.TRUE_FAN_IN if self.subject.mode == "fan_in" else Unit.TRUE_FAN_OUT
        )


@asks_exactly(
    RULE,
    about=[
        {"shape": shape, "dtype": "float64", "mode": mode, "nonlinearity": "linear", "path": layer}
        for layer, shape in LAYERS.items()
        for mode in MODES
    ],
)
def test_the_rule_for_shapes_is_the_documented_one_where_layers_sum_other_terms(
    case: Case, findings: Findings, target: Target
) -> None:
    rule = Rule(case.subject)

    def uses_the_rule() -> None:
        words = f"where the documented rule says {rule.fan}"
        uses_the_fan(case.subject, rule.fan, findings.seed("ratio"), target, words)

    settle(findings, findings.asked(RULE), uses_the_rule, note=rule.fact, effect=rule.effect)
