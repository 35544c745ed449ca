"""View of a user's own model: the verdict on it in one sentence, its modules, its tensors, its training, and advice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fixtures.model.results import STATISTICS, ModelRecord
from fixtures.statistics.formats import FloatArray
from fixtures.words.phrases import first_few, p_value, plural
from reports.model import ModelComparison
from reports.model.initialization import InitializationComparison, Start, TensorComparison
from reports.model.kinds import TABLE, Kind
from reports.model.numbers import ModuleComparison, NumbersComparison, State, TensorNumbers, share_in_words
from reports.model.trajectories import TrainingComparison
from reports.verdict.gate import GateVerdict
from reports.verdict.reasons import Outcome, Reason
from reports.view.forests import BASELINE, CANDIDATE
from reports.view.timings import Timing, Timings

WORKLOADS = "model/"
"""Beginning of the names of the clock's workloads that are the model's."""

STEP = f"{WORKLOADS}step"

FARTHEST = 12
"""Modules that are listed first, those nearest to what rounding allows: what fits a window beside the text."""

LEAST_SHARE, MOST_SHARE = 1e-3, 1e2
"""Ends of the scale of shares, logarithmic: errors below a thousandth of what is allowed are none, and a hundred times
as much is as wrong as a million times."""


@dataclass(frozen=True)
class ModuleRow:
    """One module, in whichever of its modes it is farthest from its reference.

    Attributes:
        about: class, and file and line of its forward.
        modes: in which it was asked.
        inputs: shapes and dtypes that it was fed.
        share: of what rounding allows, in words; empty where nothing can be said.
        tensor: that this is the share of.
        bar: length of its bar, of the whole scale.
        note: what a reader must know beside: why it was not asked, or what it was compared with.
    """

    path: str
    about: str
    depth: int
    modes: str
    inputs: str
    state: State
    share: str
    tensor: str
    bar: float
    note: str

    @property
    def outcome(self) -> str:
        """Standing in a sign and words, for those who see no colour."""
        return f"{self.state.sign} {self.state}"


@dataclass(frozen=True)
class TensorRow:
    """One parameter or buffer of a fresh model.

    Attributes:
        about: role, shape and dtype.
        law: that it looks like.
        chance: p-value of the most different statistic; empty where the stream is the same.
        resolution: change that would have been seen.
    """

    name: str
    about: str
    law: str
    state: Start
    chance: str
    resolution: str


@dataclass(frozen=True, eq=False)
class Clouds:
    """Losses of both sides' repeats, by side; NaN where a number is not finite.

    Attributes:
        low: least of the repeats, [steps].
        middle: their median, [steps].
        high: the largest, [steps].
        plain: of the run that nothing was moved in, [steps].
        leaves_at: first step, from 1, at which the candidate leaves; None where it does not.
    """

    low: Mapping[str, FloatArray]
    middle: Mapping[str, FloatArray]
    high: Mapping[str, FloatArray]
    plain: Mapping[str, FloatArray]
    leaves_at: int | None

    def departure(self, values: FloatArray) -> FloatArray:
        """Distance of losses from the baseline's median, in half widths of its repeats; NaN where they have none."""
        with np.errstate(all="ignore"):
            found = (values - self.middle[BASELINE]) / ((self.high[BASELINE] - self.low[BASELINE]) / 2)
        return np.where(np.isfinite(found), found, np.nan)


@dataclass(frozen=True)
class ModelView:
    """Everything that a gate has to say of the user's own model.

    Attributes:
        file: its name.
        outcome: the heaviest of its reasons.
        sentence: the verdict on it, without a full stop.
        reasons: that the verdict rests on, the most important first.
        facts: one line on what was asked, and what it took.
        modules: in the order of their first call, which is that of a tree.
        farthest: the modules to look at first, in the same order.
        conditions: sentence on what the allowance was measured under; empty where nothing was.
        tensors: of fresh models; those that changed first.
        initialization: sentence on how they were compared; empty where they were not.
        training: sentence on how training was compared; empty where it was not.
        clouds: of losses; None where training was not compared.
        timings: of the clock, its own workloads.
        unasked: what was not asked, and why.
        advice: what to do, one sentence for each kind of finding.
    """

    file: str
    outcome: Outcome
    sentence: str
    reasons: tuple[Reason, ...]
    facts: str
    modules: tuple[ModuleRow, ...]
    farthest: tuple[ModuleRow, ...]
    conditions: str
    tensors: tuple[TensorRow, ...]
    initialization: str
    training: str
    clouds: Clouds | None
    timings: tuple[Timing, ...]
    unasked: tuple[str, ...]
    advice: tuple[str, ...]


