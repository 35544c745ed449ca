"""Contract of the initializers, calls and refusals: one counterexample is a violation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from operator import eq
from typing import Any

import msgspec
import torch
from hypothesis import strategies as st

from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import DTYPES, Subject
from fixtures.target.seeds import seed_generators
from fixtures.target.target import Target
from fixtures.weights.draws import initialize
from fixtures.weights.layouts import cut
from fixtures.weights.strategies import weight_shapes
from fixtures.weights.streams import Stream, content
from suites.framework.exact_claims import Inconclusive, asks_exactly, settle
from suites.framework.findings import Findings
from suites.weights.spaces import no_slopes, unknown_modes, unknown_nonlinearities

EXAMPLES = 50
"""The spaces are small: a few dimensions of some length, a short text; fifty examples meet the ends and a good part."""

FEW_EXAMPLES = 20
"""Where torch itself raises, its older releases look up their own call stack, which takes 15 ms a time."""

ANY_VALUE = 0.5
"""Content of a tensor that must not be written: a value that every dtype has."""

SHAPE = (12, 8)
"""Where the shape does not matter: two different fans, and long enough for the vectorized path."""

TOO_FEW = Question[None](
    "weights.contract.dimensions", "refuses fewer than two dimensions by ValueError, and leaves the tensor as it was"
)
MODE = Question[None]("weights.contract.mode", "refuses an unknown mode by ValueError, and leaves the tensor as it was")
NONLINEARITY = Question[None](
    "weights.contract.nonlinearity", "refuses an unknown nonlinearity by ValueError, and leaves the tensor as it was"
)
SLOPE = Question[None](
    "weights.contract.slope", "refuses a slope that is no number by ValueError, and leaves the tensor as it was"
)
EXPANDED = Question[None](
    "weights.contract.expanded", "refuses an expanded tensor, whose elements share memory, by RuntimeError"
)
INTEGERS = Question[None]("weights.contract.integers", "refuses integer and boolean tensors by RuntimeError")
FLOAT8 = Question[None](
    "weights.contract.float8",
    "refuses float8 tensors by an error, and leaves them as they were",
)
EMPTY = Question[None]("weights.contract.empty", "returns a tensor without elements as it is, and draws nothing")
EMPTY_WARNING = Question[None]("weights.contract.empty_warning", "warns that initializing no elements does nothing")
META = Question[None]("weights.contract.meta", "returns a meta tensor as it is, and draws nothing")
SILENT = Question[None]("weights.contract.silent", "warns of nothing where a weight is initialized as documented")
DEFAULTS = Question[None](
    "weights.contract.defaults",
    "takes (tensor, a=0, mode='fan_in', nonlinearity='leaky_relu'), by place or by name, and means the same",
)


def refuses(call: Callable[[torch.Tensor], object], weight: torch.Tensor, error: type[Exception], words: str) -> None:
    """Assert that `call` refuses a weight by this exception and has not written to it."""
    before = content(weight)
    try:
        call(weight)
    except error:
        assert eq(content(weight), before), f"{words} was refused after the tensor had been written to"
        return
    raise AssertionError(f"{words} was accepted")


def refuses_with(
    subject: Subject, target: Target, error: type[Exception], weight: torch.Tensor | None = None, **changes: Any
) -> None:
    """Assert that initializing is refused by this exception where some of the subject's fields are changed."""
    words = ", ".join(f"{name}={value!r}" for name, value in changes.items())
    changed = msgspec.structs.replace(subject, **changes)
    weight = torch.full(SHAPE, ANY_VALUE, device=subject.device) if weight is None else weight
    refuses(lambda tensor: initialize(tensor, changed, target), weight, error, words or f"shape {tuple(weight.shape)}")


