"""`python -m fixtures.clock` as people call it: exit codes, one line for what is wrong, and no worker left behind."""

import contextlib
import json
import os
import pty
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from fixtures.clock.command import _side
from fixtures.clock.estimate import fewest_restarts
from fixtures.clock.interrupts import Interrupts, next_of
from fixtures.clock.results import read_pairing
from fixtures.environments.processes import usable_cores
from fixtures.record.choices import DEVICES
from fixtures.record.exit_codes import NO_EVIDENCE, PASS, STOP
from fixtures.record.file_names import ROOT
from suites.machinery.chance import SURE
from suites.machinery.making import fake_worker, preloaded
from suites.machinery.making.children import WAIT, is_gone
from suites.machinery.making.fake_worker import START_SECONDS

pytestmark = [pytest.mark.subprocess, SURE]

ACTOR = Path(fake_worker.__file__)


FEWEST = fewest_restarts(2)
"""Of the two workloads that are required. Theirs is a noise of 1.2 %, which twice as many decide: were it 4.6 times as
much by chance, an eighth restart would still be enough."""

STRAYS = 0.05
"""Of the ratio of two actors, relative: eight standard errors of FEWEST restarts, sqrt(2) NOISE each. An interval
is no such bound: it misses the truth as often as FAMILY says (test_estimate.py)."""


@pytest.fixture
def interpreter(tmp_path):
    """Makes a program that acts a part."""

    def make(part, ratio=1.0):
        program = tmp_path / f"{part} {ratio:g}".replace(" ", "-").replace("/", "-")
        program.write_text(f"#!/bin/sh\nexec {sys.executable} {ACTOR} '{part}' {ratio} \"$@\"\n")
        program.chmod(0o755)
        return str(program)

    return make


def command(baseline, candidate, *options):
    return [sys.executable, "-m", "fixtures.clock", "--baseline", baseline, "--candidate", candidate, *options]


def paired(baseline, candidate, *options, **variables):
    _, *words = command(baseline, candidate, *options)
    return preloaded.run(*words, timeout=WAIT, **variables)


def test_equals_pass(interpreter, tmp_path):
    ended = paired(interpreter("healthy"), interpreter("healthy"), "--json", str(tmp_path / "out.json"))
    result = read_pairing(tmp_path / "out.json")

    assert ended.returncode == PASS, ended.stdout + ended.stderr
    assert result.verdict == "pass"
    assert [workload.name for workload in result.workloads] == ["init/a", "init/b"]
    for workload in result.workloads:
        assert workload.outcome == "fine"
        assert FEWEST <= workload.restarts <= 2 * FEWEST
        assert workload.low < workload.ratio < workload.high
        assert workload.ratio == pytest.approx(1, abs=STRAYS)
        assert workload.memory["candidate"].allocated_bytes == 1 << 20
    assert [guard.moved for guard in result.guards] == [False] * 3
    assert result.baseline["torch"] == "9.9.9"


@pytest.mark.skipif(len(usable_cores()) < 2, reason="two restarts at a time need two cores")
def test_two_restarts_at_a_time_have_a_core_each(interpreter, tmp_path):
    (tmp_path / "seen").mkdir()
    healthy = interpreter("healthy")
    ended = paired(healthy, healthy, "--json", str(tmp_path / "out.json"), ACTORS=str(tmp_path / "seen"))
    restarts = max(workload.restarts for workload in read_pairing(tmp_path / "out.json").workloads)
    cores = Counter(actor.read_text() for actor in (tmp_path / "seen").iterdir())

    assert ended.returncode == PASS, ended.stdout + ended.stderr
    assert cores.pop("") == 1  # who was asked what there is to time
    assert sum(cores.values()) == 3 * restarts
    assert restarts % 2 == 0
    assert all(count % 3 == 0 for count in cores.values())
    if len(usable_cores()) == 2:
        assert [*cores.values()] == [3 * restarts / 2] * 2


def test_the_file_says_what_the_contract_promises(interpreter, tmp_path):
    paired(interpreter("healthy"), interpreter("healthy", 1.5), "--json", str(tmp_path / "out.json"))
    written = json.loads((tmp_path / "out.json").read_text())

    for workload in written["workloads"]:
        assert {"name", "ratio", "low", "high", "restarts", "sd", "outcome"} <= workload.keys()
        assert workload["outcome"] == "regressed"
        assert workload["ratio"] == pytest.approx(1.5, rel=STRAYS)
        assert workload["notes"] == ["a call allocates more: 1,572,864 bytes instead of 1,048,576"]


