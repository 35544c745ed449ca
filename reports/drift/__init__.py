"""Drift: what differs between two runs though both may be right. Files are read, torch is not imported.

A drift says what changed and how much, and has no opinion on what that means for the upgrade: that is the policy's
(fixtures/rules/policy.py), by its kind. Laws of module defaults are no kind of their own: one law is claimed for every
parameter (suites/weights/test_module_defaults.py), so that another one violates a claim; what remains are streams.
"""

from __future__ import annotations

from collections.abc import Sequence

from fixtures.record.run_folder import Run
from reports.comparison.changes import ClaimChange
from reports.comparison.false_alarms import Look
from reports.drift.effects import effect_drifts, effect_looks
from reports.drift.interface import interface_drifts
from reports.drift.kinds import Drift, Standing
from reports.drift.numbers import numbers_drifts
from reports.drift.sketches import sketch_drifts, sketch_looks
from reports.drift.streams import stream_drifts

__all__ = ["Drift", "drift_looks", "drifts"]


def drifts(baseline: Run, candidate: Run, changes: Sequence[ClaimChange]) -> tuple[Drift, ...]:
    """Find drift: laws and grids of core subjects, streams, numbers of training, signatures, warnings and errors.

    What only one side recorded is told as "uncompared", unless a side was cut short: then its failure says so. Never
    raises for what a run file may hold.

    Args:
        baseline: the torch in use.
        candidate: the torch to come; it was asked the same.
        changes: classification of each claim: a subject whose claims are violated on a side is told as not conforming.
    """
    standing = Standing.of(baseline, candidate, changes)
    return (
        *sketch_drifts(baseline, candidate, standing),
        *stream_drifts(baseline, candidate, standing),
        *numbers_drifts(baseline, candidate, standing),
        *effect_drifts(baseline, candidate, standing),
        *interface_drifts(baseline, candidate, standing),
    )


def drift_looks(baseline: Run, candidate: Run, changes: Sequence[ClaimChange]) -> tuple[Look, ...]:
    """Tests that were made, each of which may find a drift by chance; the other kinds of drift compare exactly."""
    standing = Standing.of(baseline, candidate, changes)
    return (*sketch_looks(baseline, candidate, standing), *effect_looks(baseline, candidate))
