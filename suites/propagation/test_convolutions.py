"""Deep networks of convolutions: every layer's signals and gradients follow their exact law; every product is right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fixtures.propagation.laws.convolution import returned
from fixtures.propagation.networks.convolutions import CYCLES, ConvolutionNetwork, Convolutions, one_network, path_of
from fixtures.propagation.readings.convolution_links import (
    input_gradient_compared,
    outputs_compared,
    weight_gradient_compared,
)
from fixtures.propagation.readings.evidence import NetworkEvidence, gather, networks_to_resolve
from fixtures.propagation.readings.questions import layer_questions
from fixtures.record.kinds import Rank
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.rounding.activations import LEAKY_SLOPE
from fixtures.rounding.comparison import Compared
from fixtures.target.arithmetic import arithmetic_of
from fixtures.target.seeds import seed_generators
from fixtures.target.target import Target
from suites.framework.exact_claims import counterexample, exact_case
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import LAYER_BY_LAYER, judge_as_promised, promised
from suites.propagation.tiers import FINER

LAWS = "propagation.convolutions"
LINKS = "propagation.link.convolutions"

LAYERS = 54
"""Convolutions of each network; a depthwise one has as many depthwise layers, and pointwise ones in between."""

SHAPES = {1: (20, 12, 5), 2: (20, 12, 3, 3), 3: (12, 8, 3, 3, 3)}
"""The first weight's, by spatial dimensions: [C_out, C_in, *kernel], with two fans. Small, since what can go wrong
in a convolution is a matter of its geometry and not of its width."""

SIZES: dict[Rank, int] = {1: 64, 2: 8, 3: 4}
"""Size of the input: 64 positions each."""

SAMPLES = {"padded": 24, "unpadded": 8, "strided": 24, "dilated": 24, "transposed": 8, "grouped": 16, "depthwise": 24}
"""In a batch. On a CPU torch chooses among its own kernels, NNPACK's and oneDNN's by this, with thresholds at 16."""

RESOLUTION = 0.3
"""Relative scale error in each layer alone that networks are drawn for (see statistical_claims.py); torch's default is
off by 59 %."""

CORE_RESOLUTION = 0.07
"""That of the core network; all its layers together show 0.8 % forward and 0.4 % backward."""


def shape_of(kind: str, rank: int) -> tuple[int, ...]:
    """The first weight's, [C_out, C_in / groups, *kernel], or [C_in, C_out / groups, *kernel] of a transposed one."""
    outs, ins, *kernel = SHAPES[rank]
    if kind == "transposed":
        return (ins, outs, *kernel)
    if kind == "grouped":
        return (32, 8, *kernel)
    return (32, 1, *kernel) if kind == "depthwise" else (outs, ins, *kernel)


def he(shape: tuple[int, ...], path: str, **fields: Any) -> Subject:
    options: dict[str, Any] = {"nonlinearity": "relu", "mode": "fan_in"} | fields
    return Subject("kaiming_normal_", shape, path=path, **options)


def convolution_subjects(device: str) -> Iterator[tuple[Subject, float]]:
    """Subjects, and the relative scale error in every layer that networks are drawn for."""

    def padded(rank: Rank = 2, **fields: Any) -> Subject:
        return he(shape_of("padded", rank), path_of(rank, "padded", LAYERS, 24, SIZES[rank]), device=device, **fields)

    yield he((32, 32, 3, 3), path_of(2, "padded", LAYERS, 8, SIZES[2]), device=device), CORE_RESOLUTION
    for rank, size in SIZES.items():
        for kind in CYCLES:
            layers = 2 * LAYERS if kind == "depthwise" else LAYERS
            path = path_of(rank, kind, layers, SAMPLES[kind], size)
            yield he(shape_of(kind, rank), path, device=device), RESOLUTION
    yield padded(mode="fan_out"), RESOLUTION
    yield padded(dtype="float64"), RESOLUTION
    yield padded(layout="channels_last"), RESOLUTION
    yield padded(rank=3, layout="channels_last_3d"), RESOLUTION
    for activation in ("leaky_relu", "gelu", "tanh"):
        leaky: dict[str, Any] = {"nonlinearity": "leaky_relu", "a": LEAKY_SLOPE} if activation == "leaky_relu" else {}
        path = path_of(2, "padded", LAYERS, 8, SIZES[2], activation)
        yield he(shape_of("padded", 2), path, device=device, **leaky), RESOLUTION


