"""Packages that differ between two runs because somebody asked for it, and so are what is judged, as torch is.

A run records which requirements were added to it (`nox -s gate -- --with`). One that both runs have differs by accident
if it differs; one that a single run has is a difference that was asked for, and what came with it follows from that.
"""

from __future__ import annotations

import msgspec

from fixtures.record.environment import Environment

ABSENT = "none"
"""Version of what is not installed."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of one package in the baseline and the candidate."""

    name: str
    baseline: str
    candidate: str


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """Packages other than torch that differ by intent.

    Attributes:
        named: those that a requirement of one run alone names, whatever their versions.
        brought: those that came with them, as far as their versions differ.
    """

    named: tuple[Step, ...] = ()
    brought: tuple[Step, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Names of all of them."""
        return frozenset(step.name for step in (*self.named, *self.brought))


def intent(before: Environment | None, after: Environment | None) -> Intent:
    """Packages in which two runs were meant to differ; none where one of them cannot tell its own."""
    if before is None or after is None:
        return Intent()
    one_sided = before.added.keys() ^ after.added.keys()
    brought = [names for run in (before, after) for added, names in run.added.items() if added in one_sided and names]
    named = dict.fromkeys(names[0] for names in brought)
    others = sorted({name for names in brought for name in names} - named.keys())

    def step(name: str) -> Step:
        versions = [run.packages.get(name, ABSENT) for run in (before, after)]
        return Step(name=name, baseline=versions[0], candidate=versions[1])

    differing = (each for each in map(step, others) if each.baseline != each.candidate)
    return Intent(named=tuple(map(step, named)), brought=tuple(differing))
