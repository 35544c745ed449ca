"""The table's effects of two runs side by side: identical, within chance, changed, or too few seeds to tell."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.record.run_folder import Run
from fixtures.statistics.judgement import SCREEN
from reports.drift.effects import PREFIX, ROUNDED, Effects, table_drifts
from reports.verdict.gate import gate
from reports.verdict.reasons import Outcome as Decision
from suites.machinery.chance import ALARM, SURE, no_oftener
from suites.machinery.making.runs import run as made

pytestmark = SURE

NAME = "kaiming_normal_-fan_in-relu-64x64-float32-digits_sgd(20, steps=200)-cpu/kaiming/accuracy"
SEEDS = 20


@pytest.fixture
def draws(generator):
    """Fresh draws for each test."""
    return generator


def run(folder, values):
    sketches = {} if values is None else {PREFIX + NAME: values}
    return Run(folder=folder, plan=None, environment=None, claims={}, sketches=sketches)


def drift(folder, before, after):
    (found,) = table_drifts(run(folder, before), run(folder, after))
    return found


def test_the_same_values_are_identical(draws, tmp_path):
    values = draws.random(SEEDS)
    values[3] = np.inf

    assert drift(tmp_path, values, values.copy()).outcome is Effects.IDENTICAL


def test_all_seeds_one_way_have_changed(draws, tmp_path):
    values = draws.random(SEEDS)

    found = drift(tmp_path, values, values + 1e-3)

    assert found.outcome is Effects.CHANGED
    assert found.p == pytest.approx(2.0**-19)
    assert found.text.startswith("larger for 20 and smaller for 0 of 20 seeds, p = 1.9e-06; median change 0.001")


@pytest.mark.parametrize("by", [1e-9, -1e-9, ROUNDED / 2])
def test_rounding_that_errs_to_one_side_for_every_seed_is_no_change(by, draws, tmp_path):
    """Sums in another order, of another instruction set: 24 of 24 seeds of N(0, 1) were smaller by 5e-8."""
    values = np.append(draws.random(SEEDS - 1), np.inf)

    found = drift(tmp_path, values, values + by)

    assert found.outcome is Effects.IDENTICAL
    assert found.text == "the same for every seed but for rounding"


def test_a_loss_of_many_digits_is_rounded_in_its_own_last_ones(draws, tmp_path):
    values = 1e6 * (1 + draws.random(SEEDS))

    assert drift(tmp_path, values, values * (1 + ROUNDED / 2)).outcome is Effects.IDENTICAL
    assert drift(tmp_path, values, values * (1 + ROUNDED * 2)).outcome is Effects.CHANGED


@pytest.mark.draws(2 * ALARM, "two counts")
def test_rounding_moves_seeds_both_ways_and_is_told_as_a_change_no_oftener_than_p_says(draws, tmp_path):
    trials, level = 500, 0.05
    found = [drift(tmp_path, draws.random(SEEDS), draws.random(SEEDS)) for _ in range(trials)]

    assert {one.outcome for one in found} <= {Effects.CHANCE, Effects.CHANGED}
    assert no_oftener(sum(one.outcome is Effects.CHANGED for one in found), trials, SCREEN)
    assert no_oftener(sum(one.p <= level for one in found), trials, level)


def test_networks_that_overflow_on_one_side_only_have_changed(draws, tmp_path):
    found = drift(tmp_path, draws.random(SEEDS), np.full(SEEDS, np.inf))

    assert found.outcome is Effects.CHANGED


def test_fourteen_seeds_cannot_show_a_change(draws, tmp_path):
    values = draws.random(14)

    found = drift(tmp_path, values, values + 1)

    assert found.outcome is Effects.UNCOMPARED
    assert found.text.endswith("so few seeds cannot show a change")


@pytest.mark.parametrize(
    "other", [None, np.zeros(SEEDS - 1), np.zeros((SEEDS, 1)), np.zeros(SEEDS, np.int64), np.array(["a"] * SEEDS)]
)
def test_what_is_missing_or_of_another_kind_is_not_compared(other, draws, tmp_path):
    for sides in ((draws.random(SEEDS), other), (other, draws.random(SEEDS))):
        assert drift(tmp_path, *sides).outcome is Effects.UNCOMPARED


def test_the_gate_notes_an_effect_that_changed_and_nothing_else(draws):
    values = draws.random(SEEDS)

    def kinds(after):
        before, changed = (made(sketches={PREFIX + NAME: side}) for side in (values, after))
        return [reason.kind for reason in gate(before, changed).reasons if reason.outcome is Decision.NOTICE]

    assert kinds(values + 1e-3) == ["drift.effect"]
    assert kinds(values) == kinds(values[::-1].copy()) == []
