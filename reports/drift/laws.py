"""Two samples of one subject: do they come from one law, and do they take the same values?

What is compared are counts of weights by cell, [65 536], drawn with seeds that the two sides do not share (the salt of
suites/framework/settings.py). Assumed are independent draws, which other claims check. Asked is whether the law is the
same, not whether it is the promised one, which only says where to look, before anything is counted.

For any fixed set of values, given how many of all N = n1 + n2 weights lie in it, those of them that the candidate drew
are a sample without replacement: their number is hypergeometric, whatever the law. Regions may overlap, because their
p-values are joined by Bonferroni. A single look is judged at CERTAIN, as a claim without confirmation is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import special

from fixtures.statistics.formats import CELLS, FloatArray
from fixtures.statistics.judgement import CERTAIN, MISS_DEVIATE, mean_to_reach
from fixtures.statistics.laws import GridLaw
from fixtures.statistics.pvalues import hypergeometric_p, weighted_sum

Counts = npt.NDArray[np.int64]

FALSE_ALARM_PER_LOOK = CERTAIN
"""Chance, at most, that two samples of one law are told to have another law; the same of another grid.

Given how many of all weights lie in a region, P(p <= x) <= x for its p-value, and so whatever that number is; by
Bonferroni any of m regions has p < CERTAIN / m with chance CERTAIN at most. A file has no fresh draws to confirm it by,
so that this one look has the level at which a claim needs no confirmation."""

INTERVALS = 64
"""Intervals of equal mass: 1.6 % of the weights each, few enough for a half type's values to fill all of them."""

LEAST_COUNT = 64
"""Weights expected in a tail on each side, at the least: where one has 64 and the other none, p is 2**-63."""


@dataclass(frozen=True)
class Regions:
    """Sets of values that are looked at: cells `low[i]` to `high[i] - 1`, ascending, each [m]."""

    low: npt.NDArray[np.intp]
    high: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.low)

    def sums(self, by_cell: npt.NDArray[np.generic]) -> FloatArray:
        """Sums over each region, [m], of a number for each ascending cell."""
        before = np.concatenate(([0], np.cumsum(by_cell)))
        return np.asarray(before[self.high] - before[self.low], dtype=np.float64)


def regions_of(law: GridLaw, draws: int) -> Regions:
    """Regions to look at among `draws` draws on each side, by the law alone.

    Intervals of equal mass, all on one side of a cut between them, and all between two such cuts around the middle: for
    lumps, shifts and scales. Tails, and all between two of them, down to LEAST_COUNT expected weights: for cuts. Tails
    with about one expected weight, and where the law has no mass at all: for far-off weights.
    """
    last = len(law.cells.codes)
    cuts = np.arange(1, INTERVALS) / INTERVALS
    halvings = math.floor(math.log2(max(1.0, draws / LEAST_COUNT)))
    tails = np.concatenate((0.5 ** np.arange(math.log2(INTERVALS) + 1, halvings + 1), [1 / (2 * draws)]))
    lower = np.searchsorted(law.below, np.concatenate((cuts, tails))) + 1
    upper = last - np.searchsorted(law.above[::-1], np.concatenate((cuts, tails)), side="right")
    inner = np.concatenate(([0], lower[: len(cuts)], [last]))
    pairs = [
        *pairwise(inner),
        *((0, high) for high in lower),
        *((low, last) for low in upper),
        *zip(lower, upper, strict=True),
        (0, law.occupied[0]),
        (law.occupied[-1] + 1, last),
    ]
    distinct = sorted({(int(low), int(high)) for low, high in pairs if 0 <= low < high <= last} - {(0, last)})
    low, high = np.array(distinct, dtype=np.intp).reshape(-1, 2).T
    return Regions(low, high)


