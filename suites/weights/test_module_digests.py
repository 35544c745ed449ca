"""Fixed-seed digests of what torch's modules start with: same seed, same model? A change between versions is no fault.

What is claimed here is only that the digests mean something; the laws are those of test_module_defaults.py.
"""

from __future__ import annotations

from operator import eq

from fixtures.record.question import Question
from fixtures.weights.module_defaults import DEFAULTS, Missing, drawn_parameters
from fixtures.weights.streams import DIGEST_SEED, content, digest
from suites.framework.exact_claims import Inconclusive, exact_case, settle
from suites.framework.questions import asks

MODULE_DIGEST = "weights.determinism.module_digest"


def cases(tier, run_seed, devices):
    for device in devices:
        for default in DEFAULTS.values():
            if not isinstance(default.law, float):
                yield exact_case(MODULE_DIGEST, default.subject("constructor", device=device))


def questions(subject):
    yield Question(MODULE_DIGEST, f"{subject.initializer} starts the same when a fixed seed is set again")


@asks(MODULE_DIGEST, cases, questions)
def test_a_fixed_seed_has_one_digest(case, findings, keep_digest):
    def has_one_digest():
        try:
            first, again = (next(drawn_parameters(case.subject, 1, DIGEST_SEED)) for _ in range(2))
        except Missing as reason:
            raise Inconclusive(str(reason)) from None
        keep_digest(case.subject.key, digest(first))
        assert eq(content(first), content(again)), "the same seed gave other weights"

    (question,) = findings.questions
    settle(findings, question, has_one_digest)
