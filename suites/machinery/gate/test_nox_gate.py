"""`nox -s gate` from command line to exit status; frameworks, suite and reports are stand-ins of a few lines."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixtures.environments.project import Project
from fixtures.environments.sides import pinned
from fixtures.environments.store import MARKER
from fixtures.gate import command, suite_run
from fixtures.gate.options import OptionError, parse_options
from fixtures.record import file_names, run_folder
from fixtures.record.compression import pack, packed
from fixtures.record.failure import Failure
from fixtures.record.file_names import ROOT
from suites.machinery.chance import SAME_SEED
from suites.machinery.making.children import PATIENCE, WAIT
from suites.machinery.making.disks import fill, small_disk
from suites.machinery.making.wheels import make_wheel, restrict_pip

pytest.importorskip("nox", reason="in the dependency group machinery")

pytestmark = [pytest.mark.pip, pytest.mark.draws(0, "frameworks, suites and clock are stand-ins that draw nothing")]


PYPROJECT = """\
[dependency-groups]
suites = []
reports = []
[tool.kaiming-gate]
releases = ["1.0", "2.0"]
gate = { baseline = "1.0", candidate = "2.0" }
needs = []
"""

# In place of pytest: writes down what it was told and lets the torch of its environment decide how it ends.
SUITE = """\
import json, sys
from pathlib import Path
import torch
folder = Path(sys.argv[sys.argv.index("--run-dir") + 1])
(folder / "told.json").write_text(json.dumps(sys.argv[1:]))
(folder / "plan.json").write_text(json.dumps({"target": "torch.nn.init", "selection": "scale", "claims": ["a"]}))
print("asking torch", torch.__version__, flush=True)
code = torch.run() if hasattr(torch, "run") else 0
verdict = "violated" if code == 1 else "holds"
(folder / "claims.jsonl").write_text(json.dumps({"id": "a", "verdict": verdict, "known": None}))
if hasattr(torch, "end"): torch.end()
sys.exit(code)
"""

# In place of the reports: passes if both runs ended well.
REPORTS = """\
import json, sys
from pathlib import Path
assert sys.argv[1] == "gate"
base, candidate = map(Path, sys.argv[2:4])
(candidate / "asked.json").write_text(json.dumps(sys.argv[4:]))
failure = candidate / "failure.json"
print("verdict on", base.name.partition("-")[2], "and", candidate.name.partition("-")[2])
(candidate / "verdict.json").touch()
if failure.exists():
    sys.exit({"framework": 1, "surroundings": 2}[json.loads(failure.read_bytes())["blames"]])
