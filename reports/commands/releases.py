"""Commands on the history of releases: to keep a run as the record of a release, and to gate two records."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group

from fixtures.record.claim import Verdict
from fixtures.record.compression import stored
from fixtures.record.file_names import HISTORY, ROOT
from fixtures.record.release_record import (
    Cost,
    ReleaseRecord,
    questions_path,
    read_questions,
    read_release,
    record_path,
    write_questions,
    write_release,
)
from fixtures.record.run_folder import RecordError, read_run
from fixtures.rules.known_violations import KNOWN_VIOLATIONS, read_known
from fixtures.words.console import CommandError, show
from fixtures.words.layout import item, section, text, unwrapped
from reports.releases.condensation import Uncondensable, condense, questions_of
from reports.releases.expansion import LEFT_OUT
from reports.releases.history import Release, read_history
from reports.renderers.terminal import gate_page
from reports.verdict.gate import gate
from reports.view.gate import gate_view

RECORDS = ROOT / HISTORY


def condense_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="run folder, also one cut short")],
    release: Annotated[str, typer.Option(metavar="VERSION", help="as an index calls it")],
    key: Annotated[str, typer.Option(metavar="KEY", help="version key of the suites that asked")],
    into: Annotated[Path, typer.Option(metavar="FOLDER", help="folder of the records")] = RECORDS,
    gigabytes: Annotated[float, typer.Option(help="that the environment takes on disk, 1e9 bytes")] = 0.0,
    build_seconds: Annotated[float, typer.Option(help="that building it took")] = 0.0,
) -> int:
    """Keep a run as the record of a release, in the place of an earlier one; nox -s history does."""
    made = read_run(run, unfinished=True)
    path = questions_path(into, key)
    questions = read_questions(path) if stored(path) else questions_of(made, key)
    seconds = made.environment.seconds if made.environment else 0.0
    cost = Cost(gigabytes=gigabytes, build_seconds=build_seconds, run_seconds=seconds)
    try:
        record = condense(made, release, key, questions, cost)
        if _would_lose_answers(record, into):
            show(unwrapped(f"{release}: {_ending(record)}; its earlier record stays"))
            return 0
        if questions is not None and not stored(path):
            write_questions(into, questions)
        taken = write_release(into, record)
    except (Uncondensable, ValueError) as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{into}: cannot be written ({error.strerror})") from None
    show(unwrapped(f"{release}: {_ending(record)}; {taken:,} bytes"))
    return 0


def compare_command(
    baseline: Annotated[str, typer.Argument(metavar="RELEASE", help="the release in use, such as 2.11.0")],
    candidate: Annotated[str, typer.Argument(metavar="RELEASE", help="the release to come")],
    history: Annotated[Path, typer.Option(metavar="FOLDER", help="folder of the records")] = RECORDS,
) -> int:
    """Gate two releases by their records, without running either; exit 0 pass, 1 stop, 2 no evidence or error."""
    if baseline == candidate:
        raise CommandError(f"{baseline} and {candidate} are the same release; nothing was compared")
    known = read_known(KNOWN_VIOLATIONS)
    found = read_history(history, known)
    before, after = (found.release(name) for name in (baseline, candidate))
    _refuse_other_suites(before, after)
    verdict = gate(before.run, after.run)
    view = gate_view(verdict, before.run, after.run, references={entry.id: entry.reference for entry in known})
    missing = section("Not in the records", item(text(f"{LEFT_OUT}: nox -s gate compares them")))
    show(Group(gate_page(view), *missing))
    return verdict.exit_code


def _would_lose_answers(record: ReleaseRecord, history: Path) -> bool:
    """Tell whether what is no fault of the release would replace what it once answered."""
    path = record_path(history, record.release)
    if record.failure is None or record.failure.blames == "framework" or record.answers or not stored(path):
        return False
    try:
        return bool(read_release(path).answers)
    except RecordError:
        return False


def _ending(record: ReleaseRecord) -> str:
    """Result of a release in a few words."""
    counted = Counter(answer.verdict if answer else Verdict.NO_EVIDENCE for answer in record.answers)
    told = [f"{counted[verdict]} {verdict}" for verdict in Verdict] if record.answers else ["no claims"]
    return ", ".join([*told, *([record.failure.reason] if record.failure else [])])


def _refuse_other_suites(before: Release, after: Release) -> None:
    keys = before.record.key, after.record.key
    if keys[0] != keys[1] and before.record.answers and after.record.answers:
        older = min((before, after), key=lambda release: release.record.made)
        raise CommandError(
            f"{before.name} and {after.name} were asked by other suites ({keys[0]} and {keys[1]}): "
            f"nox -s history -- --releases {older.name} asks again"
        )
