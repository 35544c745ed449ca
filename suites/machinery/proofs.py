"""Proofs that a family of claims can be violated: a test plants a fault and names the families that must see it.

    @proves("weights.determinism.module_digest")
    def test_a_module_that_ignores_the_seed_is_stopped(tmp_path): ...

A claim that is violated while a test runs is noted where the test asks for it (making/answers.py,
making/suite_run.py) or judges a reading (`judged`). A test fails by the name of each family that it names and that was
not seen violated (conftest.py). What all tests name, and the registry of planted faults, is every planned family
(house/test_house.py).
"""

from __future__ import annotations

import pytest

from fixtures.record.claim import Claim, Reading, Verdict
from fixtures.statistics.judgement import judge

VIOLATED: set[str] = set()
"""Families of which a claim was violated since the test that runs began."""


def proves(*families: str) -> pytest.MarkDecorator:
    """Mark a test as one in which a planted fault violates a claim of each of these families."""
    return pytest.mark.proves(*families)


def noted(claim: Claim) -> Claim:
    """Note a claim if it is violated; returns it."""
    if claim.verdict is Verdict.VIOLATED:
        VIOLATED.add(claim.family)
    return claim


def judged(family: str, reading: Reading, confirmed: Reading) -> Verdict:
    """Judge a reading and its confirmation, and note them if they violate their claim."""
    verdict = judge(reading, lambda: confirmed).verdict
    if verdict is Verdict.VIOLATED:
        VIOLATED.add(family)
    return verdict


def named(item: pytest.Item) -> set[str]:
    """Families that a test's marks name."""
    return {family for mark in item.iter_markers("proves") for family in mark.args}


def complaint(item: pytest.Item) -> str | None:
    """Families that a test names and did not see violated, in words; None if it saw all."""
    missed = sorted(named(item) - VIOLATED)
    return f"proves nothing of {', '.join(missed)}: no claim was violated" if missed else None
