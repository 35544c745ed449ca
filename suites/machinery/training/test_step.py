"""The bounds of a step: what they are counted for keeps them in any dtype, and little beyond it is seen."""

from __future__ import annotations

import dataclasses

import mpmath
import numpy as np
import pytest
import torch
from msgspec.structs import replace

from fixtures.faults.registry import plant
from fixtures.operations import optimizers
from fixtures.record.kinds import Architecture
from fixtures.record.subject import HALF_TYPES, Subject
from fixtures.rounding.comparison import in_float64
from fixtures.rounding.matmul import rounded_once
from fixtures.statistics.formats import unit_roundoff
from fixtures.target.arithmetic import PROCESSOR
from fixtures.training import steps
from fixtures.training.networks import CLASSES, drawn, layers_of
from fixtures.training.step_links import CrossEntropy
from fixtures.training.steps import step_findings
from suites.machinery.chance import SURE, fresh_seed
from suites.training.subjects import CONVOLUTIONAL, TUTORIAL
from suites.training.test_step import OPTIMIZERS
from suites.training.test_step import subjects as asked_subjects

pytestmark = SURE

SMALL = Architecture("deep", 3, 16)
DIGITS = 40


def broken(found):
    """Quantities that are beyond their bound."""
    parts = {"forward": found.forward, "loss": found.loss, "backward": found.backward, **found.updates}
    return {name for name, compared in parts.items() if compared and compared.counterexample}


def on(network, optimizer=OPTIMIZERS[0], dtype="float32"):
    return Subject.of(replace(optimizer, network=network), dtype=dtype)


@pytest.mark.large_draws
@pytest.mark.parametrize("network", [TUTORIAL, SMALL, CONVOLUTIONAL], ids=str)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.initializer)
def test_in_float64_a_step_keeps_bounds_that_are_half_a_billion_times_smaller(optimizer, network):
    """A formula that is not the optimizer's own would show; the unit roundoff is 2**-29 times that of float32."""
    assert not broken(step_findings(on(network, optimizer, "float64"), fresh_seed()))


@pytest.mark.parametrize("error", [1e-3, -1e-3])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.initializer)
def test_a_learning_rate_off_by_a_tenth_of_a_percent_is_seen(optimizer, error, monkeypatch):
    sound = steps.rule_of

    def expecting_another(asked, dtype, dimensions):
        rule = sound(asked, dtype, dimensions)
        rule.lr *= 1 + error
        return rule

    monkeypatch.setattr(steps, "rule_of", expecting_another)

    assert broken(step_findings(on(SMALL, optimizer), fresh_seed())) >= {"default", "foreach"}


@pytest.mark.parametrize(("fault", "network"), [("matmul-of-tf32", SMALL), ("convolution-of-tf32", CONVOLUTIONAL)])
def test_factors_rounded_to_ten_bits_are_seen(fault, network):
    take_out = plant(fault)
    try:
        assert "forward" in broken(step_findings(on(network), fresh_seed()))
    finally:
        take_out()


def test_one_gradient_in_a_thousand_that_is_off_by_a_thousandth_is_seen(monkeypatch):
    sound = steps.backward_compared

    def disturbed(passed, dtype):
        gradient = passed[0].module.weight.grad.view(-1)
        gradient[gradient.abs().argmax()] *= 1.001  # of another one little may be left: terms cancel, or none is there
        return sound(passed, dtype)

    monkeypatch.setattr(steps, "backward_compared", disturbed)

    assert broken(step_findings(on(SMALL), fresh_seed())) == {"backward"}


def logits_and_labels():
    """Samples whose largest logits exceed the others by little, by much, and by more than exponentials hold."""
    draws = np.random.default_rng(fresh_seed())
    z = draws.standard_normal((4, CLASSES)) * np.array([[0.1], [3.0], [30.0], [900.0]])
    return z, np.array([3, 0, 7, 1])


def exact_cross_entropy(z, labels):
    """Mean and its gradient, by mpmath."""
    with mpmath.workdps(DIGITS):
        exponentials = [[mpmath.exp(mpmath.mpf(value)) for value in row] for row in z.tolist()]
        p = [[value / mpmath.fsum(row) for value in row] for row in exponentials]
        loss = -mpmath.fsum(mpmath.log(row[label]) for row, label in zip(p, labels, strict=True)) / len(z)
        gradient = [
            [(value - (place == label)) / len(z) for place, value in enumerate(row)]
            for row, label in zip(p, labels, strict=True)
        ]
    return float(loss), np.array(gradient, dtype=float)


def test_the_cross_entropy_is_the_exact_one_within_half_of_the_bound_of_float64():
    """The bound counts every rounding twice in float64, once for torch and once for NumPy."""
    z, labels = logits_and_labels()
    loss, gradient = exact_cross_entropy(z, labels)

    found = CrossEntropy.of(z, labels, torch.float64, torch.float64, "mean")

    assert abs(found.loss - loss) <= found.loss_bound / 2
    assert (np.abs(found.gradient - gradient) <= found.gradient_bound / 2).all()
    assert found.loss_bound < 100 * CLASSES * unit_roundoff("float64") * np.abs(z).max()


def test_the_sum_is_the_mean_times_the_number_of_samples():
    z, labels = logits_and_labels()

    mean, total = (CrossEntropy.of(z, labels, torch.float32, torch.float32, how) for how in ("mean", "sum"))

    assert total.loss == pytest.approx(len(z) * mean.loss)
    assert total.gradient == pytest.approx(len(z) * mean.gradient)


