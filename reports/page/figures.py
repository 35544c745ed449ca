"""Which drawings a page has: the weights of the subjects that matter, their scale, depth and speed."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from fixtures.clock.results import Pairing
from fixtures.record.claim import Verdict
from fixtures.record.kinds import PlainNetwork
from fixtures.record.run_folder import Run
from fixtures.record.subject import Subject
from fixtures.statistics.formats import FloatArray
from fixtures.words.wording import first_few, plural
from reports.comparison import Change, ClaimChange
from reports.drift.numbers import Outcome as Trained
from reports.page import plots
from reports.page.curves import Curves, training_curves, training_runs
from reports.page.depths import DIRECTIONS, bands_of, trajectories
from reports.page.forests import Forest, scale_forest, speed_forest
from reports.page.marginals import Marginal, band, marginal, sketched
from reports.page.plots import CANDIDATE
from reports.page.svg import Drawings
from reports.speed import summary
from reports.verdict import GateVerdict

MOST_WEIGHTS = 16
"""Subjects whose weights are drawn, 25 kB and a quarter of a second each: all core subjects of one device."""

MOST_READ = 128
"""Sketches that are read to find out which to draw, a hundredth of a second each."""

MOST_DEPTHS = 6
"""Trajectories that are drawn, both directions each; one device has three."""

MOST_TRAINED = 6
"""Training runs that are drawn, two drawings each: all of one device."""

TRAINING_TONES = {
    Trained.DIFFERENT: "bad",
    Trained.UNCOMPARED: "warn",
    Trained.ROUNDING: "fine",
    Trained.IDENTICAL: "fine",
}
"""Of what became of training runs."""


@dataclass(frozen=True)
class Mark:
    """A word beside a subject."""

    text: str
    tone: str


@dataclass(frozen=True)
class WeightsView:
    """One subject's drawings and what is said beside them."""

    key: str
    law: str
    numbers: str
    marks: tuple[Mark, ...]
    histogram: Markup
    transform: Markup


@dataclass(frozen=True)
class WeightsSection:
    """Subjects that are drawn, and in words which are not."""

    shown: tuple[WeightsView, ...]
    left_out: str


@dataclass(frozen=True)
class NamedDrawing:
    """A drawing, its name and what is said beside it."""

    name: str
    says: str
    drawing: Markup


@dataclass(frozen=True)
class DepthView:
    """One kind of network."""

    title: str
    key: str
    directions: tuple[NamedDrawing, ...]


@dataclass(frozen=True)
class TrainingView:
    """One training run: its drawings, what became of it, and that in a sentence."""

    title: str
    key: str
    mark: Mark
    says: str
    drawings: tuple[NamedDrawing, ...]


@dataclass(frozen=True)
class TrainingSection:
    """Training runs that are drawn, and in words which are not."""

    shown: tuple[TrainingView, ...]
    left_out: str


@dataclass(frozen=True)
class ForestSection:
    """A forest in as many drawings as it takes, and what is said of it.

    Attributes:
        left_out: rows that have no room.
        says: a line beside it.
        guards: whether there are rows of what cannot have changed.
    """

    drawing: tuple[Markup, ...]
    left_out: int = 0
    says: str = ""
    guards: bool = False


def weights_section(
    runs: Mapping[str, Run], changes: Sequence[ClaimChange], drifted: Collection[str], drawings: Drawings
) -> WeightsSection:
    """Subjects that are violated or drifted first, and of equals those first whose weights leave the law the most."""
    by_subject: dict[str, list[ClaimChange]] = {}
    for change in changes:
        if change.claim and change.change.tone:
            by_subject.setdefault(change.claim.subject.key, []).append(change)

    def conspicuous(found: Marginal) -> tuple[int, bool, float]:
        key = found.subject.key
        kinds = [change.change.rank for change in by_subject.get(key, ())]
        return min(kinds, default=len(Change)), key not in drifted, -found.strays()

    subjects = sketched(runs.values())
    drawable = [found for found in (marginal(subject, runs) for subject in subjects[:MOST_READ]) if found]
    ordered = sorted(drawable, key=conspicuous)[:MOST_WEIGHTS]
    shown = [
        _weights_view(found, _marks(by_subject.get(found.subject.key, ()), found.subject.key in drifted), drawings)
        for found in ordered
    ]
    names = {view.key for view in shown}
    missing = [subject.key for subject in subjects if subject.key not in names]
    left_out = f"{plural(len(missing), 'more subject')} with a sketch ({first_few(missing, 4)})" if missing else ""
    return WeightsSection(tuple(shown), left_out)


