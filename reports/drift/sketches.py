"""Laws and grids of core subjects, from the sketches of both runs."""

from __future__ import annotations

import contextlib
import math
import shlex
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from fixtures.record.claim import SMALLEST_P, Effect, Unit
from fixtures.record.run_folder import Run
from fixtures.record.subject import DTYPES, HALF_TYPES, Subject
from fixtures.statistics.judgement import CERTAIN
from fixtures.statistics.laws import GridLaw, grid_law, promised_law
from fixtures.weights.sketch import COUNTS, SALT, SALTED
from fixtures.words.phrases import p_value, plural
from reports.comparison.false_alarms import Look
from reports.comparison.selection import selection
from reports.drift.kinds import Drift, Kind, Standing
from reports.drift.laws import FALSE_ALARM_PER_LOOK, Counts, NoCounts, TwoSamples, counts_of

Arrays = dict[str, npt.NDArray[np.generic]]


class Uncompared(Exception):
    """Sketches that cannot be compared; the message says why."""


def sketch_drifts(baseline: Run, candidate: Run, standing: Standing) -> Iterator[Drift]:
    """For every core subject of which a sketch is there: the same stream, or its law and grid where they changed."""
    for subject in _core_subjects(baseline, candidate):
        before, after = (_sketch(run, subject) for run in (baseline, candidate))
        if not before and not after:
            continue
        if not (before and after):
            if not standing.cut_short:
                side = "baseline" if before else "candidate"
                yield _uncompared(subject, f"only the {side} has a sketch", standing)
            continue
        try:
            yield from _compared(subject, (baseline, candidate), standing)
        except Uncompared as reason:
            yield _uncompared(subject, str(reason), standing)


def sketch_looks(baseline: Run, candidate: Run, standing: Standing) -> Iterator[Look]:
    """Tests of laws and grids that were made: none where the streams are the same, or cannot be compared."""
    for subject in _core_subjects(baseline, candidate):
        sketches = [_sketch(run, subject) for run in (baseline, candidate)]
        if not all(sketches) or _identical(*sketches):
            continue
        with contextlib.suppress(Uncompared):
            _two_samples(subject, (baseline, candidate))
            law = "drift.law" if standing.conforms(subject) else "drift.law_of_violated"
            yield Look((law,), FALSE_ALARM_PER_LOOK)
            if subject.dtype in HALF_TYPES:
                yield Look(("drift.grid",), FALSE_ALARM_PER_LOOK)


def _core_subjects(baseline: Run, candidate: Run) -> Iterable[Subject]:
    plan = baseline.plan or candidate.plan
    return dict.fromkeys(case.subject for case in plan.cases if case.core) if plan else ()


def _sketch(run: Run, subject: Subject) -> Arrays:
    """Arrays that a run keeps of the draws that both sides made from one seed."""
    own = {f"{subject.key}/{name}" for name in (SALTED, SALT)}
    common = [name for name in run.sketches if name.startswith(f"{subject.key}/") and name not in own]
    return {name: run.sketches[name] for name in common}


def _identical(before: Arrays, after: Arrays) -> bool:
    """Bit for bit; NaN equals itself."""
    return before.keys() == after.keys() and all(
        (array.dtype, array.shape) == (after[name].dtype, after[name].shape)
        and array.tobytes() == after[name].tobytes()
        for name, array in before.items()
    )


def _uncompared(subject: Subject, why: str, standing: Standing) -> Drift:
    return standing.about_subject(Kind.UNCOMPARED, subject, f"{subject.key}: laws not compared: {why}")


def _compared(subject: Subject, sides: tuple[Run, Run], standing: Standing) -> Iterator[Drift]:
    if _identical(*(_sketch(run, subject) for run in sides)):
        drawn = plural(int(_counts(sides[0], SIDES[0], subject, COUNTS).sum()), "draw")
        text = f"{subject.key}: {drawn} from one seed are the same on both sides, as far as their sketch tells"
        yield standing.about_subject(Kind.SAME_STREAM, subject, text)
        return
    samples = _two_samples(subject, sides)
    rerun = tuple(_rerun(subject, *side) for side in zip(sides, SIDES, strict=True))
    if samples.p < CERTAIN:
        text, p, effect = _law_drift(subject, samples)
        yield standing.about_subject(Kind.LAW, subject, text, p=p, effect=effect, rerun=rerun)
    if subject.dtype in HALF_TYPES and samples.values_of_one_side.p < CERTAIN:
        text, p, effect = _grid_drift(subject, samples)
        yield standing.about_subject(Kind.GRID, subject, text, p=p, effect=effect, rerun=rerun)


