"""The tools behind the claims about modules: memory that shows gaps, missing modules, equal parameters."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from fixtures.record import file_names, run_folder
from fixtures.record.claim import Verdict
from fixtures.record.exit_codes import PASS, STOP
from fixtures.weights.module_defaults import DEFAULTS, drawn_parameters, uninitialized_memory_is_nan
from fixtures.weights.small_models import equal_pair, random_parameters, tutorial_parameters, unequal_layers
from suites.machinery.chance import SURE, fresh_seed
from suites.machinery.making.suite_run import run_in_process

SUITE = "suites/weights/test_module_defaults.py"

pytestmark = SURE


def verdicts(folder):
    return {(claim.verdict, claim.note) for claim in run_folder.read_claims(folder / file_names.CLAIMS).values()}


def test_uninitialized_memory_is_nan_within_and_torch_is_as_it_was_afterwards():
    before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory

    with uninitialized_memory_is_nan():
        assert torch.empty(1000, dtype=torch.bfloat16).isnan().all()

    after = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    assert after == before


def test_a_parameter_of_another_shape_is_refused(monkeypatch):
    name = "nn.Linear(16, 512).weight"
    monkeypatch.setitem(DEFAULTS, name, replace(DEFAULTS[name], shape=(16, 512)))

    with pytest.raises(ValueError, match=r"has shape \(512, 16\) and torch.float32, not \(16, 512\)"):
        next(drawn_parameters(DEFAULTS[name].subject("constructor"), 1, seed=0))


@pytest.mark.inner_pytest
def test_a_module_that_this_torch_lacks_is_no_evidence(tmp_path, monkeypatch):
    monkeypatch.delattr(nn, "RMSNorm", raising=False)

    assert run_in_process(SUITE, tmp_path, "-k", "nn.RMSNorm") == PASS

    ((verdict, note),) = verdicts(tmp_path)
    assert (verdict, note) == (Verdict.NO_EVIDENCE, f"torch {torch.__version__} has no nn.RMSNorm")


@pytest.mark.inner_pytest
def test_a_module_that_cannot_be_built_is_a_counterexample_in_words(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise TypeError("no longer takes sizes")

    monkeypatch.setattr(nn.Bilinear, "__init__", refuse)

    assert run_in_process(SUITE, tmp_path, "-k", "nn.Bilinear") == STOP
    assert verdicts(tmp_path) == {(Verdict.VIOLATED, "raised TypeError: no longer takes sizes")}


def test_equal_parameters_are_found_and_constants_are_left_out():
    torch.manual_seed(fresh_seed())
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.BatchNorm1d(4))
    assert list(random_parameters(model)) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert equal_pair(random_parameters(model)) is None

    model[2].weight = model[0].weight

    assert equal_pair(random_parameters(model)) == "0.weight and 2.weight are equal"


def test_layers_that_differ_are_found():
    layer = nn.Linear(4, 4)
    other = nn.Linear(4, 4)
    other.weight = layer.weight

    assert unequal_layers(nn.ModuleList([layer, layer])) is None
    assert unequal_layers(nn.ModuleList([layer, other])) == "bias of layer 1 differs from that of layer 0"


def test_the_tutorials_network_has_he_weights_and_default_biases():
    """784-256-128-10: N(0, sqrt(2 / fan_in)), and U(-1 / sqrt(fan_in), 1 / sqrt(fan_in))."""
    shapes = {name: shape for name, (shape, _) in tutorial_parameters().items()}
    stds = {name: law.std for name, (_, law) in tutorial_parameters().items()}

    assert shapes["fc1.weight"] == (256, 784)
    assert shapes["fc3.bias"] == (10,)
    assert stds["fc1.weight"] == pytest.approx(math.sqrt(2 / 784))
    assert stds["fc3.bias"] == pytest.approx(1 / math.sqrt(3 * 128))
