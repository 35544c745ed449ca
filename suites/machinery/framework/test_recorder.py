"""The run record while a suite runs: what is kept, what a reader of the closing lines is told, and what decides."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from fixtures.record import file_names
from fixtures.record.claim import SMALLEST_P
from fixtures.record.environment import Environment
from fixtures.record.run_folder import claim_line, read_claims, read_record, read_run, read_sketches, write_record
from fixtures.weights.mistakes import interface_of
from fixtures.weights.sketcher import sketch_of
from suites.framework.recorder import PARTS, Recorder, keep_sketch, torch_facts
from suites.framework.settings import read_settings
from suites.machinery.making.answers import target_of
from suites.machinery.making.runs import SCALE, claim, contract, plan, subject, undecided, violated
from suites.machinery.making.suite_run import given

HELD, STOPPED = claim(), violated(dtype="float16")
KNOWN = [violated(f"weights.marginal.tail{k}", "bfloat16", known="half-normal") for k in (3, 4)]


@pytest.fixture
def recorder(tmp_path):
    """A recorder of a run that is about to begin."""
    return Recorder(read_settings(given(run_dir=tmp_path, seed="17")))


def recorded(recorder, *claims, planned=()):
    """The recorder after these claims have come in, planned or not."""
    write_record(recorder.folder / file_names.PLAN, plan([*(each.id for each in claims), *planned]))
    recorder.start()
    for each in claims:
        recorder.add([claim_line(each).decode()])
    return recorder


def test_claims_are_on_disk_as_soon_as_they_have_arrived_and_in_the_order_of_the_plan_in_the_end(recorder):
    write_record(recorder.folder / file_names.PLAN, plan([HELD.id, STOPPED.id]))
    recorder.start()
    recorder.add([claim_line(STOPPED).decode()])
    assert list(read_claims(recorder.folder / file_names.PARTIAL_CLAIMS)) == [STOPPED.id]

    recorder.add([claim_line(HELD).decode()])
    recorder.finish()

    assert list(read_claims(recorder.folder / file_names.CLAIMS)) == [HELD.id, STOPPED.id]
    assert not (recorder.folder / file_names.PARTIAL_CLAIMS).exists()


def test_the_environment_is_written_before_the_first_answer(recorder):
    recorded(recorder)
    found = read_record(recorder.folder / file_names.ENVIRONMENT, Environment)

    assert found.torch["version"] == torch.__version__
    assert found.packages["numpy"] == np.__version__
    assert found.options["seed"] == 17


def test_the_environment_tells_what_each_added_requirement_brought(tmp_path):
    recorded(Recorder(read_settings(given(run_dir=tmp_path, added=["scipy>=1", "no-such-package"]))))
    found = read_record(tmp_path / file_names.ENVIRONMENT, Environment)

    assert found.added == {"scipy>=1": ("scipy", "numpy"), "no-such-package": ("no-such-package",)}


def test_the_closing_lines_count_verdicts_and_state_the_error_budget(recorder):
    lines = list(recorded(recorder, HELD, STOPPED, contract(), undecided(dtype="float64")).summary())

    assert lines == [
        "2 holds, 1 violated, 1 no evidence",
        "false alarm with chance 4.0e-12 at most: 2 statistical claims, 2.0e-12 each",
        f"run: {recorder.folder}",
    ]


def test_the_closing_lines_name_known_violations_and_what_is_missing(recorder):
    lines = list(recorded(recorder, *KNOWN, planned=[HELD.id]).summary())

    assert "known violation half-normal: 2 claims" in lines
    assert f"NO EVIDENCE: 1 planned claims without a finding, such as {HELD.id}" in lines


def test_only_violations_that_nothing_covers_stop(recorder):
    recorded(recorder, HELD, STOPPED, *KNOWN)

    assert recorder.unknown_violations() == [STOPPED]
    assert recorder.known_violations() == KNOWN


def test_a_claim_that_arrives_again_counts_once(recorder):
    recorded(recorder, HELD, HELD)

    recorder.finish()

    assert list(read_claims(recorder.folder / file_names.CLAIMS)) == [HELD.id]


def test_sketches_are_joined_whoever_drew_them_and_half_written_ones_are_dropped(recorder):
    recorded(recorder, HELD)
    about = subject()
    keep_sketch(recorder.folder, about, sketch_of(torch.tensor([[0.5, 0.5, -0.25]])), sketch_of(torch.ones(1, 2)), 7)
    (recorder.folder / PARTS / "another.partial").write_bytes(b"PK")

    recorder.finish()

    kept = read_sketches(recorder.folder / file_names.SKETCHES)
    assert kept[f"{about.key}/counts"].sum() == 3
    assert kept[f"{about.key}/largest"] == 0.5
    assert (kept[f"{about.key}/salted"].sum(), kept[f"{about.key}/salt"]) == (2, 7)
    assert not (recorder.folder / PARTS).exists()
    assert read_run(recorder.folder).sketches.keys() == kept.keys()


def test_nothing_of_an_earlier_run_is_left(recorder):
    recorded(recorder, STOPPED)
    keep_sketch(recorder.folder, subject(), sketch_of(torch.zeros(2, 2)), sketch_of(torch.zeros(2, 2)), 7)
    recorder.describe(torch.nn.init)

    recorder.forget()

    assert list(recorder.folder.iterdir()) == []


def test_how_the_target_is_called_and_answers_is_part_of_the_run(recorder):
    recorded(recorder, HELD)
    recorder.describe(target_of(ones_=len))
    recorder.finish()

    assert read_run(recorder.folder).interface == interface_of(target_of(ones_=len))


def test_the_smallest_p_value_survives_its_file(recorder):
    recorded(recorder, violated(SCALE, p=SMALLEST_P))
    recorder.finish()

    (found,) = read_claims(recorder.folder / file_names.CLAIMS).values()
    assert found.p == SMALLEST_P


def test_a_release_that_warns_whoever_asks_for_its_precision_is_described(monkeypatch):
    def warning():
        # As torch 2.9.0 does.
        warnings.warn("Please use the new API settings to control TF32 behavior, such as [...]", stacklevel=1)
        return "highest"

    monkeypatch.setattr(torch, "get_float32_matmul_precision", warning)

    assert torch_facts()["float32_matmul_precision"] == "highest"
