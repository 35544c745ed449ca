"""Initialization of a user's model: fresh tensors on both sides, by what they are, whether they were written, and law.

Statistics of groups of fresh models are compared by ranks. Models of different seeds are independent and of one law,
whatever depends on what within a model (orthogonal rows, tied layers, normalized weights): so the groups of both sides
are exchangeable where the torches are healthy, and the test is exact. Both sides build from the same seeds. Where that
gives the same stream, the groups are the same and there is nothing to test; where it gives another one, the groups are
independent of the other side's, as of any other seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from fixtures.model.allowance import SPREAD
from fixtures.model.levels import law_level
from fixtures.model.results import ROOT, STATISTICS, Initialization, InitialTensor, Number
from fixtures.statistics.formats import FloatArray
from fixtures.statistics.ranks import MOST_RANKED, exact_rank_sum_p, least_rank_sum_p
from fixtures.words.phrases import p_value, plural
from reports.comparison.kinds import Kinds
from reports.model.kinds import Finding, Kind

ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}
"""Unit roundoff by dtype; what else there is (integers, masks) is compared by its digest alone."""


class Start(Kinds):
    """Standing of a tensor that fresh models have on both sides, the heaviest first.

    Attributes:
        tone: of its word on the page.
    """

    tone: str

    UNWRITTEN = "unwritten", "bad"
    LAW = "another law", "bad"
    CONTENT = "another constant", "warn"
    STREAM = "another stream", "warn"
    SAME = "the same", "fine"


class TensorComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter or buffer on both sides.

    Attributes:
        looks_like: the law that its values look like, of the candidate.
        state: its standing.
        statistic: whose p-value is the smallest; None where nothing was tested.
        p: that p-value.
        resolution: size of a change of its scale that would have been seen, or, where a p-value decides, of that
            statistic; relative, and None where nobody knows.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    dtype: str
    looks_like: str | None
    state: Start
    statistic: str | None = None
    p: float | None = None
    resolution: float | None = None


class InitializationComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Fresh models on both sides.

    Attributes:
        groups: of each side.
        builds: models in a group.
        looks: statistics that were tested; those of the same stream were not.
        level: of each look.
        tensors: that both sides have, in the model's order.
    """

    groups: int
    builds: int
    looks: int
    level: float
    tensors: tuple[TensorComparison, ...]


class _Test(msgspec.Struct, frozen=True):
    """One statistic of a tensor in the groups of both sides."""

    statistic: str
    before: FloatArray
    after: FloatArray

    @property
    def p(self) -> float:
        return exact_rank_sum_p(self.before, self.after)


def compared_initialization(
    baseline: Initialization, candidate: Initialization
) -> tuple[InitializationComparison, list[Finding]]:
    """Compare fresh models; findings in the order in which a reader wants them."""
    after = {tensor.name: tensor for tensor in candidate.tensors}
    before = {tensor.name: tensor for tensor in baseline.tensors}
    alike = [(tensor, after[tensor.name]) for tensor in baseline.tensors if _alike(tensor, after.get(tensor.name))]
    is_repeatable = baseline.is_repeatable and candidate.is_repeatable
    tests = {one.name: list(_tests(one, other)) for one, other in alike}
    looks = sum(map(len, tests.values()))
    level = law_level(max(1, looks))
    shown: list[TensorComparison] = []
    findings = [*_different(baseline.tensors, after), *_added(candidate.tensors, before)]
    if looks and (why := _unranked(baseline.groups, candidate.groups, level)):
        findings.append(
            Finding(kind=Kind.UNASKED, name=ROOT, text=f"the laws of the weights cannot be compared: {why}")
        )
        tests, looks = {}, 0
    for one, other in alike:
        compared, of_it = _tensor(one, other, tests.get(one.name, ()), level)
        shown.append(compared)
        # Without a seed that repeats it, a model's digests say nothing.
        findings += [each for each in of_it if is_repeatable or each.kind is not Kind.STREAM]
    findings += [*_copies(before, candidate.tensors), *_unrepeatable(baseline, candidate)]
    found = InitializationComparison(
        groups=baseline.groups, builds=baseline.builds, looks=looks, level=level, tensors=tuple(shown)
    )
    return found, findings


def _alike(one: InitialTensor, other: InitialTensor | None) -> bool:
    return other is not None and _identity(one) == _identity(other)


def _identity(tensor: InitialTensor) -> tuple[object, ...]:
    return tensor.role, tensor.shape, tensor.dtype


