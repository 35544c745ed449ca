"""Training from given weights, moved before each step."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from fixtures.model.allowance import SPREAD
from fixtures.model.initial import tensors_of
from fixtures.model.trajectories import Course, OtherTensors, fitting, load, movement, training_of
from fixtures.statistics.ranks import rank_sum_p
from suites.machinery.chance import SURE

pytestmark = SURE


@pytest.fixture
def course():
    model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4))
    inputs, labels = torch.randn(16, 8), torch.arange(16) % 4
    return Course(
        model,
        {name: tensor.clone() for name, _, tensor in tensors_of(model)},
        lambda trained: functional.cross_entropy(trained(inputs), labels),
        lambda trained: torch.optim.SGD(trained.parameters(), lr=0.1),
    )


def losses(training):
    return np.array(training.losses)


def test_every_run_starts_from_the_same_weights_and_learns(course):
    found = training_of(course, 5, 0.0, 1)

    assert len(set(found.losses)) == 1  # unmoved, all runs are one
    assert found.losses[0] == found.plain_losses
    assert found.plain_losses[-1] < found.plain_losses[0]
    assert found.modules == ("0", "2")
    assert np.allclose(np.square(found.by_module[0]).sum(axis=1), np.square(found.gradients[0]))


@pytest.mark.large_draws
def test_moved_runs_scatter_by_about_the_movement(course):
    by = movement(16, 2.0**-24)
    found = losses(training_of(course, 5, by, 1))

    spread = found.std(axis=0) / found.mean(axis=0)
    assert (spread > by / 100).all()
    assert (spread < by).all()


def test_the_movement_is_what_a_sum_of_that_length_may_differ_by():
    assert movement(784, 2.0**-24) == pytest.approx(SPREAD * math.sqrt(784 / 6 + 1 / 3) * 2.0**-24)


@pytest.mark.parametrize("roundoff", [2.0**-8, 2.0**-11])
def test_half_types_move_by_what_they_store_and_not_by_sums_that_float32_keeps(roundoff):
    # To the variance of one rounding, 1 / 3, float32's sum adds 784 / 6 times the square of its share of a half type's.
    of_sums = 784 / 4 * (2.0**-24 / roundoff) ** 2
    assert movement(784, roundoff) == pytest.approx(SPREAD * math.sqrt(1 / 3) * roundoff, rel=of_sums)


@pytest.mark.large_draws
def test_a_fault_above_the_movement_separates_the_sides_completely(course, monkeypatch):
    """A loss that is a thousandth too large. What a fault of a module does to a loss may have either sign, and be 0."""
    by = movement(16, 2.0**-24)
    before = losses(training_of(course, 5, by, 1))
    loss = functional.cross_entropy
    monkeypatch.setattr(functional, "cross_entropy", lambda outputs, labels: loss(outputs, labels) * (1 + 1e-3))
    after = losses(training_of(course, 5, by, 2))

    assert rank_sum_p(before[:, -1], after[:, -1]) < 1e-9


def test_another_models_state_is_refused_by_the_names_that_differ(course):
    state = dict(course.state)
    state["3.weight"] = state.pop("2.weight")
    with pytest.raises(OtherTensors, match=r"the model lacks 3.weight and adds 2.weight"):
        load(course.model, state)

    with pytest.raises(OtherTensors, match=r"2.bias is \(4,\) torch.float32, and the baseline's \(5,\)"):
        load(course.model, {**course.state, "2.bias": torch.zeros(5)})


@pytest.mark.large_draws
def test_an_optimizer_that_asks_for_a_closure_is_given_one(course):
    asking = dataclasses.replace(course, optimizer=lambda trained: torch.optim.LBFGS(trained.parameters(), max_iter=4))
    found = training_of(asking, 3, 0.0, 1)

    assert found.optimizer == "LBFGS"
    assert found.plain_losses[-1] < 0.9 * found.plain_losses[0]  # four evaluations a step: far more than plain SGD does


def test_a_state_fits_a_model_with_other_buffers_and_none_with_other_parameters(course):
    course.model.register_buffer("table", torch.arange(3.0), persistent=False)
    state = {**course.state, "old": torch.ones(2)}
    found = fitting(state, course.model, {"old"})
    load(course.model, found)

    assert found.keys() == {*course.state, "table"}
    assert torch.equal(found["table"], torch.arange(3.0))
    for buffers in (set(), {"0.weight"}):
        with pytest.raises(OtherTensors, match=r"the model lacks old"):
            load(course.model, fitting(state, course.model, buffers))
