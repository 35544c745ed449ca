"""How the initializers are called, and what they refuse: one counterexample is a violation."""

from __future__ import annotations

import math
import warnings
from operator import eq

import msgspec
import torch
from hypothesis import strategies as st

from fixtures.record.subject import DTYPES
from fixtures.weights.draws import initialize
from fixtures.weights.layouts import cut
from fixtures.weights.strategies import weight_shapes
from fixtures.weights.streams import Stream, content
from suites.framework.refuting import ExactClaim, asks_exactly, settle
from suites.weights.spaces import no_slopes, unknown_modes, unknown_nonlinearities

EXAMPLES = 50
"""The spaces are small: a few dimensions of some length, a short text; fifty examples meet the ends and a good part."""

FEW_EXAMPLES = 20
"""Where torch itself raises, its older releases look up their own call stack, which takes 15 ms a time."""

ANY_VALUE = 0.5
"""What a tensor that must not be written holds: a value that every dtype has."""

SHAPE = (12, 8)
"""Where the shape does not matter: two different fans, and long enough for the vectorized path."""

TOO_FEW = ExactClaim(
    "weights.contract.dimensions", "refuses fewer than two dimensions by ValueError, and leaves the tensor as it was"
)
MODE = ExactClaim("weights.contract.mode", "refuses an unknown mode by ValueError, and leaves the tensor as it was")
NONLINEARITY = ExactClaim(
    "weights.contract.nonlinearity", "refuses an unknown nonlinearity by ValueError, and leaves the tensor as it was"
)
SLOPE = ExactClaim(
    "weights.contract.slope", "refuses a slope that is no number by ValueError, and leaves the tensor as it was"
)
EXPANDED = ExactClaim(
    "weights.contract.expanded", "refuses an expanded tensor, whose elements share memory, by RuntimeError"
)
INTEGERS = ExactClaim("weights.contract.integers", "refuses integer and boolean tensors by RuntimeError")
EMPTY = ExactClaim("weights.contract.empty", "returns a tensor without elements as it is, and draws nothing")
EMPTY_WARNING = ExactClaim("weights.contract.empty_warning", "warns that initializing no elements does nothing")
META = ExactClaim("weights.contract.meta", "returns a meta tensor as it is, and draws nothing")
SILENT = ExactClaim("weights.contract.silent", "warns of nothing where a weight is initialized as documented")
DEFAULTS = ExactClaim(
    "weights.contract.defaults",
    "takes (tensor, a=0, mode='fan_in', nonlinearity='leaky_relu'), by place or by name, and means the same",
)


def refuses(call, weight, error, words):
    """That `call` refuses a weight by this exception and has not written to it."""
    before = content(weight)
    try:
        call(weight)
    except error:
        assert eq(content(weight), before), f"{words} was refused after the tensor had been written to"
        return
    raise AssertionError(f"{words} was accepted")


def refuses_with(subject, target, error, weight=None, **changes):
    """That initializing is refused by this exception where some of the subject's fields are changed."""
    words = ", ".join(f"{name}={value!r}" for name, value in changes.items())
    changed = msgspec.structs.replace(subject, **changes)
    weight = torch.full(SHAPE, ANY_VALUE, device=subject.device) if weight is None else weight
    refuses(lambda tensor: initialize(tensor, changed, target), weight, error, words or f"shape {tuple(weight.shape)}")


@asks_exactly(TOO_FEW)
def test_fewer_than_two_dimensions_are_refused(case, findings, target):
    def is_refused(shape):
        weight = torch.full(shape, ANY_VALUE, device=case.subject.device)
        refuses_with(case.subject, target, ValueError, weight)

    shapes = st.lists(st.integers(1, 64), max_size=1)
    settle(findings, TOO_FEW.question(case.subject), is_refused, EXAMPLES, shape=shapes)


@asks_exactly(MODE)
def test_an_unknown_mode_is_refused(case, findings, target):
    def is_refused(mode):
        refuses_with(case.subject, target, ValueError, mode=mode)

    settle(findings, MODE.question(case.subject), is_refused, EXAMPLES, mode=unknown_modes)


@asks_exactly(NONLINEARITY)
def test_an_unknown_nonlinearity_is_refused(case, findings, target):
    def is_refused(nonlinearity):
        refuses_with(case.subject, target, ValueError, nonlinearity=nonlinearity)

    settle(findings, NONLINEARITY.question(case.subject), is_refused, EXAMPLES, nonlinearity=unknown_nonlinearities)


@asks_exactly(SLOPE)
def test_a_slope_that_is_no_number_is_refused(case, findings, target):
    def is_refused(a):
        refuses_with(case.subject, target, ValueError, a=a)

    settle(findings, SLOPE.question(case.subject), is_refused, EXAMPLES, a=no_slopes)


