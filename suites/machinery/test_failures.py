"""Whom a failure is blamed on: the framework only where it is clearly at fault."""

import signal

import pytest

from fixtures.claims import SCHEMA
from fixtures.environments import failures
from fixtures.environments.failures import Failure, failed_install, failed_run, without_credentials
from fixtures.environments.processes import Ended
from reports import records

NO_TORCH = "ERROR: Could not find a version that satisfies the requirement torch==9.9.9 (from versions: 2.6.0)"


@pytest.mark.parametrize(
    ("log", "blamed"),
    [
        (NO_TORCH, "framework"),
        ("satisfies the requirement torch==9.9 (from versions: none)", "surroundings"),
        (
            f"Could not fetch URL https://host.test/torch/: 404 Client Error: Not Found - skipping\n{NO_TORCH}",
            "framework",
        ),
        (
            "Could not find a version that satisfies the requirement triton==9 (from torch) (from versions: 1)",
            "framework",
        ),
        ("Could not find a version that satisfies the requirement sub (from triton->torch==2.6.0)", "framework"),
        ("Could not find a version that satisfies the requirement pytest>=8 (from versions: none)", "surroundings"),
        ("Could not find a version that satisfies the requirement torch-extras (from versions: none)", "surroundings"),
        (
            f"Could not fetch URL https://host.test/torch/: connection error: refused - skipping\n{NO_TORCH}",
            "surroundings",
        ),
        (f"WARNING: Retrying (Retry(total=0, connect=None)) after connection broken\n{NO_TORCH}", "surroundings"),
        (
            f"Could not fetch URL https://host.test/torch/: 503 Server Error: busy - skipping\n{NO_TORCH}",
            "surroundings",
        ),
        (f"Could not fetch URL https://host.test/torch/: 403 Client Error: no - skipping\n{NO_TORCH}", "surroundings"),
        (
            f"WARNING: Location '/mnt/wheels' is ignored: it is either a non-existing path or\n{NO_TORCH}",
            "surroundings",
        ),
        (
            "ERROR: Cannot install torch==2.6.0 because these package versions have conflicting dependencies.",
            "framework",
        ),
        (
            "ERROR: Cannot install torch==2.6.0 because these package versions have conflicting dependencies.\n"
            "The user requested torch==2.6.0\nThe user requested (constraint) torch<2",
            "surroundings",
        ),
        ("ERROR: Cannot install scipy and numpy because these package versions have conflicting", "surroundings"),
        (
            "ERROR: Could not install requirement torch from http://host.test because of HTTP error 404 Client",
            "framework",
        ),
        (
            "ERROR: Could not install requirement torch from http://host.test because of HTTP error 502 Ser",
            "surroundings",
        ),
        ("ERROR: Wheel 'torch' located at /wheels/torch-2.6.0-py3-none-any.whl is invalid.", "framework"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "surroundings"),
        ("ERROR: something that pip has never said before", "surroundings"),
    ],
)
def test_a_failing_install_is_the_frameworks_fault_only_where_the_index_answered(log, blamed):
    assert failed_install("9.9.9", log, log.splitlines()).blames == blamed


def test_a_failing_install_says_in_one_line_what_pip_said():
    tail = ["Looking in links", NO_TORCH, "ERROR: No matching distribution found for torch==9.9.9"]

    failure = failed_install("9.9.9", NO_TORCH, tail)

    assert failure.reason == "9.9.9 cannot be installed (No matching distribution found for torch==9.9.9)"


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
    failure = failed_run(how, finished=False)

    assert (failure.stage, failure.blames) == ("run", blamed)
    assert reason in failure.reason


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_run_that_wrote_its_claims_is_no_failure(code):
    assert failed_run(ended(code), finished=True) is None


def test_reports_read_what_is_written_here(tmp_path):
    failure = Failure("install", "framework", "no such release", ["one", "two"])

    failure.write(tmp_path)

    read = records.read_record(tmp_path / records.FAILURE, records.Failure)
    assert (read.stage, read.blames, read.reason, read.tail) == (
        "install",
        "framework",
        "no such release",
        ("one", "two"),
    )
    assert (failures.SCHEMA, failures.FILE_NAME) == (SCHEMA, records.FAILURE)


def test_nothing_is_written_with_credentials(tmp_path):
    Failure("install", "surroundings", "https://a:b@host.test/x", ['"https://host.test/x?token=b"']).write(tmp_path)

    read = records.read_record(tmp_path / records.FAILURE, records.Failure)
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
