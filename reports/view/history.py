"""View of the history: every release on one page, whichever renderer lays it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fixtures.record.claim import Verdict
from fixtures.rules.known_violations import Known
from reports.releases.expansion import LEFT_OUT
from reports.releases.history import History, Release
from reports.releases.ranges import ranges
from reports.releases.speed import SpeedLink, lacking, speed_lines
from reports.verdict.gate import STAGES, plan_options
from reports.verdict.speed import interval
from reports.view.known_ranges import KnownView, known_views
from reports.view.matrix import ClaimPath, RowView, Standing, StreamPath, claim_paths, row_views, stream_paths
from reports.view.steps import StepView, step_views
from reports.view.timings import Interval


@dataclass(frozen=True)
class Column:
    """One release.

    Attributes:
        has_answers: whether it was asked anything.
        why: reason why there are none, or not all, of the answers; "" where there are.
        short: the same in two words, for the head of a column.
        facts: on its environment and its record, in words, by name.
        counts: claims by verdict.
    """

    name: str
    has_answers: bool
    why: str
    short: str
    facts: Mapping[str, str]
    counts: Mapping[Verdict, int]


@dataclass(frozen=True)
class SpeedLine:
    """Time of one workload over releases.

    Attributes:
        releases: those in which any workload was timed, oldest first.
        points: beside that of the oldest release in which it was timed, with its interval; None where it was not.
        left_out: where and why it was not timed, a sentence each.
    """

    workload: str
    releases: tuple[str, ...]
    points: tuple[Interval | None, ...]
    left_out: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[str, ...]:
        """Ratio of each release in which it was timed, in words, oldest first."""
        return tuple(
            f"{interval(point.value, point.low, point.high)} in {name}"
            for name, point in zip(self.releases, self.points, strict=True)
            if point
        )


@dataclass(frozen=True)
class HistoryView:
    """Everything that the records of releases have to say.

    Attributes:
        columns: oldest first.
        rows: by suite.
        paths: claims that do not just hold.
        streams: subjects whose fixed-seed weights changed.
        recorded_streams: number of subjects with fixed-seed weights.
        known: known violations with their releases.
        steps: each release gated against each older one.
        speed: workloads by their name; empty where the chain has not been measured.
        facts: when and by what the records were made, in words, by name.
        made: UTC day of the newest record.
        left_out: sentence on what records cannot show.
        suite_options: options by which a suite asks what the newest release was asked; none where none was.
    """

    columns: tuple[Column, ...]
    rows: tuple[RowView, ...]
    paths: tuple[ClaimPath, ...]
    streams: tuple[StreamPath, ...]
    recorded_streams: int
    known: tuple[KnownView, ...]
    steps: tuple[StepView, ...]
    speed: tuple[SpeedLine, ...]
    facts: Mapping[str, str]
    made: str
    left_out: str
    suite_options: Mapping[str, str]

    def standing(self, suite: str, standing: Standing) -> tuple[RowView, ...]:
        """Rows of a suite that stand alike."""
        return tuple(row for row in self.rows if (row.suite, row.standing) == (suite, standing))

    @property
    def suites(self) -> tuple[str, ...]:
        """Suites that have rows, in their order."""
        return tuple(dict.fromkeys(row.suite for row in self.rows))

    @property
    def neighbours(self) -> tuple[StepView, ...]:
        """Steps from each release that answered to the next, the newest first."""
        nearest = {step.newer: step for step in self.steps}  # of those to one release, the last is the shortest
        return tuple(nearest[place] for place in sorted(nearest, reverse=True))


def history_view(
    history: History,
    known: Sequence[Known],
    snippets: Mapping[str, str],
    links: Sequence[SpeedLink] = (),
) -> HistoryView:
    """Gather what the records have to say.

    Args:
        history: the records.
        known: violations that are registered today.
        snippets: code that shows each of them outside the suites, by id.
        links: of the speed chain.
    """
    rows = row_views(history)
    paths = tuple(claim_paths(history, rows))
    runs = [release.run for release in history.releases]
    names = [release.name for release in history.releases]
    plan = next((run.plan for run in reversed(runs) if run.plan), None)
    return HistoryView(
        columns=tuple(map(_column, history.releases)),
        rows=rows,
        paths=paths,
        streams=tuple(stream_paths(runs)),
        recorded_streams=len({key for run in runs for key in run.digests}),
        known=known_views(ranges(history, known), names, snippets),
        steps=tuple(step_views(history, paths, links)),
        speed=tuple(_speed(links, names)),
        facts=dict(_facts(history)),
        made=max((release.record.made for release in history.releases), default="")[:10],
        left_out=LEFT_OUT,
        suite_options=plan_options(plan) if plan else {},
    )


def _speed(links: Sequence[SpeedLink], names: Sequence[str]) -> Iterator[SpeedLine]:
    timed = [name for name in names if any(name in (link.older, link.newer) for link in links)]
    for workload, points in speed_lines(links, timed).items():
        missing = [
            f"not timed over {link.older} -> {link.newer}: {why}"
            for link in links
            if (why := lacking(link).get(workload))
        ]
        told = (Interval(point.ratio, point.low, point.high) if point else None for point in points)
        yield SpeedLine(workload, tuple(timed), tuple(told), tuple(missing))


def _column(release: Release) -> Column:
    failure = release.record.failure
    why = f"{STAGES[failure.stage]}: {failure.reason}" if failure else ""
    return Column(
        name=release.name,
        has_answers=bool(release.run.claims),
        why=why,
        short={"install": "not installed", "import": "no import", "run": "cut short"}[failure.stage] if failure else "",
        facts=dict(_facts_of(release)),
        counts=Counter(claim.verdict for claim in release.run.claims.values()),
    )


def _facts_of(release: Release) -> Iterator[tuple[str, str]]:
    record, environment = release.record, release.record.environment
    if environment:
        yield "torch", str(environment.torch.get("version", ""))
        yield "Python", environment.python.partition(" ")[0]
        yield "processor", str(environment.machine.get("cpu", "unknown"))
        yield "numpy", environment.packages.get("numpy", "none")
    yield "recorded", record.made
    yield "suites", record.key
    if release.run.claims:
        yield "environment", f"{record.cost.gigabytes:.1f} GB, built in {record.cost.build_seconds:.0f} s"
        yield "asked for", f"{record.cost.run_seconds:.0f} s"


def _facts(history: History) -> Iterator[tuple[str, str]]:
    """Facts on the making of the records, by name."""
    records = [release.record for release in history.releases]
    plans = [release.run.plan for release in history.releases if release.run.plan]
    environments = [record.environment for record in records if record.environment]
    answered = sum(bool(release.run.claims) for release in history.releases)
    left = len(records) - answered
    yield "releases", f"{answered} asked" + (f", {left} that could not be" if left else "")
    if records:
        days = sorted(record.made[:10] for record in records)
        yield "recorded", days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    if plans:
        yield "claims", f"{_each(len(plan.claims) for plan in plans)} of each"
        yield "tier", _each(plan.tier for plan in plans)
        yield "seed", _each(plan.seed for plan in plans)
        yield "devices", _each(", ".join(plan.devices) for plan in plans)
    yield "suites", _each(record.key for record in records)
    hours = [sum(getattr(record.cost, name) for record in records) / 3600 for name in ("run_seconds", "build_seconds")]
    yield "hours", f"{hours[0]:.1f} of asking, {hours[1]:.1f} of building"
    sizes = [record.cost.gigabytes for record in records]
    yield "gigabytes", f"{sum(sizes):.0f} in all, one environment at a time, the largest {max(sizes, default=0.0):.1f}"
    if environments:
        yield "Python", _each(environment.python.partition(" ")[0] for environment in environments)
        yield "processor", _each(environment.machine.get("cpu", "unknown") for environment in environments)


def _each(values: Iterator[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))
