"""The command line of the reports. Every way out of it ends in 0, 1 or 2; 1 only after a stop was written down."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType

from fixtures.known import KnownError, read_known
from reports.comparison import Incomparable
from reports.records import VERDICT, RecordError, read_run, write_record
from reports.terminal import run_page, unwrapped, verdict_page
from reports.verdict import Outcome, gate
from reports.wording import printable

KNOWN_VIOLATIONS = Path(__file__).parent.parent / "suites" / "known_violations.toml"

ACCEPTED = "python -m reports gate BASE_RUN CANDIDATE_RUN, python -m reports show RUN"

ERROR = Outcome.NO_EVIDENCE.exit_code

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class CommandError(Exception):
    """A command that cannot be carried out; the message is one line."""


@app.command("gate")
def gate_command(
    base_run: Annotated[Path, typer.Argument(metavar="BASE_RUN", help="run folder of the torch in use")],
    candidate_run: Annotated[Path, typer.Argument(metavar="CANDIDATE_RUN", help="run folder of the torch to come")],
) -> int:
    """Compare two runs; write verdict.json into the candidate's folder; exit 0 pass, 1 stop, 2 no evidence or error."""
    references = _references()
    _forget_verdict(candidate_run)
    if base_run.is_dir() and candidate_run.is_dir() and base_run.samefile(candidate_run):
        raise CommandError(f"{base_run} and {candidate_run} are the same run; nothing was compared")
    verdict = gate(read_run(base_run), read_run(candidate_run))
    path = candidate_run / VERDICT
    try:
        write_record(path, verdict)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written ({error.strerror}); the verdict above was not kept") from None
    finally:
        _show(verdict_page(verdict, references))
    # Once more, where the eye is after a long page.
    _show(unwrapped(f"verdict: {verdict.outcome}, written to {path}"))
    return verdict.exit_code


@app.command("show")
def show_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="run folder, also of a run cut short")],
) -> int:
    """Print one run: environment, options, counts, violations, what was left out, and how it ended."""
    _show(run_page(read_run(run, unfinished=True), _references()))
    return 0


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code. What goes wrong is said in one line on stderr."""
    try:
        # Outside its standalone mode typer returns what the command returns, and leaves ending the process to us.
        code = app(list(arguments), prog_name="python -m reports", standalone_mode=False)
    except (RecordError, Incomparable, KnownError, CommandError) as error:
        return _fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted")
    except SystemExit:
        return ERROR
    except Exception as error:
        # typer's usage errors share no public class in the releases we support, but they all have this.
        usage = getattr(error, "format_message", None)
        return _fail(f"{usage().rstrip('.')} (accepted: {ACCEPTED})" if usage else _unforeseen(error))
    # typer turns Ctrl-C into an exit code of its own, 130.
    return code if code in {outcome.exit_code for outcome in Outcome} else _fail("interrupted")


def _references() -> dict[str, str]:
    """Where registered violations are discussed, by id."""
    return {entry.id: entry.reference for entry in read_known(KNOWN_VIOLATIONS)}


def _forget_verdict(folder: Path) -> None:
    """Remove an earlier verdict: whoever finds one after an error must not take it for this gate's."""
    if folder.is_dir():
        try:
            (folder / VERDICT).unlink(missing_ok=True)
        except OSError as error:
            raise CommandError(f"{folder / VERDICT}: cannot be replaced ({error.strerror})") from None


def _show(page: RenderableType) -> None:
    """Print a page. Written by ourselves: rich ends the process with 1 where a reader such as `head` has gone."""
    shown = io.StringIO()
    console = Console(
        file=shown, force_terminal=sys.stdout.isatty() or None, markup=False, emoji=False, highlight=False
    )
    # In a group: a text that is printed by itself loses its own rule for wrapping.
    console.print(Group(page), crop=False)
    # An ASCII terminal shows "?" for a character it lacks.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        sys.stdout.write(shown.getvalue())
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
    except OSError as error:
        _silence_stdout()
        raise CommandError(f"standard output: cannot be written ({error.strerror})") from None


def _silence_stdout() -> None:
    """Send what is still to be written nowhere, so that Python's last flush at exit does not fail as well."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _fail(message: str) -> int:
    print(f"error: {printable(message, 2000)}", file=sys.stderr)
    return ERROR


def _unforeseen(error: Exception) -> str:
    """An error of our own, with the place to look at."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}: {error} (an error in Kaiming Gate itself; please report it)"