"""


# In place of the paired clock: writes down what it was told, as its result.
CLOCK = """\
import json, sys
from pathlib import Path
Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps(sys.argv[1:]))
sys.exit(1)
"""


# In place of the user's model: runs the file, which decides how it ends, and writes down what it was told.
MODEL = """\
import json, os, sys
from pathlib import Path
file, told = Path(sys.argv[1]), sys.argv[2:]
into = Path(told[told.index("--into") + 1])
carried = Path(told[told.index("--carried") + 1])
side = told[told.index("--side") + 1]
assert (carried / "weights").exists() == (side == "candidate")
(carried / "weights").touch()
troubles = []
exec(file.read_text())
offline = os.environ["HF_HUB_OFFLINE"]
peak = (3 if side == "candidate" else 1) << 30
record = {"seconds": {}, "troubles": troubles, "told": told, "offline": offline, "peak_bytes": peak}
into.write_text(json.dumps(record))
sys.exit(2 if troubles else 0)
"""


@pytest.fixture
def wheels(known_wheels):
    """The wheels that pip finds: a baseline 1.0 and whatever a test adds."""
    make_wheel(known_wheels, "1.0")
    return known_wheels


@pytest.fixture
def checkout(tmp_path, wheels):  # noqa: ARG001 - a gate in it finds a baseline
    """A checkout with stand-ins for the suites and the reports."""
    root = tmp_path / "checkout"
    (root / "reports").mkdir(parents=True)
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "pytest.py").write_text(SUITE)
    (root / "reports" / "__main__.py").write_text(REPORTS)
    (root / "fixtures" / "clock").mkdir(parents=True)
    (root / "fixtures" / "clock" / "__main__.py").write_text(CLOCK)
    (root / "suites" / "model").mkdir(parents=True)
    (root / "suites" / "model" / "__main__.py").write_text(MODEL)
    return root


@pytest.fixture
def first_gate(checkout, capfd):
    """Run the gate in that checkout, of which nothing is built; exit status and what was shown."""

    def gate(*arguments):
        code = command.run_gate(arguments, root=checkout, base=checkout)
        return code, capfd.readouterr().out

    return gate


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A checkout's environments of the reports and of the baseline, built once for all gates, and its wheels."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    environments = command.environments_of(folder)
    with pytest.MonkeyPatch.context() as patch:
        make_wheel(restrict_pip(folder / "wheels", patch), "1.0")
        with environments.hold("reports"), environments.hold("suites", pinned("1.0")):
            pass
    return environments.store.root, folder / "wheels"


@pytest.fixture
def gate(first_gate, checkout, wheels, built, copied_venvs):  # noqa: ARG001 - the candidate's is a copy
    """Run the gate where the environments of the reports and of the baseline are built already."""
    store, known = built
    shutil.copytree(store, checkout / store.relative_to(known.parent), symlinks=True)
    shutil.copytree(known, wheels, dirs_exist_ok=True)
    for marker in checkout.rglob(MARKER):
        marker.write_text(marker.read_text().replace(known.as_uri(), wheels.as_uri()))
    return first_gate


def run_of(checkout, side):
    """The one run folder of a side."""
    (folder,) = (checkout / "reports" / "runs").glob(f"*-{side}-torch-*")
    return folder


def told(checkout, side):
    """Options that the suite was given on a side, as pairs and flags."""
    return json.loads((run_of(checkout, side) / "told.json").read_text())


def test_both_sides_are_asked_the_same_and_the_reports_decide(first_gate, checkout, wheels):
    make_wheel(wheels, "2.0")

    code, shown = first_gate("--seed", "7", "-k", "scale and not half", "--", "-x", "--maxfail=3")

    assert code == 0
    workers = told(checkout, "baseline")[len(command.ASKED) + len(suite_run.UNWANTED) + 1]
    run_dir = ["--run-dir", str(run_of(checkout, "baseline"))]
    asked = [*command.ASKED, *suite_run.UNWANTED, "-n", workers, *suite_run.SHARED_OUT, *run_dir]
    options = ["--tier", "quick", "--seed", "7", "-k", "scale and not half"]
    assert 1 <= int(workers) <= suite_run.MOST_WORKERS
    assert told(checkout, "baseline") == [*asked, *options, "-x", "--maxfail=3"]
    plan = str(run_of(checkout, "baseline") / "plan.json")
    assert told(checkout, "candidate")[len(asked) :] == [*options, "--plan", plan, "-x", "--maxfail=3"]
    assert "asking torch 1.0\n" in shown
    assert "asking torch 2.0\n" in shown
    assert shown.endswith("verdict on baseline-torch-1.0 and candidate-torch-2.0\n")
    assert (
        "gate: the same again: nox -s gate -- --baseline 1.0 --candidate 2.0 --tier quick --seed 7 "
        "-k 'scale and not half' --timeout 900 -- -x --maxfail=3\n" in shown
    )


@SAME_SEED
def test_a_second_gate_reuses_what_was_built_and_draws_another_seed(first_gate, wheels):
    make_wheel(wheels, "2.0")
    _, first = first_gate()

    code, second = first_gate()

    assert code == 0
    assert "building" in first
    assert "building" not in second
    assert first.splitlines()[0] != second.splitlines()[0]


def test_both_sides_are_timed_together_and_the_reports_read_the_times(gate, checkout, wheels):
    make_wheel(wheels, "2.0")
    for name in ("policy.toml", "waivers.toml"):
        (checkout / name).touch()

    code, _ = gate("--policy", "policy.toml", "--waivers", "waivers.toml", "--device", "cuda,cpu")

    assert code == 0, "the clock's own exit status is not the verdict"
    timings = run_of(checkout, "candidate") / "timings.json"
    words = json.loads(timings.read_text())
    given = dict(zip(words[::2], words[1::2], strict=True))
    assert given["--baseline"] != given["--candidate"]
    assert all(Path(given[side]).exists() for side in ("--baseline", "--candidate"))
    assert (given["--tier"], given["--device"]) == ("quick", "cuda")
    assert "--clock-limit" not in given  # the policy's, or the tier's
    policy, waivers = (str(checkout / name) for name in ("policy.toml", "waivers.toml"))
    assert given["--policy"] == policy
    asked = json.loads((run_of(checkout, "candidate") / "asked.json").read_text())
    assert asked == ["--policy", policy, "--waivers", waivers, "--pairing", str(timings)]


def test_without_a_clock_nothing_is_timed(gate, checkout, wheels):
    make_wheel(wheels, "2.0")

    code, shown = gate("--no-clock")

    assert code == 0
    assert not (run_of(checkout, "candidate") / "timings.json").exists()
    assert "--no-clock" in next(line for line in shown.splitlines() if "the same again" in line)


def test_the_clock_is_told_its_limits(gate, checkout, wheels):
    make_wheel(wheels, "2.0")

    code, shown = gate("--clock-limit", "60")

    assert code == 0
    words = json.loads((run_of(checkout, "candidate") / "timings.json").read_text())
    assert words[words.index("--clock-limit") + 1] == "60,120"
    assert "--clock-limit 60,120" in next(line for line in shown.splitlines() if "the same again" in line)


def test_the_clock_is_told_what_is_to_count(gate, checkout, wheels, monkeypatch):
    make_wheel(wheels, "2.0")
    monkeypatch.setattr("fixtures.gate.options.reason_not_to_count", lambda *_: None)

    code, shown = gate("--instructions", "valgrind")

    assert code == 0
    words = json.loads((run_of(checkout, "candidate") / "timings.json").read_text())
    assert words[words.index("--instructions") + 1] == "valgrind"
    assert "--instructions valgrind" in next(line for line in shown.splitlines() if "the same again" in line)


def test_a_model_of_the_users_is_measured_on_both_sides_and_timed(gate, checkout, wheels):
    make_wheel(wheels, "2.0")
    (checkout / "my_model.py").touch()

    code, _ = gate("--model", "my_model.py", "--seed", "7")

    assert code == 0
    before, after = (
        json.loads((run_of(checkout, side) / "model.json").read_text()) for side in ("baseline", "candidate")
    )
    assert before["offline"] == "1"
    assert before["told"][before["told"].index("--seed") + 1] == "7"
    assert "--seed" not in after["told"]  # the baseline's counts, and is carried
    carried = {side["told"][side["told"].index("--carried") + 1] for side in (before, after)}
    assert len(carried) == 1
    assert not Path(*carried).exists()
    words = json.loads((run_of(checkout, "candidate") / "timings.json").read_text())
    assert words[words.index("--model") + 1] == str(checkout / "my_model.py")
    assert words[words.index("--model-bytes") + 1] == str(3 << 30)  # the larger one's


@pytest.mark.parametrize(
    "ending",
    [
        "troubles.append({'stage': 'file', 'text': 'no build', 'tail': []})",
        "os.kill(os.getpid(), 11)",
        "os._exit(3)",
    ],
)
def test_a_model_that_cannot_be_built_is_not_timed_and_all_else_is_judged(ending, gate, checkout, wheels):
    make_wheel(wheels, "2.0")
    (checkout / "my_model.py").write_text(f"if side == 'candidate': {ending}")

    code, _ = gate("--model", "my_model.py")

    assert code == 0  # the stand-in for the reports does not look at it
    record = json.loads((run_of(checkout, "candidate") / "model.json").read_text())
    assert [trouble["stage"] for trouble in record["troubles"]] == ["file"]
    words = json.loads((run_of(checkout, "candidate") / "timings.json").read_text())
    assert "--model" not in words


def test_a_model_is_not_asked_of_a_run_folder(first_gate, checkout):
    (checkout / "my_model.py").touch()
    (checkout / "earlier").mkdir()
    (checkout / "earlier" / "plan.json").write_text("{}")

    code, shown = first_gate("--baseline", "earlier", "--model", "my_model.py")

    assert code == 2
    assert "--model: both torches are asked about it, and the baseline is a run folder" in shown


INTERRUPT = """\
import os, signal
os.kill(os.getppid(), signal.SIGINT)
"""


@pytest.fixture
def terminal():
    """Ctrl-C as in a terminal: what a shell starts in the background, as under nohup, ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("terminal")