def described(tensor: InitialTensor) -> str:
    """Role, shape and dtype of a tensor: "parameter, 64x3 float32"."""
    shape = "x".join(map(str, tensor.shape)) or "scalar"
    return f"{tensor.role}, {shape} {tensor.dtype}"


def _different(tensors: Iterable[InitialTensor], after: dict[str, InitialTensor]) -> Iterator[Finding]:
    for tensor in tensors:
        other = after.get(tensor.name)
        if other is None:
            text = f"`{tensor.name}` ({described(tensor)}) is missing in the candidate"
        elif not _alike(tensor, other):
            text = f"`{tensor.name}` is a {described(tensor)} in the baseline and a {described(other)} in the candidate"
        else:
            continue
        yield Finding(kind=Kind.DIFFERS, name=tensor.name, text=text)


def _added(tensors: Iterable[InitialTensor], before: dict[str, InitialTensor]) -> Iterator[Finding]:
    for tensor in tensors:
        if tensor.name not in before:
            text = f"`{tensor.name}` ({described(tensor)}) is missing in the baseline"
            yield Finding(kind=Kind.DIFFERS, name=tensor.name, text=text)


def _tensor(
    before: InitialTensor, after: InitialTensor, tests: Sequence[_Test], level: float
) -> tuple[TensorComparison, list[Finding]]:
    """A tensor of one name, shape and dtype on both sides."""
    worst = min(((test.p, test) for test in tests), key=lambda pair: pair[0], default=None)
    findings = [*_unwritten(before, after)]
    state = Start.UNWRITTEN if any(found.kind is Kind.UNWRITTEN for found in findings) else None
    if worst is not None and worst[0] < level:
        findings.append(_law(before, after, *worst, level))
        state = state or Start.LAW
    elif (changed := _otherwise(before, after)) is not None:
        findings.append(changed)
        state = state or (Start.LAW if changed.kind is Kind.LAW else Start.CONTENT)
    if before.digest != after.digest and not (before.is_constant and after.is_constant):
        state = state or Start.STREAM
        text = f"the same seed gives `{before.name}` ({described(before)}) other values"
        findings.append(Finding(kind=Kind.STREAM, name=before.name, text=text))
    statistic = worst[1].statistic if worst else None
    resolution = after.resolution.get(statistic if state is Start.LAW and statistic else "scale")
    return TensorComparison(
        name=before.name,
        role=before.role,
        shape=before.shape,
        dtype=before.dtype,
        looks_like=after.looks_like or ("a constant" if after.is_constant else None),
        state=state or Start.SAME,
        statistic=statistic,
        p=worst[0] if worst else None,
        resolution=resolution,
    ), findings


def _tests(before: InitialTensor, after: InitialTensor) -> Iterator[_Test]:
    """Statistics that both sides have and that are not those of one stream."""
    for statistic in STATISTICS:
        if statistic in before.groups and statistic in after.groups:
            ours, theirs = (_ranked(side.groups[statistic]) for side in (before, after))
            if not np.array_equal(ours, theirs):
                yield _Test(statistic, ours, theirs)


def _unranked(groups: int, others: int, level: float) -> str | None:
    """Reason why groups of models cannot be ranked, or their ranks cannot show another law; None where they can."""
    told = f"of {groups} and {others} groups of models"
    if not groups or not others or groups + others > MOST_RANKED:
        return f"{told}, {MOST_RANKED} at most are ranked, and one at least of a side"
    if (least := least_rank_sum_p(groups, others)) >= level:
        return f"the ranks {told} have no p below {least:.1e}, and the level is {level:.1e}"
    return None


def _ranked(values: Sequence[Number]) -> FloatArray:
    """Values with one that is not finite as the largest of all."""
    return np.array([math.inf if value is None else value for value in values], dtype=np.float64)


def _law(before: InitialTensor, after: InitialTensor, p: float, test: _Test, level: float) -> Finding:
    word, of = STATISTICS[test.statistic]
    one, other = (float(np.median(side)) for side in (test.before, test.after))
    share = f" ({100 * (other / one - 1):+.2g} %)" if of == "of itself" and one and math.isfinite(other / one) else ""
    text = (
        f"`{before.name}` ({described(before)}) is drawn by another law: its {word} is {other:.4g} in the candidate "
        f"and {one:.4g} in the baseline{share}, {p_value(p)}"
    )
    looks = [f"exact rank test of {len(test.before)} and {len(test.after)} groups of models; level {level:.1e}"]
    if before.looks_like != after.looks_like:
        looks.append(f"looks like {before.looks_like or 'no known law'} before, {after.looks_like or 'none'} now")
    return Finding(kind=Kind.LAW, name=before.name, text=text, details=tuple(looks))


