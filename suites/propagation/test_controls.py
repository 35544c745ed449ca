"""Networks without Kaiming initialization go wrong at their predicted rate: a control that does not fail is a fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fixtures.propagation.networks.plain import Plain, path_of
from fixtures.propagation.networks.stack import drawing, squares_of_many
from fixtures.propagation.readings.controls import CONTROL, control_questions, gather_control
from fixtures.propagation.readings.overflow import OVERFLOW, Overflows, gather_overflows, overflow_questions
from fixtures.propagation.readings.trajectories import TrajectoryEvidence, networks_to_resolve
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.target.target import Target
from suites.framework.exact_claims import exact_case, settle
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import ALL_LAYERS, judge_as_promised, judge_what_is_drawn, promised
from suites.propagation.tiers import FINER_OF_MANY

ZEROS = "propagation.control.zeros"

LAYERS = 50

WIDTH = 64

RESOLUTION = 0.03
"""Relative error of the control's own scale that networks are drawn for; He's is wrong by 30 % and more."""

CONTROLS = (
    # initializer, nonlinearity that it is told, dtype: the squares of std 0.01 and 1 shrink and grow by 1e-124 and 1e75
    ("kaiming_normal_", "linear", "float32"),
    ("normal_(std=0.01)", None, "float64"),
    ("normal_(std=1.0)", None, "float64"),
    ("nn.Linear(bias=False)", None, "float32"),
    ("nn.Linear(bias=True)", None, "float32"),
)

OVERFLOWING = (
    # width, dtype, layers after which the exact law leaves no network finite but for a chance that is nothing
    (16, "float32", 150),
    (128, "float32", 60),
    (256, "float32", 50),
    (128, "float16", 15),
)

OVERFLOW_NETWORKS = 32
"""The distribution of the layer of overflow is seen to be off by a KS distance of 0.86: by two layers or so."""


def without_kaiming(
    initializer: str, nonlinearity: str | None, dtype: str, width: int, layers: int, device: str
) -> Subject:
    """A control's subject; only Kaiming's initializers have a mode."""
    options: dict[str, Any] = {"mode": "fan_in", "a": 0.0} if nonlinearity else {"mode": None, "a": None}
    path = path_of(layers, 1)
    return Subject(initializer, (width, width), dtype, nonlinearity=nonlinearity, device=device, path=path, **options)


def control_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for initializer, nonlinearity, dtype in CONTROLS:
            subject = without_kaiming(initializer, nonlinearity, dtype, WIDTH, LAYERS, device)
            finer = RESOLUTION / FINER_OF_MANY[tier]
            networks = networks_to_resolve(subject, finer)
            yield Case(family=CONTROL, subject=subject, draws=networks, resolution=promised(finer))


def overflow_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for width, dtype, layers in OVERFLOWING:
            subject = without_kaiming("normal_(std=1.0)", None, dtype, width, layers, device)
            networks = OVERFLOW_NETWORKS * FINER_OF_MANY[tier] ** 2
            yield Case(family=OVERFLOW, subject=subject, draws=networks, resolution=0.0)


def zeros_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        yield exact_case(ZEROS, without_kaiming("zeros_", None, "float32", WIDTH, LAYERS, device))


def zeros_questions(subject: Subject) -> list[Question[Any]]:
    return [Question(ZEROS, "networks of zeros have no signal after any layer, and no gradient")]


@asks(CONTROL, control_cases, control_questions)
def test_a_control_fails_at_its_own_rate(case: Case, findings: Findings, target: Target) -> None:
    def run(networks: int, seed: int) -> TrajectoryEvidence:
        return gather_control(case.subject, networks, seed, target)

    judge_as_promised(findings, run, ALL_LAYERS)


@asks(OVERFLOW, overflow_cases, overflow_questions)
def test_a_std_of_one_overflows_where_the_exact_law_says(case: Case, findings: Findings, target: Target) -> None:
    def run(networks: int, seed: int) -> Overflows:
        return gather_overflows(case.subject, networks, seed, target)

    judge_what_is_drawn(findings, run)


@asks(ZEROS, zeros_cases, zeros_questions)
def test_zeros_stay_zeros(case: Case, findings: Findings, target: Target) -> None:
    (question,) = findings.questions
    subject, seed = case.subject, findings.seed("inputs")

    def nothing_is_left() -> None:
        forward, backward = squares_of_many(Plain.of(subject), drawing(subject, target), 1, seed, subject)
        assert not forward[:, 1:].any(), "a signal is not zero"
        assert not backward[:, 1:].any(), "a gradient is not zero"

    settle(findings, question, nothing_is_left)
