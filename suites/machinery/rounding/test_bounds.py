"""The links' bounds: true to what they are counted from, wide enough for NumPy itself, tight enough to see faults."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from fixtures.faults.registry import plant
from fixtures.record.subject import DTYPES, HALF_TYPES, Subject
from fixtures.rounding.activations import ACTIVATIONS, LEAKY_SLOPE, SOFTPLUS_LINEAR
from fixtures.rounding.comparison import SMALLEST, SMALLEST_NORMAL, Compared, compare, in_float64, same_bits
from fixtures.rounding.convolution import products
from fixtures.rounding.elementwise import compare_slopes, compare_values, elementwise, planted, slope_bound, value_bound
from fixtures.rounding.geometry import Geometry
from fixtures.rounding.matmul import BITS, LAYOUTS, OUTPUTS, gamma, largest_integer, linear_findings, rounded_once
from fixtures.statistics.formats import unit_roundoff
from fixtures.weights.gains import SELU_ALPHA, SELU_SCALE
from suites.machinery.chance import SURE, fresh_seed

pytestmark = SURE
DIGITS = 40


def subject_of(name, dtype="float32"):
    return Subject(name, (), dtype, mode=None, nonlinearity=None, a=None)


def linear_subject(shape, dtype="float32"):
    return Subject("kaiming_normal_", shape, dtype, nonlinearity="relu", path="linear")


def place_of(place):
    return f"place {place[0]}"


# The functions that torch is compared with


def ndtr(z):
    return mpmath.erfc(-z / mpmath.sqrt(2)) / 2


def density(z):
    return mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)


def sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


def softplus(z):
    return mpmath.log1p(mpmath.exp(z))


def elu(z, alpha=1.0, scale=1.0):
    return scale * (z if z > 0 else alpha * mpmath.expm1(z))


def elu_slope(z, alpha=1.0, scale=1.0):
    return scale * (1 if z > 0 else alpha * mpmath.exp(z))


EXACTLY = {
    "relu": (lambda z: max(z, 0), lambda z: int(z > 0)),
    "leaky_relu": (lambda z: z if z > 0 else LEAKY_SLOPE * z, lambda z: 1 if z > 0 else LEAKY_SLOPE),
    "gelu": (lambda z: z * ndtr(z), lambda z: ndtr(z) + z * density(z)),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * sigmoid(-z))),
    "elu": (elu, elu_slope),
    "selu": (lambda z: elu(z, SELU_ALPHA, SELU_SCALE), lambda z: elu_slope(z, SELU_ALPHA, SELU_SCALE)),
    "tanh": (mpmath.tanh, lambda z: mpmath.sech(z) ** 2),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "softplus": (
        lambda z: z if z > SOFTPLUS_LINEAR else softplus(z),
        lambda z: 1 if z > SOFTPLUS_LINEAR else sigmoid(z),
    ),
    "mish": (
        lambda z: z * mpmath.tanh(softplus(z)),
        lambda z: mpmath.tanh(softplus(z)) + z * sigmoid(z) * mpmath.sech(softplus(z)) ** 2,
    ),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_numpys_functions_are_within_half_of_the_bound_of_float64(name):
    """The bound counts every rounding twice in float64, once for torch and once for NumPy."""
    z = planted("float64")
    z = z[np.abs(z) < 1e4][::3]
    value, slope = EXACTLY[name]
    with mpmath.workdps(DIGITS), np.errstate(all="ignore"):
        true = np.array([[float(value(mpmath.mpf(x))), float(slope(mpmath.mpf(x)))] for x in z.tolist()])
        found = np.array([ACTIVATIONS[name].value(z), ACTIVATIONS[name].slope(z)])
        half = np.array([value_bound(name, z, "float64"), slope_bound(name, z, np.ones_like(z), "float64")]) / 2

    assert (np.abs(found - true.T) <= half).all()


def test_gelus_roundings_are_counted_from_what_its_terms_can_do():
    x = np.linspace(0, 6, 6001)
    t = 1 / (1 + 0.3275911 * x)
    horner = np.polyval([1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0], t)
    steeper = t * np.polyval(np.polyder([1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0]), t)
    erf = np.array([math.erf(value) for value in x])
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)

    assert np.abs(1 - horner * np.exp(-(x**2)) - erf).max() < 2.6 * unit_roundoff("float32")
    assert np.abs(steeper).max() < 3.45
    assert (x * 2 / math.sqrt(math.pi) * np.exp(-(x**2))).max() * 2 < 1
    assert (x * density).max() < 0.243
    assert (x**3 * density).max() < 0.5


# Comparing


def test_a_comparison_tells_of_the_worst_value_in_words():
    found, true = np.array([1.0, 2.5, 3.1]), np.array([1.0, 2.0, 3.0])

    compared = compare(found, true, np.full(3, 0.125), place_of)

    assert (compared.tried, round(compared.strain, 9)) == (3, 4)
    says = "1 of 3 elements differs: place 1 is 2.5, not 2: off by 4 times what rounding explains"
    assert compared.counterexample == says


def test_a_comparison_counts_wrong_elements_and_tells_the_first_and_the_worst():
    found, true = np.array([1.0, 2.5, 3.5, 4.0]), np.array([1.0, 2.0, -0.0, 4.0])

    compared = Compared.of([Compared(10, 0.1), compare(found, true, np.full(4, 0.25), place_of)])

    says = "2 of 14 elements differ, the first at place 1; the worst, place 2 is 3.5, not 0: off by 14 times what"
    assert (compared.counterexample or "").startswith(says)


@pytest.mark.parametrize(("found", "true"), [(np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (np.inf, -np.inf)])
def test_no_rounding_explains_what_is_not_finite(found, true):
    compared = compare(np.array([found]), np.array([true]), np.array([1.0]), place_of)

    says = f"1 of 1 elements differs: place 0 is {found:g}, not {true:g}: no rounding explains it"
    assert compared.counterexample == says


def test_nan_is_nan_infinities_are_themselves_and_an_exact_value_has_no_leeway():
    same = np.array([np.nan, np.inf, -np.inf, 0.0])

    assert compare(same, np.array([np.nan, np.inf, -np.inf, -0.0]), np.zeros(4), place_of).counterexample is None
    assert compare(np.array([1e-45]), np.array([0.0]), np.zeros(1), place_of).counterexample is not None


def test_what_is_not_asked_is_not_compared():
    compared = compare(np.array([1.0, 9.0]), np.ones(2), np.zeros(2), place_of, np.array([True, False]))

    assert compared == Compared(1, 0.0)


def test_the_worst_of_several_comparisons_speaks_for_all():
    parts = [Compared(3, 0.5), Compared(4, 7.0, "seven", 3, "six"), Compared(5, 2.0, "two", 1, "two")]

    assert Compared.of(parts) == Compared(12, 7.0, "seven", 4, "six")


def test_what_is_wrong_without_a_size_is_told_wherever_it_stands():
    held, wrong = Compared(1, 0.0), Compared(1, 0.0, "was changed")

    assert [Compared.of(parts).counterexample for parts in ([held, wrong], [wrong, held])] == ["was changed"] * 2


def test_bits_tell_zeros_apart_and_nan_from_nothing():
    assert same_bits(torch.tensor([math.nan, 0.0]), torch.tensor([math.nan, 0.0])).all()
    assert not same_bits(torch.tensor([0.0]), torch.tensor([-0.0])).all()
    assert same_bits(torch.zeros(2, 2)[:, :1].T, torch.zeros(1, 2)).all()


# Planted values


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_planted_is_of_the_dtype_and_has_every_kind_of_value(dtype):
    values = planted(dtype)

    sizes = np.abs(values)
    assert np.array_equal(in_float64(torch.from_numpy(values).to(getattr(torch, dtype))), values, equal_nan=True)
    assert {0.0, SMALLEST[dtype], SMALLEST_NORMAL[dtype], np.inf} <= set(sizes.tolist())
    assert (values[values == 0] / 1).size == 2
    assert sorted(np.signbit(values[values == 0])) == [False, True]
    assert ((sizes > 0) & (sizes < SMALLEST_NORMAL[dtype])).sum() >= 6
    assert np.isnan(values).any()
    assert (values > SOFTPLUS_LINEAR).any()


# Products


@pytest.mark.parametrize("dtype", DTYPES)
def test_integers_are_rounded_as_torch_rounds_them(dtype):
    integers = np.random.default_rng(fresh_seed()).integers(-(2**14), 2**14, 1000).astype(float)

    assert np.array_equal(
        rounded_once(integers, dtype), in_float64(torch.from_numpy(integers).to(getattr(torch, dtype)))
    )


@pytest.mark.parametrize(("dtype", "terms"), [*itertools.product(DTYPES, (1, 2, 33, 257))])
def test_no_sum_of_integers_leaves_what_is_exact(dtype, terms):
    largest = largest_integer(dtype, terms)

    assert largest <= 2 ** BITS[dtype]
    assert terms * largest <= (2**15 if dtype == "float16" else 2 ** BITS["float32" if dtype in HALF_TYPES else dtype])
    assert largest > 2**11 or dtype in HALF_TYPES  # more bits than TF32 keeps


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_layout_is_what_it_is_called_and_keeps_the_values(layout):
    weight, inputs = torch.randn(5, 4), torch.randn(*layout.leading, 4)

    placed, placed_weight = layout.place(inputs), layout.place_weight(weight)

    assert torch.equal(placed_weight, weight)
    assert torch.equal(placed, inputs[:1].expand(inputs.shape) if "expanded" in layout.name else inputs)
    unusual = any(word in layout.name for word in ("transposed", "strided", "expanded"))
    assert unusual == (not placed.is_contiguous() or not placed_weight.is_contiguous())


def test_the_sum_of_no_more_products_than_the_unit_roundoff_allows_is_bounded():
    assert gamma(3, "float32") == pytest.approx(3 * 2**-24)
    assert gamma(2**24, "float32") == math.inf


@pytest.mark.parametrize(
    ("module", "size"),
    [
        (nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), (7, 8)),
        (nn.Conv1d(3, 2, 5, dilation=2), (11,)),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2), (5, 4)),
    ],
    ids=str,
)
def test_the_gradients_of_a_convolution_are_its_adjoints(module, size):
    """<f(x), d> = <x, f^T(d)> = <W, dW>, whatever torch says."""
    random = np.random.default_rng(fresh_seed())
    inputs, geometry = random.standard_normal((2, module.in_channels, *size)), Geometry.of(module)
    weight = random.standard_normal(tuple(module.weight.shape))
    gradients = random.standard_normal((2, module.out_channels, *geometry.output_sizes(size)))

    (outputs, _), (of_inputs, _), (of_weight, _) = products(geometry, inputs, weight, gradients).values()

    product = float((outputs * gradients).sum())
    assert float((inputs * of_inputs).sum()) == pytest.approx(product, rel=1e-12)
    assert float((weight * of_weight).sum()) == pytest.approx(product, rel=1e-12)


# The smallest faults that are seen


@pytest.fixture
def planting():
    taken_out = []
    yield lambda name: taken_out.append(plant(name))
    for take_out in taken_out:
        take_out()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "fault"), [("gelu", "gelu-by-tanh"), ("leaky_relu", "leaky-relu-slope")])
def test_a_wrong_function_is_seen_in_every_dtype(name, fault, dtype, planting):
    planting(fault)

    found = elementwise(subject_of(name, dtype), fresh_seed())

    assert found.values.counterexample
    assert found.slopes.counterexample


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fault", ["relu-mask-at-zero", "relu-mask-leaks", "relu-flushes-subnormals", "relu-hides-nan"])
def test_a_wrong_relu_is_seen_in_every_dtype(fault, dtype, planting):
    planting(fault)

    found = elementwise(subject_of("relu", dtype), fresh_seed())

    assert found.values.counterexample or found.slopes.counterexample


def test_a_slope_that_is_off_by_four_units_in_the_last_place_is_seen(monkeypatch):
    sound = functional.leaky_relu
    monkeypatch.setattr(functional, "leaky_relu", lambda z, slope, inplace: sound(z, slope * (1 + 2**-21), inplace))

    assert elementwise(subject_of("leaky_relu"), fresh_seed()).values.counterexample


@pytest.mark.parametrize("kept", [10, 16, 21])
def test_factors_that_lose_two_of_23_bits_are_seen_where_few_products_are_summed(kept, monkeypatch):
    sound = functional.linear

    def cut(tensor):
        return torch.from_numpy(
            (tensor.detach().contiguous().numpy().view(np.int32) >> 23 - kept << 23 - kept).view(np.float32)
        )

    monkeypatch.setattr(
        functional,
        "linear",
        lambda inputs, weight, bias=None: sound(inputs + (cut(inputs) - inputs.detach()), weight, bias),
    )

    found = linear_findings(linear_subject((64, 1)), fresh_seed(), torch.nn.init)

    assert Compared.of(found.rounded[OUTPUTS]).counterexample


def test_one_wrong_product_of_256_is_seen_among_integers(monkeypatch):
    sound = functional.linear

    def faulty(inputs, weight, bias=None):
        fewer = torch.ones(inputs.shape[-1])
        fewer[17 % len(fewer)] = 1 - 2**-7
        return sound(inputs * fewer.to(inputs.dtype), weight, bias)

    monkeypatch.setattr(functional, "linear", faulty)

    assert Compared.of(linear_findings(linear_subject((256, 256)), fresh_seed(), torch.nn.init).exact).counterexample


def test_half_types_may_be_off_by_one_rounding_and_by_no_more():
    z = np.array([1.5])
    step = 2 * unit_roundoff("bfloat16")

    assert (
        compare_values("silu", z, ACTIVATIONS["silu"].value(z) * (1 + 0.4 * step), "bfloat16", place_of).counterexample
        is None
    )
    assert compare_values("silu", z, ACTIVATIONS["silu"].value(z) * (1 + step), "bfloat16", place_of).counterexample
    slope = ACTIVATIONS["silu"].slope(z)
    assert compare_slopes("silu", z, np.ones(1), slope * (1 + step), "bfloat16", place_of).counterexample