def law_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for subject, resolution in convolution_subjects(device):
            finer = resolution / FINER[tier]
            core = subject.shape == (32, 32, 3, 3)
            draws = networks_to_resolve(ConvolutionNetwork(subject), finer)
            yield Case(family=LAWS, subject=subject, draws=draws, resolution=promised(finer), core=core)


def law_questions(subject: Subject) -> list[Question[NetworkEvidence]]:
    return layer_questions(ConvolutionNetwork(subject))


@asks(LAWS, law_cases, law_questions)
def test_signals_and_gradients_follow_their_law_at_every_convolution(
    case: Case, findings: Findings, target: Target
) -> None:
    def run(networks: int, seed: int) -> NetworkEvidence:
        return gather(ConvolutionNetwork(case.subject), networks, seed, case.resolution, target)

    judge_as_promised(findings, run, LAYER_BY_LAYER)


PRODUCTS = {
    "propagation.link.matmul": "each output is the sum of its filter's products with what its taps meet",
    "propagation.link.input_gradient": "each input's gradient is the sum over the filters that meet it",
    "propagation.link.weight_gradient": "each weight's gradient is the sum over the inputs that it meets",
}
"""Claim -> what it says. test_links.py claims the same of single layers; here the batch is that of a network, and with
it the kernel that torch chooses."""

LINK_CYCLES = 2
"""Cycles of layers looked at: all have the same geometry, and the first layer alone sees negative inputs."""

LINK_GRADIENTS = 8
"""Output gradients sent back, each from a position of its own."""


def link_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        if not arithmetic_of(device).multiplies_what_it_is_given:
            continue
        for rank, size in SIZES.items():
            layouts = ("contiguous", *{2: ["channels_last"], 3: ["channels_last_3d"]}.get(rank, []))
            for kind, cycle in CYCLES.items():
                for layout in layouts:
                    for samples in (4, 24):
                        path = path_of(rank, kind, LINK_CYCLES * len(cycle), samples, size)
                        yield exact_case(LINKS, he(shape_of(kind, rank), path, layout=layout, device=device))


def link_questions(subject: Subject) -> list[Question[Any]]:
    about = Convolutions.of(subject)
    of = f"{about.kind} {about.rank}d convolutions, {subject.layout}, {about.inputs} samples"
    return [Question(family, f"in {of}, {says}, to within rounding") for family, says in PRODUCTS.items()]


@asks(LINKS, link_cases, link_questions)
def test_every_product_is_right(case: Case, findings: Findings, target: Target) -> None:
    found = []
    raised = counterexample(lambda: found.extend(products_of(case.subject, findings.seed("link"), target)))
    if raised:
        found = [Compared(1, np.inf, raised)] * len(PRODUCTS)
    for question, compared in zip(findings.questions, found, strict=True):
        findings.exact(question, compared.counterexample, compared.tried, effect=compared.effect)


def products_of(subject: Subject, seed: int, target: Target) -> list[Compared]:
    """Compare outputs, input gradients and weight gradients in one network."""
    seed_generators(seed)
    chooser = np.random.default_rng(seed)
    passed = one_network(subject, target)
    back = [(layer, returned(layer, LINK_GRADIENTS, chooser, weight_gradient=True)) for layer in passed]
    return [
        Compared.of([outputs_compared(layer) for layer in passed]),
        Compared.of([input_gradient_compared(*given) for given in back]),
        Compared.of([weight_gradient_compared(*given) for given in back]),
    ]
