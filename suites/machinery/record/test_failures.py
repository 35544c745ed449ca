"""Whom a failure is blamed on: the framework only where it is clearly at fault."""

import signal
from dataclasses import asdict

import pytest

from fixtures.environments.failures import failed_install, failed_run, without_credentials, write_failure
from fixtures.environments.processes import Ended
from fixtures.record import file_names, run_folder
from fixtures.record.failure import Failure
from fixtures.record.run_folder import RecordError

NO_TORCH = "ERROR: Could not find a version that satisfies the requirement torch==9.9.9 (from versions: 2.6.0)"


NO_WHEEL = "ERROR: torch-2.6.0-cp39-cp39-win_amd64.whl is not a supported wheel on this platform."
CONFLICT = "ERROR: Cannot install torch==2.6.0 because these package versions have conflicting dependencies."
REFUSALS = [
    NO_TORCH,
    "satisfies the requirement torch==9.9 (from versions: none)\nERROR: No matching distribution found for torch==9.9",
    f"Could not fetch URL https://host.test/torch/: 404 Client Error: Not Found - skipping\n{NO_TORCH}",
    "ERROR: Could not find a version that satisfies the requirement triton==9 (from torch) (from versions: 1)",
    "ERROR: Could not find a version that satisfies the requirement pytest>=8 (from versions: none)",
    CONFLICT,
    f"{CONFLICT}\nThe user requested torch==2.6.0\nThe user requested (constraint) torch<2",
    "ERROR: Could not install requirement torch from http://host.test because of HTTP error 404 Client",
    NO_WHEEL,
    "ERROR: Package 'torch' requires a different Python: 3.14.0 not in '<3.13'",
]
UNREACHED = [
    f"Could not fetch URL https://host.test/torch/: connection error: refused - skipping\n{NO_TORCH}",
    f"WARNING: Retrying (Retry(total=0, connect=None)) after connection broken\n{NO_TORCH}",
    f"Could not fetch URL https://host.test/torch/: 503 Server Error: busy - skipping\n{NO_TORCH}",
    f"Could not fetch URL https://host.test/torch/: 403 Client Error: no - skipping\n{NO_TORCH}",
    f"WARNING: Location '/mnt/wheels' is ignored: it is either a non-existing path or\n{NO_TORCH}",
    "ERROR: Could not install requirement torch from http://host.test because of HTTP error 502 Ser",
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
    "ERROR: something that pip has never said before",
]


@pytest.mark.parametrize("log", REFUSALS)
def test_a_refusal_of_pips_is_nobodys_fault_and_told_as_one(log):
    failure = failed_install("9.9.9", log, log.splitlines())

    assert failure.blames == "surroundings"
    assert failure.reason.startswith("9.9.9 was not found: pip has nothing to install")


@pytest.mark.parametrize("log", UNREACHED)
def test_an_index_that_did_not_answer_says_nothing_about_torch(log):
    failure = failed_install("9.9.9", log, log.splitlines())

    assert failure.blames == "surroundings"
    assert failure.reason.startswith("9.9.9 was not installed, which says nothing about torch")


@pytest.mark.parametrize(
    "log",
    [
        "ERROR: Wheel 'torch' located at /wheels/torch-2.6.0-py3-none-any.whl is invalid.",
        "  ERROR: Failed building wheel for torch",
        "ERROR: Failed to build 'torch' when getting requirements to build wheel",
    ],
)
def test_a_torch_that_was_found_and_cannot_be_installed_is_at_fault(log):
    failure = failed_install("9.9.9", log, log.splitlines())

    assert failure.blames == "framework"
    assert failure.reason.startswith("9.9.9 cannot be installed")


@pytest.mark.parametrize(
    "log",
    [
        "  ERROR: Failed building wheel for torch-scatter",
        "ERROR: Failed to build torch-scatter",
        "ERROR: Failed to build 'torch-scatter' when getting requirements to build wheel",
    ],
)
def test_a_package_of_the_users_own_that_cannot_be_built_says_nothing_about_torch(log):
    failure = failed_install("2.13.0 with torch-scatter", log, log.splitlines(), with_additions=True)

    assert failure.blames == "surroundings"
    assert failure.reason.startswith("2.13.0 with torch-scatter was not installed, which says nothing about torch")


def test_packages_that_do_not_fit_are_told_by_the_line_that_names_them_and_not_at_any_length():
    cause = "Cannot install a @ https://u:s3cr3t@host.test/a.whl and b==2 because these package versions have "
    helped = "ERROR: ResolutionImpossible: for help visit https://pip.pypa.io"
    tried = cause.replace("b==2", ", ".join(f"b==2.{minor}" for minor in range(200)))

    short, long = (
        failed_install(
            "2.13.0 with a, b", f"ERROR: {text}conflicting dependencies.\n{helped}", (helped,), with_additions=True
        )
        for text in (cause, tried)
    )

    assert short.reason == (
        "2.13.0 with a, b cannot be installed together: no versions fit each other (Cannot install a @ "
        "https://host.test/a.whl and b==2 because these package versions have conflicting dependencies)"
    )
    assert long.reason.endswith(" …)")
    assert len(long.reason) < 400
    assert long.blames == "surroundings"


