"""The law of Kaiming weights: one by one (marginal), by place (position), and against each other (independence)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from fixtures.record.plan import Case
from fixtures.record.subject import DTYPES, Subject, seed_for
from fixtures.statistics.judgement import draws_to_resolve
from fixtures.statistics.laws import KAIMING
from fixtures.target.device import device_named
from fixtures.target.target import Target
from fixtures.weights.draws import count, draw
from fixtures.weights.law_questions import law_questions
from fixtures.weights.marginal_questions import marginal_questions
from fixtures.weights.sketch import Sketch
from fixtures.weights.strategies import (
    HALF_UNIFORM_DRAWS,
    core_subjects,
    drawn,
    draws_for,
    half_uniforms,
    kaiming_subjects,
)
from suites.framework.findings import Findings
from suites.framework.questions import asks

LAW = "weights.law"
MARGINAL = "weights.marginal"

CORE_RESOLUTION = {"quick": 0.002, "full": 0.0005, "soak": 0.00005}
"""Relative scale error a core subject must show: 9.3 million, 150 million and 15 billion normal draws."""

DRAWN_RESOLUTION = {"quick": 0.01, "full": 0.005, "soak": 0.002}
"""The same for drawn subjects, which exist for faults of the shape rule: one term too few in a fan of fifty is 1 %."""

DRAWN_SUBJECTS = {"quick": 16, "full": 64, "soak": 64}
"""Subjects drawn for each initializer and dtype. A fault of one in five subjects is met with probability 0.97 by 16."""


LARGE_SHAPE = {"quick": (64, 1024, 1024), "full": (2049, 1024, 1024), "soak": (2049, 1024, 1024)}
"""Of one call: 2^26 weights, more than any layer of a network of a billion has, and 2^31 + 2^20, which no signed 32-bit
index reaches. Rows of a million weights each tell a stretch that is off by 0.8 % in scale."""

LARGE = (("kaiming_normal_", "float32"), ("kaiming_uniform_", "float32"), ("kaiming_normal_", "bfloat16"))
"""Initializers and dtypes of large calls: either of torch's vectorized paths, and that of a half type."""


def law_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        resolution = CORE_RESOLUTION[tier]
        for subject in core_subjects(device):
            draws = draws_to_resolve(resolution)
            yield Case(family=LAW, subject=subject, draws=draws, resolution=resolution, core=True)
        for initializer, dtype in LARGE:
            subject = Subject(initializer, LARGE_SHAPE[tier], dtype, nonlinearity="relu", device=device)
            draws, _ = draws_for(subject, resolution)
            yield Case(family=LAW, subject=subject, draws=draws, resolution=resolution)
        for initializer in KAIMING:
            for dtype in DTYPES:
                strategy = kaiming_subjects(initializer, dtype, device)
                list_seed = seed_for(run_seed, "subjects", initializer, dtype, device)
                for subject in drawn(strategy, DRAWN_SUBJECTS[tier], list_seed):
                    draws, resolution = draws_for(subject, DRAWN_RESOLUTION[tier])
                    yield Case(family=LAW, subject=subject, draws=draws, resolution=resolution)


@asks(LAW, law_cases, law_questions)
def test_weights_follow_the_promised_law(
    case: Case, findings: Findings, target: Target, keep_sketch: Callable[[Sketch], None]
) -> None:
    def gather(draws: int, seed: int) -> Sketch:
        return draw(case.subject, draws, seed, target)

    if short := _shortage(case.subject):
        findings.no_evidence(short)
        return
    keep_sketch(findings.judge(gather))


ROOM = 2
"""Times its own memory that a weight takes at most while it is drawn: what an initializer needs beside it."""


def _shortage(subject: Subject) -> str | None:
    """Memory that is short for a weight, in words; None where it suffices."""
    needed = ROOM * subject.numel * torch.finfo(getattr(torch, subject.dtype)).bits // 8
    free = device_named(subject.device).free_bytes()
    if free is None or needed <= free:
        return None
    return f"a call of {subject.numel:,} weights may take {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"


def half_uniform_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    resolution = CORE_RESOLUTION[tier]
    for device in devices:
        for subject in half_uniforms(device):
            draws = max(HALF_UNIFORM_DRAWS, draws_to_resolve(resolution))
            yield Case(family=MARGINAL, subject=subject, draws=draws, resolution=resolution, core=True)


@asks(MARGINAL, half_uniform_cases, marginal_questions)
def test_half_type_uniforms_follow_the_promised_law(
    case: Case, findings: Findings, target: Target, keep_sketch: Callable[[Sketch], None]
) -> None:
    def gather(draws: int, seed: int) -> Sketch:
        return count(case.subject, draws, seed, target)

    keep_sketch(findings.judge(gather))
