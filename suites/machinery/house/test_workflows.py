"""The workflows: the findings of `nox -s lint`, the parts that both triggers share, and steps with a stand-in for nox.

And what they run over: lists in pyproject.toml, and nowhere else.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from fixtures.environments.project import Project
from fixtures.record.file_names import HISTORY, ROOT

WORKFLOWS = ROOT / ".github" / "workflows"
GATE = (WORKFLOWS / "gate.yml").read_text(encoding="utf-8")

WHERE = "in the dependency group lint, which is part of machinery"
pytest.importorskip("check_jsonschema", reason=WHERE)
pytest.importorskip("nox", reason="in the dependency group machinery")
YAML = pytest.importorskip("ruamel.yaml", reason=WHERE).YAML(typ="safe")

pytestmark = pytest.mark.subprocess


@pytest.fixture
def linted(noxfile, tmp_path):
    """Exit statuses of the schema's check and of the audit, and what they say, for the text of a workflow."""

    def linted(text):
        path = tmp_path / ".github" / "workflows" / "gate.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        zizmor = Path(sys.executable).with_name("zizmor")
        commands = (
            [sys.executable, "-m", "check_jsonschema", *noxfile.SCHEMA_OF_WORKFLOWS, path],
            [zizmor, *noxfile.AUDIT_OF_WORKFLOWS, path],
        )
        ended = [subprocess.run(command, capture_output=True, text=True, check=False) for command in commands]
        return [end.returncode for end in ended], "".join(end.stdout + end.stderr for end in ended)

    return linted


@pytest.mark.parametrize("path", sorted(WORKFLOWS.iterdir()), ids=lambda path: path.name)
def test_the_workflows_are_as_they_should_be(linted, path):
    assert linted(path.read_text(encoding="utf-8"))[0] == [0, 0]


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("runs-on:", "run-on:", "run-on"),
        ("if: always()\n        shell: bash", "iff: always()\n        shell: bash", "iff"),
        ("type: number", "type: duration", "duration"),
    ],
)
def test_a_mistake_in_a_workflow_fails_the_schema(linted, right, wrong, says):
    assert right in GATE
    (schema, _), said = linted(GATE.replace(right, wrong))

    assert schema != 0
    assert says in said


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ('--candidate "$CANDIDATE"', '--candidate "${{ inputs.candidate }}"', "template-injection"),
        ("checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0", "checkout@v5", "unpinned-uses"),
        ("          persist-credentials: false\n", "", "artipacked"),
        ("permissions:\n  contents: read\n", "", "excessive-permissions"),
    ],
)
def test_a_hole_in_a_workflow_fails_the_audit(linted, right, wrong, says):
    assert right in GATE
    (_, audit), said = linted(GATE.replace(right, wrong))

    assert audit != 0
    assert says in said


# What the schema cannot know


@pytest.fixture(scope="module")
def triggers():
    """Triggers of the gate's workflow, by name; YAML 1.1 reads `on` as true."""
    content = YAML.load(GATE)
    return content.get("on", content.get(True))


def test_the_gate_is_called_and_dispatched_with_the_same_inputs(triggers):
    called, dispatched = (triggers[name]["inputs"] for name in ("workflow_call", "workflow_dispatch"))

    assert {name: called.get(name) for name in dispatched} == dispatched
    assert len(dispatched) <= 10, "all that GitHub's form took for years"
    assert {name for name, given in called.items() if given.get("required")} == {"repository", "ref"}


def test_every_input_is_used_and_every_input_that_is_used_exists(triggers):
    body = GATE[GATE.index("\njobs:") :]

    assert set(re.findall(r"inputs\.([\w-]+)", body)) == set(triggers["workflow_call"]["inputs"])
    assert set(re.findall(r"secrets\.([\w-]+)", body)) == set(triggers["workflow_call"]["secrets"])


