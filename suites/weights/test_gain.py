"""The gain of a nonlinearity in the scale of the weights, by statistics and exactly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from operator import eq
from typing import Any

import msgspec
from hypothesis import strategies as st

from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.statistics.judgement import draws_to_resolve
from fixtures.statistics.laws import KAIMING, fan, gain
from fixtures.target.target import Target
from fixtures.weights.draws import tensors
from fixtures.weights.proportions import NotProportional, agrees, drawn_ratio
from fixtures.weights.scales import MeanSquare, mean_square, scale_question
from fixtures.weights.streams import Stream
from suites.framework.exact_claims import Inconclusive, asks_exactly, settle
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import judge_what_is_drawn
from suites.weights.spaces import NONLINEARITIES

EXAMPLES = 30
"""The space is small: one slope."""

SHAPE = (24, 40)
"""Two different fans; what a gain does depends on neither."""

SLOPES = (0.0, 0.01, 0.2, 1.0, math.sqrt(5), -0.5)
"""Slope of a ReLU, of nn.LeakyReLU, a usual one, that of the identity, that of torch's own modules, a falling one."""

IGNORING = tuple(name for name in NONLINEARITIES if name != "leaky_relu")
RATED = [*((name, 0.0) for name in IGNORING), *(("leaky_relu", slope) for slope in SLOPES)]

SCALE = "weights.gain.scale"
RESOLUTION = {"quick": 0.01, "full": 0.005, "soak": 0.002}
"""Relative scale error to be seen: the gains of slopes 0 and 0.2 differ by 2 %."""

EXACT = Question[None]("weights.gain.exact", "scales by sqrt(2 / (1 + a**2)) for a leaky ReLU of any slope")
IGNORED = Question[None]("weights.gain.a_ignored", "uses its slope `a` for a leaky ReLU and for nothing else")

slopes = st.one_of(st.integers(-9, 9), st.floats(-30, 30))
"""Where float64 weights keep their digits: at a slope of 30 the scale is 1/21 of that of a ReLU."""


def scale_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for initializer in KAIMING:
            for name, slope in RATED:
                subject = Subject(initializer, SHAPE, nonlinearity=name, a=slope, device=device)
                draws = draws_to_resolve(RESOLUTION[tier])
                yield Case(family=SCALE, subject=subject, draws=draws, resolution=RESOLUTION[tier])


def scale_questions(subject: Subject) -> Iterable[Question[Any]]:
    factor = gain(str(subject.nonlinearity), subject.a)
    says = f"the scale of {subject.initializer} weights for {subject.nonlinearity}, a={subject.a:.3g}"
    std = factor / math.sqrt(fan(subject.shape, str(subject.mode)))
    return [scale_question(SCALE, f"{says}, has a gain of {factor:.6g}", subject, std)]


@asks(SCALE, scale_cases, scale_questions)
def test_the_scale_has_the_documented_gain(case: Case, findings: Findings, target: Target) -> None:
    def gather(draws: int, seed: int) -> MeanSquare:
        return mean_square(tensors(case.subject, draws, seed, target))

    judge_what_is_drawn(findings, gather)


@asks_exactly(EXACT, about=[{"shape": SHAPE, "dtype": dtype} for dtype in ("float32", "float64")])
def test_every_slope_of_a_leaky_relu_counts_exactly(case: Case, findings: Findings, target: Target) -> None:
    linear = msgspec.structs.replace(case.subject, nonlinearity="linear")

    def follows_the_formula(a: float) -> None:
        leaky = msgspec.structs.replace(case.subject, a=a)
        try:
            drawn = drawn_ratio(leaky, linear, findings.seed("ratio"), target)
        except NotProportional as error:
            raise Inconclusive(str(error)) from None
        expected = math.sqrt(2 / (1 + a**2))
        assert agrees(drawn, expected), f"a={a!r}: drawn with a gain of {drawn:.6g}, not {expected:.6g}"

    settle(findings, findings.asked(EXACT), follows_the_formula, EXAMPLES, a=slopes)


@asks_exactly(IGNORED, about=[{"shape": SHAPE, "dtype": "float64", "nonlinearity": name} for name in IGNORING])
def test_a_slope_without_a_leaky_relu_is_ignored(case: Case, findings: Findings, target: Target) -> None:
    seed = findings.seed("ratio")

    def is_ignored() -> None:
        expected = Stream(case.subject, target).bytes(seed)
        for slope in SLOPES:
            sloped = Stream(msgspec.structs.replace(case.subject, a=slope), target)
            assert eq(sloped.bytes(seed), expected), f"a={slope!r} gives other weights than a=0 from the same seed"

    settle(findings, findings.asked(IGNORED), is_ignored)
