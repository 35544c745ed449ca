"""Uniform weights: signals, gradients and trajectories by bounds that hold at any width, and against a simulation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fixtures.propagation.networks.plain import UniformNetwork, path_of
from fixtures.propagation.readings.evidence import NetworkEvidence, gather, networks_to_resolve
from fixtures.propagation.readings.questions import layer_questions
from fixtures.propagation.readings.simulated import Compared, compared_questions, gather_compared
from fixtures.propagation.readings.trajectories import networks_to_resolve as trajectories_to_resolve
from fixtures.record.kinds import Activation
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.rounding.activations import LEAKY_SLOPE
from fixtures.target.target import Target
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import LAYER_BY_LAYER, judge_as_promised, promised
from suites.propagation.tiers import FINER_OF_MANY

LAYERS, TRAJECTORIES = "propagation.uniform", "propagation.uniform.trajectory"

SIZES = (
    # width or widths, layers, inputs, relative scale error in each layer alone that is drawn for
    ((256, 256), 64, 16, 0.08),
    ((48, 80), 50, 16, 0.08),
)

TRAJECTORY_SIZES: tuple[tuple[int, int, Activation, float], ...] = (
    # width, layers, nonlinearity, relative scale error of all layers that is drawn for, by mean squares
    (16, 50, "relu", 0.01),
    (64, 64, "relu", 0.015),
    (32, 50, "leaky_relu", 0.015),
)


def uniform(shape: tuple[int, ...], path: str, device: str, **options: Any) -> Subject:
    """A subject that asks for uniform weights."""
    return Subject("kaiming_uniform_", shape, device=device, path=path, **{"nonlinearity": "relu"} | options)


def layer_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for shape, layers, inputs, resolution in SIZES:
            for mode in ("fan_in", "fan_out") if shape[0] != shape[1] else ("fan_in",):
                subject = uniform(shape, path_of(layers, inputs), device, mode=mode)
                finer = resolution / FINER_OF_MANY[tier]
                networks = networks_to_resolve(UniformNetwork(subject), finer)
                yield Case(family=LAYERS, subject=subject, draws=networks, resolution=promised(finer))


def trajectory_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for width, layers, activation, resolution in TRAJECTORY_SIZES:
            slope: dict[str, Any] = {
                "nonlinearity": activation,
                "a": LEAKY_SLOPE if activation == "leaky_relu" else 0.0,
            }
            subject = uniform((width, width), path_of(layers, 1, activation), device, **slope)
            finer = resolution / FINER_OF_MANY[tier]
            networks = trajectories_to_resolve(subject, finer)
            yield Case(family=TRAJECTORIES, subject=subject, draws=networks, resolution=promised(finer))


def uniform_questions(subject: Subject) -> list[Question[NetworkEvidence]]:
    return layer_questions(UniformNetwork(subject))


@asks(LAYERS, layer_cases, uniform_questions)
def test_signals_and_fresh_gradients_have_their_scale_at_every_layer(
    case: Case, findings: Findings, target: Target
) -> None:
    def run(networks: int, seed: int) -> NetworkEvidence:
        return gather(UniformNetwork(case.subject), networks, seed, case.resolution, target)

    judge_as_promised(findings, run, LAYER_BY_LAYER)


@asks(TRAJECTORIES, trajectory_cases, compared_questions)
def test_second_moments_go_where_those_of_a_simulation_go(case: Case, findings: Findings, target: Target) -> None:
    def run(networks: int, seed: int) -> Compared:
        return gather_compared(case.subject, networks, seed, target)

    judge_as_promised(findings, run, ("mean",))  # ranks show less
