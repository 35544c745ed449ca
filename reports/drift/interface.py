"""Interface of torch.nn.init on both sides: parameters, warnings and errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fixtures.record.interface import Answer, Parameter
from fixtures.record.run_folder import Run
from reports.drift.kinds import Drift, Kind, Standing

TORCH = "torch.nn.init"

Parameters = tuple[Parameter, ...]


def interface_drifts(baseline: Run, candidate: Run, standing: Standing) -> Iterator[Drift]:
    """Functions and their parameters, then warnings and errors; their wording is shown, but nobody may rely on it."""
    before, after = baseline.interface, candidate.interface
    if before is None or after is None:
        if before is not after and not standing.cut_short:
            side = "candidate" if after is None else "baseline"
            text = f"names, parameters, warnings and errors not compared: the {side} has not recorded them"
            yield standing.about_function(Kind.UNCOMPARED, _target(baseline, candidate), text)
        return
    target = _target(baseline, candidate)
    for name in sorted(before.functions.keys() | after.functions.keys()):
        dotted = f"{target}.{name}"
        if name not in after.functions:
            yield standing.about_function(Kind.SIGNATURE, dotted, f"{dotted} is gone")
        elif name not in before.functions:
            yield standing.about_function(Kind.SIGNATURE_ADDED, dotted, f"{dotted} is new")
        else:
            yield from _function_drifts(dotted, before.functions[name], after.functions[name], standing)
    for call in [call for call in before.answers if call in after.answers]:
        answers = before.answers[call], after.answers[call]
        if _events(answers[0]) != _events(answers[1]):
            dotted = f"{target}.{call.partition('(')[0]}"
            text = f"{target}.{call} {_in_words(answers[1])}; the baseline {_in_words(answers[0])}"
            yield standing.about_function(Kind.MESSAGE, dotted, text, f"{target}.{call}")


def _target(baseline: Run, candidate: Run) -> str:
    plan = baseline.plan or candidate.plan
    return plan.target if plan else TORCH


def _events(answers: Sequence[Answer]) -> list[str]:
    return [str(answer) for answer in answers]


def _in_words(answers: Sequence[Answer]) -> str:
    """Events, and the last words."""
    if not answers:
        return "neither warns nor raises"
    said = f" ({answers[-1].words})" if answers[-1].words else ""
    return ", ".join(_events(answers)) + said


def _function_drifts(
    dotted: str, before: Parameters | None, after: Parameters | None, standing: Standing
) -> Iterator[Drift]:
    if before is None or after is None:
        if before is not after:
            side = "candidate" if after is None else "baseline"
            yield standing.about_function(Kind.UNCOMPARED, dotted, f"{dotted}: the {side} does not tell its parameters")
        return
    if broken := breaking_changes(before, after):
        yield standing.about_function(Kind.SIGNATURE, dotted, f"{dotted}: {'; '.join(broken)}")
    if added := additions(before, after):
        yield standing.about_function(Kind.SIGNATURE_ADDED, dotted, f"{dotted}: {'; '.join(added)}")


def breaking_changes(before: Parameters, after: Parameters) -> list[str]:
    """Changes after which a call that worked may fail or mean something else, in words."""
    old, new = ({parameter.name: parameter for parameter in parameters} for parameters in (before, after))
    gone = [name for name in old if name not in new]
    come = [name for name in new if name not in old]
    renamed = _renamed(before, after)
    changes = [f"parameter {name} is now called {renamed[name]}" for name in gone if name in renamed]
    changes += [f"parameter {name} is gone" for name in gone if name not in renamed]
    changes += [
        f"parameter {name} is new and must be given"
        for name in come
        if new[name].is_required and name not in renamed.values()
    ]
    for name in (name for name in old if name in new):
        changes += _narrowed(old[name], new[name])
    return changes + _moved(before, after, renamed)


def _renamed(before: Parameters, after: Parameters) -> dict[str, str]:
    """Parameters whose name alone has changed: what is gone, by what stands in its place with its kind and default."""
    kept = {parameter.name for parameter in before} & {parameter.name for parameter in after}
    return {
        old.name: new.name
        for old, new in zip(before, after, strict=False)
        if old.name not in kept and new.name not in kept and (old.kind, old.default) == (new.kind, new.default)
    }


def _narrowed(before: Parameter, after: Parameter) -> list[str]:
    """Uses of one parameter that are no longer allowed."""
    changes = []
    if before.default != after.default and before.default is not None:
        is_now = "must be given" if after.default is None else f"defaults to {after.default}"
        changes.append(f"parameter {before.name} {is_now} (it defaulted to {before.default})")
    lost = (before.by_place and not after.by_place) or (before.by_name and not after.by_name)
    if lost or before.kind.startswith("variadic") != after.kind.startswith("variadic"):
        changes.append(f"parameter {before.name} is {after.kind} (it was {before.kind})")
    return changes


def _moved(before: Parameters, after: Parameters, renamed: dict[str, str]) -> list[str]:
    """Parameters that are given by another place; one that is not given by place any more is told by `_narrowed`."""
    places = {parameter.name: place for place, parameter in enumerate(p for p in after if p.by_place)}
    return [
        f"parameter {parameter.name} has moved from place {place + 1} to {places[name] + 1}"
        for place, parameter in enumerate(p for p in before if p.by_place)
        if (name := renamed.get(parameter.name, parameter.name)) in places and places[name] != place
    ]


def additions(before: Parameters, after: Parameters) -> list[str]:
    """Changes after which a call may do more than it could, in words."""
    old = {parameter.name: parameter for parameter in before}
    renamed = _renamed(before, after).values()
    added = [
        f"parameter {parameter.name} is new"
        + (f" (default {parameter.default})" if parameter.default is not None else "")
        for parameter in after
        if parameter.name not in old and parameter.name not in renamed and not parameter.is_required
    ]
    both = [(old[parameter.name], parameter) for parameter in after if parameter.name in old]
    optional = [
        f"parameter {now.name} may be left out (default {now.default})"
        for was, now in both
        if was.is_required and now.default is not None
    ]
    wider = [
        f"parameter {now.name} may be given by {'place' if now.by_place and not was.by_place else 'name'}"
        for was, now in both
        if not was.kind.startswith("variadic")
        and ((now.by_place and not was.by_place) or (now.by_name and not was.by_name))
    ]
    return added + optional + wider
