"""The gate: two runs, a policy and the clock's times in, a verdict out. Nothing is printed or read here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from fixtures.clock.results import Pairing
from fixtures.record.claim import Verdict
from fixtures.record.environment import UNKNOWN_TORCH, Environment
from fixtures.record.plan import Plan
from fixtures.record.run_folder import Run
from fixtures.rules.policy import Policy, Severity, default_policy
from fixtures.rules.waivers import Applied, Waivers, apply, stanza
from fixtures.words.phrases import first_few, measured, p_value, plural
from reports.comparison.changes import (
    Change,
    ClaimChange,
    Incomparable,
    by_defect,
    compare,
    grouped,
    refuse_other_questions,
)
from reports.comparison.false_alarms import FalseAlarms, claim_looks, false_alarms, refuse_broken_promise
from reports.drift import Drift, drift_looks, drifts
from reports.drift.kinds import Kind
from reports.drift.topics import topics
from reports.model import ModelComparison, Records, compared_models, model_looks
from reports.model.kinds import Finding, details_of, in_words
from reports.model.kinds import Kind as ModelKind
from reports.verdict.intent import ABSENT, Intent, intent
from reports.verdict.reasons import Outcome, Reason, area_of
from reports.verdict.speed import UNCLEAR, SpeedFinding, speed_findings, speed_looks

VERDICT_SCHEMA = 5

UNUSED = "waiver.unused"


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two runs, in short."""

    label: str
    torch: str
    claims: int


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
    """Decision of the gate and its reasons; verdict.json.

    Attributes:
        intent: packages other than torch that were meant to differ.
        reasons: the most important first.
        changes: every planned claim but those that hold on both sides.
        drifts: what changed though it may be right on both sides.
        speed: what the paired clock measured; None where it did not.
        model: the user's own model on both sides; None where none was asked.
        policy: the policy in force, with its defaults.
        false_alarms: chance, at most, that two healthy torches are stopped by what was tested.
        rerun: command that repeats the gate on the same draws; None where the versions are not on an index.
        stanza: the waiver to paste for the most important of the stops that can be waived.
    """

    schema: int
    outcome: Outcome
    exit_code: int
    baseline: Side
    candidate: Side
    intent: Intent
    plan: dict[str, str]
    reasons: tuple[Reason, ...]
    counts: tuple[FamilyCount, ...]
    changes: tuple[ClaimChange, ...]
    streams: Streams
    drifts: tuple[Drift, ...]
    speed: Pairing | None
    model: ModelComparison | None
    policy: Policy
    false_alarms: FalseAlarms
    rerun: str | None
    stanza: str | None


