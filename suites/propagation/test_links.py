"""Links between the linear layers: nonlinearities, their derivatives, products of matrices, repeated evaluations.

The statistical laws of the layers hold whatever these do, so that they are claimed exactly: one value that rounding
does not explain is enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fixtures.propagation.networks.plain import path_of
from fixtures.propagation.readings.plain_links import NetworkFindings, network_findings
from fixtures.record import kinds
from fixtures.record.kinds import Convolution, Linear
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import DTYPES, HALF_TYPES, Subject
from fixtures.rounding.activations import ACTIVATIONS, LEAKY_SLOPE
from fixtures.rounding.comparison import Compared
from fixtures.rounding.convolution import ConvolutionFindings, convolution_findings
from fixtures.rounding.elementwise import Elementwise, elementwise
from fixtures.rounding.matmul import INPUT_GRADIENTS, OUTPUTS, WEIGHT_GRADIENTS, LinearFindings, linear_findings
from fixtures.target.arithmetic import arithmetic_of
from fixtures.target.target import Target
from suites.framework.findings import Findings
from suites.framework.links import cases_of, settle_all, told
from suites.framework.questions import asks

ACTIVATION, INFINITY = "propagation.link.activation", "propagation.link.infinity"
DERIVATIVE, UNTOUCHED = "propagation.link.derivative", "propagation.link.untouched"
MATMUL, INPUT_GRADIENT = "propagation.link.matmul", "propagation.link.input_gradient"
WEIGHT_GRADIENT, INTEGERS = "propagation.link.weight_gradient", "propagation.link.integers"
REPEATABLE = "propagation.link.repeatable"

ELEMENTWISE, CONVOLUTIONS, NETWORKS = (
    "propagation.link.elementwise",
    "propagation.link.conv",
    "propagation.link.network",
)
"""Families of cases; one that answers a family of claims of its own has that one's name."""

SHAPES = ((1, 1), (64, 1), (5, 2), (1, 3), (9, 7), (31, 31), (33, 32), (32, 33), (3, 256), (256, 256))
"""Shapes of linear weights: about the vector widths, odd, square (a transposed weight fits), single rows or columns."""

LARGE = (520, 1040)
"""Wider than what small kernels are made for; asked in float32, the dtype in which others would go unnoticed."""

THREADS = 3
"""Threads of torch, where the suites keep to one otherwise: a number that divides neither elements nor rows."""

SHARED = (7, 10_003)
"""Elements for several threads: 70 021, more than two of the grains of 32 768 that torch hands out."""

CONVOLVED = (
    # shape of the weight, layout, module
    ((8, 6, 3), "contiguous", Convolution("", 1, padding=1)),
    ((8, 6, 5), "contiguous", Convolution("", 1, stride=2, padding=2, dilation=2)),
    ((16, 3, 3, 3), "contiguous", Convolution("", 2, padding=1)),
    ((16, 16, 3, 3), "channels_last", Convolution("", 2, padding=1)),
    ((16, 8, 1, 1), "contiguous", Convolution("", 2, stride=2)),
    ((12, 2, 3, 3), "contiguous", Convolution("", 2, padding=2, dilation=2, groups=3)),
    ((8, 1, 3, 3), "contiguous", Convolution("", 2, padding=1, groups=8)),
    ((8, 1, 3, 3), "channels_last", Convolution("", 2, padding=1, groups=8)),
    ((6, 4, 3, 3, 3), "contiguous", Convolution("", 3, stride=2, padding=1)),
    ((6, 4, 4), "contiguous", Convolution("Transpose", 1, stride=2, padding=1, groups=2)),
    ((6, 4, 3, 3), "contiguous", Convolution("Transpose", 2, stride=2, padding=1)),
    ((4, 3, 2, 2, 2), "contiguous", Convolution("Transpose", 3, stride=2)),
)