def model_view(verdict: GateVerdict) -> ModelView | None:
    """Gather what a gate has to say of the user's own model; None where none was asked."""
    found = verdict.model
    if found is None:
        return None
    reasons = tuple(reason for reason in verdict.reasons if _is_about_it(reason))
    timed = Timings.of(verdict.speed, verdict.policy.speed).workloads
    timings = tuple(timing for timing in timed if timing.name.startswith(WORKLOADS))
    modules = _module_rows(found.numbers.modules) if found.numbers else ()
    kinds = [kind for kind in Kind if any(reason.kind == kind.policy_key for reason in reasons)]
    not_asked = (Kind.UNASKED.policy_key, Kind.BOTH.policy_key, Kind.CUT.policy_key)
    return ModelView(
        file=found.model or "unknown",
        outcome=max((reason.outcome for reason in reasons), key=lambda outcome: outcome.rank, default=Outcome.PASS),
        sentence="; ".join(_sentence(found, reasons, timings)),
        reasons=reasons,
        facts=", ".join(_facts(found)),
        modules=modules,
        farthest=_farthest(modules),
        conditions=_conditions(found.numbers) if found.numbers else "",
        tensors=_tensor_rows(found.initialization) if found.initialization else (),
        initialization=_of_initialization(found.initialization) if found.initialization else "",
        training=_of_training(found.training) if found.training else "",
        clouds=_clouds(found.training) if found.training else None,
        timings=timings,
        unasked=tuple(
            line for reason in reasons if reason.kind in not_asked for line in (reason.text, *reason.details)
        ),
        advice=tuple(f"{kind}: {kind.advice}" for kind in kinds),
    )


def _is_about_it(reason: Reason) -> bool:
    """Test for a reason from the model's record, or from its times."""
    return reason.kind.startswith(f"{TABLE}.") or any(
        reason.kind.startswith("speed.") and name.startswith(WORKLOADS) for name in reason.names
    )


def in_short(found: ModelComparison, reasons: Sequence[Reason]) -> str:
    """The verdict on a model as a part of the whole one's sentence."""
    ours = [reason for reason in reasons if reason.kind.startswith(f"{TABLE}.")]
    stops = sum(reason.outcome is Outcome.STOP for reason in ours)
    if stops:
        return f"your model stops it for {plural(stops, 'reason')}"
    if any(reason.outcome is Outcome.NO_EVIDENCE for reason in ours):
        return "your model is not decided"
    if found.numbers is None or not found.numbers.asked:
        return "your model's numbers were not compared"
    if any(module.state is State.BEYOND for module in found.numbers.modules):
        return "your model differs by more than rounding, which is let pass"
    return "your model differs by rounding alone"


def record_lines(found: ModelRecord) -> tuple[str, ...]:
    """One or two lines on what one side recorded of a model."""
    parts = []
    if found.initialization:
        start = found.initialization
        models = f"{plural(start.groups, 'group')} of {plural(start.builds, 'build')}"
        parts.append(f"{plural(len(start.tensors), 'tensor')} in {models}")
    if found.numbers:
        asked = sum(module.unasked is None for module in found.numbers.modules)
        under = plural(len(found.numbers.conditions), "condition")
        parts.append(f"{asked} of {plural(len(found.numbers.modules), 'module')} asked under {under}")
    if found.training:
        parts.append(
            f"{plural(len(found.training.losses), 'repeat')} of {plural(len(found.training.plain_losses), 'step')}"
        )
    told = ", ".join(parts) or "nothing was asked"
    troubles = [f"{trouble.stage}: {trouble.text}" for trouble in found.troubles]
    cut = [f"left out: {line}" for line in found.cut]
    more = first_few([*troubles, *cut])
    return (f"{found.model} on torch {found.torch}, seed {found.seed}: {told}", *([more] if more else []))


