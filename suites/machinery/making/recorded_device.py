"""A device that writes down what is asked of it, its clock and the calls that it is given, in order.

    f  its cache is forgotten      w  it is waited for      c  the clock is read      x  a call

Loaded with `-p suites.machinery.making.recorded_device` it takes the place of every device that suites/timings times
on, and leaves the record of each workload in the file RECORD as a line of JSON.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

RECORD, BROKEN = "KAIMING_GATE_RECORD", "KAIMING_GATE_BROKEN"
"""Environment variables: where the record goes, and which method of the device is to do nothing."""

RULE = re.compile(r"(x*f+wcx+wc)+f*(xf*)?")
"""Blocks of calls between two readings of the clock, each after waiting; before each block the cache is forgotten.

Calls that nobody times may come before: to warm up, or because pytest-benchmark wants a result in the end.
"""


class RecordedDevice:
    """The record is `log`; a call takes a second of its clock."""

    name = "cpu"
    works_in_the_caller = True

    def __init__(self, broken: str = "") -> None:
        self.log = ""
        self._broken = broken

    def wait(self) -> None:
        """Write it down."""
        self._write("w", "wait")

    def forget_cached(self) -> None:
        """Write it down."""
        self._write("f", "forget_cached")

    def _write(self, letter: str, method: str) -> None:
        if method != self._broken:
            self.log += letter

    def call(self) -> None:
        """Take the second that is timed."""
        self.log += "x"

    def clock(self) -> float:
        """Seconds: as many as there were calls."""
        self.log += "c"
        return float(self.log.count("x"))

    def reset_peak(self) -> None:
        """Nothing to reset."""

    def peak_bytes(self) -> int | None:
        """Nobody counts."""
        return None

    def free_bytes(self) -> int | None:
        """Nobody says."""
        return None

    def event(self) -> RecordedEvent:
        """A mark of the same clock."""
        return RecordedEvent(self)

    def described(self) -> str:
        """A name that no maker gives."""
        return "a recorded device"


class RecordedEvent:
    """A mark whose time is read from the device's clock without being written down: the host reads none."""

    def __init__(self, device: RecordedDevice) -> None:
        self._device = device
        self.at = 0

    def record(self) -> None:
        """Take the time."""
        self.at = self._device.log.count("x")

    def elapsed_time(self, later: RecordedEvent) -> float:
        """Milliseconds: a thousand a call."""
        return 1000.0 * (later.at - self.at)


def keeps_the_rule(log: str) -> bool:
    """Test whether the clock was read only after waiting, and no block began with a cache full of the last."""
    return RULE.fullmatch(log) is not None


def pytest_configure() -> None:
    """Let suites/timings time recorded calls on recorded devices."""
    from suites.timings import cases, conftest, measurement

    clock_of, timed = cases.waiting_clock, measurement.timed
    device = RecordedDevice(os.environ.get(BROKEN, ""))

    def named(_name: str) -> RecordedDevice:
        return device

    def measured(*arguments: object) -> None:
        benchmark, workload, *rest = arguments
        device.log = ""
        measure(benchmark, replace(workload, prepare=_calling(device)), *rest)
        with Path(os.environ[RECORD]).open("a", encoding="utf-8") as file:
            file.write(json.dumps([workload.name, device.log]) + "\n")

    measure = conftest.measure
    cases.device_named = conftest.device_named = named
    cases.waiting_clock = partial(clock_of, clock=device.clock)
    measurement.timed = partial(timed, clock=device.clock)
    conftest.measure = measured


def _calling(device: RecordedDevice) -> Callable[[str], Callable[[], object]]:
    return lambda _name: device.call