def test_an_interrupt_is_the_clocks_to_answer(gate, checkout, wheels):
    """It may end with what it has, and the gate with a verdict."""
    make_wheel(wheels, "2.0")
    (checkout / "fixtures" / "clock" / "__main__.py").write_text(INTERRUPT + CLOCK)

    code, shown = gate()

    assert code == 0
    assert shown.endswith("verdict on baseline-torch-1.0 and candidate-torch-2.0\n")


@pytest.mark.usefixtures("terminal")
def test_a_clock_that_is_interrupted_and_has_nothing_ends_the_gate(gate, checkout, wheels):
    make_wheel(wheels, "2.0")
    (checkout / "fixtures" / "clock" / "__main__.py").write_text(INTERRUPT + "raise SystemExit(2)")

    code, shown = gate()

    assert code == 2
    assert shown.splitlines()[-1] == "gate: interrupted; nothing is decided"


def test_a_clock_that_leaves_no_times_is_no_evidence(gate, checkout, wheels):
    make_wheel(wheels, "2.0")
    (checkout / "fixtures" / "clock" / "__main__.py").write_text("import sys; sys.exit(2)")

    code, shown = gate()

    assert code == 2
    assert shown.splitlines()[-1] == "gate: nothing is decided: the clock did not end"


def test_a_candidate_that_crashed_is_not_timed(gate, checkout, wheels):
    make_wheel(wheels, "2.0", "import os\ndef run(): os.abort()")

    assert gate()[0] == 1
    assert not (run_of(checkout, "candidate") / "timings.json").exists()