def gate(
    baseline: Run,
    candidate: Run,
    *,
    policy: Policy | None = None,
    waivers: Waivers | None = None,
    pairing: Pairing | None = None,
    model: Records | None = None,
) -> GateVerdict:
    """Judge the step from one run to another.

    Args:
        baseline: the run of the torch in use.
        candidate: the run of the torch to come.
        policy: what each kind of finding makes of the verdict; the default one if None.
        waivers: what may pass for a while.
        pairing: both torches' times, taken together; None where none were.
        model: what both runs recorded of the user's own model; None where they were not asked.

    Raises:
        Incomparable: the two runs were not asked the same, or the times are those of others.
        PromiseBroken: the policy lets more stop by chance than the runs promised.
    """
    policy = policy or default_policy()
    refuse_other_questions(baseline, candidate)
    if pairing:
        _refuse_times_of_others(pairing, baseline, candidate)
    changes = compare(baseline, candidate)
    streams = _streams(baseline, candidate)
    drifted = drifts(baseline, candidate, changes)
    timed = speed_findings(pairing, policy.speed)
    own = compared_models(model, (_version(baseline), _version(candidate))) if model else None
    plan = baseline.plan or candidate.plan
    intended = intent(baseline.environment, candidate.environment)
    looks = (*drift_looks(baseline, candidate, changes), *speed_looks(pairing, policy.speed), *model_looks(own))
    chance = false_alarms((*claim_looks(statistical(candidate)), *looks), policy, with_model=own is not None)
    refuse_broken_promise(chance, plan)
    found = list(_excusable(changes, drifted, timed, own.findings if own else ()))
    deciding = [one for one in found if policy.severity(one.kind) in (Severity.STOP, Severity.NO_EVIDENCE)]
    applied = apply(
        waivers or Waivers(), deciding, torch_version=candidate.torch_version, tier=plan.tier if plan else ""
    )
    covering = zip(deciding, applied.covering, strict=True)
    judge = _Judge(policy, {(one.kind, one.name): waived for one, waived in covering if waived})
    reasons = [
        *_failures(baseline, candidate),
        *judge.model(own.findings if own else ()),
        *judge.conformance(changes),
        *judge.completeness(baseline, candidate, changes),
        *judge.drift(drifted, streams),
        *judge.surroundings(baseline.environment, candidate.environment, intended),
        *judge.speed(timed),
        *_of_waivers(applied),
    ]
    # What was waived would weigh more, and is the first of the notices to read; then waivers that want to be removed;
    # then what the suite is for. Among claims, those that got worse come before those that are as they were.
    reasons.sort(
        key=lambda reason: (
            -reason.outcome.rank,
            not reason.waived,
            reason.kind != UNUSED,
            area_of(reason.kind, reason.names),
        )
    )
    outcome = reasons[0].outcome if reasons else Outcome.PASS
    sides = _side(baseline), _side(candidate)
    return GateVerdict(
        schema=VERDICT_SCHEMA,
        outcome=outcome,
        exit_code=outcome.exit_code,
        baseline=sides[0],
        candidate=sides[1],
        intent=intended,
        plan=_asked(plan),
        reasons=tuple(reasons),
        counts=family_counts(changes),
        changes=tuple(change for change in changes if change.change is not Change.HELD),
        streams=streams,
        drifts=drifted,
        speed=pairing,
        model=own,
        policy=policy,
        false_alarms=chance,
        rerun=_rerun(baseline, candidate, own.model if own else ""),
        stanza=_stanza(reasons, found, candidate.torch_version),
    )


def statistical(run: Run) -> int:
    """Number of claims of a run that could be violated by chance."""
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


def _version(run: Run) -> str | None:
    """Torch of a run; None where it never got that far."""
    return None if run.torch_version == UNKNOWN_TORCH else run.torch_version


def _side(run: Run) -> Side:
    return Side(label=run.label, torch=run.torch_version, claims=len(run.claims))


def _asked(plan: Plan | None) -> dict[str, str]:
    """The options that decide what was asked, for a reader."""
    if plan is None:
        return {}
    selected = {"selection": plan.selection} if plan.selection else {}
    devices = ",".join(plan.devices)
    return {"tier": plan.tier, "seed": str(plan.seed), "target": plan.target, "devices": devices} | selected


def _failures(baseline: Run, candidate: Run) -> list[Reason]:
    """Reasons from runs that did not end as planned."""
    planned = len(baseline.plan.claims) if baseline.plan else 0
    reasons = []
    if failure := candidate.failure:
        outcome = Outcome.STOP if failure.blames == "framework" else Outcome.NO_EVIDENCE
        answered = f" ({len(candidate.claims)} of {plural(planned, 'planned claim')} answered)" if planned else ""
        text = f"the candidate {STAGES[failure.stage]}: {failure.reason}{answered}"
        reasons.append(Reason(outcome=outcome, kind="failure", text=text, details=failure.tail))
    if failure := baseline.failure:
        text = f"the baseline {STAGES[failure.stage]}: {failure.reason}"
        reasons.append(Reason(outcome=Outcome.NO_EVIDENCE, kind="failure", text=text, details=failure.tail))
    return reasons


STAGES = {"install": "could not be installed", "import": "could not be imported", "run": "did not finish"}


def _refuse_times_of_others(pairing: Pairing, baseline: Run, candidate: Run) -> None:
    for name, run in (("baseline", baseline), ("candidate", candidate)):
        timed = getattr(pairing, name).get("torch")
        # A side that never started has no name.
        if timed is not None and run.environment is not None and timed != run.torch_version:
            raise Incomparable(f"the times are those of torch {timed}, and the {name}'s run is of {run.torch_version}")


@dataclass(frozen=True)
class _Excusable:
    """A finding that a waiver may cover; see fixtures/rules/waivers.py."""

    kind: str
    name: str
    family: str
    fields: Mapping[str, str]


