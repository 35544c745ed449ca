"""Timings of every workload of the quick tier on a device: warmed up, by the host's clock and by events, with memory.

Imports the standard library and torch alone: an interpreter that has nothing else can still be timed. What
pytest-benchmark adds (`nox -s bench`) is many rounds, and a comparison; here each workload has as many as fit.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path

from fixtures.clock.workloads import Workload, workloads
from fixtures.record.exit_codes import NO_EVIDENCE, PASS
from fixtures.record.file_names import MEASUREMENTS
from fixtures.record.session import Measurement, append_measurements
from fixtures.target.device import Clock, Device, calls_that_take, timed, timed_by_events, waiting_clock
from suites.timings.limits import Limits
from suites.timings.measurement import ROUND_SECONDS, rates

LEAST_ROUNDS = 3

MOST_ROUNDS = 50
"""More only make a median finer than the next process's memory layout lets it count."""


def asked() -> list[Workload]:
    """Workloads of the quick tier, those that decide a gate first: time may end."""
    found = [workload for workload in workloads().values() if workload.tier == "quick"]
    return sorted(found, key=lambda workload: not workload.required)


def time_all(
    device: Device, into: Path, seconds: float, clock: Clock | None = None, listed: Iterable[Workload] | None = None
) -> int:
    """Time workloads until the time is up; returns the exit status, 2 where some were left out.

    Args:
        device: where they are timed.
        into: folder of the stage; each measurement is appended when it is taken.
        seconds: to be used.
        clock: another one than the usual, which waits for the device.
        listed: other workloads than all.
    """
    read = clock or waiting_clock(device)
    limits, ends = Limits(), read() + seconds
    waiting = list(asked() if listed is None else listed)
    while waiting and (left := ends - read()) > 0:
        append_measurements(into, [_measured(waiting.pop(0), device, left / (1 + len(waiting)), read, limits)])
    append_measurements(into, [Measurement(workload.name, {}, "left out for time") for workload in waiting])
    if waiting:
        print(f"note: {len(waiting)} workloads left out for time, by name in {MEASUREMENTS}")
    return NO_EVIDENCE if waiting else PASS


def _measured(workload: Workload, device: Device, seconds: float, read: Clock, limits: Limits) -> Measurement:
    """Time one workload; what cannot run on the device says so in its note."""
    started = read()
    try:
        call = workload.prepare(device.name)
        device.reset_peak()
        began = read()
        call()
        first = read() - began
    except (RuntimeError, NotImplementedError) as error:
        return Measurement(workload.name, {}, f"cannot run: {str(error).strip().splitlines()[0][:200]}")
    calls = calls_that_take(ROUND_SECONDS, lambda count: timed(call, count, device, read))
    rounds: list[float] = []
    while len(rounds) < LEAST_ROUNDS or (len(rounds) < MOST_ROUNDS and read() - started < seconds / 2):
        rounds.append(timed(call, calls, device, read) / calls)
    events = [by_events / calls for _ in rounds if (by_events := timed_by_events(call, calls, device)) is not None]
    median = statistics.median(rounds)
    figures = {
        "first call ms": 1000 * first,
        "median ms": 1000 * median,
        "least ms": 1000 * min(rounds),
        "rounds": float(len(rounds)),
        "calls": float(calls),
    }
    if events:
        figures["events ms"] = 1000 * statistics.median(events)
    if (peak := device.peak_bytes()) is not None:
        figures["peak MB"] = peak / 1e6
    told = rates(workload, median, device, limits)
    figures |= {name: float(value) for name, value in told.items() if not isinstance(value, str)}
    return Measurement(workload.name, {name: float(f"{value:.4g}") for name, value in figures.items()})
