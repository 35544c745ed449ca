"""Every workload of `fixtures/clock/workloads.py` once; a test's parameters are the parts of its workload's name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

# What torch deprecates or compiles with a warning is still to be timed.
pytestmark = pytest.mark.filterwarnings("default")

Timing = Callable[[], None]


@pytest.mark.times("init")
def test_init(
    time_workload: Timing, initializer: object, shape: object, dtype: object, layout: object, device: object
) -> None:
    time_workload()


@pytest.mark.times("construct")
def test_construct(time_workload: Timing, network: object, device: object) -> None:
    time_workload()


@pytest.mark.times("forward")
def test_forward(time_workload: Timing, weight: object, device: object) -> None:
    time_workload()


@pytest.mark.times("train")
def test_train(
    time_workload: Timing,
    network: object,
    part: object,
    optimizer: object,
    dtype: object,
    layout: object,
    mode: object,
    device: object,
) -> None:
    time_workload()


@pytest.mark.times("guard")
def test_guard(time_workload: Timing, code: object, device: object) -> None:
    time_workload()
