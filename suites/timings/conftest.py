"""Options, cases and records of the timings; pytest-benchmark does the rest.

All of it adds to suites/conftest.py, and nothing of it is needed by the suites that make claims.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from fixtures.clock.workloads import cannot_compile, workloads
from fixtures.target.device import device_named
from suites.conftest import settings_key
from suites.timings.cases import cases
from suites.timings.environment import complete, differences
from suites.timings.limits import Limits
from suites.timings.measurement import COMPARED, compare_with_initialization, measure, rates

HERE = Path(__file__).resolve().parent

STOP = 1
"""Exit status where --benchmark-compare-fail says that something has become slower."""

NEEDS = (
    "suites/timings needs pytest-benchmark (dependency group 'bench'): nox -s bench, or pip install pytest-benchmark"
)


@dataclass
class Session:
    """State of a session of timings.

    Attributes:
        limits: of the machine.
        said: extra_info of the forward passes by device and weight.
        seconds: their times.
        slower: whether --benchmark-compare-fail has found something.
    """

    limits: Limits = field(default_factory=Limits)
    said: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    seconds: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    slower: bool = False


session_key = pytest.StashKey[Session]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options of the timings."""
    help_text = "torch's threads while timing (default: 1; several compete with whatever else the machine does)"
    parser.getgroup("kaiming gate").addoption("--threads", metavar="N", default="1", help=help_text)


@pytest.hookimpl(tryfirst=True)  # before pytest-benchmark warns of anything
def pytest_configure(config: pytest.Config) -> None:
    """Refuse to time without pytest-benchmark, and let it warn."""
    if not _has_plugin(config):
        if _is_named(config):
            raise pytest.UsageError(NEEDS)
        return
    # The project's `error` would make an internal error of pytest of what the plugin warns of between its hooks: that
    # there is nothing to compare with or to save, or that pytest-xdist has disabled it.
    warnings.filterwarnings("default", message=".*[Bb]enchmark", category=pytest.PytestWarning)
    config.addinivalue_line("markers", "times(kind): times each workload of the kind")
    config.addinivalue_line("markers", "workload(name): the workload that a case times")
    config.stash[session_key] = Session()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Set the threads, after suites/conftest.py has given torch one."""
    _set_threads(session.config)


def _has_plugin(config: pytest.Config) -> bool:
    return config.pluginmanager.hasplugin("benchmark")


def _is_named(config: pytest.Config) -> bool:
    """Test whether the command line asks for the timings and not for a folder that they are in."""
    named = (config.invocation_params.dir / argument.partition("::")[0] for argument in config.args)
    return any(path.resolve().is_relative_to(HERE) for path in named)


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave the timings out of a run of all suites without pytest-benchmark; the summary says so."""
    return None if _has_plugin(config) else True


def _set_threads(config: pytest.Config) -> None:
    asked = config.getoption("--threads", default="1")
    if not asked.isdecimal() or int(asked) < 1:
        raise pytest.UsageError(f"--threads {asked}: a positive integer is accepted")
    torch.set_num_threads(int(asked))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Call a test that times once for each workload of its kind."""
    mark = metafunc.definition.get_closest_marker("times")
    if mark is not None:
        (kind,), settings = mark.args, metafunc.config.stash[settings_key]
        metafunc.parametrize(*cases(kind, settings.tier, settings.devices))


@pytest.fixture
def time_workload(request: pytest.FixtureRequest, benchmark: Any, device: str) -> Callable[[], None]:
    """Time the workload of the case, and record its rates."""
    workload = workloads()[request.node.get_closest_marker("workload").args[0]]
    config = request.config

    def run() -> None:
        if workload.compiled and (reason := _cannot_compile(device)):
            pytest.skip(reason)
        max_time, min_rounds = (config.getoption(f"benchmark_{name}") for name in ("max_time", "min_rounds"))
        watched = device_named(device)
        measure(benchmark, workload, watched, float(max_time), min_rounds)
        if benchmark.stats is None:
            return
        session, median = config.stash[session_key], benchmark.stats["median"]
        benchmark.extra_info.update(rates(workload, median, watched, session.limits))
        weight = workload.parameters.get("weight")
        if weight in COMPARED:
            session.said[device][weight] = benchmark.extra_info
            session.seconds[device][weight] = median
            compare_with_initialization(session.said[device], session.seconds[device])

    return run


_cannot_compile = cache(cannot_compile)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Add what decides how fast torch is."""
    _set_threads(config)  # --benchmark-compare asks before the session starts
    complete(machine_info)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_benchmark_compare_machine_info(
    benchmarksession: Any, machine_info: dict[str, Any], compared_benchmark: dict[str, Any]
) -> Iterator[None]:
    """Print each difference in a line; the plugin is shown none.

    It would print both sides in full, processor flags and all, and fails on a storage outside the working folder.
    """
    saved = compared_benchmark["machine_info"]
    for line in differences(machine_info, saved):
        benchmarksession.logger.info(f"not as in the saved run: {line}", newline=False)
    compared_benchmark["machine_info"] = machine_info
    try:
        yield
    finally:
        compared_benchmark["machine_info"] = saved


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Iterator[None]:
    """Add what pytest-benchmark's tables have no column for."""
    if not _has_plugin(config):
        yield
        terminalreporter.write_line(f"left out: {NEEDS}")
        return
    from pytest_benchmark.session import PerformanceRegression

    session = config.stash[session_key]
    try:
        yield
    except PerformanceRegression:  # already told; pytest would end in a traceback
        session.slower = True
    lines = [*_of_limits(session.limits), *_of_normalization(session.said)]
    if lines:
        terminalreporter.section("in addition to the tables")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around the terminal summary above
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Turn what --benchmark-compare-fail has found into the exit status."""
    yield
    if session_key in session.config.stash and session.config.stash[session_key].slower:
        session.exitstatus = STOP


def _of_limits(limits: Limits) -> Iterator[str]:
    for (device, kind, dtype), value in sorted(limits.found.items()):
        unit = {"copy": "GB/s read and written", "matmul": "GFLOP/s"}[kind]
        yield f"limit of {device}: {kind} {dtype} {value / 1e9:.4g} {unit}"


def _of_normalization(said: dict[str, dict[str, Any]]) -> Iterator[str]:
    for device, weights in said.items():
        overhead = weights.get("spectral_norm", {}).get("overhead_seconds_per_forward_pass")
        if overhead is not None:
            for weight, when in (("spectral_norm", "every time"), ("kaiming_normal_", "once")):
                passes = weights[weight]["times_a_plain_forward_pass"]
                yield f"{weight} on {device}: as long as {passes:.3g} plain forward passes, {when}"
