"""Deep networks by the hundred: where their second moments end, forward and backward, against the law of the logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fixtures.propagation.networks.plain import path_of
from fixtures.propagation.readings.trajectories import (
    TRAJECTORY,
    TrajectoryEvidence,
    bands,
    gather,
    networks_to_resolve,
    trajectory_questions,
)
from fixtures.record.kinds import Activation
from fixtures.record.plan import Case
from fixtures.record.subject import Subject
from fixtures.rounding.activations import LEAKY_SLOPE
from fixtures.target.target import Target
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import ALL_LAYERS, judge_as_promised, promised
from suites.propagation.tiers import FINER_OF_MANY

SIZES: tuple[tuple[tuple[int, int], int, Activation, float], ...] = (
    # width or widths, layers, nonlinearity, relative scale error of all layers that is drawn for (see
    # statistical_claims.py)
    ((16, 16), 50, "relu", 0.005),
    ((64, 64), 64, "relu", 0.01),
    ((256, 256), 50, "relu", 0.015),
    ((48, 32), 128, "relu", 0.01),
    ((32, 32), 256, "relu", 0.01),
    ((32, 32), 1000, "relu", 0.01),
    ((64, 64), 50, "leaky_relu", 0.01),
)
"""Power goes with layers x networks x width while the cost goes with width once more: narrow networks see the most,
wide ones are what people build. float32 is enough even for 1000 layers of width 32: the typical signal, and its
gradient, has shrunk by e**41 there with a spread of e**7, and the smallest normal number is e**-87."""

KEPT = (50, 1000)
"""Layers of ReLU networks whose bands are stored for the page."""


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for shape, layers, activation, resolution in SIZES:
            # Equal widths have one law for both modes.
            for mode in ("fan_in", "fan_out") if shape[0] != shape[1] else ("fan_in",):
                leaky = activation == "leaky_relu"
                subject = Subject(
                    "kaiming_normal_",
                    shape,
                    mode=mode,
                    nonlinearity=activation,
                    a=LEAKY_SLOPE if leaky else 0.0,
                    device=device,
                    path=path_of(layers, 1, activation),
                )
                finer = resolution / FINER_OF_MANY[tier]
                networks = networks_to_resolve(subject, finer)
                core = activation == "relu" and layers in KEPT
                resolved = promised(finer)
                yield Case(family=TRAJECTORY, subject=subject, draws=networks, resolution=resolved, core=core)


@asks(TRAJECTORY, cases, trajectory_questions)
def test_second_moments_follow_the_exact_law_of_the_logs(
    case: Case, findings: Findings, target: Target, keep_arrays: Callable[[str, dict[str, Any]], None]
) -> None:
    kept = []

    def run(networks: int, seed: int) -> TrajectoryEvidence:
        found = gather(case.subject, networks, seed, target)
        kept.append(found)
        return found

    judge_as_promised(findings, run, ALL_LAYERS)
    if case.core and kept and not (kept[0].forward.unusable or kept[0].backward.unusable):
        for direction in ("forward", "backward"):
            keep_arrays(f"trajectory/{case.subject.key}/{direction}", bands(getattr(kept[0], direction)))
