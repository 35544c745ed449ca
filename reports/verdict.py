"""The gate: two runs in, a verdict out. Nothing is printed here and nothing is read but the two runs."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from fixtures.claims import Verdict
from fixtures.judgement import false_alarm_rate
from reports.comparison import Change, ClaimChange, Group, compare, grouped, refuse_other_questions
from reports.records import Environment, Plan, Run
from reports.wording import first_few, measured, p_value, plural

VERDICT_SCHEMA = 1

NOT_MEASURED = "not measured"
"""Two run folders carry no evidence about speed: runs made one after the other cannot be compared."""


class Outcome(StrEnum):
    """The verdict in one word, the weakest first."""

    PASS = "pass"
    NOTICE = "notice"
    NO_EVIDENCE = "no evidence"
    STOP = "stop"

    @property
    def exit_code(self) -> int:
        """0 the upgrade may go ahead, 1 it may not, 2 nobody knows."""
        return {Outcome.STOP: 1, Outcome.NO_EVIDENCE: 2}.get(self, 0)

    @property
    def weight(self) -> int:
        """Larger wins where several parts have an opinion."""
        return list(Outcome).index(self)


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the verdict rests on.

    Attributes:
        outcome: what this alone would make of the verdict.
        text: one sentence, with effects in natural units.
        claims: how many claims it is about; 0 for a reason that is not about claims.
        details: lines to show below it, such as the last output of a candidate that crashed.
    """

    outcome: Outcome
    text: str
    claims: int = 0
    details: tuple[str, ...] = ()


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two runs, in short. `statistical` counts the claims that a healthy torch violates by chance."""

    label: str
    torch: str
    claims: int
    statistical: int


class FamilyCount(msgspec.Struct, frozen=True, kw_only=True):
    """Claims of one family on one dtype; pairs are baseline and candidate."""

    family: str
    dtype: str
    claims: int
    holds: tuple[int, int]
    violated: tuple[int, int]
    no_evidence: tuple[int, int]
    mended: int

    def __add__(self, other: FamilyCount) -> FamilyCount:
        """Both together, under this one's names."""

        def total(ours: tuple[int, int], theirs: tuple[int, int]) -> tuple[int, int]:
            return ours[0] + theirs[0], ours[1] + theirs[1]

        return FamilyCount(
            family=self.family,
            dtype=self.dtype,
            claims=self.claims + other.claims,
            holds=total(self.holds, other.holds),
            violated=total(self.violated, other.violated),
            no_evidence=total(self.no_evidence, other.no_evidence),
            mended=self.mended + other.mended,
        )


class Streams(msgspec.Struct, frozen=True, kw_only=True):
    """Same seed, same weights? Subjects by what their fixed-seed digests say; `missing` have one on one side only."""

    same: int
    changed: tuple[str, ...]
    missing: tuple[str, ...]


class GateVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate decided and why; verdict.json.

    Attributes:
        reasons: the most important first.
        changes: every planned claim but those that hold on both sides.
        false_alarm_rate: chance, at most, that two healthy runs of this size show any violation.
        rerun: command that repeats the gate on the same draws; None where the versions are not on an index.
    """

    schema: int
    outcome: Outcome
    exit_code: int
    baseline: Side
    candidate: Side
    plan: dict[str, str]
    reasons: tuple[Reason, ...]
    counts: tuple[FamilyCount, ...]
    changes: tuple[ClaimChange, ...]
    streams: Streams
    speed: str
    false_alarm_rate: float
    rerun: str | None


def gate(baseline: Run, candidate: Run) -> GateVerdict:
    """Judge the step from one run to another.

    Raises:
        Incomparable: the two runs were not asked the same.
    """
    refuse_other_questions(baseline, candidate)
    changes = compare(baseline, candidate)
    streams = _streams(baseline, candidate)
    reasons = [
        *_failures(baseline, candidate),
        *_conformance(changes),
        *_completeness(baseline, candidate, changes),
        *_stream_notices(streams, baseline, candidate),
        *_surroundings(baseline.environment, candidate.environment),
    ]
    reasons.sort(key=lambda reason: -reason.outcome.weight)
    outcome = reasons[0].outcome if reasons else Outcome.PASS
    sides = _side(baseline), _side(candidate)
    return GateVerdict(
        schema=VERDICT_SCHEMA,
        outcome=outcome,
        exit_code=outcome.exit_code,
        baseline=sides[0],
        candidate=sides[1],
        plan=_asked(baseline.plan or candidate.plan),
        reasons=tuple(reasons),
        counts=family_counts(changes),
        changes=tuple(change for change in changes if change.change is not Change.HELD),
        streams=streams,
        speed=NOT_MEASURED,
        false_alarm_rate=sum(false_alarm_rate(side.statistical) for side in sides),
        rerun=_rerun(baseline, candidate),
    )


def statistical(run: Run) -> int:
    """How many claims of a run could be violated by chance."""
    return sum(claim.p is not None for claim in run.claims.values())


def family_counts(changes: Iterable[ClaimChange]) -> tuple[FamilyCount, ...]:
    """Claims by family, in the order in which they first occur, and dtype; those without any finding are left out."""
    families: dict[str, dict[str, list[ClaimChange]]] = {}
    for change in changes:
        if claim := change.claim:
            families.setdefault(claim.family, {}).setdefault(claim.subject.dtype, []).append(change)

    def both(members: list[ClaimChange], verdict: Verdict) -> tuple[int, int]:
        before = sum(change.baseline is not None and change.baseline.verdict is verdict for change in members)
        after = sum(change.candidate is not None and change.candidate.verdict is verdict for change in members)
        return before, after

    return tuple(
        FamilyCount(
            family=family,
            dtype=dtype,
            claims=len(members),
            holds=both(members, Verdict.HOLDS),
            violated=both(members, Verdict.VIOLATED),
            no_evidence=both(members, Verdict.NO_EVIDENCE),
            mended=sum(change.change is Change.MENDED for change in members),
        )
        for family, dtypes in families.items()
        for dtype, members in dtypes.items()
    )


def _side(run: Run) -> Side:
    return Side(label=run.label, torch=run.torch_version, claims=len(run.claims), statistical=statistical(run))


def _asked(plan: Plan | None) -> dict[str, str]:
    """The options that decide what was asked, for a reader."""
    if plan is None:
        return {}
    selected = {"selection": plan.selection} if plan.selection else {}
    devices = ",".join(plan.devices)
    return {"tier": plan.tier, "seed": str(plan.seed), "target": plan.target, "devices": devices} | selected


def _failures(baseline: Run, candidate: Run) -> list[Reason]:
    """What a run that did not end as planned makes of the verdict."""
    planned = len(baseline.plan.claims) if baseline.plan else 0
    reasons = []
    if failure := candidate.failure:
        outcome = Outcome.STOP if failure.blames == "framework" else Outcome.NO_EVIDENCE
        answered = f" ({len(candidate.claims)} of {plural(planned, 'planned claim')} answered)" if planned else ""
        text = f"the candidate {STAGES[failure.stage]}: {failure.reason}{answered}"
        reasons.append(Reason(outcome=outcome, text=text, details=failure.tail))
    if failure := baseline.failure:
        text = f"the baseline {STAGES[failure.stage]}: {failure.reason}"
        reasons.append(Reason(outcome=Outcome.NO_EVIDENCE, text=text, details=failure.tail))
    return reasons


STAGES = {"install": "could not be installed", "import": "could not be imported", "run": "did not finish"}


def _conformance(changes: list[ClaimChange]) -> list[Reason]:
    """Reasons from claims that are violated in the candidate, or no longer judged there; one for each topic."""
    noticed = Change.UNREGISTERED, Change.LOST, Change.REGISTERED, Change.UNRESOLVED
    return [
        Reason(outcome=outcome, text=describe(group), claims=len(group.members))
        for outcome, kinds in ((Outcome.STOP, (Change.NEW, Change.WORSE)), (Outcome.NOTICE, noticed))
        for group in grouped(changes, *kinds)
    ]


def describe(group: Group) -> str:
    """One sentence on what happened to a group of claims, with the worst of them in numbers."""
    family, initializer, dtype = group.topic
    before, after = group.worst.baseline, group.worst.candidate
    count = f" ({plural(len(group.members), 'claim')})" if len(group.members) > 1 else ""
    subject = f"{group.change}: {family} of {initializer} in {dtype}{count}: "
    if group.change is Change.LOST:
        return f"{subject}{after.note if after and after.note else 'no reason given'}"
    unit = after.effect.unit if after and after.effect else None
    likely = f", {p_value(after.p)}" if after and after.p is not None else ""
    return f"{subject}{measured(after)} (baseline: {measured(before, unit)}){likely}"


def _completeness(baseline: Run, candidate: Run, changes: list[ClaimChange]) -> list[Reason]:
    """Reasons from what was not asked, not answered, or not decided."""
    reasons = []
    for name, run in (("baseline", baseline), ("candidate", candidate)):
        if run.plan is not None and not run.plan.claims and run.failure is None:
            reasons.append(_no_evidence(f"nothing was asked: the plan of the {name} is empty"))
        missing = run.unanswered()
        if missing and run.failure is None:
            planned = len(run.plan.claims) if run.plan else 0
            text = f"the {name} left {len(missing)} of {plural(planned, 'planned claim')} without a finding: "
            reasons.append(_no_evidence(text + first_few(missing)))
    judged = {Verdict.HOLDS, Verdict.VIOLATED}
    compared = any(
        change.baseline and change.candidate and {change.baseline.verdict, change.candidate.verdict} <= judged
        for change in changes
    )
    if changes and not compared and not (baseline.failure or candidate.failure):
        reasons.append(_no_evidence("no claim was judged on both sides"))
    return reasons


def _no_evidence(text: str) -> Reason:
    return Reason(outcome=Outcome.NO_EVIDENCE, text=text)


def undecided(changes: Iterable[ClaimChange]) -> Counter[str]:
    """Why neither side could tell, with how many claims each reason leaves open."""
    notes = Counter[str]()
    for change in changes:
        if change.change is Change.UNTOLD and change.candidate:
            notes[change.candidate.note or "no reason given"] += 1
    return notes


def _streams(baseline: Run, candidate: Run) -> Streams:
    before, after = baseline.digests, candidate.digests
    both = before.keys() & after.keys()
    changed = sorted(key for key in both if before[key] != after[key])
    return Streams(
        same=len(both) - len(changed), changed=tuple(changed), missing=tuple(sorted(before.keys() ^ after.keys()))
    )


def _stream_notices(streams: Streams, baseline: Run, candidate: Run) -> list[Reason]:
    reasons = []
    if streams.changed:
        subjects = {case.subject.key: case.subject for case in (baseline.plan.cases if baseline.plan else ())}
        named = {key: f"{subject.initializer} in {subject.dtype}" for key, subject in subjects.items()}
        where = list(dict.fromkeys(named.get(key, key) for key in streams.changed))
        of = f"{len(streams.changed)} of {plural(streams.same + len(streams.changed), 'subject')}"
        text = f"stream changed: the same seed gives other weights for {of}: {first_few(where, 5)}"
        reasons.append(Reason(outcome=Outcome.NOTICE, text=text))
    if streams.missing and not (baseline.failure or candidate.failure):
        text = f"{plural(len(streams.missing), 'fixed-seed digest')} on one side only: {first_few(streams.missing)}"
        reasons.append(Reason(outcome=Outcome.NOTICE, text=text))
    return reasons


def _surroundings(before: Environment | None, after: Environment | None) -> list[Reason]:
    """Notices of what differs beside torch."""
    if before is None or after is None:
        return []
    differing = {
        "package versions beside torch differ": _differences(
            {name: version for name, version in before.packages.items() if name != "torch"},
            {name: version for name, version in after.packages.items() if name != "torch"},
        ),
        "the machines differ": _differences(before.machine, after.machine),
        "Python differs": _differences({"python": before.python}, {"python": after.python}),
        "what was left out differs": _differences(before.skipped, after.skipped),
    }
    return [
        Reason(outcome=Outcome.NOTICE, text=f"{what}: {first_few(names, 5)}")
        for what, names in differing.items()
        if names
    ]


def _differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """What differs, by name; long values (lists of CPU flags) are not shown."""
    names = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    values = [(str(before.get(name, "none")), str(after.get(name, "none"))) for name in names]
    return [
        f"{name} ({old} -> {new})" if max(len(old), len(new)) <= LONGEST_VALUE else name
        for name, (old, new) in zip(names, values, strict=True)
    ]


LONGEST_VALUE = 40
"""Characters of a value that is shown in a list of differences: a version or the name of a CPU."""


_RELEASED = re.compile(r"(\d+\.\d+\.\d+)(\+(cpu|cu\d+|rocm[\d.]+|xpu))?")
"""A version that an index has; what else a build calls itself (nightlies, own builds) is not asked for by name."""


def _rerun(baseline: Run, candidate: Run) -> str | None:
    versions = [_RELEASED.fullmatch(run.torch_version) for run in (baseline, candidate)]
    plan = baseline.plan
    if plan is None or not all(versions):
        return None
    before, after = (match[1] for match in versions if match)
    options = {
        "--baseline": before,
        "--candidate": after,
        "--tier": plan.tier,
        "--device": ",".join(plan.devices),
        "--seed": str(plan.seed),
    }
    if plan.target != "torch.nn.init":
        options["--target"] = plan.target
    if plan.selection:
        options["-k"] = plan.selection
    return shlex.join(["nox", "-s", "gate", "--", *(word for option in options.items() for word in option)])
