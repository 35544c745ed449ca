"""Terminal pages of a gate and of one run. Fit windows from 60 columns on.

Whatever comes from a run file is shown as text: no markup is read, and nothing reaches the terminal but through
`printable`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.console import Group, RenderableType
from rich.text import Text

from fixtures.record.safe_text import printable
from fixtures.words.layout import Hanging, item, left_out, section, text, unwrapped
from fixtures.words.phrases import plural
from reports.verdict.reasons import Outcome, Reason
from reports.view.claims import Finding, FindingList, Undecided
from reports.view.counts import Counts
from reports.view.gate import GateView
from reports.view.model import ModelView
from reports.view.run import RunView
from reports.view.session import SessionView, StageRow, Table
from reports.view.timings import Timings

MOST_LISTED = 10
"""Findings listed of one kind; nobody reads on beyond, and verdict.json has them all."""

MOST_MODULES = 6
"""Modules of the user's model listed, of those that are not within rounding; the page has them all."""

MOST_NOTES = 5
"""Different notes listed for claims without evidence."""

MOST_TAIL_LINES = 20
"""Lines of a failed run's output: enough for a Python traceback with its cause."""

LONGEST_FACT = 160
"""Characters of one fact: two or three lines; the file has the rest."""


def gate_page(view: GateView) -> RenderableType:
    """Page of a gate; what decides comes first."""
    return Group(
        *_headline(view),
        *_top_reasons(view.top),
        *_next_step(view),
        *_model(view.model),
        *_other_reasons(view.rest),
        *(_claim_table(view.counts) if view.is_counted else ()),
        *_findings(view.findings),
        *_undecided(view.undecided),
        *_speed(view.speed),
        *section(
            "Besides the claims",
            item(text(view.streams)),
            item(text(f"false alarm: {view.false_alarms[0]}"), text(view.false_alarms[1])),
        ),
    )


def run_page(view: RunView) -> RenderableType:
    """Page of one run, as far as it went."""
    return Group(
        text((f"run {view.label}", "bold"), f"  torch {view.torch}"),
        *_ending(view),
        *_facts(view),
        *_claim_table(view.counts),
        *_findings(view.findings),
        *_undecided(view.undecided),
        *_skipped(view.left_out),
        *section("Besides the claims", item(text(view.recorded)), item(text(view.false_alarm))),
        *(section("Your model", *(item(text(line)) for line in view.model)) if view.model else ()),
    )


def session_page(view: SessionView) -> RenderableType:
    """Page of a session of one device: stages, then what each found and timed; environments are in each run's page."""
    return Group(
        text((view.title, "bold")),
        text((view.facts, "dim")),
        *section("Stages", *map(_stage, view.stages)),
        *(section("Missing", *(item(text(line)) for line in view.missing)) if view.missing else ()),
        *(section("Not readable", *(item(text(line)) for line in view.unread)) if view.unread else ()),
        *(line for name, run in view.runs for line in _stage_run(name, run)),
        *(section("Two devices", item(text(view.shared))) if view.shared else ()),
        *(line for table in view.tables for line in _table(table)),
        *(section("Clock", item(text(view.clock))) if view.clock else ()),
    )


_COLOURS = {0: "green", 1: "bold red"}


def _stage(row: StageRow) -> RenderableType:
    note = f": {row.note}" if row.note else ""
    colour = _COLOURS.get(row.code, "magenta") if row.code is not None else "magenta"
    return Hanging(
        f"  {printable(row.name, 12):12}{printable(row.seconds, 8):>8} s  ", text((row.outcome, colour), note)
    )


def _stage_run(name: str, view: RunView) -> Iterator[RenderableType]:
    yield from section(f"{name}: torch {view.torch}", *_ending(view), *_claim_table(view.counts))
    yield from _findings(view.findings)
    yield from _undecided(view.undecided)
    yield from _skipped(view.left_out)


def _table(table: Table) -> Iterator[RenderableType]:
    rows = (item(text((name, "bold")), text(figures)) for name, figures in table.rows)
    yield from section(f"Measured: {table.title}", *rows)


def _style(outcome: Outcome) -> str:
    return f"bold {outcome.colour}"


def _headline(view: GateView) -> Iterator[RenderableType]:
    versions = ", ".join(f"{step.name} {step.baseline} -> {step.candidate}" for step in view.steps)
    yield text((f" {view.outcome.upper()} ", f"{_style(view.outcome)} reverse"), f"  {versions}")
    yield Hanging("", text(view.bottom_line))
    for line in (view.brought, view.asked):
        if line:
            yield text((line, "dim"))


def _top_reasons(reasons: tuple[Reason, ...]) -> Iterator[RenderableType]:
    if reasons:
        yield Text()
    for number, reason in enumerate(reasons, start=1):
        yield _reason(f"{number}. ", reason)


def _other_reasons(rest: tuple[Reason, ...]) -> Iterator[RenderableType]:
    """Those that no list of claims below repeats."""
    if not rest:
        return
    others = [reason for reason in rest if not reason.claims]
    shown = [_reason("  - ", reason) for reason in others[:MOST_LISTED]]
    below = len(rest) - len(others)
    more = [item(text(f"{plural(below, 'more finding')} in the lists below"))] if below else []
    yield from section(plural(len(rest), "more reason"), *shown, *left_out(len(others) - MOST_LISTED), *more)


