"""`python -m pytest suites/weights` as a user runs it: exit codes, the run folder, xdist, plans, and other plugins."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import sys

import msgspec
import numpy as np
import pytest
import torch

from fixtures.environments.environment import Environment
from fixtures.gate.suite_run import SHARED_OUT, run_suite
from fixtures.record import file_names
from fixtures.record.choices import DEVICES
from fixtures.record.claim import Verdict
from fixtures.record.exit_codes import NO_EVIDENCE, PASS, STOP
from fixtures.record.file_names import ROOT, RUNS
from fixtures.record.plan import Plan
from fixtures.record.run_folder import read_claims, read_record, read_run
from fixtures.record.schema import SCHEMA
from fixtures.record.subject import Subject
from fixtures.statistics.judgement import false_alarm_rate
from fixtures.weights.law_questions import law_questions
from fixtures.weights.strategies import core_subjects, half_uniforms
from reports.comparison.changes import compare
from reports.drift import drifts
from suites.conftest import settings_key
from suites.framework.recorder import Recorder
from suites.framework.settings import read_settings
from suites.machinery.chance import ALARM, CLAIM, fresh_seed
from suites.machinery.making import preloaded
from suites.machinery.making.children import PATIENCE
from suites.machinery.making.suite_run import given

pytestmark = [pytest.mark.subprocess, pytest.mark.draws(ALARM + 1000 * CLAIM, "claims of healthy suites of two cases")]


USAGE = 4
"""pytest's own."""

SELECTION = "test_weights_follow_the_promised_law and float32 and 784x256"
"""Two cases of all families that are read from a sketch, in a second."""

SUBJECTS = [Subject(f"kaiming_{law}_", (784, 256), nonlinearity="relu") for law in ("normal", "uniform")]
PLANNED = [f"{asked.family}/{subject.key}" for subject in SUBJECTS for asked in law_questions(subject)]


def suite(folder, *arguments, select=SELECTION, **variables):
    """Run the suite into a run folder; where workers are asked for, shared out as a gate has it."""
    usual = ["-m", "pytest", "suites/weights/test_law.py", "-p", "no:cacheprovider", "-k", select, "--run-dir", folder]
    shared_out = SHARED_OUT if "-n" in arguments else ()
    seed = () if {"--seed", "--plan"} & set(arguments) else ("--seed", fresh_seed())
    return preloaded.run(*usual, *shared_out, *arguments, *seed, **variables)


def answers(folder):
    """The claims of a run, without the time they took."""
    claims = read_claims(folder / file_names.CLAIMS).values()
    return [msgspec.structs.replace(claim, seconds=0.0) for claim in claims]


def verdicts(folder):
    return {claim.verdict for claim in answers(folder)}


# A healthy run


@pytest.fixture(scope="module")
def seed(pytestconfig):
    """Seed of the runs that are compared."""
    return pytestconfig.stash[settings_key].seed


@pytest.fixture(scope="module")
def healthy(tmp_path_factory, seed):
    """A run of torch itself, and what it printed."""
    folder = tmp_path_factory.mktemp("healthy") / "run"
    return folder, suite(folder, "--seed", seed, "-n", 0)


def test_a_healthy_run_passes_and_answers_exactly_what_it_planned(healthy):
    folder, ended = healthy

    assert ended.returncode == PASS, ended.stdout
    assert [claim.id for claim in answers(folder)] == PLANNED
    assert read_record(folder / file_names.PLAN, Plan).claims == tuple(PLANNED)
    assert verdicts(folder) == {Verdict.HOLDS}


def test_a_run_folder_is_whole_and_holds_nothing_else(healthy):
    folder, _ = healthy
    run = read_run(folder)

    assert {path.name for path in folder.iterdir()} <= set(file_names.RUN_FILES)
    assert run.ended
    assert run.unanswered() == []
    assert run.torch_version == torch.__version__
    assert {name.rpartition("/")[0] for name in run.sketches} == {subject.key for subject in SUBJECTS}


def test_the_header_shows_the_options_and_the_closing_lines_the_error_budget(healthy, seed):
    folder, ended = healthy
    statistical = sum(claim.p is not None for claim in answers(folder))
    chance = false_alarm_rate(statistical)

    for line in (
        f"kaiming gate: torch {torch.__version__}, target torch.nn.init, tier quick, seed {seed}, devices cpu",
        f"{len(PLANNED)} holds, 0 violated, 0 no evidence\n",
        f"false alarm with chance {chance:.1e} at most: {statistical} statistical claims, 2.0e-12 each\n",
        f"run: {folder}\n",
    ):
        assert line in ended.stdout


