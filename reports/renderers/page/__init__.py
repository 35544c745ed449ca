"""Pages, of a gate and of all releases: an HTML file each that loads nothing, and shows what a record says as text."""

from __future__ import annotations

import logging
from pathlib import Path

from fixtures.record.atomic_file import write_atomically
from reports.view.evidence import Evidence
from reports.view.gate import GateView
from reports.view.history import HistoryView


def write_page(path: Path, view: GateView, evidence: Evidence) -> None:
    """Write the page of a gate, under a temporary name first.

    Raises:
        OSError: it cannot be written.
    """
    _quieten()
    # It takes a second to import, which only those who want a page should wait.
    from reports.renderers.page.document import render_page

    write_atomically(path, render_page(view, evidence).encode())


def write_history(path: Path, view: HistoryView) -> None:
    """Write the page of all releases, under a temporary name first.

    Raises:
        OSError: it cannot be written.
    """
    _quieten()
    from reports.renderers.page.releases import render_history

    write_atomically(path, render_history(view).encode())


def _quieten() -> None:
    # What matplotlib warns of is a folder for its fonts that it may not write to, and that it finds another one.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
