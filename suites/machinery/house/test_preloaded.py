"""A process that is forked from one that has imported torch goes on as one that is started anew."""

from __future__ import annotations

import subprocess
import sys

import pytest

from suites.machinery.making import preloaded

pytestmark = pytest.mark.subprocess

TELLS = """
import json, os, sys
variables = {name: value for name, value in os.environ.items() if name not in ("_", "SHLVL")}
ours = sorted(name for name in sys.modules if name.partition(".")[0] in ("suites", "fixtures", "reports"))
print(json.dumps([sys.argv, os.getcwd(), sorted(variables.items()), ours, sys.stdin.read(), __name__, sys.path]))
print("beside", file=sys.stderr)
"""


def started(*arguments, **variables):
    """The same as a process of its own."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=preloaded.ROOT,
        env=preloaded.inherited_variables() | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def ended(process):
    return process.returncode, process.stdout, process.stderr


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("-c", TELLS, "-x", "one"), id="what it is told"),
        pytest.param(("-m", "tells", "one"), id="a module"),
        pytest.param(("-c", "import sys; print(1); sys.exit(3)"), id="a status"),
        pytest.param(("-c", "import sys; sys.exit(259)"), id="a status of two bytes"),
        pytest.param(("-c", "import sys; sys.exit()"), id="no status"),
        pytest.param(("-c", "import sys; sys.exit('why')"), id="a message"),
        pytest.param(("-c", "import os; os.abort()"), id="a signal"),
        pytest.param(("-c", "import atexit, os; atexit.register(os._exit, 5)"), id="at the end"),
        pytest.param(("-c", "import atexit; atexit.register(print, 'late', end='')"), id="words at the end"),
        pytest.param(("-c", "import threading; threading.Timer(0.1, print, ['late']).start()"), id="a thread"),
    ],
)
def test_it_goes_on_and_ends_as_one_that_is_started_anew(tmp_path, command):
    (tmp_path / "tells.py").write_text(TELLS, encoding="utf-8")
    told = {"PYTHONPATH": str(tmp_path), "COLUMNS": "60"}

    assert ended(preloaded.run(*command, **told)) == ended(started(*command, **told))


def test_an_error_is_told_and_its_status_is_one():
    found = preloaded.run("-c", "raise ValueError('no such thing')")

    assert found.returncode == 1
    assert found.stderr.endswith("ValueError: no such thing\n")


def test_what_is_imported_is_not_seen_by_the_next_one():
    changes = (
        "import torch, fixtures.record.subject; torch.changed = True; torch.set_num_threads(1); torch.manual_seed(1)"
    )
    tells = "import sys, torch; print(hasattr(torch, 'changed'), 'fixtures' in sys.modules, torch.get_num_threads())"
    before = preloaded.run("-c", tells).stdout

    preloaded.run("-c", changes)

    assert preloaded.run("-c", tells).stdout == before
    assert before.startswith("False False ")


def test_one_that_hangs_is_killed():
    with pytest.raises(subprocess.TimeoutExpired) as told:
        preloaded.run("-c", "import time; print('here', flush=True); time.sleep(300)", timeout=1.0)

    assert told.value.stdout == "here\n"
    assert preloaded.run("-c", "print(1)").stdout == "1\n"


def test_other_commands_are_refused():
    assert "-m and -c are accepted" in preloaded.run("script.py", "x").stderr