def test_two_workers_find_the_same_and_lose_or_double_nothing(healthy, seed, tmp_path):
    ended = suite(tmp_path, "--seed", seed, "-n", 2)

    assert ended.returncode == PASS, ended.stdout
    assert answers(tmp_path) == answers(healthy[0])


def test_runs_share_the_draws_of_their_claims_and_have_others_to_be_compared_by(healthy, seed, tmp_path):
    suite(tmp_path, "--seed", seed, "--salt", 5)
    runs = read_run(healthy[0]), read_run(tmp_path)
    ours, theirs = (run.sketches for run in runs)

    assert ours.keys() == theirs.keys()
    assert {name.rpartition("/")[2] for name in ours if not np.array_equal(ours[name], theirs[name])} == {
        "salted",
        "salt",
    }
    assert runs[1].environment.options["salt"] == 5
    assert [drift.kind for drift in drifts(*runs, compare(*runs))] == ["same_stream"] * len(SUBJECTS)


PLAYWRIGHT = """\
def pytest_addoption(parser):
    parser.getgroup("playwright").addoption("--device", default=None, action="store", help="browser to emulate")
"""


def test_a_plan_asks_the_same_in_a_used_folder_beside_a_plugin_that_owns_an_option_of_ours(healthy, tmp_path):
    left_over = [file_names.FAILURE, file_names.PARTIAL_CLAIMS, file_names.DIGESTS]
    for name in left_over:
        (tmp_path / name).write_text("left over")
    (tmp_path / "browsing.py").write_text(PLAYWRIGHT)
    owned = ["-p", "browsing", "--device", "cpu"]

    before = read_run(healthy[0])
    salt = before.environment.options["salt"]
    asked = ["--plan", healthy[0] / file_names.PLAN, "--salt", salt]

    ended = suite(tmp_path, *asked, *owned, PYTHONPATH=str(tmp_path))

    assert ended.returncode == PASS, ended.stdout + ended.stderr
    assert answers(tmp_path) == answers(healthy[0])
    again = read_run(tmp_path).sketches
    assert all(np.array_equal(array, again[name]) for name, array in before.sketches.items())
    assert not any((tmp_path / name).exists() for name in left_over)


def test_a_plan_that_is_handed_in_from_the_run_folder_itself_is_not_forgotten(tmp_path):
    for name in (file_names.PLAN, file_names.CLAIMS):
        (tmp_path / name).write_text("left over")

    Recorder(read_settings(given(run_dir=tmp_path, plan=tmp_path / file_names.PLAN))).forget()

    assert [path.name for path in tmp_path.iterdir()] == [file_names.PLAN]


# Targets

TARGET = """\
import os, torch
def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    torch.nn.init.kaiming_normal_(tensor, a, mode, nonlinearity, generator=generator)
    {fault}
    return tensor
"""


@pytest.fixture
def planted(tmp_path):
    """Writes a target with a fault in it; returns its path."""

    def write(fault):
        (tmp_path / "faulty.py").write_text(TARGET.format(fault=fault))
        return tmp_path / "faulty.py"

    return write


def test_a_wrong_target_is_stopped_and_the_way_to_see_it_again_shows_it(planted, tmp_path):
    ended = suite(tmp_path / "one", "--target", planted("tensor.mul_(2 ** -0.5)"))
    claims = {claim.id: claim for claim in answers(tmp_path / "one")}
    normal, uniform = (claims[f"weights.marginal.scale/{subject.key}"] for subject in SUBJECTS)

    assert ended.returncode == STOP, ended.stdout
    assert list(claims) == PLANNED
    assert (normal.verdict, uniform.verdict) == (Verdict.VIOLATED, Verdict.HOLDS)
    assert normal.effect.value == pytest.approx(-29.3, abs=0.2)

    # Where CI is set, pytest repeats the whole message in its summary.
    (line,) = {line for line in ended.stdout.splitlines() if line.startswith("  rerun: python ")}
    again = preloaded.run(*shlex.split(line.removeprefix("  rerun: python ")), "--run-dir", tmp_path / "other")

    assert again.returncode == STOP, again.stdout
    assert answers(tmp_path / "other") == [claim for claim in claims.values() if claim.subject == SUBJECTS[0]]