def test_defaults_that_are_json_fit_together(triggers):
    defaults = {name: given.get("default") for name, given in triggers["workflow_call"]["inputs"].items()}

    assert set(json.loads(defaults["devices"])) <= set(json.loads(defaults["runners"]))
    assert json.loads(defaults["tiers"]) == ["quick"]


# What they run over


CI, SCHEDULE = (YAML.load((WORKFLOWS / name).read_text(encoding="utf-8")) for name in ("ci.yml", "schedule.yml"))
AFRESH = SCHEDULE["jobs"]["afresh"]["strategy"]["matrix"]["include"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LISTS = PROJECT["tool"]["kaiming-gate"]


def listed(root=ROOT):
    """Outputs of the first job of a workflow."""
    command = [sys.executable, root / ".ci" / "matrix.py"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return dict(line.split("=", 1) for line in ended.stdout.splitlines())


@pytest.fixture
def checkout(tmp_path):
    """Make a checkout whose pyproject.toml reads otherwise in one place."""

    def checkout(right, wrong):
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        assert text.count(right) == 1
        (tmp_path / "pyproject.toml").write_text(text.replace(right, wrong), encoding="utf-8")
        (tmp_path / ".ci").mkdir()
        shutil.copy(ROOT / ".ci" / "matrix.py", tmp_path / ".ci")
        return tmp_path

    return checkout


def test_the_suites_run_on_every_release_and_on_every_python():
    suites = json.loads(listed()["suites"])

    assert list(dict.fromkeys(job["torch"] for job in suites)) == LISTS["releases"]
    assert sorted({job["python"] for job in suites}) == sorted(LISTS["pythons"])


def test_what_has_no_wheel_is_left_out():
    suites = {(job["torch"], job["python"]) for job in json.loads(listed()["suites"])}

    assert ("2.2.2", "3.12") in suites
    assert not suites & {("2.2.2", "3.13"), ("2.2.2", "3.14"), ("2.6.0", "3.14")}
    assert {("2.6.0", "3.13"), ("2.14.1", "3.14")} <= suites


def test_the_pythons_begin_with_the_oldest_that_the_project_supports():
    assert PROJECT["project"]["requires-python"] == f">={LISTS['pythons'][0]}"
    assert listed()["oldest"] == LISTS["pythons"][0]


def test_the_newest_python_has_a_wheel_of_the_torch_that_the_tests_run_on():
    suites = json.loads(listed()["suites"])

    assert {"torch": LISTS["gate"]["baseline"], "python": listed()["newest"]} in suites


def test_a_release_that_is_added_to_the_list_is_run(checkout):
    root = checkout('releases = ["2.2.2", ', 'releases = ["2.2.2", "2.7.1", ')

    assert {"torch": "2.7.1", "python": "3.13"} in json.loads(listed(root)["suites"])


def test_a_release_of_which_no_wheels_are_known_is_an_error(checkout):
    root = checkout('"2.14.1"]\n', '"2.14.1", "2.99.0"]\n')

    ended = subprocess.run([sys.executable, root / ".ci" / "matrix.py"], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "pyproject.toml: tool.kaiming-gate.wheels does not say which Pythons torch 2.99.0 has wheels for\n"
    )


def strings(node):
    """All strings in a workflow, and its keys."""
    if isinstance(node, dict):
        return [*map(str, node), *(text for value in node.values() for text in strings(value))]
    if isinstance(node, list):
        return [text for item in node for text in strings(item)]
    return [str(node)]


@pytest.mark.parametrize("workflow", [CI, SCHEDULE], ids=["ci", "schedule"])
def test_no_list_of_releases_or_pythons_stands_in_a_workflow(workflow):
    """One Python stands there, to read the lists with: the oldest."""
    said = " ".join(strings({name: part for name, part in workflow.items() if name != "name"}))
    said = re.sub(r"@[0-9a-f]{40}", "", said)

    assert set(re.findall(r"\b3\.\d+\b", said)) == {LISTS["pythons"][0]}
    assert not [release for release in LISTS["releases"] if release in said]


@pytest.mark.parametrize("workflow", [CI, SCHEDULE], ids=["ci", "schedule"])
def test_only_outputs_of_the_lists_are_used(workflow):
    outputs = workflow["jobs"]["lists"]["outputs"]
    used = set(re.findall(r"needs\.lists\.outputs\.(\w+)", " ".join(strings(workflow))))

    assert used == set(outputs)
    assert set(outputs) <= set(listed())
    assert outputs == {name: f"${{{{ steps.read.outputs.{name} }}}}" for name in outputs}


def test_ci_runs_the_sessions_that_nox_runs_by_itself_and_the_suites_and_the_minimums(noxfile):
    jobs = CI["jobs"]
    matrix = jobs["nox"]["strategy"]["matrix"]

    assert matrix["session"] == noxfile.nox.options.sessions
    assert [job["session"] for job in matrix["include"]] == ["tests", "minimums"]
    assert jobs["suites"]["strategy"]["matrix"]["include"] == "${{ fromJSON(needs.lists.outputs.suites) }}"


def test_nox_has_every_session_that_a_workflow_runs():
    """Under the name that the workflow gives it, with a release in it where it has one."""
    command = [sys.executable, "-m", "nox", "-l", "-f", ROOT / "noxfile.py"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    known = set(re.findall(r"^[*-] (.+?)(?: -> .*)?$", ended.stdout, re.MULTILINE))
    matrix = CI["jobs"]["nox"]["strategy"]["matrix"]
    scripts = [step.get("run", "") for file in (CI, SCHEDULE) for job in file["jobs"].values() for step in steps(job)]
    named = re.findall(r'nox -s (?:"([^"]+)"|(\S+))', "\n".join(scripts))
    sessions = {quoted or plain for quoted, plain in named} - {"$SESSION"}
    sessions |= {*matrix["session"], *(job["session"] for job in (*matrix["include"], *AFRESH))}

    asked = {name.replace("$TORCH", release) for name in sessions for release in LISTS["releases"]}

    assert asked <= known


def steps(job):
    return job.get("steps", ())


def test_the_night_gates_the_next_torch_against_the_newest_release_and_the_week_does_so_at_the_full_tier(triggers):
    nightly, weekly = (SCHEDULE["jobs"][name] for name in ("nightly", "weekly"))
    crons = [entry["cron"] for entry in SCHEDULE.get("on", SCHEDULE.get(True))["schedule"]]

    for job in (nightly, weekly):
        assert job["uses"] == "$/.github/workflows/gate.yml"
        assert set(job["with"]) <= set(triggers["workflow_call"]["inputs"])
        assert job["with"]["candidate"] == "--pre torch"
        assert job["with"]["baseline"] == "${{ needs.lists.outputs.release }}"
    assert listed()["release"] == max(LISTS["releases"], key=lambda release: [*map(int, release.split("."))])
    assert nightly["with"]["name"] != weekly["with"]["name"]
    assert json.loads(weekly["with"]["tiers"]) == ["full"]
    daily, once_a_week = crons
    assert re.fullmatch(r"\d+ \d+ \* \* \*", daily)
    assert re.fullmatch(r"\d+ \d+ \* \* \d", once_a_week)
    assert nightly["if"] == SCHEDULE["jobs"]["afresh"]["if"] == f"github.event.schedule != '{once_a_week}'"
    assert weekly["if"] == f"github.event.schedule == '{once_a_week}' || inputs.weekly"


def test_the_night_searches_anew_and_draws_several_times_what_is_drawn(pytestconfig):
    searching, drawing = AFRESH

    assert searching == {"session": "fuzz"}
    assert drawing["session"] == "tests"
    marked, chosen, rounds, number = drawing["options"].split()
    assert (marked, chosen) == ("-m", "draws")
    assert any(mark.startswith(f"{chosen}(") for mark in pytestconfig.getini("markers"))
    assert rounds.removeprefix("--") in vars(pytestconfig.option)
    assert int(number) > 1


@pytest.mark.parametrize("path", sorted(WORKFLOWS.iterdir()), ids=lambda path: path.name)
def test_a_workflow_may_only_read_and_runs_what_it_names_by_content(path):
    workflow = YAML.load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        for step in steps(job):
            assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step.get("uses", f"actions/a@{40 * '0'}"))


def test_what_is_found_at_night_is_summed_up(tmp_path):
    (run,) = (step["run"] for step in SCHEDULE["jobs"]["afresh"]["steps"] if step.get("name") == "Write the summary")
    (tmp_path / "afresh.log").write_text("first\n" * 50 + "```\nlast\n")
    summary = tmp_path / "summary.md"

    subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", run],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "GITHUB_STEP_SUMMARY": str(summary)},
        check=True,
    )

    lines = summary.read_text().splitlines()
    assert (lines[0], lines[-3:], len(lines)) == ("```", ["'''", "last", "```"], 42)


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_history_ends_in_a_verdict_and_an_artifact(tmp_path, code):
    job = SCHEDULE["jobs"]["history"]
    scripts = {step.get("name"): step["run"] for step in job["steps"] if "run" in step}
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nox").write_text(NOX)
    (tmp_path / "bin" / "nox").chmod(0o755)
    summary = tmp_path / "summary.md"
    variables = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "ENDS_WITH": str(code)}
    variables |= {"PIP_EXTRA_INDEX_URL": "", "GITHUB_STEP_SUMMARY": str(summary)}

    ends = [
        subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", scripts[name]],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            check=False,
        ).returncode
        for name in ("Append and judge", "Write the summary")
    ]

    assert ends == [code, 0]
    assert (tmp_path / "told.txt").read_text().split() == ["-s", "history", "--", "--newest"]
    assert summary.read_text() == "```\nindex unset\n```\n"
    assert job["if"] == SCHEDULE["jobs"]["weekly"]["if"]
    kept = job["steps"][-1]
    assert kept["if"] == "always()"
    assert HISTORY.as_posix() in kept["with"]["path"].split()


