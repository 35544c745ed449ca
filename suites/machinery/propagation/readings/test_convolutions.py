"""Faults planted in torch's convolutions, each seen by the claim for it.

Fresh draws each run, by the run's --seed.
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from fixtures.propagation.laws.convolution import Pass, returned
from fixtures.propagation.readings.convolution_links import (
    input_gradient_compared,
    outputs_compared,
    weight_gradient_compared,
)
from suites.machinery.chance import SURE
from suites.machinery.making.answers import target_of, violation
from suites.machinery.making.convolutions import GEOMETRIES, passed_through
from suites.propagation import test_convolutions as suite

pytestmark = [pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"), SURE]


LAWS, LINKS = suite.test_signals_and_gradients_follow_their_law_at_every_convolution, suite.test_every_product_is_right

MATMUL, INPUT_GRADIENT, WEIGHT_GRADIENT = suite.PRODUCTS


def core(subject):
    """The network that is read most finely."""
    return subject.shape == (32, 32, 3, 3)


def in_two_dimensions(kind, layout="contiguous"):
    """The suite's network of one kind, and those of it whose products are looked at."""

    def wanted(subject):
        what = subject.what
        usual = (subject.layout, subject.dtype, subject.mode) == (layout, "float32", "fan_in")
        return usual and (what.rank, what.cycle, what.activation) == (2, kind, "relu") and not core(subject)

    return wanted


def ignores_one_tap(sound):
    """The first tap of the kernel is left out."""

    def faulty(self, signals, weight, bias):
        kept = torch.ones_like(weight)
        kept[:, :, 0, 0] = 0
        return sound(self, signals, weight * kept, bias)

    return faulty


def ignores_a_row_of_taps(sound):
    """Three taps of nine: a single layer shows it (p below 1e-39); of one tap, only some of many layers by luck."""

    def faulty(self, signals, weight, bias):
        kept = torch.ones_like(weight)
        kept[:, :, 0] = 0
        return sound(self, signals, weight * kept, bias)

    return faulty


def drops_a_row(sound):
    """The last row of inputs, which the padding is next to, is taken for padding."""

    def faulty(self, signals, weight, bias):
        kept = torch.ones_like(signals)
        kept[:, :, -1] = 0
        return sound(self, signals * kept, weight, bias)

    return faulty


