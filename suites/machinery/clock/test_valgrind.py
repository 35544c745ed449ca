"""Valgrind counts: the real one, workers without torch, and what becomes of one that fails."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.clock import valgrind
from fixtures.clock.workers import Side, WorkerFailed
from suites.machinery.making import fake_worker
from suites.machinery.making.children import is_gone

pytestmark = pytest.mark.subprocess

NEEDED = pytest.mark.skipif(shutil.which(valgrind.PROGRAM) is None, reason="there is no Valgrind")

NAMES = ("init/a", "init/b")


def sides(part="healthy", ratio=1.0, **variables):
    """Both sides, the candidate's with this part and so much slower."""
    actor, environment = str(Path(fake_worker.__file__)), os.environ | variables
    return {
        "baseline": Side("baseline", (sys.executable, actor, "healthy"), environment),
        "candidate": Side("candidate", (sys.executable, actor, part, f"{ratio:g}"), environment),
    }


@NEEDED
def test_half_as_much_again_takes_half_as_many_instructions_again():
    counts = valgrind.counted(sides(ratio=1.5), NAMES)
    baseline, candidate = (counts[role].instructions for role in ("baseline", "candidate"))

    assert baseline.keys() == candidate.keys() == set(NAMES)
    for name in NAMES:
        # A round of a loop takes ten instructions and more; two children of one process differ by some hundreds.
        assert baseline[name] > 10 * fake_worker.ROUNDS
        assert candidate[name] / baseline[name] == pytest.approx(1.5, rel=0.02)


@NEEDED
def test_what_cannot_be_called_there_is_not_counted():
    counts = valgrind.counted(sides("cannot init/b"), NAMES)

    assert counts["baseline"].instructions.keys() == set(NAMES)
    assert counts["candidate"].instructions.keys() == {"init/a"}
    assert counts["candidate"].failures == {"init/b": "AttributeError: no such function"}


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """A program that is called Valgrind, and does what it is told."""

    def pretend(script):
        program = tmp_path / "bin" / valgrind.PROGRAM
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!{sys.executable}\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)

    return pretend


RUNS_IT = """
import os, sys
first = next(at for at, word in enumerate(sys.argv[1:], 1) if not word.startswith("--"))
os.execv(sys.argv[first], sys.argv[first:])
"""


def test_a_count_that_nobody_wrote_is_a_failure(pretended):
    pretended(RUNS_IT)

    with pytest.raises(WorkerFailed, match=r"the worker of the (baseline|candidate) left no count of init/a"):
        valgrind.counted(sides(), NAMES)


def test_one_that_fails_ends_the_other_at_once(pretended, tmp_path):
    pretended(RUNS_IT)
    (tmp_path / "seen").mkdir()
    both = sides("dies", ACTORS=str(tmp_path / "seen"))
    hangs = replace(both["baseline"], command=(*both["baseline"].command[:-1], "hangs"))

    with pytest.raises(WorkerFailed, match=r"the worker of the candidate died \(exit status 1\)"):
        valgrind.counted(both | {"baseline": hangs}, NAMES)

    assert all(is_gone(int(actor.name)) for actor in (tmp_path / "seen").iterdir())


def test_a_signal_that_came_while_they_started_ends_them(pretended, tmp_path):
    pretended(RUNS_IT)
    (tmp_path / "seen").mkdir()

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        valgrind.counted(sides("hangs", ACTORS=str(tmp_path / "seen")), NAMES, interrupt)

    assert all(is_gone(int(actor.name)) for actor in (tmp_path / "seen").iterdir())
