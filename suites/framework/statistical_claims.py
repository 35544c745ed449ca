"""Statistical claims: how they are judged, and that none holds which could not have seen what its case resolves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import msgspec

from fixtures.record.claim import Reading
from fixtures.record.question import Question
from suites.framework.exact_claims import Inconclusive, counterexample
from suites.framework.findings import Findings

Evidence = TypeVar("Evidence")

DRAWN = 0.9
"""Networks are drawn for nine tenths of the error that is promised to be seen. How many they must be is estimated for a
mean layer and exact tests; taps in the padding and Chernoff's bound (9.20 standard errors for 8.64) take up to 7 %."""

LAYER_BY_LAYER = ("scale", "layer")
"""Properties that a promise about each layer covers: all layers together, and each alone."""

ALL_LAYERS = ("location", "mean")
"""Properties that a promise about all layers together covers."""


def promised(drawn_for: float, left: float = 1.0) -> float:
    """The relative scale error that must be seen by networks that are drawn for a finer one.

    Args:
        drawn_for: as `networks_to_resolve` is asked.
        left: smallest share of a layer's degrees of freedom that rounding and dying networks leave, as measured.
    """
    return drawn_for / (DRAWN * math.sqrt(left))


def as_promised(reading: Reading, resolution: float) -> Reading:
    """The same reading, blind where the smallest scale error that it detects, in %, exceeds what was promised."""
    if reading.blind or reading.detectable is None or reading.detectable.value <= 100 * resolution:
        return reading
    words = f"{reading.detectable} would be seen at best, {100 * resolution:.3g}% was promised"
    return msgspec.structs.replace(reading, blind=words)


@dataclass(frozen=True)
class Broken:
    """Evidence that could not be gathered, because the target raised an exception."""

    words: str


def judge_what_is_drawn(
    findings: Findings,
    gather: Callable[[int, int], Evidence],
    questions: Iterable[Question[Evidence]] | None = None,
) -> None:
    """Judge statistical questions; where the target raises an exception instead of drawing, all are violated."""

    def gathered(draws: int, draw_seed: int) -> Evidence | Broken:
        evidence: list[Evidence] = []
        words = counterexample(lambda: evidence.append(gather(draws, draw_seed)))
        return Broken(words) if words else evidence[0]

    def read(question: Question[Evidence], evidence: Evidence | Broken) -> Reading:
        return Reading(n=0, broken=evidence.words) if isinstance(evidence, Broken) else question.read(evidence)

    asked = findings.questions if questions is None else questions
    findings.judge(gathered, [replace(question, read=partial(read, question)) for question in asked])


def judge_if_there(findings: Findings, gather: Callable[[int, int], Any]) -> None:
    """Judge statistical questions; where the screen is inconclusive, as without what torch lacks, none has evidence."""
    try:
        judge_what_is_drawn(findings, gather)
    except Inconclusive as reason:
        findings.no_evidence(str(reason))


def judge_as_promised(findings: Findings, gather: Callable[[int, int], Any], properties: tuple[str, ...]) -> None:
    """Judge statistical questions; those about `properties`, the last part of a family, must see what was promised."""

    def promising(question: Question[Any]) -> Question[Any]:
        if question.family.rpartition(".")[2] not in properties:
            return question
        return replace(question, read=lambda evidence: as_promised(question.read(evidence), findings.case.resolution))

    judge_what_is_drawn(findings, gather, map(promising, findings.questions))
