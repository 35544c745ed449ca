"""Comparison of two runs: were they asked the same, and how is each claim classified?

No opinion on what that means for the upgrade (see reports/verdict/gate.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from fixtures.record.claim import Claim, Effect, Unit, Verdict
from fixtures.record.run_folder import Run
from fixtures.statistics.judgement import DEVIATES
from fixtures.words.phrases import first_few, in_dtype, plural
from reports.comparison.kinds import Kinds


class Incomparable(Exception):
    """Two runs that were not asked the same; the message is one line naming the differences."""


class Change(Kinds):
    """Classification of one claim from the baseline to the candidate; what a reader wants to see first comes first.

    Attributes:
        tone: colour in the page's list of claims, "bad", "warn", "fine" or "open"; empty for none.
        marks: whether the page marks its subject at the drawings.
        policy_key: name in the policy; empty where it is no reason for anything.
        heading: of its section in a terminal; empty where there is none.
    """

    tone: str
    marks: bool
    policy_key: str
    heading: str

    NEW = "new violation", "bad", True, "conformance.new", "New violations"
    WORSE = (
        "violated on both sides, clearly worse in the candidate",
        *("bad", True, "conformance.worse"),
        "Violated on both sides, clearly worse in the candidate",
    )
    UNANSWERED = "planned, but without a finding", "open", False, "", ""
    LOST = (
        "the baseline could tell, the candidate could not",
        *("open", False, "conformance.lost"),
        "The baseline could tell, the candidate could not",
    )
    UNREGISTERED = (
        "violated on both sides, not registered as known",
        *("warn", True, "conformance.unregistered"),
        "Violated on both sides, and not registered as known",
    )
    REGISTERED = (
        "violated on both sides, registered as known",
        *("warn", True, "conformance.registered"),
        "Violated on both sides, registered as known",
    )
    UNRESOLVED = (
        "registered as known, too small for this claim to show on both sides",
        *("warn", False, "conformance.unresolved"),
        "Registered as known, and too small for these claims to show on both sides",
    )
    MENDED = "mended", "fine", True, "", "Mended: violated in the baseline, holds in the candidate"
    GAINED = "the candidate could tell, the baseline could not", "fine", False, "", ""
    UNTOLD = "no evidence on either side", "open", False, "", ""
    HELD = "holds on both sides", "", False, "", ""


class ClaimChange(msgspec.Struct, frozen=True, kw_only=True):
    """One claim on both sides; a side without a finding is None."""

    id: str
    change: Change
    baseline: Claim | None
    candidate: Claim | None

    @property
    def claim(self) -> Claim | None:
        """The finding a reader wants to see first: the candidate's, or else the baseline's."""
        return self.candidate or self.baseline

    @property
    def violation(self) -> Claim | None:
        """The violated side; the candidate's where both are."""
        sides = (self.candidate, self.baseline)
        return next((claim for claim in sides if claim and claim.verdict is Verdict.VIOLATED), None)

    @property
    def topic(self) -> tuple[str, str, str]:
        """Family, subject's name, and dtype with device: what a reader thinks of as one finding; empty without any."""
        claim = self.claim
        if claim is None:
            return self.id, "", ""
        return claim.family, claim.subject.name, in_dtype(claim.subject.dtype, claim.subject.device)


@dataclass(frozen=True)
class Group:
    """Claims of one family, name and dtype to which the same happened; the worst first."""

    change: Change
    topic: tuple[str, str, str]
    members: tuple[ClaimChange, ...]

    @property
    def worst(self) -> ClaimChange:
        """The member that is plainest."""
        return self.members[0]


def refuse_other_questions(baseline: Run, candidate: Run) -> None:
    """Different questions have no common answer: that is an error of whoever chose the runs, not a verdict.

    Raises:
        Incomparable: seed, tier, target, devices, selection, cases or planned claims differ.
    """
    before, after = baseline.plan, candidate.plan
    if before is None or after is None:
        return
    # A run that was cut short may have ended before its tests were selected; its plan then lists no claims yet.
    selected = not (baseline.failure or candidate.failure)
    names = ["seed", "tier", "target", "devices", *(["selection"] if selected else [])]
    differences = [
        f"{name} is {getattr(before, name)!r} in {baseline.label} and {getattr(after, name)!r} in {candidate.label}"
        for name in names
        if getattr(before, name) != getattr(after, name)
    ]
    labels = baseline.label, candidate.label
    # In whichever order: a case is drawn from a seed of its own, and a run that was merged has its parts' order.
    if sorted(before.cases, key=msgspec.json.encode) != sorted(after.cases, key=msgspec.json.encode):
        cases = [[f"{case.family}/{case.subject.key}" for case in plan.cases] for plan in (before, after)]
        only = _only_in(labels, "case", cases[0], cases[1])
        differences.append(only or "cases are drawn in another number")
    if selected and (only := _only_in(labels, "claim", before.claims, after.claims)):
        differences.append(only)
    if differences:
        raise Incomparable("the two runs were not asked the same: " + "; ".join(differences))


