"""What a nonlinearity adds to the scale of the weights: the gain that torch documents, by statistics and exactly."""

from __future__ import annotations

import math
from operator import eq

import msgspec
from hypothesis import strategies as st

from fixtures.record.plan import Case
from fixtures.record.subject import Subject
from fixtures.statistics.judgement import draws_to_resolve
from fixtures.statistics.laws import fan, gain
from fixtures.weights.draws import tensors
from fixtures.weights.proportions import NotProportional, agrees, drawn_ratio
from fixtures.weights.scales import ScaleQuestion, mean_square
from fixtures.weights.streams import Stream
from suites.framework.asking import asks
from suites.framework.refuting import KAIMING, ExactClaim, Inconclusive, asks_exactly, judge_what_is_drawn, settle
from suites.weights.spaces import NONLINEARITIES

EXAMPLES = 30
"""The space is small: one slope."""

SHAPE = (24, 40)
"""Two different fans; what a gain does depends on neither."""

SLOPES = (0.0, 0.01, 0.2, 1.0, math.sqrt(5), -0.5)
"""That of a ReLU, of nn.LeakyReLU, a usual one, that of the identity, that of torch's own modules, a falling one."""

IGNORING = tuple(name for name in NONLINEARITIES if name != "leaky_relu")
RATED = [*((name, 0.0) for name in IGNORING), *(("leaky_relu", slope) for slope in SLOPES)]

SCALE = "weights.gain.scale"
RESOLUTION = {"quick": 0.01, "full": 0.005, "soak": 0.002}
"""Relative scale error to be seen: the gains of slopes 0 and 0.2 differ by 2 %."""

EXACT = ExactClaim("weights.gain.exact", "scales by sqrt(2 / (1 + a**2)) for a leaky ReLU of any slope")
IGNORED = ExactClaim("weights.gain.a_ignored", "uses its slope `a` for a leaky ReLU and for nothing else")

slopes = st.one_of(st.integers(-9, 9), st.floats(-30, 30))
"""Where float64 weights keep their digits: at a slope of 30 the scale is 1/21 of that of a ReLU."""


def scale_cases(tier, run_seed, devices):
    for device in devices:
        for initializer in KAIMING:
            for name, slope in RATED:
                subject = Subject(initializer, SHAPE, nonlinearity=name, a=slope, device=device)
                draws = draws_to_resolve(RESOLUTION[tier])
                yield Case(family=SCALE, subject=subject, draws=draws, resolution=RESOLUTION[tier])


def scale_questions(subject):
    factor = gain(subject.nonlinearity, subject.a)
    says = f"the scale of {subject.initializer} weights for {subject.nonlinearity}, a={subject.a:.3g}"
    std = factor / math.sqrt(fan(subject.shape, subject.mode))
    return [ScaleQuestion(SCALE, f"{says}, has a gain of {factor:.6g}", subject, std)]


@asks(SCALE, scale_cases, scale_questions)
def test_the_scale_has_the_documented_gain(case, findings, target):
    def gather(draws, seed):
        return mean_square(tensors(case.subject, draws, seed, target))

    judge_what_is_drawn(findings, [(question, question.read) for question in scale_questions(case.subject)], gather)


@asks_exactly(EXACT, about=[{"shape": SHAPE, "dtype": dtype} for dtype in ("float32", "float64")])
def test_every_slope_of_a_leaky_relu_counts_exactly(case, findings, target):
    linear = msgspec.structs.replace(case.subject, nonlinearity="linear")

    def follows_the_formula(a):
        leaky = msgspec.structs.replace(case.subject, a=a)
        try:
            drawn = drawn_ratio(leaky, linear, findings.seed("ratio"), target)
        except NotProportional as error:
            raise Inconclusive(str(error)) from None
        expected = math.sqrt(2 / (1 + a**2))
        assert agrees(drawn, expected), f"a={a!r}: drawn with a gain of {drawn:.6g}, not {expected:.6g}"

    settle(findings, EXACT.question(case.subject), follows_the_formula, EXAMPLES, a=slopes)


@asks_exactly(IGNORED, about=[{"shape": SHAPE, "dtype": "float64", "nonlinearity": name} for name in IGNORING])
def test_a_slope_without_a_leaky_relu_is_ignored(case, findings, target):
    seed = findings.seed("ratio")

    def is_ignored():
        expected = Stream(case.subject, target).bytes(seed)
        for slope in SLOPES:
            sloped = Stream(msgspec.structs.replace(case.subject, a=slope), target)
            assert eq(sloped.bytes(seed), expected), f"a={slope!r} gives other weights than a=0 from the same seed"

    settle(findings, IGNORED.question(case.subject), is_ignored)
