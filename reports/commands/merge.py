"""One run out of several: shards that asked different questions, or the same questions on different devices.

What a gate will read must have one meaning, so whatever two runs say differently of what is one thing is an error.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy.typing as npt

from fixtures.record.claim import Claim, Verdict
from fixtures.record.environment import Environment
from fixtures.record.file_names import ENVIRONMENT, INTERFACE, PLAN
from fixtures.record.plan import Case, Plan
from fixtures.record.run_folder import Run, seal_run, write_claims, write_digests, write_record, write_sketches
from fixtures.statistics.judgement import false_alarm_rate
from fixtures.weights.sketch import SALT, SALTED
from fixtures.words.phrases import first_few, plural


class Unmergeable(Exception):
    """Runs that are not parts of one run; the message is one line naming what contradicts."""


Value = TypeVar("Value")


def merge(runs: Sequence[Run], folder: Path) -> Run:
    """The run of which `runs` are parts, to be written to `folder`; claims and cases in the order in which they come.

    Claims about the CPU are asked on every device's run. They count where the CPU was among the devices to ask, and
    else in the first run that answers them.

    Raises:
        Unmergeable: a run that did not end as planned, runs that were asked of different torches or with different
            options, that ask the same, or that contradict each other.
    """
    if len(runs) < 2:
        raise Unmergeable("two runs or more are needed")
    for run in runs:
        if run.failure is not None or not run.ended or run.plan is None or run.environment is None:
            raise Unmergeable(f"{run.label} did not end as planned; gate it by itself")
    _refuse_contradictions(runs)
    claims = _joined_claims(runs)
    plan = _joined_plan(runs)
    promised = false_alarm_rate(len(plan.claims), plan.comparisons)
    if promised > plan.false_alarm_rate:
        raise Unmergeable(
            f"{plural(len(plan.claims), 'claim')} and {plural(plan.comparisons, 'comparison')} raise a false alarm "
            f"with chance {promised:.1e}, more than the {plan.false_alarm_rate:g} that each run promised"
        )
    return Run(
        folder=folder,
        plan=plan,
        environment=_joined_environment(runs, plan),
        claims=claims,
        digests=_union(runs, "digest", [run.digests for run in runs], lambda one, other: one == other),
        sketches=_joined_sketches(runs),
        interface=next((run.interface for run in runs if run.interface), None),
    )


def write_run(run: Run) -> None:
    """Write a run to its folder, which does not exist yet: whole or not at all.

    Raises:
        OSError: it exists, or cannot be written.
    """
    assert run.plan is not None
    assert run.environment is not None
    temporary = run.folder.with_name(f".{run.folder.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        write_record(temporary / PLAN, run.plan)
        write_record(temporary / ENVIRONMENT, run.environment)
        if run.digests:
            write_digests(temporary, run.digests)
        if run.sketches:
            write_sketches(temporary, run.sketches)
        if run.interface is not None:
            write_record(temporary / INTERFACE, run.interface)
        write_claims(temporary, run.claims.values())
        seal_run(temporary)
        # An empty folder gives way to a renamed one; whatever else has the name does not.
        temporary.rename(run.folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _refuse_contradictions(runs: Sequence[Run]) -> None:
    """Refuse runs of different torches or with different options, naming all that differs."""
    found = [difference for what, value in _ONE_FOR_ALL.items() if (difference := _difference(runs, what, value))]
    found += _different_packages(runs)
    interfaces = {msgspec.json.encode(run.interface): run.label for run in runs if run.interface}
    if len(interfaces) > 1:
        one, other, *_ = interfaces.values()
        found.append(f"torch.nn.init is called, or answers, otherwise in {one} than in {other}")
    selections = {run.plan.selection for run in runs if run.plan}
    if len(selections) > 1 and "" in selections:
        found.append("some select with -k and some do not: what they select together has no name")
    if found:
        raise Unmergeable("not parts of one run: " + "; ".join(found))


_ONE_FOR_ALL: dict[str, Callable[[Plan, Environment], object]] = {
    "seed": lambda plan, _: plan.seed,
    "tier": lambda plan, _: plan.tier,
    "target": lambda plan, _: plan.target,
    "false-alarm rate": lambda plan, _: plan.false_alarm_rate,
    "planted fault": lambda _, environment: environment.options.get("fault"),
    "torch": lambda _, environment: environment.torch.get("version"),
    "torch's commit": lambda _, environment: environment.torch.get("git"),
    "torch's CUDA": lambda _, environment: environment.torch.get("cuda"),
    "added packages": lambda _, environment: sorted(environment.added),
    "Python": lambda _, environment: environment.python.partition(" ")[0],
}
"""Properties that all parts of one run share. Machines may differ, and what torch says of them:
parts run in parallel."""


def _difference(runs: Sequence[Run], what: str, value: Callable[[Plan, Environment], object]) -> str | None:
    values = [value(run.plan, run.environment) for run in runs if run.plan and run.environment]
    for run, other in zip(runs, values, strict=True):
        if other != values[0]:
            return f"{what} is {values[0]!r} in {runs[0].label} and {other!r} in {run.label}"
    return None


def _different_packages(runs: Sequence[Run]) -> Iterable[str]:
    first, *others = ((run.label, run.environment.packages) for run in runs if run.environment)
    for label, packages in others:
        names = sorted(name for name in packages.keys() | first[1].keys() if packages.get(name) != first[1].get(name))
        if names:
            yield f"packages differ between {first[0]} and {label}: {first_few(names)}"
            return


def _joined_claims(runs: Sequence[Run]) -> dict[str, Claim]:
    """Every claim's one answer, in the order of the parts' plans."""
    planning: dict[str, list[Run]] = {}
    for run in runs:
        for name in run.plan.claims if run.plan else ():
            planning.setdefault(name, []).append(run)
    answers = ((name, _answer(name, planned)) for name, planned in planning.items())
    return {name: claim for name, claim in answers if claim is not None}


def _answer(name: str, planned: Sequence[Run]) -> Claim | None:
    """The answer to one claim, of all the runs that planned it."""
    answered = [(run, run.claims[name]) for run in planned if name in run.claims]
    if len(planned) == 1:
        return answered[0][1] if answered else None
    device = answered[0][1].subject.device if answered else None
    owners = [run for run in planned if device is None or (run.plan and device in run.plan.devices)]
    if len(owners) > 1:
        raise Unmergeable(f"{owners[0].label} and {owners[1].label} overlap: both ask {name}")
    for (one, first), (other, second) in itertools.combinations(answered, 2):
        if {first.verdict, second.verdict} == {Verdict.HOLDS, Verdict.VIOLATED}:
            raise Unmergeable(f"{name}: {first.verdict} in {one.label} and {second.verdict} in {other.label}")
    return next((claim for run, claim in answered if run in owners), answered[0][1])


def _joined_plan(runs: Sequence[Run]) -> Plan:
    plans = [run.plan for run in runs if run.plan]
    cases: dict[str, Case] = {}
    for run, plan in zip(runs, plans, strict=True):
        for case in plan.cases:
            name = f"{case.family}/{case.subject.key}"
            if cases.setdefault(name, case) != case:
                raise Unmergeable(
                    f"{name} is another case in {run.label} than before: {case.draws} draws, core {case.core}"
                )
    selections = list(dict.fromkeys(plan.selection for plan in plans))
    return msgspec.structs.replace(
        plans[0],
        devices=tuple(sorted({device for plan in plans for device in plan.devices})),
        cases=tuple(cases.values()),
        claims=tuple(dict.fromkeys(name for plan in plans for name in plan.claims)),
        selection=selections[0] if len(selections) == 1 else " or ".join(f"({text})" for text in selections),
    )


def _joined_environment(runs: Sequence[Run], plan: Plan) -> Environment:
    environments = [run.environment for run in runs if run.environment]
    skipped: Counter[str] = Counter()
    for environment in environments:
        skipped.update(environment.skipped)
    return msgspec.structs.replace(
        environments[0],
        torch=_facts(environment.torch for environment in environments),
        machine=_facts(environment.machine for environment in environments),
        options=_facts(environment.options for environment in environments)
        | {"devices": list(plan.devices), "selection": plan.selection},
        started=min(environment.started for environment in environments),
        seconds=round(sum(environment.seconds for environment in environments), 3),
        skipped=dict(skipped),
    )


def _facts(told: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Facts that are the same everywhere, and lists of what was told where they are not."""
    values: dict[str, list[Any]] = {}
    for facts in told:
        for name, value in facts.items():
            if value not in values.setdefault(name, []):
                values[name].append(value)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def _union(
    runs: Sequence[Run],
    noun: str,
    parts: Sequence[Mapping[str, Value]],
    same: Callable[[Value, Value], bool],
) -> dict[str, Value]:
    joined: dict[str, Value] = {}
    for run, part in zip(runs, parts, strict=True):
        for name, value in part.items():
            if name in joined and not same(joined[name], value):
                raise Unmergeable(f"the {noun} of {name} in {run.label} is another than before")
            joined[name] = value
    return joined


def _joined_sketches(runs: Sequence[Run]) -> dict[str, npt.NDArray[Any]]:
    """Join sketches: of draws from the common seed the one; of salted ones, which differ by part, the first."""
    salted = {
        name: array
        for run in reversed(runs)
        for name, array in run.sketches.items()
        if name.rpartition("/")[2] in (SALTED, SALT)
    }
    common = [{name: array for name, array in run.sketches.items() if name not in salted} for run in runs]
    return _union(runs, "sketch", common, _same_array) | salted


def _same_array(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    return (one.dtype, one.shape) == (other.dtype, other.shape) and one.tobytes() == other.tobytes()