def _sentence(found: ModelComparison, reasons: Sequence[Reason], timings: Sequence[Timing]) -> Iterator[str]:
    """Parts of the verdict: what could not be asked or broke, numbers, fresh tensors, training, speed."""
    heavy = [reason for reason in reasons if reason.outcome in (Outcome.STOP, Outcome.NO_EVIDENCE)]
    asking = {kind.policy_key for kind in Kind if kind.about == "asking"}
    yield from (reason.text for reason in heavy if reason.kind in asking)
    if found.numbers and found.numbers.asked:
        yield _of_numbers(found.numbers)
    if found.initialization and found.initialization.tensors:
        yield _of_tensors(found.initialization.tensors)
    if found.training:
        left = found.training.leaves_at
        together = f"trains alike for {plural(found.training.steps, 'step')}"
        yield f"training leaves at step {left}" if left else together
    yield from (
        f"{timing.name.removeprefix(WORKLOADS)} {timing.ratio.value:.2f} x, {timing.outcome}"
        for timing in timings
        if timing.ratio and (timing.name == STEP or not timing.is_fine)
    )


def _of_numbers(found: NumbersComparison) -> str:
    beyond = [module for module in found.asked if module.state is State.BEYOND]
    farthest = max(beyond or found.asked, key=lambda module: (_share_of(module), module.depth))
    worst = farthest.worst
    share = share_in_words(worst.share) if worst else "0"
    where = f"`{farthest.path}`, {worst.name}" if worst else f"`{farthest.path}`"
    if beyond:
        paths = len({module.path for module in beyond})
        differ = f"{plural(paths, 'module')} differ{'s' if paths == 1 else ''}"
        return f"{differ} by more than rounding, the most {share} times ({where})"
    return f"differences are rounding: the largest is {share} of what rounding allows ({where})"


def _of_tensors(tensors: Sequence[TensorComparison]) -> str:
    other = [tensor.name for tensor in tensors if tensor.state in (Start.LAW, Start.UNWRITTEN)]
    if other:
        return f"{plural(len(other), 'tensor')} start{'s' if len(other) == 1 else ''} otherwise ({first_few(other)})"
    if any(tensor.state is Start.STREAM for tensor in tensors):
        return "it starts by the same laws, from another stream"
    return "it starts the same"


def _share_of(module: ModuleComparison) -> float:
    return module.worst.weight if module.worst else 0.0


def _facts(found: ModelComparison) -> Iterator[str]:
    if found.seed is not None:
        yield f"seed {found.seed}"
    for stage, seconds in found.seconds.items():
        yield f"{stage} {_both(seconds)} s"
    mib = tuple(None if peak is None else peak / (1 << 20) for peak in found.peak_bytes)
    if any(peak is not None for peak in mib):
        yield f"most memory {_both((mib[0], mib[1]))} MiB"


def _both(pair: tuple[float | None, float | None]) -> str:
    """Baseline and candidate, in whole numbers."""
    before, after = (f"{value:.0f}" if value is not None else "unknown" for value in pair)
    return before if before == after else f"{before} -> {after}"


def _module_rows(modules: Sequence[ModuleComparison]) -> tuple[ModuleRow, ...]:
    by_path: dict[str, list[ModuleComparison]] = {}
    for module in sorted(modules, key=lambda module: module.order):
        by_path.setdefault(module.path, []).append(module)
    return tuple(map(_module_row, by_path.values()))


def _module_row(modes: Sequence[ModuleComparison]) -> ModuleRow:
    shown = min(modes, key=lambda module: (module.state.rank, -_share_of(module)))
    worst = shown.worst if shown.tensors else None
    notes = [shown.unasked] if shown.unasked else []
    if not shown.unasked and shown.reference != "float64":
        notes.append(f"reference: {shown.reference}")
    is_said = worst is not None and shown.state not in (State.UNASKED, State.UNSAID)
    return ModuleRow(
        path=shown.path,
        about=", ".join(filter(None, (shown.kind, shown.source))),
        depth=shown.depth,
        modes=", ".join(module.mode for module in modes),
        inputs=", ".join(shown.inputs),
        state=shown.state,
        share=share_in_words(worst.share) if worst and is_said else "",
        tensor=worst.name if worst and is_said else "",
        bar=_length(worst) if worst and is_said else 0.0,
        note="; ".join(notes),
    )


