"""Sessions of the paired clock made by hand, for the tests of the reports."""

from __future__ import annotations

from fixtures.pairing.results import SCHEMA, Memory, Pairing, Timed

BYTES = 1 << 20


def timed(name="init/a", ratio=1.0, width=1.02, outcome="fine", **fields):
    """A required workload, with an interval from ratio / width to ratio * width."""
    known = {"ratio": ratio, "low": ratio / width, "high": ratio * width, "restarts": 5, "sd": 0.01}
    usual = {"name": name, "outcome": outcome, "required": True, "margin": 0.1, "seconds": (1e-3, 1e-3 * ratio)}
    memory = {side: Memory(None, BYTES) for side in ("baseline", "candidate")}
    return Timed(**usual | known | {"memory": memory, "log_ratios": (), "repeat_log_ratios": ()} | fields)


def regressed(name="init/slow", ratio=6.0, **fields):
    """A workload that fresh workers found slow again."""
    return timed(name, ratio, outcome="regressed", **{"confirmation": (ratio, ratio / 1.05, ratio * 1.05)} | fields)


def broken(name="init/gone"):
    """A workload that the candidate cannot run."""
    notes = ("the candidate cannot run it: RuntimeError",)
    return timed(name, outcome="broken", notes=notes, low=None, high=None, restarts=0, sd=None)


def unclear(name="init/noisy", **fields):
    """A workload whose interval holds both ends of the margin."""
    return timed(
        name, 1.0, 1.3, "no evidence", notes=("sd 9.0 % from restart to restart; 40 restarts would decide",), **fields
    )


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
