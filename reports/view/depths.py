"""Trajectories of second moments as a run keeps them: exact quantile bands by depth, and what was measured.

Arrays come from outside: what cannot be bands is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fixtures.record.run_folder import Run
from fixtures.statistics.formats import FloatArray

DIRECTIONS = ("forward", "backward")

FEWEST_LEVELS = 5
"""A median, and two bands around it."""


@dataclass(frozen=True)
class Bands:
    """One direction through equally built networks; natural logs of the second moment relative to the start.

    Attributes:
        depths: layers passed, ascending, [d].
        levels: of quantiles, ascending, the median in the middle, [q].
        exact: quantiles under the law, [d, q].
        measured: quantiles over the networks, [d, q].
        lines: some networks' own trajectories, [networks, d].
    """

    depths: FloatArray
    levels: FloatArray
    exact: FloatArray
    measured: FloatArray
    lines: FloatArray

    def leaves_the_law_by(self) -> float:
        """Largest distance of the measured median from the exact one, as a factor on the second moment."""
        middle = len(self.levels) // 2
        return float(np.exp(np.abs(self.measured[:, middle] - self.exact[:, middle]).max()))


def trajectories(runs: Iterable[Run]) -> list[str]:
    """Names of the trajectories that any run kept, in the order kept."""
    kept = (name for run in runs for name in run.sketches)
    return list(
        dict.fromkeys(name.split("/")[1] for name in kept if name.startswith("trajectory/") and name.count("/") == 3)
    )


def bands_of(name: str, direction: str, runs: Mapping[str, Run]) -> dict[str, Bands]:
    """One direction of a trajectory by side; a side that kept none, or none that could be one, is missing."""
    found = {side: _bands(run.sketches, f"trajectory/{name}/{direction}") for side, run in runs.items()}
    return {side: bands for side, bands in found.items() if bands is not None}


def _bands(arrays: Mapping[str, npt.NDArray[Any]], place: str) -> Bands | None:
    parts = [arrays.get(f"{place}/{name}") for name in ("depths", "levels", "exact", "measured", "lines")]
    # Numbers that are no logs of a second moment (1e300 is none) would be a drawing without end.
    if any(part is None or part.dtype.kind not in "iuf" or not (np.abs(part) < MOST).all() for part in parts):
        return None
    bands = Bands(*(np.asarray(part, np.float64) for part in parts))
    d, q = bands.depths.size, bands.levels.size
    fits = (
        bands.depths.shape == (d,)
        and bands.levels.shape == (q,)
        and bands.exact.shape == bands.measured.shape == (d, q)
        and bands.lines.ndim == 2
        and bands.lines.shape[1] == d
    )
    ordered = d > 1 and q >= FEWEST_LEVELS and q % 2 == 1 and bool((np.diff(bands.depths) > 0).all())
    return bands if fits and ordered else None


MOST = 1e6
"""Beyond the log of any second moment of a network that somebody trained, and beyond any depth."""
