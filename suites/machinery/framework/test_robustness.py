"""Obstacles to a run: a kill at any moment, a full disk, a clock that is moved, a second gate beside it."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from fixtures.gate import suite_run
from fixtures.record import file_names, run_folder
from fixtures.record.file_names import ROOT
from fixtures.record.run_folder import RecordError, read_claims, read_run, write_record
from fixtures.target.target import load_target
from reports.commands import command_line, run_folders
from suites.conftest import Controller, target_key
from suites.framework.recorder import Recorder
from suites.framework.settings import read_settings
from suites.machinery.chance import SURE
from suites.machinery.making import preloaded
from suites.machinery.making.disks import fill, small_disk
from suites.machinery.making.runs import claim, contract, plan, run, violated, write
from suites.machinery.making.suite_run import given

pytestmark = [pytest.mark.subprocess, SURE]


PATIENCE_SECONDS = 60

CLAIMS = {claim.id: claim for claim in (claim(), violated(dtype="bfloat16", known="known"), contract())}


# Killed while writing

WRITING = """\
import itertools, sys
from pathlib import Path
from fixtures.record import file_names, run_folder
from reports.commands import acceptance
from suites.machinery.making.runs import claim, plan, run, subject
folder, what = Path(sys.argv[1]), sys.argv[2]
made = run(*(claim(subject=subject(shape=(8, 8 + number))) for number in range(2000)))
print("begun", flush=True)
for turn in itertools.count():
    if what == "plan":
        run_folder.write_record(folder / file_names.PLAN, plan([f"{turn}-{number}" for number in range(20_000)]))
    elif what == "claims":
        run_folder.write_claims(folder, made.claims.values())
    else:
        acceptance.accept(made, "old", folder, replace=True)
