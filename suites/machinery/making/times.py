"""Sessions of the paired clock made by hand, for the tests of the reports."""

from __future__ import annotations

from fixtures.clock.results import SCHEMA, Guard, Memory, Pairing, Timed

BYTES = 1 << 20


def timed(name="init/a", ratio=1.0, outcome="fine", width=1.02, **fields):
    """A required workload, with an interval from ratio / width to ratio * width.

    Args:
        name: of the workload.
        ratio: seconds of the candidate by those of the baseline; None: without figures.
        outcome: of the comparison.
        width: ratio of the interval's end to its middle.
        fields: others of the workload.
    """
    known = {"low": ratio and ratio / width, "high": ratio and ratio * width, "sd": ratio and 0.01}
    usual = {"name": name, "ratio": ratio, "outcome": outcome, "required": True, "margin": 0.1, "restarts": 5}
    memory = {side: Memory(None, BYTES) for side in ("baseline", "candidate")}
    rest = {"seconds": ratio and (1e-3, 1e-3 * ratio), "memory": memory, "log_ratios": (), "repeat_log_ratios": ()}
    return Timed(**usual | known | rest | fields)


def regressed(name="init/slow", ratio=6.0, **fields):
    """A workload that fresh workers found slow again."""
    return timed(name, ratio, outcome="regressed", **{"confirmation": (ratio, ratio / 1.05, ratio * 1.05)} | fields)


def broken(name="init/gone"):
    """A workload that the candidate cannot run."""
    notes = ("the candidate cannot run it: RuntimeError",)
    return timed(name, None, "broken", notes=notes, restarts=0)


def unclear(name="init/noisy", **fields):
    """A workload whose interval holds both ends of the margin."""
    notes = ("sd 9.0 % from restart to restart; 40 restarts would decide",)
    return timed(name, 1.0, "no evidence", 1.3, notes=notes, **fields)


def guard(moved=False):
    """The control workload."""
    return Guard(name="guard/python", ratio=1.0, low=0.99, high=1.01, moved=moved)


def pairing(*workloads, guards=(), **fields):
    """A session on the torches of `making_runs`."""
    usual = {
        "schema": SCHEMA,
        "baseline": {"torch": "2.13.0+cpu"},
        "candidate": {"torch": "2.14.1+cpu"},
        "device": "cpu",
        "tier": "quick",
        "seed": 1,
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 140.0,
        "family_error": 0.05,
        "verdict": "pass",
        "reason": "",
    }
    return Pairing(**usual | {"workloads": workloads, "guards": tuple(guards)} | fields)
