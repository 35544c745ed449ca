"""A worker may do anything: its parent says in one line what, has its output, and outlives it."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fixtures.clock.workers import Side, Unable, Unstartable, Worker, WorkerFailed
from suites.machinery.making import fake_worker
from suites.machinery.making.children import is_gone
from suites.machinery.making.fake_worker import CONTROL, WORKLOADS

pytestmark = pytest.mark.subprocess

ACTOR = Path(fake_worker.__file__)

PATIENCE = 60
"""Seconds for what takes a tenth of one on an idle machine."""


def acting(part, patience=PATIENCE, **variables):
    side = Side("candidate", (sys.executable, str(ACTOR), part), os.environ | variables)
    return Worker(side, "cpu", patience=patience)


def work(worker):
    """All that a session asks of a worker."""
    with worker:
        worker.greet()
        listed = worker.workloads()
        worker.ask("prepare", workload="init/b")
        calls = worker.calls_in(0.01)
        return listed, calls, worker.block(calls, 2), worker.count_of("peak"), worker.count_of("allocate")


def test_a_healthy_worker_answers():
    listed, calls, seconds, peak, allocated = work(acting("healthy"))

    assert [name for name, _, _ in listed] == [*WORKLOADS, CONTROL]
    assert (calls, peak, allocated) == (1, 1 << 28, 1 << 20)
    assert seconds == pytest.approx([0.03, 0.03], rel=0.2)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("dies", "died (exit status 1)"),
        ("dies at work", "died (exit status 3)"),
        ("answers nonsense", "answered b'certainly', which is no JSON object"),
        ("answers NaN", "answered {'seconds': [nan, nan]} when asked for the seconds of 2 slices"),
        ("answers a huge number", "answered {'seconds': [1000"),
        ("answers without an end", "answered more than 1048576 characters without an end"),
        ("answers too deep", "answered b'[[[["),
        ("answers without being asked", "said b'{}' without being asked"),
        ("answers too few", "answered {'seconds': []} when asked for the seconds of 2 slices"),
        ("lists nonsense", "answered {'workloads': 'all'} when asked for its workloads"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(part, said):
    with pytest.raises(WorkerFailed) as failure:
        work(acting(part))

    assert str(failure.value).startswith(f"the worker of the candidate {said}")
    assert len(str(failure.value)) < 400
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("part", "printed"),
    [("dies", "ModuleNotFoundError: No module named 'torch'"), ("dies at work", "Segmentation fault, or so")],
)
def test_the_last_output_comes_with_the_failure(part, printed):
    with pytest.raises(WorkerFailed) as failure:
        work(acting(part))

    assert failure.value.tail == (printed,)


@pytest.mark.parametrize("part", ["hangs", "hangs at work"])
def test_a_worker_that_hangs_is_given_up_on_and_ended(part, tmp_path):
    started = time.monotonic()
    with pytest.raises(WorkerFailed, match=r"has not answered for 3 s"):
        work(acting(part, patience=3, ACTORS=str(tmp_path)))

    assert time.monotonic() - started < PATIENCE
    assert [is_gone(int(actor.name)) for actor in tmp_path.iterdir()] == [True]


def test_a_worker_that_is_killed_is_waited_for_no_longer():
    """By another thread, which is ending the session."""
    with acting("hangs at work") as worker, ThreadPoolExecutor(1) as thread:
        worker.greet()
        waiting = thread.submit(worker.block, 1, 1)
        time.sleep(0.2)
        assert not waiting.done()
        worker.kill()

        with pytest.raises(WorkerFailed, match="died"):
            waiting.result(timeout=PATIENCE)


def test_a_slow_start_is_waited_for():
    assert work(acting("starts slowly"))


def test_half_a_letter_can_be_written_down():
    with acting("answers half a letter") as worker:
        worker.greet()

    assert worker.facts["torch"] == "\\ud800"


def test_what_a_workload_raises_is_told_and_the_worker_goes_on():
    with acting("cannot init/b") as worker:
        worker.greet()
        with pytest.raises(Unable, match=r"^the candidate cannot run it: AttributeError: no such function$"):
            worker.ask("prepare", workload="init/b")
        worker.ask("prepare", workload="init/a")

        assert worker.block(1, 1)


@pytest.mark.parametrize(
    ("program", "said"), [("/nowhere/python", "No such file"), (str(ACTOR.parent), "Permission denied")]
)
def test_a_program_that_cannot_be_started_is_named(program, said):
    with pytest.raises(Unstartable, match=rf"^--candidate {program}: cannot be started \({said}"):
        Worker(Side("candidate", (program,), os.environ), "cpu")


@pytest.mark.parametrize("program", ["true", "false", "cat"])
def test_a_program_that_is_no_python_has_died(program):
    with pytest.raises(WorkerFailed, match=r"^the worker of the candidate died \(exit status \d\)$"):
        work(Worker(Side("candidate", (program,), os.environ), "cpu"))


def test_only_the_end_of_a_long_output_is_read(tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nseq 300000 >&2\nexit 4\n")
    program.chmod(0o755)

    with pytest.raises(WorkerFailed) as failure:
        work(Worker(Side("candidate", (str(program),), os.environ), "cpu"))

    assert failure.value.tail == tuple(map(str, range(299986, 300001)))
