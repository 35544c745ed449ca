"""Options, plan, run record and exit codes of the suites."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import shutil
import sys
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from threadpoolctl import threadpool_limits

from fixtures.faults.registry import FaultError, plant, with_fault
from fixtures.gate import whereabouts
from fixtures.gate.whereabouts import RUNNING
from fixtures.record import file_names, run_folder
from fixtures.record.exit_codes import NO_EVIDENCE, PASS, STOP
from fixtures.record.plan import Case, Plan
from fixtures.record.schema import SCHEMA
from fixtures.record.subject import seed_for
from fixtures.rules.known_violations import KNOWN_VIOLATIONS, KnownError, read_known
from fixtures.sharded.launch import is_launched, launched_rank
from fixtures.statistics import judgement
from fixtures.target.device import unavailable
from fixtures.target.instruction_sets import instruction_sets
from fixtures.target.other_processes import Helper, Unavailable, in_fresh_process
from fixtures.target.target import Target, TargetError, load_target
from fixtures.weights.draws import count
from fixtures.weights.sketch import SALTED, Sketch
from suites.framework import ranks, recorder
from suites.framework.exact_claims import Inconclusive
from suites.framework.findings import Findings
from suites.framework.questions import case_of, planned_claims, questions_of
from suites.framework.recorder import Recorder
from suites.framework.settings import Settings, add_options, read_settings

settings_key = pytest.StashKey[Settings]()
plan_key = pytest.StashKey[Plan]()
target_key = pytest.StashKey[Target]()
known_key = pytest.StashKey[tuple[Any, ...]]()
findings_key = pytest.StashKey[Findings]()
digests_key = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the suites' options."""
    add_options(parser)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main() -> Generator[None, int | None, int | None]:
    """Exit codes: 0 pass, 1 stop, 2 no evidence or an error of any kind, pytest's own usage errors among them."""
    try:
        code = yield
    except pytest.UsageError as error:
        for message in error.args:
            print(f"error: {message}", file=sys.stderr)
        return NO_EVIDENCE
    if is_launched():
        ranks.leave()
        if launched_rank():
            return PASS  # the record is rank 0's, and so is the answer
    return code if code in (None, PASS, STOP) else NO_EVIDENCE


def pytest_configure(config: pytest.Config) -> None:
    """Read the options, load the target, draw the plan (or take over the one that is handed in)."""
    config.addinivalue_line("markers", "asks(family, questions): answers the questions about each case of the family")
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        settings = msgspec.convert(worker["settings"], Settings, dec_hook=lambda kind, text: kind(text))
    else:
        settings = read_settings(config)
        if is_launched():
            settings = ranks.agreed(settings)
            if launched_rank():
                config.add_cleanup(partial(shutil.rmtree, settings.run_dir, ignore_errors=True))
    config.stash[settings_key] = settings
    whereabouts.be_askable()
    # torch fills a tensor from one thread whatever is asked; a team of threads that wait for each other in the smaller
    # steps around it would make a run's length depend on what else the machine is doing.
    torch.set_num_threads(1)
    threadpool_limits(1)  # NumPy's and SciPy's, for the same reason
    try:
        if settings.fault:
            config.add_cleanup(plant(settings.fault))
        config.stash[target_key] = load_target(settings.target)
        config.stash[known_key] = read_known(KNOWN_VIOLATIONS)
        config.stash[plan_key] = _plan(settings)
    except (FaultError, TargetError, KnownError, run_folder.RecordError) as error:
        raise pytest.UsageError(str(error)) from None
    if worker is None:
        config.pluginmanager.register(Controller(config, Recorder(settings)), "kaiming gate controller")


