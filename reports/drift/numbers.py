"""Numbers between versions: did twenty steps of training from the same numbers come out the same, and where not?

Files are read, torch is not imported. What may differ is measured, not guessed: each run also trained with its weights
moved by what rounding can amount to (fixtures/training/numbers.py). Two runs that are right differ by twice that at
most, quantity by quantity, step by step; a deviation once made is carried on, so that the largest up to a step counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fixtures.record.run_folder import Run
from fixtures.statistics.formats import FloatArray, spacing
from fixtures.training.trajectory import Numbers, Trajectory, recorded_in
from reports.comparison.kinds import Kinds
from reports.drift.kinds import Drift, Kind, Standing

STORED = spacing(1.0, "float32")
"""Relative: all numbers were stored in float32 once, whatever moving the weights does to them (Adam's first update has
one size for all gradients)."""


class Outcome(Kinds):
    """Classification of one training run from the baseline to the candidate; what a reader should see first is first.

    Attributes:
        tone: of its mark on the page.
        kind: of drift that it is; None where it is none.
    """

    tone: str
    kind: Kind | None

    DIFFERENT = "different", "bad", Kind.NUMBERS
    UNCOMPARED = "uncompared", "warn", Kind.UNCOMPARED
    ROUNDING = "within rounding", "fine", Kind.NUMBERS_ROUNDING
    IDENTICAL = "identical", "fine", None


@dataclass(frozen=True)
class Departure:
    """Distance of one training run from another, and what rounding explains: relative, [steps, 1 + 2 layers] each.

    Attributes:
        deviation: of the candidate's quantities from the baseline's.
        allowed: what rounding explains: twice the largest deviation of the moved runs of either side up to each step.
        one_ulp: largest deviation up to each step of the runs whose weights were moved by one ulp.
    """

    deviation: FloatArray
    allowed: FloatArray
    one_ulp: FloatArray

    @property
    def tells(self) -> npt.NDArray[np.bool_]:
        """Mask of what rounding leaves anything to tell of: beyond, a norm or a loss may change by its own size."""
        return self.allowed < 1

    @property
    def strain(self) -> FloatArray:
        """Deviation as a share of what rounding explains; 0 where it leaves nothing to tell."""
        with np.errstate(over="ignore"):
            return np.divide(self.deviation, self.allowed, out=np.zeros_like(self.allowed), where=self.tells)

    @property
    def ulps(self) -> FloatArray:
        """Deviation in units of what moving every weight by one ulp does; NaN where both are infinite."""
        with np.errstate(all="ignore"):
            return np.asarray(self.deviation / self.one_ulp)


@dataclass(frozen=True)
class TrainingDrift:
    """One training run on both sides.

    Attributes:
        subject: key of the subject: optimizer, dtype, network, device.
        outcome: its classification; a network that rounding makes unpredictable is told by what remains.
        text: one sentence: the first step and layer that departs, in its bits or beyond rounding.
        strain: largest deviation as a share of what rounding explains; above 1 where it is different.
        ulps: largest deviation in units of what moving every weight by one ulp does.
        told: share of the quantities of all steps (loss, gradients, updates) of which rounding leaves anything to tell.
    """

    subject: str
    outcome: Outcome
    text: str
    strain: float = 0.0
    ulps: float = 0.0
    told: float = 0.0


def training_drifts(baseline: Run, candidate: Run) -> Iterator[TrainingDrift]:
    """Every training run that either side has recorded. Never raises for what a run file may hold."""
    before, after = recorded_in(baseline.sketches), recorded_in(candidate.sketches)
    for subject in sorted(before.keys() | after.keys()):
        read: list[Numbers] = []
        for side, runs in (("baseline", before), ("candidate", after)):
            try:
                read.append(_read(runs, subject))
            except ValueError as error:
                yield TrainingDrift(subject, Outcome.UNCOMPARED, f"the {side}'s numbers cannot be compared: {error}")
                break
        else:
            yield compared(subject, *read)


def numbers_drifts(baseline: Run, candidate: Run, standing: Standing) -> Iterator[Drift]:
    """Training runs that did not come out the same, or cannot be compared."""
    for found in training_drifts(baseline, candidate):
        kind = found.outcome.kind
        if kind and not (kind is Kind.UNCOMPARED and standing.cut_short):
            yield standing.about_key(kind, found.subject, f"{found.subject}: {found.text}")


def _read(runs: dict[str, dict[str, npt.NDArray[np.generic]]], subject: str) -> Numbers:
    if subject not in runs:
        raise ValueError("it has none")
    return Numbers.of(runs[subject])


def same_start(baseline: Numbers, candidate: Numbers) -> bool:
    """Tell whether two training runs can be compared: as many steps and layers, from the same weights and data."""
    return baseline.digests.shape == candidate.digests.shape and np.array_equal(baseline.start, candidate.start)


def departure(baseline: Numbers, candidate: Numbers) -> Departure:
    """Compare two training runs of as many steps and layers with what rounding explains."""
    with np.errstate(over="ignore"):
        explained = 2 * _largest_so_far(baseline, candidate, "rounded")
    return Departure(
        deviation=_deviation(candidate.plain, baseline.plain.quantities),
        allowed=np.maximum(explained, STORED),
        one_ulp=np.maximum(_largest_so_far(baseline, candidate, "one_ulp"), STORED),
    )


def compared(subject: str, baseline: Numbers, candidate: Numbers) -> TrainingDrift:
    """Compare one training run of two sides."""
    if not same_start(baseline, candidate):
        return TrainingDrift(subject, Outcome.UNCOMPARED, "both sides did not start from the same weights and data")
    departs = _first_bits(baseline, candidate)
    if departs is None:
        return TrainingDrift(subject, Outcome.IDENTICAL, "losses and weights are bit for bit the same")
    found = departure(baseline, candidate)
    if not found.tells.any():
        text = f"rounding leaves nothing to tell of losses, gradients and updates; {departs}"
        return TrainingDrift(subject, Outcome.UNCOMPARED, text)
    strain = found.strain
    # Past the first departure everything follows from it, so that this one is worth a name.
    steps = np.flatnonzero((strain > 1).any(axis=1))
    measured = {
        "strain": float(strain.max()),
        "ulps": float(found.ulps.max()),
        "told": float(found.tells.mean()),
    }
    if len(steps) == 0:
        text = f"{departs}, by no more than {measured['strain']:.1%} of what rounding explains"
        return TrainingDrift(subject, Outcome.ROUNDING, text, **measured)
    step = int(steps[0])
    place = _first_place(strain[step])
    size = found.deviation[step, place]
    text = (
        f"{_name(place, baseline.digests.shape[1])} of step {step + 1} departs by {size:.3g} of "
        f"itself, {strain[step, place]:.3g} times what rounding explains; {departs}"
    )
    return TrainingDrift(subject, Outcome.DIFFERENT, text, **measured)


def _first_bits(baseline: Numbers, candidate: Numbers) -> str | None:
    """The first step and layer whose weights differ, in words; None where all bits are the same."""
    same = baseline.digests == candidate.digests
    if same.all():
        losses = np.array_equal(baseline.plain.losses, candidate.plain.losses, equal_nan=True)
        return None if losses else "losses differ, weights do not"
    steps = np.flatnonzero(~same.all(axis=1))
    layers = [str(layer + 1) for layer in np.flatnonzero(~same[steps[0]])]
    named = f"layer {layers[0]}" if len(layers) == 1 else f"{len(layers)} layers, the first of them layer {layers[0]},"
    return f"the weights of {named} differ from step {steps[0] + 1} on"


def _deviation(trajectory: Trajectory, own: FloatArray) -> FloatArray:
    """|quantity - own| / |own|; 0 where both are the same, NaN and infinities among them, else infinite."""
    found = trajectory.quantities
    same = (found == own) | (np.isnan(found) & np.isnan(own))
    with np.errstate(all="ignore"):
        deviation = np.abs(found - own) / np.abs(own)
    return np.where(same, 0.0, np.where(np.isnan(deviation), np.inf, deviation))


def _largest_so_far(baseline: Numbers, candidate: Numbers, kind: str) -> FloatArray:
    """Largest deviation of the moved runs of either side up to each step, [steps, quantities]."""
    sides = [_deviation(getattr(side, kind), side.plain.quantities).max(axis=0) for side in (baseline, candidate)]
    return np.maximum.accumulate(np.maximum(*sides), axis=0)


def _first_place(strain: FloatArray) -> int:
    """The quantity to name: the loss, where it departs, then the layers' gradients from the last one on, then updates.

    That is the order in which they are computed.
    """
    layers = (len(strain) - 1) // 2
    order: tuple[int, ...] = (0, *range(layers, 0, -1), *range(layers + 1, 2 * layers + 1))
    return next(place for place in order if float(strain[place]) > 1)


def _name(place: int, layers: int) -> str:
    if place == 0:
        return "the loss"
    kind = "gradient" if place <= layers else "update"
    return f"the {kind} of layer {place - layers * (kind == 'update')}"
