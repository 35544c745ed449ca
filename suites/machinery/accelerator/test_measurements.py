"""Measurements of one device, on a recorded one and on the processor: what each waits for, sees and leaves."""

from __future__ import annotations

import re
from functools import partial

import pytest
import torch

from fixtures.clock.workloads import CONTROL, Workload
from fixtures.record import file_names
from fixtures.record.claim import Verdict
from fixtures.record.exit_codes import NO_EVIDENCE, PASS, STOP
from fixtures.record.run_folder import read_measurements, read_run
from fixtures.target.device import Cpu, timed_by_events, waiting_clock
from suites.accelerator import device_timings, drawn_weights, measurement
from suites.accelerator.drawn_weights import Bench, large, sketched
from suites.machinery.chance import CLAIM, SURE
from suites.machinery.making.recorded_device import RecordedDevice
from suites.timings.limits import Limits


class KnownLimits(Limits):
    """1e9 of everything a second."""

    def of(self, *_what):
        return 1e9


class Working(RecordedDevice):
    """A recorded device whose drawing takes time: a tick at each reading of the clock."""

    def clock(self):
        super().clock()
        return float(self.log.count("c"))


def bench_of(device):
    return Bench(device, waiting_clock(device, device.clock), KnownLimits())


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Tensors of some thousand weights, and times that no machine decides."""
    sizes = {"SQUARE": (64, 48), "ROWS": 65, "COLUMNS": 64, "PROBED_ROWS": 2, "MOST_DRAWS": 40_000}
    for name, size in sizes.items():
        monkeypatch.setattr(drawn_weights, name, size)


LARGE = drawn_weights.ROWS * drawn_weights.COLUMNS
"""Weights of the large tensor, as it is on a device."""

WAITED = re.compile(r"(wc)+")
"""A clock that is read after waiting, each time."""

HEALTHY = pytest.mark.draws(150 * CLAIM, "fewer than 150 healthy claims")
"""Of a stage on the processor; known violations hold as they do for the suites."""


# Weights


@pytest.mark.large_draws
@HEALTHY
def test_many_draws_are_judged_and_their_rates_recorded(tmp_path):
    device = Working()

    code = sketched(device, tmp_path, 1e6, 7, bench_of(device))

    run, measured = read_run(tmp_path), read_measurements(tmp_path / file_names.MEASUREMENTS)
    assert code == PASS
    assert run.ended
    assert not run.unanswered()
    assert {claim.subject.dtype for claim in run.claims.values()} == {"float32", "bfloat16"}
    assert {"weights.marginal.scale", "weights.position.rows.scale"} <= {claim.family for claim in run.claims.values()}
    assert [found.name for found in measured] == [case.subject.key for case in run.plan.cases]
    for found in measured:
        assert found.figures["draws"] >= drawn_weights.MOST_DRAWS
        assert found.figures["verify / draw"] == 1, "each takes one tick"
        assert found.figures["memory GB/s"] == 1
    assert WAITED.fullmatch(device.log)


@pytest.mark.large_draws
@SURE
def test_a_faulty_initializer_stops(tmp_path, monkeypatch):
    right = torch.nn.init.kaiming_normal_
    monkeypatch.setattr(torch.nn.init, "kaiming_normal_", lambda w, *a, **k: right(w, *a, **k).mul_(1.2))
    device = Working()

    assert sketched(device, tmp_path, 1e6, 7, bench_of(device)) == STOP

    violated = {claim.family for claim in read_run(tmp_path).claims.values() if claim.verdict is Verdict.VIOLATED}
    assert {"weights.marginal.scale", "weights.position.rows.scale"} <= violated


@SURE
@pytest.mark.parametrize(("seconds", "draws"), [(0.0, 64 * 48), (1e9, 40_000)])
def test_the_draws_follow_from_the_time(tmp_path, seconds, draws):
    device = Working()

    sketched(device, tmp_path, seconds, 7, bench_of(device))

    assert [case.draws for case in read_run(tmp_path).plan.cases] == [draws] * 4


def test_the_large_tensor_is_beyond_what_32_bits_reach():
    assert LARGE > 2**31


@HEALTHY
def test_one_large_tensor_is_judged_by_position(tmp_path):
    device = Working()

    assert large(device, tmp_path, 1e6, 7, bench_of(device)) == PASS

    run = read_run(tmp_path)
    assert [(case.subject.shape, case.draws) for case in run.plan.cases] == [((65, 64), 65 * 64)]
    assert {"weights.position.rows.scale", "weights.independence.signs"} <= {c.family for c in run.claims.values()}
    assert len(read_measurements(tmp_path / file_names.MEASUREMENTS)) == 1


@SURE
def test_the_end_of_a_large_tensor_that_nobody_wrote_is_seen(tmp_path, monkeypatch):
    right = torch.nn.init.kaiming_normal_

    def forgets_the_end(weight, *arguments, **keywords):
        right(weight[:-1] if len(weight) == 65 else weight, *arguments, **keywords)
        return weight

    monkeypatch.setattr(torch.nn.init, "kaiming_normal_", forgets_the_end)
    device = Working()

    assert large(device, tmp_path, 1e6, 7, bench_of(device)) == STOP


@SURE
def test_halves_that_repeat_are_seen(tmp_path, monkeypatch):
    right = torch.nn.init.kaiming_normal_

    def repeats(weight, *arguments, **keywords):
        right(weight, *arguments, **keywords)
        flat = weight.view(-1)
        flat[len(flat) // 2 :] = flat[: len(flat) - len(flat) // 2]
        return weight

    monkeypatch.setattr(torch.nn.init, "kaiming_normal_", repeats)
    device = Working()

    assert large(device, tmp_path, 1e6, 7, bench_of(device)) == STOP


class Short(Working):
    """A device with little memory."""

    def free_bytes(self):
        return 1000


@SURE
@pytest.mark.parametrize(
    ("device", "seconds", "says"),
    [
        (Short, 1e6, "float32 takes 0.0 GB, 0.0 GB are free; bfloat16 takes 0.0 GB, 0.0 GB are free"),
        (Working, 1e-3, "float32 takes "),
    ],
)
def test_what_does_not_fit_is_said_and_is_no_evidence(tmp_path, capsys, device, seconds, says):
    made = device()

    assert large(made, tmp_path, seconds, 7, bench_of(made)) == NO_EVIDENCE

    assert f"note: 4,160 weights in one tensor: {says}" in capsys.readouterr().out
    assert not (tmp_path / file_names.PLAN).exists()


# Timings


def workload(name, device, fails=False):
    def prepare(_name):
        if fails:
            raise NotImplementedError("not on this device\nsecond line")
        return device.call

    return Workload(name, prepare, CONTROL.count)


def test_every_workload_is_timed_by_clock_and_by_events(tmp_path):
    device = RecordedDevice()
    listed = [workload("init/a", device), workload("init/b", device)]

    code = device_timings.time_all(device, tmp_path, 1e4, waiting_clock(device, device.clock), listed)

    measured = read_measurements(tmp_path / file_names.MEASUREMENTS)
    assert code == PASS
    assert [found.name for found in measured] == ["init/a", "init/b"]
    for found in measured:
        named = ("first call ms", "median ms", "least ms", "events ms")
        assert [found.figures[name] for name in named] == [1000.0] * 4, "a call takes a second of its clock"
        assert device_timings.LEAST_ROUNDS <= found.figures["rounds"] <= device_timings.MOST_ROUNDS
        assert found.figures["elements_per_second"] == 20_000


def test_the_clock_is_read_only_when_the_device_has_ended(tmp_path):
    device = RecordedDevice()

    device_timings.time_all(device, tmp_path, 10, waiting_clock(device, device.clock), [workload("init/a", device)])

    assert "xc" not in device.log


def test_what_cannot_run_says_so_and_ends_nothing(tmp_path):
    device = RecordedDevice()
    listed = [workload("init/a", device, fails=True), workload("init/b", device)]

    assert device_timings.time_all(device, tmp_path, 1e4, waiting_clock(device, device.clock), listed) == PASS

    first, second = read_measurements(tmp_path / file_names.MEASUREMENTS)
    assert (first.figures, first.note) == ({}, "cannot run: not on this device")
    assert second.figures


def test_what_there_was_no_time_for_is_named(tmp_path, capsys):
    device = RecordedDevice()
    listed = [workload(f"init/{number}", device) for number in range(4)]

    assert device_timings.time_all(device, tmp_path, 5, waiting_clock(device, device.clock), listed) == NO_EVIDENCE

    measured = read_measurements(tmp_path / file_names.MEASUREMENTS)
    left_out = [found.name for found in measured if found.note == "left out for time"]
    assert [found.name for found in measured] == [workload.name for workload in listed]
    assert left_out == [workload.name for workload in listed][-len(left_out) :] != []
    assert f"note: {len(left_out)} workloads left out for time" in capsys.readouterr().out


def test_what_decides_a_gate_is_timed_first():
    names = [found.required for found in device_timings.asked()]

    assert names == sorted(names, reverse=True)
    assert {"init", "construct", "train"} <= {found.group for found in device_timings.asked()}


def test_events_count_what_the_device_does_between_them():
    device = RecordedDevice()

    assert timed_by_events(device.call, 3, device) == 3
    assert device.log == "fwxxxw"
    assert timed_by_events(device.call, 3, Cpu()) is None


# The processor, by the command line


def test_facts_are_a_line(capsys):
    assert measurement.main(["facts", "--device", "cpu"]) == PASS

    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith('facts: {"described": ')
    assert str(torch.__version__) in line


@pytest.mark.parametrize("what", ["facts", "sketch", "large", "timings"])
def test_a_device_that_is_not_there_has_no_evidence(capsys, what, tmp_path):
    assert measurement.main([what, "--device", "mps", "--into", str(tmp_path)]) == NO_EVIDENCE

    assert capsys.readouterr().err == f"torch {torch.__version__} finds no mps device here\n"


@pytest.mark.large_draws
@HEALTHY
@pytest.mark.parametrize("what", ["sketch", "large", "timings"])
def test_every_measurement_runs_on_the_processor(monkeypatch, tmp_path, what):
    monkeypatch.setattr(drawn_weights, "Bench", type("Known", (Bench,), {"limits": KnownLimits()}))
    monkeypatch.setattr(device_timings, "Limits", KnownLimits)
    monkeypatch.setattr(device_timings, "asked", partial(list, [CONTROL]))

    code = measurement.main([what, "--device", "cpu", "--into", str(tmp_path), "--seconds", "30", "--seed", "7"])

    assert code == PASS
    assert read_measurements(tmp_path / file_names.MEASUREMENTS)