def test_a_policy_says_what_is_timed_and_beside_which_margin(interpreter, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text('[speed]\nrequired = ["init/b", "train/*"]\n[speed.margins]\n"init/*" = 0.9\n')
    ended = paired(
        interpreter("healthy"),
        interpreter("healthy", 1.5),
        "--policy",
        str(policy),
        "--json",
        str(tmp_path / "out.json"),
    )
    found = {workload.name: workload for workload in read_pairing(tmp_path / "out.json").workloads}

    assert ended.returncode == STOP, ended.stdout + ended.stderr
    assert {name: (one.margin, one.outcome) for name, one in found.items()} == {
        "init/b": (0.9, "fine"),
        "train/a": (0.1, "regressed"),
    }


def test_a_side_finds_its_own_packages_and_those_of_its_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "ours")
    monkeypatch.setenv("PYTHONHOME", "ours")

    alone, helped = _side("baseline", "python", ""), _side("candidate", "python", "theirs")

    assert not {"PYTHONPATH", "PYTHONHOME"} & alone.variables.keys()
    assert helped.variables["PYTHONPATH"] == "theirs"


def test_a_worker_finds_a_users_file_wherever_it_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    assert _side("baseline", "python", "", Path("my_model.py")).model == str(tmp_path / "my_model.py")
    assert _side("baseline", "python", "").model == ""


def test_a_slower_candidate_stops(interpreter):
    ended = paired(interpreter("healthy"), interpreter("healthy", 1.5))

    assert ended.returncode == STOP
    assert "stop: init/" in ended.stdout
    assert "times as long" in ended.stdout


def test_a_pattern_asks_for_others_too(interpreter, tmp_path):
    ended = paired(
        interpreter("healthy"), interpreter("healthy"), "--workloads", "train/*", "--json", str(tmp_path / "out.json")
    )

    assert ended.returncode == PASS
    assert [(one.name, one.required) for one in read_pairing(tmp_path / "out.json").workloads] == [("train/a", True)]


@pytest.mark.parametrize("part", ["dies", "dies at work", "answers NaN", "cannot init/b"])
@pytest.mark.parametrize(("failing", "code"), [("candidate", STOP), ("baseline", NO_EVIDENCE)])
def test_a_side_that_fails_is_blamed(interpreter, tmp_path, part, failing, code):
    sides = {"baseline": interpreter("healthy"), "candidate": interpreter("healthy")} | {failing: interpreter(part)}
    ended = paired(sides["baseline"], sides["candidate"], "--json", str(tmp_path / "out.json"))
    result = read_pairing(tmp_path / "out.json")

    assert ended.returncode == code, ended.stdout + ended.stderr
    assert result.verdict == {STOP: "stop", NO_EVIDENCE: "no evidence"}[code]
    assert failing in result.reason
    assert "Traceback" not in ended.stderr
    assert bool(result.failure) == (part != "cannot init/b")  # a report knows by it, also where nothing was printed


def test_the_last_words_of_a_worker_are_shown(interpreter):
    ended = paired(interpreter("healthy"), interpreter("dies"))

    assert "stop: the worker of the candidate died (exit status 1)\n  ModuleNotFoundError: No module" in ended.stdout


