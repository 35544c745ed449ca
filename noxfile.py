"""Sessions of Kaiming Gate; `nox -l` lists them.

None has a venv of nox's own: sessions share environments, and `gate` needs nox to leave its exit status alone.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import nox

if sys.version_info < (3, 11):  # noqa: UP036 - requires-python binds only what is installed, and this never is
    print(f"gate: Python 3.11 or newer is needed, and nox runs on {sys.version.split()[0]}", file=sys.stderr)
    sys.exit(2)

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from fixtures.environments.environment import Environment, Environments  # noqa: E402
from fixtures.environments.failures import Unusable  # noqa: E402
from fixtures.environments.sides import Framework, SideError, parse_candidate, pinned  # noqa: E402
from fixtures.gate.command import ASKED, environments_of, run_gate  # noqa: E402 - found only after the line above
from fixtures.gate.options import TIMEOUT_SECONDS  # noqa: E402
from fixtures.gate.suite_run import new_run_folder, run_suite  # noqa: E402
from fixtures.history.command import run_history  # noqa: E402
from fixtures.record.file_names import FAULTS, RUNS  # noqa: E402

ENVIRONMENTS = environments_of(ROOT)
PROJECT = ENVIRONMENTS.project

SCHEMA_OF_WORKFLOWS = ("--builtin-schema", "vendor.github-workflows")
AUDIT_OF_WORKFLOWS = ("--offline", "--quiet")
"""Both ask no network: schema and audits come with the tools."""

SPELLING = ("codespell_lib", ".")
"""Files and accepted words: pyproject.toml."""

SHARED_OUT = ("-n", "auto", "--dist", "worksteal")
"""Workers begin with neighbouring tests, which share what their module draws once."""

FAST = "not (subprocess or pip or browser or large_draws or sessions or pages or run_folders or inner_pytest)"
"""Tests without any of the marks of what makes a test slow (pyproject.toml)."""

nox.options.sessions = ["lint", "types", "tests"]


@nox.session(venv_backend="none")
def gate(session: nox.Session) -> None:
    """Judge a candidate torch against a baseline: nox -s gate -- --baseline 2.13.0 --candidate 2.14.1."""
    sys.exit(run_gate(session.posargs, root=ROOT, base=Path(session.invoked_from)))


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run the project's own tests: that the instrument sees what it must and nothing else."""
    with _held(session, "machinery", pinned(PROJECT.baseline)) as environment:
        _run(session, environment, "pytest", "suites/machinery", *SHARED_OUT, *session.posargs)


@nox.session(venv_backend="none")
def minimums(session: nox.Session) -> None:
    """Run the project's own tests with the oldest version of everything but torch that pyproject.toml allows."""
    oldest = dataclasses.replace(ENVIRONMENTS, project=PROJECT.at_minimums())
    with _held(session, "machinery", pinned(PROJECT.baseline), oldest) as environment:
        _run(session, environment, "pytest", "suites/machinery", "-n", "auto", *session.posargs)


@nox.session(venv_backend="none")
def check(session: nox.Session) -> None:
    """Run what a contributor runs before each push: lint, types and the tests that are not marked slow."""
    lint(session)
    types(session)
    with _held(session, "machinery", pinned(PROJECT.baseline)) as environment:
        _run(session, environment, "pytest", "suites/machinery", *SHARED_OUT, "-m", FAST, *session.posargs)


@nox.session(venv_backend="none")
def fuzz(session: nox.Session) -> None:
    """Search anew for what the tests' examples leave out, and for longer; what is found belongs into an @example."""
    with _held(session, "machinery", pinned(PROJECT.baseline)) as environment:
        searching = ("-m", "hypothesis", "--hypothesis-profile", "fuzz", "--hypothesis-show-statistics")
        _run(session, environment, "pytest", "suites/machinery", *SHARED_OUT, *searching, *session.posargs)


