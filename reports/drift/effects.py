"""Effects of initialization on learning: did those of the tutorial's table change between versions?

Files are read, torch is not imported. Both sides trained from the same seeds, so that the seeds are pairs: a release
that changes nothing but rounding leaves what is read before training within rounding, where it may err to one side for
every seed, and what training makes of that is larger as often as smaller. So rounding counts as a tie, and the sign
test of all others is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from fixtures.record.run_folder import Run
from fixtures.statistics.formats import FloatArray, unit_roundoff
from fixtures.statistics.judgement import SCREEN
from fixtures.statistics.signs import Signs
from reports.comparison.false_alarms import Look
from reports.drift.kinds import Drift, Kind, Standing

PREFIX = "training.table/"
"""Before a subject's key, an initialization and a row in the names of its arrays."""

ROUNDED = 50 * 64 * 2 * unit_roundoff("float32")
"""Distance that rounding explains, as a share of a value of 1 or more: 50 layers add up 64 products each, in another
order (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), and a second moment is a square. Rows are
decimal logarithms, shares, and losses about 1: 4e-4 of any of them is no effect that a person would act on."""


class Effects(StrEnum):
    """Classification of one row of the table under one initialization."""

    IDENTICAL = "identical"
    CHANCE = "within chance"
    CHANGED = "changed"
    UNCOMPARED = "uncompared"


@dataclass(frozen=True)
class TableDrift:
    """One row of the table under one initialization, over seeds.

    Attributes:
        name: key of the subject, initialization and row.
        outcome: its classification.
        text: one sentence.
        p: of the sign test, two-sided; None where nothing was compared.
    """

    name: str
    outcome: Effects
    text: str
    p: float | None = None


def table_drifts(baseline: Run, candidate: Run) -> Iterator[TableDrift]:
    """Every row that either side has recorded. Never raises for what a run file may hold."""
    names = {name for run in (baseline, candidate) for name in run.sketches if name.startswith(PREFIX)}
    for name in sorted(names):
        yield _compared(name.removeprefix(PREFIX), *(_values(run.sketches, name) for run in (baseline, candidate)))


def effect_drifts(baseline: Run, candidate: Run, standing: Standing) -> Iterator[Drift]:
    """Rows of the table that changed beyond chance; how many seeds that takes, `table_drifts` tells."""
    for found in table_drifts(baseline, candidate):
        if found.outcome is Effects.CHANGED:
            yield standing.about_key(Kind.EFFECT, found.name, f"{found.name}: {found.text}", found.p)


def effect_looks(baseline: Run, candidate: Run) -> Iterator[Look]:
    """Sign tests that were made. Each is exact given how many pairs are no ties, so that SCREEN bounds its chance."""
    for found in table_drifts(baseline, candidate):
        if found.outcome in (Effects.CHANCE, Effects.CHANGED):
            yield Look(("drift.effect",), SCREEN)


def _values(sketches: Mapping[str, npt.NDArray[np.generic]], name: str) -> FloatArray | None:
    """Values over seeds; None where there are none."""
    found = sketches.get(name)
    if found is None or found.dtype != np.float64 or found.ndim != 1 or not found.size:
        return None
    return found.astype(np.float64)


def _compared(name: str, before: FloatArray | None, after: FloatArray | None) -> TableDrift:
    if before is None or after is None or before.shape != after.shape:
        return TableDrift(name, Effects.UNCOMPARED, "both sides have not recorded the same seeds")
    if np.array_equal(before, after, equal_nan=True):
        return TableDrift(name, Effects.IDENTICAL, "the same for every seed", 1.0)
    differences = _differences(before, after)
    if not differences.any():
        return TableDrift(name, Effects.IDENTICAL, "the same for every seed but for rounding", 1.0)
    signs = Signs.of(differences)
    p = min(1.0, 2 * min(signs.p_no_better, signs.p_no_worse))
    text = (
        f"larger for {signs.better} and smaller for {signs.worse} of {signs.pairs} seeds, p = {p:.2g}; median change "
        f"{signs.median:.3g} ({signs.low:.3g} to {signs.high:.3g})"
    )
    if 2 * 0.5**signs.pairs >= SCREEN:
        return TableDrift(name, Effects.UNCOMPARED, f"{text}; so few seeds cannot show a change", p)
    return TableDrift(name, Effects.CHANGED if p < SCREEN else Effects.CHANCE, text, p)


def _differences(before: FloatArray, after: FloatArray) -> FloatArray:
    """Difference after minus before, [seeds]; 0 for the same infinity and for what rounding explains.

    An infinity has the sign of its side.
    """
    with np.errstate(invalid="ignore"):
        found = np.nan_to_num(after - before, nan=0.0, posinf=np.inf, neginf=-np.inf)
        sizes = np.maximum(1.0, np.maximum(np.abs(before), np.abs(after)))
        return np.asarray(np.where(np.isfinite(found) & (np.abs(found) <= ROUNDED * sizes), 0.0, found))
