"""The page of a gate: one HTML file that loads nothing, and shows whatever a run file says as text."""

from __future__ import annotations

import logging
from pathlib import Path

from fixtures.record.atomic_file import write_atomically
from reports.view.evidence import Evidence
from reports.view.gate import GateView


def write_page(path: Path, view: GateView, evidence: Evidence) -> None:
    """Write the page of a gate, under a temporary name first.

    Raises:
        OSError: it cannot be written.
    """
    # What matplotlib warns of is a folder for its fonts that it may not write to, and that it finds another one.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # It takes a second to import, which only those who want a page should wait.
    from reports.renderers.page.document import render_page

    write_atomically(path, render_page(view, evidence).encode())
