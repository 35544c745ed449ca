"""Numbers of a user's model, module by module: the candidate's error beside what rounding allows.

Every module is fed the baseline's input on either side, so that nothing compounds. What a module computes wrong shows
in itself and in those around it, which contain it; so the innermost that is beyond is named, and the others follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from fixtures.model.allowance import allowed, departure
from fixtures.model.results import (
    AS_IT_IS,
    CASTING,
    EXACT,
    NO_SUCH_MODULE,
    OUT_OF_TIME,
    ROOT,
    Computed,
    Figures,
    Mode,
    ModuleNumbers,
    Numbers,
)
from fixtures.words.phrases import first_few, plural
from reports.comparison.kinds import Kinds
from reports.model.initialization import ROUNDOFF
from reports.model.kinds import Finding, Kind


class State(Kinds):
    """Standing of a module or of a tensor that it computes, the heaviest first.

    Attributes:
        tone: of its word on the page.
        sign: before its word, for those who see no colour.
    """

    tone: str
    sign: str

    BEYOND = "beyond rounding", "bad", "✕"
    FOLLOWS = "follows", "warn", "↳"  # it contains one that is beyond, and needs no fault of its own
    UNASKED = "not asked", "open", "?"
    UNSAID = "not comparable", "open", "?"  # the baseline itself is not finite
    WITHIN = "within rounding", "fine", "✓"


class TensorNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """One tensor that a module computes, on both sides; errors in units of the roundoff.

    Attributes:
        baseline: error of the baseline as it is.
        candidate: error of the candidate, against its own reference.
        departure: distance of the two references; None where it is infinite.
        allowed: largest error of a right implementation; None where nothing can be said.
        share: largest of the candidate's errors, departure included, over what is allowed; None where it is infinite or
            nothing can be said.
        is_largest: whether that is the error of its largest element, rather than of all together.
    """

    name: str
    elements: int
    roundoff: float
    state: State
    baseline: Figures
    candidate: Figures
    departure: float | None
    allowed: Figures | None
    share: float | None
    is_largest: bool = False

    @property
    def weight(self) -> float:
        """Share to order by: infinite where it is beyond all numbers."""
        return math.inf if self.share is None and self.state is State.BEYOND else self.share or 0.0


class ModuleComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One module on both sides; fields as in `ModuleNumbers`, of the baseline.

    Attributes:
        state: its standing.
        unasked: why it could not be compared.
        tensors: that it computes on both sides.
    """

    path: str
    kind: str
    source: str
    mode: Mode
    order: int
    depth: int
    inputs: tuple[str, ...]
    reference: str
    state: State
    unasked: str | None = None
    tensors: tuple[TensorNumbers, ...] = ()

    @property
    def worst(self) -> TensorNumbers | None:
        """Tensor that is farthest from its reference for what is allowed."""
        return max(self.tensors, key=lambda tensor: (-tensor.state.rank, tensor.weight), default=None)


class NumbersComparison(msgspec.Struct, frozen=True, kw_only=True):
    """All modules, in the order of their first call.

    Attributes:
        conditions: under which the baseline was asked.
        left_out: condition -> why the baseline was not asked under it.
        modules: that either side has.
    """

    conditions: tuple[str, ...]
    left_out: dict[str, str]
    modules: tuple[ModuleComparison, ...]

    @property
    def asked(self) -> tuple[ModuleComparison, ...]:
        """Modules that were compared."""
        return tuple(module for module in self.modules if module.state not in (State.UNASKED, State.UNSAID))

    @property
    def is_within(self) -> bool:
        """True where the model as a whole is within rounding, in each mode that it was asked in."""
        return {module.state for module in self.modules if module.path == ROOT} == {State.WITHIN}


def compared_numbers(baseline: Numbers, candidate: Numbers) -> tuple[NumbersComparison, list[Finding]]:
    """Compare what the modules compute; findings in the order in which a reader wants them.

    Args:
        baseline: asked under several conditions.
        candidate: asked as it is.
    """
    after = {(module.path, module.mode): module for module in candidate.modules}
    asked = [*baseline.modules, *_in_training(baseline.modules, after)]
    before = {(module.path, module.mode) for module in asked}
    modules = [_compared(module, after.get((module.path, module.mode))) for module in asked]
    culprits = _culprits(modules)
    about = {(module.path, module.mode) for module in culprits}
    modules = [_following(module, about) for module in modules]
    found = NumbersComparison(conditions=baseline.conditions, left_out=baseline.left_out, modules=tuple(modules))
    findings = [
        *_missing(asked, after.keys(), "candidate"),
        *_missing(candidate.modules, before, "baseline"),
        *_otherwise(asked, after, whole=found.is_within),
        *_unasked(asked, after, whole=found.is_within),
        *_beyond(culprits, modules),
        *_not_finite(modules),
    ]
    if not found.asked:
        findings.append(Finding(kind=Kind.UNASKED, name=ROOT, text="no module could be compared"))
    return found, findings