CONVOLVED_LARGE = (
    ((4, 3, 7, 5), "contiguous", Convolution("", 2, stride=(2, 1), padding=(3, 1), bias=True, batch=17, size=(9, 35))),
    ((8, 3, 7, 7), "channels_last", Convolution("", 2, stride=2, padding=3, batch=4, size=(17, 66))),
    (
        (6, 2, 3, 5),
        "contiguous",
        Convolution("", 2, padding=(0, 2), dilation=(3, 1), groups=2, bias=True, batch=4, size=(40, 9)),
    ),
    ((6, 1, 5, 5), "channels_last", Convolution("", 2, padding=2, groups=6, bias=True, batch=17, size=(35, 5))),
    ((136, 130, 3, 3), "contiguous", Convolution("", 2, padding=1, bias=True, batch=5, size=8)),
    ((136, 130, 3, 3), "channels_last", Convolution("", 2, padding=1, bias=True, batch=5, size=8)),
    ((6, 4, 9), "contiguous", Convolution("", 1, stride=3, padding=4, bias=True, batch=17, size=101)),
    (
        (4, 2, 5, 3, 1),
        "contiguous",
        Convolution("", 3, stride=(1, 2, 1), padding=(2, 0, 0), bias=True, batch=4, size=(5, 34, 6)),
    ),
    (
        (6, 4, 5, 3),
        "contiguous",
        Convolution(
            "Transpose", 2, stride=(3, 1), padding=(2, 0), output_padding=(1, 0), bias=True, batch=5, size=(12, 34)
        ),
    ),
)
"""Kernels, images and batches beyond what small kernels of the library take, options that differ by dimension, and more
than 65 536 weights. Asked in float32."""

CONVOLVED_IN_HALF = ((16, 3, 3, 3), (6, 4, 3, 3))
"""Shapes that half types are asked about: their bound is coarser (see fixtures/rounding/convolution.py)."""

DEEP = (
    # widths, layers, inputs, dtype; a single input takes the path of products with a vector
    ((256, 256), 64, 64, "float32"),
    ((128, 128), 50, 16, "bfloat16"),
    ((128, 128), 50, 16, "float16"),
    ((96, 160), 128, 8, "float32"),
    ((32, 32), 1000, 1, "float64"),
)

ACTIVATED = ((128, 128), 50, 16, "float32")
"""Networks of each nonlinearity."""

ELEMENTWISE_LINKS: tuple[Question[Any], ...] = (
    Question(ACTIVATION, "of zeros, subnormal, large and ordinary values is phi(z) up to its computation's rounding"),
    Question(INFINITY, "of plus and minus infinity is phi's limit where phi gives one"),
    Question(DERIVATIVE, "multiplies gradients by phi'(z) up to its computation's rounding"),
    Question(UNTOUCHED, "leaves its input as it was"),
)
LINEAR_LINKS: tuple[Question[Any], ...] = (
    Question(MATMUL, "gives W h + b up to the rounding of a sum of n products"),
    Question(INPUT_GRADIENT, "gives input gradients W^T d up to the rounding of a sum of n products"),
    Question(WEIGHT_GRADIENT, "gives gradients of weight and bias up to the rounding of a sum of n products"),
    Question(INTEGERS, "sums up products of integers without error"),
    Question(UNTOUCHED, "leaves inputs, weight and output gradients as they were"),
)
NETWORK_LINKS: tuple[Question[Any], ...] = (
    Question(ACTIVATION, "feed each layer phi(z) of the one before, up to its computation's rounding"),
    Question(DERIVATIVE, "multiply gradients by phi'(z), up to its computation's rounding"),
    Question(MATMUL, "compute each layer's z as W h of its own inputs, up to the rounding of a sum of n products"),
    Question(INPUT_GRADIENT, "compute each layer's df/dh as W^T df/dz, up to the rounding of a sum of n products"),
    Question(REPEATABLE, "give the same bits twice, in eval() and in train(), and in eval() with dropout in them"),
)


def dtypes_on(device: str) -> tuple[str, ...]:
    """float32, and on a device that has float64 and sums half types in float32 these, too."""
    arithmetic = arithmetic_of(device)
    return DTYPES if arithmetic.has_float64 and arithmetic.sums_half_types_in_float32 else ("float32",)


def elementwise_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    subjects = (
        Subject.of(kinds.Elementwise(name), (), dtype, device=device)
        for device in devices
        for dtype in dtypes_on(device)
        for name in ACTIVATIONS
    )
    yield from cases_of(ELEMENTWISE, tier, subjects)
    if "cpu" in devices:
        shared = (Subject.of(kinds.Elementwise(name, threads=THREADS), SHARED) for name in ACTIVATIONS)
        yield from cases_of(ELEMENTWISE, tier, shared)


def elementwise_questions(subject: Subject) -> list[Question[Any]]:
    what = subject.expect(kinds.Elementwise)
    how = f", {subject.numel} elements by {what.threads} threads," if subject.shape else ""
    return [link.about(f"{what.activation} in {subject.dtype}{how}") for link in ELEMENTWISE_LINKS]


def he(
    shape: tuple[int, ...], dtype: str, device: str, path: str, nonlinearity: str = "relu", **options: Any
) -> Subject:
    slope: dict[str, Any] = {"a": LEAKY_SLOPE} if nonlinearity == "leaky_relu" else {}
    return Subject(
        "kaiming_normal_", shape, dtype, nonlinearity=nonlinearity, device=device, path=path, **slope, **options
    )