@asks_exactly(EXPANDED)
def test_an_expanded_tensor_is_refused(case, findings, target):
    def is_refused(shape, dimension):
        dimension %= len(shape)
        held = torch.full([1 if place == dimension else size for place, size in enumerate(shape)], ANY_VALUE)
        refuses_with(case.subject, target, RuntimeError, held.to(case.subject.device).expand(shape))

    shapes = st.lists(st.integers(2, 9), min_size=2, max_size=5)
    settle(
        findings,
        EXPANDED.question(case.subject),
        is_refused,
        FEW_EXAMPLES,
        shape=shapes,
        dimension=st.integers(0, 4),
    )


@asks_exactly(INTEGERS)
def test_integer_tensors_are_refused(case, findings, target):
    def is_refused(dtype, shape):
        weight = torch.ones(shape, dtype=dtype, device=case.subject.device)
        refuses(
            lambda tensor: initialize(tensor, case.subject, target), weight, RuntimeError, f"{dtype}, shape {shape}"
        )

    dtypes = st.sampled_from((torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64))
    settle(findings, INTEGERS.question(case.subject), is_refused, FEW_EXAMPLES, dtype=dtypes, shape=weight_shapes(1000))


@st.composite
def empty_shapes(draw):
    """Shapes of 2 to 5 dimensions, one of them zero at least."""
    shape = draw(st.lists(st.integers(0, 8), min_size=1, max_size=4))
    shape.insert(draw(st.integers(0, len(shape))), 0)
    return tuple(shape)


@asks_exactly(EMPTY, EMPTY_WARNING)
def test_a_tensor_without_elements_is_left_alone(case, findings, target):
    stream = Stream(case.subject, target)

    def is_left_alone(shape, dtype):
        weight = torch.empty(shape, dtype=getattr(torch, dtype), device=case.subject.device)
        before = stream.state()
        returned = initialize(weight, case.subject, target)
        assert returned is weight, f"shape {shape}: another object is returned"
        assert weight.shape == shape, f"shape {shape} has become {tuple(weight.shape)}"
        assert torch.equal(stream.state(), before), f"shape {shape}: the default generator was used"

    def is_warned_of(shape, dtype):
        weight = torch.empty(shape, dtype=getattr(torch, dtype), device=case.subject.device)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            initialize(weight, case.subject, target)
        told = [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
        assert any("zero-element" in message for message in told), f"shape {shape}: warned of {told or 'nothing'}"

    space = {"shape": empty_shapes(), "dtype": st.sampled_from(DTYPES)}
    settle(findings, EMPTY.question(case.subject), is_left_alone, EXAMPLES, **space)
    settle(findings, EMPTY_WARNING.question(case.subject), is_warned_of, EXAMPLES, **space)


@asks_exactly(META)
def test_a_meta_tensor_is_left_alone(case, findings, target):
    stream = Stream(case.subject, target)

    def is_left_alone(shape, dtype):
        weight = torch.empty(shape, dtype=getattr(torch, dtype), device="meta")
        before = stream.state()
        returned = initialize(weight, case.subject, target)
        assert returned is weight, f"shape {shape}: another object is returned"
        assert torch.equal(stream.state(), before), f"shape {shape}: the default generator was used"

    space = {"shape": weight_shapes(), "dtype": st.sampled_from(DTYPES)}
    settle(findings, META.question(case.subject), is_left_alone, EXAMPLES, **space)


@asks_exactly(SILENT, about=({"shape": SHAPE, "dtype": dtype} for dtype in DTYPES))
def test_a_usual_call_warns_of_nothing(case, findings, target):
    def warns_of_nothing():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            initialize(cut(case.subject, math.nan).weight, case.subject, target)
        assert not caught, f"{caught[0].category.__name__}: {caught[0].message}"

    settle(findings, SILENT.question(case.subject), warns_of_nothing)


@asks_exactly(DEFAULTS, about=({"shape": SHAPE},))
def test_parameters_have_their_documented_names_order_and_defaults(case, findings, target):
    function = getattr(target, case.subject.initializer)
    calls = {
        "defaults": lambda weight: function(weight),
        "by place": lambda weight: function(weight, 0, "fan_in", "leaky_relu"),
        "by name": lambda weight: function(tensor=weight, a=0, mode="fan_in", nonlinearity="leaky_relu"),
    }

    def all_give_the_same():
        given = {}
        for words, call in calls.items():
            torch.manual_seed(findings.seed("defaults"))
            weight = cut(case.subject, math.nan).weight
            call(weight)
            given[words] = content(weight)
        for words, weights in given.items():
            assert eq(weights, given["by name"]), f"{words} and by name give different weights from the same seed"

    settle(findings, DEFAULTS.question(case.subject), all_give_the_same)
