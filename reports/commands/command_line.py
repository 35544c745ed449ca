"""The command line of the reports. Every way out of it ends in 0, 1 or 2; 1 only after a stop was written down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group

from fixtures.clock.results import PairingError, read_pairing
from fixtures.record.atomic_file import write_atomically
from fixtures.record.fault_outcomes import read_faults
from fixtures.record.file_names import JUNIT, MARKDOWN, PAGE, SESSION, VERDICT, VERDICT_FILES
from fixtures.record.run_folder import RecordError, Run, read_run, write_record
from fixtures.rules.known_violations import KNOWN_VIOLATIONS, KnownError, read_known
from fixtures.rules.policy import DEFAULT_POLICY, PolicyError, read_policy
from fixtures.rules.waivers import read_waivers
from fixtures.words.console import CommandError, carry_out, show
from fixtures.words.layout import unwrapped
from reports.commands.history import history_command
from reports.commands.releases import claim_command, compare_command, condense_command, link_command
from reports.commands.run_folders import accept_command, merge_command
from reports.comparison.changes import Incomparable
from reports.comparison.false_alarms import PromiseBroken
from reports.model import read_record_of, read_records
from reports.renderers.junit import gate_junit
from reports.renderers.markdown import gate_markdown
from reports.renderers.page import write_page
from reports.renderers.terminal import gate_page, run_page, session_page
from reports.verdict.gate import GateVerdict, gate
from reports.view.evidence import evidence
from reports.view.gate import GateView, gate_view
from reports.view.run import run_view
from reports.view.session import session_view

ACCEPTED = (
    "python -m reports gate BASE_RUN CANDIDATE_RUN, show RUN, policy, accept RUN --as NAME, "
    "merge RUN RUN --into FOLDER, history, compare RELEASE RELEASE, claim CLAIM, "
    "condense RUN --release VERSION --key KEY, link TIMINGS --older VERSION --newer VERSION --key KEY"
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command("gate")
def gate_command(
    base_run: Annotated[Path, typer.Argument(metavar="BASE_RUN", help="run folder of the torch in use")],
    candidate_run: Annotated[Path, typer.Argument(metavar="CANDIDATE_RUN", help="run folder of the torch to come")],
    policy: Annotated[Path | None, typer.Option(metavar="FILE", help="what differs from the default policy")] = None,
    waivers: Annotated[Path | None, typer.Option(metavar="FILE", help="what may pass until a date")] = None,
    pairing: Annotated[Path | None, typer.Option(metavar="FILE", help="what the paired clock measured")] = None,
    faults: Annotated[Path | None, typer.Option(metavar="FILE", help="faults.json of nox -s faults")] = None,
) -> int:
    """Compare two runs; write the verdict into the candidate's folder; exit 0 pass, 1 stop, 2 no evidence or error."""
    references = _references()
    _forget_verdict(candidate_run)
    if base_run.is_dir() and candidate_run.is_dir() and base_run.samefile(candidate_run):
        raise CommandError(f"{base_run} and {candidate_run} are the same run; nothing was compared")
    before, after = read_run(base_run), read_run(candidate_run)
    matrix = read_faults(faults) if faults else ()
    verdict = gate(
        before,
        after,
        policy=read_policy(policy) if policy else None,
        waivers=read_waivers(waivers, datetime.now(UTC).date()) if waivers else None,
        pairing=read_pairing(pairing) if pairing else None,
        model=read_records(base_run, candidate_run),
    )
    view = gate_view(verdict, before, after, references=references, faults=matrix)
    try:
        # Before the files, since the page takes seconds to draw.
        show(gate_page(view))
    finally:
        _keep(verdict, view, before, after)
    # Once more, where the eye is after a long page.
    show(unwrapped(f"verdict: {verdict.outcome}; the page to look at: {candidate_run / PAGE}"))
    return verdict.exit_code


@app.command("show")
def show_command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="run folder, or folder of a session of one device; also one cut short")
    ],
) -> int:
    """Print one run: environment, options, counts, violations, what was left out, and how it ended."""
    if (run / SESSION).exists():
        show(session_page(session_view(run, _references())))
        return 0
    found = read_record_of(run)
    model = found.record or found.complaint if found else None
    show(run_page(run_view(read_run(run, unfinished=True), _references(), model)))
    return 0


@app.command("policy")
def policy_command() -> int:
    """Print the default policy: what a policy of one's own may change."""
    show(Group(*map(unwrapped, DEFAULT_POLICY.read_text(encoding="utf-8").splitlines())))
    return 0


app.command("accept")(accept_command)
app.command("merge")(merge_command)
app.command("history")(history_command)
app.command("compare")(compare_command)
app.command("claim")(claim_command)
app.command("condense")(condense_command)
app.command("link")(link_command)


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code. What goes wrong is said in one line on stderr."""
    mistakes = (RecordError, Incomparable, PromiseBroken, KnownError, PolicyError, PairingError, CommandError)
    return carry_out(app, arguments, prog_name="python -m reports", accepted=ACCEPTED, mistakes=mistakes)


def _references() -> dict[str, str]:
    """Places where registered violations are discussed, by id."""
    return {entry.id: entry.reference for entry in read_known(KNOWN_VIOLATIONS)}


def _keep(verdict: GateVerdict, view: GateView, before: Run, after: Run) -> None:
    """Write a verdict and its reports into the candidate's folder; verdict.json last (see VERDICT_FILES)."""
    folder = after.folder
    try:
        write_atomically(folder / MARKDOWN, gate_markdown(view).encode())
        write_atomically(folder / JUNIT, gate_junit(view))
        write_page(folder / PAGE, view, evidence(verdict, before, after))
        write_record(folder / VERDICT, verdict)
    except OSError as error:
        path = folder / VERDICT
        raise CommandError(f"{path}: cannot be written ({error.strerror}); the verdict above was not kept") from None


def _forget_verdict(folder: Path) -> None:
    """Remove an earlier verdict: whoever finds one after an error must not take it for this gate's."""
    if folder.is_dir():
        for name in VERDICT_FILES:
            try:
                (folder / name).unlink(missing_ok=True)
            except OSError as error:
                raise CommandError(f"{folder / name}: cannot be replaced ({error.strerror})") from None
