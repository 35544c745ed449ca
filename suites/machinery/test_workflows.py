"""The workflows: what `nox -s lint` sees in them, what both triggers share, and their steps with a stand-in for nox."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
GATE = (WORKFLOWS / "gate.yml").read_text(encoding="utf-8")

WHERE = "in the dependency group lint, which is part of machinery"
pytest.importorskip("check_jsonschema", reason=WHERE)
pytest.importorskip("nox", reason="in the dependency group machinery")
YAML = pytest.importorskip("ruamel.yaml", reason=WHERE).YAML(typ="safe")


@pytest.fixture(scope="module")
def noxfile():
    """The noxfile, for the options that its lint session gives the tools."""
    spec = importlib.util.spec_from_file_location("noxfile", ROOT / "noxfile.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_ci_runs_the_sessions_that_nox_runs_by_itself(noxfile):
    content = YAML.load((WORKFLOWS / "ci.yml").read_text(encoding="utf-8"))

    assert content["jobs"]["nox"]["strategy"]["matrix"]["session"] == noxfile.nox.options.sessions


# The steps, as GitHub runs them: bash -eo pipefail

NOX = """\
#!/bin/sh
printf '%s\\n' "$@" > told.txt
echo "index ${PIP_EXTRA_INDEX_URL-unset}"
exit "$ENDS_WITH"
"""

USUAL = {
    **dict.fromkeys(("BASELINE", "CANDIDATE", "CANDIDATE_ARTIFACT", "SEED", "POLICY", "WAIVERS"), ""),
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
    """How a step ends in a folder, with a stand-in for nox."""
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
    """What nox is told by the gate's step, with these variables, or how the step ended."""

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
    )

    assert told[3:] == [
        *("--baseline", "2.6.0", "--candidate", "--pre torch; $(touch hole)", "--tier", "quick", "--device", "cpu"),
        *("--seed", "7", "--policy", "../caller/ci/policy.toml", "--waivers", "../caller/ci/my waivers.toml"),
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
