"""Children are shown as they work, and nothing that they start outlives them, the time limit or their parent."""

import os
import signal
import subprocess
import sys

import pytest

from fixtures.environments.processes import SHOWN_CHARACTERS, by_line, capped, run_watched
from fixtures.record.file_names import ROOT
from suites.machinery.making.children import PATIENCE, WAIT, is_gone

pytestmark = pytest.mark.subprocess


def watched(program, **options):
    options = {"cwd": ROOT, "variables": os.environ, "show": lambda text: None, "timeout": WAIT} | options
    return run_watched([sys.executable, "-u", "-c", program], **options)


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


def test_a_hang_ends_at_the_limit_with_its_grandchildren(hang):
    ended = watched(SPAWN + "print(child.pid)\n" + hang.code, timeout=PATIENCE)

    assert ended.timed_out
    assert ended.seconds >= PATIENCE
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
        # A shell's background jobs ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as parent:
        child = int(parent.stdout.readline())
        parent.send_signal(number)
        parent.wait(WAIT)

    assert is_gone(child)


def test_output_is_shown_up_to_a_limit_and_without_what_moves_a_cursor():
    seen = []
    show = capped(seen.append, most=20)

    for text in ("\x1b[2Jplain\r\n", "\x07\u202eturned\n", "x" * 100, "never"):
        show(text)

    said = "".join(seen)
    assert said.startswith("plain\nturned\nxxxxxxx\n[more output than is shown")
    assert said.count("more output") == 1
    assert "never" not in said


def test_a_program_that_prints_three_hundred_megabytes_is_followed_in_little_memory(tmp_path):
    code = "import sys\nfor _ in range(300): sys.stdout.write(('\\x1b[31m' + 'x' * 1000 + '\\n') * 1000)\nprint('end')"
    seen = []

    ended = run_watched([sys.executable, "-c", code], cwd=tmp_path, variables=os.environ, show=capped(seen.append))

    assert ended.code == 0
    assert ended.tail[-1] == "end"
    assert len("".join(seen)) < 1.1 * SHOWN_CHARACTERS
    assert "\x1b" not in ended.plain + "".join(seen)
