"""The cases that suites/weights asks about: named core subjects in large samples, and a fixed list drawn from the space."""

from __future__ import annotations

from collections.abc import Iterator

from fixtures.strategies import core_draws, core_subjects, draws_for, drawn, kaiming_subjects
from fixtures.subjects import DTYPES, Subject, seed_for
from reports.records import Case

CORE_RESOLUTION = {"quick": 0.002, "full": 0.0005, "soak": 0.00005}
"""Relative scale error a core subject must show: 9.3 million, 150 million and 15 billion normal draws."""

DRAWN_RESOLUTION = {"quick": 0.01, "full": 0.005, "soak": 0.002}
"""The same for drawn subjects, which exist for faults of the shape rule: one term too few in a fan of fifty is 1 %."""

DRAWN_SUBJECTS = {"quick": 16, "full": 64, "soak": 64}
"""Subjects drawn for each initializer and dtype. A fault of one in five subjects is met with probability 0.97 by 16."""


def weight_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    """Every case of the weights suite, in the order in which they run."""
    for device in devices:
        for subject in core_subjects(device):
            resolution = CORE_RESOLUTION[tier]
            draws = core_draws(subject, resolution)
            yield Case(family="weights.marginal", subject=subject, draws=draws, resolution=resolution, core=True)
        for initializer in ("kaiming_normal_", "kaiming_uniform_"):
            for dtype in DTYPES:
                strategy = kaiming_subjects(initializer, dtype, device)
                list_seed = seed_for(run_seed, "subjects", initializer, dtype, device)
                for subject in drawn(strategy, DRAWN_SUBJECTS[tier], list_seed):
                    draws, resolution = draws_for(subject, DRAWN_RESOLUTION[tier])
                    yield Case(family="weights.marginal", subject=subject, draws=draws, resolution=resolution)
            subject = Subject(initializer, shape=(), mode="fan_in", nonlinearity="leaky_relu", a=0.0, device=device)
            yield Case(family="weights.contract.dimensions", subject=subject, draws=0, resolution=0.0)