# The script of any other CI


@pytest.fixture
def ci(tmp_path):
    """Run `.ci/run` in a clone, with stand-ins for venv, pip and nox; some sessions fail, or there is no pip."""

    def ci(*failing, pip="true"):
        tools = tmp_path / "tools"
        tools.mkdir()
        stand_ins = {
            "chromium": "true",
            "python3": f"mkdir -p $3/bin; cp {tools}/nox {tools}/pip $3/bin",
            "pip": pip,
            "nox": f'echo "ran $2, seed 1234"; case " {" ".join(failing)} " in *" $2 "*) exit 1;; esac',
        }
        for name, does in stand_ins.items():
            (tools / name).write_text(f"#!/bin/sh\n{does}\n")
            (tools / name).chmod(0o755)
        (tmp_path / "clone" / ".ci").mkdir(parents=True)
        script = shutil.copy(ROOT / ".ci" / "run", tmp_path / "clone" / ".ci")
        path = f"{tools}{os.pathsep}{os.defpath}"
        return subprocess.run(["bash", script], env={"PATH": path}, capture_output=True, text=True, check=False)

    return ci


def test_ci_states_the_minutes_of_lint_types_and_tests_and_the_seed(ci, noxfile):
    ended = ci()

    lines = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line.split()[1] for line in lines[:-1]] == [f"{name}," for name in noxfile.nox.options.sessions]
    assert lines[-1] == "ci: lint 0.0 min, types 0.0 min, tests 0.0 min; 0.0 min in all; seed 1234"


