"""Weights drawn and judged on a device, with the rates of both: many tensors, or one that no 32-bit index reaches.

Claims are those of suites/weights, of subjects that lie on the device; their run folder is like any other. The number
of draws follows from the time: a few tensors tell the rate first.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from fixtures.record import file_names, run_folder
from fixtures.record.choices import Tier
from fixtures.record.claim import claim_id
from fixtures.record.exit_codes import NO_EVIDENCE, PASS, STOP
from fixtures.record.plan import Case, Plan
from fixtures.record.question import Question
from fixtures.record.schema import SCHEMA
from fixtures.record.session import Measurement, append_measurements
from fixtures.record.subject import Subject
from fixtures.rules.known_violations import KNOWN_VIOLATIONS, read_known
from fixtures.statistics.judgement import DEVIATES
from fixtures.statistics.laws import promised_law
from fixtures.target.device import Clock, Device, waiting_clock
from fixtures.target.target import load_target
from fixtures.weights.device_sketcher import DeviceSketcher
from fixtures.weights.draws import empty, initialize
from fixtures.weights.law_questions import law_questions
from fixtures.weights.sketch import Sketch
from suites.framework.findings import Findings
from suites.framework.recorder import Recorder
from suites.framework.settings import DEFAULT_FALSE_ALARM_RATE, Settings
from suites.timings.limits import Limits

FAMILY = "accelerator.weights"
"""Of the cases; the claims have the families of suites/weights."""

SQUARE = (4096, 4096)
"""Shape of the tensors of which many are drawn: 2^24 weights, so that launches do not count."""

COLUMNS = 1 << 16
ROWS = (1 << 15) + 1
"""Of the one large tensor: 2^31 + 2^16 weights, more than a signed 32-bit index reaches."""

PROBED_ROWS = 256

MOST_DRAWS = 10**10

PROBES = 2
"""Tensors that tell the rate: the first one pays for what is compiled, chosen and allocated only once."""

DRAWN = 0.7
"""Share of the time that is drawn in; the rest is for a slower moment, for reading sketches and the memory's limit."""

TARGET = "torch.nn.init"


@dataclass
class Rates:
    """Seconds that drawing and verifying took, and the weights."""

    draws: int = 0
    drawing: float = 0.0
    verifying: float = 0.0

    @property
    def seconds(self) -> float:
        """Both, of one weight."""
        return (self.drawing + self.verifying) / max(1, self.draws)