def linear_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    subjects = (he(shape, dtype, on, str(Linear())) for on in devices for dtype in dtypes_on(on) for shape in SHAPES)
    yield from cases_of(MATMUL, tier, subjects)
    yield from cases_of(MATMUL, tier, (he(LARGE, "float32", on, str(Linear())) for on in devices))
    if "cpu" in devices:
        yield from cases_of(MATMUL, tier, [he(LARGE, "float32", "cpu", str(Linear(threads=THREADS)))])


def linear_questions(subject: Subject) -> list[Question[Any]]:
    n_out, n_in = subject.shape
    threads = subject.expect(Linear).threads
    how = f" by {threads} threads" if threads > 1 else ""
    return [link.about(f"a linear layer from {n_in} to {n_out} in {subject.dtype}{how}") for link in LINEAR_LINKS]


def convolution_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    """Cases on the CPU: accelerators round a convolution's float32 inputs to TF32 by default."""
    if "cpu" not in devices:
        return
    subjects = (
        he(shape, dtype, "cpu", str(what), layout=layout)
        for shape, layout, what in CONVOLVED
        for dtype in DTYPES
        if dtype not in HALF_TYPES or shape in CONVOLVED_IN_HALF
    )
    yield from cases_of(CONVOLUTIONS, tier, subjects)
    large = (he(shape, "float32", "cpu", str(what), layout=layout) for shape, layout, what in CONVOLVED_LARGE)
    yield from cases_of(CONVOLUTIONS, tier, large)


def convolution_questions(subject: Subject) -> list[Question[Any]]:
    shape = "x".join(map(str, subject.shape))
    return [link.about(f"{subject.path} by {shape} in {subject.dtype}") for link in LINEAR_LINKS]


def network_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    yield from cases_of(NETWORKS, tier, network_subjects(devices))


def network_subjects(devices: tuple[str, ...]) -> Iterator[Subject]:
    for device in devices:
        for shape, layers, inputs, dtype in DEEP:
            if dtype in dtypes_on(device):
                yield he(shape, dtype, device, path_of(layers, inputs))
        shape, layers, inputs, dtype = ACTIVATED
        for name in ACTIVATIONS:
            gained = name if name == "leaky_relu" else "relu"
            yield he(shape, dtype, device, path_of(layers, inputs, name), gained)


def network_questions(subject: Subject) -> list[Question[Any]]:
    return [link.about(f"{subject.path} networks in {subject.dtype}") for link in NETWORK_LINKS]


@asks(ELEMENTWISE, elementwise_cases, elementwise_questions)
def test_a_nonlinearity_is_what_it_is_called_element_by_element(case: Case, findings: Findings) -> None:
    def read(found: Elementwise) -> tuple[Compared, ...]:
        return found.values, found.limits, found.slopes, told(found.overwritten, found.values.tried)

    settle_all(findings, lambda seed: elementwise(case.subject, seed), read)


@asks(MATMUL, linear_cases, linear_questions)
def test_a_linear_layer_is_a_product_of_matrices(case: Case, findings: Findings, target: Target) -> None:
    def read(found: LinearFindings) -> tuple[Compared, ...]:
        rounded = [Compared.of(found.rounded[name]) for name in (OUTPUTS, INPUT_GRADIENTS, WEIGHT_GRADIENTS)]
        return *rounded, Compared.of(found.exact), told(found.overwritten, len(found.exact))

    settle_all(findings, lambda seed: linear_findings(case.subject, seed, target), read)


@asks(CONVOLUTIONS, convolution_cases, convolution_questions)
def test_a_convolution_is_a_product_of_patches(case: Case, findings: Findings, target: Target) -> None:
    def read(found: ConvolutionFindings) -> tuple[Compared, ...]:
        rounded = [found.rounded[name] for name in (OUTPUTS, INPUT_GRADIENTS, WEIGHT_GRADIENTS)]
        return *rounded, found.exact, told(found.overwritten, 1)

    settle_all(findings, lambda seed: convolution_findings(case.subject, seed, target), read)


@asks(NETWORKS, network_cases, network_questions)
def test_a_deep_network_is_linked_as_it_should_be(case: Case, findings: Findings, target: Target) -> None:
    def read(found: NetworkFindings) -> tuple[Compared, ...]:
        repeated = told(found.differing, found.evaluations)
        return found.values, found.slopes, found.outputs, found.input_gradients, repeated

    settle_all(findings, lambda seed: network_findings(case.subject, seed, target), read)
