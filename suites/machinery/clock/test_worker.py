"""The worker itself, in the torch at hand: what it prints, counts and repeats."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from fixtures.clock.scheduled_clock import running_clock
from fixtures.clock.slow_downs import PLANTED, slowed
from fixtures.clock.workers import Side, Unable, Worker, WorkerFailed
from fixtures.target.device import Cpu
from suites.machinery.making.children import is_gone

pytestmark = pytest.mark.subprocess

SOON = "init/kaiming_normal_/64x64/float32"
THERE = sys.platform == "linux"

PLAIN = Side("baseline", (sys.executable,), os.environ)


@pytest.fixture(scope="module")
def started():
    with Worker(PLAIN, "cpu") as worker:
        worker.greet()
        yield worker


@pytest.fixture
def worker(started):
    """With nothing prepared."""
    yield started
    started.ask("release")


def instances_of(worker):
    """Processes that it has forked."""
    pid = worker._process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_it_says_who_it_is(worker):
    assert worker.facts["torch"] == torch.__version__
    assert worker.facts["threads"] == 1
    assert worker.facts["waits_excluded"] is THERE


def test_it_knows_the_control_and_what_is_required(worker):
    known = {name: required for name, required, _ in worker.workloads()}

    assert known["guard/python"] is False
    assert 10 <= sum(known.values()) <= 20


def test_it_times_counts_and_measures(worker):
    worker.ask("prepare", workload=SOON)
    calls = worker.calls_in(0.01)
    seconds = worker.block(20 * calls, 3)

    assert len(seconds) == 3
    assert worker.count_of("peak") > 1 << 20


def test_what_is_allocated_is_counted_exactly(worker):
    # 784-256-128-10, float32; the first release that pads or copies shows here.
    parameters = 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10

    assert {worker.count_of("allocate", workload="construct/tutorial") for _ in range(3)} == {4 * parameters}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_a_child_that_repeats_calls_has_ended_when_it_is_named(worker):
    children = {worker.count_of("repeat", workload=SOON, calls=calls) for calls in (0, 3)}

    assert len(children) == 2
    assert all(is_gone(child) for child in children)
    with pytest.raises(Unable, match="init/nothing, called 1 times in a child, ended it with exit status 1"):
        worker.count_of("repeat", workload="init/nothing", calls=1)


def test_an_unknown_workload_is_an_answer(worker):
    with pytest.raises(Unable, match="KeyError"):
        worker.ask("prepare", workload="init/nothing")


def test_a_planted_slow_down_is_the_candidates_and_a_whole_number_of_calls(worker):
    planted = Side("candidate", (sys.executable,), os.environ | {PLANTED: "1"})
    with Worker(planted, "cpu") as candidate:
        candidate.greet()
        candidate.ask("prepare", workload=slowed(SOON, 1.2))
        with pytest.raises(Unable, match=r"1\.2 times 3 calls is no number of calls"):
            candidate.block(3, 1)
        assert candidate.block(5, 1)

    worker.ask("prepare", workload=slowed(SOON, 1.2))
    assert worker.block(3, 1)


@pytest.mark.skipif(not THERE, reason="instances are forked on Linux alone")
def test_each_instance_is_a_process_of_its_own_until_it_is_released(worker):
    seen = set()
    for _ in range(2):
        worker.ask("prepare", workload=SOON)
        seen.update(instances_of(worker))
        worker.ask("release")

    assert len(seen) == 2
    assert worker.workloads(), "the worker itself is there"
    assert instances_of(worker) == []


@pytest.mark.skipif(not THERE, reason="needs /proc")
def test_a_worker_and_its_instances_stay_on_their_core(worker):
    core = max(os.sched_getaffinity(0))
    worker.ask("pin", core=core)
    worker.ask("prepare", workload=SOON)
    (instance,) = instances_of(worker)

    assert os.sched_getaffinity(worker._process.pid) == os.sched_getaffinity(instance) == {core}


@pytest.mark.skipif(not THERE, reason="instances are forked on Linux alone")
def test_a_worker_ends_as_its_instance_does():
    with Worker(PLAIN, "cpu") as worker:
        worker.greet()
        worker.ask("prepare", workload=SOON)
        (instance,) = instances_of(worker)
        os.kill(instance, signal.SIGSEGV)
        with pytest.raises(WorkerFailed, match=r"died \(signal 11\)"):
            worker.block(5, 1)


def test_what_is_printed_does_not_get_into_the_answers(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('hello from a sitecustomize')\n")
    side = Side("baseline", (sys.executable,), os.environ | {"PYTHONPATH": str(tmp_path)})
    # Printed before the worker could move its pipe away: nothing can be done but to say so.
    with Worker(side, "cpu") as started, pytest.raises(WorkerFailed, match="hello from a sitecustomize"):
        started.greet()


UNDISTURBED = 20
"""Tries, one of which a virtual machine's host should leave alone: what it takes, no clock of the guest's can tell."""


@pytest.mark.skipif(not THERE, reason="needs /proc")
def test_waiting_for_a_processor_is_not_counted_and_sleeping_is():
    allowed = os.sched_getaffinity(0)
    one = {min(allowed)}
    read = running_clock(Cpu())

    def counts_own_time_alone():
        """Run for 0.2 s on a processor that another process has half of; was the other half left out?"""
        began, clock, cpu = read(), time.perf_counter(), time.thread_time()
        while time.thread_time() - cpu < 0.2:
            pass
        ran, passed = read() - began, time.perf_counter() - clock
        return passed > 1.5 * ran and ran == pytest.approx(0.2, rel=0.1)

    child = os.fork()
    if child == 0:
        os.sched_setaffinity(0, one)
        while True:
            pass
    try:
        os.sched_setaffinity(0, one)
        counted = any(counts_own_time_alone() for _ in range(UNDISTURBED))
        began = read()
        time.sleep(0.1)
        slept = read() - began
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.sched_setaffinity(0, allowed)

    assert counted
    assert slept >= 0.1
