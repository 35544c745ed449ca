"""Planted faults are stopped by all the families that must see them, and are gone when the run is over.

Some stand for the wrong initializers; `nox -s faults` plants them all.
"""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from fixtures.faults import initializers
from fixtures.faults.fault import Fault
from fixtures.faults.registry import FILES, plant, planted_faults
from fixtures.record import file_names, run_folder
from fixtures.record.environment import Environment
from fixtures.record.exit_codes import NO_EVIDENCE, STOP
from fixtures.record.subject import DTYPES
from suites.machinery.chance import SURE
from suites.machinery.making.suite_run import run_in_process, violated_in
from suites.weights.test_complex import PARTS

FAULTS = planted_faults()

STANDING = (
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
    "too_wide_beyond_four_million",
    "one_chunk_too_wide",
    "copies_a_thousand_before",
    "a_few_copies_far_before",
    "signs_follow_far_before",
    "drawn_from_a_pool",
    "a_line_drawn_twice",
    "too_wide_at_first",
    "positive_at_first",
    "nothing_at_first",
    "twice_the_second_moment",
    "equal_parts",
    "parts_share_size",
    "unequal_parts",
    "shifted_parts",
    "imaginary_parts_unwritten",
)

LAW, DEFAULTS = "suites/weights/test_law.py", "suites/weights/test_module_defaults.py"

ASKING = {
    "weights.neighbours": "suites/weights/test_neighbours.py",
    "weights.defaults.meta": "suites/weights/test_meta.py",
    "weights.defaults": DEFAULTS,
    "weights.fan": "suites/weights/test_fan.py",
    "weights.anywhere": "suites/weights/test_anywhere.py",
    "weights.first_call": "suites/weights/test_first_calls.py",
    "weights.complex": "suites/weights/test_complex.py",
    "weights.module.": "suites/weights/test_module_abilities.py",
    "weights": LAW,
}
"""Beginning of a family -> who asks for it, where a suite has others whose collection would take longer."""

CORE = " and (784x256 or 64x64x3x3)"
"""Of the law's subjects those that are drawn most of, where a fault names no shape: `nox -s faults` asks all."""

RAISED = "raised "
"""How a counterexample begins that is an exception."""


def asking(fault: Fault) -> str:
    """File that asks for all of a fault's families, or the folder of its suite where several do."""
    files = {
        next((file for beginning, file in ASKING.items() if family.startswith(beginning)), fault.suite)
        for family in fault.families
    }
    return files.pop() if len(files) == 1 else fault.suite


@pytest.mark.large_draws
@SURE
@pytest.mark.parametrize("name", [*STANDING, *(name for name in FAULTS if name not in initializers.FAULTS)])
def test_every_fault_is_stopped_by_the_families_that_must_see_it(name, tmp_path):
    fault = FAULTS[name]
    *options, selection = fault.options(name)
    suite = asking(fault)
    narrowed = selection + CORE * (suite == LAW and initializers.LARGE not in selection)
    code, violated = violated_in(suite, tmp_path, *options, narrowed)

    assert code == STOP
    assert {*fault.families} <= {claim.family for claim in violated}
    assert not [claim for claim in violated if (claim.note or "").startswith(RAISED)]


def test_every_fault_has_a_name_of_its_own_and_says_what_it_is():
    assert len(FAULTS) == sum(len(file.FAULTS) for file in FILES)
    assert all(len(fault.says.split()) > 1 for fault in FAULTS.values())


def test_the_readme_counts_them():
    assert f"**{len(FAULTS)} of {len(FAULTS)}**" in (file_names.ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.draws(0, "of what the faults draw nothing is looked at")
@pytest.mark.parametrize("name", initializers.FAULTS)
def test_a_wrong_initializer_takes_what_torch_takes_and_spoils_the_tensor_in_place(name):
    spoilt = getattr(initializers, name)
    function = getattr(spoilt, spoilt.initializers[0])
    weight = torch.zeros(48, 20, dtype=getattr(torch, spoilt.dtypes[0]))

    function(weight, nonlinearity="relu")

    torchs = inspect.signature(getattr(torch.nn.init, spoilt.initializers[0])).parameters
    assert list(inspect.signature(function).parameters) == list(torchs)
    assert {*spoilt.dtypes} <= {*DTYPES, *PARTS}


# Planting

LAYER_NORM = ("--fault", "layernorm-bias", "-k", "nn.LayerNorm")


@pytest.mark.inner_pytest
@SURE
def test_a_fault_is_gone_when_the_run_is_over(tmp_path):
    healthy = nn.LayerNorm.reset_parameters

    run_in_process(DEFAULTS, tmp_path, *LAYER_NORM)

    assert nn.LayerNorm.reset_parameters is healthy


@pytest.mark.inner_pytest
@SURE
def test_a_planted_fault_is_in_the_header_the_record_and_the_command_that_repeats_the_run(tmp_path, capsys):
    run_in_process(DEFAULTS, tmp_path, *LAYER_NORM, "-v")

    printed = capsys.readouterr().out
    environment = run_folder.read_record(tmp_path / file_names.ENVIRONMENT, Environment)
    assert ", planted fault layernorm-bias" in printed
    assert "--fault layernorm-bias" in next(line for line in printed.splitlines() if "rerun:" in line)
    assert environment.options["fault"] == "layernorm-bias"


@pytest.mark.inner_pytest
@SURE
def test_nothing_is_tolerated_as_known_while_a_fault_is_planted(tmp_path, monkeypatch):
    """A violation that every known entry would cover stops all the same."""
    monkeypatch.setattr("fixtures.rules.known_violations.Known.covers", lambda *_: True)

    assert run_in_process(DEFAULTS, tmp_path, *LAYER_NORM) == STOP


@SURE
@pytest.mark.parametrize(
    ("name", "begins", "ends"),
    [
        ("linear", "no such fault; linear-gain, linear-1-percent, ", f", {list(FAULTS)[-1]} are accepted"),
        ("one_nan", "replaces initializers, not torch's own: ", "--target fixtures.faults.initializers.one_nan"),
    ],
)
def test_a_fault_that_cannot_be_planted_is_refused_in_one_line(tmp_path, capsys, name, begins, ends):
    assert run_in_process(DEFAULTS, tmp_path, "--fault", name) == NO_EVIDENCE

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: --fault {name}: {begins}")
    assert line.endswith(ends)


@SURE
@pytest.mark.subprocess
def test_the_workers_of_xdist_plant_the_fault_too(tmp_path):
    assert run_in_process(DEFAULTS, tmp_path, *LAYER_NORM, "-n", "1") == STOP


def test_planting_twice_and_taking_out_in_reverse_order_restores_torch():
    healthy = nn.Linear.reset_parameters
    taken_out = [plant("linear-gain"), plant("linear-bias-zero")]

    for take_out in reversed(taken_out):
        take_out()

    assert nn.Linear.reset_parameters is healthy
