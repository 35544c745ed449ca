"""Precision: products and networks under every setting that reduces it, and where the range of a half type ends."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from fixtures.propagation.networks.plain import PlainNetwork
from fixtures.propagation.readings.evidence import NetworkEvidence, networks_to_resolve
from fixtures.propagation.readings.precision import gather_under, network_questions, plain_subject
from fixtures.propagation.readings.ranges import (
    End,
    Fading,
    fade,
    fading_questions,
    first_overflow,
    first_without_gradient,
    overflows,
    vanishings,
)
from fixtures.record.claim import Effect, Unit
from fixtures.record.kinds import RangeNetwork, ReducedLayer, ReducedNetwork, Setting
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import HALF_TYPES, Subject
from fixtures.rounding.precision import autocast, products, setting_of, settings
from fixtures.statistics.judgement import CERTAIN
from fixtures.target.target import Target
from suites.framework.exact_claims import counterexample, exact_case
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import LAYER_BY_LAYER, judge_as_promised, judge_what_is_drawn, promised
from suites.propagation.tiers import FINER

PRODUCT = "propagation.precision.product"
NETWORK = "propagation.precision.network"
OVERFLOW = "propagation.precision.overflow"
VANISHING = "propagation.precision.vanishing"
ZEROS = "propagation.precision.zeros"

SHAPE = (192, 256)
"""Shape of a product: two different numbers of terms."""

MISSING = "this release of torch lacks the setting"

REDUCED: tuple[Setting, ...] = ("high", "medium", "autocast")
"""Settings whose networks are asked; no other allows more."""

NETWORK_SHAPE = (256, 256)
LAYERS, INPUTS = 64, 64
RESOLUTION = 0.08
"""Relative scale error in each of 64 layers that networks are drawn for, as those of a half type (test_plain.py)."""

LEFT = 0.5
"""Share of a layer's degrees of freedom that rounding leaves, as there."""

DOUBLING = Subject(
    "normal_(std=0.25)", (128, 128), mode=None, nonlinearity=None, path=str(RangeNetwork("overflow", "relu", 24))
)
"""With twice the std of He, signals double at every layer: float16 ends at 65504, about 2**16."""

SIGMOID = Subject(
    "kaiming_normal_", (128, 128), nonlinearity="relu", path=str(RangeNetwork("vanishing", "sigmoid", 24))
)
"""Under He, sigmoid divides gradients by three at every layer: float16 ends at 6e-8."""

GELU = Subject("kaiming_normal_", (256, 256), nonlinearity="relu", path=str(RangeNetwork("zeros", "gelu", 72)))
"""Under He, GELU divides signals by up to sqrt(2) at every layer."""

NETWORKS = 4
"""Networks that are followed to the end of the range."""


def on(subject: Subject, device: str, dtype: str = "float32", **fields: Any) -> Subject:
    """A subject on a device and in a dtype."""
    return msgspec.structs.replace(subject, device=device, dtype=dtype, **fields)


def precisions(device: str, names: Iterable[Setting] | None = None) -> list[tuple[Setting, str]]:
    """(name, dtype) of the settings that this release has, by name or all of them."""
    plain: list[tuple[Setting, str]] = [
        (name, dtype)
        for name, setting in settings(device).items()
        if setting.exists
        for dtype in (HALF_TYPES if setting.halves else ("float32",))
    ]
    halves: list[tuple[Setting, str]] = [("autocast", dtype) for dtype in HALF_TYPES if autocast(device, dtype).exists]
    return [(name, dtype) for name, dtype in plain + halves if names is None or name in names]


def product_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    base = Subject("kaiming_normal_", SHAPE, nonlinearity="relu")
    for device in devices:
        for kind in ("linear", "conv"):
            for name, dtype in precisions(device):
                yield exact_case(PRODUCT, on(base, device, dtype, path=str(ReducedLayer(kind, name))))


def product_questions(subject: Subject) -> list[Question[Any]]:
    setting = setting_of(subject)
    convolves = subject.expect(ReducedLayer).operation == "conv"
    allowed = setting.convolution if convolves else setting.linear
    layer = "a convolution" if convolves else "a linear layer"
    return [
        Question(
            PRODUCT, f"with {setting.says}, {layer}'s output and gradients are as exact as {allowed} factors allow"
        )
    ]


@asks(PRODUCT, product_cases, product_questions)
def test_products_are_as_exact_as_the_setting_promises(case: Case, findings: Findings, target: Target) -> None:
    (question,) = findings.questions
    if not setting_of(case.subject).exists:
        findings.no_evidence(MISSING)
        return
    found = []

    def are_within_their_bounds() -> None:
        found.extend(products(case.subject, findings.seed("products"), target))
        for product in found:
            expected = case.subject.dtype if product.name == "outputs" else "float32"
            assert product.dtype == expected, f"{product.name} are {product.dtype}, not {expected}"
            assert product.error <= 1, f"{product.name} are off by {product.error:.3g} times what rounding explains"

    refuted = counterexample(are_within_their_bounds)
    rough = ", ".join(f"{product.name} {product.roughness:.3g}" for product in found)
    effect = Effect(max((product.roughness for product in found), default=math.inf), Unit.ROUNDOFFS)
    findings.exact(question, refuted, len(found), note=f"unit roundoffs, rms: {rough}", effect=effect)


