"""Marginal law of the weights by stored sketches: numbers for a histogram and for a PIT, by side.

Sketches come from outside: what cannot be a sketch of the subject is left out, and said to be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fixtures.record.run_folder import Run
from fixtures.record.subject import Subject
from fixtures.statistics.formats import FloatArray, cells_of
from fixtures.statistics.judgement import SCREEN
from fixtures.statistics.laws import GridLaw, Law
from fixtures.weights.sketch import COUNTS
from reports.drift.laws import Counts, NoCounts, counts_of
from reports.drift.sketches import Uncompared, usable_law

BINS = 64
"""Bars of a histogram: as narrow as they can be and still be distinguished in a column of a page."""

FEWEST_BINS = 3
"""Edges without which a histogram has no shape: a law so narrow that the dtype's grid has one value for it."""

FARTHEST = 5.0
"""Promised std at which a histogram of a law without ends stops: 1 in 2 million weights lies beyond."""

PIT_POINTS = 240
"""Points of a PIT, evenly spaced in probability: one for each pixel or two of its plot."""


@dataclass(frozen=True)
class Drawn:
    """One side's weights of one subject.

    Attributes:
        n: their number.
        density: share of them in each bin over the bin's width in promised std, [bins].
        departure: empirical CDF less the promised one at `Marginal.promised`, in percentage points, [m].
        beyond: weights outside all bins, NaN and the infinities among them.
    """

    n: int
    density: FloatArray
    departure: FloatArray
    beyond: int


@dataclass(frozen=True)
class Marginal:
    """The weights of one subject on both sides, and the law that they were promised.

    Attributes:
        edges: of the bins, in promised std from the promised mean, [bins + 1]; moved to the nearest edges of cells.
        expected: density that the law, rounded to the dtype's grid, puts into each bin, [bins].
        promised: promised CDF where departures are shown, ascending, [m].
        drawn: by side; one that kept no sketch of the subject is missing.
    """

    subject: Subject
    law: Law
    edges: FloatArray
    expected: FloatArray
    promised: FloatArray
    drawn: Mapping[str, Drawn]

    def strays(self) -> float:
        """Largest departure of any side, in units of what chance allows it."""
        return max(float(np.abs(drawn.departure).max()) / band(drawn.n) for drawn in self.drawn.values())


def band(n: int) -> float:
    """Percentage points that a healthy empirical CDF of `n` weights leaves its law by with chance 1e-4 at most.

    The bound of Dvoretzky, Kiefer and Wolfowitz with Massart's constant, at the level of the screen: a line that
    leaves the band is a claim about the shape that trips (see fixtures.statistics.pvalues.ks_p).
    """
    return 100 * math.sqrt(math.log(2 / SCREEN) / (2 * n))


def sketched(runs: Iterable[Run]) -> list[Subject]:
    """Subjects of which any run planned and kept a sketch, in the order of the plans."""
    runs = list(runs)
    kept = {name.rpartition("/")[0] for run in runs for name in run.sketches if name.endswith(f"/{COUNTS}")}
    subjects = {case.subject.key: case.subject for run in runs if run.plan for case in run.plan.cases}
    return [subject for key, subject in subjects.items() if key in kept]


def marginal(subject: Subject, runs: Mapping[str, Run]) -> Marginal | None:
    """The weights of a subject by side; None where no law is promised or no side kept a sketch that could be one."""
    law = _law_of(subject)
    if law is None:
        return None
    counts = {side: _counts(run.sketches.get(f"{subject.key}/{COUNTS}")) for side, run in runs.items()}
    present = {side: found for side, found in counts.items() if found is not None}
    if not present:
        return None
    bins = _bins(law)
    if len(bins) < FEWEST_BINS:
        return None
    ascending = {side: found[law.cells.codes] for side, found in present.items()}
    at = _pit_cells(law, ascending.values())
    widths = np.diff(_standardized(law, bins))
    return Marginal(
        subject=subject,
        law=law.law,
        edges=_standardized(law, bins),
        expected=_binned(law.masses, bins) / widths,
        promised=law.below[at],
        drawn={
            side: Drawn(
                n=int(found.sum()),
                density=_binned(ascending[side], bins) / widths / found.sum(),
                departure=100 * (np.cumsum(ascending[side])[at] / found.sum() - law.below[at]),
                beyond=int(found.sum() - _binned(ascending[side], bins).sum()),
            )
            for side, found in present.items()
        },
    )


def _law_of(subject: Subject) -> GridLaw | None:
    """The promised law on the subject's grid; None for a subject that has none or contradicts itself."""
    try:
        with np.errstate(all="ignore"):
            return usable_law(subject)
    except Uncompared:
        return None


def _counts(array: npt.NDArray[Any] | None) -> Counts | None:
    """Counts of all cells, [65 536]; None for an array that cannot be that."""
    try:
        return None if array is None else counts_of(array)
    except NoCounts:
        return None


def _bins(law: GridLaw) -> npt.NDArray[np.intp]:
    """Ascending cells that end a bin, the first of them before the first bin, [bins + 1]."""
    mean, std = law.law.mean, law.law.std
    low = max(law.law.low, mean - FARTHEST * std)
    high = min(law.law.high, mean + FARTHEST * std)
    # A law's hard ends are shown with one bin of room, so that what lies beyond them is seen.
    room = (high - low) / BINS
    wanted = np.linspace(low - room, high + room, BINS + 3)
    cells = cells_of(law.dtype)
    return np.unique(np.searchsorted(cells.upper, wanted).clip(0, len(cells.upper) - 2))


def _standardized(law: GridLaw, bins: npt.NDArray[np.intp]) -> FloatArray:
    return (law.cells.upper[bins] - law.law.mean) / law.law.std


def _binned(values: npt.NDArray[Any], bins: npt.NDArray[np.intp]) -> FloatArray:
    """Sums of what lies in each bin."""
    sums = np.concatenate(([0], np.cumsum(values)))
    return np.diff(sums[bins + 1]).astype(np.float64)


def _pit_cells(law: GridLaw, counts: Iterable[npt.NDArray[np.int64]]) -> npt.NDArray[np.intp]:
    """Cells at whose upper edges departures are shown: evenly spaced in probability, and each side's largest one."""
    even = np.searchsorted(law.below, np.linspace(0, 1, PIT_POINTS + 2)[1:-1])
    worst = [int(np.argmax(np.abs(np.cumsum(found) / found.sum() - law.below))) for found in counts if found.any()]
    return np.unique(np.concatenate((even, np.array(worst, np.intp))).clip(0, len(law.below) - 1))
