"""The verdict as JUnit XML, one case for each claim of a family about a subject: what CI viewers load.

A stop is a failure and what leaves the verdict undecided an error: a viewer is green where the gate ends with 0. Claims
that neither side could tell are skipped, and a notice passes with its text. Reasons that are not about claims (speed,
drift, surroundings) are cases of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from fixtures.record.claim import Claim, Verdict
from fixtures.record.safe_text import printable
from fixtures.words.wording import measured, p_value
from reports.comparison import ClaimChange
from reports.reasons import Outcome, Reason
from reports.verdict import GateVerdict


def verdict_junit(verdict: GateVerdict, changes: Sequence[ClaimChange]) -> bytes:
    """The verdict as an XML document.

    Args:
        verdict: what the gate decided.
        changes: every claim of the two runs, those that hold on both sides among them.
    """
    about = _heaviest_by_name(verdict.reasons)
    asked = {change.id for change in changes}
    cases = [*(_of_claim(change, about.get(change.id)) for change in changes), *_of_the_rest(verdict.reasons, asked)]
    torches = f"torch {verdict.baseline.torch} to {verdict.candidate.torch}"
    suite = ElementTree.Element("testsuite", name=printable(f"Kaiming Gate, {torches}"), tests=str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    suite.set("errors", str(sum(case.find("error") is not None for case in cases)))
    suite.extend(cases)
    document = ElementTree.Element("testsuites", name=f"verdict: {verdict.outcome}")
    document.append(suite)
    ElementTree.indent(document)
    content: bytes = ElementTree.tostring(document, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _heaviest_by_name(reasons: Sequence[Reason]) -> dict[str, Reason]:
    """Claim id -> the weightiest reason about it."""
    about: dict[str, Reason] = {}
    for reason in sorted(reasons, key=lambda reason: reason.outcome.weight):
        about.update(dict.fromkeys(reason.names, reason))
    return about


def _of_claim(change: ClaimChange, reason: Reason | None) -> ElementTree.Element:
    claim = change.claim
    family, _, subject = (claim.family, "", claim.subject.key) if claim else change.id.partition("/")
    seconds = change.candidate.seconds if change.candidate else 0.0
    case = _case(family, subject or change.id, reason.outcome if reason else Outcome.PASS, _told(change))
    if reason is None and claim and claim.verdict is Verdict.NO_EVIDENCE:
        ElementTree.SubElement(case, "skipped", message=printable(_told(change)))
    case.set("time", f"{seconds:.3f}")
    return case


def _told(change: ClaimChange) -> str:
    """What became of a claim, with both sides in numbers."""
    sides = (("baseline", change.baseline), ("candidate", change.candidate))
    return "\n".join([str(change.change), *(f"{name}: {_side(claim)}" for name, claim in sides)])


def _side(claim: Claim | None) -> str:
    if claim is None:
        return "no finding"
    sure = f" ({p_value(claim.p)})" if claim.p is not None else ""
    return f"{claim.verdict}: {claim.statement}; measured {measured(claim)}{sure}"


def _of_the_rest(reasons: Sequence[Reason], asked: set[str]) -> Iterator[ElementTree.Element]:
    for reason in reasons:
        if not asked.intersection(reason.names):
            family, _, _ = reason.kind.partition(".")
            name = ", ".join(reason.names) or reason.text
            yield _case(family, f"{reason.kind}: {name}", reason.outcome, "\n".join([reason.text, *reason.details]))


def _case(family: str, name: str, outcome: Outcome, text: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=printable(family), name=printable(name))
    lines = [printable(line) for line in text.splitlines()]
    if outcome is Outcome.STOP:
        ElementTree.SubElement(case, "failure", message=" ".join(lines)).text = "\n".join(lines)
    elif outcome is Outcome.NO_EVIDENCE:
        ElementTree.SubElement(case, "error", message=" ".join(lines))
    elif outcome is Outcome.NOTICE:
        ElementTree.SubElement(case, "system-out").text = "\n".join(lines)
    return case
