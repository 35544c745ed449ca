"""The history as Markdown, as GitHub shows a file of the repository: the matrix of what is violated, and speed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fixtures.words.phrases import plural
from reports.renderers.markdown import as_text
from reports.view.history import HistoryView
from reports.view.known_ranges import KnownView
from reports.view.matrix import STATES, CellView, RowView, Standing
from reports.view.steps import StepView


def history_markdown(view: HistoryView) -> str:
    """The whole file."""
    sections = ["\n".join(section) for section in _sections(view)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _sections(view: HistoryView) -> Iterator[Iterable[str]]:
    yield ["# Every release of torch"]
    yield [
        "Which of the suites' laws holds in which release, by one plan and one seed. Written by",
        "`nox -s history -- --page` from the records in `reports/history`, as is `reports/history.html`, which opens ",
        "cells and compares releases.",
    ]
    yield [f"- {as_text(name)}: {as_text(value)}" for name, value in view.facts.items()]
    yield ["## Violated"]
    yield [f"{state.sign} {state}: {state.meaning}  " for state in STATES]
    yield ["Beside ✕: the size of the plainest violation, in % where it says so; without one, a counterexample."]
    yield _matrix(view)
    yield [f"- {line}" for suite in view.suites for line in _rest(view, suite)]
    yield _broken(view)
    yield ["## Release by release"]
    yield _steps(view)
    yield ["## Known violations"]
    yield _known(view.known)
    yield ["## Speed"]
    yield _speed(view)
    yield [f"Not in the records: {as_text(view.left_out)}."]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _matrix(view: HistoryView) -> list[str]:
    rows = [row for suite in view.suites for row in view.standing(suite, Standing.VIOLATED)]
    if not rows:
        return ["No row is violated in any release."]
    head = ["family and dtype", *(as_text(column.name) for column in view.columns)]
    return [_row(head), _row(["---", *[":-:" for _ in view.columns]]), *map(_line, rows)]


def _line(row: RowView) -> str:
    return _row([f"{as_text(row.family)} {as_text(row.dtype)}", *map(_cell, row.cells)])


def _cell(cell: CellView) -> str:
    return f"{cell.state.sign}&nbsp;{as_text(cell.short)}" if cell.short else cell.state.sign


def _rest(view: HistoryView, suite: str) -> Iterator[str]:
    """One line on all rows of a suite that are not violated."""
    told = [
        f"{plural(len(rows), 'row')} {standing.told}"
        for standing in Standing
        if standing is not Standing.VIOLATED and (rows := view.standing(suite, standing))
    ]
    if told:
        yield f"**{as_text(suite)}**: {'; '.join(told)}"


def _broken(view: HistoryView) -> list[str]:
    return [f"- **{as_text(column.name)}**: {as_text(column.why)}" for column in view.columns if column.why]


def _steps(view: HistoryView) -> list[str]:
    if not view.neighbours:
        return ["It takes two releases that answered."]
    head = ["release", "gate", "worse", "mended", "violated in both", "lost", "streams changed", "speed"]
    names = [as_text(column.name) for column in view.columns]
    return [_row(head), _row(["---", "---", *["--:"] * 5, "---"]), *(_step(step, names) for step in view.neighbours)]


def _step(step: StepView, names: Sequence[str]) -> str:
    pair = f"{names[step.older]} → {names[step.newer]}"
    if step.outcome is None:
        return _row([pair, as_text(step.sentence), *[""] * 6])
    found = step.classified
    counts = map(str, (found.worse, found.mended, found.both, found.lost))
    streams = f"{step.streams[0]} of {step.streams[1]}"
    return _row([pair, f"{step.outcome.sign} {step.outcome}", *counts, streams, as_text(step.speed)])


def _known(known: Sequence[KnownView]) -> list[str]:
    head = ["violation", "first seen", "mended in", "what is wrong", "discussed"]
    lines = [
        _row(
            [
                f"[{as_text(one.id)}](../suites/FINDINGS.md#{one.id})" if one.is_found else as_text(one.id),
                as_text(one.first_seen),
                as_text(one.mended_in),
                f"{as_text(one.reason)}; {as_text(one.effect)}",
                f"<{one.reference}>" if one.reference.startswith("https://github.com/") else as_text(one.reference),
            ]
        )
        for one in known
    ]
    return [_row(head), _row(["---"] * len(head)), *lines]


def _speed(view: HistoryView) -> list[str]:
    if not view.speed:
        return ["The speed chain has not been measured: `nox -s history -- --speed` does."]
    head = ["workload", *map(as_text, view.speed[0].releases), "newest, with its interval"]
    lines = [
        _row(
            [
                as_text(line.workload),
                *(f"{point.value:.2f}" if point else "" for point in line.points),
                as_text(line.told[-1]) if line.told else "not timed",
            ]
        )
        for line in view.speed
    ]
    about = "Time of each workload over that of the oldest release, by ratios of neighbours multiplied."
    return [about, "", _row(head), _row(["---", *["--:"] * (len(head) - 1)]), *lines]
