"""Ask one device all that fits into some minutes: `python -m suites.accelerator --device cuda --out DIR`.

It needs nothing but the interpreter at hand and installs nothing. Each stage is a process of its own (stages.py) with a
folder of its own; session.json is written anew whenever one begins or ends. What is missing, or does not fit into the
time, is named. `python -m reports show DIR` reads the folder, on any machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from fixtures.environments.processes import Ended, run_watched
from fixtures.record.choices import DEVICES
from fixtures.record.exit_codes import NO_EVIDENCE, PASS, STOP
from fixtures.record.file_names import OUTPUT, ROOT
from fixtures.record.safe_text import printable
from fixtures.record.session import Session, Stage, State, seal_session, write_session
from suites.accelerator import stages
from suites.accelerator.stages import Options

PROGRAM = "python -m suites.accelerator"

SECONDS = 480.0
"""Of a session: where a device is lent by the minute, eight are to be had."""

FACTS_SECONDS = 60.0
"""In which a device answers: the first context on a large machine takes ten."""

FACTS = "facts: "
"""As measurement.py, which needs torch, begins its answer."""


class CommandError(Exception):
    """A command that cannot be carried out; the message is one line."""


class _Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one line, and end as everything else does here."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(message)


@dataclass(frozen=True)
class Asked:
    """The command line, read."""

    device: str
    out: Path
    seconds: float
    seed: int
    only: tuple[str, ...]


Launch = Callable[[Sequence[str], float, Path | None], Ended]
"""Runs Python with these arguments for some seconds at most, its output appended to a file."""


def launch(arguments: Sequence[str], seconds: float, output: Path | None) -> Ended:
    """Run the interpreter at hand in the checkout.

    Args:
        arguments: of Python.
        seconds: after which it is killed, with all that it started.
        output: file that its output is appended to as it comes; None to keep it alone.
    """
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}

    def show(text: str) -> None:
        if output is not None:
            with output.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text)

    command = (sys.executable, *arguments)
    return run_watched(command, cwd=ROOT, variables=variables, show=show, timeout=seconds)


def read_arguments(arguments: Sequence[str]) -> Asked:
    """Read and validate the command line.

    Raises:
        CommandError: a mistake in it.
    """
    names = [stage.name for stage in stages.stages()]
    parser = _Parser(prog=PROGRAM, allow_abbrev=False, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", required=True, help=f"what is asked: {', '.join(DEVICES)}")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the session: a new one")
    parser.add_argument("--seconds", default=SECONDS, help="of the whole session (default: %(default)g)")
    parser.add_argument("--seed", help="of all that is drawn (default: fresh, and printed)")
    parser.add_argument("--only", metavar="STAGE[,STAGE]", help=f"some of {', '.join(names)} (default: all)")
    given = parser.parse_args(list(arguments))
    if given.device not in DEVICES:
        raise CommandError(f"--device {given.device}: {', '.join(DEVICES)} are accepted")
    only = tuple(dict.fromkeys((given.only or ",".join(names)).split(",")))
    if unknown := [name for name in only if name not in names]:
        raise CommandError(f"--only {unknown[0]}: {', '.join(names)} are accepted")
    seconds = _number("--seconds", given.seconds, "a number of seconds above 0", lambda value: 0 < value < 1e6)
    seed = secrets.randbits(32) if given.seed is None else given.seed
    seed = _number("--seed", seed, "a whole number of 0 or more", lambda value: value >= 0 and value == int(value))
    if given.out.exists() and (not given.out.is_dir() or any(given.out.iterdir())):
        raise CommandError(f"--out {given.out}: exists already; a new folder is accepted")
    return Asked(given.device, given.out.absolute(), seconds, int(seed), only)


def _number(option: str, text: object, accepted: str, holds: Callable[[float], bool]) -> float:
    try:
        value = float(str(text))
    except ValueError:
        value = float("nan")
    if not holds(value):
        raise CommandError(f"{option} {text}: {accepted} is accepted")
    return value


class Keeper:
    """Keeps a session on disk, and tells of it in lines."""

    def __init__(self, asked: Asked, session: Session, started: float, clock: Callable[[], float]) -> None:
        self._folder = asked.out
        self._started, self._clock = started, clock
        self.session = session

    def change(self, **fields: object) -> None:
        """Write session.json with some fields changed."""
        seconds = round(self._clock() - self._started, 1)
        self.session = replace(self.session, seconds=seconds, **fields)  # type: ignore[arg-type]
        write_session(self._folder, self.session)

    def change_stage(self, name: str, **fields: object) -> Stage:
        """The same for one stage, which is returned."""
        changed = tuple(
            replace(stage, **fields) if stage.name == name else stage  # type: ignore[arg-type]
            for stage in self.session.stages
        )
        self.change(stages=changed)
        return next(stage for stage in changed if stage.name == name)


def carry_out(
    asked: Asked, launch: Launch = launch, clock: Callable[[], float] = time.monotonic, say: Callable[..., None] = print
) -> int:
    """Carry out a session; returns its exit status.

    Args:
        asked: the command line.
        launch: runs Python.
        clock: seconds, from any origin.
        say: takes what is printed.

    Raises:
        CommandError: the device is not there, or the folder cannot be written.
    """
    started = clock()
    listed = [stage for stage in stages.stages() if stage.name in asked.only]
    missing = stages.missing(listed)
    for lack in missing:
        effect = (
            f"left out without it: {lack.without}; bring it with pip or on PYTHONPATH" if lack.needed else lack.without
        )
        say(f"no {lack.package} here: {effect}", flush=True)
    described, torch = _facts(asked, launch)
    session = Session(
        device=asked.device,
        described=described,
        torch=torch,
        python=platform.python_version(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        budget=asked.seconds,
        seed=asked.seed,
        missing=missing,
        stages=tuple(Stage(stage.name) for stage in listed),
    )
    say(f"{asked.device}: {described or 'no name'}, torch {torch}, seed {asked.seed}, {asked.seconds:g} s", flush=True)
    try:
        asked.out.mkdir(parents=True, exist_ok=True)
        keeper = Keeper(asked, session, started, clock)
        keeper.change()
        for place, stage in enumerate(listed):
            later = [other for other in listed[place + 1 :] if not stages.lacks(other)]
            left = asked.seconds - (clock() - started)
            _run_stage(asked, stage, stages.allotted(stage, left, later), keeper, launch, clock, say)
        keeper.change()
        seal_session(asked.out, keeper.session)
    except OSError as error:
        raise CommandError(f"--out {asked.out}: cannot be written ({error.strerror})") from None
    code = keeper.session.exit_code
    say(f"{'in all':12}{keeper.session.seconds:7.1f} s  {_WORDS[code]}; python -m reports show {asked.out}", flush=True)
    return code


_WORDS = {PASS: "pass", STOP: "stop", NO_EVIDENCE: "no evidence of some"}


def _facts(asked: Asked, launch: Launch) -> tuple[str, str]:
    """Name of the device and version of torch.

    Raises:
        CommandError: there is no torch, or no such device.
    """
    ended = launch(["-m", "suites.accelerator.measurement", "facts", "--device", asked.device], FACTS_SECONDS, None)
    answers = [line.removeprefix(FACTS) for line in ended.plain.splitlines() if line.startswith(FACTS)]
    if ended.timed_out:
        raise CommandError(f"--device {asked.device}: does not answer within {FACTS_SECONDS:g} s")
    if ended.code != PASS or not answers:
        raise CommandError(f"--device {asked.device}: {ended.tail[-1] if ended.tail else 'does not answer'}")
    told = json.loads(answers[-1])
    return str(told["described"]), str(told["torch"])


def _run_stage(
    asked: Asked,
    stage: stages.Stage,
    seconds: float,
    keeper: Keeper,
    launch: Launch,
    clock: Callable[[], float],
    say: Callable[..., None],
) -> None:
    """Run one stage, or say why not."""
    say(f"{stage.name:12}", end="", flush=True)
    if lacks := stages.lacks(stage):
        told = keeper.change_stage(stage.name, state=State.LEFT_OUT, note=f"no {', '.join(lacks)} here")
    elif seconds < stage.least:
        note = f"takes {stage.least:g} s, and {max(0.0, seconds):.0f} s are left"
        told = keeper.change_stage(stage.name, state=State.LEFT_OUT, note=note)
    else:
        told = _ran(asked, stage, seconds, keeper, launch, clock)
    note = f": {told.note}" if told.note else ""
    outcome = str(told.state) if told.code is None else _OUTCOMES[told.code]
    say(f"{told.seconds:7.1f} s  {outcome}{note}", flush=True)


_OUTCOMES = {PASS: "pass", STOP: "stop", NO_EVIDENCE: "no evidence"}


def _ran(
    asked: Asked, stage: stages.Stage, seconds: float, keeper: Keeper, launch: Launch, clock: Callable[[], float]
) -> Stage:
    folder = asked.out / stage.name
    folder.mkdir()
    keeper.change_stage(stage.name, state=State.RUNNING)
    began = clock()
    command = stage.command(Options(asked.device, asked.seed), folder, seconds)
    try:
        ended = launch(command, seconds, folder / OUTPUT)
    except KeyboardInterrupt:
        keeper.change_stage(stage.name, state=State.CUT_SHORT, seconds=round(clock() - began, 1), note="interrupted")
        raise
    took = round(clock() - began, 1)
    if ended.timed_out:
        note = f"its {seconds:.0f} s were up"
        return keeper.change_stage(stage.name, state=State.CUT_SHORT, seconds=took, note=note)
    code = ended.code if ended.code in (PASS, STOP) else NO_EVIDENCE
    return keeper.change_stage(stage.name, state=State.ENDED, seconds=took, code=code, note=_note(ended))


def _note(ended: Ended) -> str:
    """The note that a stage's process prints of itself; of one that failed, its last line."""
    notes = [line.removeprefix("note: ") for line in ended.plain.splitlines() if line.startswith("note: ")]
    if notes:
        return printable(notes[-1])
    failed = ended.code not in (PASS, STOP)
    return printable(ended.tail[-1]) if failed and ended.tail else ""


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code. What goes wrong is said in one line on stderr."""
    try:
        return carry_out(read_arguments(arguments))
    except CommandError as error:
        print(f"error: {printable(error, 2000)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("error: interrupted; the folder keeps what was measured", file=sys.stderr)
    except SystemExit as end:  # --help
        return PASS if end.code == 0 else NO_EVIDENCE
    except BrokenPipeError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return NO_EVIDENCE
