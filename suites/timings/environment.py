"""Machine and torch of a saved run, and their differences from another run's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from suites.framework.recording import machine_facts, torch_facts

VARIES = ("hz_actual", "hz_actual_friendly")
"""What py-cpuinfo reads anew each time: with it, no machine is ever the machine it was (pytest-benchmark issue 255)."""

LONGEST_SHOWN = 40
"""Characters: longer values, such as torch's build configuration, are only said to differ."""


def complete(machine_info: dict[str, Any]) -> None:
    """Add torch and processor to pytest-benchmark's machine_info, and leave out what varies while the machine stays."""
    for name in VARIES:
        machine_info.get("cpu", {}).pop(name, None)
    machine_info["torch"] = torch_facts()
    machine_info["environment"] = machine_facts()


def differences(now: dict[str, Any], saved: dict[str, Any]) -> list[str]:
    """Differences between the machine_info of this run and that of a saved one, a line each."""
    flat_now, flat_saved = dict(_flat(json.loads(json.dumps(now)))), dict(_flat(saved))
    both = [(name, flat_now.get(name), flat_saved.get(name)) for name in sorted(flat_now.keys() | flat_saved.keys())]
    return [_difference(name, value, before) for name, value, before in both if value != before]


def _difference(name: str, now: Any, saved: Any) -> str:
    if max(len(str(now)), len(str(saved))) > LONGEST_SHOWN:
        return f"{name} differs"
    return f"{name}: saved {saved}, now {now}"


def _flat(info: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves by their dotted names."""
    for name, value in info.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