def test_a_failing_install_says_in_one_line_what_pip_said():
    tail = ["Looking in links", NO_TORCH, "ERROR: No matching distribution found for torch==9.9.9"]

    failure = failed_install("9.9.9", NO_TORCH, tail)

    said = "No matching distribution found for torch==9.9.9"
    assert failure.reason == f"9.9.9 was not found: pip has nothing to install ({said})"


def ended(code=0, timed_out=False, output=""):
    return Ended(code, timed_out, output, 3.0)


@pytest.mark.parametrize(
    ("how", "blamed", "reason"),
    [
        (ended(-signal.SIGSEGV), "framework", "crashed (SIGSEGV)"),
        (ended(128 + signal.SIGABRT), "framework", "crashed (SIGABRT)"),
        (ended(-signal.SIGKILL), "surroundings", "killed from outside (SIGKILL; was memory short?)"),
        (ended(-signal.SIGKILL, timed_out=True), "framework", "hung: killed after 3 s"),
        (
            ended(2, output="worker 'gw1' crashed while running 'test_marginal.py'\n" + "line\n" * 50),
            "framework",
            "worker",
        ),
        (ended(2, output="Fatal Python error: Segmentation fault"), "framework", "worker"),
        (ended(2, output="no tests ran"), "surroundings", "ended without claims (exit status 2)"),
        (ended(0), "surroundings", "ended without claims (exit status 0)"),
    ],
)
def test_a_run_that_was_cut_short_is_blamed(how, blamed, reason):
    failure = failed_run(how, expected=None)

    assert (failure.stage, failure.blames) == ("run", blamed)
    assert reason in failure.reason


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_run_that_ends_as_its_claims_ask_for_is_no_failure(code):
    assert failed_run(ended(code), expected=code) is None


@pytest.mark.parametrize(("code", "expected"), [(1, 0), (3, 0), (2, 0), (0, 1), (3, 1), (0, 2), (5, 2)])
def test_an_end_that_contradicts_the_claims_is_no_evidence(code, expected):
    failure = failed_run(ended(code, output="a last line\n"), expected)

    assert failure.blames == "surroundings"
    assert failure.reason.startswith(f"ended with exit status {code}, and its claims ask for {expected}")
    assert failure.tail == ("a last line",)


IN_THEIRS = "Segmentation fault in kaiming_normal_, my_init.py:12"
CRASH = """\
Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "/somewhere/my_init.py", line 12 in kaiming_normal_
  File "/somewhere/drawing.py", line 32 in initialize
"""


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (
            ended(-signal.SIGSEGV, output=CRASH),
            "crashed (SIGSEGV, Segmentation fault in kaiming_normal_, my_init.py:12)",
        ),
        (ended(2, output=CRASH), "a worker process crashed, Segmentation fault in kaiming_normal_, my_init.py:12"),
        (ended(-signal.SIGKILL, timed_out=True), "hung: killed after 3 s"),
    ],
)
def test_a_crash_and_a_hang_are_told_by_case_function_and_signal(how, reason):
    failure = failed_run(how, None, ["test_law.py::test_law[kaiming_normal_-3x5]", "test_fan.py::test_fan[1x1]"])

    cases = "test_law.py::test_law[kaiming_normal_-3x5] and test_fan.py::test_fan[1x1]"
    assert failure.reason == f"{reason} while asking {cases}"


def test_reports_read_what_is_written_here(tmp_path):
    failure = Failure("install", "framework", "no such release", ("one", "two"))

    write_failure(tmp_path, failure)

    assert run_folder.read_record(tmp_path / file_names.FAILURE, Failure) == failure


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"why": "?"}, id="an unknown field"),
        pytest.param({"blames": "somebody"}, id="an unknown word"),
        pytest.param({"tail": "one"}, id="another type"),
    ],
)
def test_reports_read_nothing_else(tmp_path, content):
    whole = asdict(Failure("install", "framework", "no such release"))
    run_folder.write_record(tmp_path / file_names.FAILURE, whole | content)

    with pytest.raises(RecordError, match=next(iter(content))):
        run_folder.read_record(tmp_path / file_names.FAILURE, Failure)


def test_nothing_is_written_with_credentials(tmp_path):
    signed = '"https://host.test/x?token=b"'
    write_failure(tmp_path, Failure("install", "surroundings", "https://a:b@host.test/x", (signed,)))

    read = run_folder.read_record(tmp_path / file_names.FAILURE, Failure)
    assert (read.reason, read.tail) == ("https://host.test/x", ('"https://host.test/x"',))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("torch @ https://user:secret@host.test/torch.whl", "torch @ https://host.test/torch.whl"),
        ("https://secret@host.test", "https://host.test"),
        ("https://user:s@cret@host.test/x", "https://host.test/x"),
        ("git+ssh://git:secret@host.test/torch.git@v2.6.0", "git+ssh://host.test/torch.git@v2.6.0"),
        ("see https://host.test/t.whl?X-Signature=secret#sha256=1 now", "see https://host.test/t.whl#sha256=1 now"),
        ("mail to someone@host.test about 2.6.0?", "mail to someone@host.test about 2.6.0?"),
    ],
)
def test_credentials_are_removed_from_urls(text, clean):
    assert without_credentials(text) == clean
