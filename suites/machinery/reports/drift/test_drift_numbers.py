"""Numbers of two runs side by side: identical, within what rounding explains, or different from a named place on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fixtures.record.run_folder import Run
from fixtures.training.trajectory import PREFIX, Numbers, Trajectory, recorded_in
from reports.drift.numbers import Outcome, compared, training_drifts
from reports.verdict.gate import gate
from reports.verdict.reasons import Outcome as Decision
from suites.machinery.chance import SURE, fresh_seed
from suites.machinery.making.runs import claim
from suites.machinery.making.runs import run as made

pytestmark = SURE

STEPS, LAYERS, RUNS = 5, 3, 4
ROUNDED, ULP = 1e-4, 1e-8
WITHIN = 1 + ROUNDED / 5
"""A quantity that rounding explains: twice the largest of 16 deviates of ROUNDED (four runs up to the fourth step) is
less than a fifth of it with chance 3e-18, for each of them has to lie within 0.1 std, as 8 % do."""

KEY = "Adam(lr=0.001)-any-float32-tutorial-cpu"


def trajectory(runs=(), scale=0.0, seed=1):
    """Numbers about 1 that stray by a scale."""
    draws = np.random.default_rng([fresh_seed(), seed])
    shapes = ((*runs, STEPS), (*runs, STEPS, LAYERS), (*runs, STEPS, LAYERS))
    return Trajectory(*(1 + scale * draws.standard_normal(shape) for shape in shapes))


@pytest.fixture
def numbers():
    digests = np.arange(STEPS * LAYERS, dtype=np.uint64).reshape(STEPS, LAYERS)
    start = np.arange(LAYERS + 1, dtype=np.uint64)
    moved = (trajectory((RUNS,), scale) for scale in (ULP, ROUNDED))
    return Numbers(start, digests, trajectory(), *moved)


def other(numbers, step=None, layer=None, **changes):
    """The same with other digests from a step and layer on, and quantities of all runs multiplied at (step, layer)."""
    digests = numbers.digests.copy()
    if step is not None:
        digests[step, layer:] += np.uint64(1)
        digests[step + 1 :] += np.uint64(1)
    runs = {kind: changed(getattr(numbers, kind), changes) for kind in ("plain", "one_ulp", "rounded")}
    return dataclasses.replace(numbers, digests=digests, **runs)


def changed(trajectory, changes):
    """Quantities multiplied at (step, layer), of one run or several."""
    arrays = {field.name: getattr(trajectory, field.name).copy() for field in dataclasses.fields(trajectory)}
    for name, (place, factor) in changes.items():
        arrays[name][(..., *place) if isinstance(place, tuple) else (..., place)] *= factor
    return Trajectory(**arrays)


def run(folder, sketches):
    return Run(folder=folder, plan=None, environment=None, claims={}, sketches=sketches)


def sketched(numbers, key=KEY):
    return {f"{PREFIX}{key}/{name}": array for name, array in numbers.arrays().items()}


def test_what_is_the_same_to_the_last_bit_is_identical(numbers):
    drift = compared(KEY, numbers, numbers)

    assert drift.outcome is Outcome.IDENTICAL
    assert drift.text == "losses and weights are bit for bit the same"


def test_a_norm_that_numpy_sums_up_in_another_way_is_no_difference(numbers):
    assert compared(KEY, numbers, other(numbers, gradient_norms=((2, 1), 1 + 1e-15))).outcome is Outcome.IDENTICAL


def test_bits_that_rounding_explains_are_told_from_the_first_layer_on(numbers):
    drift = compared(KEY, numbers, other(numbers, 2, 1, losses=(3, WITHIN)))

    assert drift.outcome is Outcome.ROUNDING
    assert drift.text.startswith(
        "the weights of 2 layers, the first of them layer 2, differ from step 3 on, by no more"
    )
    assert 0 < drift.strain < 1
    assert drift.ulps > 100
    assert drift.told == 1


def test_a_single_layer_is_named(numbers):
    assert "the weights of layer 3 differ from step 2 on" in compared(KEY, numbers, other(numbers, 1, 2)).text


def test_other_losses_with_the_same_weights_are_within_rounding(numbers):
    drift = compared(KEY, numbers, other(numbers, losses=(0, 1 + ULP)))

    assert drift.outcome is Outcome.ROUNDING
    assert drift.text.startswith("losses differ, weights do not, by no more than")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"losses": (1, 1.01)}, "the loss of step 2 departs by 0.01 of itself"),
        ({"gradient_norms": ((2, 0), 1.01)}, "the gradient of layer 1 of step 3 departs"),
        ({"update_norms": ((0, 2), 0.99)}, "the update of layer 3 of step 1 departs"),
        ({"update_norms": ((0, 2), 0.99), "gradient_norms": ((0, 1), 0.99)}, "the gradient of layer 2 of step 1"),
        ({"gradient_norms": ((1, slice(None)), 0.99)}, "the gradient of layer 3 of step 2"),
        ({"losses": (4, 1.01), "update_norms": ((3, 0), 1.01)}, "the update of layer 1 of step 4 departs"),
        ({"losses": (3, np.nan)}, "the loss of step 4 departs by inf of itself, inf times"),
        ({"gradient_norms": ((1, 1), 0.0)}, "the gradient of layer 2 of step 2 departs by 1 of itself"),
    ],
)
def test_what_rounding_does_not_explain_is_different_from_the_first_step_and_layer_on(numbers, changes, named):
    drift = compared(KEY, numbers, other(numbers, 2, 1, **changes))

    assert drift.outcome is Outcome.DIFFERENT
    assert drift.text.startswith(named)
    assert drift.text.endswith("; the weights of 2 layers, the first of them layer 2, differ from step 3 on")
    assert drift.strain > 1


def test_a_quantity_that_rounding_makes_unpredictable_tells_nothing(numbers):
    wild = dataclasses.replace(numbers.rounded, losses=numbers.rounded.losses * 3)
    numbers = dataclasses.replace(numbers, rounded=wild)

    drift = compared(KEY, numbers, other(numbers, 0, 0, losses=(slice(None), 2.0)))

    assert drift.outcome is Outcome.ROUNDING
    assert drift.told == pytest.approx(2 * LAYERS / (1 + 2 * LAYERS))


def test_a_run_of_which_nothing_can_be_told_is_not_compared(numbers):
    wild = changed(numbers.rounded, dict.fromkeys(("losses", "gradient_norms", "update_norms"), ((), 3.0)))
    numbers = dataclasses.replace(numbers, rounded=wild)

    drift = compared(KEY, numbers, other(numbers, 0, 0))

    assert drift.outcome is Outcome.UNCOMPARED
    assert (
        drift.text == "rounding leaves nothing to tell of losses, gradients and updates; the weights of 3 layers, "
        "the first of them layer 1, differ from step 1 on"
    )


def test_nan_on_both_sides_is_no_difference(numbers):
    nan = {"losses": (slice(2, None), np.nan)}

    assert compared(KEY, other(numbers, **nan), other(numbers, **nan)).outcome is Outcome.IDENTICAL
    assert compared(KEY, other(numbers, **nan), other(numbers, 2, 0, **nan)).outcome is Outcome.ROUNDING


def test_other_weights_to_begin_with_are_not_compared(numbers):
    moved = dataclasses.replace(numbers, start=numbers.start + np.uint64(1))

    assert compared(KEY, numbers, moved).outcome is Outcome.UNCOMPARED


def test_every_training_run_of_two_folders_is_compared(numbers, tmp_path):
    before = run(tmp_path, sketched(numbers) | sketched(numbers, "other") | {"kaiming_normal_/counts": np.zeros(3)})
    after = run(tmp_path, sketched(other(numbers, 0, 0)))

    found = list(training_drifts(before, after))

    assert [(drift.subject, drift.outcome) for drift in found] == [
        (KEY, Outcome.ROUNDING),
        ("other", Outcome.UNCOMPARED),
    ]
    assert found[1].text == "the candidate's numbers cannot be compared: it has none"


def test_numbers_come_back_from_a_run_folder_as_they_were(numbers):
    (arrays,) = recorded_in(sketched(numbers)).values()

    assert compared(KEY, numbers, Numbers.of(arrays)).outcome is Outcome.IDENTICAL


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("digests", None, "digests is missing"),
        ("digests", np.zeros((STEPS, LAYERS)), "digests holds float64, not uint64"),
        ("digests", np.zeros((0, LAYERS), np.uint64), "plain is not of 0 steps and 3 layers"),
        ("start", np.zeros((2, 2), np.uint64), "start has 2 dimensions, not 1"),
        ("plain/losses", np.zeros(STEPS + 1), "plain is not of 5 steps and 3 layers"),
        ("plain/losses", np.array(["a"] * STEPS), "plain/losses holds <U1, not float64"),
        ("rounded/update_norms", np.zeros((RUNS, STEPS, 1)), "rounded is not of 5 steps and 3 layers"),
        ("one_ulp/losses", np.zeros((0, STEPS)), "one_ulp is not of 5 steps and 3 layers"),
    ],
)
def test_arrays_that_are_no_numbers_of_a_training_run_are_told_in_one_line(numbers, tmp_path, name, array, words):
    broken = sketched(numbers) | {f"{PREFIX}{KEY}/{name}": array}
    broken = {key: value for key, value in broken.items() if value is not None}

    (drift,) = training_drifts(run(tmp_path, sketched(numbers)), run(tmp_path, broken))

    assert drift.outcome is Outcome.UNCOMPARED
    assert drift.text == f"the candidate's numbers cannot be compared: {words}"


def test_the_gate_stops_for_numbers_beyond_rounding_and_notes_those_within(numbers):
    def reasons(after):
        before, changed = (made(claim(), sketches=sketched(side)) for side in (numbers, after))
        return [(reason.outcome, reason.kind, reason.names) for reason in gate(before, changed).reasons]

    beyond, within = other(numbers, 2, 1, losses=(3, 1.5)), other(numbers, 2, 1, losses=(3, WITHIN))

    assert reasons(beyond) == [(Decision.STOP, "drift.numbers", (KEY,))]
    assert reasons(within) == [(Decision.NOTICE, "drift.numbers_rounding", (KEY,))]
    assert reasons(numbers) == []
