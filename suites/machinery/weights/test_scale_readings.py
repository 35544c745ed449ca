"""Readings of draws without statistics: bytes, signatures, ratios; and the integrals behind the gains."""

from __future__ import annotations

import functools
import math

import msgspec
import pytest
import torch

from fixtures.record.subject import Subject
from fixtures.weights.gains import second_moment
from fixtures.weights.proportions import ENOUGH, TOLERANCE, NotProportional, agrees, drawn_ratio, ratio
from fixtures.weights.streams import content, digest, takes_generator
from suites.machinery.chance import SURE, fresh_seed
from suites.machinery.making.answers import target_of

pytestmark = SURE

DRAWN = torch.linspace(-2, 3, 101, dtype=torch.float64)


def test_a_ratio_is_the_factor():
    assert agrees(ratio(0.3 * DRAWN, DRAWN), 0.3)


def test_a_ratio_survives_the_rounding_of_float32():
    assert agrees(ratio((0.3 * DRAWN).float().double(), DRAWN), 0.3)


def test_a_fan_of_2000_that_is_off_by_one_does_not_agree():
    assert not agrees(math.sqrt(2000 / 2001), 1.0)


@pytest.mark.parametrize("change", [1e-3, 2 * TOLERANCE])
def test_one_other_element_is_no_multiple(change):
    other = DRAWN.clone()
    other[-1] *= 1 + change

    assert ratio(other, DRAWN) is None


LINEAR = Subject("kaiming_normal_", (3, 2), nonlinearity="linear")
REFERENCE = msgspec.structs.replace(LINEAR, shape=(6, 1))


def test_few_weights_are_drawn_until_there_are_enough():
    drawn = []

    def initializer(tensor, **options):
        drawn.append(tensor.numel())
        return torch.nn.init.kaiming_normal_(tensor, **options)

    measured = drawn_ratio(LINEAR, REFERENCE, fresh_seed(), target_of(kaiming_normal_=initializer))

    assert agrees(measured, 1 / math.sqrt(2))
    assert sum(drawn) >= 2 * ENOUGH


def test_draws_in_another_order_are_not_proportional():
    def columns_first(tensor, **options):
        return tensor.copy_(torch.nn.init.kaiming_normal_(torch.empty(tensor.shape), **options).flip(1))

    with pytest.raises(NotProportional, match=r"\(3, 2\) weights are no multiple of \(6, 1\) weights of the same seed"):
        drawn_ratio(LINEAR, REFERENCE, fresh_seed(), target_of(kaiming_normal_=columns_first))


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_weights_that_are_none_have_no_ratio(value):
    with pytest.raises(ValueError, match="all zero, or not finite"):
        ratio(DRAWN, torch.full_like(DRAWN, value))


def test_content_is_bits():
    zero, nan = torch.zeros(1), torch.tensor([math.nan])

    assert content(nan) == content(nan.clone())
    assert content(zero) != content(-zero)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_content_is_in_the_order_of_the_elements(dtype):
    weight = torch.arange(6, dtype=dtype).view(2, 3)

    assert content(weight.T.contiguous().T) == content(weight)
    assert len(content(weight)) == 6 * dtype.itemsize


def test_a_digest_changes_with_one_bit():
    weight = torch.ones(100)
    changed = weight.clone()
    changed[50] = torch.nextafter(weight[50], torch.tensor(2.0))

    assert digest(weight) == digest(weight.clone())
    assert digest(weight) != digest(changed)


def test_a_function_that_tells_no_signature_is_believed_to_take_a_generator():
    assert takes_generator(dict)


def annotated(tensor: torch.Tensor, a: float = 0, *, generator: torch.Generator | None = None) -> torch.Tensor:  # noqa: ARG001 - as init's
    return tensor


@pytest.mark.parametrize(
    ("function", "takes"),
    [(annotated, True), (lambda tensor, **options: tensor, True), (lambda tensor: tensor, False)],
)
def test_a_generator_is_seen_in_the_signature(function, takes):
    assert takes_generator(function) is takes
    assert takes_generator(functools.partial(function)) is takes


@pytest.mark.parametrize(
    ("name", "a", "moment"),
    [
        ("linear", None, 1.0),
        ("conv_transpose3d", None, 1.0),
        ("relu", None, 0.5),
        ("leaky_relu", 0.2, (1 + 0.2**2) / 2),
        ("leaky_relu", None, (1 + 0.01**2) / 2),
        ("selu", None, 1.0),  # the fixed point that its two constants were solved for: arXiv 1706.02515
        ("tanh", None, 0.3942944903978412),  # this and the next: mpmath.quad at 30 digits
        ("sigmoid", None, 0.2933790358580930),
    ],
)
def test_second_moments_are_integrated_right(name, a, moment):
    measured = second_moment(name, a)

    assert measured.value == pytest.approx(moment, rel=1e-9)
    assert measured.error < 1e-7
