"""Child processes of tests: one that hangs, however long a busy machine takes to come to it, and one that is gone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 3600.0
"""Seconds that a child has: it comes to its hang long before, on any machine."""


WAIT = 120.0
"""Seconds for what takes a second on an idle machine."""


@dataclass(frozen=True)
class Hang:
    """A hang that a child announces.

    Attributes:
        said: file that exists from then on.
    """

    said: Path

    @property
    def code(self) -> str:
        """Statements, in one line, of a child that says so and hangs."""
        return f"import pathlib, time; pathlib.Path({str(self.said)!r}).touch(); time.sleep(600)"

    def monotonic(self) -> float:
        """Seconds, which pass in a leap when the child hangs."""
        return time.monotonic() + (PATIENCE if self.said.exists() else 0.0)


def is_gone(process_id: int) -> bool:
    """Test whether a process ends while one waits for it; one that is not reaped yet has ended."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        state = Path(f"/proc/{process_id}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False