def _only_in(labels: tuple[str, str], noun: str, before: Sequence[str], after: Sequence[str]) -> str:
    """Plans of one side only, in words; empty if there are none."""
    extras = sorted(set(before) - set(after)), sorted(set(after) - set(before))
    return ", ".join(
        f"{plural(len(extra), noun)} only in {label} ({first_few(extra, 1)})"
        for label, extra in zip(labels, extras, strict=True)
        if extra
    )


def compare(baseline: Run, candidate: Run) -> list[ClaimChange]:
    """Classify every planned claim, in the order of the plan.

    A violation is new where the baseline was asked and gave no answer, unless its run failed: then nobody knows.
    """
    planned = next((run.plan.claims for run in (baseline, candidate) if run.plan and run.plan.claims), ())
    names = dict.fromkeys([*planned, *baseline.claims, *candidate.claims])
    pairs = {name: (baseline.claims.get(name), candidate.claims.get(name)) for name in names}
    defects_before, defects_after = _registered_defects(baseline), _registered_defects(candidate)
    absence = Change.UNANSWERED if baseline.failure else Change.NEW

    def change(before: Claim | None, after: Claim | None) -> Change:
        if after is None:
            return Change.UNANSWERED
        if before is None:
            return absence if after.verdict is Verdict.VIOLATED else Change.UNANSWERED
        match before.verdict, after.verdict:
            case Verdict.VIOLATED, Verdict.VIOLATED:
                return _both_violated(before, after)
            case _, Verdict.VIOLATED:
                return Change.UNRESOLVED if _missed_by_chance(after, before, defects_before) else Change.NEW
            case Verdict.VIOLATED, Verdict.HOLDS:
                return Change.UNRESOLVED if _missed_by_chance(before, after, defects_after) else Change.MENDED
            case Verdict.HOLDS, Verdict.HOLDS:
                return Change.HELD
            case Verdict.NO_EVIDENCE, Verdict.NO_EVIDENCE:
                return Change.UNTOLD
            case Verdict.NO_EVIDENCE, _:
                return Change.GAINED
            case _:
                return Change.LOST

    return [
        ClaimChange(id=name, change=change(before, after), baseline=before, candidate=after)
        for name, (before, after) in pairs.items()
    ]


_Defect = tuple[str | None, str, str, str]


def _defects(claim: Claim) -> set[_Defect]:
    """A registered violation and where it shows: by the defect's name, and by what it violates.

    Two defects of two releases may violate one and the same claim: what a user of either release lives with is that,
    say, the location of bfloat16 uniforms is off, whichever mistake is behind it.
    """
    where = (claim.subject.name, claim.subject.dtype, claim.subject.device)
    return {(claim.known, *where), (claim.family, *where)}


def _registered_defects(run: Run) -> set[_Defect]:
    """Registered violations that the run shows."""
    registered = (claim for claim in run.claims.values() if claim.verdict is Verdict.VIOLATED and claim.known)
    return {defect for claim in registered for defect in _defects(claim)}


def _missed_by_chance(violated: Claim, other: Claim, defects_of_other: set[_Defect]) -> bool:
    """Tell whether `other`, which holds, may hide the effect seen in `violated` for want of power.

    A claim that sees a registered defect only sometimes is violated on either side by the luck of the draw, and a stop
    for it would be a coin toss. So it is none if all of this is true:

    - it is registered, and the other run shows, at better power, the same defect, or another registered one that
      violates the same property, for the same initializer, dtype and device;
    - the effect, and the distance of the two estimates, are below what `other` detects with probability 1 - 1e-6; or,
      where the claim does not state what it detects in the unit it measures (extremes, missing values), the violation
      showed only on the larger sample of the confirmation.
    """
    if not violated.known or not _defects(violated) & defects_of_other:
        return False
    if violated.effect and other.effect and other.detectable:
        if _same_unit(violated.effect, other.effect, other.detectable):
            distance = abs(violated.effect.value - other.effect.value)
            return max(abs(violated.effect.value), distance) < other.detectable.value
        return (violated.n or 0) > (other.n or 0) > 0
    return False


def _same_unit(*sizes: Effect) -> bool:
    """Tell whether sizes may be compared: of two looks that one claim takes, either may have decided."""
    return len({size.unit for size in sizes}) == 1


def _both_violated(before: Claim, after: Claim) -> Change:
    if before.counterexample is not None and after.counterexample is not None:
        if not _same_counterexample(before, after):
            return Change.NEW
        if _much_larger(before, after):
            return Change.WORSE
    elif _clearly_worse(before, after):
        return Change.WORSE
    return Change.REGISTERED if before.known and after.known else Change.UNREGISTERED


_NUMBER = re.compile(r"[-+]?(?<![A-Za-z_])\d[\d_,.]*(?:[eE][-+]?\d+)?(?:\s*x\s*\d+)*")


