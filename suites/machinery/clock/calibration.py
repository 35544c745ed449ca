"""The calibration of the paired clock and its alternatives, where the truth is known; runs are appended to a file.

    nox -s calibrate -- [--part PART ...] [--runs N] [--file FILE] [--clock-limit FIRST[,LAST]]
                          [--workloads PATTERN ...] [--only PATTERN]

Parts: `same` (one torch on both sides), `planted` (the same, but 20 or 30 % of the candidate's calls of nine workloads
are done again), `margin` (5 or 10 % of them), `alone` (one workload a session, drawn among the nine, with 20 % or 30 %:
what is left of a session once all others are fine; give it the seconds that they leave), `releases` (two pairs of real
ones), `benchmark` (pytest-benchmark twice in a row, compared at mean:10 %), `pyperf` (the same with pyperf).
Without a part, or when all runs are there, the table of whatever the file has is printed. Stop it when you like: it
goes on where the file ends.
"""

from __future__ import annotations

import argparse
import fnmatch
import itertools
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from fixtures.clock.estimate import fewest_restarts, half_width
from fixtures.clock.restart import CONTROL
from fixtures.clock.session import MOST_LANES, Asked, Session
from fixtures.clock.slow_downs import PLANTED, asked_for, slowed
from fixtures.clock.table import folded
from fixtures.clock.verdict import guards_of, judged, workloads_of
from fixtures.clock.workers import Side, Worker, WorkerFailed
from fixtures.record.choices import TIERS
from fixtures.record.file_names import ROOT
from fixtures.record.time_limits import Limits, parse_limits
from fixtures.rules.policy import default_policy

FILE = ROOT / "reports" / "runs" / "clock-calibration.jsonl"

PARTS = ("same", "planted", "margin", "alone", "releases", "benchmark", "pyperf")

LIMITS = Limits(150, 300)
"""Seconds of a session: a gate's."""

SHARES = {"planted": (Fraction(1, 5), Fraction(3, 10)), "margin": (Fraction(1, 20), Fraction(1, 10))}
"""Part -> shares of the work that are done again: 10 and 20 % beyond the margin; half of it, and all of it."""

PLANTED_IN = (
    "init/kaiming_normal_/1024x1024/float32",
    "init/kaiming_normal_/1024x1024/bfloat16",
    "init/kaiming_uniform_/1024x1024/float32",
    "init/kaiming_uniform_/1024x1024/bfloat16",
    "init/xavier_normal_/1024x1024/float32",
    "init/kaiming_normal_/512x512x3x3/float32",
    "init/orthogonal_/256x256/float32",
    "train/tutorial/step/adam/float32",
    "train/tutorial/step/adam/bfloat16",
)
"""Of the workloads that a gate requires with a margin of 10 %, those with the shortest calls: to do a part of them
again takes a slice of several. Five of them, drawn in each session, have the first share, and the others the second."""


RELEASES = (("2.6.0", "2.13.0"), ("2.13.0", "2.14.1"))
SAME = "2.13.0"

MOVED_BY_RELEASES = {
    ("2.6.0", "2.13.0", "init/trunc_normal_/1024x1024/float32"): "regressed",
    ("2.6.0", "2.13.0", "init/kaiming_normal_/1024x1024/bfloat16"): "improved",
}
"""pytorch issue 182116, and the vectorized normal of half types."""

ALARM_RATIO = 1.10
"""What --benchmark-compare-fail=mean:10% and `pyperf compare_to --min-speed 10` call slower."""

PYPERF = {
    "kaiming_normal_": ("w = torch.empty(1024, 1024)", "torch.nn.init.kaiming_normal_(w)"),
    "orthogonal_": ("w = torch.empty(256, 256)", "torch.nn.init.orthogonal_(w)"),
    "linear": ("m = torch.nn.Linear(784, 256); x = torch.randn(64, 784)", "m(x).sum().backward()"),
}


