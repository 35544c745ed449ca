"""Findings of a test: its questions judged, and how the test ends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import pytest

from fixtures.record.claim import SMALLEST_P, Claim, Effect, Reading, Verdict, claim_id, p_in_words
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.schema import SCHEMA
from fixtures.record.subject import seed_for
from fixtures.rules.known_violations import Known, known_violation
from fixtures.statistics.judgement import CONFIRMATION_FACTOR, Judgement, judge

Evidence = TypeVar("Evidence")


@dataclass
class Findings:
    """Findings of one test; every claim it makes is added here.

    Attributes:
        case: that is asked about.
        questions: to be answered, in order.
        run_seed: of the plan.
        torch_version: that is asked.
        known: violations that are registered.
        rerun: command that runs the test alone.
    """

    case: Case
    questions: tuple[Question[Any], ...]
    run_seed: int
    torch_version: str
    known: tuple[Known, ...]
    rerun: str
    claims: list[Claim] = field(default_factory=list)
    _started: float = field(default_factory=time.perf_counter)

    def seed(self, stage: str) -> int:
        """Seed of this case's draws at the screen or at the confirmation."""
        return seed_for(self.run_seed, self.case.subject.key, stage)

    def asked(self, claim: Question[Any]) -> Question[Any]:
        """The question to be answered that makes this claim, of the same family, about the case."""
        return next(question for question in self.questions if question.family == claim.family)

    def judge(
        self, gather: Callable[[int, int], Evidence], questions: Iterable[Question[Evidence]] | None = None
    ) -> Evidence:
        """Judge statistical questions; returns the evidence of the screen.

        Args:
            gather: draws, seed -> evidence; called again, for more, where any question trips the screen.
            questions: by default all that are to be answered.
        """
        screened = gather(self.case.draws, self.seed("screen"))
        fresh: list[Evidence] = []

        def confirmation() -> Evidence:
            if not fresh:
                fresh.append(gather(CONFIRMATION_FACTOR * self.case.draws, self.seed("confirm")))
            return fresh[0]

        for question in self.questions if questions is None else questions:
            self._add(question, judge(question.read(screened), partial(_of, question.read, confirmation)))
        return screened

    def exact(
        self,
        question: Question[Any],
        counterexample: str | None,
        tried: int,
        *,
        note: str | None = None,
        effect: Effect | None = None,
    ) -> None:
        """Record an exact claim.

        Args:
            question: that is answered.
            counterexample: in words; None where there was none.
            tried: number of examples.
            note: a fact to know of a claim that holds.
            effect: its size.
        """
        reading = Reading(n=tried, effect=effect, broken=counterexample)
        verdict = Verdict.VIOLATED if counterexample else Verdict.HOLDS
        self._add(question, Judgement(verdict, reading, counterexample or note))

    def no_evidence(self, reason: str, questions: Iterable[Question[Any]] | None = None) -> None:
        """Record that nothing can be said about questions, by default about all, and why."""
        for question in self.questions if questions is None else questions:
            self._add(question, Judgement(Verdict.NO_EVIDENCE, Reading(n=0), reason))

    def _add(self, question: Question[Any], judgement: Judgement) -> None:
        reading = judgement.reading
        if reading.p is not None and reading.effect and reading.effect.standard_error is None:
            raise ValueError(f"{question.family}: the effect of a statistical claim states its standard error")
        claim = Claim(
            schema=SCHEMA,
            id=claim_id(question.family, self.case.subject),
            family=question.family,
            subject=self.case.subject,
            statement=question.statement,
            n=reading.n,
            p=None if reading.p is None else max(reading.p, SMALLEST_P),
            effect=_finite(reading.effect),
            detectable=_finite(reading.detectable),
            verdict=judgement.verdict,
            where=reading.where,
            counterexample=reading.broken,
            note=judgement.note,
            seed=self.seed("screen"),
        )
        if claim.verdict is Verdict.VIOLATED:
            claim = replace(claim, known=known_violation(claim, self.known, self.torch_version))
        self.claims.append(claim)

    def finished(self) -> list[Claim]:
        """The claims, with the time that the test took shared among them."""
        share = (time.perf_counter() - self._started) / max(1, len(self.claims))
        return [replace(claim, seconds=round(share, 6)) for claim in self.claims]

    def conclude(self) -> None:
        """Fail the test for a violation that nothing covers; mark it as expected where all are known."""
        violated = [claim for claim in self.claims if claim.verdict is Verdict.VIOLATED]
        unknown = [claim for claim in violated if claim.known is None]
        if unknown:
            pytest.fail("\n".join([*map(explain, unknown), f"  rerun: {self.rerun}"]), pytrace=False)
        if violated:
            # pytest.xfail would read and parse the sources of a traceback that nobody is shown.
            raise pytest.xfail.Exception(
                "known: " + ", ".join(sorted({str(claim.known) for claim in violated})), pytrace=False
            )
        missing = [claim for claim in self.claims if claim.verdict is Verdict.NO_EVIDENCE]
        if missing and len(missing) == len(self.claims):
            pytest.skip(f"no evidence: {missing[0].note}")


def _finite(size: Effect | None) -> Effect | None:
    """A size that can be written down; weights that are not finite leave none, and JSON would turn it into null."""
    if size is None or not math.isfinite(size.value):
        return None
    error = size.standard_error
    return size if error is None or math.isfinite(error) else Effect(size.value, size.unit)


def _of(read: Callable[[Evidence], Reading], gather: Callable[[], Evidence]) -> Reading:
    """The reading of evidence that is gathered only now."""
    return read(gather())


def replace(claim: Claim, **changes: object) -> Claim:
    """A copy of a claim with some fields changed."""
    return Claim(**{name: getattr(claim, name) for name in claim.__struct_fields__} | changes)


def explain(claim: Claim) -> str:
    """A violated claim in two lines: what was promised of whom, and by how much it is missed."""
    lines = [f"{claim.subject.key}: violated: {claim.statement}"]
    if claim.p is not None:
        seen = f"; {claim.detectable} would be seen" if claim.detectable else ""
        p = p_in_words(claim.p)
        lines.append(f"  {claim.family}: {claim.effect or 'no finite effect'}, p {p} ({claim.n:,} draws{seen})")
    if claim.note:
        lines.append(f"  {claim.note}")
    return "\n".join(lines)
