"""Training of a user's model: both sides from the baseline's weights, several times, weights moved before each step.

What moves the weights is as large as rounding may be, so that the repeats of two healthy torches mix, and their ranks
at a step are compared. Losses and gradients diverge by nature; what is asked is whether the candidate's do so beyond
the baseline's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from fixtures.model.levels import training_level
from fixtures.model.results import ROOT, Number, Training
from fixtures.statistics.formats import FloatArray
from fixtures.statistics.ranks import MOST_RANKED, exact_rank_sum_p, least_rank_sum_p
from fixtures.words.phrases import p_value, plural
from reports.model.kinds import Finding, Kind


class Cloud(msgspec.Struct, frozen=True, kw_only=True):
    """Repeats of one side; lists by step, None where a number is not finite.

    Attributes:
        low: least of the repeats.
        middle: their median.
        high: the largest.
        plain: of the run that nothing was moved in.
    """

    low: tuple[Number, ...]
    middle: tuple[Number, ...]
    high: tuple[Number, ...]
    plain: tuple[Number, ...]


class TrainingComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Training on both sides.

    Attributes:
        losses: of the baseline and of the candidate.
        level: of a look at one step.
        looks: that were made.
        least: smallest p-value of all looks; None where none was made.
        leaves_at: first step, from 1, at which the candidate leaves the baseline's repeats; None where it does not.
        module: whose gradients are separated most at that step.
    """

    optimizer: str
    repeats: int
    steps: int
    losses: tuple[Cloud, Cloud]
    level: float
    looks: int
    least: float | None
    leaves_at: int | None = None
    module: str | None = None


class _Step(msgspec.Struct, frozen=True):
    """Loss or gradients of all repeats at one step, of either side, [repeats]."""

    step: int
    what: str
    before: FloatArray
    after: FloatArray
    moved_by: float

    @property
    def p(self) -> float:
        return exact_rank_sum_p(self.before, self.after)

    @property
    def is_larger_than_what_was_moved(self) -> bool:
        """Test for a difference that counts.

        Ranks separate whatever differs, however little: also the last rounding of the loss itself, which is the same in
        each repeat. By less, relative, than every weight was moved no loss can be told to have changed.
        """
        one, other = (float(np.median(side)) for side in (self.before, self.after))
        if not (math.isfinite(one) and math.isfinite(other)):
            return math.isfinite(one) != math.isfinite(other)
        return abs(other - one) > self.moved_by * abs(one)


def compared_training(baseline: Training, candidate: Training) -> tuple[TrainingComparison | None, list[Finding]]:
    """Compare two trainings; None, and a finding that says so, where they cannot be."""
    shapes = [(len(side.losses), len(side.plain_losses)) for side in (baseline, candidate)]
    (repeats, steps), (theirs, other_steps) = shapes
    level = training_level(steps)
    if steps != other_steps or repeats + theirs > MOST_RANKED or least_rank_sum_p(repeats, theirs) >= level:
        told = " and ".join(f"{plural(count, 'repeat')} of {plural(of, 'step')}" for count, of in shapes)
        text = f"training cannot be compared: it has {told}, and {MOST_RANKED} repeats at most are ranked"
        return None, [Finding(kind=Kind.UNASKED, name=ROOT, text=text)]
    looks = list(_looks(baseline, candidate))
    found = [(look, look.p) for look in looks]
    left = [(look, p) for look, p in found if p < level and look.is_larger_than_what_was_moved]
    first = min(left, key=lambda pair: (pair[0].step, pair[1]), default=None)
    module = _separated(baseline, candidate, first[0].step) if first else None
    compared = TrainingComparison(
        optimizer=baseline.optimizer,
        repeats=repeats,
        steps=steps,
        losses=(_cloud(baseline), _cloud(candidate)),
        level=level,
        looks=2 * steps,
        least=min((p for _, p in found), default=None),
        leaves_at=first[0].step + 1 if first else None,
        module=module,
    )
    return compared, [_left(*first, compared)] if first else []


def _looks(baseline: Training, candidate: Training) -> Iterator[_Step]:
    for what, before, after in (
        ("loss", baseline.losses, candidate.losses),
        ("gradients' norm", baseline.gradients, candidate.gradients),
    ):
        ours, theirs = _array(before), _array(after)
        yield from (
            _Step(step, what, ours[:, step], theirs[:, step], baseline.moved_by) for step in range(ours.shape[1])
        )


def _array(rows: Sequence[Sequence[Number]]) -> FloatArray:
    """Numbers, [repeats, steps]; one that is not finite is larger than all."""
    return np.array([[math.inf if value is None else value for value in row] for row in rows], dtype=np.float64)


def _separated(baseline: Training, candidate: Training, step: int) -> str | None:
    """Module whose gradients are separated most at a step: a hint where to look, and no test.

    By ranks first, then by the difference of the medians, in units of the baseline's own spread.
    """
    if baseline.modules != candidate.modules or not baseline.modules:
        return None
    ours, theirs = (_array([repeat[step] for repeat in side.by_module]) for side in (baseline, candidate))

    def separation(place: int) -> tuple[float, float]:
        before, after = ours[:, place], theirs[:, place]
        spread = float(before.max() - before.min())
        apart = abs(float(np.median(after)) - float(np.median(before)))
        return -exact_rank_sum_p(before, after), apart / spread if spread and math.isfinite(spread) else apart

    with np.errstate(invalid="ignore"):
        return baseline.modules[max(range(len(baseline.modules)), key=separation)]


def _cloud(side: Training) -> Cloud:
    losses = _array(side.losses)

    def numbers(values: FloatArray) -> tuple[Number, ...]:
        return tuple(float(value) if math.isfinite(value) else None for value in values)

    return Cloud(
        low=numbers(losses.min(axis=0)),
        middle=numbers(np.median(losses, axis=0)),
        high=numbers(losses.max(axis=0)),
        plain=side.plain_losses,
    )


def _left(look: _Step, p: float, found: TrainingComparison) -> Finding:
    one, other = (float(np.median(side)) for side in (look.before, look.after))
    low, high = float(look.before.min()), float(look.before.max())
    where = f"; `{found.module}` has the gradients that differ most there" if found.module else ""
    baseline = f"{_number(one)} ({_number(low)} to {_number(high)})"
    text = (
        f"training leaves the baseline's repeats at step {look.step + 1} of {found.steps}: {look.what} "
        f"{_number(other)} in the median, where the baseline's is {baseline}, {p_value(p)}{where}"
    )
    looks = f"{plural(found.looks, 'look')}; level {found.level:.1e}"
    details = f"exact rank test of {plural(found.repeats, 'repeat')} on a side, {looks}"
    return Finding(kind=Kind.TRAINING, name=found.module or ROOT, text=text, details=(details,))


def _number(value: float) -> str:
    return f"{value:.7g}" if math.isfinite(value) else "not finite"
