"""What a process is asking and in which function it is: by that a crash or a hang can be told."""

from __future__ import annotations

import faulthandler
import signal
from pathlib import Path
from typing import TextIO

from fixtures.gate.launching import WHERE

_open: TextIO | None = None


def be_askable() -> None:
    """Let nobody be ended by the question where they are, pytest-xdist's controller for one."""
    signal.signal(WHERE, signal.SIG_IGN)


def begin(file: Path, asking: str) -> None:
    """Say in `file` what is asked from now on; WHERE adds the Python functions that are at work."""
    global _open
    file.parent.mkdir(parents=True, exist_ok=True)
    before, _open = _open, file.open("w", encoding="utf-8")
    _open.write(f"{asking}\n")
    _open.flush()
    faulthandler.register(WHERE, _open, all_threads=False)
    if before is not None:
        before.close()


def end(file: Path) -> None:
    """Nothing is asked any more."""
    global _open
    faulthandler.unregister(WHERE)
    if _open is not None:
        _open.close()
        _open = None
    file.unlink(missing_ok=True)
