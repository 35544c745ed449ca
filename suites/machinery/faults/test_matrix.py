"""The fault matrix: faults down, families across, a healthy run of each suite; one fault by the real command line."""

from __future__ import annotations

import pytest

from fixtures.record.choices import SUITES
from fixtures.record.fault_outcomes import FaultOutcome
from suites.machinery.chance import CLAIM, SURE, fresh_seed
from suites.machinery.faults.matrix import HEALTHY, plant, tables_of


@SURE
@pytest.mark.subprocess
@pytest.mark.parametrize("name", ["imaginary_parts_unwritten", "layernorm-bias"])
def test_a_fault_is_planted_by_the_real_command_line(name, tmp_path):
    outcome = plant(name, tmp_path / "run", fresh_seed())

    assert outcome.as_it_should, "\n".join(outcome.tail)


@pytest.mark.draws(5000 * CLAIM, "claims of a healthy suite")
@pytest.mark.subprocess
def test_the_healthy_target_passes(tmp_path):
    outcome = plant("healthy-operations", tmp_path / "run", fresh_seed())

    assert outcome.as_it_should, "\n".join(outcome.tail)


def test_the_matrix_marks_where_a_fault_had_to_be_seen():
    scale, location = "weights.marginal.scale", "weights.marginal.location"
    seen = FaultOutcome("half_percent_scale", "suites/weights", (scale,), 1, {scale: 3}, 1.0, ())
    missed = FaultOutcome("mean_shift", "suites/weights", (location,), 0, {"weights.fan.scale": 1}, 1.0, ())
    healthy = FaultOutcome("healthy-weights", "suites/weights", (), 0, {}, 1.0, ())

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
    assert {f"healthy-{suite}": f"suites/{suite}" for suite in SUITES} == HEALTHY
