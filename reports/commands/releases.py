"""Commands on the history of releases: to keep a run as the record of a release, and to gate two records."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group

from fixtures.clock.results import read_pairing
from fixtures.record.claim import Claim, Verdict
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
from fixtures.words.phrases import measured
from reports.releases.condensation import Uncondensable, condense, questions_of
from reports.releases.expansion import LEFT_OUT
from reports.releases.history import read_history
from reports.releases.matrix import State, state_of
from reports.releases.speed import disagreements, lacking, link_of, read_links, write_link
from reports.renderers.terminal import gate_page
from reports.view.gate import gate_view
from reports.view.steps import gated

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
    verdict = gated(before, after, read_links(history))
    view = gate_view(verdict, before.run, after.run, references={entry.id: entry.reference for entry in known})
    missing = section("Not in the records", item(text(f"{LEFT_OUT}: nox -s gate compares them")))
    show(Group(gate_page(view), *missing))
    return verdict.exit_code


def link_command(
    timings: Annotated[Path, typer.Argument(metavar="TIMINGS", help="what the paired clock measured")],
    older: Annotated[str, typer.Option(metavar="VERSION", help="release that was its baseline")],
    newer: Annotated[str, typer.Option(metavar="VERSION", help="release that was its candidate")],
    key: Annotated[str, typer.Option(metavar="KEY", help="version key of the clock")],
    into: Annotated[Path, typer.Option(metavar="FOLDER", help="folder of the records")] = RECORDS,
) -> int:
    """Keep a session of the paired clock as a link of the speed chain; nox -s history -- --speed does."""
    link = link_of(read_pairing(timings), older, newer, key)
    missing = lacking(link)
    if link.pairing.verdict != "stop" and len(missing) == len(link.pairing.workloads):
        raise CommandError(f"{older} -> {newer}: nothing was timed ({link.pairing.reason})")
    try:
        taken = write_link(into, link)
    except OSError as error:
        raise CommandError(f"{into}: cannot be written ({error.strerror})") from None
    for line in disagreements(read_links(into)):
        show(unwrapped(f"chain and long link disagree: {line}"))
    show(unwrapped(f"{older} -> {newer}: {link.pairing.reason}; {taken:,} bytes"))
    for name, why in missing.items():
        show(unwrapped(f"  without a ratio: {name}: {why}"))
    return 0


def claim_command(
    claim: Annotated[str, typer.Argument(metavar="CLAIM", help="id of a claim: family and subject")],
    history: Annotated[Path, typer.Option(metavar="FOLDER", help="folder of the records")] = RECORDS,
    json: Annotated[bool, typer.Option("--json", help="as JSON: release -> state and key of the suites")] = False,
) -> int:
    """Print what each recorded release answered to one claim."""
    found = read_history(history, read_known(KNOWN_VIOLATIONS))
    planned = [name for questions in found.questions.values() for name in questions.plan.claims]
    if claim not in planned:
        nearest = get_close_matches(claim, dict.fromkeys(planned), 1, 0)
        raise CommandError(f"{claim}: no recorded release has such a claim" + "".join(f"; {each}?" for each in nearest))
    # What was never asked, since it did not install, tells nothing; what other suites did not ask is still to be asked.
    states = {
        release.name: (State.NO_EVIDENCE if not release.record.answers else state_of(claim, release.run), release)
        for release in found.releases
    }
    told = {name: pair for name, pair in states.items() if pair[0] is not State.NOT_ASKED}
    if json:
        print(dumps({name: {"state": state, "key": release.record.key} for name, (state, release) in told.items()}))
        return 0
    for name, (state, release) in told.items():
        show(text((f"{name:8} ", "bold"), f"{state}{_measured(release.run.claims.get(claim))}"))
    return 0


def _measured(claim: Claim | None) -> str:
    """Measurement of a claim behind its state; empty where there is none."""
    return f": {measured(claim)}" if claim is not None and (claim.effect or claim.note) else ""


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
