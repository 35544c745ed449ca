"""Speed chains made by hand: links of a few workloads whose log ratios are given, or drawn around a truth."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fixtures.clock.estimate import Estimate, estimate
from fixtures.clock.results import SCHEMA, Guard, Memory, Pairing, Timed
from reports.releases.speed import SpeedLink, link_of

CLOCK = "fedcba9876543210"


def timed(name: str, log_ratios: Sequence[float], workloads: int = 1) -> Timed:
    """A workload by its log ratios; one that has none was lacking on a side."""
    found: Estimate | None = estimate(log_ratios, workloads)
    return Timed(
        name=name,
        ratio=found.ratio if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        restarts=len(log_ratios),
        sd=statistics.stdev(log_ratios) if found else None,
        outcome=found.outcome(0.1) if found else "no evidence",
        required=True,
        margin=0.1,
        seconds=(0.0123, 0.0124),
        memory={"baseline": Memory(1e9, 4096)},
        log_ratios=tuple(log_ratios),
        repeat_log_ratios=tuple(log_ratios),
        confirmation=(found.ratio, found.low, found.high) if found else None,
        notes=() if found else ("the baseline cannot run it (3 of 3 times): AttributeError: no fused",),
    )


def pairing(workloads: Mapping[str, Sequence[float]], *, moved: bool = False, **fields: object) -> Pairing:
    """A session of the clock; `moved` for one in which a guard moved."""
    usual = {
        "schema": SCHEMA,
        "baseline": {"torch": "2.5.0", "python": "/home/me/venv/bin/python"},
        "candidate": {"torch": "2.6.0", "python": "/home/me/venv/bin/python"},
        "device": "cpu",
        "tier": "quick",
        "seed": 7,
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 90.0,
        "family_error": 0.05,
        "verdict": "pass",
        "reason": "1 required workloads are no slower than their margin allows",
        "workloads": tuple(timed(name, logs, len(workloads)) for name, logs in workloads.items()),
        "guards": (Guard(name="control", ratio=1.3, low=1.2, high=1.4, moved=True),) if moved else (),
    }
    return Pairing(**usual | fields)


def link(older: str, newer: str, workloads: Mapping[str, Sequence[float]], **fields: object) -> SpeedLink:
    """A link of the chain."""
    torches = {side: {"torch": torch} for side, torch in (("baseline", older), ("candidate", newer))}
    return link_of(pairing(workloads, **{**torches, **fields}), older, newer, CLOCK)


def around(
    truth: float, generator: np.random.Generator, restarts: int = 6, sd: float = 0.02
) -> npt.NDArray[np.float64]:
    """Log ratios of restarts.

    Args:
        truth: ratio of times.
        generator: that draws them.
        restarts: how many.
        sd: standard deviation from restart to restart.
    """
    return np.log(truth) + sd * generator.standard_normal(restarts)
