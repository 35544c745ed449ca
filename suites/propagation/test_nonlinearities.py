"""Nonlinearities under He: what each does to second moments and to gradients, by quadrature and as measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fixtures.propagation.laws.moment_map import factor, fate, he_gain
from fixtures.propagation.readings.nonlinearities import (
    MOMENTS,
    ORDER,
    Descent,
    Sampled,
    activation_of,
    deep_questions,
    descend,
    describe,
    draws_to_resolve,
    images,
    networks_to_resolve,
    sample,
    single_questions,
)
from fixtures.record.claim import Effect, Unit
from fixtures.record.kinds import Activation, DeepNetwork, MomentMap, SingleLayer
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.rounding.activations import ACTIVATIONS, LEAKY_SLOPE
from fixtures.statistics.laws import gain
from fixtures.target.arithmetic import arithmetic_of
from fixtures.target.target import Target
from suites.framework.exact_claims import exact_case, settle
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import judge_as_promised, promised
from suites.propagation.tiers import FINER

MAP = "propagation.nonlinearity.map"
GAIN = "propagation.nonlinearity.gain"
SINGLE = "propagation.nonlinearity.factor"
DEEP = "propagation.nonlinearity.depth"

SINGLE_SHAPE = (1024, ORDER)
RESOLUTION = 0.02
"""Relative error of a factor that one layer shows; the map's own claim is exact and sees 1e-5."""

DEEP_SHAPE = (128, 128)
DEPTH = 50
A_LAYER = 0.05
"""Relative error of every layer's factor that fifty of them show: a factor of 11 at the end."""

TABLED: tuple[Activation, ...] = ("tanh", "sigmoid", "selu")
"""Nonlinearities that torch's table has a gain of its own for, other than ReLU's."""

SELF_NORMALIZING: tuple[Activation, str] = ("selu", "linear")
"""SELU keeps a second moment of one with a gain of one (Klambauer et al.), not with the table's 3/4."""


def subject_of(
    what: MomentMap | SingleLayer | DeepNetwork,
    nonlinearity: str = "relu",
    shape: tuple[int, ...] = (),
    dtype: str = "float32",
    device: str = "cpu",
) -> Subject:
    leaky: dict[str, Any] = {"nonlinearity": "leaky_relu", "a": LEAKY_SLOPE} if what.activation == "leaky_relu" else {}
    options: dict[str, Any] = {"nonlinearity": nonlinearity} | leaky
    return Subject("kaiming_normal_", shape, dtype, device=device, path=str(what), **options)


def map_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for activation in ACTIVATIONS:
            for dtype in ("float64", "float32") if arithmetic_of(device).has_float64 else ("float32",):
                yield exact_case(MAP, subject_of(MomentMap(activation), dtype=dtype, device=device))


def map_questions(subject: Subject) -> list[Question[Any]]:
    return [Question(MAP, describe(activation_of(subject, MomentMap)))]


@asks(MAP, map_cases, map_questions)
def test_the_moment_map_is_that_of_the_nonlinearity_as_torch_computes_it(
    case: Case, findings: Findings, target: Target
) -> None:
    (question,) = findings.questions
    activation = activation_of(case.subject, MomentMap)

    def is_as_by_quadrature() -> None:
        for q in MOMENTS:
            for name, image in images(case.subject, q).items():
                assert abs(image.found - image.expected) <= image.bound, (
                    f"E[{name}(z)**2] is {image.found:.12g} at q = {q:g}, not {image.expected:.12g} "
                    f"(rounding explains {image.bound:.1g})"
                )

    he = float(factor(activation, he_gain(activation), 1.0))
    settle(findings, question, is_as_by_quadrature, effect=Effect(he, Unit.HE_MOMENT))


def gain_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> list[Case]:
    return [exact_case(GAIN, subject_of(MomentMap(activation), activation)) for activation in TABLED]


def gain_questions(subject: Subject) -> list[Question[Any]]:
    activation = activation_of(subject, MomentMap)
    tabled = gain(str(subject.nonlinearity), None)
    says = f"with calculate_gain({subject.nonlinearity!r}), {tabled:.5g}, {activation.name} {fate(activation, tabled)}"
    return [Question(GAIN, f"{says}; under He it {fate(activation, he_gain(activation))}")]


@asks(GAIN, gain_cases, gain_questions)
def test_the_tables_gain_leads_where_the_map_says(case: Case, findings: Findings, target: Target) -> None:
    (question,) = findings.questions
    activation = activation_of(case.subject, MomentMap)
    tabled = gain(str(case.subject.nonlinearity), None)

    def leads_there() -> None:
        told = target.calculate_gain(case.subject.nonlinearity)
        assert str(fate(activation, told)) == str(fate(activation, tabled)), (
            f"with {told!r} it {fate(activation, told)}"
        )

    (fixed,) = fate(activation, tabled).fixed
    settle(findings, question, leads_there, effect=Effect(fixed.q, Unit.END_MOMENT))


def single_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for activation in ACTIVATIONS:
            for q in MOMENTS:
                subject = subject_of(SingleLayer(activation, q), shape=SINGLE_SHAPE, device=device)
                finer = RESOLUTION / FINER[tier]
                draws = draws_to_resolve(subject, finer)
                yield Case(family=SINGLE, subject=subject, draws=draws, resolution=promised(finer))


@asks(SINGLE, single_cases, single_questions)
def test_one_layer_changes_second_moments_and_gradients_by_the_maps_factors(
    case: Case, findings: Findings, target: Target
) -> None:
    def run(draws: int, seed: int) -> Sampled:
        return sample(case.subject, draws, seed, target)

    judge_as_promised(findings, run, ("factor", "chi"))


def deep_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    pairs: list[tuple[Activation, str]] = [(activation, "relu") for activation in ACTIVATIONS] + [
        (name, name) for name in TABLED
    ]
    for device in devices:
        for activation, nonlinearity in [*pairs, SELF_NORMALIZING]:
            subject = subject_of(DeepNetwork(activation, DEPTH), nonlinearity, DEEP_SHAPE, device=device)
            finer = A_LAYER / FINER[tier]
            networks = networks_to_resolve(subject, finer)
            yield Case(family=DEEP, subject=subject, draws=networks, resolution=promised(finer))


@asks(DEEP, deep_cases, deep_questions)
def test_fifty_layers_change_second_moments_as_the_map_says(case: Case, findings: Findings, target: Target) -> None:
    def run(networks: int, seed: int) -> Descent:
        return descend(case.subject, networks, seed, target)

    judge_as_promised(findings, run, ("depth",))
