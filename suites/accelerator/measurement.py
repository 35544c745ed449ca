"""A measurement on one device, in a process of its own: `python -m suites.accelerator.measurement WHAT ...`.

The last line that begins with "note: " is what a reader of the session has to know.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from fixtures.record.exit_codes import NO_EVIDENCE, PASS
from fixtures.target.device import Device, device_named, unavailable

FACTS = "facts: "
"""Tells the answer from what torch may print as it is imported."""


def facts(device: Device) -> int:
    """Print what the device is, and see that it computes."""
    ones = torch.ones(1 << 10, device=device.name)
    total = float((ones + ones).sum())
    if total != 2 << 10:
        print(f"1024 times 1 + 1 on {device.name} is {total}", file=sys.stderr)
        return NO_EVIDENCE
    print(FACTS + json.dumps({"described": device.described(), "torch": str(torch.__version__)}))
    return PASS


def main(arguments: Sequence[str]) -> int:
    """Carry out one measurement; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m suites.accelerator.measurement", allow_abbrev=False)
    parser.add_argument("what", choices=("facts", "sketch", "large", "timings"))
    parser.add_argument("--device", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--into", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args(arguments)
    if reason := unavailable(given.device):
        print(reason, file=sys.stderr)
        return NO_EVIDENCE
    device = device_named(given.device)
    torch.set_num_threads(1)  # as everywhere: a team of threads would time what else the machine is doing
    if given.what == "facts":
        return facts(device)
    if given.what == "timings":
        from suites.accelerator.device_timings import time_all

        return time_all(device, given.into, given.seconds)
    # Only here: they need more than torch.
    from suites.accelerator import drawn_weights

    return {"sketch": drawn_weights.sketched, "large": drawn_weights.large}[given.what](
        device, given.into, given.seconds, given.seed
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
