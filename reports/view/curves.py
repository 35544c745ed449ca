"""Training runs as a run keeps them: losses by step, gradient norms by layer, and how far both sides are apart.

Arrays come from outside: what cannot be a training run is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fixtures.record.run_folder import Run
from fixtures.statistics.formats import FloatArray
from fixtures.training.trajectory import Numbers, recorded_in
from reports.drift.numbers import Departure, TrainingDrift, departure, same_start, training_drifts

MOST_POINTS = 1000
"""Steps, and layers, that a drawing has room for; the suite's training runs have 20 and at most 50."""


@dataclass(frozen=True)
class Strain:
    """Distance of the candidate from the baseline as a share of what rounding explains; above 1, something else did it.

    Attributes:
        candidate: its largest deviation, NaN where rounding leaves nothing to tell, [m].
        one_ulp: what comes of moving every weight by one unit in the last place before each step, likewise, [m].
    """

    candidate: FloatArray
    one_ulp: FloatArray


@dataclass(frozen=True)
class Curves:
    """One training run.

    Attributes:
        key: of the subject.
        drift: its classification from the baseline to the candidate.
        sides: by side; one that kept no numbers, or none that could be any, is missing.
        allowed: what rounding explains around the first of the sides, relative: of the loss and of each layer's
            gradients, [steps, 1 + layers].
        by_step: of the losses, [steps]; None where the sides cannot be compared.
        by_layer: of gradients and updates, the largest of all steps, [layers]; None where the sides cannot be compared.
    """

    key: str
    drift: TrainingDrift
    sides: Mapping[str, Numbers]
    allowed: FloatArray
    by_step: Strain | None
    by_layer: Strain | None

    @property
    def around(self) -> Numbers:
        """The side that bands are drawn around."""
        return next(iter(self.sides.values()))


def training_runs(runs: Iterable[Run]) -> list[str]:
    """Keys of the subjects whose training any run recorded, readable or not, in the order kept."""
    return list(dict.fromkeys(key for run in runs for key in recorded_in(run.sketches)))


def training_curves(runs: Mapping[str, Run]) -> list[Curves]:
    """Training runs that can be drawn: what changed first, and of equals those in float32.

    Args:
        runs: the baseline's and the candidate's, in this order.
    """
    kept = {side: recorded_in(run.sketches) for side, run in runs.items()}
    dtypes = {case.subject.key: case.subject.dtype for run in runs.values() if run.plan for case in run.plan.cases}
    places = {key: place for place, key in enumerate(training_runs(runs.values()))}
    drifts = sorted(
        training_drifts(*runs.values()),
        key=lambda drift: (
            drift.outcome.rank,
            dtypes.get(drift.subject) != "float32",
            places[drift.subject],
        ),
    )
    found = (_curves(drift, {side: arrays.get(drift.subject, {}) for side, arrays in kept.items()}) for drift in drifts)
    return [curves for curves in found if curves]


def _curves(drift: TrainingDrift, kept: Mapping[str, Mapping[str, npt.NDArray[Any]]]) -> Curves | None:
    read = {side: _numbers(arrays) for side, arrays in kept.items()}
    sides = {side: numbers for side, numbers in read.items() if numbers is not None}
    if not sides:
        return None
    both = list(sides.values())
    apart = departure(*both) if len(both) > 1 and same_start(*both) else None
    allowed = (apart or departure(both[0], both[0])).allowed[:, : 1 + both[0].digests.shape[1]]
    by_step, by_layer = _strains(apart) if apart else (None, None)
    return Curves(drift.subject, drift, sides, allowed, by_step, by_layer)


def _numbers(arrays: Mapping[str, npt.NDArray[Any]]) -> Numbers | None:
    """Numbers of a side; None where they are none, or too many to be drawn."""
    try:
        numbers = Numbers.of(arrays)
    except ValueError:
        return None
    return numbers if max(numbers.digests.shape) <= MOST_POINTS else None


def _strains(found: Departure) -> tuple[Strain, Strain]:
    """Strains by step and by layer."""
    one_ulp = np.divide(found.one_ulp, found.allowed, out=np.zeros_like(found.allowed), where=found.tells)
    told = [np.where(found.tells, share, np.nan) for share in (found.strain, one_ulp)]
    layers = [np.fmax.reduce(np.fmax.reduce(share[:, 1:], axis=0).reshape(2, -1), axis=0) for share in told]
    return Strain(*(share[:, 0] for share in told)), Strain(*layers)