def _reason(marker: str, reason: Reason) -> RenderableType:
    # The commands of a notice are on the page: here they would push what to do next out of sight.
    is_quiet = reason.outcome is Outcome.NOTICE and not reason.waived
    shown = () if is_quiet else reason.details[-MOST_TAIL_LINES:]
    tail = (text((line, "dim")) for line in shown)
    waived = f" (waived: {', '.join(reason.waived)})" if reason.waived else ""
    return Hanging(marker, text((reason.outcome, _style(reason.outcome)), f"{waived}: {reason.text}"), *tail)


def _next_step(view: GateView) -> Iterator[RenderableType]:
    yield Text()
    yield Hanging("", text(("Next: ", "bold"), view.advice, f" {view.repeatable}" if view.repeatable else ""))
    if view.rerun:
        yield unwrapped(f"  {view.rerun}")
    if view.stanza:
        yield text("Or let the first pass for a while: fill in, and give as --waivers FILE:")
        yield from (unwrapped(f"  {line}") for line in view.stanza.splitlines())


def _model(found: ModelView | None) -> Iterator[RenderableType]:
    """The verdict on the user's own model, and the modules nearest to what rounding allows; its reasons stand above."""
    if found is None:
        return
    said: RenderableType = Hanging("  ", text((found.outcome, _style(found.outcome)), f": {found.sentence}"))
    lines = [said]
    lines += [
        item(text(f"{row.outcome}: {row.path} ({row.about})", f": {row.share}, {row.tensor}" if row.share else ""))
        for row in found.farthest[:MOST_MODULES]
        if row.state.tone != "fine"
    ]
    if found.conditions:
        lines.append(item(text((found.conditions, "dim"))))
    yield from section(f"Your model: {found.file}", *lines)


def _claim_table(counts: Counts) -> Iterator[RenderableType]:
    """Counts in 60 columns: a line for the family's name, so that they fit every window."""
    if not counts.by_dtype:
        return
    yield Text()
    yield text((f"{'Claims':11}{'asked':>6}{'hold':>12}{'violated':>12}{'mended':>7}{'no evidence':>12}", "bold"))
    for family, rows in groupby(counts.by_dtype, key=lambda row: row.family):
        yield text(family)
        for row in rows:
            yield text(
                f"  {printable(row.dtype, 9):9}{row.claims:6}{_both(row.holds):>12}",
                (f"{_both(row.violated):>12}", "red" if any(row.violated) else ""),
                (f"{row.mended:7}", "green" if row.mended else ""),
                (f"{_both(row.no_evidence):>12}", "magenta" if any(row.no_evidence) else ""),
            )


def _both(counts: tuple[int, int]) -> str:
    """Baseline and candidate; one number where they agree."""
    before, after = counts
    return str(after) if before == after else f"{before}->{after}"


def _findings(lists: Iterable[FindingList]) -> Iterator[RenderableType]:
    for each in lists:
        shown = map(_finding, each.findings[:MOST_LISTED])
        yield from section(each.heading, *shown, *left_out(len(each.findings) - MOST_LISTED))


def _finding(found: Finding) -> RenderableType:
    lines = [text((found.title, "bold"))]
    if found.effect:
        lines.append(text(found.effect, (found.certainty, "dim")))
    if found.worst:
        lines.append(text(f"worst: {found.worst}"))
    return item(*lines, *map(text, found.known))


def _undecided(found: Undecided | None) -> Iterator[RenderableType]:
    if found:
        lines = [item(text(note)) for note in found.notes[:MOST_NOTES]]
        yield from section(found.heading, *lines, *left_out(len(found.notes) - MOST_NOTES))


def _speed(speed: Timings) -> Iterator[RenderableType]:
    """Bounds of the fine workloads, and a line for each that is not fine."""
    lines = [item(text(speed.fine))] if speed.fine else []
    lines += [
        item(text(timing.sentence, "" if timing.required else " (not required)"))
        for timing in speed.workloads
        if not timing.is_fine
    ]
    yield from section(f"Speed: {speed.summary}", *lines)


def _ending(view: RunView) -> Iterator[RenderableType]:
    """Failure of the run, and claims that it left unanswered."""
    if view.failure:
        blamed = (view.failure.blames, _style(Outcome.STOP))
        yield text(f"failed at stage {view.failure.stage}, through the ", blamed, f": {view.failure.reason}")
        yield from (Hanging("  ", text((line, "dim"))) for line in view.failure.tail[-MOST_TAIL_LINES:])
    elif not view.ended:
        yield text(("not ended: it is still running, or was killed", _style(Outcome.NO_EVIDENCE)))
    if view.unanswered:
        yield text(view.unanswered)


def _facts(view: RunView) -> Iterator[RenderableType]:
    """Environment and options; values of many lines (build configurations) are cut."""
    if view.facts is None:
        yield text("no environment.json: the run ended before the first question")
        return
    lines = (text((f"{name}: ", "dim"), printable(value, LONGEST_FACT)) for name, value in view.facts.items())
    yield from section("Environment", *(Hanging("  ", line) for line in lines))


def _skipped(reasons: tuple[str, ...]) -> Iterator[RenderableType]:
    if reasons:
        lines = [item(text(reason)) for reason in reasons[:MOST_LISTED]]
        yield from section("Left out", *lines, *left_out(len(reasons) - MOST_LISTED))