@pytest.mark.parametrize("failing", [("lint",), ("types",), ("tests",), ("lint", "tests")])
def test_ci_fails_with_any_and_runs_the_others_all_the_same(ci, failing):
    ended = ci(*failing)

    lines = ended.stdout.splitlines()
    assert ended.returncode == 1
    assert sum(line.startswith("ran ") for line in lines) == 3
    assert lines[-1] == f"ci: failed: {' '.join(failing)}"


def test_ci_without_nox_fails(ci):
    ended = ci(pip="exit 3")

    assert (ended.returncode, ended.stdout) == (3, "")


# The oldest versions allowed


def test_the_oldest_versions_are_the_lower_bounds():
    project = Project.read(ROOT / "pyproject.toml")
    names = ("machinery", "calibrate", "lint")

    for name in names:
        bounds, oldest = project.group(name), project.at_minimums().group(name)
        assert [text.replace(">=", "==") for text in bounds] == list(oldest)
    assert "pytest-benchmark[histogram]==5.2" in project.at_minimums().group("bench")
    assert project.at_minimums().releases == project.releases


def test_a_package_has_one_bound_in_all_groups():
    """Or its oldest version could not be installed."""
    groups = PROJECT["dependency-groups"].values()
    texts = {text for group in groups for text in group if isinstance(text, str)}
    names = [Requirement(text).name for text in texts]

    assert len(names) == len(set(names))