def _length(tensor: TensorNumbers) -> float:
    """Length of a bar, of the whole scale."""
    return place_of(tensor.weight)


def place_of(share: float) -> float:
    """Place of a share on the scale from LEAST_SHARE to MOST_SHARE: 0 to 1."""
    share = min(max(share, LEAST_SHARE), MOST_SHARE)
    return math.log(share / LEAST_SHARE) / math.log(MOST_SHARE / LEAST_SHARE)


def _farthest(rows: Sequence[ModuleRow]) -> tuple[ModuleRow, ...]:
    """Modules that a reader wants first: what is wrong or was not asked, then what is nearest to what is allowed."""
    ordered = sorted(range(len(rows)), key=lambda place: (rows[place].state.rank, -rows[place].bar))
    return tuple(rows[place] for place in sorted(ordered[:FARTHEST]))


def _conditions(found: NumbersComparison) -> str:
    missing = [f"{condition} ({why})" for condition, why in found.left_out.items()]
    without = f"; not under {'; '.join(missing)}" if missing else ""
    return f"what rounding allows is measured on the baseline: {'; '.join(found.conditions)}{without}"


def _tensor_rows(found: InitializationComparison) -> tuple[TensorRow, ...]:
    rows = sorted(found.tensors, key=lambda tensor: tensor.state.rank)
    return tuple(
        TensorRow(
            name=tensor.name,
            about=f"{tensor.role}, {'x'.join(map(str, tensor.shape)) or 'scalar'} {tensor.dtype}",
            law=tensor.looks_like or "no known law",
            state=tensor.state,
            chance=p_value(tensor.p) if tensor.p is not None else "",
            resolution=_resolution(tensor),
        )
        for tensor in rows
    )


def _resolution(tensor: TensorComparison) -> str:
    if tensor.resolution is None or not math.isfinite(tensor.resolution):
        return ""
    statistic = tensor.statistic if tensor.state is Start.LAW and tensor.statistic in STATISTICS else "scale"
    word, of = STATISTICS[statistic]
    return f"{word} by {100 * tensor.resolution:.2g} % {of}"


def _of_initialization(found: InitializationComparison) -> str:
    models = f"{plural(found.groups, 'group')} of {plural(found.builds, 'fresh model')} a side"
    if not found.looks:
        return f"{models}; the streams are the same, and there was nothing to test"
    return f"{models}, compared by exact rank tests: {plural(found.looks, 'look')}, each at {found.level:.1e}"


def _of_training(found: TrainingComparison) -> str:
    looks = plural(found.looks, "look")
    least = f"; the smallest p of {looks} is {found.least:.2g}" if found.least is not None else ""
    repeats = f"{plural(found.repeats, 'repeat')} a side of {plural(found.steps, 'step')} by {found.optimizer}"
    return f"{repeats}, compared by exact rank tests at {found.level:.1e} each{least}"


def _clouds(found: TrainingComparison) -> Clouds:
    sides = dict(zip((BASELINE, CANDIDATE), found.losses, strict=True))

    def lines(name: str) -> dict[str, FloatArray]:
        return {side: _line(getattr(cloud, name)) for side, cloud in sides.items()}

    return Clouds(lines("low"), lines("middle"), lines("high"), lines("plain"), found.leaves_at)


def _line(values: Sequence[float | None]) -> FloatArray:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def losses_in_words(found: Clouds) -> str:
    """First and last loss of both sides, and where they part."""
    ends = "; ".join(f"{side} {line[0]:.4g} \N{RIGHTWARDS ARROW} {line[-1]:.4g}" for side, line in found.middle.items())
    where = f"the candidate leaves at step {found.leaves_at}" if found.leaves_at else "the candidate never leaves"
    return f"{ends}; {where}"