def _in_training(
    modules: Sequence[ModuleNumbers], after: dict[tuple[str, Mode], ModuleNumbers]
) -> Iterator[ModuleNumbers]:
    """Modules that answer alike in evaluation and in training on the baseline, and not in the candidate.

    The candidate asks them in training for that reason alone (fixtures/model/numbers.py); the baseline's numbers in
    evaluation are those in training.
    """
    in_training = {module.path for module in modules if module.mode == "train"}
    for module in modules:
        if module.mode == "eval" and module.path not in in_training and (module.path, "train") in after:
            yield msgspec.structs.replace(module, mode="train")


def contains(outer: str, inner: str) -> bool:
    """Test whether one module contains another one, by their paths."""
    return outer != inner and (outer == ROOT or inner.startswith(f"{outer}."))


def share_in_words(share: float | None) -> str:
    """Share of what rounding allows, to two digits."""
    if share is None:
        return "infinite"
    return f"{share:.0f}" if 10 <= share < 1e6 else f"{share:.2g}"


def _compared(before: ModuleNumbers, after: ModuleNumbers | None) -> ModuleComparison:
    unasked = before.unasked or (after.unasked if after else "the candidate has no such module")
    theirs = {} if after is None or unasked else {tensor.name: tensor for tensor in after.tensors}
    tensors = tuple(
        _tensor(tensor, theirs[tensor.name], is_own=before.reference not in (EXACT, CASTING))
        for tensor in before.tensors
        if tensor.elements and tensor.name in theirs and _alike(tensor, theirs[tensor.name])
    )
    states = {tensor.state for tensor in tensors}
    # One tensor of which nothing can be said leaves the others to be judged.
    state = next((state for state in (State.BEYOND, State.WITHIN, State.UNSAID) if state in states), State.UNASKED)
    return ModuleComparison(
        path=before.path,
        kind=before.kind,
        source=before.source,
        mode=before.mode,
        order=before.order,
        depth=before.depth,
        inputs=before.inputs,
        reference=before.reference,
        state=state,
        unasked=unasked or (None if tensors else "it computes nothing that both sides have"),
        tensors=tensors,
    )


def _alike(before: Computed, after: Computed) -> bool:
    return (before.elements, before.roundoff) == (after.elements, after.roundoff)


def _tensor(before: Computed, after: Computed, *, is_own: bool) -> TensorNumbers:
    """A tensor on both sides; `is_own` of one that its own dtype is the reference of.

    The candidate's error is against its own reference; the square of its distance to the baseline's is that error's and
    the distance of the references' together, where they are independent.
    """
    limit = allowed(before, is_own_reference=is_own or before.roundoff <= ROUNDOFF["float64"])
    apart, error = departure(before, after), after.errors[AS_IT_IS]
    shares = (
        [
            None if of is None or apart is None or not most else math.hypot(of, apart) / most
            for of, most in ((error.relative, limit.relative), (error.largest, limit.largest))
        ]
        if limit
        else []
    )
    finite = [share for share in shares if share is not None and math.isfinite(share)]
    share = max(finite) if finite and len(finite) == len(shares) else None
    judged = State.WITHIN if share is not None and share <= 1 else State.BEYOND
    return TensorNumbers(
        name=before.name,
        elements=before.elements,
        roundoff=before.roundoff,
        state=judged if limit else State.UNSAID,
        baseline=before.errors[AS_IT_IS],
        candidate=error,
        departure=apart,
        allowed=limit,
        share=share,
        is_largest=share is not None and share == finite[-1] > finite[0],
    )


def _culprits(modules: Sequence[ModuleComparison]) -> list[ModuleComparison]:
    """Modules beyond rounding that contain none that is, by their first call, the deepest of those that begin at once.

    Of a container and what it contains, both beyond in one mode, the inner one explains the outer one. A module that
    was asked in one mode alone does the same in the others.
    """
    beyond = [module for module in modules if module.state is State.BEYOND]
    asked = {(module.path, module.mode) for module in modules}
    innermost = [
        module
        for module in beyond
        if not any(
            contains(module.path, other.path) and (module.mode == other.mode or (other.path, module.mode) not in asked)
            for other in beyond
        )
    ]
    return sorted(innermost, key=lambda module: (module.order, -module.depth))