def _excusable(
    changes: Iterable[ClaimChange], drifted: Iterable[Drift], timed: Iterable[SpeedFinding], own: Iterable[Finding]
) -> Iterator[_Excusable]:
    for change in changes:
        if change.claim and (kind := change.change.policy_key):
            yield _Excusable(kind, change.id, change.claim.family, change.claim.subject.fields)
    for drift in drifted:
        if (kind := drift.policy_kind).tag:
            yield _Excusable(f"drift.{kind}", drift.subject, f"drift.{kind}", drift.fields)
    for finding in timed:
        yield _Excusable(finding.kind, finding.workload or "", finding.kind, finding.fields)
    for one in own:
        yield _Excusable(one.kind.policy_key, one.name, one.kind.policy_key, one.fields)


Item = TypeVar("Item")


@dataclass(frozen=True)
class _Judge:
    """Turns what was found into reasons.

    Attributes:
        policy: what each kind of finding makes of the verdict.
        waived: (kind, name) of a finding -> the waivers that cover it.
    """

    policy: Policy
    waived: Mapping[tuple[str, str], tuple[str, ...]]

    def conformance(self, changes: list[ClaimChange]) -> Iterator[Reason]:
        """Reasons from claims that are violated in the candidate, or no longer judged there."""
        for change in Change:
            if not (kind := change.policy_key):
                continue
            alike = [one for one in changes if one.change is change]
            for waivers, members in self._apart(kind, alike, lambda one: one.id):
                for text, about in _told(members, change):
                    names = tuple(member.id for member in about)
                    yield from self._reason(kind, text, names, claims=len(names), waivers=waivers)

    def completeness(self, baseline: Run, candidate: Run, changes: list[ClaimChange]) -> Iterator[Reason]:
        """Reasons from what was not asked, not answered, or not decided."""
        for name, run in (("baseline", baseline), ("candidate", candidate)):
            if run.failure is not None:
                continue
            if run.plan is not None and not run.plan.claims:
                yield _undecidable(f"nothing was asked: the plan of the {name} is empty")
            if run.plan is not None and (missing := run.unanswered()):
                planned = plural(len(run.plan.claims), "planned claim")
                text = f"the {name} left {len(missing)} of {planned} without a finding: {first_few(missing)}"
                yield from self._reason("completeness.unanswered", text, tuple(missing))
        judged = {Verdict.HOLDS, Verdict.VIOLATED}
        compared = any(
            change.baseline and change.candidate and {change.baseline.verdict, change.candidate.verdict} <= judged
            for change in changes
        )
        if changes and not compared and not (baseline.failure or candidate.failure):
            yield _undecidable("no claim was judged on both sides")

    def drift(self, drifted: Sequence[Drift], streams: Streams) -> Iterator[Reason]:
        """Reasons from what changed though it may be right on both sides."""
        digests = streams.same + len(streams.changed)
        for kind in Kind:
            alike = [drift for drift in drifted if drift.policy_kind is kind]
            for waivers, members in self._apart(f"drift.{kind}", alike, lambda drift: drift.subject):
                for topic in topics(members, digests):
                    names = tuple(member.subject for member in topic.members)
                    details = topic.members[0].rerun
                    yield from self._reason(f"drift.{kind}", topic.text, names, details=details, waivers=waivers)

    def surroundings(self, before: Environment | None, after: Environment | None, meant: Intent) -> Iterator[Reason]:
        """Reasons from differences other than torch and what was meant to differ."""
        if before is None or after is None:
            return
        packages = [
            {
                name: version
                for name, version in side.packages.items()
                if name not in meant.names and not _OF_TORCH.fullmatch(name)
            }
            for side in (before, after)
        ]
        but = first_few(["torch", *(step.name for step in meant.named)], 5)
        pythons = [{"python": side.python} for side in (before, after)]
        differing = {
            "surroundings.packages": (f"versions of packages other than {but} differ", _differences(*packages)),
            "surroundings.machine": ("the machines differ", _differences(before.machine, after.machine)),
            "surroundings.python": (
                "Python differs",
                _differences(*pythons),
            ),
            "completeness.left_out": ("what was left out differs", _differences(before.skipped, after.skipped)),
        }
        for kind, (what, names) in differing.items():
            if names:
                yield from self._reason(kind, f"{what}: {first_few(names, 5)}", tuple(names))

    def speed(self, timed: Iterable[SpeedFinding]) -> Iterator[Reason]:
        """Reasons from the paired clock: one for each finding, and one for all that it could not decide."""
        undecided = [finding for finding in timed if finding.kind == UNCLEAR and finding.workload]
        for finding in timed:
            if finding not in undecided:
                names = (finding.workload,) if finding.workload else ()
                waivers = self.waived.get((finding.kind, finding.workload or ""), ())
                yield from self._reason(finding.kind, finding.text, names, details=finding.details, waivers=waivers)
        for waivers, members in self._apart(UNCLEAR, undecided, lambda finding: finding.workload or ""):
            if members:
                about = tuple(finding.workload or "" for finding in members)
                text = f"too noisy to decide in the time there was: {first_few(about)}"
                details = tuple(finding.text for finding in members)
                yield from self._reason(UNCLEAR, text, about, details=details, waivers=waivers)

    def model(self, findings: Iterable[Finding]) -> Iterator[Reason]:
        """Reasons from the user's own model."""
        for kind in ModelKind:
            alike = [finding for finding in findings if finding.kind is kind]
            for waivers, members in self._apart(kind.policy_key, alike, lambda finding: finding.name):
                for about in ([one] for one in members) if kind.apart else [members] if members else []:
                    names = tuple(dict.fromkeys(one.name for one in about))
                    yield from self._reason(
                        kind.policy_key, in_words(about), names, details=details_of(about), waivers=waivers
                    )

    def _apart(
        self, kind: str, items: Iterable[Item], name: Callable[[Item], str]
    ) -> Iterator[tuple[tuple[str, ...], list[Item]]]:
        """Findings of one kind by the waivers that cover them; those that none covers first."""
        by_waivers: dict[tuple[str, ...], list[Item]] = {(): []}
        for item in items:
            by_waivers.setdefault(self.waived.get((kind, name(item)), ()), []).append(item)
        yield from by_waivers.items()

    def _reason(
        self,
        kind: str,
        text: str,
        names: tuple[str, ...],
        *,
        claims: int = 0,
        details: tuple[str, ...] = (),
        waivers: tuple[str, ...] = (),
    ) -> Iterator[Reason]:
        """The reason that the policy makes of a finding; none for one that it ignores."""
        severity = self.policy.severity(kind)
        if severity is Severity.IGNORE:
            return
        outcome = Outcome.NOTICE if waivers else Outcome(severity)
        yield Reason(outcome=outcome, kind=kind, text=text, claims=claims, names=names, details=details, waived=waivers)


