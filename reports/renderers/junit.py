"""The verdict as JUnit XML, one case for each claim of a family about a subject: what CI viewers load.

A stop is a failure and what leaves the verdict undecided an error: a viewer is green where the gate ends with 0. Claims
that neither side could tell are skipped, and a notice passes with its text. Reasons that are not about claims (drift,
speed, surroundings, the user's own model) are cases of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from fixtures.record.claim import Verdict
from fixtures.record.safe_text import printable
from reports.verdict.reasons import Outcome
from reports.view.claims import ClaimRow
from reports.view.gate import GateView
from reports.view.model import ModelView


def gate_junit(view: GateView) -> bytes:
    """The verdict as an XML document."""
    cases = [*map(_of_claim, view.claims), *_of_the_rest(view), *_of_the_model(view.model)]
    steps = ", ".join(f"{step.name} {step.baseline} to {step.candidate}" for step in view.steps)
    suite = ElementTree.Element("testsuite", name=printable(f"Kaiming Gate, {steps}"), tests=str(len(cases)))
    for counted, element in (("failures", "failure"), ("skipped", "skipped"), ("errors", "error")):
        suite.set(counted, str(sum(case.find(element) is not None for case in cases)))
    suite.extend(cases)
    document = ElementTree.Element("testsuites", name=f"verdict: {view.outcome}")
    document.append(suite)
    ElementTree.indent(document)
    content: bytes = ElementTree.tostring(document, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _of_claim(claim: ClaimRow) -> ElementTree.Element:
    sides = (("baseline", claim.baseline), ("candidate", claim.candidate))
    told = [claim.change, *(f"{name}: {side.sentence if side else 'no finding'}" for name, side in sides)]
    name = claim.subject.removeprefix(f"{claim.family}/")
    case = _case(claim.family, name, claim.outcome or Outcome.PASS, "\n".join(told))
    if claim.outcome is None and claim.shown and claim.shown.verdict == Verdict.NO_EVIDENCE:
        ElementTree.SubElement(case, "skipped", message=printable("\n".join(told)))
    case.set("time", f"{claim.seconds:.3f}")
    return case


def _of_the_rest(view: GateView) -> Iterator[ElementTree.Element]:
    asked = {claim.id for claim in view.claims}
    taken = set[tuple[str, tuple[str, ...]]]()
    for reason in view.reasons:
        if not asked.intersection(reason.names):
            family, _, _ = reason.kind.partition(".")
            # Two cases of one name would be one to a viewer.
            name = reason.text if (reason.kind, reason.names) in taken else ", ".join(reason.names) or reason.text
            taken.add((reason.kind, reason.names))
            yield _case(family, f"{reason.kind}: {name}", reason.outcome, "\n".join([reason.text, *reason.details]))


def _of_the_model(found: ModelView | None) -> Iterator[ElementTree.Element]:
    """A case that passes, where the user's own model has no reason of its own that would be one."""
    if found is not None and found.outcome in (Outcome.PASS, Outcome.NOTICE):
        yield _case("model", found.file, Outcome.NOTICE, found.sentence)


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