def _following(module: ModuleComparison, culprits: Iterable[tuple[str, Mode]]) -> ModuleComparison:
    if module.state is not State.BEYOND or (module.path, module.mode) in culprits:
        return module
    return msgspec.structs.replace(module, state=State.FOLLOWS)


def _missing(modules: Iterable[ModuleNumbers], there: Iterable[tuple[str, Mode]], side: str) -> Iterator[Finding]:
    """Modules that one side calls, and the other does not."""
    paths = {path for path, _ in there}
    for module in {module.path: module for module in modules if module.path not in paths}.values():
        text = f"`{module.path}` ({module.kind}) is no module that the {side} calls"
        yield Finding(kind=Kind.DIFFERS, name=module.path, text=text)
    for module in modules:
        if module.path in paths and (module.path, module.mode) not in there:
            text = f"`{module.path}` ({module.kind}) was asked in {module.mode} on one side alone"
            yield Finding(kind=Kind.BOTH, name=module.path, text=text)


def _otherwise(
    modules: Iterable[ModuleNumbers], after: dict[tuple[str, Mode], ModuleNumbers], *, whole: bool
) -> Iterator[Finding]:
    """Modules that compute other tensors, or tensors of another size or dtype.

    Where the `whole` model is within rounding, that is between the modules inside it.
    """
    for before, now in _pairs(modules, after):
        if before.unasked or now.unasked:
            continue
        ours, theirs = ({one.name: one for one in module.tensors} for module in (before, now))
        for name in dict.fromkeys([*ours, *theirs]):
            if name not in ours or name not in theirs:
                side = "baseline" if name in ours else "candidate"
                text = f"`{before.path}` ({before.kind}): only the {side} computes its {name}"
            elif not _alike(ours[name], theirs[name]):
                one, other = (_size(of[name]) for of in (ours, theirs))
                sizes = f"has {one} in the baseline and {other} in the candidate"
                text = f"`{before.path}` ({before.kind}): its {name} {sizes}"
            else:
                continue
            kind = Kind.INSIDE if whole and before.path != ROOT else Kind.DIFFERS
            yield Finding(kind=kind, name=before.path, text=text)


def _size(tensor: Computed) -> str:
    return f"{plural(tensor.elements, 'element')} rounded to {unit(tensor.roundoff)}"


def _pairs(
    modules: Iterable[ModuleNumbers], after: dict[tuple[str, Mode], ModuleNumbers]
) -> Iterator[tuple[ModuleNumbers, ModuleNumbers]]:
    yield from ((module, after[module.path, module.mode]) for module in modules if (module.path, module.mode) in after)


def _unasked(
    modules: Iterable[ModuleNumbers], after: dict[tuple[str, Mode], ModuleNumbers], *, whole: bool
) -> Iterator[Finding]:
    """Modules that could not be asked: in the candidate alone, they broke.

    Unless the `whole` model is within rounding: then it calls the module otherwise than the baseline's. One that is
    gone is no such case, since what it did in training alone (dropout) no whole model in evaluation shows.
    """
    told: dict[str, Finding] = {}  # a module that is asked in several modes is told of once
    late: dict[str, dict[str, str]] = {"baseline": {}, "candidate": {}}
    for before, now in _pairs(modules, after):
        named, why = f"`{before.path}` ({_place(before)})", before.unasked or now.unasked
        if why is None:
            continue
        if why == OUT_OF_TIME:
            late["baseline" if before.unasked else "candidate"][before.path] = before.kind
            continue
        if before.unasked:
            kind, text = Kind.BOTH, f"`{before.path}` ({before.kind}) was not asked: {why}"
        elif whole and why != NO_SUCH_MODULE:
            called = "is called otherwise in the candidate, which is within rounding as a whole"
            kind, text = Kind.INSIDE, f"{named} {called}: {why}"
        else:
            kind, text = Kind.BROKEN, f"{named} cannot be asked in the candidate, and can in the baseline: {why}"
        told[text] = Finding(kind=kind, name=before.path, text=text)
    yield from told.values()
    for side, modules_late in late.items():
        if modules_late:
            few = first_few([f"`{path}` ({kind})" for path, kind in modules_late.items()])
            were = "were" if len(modules_late) > 1 else "was"
            text = f"left out: {few} {were} not asked in the {side}: {OUT_OF_TIME}"
            yield Finding(kind=Kind.CUT, name=next(iter(modules_late)), text=text)


