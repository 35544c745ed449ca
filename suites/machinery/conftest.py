"""The project's own tests: their chance to fail, their seeds, what they cost, and what Hypothesis tries."""

from __future__ import annotations

import functools
import gc
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from fixtures.environments import environment, processes
from fixtures.environments.pip import make_venv
from fixtures.record.subject import seed_for
from fixtures.sharded.world import Processes
from suites.conftest import settings_key
from suites.machinery import chance, costs, draws, proofs
from suites.machinery.making.children import WAIT, Hang
from suites.machinery.making.wheels import restrict_pip

draws.watch()

# The same examples in each run, for nobody can say with which chance a search comes upon something. `nox -s fuzz`
# searches anew, and what it finds becomes an @example of its test. Neither fails for being slow.
PATIENT = {"database": None, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("tests", derandomize=True, **PATIENT)
settings.register_profile("fuzz", derandomize=False, print_blob=True, max_examples=100 * costs.FUZZ_FACTOR, **PATIENT)

SLOW = "slow"
"""Property of a test's report."""

shared: dict[tuple[str, str], draws.Noted] = {}
"""What was noted of what several tests share: fixtures by where they are defined and by name, modules by their name."""


@pytest.fixture
def hang(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Hang:
    """A hang, which ends the patience with what this process runs and watches."""
    hang = Hang(tmp_path_factory.mktemp("hang") / "said")
    monkeypatch.setattr(processes, "time", hang)
    return hang


@pytest.fixture(scope="session")
def world() -> Iterator[Processes]:
    """Four ranks, with time for a busy machine, for all tests: a start takes five seconds."""
    world = Processes(4, WAIT)
    yield world
    world.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that looks for a test which fails oftener than it says."""
    parser.addoption("--rounds", type=int, default=1, help="run each drawing test N times, each on draws of its own")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make each drawing test several, whose names and so whose seeds differ."""
    rounds = metafunc.config.getoption("--rounds", default=1)  # not there where another conftest was loaded first
    if rounds > 1 and metafunc.definition.get_closest_marker("draws"):
        metafunc.fixturenames.append("round_of_draws")
        metafunc.parametrize("round_of_draws", range(rounds))


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the mark of drawing tests, seed modules, and load the profile that no option of Hypothesis chose."""
    chance.LEDGER.open(seed_for(config.stash[settings_key].seed, "modules"))
    config.addinivalue_line("markers", "draws(chance, why): fails on a healthy tree with this chance at most, and why")
    config.addinivalue_line("markers", "proves(*families): a planted fault violates a claim of each family")
    if not config.getoption("--hypothesis-profile", default=None):
        settings.load_profile("tests")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark who asks for a browser."""
    if set(costs.BROWSING) & set(getattr(item, "fixturenames", ())):
        item.add_marker("browser")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[Any]:
    """Keep what a test module draws as it is imported: each of its tests has drawn."""
    draws.NOTES.taken()
    report = yield
    own = {line for line in draws.NOTES.taken().draws if f" at {collector.path.name}:" in line}
    shared[collector.nodeid, ""] = draws.Noted(own)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Iterator[Any]:
    """Keep what a fixture noted that several tests share: each of them has drawn, whichever came first."""
    before = draws.NOTES.taken()
    try:
        return (yield)
    finally:
        noted = draws.NOTES.taken()
        if fixturedef.scope != "function":
            shared.setdefault((fixturedef.baseid, fixturedef.argname), draws.Noted()).take(noted)
        else:
            before.take(noted)
        draws.NOTES.give(before)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Begin with a test: nothing spent, nothing noted, and what every caller shares seeded."""
    seed = seed_for(item.config.stash[settings_key].seed, item.nodeid)
    chance.LEDGER.open(seed)
    draws.seed_shared(seed)
    draws.NOTES.taken()
    proofs.VIOLATED.clear()
    item.stash[began_key] = time.process_time()
    yield


began_key = pytest.StashKey[float]()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test by name whose marks say less than it draws, spends or starts, or more than it proves."""
    yield
    noted = draws.NOTES.taken()
    noted.take(shared.get((item.nodeid.partition("::")[0], ""), draws.Noted()))
    for name, definitions in item._fixtureinfo.name2fixturedefs.items():  # type: ignore[attr-defined]
        noted.take(shared.get((definitions[-1].baseid, name), draws.Noted()))
    marked = {mark.name for mark in item.iter_markers()}
    if told := costs.slow(marked, seconds=time.process_time() - item.stash[began_key]):
        item.user_properties.append((SLOW, told))
    for complaint in (
        chance.complaint(item.get_closest_marker("draws"), noted.draws, chance.LEDGER.spent),
        costs.complaint(marked, processes=noted.processes),
        proofs.complaint(item),
    ):
        if complaint:
            pytest.fail(f"{item.nodeid} {complaint}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    """Say how a drawing test that failed is run again on the same draws."""
    report = yield
    if report.failed and item.get_closest_marker("draws"):
        seed = item.config.stash[settings_key].seed
        report.sections.append(("the same draws again", f"python -m pytest '{item.nodeid}' --seed {seed}"))
    return report


@functools.cache
def freeze() -> None:
    """Freeze what there is, once in a process: to count what is frozen takes a fifth of a second."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what was there before the first test: modules, and thousands of tests.

    It looks through all that may be garbage ten times at the end of each pytest that a test runs within this process.
    """
    freeze()


def pytest_report_collectionfinish(items: list[pytest.Item]) -> str:
    """The chance that what was selected fails although nothing is wrong."""
    drawn = [mark for item in items if (mark := item.get_closest_marker("draws"))]
    return f"{len(drawn)} tests draw; a healthy tree fails with chance {chance.total(items):.1e} at most"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell of the tests that were slow here and bear no mark of it."""
    ended = (report for reports in terminalreporter.stats.values() for report in reports)
    slow = [
        f"{report.nodeid}: {told}"
        for report in ended
        if getattr(report, "when", None) == "call"
        for name, told in report.user_properties
        if name == SLOW
    ]
    if slow:
        terminalreporter.section("slow here, and not marked (pyproject.toml lists the marks)")
        for line in slow:
            terminalreporter.line(line)


@pytest.fixture
def fresh_seed() -> int:
    """Seed of this test, from the run's own seed and the test's name."""
    return chance.fresh_seed()


@pytest.fixture
def generator(fresh_seed: int) -> np.random.Generator:
    """Fresh draws for each test."""
    return np.random.default_rng(fresh_seed)


@pytest.fixture
def known_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of wheels that is all that pip knows of."""
    return restrict_pip(tmp_path / "wheels", monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def seed_packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Virtual environments share one pip, with its bytecode: its first run in a copy of its own takes three seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIRTUALENV_SYMLINK_APP_DATA", "1")
        patch.setenv("VIRTUALENV_OVERRIDE_APP_DATA", str(tmp_path_factory.getbasetemp().parent / "virtualenv"))
        yield


@pytest.fixture(scope="session")
def empty_venv(tmp_path_factory: pytest.TempPathFactory, seed_packages: None) -> Path:  # noqa: ARG001 - shares pip
    """A virtual environment with pip and nothing else."""
    folder = tmp_path_factory.mktemp("venv") / "empty"
    make_venv(folder, print)
    return folder


@pytest.fixture
def copied_venvs(empty_venv: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, Callable[[str], None]], None]:
    """Copy virtual environments of this process from one, which takes a hundredth of virtualenv's quarter second."""

    def copy_venv(folder: Path, _show: Callable[[str], None]) -> None:
        shutil.copytree(empty_venv, folder, symlinks=True)

    monkeypatch.setattr(environment, "make_venv", copy_venv)
    return copy_venv