def _unwritten(before: InitialTensor, after: InitialTensor) -> Iterator[Finding]:
    """Elements that nobody wrote, or that are not finite."""
    same = before.is_constant and after.is_constant and before.digest == after.digest
    for word, ours, theirs in (
        ("unwritten", before.unwritten, after.unwritten),
        ("infinite or NaN", before.non_finite, after.non_finite),
    ):
        if theirs and not ours:
            text = f"`{after.name}` ({described(after)}): {plural(theirs, 'element')} {word} in the candidate alone"
            yield Finding(kind=Kind.UNWRITTEN, name=after.name, text=text)
        # A constant that is the same on both sides was meant, such as a mask of minus infinities.
        elif theirs and not (word != "unwritten" and same):
            text = f"`{after.name}` ({described(after)}): {plural(theirs, 'element')} {word} on both sides"
            yield Finding(kind=Kind.BOTH, name=after.name, text=text)


def _otherwise(before: InitialTensor, after: InitialTensor) -> Finding | None:
    """Finding on a tensor that is constant on one side, or another constant on either; nothing of it is drawn."""
    if before.is_constant != after.is_constant:
        drawn, fixed = ("candidate", "baseline") if before.is_constant else ("baseline", "candidate")
        told = f"is drawn in the {drawn} and the same for every seed in the {fixed}"
        text = f"`{before.name}` ({described(before)}) {told}"
        return Finding(kind=Kind.LAW, name=before.name, text=text)
    if not before.is_constant or before.digest == after.digest:
        return None
    if _beyond_rounding(before, after):
        means = " and ".join(f"{side.constant.get('mean')}" for side in (before, after))
        text = f"`{before.name}` ({described(before)}) is another constant: its mean is {means}, baseline and candidate"
        return Finding(kind=Kind.LAW, name=before.name, text=text)
    text = f"`{before.name}` ({described(before)}) holds another constant, as near as rounding may be"
    if not before.constant or not after.constant:
        text = f"`{before.name}` ({described(before)}) holds another constant"
    return Finding(kind=Kind.STREAM, name=before.name, text=text)


def _beyond_rounding(before: InitialTensor, after: InitialTensor) -> bool:
    """Tell whether two constants are farther apart than the roundings of their elements.

    A mean strays by no more than the elements do, each of which may be off by SPREAD times its rounding.
    """
    roundoff = ROUNDOFF.get(before.dtype)
    one, other = ([side.constant.get(name) for name in ("mean", "std")] for side in (before, after))
    if roundoff is None or None in one or not other:
        return False
    known = [value for value in one if value is not None]
    scale = math.hypot(*known)
    return any(
        value is None or abs(value - was) > SPREAD * roundoff * scale for was, value in zip(known, other, strict=True)
    )


COPIED = 16
"""Elements, at least, of tensors that are called copies: two numbers that are drawn in bfloat16 are equal with a chance
below 2^-7, sixteen pairs of them with one below 2^-112."""


def _copies(before: dict[str, InitialTensor], tensors: Iterable[InitialTensor]) -> Iterator[Finding]:
    """Tensors that are drawn, and equal in the candidate alone: each of them follows its law."""
    first: dict[str, InitialTensor] = {}
    for tensor in tensors:
        drawn = not tensor.is_constant and tensor.dtype in ROUNDOFF and math.prod(tensor.shape) >= COPIED
        if not drawn or tensor.name not in before:
            continue
        copied = first.setdefault(tensor.digest, tensor)
        if copied is not tensor and before[copied.name].digest != before[tensor.name].digest:
            text = f"`{tensor.name}` ({described(tensor)}) starts as a copy of `{copied.name}` in the candidate alone"
            yield Finding(kind=Kind.LAW, name=tensor.name, text=text)


def _unrepeatable(baseline: Initialization, candidate: Initialization) -> Iterator[Finding]:
    sides = [name for name, side in (("baseline", baseline), ("candidate", candidate)) if not side.is_repeatable]
    if sides:
        where = "on both sides" if len(sides) == 2 else f"in the {sides[0]} alone"
        text = f"the same seed does not give the same model again {where}: something in it draws without the seed"
        yield Finding(kind=Kind.UNREPEATABLE, name=ROOT, text=text)
