"""The page of a gate: one HTML file that loads nothing, and shows whatever a run file says as text."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from fixtures.record.atomic_file import write_atomically
from fixtures.record.run_folder import Run
from reports.faults import FaultOutcome
from reports.verdict import GateVerdict


def write_page(
    path: Path,
    verdict: GateVerdict,
    baseline: Run,
    candidate: Run,
    *,
    references: Mapping[str, str],
    faults: Sequence[FaultOutcome] = (),
) -> None:
    """Write the page of a gate, under a temporary name first.

    Args:
        path: of the page.
        verdict: what the gate decided.
        baseline: the run of the torch in use.
        candidate: the run of the torch to come.
        references: where registered violations are discussed, by id.
        faults: what the same suites saw of planted faults, if that was asked.

    Raises:
        OSError: it cannot be written.
    """
    # What matplotlib warns of is a folder for its fonts that it may not write to, and that it finds another one.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # It takes a second to import, which only those who want a page should wait.
    from reports.page.rendering import render_page

    page = render_page(verdict, baseline, candidate, references=references, faults=faults)
    write_atomically(path, page.encode())