def test_violations_are_for_the_reports_to_judge(gate, checkout, wheels):
    make_wheel(wheels, "2.0", "def run(): return 1")

    code, _ = gate()

    assert code == 0
    assert not (run_of(checkout, "candidate") / "failure.json").exists()


@pytest.mark.parametrize(
    ("body", "stage", "reason"),
    [
        ("raise ImportError('undefined symbol: kaiming')", "import", "import torch failed (exit status 1)"),
        ("import os\ndef run(): print('about to'); os.abort()", "run", "crashed (SIGABRT)"),
        ("def run(): print('about to'); {hang}", "run", "hung: killed after"),
    ],
)
def test_a_candidate_that_fails_is_stopped_with_its_last_words(gate, checkout, wheels, hang, body, stage, reason):
    make_wheel(wheels, "2.0", body.format(hang=hang.code))

    code, _ = gate("--timeout", f"{PATIENCE:.0f}")

    assert code == 1
    failure = run_folder.read_record(run_of(checkout, "candidate") / file_names.FAILURE, Failure)
    assert (failure.stage, failure.blames) == (stage, "framework")
    assert failure.reason.startswith(reason)
    assert failure.tail[-1] in ("ImportError: undefined symbol: kaiming", "about to")
    assert (run_of(checkout, "baseline") / "claims.jsonl").exists()


def test_a_candidate_that_no_index_has_is_no_evidence(gate, checkout):
    code, shown = gate("--candidate", "2.1")

    assert code == 2
    says = "gate: the candidate was not judged: 2.1 was not found: pip has nothing to install (No matching distribution"
    assert shown.splitlines()[-1].startswith(says)
    assert not (checkout / "reports" / "runs").exists()


def test_a_candidate_that_was_found_and_cannot_be_installed_is_stopped(gate, checkout, wheels):
    make_wheel(wheels, "2.0")
    (wheel,) = wheels.glob("torch-2.0-*")
    wheel.write_bytes(wheel.read_bytes()[:-40])

    code, shown = gate()

    assert code == 1
    assert "gate: the candidate fails: 2.0 cannot be installed" in shown
    assert (run_of(checkout, "candidate") / "failure.json").exists()
    assert (run_of(checkout, "baseline") / "claims.jsonl").exists()


def test_a_candidate_that_cannot_be_fetched_is_not_judged(gate, checkout, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody listens
    monkeypatch.setenv("PIP_RETRIES", "0")

    code, shown = gate()

    assert code == 2
    assert shown.splitlines()[-1].startswith(
        "gate: the candidate was not judged: 2.0 was not installed, which says nothing"
    )
    assert not (checkout / "reports" / "runs").exists()


def test_a_candidate_that_ends_without_claims_is_no_evidence(gate, wheels):
    make_wheel(wheels, "2.0", "import sys\ndef run(): sys.exit(0)")

    assert gate()[0] == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ImportError('undefined symbol: kaiming')", "import torch failed (exit status 1)"),
        ("import os\ndef run(): os.abort()", "crashed (SIGABRT) ("),
        ("import sys\ndef run(): print('no tests ran'); sys.exit(2)", "ended without claims (exit status 2) ("),
    ],
)
def test_an_unusable_baseline_is_no_evidence(gate, wheels, body, reason):
    make_wheel(wheels, "1.0", body)
    make_wheel(wheels, "2.0")

    code, shown = gate()

    assert code == 2
    assert shown.splitlines()[-1].startswith(f"gate: the baseline is unusable: {reason}")


