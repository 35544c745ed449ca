"""View of a session of one device: its stages, what each found, what was timed, and what two devices share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fixtures.clock.results import PairingError, read_pairing
from fixtures.record.file_names import MEASUREMENTS, PLAN, TIMINGS
from fixtures.record.run_folder import RecordError, Run, read_measurements, read_run, read_session
from fixtures.record.session import Measurement, Stage, State
from fixtures.words.phrases import plural
from reports.view.run import RunView, run_view


@dataclass(frozen=True)
class StageRow:
    """A stage in one line.

    Attributes:
        name: of the stage.
        seconds: that it took.
        outcome: in a word or two.
        code: exit status that its outcome has in colour.
        note: what is to be known of it.
    """

    name: str
    seconds: str
    outcome: str
    code: int | None
    note: str


@dataclass(frozen=True)
class Table:
    """Figures of a stage.

    Attributes:
        title: of the stage.
        rows: name and figures in words, one of each measurement.
    """

    title: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SessionView:
    """Everything that a session has to say, as far as it went.

    Attributes:
        title: device, as its maker calls it, and torch.
        facts: budget, seed and the like, in words.
        stages: a line each.
        missing: packages, and what was left out without them.
        runs: of the stages that made claims, in order, by name.
        unread: of stages whose record cannot be read, the reason.
        shared: how many digests two devices share; empty where none were compared.
        tables: of what was timed.
        clock: verdict of the paired clock; empty where there is none.
    """

    title: str
    facts: str
    stages: tuple[StageRow, ...]
    missing: tuple[str, ...]
    runs: tuple[tuple[str, RunView], ...]
    unread: tuple[str, ...]
    shared: str
    tables: tuple[Table, ...]
    clock: str


OUTCOMES = {0: "pass", 1: "stop", 2: "no evidence"}


def session_view(folder: Path, references: Mapping[str, str]) -> SessionView:
    """Gather what a session's folder has to say; a stage that cannot be read says why.

    Args:
        folder: of the session.
        references: where registered violations are discussed, by id.

    Raises:
        RecordError: its session.json cannot be read.
    """
    session = read_session(folder)
    # Names come from a file: a stage is a folder in this one, and nothing else.
    folders = {stage.name: folder / Path(stage.name).name for stage in session.stages}
    unread: list[str] = []
    runs: dict[str, Run] = {}
    tables: list[Table] = []
    clock = ""
    for name, place in folders.items():
        try:
            if (place / PLAN).exists():
                runs[name] = read_run(place, unfinished=True)
            if (place / MEASUREMENTS).exists():
                tables.append(Table(name, tuple(map(_in_words, read_measurements(place / MEASUREMENTS)))))
            if (place / TIMINGS).exists():
                pairing = read_pairing(place / TIMINGS)
                clock = f"{pairing.verdict}: {pairing.reason}"
        except (RecordError, PairingError) as error:
            unread.append(f"{name}: {error}")
    return SessionView(
        title=f"{session.device}: {session.described or 'no name'}, torch {session.torch}",
        facts=f"started {session.started}, {session.seconds:g} of {session.budget:g} s, seed {session.seed}, "
        f"Python {session.python}",
        stages=tuple(_row(stage, has_record=stage.name in runs) for stage in session.stages),
        missing=tuple(f"no {lack.package}: {lack.without}" for lack in session.missing),
        runs=tuple((name, run_view(run, references)) for name, run in runs.items()),
        unread=tuple(unread),
        shared=_shared(runs.values(), session.device),
        tables=tuple(tables),
        clock=clock,
    )


def _row(stage: Stage, *, has_record: bool) -> StageRow:
    if stage.state is State.ENDED:
        outcome = OUTCOMES.get(stage.code, f"exit status {stage.code}") if stage.code is not None else "no status"
    elif stage.state is State.RUNNING:
        outcome = "killed" + ("; what it had found by then is below" if has_record else "")
    else:
        outcome = str(stage.state)
    return StageRow(stage.name, f"{stage.seconds:.1f}", outcome, stage.code, stage.note)


def _in_words(measurement: Measurement) -> tuple[str, str]:
    figures = ", ".join(f"{name} {value:.4g}" for name, value in measurement.figures.items())
    return measurement.name, "; ".join(filter(None, (figures, measurement.note)))


def _shared(runs: Iterable[Run], device: str) -> str:
    """Share of the digests that are the same on the processor and on the device: a fact, and no claim."""
    pairs = list(_pairs(runs, device))
    if not pairs:
        return ""
    equal = [name for name, one, other in pairs if one == other]
    names = f": {', '.join(equal[:MOST_NAMED])}{' ...' if len(equal) > MOST_NAMED else ''}" if equal else ""
    return f"{len(equal)} of {plural(len(pairs), 'digest')} of a fixed seed are the same on cpu and {device}{names}"


MOST_NAMED = 5


def _pairs(runs: Iterable[Run], device: str) -> Iterator[tuple[str, str, str]]:
    """Name of a subject, and its digests on the processor and on the device."""
    for run in runs:
        for subject in [case.subject for case in run.plan.cases] if run.plan else []:
            here = msgspec.structs.replace(subject, device=device)
            there = msgspec.structs.replace(subject, device="cpu")
            if subject == here != there and {here.key, there.key} <= run.digests.keys():
                yield there.key, run.digests[there.key], run.digests[here.key]
