"""The counter of instructions, as far as this machine has one: the system call is tried on what every Linux counts."""

import platform
import sys
import time

import pytest

from fixtures.clock.instructions import INSTRUCTIONS, SYSTEM_CALLS, TASK_CLOCK, Event, counter

LINUX = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in SYSTEM_CALLS, reason="the system call is Linux's"
)


def spin(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@LINUX
def test_what_a_thread_does_is_counted_and_what_it_waits_is_not():
    read = counter(TASK_CLOCK)
    if read is None:
        pytest.skip("this container forbids perf_event_open")

    before = read()
    time.sleep(0.2)
    slept = read() - before
    spin(0.2)
    spun = read() - before - slept

    # In user space alone; the loop is in the kernel for most of the time that it asks for.
    assert slept < spun


def test_what_nothing_counts_has_no_counter(monkeypatch):
    assert counter(Event(type=1, config=1 << 40)) is None
    monkeypatch.setattr(platform, "machine", lambda: "abacus")
    assert counter(TASK_CLOCK) is None


@LINUX
def test_twice_the_work_is_twice_the_instructions():
    read = counter(INSTRUCTIONS)
    if read is None:
        pytest.skip("this processor, or its virtual machine, counts no instructions")

    def instructions(rounds):
        before = read()
        sum(number * number % 7 for number in range(rounds))
        return read() - before

    # A loop of Python's takes the same instructions each time around; the rest is what a call and its range cost.
    assert instructions(200_000) / instructions(100_000) == pytest.approx(2, rel=0.02)
