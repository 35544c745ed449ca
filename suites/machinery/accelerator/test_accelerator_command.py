"""`python -m suites.accelerator`: options, missing packages, budget; folders are readable whatever ends a session."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from fixtures.environments.processes import Ended
from fixtures.record import file_names
from fixtures.record.choices import ACCELERATORS, DEVICES, SUITES
from fixtures.record.exit_codes import NO_EVIDENCE, PASS, STOP
from fixtures.record.plan import Plan
from fixtures.record.run_folder import read_record
from fixtures.record.session import Session, State, append_measurements, seal_session
from reports.commands.command_line import run as report
from suites.accelerator import command, stages
from suites.accelerator.command import CommandError, carry_out, read_arguments
from suites.accelerator.stages import BETWEEN_SECONDS, Options, allotted
from suites.machinery.chance import SURE
from suites.machinery.making import preloaded

IMPORTS = """
import importlib, sys
without, modules = sys.argv[1].split(), sys.argv[2].split()

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in without:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
for name in without:
    sys.modules.pop(name, None)
for module in modules:
    importlib.import_module(module)
"""

NAMES = [stage.name for stage in stages.stages()]


class Machine:
    """Runs nothing: each stage takes some seconds of its clock and ends as a test says.

    Attributes:
        seconds: of each stage; of others none.
        codes: exit status of each stage; of others 0.
        asked: arguments and seconds of each process, by its folder's name.
    """

    def __init__(self, seconds=None, codes=None):
        self.now = 1000.0
        self.seconds, self.codes = seconds or {}, codes or {}
        self.asked = {}

    def clock(self):
        return self.now

    def launch(self, arguments, seconds, output):
        if output is None:
            return Ended(0, False, 'facts: {"described": "a card", "torch": "2.0"}\n', 1.0)
        name = output.parent.name
        self.asked[name] = (list(arguments), seconds)
        takes = self.seconds.get(name, 0.0)
        self.now += min(takes, seconds)
        return Ended(self.codes.get(name, 0), takes > seconds, f"what {name} says\n", min(takes, seconds))


def asked(folder, *options, device="cuda"):
    return read_arguments(["--device", device, "--out", str(folder), "--seed", "7", *options])


@pytest.fixture
def session(tmp_path, capsys):
    """Carry out a session on a machine; its exit status, record and what it printed."""

    def session(machine, *options, device="cuda"):
        folder = tmp_path / "session"
        code = carry_out(asked(folder, *options, device=device), machine.launch, machine.clock)
        found = read_record(folder / file_names.SESSION, Session)
        assert found.exit_code == code
        return code, found, capsys.readouterr().out

    return session


@pytest.fixture
def shown(capsys):
    """The page of `python -m reports show FOLDER`."""

    def shown(folder):
        assert report(["show", str(folder)]) == PASS
        page = capsys.readouterr()
        assert page.err == ""
        return " ".join(page.out.split())

    return shown


# The command line


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "the following arguments are required: --device, --out"),
        (["--device", "tpu", "--out", "x"], "--device tpu: cpu, cuda, mps, xpu are accepted"),
        (["--device", "cpu", "--out", "x", "--seconds", "soon"], "--seconds soon: a number of seconds above 0"),
        (["--device", "cpu", "--out", "x", "--seconds", "-1"], "--seconds -1: a number of seconds above 0 is accepted"),
        (["--device", "cpu", "--out", "x", "--seconds", "nan"], "--seconds nan: a number of seconds above 0"),
        (["--device", "cpu", "--out", "x", "--seed", "1.5"], "--seed 1.5: a whole number of 0 or more is accepted"),
        (["--device", "cpu", "--out", "x", "--only", "all"], "--only all: weights, digests, sketch, "),
        (["--device", "cpu", "--out", "x", "--fast"], "unrecognized arguments: --fast"),
        (["--device", "cpu", "--out", "."], "--out .: exists already; a new folder is accepted"),
    ],
)
def test_a_mistake_is_one_line(capsys, options, says):
    assert command.run(options) == NO_EVIDENCE

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {says}")
    assert printed.err.count("\n") == 1


def test_help_passes(capsys):
    assert command.run(["--help"]) == PASS
    printed = capsys.readouterr().out
    assert all(name in printed for name in NAMES)


@pytest.mark.subprocess
@pytest.mark.parametrize("device", ACCELERATORS)
def test_a_device_that_is_not_there_is_one_line_and_leaves_no_folder(tmp_path, device):
    ended = preloaded.run("-m", "suites.accelerator", "--device", device, "--out", tmp_path / "out")

    assert (ended.returncode, ended.stdout) == (NO_EVIDENCE, "")
    assert ended.stderr.startswith(f"error: --device {device}: torch ")
    assert ended.stderr.endswith(f"finds no {device} device here\n")
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_device_that_does_not_answer_is_one_line(tmp_path):
    def hangs(_arguments, seconds, _output):
        return Ended(-9, True, "", seconds)

    with pytest.raises(CommandError, match="--device cuda: does not answer within 60 s"):
        carry_out(asked(tmp_path / "out"), hangs)


@pytest.mark.subprocess
def test_the_command_needs_the_standard_library_alone():
    absent = " ".join(["torch", *stages.PACKAGES])
    command_line = ("-c", IMPORTS, absent, "suites.accelerator.command suites.accelerator.stages")

    ended = preloaded.run(*command_line)

    assert ended.returncode == 0, ended.stderr


@pytest.mark.subprocess
def test_the_timings_need_torch_alone():
    absent = " ".join(package for package in stages.PACKAGES if package != "numpy")  # which torch tries to import
    modules = "suites.accelerator.measurement suites.accelerator.device_timings"

    ended = preloaded.run("-c", IMPORTS, absent, modules)

    assert ended.returncode == 0, ended.stderr


# Missing packages


@pytest.fixture
def lacking(monkeypatch):
    """Hide modules from the interpreter at hand."""

    def lacking(*modules):
        monkeypatch.setattr(stages, "find_spec", lambda name: None if name in modules else object())

    return lacking


@pytest.mark.inner_pytest
def test_a_missing_package_is_named_with_what_is_left_out_and_how_to_bring_it(lacking, session, shown, tmp_path):
    lacking("msgspec")

    code, found, printed = session(Machine())

    others = [name for name in NAMES if name != "timings"]
    assert code == NO_EVIDENCE
    assert f"no msgspec here: left out without it: {', '.join(others)}; bring it with pip or on PYTHONPATH" in printed
    assert {stage.name: (stage.state, stage.note) for stage in found.stages} == {
        "timings": (State.ENDED, ""),
        **dict.fromkeys(others, (State.LEFT_OUT, "no msgspec here")),
    }
    assert "no msgspec: weights, digests, sketch" in shown(tmp_path / "session")


def test_a_package_without_which_all_is_asked_is_no_reason_for_no_evidence(lacking, session):
    lacking("xdist", "sklearn")

    code, _, printed = session(Machine())

    assert code == PASS
    assert "no pytest-xdist here: the suites run in one process each, which takes longer\n" in printed
    assert "no scikit-learn here: the tutorial's table" in printed


def test_nothing_is_asked_of_what_is_not_there(lacking):
    lacking("xdist")
    weights = stages.stages()[0]

    assert "-n" not in weights.command(Options("cpu", 1), file_names.ROOT, 60.0)


def test_every_package_that_a_stage_needs_is_named():
    needed = {module for stage in stages.stages() for module in stage.needs}

    assert needed | stages.LESS_WITHOUT.keys() == stages.PACKAGES.keys()


# Stages


@pytest.mark.parametrize("device", DEVICES)
def test_every_stage_is_asked_of_the_device(session, device):
    machine = Machine()

    code, found, printed = session(machine, device=device)

    assert code == PASS
    assert [stage.name for stage in found.stages] == NAMES == list(machine.asked)
    for name, (arguments, _) in machine.asked.items():
        given = arguments[arguments.index("--device") + 1]
        assert given == (",".join(dict.fromkeys(("cpu", device))) if name == "digests" else device)
        assert arguments[arguments.index("--seed") + 1] == "7"
    assert f"{device}: a card, torch 2.0, seed 7, 480 s\n" in printed
    assert "pass; python -m reports show" in printed.splitlines()[-1]


def test_the_suites_are_those_of_a_gate_and_each_digest_is_asked_once():
    machine = {stage.name: stage.command(Options("cuda", 1), file_names.ROOT, 60.0) for stage in stages.stages()}

    assert {*SUITES} - {*stages.OF_MANY} <= machine.keys()
    ignored = {word.partition("=")[2] for word in machine["weights"] if word.startswith("--ignore=")}
    assert ignored == {*stages.DIGESTS} <= {*machine["digests"]}
    assert all((file_names.ROOT / file).is_file() for file in stages.DIGESTS)


def test_the_stages_are_printed_with_their_seconds(session, tmp_path):
    _, _, printed = session(Machine({"weights": 61.24, "clock": 30}, {"clock": 2}))

    lines = printed.splitlines()
    assert lines[1] == "weights        61.2 s  pass"
    assert lines[-2] == "clock          30.0 s  no evidence: what clock says"
    assert lines[-1] == f"in all         91.2 s  no evidence of some; python -m reports show {tmp_path / 'session'}"


@pytest.mark.parametrize(
    ("codes", "code"), [({}, PASS), ({"training": 1, "clock": 2}, STOP), ({"clock": 2}, NO_EVIDENCE), ({"clock": 4}, 2)]
)
def test_a_stop_of_any_stage_is_the_sessions_and_then_what_has_no_evidence(session, codes, code):
    assert session(Machine(codes=codes))[0] == code


@pytest.mark.parametrize("file", [file_names.SESSION, "timings/measurements.jsonl"])
def test_a_session_that_has_ended_is_sealed(session, shown, tmp_path, capsys, file):
    session(Machine())
    folder = tmp_path / "session"
    append_measurements(folder / "timings", [])
    seal_session(folder, read_record(folder / file_names.SESSION, Session))
    shown(folder)

    with (folder / file).open("a") as opened:
        opened.write("\n")

    assert report(["show", str(folder)]) == NO_EVIDENCE
    assert capsys.readouterr().err.endswith(
        f"{file}: not what the run wrote (its hash in manifest.json is another one)\n"
    )


# The budget


def test_a_session_ends_within_its_budget_whatever_its_stages_take(session):
    endless = Machine(dict.fromkeys(NAMES, 1e6))

    code, found, _ = session(endless)

    assert code == NO_EVIDENCE
    assert endless.now - 1000.0 <= found.budget == command.SECONDS == 480
    assert {stage.state for stage in found.stages} == {State.CUT_SHORT}, "each had what it needs at least"
    assert all(stage.seconds >= known.least for stage, known in zip(found.stages, stages.stages(), strict=True))


def test_what_does_not_fit_is_named_and_what_fits_is_asked(session):
    code, found, printed = session(Machine(), "--seconds", "35")

    states = {stage.name: stage.state for stage in found.stages}
    assert code == NO_EVIDENCE
    assert states["timings"] is State.LEFT_OUT
    assert states["clock"] is State.LEFT_OUT
    assert "clock           0.0 s  left out: takes 60 s, and 35 s are left" in printed


def test_all_stages_need_less_than_the_budget():
    assert sum(BETWEEN_SECONDS + stage.least for stage in stages.stages()) < command.SECONDS
    assert all(stage.least <= stage.most for stage in stages.stages())


def test_a_stage_leaves_to_those_after_it_what_they_need():
    first, second, third = (replace(stages.stages()[0], least=10, most=100) for _ in range(3))

    needed = 10 + BETWEEN_SECONDS
    assert allotted(first, 60, [second, third]) == 60 - 2 * needed
    assert allotted(second, 10 + needed, [third]) == 10
    assert allotted(first, 5 + 2 * needed, [second, third]) == 5, "too little: it is left out"
    assert allotted(first, 500, [second, third]) == 100
    assert allotted(third, 7, []) == 7


def test_what_cannot_be_run_needs_no_time(lacking, session):
    lacking("pytest")
    machine = Machine(dict.fromkeys(NAMES, 1e6))

    session(machine, "--seconds", "120")

    assert machine.asked["timings"][1] == 120 - 60 - BETWEEN_SECONDS, "the clock alone is left time"


# Ended in the middle


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_that_is_cut_short_leaves_a_readable_folder(session, shown, tmp_path, name):
    _, found, _ = session(Machine({name: 1e6}))

    stage = next(stage for stage in found.stages if stage.name == name)
    assert stage.state is State.CUT_SHORT
    assert re.search(rf"{name} {stage.seconds:.1f} s cut short: its \d+ s were up", shown(tmp_path / "session"))


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_session_says_what_it_was_at(tmp_path, capsys, monkeypatch, shown, name):
    machine = Machine()

    def interrupted(arguments, seconds, output):
        if output is not None and output.parent.name == name:
            raise KeyboardInterrupt
        return machine.launch(arguments, seconds, output)

    monkeypatch.setattr(command, "launch", interrupted)
    monkeypatch.setattr(carry_out, "__defaults__", (interrupted, *carry_out.__defaults__[1:]))

    assert command.run(["--device", "cpu", "--out", str(tmp_path / "out")]) == NO_EVIDENCE

    assert capsys.readouterr().err == "error: interrupted; the folder keeps what was measured\n"
    assert f"{name} 0.0 s cut short: interrupted" in shown(tmp_path / "out")


class Killed(BaseException):
    """The end of a process that nothing can catch."""


MIDDLE = """
import importlib, os, pathlib, runpy, signal, sys, threading, time

