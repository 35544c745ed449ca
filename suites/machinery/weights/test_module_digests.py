"""Digests of modules: one for every parameter that is drawn, equal between runs, and a seed that is ignored is seen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fixtures.record import file_names, run_folder
from fixtures.record.exit_codes import PASS, STOP
from fixtures.weights.module_defaults import DEFAULTS
from suites.machinery.chance import SURE
from suites.machinery.making.suite_run import run_in_process, violated_in
from suites.machinery.proofs import proves
from suites.weights.test_module_digests import cases

pytestmark = SURE

SUITE = "suites/weights/test_module_digests.py"


def ask(folder, selected):
    """Run the suite in this process, as the command line would; returns its exit code."""
    return run_in_process(SUITE, folder, "-k", selected)


def test_every_parameter_that_is_drawn_is_asked_about_once():
    asked = [case.subject.initializer for case in cases("quick", 0, ("cpu",))]

    assert asked == [name for name, default in DEFAULTS.items() if not isinstance(default.law, float)]


@pytest.mark.inner_pytest
def test_a_model_starts_the_same_in_every_run(tmp_path):
    codes = [ask(tmp_path / name, "GRUCell") for name in ("one", "other")]
    digests = [run_folder.read_digests(tmp_path / name / file_names.DIGESTS) for name in ("one", "other")]

    assert codes == [PASS, PASS]
    assert digests[0] == digests[1]
    assert len(set(digests[0].values())) == len(digests[0]) > 1


@pytest.mark.inner_pytest
@proves("weights.determinism.module_digest")
def test_a_module_that_ignores_the_seed_is_stopped(tmp_path, monkeypatch):
    def reset(module):
        with torch.random.fork_rng(devices=[]):
            torch.seed()
            healthy(module)

    healthy = nn.Linear.reset_parameters
    monkeypatch.setattr(nn.Linear, "reset_parameters", reset)

    code, (found,) = violated_in(SUITE, tmp_path, "-k", "nn.Linear and 784")

    assert (code, found.note) == (STOP, "the same seed gave other weights")
