"""The measurement of one workload by pytest-benchmark: calls, rounds, and the rates recorded with its times."""

from __future__ import annotations

import math
from typing import Any

import torch

from fixtures.clock.workloads import Work, Workload
from fixtures.target.device import Device, calls_that_take, timed
from suites.timings.limits import Limits, kind_of_limit

ROUND_SECONDS = 0.005
"""1e4 times what reading the clock takes, and still a hundred rounds in half a second."""


def measure(benchmark: Any, workload: Workload, device: Device, max_time: float, min_rounds: int) -> None:
    """Time a workload, its case's timer waiting for the device; the device's cache is overwritten between rounds.

    Args:
        workload: what is timed.
        device: where it is timed.
        benchmark: the fixture of pytest-benchmark.
        max_time: seconds of all rounds together.
        min_rounds: even if they take longer.
    """
    call = workload.prepare(device.name)
    if not benchmark.enabled:  # --benchmark-disable: run once, to see that it runs
        benchmark.pedantic(call)
        return
    device.reset_peak()
    # Calibration warms up as well: caches are filled and kernels chosen before the first round.
    # The less of two: a machine that stops for a moment would have a round of one call, whose time is the clock's too.
    calls = calls_that_take(ROUND_SECONDS, lambda count: min(timed(call, count, device) for _ in range(2)))
    rounds = max(min_rounds, math.ceil(max_time / timed(call, calls, device)))
    device.forget_cached()
    benchmark.pedantic(call, iterations=calls, rounds=rounds, teardown=device.forget_cached)
    benchmark.extra_info.update(
        workload=workload.name,
        device=device.name,
        threads=torch.get_num_threads(),
        peak_bytes=device.peak_bytes(),
    )


def rates(workload: Workload, seconds: float, device: Device, limits: Limits) -> dict[str, Any]:
    """Rates of a call that takes `seconds`, and their fraction of the machine's limit.

    Args:
        workload: what was timed.
        seconds: of one call.
        device: where it was timed.
        limits: of the machine, measured when first asked for.
    """
    work = workload.count()
    amounts = {"elements": work.elements, "bytes": work.bytes, "flops": work.flops}
    said: dict[str, Any] = {f"{what}_per_second": rounded(many / seconds) for what, many in amounts.items() if many}
    kind = kind_of_limit(work)
    if kind is not None:
        dtype = workload.parameters.get("dtype", "float32")
        limit = limits.of(kind, dtype, device)
        said["limit"] = f"{kind} {dtype}"
        said["limit_per_second"] = rounded(limit)
        said["fraction_of_limit"] = rounded(_limited(work, kind) / seconds / limit)
    return said


def _limited(work: Work, kind: str) -> int:
    return work.flops if kind == "matmul" else work.bytes


def rounded(value: float) -> float:
    """Round to four digits; more are noise."""
    return float(f"{value:.4g}")


COMPARED = ("plain", "spectral_norm", "kaiming_normal_")
"""Weights of the forward pass that is timed plain, with its weight normalized, and next to an initialization."""


def compare_with_initialization(said: dict[str, dict[str, Any]], seconds: dict[str, float]) -> None:
    """Compare normalizing at every forward pass with initializing once, when all three have been timed.

    Args:
        said: extra_info by weight (see COMPARED); added to.
        seconds: median times of one call by weight.
    """
    if not seconds.keys() >= set(COMPARED):
        return
    for weight in COMPARED:
        said[weight]["times_a_plain_forward_pass"] = rounded(seconds[weight] / seconds["plain"])
    overhead = seconds["spectral_norm"] - seconds["plain"]
    said["spectral_norm"]["overhead_seconds_per_forward_pass"] = rounded(overhead)
    if overhead > 0:  # else noise hid it
        passes = seconds["kaiming_normal_"] / overhead
        said["spectral_norm"]["forward_passes_until_overhead_exceeds_initialization"] = rounded(passes)
