"""Initializing is no operation of the network: whatever state autograd is in, nothing of it changes but the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch

from fixtures.weights.draws import initialize
from fixtures.weights.layouts import cut
from suites.framework.refuting import ExactClaim, asks_exactly, settle

SHAPE = (12, 8)
"""Long enough for the vectorized path; what autograd does depends on neither shape nor dtype."""

NO_GRAPH = ExactClaim(
    "weights.contract.autograd", "records no graph and keeps requires_grad, is_leaf, grad_fn and grad"
)
WRITTEN = ExactClaim("weights.contract.written", "writes a finite value to every element")
GRAD_MODE = ExactClaim("weights.contract.grad_mode", "leaves grad mode and inference mode as they were")
STALE = ExactClaim(
    "weights.contract.stale_graph", "lets autograd notice that weights which it has saved are overwritten"
)


@dataclass(frozen=True)
class State:
    """A weight, and the state of autograd in which it is initialized.

    Attributes:
        prepare: tensor full of NaN -> the weight to initialize, and the tensor whose autograd properties must stay.
        context: within which it is initialized.
    """

    prepare: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    context: Callable[[], AbstractContextManager] = torch.enable_grad


def itself(weight):
    return weight, weight


def parameter(weight):
    return itself(torch.nn.Parameter(weight))


def parameter_with_gradient(weight):
    weight = torch.nn.Parameter(weight)
    weight.grad = torch.ones_like(weight)
    return itself(weight)


def non_leaf(weight):
    return itself(weight.requires_grad_() * 1)


def transposed_parameter(weight):
    """torch's documentation of `kaiming_normal_` asks for `w.T` where the layer computes `x @ w`."""
    weight = torch.nn.Parameter(weight)
    return weight.T, weight


def inference_tensor(weight):
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
def scene(case):
    """A weight in the subject's state, and what is watched of it; within the state's context."""
    state = STATES[case.subject.path]
    with torch.enable_grad():
        weight, watched = state.prepare(nan_weight(case))
    with state.context():
        yield weight, watched


@asks_exactly(NO_GRAPH, WRITTEN, GRAD_MODE, about=[{"shape": SHAPE, "path": state} for state in STATES])
def test_autograd_takes_no_notice(case, findings, target):
    def records_nothing():
        with scene(case) as (weight, watched):
            before = properties(watched)
            returned = initialize(weight, case.subject, target)
            assert returned is weight, f"{type(returned).__name__} returned that is another object"
            after = properties(watched)
        changed = [name for name in before if before[name] is not after[name]]
        assert not changed, f"{', '.join(changed)} changed"

    def writes():
        with scene(case) as (weight, watched):
            initialize(weight, case.subject, target)
            assert torch.isfinite(watched).all(), "elements are unwritten or not finite"

    def leaves_the_mode():
        with scene(case) as (weight, _):
            before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
            initialize(weight, case.subject, target)
            after = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        assert after == before, f"(grad mode, inference mode) was {before} and is {after}"

    settle(findings, NO_GRAPH.question(case.subject), records_nothing)
    settle(findings, WRITTEN.question(case.subject), writes)
    settle(findings, GRAD_MODE.question(case.subject), leaves_the_mode)


def nan_weight(case):
    """A tensor full of NaN, so that what is left unwritten shows."""
    return cut(case.subject, math.nan).weight


def properties(tensor):
    """What must not change, to be compared by identity."""
    return {
        "class": type(tensor),
        "requires_grad": tensor.requires_grad,
        "is_leaf": tensor.is_leaf,
        "grad_fn": tensor.grad_fn,
        "grad": tensor.grad if tensor.is_leaf else None,
    }


@asks_exactly(STALE, about=[{"shape": SHAPE}])
def test_a_saved_weight_is_known_to_be_overwritten(case, findings, target):
    def is_noticed():
        weight = torch.nn.Parameter(nan_weight(case))
        saves_it = (weight * weight).sum()
        initialize(weight, case.subject, target)
        try:
            saves_it.backward()
        except RuntimeError:
            return
        raise AssertionError("a backward pass through the old weights used the new ones")

    settle(findings, STALE.question(case.subject), is_noticed)
