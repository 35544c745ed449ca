"""Claims in words: every claim on both sides, and lists of those to which the same happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fixtures.record.claim import Claim, Verdict
from fixtures.words.phrases import measured, p_value, plural, size
from reports.comparison.changes import Change, ClaimChange, Group, grouped, importance
from reports.verdict.reasons import Outcome, Reason


@dataclass(frozen=True)
class Reading:
    """One side's answer to a claim, in words; empty where there is nothing to say.

    Attributes:
        statement: the law or rule that was asked about.
        verdict: "holds", "violated" or "no evidence".
        effect: size of the deviation; for a violated contract, its counterexample.
        chance: p-value.
        detectable: smallest effect that would have been seen.
        samples: their number.
        known: registered violation, by id.
    """

    statement: str
    verdict: str
    effect: str
    chance: str
    detectable: str
    samples: str
    note: str
    known: str
    seed: str

    @property
    def sentence(self) -> str:
        """Everything that decides, in one line."""
        chance = f" ({self.chance})" if self.chance else ""
        return f"{self.verdict}: {self.statement}; measured {self.effect or self.note or self.verdict}{chance}"


@dataclass(frozen=True)
class ClaimRow:
    """One claim on both sides; a side without a finding is None.

    Attributes:
        importance: sort key: what a reader wants to see first is smallest.
        subject: key of the subject; the claim's id where neither side has a finding.
        outcome: of the heaviest reason that names the claim; None where none does.
        seconds: that the candidate took to answer.
    """

    id: str
    change: Change
    importance: tuple[float, ...]
    family: str
    subject: str
    dtype: str
    device: str
    baseline: Reading | None
    candidate: Reading | None
    outcome: Outcome | None
    seconds: float

    @property
    def shown(self) -> Reading | None:
        """The side to be seen first: the candidate's, or else the baseline's."""
        return self.candidate or self.baseline


def claim_rows(changes: Iterable[ClaimChange], reasons: Sequence[Reason]) -> tuple[ClaimRow, ...]:
    """Rows of all claims, in the order of the plan."""
    outcomes: dict[str, Outcome] = {}
    for reason in sorted(reasons, key=lambda reason: reason.outcome.rank):
        outcomes.update(dict.fromkeys(reason.names, reason.outcome))
    return tuple(_row(change, outcomes.get(change.id)) for change in changes)


def _row(change: ClaimChange, outcome: Outcome | None) -> ClaimRow:
    claim = change.claim
    subject = claim.subject if claim else None
    return ClaimRow(
        id=change.id,
        change=change.change,
        importance=(change.change.rank, *importance(change)),
        family=claim.family if claim else change.id.partition("/")[0],
        subject=subject.key if subject else change.id,
        dtype=subject.dtype if subject else "",
        device=subject.device if subject else "",
        baseline=reading(change.baseline),
        candidate=reading(change.candidate),
        outcome=outcome,
        seconds=change.candidate.seconds if change.candidate else 0.0,
    )


def reading(claim: Claim | None) -> Reading | None:
    """Put one side's answer into words; None without a finding."""
    if claim is None:
        return None
    counted = claim.effect is not None and not (claim.p is None and claim.note)
    return Reading(
        statement=claim.statement,
        verdict=str(claim.verdict),
        effect=measured(claim) if counted or claim.verdict is Verdict.VIOLATED else "",
        chance=p_value(claim.p) if claim.p is not None else "",
        detectable=size(claim.detectable) if claim.detectable else "",
        samples=plural(claim.n, "sample") if claim.n else "",
        note=claim.note or "",
        known=claim.known or "",
        seed="" if claim.seed is None else str(claim.seed),
    )


@dataclass(frozen=True)
class Finding:
    """Claims of one family, name and dtype to which the same happened, told by the worst of them.

    Attributes:
        title: family and subject, or how many subjects.
        effect: on both sides; empty where neither has a finding.
        certainty: p-value, samples, and the smallest effect that would have been seen.
        worst: key of the worst subject, where there are several.
        known: registered violations, with where each is discussed.
    """

    title: str
    effect: str
    certainty: str
    worst: str
    known: tuple[str, ...]


@dataclass(frozen=True)
class FindingList:
    """Findings of one kind, the plainest first."""

    heading: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Undecided:
    """Claims without evidence on either side, by reason, the most frequent first."""

    heading: str
    notes: tuple[str, ...]


def findings(
    changes: Sequence[ClaimChange], headings: Mapping[Change, str], references: Mapping[str, str]
) -> Iterator[FindingList]:
    """Lists of what is worth a heading, in the order of `headings`; those without any claim are left out.

    Args:
        changes: all claims.
        headings: what to list, and under which heading.
        references: where registered violations are discussed, by id.
    """
    for kind, heading in headings.items():
        if groups := grouped(changes, kind):
            total = sum(len(group.members) for group in groups)
            told = tuple(_finding(group, references) for group in groups)
            yield FindingList(f"{heading}: {plural(total, 'claim')}", told)


def _finding(group: Group, references: Mapping[str, str]) -> Finding:
    family, name, dtype = group.topic
    worst = group.worst
    alone = worst.claim if len(group.members) == 1 else None
    whom = alone.subject.key if alone else f"{name} in {dtype}: {plural(len(group.members), 'claim')}"
    effect = certainty = ""
    if worst.claim:
        unit = worst.claim.effect.unit if worst.claim.effect else None
        before = "" if worst.baseline is worst.candidate else f", baseline: {measured(worst.baseline, unit)}"
        effect, certainty = measured(worst.claim) + before, _certainty(worst.claim)
    known = sorted({member.violation.known or "" for member in group.members if member.violation} - {""})
    return Finding(
        title=f"{family}, {whom}",
        effect=effect,
        certainty=certainty,
        worst=worst.claim.subject.key if worst.claim and not alone else "",
        known=tuple(f"known as {name}{f': {references[name]}' if references.get(name) else ''}" for name in known),
    )


def _certainty(claim: Claim) -> str:
    parts = [p_value(claim.p)] if claim.p is not None else []
    if claim.n:
        parts.append(plural(claim.n, "sample"))
    if claim.detectable:
        parts.append(f"detects {size(claim.detectable, claim.effect.unit if claim.effect else None)}")
    return f" ({', '.join(parts)})" if parts else ""


def undecided(changes: Iterable[ClaimChange]) -> Undecided | None:
    """Reasons why neither side could tell; None where there is no such claim."""
    notes = Counter(
        change.candidate.note or "no reason given"
        for change in changes
        if change.change is Change.UNTOLD and change.candidate
    )
    if not notes:
        return None
    told = tuple(f"{plural(count, 'claim')}: {note}" for note, count in notes.most_common())
    return Undecided(f"No evidence: {plural(notes.total(), 'claim')}", told)
