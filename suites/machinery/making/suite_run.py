"""A suite run in this process as by its command line: importing torch once more takes longer than many a suite."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.record import file_names, run_folder
from fixtures.record.claim import Claim, Verdict
from suites.machinery.chance import fresh_seed
from suites.machinery.proofs import noted

PLUGINS = ("cacheprovider", "benchmark", "unraisableexception")
"""Left out: one writes, one asks git eight times, and one collects all garbage of this process at the end."""


def run_in_process(suite: str, folder: Path, *options: str) -> int:
    """Run a suite into a run folder, on draws from the seed of the test that runs; returns its exit code."""
    without = (word for plugin in PLUGINS for word in ("-p", f"no:{plugin}"))
    return int(pytest.main([suite, "-q", *without, "--seed", str(fresh_seed()), "--run-dir", str(folder), *options]))


def violated_in(suite: str, folder: Path, *options: str) -> tuple[int, list[Claim]]:
    """Run a suite into a run folder; returns its exit code and its violated claims."""
    code = run_in_process(suite, folder, *options)
    claims = run_folder.read_claims(folder / file_names.CLAIMS).values()
    return code, [claim for claim in map(noted, claims) if claim.verdict is Verdict.VIOLATED]


def given(**options: object) -> Any:
    """pytest's configuration with these options: run_dir for --run-dir."""
    values = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    return SimpleNamespace(getoption=lambda name, default=None: values.get(name, default))