def _beyond(culprits: Sequence[ModuleComparison], modules: Sequence[ModuleComparison]) -> Iterator[Finding]:
    """A finding for each module that is named, in whichever mode it is farthest out."""
    by_path: dict[str, list[ModuleComparison]] = {}
    for module in culprits:
        by_path.setdefault(module.path, []).append(module)
    for path, alike in by_path.items():
        shown = max(alike, key=lambda module: module.worst.weight if module.worst else 0.0)
        around = {
            module.path
            for module in modules
            if module.state is State.FOLLOWS and contains(module.path, path) and module.mode in {m.mode for m in alike}
        }
        yield _named(shown, len(around))


def _named(module: ModuleComparison, around: int) -> Finding:
    worst = module.worst
    assert worst is not None
    follow = f"; {plural(around, 'container')} around it {'follows' if around == 1 else 'follow'}" if around else ""
    text = f"`{module.path}` ({_place(module)}): {_departs(worst)}{follow}"
    others = [tensor for tensor in module.tensors if tensor.state is State.BEYOND and tensor is not worst]
    details = [_why(worst)]
    if module.mode != "eval":
        details.append(_MODES[module.mode])
    if module.reference != "float64":
        details.append(f"its reference: {module.reference}")
    if others:
        told = [f"{tensor.name} {share_in_words(tensor.share)} times what is allowed" for tensor in others]
        details.append(f"also beyond: {first_few(told)}")
    return Finding(kind=Kind.NUMBERS, name=module.path, text=text, details=tuple(details))


_MODES: dict[Mode, str] = {"eval": "in evaluation", "train": "in training mode", "inference": "without gradients"}


def _place(module: ModuleComparison | ModuleNumbers) -> str:
    """Class, file and line, and inputs of a module."""
    where = f"{module.kind}, {module.source}" if module.source else module.kind
    return f"{where}; {', '.join(module.inputs)}" if module.inputs else where


def _departs(tensor: TensorNumbers) -> str:
    """Error of a tensor in words."""
    if tensor.share is None or tensor.allowed is None or tensor.departure is None:
        return f"its {tensor.name} is not finite, or none at all, where the baseline's is"
    error, most = (
        (figures.largest if tensor.is_largest else figures.relative) for figures in (tensor.candidate, tensor.allowed)
    )
    assert error is not None
    assert most is not None
    off = math.hypot(error, tensor.departure)
    subject = f"an element of its {tensor.name}" if tensor.is_largest else f"its {tensor.name}"
    times = f"{share_in_words(tensor.share)} times what rounding allows ({_units(most)})"
    return f"{subject} is off by {_units(off)} units of {unit(tensor.roundoff)}, {times}"


def _why(tensor: TensorNumbers) -> str:
    """Tell another formula from less precise arithmetic: by what is left where both sides compute in float64."""
    if tensor.departure is None or tensor.share is None or tensor.allowed is None:
        return "what it is compared with differs beyond all measure, or is not finite"
    limit = tensor.allowed.relative or 0.0
    if tensor.departure > limit:
        return (
            f"its references differ by {_units(tensor.departure)} units: in float64, too, the candidate computes "
            "something else"
        )
    return "its references agree: the candidate computes the same in float64, and less precisely in its own dtype"


def _units(value: float) -> str:
    return f"{value:.0f}" if 10 <= value < 1e6 else f"{value:.2g}"


def unit(roundoff: float) -> str:
    """Roundoff in words: a power of two, as it is of every dtype."""
    mantissa, exponent = math.frexp(roundoff)
    return f"2^{exponent - 1}" if mantissa == 0.5 else f"{roundoff:.2g}"


def _not_finite(modules: Iterable[ModuleComparison]) -> Iterator[Finding]:
    """Tensors of which nothing can be said, since the baseline itself is not finite."""
    for path, names in _by_path(modules).items():
        text = f"`{path}`: its {first_few(names)} is not finite in the baseline itself, and was not compared"
        yield Finding(kind=Kind.BOTH, name=path, text=text)


def _by_path(modules: Iterable[ModuleComparison]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for module in modules:
        for tensor in module.tensors:
            if tensor.state is State.UNSAID and tensor.name not in found.get(module.path, ()):
                found.setdefault(module.path, []).append(tensor.name)
    return found
