"""Children are shown as they work, and nothing that they start outlives them, the time limit or their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixtures.environments.processes import by_line, run_watched

ROOT = Path(__file__).resolve().parents[2]

PATIENCE_SECONDS = 20
"""For what takes well under a second on an idle machine."""


def watched(program, **options):
    options = {"cwd": ROOT, "variables": os.environ, "show": lambda text: None, "timeout": PATIENCE_SECONDS} | options
    return run_watched([sys.executable, "-u", "-c", program], **options)


def is_gone(process_id):
    """Whether a process has ended within the patience of this test; one that is not reaped yet has."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        state = Path(f"/proc/{process_id}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_output_is_shown_as_it_comes_and_its_end_is_kept(tmp_path):
    """The child goes on only when what it wrote, no whole line, has been seen."""
    seen = tmp_path / "seen"
    shown = []

    def show(text):
        shown.append(text)
        if text.endswith("."):
            seen.touch()

    ended = watched(
        "import pathlib, sys, time\nfor i in range(40): print(i)\nprint('.', end='')\n"
        f"while not pathlib.Path({str(seen)!r}).exists(): time.sleep(0.01)\nprint('!')",
        show=show,
    )

    assert (ended.code, ended.timed_out) == (0, False)
    assert "".join(shown) == ended.output
    assert ended.tail == (*map(str, range(26, 40)), ".!")


def test_lines_are_shown_whole():
    lines = []

    watched(
        "import sys, time\nfor c in 'ab\\ncd\\n': sys.stdout.write(c); time.sleep(0.02)", show=by_line(lines.append)
    )

    assert lines == ["ab", "cd"]


@pytest.mark.parametrize(("program", "code"), [("raise SystemExit(3)", 3), ("import os; os.abort()", -signal.SIGABRT)])
def test_an_exit_status_or_a_signal_is_told(program, code):
    assert watched(program).code == code


SPAWN = (
    "import subprocess, sys, time\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
)


def test_a_hang_ends_at_the_limit_with_its_grandchildren():
    ended = watched(SPAWN + "print(child.pid)\ntime.sleep(300)", timeout=1)

    assert ended.timed_out
    assert ended.seconds < PATIENCE_SECONDS
    assert is_gone(int(ended.output))


def test_what_a_child_leaves_behind_is_ended_with_it():
    ended = watched(SPAWN + "print(child.pid)")

    assert (ended.code, ended.timed_out) == (0, False)
    assert is_gone(int(ended.output))


def test_an_output_that_somebody_else_holds_open_is_not_waited_for():
    escaping = SPAWN.replace("300)'])", "300)'], start_new_session=True)")

    ended = watched(escaping + "print(child.pid)")

    assert not ended.timed_out
    os.kill(int(ended.output), signal.SIGKILL)


def test_a_child_that_closes_its_output_is_waited_for():
    assert watched("import os, time\nos.close(1); os.close(2); time.sleep(0.5); os._exit(7)").code == 7


PARENT = """\
import os, sys
from pathlib import Path
from fixtures.environments.processes import run_watched, to_terminal
child = "import os, time; print(os.getpid(), flush=True); time.sleep(300)"
run_watched([sys.executable, "-c", child], cwd=Path.cwd(), variables=os.environ, show=to_terminal)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_child_outlives_its_parent(number):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    ) as parent:
        child = int(parent.stdout.readline())
        parent.send_signal(number)
        parent.wait(PATIENCE_SECONDS)

    assert is_gone(child)
