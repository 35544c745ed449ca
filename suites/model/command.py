"""Measure a user's model on one torch: how it starts, computes and learns.

    python -m suites.model my_model.py --side baseline --into RUN/model.json --carried FOLDER
    python -m suites.model my_model.py --side candidate --into RUN/model.json --carried FOLDER

`nox -s gate -- --model my_model.py` runs both, each with its own torch. What the file defines is said in
fixtures/model/definition.py.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from fixtures.model.carried import PLAN
from fixtures.model.definition import DefinitionError
from fixtures.model.run import ModelRun, answer_under
from fixtures.record.exit_codes import NO_EVIDENCE, PASS
from fixtures.words.console import CommandError, carry_out

PROGRAM = "python -m suites.model"

ACCEPTED = f"{PROGRAM} FILE.py --side baseline|candidate --into FILE.json --carried FOLDER"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command(
    help="Measure a user's model on this torch. Exit code 0: it was measured; 2: it could not be, or an error."
)
def model_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Python file that defines build()")],
    carried: Annotated[Path, typer.Option(metavar="FOLDER", help="what the baseline hands to the candidate")],
    side: Annotated[str, typer.Option(metavar="SIDE", help="baseline or candidate")] = "baseline",
    into: Annotated[Path | None, typer.Option(metavar="FILE", help="where the record is written")] = None,
    seed: Annotated[int | None, typer.Option(help="of the baseline (default: fresh, and recorded)")] = None,
    condition: Annotated[str | None, typer.Option(hidden=True)] = None,
    answer: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> int:
    """Carry out a run.

    Args:
        file: that defines the model.
        carried: folder that the baseline fills and the candidate reads.
        side: of the gate.
        into: file of the record.
        seed: of the baseline.
        condition: that the baseline is asked under in this process, which then does no more.
        answer: file of what it finds.
    """
    if not carried.is_dir():
        raise CommandError(f"--carried {carried}: no such folder")
    if condition is not None and answer is not None:
        answer.write_bytes(msgspec.json.encode(answer_under(condition, file, carried)))
        return PASS
    if side not in ("baseline", "candidate"):
        raise CommandError(f"--side {side}: baseline or candidate is accepted")
    if into is None or not into.absolute().parent.is_dir():
        raise CommandError(f"--into {into}: a file in a folder that exists is accepted")
    if side == "candidate" and not (carried / PLAN).is_file():
        raise CommandError(f"--carried {carried}: nothing that a baseline left")
    record = ModelRun(
        file=file,
        side="baseline" if side == "baseline" else "candidate",
        into=into,
        carried=carried,
        seed=secrets.randbits(31) if seed is None else seed,
        again=(sys.executable, "-m", "suites.model"),
        say=_say,
    ).run()
    for trouble in record.troubles:
        print(f"model: {trouble.text}", flush=True)
    return NO_EVIDENCE if record.troubles else PASS


def _say(line: str) -> None:
    print(f"model: {line}", flush=True)


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code. What goes wrong is said in one line on stderr."""
    return carry_out(app, arguments, prog_name=PROGRAM, accepted=ACCEPTED, mistakes=(CommandError, DefinitionError))
