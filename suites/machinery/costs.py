"""Costs of a test: what makes it slow is marked (pyproject.toml lists the marks), and `nox -s check` leaves it out."""

from __future__ import annotations

import tomllib
from collections.abc import Set

from hypothesis import settings

from fixtures.record.file_names import ROOT

PYPROJECT = ROOT / "pyproject.toml"

FAST_SECONDS = 0.6
"""Processor time from which an unmarked test is told of: three times what one may take on an idle machine.

A fifth of a second, for `nox -s check` is waited for: 90 s on two cores, of which lint, types and the start of pytest
take half a minute. In the two minutes of processor time that are left, the tests run that take less than that each.
"""

FUZZ_FACTOR = 20
"""Times as many examples as in the tests: `nox -s fuzz` may take half an hour."""

BROWSING = ("browser", "page")
"""Fixtures that start a browser: who asks for one is marked by that alone."""


def marks() -> dict[str, str]:
    """Mark -> reason, of all that pyproject.toml lists."""
    listed = tomllib.loads(PYPROJECT.read_text())["tool"]["pytest"]["ini_options"]["markers"]
    return {name: reason.strip() for name, _, reason in (line.partition(":") for line in listed)}


def examples(usual: int) -> int:
    """Number of examples that Hypothesis tries: as many as usual, and more of them where it searches anew."""
    return usual if settings.default.derandomize else FUZZ_FACTOR * usual


def complaint(marked: Set[str], *, processes: int) -> str | None:
    """Complaint about processes that a test starts and no mark of it names; None if there is none.

    Args:
        marked: names of its marks.
        processes: that it started.
    """
    if processes and not marked & {"subprocess", "pip", "browser"}:
        return f"starts {processes} processes: mark it with pytest.mark.subprocess"
    return None


def slow(marked: Set[str], *, seconds: float) -> str | None:
    """Remark on a test that is slow and bears no mark of it.

    It does not fail by that: seconds depend on the machine, and a busy one takes three times as many, of processor time
    too.

    Args:
        marked: names of its marks.
        seconds: of processor time in its own process.
    """
    if seconds > FAST_SECONDS and not marked & marks().keys():
        return f"{seconds:.1f} s of processor time"
    return None