@asks_exactly(TOO_FEW)
def test_fewer_than_two_dimensions_are_refused(case: Case, findings: Findings, target: Target) -> None:
    def is_refused(shape: tuple[int, ...]) -> None:
        weight = torch.full(shape, ANY_VALUE, device=case.subject.device)
        refuses_with(case.subject, target, ValueError, weight)

    shapes = st.lists(st.integers(1, 64), max_size=1)
    settle(findings, findings.asked(TOO_FEW), is_refused, EXAMPLES, shape=shapes)


@asks_exactly(MODE)
def test_an_unknown_mode_is_refused(case: Case, findings: Findings, target: Target) -> None:
    def is_refused(mode: Any) -> None:
        refuses_with(case.subject, target, ValueError, mode=mode)

    settle(findings, findings.asked(MODE), is_refused, EXAMPLES, mode=unknown_modes)


@asks_exactly(NONLINEARITY)
def test_an_unknown_nonlinearity_is_refused(case: Case, findings: Findings, target: Target) -> None:
    def is_refused(nonlinearity: Any) -> None:
        refuses_with(case.subject, target, ValueError, nonlinearity=nonlinearity)

    settle(findings, findings.asked(NONLINEARITY), is_refused, EXAMPLES, nonlinearity=unknown_nonlinearities)


@asks_exactly(SLOPE)
def test_a_slope_that_is_no_number_is_refused(case: Case, findings: Findings, target: Target) -> None:
    def is_refused(a: Any) -> None:
        refuses_with(case.subject, target, ValueError, a=a)

    settle(findings, findings.asked(SLOPE), is_refused, EXAMPLES, a=no_slopes)


@asks_exactly(EXPANDED)
def test_an_expanded_tensor_is_refused(case: Case, findings: Findings, target: Target) -> None:
    def is_refused(shape: tuple[int, ...], dimension: int) -> None:
        dimension %= len(shape)
        held = torch.full([1 if place == dimension else size for place, size in enumerate(shape)], ANY_VALUE)
        refuses_with(case.subject, target, RuntimeError, held.to(case.subject.device).expand(shape))

    shapes = st.lists(st.integers(2, 9), min_size=2, max_size=5)
    settle(
        findings,
        findings.asked(EXPANDED),
        is_refused,
        FEW_EXAMPLES,
        shape=shapes,
        dimension=st.integers(0, 4),
    )


