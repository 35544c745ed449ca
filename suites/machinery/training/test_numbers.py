"""Numbers of twenty steps see what a release might do to them, and are not disturbed by sums in another order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from fixtures.faults.registry import plant
from fixtures.record.kinds import Architecture
from fixtures.record.subject import Subject
from fixtures.rounding.comparison import in_float64
from fixtures.training import numbers
from fixtures.training.networks import drawn, layers_of
from fixtures.training.numbers import ROUNDINGS, SAMPLES, SEED, numbers_of, train
from reports.drift.numbers import Outcome, compared
from suites.training.test_numbers import QUICK

pytestmark = [pytest.mark.large_draws, pytest.mark.draws(0, "numbers of the product's own, the same in every run")]

SUBJECTS = {str(optimizer.network): Subject.of(optimizer) for optimizer in QUICK}
TUTORIAL = SUBJECTS["tutorial"]
CONVOLUTIONAL = SUBJECTS["convolutional"]


@pytest.fixture(scope="module")
def healthy():
    """Numbers of every network, by its path."""
    return {path: numbers_of(subject)[0] for path, subject in SUBJECTS.items()}


def drift_with(fault, subject, healthy, monkeypatch):
    monkeypatch.setattr(numbers, "RUNS", FEW)
    take_out = plant(fault)
    try:
        return compared(subject.key, healthy[subject.path], numbers_of(subject)[0])
    finally:
        take_out()


SEEN = {
    "optimizer-step-skipped": ("tutorial", "the update of layer 1 of step 2"),
    "learning-rate-1-percent": ("tutorial", "the update of layer 1 of step 1"),
    "gradient-not-zeroed": ("tutorial", "the gradient of layer 3 of step 2"),
    "loss-sum-for-mean": ("tutorial", "the loss of step 1"),
    "relu-backward-leaks": ("tutorial", "the gradient of layer 2 of step 1"),
    "bias-correction-missing": ("convolutional", "the update of layer 1 of step 1"),
    "decay-of-the-wrong-tensors": ("convolutional", "the update of layer 1 of step 1"),
}
"""By what each fault is told, and on which network. Factors rounded to TF32 are not told from sums of a thousand
products in another order: that is a matter of single links (suites/training/test_step.py)."""

FEW = {ROUNDINGS: 2, 1: 1}
"""Moved runs of a faulty candidate; the baseline's are all there."""


@pytest.mark.parametrize("fault", SEEN)
def test_a_fault_changes_the_numbers_at_the_step_and_layer_where_it_acts(fault, healthy, monkeypatch):
    path, named = SEEN[fault]

    drift = drift_with(fault, SUBJECTS[path], healthy, monkeypatch)

    assert drift.outcome is Outcome.DIFFERENT
    assert drift.text.startswith(named)


def test_a_fault_of_adam_is_one_of_adamw_whichever_of_them_was_made_first(healthy, monkeypatch):
    """A process whose first optimizer is an AdamW gives it its own step, which a patch of Adam's does not reach."""
    monkeypatch.setattr(torch.optim.AdamW, "step", torch.optim.AdamW.step)

    assert drift_with("bias-correction-missing", CONVOLUTIONAL, healthy, monkeypatch).outcome is Outcome.DIFFERENT


def in_float64_once(inputs, weight, bias):
    """A linear layer whose sums are rounded once."""
    return functional.linear(inputs.double(), weight.double(), bias.double()).float()


def in_reverse(inputs, weight, bias):
    """A linear layer that adds its products in the opposite order."""
    return inputs.flip(-1) @ weight.flip(-1).T + bias


@pytest.mark.parametrize("replacement", [in_float64_once, in_reverse])
@pytest.mark.parametrize("path", SUBJECTS)
def test_sums_in_another_order_are_within_rounding(path, replacement, healthy, monkeypatch):
    sound = functional.linear

    def linear(inputs, weight, bias):
        monkeypatch.setattr(functional, "linear", sound)
        try:
            return replacement(inputs, weight, bias)
        finally:
            monkeypatch.setattr(functional, "linear", linear)

    monkeypatch.setattr(functional, "linear", linear)
    monkeypatch.setattr(numbers, "RUNS", FEW)
    drift = compared(path, healthy[path], numbers_of(SUBJECTS[path])[0])

    assert drift.outcome is Outcome.ROUNDING


def test_the_same_numbers_again_have_the_same_bits(healthy):
    again = train(TUTORIAL)

    assert (again.digests == healthy["tutorial"].digests).all()
    assert (again.trajectory.losses == healthy["tutorial"].plain.losses).all()


def test_the_first_gradient_norms_are_those_of_the_network(healthy):
    """The numbers by NumPy, from the tutorial's network written out."""
    network, batch = drawn(Architecture("tutorial"), SEED, SAMPLES)
    weights = [(in_float64(layer.weight), in_float64(layer.bias)) for layer in layers_of(network)]
    signals = [batch.inputs]
    for place, (weight, bias) in enumerate(weights):
        z = signals[-1] @ weight.T + bias
        signals.append(z if place == len(weights) - 1 else np.maximum(z, 0))
    logits = signals.pop()
    p = np.exp(logits - logits.max(1, keepdims=True))
    sent = p / p.sum(1, keepdims=True)
    rows = np.arange(SAMPLES)
    loss = -np.log(sent[rows, batch.labels]).mean()
    sent[rows, batch.labels] -= 1
    sent /= SAMPLES
    norms = []
    for (weight, _), h in zip(weights[::-1], signals[::-1], strict=True):
        norms.insert(0, np.sqrt(((sent.T @ h) ** 2).sum() + (sent.sum(0) ** 2).sum()))
        sent = (sent @ weight) * (h > 0)

    assert healthy["tutorial"].plain.losses[0] == pytest.approx(loss, rel=1e-5)
    assert healthy["tutorial"].plain.gradient_norms[0] == pytest.approx(np.array(norms), rel=1e-4)


def test_moving_weights_moves_each_by_its_own_ulps_and_no_digest_is_kept_of_it():
    moved = train(CONVOLUTIONAL, moved_by=1, seed=3)

    assert moved.digests.shape == (20, 0)
    assert torch.get_default_dtype() is torch.float32
    assert not (moved.trajectory.losses == train(CONVOLUTIONAL).trajectory.losses).all()
