"""The page of the history: every release on one page, as small as its data allow.

Every text stands once, and so does every cell; a claim or a stream over all releases is one letter for each of them.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from fixtures.record.choices import SUITES
from fixtures.record.safe_text import printable
from reports.comparison.changes import Change
from reports.comparison.selection import selection
from reports.renderers.page import plots
from reports.renderers.page.claims import READINGS, Texts, safe_json
from reports.renderers.page.frame import framed, source
from reports.renderers.page.svg import Drawings
from reports.view.history import HistoryView, SpeedLine
from reports.view.matrix import STATES, CellView, Standing, StreamPath
from reports.view.steps import StepView, usual_changes

GROUPS = string.ascii_letters + string.digits
"""A letter for each stream of a subject; more than releases come in a decade."""

MOST_SPEED = 36
"""Workloads that are drawn, 8 kB each; the clock has 16."""


def render_history(view: HistoryView) -> str:
    """The whole page."""
    drawings = Drawings()
    with plots.drawing():
        drawn = {line.workload: _drawn(line, drawings) for line in view.speed[:MOST_SPEED]}
    return framed(
        "releases.html.j2",
        style=source("page.css", "releases.css") + drawings.css(),
        script=source("elements.js", "releases.js"),
        data=_document(view),
        view=view,
        standings=tuple(Standing),
        states=STATES,
        drawn=drawn,
    )


def _drawn(line: SpeedLine, drawings: Drawings) -> Markup:
    told = "; ".join(line.told)
    return drawings.draw(plots.over_releases(line), f"Time of {line.workload} over releases", told or "not timed")


def _document(view: HistoryView) -> str:
    """Data of the script."""
    texts, cells = Texts(), _Once()
    rows = [
        [
            *map(texts, (row.suite, row.family, row.dtype)),
            row.standing.rank,
            *map(texts, (row.statement, row.subject)),
            [cells(_cell(cell, texts)) for cell in row.cells],
        ]
        for row in view.rows
    ]
    usual = usual_changes(view.steps, view.paths)
    subjects = {row.subject for row in view.rows} | {
        cell.worst.subject for row in view.rows for cell in row.cells if cell.worst
    }
    document = {
        "releases": [
            {
                "name": printable(column.name),
                "answers": column.has_answers,
                "why": printable(column.why),
                "facts": [[printable(name), printable(value)] for name, value in column.facts.items()],
            }
            for column in view.columns
        ],
        "states": [{"words": state, "sign": state.sign, "meaning": state.meaning} for state in STATES],
        "standings": [{"words": standing, "told": standing.told} for standing in Standing],
        "changes": [{"words": change, "tone": change.tone} for change in Change],
        "readings": list(READINGS),
        "rows": rows,
        "cells": cells.items,
        "paths": [
            [path.row, texts(path.subject), texts("".join(str(state.rank) for state in path.states))]
            for path in view.paths
        ],
        "streams": [[texts(path.subject), texts(_letters(path))] for path in view.streams],
        "known": {
            printable(one.id): {
                "reason": printable(one.reason),
                "reference": printable(one.reference),
                "first": printable(one.first_seen),
                "mended": printable(one.mended_in),
                "code": [printable(line) for line in one.code.splitlines()],
            }
            for one in view.known
        },
        "usual": [[before.rank, after.rank, change.rank] for (before, after), change in usual.items()],
        "steps": [_step(step, view, usual, texts) for step in view.steps],
        "options": {printable(name): printable(value) for name, value in view.suite_options.items()},
        "selections": {texts(subject): texts(selection(subject)) for subject in sorted(subjects)},
        "suites": {name: f"suites/{name}" for name in SUITES},
        "left": printable(view.left_out),
    }
    document["texts"] = list(texts.index)
    return safe_json(document)


class _Once:
    """Every item once."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self.items: list[Any] = []

    def __call__(self, item: Any) -> int:
        place = self._index.setdefault(repr(item), len(self.items))
        if place == len(self.items):
            self.items.append(item)
        return place


def _cell(cell: CellView, texts: Texts) -> list[Any]:
    worst: Any = 0
    if cell.worst:
        told = [getattr(cell.worst.reading, field) for field in READINGS.values()]
        worst = [*map(texts, (cell.worst.subject, cell.worst.where, cell.worst.reading.statement, *told))]
    counts = (cell.state.rank, cell.claims, cell.violated, cell.undecided)
    return [*counts, texts(cell.short), texts(cell.reason), worst]


def _letters(path: StreamPath) -> str:
    """Stream of each release by a letter; "-" where there is none."""
    return "".join("-" if group is None else GROUPS[min(group, len(GROUPS) - 1)] for group in path.groups)


def _step(step: StepView, view: HistoryView, usual: Mapping[Any, Change], texts: Texts) -> list[Any]:
    """One step: what the gate says, and what it says of those claims whose two states alone do not tell it."""
    others: dict[int, list[int]] = {}
    for place, change in step.changes.items():
        states = view.paths[place].states
        if usual.get((states[step.older], states[step.newer])) is not change:
            others.setdefault(change.rank, []).append(place)
    tone = step.outcome.replace(" ", "-") if step.outcome else ""
    said = [texts(f"{step.outcome.symbol} {step.outcome}" if step.outcome else ""), texts(tone), texts(step.sentence)]
    return [step.older, step.newer, *said, others]