def _marks(changes: Sequence[ClaimChange], drifted: bool) -> tuple[Mark, ...]:
    """What became of a subject's claims, by kind, and whether its law drifted."""
    counts = {kind: sum(change.change is kind for change in changes) for kind in Change if kind.tone}
    marks = [Mark(f"{plural(count, 'claim')}: {kind}", kind.tone) for kind, count in counts.items() if count]
    return (*marks, *([Mark("drifted", "warn")] if drifted else []))


def _weights_view(found: Marginal, marks: tuple[Mark, ...], drawings: Drawings) -> WeightsView:
    key = found.subject.key
    numbers = "; ".join(
        f"{side}: {_unbroken(plural(drawn.n, 'weight'))}, departs by {abs(drawn.departure).max():.2g} % at most "
        f"where chance allows {band(drawn.n):.2g} %" + (f", {drawn.beyond} off the drawing" if drawn.beyond else "")
        for side, drawn in found.drawn.items()
    )
    return WeightsView(
        key=key,
        law=str(found.law),
        numbers=numbers,
        marks=marks,
        histogram=drawings.draw(plots.histogram(found), f"Histogram of the weights of {key}", numbers),
        transform=drawings.draw(
            plots.probability_transform(found), f"Departure of the weights of {key} from their law", numbers
        ),
    )


def depth_views(runs: Mapping[str, Run], changes: Sequence[ClaimChange], drawings: Drawings) -> Iterator[DepthView]:
    """All trajectories that were kept, as far as they are any."""
    networks = {
        change.claim.subject.key: change.claim.n
        for change in changes
        if change.claim and change.claim.n and change.claim.family == "propagation.trajectory.forward.location"
    }
    subjects = {case.subject.key: case.subject for run in runs.values() if run.plan for case in run.plan.cases}
    for name in trajectories(runs.values())[:MOST_DEPTHS]:
        views = []
        for direction in DIRECTIONS:
            sides = bands_of(name, direction, runs)
            if sides:
                says = ", ".join(
                    f"{side} median within a factor of {bands.leaves_the_law_by():.2f} of the exact one"
                    for side, bands in sides.items()
                )
                drawing = drawings.draw(plots.depth(sides), f"Second moment against depth, {direction}, {name}", says)
                views.append(NamedDrawing(direction, says, drawing))
        if views:
            many = f", {plural(networks[name], 'network')}" if name in networks else ""
            yield DepthView(_network(subjects.get(name), name) + many, name, tuple(views))


def _unbroken(number: str) -> str:
    """A number that no line break divides."""
    return number.replace(" ", "\N{NO-BREAK SPACE}")


def _network(subject: Subject | None, name: str) -> str:
    """A network in words, as far as its subject tells."""
    if subject is None:
        return name
    widths = " and ".join(map(str, sorted(set(subject.shape))))
    what, layers = subject.what, f"{subject.path} of width {widths}"
    if isinstance(what, PlainNetwork):
        layers = f"{what.layers} layers of width {widths}, {what.activation}"
    return f"{layers}, {subject.initializer} in {subject.dtype}"


def training_section(runs: Mapping[str, Run], drawings: Drawings) -> TrainingSection:
    """Training runs that changed first, then those in float32, as many as have room."""
    subjects = {case.subject.key: case.subject for run in runs.values() if run.plan for case in run.plan.cases}
    curves = training_curves(runs)[:MOST_TRAINED]
    shown = tuple(_training_view(found, subjects.get(found.key), drawings) for found in curves)
    names = {view.key for view in shown}
    missing = [key for key in training_runs(runs.values()) if key not in names]
    left_out = f"{plural(len(missing), 'more training run')} ({first_few(missing, 4)})" if missing else ""
    return TrainingSection(shown, left_out)