@dataclass
class Bench:
    """A device with its clock.

    Attributes:
        device: where weights are drawn and judged.
        read: its clock, which waits for all work that was begun.
        limits: of the device's memory.
    """

    device: Device
    read: Clock
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, device: Device) -> Bench:
        """A device with the usual clock."""
        return cls(device, waiting_clock(device))

    def sketch(self, subject: Subject, draws: int, seed: int, rates: Rates) -> Sketch:
        """Sketch of at least `draws` weights, drawn and looked at tensor by tensor.

        Args:
            subject: whose weights are drawn.
            draws: number of weights; the last tensor is drawn whole.
            seed: of the default generators.
            rates: takes the seconds.
        """
        torch.manual_seed(seed)
        target = load_target(TARGET)
        sketcher = DeviceSketcher(subject.dtype, subject.shape, promised_law(subject).median_size)
        weight = empty(subject)
        for _ in range(-(-draws // subject.numel)):
            weight.fill_(torch.nan)
            started = self.read()
            with torch.no_grad():
                initialize(weight, subject, target)
            drawn = self.read()
            sketcher.add(weight)
            rates.drawing += drawn - started
            rates.verifying += self.read() - drawn
            rates.draws += subject.numel
        return sketcher.finish()

    def measurement(self, subject: Subject, rates: Rates) -> Measurement:
        """Rates in figures, beside what the memory can do at most."""
        size = torch.empty(0, dtype=getattr(torch, subject.dtype)).element_size()
        drawn, verified = (
            rates.draws * size / max(seconds, 1e-9) / 1e9 for seconds in (rates.drawing, rates.verifying)
        )
        limit = self.limits.of("copy", "float32", self.device) / 1e9
        figures = {
            "draws": float(rates.draws),
            "draw GB/s": drawn,
            "verify GB/s": verified,
            "verify / draw": rates.verifying / max(rates.drawing, 1e-9),
            "memory GB/s": limit,
            "draw of memory": drawn / limit,
        }
        return Measurement(subject.key, {name: float(f"{value:.4g}") for name, value in figures.items()})


def sketched(device: Device, into: Path, seconds: float, seed: int, bench: Bench | None = None) -> int:
    """Judge many draws of Kaiming's initializers; returns the exit status.

    Args:
        device: where they are drawn and judged.
        into: run folder.
        seconds: to be used.
        seed: of the run.
        bench: another clock than the usual one.
    """
    bench = bench or Bench.of(device)
    subjects = [
        Subject(initializer, SQUARE, dtype, nonlinearity="relu", device=device.name)
        for dtype in ("float32", "bfloat16")
        for initializer in ("kaiming_normal_", "kaiming_uniform_")
    ]
    started = bench.read()
    probed = [_probed(bench, subject, seed) for subject in subjects]
    left = DRAWN * max(0.0, seconds - (bench.read() - started)) / len(subjects)
    draws = [
        min(MOST_DRAWS, max(subject.numel, int(left / rate))) for subject, rate in zip(subjects, probed, strict=True)
    ]
    return _judged(bench, subjects, draws, into, seed)


def large(device: Device, into: Path, seconds: float, seed: int, bench: Bench | None = None) -> int:
    """Judge one tensor of more than 2^31 weights; fewer where memory or time do not allow it, which is no evidence.

    Args:
        device: where it is drawn and judged.
        into: run folder.
        seconds: to be used.
        seed: of the run.
        bench: another clock than the usual one.
    """
    bench = bench or Bench.of(device)
    reasons = []
    for dtype in ("float32", "bfloat16"):
        subject = Subject("kaiming_normal_", (ROWS, COLUMNS), dtype, nonlinearity="relu", device=device.name)
        started = bench.read()
        probe = Subject("kaiming_normal_", (PROBED_ROWS, COLUMNS), dtype, nonlinearity="relu", device=device.name)
        needed = subject.numel * _probed(bench, probe, seed)
        seconds -= bench.read() - started
        free, bytes_needed = device.free_bytes(), subject.numel * (2 + getattr(torch, dtype).itemsize)
        if free is not None and bytes_needed > FREE * free:
            reasons.append(f"{dtype} takes {bytes_needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free")
        elif needed > seconds:
            reasons.append(f"{dtype} takes {needed:.0f} s, {seconds:.0f} s are left")
        else:
            return _judged(bench, [subject], [subject.numel], into, seed)
    print(f"note: {subject.numel:,} weights in one tensor: {'; '.join(reasons)}", flush=True)
    return NO_EVIDENCE


FREE = 0.8
"""Share of the free memory that a tensor and its bits may take; the rest is for chunks, and for others."""


def _probed(bench: Bench, subject: Subject, seed: int) -> float:
    """Seconds of a weight, drawn and judged."""
    for _ in range(PROBES):
        rates = Rates()
        bench.sketch(subject, subject.numel, seed, rates)
    return rates.seconds


def _tier(resolution: float) -> Tier:
    """The tier whose core subjects resolve no less (suites/weights/test_law.py)."""
    if resolution <= 0.00005:
        return "soak"
    return "full" if resolution <= 0.0005 else "quick"


def _judged(bench: Bench, subjects: Sequence[Subject], draws: Sequence[int], into: Path, seed: int) -> int:
    """Draw, judge and record, one subject after the other, and its rates as soon as they are known."""
    asked = list(_cases(subjects, draws))
    resolution = max(case.resolution for case, _ in asked)
    settings = _settings(bench.device.name, into, seed, _tier(resolution))
    recorder = Recorder(settings)
    into.mkdir(parents=True, exist_ok=True)
    findings = [_findings(case, questions, settings) for case, questions in asked]
    plan = Plan(
        schema=SCHEMA,
        seed=seed,
        tier=settings.tier,
        devices=settings.devices,
        target=settings.target,
        false_alarm_rate=settings.false_alarm_rate,
        cases=tuple(case for case, _ in asked),
        claims=tuple(claim_id(q.family, case.subject) for case, questions in asked for q in questions),
        selection=settings.selection,
    )
    run_folder.write_record(into / file_names.PLAN, plan)
    recorder.start()
    for found in findings:
        found.judge(_gathered(bench, found.case.subject, into))
        recorder.add([run_folder.claim_line(claim).decode() for claim in found.finished()])
    recorder.finish()
    for line in recorder.summary():
        print(line)
    if recorder.unknown_violations():
        return STOP
    return NO_EVIDENCE if recorder.unanswered() else PASS


def _gathered(bench: Bench, subject: Subject, into: Path) -> Callable[[int, int], Sketch]:
    def gather(draws: int, seed: int) -> Sketch:
        rates = Rates()
        sketch = bench.sketch(subject, draws, seed, rates)
        append_measurements(into, [bench.measurement(subject, rates)])
        return sketch

    return gather


def _cases(subjects: Sequence[Subject], draws: Sequence[int]) -> Iterator[tuple[Case, tuple[Question[Sketch], ...]]]:
    for subject, number in zip(subjects, draws, strict=True):
        resolution = DEVIATES / (2 * number) ** 0.5
        yield Case(family=FAMILY, subject=subject, draws=number, resolution=resolution), law_questions(subject)


def _settings(device: str, into: Path, seed: int, tier: Tier) -> Settings:
    return Settings(
        tier=tier,
        seed=seed,
        salt=secrets.randbits(32),
        devices=(device,),
        absent_devices={},
        run_dir=into,
        false_alarm_rate=DEFAULT_FALSE_ALARM_RATE,
        target=TARGET,
        fault=None,
        plan=None,
        selection="",
    )


def _findings(case: Case, questions: tuple[Question[Sketch], ...], settings: Settings) -> Findings:
    return Findings(
        case=case,
        questions=questions,
        run_seed=settings.seed,
        torch_version=str(torch.__version__),
        known=tuple(read_known(KNOWN_VIOLATIONS)),
        rerun="",
    )
