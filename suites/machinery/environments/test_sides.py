"""The sides of the gate that a user may name, and the messages about other names."""

import os
import sys

import pytest

from fixtures.environments.sides import Interpreter, RunFolder, SideError, parse_baseline, parse_candidate
from suites.machinery.making.wheels import make_wheel


@pytest.mark.parametrize(
    ("text", "requirement", "version"),
    [
        ("2.6.0", "torch==2.6.0", "2.6.0"),
        ("2.13.0+cpu", "torch==2.13.0+cpu", "2.13.0+cpu"),
        ("2.15.0.dev20260101+cu130", "torch==2.15.0.dev20260101+cu130", "2.15.0.dev20260101+cu130"),
        ("torch==2.6.0", "torch==2.6.0", "2.6.0"),
        ("torch[opt-einsum] == 2.6.0", "torch[opt-einsum]==2.6.0", "2.6.0"),
        ("torch", "torch", None),
        ("torch>=2.6", "torch>=2.6", None),
        ("torch==2.6.*", "torch==2.6.*", None),
    ],
)
def test_a_version_or_requirement_is_for_pip_to_install(text, requirement, version, tmp_path):
    wanted = parse_candidate(text, tmp_path)

    assert wanted.requirement == requirement
    assert (str(wanted.version) if wanted.version else None) == version
    assert not wanted.pre


def test_pre_releases_are_asked_for_by_pips_own_option(tmp_path):
    wanted = parse_candidate("--pre torch>=2.15", tmp_path)

    assert (wanted.requirement, wanted.pre, wanted.text) == ("torch>=2.15", True, "--pre torch>=2.15")


def test_a_wheel_is_found_beside_the_caller(tmp_path):
    wheel = make_wheel(tmp_path, "2.6.0+vendor")

    wanted = parse_candidate(wheel.name, tmp_path)

    assert (wanted.wheel, str(wanted.version)) == (wheel, "2.6.0+vendor")


def test_an_interpreter_is_kept_as_given_and_not_resolved(tmp_path):
    link = tmp_path / "2.6-venv" / "python"
    link.parent.mkdir()
    link.symlink_to(sys.executable)

    assert parse_candidate("2.6-venv/python", tmp_path) == Interpreter(link)


def test_a_run_folder_is_a_baseline_only(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "plan.json").write_text("{}")

    assert parse_baseline("run", tmp_path, tmp_path) == RunFolder(tmp_path / "run")
    with pytest.raises(SideError, match="is a folder"):
        parse_candidate("./run", tmp_path)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("2.x", "is no version"),
        ("2.6.0.", "is no version"),
        ("", "is no requirement"),
        ("torch=2.6", "is no requirement"),
        ("numpy==2.0", "names numpy, not torch"),
        ("--index-url https://host.test torch", "has the option --index-url"),
        ("--pre", "is no requirement"),
        ("no/such/python", "does not exist"),
        ("torch-2.6.0-py3-none-any.whl", "does not exist"),
        ("./notes.txt", "is neither a wheel nor executable"),
        ("./empty", "is a folder"),
        ("empty", "names empty, not torch"),
        ("torch.whl", "has no wheel's file name"),
        ("jax-1.0-py3-none-any.whl", "is a wheel of jax, not of torch"),
        ("torch @ file://{here}/empty", "is a source folder"),
    ],
)
def test_anything_else_is_refused_in_one_line_that_says_what_is_accepted(text, wrong, tmp_path):
    for file in ("notes.txt", "torch.whl", "jax-1.0-py3-none-any.whl"):
        (tmp_path / file).touch()
    (tmp_path / "empty").mkdir()

    with pytest.raises(SideError) as refusal:
        parse_candidate(text.format(here=tmp_path), tmp_path)

    assert wrong in str(refusal.value)
    assert "accepted: a version (2.6.0), a pip requirement" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_url_may_change_its_content_and_is_not_pinned(tmp_path):
    wanted = parse_candidate("torch @ https://host.test/torch-2.6.0-py3-none-any.whl", tmp_path)

    assert wanted.version is None


def test_a_folder_that_happens_to_be_called_torch_changes_nothing(tmp_path):
    (tmp_path / "torch").mkdir()

    assert parse_baseline("torch", tmp_path, tmp_path).requirement == "torch"


def test_an_accepted_run_is_found_in_the_checkout_by_its_name(tmp_path):
    for name in ("old", "older", ".half-written.123"):
        (tmp_path / "reports" / "accepted" / name).mkdir(parents=True)
        (tmp_path / "reports" / "accepted" / name / "plan.json.xz").touch()
    (tmp_path / "reports" / "accepted" / "no-run").mkdir()

    found = parse_baseline("accepted:old", tmp_path / "elsewhere", tmp_path)

    assert found == RunFolder(tmp_path / "reports" / "accepted" / "old", "old")
    assert found.text == "accepted:old"
    for name in ("no-run", ".half-written.123", "", "..", "old/../older", f"{tmp_path}"):
        with pytest.raises(SideError, match=r"was not accepted \(those that were: old, older\); accepted: a version"):
            parse_baseline(f"accepted:{name}", tmp_path, tmp_path)


def test_credentials_go_to_pip_and_nowhere_else(tmp_path):
    url = "https://user:secret@host.test/torch-2.6.0-py3-none-any.whl?token=secret"

    wanted = parse_candidate(f"torch @ {url}", tmp_path)

    assert url in wanted.requirement
    assert "secret" not in wanted.text
    with pytest.raises(SideError) as refusal:
        parse_candidate(f"jax @ {url}", tmp_path)
    assert "secret" not in str(refusal.value)


def test_a_folder_without_a_plan_is_no_run(tmp_path):
    with pytest.raises(SideError, match=r"without the plan\.json of a run"):
        parse_baseline(f".{os.sep}", tmp_path, tmp_path)
