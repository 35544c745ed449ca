"""Steps from one release to another: what the gate says of each, and of claims that no longer are as they were."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reports.comparison.changes import Change, Incomparable
from reports.comparison.false_alarms import PromiseBroken
from reports.releases.history import History, Release
from reports.releases.matrix import State
from reports.releases.speed import SpeedLink, link_between
from reports.verdict.gate import GateVerdict, gate
from reports.verdict.reasons import Outcome
from reports.view.bottom_line import bottom_line, speed_in_short
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
        speed: its part about workloads.
        is_timed: whether the clock timed them beside each other.
        classified: claims by what became of them.
        streams: subjects whose fixed-seed weights are others, and those that have them on both sides.
        changes: classification of each claim path whose state is another, or that got worse, by its place.
    """

    older: int
    newer: int
    outcome: Outcome | None
    sentence: str
    speed: str
    is_timed: bool
    classified: Classified
    streams: tuple[int, int]
    changes: Mapping[int, Change]


def step_views(history: History, paths: Sequence[ClaimPath], links: Sequence[SpeedLink]) -> Iterator[StepView]:
    """Gate each release against each that is older; those that answered nothing are passed over."""
    places = {path.id: place for place, path in enumerate(paths)}
    answered = [(place, release) for place, release in enumerate(history.releases) if release.run.claims]
    for (older, before), (newer, after) in itertools.combinations(answered, 2):
        try:
            verdict = gated(before, after, links)
        except (Incomparable, PromiseBroken) as error:
            yield StepView(older, newer, None, str(error), "", False, Classified.of(()), (0, 0), {})
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
            speed=speed_in_short(verdict),
            is_timed=verdict.speed is not None,
            classified=Classified.of(verdict.changes),
            streams=(changed, changed + verdict.streams.same),
            changes=told,
        )


def gated(before: Release, after: Release, links: Sequence[SpeedLink]) -> GateVerdict:
    """Gate two releases by their records, with the times of the link between them where there is one.

    Args:
        before: the release in use.
        after: the release to come.
        links: of the speed chain.

    Raises:
        Incomparable: they were asked by other suites.
        PromiseBroken: as `gate`.
    """
    keys = before.record.key, after.record.key
    if keys[0] != keys[1] and before.record.answers and after.record.answers:
        older = min((before, after), key=lambda release: release.record.made)
        raise Incomparable(
            f"{before.name} and {after.name} were asked by other suites ({keys[0]} and {keys[1]}): "
            f"nox -s history -- --releases {older.name} asks again"
        )
    link = link_between(links, before.name, after.name)
    timed = link is not None and _timed_both(link, before, after)
    return gate(before.run, after.run, pairing=link.pairing if link and timed else None)


def _timed_both(link: SpeedLink, before: Release, after: Release) -> bool:
    """Tell whether a link timed the builds that were asked: an index may have several of one release."""
    timed = [side.get("torch") for side in (link.pairing.baseline, link.pairing.candidate)]
    return timed == [release.run.torch_version for release in (before, after)]


def _is_told(change: Change, path: ClaimPath, older: int, newer: int) -> bool:
    """Tell whether a claim is no longer as it was: of those violated on both sides, what got worse or is new."""
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