@dataclass(frozen=True, eq=False)
class TwoSamples:
    """Counts of the weights of one subject on both sides, each [65 536] by cell code, and its promised law."""

    law: GridLaw
    baseline: Counts
    candidate: Counts

    @cached_property
    def sizes(self) -> tuple[int, int]:
        """Weights on either side."""
        return int(self.baseline.sum()), int(self.candidate.sum())

    @cached_property
    def regions(self) -> Regions:
        """Regions to look at; the smaller side decides how far out."""
        return regions_of(self.law, min(self.sizes))

    @cached_property
    def ascending(self) -> tuple[Counts, Counts]:
        """Counts of the finite cells, ascending, [m] each."""
        codes = self.law.cells.codes
        return self.baseline[codes], self.candidate[codes]

    @cached_property
    def by_region(self) -> tuple[FloatArray, FloatArray]:
        """Counts by region, and of what is not finite at the end, [m + 1] each."""
        before, after = (
            np.append(self.regions.sums(counts), size - counts.sum())
            for counts, size in zip(self.ascending, self.sizes, strict=True)
        )
        return before, after

    @cached_property
    def p_values(self) -> FloatArray:
        """Exact p-values of all regions and of what is not finite, [m + 1], before they are joined."""
        before, after = self.by_region
        return hypergeometric_p(before + after, self.sizes[1], sum(self.sizes), after)

    @property
    def p(self) -> float:
        """Chance, at most, that two samples of one law differ as much in any region."""
        return min(1.0, len(self.p_values) * float(self.p_values.min()))

    @cached_property
    def detectable_scale(self) -> float:
        """Relative change of the std that p < CERTAIN shows with probability 1 - 1e-6, by the best region.

        The share of a region of mass P strays by sqrt(P (1 - P) (1 / n1 + 1 / n2)); what it gains by a change of scale
        is taken from the law. Regions with few weights are left out, for their counts are not normal.
        """
        law, regions = self.law.law, self.regions
        wider = 1 + DERIVATIVE_STEP
        scaled = np.diff(law.cdf(law.mean + (self.law.cells.upper - law.mean) / wider), prepend=0.0)
        mass = np.clip(regions.sums(self.law.masses), 0.0, 1.0)
        slope = np.abs(regions.sums(scaled) - mass) / DERIVATIVE_STEP
        strays = np.sqrt(mass * (1 - mass) * sum(1 / size for size in self.sizes))
        deviates = -float(special.ndtri(CERTAIN / len(self.p_values) / 2)) - MISS_DEVIATE
        many = (np.minimum(mass, 1 - mass) * min(self.sizes) >= LEAST_COUNT) & (slope > 0)
        return float(np.min(deviates * strays[many] / slope[many], initial=math.inf))

    @property
    def worst(self) -> Difference:
        """The region in which the two differ most; what lies outside of it where that is less."""
        region = int(np.argmin(self.p_values))
        before, after = (float(found[region]) / size for found, size in zip(self.by_region, self.sizes, strict=True))
        if region == len(self.regions):
            return Difference("NaN or infinite", before, after)
        low, high = int(self.regions.low[region]), int(self.regions.high[region])
        cells, law = self.law.cells, self.law.law
        ends = [float((edge - law.mean) / law.std) for edge in (cells.lower[low], cells.upper[high - 1])]
        start, end = (f"{end:.3g}" for end in ends)
        within = {(True, False): f"below {end} std", (False, True): f"above {start} std"}
        outside = {(True, False): f"above {end} std", (False, True): f"below {start} std"}
        at_an_end = low == 0, high == len(cells.codes)
        if before + after > 1:
            place = outside.get(at_an_end, f"outside {start} to {end} std")
            return Difference(place, 1 - before, 1 - after)
        return Difference(within.get(at_an_end, f"within {start} to {end} std"), before, after)

    @property
    def moved(self) -> tuple[float, float] | None:
        """Change of the mean, in promised std, and of the std, relative; None without finite spread.

        A float32 or float64 counts as the middle of its cell: what that errs by is the same on both sides.
        """
        cells, law = self.law.cells, self.law.law
        middle = cells.first / 2 + cells.last / 2
        found = [_mean_and_std(middle, counts) for counts in self.ascending]
        (mean_before, std_before), (mean_after, std_after) = found
        if not (0 < std_before < math.inf and std_after < math.inf):
            return None
        return (mean_after - mean_before) / law.std, std_after / std_before - 1

    @cached_property
    def expected_values(self) -> npt.NDArray[np.intp]:
        """Ascending cells that are looked for one by one; of half types these are values.

        Those of which one side has enough that none on the other would be beyond chance: of t weights of a value, one
        side has none with probability (n1 / N)**t or (n2 / N)**t at most. They are enough with probability 1 - 1e-6.
        """
        share = max(self.sizes) / sum(self.sizes)
        level = CERTAIN / max(1, len(self.law.occupied))
        enough = mean_to_reach(math.ceil(math.log(level / 2) / math.log(share)))
        return np.flatnonzero(self.law.masses * min(self.sizes) >= enough)

    @cached_property
    def values_of_one_side(self) -> ValuesOfOneSide:
        """Expected values that one side takes and the other never does, each beyond chance."""
        before, after = (counts[self.expected_values].astype(np.float64) for counts in self.ascending)
        p = len(self.law.occupied) * hypergeometric_p(before + after, self.sizes[1], sum(self.sizes), after)
        lost, gained = ((p < CERTAIN) & (counts == 0) for counts in (after, before))
        return ValuesOfOneSide(
            expected=len(self.expected_values),
            lost=int(lost.sum()),
            gained=int(gained.sum()),
            p=float(p[lost | gained].min(initial=1.0)),
        )