# The steps, as GitHub runs them: bash -eo pipefail

NOX = """\
#!/bin/sh
printf '%s\\n' "$@" > told.txt
echo "index ${PIP_EXTRA_INDEX_URL-unset}"
exit "$ENDS_WITH"
"""

USUAL = {
    **dict.fromkeys(("BASELINE", "CANDIDATE", "CANDIDATE_ARTIFACT", "SEED", "POLICY", "WAIVERS", "MODEL"), ""),
    **dict.fromkeys(("WITH", "WITH_BASELINE", "WITH_CANDIDATE"), ""),
    "DEVICE": "cpu",
    "TIER": "quick",
    "PIP_EXTRA_INDEX_URL": "",
    "ENDS_WITH": "0",
}


def script(step):
    """The script of a step of the gate's workflow, and the variables that it is given."""
    (found,) = (item for item in YAML.load(GATE)["jobs"]["gate"]["steps"] if item.get("name") == step)
    return found["run"], set(found.get("env", {}))


def ended(step, folder, **variables):
    """Run a step in a folder, with a stand-in for nox."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "nox").write_text(NOX)
    (folder / "bin" / "nox").chmod(0o755)
    run, _ = script(step)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", run]
    return subprocess.run(
        command, cwd=folder, env={"PATH": path, **variables}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def gate(tmp_path):
    """Arguments of nox in the gate's step with these variables, or the exit status of the step."""

    def gate(**given):
        end = ended("Gate", tmp_path, **USUAL | given)
        assert set(USUAL) - {"ENDS_WITH"} == script("Gate")[1]
        return (tmp_path / "told.txt").read_text().splitlines() if end.returncode == 0 else end

    return gate


def test_what_is_not_given_is_left_to_the_project(gate):
    assert gate() == ["-s", "gate", "--", "--tier", "quick", "--device", "cpu"]


def test_what_is_given_is_handed_on_word_for_word(gate):
    told = gate(
        BASELINE="2.6.0",
        CANDIDATE="--pre torch; $(touch hole)",
        SEED="7",
        POLICY="ci/policy.toml",
        WAIVERS="ci/my waivers.toml",
        MODEL="ci/our model.py",
        WITH="transformers==4.57.1\ntimm>=1, <2\n",
        WITH_CANDIDATE="torchvision",
    )

    assert told[3:] == [
        *("--baseline", "2.6.0", "--candidate", "--pre torch; $(touch hole)", "--tier", "quick", "--device", "cpu"),
        *("--seed", "7", "--policy", "../caller/ci/policy.toml", "--waivers", "../caller/ci/my waivers.toml"),
        *("--model", "../caller/ci/our model.py", "--with", "transformers==4.57.1", "--with", "timm>=1, <2"),
        *("--with-candidate", "torchvision"),
    ]


