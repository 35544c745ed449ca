"""What every command line of this project shares: a page on stdout, one line for each mistake, exit codes 0, 1, 2."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console, Group, RenderableType

from fixtures.safe_text import printable

ACCEPTED_CODES = (0, 1, 2)

ERROR = 2


class CommandError(Exception):
    """A command that cannot be carried out; the message is one line."""


def carry_out(
    app: typer.Typer,
    arguments: Sequence[str],
    *,
    prog_name: str,
    accepted: str,
    mistakes: tuple[type[Exception], ...],
) -> int:
    """Carry out a command line; returns the exit code. What goes wrong is said in one line on stderr.

    Args:
        app: what the arguments are for; each command returns its exit code.
        arguments: without the program's name.
        prog_name: how the program is called.
        accepted: what may be written, in words.
        mistakes: errors whose messages are lines for the user.
    """
    try:
        # Outside its standalone mode typer returns what the command returns, and leaves ending the process to us.
        code = app(list(arguments), prog_name=prog_name, standalone_mode=False)
    except mistakes as error:
        return _fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted")
    except SystemExit:
        return ERROR
    except Exception as error:
        # typer's usage errors share no public class in the releases we support, but they all have this.
        usage = getattr(error, "format_message", None)
        return _fail(f"{usage().rstrip('.')} (accepted: {accepted})" if usage else _unforeseen(error))
    # typer turns Ctrl-C into an exit code of its own, 130.
    return code if code in ACCEPTED_CODES else _fail("interrupted")


def show(page: RenderableType) -> None:
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
