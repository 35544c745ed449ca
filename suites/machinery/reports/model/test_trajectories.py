"""Training of a user's model: the first step that leaves, the module to look at, and repeats that mix."""

from __future__ import annotations

import msgspec
import pytest

from fixtures.model.levels import FALSE_ALARM, training_level
from fixtures.model.results import ROOT
from reports.model.kinds import Kind
from reports.model.trajectories import compared_training
from suites.machinery.making.model_records import REPEATS, STEPS, training


def test_repeats_that_mix_are_of_one_law():
    made, findings = compared_training(training(), training(0.5))

    assert findings == []
    assert (made.leaves_at, made.module) == (None, None)
    assert made.least > 0.5
    assert (made.looks, made.level) == (2 * STEPS, training_level(STEPS))
    assert made.looks * made.level == pytest.approx(FALSE_ALARM / 2)


def test_the_same_numbers_are_of_one_law():
    assert compared_training(training(), training())[0].least == 1.0


@pytest.mark.parametrize("step", [0, 3, STEPS - 1])
def test_the_first_step_that_leaves_is_named_and_the_module_whose_gradients_part(step):
    made, (finding,) = compared_training(training(), training(leaves_at=step))

    assert (finding.kind, finding.name) == (Kind.TRAINING, "head")
    assert (made.leaves_at, made.module) == (step + 1, "head")
    assert f"training leaves the baseline's repeats at step {step + 1} of 6: loss " in finding.text
    assert "p = 1.5e-11; `head` has the gradients that differ most there" in finding.text
    assert finding.details == ("exact rank test of 20 repeats on a side, 12 looks; level 4.2e-09",)


def test_losses_that_are_not_finite_rank_above_all():
    after = training(0.5)
    burst = tuple((*losses[:4], None, None) for losses in after.losses)
    made, (finding,) = compared_training(training(), msgspec.structs.replace(after, losses=burst))

    assert made.leaves_at == 5
    assert "loss not finite in the median, where the baseline's is 1.50903" in finding.text


def test_what_is_not_finite_on_both_sides_is_the_same():
    sides = [
        msgspec.structs.replace(side, losses=tuple((*losses[:4], None, None) for losses in side.losses))
        for side in (training(), training(0.5))
    ]

    assert compared_training(*sides)[1] == []


@pytest.mark.parametrize(("times", "leaves"), [(1 + 1e-4, True), (1 + 4e-5, False)])
def test_a_difference_below_what_the_weights_were_moved_by_does_not_count(times, leaves):
    """Ranks separate the last rounding of a loss, too, which every repeat has alike."""
    sides = [training(leaves_at=of, moved_by=5e-5, times=times) for of in (None, 0)]

    assert bool(compared_training(*sides)[1]) is leaves


def test_modules_of_other_names_give_no_hint():
    after = msgspec.structs.replace(training(leaves_at=2), modules=("norm", "head"))
    made, (finding,) = compared_training(training(), after)

    assert (made.module, finding.name) == (None, ROOT)


def shortened(made, repeats, steps):
    """The same training of fewer repeats and steps."""
    cut = {
        name: tuple(row[:steps] for row in getattr(made, name)[:repeats])
        for name in ("losses", "gradients", "by_module")
    }
    return msgspec.structs.replace(made, plain_losses=made.plain_losses[:steps], **cut)


@pytest.mark.parametrize(("repeats", "steps"), [(REPEATS, STEPS - 1), (6, STEPS)])
def test_what_cannot_be_compared_says_so(repeats, steps):
    made, (finding,) = compared_training(training(), shortened(training(), repeats, steps))

    assert made is None
    assert finding.kind is Kind.UNASKED
    assert finding.text.startswith(
        f"training cannot be compared: it has 20 repeats of 6 steps and {repeats} repeats of "
    )
