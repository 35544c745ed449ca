"""Initializing is no operation of the network: whatever state autograd is in, nothing of it changes but the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from fixtures.record.kinds import Initialization
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.target.target import Target
from fixtures.weights.draws import initialize
from fixtures.weights.layouts import cut
from suites.framework.exact_claims import asks_exactly, settle
from suites.framework.findings import Findings

SHAPE = (12, 8)
"""Long enough for the vectorized path; what autograd does depends on neither shape nor dtype."""

NO_GRAPH = Question[None](
    "weights.contract.autograd", "records no graph and keeps requires_grad, is_leaf, grad_fn and grad"
)
WRITTEN = Question[None]("weights.contract.written", "writes a finite value to every element")
GRAD_MODE = Question[None]("weights.contract.grad_mode", "leaves grad mode and inference mode as they were")
STALE = Question[None](
    "weights.contract.stale_graph", "lets autograd notice that weights which it has saved are overwritten"
)


Watched = tuple[torch.Tensor, torch.Tensor]
"""The weight to initialize, and the tensor whose autograd properties must stay."""


@dataclass(frozen=True)
class State:
    """A weight, and the state of autograd in which it is initialized.

    Attributes:
        prepare: tensor full of NaN -> what is watched.
        context: within which it is initialized.
    """

    prepare: Callable[[torch.Tensor], Watched]
    context: Callable[[], AbstractContextManager[Any]] = torch.enable_grad


def itself(weight: torch.Tensor) -> Watched:
    return weight, weight


def parameter(weight: torch.Tensor) -> Watched:
    return itself(torch.nn.Parameter(weight))


def parameter_with_gradient(weight: torch.Tensor) -> Watched:
    weight = torch.nn.Parameter(weight)
    weight.grad = torch.ones_like(weight)
    return itself(weight)


def non_leaf(weight: torch.Tensor) -> Watched:
    return itself(weight.requires_grad_() * 1)


def transposed_parameter(weight: torch.Tensor) -> Watched:
    """torch's documentation of `kaiming_normal_` asks for `w.T` where the layer computes `x @ w`."""
    weight = torch.nn.Parameter(weight)
    return weight.T, weight


def inference_tensor(weight: torch.Tensor) -> Watched:
    with torch.inference_mode():
        return itself(weight.clone())


STATES = {
    "leaf": State(lambda weight: itself(weight.requires_grad_())),
    "parameter": State(parameter),
    "frozen_parameter": State(lambda weight: itself(torch.nn.Parameter(weight, requires_grad=False))),
    "parameter_with_gradient": State(parameter_with_gradient),
    "transposed_parameter": State(transposed_parameter),
    "non_leaf": State(non_leaf),
    "no_grad": State(parameter, torch.no_grad),
    "inference_mode": State(parameter, torch.inference_mode),
    "inference_tensor": State(inference_tensor, torch.inference_mode),
}


@contextmanager
def scene(case: Case) -> Iterator[Watched]:
    """A weight in the subject's state, and what is watched of it; within the state's context."""
    state = STATES[case.subject.expect(Initialization).way]
    with torch.enable_grad():
        weight, watched = state.prepare(nan_weight(case))
    with state.context():
        yield weight, watched


@asks_exactly(NO_GRAPH, WRITTEN, GRAD_MODE, about=[{"shape": SHAPE, "path": state} for state in STATES])
def test_autograd_takes_no_notice(case: Case, findings: Findings, target: Target) -> None:
    def records_nothing() -> None:
        with scene(case) as (weight, watched):
            before = properties(watched)
            returned = initialize(weight, case.subject, target)
            assert returned is weight, f"{type(returned).__name__} returned that is another object"
            after = properties(watched)
        changed = [name for name in before if before[name] is not after[name]]
        assert not changed, f"{', '.join(changed)} changed"

    def writes() -> None:
        with scene(case) as (weight, watched):
            initialize(weight, case.subject, target)
            assert torch.isfinite(watched).all(), "elements are unwritten or not finite"

    def leaves_the_mode() -> None:
        with scene(case) as (weight, _):
            before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
            initialize(weight, case.subject, target)
            after = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        assert after == before, f"(grad mode, inference mode) was {before} and is {after}"

    settle(findings, findings.asked(NO_GRAPH), records_nothing)
    settle(findings, findings.asked(WRITTEN), writes)
    settle(findings, findings.asked(GRAD_MODE), leaves_the_mode)


def nan_weight(case: Case) -> torch.Tensor:
    """A tensor full of NaN, so that what is left unwritten shows."""
    return cut(case.subject, math.nan).weight


def properties(tensor: torch.Tensor) -> dict[str, Any]:
    """Properties that must not change, to be compared by identity."""
    return {
        "class": type(tensor),
        "requires_grad": tensor.requires_grad,
        "is_leaf": tensor.is_leaf,
        "grad_fn": tensor.grad_fn,
        "grad": tensor.grad if tensor.is_leaf else None,
    }


@asks_exactly(STALE, about=[{"shape": SHAPE}])
def test_a_saved_weight_is_known_to_be_overwritten(case: Case, findings: Findings, target: Target) -> None:
    def is_noticed() -> None:
        weight = torch.nn.Parameter(nan_weight(case))
        saves_it = (weight * weight).sum()
        initialize(weight, case.subject, target)
        try:
            saves_it.backward()  # type: ignore[no-untyped-call]  # torch does not say
        except RuntimeError:
            return
        raise AssertionError("a backward pass through the old weights used the new ones")

    settle(findings, findings.asked(STALE), is_noticed)