def _two_samples(subject: Subject, sides: tuple[Run, Run]) -> TwoSamples:
    """The draws that the two sides made from seeds of their own."""
    before, after = (_counts(run, side, subject, SALTED) for run, side in zip(sides, SIDES, strict=True))
    salts = {_salt(run, side, subject) for run, side in zip(sides, SIDES, strict=True)}
    if len(salts) == 1:
        raise Uncompared("draws of the same salt on both sides are no independent samples")
    return TwoSamples(usable_law(subject), before, after)


SIDES = ("baseline", "candidate")


def _salt(run: Run, side: str, subject: Subject) -> int:
    array = run.sketches.get(f"{subject.key}/{SALT}")
    if array is None or array.shape or array.dtype.kind not in "iu":
        raise Uncompared(f"the {side}'s sketch does not tell its salt")
    return int(array)


def _counts(run: Run, side: str, subject: Subject, name: str) -> Counts:
    array = run.sketches.get(f"{subject.key}/{name}")
    if array is None:
        raise Uncompared(f"the {side}'s sketch has no {name!r}")
    try:
        return counts_of(array)
    except NoCounts as error:
        raise Uncompared(f"{name!r} of the {side}'s sketch is no count of weights: {error}") from None


def usable_law(subject: Subject) -> GridLaw:
    """The promised law on the subject's grid, if a plan from outside names one that can be computed with.

    Raises:
        Uncompared: it does not.
    """
    try:
        law = promised_law(subject)
        usable = all(map(math.isfinite, (law.mean, law.std, law.median_size))) and 1e-30 < law.std < 1e30
    except (ArithmeticError, LookupError, TypeError, ValueError):
        raise Uncompared("no law is known for it") from None
    if subject.dtype not in DTYPES or not usable:
        raise Uncompared("no law is known for it")
    return grid_law(law, subject.dtype)


def _rerun(subject: Subject, run: Run, side: str) -> str:
    """The command that draws a run's weights again, in its environment."""
    options = {"-k": selection(subject.key), "--salt": str(_salt(run, side, subject))}
    if run.plan:
        options |= {"--seed": str(run.plan.seed), "--tier": run.plan.tier, "--target": run.plan.target}
    words = (word for option in options.items() for word in option)
    return shlex.join(["python", "-m", "pytest", "suites/weights/test_law.py", *words])


def _law_drift(subject: Subject, samples: TwoSamples) -> tuple[str, float, Effect]:
    """Drift in words, p-value, and size."""
    worst = samples.worst
    before, after = 100 * worst.baseline, 100 * worst.candidate
    text = f"another law of {subject.key}: {after:.3g}% of the weights lie {worst.place} instead of {before:.3g}%"
    if samples.moved:
        mean, scale = samples.moved
        text += f"; std {100 * scale:+.2g}%, mean {100 * mean:+.2g}% of a std"
    p = max(samples.p, SMALLEST_P)
    text += f" ({p_value(p)}; a std off by {100 * samples.detectable_scale:.2g}% would be seen)"
    return text, p, Effect(after - before, Unit.OF_WEIGHTS)


def _grid_drift(subject: Subject, samples: TwoSamples) -> tuple[str, float, Effect]:
    """Drift in words, p-value, and size."""
    found = samples.values_of_one_side
    p = max(found.p, SMALLEST_P)
    text = (
        f"another grid of {subject.key}: of {plural(found.expected, 'value')} that this law takes often, the baseline "
        f"alone takes {found.lost} and the candidate alone {found.gained} ({p_value(p)})"
    )
    return text, p, Effect(found.gained - found.lost, Unit.VALUES)
