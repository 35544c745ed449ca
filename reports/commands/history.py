"""Command that draws the history: one page for people, and the same as Markdown for the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fixtures.record.atomic_file import write_atomically
from fixtures.record.file_names import FINDINGS, HISTORY, HISTORY_MARKDOWN, HISTORY_PAGE, ROOT
from fixtures.rules.known_violations import KNOWN_VIOLATIONS, read_known
from fixtures.words.console import CommandError, show
from fixtures.words.layout import unwrapped
from reports.releases.history import read_history
from reports.releases.snippets import read_snippets
from reports.releases.speed import read_links
from reports.renderers.history_markdown import history_markdown
from reports.renderers.page import write_history
from reports.view.history import history_view


def history_command(
    records: Annotated[Path, typer.Option(metavar="FOLDER", help="folder of the records")] = ROOT / HISTORY,
    into: Annotated[Path, typer.Option(metavar="FOLDER", help="where both files go")] = ROOT / HISTORY.parent,
) -> int:
    """Draw history.html and HISTORY.md from the records of releases alone; nox -s history -- --page does."""
    known = read_known(KNOWN_VIOLATIONS)
    found = read_history(records, known)
    if not found.releases:
        raise CommandError(f"{records}: no release has a record there; nox -s history makes them")
    view = history_view(found, known, read_snippets(ROOT / FINDINGS), read_links(records))
    try:
        into.mkdir(parents=True, exist_ok=True)
        write_atomically(into / HISTORY_MARKDOWN, history_markdown(view).encode())
        write_history(into / HISTORY_PAGE, view)
    except OSError as error:
        raise CommandError(f"{into}: cannot be written ({error.strerror})") from None
    show(unwrapped(f"{len(found.releases)} releases: {into / HISTORY_PAGE}, {into / HISTORY_MARKDOWN}"))
    return 0
