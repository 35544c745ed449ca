"""Commands that make run folders out of run folders: one to gate against again and again, one out of several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fixtures.record.file_names import ACCEPTED_RUNS, ROOT
from fixtures.record.run_folder import read_run
from fixtures.words.console import CommandError, show
from fixtures.words.layout import unwrapped
from fixtures.words.phrases import plural
from reports.commands.acceptance import Unacceptable, accept
from reports.commands.merge import Unmergeable, merge, write_run

ACCEPTED = ROOT / ACCEPTED_RUNS


def accept_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="run folder of a run that ended as planned")],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="what it is gated against as: accepted:NAME")],
    replace: Annotated[bool, typer.Option("--replace", help="replace what was accepted under that name")] = False,
) -> int:
    """Keep a run as a baseline in reports/accepted, to be committed: nox -s gate -- --baseline accepted:NAME."""
    try:
        accepted = accept(read_run(run), name, ACCEPTED, replace=replace)
    except Unacceptable as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{ACCEPTED / name}: cannot be written ({error.strerror})") from None
    violated = f", {accepted.violated} of them violated" if accepted.violated else ""
    show(unwrapped(f"accepted as {name}: {plural(accepted.claims, 'claim')}{violated}; {accepted.bytes:,} bytes"))
    show(unwrapped(f"commit {accepted.folder}, then: nox -s gate -- --baseline accepted:{name} --candidate ..."))
    return 0


def merge_command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="run folders of one torch, seed and tier")],
    into: Annotated[Path, typer.Option("--into", metavar="FOLDER", help="run folder to make; it must not exist")],
) -> int:
    """Join runs that asked different questions, or on different devices, into one run that can be gated."""
    for folder in runs:
        if sum(folder.absolute() == other.absolute() for other in runs) > 1:
            raise CommandError(f"{folder} is named twice")
    if into.exists():
        raise CommandError(f"--into {into}: exists already")
    try:
        joined = merge([read_run(folder) for folder in runs], into)
        write_run(joined)
    except Unmergeable as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"--into {into}: cannot be written ({error.strerror})") from None
    show(unwrapped(f"{plural(len(runs), 'run')} merged into {into}: {plural(len(joined.claims), 'claim')}"))
    return 0
