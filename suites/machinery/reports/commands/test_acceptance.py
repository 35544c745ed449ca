"""Accepted runs: the run that is read from what was kept, small, whole, and only of what can be a baseline."""

from __future__ import annotations

import contextlib
import lzma
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.record import compression, file_names, run_folder
from fixtures.record.compression import pack, packed, read_stored, stored
from fixtures.record.interface import Interface, Parameter
from fixtures.record.run_folder import RecordError, read_plan, read_run
from fixtures.record.schema import SCHEMA
from reports.commands import acceptance, command_line, run_folders
from reports.commands.acceptance import Unacceptable, accept
from suites.machinery.making.runs import claim, contract, environment, failure, plan, run, violated, write

INTERFACE = Interface(
    schema=SCHEMA, functions={"kaiming_normal_": (Parameter("tensor", "positional or keyword"),)}, answers={}
)
MADE = run(claim(), violated(dtype="bfloat16", known="known"), contract(), digests={"a": "b"}, interface=INTERFACE)


@pytest.fixture
def made(tmp_path):
    """A run on disk, with sketches of its own."""
    folder = write(tmp_path / "run", MADE)
    run_folder.write_sketches(folder, {"x/counts": np.arange(70_000), "x/total": np.float64(0.1), "y": np.zeros(3)})
    run_folder.seal_run(folder)
    return read_run(folder)


def content(folder):
    """Names and bytes of all that lies in a folder, hidden or not."""
    return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.is_dir() else {}


def refusal(*arguments, **options):
    with pytest.raises(Unacceptable) as error:
        accept(*arguments, **{"replace": False} | options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.run_folders
def test_an_accepted_run_is_read_as_the_run_that_it_was(made, tmp_path):
    accepted = accept(made, "2.13.0", tmp_path / "accepted", replace=False)
    read = read_run(accepted.folder)

    assert replace(read, folder=made.folder) == made
    assert read.label == "2.13.0"
    assert list(read.sketches) == list(made.sketches)
    assert all(np.array_equal(read.sketches[name], array) for name, array in made.sketches.items())
    assert {name: array.dtype for name, array in read.sketches.items()} == {
        name: array.dtype for name, array in made.sketches.items()
    }
    assert (accepted.claims, accepted.violated) == (3, 1)
    assert accepted.bytes == sum(map(len, content(accepted.folder).values()))


@pytest.mark.run_folders
def test_the_plan_of_an_accepted_run_is_handed_on_by_its_usual_name(made, tmp_path):
    folder = accept(made, "old", tmp_path, replace=False).folder

    assert not (folder / file_names.PLAN).exists()
    assert read_plan(folder / file_names.PLAN) == made.plan


@pytest.mark.run_folders
def test_what_the_gate_added_stays_behind(made, tmp_path):
    for name in ("verdict.json", "verdict.md", "page.html"):
        (made.folder / name).write_text("large")
    folder = accept(made, "old", tmp_path, replace=False).folder

    assert sorted(content(folder)) == [
        "claims.jsonl.xz",
        "digests.json",
        "environment.json",
        "interface.json",
        "manifest.json",
        "plan.json.xz",
        "sketches.npz.xz",
    ]


def test_a_run_without_digests_and_sketches_is_accepted_as_it_is(tmp_path):
    folder = write(tmp_path / "run", run(claim()))
    for name in (file_names.DIGESTS, file_names.SKETCHES):
        (folder / name).unlink()
    run_folder.seal_run(folder)

    read = read_run(accept(read_run(folder), "old", tmp_path, replace=False).folder)

    assert (read.digests, read.sketches, read.interface) == ({}, {}, None)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/abs", "../up", ".hidden", "-x", "a b", "a\nb", "ü", "x" * 61, "a\0b"]
)
def test_a_name_that_is_no_plain_name_is_refused(made, tmp_path, name):
    assert "letters, digits and . _ + - are accepted" in refusal(made, name, tmp_path / "accepted")
    assert not (tmp_path / "accepted").exists()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"failure": failure()}, "run did not end as planned: crashed (SIGSEGV)"),
        ({"ended": False}, "run did not end as planned"),
        ({"plan": plan([claim().id, "a", "b"])}, "run left 2 planned claims unanswered, such as a"),
        (
            {"environment": environment("2.13.0", options={"fault": "healthy"})},
            "run is a run with a planted fault, heal",
        ),
    ],
)
def test_a_run_that_cannot_stand_for_a_baseline_is_refused(tmp_path, fields, says):
    assert refusal(run(claim(), **fields), "old", tmp_path / "accepted").startswith(says)
    assert not (tmp_path / "accepted").exists()


