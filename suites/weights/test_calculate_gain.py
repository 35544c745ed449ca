"""The documented table of gains, as `calculate_gain` tells it, and what these gains do to a Gaussian input."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from fixtures.record.claim import Effect, Unit
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.statistics.formats import unit_roundoff
from fixtures.statistics.laws import gain
from fixtures.target.target import Target
from fixtures.weights.gains import second_moment
from suites.framework.exact_claims import exact_case, settle
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.weights.spaces import NONLINEARITIES, no_slopes, unknown_nonlinearities

EXAMPLES = 50
"""The spaces are small: a slope, a name."""

ROUNDINGS = 4
"""Of sqrt(2 / (1 + a**2)): a square, a sum, a quotient, a root."""

TABLE = "weights.gain.table"
LEAKY = "weights.gain.leaky_relu"
REFUSED_SLOPE = "weights.gain.wrong_parameter"
REFUSED_NAME = "weights.gain.wrong_name"
MOMENT = "weights.gain.second_moment"

RULES_OF_THUMB = ("sigmoid", "tanh", "selu")
"""Gains of the table that no equation stands behind: what they do to a second moment is a fact that the report shows.
All others keep it (He et al., equations 10 and 15)."""

numbers = st.one_of(st.sampled_from((0, 0.2, 1, -0.5)), st.integers(-9, 9), st.floats(-1e3, 1e3))


def function(nonlinearity: str | None = None, a: float | None = None) -> Subject:
    """`calculate_gain` as a subject: it knows no tensor; its numbers are Python's, which are float64."""
    return Subject("calculate_gain", (), "float64", None, nonlinearity, a)


def is_within_rounding(value: float, expected: float) -> bool:
    """Test whether a gain is the expected one to the last few bits."""
    return abs(value - expected) <= ROUNDINGS * unit_roundoff("float64") * expected


def table_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> list[Case]:
    return [exact_case(TABLE, function(name)) for name in NONLINEARITIES]


def table_questions(subject: Subject) -> Iterable[Question[Any]]:
    name = str(subject.nonlinearity)
    ignored = "a slope of 0.01 where none is given" if name == "leaky_relu" else "whatever slope is given"
    factor = gain(name, None) ** 2 * second_moment(name, None).value
    change = f"multiplied by {factor:.4g}" if name in RULES_OF_THUMB else "kept"
    return [
        Question(TABLE, f"calculate_gain({name!r}) is {gain(name, None):.6g}, with {ignored}"),
        Question(MOMENT, f"by calculate_gain({name!r}) the second moment of a Gaussian input is {change}"),
    ]


@asks(TABLE, table_cases, table_questions)
def test_every_documented_gain_is_as_documented(case: Case, findings: Findings, target: Target) -> None:
    name = str(case.subject.nonlinearity)
    table, moment = findings.questions
    left = second_moment(name, None)
    factor = gain(name, None) ** 2 * left.value

    def is_as_documented() -> None:
        told = target.calculate_gain(name)
        assert is_within_rounding(told, gain(name, None)), f"it is {told!r}"
        for param in () if name == "leaky_relu" else (0, 0.2, 5):
            assert target.calculate_gain(name, param) == told, f"it is another with param={param!r}"

    def does_to_the_second_moment() -> None:
        measured = target.calculate_gain(name) ** 2 * left.value
        expected = factor if name in RULES_OF_THUMB else 1.0
        uncertain = left.error * measured + 2 * ROUNDINGS * unit_roundoff("float64")
        assert abs(measured - expected) <= uncertain, f"gain**2 E[phi(z)**2] is {measured:.12g}, not {expected:.12g}"

    settle(findings, table, is_as_documented)
    settle(findings, moment, does_to_the_second_moment, effect=Effect(factor, Unit.GAUSSIAN_MOMENT))


def parameter_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> list[Case]:
    return [exact_case(LEAKY, function())]


def parameter_questions(subject: Subject) -> Iterable[Question[Any]]:
    return [
        Question(LEAKY, "calculate_gain('leaky_relu', a) is sqrt(2 / (1 + a**2)) for every number a"),
        Question(REFUSED_SLOPE, "calculate_gain('leaky_relu', a) refuses what is no number by ValueError"),
        Question(REFUSED_NAME, "calculate_gain refuses an unknown nonlinearity by ValueError"),
    ]


@asks(LEAKY, parameter_cases, parameter_questions)
def test_slopes_count_and_nonsense_is_refused(case: Case, findings: Findings, target: Target) -> None:
    leaky, wrong_slope, wrong_name = findings.questions

    def follows_the_formula(a: Any) -> None:
        told, expected = target.calculate_gain("leaky_relu", a), math.sqrt(2 / (1 + a**2))
        assert is_within_rounding(told, expected), f"a={a!r}: it is {told!r}, not {expected!r}"

    def refuses_the_slope(a: Any) -> None:
        is_refused(target, "leaky_relu", a)

    def refuses_the_name(name: str) -> None:
        is_refused(target, name)

    settle(findings, leaky, follows_the_formula, EXAMPLES, a=numbers)
    settle(findings, wrong_slope, refuses_the_slope, EXAMPLES, a=no_slopes)
    settle(findings, wrong_name, refuses_the_name, EXAMPLES, name=unknown_nonlinearities)


def is_refused(target: Target, *arguments: Any) -> None:
    """Assert that `calculate_gain` refuses its arguments."""
    try:
        told = target.calculate_gain(*arguments)
    except ValueError:
        return
    raise AssertionError(f"{arguments!r} was accepted: {told!r}")