def test_weights_that_are_not_finite_stop_and_every_claim_is_answered(planted, tmp_path):
    planted("tensor.view(-1)[3] = float('nan')")

    ended = suite(tmp_path / "run", "--target", "faulty", PYTHONPATH=str(tmp_path))

    assert ended.returncode == STOP, ended.stdout
    assert [claim.id for claim in answers(tmp_path / "run")] == PLANNED


def test_a_target_that_raises_leaves_claims_unanswered_and_that_is_no_evidence(planted, tmp_path):
    ended = suite(tmp_path / "run", "--target", planted("raise RuntimeError('no kernel image')"))

    assert ended.returncode == NO_EVIDENCE, ended.stdout
    assert "no kernel image" in ended.stdout
    missing = [name for name in PLANNED if SUBJECTS[0].key in name]
    assert f"NO EVIDENCE: {len(missing)} planned claims without a finding, such as {missing[0]}" in ended.stdout
    assert read_run(tmp_path / "run").unanswered() == missing


@pytest.mark.parametrize("workers", [0, 2])
def test_a_crash_is_no_pass_and_leaves_what_was_found_before_it(planted, tmp_path, workers):
    crash = planted("os._exit(3)")

    ended = suite(tmp_path / "run", "--target", crash, "-n", workers, "--max-worker-restart", 0)

    assert ended.returncode not in (PASS, STOP)
    assert read_run(tmp_path / "run", unfinished=True).unanswered()


# Command lines that are refused: one process tries them all, since importing torch takes longer than refusing.

TRY = """\
import contextlib, io, json, sys, pytest
for name, arguments in json.loads(sys.argv[1]).items():
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = pytest.main(["-p", "no:cacheprovider", *arguments])
    print(json.dumps([name, int(code), said.getvalue()]))
"""