def test_a_run_that_claims_nothing_is_refused(tmp_path):
    assert refusal(run(), "old", tmp_path) == "run claims nothing"


@pytest.mark.run_folders
def test_a_name_that_is_taken_is_replaced_on_request_only(made, tmp_path):
    folder = accept(made, "old", tmp_path, replace=False).folder
    before = content(folder)
    other = replace(made, digests={"a": "other"})

    assert refusal(other, "old", tmp_path) == f"{folder} exists; --replace replaces it"
    assert content(folder) == before
    accept(other, "old", tmp_path, replace=True)
    assert read_run(folder).digests == {"a": "other"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "run"]


@pytest.mark.run_folders
def test_a_run_that_takes_too_much_is_refused_with_its_size(made, tmp_path, monkeypatch):
    monkeypatch.setattr(acceptance, "MOST_BYTES", 3000)

    says = refusal(made, "old", tmp_path / "accepted")

    assert "bytes, more than 3,000 (claims.jsonl.xz " in says
    assert "sketches.npz.xz " in says
    assert content(tmp_path / "accepted") == {}


@pytest.mark.run_folders
@pytest.mark.parametrize("step", ["write_record", "write_atomically"])
def test_a_write_that_fails_leaves_what_was_accepted_before(made, tmp_path, monkeypatch, step):
    folder = accept(made, "old", tmp_path, replace=False).folder
    before = content(folder)

    def disk_full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(acceptance, step, disk_full)
    with pytest.raises(OSError, match="No space left"):
        accept(made, "old", tmp_path, replace=True)

    assert content(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "run"]


@pytest.mark.run_folders
def test_a_replacement_that_cannot_be_put_in_place_leaves_what_was_accepted_before(made, tmp_path, monkeypatch):
    folder = accept(made, "old", tmp_path, replace=False).folder
    rename, calls = type(folder).rename, []

    def second_fails(path, target):
        calls.append(path)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(type(folder), "rename", second_fails)
    with pytest.raises(OSError, match="Input/output"):
        accept(replace(made, digests={}), "old", tmp_path, replace=True)

    assert read_run(folder).digests == {"a": "b"}


# The command


@pytest.fixture
def accepted_runs(tmp_path, monkeypatch):
    """The folder in which the command keeps what it accepts."""
    monkeypatch.setattr(run_folders, "ACCEPTED", tmp_path / "accepted")
    return tmp_path / "accepted"


@pytest.mark.run_folders
def test_the_command_says_what_to_do_next(made, accepted_runs, capsys):
    assert command_line.run(["accept", str(made.folder), "--as", "2.13.0"]) == 0

    shown = capsys.readouterr().out
    assert shown.startswith("accepted as 2.13.0: 3 claims, 1 of them violated; ")
    assert (
        f"commit {accepted_runs / '2.13.0'}, then: nox -s gate -- --baseline accepted:2.13.0 --candidate ..." in shown
    )


