"""Plant every fault, run its suite on it by the real command line, and say which families saw it.

    python -m suites.machinery.faults.matrix [--only NAME ...] [--jobs N] [--json FILE]

Exits 0 if every fault was stopped by the families that should see it, and if each suite passes with nothing planted on
the subjects that faults are planted for; otherwise 1.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from fixtures.faults.registry import planted_faults
from fixtures.record.claim import Verdict
from fixtures.record.fault_outcomes import FaultOutcome, second_level, write_faults
from fixtures.record.file_names import CLAIMS
from fixtures.record.run_folder import read_claims
from fixtures.record.subject import seed_for
from suites.machinery.making import preloaded

FAULTS = planted_faults()
HEALTHY = {f"healthy-{Path(suite).name}": suite for suite in sorted({fault.suite for fault in FAULTS.values()})}
"""Runs with nothing planted, of each suite on all subjects that faults of it are planted for."""

ALL = [*HEALTHY, *FAULTS]
ENDED = len(" WRONG (exit 2)")


def run_suite(
    name: str, expected: tuple[str, ...], suite: str, options: tuple[str, ...], folder: Path, seed: int
) -> FaultOutcome:
    """Run a suite in a process of its own.

    Args:
        name: name of the fault.
        expected: families that must see it; none where nothing is planted.
        suite: folder of the suite.
        options: options of pytest that plant it and select subjects.
        folder: run folder to write.
        seed: the matrix's; each fault has its own from it.
    """
    started = time.perf_counter()
    without = ("-p", "no:cacheprovider", "-p", "no:benchmark")
    where = ("--run-dir", folder, "--seed", seed_for(seed, name))
    ended = preloaded.run("-m", "pytest", suite, "-q", *without, *where, *options)
    claims = read_claims(folder / CLAIMS).values() if (folder / CLAIMS).exists() else ()
    violated = Counter(claim.family for claim in claims if claim.verdict is Verdict.VIOLATED and claim.known is None)
    tail = tuple((ended.stdout + ended.stderr).splitlines()[-15:])
    seconds = round(time.perf_counter() - started, 1)
    return FaultOutcome(name, suite, expected, ended.returncode, dict(violated), seconds, tail)


def plant(name: str, folder: Path, seed: int) -> FaultOutcome:
    """Run the suite on one fault, or on torch itself."""
    if suite := HEALTHY.get(name):
        subjects = sorted({f"({fault.selection})" for fault in FAULTS.values() if fault.suite == suite})
        return run_suite(name, (), suite, ("-k", " or ".join(subjects)), folder, seed)
    fault = FAULTS[name]
    return run_suite(name, fault.families, fault.suite, fault.options(name), folder, seed)


def tables_of(outcomes: list[FaultOutcome], width: int) -> list[Table]:
    """A table for each suite, in the order of their first outcomes, for a window `width` columns wide."""
    return [
        table_of(suite, [outcome for outcome in outcomes if outcome.suite == suite], width)
        for suite in dict.fromkeys(outcome.suite for outcome in outcomes)
    ]


def table_of(suite: str, outcomes: list[FaultOutcome], width: int) -> Table:
    """Faults down, families of one suite across; in each place the number of violated claims."""
    families = sorted({second_level(family) for outcome in outcomes for family in (*outcome.seen, *outcome.expected)})
    longest = max(len(outcome.fault) for outcome in outcomes)
    # A narrow window takes four letters of a family (no two begin alike) and folds long names of faults.
    roomy = longest + sum(len(family) + 1 for family in families) + ENDED <= width
    table = Table(
        title=f"Who saw which fault in {suite} (violated claims; * where it had to be seen)",
        box=box.SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
    )
    table.add_column("fault", overflow="fold")
    for family in families:
        table.add_column(family if roomy else family[:4], justify="right", no_wrap=True)
    table.add_column("ended", no_wrap=True)
    for outcome in outcomes:
        counts = Counter[str]()
        for family, count in outcome.seen.items():
            counts[second_level(family)] += count
        expected = {second_level(family) for family in outcome.expected}
        cells = [f"{counts[family] or ''}{'*' if family in expected else ''}" for family in families]
        ended = "ok" if outcome.as_it_should else f"WRONG (exit {outcome.code})"
        table.add_row(outcome.fault, *cells, ended)
    return table


def main(arguments: list[str]) -> int:
    """Run all, print the matrix, write it down."""
    parser = argparse.ArgumentParser(prog="python -m suites.machinery.faults.matrix")
    parser.add_argument("--only", nargs="+", choices=ALL, metavar="NAME", help="these faults alone")
    parser.add_argument("--jobs", type=int, default=2, help="suites at a time (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of all draws (default: a fresh one)")
    parser.add_argument("--json", type=Path, help="write the matrix here")
    options = parser.parse_args(arguments)
    console = Console()
    names = options.only or ALL
    console.print(f"seed {options.seed}")
    outcomes = []
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(options.jobs) as pool:
        for outcome in pool.map(lambda name: plant(name, Path(scratch) / name, options.seed), names):
            outcomes.append(outcome)
            word = "ok" if outcome.as_it_should else "NOT STOPPED AS IT SHOULD"
            console.print(f"{len(outcomes)}/{len(names)} {outcome.fault}: {word} ({outcome.seconds} s)")
            if not outcome.as_it_should:
                console.print("\n".join(outcome.tail), markup=False)
    for table in tables_of(outcomes, console.width):
        console.print(table)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_faults(options.json, outcomes)
    return int(not all(outcome.as_it_should for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