@nox.session(venv_backend="none")
@nox.parametrize("torch", PROJECT.releases)
def suites(session: nox.Session, torch: str) -> None:
    """Run the suites on one supported torch release; violations known of it are reported and tolerated."""
    with _held(session, "suites", pinned(torch)) as environment:
        folder = new_run_folder(ROOT / RUNS, "suites", torch)
        # Any tier may be among the options, so the longest limit holds.
        limit = TIMEOUT_SECONDS["soak"]
        ended = run_suite(environment, folder, ASKED, session.posargs, root=ROOT, timeout=limit)
    if ended.failure is not None:
        session.error(ended.failure.reason)
    if ended.code != 0:
        session.error(f"exit status {ended.code}; see {folder}")


@nox.session(venv_backend="none")
def faults(session: nox.Session) -> None:
    """Plant every fault, run the suite against each, and print who saw which."""
    with _held(session, "machinery", pinned(PROJECT.baseline)) as environment:
        matrix = new_run_folder(ROOT / RUNS, "faults", PROJECT.baseline) / FAULTS
        _run(session, environment, "suites.machinery.faults.matrix", "--json", str(matrix), *session.posargs)


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Time one torch with pytest-benchmark: nox -s bench -- --torch 2.13.0 [options of pytest and pytest-benchmark]."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", add_help=False, allow_abbrev=False)
    parser.add_argument("--torch", default=PROJECT.candidate)
    given, options = parser.parse_known_args(session.posargs)
    try:
        framework = parse_candidate(given.torch, Path(session.invoked_from))
    except SideError as error:
        session.error(f"--torch: {error}")
    with _held(session, "bench", framework) as environment:
        # Half a second each, unless the options say otherwise: the quick tier's hundred workloads end in two minutes.
        sys.exit(environment.run_on_terminal(ROOT, "pytest", "suites/timings", "--benchmark-max-time", "0.5", *options))


@nox.session(venv_backend="none")
def calibrate(session: nox.Session) -> None:
    """Time the paired clock and others where the truth is known: nox -s calibrate -- --part same --runs 40."""
    with contextlib.ExitStack() as held:
        groups = {**dict.fromkeys(PROJECT.releases, "suites"), PROJECT.baseline: "calibrate"}
        environments = {torch: held.enter_context(_held(session, groups[torch], pinned(torch))) for torch in groups}
        known = [f"--python={torch}={environment.python}" for torch, environment in environments.items()]
        _run(session, environments[PROJECT.baseline], "suites.machinery.clock.calibration", *known, *session.posargs)


@nox.session(venv_backend="none")
def history(session: nox.Session) -> None:
    """Keep a record of each release of torch, one environment at a time: nox -s history -- --releases 2.2.0..2.14.1."""
    sys.exit(run_history(session.posargs, root=ROOT))


@nox.session(venv_backend="none")
def report(session: nox.Session) -> None:
    """Read run folders without a venv of one's own: nox -s report -- gate BASELINE_RUN CANDIDATE_RUN."""
    with _held(session, "reports") as environment:
        sys.exit(environment.run_on_terminal(ROOT, "reports", *session.posargs))


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Check style and format with ruff, spelling, and the workflows against their schema and for holes."""
    workflows = sorted(map(str, (ROOT / ".github" / "workflows").iterdir()))
    with _held(session, "lint") as environment:
        _run(session, environment, "ruff", "check")
        _run(session, environment, "ruff", "format", "--check")
        _run(session, environment, *SPELLING)
        _run(session, environment, "check_jsonschema", *SCHEMA_OF_WORKFLOWS, *workflows)
        # The one tool that is no Python module.
        session.run(str(Path(environment.python).with_name("zizmor")), *AUDIT_OF_WORKFLOWS, *workflows, external=True)


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Check types with mypy, strictly on all that decides an exit code."""
    with _held(session, "types", pinned(PROJECT.baseline)) as environment:  # torch's own types are part of the check
        _run(session, environment, "mypy")


@contextlib.contextmanager
def _held(
    session: nox.Session, group: str, framework: Framework | None = None, environments: Environments = ENVIRONMENTS
) -> Iterator[Environment]:
    try:
        with environments.hold(group, framework) as environment:
            yield environment
    except Unusable as error:
        session.error(str(error))


def _run(session: nox.Session, environment: Environment, module: str, *arguments: str) -> None:
    command = environment.module(module, *arguments)
    session.run(*command, env=dict(environment.variables), include_outer_env=False, external=True)
