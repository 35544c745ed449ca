"""Faults planted in torch's modules are seen by the family that should see them, through the real command line."""

from __future__ import annotations

import pytest
from torch import nn

from fixtures.faults.modules import FAULTS
from fixtures.faults.planting import plant, planted_faults
from fixtures.record import file_names, run_folder
from fixtures.record.claim import Verdict
from fixtures.record.environment import Environment
from fixtures.record.exit_codes import NO_EVIDENCE, STOP
from suites.machinery.chance import SURE
from suites.machinery.making.suite_run import run_in_process

pytestmark = SURE

SUITE = "suites/weights/test_module_defaults.py"


def run_suite(folder, *options):
    """Run the suite in this process, as the command line would; returns its exit code."""
    return run_in_process(SUITE, folder, *options)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_stopped_by_the_family_that_should_see_it(name, tmp_path):
    code = run_suite(tmp_path, "--fault", name, "-k", FAULTS[name].selection)

    claims = run_folder.read_claims(tmp_path / file_names.CLAIMS).values()
    assert code == STOP
    assert FAULTS[name].family in {claim.family for claim in claims if claim.verdict is Verdict.VIOLATED}


def test_a_fault_is_gone_when_the_run_is_over(tmp_path):
    healthy = nn.LayerNorm.reset_parameters

    run_suite(tmp_path, "--fault", "layernorm-bias", "-k", "nn.LayerNorm")

    assert nn.LayerNorm.reset_parameters is healthy


def test_a_planted_fault_is_in_the_header_the_record_and_the_command_that_repeats_the_run(tmp_path, capsys):
    run_suite(tmp_path, "--fault", "layernorm-bias", "-k", "nn.LayerNorm", "-v")

    printed = capsys.readouterr().out
    environment = run_folder.read_record(tmp_path / file_names.ENVIRONMENT, Environment)
    assert ", planted fault layernorm-bias" in printed
    assert "--fault layernorm-bias" in next(line for line in printed.splitlines() if "rerun:" in line)
    assert environment.options["fault"] == "layernorm-bias"


def test_nothing_is_tolerated_as_known_while_a_fault_is_planted(tmp_path, monkeypatch):
    """A violation that every known entry would cover stops all the same."""
    monkeypatch.setattr("fixtures.rules.known_violations.Known.covers", lambda *_: True)

    assert run_suite(tmp_path, "--fault", "layernorm-bias", "-k", "nn.LayerNorm") == STOP


def test_a_fault_that_does_not_exist_is_refused_in_one_line(tmp_path, capsys):
    assert run_suite(tmp_path, "--fault", "linear") == NO_EVIDENCE

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --fault linear: no such fault; linear-gain, linear-1-percent, ")
    assert line.endswith(f", {list(planted_faults())[-1]} are accepted")


@pytest.mark.subprocess
def test_the_workers_of_xdist_plant_the_fault_too(tmp_path):
    assert run_suite(tmp_path, "--fault", "layernorm-bias", "-k", "nn.LayerNorm", "-n", "1") == STOP


def test_planting_twice_and_taking_out_in_reverse_order_restores_torch():
    healthy = nn.Linear.reset_parameters
    taken_out = [plant("linear-gain"), plant("linear-bias-zero")]

    for take_out in reversed(taken_out):
        take_out()

    assert nn.Linear.reset_parameters is healthy
