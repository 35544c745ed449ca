"""A session of one device as a page: stages, what each found, what was timed, and what two devices share."""

from __future__ import annotations

import pytest

from fixtures.record.claim import Verdict, claim_id
from fixtures.record.exit_codes import PASS
from fixtures.record.file_names import CLAIMS, MANIFEST, PARTIAL_CLAIMS, SESSION
from fixtures.record.plan import Case
from fixtures.record.session import Measurement, Stage, State, append_measurements, write_session
from fixtures.record.subject import Subject
from reports.commands.command_line import run as report
from reports.view.session import session_view
from suites.machinery.making import runs


@pytest.fixture
def folder(tmp_path):
    """A session with a run that ended, one that was killed, and one of digests of two devices."""
    made = runs.violated(known="a-known-one")
    runs.write(tmp_path / "weights", runs.run(made, runs.contract(), torch="2.13.0+cu130"))
    runs.write(tmp_path / "training", runs.run(runs.contract(Verdict.VIOLATED, "a weight is 7"), torch="2.13.0+cu130"))
    (tmp_path / "training" / CLAIMS).rename(tmp_path / "training" / PARTIAL_CLAIMS)
    (tmp_path / "training" / MANIFEST).unlink()
    append_measurements(tmp_path / "timings", [Measurement("init/a", {"median ms": 1.25, "GB/s": 1234.5678})])
    append_measurements(tmp_path / "timings", [Measurement("init/b", {}, "left out for time")])
    stages = (
        Stage("weights", State.ENDED, 61.2, PASS),
        Stage("training", State.RUNNING),
        Stage("digests", State.ENDED, 9.0, PASS),
        Stage("timings", State.CUT_SHORT, 30.0, note="its 30 s were up"),
        Stage("clock", State.LEFT_OUT, note="no typer here"),
    )
    write_session(tmp_path, runs.session(stages=stages))
    return tmp_path


def with_digests(folder, **digests):
    """Add digests of initializers, each a pair of the processor's and the device's."""
    cases, found, claims = [], {}, []
    for name, values in digests.items():
        for device, value in zip(("cpu", "cuda"), values, strict=True):
            subject = Subject(name, (3, 5), nonlinearity="relu", device=device)
            cases.append(Case(family="weights.determinism.digest", subject=subject, draws=0, resolution=0.0))
            found[subject.key] = value
            claims.append(runs.contract(subject=subject))
    made = runs.run(*claims, plan=runs.plan([claim.id for claim in claims], cases=tuple(cases)), digests=found)
    assert all(claim.id == claim_id(claim.family, claim.subject) for claim in claims)
    runs.write(folder / "digests", made)


def test_every_stage_has_its_line(folder):
    view = session_view(folder, {})

    assert view.title == "cuda: NVIDIA H100, torch 2.13.0"
    assert [(row.name, row.outcome, row.note) for row in view.stages] == [
        ("weights", "pass", ""),
        ("training", "killed; what it had found by then is below", ""),
        ("digests", "pass", ""),
        ("timings", "cut short", "its 30 s were up"),
        ("clock", "left out", "no typer here"),
    ]
    assert view.missing == ("no typer: clock",)
    assert [name for name, _ in view.runs] == ["weights", "training"]


def test_figures_and_notes_are_in_words(folder):
    [table] = session_view(folder, {}).tables

    assert table.title == "timings"
    assert table.rows == (("init/a", "median ms 1.25, GB/s 1235"), ("init/b", "left out for time"))


def test_the_page_holds_what_ended_and_what_was_killed(folder, capsys):
    assert report(["show", str(folder)]) == PASS

    page = capsys.readouterr().out
    assert "known as a-known-one" in page
    assert "not ended: it is still running, or was killed" in page
    assert "a weight is 7" in page
    assert "  training         0.0 s  killed" in page


def test_a_run_that_was_changed_is_named_and_the_others_are_shown(folder, capsys):
    with (folder / "weights" / "claims.jsonl").open("a") as file:
        file.write("\n")

    assert report(["show", str(folder)]) == PASS

    page = " ".join(capsys.readouterr().out.split())
    assert "Not readable - weights: " in page
    assert "a weight is 7" in page


def test_digests_of_two_devices_are_compared_and_are_a_fact(folder):
    assert session_view(folder, {}).shared == ""

    with_digests(folder, kaiming_normal_=("a", "b"), kaiming_uniform_=("c", "c"))

    assert session_view(folder, {}).shared == (
        "1 of 2 digests of a fixed seed are the same on cpu and cuda: kaiming_uniform_-fan_in-relu-3x5-float32-cpu"
    )


def test_a_stage_is_a_folder_of_the_session_and_nothing_else(folder):
    runs.write(folder / "outside" / "weights", runs.run(runs.contract()))
    inside = folder / "inside"
    inside.mkdir()
    write_session(inside, runs.session(stages=(Stage("../outside/weights", State.ENDED, code=PASS),)))

    assert (inside / SESSION).exists()
    assert session_view(inside, {}).runs == ()