def _same_counterexample(before: Claim, after: Claim) -> bool:
    """Tell whether one defect refutes an exact claim on both sides.

    A registered defect pins its counterexample (fixtures/rules/known_violations.py), so that claims of one entry have
    the same. Others are compared by their words: where and by how much, which are numbers, may hang on what was drawn,
    and what is wrong with what does not. "gelu(inf) is nan, not inf" and "gelu(inf) is -7, not inf" differ.
    """
    if before.known and before.known == after.known:
        return True
    ours, theirs = (_NUMBER.sub("#", claim.counterexample or "") for claim in (before, after))
    return ours == theirs


LARGER = 8.0
"""Growth of an exact claim's error beyond which less precise numbers are at work: float16 and bfloat16, the two nearest
formats, are three bits apart. By thread count and instruction set the errors of one torch differ by a factor of 2.3 at
most (in units of the rounding bound)."""


def _much_larger(before: Claim, after: Claim) -> bool:
    if not (before.effect and after.effect and _same_unit(before.effect, after.effect)):
        return False
    return after.effect.unit is Unit.ALLOWED_ERROR and after.effect.value > LARGER * before.effect.value


def _clearly_worse(before: Claim, after: Claim) -> bool:
    """Tell whether the effect grew by more than the noise of two measurements of one and the same effect.

    Growth is clear beyond DEVIATES = 8.64 standard errors of the difference, which two measurements of the same effect
    reach with chance 3e-18; growth by twice as much is missed as seldom. Both runs have one seed, so that in a
    healthy gate there is no noise at all: the bound holds also where streams changed. A deviation to the other side is
    another defect, and worse if it is no smaller. What has no size any more (NaN, infinity, a counterexample) is worse
    than what has one.
    """
    if before.effect is None or after.effect is None:
        return before.effect is not None
    if not _same_unit(before.effect, after.effect):
        # One claim may take two looks: then what each measures is weighed by what it can see, which is DEVIATES or so.
        return _times_detectable(after) - _times_detectable(before) > math.sqrt(2)  # never where one is not known
    noise = math.hypot(*(_standard_error(claim) for claim in (before, after)))
    if before.effect.value * after.effect.value < 0:
        return after.effect.value**2 >= before.effect.value**2 and _distance(before, after) > DEVIATES * noise
    return abs(after.effect.value) - abs(before.effect.value) > DEVIATES * noise


def _distance(before: Claim, after: Claim) -> float:
    assert before.effect is not None
    assert after.effect is not None
    return abs(after.effect.value - before.effect.value)


def _standard_error(claim: Claim) -> float:
    """Standard error of a claim's effect; where it states none, a DEVIATES-th of its detectable effect or less."""
    assert claim.effect is not None
    if claim.effect.standard_error is not None:
        return claim.effect.standard_error
    if claim.detectable and _same_unit(claim.effect, claim.detectable):
        return claim.detectable.value / DEVIATES
    return math.inf


def _times_detectable(claim: Claim) -> float:
    """A claim's effect over what it detects; NaN if it does not state both in one unit."""
    if claim.effect and claim.detectable and claim.detectable.value and _same_unit(claim.effect, claim.detectable):
        return abs(claim.effect.value) / claim.detectable.value
    return math.nan


def plainness(claim: Claim) -> tuple[float, float]:
    """Sorts violations, the plainest first: counterexamples, then by p-value, then by effect over detectable effect."""
    times = _times_detectable(claim)
    return (-1.0 if claim.p is None else claim.p, 0.0 if math.isnan(times) else -times)


def grouped(changes: Iterable[ClaimChange], *kinds: Change) -> list[Group]:
    """Changes of these kinds by family, subject's name and dtype: in the order of `kinds`, the plainest first.

    Changes that left no violation on either side come in the order given.
    """
    groups: dict[tuple[Change, tuple[str, str, str]], list[ClaimChange]] = {}
    for change in changes:
        if change.change in kinds:
            groups.setdefault((change.change, change.topic), []).append(change)

    listed = [Group(kind, topic, tuple(sorted(members, key=importance))) for (kind, topic), members in groups.items()]
    return sorted(listed, key=lambda group: (kinds.index(group.change), importance(group.worst)))


def by_defect(changes: Iterable[ClaimChange]) -> dict[str, list[ClaimChange]]:
    """Claims violated on both sides by the candidate's registered defect, each defect's plainest first."""
    defects: dict[str, list[ClaimChange]] = {}
    for change in sorted(changes, key=importance):
        if change.candidate and change.candidate.known:
            defects.setdefault(change.candidate.known, []).append(change)
    return defects


def importance(change: ClaimChange) -> tuple[float, float]:
    """Sort key: the plainest violation is smallest, what violates nothing largest."""
    return plainness(change.violation) if change.violation else (1.0, 0.0)
