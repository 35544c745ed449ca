"""`python -m reports`: exit codes, one line for each mistake, the verdict on disk, and no torch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from fixtures.record import file_names, run_folder
from fixtures.record.file_names import ROOT
from reports.commands import command_line
from reports.verdict.gate import VERDICT_SCHEMA, GateVerdict
from suites.machinery.making import model_records
from suites.machinery.making.runs import claim, failure, plan, run, violated, write

STOP = run(violated(), label="candidate")
PASS = run(claim(), label="candidate")
SILENT = run(label="candidate", plan=plan([claim().id]))


@pytest.fixture
def folders(tmp_path):
    """A baseline and where a candidate goes."""
    return write(tmp_path / "baseline", run(claim())), tmp_path / "candidate"


def python(
    *arguments: object, interpreter: object = sys.executable, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run Python in the checkout."""
    return subprocess.run(
        [str(interpreter), *map(str, arguments)],
        **{"cwd": ROOT, "capture_output": True, "text": True, "timeout": 60} | options,
        check=False,
    )


def reports(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the real command line."""
    return python("-m", "reports", *arguments, **options)


def failing(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a command prints which ends in 2."""
    assert command_line.run([*map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


# Exit codes and the verdict on disk


@pytest.mark.subprocess
@pytest.mark.parametrize(
    ("candidate", "code", "word"), [(PASS, 0, "pass"), (STOP, 1, "stop"), (SILENT, 2, "no evidence")]
)
def test_the_exit_code_and_the_verdict_on_disk_agree(folders, candidate, code, word):
    base, folder = folders
    ended = reports("gate", base, write(folder, candidate))
    verdict = json.loads((folder / file_names.VERDICT).read_text())

    assert (ended.returncode, ended.stderr) == (code, "")
    assert ended.stdout.startswith(f" {word.upper()} ")
    assert ended.stdout.endswith(f"\nverdict: {word}; the page to look at: {folder / file_names.PAGE}\n")
    assert (verdict["schema"], verdict["outcome"], verdict["exit_code"]) == (VERDICT_SCHEMA, word, code)


def test_the_verdict_on_disk_has_every_change_and_its_findings(folders):
    base, folder = folders
    command_line.run(["gate", str(base), str(write(folder, STOP))])
    (change,) = json.loads((folder / file_names.VERDICT).read_text())["changes"]

    assert change["change"] == "new violation"
    assert (change["baseline"]["p"], change["candidate"]["p"]) == (0.4, 1e-300)


def test_the_fields_of_the_verdict_on_disk_are_those_that_others_read():
    """Whoever changes them raises VERDICT_SCHEMA."""
    assert (VERDICT_SCHEMA, GateVerdict.__struct_fields__) == (
        5,
        (
            "schema",
            "outcome",
            "exit_code",
            "baseline",
            "candidate",
            "intent",
            "plan",
            "reasons",
            "counts",
            "changes",
            "streams",
            "drifts",
            "speed",
            "model",
            "policy",
            "false_alarms",
            "rerun",
            "stanza",
        ),
    )


def test_a_stop_that_cannot_be_written_down_is_an_error(folders, monkeypatch, capsys):
    base, folder = folders
    write(folder, STOP)

    def disk_full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    code = command_line.run(["gate", str(base), str(folder)])
    shown = capsys.readouterr()

    assert code == 2
    assert shown.out.startswith(" STOP ")
    assert shown.err.endswith(
        "verdict.json: cannot be written (No space left on device); the verdict above was not kept\n"
    )
    assert not (folder / file_names.VERDICT).exists()


def test_an_earlier_verdict_does_not_outlive_an_error(folders):
    base, folder = folders
    command_line.run(["gate", str(base), str(write(folder, PASS))])
    (base / file_names.PLAN).unlink()

    assert command_line.run(["gate", str(base), str(folder)]) == 2
    assert not (folder / file_names.VERDICT).exists()


def test_an_earlier_verdict_that_cannot_be_removed_is_an_error(folders, capsys):
    base, folder = folders
    (write(folder, PASS) / file_names.VERDICT).mkdir()

    assert re.fullmatch(r"error: .*verdict\.json: cannot be replaced \(.*\)", failing(capsys, "gate", base, folder))


@pytest.mark.subprocess
def test_show_prints_a_run_and_ends_in_0(folders):
    base, _ = folders
    ended = reports("show", base)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("run baseline  torch 2.13.0+cpu\n")
    assert not (base / file_names.VERDICT).exists()


@pytest.mark.subprocess
def test_show_prints_a_run_that_was_killed(folders):
    base, _ = folders
    (base / file_names.CLAIMS).rename(base / file_names.PARTIAL_CLAIMS)

    assert "not ended: it is still running, or was killed\n" in reports("show", base).stdout


@pytest.mark.subprocess
def test_a_candidate_that_never_ran_stops(folders):
    base, folder = folders
    folder.mkdir()
    run_folder.write_record(folder / file_names.FAILURE, failure(stage="install", reason="no such release"))
    ended = reports("gate", base, folder)

    assert ended.returncode == 1
    assert "1. stop: the candidate could not be installed: no such release" in ended.stdout


# Mistakes


def test_a_missing_run(folders, capsys):
    base, folder = folders

    assert failing(capsys, "gate", base, folder) == f"error: {folder}: no such run folder"


def test_runs_that_were_not_asked_the_same(folders, capsys):
    base, folder = folders
    write(folder, run(claim(), plan=plan([claim().id], seed=18)))

    assert failing(capsys, "gate", base, folder) == (
        "error: the two runs were not asked the same: seed is 17 in baseline and 18 in candidate"
    )


def test_a_run_compared_with_itself(folders, capsys):
    base, _ = folders
    again = base.parent / "." / base.name

    assert failing(capsys, "gate", base, again).endswith("are the same run; nothing was compared")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing command"),
        (["gat"], "No such command 'gat'"),
        (["gate"], "Missing argument 'BASE_RUN'"),
        (["gate", "one"], "Missing argument 'CANDIDATE_RUN'"),
        (["gate", "one", "two", "three"], "Got unexpected extra argument"),
        (["gate", "--fast", "one", "two"], "No such option: --fast"),
        (["show"], "Missing argument 'RUN'"),
    ],
)
def test_a_command_line_that_is_not_understood(capsys, arguments, words):
    line = failing(capsys, *arguments)

    assert line.startswith(f"error: {words}")
    assert line.endswith(f"(accepted: {command_line.ACCEPTED})")


def test_help_is_no_mistake(capsys):
    assert command_line.run(["--help"]) == 0
    assert "gate" in capsys.readouterr().out


def test_a_registry_of_known_violations_that_is_broken(folders, capsys, monkeypatch, tmp_path):
    base, folder = folders
    monkeypatch.setattr(command_line, "KNOWN_VIOLATIONS", tmp_path / "none.toml")

    assert "none.toml" in failing(capsys, "gate", base, write(folder, PASS))


@pytest.mark.parametrize("raised", [RuntimeError("a\nb"), MemoryError(), KeyboardInterrupt()])
def test_no_error_of_our_own_reads_as_a_stop(folders, capsys, monkeypatch, raised):
    base, folder = folders

    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(command_line, "gate", fail)

    assert re.match("error: (interrupted$|.*please report it)", failing(capsys, "gate", base, write(folder, STOP)))


def test_an_error_of_our_own_says_where(folders, capsys, monkeypatch):
    base, folder = folders
    monkeypatch.setattr(command_line, "gate", lambda *_, **__: 1 / 0)

    assert re.fullmatch(
        r"error: ZeroDivisionError at test_reports_command.py:\d+: division by zero "
        r"\(an error in Kaiming Gate itself; please report it\)",
        failing(capsys, "gate", base, write(folder, STOP)),
    )


# The terminal


@pytest.mark.subprocess
def test_a_reader_that_leaves_early_does_not_change_the_exit_code(folders):
    base, folder = folders
    read, written = os.pipe()
    os.close(read)
    ended = reports("gate", base, write(folder, PASS), capture_output=False, stdout=written, stderr=subprocess.PIPE)
    os.close(written)

    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.subprocess
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a file of Linux")
def test_a_terminal_that_cannot_be_written_to_is_an_error(folders):
    base, folder = folders
    with Path("/dev/full").open("w") as full:
        ended = reports("gate", base, write(folder, STOP), capture_output=False, stdout=full, stderr=subprocess.PIPE)

    assert (ended.returncode, ended.stderr) == (
        2,
        "error: standard output: cannot be written (No space left on device)\n",
    )


@pytest.mark.subprocess
def test_a_terminal_of_ascii_shows_what_it_can(folders):
    base, folder = folders
    write(folder, run(violated(known="größer")))
    ended = reports("gate", base, folder, env=os.environ | {"PYTHONIOENCODING": "ascii"})

    assert (ended.returncode, ended.stderr) == (1, "")
    assert "known as gr??er" in ended.stdout


@pytest.mark.subprocess
def test_a_folder_whose_name_is_no_text_is_shown(folders):
    base, _ = folders
    folder = os.fsencode(base.parent) + b"/\xff\x1b[31m"
    write(Path(os.fsdecode(folder)), STOP)
    ended = reports("gate", base, os.fsdecode(folder))

    assert (ended.returncode, ended.stderr) == (1, "")
    assert "\x1b" not in ended.stdout


# Without torch

WITHOUT = """
import runpy, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "hypothesis", "pytest", "suites"}:
            raise ImportError(f"{name} is not to be imported")

sys.meta_path.insert(0, Absent())
sys.argv[0] = "reports"
runpy.run_module("reports", run_name="__main__", alter_sys=True)
"""


@pytest.mark.subprocess
@pytest.mark.parametrize(("command", "code"), [("gate", 1), ("show", 0)])
def test_torch_hypothesis_and_pytest_are_not_imported(folders, command, code):
    base, folder = folders
    write(folder, STOP)
    ended = python("-c", WITHOUT, command, *([base, folder] if command == "gate" else [folder]))

    assert (ended.returncode, ended.stderr) == (code, "")


@pytest.mark.subprocess
def test_a_package_that_is_missing_is_one_line(folders):
    base, _ = folders
    ended = python("-c", WITHOUT.replace('"torch"', '"rich"'), "show", base)

    assert ended.returncode == 2
    assert re.fullmatch(r"error: rich.*; reports need the packages of the dependency group 'reports'\n", ended.stderr)


@pytest.mark.subprocess
def test_the_dependency_group_reports_is_all_it_takes(folders, tmp_path):
    base, folder = folders
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    venv.create(tmp_path / "venv")
    own = {"interpreter": tmp_path / "venv" / "bin" / "python"}
    pip = ("-m", "pip", "--python", own["interpreter"], "install", "--quiet", "--no-compile")
    installed = python(*pip, *groups["reports"], timeout=300)
    if installed.returncode:
        pytest.skip(f"pip could not install the group: {installed.stderr.strip().splitlines()[-1]}")
    ended = reports("gate", base, write(folder, STOP), **own)

    assert (ended.returncode, ended.stderr) == (1, "")
    assert python("-c", "import torch", **own).returncode == 1


# The user's own model


def with_models(folders, baseline, candidate):
    """Both run folders, with these records in them."""
    base, folder = folders
    write(folder, run(claim(), label="candidate", torch="2.14.1+cpu"))
    for into, made in ((base, baseline), (folder, candidate)):
        if made is not None:
            model_records.write(into, made)
    return ["gate", str(base), str(folder)]


@pytest.mark.run_folders
def test_a_gate_reads_the_records_of_both_folders_by_itself(folders, capsys):
    faulty = model_records.with_error(model_records.candidate_record(), "blocks.0.act", 168.0)
    command = with_models(folders, model_records.record(), faulty)

    assert command_line.run(command) == 1
    assert "1. stop: `blocks.0.act` (GELU, " in capsys.readouterr().out
    verdict = json.loads((folders[1] / file_names.VERDICT).read_text())
    assert [one["name"] for one in verdict["model"]["findings"]] == ["blocks.0.act", "head.weight", "head.bias"]


@pytest.mark.parametrize("side", [0, 1])
def test_a_record_of_one_side_alone_is_no_evidence(folders, side):
    made = [model_records.record(), model_records.candidate_record()]
    made[side] = None

    assert command_line.run(with_models(folders, *made)) == 2
    assert "it left no model.json" in (folders[1] / file_names.MARKDOWN).read_text()


def test_a_record_that_cannot_be_read_is_no_evidence_and_all_else_is_judged(folders, capsys):
    command = with_models(folders, model_records.record(), model_records.candidate_record())
    (folders[1] / file_names.MODEL).write_bytes(b"{")

    assert command_line.run(command) == 2
    shown = capsys.readouterr()
    assert "1. no evidence: nothing is known of the model in the candidate:" in " ".join(shown.out.split())
    assert shown.err == ""
    assert (folders[1] / file_names.VERDICT).exists()


def test_show_says_what_a_folder_holds_of_a_model(folders, capsys):
    with_models(folders, model_records.record(), None)

    assert command_line.run(["show", str(folders[0])]) == 0
    assert "my_model.py on torch 2.13.0+cpu, seed 17" in capsys.readouterr().out
    (folders[0] / file_names.MODEL).write_bytes(b"{")
    assert command_line.run(["show", str(folders[0])]) == 0
    assert "not what a run of a model writes" in capsys.readouterr().out