@asks_exactly(INTEGERS)
def test_integer_tensors_are_refused(case: Case, findings: Findings, target: Target) -> None:
    def is_refused(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
        weight = torch.ones(shape, dtype=dtype, device=case.subject.device)
        refuses(
            lambda tensor: initialize(tensor, case.subject, target), weight, RuntimeError, f"{dtype}, shape {shape}"
        )

    dtypes = st.sampled_from((torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64))
    settle(findings, findings.asked(INTEGERS), is_refused, FEW_EXAMPLES, dtype=dtypes, shape=weight_shapes(1000))


FLOAT8_TYPES = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")


@asks_exactly(FLOAT8)
def test_float8_tensors_are_refused(case: Case, findings: Findings, target: Target) -> None:
    dtypes = [getattr(torch, name) for name in FLOAT8_TYPES if hasattr(torch, name)]

    def is_refused() -> None:
        accepted = []
        for dtype in dtypes:
            weight = torch.ones(SHAPE, device=case.subject.device).to(dtype)
            before = weight.view(torch.uint8).clone()
            try:
                initialize(weight, case.subject, target)
            except (RuntimeError, TypeError, ValueError):  # NotImplementedError among them
                assert torch.equal(weight.view(torch.uint8), before), f"{dtype} was refused after it was written to"
            else:
                assert not torch.equal(weight.view(torch.uint8), before), f"{dtype} was accepted, and not written to"
                accepted.append(str(dtype))
        if accepted:
            raise Inconclusive(f"no law is known here of what is accepted: {', '.join(accepted)}")

    if dtypes:
        settle(findings, findings.asked(FLOAT8), is_refused)
    else:
        findings.no_evidence("this release of torch has no float8")


@st.composite
def empty_shapes(draw: st.DrawFn) -> tuple[int, ...]:
    """Shapes of 2 to 5 dimensions, one of them zero at least."""
    shape = draw(st.lists(st.integers(0, 8), min_size=1, max_size=4))
    shape.insert(draw(st.integers(0, len(shape))), 0)
    return tuple(shape)


@asks_exactly(EMPTY, EMPTY_WARNING)
def test_a_tensor_without_elements_is_left_alone(case: Case, findings: Findings, target: Target) -> None:
    stream = Stream(case.subject, target)

    def is_left_alone(shape: tuple[int, ...], dtype: Any) -> None:
        weight = torch.empty(shape, dtype=getattr(torch, dtype), device=case.subject.device)
        before = stream.state()
        returned = initialize(weight, case.subject, target)
        assert returned is weight, f"shape {shape}: another object is returned"
        assert weight.shape == shape, f"shape {shape} has become {tuple(weight.shape)}"
        assert torch.equal(stream.state(), before), f"shape {shape}: the default generator was used"

    def is_warned_of(shape: tuple[int, ...], dtype: Any) -> None:
        weight = torch.empty(shape, dtype=getattr(torch, dtype), device=case.subject.device)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            initialize(weight, case.subject, target)
        told = [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
        assert any("zero-element" in message for message in told), f"shape {shape}: warned of {told or 'nothing'}"

    space: dict[str, Any] = {"shape": empty_shapes(), "dtype": st.sampled_from(DTYPES)}
    settle(findings, findings.asked(EMPTY), is_left_alone, EXAMPLES, **space)
    settle(findings, findings.asked(EMPTY_WARNING), is_warned_of, EXAMPLES, **space)


@asks_exactly(META)
def test_a_meta_tensor_is_left_alone(case: Case, findings: Findings, target: Target) -> None:
    stream = Stream(case.subject, target)

    def is_left_alone(shape: tuple[int, ...], dtype: Any) -> None:
        weight = torch.empty(shape, dtype=getattr(torch, dtype), device="meta")
        before = stream.state()
        returned = initialize(weight, case.subject, target)
        assert returned is weight, f"shape {shape}: another object is returned"
        assert torch.equal(stream.state(), before), f"shape {shape}: the default generator was used"

    space: dict[str, Any] = {"shape": weight_shapes(), "dtype": st.sampled_from(DTYPES)}
    settle(findings, findings.asked(META), is_left_alone, EXAMPLES, **space)


@asks_exactly(SILENT, about=({"shape": SHAPE, "dtype": dtype} for dtype in DTYPES))
def test_a_usual_call_warns_of_nothing(case: Case, findings: Findings, target: Target) -> None:
    def warns_of_nothing() -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            initialize(cut(case.subject, math.nan).weight, case.subject, target)
        assert not caught, f"{caught[0].category.__name__}: {caught[0].message}"

    settle(findings, findings.asked(SILENT), warns_of_nothing)


@asks_exactly(DEFAULTS, about=({"shape": SHAPE},))
def test_parameters_have_their_documented_names_order_and_defaults(
    case: Case, findings: Findings, target: Target
) -> None:
    function = getattr(target, case.subject.initializer)
    calls: dict[str, Callable[[torch.Tensor], object]] = {
        "defaults": lambda weight: function(weight),
        "by place": lambda weight: function(weight, 0, "fan_in", "leaky_relu"),
        "by name": lambda weight: function(tensor=weight, a=0, mode="fan_in", nonlinearity="leaky_relu"),
    }

    def all_give_the_same() -> None:
        given = {}
        for words, call in calls.items():
            seed_generators(findings.seed("defaults"))
            weight = cut(case.subject, math.nan).weight
            call(weight)
            given[words] = content(weight)
        for words, weights in given.items():
            assert eq(weights, given["by name"]), f"{words} and by name give different weights from the same seed"

    settle(findings, findings.asked(DEFAULTS), all_give_the_same)