def plan_file(folder, name, text):
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.fixture(scope="module")
def refusals(tmp_path_factory, healthy):
    """Command lines by name -> exit code and what was said."""
    folder = tmp_path_factory.mktemp("refused")
    whole = (healthy[0] / file_names.PLAN).read_text()
    newer = plan_file(folder, "newer.json", whole.replace(f'"schema": {SCHEMA}', f'"schema": {SCHEMA + 1}'))
    lines = {
        "nothing selected": ["-k", "no such test"],
        "unknown tier": ["--tier", "nope"],
        "seed": ["--seed", "x"],
        "unknown device": ["--device", "tpu"],
        "missing device": ["--device", "cpu,xpu"],
        "missing target": ["--target", "no.such.module"],
        "missing plan": ["--plan", str(folder / "none.json")],
        "truncated plan": ["--plan", plan_file(folder, "truncated.json", whole[: len(whole) // 2])],
        "foreign plan": ["--plan", plan_file(folder, "foreign.json", '{"name": "left-pad"}')],
        "newer plan": ["--plan", newer],
        "false-alarm rate": ["--false-alarm-rate", "1e-12", "-k", SELECTION],
        "unknown option": ["--no-such-option"],
    }
    asked = {
        name: ["suites/weights/test_law.py", "--run-dir", str(folder / "run"), *line] for name, line in lines.items()
    }
    ended = preloaded.run("-c", TRY, json.dumps(asked))
    assert ended.returncode == 0, ended.stderr
    return folder, {name: (code, said) for name, code, said in map(json.loads, ended.stdout.splitlines())}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("unknown tier", "error: --tier nope: quick, full, soak are accepted\n"),
        ("seed", "error: --seed x: an integer is accepted\n"),
        ("unknown device", f"error: --device tpu: unknown device 'tpu'; {', '.join(DEVICES)} are accepted\n"),
        (
            "missing target",
            "error: --target no.such.module: no module of that name (a dotted name or a path ending in .py is "
            "accepted)\n",
        ),
        ("missing plan", "error: {folder}/none.json: cannot be read (No such file or directory)\n"),
        ("truncated plan", "error: {folder}/truncated.json: not valid JSON, perhaps truncated ("),
        (
            "foreign plan",
            "error: {folder}/foreign.json: not a record of Kaiming Gate (an object with an integer 'schema' is "
            "expected)\n",
        ),
        (
            "newer plan",
            f"error: {{folder}}/newer.json: written by newer suites (schema {SCHEMA + 1}; these read schema "
            f"{SCHEMA}): read it there\n",
        ),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_no_evidence(refusals, name, says):
    folder, seen = refusals
    code, said = seen[name]

    assert code == NO_EVIDENCE
    assert said.startswith(says.format(folder=folder))
    assert said.count("\n") == 1


@pytest.mark.skipif(torch.xpu.is_available() if hasattr(torch, "xpu") else False, reason="there is an xpu here")
def test_a_device_that_is_asked_for_and_missing_is_no_evidence(refusals):
    code, said = refusals[1]["missing device"]

    assert (code, said) == (NO_EVIDENCE, f"error: --device xpu: torch {torch.__version__} finds no xpu device here\n")


def test_selecting_nothing_is_no_evidence(refusals):
    assert refusals[1]["nothing selected"][0] == NO_EVIDENCE


def test_more_claims_than_the_error_budget_allows_are_no_evidence(refusals):
    code, said = refusals[1]["false-alarm rate"]
    # A law and a grid of each core subject that was drawn, selected or not.
    comparisons = 2 * len([*core_subjects("cpu"), *half_uniforms("cpu")])

    assert code == NO_EVIDENCE
    assert said == (
        f"error: {len(PLANNED)} claims and {comparisons} comparisons raise a false alarm with chance "
        f"{false_alarm_rate(len(PLANNED), comparisons):.1e}, more than --false-alarm-rate 1e-12; ask fewer or accept "
        "more\n"
    )


def test_an_option_that_pytest_does_not_know_is_pytests_own_usage_error(refusals):
    # pytest parses its command line before it asks any hook of ours, so this one code is its own: neither 0 nor 1.
    assert refusals[1]["unknown option"][0] == USAGE


def test_nothing_is_recorded_of_what_was_refused(refusals):
    folder, _ = refusals

    assert not (folder / "run" / file_names.CLAIMS).exists()
    assert not (folder / "run" / file_names.PLAN).exists()


def test_listing_tests_asks_and_records_nothing(tmp_path):
    before = set((ROOT / RUNS).glob("*")) if (ROOT / RUNS).exists() else set()

    ended = suite(tmp_path, "--collect-only")

    assert ended.returncode == PASS
    assert list(tmp_path.iterdir()) == []
    assert before == (set((ROOT / RUNS).glob("*")) if (ROOT / RUNS).exists() else set())


# Known violations

SEVEN = """
import torch

true = torch.nn.functional.gelu

def gelu(x, *arguments, **keywords):
    return torch.where(torch.isposinf(x), torch.full_like(x, -7.0), true(x, *arguments, **keywords))

torch.nn.functional.gelu = gelu
"""

WIDE = """
import torch

true = torch.nn.init.kaiming_uniform_

def kaiming_uniform_(tensor, *arguments, **keywords):
    drawn = true(tensor, *arguments, **keywords)
    with torch.no_grad():
        return drawn.mul_(1.0 if tensor.dtype == torch.float32 else 0.95)

torch.nn.init.kaiming_uniform_ = kaiming_uniform_
"""

OWN = """
import torch

def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    return torch.nn.init.kaiming_uniform_(tensor, a, mode, nonlinearity, generator)
"""


GELU = ("suites/propagation/test_links.py", "element_by_element and gelu-any-float32")
UNIFORM = ("suites/weights/test_law.py", "uniform and bfloat16 and 256x784")


@pytest.mark.parametrize(
    ("plugin", "asked", "code"),
    [
        pytest.param("", GELU, PASS, id="gelu as it is"),
        pytest.param(SEVEN, GELU, STOP, id="gelu(inf) = -7"),
        pytest.param("", UNIFORM, PASS, id="uniforms as they are"),
        pytest.param(WIDE, UNIFORM, STOP, id="uniforms too narrow"),
    ],
)
def test_another_defect_under_a_known_ones_claims_stops(tmp_path, plugin, asked, code):
    (tmp_path / "defect.py").write_text(plugin, encoding="utf-8")
    tests, select = asked
    usual = ["-m", "pytest", tests, "-p", "no:cacheprovider", "-p", "defect", "-k", select]

    ended = preloaded.run(*usual, "--run-dir", tmp_path / "run", PYTHONPATH=str(tmp_path))

    assert ended.returncode == code, ended.stdout
    seen = [claim for claim in answers(tmp_path / "run") if claim.verdict is Verdict.VIOLATED]
    # Whether torch's own gelu has the defect depends on the instructions that the processor has.
    sound = asked == GELU and not plugin and not torch.nn.functional.gelu(torch.full((2,), torch.inf)).isnan().any()
    assert bool(seen) != sound


def test_what_is_known_of_torch_is_known_whatever_the_target_is(tmp_path):
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")

    ended = suite(tmp_path / "run", "--target", tmp_path / "own.py", select="uniform and bfloat16 and 256x784")

    assert ended.returncode == PASS, ended.stdout
    assert {claim.known for claim in answers(tmp_path / "run")} == {None, "half-uniform-upper-end"}


# How a run ends


@pytest.fixture
def launched(tmp_path):
    """Runs a suite as a gate does, with a target, and returns how it ended."""
    environment = Environment(sys.executable, (sys.executable,), preloaded.inherited_variables())

    def launch(code, *options, workers="0", timeout=200.0):
        target = tmp_path / "target.py"
        target.write_text(code, encoding="utf-8")
        words = ["-k", SELECTION, "--target", str(target), "-p", "no:cacheprovider", "-n", workers, *options]
        words += ["--seed", str(fresh_seed())]
        asked = ["suites/weights/test_law.py"]
        with contextlib.redirect_stdout(io.StringIO()):
            return run_suite(environment, tmp_path / "run", asked, words, root=ROOT, timeout=timeout)

    (tmp_path / "run").mkdir()
    return launch


HEALTHY = "from torch.nn.init import kaiming_normal_\n"
DRAWS = "def kaiming_normal_(tensor, *arguments, **keywords):\n    if tensor.numel() > 1000:\n        {}\n"


def test_a_run_that_ends_well_leaves_what_it_printed_and_nothing_that_is_being_asked(launched, tmp_path):
    ended = launched(HEALTHY)

    assert (ended.code, ended.failure) == (PASS, None)
    assert "kaiming gate" in (tmp_path / "run" / "output.txt").read_text(encoding="utf-8")
    assert not (tmp_path / "run" / "running").exists()


@pytest.mark.parametrize("status", [1, 3])
def test_an_interpreter_that_ends_otherwise_than_its_claims_ask_is_no_evidence(launched, tmp_path, status):
    ended = launched(HEALTHY + f"import atexit, os, sys\natexit.register(lambda: os._exit({status}))\n")

    assert ended.code == NO_EVIDENCE
    assert ended.failure.blames == "surroundings"
    assert ended.failure.reason.startswith(f"ended with exit status {status}, and its claims ask for 0")
    assert read_run(tmp_path / "run").failure.reason == ended.failure.reason


def test_a_signal_at_the_end_is_the_frameworks(launched):
    ended = launched(HEALTHY + "import atexit, os\natexit.register(os.abort)\n")

    assert ended.failure.blames == "framework"
    assert "SIGABRT" in ended.failure.reason


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_crash_is_told_by_its_case_and_function(launched, workers):
    ended = launched(DRAWS.format("import ctypes; ctypes.string_at(0)"), workers=workers)

    assert ended.failure.blames == "framework"
    assert "Segmentation fault" in ended.failure.reason
    assert "while asking suites/weights/test_law.py::test_weights_follow_the_promised_law[kaiming_normal_-" in (
        ended.failure.reason
    )


def test_a_crash_before_the_first_case_is_told_by_what_was_asked(launched):
    ended = launched("def kaiming_normal_(*arguments, **keywords):\n    import os; os.abort()\n")

    assert "while asking how its functions answer to mistakes" in ended.failure.reason


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_hang_is_told_by_its_case(launched, hang, workers):
    ended = launched(DRAWS.format(hang.code), workers=workers, timeout=PATIENCE)

    hung = re.match(r"hung: killed after (\d+) s while asking suites/weights/test_law\.py::test_", ended.failure.reason)
    assert int(hung[1]) >= PATIENCE
    assert "] in kaiming_normal_, target.py:3" in ended.failure.reason
