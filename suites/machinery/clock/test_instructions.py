"""The counter of instructions, as far as this machine has one: the system call is tried on what every Linux counts."""

import platform
import sys
import time

import pytest

from fixtures.clock import instructions
from fixtures.clock.instructions import SYSTEM_CALLS, TASK_CLOCK, Event, counted

LINUX = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in SYSTEM_CALLS, reason="the system call is Linux's"
)


def spin(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@pytest.mark.large_draws
@LINUX
def test_what_a_thread_does_is_counted_and_what_it_waits_is_not():
    spun = counted(lambda: spin(0.2), TASK_CLOCK)
    if spun is None:
        pytest.skip("this container forbids perf_event_open")

    # In user space alone; the loop is in the kernel for most of the time that it asks for.
    assert (counted(lambda: time.sleep(0.2), TASK_CLOCK) or 0) < spun


def test_what_nothing_counts_is_not_counted(monkeypatch):
    assert counted(list, Event(type=1, config=1 << 40)) is None
    monkeypatch.setattr(platform, "machine", lambda: "abacus")
    assert counted(list, TASK_CLOCK) is None


@LINUX
def test_a_counter_that_stands_still_counts_nothing(monkeypatch):
    monkeypatch.setattr(instructions, "_read", lambda _file: 0)

    assert counted(list, TASK_CLOCK) is None


@LINUX
def test_twice_the_work_is_twice_the_instructions():
    def loop(rounds):
        return counted(lambda: sum(number * number % 7 for number in range(rounds)))

    if loop(1) is None:
        pytest.skip("this processor, or its virtual machine, counts no instructions")
    # A loop of Python's takes the same instructions each time around; the rest is what a call and its range cost.
    assert loop(200_000) / loop(100_000) == pytest.approx(2, rel=0.02)
