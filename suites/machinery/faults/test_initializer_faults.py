"""A representative dozen of the planted faults, one by the real command line; `nox -s faults` plants them all."""

from __future__ import annotations

import inspect

import pytest
import torch

from fixtures.faults.initializers import FAULTS
from fixtures.record.exit_codes import STOP
from fixtures.record.subject import DTYPES
from reports.faults import FaultOutcome
from suites.machinery.chance import CLAIM, SURE, fresh_seed
from suites.machinery.faults.matrix import HEALTHY, HEALTHY_SUITES, plant, selection, tables_of
from suites.machinery.making.suite_run import violated_in

DOZEN = (
    "half_percent_scale",
    "mean_shift",
    "uniform_for_normal",
    "cut_tails",
    "fat_tails",
    "constant",
    "one_nan",
    "too_many_zeros",
    "upper_bound_included",
    "through_bfloat16",
    "one_row_too_large",
    "equal_shards",
    "fan_from_the_other_dimension",
)
FEWEST_FAULTS = 40


LAW = "suites/weights/test_law.py"

ASKING = {"fan": "suites/weights/test_fan.py"}
"""Who asks for the families that are not read from a law's sketch."""

CORE = "(784x256 or 64x64x3x3)"
"""Of the law's subjects those that are drawn most of: `nox -s faults` asks all of them."""


@pytest.mark.large_draws
@SURE
@pytest.mark.parametrize("name", DOZEN)
def test_a_planted_fault_is_stopped_by_the_family_that_should_see_it(name, tmp_path):
    fault = FAULTS[name]
    suite = ASKING.get(fault.family.split(".")[1], LAW)
    selected = selection(fault.dtypes, fault.initializers) + (f" and {CORE}" if suite == LAW else "")
    code, violated = violated_in(suite, tmp_path, "--target", f"fixtures.faults.initializers.{name}", "-k", selected)

    assert code == STOP
    assert any(claim.family.startswith(fault.family) for claim in violated)


@SURE
@pytest.mark.subprocess
def test_a_fault_is_planted_by_the_real_command_line(tmp_path):
    outcome = plant(DOZEN[0], tmp_path / "run", fresh_seed())

    assert outcome.as_it_should, "\n".join(outcome.tail)


@pytest.mark.draws(5000 * CLAIM, "claims of a healthy suite")
@pytest.mark.subprocess
def test_the_healthy_target_passes(tmp_path):
    outcome = plant(HEALTHY, tmp_path / "run", fresh_seed())

    assert outcome.as_it_should, "\n".join(outcome.tail)


def test_every_fault_says_what_it_is_and_who_must_see_it():
    assert len(FAULTS) >= FEWEST_FAULTS
    for fault in FAULTS.values():
        assert fault.description.endswith("."), fault.name
        assert fault.family.count(".") >= 1, fault.name
        assert set(fault.dtypes) <= set(DTYPES)


@pytest.mark.draws(0, "of what the faults draw nothing is looked at")
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_takes_what_torch_takes_and_spoils_the_tensor_in_place(name):
    fault = FAULTS[name]
    function = getattr(fault, fault.initializers[0])
    weight = torch.zeros(48, 20, dtype=getattr(torch, fault.dtypes[0]))

    function(weight, nonlinearity="relu")

    torchs = inspect.signature(getattr(torch.nn.init, fault.initializers[0])).parameters
    assert list(inspect.signature(function).parameters) == list(torchs)


def test_the_matrix_marks_where_a_fault_had_to_be_seen():
    scale, location = "weights.marginal.scale", "weights.marginal.location"
    seen = FaultOutcome("half_percent_scale", "suites/weights", (scale,), 1, {scale: 3}, 1.0, ())
    missed = FaultOutcome("mean_shift", "suites/weights", (location,), 0, {"weights.fan.scale": 1}, 1.0, ())
    healthy = FaultOutcome(HEALTHY, "suites/weights", (), 0, {}, 1.0, ())

    (table,) = tables_of([healthy, seen, missed], width=120)

    assert [column.header for column in table.columns] == ["fault", "fan", "marginal", "ended"]
    assert list(table.columns[2].cells) == ["", "3*", "*"]
    assert list(table.columns[3].cells) == ["ok", "ok", "WRONG (exit 0)"]


def test_the_matrix_has_a_table_for_each_suite_and_asks_for_every_family_that_must_see_a_fault():
    families = ("propagation.link.input_gradient", "propagation.backward.scale")
    half = FaultOutcome("backward-half-percent", "suites/propagation", families, 1, {families[0]: 2}, 1.0, ())
    linear = FaultOutcome("linear-gain", "suites/weights", ("weights.defaults.scale",), 1, {}, 1.0, ())

    by_weights, by_propagation = tables_of([linear, half], width=120)

    assert "suites/weights" in str(by_weights.title)
    assert [column.header for column in by_propagation.columns] == ["fault", "backward", "link", "ended"]
    assert [list(column.cells) for column in by_propagation.columns[1:]] == [["*"], ["2*"], ["WRONG (exit 1)"]]
    assert not half.as_it_should


def test_a_narrow_window_shows_every_family_and_how_each_fault_ended():
    families = ("propagation.link.input_gradient", "propagation.backward.scale")
    half = FaultOutcome("backward-half-percent", "suites/propagation", families, 1, {families[0]: 2}, 1.0, ())

    (table,) = tables_of([half], width=40)

    assert [column.header for column in table.columns] == ["fault", "back", "link", "ended"]


def test_every_suite_that_faults_are_planted_for_is_run_without_any():
    suites = ("propagation", "training", "weights")

    assert {f"healthy-{suite}": f"suites/{suite}" for suite in suites} == HEALTHY_SUITES
