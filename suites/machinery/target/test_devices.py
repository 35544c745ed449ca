"""Devices as a clock sees them: waited for before every reading, their cache forgotten before every block."""

from __future__ import annotations

import json
import mmap
import time
from types import SimpleNamespace

import pytest
import torch

from fixtures.record.choices import ACCELERATORS
from fixtures.target import device as devices
from fixtures.target.device import (
    CACHE_BYTES,
    Accelerator,
    Cpu,
    calls_that_take,
    device_named,
    timed,
    unavailable,
    waiting_clock,
)
from suites.machinery.making import preloaded
from suites.machinery.making.recorded_device import BROKEN, RECORD, RecordedDevice, keeps_the_rule

METHODS = ("wait", "forget_cached")


# A block


def test_a_block_is_timed_from_an_idle_device_to_an_idle_device():
    device = RecordedDevice()

    took = timed(device.call, 3, device, device.clock)

    assert device.log == "fwcxxxwc"
    assert took == 3


def test_a_clock_waits_each_time_it_is_read():
    device = RecordedDevice()
    clock = waiting_clock(device, device.clock)

    assert (clock(), clock()) == (0, 0)
    assert device.log == "wcwc"


@pytest.mark.parametrize("log", ["fwcxxwc", "xfwcxwcfwcxxwc", "fwcxwcfwcxxwcfxf"])
def test_a_record_that_keeps_the_rule(log):
    assert keeps_the_rule(log)


@pytest.mark.parametrize(
    "log",
    [
        "",
        "fcxxwc",  # not waited for before
        "fwcxxc",  # not waited for after
        "fwcxwccxwc",  # neither in the middle
        "wcxxwc",  # not forgotten before the first block
        "fwcxwcwcxwc",  # nor before the second
        "wfcxwc",  # forgetting, which is work of the device's own, is timed
        "fxwcxwc",  # a call before the clock runs
    ],
)
def test_a_record_that_breaks_the_rule(log):
    assert not keeps_the_rule(log)


def test_calls_that_take_about_so_long():
    assert calls_that_take(0.02, lambda calls: calls * 1e-5) == 2000
    assert calls_that_take(0.02, lambda calls: calls * 3.0) == 1


def test_calls_are_counted_to_an_end_where_they_take_no_time():
    assert calls_that_take(0.02, lambda calls: 1e-9) >= devices.MOST_CALLS


# Both ways to time, whole: pytest-benchmark and the worker of the paired clock, each in a process of its own


def run(tmp_path, *command, broken=""):
    """The record of each workload."""
    record = tmp_path / "record.jsonl"
    ended = preloaded.run(*command, **{RECORD: str(record), BROKEN: broken})
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return dict(json.loads(line) for line in record.read_text().splitlines())


def benchmarked(tmp_path, broken=""):
    pytest.importorskip("pytest_benchmark", reason="in the dependency group bench, which machinery includes")
    plugins = ("-p", "suites.machinery.making.recorded_device", "-p", "no:cacheprovider", "-p", "no:xdist")
    # A call takes a second of the recorded clock, so that two rounds have two calls.
    rounds = ("--benchmark-min-rounds", "2", "--benchmark-max-time", "0.1")
    command = ("-m", "pytest", "suites/timings", *plugins, *rounds, "-k", "guard or linear", "-q")
    return run(tmp_path, *command, broken=broken)


@pytest.mark.subprocess
def test_pytest_benchmark_waits_for_the_device_and_forgets_its_cache(tmp_path):
    records = benchmarked(tmp_path)

    assert len(records) == 4
    assert all(keeps_the_rule(log) for log in records.values()), records
    assert all("fwcxwcfwcxwcf" in log for log in records.values()), "two rounds"


@pytest.mark.subprocess
@pytest.mark.parametrize("broken", METHODS)
def test_that_pytest_benchmark_does_not_would_be_seen(tmp_path, broken):
    assert not any(keeps_the_rule(log) for log in benchmarked(tmp_path, broken).values())


