"""Evidence for the drawings of a page: weights, scales, depths, training and speed, in numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fixtures.record.kinds import PlainNetwork
from fixtures.record.run_folder import Run
from fixtures.record.subject import Subject
from fixtures.statistics.formats import FloatArray
from fixtures.words.phrases import first_few, in_dtype, plural
from reports.comparison.changes import Change, ClaimChange, compare
from reports.drift.kinds import Kind
from reports.verdict.gate import GateVerdict
from reports.view.curves import Curves, training_curves, training_runs
from reports.view.depths import DIRECTIONS, Bands, bands_of, trajectories
from reports.view.forests import BASELINE, CANDIDATE, Forest, scale_forest, speed_forest
from reports.view.marginals import Marginal, band, marginal, sketched
from reports.view.model import Clouds, losses_in_words, model_view
from reports.view.timings import Timings

MOST_WEIGHTS = 16
"""Subjects whose weights are drawn, 25 kB and a quarter of a second each: all core subjects of one device."""

MOST_READ = 128
"""Sketches that are read to find out which to draw, a hundredth of a second each."""

MOST_DEPTHS = 6
"""Trajectories that are drawn, both directions each; one device has three."""

MOST_TRAINED = 6
"""Training runs that are drawn, two drawings each: all of one device."""


@dataclass(frozen=True)
class Mark:
    """A word beside a subject."""

    text: str
    tone: str


@dataclass(frozen=True, eq=False)
class Picture:
    """Numbers to be drawn.

    Attributes:
        plot: the drawing to make of them: "histogram", "probability_transform", "depth", "losses", "gradient_norms"
            or "clouds".
        numbers: all that it shows.
        title: for those who cannot see it.
        says: all of it in words.
        name: in its caption; empty where it has none.
    """

    plot: str
    numbers: Marginal | Mapping[str, Bands] | Curves | Clouds
    title: str
    says: str
    name: str = ""


@dataclass(frozen=True)
class Exhibit:
    """One subject: its pictures, and what is said beside them."""

    key: str
    title: str
    says: str
    marks: tuple[Mark, ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Exhibits:
    """Subjects that are shown, the most conspicuous first; `left_out` names the others in words."""

    shown: tuple[Exhibit, ...]
    left_out: str = ""


@dataclass(frozen=True)
class Evidence:
    """Everything that a page draws."""

    weights: Exhibits
    scales: Forest
    depths: Exhibits
    training: Exhibits
    speed: Forest
    model: Exhibits


def evidence(verdict: GateVerdict, baseline: Run, candidate: Run) -> Evidence:
    """Gather the evidence of a gate from both runs.

    Args:
        verdict: the gate's decision.
        baseline: the run of the torch in use.
        candidate: the run of the torch to come.
    """
    runs = {BASELINE: baseline, CANDIDATE: candidate}
    changes = compare(baseline, candidate)
    drifted = {drift.subject for drift in verdict.drifts if drift.kind in (Kind.LAW, Kind.GRID)}
    return Evidence(
        weights=weights(runs, changes, drifted),
        scales=scale_forest(changes, {subject.key for subject in sketched(runs.values())}),
        depths=depths(runs, changes),
        training=training(runs),
        speed=speed_forest(Timings.of(verdict.speed, verdict.policy.speed)),
        model=own_model(verdict),
    )


def weights(runs: Mapping[str, Run], changes: Sequence[ClaimChange], drifted: Collection[str]) -> Exhibits:
    """Subjects that are violated or drifted first, and of equals those first whose weights leave the law the most.

    Args:
        runs: by side.
        changes: all claims.
        drifted: keys of subjects whose law or grid changed.
    """
    by_subject: dict[str, list[ClaimChange]] = {}
    for change in changes:
        if change.claim and change.change.marks:
            by_subject.setdefault(change.claim.subject.key, []).append(change)

    def conspicuous(found: Marginal) -> tuple[int, bool, float]:
        key = found.subject.key
        kinds = [change.change.rank for change in by_subject.get(key, ())]
        return min(kinds, default=len(Change)), key not in drifted, -found.strays()

    subjects = sketched(runs.values())
    drawable = [found for found in (marginal(subject, runs) for subject in subjects[:MOST_READ]) if found]
    shown = tuple(
        _weights(found, _marks(by_subject.get(found.subject.key, ()), found.subject.key in drifted))
        for found in sorted(drawable, key=conspicuous)[:MOST_WEIGHTS]
    )
    return Exhibits(shown, _left_out([subject.key for subject in subjects], shown, "more subject", " with a sketch"))


def _left_out(keys: Sequence[str], shown: Sequence[Exhibit], noun: str, which: str = "") -> str:
    """Subjects that are not shown, in words."""
    missing = [key for key in keys if key not in {one.key for one in shown}]
    return f"{plural(len(missing), noun)}{which} ({first_few(missing, 4)})" if missing else ""


def _marks(changes: Sequence[ClaimChange], drifted: bool) -> tuple[Mark, ...]:
    """Counts of a subject's claims by classification, and whether its law drifted."""
    counts = {kind: sum(change.change is kind for change in changes) for kind in Change if kind.marks}
    marks = [Mark(f"{plural(count, 'claim')}: {kind}", kind.tone) for kind, count in counts.items() if count]
    return (*marks, *([Mark("drifted", "warn")] if drifted else []))