@dataclass(frozen=True)
class Options:
    """The command line, read.

    Attributes:
        only: pattern of the cases to run, such as '2.6.0*'.
        patterns: of the required workloads to ask for, but in `benchmark` and `pyperf`; none: all.
        pythons: release -> an interpreter that has it.
    """

    parts: tuple[str, ...]
    runs: int
    file: Path
    limits: Limits
    only: str
    patterns: tuple[str, ...]
    pythons: dict[str, str]


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for, then print the table; exit code 0, or 2 where a run failed."""
    options = _options(arguments)
    failed = False
    for part in options.parts:
        for name, run in RUNS[part](options):
            if not fnmatch.fnmatch(name, options.only):
                continue
            while (done := sum(one["name"] == name for one in records(options.file, part))) < options.runs:
                before, load = time.monotonic(), os.getloadavg()[0]
                try:
                    found = run()
                except (WorkerFailed, subprocess.SubprocessError, OSError) as error:
                    print(f"{part} {name}: {error}", file=sys.stderr)
                    failed = True
                    break
                record = {"part": part, "name": name, "load": load, "seconds": round(time.monotonic() - before, 1)}
                _append(options.file, record | found)
                print(f"{part} {name}: {done + 1} of {options.runs}, {record['seconds']:g} s", flush=True)
    for table in tables(options.file):
        Console().print(table)
    return 2 if failed else 0


def records(file: Path, part: str) -> list[dict[str, Any]]:
    """Runs of one part; a line that was cut off is none."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record["part"] == part:
            found.append(record)
    return found