def network_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    base = Subject("kaiming_normal_", NETWORK_SHAPE, nonlinearity="relu")
    for device in devices:
        for name, dtype in precisions(device, REDUCED):
            subject = on(base, device, dtype, path=str(ReducedNetwork(name, "relu", LAYERS, INPUTS)))
            finer = RESOLUTION / FINER[tier]
            networks = networks_to_resolve(PlainNetwork(plain_subject(subject)), finer)
            yield Case(family=NETWORK, subject=subject, draws=networks, resolution=promised(finer, LEFT))


@asks(NETWORK, network_cases, network_questions)
def test_signals_and_gradients_follow_their_law_in_reduced_precision(
    case: Case, findings: Findings, target: Target
) -> None:
    if not setting_of(case.subject).exists:
        findings.no_evidence(MISSING)
        return

    def run(networks: int, seed: int) -> NetworkEvidence:
        return gather_under(case.subject, networks, seed, case.resolution, target)

    judge_as_promised(findings, run, LAYER_BY_LAYER)


@dataclass(frozen=True)
class Range:
    """Networks that run into the end of a half type's range.

    Attributes:
        family: of the claim.
        says: what happens there, in words, with a place for the {dtype}.
        predicted: subject -> the layer where it happens by the moment map; None for nowhere.
        ends: follows networks until then: subject, networks, seed, target -> ends.
    """

    family: str
    says: str
    predicted: Callable[[Subject], int | None]
    ends: Callable[..., list[End]]

    def questions(self, subject: Subject) -> list[Question[Any]]:
        """The one claim about a subject."""
        layer = self.predicted(subject)
        when = "nowhere within them" if layer is None else f"at about layer {layer}"
        return [Question(self.family, f"{self.says.format(dtype=subject.dtype)}: by the moment map, {when}")]

    def answer(self, case: Case, findings: Findings, target: Target) -> None:
        """Follow networks; an end that has a chance of less than CERTAIN among all of them is a counterexample."""
        (question,) = findings.questions
        found: list[End] = []

        def is_where_the_range_ends() -> None:
            found.extend(self.ends(case.subject, NETWORKS, findings.seed("ends"), target))
            for end in found:
                at = f"at layer {end.layer}" if end.layer else "nowhere"
                for chance, how in ((end.early, "early"), (end.late, "late")):
                    assert chance >= CERTAIN / (2 * NETWORKS), f"{at}: that {how} with a chance of {chance:.1g} at most"

        refuted = counterexample(is_where_the_range_ends)
        layers = [math.inf if end.layer is None else end.layer for end in found]
        seen = ", ".join("nowhere" if end.layer is None else f"layer {end.layer}" for end in found)
        effect = Effect(statistics.median(layers), Unit.LAYERS) if layers else None
        findings.exact(question, refuted, len(found), note=f"seen: {seen}", effect=effect)


OVERFLOWS = Range(
    OVERFLOW,
    "signals that double at every ReLU layer overflow {dtype} where its range ends",
    first_overflow,
    overflows,
)
VANISHINGS = Range(
    VANISHING,
    "from the last layer on, gradients through sigmoid under He are not all zero before the range of {dtype} ends",
    first_without_gradient,
    vanishings,
)


def overflow_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> list[Case]:
    return [exact_case(OVERFLOW, on(DOUBLING, device, dtype)) for device in devices for dtype in HALF_TYPES]


@asks(OVERFLOW, overflow_cases, OVERFLOWS.questions)
def test_signals_overflow_where_the_range_ends(case: Case, findings: Findings, target: Target) -> None:
    OVERFLOWS.answer(case, findings, target)


def vanishing_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> list[Case]:
    return [exact_case(VANISHING, on(SIGMOID, device, dtype)) for device in devices for dtype in HALF_TYPES]


@asks(VANISHING, vanishing_cases, VANISHINGS.questions)
def test_gradients_vanish_where_the_range_ends(case: Case, findings: Findings, target: Target) -> None:
    VANISHINGS.answer(case, findings, target)


def zero_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for dtype in HALF_TYPES:
            yield Case(family=ZEROS, subject=on(GELU, device, dtype), draws=FINER[tier], resolution=0.0)


@asks(ZEROS, zero_cases, fading_questions)
def test_as_many_outputs_round_to_zero_as_the_range_tells(case: Case, findings: Findings, target: Target) -> None:
    def run(networks: int, seed: int) -> Fading:
        return fade(case.subject, networks, seed, target)

    judge_what_is_drawn(findings, run)