evidence, seconds = pathlib.Path(sys.argv[1]), float(sys.argv[2])
module, sys.argv = sys.argv[3], sys.argv[3:]

def kill():
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and not (evidence.exists() and evidence.stat().st_size):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=kill, daemon=True).start()
if "cuda" in " ".join(sys.argv):
    import suites.machinery.making.simulated_card
if "large" in sys.argv or "sketch" in sys.argv:
    from suites.accelerator import drawn_weights as small
    small.ROWS, small.PROBED_ROWS, small.SQUARE, small.COLUMNS = 257, 2, (256, 256), 1 << 10
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
"""A process that kills itself in its middle: when a file holds something, or after seconds. A card is simulated."""

EVIDENCE = {"timings": (file_names.MEASUREMENTS, 300), "sketch": (file_names.MEASUREMENTS, 300)}
EVIDENCE |= {"large": (file_names.PLAN, 300), "clock": ("nothing", 3)}
"""File that a stage has written in its middle, and seconds after which it is killed at the latest; of the suites the
first answers."""


@SURE
@pytest.mark.subprocess
@pytest.mark.parametrize("name", NAMES)
def test_a_session_that_is_killed_in_the_middle_of_a_stage_leaves_a_readable_folder(tmp_path, shown, lacking, name):
    lacking("xdist")  # one process, which kills itself
    folder = tmp_path / "out"
    file, seconds = EVIDENCE.get(name, (file_names.PARTIAL_CLAIMS, 300))

    def launch(arguments, _seconds, output):
        if output is None:
            return Machine().launch(arguments, _seconds, output)
        started = ("-c", MIDDLE, output.parent / file, seconds, *arguments[1:])
        assert preloaded.run(*started).returncode == -9
        raise Killed

    device = "cpu" if name == "clock" else "cuda"  # whose workers are processes of their own
    with pytest.raises(Killed):
        carry_out(asked(folder, "--only", name, device=device), launch)

    session = read_record(folder / file_names.SESSION, Session)
    assert [(stage.name, stage.state) for stage in session.stages] == [(name, State.RUNNING)]
    if (folder / name / file_names.PLAN).exists():
        assert device in read_record(folder / name / file_names.PLAN, Plan).devices
    page = shown(folder)
    assert f"{name} 0.0 s killed" in page
    assert ("what it had found by then" in page) == (name not in ("timings", "clock"))
    if name in ("timings", "sketch"):
        [*_, measured] = (folder / name / file_names.MEASUREMENTS).read_text().splitlines()
        assert json.loads(measured)["name"] in page.replace("- ", "")
    assert session.exit_code == NO_EVIDENCE


# What a process says


@pytest.mark.parametrize(
    ("code", "output", "note"),
    [(0, "a\nnote: b\nc\n", "b"), (0, "a\n", ""), (1, "violated\n", ""), (2, "a\nerror: b\n", "error: b"), (3, "", "")],
)
def test_the_note_of_a_stage_is_what_its_process_says_of_itself(code, output, note):
    assert command._note(Ended(code, False, output, 1.0)) == note


@pytest.mark.subprocess
def test_output_is_kept_as_it_comes(tmp_path):
    output = tmp_path / "output.txt"

    ended = command.launch(["-c", "print('one', flush=True); import time; time.sleep(600)"], 2.0, output)

    assert ended.timed_out
    assert output.read_text() == "one\n"
