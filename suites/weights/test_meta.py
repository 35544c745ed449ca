"""Starts on the meta device, as large models have them: what no reset writes is what memory held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.target.seeds import seed_generators
from fixtures.weights.module_defaults import DEFAULTS, Missing, unwritten_after_meta
from suites.framework.exact_claims import Inconclusive, exact_case, settle
from suites.framework.findings import Findings
from suites.framework.questions import asks

META = "weights.defaults.meta"


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    """Every module of the table but the lazy ones, which have no parameters that could start anywhere."""
    modules = dict.fromkeys(default.call for default in DEFAULTS.values() if default.first_input is None)
    for device in devices:
        for call in modules:
            yield exact_case(META, Subject(call, (), "float32", None, None, None, device=device, path="meta"))


def questions(subject: Subject) -> Iterator[Question[Any]]:
    yield Question(META, f"{subject.initializer} is written whole by its parts' reset_parameters after a start on meta")


@asks(META, cases, questions)
def test_a_start_on_meta_leaves_nothing_unwritten(case: Case, findings: Findings) -> None:
    (question,) = findings.questions

    def check() -> None:
        seed_generators(findings.seed("screen"))
        try:
            unwritten = unwritten_after_meta(case.subject.initializer, case.subject.device)
        except Missing as reason:
            raise Inconclusive(str(reason)) from None
        assert not unwritten, f"left as memory was: {', '.join(unwritten)}"

    settle(findings, question, check)