@pytest.mark.parametrize("dtype", HALF_TYPES)
def test_weights_are_rounded_as_autocast_rounds_them(dtype):
    network, _ = drawn(TUTORIAL, fresh_seed(), samples=1)
    for layer in layers_of(network.float()):
        exact = in_float64(layer.weight)
        rounded = in_float64(layer.weight.to(getattr(torch, dtype)))
        normal = np.abs(exact) >= torch.finfo(getattr(torch, dtype)).tiny  # what is less may yet be rounded to that

        assert (rounded_once(exact, dtype) == rounded)[normal].all()


def test_networks_and_batches_are_numpys_whatever_torchs_generator_does():
    torch.manual_seed(fresh_seed())
    first, batch = drawn(TUTORIAL, fresh_seed(), samples=2)
    torch.manual_seed(fresh_seed() + 1)
    second, again = drawn(TUTORIAL, fresh_seed(), samples=2)

    assert all(map(torch.equal, first.parameters(), second.parameters()))
    assert (batch.inputs == again.inputs).all()
    assert (batch.labels == again.labels).all()


# Settings of an accelerator, on the processor: a scaled loss, and an implementation that captures


SCALED = Subject.of(replace(OPTIMIZERS[2], network=SMALL, autocast=True), dtype="float16")


@pytest.mark.parametrize("network", [TUTORIAL, SMALL], ids=str)
def test_steps_with_a_scaled_loss_keep_their_bounds(network):
    assert not broken(
        step_findings(Subject.of(replace(OPTIMIZERS[2], network=network, autocast=True), dtype="float16"), fresh_seed())
    )


class ForgetsToDivide(torch.amp.GradScaler):
    """Leaves gradients multiplied."""

    def unscale_(self, optimizer):
        before = [parameter.grad.clone() for group in optimizer.param_groups for parameter in group["params"]]
        super().unscale_(optimizer)
        after = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for parameter, gradient in zip(after, before, strict=True):
            parameter.grad = gradient


class ForgetsToMultiply(torch.amp.GradScaler):
    """Leaves the loss as it is, and divides its gradients."""

    def scale(self, loss):
        super().scale(loss)
        return loss


@pytest.mark.parametrize(("scaler", "part"), [(ForgetsToDivide, "backward"), (ForgetsToMultiply, "loss")])
def test_a_scale_that_is_forgotten_is_seen(monkeypatch, scaler, part):
    monkeypatch.setattr(torch.amp, "GradScaler", scaler)

    assert broken(step_findings(SCALED, fresh_seed())) == {part}


@pytest.fixture
def capturing(monkeypatch):
    """A processor that captures, whose capturable optimizers have another rate; returns that factor's setter."""
    made = steps.optimizer_of
    rates = []

    def without_capture(asked, parameters, capturable=False, **implementation):
        return made(replace(asked, lr=asked.lr * rates[0]) if capturable else asked, parameters, **implementation)

    monkeypatch.setattr(steps, "arithmetic_of", lambda _device: dataclasses.replace(PROCESSOR, captures_graphs=True))
    monkeypatch.setattr(steps, "optimizer_of", without_capture)
    return rates


@pytest.mark.parametrize(("rate", "seen"), [(1.0, set()), (1.001, {"capturable"})])
def test_a_capturable_optimizer_does_what_it_does_by_default(capturing, rate, seen):
    capturing.append(rate)

    assert broken(step_findings(on(SMALL, OPTIMIZERS[3]), fresh_seed())) == seen


def test_a_device_that_refuses_to_capture_lacks_the_implementation(monkeypatch):
    monkeypatch.setattr(steps, "arithmetic_of", lambda _device: dataclasses.replace(PROCESSOR, captures_graphs=True))

    found = step_findings(on(SMALL, OPTIMIZERS[2]), fresh_seed())

    assert found.updates["capturable"] is None
    assert not broken(found)


def without_a_kernel(self, *_arguments):
    """Refuse a fused step as torch 2.3 does, whose constructor takes it for the processor, too."""
    raise NotImplementedError("Could not run 'aten::_fused_sgd_' with arguments from the 'CPU' backend.")


def test_a_fused_optimizer_without_a_kernel_is_lacking(monkeypatch):
    taken = torch.optim.SGD.step
    monkeypatch.setattr(
        torch.optim.SGD,
        "step",
        lambda self, *given: (without_a_kernel if self.defaults["fused"] else taken)(self, *given),
    )

    found = step_findings(on(SMALL), fresh_seed())

    assert found.updates["fused"] is None
    assert not broken(found)
    assert optimizers.implementations.__wrapped__("SGD") == ("for-loop", "foreach")
    assert "fused" in optimizers.implementations.__wrapped__("Adam")


@pytest.mark.usefixtures("capturing")
def test_what_cannot_be_captured_is_not_asked_for_it():
    assert steps.implementations(on(SMALL, OPTIMIZERS[0])) == steps.IMPLEMENTATIONS
    assert steps.implementations(on(SMALL, OPTIMIZERS[2])) == (*steps.IMPLEMENTATIONS, "capturable")


def test_float16_under_autocast_is_asked_where_losses_are_scaled():
    dtypes = {device: {s.dtype for s in asked_subjects((device,))} for device in ("cpu", "cuda", "xpu")}

    assert dtypes == {"cpu": {"float32", "bfloat16"}, "cuda": {"float32", "bfloat16", "float16"}, "xpu": {"float32"}}
