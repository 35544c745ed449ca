"""The run record while a suite runs: what was planned, what was found, and the verdict of one run.

Findings travel on pytest's test reports, so that they arrive once each with pytest-xdist and without it, and are on
disk as soon as they have arrived.
"""

from __future__ import annotations

import functools
import platform
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from fixtures.environments.processes import usable_cores
from fixtures.gate import whereabouts
from fixtures.gate.whereabouts import RUNNING
from fixtures.record import file_names, run_folder
from fixtures.record.claim import Claim, Verdict
from fixtures.record.environment import Environment
from fixtures.record.plan import Plan
from fixtures.record.schema import SCHEMA
from fixtures.record.subject import Subject
from fixtures.statistics import judgement
from fixtures.target.target import Target
from fixtures.weights.mistakes import interface_of
from fixtures.weights.sketch import SALT, SALTED, Sketch
from suites.framework.additions import brought_by
from suites.framework.settings import Settings

PARTS = "parts"


class Recorder:
    """Writes one run folder."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.claims: dict[str, Claim] = {}
        self.digests: dict[str, str] = {}
        self.skipped: Counter[str] = Counter()
        self._started = time.time()
        self._clock = time.perf_counter()

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.settings.run_dir

    def forget(self) -> None:
        """Remove what an earlier run left in the same folder: an answer must belong to its question.

        A plan that is handed in from the same folder stays: pytest-xdist's workers have yet to read it.
        """
        for name in file_names.RUN_FILES:
            if self.folder / name != self.settings.plan:
                (self.folder / name).unlink(missing_ok=True)
        for name in (PARTS, RUNNING):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def start(self) -> None:
        """Write the environment before the first answer, so that a crash leaves it."""
        (self.folder / PARTS).mkdir(exist_ok=True)
        self._write_environment()

    def describe(self, target: Target) -> None:
        """Write the interface of the target's functions: parameters, and answers to mistakes."""
        asking = self.folder / RUNNING / "interface"
        whereabouts.begin(asking, "how its functions answer to mistakes")
        run_folder.write_record(self.folder / file_names.INTERFACE, interface_of(target))
        whereabouts.end(asking)

    def add(self, lines: list[str]) -> None:
        """Add a test's findings, each a line of claims.jsonl."""
        with (self.folder / file_names.PARTIAL_CLAIMS).open("a", encoding="utf-8") as file:
            file.writelines(lines)
        for line in lines:
            claim: Claim = msgspec.json.decode(line, type=Claim)
            self.claims[claim.id] = claim

    def planned(self) -> tuple[str, ...]:
        """Identities of the claims that were going to be made."""
        plan = self.folder / file_names.PLAN
        return run_folder.read_record(plan, Plan).claims if plan.exists() else ()

    def unanswered(self) -> list[str]:
        """Planned claims without a finding."""
        return [name for name in self.planned() if name not in self.claims]

    def finish(self) -> None:
        """Close the record: sketches joined, digests written, times taken, and claims in their final file.

        The claims come last: a run that has them has ended, and lacks nothing that it found.
        """
        order = {name: place for place, name in enumerate(self.planned())}
        self._join_sketches()
        if self.digests:
            run_folder.write_digests(self.folder, dict(sorted(self.digests.items())))
        self._write_environment()
        run_folder.write_claims(self.folder, sorted(self.claims.values(), key=lambda claim: order.get(claim.id, -1)))
        run_folder.seal_run(self.folder)

    def _join_sketches(self) -> None:
        parts = sorted((self.folder / PARTS).glob("*.npz"))
        arrays: dict[str, np.ndarray] = {}
        for part in parts:
            with np.load(part, allow_pickle=False) as content:
                arrays.update(content)
        if arrays:
            run_folder.write_sketches(self.folder, arrays)
        shutil.rmtree(self.folder / PARTS)  # with what a worker that crashed left half-written

    def _write_environment(self) -> None:
        record = Environment(
            schema=SCHEMA,
            python=sys.version,
            packages=installed_packages(),
            torch=torch_facts(),
            machine=machine_facts(),
            options=self.settings.as_options(),
            started=datetime.fromtimestamp(self._started, UTC).isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - self._clock, 3),
            skipped=dict(self.skipped),
            added={requirement: brought_by(requirement) for requirement in self.settings.added},
        )
        run_folder.write_record(self.folder / file_names.ENVIRONMENT, record)

    def summary(self) -> Iterator[str]:
        """The run in a few lines."""
        verdicts = Counter(claim.verdict for claim in self.claims.values())
        yield ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in Verdict)
        statistical = sum(claim.p is not None for claim in self.claims.values())
        yield (
            f"false alarm with chance {judgement.false_alarm_rate(statistical):.1e} at most: {statistical} statistical "
            f"claims, {judgement.FALSE_ALARM_PER_CLAIM:.1e} each"
        )
        known = Counter(claim.known for claim in self.known_violations())
        for name, count in sorted(known.items(), key=str):
            yield f"known violation {name}: {count} claims"
        unanswered = self.unanswered()
        if unanswered:
            yield f"NO EVIDENCE: {len(unanswered)} planned claims without a finding, such as {unanswered[0]}"
        yield f"run: {self.folder}"

    def unknown_violations(self) -> list[Claim]:
        """Violated claims that no known violation covers: they stop."""
        return [claim for claim in self.claims.values() if claim.verdict is Verdict.VIOLATED and claim.known is None]

    def known_violations(self) -> list[Claim]:
        """Violated claims that are registered for this release: reported, and tolerated on one release."""
        return [claim for claim in self.claims.values() if claim.verdict is Verdict.VIOLATED and claim.known]