WORK = """
import json, os, sys
from dataclasses import replace
from fixtures.clock import worker
from suites.machinery.making.recorded_device import BROKEN, RECORD, RecordedDevice

device = RecordedDevice(os.environ[BROKEN])
asked = worker.Worker(device, 1, planted=True)
asked.clock = device.clock
name = "construct/tutorial"
asked.workloads[name] = replace(asked.workloads[name], prepare=lambda _device: device.call)
asked.prepare(name + sys.argv[1])
calls = asked.calibrate(4.0)["calls"]
answers = asked.block(calls, 2)["seconds"]
with open(os.environ[RECORD], "w") as file:
    file.write(json.dumps(["worker", device.log]) + "\\n" + json.dumps(["seconds", answers]) + "\\n")
"""


@pytest.mark.subprocess
@pytest.mark.parametrize(("slowed", "calls"), [("", 4), (" x 1.5", 6)])
def test_the_worker_waits_for_the_device_and_forgets_its_cache(tmp_path, slowed, calls):
    records = run(tmp_path, "-c", WORK, slowed)

    assert keeps_the_rule(records["worker"]), records
    assert records["worker"].endswith(f"fwc{'x' * calls}wc" * 2)
    assert records["seconds"] == [calls, calls]


@pytest.mark.subprocess
@pytest.mark.parametrize("broken", METHODS)
def test_that_the_worker_does_not_would_be_seen(tmp_path, broken):
    assert not keeps_the_rule(run(tmp_path, "-c", WORK, "", broken=broken)["worker"])


# The processor


def test_the_processor_has_ended_when_a_call_returns():
    cpu = device_named("cpu")

    assert isinstance(cpu, Cpu)
    assert timed(lambda: time.sleep(0.01), 2, cpu) >= 0.02


def test_the_processor_forgets_the_peak_of_an_earlier_workload():
    cpu = Cpu()
    # Mapped by itself: malloc may serve as much from what others have freed, and then keeps it.
    with mmap.mmap(-1, 1 << 26) as large:
        large.write(b"x" * (1 << 26))
        with_large = cpu.peak_bytes()

    cpu.reset_peak()

    assert with_large - cpu.peak_bytes() > 1 << 25


# Accelerators: a stand-in's functions, and real ones where there are any


class Allocator:
    """Counts as torch's allocator does."""

    def __init__(self):
        self.peak = 0
        self.waited = 0

    def synchronize(self):
        self.waited += 1

    def max_memory_allocated(self):
        return self.peak

    def reset_peak_memory_stats(self):
        self.peak = 0


@pytest.fixture
def allocator(monkeypatch):
    """An accelerator named xla, whose memory is that of the processor."""
    allocator, empty = Allocator(), torch.empty

    def counted(size, *, dtype, device):
        assert device == "xla"
        allocator.peak += size
        return empty(size, dtype=dtype)

    monkeypatch.setattr(torch, "xla", allocator, raising=False)
    monkeypatch.setattr(torch, "empty", counted)
    return allocator


def test_an_accelerator_is_synchronized(allocator):
    device_named("xla").wait()

    assert allocator.waited == 1


@pytest.mark.large_draws
def test_an_accelerator_overwrites_its_cache_and_does_not_count_that_as_memory(allocator):
    accelerator = Accelerator("xla")
    allocator.peak = 1000
    before = accelerator.peak_bytes()

    accelerator.forget_cached()
    accelerator.forget_cached()

    assert before == 1000
    assert allocator.peak == 1000 + CACHE_BYTES, "allocated once"
    assert accelerator.peak_bytes() == 1000


def test_an_accelerator_that_counts_no_memory_says_so(monkeypatch):
    monkeypatch.setattr(torch, "xla", SimpleNamespace(synchronize=lambda: None), raising=False)
    accelerator = Accelerator("xla")

    accelerator.reset_peak()

    assert accelerator.peak_bytes() is None


@pytest.mark.parametrize("name", ACCELERATORS)
def test_a_real_accelerator_is_waited_for(name):
    if reason := unavailable(name):
        pytest.skip(reason)
    device, matrix = device_named(name), torch.ones(4096, 4096, device=name)
    timed(lambda: matrix @ matrix, 1, device)

    started = time.perf_counter()
    for _ in range(20):
        matrix @ matrix
    launched = time.perf_counter() - started

    # 20 products of 4096^3 are 2.7e12 operations: launching them takes microseconds, and waiting for them does not.
    assert timed(lambda: matrix @ matrix, 20, device) > 2 * launched