def test_an_accepted_baseline_settles_what_is_asked(gate):
    assert gate(BASELINE="accepted:2.13.0", SEED="7")[3:] == ["--baseline", "accepted:2.13.0"]


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_gates_exit_status_is_the_steps(gate, code):
    told = gate(ENDS_WITH=str(code))

    assert (told.returncode if code else 0) == code


def test_an_index_that_is_not_given_does_not_reach_pip(tmp_path):
    assert "index unset" in ended("Gate", tmp_path, **USUAL).stdout
    assert "index https://i" in ended("Gate", tmp_path, **USUAL | {"PIP_EXTRA_INDEX_URL": "https://i"}).stdout


@pytest.mark.parametrize(("wheels", "code"), [((), 2), (("a.whl",), 0), (("a.whl", "b.whl"), 2)])
def test_an_artifact_holds_one_wheel(tmp_path, wheels, code):
    (tmp_path / "candidate").mkdir()
    (tmp_path / "gate").mkdir()
    for name in wheels:
        (tmp_path / "candidate" / name).touch()

    end = ended("Gate", tmp_path / "gate", **USUAL | {"CANDIDATE_ARTIFACT": "wheel"})

    assert end.returncode == code
    if code:
        assert end.stderr.startswith("error: artifact wheel holds ")
    else:
        assert "../candidate/a.whl" in (tmp_path / "gate" / "told.txt").read_text().splitlines()


@pytest.mark.parametrize("verdicts", [["first"], ["first", "second"], []])
def test_the_summary_is_the_verdict_or_says_that_there_is_none(tmp_path, verdicts):
    for number, text in enumerate(verdicts):
        run = tmp_path / "kaiming-gate" / "reports" / "runs" / str(number)
        run.mkdir(parents=True)
        (run / "verdict.md").write_text(f"{text}\n")
    summary = tmp_path / "summary.md"

    assert ended("Write the summary", tmp_path, GITHUB_STEP_SUMMARY=str(summary)).returncode == 0

    none = ["No verdict was written; the log of the step `Gate` says why."]
    assert summary.read_text().splitlines() == (verdicts or none)


# A device of one's own

ACCELERATOR = YAML.load((WORKFLOWS / "accelerator.yml").read_text(encoding="utf-8"))


def test_a_device_is_asked_only_on_a_runner_whose_label_is_given():
    (job,) = ACCELERATOR["jobs"].values()

    label = "inputs.runner || vars.ACCELERATOR_RUNNER"
    assert job["if"] == label
    assert job["runs-on"] == ["self-hosted", f"${{{{ {label} }}}}"]


SESSION = """\
#!/bin/sh
printf '%s\\n' "$@" > told.txt
echo "weights  1.0 s  pass"
exit "$ENDS_WITH"
"""


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_sessions_exit_status_is_the_steps_and_its_lines_are_the_summary(tmp_path, code):
    steps_of = {step.get("name"): step["run"] for step in ACCELERATOR["jobs"]["session"]["steps"] if "run" in step}
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text(SESSION)
    (tmp_path / "bin" / "python").chmod(0o755)
    summary = tmp_path / "summary.md"
    variables = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "ENDS_WITH": str(code)}
    variables |= {"DEVICE": "xpu", "SECONDS_IN_ALL": "60", "GITHUB_STEP_SUMMARY": str(summary)}

    ends = [
        subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", steps_of[name]],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            check=False,
        )
        for name in ("Ask", "Write the summary")
    ]

    assert [end.returncode for end in ends] == [code, 0]
    told = (tmp_path / "told.txt").read_text().split()
    assert told == [*("-m", "suites.accelerator", "--device", "xpu"), *("--out", "session", "--seconds", "60")]
    assert summary.read_text() == "```\nweights  1.0 s  pass\n```\n"