def test_another_python_is_named_when_the_control_moves(interpreter, tmp_path):
    moved = interpreter("is another machine")
    ended = paired(interpreter("healthy"), moved, "--json", str(tmp_path / "out.json"))

    assert ended.returncode == NO_EVIDENCE
    assert "a guard moved: guard/python" in read_pairing(tmp_path / "out.json").reason


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workloads", "nothing/*"], "--workloads nothing/*: matches none of 3 workloads, such as init/a"),
        (["--policy", "none.toml"], "none.toml: cannot be read (No such file or directory)"),
        (["--tier", "huge"], "--tier huge: quick, full, soak are accepted"),
        (["--margin", "0"], "--margin 0: a share such as 0.1 is accepted"),
        (["--margin", "nan"], "--margin nan: a share such as 0.1 is accepted"),
        (["--clock-limit", "never"], "--clock-limit: 'never' is not FIRST or FIRST,LAST: seconds above 0"),
        (["--json", "/nowhere/out.json"], "No such file or directory: '/nowhere/"),
        (["--json", "/proc/out.json"], "No such file or directory: '/proc/"),
        (["--json", "/"], "is a folder"),
        (["--device", "abacus"], f"--device abacus: {', '.join(DEVICES)} are accepted"),
        (["--instructions", "abacus"], "--instructions abacus: processor, valgrind are accepted"),
        (
            ["--instructions", "valgrind", "--device", "cuda"],
            "it counts what the processor does, and the clock times cuda",
        ),
        (["--model", "nowhere.py"], "--model nowhere.py: an existing file whose name ends in .py is accepted"),
        (["--model", "README.md"], "--model README.md: an existing file whose name ends in .py is accepted"),
        (["--fast"], "No such option: --fast"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_before_anything_is_timed(interpreter, tmp_path, options, said):
    (tmp_path / "seen").mkdir()
    ended = paired(interpreter("healthy"), interpreter("healthy"), *options, ACTORS=str(tmp_path / "seen"))

    assert ended.returncode == NO_EVIDENCE
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert len(list((tmp_path / "seen").iterdir())) <= 1  # who is asked what there is to time


@pytest.mark.parametrize("side", ["baseline", "candidate"])
@pytest.mark.parametrize("program", ["/nowhere/python", str(ROOT)])
def test_an_interpreter_that_cannot_be_started_is_an_error_and_no_verdict(interpreter, side, program):
    sides = {"baseline": interpreter("healthy"), "candidate": interpreter("healthy")} | {side: program}
    ended = paired(sides["baseline"], sides["candidate"])

    assert ended.returncode == NO_EVIDENCE
    assert ended.stderr.startswith(f"error: --{side} {program}: cannot be started")
    assert len(ended.stderr.splitlines()) == 1


def test_an_old_result_is_gone_when_a_new_one_is_begun(interpreter, tmp_path):
    result = tmp_path / "out.json"
    result.write_text("{}")

    paired(interpreter("healthy"), "/nowhere/python", "--json", str(result))

    assert not result.exists()


def _as_in_a_terminal():
    """Restore the signals that a shell's background jobs, and what runs under nohup, ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("part", ["healthy", "hangs at work"])
def test_no_worker_outlives_the_clock(interpreter, tmp_path, number, part):
    seen = tmp_path / "seen"
    seen.mkdir()
    with subprocess.Popen(
        command(interpreter(part), interpreter(part), "--json", str(tmp_path / "out.json")),
        cwd=ROOT,
        env=os.environ | {"ACTORS": str(seen)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_as_in_a_terminal,  # noqa: PLW1509 - it sets two signals
    ) as parent:
        deadline = time.monotonic() + WAIT
        while len(list(seen.iterdir())) < 4 and time.monotonic() < deadline:  # the scout, and a restart
            time.sleep(0.02)
        parent.send_signal(number)
        said = parent.stderr.read()

    assert len(list(seen.iterdir())) >= 4
    assert all(is_gone(int(actor.name)) for actor in seen.iterdir())
    if number != signal.SIGKILL:
        assert (parent.returncode, said) == (NO_EVIDENCE, "error: interrupted; nothing is decided\n")
    assert not (tmp_path / "out.json").exists()


def test_a_margin_that_cannot_be_decided_is_named_before_the_clock_starts(interpreter):
    healthy = interpreter("healthy")
    ended = paired(healthy, healthy, "--clock-limit", "3,4", "--margin", "0.001")
    warning, *rest = ended.stdout.splitlines()

    assert re.fullmatch(
        r"a margin of 0\.1 % is out of reach in 4 s, .* % is in reach at best: init/a, init/b", warning
    ), ended.stdout
    assert not any("out of reach" in line for line in rest)
    assert ended.returncode == NO_EVIDENCE


def test_a_limit_in_which_nothing_can_be_decided_is_said_to_be_one(interpreter):
    ended = paired(interpreter("healthy"), interpreter("healthy"), "--clock-limit", "0.1")

    assert ended.stdout.splitlines()[0] == "nothing can be decided in 0.2 s"
    assert "going on for that alone" not in ended.stdout
    assert (ended.returncode, ended.stderr) == (NO_EVIDENCE, "")


def test_an_interrupt_of_what_goes_on_for_the_undecided_ends_with_the_verdict(interpreter, tmp_path):
    """One start tells what there is to time, one is of the first restarts; there is no time for a third."""
    (tmp_path / "seen").mkdir()
    slow, limits = interpreter("starts very slowly"), f"{3 * START_SECONDS:g},600"
    with subprocess.Popen(
        command(slow, slow, "--clock-limit", limits, "--json", str(tmp_path / "out.json")),
        cwd=ROOT,
        env=os.environ | {"ACTORS": str(tmp_path / "seen")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_as_in_a_terminal,  # noqa: PLW1509 - it sets two signals
    ) as clock:
        announced = clock.stdout.readline()
        clock.send_signal(signal.SIGINT)
        shown, said = clock.communicate(timeout=WAIT)

    assert re.match(r"undecided after \d+ s: init/a, init/b; going on for that alone, about ", announced), announced
    assert (clock.returncode, said) == (NO_EVIDENCE, "")
    assert "no evidence: init/a: " in shown
    assert read_pairing(tmp_path / "out.json").verdict == "no evidence"
    assert all(is_gone(int(actor.name)) for actor in (tmp_path / "seen").iterdir())


def test_an_interrupt_that_python_dropped_is_asked_for_again():
    """As in an after-fork callback, from which no exception gets out."""
    interrupts = Interrupts()
    interrupts.check()
    with contextlib.suppress(KeyboardInterrupt):
        interrupts._take(signal.SIGHUP, None)

    with pytest.raises(KeyboardInterrupt):
        interrupts.check()


def test_signals_are_ignored_once_one_is_answered():
    interrupts = Interrupts()
    with contextlib.suppress(KeyboardInterrupt):
        interrupts._take(signal.SIGINT, None)

    interrupts.ignore()
    interrupts._take(signal.SIGINT, None)
    interrupts.check()


def test_during_a_fork_a_signal_is_remembered_and_raises_nothing():
    interrupts = Interrupts()
    interrupts._begin_fork()
    interrupts._take(signal.SIGTERM, None)
    interrupts._end_fork()

    with pytest.raises(KeyboardInterrupt):
        interrupts.check()


def test_a_signal_that_wakes_no_wait_ends_it_all_the_same():
    """As one does that comes to another thread, or to this one just before it begins to wait."""

    def come():
        time.sleep(0.1)  # for the main thread to wait
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    def take(number, _frame):
        raise InterruptedError(number)

    def wait():
        coming.start()
        next_of(queue.SimpleQueue())

    before = signal.signal(signal.SIGUSR1, take)
    coming = threading.Thread(target=come)
    try:
        with pytest.raises(InterruptedError):
            wait()
    finally:
        coming.join()
        signal.signal(signal.SIGUSR1, before)


def test_a_worker_behind_a_script_ends_as_well(tmp_path):
    """Killing the clock kills the script; the worker, who is busy, is the script's."""
    seen = tmp_path / "seen"
    seen.mkdir()
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\n{sys.executable} {ACTOR} healthy "$@"\ntrue\n')
    program.chmod(0o755)
    with subprocess.Popen(
        command(str(program), str(program)),
        cwd=ROOT,
        env=os.environ | {"ACTORS": str(seen)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as parent:
        deadline = time.monotonic() + WAIT
        while len(list(seen.iterdir())) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        parent.kill()

    assert all(is_gone(int(actor.name)) for actor in seen.iterdir())


def test_two_sessions_at_once_do_not_know_of_each_other(interpreter, tmp_path):
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    ratios = (1.0, 1.5)
    sessions = [
        subprocess.Popen(
            command(interpreter("healthy"), interpreter("healthy", ratio), "--json", str(file)),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        for ratio, file in zip(ratios, files, strict=True)
    ]

    assert [session.wait(WAIT) for session in sessions] == [PASS, STOP]
    assert [read_pairing(file).verdict for file in files] == ["pass", "stop"]


def on_terminal(columns, *arguments):
    """Output to a terminal of this width."""
    parent, child = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "dumb", "NO_COLOR": "1"}
    with subprocess.Popen(
        command(*arguments), cwd=ROOT, env=environment, stdin=child, stdout=child, stderr=child, close_fds=True
    ):
        os.close(child)
        shown = b""
        try:
            while some := os.read(parent, 1 << 16):
                shown += some
        except OSError:  # Linux's way to say that the other end is closed
            pass
    os.close(parent)
    return shown.decode()


def test_valgrind_is_looked_for_before_anything_is_timed(interpreter):
    healthy = interpreter("healthy")
    ended = paired(healthy, healthy, "--instructions", "valgrind", PATH="/nowhere")

    assert ended.stderr == "error: --instructions valgrind: there is no program of this name\n"
    assert (ended.returncode, ended.stdout) == (NO_EVIDENCE, "")


def test_nothing_is_counted_where_all_is_decided(interpreter, tmp_path):
    program = tmp_path / "bin" / "valgrind"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    ended = paired(interpreter("healthy"), interpreter("healthy"), "--instructions", "valgrind", PATH=path)

    assert ended.returncode == PASS, ended.stdout + ended.stderr
    assert "Valgrind" not in ended.stdout


@pytest.mark.parametrize("columns", [80, 140])
def test_the_table_fits_the_terminal(interpreter, columns):
    shown = on_terminal(columns, interpreter("healthy"), interpreter("healthy"))
    lines = [line for line in shown.splitlines() if "init/" in line or "guard/" in line]

    assert lines
    assert all(len(line) <= columns for line in lines)
    assert any(line.rstrip().endswith("fine") for line in lines)