@dataclass(frozen=True)
class Difference:
    """Region where two samples differ, in promised std from the promised mean, and the share of weights in it."""

    place: str
    baseline: float
    candidate: float


@dataclass(frozen=True)
class ValuesOfOneSide:
    """Half-type values that one side alone takes.

    Attributes:
        expected: values that were looked for.
        lost: of the baseline alone.
        gained: of the candidate alone.
        p: chance, at most, that any such value is found where both sides have one law.
    """

    expected: int
    lost: int
    gained: int
    p: float


DERIVATIVE_STEP = 1e-4
"""Relative step: the derivative errs by about as much, which is less than is ever printed."""


def _mean_and_std(values: FloatArray, counts: Counts) -> tuple[float, float]:
    """Mean and std of values that occur `counts` times; NaN where none does."""
    occupied = np.flatnonzero(counts)
    if not len(occupied):
        return math.nan, math.nan
    share = counts[occupied] / counts.sum()
    mean = weighted_sum(values[occupied], share)
    with np.errstate(over="ignore"):
        return mean, math.sqrt(weighted_sum((values[occupied] - mean) ** 2, share))


MOST_WEIGHTS = 1 << 53
"""More weights than this are not counted exactly by a float64, and by nobody's machine."""


class NoCounts(Exception):
    """An array that holds no counts; the message says what it holds and what is accepted."""


def counts_of(array: npt.NDArray[np.generic]) -> Counts:
    """Counts by cell as they were drawn, from an array of a run file.

    Raises:
        NoCounts: another shape or type, a negative count, no weights at all, or more than MOST_WEIGHTS.
    """
    if array.shape != (CELLS,) or array.dtype.kind not in "iu":
        raise NoCounts(f"{array.dtype} of shape {array.shape} where {CELLS} integers are expected")
    if int(array.min()) < 0:
        raise NoCounts(f"a count of {int(array.min())}")
    total = math.fsum(array.tolist())
    if not 0 < total <= MOST_WEIGHTS:
        raise NoCounts(f"{total:.3g} weights in all where 1 to {MOST_WEIGHTS:.1g} are accepted")
    return array.astype(np.int64)