def required(side: Side, patterns: Sequence[str]) -> list[Asked]:
    """The required workloads that any of these patterns matches, as a gate of the quick tier asks for them.

    Raises:
        WorkerFailed: a worker died, hangs or answers nonsense.
    """
    with Worker(side, "cpu") as scout:
        scout.greet()
        known = [name for name, needed, tier in scout.workloads() if needed and tier == TIERS[0] and name != CONTROL]
    names = [name for name in known if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    return [Asked(name, required=True, margin=default_policy().speed.margin_of(name)) for name in names]


def session(baseline: Side, candidate: Side, asked: Sequence[Asked], limits: Limits) -> dict[str, Any]:
    """A session of the clock, as the gate holds it.

    Args:
        baseline, candidate: interpreters with torch.
        asked: workloads.
        limits: seconds.

    Raises:
        WorkerFailed: a worker died, hangs or answers nonsense.
    """
    held = Session(
        baseline,
        candidate,
        asked,
        device="cpu",
        seed=random.randrange(2**32),
        deadline=time.monotonic() + limits.first,
        lanes=MOST_LANES,
    )
    held.run(limits.extension)
    timed, guards = workloads_of(held), guards_of(held)
    verdict, reason = judged(timed, guards)
    return {
        "verdict": verdict,
        "reason": reason,
        "restarts": held.restarts,
        "extended": held.extended,
        "workloads": msgspec.to_builtins(timed),
        "palindromes": {one.name: held.collected[one.name].palindromes for one in timed},
        "guards": msgspec.to_builtins(guards),
        "control": held.collected[CONTROL].log_ratios,
    }


Run = tuple[str, Callable[[], dict[str, Any]]]
"""Its name and what does it once."""


def _same(options: Options) -> Iterator[Run]:
    yield SAME, lambda: _gated(options, SAME, SAME)


def _planted(options: Options, shares: Sequence[Fraction]) -> Iterator[Run]:
    def run() -> dict[str, Any]:
        drawn = random.sample(PLANTED_IN, len(PLANTED_IN))
        return _slowed(options, dict(zip(drawn, itertools.cycle(shares), strict=False)), options.patterns)

    yield SAME, run


def _alone(options: Options) -> Iterator[Run]:
    def run(share: Fraction) -> dict[str, Any]:
        name = random.choice(PLANTED_IN)
        return _slowed(options, {name: share}, [name])

    for share in SHARES["planted"]:
        yield f"{SAME} x {float(1 + share):g}", partial(run, share)


def _slowed(options: Options, share_of: dict[str, Fraction], patterns: Sequence[str]) -> dict[str, Any]:
    """A session of the same torch, whose candidate does a share of some workloads again.

    Args:
        options: of the command.
        share_of: workload -> that share.
        patterns: of the required workloads.
    """
    baseline, candidate = _side("baseline", options, SAME), _side("candidate", options, SAME, {PLANTED: "1"})
    asked = [
        Asked(slowed(one.name, float(1 + share)), required=True, multiple_of=share.denominator)
        if (share := share_of.get(one.name))
        else one
        for one in required(baseline, patterns)
    ]
    return session(baseline, candidate, asked, options.limits)


def _releases(options: Options) -> Iterator[Run]:
    for old, new in RELEASES:
        yield f"{old} -> {new}", partial(_gated, options, old, new)


def _gated(options: Options, old: str, new: str) -> dict[str, Any]:
    baseline, candidate = _side("baseline", options, old), _side("candidate", options, new)
    return session(baseline, candidate, required(baseline, options.patterns), options.limits)


def _benchmark(options: Options) -> Iterator[Run]:
    def run() -> dict[str, Any]:
        first, second = _benchmark_means(options), _benchmark_means(options)
        return {"ratios": {name: second[name] / first[name] for name in first}}

    yield "pytest-benchmark", run


def _benchmark_means(options: Options) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "benchmark.json"
        chosen = ["-k", "test_init and 1024x1024 and float32 and not transposed", "--device", "cpu"]
        command = [options.pythons[SAME], "-m", "pytest", "suites/timings", "-q", "-p", "no:cacheprovider", *chosen]
        limits = ["--benchmark-max-time", "0.5", "--benchmark-json", str(saved), "--run-dir", str(Path(folder) / "run")]
        _quietly([*command, *limits])
        means = json.loads(saved.read_text(encoding="utf-8"))["benchmarks"]
    return {one["name"]: one["stats"]["mean"] for one in means}


def _pyperf(options: Options) -> Iterator[Run]:
    def run() -> dict[str, Any]:
        alarms = {}
        with tempfile.TemporaryDirectory() as folder:
            for name, (setup, statement) in PYPERF.items():
                saved = [str(Path(folder) / f"{name}-{number}.json") for number in (1, 2)]
                for file in saved:
                    setups = ["-s", "import torch; torch.set_num_threads(1)", "-s", setup]
                    timeit = [options.pythons[SAME], "-m", "pyperf", "timeit", "-q", "-p", "5", "-o", file]
                    _quietly([*timeit, *setups, statement])
                said = _quietly([options.pythons[SAME], "-m", "pyperf", "compare_to", *saved, "--min-speed", "10"])
                alarms[name] = "faster" in said or "slower" in said
        return {"alarms": alarms}

    yield "pyperf", run


RUNS: dict[str, Callable[[Options], Iterator[Run]]] = {
    "same": _same,
    **{part: partial(_planted, shares=shares) for part, shares in SHARES.items()},
    "alone": _alone,
    "releases": _releases,
    "benchmark": _benchmark,
    "pyperf": _pyperf,
}


def tables(file: Path) -> Iterator[Table]:
    """All that can be said of what the file has."""
    if same := records(file, "same"):
        yield _table_of_same(same)
        yield _table_of_workloads(same)
    if planted := [run for part in SHARES for run in records(file, part)]:
        yield _table_of_planted(planted)
    if alone := records(file, "alone"):
        yield _table_of_planted(alone, "One workload that was slowed down")
    if releases := records(file, "releases"):
        yield _table_of_releases(releases)
    alternatives = [(part, one) for part in ("benchmark", "pyperf") for one in records(file, part)]
    if alternatives:
        yield _table_of_alternatives(alternatives)


NAME = 28
"""Columns of a workload's name: the tables then fit 80."""


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _table_of_same(runs: Sequence[dict[str, Any]]) -> Table:
    table = _table("The same torch on both sides", "", "of", "count")
    verdicts = Counter(run["verdict"] for run in runs)
    for verdict in ("pass", "no evidence", "stop"):
        table.add_row(verdict, str(len(runs)), str(verdicts[verdict]))
    each = [workload for run in runs for workload in run["workloads"]]
    outcomes = Counter(workload["outcome"] for workload in each)
    for outcome, count in sorted(outcomes.items()):
        table.add_row(f"workload {outcome}", str(len(each)), str(count))
    table.add_row("interval misses 1", str(len(each)), str(sum(not _covers(one, 1.0) for one in each)))
    screened, sets = exchanged_alarms(runs)
    table.add_row("sets of exchanged roles with an alarm", str(sets), str(screened))
    return table


EXCHANGED_SETS = 2000


EXCHANGED_RESTARTS = 20
"""Of a set: what a session makes of a workload that is slow to decide."""


def exchanged_alarms(runs: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """False regressions after any of the restarts drawn from all of a workload's, roles exchanged; and sets.

    On the same torch the three workers of a restart are alike, and any of them might have been the candidate's. Their
    log times beside their mean follow from a restart's two contrasts. A workload's restarts of all runs are pooled, so
    that a run whose restarts agreed by chance, or erred together, is taken apart.
    """
    pooled: dict[str, list[tuple[float, float]]] = {}
    for run in runs:
        for workload in run["workloads"]:
            both = zip(workload["log_ratios"], workload["repeat_log_ratios"], strict=True)
            pooled.setdefault(workload["name"], []).extend(both)
    known = {name: values for name, values in pooled.items() if len(values) >= EXCHANGED_RESTARTS}
    chance = np.random.default_rng(0)
    alarmed = np.zeros(EXCHANGED_SETS, dtype=bool)
    for name, values in known.items():
        ratio, repeat = np.transpose(values)
        roles = np.array([2 * ratio / 3, -ratio / 3 - repeat / 2, -ratio / 3 + repeat / 2])
        restarts = chance.permuted(np.tile(np.arange(len(values)), (EXCHANGED_SETS, 1)), axis=1)[:, :EXCHANGED_RESTARTS]
        # Beside the mean of the three, a role stands two thirds as high as beside that of the other two.
        drawn = 1.5 * roles[chance.integers(3, size=restarts.shape), restarts]
        alarmed |= _regressed(drawn, len(known), default_policy().speed.margin_of(name))
    return int(alarmed.sum()), EXCHANGED_SETS if known else 0


def _regressed(log_ratios: np.ndarray[Any, Any], workloads: int, margin: float) -> np.ndarray[Any, Any]:
    """Test of each set [sets, restarts] whether it has regressed after any of its restarts."""
    found = np.zeros(len(log_ratios), dtype=bool)
    for restarts in range(fewest_restarts(workloads), log_ratios.shape[1] + 1):
        some = log_ratios[:, :restarts]
        low = some.mean(1) - half_width(1.0, restarts, workloads) * some.std(1, ddof=1)
        found |= low > math.log1p(margin)
    return found


def _table_of_workloads(runs: Sequence[dict[str, Any]]) -> Table:
    table = _table("Workload by workload", "workload", "n", "sd", "beside itself", "in a restart", "decided")
    by_name: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        for workload in run["workloads"]:
            by_name.setdefault(workload["name"], []).append(workload)
    for name, found in by_name.items():
        ratios, repeats = (
            list(itertools.chain(*(one[key] for one in found))) for key in ("log_ratios", "repeat_log_ratios")
        )
        decided = sum(one["outcome"] == "fine" for one in found)
        within = _spread_within([restart for run in runs for restart in run.get("palindromes", {}).get(name, [])])
        spreads = (_spread(ratios), _spread(repeats), within)
        table.add_row(folded(name, NAME), str(len(ratios)), *spreads, f"{decided} of {len(found)}")
    return table


def _spread_within(restarts: Sequence[Sequence[float]]) -> str:
    """Standard deviation of the palindromes of one restart, pooled; empty where none had more than one."""
    several = [restart for restart in restarts if len(restart) > 1]
    squares = sum((len(restart) - 1) * statistics.variance(restart) for restart in several)
    degrees = sum(len(restart) - 1 for restart in several)
    return f"{100 * math.sqrt(squares / degrees):.1f} %" if several else ""


def _spread(values: Sequence[float]) -> str:
    """Root mean square, since the truth is zero."""
    return f"{100 * math.sqrt(statistics.fmean(one * one for one in values)):.1f} %" if values else ""


def _covers(workload: dict[str, Any], truth: float) -> bool:
    return workload["low"] is None or workload["low"] <= truth <= workload["high"]


def _table_of_planted(runs: Sequence[dict[str, Any]], title: str = "Planted slow-downs") -> Table:
    table = _table(title, "workload", "truth", "runs", "stopped", "fine", "covered", "median", "sd")
    by_case: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for run in runs:
        for workload in run["workloads"]:
            by_case.setdefault(asked_for(workload["name"]), []).append(workload)
    for (name, truth), found in sorted(by_case.items()):
        outcomes = Counter(workload["outcome"] for workload in found)
        known = [one for one in found if one["ratio"] is not None]
        covered = sum(_covers(one, truth) for one in known)
        middle = f"{statistics.median(one['ratio'] for one in known):.3f}" if known else ""
        sd = f"{100 * statistics.median(one['sd'] for one in known):.1f} %" if known else ""
        counts = [str(len(found)), str(outcomes["regressed"]), str(outcomes["fine"]), f"{covered} of {len(known)}"]
        table.add_row(folded(name, NAME), f"{truth:g}", *counts, middle, sd)
    return table


def _table_of_releases(runs: Sequence[dict[str, Any]]) -> Table:
    table = _table("Real releases, the last run of each pair", "workload", "releases", "ratio", "interval", "outcome")
    for name in dict.fromkeys(run["name"] for run in runs):
        run = [run for run in runs if run["name"] == name][-1]
        for workload in run["workloads"]:
            interval = f"{workload['low']:.2f} to {workload['high']:.2f}" if workload["ratio"] else ""
            ratio = f"{workload['ratio']:.3f}" if workload["ratio"] else ""
            expected = MOVED_BY_RELEASES.get((*name.split(" -> "), workload["name"]))
            outcome = workload["outcome"] + (" (known)" if expected == workload["outcome"] else "")
            table.add_row(folded(workload["name"], NAME), name, ratio, interval, outcome)
        table.add_row("verdict", name, "", f"{run['seconds']:g} s", run["verdict"])
    return table


def _table_of_alternatives(runs: Sequence[tuple[str, dict[str, Any]]]) -> Table:
    table = _table("Two consecutive runs on the same torch", "tool", "pairs", "with an alarm")
    for part in dict.fromkeys(part for part, _ in runs):
        found = [run for one, run in runs if one == part]
        table.add_row(found[0]["name"], str(len(found)), str(sum(map(_alarmed, found))))
    return table


def _alarmed(run: dict[str, Any]) -> bool:
    """Test whether any benchmark of the pair is called different; mean:10 % looks at what has become slower alone."""
    if "ratios" in run:
        return any(ratio > ALARM_RATIO for ratio in run["ratios"].values())
    return any(run["alarms"].values())


def _side(name: str, options: Options, release: str, more: dict[str, str] | None = None) -> Side:
    if release not in options.pythons:
        raise SystemExit(f"error: no --python {release}=PATH")
    return Side(name, (options.pythons[release],), os.environ | (more or {}))


def _quietly(command: Sequence[str]) -> str:
    """Standard output of a command.

    Raises:
        subprocess.SubprocessError: it failed.
    """
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise subprocess.SubprocessError(f"{command[2]} failed: {(ended.stderr or ended.stdout).strip()[-300:]}")
    return ended.stdout


def _append(file: Path, record: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as runs:
        runs.write(json.dumps(record) + "\n")


def _options(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="nox -s calibrate --", allow_abbrev=False, description="Calibrate the clock.")
    parser.add_argument("--part", action="append", choices=PARTS, default=[], help="what to run (may be repeated)")
    parser.add_argument("--runs", type=int, default=1, help="of each case that the file is to have in the end")
    parser.add_argument("--file", type=Path, default=FILE, help="where runs are appended")
    parser.add_argument("--clock-limit", type=parse_limits, default=LIMITS, help="of a session, such as 150,300")
    parser.add_argument("--python", action="append", default=[], metavar="RELEASE=PATH", help="an interpreter with it")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="of the cases' names, such as '2.6.0*'")
    parser.add_argument("--workloads", action="append", metavar="PATTERN", help="of the required ones (default: all)")
    given = parser.parse_args(arguments)
    pythons = dict(one.split("=", 1) for one in given.python)
    patterns = tuple(given.workloads or ["*"])
    return Options(tuple(given.part), given.runs, given.file, given.clock_limit, given.only, patterns, pythons)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