def test_a_report_that_breaks_is_no_verdict(gate, checkout, wheels):
    make_wheel(wheels, "2.0")
    (checkout / "reports" / "__main__.py").write_text("raise ZeroDivisionError")

    assert gate()[0] == 2


def test_a_run_folder_stands_for_the_baseline_it_came_from(gate, checkout, wheels, tmp_path):
    make_wheel(wheels, "2.0")
    gate("--seed", "7")
    run_of(checkout, "baseline").rename(tmp_path / "kept")

    code, _ = gate("--baseline", "../kept", "--candidate", "1.0")

    assert code == 0
    *_, candidate = sorted((checkout / "reports" / "runs").iterdir())
    questions = [*("--target", "torch.nn.init", "-k", "scale"), "--plan", str(checkout / ".." / "kept" / "plan.json")]
    assert json.loads((candidate / "told.json").read_text())[-len(questions) :] == questions


def test_an_accepted_run_stands_for_the_baseline_it_came_from(gate, checkout, wheels, tmp_path):
    make_wheel(wheels, "2.0")
    gate("--seed", "7")
    run = run_of(checkout, "baseline")
    kept = checkout / "reports" / "accepted" / "1.0"
    kept.mkdir(parents=True)
    packed(kept / "plan.json").write_bytes(pack((run / "plan.json").read_bytes()))
    shutil.rmtree(checkout / "reports" / "runs")

    # From wherever it is called: what was accepted belongs to the checkout.
    code = command.run_gate(["--baseline", "accepted:1.0"], root=checkout, base=tmp_path)

    assert code == 0
    (candidate,) = (checkout / "reports" / "runs").iterdir()
    questions = ["--target", "torch.nn.init", "-k", "scale", "--plan", str(kept / "plan.json")]
    assert json.loads((candidate / "told.json").read_text())[-len(questions) :] == questions


def test_a_gate_against_an_accepted_run_is_repeated_by_its_name(checkout):
    (checkout / "reports" / "accepted" / "1.0").mkdir(parents=True)
    (checkout / "reports" / "accepted" / "1.0" / "plan.json").write_text("{}")
    project = Project.read(checkout / "pyproject.toml")

    options = parse_options(["--baseline", "accepted:1.0"], project, checkout)

    assert options.command == "nox -s gate -- --baseline accepted:1.0 --candidate 2.0 --timeout 86400"


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("plan.json", "[]", "is not the plan of a run"),
        ("plan.json", '{"target": "torch.n', "is not the plan of a run"),
        ("failure.json", "{}", "did not end as planned"),
    ],
)
def test_a_run_folder_that_cannot_stand_for_a_baseline_is_refused_at_once(first_gate, checkout, file, content, reason):
    (checkout / "run").mkdir()
    (checkout / "run" / "plan.json").write_text("{}")
    (checkout / "run" / file).write_text(content)

    code, shown = first_gate("--baseline", "run")

    assert code == 2
    assert shown.splitlines()[-1].endswith(reason)
    assert "building" not in shown


def test_a_wheel_that_was_replaced_is_gated_anew(gate, wheels):
    make_wheel(wheels, "2.0")
    assert gate()[0] == 0

    make_wheel(wheels, "2.0", "import os\ndef run(): os.abort()")

    assert gate()[0] == 1


def test_an_interrupt_ends_everything_with_2(checkout, wheels):
    make_wheel(wheels, "2.0", "import os, time\ndef run(): print('pid', os.getpid(), flush=True); time.sleep(300)")
    with started(checkout) as running:
        child = next(int(line.split()[1]) for line in running.stdout if line.startswith("pid"))
        running.send_signal(signal.SIGTERM)
        shown, _ = running.communicate(timeout=WAIT)

    assert running.returncode == 2
    assert shown == "gate: interrupted; nothing is decided\n"
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