def takes_the_next_group(sound):
    """Each group of filters gets the inputs of the next group."""

    def faulty(self, signals, weight, bias):
        return sound(
            self, signals.roll(signals.shape[1] // self.groups, 1) if self.groups > 1 else signals, weight, bias
        )

    return faulty


def permutes_channels(sound):
    """Channels come in the reverse order in channels_last, and there alone."""

    def faulty(self, signals, weight, bias):
        is_last = not signals.is_contiguous() and signals.is_contiguous(memory_format=torch.channels_last)
        return sound(self, signals.flip(1) if is_last else signals, weight, bias)

    return faulty


def louder(factor):
    """The identity, whose gradient is so much larger."""

    class Louder(torch.autograd.Function):
        @staticmethod
        def forward(_context, signals):
            return signals.clone()

        @staticmethod
        def backward(_context, gradient):
            return factor * gradient

    return Louder.apply


def returns_too_much(sound, factor=1.005):
    """Input gradients half a percent too large."""

    def faulty(self, signals, weight, bias):
        return sound(self, louder(factor)(signals), weight, bias)

    return faulty


def credits_too_much(sound):
    """Weight gradients half a percent too large."""

    def faulty(self, signals, weight, bias):
        return sound(self, signals, louder(1.005)(weight), bias)

    return faulty


@pytest.mark.large_draws
@pytest.mark.parametrize(
    ("fault", "kind", "layout", "family", "test"),
    [
        (ignores_a_row_of_taps, "padded", "contiguous", "propagation.forward.layer", LAWS),
        (ignores_a_row_of_taps, "padded", "contiguous", "propagation.backward.layer", LAWS),
        (ignores_one_tap, "padded", "contiguous", MATMUL, LINKS),
        (drops_a_row, "dilated", "contiguous", "propagation.forward.scale", LAWS),
        (drops_a_row, "dilated", "contiguous", "propagation.backward.scale", LAWS),
        (drops_a_row, "dilated", "contiguous", MATMUL, LINKS),
        (takes_the_next_group, "grouped", "contiguous", MATMUL, LINKS),
        (takes_the_next_group, "grouped", "contiguous", INPUT_GRADIENT, LINKS),
        (takes_the_next_group, "depthwise", "contiguous", "propagation.forward.shape", LAWS),
        (permutes_channels, "padded", "channels_last", MATMUL, LINKS),
        (permutes_channels, "padded", "channels_last", INPUT_GRADIENT, LINKS),
        (returns_too_much, "padded", "contiguous", INPUT_GRADIENT, LINKS),
        (credits_too_much, "padded", "contiguous", WEIGHT_GRADIENT, LINKS),
    ],
)
def test_a_convolution_that_goes_wrong_is_seen(fault, kind, layout, family, test, monkeypatch):
    monkeypatch.setattr(nn.Conv2d, "_conv_forward", fault(nn.Conv2d._conv_forward))

    assert violation(family, test, target_of(), in_two_dimensions(kind, layout))


def test_permuted_channels_are_not_the_laws_business(monkeypatch):
    """The Gram matrix of the patches stays what it was: only the exact claim sees this."""
    monkeypatch.setattr(nn.Conv2d, "_conv_forward", permutes_channels(nn.Conv2d._conv_forward))

    assert not violation("propagation.forward.scale", LAWS, target_of(), in_two_dimensions("padded", "channels_last"))


@pytest.mark.large_draws
def test_gradients_eight_tenths_of_a_percent_too_large_are_seen_by_the_law_of_all_layers_together(monkeypatch):
    monkeypatch.setattr(nn.Conv2d, "_conv_forward", returns_too_much(nn.Conv2d._conv_forward, 1.008))

    claim = violation("propagation.backward.scale", LAWS, target_of(), core)

    assert claim.effect.value == pytest.approx(0.8, abs=0.4)
    assert claim.detectable.value < 0.5


LAYERS, PLACE = 54, 17


def at_torchs_default():
    """A He initializer that leaves the 18th of 54 layers as torch's modules make them."""
    calls = itertools.count()

    def kaiming_normal_(weight, **options):
        if next(calls) % LAYERS == PLACE:
            return nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
        return nn.init.kaiming_normal_(weight, **options)

    return target_of(kaiming_normal_=kaiming_normal_)


@pytest.mark.large_draws
@pytest.mark.parametrize("family", ["propagation.forward.layer", "propagation.backward.layer"])
@pytest.mark.parametrize("kind", ["padded", "strided", "grouped", "transposed"])
def test_one_layer_at_torchs_default_is_seen_and_named(family, kind):
    claim = violation(family, LAWS, at_torchs_default(), in_two_dimensions(kind))

    assert f"layer {PLACE + 1} of {LAYERS}" in claim.note


def sharing():
    """A He initializer whose 31st layer has the weights of the 29th."""
    calls, kept = itertools.count(), []

    def kaiming_normal_(weight, **options):
        place = next(calls) % LAYERS
        nn.init.kaiming_normal_(weight, **options)
        if place == 28:
            kept[:] = [weight.detach().clone()]
        return weight.copy_(kept[0]) if place == 30 else weight

    return target_of(kaiming_normal_=kaiming_normal_)


def test_two_layers_that_share_their_weights_are_seen_and_named():
    claim = violation("propagation.independence.any_two", LAWS, sharing(), in_two_dimensions("padded"))

    assert "layers 29 and 31" in claim.note


@pytest.mark.parametrize("compared", [input_gradient_compared, weight_gradient_compared])
def test_a_healthy_layer_run_alone_is_within_rounding(compared, generator):
    passed, _ = passed_through(*GEOMETRIES["grouped"], generator)

    assert compared(passed, returned(passed, 3, generator, weight_gradient=True)).counterexample is None


def test_an_output_of_another_size_is_told(generator):
    passed, _ = passed_through(*GEOMETRIES["valid"], generator)

    found = outputs_compared(Pass(passed.name, passed.layer, passed.inputs, passed.outputs[:, :, 1:]))

    assert "samples and sizes of the output are" in found.counterexample


def test_a_weight_gradient_that_was_not_asked_for_is_refused(generator):
    passed, _ = passed_through(*GEOMETRIES["valid"], generator)

    with pytest.raises(ValueError, match="no weight gradient was asked for"):
        weight_gradient_compared(passed, returned(passed, 3, generator))
