"""Numbers with errors: their bounds cover what floating point really does, and their gradients are derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.operations.number import Number, gradients
from fixtures.rounding.comparison import storing
from fixtures.rounding.matmul import gamma
from fixtures.statistics.formats import unit_roundoff
from suites.machinery.chance import SURE

SEEDS = st.integers(0, 2**32 - 1)

SINGLE = np.float32


def exact(rng, *shape):
    """Numbers of float32, and the same to compute with in it."""
    values = rng.standard_normal(shape).astype(SINGLE)
    return Number.exact(values, "float32"), values


ARRANGEMENTS = {
    "sum, one by one": (
        lambda a, b: a.sum((0,)),
        lambda a, b: np.array([np.add.accumulate(a, dtype=SINGLE)[-1]]),
    ),
    "product of matrices, one by one": (
        lambda a, b: a.reshape(1, -1) @ b.reshape(-1, 1),
        lambda a, b: np.add.accumulate(a * b, dtype=SINGLE)[-1:].reshape(1, 1),
    ),
    "a distance, multiplied out": (
        lambda a, b: (a - a.mean((0,))) * b,
        lambda a, b: a * b - SINGLE(a.mean(dtype=SINGLE)) * b,
    ),
    "variance as a difference of squares": (
        lambda a, b: ((a - a.mean((0,))) * (a - a.mean((0,)))).mean((0,)),
        lambda a, b: (a * a).mean(0, keepdims=True) - a.mean(0, keepdims=True) ** 2,
    ),
    "softmax without its maximum": (
        lambda a, b: (a - a.maximum(0)).exp() / (a - a.maximum(0)).exp().sum((0,)),
        lambda a, b: np.exp(a - a.max()) / np.exp(a - a.max()).sum(dtype=SINGLE),
    ),
    "a quotient by its reciprocal": (lambda a, b: a / b, lambda a, b: a * (SINGLE(1) / b)),
    "a root": (lambda a, b: (a * a + 1e-3).sqrt(), lambda a, b: np.sqrt(a * a + SINGLE(1e-3))),
    "an inverse root": (lambda a, b: (a * a + 1e-3).inverse_root(), lambda a, b: 1 / np.sqrt(a * a + SINGLE(1e-3))),
    "elementary functions": (
        lambda a, b: a.tanh() * b.sigmoid() + (a * a).log1p(),
        lambda a, b: np.tanh(a) * (1 / (1 + np.exp(-b))) + np.log1p(a * a),
    ),
}
"""What is written down, and another way to compute it in float32."""


@SURE
@pytest.mark.parametrize("name", ARRANGEMENTS)
@given(seed=SEEDS, size=st.integers(1, 300))
def test_every_arrangement_is_within_the_bound(name, seed, size):
    rng = np.random.default_rng(seed)
    (a, in_a), (b, in_b) = exact(rng, size), exact(rng, size)
    written, computed = ARRANGEMENTS[name]

    found = written(a, b)

    assert (np.abs(computed(in_a, in_b).astype(np.float64) - found.value) <= found.bound()).all()


DIFFERENTIATED = {
    "product and sum": lambda a, b: (a * b + a - b).sum((0,)),
    "quotient": lambda a, b: a / (b * b + 1.0),
    "matrices": lambda a, b: a.reshape(1, -1) @ b.reshape(-1, 1),
    "functions": lambda a, b: a.tanh() + (b * b + 1.0).log() + (a * 0.5).exp() + b.erf() + a.sigmoid(),
    "roots": lambda a, b: (a * a + 1.0).sqrt() * (b * b + 1.0).inverse_root(),
    "mean": lambda a, b: (a - a.mean((0,))) * b,
    "choices": lambda a, b: a.where(a.value > 0, b * 2.0) + b.clipped(-0.5, 0.5) + a.abs(),
    "places": lambda a, b: a.take(np.array([[0, 0, -1], [1, 0, 1]])) * b.take(np.array([[1], [0]])),
    "added": lambda a, b: (a * b).take(np.array([0, 1])).added_at(np.array([2, 2]), (3,)),
    "repeated": lambda a, b: a.reshape(1, -1).broadcast_to((3, a.shape[0])) * b,
    "onto": lambda a, b: ((a * b).summed_onto(b, 3, "float64") * a).tanh(),
    "log1p": lambda a, b: (a * a * 0.5).log1p() * b,  # far from its pole, where no difference quotient is good
}


@pytest.mark.large_draws
@SURE
@pytest.mark.parametrize("name", DIFFERENTIATED)
@given(seed=SEEDS)
def test_gradients_are_derivatives(name, seed):
    """Against central differences of float64, whose error is about h**2 and u / h."""
    rng = np.random.default_rng(seed)
    step = 2.0**-17
    a, b = rng.standard_normal(5), rng.standard_normal(5)
    for kink in (0.0, -0.5, 0.5):  # where a difference quotient is no derivative
        a[np.abs(a - kink) < 0.01] += 0.03
        b[np.abs(b - kink) < 0.01] += 0.03
    numbers = [Number.exact(array, "float64") for array in (a, b)]
    output = DIFFERENTIATED[name](*numbers)
    cotangent = rng.standard_normal(output.shape)
    found = gradients(output, cotangent, numbers)

    for place, gradient in enumerate(found):
        for index in range(5):
            ends = []
            for sign in (1, -1):
                moved = [a.copy(), b.copy()]
                moved[place][index] += sign * step
                value = DIFFERENTIATED[name](*(Number.exact(array, "float64") for array in moved)).value
                ends.append((cotangent * value).sum())
            assert gradient.value[index] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-6)


@SURE
@given(seed=SEEDS)
def test_steps_of_a_half_type_are_within_the_stepwise_bound(seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal(40).astype(np.float16) for _ in range(2))
    numbers = [Number.exact(array, "float16", stepwise=True) for array in (a, b)]
    found = (numbers[0] * numbers[1] + numbers[0]) * 0.5
    computed = ((a * b + a) * np.float16(0.5)).astype(np.float64)

    assert (np.abs(computed - found.value) <= found.bound()).all()


def test_of_what_may_overflow_in_a_step_of_a_half_type_nothing_is_known():
    a = Number.exact([300.0, 200.0, 1.0], "float16", stepwise=True)

    assert (a * a * 1e-3).is_known().tolist() == [False, True, True]
    assert Number.exact([1e300], "float64").is_known().all()


def test_what_a_kernel_makes_is_rounded_once_and_goes_on_step_by_step():
    a = Number.exact([0.3], "float16", stepwise=True)
    inside = Number.exact(a.value, "float16")

    made = (inside * inside).stored().stepwise().differentiated(a, lambda g: a * g * 2.0)

    assert made.computed == "float16"
    # float32's own rounding is 2**-13 of float16's.
    assert made.error == pytest.approx(storing(np.array([0.3**2]), "float16"), rel=2.0**-12)
    (gradient,) = gradients(made, np.ones(1), [a])
    assert gradient.value == 0.6
    assert gradient.computed == "float16"


def test_what_is_exact_has_no_error():
    a = Number.exact([0.0, 1.0, -2.5], "float32")

    assert not (a * 0.0).error.any()
    assert not (a * 1.0).error.any()
    assert not (a + 0.0).error.any()
    assert not (-a).reshape(3, 1).take(np.array([0, 2])).error.any()
    assert not (Number.exact(np.zeros((2, 3)), "float32") @ Number.exact(np.ones((3, 2)), "float32")).error.any()


def test_storing_adds_one_rounding():
    a = Number.exact([1.0], "bfloat16") / 3.0

    assert a.stored().error[0] - a.error[0] == pytest.approx(unit_roundoff("bfloat16") / 3, rel=1e-3)
    assert Number.exact([1.0], "float32").stored().error[0] == 0


def test_more_roundings_than_a_dtype_has_leave_nothing():
    assert gamma(2**9, "bfloat16") == np.inf