def _weights(found: Marginal, marks: tuple[Mark, ...]) -> Exhibit:
    key = found.subject.key
    numbers = "; ".join(
        f"{side}: {_unbroken(plural(drawn.n, 'weight'))}, departs by {abs(drawn.departure).max():.2g} % at most "
        f"where chance allows {band(drawn.n):.2g} %" + (f", {drawn.beyond} off the drawing" if drawn.beyond else "")
        for side, drawn in found.drawn.items()
    )
    pictures = (
        Picture("histogram", found, f"Histogram of the weights of {key}", numbers),
        Picture("probability_transform", found, f"Departure of the weights of {key} from their law", numbers),
    )
    return Exhibit(key, key, f"promised {found.law}; {numbers}", marks, pictures)


def _unbroken(number: str) -> str:
    """A number that no line break divides."""
    return number.replace(" ", "\N{NO-BREAK SPACE}")


def depths(runs: Mapping[str, Run], changes: Sequence[ClaimChange]) -> Exhibits:
    """Trajectories that any side kept and that can be drawn."""
    networks = {
        change.claim.subject.key: change.claim.n
        for change in changes
        if change.claim and change.claim.n and change.claim.family == "propagation.trajectory.forward.location"
    }
    subjects = _planned(runs)
    shown = []
    for name in trajectories(runs.values())[:MOST_DEPTHS]:
        found = {direction: bands_of(name, direction, runs) for direction in DIRECTIONS}
        if pictures := tuple(_depth(name, direction, sides) for direction, sides in found.items() if sides):
            many = f", {plural(networks[name], 'network')}" if name in networks else ""
            shown.append(Exhibit(name, _network(subjects.get(name), name) + many, "", (), pictures))
    return Exhibits(tuple(shown))


def _planned(runs: Mapping[str, Run]) -> dict[str, Subject]:
    return {case.subject.key: case.subject for run in runs.values() if run.plan for case in run.plan.cases}


def _depth(name: str, direction: str, sides: Mapping[str, Bands]) -> Picture:
    says = ", ".join(
        f"{side} median within a factor of {bands.leaves_the_law_by():.2f} of the exact one"
        for side, bands in sides.items()
    )
    return Picture("depth", sides, f"Second moment against depth, {direction}, {name}", says, direction)


def _network(subject: Subject | None, name: str) -> str:
    """A network in words, as far as its subject tells."""
    if subject is None:
        return name
    widths = " and ".join(map(str, sorted(set(subject.shape))))
    what, layers = subject.what, f"{subject.path} of width {widths}"
    if isinstance(what, PlainNetwork):
        layers = f"{what.layers} layers of width {widths}, {what.activation}"
    return f"{layers}, {subject.initializer} in {in_dtype(subject.dtype, subject.device)}"


def training(runs: Mapping[str, Run]) -> Exhibits:
    """Training runs that changed first, then those in float32, as many as have room."""
    subjects = _planned(runs)
    shown = tuple(_training(found, subjects.get(found.key)) for found in training_curves(runs)[:MOST_TRAINED])
    return Exhibits(shown, _left_out(training_runs(runs.values()), shown, "more training run"))


def own_model(verdict: GateVerdict) -> Exhibits:
    """Losses of the user's own model, where its training was compared."""
    found = model_view(verdict)
    if found is None or found.clouds is None:
        return Exhibits(())
    says = losses_in_words(found.clouds)
    picture = Picture("clouds", found.clouds, f"Loss against step, {found.file}", says, "loss")
    return Exhibits((Exhibit(found.file, found.file, found.training, (), (picture,)),))


def _training(found: Curves, subject: Subject | None) -> Exhibit:
    title = found.key
    if subject:
        held = in_dtype(subject.dtype, subject.device)
        title = f"{subject.initializer} on the {subject.path} network in {held}"
    loss = "; ".join(
        f"{side} {numbers.plain.losses[0]:.4g} \N{RIGHTWARDS ARROW} {numbers.plain.losses[-1]:.4g}"
        for side, numbers in found.sides.items()
    )
    norms = "first layer over last, at the first step \N{RIGHTWARDS ARROW} at the last: " + "; ".join(
        side + " " + " \N{RIGHTWARDS ARROW} ".join(_first_over_last(numbers.plain.gradient_norms[at]) for at in (0, -1))
        for side, numbers in found.sides.items()
    )
    pictures = (
        Picture("losses", found, f"Loss against step, {title}", loss, "loss"),
        Picture("gradient_norms", found, f"Gradient norm against layer, {title}", norms, "gradients"),
    )
    outcome = found.drift.outcome
    return Exhibit(found.key, title, found.drift.text, (Mark(outcome, outcome.tone),), pictures)


def _first_over_last(norms: FloatArray) -> str:
    with np.errstate(all="ignore"):
        return f"{norms[0] / norms[-1]:.3g}\N{MULTIPLICATION SIGN}"