@pytest.mark.run_folders
def test_gating_against_an_accepted_run_is_gating_against_the_run(made, accepted_runs, tmp_path, capsys):
    candidate = write(tmp_path / "candidate", run(claim(), violated(dtype="bfloat16"), contract(), digests={"a": "c"}))
    code = command_line.run(["gate", str(made.folder), str(candidate)])
    usual = (candidate / file_names.VERDICT).read_text()
    assert command_line.run(["accept", str(made.folder), "--as", "run"]) == 0

    assert command_line.run(["gate", str(accepted_runs / "run"), str(candidate)]) == code
    assert (candidate / file_names.VERDICT).read_text() == usual
    capsys.readouterr()


@pytest.mark.usefixtures("accepted_runs")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no-run", "--as", "old"], "error: no-run: no such run folder"),
        (["run", "--as", "a/b"], "error: --as 'a/b': letters, digits"),
        (["run"], "error: Missing option '--as'"),
    ],
)
def test_a_mistake_is_one_line(made, capsys, monkeypatch, arguments, says):
    monkeypatch.chdir(made.folder.parent)
    assert command_line.run(["accept", *arguments]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(says)


def test_a_place_that_cannot_be_written_is_one_line(made, accepted_runs, capsys):
    accepted_runs.write_text("a file")
    assert command_line.run(["accept", str(made.folder), "--as", "old"]) == 2

    assert capsys.readouterr().err == f"error: {accepted_runs / 'old'}: cannot be written (Not a directory)\n"


# Packed files


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A path to write to, again and again."""
    return tmp_path_factory.mktemp("packed") / "plan.json"


@pytest.mark.run_folders
@given(st.binary(max_size=200))
def test_what_is_packed_is_read_by_its_usual_name(scratch, content):
    for old in (scratch, packed(scratch)):
        old.unlink(missing_ok=True)
    path = scratch
    assert stored(path) is None
    packed(path).write_bytes(pack(content))

    assert (stored(path), read_stored(path)) == (packed(path), content)
    path.write_bytes(b"itself")
    assert (stored(path), read_stored(path)) == (path, b"itself")


@pytest.mark.run_folders
@given(data=st.data())
def test_a_packed_file_that_was_damaged_is_refused_or_reads_the_same(scratch, data):
    original = run_folder.claim_line(claim()) * 3
    whole = pack(original)
    scratch.unlink(missing_ok=True)
    start = data.draw(st.integers(0, len(whole)), label="start")
    end = data.draw(st.integers(start, len(whole)), label="end")
    packed(scratch).write_bytes(whole[:start] + data.draw(st.binary(max_size=4), label="put") + whole[end:])

    with contextlib.suppress(ValueError):
        assert read_stored(scratch) == original


@pytest.mark.large_draws
def test_a_packed_file_that_would_fill_the_memory_is_refused(made, tmp_path, monkeypatch):
    monkeypatch.setattr(compression, "MOST_BYTES", 1 << 26)
    folder = accept(made, "old", tmp_path, replace=False).folder
    packed(folder / file_names.PLAN).write_bytes(lzma.compress(bytes(1 << 26)))

    run_folder.seal_run(folder)
    with pytest.raises(RecordError, match=r"plan\.json\.xz: unpacks to 64 MiB or more"):
        read_run(folder)


@pytest.mark.large_draws
@pytest.mark.parametrize("name", [file_names.PLAN, file_names.CLAIMS, file_names.SKETCHES])
def test_a_packed_file_that_is_none_is_named(made, tmp_path, name):
    folder = accept(made, "old", tmp_path, replace=False).folder
    packed(folder / name).write_bytes(b"not packed")
    run_folder.seal_run(folder)

    with pytest.raises(RecordError, match=rf"old/{name}\.xz: damaged \("):
        read_run(folder)


@pytest.mark.run_folders
def test_a_named_pipe_is_not_waited_for(made, tmp_path):
    folder = accept(made, "old", tmp_path, replace=False).folder
    packed(folder / file_names.PLAN).unlink()
    os.mkfifo(packed(folder / file_names.PLAN))
    run_folder.seal_run(folder)

    with pytest.raises(RecordError, match=r"plan\.json\.xz: not a file"):
        read_run(folder)
