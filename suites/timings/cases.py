"""The workloads as pytest-benchmark's cases: groups, parameters and names that its tables show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from fixtures.clock.workloads import Workload, workloads
from fixtures.record.choices import TIERS
from fixtures.target.device import device_named, waiting_clock

DEVICE = "device"


def cases(kind: str, tier: str, devices: Sequence[str]) -> tuple[list[str], list[Any]]:
    """Names and cases, for pytest's parametrize, of the workloads of a kind, which is the first part of their names."""
    found = [workload for workload in workloads().values() if workload.group == kind and _in_tier(workload, tier)]
    return [*found[0].parameters, DEVICE], list(_cases(found, devices))


def _in_tier(workload: Workload, tier: str) -> bool:
    return TIERS.index(workload.tier) <= TIERS.index(tier)


def _cases(found: Sequence[Workload], devices: Sequence[str]) -> Iterator[Any]:
    for device in devices:
        for workload in found:
            # The clock waits for the device, before a round and after it; pytest-benchmark takes it from the mark.
            times = pytest.mark.benchmark(group=group_of(workload, device), timer=waiting_clock(device_named(device)))
            marks = [times, pytest.mark.workload(workload.name)]
            values = [*workload.parameters.values(), device]
            yield pytest.param(*values, id=identifier_of(workload, device), marks=marks)


def group_of(workload: Workload, device: str) -> str:
    """pytest-benchmark's group: workloads to compare with each other, on one device."""
    said = workload.parameters
    group = {
        "init": "init {shape} {dtype}",
        "construct": "construct",
        "forward": "forward pass, and initializing once",
        "train": "train {network} {dtype}",
        "guard": "guard",
    }[workload.group].format_map(said)
    return group if device == "cpu" else f"{group} {device}"


def identifier_of(workload: Workload, device: str) -> str:
    """Test id in brackets: the rest of the workload's name, and a device that is not the CPU."""
    particulars = workload.name.partition("/")[2]
    return particulars if device == "cpu" else f"{particulars}/{device}"