def _training_view(found: Curves, subject: Subject | None, drawings: Drawings) -> TrainingView:
    title = f"{subject.initializer} on the {subject.path} network in {subject.dtype}" if subject else found.key
    loss = "; ".join(
        f"{side} {numbers.plain.losses[0]:.4g} \N{RIGHTWARDS ARROW} {numbers.plain.losses[-1]:.4g}"
        for side, numbers in found.sides.items()
    )
    norms = "first layer over last, at the first step \N{RIGHTWARDS ARROW} at the last: " + "; ".join(
        side + " " + " \N{RIGHTWARDS ARROW} ".join(_first_over_last(numbers.plain.gradient_norms[at]) for at in (0, -1))
        for side, numbers in found.sides.items()
    )
    return TrainingView(
        title=title,
        key=found.key,
        mark=Mark(found.drift.outcome, TRAINING_TONES[found.drift.outcome]),
        says=found.drift.text,
        drawings=(
            NamedDrawing("loss", loss, drawings.draw(plots.losses(found), f"Loss against step, {title}", loss)),
            NamedDrawing(
                "gradients",
                norms,
                drawings.draw(plots.gradient_norms(found), f"Gradient norm against layer, {title}", norms),
            ),
        ),
    )


def _first_over_last(norms: FloatArray) -> str:
    with np.errstate(all="ignore"):
        return f"{norms[0] / norms[-1]:.3g}{plots.TIMES}"


def scale_section(changes: Sequence[ClaimChange], runs: Mapping[str, Run], drawings: Drawings) -> ForestSection:
    """Errors of the weights' scale."""
    core = {subject.key for subject in sketched(runs.values())}
    found = scale_forest(changes, core)
    label = "error of the std, in % of the promised one"
    return ForestSection(tuple(_forest(found, label, "Errors of scale", drawings)), found.left_out)


def speed_section(verdict: GateVerdict, drawings: Drawings) -> ForestSection:
    """Times of the candidate over those of the baseline."""
    if verdict.speed is None:
        return ForestSection((), says="Speed was not measured: two runs made one after the other cannot be compared.")
    found = speed_forest(verdict.speed, verdict.policy)
    label = "time of the candidate over that of the baseline"
    return ForestSection(
        tuple(_forest(found, label, "Ratios of times", drawings, ratio=True)),
        found.left_out,
        _session(verdict.speed),
        guards=any(CANDIDATE not in row.sides for row in found.rows),
    )


def _session(pairing: Pairing) -> str:
    """The session in words, and which workloads have no time to draw."""
    untimed = [timed.name for timed in pairing.workloads if timed.ratio is None]
    without = f". Without a time: {first_few(untimed, 4)}" if untimed else ""
    return f"{summary(pairing)}: {pairing.reason}{without}."


ROWS_OF_A_COLUMN = 14
"""Rows of one drawing, as high as a window; more make a second one beside it."""


def _forest(found: Forest, label: str, title: str, drawings: Drawings, *, ratio: bool = False) -> Iterator[Markup]:
    columns = math.ceil(len(found.rows) / ROWS_OF_A_COLUMN)
    length = math.ceil(len(found.rows) / max(1, columns))
    for start in range(0, len(found.rows), max(1, length)):
        rows = found.rows[start : start + length]
        figure = plots.forest(rows, label, among=found.rows, ratio=ratio)
        wrong = sum(row.is_wrong for row in rows)
        yield drawings.draw(figure, title, f"{len(rows)} rows, {wrong} of them marked as wrong")


def violated_on_both(changes: Sequence[ClaimChange]) -> int:
    """Claims that both sides violate."""
    sides = ((change.baseline, change.candidate) for change in changes)
    return sum(all(claim and claim.verdict is Verdict.VIOLATED for claim in pair) for pair in sides)