def _of_waivers(applied: Applied) -> Iterator[Reason]:
    """An expired waiver stops whatever it would have covered; one that covers nothing wants to be removed."""
    for waiver in applied.expired:
        text = f"the waiver {waiver.id} of {waiver.owner} expired on {waiver.expires}: {waiver.reason}"
        yield Reason(outcome=Outcome.STOP, kind="waiver.expired", text=text, names=(waiver.id,))
    for waiver in applied.unused:
        text = f"the waiver {waiver.id} of {waiver.owner} covers nothing that was found"
        yield Reason(outcome=Outcome.NOTICE, kind=UNUSED, text=text, names=(waiver.id,))


def _stanza(reasons: Iterable[Reason], found: Iterable[_Excusable], torch_version: str) -> str | None:
    """The waiver to paste for the most important of the stops that can be waived."""
    by_kind: dict[str, list[_Excusable]] = {}
    for one in found:
        by_kind.setdefault(one.kind, []).append(one)
    for reason in reasons:
        about = [one for one in by_kind.get(reason.kind, ()) if one.name in (reason.names or ("",))]
        if reason.outcome is Outcome.STOP and about:
            return stanza(about, torch_version=torch_version)
    return None


def _undecidable(text: str) -> Reason:
    """Reason that no policy can make a verdict of."""
    return Reason(outcome=Outcome.NO_EVIDENCE, kind="completeness", text=text)


