"""Fixed-seed digests of torch's modules: same seed, same model? A change between versions is no fault.

What is claimed here is only that the digests mean something; the laws are those of test_module_defaults.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import eq
from typing import Any

from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.weights.module_defaults import DEFAULTS, Missing, drawn_parameters
from fixtures.weights.streams import DIGEST_SEED, content, digest
from suites.framework.exact_claims import Inconclusive, exact_case, settle
from suites.framework.findings import Findings
from suites.framework.questions import asks

MODULE_DIGEST = "weights.determinism.module_digest"


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for default in DEFAULTS.values():
            if not isinstance(default.law, float):
                yield exact_case(MODULE_DIGEST, default.subject("constructor", device=device))


def questions(subject: Subject) -> Iterator[Question[Any]]:
    yield Question(MODULE_DIGEST, f"{subject.initializer} starts the same when a fixed seed is set again")


@asks(MODULE_DIGEST, cases, questions)
def test_a_fixed_seed_has_one_digest(case: Case, findings: Findings, keep_digest: Callable[[str, str], None]) -> None:
    def has_one_digest() -> None:
        try:
            first, again = (next(drawn_parameters(case.subject, 1, DIGEST_SEED)) for _ in range(2))
        except Missing as reason:
            raise Inconclusive(str(reason)) from None
        keep_digest(case.subject.key, digest(first))
        assert eq(content(first), content(again)), "the same seed gave other weights"

    (question,) = findings.questions
    settle(findings, question, has_one_digest)