GATE = """\
import sys
from pathlib import Path
from fixtures.gate import command
sys.exit(command.run_gate(sys.argv[2:], root=Path(sys.argv[1]), base=Path(sys.argv[1])))
"""


def started(checkout, *arguments):
    """A gate of that checkout in a process of its own."""
    command = [sys.executable, "-c", GATE, str(checkout), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no child is told that its parent was killed")
def test_after_a_kill_the_next_gate_works_and_reads_nothing_of_the_killed_one(gate, checkout, wheels):
    make_wheel(wheels, "2.0", "import os, time\ndef run(): print('pid', os.getpid(), flush=True); time.sleep(300)")
    with started(checkout) as running:
        child = next(int(line.split()[1]) for line in running.stdout if line.startswith("pid"))
        running.kill()
    killed = run_of(checkout, "candidate")
    patience = time.monotonic() + WAIT
    while Path(f"/proc/{child}").exists() and time.monotonic() < patience:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists(), "the suite dies with the gate"
    left = {path.name for path in killed.iterdir()}

    code, shown = gate("--candidate", "1.0")

    assert code == 0
    assert killed.name.partition("-")[0] not in shown
    assert {path.name for path in killed.iterdir()} == left
    assert not left & {"claims.jsonl", "verdict.json", "failure.json"}


def test_two_gates_at_once_do_not_mix(checkout, wheels):
    make_wheel(wheels, "2.0")
    gates = [started(checkout, "--seed", seed) for seed in ("1", "2")]
    shown = [running.communicate(timeout=WAIT)[0] for running in gates]

    assert [running.returncode for running in gates] == [0, 0], shown
    runs = sorted((checkout / "reports" / "runs").iterdir())
    asked = {folder: json.loads((folder / "told.json").read_text()) for folder in runs}
    seeds = {folder: words[words.index("--seed") + 1] for folder, words in asked.items()}
    assert sorted(seeds.values()) == ["1", "1", "2", "2"]
    candidates = [folder for folder in runs if "-candidate-" in folder.name]
    for folder in candidates:
        baseline = Path(asked[folder][asked[folder].index("--plan") + 1]).parent
        assert seeds[baseline] == seeds[folder]
        assert (folder / "verdict.json").exists()
    assert len(candidates) == 2


def test_a_reports_folder_that_cannot_be_written_is_one_line(gate, checkout):
    (checkout / "reports" / "runs").touch()

    code, shown = gate("--candidate", "1.0")

    assert code == 2
    assert shown.splitlines()[-1].startswith("gate: nothing is decided: [Errno 20] Not a directory: ")
    assert "Traceback" not in shown


@pytest.mark.parametrize("leave", [0, 12_288], ids=["for nothing", "for the baseline"])
def test_a_full_disk_decides_nothing(gate, checkout, leave):
    with small_disk(checkout / "reports" / "runs", kilobytes=64) as runs:
        fill(runs, leave)

        code, shown = gate("--candidate", "1.0")

        assert code == 2
        assert not list(runs.glob("*/verdict.json"))
    said = shown.splitlines()[-1]
    assert "No space left on device" in said or said.startswith("gate: the baseline is unusable: ended without claims")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nonsense"], "unrecognized arguments: --nonsense; accepted: --help, --baseline, --candidate, --tier, "),
        (["2.6.0"], "unrecognized arguments: 2.6.0; accepted: "),
        (["--candidate", "2.x"], "--candidate: '2.x' is no version; accepted: a version (2.6.0), a pip requirement"),
        (["--baseline", "numpy"], "--baseline: 'numpy' names numpy, not torch; accepted: a version (2.6.0), "),
        (["--tier", "huge"], "argument --tier: invalid choice: 'huge' (choose from "),
        (["--seed", "-1"], "argument --seed: '-1' is not a whole number of 0 or more"),
        (["--seed", "1.5"], "argument --seed: '1.5' is not a whole number of 0 or more"),
        (["--false-alarm-rate", "1"], "argument --false-alarm-rate: '1' is not a probability between 0 and 1"),
        (["--false-alarm-rate", "nan"], "argument --false-alarm-rate: 'nan' is not a probability between 0 and 1"),
        (["--timeout", "0"], "argument --timeout: '0' is not a number of seconds above 0"),
        (["--timeout", "inf"], "argument --timeout: 'inf' is not a number of seconds above 0"),
        (["--device", "cpu cuda"], "argument --device: 'cpu cuda' is not a list of devices such as cpu,cuda"),
        (
            ["--instructions", "valgrind", "--device", "cuda,cpu"],
            "--instructions valgrind: it counts what the processor does, and the clock times cuda",
        ),
        (["--target", "my-init"], "argument --target: 'my-init' is neither a dotted module name nor a .py file"),
        (["--policy", "none.toml"], "--policy: none.toml does not exist"),
        (["--model", "none.py"], "--model: none.py does not exist"),
        (["--with", "model=4"], "--with: 'model=4' is no requirement ("),
        (["--with-baseline", "-e ."], "--with-baseline: '-e .' is no requirement ("),
        (["--with", "torch==2.6"], "--with: 'torch==2.6' names torch, which --baseline and --candidate name\n"),
        (
            ["--with-candidate", "torch"],
            "--with-candidate: 'torch' names torch, which --baseline and --candidate name\n",
        ),
        (
            ["--with", "a", "--with-candidate", "b", "--with-candidate", "A==2"],
            "--with-candidate: a is in --with, too, which is for both sides\n",
        ),
        (
            ["--baseline", "run", "--with-baseline", "a"],
            "--with-baseline: the baseline is a run that was made, with the packages that it had\n",
        ),
        (
            ["--candidate", "./python", "--with", "a"],
            "--with: the candidate {base}/python is run as it is, nothing is installed into it; "
            "bring the packages in it yourself; --with-baseline is for the other side\n",
        ),
        (
            ["--baseline", "./python", "--with", "a"],
            "--with: the baseline {base}/python is run as it is, nothing is installed into it; "
            "bring the packages in it yourself; --with-candidate is for the other side\n",
        ),
        (
            ["--baseline", "./python", "--candidate", "./python", "--with", "a"],
            "--with: the baseline {base}/python is run as it is, nothing is installed into it; "
            "bring the packages in it yourself\n",
        ),
        (
            ["--baseline", "run", "--candidate", "./python", "--with", "a"],
            "--with: the candidate {base}/python is run as it is, nothing is installed into it; "
            "bring the packages in it yourself\n",
        ),
        (
            ["--candidate", "./python", "--with-candidate", "a"],
            "--with-candidate: the candidate {base}/python is run as it is, nothing is installed into it; bring the ",
        ),
        (["--waivers", "none.toml"], "--waivers: none.toml does not exist"),
        (["--target", "no/such.py"], "--target: no/such.py does not exist"),
        (
            ["--baseline", "accepted:old"],
            "--baseline: 'accepted:old' was not accepted (python -m reports accept RUN --as",
        ),
        (["--baseline", "run", "--seed", "3"], "--seed: the plan of the baseline's run folder settles it already"),
        (["--baseline", "run", "-k", "x"], "-k: the plan of the baseline's run folder settles it already"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line_before_anything_is_made(first_gate, checkout, arguments, said):
    (checkout / "run").mkdir()
    (checkout / "run" / "plan.json").write_text("{}")
    (checkout / "python").symlink_to(sys.executable)

    code, shown = first_gate(*arguments)

    assert code == 2
    assert shown.startswith(f"gate: {said.replace('{base}', str(checkout))}")
    assert shown.count("\n") == 1
    assert not (checkout / ".nox").exists()


def test_options_in_force(checkout):
    project = Project.read(checkout / "pyproject.toml")
    (checkout / "init.py").touch()

    options = parse_options(["--target", "init.py", "--tier", "full"], project, checkout)

    assert (options.baseline.text, options.candidate.text, options.timeout) == ("1.0", "2.0", 4 * 3600)
    assert options.suite == ("--tier", "full", "--seed", str(options.seed), "--target", str(checkout / "init.py"))
    with pytest.raises(OptionError):
        parse_options(["--targ", "init.py"], project, checkout)


def test_packages_of_the_users_own_lie_beside_both_torches_or_one_and_are_recorded(gate, checkout, wheels):
    for version in ("4.0", "5.0"):
        make_wheel(wheels, version, name="model")
    make_wheel(wheels, "1.0", name="tool")

    code, shown = gate(
        *("--candidate", "1.0", "--with", "tool==1.0", "--seed", "7"),
        *("--with-baseline", "model==4.0", "--with-candidate", "model>=5", "--no-clock"),
    )

    assert code == 0
    assert shown.startswith(
        "gate: 1.0 with tool==1.0, model==4.0 -> 1.0 with tool==1.0, model>=5, tier quick, seed 7\n"
    )
    assert (
        "gate: the same again: nox -s gate -- --baseline 1.0 --candidate 1.0 --with tool==1.0 "
        "--with-baseline model==4.0 --with-candidate 'model>=5' --tier quick --seed 7 --timeout 900 --no-clock\n"
        in shown
    )
    for side, own in (("baseline", "model==4.0"), ("candidate", "model>=5")):
        words = told(checkout, side)
        assert [after for word, after in itertools.pairwise(words) if word == "--added"] == ["tool==1.0", own]
    built = [line for line in shown.splitlines() if "building" in line]
    assert built == [
        "gate: building the environment for 1.0 with tool==1.0, model==4.0",
        "gate: building the environment for the group 'pip'",
        "gate: building the environment for 1.0 with tool==1.0, model>=5",
    ]


def test_packages_that_do_not_fit_are_no_evidence_and_not_the_candidates_fault(gate, checkout, wheels):
    make_wheel(wheels, "2.0")
    make_wheel(wheels, "4.0", name="model", needs=["torch==1.0"])

    code, shown = gate("--with", "model==4.0")

    assert code == 2
    assert shown.splitlines()[-1].startswith(
        "gate: the candidate was not judged: 2.0 with model==4.0 cannot be installed together: no versions fit each "
    )
    assert not (checkout / "reports" / "runs").exists()


def test_packages_lie_beside_the_candidate_alone_where_the_baseline_is_a_run(gate, checkout, wheels, tmp_path):
    make_wheel(wheels, "4.0", name="model")
    gate("--seed", "7", "--candidate", "1.0", "--no-clock")
    run_of(checkout, "baseline").rename(tmp_path / "kept")

    code, shown = gate("--baseline", "../kept", "--candidate", "1.0", "--with", "model==4.0")

    assert code == 0
    assert "-> 1.0 with model==4.0\n" in shown
    *_, candidate = sorted((checkout / "reports" / "runs").iterdir())
    assert json.loads((candidate / "told.json").read_text())[-2:] == ["--added", "model==4.0"]


def test_an_interpreter_brings_its_own_and_the_other_side_is_added_to(checkout):
    (checkout / "python").symlink_to(sys.executable)
    project = Project.read(checkout / "pyproject.toml")

    options = parse_options(["--baseline", "./python", "--with-candidate", "model==5"], project, checkout)

    assert [each.text for each in options.additions.candidate] == ["model==5"]
    assert not options.additions.both
    assert not options.additions.baseline


def test_a_model_is_kept_and_named_in_the_command(checkout):
    (checkout / "my model.py").touch()
    project = Project.read(checkout / "pyproject.toml")

    options = parse_options(["--model", "my model.py"], project, checkout)

    assert options.model == checkout / "my model.py"
    assert options.command.endswith(f"--model '{options.model}'")
    assert parse_options([], project, checkout).model is None


def nox_gate(*arguments):
    """`nox -s gate` of this checkout."""
    command = [sys.executable, "-m", "nox", "-s", "gate", "--", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WAIT, check=False)


def test_nox_leaves_the_exit_status_alone():
    refused = nox_gate("--nonsense")

    assert refused.returncode == 2
    assert refused.stdout.startswith("gate: unrecognized arguments: --nonsense; accepted: ")
    assert refused.stdout.count("\n") == 1
    assert "Traceback" not in refused.stderr


def test_nox_hands_over_what_follows_a_second_separator():
    refused = nox_gate("--seed", "x", "--", "-x")

    assert refused.stdout == "gate: argument --seed: 'x' is not a whole number of 0 or more\n"


def test_nox_explains_every_session():
    listed = subprocess.run([sys.executable, "-m", "nox", "-l"], cwd=ROOT, capture_output=True, text=True, check=True)

    sessions = [line for line in listed.stdout.splitlines() if line.startswith(("* ", "- "))]
    named = {line[2:].split(" -> ")[0].split("(")[0] for line in sessions}
    assert named >= {"gate", "tests", "suites", "report", "lint", "types"}
    assert all(" -> " in line for line in sessions)