def _told(members: Sequence[ClaimChange], change: Change) -> Iterator[tuple[str, Sequence[ClaimChange]]]:
    """Sentences on claims of one classification: one for each topic, or for each known defect."""
    if change is Change.REGISTERED:
        for defect, found in by_defect(members).items():
            families = len({member.topic[0] for member in found})
            among = f", in {families} families" if families > 1 else ""
            yield f"{change} ({defect}): {plural(len(found), 'claim')}{among}; plainest: {_in_numbers(found[0])}", found
        return
    for group in grouped(members, change):
        count = f" ({plural(len(group.members), 'claim')})" if len(group.members) > 1 else ""
        yield f"{change}: {_in_numbers(group.worst, count)}", group.members


def _in_numbers(change: ClaimChange, count: str = "") -> str:
    """Subject of a claim, and its effect on both sides."""
    family, name, dtype = change.topic
    before, after = change.baseline, change.candidate
    subject = f"{family} of {name} in {dtype}{count}: "
    if change.change is Change.LOST:
        return f"{subject}{after.note if after and after.note else 'no reason given'}"
    unit = after.effect.unit if after and after.effect else None
    likely = f", {p_value(after.p)}" if after and after.p is not None else ""
    now, then = measured(after), measured(before)
    compared = "the same in the baseline" if now == then else f"baseline: {measured(before, unit)}"
    return f"{subject}{now} ({compared}){likely}"


def _streams(baseline: Run, candidate: Run) -> Streams:
    before, after = baseline.digests, candidate.digests
    both = before.keys() & after.keys()
    changed = sorted(key for key in both if before[key] != after[key])
    return Streams(
        same=len(both) - len(changed), changed=tuple(changed), missing=tuple(sorted(before.keys() ^ after.keys()))
    )


_OF_TORCH = re.compile(r"torch|triton|pytorch-triton.*|(nvidia|cuda)-.*")
"""Packages that a build of torch brings, for its accelerator: they are of what is compared, not of its surroundings."""


def _differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Differences by name; long values (lists of CPU flags) are not shown."""
    names = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    values = [(str(before.get(name, ABSENT)), str(after.get(name, ABSENT))) for name in names]
    return [
        f"{name} ({old} -> {new})" if max(len(old), len(new)) <= LONGEST_VALUE else name
        for name, (old, new) in zip(names, values, strict=True)
    ]


LONGEST_VALUE = 40
"""Characters of a value that is shown in a list of differences: a version or the name of a CPU."""


_RELEASED = re.compile(r"(\d+\.\d+\.\d+)(\+(cpu|cu\d+|rocm[\d.]+|xpu))?")
"""A version that an index has; what else a build calls itself (nightlies, own builds) is not asked for by name."""


def plan_options(plan: Plan) -> dict[str, str]:
    """Options by which a gate, or one suite, asks again what a plan asks."""
    options = {"--tier": plan.tier, "--device": ",".join(plan.devices), "--seed": str(plan.seed)}
    return options if plan.target == "torch.nn.init" else options | {"--target": plan.target}


def _rerun(baseline: Run, candidate: Run, model: str) -> str | None:
    """Command that repeats the gate, from the folder of the model's file, if one was asked about."""
    versions = [_RELEASED.fullmatch(run.torch_version) for run in (baseline, candidate)]
    plan, added = baseline.plan, list(_added(baseline, candidate))
    if plan is None or not all(versions) or not all(_is_of_an_index(requirement) for _, requirement in added):
        return None
    before, after = (match[1] for match in versions if match)
    options = [("--baseline", before), ("--candidate", after), *added, *plan_options(plan).items()]
    if plan.selection:
        options.append(("-k", plan.selection))
    if model:
        options.append(("--model", model))
    return shlex.join(["nox", "-s", "gate", "--", *(word for option in options for word in option)])


def _added(baseline: Run, candidate: Run) -> Iterator[tuple[str, str]]:
    """Options that add what was added to two runs: each with its requirement."""
    before, after = (list(run.environment.added) if run.environment else [] for run in (baseline, candidate))
    yield from (("--with", each) for each in before if each in after)
    yield from (("--with-baseline", each) for each in before if each not in after)
    yield from (("--with-candidate", each) for each in after if each not in before)


def _is_of_an_index(requirement: str) -> bool:
    try:
        return Requirement(requirement).url is None
    except InvalidRequirement:
        return False