def _plan(settings: Settings) -> Plan:
    """The plan that is handed in, or an empty one that the tests add their cases to."""
    if settings.plan is not None:
        handed_in = run_folder.read_record(settings.plan, Plan)
        return msgspec.structs.replace(handed_in, target=settings.target, claims=())
    return Plan(
        schema=SCHEMA,
        seed=settings.seed,
        tier=settings.tier,
        devices=settings.devices,
        target=settings.target,
        false_alarm_rate=settings.false_alarm_rate,
        cases=(),
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist: workers take over the controller's options, the seed above all, and so draw the same cases."""
    node.workerinput["settings"] = msgspec.to_builtins(node.config.stash[settings_key], enc_hook=str)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Options as they are in force."""
    settings, plan = config.stash[settings_key], config.stash[plan_key]
    return [
        f"kaiming gate: torch {torch.__version__}, target {settings.target}, tier {plan.tier}, seed {plan.seed}, "
        f"devices {', '.join(plan.devices)}, false-alarm rate {plan.false_alarm_rate:g}"
        + (f", planted fault {settings.fault}" if settings.fault else ""),
        *(f"not asked: {device} ({reason})" for device, reason in settings.absent_devices.items()),
        *(f"taken from torch.nn.init: {name}" for name in [", ".join(config.stash[target_key].lacking())] if name),
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Call a test that asks once for each case of its family in the plan."""
    mark = metafunc.definition.get_closest_marker("asks")
    if mark is None:
        return
    family, draw_cases, _ = mark.args
    stash = metafunc.config.stash
    settings, plan = stash[settings_key], stash[plan_key]
    if settings.plan is None:
        drawn = tuple(draw_cases(plan.tier, plan.seed, plan.devices))
        stash[plan_key] = plan = msgspec.structs.replace(plan, cases=plan.cases + drawn)
    cases = [case for case in plan.cases if case.family == family]
    metafunc.parametrize("case", cases, ids=[case.subject.key for case in cases])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Write down which claims the selected tests will make, before the first is made."""
    claims = planned_claims(items)
    duplicates = {name for name, group in itertools.groupby(sorted(claims)) if len(list(group)) > 1}
    if duplicates:
        raise pytest.UsageError(f"planned twice: {sorted(duplicates)[0]}")
    if not claims:
        return
    settings = config.stash[settings_key]
    plan = msgspec.structs.replace(config.stash[plan_key], claims=claims, selection=settings.selection)
    promised = judgement.false_alarm_rate(len(plan.claims), plan.comparisons)
    if promised > plan.false_alarm_rate:
        raise pytest.UsageError(
            f"{len(claims)} claims and {plan.comparisons} comparisons raise a false alarm with chance {promised:.1e}, "
            f"more than --false-alarm-rate {plan.false_alarm_rate:g}; ask fewer or accept more"
        )
    config.stash[plan_key] = plan
    if config.option.collectonly:
        return
    folder = settings.run_dir
    # pytest-xdist takes a worker that ends itself for one that crashed, and starts another; an error ends them all.
    with contextlib.nullcontext() if hasattr(config, "workerinput") else _kept_or_ended():
        folder.mkdir(parents=True, exist_ok=True)
        # Under xdist every worker writes the same plan, whole or not at all; whichever comes last changes nothing.
        run_folder.write_record(folder / file_names.PLAN, plan)


@contextlib.contextmanager
def _kept_or_ended() -> Iterator[None]:
    """End the session in one line where the run cannot be kept: a disk that is full is no opinion about torch."""
    try:
        yield
    except OSError as error:
        pytest.exit(f"the run cannot be kept: {error}", returncode=NO_EVIDENCE)


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Target:
    """Provider of the initializers."""
    return request.config.stash[target_key]


@pytest.fixture
def findings(request: pytest.FixtureRequest, case: Case) -> Findings:
    """Takes this test's findings; devices that are missing here are answered at once."""
    config, mark = request.config, request.node.get_closest_marker("asks")
    plan, settings = config.stash[plan_key], config.stash[settings_key]
    found = Findings(
        case=case,
        questions=questions_of(mark, case),
        run_seed=plan.seed,
        torch_version=str(torch.__version__),
        # Of any target: a foreign one fills its weights by torch's functions, and torch's gelu is asked beside it. What
        # is wrong with the target itself has another effect.
        known=() if settings.fault else config.stash[known_key],
        rerun=f"python -m pytest '{request.node.nodeid}' --seed {plan.seed} --tier {plan.tier} --target {plan.target}"
        + (f" --fault {settings.fault}" if settings.fault else ""),
    )
    request.node.stash[findings_key] = found
    if reason := unavailable(case.subject.device):
        found.no_evidence(reason)
        found.conclude()
    return found


PATIENCE = 60.0
"""Time limit of a call in another process: a hundred times what it takes to draw a tensor or ask an operation."""


@pytest.fixture
def fresh(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Calls a function in a fresh process, where the run's fault is planted, too: function, arguments.

    A process that ends, raises or hangs is a counterexample; one that cannot be started is no evidence.
    """
    fault = request.config.stash[settings_key].fault

    def elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return in_fresh_process(partial(with_fault, fault, function, *arguments), PATIENCE)
        except Unavailable as error:
            raise Inconclusive(str(error)) from None

    return elsewhere


@pytest.fixture(scope="session")
def helpers(request: pytest.FixtureRequest) -> Iterator[dict[str, Helper]]:
    """Processes with lesser instruction sets, by their names.

    All that the selected tests ask are started at once, and import torch while others are asked.
    """
    spawned = multiprocessing.get_context("spawn")
    made: dict[str, Helper] = {
        name: Helper(f"a process of instruction set {name}", spawned, PATIENCE, variables)
        for name, variables in instruction_sets().items()
    }
    cases = (case_of(item) for item in request.session.items)
    for name in {isa for case in cases if case and (isa := getattr(case.subject.what, "isa", None))} & {*made}:
        with contextlib.suppress(Unavailable):  # it is told when it is asked
            made[name].start()
    yield made
    for helper in made.values():
        helper.close()


@pytest.fixture
def under(request: pytest.FixtureRequest, helpers: dict[str, Helper]) -> Callable[..., Any]:
    """Calls a function by an instruction set: its name (None for all that this processor has), function, arguments.

    A process that ends, raises or hangs is a counterexample; one that cannot be started is no evidence, nor is an
    instruction set that is not lesser than this processor's.
    """
    fault = request.config.stash[settings_key].fault

    def elsewhere(isa: str | None, function: Callable[..., Any], *arguments: Any) -> Any:
        if isa is None:
            return function(*arguments)
        if isa not in helpers:
            raise Inconclusive(f"instruction set {isa} is not lesser than what torch uses on this processor")
        try:
            return helpers[isa].ask(partial(with_fault, fault, function, *arguments))
        except Unavailable as error:
            raise Inconclusive(str(error)) from None

    return elsewhere


@pytest.fixture
def keep_sketch(request: pytest.FixtureRequest, case: Case, target: Target) -> Callable[[Sketch], None]:
    """Keeps the sketch of a core subject in the run, beside one of as many draws as its resolution takes, salted.

    The claims' own draws have one seed on both sides of a gate, so that a claim that errs by chance errs on both.
    """
    settings = request.config.stash[settings_key]

    def keep(sketch: Sketch) -> None:
        if case.core:
            seed = seed_for(settings.salt, case.subject.key, SALTED)
            salted = count(case.subject, judgement.draws_to_resolve(case.resolution), seed, target)
            recorder.keep_sketch(settings.run_dir, case.subject, sketch, salted, settings.salt)

    return keep


@pytest.fixture
def keep_arrays(request: pytest.FixtureRequest) -> Callable[[str, dict[str, Any]], None]:
    """Keeps arrays in the run, as `<name>/<key>` in sketches.npz: name, arrays."""
    return partial(recorder.keep_arrays, request.config.stash[settings_key].run_dir)


@pytest.fixture
def keep_digest(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Keeps a fixed-seed digest, or another fact that two runs should share, in the run: name, digest."""
    digests: dict[str, str] = request.node.stash.setdefault(digests_key, {})
    return digests.__setitem__


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Write down what is about to be asked, so that a crash or a hang can be told by it."""
    if item.get_closest_marker("asks"):
        whereabouts.begin(_asking(item.config), item.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Nothing is being asked any more; what a worker that crashed was asking stays."""
    file = _asking(session.config)
    whereabouts.end(file)
    with contextlib.suppress(OSError):
        file.parent.rmdir()


def _asking(config: pytest.Config) -> Path:
    worker = getattr(config, "workerinput", {}).get("workerid", "main")
    return config.stash[settings_key].run_dir / RUNNING / str(worker)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Let findings decide, after a test has found all it can find."""
    yield
    if findings_key in item.stash:
        item.stash[findings_key].conclude()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Send a test's findings with its report, which reaches the recorder wherever the test ran."""
    report = yield
    # A device that is missing ends a test in its setup; what was found until then counts as well.
    if findings_key in item.stash and (report.when == "call" or not report.passed):
        claims = item.stash[findings_key].finished()
        report.claims = [run_folder.claim_line(claim).decode() for claim in claims]
        del item.stash[findings_key]
    if report.when == "call":
        report.digests = item.stash.get(digests_key, {})
    return report


class Controller:
    """Hooks of the process that keeps the record: the only one, or the one that pytest-xdist's workers report to."""

    def __init__(self, config: pytest.Config, recorder: Recorder) -> None:
        self.config = config
        self.recorder = recorder
        self.recording = False
        self.kept = True

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep what is recorded; once that fails, record no more and give no verdict: the record would lack answers."""
        try:
            with _kept_or_ended():
                yield
        except pytest.exit.Exception:
            self.kept = self.recording = False
            raise

    def start(self) -> None:
        """Open the record, once it is known that there is something to record."""
        if not self.recording and (self.recorder.folder / file_names.PLAN).exists():
            with self.keeping():
                self.recorder.start()
                self.recorder.describe(self.config.stash[target_key])
            self.recording = True

    def pytest_sessionstart(self) -> None:
        """Forget what an earlier run left in the same folder."""
        with self.keeping():
            self.recorder.forget()

    def pytest_collection_finish(self) -> None:
        """Collected here."""
        self.start()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """Collected in a worker, which has written the plan."""
        self.start()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what a test found, or why it was left out."""
        self.recorder.digests.update(getattr(report, "digests", {}))
        if claims := getattr(report, "claims", None):
            with self.keeping():
                self.recorder.add(claims)
        elif report.skipped and not hasattr(report, "wasxfail"):
            self.recorder.skipped[str(report.longrepr[2] if isinstance(report.longrepr, tuple) else "")] += 1

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        """Close the record and turn pytest's exit status into ours."""
        if self.recording:
            with self.keeping():
                self.recorder.finish()
        if self.kept and self.recorder.unknown_violations():
            session.exitstatus = STOP
        elif session.exitstatus or self.recorder.unanswered():
            session.exitstatus = NO_EVIDENCE
        yield

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show what a person must know of the run."""
        if not self.recording:
            return
        terminalreporter.section("kaiming gate")
        for line in self.recorder.summary():
            terminalreporter.write_line(line)