def keep_sketch(folder: Path, subject: Subject, sketch: Sketch, salted: Sketch, salt: int) -> None:
    """Leave a core subject's sketch for the recorder to join, from whichever process drew it.

    Args:
        folder: of the run.
        subject: whose weights they are.
        sketch: of the draws that the claims were read from.
        salted: of draws whose seed no other run shares.
        salt: from which that seed was made.
    """
    keep_arrays(folder, subject.key, sketch.arrays() | {SALTED: salted.counts, SALT: np.asarray(salt)})


def keep_arrays(folder: Path, name: str, arrays: dict[str, np.ndarray]) -> None:
    """Leave named arrays for the recorder to join, from whichever process made them; `name` is unique."""
    part = folder / PARTS / (re.sub(r"[^\w.-]", "_", name) + ".npz")
    temporary = part.with_suffix(".partial")
    with temporary.open("wb") as file:
        named: dict[str, Any] = {f"{name}/{key}": array for key, array in arrays.items()}
        np.savez_compressed(file, **named)
    temporary.replace(part)


@functools.cache
def installed_packages() -> dict[str, str]:
    """Versions of all installed distributions, by normalized name."""
    found = ((item.metadata["Name"], item.version) for item in metadata.distributions())
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in sorted(found, key=str) if name}


def torch_facts() -> dict[str, Any]:
    """Version, build, threads and precision of torch."""
    return {
        "version": str(torch.__version__),
        "git": getattr(torch.version, "git_version", None),
        "cuda": torch.version.cuda and str(torch.version.cuda),
        "config": torch.__config__.show(),
        "parallel": torch.__config__.parallel_info(),
        "threads": torch.get_num_threads(),
        "mkldnn": torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "tf32_matmul": torch.backends.cuda.matmul.allow_tf32,
        "tf32_cudnn": torch.backends.cudnn.allow_tf32,
    }


def machine_facts() -> dict[str, Any]:
    """Platform, processor and cores: whatever decides which kernels run."""
    return {
        "platform": platform.platform(),
        "cpu_flags": _cpu_line("flags"),
        "cpu": _cpu_line("model name"),
        "cores": len(usable_cores()),
    }


def _cpu_line(name: str) -> str:
    """A line of Linux's /proc/cpuinfo; empty elsewhere."""
    source = Path("/proc/cpuinfo")
    if not source.exists():
        return ""
    lines = (line.partition(":") for line in source.read_text(encoding="utf-8", errors="replace").splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")
