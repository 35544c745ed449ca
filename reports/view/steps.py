"""Steps from one release to another: the gate's verdict on each, and what it made of claims that no longer are as before."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reports.comparison.changes import Change, Incomparable
from reports.comparison.false_alarms import PromiseBroken
from reports.releases.history import History, Release
from reports.releases.matrix import State
from reports.verdict.gate import GateVerdict, gate
from reports.verdict.reasons import Outcome
from reports.view.bottom_line import bottom_line
from reports.view.counts import Classified
from reports.view.matrix import ClaimPath


@dataclass(frozen=True)
class StepView:
    """One release gated against an older one, by their records.

    Attributes:
        older: place of the older release in the history.
        newer: place of the newer one.
        outcome: None where the two cannot be compared.
        sentence: the verdict in one sentence, or why there is none.
        classified: claims by what became of them.
        streams: subjects whose fixed-seed weights are others, and those that have them on both sides.
        changes: classification of each claim path whose state is another, or that got worse, by its place.
    """

    older: int
    newer: int
    outcome: Outcome | None
    sentence: str
    classified: Classified
    streams: tuple[int, int]
    changes: Mapping[int, Change]


def step_views(history: History, paths: Sequence[ClaimPath]) -> Iterator[StepView]:
    """Gate each release against each that is older; those that answered nothing are passed over."""
    places = {path.id: place for place, path in enumerate(paths)}
    answered = [(place, release) for place, release in enumerate(history.releases) if release.run.claims]
    for (older, before), (newer, after) in itertools.combinations(answered, 2):
        try:
            verdict = _gated(before, after)
        except (Incomparable, PromiseBroken) as error:
            yield StepView(older, newer, None, str(error), Classified.of(()), (0, 0), {})
            continue
        changed = len(verdict.streams.changed)
        told = {
            place: change.change
            for change in verdict.changes
            if (place := places.get(change.id)) is not None and _is_told(change.change, paths[place], older, newer)
        }
        yield StepView(
            older=older,
            newer=newer,
            outcome=verdict.outcome,
            sentence=bottom_line(verdict),
            classified=Classified.of(verdict.changes),
            streams=(changed, changed + verdict.streams.same),
            changes=told,
        )


def _gated(before: Release, after: Release) -> GateVerdict:
    if before.record.key != after.record.key:
        raise Incomparable(f"asked by other suites ({before.record.key} and {after.record.key})")
    return gate(before.run, after.run)


def _is_told(change: Change, path: ClaimPath, older: int, newer: int) -> bool:
    """Tell whether a claim is no longer as it was: of those violated on both sides, what the gate calls worse or new."""
    return path.states[older] is not path.states[newer] or change in (Change.NEW, Change.WORSE)


def usual_changes(steps: Sequence[StepView], paths: Sequence[ClaimPath]) -> dict[tuple[State, State], Change]:
    """Most frequent classification of claims whose state is another, older and newer: no need to tell it of each."""
    counts: dict[tuple[State, State], Counter[Change]] = {}
    for step in steps:
        for place, change in step.changes.items():
            states = paths[place].states
            if states[step.older] is not states[step.newer]:
                counts.setdefault((states[step.older], states[step.newer]), Counter())[change] += 1
    return {states: counted.most_common(1)[0][0] for states, counted in counts.items()}