"""

KILLS = 8
"""Each write takes milliseconds and is repeated until the kill, which so falls anywhere within it."""


def killed(folder, what):
    """Kill a process that writes again and again; returns its process id."""
    command = [sys.executable, "-c", WRITING, str(folder), what]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "begun\n"
        time.sleep(random.uniform(0.0, 0.2))
        writer.kill()
    return writer.pid


def test_a_record_is_whole_whenever_its_writer_is_killed(tmp_path):
    write_record(tmp_path / file_names.PLAN, plan(["first"]))
    for _ in range(KILLS):
        killed(tmp_path, "plan")

        claims = run_folder.read_plan(tmp_path / file_names.PLAN).claims
        assert len(claims) == 20_000 or claims == ("first",)
    litter = {path.name for path in tmp_path.iterdir()} - {file_names.PLAN}
    assert all(name.startswith(".") for name in litter), "what a kill leaves behind is read by nobody"


def test_claims_are_whole_or_not_there_whenever_their_writer_is_killed(tmp_path):
    for _ in range(KILLS):
        (tmp_path / file_names.PARTIAL_CLAIMS).touch()
        killed(tmp_path, "claims")

        if (tmp_path / file_names.CLAIMS).exists():
            assert len(read_claims(tmp_path / file_names.CLAIMS)) == 2000
        else:
            assert (tmp_path / file_names.PARTIAL_CLAIMS).exists(), "they go when the claims have their name"


def test_an_accepted_run_is_whole_or_not_there_whenever_its_writer_is_killed(tmp_path):
    for _ in range(KILLS):
        killed(tmp_path, "accepted")

        if (tmp_path / "old").exists():
            assert len(read_run(tmp_path / "old").claims) == 2000
        shutil.rmtree(tmp_path / "old", ignore_errors=True)
    assert all(path.name.startswith(".old.") for path in tmp_path.iterdir())


# A disk that is full


@pytest.fixture
def full_disk(tmp_path):
    """A folder with room for 128 kB, on a file system of its own, to be filled."""
    with small_disk(tmp_path / "disk", kilobytes=128) as folder:
        yield folder


def test_a_verdict_without_room_is_one_line_and_no_verdict(full_disk, tmp_path, capsys):
    base, candidate = write(tmp_path / "base", run(*CLAIMS.values())), write(full_disk / "run", run(*CLAIMS.values()))
    fill(full_disk)

    assert command_line.run(["gate", str(base), str(candidate)]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {candidate}")
    assert "cannot be written (No space left on device)" in line
    assert not [name for name in file_names.VERDICT_FILES if (candidate / name).exists()]
    assert read_run(candidate).claims == CLAIMS


@pytest.mark.parametrize("arguments", [["accept", "{base}", "--as", "x"], ["merge", "{base}", "{b}", "--into", "{x}"]])
def test_a_run_that_is_made_of_runs_without_room_is_one_line_and_no_run(
    full_disk, tmp_path, capsys, monkeypatch, arguments
):
    monkeypatch.setattr(run_folders, "ACCEPTED", full_disk)
    base, b = write(tmp_path / "base", run(claim())), write(tmp_path / "b", run(contract()))
    fill(full_disk, leave=4096)

    assert command_line.run([word.format(base=base, b=b, x=full_disk / "x") for word in arguments]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"{full_disk / 'x'}: cannot be written (No space left on device)")
    assert [path.name for path in full_disk.iterdir()] == ["filler"]


SUITE = ["suites/weights/test_fan.py", "-p", "no:cacheprovider", "--seed", "3", "--run-dir"]
"""56 claims in 4 seconds: 26 kB of plan, 23 kB of environment and interface, 35 kB of claims."""


def suite(folder, before=""):
    """Run a real suite with this run folder; `before` is code that runs first, with what ends it."""
    start = f"import runpy; {before} runpy.run_module('pytest', run_name='__main__', alter_sys=True)"
    return preloaded.run("-c", start, *SUITE, folder)


def assert_not_kept(ended, folder, why):
    """No stop, no traceback, and no claims that would make a run of what is there."""
    assert ended.returncode == 2, ended.stdout
    assert f"Exit: the run cannot be kept: {why}" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not (folder / file_names.CLAIMS).exists()


@pytest.mark.parametrize("leave", [80_000, 16_000], ids=["for the answers", "for the plan"])
def test_a_suite_without_room_is_no_evidence(full_disk, leave):
    fill(full_disk, leave)

    ended = suite(full_disk / "run")

    assert_not_kept(ended, full_disk / "run", "[Errno 28] No space left on device")
    with pytest.raises(RecordError):
        read_run(full_disk / "run")


def test_a_suite_that_may_not_write_so_much_is_no_evidence(tmp_path):
    # The same without a file system of one's own: no file may grow beyond 30 kB, as under a quota.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000));"

    assert_not_kept(suite(tmp_path / "run", limit), tmp_path / "run", "[Errno 27] File too large")


def test_a_suite_whose_folder_cannot_be_made_is_no_evidence(tmp_path):
    (tmp_path / "file").touch()

    assert_not_kept(suite(tmp_path / "file" / "run"), tmp_path, "[Errno 20] Not a directory")


def test_a_violation_that_cannot_be_kept_is_no_stop(tmp_path, monkeypatch):
    recorder = Recorder(read_settings(given(run_dir=tmp_path, seed="17")))
    write_record(tmp_path / file_names.PLAN, plan([violated().id, claim().id]))
    controller, session = (
        Controller(SimpleNamespace(stash={target_key: load_target("torch.nn.init")}), recorder),
        SimpleNamespace(exitstatus=0),
    )
    controller.start()
    controller.pytest_runtest_logreport(SimpleNamespace(claims=[run_folder.claim_line(violated()).decode()]))
    assert recorder.unknown_violations()

    def disk_full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder, "add", disk_full)
    with pytest.raises(pytest.exit.Exception, match=r"cannot be kept: \[Errno 28\]") as ended:
        controller.pytest_runtest_logreport(SimpleNamespace(claims=[""]))
    session.exitstatus = ended.value.returncode
    list(controller.pytest_sessionfinish(session))

    assert session.exitstatus == 2
    assert not (tmp_path / file_names.CLAIMS).exists()


def test_what_a_run_found_is_on_disk_before_its_claims_say_that_it_ended(tmp_path, monkeypatch):
    recorder = Recorder(read_settings(given(run_dir=tmp_path, seed="17")))
    write_record(tmp_path / file_names.PLAN, plan([claim().id]))
    recorder.start()
    recorder.add([run_folder.claim_line(claim()).decode()])
    recorder.digests["a"] = "b"

    def disk_full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_folder, "write_digests", disk_full)
    with pytest.raises(OSError, match="No space left"):
        recorder.finish()

    assert not (tmp_path / file_names.CLAIMS).exists()


# A clock that is moved


class Backwards(datetime):
    """A clock on which each look is an hour before the last."""

    shown = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)

    @classmethod
    def now(cls, _zone=None):
        cls.shown -= timedelta(hours=1)
        return cls.shown


@pytest.fixture
def moved(monkeypatch):
    """Everybody's clock goes backwards."""
    monkeypatch.setattr(suite_run, "datetime", Backwards)
    times = iter(range(2_000_000_000, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(times)))


@pytest.mark.usefixtures("moved")
def test_run_folders_on_a_clock_that_goes_backwards_are_new_and_rightly_named(tmp_path):
    folders = [suite_run.new_run_folder(tmp_path, "candidate", "2.6.0") for _ in range(50)]

    assert len(set(folders)) == 50
    assert all(folder.name.endswith("Z-candidate-torch-2.6.0") for folder in folders)
    assert all(list(folder.iterdir()) == [] for folder in folders)


def test_a_clock_that_stands_still_makes_no_folder_twice(monkeypatch, tmp_path):
    class Still(datetime):
        """Moves on only at every third look."""

        looks = 0

        @classmethod
        def now(cls, _zone=None):
            cls.looks += 1
            return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=cls.looks // 3)

    monkeypatch.setattr(suite_run, "datetime", Still)

    assert len({suite_run.new_run_folder(tmp_path, "candidate", "2.6.0") for _ in range(10)}) == 10


@pytest.mark.usefixtures("moved")
def test_seconds_are_never_negative_on_a_clock_that_goes_backwards(tmp_path):
    recorder = Recorder(read_settings(given(run_dir=tmp_path, seed="17")))
    write_record(tmp_path / file_names.PLAN, plan([claim().id]))
    recorder.start()
    recorder.add([run_folder.claim_line(claim()).decode()])
    recorder.finish()

    environment = read_run(tmp_path).environment
    assert 0 <= environment.seconds < PATIENCE_SECONDS
    assert datetime.fromisoformat(environment.started).tzinfo is not None
