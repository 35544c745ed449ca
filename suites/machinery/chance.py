"""The chance that a test fails on a healthy tree: named by the test, spent by its assertions, added up over all tests.

A test that draws names its level, and a comparison that chance may fail is made by one of the functions here:

    @pytest.mark.draws(3 * ALARM, "three levels of one count")
    def test_no_level_is_exceeded(generator):
        p = np.array([reading(generator).p for _ in range(2000)])
        assert all(no_oftener((p <= level).sum(), len(p), level) for level in (0.5, 0.1, 0.01))

Each comparison spends ALARM, and a test that spends more than it names fails by that (conftest.py). A chance that no
comparison spends is named all the same, with where it comes from: claims that a healthy run may violate, effects that
may be missed. What all tests name together stays below BUDGET (test_chance.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Set

import numpy as np
import pytest
from scipy import stats

from fixtures.statistics.judgement import DEVIATES, FALSE_ALARM_PER_CLAIM, MISS, MISS_DEVIATE, SCREEN

BUDGET = 1e-6
"""Chance, at most, that a whole run of the project's own tests fails on a healthy tree; as for any run of ours."""

ALARM = 1e-10
"""Chance that one comparison fails although nothing is wrong: the budget has room for ten thousand of them."""

CLAIM = FALSE_ALARM_PER_CLAIM
"""Chance that a healthy claim of a suite that a test runs is violated."""

FAR = 1.25
"""Times a stated effect that is planted where it is looked for once: missed with chance FAR_MISS."""

FAR_MISS = float(stats.norm.cdf(MISS_DEVIATE - (FAR - 1) * DEVIATES))
"""2e-12. A stated effect is missed with chance 1e-6; a quarter more lies DEVIATES / 4 standard errors farther out."""


SURE = pytest.mark.draws(ALARM, "holds of all draws, or of all but fewer than one in ten thousand million")
"""Of a test whose draws are any numbers, or whose fault lies so far out that ALARM covers what may be missed: seven
standard errors beyond what is asked, and more."""

SAME_SEED = pytest.mark.draws(2.0**-32, "two seeds of 32 bits are the same")


class Ledger:
    """Level that the comparisons of the running test have spent, and the seed that it draws from."""

    def __init__(self) -> None:
        self.spent, self.seed = 0.0, 0

    def open(self, seed: int) -> None:
        """Begin with another test."""
        self.spent, self.seed = 0.0, seed

    def spend(self, comparisons: int) -> None:
        """Count comparisons that each fail with chance ALARM."""
        self.spent += comparisons * ALARM


LEDGER = Ledger()


def fresh_seed() -> int:
    """Seed of the test that runs, from the run's own (--seed: fresh, and printed) and the test's name."""
    return LEDGER.seed


def within_chance(p: float | np.ndarray) -> bool:
    """Test whether chance explains p, or each of several p-values; on a healthy tree it fails to with chance ALARM."""
    LEDGER.spend(np.size(p))
    return bool(np.all(np.asarray(p) > ALARM))


def no_oftener(count: int, trials: int, rate: float) -> bool:
    """Test whether a count fits an event of this rate, or of a smaller one."""
    return within_chance(float(stats.binom.sf(int(count) - 1, trials, rate)))


def no_more_seldom(count: int, trials: int, rate: float) -> bool:
    """Test whether a count fits an event of this rate, or of a larger one."""
    return within_chance(float(stats.binom.cdf(int(count), trials, rate)))


def detected(p_values: Iterable[float]) -> bool:
    """Test whether the screen sees a stated effect as often as is stated: each reading misses it with chance MISS."""
    p = np.fromiter(p_values, float)
    return no_oftener(int((p >= SCREEN).sum()), len(p), MISS)


def standard_errors() -> float:
    """Standard errors that a normal mean strays from its expectation on one side with chance ALARM: 6.36."""
    LEDGER.spend(1)
    return float(stats.norm.isf(ALARM))


def agrees(found: float, expected: float, standard_error: float) -> bool:
    """Test whether a normal mean is as far from its expectation as chance takes it."""
    return within_chance(2 * float(stats.norm.sf(abs(found - expected) / standard_error)))


def named(mark: pytest.Mark) -> tuple[float, str]:
    """The chance that a mark names, and the reason.

    Raises:
        ValueError: it names none, or more than all tests may have together, or gives no reason.
    """
    chance, why = signature(*mark.args, **mark.kwargs)
    if not (isinstance(chance, int | float) and 0 <= chance < BUDGET and isinstance(why, str) and why):
        raise ValueError(f"draws({chance!r}, {why!r}): a chance below {BUDGET:g} and its source are expected")
    return float(chance), why


def signature(chance: float, why: str) -> tuple[float, str]:
    """Arguments of the mark `draws`."""
    return chance, why


def complaint(mark: pytest.Mark | None, draws: Set[str], spent: float) -> str | None:
    """Complaint about draws that a test's mark does not cover; None if all are covered.

    Args:
        mark: `draws`, of the test.
        draws: who drew.
        spent: by its comparisons.
    """
    if mark is None:
        if draws or spent:
            said = ", ".join(sorted(draws)) or "a comparison that chance may fail"
            return f"draws random numbers ({said}) and names no level: pytest.mark.draws(chance, why), see chance.py"
        return None
    chance, _ = named(mark)
    if spent > chance * (1 + 1e-9):
        return f"names a chance of {chance:.1e} to fail, and its comparisons spent {spent:.1e}"
    return None


def total(items: Iterable[pytest.Item]) -> float:
    """Chance, at most, that any of these tests fails although nothing is wrong."""
    return sum(named(mark)[0] for item in items if (mark := item.get_closest_marker("draws")))
