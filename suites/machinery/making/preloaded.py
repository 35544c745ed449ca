"""Python processes that begin with torch, SciPy and pytest imported, which takes another process two seconds.

One process imports them and does nothing else; `run` forks from it, and the fork goes on as the command says, with a
folder, environment, output and exit status of its own. Our own modules are imported afresh. What a library reads from
the environment as it is imported (OMP_NUM_THREADS) is as it is here: whoever sets that starts a process of its own. A
fork waits for its threads, runs what is registered to run at its end and flushes, but does not tear down the modules
that it shares with all others, which would take a quarter of a second: whoever tests a teardown starts a process anew.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fixtures.record.file_names import ROOT

LIBRARIES = (
    "torch",
    "numpy",
    "scipy.stats",
    "scipy.special",
    "msgspec",
    "pytest",
    "rich.console",
    "rich.table",
    "typer",
)


OURS = ("fixtures", "reports", "suites")
"""What a process started anew has not imported yet."""

WAIT = 300.0
"""Seconds until a process is taken for hung and killed; the longest takes ten on an idle machine."""


def inherited_variables() -> dict[str, str]:
    """The environment of this process without what pytest tells its own children."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def run(*arguments: object, timeout: float = WAIT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the checkout, as `subprocess.run([sys.executable, *arguments], cwd=ROOT, ...)` would.

    Args:
        arguments: `-m module ...` or `-c code ...`.
        timeout: seconds.
        variables: of its environment, beside the inherited ones.

    Raises:
        subprocess.TimeoutExpired: it hangs, and was killed.
    """
    command = [*map(str, arguments)]
    environment = inherited_variables() | variables
    # Whoever listens for processes that are started hears of this one too.
    sys.audit("subprocess.Popen", sys.executable, [sys.executable, *command], ROOT, environment)
    with tempfile.TemporaryDirectory() as folder:
        printed = [Path(folder) / name for name in ("stdout", "stderr")]
        asked = {"command": command, "variables": environment, "printed": [*map(str, printed)]}
        status = _parent().fork(asked, timeout)
        stdout, stderr = (file.read_text(encoding="utf-8", errors="replace") for file in printed)
    if status is None:
        raise subprocess.TimeoutExpired([sys.executable, *command], timeout, stdout, stderr)
    return subprocess.CompletedProcess([sys.executable, *command], status, stdout, stderr)


class _Parent:
    """The process that has imported the libraries, seen from the one that asks it."""

    def __init__(self) -> None:
        program = [sys.executable, "-c", f"from {__name__} import serve; serve()"]
        # Without a buffer: an answer that lies in one would not be seen by select.
        self._process = subprocess.Popen(
            program, cwd=ROOT, env=inherited_variables(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asks, self._answers = self._process.stdin, self._process.stdout

    def fork(self, asked: Mapping[str, Any], timeout: float) -> int | None:
        """Exit status of a fork, negative for a signal; None if it had to be killed."""
        self._asks.write(json.dumps(asked).encode() + b"\n")
        child = int(self._answers.readline())
        ready, _, _ = select.select([self._answers], [], [], timeout)
        if not ready:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        status = int(self._answers.readline())
        return status if ready else None

    def end(self) -> None:
        """End it."""
        self._asks.close()
        self._process.wait()
        self._answers.close()


_running: dict[tuple[int, int], _Parent] = {}
"""By process, for a fork of this one has none, and by thread, for it answers one after the other."""


def _parent() -> _Parent:
    asker = os.getpid(), threading.get_ident()
    if asker not in _running:
        _running[asker] = _Parent()
        atexit.register(_running[asker].end)
    return _running[asker]


def serve() -> None:
    """Import the libraries, and fork for each line of standard input until it ends."""
    atexit.register(_leave)  # first, and so the last to be run
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(**asked)
            return
        print(child, flush=True)
        _, ended = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)


def _become(command: list[str], variables: dict[str, str], printed: list[str]) -> None:
    """Go on in a fork as `python *command` would."""
    for descriptor, file in enumerate([os.devnull, *printed]):
        opened = os.open(file, os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(variables)
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    kind, what, *arguments = command
    first = str(ROOT) if kind == "-m" else ""
    sys.path[:1] = [first, *filter(None, variables.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv[:] = [kind, *arguments]
    with _status_kept():
        if kind == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        elif kind == "-c":
            exec(compile(what, "<string>", "exec"), vars(sys.modules["__main__"]))  # noqa: S102 - as python -c
        else:
            raise ValueError(f"{kind}: -m and -c are accepted")


_statuses: list[int] = []
"""Exit status of the program that a fork has run; none in the process that forks, or where Python alone knows."""


@contextlib.contextmanager
def _status_kept() -> Iterator[None]:
    try:
        yield
    except SystemExit as told:
        _statuses.append(told.code & 0xFF if isinstance(told.code, int) else int(told.code is not None))
        raise
    except Exception:
        _statuses.append(1)
        raise
    _statuses.append(0)


def _leave() -> None:
    """End a fork whose program has ended."""
    if _statuses:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_statuses[0])
